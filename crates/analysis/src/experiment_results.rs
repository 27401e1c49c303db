//! Everything that one experiment left on disk, read and checked.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use multigen_measure::{
    DiagnosticRow, EvaluationRow, ExperimentDir, HistoryRow, Manifest, MetricRow, ResultsDir, Samples, Sheet,
    read_rows, read_samples, read_sheets,
};

use crate::error::{Error, Result};

/// The results of one experiment.
#[derive(Debug, Clone)]
pub struct ExperimentResults {
    /// Where they lie.
    pub dir: ExperimentDir,
    /// The manifest.
    pub manifest: Manifest,
    /// All figures.
    pub metrics: Vec<MetricRow>,
    /// All training steps; empty where nothing was trained.
    pub history: Vec<HistoryRow>,
    /// All evaluations during training; empty where there were none.
    pub evaluations: Vec<EvaluationRow>,
    /// What was looked at while a discriminator took part; empty where none did.
    pub diagnostics: Vec<DiagnosticRow>,
}

impl ExperimentResults {
    /// Reads manifest and tables; samples are read one file at a time by [`samples`](Self::samples).
    ///
    /// # Errors
    /// No such folder; a missing or broken manifest or metrics table; a broken history or evaluations table; the same
    /// figure twice.
    pub fn read(results: &ResultsDir, experiment: &str) -> Result<Self> {
        let dir = results.experiment(experiment);
        if !dir.root().is_dir() {
            return Err(Error::NoExperiment { path: dir.root().to_path_buf() });
        }
        let manifest = Manifest::read(&dir.manifest())?;
        let metrics: Vec<MetricRow> = read_rows(&dir.metrics())?;
        let mut seen = HashSet::new();
        for row in &metrics {
            if !seen.insert((&row.model, row.seed, &row.set, &row.combination, &row.metric)) {
                let detail = format!("`{}` of `{}` in `{}` stands twice", row.metric, row.combination, row.model);
                return Err(Error::Rows { path: dir.metrics(), detail });
            }
        }
        let history = if dir.history().exists() { read_rows(&dir.history())? } else { Vec::new() };
        let evaluations = if dir.evaluations().exists() { read_rows(&dir.evaluations())? } else { Vec::new() };
        let diagnostics = if dir.diagnostics().exists() { read_rows(&dir.diagnostics())? } else { Vec::new() };
        Ok(Self { dir, manifest, metrics, history, evaluations, diagnostics })
    }

    /// The samples of a model under the first seed that has some, with that seed.
    ///
    /// # Errors
    /// A broken samples file.
    pub fn samples(&self, model: &str) -> Result<Option<(u64, Vec<Samples>)>> {
        self.of_first_seed(|seed| self.dir.samples(model, seed), read_samples)
    }

    /// The sheets of a model under the first seed that has some, with that seed.
    ///
    /// # Errors
    /// A broken file of sheets.
    pub fn sheets(&self, model: &str) -> Result<Option<(u64, Vec<Sheet>)>> {
        self.of_first_seed(|seed| self.dir.sheets(model, seed), read_sheets)
    }

    fn of_first_seed<T>(
        &self,
        path: impl Fn(u64) -> PathBuf,
        read: impl Fn(&Path) -> multigen_measure::Result<T>,
    ) -> Result<Option<(u64, T)>> {
        self.first_seed(path).map(|(seed, path)| Ok((seed, read(&path)?))).transpose()
    }

    /// The first seed that left a file at its path, and that path.
    pub fn first_seed(&self, path: impl Fn(u64) -> PathBuf) -> Option<(u64, PathBuf)> {
        self.manifest.seeds.iter().map(|&seed| (seed, path(seed))).find(|(_, path)| path.exists())
    }

    /// The names of the trained models, in the order of the manifest.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.manifest.models.iter().map(|model| model.name.as_str())
    }
}
