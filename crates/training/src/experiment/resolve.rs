//! From a document to an experiment: one profile, every model's solver, and the rules that one part sets for another.

use std::collections::BTreeMap;
use std::path::Path;

use multigen_data::sets::custom::CustomConfig;
use multigen_models::presets;
use toml::{Table, Value};

use super::catalogue::is_path;
use super::document::{Document, ProfileConfig};
use super::layers::{apply_override, lay_profile_data, merge_solver};
use super::{Catalogue, Experiment, ModelsConfig, Request, one_line};
use crate::run_config::{SetConfig, TrainingConfig};
use crate::{Error, Result};

impl Catalogue {
    /// Resolves an experiment for a profile, with overrides.
    ///
    /// # Errors
    /// When a file cannot be read, holds an unknown key, or the result contradicts itself.
    pub fn resolve(&self, name: &str, request: &Request) -> Result<Experiment> {
        let file = self.path(name).display().to_string();
        let mut merged = self.document(name)?;
        lay_profile_data(&mut merged, &request.profile);
        self.lay_dataset(name, &mut merged)?;
        let mut solver_overrides = (Table::new(), BTreeMap::<String, Table>::new());
        for pair in &request.overrides {
            apply_override(&mut merged, &mut solver_overrides, pair)?;
        }
        let document: Document = Value::Table(merged)
            .try_into()
            .map_err(|e: toml::de::Error| Error::config(self.holder(name, &e), one_line(&e)))?;
        if let Some((key, problem)) = document.unknown_solver_key() {
            return Err(Error::config(self.holder_of_key(name, &key), problem));
        }
        let profile_names = document.profiles.keys().cloned().collect::<Vec<_>>().join(", ");
        if !document.profiles.contains_key(&request.profile) {
            return Err(Error::config(
                "--profile",
                format!("no profile '{}'; expected one of {profile_names}", request.profile),
            ));
        }
        let of_profile = document.profiles.get(&request.profile).and_then(|profile| profile.take_part.as_ref());
        let ModelsConfig { default, more } = of_profile.unwrap_or(&document.models);
        let mut models = default.clone();
        if request.all_models {
            models.extend(more.iter().filter(|model| !default.contains(model)).cloned());
        }
        if models.is_empty() {
            return Err(Error::config(&file, "models.default is empty: expected at least one model"));
        }
        let (mut training, mut differs_from_paper) = (BTreeMap::new(), BTreeMap::new());
        for model in &models {
            if !presets::GENERATORS.contains(&model.as_str()) {
                let known = presets::GENERATORS.join(", ");
                return Err(Error::config(
                    &file,
                    format!("models: unknown network '{model}': expected one of {known}"),
                ));
            }
            let solver = |profile: &str, overrides: bool| -> Result<TrainingConfig> {
                let mut table = document.training.clone();
                let empty = ProfileConfig::default();
                let profile = document.profiles.get(profile).unwrap_or(&empty);
                let layers = [document.solvers.get(model), Some(&profile.training), profile.models.get(model)];
                for layer in layers.into_iter().flatten() {
                    merge_solver(&mut table, layer);
                }
                if overrides {
                    merge_solver(&mut table, &solver_overrides.0);
                    if let Some(own) = solver_overrides.1.get(model) {
                        merge_solver(&mut table, own);
                    }
                }
                let config: TrainingConfig = Value::Table(table).try_into().map_err(|e: toml::de::Error| {
                    Error::config(&file, format!("solver of {model}: {}", one_line(&e)))
                })?;
                config.validate(&format!("{file}, solver of {model}"))?;
                Ok(config)
            };
            let config = solver(&request.profile, true)?;
            differs_from_paper.insert(model.clone(), differences(&config, &solver("paper", false)?)?);
            training.insert(model.clone(), config);
        }
        if let Some(stranger) = solver_overrides.1.keys().find(|model| !models.contains(model)) {
            return Err(Error::config(
                "--set",
                format!("model '{stranger}' takes no part; the models are {}", models.join(", ")),
            ));
        }
        let known: Vec<&str> =
            std::iter::once("train").chain(document.data.held_out.iter().map(|h| h.name.as_str())).collect();
        // A table of the user's own may name further sets in its column `split`.
        let is_custom = matches!(document.data.set, SetConfig::Custom(_));
        if let Some(stranger) =
            document.evaluate.sets.iter().find(|set| !known.contains(&set.as_str())).filter(|_| !is_custom)
        {
            return Err(Error::config(
                &file,
                format!("evaluate.sets names '{stranger}': expected some of {}", known.join(", ")),
            ));
        }
        if document.evaluate.sets.is_empty() {
            return Err(Error::config(&file, format!("evaluate.sets is empty: expected some of {}", known.join(", "))));
        }
        Ok(Experiment {
            name: own_name(name),
            title: document.title,
            profile: request.profile.clone(),
            about: document.about,
            data: document.data,
            evaluate: document.evaluate,
            models,
            training,
            differs_from_paper,
        })
    }

    /// Makes the table `[dataset]`, the user's own pictures, the document's set; its places are relative to the file.
    fn lay_dataset(&self, name: &str, document: &mut Table) -> Result<()> {
        let Some(dataset) = document.remove("dataset") else { return Ok(()) };
        let file = self.holder_of_key(name, "dataset");
        let dataset: CustomConfig = dataset
            .try_into()
            .map_err(|e: toml::de::Error| Error::config(&file, format!("dataset: {}", one_line(&e))))?;
        let dataset = dataset.relative_to(Path::new(&file).parent().unwrap_or(Path::new("")));
        let dataset = Value::try_from(dataset).map_err(|e| Error::config(&file, e.to_string()))?;
        let data = document.entry("data").or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(data) = data {
            data.insert("set".to_owned(), Value::Table(Table::from_iter([("custom".to_owned(), dataset)])));
        }
        Ok(())
    }
}

/// An experiment's name: that of its file.
fn own_name(name: &str) -> String {
    match is_path(name) {
        true => Path::new(name).file_stem().map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned()),
        false => name.to_owned(),
    }
}

/// The fields in which a solver differs from the paper's.
fn differences(own: &TrainingConfig, paper: &TrainingConfig) -> Result<Vec<String>> {
    let table = |config: &TrainingConfig| Table::try_from(config).map_err(|e| Error::config("solver", e.to_string()));
    let (own, paper) = (table(own)?, table(paper)?);
    let about_training = |key: &str| !["evaluate_every", "checkpoint_every"].contains(&key);
    Ok(own
        .iter()
        .filter(|(key, value)| about_training(key) && paper.get(*key) != Some(value))
        .map(|(key, value)| {
            format!("{key}: {value} (paper: {})", paper.get(key).map_or_else(|| "–".to_owned(), Value::to_string))
        })
        .collect())
}
