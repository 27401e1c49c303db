//! Squared error as Caffe's EuclideanLoss has it: Σ (p − t)² / (2·n), n the batch size.

use crate::fast_path::{Fresh, applies, values, with_values};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor};
use rayon::prelude::*;

/// Elements that one task handles at a time, with a sum of their own: the same bytes for any number of threads.
const CHUNK: usize = 1 << 13;

const OPERATOR: &str = "squared_error";

/// Sum of squared differences over twice the batch size.
///
/// # Shapes
/// `pred` and `target` [n, …], alike → scalar.
///
/// # Gradient
/// With respect to both.
///
/// # Errors
/// [`Error::Shape`] when the shapes differ or are empty.
pub fn squared_error(pred: &Tensor, target: &Tensor) -> Result<Tensor> {
    let n = validate(pred, target)?;
    if !applies(&[pred, target]) {
        return squared_error_portable(pred, target);
    }
    let scale = 1.0 / n as f64;
    Ok(pred.contiguous()?.apply_op2(&target.contiguous()?, SquaredError { scale })?)
}

/// The same as [`squared_error`], made of stock candle operators.
///
/// # Shapes
/// As [`squared_error`].
///
/// # Errors
/// As [`squared_error`].
pub fn squared_error_portable(pred: &Tensor, target: &Tensor) -> Result<Tensor> {
    let n = validate(pred, target)?;
    Ok(((pred - target)?.sqr()?.sum_all()? * (0.5 / n as f64))?)
}

fn validate(pred: &Tensor, target: &Tensor) -> Result<usize> {
    match pred.dims().first() {
        Some(&n) if pred.elem_count() > 0 && pred.dims() == target.dims() => Ok(n),
        _ => Err(Error::Shape {
            operator: OPERATOR,
            expected: "prediction and target [n, …] of the same shape, not empty".into(),
            found: format!("prediction {:?}, target {:?}", pred.dims(), target.dims()),
        }),
    }
}

struct SquaredError {
    /// One over the batch size.
    scale: f64,
}

impl CustomOp2 for SquaredError {
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
        let (pred, target) = (values(s1, l1)?, values(s2, l2)?);
        let sums: Vec<f64> = pred
            .par_chunks(CHUNK)
            .zip(target.par_chunks(CHUNK))
            .map(|(pred, target)| {
                let squares = pred.iter().zip(target).map(|(p, t)| {
                    let difference = f64::from(p - t);
                    difference * difference
                });
                squares.sum()
            })
            .collect();
        let loss = sums.iter().sum::<f64>() * 0.5 * self.scale;
        Ok((CpuStorage::F32(vec![loss as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        pred: &Tensor,
        target: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let factor = (f64::from(grad.to_scalar::<f32>()?) * self.scale) as f32;
        let mut grad_pred = Fresh::new(pred.elem_count());
        with_values(pred, |pred| {
            with_values(target, |target| {
                grad_pred
                    .places()
                    .par_chunks_mut(CHUNK)
                    .zip(pred.par_chunks(CHUNK))
                    .zip(target.par_chunks(CHUNK))
                    .for_each(|((to, pred), target)| {
                        for ((to, p), t) in to.iter_mut().zip(pred).zip(target) {
                            to.write(factor * (p - t));
                        }
                    });
            })
        })??;
        // SAFETY: prediction and target have the same length, so every element was written.
        let grad_pred = unsafe { grad_pred.into_vec() };
        let grad_pred = Tensor::from_vec(grad_pred, pred.shape(), pred.device())?;
        let grad_target = target.track_op().then(|| grad_pred.neg()).transpose()?;
        Ok((Some(grad_pred), grad_target))
    }
}
