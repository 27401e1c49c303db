//! `manifest.json`: everything about an experiment that is not a figure, so that a reader can judge and repeat it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::atomic_write::atomic_write;
use crate::error::{Error, Result};
use crate::machine::Machine;

/// The record of one experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The experiment; its folder is named for it, and for the profile where that is not the default one.
    pub experiment: String,
    /// A headline.
    pub title: String,
    /// The question that it asks.
    pub question: String,
    /// What was expected, written before running.
    pub expected: String,
    /// `smoke`, `quick` or `paper`.
    pub profile: String,
    /// `cpu`, `cuda:0`.
    pub device: String,
    /// What data was used, and what a reader must know about it.
    pub dataset: String,
    /// What every picture must say of what it shows, as `drawn faces`; none where nobody could be misled.
    #[serde(default)]
    pub pictured: Option<String>,
    /// The models, in the order in which they are shown.
    pub models: Vec<ModelRecord>,
    /// The seeds, in the order in which they ran.
    pub seeds: Vec<u64>,
    /// Hash of the resolved configuration.
    pub config_hash: String,
    /// Hash of each training run, by `<model>-seed<k>`.
    pub run_hashes: BTreeMap<String, String>,
    /// The commit of the code that measured; none outside a repository.
    pub commit: Option<Commit>,
    /// The commits of the code that trained each run, by `<model>-seed<k>`, several where it was stopped and went on with
    /// another; nothing is known of runs without an entry.
    #[serde(default)]
    pub run_commits: BTreeMap<String, Vec<Commit>>,
    /// The exact command.
    pub command: String,
    /// When the command was started, RFC 3339 in UTC.
    pub started: String,
    /// How long it took, in seconds.
    pub duration_s: f64,
    /// The machine.
    pub machine: Machine,
    /// The judge; none where no judge read the images.
    pub judge: Option<JudgeRecord>,
    /// Further sentences for the report, such as reference figures of the research.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One model of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecord {
    /// The name, as in the tables.
    pub name: String,
    /// Trainable numbers.
    pub n_parameters: u64,
    /// One sentence on what it is.
    pub description: String,
    /// Training steps per run.
    pub steps: u64,
    /// Images per step.
    pub batch: u64,
    /// Training time of one run, in seconds, mean over seeds.
    pub training_seconds: f64,
    /// Training images per second, mean over seeds.
    pub images_per_s: f64,
    /// What a reader must know about the network, such as what it is told beforehand.
    #[serde(default)]
    pub network_note: Option<String>,
    /// What differs from the `paper` profile, one sentence each.
    #[serde(default)]
    pub differs_from_paper: Vec<String>,
}

/// The commit that the code was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The hash.
    pub hash: String,
    /// True when files differed from that commit.
    pub dirty: bool,
}

impl std::fmt::Display for Commit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.hash, if self.dirty { " (dirty: files differed from this commit)" } else { "" })
    }
}

/// The judge, and how well it reads real images that it was not trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeRecord {
    /// One sentence on what it is and what it was trained on.
    pub description: String,
    /// Number of real held-out images that it was tested on.
    pub n_images: u64,
    /// Accuracy on them, by factor.
    pub accuracy: BTreeMap<String, f64>,
    /// The commit of the code that trained it, where that is known.
    #[serde(default)]
    pub commit: Option<Commit>,
}

impl Manifest {
    /// Writes the manifest as readable JSON, atomically.
    ///
    /// # Errors
    /// Anything that keeps the file from being written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::BadRow { path: path.to_path_buf(), detail: error.to_string() })?;
        text.push('\n');
        atomic_write(path, text.as_bytes())
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// A missing file, text that is not JSON, missing or unknown keys.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::reading(path, &source))?;
        serde_json::from_str(&text).map_err(|error| Error::malformed(path, "the manifest of an experiment", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            experiment: "digits-result-3".into(),
            title: "A style never seen in that transform".into(),
            question: "Is it drawn?".into(),
            expected: "Yes.".into(),
            profile: "quick".into(),
            device: "cpu".into(),
            dataset: "MNIST".into(),
            pictured: Some("drawn faces".into()),
            models: vec![ModelRecord {
                name: "operator-affine".into(),
                n_parameters: 1_234_567,
                description: "Factors act.".into(),
                steps: 1200,
                batch: 64,
                training_seconds: 61.5,
                images_per_s: 1250.0,
                network_note: None,
                differs_from_paper: vec!["fewer steps".into()],
            }],
            seeds: vec![0, 1],
            config_hash: "abc".into(),
            run_hashes: BTreeMap::from([("operator-affine-seed0".into(), "def".into())]),
            commit: Some(Commit { hash: "0123".into(), dirty: true }),
            run_commits: BTreeMap::from([("m-seed0".into(), vec![Commit { hash: "4567".into(), dirty: false }])]),
            command: "cargo xtask reproduce result-3".into(),
            started: "2026-01-31T08:05:09Z".into(),
            duration_s: 123.0,
            machine: Machine { cpu: "Some CPU".into(), cores: 2, threads: 2, os: "Some Linux".into() },
            judge: Some(JudgeRecord {
                description: "A small network.".into(),
                n_images: 1000,
                accuracy: BTreeMap::from([("digit".into(), 0.99)]),
                commit: None,
            }),
            notes: vec!["18.4 dB in the research".into()],
        }
    }

    #[test]
    fn it_survives_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        manifest().write(&path).unwrap();
        assert_eq!(Manifest::read(&path).unwrap(), manifest());
    }

    #[test]
    fn broken_json_and_unknown_keys_give_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        manifest().write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        for (broken, expected) in [
            (text[..text.len() / 2].to_owned(), "EOF"),
            (text.replace("\"title\"", "\"tilte\""), "unknown field `tilte`"),
        ] {
            std::fs::write(&path, broken).unwrap();
            let error = Manifest::read(&path).unwrap_err().to_string();
            assert!(error.contains("manifest.json") && error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }
}
