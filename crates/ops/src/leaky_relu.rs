//! Leaky rectifier: y = x where x > 0, slope·x elsewhere; slope 0 is the plain rectifier.

use crate::Result;
use crate::fast_path::{Fresh, applies, values, vectorised, with_values};
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use rayon::prelude::*;

/// Elements that one task handles at a time.
const CHUNK: usize = 1 << 15;

/// Rectifies with a fixed slope.
///
/// # Shapes
/// Any shape, kept.
///
/// # Gradient
/// 1 where x > 0, `slope` elsewhere (at 0 as well, as PyTorch does).
///
/// # Errors
/// Only those of candle.
pub fn leaky_relu(x: &Tensor, slope: f64) -> Result<Tensor> {
    if !applies(&[x]) || x.elem_count() == 0 {
        return leaky_relu_portable(x, slope);
    }
    let slope = slope as f32;
    Ok(x.contiguous()?.apply_op1(LeakyRelu { slope })?)
}

/// The same as [`leaky_relu`], made of stock candle operators.
///
/// # Shapes
/// As [`leaky_relu`].
///
/// # Errors
/// As [`leaky_relu`].
pub fn leaky_relu_portable(x: &Tensor, slope: f64) -> Result<Tensor> {
    Ok(x.detach().gt(0f64)?.where_cond(x, &(x * slope)?)?)
}

/// `of` where x > 0, slope·`of` elsewhere.
pub(crate) fn rectified(x: &[f32], of: &[f32], slope: f32) -> Vec<f32> {
    assert_eq!(x.len(), of.len(), "a rectifier between different lengths");
    let mut result = Fresh::new(x.len());
    let chunks = result.places().par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).zip(of.par_chunks(CHUNK));
    chunks.for_each(|((to, x), of)| {
        vectorised(
            #[inline(always)]
            || {
                for ((to, &x), &of) in to.iter_mut().zip(x).zip(of) {
                    to.write(of * factor(x, slope));
                }
            },
        );
    });
    // SAFETY: x and `of` have the same length, so every element was written.
    unsafe { result.into_vec() }
}

/// x ← x where x > 0, slope·x elsewhere.
pub(crate) fn rectify_in_place(x: &mut [f32], slope: f32) {
    x.par_chunks_mut(CHUNK).for_each(|x| {
        vectorised(
            #[inline(always)]
            || x.iter_mut().for_each(|x| *x *= factor(*x, slope)),
        );
    });
}

/// What a value is multiplied by. A factor is chosen without a branch, which random signs would mispredict half of the
/// time.
#[inline(always)]
fn factor(x: f32, slope: f32) -> f32 {
    if x > 0.0 { 1.0 } else { slope }
}

struct LeakyRelu {
    slope: f32,
}

impl CustomOp1 for LeakyRelu {
    fn name(&self) -> &'static str {
        "leaky_relu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = values(storage, layout)?;
        Ok((CpuStorage::F32(rectified(x, x, self.slope)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let grad_x = with_values(&grad, |grad| with_values(x, |x| rectified(x, grad, self.slope)))??;
        Ok(Some(Tensor::from_vec(grad_x, x.shape(), x.device())?))
    }
}
