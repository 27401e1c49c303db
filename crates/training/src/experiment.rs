//! Experiments as TOML files: a small delta over a parent, resolved into one document, with profiles and overrides.
//!
//! Layers, later over earlier: the parent's document, the experiment's own, `--set`. Within the resolved document a
//! model's solver is `training` ← `solvers.M` ← `profiles.P.training` ← `profiles.P.models.M`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use multigen_data::sets::custom::CustomConfig;
use multigen_models::presets;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::run_config::{DataConfig, SetConfig, TrainingConfig};
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
struct ProfileConfig {
    #[serde(default)]
    training: Table,
    #[serde(default)]
    models: BTreeMap<String, Table>,
    /// Laid over the document's `data`, such as images of another size.
    #[serde(default)]
    data: Table,
    /// Takes the place of the document's `models`.
    #[serde(default)]
    take_part: Option<ModelsConfig>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    title: String,
    about: About,
    data: DataConfig,
    models: ModelsConfig,
    evaluate: EvaluateConfig,
    training: Table,
    #[serde(default)]
    solvers: BTreeMap<String, Table>,
    profiles: BTreeMap<String, ProfileConfig>,
}

impl Document {
    /// The first key of a solver that no solver has, and what is wrong with it: also of models that take no part now,
    /// and of models that do not exist.
    fn unknown_solver_key(&self) -> Option<(String, String)> {
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
        let stranger = models.into_iter().find(|(model, _)| !presets::GENERATORS.contains(&model.as_str()));
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
    /// Per model, how its solver differs from the `paper` profile's: `batch: 64 (paper: 128)`.
    pub differs_from_paper: BTreeMap<String, Vec<String>>,
}

/// The profile of a command that names none.
pub const DEFAULT_PROFILE: &str = "quick";

impl Experiment {
    /// Its folder in results/: the name, and the profile where it is not the default one, so that the figures of two
    /// profiles stand side by side and a smoke test replaces none.
    pub fn results_name(&self) -> String {
        match self.profile.as_str() {
            DEFAULT_PROFILE => self.name.clone(),
            profile => format!("{}-{profile}", self.name),
        }
    }

    /// The experiment as TOML, for the results folder.
    ///
    /// # Errors
    /// When it cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::config(&self.name, e.to_string()))
    }
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

/// The folder of experiment files.
#[derive(Debug, Clone)]
pub struct Catalogue {
    dir: PathBuf,
}

const FIELDS: [&str; 11] = [
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

impl Catalogue {
    /// The experiments in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The names of all experiments in order; parents that only others build upon are left out.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.dir).map_err(|e| {
            Error::file(&self.dir, format!("cannot be read ({e}); run from a checkout that has the experiments folder"))
        })?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
            .collect();
        names.sort();
        let mut runnable = Vec::new();
        for name in names {
            if !self.read(&name)?.get("parent_only").and_then(Value::as_bool).unwrap_or(false) {
                runnable.push(name);
            }
        }
        Ok(runnable)
    }

    /// The experiments that a word stands for: `all`, a full name, or an ending such as `result-3`.
    ///
    /// # Errors
    /// When nothing matches; the nearest name is suggested.
    pub fn matching(&self, word: &str) -> Result<Vec<String>> {
        if is_path(word) {
            return Ok(vec![word.to_owned()]);
        }
        let names = self.names()?;
        if word == "all" {
            return Ok(names);
        }
        if names.iter().any(|name| name == word) {
            return Ok(vec![word.to_owned()]);
        }
        let ending = format!("-{word}");
        let matches: Vec<String> = names.iter().filter(|name| name.ends_with(&ending)).cloned().collect();
        if matches.is_empty() {
            return Err(Error::UnknownExperiment { name: word.to_owned(), suggestion: nearest(word, &names) });
        }
        Ok(matches)
    }

    /// The parent of an experiment, if it has one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn parent(&self, name: &str) -> Result<Option<String>> {
        Ok(self.read(name)?.get("parent").and_then(Value::as_str).map(str::to_owned))
    }

    /// What the experiment's file adds to its parent: `path: parent's value → own value`.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn delta(&self, name: &str) -> Result<Vec<String>> {
        let parent = match self.parent(name)? {
            Some(parent) => self.document(&parent)?,
            None => Table::new(),
        };
        let own = self.document(name)?;
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        flatten("", &Value::Table(parent), &mut before);
        flatten("", &Value::Table(own), &mut after);
        let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        Ok(keys
            .into_iter()
            .filter(|key| before.get(*key) != after.get(*key))
            .map(|key| {
                let show = |value: Option<&String>| value.cloned().unwrap_or_else(|| "(not set)".to_owned());
                format!("{key}: {} → {}", show(before.get(key)), show(after.get(key)))
            })
            .collect())
    }

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

    /// The file to which an error of the whole document belongs: the one that holds the key between its backticks.
    fn holder(&self, name: &str, error: &toml::de::Error) -> String {
        self.holder_of_key(name, error.message().split('`').nth(1).unwrap_or_default())
    }

    /// The nearest file that holds a key: the experiment's own or one of its parents'; its own if none does.
    fn holder_of_key(&self, name: &str, key: &str) -> String {
        let mut next = Some(name.to_owned());
        while let Some(current) = next {
            let Ok(table) = self.read(&current) else { break };
            next = table.get("parent").and_then(Value::as_str).map(str::to_owned);
            if holds(&Value::Table(table), key) {
                return self.path(&current).display().to_string();
            }
        }
        self.path(name).display().to_string()
    }

    /// The file of an experiment: in the folder of experiments, or anywhere where it is asked for by its path.
    fn path(&self, name: &str) -> PathBuf {
        if is_path(name) { PathBuf::from(name) } else { self.dir.join(format!("{name}.toml")) }
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

    fn read(&self, name: &str) -> Result<Table> {
        let path = self.path(name);
        let text = std::fs::read_to_string(&path).map_err(|e| Error::file(&path, format!("cannot be read ({e})")))?;
        text.parse::<Table>().map_err(|e| Error::file(&path, format!("is not TOML: {}", one_line(&e))))
    }

    /// The document with all its parents under it, without the keys that only say so.
    fn document(&self, name: &str) -> Result<Table> {
        let mut chain = vec![self.read(name)?];
        let mut names = vec![name.to_owned()];
        while let Some(parent) =
            chain.last().and_then(|table| table.get("parent")).and_then(Value::as_str).map(str::to_owned)
        {
            if names.contains(&parent) {
                return Err(Error::config(
                    self.path(name).display().to_string(),
                    format!("'{parent}' is its own ancestor"),
                ));
            }
            chain.push(self.read(&parent)?);
            names.push(parent);
        }
        let mut merged = Table::new();
        for table in chain.into_iter().rev() {
            merge(&mut merged, table);
        }
        merged.remove("parent");
        merged.remove("parent_only");
        Ok(merged)
    }
}

/// Whether an experiment is asked for by the path of its file.
fn is_path(name: &str) -> bool {
    name.ends_with(".toml")
}

/// An experiment's name: that of its file.
fn own_name(name: &str) -> String {
    match is_path(name) {
        true => Path::new(name).file_stem().map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned()),
        false => name.to_owned(),
    }
}

/// Whether a key stands anywhere in a document.
fn holds(value: &Value, key: &str) -> bool {
    match value {
        Value::Table(table) => table.iter().any(|(name, value)| name == key || holds(value, key)),
        Value::Array(values) => values.iter().any(|value| holds(value, key)),
        _ => false,
    }
}

/// Lays a profile's data over the document's: what profiles differ in is known before anything is checked.
fn lay_profile_data(document: &mut Table, profile: &str) {
    let of_profile =
        document.get("profiles").and_then(|profiles| profiles.get(profile)).and_then(|p| p.get("data")).cloned();
    if let (Some(Value::Table(over)), Some(Value::Table(under))) = (of_profile, document.get_mut("data")) {
        merge(under, over);
    }
}

/// Tables are merged key by key, everything else is replaced.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// As [`merge`], but a schedule is replaced whole: half of one and half of another is no schedule.
fn merge_solver(under: &mut Table, over: &Table) {
    for (key, value) in over {
        under.insert(key.clone(), value.clone());
    }
}

fn apply_override(document: &mut Table, solver: &mut (Table, BTreeMap<String, Table>), pair: &str) -> Result<()> {
    let wrong = |problem: &str| Error::config(format!("--set {pair}"), problem);
    let (key, text) = pair.split_once('=').ok_or_else(|| wrong("expected key=value, for example --set steps=200"))?;
    let (key, text) = (key.trim(), text.trim());
    // A value that is no TOML is a string: `--set evaluate.set=train` needs no quotes.
    let value = format!("v = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(text.to_owned()));
    if FIELDS.contains(&key) {
        solver.0.insert(key.to_owned(), value);
        return Ok(());
    }
    if let Some((model, field)) = key.split_once('.')
        && presets::GENERATORS.contains(&model)
    {
        if !FIELDS.contains(&field) {
            return Err(wrong(&format!("no solver field '{field}'; expected one of {}", FIELDS.join(", "))));
        }
        solver.1.entry(model.to_owned()).or_default().insert(field.to_owned(), value);
        return Ok(());
    }
    let mut path: Vec<&str> = key.split('.').collect();
    let last = path.pop().unwrap_or_default();
    let mut table = document;
    for part in path {
        table = table.get_mut(part).and_then(Value::as_table_mut).ok_or_else(|| {
            wrong(&format!(
                "no table '{part}'; expected a solver field ({}), MODEL.field, or a path that `show` prints",
                FIELDS.join(", ")
            ))
        })?;
    }
    if !table.contains_key(last) {
        let known = table.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(wrong(&format!(
            "no key '{last}'; expected a solver field ({}) or one of {known}",
            FIELDS.join(", ")
        )));
    }
    table.insert(last.to_owned(), value);
    Ok(())
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

fn flatten(prefix: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&path, value, out);
            }
        }
        value => {
            out.insert(prefix.to_owned(), value.to_string());
        }
    }
}

/// The last line of a TOML error says what is wrong; those above it draw the place.
fn one_line(error: &toml::de::Error) -> String {
    error.message().replace('\n', " ")
}

/// The name with the smallest edit distance, if it is near enough to have been meant.
fn nearest(word: &str, names: &[String]) -> Option<String> {
    let endings = names.iter().flat_map(|name| {
        let after_set = name.split_once('-').map_or(name.as_str(), |(_, ending)| ending);
        [(edit_distance(word, name), name), (edit_distance(word, after_set), name)]
    });
    endings.min().filter(|(distance, _)| *distance <= 1 + word.chars().count() / 3).map(|(_, name)| name.clone())
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distances() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("abc", "abc"), 0);
    }

    #[test]
    fn the_nearest_name_is_suggested_and_nonsense_is_not() {
        let names = ["digits-result-1", "digits-holdout-30"].map(str::to_owned);
        assert_eq!(nearest("digits-reslt-1", &names).as_deref(), Some("digits-result-1"));
        assert_eq!(nearest("holdout30", &names).as_deref(), Some("digits-holdout-30"));
        assert_eq!(nearest("faces", &names), None);
    }

    #[test]
    fn merging_is_deep_but_replaces_lists() -> std::result::Result<(), toml::de::Error> {
        let mut under: Table = "a = 1\nl = [1, 2]\n[t]\nx = 1\ny = 2".parse()?;
        merge(&mut under, "l = [3]\n[t]\ny = 5".parse()?);
        assert_eq!(under, "a = 1\nl = [3]\n[t]\nx = 1\ny = 5".parse()?);
        Ok(())
    }
}
