//! An experiment from its file to its results folder: train (or reuse) every run, measure, write.
//!
//! Runs lie in the cache under their configuration's hash: experiments that share a configuration share the run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use multigen_data::{ImageSet, Split};
use multigen_measure::{
    self as measure, BaselineOptions, Baselines, ExperimentDir, HistoryRow, MetricRow, ModelRecord, ResultsDir,
    SHARPNESS, Samples,
};
use multigen_models::{GeneratorConfig, presets};
use ndarray::Array4;

use crate::checkpoint::{self, RunFiles};
use crate::cooperation::{Cooperating, Cooperation};
use crate::dataset::Data;
use crate::estimate::{Estimated, Known};
use crate::evaluate::{self, Subject};
use crate::experiment::{Experiment, preset_of};
use crate::judging::{JudgeTraining, TrainedJudge, accuracy_text, classify};
use crate::mouths::Mouths;
use crate::results_folder::{Figures, OpenResults, Started, Subjects};
use crate::run_config::{RunConfig, TrainingConfig};
use crate::sheets::{self, Drawing};
use crate::train::{self, Surroundings, Trained};
use crate::{Error, Result, diagnostics};

/// The name under which the judge's reading of the true images stands in the tables.
pub const TRUTH: &str = "truth";

/// What the metrics of a classifier that took part begin with: whether it reads a factor of the real image right.
const CLASSIFIER_METRIC: &str = "classifier_";

/// The name of the training combinations among the sets that are measured.
const TRAIN: &str = "train";

/// What `reproduce` was asked for, apart from the experiments.
pub struct Options<'a> {
    /// The checkout.
    pub root: PathBuf,
    /// Where results go.
    pub results: ResultsDir,
    /// The device and its word on the command line.
    pub device: (Device, String),
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Becomes true when the user wants to stop.
    pub interrupt: &'a AtomicBool,
    /// Say nothing.
    pub quiet: bool,
    /// The command as the user typed it.
    pub command: String,
}

impl Options<'_> {
    /// What surrounds runs of the code of this commit.
    pub(crate) fn around<'b>(&'b self, commit: Option<&'b measure::Commit>) -> Surroundings<'b> {
        Surroundings { device: &self.device.0, interrupt: self.interrupt, quiet: self.quiet, commit }
    }
}

/// One training run of an experiment.
pub struct PlannedRun {
    /// Its configuration.
    pub config: RunConfig,
    /// Its hash.
    pub hash: String,
    /// Whether its weights are in the cache.
    pub complete: bool,
}

impl PlannedRun {
    /// `<model>-seed<k>`.
    fn name(&self) -> String {
        format!("{}-seed{}", self.config.model, self.config.seed)
    }
}

/// The runs of an experiment, seed by seed, in the order in which they would be trained.
///
/// # Errors
/// When a model's network does not fit the data.
pub fn plan(experiment: &Experiment, data: &Data, options: &Options) -> Result<Vec<PlannedRun>> {
    let set = data.set();
    let mut runs = Vec::new();
    for &seed in &options.seeds {
        let data_of_seed = data.for_seed(&experiment.data, seed);
        let training_images = Split::new(&set.factors, &set.combinations, &data_of_seed.held_out)?.train.len();
        for model in &experiment.models {
            let training =
                experiment.training.get(model).cloned().ok_or_else(|| Error::config(model.clone(), "has no solver"))?;
            let config = RunConfig {
                model: model.clone(),
                network: network(model, set)?,
                data: data_of_seed.clone(),
                factors: set.factors.as_slice().to_vec(),
                training_images,
                data_sha256: data.sha256().to_owned(),
                training,
                device: crate::device::kind(&options.device.0).to_owned(),
                seed,
            };
            let hash = config.hash()?;
            let files = RunFiles::new(&options.results.cache(), model, seed, &hash);
            runs.push(PlannedRun { complete: files.weights().exists(), config, hash });
        }
    }
    Ok(runs)
}

/// The network of a model for the factors and the size of a set's images.
fn network(model: &str, set: &ImageSet) -> Result<GeneratorConfig> {
    let levels: Vec<(String, usize)> =
        set.factors.iter().map(|factor| (factor.name.clone(), factor.n_levels())).collect();
    Ok(presets::generator_for(preset_of(model), &levels, set.height)?)
}

/// Deletes an experiment's runs and their pretrained classifiers from the cache, so that they are trained anew; the judge, which
/// all experiments share, stays.
///
/// # Errors
/// When a folder cannot be deleted.
pub fn forget(experiment: &Experiment, data: &Data, options: &Options) -> Result<()> {
    for run in plan(experiment, data, options)? {
        let files = RunFiles::new(&options.results.cache(), &run.config.model, run.config.seed, &run.hash);
        files.delete()?;
        Cooperating::forget(&run.config, data.set(), &options.results.cache(), &options.device.0)?;
    }
    Ok(())
}

/// How long an experiment's judge, runs and pretrained classifiers would take that are not in the cache, by timing a few steps of
/// each kind; what an earlier experiment of the same command trains is in `known` and not counted again.
///
/// # Errors
/// When a network cannot be built.
pub fn estimate(experiment: &Experiment, data: &Data, options: &Options, known: &mut Known) -> Result<Vec<Estimated>> {
    let cache = options.results.cache();
    let around = options.around(None);
    let judge_training = JudgeTraining::new(&experiment.profile, data.set().height);
    let mut estimates = vec![TrainedJudge::estimate(&data.lessons()?, &judge_training, &cache, around, known)?];
    let mut step_seconds: BTreeMap<String, f64> = BTreeMap::new();
    for run in plan(experiment, data, options)? {
        let RunConfig { model, seed, training, .. } = &run.config;
        if let Some(cooperation) = training.cooperation.as_ref().filter(|_| !run.complete) {
            let set = data.set();
            let split = Split::new(&set.factors, &set.combinations, &run.config.data.held_out)?;
            let pretraining = Cooperating::estimate(&run.config, cooperation, (set, &split), &cache, around, known)?;
            estimates.extend(
                pretraining.map(|own| Estimated { what: format!("{model} seed {seed}, its {}", own.what), ..own }),
            );
        }
        let seconds = if run.complete || known.contains_key(&run.hash) {
            0.0
        } else if let Some(&seconds) = step_seconds.get(&run.config.model) {
            seconds
        } else {
            let set = data.set();
            let split = Split::new(&set.factors, &set.combinations, &run.config.data.held_out)?;
            train::estimate_seconds(&run.config, set, &split, &options.device.0)?
        };
        if seconds > 0.0 {
            step_seconds.insert(run.config.model.clone(), seconds);
            known.insert(run.hash.clone(), seconds);
        }
        let what = format!("{model} seed {seed}: {} steps of {}", training.steps, training.batch);
        estimates.push(Estimated { what, complete: run.complete, seconds });
    }
    Ok(estimates)
}

/// Runs an experiment and writes its results folder, but for what analysis makes of it.
///
/// # Errors
/// Whatever training, measuring or writing meets; complete runs stay in the cache.
pub fn run(experiment: &Experiment, data: &Data, options: &Options) -> Result<ExperimentDir> {
    let started = Started::now();
    check_evaluated(experiment, data, options)?;
    // A network that does not fit leaves no folder behind.
    let runs = plan(experiment, data, options)?;
    let about = Subjects {
        name: &experiment.name,
        title: &experiment.title,
        profile: &experiment.profile,
        about: &experiment.about,
        data: &experiment.data,
        models: models(experiment, data),
        runs: runs.iter().map(|run| (run.name(), run.hash.clone())).collect(),
    };
    let mut results = OpenResults::new(about, experiment.to_toml()?, data, options, started)?;
    let cache = options.results.cache();
    checkpoint::make_folder(&cache)?;
    let commit = results.manifest.commit.clone();
    let around = options.around(commit.as_ref());
    let judge_training = JudgeTraining::new(&experiment.profile, data.set().height);
    let judge = TrainedJudge::get(&data.lessons()?, &judge_training, &cache, around)?;
    results.manifest.judge = Some(judge.record.clone());

    let mut figures = Figures::default();
    for &seed in &options.seeds {
        let rules = data.for_seed(&experiment.data, seed).held_out;
        let split = Split::new(&data.set().factors, &data.set().combinations, &rules)?;
        let known = TrainingImages::new(data, &split)?;
        let mut evaluated = data
            .measured(experiment)?
            .into_iter()
            .map(|name| Evaluated::new(experiment, data, &split, (name, seed)))
            .collect::<Result<Vec<_>>>()?;
        for evaluated in &mut evaluated {
            figures.metrics.extend(evaluated.baselines(&known, &judge)?);
        }
        for planned in runs.iter().filter(|planned| planned.config.seed == seed) {
            let images = train::Images { set: data.set(), truth: data.truth() };
            let trained = train::train(&planned.config, images, &split, &cache, around)?;
            if !trained.progress.commits.is_empty() {
                results.manifest.run_commits.insert(planned.name(), trained.progress.commits.clone());
            }
            let drawing = Drawing {
                generator: &trained.generator,
                model: &planned.config.model,
                seed,
                truth: data.truth(),
                split: &split,
                device: &options.device.0,
                pictured: data.pictured(),
            };
            let sheets = sheets::sheets(drawing, &experiment.evaluate.sets)?;
            figures.sheets.push((planned.config.model.clone(), seed, sheets));
            figures.add(&mut evaluated, &known, planned, &trained, &judge)?;
        }
    }
    results.close(figures)
}

/// Refuses a set or an image to show that does not exist: before minutes of training, not after.
fn check_evaluated(experiment: &Experiment, data: &Data, options: &Options) -> Result<()> {
    for &seed in &options.seeds {
        let rules = data.for_seed(&experiment.data, seed).held_out;
        let split = Split::new(&data.set().factors, &data.set().combinations, &rules)?;
        for name in data.measured(experiment)? {
            Evaluated::new(experiment, data, &split, (name, seed))?;
        }
    }
    Ok(())
}

/// What the manifest says of every model.
fn models(experiment: &Experiment, data: &Data) -> Vec<ModelRecord> {
    let record = |model: &String| {
        let training = experiment.training.get(model);
        ModelRecord {
            name: model.clone(),
            n_parameters: 0,
            description: describe(model, training),
            steps: training.map_or(0, |t| t.steps),
            batch: training.map_or(0, |t| t.batch as u64),
            training_seconds: 0.0,
            images_per_s: 0.0,
            network_note: network(model, data.set())
                .ok()
                .map(|network| format!("It is told {}.", network.what_it_is_told())),
            differs_from_paper: experiment.differs_from_paper.get(model).cloned().unwrap_or_default(),
        }
    };
    experiment.models.iter().map(record).collect()
}

/// What a model is, and what takes part in its training.
fn describe(model: &str, training: Option<&TrainingConfig>) -> String {
    let network = presets::describe(preset_of(model));
    let partners = training.map(TrainingConfig::describe_partners).unwrap_or_default();
    format!("{network} {partners}").trim_end().to_owned()
}

impl Figures {
    fn add(
        &mut self,
        evaluated: &mut [Evaluated],
        known: &TrainingImages,
        planned: &PlannedRun,
        trained: &Trained,
        judge: &TrainedJudge,
    ) -> Result<()> {
        let RunConfig { model, seed, .. } = &planned.config;
        let mut samples = Vec::new();
        for set in evaluated {
            let images = evaluate::draw(&trained.generator, set.truth, set.indices)?;
            let (nearest, nearest_indices) = known.nearest(&images)?;
            let of_images = (set.truth, set.indices);
            self.metrics.extend(evaluate::measure_images(
                set.subject(model),
                &images,
                of_images,
                judge,
                Some(&nearest),
            )?);
            if let Some(means) = &set.mean_digits {
                let metric = measure::MEAN_DIGIT_PSNR;
                self.metrics.extend(evaluate::psnr_to(set.subject(model), metric, (&images, means), of_images)?);
            }
            samples.push(set.samples(&images, &nearest, &nearest_indices)?);
            if let Some(cooperating) = &trained.cooperating {
                let real = evaluate::truth(set.truth, set.indices)?;
                let read = classify(cooperating.classifier(), &real)?;
                let of_images = (set.truth, set.indices);
                self.metrics.extend(evaluate::read_rows(set.subject(model), CLASSIFIER_METRIC, read, of_images)?);
            }
            let subject = set.subject(model);
            if let Some(mouths) = &mut set.mouths {
                self.metrics.extend(mouths.read(subject, &images)?);
            }
        }
        self.samples.push((model.clone(), *seed, samples));
        self.history.extend(trained.history.iter().enumerate().map(|(i, point)| HistoryRow {
            model: model.clone(),
            seed: *seed,
            step: i as u64 + 1,
            loss: point.loss,
            learning_rate: point.learning_rate,
            images_per_s: point.images_per_s,
        }));
        self.evaluations.extend(trained.progress.evaluations.iter().cloned());
        self.diagnostics.extend(trained.progress.diagnostics.iter().cloned());
        let warnings = diagnostics::warnings(&trained.progress.diagnostics);
        self.notes.extend(warnings.iter().map(|warning| format!("{model}, seed {seed}: {warning}")));
        if let Some(record) = trained.cooperating.as_ref().and_then(|cooperating| cooperating.pretrained.as_ref()) {
            let reader = planned.config.training.cooperation.as_ref().map_or("", Cooperation::tested);
            self.notes.push(format!(
                "{model}, seed {seed}: before the run {reader} reads {} real images that it never saw: {}",
                record.n_images,
                accuracy_text(record)
            ));
        }
        self.trained(model, trained.generator.params().count() as u64, trained.progress.seconds);
        Ok(())
    }
}

/// The training images of one seed's split, for baselines and for the look at memorisation.
struct TrainingImages<'a> {
    set: &'a ImageSet,
    split: &'a Split,
    images: Array4<f32>,
    levels: Vec<Vec<usize>>,
    baselines: BaselineOptions<'static>,
}

impl<'a> TrainingImages<'a> {
    fn new(data: &'a Data, split: &'a Split) -> Result<Self> {
        let set = data.set();
        let images = evaluate::truth(set, &split.train)?;
        let levels = split.train.iter().filter_map(|&i| set.combinations.get(i).map(|c| c.0.clone())).collect();
        Ok(Self { set, split, images, levels, baselines: data.baselines()? })
    }

    /// For each image the nearest training image and its index in the set.
    fn nearest(&self, images: &Array4<f32>) -> Result<(Array4<f32>, Vec<usize>)> {
        evaluate::nearest_training_images(images, &self.known()?, self.split, self.set)
    }

    fn known(&self) -> Result<Baselines<'_>> {
        Ok(Baselines::new(self.images.view(), &self.levels)?)
    }
}

/// A set of combinations that an experiment measures, for one seed's split.
struct Evaluated<'a> {
    experiment: &'a Experiment,
    seed: u64,
    name: &'a str,
    /// The true images of all combinations.
    truth: &'a ImageSet,
    indices: &'a [usize],
    /// Rows of `indices` that the grid shows.
    shown: Vec<usize>,
    /// Of drawn faces that are held out.
    mouths: Option<Mouths<'a>>,
    /// Of held-out digits: the mean of the same digit for each.
    mean_digits: Option<Array4<f32>>,
}

impl<'a> Evaluated<'a> {
    fn new(experiment: &'a Experiment, data: &'a Data, split: &'a Split, (name, seed): (&'a str, u64)) -> Result<Self> {
        let truth = data.truth();
        let indices = if name == TRAIN { &split.train } else { split.indices(name).unwrap_or_default() };
        if indices.is_empty() {
            return Err(Error::config("evaluate.sets", format!("'{name}' holds no image; expected at least one")));
        }
        let mut shown = Vec::new();
        for label in &experiment.evaluate.show {
            let combination = truth.factors.parse(label)?;
            let index = truth.find(&combination);
            if index.is_none() && data.are_photographs() {
                continue;
            }
            let of_experiment = |index: usize| {
                let sets = &experiment.evaluate.sets;
                sets.iter().any(|set| set == TRAIN && split.train.contains(&index))
                    || sets.iter().any(|set| split.indices(set).is_some_and(|indices| indices.contains(&index)))
            };
            if !index.is_some_and(of_experiment) {
                let sets = experiment.evaluate.sets.join(", ");
                return Err(Error::config("evaluate.show", format!("'{label}' is in none of the sets {sets}")));
            }
            shown.extend(index.and_then(|index| indices.iter().position(|&i| i == index)));
        }
        if shown.is_empty() {
            let stride = indices.len().div_ceil(experiment.evaluate.show_at_most.max(1)).max(1);
            shown = (0..indices.len()).step_by(stride).collect();
        }
        shown.truncate(experiment.evaluate.show_at_most);
        let mouths = data.drawn_faces().filter(|_| name != TRAIN).map(|config| Mouths::new(config, truth, indices));
        Ok(Self { experiment, seed, name, truth, indices, shown, mouths, mean_digits: None })
    }

    fn subject<'b>(&self, model: &'b str) -> Subject<'b>
    where
        'a: 'b,
    {
        Subject { experiment: &self.experiment.name, model, seed: self.seed, set: self.name }
    }

    /// The baselines' figures, and the judge's reading of the true images.
    fn baselines(&mut self, known: &TrainingImages, judge: &TrainedJudge) -> Result<Vec<MetricRow>> {
        let truth = evaluate::truth(self.truth, self.indices)?;
        let targets: Vec<Vec<usize>> =
            self.indices.iter().filter_map(|&i| self.truth.combinations.get(i).map(|c| c.0.clone())).collect();
        let own: Vec<usize> = (0..targets.len()).collect();
        let options = BaselineOptions { own: (self.name == TRAIN).then_some(own.as_slice()), ..known.baselines };
        let of_images = (self.truth, self.indices);
        let mut rows = evaluate::measure_images(self.subject(TRUTH), &truth, of_images, judge, None)?;
        // The truth's distance to itself is no figure; what the judge makes of it is the ceiling of what it can say.
        rows.retain(|row| row.metric.starts_with("judge_") || row.metric == SHARPNESS);
        let subject = self.subject(TRUTH);
        if let Some(mouths) = &self.mouths {
            rows.extend(mouths.known(subject, TRUTH)?);
        }
        for (name, images) in known.known()?.all(truth.view(), &targets, options)? {
            rows.extend(evaluate::measure_images(self.subject(&name), &images, of_images, judge, None)?);
            if name == measure::MEAN_DIGIT && self.name != TRAIN {
                self.mean_digits = Some(images);
            }
        }
        Ok(rows)
    }

    fn samples(&self, images: &Array4<f32>, nearest: &Array4<f32>, nearest_indices: &[usize]) -> Result<Samples> {
        let shown: Vec<usize> = self.shown.iter().filter_map(|&row| self.indices.get(row).copied()).collect();
        let label = |&index: &usize| self.truth.label(index).unwrap_or_default();
        Ok(Samples {
            set: self.name.to_owned(),
            labels: shown.iter().map(label).collect(),
            truth: evaluate::truth(self.truth, &shown)?,
            generated: evaluate::select(images, &self.shown),
            nearest: evaluate::select(nearest, &self.shown),
            nearest_labels: self.shown.iter().filter_map(|&row| nearest_indices.get(row)).map(label).collect(),
        })
    }
}
