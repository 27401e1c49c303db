//! The training loop: one pass from top to bottom per step.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{Device, Tensor};
use multigen_data::randomness::keyed_rng;
use multigen_data::{Batches, Gathered, ImageSet, Split};
use multigen_measure::{Commit, EvaluationRow};
use multigen_models::{Generator, LevelTable, Params};
use multigen_ops::{Adam, AdamConfig, AdamParam, GradientBuffers};

use crate::checkpoint::{self, HistoryPoint, Progress, RunFiles};
use crate::evaluate;
use crate::objective::{self, Targets};
use crate::progress::{ProgressLine, duration_text};
use crate::run_config::{RunConfig, TrainingConfig};
use crate::{Error, Result};

/// Adam's ε (SPEC §5).
const EPSILON: f64 = 1e-8;

/// Images per set that the evaluations during training look at: enough for a curve, cheap enough to draw often.
const EVALUATION_SAMPLES: usize = 64;

/// A run that is done.
#[derive(Debug)]
pub struct Trained {
    /// The generator with its final weights.
    pub generator: Generator,
    /// One point per step.
    pub history: Vec<HistoryPoint>,
    /// Where the run stands: complete.
    pub progress: Progress,
}

/// The images of a run.
#[derive(Clone, Copy)]
pub struct Images<'a> {
    /// What training sees.
    pub set: &'a ImageSet,
    /// The same without noise, where they were drawn with it: what generated images are measured against.
    pub truth: &'a ImageSet,
}

/// What surrounds a run and does not change its bytes.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The device.
    pub device: &'a Device,
    /// Becomes true when the user wants to stop.
    pub interrupt: &'a AtomicBool,
    /// Say nothing.
    pub quiet: bool,
    /// The commit of the code, which the run's record names.
    pub commit: Option<&'a Commit>,
}

/// Trains a run, goes on with one that was stopped, or loads one that is complete.
///
/// # Errors
/// A non-finite loss, a foreign or broken checkpoint, a full disk, an interruption (everything so far is saved).
pub fn train(run: &RunConfig, data: Images, split: &Split, cache: &Path, around: Surroundings) -> Result<Trained> {
    let Images { set, truth } = data;
    let hash = run.hash()?;
    let files = RunFiles::new(cache, &run.model, run.seed, &hash);
    let label = format!("{} seed {}", run.model, run.seed);
    let config = &run.training;
    let mut rng = keyed_rng(run.seed, "weights", 0);
    let generator = Generator::new(&run.model, &run.network, around.device, &mut rng)?;

    if files.weights().exists()
        && let Some(done) = checkpoint::load(&files.record(), &hash)?
    {
        generator
            .params()
            .load(&files.weights().display().to_string(), &checkpoint::load_weights(&files.weights(), &hash)?)?;
        if !around.quiet {
            eprintln!("{label}: already trained ({} steps); --fresh trains it anew", done.progress.step);
        }
        return Ok(Trained { generator, history: done.history, progress: done.progress });
    }
    remove_half_written(files.dir());
    let json = serde_json::to_vec_pretty(run).map_err(|e| Error::file(files.config(), e))?;
    std::fs::create_dir_all(files.dir()).map_err(|e| {
        Error::file(files.dir(), format!("cannot be made ({e}); free the disk or check its permissions"))
    })?;
    multigen_measure::atomic_write(&files.config(), &json)?;

    let mut adam = optimiser(generator.params(), config)?;
    let mut gradients = GradientBuffers::new(&generator.params().vars());
    let mut history = Vec::new();
    let mut progress = Progress {
        config_hash: hash.clone(),
        step: 0,
        seed: run.seed,
        best: None,
        evaluations: Vec::new(),
        seconds: 0.0,
        commits: Vec::new(),
    };
    if let Some(last) = checkpoint::load(&files.last(), &hash)? {
        generator.params().load(&files.last().display().to_string(), &last.weights)?;
        adam.load_state(&last.optimiser)?;
        (history, progress) = (last.history, last.progress);
        if !around.quiet {
            eprintln!("{label}: going on from step {} of {}", progress.step, config.steps);
        }
    }

    if let Some(commit) = around.commit.filter(|commit| !progress.commits.contains(commit)) {
        progress.commits.push(commit.clone());
    }

    let mut batches = Batches::new(split.train.clone(), config.batch, run.seed)?;
    let mut gathered = Gathered::default();
    let started = Instant::now();
    let seconds_before = progress.seconds;
    let first_step = progress.step;
    let diverged = |loss: f64, step: u64| Error::NonFiniteLoss {
        model: run.model.clone(),
        seed: run.seed,
        loss,
        step,
        checkpoint: Some(files.last()).filter(|last| last.exists()),
    };
    let mut line = ProgressLine::start(&label, progress.step, config.steps, around.quiet);
    while progress.step < config.steps {
        let step = progress.step;
        let step_started = Instant::now();
        let learning_rate = config.learning_rate * multiplier(&generator, config, step);

        set.gather_into(&batches.batch(step), &mut gathered)?;
        let n_images = gathered.n_images;
        let (levels, targets) = tensors(set, &mut gathered, around.device)?;
        let loss = objective::loss(&generator.forward_to_learn(&levels, step, config.steps)?, &targets, config)?;
        gradients.backward(&loss)?;
        let loss = f64::from(loss.to_scalar::<f32>()?);
        if !loss.is_finite() {
            return Err(diverged(loss, step));
        }

        // Weights are kept only now that their loss is known to be a number, so the last checkpoint is always a good one.
        let saving_started = Instant::now();
        let stop = around.interrupt.load(Ordering::Relaxed) && step > first_step;
        if step > first_step && (step.is_multiple_of(config.checkpoint_every) || stop) {
            checkpoint::save(&files.last(), &progress, &generator.params().tensors()?, &adam.state()?, &history)?;
        }
        if stop {
            line.finish(&format!("stopped at step {step}"));
            return Err(Error::Interrupted { model: run.model.clone(), seed: run.seed, step, steps: config.steps });
        }
        let saving = saving_started.elapsed();
        let learns = |name: &str| generator.learns(name, step, config.steps);
        adam.step_of(learns, &gradients, learning_rate, config.weight_decay)?;

        let images_per_s = n_images as f64 / (step_started.elapsed() - saving).as_secs_f64();
        history.push(HistoryPoint { loss, learning_rate, images_per_s });
        progress.step = step + 1;
        progress.seconds = seconds_before + started.elapsed().as_secs_f64();
        line.update(progress.step, loss, images_per_s);

        let complete = progress.step == config.steps;
        if progress.step.is_multiple_of(config.evaluate_every) || complete {
            let rows =
                evaluate::sampled(&generator, truth, split, EVALUATION_SAMPLES, (&run.model, run.seed, progress.step))
                    .map_err(|error| match error {
                        Error::Measure(multigen_measure::Error::NotFinite { .. }) => diverged(f64::NAN, progress.step),
                        other => other,
                    })?;
            let on_training = rows.first().map_or(f64::NEG_INFINITY, |row| row.psnr_db);
            progress.evaluations.extend(rows);
            if progress.best.is_none_or(|(_, best)| on_training > best) {
                progress.best = Some((progress.step, on_training));
                checkpoint::save_weights(&files.best(), &hash, &generator.params().tensors()?)?;
            }
        }
    }
    checkpoint::save(&files.record(), &progress, &BTreeMap::new(), &BTreeMap::new(), &history)?;
    checkpoint::save_weights(&files.weights(), &hash, &generator.params().tensors()?)?;
    // The optimiser's state is three quarters of a checkpoint and of no use after the last step.
    std::fs::remove_file(files.last()).or_else(missing_is_fine).map_err(|e| Error::file(files.last(), e))?;
    line.finish(&format!(
        "{} steps in {}, loss {:.4}, {}",
        config.steps,
        duration_text(progress.seconds),
        history.last().map_or(f64::NAN, |point| point.loss),
        last_evaluations(&progress.evaluations),
    ));
    Ok(Trained { generator, history, progress })
}

/// Seconds that a run would take from the beginning, by timing a few of its steps.
///
/// # Errors
/// When the network cannot be built or a step fails.
pub fn estimate_seconds(run: &RunConfig, set: &ImageSet, split: &Split, device: &Device) -> Result<f64> {
    const TIMED_STEPS: u64 = 3;
    let config = &run.training;
    let generator = Generator::new(&run.model, &run.network, device, &mut keyed_rng(run.seed, "weights", 0))?;
    let mut adam = optimiser(generator.params(), config)?;
    let mut gradients = GradientBuffers::new(&generator.params().vars());
    let mut batches = Batches::new(split.train.clone(), config.batch, run.seed)?;
    let mut gathered = Gathered::default();
    let remembering = generator.remembering_steps(config.steps);
    let mut seconds = 0.0;
    for stretch in [0..remembering, remembering..config.steps] {
        let mut best = f64::INFINITY;
        for step in stretch.clone().take(TIMED_STEPS as usize) {
            let started = Instant::now();
            set.gather_into(&batches.batch(step), &mut gathered)?;
            let (levels, targets) = tensors(set, &mut gathered, device)?;
            let loss = objective::loss(&generator.forward_to_learn(&levels, step, config.steps)?, &targets, config)?;
            gradients.backward(&loss)?;
            let learns = |name: &str| generator.learns(name, step, config.steps);
            adam.step_of(learns, &gradients, config.learning_rate, config.weight_decay)?;
            best = best.min(started.elapsed().as_secs_f64());
        }
        let n_steps = stretch.end.saturating_sub(stretch.start);
        if n_steps > 0 {
            seconds += best * n_steps as f64;
        }
    }
    Ok(seconds)
}

/// The schedule's multiplier on the base rate: once over the steps in which a generator only remembers, once over the
/// rest.
fn multiplier(generator: &Generator, config: &TrainingConfig, step: u64) -> f64 {
    let remembering = generator.remembering_steps(config.steps);
    match step.checked_sub(remembering) {
        Some(step) => config.schedule.multiplier(step, config.steps - remembering),
        None => config.schedule.multiplier(step, remembering),
    }
}

/// An Adam over all of a network's parameters with their multipliers.
pub(crate) fn optimiser(params: &Params, config: &TrainingConfig) -> Result<Adam> {
    let adam = AdamConfig { beta1: config.beta1, beta2: config.beta2, eps: EPSILON };
    let params = params
        .iter()
        .map(|(name, param)| AdamParam {
            name: name.to_owned(),
            var: param.var.clone(),
            lr_mult: param.multipliers.learning_rate,
            decay_mult: param.multipliers.decay,
        })
        .collect();
    Ok(Adam::new(params, adam)?)
}

/// A gathered batch as the network and the objective take it; the vectors move into the tensors.
fn tensors(set: &ImageSet, gathered: &mut Gathered, device: &Device) -> Result<(LevelTable, Targets)> {
    let n = gathered.n_images;
    let columns = gathered.levels.chunks_exact(n).map(<[u32]>::to_vec).collect();
    let images =
        Tensor::from_vec(std::mem::take(&mut gathered.images), (n, set.channels, set.height, set.width), device)?;
    let masks = match gathered.masks.is_empty() {
        true => None,
        false => Some(Tensor::from_vec(std::mem::take(&mut gathered.masks), n * set.height * set.width, device)?),
    };
    Ok((LevelTable::from_columns(columns)?, Targets { images, masks }))
}

/// The PSNR of every set at the last evaluation, in one phrase.
fn last_evaluations(rows: &[EvaluationRow]) -> String {
    let last = rows.last().map_or(0, |row| row.step);
    let parts: Vec<String> =
        rows.iter().filter(|row| row.step == last).map(|row| format!("{} {:.1} dB", row.set, row.psnr_db)).collect();
    parts.join(", ")
}

/// Removes what a killed writer left: hidden temporary files, each as large as a checkpoint.
fn remove_half_written(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with('.')) {
        // Only room on the disk is lost when one stays.
        std::fs::remove_file(entry.path()).ok();
    }
}

pub(crate) fn missing_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
