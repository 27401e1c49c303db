//! SSIM against scikit-image: numbers by `fixtures/ssim_reference.py`, images rebuilt here from the same integers.

use std::collections::BTreeMap;

use multigen_measure::ssim;
use ndarray::{Array3, s};

const STYLES: &[u8] = include_bytes!("fixtures/digit_styles.bin");

#[derive(serde::Deserialize)]
struct Reference {
    ssim: BTreeMap<String, f64>,
}

fn digit(k: usize) -> Array3<f32> {
    Array3::from_shape_fn((3, 28, 28), |(c, y, x)| {
        f32::from(STYLES[k * 784 + y * 28 + x]) / 255.0 * [1.0, 0.5, 0.25][c]
    })
}

fn pattern(height: usize, width: usize, multiplier: usize) -> Array3<f32> {
    Array3::from_shape_fn((3, height, width), |(c, y, x)| {
        let i = (c * height + y) * width + x;
        ((i * multiplier + i / 7) % 1000) as f32 / 999.0
    })
}

#[test]
fn ssim_agrees_with_scikit_image() {
    let reference: Reference = serde_json::from_str(include_str!("fixtures/ssim_reference.json")).unwrap();
    let mut shifted = Array3::zeros((3, 28, 28));
    shifted.slice_mut(s![.., .., 1..]).assign(&digit(79).slice(s![.., .., ..27]));
    shifted.slice_mut(s![.., .., 0]).assign(&digit(79).slice(s![.., .., 27]));
    let cases = [
        ("seven 79 against seven 73", digit(79), digit(73)),
        ("seven 79 against three 31", digit(79), digit(31)),
        ("seven 79 against itself", digit(79), digit(79)),
        ("black against seven 79", Array3::zeros((3, 28, 28)), digit(79)),
        ("seven 79 shifted by one column", shifted, digit(79)),
        ("patterns 13 x 17", pattern(13, 17, 7919), pattern(13, 17, 7907)),
        ("patterns 11 x 11", pattern(11, 11, 389), pattern(11, 11, 397)),
    ];
    assert_eq!(cases.len(), reference.ssim.len());
    for (name, a, b) in cases {
        let (ours, theirs) = (ssim(a.view(), b.view()).unwrap(), reference.ssim[name]);
        assert!((ours - theirs).abs() < 1e-6, "{name}: {ours} against {theirs}");
    }
}
