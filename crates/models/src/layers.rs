//! Layers with their parameters: fully connected, transposed convolution, convolution.

use candle_core::Tensor;
use multigen_ops::{self as ops, Conv2dConfig, ConvTranspose2dConfig};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::activation::Activated;
use crate::{Filling, Multipliers, Params, Result};

/// How the two parameters of a layer start and learn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerFilling {
    pub weight: Filling,
    pub weight_multipliers: Multipliers,
    pub bias: f32,
    pub bias_multipliers: Multipliers,
}

impl Default for LayerFilling {
    fn default() -> Self {
        Self {
            weight: Filling::Xavier,
            weight_multipliers: Multipliers::default(),
            bias: 0.0,
            bias_multipliers: Multipliers::default(),
        }
    }
}

/// y = x·wᵀ + b.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    weight: Tensor, // [out, in]
    bias: Tensor,   // [out]
}

impl Linear {
    pub(crate) fn build(
        params: &mut Params,
        name: &str,
        (n_in, n_out): (usize, usize),
        filling: LayerFilling,
        rng: &mut impl Rng,
    ) -> Result<Self> {
        let weight = params.create(
            &format!("{name}.weight"),
            &[n_out, n_in],
            filling.weight,
            filling.weight_multipliers,
            rng,
        )?;
        let bias = params.create(
            &format!("{name}.bias"),
            &[n_out],
            Filling::Constant(filling.bias),
            filling.bias_multipliers,
            rng,
        )?;
        Ok(Self { weight, bias })
    }

    /// The same layer, to which no gradient flows.
    pub(crate) fn frozen(&self) -> Self {
        Self { weight: self.weight.detach(), bias: self.bias.detach() }
    }

    /// The layer with its weights divided by their spectral norm.
    pub(crate) fn of_norm_one(&self) -> Result<Self> {
        Ok(Self { weight: of_norm_one(&self.weight)?, bias: self.bias.clone() })
    }

    /// What the layer does to a small change of its input, before any activation: the same without its bias.
    pub(crate) fn tangent(&self, change: &Tensor) -> Result<Tensor> {
        Ok(ops::linear(change, &self.weight, None)?)
    }

    /// `[n, in]` → `[n, out]`.
    pub(crate) fn forward(&self, x: &Tensor, activation: &Activated) -> Result<Tensor> {
        self.forward_as(x, &[self.bias.elem_count()], activation)
    }

    /// The same of rows that are picked from tables `[levels, in]` and put side by side.
    pub(crate) fn forward_gathered(
        &self,
        tables: &[Tensor],
        indices: &[&[u32]],
        activation: &Activated,
    ) -> Result<Tensor> {
        Ok(ops::gathered_linear(tables, indices, &self.weight, Some(&self.bias), activation.at_the_end())?)
    }

    /// `[n, in]` → `[n, …]` of the given shape, whose first axis are the activation's channels.
    pub(crate) fn forward_as(&self, x: &Tensor, shape: &[usize], activation: &Activated) -> Result<Tensor> {
        Ok(ops::linear_activated(x, &self.weight, Some(&self.bias), shape, activation.at_the_end())?)
    }
}

/// One transposed convolution of a generator's upsampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upsampling {
    /// Channels out.
    pub channels: usize,
    /// Kernel size.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Padding.
    pub padding: usize,
    /// Whether a 3×3 convolution of as many channels follows, activated like every other layer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub conv3: bool,
}

/// A description without the convolution is written as it was before there was one, so that its hash stays.
fn is_false(value: &bool) -> bool {
    !value
}

impl Upsampling {
    /// The size that comes out of `size`: (size − 1)·stride − 2·padding + kernel, or nothing when it is not positive.
    pub fn output_size(&self, size: usize) -> Option<usize> {
        (size.checked_sub(1)? * self.stride + self.kernel).checked_sub(2 * self.padding).filter(|&s| s > 0)
    }
}

/// A transposed convolution with its parameters.
#[derive(Debug, Clone)]
pub(crate) struct ConvTranspose2d {
    weight: Tensor, // [in, out, k, k]
    bias: Tensor,   // [out]
    config: ConvTranspose2dConfig,
}

impl ConvTranspose2d {
    pub(crate) fn build(
        params: &mut Params,
        name: &str,
        n_in: usize,
        layer: Upsampling,
        filling: LayerFilling,
        rng: &mut impl Rng,
    ) -> Result<Self> {
        let shape = [n_in, layer.channels, layer.kernel, layer.kernel];
        let weight =
            params.create(&format!("{name}.weight"), &shape, filling.weight, filling.weight_multipliers, rng)?;
        let bias = params.create(
            &format!("{name}.bias"),
            &[layer.channels],
            Filling::Constant(filling.bias),
            filling.bias_multipliers,
            rng,
        )?;
        Ok(Self { weight, bias, config: ConvTranspose2dConfig { stride: layer.stride, padding: layer.padding } })
    }

    pub(crate) fn forward(&self, x: &Tensor, activation: &Activated) -> Result<Tensor> {
        let activation = activation.at_the_end();
        Ok(ops::conv_transpose2d_activated(x, &self.weight, Some(&self.bias), self.config, activation)?)
    }
}

/// A convolution with its parameters.
#[derive(Debug, Clone)]
pub(crate) struct Conv2d {
    weight: Tensor, // [out, in, k, k]
    bias: Tensor,   // [out]
    config: Conv2dConfig,
}

impl Conv2d {
    pub(crate) fn build(
        params: &mut Params,
        name: &str,
        shape: [usize; 4],
        config: Conv2dConfig,
        filling: LayerFilling,
        rng: &mut impl Rng,
    ) -> Result<Self> {
        let weight =
            params.create(&format!("{name}.weight"), &shape, filling.weight, filling.weight_multipliers, rng)?;
        let bias = params.create(
            &format!("{name}.bias"),
            &shape[..1],
            Filling::Constant(filling.bias),
            filling.bias_multipliers,
            rng,
        )?;
        Ok(Self { weight, bias, config })
    }

    /// The same layer, to which no gradient flows.
    pub(crate) fn frozen(&self) -> Self {
        Self { weight: self.weight.detach(), bias: self.bias.detach(), config: self.config }
    }

    /// The layer with its weights, as a matrix [out, in·k·k], divided by their spectral norm.
    pub(crate) fn of_norm_one(&self) -> Result<Self> {
        Ok(Self { weight: of_norm_one(&self.weight)?, bias: self.bias.clone(), config: self.config })
    }

    /// What the layer does to a small change of its input, before any activation: the same without its bias.
    pub(crate) fn tangent(&self, change: &Tensor) -> Result<Tensor> {
        Ok(ops::conv2d(change, &self.weight, None, self.config)?)
    }

    pub(crate) fn forward(&self, x: &Tensor, activation: &Activated) -> Result<Tensor> {
        Ok(ops::conv2d_activated(x, &self.weight, Some(&self.bias), self.config, activation.at_the_end())?)
    }
}

/// Weights divided by their spectral norm; weights of zeros stay what they are.
pub(crate) fn of_norm_one(weight: &Tensor) -> Result<Tensor> {
    const SMALLEST: f64 = 1e-12;
    Ok(weight.broadcast_div(&ops::spectral_norm(weight)?.maximum(SMALLEST)?)?)
}
