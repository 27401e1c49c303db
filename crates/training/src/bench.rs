//! Training steps of a generator, timed: data gathering left out, everything else as in a run.

use std::time::Instant;

use candle_core::{Device, Tensor};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use multigen_data::randomness::keyed_rng;
use multigen_models::{Generator, LevelTable, presets};
use multigen_ops::{Adam, AdamConfig, AdamParam, GradientBuffers, squared_error, with_portable_path};
use rand::RngExt;

use crate::Result;

/// Steps before the first one that counts.
const WARM_UP: usize = 2;

/// What does the arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// This project's operators, buffers and Adam.
    Ours,
    /// candle's own operators, backward pass and AdamW, nothing of ours.
    StockCandle,
}

/// Milliseconds of each of `n_steps` training steps of a named generator on random levels and images.
///
/// # Errors
/// When the generator is unknown or a step fails.
pub fn step_milliseconds(net: &str, batch: usize, n_steps: usize, arithmetic: Arithmetic) -> Result<Vec<f64>> {
    let device = Device::Cpu;
    let config = presets::generator(net)?;
    let size = config.image_size(net)?;
    let mut rng = keyed_rng(0, "bench", 0);
    let generator = Generator::new(net, &config, &device, &mut rng)?;
    let columns =
        config.factors().iter().map(|(_, n)| (0..batch).map(|_| rng.random_range(0..*n as u32)).collect()).collect();
    let levels = LevelTable::from_columns(columns)?;
    let pixels: Vec<f32> = (0..batch * 3 * size * size).map(|_| rng.random()).collect();
    let images = Tensor::from_vec(pixels, (batch, 3, size, size), &device)?;
    let mut milliseconds = Vec::with_capacity(n_steps);
    let mut timed = |step: usize, run: &mut dyn FnMut() -> Result<()>| -> Result<()> {
        let started = Instant::now();
        run()?;
        if step >= WARM_UP {
            milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
        }
        Ok(())
    };
    match arithmetic {
        Arithmetic::Ours => {
            let params = generator.params().iter().map(|(name, param)| AdamParam {
                name: name.to_owned(),
                var: param.var.clone(),
                lr_mult: 1.0,
                decay_mult: 1.0,
            });
            let mut adam = Adam::new(params.collect(), AdamConfig { beta1: 0.9, beta2: 0.99, eps: 1e-8 })?;
            let mut gradients = GradientBuffers::new(&generator.params().vars());
            for step in 0..WARM_UP + n_steps {
                timed(step, &mut || {
                    gradients.backward(&squared_error(&generator.forward(&levels)?.images, &images)?)?;
                    Ok(adam.step(&gradients, 2e-4, 0.01)?)
                })?;
            }
        }
        Arithmetic::StockCandle => {
            let vars = generator.params().vars().into_values().collect();
            let mut adam = AdamW::new(vars, ParamsAdamW { lr: 2e-4, weight_decay: 0.01, ..ParamsAdamW::default() })?;
            for step in 0..WARM_UP + n_steps {
                timed(step, &mut || {
                    with_portable_path(|| {
                        let loss = squared_error(&generator.forward(&levels)?.images, &images)?;
                        Ok(adam.backward_step(&loss)?)
                    })
                })?;
            }
        }
    }
    Ok(milliseconds)
}
