//! The set `digits-styled`: as `digits`, but a style is *consistent*. Style `k` is one distortion of slant, thickness and
//! aspect, the same for every digit, applied to one handwritten image per digit.
//!
//! The image of a digit is that one of its first ten in MNIST's training order which is nearest to the other nine: the
//! smallest sum of squared differences, the earlier one where two are alike. The styles:
//!
//! | style | slant | thickness | aspect |
//! |---|---|---|---|
//! | 0 | upright | normal | as written |
//! | 1 | right | normal | as written |
//! | 2 | left | normal | as written |
//! | 3 | upright | thick | as written |
//! | 4 | upright | thin | as written |
//! | 5 | upright | normal | narrow |
//! | 6 | upright | normal | flat |
//! | 7 | left | thick | flat |
//! | 8 | right | thin | narrow |
//! | 9 | right | thick | narrow |
//!
//! Right and left: by 3/8 pixel a row, about the middle of the image. Thick: strokes grow by 3/4 pixel on each side; thin:
//! they shrink by 3/8. Narrow: the width times 3/4; flat: the height times 3/4. Every level occurs in two styles or more, so
//! that style 9, which Result 3 holds out for the 7 upside down, is made of nothing that other styles do not show.
//!
//! All of it is arithmetic on integers, so that every machine makes the same bytes. An image is first drawn eight times as
//! large (bilinear); there strokes grow or shrink (the largest, or smallest, value within a disc); then every pixel of the
//! result is the mean over 8 × 8 points, each taken from where slant and aspect put it. Source: SPEC §3.1.

use crate::sets::digits::{self, DigitsConfig, N_STYLES};
use crate::sets::mnist::{LabelledImages, N_DIGITS, SIZE};
use crate::{Error, ImageSet, Result};

/// Pixels of the enlarged image per pixel, and points per pixel of the result, along each side.
const FINE: usize = 8;
/// Side of the enlarged image.
const FINE_SIZE: usize = SIZE * FINE;

/// One distortion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Style {
    /// Eighths of a pixel to the right for every row upwards.
    slant: i64,
    /// Eighths of a pixel by which strokes grow on each side; below 0 they shrink.
    growth: i64,
    /// Eighths of the width.
    width: i64,
    /// Eighths of the height.
    height: i64,
}

const PLAIN: Style = Style { slant: 0, growth: 0, width: 8, height: 8 };
const RIGHT: i64 = 3;
const LEFT: i64 = -3;
const THICK: i64 = 6;
const THIN: i64 = -3;
const REDUCED: i64 = 6;

const STYLES: [Style; N_STYLES] = [
    PLAIN,
    Style { slant: RIGHT, ..PLAIN },
    Style { slant: LEFT, ..PLAIN },
    Style { growth: THICK, ..PLAIN },
    Style { growth: THIN, ..PLAIN },
    Style { width: REDUCED, ..PLAIN },
    Style { height: REDUCED, ..PLAIN },
    Style { slant: LEFT, growth: THICK, height: REDUCED, ..PLAIN },
    Style { slant: RIGHT, growth: THIN, width: REDUCED, ..PLAIN },
    Style { slant: RIGHT, growth: THICK, width: REDUCED, ..PLAIN },
];

/// Builds the set from MNIST's training images.
///
/// # Shapes
/// As [`digits::build`].
///
/// # Errors
/// As [`digits::build`].
pub fn build(train: &LabelledImages, config: DigitsConfig) -> Result<ImageSet> {
    digits::build(&handwriting(train)?, config)
}

/// The hundred grey images of the set: image `digit · 10 + style`, labelled with its digit.
fn handwriting(train: &LabelledImages) -> Result<LabelledImages> {
    let sources = train.first_of_each_digit(N_STYLES)?;
    let mut styled = LabelledImages { pixels: Vec::new(), labels: Vec::new() };
    for (digit, candidates) in (0..N_DIGITS as u8).zip(sources.chunks_exact(N_STYLES)) {
        let candidates: Vec<&[u8]> = candidates.iter().filter_map(|&source| train.image(source)).collect();
        let image = most_typical(&candidates).ok_or_else(|| {
            Error::Combination(format!("there is no image of the digit {digit}; load the training images again"))
        })?;
        for style in STYLES {
            styled.pixels.extend(distorted(image, style));
            styled.labels.push(digit);
        }
    }
    Ok(styled)
}

/// The image with the smallest sum of squared differences to all others; the first of equal ones.
fn most_typical<'a>(images: &[&'a [u8]]) -> Option<&'a [u8]> {
    let distance =
        |a: &[u8], b: &[u8]| -> u64 { a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum() };
    images.iter().copied().min_by_key(|image| images.iter().map(|other| distance(image, other)).sum::<u64>())
}

/// A grey image of 28 × 28 pixels in a style.
fn distorted(grey: &[u8], style: Style) -> Vec<u8> {
    let mut fine = enlarged(grey);
    if style.growth != 0 {
        fine = grown(&fine, style.growth);
    }
    let side = FINE_SIZE as i64;
    // Twice the distance from the middle in enlarged pixels, so that the middle between two pixels is an integer too.
    let from_middle = |place: i64| 2 * place + 1 - side;
    let mut result = Vec::with_capacity(SIZE * SIZE);
    for row in 0..SIZE {
        for column in 0..SIZE {
            let mut sum = 0_u32;
            for point in 0..FINE * FINE {
                let y = from_middle((row * FINE + point / FINE) as i64);
                let x = from_middle((column * FINE + point % FINE) as i64);
                // Upwards is −y: what the slant moved to the right by −y · slant / 8 is looked for that much to the left.
                let source_x = (8 * x + style.slant * y).div_euclid(style.width);
                let source_y = (8 * y).div_euclid(style.height);
                let [source_x, source_y] = [source_x, source_y].map(|distance| (distance + side).div_euclid(2));
                if (0..side).contains(&source_x) && (0..side).contains(&source_y) {
                    sum += u32::from(fine[(source_y * side + source_x) as usize]);
                }
            }
            let n_points = (FINE * FINE) as u32;
            result.push(((sum + n_points / 2) / n_points) as u8);
        }
    }
    result
}

/// The image eight times as large, by bilinear interpolation; outside it is black.
fn enlarged(grey: &[u8]) -> Vec<u8> {
    // In sixteenths of a pixel: the middle of enlarged pixel i lies at i / 8 + 1/16 − 1/2 pixels from that of pixel 0.
    let unit = 2 * FINE as i64;
    let size = SIZE as i64;
    let pixel = |row: i64, column: i64| match (0..size).contains(&row) && (0..size).contains(&column) {
        true => i64::from(grey[(row * size + column) as usize]),
        false => 0,
    };
    let place = |fine: usize| {
        let sixteenths = 2 * fine as i64 + 1 - FINE as i64;
        (sixteenths.div_euclid(unit), sixteenths.rem_euclid(unit))
    };
    let mut fine = Vec::with_capacity(FINE_SIZE * FINE_SIZE);
    for y in 0..FINE_SIZE {
        let (row, down) = place(y);
        for x in 0..FINE_SIZE {
            let (column, right) = place(x);
            let above = (unit - right) * pixel(row, column) + right * pixel(row, column + 1);
            let below = (unit - right) * pixel(row + 1, column) + right * pixel(row + 1, column + 1);
            let sum = (unit - down) * above + down * below;
            fine.push(((sum + unit * unit / 2) / (unit * unit)) as u8);
        }
    }
    fine
}

/// Strokes that grow by this many enlarged pixels on each side, or shrink where it is below 0: the largest, or smallest,
/// value within a disc.
fn grown(fine: &[u8], growth: i64) -> Vec<u8> {
    let (radius, side) = (growth.abs(), FINE_SIZE as i64);
    let disc: Vec<(i64, i64)> = (-radius..=radius)
        .flat_map(|dy| (-radius..=radius).map(move |dx| (dy, dx)))
        .filter(|(dy, dx)| dy * dy + dx * dx <= radius * radius)
        .collect();
    let mut result = Vec::with_capacity(fine.len());
    for y in 0..side {
        for x in 0..side {
            let within = disc.iter().map(|&(dy, dx)| {
                let (y, x) = (y + dy, x + dx);
                let inside = (0..side).contains(&y) && (0..side).contains(&x);
                if inside { fine[(y * side + x) as usize] } else { 0 }
            });
            let value = if growth > 0 { within.max() } else { within.min() };
            result.push(value.unwrap_or(0));
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::{MnistSource, Part};

    /// An upright bar: rows 4 to 23, columns 12 to 15.
    fn bar() -> Vec<u8> {
        let inside = |row: usize, column: usize| (4..24).contains(&row) && (12..16).contains(&column);
        (0..SIZE * SIZE).map(|i| if inside(i / SIZE, i % SIZE) { 255 } else { 0 }).collect()
    }

    fn ink(image: &[u8]) -> u32 {
        image.iter().map(|&pixel| u32::from(pixel)).sum()
    }

    /// The mean column of a row's ink.
    fn middle(image: &[u8], row: usize) -> f64 {
        let row = &image[row * SIZE..(row + 1) * SIZE];
        row.iter().zip(0..).map(|(&pixel, column)| f64::from(pixel) * f64::from(column)).sum::<f64>()
            / f64::from(ink(row))
    }

    #[test]
    fn a_slant_moves_the_bar_by_three_eighths_of_a_pixel_a_row() {
        let [upright, right, left] = [0, RIGHT, LEFT].map(|slant| distorted(&bar(), Style { slant, ..PLAIN }));
        for row in [6, 13, 14, 21] {
            // The bar's middle is column 13.5; a row is 13.5 − row above the image's middle.
            let moved = 3.0 / 8.0 * (13.5 - row as f64);
            assert!((middle(&upright, row) - 13.5).abs() < 0.01, "{row}");
            assert!((middle(&right, row) - 13.5 - moved).abs() < 0.1, "{row}: {}", middle(&right, row));
            assert!((middle(&left, row) - 13.5 + moved).abs() < 0.1, "{row}: {}", middle(&left, row));
        }
    }

    #[test]
    fn thickness_changes_the_width_of_a_stroke_by_what_is_stated() {
        let width = |growth| {
            let image = distorted(&bar(), Style { growth, ..PLAIN });
            f64::from(ink(&image[14 * SIZE..15 * SIZE])) / 255.0
        };
        // Twice 3/4 pixel more than four, and twice 3/8 less.
        assert!((width(0) - 4.0).abs() < 0.05, "{}", width(0));
        assert!((width(THICK) - 5.5).abs() < 0.05, "{}", width(THICK));
        assert!((width(THIN) - 3.25).abs() < 0.05, "{}", width(THIN));
    }

    #[test]
    fn aspect_scales_one_side_and_leaves_the_other() {
        let extent = |style| {
            let image = distorted(&bar(), style);
            let column: Vec<u8> = image.iter().skip(13).step_by(SIZE).copied().collect();
            (f64::from(ink(&image[14 * SIZE..15 * SIZE])) / 255.0, f64::from(ink(&column)) / 255.0)
        };
        // 4 × 20 pixels; 3/4 of 4 is 3, and of 20 is 15.
        for (style, (width, height)) in [
            (PLAIN, (4.0, 20.0)),
            (Style { width: REDUCED, ..PLAIN }, (3.0, 20.0)),
            (Style { height: REDUCED, ..PLAIN }, (4.0, 15.0)),
        ] {
            let found = extent(style);
            assert!((found.0 - width).abs() < 0.1 && (found.1 - height).abs() < 0.1, "{style:?}: {found:?}");
        }
    }

    #[test]
    fn the_typical_image_is_the_one_nearest_to_all_others() {
        // Sums of squared differences of 0, 4, 6, 20: 0 + 16 + 36 + 400, 16 + 0 + 4 + 256, 36 + 4 + 0 + 196, more for 20.
        let images: [&[u8]; 4] = [&[0], &[4], &[6], &[20]];
        assert_eq!(most_typical(&images), Some([6].as_slice()));
        assert_eq!(most_typical(&[]), None);
    }

    #[test]
    fn the_set_has_the_same_bytes_on_every_machine_and_ten_styles_of_every_digit() {
        let datasets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
        let train = MnistSource::Embedded { datasets }.load(Part::Train).unwrap();
        let styled = handwriting(&train).unwrap();
        let hash: String = Sha256::digest(&styled.pixels).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, "c5e6ee0e96ed4dbae6ae60149a113c8d95ae48a900d1807af61bb3b743d3bbf8");
        let set = build(&train, DigitsConfig::default()).unwrap();
        set.validate().unwrap();
        assert_eq!(set.len(), 1_800);
        // Image 7 · 10 + 9 of the handwriting, in red and as it is.
        let index = set.factors.index(&[7, 9, 0, 0]).unwrap();
        let grey: Vec<f32> = styled.image(79).unwrap().iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
        assert_eq!(set.image(index).unwrap()[..SIZE * SIZE], grey);
        for digit in 0..N_DIGITS {
            let of_style = |style: usize| ink(styled.image(digit * N_STYLES + style).unwrap());
            let [plain, thick, thin] = [0, 3, 4].map(of_style);
            assert!(thin < plain && plain < thick, "digit {digit}: {thin}, {plain}, {thick}");
        }
    }

    #[test]
    fn every_level_of_a_distortion_is_shown_by_another_style_than_the_one_held_out() {
        let [others @ .., last] = STYLES;
        assert!(others.iter().any(|style| style.slant == last.slant));
        assert!(others.iter().any(|style| style.growth == last.growth));
        assert!(others.iter().any(|style| (style.width, style.height) == (last.width, last.height)));
        assert!(!others.contains(&last));
    }
}
