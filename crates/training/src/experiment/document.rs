//! An experiment's file with its parents, as it is written: before a profile is chosen and solvers are laid together.

use std::collections::BTreeMap;

use multigen_models::presets;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::layers::merge_solver;
use super::one_line;
use crate::run_config::{DataConfig, TrainingConfig};
use crate::{Error, Result};

/// What an experiment is for: written before it is run, and printed in its report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// What is asked.
    pub question: String,
    /// What differs between the arms.
    pub varies: String,
    /// What does not.
    pub held_fixed: String,
    /// The expectation, written before running.
    pub expected: String,
    /// What it costs on two CPU cores.
    pub cost: String,
    /// The research's own figures, where it gives any.
    #[serde(default)]
    pub reference: String,
}

/// What is measured on the trained models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluateConfig {
    /// The sets whose figures the experiment reports: `train`, or held-out sets.
    pub sets: Vec<String>,
    /// Combinations shown in the grid, as `digit=3 style=2 …`; with none, the first of the set are shown.
    #[serde(default)]
    pub show: Vec<String>,
    /// At most this many columns per set in the grid.
    pub show_at_most: usize,
}

/// Which models take part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelsConfig {
    /// Trained by default.
    pub default: Vec<String>,
    /// Trained as well with `--all-models`.
    pub more: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileConfig {
    #[serde(default)]
    pub(super) training: Table,
    #[serde(default)]
    pub(super) models: BTreeMap<String, Table>,
    /// Laid over the document's `data`, such as images of another size.
    #[serde(default)]
    pub(super) data: Table,
    /// Takes the place of the document's `models`.
    #[serde(default)]
    pub(super) take_part: Option<ModelsConfig>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) title: String,
    pub(super) about: About,
    pub(super) data: DataConfig,
    pub(super) models: ModelsConfig,
    pub(super) evaluate: EvaluateConfig,
    pub(super) training: Table,
    #[serde(default)]
    pub(super) solvers: BTreeMap<String, Table>,
    pub(super) profiles: BTreeMap<String, ProfileConfig>,
}

impl Document {
    /// The models that take part in a profile.
    pub(super) fn models_of(&self, profile: &str) -> &ModelsConfig {
        self.profiles.get(profile).and_then(|profile| profile.take_part.as_ref()).unwrap_or(&self.models)
    }

    /// The solver of a model in a profile, without what the command line sets.
    pub(super) fn solver(&self, profile: &str, model: &str, file: &str) -> Result<TrainingConfig> {
        typed_solver(self.solver_table(profile, model), model, file)
    }

    pub(super) fn solver_table(&self, profile: &str, model: &str) -> Table {
        let mut table = self.training.clone();
        let of_profile = self.profiles.get(profile);
        let preset = Some(preset_of(model)).filter(|preset| *preset != model);
        let layers = [
            preset.and_then(|preset| self.solvers.get(preset)),
            self.solvers.get(model),
            of_profile.map(|profile| &profile.training),
            preset.and_then(|preset| of_profile.and_then(|profile| profile.models.get(preset))),
            of_profile.and_then(|profile| profile.models.get(model)),
        ];
        layers.into_iter().flatten().for_each(|layer| merge_solver(&mut table, layer));
        table
    }

    /// The first key of a solver that no solver has, and what is wrong with it: also of models that take no part now,
    /// and of models that do not exist.
    pub(super) fn unknown_solver_key(&self) -> Option<(String, String)> {
        let mut solvers = vec![("training".to_owned(), &self.training)];
        let mut models = Vec::new();
        for (model, table) in &self.solvers {
            models.push((model, "solvers".to_owned()));
            solvers.push((format!("solvers.{model}"), table));
        }
        for (name, profile) in &self.profiles {
            solvers.push((format!("profiles.{name}.training"), &profile.training));
            for (model, table) in &profile.models {
                models.push((model, format!("profiles.{name}.models")));
                solvers.push((format!("profiles.{name}.models.{model}"), table));
            }
        }
        let stranger = models.into_iter().find(|(model, _)| !is_model(model));
        if let Some((model, place)) = stranger {
            return Some((
                model.clone(),
                format!("{place}: unknown model '{model}'; expected one of {}", presets::GENERATORS.join(", ")),
            ));
        }
        let unknown = solvers
            .into_iter()
            .find_map(|(place, table)| Some((place, table.keys().find(|key| !FIELDS.contains(&key.as_str()))?)));
        unknown.map(|(place, key)| {
            (key.clone(), format!("{place}: unknown key '{key}'; expected one of {}", FIELDS.join(", ")))
        })
    }
}

/// A solver whose every field is there and possible.
pub(super) fn typed_solver(table: Table, model: &str, file: &str) -> Result<TrainingConfig> {
    let config: TrainingConfig = Value::Table(table)
        .try_into()
        .map_err(|e: toml::de::Error| Error::config(file, format!("solver of {model}: {}", one_line(&e))))?;
    config.validate(&format!("{file}, solver of {model}"))?;
    Ok(config)
}

/// The preset of a model: its name, or what stands before a `+`. What follows the `+` names an arm that trains the same
/// network in another way.
pub(crate) fn preset_of(model: &str) -> &str {
    model.split_once('+').map_or(model, |(preset, _)| preset)
}

/// Whether a model has a network.
pub(super) fn is_model(model: &str) -> bool {
    presets::GENERATORS.contains(&preset_of(model))
}

/// The fields of a solver.
pub(super) const FIELDS: [&str; 15] = [
    "reconstruction",
    "cooperation",
    "adversarial",
    "phases",
    "steps",
    "batch",
    "learning_rate",
    "beta1",
    "beta2",
    "weight_decay",
    "schedule",
    "reconstruction_weight",
    "mask_weight",
    "evaluate_every",
    "checkpoint_every",
];
