//! Images to values at the points and back. Channels are brought innermost first, so that all that follows reads and
//! writes whole vectors.

use super::Places;
use super::plan::Plan;
use super::transform::{LANES, MAX_POINTS, Transform, Workspace};
use crate::fast_path::vectorised;
use crate::matrix_product::MatrixMut;
use crate::scratch::Scratch;
use crate::transpose::{Rows, transpose_into};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// [channels, pixels] → [pixels, lanes], with zeros in the lanes that have no channel.
fn channels_inside(image: &[f32], channels: usize, lanes: usize) -> Scratch {
    let n_pixels = image.len() / channels;
    let mut inside = Scratch::take(n_pixels * lanes);
    if lanes > channels {
        inside.chunks_exact_mut(lanes).for_each(|pixel| pixel[channels..].fill(0.0));
    }
    let to = MatrixMut::new(&mut inside, lanes, 1);
    let from = Rows { values: image, stride: n_pixels, len: n_pixels };
    // SAFETY: the memory has a place for every element of the image, and is this function's own.
    unsafe { transpose_into(from, to) };
    inside
}

/// The small images at the points: [rows, c], a row being one tile of one image at one point.
pub(super) fn evaluated_pixels(plan: &Plan, small: &[f32], n_images: usize) -> Scratch {
    let geometry = &plan.geometry;
    let mut pixels = Scratch::take(plan.n_rows(n_images) * plan.small_lanes());
    let places = Places::new(&mut pixels);
    small.par_chunks_exact(geometry.small_len()).take(n_images).enumerate().for_each(|(image, small)| {
        let small = channels_inside(small, geometry.small_channels, plan.small_lanes());
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
    let lanes = plan.small_lanes();
    let width = plan.geometry.small[1];
    let mut tiles = Workspace::new();
    for [y, x] in plan.tiles() {
        let [top, left] = [plan.axes[0].start(y), plan.axes[1].start(x)];
        let [size_y, size_x] = [plan.axes[0].size(y), plan.axes[1].size(x)];
        let rows = plan.rows_of_tile(n_images, image, [y, x]);
        for first in (0..lanes).step_by(LANES) {
            for i in 0..size_y.pixels {
                for j in 0..size_x.pixels {
                    let start = ((top + i) * width + left + j) * lanes + first;
                    tiles.from[i * MAX_POINTS + j].copy_from_slice(&small[start..][..LANES]);
                }
            }
            tiles.apply(&size_y.evaluate, &size_x.evaluate);
            for i in 0..size_y.points {
                for j in 0..size_x.points {
                    let index = i * MAX_POINTS + j;
                    // SAFETY: this image's row, for which the caller vouches.
                    let place = unsafe { places.at(rows[index] * lanes + first, LANES) };
                    place.copy_from_slice(&tiles.to[index]);
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
        let large = channels_inside(large, geometry.large_channels, plan.large_lanes());
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
    let (lanes, n_columns) = (plan.large_lanes(), plan.n_columns());
    let pull = Matrices::new(plan, |size| size.interpolate.transposed());
    let mut tiles = Workspace::new();
    for [y, x] in plan.tiles() {
        let rows = plan.rows_of_tile(n_images, image, [y, x]);
        let [n_y, n_x] = [plan.axes[0].size(y).points, plan.axes[1].size(x).points];
        for phase in 0..plan.geometry.stride * plan.geometry.stride {
            let pixels = LargePixels::new(plan, [y, x], phase);
            for first in (0..lanes).step_by(LANES) {
                for i in 0..n_y {
                    for j in 0..n_x {
                        let to = &mut tiles.from[i * MAX_POINTS + j];
                        match pixels.at(i, j) {
                            Some(pixel) => to.copy_from_slice(&large[pixel * lanes + first..][..LANES]),
                            None => *to = [0.0; LANES],
                        }
                    }
                }
                tiles.apply(pull.of(plan, 0, y), pull.of(plan, 1, x));
                for i in 0..n_y {
                    for j in 0..n_x {
                        let index = i * MAX_POINTS + j;
                        let start = rows[index] * n_columns + phase * lanes + first;
                        // SAFETY: this image's row, for which the caller vouches.
                        let place = unsafe { places.at(start, LANES) };
                        place.copy_from_slice(&tiles.to[index]);
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
    let (geometry, lanes) = (&plan.geometry, plan.large_lanes());
    let bias = in_lanes(bias, lanes);
    large.par_chunks_exact_mut(geometry.large_len()).enumerate().for_each(|(image, large)| {
        let mut inside = Scratch::take(geometry.large[0] * geometry.large[1] * lanes); // [h'·w', o]
        inside.chunks_exact_mut(lanes).for_each(|pixel| pixel.copy_from_slice(&bias));
        vectorised(
            #[inline(always)]
            || add_coefficients(plan, (n_images, image), products, &mut inside),
        );
        write_channels_outside(&inside, lanes, large);
    });
}

#[inline(always)]
fn add_coefficients(plan: &Plan, (n_images, image): (usize, usize), products: &[f32], large: &mut [f32]) {
    let (lanes, n_columns) = (plan.large_lanes(), plan.n_columns());
    let mut tiles = Workspace::new();
    for [y, x] in plan.tiles() {
        let rows = plan.rows_of_tile(n_images, image, [y, x]);
        let [size_y, size_x] = [plan.axes[0].size(y), plan.axes[1].size(x)];
        for phase in 0..plan.geometry.stride * plan.geometry.stride {
            let pixels = LargePixels::new(plan, [y, x], phase);
            for first in (0..lanes).step_by(LANES) {
                for i in 0..size_y.points {
                    for j in 0..size_x.points {
                        let index = i * MAX_POINTS + j;
                        let start = rows[index] * n_columns + phase * lanes + first;
                        tiles.from[index].copy_from_slice(&products[start..][..LANES]);
                    }
                }
                tiles.apply(&size_y.interpolate, &size_x.interpolate);
                for i in 0..size_y.points {
                    for j in 0..size_x.points {
                        if let Some(pixel) = pixels.at(i, j) {
                            let to = &mut large[pixel * lanes + first..][..LANES];
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
    let (geometry, lanes) = (&plan.geometry, plan.small_lanes());
    let bias = in_lanes(bias, lanes);
    small.par_chunks_exact_mut(geometry.small_len()).enumerate().for_each(|(image, small)| {
        let mut inside = Scratch::take(geometry.small[0] * geometry.small[1] * lanes); // [h·w, c]
        vectorised(
            #[inline(always)]
            || collect_pixels(plan, (n_images, image), products, &bias, &mut inside),
        );
        write_channels_outside(&inside, lanes, small);
    });
}

#[inline(always)]
fn collect_pixels(plan: &Plan, (n_images, image): (usize, usize), products: &[f32], bias: &[f32], small: &mut [f32]) {
    let lanes = plan.small_lanes();
    let width = plan.geometry.small[1];
    let collect = Matrices::new(plan, |size| size.evaluate.transposed());
    let mut tiles = Workspace::new();
    for [y, x] in plan.tiles() {
        let [top, left] = [plan.axes[0].start(y), plan.axes[1].start(x)];
        let [size_y, size_x] = [plan.axes[0].size(y), plan.axes[1].size(x)];
        let rows = plan.rows_of_tile(n_images, image, [y, x]);
        for first in (0..lanes).step_by(LANES) {
            for i in 0..size_y.points {
                for j in 0..size_x.points {
                    let index = i * MAX_POINTS + j;
                    let start = rows[index] * lanes + first;
                    tiles.from[index].copy_from_slice(&products[start..][..LANES]);
                }
            }
            tiles.apply(collect.of(plan, 0, y), collect.of(plan, 1, x));
            for i in 0..size_y.pixels {
                for j in 0..size_x.pixels {
                    let start = ((top + i) * width + left + j) * lanes + first;
                    let sums = tiles.to[i * MAX_POINTS + j].iter().zip(&bias[first..][..LANES]);
                    for (to, (sum, bias)) in small[start..][..LANES].iter_mut().zip(sums) {
                        *to = sum + bias;
                    }
                }
            }
        }
    }
}

/// [pixels, lanes] → [channels, pixels], where nothing has been written yet.
fn write_channels_outside(inside: &[f32], lanes: usize, image: &mut [MaybeUninit<f32>]) {
    let n_pixels = inside.len() / lanes;
    let from = Rows { values: inside, stride: lanes, len: image.len() / n_pixels };
    let to = MatrixMut { start: image.as_mut_ptr().cast(), row: n_pixels, column: 1 };
    // SAFETY: the image has the channels of all pixels, and is exclusively borrowed.
    unsafe { transpose_into(from, to) };
}

/// A bias for every lane; zeros where there is none.
fn in_lanes(bias: Option<&[f32]>, lanes: usize) -> Vec<f32> {
    let mut padded = bias.unwrap_or_default().to_vec();
    padded.resize(lanes, 0.0);
    padded
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
