//! What a generator minimises: reconstruction, and a mask's segmentation where the network has a mask head (SPEC §5).

use candle_core::Tensor;
use multigen_models::Drawn;
use multigen_ops as ops;

use crate::run_config::{Reconstruction, TrainingConfig};
use crate::{Error, Result};

/// The truth of a batch.
pub struct Targets {
    /// Images `[n, 3, h, w]`.
    pub images: Tensor,
    /// Mask classes (0 background, 1 object), `[n·h·w]` u32, where the set has masks.
    pub masks: Option<Tensor>,
}

/// Weighted sum of the losses: Σ(generated − truth)² / (2n) or Σ|generated − truth| / n, plus the mean per-pixel softmax
/// loss of the mask. What a classifier and a discriminator add is in [`crate::phases`]. A generator
/// that teaches itself by what it remembers says what stands for the truth.
///
/// # Errors
/// When the network predicts a mask and the set has none.
pub fn loss(drawn: &Drawn, targets: &Targets, config: &TrainingConfig) -> Result<Tensor> {
    let truth = drawn.instead_of_truth.as_ref().unwrap_or(&targets.images);
    let reconstruction = match config.reconstruction {
        Reconstruction::Squared => ops::squared_error(&drawn.images, truth)?,
        Reconstruction::Absolute => ops::absolute_error(&drawn.images, truth)?,
    };
    let mut total = (reconstruction * config.reconstruction_weight)?;
    if let Some(logits) = drawn.mask_logits.as_ref().filter(|_| config.mask_weight > 0.0) {
        let masks = targets.masks.as_ref().ok_or_else(|| {
            Error::config("data", "the network predicts a mask, but the set has none; choose another model")
        })?;
        let (n, classes, h, w) = logits.dims4()?;
        let logits = logits.permute((0, 2, 3, 1))?.reshape((n * h * w, classes))?; // [n·h·w, classes]
        total = (total + (ops::softmax_cross_entropy(&logits, masks)? * config.mask_weight)?)?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::run_config::Reconstruction;

    /// Two images of one channel and two pixels, off by (1, −3) and (2, 0): squares 1 + 9 + 4 = 14, over 2 · 2 that is 3.5;
    /// sizes 1 + 3 + 2 = 6, over 2 that is 3. A weight of 10 multiplies either.
    #[test]
    fn both_reconstruction_losses_by_hand() -> Result<()> {
        let images = Tensor::new(&[[[[1f32, -3.]]], [[[2., 5.]]]], &Device::Cpu)?;
        let truth = Tensor::new(&[[[[0f32, 0.]]], [[[0., 5.]]]], &Device::Cpu)?;
        let drawn = Drawn { images, mask_logits: None, instead_of_truth: None };
        let targets = Targets { images: truth, masks: None };
        for (reconstruction, expected) in [(Reconstruction::Squared, 35.0), (Reconstruction::Absolute, 30.0)] {
            let config = TrainingConfig { reconstruction, reconstruction_weight: 10.0, ..TrainingConfig::in_steps(1) };
            assert_eq!(loss(&drawn, &targets, &config)?.to_scalar::<f32>()?, expected, "{reconstruction:?}");
        }
        Ok(())
    }
}
