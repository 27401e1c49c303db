//! Images to values at the points and back. Channels are brought innermost first, so that all that follows reads and
//! writes whole vectors.

use super::Places;
use super::plan::Plan;
use super::transform::{LANES, Lanes, MAX_POINTS, Transform, Workspace};
use crate::fast_path::vectorised;
use crate::matrix_product::MatrixMut;
use crate::scratch::Scratch;
use crate::transpose::transpose_into;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// The first channel of every group of lanes, with the number of channels in it.
fn lane_groups(channels: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..channels).step_by(LANES).map(move |first| (first, LANES.min(channels - first)))
}

/// lanes ← values, of which there may be fewer. A copy of known length is one instruction, another one a call.
#[inline(always)]
fn load(lanes: &mut Lanes, values: &[f32]) {
    match values.first_chunk() {
        Some(whole) => *lanes = *whole,
        None => lanes[..values.len()].copy_from_slice(values),
    }
}

/// values ← as many lanes.
#[inline(always)]
fn store(values: &mut [f32], lanes: &Lanes) {
    match values.first_chunk_mut() {
        Some(whole) => *whole = *lanes,
        None => values.copy_from_slice(&lanes[..values.len()]),
    }
}

/// [channels, pixels] → [pixels, channels].
fn channels_inside(image: &[f32], channels: usize) -> Scratch {
    let mut inside = Scratch::take(image.len());
    let to = MatrixMut::new(&mut inside, channels, 1);
    // SAFETY: the memory has as many elements as the image, and is this function's own.
    unsafe { transpose_into(image, image.len() / channels, to) };
    inside
}

/// The small images at the points: [rows, c], a row being one tile of one image at one point.
pub(super) fn evaluated_pixels(plan: &Plan, small: &[f32], n_images: usize) -> Scratch {
    let geometry = &plan.geometry;
    let mut pixels = Scratch::take(plan.n_rows(n_images) * geometry.small_channels);
    let places = Places::new(&mut pixels);
    small.par_chunks_exact(geometry.small_len()).take(n_images).enumerate().for_each(|(image, small)| {
        let small = channels_inside(small, geometry.small_channels);
        vectorised(
            #[inline(always)]
            // SAFETY: every image has rows of its own.
            || unsafe { evaluate_image(plan, (n_images, image), &small, places) },
        );
    });
    pixels
}

/// # Safety
/// Nobody else may use the rows of this image.
#[inline(always)]
unsafe fn evaluate_image(plan: &Plan, (n_images, image): (usize, usize), small: &[f32], places: Places) {
    let channels = plan.geometry.small_channels;
    let width = plan.geometry.small[1];
    let mut tiles = Workspace::new();
    for [y, x] in plan.tiles() {
        let [top, left] = [plan.axes[0].start(y), plan.axes[1].start(x)];
        let [size_y, size_x] = [plan.axes[0].size(y), plan.axes[1].size(x)];
        let rows = plan.rows_of_tile(n_images, image, [y, x]);
        for (first, n_lanes) in lane_groups(channels) {
            for i in 0..size_y.pixels {
                for j in 0..size_x.pixels {
                    let start = ((top + i) * width + left + j) * channels + first;
                    load(&mut tiles.from[i * MAX_POINTS + j], &small[start..][..n_lanes]);
                }
            }
            tiles.apply(&size_y.evaluate, &size_x.evaluate);
            for i in 0..size_y.points {
                for j in 0..size_x.points {
                    let index = i * MAX_POINTS + j;
                    // SAFETY: this image's row, for which the caller vouches.
                    let place = unsafe { places.at(rows[index] * channels + first, n_lanes) };
                    store(place, &tiles.to[index]);
                }
            }
        }
    }
}

/// The adjoint of interpolation, on the large images: [rows, s²·o].
pub(super) fn pulled_coefficients(plan: &Plan, large: &[f32], n_images: usize) -> Scratch {
    let geometry = &plan.geometry;
    let mut coefficients = Scratch::take(plan.n_rows(n_images) * plan.n_columns());
    let places = Places::new(&mut coefficients);
    large.par_chunks_exact(geometry.large_len()).take(n_images).enumerate().for_each(|(image, large)| {
        let large = channels_inside(large, geometry.large_channels);
        vectorised(
            #[inline(always)]
            // SAFETY: every image has rows of its own.
            || unsafe { pull_image(plan, (n_images, image), &large, places) },
        );
    });
    coefficients
}

/// # Safety
/// Nobody else may use the rows of this image.
#[inline(always)]
unsafe fn pull_image(plan: &Plan, (n_images, image): (usize, usize), large: &[f32], places: Places) {
    let (channels, n_columns) = (plan.geometry.large_channels, plan.n_columns());
    let pull = Matrices::new(plan, |size| size.interpolate.transposed());
    let mut tiles = Workspace::new();
    for [y, x] in plan.tiles() {
        let rows = plan.rows_of_tile(n_images, image, [y, x]);
        let [n_y, n_x] = [plan.axes[0].size(y).points, plan.axes[1].size(x).points];
        for phase in 0..plan.geometry.stride * plan.geometry.stride {
            let pixels = LargePixels::new(plan, [y, x], phase);
            for (first, n_lanes) in lane_groups(channels) {
                for i in 0..n_y {
                    for j in 0..n_x {
                        let to = &mut tiles.from[i * MAX_POINTS + j];
                        match pixels.at(i, j) {
                            Some(pixel) => load(to, &large[pixel * channels + first..][..n_lanes]),
                            None => *to = [0.0; LANES],
                        }
                    }
                }
                tiles.apply(pull.of(plan, 0, y), pull.of(plan, 1, x));
                for i in 0..n_y {
                    for j in 0..n_x {
                        let index = i * MAX_POINTS + j;
                        let start = rows[index] * n_columns + phase * channels + first;
                        // SAFETY: this image's row, for which the caller vouches.
                        let place = unsafe { places.at(start, n_lanes) };
                        store(place, &tiles.to[index]);
                    }
                }
            }
        }
    }
}

/// large ← bias + what the products [rows, s²·o] interpolate to; neighbouring tiles overlap and add.
pub(super) fn write_large(
    plan: &Plan,
    n_images: usize,
    products: &[f32],
    bias: Option<&[f32]>,
    large: &mut [MaybeUninit<f32>],
) {
    let geometry = &plan.geometry;
    large.par_chunks_exact_mut(geometry.large_len()).enumerate().for_each(|(image, large)| {
        let mut inside = Scratch::take(geometry.large_len()); // [h'·w', o]
        match bias {
            Some(bias) => inside.chunks_exact_mut(bias.len()).for_each(|pixel| pixel.copy_from_slice(bias)),
            None => inside.fill(0.0),
        }
        vectorised(
            #[inline(always)]
            || add_coefficients(plan, (n_images, image), products, &mut inside),
        );
        write_channels_outside(&inside, geometry.large_channels, large);
    });
}

#[inline(always)]
fn add_coefficients(plan: &Plan, (n_images, image): (usize, usize), products: &[f32], large: &mut [f32]) {
    let (channels, n_columns) = (plan.geometry.large_channels, plan.n_columns());
    let mut tiles = Workspace::new();
    for [y, x] in plan.tiles() {
        let rows = plan.rows_of_tile(n_images, image, [y, x]);
        let [size_y, size_x] = [plan.axes[0].size(y), plan.axes[1].size(x)];
        for phase in 0..plan.geometry.stride * plan.geometry.stride {
            let pixels = LargePixels::new(plan, [y, x], phase);
            for (first, n_lanes) in lane_groups(channels) {
                for i in 0..size_y.points {
                    for j in 0..size_x.points {
                        let index = i * MAX_POINTS + j;
                        let start = rows[index] * n_columns + phase * channels + first;
                        load(&mut tiles.from[index], &products[start..][..n_lanes]);
                    }
                }
                tiles.apply(&size_y.interpolate, &size_x.interpolate);
                for i in 0..size_y.points {
                    for j in 0..size_x.points {
                        if let Some(pixel) = pixels.at(i, j) {
                            let to = &mut large[pixel * channels + first..][..n_lanes];
                            for (to, value) in to.iter_mut().zip(&tiles.to[i * MAX_POINTS + j]) {
                                *to += value;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// small ← bias + the adjoint of evaluation of the products [rows, c]; tiles do not overlap.
pub(super) fn write_small(
    plan: &Plan,
    n_images: usize,
    products: &[f32],
    bias: Option<&[f32]>,
    small: &mut [MaybeUninit<f32>],
) {
    let geometry = &plan.geometry;
    small.par_chunks_exact_mut(geometry.small_len()).enumerate().for_each(|(image, small)| {
        let mut inside = Scratch::take(geometry.small_len()); // [h·w, c]
        vectorised(
            #[inline(always)]
            || collect_pixels(plan, (n_images, image), products, bias, &mut inside),
        );
        write_channels_outside(&inside, geometry.small_channels, small);
    });
}

#[inline(always)]
fn collect_pixels(
    plan: &Plan,
    (n_images, image): (usize, usize),
    products: &[f32],
    bias: Option<&[f32]>,
    small: &mut [f32],
) {
    let channels = plan.geometry.small_channels;
    let width = plan.geometry.small[1];
    let collect = Matrices::new(plan, |size| size.evaluate.transposed());
    let mut tiles = Workspace::new();
    for [y, x] in plan.tiles() {
        let [top, left] = [plan.axes[0].start(y), plan.axes[1].start(x)];
        let [size_y, size_x] = [plan.axes[0].size(y), plan.axes[1].size(x)];
        let rows = plan.rows_of_tile(n_images, image, [y, x]);
        for (first, n_lanes) in lane_groups(channels) {
            for i in 0..size_y.points {
                for j in 0..size_x.points {
                    let index = i * MAX_POINTS + j;
                    let start = rows[index] * channels + first;
                    load(&mut tiles.from[index], &products[start..][..n_lanes]);
                }
            }
            tiles.apply(collect.of(plan, 0, y), collect.of(plan, 1, x));
            for i in 0..size_y.pixels {
                for j in 0..size_x.pixels {
                    let start = ((top + i) * width + left + j) * channels + first;
                    let to = &mut small[start..][..n_lanes];
                    store(to, &tiles.to[i * MAX_POINTS + j]);
                    if let Some(bias) = bias {
                        for (to, bias) in to.iter_mut().zip(&bias[first..]) {
                            *to += bias;
                        }
                    }
                }
            }
        }
    }
}

/// [pixels, channels] → [channels, pixels], where nothing has been written yet.
fn write_channels_outside(inside: &[f32], channels: usize, image: &mut [MaybeUninit<f32>]) {
    assert_eq!(inside.len(), image.len());
    let to = MatrixMut { start: image.as_mut_ptr().cast(), row: inside.len() / channels, column: 1 };
    // SAFETY: the image has as many elements, and is exclusively borrowed.
    unsafe { transpose_into(inside, channels, to) };
}

/// A matrix for each size of tile in each dimension.
struct Matrices([[Transform; 2]; 2]);

impl Matrices {
    fn new(plan: &Plan, matrix: impl Fn(&super::plan::TileSize) -> Transform) -> Self {
        Self([0, 1].map(|dimension| plan.axes[dimension].sizes().map(&matrix)))
    }

    #[inline(always)]
    fn of(&self, plan: &Plan, dimension: usize, tile: usize) -> &Transform {
        &self.0[dimension][usize::from(!plan.axes[dimension].is_full(tile))]
    }
}

/// Where the coefficients of a tile and phase lie in the large image.
struct LargePixels {
    /// The start of a line of pixels, and the place in the line; None outside the image.
    lines: [Option<usize>; MAX_POINTS],
    places: [Option<usize>; MAX_POINTS],
}

impl LargePixels {
    #[inline(always)]
    fn new(plan: &Plan, tile: [usize; 2], phase: usize) -> Self {
        let geometry = &plan.geometry;
        let phases = [phase / geometry.stride, phase % geometry.stride];
        let [lines, places] = [0, 1].map(|dimension| {
            let start = plan.axes[dimension].start(tile[dimension]);
            std::array::from_fn(|coefficient| {
                ((start + coefficient) * geometry.stride + phases[dimension])
                    .checked_sub(geometry.padding)
                    .filter(|&pixel| pixel < geometry.large[dimension])
            })
        });
        Self { lines: lines.map(|line: Option<usize>| line.map(|line| line * geometry.large[1])), places }
    }

    #[inline(always)]
    fn at(&self, i: usize, j: usize) -> Option<usize> {
        Some(self.lines[i]? + self.places[j]?)
    }
}
