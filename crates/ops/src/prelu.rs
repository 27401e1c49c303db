//! Parametric rectifier: y = x where x > 0, slope[c]·x elsewhere (He et al., arXiv 1502.01852).

use crate::fast_path::{Fresh, applies, values, with_values};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor};
use rayon::prelude::*;
use std::mem::MaybeUninit;

const OPERATOR: &str = "prelu";

/// Rectifies with one learned slope per channel.
///
/// # Shapes
/// `x` [n, c, …], `slope` [c] → the shape of `x`.
///
/// # Gradient
/// With respect to both. At x = 0 the slope's side is taken, as PyTorch does.
///
/// # Errors
/// [`Error::Shape`] when `slope` has another length than the channels of `x`, or `x` is empty.
pub fn prelu(x: &Tensor, slope: &Tensor) -> Result<Tensor> {
    validate(x, slope)?;
    if !applies(&[x, slope]) {
        return prelu_portable(x, slope);
    }
    Ok(x.contiguous()?.apply_op2(&slope.contiguous()?, Prelu)?)
}

/// The same as [`prelu`], made of stock candle operators.
///
/// # Shapes
/// As [`prelu`].
///
/// # Errors
/// As [`prelu`].
pub fn prelu_portable(x: &Tensor, slope: &Tensor) -> Result<Tensor> {
    validate(x, slope)?;
    let mut slope_dims = vec![1; x.rank()];
    slope_dims[1] = slope.elem_count();
    let scaled = x.broadcast_mul(&slope.reshape(slope_dims)?)?; // [n, c, …]
    Ok(x.detach().gt(0f64)?.where_cond(x, &scaled)?)
}

fn validate(x: &Tensor, slope: &Tensor) -> Result<()> {
    if x.rank() >= 2 && x.elem_count() > 0 && slope.dims() == [x.dims()[1]] {
        return Ok(());
    }
    Err(Error::Shape {
        operator: OPERATOR,
        expected: "x [n, c, …], not empty, and slope [c]".into(),
        found: format!("x {:?}, slope {:?}", x.dims(), slope.dims()),
    })
}

struct Prelu;

impl CustomOp2 for Prelu {
    fn name(&self) -> &'static str {
        OPERATOR
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let y = rectified(values(s1, l1)?, values(s2, l2)?, l1.dims()[0]);
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        slope: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let n = x.dim(0)?;
        let (grad_x, grad_slope) =
            with_values(&grad, |grad| with_values(x, |x| with_values(slope, |slope| pass_back(x, grad, slope, n))))???;
        Ok((
            Some(Tensor::from_vec(grad_x, x.shape(), x.device())?),
            Some(Tensor::from_vec(grad_slope, slope.shape(), slope.device())?),
        ))
    }
}

/// x [n, c, …] rectified with slopes [c].
pub(crate) fn rectified(x: &[f32], slope: &[f32], n: usize) -> Vec<f32> {
    let sample = x.len() / n;
    let plane = sample / slope.len();
    let mut y = Fresh::new(x.len());
    y.places().par_chunks_exact_mut(sample).zip(x.par_chunks_exact(sample)).for_each(|(y, x)| {
        if plane == 1 {
            rectify(y, x, slope.iter().copied());
        } else {
            let lines = y.chunks_exact_mut(plane).zip(x.chunks_exact(plane));
            for ((y, x), &slope) in lines.zip(slope) {
                rectify(y, x, std::iter::repeat(slope));
            }
        }
    });
    // SAFETY: the samples cover everything, and every element of a sample was written.
    unsafe { y.into_vec() }
}

/// The gradients of x [n, c, …] and of the slopes [c].
pub(crate) fn pass_back(x: &[f32], grad: &[f32], slope: &[f32], n: usize) -> (Vec<f32>, Vec<f32>) {
    assert_eq!(x.len(), grad.len(), "a rectifier between different lengths");
    let channels = slope.len();
    let sample = x.len() / n;
    let plane = sample / channels;
    let mut grad_x = Fresh::new(x.len());
    // Every sample has sums of its own, which are added in their order: the same bytes every time.
    let mut sums = vec![0.0f32; n * channels];
    grad_x
        .places()
        .par_chunks_exact_mut(sample)
        .zip(x.par_chunks_exact(sample))
        .zip(grad.par_chunks_exact(sample))
        .zip(sums.par_chunks_exact_mut(channels))
        .for_each(|(((grad_x, x), grad), sums)| {
            if plane == 1 {
                scale_below_zero(grad_x, x, grad, slope.iter().copied());
                for ((sum, &x), &grad) in sums.iter_mut().zip(x).zip(grad) {
                    *sum = x.min(0.0) * grad;
                }
                return;
            }
            for (channel, &slope) in slope.iter().enumerate() {
                let line = channel * plane..(channel + 1) * plane;
                let (x, grad) = (&x[line.clone()], &grad[line.clone()]);
                scale_below_zero(&mut grad_x[line], x, grad, std::iter::repeat(slope));
                sums[channel] = lane_sum_below_zero(x, grad);
            }
        });
    let mut grad_slope = vec![0.0f64; channels];
    for sums in sums.chunks_exact(channels) {
        for (total, &sum) in grad_slope.iter_mut().zip(sums) {
            *total += f64::from(sum);
        }
    }
    // SAFETY: the samples cover everything, and every element of a sample was written.
    let grad_x = unsafe { grad_x.into_vec() };
    (grad_x, grad_slope.into_iter().map(|sum| sum as f32).collect())
}

#[inline(always)]
fn rectify(y: &mut [MaybeUninit<f32>], x: &[f32], slopes: impl Iterator<Item = f32>) {
    for ((y, &x), slope) in y.iter_mut().zip(x).zip(slopes) {
        y.write(if x > 0.0 { x } else { slope * x });
    }
}

#[inline(always)]
fn scale_below_zero(grad_x: &mut [MaybeUninit<f32>], x: &[f32], grad: &[f32], slopes: impl Iterator<Item = f32>) {
    for (((to, &x), &grad), slope) in grad_x.iter_mut().zip(x).zip(grad).zip(slopes) {
        to.write(if x > 0.0 { grad } else { slope * grad });
    }
}

/// Σ min(x, 0)·grad in eight interleaved parts, which the compiler can vectorise; the order is fixed.
fn lane_sum_below_zero(x: &[f32], grad: &[f32]) -> f32 {
    let mut parts = [0.0f32; 8];
    let (x_chunks, grad_chunks) = (x.chunks_exact(8), grad.chunks_exact(8));
    let rest = x_chunks.remainder().iter().zip(grad_chunks.remainder());
    let rest: f32 = rest.map(|(x, grad)| x.min(0.0) * grad).sum();
    for (x, grad) in x_chunks.zip(grad_chunks) {
        for ((part, x), grad) in parts.iter_mut().zip(x).zip(grad) {
            *part += x.min(0.0) * grad;
        }
    }
    parts.iter().sum::<f32>() + rest
}
