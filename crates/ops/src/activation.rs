//! An activation at the end of an operator that multiplies: one node in the graph instead of two.
//!
//! Candle's backward pass allocates zeros and a sum for the gradient of every node. With the activation inside the
//! operator before it, the gradient of what lies between them has no node, and its zeros and sum are saved.

use crate::fast_path::with_values;
use crate::leaky_relu::{leaky_relu_portable, rectified, rectify_in_place};
use crate::prelu::{self, prelu_portable};
use crate::{Error, Result};
use candle_core::Tensor;
use std::sync::Mutex;

/// What follows a product and its bias.
#[derive(Debug, Clone, Copy)]
pub enum Activation<'a> {
    /// y = z.
    Identity,
    /// y = z where z > 0, slope·z elsewhere, as [`crate::leaky_relu`].
    LeakyRelu(f64),
    /// The same with one learned slope per channel, [c], as [`crate::prelu`].
    Prelu(&'a Tensor),
}

impl Activation<'_> {
    /// The activation of `z` [n, c, …], made of stock candle operators.
    pub(crate) fn portable(self, z: Tensor) -> Result<Tensor> {
        match self {
            Activation::Identity => Ok(z),
            Activation::LeakyRelu(slope) => leaky_relu_portable(&z, slope),
            Activation::Prelu(slope) => prelu_portable(&z, slope),
        }
    }

    /// Refuses slopes that do not fit `channels`.
    pub(crate) fn validate(self, operator: &'static str, channels: usize) -> Result<()> {
        match self {
            Activation::Prelu(slope) if slope.dims() != [channels] => Err(Error::Shape {
                operator,
                expected: format!("one slope for each of {channels} channels"),
                found: format!("slope {:?}", slope.dims()),
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn slope(&self) -> Option<&Tensor> {
        match self {
            Activation::Prelu(slope) => Some(slope),
            _ => None,
        }
    }
}

/// The activation inside an operator's node, on contiguous values [n, c, …].
pub(crate) enum Epilogue {
    Identity,
    /// With a slope of at least 0, whose results have the sign of their arguments.
    LeakyRelu(f32),
    /// With a slope below 0: the arguments are kept, because the results do not tell their sign.
    NegativeLeakyRelu(f32, Kept),
    /// The arguments are kept: a slope of 0 would not leave them in the results.
    Prelu(Kept),
}

/// What the forward pass keeps for the backward pass.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<f32>>);

impl Kept {
    fn set(&self, values: Vec<f32>) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = values;
    }

    fn with<R>(&self, len: usize, read: impl FnOnce(&[f32]) -> R) -> candle_core::Result<R> {
        let kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if kept.len() != len {
            candle_core::bail!("the backward pass of an activation runs before its forward pass");
        }
        Ok(read(&kept))
    }
}

impl Epilogue {
    pub(crate) fn new(activation: Activation<'_>) -> Self {
        match activation {
            Activation::Identity => Self::Identity,
            Activation::LeakyRelu(slope) if slope >= 0.0 => Self::LeakyRelu(slope as f32),
            Activation::LeakyRelu(slope) => Self::NegativeLeakyRelu(slope as f32, Kept::default()),
            Activation::Prelu(_) => Self::Prelu(Kept::default()),
        }
    }

    /// y of z, `n` samples.
    pub(crate) fn forward(&self, mut z: Vec<f32>, slope: Option<&[f32]>, n: usize) -> candle_core::Result<Vec<f32>> {
        match (self, slope) {
            (Self::Identity, _) => Ok(z),
            (Self::LeakyRelu(slope), _) => {
                rectify_in_place(&mut z, *slope);
                Ok(z)
            }
            (Self::NegativeLeakyRelu(slope, kept), _) => {
                let y = rectified(&z, &z, *slope);
                kept.set(z);
                Ok(y)
            }
            (Self::Prelu(kept), Some(slope)) => {
                let y = prelu::rectified(&z, slope, n);
                kept.set(z);
                Ok(y)
            }
            (Self::Prelu(_), None) => candle_core::bail!("an activation with learned slopes was given none"),
        }
    }

    /// The gradients of z and of the slopes for the contiguous gradient of y, `n` samples; None where z is y.
    pub(crate) fn backward(
        &self,
        y: &Tensor,
        slope: Option<&[f32]>,
        grad: &Tensor,
        n: usize,
    ) -> candle_core::Result<(Option<Tensor>, Option<Vec<f32>>)> {
        let (grad_z, grad_slope) = with_values(grad, |grad| match (self, slope) {
            (Self::Identity, _) => Ok((None, None)),
            (Self::LeakyRelu(slope), _) => with_values(y, |y| (Some(rectified(y, grad, *slope)), None)),
            (Self::NegativeLeakyRelu(slope, kept), _) => {
                kept.with(grad.len(), |z| (Some(rectified(z, grad, *slope)), None))
            }
            (Self::Prelu(kept), Some(slope)) => kept.with(grad.len(), |z| {
                let (grad_z, grad_slope) = prelu::pass_back(z, grad, slope, n);
                (Some(grad_z), Some(grad_slope))
            }),
            (Self::Prelu(_), None) => candle_core::bail!("an activation with learned slopes was given none"),
        })??;
        let grad_z = grad_z.map(|grad_z| Tensor::from_vec(grad_z, y.shape(), y.device())).transpose()?;
        Ok((grad_z, grad_slope))
    }
}
