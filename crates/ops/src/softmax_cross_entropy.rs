//! Mean softmax cross-entropy: −(1/n) Σᵢ log softmax(logitsᵢ)[targetᵢ].
//!
//! Logits are few (a factor has tens of levels), so stock candle operators serve every device: there is no fast path.

use crate::{Error, Result};
use candle_core::{D, DType, Tensor};

const OPERATOR: &str = "softmax_cross_entropy";

/// Mean cross-entropy between the softmax of logits and the classes that are true.
///
/// # Shapes
/// `logits` [n, k], `targets` [n] of u32 below k → scalar.
///
/// # Gradient
/// With respect to the logits.
///
/// # Errors
/// [`Error::Shape`] when the shapes disagree, the batch is empty or the targets are not u32 classes below k.
pub fn softmax_cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    softmax_cross_entropy_portable(logits, targets)
}

/// The same as [`softmax_cross_entropy`], made of stock candle operators.
///
/// # Shapes
/// As [`softmax_cross_entropy`].
///
/// # Errors
/// As [`softmax_cross_entropy`].
pub fn softmax_cross_entropy_portable(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let n = validate(logits, targets)?;
    let max = logits.detach().max_keepdim(D::Minus1)?; // [n, 1]
    let shifted = logits.broadcast_sub(&max)?; // [n, k]
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?; // [n, 1]
    let true_logit = shifted.gather(&targets.contiguous()?.unsqueeze(1)?, 1)?; // [n, 1]
    Ok(((log_sum - true_logit)?.sum_all()? * (1.0 / n as f64))?)
}

fn validate(logits: &Tensor, targets: &Tensor) -> Result<usize> {
    let found = |detail: String| Error::Shape {
        operator: OPERATOR,
        expected: "logits [n, k], not empty, and targets [n] of u32 classes below k".into(),
        found: format!("logits {:?}, targets {:?} of {:?}{detail}", logits.dims(), targets.dims(), targets.dtype()),
    };
    let &[n, k] = logits.dims() else {
        return Err(found(String::new()));
    };
    if n == 0 || k == 0 || targets.dims() != [n] || targets.dtype() != DType::U32 {
        return Err(found(String::new()));
    }
    let largest = targets.max(0)?.to_scalar::<u32>()?;
    if largest as usize >= k {
        return Err(found(format!(", largest class {largest}")));
    }
    Ok(n)
}
