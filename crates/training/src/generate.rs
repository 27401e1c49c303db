//! One image from a trained model: `cargo xtask generate`.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use multigen_data::randomness::keyed_rng;
use multigen_data::{Factors, Mixture};
use multigen_models::{Generator, LevelTable};
use ndarray::Array3;

use crate::run_config::{RunConfig, SetConfig};
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

/// What is to be drawn, and by which of the trained runs.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// A level or a mixture of every factor: `person=4:0.5,7:0.5 emotion=happy`.
    pub label: &'a str,
    /// The model; without it the best.
    pub model: Option<&'a str>,
    /// The name of the run's folder; without it the best.
    pub run: Option<&'a str>,
}

/// The run that a wish leads to.
#[derive(Debug)]
pub struct Chosen {
    /// The run.
    pub run: TrainedRun,
    /// What is wished, in its levels.
    pub mixture: Mixture,
    /// The best runs of other sets of images that have these levels as well: what they were trained on, and their folders'
    /// names.
    pub others: Vec<(String, String)>,
}

impl TrainedRun {
    /// The name of its folder.
    pub fn name(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The images that it was trained on. Drawn faces, photographs and other files of the same name differ in their hash.
    pub fn images(&self) -> String {
        let hash = self.config.data_sha256.chars().take(8).collect::<String>();
        // Which of the two stands in no run's configuration, but in the report of its experiment.
        let kind = match self.config.data.set {
            SetConfig::Faces { .. } => "drawn faces, or your photographs, of ",
            SetConfig::Digits { .. } | SetConfig::Custom(_) => "",
        };
        format!("{kind}{} (images {hash})", self.config.data.set)
    }
}

/// The run to draw from, of those that have the factors and the levels that are named: of the model that is asked for, or
/// of the best; of its runs the one with most steps, then most training images, then the newest.
///
/// # Errors
/// When nothing is trained yet on such factors, or nothing that is has these levels.
pub fn choose(mut runs: Vec<TrainedRun>, wish: Wish) -> Result<Chosen> {
    // In the order of the targets that they reach (SPEC §7).
    const BEST_FIRST: [&str; 6] = [
        "operator-affine",
        "operator-attention",
        "operator-latent",
        "operator-affine-random",
        "portrait",
        "operator-emotion-transform",
    ];
    if let Some(name) = wish.run {
        runs.retain(|run| run.name() == name);
        if runs.is_empty() {
            return Err(Error::config(
                format!("--run {name}"),
                "no trained run of this name; expected that of a folder in results/cache/runs",
            ));
        }
    }
    let factors: Vec<&str> = wish.label.split_whitespace().filter_map(|part| part.split('=').next()).collect();
    runs.retain(|run| {
        let own = &run.config.factors;
        wish.model.is_none_or(|model| model == run.config.model)
            && own.len() == factors.len()
            && own.iter().all(|factor| factors.contains(&factor.name.as_str()))
    });
    runs.sort_by_key(|run| {
        let model = &run.config.model;
        let rank = BEST_FIRST.iter().position(|name| name == model).unwrap_or(BEST_FIRST.len());
        (rank, Reverse((run.config.training.steps, run.config.training_images, run.written)))
    });
    // Two sets may have factors of the same names, but not these levels.
    let mut wanting = None;
    let mut able: Vec<(TrainedRun, Mixture)> = Vec::new();
    for run in runs {
        match Mixture::parse(&Factors::new(run.config.factors.clone())?, wish.label) {
            Ok(mixture) => able.push((run, mixture)),
            Err(error) => drop(wanting.get_or_insert(error)),
        }
    }
    let mut able = able.into_iter();
    let Some((run, mixture)) = able.next() else {
        return Err(wanting.map_or_else(|| untrained(wish.model, &factors), Error::from));
    };
    let mut others: Vec<(String, String)> = Vec::new();
    for (other, _) in able {
        let images = other.images();
        if images != run.images() && !others.iter().any(|(known, _)| *known == images) {
            others.push((images, other.name()));
        }
    }
    Ok(Chosen { run, mixture, others })
}

fn untrained(model: Option<&str>, factors: &[&str]) -> Error {
    let name = model.map_or_else(String::new, |model| format!("{model} "));
    let factors = factors.join(", ");
    Error::config(
        "generate",
        format!("no trained {name}model of the factors {factors} yet; train one with `cargo xtask reproduce result-3`"),
    )
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
    use crate::run_config::{DataConfig, SetConfig, Styles, TrainingConfig};

    /// A run with `steps` steps and so many training images, written `age` seconds ago; its folder is named `dir`.
    fn run(dir: &str, model: &str, steps: u64, training_images: usize, age: u64) -> TrainedRun {
        let training = TrainingConfig::in_steps(steps);
        let config = RunConfig {
            model: model.to_owned(),
            network: presets::generator(model).unwrap(),
            data: DataConfig {
                set: SetConfig::Digits { transforms: 6, styles: Styles::Handwritten },
                held_out: Vec::new(),
            },
            factors: vec![Factor::numbered("digit", 10)],
            training_images,
            data_sha256: String::new(),
            training,
            device: "cpu".to_owned(),
            seed: 0,
        };
        TrainedRun { config, dir: dir.into(), written: SystemTime::UNIX_EPOCH + Duration::from_secs(1000 - age) }
    }

    fn wish<'a>(label: &'a str, model: Option<&'a str>) -> Wish<'a> {
        Wish { label, model, run: None }
    }

    #[test]
    fn the_best_model_then_steps_then_training_images_then_the_newest_decide() {
        let chosen =
            |runs: Vec<TrainedRun>, model: Option<&str>| choose(runs, wish("digit=7", model)).unwrap().run.name();
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
        assert_eq!(chosen(runs(), None), "new");
        assert_eq!(chosen(runs(), Some("digits-v2")), "v2");
        let missing = |model, label: &str| choose(runs(), wish(label, model)).unwrap_err().to_string();
        assert!(missing(Some("digits-v1"), "digit=7").contains("no trained digits-v1 model of the factors digit"));
        assert!(missing(None, "person=1 emotion=sad").contains("no trained model of the factors person, emotion"));
        // All of the same images: there is no other set to speak of.
        assert!(choose(runs(), wish("digit=7", None)).unwrap().others.is_empty());
        let of_run = |name| choose(runs(), Wish { run: Some(name), ..wish("digit=7", None) });
        assert_eq!(of_run("few-images").unwrap().run.name(), "few-images");
        assert!(of_run("fewer").unwrap_err().to_string().contains("--run fewer: no trained run of this name"));
    }

    #[test]
    fn a_run_of_another_set_is_not_asked_for_levels_that_it_lacks_nor_taken_in_silence() {
        // Both have one factor `digit`; the better model knows fewer of its levels.
        let runs = || {
            let mut few = run("few-levels", "operator-affine", 900, 1796, 0);
            few.config.factors = vec![Factor::numbered("digit", 3)];
            few.config.data.set = SetConfig::Digits { transforms: 8, styles: Styles::Handwritten };
            let mut other_files = run("other-files", "digits-v2", 900, 1796, 5);
            other_files.config.data_sha256 = "0123456789abcdef".to_owned();
            vec![few, run("ten-levels", "digits-v2", 900, 1796, 0), other_files]
        };
        let seven = choose(runs(), wish("digit=7", None)).unwrap();
        assert_eq!((seven.run.name().as_str(), seven.mixture.combination()), ("ten-levels", Some(vec![7].into())));
        let other_files = ("digits in 6 transforms (images 01234567)".to_owned(), "other-files".to_owned());
        assert_eq!(seven.others, std::slice::from_ref(&other_files));
        // Level 2 is one of all three: the best is taken, and the others are named.
        let two = choose(runs(), wish("digit=2", None)).unwrap();
        assert_eq!(
            (two.run.name().as_str(), two.run.images().as_str()),
            ("few-levels", "digits in 8 transforms (images )")
        );
        assert_eq!(two.others, [("digits in 6 transforms (images )".to_owned(), "ten-levels".to_owned()), other_files]);
        let nobody = choose(runs(), wish("digit=12", None)).unwrap_err().to_string();
        assert!(nobody.contains("no level `12`"), "{nobody}");
    }
}
