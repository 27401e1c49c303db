//! Classifiers by their hash in the cache: one that was trained is trained no more.

use std::path::{Path, PathBuf};

use multigen_measure::Commit;
use multigen_models::{Classifier, ClassifierConfig, Params};
use serde::{Deserialize, Serialize};

use super::augment::Classical;
use crate::judging::{HalfWay, Material, Solver, fit, record, save, start};
use crate::run_config::short_hash;
use crate::train::Surroundings;
use crate::{Error, Result};

/// Everything that decides a classifier's bytes, but for the number of threads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ClassifierRun {
    /// Its network in full.
    pub network: ClassifierConfig,
    /// Its solver.
    pub solver: Solver,
    /// What it learns from.
    pub learns_from: LearnsFrom,
    /// The device's kind.
    pub device: String,
    /// The seed.
    pub seed: u64,
}

/// A name for the images that a classifier learns from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LearnsFrom {
    /// SHA-256 of the real training images of the arm.
    pub real_sha256: String,
    /// Whether it sees them, or only what a generator made of them.
    pub real: bool,
    /// How they are changed at random.
    pub classical: Option<Classical>,
    /// Generated images: how many, and the hash of the run that draws them.
    pub generated: Option<(usize, String)>,
}

/// What is kept of a training beside the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// How long it took.
    pub seconds: f64,
    /// The commit of the code that trained it.
    pub commit: Option<Commit>,
}

impl ClassifierRun {
    /// Sixteen hexadecimal digits that name this classifier.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn hash(&self) -> Result<String> {
        let json = serde_json::to_vec(self).map_err(|e| Error::config("classifier", e.to_string()))?;
        Ok(short_hash(&json))
    }

    /// Its file in the cache.
    ///
    /// # Errors
    /// As [`ClassifierRun::hash`].
    pub fn path(&self, cache: &Path) -> Result<PathBuf> {
        Ok(cache.join("classifiers").join(format!("seed{}-{}.safetensors", self.seed, self.hash()?)))
    }

    /// From the cache, or trained now on what `material` gathers.
    ///
    /// # Errors
    /// A broken file in the cache, a loss that is no number, a full disk, an interruption.
    pub fn get(
        &self,
        label: &str,
        material: impl FnOnce() -> Result<Box<dyn Material>>,
        cache: &Path,
        around: Surroundings,
    ) -> Result<(Classifier, Record)> {
        let path = self.path(cache)?;
        let half_way = HalfWay::of(&path, &self.hash()?);
        if let Some(record) = record::<Record>(&path)? {
            let classifier = start(&self.network, Params::new(around.device), self.seed)?;
            classifier.load_file(&path)?;
            // Still there where a process was killed between the two.
            half_way.delete()?;
            if !around.quiet {
                eprintln!("{label}: already trained ({} steps); --fresh trains it anew", self.solver.steps);
            }
            return Ok((classifier, record));
        }
        let mut material = material()?;
        let (solver, who) = ((&self.solver, self.seed), (label, &self.network));
        let (classifier, seconds) = fit(who, material.as_mut(), solver, Some(&half_way), around)?;
        let record = Record { seconds, commit: around.commit.cloned() };
        save(&path, &classifier, &record)?;
        half_way.delete()?;
        Ok((classifier, record))
    }
}
