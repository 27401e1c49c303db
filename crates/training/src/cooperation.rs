//! Cooperation: a classifier, pretrained on real training images, reads what a generator draws, and the generator learns
//! to be read (SPEC §5).
//!
//! The loss is the classification loss of every factor, mean softmax cross-entropy, times a weight. Labels are all that it needs, so
//! a share of the batch may be combinations that are imagined: drawn from all levels, those never seen included. The
//! reconstruction loss stays on training images.
//!
//! A run has phases: *generator only*, *fixed* (the classifier is frozen, its dropout stays on) and *flexible* (both
//! learn, the classifier from generated images). The learning rate's schedule and the optimiser start anew in each.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use multigen_data::randomness::keyed_rng;
use multigen_data::{Factors, ImageSet, Split};
use multigen_measure::JudgeRecord;
use multigen_models::{Classifier, ClassifierConfig, Dropout, Params, presets};
use multigen_ops as ops;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::judging::{Images, JudgeTraining, Lessons, TrainedJudge, heads};
use crate::run_config::{RunConfig, SetConfig};
use crate::train::Surroundings;
use crate::{Error, Result};

/// Who the classifier is, among those that are trained as the judge is.
const CLASSIFIER: &str = "classifier";

/// How a classifier takes part in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cooperation {
    /// How it is trained on real training images beforehand.
    pub pretraining: JudgeTraining,
    /// The phases, one after the other.
    pub phases: Vec<Phase>,
}

/// A phase of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// The phase's name.
    pub name: String,
    /// Its share of the run's steps.
    pub share: f64,
    /// Weight of the classification loss of each factor; 0 for the generator alone.
    pub weight: f64,
    /// The share of the batch that is drawn from all combinations.
    #[serde(default)]
    pub imagined: f64,
    /// Whether the classifier learns too, from what is generated.
    #[serde(default)]
    pub classifier_learns: bool,
}

/// Where a step lies in its phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place<'a> {
    /// The phase.
    pub phase: &'a Phase,
    /// The step, counted from the phase's first one.
    pub step: u64,
    /// The phase's steps.
    pub steps: u64,
}

impl Cooperation {
    /// Every rule that holds of phases.
    pub(crate) fn validate(&self, file: &str) -> Result<()> {
        let wrong = |problem: String| Err(Error::config(file, format!("cooperation: {problem}")));
        if self.pretraining.steps == 0 || self.pretraining.batch == 0 {
            return wrong("pretraining: steps and batch must be at least 1".to_owned());
        }
        if !(self.pretraining.learning_rate.is_finite() && self.pretraining.learning_rate > 0.0) {
            return wrong(format!("pretraining: learning_rate = {}", self.pretraining.learning_rate));
        }
        for Phase { name, share, weight, imagined, .. } in &self.phases {
            if !(share.is_finite() && *share > 0.0) {
                return wrong(format!("phase {name}: share = {share}, expected a number above 0"));
            }
            if !(weight.is_finite() && *weight >= 0.0) {
                return wrong(format!("phase {name}: weight = {weight}, expected a number of at least 0"));
            }
            if !(0.0..1.0).contains(imagined) {
                return wrong(format!("phase {name}: imagined = {imagined}, expected a share from 0 to below 1"));
            }
        }
        let sum: f64 = self.phases.iter().map(|phase| phase.share).sum();
        if (sum - 1.0).abs() > 1e-6 {
            return wrong(format!("the phases' shares sum to {sum}, expected 1"));
        }
        Ok(())
    }

    /// The phases in one sentence, for reports.
    pub(crate) fn describe(&self) -> String {
        let phases = self.phases.iter().map(|Phase { name, share, weight, imagined, classifier_learns }| {
            let imagined = match *imagined > 0.0 {
                true => format!(", {:.0} % of the batch imagined", imagined * 100.0),
                false => String::new(),
            };
            let reads = match (*weight > 0.0, classifier_learns) {
                (false, _) => "no classifier".to_owned(),
                (true, false) => format!("weight {weight}, frozen"),
                (true, true) => format!("weight {weight}, learning from generated images"),
            };
            format!("{name} ({:.0} % of the steps: {reads}{imagined})", share * 100.0)
        });
        format!("A classifier takes part: {}.", phases.collect::<Vec<_>>().join(", then "))
    }

    /// The phase of `step` in a run of `steps`.
    pub(crate) fn place(&self, step: u64, steps: u64) -> Option<Place<'_>> {
        let mut sum = 0.0;
        let mut first = 0;
        for (i, phase) in self.phases.iter().enumerate() {
            sum += phase.share;
            let is_last = i + 1 == self.phases.len();
            let end = if is_last { steps } else { ((sum * steps as f64).round() as u64).min(steps) };
            if step < end {
                return Some(Place { phase, step: step - first, steps: end - first });
            }
            first = end;
        }
        None
    }

    fn params(&self, device: &Device) -> Params {
        if self.classifier_learns() { Params::new(device) } else { Params::frozen(device) }
    }

    fn classifier_learns(&self) -> bool {
        self.phases.iter().any(|phase| phase.classifier_learns)
    }
}

/// A classifier that takes part in a run.
#[derive(Debug)]
pub struct Cooperating {
    classifier: Classifier,
    learns: bool,
    /// How well it reads the held-out images before the run: real ones, which it never saw.
    pub pretrained: JudgeRecord,
}

impl Cooperating {
    /// The classifier of a run: trained on the run's training images, or from the cache.
    ///
    /// # Errors
    /// As [`TrainedJudge::get`].
    pub fn new(
        run: &RunConfig,
        cooperation: &Cooperation,
        (set, split): (&ImageSet, &Split),
        cache: &Path,
        around: Surroundings,
    ) -> Result<Self> {
        let lessons = lessons(run, set, split)?;
        let trained = TrainedJudge::get(&lessons, &cooperation.pretraining, cache, around)?;
        let classifier = trained.network(&lessons.network, cooperation.params(around.device))?;
        Ok(Self { classifier, learns: cooperation.classifier_learns(), pretrained: trained.record })
    }

    /// One that was never trained, to time a step by.
    ///
    /// # Errors
    /// When the device has no room.
    pub(crate) fn untrained(
        run: &RunConfig,
        cooperation: &Cooperation,
        set: &ImageSet,
        device: &Device,
    ) -> Result<Self> {
        let params = cooperation.params(device);
        let mut rng = keyed_rng(0, "judge weights", 0);
        let classifier = Classifier::new(CLASSIFIER, &network(&run.data.set, set)?, params, &mut rng)?;
        let pretrained =
            JudgeRecord { description: String::new(), n_images: 0, accuracy: BTreeMap::new(), commit: None };
        Ok(Self { classifier, learns: cooperation.classifier_learns(), pretrained })
    }

    /// Whether it learns in some phase.
    pub(crate) fn learns(&self) -> bool {
        self.learns
    }

    /// The classifier.
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// The classification losses of all factors, summed.
    ///
    /// # Shapes
    /// images `[n, 3, s, s]`, per factor of the set n levels → a scalar.
    pub(crate) fn loss(
        &self,
        images: &Tensor,
        factors: &Factors,
        levels: &[Vec<u32>],
        dropout: Dropout,
    ) -> Result<Tensor> {
        let mut sum = Tensor::zeros((), images.dtype(), images.device())?;
        for (factor, logits) in self.classifier.forward(images, dropout)? {
            let truth = Tensor::new(levels[factors.position(&factor)?].as_slice(), images.device())?;
            sum = (sum + ops::softmax_cross_entropy(&logits, &truth)?)?;
        }
        Ok(sum)
    }
}

/// What the classifier of a run learns from before the run: the training images. It is tested on all others.
fn lessons<'a>(run: &RunConfig, set: &'a ImageSet, split: &'a Split) -> Result<Lessons<'a>> {
    let network = network(&run.data.set, set)?;
    let names: Vec<String> = network.factors().into_iter().map(|(factor, _)| factor).collect();
    let identity = serde_json::to_string(&(&run.data_sha256, &run.data.held_out, &names))
        .map_err(|e| Error::config(CLASSIFIER, e.to_string()))?;
    Ok(Lessons {
        reader: CLASSIFIER,
        network,
        identity,
        description: "the training images alone, tested on the held-out ones".to_owned(),
        material: Box::new(move || {
            let read: Vec<&str> = names.iter().map(String::as_str).collect();
            Ok(Box::new(training_images(set, split, &read)?))
        }),
    })
}

fn training_images(set: &ImageSet, split: &Split, read: &[&str]) -> Result<Images<'static>> {
    let others: Vec<usize> = (0..set.len()).filter(|i| split.train.binary_search(i).is_err()).collect();
    Images::parted(set, &split.train, &others, read)
}

/// The classifier for a set: of all factors that can be read.
fn network(config: &SetConfig, set: &ImageSet) -> Result<ClassifierConfig> {
    let names = set.factors.iter().map(|factor| factor.name.as_str());
    let read: Vec<&str> = names.filter(|name| config.is_readable(name)).collect();
    let network = presets::compact_classifier(&heads(&set.factors, &read)?, set.height);
    network.validate(presets::COMPACT_CLASSIFIER)?;
    Ok(ClassifierConfig::AlexNet(network))
}

/// The imagined combinations of a step: per factor n levels, every level as likely as any other.
pub(crate) fn imagined(factors: &Factors, n: usize, (seed, step): (u64, u64)) -> Vec<Vec<u32>> {
    let mut rng = keyed_rng(seed, "imagined combinations", step);
    factors.iter().map(|factor| (0..n).map(|_| rng.random_range(0..factor.n_levels() as u32)).collect()).collect()
}

/// Which units of the classifier are dropped in a step.
pub(crate) fn dropout(seed: u64, step: u64) -> Dropout {
    Dropout::Keyed(keyed_rng(seed, "cooperation dropout", step).random())
}

#[cfg(test)]
mod tests {
    use multigen_data::sets::digits;
    use multigen_data::{DigitsConfig, Factor, MnistSource, Part};

    use super::*;
    use crate::judging::{Lesson, Material};
    use crate::run_config::DataConfig;

    fn phase(name: &str, share: f64, weight: f64) -> Phase {
        Phase { name: name.to_owned(), share, weight, imagined: 0.0, classifier_learns: false }
    }

    fn cooperation(phases: Vec<Phase>) -> Cooperation {
        let pretraining = JudgeTraining { steps: 1, batch: 1, learning_rate: 1e-3, test_images: 1 };
        Cooperation { pretraining, phases }
    }

    #[test]
    fn phases_follow_each_other_and_end_with_the_run() {
        let three =
            cooperation(vec![phase("alone", 0.25, 0.0), phase("fixed", 0.5, 5.0), phase("flexible", 0.25, 1.0)]);
        // Of 10 steps: 0.25 · 10 = 2.5, rounded to 3; 0.75 · 10 = 7.5, rounded to 8.
        let place = |step| three.place(step, 10).map(|place| (place.phase.name.as_str(), place.step, place.steps));
        assert_eq!(place(0), Some(("alone", 0, 3)));
        assert_eq!(place(2), Some(("alone", 2, 3)));
        assert_eq!(place(3), Some(("fixed", 0, 5)));
        assert_eq!(place(7), Some(("fixed", 4, 5)));
        assert_eq!(place(8), Some(("flexible", 0, 2)));
        assert_eq!(place(9), Some(("flexible", 1, 2)));
        assert_eq!(place(10), None);
    }

    #[test]
    fn impossible_phases_are_one_line() {
        let message = |phases| cooperation(phases).validate("f").err().map(|e| e.to_string()).unwrap_or_default();
        assert_eq!(message(vec![phase("a", 0.5, 0.0), phase("b", 0.5, 1.0)]), "");
        for (phases, expected) in [
            (vec![phase("a", 0.5, 0.0)], "the phases' shares sum to 0.5, expected 1"),
            (vec![phase("a", 1.0, -1.0)], "phase a: weight = -1"),
            (vec![phase("a", f64::NAN, 1.0)], "phase a: share = NaN"),
            (vec![Phase { imagined: 1.0, ..phase("a", 1.0, 1.0) }], "phase a: imagined = 1"),
        ] {
            assert!(message(phases).contains(expected), "{expected}");
        }
    }

    /// Every image that the classifier learns from is a training image, and every one that it is tested on is not.
    #[test]
    fn no_held_out_combination_reaches_the_pretraining() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let datasets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
        let mnist = MnistSource::Embedded { datasets }.load(Part::Train)?;
        let set = digits::build(&mnist, DigitsConfig { transforms: 6 })?;
        let rules = toml::from_str::<DataConfig>(
            "set = { digits = { transforms = 6 } }\n[[held_out]]\nname = 'cells'\nshare = { of = ['digit', 'style', 'transform'], share = 0.3, seed = 0 }",
        )?
        .held_out;
        let split = Split::new(&set.factors, &set.combinations, &rules)?;
        let held_out: Vec<usize> = split.indices("cells").ok_or("no cells")?.to_vec();
        let mut material = training_images(&set, &split, &["digit", "style", "colour", "transform"])?;
        assert_eq!(material.n_test(), held_out.len());
        let is_training = |lesson: &Lesson, i: usize| {
            let levels: Vec<usize> = lesson.levels.iter().map(|levels| levels[i] as usize).collect();
            let index = set.combinations.iter().position(|c| c.0 == levels);
            index.map(|index| split.train.binary_search(&index).is_ok())
        };
        let n_epoch = split.train.len().div_ceil(90) as u64;
        for step in 0..n_epoch {
            let lesson = material.batch(step, 90)?;
            assert!((0..90).all(|i| is_training(&lesson, i) == Some(true)));
        }
        let test = material.test(0..held_out.len())?;
        assert!((0..held_out.len()).all(|i| is_training(&test, i) == Some(false)));
        Ok(())
    }

    #[test]
    fn imagined_combinations_are_any_and_the_same_for_one_step() -> std::result::Result<(), Box<dyn std::error::Error>>
    {
        let factors = Factors::new(vec![Factor::numbered("digit", 10), Factor::numbered("colour", 3)])?;
        let drawn = imagined(&factors, 3000, (1, 5));
        assert_eq!(drawn, imagined(&factors, 3000, (1, 5)));
        assert_ne!(drawn, imagined(&factors, 3000, (1, 6)));
        // Of 3,000 draws every one of the 30 combinations is expected 100 times, with a deviation of about 10.
        for digit in 0..10 {
            for colour in 0..3 {
                let n = drawn[0].iter().zip(&drawn[1]).filter(|&(&d, &c)| (d, c) == (digit, colour)).count();
                assert!((50..150).contains(&n), "{digit} {colour}: {n}");
            }
        }
        Ok(())
    }
}
