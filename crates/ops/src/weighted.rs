//! What operators with a weight share as candle operators: a kernel's two passes, the bias's gradient, and the activation
//! at the end.

use crate::Result;
use crate::activation::{Activation, Epilogue};
use crate::fast_path::{channel_sums, values, with_values};
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

/// Runs `operator` inside candle's graph, and `activation` on what it gives.
///
/// # Errors
/// Those of candle and of the operator.
pub(crate) fn apply(
    operator: impl Weighted,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation<'_>,
) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let n_biases = bias.map_or(0, Tensor::elem_count);
    let op = Op { operator, n_biases, epilogue: Epilogue::new(activation) };
    // Candle's operators take three arguments at most: the bias and the slopes are one.
    Ok(match (bias, activation.slope()) {
        (None, None) => x.apply_op2(&weight, op)?,
        (Some(bias), None) => x.apply_op3(&weight, &bias.contiguous()?, op)?,
        (None, Some(slope)) => x.apply_op3(&weight, &slope.contiguous()?, op)?,
        (Some(bias), Some(slope)) => x.apply_op3(&weight, &Tensor::cat(&[bias, slope], 0)?, op)?,
    })
}

struct Op<W> {
    operator: W,
    /// Of the third argument, the first ones are biases and the others slopes.
    n_biases: usize,
    epilogue: Epilogue,
}

type Argument<'a> = (&'a CpuStorage, &'a Layout);

impl<W: Weighted> Op<W> {
    fn forward(
        &self,
        x: Argument<'_>,
        weight: Argument<'_>,
        third: Option<Argument<'_>>,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let third = third.map(|(storage, layout)| values(storage, layout)).transpose()?;
        let (bias, slope) = self.split(third);
        let (z, shape) = self.operator.forward(values(x.0, x.1)?, x.1.dims(), values(weight.0, weight.1)?, bias)?;
        let y = self.epilogue.forward(z, slope, shape.dims()[0])?;
        Ok((CpuStorage::F32(y), shape))
    }

    fn split<'a>(&self, third: Option<&'a [f32]>) -> (Option<&'a [f32]>, Option<&'a [f32]>) {
        let some = |values: &'a [f32]| (!values.is_empty()).then_some(values);
        third.map_or((None, None), |third| {
            let (bias, slope) = third.split_at(self.n_biases);
            (some(bias), some(slope))
        })
    }

    /// The gradients of x, of the weight and of the third argument.
    fn backward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        third: Option<&Tensor>,
        y: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let n = y.dim(0)?;
        let (grad_z, grad_slope) = match third {
            Some(third) => with_values(third, |third| self.epilogue.backward(y, self.split(Some(third)).1, &grad, n))??,
            None => self.epilogue.backward(y, None, &grad, n)?,
        };
        let grad_z = grad_z.unwrap_or(grad);
        let (grad_x, grad_weight) = self.operator.backward(x, weight, &grad_z)?;
        let Some(third) = third.filter(|third| third.track_op()) else { return Ok((grad_x, grad_weight, None)) };
        let mut grad_third = if self.n_biases > 0 { channel_sums(&grad_z, self.n_biases)? } else { Vec::new() };
        grad_third.extend(grad_slope.unwrap_or_default());
        Ok((grad_x, grad_weight, Some(Tensor::from_vec(grad_third, third.shape(), third.device())?)))
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

    fn bwd(&self, x: &Tensor, weight: &Tensor, y: &Tensor, grad: &Tensor) -> candle_core::Result<Gradients> {
        let (grad_x, grad_weight, _) = self.backward(x, weight, None, y, grad)?;
        Ok((grad_x, grad_weight))
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
        third: &Tensor,
        y: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        self.backward(x, weight, Some(third), y, grad)
    }
}
