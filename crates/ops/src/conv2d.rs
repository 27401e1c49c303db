//! Convolution (cross-correlation, as every framework has it): y[n,o,i,j] = b[o] + Σ x[n,c,i·s−p+a,j·s−p+e]·w[o,c,a,e].

use crate::activation::Activation;
use crate::convolution::{self, Geometry};
use crate::fast_path::{Fresh, applies_with, with_values};
use crate::gradient_buffers::into_buffer_or_tensor;

use crate::weighted::{Gradients, Weighted, apply};
use crate::{Error, Result};
use candle_core::{Shape, Tensor};

const OPERATOR: &str = "conv2d";

/// How the window moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dConfig {
    /// Step of the window; at least 1.
    pub stride: usize,
    /// Zeros around the input, on every side.
    pub padding: usize,
}

/// Convolves an image with square kernels.
///
/// # Shapes
/// `x` [n, ci, h, w], `weight` [co, ci, k, k], `bias` [co] → [n, co, (h + 2p − k)/s + 1, (w + 2p − k)/s + 1].
///
/// # Gradient
/// With respect to all three arguments.
///
/// # Errors
/// [`Error::Shape`] when the shapes disagree, one is empty, the stride is 0 or the kernel exceeds the padded input.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, config: Conv2dConfig) -> Result<Tensor> {
    conv2d_activated(x, weight, bias, config, Activation::Identity)
}

/// The same, activated; PReLU has one slope per channel of the output.
///
/// # Shapes
/// As [`conv2d`], a PReLU's slopes [co].
///
/// # Gradient
/// With respect to all arguments, the slopes among them.
///
/// # Errors
/// As [`conv2d`], and when there are not co slopes.
pub fn conv2d_activated(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    config: Conv2dConfig,
    activation: Activation<'_>,
) -> Result<Tensor> {
    let geometry = validate(x, weight, bias, config, activation)?;
    if !applies_with(&[x, weight], [bias, activation.slope()]) {
        return conv2d_activated_portable(x, weight, bias, config, activation);
    }
    apply(Conv2d { geometry }, x, weight, bias, activation)
}

/// The same as [`conv2d`], made of stock candle operators.
///
/// # Shapes
/// As [`conv2d`].
///
/// # Errors
/// As [`conv2d`].
pub fn conv2d_portable(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, config: Conv2dConfig) -> Result<Tensor> {
    conv2d_activated_portable(x, weight, bias, config, Activation::Identity)
}

/// The same as [`conv2d_activated`], made of stock candle operators.
///
/// # Shapes
/// As [`conv2d_activated`].
///
/// # Errors
/// As [`conv2d_activated`].
pub fn conv2d_activated_portable(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    config: Conv2dConfig,
    activation: Activation<'_>,
) -> Result<Tensor> {
    validate(x, weight, bias, config, activation)?;
    let Conv2dConfig { stride, padding } = config;
    let (_, _, h, w) = x.dims4()?;
    let k = weight.dim(2)?;
    let (unused_h, unused_w) = ((h + 2 * padding - k) % stride, (w + 2 * padding - k) % stride);
    // Candle's gradient takes the rows and columns that no window reaches from the height alone. Cutting them off
    // beforehand leaves it nothing to guess.
    let y = if unused_h == 0 && unused_w == 0 {
        x.conv2d(weight, padding, stride, 1, 1)?
    } else {
        x.pad_with_zeros(2, padding, padding)?
            .pad_with_zeros(3, padding, padding)?
            .narrow(2, 0, h + 2 * padding - unused_h)?
            .narrow(3, 0, w + 2 * padding - unused_w)?
            .contiguous()?
            .conv2d(weight, 0, stride, 1, 1)?
    };
    activation.portable(match bias {
        Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?)?,
        None => y,
    })
}

fn validate(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    config: Conv2dConfig,
    activation: Activation<'_>,
) -> Result<Geometry> {
    let Conv2dConfig { stride, padding } = config;
    let small = |large: usize, k: usize| {
        let room = padding.checked_mul(2)?.checked_add(large)?.checked_sub(k)?;
        Some(room.checked_div(stride)? + 1)
    };
    if let (&[n, ci, h, w], &[co, weight_ci, k, k_w]) = (x.dims(), weight.dims())
        && n * ci * co * h * w * k > 0
        && ci == weight_ci
        && k == k_w
        && bias.is_none_or(|bias| bias.dims() == [co])
        && let (Some(small_h), Some(small_w)) = (small(h, k), small(w, k))
    {
        activation.validate(OPERATOR, co)?;
        return Ok(Geometry {
            n,
            small_channels: co,
            large_channels: ci,
            small: [small_h, small_w],
            large: [h, w],
            kernel: k,
            stride,
            padding,
        });
    }
    Err(Error::Shape {
        operator: OPERATOR,
        expected: "x [n, ci, h, w], weight [co, ci, k, k], bias [co], none of them empty, stride ≥ 1, k ≤ h + 2·padding and w + 2·padding".into(),
        found: format!(
            "x {:?}, weight {:?}, bias {:?}, stride {stride}, padding {padding}",
            x.dims(),
            weight.dims(),
            bias.map(Tensor::dims)
        ),
    })
}

struct Conv2d {
    geometry: Geometry,
}

impl Weighted for Conv2d {
    const NAME: &'static str = OPERATOR;

    fn forward(
        &self,
        x: &[f32],
        _: &[usize],
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> candle_core::Result<(Vec<f32>, Shape)> {
        let geometry = &self.geometry;
        let shape = Shape::from((geometry.n, geometry.small_channels, geometry.small[0], geometry.small[1]));
        let mut y = Fresh::new(shape.elem_count());
        convolution::gather(geometry, x, weight, bias, y.places());
        // SAFETY: the kernel wrote every element.
        Ok((unsafe { y.into_vec() }, shape))
    }

    fn backward(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> candle_core::Result<Gradients> {
        let geometry = &self.geometry;
        let mut grad_x = x.track_op().then(|| Fresh::new(x.elem_count()));
        with_values(weight, |w| {
            with_values(grad, |small| {
                if let Some(grad_x) = &mut grad_x {
                    convolution::spread(geometry, small, w, None, grad_x.places());
                }
            })
        })??;
        let grad_weight = with_values(grad, |small| {
            with_values(x, |large| {
                into_buffer_or_tensor(weight, |gradient, keep| {
                    convolution::gradients(geometry, small, large, gradient, keep, None);
                })
            })
        })???;
        // SAFETY: the kernel wrote every element.
        let grad_x = grad_x.map(|grad_x| unsafe { grad_x.into_tensor_like(x) }).transpose()?;
        Ok((grad_x, grad_weight))
    }
}
