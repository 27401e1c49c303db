//! The three kernels behind convolution and transposed convolution, as products of polynomials.
//!
//! Both operators relate a small image to a large one: large[o, s·i − p + a] ↔ small[c, i]·w[c, o, a] (one dimension
//! of two shown). With a = s·t + r the large image falls apart into s phases r, and the phase is the coefficient list
//! of a product of polynomials: Y_r(z) = X(z)·W_r(z), where X has the pixels as coefficients and W_r the T = ⌈k/s⌉
//! taps of the phase. Nothing is scattered, and there is no image of columns.
//!
//! A product of degree P − 1 is known from its values at P points (Toom and Cook; Winograd's minimal filtering is its
//! adjoint). The image is cut into tiles of m = P + 1 − T pixels per dimension; tiles, taps and results are brought to
//! the P² points and back by fixed small matrices, and between them stand P² matrix products over the channels. They
//! multiply P²/m² times per pixel and phase, a direct product T² times: 1.6 (P = 5) against 4 for kernel 4, stride 2,
//! and 2.3 (P = 6) against 9 for kernel 3, stride 1.
//!
//! | kernel | map | transposed convolution | convolution |
//! |---|---|---|---|
//! | [`spread`] | small, w → large | forward | gradient of the input |
//! | [`gather`] | large, w → small | gradient of the input | forward |
//! | [`gradients`] | small, large → w | gradient of the weight | gradient of the weight |
//!
//! The points are 0, ∞, ±1, ±½ or ½, and 2 or −2. Rounding grows with their number: the largest error, measured
//! against 64-bit floats on the networks' shapes, is about 1e-5 of the result's largest value or less with up to seven
//! points, and 3e-5 with eight, which is why there are no more than seven.
//!
//! Source: Lavin and Gray, arXiv 1509.09308; the linear-convolution form with overlapping results is ours, because it
//! lets all phases share the transform of the small image.

use crate::matrix_product::{Matrix, MatrixMut, multiply};
use crate::scratch::Scratch;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Most points per dimension.
const MAX_POINTS: usize = 7;
/// Channels that a transform handles side by side: two AVX2 registers, one AVX-512 register.
const LANES: usize = 16;
/// Values in the largest intermediate of one block of images (64 MiB).
const BLOCK_VALUES: usize = 1 << 24;

type Lanes = [f32; LANES];
/// A tile, its points, or its coefficients, in rows of `MAX_POINTS`.
type Tile = [Lanes; MAX_POINTS * MAX_POINTS];

/// What a transform reads, its intermediate, and what it writes; made once for many tiles, because clearing it costs
/// more than a transform.
struct Workspace {
    from: Tile,
    half: Tile,
    to: Tile,
}

impl Workspace {
    #[inline(always)]
    fn new() -> Self {
        let zeros = [[0.0; LANES]; MAX_POINTS * MAX_POINTS];
        Self { from: zeros, half: zeros, to: zeros }
    }
}

/// Shapes of one convolution, whichever way it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) n: usize,
    pub(crate) small_channels: usize,
    pub(crate) large_channels: usize,
    pub(crate) small: [usize; 2],
    pub(crate) large: [usize; 2],
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

impl Geometry {
    fn small_len(&self) -> usize {
        self.small_channels * self.small[0] * self.small[1]
    }

    fn large_len(&self) -> usize {
        self.large_channels * self.large[0] * self.large[1]
    }

    /// Columns of the products: all phases of all large channels.
    fn columns(&self) -> usize {
        self.stride * self.stride * self.large_channels
    }

    fn taps(&self) -> usize {
        self.kernel.div_ceil(self.stride)
    }

    /// Whether the kernels below can serve it: a phase must have no more taps than there are points.
    pub(crate) fn is_supported(&self) -> bool {
        self.taps() <= MAX_POINTS
    }
}

/// A small matrix that acts on both dimensions of a tile.
#[derive(Debug, Clone, Copy)]
struct Transform {
    n_out: usize,
    n_in: usize,
    entries: [[f32; MAX_POINTS]; MAX_POINTS],
}

impl Transform {
    fn from_f64(rows: &[Vec<f64>]) -> Self {
        let mut entries = [[0.0; MAX_POINTS]; MAX_POINTS];
        for (to, from) in entries.iter_mut().zip(rows) {
            for (to, &from) in to.iter_mut().zip(from) {
                *to = from as f32;
            }
        }
        Self { n_out: rows.len(), n_in: rows.first().map_or(0, Vec::len), entries }
    }

    fn transposed(&self) -> Self {
        let mut entries = [[0.0; MAX_POINTS]; MAX_POINTS];
        for (i, row) in self.entries.iter().enumerate() {
            for (j, &entry) in row.iter().enumerate() {
                entries[j][i] = entry;
            }
        }
        Self { n_out: self.n_in, n_in: self.n_out, entries }
    }

    /// to ← M·from·Mᵀ, lane by lane. Lanes beyond the channels hold anything, and so do their results.
    #[inline(always)]
    fn apply(&self, tiles: &mut Workspace) {
        // Constants let the compiler unroll the sizes that matter most: kernel 4, stride 2.
        match (self.n_out, self.n_in) {
            (5, 5) => self.apply_sized(5, 5, tiles),
            (5, 4) => self.apply_sized(5, 4, tiles),
            (4, 5) => self.apply_sized(4, 5, tiles),
            (n_out, n_in) => self.apply_sized(n_out, n_in, tiles),
        }
    }

    #[inline(always)]
    fn apply_sized(&self, n_out: usize, n_in: usize, tiles: &mut Workspace) {
        let Workspace { from, half, to } = tiles;
        for o in 0..n_out {
            for j in 0..n_in {
                let mut sum = [0.0; LANES];
                for i in 0..n_in {
                    let factor = self.entries[o][i];
                    if factor != 0.0 {
                        add_scaled(&mut sum, factor, &from[i * MAX_POINTS + j]);
                    }
                }
                half[o * MAX_POINTS + j] = sum;
            }
        }
        for o in 0..n_out {
            for q in 0..n_out {
                let mut sum = [0.0; LANES];
                for j in 0..n_in {
                    let factor = self.entries[q][j];
                    if factor != 0.0 {
                        add_scaled(&mut sum, factor, &half[o * MAX_POINTS + j]);
                    }
                }
                to[o * MAX_POINTS + q] = sum;
            }
        }
    }
}

#[inline(always)]
fn add_scaled(sum: &mut Lanes, factor: f32, values: &Lanes) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

/// How a geometry is cut into tiles, and the matrices that belong to it.
#[derive(Debug, Clone, Copy)]
struct Plan {
    geometry: Geometry,
    /// Taps per phase and dimension, T.
    taps: usize,
    /// Points per dimension, P.
    points: usize,
    /// Pixels of a tile per dimension, m = P + 1 − T.
    tile: usize,
    /// Tiles per dimension.
    tiles: [usize; 2],
    /// Pixels of a tile → values at the points.
    evaluate_pixels: Transform,
    /// Taps → values at the points.
    evaluate_taps: Transform,
    /// Values at the points → coefficients of the product.
    interpolate: Transform,
}

impl Plan {
    fn new(geometry: &Geometry) -> Self {
        let taps = geometry.taps();
        let tiles_of = |points: usize| {
            let tile = points + 1 - taps;
            geometry.small.map(|len| len.div_ceil(tile))
        };
        // What a choice costs, in rows of the products; every point also has taps to make and to pack, which takes as
        // long as some 64 rows. Fewer points, which round less, where it is a draw.
        let points = (taps..=MAX_POINTS)
            .min_by_key(|&points| {
                let rows = geometry.n * tiles_of(points).iter().product::<usize>();
                points * points * (rows + 64)
            })
            .unwrap_or(taps);
        let tile = points + 1 - taps;
        Self {
            geometry: *geometry,
            taps,
            points,
            tile,
            tiles: tiles_of(points),
            evaluate_pixels: Transform::from_f64(&evaluation(points, tile)),
            evaluate_taps: Transform::from_f64(&evaluation(points, taps)),
            interpolate: Transform::from_f64(&inverse(evaluation(points, points))),
        }
    }

    fn n_tiles(&self) -> usize {
        self.tiles[0] * self.tiles[1]
    }

    fn n_points(&self) -> usize {
        self.points * self.points
    }

    /// Blocks of images, as (first image, number of images), small enough for the intermediates.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let geometry = self.geometry;
        let widest = geometry.small_channels.max(geometry.columns());
        let per_image = self.n_points() * self.n_tiles() * widest;
        let block = (BLOCK_VALUES / per_image).clamp(1, geometry.n);
        (0..geometry.n).step_by(block).map(move |first| (first, block.min(geometry.n - first)))
    }
}

/// The points in use when there are `points` of them; of the lists that were tried, these rounded least.
fn point_list(points: usize) -> &'static [f64] {
    const FEW: [f64; 6] = [0.0, f64::INFINITY, 1.0, -1.0, 0.5, -2.0];
    const MANY: [f64; 7] = [0.0, f64::INFINITY, 1.0, -1.0, 0.5, -0.5, 2.0];
    if points <= FEW.len() { &FEW[..points] } else { &MANY[..points] }
}

/// The matrix that takes `coefficients` coefficients to values at the points; at ∞ the value is the leading one.
fn evaluation(points: usize, coefficients: usize) -> Vec<Vec<f64>> {
    point_list(points)
        .iter()
        .map(|&point| {
            (0..coefficients)
                .map(|power| match point.is_infinite() {
                    true if power + 1 == coefficients => 1.0,
                    true => 0.0,
                    false => point.powi(power as i32),
                })
                .collect()
        })
        .collect()
}

/// Gauss–Jordan with pivoting; the matrices are evaluations at distinct points, which are never singular.
fn inverse(mut matrix: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let n = matrix.len();
    let mut result: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for column in 0..n {
        let pivot =
            (column..n).max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs())).unwrap_or(column);
        matrix.swap(column, pivot);
        result.swap(column, pivot);
        let scale = 1.0 / matrix[column][column];
        for rows in [&mut matrix, &mut result] {
            rows[column].iter_mut().for_each(|entry| *entry *= scale);
        }
        for row in (0..n).filter(|&row| row != column) {
            let factor = matrix[row][column];
            for rows in [&mut matrix, &mut result] {
                let pivot_row = rows[column].clone();
                for (entry, pivot) in rows[row].iter_mut().zip(pivot_row) {
                    *entry -= factor * pivot;
                }
            }
        }
    }
    result
}

/// large ← bias + Σ over channels and taps of small·w; `large` need not be initialised, and is afterwards.
///
/// `small` [n, c, h, w], `weight` [c, o, k, k], `bias` [o], `large` [n, o, h', w'].
pub(crate) fn spread(
    geometry: &Geometry,
    small: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    large: &mut [MaybeUninit<f32>],
) {
    let plan = Plan::new(geometry);
    let taps = sorted_taps(&plan, weight);
    let n_columns = geometry.columns();
    for (first, n_images) in plan.blocks() {
        let rows = n_images * plan.n_tiles();
        let small = &small[first * geometry.small_len()..][..n_images * geometry.small_len()];
        let mut products = Scratch::take(plan.n_points() * rows * n_columns); // [P², rows, s²·o]
        if plan.points == 1 {
            multiply_pixels(&plan, small, &taps, &mut products);
        } else {
            let pixels = evaluated_pixels(&plan, small, n_images); // [P², rows, c]
            multiply_points(&plan, rows, &taps, &pixels, &mut products, Direction::Spread);
        }
        let large = &mut large[first * geometry.large_len()..][..n_images * geometry.large_len()];
        large.par_chunks_exact_mut(geometry.large_len()).enumerate().for_each(|(image, large)| {
            let plane = geometry.large[0] * geometry.large[1];
            for (channel, plane) in large.chunks_exact_mut(plane).enumerate() {
                let value = bias.map_or(0.0, |bias| bias[channel]);
                for place in plane {
                    place.write(value);
                }
            }
            // SAFETY: the loop above wrote every element.
            let large = unsafe { large.assume_init_mut() };
            vectorised(
                #[inline(always)]
                || add_coefficients(&plan, rows, image, &products, large),
            );
        });
    }
}

/// small ← bias + Σ over large channels and taps of large·w; `small` need not be initialised, and is afterwards.
///
/// `large` [n, o, h', w'], `weight` [c, o, k, k], `bias` [c], `small` [n, c, h, w].
pub(crate) fn gather(
    geometry: &Geometry,
    large: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    small: &mut [MaybeUninit<f32>],
) {
    let plan = Plan::new(geometry);
    let taps = sorted_taps(&plan, weight);
    for (first, n_images) in plan.blocks() {
        let coefficients = pulled_coefficients(&plan, &large[first * geometry.large_len()..], n_images); // [P², rows, s²·o]
        let small = &mut small[first * geometry.small_len()..][..n_images * geometry.small_len()];
        gather_block(&plan, &coefficients, &taps, bias, small);
    }
}

/// Both gradients of a convolution or transposed convolution; they share the transform of the large image.
///
/// `gradient` ← keep·`gradient` + Σ small·large (not read when keep is 0), `[c, o, k, k]`; and, when
/// `weight` and `gathered` are given, gathered ← what [`gather`] makes of `large`.
pub(crate) fn gradients(
    geometry: &Geometry,
    small: &[f32],
    large: &[f32],
    gradient: &mut [f32],
    keep: f32,
    mut gathered: Option<(&[f32], &mut [MaybeUninit<f32>])>,
) {
    let plan = Plan::new(geometry);
    let taps = gathered.as_ref().map(|(weight, _)| sorted_taps(&plan, weight));
    let plane = geometry.small_channels * geometry.columns();
    let mut sorted = Scratch::take(plan.taps * plan.taps * plane); // [T, T, c, s²·o]
    for (first, n_images) in plan.blocks() {
        let coefficients = pulled_coefficients(&plan, &large[first * geometry.large_len()..], n_images); // [P², rows, s²·o]
        if let (Some((_, gathered)), Some(taps)) = (&mut gathered, &taps) {
            let block = &mut gathered[first * geometry.small_len()..][..n_images * geometry.small_len()];
            gather_block(&plan, &coefficients, taps, None, block);
        }
        let small = &small[first * geometry.small_len()..][..n_images * geometry.small_len()];
        if plan.points == 1 {
            add_pixel_gradients(&plan, small, &coefficients, &mut sorted, first > 0);
        } else {
            let pixels = evaluated_pixels(&plan, small, n_images); // [P², rows, c]
            add_tap_gradients(&plan, &pixels, &coefficients, &mut sorted, first > 0);
        }
    }
    unsort_taps(&plan, &sorted, gradient, keep);
}

fn gather_block(plan: &Plan, coefficients: &[f32], taps: &[f32], bias: Option<&[f32]>, small: &mut [MaybeUninit<f32>]) {
    let geometry = &plan.geometry;
    if plan.points == 1 {
        return gather_pixels(plan, coefficients, taps, bias, small);
    }
    let rows = small.len() / geometry.small_len() * plan.n_tiles();
    let mut products = Scratch::take(plan.n_points() * rows * geometry.small_channels); // [P², rows, c]
    multiply_points(plan, rows, taps, coefficients, &mut products, Direction::Gather);
    small.par_chunks_exact_mut(geometry.small_len()).enumerate().for_each(|(image, small)| {
        vectorised(
            #[inline(always)]
            || write_pixels(plan, rows, image, &products, bias, small),
        );
    });
}

/// [`spread`]'s products where a phase has one tap (kernel ≤ stride): pixels are then their own values, and are
/// multiplied where they lie, [h·w, c] · [c, s²·o] for every image.
fn multiply_pixels(plan: &Plan, small: &[f32], taps: &[f32], products: &mut [f32]) {
    let channels = plan.geometry.small_channels;
    let (n_pixels, n_columns) = (plan.n_tiles(), plan.geometry.columns());
    products.par_chunks_exact_mut(n_pixels * n_columns).zip(small.par_chunks_exact(channels * n_pixels)).for_each(
        |(products, small)| {
            let dst = MatrixMut::new(products, n_columns, 1);
            let lhs = Matrix::new(small, 1, n_pixels);
            let rhs = Matrix::new(taps, n_columns, 1);
            // SAFETY: the products of this image are this task's own and are not read.
            unsafe { multiply(dst, lhs, rhs, (n_pixels, n_columns, channels), 0.0) };
        },
    );
}

/// [`gather_block`] where a phase has one tap: [c, s²·o] · [s²·o, h·w] for every image, written where it belongs.
fn gather_pixels(
    plan: &Plan,
    coefficients: &[f32],
    taps: &[f32],
    bias: Option<&[f32]>,
    small: &mut [MaybeUninit<f32>],
) {
    let channels = plan.geometry.small_channels;
    let (n_pixels, n_columns) = (plan.n_tiles(), plan.geometry.columns());
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

/// [`add_tap_gradients`] where a phase has one tap: Σ over images, in their order, of [c, h·w] · [h·w, s²·o].
fn add_pixel_gradients(plan: &Plan, small: &[f32], coefficients: &[f32], sorted: &mut [f32], keep: bool) {
    const HEIGHT: usize = 32;
    let channels = plan.geometry.small_channels;
    let (n_pixels, n_columns) = (plan.n_tiles(), plan.geometry.columns());
    sorted.par_chunks_mut(HEIGHT * n_columns).enumerate().for_each(|(block, sorted)| {
        let height = sorted.len() / n_columns;
        let dst = MatrixMut::new(sorted, n_columns, 1);
        let images = small.chunks_exact(channels * n_pixels);
        let images = images.zip(coefficients.chunks_exact(n_pixels * n_columns));
        for (idx, (small, coefficients)) in images.enumerate() {
            let lhs = Matrix::new(small, n_pixels, 1).below(block * HEIGHT);
            let rhs = Matrix::new(coefficients, n_columns, 1);
            let kept = if keep || idx > 0 { 1.0 } else { 0.0 };
            // SAFETY: the block is this task's own, and is read only after it was written.
            unsafe { multiply(dst, lhs, rhs, (height, n_columns, n_pixels), kept) };
        }
    });
}

/// Runs `work` compiled for the vector instructions that this processor has; only what is inlined into it gains, so
/// closures and what they call are marked so.
#[inline(always)]
fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
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

/// The first channel of every group of lanes, with the number of channels in it.
fn lane_groups(channels: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..channels).step_by(LANES).map(move |first| (first, LANES.min(channels - first)))
}

/// The small images at the points: [P², rows, c], a row being one tile of one image.
fn evaluated_pixels(plan: &Plan, small: &[f32], n_images: usize) -> Scratch {
    let geometry = &plan.geometry;
    let rows = n_images * plan.n_tiles();
    let mut pixels = Scratch::take(plan.n_points() * rows * geometry.small_channels);
    let places = Places::new(&mut pixels);
    small.par_chunks_exact(geometry.small_len()).take(n_images).enumerate().for_each(|(image, small)| {
        // SAFETY: every image has rows of its own.
        vectorised(
            #[inline(always)]
            || unsafe { evaluate_image(plan, rows, image, small, places) },
        );
    });
    pixels
}

/// # Safety
/// Nobody else may use the rows of this image.
#[inline(always)]
unsafe fn evaluate_image(plan: &Plan, rows: usize, image: usize, small: &[f32], places: Places) {
    let channels = plan.geometry.small_channels;
    let [h, w] = plan.geometry.small;
    let mut tiles = Workspace::new();
    for tile in 0..plan.n_tiles() {
        let row = image * plan.n_tiles() + tile;
        let (top, left) = (tile / plan.tiles[1] * plan.tile, tile % plan.tiles[1] * plan.tile);
        for (first, n_lanes) in lane_groups(channels) {
            if plan.tile > (h - top).min(w - left) {
                tiles.from.fill([0.0; LANES]); // the tile hangs over the edge
            }
            for lane in 0..n_lanes {
                let plane = &small[(first + lane) * h * w..][..h * w];
                for i in 0..plan.tile.min(h - top) {
                    let line = &plane[(top + i) * w + left..][..plan.tile.min(w - left)];
                    for (j, &pixel) in line.iter().enumerate() {
                        tiles.from[i * MAX_POINTS + j][lane] = pixel;
                    }
                }
            }
            plan.evaluate_pixels.apply(&mut tiles);
            for point in 0..plan.n_points() {
                let value = &tiles.to[point / plan.points * MAX_POINTS + point % plan.points];
                // SAFETY: this image's row, for which the caller vouches.
                let place = unsafe { places.at((point * rows + row) * channels + first, n_lanes) };
                place.copy_from_slice(&value[..n_lanes]);
            }
        }
    }
}

/// The adjoint of interpolation, on the large images: [P², rows, s²·o].
fn pulled_coefficients(plan: &Plan, large: &[f32], n_images: usize) -> Scratch {
    let geometry = &plan.geometry;
    let rows = n_images * plan.n_tiles();
    let mut coefficients = Scratch::take(plan.n_points() * rows * geometry.columns());
    let places = Places::new(&mut coefficients);
    let pull = plan.interpolate.transposed();
    large.par_chunks_exact(geometry.large_len()).take(n_images).enumerate().for_each(|(image, large)| {
        // SAFETY: every image has rows of its own.
        vectorised(
            #[inline(always)]
            || unsafe { pull_image(plan, &pull, rows, image, large, places) },
        );
    });
    coefficients
}

/// The pixel of the large image that coefficient `q` of a phase belongs to, in one dimension, if it exists.
#[inline(always)]
fn large_pixel(plan: &Plan, dimension: usize, q: usize, phase: usize) -> Option<usize> {
    let geometry = &plan.geometry;
    // Coefficients past the product's degree are zero but for rounding.
    if q >= geometry.small[dimension] + plan.taps - 1 {
        return None;
    }
    (q * geometry.stride + phase).checked_sub(geometry.padding).filter(|&pixel| pixel < geometry.large[dimension])
}

/// Calls `visit` with every coefficient of a tile and phase that has a pixel, and the pixel's index in its plane.
#[inline(always)]
fn for_each_coefficient(plan: &Plan, tile: usize, phase: usize, mut visit: impl FnMut(usize, usize)) {
    let stride = plan.geometry.stride;
    let (top, left) = (tile / plan.tiles[1] * plan.tile, tile % plan.tiles[1] * plan.tile);
    for i in 0..plan.points {
        let Some(y) = large_pixel(plan, 0, top + i, phase / stride) else {
            continue;
        };
        for j in 0..plan.points {
            if let Some(x) = large_pixel(plan, 1, left + j, phase % stride) {
                visit(i * MAX_POINTS + j, y * plan.geometry.large[1] + x);
            }
        }
    }
}

/// # Safety
/// Nobody else may use the rows of this image.
#[inline(always)]
unsafe fn pull_image(plan: &Plan, pull: &Transform, rows: usize, image: usize, large: &[f32], places: Places) {
    let geometry = &plan.geometry;
    let (channels, n_columns) = (geometry.large_channels, geometry.columns());
    let plane = geometry.large[0] * geometry.large[1];
    let mut tiles = Workspace::new();
    for tile in 0..plan.n_tiles() {
        let row = image * plan.n_tiles() + tile;
        for phase in 0..geometry.stride * geometry.stride {
            for (first, n_lanes) in lane_groups(channels) {
                if plan.points > 1 {
                    tiles.from.fill([0.0; LANES]); // some coefficients have no pixel
                } else {
                    tiles.from[0] = [0.0; LANES];
                }
                let planes = &large[first * plane..][..n_lanes * plane];
                for_each_coefficient(plan, tile, phase, |index, pixel| {
                    for lane in 0..n_lanes {
                        tiles.from[index][lane] = planes[lane * plane + pixel];
                    }
                });
                pull.apply(&mut tiles);
                for point in 0..plan.n_points() {
                    let value = &tiles.to[point / plan.points * MAX_POINTS + point % plan.points];
                    let start = (point * rows + row) * n_columns + phase * channels + first;
                    // SAFETY: this image's row, for which the caller vouches.
                    let place = unsafe { places.at(start, n_lanes) };
                    place.copy_from_slice(&value[..n_lanes]);
                }
            }
        }
    }
}

/// Interpolates the products of one image and adds the coefficients to its pixels; neighbouring tiles overlap.
#[inline(always)]
fn add_coefficients(plan: &Plan, rows: usize, image: usize, products: &[f32], large: &mut [f32]) {
    let geometry = &plan.geometry;
    let (channels, n_columns) = (geometry.large_channels, geometry.columns());
    let plane = geometry.large[0] * geometry.large[1];
    let mut tiles = Workspace::new();
    for (first, n_lanes) in lane_groups(channels) {
        let planes = &mut large[first * plane..][..n_lanes * plane];
        for tile in 0..plan.n_tiles() {
            let row = image * plan.n_tiles() + tile;
            for phase in 0..geometry.stride * geometry.stride {
                for point in 0..plan.n_points() {
                    let start = (point * rows + row) * n_columns + phase * channels + first;
                    tiles.from[point / plan.points * MAX_POINTS + point % plan.points][..n_lanes]
                        .copy_from_slice(&products[start..][..n_lanes]);
                }
                plan.interpolate.apply(&mut tiles);
                for_each_coefficient(plan, tile, phase, |index, pixel| {
                    for lane in 0..n_lanes {
                        planes[lane * plane + pixel] += tiles.to[index][lane];
                    }
                });
            }
        }
    }
}

/// The adjoint of evaluation, from the products to the pixels of one small image; tiles do not overlap.
#[inline(always)]
fn write_pixels(
    plan: &Plan,
    rows: usize,
    image: usize,
    products: &[f32],
    bias: Option<&[f32]>,
    small: &mut [MaybeUninit<f32>],
) {
    let channels = plan.geometry.small_channels;
    let [h, w] = plan.geometry.small;
    let collect = plan.evaluate_pixels.transposed();
    let mut tiles = Workspace::new();
    for (first, n_lanes) in lane_groups(channels) {
        for tile in 0..plan.n_tiles() {
            let row = image * plan.n_tiles() + tile;
            let (top, left) = (tile / plan.tiles[1] * plan.tile, tile % plan.tiles[1] * plan.tile);
            for point in 0..plan.n_points() {
                let start = (point * rows + row) * channels + first;
                tiles.from[point / plan.points * MAX_POINTS + point % plan.points][..n_lanes]
                    .copy_from_slice(&products[start..][..n_lanes]);
            }
            collect.apply(&mut tiles);
            for lane in 0..n_lanes {
                let shift = bias.map_or(0.0, |bias| bias[first + lane]);
                for i in 0..plan.tile.min(h - top) {
                    let start = ((first + lane) * h + top + i) * w + left;
                    for (j, place) in small[start..][..plan.tile.min(w - left)].iter_mut().enumerate() {
                        place.write(tiles.to[i * MAX_POINTS + j][lane] + shift);
                    }
                }
            }
        }
    }
}

/// The weight with its taps outermost: [T, T, c, s²·o], zero where a phase has no such tap.
fn sorted_taps(plan: &Plan, weight: &[f32]) -> Scratch {
    let Geometry { large_channels, kernel, stride, .. } = plan.geometry;
    let n_columns = plan.geometry.columns();
    let plane = plan.geometry.small_channels * n_columns;
    let mut sorted = Scratch::take(plan.taps * plan.taps * plane);
    let places = Places::new(&mut sorted);
    weight.par_chunks_exact(large_channels * kernel * kernel).enumerate().for_each(|(channel, weight)| {
        for tap in 0..plan.taps * plan.taps {
            // SAFETY: this channel's row, which no other task touches.
            let row = unsafe { places.at(tap * plane + channel * n_columns, n_columns) };
            for (phase, row) in row.chunks_exact_mut(large_channels).enumerate() {
                let a = tap / plan.taps * stride + phase / stride;
                let e = tap % plan.taps * stride + phase % stride;
                if a < kernel && e < kernel {
                    for (place, square) in row.iter_mut().zip(weight.chunks_exact(kernel * kernel)) {
                        *place = square[a * kernel + e];
                    }
                } else {
                    row.fill(0.0);
                }
            }
        }
    });
    sorted
}

/// The inverse of [`sorted_taps`]: gradient ← keep·gradient + what was sorted.
fn unsort_taps(plan: &Plan, sorted: &[f32], gradient: &mut [f32], keep: f32) {
    let Geometry { large_channels, kernel, stride, .. } = plan.geometry;
    let n_columns = plan.geometry.columns();
    let plane = plan.geometry.small_channels * n_columns;
    gradient.par_chunks_exact_mut(large_channels * kernel * kernel).enumerate().for_each(|(channel, gradient)| {
        if keep == 0.0 {
            gradient.fill(0.0);
        }
        for a in 0..kernel {
            for e in 0..kernel {
                let tap = a / stride * plan.taps + e / stride;
                let phase = a % stride * stride + e % stride;
                let start = tap * plane + channel * n_columns + phase * large_channels;
                let squares = gradient.chunks_exact_mut(kernel * kernel);
                for (square, &value) in squares.zip(&sorted[start..][..large_channels]) {
                    square[a * kernel + e] += value;
                }
            }
        }
    });
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// [rows, c] · [c, s²·o]
    Spread,
    /// [rows, s²·o] · [s²·o, c]
    Gather,
}

/// The P² products with the taps at the points, which are made block by block as they are needed.
fn multiply_points(plan: &Plan, rows: usize, taps: &[f32], values: &[f32], products: &mut [f32], direction: Direction) {
    let channels = plan.geometry.small_channels;
    let n_columns = plan.geometry.columns();
    let (n_in, n_out) = match direction {
        Direction::Spread => (channels, n_columns),
        Direction::Gather => (n_columns, channels),
    };
    // The taps of a block, made for one line of points at a time, should stay in the second-level cache.
    let block = (1 << 17).min(n_in * n_out).div_ceil(n_in).max(32).min(n_out);
    let n_blocks = n_out.div_ceil(block);
    let wanted = 4 * rayon::current_num_threads();
    let n_parts = wanted.div_ceil(plan.points * n_blocks).min(rows.div_ceil(64));
    let part = rows.div_ceil(n_parts);
    let dst = MatrixMut::new(products, n_out, 1);
    (0..plan.points * n_blocks * n_parts).into_par_iter().for_each(|task| {
        let (line, block_idx, part_idx) = (task / (n_blocks * n_parts), task / n_parts % n_blocks, task % n_parts);
        let first_out = block_idx * block;
        let width = block.min(n_out - first_out);
        let first_row = part_idx * part;
        let height = part.min(rows.saturating_sub(first_row));
        if height == 0 {
            return;
        }
        let (block_channels, block_columns) = match direction {
            Direction::Spread => (0..channels, first_out..first_out + width),
            Direction::Gather => (first_out..first_out + width, 0..n_columns),
        };
        let blended = LineOfTaps::new(plan, taps, line, block_channels, block_columns);
        let mut at_point = Scratch::take(blended.len());
        for column in 0..plan.points {
            let point = line * plan.points + column;
            vectorised(
                #[inline(always)]
                || blended.evaluate(plan, column, &mut at_point),
            );
            let weight = Matrix::new(&at_point, blended.n_columns, 1); // [c, s²·o] of the block
            let rhs = match direction {
                Direction::Spread => weight,
                Direction::Gather => weight.transposed(),
            };
            let row = point * rows + first_row;
            let lhs = Matrix::new(values, n_in, 1).below(row);
            // SAFETY: tasks write disjoint blocks of the products, which are not read.
            unsafe {
                multiply(dst.offset(row, first_out), lhs, rhs, (height, width, n_in), 0.0);
            }
        }
    });
}

/// A block of taps, already evaluated in the first dimension: [T, c, s²·o] of the block.
struct LineOfTaps {
    values: Scratch,
    n_channels: usize,
    n_columns: usize,
}

impl LineOfTaps {
    fn new(
        plan: &Plan,
        taps: &[f32],
        line: usize,
        channels: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
    ) -> Self {
        let all_columns = plan.geometry.columns();
        let plane = plan.geometry.small_channels * all_columns;
        let (n_channels, n_columns) = (channels.len(), columns.len());
        let mut values = Scratch::take(plan.taps * n_channels * n_columns);
        vectorised(
            #[inline(always)]
            || {
                let rows = values.chunks_exact_mut(n_columns).enumerate();
                for (idx, to) in rows {
                    let (second, channel) = (idx / n_channels, channels.start + idx % n_channels);
                    to.fill(0.0);
                    for first in 0..plan.taps {
                        let factor = plan.evaluate_taps.entries[line][first];
                        if factor != 0.0 {
                            let start = (first * plan.taps + second) * plane + channel * all_columns + columns.start;
                            add_scaled_slice(to, factor, &taps[start..][..n_columns]);
                        }
                    }
                }
            },
        );
        Self { values, n_channels, n_columns }
    }

    fn len(&self) -> usize {
        self.n_channels * self.n_columns
    }

    /// Evaluates in the second dimension: [c, s²·o] of the block.
    #[inline(always)]
    fn evaluate(&self, plan: &Plan, column: usize, to: &mut [f32]) {
        let planes = self.values.chunks_exact(self.len());
        let factors = &plan.evaluate_taps.entries[column];
        let mut is_first = true;
        for (plane, &factor) in planes.zip(factors) {
            if factor == 0.0 {
                continue;
            }
            if is_first {
                for (to, from) in to.iter_mut().zip(plane) {
                    *to = factor * from;
                }
                is_first = false;
            } else {
                add_scaled_slice(to, factor, plane);
            }
        }
    }
}

#[inline(always)]
fn add_scaled_slice(to: &mut [f32], factor: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// sorted ← (sorted when `keep`) + Σ over points of evaluationᵀ·(pixelsᵀ·coefficients), [T, T, c, s²·o].
fn add_tap_gradients(plan: &Plan, pixels: &[f32], coefficients: &[f32], sorted: &mut [f32], keep: bool) {
    let channels = plan.geometry.small_channels;
    let n_columns = plan.geometry.columns();
    let rows = pixels.len() / (plan.n_points() * channels);
    let plane = channels * n_columns;
    // A block's product and its T² sums should stay in the second-level cache.
    let height = channels.min(if n_columns >= 128 { 128 } else { 32 });
    let width = n_columns.min(256);
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
        for line in 0..plan.points {
            line_sums.fill(0.0);
            for column in 0..plan.points {
                let point = line * plan.points + column;
                let lhs = Matrix::new(&pixels[point * rows * channels + top..], 1, channels); // [c, rows]
                let rhs = Matrix::new(&coefficients[point * rows * n_columns + left..], n_columns, 1); // [rows, s²·o]
                let dst = MatrixMut::new(&mut product, width, 1);
                // SAFETY: the product is this task's own and is not read.
                unsafe { multiply(dst, lhs, rhs, (height, width, rows), 0.0) };
                vectorised(
                    #[inline(always)]
                    || {
                        for (tap, sum) in line_sums.chunks_exact_mut(size).enumerate() {
                            let factor = plan.evaluate_taps.entries[column][tap];
                            if factor != 0.0 {
                                add_scaled_slice(sum, factor, &product);
                            }
                        }
                    },
                );
            }
            vectorised(
                #[inline(always)]
                || {
                    for (tap, sums) in sums.chunks_exact_mut(plan.taps * size).enumerate() {
                        let factor = plan.evaluate_taps.entries[line][tap];
                        if factor != 0.0 {
                            add_scaled_slice(sums, factor, &line_sums);
                        }
                    }
                },
            );
        }
        for (row, sums) in sums.chunks_exact(width).enumerate() {
            let (tap, channel) = (row / height, top + row % height);
            // SAFETY: tasks write disjoint blocks.
            let to = unsafe { places.at(tap * plane + channel * n_columns + left, width) };
            if keep {
                add_scaled_slice(to, 1.0, sums);
            } else {
                to.copy_from_slice(sums);
            }
        }
    });
}
