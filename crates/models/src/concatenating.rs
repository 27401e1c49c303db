//! The research's generator: a branch of two fully connected layers per factor, concatenated, then fully connected
//! layers, a reshape, and transposed convolutions (paper §3.1; SPEC §4).
//!
//! ```text
//! one-hot [n, levels] → fc1 → fc2 ┐
//! one-hot [n, levels] → fc1 → fc2 ┼ cat → fc3 → (fc4) → fc5 → [n, c, h, w] → deconv … → image [n, 3, H, W]
//! ```
//!
//! A branch sees a one-hot, so it has only as many different outputs as its factor has levels: it is computed once per
//! level and gathered per image, which gives the same numbers for a fraction of the work.

use candle_core::{DType, Tensor};
use multigen_ops::Conv2dConfig;
use multigen_ops::timing::{section, section_of};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::activation::Activated;
use crate::layers::{Conv2d, ConvTranspose2d, LayerFilling, Linear, Upsampling};
use crate::{Activation, Drawn, Error, Filling, LevelTable, Multipliers, Params, Result};

/// One factor's branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// The factor's name.
    pub factor: String,
    /// How many levels it has.
    pub levels: usize,
    /// Width of the first layer.
    pub fc1: usize,
    /// Width of the second layer.
    pub fc2: usize,
}

/// The shape [channels, size, size] that the last fully connected layer is reshaped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureMap {
    /// Channels.
    pub channels: usize,
    /// Height and width.
    pub size: usize,
}

/// Which rules of SPEC §5 the first values and the multipliers follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FillingRules {
    /// Xavier weights, biases 0, everything learns and decays alike.
    Plain,
    /// digits-v1: fully connected biases start at 0.1 and learn twice as fast, deconvolution biases stay 0, the first
    /// layer of the digit branch starts Gaussian with σ = 1.
    DigitsV1,
    /// The 158-pixel generators: as plain, but the last transposed convolution does not decay.
    LastWithoutDecay,
}

/// The description of a concatenating generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcatenatingConfig {
    /// The factors in the order in which their branches are concatenated.
    pub branches: Vec<Branch>,
    /// Widths of the layers between the concatenation and the reshape (fc3, fc4).
    pub hidden: Vec<usize>,
    /// The last fully connected layer's output, reshaped.
    pub map: FeatureMap,
    /// The transposed convolutions.
    pub upsampling: Vec<Upsampling>,
    /// After every layer but the last.
    pub activation: Activation,
    /// After the last layer.
    pub last: Activation,
    /// Whether a 1×1 convolution on the image predicts a segmentation mask as well.
    pub mask_head: bool,
    /// First values and multipliers.
    pub filling: FillingRules,
}

impl ConcatenatingConfig {
    /// Size of the image that comes out, checked layer by layer.
    ///
    /// # Errors
    /// When there is no factor or no upsampling, a width is zero, or a layer's output would be empty.
    pub fn image_size(&self, network: &str) -> Result<usize> {
        let wrong = |problem: String| Error::Description { network: network.to_owned(), problem };
        if self.branches.is_empty() {
            return Err(wrong("no factor: expected at least one branch".to_owned()));
        }
        if let Some(b) = self.branches.iter().find(|b| b.levels == 0 || b.fc1 == 0 || b.fc2 == 0) {
            return Err(wrong(format!("branch {}: levels and widths must be at least 1", b.factor)));
        }
        if let Some(i) = self.hidden.iter().position(|width| *width == 0) {
            return Err(wrong(format!("fc{}: width 0, expected at least 1", i + 3)));
        }
        upsampled_size(network, self.map, &self.upsampling)
    }

    /// Multiplications of one image's forward pass by layer, as [`crate::GeneratorConfig::multiplications`] counts them.
    pub(crate) fn multiplications(&self) -> Vec<(String, u64)> {
        let mut counts: Vec<(String, usize)> = self
            .branches
            .iter()
            .map(|b| (format!("branches.{}", b.factor), b.levels * b.fc1 + b.fc1 * b.fc2))
            .collect();
        let mut width = self.branches.iter().map(|b| b.fc2).sum();
        for (&next, i) in self.hidden.iter().zip(3..) {
            counts.push((format!("fc{i}"), width * next));
            width = next;
        }
        let FeatureMap { mut channels, mut size } = self.map;
        counts.push(("fc5".to_owned(), width * channels * size * size));
        for (layer, i) in self.upsampling.iter().zip(1..) {
            counts.push((format!("deconv{i}"), size * size * channels * layer.channels * layer.kernel * layer.kernel));
            channels = layer.channels;
            size = layer.output_size(size).unwrap_or(0);
            if layer.conv3 {
                counts.push((format!("conv{i}"), size * size * channels * channels * 9));
            }
        }
        if self.mask_head {
            counts.push(("mask_head".to_owned(), size * size * channels * 2));
        }
        counts.into_iter().map(|(layer, n)| (layer, n as u64)).collect()
    }
}

/// The size after `upsampling`, starting from `map`.
pub(crate) fn upsampled_size(network: &str, map: FeatureMap, upsampling: &[Upsampling]) -> Result<usize> {
    let wrong = |problem: String| Error::Description { network: network.to_owned(), problem };
    if upsampling.is_empty() || map.channels == 0 || map.size == 0 {
        return Err(wrong("expected a feature map of at least 1×1×1 and at least one upsampling layer".to_owned()));
    }
    let mut size = map.size;
    for (i, layer) in upsampling.iter().enumerate() {
        if layer.channels == 0 || layer.kernel == 0 || layer.stride == 0 {
            return Err(wrong(format!("deconv{}: channels, kernel and stride must be at least 1", i + 1)));
        }
        size = layer
            .output_size(size)
            .ok_or_else(|| wrong(format!("deconv{}: size {size} with {layer:?} leaves no output", i + 1)))?;
    }
    Ok(size)
}

/// Two fully connected layers on a factor's one-hots, computed once per level.
#[derive(Debug)]
pub(crate) struct BranchLayers {
    name: String,
    levels: usize,
    fc1: Linear,
    activation1: Activated,
    fc2: Linear,
    activation2: Activated,
}

impl BranchLayers {
    pub(crate) fn build(
        params: &mut Params,
        branch: &Branch,
        activation: Activation,
        rules: FillingRules,
        rng: &mut impl Rng,
    ) -> Result<Self> {
        let name = format!("branches.{}", branch.factor);
        let filling = fc_filling(rules);
        let first = match rules {
            FillingRules::DigitsV1 if branch.factor == "digit" => {
                LayerFilling { weight: Filling::Gaussian(1.0), ..filling }
            }
            _ => filling,
        };
        Ok(Self {
            name: name.clone(),
            levels: branch.levels,
            fc1: Linear::build(params, &format!("{name}.fc1"), (branch.levels, branch.fc1), first, rng)?,
            activation1: activation.build(params, &format!("{name}.prelu1"), branch.fc1, rng)?,
            fc2: Linear::build(params, &format!("{name}.fc2"), (branch.fc1, branch.fc2), filling, rng)?,
            activation2: activation.build(params, &format!("{name}.prelu2"), branch.fc2, rng)?,
        })
    }

    /// The branch's output for every level, `[levels, fc2]`.
    pub(crate) fn forward(&self, device: &candle_core::Device) -> Result<Tensor> {
        self.forward_mixed(&Tensor::eye(self.levels, DType::F32, device)?)
    }

    /// The branch's output for rows of weights of its levels: `[n, levels]` → `[n, fc2]`.
    pub(crate) fn forward_mixed(&self, codes: &Tensor) -> Result<Tensor> {
        section(format_args!("{}", self.name), codes, |codes| {
            let x = self.fc1.forward(codes, &self.activation1)?; // [n, fc1]
            self.fc2.forward(&x, &self.activation2) // [n, fc2]
        })
    }
}

fn fc_filling(rules: FillingRules) -> LayerFilling {
    match rules {
        FillingRules::Plain | FillingRules::LastWithoutDecay => LayerFilling::default(),
        FillingRules::DigitsV1 => LayerFilling {
            bias: 0.1,
            bias_multipliers: Multipliers { learning_rate: 2.0, decay: 1.0 },
            ..LayerFilling::default()
        },
    }
}

fn deconv_filling(rules: FillingRules, is_last: bool) -> LayerFilling {
    let plain = LayerFilling::default();
    match rules {
        FillingRules::DigitsV1 => {
            LayerFilling { bias_multipliers: Multipliers { learning_rate: 0.0, decay: 0.0 }, ..plain }
        }
        FillingRules::LastWithoutDecay if is_last => {
            let undecayed = Multipliers { learning_rate: 1.0, decay: 0.0 };
            LayerFilling { weight_multipliers: undecayed, bias_multipliers: undecayed, ..plain }
        }
        FillingRules::Plain | FillingRules::LastWithoutDecay => plain,
    }
}

/// A transposed convolution, and the convolution that may follow it.
#[derive(Debug)]
struct UpsamplingLayers {
    deconv: ConvTranspose2d,
    activation: Activated,
    conv3: Option<(Conv2d, Activated)>,
}

/// Fully connected layers to a feature map, then transposed convolutions to the image: what every generator ends in.
#[derive(Debug)]
pub(crate) struct Decoder {
    fcs: Vec<(Linear, Activated)>,
    to_map: (Linear, Activated),
    map: FeatureMap,
    deconvs: Vec<UpsamplingLayers>,
}

/// What a decoder is made of.
pub(crate) struct DecoderConfig<'a> {
    pub n_in: usize,
    pub hidden: &'a [usize],
    pub map: FeatureMap,
    pub upsampling: &'a [Upsampling],
    pub activation: Activation,
    pub last: Activation,
    pub filling: FillingRules,
}

impl Decoder {
    pub(crate) fn build(params: &mut Params, config: &DecoderConfig, rng: &mut impl Rng) -> Result<Self> {
        let mut width = config.n_in;
        let mut fcs = Vec::new();
        for (&next, i) in config.hidden.iter().zip(3..) {
            let linear = Linear::build(params, &format!("fc{i}"), (width, next), fc_filling(config.filling), rng)?;
            fcs.push((linear, config.activation.build(params, &format!("prelu{i}"), next, rng)?));
            width = next;
        }
        // The layer that is reshaped is fc5 in the research's naming, with or without an fc4 before it. It is activated
        // as a feature map: a PReLU has one slope per channel, not per pixel.
        let n_map = config.map.channels * config.map.size * config.map.size;
        let to_map = (
            Linear::build(params, "fc5", (width, n_map), fc_filling(config.filling), rng)?,
            config.activation.build(params, "prelu5", config.map.channels, rng)?,
        );
        let mut channels = config.map.channels;
        let mut deconvs = Vec::new();
        for (&layer, i) in config.upsampling.iter().zip(1..) {
            let is_last = i == config.upsampling.len();
            let filling = deconv_filling(config.filling, is_last);
            let deconv = ConvTranspose2d::build(params, &format!("deconv{i}"), channels, layer, filling, rng)?;
            channels = layer.channels;
            let after = |is_last: bool| if is_last { config.last } else { config.activation };
            let activation =
                after(is_last && !layer.conv3).build(params, &format!("prelu_deconv{i}"), channels, rng)?;
            let conv3 = match layer.conv3 {
                false => None,
                true => {
                    let (shape, geometry) = ([channels, channels, 3, 3], Conv2dConfig { stride: 1, padding: 1 });
                    let name = format!("conv{i}");
                    let conv = Conv2d::build(params, &name, shape, geometry, LayerFilling::default(), rng)?;
                    Some((conv, after(is_last).build(params, &format!("prelu_{name}"), channels, rng)?))
                }
            };
            deconvs.push(UpsamplingLayers { deconv, activation, conv3 });
        }
        Ok(Self { fcs, to_map, map: config.map, deconvs })
    }

    /// `[n, n_in]` → `[n, channels, size, size]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_from(0, x.clone())
    }

    /// The same of rows that are picked from the tables `[levels, width]` of all factors and put side by side.
    fn forward_gathered(&self, tables: &[Tensor], levels: &LevelTable) -> Result<Tensor> {
        let indices: Vec<&[u32]> = (0..tables.len()).map(|factor| levels.column(factor)).collect();
        let Some((linear, activation)) = self.fcs.first() else {
            let pick =
                |(table, index): (&Tensor, &&[u32])| table.index_select(&Tensor::new(*index, table.device())?, 0);
            let picked = tables.iter().zip(&indices).map(pick).collect::<candle_core::Result<Vec<_>>>()?;
            return self.forward_from(0, Tensor::cat(&picked, 1)?);
        };
        let x =
            section_of(format_args!("fc3"), tables, |tables| linear.forward_gathered(tables, &indices, activation))?;
        self.forward_from(1, x)
    }

    /// All but the first fully connected layers.
    fn forward_from(&self, first: usize, mut x: Tensor) -> Result<Tensor> {
        for ((linear, activation), i) in self.fcs.iter().zip(3..).skip(first) {
            x = section(format_args!("fc{i}"), &x, |x| linear.forward(x, activation))?; // [n, width]
        }
        let (to_map, activation) = &self.to_map;
        let map = [self.map.channels, self.map.size, self.map.size];
        let mut x = section(format_args!("fc5"), &x, |x| to_map.forward_as(x, &map, activation))?; // [n, c, h, w]
        for (UpsamplingLayers { deconv, activation, conv3 }, i) in self.deconvs.iter().zip(1..) {
            // [n, c, h, w], larger by the stride
            x = section(format_args!("deconv{i}"), &x, |x| deconv.forward(x, activation))?;
            if let Some((conv, activation)) = conv3 {
                x = section(format_args!("conv{i}"), &x, |x| conv.forward(x, activation))?; // [n, c, h, w]
            }
        }
        Ok(x)
    }
}

/// A concatenating generator with its parameters in a [`Params`].
#[derive(Debug)]
pub struct Concatenating {
    branches: Vec<BranchLayers>,
    decoder: Decoder,
    mask_head: Option<Conv2d>,
}

impl Concatenating {
    /// Draws the parameters.
    ///
    /// # Errors
    /// When the description is impossible (see [`ConcatenatingConfig::image_size`]).
    pub fn build(params: &mut Params, network: &str, config: &ConcatenatingConfig, rng: &mut impl Rng) -> Result<Self> {
        config.image_size(network)?;
        let branches = config
            .branches
            .iter()
            .map(|branch| BranchLayers::build(params, branch, config.activation, config.filling, rng))
            .collect::<Result<Vec<_>>>()?;
        let decoder = DecoderConfig {
            n_in: config.branches.iter().map(|branch| branch.fc2).sum(),
            hidden: &config.hidden,
            map: config.map,
            upsampling: &config.upsampling,
            activation: config.activation,
            last: config.last,
            filling: config.filling,
        };
        let decoder = Decoder::build(params, &decoder, rng)?;
        let channels = config.upsampling.last().map_or(0, |layer| layer.channels);
        let mask_head = match config.mask_head {
            false => None,
            true => Some(Conv2d::build(
                params,
                "mask_head",
                [2, channels, 1, 1],
                Conv2dConfig { stride: 1, padding: 0 },
                LayerFilling::default(),
                rng,
            )?),
        };
        Ok(Self { branches, decoder, mask_head })
    }

    /// Draws a batch.
    ///
    /// # Shapes
    /// `[n]` levels per factor → images `[n, channels, size, size]`, mask logits `[n, 2, size, size]` with a mask head.
    pub(crate) fn forward(&self, levels: &LevelTable, device: &candle_core::Device) -> Result<Drawn> {
        let tables = self.branches.iter().map(|branch| branch.forward(device)).collect::<Result<Vec<_>>>()?;
        self.drawn(self.decoder.forward_gathered(&tables, levels)?)
    }

    /// Draws mixtures of levels.
    ///
    /// # Shapes
    /// `[n, levels]` per factor → as [`Self::forward`].
    pub(crate) fn forward_mixed(&self, codes: &[Tensor]) -> Result<Drawn> {
        let codes = self.branches.iter().zip(codes).map(|(branch, codes)| branch.forward_mixed(codes));
        self.drawn(self.decoder.forward(&Tensor::cat(&codes.collect::<Result<Vec<_>>>()?, 1)?)?)
    }

    fn drawn(&self, images: Tensor) -> Result<Drawn> {
        let mask_logits = self
            .mask_head
            .as_ref()
            .map(|head| section(format_args!("mask_head"), &images, |images| head.forward(images, &Activated::Linear)))
            .transpose()?; // [n, 2, h, w]
        Ok(Drawn { images, mask_logits, instead_of_truth: None })
    }
}
