//! Every differentiable operator on shapes of the networks, its fast path beside its portable one.
//!
//! The two paths run in turn in one process; a time is the median of several runs after one that does not count. Backward
//! is candle's, without the buffers that a training step gives to the weights' gradients.

use std::fmt::Write;
use std::time::Instant;

use candle_core::{Device, Tensor, Var};
use multigen_data::randomness::keyed_rng;
use multigen_measure::{ResultsDir, atomic_write};
use multigen_ops::{self as ops, with_portable_path};
use rand::RngExt;

use super::record::Surroundings;
use super::step::median;
use crate::Result;

type Run = Box<dyn Fn(&[Tensor]) -> ops::Result<Tensor>>;

/// An operator with arguments.
struct Case {
    operator: &'static str,
    /// Where such a shape occurs.
    place: &'static str,
    inputs: Vec<Var>,
    run: Run,
}

/// Median milliseconds of both paths.
struct Times {
    operator: &'static str,
    place: &'static str,
    /// Forward and backward.
    fast: [f64; 2],
    portable: [f64; 2],
}

/// Times every operator `n_runs` times on either path, prints a line for each, and keeps the table.
///
/// # Errors
/// When an operator fails, or the table cannot be written.
pub fn run(results: &ResultsDir, n_runs: usize, surroundings: &Surroundings, say: &dyn Fn(&str)) -> Result<()> {
    results.check_writable()?;
    let mut all = Vec::new();
    for case in cases()? {
        let times = case.times(n_runs)?;
        say(&times.text());
        all.push(times);
    }
    Ok(atomic_write(&results.bench_operators(), markdown(&all, n_runs, surroundings).as_bytes())?)
}

impl Case {
    fn times(&self, n_runs: usize) -> Result<Times> {
        let inputs: Vec<Tensor> = self.inputs.iter().map(|var| var.as_tensor().clone()).collect();
        let once = || -> Result<[f64; 2]> {
            let started = Instant::now();
            let y = (self.run)(&inputs)?;
            let forward = started.elapsed();
            y.backward()?;
            Ok([forward, started.elapsed() - forward].map(|time| time.as_secs_f64() * 1e3))
        };
        let (mut fast, mut portable) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for counted in 0..=n_runs {
            for (times, time) in [(&mut fast, once()?), (&mut portable, with_portable_path(once)?)] {
                if counted > 0 {
                    times.iter_mut().zip(time).for_each(|(times, time)| times.push(time));
                }
            }
        }
        let Self { operator, place, .. } = *self;
        Ok(Times { operator, place, fast: fast.map(median), portable: portable.map(median) })
    }
}

impl Times {
    fn ratio(&self) -> f64 {
        self.fast.iter().sum::<f64>() / self.portable.iter().sum::<f64>()
    }

    fn text(&self) -> String {
        let ([forward, backward], [slow_forward, slow_backward]) = (self.fast, self.portable);
        format!(
            "{:<22} {:<38} forward {forward:8.2} ms, backward {backward:8.2}; portable {slow_forward:8.2}, \
             {slow_backward:8.2}; ratio {:.2}",
            self.operator,
            self.place,
            self.ratio()
        )
    }
}

fn markdown(all: &[Times], n_runs: usize, surroundings: &Surroundings) -> String {
    let mut text = format!(
        "# Time of every operator\n\n`{}`  \n{}\n\nMedians of {n_runs} runs in milliseconds, the fast path and the portable \
         one in turn; the ratio is of both directions together. candle's elementwise operators, of which portable paths\n\
         are made, run on one thread here, as everywhere under `cargo xtask`.\n\n\
         | operator | shape | forward | backward | portable forward | portable backward | ratio |\n\
         |---|---|---|---|---|---|---|\n",
        surroundings.command,
        surroundings.text(),
    );
    for times in all {
        let ([forward, backward], [slow_forward, slow_backward]) = (times.fast, times.portable);
        let _ = writeln!(
            text,
            "| {} | {} | {forward:.2} | {backward:.2} | {slow_forward:.2} | {slow_backward:.2} | {:.2} |",
            times.operator,
            times.place,
            times.ratio()
        );
    }
    text
}

fn cases() -> Result<Vec<Case>> {
    let mut rng = keyed_rng(0, "bench operators", 0);
    let mut case = |operator, place, shapes: &[&[usize]], run: Run| -> Result<Case> {
        let mut var = |dims: &&[usize]| -> Result<Var> {
            let values: Vec<f32> = (0..dims.iter().product()).map(|_| rng.random_range(-0.5..0.5)).collect();
            Ok(Var::from_vec(values, *dims, &Device::Cpu)?)
        };
        let inputs = shapes.iter().map(&mut var).collect::<Result<_>>()?;
        Ok(Case { operator, place, inputs, run })
    };
    let classes: Vec<u32> = (0..128).map(|image| image % 10).collect();
    let levels: [Vec<u32>; 4] = [10, 10, 3, 6].map(|n| (0..128).map(|image| image * 7 % n).collect());
    let maps: Vec<f32> =
        (0..6 * 16 * 6).map(|i| if i % 6 == 0 || i % 6 == 4 { 1.0 } else { 0.001 * i as f32 }).collect();
    let conv = |stride, padding| ops::Conv2dConfig { stride, padding };
    let deconv = |stride, padding| ops::ConvTranspose2dConfig { stride, padding };
    let norm = ops::LocalResponseNormConfig { size: 5, alpha: 1e-4, beta: 0.75 };
    let pool = ops::MaxPool2dConfig { kernel: 3, stride: 2, ceil_mode: true };
    Ok(vec![
        case(
            "linear",
            "128 × 2048 → 12544",
            &[&[128, 2048], &[12544, 2048], &[12544]],
            Box::new(|t| ops::linear(&t[0], &t[1], Some(&t[2]))),
        )?,
        case(
            "gathered_linear",
            "128 of 10, 10, 3, 6 rows → 2048",
            &[&[10, 512], &[10, 512], &[3, 128], &[6, 256], &[2048, 1408], &[2048]],
            Box::new(move |t| {
                let levels: Vec<&[u32]> = levels.iter().map(Vec::as_slice).collect();
                ops::gathered_linear(&t[..4], &levels, &t[4], Some(&t[5]), ops::Activation::Identity)
            }),
        )?,
        case(
            "conv_transpose2d",
            "128 × 256 → 256, 7×7, k4 s2 p1",
            &[&[128, 256, 7, 7], &[256, 256, 4, 4], &[256]],
            Box::new(move |t| ops::conv_transpose2d(&t[0], &t[1], Some(&t[2]), deconv(2, 1))),
        )?,
        case(
            "conv_transpose2d",
            "128 × 256 → 3, 14×14, k2 s2",
            &[&[128, 256, 14, 14], &[256, 3, 2, 2], &[3]],
            Box::new(move |t| ops::conv_transpose2d(&t[0], &t[1], Some(&t[2]), deconv(2, 0))),
        )?,
        case(
            "conv2d",
            "32 × 3 → 96, 71×71, k11 s2",
            &[&[32, 3, 71, 71], &[96, 3, 11, 11], &[96]],
            Box::new(move |t| ops::conv2d(&t[0], &t[1], Some(&t[2]), conv(2, 0))),
        )?,
        case(
            "conv2d",
            "32 × 96 → 256, 15×15, k5 p2",
            &[&[32, 96, 15, 15], &[256, 96, 5, 5], &[256]],
            Box::new(move |t| ops::conv2d(&t[0], &t[1], Some(&t[2]), conv(1, 2))),
        )?,
        case(
            "conv2d",
            "32 × 256 → 384, 7×7, k3 p1",
            &[&[32, 256, 7, 7], &[384, 256, 3, 3], &[384]],
            Box::new(move |t| ops::conv2d(&t[0], &t[1], Some(&t[2]), conv(1, 1))),
        )?,
        case(
            "max_pool2d",
            "32 × 96, 31×31, 3/2, ceil mode",
            &[&[32, 96, 31, 31]],
            Box::new(move |t| ops::max_pool2d(&t[0], pool)),
        )?,
        case(
            "local_response_norm",
            "32 × 96, 31×31",
            &[&[32, 96, 31, 31]],
            Box::new(move |t| ops::local_response_norm(&t[0], norm)),
        )?,
        case("prelu", "128 × 256, 14×14", &[&[128, 256, 14, 14], &[256]], Box::new(|t| ops::prelu(&t[0], &t[1])))?,
        case("leaky_relu", "128 × 256, 14×14", &[&[128, 256, 14, 14]], Box::new(|t| ops::leaky_relu(&t[0], 0.1)))?,
        case(
            "dropout",
            "32 × 4096",
            &[&[32, 4096]],
            Box::new(|t| ops::dropout(&t[0], ops::DropoutConfig { rate: 0.5, seed: 1 })),
        )?,
        case(
            "affine_sample",
            "6 levels of 16 maps, 100 of 56×56 → 28×28",
            &[&[100, 56, 56], &[6, 16]],
            Box::new(move |t| {
                let maps = Tensor::from_slice(&maps, (6, 16, 6), &Device::Cpu)?;
                ops::affine_sample(&t[0], &maps, &t[1], 28)
            }),
        )?,
        case("warp", "128 × 3, 71×71", &[&[128, 3, 71, 71], &[128, 2, 71, 71]], Box::new(|t| ops::warp(&t[0], &t[1])))?,
        case(
            "squared_error",
            "128 × 3, 28×28",
            &[&[128, 3, 28, 28]],
            Box::new(|t| ops::squared_error(&t[0], &t[0].zeros_like()?)),
        )?,
        case(
            "softmax_cross_entropy",
            "128 × 10",
            &[&[128, 10]],
            Box::new(move |t| ops::softmax_cross_entropy(&t[0], &Tensor::new(classes.as_slice(), &Device::Cpu)?)),
        )?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_timed_on_both_paths_and_stands_in_the_table() -> Result<()> {
        let small = Case {
            operator: "leaky_relu",
            place: "2 × 3",
            inputs: vec![Var::zeros((2, 3), candle_core::DType::F32, &Device::Cpu)?],
            run: Box::new(|t| ops::leaky_relu(&t[0], 0.1)),
        };
        let times = small.times(3)?;
        assert!(times.fast.iter().chain(&times.portable).all(|time| *time > 0.0));
        let known = Times { operator: "linear", place: "1 × 1", fast: [1.0, 2.0], portable: [4.0, 8.0] };
        assert_eq!(known.ratio(), 0.25);
        assert!(known.text().contains("ratio 0.25"));
        Ok(())
    }

    #[test]
    fn every_operator_has_a_case_that_both_paths_can_run() -> Result<()> {
        let names: Vec<&str> = cases()?.iter().map(|case| case.operator).collect();
        for operator in ["linear", "gathered_linear", "conv2d", "conv_transpose2d", "max_pool2d", "prelu", "dropout"] {
            assert!(names.contains(&operator), "{operator}");
        }
        for case in cases()?.into_iter().filter(|case| case.inputs[0].elem_count() < 400_000) {
            case.times(1)?;
        }
        Ok(())
    }
}
