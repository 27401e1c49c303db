//! What to look at while a discriminator takes part: how often it is right, how large gradients are, and whether what is
//! generated still differs as much as what is true.

use candle_core::Tensor;
use multigen_measure::DiagnosticRow;
use multigen_ops::GradientBuffers;

use crate::Result;
use crate::adversarial::{AdversarialLoss, Duel, accuracy};
use crate::learners::{CLASSIFIER_PREFIX, DISCRIMINATOR_PREFIX};

/// Below this share of the true images' spread what is generated has collapsed.
const LEAST_SPREAD: f64 = 0.5;
/// A discriminator that is right this often leaves the generator little to learn from.
const SURE: f64 = 0.98;

/// Figures of a step in which a discriminator took part.
///
/// # Shapes
/// `real` and `generated` `[n, 3, s, s]`.
pub(crate) fn diagnose(
    (model, seed, step): (&str, u64, u64),
    loss: AdversarialLoss,
    duel: &Duel,
    (real, generated): (&Tensor, &Tensor),
    gradients: &GradientBuffers,
) -> Result<DiagnosticRow> {
    let (on_real, on_generated) = accuracy(loss, &duel.real.to_vec1::<f32>()?, &duel.generated.to_vec1::<f32>()?);
    let of_generator = |name: &str| !name.starts_with(CLASSIFIER_PREFIX) && !name.starts_with(DISCRIMINATOR_PREFIX);
    let of_true = spread(real)?;
    Ok(DiagnosticRow {
        model: model.to_owned(),
        seed,
        step,
        discriminator_on_real: on_real,
        discriminator_on_generated: on_generated,
        generator_gradient: gradients.norm(of_generator)?,
        discriminator_gradient: gradients.norm(|name| name.starts_with(DISCRIMINATOR_PREFIX))?,
        relative_spread: if of_true > 0.0 { spread(&generated.detach())? / of_true } else { 1.0 },
    })
}

/// How much the images of a batch differ: the mean over all pixels of their standard deviation over the batch.
fn spread(images: &Tensor) -> Result<f64> {
    let mean = images.mean_keepdim(0)?;
    let deviation = images.broadcast_sub(&mean)?.sqr()?.mean_keepdim(0)?.sqrt()?;
    Ok(f64::from(deviation.mean_all()?.to_scalar::<f32>()?))
}

/// What a run's figures warn of, in sentences.
pub(crate) fn warnings(rows: &[DiagnosticRow]) -> Vec<String> {
    let mut sentences = Vec::new();
    let Some(last) = rows.last() else { return sentences };
    if last.relative_spread < LEAST_SPREAD {
        sentences.push(format!(
            "collapse: at step {} generated images differ from each other {:.2} times as much as the true ones; lower the adversarial weight or the discriminator's learning rate",
            last.step, last.relative_spread
        ));
    }
    let latter = &rows[rows.len() / 2..];
    if latter.iter().all(|row| row.discriminator_on_real >= SURE && row.discriminator_on_generated >= SURE) {
        sentences.push(format!(
            "the discriminator has won: since step {} it was right on {:.0} % or more of real and of generated images, so it tells the generator little; lower its learning rate or regularise it more",
            latter.first().map_or(0, |row| row.step),
            SURE * 100.0
        ));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn row(step: u64, on_real: f64, on_generated: f64, relative_spread: f64) -> DiagnosticRow {
        DiagnosticRow {
            model: "m".to_owned(),
            seed: 0,
            step,
            discriminator_on_real: on_real,
            discriminator_on_generated: on_generated,
            generator_gradient: 1.0,
            discriminator_gradient: 1.0,
            relative_spread,
        }
    }

    /// Two images of two pixels, (0, 1) and (2, 1): deviations 1 and 0, their mean 0.5.
    #[test]
    fn spread_by_hand() -> Result<()> {
        let images = Tensor::new(&[[[[0f32, 1.]]], [[[2., 1.]]]], &Device::Cpu)?;
        assert_eq!(spread(&images)?, 0.5);
        assert_eq!(spread(&images.narrow(0, 0, 1)?)?, 0.0);
        Ok(())
    }

    #[test]
    fn collapse_and_a_discriminator_that_has_won_are_told() {
        assert!(warnings(&[]).is_empty());
        let sound = [row(10, 0.9, 0.8, 0.9), row(20, 0.99, 0.7, 0.8)];
        assert!(warnings(&sound).is_empty(), "{:?}", warnings(&sound));
        let collapsed = [row(10, 0.9, 0.8, 0.9), row(20, 0.9, 0.7, 0.4)];
        assert!(
            matches!(&warnings(&collapsed)[..], [one] if one.contains("collapse: at step 20") && one.contains("0.40"))
        );
        // Won in the latter half alone.
        let won = [row(10, 0.5, 0.5, 0.9), row(20, 0.5, 0.5, 0.9), row(30, 1.0, 0.99, 0.9), row(40, 1.0, 1.0, 0.9)];
        assert!(matches!(&warnings(&won)[..], [one] if one.contains("since step 30")));
        assert!(warnings(&won[..3]).is_empty());
        // Right of one kind alone, it takes everything for that kind and has won nothing.
        for (on_real, on_generated) in [(1.0, 0.5), (0.5, 1.0)] {
            assert!(warnings(&[row(10, on_real, on_generated, 0.9), row(20, on_real, on_generated, 0.9)]).is_empty());
        }
    }
}
