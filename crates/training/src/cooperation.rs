//! Cooperation: a classifier, pretrained on real training images, reads what a generator draws, and the generator learns
//! to be read (SPEC §5).
//!
//! The loss is the classification loss of every factor, mean softmax cross-entropy, times the phase's weight
//! ([`crate::phases`]). Labels are all that it needs, so a share of the batch may be combinations that are imagined: drawn from all levels, those
//! never seen included. The reconstruction loss stays on training images.
//!
//! The classifier is frozen (its dropout stays on), or learns beside the generator, from generated images alone.

use std::path::Path;

use candle_core::{Device, Tensor};
use multigen_data::randomness::keyed_rng;
use multigen_data::{Factors, ImageSet, Split};
use multigen_measure::JudgeRecord;
use multigen_models::{Classifier, ClassifierConfig, Dropout, Params, presets};
use multigen_ops as ops;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::estimate::{Estimated, Known};
use crate::judging::{Images, JudgeTraining, Lessons, OF_ONE_SET, TrainedJudge, heads};
use crate::run_config::{RunConfig, SetConfig};
use crate::train::Surroundings;
use crate::{Error, Result};

/// Who the classifier is, among those that are trained as the judge is.
const CLASSIFIER: &str = "classifier";

/// How a classifier takes part in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cooperation {
    /// How it is trained on real training images beforehand; without, it starts at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretraining: Option<JudgeTraining>,
    /// Its network, by a name of [`presets::classifier_for`].
    #[serde(default = "compact")]
    pub network: String,
    /// Whether it is pretrained on all images, those held out from the generator among them, as the research's was: what a
    /// generator gains from it on held-out combinations is then no generalisation of its own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub leaking: bool,
    /// Factors that it does not read, of those that can be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn compact() -> String {
    presets::COMPACT_CLASSIFIER.to_owned()
}

impl Cooperation {
    /// Every rule that holds of a classifier's part.
    pub(crate) fn validate(&self, file: &str) -> Result<()> {
        presets::check_classifier(&self.network)
            .map_err(|e| Error::config(file, format!("cooperation.network: {e}")))?;
        match &self.pretraining {
            Some(pretraining) => pretraining.solver().validate(&format!("{file}, cooperation.pretraining")),
            None if self.leaking => Err(Error::config(
                file,
                "cooperation: leaking says on what it is pretrained, but there is no pretraining",
            )),
            None => Ok(()),
        }
    }

    /// Who read the images that tell how well the pretrained classifier reads.
    pub(crate) fn tested(&self) -> &'static str {
        if self.leaking { "a twin of the classifier, pretrained without them," } else { "the classifier" }
    }

    /// In one sentence, for reports.
    pub(crate) fn describe(&self) -> String {
        let start = match &self.pretraining {
            Some(JudgeTraining { steps, batch, .. }) if self.leaking => format!(
                "pretrained on all images, also those held out from the generator (the research's leak), {steps} steps of {batch}"
            ),
            Some(JudgeTraining { steps, batch, .. }) => {
                format!("pretrained on training images alone, {steps} steps of {batch}")
            }
            None => "from a random start".to_owned(),
        };
        let without = match self.without.is_empty() {
            true => String::new(),
            false => format!(", without a head for {}", self.without.join(", ")),
        };
        format!("A classifier ({}) takes part, {start}{without}.", self.network)
    }
}

/// A classifier that takes part in a run.
#[derive(Debug)]
pub struct Cooperating {
    classifier: Classifier,
    learns: bool,
    /// How well it reads the held-out images before the run: real ones, which it never saw. None from a random start.
    pub pretrained: Option<JudgeRecord>,
}

impl Cooperating {
    /// The classifier of a run: trained on the run's training images, or from the cache; or at random.
    ///
    /// # Errors
    /// As [`TrainedJudge::get`]; a factor that `without` names does not exist.
    pub fn new(
        run: &RunConfig,
        cooperation: &Cooperation,
        (set, split): (&ImageSet, &Split),
        cache: &Path,
        around: Surroundings,
    ) -> Result<Self> {
        let Some(pretraining) = &cooperation.pretraining else {
            return Self::untrained(run, cooperation, set, around.device);
        };
        let lessons = lessons(run, cooperation, set, split)?;
        let trained = TrainedJudge::get(&lessons, pretraining, cache, around)?;
        let learns = run.training.classifier_learns();
        let classifier = trained.network(&lessons.network, params(learns, around.device))?;
        Ok(Self { classifier, learns, pretrained: Some(trained.record) })
    }

    /// How long its pretraining would take, if it has one.
    ///
    /// # Errors
    /// As [`TrainedJudge::estimate`].
    pub(crate) fn estimate(
        run: &RunConfig,
        cooperation: &Cooperation,
        (set, split): (&ImageSet, &Split),
        cache: &Path,
        around: Surroundings,
        known: &mut Known,
    ) -> Result<Option<Estimated>> {
        let Some(pretraining) = &cooperation.pretraining else { return Ok(None) };
        let lessons = lessons(run, cooperation, set, split)?;
        TrainedJudge::estimate(&lessons, pretraining, cache, around, known).map(Some)
    }

    /// Deletes what was pretrained for a run from the cache.
    ///
    /// # Errors
    /// When a file cannot be deleted.
    pub(crate) fn forget(run: &RunConfig, set: &ImageSet, cache: &Path, device: &Device) -> Result<()> {
        let Some(cooperation) = &run.training.cooperation else { return Ok(()) };
        let Some(pretraining) = &cooperation.pretraining else { return Ok(()) };
        let split = Split::new(&set.factors, &set.combinations, &run.data.held_out)?;
        TrainedJudge::forget(&lessons(run, cooperation, set, &split)?, pretraining, cache, device)
    }

    /// One at random, by the run's seed.
    ///
    /// # Errors
    /// When the device has no room.
    pub(crate) fn untrained(
        run: &RunConfig,
        cooperation: &Cooperation,
        set: &ImageSet,
        device: &Device,
    ) -> Result<Self> {
        let learns = run.training.classifier_learns();
        let mut rng = keyed_rng(run.seed, "classifier weights", 0);
        let network = network(&run.data.set, cooperation, set)?;
        let classifier = Classifier::new(CLASSIFIER, &network, params(learns, device), &mut rng)?;
        Ok(Self { classifier, learns, pretrained: None })
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
fn lessons<'a>(run: &RunConfig, cooperation: &Cooperation, set: &'a ImageSet, split: &'a Split) -> Result<Lessons<'a>> {
    let network = network(&run.data.set, cooperation, set)?;
    let names: Vec<String> = network.factors().into_iter().map(|(factor, _)| factor).collect();
    // A seed of the run's own, and never the judges': a twin of the judge would be no one to be judged by it.
    let seed: u64 = keyed_rng(run.seed, "pretraining", 0).random();
    let written = |identity: serde_json::Result<String>| identity.map_err(|e| Error::config(CLASSIFIER, e.to_string()));
    if cooperation.leaking {
        return Ok(Lessons {
            reader: CLASSIFIER,
            network,
            identity: written(serde_json::to_string(&(&run.data_sha256, "all images", &names, seed)))?,
            seed,
            description: OF_ONE_SET.to_owned(),
            material: Box::new(move || {
                let read: Vec<&str> = names.iter().map(String::as_str).collect();
                Ok(Box::new(Images::of_one_set(set, &read)?.in_order_of(seed)))
            }),
        });
    }
    let identity = written(serde_json::to_string(&(&run.data_sha256, &run.data.held_out, &names, seed)))?;
    Ok(Lessons {
        reader: CLASSIFIER,
        network,
        identity,
        seed,
        description: "the training images alone, tested on the held-out ones".to_owned(),
        material: Box::new(move || {
            let read: Vec<&str> = names.iter().map(String::as_str).collect();
            Ok(Box::new(training_images(set, split, &read)?.in_order_of(seed)))
        }),
    })
}

fn training_images(set: &ImageSet, split: &Split, read: &[&str]) -> Result<Images<'static>> {
    let others: Vec<usize> = (0..set.len()).filter(|i| split.train.binary_search(i).is_err()).collect();
    Images::parted(set, &split.train, &others, read)
}

fn params(learns: bool, device: &Device) -> Params {
    if learns { Params::new(device) } else { Params::frozen(device) }
}

/// The classifier for a set: of all factors that can be read, but for those it is to leave out.
pub(crate) fn network(config: &SetConfig, cooperation: &Cooperation, set: &ImageSet) -> Result<ClassifierConfig> {
    let known: Vec<&str> =
        set.factors.iter().map(|factor| factor.name.as_str()).filter(|name| config.is_readable(name)).collect();
    if let Some(stranger) = cooperation.without.iter().find(|name| !known.contains(&name.as_str())) {
        let problem = format!("without names '{stranger}': expected some of {}", known.join(", "));
        return Err(Error::config("cooperation", problem));
    }
    let read: Vec<&str> =
        known.into_iter().filter(|name| !cooperation.without.iter().any(|left| left == name)).collect();
    Ok(presets::classifier_for(&cooperation.network, &heads(&set.factors, &read)?, set.height)?)
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
            let index = set.combinations.iter().position(|c| c.0 == levels)?;
            let n = set.channels * set.height * set.width;
            let is_of_its_labels = lesson.images[i * n..(i + 1) * n] == set.images[index * n..(index + 1) * n];
            is_of_its_labels.then(|| split.train.binary_search(&index).is_ok())
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

    /// The research's choice, kept to be compared with: its classifier has seen what is held out from the generator.
    #[test]
    fn a_leaking_classifier_learns_from_held_out_combinations_and_is_another_one()
    -> std::result::Result<(), Box<dyn std::error::Error>> {
        let factors = Factors::new(vec![Factor::numbered("digit", 4), Factor::numbered("colour", 3)])?;
        let combinations: Vec<_> = factors.combinations().collect();
        let images = vec![0.5; combinations.len() * 3 * 28 * 28];
        let set = ImageSet {
            images,
            channels: 3,
            height: 28,
            width: 28,
            masks: None,
            combinations,
            factors: factors.clone(),
        };
        let data: DataConfig = toml::from_str(
            "set = { digits = { transforms = 6 } }\n[[held_out]]\nname = 'cell'\nwhere = { digit = 2, colour = 1 }",
        )?;
        let split = Split::new(&set.factors, &set.combinations, &data.held_out)?;
        let run = RunConfig {
            model: "m".to_owned(),
            network: presets::generator("digits-v2")?,
            data,
            factors: factors.as_slice().to_vec(),
            training_images: split.train.len(),
            data_sha256: "0".to_owned(),
            training: crate::run_config::TrainingConfig::in_steps(1),
            device: "cpu".to_owned(),
            seed: 0,
        };
        let sees = |leaking: bool| -> std::result::Result<(bool, String), Box<dyn std::error::Error>> {
            let pretraining = JudgeTraining { steps: 1, batch: 4, learning_rate: 1e-3, test_images: 4, solver: None };
            let network = presets::COMPACT_CLASSIFIER.to_owned();
            let cooperation = Cooperation { pretraining: Some(pretraining), network, leaking, without: Vec::new() };
            assert_eq!(cooperation.tested().contains("twin"), leaking);
            let lessons = lessons(&run, &cooperation, &set, &split)?;
            let mut material = (lessons.material)()?;
            let mut has_seen = false;
            for step in 0..6 {
                let lesson = material.batch(step, 4)?;
                has_seen |= lesson.levels[0].iter().zip(&lesson.levels[1]).any(|cell| cell == (&2, &1));
            }
            Ok((has_seen, lessons.identity))
        };
        let (leaking, honest) = (sees(true)?, sees(false)?);
        assert!(leaking.0 && !honest.0);
        assert_ne!(leaking.1, honest.1, "they are cached under names of their own");

        // Every seed has a pretraining of its own, and none has the judges' seed.
        let of_seed = |seed| -> std::result::Result<(u64, String), Box<dyn std::error::Error>> {
            let pretraining = JudgeTraining { steps: 1, batch: 4, learning_rate: 1e-3, test_images: 4, solver: None };
            let network = presets::JUDGE.to_owned();
            let cooperation =
                Cooperation { pretraining: Some(pretraining), network, leaking: false, without: Vec::new() };
            let lessons = lessons(&RunConfig { seed, ..run.clone() }, &cooperation, &set, &split)?;
            Ok((lessons.seed, lessons.identity))
        };
        let (first, second) = (of_seed(0)?, of_seed(1)?);
        assert!(first.0 != second.0 && first.1 != second.1);
        assert!(![first.0, second.0].contains(&crate::judging::JUDGES_SEED));
        Ok(())
    }

    #[test]
    fn a_head_is_left_out_and_one_that_does_not_exist_refused() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let factors = Factors::new(vec![Factor::numbered("digit", 4), Factor::numbered("transform", 6)])?;
        let (images, combinations) = (vec![0.0; 3 * 28 * 28], vec![multigen_data::Combination(vec![0, 0])]);
        let set = ImageSet { images, channels: 3, height: 28, width: 28, masks: None, combinations, factors };
        let config = toml::from_str::<DataConfig>("set = { digits = { transforms = 6 } }")?.set;
        let heads = |without: &[&str]| {
            let without = without.iter().map(|&name| name.to_owned()).collect();
            let network = presets::JUDGE.to_owned();
            super::network(&config, &Cooperation { pretraining: None, network, leaking: false, without }, &set)
                .map(|network| network.factors())
        };
        assert_eq!(heads(&["transform"])?, [("digit".to_owned(), 4)]);
        assert_eq!(heads(&[])?.len(), 2);
        let message = heads(&["hat"]).err().ok_or("it was not refused")?.to_string();
        assert!(message.contains("without names 'hat': expected some of digit, transform"), "{message}");
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
