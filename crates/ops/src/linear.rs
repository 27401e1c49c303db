//! Fully connected layer: y = x·wᵀ + b.

use crate::activation::Activation;
use crate::fast_path::{Fresh, applies_with, with_values};
use crate::gradient_buffers;
use crate::matrix_product::{Matrix, MatrixMut, column_block, multiply, multiply_by_columns};
use crate::scratch::Scratch;
use crate::transpose::{Rows, transpose, transpose_into};
use crate::weighted::{Gradients, Weighted, apply};
use crate::{Error, Result};
use candle_core::{Shape, Tensor};
use rayon::prelude::*;

const OPERATOR: &str = "linear";

/// Multiplies rows by a weight matrix and adds a bias.
///
/// # Shapes
/// `x` [n, in], `weight` [out, in], `bias` [out] → [n, out].
///
/// # Gradient
/// With respect to all three arguments.
///
/// # Errors
/// [`Error::Shape`] when the shapes disagree or a dimension is 0.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    linear_activated(x, weight, bias, &weight.dims()[..weight.rank().min(1)], Activation::Identity)
}

/// The same, shaped and activated: activation(x·wᵀ + b), where PReLU has one slope per channel of the shape.
///
/// # Shapes
/// `x` [n, in], `weight` [out, in], `bias` [out], `dims` [c, …] of out elements, a PReLU's slopes [c] → [n, c, …].
///
/// # Gradient
/// With respect to all arguments, the slopes among them.
///
/// # Errors
/// As [`linear`], and when `dims` has not out elements, or there are not c slopes.
pub fn linear_activated(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    dims: &[usize],
    activation: Activation<'_>,
) -> Result<Tensor> {
    validate(x, weight, bias, dims, activation)?;
    if !applies_with(&[x, weight], [bias, activation.slope()]) {
        return linear_activated_portable(x, weight, bias, dims, activation);
    }
    apply(Linear { dims: dims.to_vec() }, x, weight, bias, activation)
}

/// The same as [`linear`], made of stock candle operators.
///
/// # Shapes
/// As [`linear`].
///
/// # Errors
/// As [`linear`].
pub fn linear_portable(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    linear_activated_portable(x, weight, bias, &weight.dims()[..weight.rank().min(1)], Activation::Identity)
}

/// The same as [`linear_activated`], made of stock candle operators.
///
/// # Shapes
/// As [`linear_activated`].
///
/// # Errors
/// As [`linear_activated`].
pub fn linear_activated_portable(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    dims: &[usize],
    activation: Activation<'_>,
) -> Result<Tensor> {
    validate(x, weight, bias, dims, activation)?;
    let mut y = x.matmul(&weight.t()?)?; // [n, out]
    if let Some(bias) = bias {
        y = y.broadcast_add(bias)?;
    }
    if dims.len() > 1 {
        y = y.reshape([&[x.dim(0)?], dims].concat())?; // [n, c, …]
    }
    activation.portable(y)
}

fn validate(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    dims: &[usize],
    activation: Activation<'_>,
) -> Result<()> {
    let fits = match (x.dims(), weight.dims(), bias.map(Tensor::dims)) {
        (&[n, n_in], &[n_out, weight_in], bias) => {
            n > 0
                && n_in > 0
                && n_out > 0
                && n_in == weight_in
                && bias.is_none_or(|dims| dims == [n_out])
                && !dims.is_empty()
                && dims.iter().product::<usize>() == n_out
        }
        _ => false,
    };
    if fits {
        return activation.validate(OPERATOR, dims.first().copied().unwrap_or(0));
    }
    let of_output = if dims.len() > 1 { format!(", output {dims:?} of out elements") } else { String::new() };
    Err(Error::Shape {
        operator: OPERATOR,
        expected: format!("x [n, in], weight [out, in], bias [out]{of_output}, none of them empty"),
        found: format!("x {:?}, weight {:?}, bias {:?}", x.dims(), weight.dims(), bias.map(Tensor::dims)),
    })
}

struct Linear {
    /// Of one sample of the output.
    dims: Vec<usize>,
}

impl Weighted for Linear {
    const NAME: &'static str = OPERATOR;

    fn forward(
        &self,
        x: &[f32],
        x_dims: &[usize],
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> candle_core::Result<(Vec<f32>, Shape)> {
        let &[n, n_in] = x_dims else { candle_core::bail!("linear: x has {} dimensions", x_dims.len()) };
        let n_out = weight.len() / n_in;
        // gemm reads columns of its left factor in vectors and single values of its right one: with x transposed
        // beforehand it can take the weight as it lies, which it would otherwise transpose into a copy first.
        let mut x_columns = Scratch::take(n_in * n); // [in, n]
        transpose(x, n_in, &mut x_columns, n);
        let mut y = Fresh::new(n * n_out);
        let places = MatrixMut { start: y.start(), row: n_out, column: 1 };
        let block = column_block(n_out);
        (0..n_out.div_ceil(block)).into_par_iter().for_each(|b| {
            let from = b * block;
            let width = block.min(n_out - from);
            let mut y_columns = Scratch::take(width * n); // [out of the block, n]
            let dst = MatrixMut::new(&mut y_columns, 1, n);
            let lhs = Matrix::new(&x_columns, 1, n); // [n, in]
            let rhs = Matrix::new(weight, 1, n_in).right_of(from); // [in, out]
            // SAFETY: the memory has width × n elements, is this task's own and is not read.
            unsafe { multiply(dst, lhs, rhs, (n, width, n_in), 0.0) };
            if let Some(bias) = bias {
                for (column, &b) in y_columns.chunks_exact_mut(n).zip(&bias[from..]) {
                    column.iter_mut().for_each(|y| *y += b);
                }
            }
            let y_columns = Rows { values: &y_columns, stride: n, len: n };
            // SAFETY: tasks write disjoint columns of y, which has n × out elements and is ours.
            unsafe { transpose_into(y_columns, places.offset(0, from)) };
        });
        // SAFETY: the tasks wrote every element.
        Ok((unsafe { y.into_vec() }, Shape::from([&[n], self.dims.as_slice()].concat())))
    }

    /// gx = g·w and gw = gᵀ·x; None for an argument that needs none, or whose gradient went into its buffer.
    fn backward(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> candle_core::Result<Gradients> {
        let (n, n_in) = x.dims2()?;
        let n_out = weight.dim(0)?;
        let grad_x = if x.track_op() {
            let mut grad_x = Fresh::new(n * n_in);
            let dst = MatrixMut { start: grad_x.start(), row: n_in, column: 1 };
            with_values(grad, |g| {
                with_values(weight, |w| {
                    let (lhs, rhs) = (Matrix::new(g, n_out, 1), Matrix::new(w, n_in, 1)); // [n, out]·[out, in]
                    // SAFETY: grad_x has n × in elements, is ours and is not read.
                    unsafe { multiply_by_columns(dst, lhs, rhs, (n, n_in, n_out), 0.0) };
                })
            })??;
            // SAFETY: the product wrote every element.
            Some(unsafe { grad_x.into_tensor_like(x) }?)
        } else {
            None
        };
        let weight_product = |start: *mut f32, keep: f32| {
            with_values(grad, |g| {
                with_values(x, |x| {
                    // The transposed product [in, out] = xᵀ·g, so that its columns are the rows of the weight.
                    let dst = MatrixMut { start, row: 1, column: n_in };
                    let (lhs, rhs) = (Matrix::new(x, 1, n_in), Matrix::new(g, n_out, 1)); // [in, n]·[n, out]
                    // SAFETY: the memory has in × out elements, is ours, and is read only when it was written before.
                    unsafe { multiply_by_columns(dst, lhs, rhs, (n_in, n_out, n), keep) };
                })
            })?
        };
        let mut outcome = Ok(());
        let buffered = gradient_buffers::accumulate(weight, |buffer, keep| {
            outcome = weight_product(buffer.as_mut_ptr(), keep);
        });
        outcome?;
        if buffered || !weight.track_op() {
            return Ok((grad_x, None));
        }
        let mut grad_weight = Fresh::new(n_out * n_in);
        weight_product(grad_weight.start(), 0.0)?;
        // SAFETY: the product wrote every element.
        Ok((grad_x, Some(unsafe { grad_weight.into_tensor_like(weight) }?)))
    }
}
