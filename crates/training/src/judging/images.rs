//! Lessons from a set of images: all its combinations, those held out from generators included.

use multigen_data::{Batches, ImageSet};

use super::{Lesson, Lessons, sha256_of_set};
use crate::Result;

/// The images of one set, and others that are tested on.
pub struct Images {
    train: ImageSet,
    /// Batches of the size that was asked for last.
    batches: Option<Batches>,
    test: ImageSet,
    test_indices: Vec<usize>,
    heads: Vec<(String, usize)>,
    /// Places of the heads among the factors of the training and of the test images.
    places: Vec<(usize, usize)>,
    identity: String,
    description: String,
}

impl Images {
    /// Learns to read `factors` off all images of `train`; tested on all of `test`, which has these factors too.
    ///
    /// # Errors
    /// When a factor does not exist.
    pub fn new(train: ImageSet, test: ImageSet, factors: &[&str], description: &str) -> Result<Self> {
        let mut heads = Vec::new();
        let mut places = Vec::new();
        for &factor in factors {
            let place = train.factors.position(factor)?;
            heads.push((factor.to_owned(), train.factors.as_slice()[place].n_levels()));
            places.push((place, test.factors.position(factor)?));
        }
        let identity = format!("{} tested on {}", sha256_of_set(&train), sha256_of_set(&test));
        Ok(Self {
            batches: None,
            test_indices: (0..test.len()).collect(),
            train,
            test,
            heads,
            places,
            identity,
            description: description.to_owned(),
        })
    }
}

impl Lessons for Images {
    fn image_size(&self) -> usize {
        self.train.height
    }

    fn heads(&self) -> &[(String, usize)] {
        &self.heads
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    fn batch(&mut self, step: u64, n: usize) -> Result<Lesson> {
        let n = n.min(self.train.len());
        let batches = match self.batches.take().filter(|batches| batches.batch_len() == n) {
            Some(batches) => batches,
            None => Batches::new((0..self.train.len()).collect(), n, 0)?,
        };
        let batch = self.batches.insert(batches).batch(step);
        let gathered = self.train.gather(&batch)?;
        let levels = self.places.iter().map(|&(place, _)| gathered.levels_of(place).to_vec()).collect();
        Ok(Lesson { images: gathered.images, levels })
    }

    fn n_test(&self) -> usize {
        self.test_indices.len()
    }

    fn test(&self, images: std::ops::Range<usize>) -> Result<Lesson> {
        let gathered = self.test.gather(&self.test_indices[images])?;
        let levels = self.places.iter().map(|&(_, place)| gathered.levels_of(place).to_vec()).collect();
        Ok(Lesson { images: gathered.images, levels })
    }
}
