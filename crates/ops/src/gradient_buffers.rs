//! One persistent gradient buffer per trainable variable.
//!
//! Candle's backward allocates zeros and a sum for every gradient, which for 26 million weights costs more time than
//! the optimiser's step. While [`GradientBuffers::backward`] runs, the fast operators of this crate find their
//! weights' buffers by tensor id and accumulate into them; gradients that arrive the ordinary way are taken as they are.

use crate::{Error, Result};
use candle_core::{DType, Tensor, TensorId, Var};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

/// Gradients of a set of variables, refilled by every call of [`GradientBuffers::backward`].
#[derive(Debug)]
pub struct GradientBuffers {
    slots: BTreeMap<String, Slot>,
}

#[derive(Debug)]
struct Slot {
    var: Var,
    /// What the fast operators summed, when they did; empty for variables that no fast operator can serve.
    buffer: Buffer,
    /// What candle's own operators contributed.
    stored: Option<Tensor>,
}

#[derive(Debug, Default)]
struct Buffer {
    values: Vec<f32>,
    written: bool,
}

/// A gradient as the optimiser reads it.
pub(crate) enum Gradient<'a> {
    Buffer(&'a [f32]),
    Tensor(&'a Tensor),
}

thread_local! {
    /// The buffers of the backward pass that runs on this thread, by the id of their variable.
    static SCOPE: RefCell<HashMap<TensorId, Buffer>> = RefCell::new(HashMap::new());
}

/// Gives the buffer of `variable` to `accumulate`, when a backward pass with buffers runs and has one for it.
///
/// `accumulate(values, beta)` has to set values ← beta·values + gradient, where beta is 0 the first time (values are
/// then arbitrary and must not be read) and 1 afterwards. Returns whether there was a buffer.
pub(crate) fn accumulate(variable: &Tensor, accumulate: impl FnOnce(&mut [f32], f32)) -> bool {
    SCOPE.with(|scope| match scope.borrow_mut().get_mut(&variable.id()) {
        Some(buffer) if buffer.values.len() == variable.elem_count() => {
            let beta = if buffer.written { 1.0 } else { 0.0 };
            accumulate(&mut buffer.values, beta);
            buffer.written = true;
            true
        }
        _ => false,
    })
}

/// Where a weight's gradient goes: into its buffer when there is one (None is returned then, which is what candle's
/// backward has to be told), else into a tensor of its own; nowhere when the weight needs none.
///
/// `accumulate` is as for [`accumulate`].
pub(crate) fn into_buffer_or_tensor(
    weight: &Tensor,
    mut accumulate_into: impl FnMut(&mut [f32], f32),
) -> candle_core::Result<Option<Tensor>> {
    if accumulate(weight, &mut accumulate_into) || !weight.track_op() {
        return Ok(None);
    }
    let mut gradient = vec![0.0; weight.elem_count()];
    accumulate_into(&mut gradient, 0.0);
    Ok(Some(Tensor::from_vec(gradient, weight.shape(), weight.device())?))
}

/// Empties the scope even when backward fails, so that a later ordinary backward finds no stale buffers.
struct ScopeGuard;

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        SCOPE.with(|scope| scope.borrow_mut().clear());
    }
}

impl GradientBuffers {
    /// Makes room for the gradients of `variables`; buffers are allocated when they are first needed.
    pub fn new(variables: &BTreeMap<String, Var>) -> Self {
        let slots = variables
            .iter()
            .map(|(name, var)| {
                let slot = Slot { var: var.clone(), buffer: Buffer::default(), stored: None };
                (name.clone(), slot)
            })
            .collect();
        Self { slots }
    }

    /// Computes the gradients of `loss` with respect to all variables, replacing those of the last call.
    ///
    /// # Errors
    /// Those of candle's backward. A variable that the loss does not depend on is no error here, but reported by
    /// [`Self::get`] and [`Self::without_gradient`].
    pub fn backward(&mut self, loss: &Tensor) -> Result<()> {
        let guard = ScopeGuard;
        SCOPE.with(|scope| {
            let mut scope = scope.borrow_mut();
            scope.clear();
            for slot in self.slots.values_mut() {
                slot.stored = None;
                let tensor = slot.var.as_tensor();
                if !(tensor.device().is_cpu() && tensor.dtype() == DType::F32) {
                    continue;
                }
                let mut buffer = std::mem::take(&mut slot.buffer);
                buffer.written = false;
                buffer.values.resize(tensor.elem_count(), 0.0);
                scope.insert(tensor.id(), buffer);
            }
        });
        let store = loss.backward();
        SCOPE.with(|scope| {
            let mut scope = scope.borrow_mut();
            for slot in self.slots.values_mut() {
                if let Some(buffer) = scope.remove(&slot.var.as_tensor().id()) {
                    slot.buffer = buffer;
                }
            }
        });
        drop(guard);
        let mut store = store?;
        for slot in self.slots.values_mut() {
            let Some(gradient) = store.remove(slot.var.as_tensor()) else {
                continue;
            };
            let gradient = gradient.contiguous()?;
            slot.stored = Some(if slot.buffer.written {
                // Both kinds of operators used the variable: their sum is kept as a tensor.
                slot.buffer.written = false;
                let summed = Tensor::from_slice(
                    &slot.buffer.values,
                    slot.var.as_tensor().shape(),
                    slot.var.as_tensor().device(),
                )?;
                (summed + gradient)?
            } else {
                gradient
            });
        }
        Ok(())
    }

    /// A copy of the gradient of one variable.
    ///
    /// # Errors
    /// [`Error::MissingGradient`] for an unknown name, or when the last loss did not depend on the variable.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let missing = || Error::MissingGradient { name: name.into() };
        let slot = self.slots.get(name).ok_or_else(missing)?;
        match self.gradient(name).ok_or_else(missing)? {
            Gradient::Tensor(tensor) => Ok(tensor.clone()),
            Gradient::Buffer(values) => {
                let tensor = slot.var.as_tensor();
                Ok(Tensor::from_slice(values, tensor.shape(), tensor.device())?)
            }
        }
    }

    /// The names of the variables that the last loss did not depend on, in order.
    pub fn without_gradient(&self) -> Vec<&str> {
        self.slots.keys().map(String::as_str).filter(|name| self.gradient(name).is_none()).collect()
    }

    /// The Euclidean norm of the gradients of all variables whose name is one `of` those asked for, taken together;
    /// a variable without a gradient adds nothing.
    ///
    /// # Errors
    /// When the device cannot be read.
    pub fn norm(&self, of: impl Fn(&str) -> bool) -> Result<f64> {
        let mut squares = 0.0;
        for name in self.slots.keys().filter(|name| of(name)) {
            squares += match self.gradient(name) {
                None => 0.0,
                Some(Gradient::Buffer(values)) => sum_of_squares(values),
                Some(Gradient::Tensor(tensor)) => {
                    f64::from(tensor.sqr()?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()?)
                }
            };
        }
        Ok(squares.sqrt())
    }

    pub(crate) fn gradient(&self, name: &str) -> Option<Gradient<'_>> {
        let slot = self.slots.get(name)?;
        match &slot.stored {
            Some(tensor) => Some(Gradient::Tensor(tensor)),
            None if slot.buffer.written => Some(Gradient::Buffer(&slot.buffer.values)),
            None => None,
        }
    }
}

fn sum_of_squares(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum()
}
