//! One image from a trained model: `cargo xtask generate`.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use multigen_data::randomness::keyed_rng;
use multigen_data::{Factors, Mixture};
use multigen_models::{Generator, LevelTable};
use ndarray::Array3;

use crate::run_config::RunConfig;
use crate::{Error, Result, checkpoint};

/// A trained run in the cache.
#[derive(Debug)]
pub struct TrainedRun {
    /// Its configuration.
    pub config: RunConfig,
    /// Its folder.
    pub dir: PathBuf,
    /// When its weights were written.
    written: std::time::SystemTime,
}

/// The complete runs in the cache; a folder that holds none is skipped.
///
/// # Errors
/// When a run's configuration cannot be read.
pub fn trained_runs(cache: &Path) -> Result<Vec<TrainedRun>> {
    let Ok(entries) = std::fs::read_dir(cache.join("runs")) else { return Ok(Vec::new()) };
    let mut runs = Vec::new();
    for dir in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        let Ok(written) = std::fs::metadata(dir.join("weights.safetensors")).and_then(|m| m.modified()) else {
            continue;
        };
        let path = dir.join("run.json");
        let text = std::fs::read_to_string(&path).map_err(|e| Error::file(&path, format!("cannot be read ({e})")))?;
        let config = serde_json::from_str(&text)
            .map_err(|e| Error::file(&path, format!("was written by another version ({e}); delete its folder")))?;
        runs.push(TrainedRun { config, dir, written });
    }
    Ok(runs)
}

/// The run to draw from, of those with the factors that are named: of the model that is asked for, or of the best; of its
/// runs the one with most steps, then most training images, then the newest.
///
/// # Errors
/// When nothing is trained yet on such factors.
pub fn choose(runs: Vec<TrainedRun>, model: Option<&str>, factors: &[&str]) -> Result<TrainedRun> {
    // In the order of the targets that they reach (SPEC §7).
    const BEST_FIRST: [&str; 6] = [
        "operator-affine",
        "operator-attention",
        "operator-latent",
        "operator-affine-random",
        "portrait",
        "operator-emotion-transform",
    ];
    let has_factors = |run: &TrainedRun| {
        let own = &run.config.factors;
        own.len() == factors.len() && own.iter().all(|factor| factors.contains(&factor.name.as_str()))
    };
    let mut best = None;
    for run in runs.into_iter().filter(has_factors) {
        let rank = match model {
            Some(model) if model != run.config.model => continue,
            Some(_) => 0,
            None => BEST_FIRST.iter().position(|name| *name == run.config.model).unwrap_or(BEST_FIRST.len()),
        };
        let key = (Reverse(rank), run.config.training.steps, run.config.training_images, run.written);
        if best.as_ref().is_none_or(|(best, _)| *best < key) {
            best = Some((key, run));
        }
    }
    best.map(|(_, run)| run).ok_or_else(|| {
        let name = model.map_or_else(String::new, |model| format!("{model} "));
        let factors = factors.join(", ");
        Error::config(
            "generate",
            format!(
                "no trained {name}model of the factors {factors} yet; train one with `cargo xtask reproduce result-3`"
            ),
        )
    })
}

/// The factors that a run's levels are named by.
///
/// # Errors
/// When the run's record names a factor or a level twice.
pub fn factors(run: &TrainedRun) -> Result<Factors> {
    Ok(Factors::new(run.config.factors.clone())?)
}

/// Draws one combination or a mixture of levels, clamped to [0, 1], `[3, h, w]`.
///
/// # Errors
/// When the weights cannot be read or the mixture is one of other factors.
pub fn image(run: &TrainedRun, mixture: &Mixture, device: &Device) -> Result<Array3<f32>> {
    let config = &run.config;
    let generator = Generator::new(&config.model, &config.network, device, &mut keyed_rng(config.seed, "weights", 0))?;
    let path = run.dir.join("weights.safetensors");
    generator.params().load(&path.display().to_string(), &checkpoint::load_weights(&path, &config.hash()?)?)?;
    let drawn = match mixture.combination() {
        Some(combination) => {
            let row: Vec<u32> = combination.iter().map(|&level| level as u32).collect();
            generator.forward(&LevelTable::from_rows([row.as_slice()])?)?
        }
        None => {
            let code = |weights: &[f64]| {
                let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
                Ok(Tensor::from_slice(&weights, (1, weights.len()), device)?) // [1, levels]
            };
            generator.forward_mixed(&mixture.weights().map(code).collect::<Result<Vec<_>>>()?)?
        }
    };
    let (_, c, h, w) = drawn.images.dims4()?;
    let pixels = drawn.images.flatten_all()?.to_vec1::<f32>()?;
    let image = Array3::from_shape_vec((c, h, w), pixels).map_err(|e| Error::config("generate", e.to_string()))?;
    Ok(multigen_measure::clamp_to_unit(image.view()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use multigen_data::Factor;
    use multigen_models::presets;

    use super::*;
    use crate::run_config::{DataConfig, SetConfig, TrainingConfig};
    use crate::schedule::Schedule;

    /// A run with `steps` steps and so many training images, written `age` seconds ago; its folder is named `dir`.
    fn run(dir: &str, model: &str, steps: u64, training_images: usize, age: u64) -> TrainedRun {
        let training = TrainingConfig {
            steps,
            batch: 1,
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.0,
            schedule: Schedule::Constant,
            reconstruction_weight: 1.0,
            mask_weight: 0.0,
            evaluate_every: 1,
            checkpoint_every: 1,
        };
        let config = RunConfig {
            model: model.to_owned(),
            network: presets::generator(model).unwrap(),
            data: DataConfig { set: SetConfig::Digits { transforms: 6 }, held_out: Vec::new() },
            factors: vec![Factor::numbered("digit", 10)],
            training_images,
            data_sha256: String::new(),
            training,
            device: "cpu".to_owned(),
            seed: 0,
        };
        TrainedRun { config, dir: dir.into(), written: SystemTime::UNIX_EPOCH + Duration::from_secs(1000 - age) }
    }

    #[test]
    fn the_best_model_then_steps_then_training_images_then_the_newest_decide() {
        let chosen = |runs: Vec<TrainedRun>, model: Option<&str>| choose(runs, model, &["digit"]).unwrap().dir;
        let runs = || {
            vec![
                run("attention", "operator-attention", 9000, 1796, 0),
                run("short", "operator-affine", 12, 1796, 0),
                run("old", "operator-affine", 900, 1796, 9),
                // It holds out 70 % of all combinations instead of four.
                run("few-images", "operator-affine", 900, 540, 0),
                run("new", "operator-affine", 900, 1796, 5),
                run("v2", "digits-v2", 900, 1796, 0),
            ]
        };
        assert_eq!(chosen(runs(), None), Path::new("new"));
        assert_eq!(chosen(runs(), Some("digits-v2")), Path::new("v2"));
        let missing = |model, factors: &[&str]| choose(runs(), model, factors).unwrap_err().to_string();
        assert!(missing(Some("digits-v1"), &["digit"]).contains("no trained digits-v1 model of the factors digit"));
        assert!(missing(None, &["person", "emotion"]).contains("no trained model of the factors person, emotion"));
    }
}
