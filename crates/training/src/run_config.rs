//! What one training run is: data, network, solver, seed; and the hash that names it.

use std::fmt::{self, Display, Formatter};

use multigen_data::sets::custom::CustomConfig;
use multigen_data::{Factor, HeldOut, Rule};
use multigen_models::GeneratorConfig;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::adversarial::Adversarial;
use crate::cooperation::Cooperation;
use crate::judging::Solver;
use crate::phases::{self, Phase};
use crate::schedule::Schedule;
use crate::{Error, Result};

/// The solver and what surrounds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Updates in all.
    pub steps: u64,
    /// Images per step.
    pub batch: usize,
    /// Base learning rate.
    pub learning_rate: f64,
    /// Adam's decay of the first moment.
    pub beta1: f64,
    /// Adam's decay of the second moment.
    pub beta2: f64,
    /// L2 weight decay, added to the gradient as Caffe does.
    pub weight_decay: f64,
    /// How the rate changes.
    pub schedule: Schedule,
    /// Weight of the reconstruction loss Σ(generated − truth)² / (2·batch).
    pub reconstruction_weight: f64,
    /// Weight of the mask head's mean per-pixel softmax loss.
    pub mask_weight: f64,
    /// Steps between two evaluations on samples of the training and the held-out sets.
    pub evaluate_every: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// How a generated image is compared with the true one.
    #[serde(default, skip_serializing_if = "Reconstruction::is_squared")]
    pub reconstruction: Reconstruction,
    /// A classifier that takes part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooperation: Option<Cooperation>,
    /// A discriminator that takes part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adversarial: Option<Adversarial>,
    /// When which term of the loss counts for how much; without phases the reconstruction alone, from first to last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
}

/// The reconstruction loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reconstruction {
    /// Σ (generated − truth)² / (2·batch), the research's.
    #[default]
    Squared,
    /// Σ |generated − truth| / batch.
    Absolute,
}

impl Reconstruction {
    /// Whether it is the research's: a solver without the field is written as it was before there was one, so that its hash stays.
    fn is_squared(&self) -> bool {
        *self == Self::Squared
    }
}

impl TrainingConfig {
    /// Whether a classifier learns in some phase.
    pub(crate) fn classifier_learns(&self) -> bool {
        self.phases.iter().any(|phase| phase.classifier_learns)
    }

    /// What takes part in a run beside the generator, in sentences for reports; nothing of a generator alone.
    pub(crate) fn describe_partners(&self) -> String {
        let mut sentences = Vec::new();
        if self.reconstruction == Reconstruction::Absolute {
            sentences.push("The reconstruction loss is the absolute error.".to_owned());
        }
        sentences.extend(self.cooperation.as_ref().map(Cooperation::describe));
        sentences.extend(self.adversarial.as_ref().map(Adversarial::describe));
        if !self.phases.is_empty() {
            sentences.push(format!("Phases: {}.", phases::describe(&self.phases)));
        }
        sentences.join(" ")
    }

    /// Every rule that one field sets for another.
    pub(crate) fn validate(&self, file: &str) -> Result<()> {
        let wrong = |problem: String| Err(Error::config(file, problem));
        let Self { steps, batch, learning_rate, beta1, beta2, weight_decay, ref schedule, .. } = *self;
        let schedule = schedule.clone();
        Solver { steps, batch, learning_rate, beta1, beta2, weight_decay, schedule }.validate(file)?;
        for (name, value) in [("evaluate_every", self.evaluate_every), ("checkpoint_every", self.checkpoint_every)] {
            if value == 0 {
                return wrong(format!("{name} = 0: expected at least 1"));
            }
        }
        for (name, value) in [("reconstruction_weight", self.reconstruction_weight), ("mask_weight", self.mask_weight)]
        {
            if !(value.is_finite() && value >= 0.0) {
                return wrong(format!("{name} = {value}: expected a number of at least 0"));
            }
        }
        phases::validate(&self.phases, file)?;
        for (term, is_there, counts) in [
            ("cooperation", self.cooperation.is_some(), self.phases.iter().any(|phase| phase.classification > 0.0)),
            ("adversarial", self.adversarial.is_some(), self.phases.iter().any(|phase| phase.adversarial > 0.0)),
        ] {
            match (is_there, counts) {
                (true, false) => return wrong(format!("{term} is set, but no phase gives its loss a weight above 0")),
                (false, true) => {
                    return wrong(format!("a phase gives the loss of {term} a weight, but {term} is not set"));
                }
                _ => {}
            }
        }
        if let Some(cooperation) = &self.cooperation {
            cooperation.validate(file)?;
        }
        if let Some(adversarial) = &self.adversarial {
            adversarial.validate(file)?;
        }
        if self.reconstruction_weight == 0.0 && self.mask_weight == 0.0 {
            return wrong("reconstruction_weight and mask_weight are both 0: nothing would be learned".to_owned());
        }
        Ok(())
    }
}

/// Which images, and which of them are held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The set.
    pub set: SetConfig,
    /// What training never sees.
    #[serde(default)]
    pub held_out: Vec<HeldOut>,
}

/// A set of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SetConfig {
    /// Coloured handwriting.
    Digits {
        /// Levels of the factor transform: 6, or 8 for all symmetries of the square.
        transforms: usize,
        /// What a style is. Written only where it is not the usual one, so that the hashes of earlier runs stay.
        #[serde(default, skip_serializing_if = "Styles::are_handwritten")]
        styles: Styles,
    },
    /// Faces: drawn ones, or photographs where the user has them.
    Faces {
        /// Which persons, emotions, sessions and transforms: one of the research's sets, as `kdef-3emo` or `mmi`.
        named: String,
        /// Pixels of a side.
        size: usize,
    },
    /// The user's own pictures: the table `[dataset]` of an experiment.
    Custom(CustomConfig),
}

/// What a style of digits is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Styles {
    /// Style k of a digit is its k-th image in MNIST's training order: not the same from digit to digit.
    #[default]
    Handwritten,
    /// Style k is one slant, thickness and aspect, the same for every digit: the set `digits-styled`.
    Consistent,
}

impl Styles {
    // What serde wants.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn are_handwritten(&self) -> bool {
        *self == Self::Handwritten
    }
}

impl SetConfig {
    /// Whether a factor can be read off an image: all but the session of faces, which differs from person to person, so that
    /// nothing in an image says which one it is. What a set of the user's own means by that word nobody knows.
    pub(crate) fn is_readable(&self, factor: &str) -> bool {
        factor != "session" || !matches!(self, Self::Faces { .. })
    }
}

impl Display for SetConfig {
    /// In a few words: `kdef-3emo at 71×71 pixels`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digits { transforms, styles: Styles::Handwritten } => write!(f, "digits in {transforms} transforms"),
            Self::Digits { transforms, styles: Styles::Consistent } => {
                write!(f, "digits-styled in {transforms} transforms")
            }
            Self::Faces { named, size } => write!(f, "{named} at {size}×{size} pixels"),
            Self::Custom(config) => config.table.display().fmt(f),
        }
    }
}

impl DataConfig {
    /// The data of one seed: shares of cells are drawn anew for each, so that an interval over seeds covers the draw.
    pub(crate) fn for_seed(&self, seed: u64) -> Self {
        let mut data = self.clone();
        for held_out in &mut data.held_out {
            match &mut held_out.rule {
                Rule::Share(share) => share.seed = share.seed.wrapping_add(seed),
                Rule::AllBut(all_but) => all_but.seed = all_but.seed.wrapping_add(seed),
                Rule::Where(_) | Rule::Listed(_) => {}
            }
        }
        data
    }
}

/// Everything that decides a run's bytes, but for the number of threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The model's name.
    pub model: String,
    /// Its network in full, so that a changed preset is another run.
    pub network: GeneratorConfig,
    /// The data.
    pub data: DataConfig,
    /// The factors that it has, with the names of their levels.
    pub factors: Vec<Factor>,
    /// Images that the run is trained on.
    pub training_images: usize,
    /// SHA-256 of the images, so that other files under the same names are another run.
    pub data_sha256: String,
    /// The solver.
    pub training: TrainingConfig,
    /// The device's kind (`cpu` or `cuda`): their sums differ in order.
    pub device: String,
    /// The seed.
    pub seed: u64,
}

impl RunConfig {
    /// Sixteen hexadecimal digits that name this configuration: whatever decides the run, and so not where the user's own
    /// pictures lie.
    ///
    /// # Errors
    /// When the configuration cannot be written as JSON.
    pub fn hash(&self) -> Result<String> {
        let mut named = self.clone();
        if let SetConfig::Custom(config) = &mut named.data.set {
            *config = config.without_places();
        }
        let json = serde_json::to_vec(&named).map_err(|e| Error::config(&self.model, e.to_string()))?;
        Ok(short_hash(&json))
    }
}

/// The first sixteen hexadecimal digits of the SHA-256 of `bytes`.
pub(crate) fn short_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
impl TrainingConfig {
    /// A solver for tests: this many steps of one image.
    pub(crate) fn in_steps(steps: u64) -> Self {
        Self {
            steps,
            batch: 1,
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.0,
            schedule: Schedule::Constant,
            reconstruction_weight: 1.0,
            mask_weight: 0.0,
            evaluate_every: 1,
            checkpoint_every: 1,
            reconstruction: Reconstruction::default(),
            cooperation: None,
            adversarial: None,
            phases: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use multigen_models::presets;

    use super::*;

    #[test]
    fn sets_without_places_are_hashed_as_they_are_written() {
        let training = TrainingConfig::in_steps(1);
        let config = |set: SetConfig| RunConfig {
            model: "digits-v2".to_owned(),
            network: presets::generator("digits-v2").unwrap(),
            data: DataConfig { set, held_out: Vec::new() },
            factors: vec![Factor::numbered("digit", 10)],
            training_images: 10,
            data_sha256: "0123".to_owned(),
            training: training.clone(),
            device: "cpu".to_owned(),
            seed: 0,
        };
        let written = |config: &RunConfig| short_hash(&serde_json::to_vec(config).unwrap());
        let digits = |styles| SetConfig::Digits { transforms: 6, styles };
        // Handwritten styles are not mentioned, so that runs keep the hashes that they had before there were others.
        assert_eq!(serde_json::to_string(&digits(Styles::Handwritten)).unwrap(), r#"{"digits":{"transforms":6}}"#);
        let styled = serde_json::to_string(&digits(Styles::Consistent)).unwrap();
        assert_eq!(styled, r#"{"digits":{"transforms":6,"styles":"consistent"}}"#);
        for set in [
            digits(Styles::Handwritten),
            digits(Styles::Consistent),
            SetConfig::Faces { named: "mmi".to_owned(), size: 71 },
        ] {
            let config = config(set);
            assert_eq!(config.hash().unwrap(), written(&config));
        }
        let own = |place: &str| config(SetConfig::Custom(CustomConfig::new(place, "labels.csv")));
        assert_eq!(own("here").hash().unwrap(), own("there").hash().unwrap());
        assert_ne!(own("here").hash().unwrap(), written(&own("here")));
    }
}
