//! The `operator` generator: a factor is not concatenated, it acts (SPEC §4, ours).
//!
//! The content factors (digit and style) are drawn once, as a one-channel *canonical image*; every other factor acts on
//! it. A combination that was never seen is then a known content under a known action.
//!
//! ```text
//! content one-hots → branches → code z ─(latent: z·A_t)→ decoder → canonical image
//!                                  ─(attention or affine: pixels moved by level t)→ ─(colour: ⊗ v_c)→ image
//! ```
//!
//! Three kinds of action for the spatial factor, all learned:
//! - *latent*: a k×k matrix per level on the code, near the identity at the start;
//! - *attention*: output pixel p is Σ_q softmax(L_t)\[p, q\]·canonical\[q\], one matrix of logits per level;
//! - *affine*: a spatial transformer with a bank of 16 maps per level and a softmax gate over them. The bank starts as
//!   eight turns, mirrored or not, all turned by a further 0.2 rad so that none is right from the start. Maps learn at
//!   three times the rate, gates at fifty (a deviation from SPEC §4, measured in docs/operator.md).
//!
//! No kind is told which transform a level is; the affine kind is told that transforms are affine.

use candle_core::{Device, Tensor};
use multigen_ops::{self as ops, timing::section};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::activation::Activated;
use crate::concatenating::{Branch, BranchLayers, Decoder, DecoderConfig, FeatureMap, FillingRules, upsampled_size};
use crate::layers::Upsampling;
use crate::{Activation, Drawn, Error, Filling, LevelTable, Multipliers, Params, Result};

/// How the spatial factor acts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// A k×k matrix per level on the code.
    Latent {
        /// Width k of the code.
        k: usize,
    },
    /// A softmax mixture of the canonical image's positions per output position.
    Attention,
    /// A gated bank of affine maps of the canonical image.
    Affine {
        /// Where the bank starts.
        bank: Bank,
    },
}

/// The first values of a bank of affine maps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bank {
    /// Eight turns × mirrored or not, all turned by 0.2 rad: 16 maps.
    Turns,
    /// This many maps with Gaussian entries (σ = 0.7), nothing known of rotations.
    Random {
        /// How many maps.
        maps: usize,
    },
}

/// A factor that acts, with its number of levels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActingFactor {
    /// The factor's name.
    pub factor: String,
    /// How many levels it has.
    pub levels: usize,
}

/// The description of an operator generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorConfig {
    /// The content factors; they come first in the order of factors.
    pub content: Vec<Branch>,
    /// Then the factor that is a colour vector per level.
    pub colour: ActingFactor,
    /// Then the factor that moves pixels (or acts on the code).
    pub spatial: ActingFactor,
    /// How it acts.
    pub action: ActionKind,
    /// Widths of the layers between code and feature map.
    pub hidden: Vec<usize>,
    /// The feature map.
    pub map: FeatureMap,
    /// Transposed convolutions; the last has one channel, the canonical image.
    pub upsampling: Vec<Upsampling>,
    /// Height and width of the images that are drawn; the canonical image of the affine kind may be finer.
    pub size: usize,
}

impl OperatorConfig {
    /// Size of the image, checked layer by layer.
    ///
    /// # Errors
    /// When the description is impossible.
    pub fn image_size(&self, network: &str) -> Result<usize> {
        let wrong = |problem: &str| Error::Description { network: network.to_owned(), problem: problem.to_owned() };
        if self.content.is_empty() {
            return Err(wrong("no content factor: expected at least one"));
        }
        if self.upsampling.last().is_some_and(|layer| layer.channels != 1) {
            return Err(wrong("the last upsampling layer must have one channel, the canonical image"));
        }
        if matches!(self.action, ActionKind::Latent { k: 0 } | ActionKind::Affine { bank: Bank::Random { maps: 0 } }) {
            return Err(wrong("the action needs at least one map or code entry"));
        }
        let canonical = upsampled_size(network, self.map, &self.upsampling)?;
        if self.size == 0 || (canonical != self.size && !matches!(self.action, ActionKind::Affine { .. })) {
            return Err(Error::Description {
                network: network.to_owned(),
                problem: format!(
                    "the canonical image has {canonical}×{canonical} pixels, the image {0}×{0}: only the affine kind resamples",
                    self.size
                ),
            });
        }
        Ok(self.size)
    }
}

#[derive(Debug)]
enum Action {
    Latent(Tensor),                         // [levels, k, k]
    Attention(Tensor),                      // [levels, pixels, pixels] logits
    Affine { maps: Tensor, gates: Tensor }, // [levels, bank, 6] and [levels, bank] logits
}

/// An operator generator with its parameters in a [`Params`].
#[derive(Debug)]
pub struct Operator {
    branches: Vec<BranchLayers>,
    to_code: Option<crate::layers::Linear>,
    decoder: Decoder,
    action: Action,
    colours: Tensor, // [levels, 3]
    size: usize,
}

const N_COLOUR_CHANNELS: usize = 3;

/// Maps (and the attention's logits) learn at three times the rate (SPEC §4).
const MAP_RATE: Multipliers = Multipliers { learning_rate: 3.0, decay: 1.0 };

/// Gates learn at fifty times the rate. SPEC §4 has three: but Adam moves a logit by the rate per step, and a gate closes
/// after a distance of five or more, so at three times the rate the bank stays a blur for thousands of steps.
const GATE_RATE: Multipliers = Multipliers { learning_rate: 50.0, decay: 1.0 };

/// Colours learn at five times the rate: they have half a unit to go from their first values, and every image waits.
const COLOUR_RATE: Multipliers = Multipliers { learning_rate: 5.0, decay: 1.0 };

impl Operator {
    /// Draws the parameters.
    ///
    /// # Errors
    /// When the description is impossible.
    pub fn build(params: &mut Params, network: &str, config: &OperatorConfig, rng: &mut impl Rng) -> Result<Self> {
        let size = config.image_size(network)?;
        let branches = config
            .content
            .iter()
            .map(|branch| BranchLayers::build(params, branch, Activation::Prelu, FillingRules::Plain, rng))
            .collect::<Result<Vec<_>>>()?;
        let concatenated: usize = config.content.iter().map(|branch| branch.fc2).sum();
        let levels = config.spatial.levels;
        let plain = Multipliers::default();
        let (action, to_code, n_in) = match config.action {
            ActionKind::Latent { k } => {
                let matrices =
                    params.create("latent.matrices", &[levels, k, k], Filling::NearIdentity(0.02), plain, rng)?;
                let to_code =
                    crate::layers::Linear::build(params, "to_code", (concatenated, k), Default::default(), rng)?;
                (Action::Latent(matrices), Some(to_code), k)
            }
            ActionKind::Attention => {
                let logits = params.create(
                    "attention.logits",
                    &[levels, size * size, size * size],
                    Filling::Gaussian(0.01),
                    MAP_RATE,
                    rng,
                )?;
                (Action::Attention(logits), None, concatenated)
            }
            ActionKind::Affine { bank } => {
                let (start, n_maps) = bank_start(bank, rng);
                let start: Vec<f32> = match bank {
                    Bank::Turns => start.repeat(levels),
                    // A random bank is drawn anew for every level.
                    Bank::Random { .. } => {
                        let mut all = start;
                        for _ in 1..levels {
                            all.extend(bank_start(bank, rng).0);
                        }
                        all
                    }
                };
                let start = Tensor::from_vec(start, (levels, n_maps, 6), params.device())?;
                let maps = params.insert("affine.maps", start, MAP_RATE)?;
                let gates = params.create("affine.gates", &[levels, n_maps], Filling::Constant(0.0), GATE_RATE, rng)?;
                (Action::Affine { maps, gates }, None, concatenated)
            }
        };
        let decoder = DecoderConfig {
            n_in,
            hidden: &config.hidden,
            map: config.map,
            upsampling: &config.upsampling,
            activation: Activation::Prelu,
            last: Activation::Linear,
            filling: FillingRules::Plain,
        };
        let decoder = Decoder::build(params, &decoder, rng)?;
        let shape = [config.colour.levels, N_COLOUR_CHANNELS];
        let colours: Vec<f32> =
            (0..shape[0] * shape[1]).map(|_| 0.25 + 0.5 * rand::RngExt::random::<f32>(rng)).collect();
        let colours = params.insert("colours", Tensor::from_vec(colours, &shape, params.device())?, COLOUR_RATE)?;
        Ok(Self { branches, to_code, decoder, action, colours, size })
    }

    /// Draws a batch: every content once, every (content, spatial level) pair once, then the colours.
    ///
    /// # Shapes
    /// `[n]` levels per factor → images `[n, 3, size, size]`.
    pub(crate) fn forward(&self, levels: &LevelTable, device: &Device) -> Result<Drawn> {
        let n_content = self.branches.len();
        let content: Vec<usize> = (0..n_content).collect();
        let spatial = n_content + 1;
        let n_pixels = self.size * self.size;
        let (first_rows, content_of) = levels.distinct(&content);
        let n_contents = first_rows.len();
        let codes = self
            .branches
            .iter()
            .enumerate()
            .map(|(factor, branch)| {
                let column: Vec<u32> = first_rows.iter().map(|&row| levels.column(factor)[row]).collect();
                Ok(branch.forward(device)?.index_select(&Tensor::new(column, device)?, 0)?) // [u, fc2]
            })
            .collect::<Result<Vec<_>>>()?;
        let code = Tensor::cat(&codes, 1)?; // [u, Σ fc2]

        let moved = match &self.action {
            Action::Latent(matrices) => {
                let code = match &self.to_code {
                    Some(to_code) => to_code.forward(&code, &Activated::Linear)?, // [u, k]
                    None => code,
                };
                let (pair_rows, pair_of) =
                    levels.distinct(&content.iter().copied().chain([spatial]).collect::<Vec<_>>());
                let z = section(format_args!("action"), &code, |code| -> Result<Tensor> {
                    let n_levels = matrices.dim(0)?;
                    let acted = (0..n_levels)
                        .map(|level| Ok(code.matmul(&matrices.get(level)?)?)) // [u, k]
                        .collect::<Result<Vec<_>>>()?;
                    let acted = Tensor::cat(&acted, 0)?; // [levels·u, k]
                    let index: Vec<u32> = pair_rows
                        .iter()
                        .map(|&row| levels.column(spatial)[row] * n_contents as u32 + content_of[row])
                        .collect();
                    Ok(acted.index_select(&Tensor::new(index, device)?, 0)?) // [pairs, k]
                })?;
                let drawn = self.decoder.forward(&z)?.reshape((pair_rows.len(), n_pixels))?; // [pairs, p]
                drawn.index_select(&Tensor::new(pair_of, device)?, 0)? // [n, p]
            }
            Action::Attention(logits) => {
                let canonical = self.decoder.forward(&code)?.reshape((n_contents, n_pixels))?; // [u, p]
                section(format_args!("action"), &canonical, |canonical| {
                    let weights = candle_nn::ops::softmax(logits, 2)?; // [levels, p, q]
                    let moved = (0..logits.dim(0)?)
                        .map(|level| Ok(ops::linear(canonical, &weights.get(level)?, None)?)) // [u, p]
                        .collect::<Result<Vec<_>>>()?;
                    self.pick(&Tensor::cat(&moved, 0)?, levels, spatial, &content_of, n_contents) // [n, p]
                })?
            }
            Action::Affine { maps, gates } => {
                let canonical = self.decoder.forward(&code)?.squeeze(1)?; // [u, s, s]
                section(format_args!("action"), &canonical, |canonical| {
                    let gates = candle_nn::ops::softmax(gates, 1)?; // [levels, bank]
                    let moved = ops::affine_sample(canonical, maps, &gates, self.size)?; // [levels, u, h, w]
                    let moved = moved.reshape((moved.dim(0)? * n_contents, n_pixels))?; // [levels·u, p]
                    self.pick(&moved, levels, spatial, &content_of, n_contents) // [n, p]
                })?
            }
        };
        let colours = self.colours.index_select(&levels.indices(n_content, device)?, 0)?; // [n, 3]
        self.coloured(&moved, &colours)
    }

    /// Draws mixtures of levels: contents from mixed codes, and of what the levels of a factor do the weighted sum.
    ///
    /// # Shapes
    /// `[n, levels]` per factor → images `[n, 3, size, size]`.
    pub(crate) fn forward_mixed(&self, codes: &[Tensor]) -> Result<Drawn> {
        let n_content = self.branches.len();
        let (colour, spatial) = (&codes[n_content], &codes[n_content + 1]);
        let contents = self.branches.iter().zip(codes).map(|(branch, codes)| branch.forward_mixed(codes));
        let code = Tensor::cat(&contents.collect::<Result<Vec<_>>>()?, 1)?; // [n, Σ fc2]
        let (n, n_pixels) = (code.dim(0)?, self.size * self.size);
        let mixed = |of_level: &[Tensor]| -> Result<Tensor> {
            let weights = spatial.t()?.unsqueeze(2)?; // [levels, n, 1]
            Ok(Tensor::stack(of_level, 0)?.broadcast_mul(&weights)?.sum(0)?) // [n, …]
        };
        let moved = match &self.action {
            Action::Latent(matrices) => {
                let code = match &self.to_code {
                    Some(to_code) => to_code.forward(&code, &Activated::Linear)?, // [n, k]
                    None => code,
                };
                let acted = (0..matrices.dim(0)?).map(|level| Ok(code.matmul(&matrices.get(level)?)?));
                self.decoder.forward(&mixed(&acted.collect::<Result<Vec<_>>>()?)?)?.reshape((n, n_pixels))?
            }
            Action::Attention(logits) => {
                let canonical = self.decoder.forward(&code)?.reshape((n, n_pixels))?; // [n, p]
                let weights = candle_nn::ops::softmax(logits, 2)?; // [levels, p, q]
                let moved = (0..logits.dim(0)?).map(|level| Ok(ops::linear(&canonical, &weights.get(level)?, None)?));
                mixed(&moved.collect::<Result<Vec<_>>>()?)?
            }
            Action::Affine { maps, gates } => {
                let canonical = self.decoder.forward(&code)?.squeeze(1)?; // [n, s, s]
                let gates = candle_nn::ops::softmax(gates, 1)?; // [levels, bank]
                let moved = ops::affine_sample(&canonical, maps, &gates, self.size)?; // [levels, n, h, w]
                let moved = (0..moved.dim(0)?).map(|level| Ok(moved.get(level)?.reshape((n, n_pixels))?));
                mixed(&moved.collect::<Result<Vec<_>>>()?)?
            }
        };
        self.coloured(&moved, &colour.matmul(&self.colours)?)
    }

    /// Images `[n, 3, size, size]` of grey ones `[n, p]` and colours `[n, 3]`.
    fn coloured(&self, grey: &Tensor, colours: &Tensor) -> Result<Drawn> {
        let images = grey.unsqueeze(1)?.broadcast_mul(&colours.unsqueeze(2)?)?; // [n, 3, p]
        let images = images.reshape((grey.dim(0)?, N_COLOUR_CHANNELS, self.size, self.size))?;
        Ok(Drawn { images, mask_logits: None })
    }

    /// Row (level, content) of `[levels·u, p]` for each image, `[n, p]`.
    fn pick(
        &self,
        moved: &Tensor,
        levels: &LevelTable,
        spatial: usize,
        content_of: &[u32],
        n_contents: usize,
    ) -> Result<Tensor> {
        let index: Vec<u32> = levels
            .column(spatial)
            .iter()
            .zip(content_of)
            .map(|(level, content)| level * n_contents as u32 + content)
            .collect();
        Ok(moved.index_select(&Tensor::new(index, moved.device())?, 0)?)
    }
}

/// A bank's first maps, row-major `[maps, 2, 3]`, and their number.
fn bank_start(bank: Bank, rng: &mut impl Rng) -> (Vec<f32>, usize) {
    match bank {
        Bank::Turns => {
            let mut maps = Vec::with_capacity(16 * 6);
            for mirror in [1.0f64, -1.0] {
                for turn in 0..8 {
                    let angle = f64::from(turn) * std::f64::consts::FRAC_PI_4 + 0.2;
                    let (sin, cos) = angle.sin_cos();
                    maps.extend([cos * mirror, -sin, 0.0, sin * mirror, cos, 0.0].map(|v| v as f32));
                }
            }
            (maps, 16)
        }
        Bank::Random { maps } => {
            let normal = |rng: &mut dyn FnMut() -> f64| {
                let (u, v) = (1.0 - rng(), rng());
                (0.7 * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
            };
            let mut uniform = || rand::RngExt::random::<f64>(rng);
            let values = (0..maps * 6).map(|i| if i % 3 == 2 { 0.0 } else { normal(&mut uniform) }).collect();
            (values, maps)
        }
    }
}
