//! From a document to an experiment: one profile, every model's solver, and the rules that one part sets for another.

use std::collections::BTreeMap;
use std::path::Path;

use multigen_data::sets::custom::CustomConfig;
use multigen_models::presets;
use toml::{Table, Value};

use super::catalogue::{is_path, own_name};
use super::differs::differences;
use super::document::{self, Document, is_model};
use super::layers::{apply_override, lay_profile_data, merge_solver};
use super::{Catalogue, Experiment, ModelsConfig, PAPER, PHOTOGRAPHS, Request, one_line, results_name};
use crate::run_config::SetConfig;
use crate::{Error, Result};

impl Catalogue {
    /// Resolves an experiment for a profile, with overrides.
    ///
    /// # Errors
    /// When a file cannot be read, holds an unknown key, or the result contradicts itself.
    pub fn resolve(&self, name: &str, request: &Request) -> Result<Experiment> {
        let file = self.path(name).display().to_string();
        let mut merged = self.table_of_profile(name, &request.profile)?;
        let mut solver_overrides = (Table::new(), BTreeMap::<String, Table>::new());
        for pair in &request.overrides {
            apply_override(&mut merged, &mut solver_overrides, pair)?;
        }
        let document = self.typed(name, merged)?;
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
        self.check_own_name(name, &request.profile)?;
        let ModelsConfig { default, more } = document.models_of(&request.profile);
        let mut models = default.clone();
        if request.all_models {
            models.extend(more.iter().filter(|model| !default.contains(model)).cloned());
        }
        if models.is_empty() {
            return Err(Error::config(&file, "models.default is empty: expected at least one model"));
        }
        let mut training = BTreeMap::new();
        for model in &models {
            if !is_model(model) {
                let known = presets::GENERATORS.join(", ");
                return Err(Error::config(
                    &file,
                    format!("models: unknown network '{model}': expected one of {known}"),
                ));
            }
            let mut table = document.solver_table(&request.profile, model);
            merge_solver(&mut table, &solver_overrides.0);
            if let Some(own) = solver_overrides.1.get(model) {
                merge_solver(&mut table, own);
            }
            training.insert(model.clone(), document::typed_solver(table, model, &file)?);
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
        let mut experiment = Experiment {
            name: own_name(name),
            title: document.title,
            profile: request.profile.clone(),
            about: document.about,
            data: document.data,
            evaluate: document.evaluate,
            models,
            training,
            differs_from_paper: BTreeMap::new(),
        };
        let paper = self.typed(name, self.table_of_profile(name, PAPER)?)?;
        experiment.differs_from_paper = differences(&experiment, &paper, &file)?;
        Ok(experiment)
    }

    /// Whether a file of the user's own keeps off the folders of results/ that others write: the cache, those of the
    /// project's own experiments in all their profiles, and those of photographs, which git ignores.
    pub(crate) fn check_own_name(&self, name: &str, profile: &str) -> Result<()> {
        let own = own_name(name);
        let is_same = |path: &Path| Path::new(name).canonicalize().ok() == path.canonicalize().ok();
        if !is_path(name) || is_same(&self.path(&own)) {
            return Ok(());
        }
        let folder = results_name(&own, profile);
        let taken = |whose: &str| {
            let problem = format!("its name would put its results into results/{folder}, {whose}; rename the file");
            Err(Error::config(name, problem))
        };
        if own.eq_ignore_ascii_case("cache") {
            return taken("the folder of trained runs");
        }
        if own.ends_with(PHOTOGRAPHS) {
            return taken("as if they were made of photographs, which git ignores");
        }
        for other in self.names()? {
            let profiles = self.document(&other)?.remove("profiles");
            let profiles = profiles.iter().filter_map(Value::as_table).flat_map(Table::keys);
            let mut folders = profiles.map(|profile| results_name(&other, profile));
            // Names that differ in capitals alone are one folder on some disks.
            if own.eq_ignore_ascii_case(&other) || folders.any(|other| other.eq_ignore_ascii_case(&folder)) {
                return taken(&format!("which are those of the project's experiment {other}"));
            }
        }
        Ok(())
    }

    /// The document with the images of a profile, before `--set`.
    fn table_of_profile(&self, name: &str, profile: &str) -> Result<Table> {
        let mut document = self.document(name)?;
        lay_profile_data(&mut document, profile);
        self.lay_dataset(name, &mut document)?;
        Ok(document)
    }

    fn typed(&self, name: &str, document: Table) -> Result<Document> {
        let typed = Value::Table(document).try_into();
        typed.map_err(|e: toml::de::Error| Error::config(self.holder(name, &e), one_line(&e)))
    }

    /// Makes the table `[dataset]`, the user's own pictures, the document's set; its places are relative to the file.
    pub(crate) fn lay_dataset(&self, name: &str, document: &mut Table) -> Result<()> {
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
