//! One type for every network that reads labels off images: the judge, and the research's classifier.

use std::path::Path;

use candle_core::Tensor;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::alexnet::{AlexNet, AlexNetConfig, Dropout};
use crate::judge::{Judge, JudgeConfig};
use crate::{Params, Result};

/// The description of a classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClassifierConfig {
    /// The judge's network.
    Judge(JudgeConfig),
    /// The research's multi-task AlexNet. [`crate::presets`] holds the named ones.
    AlexNet(AlexNetConfig),
}

impl ClassifierConfig {
    /// The factors that it reads with their numbers of levels, in the order of [`Classifier::forward`]'s logits.
    pub fn factors(&self) -> Vec<(String, usize)> {
        match self {
            Self::Judge(config) => config.heads.clone(),
            Self::AlexNet(config) => config.factors(),
        }
    }

    /// Height and width of the images.
    pub fn image_size(&self) -> usize {
        match self {
            Self::Judge(config) => config.image_size,
            Self::AlexNet(config) => config.image_size,
        }
    }
}

#[derive(Debug)]
enum Layers {
    Judge(Judge),
    AlexNet(AlexNet),
}

/// A classifier with its parameters.
#[derive(Debug)]
pub struct Classifier {
    factors: Vec<(String, usize)>,
    params: Params,
    layers: Layers,
}

impl Classifier {
    /// Builds the network in an empty store and draws its parameters from `rng`. In a [`Params::frozen`] one it never
    /// learns.
    ///
    /// # Errors
    /// When the description is impossible.
    pub fn new(name: &str, config: &ClassifierConfig, mut params: Params, rng: &mut impl Rng) -> Result<Self> {
        let layers = match config {
            ClassifierConfig::Judge(config) => Layers::Judge(Judge::build(&mut params, config, rng)?),
            ClassifierConfig::AlexNet(config) => Layers::AlexNet(AlexNet::build(&mut params, name, config, rng)?),
        };
        Ok(Self { factors: config.factors(), params, layers })
    }

    /// Its parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The factors that it reads, with their numbers of levels.
    pub fn factors(&self) -> &[(String, usize)] {
        &self.factors
    }

    /// Reads images. A judge has nothing to drop.
    ///
    /// # Shapes
    /// `[n, 3, h, w]` → for each factor its name and logits `[n, levels]`.
    ///
    /// # Errors
    /// When the images have another size.
    pub fn forward(&self, images: &Tensor, dropout: Dropout) -> Result<Vec<(String, Tensor)>> {
        let logits = match &self.layers {
            Layers::Judge(net) => net.forward(images)?,
            Layers::AlexNet(net) => net.forward(images, dropout)?,
        };
        Ok(self.factors.iter().map(|(factor, _)| factor.clone()).zip(logits).collect())
    }

    /// Replaces the parameters by those of a safetensors file.
    ///
    /// # Errors
    /// When the file cannot be read or belongs to another network.
    pub fn load_file(&self, path: &Path) -> Result<()> {
        self.params.load_file(path)
    }
}
