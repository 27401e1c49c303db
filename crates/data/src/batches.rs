//! Seeded batches, addressable by step.
//!
//! The images of an epoch come in a random order that is a function of (seed, epoch). Epochs follow each other without
//! a gap, and step `s` takes the places `s · batch_size … (s + 1) · batch_size − 1` of that endless list: every batch
//! is full, every image is used once per epoch, and `batch(s)` depends on seed and step alone, so that a resumed run
//! sees what an uninterrupted one would have seen. A batch that spans two epochs may hold an image twice.
//!
//! A batch size of at least the set's size means the whole set, in order, at every step.

use rand::seq::SliceRandom;

use crate::randomness::keyed_rng;
use crate::{Error, Result};

/// Batches of the images with given indices.
#[derive(Debug, Clone)]
pub struct Batches {
    indices: Vec<usize>,
    batch_size: usize,
    seed: u64,
    /// The order of the epoch that was used last: a cache, from which nothing can be seen outside.
    epoch: Option<(u64, Vec<usize>)>,
}

impl Batches {
    /// Batches of `batch_size` out of `indices`.
    ///
    /// # Errors
    /// There is no index, or the batch size is 0.
    pub fn new(indices: Vec<usize>, batch_size: usize, seed: u64) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::Setting {
                setting: "batch_size",
                found: "0".to_owned(),
                expected: "at least 1".to_owned(),
            });
        }
        if indices.is_empty() {
            return Err(Error::Setting {
                setting: "training images",
                found: "0".to_owned(),
                expected: "at least 1; hold out less".to_owned(),
            });
        }
        Ok(Self { indices, batch_size, seed, epoch: None })
    }

    /// How many images a batch has: the batch size, or the whole set where that is smaller.
    #[must_use]
    pub fn batch_len(&self) -> usize {
        self.batch_size.min(self.indices.len())
    }

    /// The indices of the batch at this step.
    pub fn batch(&mut self, step: u64) -> Vec<usize> {
        let n = self.indices.len();
        if self.batch_size >= n {
            return self.indices.clone();
        }
        // In 128 bits no step and no batch size overflows.
        let start = u128::from(step) * self.batch_size as u128;
        let mut epoch = (start / n as u128) as u64;
        let mut place = (start % n as u128) as usize;
        let mut batch = Vec::with_capacity(self.batch_size);
        while batch.len() < self.batch_size {
            let n_missing = self.batch_size - batch.len();
            let order = self.order(epoch);
            let end = n.min(place + n_missing);
            batch.extend_from_slice(&order[place..end]);
            epoch = epoch.wrapping_add(1);
            place = 0;
        }
        batch
    }

    fn order(&mut self, epoch: u64) -> &[usize] {
        let cached = self.epoch.take().filter(|(cached_epoch, _)| *cached_epoch == epoch);
        let (_, order) = self.epoch.insert(cached.unwrap_or_else(|| {
            let mut order = self.indices.clone();
            order.shuffle(&mut keyed_rng(self.seed, "batches", epoch));
            (epoch, order)
        }));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(n: usize, batch_size: usize, seed: u64) -> Batches {
        // Indices that are no places, so that the two cannot be confused.
        Batches::new((0..n).map(|i| 100 + 3 * i).collect(), batch_size, seed).unwrap()
    }

    #[test]
    fn a_batch_depends_on_seed_and_step_alone() {
        let mut forward = batches(23, 5, 7);
        let all: Vec<Vec<usize>> = (0..40).map(|step| forward.batch(step)).collect();
        // Backwards, with fresh values, and by jumping about: always the same.
        let mut backward = batches(23, 5, 7);
        for step in (0..40).rev() {
            assert_eq!(backward.batch(step), all[step as usize]);
        }
        for step in [39, 0, 13, 4, 5, 22] {
            assert_eq!(batches(23, 5, 7).batch(step), all[step as usize]);
            assert_eq!(forward.batch(step), all[step as usize]);
        }
        assert_ne!(batches(23, 5, 8).batch(0), all[0]);
    }

    #[test]
    fn every_image_once_per_epoch_and_every_batch_full() {
        for (n, batch_size) in [(23, 5), (7, 7), (8, 4), (9, 8), (1, 1), (1796, 64)] {
            let mut batches = batches(n, batch_size, 3);
            let n_steps = 3 * n as u64;
            let stream: Vec<usize> = (0..n_steps).flat_map(|step| batches.batch(step)).collect();
            assert_eq!(stream.len(), n_steps as usize * batch_size);
            for epoch in stream.chunks_exact(n) {
                let mut sorted = epoch.to_vec();
                sorted.sort_unstable();
                assert_eq!(sorted, batches.indices, "n {n}, batch size {batch_size}");
            }
        }
    }

    #[test]
    fn epochs_have_different_orders() {
        let mut batches = batches(100, 50, 0);
        let epoch =
            |batches: &mut Batches, epoch: u64| [batches.batch(2 * epoch), batches.batch(2 * epoch + 1)].concat();
        let (first, second) = (epoch(&mut batches, 0), epoch(&mut batches, 1));
        assert_ne!(first, second);
        assert_ne!(first, batches.indices);
    }

    #[test]
    fn a_large_batch_is_the_whole_set_in_order() {
        for batch_size in [6, 7, usize::MAX] {
            let mut batches = batches(6, batch_size, 1);
            assert_eq!(batches.batch_len(), 6);
            for step in [0, 1, u64::MAX] {
                assert_eq!(batches.batch(step), [100, 103, 106, 109, 112, 115]);
            }
        }
    }

    #[test]
    fn the_last_steps_of_all_exist() {
        assert_eq!(batches(23, 5, 7).batch(u64::MAX).len(), 5);
        assert_eq!(batches(23, 5, 7).batch_len(), 5);
    }

    #[test]
    fn empty_batches_are_refused() {
        assert!(Batches::new(vec![], 4, 0).unwrap_err().to_string().contains("hold out less"));
        assert!(Batches::new(vec![1], 0, 0).unwrap_err().to_string().contains("batch_size = 0"));
    }
}
