//! Times the train step of the generator digits-v2 (SPEC §4), built from this crate's operators alone.
//!
//! Usage: cargo run -p multigen-ops --example digits_v2_step -- [batch] [steps] [fast|portable]
//! Prints one JSON line like benches/pytorch_step.py, and the mean time of every part of the step.

use candle_core::{Device, Tensor, Var};
use multigen_ops as ops;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: ops::RecyclingAllocator = ops::RecyclingAllocator::new();

const LEVELS: [usize; 4] = [10, 10, 3, 6];
const WIDTHS: [usize; 4] = [512, 512, 128, 256];

type Variables = BTreeMap<String, Var>;
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| args.get(i).map_or(Ok(default), |arg| arg.parse());
    let (batch, n_steps) = (number(0, 128)?, number(1, 10)?);
    let is_fast = args.get(2).is_none_or(|arg| arg != "portable");
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let vars = variables(&mut rng)?;
    let params = vars.iter().map(|(name, var)| ops::AdamParam {
        name: name.clone(),
        var: var.clone(),
        lr_mult: 1.0,
        decay_mult: 1.0,
    });
    let config = ops::AdamConfig { beta1: 0.9, beta2: 0.99, eps: 1e-8 };
    let mut adam = ops::Adam::new(params.collect(), config)?;
    let mut gradients = ops::GradientBuffers::new(&vars);
    let one_hots = LEVELS
        .iter()
        .map(|&levels| {
            let ids: Vec<u32> = (0..batch).map(|i| ((i * 7) % levels) as u32).collect();
            let eye = Tensor::eye(levels, candle_core::DType::F32, &Device::Cpu)?;
            eye.index_select(&Tensor::new(ids, &Device::Cpu)?, 0)
        })
        .collect::<candle_core::Result<Vec<_>>>()?;
    let pixels: Vec<f32> = (0..batch * 3 * 28 * 28).map(|_| rng.random_range(0.0..1.0)).collect();
    let target = Tensor::from_vec(pixels, (batch, 3, 28, 28), &Device::Cpu)?;
    let mut parts: Vec<(&str, f64)> = Vec::new();
    let mut times = Vec::new();
    for step in 0..n_steps + 2 {
        let mut clock = Clock::default();
        let start = Instant::now();
        let y = forward(&vars, &one_hots, is_fast, &mut clock)?;
        let begun = Instant::now();
        let loss = if is_fast { ops::squared_error(&y, &target)? } else { ops::squared_error_portable(&y, &target)? };
        clock.lap("loss", begun);
        let begun = Instant::now();
        gradients.backward(&loss)?;
        clock.lap("backward", begun);
        let begun = Instant::now();
        adam.step(&gradients, 2e-4, 0.01)?;
        clock.lap("adam", begun);
        if step >= 2 {
            times.push(start.elapsed().as_secs_f64() * 1e3);
            parts = clock.parts;
        }
    }
    times.sort_by(f64::total_cmp);
    let (best, median) = (times[0], times[times.len() / 2]);
    println!(r#"{{"net": "digits-v2", "batch": {batch}, "ms_best": {best:.2}, "ms_median": {median:.2}}}"#);
    for (name, ms) in parts {
        println!("  {name:<12} {ms:8.2} ms in the last step");
    }
    Ok(())
}

#[derive(Default)]
struct Clock {
    parts: Vec<(&'static str, f64)>,
}

impl Clock {
    fn lap(&mut self, name: &'static str, begun: Instant) {
        self.parts.push((name, begun.elapsed().as_secs_f64() * 1e3));
    }
}

fn variables(rng: &mut ChaCha8Rng) -> Outcome<Variables> {
    let mut vars = Variables::new();
    let mut add = |name: &str, dims: &[usize], bound: f32| -> Outcome<()> {
        let values: Vec<f32> = (0..dims.iter().product()).map(|_| rng.random_range(-bound..bound)).collect();
        let var = Var::from_vec(values, dims, &Device::Cpu)?;
        vars.insert(name.to_string(), var);
        Ok(())
    };
    let mut layer = |name: &str, n_in: usize, n_out: usize, slopes: usize| -> Outcome<()> {
        let bound = (3.0 / n_in as f32).sqrt();
        add(&format!("{name}.weight"), &[n_out, n_in], bound)?;
        add(&format!("{name}.bias"), &[n_out], 1e-3)?;
        add(&format!("{name}.slope"), &[slopes], 0.25)
    };
    for (branch, (&levels, &width)) in LEVELS.iter().zip(&WIDTHS).enumerate() {
        layer(&format!("branch{branch}.fc1"), levels, width, width)?;
        layer(&format!("branch{branch}.fc2"), width, width, width)?;
    }
    layer("fc3", WIDTHS.iter().sum(), 2048, 2048)?;
    layer("fc4", 2048, 2048, 2048)?;
    layer("fc5", 2048, 256 * 49, 256)?;
    add("deconv1.weight", &[256, 256, 4, 4], 0.03)?;
    add("deconv1.bias", &[256], 1e-3)?;
    add("deconv1.slope", &[256], 0.25)?;
    add("deconv2.weight", &[256, 3, 2, 2], 0.5)?;
    add("deconv2.bias", &[3], 1e-3)?;
    Ok(vars)
}

fn forward(vars: &Variables, one_hots: &[Tensor], fast: bool, clock: &mut Clock) -> Outcome<Tensor> {
    let var = |name: String| -> Outcome<&Tensor> { Ok(vars.get(&name).ok_or("no such variable")?.as_tensor()) };
    let linear = |x: &Tensor, name: &str| -> Outcome<Tensor> {
        let (w, b) = (var(format!("{name}.weight"))?, var(format!("{name}.bias"))?);
        let run = if fast { ops::linear } else { ops::linear_portable };
        Ok(run(x, w, Some(b))?)
    };
    let prelu = |x: &Tensor, name: &str| -> Outcome<Tensor> {
        let run = if fast { ops::prelu } else { ops::prelu_portable };
        Ok(run(x, var(format!("{name}.slope"))?)?)
    };
    let spread = |x: &Tensor, name: &str, stride: usize, padding: usize| -> Outcome<Tensor> {
        let (w, b) = (var(format!("{name}.weight"))?, var(format!("{name}.bias"))?);
        let config = ops::ConvTranspose2dConfig { stride, padding };
        let run = if fast { ops::conv_transpose2d } else { ops::conv_transpose2d_portable };
        Ok(run(x, w, Some(b), config)?)
    };
    let begun = Instant::now();
    let mut branches = Vec::new();
    for (branch, one_hot) in one_hots.iter().enumerate() {
        let (fc1, fc2) = (format!("branch{branch}.fc1"), format!("branch{branch}.fc2"));
        let x = prelu(&linear(one_hot, &fc1)?, &fc1)?;
        branches.push(prelu(&linear(&x, &fc2)?, &fc2)?);
    }
    let x = Tensor::cat(&branches, 1)?; // [n, 1408]
    let x = prelu(&linear(&x, "fc3")?, "fc3")?; // [n, 2048]
    let x = prelu(&linear(&x, "fc4")?, "fc4")?; // [n, 2048]
    clock.lap("fc1 to fc4", begun);
    let begun = Instant::now();
    let x = linear(&x, "fc5")?.reshape(((), 256, 7, 7))?; // [n, 256, 7, 7]
    clock.lap("fc5", begun);
    let begun = Instant::now();
    let x = prelu(&x, "fc5")?;
    clock.lap("prelu 7", begun);
    let begun = Instant::now();
    let x = spread(&x, "deconv1", 2, 1)?; // [n, 256, 14, 14]
    clock.lap("deconv1", begun);
    let begun = Instant::now();
    let x = prelu(&x, "deconv1")?;
    clock.lap("prelu 14", begun);
    let begun = Instant::now();
    let x = spread(&x, "deconv2", 2, 0)?; // [n, 3, 28, 28]
    clock.lap("deconv2", begun);
    Ok(if fast { ops::leaky_relu(&x, 0.0)? } else { ops::leaky_relu_portable(&x, 0.0)? })
}
