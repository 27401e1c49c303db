//! The named networks of SPEC §4: generators for 28×28 digits and for faces of 71×71 and 158×158 pixels, our operator
//! family among them, and the classifiers of the same images.

use crate::alexnet::{AlexNetConfig, Head, Stem};
use crate::concatenating::{Branch, ConcatenatingConfig, FeatureMap, FillingRules};
use crate::generator::GeneratorConfig;
use crate::layers::Upsampling;
use crate::operator::{ActingFactor, ActionKind, Bank, OperatorConfig};
use crate::{Activation, Error, Result};

/// Every name that [`generator`] knows.
pub const GENERATORS: [&str; 13] = [
    "digits-v1",
    "digits-v2",
    "digits-wide",
    "digits-figure",
    "operator-affine",
    "operator-affine-random",
    "operator-attention",
    "operator-latent",
    "kdef-small",
    "kdef-large",
    "mmi-small",
    "mmi-large",
    "mmi-figure",
];

/// Every name that [`classifier`] knows.
pub const CLASSIFIERS: [&str; 5] =
    ["alexnet-multitask", "alexnet-71", "alexnet-71-s2", "alexnet-28", "alexnet-compact-71"];

const DIGIT_FACTORS: [(&str, usize); 4] = [("digit", 10), ("style", 10), ("colour", 3), ("transform", 6)];
/// Factors and levels of `kdef-3emo` (SPEC §3.2) with the width of both layers of their branches.
const KDEF_BRANCHES: [(&str, usize, usize); 4] =
    [("person", 70, 512), ("emotion", 3, 512), ("session", 2, 128), ("transform", 6, 256)];
/// The same of the set `mmi`.
const MMI_BRANCHES: [(&str, usize, usize); 3] = [("person", 7, 512), ("emotion", 7, 512), ("transform", 6, 256)];

fn branches(widths: [(usize, usize); 4]) -> Vec<Branch> {
    DIGIT_FACTORS
        .iter()
        .zip(widths)
        .map(|((factor, levels), (fc1, fc2))| Branch { factor: (*factor).to_owned(), levels: *levels, fc1, fc2 })
        .collect()
}

fn face_branches(factors: &[(&str, usize, usize)]) -> Vec<Branch> {
    let branch = |&(factor, levels, width): &(&str, usize, usize)| Branch {
        factor: factor.to_owned(),
        levels,
        fc1: width,
        fc2: width,
    };
    factors.iter().map(branch).collect()
}

fn up(channels: usize, kernel: usize, stride: usize, padding: usize) -> Upsampling {
    Upsampling { channels, kernel, stride, padding, conv3: false }
}

fn up_and_conv3(channels: usize, kernel: usize, stride: usize, padding: usize) -> Upsampling {
    Upsampling { conv3: true, ..up(channels, kernel, stride, padding) }
}

const MAP: FeatureMap = FeatureMap { channels: 256, size: 7 };

/// The description of a named generator.
///
/// # Errors
/// When no preset carries that name.
pub fn generator(name: &str) -> Result<GeneratorConfig> {
    let v2_upsampling = vec![up(256, 4, 2, 1), up(3, 2, 2, 0)];
    let concatenating = match name {
        "digits-v1" => ConcatenatingConfig {
            branches: branches([(256, 256), (512, 512), (256, 256), (512, 512)]),
            hidden: vec![1024, 1024],
            map: MAP,
            upsampling: vec![up(256, 4, 2, 1), up(92, 4, 2, 1), up(92, 5, 1, 2), up(3, 5, 1, 2)],
            activation: Activation::Relu,
            last: Activation::Linear,
            mask_head: false,
            filling: FillingRules::DigitsV1,
        },
        "digits-v2" => ConcatenatingConfig {
            branches: branches([(512, 512), (512, 512), (128, 128), (256, 256)]),
            hidden: vec![2048, 2048],
            map: MAP,
            upsampling: v2_upsampling,
            activation: Activation::Prelu,
            last: Activation::Relu,
            mask_head: false,
            filling: FillingRules::Plain,
        },
        // "512/512 512/512 64/64, transform alike": the transform's branch is as the colour's before it.
        "digits-wide" => ConcatenatingConfig {
            branches: branches([(512, 512), (512, 512), (64, 64), (64, 64)]),
            hidden: vec![4096, 4096],
            map: MAP,
            upsampling: v2_upsampling,
            activation: Activation::Relu,
            last: Activation::Relu,
            mask_head: false,
            filling: FillingRules::Plain,
        },
        "digits-figure" => ConcatenatingConfig {
            branches: branches([(256, 256), (256, 256), (32, 32), (128, 128)]),
            hidden: vec![1024],
            map: MAP,
            upsampling: v2_upsampling,
            activation: Activation::Relu,
            last: Activation::Relu,
            mask_head: true,
            filling: FillingRules::Plain,
        },
        "kdef-small" => small_faces(&KDEF_BRANCHES, Activation::Linear),
        "kdef-large" => large_faces(&KDEF_BRANCHES, Activation::Linear),
        "mmi-small" => small_faces(&MMI_BRANCHES, Activation::Relu),
        // A smaller map, and a convolution after every transposed one but the last.
        "mmi-large" => ConcatenatingConfig {
            hidden: vec![1024, 1024],
            map: FeatureMap { channels: 256, size: 8 },
            upsampling: vec![
                up_and_conv3(256, 5, 2, 0), // 19×19
                up_and_conv3(92, 5, 2, 1),  // 39×39
                up_and_conv3(92, 5, 2, 1),  // 79×79
                up(3, 4, 2, 1),             // 158×158
            ],
            ..large_faces(&MMI_BRANCHES, Activation::Relu)
        },
        // The research's description leaves open whether its images are rectified.
        "mmi-figure" => large_faces(&MMI_BRANCHES, Activation::Linear),
        "operator-affine" => return Ok(operator(ActionKind::Affine { bank: Bank::Turns })),
        "operator-affine-random" => return Ok(operator(ActionKind::Affine { bank: Bank::Random { maps: 16 } })),
        "operator-attention" => return Ok(operator(ActionKind::Attention)),
        "operator-latent" => return Ok(operator(ActionKind::Latent { k: 128 })),
        _ => return Err(Error::UnknownNetwork { name: name.to_owned(), known: GENERATORS.join(", ") }),
    };
    Ok(GeneratorConfig::Concatenating(concatenating))
}

/// 71×71 pixels.
fn small_faces(factors: &[(&str, usize, usize)], last: Activation) -> ConcatenatingConfig {
    ConcatenatingConfig {
        branches: face_branches(factors),
        hidden: vec![2048, 2048],
        map: FeatureMap { channels: 512, size: 8 },
        upsampling: vec![up(512, 5, 2, 1), up(184, 5, 2, 1), up(3, 5, 2, 1)], // 17×17, 35×35, 71×71
        activation: Activation::LeakyRelu { slope: 0.1 },
        last,
        mask_head: false,
        filling: FillingRules::Plain,
    }
}

/// 158×158 pixels.
fn large_faces(factors: &[(&str, usize, usize)], last: Activation) -> ConcatenatingConfig {
    ConcatenatingConfig {
        // 19×19, 39×39, 79×79, 158×158
        upsampling: vec![up(512, 5, 2, 0), up(184, 5, 2, 1), up(184, 5, 2, 1), up(3, 4, 2, 1)],
        filling: FillingRules::LastWithoutDecay,
        ..small_faces(factors, last)
    }
}

fn operator(action: ActionKind) -> GeneratorConfig {
    let [digit, style, colour, transform] = DIGIT_FACTORS;
    let content = |(factor, levels): (&str, usize)| Branch { factor: factor.to_owned(), levels, fc1: 256, fc2: 256 };
    let acting = |(factor, levels): (&str, usize)| ActingFactor { factor: factor.to_owned(), levels };
    // A canonical image that is turned must be read between its pixels; twice as many of them leave nothing to blur.
    let canonical = match action {
        ActionKind::Affine { .. } => up(1, 4, 4, 0), // 56×56
        _ => up(1, 2, 2, 0),                         // 28×28
    };
    GeneratorConfig::Operator(OperatorConfig {
        content: vec![content(digit), content(style)],
        colour: acting(colour),
        spatial: acting(transform),
        action,
        hidden: vec![512],
        map: FeatureMap { channels: 32, size: 7 },
        upsampling: vec![up(32, 4, 2, 1), canonical],
        size: 28,
    })
}

/// The description of a named classifier.
///
/// # Errors
/// When no preset carries that name.
pub fn classifier(name: &str) -> Result<AlexNetConfig> {
    // Of the research's classifiers, the one of 4 emotions.
    let multitask = AlexNetConfig {
        image_size: 158,
        conv1: Stem { kernel: 11, stride: 2 },
        widths: [96, 256, 384, 384, 256],
        activation: Activation::LeakyRelu { slope: 0.2 },
        heads: vec![head("person", 65, 4096), head("emotion", 4, 1024)],
        fc7: 4096,
        dropout: 0.5,
    };
    Ok(match name {
        "alexnet-multitask" => multitask,
        "alexnet-71" => AlexNetConfig { image_size: 71, conv1: Stem { kernel: 11, stride: 1 }, ..multitask },
        "alexnet-71-s2" => AlexNetConfig { image_size: 71, ..multitask },
        // Of the same shape, at a quarter of the widths and an eighth of fc7: sizes 24, 12, 12, 6, 6, 3.
        "alexnet-28" => {
            let fc6 = [512, 512, 128, 256];
            AlexNetConfig {
                image_size: 28,
                conv1: Stem { kernel: 5, stride: 1 },
                widths: [24, 64, 96, 96, 64],
                heads: DIGIT_FACTORS
                    .iter()
                    .zip(fc6)
                    .map(|((factor, levels), fc6)| head(factor, *levels, fc6))
                    .collect(),
                fc7: 512,
                ..multitask
            }
        }
        // A quarter of every width of alexnet-71-s2.
        "alexnet-compact-71" => AlexNetConfig {
            image_size: 71,
            widths: multitask.widths.map(|width| width / 4),
            heads: vec![head("person", 65, 1024), head("emotion", 4, 256)],
            fc7: 1024,
            ..multitask
        },
        _ => return Err(Error::UnknownNetwork { name: name.to_owned(), known: CLASSIFIERS.join(", ") }),
    })
}

fn head(factor: &str, levels: usize, fc6: usize) -> Head {
    Head { factor: factor.to_owned(), levels, fc6 }
}

/// One sentence on what a named network is.
pub fn describe(name: &str) -> &'static str {
    match name {
        "digits-v1" => "The research's first generator for digits: four transposed convolutions, ReLU.",
        "digits-v2" => "The research's default generator for digits: two transposed convolutions, PReLU.",
        "digits-wide" => "The research's generator for digits with wider fully connected layers.",
        "digits-figure" => "The research's generator of its paper's figure, with a segmentation mask as second output.",
        "kdef-small" => {
            "The research's generator for KDEF faces of 71×71 pixels: three transposed convolutions, leaky ReLU."
        }
        "kdef-large" => {
            "The research's generator for KDEF faces of 158×158 pixels: four transposed convolutions, leaky ReLU."
        }
        "mmi-small" => {
            "The research's generator for MMI faces of 71×71 pixels: three transposed convolutions, leaky ReLU."
        }
        "mmi-large" => {
            "The research's generator for MMI faces of 158×158 pixels: a convolution after every transposed one but the last."
        }
        "mmi-figure" => "The research's generator for MMI faces as its paper draws it: kdef-large without sessions.",
        "operator-affine" => {
            "Ours: content drawn once, transforms act as a gated bank of affine maps, colours as vectors."
        }
        "operator-affine-random" => "Ours: as operator-affine, but the bank starts from random maps.",
        "operator-attention" => "Ours: content drawn once, each transform mixes pixels by its own softmax matrix.",
        "operator-latent" => "Ours: each transform is a matrix on the content's code, colours are vectors.",
        "alexnet-multitask" => {
            "The research's classifier of persons and 4 emotions at 158×158 pixels: AlexNet with a head per factor."
        }
        "alexnet-71" => "The research's classifier at 71×71 pixels: its first convolution moves by one pixel.",
        "alexnet-71-s2" => "The same at 71×71 pixels, but its first convolution moves by two pixels as at 158×158.",
        "alexnet-28" => "Ours: the same shape of network, smaller, for the four factors of digits.",
        "alexnet-compact-71" => "Ours: alexnet-71-s2 at a quarter of its widths, for two CPU cores.",
        _ => "No preset.",
    }
}
