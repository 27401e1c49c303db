//! The named generators of SPEC §4 for 28×28 digits, and our operator family.

use crate::concatenating::{Branch, ConcatenatingConfig, FeatureMap, FillingRules};
use crate::generator::GeneratorConfig;
use crate::layers::Upsampling;
use crate::operator::{ActingFactor, ActionKind, Bank, OperatorConfig};
use crate::{Activation, Error, Result};

/// Every name that [`generator`] knows.
pub const GENERATORS: [&str; 8] = [
    "digits-v1",
    "digits-v2",
    "digits-wide",
    "digits-figure",
    "operator-affine",
    "operator-affine-random",
    "operator-attention",
    "operator-latent",
];

const DIGIT_FACTORS: [(&str, usize); 4] = [("digit", 10), ("style", 10), ("colour", 3), ("transform", 6)];

fn branches(widths: [(usize, usize); 4]) -> Vec<Branch> {
    DIGIT_FACTORS
        .iter()
        .zip(widths)
        .map(|((factor, levels), (fc1, fc2))| Branch { factor: (*factor).to_owned(), levels: *levels, fc1, fc2 })
        .collect()
}

fn up(channels: usize, kernel: usize, stride: usize, padding: usize) -> Upsampling {
    Upsampling { channels, kernel, stride, padding }
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
        "operator-affine" => return Ok(operator(ActionKind::Affine { bank: Bank::Turns })),
        "operator-affine-random" => return Ok(operator(ActionKind::Affine { bank: Bank::Random { maps: 16 } })),
        "operator-attention" => return Ok(operator(ActionKind::Attention)),
        "operator-latent" => return Ok(operator(ActionKind::Latent { k: 128 })),
        _ => return Err(Error::UnknownNetwork { name: name.to_owned(), known: GENERATORS.join(", ") }),
    };
    Ok(GeneratorConfig::Concatenating(concatenating))
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

/// One sentence on what a named generator is.
pub fn describe(name: &str) -> &'static str {
    match name {
        "digits-v1" => "The research's first generator for digits: four transposed convolutions, ReLU.",
        "digits-v2" => "The research's default generator for digits: two transposed convolutions, PReLU.",
        "digits-wide" => "The research's generator for digits with wider fully connected layers.",
        "digits-figure" => "The research's generator of its paper's figure, with a segmentation mask as second output.",
        "operator-affine" => {
            "Ours: content drawn once, transforms act as a gated bank of affine maps, colours as vectors."
        }
        "operator-affine-random" => "Ours: as operator-affine, but the bank starts from random maps.",
        "operator-attention" => "Ours: content drawn once, each transform mixes pixels by its own softmax matrix.",
        "operator-latent" => "Ours: each transform is a matrix on the content's code, colours are vectors.",
        _ => "No preset.",
    }
}
