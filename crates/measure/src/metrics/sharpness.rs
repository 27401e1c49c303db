//! Sharpness of one image: the root of its mean squared gradient, in pixel values per pixel.
//!
//! sharpness = √( Σ (gₓ² + gᵧ²) / (c·(h − 2)·(w − 2)) ) over all channels and all pixels that have neighbours on every
//! side, with Sobel's differences: gₓ = ((1 2 1)ᵀ/4) · ((−1 0 1)/2), gᵧ its transpose. Its square is known as
//! Tenengrad, the usual measure of focus from gradients (Krotkov 1987).
//!
//! Why squared, why no Laplacian: an edge of height h that a blur spreads over n pixels keeps its mean gradient, for
//! n · (h/n) = h, but not its mean squared one, n · (h/n)² = h²/n. Seen in frequencies the square is a weighted sum of
//! the image's power, so that a blur, whose response is nowhere above 1, can only lower it (but for the borders). The
//! variance of the Laplacian weighs low frequencies by ω⁴ instead of ω² and so measures mostly noise and the checkerboards
//! of deconvolutions; Sobel's differences do not see a checkerboard at all.
//!
//! Noise with standard deviation σ adds 3σ²/8 to the square, so compare with truths without noise.

use ndarray::{ArrayView2, ArrayView3, Axis};

use crate::clamp::unit;
use crate::error::{Error, Result};

/// Sharpness of an image, clamped to [0, 1]: 0 for a flat one, s for a ramp that rises by s per pixel.
///
/// # Shapes
/// `[c, h, w]`, with h and w at least 3.
///
/// # Errors
/// No channel, or an image smaller than 3 × 3; values that are not numbers.
pub fn sharpness(image: ArrayView3<f32>) -> Result<f64> {
    let (c, h, w) = image.dim();
    if c == 0 || h < 3 || w < 3 {
        return Err(Error::Shape {
            what: "sharpness",
            expected: "an image [c, h, w] of at least 3 x 3 pixels".to_owned(),
            found: format!("{:?}", image.shape()),
        });
    }
    let sum: f64 = image.axis_iter(Axis(0)).map(squared_gradients).sum();
    let mean = sum / (c * (h - 2) * (w - 2)) as f64;
    if mean.is_finite() { Ok(mean.sqrt()) } else { Err(Error::NotFinite { what: "sharpness" }) }
}

/// Σ (gₓ² + gᵧ²) over the pixels of one channel that have neighbours on every side.
fn squared_gradients(channel: ArrayView2<f32>) -> f64 {
    let square = |window: ArrayView2<f32>| {
        let at = |row: usize, column: usize| f64::from(unit(window[[row, column]]));
        let along = |before: [f64; 3], after: [f64; 3]| {
            let weighted = |[a, b, c]: [f64; 3]| (a + 2.0 * b + c) / 4.0;
            (weighted(after) - weighted(before)) / 2.0
        };
        let gx = along([0, 1, 2].map(|row| at(row, 0)), [0, 1, 2].map(|row| at(row, 2)));
        let gy = along([0, 1, 2].map(|column| at(0, column)), [0, 1, 2].map(|column| at(2, column)));
        gx * gx + gy * gy
    };
    channel.windows((3, 3)).into_iter().map(square).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    /// A vertical edge from 0 to `height` in 10 columns, the same in all three channels: 0 up to column 4, `height` from
    /// column 5.
    fn edge(height: f32) -> Array3<f32> {
        Array3::from_shape_fn((3, 8, 10), |(_, _, x)| if x < 5 { 0.0 } else { height })
    }

    /// The mean over three columns, kept as it is at both ends.
    fn blurred(image: &Array3<f32>) -> Array3<f32> {
        let last = image.dim().2 - 1;
        Array3::from_shape_fn(image.raw_dim(), |(c, y, x)| {
            [x.saturating_sub(1), x, (x + 1).min(last)].map(|x| image[[c, y, x]]).iter().sum::<f32>() / 3.0
        })
    }

    fn of(image: &Array3<f32>) -> f64 {
        sharpness(image.view()).unwrap()
    }

    #[test]
    fn a_ramp_has_its_slope() {
        // Both differences are exact on a plane: √(0.03² + 0.04²) = 0.05.
        let plane = Array3::from_shape_fn((2, 6, 9), |(_, y, x)| 0.1 + 0.03 * x as f32 + 0.04 * y as f32);
        assert!((of(&plane) - 0.05).abs() < 1e-6);
        assert_eq!(of(&Array3::from_elem((3, 5, 5), 0.7)), 0.0);
    }

    #[test]
    fn a_step_edge_and_its_blur_follow_their_closed_forms() {
        // Columns 4 and 5 of the 8 inner ones have gₓ = h/2: √(2 · (0.8/2)² / 8) = 0.2.
        let sharp = edge(0.8);
        assert!((of(&sharp) - 0.2).abs() < 1e-6);
        // Blurred, columns 3 to 6 hold 0, h/3, 2h/3, h; gₓ is h/6, h/3, h/3, h/6: squares h² · (1 + 4 + 4 + 1)/36.
        let expected = (0.64 * 10.0 / 36.0 / 8.0_f64).sqrt();
        let once = blurred(&sharp);
        assert!((of(&once) - expected).abs() < 1e-6);
        assert!(of(&blurred(&once)) < of(&once) && of(&once) < of(&sharp));
        // An edge is as sharp lying as standing, and half as high half as sharp.
        let lying = sharp.clone().permuted_axes([0, 2, 1]);
        assert!((of(&lying) - 0.2).abs() < 1e-6);
        assert!((of(&edge(0.4)) - 0.1).abs() < 1e-6);
    }

    #[test]
    fn checkerboards_do_not_count_and_noise_counts_little() {
        let board = Array3::from_shape_fn((3, 7, 7), |(_, y, x)| ((x + y) % 2) as f32);
        assert!(of(&board) < 1e-9);
        // Independent values: each difference has the variance (2 · (1 + 4 + 1)/16) · σ²/4 = 3σ²/16, both 3σ²/8.
        let mut state = 1_u64;
        let noise = Array3::from_shape_fn((3, 120, 120), |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            0.45 + 0.1 * ((state >> 40) as f32 / (1_u64 << 24) as f32)
        });
        // Uniform over 0.1: σ² = 0.01/12.
        let expected = (0.375 * 0.01 / 12.0_f64).sqrt();
        assert!((of(&noise) / expected - 1.0).abs() < 0.02, "{} {expected}", of(&noise));
    }

    #[test]
    fn values_are_clamped_first_and_what_is_no_image_is_refused() {
        assert!((of(&(edge(9.0) - 4.0)) - of(&edge(1.0))).abs() < 1e-9);
        let message = |image: Array3<f32>| sharpness(image.view()).unwrap_err().to_string();
        assert_eq!(
            message(Array3::zeros((3, 2, 9))),
            "sharpness: expected an image [c, h, w] of at least 3 x 3 pixels, found [3, 2, 9]"
        );
        assert!(sharpness(Array3::zeros((0, 5, 5)).view()).is_err());
        let mut bad = edge(0.5);
        bad[[1, 2, 3]] = f32::NAN;
        assert!(matches!(sharpness(bad.view()), Err(Error::NotFinite { .. })));
    }
}
