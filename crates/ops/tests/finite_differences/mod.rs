//! Gradients of a smooth loss against its slope along random directions, measured from both sides.

use candle_core::{Device, Tensor, Var};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Checks the gradient of every variable, each along a direction of its own.
pub fn check(vars: &[&Var], rng: &mut ChaCha8Rng, loss: impl Fn(&[Tensor]) -> Tensor) {
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let grads = loss(&tensors).backward().unwrap();
    for (idx, var) in vars.iter().enumerate() {
        let values: Vec<f32> = (0..var.elem_count()).map(|_| rng.random_range(-1.0f32..1.0)).collect();
        let direction = Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap();
        let slope = (grads.get(var).unwrap() * &direction).unwrap();
        let slope = slope.sum_all().unwrap().to_scalar::<f32>().unwrap();
        let at = |step: f64| {
            let mut moved = tensors.clone();
            moved[idx] = (var.as_tensor() + (&direction * step).unwrap()).unwrap();
            f64::from(loss(&moved).to_scalar::<f32>().unwrap())
        };
        let measured = (at(2e-3) - at(-2e-3)) / 4e-3;
        let error = (f64::from(slope) - measured).abs();
        assert!(error <= 5e-3 * measured.abs().max(1.0), "{idx}: {slope} {measured}");
    }
}
