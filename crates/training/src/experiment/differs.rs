//! What differs from the `paper` profile, in sentences for the report: the solver of a model that `paper` trains too, or
//! that it does not train it; and the images. A set of the user's own has no paper.

use std::collections::BTreeMap;

use multigen_data::HeldOut;
use toml::{Table, Value};

use super::document::Document;
use super::{Experiment, PAPER};
use crate::run_config::{SetConfig, TrainingConfig};
use crate::{Error, Result};

/// Per model what differs, given the same document as it is for the paper, without what the command line sets.
pub(super) fn differences(
    experiment: &Experiment,
    paper: &Document,
    file: &str,
) -> Result<BTreeMap<String, Vec<String>>> {
    let has_paper = paper.profiles.contains_key(PAPER) && !matches!(paper.data.set, SetConfig::Custom(_));
    let trained = paper.models_of(PAPER);
    let mut all = BTreeMap::new();
    for (model, solver) in &experiment.training {
        let mut sentences = Vec::new();
        if has_paper && trained.default.iter().chain(&trained.more).any(|other| other == model) {
            sentences = of_solvers(solver, &paper.solver(PAPER, model, file)?)?;
            sentences.extend(of_images(experiment, paper));
        } else if has_paper {
            let default = trained.default.join(", ");
            sentences.push(format!("no part of `paper`, which trains {default} on {}", paper.data.set));
        }
        all.insert(model.clone(), sentences);
    }
    Ok(all)
}

/// The fields in which a solver differs from the paper's.
fn of_solvers(own: &TrainingConfig, paper: &TrainingConfig) -> Result<Vec<String>> {
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

/// Other images, and other sets that are held out of them.
fn of_images(experiment: &Experiment, paper: &Document) -> Vec<String> {
    let (own, paper) = (&experiment.data, &paper.data);
    let mut sentences = Vec::new();
    if own.set != paper.set {
        sentences.push(format!("images: {} (paper: {})", own.set, paper.set));
    }
    if own.held_out != paper.held_out {
        let names = |rules: &[HeldOut]| {
            let names = rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>().join(", ");
            if names.is_empty() { "nothing".to_owned() } else { names }
        };
        sentences.push(format!("held out: {} (paper: {})", names(&own.held_out), names(&paper.held_out)));
    }
    sentences
}
