//! Noise of a camera: independent values with mean 0 and a known spread, and the quality that it allows.
//!
//! A value is the sum of four uniform ones, scaled: nearly a Gaussian, never further than 3.47 σ from 0, and made by
//! additions alone. Pictures leave room for it at both ends (\[0.039, 0.961\]), so that it is never cut off and the
//! ceiling below is exact.

use super::draws::Draws;

/// The noise's standard deviation, pixels lying in \[0, 1\].
pub const SIGMA: f32 = 0.01;

/// √3: four uniform values have the variance 4/12 in all.
const SCALE: f32 = 1.732_050_8;

/// Adds noise to the pixels of one picture; `picture` tells apart the pictures of a person.
pub(super) fn add(pixels: &mut [f32], person: u32, picture: u64) {
    let mut draws = Draws::new(person, "noise", picture);
    for pixel in pixels {
        let sum = draws.unit() + draws.unit() + draws.unit() + draws.unit() - 2.0;
        *pixel += SIGMA * SCALE * sum;
    }
}

/// The PSNR in dB, peak 1, that the truth itself reaches against noisy pictures: −20 · log₁₀ σ, the ceiling of every
/// generator that is measured against pictures with noise. Infinite without noise.
#[must_use]
pub fn psnr_ceiling_db(sigma: f64) -> f64 {
    if sigma > 0.0 { -20.0 * sigma.log10() } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_spread_and_the_ceiling_is_its_psnr() {
        let mut pixels = vec![0.5; 200_000];
        add(&mut pixels, 3, 7);
        let n = pixels.len() as f64;
        let mean = pixels.iter().map(|&pixel| f64::from(pixel) - 0.5).sum::<f64>() / n;
        let squares = pixels.iter().map(|&pixel| (f64::from(pixel) - 0.5).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 1e-4, "{mean}");
        let measured = -10.0 * squares.log10();
        let expected = psnr_ceiling_db(f64::from(SIGMA));
        assert!((expected - 40.0).abs() < 1e-5);
        assert!((measured - expected).abs() < 0.05, "{measured} {expected}");
        assert!(pixels.iter().all(|pixel| (pixel - 0.5).abs() <= 3.47 * SIGMA));
        assert_eq!(psnr_ceiling_db(0.0), f64::INFINITY);
    }

    #[test]
    fn every_picture_has_noise_of_its_own() {
        let of = |person, picture| {
            let mut pixels = vec![0.5; 16];
            add(&mut pixels, person, picture);
            pixels
        };
        assert_eq!(of(1, 2), of(1, 2));
        assert_ne!(of(1, 2), of(2, 1));
        assert_ne!(of(1, 2), of(1, 3));
    }
}
