//! The images of an experiment: where they come from, what is true of them, and what judges them.

use std::path::PathBuf;
use std::rc::Rc;

use multigen_data::sets::{digits, faces};
use multigen_data::{DigitsConfig, FacesConfig, ImageSet, MnistSource, Part};
use multigen_measure::BaselineOptions;

use crate::experiment::Experiment;
use crate::judging::{Handwriting, Images, Lessons, sha256_of_set};
use crate::run_config::SetConfig;
use crate::{Error, Result};

/// Where images come from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// MNIST.
    pub mnist: MnistSource,
    /// Keeps drawn faces from one command to the next.
    pub drawn_faces: PathBuf,
}

/// The images of an experiment: loaded once, split per seed.
pub struct Data {
    set: ImageSet,
    /// The same images without noise, where the set has some.
    without_noise: Option<ImageSet>,
    config: SetConfig,
    sources: Sources,
    sha256: String,
    note: String,
}

impl Data {
    /// Loads the images of a set.
    ///
    /// # Errors
    /// When files cannot be read, or there is no such set.
    pub fn load(config: &SetConfig, sources: &Sources) -> Result<Self> {
        let (set, without_noise, note) = match config {
            SetConfig::Digits { transforms } => {
                let train = sources.mnist.load(Part::Train)?;
                let set = digits::build(&train, DigitsConfig { transforms: *transforms })?;
                let whence = match &sources.mnist {
                    MnistSource::Embedded { .. } => "real MNIST handwriting, the embedded copy".to_owned(),
                    MnistSource::Directory(dir) => format!("MNIST files of {}", dir.display()),
                };
                let note = format!(
                    "{} combinations of digit, style, colour and transform, from {whence}; style k of a digit is its k-th image in MNIST's training order.",
                    set.len()
                );
                (set, None, note)
            }
            SetConfig::Faces { named, size } => {
                let config = faces::named(named, *size)?.config;
                let drawn = |noise| faces::build_cached(&FacesConfig { noise, ..config.clone() }, &sources.drawn_faces);
                let set = drawn(true)?;
                let note = format!(
                    "{} images of drawn faces (drawing {}), shaped like {named}, {size}×{size} pixels, with noise of σ = {:.3}; figures are taken against the drawing without noise, which would itself be {:.1} dB away from its noisy image.",
                    set.len(),
                    faces::DRAWING_VERSION,
                    faces::SIGMA,
                    faces::psnr_ceiling_db(f64::from(faces::SIGMA)),
                );
                (set, Some(drawn(false)?), note)
            }
        };
        let sha256 = sha256_of_set(&set);
        Ok(Self { set, without_noise, config: config.clone(), sources: sources.clone(), sha256, note })
    }

    /// The images of some experiments; experiments on the same set share them.
    ///
    /// # Errors
    /// As [`Data::load`].
    pub fn load_all(experiments: &[Experiment], sources: &Sources) -> Result<Vec<Rc<Self>>> {
        let mut all: Vec<Rc<Self>> = Vec::new();
        for experiment in experiments {
            let data = match all.iter().find(|data| data.config == experiment.data.set) {
                Some(data) => data.clone(),
                None => Rc::new(Self::load(&experiment.data.set, sources)?),
            };
            all.push(data);
        }
        Ok(all)
    }

    /// The images that training sees.
    pub fn set(&self) -> &ImageSet {
        &self.set
    }

    /// What generated images are measured against.
    pub fn truth(&self) -> &ImageSet {
        self.without_noise.as_ref().unwrap_or(&self.set)
    }

    /// SHA-256 of pixels and combinations.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What must be known of the images, for reports.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// What a judge of these images learns from.
    ///
    /// # Errors
    /// When files cannot be read.
    pub fn lessons(&self) -> Result<Box<dyn Lessons>> {
        match &self.config {
            SetConfig::Digits { transforms } => {
                Ok(Box::new(Handwriting::new(&self.sources.mnist, DigitsConfig { transforms: *transforms })?))
            }
            SetConfig::Faces { named, size } => {
                let config = faces::named(named, *size)?.config;
                let drawn = |sessions: Vec<u32>| {
                    faces::build_cached(&FacesConfig { sessions, ..config.clone() }, &self.sources.drawn_faces)
                };
                // Two sessions more than any generator sees: one to learn from and one for the test.
                let description =
                    "all persons and emotions of the drawn faces in sessions A, B and C, tested on session D";
                let factors: Vec<&str> = ["person", "emotion", "transform"]
                    .into_iter()
                    .filter(|factor| self.set.factors.position(factor).is_ok())
                    .collect();
                Ok(Box::new(Images::new(drawn(vec![0, 1, 2])?, drawn(vec![3])?, &factors, description)?))
            }
        }
    }

    /// What the baselines of this set are.
    ///
    /// # Errors
    /// When the set lacks a factor of its kind.
    pub fn baselines(&self) -> Result<BaselineOptions<'static>> {
        let position = |factor: &str| self.set.factors.position(factor).map_err(Error::from);
        Ok(match &self.config {
            SetConfig::Digits { .. } => BaselineOptions {
                additive_within: Some(position("colour")?),
                mean_over: Some((position("style")?, "baseline: mean of the same digit")),
                own: None,
            },
            // No sum of effects turns an image, so the additive model is one model per transform.
            SetConfig::Faces { .. } => BaselineOptions {
                additive_within: Some(position("transform")?),
                mean_over: Some((position("emotion")?, "baseline: mean of the same person")),
                own: None,
            },
        })
    }
}
