//! The named networks of SPEC §4: generators for 28×28 digits and for faces of 71×71 and 158×158 pixels, our operator
//! family and our compact networks among them, and the classifiers of the same images.
//!
//! A generator is its factors, its widths and its upsampling layers. The research's have a width for every factor of
//! their set and draw one size; ours take any factors and any size of at least 10 pixels.

use crate::alexnet::{AlexNetConfig, Head, Stem};
use crate::classifier::ClassifierConfig;
use crate::concatenating::{Branch, ConcatenatingConfig, FeatureMap, FillingRules};
use crate::generator::GeneratorConfig;
use crate::judge::JudgeConfig;
use crate::layers::Upsampling;
use crate::operator::{OperatorConfig, Role, RoleOf};
use crate::portrait::{Part, PartOf, PortraitConfig};
use crate::spatial::Bank;
use crate::{Activation, Error, Result};

/// Every name that [`generator`] knows.
pub const GENERATORS: [&str; 19] = [
    "digits-v1",
    "digits-v2",
    "digits-v2-mask",
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
    "compact",
    "operator-emotion",
    "operator-transform",
    "operator-emotion-transform",
    "portrait",
];

/// Every name that [`classifier`] knows.
pub const CLASSIFIERS: [&str; 6] =
    ["alexnet-multitask", "alexnet-multitask-relu", "alexnet-71", "alexnet-71-s2", "alexnet-28", "alexnet-compact-71"];

/// The judge's network, under the name by which an experiment's file asks for it.
pub const JUDGE: &str = "judge";

/// The research's shape of classifier at widths for two CPU cores, for any factors and any size:
/// [`compact_classifier`].
pub const COMPACT_CLASSIFIER: &str = "alexnet-compact";

const DIGIT_FACTORS: [(&str, usize); 4] = [("digit", 10), ("style", 10), ("colour", 3), ("transform", 6)];
/// Factors and levels of `kdef-3emo` (SPEC §3.2).
const KDEF_FACTORS: [(&str, usize); 4] = [("person", 70), ("emotion", 3), ("session", 2), ("transform", 6)];
/// The same of the set `mmi`.
const MMI_FACTORS: [(&str, usize); 3] = [("person", 7), ("emotion", 7), ("transform", 6)];
/// Width of both layers of a factor's branch in the generators for faces; a set of one session has no such branch.
const FACE_WIDTHS: [(&str, usize); 4] = [("person", 512), ("emotion", 512), ("session", 128), ("transform", 256)];

/// A factor's name with its number of levels.
pub type Levels = (String, usize);

fn up(channels: usize, kernel: usize, stride: usize, padding: usize) -> Upsampling {
    Upsampling { channels, kernel, stride, padding, conv3: false }
}

fn up_and_conv3(channels: usize, kernel: usize, stride: usize, padding: usize) -> Upsampling {
    Upsampling { conv3: true, ..up(channels, kernel, stride, padding) }
}

const DIGITS_MAP: FeatureMap = FeatureMap { channels: 256, size: 7 };

/// The description of a named generator for the factors and the size of images that it was made for.
///
/// # Errors
/// When no preset carries that name.
pub fn generator(name: &str) -> Result<GeneratorConfig> {
    let levels = |factors: &[(&str, usize)]| factors.iter().map(|&(name, n)| (name.to_owned(), n)).collect();
    let (factors, size): (Vec<Levels>, usize) = match name {
        "kdef-small"
        | "compact"
        | "operator-emotion"
        | "operator-transform"
        | "operator-emotion-transform"
        | "portrait" => (levels(&KDEF_FACTORS), 71),
        "kdef-large" => (levels(&KDEF_FACTORS), 158),
        "mmi-small" => (levels(&MMI_FACTORS), 71),
        "mmi-large" | "mmi-figure" => (levels(&MMI_FACTORS), 158),
        _ => (levels(&DIGIT_FACTORS), 28),
    };
    generator_for(name, &factors, size)
}

/// The description of a named generator for these factors, in the order in which it takes their levels, and images of
/// `size`×`size` pixels.
///
/// # Errors
/// When no preset carries that name, it has no width for one of the factors, or it draws another size.
pub fn generator_for(name: &str, factors: &[Levels], size: usize) -> Result<GeneratorConfig> {
    let branches = |widths: &[(&str, usize)]| branches(name, factors, widths);
    let digits = |[digit, style, colour, transform]: [usize; 4]| {
        branches(&[("digit", digit), ("style", style), ("colour", colour), ("transform", transform)])
    };
    let v2_upsampling = vec![up(256, 4, 2, 1), up(3, 2, 2, 0)];
    let rectified = Activation::Relu;
    let config = match name {
        "digits-v1" => GeneratorConfig::Concatenating(ConcatenatingConfig {
            branches: digits([256, 512, 256, 512])?,
            hidden: vec![1024, 1024],
            map: DIGITS_MAP,
            upsampling: vec![up(256, 4, 2, 1), up(92, 4, 2, 1), up(92, 5, 1, 2), up(3, 5, 1, 2)],
            activation: Activation::Relu,
            last: Activation::Linear,
            mask_head: false,
            filling: FillingRules::DigitsV1,
        }),
        "digits-v2" | "digits-v2-mask" => GeneratorConfig::Concatenating(ConcatenatingConfig {
            branches: digits([512, 512, 128, 256])?,
            hidden: vec![2048, 2048],
            map: DIGITS_MAP,
            upsampling: v2_upsampling,
            activation: Activation::Prelu,
            last: rectified,
            mask_head: name == "digits-v2-mask",
            filling: FillingRules::Plain,
        }),
        // "512/512 512/512 64/64, transform alike": the transform's branch is as the colour's before it.
        "digits-wide" => GeneratorConfig::Concatenating(ConcatenatingConfig {
            branches: digits([512, 512, 64, 64])?,
            hidden: vec![4096, 4096],
            map: DIGITS_MAP,
            upsampling: v2_upsampling,
            activation: Activation::Relu,
            last: rectified,
            mask_head: false,
            filling: FillingRules::Plain,
        }),
        "digits-figure" => GeneratorConfig::Concatenating(ConcatenatingConfig {
            branches: digits([256, 256, 32, 128])?,
            hidden: vec![1024],
            map: DIGITS_MAP,
            upsampling: v2_upsampling,
            activation: Activation::Relu,
            last: rectified,
            mask_head: true,
            filling: FillingRules::Plain,
        }),
        "kdef-small" => GeneratorConfig::Concatenating(small_faces(branches(&FACE_WIDTHS)?, Activation::Linear)),
        "kdef-large" => GeneratorConfig::Concatenating(large_faces(branches(&FACE_WIDTHS)?, Activation::Linear)),
        "mmi-small" => GeneratorConfig::Concatenating(small_faces(branches(&FACE_WIDTHS)?, rectified)),
        // A smaller map, and a convolution after every transposed one but the last.
        "mmi-large" => GeneratorConfig::Concatenating(ConcatenatingConfig {
            hidden: vec![1024, 1024],
            map: FeatureMap { channels: 256, size: 8 },
            upsampling: vec![
                up_and_conv3(256, 5, 2, 0), // 19×19
                up_and_conv3(92, 5, 2, 1),  // 39×39
                up_and_conv3(92, 5, 2, 1),  // 79×79
                up(3, 4, 2, 1),             // 158×158
            ],
            ..large_faces(branches(&FACE_WIDTHS)?, rectified)
        }),
        // The research's description leaves open whether its images are rectified.
        "mmi-figure" => GeneratorConfig::Concatenating(large_faces(branches(&FACE_WIDTHS)?, Activation::Linear)),
        "compact" => GeneratorConfig::Concatenating(compact(factors, size)),
        "operator-affine" => digits_operator(factors, Role::Affine { bank: Bank::Turns }),
        "operator-affine-random" => digits_operator(factors, Role::Affine { bank: Bank::Random { maps: 16 } }),
        "operator-attention" => digits_operator(factors, Role::Attention),
        "operator-latent" => digits_operator(factors, Role::Latent { k: 128 }),
        "operator-emotion" => operator(factors, size, &["emotion"]),
        "operator-transform" => operator(factors, size, &["transform"]),
        "operator-emotion-transform" => operator(factors, size, &["emotion", "transform"]),
        "portrait" => portrait(factors, size),
        _ => return Err(Error::UnknownNetwork { name: name.to_owned(), known: GENERATORS.join(", ") }),
    };
    let drawn = config.image_size(name)?;
    if drawn != size {
        let problem = format!("draws {drawn}×{drawn} images, the data has {size}×{size}; choose another model or size");
        return Err(Error::Description { network: name.to_owned(), problem });
    }
    Ok(config)
}

/// A branch of two equally wide layers per factor.
fn branches(network: &str, factors: &[Levels], widths: &[(&str, usize)]) -> Result<Vec<Branch>> {
    let branch = |(factor, levels): &Levels| match widths.iter().find(|(name, _)| name == factor) {
        Some(&(_, width)) => Ok(Branch { factor: factor.clone(), levels: *levels, fc1: width, fc2: width }),
        None => {
            let known: Vec<&str> = widths.iter().map(|(name, _)| *name).collect();
            let problem =
                format!("has no branch for the factor {factor}, only for {}; choose another model", known.join(", "));
            Err(Error::Description { network: network.to_owned(), problem })
        }
    };
    factors.iter().map(branch).collect()
}

/// 71×71 pixels.
fn small_faces(branches: Vec<Branch>, last: Activation) -> ConcatenatingConfig {
    ConcatenatingConfig {
        branches,
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
fn large_faces(branches: Vec<Branch>, last: Activation) -> ConcatenatingConfig {
    ConcatenatingConfig {
        // 19×19, 39×39, 79×79, 158×158
        upsampling: vec![up(512, 5, 2, 0), up(184, 5, 2, 1), up(184, 5, 2, 1), up(3, 4, 2, 1)],
        filling: FillingRules::LastWithoutDecay,
        ..small_faces(branches, last)
    }
}

/// The research's shape of network at widths for two CPU cores, for any factors and any size.
fn compact(factors: &[Levels], size: usize) -> ConcatenatingConfig {
    let branch = |(factor, levels): &Levels| Branch { factor: factor.clone(), levels: *levels, fc1: 128, fc2: 128 };
    let (map, upsampling) = doublings(size, 3);
    ConcatenatingConfig {
        branches: factors.iter().map(branch).collect(),
        hidden: vec![512, 512],
        map,
        upsampling,
        activation: Activation::LeakyRelu { slope: 0.1 },
        last: Activation::Linear,
        mask_head: false,
        filling: FillingRules::Plain,
    }
}

/// A feature map of 5 to 9 pixels a side and the layers that double it to an image of `size`×`size`, the narrower the
/// larger: an even size by a kernel of 4, an odd one by a kernel of 5, of which one pixel more comes out.
fn doublings(size: usize, n_channels: usize) -> (FeatureMap, Vec<Upsampling>) {
    let mut sizes = vec![size];
    while let Some(&last) = sizes.last().filter(|&&last| last > 9) {
        sizes.push(last / 2);
    }
    sizes.reverse();
    let n_layers = sizes.len() - 1;
    let map = FeatureMap { channels: 128, size: sizes[0] };
    let layers = sizes.iter().skip(1).enumerate().map(|(i, to)| {
        let channels = if i + 1 == n_layers { n_channels } else { (96 >> i).max(24) };
        up(channels, 4 + to % 2, 2, 1)
    });
    (map, layers.collect())
}

fn content((factor, levels): &Levels, width: usize) -> RoleOf {
    RoleOf { factor: factor.clone(), levels: *levels, role: Role::Content { fc1: width, fc2: width } }
}

fn digits_operator(factors: &[Levels], transform: Role) -> GeneratorConfig {
    let role = |levels: &Levels| match levels.0.as_str() {
        "colour" => RoleOf { role: Role::Colour, ..content(levels, 0) },
        "transform" => RoleOf { role: transform, ..content(levels, 0) },
        _ => content(levels, 256),
    };
    // A canonical image that is turned must be read between its pixels; twice as many of them leave nothing to blur.
    let canonical = match transform {
        Role::Affine { .. } => up(1, 4, 4, 0), // 56×56
        _ => up(1, 2, 2, 0),                   // 28×28
    };
    GeneratorConfig::Operator(OperatorConfig {
        factors: factors.iter().map(role).collect(),
        hidden: vec![512],
        map: FeatureMap { channels: 32, size: 7 },
        upsampling: vec![up(32, 4, 2, 1), canonical],
        size: 28,
    })
}

/// Our generators for faces: a transform moves the pixels of an upright canonical image, an emotion acts on the code of
/// what is left; who does not act is content.
fn operator(factors: &[Levels], size: usize, acting: &[&str]) -> GeneratorConfig {
    let role = |levels: &Levels| match levels.0.as_str() {
        name if !acting.contains(&name) => content(levels, 128),
        "transform" => RoleOf { role: Role::Affine { bank: Bank::TurnsFromFirst }, ..content(levels, 0) },
        _ => RoleOf { role: Role::Latent { k: 128 }, ..content(levels, 0) },
    };
    let (map, upsampling) = doublings(size, 3);
    GeneratorConfig::Operator(OperatorConfig {
        factors: factors.iter().map(role).collect(),
        hidden: vec![512],
        map,
        upsampling,
        size,
    })
}

/// Emotions redraw, transforms move, everything else sits.
fn portrait(factors: &[Levels], size: usize) -> GeneratorConfig {
    let part = |(factor, levels): &Levels| {
        let part = match factor.as_str() {
            "emotion" => Part::Redraws,
            "transform" => Part::Moves { bank: Bank::TurnsFromFirst },
            _ => Part::Sits,
        };
        PartOf { factor: factor.clone(), levels: *levels, part }
    };
    GeneratorConfig::Portrait(PortraitConfig {
        factors: factors.iter().map(part).collect(),
        widths: [32, 64, 96],
        size,
        remembering: 0.4,
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
        // Of 5 and 7 emotions: rectified, and equally wide for all factors.
        "alexnet-multitask-relu" => AlexNetConfig {
            activation: Activation::Relu,
            heads: vec![head("person", 65, 4096), head("emotion", 5, 4096)],
            ..multitask
        },
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

/// A classifier of these factors for square images of `size` pixels: [`COMPACT_CLASSIFIER`], [`JUDGE`]'s
/// network, or a preset of [`CLASSIFIERS`] with other heads and another size. A head is as wide as the preset's own for that
/// factor, and for a factor that the preset does not read as the narrowest of its heads.
///
/// # Errors
/// When no classifier carries that name, or its layers do not fit images of that size.
pub fn classifier_for(name: &str, factors: &[Levels], size: usize) -> Result<ClassifierConfig> {
    check_classifier(name)?;
    let config = match name {
        JUDGE => return Ok(ClassifierConfig::Judge(JudgeConfig { image_size: size, heads: factors.to_vec() })),
        COMPACT_CLASSIFIER => compact_classifier(factors, size),
        preset => {
            let preset = classifier(preset)?;
            let narrowest = preset.heads.iter().map(|head| head.fc6).min().unwrap_or(preset.fc7);
            let width = |factor: &str| preset.heads.iter().find(|own| own.factor == factor).map(|own| own.fc6);
            let heads = factors
                .iter()
                .map(|(factor, levels)| head(factor, *levels, width(factor).unwrap_or(narrowest)))
                .collect();
            AlexNetConfig { image_size: size, heads, ..preset }
        }
    };
    config.validate(name)?;
    Ok(ClassifierConfig::AlexNet(config))
}

/// Refuses a name that no classifier of [`classifier_for`] carries.
///
/// # Errors
/// With the names that there are.
pub fn check_classifier(name: &str) -> Result<()> {
    let known = [&[COMPACT_CLASSIFIER, JUDGE], &CLASSIFIERS[..]].concat();
    if known.contains(&name) {
        return Ok(());
    }
    Err(Error::UnknownNetwork { name: name.to_owned(), known: known.join(", ") })
}

/// The research's shape of classifier at a quarter of its widths: a head per factor, for square images of `size` pixels.
/// The first convolution is as in the research from 64 pixels on; below, a window of 5 that moves by one.
pub fn compact_classifier(factors: &[Levels], size: usize) -> AlexNetConfig {
    let (conv1, fc7) = match size {
        64.. => (Stem { kernel: 11, stride: 2 }, 512),
        _ => (Stem { kernel: 5, stride: 1 }, 256),
    };
    let heads =
        factors.iter().map(|(factor, levels)| head(factor, *levels, if factor == "person" { 512 } else { 256 }));
    AlexNetConfig {
        image_size: size,
        conv1,
        widths: [24, 64, 96, 96, 64],
        activation: Activation::LeakyRelu { slope: 0.2 },
        heads: heads.collect(),
        fc7,
        dropout: 0.5,
    }
}

fn head(factor: &str, levels: usize, fc6: usize) -> Head {
    Head { factor: factor.to_owned(), levels, fc6 }
}

/// One sentence on what a named network is.
pub fn describe(name: &str) -> &'static str {
    match name {
        "digits-v1" => "The research's first generator for digits: four transposed convolutions, ReLU.",
        "digits-v2" => "The research's default generator for digits: two transposed convolutions, PReLU.",
        "digits-v2-mask" => "The research's default generator for digits, with the mask head of its paper's figure.",
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
        "compact" => "Ours: the research's shape of network at widths for two CPU cores, for any factors and any size.",
        "operator-emotion" => "Ours: person, session and transform make a code, each emotion is a matrix on it.",
        "operator-transform" => {
            "Ours: person, emotion and session are drawn upright, transforms act as a gated bank of affine maps."
        }
        "operator-emotion-transform" => {
            "Ours: person and session make a code, each emotion is a matrix on it, transforms act as a gated bank of affine maps."
        }
        "portrait" => {
            "Ours: portraits are remembered; each emotion is drawn from those of the other emotions, and a bank of affine maps moves it."
        }
        "operator-affine" => {
            "Ours: content drawn once, transforms act as a gated bank of affine maps, colours as vectors."
        }
        "operator-affine-random" => "Ours: as operator-affine, but the bank starts from random maps.",
        "operator-attention" => "Ours: content drawn once, each transform mixes pixels by its own softmax matrix.",
        "operator-latent" => "Ours: each transform is a matrix on the content's code, colours are vectors.",
        "alexnet-multitask" => {
            "The research's classifier of persons and 4 emotions at 158×158 pixels: AlexNet with a head per factor."
        }
        "alexnet-multitask-relu" => {
            "The research's classifier of persons and 5 or 7 emotions at 158×158 pixels: rectified, 4,096 units in both layers of every head."
        }
        "alexnet-71" => "The research's classifier at 71×71 pixels: its first convolution moves by one pixel.",
        "alexnet-71-s2" => "The same at 71×71 pixels, but its first convolution moves by two pixels as at 158×158.",
        "alexnet-28" => "Ours: the same shape of network, smaller, for the four factors of digits.",
        "alexnet-compact-71" => "Ours: alexnet-71-s2 at a quarter of its widths, for two CPU cores.",
        COMPACT_CLASSIFIER => {
            "Ours: the research's shape of classifier at a quarter of its widths, for any factors and any size."
        }
        JUDGE => "Ours: the judge's small convolutional network.",
        _ => "No preset.",
    }
}
