//! Checkpoints: weights, optimiser state, place in the run and history in one safetensors file, written atomically.
//!
//! Every random choice is a function of (seed, purpose, step), so the generator's state is the seed and the step; both
//! are in the file. Losses are in it too: a resumed run's history is the uninterrupted one's.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use multigen_measure::{Commit, DiagnosticRow, EvaluationRow};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One step of a run's history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistoryPoint {
    /// The loss before the step's update.
    pub loss: f64,
    /// The learning rate of the update.
    pub learning_rate: f64,
    /// Images per second.
    pub images_per_s: f64,
}

/// Where a run stands, apart from its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The configuration's hash.
    pub config_hash: String,
    /// Steps done.
    pub step: u64,
    /// The seed, which with the step is the state of the random generator.
    pub seed: u64,
    /// Best PSNR so far on samples of the training set, and the step that reached it.
    pub best: Option<(u64, f64)>,
    /// The evaluations so far.
    pub evaluations: Vec<EvaluationRow>,
    /// What was looked at while a discriminator took part.
    #[serde(default)]
    pub diagnostics: Vec<DiagnosticRow>,
    /// Seconds of training so far, over all sittings.
    pub seconds: f64,
    /// The commits of the code that trained, one after the other.
    #[serde(default)]
    pub commits: Vec<Commit>,
}

/// A checkpoint in memory.
#[derive(Debug)]
pub struct Checkpoint {
    /// Where the run stands.
    pub progress: Progress,
    /// Weights by name; none in the record of a complete run, whose weights lie beside it.
    pub weights: HashMap<String, Tensor>,
    /// Optimiser state by name; none in the record of a complete run.
    pub optimiser: BTreeMap<String, Tensor>,
    /// One point per step done.
    pub history: Vec<HistoryPoint>,
}

const HISTORY: &str = "history";
const OPTIMISER: &str = "optimiser.";
const PROGRESS: &str = "progress";
const CONFIG_HASH: &str = "config_hash";

/// Writes a checkpoint to a temporary name and renames it.
///
/// # Errors
/// When the file cannot be written; what was there before stays.
pub fn save(
    path: &Path,
    progress: &Progress,
    weights: &BTreeMap<String, Tensor>,
    optimiser: &BTreeMap<String, Tensor>,
    history: &[HistoryPoint],
) -> Result<()> {
    let flat: Vec<f64> = history.iter().flat_map(|p| [p.loss, p.learning_rate, p.images_per_s]).collect();
    let flat = Tensor::from_vec(flat, (history.len(), 3), &Device::Cpu)?;
    let prefixed: BTreeMap<String, &Tensor> = weights
        .iter()
        .map(|(name, tensor)| (name.clone(), tensor))
        .chain(optimiser.iter().map(|(name, tensor)| (format!("{OPTIMISER}{name}"), tensor)))
        .chain((!history.is_empty()).then(|| (HISTORY.to_owned(), &flat)))
        .collect();
    let json = serde_json::to_string(progress).map_err(|e| Error::file(path, e))?;
    let metadata = HashMap::from([(PROGRESS.to_owned(), json)]);
    write(path, prefixed.iter().map(|(name, tensor)| (name.as_str(), *tensor)), metadata)
}

/// Writes weights alone: the same weights of the same configuration give the same bytes, whenever and however often the
/// run was stopped.
///
/// # Errors
/// When the file cannot be written; what was there before stays.
pub fn save_weights(path: &Path, config_hash: &str, weights: &BTreeMap<String, Tensor>) -> Result<()> {
    let metadata = HashMap::from([(CONFIG_HASH.to_owned(), config_hash.to_owned())]);
    write(path, weights.iter().map(|(name, tensor)| (name.as_str(), tensor)), metadata)
}

fn write<'a>(
    path: &Path,
    tensors: impl Iterator<Item = (&'a str, &'a Tensor)>,
    metadata: HashMap<String, String>,
) -> Result<()> {
    Ok(multigen_measure::atomic_write_path(path, |temporary| {
        safetensors::serialize_to_file(tensors, Some(metadata), temporary).map_err(|error| match error {
            safetensors::SafeTensorError::IoError(error) => error,
            other => std::io::Error::other(other),
        })
    })?)
}

/// Reads a checkpoint of the configuration `config_hash`, if the file is there.
///
/// # Errors
/// When the file is broken, or belongs to another configuration.
pub fn load(path: &Path, config_hash: &str) -> Result<Option<Checkpoint>> {
    if !path.exists() {
        return Ok(None);
    }
    let broken = |e: &dyn std::fmt::Display| {
        Error::file(path, format!("is not a whole checkpoint ({e}); delete it to train this run anew"))
    };
    let bytes = std::fs::read(path).map_err(|e| Error::file(path, format!("cannot be read ({e})")))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(&e))?;
    let json =
        header.metadata().as_ref().and_then(|m| m.get(PROGRESS)).ok_or_else(|| broken(&"it carries no progress"))?;
    let progress: Progress = serde_json::from_str(json).map_err(|e| broken(&e))?;
    if progress.config_hash != config_hash {
        return Err(Error::ForeignCheckpoint {
            path: path.to_owned(),
            expected: config_hash.to_owned(),
            found: progress.config_hash,
        });
    }
    let all = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|e| broken(&e))?;
    let mut checkpoint =
        Checkpoint { progress, weights: HashMap::new(), optimiser: BTreeMap::new(), history: Vec::new() };
    for (name, tensor) in all {
        if name == HISTORY {
            let rows = tensor.to_vec2::<f64>().map_err(|e| broken(&e))?;
            for row in rows {
                let [loss, learning_rate, images_per_s] = row[..] else {
                    return Err(broken(&"its history is not n × 3"));
                };
                checkpoint.history.push(HistoryPoint { loss, learning_rate, images_per_s });
            }
        } else if let Some(name) = name.strip_prefix(OPTIMISER) {
            checkpoint.optimiser.insert(name.to_owned(), tensor);
        } else {
            checkpoint.weights.insert(name, tensor);
        }
    }
    Ok(Some(checkpoint))
}

/// Reads the final weights of the configuration `config_hash`.
///
/// # Errors
/// When the file is missing or broken, or belongs to another configuration.
pub fn load_weights(path: &Path, config_hash: &str) -> Result<HashMap<String, Tensor>> {
    let broken = |e: &dyn std::fmt::Display| {
        Error::file(path, format!("is not a whole weights file ({e}); delete it to train this run anew"))
    };
    let bytes = std::fs::read(path).map_err(|e| Error::file(path, format!("cannot be read ({e})")))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(&e))?;
    let found = header
        .metadata()
        .as_ref()
        .and_then(|m| m.get(CONFIG_HASH))
        .ok_or_else(|| broken(&"it names no configuration"))?;
    if found != config_hash {
        return Err(Error::ForeignCheckpoint {
            path: path.to_owned(),
            expected: config_hash.to_owned(),
            found: found.clone(),
        });
    }
    candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|e| broken(&e))
}

/// Makes a folder with those above it, where it is missing.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path)
        .map_err(|e| Error::file(path, format!("cannot be made ({e}); free the disk or check its permissions")))
}

/// Deletes a file, if there is one.
///
/// # Errors
/// When it cannot be deleted.
pub(crate) fn delete_file(path: &Path) -> Result<()> {
    std::fs::remove_file(path)
        .or_else(missing_is_fine)
        .map_err(|e| Error::file(path, format!("cannot be deleted ({e})")))
}

fn missing_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// The files of one run.
#[derive(Debug, Clone)]
pub struct RunFiles {
    dir: PathBuf,
}

impl RunFiles {
    /// The files of the run with this hash under the cache folder.
    pub fn new(cache: &Path, model: &str, seed: u64, hash: &str) -> Self {
        Self { dir: cache.join("runs").join(format!("{model}-seed{seed}-{hash}")) }
    }

    /// The run's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Deletes the run's folder, if there is one.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub fn delete(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.dir)
            .or_else(missing_is_fine)
            .map_err(|e| Error::file(&self.dir, format!("cannot be deleted ({e})")))
    }

    /// Weights, optimiser state and history of the last checkpoint; there until the run is complete.
    pub fn last(&self) -> PathBuf {
        self.dir.join("last.safetensors")
    }

    /// The weights with the best PSNR on samples of the training set.
    pub fn best(&self) -> PathBuf {
        self.dir.join("best.safetensors")
    }

    /// The final weights; there once the run is complete.
    pub fn weights(&self) -> PathBuf {
        self.dir.join("weights.safetensors")
    }

    /// The history of the complete run; written before its weights.
    pub fn record(&self) -> PathBuf {
        self.dir.join("record.safetensors")
    }

    /// The run's configuration, for a reader.
    pub fn config(&self) -> PathBuf {
        self.dir.join("run.json")
    }
}
