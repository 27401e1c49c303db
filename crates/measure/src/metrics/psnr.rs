//! Peak signal-to-noise ratio in dB, peak 1, over all channels together: −10·log₁₀(MSE) (SPEC §6).
//!
//! Two equal images would have an infinite ratio, and one of them would make every mean infinite; so the figure is cut
//! at [`PSNR_CAP_DB`], an error of 1e-5 per pixel: nearly four hundred times finer than one step of an 8-bit pixel.

use ndarray::ArrayView3;

use crate::error::Result;
use crate::metrics::mse::mse;

/// The highest value that [`psnr`] returns, in dB.
pub const PSNR_CAP_DB: f64 = 100.0;

/// PSNR in dB of `generated`, clamped to [0, 1], against `truth`; at most [`PSNR_CAP_DB`].
///
/// # Shapes
/// Both `[c, h, w]`.
///
/// # Errors
/// Different or empty shapes; values that are not numbers.
pub fn psnr(generated: ArrayView3<f32>, truth: ArrayView3<f32>) -> Result<f64> {
    Ok((-10.0 * mse(generated, truth)?.log10()).min(PSNR_CAP_DB))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn a_constant_error_of_a_tenth_is_twenty_db() {
        // MSE = 0.1² = 0.01, so −10·log₁₀(0.01) = 20 dB.
        let truth = Array3::from_elem((3, 4, 5), 0.5_f32);
        let generated = Array3::from_elem((3, 4, 5), 0.6_f32);
        assert!((psnr(generated.view(), truth.view()).unwrap() - 20.0).abs() < 1e-5);
    }

    #[test]
    fn equal_images_are_capped_and_clamping_comes_first() {
        let truth = Array3::from_elem((3, 4, 5), 1.0_f32);
        let generated = Array3::from_elem((3, 4, 5), 9.0_f32);
        assert_eq!(psnr(generated.view(), truth.view()).unwrap(), PSNR_CAP_DB);
        // Black against white: MSE 1, 0 dB.
        assert!(psnr(Array3::zeros((3, 4, 5)).view(), truth.view()).unwrap().abs() < 1e-12);
    }
}
