//! Transposed convolution: y[n,o,i·s−p+a,j·s−p+e] += x[n,c,i,j]·w[c,o,a,e], the adjoint of a convolution.

use crate::activation::Activation;
use crate::convolution::{self, Geometry};
use crate::fast_path::{Fresh, applies_with, with_values};
use crate::gradient_buffers::into_buffer_or_tensor;

use crate::weighted::{Gradients, Weighted, apply};
use crate::{Error, Result};
use candle_core::{Shape, Tensor};

const OPERATOR: &str = "conv_transpose2d";

/// How far apart the inputs land, and how much of the border is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvTranspose2dConfig {
    /// Distance between the windows of neighbouring inputs; at least 1.
    pub stride: usize,
    /// Rows and columns cut from every side of the output.
    pub padding: usize,
}

/// Spreads an image with square kernels.
///
/// # Shapes
/// `x` [n, ci, h, w], `weight` [ci, co, k, k], `bias` [co] → [n, co, (h − 1)·s − 2p + k, (w − 1)·s − 2p + k].
///
/// # Gradient
/// With respect to all three arguments.
///
/// # Errors
/// [`Error::Shape`] when the shapes disagree, one is empty, the stride is 0 or nothing is left of the output.
pub fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    config: ConvTranspose2dConfig,
) -> Result<Tensor> {
    conv_transpose2d_activated(x, weight, bias, config, Activation::Identity)
}

/// The same, activated; PReLU has one slope per channel of the output.
///
/// # Shapes
/// As [`conv_transpose2d`], a PReLU's slopes [co].
///
/// # Gradient
/// With respect to all arguments, the slopes among them.
///
/// # Errors
/// As [`conv_transpose2d`], and when there are not co slopes.
pub fn conv_transpose2d_activated(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    config: ConvTranspose2dConfig,
    activation: Activation<'_>,
) -> Result<Tensor> {
    let geometry = validate(x, weight, bias, config, activation)?;
    if !applies_with(&[x, weight], [bias, activation.slope()]) {
        return conv_transpose2d_activated_portable(x, weight, bias, config, activation);
    }
    apply(ConvTranspose2d { geometry }, x, weight, bias, activation)
}

/// The same as [`conv_transpose2d`], made of stock candle operators.
///
/// # Shapes
/// As [`conv_transpose2d`].
///
/// # Errors
/// As [`conv_transpose2d`].
pub fn conv_transpose2d_portable(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    config: ConvTranspose2dConfig,
) -> Result<Tensor> {
    conv_transpose2d_activated_portable(x, weight, bias, config, Activation::Identity)
}

/// The same as [`conv_transpose2d_activated`], made of stock candle operators.
///
/// # Shapes
/// As [`conv_transpose2d_activated`].
///
/// # Errors
/// As [`conv_transpose2d_activated`].
pub fn conv_transpose2d_activated_portable(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    config: ConvTranspose2dConfig,
    activation: Activation<'_>,
) -> Result<Tensor> {
    validate(x, weight, bias, config, activation)?;
    let y = x.contiguous()?.conv_transpose2d(weight, config.padding, 0, config.stride, 1)?; // [n, co, h', w']
    activation.portable(match bias {
        Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?)?,
        None => y,
    })
}

fn validate(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    config: ConvTranspose2dConfig,
    activation: Activation<'_>,
) -> Result<Geometry> {
    let ConvTranspose2dConfig { stride, padding } = config;
    let large = |small: usize, k: usize| {
        let reach = small.checked_sub(1)?.checked_mul(stride)?.checked_add(k)?;
        reach.checked_sub(padding.checked_mul(2)?).filter(|&len| len > 0)
    };
    if let (&[n, ci, h, w], &[weight_ci, co, k, k_w]) = (x.dims(), weight.dims())
        && n * ci * co * k * stride > 0
        && ci == weight_ci
        && k == k_w
        && bias.is_none_or(|bias| bias.dims() == [co])
        && let (Some(large_h), Some(large_w)) = (large(h, k), large(w, k))
    {
        activation.validate(OPERATOR, co)?;
        return Ok(Geometry {
            n,
            small_channels: ci,
            large_channels: co,
            small: [h, w],
            large: [large_h, large_w],
            kernel: k,
            stride,
            padding,
        });
    }
    Err(Error::Shape {
        operator: OPERATOR,
        expected: "x [n, ci, h, w], weight [ci, co, k, k], bias [co], none of them empty, stride ≥ 1, (h − 1)·stride + k > 2·padding, for w alike".into(),
        found: format!(
            "x {:?}, weight {:?}, bias {:?}, stride {stride}, padding {padding}",
            x.dims(),
            weight.dims(),
            bias.map(Tensor::dims)
        ),
    })
}

struct ConvTranspose2d {
    geometry: Geometry,
}

impl Weighted for ConvTranspose2d {
    const NAME: &'static str = OPERATOR;

    fn forward(
        &self,
        x: &[f32],
        _: &[usize],
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> candle_core::Result<(Vec<f32>, Shape)> {
        let geometry = &self.geometry;
        let shape = Shape::from((geometry.n, geometry.large_channels, geometry.large[0], geometry.large[1]));
        let mut y = Fresh::new(shape.elem_count());
        convolution::spread(geometry, x, weight, bias, y.places());
        // SAFETY: the kernel wrote every element.
        Ok((unsafe { y.into_vec() }, shape))
    }

    fn backward(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> candle_core::Result<Gradients> {
        let geometry = &self.geometry;
        let mut grad_x = x.track_op().then(|| Fresh::new(x.elem_count()));
        let mut is_written = false;
        let grad_weight = with_values(grad, |grad| {
            with_values(x, |small| {
                with_values(weight, |w| {
                    let grad_weight = into_buffer_or_tensor(weight, |gradient, keep| {
                        is_written = true;
                        let gathered = grad_x.as_mut().map(|grad_x| (w, grad_x.places()));
                        convolution::gradients(geometry, small, grad, gradient, keep, gathered);
                    });
                    // A weight that needs no gradient leaves x's to be computed alone.
                    if let (false, Some(grad_x)) = (is_written, &mut grad_x) {
                        convolution::gather(geometry, grad, w, None, grad_x.places());
                    }
                    grad_weight
                })
            })
        })????;
        // SAFETY: the kernel wrote every element.
        let grad_x = grad_x.map(|grad_x| unsafe { grad_x.into_tensor_like(x) }).transpose()?;
        Ok((grad_x, grad_weight))
    }
}
