//! The research's multi-task classifier: AlexNet's convolutions (Krizhevsky et al. 2012), then three fully connected
//! layers of its own for every factor (SPEC §4, "Cooperative discriminator / classifier").
//!
//! ```text
//! image [n, 3, s, s] → conv1 → norm1 → pool1 → conv2 → norm2 → pool2 → conv3 → conv4 → conv5 → pool5 → [n, features]
//! [n, features] → per head: fc6 → dropout → fc7 → dropout → fc8 → logits [n, levels]
//! ```
//!
//! An activation follows every layer but fc8; the norm is local response normalisation over 5 channels (α = 1e-4,
//! β = 0.75), a pool the maximum of 3×3 windows two pixels apart, the last of which may hang over the edge. conv2 has
//! kernel 5, conv3 to conv5 have kernel 3, padded so that the size stays. Deviations from Krizhevsky et al.: one group
//! of channels, fully connected layers per factor, biases of conv3 and of fc8 that start at 0 (SPEC §5).

use candle_core::Tensor;
use multigen_ops::timing::section;
use multigen_ops::{self as ops, Conv2dConfig, DropoutConfig, LocalResponseNormConfig, MaxPool2dConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::activation::Activated;
use crate::layers::{Conv2d, LayerFilling, Linear};
use crate::{Activation, Error, Multipliers, Params, Result};

/// Colour channels of the images.
const IMAGE_CHANNELS: usize = 3;
const NORM: LocalResponseNormConfig = LocalResponseNormConfig { size: 5, alpha: 1e-4, beta: 0.75 };
const POOL: MaxPool2dConfig = MaxPool2dConfig { kernel: 3, stride: 2, ceil_mode: true };
/// What the biases start at that keep units in the rectifier's positive half in the first steps.
const POSITIVE_BIAS: f32 = 0.1;
/// Weights of one layer at most: 16 GiB, and products of widths stay far from an overflow.
const MAX_WEIGHTS: u64 = u32::MAX as u64;

/// The first convolution's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stem {
    /// Side of the kernel.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
}

/// The fully connected layers that read one factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The factor's name.
    pub factor: String,
    /// How many levels it has.
    pub levels: usize,
    /// Width of the head's first layer.
    pub fc6: usize,
}

impl Head {
    /// The name of one of its layers, by which its parameters' names begin.
    fn layer(&self, layer: &str) -> String {
        format!("{}.{layer}", self.factor)
    }
}

/// The description of a multi-task AlexNet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlexNetConfig {
    /// Height and width of the images.
    pub image_size: usize,
    /// The first convolution.
    pub conv1: Stem,
    /// Channels of the five convolutions.
    pub widths: [usize; 5],
    /// After every layer but the heads' last ones.
    pub activation: Activation,
    /// The factors that are read.
    pub heads: Vec<Head>,
    /// Width of every head's second layer.
    pub fc7: usize,
    /// Probability of a unit of fc6 and fc7 to be dropped in training; in [0, 1).
    pub dropout: f64,
}

/// A convolution with what follows it.
#[derive(Clone, Copy)]
struct Stage {
    /// Its number: conv1 to conv5.
    i: usize,
    n_in: usize,
    n_out: usize,
    kernel: usize,
    geometry: Conv2dConfig,
    first_bias: f32,
    is_normalised: bool,
    is_pooled: bool,
}

/// Height and width after a stage's convolution and after its pool, if it has one.
#[derive(Clone, Copy, Default)]
struct StageSizes {
    conv: usize,
    out: usize,
}

impl AlexNetConfig {
    /// Checks every rule, for who reads a description long before it is built.
    ///
    /// # Errors
    /// [`Error::Description`], which names the layer: no head, two heads of one factor, a width, kernel or stride of 0, a
    /// layer whose window is larger than its input or with more than 2³² weights, a dropout rate outside [0, 1), a slope
    /// that is not finite.
    pub fn validate(&self, network: &str) -> Result<()> {
        self.stage_sizes(network).map(|_| ())
    }

    /// Height and width after every convolution and pool, by name: conv1, pool1, conv2, pool2, conv3, conv4, conv5, pool5.
    ///
    /// # Errors
    /// As [`AlexNetConfig::validate`].
    pub fn sizes(&self, network: &str) -> Result<Vec<(String, usize)>> {
        let mut sizes = Vec::new();
        for (stage, StageSizes { conv, out }) in self.stages().iter().zip(self.stage_sizes(network)?) {
            sizes.push((format!("conv{}", stage.i), conv));
            if stage.is_pooled {
                sizes.push((format!("pool{}", stage.i), out));
            }
        }
        Ok(sizes)
    }

    /// Factors and their numbers of levels, in the order of [`AlexNet::forward`]'s logits.
    pub fn factors(&self) -> Vec<(String, usize)> {
        self.heads.iter().map(|head| (head.factor.clone(), head.levels)).collect()
    }

    /// Multiplications of one image's forward pass by layer, as [`crate::GeneratorConfig::multiplications`] counts them.
    /// Norms and pools, sections of their own in [`multigen_ops::timing`], have none to count.
    ///
    /// # Errors
    /// As [`AlexNetConfig::validate`].
    pub fn multiplications(&self, network: &str) -> Result<Vec<(String, u64)>> {
        let sizes = self.stage_sizes(network)?;
        let convolutions = self.stages().into_iter().zip(sizes).map(|(stage, StageSizes { conv, .. })| {
            (format!("conv{}", stage.i), product(&[conv, conv, stage.n_in, stage.n_out, stage.kernel, stage.kernel]))
        });
        let products =
            self.head_layers(&sizes).into_iter().map(|(layer, n_in, n_out)| (layer, product(&[n_in, n_out])));
        Ok(convolutions.chain(products).collect())
    }

    fn stages(&self) -> [Stage; 5] {
        let [w1, w2, w3, w4, w5] = self.widths;
        let conv1 = Conv2dConfig { stride: self.conv1.stride, padding: 0 };
        let same = |kernel: usize| Conv2dConfig { stride: 1, padding: kernel / 2 };
        let conv3 = Stage {
            i: 3,
            n_in: w2,
            n_out: w3,
            kernel: 3,
            geometry: same(3),
            first_bias: 0.0,
            is_normalised: false,
            is_pooled: false,
        };
        let normalised = Stage { is_normalised: true, is_pooled: true, ..conv3 };
        let positive = Stage { first_bias: POSITIVE_BIAS, ..conv3 };
        [
            Stage { i: 1, n_in: IMAGE_CHANNELS, n_out: w1, kernel: self.conv1.kernel, geometry: conv1, ..normalised },
            Stage { i: 2, n_in: w1, n_out: w2, kernel: 5, geometry: same(5), first_bias: POSITIVE_BIAS, ..normalised },
            conv3,
            Stage { i: 4, n_in: w3, n_out: w4, ..positive },
            Stage { i: 5, n_in: w4, n_out: w5, is_pooled: true, ..positive },
        ]
    }

    /// The size after every stage, all rules checked.
    fn stage_sizes(&self, network: &str) -> Result<[StageSizes; 5]> {
        let wrong = |problem: String| Error::Description { network: network.to_owned(), problem };
        self.check_scalars(network)?;
        let stages = self.stages();
        let mut size = self.image_size;
        let mut sizes = [StageSizes::default(); 5];
        for (stage, sizes) in stages.iter().zip(&mut sizes) {
            let Stage { i, kernel, geometry: Conv2dConfig { stride, padding }, .. } = *stage;
            let room = (size + 2 * padding).checked_sub(kernel);
            let room =
                room.ok_or_else(|| wrong(format!("conv{i}: kernel {kernel} exceeds its input of {size}×{size}")))?;
            let conv = room / stride + 1;
            let out = match (stage.is_pooled, conv.checked_sub(POOL.kernel)) {
                (false, _) => conv,
                // One more window where the last one hangs over the edge (POOL.ceil_mode).
                (true, Some(room)) => room.div_ceil(POOL.stride) + 1,
                (true, None) => {
                    let window = POOL.kernel;
                    return Err(wrong(format!("pool{i}: window {window} exceeds its input of {conv}×{conv}")));
                }
            };
            *sizes = StageSizes { conv, out };
            size = out;
        }
        let convolutions = stages
            .iter()
            .map(|stage| (format!("conv{}", stage.i), product(&[stage.n_out, stage.n_in, stage.kernel, stage.kernel])));
        let products =
            self.head_layers(&sizes).into_iter().map(|(layer, n_in, n_out)| (layer, product(&[n_out, n_in])));
        if let Some((layer, weights)) = convolutions.chain(products).find(|(_, weights)| *weights > MAX_WEIGHTS) {
            return Err(wrong(format!("{layer}: {weights} weights, expected at most {MAX_WEIGHTS}")));
        }
        Ok(sizes)
    }

    /// The rules that no size enters into.
    fn check_scalars(&self, network: &str) -> Result<()> {
        let wrong = |problem: String| Error::Description { network: network.to_owned(), problem };
        if let Some(i) = self.widths.iter().position(|width| *width == 0) {
            return Err(wrong(format!("conv{}: width 0, expected at least 1", i + 1)));
        }
        if self.conv1.kernel == 0 || self.conv1.stride == 0 {
            return Err(wrong(format!("conv1: kernel and stride must be at least 1, found {:?}", self.conv1)));
        }
        if let Activation::LeakyRelu { slope } = self.activation
            && !slope.is_finite()
        {
            return Err(wrong(format!("activation: slope {slope} is not a finite number")));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(wrong(format!("dropout: rate {} lies outside [0, 1)", self.dropout)));
        }
        if self.heads.is_empty() {
            return Err(wrong("no factor: expected at least one head".to_owned()));
        }
        for (i, head) in self.heads.iter().enumerate() {
            if head.factor.is_empty() || self.heads[..i].iter().any(|other| other.factor == head.factor) {
                return Err(wrong(format!("head {}: its factor '{}' is empty or taken", i + 1, head.factor)));
            }
            for (layer, width) in [("fc6", head.fc6), ("fc7", self.fc7), ("fc8", head.levels)] {
                if width == 0 {
                    return Err(wrong(format!("{}: width 0, expected at least 1", head.layer(layer))));
                }
            }
        }
        Ok(())
    }

    /// Numbers that the last pool leaves of an image.
    fn n_features(&self, sizes: &[StageSizes; 5]) -> usize {
        let [.., StageSizes { out, .. }] = *sizes;
        usize::try_from(product(&[self.widths[4], out, out])).unwrap_or(usize::MAX)
    }

    /// The heads' layers: name, numbers in, numbers out.
    fn head_layers(&self, sizes: &[StageSizes; 5]) -> Vec<(String, usize, usize)> {
        let n_features = self.n_features(sizes);
        let of_head = |head: &Head| {
            [
                (head.layer("fc6"), n_features, head.fc6),
                (head.layer("fc7"), head.fc6, self.fc7),
                (head.layer("fc8"), self.fc7, head.levels),
            ]
        };
        self.heads.iter().flat_map(of_head).collect()
    }
}

/// A product that stays at the largest number when it would overflow: descriptions come from files.
fn product(factors: &[usize]) -> u64 {
    factors.iter().fold(1, |product: u64, &factor| product.saturating_mul(factor as u64))
}

/// Whether a pass drops units, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropout {
    /// None: evaluation. Training enlarges what it keeps by 1/(1 − rate), so nothing is scaled here.
    Off,
    /// Those that this key chooses, others in every layer of every head. One key gives one choice, on any number of
    /// threads: a training step draws its key from a generator keyed by seed, purpose and step.
    Keyed(u64),
}

impl Dropout {
    /// `x` with its share of units dropped; `layer` counts a network's layers that drop.
    fn apply(self, x: &Tensor, rate: f64, layer: u64) -> Result<Tensor> {
        let Self::Keyed(key) = self else { return Ok(x.clone()) };
        // A stream per layer: seeds that were sums of key and layer would meet those of other keys.
        let mut rng = ChaCha8Rng::seed_from_u64(key);
        rng.set_stream(layer);
        Ok(ops::dropout(x, DropoutConfig { rate, seed: rng.next_u64() })?)
    }
}

/// A convolution with its activation.
#[derive(Debug)]
struct StageLayers {
    conv: Conv2d,
    activation: Activated,
    is_normalised: bool,
    is_pooled: bool,
}

/// One factor's layers; the activations of fc6 and fc7 beside them.
#[derive(Debug)]
struct HeadLayers {
    factor: String,
    fc6: (Linear, Activated),
    fc7: (Linear, Activated),
    fc8: Linear,
}

/// A multi-task AlexNet with its parameters in a [`Params`].
#[derive(Debug)]
pub struct AlexNet {
    network: String,
    image_size: usize,
    dropout: f64,
    stages: Vec<StageLayers>,
    heads: Vec<HeadLayers>,
}

impl AlexNet {
    /// Draws the parameters: Xavier weights; biases 0, but 0.1 in conv2, conv4, conv5, fc6 and fc7. Biases learn at twice
    /// the rate and do not decay (SPEC §4, §5).
    ///
    /// # Errors
    /// As [`AlexNetConfig::validate`]; and when the device has no room.
    pub fn build(params: &mut Params, network: &str, config: &AlexNetConfig, rng: &mut impl Rng) -> Result<Self> {
        let sizes = config.stage_sizes(network)?;
        let stages = config
            .stages()
            .into_iter()
            .map(|Stage { i, n_in, n_out, kernel, geometry, first_bias, is_normalised, is_pooled }| {
                let name = format!("conv{i}");
                let shape = [n_out, n_in, kernel, kernel];
                let conv = Conv2d::build(params, &name, shape, geometry, filling(first_bias), rng)?;
                let activation = config.activation.build(params, &format!("{name}.prelu"), n_out, rng)?;
                Ok(StageLayers { conv, activation, is_normalised, is_pooled })
            })
            .collect::<Result<Vec<_>>>()?;
        let n_features = config.n_features(&sizes);
        let heads = config
            .heads
            .iter()
            .map(|head| {
                let mut activated = |layer: &str, n_in: usize, n_out: usize| -> Result<_> {
                    let name = head.layer(layer);
                    let linear = Linear::build(params, &name, (n_in, n_out), filling(POSITIVE_BIAS), rng)?;
                    Ok((linear, config.activation.build(params, &format!("{name}.prelu"), n_out, rng)?))
                };
                let fc6 = activated("fc6", n_features, head.fc6)?;
                let fc7 = activated("fc7", head.fc6, config.fc7)?;
                let fc8 = Linear::build(params, &head.layer("fc8"), (config.fc7, head.levels), filling(0.0), rng)?;
                Ok(HeadLayers { factor: head.factor.clone(), fc6, fc7, fc8 })
            })
            .collect::<Result<Vec<_>>>()?;
        let (image_size, dropout) = (config.image_size, config.dropout);
        Ok(Self { network: network.to_owned(), image_size, dropout, stages, heads })
    }

    /// Reads images.
    ///
    /// # Shapes
    /// `images` [n, 3, s, s] → logits [n, levels] per head, in the description's order.
    ///
    /// # Errors
    /// [`Error::Images`] when the images have another shape.
    pub fn forward(&self, images: &Tensor, dropout: Dropout) -> Result<Vec<Tensor>> {
        let expected = [IMAGE_CHANNELS, self.image_size, self.image_size];
        if !matches!(images.dims(), [n, image @ ..] if *n > 0 && *image == expected) {
            return Err(Error::Images { network: self.network.clone(), expected, found: images.dims().to_vec() });
        }
        let mut x = images.clone();
        for (stage, i) in self.stages.iter().zip(1..) {
            x = section(format_args!("conv{i}"), &x, |x| stage.conv.forward(x, &stage.activation))?; // [n, c, h, w]
            if stage.is_normalised {
                x = section(format_args!("norm{i}"), &x, |x| ops::local_response_norm(x, NORM))?; // [n, c, h, w]
            }
            if stage.is_pooled {
                x = section(format_args!("pool{i}"), &x, |x| ops::max_pool2d(x, POOL))?; // [n, c, h/2, w/2]
            }
        }
        let features = x.flatten_from(1)?; // [n, c·h·w]
        let mut layer = 0;
        let mut read = |head: &HeadLayers| -> Result<Tensor> {
            let mut x = features.clone();
            for (name, (linear, activation)) in [("fc6", &head.fc6), ("fc7", &head.fc7)] {
                x = section(format_args!("{}.{name}", head.factor), &x, |x| {
                    dropout.apply(&linear.forward(x, activation)?, self.dropout, layer)
                })?; // [n, width]
                layer += 1;
            }
            section(format_args!("{}.fc8", head.factor), &x, |x| head.fc8.forward(x, &Activated::Linear)) // [n, levels]
        };
        self.heads.iter().map(&mut read).collect()
    }
}

/// How a layer's parameters start and learn, its biases from `first_bias`.
fn filling(first_bias: f32) -> LayerFilling {
    LayerFilling {
        bias: first_bias,
        bias_multipliers: Multipliers { learning_rate: 2.0, decay: 0.0 },
        ..LayerFilling::default()
    }
}
