//! Transposed convolution: y[n,o,i·s−p+a,j·s−p+e] += x[n,c,i,j]·w[c,o,a,e], the adjoint of a convolution.

use crate::fast_path::{Fresh, applies, channel_sums, values, with_values};
use crate::gradient_buffers::into_buffer_or_tensor;
use crate::toom_cook::{self, Geometry};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};

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
    let geometry = validate(x, weight, bias, config)?;
    let on_cpu = applies(&[x, weight]) && bias.is_none_or(|bias| applies(&[bias]));
    if !on_cpu || !geometry.is_supported() {
        return conv_transpose2d_portable(x, weight, bias, config);
    }
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let operator = ConvTranspose2d { geometry };
    Ok(match bias {
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, operator)?,
        None => x.apply_op2(&weight, operator)?,
    })
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
    validate(x, weight, bias, config)?;
    let y = x.contiguous()?.conv_transpose2d(weight, config.padding, 0, config.stride, 1)?; // [n, co, h', w']
    Ok(match bias {
        Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?)?,
        None => y,
    })
}

fn validate(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, config: ConvTranspose2dConfig) -> Result<Geometry> {
    let ConvTranspose2dConfig { stride, padding } = config;
    let large =
        |small: usize, k: usize| ((small.checked_sub(1)? * stride) + k).checked_sub(2 * padding).filter(|&len| len > 0);
    if let (&[n, ci, h, w], &[weight_ci, co, k, k_w]) = (x.dims(), weight.dims())
        && n * ci * co * k * stride > 0
        && ci == weight_ci
        && k == k_w
        && bias.is_none_or(|bias| bias.dims() == [co])
        && let (Some(large_h), Some(large_w)) = (large(h, k), large(w, k))
    {
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

impl ConvTranspose2d {
    fn forward(
        &self,
        x: (&CpuStorage, &Layout),
        weight: (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, weight) = (values(x.0, x.1)?, values(weight.0, weight.1)?);
        let bias = bias.map(|(storage, layout)| values(storage, layout)).transpose()?;
        let geometry = &self.geometry;
        let shape = Shape::from((geometry.n, geometry.large_channels, geometry.large[0], geometry.large[1]));
        let mut y = Fresh::new(shape.elem_count());
        toom_cook::spread(geometry, x, weight, bias, y.places());
        // SAFETY: the kernel wrote every element.
        let y = unsafe { y.into_vec() };
        Ok((CpuStorage::F32(y), shape))
    }

    /// The gradients of x and of the weight; None where none is needed, or where it went into its buffer.
    fn backward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let geometry = &self.geometry;
        let mut grad_x = x.track_op().then(|| Fresh::new(x.elem_count()));
        let grad_weight = with_values(grad, |grad| {
            with_values(x, |small| {
                with_values(weight, |w| {
                    into_buffer_or_tensor(weight, |gradient, keep| {
                        let gathered = grad_x.as_mut().map(|grad_x| (w, grad_x.places()));
                        toom_cook::gradients(geometry, small, grad, gradient, keep, gathered);
                    })
                })
            })
        })????;
        let grad_x = grad_x
            .map(|grad_x| {
                // SAFETY: the kernel wrote every element.
                let grad_x = unsafe { grad_x.into_vec() };
                Tensor::from_vec(grad_x, x.shape(), x.device())
            })
            .transpose()?;
        Ok((grad_x, grad_weight))
    }
}

impl CustomOp2 for ConvTranspose2d {
    fn name(&self) -> &'static str {
        OPERATOR
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.forward((s1, l1), (s2, l2), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        self.backward(x, weight, &grad.contiguous()?)
    }
}

impl CustomOp3 for ConvTranspose2d {
    fn name(&self) -> &'static str {
        OPERATOR
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.forward((s1, l1), (s2, l2), Some((s3, l3)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (grad_x, grad_weight) = self.backward(x, weight, &grad)?;
        let grad_bias = bias.track_op().then(|| channel_sums(&grad)).transpose()?;
        Ok((grad_x, grad_weight, grad_bias))
    }
}
