//! Absolute error: Σ |p − t| / n, n the batch size.
//!
//! It takes the place of the squared error in an ablation alone, so stock candle operators serve every device.

use crate::{Error, Result};
use candle_core::Tensor;

const OPERATOR: &str = "absolute_error";

/// Sum of absolute differences over the batch size.
///
/// # Shapes
/// `pred` and `target` [n, …], alike → scalar.
///
/// # Gradient
/// With respect to both; 0 where they are equal.
///
/// # Errors
/// [`Error::Shape`] when the shapes differ or are empty.
pub fn absolute_error(pred: &Tensor, target: &Tensor) -> Result<Tensor> {
    let n = match pred.dims().first() {
        Some(&n) if pred.elem_count() > 0 && pred.dims() == target.dims() => n,
        _ => {
            return Err(Error::Shape {
                operator: OPERATOR,
                expected: "prediction and target [n, …] of the same shape, not empty".into(),
                found: format!("prediction {:?}, target {:?}", pred.dims(), target.dims()),
            });
        }
    };
    let difference = (pred - target)?;
    // |d| as two rectifiers: their slopes at 0 cancel, where the slope of candle's `abs` is 1.
    let size = (difference.relu()? + difference.neg()?.relu()?)?;
    Ok((size.sum_all()? * (1.0 / n as f64))?)
}
