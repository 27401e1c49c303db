//! Image metrics: pure functions of a generated image `[c, h, w]` and, but for sharpness, its truth, checked against
//! reference numbers.

use ndarray::ArrayView3;

use crate::error::{Error, Result};

pub mod mse;
pub mod psnr;
pub mod sharpness;
pub mod ssim;

/// Checks that two images have the same, non-empty shape.
pub(crate) fn check_same_shape(what: &'static str, a: &ArrayView3<f32>, b: &ArrayView3<f32>) -> Result<()> {
    if a.dim() == b.dim() && !a.is_empty() {
        return Ok(());
    }
    Err(Error::Shape {
        what,
        expected: "two images of the same, non-empty shape [c, h, w]".to_owned(),
        found: format!("{:?} and {:?}", a.shape(), b.shape()),
    })
}
