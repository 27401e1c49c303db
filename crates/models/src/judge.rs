//! The judge: a small convolutional network that reads an image's digit, colour and transform.
//!
//! ```text
//! [n, 3, 28, 28] → conv 32 k5 s2 → conv 64 k3 s2 → conv 128 k3 s2 → fc 256 → one linear head per factor
//! ```
//!
//! It is trained on *real* images of all combinations and is apart from every discriminator under test (SPEC §6).
//! Strides take the place of pooling: fewer passes over memory, and no gradient question.

use candle_core::Tensor;
use multigen_ops::Conv2dConfig;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::activation::Activated;
use crate::layers::{Conv2d, LayerFilling, Linear};
use crate::{Error, Params, Result};

/// The description of a judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeConfig {
    /// Height and width of the images it reads.
    pub image_size: usize,
    /// The factors it reads, with their numbers of levels.
    pub heads: Vec<(String, usize)>,
}

const CHANNELS: [usize; 4] = [3, 32, 64, 128];
const KERNELS: [usize; 3] = [5, 3, 3];
const WIDTH: usize = 256;

/// A judge with its parameters in a [`Params`].
#[derive(Debug)]
pub struct Judge {
    convs: Vec<Conv2d>,
    fc: Linear,
    heads: Vec<Linear>,
}

impl Judge {
    /// Draws the parameters.
    ///
    /// # Errors
    /// When images are smaller than 8×8 or there is no head.
    pub fn build(params: &mut Params, config: &JudgeConfig, rng: &mut impl Rng) -> Result<Self> {
        if config.image_size < 8 || config.heads.is_empty() {
            return Err(Error::Description {
                network: "judge".to_owned(),
                problem: format!("expected images of at least 8×8 and at least one head, found {config:?}"),
            });
        }
        let mut size = config.image_size;
        let mut convs = Vec::new();
        for (i, (&kernel, pair)) in KERNELS.iter().zip(CHANNELS.windows(2)).enumerate() {
            let geometry = Conv2dConfig { stride: 2, padding: kernel / 2 };
            convs.push(Conv2d::build(
                params,
                &format!("conv{}", i + 1),
                [pair[1], pair[0], kernel, kernel],
                geometry,
                LayerFilling::default(),
                rng,
            )?);
            size = size.div_ceil(2);
        }
        let n_features = CHANNELS[3] * size * size;
        let fc = Linear::build(params, "fc", (n_features, WIDTH), LayerFilling::default(), rng)?;
        let heads = config
            .heads
            .iter()
            .map(|(factor, levels)| {
                Linear::build(params, &format!("heads.{factor}"), (WIDTH, *levels), LayerFilling::default(), rng)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { convs, fc, heads })
    }

    /// Logits per factor, in the order of the heads.
    ///
    /// # Shapes
    /// `[n, 3, h, w]` → for each head `[n, levels]`.
    ///
    /// # Errors
    /// When the images have another size.
    pub fn forward(&self, images: &Tensor) -> Result<Vec<Tensor>> {
        let mut x = images.clone();
        for conv in &self.convs {
            x = conv.forward(&x, &Activated::Relu)?; // [n, c, h/2, w/2]
        }
        let x = self.fc.forward(&x.flatten_from(1)?, &Activated::Relu)?; // [n, WIDTH]
        self.heads.iter().map(|head| head.forward(&x, &Activated::Linear)).collect()
    }
}
