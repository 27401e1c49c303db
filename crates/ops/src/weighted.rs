//! What operators with a weight and perhaps a bias share as candle operators: a kernel's two passes, and the bias's gradient.

use crate::Result;
use crate::fast_path::{channel_sums, values};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};

/// The gradients of x and of the weight; None where none is needed, or where it went into its buffer.
pub(crate) type Gradients = (Option<Tensor>, Option<Tensor>);

/// An operator's arithmetic on contiguous 32-bit floats on the CPU.
pub(crate) trait Weighted: Send + Sync + 'static {
    /// The operator's name in errors.
    const NAME: &'static str;

    /// y and its shape, from x, its dimensions, the weight, and the bias [channels of y].
    fn forward(
        &self,
        x: &[f32],
        x_dims: &[usize],
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> candle_core::Result<(Vec<f32>, Shape)>;

    /// The gradients for the contiguous gradient of y.
    fn backward(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> candle_core::Result<Gradients>;
}

/// Runs `operator` inside candle's graph.
///
/// # Errors
/// Those of candle and of the operator.
pub(crate) fn apply(operator: impl Weighted, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    Ok(match bias {
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, Op(operator))?,
        None => x.apply_op2(&weight, Op(operator))?,
    })
}

struct Op<W>(W);

type Argument<'a> = (&'a CpuStorage, &'a Layout);

impl<W: Weighted> Op<W> {
    fn forward(
        &self,
        x: Argument<'_>,
        weight: Argument<'_>,
        bias: Option<Argument<'_>>,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let bias = bias.map(|(storage, layout)| values(storage, layout)).transpose()?;
        let (y, shape) = self.0.forward(values(x.0, x.1)?, x.1.dims(), values(weight.0, weight.1)?, bias)?;
        Ok((CpuStorage::F32(y), shape))
    }
}

impl<W: Weighted> CustomOp2 for Op<W> {
    fn name(&self) -> &'static str {
        W::NAME
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

    fn bwd(&self, x: &Tensor, weight: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Gradients> {
        self.0.backward(x, weight, &grad.contiguous()?)
    }
}

impl<W: Weighted> CustomOp3 for Op<W> {
    fn name(&self) -> &'static str {
        W::NAME
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
        let (grad_x, grad_weight) = self.0.backward(x, weight, &grad)?;
        let grad_bias = bias.track_op().then(|| channel_sums(&grad)).transpose()?;
        Ok((grad_x, grad_weight, grad_bias))
    }
}
