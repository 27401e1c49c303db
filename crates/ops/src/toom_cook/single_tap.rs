//! The products where a phase has one tap (kernel ≤ stride): pixels are their own values, and are multiplied where they
//! lie.

use super::plan::Plan;
use crate::matrix_product::{Matrix, MatrixMut, multiply};
use crate::scratch::Scratch;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Rows of the taps' gradient that one task sums.
const GRADIENT_ROWS: usize = 32;

fn n_pixels(plan: &Plan) -> usize {
    plan.geometry.small[0] * plan.geometry.small[1]
}

/// [h·w, c] · [c, s²·o] for every image: [n, h·w, s²·o].
pub(super) fn multiply_pixels(plan: &Plan, small: &[f32], taps: &[f32]) -> Scratch {
    let channels = plan.geometry.small_channels;
    let (n_pixels, n_columns) = (n_pixels(plan), plan.geometry.columns());
    let mut products = Scratch::take(small.len() / channels * n_columns);
    products.par_chunks_exact_mut(n_pixels * n_columns).zip(small.par_chunks_exact(channels * n_pixels)).for_each(
        |(products, small)| {
            let dst = MatrixMut::new(products, n_columns, 1);
            let lhs = Matrix::new(small, 1, n_pixels);
            let rhs = Matrix::new(taps, n_columns, 1);
            // SAFETY: the products of this image are this task's own and are not read.
            unsafe { multiply(dst, lhs, rhs, (n_pixels, n_columns, channels), 0.0) };
        },
    );
    products
}

/// [c, s²·o] · [s²·o, h·w] for every image, written where it belongs.
pub(super) fn gather_pixels(
    plan: &Plan,
    coefficients: &[f32],
    taps: &[f32],
    bias: Option<&[f32]>,
    small: &mut [MaybeUninit<f32>],
) {
    let channels = plan.geometry.small_channels;
    let (n_pixels, n_columns) = (n_pixels(plan), plan.geometry.columns());
    small.par_chunks_exact_mut(channels * n_pixels).zip(coefficients.par_chunks_exact(n_pixels * n_columns)).for_each(
        |(small, coefficients)| {
            let dst = MatrixMut { start: small.as_mut_ptr().cast(), row: n_pixels, column: 1 };
            let lhs = Matrix::new(taps, n_columns, 1);
            let rhs = Matrix::new(coefficients, 1, n_columns);
            // SAFETY: this image is this task's own, and is written in full without being read.
            let small = unsafe {
                multiply(dst, lhs, rhs, (channels, n_pixels, n_columns), 0.0);
                small.assume_init_mut()
            };
            if let Some(bias) = bias {
                for (plane, &bias) in small.chunks_exact_mut(n_pixels).zip(bias) {
                    plane.iter_mut().for_each(|pixel| *pixel += bias);
                }
            }
        },
    );
}

/// sorted ← (sorted when `keep`) + Σ over images, in their order, of [c, h·w] · [h·w, s²·o].
pub(super) fn add_pixel_gradients(plan: &Plan, small: &[f32], coefficients: &[f32], sorted: &mut [f32], keep: bool) {
    let channels = plan.geometry.small_channels;
    let (n_pixels, n_columns) = (n_pixels(plan), plan.geometry.columns());
    sorted.par_chunks_mut(GRADIENT_ROWS * n_columns).enumerate().for_each(|(block, sorted)| {
        let height = sorted.len() / n_columns;
        let dst = MatrixMut::new(sorted, n_columns, 1);
        let images = small.chunks_exact(channels * n_pixels);
        let images = images.zip(coefficients.chunks_exact(n_pixels * n_columns));
        for (idx, (small, coefficients)) in images.enumerate() {
            let lhs = Matrix::new(small, n_pixels, 1).below(block * GRADIENT_ROWS);
            let rhs = Matrix::new(coefficients, n_columns, 1);
            let kept = if keep || idx > 0 { 1.0 } else { 0.0 };
            // SAFETY: the block is this task's own, and is read only after it was written.
            unsafe { multiply(dst, lhs, rhs, (height, n_columns, n_pixels), kept) };
        }
    });
}
