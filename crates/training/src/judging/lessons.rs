//! What a judge is taught: told without any image, so that a judge in the cache costs none, and gathered for training.

use std::ops::Range;

use candle_core::{Device, Tensor};
use multigen_data::Factors;
use multigen_models::ClassifierConfig;

use crate::Result;

/// What a judge learns to read, and a name for what it learns from.
pub struct Lessons<'a> {
    /// Who learns, for the cache and for progress: `judge`, `classifier`.
    pub reader: &'static str,
    /// Its network, which says what is read.
    pub network: ClassifierConfig,
    /// A name of the images and of what is done with them: other images are another judge.
    pub identity: String,
    /// The seed of its first weights and of what it drops; `identity` names it where it is not the judges'.
    pub seed: u64,
    /// What it is trained and tested on, as the end of a sentence.
    pub description: String,
    /// Gathers the images.
    pub material: Box<dyn Fn() -> Result<Box<dyn Material + 'a>> + 'a>,
}

/// The images of some lessons.
pub trait Material {
    /// The `n` images of a step.
    ///
    /// # Errors
    /// When they cannot be gathered.
    fn batch(&mut self, step: u64, n: usize) -> Result<Lesson>;
    /// How many images there are for the test.
    fn n_test(&self) -> usize;
    /// Some of the images for the test.
    ///
    /// # Errors
    /// When they cannot be gathered.
    fn test(&self, images: Range<usize>) -> Result<Lesson>;
    /// Whether the test tells how well a factor is read.
    fn tells(&self, _factor: &str) -> bool {
        true
    }
    /// Images of which some are left out for the test, where all images that there are teach the judge: a twin that
    /// learns from them stands for the judge's accuracy.
    ///
    /// # Errors
    /// When the images cannot be parted.
    fn twin(&self) -> Result<Option<Box<dyn Material>>> {
        Ok(None)
    }
}

/// Some labelled images.
pub struct Lesson {
    /// Pixels, n × 3 × h × w.
    pub images: Vec<f32>,
    /// Per head, the level of each image.
    pub levels: Vec<Vec<u32>>,
}

impl Lesson {
    /// The images `[n, 3, size, size]` and per head the levels `[n]`.
    pub(super) fn tensors(self, size: usize, device: &Device) -> Result<(Tensor, Vec<Tensor>)> {
        let n = self.levels.first().map_or(0, Vec::len);
        let images = Tensor::from_vec(self.images, (n, 3, size, size), device)?;
        let levels = self.levels.iter().map(|levels| Ok(Tensor::new(levels.as_slice(), device)?));
        Ok((images, levels.collect::<Result<_>>()?))
    }
}

/// The heads of a judge that reads these factors.
///
/// # Errors
/// When a factor does not exist.
pub(crate) fn heads(factors: &Factors, read: &[&str]) -> Result<Vec<(String, usize)>> {
    read.iter()
        .map(|&factor| Ok((factor.to_owned(), factors.as_slice()[factors.position(factor)?].n_levels())))
        .collect()
}
