//! What a timed step trains: a named network, a random batch and its loss.

use candle_core::{Device, Tensor};
use multigen_data::randomness::keyed_rng;
use multigen_models::{Generator, LevelTable, Params, presets};
use rand::RngExt;

use crate::Result;
use crate::objective::{self, Targets};
use crate::run_config::TrainingConfig;
use crate::schedule::Schedule;

/// The networks that can be timed.
pub fn networks() -> Vec<&'static str> {
    presets::GENERATORS.to_vec()
}

/// Images per step in the research's training of a network (SPEC §4), or 128 where it has none.
///
/// # Errors
/// When the network is unknown.
pub fn default_batch(net: &str) -> Result<usize> {
    presets::generator(net)?;
    Ok(match net {
        "digits-v1" => 64,
        "kdef-small" | "kdef-large" => 32,
        "mmi-small" | "mmi-large" | "mmi-figure" => 8,
        _ => 128,
    })
}

/// GFLOP of a step by layer, as [`super::step`] counts them; none where no image has a count of its own.
///
/// # Errors
/// When the network is unknown.
pub fn layer_gflop(net: &str, batch: usize) -> Result<Option<Vec<(String, f64)>>> {
    let counts = presets::generator(net)?.multiplications();
    let of_step = |(layer, n): (String, u64)| (layer, 6.0 * batch as f64 * n as f64 / 1e9);
    Ok(counts.map(|counts| counts.into_iter().map(of_step).collect()))
}

/// A network with a batch and a solver.
pub(super) struct Workload {
    solver: TrainingConfig,
    generator: Generator,
    levels: LevelTable,
    targets: Targets,
}

impl Workload {
    pub(super) fn new(net: &str, batch: usize, device: &Device) -> Result<Self> {
        let mut rng = keyed_rng(0, "bench", 0);
        let config = presets::generator(net)?;
        let size = config.image_size(net)?;
        let generator = Generator::new(net, &config, device, &mut rng)?;
        let columns = config
            .factors()
            .iter()
            .map(|(_, n)| (0..batch).map(|_| rng.random_range(0..*n as u32)).collect())
            .collect();
        let levels = LevelTable::from_columns(columns)?;
        let pixels: Vec<f32> = (0..batch * 3 * size * size).map(|_| rng.random()).collect();
        let images = Tensor::from_vec(pixels, (batch, 3, size, size), device)?;
        let masks = match config.has_mask_head() {
            false => None,
            true => {
                let classes: Vec<u32> = (0..batch * size * size).map(|_| rng.random_range(0..2)).collect();
                Some(Tensor::from_vec(classes, batch * size * size, device)?)
            }
        };
        Ok(Self { solver: solver(batch), generator, levels, targets: Targets { images, masks } })
    }

    pub(super) fn params(&self) -> &Params {
        self.generator.params()
    }

    pub(super) fn solver(&self) -> &TrainingConfig {
        &self.solver
    }

    pub(super) fn loss(&self, _step: usize) -> Result<Tensor> {
        objective::loss(&self.generator.forward(&self.levels)?, &self.targets, &self.solver)
    }
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
    }
}
