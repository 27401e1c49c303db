//! Experiments as TOML files: a small delta over a parent, resolved into one document, with profiles and overrides.
//!
//! Layers, later over earlier: the parent's document, the experiment's own, `--set`. Within the resolved document a
//! model's solver is `training` ← `solvers.M` ← `profiles.P.training` ← `profiles.P.models.M`. A model `M+arm` is the network
//! M, trained in another way: it takes M's solver, and its own over it.
//!
//! | module | what it holds |
//! |---|---|
//! | `document` | an experiment's file with its parents, as it is written |
//! | `catalogue` | the folder of experiment files: names, parents, deltas |
//! | `differs` | what differs from the `paper` profile |
//! | `resolve` | from a document to an experiment |
//! | `layers` | tables laid over tables, and `--set` |
//! | `nearest` | the name that was meant |

mod catalogue;
mod differs;
mod document;
mod layers;
mod nearest;
mod resolve;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use self::catalogue::Catalogue;
pub(crate) use self::catalogue::own_name;
pub(crate) use self::document::preset_of;
pub use self::document::{About, EvaluateConfig, ModelsConfig};
pub(crate) use self::layers::{parse_override, set_path};
use crate::run_config::{DataConfig, TrainingConfig};
use crate::{Error, Result};

/// An experiment, resolved for one profile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Experiment {
    /// The name, which is the file's.
    pub name: String,
    /// One line for headings.
    pub title: String,
    /// The profile that it was resolved for.
    pub profile: String,
    /// Question, expectation, cost.
    pub about: About,
    /// Images and held-out sets.
    pub data: DataConfig,
    /// What is measured.
    pub evaluate: EvaluateConfig,
    /// Names of the models that take part, in order.
    pub models: Vec<String>,
    /// The solver per model.
    pub training: BTreeMap<String, TrainingConfig>,
    /// Per model, what differs from the `paper` profile: `batch: 64 (paper: 128)`, or that it takes no part there.
    pub differs_from_paper: BTreeMap<String, Vec<String>>,
}

/// The profile of a command that names none.
pub const DEFAULT_PROFILE: &str = "quick";

/// The end of a results folder's name where the images are photographs.
pub const PHOTOGRAPHS: &str = "-photographs";

/// The profile of the research's exact solver.
pub(crate) const PAPER: &str = "paper";

impl Experiment {
    /// The experiment as TOML, for the results folder.
    ///
    /// # Errors
    /// When it cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::config(&self.name, e.to_string()))
    }
}

/// An experiment's folder in results/, but for what its images add: the name, and the profile where it is not the default
/// one, so that the figures of two profiles stand side by side and a smoke test replaces none.
pub(crate) fn results_name(name: &str, profile: &str) -> String {
    if profile == DEFAULT_PROFILE { name.to_owned() } else { format!("{name}-{profile}") }
}

/// How an experiment is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `smoke`, `quick` or `paper`.
    pub profile: String,
    /// Whether the models under `more` take part.
    pub all_models: bool,
    /// `key=value` pairs: a solver field for all models, `MODEL.field` for one, or a dotted path into the document.
    pub overrides: Vec<String>,
}

/// The folder that holds `experiments/`: `start` or the nearest folder above it.
///
/// # Errors
/// When there is none.
pub fn find_root(start: &Path) -> Result<PathBuf> {
    start
        .ancestors()
        .find(|dir| dir.join("experiments").is_dir() && dir.join("datasets").is_dir())
        .map(Path::to_path_buf)
        .ok_or_else(|| {
            Error::file(start, "no folder with experiments/ and datasets/ here or above; run inside a checkout")
        })
}

/// The last line of a TOML error says what is wrong; those above it draw the place.
pub(crate) fn one_line(error: &toml::de::Error) -> String {
    error.message().replace('\n', " ")
}
