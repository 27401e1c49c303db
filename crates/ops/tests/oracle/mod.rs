//! An operator's numbers beside those of a slow computation in 64-bit floats.

use candle_core::Tensor;

/// A tensor's numbers.
pub fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Checks that numbers differ by at most `tolerance` times the largest exact one.
pub fn assert_close(what: &str, found: &[f32], exact: &[f64], tolerance: f64) {
    assert_eq!(found.len(), exact.len(), "{what}");
    let scale = exact.iter().fold(1e-30f64, |max, v| max.max(v.abs()));
    for (i, (&f, &e)) in found.iter().zip(exact).enumerate() {
        let error = (f64::from(f) - e).abs() / scale;
        assert!(error <= tolerance, "{what}: [{i}] {f} for {e}");
    }
}
