//! What a timed step trains: a named network, a random batch and its loss.

use candle_core::{Device, Tensor};
use multigen_data::randomness::keyed_rng;
use multigen_models::{AlexNet, Dropout, Error as NetworkError, Generator, LevelTable, Params, presets};
use multigen_ops::softmax_cross_entropy;
use rand::{Rng, RngExt};

use crate::Result;
use crate::objective::{self, Targets};
use crate::run_config::{Reconstruction, TrainingConfig};
use crate::schedule::Schedule;

/// The networks that can be timed: every named generator and classifier.
pub fn networks() -> Vec<&'static str> {
    [&presets::GENERATORS[..], &presets::CLASSIFIERS].concat()
}

/// Images per step in the research's training of a network (SPEC §4, §5), or 128 where it has none. At 71×71 pixels
/// classifiers take 32, as the generators that they work with.
///
/// # Errors
/// When the network is unknown.
pub fn default_batch(net: &str) -> Result<usize> {
    check_name(net)?;
    Ok(match net {
        "digits-v1" => 64,
        "alexnet-multitask" => 48,
        "kdef-small" | "kdef-large" | "alexnet-71" | "alexnet-71-s2" | "alexnet-compact-71" => 32,
        "mmi-small" | "mmi-large" | "mmi-figure" => 8,
        _ => 128,
    })
}

/// GFLOP of a step by layer, as [`super::step`] counts them; none where no image has a count of its own.
///
/// # Errors
/// When the network is unknown.
pub fn layer_gflop(net: &str, batch: usize) -> Result<Option<Vec<(String, f64)>>> {
    check_name(net)?;
    // How often a layer's multiplications happen: forward, for the weights' gradient, and for the inputs'.
    let (counts, first_layer_passes) = match is_classifier(net) {
        true => (Some(presets::classifier(net)?.multiplications(net)?), 2.0),
        false => (presets::generator(net)?.multiplications(), 3.0),
    };
    let of_layer = |(i, (layer, n)): (usize, (String, u64))| {
        (layer, 2.0 * batch as f64 * n as f64 * if i == 0 { first_layer_passes } else { 3.0 } / 1e9)
    };
    Ok(counts.map(|counts| counts.into_iter().enumerate().map(of_layer).collect()))
}

fn is_classifier(net: &str) -> bool {
    presets::CLASSIFIERS.contains(&net)
}

fn check_name(net: &str) -> Result<()> {
    match networks().contains(&net) {
        true => Ok(()),
        false => Err(NetworkError::UnknownNetwork { name: net.to_owned(), known: networks().join(", ") }.into()),
    }
}

/// A network with a batch and a solver.
pub(super) struct Workload {
    solver: TrainingConfig,
    task: Task,
}

/// What the network does with its batch.
enum Task {
    Drawing { generator: Generator, levels: LevelTable, targets: Targets },
    Reading { params: Params, classifier: AlexNet, images: Tensor, labels: Vec<Tensor> },
}

impl Workload {
    pub(super) fn new(net: &str, batch: usize, device: &Device) -> Result<Self> {
        check_name(net)?;
        let task = match is_classifier(net) {
            true => reading(net, batch, device)?,
            false => drawing(net, batch, device)?,
        };
        Ok(Self { solver: solver(batch), task })
    }

    pub(super) fn params(&self) -> &Params {
        match &self.task {
            Task::Drawing { generator, .. } => generator.params(),
            Task::Reading { params, .. } => params,
        }
    }

    pub(super) fn solver(&self) -> &TrainingConfig {
        &self.solver
    }

    /// The loss of the batch; `step` chooses what dropout drops.
    pub(super) fn loss(&self, step: usize) -> Result<Tensor> {
        match &self.task {
            Task::Drawing { generator, levels, targets } => {
                objective::loss(&generator.forward(levels)?, targets, &self.solver)
            }
            Task::Reading { classifier, images, labels, .. } => {
                let dropout = Dropout::Keyed(keyed_rng(0, "bench dropout", step as u64).next_u64());
                let logits = classifier.forward(images, dropout)?;
                let mut total = Tensor::zeros((), images.dtype(), images.device())?;
                for (logits, labels) in logits.iter().zip(labels) {
                    total = (total + softmax_cross_entropy(logits, labels)?)?;
                }
                Ok(total)
            }
        }
    }
}

fn drawing(net: &str, batch: usize, device: &Device) -> Result<Task> {
    let mut rng = keyed_rng(0, "bench", 0);
    let config = presets::generator(net)?;
    let size = config.image_size(net)?;
    let generator = Generator::new(net, &config, device, &mut rng)?;
    let columns = config.factors().iter().map(|(_, n)| random_levels(*n, batch, &mut rng)).collect();
    let levels = LevelTable::from_columns(columns)?;
    let images = random_images(batch, size, device, &mut rng)?;
    let masks = match config.has_mask_head() {
        false => None,
        true => Some(Tensor::from_vec(random_levels(2, batch * size * size, &mut rng), batch * size * size, device)?),
    };
    Ok(Task::Drawing { generator, levels, targets: Targets { images, masks } })
}

fn reading(net: &str, batch: usize, device: &Device) -> Result<Task> {
    let mut rng = keyed_rng(0, "bench", 0);
    let config = presets::classifier(net)?;
    let mut params = Params::new(device);
    let classifier = AlexNet::build(&mut params, net, &config, &mut rng)?;
    let images = random_images(batch, config.image_size, device, &mut rng)?;
    let labels = config
        .factors()
        .iter()
        .map(|(_, n)| Ok(Tensor::from_vec(random_levels(*n, batch, &mut rng), batch, device)?))
        .collect::<Result<_>>()?;
    Ok(Task::Reading { params, classifier, images, labels })
}

fn random_levels(n_levels: usize, n: usize, rng: &mut impl Rng) -> Vec<u32> {
    (0..n).map(|_| rng.random_range(0..n_levels as u32)).collect()
}

/// `[batch, 3, size, size]`, uniform in [0, 1).
fn random_images(batch: usize, size: usize, device: &Device, rng: &mut impl Rng) -> Result<Tensor> {
    let pixels: Vec<f32> = (0..batch * 3 * size * size).map(|_| rng.random()).collect();
    Ok(Tensor::from_vec(pixels, (batch, 3, size, size), device)?)
}

/// The research's solver for digits: what a step costs does not depend on its figures.
fn solver(batch: usize) -> TrainingConfig {
    TrainingConfig {
        steps: 1,
        batch,
        learning_rate: 2e-4,
        beta1: 0.9,
        beta2: 0.99,
        weight_decay: 0.01,
        schedule: Schedule::Constant,
        reconstruction_weight: 1.0,
        mask_weight: 1.0,
        evaluate_every: 1,
        checkpoint_every: 1,
        reconstruction: Reconstruction::default(),
        cooperation: None,
        adversarial: None,
        phases: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_classifiers_step_has_the_arithmetic_of_its_layers_but_no_gradient_of_the_images() -> Result<()> {
        // Millions of multiplications of an image. alexnet-71-s2: conv1 31² pixels · 3·96·121 = 33.49, conv2
        // 15² · 96·256·25 = 138.24, conv3 7² · 256·384·9 = 43.35, conv4 65.03, conv5 43.35; person 2304·4096 + 4096² +
        // 4096·65 = 26.48, emotion 2304·1024 + 1024·4096 + 4096·4 = 6.57. Together 356.51.
        // alexnet-71: conv1 61² · 34,848 = 129.67, conv2 30² · 614,400 = 552.96, conv3 to conv5 15² · (884,736 + 1,327,104
        // + 884,736) = 696.73, heads on 256·7·7 = 12,544 features 68.42 + 17.06. Together 1464.84.
        // Six operations each, less the two of conv1's inputs. A count of six for every layer would give 68.5 and 281.3.
        let gflop = |net: &str, batch: usize| -> Result<Option<f64>> {
            Ok(layer_gflop(net, batch)?.map(|layers| layers.iter().map(|(_, n)| n).sum()))
        };
        for (net, all, conv1, expected) in
            [("alexnet-71-s2", 356.51, 33.49, 66.31), ("alexnet-71", 1464.84, 129.67, 272.95)]
        {
            let found = gflop(net, 32)?.expect("classifiers are counted");
            assert!((found - 0.032 * (6.0 * all - 2.0 * conv1)).abs() < 0.01, "{net}: {found}");
            assert!((found - expected).abs() < 0.01, "{net}: {found}");
        }
        // Every layer of a generator counts in full: 85,368,704 multiplications.
        let generator = gflop("digits-v2", 128)?.expect("counted");
        assert!((generator - 6.0 * 128.0 * 85_368_704.0 / 1e9).abs() < 1e-9, "{generator}");
        assert_eq!(gflop("operator-affine", 128)?, None);
        Ok(())
    }

    #[test]
    fn every_network_has_a_batch_and_others_are_named_in_the_error() -> Result<()> {
        for (net, batch) in [
            ("alexnet-71", 32),
            ("alexnet-71-s2", 32),
            ("alexnet-multitask", 48),
            ("alexnet-28", 128),
            ("digits-v2", 128),
        ] {
            assert!(networks().contains(&net), "{net}");
            assert_eq!(default_batch(net)?, batch, "{net}");
        }
        let errors = [default_batch("alexnet-72").err(), layer_gflop("alexnet-72", 1).err()];
        for error in errors {
            let error = error.map(|e| e.to_string()).unwrap_or_default();
            assert!(
                error.contains("'alexnet-72'") && error.contains("digits-v2") && error.contains("alexnet-71,"),
                "{error}"
            );
        }
        Ok(())
    }

    #[test]
    fn a_classifiers_loss_is_the_sum_over_heads_and_its_dropout_that_of_the_step() -> Result<()> {
        let workload = Workload::new("alexnet-28", 16, &Device::Cpu)?;
        let loss = |step: usize| -> Result<f32> { Ok(workload.loss(step)?.to_scalar()?) };
        // At the start nothing is known of the labels: about ln of the product of the numbers of levels.
        let guessing = (10.0f32 * 10.0 * 3.0 * 6.0).ln();
        assert!((loss(0)? - guessing).abs() < 0.3 * guessing, "{} and {guessing}", loss(0)?);
        assert_eq!(loss(0)?, loss(0)?);
        assert_ne!(loss(0)?, loss(1)?);
        Ok(())
    }
}
