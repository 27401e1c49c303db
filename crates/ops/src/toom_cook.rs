//! The three kernels of [`crate::convolution`] as products of polynomials.
//!
//! With a = s·t + r the large image falls apart into s phases r, and the phase is the coefficient list
//! of a product of polynomials: Y_r(z) = X(z)·W_r(z), where X has the pixels as coefficients and W_r the T = ⌈k/s⌉
//! taps of the phase. Nothing is scattered, and there is no image of columns.
//!
//! A product of degree P − 1 is known from its values at P points (Toom and Cook; Winograd's minimal filtering is its
//! adjoint). The image is cut into tiles of m = P + 1 − T pixels per dimension; tiles, taps and results are brought to
//! the P² points and back by fixed small matrices, and between them stand P² matrix products over the channels. They
//! multiply P²/m² times per pixel and phase, a direct product T² times: 1.6 (P = 5) against 4 for kernel 4, stride 2,
//! and 2.3 (P = 6) against 9 for kernel 3, stride 1. Where the tiles do not fill a dimension, some have a pixel and a
//! point less: 7 pixels are 4 + 3, known from 5 + 4 points.
//!
//! A *row* is one tile of one image at one point; all rows of a point lie together, and are one product's rows.
//!
//! The points are 0, ∞, ±1, ±½ or ½, and 2 or −2. Rounding grows with their number: the largest error, measured
//! against 64-bit floats on the networks' shapes, is about 1e-5 of the result's largest value or less with up to seven
//! points, and 3e-5 with eight, which is why there are no more than seven.
//!
//! Source: Lavin and Gray, arXiv 1509.09308; the linear-convolution form with overlapping results is ours, because it
//! lets all phases share the transform of the small image.

mod plan;
mod taps;
mod tiles;
mod transform;

use crate::convolution::Geometry;
use crate::scratch::Scratch;
use plan::Plan;
use std::mem::MaybeUninit;
use taps::{Direction, Taps};
use transform::MAX_POINTS;

/// Rows of one image at all points together, and the values of a row on the small and on the large side; None where a
/// phase has more taps than there are points.
pub(crate) fn size_per_image(geometry: &Geometry) -> Option<[usize; 3]> {
    (geometry.taps() <= MAX_POINTS).then(|| plan::size_per_image(geometry))
}

pub(crate) fn spread(
    geometry: &Geometry,
    small: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    large: &mut [MaybeUninit<f32>],
) {
    let plan = Plan::new(geometry);
    let taps = Taps::new(&plan, weight, Direction::Spread);
    for (first, n_images) in plan.blocks() {
        let small = &small[first * geometry.small_len()..][..n_images * geometry.small_len()];
        let pixels = tiles::evaluated_pixels(&plan, small, n_images); // [rows, c]
        let products = taps::multiply_points(&plan, n_images, &taps, &pixels); // [rows, s²·o]
        let large = &mut large[first * geometry.large_len()..][..n_images * geometry.large_len()];
        tiles::write_large(&plan, n_images, &products, bias, large);
    }
}

pub(crate) fn gather(
    geometry: &Geometry,
    large: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    small: &mut [MaybeUninit<f32>],
) {
    let plan = Plan::new(geometry);
    let taps = Taps::new(&plan, weight, Direction::Gather);
    for (first, n_images) in plan.blocks() {
        let coefficients = tiles::pulled_coefficients(&plan, &large[first * geometry.large_len()..], n_images);
        let small = &mut small[first * geometry.small_len()..][..n_images * geometry.small_len()];
        gather_block(&plan, n_images, &coefficients, &taps, bias, small);
    }
}

pub(crate) fn gradients(
    geometry: &Geometry,
    small: &[f32],
    large: &[f32],
    gradient: &mut [f32],
    keep: f32,
    mut gathered: Option<(&[f32], &mut [MaybeUninit<f32>])>,
) {
    let plan = Plan::new(geometry);
    let taps = gathered.as_ref().map(|(weight, _)| Taps::new(&plan, weight, Direction::Gather));
    let plane = plan.small_lanes() * plan.n_columns();
    let mut sorted = Scratch::take(plan.taps * plan.taps * plane); // [T, T, c, s²·o]
    for (first, n_images) in plan.blocks() {
        let coefficients = tiles::pulled_coefficients(&plan, &large[first * geometry.large_len()..], n_images); // [rows, s²·o]
        if let (Some((_, gathered)), Some(taps)) = (&mut gathered, &taps) {
            let block = &mut gathered[first * geometry.small_len()..][..n_images * geometry.small_len()];
            gather_block(&plan, n_images, &coefficients, taps, None, block);
        }
        let small = &small[first * geometry.small_len()..][..n_images * geometry.small_len()];
        let pixels = tiles::evaluated_pixels(&plan, small, n_images); // [rows, c]
        taps::add_tap_gradients(&plan, n_images, &pixels, &coefficients, &mut sorted, first > 0);
    }
    taps::add_unsorted(&plan, &sorted, gradient, keep);
}

fn gather_block(
    plan: &Plan,
    n_images: usize,
    coefficients: &[f32],
    taps: &Taps,
    bias: Option<&[f32]>,
    small: &mut [MaybeUninit<f32>],
) {
    let products = taps::multiply_points(plan, n_images, taps, coefficients); // [rows, c]
    tiles::write_small(plan, n_images, &products, bias, small);
}

/// Memory that tasks fill at places of their own.
#[derive(Clone, Copy)]
struct Places(*mut f32, usize);

// SAFETY: a place is only reached through `at`, whose callers vouch that no two tasks share one.
unsafe impl Send for Places {}
// SAFETY: as above.
unsafe impl Sync for Places {}

impl Places {
    fn new(values: &mut [f32]) -> Self {
        Self(values.as_mut_ptr(), values.len())
    }

    /// # Safety
    /// Nobody else may hold any of these elements.
    #[inline(always)]
    unsafe fn at<'a>(self, start: usize, len: usize) -> &'a mut [f32] {
        assert!(start + len <= self.1, "place out of bounds");
        // SAFETY: inside the slice; exclusive, as the caller vouches.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}
