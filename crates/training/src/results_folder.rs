//! A results folder: opened before the first step, filled when everything is measured.
//!
//! It gets `config.toml` and a manifest at once, unless it holds earlier results: those are replaced, all together, when the
//! new ones lie whole on the disk beside them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use multigen_measure::{
    self as measure, ConfusionRow, ExperimentDir, HistoryRow, Machine, Manifest, MetricRow, ModelRecord, Samples, Sheet,
};

use crate::Result;
use crate::dataset::Data;
use crate::experiment::{self, About};
use crate::provenance;
use crate::reproduce::Options;
use crate::run_config::{DataConfig, short_hash};

/// The folder in results/ of an experiment of this name and profile. Photographs may not be passed on and are no match for
/// figures of drawn faces: what is made from them lies in a folder of its own, which `.gitignore` knows by its ending.
pub(crate) fn folder(name: &str, profile: &str, data: &Data) -> String {
    let name = experiment::results_name(name, profile);
    if data.are_photographs() { name + experiment::PHOTOGRAPHS } else { name }
}

/// When an experiment began.
#[derive(Clone, Copy)]
pub(crate) struct Started {
    at: SystemTime,
    clock: Instant,
}

impl Started {
    pub(crate) fn now() -> Self {
        Self { at: SystemTime::now(), clock: Instant::now() }
    }
}

/// What the results are of.
pub(crate) struct Subjects<'a> {
    /// The experiment's name.
    pub name: &'a str,
    /// One line for headings.
    pub title: &'a str,
    /// The profile.
    pub profile: &'a str,
    /// Question, expectation, what varies.
    pub about: &'a About,
    /// Images and held-out sets.
    pub data: &'a DataConfig,
    /// The models or arms, in order.
    pub models: Vec<ModelRecord>,
    /// Name and hash of every run, in order.
    pub runs: Vec<(String, String)>,
}

/// A results folder before everything is measured.
pub(crate) struct OpenResults<'a> {
    options: &'a Options<'a>,
    folder: String,
    config: String,
    started: Started,
    /// What is known of the experiment so far.
    pub manifest: Manifest,
}

impl<'a> OpenResults<'a> {
    /// Makes the folder; `config` is the experiment as TOML.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub(crate) fn new(
        subjects: Subjects,
        config: String,
        data: &Data,
        options: &'a Options<'a>,
        started: Started,
    ) -> Result<Self> {
        let Subjects { name, title, profile, about, data: images, models, runs } = subjects;
        let folder = folder(name, profile, data);
        let dir = options.results.experiment(&folder);
        dir.create()?;
        let mut hashed = config.as_bytes().to_vec();
        hashed.extend(runs.iter().flat_map(|(_, hash)| hash.bytes()));
        let varies = format!("What differs between the models: {}.", about.varies.trim_end_matches('.'));
        let notes = [about.reference.clone(), varies].into_iter().filter(|note| !note.is_empty()).collect();
        let manifest = Manifest {
            experiment: name.to_owned(),
            title: title.to_owned(),
            question: about.question.clone(),
            expected: about.expected.clone(),
            profile: profile.to_owned(),
            device: options.device.1.clone(),
            dataset: data.note(images),
            pictured: data.pictured().map(str::to_owned),
            models,
            seeds: options.seeds.clone(),
            config_hash: short_hash(&hashed),
            run_hashes: runs.into_iter().collect(),
            commit: provenance::commit(&options.root),
            run_commits: BTreeMap::new(),
            command: options.command.clone(),
            started: measure::rfc3339_utc(started.at),
            duration_s: 0.0,
            machine: Machine::detect(),
            judge: None,
            notes,
        };
        if !dir.holds_figures() {
            measure::atomic_write(&dir.config(), config.as_bytes())?;
            manifest.write(&dir.manifest())?;
        }
        Ok(Self { options, folder, config, started, manifest })
    }

    /// Writes all figures.
    ///
    /// # Errors
    /// When the disk is full; earlier results stay then.
    pub(crate) fn close(mut self, mut figures: Figures) -> Result<ExperimentDir> {
        let dir = self.options.results.experiment(&self.folder);
        for model in &mut self.manifest.models {
            figures.describe(model);
        }
        self.manifest.notes.append(&mut figures.notes);
        self.manifest.duration_s = self.started.clock.elapsed().as_secs_f64();
        let staged = self.options.results.experiment(&format!(".{}.new", self.folder));
        let written = figures.publish(&self.manifest, &self.config, &staged, &dir);
        // A disk that filled up is not to stay full of what nobody will read.
        std::fs::remove_dir_all(staged.root()).ok();
        written?;
        Ok(dir)
    }
}

/// Everything that goes into the tables of one experiment.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) metrics: Vec<MetricRow>,
    pub(crate) history: Vec<HistoryRow>,
    /// Of experiments on classifiers.
    pub(crate) confusion: Vec<ConfusionRow>,
    pub(crate) evaluations: Vec<measure::EvaluationRow>,
    pub(crate) diagnostics: Vec<measure::DiagnosticRow>,
    /// What a reader must know of single runs.
    pub(crate) notes: Vec<String>,
    /// Per run: model, seed, and the images of each set that its grid shows.
    pub(crate) samples: Vec<(String, u64, Vec<Samples>)>,
    /// Per run: model, seed, and its sheets.
    pub(crate) sheets: Vec<(String, u64, Vec<Sheet>)>,
    /// Per model: parameters, and per seed the training seconds.
    models: BTreeMap<String, (u64, Vec<f64>)>,
}

impl Figures {
    /// Takes note of a trained network: its parameters, and the seconds of its training.
    pub(crate) fn trained(&mut self, model: &str, n_parameters: u64, seconds: f64) {
        let entry = self.models.entry(model.to_owned()).or_default();
        entry.0 = n_parameters;
        entry.1.push(seconds);
    }

    /// Writes everything into the folder `staged`, then moves it over what `dir` holds: a disk that fills up half way
    /// leaves the earlier results as they were. Earlier samples and pictures that have no successor go.
    fn publish(self, manifest: &Manifest, config: &str, staged: &ExperimentDir, dir: &ExperimentDir) -> Result<()> {
        staged.create()?;
        let mut moves = vec![
            (staged.config(), dir.config()),
            (staged.metrics(), dir.metrics()),
            (staged.metrics_compressed(), dir.metrics_compressed()),
            (staged.history(), dir.history()),
            (staged.evaluations(), dir.evaluations()),
        ];
        measure::atomic_write(&staged.config(), config.as_bytes())?;
        measure::write_rows_and_copy(&staged.metrics(), &staged.metrics_compressed(), &self.metrics)?;
        measure::write_rows(&staged.history(), &self.history)?;
        measure::write_rows(&staged.evaluations(), &self.evaluations)?;
        if !self.confusion.is_empty() {
            measure::write_rows(&staged.confusion(), &self.confusion)?;
            moves.push((staged.confusion(), dir.confusion()));
        }
        if !self.diagnostics.is_empty() {
            measure::write_rows(&staged.diagnostics(), &self.diagnostics)?;
            moves.push((staged.diagnostics(), dir.diagnostics()));
        }
        for (model, seed, samples) in self.samples {
            measure::write_samples(&staged.samples(&model, seed), &samples)?;
            moves.push((staged.samples(&model, seed), dir.samples(&model, seed)));
        }
        for (model, seed, sheets) in self.sheets.into_iter().filter(|(_, _, sheets)| !sheets.is_empty()) {
            measure::write_sheets(&staged.sheets(&model, seed), &sheets)?;
            moves.push((staged.sheets(&model, seed), dir.sheets(&model, seed)));
        }
        manifest.write(&staged.manifest())?;
        moves.push((staged.manifest(), dir.manifest()));
        for (from, to) in &moves {
            std::fs::rename(from, to).map_err(|e| measure::Error::writing(to, &e))?;
        }
        let kept: Vec<PathBuf> = moves.into_iter().map(|(_, to)| to).collect();
        Ok(dir.remove_all_but(&kept)?)
    }

    fn describe(&self, record: &mut ModelRecord) {
        if let Some((n_parameters, seconds)) = self.models.get(&record.name) {
            record.n_parameters = *n_parameters;
            record.training_seconds = seconds.iter().sum::<f64>() / seconds.len().max(1) as f64;
            record.images_per_s = (record.steps * record.batch) as f64 / record.training_seconds.max(f64::MIN_POSITIVE);
        }
    }
}
