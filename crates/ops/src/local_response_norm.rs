//! Local response normalisation across channels: b = a / sᵝ with s = 1 + α/size · Σ a², the sum over the `size`
//! channels around a's own (Krizhevsky et al. 2012, as Caffe and PyTorch have it with k = 1).
//!
//! The gradient is ∂aⱼ = gⱼ·sⱼ⁻ᵝ − 2αβ/size · aⱼ · Σᵢ gᵢ·aᵢ·sᵢ⁻ᵝ⁻¹, the sum over the same channels around j. Sums over
//! channels are few terms, and are added anew for every channel: a sliding sum, which subtracts what leaves, would keep
//! the rounding errors of large terms when only small ones remain.

use crate::fast_path::{Fresh, applies, values, vectorised, with_values};
use crate::scratch::Scratch;
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use rayon::prelude::*;
use std::ops::Range;

const OPERATOR: &str = "local_response_norm";

/// Pixels handled together: few enough for their sums to stay in the nearest cache.
const BLOCK: usize = 256;

/// Which neighbours count, and how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalResponseNormConfig {
    /// Channels that a sum takes in, its own in their middle; odd. Those beyond the first and last channel count as 0.
    pub size: usize,
    /// Weight of the mean square (of the mean over `size`, also at the edges); at least 0, so that s is at least 1.
    pub alpha: f64,
    /// Exponent of s.
    pub beta: f64,
}

/// Divides every response by a power of the mean square of its neighbours.
///
/// # Shapes
/// `x` [n, c, h, w], kept.
///
/// # Gradient
/// With respect to `x`.
///
/// # Errors
/// [`Error::Shape`] when `x` is not [n, c, h, w] of floating-point numbers or is empty, `size` is even, or `alpha` or
/// `beta` is not finite or `alpha` negative.
pub fn local_response_norm(x: &Tensor, config: LocalResponseNormConfig) -> Result<Tensor> {
    validate(x, config)?;
    if !applies(&[x]) {
        return local_response_norm_portable(x, config);
    }
    let (_, channels, h, w) = x.dims4()?;
    let per_square = config.alpha / config.size as f64;
    let operator = LocalResponseNorm {
        channels,
        plane: h * w,
        reach: config.size / 2,
        per_square: per_square as f32,
        beta: config.beta as f32,
        slope: (2.0 * per_square * config.beta) as f32,
    };
    Ok(x.contiguous()?.apply_op1(operator)?)
}

/// The same as [`local_response_norm`], made of stock candle operators.
///
/// # Shapes
/// As [`local_response_norm`].
///
/// # Errors
/// As [`local_response_norm`].
pub fn local_response_norm_portable(x: &Tensor, config: LocalResponseNormConfig) -> Result<Tensor> {
    validate(x, config)?;
    let LocalResponseNormConfig { size, alpha, beta } = config;
    let channels = x.dim(1)?;
    // No neighbour is further away than the last channel from the first.
    let reach = (size / 2).min(channels - 1);
    let squares = x.sqr()?.pad_with_zeros(1, reach, reach)?; // [n, c + 2·reach, h, w]
    let mut sum = squares.narrow(1, 0, channels)?;
    for offset in 1..=2 * reach {
        sum = (sum + squares.narrow(1, offset, channels)?)?; // [n, c, h, w]
    }
    let base = sum.affine(alpha / size as f64, 1.0)?;
    // Candle's gradient of a power would underflow for large responses; through the logarithm it does not.
    Ok((x * (base.log()? * -beta)?.exp()?)?)
}

fn validate(x: &Tensor, config: LocalResponseNormConfig) -> Result<()> {
    let LocalResponseNormConfig { size, alpha, beta } = config;
    let is_sound = x.rank() == 4 && x.elem_count() > 0 && x.dtype().is_float();
    if is_sound && size % 2 == 1 && alpha.is_finite() && alpha >= 0.0 && beta.is_finite() {
        return Ok(());
    }
    Err(Error::Shape {
        operator: OPERATOR,
        expected: "x [n, c, h, w] of floating-point numbers, not empty, size odd, alpha ≥ 0, alpha and beta finite"
            .into(),
        found: format!("x {:?} of {:?}, size {size}, alpha {alpha}, beta {beta}", x.dims(), x.dtype()),
    })
}

struct LocalResponseNorm {
    channels: usize,
    /// Pixels of a channel.
    plane: usize,
    /// Neighbours on either side.
    reach: usize,
    /// α/size.
    per_square: f32,
    beta: f32,
    /// 2αβ/size.
    slope: f32,
}

impl LocalResponseNorm {
    /// The channels whose sum has `channel` in its middle.
    fn neighbours(&self, channel: usize) -> Range<usize> {
        channel.saturating_sub(self.reach)..channel.saturating_add(self.reach).saturating_add(1).min(self.channels)
    }

    /// s of a block of pixels of one channel; `x` is the sample of all channels.
    #[inline(always)]
    fn bases(&self, x: &[f32], channel: usize, block: &Range<usize>, bases: &mut [f32]) {
        bases.fill(0.0);
        for neighbour in self.neighbours(channel) {
            for (sum, x) in bases.iter_mut().zip(&x[neighbour * self.plane..][block.clone()]) {
                *sum += x * x;
            }
        }
        for base in bases {
            *base = 1.0 + self.per_square * *base;
        }
    }

    /// s⁻ᵝ; the usual exponent needs no general power.
    #[inline(always)]
    fn factors(&self, bases: &[f32], factors: &mut [f32]) {
        if self.beta == 0.75 {
            for (factor, base) in factors.iter_mut().zip(bases) {
                let root = base.sqrt();
                *factor = 1.0 / (root * root.sqrt());
            }
        } else {
            for (factor, base) in factors.iter_mut().zip(bases) {
                *factor = base.powf(-self.beta);
            }
        }
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let sample = self.channels * self.plane;
        let mut y = Fresh::new(x.len());
        y.places().par_chunks_exact_mut(self.plane).enumerate().for_each(|(idx, y)| {
            let (x, channel) = (&x[idx / self.channels * sample..][..sample], idx % self.channels);
            let own = &x[channel * self.plane..][..self.plane];
            vectorised(
                #[inline(always)]
                || {
                    let (mut bases, mut factors) = ([0.0; BLOCK], [0.0; BLOCK]);
                    for (start, y) in (0..self.plane).step_by(BLOCK).zip(y.chunks_mut(BLOCK)) {
                        let block = start..start + y.len();
                        self.bases(x, channel, &block, &mut bases[..y.len()]);
                        self.factors(&bases[..y.len()], &mut factors);
                        for ((y, x), factor) in y.iter_mut().zip(&own[block]).zip(&factors) {
                            y.write(x * factor);
                        }
                    }
                },
            );
        });
        // SAFETY: the planes cover everything, and every element of a plane was written.
        unsafe { y.into_vec() }
    }

    fn backward(&self, x: &[f32], grad: &[f32]) -> Vec<f32> {
        let sample = self.channels * self.plane;
        let mut grad_x = Fresh::new(x.len());
        let samples = grad_x
            .places()
            .par_chunks_exact_mut(sample)
            .zip(x.par_chunks_exact(sample))
            .zip(grad.par_chunks_exact(sample));
        samples.for_each(|((grad_x, x), grad)| {
            // A sample at a time, so that what the first pass leaves is still near when the second one reads it.
            let (mut direct, mut terms) = (Scratch::take(sample), Scratch::take(sample));
            direct
                .par_chunks_exact_mut(self.plane)
                .zip(terms.par_chunks_exact_mut(self.plane))
                .enumerate()
                .for_each(|(channel, (direct, terms))| self.first_pass(x, grad, channel, direct, terms));
            let (direct, terms): (&[f32], &[f32]) = (&direct, &terms);
            grad_x.par_chunks_exact_mut(self.plane).enumerate().for_each(|(channel, grad_x)| {
                let own = channel * self.plane..(channel + 1) * self.plane;
                let (x, direct) = (&x[own.clone()], &direct[own]);
                vectorised(
                    #[inline(always)]
                    || {
                        let mut sums = [0.0; BLOCK];
                        for (start, grad_x) in (0..self.plane).step_by(BLOCK).zip(grad_x.chunks_mut(BLOCK)) {
                            let block = start..start + grad_x.len();
                            sums.fill(0.0);
                            for neighbour in self.neighbours(channel) {
                                let terms = &terms[neighbour * self.plane..][block.clone()];
                                for (sum, term) in sums.iter_mut().zip(terms) {
                                    *sum += term;
                                }
                            }
                            let (x, direct) = (&x[block.clone()], &direct[block]);
                            for (((to, x), direct), sum) in grad_x.iter_mut().zip(x).zip(direct).zip(&sums) {
                                to.write(direct - self.slope * x * sum);
                            }
                        }
                    },
                );
            });
        });
        // SAFETY: the samples cover everything, and every element of every plane of a sample was written.
        unsafe { grad_x.into_vec() }
    }

    /// Of one channel of a sample: `direct` ← g·s⁻ᵝ, what reaches a response through its own numerator, and `terms`
    /// ← g·a·s⁻ᵝ⁻¹, what the neighbours' gradients sum.
    fn first_pass(&self, x: &[f32], grad: &[f32], channel: usize, direct: &mut [f32], terms: &mut [f32]) {
        let own = channel * self.plane..(channel + 1) * self.plane;
        let (own_x, grad) = (&x[own.clone()], &grad[own]);
        vectorised(
            #[inline(always)]
            || {
                let (mut bases, mut factors) = ([0.0; BLOCK], [0.0; BLOCK]);
                let outputs = direct.chunks_mut(BLOCK).zip(terms.chunks_mut(BLOCK));
                for (start, (direct, terms)) in (0..self.plane).step_by(BLOCK).zip(outputs) {
                    let block = start..start + direct.len();
                    self.bases(x, channel, &block, &mut bases[..direct.len()]);
                    self.factors(&bases[..direct.len()], &mut factors);
                    let inputs = own_x[block.clone()].iter().zip(&grad[block]).zip(bases.iter().zip(&factors));
                    for ((direct, term), ((x, grad), (base, factor))) in direct.iter_mut().zip(terms).zip(inputs) {
                        *direct = grad * factor;
                        *term = *direct * (x / base);
                    }
                }
            },
        );
    }
}

impl CustomOp1 for LocalResponseNorm {
    fn name(&self) -> &'static str {
        OPERATOR
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(self.forward(values(storage, layout)?)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let grad_x = with_values(x, |x| with_values(&grad, |grad| self.backward(x, grad)))??;
        Ok(Some(Tensor::from_vec(grad_x, x.shape(), x.device())?))
    }
}
