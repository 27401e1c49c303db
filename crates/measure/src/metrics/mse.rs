//! Mean squared error of a generated image: Σ (clamp(g) − t)² / (c·h·w), over all channels together.
//!
//! The generated image is clamped to [0, 1] first (SPEC §6); the sum runs in f64.

use ndarray::{ArrayView3, Zip};

use crate::clamp::unit;
use crate::error::{Error, Result};
use crate::metrics::check_same_shape;

/// Mean squared error of `generated`, clamped, against `truth`.
///
/// # Shapes
/// Both `[c, h, w]`.
///
/// # Errors
/// Different or empty shapes; values that are not numbers.
pub fn mse(generated: ArrayView3<f32>, truth: ArrayView3<f32>) -> Result<f64> {
    check_same_shape("mse", &generated, &truth)?;
    let sum = Zip::from(&generated).and(&truth).fold(0.0_f64, |sum, &g, &t| {
        let difference = f64::from(unit(g)) - f64::from(t);
        sum + difference * difference
    });
    let mean = sum / generated.len() as f64;
    if mean.is_finite() { Ok(mean) } else { Err(Error::NotFinite { what: "mse" }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, array};

    #[test]
    fn a_hand_made_case() {
        // Clamped, the generated pixels are 0, 1, 0.5; differences 0, 0.5, 0.5; squares 0 + 0.25 + 0.25 = 0.5; / 3.
        let generated = array![[[-3.0_f32, 7.0, 0.5]]];
        let truth = array![[[0.0_f32, 0.5, 1.0]]];
        assert!((mse(generated.view(), truth.view()).unwrap() - 0.5 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn wrong_shapes_and_nan_are_errors() {
        let (a, b) = (Array3::zeros((1, 2, 3)), Array3::zeros((1, 3, 2)));
        assert!(mse(a.view(), b.view()).unwrap_err().to_string().contains("[1, 2, 3] and [1, 3, 2]"));
        let empty = Array3::zeros((0, 2, 2));
        assert!(mse(empty.view(), empty.view()).is_err());
        let mut bad = a.clone();
        bad[[0, 1, 1]] = f32::NAN;
        assert!(matches!(mse(bad.view(), a.view()), Err(Error::NotFinite { .. })));
    }
}
