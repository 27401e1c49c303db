//! Random traits: draws from the generator of one purpose, all by additions and multiplications, so that every machine
//! gets the same bits.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::randomness::keyed_rng;

/// Draws of one purpose, one after the other.
pub(super) struct Draws(ChaCha8Rng);

impl Draws {
    /// The draws of a person for this purpose; `variant` tells apart what the person has several of (sessions).
    pub fn new(person: u32, purpose: &str, variant: u64) -> Self {
        Self(keyed_rng(u64::from(person), &format!("faces: {purpose}"), variant))
    }

    /// Uniform in \[0, 1).
    pub fn unit(&mut self) -> f32 {
        self.0.random()
    }

    /// Uniform between two values.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Around a mean, at most `spread` away, the nearer the likelier (triangular).
    pub fn around(&mut self, mean: f32, spread: f32) -> f32 {
        mean + spread * (self.unit() + self.unit() - 1.0)
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// One of the values, all equally likely.
    pub fn choice<T: Copy, const N: usize>(&mut self, values: [T; N]) -> T {
        values[((self.unit() * N as f32) as usize).min(N - 1)]
    }
}
