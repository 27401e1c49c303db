//! Inverted dropout: y = m·x/(1 − rate), where every mᵢ is 0 with probability `rate`, else 1 (Srivastava et al. 2014).
//!
//! mᵢ is a function of the seed and of i alone, the index of an element in row-major order. Elements come in chunks of a
//! fixed size, and a chunk has a ChaCha8 stream of its own: chunks are drawn in parallel, and the mask is the same for
//! any number of threads, on either path, and when the gradient draws it again.

use crate::fast_path::{Fresh, applies, values, with_values};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

const OPERATOR: &str = "dropout";

/// Elements that share a stream of random numbers. Another value gives other masks for the same seed.
const CHUNK: usize = 1 << 12;

/// How much is dropped, and which elements these are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DropoutConfig {
    /// Probability of an element to be dropped; in [0, 1).
    pub rate: f64,
    /// Chooses the mask: draw it anew, from a keyed generator, for every layer and step.
    pub seed: u64,
}

/// Sets elements to 0 at random and enlarges the others, so that the expected value stays.
///
/// # Shapes
/// Any shape but an empty one, kept.
///
/// # Gradient
/// The same mask and scale. At rate 0 the result is `x` itself.
///
/// # Errors
/// [`Error::Shape`] when `x` is empty or of whole numbers, or `rate` is not in [0, 1).
pub fn dropout(x: &Tensor, config: DropoutConfig) -> Result<Tensor> {
    validate(x, config)?;
    if config.rate == 0.0 {
        return Ok(x.clone());
    }
    if !applies(&[x]) {
        return dropout_portable(x, config);
    }
    Ok(x.contiguous()?.apply_op1(Dropout { config })?)
}

/// The same as [`dropout`], made of stock candle operators; the mask is drawn on the CPU.
///
/// # Shapes
/// As [`dropout`].
///
/// # Errors
/// As [`dropout`].
pub fn dropout_portable(x: &Tensor, config: DropoutConfig) -> Result<Tensor> {
    validate(x, config)?;
    if config.rate == 0.0 {
        return Ok(x.clone());
    }
    let mut mask = vec![0f32; x.elem_count()];
    mask.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, mask)| draw_mask(config, chunk, mask));
    let mask = Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?;
    Ok(((x * mask)? * scale(config))?)
}

fn validate(x: &Tensor, config: DropoutConfig) -> Result<()> {
    if x.elem_count() > 0 && x.dtype().is_float() && (0.0..1.0).contains(&config.rate) {
        return Ok(());
    }
    Err(Error::Shape {
        operator: OPERATOR,
        expected: "x of floating-point numbers, not empty, rate in [0, 1)".into(),
        found: format!("x {:?} of {:?}, rate {}", x.dims(), x.dtype(), config.rate),
    })
}

fn scale(config: DropoutConfig) -> f64 {
    1.0 / (1.0 - config.rate)
}

/// Draws the mask of one chunk: 0 where an element is dropped, else 1.
fn draw_mask(config: DropoutConfig, chunk: usize, mask: &mut [f32]) {
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    rng.set_stream(chunk as u64);
    // Of the 2³² equally likely words, as many drop their element as the rate demands, to the nearest one.
    let n_dropping = (config.rate * (1u64 << 32) as f64).round() as u32;
    // Words are drawn many at a time: one by one they cost four times as much.
    let mut words = [[0; 4]; 256];
    for mask in mask.chunks_mut(words.len()) {
        rng.fill_bytes(words.as_flattened_mut());
        for (kept, &word) in mask.iter_mut().zip(&words) {
            *kept = if u32::from_le_bytes(word) >= n_dropping { 1.0 } else { 0.0 };
        }
    }
}

struct Dropout {
    config: DropoutConfig,
}

impl Dropout {
    fn apply(&self, of: &[f32]) -> Vec<f32> {
        let scale = scale(self.config) as f32;
        let mut result = Fresh::new(of.len());
        result.places().par_chunks_mut(CHUNK).zip(of.par_chunks(CHUNK)).enumerate().for_each(|(chunk, (to, of))| {
            let mut mask = [0.0; CHUNK];
            draw_mask(self.config, chunk, &mut mask[..of.len()]);
            for ((to, &of), kept) in to.iter_mut().zip(of).zip(mask) {
                // A product rather than a choice: a NaN that is dropped is still seen.
                to.write(of * (kept * scale));
            }
        });
        // SAFETY: the chunks cover everything, and every element of a chunk was written.
        unsafe { result.into_vec() }
    }
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        OPERATOR
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(self.apply(values(storage, layout)?)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let grad_x = with_values(&grad.contiguous()?, |grad| self.apply(grad))?;
        Ok(Some(Tensor::from_vec(grad_x, x.shape(), x.device())?))
    }
}
