//! A training step fetches no large block from the system that an earlier step has left.

#![cfg(target_os = "linux")]

use candle_core::{Device, Tensor, Var};
use multigen_ops as ops;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

#[global_allocator]
static ALLOCATOR: ops::RecyclingAllocator = ops::RecyclingAllocator::new();

fn random(rng: &mut ChaCha8Rng, dims: &[usize]) -> Tensor {
    let len = dims.iter().product();
    let values: Vec<f32> = (0..len).map(|_| rng.random_range(-0.1f32..0.1)).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

/// Both kinds of convolution, by polynomials and by columns, with what stands between them in the networks; every
/// activation has 256 KiB or more.
fn loss(vars: &BTreeMap<String, Var>, x: &Tensor, seed: u64) -> Tensor {
    let var = |name: &str| vars[name].as_tensor();
    let up = ops::ConvTranspose2dConfig { stride: 2, padding: 1 };
    let down = ops::Conv2dConfig { stride: 1, padding: 1 };
    let prelu = ops::Activation::Prelu(var("slope"));
    let x = ops::linear_activated(x, var("fc"), None, &[128, 7, 7], prelu).unwrap();
    // 128 channels on both sides go by polynomials, 3 on one by columns.
    let x = ops::conv_transpose2d_activated(&x, var("up"), None, up, prelu).unwrap(); // [n, 128, 14, 14]
    let norm = ops::LocalResponseNormConfig { size: 5, alpha: 1e-4, beta: 0.75 };
    let x = ops::local_response_norm(&x, norm).unwrap();
    let pool = ops::MaxPool2dConfig { kernel: 3, stride: 2, ceil_mode: true };
    let pooled = ops::max_pool2d(&x, pool).unwrap(); // [n, 128, 7, 7]
    let pooled = ops::dropout(&pooled, ops::DropoutConfig { rate: 0.5, seed }).unwrap();
    let x = ops::conv2d_activated(&x, var("down"), None, down, ops::Activation::LeakyRelu(0.1)).unwrap(); // [n, 3, 14, 14]
    let losses = [x, pooled].map(|x| ops::squared_error(&x, &x.zeros_like().unwrap()).unwrap());
    (&losses[0] + &losses[1]).unwrap()
}

#[test]
fn later_steps_find_what_earlier_ones_left() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let shapes: [(&str, &[usize]); 4] =
        [("fc", &[6272, 64]), ("slope", &[128]), ("up", &[128, 128, 4, 4]), ("down", &[3, 128, 3, 3])];
    let vars: BTreeMap<String, Var> = shapes
        .into_iter()
        .map(|(name, dims)| (name.to_owned(), Var::from_tensor(&random(&mut rng, dims)).unwrap()))
        .collect();
    let params = vars.iter().map(|(name, var)| ops::AdamParam {
        name: name.clone(),
        var: var.clone(),
        lr_mult: 1.0,
        decay_mult: 1.0,
    });
    let config = ops::AdamConfig { beta1: 0.9, beta2: 0.99, eps: 1e-8 };
    let mut adam = ops::Adam::new(params.collect(), config).unwrap();
    let mut gradients = ops::GradientBuffers::new(&vars);
    let x = random(&mut rng, &[16, 64]);
    let mut steps = |n: u64| {
        for step in 0..n {
            gradients.backward(&loss(&vars, &x, step)).unwrap();
            adam.step(&gradients, 1e-4, 0.0).unwrap();
        }
        ALLOCATOR.fetched_bytes()
    };
    let first = steps(1);
    assert!(first > 8 << 20, "the first step fetches its blocks: {first}");
    // How many tasks hold working memory at once depends on the moment; after some steps every case has occurred.
    let warm = steps(8);
    let later = steps(16);
    assert!(later - warm <= first / 10, "16 steps fetched {} bytes, the first one {first}", later - warm);
}
