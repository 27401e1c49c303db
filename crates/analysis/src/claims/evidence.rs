//! The figures of results folders as claims need them: small in memory, by seed and image, several sets taken together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use multigen_measure::ResultsDir;

use crate::error::Result;
use crate::experiment_results::ExperimentResults;
use crate::labels::{TRUTH, is_trained};

/// The profile that claims rest on.
const QUICK: &str = "quick";

/// The folders that were looked at, each read once.
pub struct Evidence<'a> {
    results: &'a ResultsDir,
    folders: BTreeMap<String, Looked>,
}

/// What a look at a folder found.
pub enum Looked {
    /// Its figures.
    Found(Figures),
    /// Why there are none, in one line.
    Missing(String),
}

/// The figures of one folder.
#[derive(Debug, Default)]
pub struct Figures {
    /// The command that made them.
    pub command: String,
    names: Vec<String>,
    rows: Vec<Row>,
}

/// A row whose texts are places in `names`.
#[derive(Debug, Clone, Copy)]
struct Row {
    set: u32,
    model: u32,
    metric: u32,
    combination: u32,
    seed: Option<u64>,
    value: f64,
}

/// The figures of some images, by seed and combination; without a seed where no seed changes them.
pub type Images<'a> = BTreeMap<Option<u64>, BTreeMap<&'a str, f64>>;

impl<'a> Evidence<'a> {
    /// Nothing is read yet.
    pub fn new(results: &'a ResultsDir) -> Self {
        Self { results, folders: BTreeMap::new() }
    }

    /// The figures of a folder of the quick profile.
    ///
    /// # Errors
    /// A broken manifest or table; a folder that is not there is no error.
    pub fn of(&mut self, folder: &str) -> Result<&Looked> {
        if !self.folders.contains_key(folder) {
            let looked = self.look(folder)?;
            self.folders.insert(folder.to_owned(), looked);
        }
        Ok(&self.folders[folder])
    }

    fn look(&self, folder: &str) -> Result<Looked> {
        let dir = self.results.experiment(folder);
        if !dir.holds_figures() {
            let others: Vec<String> =
                if self.results.root().is_dir() { self.results.experiments()? } else { Vec::new() };
            let profiles: Vec<&str> = others
                .iter()
                .filter_map(|other| other.strip_prefix(folder)?.strip_prefix('-'))
                .filter(|profile| ["paper", "paper-71", "smoke"].contains(profile))
                .collect();
            return Ok(Looked::Missing(match profiles.is_empty() {
                true => format!("no results of {folder}"),
                false => format!("no results of {folder} in the profile quick, only in {}", profiles.join(", ")),
            }));
        }
        let ExperimentResults { manifest, metrics, .. } = ExperimentResults::read(self.results, folder)?;
        if manifest.profile != QUICK {
            return Ok(Looked::Missing(format!("results of {folder} are of the profile {}", manifest.profile)));
        }
        if let Some(what) = changed(&manifest.command) {
            return Ok(Looked::Missing(format!(
                "results of {folder} were made with {what}, and a verdict is of the experiment's file and data as they are"
            )));
        }
        let mut figures = Figures { command: manifest.command, ..Figures::default() };
        let mut places: HashMap<String, u32> = HashMap::new();
        for row in metrics {
            let Some(value) = Some(row.value).filter(|value| value.is_finite()) else { continue };
            let mut place = |name: String| {
                let next = places.len() as u32;
                *places.entry(name).or_insert_with_key(|name| {
                    figures.names.push(name.clone());
                    next
                })
            };
            let [set, model, metric, combination] = [row.set, row.model, row.metric, row.combination].map(&mut place);
            figures.rows.push(Row { set, model, metric, combination, seed: row.seed, value });
        }
        Ok(Looked::Found(figures))
    }
}

impl Figures {
    /// The figures of a model's images in some sets, only those with a level such as `emotion=happy` where one is named. An
    /// image that is in several sets counts once.
    pub fn images(&self, sets: &[&str], model: &str, metric: &str, level: Option<&str>) -> Images<'_> {
        let mut images = Images::new();
        let sets: BTreeSet<u32> = sets.iter().filter_map(|set| self.place(set)).collect();
        let (Some(model), Some(metric)) = (self.place(model), self.place(metric)) else { return images };
        for row in &self.rows {
            if row.model != model || row.metric != metric || !sets.contains(&row.set) {
                continue;
            }
            let combination = self.names[row.combination as usize].as_str();
            if level.is_none_or(|level| combination.split_whitespace().any(|word| word == level)) {
                images.entry(row.seed).or_default().insert(combination, row.value);
            }
        }
        images
    }

    /// Whether a model has any figure in some sets.
    pub fn has(&self, sets: &[&str], model: &str) -> bool {
        let sets: BTreeSet<u32> = sets.iter().filter_map(|set| self.place(set)).collect();
        let model = self.place(model);
        self.rows.iter().any(|row| Some(row.model) == model && sets.contains(&row.set))
    }

    /// The baselines that have a metric in some sets.
    pub fn baselines(&self, sets: &[&str], metric: &str) -> Vec<&str> {
        let sets: BTreeSet<u32> = sets.iter().filter_map(|set| self.place(set)).collect();
        let metric = self.place(metric);
        let models: BTreeSet<u32> = self
            .rows
            .iter()
            .filter(|row| Some(row.metric) == metric && sets.contains(&row.set))
            .map(|row| row.model)
            .collect();
        let names = models.into_iter().map(|model| self.names[model as usize].as_str());
        names.filter(|name| !is_trained(name) && *name != TRUTH).collect()
    }

    fn place(&self, name: &str) -> Option<u32> {
        self.names.iter().position(|other| other == name).map(|place| place as u32)
    }
}

/// What a command changed of an experiment's file or data, but for the choice of the models that take part: arms that were
/// trained in another way, or on other images, are no match for the file's claim.
fn changed(command: &str) -> Option<String> {
    let Some(words) = shlex::split(command) else { return Some("a command that cannot be read".to_owned()) };
    let mut words = words.iter().map(|word| word.split_once('=').map_or((word.as_str(), None), |(a, b)| (a, Some(b))));
    while let Some((flag, joined)) = words.next() {
        match flag {
            "--experiments" | "--mnist" => return Some(flag.to_owned()),
            "--set" => {
                // Either --set=KEY=VALUE or --set and then KEY=VALUE.
                let key = match joined {
                    Some(pair) => pair.split('=').next(),
                    None => words.next().map(|(key, _)| key),
                };
                match key.map(str::trim) {
                    None | Some("models.default") => {}
                    Some(key) => return Some(format!("--set {key}")),
                }
            }
            _ => {}
        }
    }
    None
}

/// The mean over the images of every seed.
pub fn means(images: &Images) -> BTreeMap<Option<u64>, f64> {
    let mean = |values: &BTreeMap<&str, f64>| values.values().sum::<f64>() / values.len().max(1) as f64;
    images.iter().map(|(seed, values)| (*seed, mean(values))).collect()
}

/// How many clusters the images hold under each seed: combinations that agree in the `factors` are one; those that lack
/// one of the factors are none. With `per`, the smallest number over that factor's levels, and which.
pub fn n_clusters(images: &Images, factors: &[&str], per: Option<&str>) -> BTreeMap<Option<u64>, (usize, String)> {
    let level = |combination: &str, factor: &str| {
        combination.split_whitespace().find_map(|word| word.strip_prefix(factor)?.strip_prefix('=').map(str::to_owned))
    };
    let mut counts = BTreeMap::new();
    for (seed, values) in images {
        let mut clusters: BTreeMap<String, BTreeSet<Vec<String>>> = BTreeMap::new();
        for combination in values.keys() {
            let Some(cluster) = factors.iter().map(|factor| level(combination, factor)).collect::<Option<Vec<_>>>()
            else {
                continue;
            };
            let group = match per {
                Some(factor) => format!("{factor}={}", level(combination, factor).unwrap_or_default()),
                None => String::new(),
            };
            clusters.entry(group).or_default().insert(cluster);
        }
        let smallest = clusters.into_iter().map(|(group, clusters)| (clusters.len(), group)).min();
        counts.insert(*seed, smallest.unwrap_or_default());
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_setting_is_found_and_a_choice_of_models_is_none() {
        for (command, found) in [
            ("cargo xtask reproduce e --seeds 5", None),
            ("cargo xtask reproduce e --set 'models.default=[\"a\", \"b\"]' --seeds 5", None),
            ("cargo xtask reproduce e --set 'models.default = [\"a\"]'", None),
            ("cargo xtask reproduce e --set steps=5", Some("--set steps")),
            ("cargo xtask reproduce e --set 'models.default=[\"a\"]' --set 'a.batch=1'", Some("--set a.batch")),
            ("cargo xtask reproduce e --set=steps=5", Some("--set steps")),
            ("cargo xtask reproduce e --set=models.default=[]", None),
            ("cargo xtask reproduce e --set", None),
            ("cargo xtask reproduce e --mnist mine", Some("--mnist")),
            ("cargo xtask reproduce e --experiments=mine", Some("--experiments")),
            ("cargo xtask reproduce 'e", Some("a command that cannot be read")),
        ] {
            assert_eq!(changed(command).as_deref(), found, "{command}");
        }
    }
}
