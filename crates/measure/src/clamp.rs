//! The one place where generated images are brought into the range of pixels, [0, 1] (SPEC §6).

use ndarray::{Array, ArrayView, Dimension};

/// Clamps one pixel to [0, 1]; a value that is not a number stays so, and the metrics report it.
#[inline]
pub fn unit(pixel: f32) -> f32 {
    pixel.clamp(0.0, 1.0)
}

/// Clamps every pixel of an array to [0, 1].
///
/// # Shapes
/// Any shape; the result has the same.
pub fn clamp_to_unit<D: Dimension>(images: ArrayView<'_, f32, D>) -> Array<f32, D> {
    images.mapv(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn values_outside_the_range_are_cut_and_others_kept() {
        let clamped = clamp_to_unit(array![[-0.5_f32, 0.0, 0.25], [1.0, 1.5, f32::INFINITY]].view());
        assert_eq!(clamped, array![[0.0, 0.0, 0.25], [1.0, 1.0, 1.0]]);
        assert!(unit(f32::NAN).is_nan());
    }
}
