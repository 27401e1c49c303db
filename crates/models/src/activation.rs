//! The activations of SPEC §4: ReLU, leaky ReLU, PReLU per channel, and none.

use candle_core::Tensor;
use multigen_ops as ops;
use serde::{Deserialize, Serialize};

use crate::{Filling, Multipliers, Params, Result};

/// Which activation follows a layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// The identity.
    Linear,
    /// max(x, 0).
    Relu,
    /// x where positive, `slope`·x elsewhere.
    LeakyRelu {
        /// The slope of the negative half.
        slope: f64,
    },
    /// x where positive, a·x elsewhere, with one learned a per channel that starts at 0.25.
    Prelu,
}

/// An activation with its learned slopes, if it has any.
#[derive(Debug, Clone)]
pub(crate) enum Activated {
    Linear,
    Relu,
    LeakyRelu(f64),
    Prelu(Tensor),
}

impl Activation {
    /// Makes the activation's parameters under `name` for `channels` channels.
    pub(crate) fn build(
        self,
        params: &mut Params,
        name: &str,
        channels: usize,
        rng: &mut impl rand::Rng,
    ) -> Result<Activated> {
        Ok(match self {
            Activation::Linear => Activated::Linear,
            Activation::Relu => Activated::Relu,
            Activation::LeakyRelu { slope } => Activated::LeakyRelu(slope),
            Activation::Prelu => Activated::Prelu(params.create(
                &format!("{name}.weight"),
                &[channels],
                Filling::Constant(0.25),
                Multipliers::default(),
                rng,
            )?),
        })
    }
}

impl Activated {
    /// As the operators take it, to apply it at their end; channels are axis 1.
    pub(crate) fn at_the_end(&self) -> ops::Activation<'_> {
        match self {
            Activated::Linear => ops::Activation::Identity,
            Activated::Relu => ops::Activation::LeakyRelu(0.0),
            Activated::LeakyRelu(slope) => ops::Activation::LeakyRelu(*slope),
            Activated::Prelu(slope) => ops::Activation::Prelu(slope),
        }
    }
}
