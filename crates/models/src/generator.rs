//! One type for every generator: its description, its parameters, and drawing.

use std::path::Path;

use candle_core::{Device, Tensor};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::concatenating::{Concatenating, ConcatenatingConfig};
use crate::operator::{Operator, OperatorConfig};
use crate::portrait::{self, Portrait, PortraitConfig, Stretch};
use crate::{Error, LevelTable, Params, Result};

/// The description of a generator. [`crate::presets`] holds the named ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GeneratorConfig {
    /// Branches concatenated, as in the research.
    Concatenating(ConcatenatingConfig),
    /// Factors that act, ours.
    Operator(OperatorConfig),
    /// Portraits that are redrawn and moved, ours.
    Portrait(PortraitConfig),
}

impl GeneratorConfig {
    /// Factors and their numbers of levels, in the order in which [`Generator::forward`] takes them.
    pub fn factors(&self) -> Vec<(String, usize)> {
        let branch = |b: &crate::concatenating::Branch| (b.factor.clone(), b.levels);
        match self {
            Self::Concatenating(config) => config.branches.iter().map(branch).collect(),
            Self::Operator(config) => config.factors.iter().map(|f| (f.factor.clone(), f.levels)).collect(),
            Self::Portrait(config) => config.factors.iter().map(|f| (f.factor.clone(), f.levels)).collect(),
        }
    }

    /// Height and width of the images.
    ///
    /// # Errors
    /// When the description is impossible.
    pub fn image_size(&self, network: &str) -> Result<usize> {
        match self {
            Self::Concatenating(config) => config.image_size(network),
            Self::Operator(config) => config.image_size(network),
            Self::Portrait(config) => config.image_size(network),
        }
    }

    /// Multiplications of one image's forward pass by layer, under the layers' names in
    /// [`multigen_ops::timing`]: convolutions counted directly, pixel by pixel and tap by tap, and the first layer of a
    /// branch as the dense product that PyTorch makes of it. Biases, activations and losses are not counted. None where
    /// contents are drawn once per batch, so that no image has a count of its own.
    pub fn multiplications(&self) -> Option<Vec<(String, u64)>> {
        match self {
            Self::Concatenating(config) => Some(config.multiplications()),
            Self::Operator(_) | Self::Portrait(_) => None,
        }
    }

    /// Whether the network predicts a segmentation mask.
    pub fn has_mask_head(&self) -> bool {
        matches!(self, Self::Concatenating(config) if config.mask_head)
    }

    /// What a reader of a report must know of what this network is told, in one sentence.
    pub fn what_it_is_told(&self) -> String {
        match self {
            Self::Concatenating(_) => "levels as one-hot vectors, nothing else".to_owned(),
            Self::Operator(config) => config.what_it_is_told(),
            Self::Portrait(config) => config.what_it_is_told(),
        }
    }
}

/// What a generator draws.
#[derive(Debug)]
pub struct Drawn {
    /// Images `[n, 3, h, w]`, not clamped.
    pub images: Tensor,
    /// Logits of background and foreground `[n, 2, h, w]`, from a network with a mask head.
    pub mask_logits: Option<Tensor>,
    /// Of a generator that teaches itself by what it remembers: images `[n, 3, h, w]` that training compares `images`
    /// with, instead of the batch's.
    pub instead_of_truth: Option<Tensor>,
}

#[derive(Debug)]
enum Layers {
    Concatenating(Concatenating),
    Operator(Operator),
    Portrait(Portrait),
}

/// A generator with its parameters.
#[derive(Debug)]
pub struct Generator {
    name: String,
    factors: Vec<(String, usize)>,
    params: Params,
    layers: Layers,
}

impl Generator {
    /// Builds the network and draws its parameters from `rng`.
    ///
    /// # Errors
    /// When the description is impossible.
    pub fn new(name: &str, config: &GeneratorConfig, device: &Device, rng: &mut impl Rng) -> Result<Self> {
        let mut params = Params::new(device);
        let layers = match config {
            GeneratorConfig::Concatenating(config) => {
                Layers::Concatenating(Concatenating::build(&mut params, name, config, rng)?)
            }
            GeneratorConfig::Operator(config) => Layers::Operator(Operator::build(&mut params, name, config, rng)?),
            GeneratorConfig::Portrait(config) => Layers::Portrait(Portrait::build(&mut params, name, config, rng)?),
        };
        Ok(Self { name: name.to_owned(), factors: config.factors(), params, layers })
    }

    /// Its parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Draws a batch of combinations.
    ///
    /// # Errors
    /// When a level does not exist or an operator fails.
    pub fn forward(&self, levels: &LevelTable) -> Result<Drawn> {
        levels.check(&self.name, &self.factors)?;
        match &self.layers {
            Layers::Concatenating(net) => net.forward(levels, self.params.device()),
            Layers::Operator(net) => net.forward(levels, self.params.device()),
            Layers::Portrait(net) => net.forward(levels, self.params.device()),
        }
    }

    /// The first steps, of `steps` in all, in which a generator learns to remember what it later draws from. The learning
    /// rate's schedule runs once over them and once over the rest.
    pub fn remembering_steps(&self, steps: u64) -> u64 {
        match &self.layers {
            Layers::Portrait(net) => net.remembering_steps(steps),
            _ => 0,
        }
    }

    /// Draws what training looks at in `step` of `steps`: what [`Self::forward`] draws, or what the generator remembers.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn forward_to_learn(&self, levels: &LevelTable, step: u64, steps: u64) -> Result<Drawn> {
        match &self.layers {
            Layers::Portrait(net) => {
                levels.check(&self.name, &self.factors)?;
                net.forward_to_learn(levels, self.stretch(step, steps), self.params.device())
            }
            _ => self.forward(levels),
        }
    }

    /// Whether a parameter learns in `step` of `steps`.
    pub fn learns(&self, parameter: &str, step: u64, steps: u64) -> bool {
        match &self.layers {
            Layers::Portrait(_) => portrait::learns(parameter, self.stretch(step, steps)),
            _ => true,
        }
    }

    fn stretch(&self, step: u64, steps: u64) -> Stretch {
        if step < self.remembering_steps(steps) { Stretch::Remembering } else { Stretch::Redrawing }
    }

    /// Draws mixtures: rows of weights of each factor's levels instead of a level, one half and one half for example. A
    /// row with one 1 draws what [`Self::forward`] draws of that level.
    ///
    /// # Shapes
    /// `codes` `[n, levels]` per factor, in the network's order → as [`Self::forward`].
    ///
    /// # Errors
    /// When the codes are not one table per factor, of as many columns as it has levels and of equally many rows.
    pub fn forward_mixed(&self, codes: &[Tensor]) -> Result<Drawn> {
        let n = codes.first().and_then(|code| code.dims().first().copied()).unwrap_or(0);
        let fits = |((_, levels), code): (&(String, usize), &Tensor)| n > 0 && code.dims() == [n, *levels];
        if codes.len() != self.factors.len() || !self.factors.iter().zip(codes).all(fits) {
            let found: Vec<&[usize]> = codes.iter().map(Tensor::dims).collect();
            let expected: Vec<String> = self.factors.iter().map(|(name, n)| format!("{name} [n, {n}]")).collect();
            let problem = format!("mixed codes {found:?}, expected {}", expected.join(", "));
            return Err(Error::Description { network: self.name.clone(), problem });
        }
        match &self.layers {
            Layers::Concatenating(net) => net.forward_mixed(codes),
            Layers::Operator(net) => net.forward_mixed(codes),
            Layers::Portrait(net) => net.forward_mixed(codes),
        }
    }

    /// Replaces the parameters by those of a safetensors file.
    ///
    /// # Errors
    /// When the file cannot be read or belongs to another network.
    pub fn load_file(&self, path: &Path) -> Result<()> {
        self.params.load_file(path)
    }
}
