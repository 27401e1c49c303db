//! The loop of classifiers, whoever they are.

use std::sync::atomic::Ordering;
use std::time::Instant;

use candle_core::Tensor;
use multigen_data::randomness::keyed_rng;
use multigen_models::{Classifier, ClassifierConfig, Dropout, Params};
use multigen_ops::{self as ops, Adam, GradientBuffers};
use rand::RngExt;

use super::half_way::{self, HalfWay};
use super::lessons::Material;
use super::solver::Solver;
use crate::estimate::Known;
use crate::learners::optimiser;
use crate::progress::ProgressLine;
use crate::train::Surroundings;
use crate::{Error, Result};

/// Trains a classifier from its first weights, or goes on from what is kept of it half way: they, and which units are
/// dropped, depend on the seed; which images a step shows is the material's own affair. Gives the seconds it took, too,
/// over all sittings.
///
/// What `half_way` keeps is for the caller to delete: a complete classifier is kept too, until it lies in its own place.
///
/// # Errors
/// When images cannot be gathered, the loss is no number, what is kept is broken or cannot be written, or the user
/// interrupts.
pub(crate) fn fit(
    (reader, network): (&str, &ClassifierConfig),
    material: &mut dyn Material,
    (solver, seed): (&Solver, u64),
    half_way: Option<&HalfWay>,
    around: Surroundings,
) -> Result<(Classifier, f64)> {
    let judge = start(network, Params::new(around.device), seed)?;
    let mut adam = optimiser(judge.params(), (solver.beta1, solver.beta2))?;
    let mut gradients = GradientBuffers::new(&judge.params().vars());
    let (first, seconds_before) = match half_way {
        Some(half_way) => half_way.resume(&judge, &mut adam, around.commit, around.quiet)?,
        None => (0, 0.0),
    };
    if first > 0 && !around.quiet {
        eprintln!("{reader}: going on from step {first} of {}", solver.steps);
    }
    let keep = |adam: &Adam, step: u64, seconds: f64| match half_way {
        Some(half_way) => half_way.save((&judge, adam), (step, seconds), seed, around.commit),
        None => Ok(()),
    };
    let mut line = ProgressLine::start(reader, first, solver.steps, around.quiet);
    let started = Instant::now();
    let seconds = || seconds_before + started.elapsed().as_secs_f64();
    let mut kept = Instant::now();
    for step in first..solver.steps {
        let (images, levels) = material.batch(step, solver.batch)?.tensors(network.image_size(), around.device)?;
        let mut loss = Tensor::new(0f32, around.device)?;
        let dropout = Dropout::Keyed(keyed_rng(seed, "judge dropout", step).random());
        for ((_, logits), levels) in judge.forward(&images, dropout)?.iter().zip(&levels) {
            loss = (loss + ops::softmax_cross_entropy(logits, levels)?)?;
        }
        gradients.backward(&loss)?;
        let loss = f64::from(loss.to_scalar::<f32>()?);
        if !loss.is_finite() {
            return Err(Error::config(
                reader,
                format!("its loss is {loss} at step {step}; check the images for values that are no numbers"),
            ));
        }
        // Weights are kept only now that their loss is known to be a number.
        let stop = around.interrupt.load(Ordering::Relaxed) && step > first;
        if stop || step > first && kept.elapsed() >= half_way::EVERY {
            keep(&adam, step, seconds())?;
            kept = Instant::now();
        }
        if stop {
            line.finish(&format!("stopped at step {step}"));
            let is_kept = half_way.is_some();
            return Err(Error::ClassifierInterrupted { reader: reader.to_owned(), step, steps: solver.steps, is_kept });
        }
        adam.step(
            &gradients,
            solver.learning_rate * solver.schedule.multiplier(step, solver.steps),
            solver.weight_decay,
        )?;
        let done = step + 1 - first;
        line.update(step + 1, loss, (done * solver.batch as u64) as f64 / started.elapsed().as_secs_f64());
    }
    let seconds = seconds();
    if first < solver.steps {
        keep(&adam, solver.steps, seconds)?;
        line.finish(&format!("{} steps in {seconds:.0} s", solver.steps));
    }
    Ok((judge, seconds))
}

/// The network with its first weights, which are the same for all that have its description and seed.
pub(crate) fn start(network: &ClassifierConfig, params: Params, seed: u64) -> Result<Classifier> {
    Ok(Classifier::new("classifier", network, params, &mut keyed_rng(seed, "judge weights", 0))?)
}

/// Seconds that a step of a classifier takes, by a few of them, once for every network and batch.
///
/// # Errors
/// When the network cannot be built or a step fails.
pub(crate) fn step_seconds(
    network: &ClassifierConfig,
    material: &mut dyn Material,
    (solver, seed): (&Solver, u64),
    around: Surroundings,
    known: &mut Known,
) -> Result<f64> {
    const TIMED_STEPS: u64 = 3;
    let kind = format!("a step of {network:?} {}", solver.batch);
    if let Some(&seconds) = known.get(&kind) {
        return Ok(seconds);
    }
    let solver = Solver { steps: TIMED_STEPS, ..solver.clone() };
    let around = Surroundings { quiet: true, ..around };
    let (_, seconds) = fit(("timed", network), material, (&solver, seed), None, around)?;
    let seconds = seconds / TIMED_STEPS as f64;
    known.insert(kind, seconds);
    Ok(seconds)
}
