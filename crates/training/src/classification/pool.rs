//! What one arm learns from: real and generated images in one pool, of which a seed draws batches.

use std::ops::Range;

use multigen_data::randomness::keyed_rng;
use multigen_data::{Batches, ImageSet};

use super::augment::{Change, Classical};
use super::mixing::Mixed;
use crate::Result;
use crate::judging::{Lesson, Material};

/// Labelled images of one size.
pub(super) struct Pool {
    size: usize,
    /// Pixels, n × 3 × size × size.
    images: Vec<f32>,
    /// Per factor that is read, the level of each image.
    levels: Vec<Vec<u32>>,
    /// How images are changed at random.
    classical: Option<Classical>,
    seed: u64,
    /// Batches of the size that was asked for last.
    batches: Option<Batches>,
}

impl Pool {
    /// A pool of no images, of which `reads` factors are read.
    pub fn new(size: usize, n_reads: usize, classical: Option<Classical>, seed: u64) -> Self {
        Self { size, images: Vec::new(), levels: vec![Vec::new(); n_reads], classical, seed, batches: None }
    }

    /// Adds all images of a set.
    ///
    /// # Errors
    /// When the set lacks a factor.
    pub fn add_real(&mut self, set: &ImageSet, reads: &[String]) -> Result<()> {
        for (levels, factor) in self.levels.iter_mut().zip(reads) {
            let place = set.factors.position(factor)?;
            levels.extend(set.combinations.iter().map(|combination| combination[place] as u32));
        }
        self.images.extend_from_slice(&set.images);
        Ok(())
    }

    /// Adds generated images of the mixtures that they show.
    ///
    /// # Errors
    /// When the set that the mixtures are of lacks a factor.
    pub fn add_generated(
        &mut self,
        images: &[f32],
        mixtures: &[Mixed],
        set: &ImageSet,
        reads: &[String],
    ) -> Result<()> {
        for (levels, factor) in self.levels.iter_mut().zip(reads) {
            let place = set.factors.position(factor)?;
            levels.extend(mixtures.iter().map(|mixed| mixed.levels[place] as u32));
        }
        self.images.extend_from_slice(images);
        Ok(())
    }

    fn image_len(&self) -> usize {
        3 * self.size * self.size
    }

    fn len(&self) -> usize {
        self.images.len() / self.image_len().max(1)
    }

    fn gather(&self, chosen: &[usize]) -> Lesson {
        let image = |&i: &usize| self.images[i * self.image_len()..(i + 1) * self.image_len()].iter().copied();
        let images = chosen.iter().flat_map(image).collect();
        let levels = self.levels.iter().map(|levels| chosen.iter().map(|&i| levels[i]).collect()).collect();
        Lesson { images, levels }
    }
}

impl Material for Pool {
    fn batch(&mut self, step: u64, n: usize) -> Result<Lesson> {
        let n = n.min(self.len());
        let mut batches = match self.batches.take().filter(|batches| batches.batch_len() == n) {
            Some(batches) => batches,
            None => Batches::new((0..self.len()).collect(), n, self.seed)?,
        };
        let chosen = batches.batch(step);
        self.batches = Some(batches);
        let mut lesson = self.gather(&chosen);
        if let Some(at_most) = self.classical {
            let mut rng = keyed_rng(self.seed, "classical augmentation", step);
            let images = lesson.images.chunks_exact(self.image_len());
            lesson.images =
                images.flat_map(|image| Change::draw(&mut rng, self.size, at_most).apply(image, self.size)).collect();
        }
        Ok(lesson)
    }

    /// None: classifiers are tested on images of their own.
    fn n_test(&self) -> usize {
        0
    }

    fn test(&self, images: Range<usize>) -> Result<Lesson> {
        Ok(self.gather(&images.collect::<Vec<_>>()))
    }
}

#[cfg(test)]
mod tests {
    use multigen_data::{Combination, Factor, Factors};

    use super::*;

    #[test]
    fn a_pool_holds_real_and_generated_images_with_their_labels() {
        let factors = Factors::new(vec![Factor::numbered("person", 2), Factor::numbered("emotion", 3)]).unwrap();
        let combinations = vec![Combination(vec![0, 2]), Combination(vec![1, 0])];
        let images = vec![0.25, 0.25, 0.25, 0.5, 0.5, 0.5];
        let set = ImageSet { factors, channels: 3, height: 1, width: 1, images, masks: None, combinations };
        let reads = ["emotion".to_owned()];
        let mixed = Mixed { levels: Combination(vec![0, 1]), other: 1 };
        let mut pool = Pool::new(1, 1, None, 0);
        pool.add_real(&set, &reads).unwrap();
        pool.add_generated(&[1.0, 1.0, 1.0], std::slice::from_ref(&mixed), &set, &reads).unwrap();
        let lesson = pool.batch(0, 8).unwrap();
        assert_eq!(lesson.levels, [[2, 0, 1]]);
        assert_eq!(lesson.images, [0.25, 0.25, 0.25, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0]);
        // A step's batch depends on seed and step alone.
        let batches = |seed| {
            let mut pool =
                Pool::new(1, 1, Some(Classical { shift: 0.1, crop: 0.1, flip: true, brightness: 0.2 }), seed);
            (0..10).for_each(|_| pool.add_real(&set, &reads).unwrap());
            (0..6).map(|step| pool.batch(step, 4).unwrap().images).collect::<Vec<_>>()
        };
        assert_eq!(batches(1), batches(1));
        assert_ne!(batches(1), batches(2));
        // Of one grey pixel, crops and flips show the same: brightness alone changes it, by at most a fifth.
        for image in batches(1).iter().flatten() {
            assert!((0.2..0.3).contains(image) || (0.4..0.6).contains(image), "{image}");
        }
    }
}
