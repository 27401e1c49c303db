//! Lessons from a set of images: all its combinations, those held out from generators included.

use std::collections::BTreeMap;

use multigen_data::{Batches, ImageSet};

use super::{Lesson, Lessons, sha256_of_set};
use crate::{Error, Result};

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

/// One of this many photos is what a twin is tested on.
const TWIN_PART: usize = 5;

impl Images {
    /// Learns from all images of a set; how well it reads is told by a twin that learns from four fifths of them.
    ///
    /// # Errors
    /// When a factor does not exist.
    pub fn of_one_set(set: ImageSet, factors: &[&str]) -> Result<Self> {
        let nothing = part(&set, |_| false)?;
        let description = "all images of the set; its accuracy is that of a twin, trained in the same way on four fifths of the photos in all their transforms and tested on the rest";
        Self::new(set, nothing, factors, description)
    }
}

/// Some images of a set.
fn part(set: &ImageSet, is_in: impl Fn(usize) -> bool) -> Result<ImageSet> {
    let chosen: Vec<usize> = (0..set.len()).filter(|&i| is_in(i)).collect();
    let combinations = chosen.iter().filter_map(|&i| set.combinations.get(i).cloned()).collect();
    Ok(ImageSet { images: set.gather(&chosen)?.images, masks: None, combinations, ..set.clone() })
}

impl Lessons for Images {
    fn twin(&self) -> Result<Option<Box<dyn Lessons>>> {
        if self.n_test() > 0 {
            return Ok(None);
        }
        // Photos are dealt out by their labels but for the transform, so that no photo is on both sides.
        let transform = self.train.factors.position("transform").ok();
        let mut photos = BTreeMap::new();
        let mut tested = Vec::with_capacity(self.train.len());
        for combination in &self.train.combinations {
            let labels: Vec<usize> = combination
                .iter()
                .enumerate()
                .filter(|(i, _)| Some(*i) != transform)
                .map(|(_, level)| *level)
                .collect();
            let next = photos.len();
            tested.push(*photos.entry(labels).or_insert(next) % TWIN_PART == TWIN_PART - 1);
        }
        if !tested.contains(&true) {
            return Err(Error::config(
                "judge",
                format!(
                    "{} images are too few to tell how well it reads: expected at least {TWIN_PART} different ones",
                    self.train.len()
                ),
            ));
        }
        let factors: Vec<&str> = self.heads.iter().map(|(factor, _)| factor.as_str()).collect();
        let sides = (part(&self.train, |i| !tested[i])?, part(&self.train, |i| tested[i])?);
        Ok(Some(Box::new(Self::new(sides.0, sides.1, &factors, "four fifths of the photos")?)))
    }

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
