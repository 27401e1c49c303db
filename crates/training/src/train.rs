//! The training loop: one pass from top to bottom per step.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{Device, Tensor};
use multigen_data::randomness::keyed_rng;
use multigen_data::{Batches, Gathered, ImageSet, Split};
use multigen_measure::{Commit, EvaluationRow};
use multigen_models::{Generator, LevelTable};
use multigen_ops::GradientBuffers;

use crate::adversarial::{Adversarial, Duel, Opponent};
use crate::checkpoint::{self, HistoryPoint, Progress, RunFiles};
use crate::cooperation::{self, Cooperating};
use crate::diagnostics::{diagnose, warnings};
use crate::evaluate;
use crate::learners::{CLASSIFIER_PREFIX, DISCRIMINATOR_PREFIX, Learners};
use crate::objective::{self, Targets};
use crate::phases;
use crate::progress::{ProgressLine, duration_text};
use crate::run_config::RunConfig;
use crate::{Error, Result};

/// Images per set that the evaluations during training look at: enough for a curve, cheap enough to draw often.
const EVALUATION_SAMPLES: usize = 64;

/// A run that is done.
#[derive(Debug)]
pub struct Trained {
    /// The generator with its final weights.
    pub generator: Generator,
    /// The classifier that took part, as it is at the end.
    pub cooperating: Option<Cooperating>,
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
    if !config.phases.is_empty() && generator.remembering_steps(config.steps) > 0 {
        return Err(Error::config(
            &run.model,
            "phases: a generator that teaches itself by what it remembers has no step in which another network could teach it; choose another model",
        ));
    }
    let cooperating = match &config.cooperation {
        None => None,
        Some(cooperation) => Some(Cooperating::new(run, cooperation, (set, split), cache, around)?),
    };
    let opponent = opponent(run, set, around.device)?;
    let learners = Learners {
        generator: &generator,
        classifier: cooperating.as_ref().filter(|c| c.learns()).map(Cooperating::classifier),
        opponent: opponent.as_ref(),
    };

    if files.weights().exists()
        && let Some(done) = checkpoint::load(&files.record(), &hash)?
    {
        learners.load(&files.weights().display().to_string(), &checkpoint::load_weights(&files.weights(), &hash)?)?;
        if !around.quiet {
            eprintln!("{label}: already trained ({} steps); --fresh trains it anew", done.progress.step);
        }
        return Ok(Trained { generator, cooperating, history: done.history, progress: done.progress });
    }
    remove_half_written(files.dir());
    let json = serde_json::to_vec_pretty(run).map_err(|e| Error::file(files.config(), e))?;
    checkpoint::make_folder(files.dir())?;
    multigen_measure::atomic_write(&files.config(), &json)?;

    let mut adam = learners.optimiser(config)?;
    let mut gradients = GradientBuffers::new(&learners.vars());
    let mut history = Vec::new();
    let mut progress = Progress {
        config_hash: hash.clone(),
        step: 0,
        seed: run.seed,
        best: None,
        evaluations: Vec::new(),
        diagnostics: Vec::new(),
        seconds: 0.0,
        commits: Vec::new(),
    };
    if let Some(last) = checkpoint::load(&files.last(), &hash)? {
        learners.load(&files.last().display().to_string(), &last.weights)?;
        adam.load_state(&last.optimiser)?;
        (history, progress) = (last.history, last.progress);
        if !around.quiet {
            eprintln!("{label}: going on from step {} of {}", progress.step, config.steps);
        }
    }

    if let Some(commit) = around.commit.filter(|commit| !progress.commits.contains(commit)) {
        progress.commits.push(commit.clone());
    }

    let mut steps = Steps::new(run, (set, split), learners, cooperating.as_ref(), around.device)?;
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
        let place = steps.place(step);
        if place.restarts && step > 0 {
            adam = learners.optimiser(config)?;
        }
        let learning_rate = config.learning_rate * config.schedule.multiplier(place.step, place.steps);
        let StepLoss { loss, total, n_images, duel } = steps.loss(step)?;
        gradients.backward(&total)?;
        let (loss, total) = (f64::from(loss.to_scalar::<f32>()?), f64::from(total.to_scalar::<f32>()?));
        // The sum has the discriminator's own loss in it too.
        if let Some(broken) = [loss, total].into_iter().find(|loss| !loss.is_finite()) {
            return Err(diverged(broken, step));
        }

        // Weights are kept only now that their loss is known to be a number, so the last checkpoint is always a good one.
        let saving_started = Instant::now();
        let stop = around.interrupt.load(Ordering::Relaxed) && step > first_step;
        if step > first_step && (step.is_multiple_of(config.checkpoint_every) || stop) {
            checkpoint::save(&files.last(), &progress, &learners.tensors()?, &adam.state()?, &history)?;
        }
        if stop {
            line.finish(&format!("stopped at step {step}"));
            return Err(Error::Interrupted { model: run.model.clone(), seed: run.seed, step, steps: config.steps });
        }
        let saving = saving_started.elapsed();
        adam.step_of(|name| steps.learns(name, step), &gradients, learning_rate, config.weight_decay)?;
        let complete = step + 1 == config.steps;
        let is_evaluated = (step + 1).is_multiple_of(config.evaluate_every) || complete;
        if let (true, Some((adversarial, duel, images))) = (is_evaluated, &duel) {
            let place = (run.model.as_str(), run.seed, step + 1);
            let images = (&images.0, &images.1);
            progress.diagnostics.push(diagnose(place, adversarial.loss, duel, images, &gradients)?);
        }

        let images_per_s = n_images as f64 / (step_started.elapsed() - saving).as_secs_f64();
        history.push(HistoryPoint { loss, learning_rate, images_per_s });
        progress.step = step + 1;
        progress.seconds = seconds_before + started.elapsed().as_secs_f64();
        line.update(progress.step, loss, images_per_s);

        if is_evaluated {
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
                checkpoint::save_weights(&files.best(), &hash, &learners.tensors()?)?;
            }
        }
    }
    checkpoint::save(&files.record(), &progress, &BTreeMap::new(), &BTreeMap::new(), &history)?;
    // Mostly the last weights are the best as well: one file under two names, where the file system has such.
    let last_is_best = progress.best.is_some_and(|(step, _)| step == config.steps);
    if !(last_is_best && std::fs::hard_link(files.best(), files.weights()).is_ok()) {
        checkpoint::save_weights(&files.weights(), &hash, &learners.tensors()?)?;
    }
    // The optimiser's state is three quarters of a checkpoint and of no use after the last step.
    checkpoint::delete_file(&files.last())?;
    line.finish(&format!(
        "{} steps in {}, loss {:.4}, {}",
        config.steps,
        duration_text(progress.seconds),
        history.last().map_or(f64::NAN, |point| point.loss),
        last_evaluations(&progress.evaluations),
    ));
    for warning in warnings(&progress.diagnostics).iter().filter(|_| !around.quiet) {
        eprintln!("{label}: {warning}");
    }
    Ok(Trained { generator, cooperating, history, progress })
}

/// The discriminator of a run, untrained.
fn opponent(run: &RunConfig, set: &ImageSet, device: &Device) -> Result<Option<Opponent>> {
    let adversarial = run.training.adversarial.as_ref();
    adversarial.map(|config| Opponent::new(config, (&run.data.set, set), run.seed, device)).transpose()
}

/// Seconds that a run would take from the beginning, by timing a few of its steps.
///
/// # Errors
/// When the network cannot be built or a step fails.
pub fn estimate_seconds(run: &RunConfig, set: &ImageSet, split: &Split, device: &Device) -> Result<f64> {
    const TIMED_STEPS: u64 = 3;
    let config = &run.training;
    let generator = Generator::new(&run.model, &run.network, device, &mut keyed_rng(run.seed, "weights", 0))?;
    let cooperating = match &config.cooperation {
        None => None,
        Some(cooperation) => Some(Cooperating::untrained(run, cooperation, set, device)?),
    };
    let opponent = opponent(run, set, device)?;
    let learners = Learners {
        generator: &generator,
        classifier: cooperating.as_ref().filter(|c| c.learns()).map(Cooperating::classifier),
        opponent: opponent.as_ref(),
    };
    let mut adam = learners.optimiser(config)?;
    let mut gradients = GradientBuffers::new(&learners.vars());
    let mut steps = Steps::new(run, (set, split), learners, cooperating.as_ref(), device)?;
    let mut seconds = 0.0;
    let mut first = 0;
    while first < config.steps {
        let stretch = steps.place(first).steps.max(1);
        let mut best = f64::INFINITY;
        for step in first..first + stretch.min(TIMED_STEPS) {
            let started = Instant::now();
            gradients.backward(&steps.loss(step)?.total)?;
            adam.step_of(|name| steps.learns(name, step), &gradients, config.learning_rate, config.weight_decay)?;
            best = best.min(started.elapsed().as_secs_f64());
        }
        seconds += best * stretch as f64;
        first += stretch;
    }
    Ok(seconds)
}

/// Where a step lies in a stretch of a run that has a schedule of its own.
struct Place {
    /// The step, counted from the stretch's first one.
    step: u64,
    /// The stretch's steps.
    steps: u64,
    /// Whether the optimiser starts anew with this step.
    restarts: bool,
}

/// The steps of a run: what each of them draws, compares and teaches.
struct Steps<'a> {
    run: &'a RunConfig,
    set: &'a ImageSet,
    generator: &'a Generator,
    opponent: Option<&'a Opponent>,
    cooperating: Option<&'a Cooperating>,
    device: &'a Device,
    batches: Batches,
    gathered: Gathered,
}

impl<'a> Steps<'a> {
    fn new(
        run: &'a RunConfig,
        (set, split): (&'a ImageSet, &Split),
        learners: Learners<'a>,
        cooperating: Option<&'a Cooperating>,
        device: &'a Device,
    ) -> Result<Self> {
        let Learners { generator, opponent, .. } = learners;
        let batches = Batches::new(split.train.clone(), run.training.batch, run.seed)?;
        Ok(Self { run, set, generator, opponent, cooperating, device, batches, gathered: Gathered::default() })
    }

    fn phase(&self, step: u64) -> Option<phases::Place<'a>> {
        phases::place(&self.run.training.phases, step, self.run.training.steps)
    }

    /// The schedule runs once over every phase; without phases once over the steps in which a generator only remembers,
    /// and once over the rest.
    fn place(&self, step: u64) -> Place {
        if let Some(phases::Place { step, steps, .. }) = self.phase(step) {
            return Place { step, steps, restarts: step == 0 };
        }
        let steps = self.run.training.steps;
        let remembering = self.generator.remembering_steps(steps);
        match step.checked_sub(remembering) {
            Some(step) => Place { step, steps: steps - remembering, restarts: false },
            None => Place { step, steps: remembering, restarts: false },
        }
    }

    /// Whether a parameter learns in a step.
    fn learns(&self, parameter: &str, step: u64) -> bool {
        let phase = self.phase(step).map(|place| place.phase);
        if parameter.starts_with(CLASSIFIER_PREFIX) {
            phase.is_some_and(|phase| phase.classifier_learns)
        } else if parameter.starts_with(DISCRIMINATOR_PREFIX) {
            phase.is_some_and(|phase| phase.adversarial > 0.0)
        } else {
            self.generator.learns(parameter, step, self.run.training.steps)
        }
    }

    /// What a step minimises: reconstruction, and what its phase adds.
    fn loss(&mut self, step: u64) -> Result<StepLoss<'a>> {
        let config = &self.run.training;
        let phase = self.phase(step).map(|place| place.phase);
        let mut batch = self.batches.batch(step);
        let n_imagined = phase.map_or(0, |phase| (phase.imagined * batch.len() as f64).round() as usize);
        let n_true = (batch.len() - n_imagined).max(1);
        batch.truncate(n_true);
        self.set.gather_into(&batch, &mut self.gathered)?;
        let (mut columns, targets) = tensors(self.set, &mut self.gathered, self.device)?;
        if n_imagined > 0 {
            let imagined = cooperation::imagined(&self.set.factors, n_imagined, (self.run.seed, step));
            columns.iter_mut().zip(imagined).for_each(|(column, more)| column.extend(more));
        }
        let levels = LevelTable::from_columns(columns.clone())?;
        let mut drawn = self.generator.forward_to_learn(&levels, step, config.steps)?;
        let read = match (phase.filter(|phase| phase.classification > 0.0), self.cooperating) {
            (Some(phase), Some(cooperating)) => {
                let dropout = cooperation::dropout(self.run.seed, step);
                let loss = cooperating.loss(&drawn.images, &self.set.factors, &columns, dropout)?;
                Some((loss * phase.classification)?)
            }
            _ => None,
        };
        if n_imagined > 0 {
            drawn.images = drawn.images.narrow(0, 0, n_true)?;
            drawn.mask_logits = drawn.mask_logits.map(|logits| logits.narrow(0, 0, n_true)).transpose()?;
        }
        let mut loss = objective::loss(&drawn, &targets, config)?;
        if let Some(phase) = phase.filter(|phase| phase.reconstruction != 1.0) {
            loss = (loss * phase.reconstruction)?;
        }
        if let Some(read) = read {
            loss = (loss + read)?;
        }
        let (mut fought, mut total) = (None, loss.clone());
        if let (Some(phase), Some(opponent), Some(adversarial)) =
            (phase.filter(|phase| phase.adversarial > 0.0), self.opponent, &config.adversarial)
        {
            let duel = opponent.duel(&targets.images, &drawn.images, &columns, step)?;
            loss = (loss + (&duel.generator * phase.adversarial)?)?;
            total = (&loss + &duel.discriminator)?;
            fought = Some((adversarial, duel, (targets.images, drawn.images)));
        }
        Ok(StepLoss { loss, total, n_images: n_true + n_imagined, duel: fought })
    }
}

/// What a step minimises.
struct StepLoss<'a> {
    /// What the generator minimises.
    loss: Tensor,
    /// The same and the discriminator's own loss, for one backward pass.
    total: Tensor,
    /// How many images were drawn.
    n_images: usize,
    /// Where a discriminator took part: how, what it said, and the real and the generated images that it said it of.
    duel: Option<(&'a Adversarial, Duel, (Tensor, Tensor))>,
}

/// A gathered batch as the network and the objective take it, its levels per factor; the pixels move into the tensors.
fn tensors(set: &ImageSet, gathered: &mut Gathered, device: &Device) -> Result<(Vec<Vec<u32>>, Targets)> {
    let n = gathered.n_images;
    let columns = gathered.levels.chunks_exact(n).map(<[u32]>::to_vec).collect();
    let images =
        Tensor::from_vec(std::mem::take(&mut gathered.images), (n, set.channels, set.height, set.width), device)?;
    let masks = match gathered.masks.is_empty() {
        true => None,
        false => Some(Tensor::from_vec(std::mem::take(&mut gathered.masks), n * set.height * set.width, device)?),
    };
    Ok((columns, Targets { images, masks }))
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
