//! One generator per (seed, purpose, step): every random choice can be made again without replaying those before it,
//! so that a resumed run equals one that never stopped.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The generator of one purpose at one step.
///
/// The key is the SHA-256 of seed, purpose and step. Two different triples therefore give streams that have nothing
/// to do with each other, which adding a step to a seed would not guarantee.
#[must_use]
pub fn keyed_rng(seed: u64, purpose: &str, step: u64) -> ChaCha8Rng {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(step.to_le_bytes());
    hasher.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    fn first(seed: u64, purpose: &str, step: u64) -> u64 {
        keyed_rng(seed, purpose, step).random()
    }

    #[test]
    fn a_key_names_one_stream_and_every_part_of_it_matters() {
        assert_eq!(first(1, "batches", 2), first(1, "batches", 2));
        assert_ne!(first(1, "batches", 2), first(2, "batches", 2));
        assert_ne!(first(1, "batches", 2), first(1, "batches", 3));
        assert_ne!(first(1, "batches", 2), first(1, "dropout", 2));
        // Seed and step must not be interchangeable.
        assert_ne!(first(1, "batches", 2), first(2, "batches", 1));
    }
}
