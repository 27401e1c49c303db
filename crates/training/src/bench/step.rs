//! Steps in this process: data gathering left out, everything else as in a run.
//!
//! How each figure comes about:
//!
//! - *Milliseconds per step*: forward, loss, backward and Adam on one random batch, after two steps that do not count.
//! - *Update*: Adam's part of those same steps.
//! - *Peak memory*: the most that the process ever held in memory (VmHWM of Linux), read after those steps, beside what it
//!   held when the network was built (VmRSS). It is true of
//!   the network if the process measured nothing before, so a caller measures each network in a process of its own.
//! - *Per layer*: the median over further steps that are recorded by [`multigen_ops::timing`]; the cost of recording is
//!   in none of the figures above.
//! - *GFLOP*: two for every multiplication of a forward pass that convolves directly, three times over: the pass itself
//!   and the gradients of the weights and of the inputs. Images have no gradient: the first convolution of a classifier
//!   counts twice. What a faster algorithm saves counts as done.
//! - *Roof*: a matrix product of 2048³ by the library that the operators use, and y ← y + a·x on 256 MiB, on
//!   all threads, measured last.

use std::time::{Duration, Instant};

use candle_core::Device;
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use multigen_ops::{GradientBuffers, roof, timing, with_portable_path};
use serde::{Deserialize, Serialize};

use super::workload::Workload;
use crate::Result;
use crate::learners::optimiser;
use crate::run_config::TrainingConfig;

/// Steps before the first one that counts.
const WARM_UP: usize = 2;
/// At most this many steps are recorded layer by layer, after one that does not count.
const RECORDED_STEPS: usize = 5;
const ROOF_SIZE: usize = 2048;
const ROOF_REPEATS: usize = 4;
const UPDATED_VALUES: usize = 1 << 26;

/// What does the arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// This project's operators, buffers and Adam.
    Ours,
    /// candle's own operators (our portable paths are made of them), backward pass and AdamW, with our allocator.
    StockCandle,
}

/// What a process measures.
#[derive(Debug, Clone)]
pub struct Request {
    /// One of [`super::workload::networks`].
    pub net: String,
    /// Images per step.
    pub batch: usize,
    /// Steps that count.
    pub n_steps: usize,
    /// What does the arithmetic.
    pub arithmetic: Arithmetic,
    /// Whether layers and the roof are measured as well.
    pub details: bool,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Each step that counted.
    pub step_ms: Vec<f64>,
    /// Adam's part, median; 0 where nobody looked.
    #[serde(default)]
    pub update_ms: f64,
    /// What the process held in memory when the network was built; none where the system does not tell.
    pub memory_before_bytes: Option<u64>,
    /// The most that it held; none where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
    /// Threads of the operators.
    pub threads: usize,
    /// Layers and roof, when they were asked for.
    #[serde(default)]
    pub details: Option<Details>,
}

/// What is measured after the steps that count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// In the order of the forward pass.
    pub layers: Vec<LayerTime>,
    /// A recorded step, median; what it takes longer than others is the cost of recording.
    pub recorded_step_ms: f64,
    /// GFLOP per second of a large matrix product.
    pub roof_gflop_per_s: f64,
    /// Gigabytes per second, read and written, of y ← y + a·x on large vectors.
    pub memory_gb_per_s: f64,
    /// Parameters that learn.
    pub n_parameters: usize,
}

/// What a layer takes in a step, median.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerTime {
    /// Its name, by which its parameters' names begin.
    pub name: String,
    /// Forward, with its activation.
    pub forward_ms: f64,
    /// All its gradients.
    pub backward_ms: f64,
    /// Adam's part for its parameters.
    pub update_ms: f64,
}

/// The middle value, or the mean of the two in the middle; 0 of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.get(values.len() / 2), values.len() % 2) {
        (None, _) => 0.0,
        (Some(upper), 1) => *upper,
        (Some(upper), _) => (values[values.len() / 2 - 1] + upper) / 2.0,
    }
}

/// Times training steps of a named network on random images and levels, or random labels.
///
/// # Errors
/// When the network is unknown or a step fails.
pub fn measure(request: &Request) -> Result<Measurement> {
    let workload = Workload::new(&request.net, request.batch, &Device::Cpu)?;
    let mut measurement = match request.arithmetic {
        Arithmetic::Ours => ours(&workload, request)?,
        Arithmetic::StockCandle => stock_candle(&workload, request.n_steps)?,
    };
    drop(workload); // The roof needs no memory beside a network's.
    if let Some(details) = &mut measurement.details {
        details.roof_gflop_per_s = roof::product_gflop_per_s(ROOF_SIZE, ROOF_REPEATS);
        details.memory_gb_per_s = roof::update_gb_per_s(UPDATED_VALUES, ROOF_REPEATS);
    }
    Ok(measurement)
}

fn ours(workload: &Workload, request: &Request) -> Result<Measurement> {
    let memory_before_bytes = memory("VmRSS:");
    let solver = workload.solver();
    let mut adam = optimiser(workload.params(), solver)?;
    let mut gradients = GradientBuffers::new(&workload.params().vars());
    let (mut step_ms, mut update_ms) = (Vec::new(), Vec::new());
    for step in 0..WARM_UP + request.n_steps {
        let started = Instant::now();
        let loss = workload.loss(step)?;
        gradients.backward(&loss)?;
        let update_started = Instant::now();
        adam.step(&gradients, solver.learning_rate, solver.weight_decay)?;
        loss.to_scalar::<f32>()?;
        drop(loss); // The graph with its activations: freeing them is part of a step.
        if step >= WARM_UP {
            update_ms.push(milliseconds(update_started.elapsed()));
            step_ms.push(milliseconds(started.elapsed()));
        }
    }
    let peak_memory_bytes = memory("VmHWM:");
    let details = match request.details {
        false => None,
        true => {
            let (mut recorded, mut recorded_step_ms) = (Vec::new(), Vec::new());
            for step in 0..=request.n_steps.min(RECORDED_STEPS) {
                let started = Instant::now();
                let (outcome, times) = timing::record(|| -> Result<()> {
                    gradients.backward(&workload.loss(WARM_UP + request.n_steps + step)?)?;
                    timing::end_backward();
                    Ok(adam.step(&gradients, solver.learning_rate, solver.weight_decay)?)
                });
                outcome?;
                if step > 0 {
                    recorded.push(times);
                    recorded_step_ms.push(milliseconds(started.elapsed()));
                }
            }
            let vars = workload.params().vars();
            let n_parameters = vars.values().map(|var| var.as_tensor().elem_count()).sum();
            let (layers, recorded_step_ms) = (medians(&recorded), median(recorded_step_ms));
            Some(Details { layers, recorded_step_ms, n_parameters, ..Details::default() })
        }
    };
    let (update_ms, threads) = (median(update_ms), roof::threads());
    Ok(Measurement { step_ms, update_ms, memory_before_bytes, peak_memory_bytes, threads, details })
}

fn stock_candle(workload: &Workload, n_steps: usize) -> Result<Measurement> {
    let memory_before_bytes = memory("VmRSS:");
    let vars = workload.params().vars().into_values().collect();
    let TrainingConfig { learning_rate: lr, weight_decay, .. } = *workload.solver();
    let mut adam = AdamW::new(vars, ParamsAdamW { lr, weight_decay, ..ParamsAdamW::default() })?;
    let (mut step_ms, mut update_ms) = (Vec::new(), Vec::new());
    for step in 0..WARM_UP + n_steps {
        let started = Instant::now();
        let loss = with_portable_path(|| workload.loss(step))?;
        let gradients = loss.backward()?;
        let update_started = Instant::now();
        adam.step(&gradients)?;
        drop((loss, gradients));
        if step >= WARM_UP {
            update_ms.push(milliseconds(update_started.elapsed()));
            step_ms.push(milliseconds(started.elapsed()));
        }
    }
    let peak_memory_bytes = memory("VmHWM:");
    Ok(Measurement {
        step_ms,
        update_ms: median(update_ms),
        memory_before_bytes,
        peak_memory_bytes,
        threads: roof::threads(),
        details: None,
    })
}

/// The median times of every section over several steps.
fn medians(steps: &[Vec<timing::SectionTime>]) -> Vec<LayerTime> {
    let Some(first) = steps.first() else { return Vec::new() };
    let over_steps = |name: &str, of: fn(&timing::SectionTime) -> Duration| {
        median(steps.iter().flatten().filter(|time| time.name == name).map(|time| milliseconds(of(time))).collect())
    };
    let layer = |time: &timing::SectionTime| LayerTime {
        name: time.name.clone(),
        forward_ms: over_steps(&time.name, |time| time.forward),
        backward_ms: over_steps(&time.name, |time| time.backward),
        update_ms: over_steps(&time.name, |time| time.update),
    };
    first.iter().map(layer).collect()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A line such as `VmHWM:  123456 kB` of /proc/self/status, in bytes.
fn memory(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_no_values() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn a_step_is_timed_and_its_layers_are_named() -> Result<()> {
        let net = "operator-affine".to_owned();
        let request = Request { net, batch: 4, n_steps: 2, arithmetic: Arithmetic::Ours, details: true };
        let measurement = measure(&request)?;
        assert_eq!(measurement.step_ms.len(), 2);
        let fastest = measurement.step_ms.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(measurement.update_ms > 0.0 && fastest > 0.0);
        let details = measurement.details.expect("layers were asked for");
        assert!(details.roof_gflop_per_s > 0.0 && details.memory_gb_per_s > 0.0 && details.n_parameters > 100_000);
        let names: Vec<&str> = details.layers.iter().map(|layer| layer.name.as_str()).collect();
        let sections = ["branches.digit", "branches.style", "fc3", "fc5", "deconv1", "deconv2", "action"];
        assert_eq!(names, [&sections[..], &["other parameters"]].concat());
        let is_timed = |layer: &LayerTime| layer.forward_ms > 0.0 && layer.backward_ms > 0.0;
        assert!(details.layers.iter().take(7).all(is_timed), "{details:?}");
        // The maps, gates, colours and slopes carry no section's name.
        let updated = details.layers.iter().filter(|layer| layer.name != "action");
        assert!(updated.into_iter().all(|layer| layer.update_ms > 0.0), "{details:?}");
        assert!(details.recorded_step_ms > 0.0);
        #[cfg(target_os = "linux")]
        assert!(measurement.peak_memory_bytes.is_some_and(|bytes| bytes > 1 << 20));
        Ok(())
    }

    #[test]
    fn a_classifiers_layers_are_named_and_stock_candle_trains_it_too() -> Result<()> {
        let request = |arithmetic| {
            let net = "alexnet-28".to_owned();
            Request { net, batch: 2, n_steps: 1, arithmetic, details: arithmetic == Arithmetic::Ours }
        };
        let details = measure(&request(Arithmetic::Ours))?.details.expect("layers were asked for");
        let names: Vec<&str> = details.layers.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names[..6], ["conv1", "norm1", "pool1", "conv2", "norm2", "pool2"]);
        assert_eq!(names[6..11], ["conv3", "conv4", "conv5", "pool5", "digit.fc6"]);
        assert_eq!(names.len(), 10 + 4 * 3);
        assert!(details.layers.iter().all(|layer| layer.forward_ms > 0.0 && layer.backward_ms > 0.0), "{details:?}");
        assert_eq!(measure(&request(Arithmetic::StockCandle))?.step_ms.len(), 1);
        Ok(())
    }
}
