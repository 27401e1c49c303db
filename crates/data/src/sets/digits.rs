//! The set `digits`: ten digits × ten styles × three colours × six transforms = 1,800 coloured images.
//!
//! Style `k` of digit `d` is the `k`-th image of `d` in MNIST's original training order; styles are therefore not
//! consistent across digits. The grey image lies in the channel of its colour, the other channels are 0. The mask is 1
//! where any channel is above 0. Images lie in the order of their combinations: digit, style, colour, transform, the
//! last running fastest. Source: SPEC §3.1.

use crate::held_out::{HeldOut, Rule};
use crate::sets::mnist::{LabelledImages, N_DIGITS, SIZE};
use crate::{Combination, Error, Factor, Factors, ImageSet, Result, transforms};

/// Colours, each naming the channel that the grey image goes to.
pub const COLOURS: [&str; 3] = ["red", "green", "blue"];

/// Styles per digit.
pub const N_STYLES: usize = 10;

/// What can be chosen about the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigitsConfig {
    /// How many transforms: 4, 6 (the usual ones) or 8 (all symmetries of the square).
    pub transforms: usize,
}

impl Default for DigitsConfig {
    fn default() -> Self {
        Self { transforms: 6 }
    }
}

/// Builds the set from MNIST's training images.
///
/// # Shapes
/// images (100 · 3 · transforms) × 3 × 28 × 28 in \[0, 1\], masks (100 · 3 · transforms) × 28 × 28.
///
/// # Errors
/// The number of transforms is not 4, 6 or 8, or there are fewer than ten images of a digit.
pub fn build(train: &LabelledImages, config: DigitsConfig) -> Result<ImageSet> {
    let factors = factors(config)?;
    let permutations: Vec<Vec<usize>> =
        transforms::levels(config.transforms)?.iter().map(|transform| transform.permutation(SIZE)).collect();
    let sources = train.first_of_each_digit(N_STYLES)?;
    let n_images = factors.n_combinations();
    let n_pixels = SIZE * SIZE;
    let mut images = vec![0.0; n_images * COLOURS.len() * n_pixels];
    let mut masks = Vec::with_capacity(n_images * n_pixels);
    let combinations: Vec<Combination> = factors.combinations().collect();
    for (image, combination) in images.chunks_exact_mut(COLOURS.len() * n_pixels).zip(&combinations) {
        let &[digit, style, colour, transform] = combination.0.as_slice() else {
            continue;
        };
        let source = sources[digit * N_STYLES + style];
        let grey = train
            .image(source)
            .ok_or_else(|| Error::Combination(format!("there is no image {source}; load the training images again")))?;
        let permutation = &permutations[transform];
        paint(grey, permutation, colour, image);
        masks.extend(permutation.iter().map(|&from| u8::from(grey[from] > 0)));
    }
    Ok(ImageSet {
        factors,
        channels: COLOURS.len(),
        height: SIZE,
        width: SIZE,
        images,
        masks: Some(masks),
        combinations,
    })
}

/// The factors of the set: digit, style, colour, transform.
///
/// # Errors
/// The number of transforms is not 4, 6 or 8.
pub fn factors(config: DigitsConfig) -> Result<Factors> {
    Factors::new(vec![
        Factor::numbered("digit", N_DIGITS),
        Factor::numbered("style", N_STYLES),
        Factor::new("colour", COLOURS),
        transforms::factor(config.transforms)?,
    ])
}

/// Draws a grey image, its pixels permuted, into one channel of a black colour image. Also serves whoever paints other
/// images of MNIST in the manner of this set.
///
/// # Shapes
/// `grey` H·W, `permutation` H·W, `image` C × H·W; `out[colour][i] = grey[permutation[i]] / 255`.
pub fn paint(grey: &[u8], permutation: &[usize], colour: usize, image: &mut [f32]) {
    for (channel_idx, channel) in image.chunks_exact_mut(permutation.len().max(1)).enumerate() {
        if channel_idx == colour {
            for (pixel, &from) in channel.iter_mut().zip(permutation) {
                *pixel = f32::from(grey[from]) / 255.0;
            }
        } else {
            channel.fill(0.0);
        }
    }
}

/// What the research holds out: for Result 2 one image (digit 2, style 4, red, rotated by 90°), for Result 3 three
/// (digit 7, style 9, upside down, in every colour).
#[must_use]
pub fn held_out() -> Vec<HeldOut> {
    let rule = |name: &str, levels: &[(&str, &str)]| HeldOut {
        name: name.to_owned(),
        rule: Rule::Where(levels.iter().map(|&(factor, level)| (factor.to_owned(), level.into())).collect()),
    };
    vec![
        rule("result-2", &[("digit", "2"), ("style", "4"), ("colour", "red"), ("transform", "rotate-90")]),
        rule("result-3", &[("digit", "7"), ("style", "9"), ("transform", "mirror-x")]),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{MnistSource, Part, Split};

    fn train() -> LabelledImages {
        let datasets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
        MnistSource::Embedded { datasets }.load(Part::Train).unwrap()
    }

    #[test]
    fn one_image_by_hand() {
        // Two pixels by two: 0 51 / 102 255, turned by 90° counter-clockwise: 51 255 / 0 102, drawn in green.
        let mut image = [9.0; 12];
        paint(&[0, 51, 102, 255], &transforms::SIX[1].permutation(2), 1, &mut image);
        assert_eq!(image, [0.0, 0.0, 0.0, 0.0, 0.2, 1.0, 0.0, 0.4, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn every_image_is_its_combination() {
        let train = train();
        let set = build(&train, DigitsConfig::default()).unwrap();
        set.validate().unwrap();
        assert_eq!(set.len(), 1_800);
        assert_eq!((set.channels, set.height, set.width), (3, 28, 28));
        let sources = train.first_of_each_digit(10).unwrap();
        for index in 0..set.len() {
            let combination = &set.combinations[index];
            assert_eq!(set.factors.index(combination).unwrap(), index);
            let &[digit, style, colour, transform] = combination.0.as_slice() else { unreachable!() };
            let source = sources[digit * 10 + style];
            assert_eq!(usize::from(train.labels[source]), digit);
            let grey = train.image(source).unwrap();
            let (image, mask) = (set.image(index).unwrap(), set.mask(index).unwrap());
            for row in 0..28 {
                for column in 0..28 {
                    // The definitions of SPEC §2, written out again: turning an image counter-clockwise puts at the
                    // top row what was the last column.
                    let from = match transform {
                        0 => grey[row * 28 + column],
                        1 => grey[column * 28 + (27 - row)],
                        2 => grey[(27 - row) * 28 + (27 - column)],
                        3 => grey[(27 - column) * 28 + row],
                        4 => grey[(27 - row) * 28 + column],
                        _ => grey[row * 28 + (27 - column)],
                    };
                    let place = row * 28 + column;
                    for channel in 0..3 {
                        let expected = if channel == colour { f32::from(from) / 255.0 } else { 0.0 };
                        assert_eq!(image[channel * 784 + place], expected);
                    }
                    assert_eq!(mask[place], u8::from(from > 0));
                }
            }
        }
        assert_eq!(set.label(1_799).unwrap(), "digit=9 style=9 colour=blue transform=mirror-y");
    }

    #[test]
    fn eight_transforms_make_more_images() {
        let set = build(&train(), DigitsConfig { transforms: 8 }).unwrap();
        assert_eq!(set.len(), 2_400);
        assert_eq!(set.label(6).unwrap(), "digit=0 style=0 colour=red transform=mirror-x");
        assert!(build(&train(), DigitsConfig { transforms: 7 }).is_err());
    }

    #[test]
    fn the_research_holds_out_one_and_three() {
        for transforms in [6, 8] {
            let factors = factors(DigitsConfig { transforms }).unwrap();
            let combinations: Vec<Combination> = factors.combinations().collect();
            let split = Split::new(&factors, &combinations, &held_out()).unwrap();
            assert_eq!(split.train.len(), combinations.len() - 4);
            let labels = |name: &str| -> Vec<String> {
                split.indices(name).unwrap().iter().map(|&index| factors.label(&combinations[index])).collect()
            };
            assert_eq!(labels("result-2"), ["digit=2 style=4 colour=red transform=rotate-90"]);
            assert_eq!(
                labels("result-3"),
                [
                    "digit=7 style=9 colour=red transform=mirror-x",
                    "digit=7 style=9 colour=green transform=mirror-x",
                    "digit=7 style=9 colour=blue transform=mirror-x",
                ]
            );
        }
    }
}
