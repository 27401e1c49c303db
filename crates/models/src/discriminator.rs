//! The adversarial discriminator: is this the true image of these labels, or a generated one?
//!
//! ```text
//! [n, 3, s, s] → conv 32 k5 s2 → conv 64 k3 s2 → conv 128 k3 s2 → fc 128 = h [n, 128]
//! score = w·h + b + Σ over factors ⟨e(level), h⟩ [n]
//! ```
//!
//! Conditional by projection (Miyato and Koyama, arXiv 1802.05637): every factor has a table of a vector per level, and
//! the inner product of the level's vector with the features is added to the score. So an image that looks true and is the image of
//! other labels is told from the true one. Leaky rectifiers of 0.2 follow all layers but the last. With spectral
//! normalisation every weight, the tables among them, is divided by its largest singular value. The research announced an
//! adversarial discriminator and published none: this network is ours.

use candle_core::Tensor;
use multigen_ops::Conv2dConfig;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::activation::Activated;
use crate::layers::{Conv2d, LayerFilling, Linear, of_norm_one};
use crate::{Error, Filling, LevelTable, Multipliers, Params, Result};

/// The description of a discriminator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscriminatorConfig {
    /// Height and width of the images.
    pub image_size: usize,
    /// The factors that condition it, with their numbers of levels.
    pub factors: Vec<(String, usize)>,
    /// Whether weights are divided by their spectral norm.
    pub spectral_norm: bool,
}

const NETWORK: &str = "discriminator";
const CHANNELS: [usize; 4] = [3, 32, 64, 128];
const KERNELS: [usize; 3] = [5, 3, 3];
/// Width of the features that the score is made of.
const WIDTH: usize = 128;
const SLOPE: f64 = 0.2;
const LEAKY: Activated = Activated::LeakyRelu(SLOPE);

/// A discriminator with its parameters. It scores images by [`Discriminator::acting`].
#[derive(Debug)]
pub struct Discriminator {
    config: DiscriminatorConfig,
    params: Params,
    layers: Layers,
}

/// A discriminator as it acts: its weights as they are now, divided by their norms once where the description says so,
/// however many images are scored.
#[derive(Debug)]
pub struct Acting<'a> {
    config: &'a DiscriminatorConfig,
    layers: Layers,
}

#[derive(Debug, Clone)]
struct Layers {
    convs: Vec<Conv2d>,
    fc: Linear,
    score: Linear,
    /// Per factor, a vector per level `[levels, WIDTH]`.
    tables: Vec<Tensor>,
}

impl Discriminator {
    /// Builds the network in an empty store and draws its parameters from `rng`.
    ///
    /// # Errors
    /// When images are smaller than 8×8.
    pub fn new(config: &DiscriminatorConfig, mut params: Params, rng: &mut impl Rng) -> Result<Self> {
        if config.image_size < 8 {
            return Err(Error::Description {
                network: NETWORK.to_owned(),
                problem: format!("expected images of at least 8×8, found {}", config.image_size),
            });
        }
        let mut size = config.image_size;
        let mut convs = Vec::new();
        for (i, (&kernel, pair)) in KERNELS.iter().zip(CHANNELS.windows(2)).enumerate() {
            let geometry = Conv2dConfig { stride: 2, padding: kernel / 2 };
            let shape = [pair[1], pair[0], kernel, kernel];
            let name = format!("conv{}", i + 1);
            convs.push(Conv2d::build(&mut params, &name, shape, geometry, LayerFilling::default(), rng)?);
            size = size.div_ceil(2);
        }
        let fc = Linear::build(&mut params, "fc", (CHANNELS[3] * size * size, WIDTH), LayerFilling::default(), rng)?;
        let score = Linear::build(&mut params, "score", (WIDTH, 1), LayerFilling::default(), rng)?;
        let mut tables = Vec::new();
        for (factor, levels) in &config.factors {
            let name = format!("levels.{factor}.weight");
            tables.push(params.create(&name, &[*levels, WIDTH], Filling::Xavier, Multipliers::default(), rng)?);
        }
        Ok(Self { config: config.clone(), params, layers: Layers { convs, fc, score, tables } })
    }

    /// Its parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The network as it acts, until its weights change.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn acting(&self) -> Result<Acting<'_>> {
        let Layers { convs, fc, score, tables } = &self.layers;
        let layers = match self.config.spectral_norm {
            false => self.layers.clone(),
            true => Layers {
                convs: convs.iter().map(Conv2d::of_norm_one).collect::<Result<_>>()?,
                fc: fc.of_norm_one()?,
                score: score.of_norm_one()?,
                tables: tables.iter().map(of_norm_one).collect::<Result<_>>()?,
            },
        };
        Ok(Acting { config: &self.config, layers })
    }
}

impl Acting<'_> {
    /// The same, but passing gradients on to its images alone and computing none for itself.
    pub fn frozen(&self) -> Self {
        let Layers { convs, fc, score, tables } = &self.layers;
        let layers = Layers {
            convs: convs.iter().map(Conv2d::frozen).collect(),
            fc: fc.frozen(),
            score: score.frozen(),
            tables: tables.iter().map(Tensor::detach).collect(),
        };
        Self { config: self.config, layers }
    }

    /// Scores images: high for what it takes for the true image of its labels.
    ///
    /// # Shapes
    /// `images` [n, 3, s, s], `levels` n rows of the description's factors → scores [n].
    ///
    /// # Errors
    /// When the images have another size, or a level does not exist.
    pub fn score(&self, images: &Tensor, levels: &LevelTable) -> Result<Tensor> {
        self.check(images, levels)?;
        let layers = &self.layers;
        let mut x = images.clone();
        for conv in &layers.convs {
            x = conv.forward(&x, &LEAKY)?; // [n, c, h/2, w/2]
        }
        let features = layers.fc.forward(&x.flatten_from(1)?, &LEAKY)?; // [n, WIDTH]
        let score = layers.score.forward(&features, &Activated::Linear)?.squeeze(1)?; // [n]
        layers.project(score, &features, levels)
    }

    /// The slope of the scores along a direction for every image, ⟨∇s(x), d⟩. It depends on the weights as the gradient does, so that a
    /// penalty on it needs no gradient of a gradient: a change is carried through the layers as their input is, without
    /// biases, and through a rectifier by the slope that it has there.
    ///
    /// # Shapes
    /// `images` and `directions` [n, 3, s, s], `levels` n rows → [n].
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn slope_along(&self, images: &Tensor, directions: &Tensor, levels: &LevelTable) -> Result<Tensor> {
        self.check(images, levels)?;
        let layers = &self.layers;
        let (mut x, mut change) = (images.clone(), directions.clone());
        for conv in &layers.convs {
            x = conv.forward(&x, &LEAKY)?.detach();
            change = (conv.tangent(&change)? * slopes(&x)?)?;
        }
        let features = layers.fc.forward(&x.flatten_from(1)?, &LEAKY)?.detach();
        let change = (layers.fc.tangent(&change.flatten_from(1)?)? * slopes(&features)?)?; // [n, WIDTH]
        let slope = layers.score.tangent(&change)?.squeeze(1)?; // [n]
        layers.project(slope, &change, levels)
    }

    fn check(&self, images: &Tensor, levels: &LevelTable) -> Result<()> {
        levels.check(NETWORK, &self.config.factors)?;
        let expected = [CHANNELS[0], self.config.image_size, self.config.image_size];
        match images.dims() {
            [n, image @ ..] if *n == levels.len() && *image == expected => Ok(()),
            found => Err(Error::Images { network: NETWORK.to_owned(), expected, found: found.to_vec() }),
        }
    }
}

impl Layers {
    /// Adds what the labels say of the features: `score` [n], `features` [n, WIDTH] → [n].
    fn project(&self, mut score: Tensor, features: &Tensor, levels: &LevelTable) -> Result<Tensor> {
        for (factor_idx, table) in self.tables.iter().enumerate() {
            let vectors = table.index_select(&levels.indices(factor_idx, features.device())?, 0)?; // [n, WIDTH]
            score = (score + (vectors * features)?.sum(1)?)?;
        }
        Ok(score)
    }
}

/// The slope of the leaky rectifier that gave these values, at each of them.
fn slopes(values: &Tensor) -> Result<Tensor> {
    let is_positive = values.gt(0.0)?;
    let steep = values.ones_like()?;
    Ok(is_positive.where_cond(&steep, &(&steep * SLOPE)?)?)
}
