//! Structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004) with a Gaussian window of 11 × 11, σ 1.5 (SPEC §6).
//!
//! Per window, with means μ, variances σ² and covariance weighted by the Gaussian (population moments):
//! SSIM = (2 μₓμᵧ + C₁)(2 σₓᵧ + C₂) / ((μₓ² + μᵧ² + C₁)(σₓ² + σᵧ² + C₂)), C₁ = (0.01·L)², C₂ = (0.03·L)², L = 1.
//! The figure is the mean over windows, then over channels.
//!
//! Borders: only windows that lie inside the image count, so an image of h × w has (h − 10)·(w − 10) of them. This is
//! what scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)` does: it
//! filters with reflected borders, then cuts off the 5 pixels that reflection touched. Checked against it to 1e-6.

use ndarray::{Array2, ArrayView2, ArrayView3, Axis};

use crate::clamp::unit;
use crate::error::{Error, Result};
use crate::metrics::check_same_shape;

/// Side of the window, in pixels; images must be at least this large.
pub const SSIM_WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// SSIM of `generated`, clamped to [0, 1], against `truth`: 1 for equal images.
///
/// # Shapes
/// Both `[c, h, w]`, with h and w at least [`SSIM_WINDOW`].
///
/// # Errors
/// Different or empty shapes, images smaller than the window; values that are not numbers.
pub fn ssim(generated: ArrayView3<f32>, truth: ArrayView3<f32>) -> Result<f64> {
    check_same_shape("ssim", &generated, &truth)?;
    let (c, h, w) = generated.dim();
    if h < SSIM_WINDOW || w < SSIM_WINDOW {
        return Err(Error::Shape {
            what: "ssim",
            expected: format!("images of at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels"),
            found: format!("{h} x {w}"),
        });
    }
    let weights = gaussian_window();
    let sum: f64 = generated
        .axis_iter(Axis(0))
        .zip(truth.axis_iter(Axis(0)))
        .map(|(g, t)| channel_ssim(g, t, &weights)) // each [h, w]
        .sum();
    let mean = sum / c as f64;
    if mean.is_finite() { Ok(mean) } else { Err(Error::NotFinite { what: "ssim" }) }
}

fn channel_ssim(generated: ArrayView2<f32>, truth: ArrayView2<f32>, weights: &[f64; SSIM_WINDOW]) -> f64 {
    let x = generated.mapv(|pixel| f64::from(unit(pixel))); // [h, w]
    let y = truth.mapv(f64::from); // [h, w]
    let mean_x = filter(&x, weights); // [h − 10, w − 10]
    let mean_y = filter(&y, weights);
    let mean_xx = filter(&(&x * &x), weights);
    let mean_yy = filter(&(&y * &y), weights);
    let mean_xy = filter(&(&x * &y), weights);
    let n_windows = mean_x.len() as f64;
    let mut sum = 0.0;
    for (index, &mx) in mean_x.indexed_iter() {
        let my = mean_y[index];
        let variance_x = mean_xx[index] - mx * mx;
        let variance_y = mean_yy[index] - my * my;
        let covariance = mean_xy[index] - mx * my;
        sum += (2.0 * mx * my + C1) * (2.0 * covariance + C2)
            / ((mx * mx + my * my + C1) * (variance_x + variance_y + C2));
    }
    sum / n_windows
}

/// Filters rows, then columns, keeping the positions where the window lies inside: `[h, w]` → `[h − 10, w − 10]`.
fn filter(image: &Array2<f64>, weights: &[f64; SSIM_WINDOW]) -> Array2<f64> {
    let (h, w) = image.dim();
    let rows = Array2::from_shape_fn((h, w + 1 - SSIM_WINDOW), |(i, j)| {
        weights.iter().enumerate().map(|(k, weight)| weight * image[[i, j + k]]).sum::<f64>()
    });
    Array2::from_shape_fn((h + 1 - SSIM_WINDOW, w + 1 - SSIM_WINDOW), |(i, j)| {
        weights.iter().enumerate().map(|(k, weight)| weight * rows[[i + k, j]]).sum::<f64>()
    })
}

/// exp(−d² / 2σ²) for d = −5 … 5, scaled to the sum 1.
fn gaussian_window() -> [f64; SSIM_WINDOW] {
    let radius = (SSIM_WINDOW / 2) as f64;
    let weights: [f64; SSIM_WINDOW] = std::array::from_fn(|k| {
        let distance = k as f64 - radius;
        (-distance * distance / (2.0 * SIGMA * SIGMA)).exp()
    });
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn two_constant_images_follow_the_closed_form() {
        // No variance and no covariance: SSIM = (2ab + C₁) / (a² + b² + C₁), with a = 0.2 and b = 0.8.
        let a = Array3::from_elem((2, 11, 14), 0.2_f32);
        let b = Array3::from_elem((2, 11, 14), 0.8_f32);
        let expected = (2.0 * 0.2 * 0.8 + C1) / (0.04 + 0.64 + C1);
        assert!((ssim(a.view(), b.view()).unwrap() - expected).abs() < 1e-6);
    }

    #[test]
    fn equal_images_have_one_and_small_images_are_an_error() {
        let a = Array3::from_shape_fn((3, 12, 12), |(c, i, j)| ((c + 3 * i + 5 * j) % 7) as f32 / 7.0);
        assert!((ssim(a.view(), a.view()).unwrap() - 1.0).abs() < 1e-12);
        let small = Array3::zeros((3, 10, 12));
        assert!(ssim(small.view(), small.view()).unwrap_err().to_string().contains("at least 11 x 11"));
    }
}
