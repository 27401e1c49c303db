//! Adversarial training: a discriminator learns to tell the true image of a combination from the generated one, and the
//! generator learns to be taken for true (Goodfellow et al., arXiv 1406.2661); SPEC §4, §5.
//!
//! With s(x) the discriminator's score of an image under its labels, r real and g generated images, means over the batch:
//!
//! | loss | the discriminator minimises | the generator minimises |
//! |---|---|---|
//! | non-saturating | ln(1 + e^−s(r)) + ln(1 + e^s(g)) | ln(1 + e^−s(g)) |
//! | hinge (Lim and Ye, arXiv 1705.02894) | max(0, 1 − s(r)) + max(0, 1 + s(g)) | −s(g) |
//! | Wasserstein (Arjovsky et al., arXiv 1701.07875) | s(g) − s(r) | −s(g) |
//!
//! Both learn in the same step, each at a rate of its own (Heusel et al., arXiv 1706.08500). The discriminator sees generated images cut off
//! from the generator, the generator's loss goes through the same discriminator, frozen: so one backward pass of the
//! sum gives each of them its own gradient and nothing of the other's. Imagined combinations, of which there is no true image, are left to the
//! classifier.
//!
//! The gradient penalty of WGAN-GP (Gulrajani et al., arXiv 1704.00028) is weight · mean (‖∇s(x̂)‖ − 1)² on mixtures x̂ of a
//! true and a generated image. Its gradient would be a gradient of a gradient. But with u = ∇s/‖∇s‖ held fixed, ‖∇s‖ is the slope of
//! the score along u, which [`Acting::slope_along`] computes as a function of the weights; and u, being the
//! direction of the steepest slope, changes nothing to first order by turning.

use candle_core::{D, Device, Tensor, Var};
use multigen_data::ImageSet;
use multigen_data::randomness::keyed_rng;
use multigen_models::{Acting, Discriminator, DiscriminatorConfig, LevelTable, Params};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::run_config::SetConfig;
use crate::{Error, Result};

/// How a discriminator takes part in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adversarial {
    /// What both minimise.
    pub loss: AdversarialLoss,
    /// What keeps the discriminator's slope small.
    pub regularisation: Regularisation,
    /// The discriminator's learning rate at the start of the run's schedule.
    pub learning_rate: f64,
}

/// What generator and discriminator minimise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdversarialLoss {
    /// The non-saturating loss of the first adversarial nets.
    NonSaturating,
    /// The hinge loss.
    Hinge,
    /// The difference of mean scores, for a discriminator whose slope is kept near 1.
    Wasserstein,
}

/// What keeps the discriminator's slope small.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Regularisation {
    /// Nothing.
    None,
    /// Every weight is divided by its spectral norm.
    SpectralNorm,
    /// The gradient penalty, with this weight.
    GradientPenalty(f64),
}

impl Adversarial {
    /// Every rule that holds of a discriminator's part.
    pub(crate) fn validate(&self, file: &str) -> Result<()> {
        let wrong = |problem: String| Err(Error::config(file, format!("adversarial: {problem}")));
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return wrong(format!("learning_rate = {}: expected a positive number", self.learning_rate));
        }
        match (self.loss, self.regularisation) {
            (AdversarialLoss::Wasserstein, Regularisation::None) => wrong(
                "the loss wasserstein needs a discriminator of bounded slope: set regularisation = { gradient_penalty = 10.0 } or \"spectral_norm\"".to_owned(),
            ),
            (_, Regularisation::GradientPenalty(weight)) if !(weight.is_finite() && weight > 0.0) => {
                wrong(format!("gradient_penalty = {weight}: expected a positive number"))
            }
            _ => Ok(()),
        }
    }

    /// In one sentence, for reports.
    pub(crate) fn describe(&self) -> String {
        let loss = match self.loss {
            AdversarialLoss::NonSaturating => "non-saturating",
            AdversarialLoss::Hinge => "hinge",
            AdversarialLoss::Wasserstein => "Wasserstein",
        };
        let regularisation = match self.regularisation {
            Regularisation::None => "no regularisation".to_owned(),
            Regularisation::SpectralNorm => "spectral normalisation".to_owned(),
            Regularisation::GradientPenalty(weight) => format!("gradient penalty × {weight}"),
        };
        format!(
            "A discriminator takes part, conditional by projection: {loss} loss, {regularisation}, learning rate {}.",
            self.learning_rate
        )
    }
}

/// The two losses of a step, and what the discriminator said.
pub(crate) struct Duel {
    /// What the generator minimises, before the phase's weight.
    pub generator: Tensor,
    /// What the discriminator minimises.
    pub discriminator: Tensor,
    /// Scores of the real images `[n]`.
    pub real: Tensor,
    /// Scores of the generated images `[n]`.
    pub generated: Tensor,
}

/// A discriminator that takes part in a run.
#[derive(Debug)]
pub struct Opponent {
    config: Adversarial,
    discriminator: Discriminator,
    /// Places of the factors that condition it among the set's.
    places: Vec<usize>,
    seed: u64,
}

impl Opponent {
    /// An untrained discriminator of a set's images and of the factors that can be read off them.
    ///
    /// # Errors
    /// When the images are too small, or the device has no room.
    pub fn new(
        config: &Adversarial,
        (set_config, set): (&SetConfig, &ImageSet),
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let conditions = set.factors.iter().enumerate().filter(|(_, factor)| set_config.is_readable(&factor.name));
        let (places, factors) =
            conditions.map(|(place, factor)| (place, (factor.name.clone(), factor.n_levels()))).unzip();
        let network = DiscriminatorConfig {
            image_size: set.height,
            factors,
            spectral_norm: config.regularisation == Regularisation::SpectralNorm,
        };
        let mut rng = keyed_rng(seed, "discriminator weights", 0);
        let discriminator = Discriminator::new(&network, Params::new(device), &mut rng)?;
        Ok(Self { config: config.clone(), discriminator, places, seed })
    }

    /// The discriminator.
    pub fn discriminator(&self) -> &Discriminator {
        &self.discriminator
    }

    /// Its learning rate as a multiple of the run's.
    pub(crate) fn rate_multiplier(&self, learning_rate: f64) -> f64 {
        self.config.learning_rate / learning_rate
    }

    /// The losses of both on real and generated images of the same combinations.
    ///
    /// # Shapes
    /// both `[n, 3, s, s]`, per factor of the set n levels or more, of which the first n count.
    pub(crate) fn duel(&self, real: &Tensor, generated: &Tensor, levels: &[Vec<u32>], step: u64) -> Result<Duel> {
        let n = real.dim(0)?;
        let columns: Vec<Vec<u32>> = self.places.iter().map(|&place| levels[place][..n].to_vec()).collect();
        let once = LevelTable::from_columns(columns.clone())?;
        let twice = LevelTable::from_columns(columns.iter().map(|column| column.repeat(2)).collect())?;
        let cut_off = generated.detach();
        let acting = self.discriminator.acting()?;
        let frozen = acting.frozen();
        let scores = acting.score(&Tensor::cat(&[real, &cut_off], 0)?, &twice)?; // [2n]
        let (of_real, of_generated) = (scores.narrow(0, 0, n)?, scores.narrow(0, n, n)?);
        let mut discriminator = match self.config.loss {
            AdversarialLoss::NonSaturating => (softplus(&of_real.neg()?)? + softplus(&of_generated)?)?,
            AdversarialLoss::Hinge => ((1.0 - &of_real)?.relu()? + (&of_generated + 1.0)?.relu()?)?,
            AdversarialLoss::Wasserstein => (&of_generated - &of_real)?,
        }
        .mean_all()?;
        if let Regularisation::GradientPenalty(weight) = self.config.regularisation {
            let penalty = self.gradient_penalty((&acting, &frozen), (real, &cut_off), &once, step)?;
            discriminator = (discriminator + (penalty * weight)?)?;
        }
        let of_frozen = frozen.score(generated, &once)?;
        let generator = match self.config.loss {
            AdversarialLoss::NonSaturating => softplus(&of_frozen.neg()?)?,
            AdversarialLoss::Hinge | AdversarialLoss::Wasserstein => of_frozen.neg()?,
        }
        .mean_all()?;
        Ok(Duel { generator, discriminator, real: of_real.detach(), generated: of_generated.detach() })
    }

    /// Mean of (‖∇s(x̂)‖ − 1)² on mixtures of pairs of images, as this module's head describes.
    fn gradient_penalty(
        &self,
        (acting, frozen): (&Acting, &Acting),
        (real, generated): (&Tensor, &Tensor),
        levels: &LevelTable,
        step: u64,
    ) -> Result<Tensor> {
        let n = real.dim(0)?;
        let mut rng = keyed_rng(self.seed, "gradient penalty", step);
        let share: Vec<f32> = (0..n).map(|_| rng.random()).collect();
        let share = Tensor::from_vec(share, (n, 1, 1, 1), real.device())?;
        let mixed = (real.broadcast_mul(&share)? + generated.broadcast_mul(&(1.0 - &share)?)?)?;
        let mixed = Var::from_tensor(&mixed)?;
        let slopes = frozen.score(mixed.as_tensor(), levels)?.sum_all()?.backward()?;
        let gradient = slopes
            .get(mixed.as_tensor())
            .ok_or_else(|| Error::config("adversarial", "the discriminator's score does not depend on the image"))?;
        let norm = gradient.sqr()?.flatten_from(1)?.sum(D::Minus1)?.sqrt()?.maximum(1e-12)?; // [n]
        let steepest = gradient.broadcast_div(&norm.reshape((n, 1, 1, 1))?)?.detach();
        let slope = acting.slope_along(&mixed.as_detached_tensor(), &steepest, levels)?; // [n]
        Ok((slope - 1.0)?.sqr()?.mean_all()?)
    }
}

/// ln(1 + eˣ), without overflow: max(0, x) + ln(1 + e^−|x|).
fn softplus(x: &Tensor) -> Result<Tensor> {
    Ok((x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?)?)
}

/// The shares of real and of generated images that scores put on the right side: of 0, or, of a Wasserstein loss, whose scores have no
/// zero, of the middle between both means.
pub(crate) fn accuracy(loss: AdversarialLoss, real: &[f32], generated: &[f32]) -> (f64, f64) {
    let mean = |scores: &[f32]| scores.iter().map(|&s| f64::from(s)).sum::<f64>() / scores.len().max(1) as f64;
    let border = match loss {
        AdversarialLoss::Wasserstein => (mean(real) + mean(generated)) / 2.0,
        AdversarialLoss::NonSaturating | AdversarialLoss::Hinge => 0.0,
    };
    let share = |scores: &[f32], right: &dyn Fn(f64) -> bool| {
        scores.iter().filter(|&&s| right(f64::from(s))).count() as f64 / scores.len().max(1) as f64
    };
    (share(real, &|s| s > border), share(generated, &|s| s < border))
}

#[cfg(test)]
mod tests;
