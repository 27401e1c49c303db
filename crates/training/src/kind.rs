//! One type for every kind of experiment: what commands do with a name, whatever stands behind it.

use multigen_measure::ExperimentDir;

use crate::Result;
use crate::classification::{self, Classification};
use crate::dataset::Data;
use crate::estimate::{Estimated, Known};
use crate::experiment::{About, Catalogue, Experiment, Request};
use crate::reproduce::{self, Options};
use crate::results_folder;
use crate::run_config::DataConfig;

/// An experiment of any kind, resolved for one profile.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyExperiment {
    /// Its arms are generators.
    Generation(Box<Experiment>),
    /// Its arms are classifiers.
    Classification(Box<Classification>),
}

impl Catalogue {
    /// Resolves an experiment of any kind for a profile, with overrides.
    ///
    /// # Errors
    /// When a file cannot be read, holds an unknown key, or the result contradicts itself.
    pub fn resolve_any(&self, name: &str, request: &Request) -> Result<AnyExperiment> {
        Ok(match self.is_classification(name)? {
            true => AnyExperiment::Classification(Box::new(self.resolve_classification(name, request)?)),
            false => AnyExperiment::Generation(Box::new(self.resolve(name, request)?)),
        })
    }
}

impl AnyExperiment {
    /// The name.
    pub fn name(&self) -> &str {
        match self {
            Self::Generation(experiment) => &experiment.name,
            Self::Classification(experiment) => &experiment.name,
        }
    }

    /// One line for headings.
    pub fn title(&self) -> &str {
        match self {
            Self::Generation(experiment) => &experiment.title,
            Self::Classification(experiment) => &experiment.title,
        }
    }

    /// The profile that it was resolved for.
    pub fn profile(&self) -> &str {
        match self {
            Self::Generation(experiment) => &experiment.profile,
            Self::Classification(experiment) => &experiment.profile,
        }
    }

    /// Question, expectation, cost.
    pub fn about(&self) -> &About {
        match self {
            Self::Generation(experiment) => &experiment.about,
            Self::Classification(experiment) => &experiment.about,
        }
    }

    /// Images and held-out sets.
    pub fn data(&self) -> &DataConfig {
        match self {
            Self::Generation(experiment) => &experiment.data,
            Self::Classification(experiment) => &experiment.data,
        }
    }

    /// The experiment as TOML.
    ///
    /// # Errors
    /// When it cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        match self {
            Self::Generation(experiment) => experiment.to_toml(),
            Self::Classification(experiment) => experiment.to_toml(),
        }
    }

    /// Its folder in results/.
    pub fn results_name(&self, data: &Data) -> String {
        results_folder::folder(self.name(), self.profile(), data)
    }

    /// What it would train, and how long that would take here.
    ///
    /// # Errors
    /// When a network cannot be built.
    pub fn estimate(&self, data: &Data, options: &Options, known: &mut Known) -> Result<Vec<Estimated>> {
        match self {
            Self::Generation(experiment) => reproduce::estimate(experiment, data, options, known),
            Self::Classification(experiment) => classification::estimate(experiment, data, options, known),
        }
    }

    /// Deletes what it trained from the cache.
    ///
    /// # Errors
    /// When a file cannot be deleted.
    pub fn forget(&self, data: &Data, options: &Options) -> Result<()> {
        match self {
            Self::Generation(experiment) => reproduce::forget(experiment, data, options),
            Self::Classification(experiment) => classification::forget(experiment, data, options),
        }
    }

    /// Runs it and writes its results folder, but for what analysis makes of it.
    ///
    /// # Errors
    /// Whatever training, measuring or writing meets.
    pub fn run(&self, data: &Data, options: &Options) -> Result<ExperimentDir> {
        match self {
            Self::Generation(experiment) => reproduce::run(experiment, data, options),
            Self::Classification(experiment) => classification::run(experiment, data, options),
        }
    }
}
