//! Fully connected layer on rows picked from tables: y[i] = activation(Σ_f table_f[index_f[i]]·w_fᵀ + b).
//!
//! A generator's branches see one-hots, so a batch holds no more different rows of a branch than its factor has levels.
//! By linearity the next layer need not see a picked row more than once either: each table is multiplied by its own
//! columns w_f of the weight, and the products are picked and summed. For 128 images of 10, 10, 3 and 6 levels that is 29
//! rows instead of 128, and none of them as wide as the weight.

use crate::activation::Activation;
use crate::fast_path::{Fresh, applies, applies_with, with_values};
use crate::gradient_buffers::into_buffer_or_tensor;
use crate::linear::{linear_activated, linear_activated_portable};
use crate::matrix_product::{Matrix, MatrixMut, column_block, multiply, multiply_by_columns};
use crate::scratch::Scratch;
use crate::weighted::{Gradients, Weighted, apply};
use crate::{Error, Result};
use candle_core::{Shape, Tensor};
use rayon::prelude::*;
use std::mem::MaybeUninit;

const OPERATOR: &str = "gathered_linear";

/// Multiplies picked rows, side by side, by a weight matrix, adds a bias and activates.
///
/// # Shapes
/// `tables` [levels, in] each, `indices` [n] for each table, `weight` [out, Σ in], `bias` [out], a PReLU's slopes [out] →
/// [n, out].
///
/// # Gradient
/// With respect to all tensors.
///
/// # Errors
/// [`Error::Shape`] when the shapes disagree, one is empty, or an index is none of its table's rows.
pub fn gathered_linear(
    tables: &[Tensor],
    indices: &[&[u32]],
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation<'_>,
) -> Result<Tensor> {
    let gathering = validate(tables, indices, weight, bias, activation)?;
    let on_cpu = tables.iter().all(|table| applies(&[table]));
    if !on_cpu || !applies_with(&[weight], [bias, activation.slope()]) {
        return gathered_linear_portable(tables, indices, weight, bias, activation);
    }
    if gathering.saves_nothing() {
        return linear_activated(&gathered(tables, indices)?, weight, bias, &weight.dims()[..1], activation);
    }
    let rows = tables.iter().map(Tensor::flatten_all).collect::<candle_core::Result<Vec<_>>>()?;
    apply(gathering, &Tensor::cat(&rows, 0)?, weight, bias, activation)
}

/// The same as [`gathered_linear`], made of stock candle operators.
///
/// # Shapes
/// As [`gathered_linear`].
///
/// # Errors
/// As [`gathered_linear`].
pub fn gathered_linear_portable(
    tables: &[Tensor],
    indices: &[&[u32]],
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation<'_>,
) -> Result<Tensor> {
    validate(tables, indices, weight, bias, activation)?;
    linear_activated_portable(&gathered(tables, indices)?, weight, bias, &weight.dims()[..1], activation)
}

/// The picked rows side by side, [n, Σ in].
fn gathered(tables: &[Tensor], indices: &[&[u32]]) -> Result<Tensor> {
    let picked = tables
        .iter()
        .zip(indices)
        .map(|(table, index)| table.index_select(&Tensor::new(*index, table.device())?, 0))
        .collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Tensor::cat(&picked, 1)?)
}

fn validate(
    tables: &[Tensor],
    indices: &[&[u32]],
    weight: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation<'_>,
) -> Result<Gathering> {
    let wrong = |found: String| Error::Shape {
        operator: OPERATOR,
        expected:
            "tables [levels, in], as many indices [n] of their rows, weight [out, Σ in], bias [out], none of them empty"
                .into(),
        found,
    };
    let shapes = || {
        let tables: Vec<&[usize]> = tables.iter().map(Tensor::dims).collect();
        let lengths: Vec<usize> = indices.iter().map(|index| index.len()).collect();
        let (weight, bias) = (weight.dims(), bias.map(Tensor::dims));
        wrong(format!("tables {tables:?}, {lengths:?} indices, weight {weight:?}, bias {bias:?}"))
    };
    let n = indices.first().map_or(0, |index| index.len());
    let &[n_out, n_in] = weight.dims() else { return Err(shapes()) };
    if tables.len() != indices.len() || n == 0 || n_out == 0 || bias.is_some_and(|bias| bias.dims() != [n_out]) {
        return Err(shapes());
    }
    let mut parts = Vec::with_capacity(tables.len());
    let (mut first_value, mut first_column) = (0, 0);
    for (table, index) in tables.iter().zip(indices) {
        let &[levels, width] = table.dims() else { return Err(shapes()) };
        if levels * width == 0 || index.len() != n {
            return Err(shapes());
        }
        if let Some(level) = index.iter().find(|level| **level as usize >= levels) {
            return Err(wrong(format!("index {level} of a table of {levels} rows")));
        }
        let index = index.iter().map(|&level| level as usize).collect();
        parts.push(Part { levels, width, first_value, first_column, index });
        (first_value, first_column) = (first_value + levels * width, first_column + width);
    }
    if first_column != n_in {
        return Err(shapes());
    }
    activation.validate(OPERATOR, n_out)?;
    Ok(Gathering { parts, n })
}

/// One table: where it lies among all tables' values, which columns of the weight are its own, and what is picked.
struct Part {
    levels: usize,
    width: usize,
    first_value: usize,
    first_column: usize,
    index: Vec<usize>,
}

impl Part {
    /// The table, [levels, in].
    fn table<'a>(&self, tables: &'a [f32]) -> Matrix<'a> {
        Matrix::new(&tables[self.first_value..][..self.levels * self.width], self.width, 1)
    }

    /// The weight's columns, [out, in].
    fn columns<'a>(&self, weight: &'a [f32], n_in: usize) -> Matrix<'a> {
        Matrix::new(weight, n_in, 1).right_of(self.first_column)
    }

    /// The sum over the images of every level of their gradients, [levels, out].
    fn summed(&self, grad: &[f32], n_out: usize) -> Scratch {
        let mut sums = Scratch::take(self.levels * n_out);
        sums.fill(0.0);
        for (grad, &level) in grad.chunks_exact(n_out).zip(&self.index) {
            let sum = &mut sums[level * n_out..][..n_out];
            sum.iter_mut().zip(grad).for_each(|(sum, grad)| *sum += grad);
        }
        sums
    }
}

struct Gathering {
    parts: Vec<Part>,
    n: usize,
}

impl Gathering {
    /// Whether the tables have so many rows that a product with the picked ones costs about as much.
    fn saves_nothing(&self) -> bool {
        let of_tables: usize = self.parts.iter().map(|part| part.levels * part.width).sum();
        let of_picked: usize = self.parts.iter().map(|part| self.n * part.width).sum();
        2 * of_tables > of_picked
    }
}

impl Weighted for Gathering {
    const NAME: &'static str = OPERATOR;

    fn forward(
        &self,
        tables: &[f32],
        _: &[usize],
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> candle_core::Result<(Vec<f32>, Shape)> {
        let n_in: usize = self.parts.iter().map(|part| part.width).sum();
        let n_out = weight.len() / n_in;
        let products: Vec<Scratch> = self
            .parts
            .iter()
            .map(|part| {
                let mut products = Scratch::take(part.levels * n_out); // [levels, out]
                let dst = MatrixMut::new(&mut products, n_out, 1);
                let block = column_block(n_out);
                (0..n_out.div_ceil(block)).into_par_iter().for_each(|b| {
                    let from = b * block;
                    let rhs = part.columns(weight, n_in).below(from).transposed(); // [in, out of the block]
                    let sizes = (part.levels, block.min(n_out - from), part.width);
                    // SAFETY: the blocks are disjoint columns of our own memory, which is not read.
                    unsafe { multiply(dst.offset(0, from), part.table(tables), rhs, sizes, 0.0) };
                });
                products
            })
            .collect();
        let mut y = Fresh::new(self.n * n_out);
        y.places().par_chunks_exact_mut(n_out).enumerate().for_each(|(image, y)| {
            let y = match bias {
                Some(bias) => y.write_copy_of_slice(bias),
                None => {
                    y.fill(MaybeUninit::new(0.0));
                    // SAFETY: just written.
                    unsafe { y.assume_init_mut() }
                }
            };
            for (part, products) in self.parts.iter().zip(&products) {
                let row = &products[part.index[image] * n_out..][..n_out];
                y.iter_mut().zip(row).for_each(|(y, product)| *y += product);
            }
        });
        // SAFETY: every row was written.
        Ok((unsafe { y.into_vec() }, Shape::from((self.n, n_out))))
    }

    fn backward(&self, tables: &Tensor, weight: &Tensor, grad: &Tensor) -> candle_core::Result<Gradients> {
        let (n_out, n_in) = weight.dims2()?;
        let sums: Vec<Scratch> =
            with_values(grad, |grad| self.parts.par_iter().map(|part| part.summed(grad, n_out)).collect())?;
        let grad_tables = if tables.track_op() {
            let mut grad_tables = Fresh::new(tables.elem_count());
            with_values(weight, |weight| {
                for (part, sums) in self.parts.iter().zip(&sums) {
                    let start = grad_tables.start().wrapping_add(part.first_value);
                    let dst = MatrixMut { start, row: part.width, column: 1 };
                    let (lhs, rhs) = (Matrix::new(sums, n_out, 1), part.columns(weight, n_in)); // [levels, out]·[out, in]
                    // SAFETY: the part's place among the tables' gradients, which is ours and is not read.
                    unsafe { multiply_by_columns(dst, lhs, rhs, (part.levels, part.width, n_out), 0.0) };
                }
            })?;
            // SAFETY: the parts cover all tables.
            Some(unsafe { grad_tables.into_tensor_like(tables) }?)
        } else {
            None
        };
        let grad_weight = with_values(tables, |tables| {
            into_buffer_or_tensor(weight, |gradient, keep| {
                for (part, sums) in self.parts.iter().zip(&sums) {
                    // The transposed product [in, out], so that its columns are rows of the weight.
                    let start = gradient.as_mut_ptr().wrapping_add(part.first_column);
                    let dst = MatrixMut { start, row: 1, column: n_in };
                    let (lhs, rhs) = (part.table(tables).transposed(), Matrix::new(sums, n_out, 1)); // [in, levels]·[levels, out]
                    // SAFETY: the part's columns of the gradient, which is ours and is read only if it was written before.
                    unsafe { multiply_by_columns(dst, lhs, rhs, (part.width, n_out, part.levels), keep) };
                }
            })
        })??;
        Ok((grad_tables, grad_weight))
    }
}
