//! An experiment on classifiers from its file to its results folder: train (or reuse) every classifier, test, write.

use std::collections::BTreeMap;

use multigen_data::{ImageSet, Split};
use multigen_measure::{self as measure, ACCURACY, ConfusionRow, ExperimentDir, MetricRow, ModelRecord};
use multigen_models::{Classifier, presets};

use super::lot::{Amount, Lot};
use super::mixing;
use super::pool::Pool;
use super::test_sets::{self, TestSet};
use super::trained::{ClassifierRun, LearnsFrom};
use super::{Arm, Classification};
use crate::checkpoint::{self, RunFiles};
use crate::cooperation::{self, Cooperating};
use crate::dataset::Data;
use crate::estimate::{Estimated, Known};
use crate::evaluate::{self, Subject};
use crate::judging::{HalfWay, Lesson, Material, Solver, classify, heads, sha256_of_set, step_seconds};
use crate::reproduce::Options;
use crate::results_folder::{Figures, OpenResults, Started, Subjects};
use crate::run_config::{DataConfig, RunConfig};
use crate::train::{self, Surroundings};
use crate::{Error, Result};

/// One classifier of an experiment.
pub struct PlannedClassifier {
    /// The arm's place.
    arm: usize,
    /// The seed.
    pub seed: u64,
    /// The classifier's own run; of one that cooperates, what it would be alone.
    run: ClassifierRun,
    /// The generator's run, where the arm learns from generated images or beside the generator.
    generator: Option<RunConfig>,
    /// `<arm>-seed<k>`, with the amount of images where they are scarce.
    pub name: String,
    /// Its hash.
    pub hash: String,
    /// Whether its weights are in the cache.
    pub complete: bool,
}

impl PlannedClassifier {
    /// Its arm and seed, for a reader.
    pub fn label(&self) -> String {
        format!("{} seed {}", self.name.trim_end_matches(&format!("-seed{}", self.seed)), self.seed)
    }

    /// Whether it learns beside a generator.
    fn cooperates(&self) -> bool {
        self.generator.is_some() && self.run.learns_from.generated.is_none()
    }
}

/// The classifiers of an experiment, seed by seed, in the order in which they would be trained.
///
/// # Errors
/// When a network does not fit the images, or a seed's images cannot be drawn.
pub fn plan(experiment: &Classification, data: &Data, options: &Options) -> Result<Vec<PlannedClassifier>> {
    let mut planned = Vec::new();
    for &seed in &options.seeds {
        for amount in Amount::all(experiment, data.set()) {
            let lot = Lot::new(experiment, data, (seed, &amount))?;
            planned.extend(OfSeed::new(experiment, data, &lot, options, (seed, &amount))?.planned);
        }
    }
    Ok(planned)
}

/// The factors that an experiment reads: those it names, or all that can be read.
fn reads(experiment: &Classification, data: &Data) -> Result<Vec<String>> {
    let readable = data.read_factors();
    if experiment.reads.is_empty() {
        return Ok(readable.into_iter().map(str::to_owned).collect());
    }
    match experiment.reads.iter().find(|factor| !readable.contains(&factor.as_str())) {
        None => Ok(experiment.reads.clone()),
        Some(stranger) => {
            Err(Error::config("reads", format!("'{stranger}': expected some of {}", readable.join(", "))))
        }
    }
}

/// What one seed trains.
struct OfSeed {
    planned: Vec<PlannedClassifier>,
    /// The real images of upright arms and of those with rotations, where an arm has some.
    real: BTreeMap<bool, ImageSet>,
}

impl OfSeed {
    fn new(
        experiment: &Classification,
        data: &Data,
        lot: &Lot,
        options: &Options,
        (seed, amount): (u64, &Amount),
    ) -> Result<Self> {
        let reads = reads(experiment, data)?;
        let heads = heads(&data.set().factors, &reads.iter().map(String::as_str).collect::<Vec<_>>())?;
        let cache = options.results.cache();
        let device = crate::device::kind(&options.device.0).to_owned();
        let mut real: BTreeMap<bool, (ImageSet, String)> = BTreeMap::new();
        let mut planned = Vec::new();
        for (place, arm) in experiment.arms.iter().enumerate() {
            if let std::collections::btree_map::Entry::Vacant(entry) = real.entry(arm.rotations) {
                let set = lot.real(arm.rotations, &reads)?;
                let sha256 = sha256_of_set(&set);
                entry.insert((set, sha256));
            }
            let Some((set, sha256)) = real.get(&arm.rotations) else { continue };
            let n_generated = (arm.generated * set.len() as f64).round() as usize;
            // What is drawn of the set for a generator of mixtures, and what is held out of it, stands in the hash of its images.
            let (source, config, own) = match arm.cooperative {
                true => (&experiment.cooperation, lot.config.clone(), (data.set(), data.sha256())),
                false => {
                    let config = DataConfig { set: experiment.data.set.clone(), held_out: Vec::new() };
                    (&experiment.generator, config, (set, sha256.as_str()))
                }
            };
            if let Some(cooperation) = source.as_ref().and_then(|source| source.training.cooperation.as_ref()) {
                let found = cooperation::network(&experiment.data.set, cooperation, data.set())?.factors();
                if !(found.len() == heads.len() && heads.iter().all(|head| found.contains(head))) {
                    let names = |heads: &[(String, usize)]| {
                        heads.iter().map(|(factor, _)| factor.as_str()).collect::<Vec<_>>().join(", ")
                    };
                    let problem = format!(
                        "the classifier that cooperates reads {}, the others {}; expected the same, by cooperation.training.cooperation.without",
                        names(&found),
                        names(&heads)
                    );
                    return Err(Error::config(&arm.name, problem));
                }
            }
            let generator = match source {
                Some(generator) if arm.cooperative || n_generated > 0 => {
                    let (set, sha256) = own;
                    let levels: Vec<(String, usize)> =
                        set.factors.iter().map(|factor| (factor.name.clone(), factor.n_levels())).collect();
                    Some(RunConfig {
                        model: generator.model.clone(),
                        network: presets::generator_for(&generator.model, &levels, set.height)?,
                        data: config,
                        factors: set.factors.as_slice().to_vec(),
                        training_images: if arm.cooperative { lot.split.train.len() } else { set.len() },
                        data_sha256: sha256.to_owned(),
                        training: generator.training.clone(),
                        device: device.clone(),
                        seed,
                    })
                }
                _ => None,
            };
            if n_generated > 0 {
                mixing::mixtures(&set.factors, n_generated, seed)?;
            }
            let of_mixtures = generator.as_ref().filter(|_| !arm.cooperative);
            let generated = of_mixtures.map(|run| Ok::<_, Error>((n_generated, run.hash()?))).transpose()?;
            let run = ClassifierRun {
                network: presets::classifier_for(&arm.network, &heads, set.height)?,
                solver: arm.solver.clone(),
                learns_from: LearnsFrom {
                    real_sha256: sha256.clone(),
                    real: arm.real,
                    classical: arm.classical,
                    generated,
                },
                device: device.clone(),
                seed,
            };
            let beside = generator.as_ref().filter(|_| arm.cooperative);
            let (hash, complete) = match beside {
                None => (run.hash()?, run.path(&cache)?.exists()),
                Some(run) => {
                    let hash = run.hash()?;
                    let files = RunFiles::new(&cache, &run.model, run.seed, &hash);
                    (hash, files.weights().exists())
                }
            };
            let name = format!("{}-seed{seed}", amount.test(&arm.name));
            planned.push(PlannedClassifier { arm: place, seed, run, generator, name, hash, complete });
        }
        let real = real.into_iter().map(|(rotations, (set, _))| (rotations, set)).collect();
        Ok(Self { planned, real })
    }

    /// What an arm's classifier learns from; a generator is trained if it must be.
    fn pool(
        &self,
        (arm, planned): (&Arm, &PlannedClassifier),
        reads: &[String],
        options: &Options,
        around: Surroundings,
    ) -> Result<Box<dyn Material>> {
        let set = self.real.get(&arm.rotations).ok_or_else(|| Error::config(&arm.name, "has no images"))?;
        let mut pool = Pool::new(set.height, reads.len(), arm.classical, planned.seed);
        if arm.real {
            pool.add_real(set, reads)?;
        }
        if let (Some(run), Some((n, _))) = (&planned.generator, &planned.run.learns_from.generated) {
            let everything = Split { train: (0..set.len()).collect(), held_out: Vec::new() };
            let images = train::Images { set, truth: set };
            let trained = train::train(run, images, &everything, &options.results.cache(), around)?;
            let mixtures = mixing::mixtures(&set.factors, *n, planned.seed)?;
            let drawn = mixing::draw(&trained.generator, &set.factors, &mixtures)?;
            pool.add_generated(&drawn, &mixtures, set, reads)?;
        }
        Ok(Box::new(pool))
    }
}

/// Deletes an experiment's classifiers, and the generators that it trained for them, from the cache.
///
/// # Errors
/// When a file cannot be deleted.
pub fn forget(experiment: &Classification, data: &Data, options: &Options) -> Result<()> {
    let cache = options.results.cache();
    for planned in plan(experiment, data, options)? {
        let path = planned.run.path(&cache)?;
        checkpoint::delete_file(&path)?;
        HalfWay::of(&path, &planned.run.hash()?).delete()?;
        if let Some(run) = &planned.generator {
            let files = RunFiles::new(&cache, &run.model, run.seed, &run.hash()?);
            files.delete()?;
            if planned.cooperates() {
                Cooperating::forget(run, data.set(), &cache, &options.device.0)?;
            }
        }
    }
    Ok(())
}

/// Images that cost what those of a pool cost.
struct Stand {
    size: usize,
    n_reads: usize,
}

impl Material for Stand {
    fn batch(&mut self, _step: u64, n: usize) -> Result<Lesson> {
        let images = vec![0.5; n * 3 * self.size * self.size];
        Ok(Lesson { images, levels: vec![vec![0; n]; self.n_reads] })
    }

    fn n_test(&self) -> usize {
        0
    }

    fn test(&self, images: std::ops::Range<usize>) -> Result<Lesson> {
        let n = images.len();
        Ok(Lesson { images: vec![0.5; n * 3 * self.size * self.size], levels: vec![vec![0; n]; self.n_reads] })
    }
}

/// How long an experiment's classifiers and generators would take that are not in the cache, by timing a few steps of each
/// kind; what an earlier experiment of the same command trains is in `known` and not counted again.
///
/// # Errors
/// When a network cannot be built.
pub fn estimate(
    experiment: &Classification,
    data: &Data,
    options: &Options,
    known: &mut Known,
) -> Result<Vec<Estimated>> {
    let around = options.around(None);
    let mut estimates = Vec::new();
    for planned in plan(experiment, data, options)? {
        let Solver { mut steps, batch, .. } = planned.run.solver;
        let what = format!("{}: {steps} steps of {batch}", planned.label());
        let mut seconds = 0.0;
        if !planned.complete && !known.contains_key(&planned.hash) {
            if let Some(run) = planned.generator.as_ref().filter(|_| planned.cooperates()) {
                let pretraining = run.training.cooperation.as_ref().and_then(|part| part.pretraining.as_ref());
                steps = pretraining.map_or(0, |pretraining| pretraining.steps);
            }
            let network = &planned.run.network;
            let mut stand = Stand { size: network.image_size(), n_reads: network.factors().len() };
            let solver = (&planned.run.solver, planned.seed);
            seconds = step_seconds(network, &mut stand, solver, around, known)? * steps as f64;
            if let Some(run) = &planned.generator {
                seconds += generator_seconds((run, planned.cooperates()), experiment, data, options, known)?;
            }
            known.insert(planned.hash.clone(), seconds);
        }
        estimates.push(Estimated { what, complete: planned.complete, seconds });
    }
    Ok(estimates)
}

fn generator_seconds(
    (run, cooperates): (&RunConfig, bool),
    experiment: &Classification,
    data: &Data,
    options: &Options,
    known: &mut Known,
) -> Result<f64> {
    let hash = run.hash()?;
    let files = RunFiles::new(&options.results.cache(), &run.model, run.seed, &hash);
    if known.contains_key(&hash) || files.weights().exists() {
        return Ok(0.0);
    }
    let device = &options.device.0;
    let seconds = if cooperates {
        let set = data.set();
        let split = Split::new(&set.factors, &set.combinations, &run.data.held_out)?;
        train::estimate_seconds(run, set, &split, device)?
    } else {
        let lot = Lot::new(experiment, data, (run.seed, &Amount::everything()))?;
        let rotations = run.factors.iter().any(|factor| factor.name == "transform");
        let set = lot.real(rotations, &reads(experiment, data)?)?;
        let everything = Split { train: (0..set.len()).collect(), held_out: Vec::new() };
        train::estimate_seconds(run, &set, &everything, device)?
    };
    known.insert(hash, seconds);
    Ok(seconds)
}

/// Runs an experiment and writes its results folder, but for what analysis makes of it.
///
/// # Errors
/// Whatever training, testing or writing meets; complete classifiers stay in the cache.
pub fn run(experiment: &Classification, data: &Data, options: &Options) -> Result<ExperimentDir> {
    let started = Started::now();
    let reads = reads(experiment, data)?;
    // What cannot be tested is found before anything is trained.
    let (tests, notes) = test_sets::of_all_seeds(experiment, data, &reads)?;
    let planned = plan(experiment, data, options)?;
    let amounts = Amount::all(experiment, data.set());
    for &seed in &options.seeds {
        for amount in &amounts {
            test_sets::of_seed(experiment, data, &Lot::new(experiment, data, (seed, amount))?, &reads)?;
        }
    }
    let about = Subjects {
        name: &experiment.name,
        title: &experiment.title,
        profile: &experiment.profile,
        about: &experiment.about,
        data: &experiment.data,
        models: models(experiment),
        runs: planned.iter().map(|planned| (planned.name.clone(), planned.hash.clone())).collect(),
    };
    let mut results = OpenResults::new(about, experiment.to_toml()?, data, options, started)?;
    results.manifest.notes.extend(notes);
    for planned in &planned {
        if let (Some(run), Some((_, hash))) = (&planned.generator, &planned.run.learns_from.generated) {
            results.manifest.run_hashes.insert(format!("{} of {}", run.model, planned.name), hash.clone());
        }
    }
    let commit = results.manifest.commit.clone();
    let around = options.around(commit.as_ref());
    let mut figures = Figures::default();
    for (&seed, amount) in options.seeds.iter().flat_map(|seed| amounts.iter().map(move |amount| (seed, amount))) {
        let lot = Lot::new(experiment, data, (seed, amount))?;
        let of_seed = OfSeed::new(experiment, data, &lot, options, (seed, amount))?;
        let own_tests = test_sets::of_seed(experiment, data, &lot, &reads)?;
        for planned in &of_seed.planned {
            let Some(arm) = experiment.arms.get(planned.arm) else { continue };
            let read = |classifier: &Classifier| {
                let tests = own_tests.iter().chain(&tests);
                tests
                    .map(|test| {
                        let images = evaluate::truth(&test.set, &(0..test.set.len()).collect::<Vec<_>>())?;
                        let set = amount.test(&test.name);
                        let subject = Subject { experiment: &experiment.name, model: &arm.name, seed, set: &set };
                        rows(subject, classify(classifier, &images)?, test)
                    })
                    .collect::<Result<Vec<_>>>()
            };
            let (tested, n_parameters, seconds, commits) =
                match planned.generator.as_ref().filter(|_| planned.cooperates()) {
                    Some(run) => {
                        let images = train::Images { set: data.set(), truth: data.truth() };
                        let trained = train::train(run, images, &lot.split, &options.results.cache(), around)?;
                        let cooperating = trained.cooperating.as_ref();
                        let classifier = cooperating
                            .ok_or_else(|| {
                                Error::config(&arm.name, "no classifier took part in the generator's training")
                            })?
                            .classifier();
                        let progress = &trained.progress;
                        (read(classifier)?, classifier.params().count(), progress.seconds, progress.commits.clone())
                    }
                    None => {
                        let pool = || of_seed.pool((arm, planned), &reads, options, around);
                        let cache = options.results.cache();
                        let (classifier, record) = planned.run.get(&planned.label(), pool, &cache, around)?;
                        let commits = record.commit.into_iter().collect();
                        (read(&classifier)?, classifier.params().count(), record.seconds, commits)
                    }
                };
            if !commits.is_empty() {
                results.manifest.run_commits.insert(planned.name.clone(), commits);
            }
            figures.trained(&arm.name, n_parameters as u64, seconds);
            for (metrics, confusion) in tested {
                figures.metrics.extend(metrics);
                // Of scarce images the curves tell more than a matrix for every amount.
                figures.confusion.extend(confusion.into_iter().filter(|_| experiment.starve.is_none()));
            }
        }
    }
    results.close(figures)
}

/// Whether each factor of each image is read right, and what was taken for what.
fn rows(
    subject: Subject,
    read: Vec<(String, Vec<usize>)>,
    test: &TestSet,
) -> Result<(Vec<MetricRow>, Vec<ConfusionRow>)> {
    let read: Vec<(String, Vec<usize>)> = read.into_iter().filter(|(factor, _)| test.reads.contains(factor)).collect();
    let mut confusion = Vec::new();
    for (factor, levels) in &read {
        let place = test.set.factors.position(factor)?;
        let names = &test.set.factors.as_slice()[place].levels;
        let truth: Vec<usize> = test.set.combinations.iter().map(|combination| combination[place]).collect();
        let counts = measure::confusion(names.len(), &truth, levels)?;
        for (truth, row) in counts.iter().enumerate() {
            for (read, &count) in row.iter().enumerate().filter(|(read, count)| *read == truth || **count > 0) {
                confusion.push(ConfusionRow {
                    model: subject.model.to_owned(),
                    seed: subject.seed,
                    set: subject.set.to_owned(),
                    factor: factor.clone(),
                    truth: names[truth].clone(),
                    read: names[read].clone(),
                    count,
                });
            }
        }
    }
    let all: Vec<usize> = (0..test.set.len()).collect();
    Ok((evaluate::read_rows(subject, ACCURACY, read, (&test.set, &all))?, confusion))
}

/// What the manifest says of every arm.
fn models(experiment: &Classification) -> Vec<ModelRecord> {
    let record = |arm: &Arm| ModelRecord {
        name: arm.name.clone(),
        n_parameters: 0,
        description: arm.description.clone(),
        steps: arm.solver.steps,
        batch: arm.solver.batch as u64,
        training_seconds: 0.0,
        images_per_s: 0.0,
        network_note: Some(presets::describe(&arm.network).to_owned()),
        differs_from_paper: experiment.differs_from_paper.get(&arm.name).cloned().unwrap_or_default(),
    };
    experiment.arms.iter().map(record).collect()
}
