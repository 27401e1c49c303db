//! Ablations: the full model, and the same with something left out, on the same seeds (SPEC §6).
//!
//! The full model is an experiment file with one model; an ablation adds a second arm made from its solver. What the two
//! arms then differ in is read from their resolved run configurations, not from what was meant: a difference that nothing
//! that was left out explains is refused.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::experiment::{Experiment, preset_of};
use crate::reproduce::PlannedRun;
use crate::run_config::{Reconstruction, RunConfig, TrainingConfig};
use crate::{Error, Result};

/// Something that can be left out of the full model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// The classifier.
    Cooperative,
    /// The discriminator.
    Adversarial,
    /// The classifier's transform head.
    Transform,
    /// The mask head and its loss.
    Segmentation,
    /// The squared error: the absolute one takes its place.
    SquaredError,
    /// The classifier's pretraining: it starts at random.
    Pretraining,
}

impl LeftOut {
    /// As it stands in names: `no-cooperative`, `loss-l1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cooperative => "no-cooperative",
            Self::Adversarial => "no-adversarial",
            Self::Transform => "no-transform",
            Self::Segmentation => "no-segmentation",
            Self::SquaredError => "loss-l1",
            Self::Pretraining => "no-pretraining",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Cooperative => "the cooperative classifier",
            Self::Adversarial => "the adversarial discriminator",
            Self::Transform => "the classifier's transform head",
            Self::Segmentation => "the segmentation mask",
            Self::SquaredError => "the squared instead of the absolute error",
            Self::Pretraining => "the classifier's pretraining",
        }
    }

    /// What its absence may change in a run's configuration: paths, in which `*` stands for any one part.
    fn may_change(self) -> &'static [&'static str] {
        match self {
            Self::Cooperative => &[
                "training.cooperation",
                "training.phases.*.classification",
                "training.phases.*.imagined",
                "training.phases.*.classifier_learns",
            ],
            Self::Adversarial => &["training.adversarial", "training.phases.*.adversarial"],
            Self::Transform => &["training.cooperation.without"],
            Self::Segmentation => &["network.concatenating.mask_head", "training.mask_weight"],
            Self::SquaredError => &["training.reconstruction"],
            Self::Pretraining => &["training.cooperation.pretraining"],
        }
    }

    /// Leaves it out of a solver.
    fn leave_out(self, training: &mut TrainingConfig) -> std::result::Result<(), &'static str> {
        let cooperation = training.cooperation.as_mut();
        match self {
            Self::Cooperative => {
                training.cooperation.take().ok_or("has no classifier")?;
                for phase in &mut training.phases {
                    (phase.classification, phase.imagined, phase.classifier_learns) = (0.0, 0.0, false);
                }
            }
            Self::Adversarial => {
                training.adversarial.take().ok_or("has no discriminator")?;
                training.phases.iter_mut().for_each(|phase| phase.adversarial = 0.0);
            }
            Self::Transform => cooperation.ok_or("has no classifier")?.without.push("transform".to_owned()),
            Self::Segmentation => training.mask_weight = 0.0,
            Self::SquaredError => training.reconstruction = Reconstruction::Absolute,
            Self::Pretraining => {
                cooperation.ok_or("has no classifier")?.pretraining.take().ok_or("has no pretraining")?;
            }
        }
        Ok(())
    }
}

/// The experiment of both arms: the ablated one first, so that differences say what was left out adds.
///
/// # Errors
/// When nothing is left out, or something that is not there (any more).
pub fn experiment(full: &Experiment, left_out: &[LeftOut]) -> Result<Experiment> {
    let wrong = |problem: String| Err(Error::config("ablate", problem));
    let mut left_out = left_out.to_vec();
    left_out.sort_unstable();
    left_out.dedup();
    if left_out.is_empty() {
        return wrong("nothing is left out; give --no-cooperative, --no-adversarial, --no-transform, --no-segmentation, --no-pretraining or --loss l1".to_owned());
    }
    let [model] = &full.models[..] else {
        return wrong(format!("{}: expected one model, the full one, found {}", full.name, full.models.join(", ")));
    };
    let solver = full.training.get(model).ok_or_else(|| Error::config(model, "has no solver"))?;
    let mut ablated = solver.clone();
    // Parts of the classifier first: of none there is nothing to leave out.
    for &part in left_out.iter().rev() {
        if part == LeftOut::Segmentation && without_mask(model).is_none() {
            return wrong(format!("--{} does not apply: {model} has no mask head", part.name()));
        }
        if left_out.contains(&LeftOut::Cooperative) && [LeftOut::Transform, LeftOut::Pretraining].contains(&part) {
            return wrong(format!(
                "--{} says nothing beside --no-cooperative, which leaves out the whole classifier",
                part.name()
            ));
        }
        if let Err(problem) = part.leave_out(&mut ablated) {
            return wrong(format!("--{} does not apply: {model} {problem}", part.name()));
        }
    }
    let names: Vec<&str> = left_out.iter().map(|part| part.name()).collect();
    let preset = match left_out.contains(&LeftOut::Segmentation) {
        true => without_mask(model).unwrap_or_default(),
        false => preset_of(model),
    };
    let arm = format!("{preset}+{}", names.join("-"));
    let what = left_out.iter().map(|part| part.what()).collect::<Vec<_>>().join(" and ");
    let mut both = full.clone();
    both.name = format!("{}-{}", full.name, names.join("-"));
    both.title = format!("{}: {}", full.title, names.join(", ").replace('-', " "));
    both.about.question = format!("What does {what} add to the full model?");
    both.models = vec![arm.clone(), model.clone()];
    both.training.insert(arm.clone(), ablated);
    if let Some(differs) = full.differs_from_paper.get(model) {
        both.differs_from_paper.insert(arm, differs.clone());
    }
    Ok(both)
}

/// The preset of a model without its mask head.
fn without_mask(model: &str) -> Option<&str> {
    preset_of(model).strip_suffix("-mask")
}

/// What the arms of every seed differ in, in words: `training.mask_weight: 1.0 → 0.0`, from the full to the ablated one.
///
/// # Errors
/// When they differ in more than what was left out explains, when seeds differ in what they differ in, or an arm is missing.
pub fn differences(runs: &[PlannedRun], left_out: &[LeftOut]) -> Result<Vec<String>> {
    let mut found: Option<Vec<String>> = None;
    for pair in runs.chunks(2) {
        let [ablated, full] = pair else {
            return Err(Error::config("ablate", "expected two arms for every seed"));
        };
        let of_pair = of_arms(&full.config, &ablated.config, left_out)?;
        match &found {
            Some(first) if *first != of_pair => {
                let problem = format!(
                    "the arms of seed {} differ in other things than those of the first seed",
                    full.config.seed
                );
                return Err(Error::config("ablate", problem));
            }
            _ => found = Some(of_pair),
        }
    }
    Ok(found.unwrap_or_default())
}

fn of_arms(full: &RunConfig, ablated: &RunConfig, left_out: &[LeftOut]) -> Result<Vec<String>> {
    let (before, after) = (flat(full)?, flat(ablated)?);
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    let mut sentences = Vec::new();
    for path in paths.into_iter().filter(|path| before.get(*path) != after.get(*path)) {
        // The arm's name is the one thing that must differ.
        if path == "model" {
            continue;
        }
        let show = |value: Option<&String>| value.cloned().unwrap_or_else(|| "none".to_owned());
        let sentence = format!("{path}: {} → {}", show(before.get(path)), show(after.get(path)));
        let is_explained = left_out.iter().flat_map(|part| part.may_change()).any(|pattern| covers(pattern, path));
        if !is_explained {
            return Err(Error::config(
                "ablate",
                format!(
                    "the arms differ in {sentence}, which nothing that is left out explains; so their difference would say nothing of it"
                ),
            ));
        }
        sentences.push(sentence);
    }
    if sentences.is_empty() {
        return Err(Error::config("ablate", "the arms do not differ"));
    }
    Ok(sentences)
}

/// Whether a pattern names this path, or a table that it lies in.
fn covers(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('.');
    pattern.split('.').all(|wanted| parts.next().is_some_and(|part| wanted == "*" || wanted == part))
}

/// Every value of a configuration by its path.
fn flat(run: &RunConfig) -> Result<BTreeMap<String, String>> {
    fn walk(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
        let deeper = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match value {
            Value::Object(table) => table.iter().for_each(|(key, value)| walk(&deeper(key), value, into)),
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(place, value)| walk(&deeper(&place.to_string()), value, into));
            }
            other => {
                into.insert(path.to_owned(), other.to_string());
            }
        }
    }
    let value = serde_json::to_value(run).map_err(|e| Error::config(&run.model, e.to_string()))?;
    let mut values = BTreeMap::new();
    walk("", &value, &mut values);
    Ok(values)
}
