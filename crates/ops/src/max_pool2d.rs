//! Maximum over windows: y[n,c,i,j] = max x[n,c,i·s+a,j·s+e] over 0 ≤ a < k, 0 ≤ e < k.
//!
//! The fast path sorts the columns of an image by their remainder modulo the stride: what all windows of a row read at
//! one tap then lies side by side, and one vector instruction serves several windows. The gradient looks for the
//! maxima again instead of keeping their places, so that a forward pass without gradient pays nothing for them.

use crate::fast_path::{Fresh, applies, values, with_values};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use rayon::prelude::*;
use std::mem::MaybeUninit;

const OPERATOR: &str = "max_pool2d";

/// Windows handled together: rows of windows are filled up to a multiple of it, so that no loop has a scalar rest.
const LANES: usize = 8;

/// How the window moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool2dConfig {
    /// Side of the window; at least 1 and at most that of the image.
    pub kernel: usize,
    /// Step of the window; at least 1.
    pub stride: usize,
    /// Whether windows may hang over the bottom and right edges (Caffe's rule), so that no pixel goes unread while
    /// stride ≤ kernel; every window starts inside the image.
    pub ceil_mode: bool,
}

/// Takes the maximum of every window, without padding.
///
/// # Shapes
/// `x` [n, c, h, w] → [n, c, (h − k)/s + 1, (w − k)/s + 1], where the quotients are rounded down, or up in `ceil_mode`.
///
/// # Gradient
/// It goes to the first maximum of a window in row-major order, as in PyTorch; where windows overlap it adds up. A NaN
/// counts as larger than every number: a window that holds one gives NaN, and its gradient goes to the first of them.
///
/// # Errors
/// [`Error::Shape`] when `x` is not [n, c, h, w] of floating-point numbers, is empty or smaller than the window, or when
/// the window or the stride is 0.
pub fn max_pool2d(x: &Tensor, config: MaxPool2dConfig) -> Result<Tensor> {
    let operator = validate(x, config)?;
    if !applies(&[x]) {
        return max_pool2d_portable(x, config);
    }
    Ok(x.contiguous()?.apply_op1(operator)?)
}

/// The same as [`max_pool2d`], made of stock candle operators.
///
/// # Shapes
/// As [`max_pool2d`].
///
/// # Gradient
/// As [`max_pool2d`]. Candle's own pooling has none for overlapping windows, so the places of the maxima are found
/// without gradient and read with one.
///
/// # Errors
/// As [`max_pool2d`].
pub fn max_pool2d_portable(x: &Tensor, config: MaxPool2dConfig) -> Result<Tensor> {
    let MaxPool2d { kernel, stride, large: [h, w], small: [small_h, small_w] } = validate(x, config)?;
    let (n, c, _, _) = x.dims4()?;
    let (detached, device) = (x.detach().contiguous()?, x.device());
    // A window that hangs over the edge reads its last row or column again there, which changes no maximum.
    let read = |windows: usize, tap: usize, len: usize| -> Vec<u32> {
        (0..windows).map(|i| (i * stride + tap).min(len - 1) as u32).collect()
    };
    // What every window reads at a tap, and where: [n, c, oh, ow].
    let at = |tap: usize| -> Result<(Tensor, Tensor)> {
        let (rows, columns) = (read(small_h, tap / kernel, h), read(small_w, tap % kernel, w));
        let places: Vec<u32> = rows.iter().flat_map(|row| columns.iter().map(move |j| row * w as u32 + j)).collect();
        let value = detached.index_select(&Tensor::new(rows, device)?, 2)?; // [n, c, oh, w]
        let value = value.index_select(&Tensor::new(columns, device)?, 3)?; // [n, c, oh, ow]
        let place = Tensor::from_vec(places, (1, 1, small_h, small_w), device)?.broadcast_as(value.shape())?;
        Ok((value, place))
    };
    let (mut best, mut places) = at(0)?;
    for tap in 1..kernel * kernel {
        let (value, place) = at(tap)?;
        // NaN is the one value that does not equal itself.
        let is_first_nan = (value.ne(&value)? * best.eq(&best)?)?;
        let is_better = (value.gt(&best)? + is_first_nan)?;
        best = is_better.where_cond(&value, &best)?;
        places = is_better.where_cond(&place, &places)?;
    }
    let places = places.reshape((n, c, small_h * small_w))?; // [n, c, oh·ow]
    let y = x.reshape((n, c, h * w))?.gather(&places.contiguous()?, 2)?; // [n, c, oh·ow]
    Ok(y.reshape((n, c, small_h, small_w))?)
}

fn validate(x: &Tensor, config: MaxPool2dConfig) -> Result<MaxPool2d> {
    let MaxPool2dConfig { kernel, stride, .. } = config;
    match *x.dims() {
        [_, _, h, w]
            if x.elem_count() > 0 && x.dtype().is_float() && stride > 0 && kernel > 0 && kernel <= h && kernel <= w =>
        {
            let windows = |len: usize| {
                let steps = if config.ceil_mode { (len - kernel).div_ceil(stride) } else { (len - kernel) / stride };
                // Rounding up with a stride beyond the kernel can end outside the image, but no more than one step.
                if steps * stride < len { steps + 1 } else { steps }
            };
            Ok(MaxPool2d { kernel, stride, large: [h, w], small: [windows(h), windows(w)] })
        }
        _ => Err(Error::Shape {
            operator: OPERATOR,
            expected: "x [n, c, h, w] of floating-point numbers, not empty, 1 ≤ kernel ≤ h and w, stride ≥ 1".into(),
            found: format!("x {:?} of {:?}, kernel {kernel}, stride {stride}", x.dims(), x.dtype()),
        }),
    }
}

struct MaxPool2d {
    kernel: usize,
    stride: usize,
    /// Height and width of the image.
    large: [usize; 2],
    /// Windows above each other and side by side.
    small: [usize; 2],
}

impl MaxPool2d {
    /// Windows of a row, filled up to whole vectors.
    fn lanes(&self) -> usize {
        self.small[1].next_multiple_of(LANES)
    }

    /// Columns with one remainder modulo the stride that the windows of a row and the lanes beyond them read.
    fn columns(&self) -> usize {
        self.lanes() + (self.kernel - 1) / self.stride
    }

    /// Remainders modulo the stride that the windows read at all.
    fn remainders(&self) -> usize {
        self.kernel.min(self.stride)
    }

    /// The length of a row whose columns are sorted: [remainders, columns].
    fn sorted_len(&self) -> usize {
        self.remainders() * self.columns()
    }

    /// Where tap `e` of the first window lies in a sorted row; the other windows' follow.
    fn tap(&self, e: usize) -> usize {
        e % self.stride * self.columns() + e / self.stride
    }

    /// The image's rows that the windows of row `i` read: those inside.
    fn rows(&self, i: usize) -> std::ops::Range<usize> {
        i * self.stride..(i * self.stride + self.kernel).min(self.large[0])
    }

    /// Sorts the columns of a row by their remainder; what lies beyond the edge keeps its value.
    fn sort(&self, row: &[f32], sorted: &mut [f32]) {
        for (remainder, sorted) in sorted.chunks_exact_mut(self.columns()).enumerate() {
            for (to, &value) in sorted.iter_mut().zip(row[remainder..].iter().step_by(self.stride)) {
                *to = value;
            }
        }
    }

    fn forward(&self, x: &[f32], y: &mut [MaybeUninit<f32>]) {
        let ([h, w], [small_h, small_w]) = (self.large, self.small);
        let planes = y.par_chunks_exact_mut(small_h * small_w).zip(x.par_chunks_exact(h * w));
        let workspace = || {
            // Beyond the edge lies what no maximum can be smaller than.
            (vec![0.0; w], vec![f32::NEG_INFINITY; self.sorted_len()], vec![0.0; self.lanes()])
        };
        planes.for_each_init(workspace, |(row, sorted, best), (y, x)| {
            for (i, y) in y.chunks_exact_mut(small_w).enumerate() {
                let rows = self.rows(i);
                row.copy_from_slice(&x[rows.start * w..][..w]);
                for next in x[(rows.start + 1) * w..rows.end * w].chunks_exact(w) {
                    keep_larger(row, next);
                }
                self.sort(row, sorted);
                best.copy_from_slice(&sorted[..self.lanes()]);
                for e in 1..self.kernel {
                    keep_larger(best, &sorted[self.tap(e)..][..self.lanes()]);
                }
                for (to, &value) in y.iter_mut().zip(best.iter()) {
                    to.write(value);
                }
            }
        });
    }

    fn backward(&self, x: &[f32], y: &[f32], grad: &[f32], grad_x: &mut [MaybeUninit<f32>]) {
        let ([h, w], [small_h, small_w]) = (self.large, self.small);
        let planes = grad_x
            .par_chunks_exact_mut(h * w)
            .zip(x.par_chunks_exact(h * w))
            .zip(y.par_chunks_exact(small_h * small_w))
            .zip(grad.par_chunks_exact(small_h * small_w));
        let sorted_len = self.sorted_len();
        // Where the taps of a window lie: in the sorted plane, counted from the window's row, and in the plane.
        let taps: Vec<(usize, u32)> = (0..self.kernel * self.kernel)
            .map(|tap| (tap / self.kernel, tap % self.kernel))
            .map(|(a, e)| (a * sorted_len + self.tap(e), (a * w + e) as u32))
            .collect();
        let workspace = || Workspace {
            x: vec![f32::NEG_INFINITY; h * sorted_len],
            y: vec![0.0; self.lanes()],
            places: vec![0; self.lanes()],
            grad_x: vec![0.0; h * w],
        };
        planes.for_each_init(workspace, |space, (((grad_x, x), y), grad)| {
            for (sorted, row) in space.x.chunks_exact_mut(sorted_len).zip(x.chunks_exact(w)) {
                self.sort(row, sorted);
            }
            space.grad_x.fill(0.0);
            for (i, (y, grad)) in y.chunks_exact(small_w).zip(grad.chunks_exact(small_w)).enumerate() {
                let rows = self.rows(i);
                space.y[..small_w].copy_from_slice(y);
                let x = &space.x[rows.start * sorted_len..];
                find_first(&space.y, x, &taps[..rows.len() * self.kernel], &mut space.places);
                let grad_x = &mut space.grad_x[rows.start * w..];
                for (j, (grad, &place)) in grad.iter().zip(&space.places).enumerate() {
                    grad_x[j * self.stride + place as usize] += grad;
                }
            }
            grad_x.write_copy_of_slice(&space.grad_x);
        });
    }
}

/// What the gradient of one plane needs.
struct Workspace {
    /// The image, the columns of every row sorted.
    x: Vec<f32>,
    /// The maxima of one row of windows.
    y: Vec<f32>,
    /// Where these were found, in the plane, counted from the window's first pixel.
    places: Vec<u32>,
    grad_x: Vec<f32>,
}

/// Finds the first tap of every window of a row that holds its maximum `y`.
fn find_first(y: &[f32], x: &[f32], taps: &[(usize, u32)], places: &mut [u32]) {
    let (y, _) = y.as_chunks::<LANES>();
    let (places, _) = places.as_chunks_mut::<LANES>();
    for (block, (y, places)) in y.iter().zip(places).enumerate() {
        let mut first = [0; LANES];
        // From the last to the first: an earlier tap takes the place of a later one.
        for &(at, place) in taps.iter().rev() {
            let x = &x[at + block * LANES..][..LANES];
            for ((first, y), x) in first.iter_mut().zip(y).zip(x) {
                *first = if (x == y) | x.is_nan() { place } else { *first };
            }
        }
        *places = first;
    }
}

/// best ← max(best, values); NaN wins.
fn keep_larger(best: &mut [f32], values: &[f32]) {
    for (best, &value) in best.iter_mut().zip(values) {
        let larger = if *best > value { *best } else { value };
        *best = if best.is_nan() { *best } else { larger };
    }
}

impl CustomOp1 for MaxPool2d {
    fn name(&self) -> &'static str {
        OPERATOR
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, c, _, _) = layout.shape().dims4()?;
        let shape = Shape::from((n, c, self.small[0], self.small[1]));
        let mut y = Fresh::new(shape.elem_count());
        self.forward(values(storage, layout)?, y.places());
        // SAFETY: the planes cover everything, and every window of a plane was written.
        let y = unsafe { y.into_vec() };
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let mut grad_x = Fresh::new(x.elem_count());
        let grad = grad.contiguous()?;
        with_values(x, |x| {
            with_values(y, |y| with_values(&grad, |grad| self.backward(x, y, grad, grad_x.places())))
        })???;
        // SAFETY: the planes cover everything, and every element of a plane was written.
        let grad_x = unsafe { grad_x.into_vec() };
        Ok(Some(Tensor::from_vec(grad_x, x.shape(), x.device())?))
    }
}
