//! The matrix products over channels, one per point, between values at the points and taps at the points.

use super::Places;
use super::plan::Plan;
use crate::fast_path::vectorised;
use crate::matrix_product::{Matrix, MatrixMut, multiply};
use crate::scratch::Scratch;
use rayon::prelude::*;

/// Elements of a block of taps at one point, which should stay in the second-level cache.
const BLOCK_TAPS: usize = 1 << 16;
/// Rows and columns of a task's block of the taps' gradient; its product and T² sums should stay there as well.
const GRADIENT_BLOCK: [usize; 2] = [128, 256];
/// Rows of a block where there are few columns: else there would be too few blocks for the threads.
const NARROW_GRADIENT_ROWS: usize = 32;

/// Which of the two sides is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// [rows, c] · [c, s²·o]
    Spread,
    /// [rows, s²·o] · [s²·o, c]
    Gather,
}

/// The weight with its taps outermost, as a product's right factor: [T, T, in, out], zero where a phase has no such tap.
pub(super) struct Taps {
    values: Scratch,
    n_in: usize,
    n_out: usize,
}

impl Taps {
    /// Of `weight` [c, o, k, k].
    pub(super) fn new(plan: &Plan, weight: &[f32], direction: Direction) -> Self {
        let (channels, n_columns) = (plan.small_lanes(), plan.n_columns());
        let mut values = Scratch::take(plan.taps * plan.taps * channels * n_columns);
        match direction {
            Direction::Spread => sort_for_spread(plan, weight, &mut values),
            Direction::Gather => sort_for_gather(plan, weight, &mut values),
        }
        let (n_in, n_out) = match direction {
            Direction::Spread => (channels, n_columns),
            Direction::Gather => (n_columns, channels),
        };
        Self { values, n_in, n_out }
    }
}

/// [T, T, c, s²·o]
fn sort_for_spread(plan: &Plan, weight: &[f32], sorted: &mut [f32]) {
    let (n_columns, large_channels, large_lanes) = (plan.n_columns(), plan.geometry.large_channels, plan.large_lanes());
    let (kernel, stride) = (plan.geometry.kernel, plan.geometry.stride);
    let plane = plan.small_lanes() * n_columns;
    let places = Places::new(sorted);
    (0..plan.small_lanes()).into_par_iter().for_each(|channel| {
        let weight = weight.chunks_exact(large_channels * kernel * kernel).nth(channel);
        for tap in 0..plan.taps * plan.taps {
            // SAFETY: this channel's row, which no other task touches.
            let row = unsafe { places.at(tap * plane + channel * n_columns, n_columns) };
            for (phase, row) in row.chunks_exact_mut(large_lanes).enumerate() {
                let a = tap / plan.taps * stride + phase / stride;
                let e = tap % plan.taps * stride + phase % stride;
                let Some(weight) = weight.filter(|_| a < kernel && e < kernel) else {
                    row.fill(0.0);
                    continue;
                };
                for (place, square) in row.iter_mut().zip(weight.chunks_exact(kernel * kernel)) {
                    *place = square[a * kernel + e];
                }
                row[large_channels..].fill(0.0);
            }
        }
    });
}

/// [T, T, s²·o, c]
fn sort_for_gather(plan: &Plan, weight: &[f32], sorted: &mut [f32]) {
    let (channels, lanes, n_columns) = (plan.geometry.small_channels, plan.small_lanes(), plan.n_columns());
    let (large_channels, kernel, stride) = (plan.geometry.large_channels, plan.geometry.kernel, plan.geometry.stride);
    let square = kernel * kernel;
    let places = Places::new(sorted);
    (0..plan.large_lanes()).into_par_iter().for_each(|large_channel| {
        for a in 0..plan.taps * stride {
            for e in 0..plan.taps * stride {
                let tap = a / stride * plan.taps + e / stride;
                let column = (a % stride * stride + e % stride) * plan.large_lanes() + large_channel;
                // SAFETY: this large channel's rows, which no other task touches.
                let row = unsafe { places.at((tap * n_columns + column) * lanes, lanes) };
                if large_channel < large_channels && a < kernel && e < kernel {
                    let first = large_channel * square + a * kernel + e;
                    let values = weight[first..].iter().step_by(large_channels * square);
                    row.iter_mut().zip(values).for_each(|(place, &value)| *place = value);
                    row[channels..].fill(0.0);
                } else {
                    row.fill(0.0);
                }
            }
        }
    });
}

/// The inverse of [`sort_for_spread`]: gradient ← keep·gradient + what was sorted.
pub(super) fn add_unsorted(plan: &Plan, sorted: &[f32], gradient: &mut [f32], keep: f32) {
    let (n_columns, large_channels) = (plan.n_columns(), plan.geometry.large_channels);
    let (kernel, stride) = (plan.geometry.kernel, plan.geometry.stride);
    let plane = plan.small_lanes() * n_columns;
    gradient.par_chunks_exact_mut(large_channels * kernel * kernel).enumerate().for_each(|(channel, gradient)| {
        if keep == 0.0 {
            gradient.fill(0.0);
        }
        for a in 0..kernel {
            for e in 0..kernel {
                let tap = a / stride * plan.taps + e / stride;
                let phase = a % stride * stride + e % stride;
                let start = tap * plane + channel * n_columns + phase * plan.large_lanes();
                let squares = gradient.chunks_exact_mut(kernel * kernel);
                for (square, &value) in squares.zip(&sorted[start..][..large_channels]) {
                    square[a * kernel + e] += value;
                }
            }
        }
    });
}

/// The products with the taps at every point: [rows, in] → [rows, out]. The taps at the points are made block by block
/// as they are needed.
pub(super) fn multiply_points(plan: &Plan, n_images: usize, taps: &Taps, values: &[f32]) -> Scratch {
    let (n_in, n_out) = (taps.n_in, taps.n_out);
    let mut products = Scratch::take(plan.n_rows(n_images) * n_out);
    let dst = MatrixMut::new(&mut products, n_out, 1);
    let [n_lines, n_across] = [plan.axes[0].points(), plan.axes[1].points()];
    let block = BLOCK_TAPS.div_ceil(n_in).next_multiple_of(64).min(n_out);
    let n_blocks = n_out.div_ceil(block);
    // Where there are few blocks, rows are split as well, though every part makes its taps anew.
    let most_rows = plan.rows_at(0, 0, n_images).1;
    let wanted = 4 * rayon::current_num_threads();
    let n_parts = wanted.div_ceil(n_lines * n_blocks).min(most_rows.div_ceil(64));
    (0..n_lines * n_blocks * n_parts).into_par_iter().for_each(|task| {
        let (line, block_idx, part) = (task / (n_blocks * n_parts), task / n_parts % n_blocks, task % n_parts);
        let first_out = block_idx * block;
        let width = block.min(n_out - first_out);
        let line_of_taps = LineOfTaps::new(plan, taps, line, first_out, width);
        let mut at_point = Scratch::take(n_in * width);
        for column in 0..n_across {
            let (first_row, n_rows) = plan.rows_at(line, column, n_images);
            let from = first_row + n_rows * part / n_parts;
            let height = first_row + n_rows * (part + 1) / n_parts - from;
            if height == 0 {
                continue;
            }
            vectorised(
                #[inline(always)]
                || line_of_taps.evaluate(plan.evaluate_taps[1].row(column), &mut at_point),
            );
            let lhs = Matrix::new(values, n_in, 1).below(from);
            let rhs = Matrix::new(&at_point, width, 1);
            // SAFETY: tasks write disjoint blocks of the products, which are not read.
            unsafe { multiply(dst.offset(from, first_out), lhs, rhs, (height, width, n_in), 0.0) };
        }
    });
    products
}

/// Some columns of the taps, already evaluated in the first dimension: [T, in, width].
struct LineOfTaps {
    values: Scratch,
    plane: usize,
}

impl LineOfTaps {
    fn new(plan: &Plan, taps: &Taps, line: usize, first_out: usize, width: usize) -> Self {
        let mut values = Scratch::take(plan.taps * taps.n_in * width);
        let factors = plan.evaluate_taps[0].row(line);
        vectorised(
            #[inline(always)]
            || {
                for (idx, to) in values.chunks_exact_mut(width).enumerate() {
                    // idx runs over the second tap and in; the planes of the first tap lie T·in rows apart.
                    let starts = (0..).map(|first| (first * plan.taps * taps.n_in + idx) * taps.n_out + first_out);
                    combine(to, factors, starts.map(|start| &taps.values[start..][..width]));
                }
            },
        );
        Self { values, plane: taps.n_in * width }
    }

    /// Evaluates in the second dimension: [in, width].
    #[inline(always)]
    fn evaluate(&self, factors: &[f32], to: &mut [f32]) {
        combine(to, factors, self.values.chunks_exact(self.plane));
    }
}

/// to ← Σ factor·plane.
#[inline(always)]
fn combine<'a>(to: &mut [f32], factors: &[f32], planes: impl Iterator<Item = &'a [f32]>) {
    let mut is_written = false;
    // Half of all factors are 0: the tap at 0, and all but the last at ∞.
    for (&factor, plane) in factors.iter().zip(planes).filter(|(factor, _)| **factor != 0.0) {
        if is_written {
            add_scaled(to, factor, plane);
        } else {
            to.iter_mut().zip(plane).for_each(|(to, from)| *to = factor * from);
            is_written = true;
        }
    }
    if !is_written {
        to.fill(0.0);
    }
}

#[inline(always)]
fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// sorted ← (sorted when `keep`) + Σ over points of evaluationᵀ·(pixelsᵀ·coefficients), [T, T, c, s²·o].
///
/// `pixels` [rows, c], `coefficients` [rows, s²·o].
pub(super) fn add_tap_gradients(
    plan: &Plan,
    n_images: usize,
    pixels: &[f32],
    coefficients: &[f32],
    sorted: &mut [f32],
    keep: bool,
) {
    let (channels, n_columns) = (plan.small_lanes(), plan.n_columns());
    let plane = channels * n_columns;
    let [block_rows, block_columns] = GRADIENT_BLOCK;
    let height = channels.min(if n_columns >= block_rows { block_rows } else { NARROW_GRADIENT_ROWS });
    let width = n_columns.min(block_columns);
    let (n_down, n_across) = (channels.div_ceil(height), n_columns.div_ceil(width));
    let places = Places::new(sorted);
    (0..n_down * n_across).into_par_iter().for_each(|task| {
        let (top, left) = (task / n_across * height, task % n_across * width);
        let (height, width) = (height.min(channels - top), width.min(n_columns - left));
        let size = height * width;
        let mut product = Scratch::take(size);
        let mut line_sums = Scratch::take(plan.taps * size);
        let mut sums = Scratch::take(plan.taps * plan.taps * size);
        sums.fill(0.0);
        for line in 0..plan.axes[0].points() {
            line_sums.fill(0.0);
            for column in 0..plan.axes[1].points() {
                let (first_row, n_rows) = plan.rows_at(line, column, n_images);
                let lhs = Matrix::new(pixels, channels, 1).below(first_row).right_of(top).transposed(); // [c, rows]
                let rhs = Matrix::new(coefficients, n_columns, 1).below(first_row).right_of(left); // [rows, s²·o]
                let dst = MatrixMut::new(&mut product, width, 1);
                // SAFETY: the product is this task's own and is not read.
                unsafe { multiply(dst, lhs, rhs, (height, width, n_rows), 0.0) };
                vectorised(
                    #[inline(always)]
                    || distribute(&mut line_sums, plan.evaluate_taps[1].row(column), &product),
                );
            }
            vectorised(
                #[inline(always)]
                || distribute(&mut sums, plan.evaluate_taps[0].row(line), &line_sums),
            );
        }
        for (row, sums) in sums.chunks_exact(width).enumerate() {
            let (tap, channel) = (row / height, top + row % height);
            // SAFETY: tasks write disjoint blocks.
            let to = unsafe { places.at(tap * plane + channel * n_columns + left, width) };
            if keep {
                add_scaled(to, 1.0, sums);
            } else {
                to.copy_from_slice(sums);
            }
        }
    });
}

/// sums[tap] += factor[tap]·values, the adjoint of [`combine`].
#[inline(always)]
fn distribute(sums: &mut [f32], factors: &[f32], values: &[f32]) {
    for (sum, &factor) in sums.chunks_exact_mut(values.len()).zip(factors) {
        if factor != 0.0 {
            add_scaled(sum, factor, values);
        }
    }
}
