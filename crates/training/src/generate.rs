//! One image from a trained model: `cargo xtask generate`.

use std::path::{Path, PathBuf};

use candle_core::Device;
use multigen_data::randomness::keyed_rng;
use multigen_data::sets::digits;
use multigen_data::{Combination, DigitsConfig, Factors};
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

/// The run to draw from: of the model that is asked for, or of the best operator model; the most thoroughly trained on
/// the fewest held-out combinations, and of equal ones the newest.
///
/// # Errors
/// When nothing is trained yet.
pub fn choose(runs: Vec<TrainedRun>, model: Option<&str>) -> Result<TrainedRun> {
    // In the order of the targets that they reach (SPEC §7).
    const BEST_FIRST: [&str; 4] =
        ["operator-affine", "operator-attention", "operator-latent", "operator-affine-random"];
    let wanted: Vec<&str> = model.map_or_else(|| BEST_FIRST.to_vec(), |model| vec![model]);
    let rank = |run: &TrainedRun| wanted.iter().position(|name| *name == run.config.model);
    runs.into_iter()
        .filter(|run| rank(run).is_some())
        .min_by_key(|run| {
            (
                rank(run),
                std::cmp::Reverse(run.config.training.steps),
                run.config.data.held_out.len(),
                std::cmp::Reverse(run.written),
            )
        })
        .ok_or_else(|| {
            let name = model.unwrap_or("operator");
            Error::config(
                "generate",
                format!("no trained {name} model yet; train one with `cargo xtask reproduce result-3`"),
            )
        })
}

/// The factors that a run's levels are named by.
///
/// # Errors
/// When the run's data has an impossible number of transforms.
pub fn factors(run: &TrainedRun) -> Result<Factors> {
    Ok(digits::factors(DigitsConfig { transforms: run.config.data.transforms })?)
}

/// Draws one combination, clamped to [0, 1], `[3, h, w]`.
///
/// # Errors
/// When the weights cannot be read or a level does not exist.
pub fn image(run: &TrainedRun, combination: &Combination, device: &Device) -> Result<Array3<f32>> {
    let config = &run.config;
    let generator = Generator::new(&config.model, &config.network, device, &mut keyed_rng(config.seed, "weights", 0))?;
    let path = run.dir.join("weights.safetensors");
    generator.params().load(&path.display().to_string(), &checkpoint::load_weights(&path, &config.hash()?)?)?;
    let row: Vec<u32> = combination.iter().map(|&level| level as u32).collect();
    let drawn = generator.forward(&LevelTable::from_rows([row.as_slice()])?)?;
    let (_, c, h, w) = drawn.images.dims4()?;
    let pixels = drawn.images.flatten_all()?.to_vec1::<f32>()?;
    let image = Array3::from_shape_vec((c, h, w), pixels).map_err(|e| Error::config("generate", e.to_string()))?;
    Ok(multigen_measure::clamp_to_unit(image.view()))
}
