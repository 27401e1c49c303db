//! What the fast operators share: when they apply, how a tensor's memory is reached, and how vectors are used.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor};
use rayon::prelude::*;
use std::cell::Cell;
use std::mem::MaybeUninit;

thread_local! {
    static PORTABLE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` with every operator of this thread on its portable path, to compare and to time the two.
pub fn with_portable_path<R>(f: impl FnOnce() -> R) -> R {
    let before = PORTABLE.replace(true);
    let result = f();
    PORTABLE.set(before);
    result
}

/// Whether all tensors are 32-bit floats on the CPU, and the portable path is not asked for.
pub(crate) fn applies(tensors: &[&Tensor]) -> bool {
    !PORTABLE.get() && tensors.iter().all(|tensor| tensor.device().is_cpu() && tensor.dtype() == DType::F32)
}

/// As [`applies`], of tensors some of which may be left out, such as a bias or slopes.
pub(crate) fn applies_with(tensors: &[&Tensor], optional: [Option<&Tensor>; 2]) -> bool {
    applies(tensors) && optional.into_iter().flatten().all(|tensor| applies(&[tensor]))
}

/// The elements of a contiguous tensor as candle hands it to an operator.
pub(crate) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(values) = storage else { candle_core::bail!("the fast path takes 32-bit floats only") };
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("the fast path takes contiguous tensors only")
    };
    Ok(&values[start..end])
}

/// Calls `read` with the elements of a contiguous tensor.
pub(crate) fn with_values<R>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(read(values(storage, layout)?)),
        _ => candle_core::bail!("the fast path takes tensors on the CPU only"),
    }
}

/// Runs `work` compiled for the vector instructions that this processor has; only what is inlined into it gains, so
/// closures and what they call are marked so.
#[inline(always)]
pub(crate) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// Memory for a result whose every element is about to be written; zeroing it first would cost a pass over it.
pub(crate) struct Fresh(Box<[MaybeUninit<f32>]>);

impl Fresh {
    pub(crate) fn new(len: usize) -> Self {
        Self(Box::new_uninit_slice(len))
    }

    pub(crate) fn places(&mut self) -> &mut [MaybeUninit<f32>] {
        &mut self.0
    }

    pub(crate) fn start(&mut self) -> *mut f32 {
        self.0.as_mut_ptr().cast()
    }

    /// # Safety
    /// Every element has to have been written.
    pub(crate) unsafe fn into_vec(self) -> Vec<f32> {
        // SAFETY: the caller vouches for it.
        unsafe { self.0.assume_init() }.into_vec()
    }

    /// A tensor of the shape of `like`, on its device.
    ///
    /// # Safety
    /// As [`Self::into_vec`].
    pub(crate) unsafe fn into_tensor_like(self, like: &Tensor) -> Result<Tensor> {
        // SAFETY: the caller vouches for it.
        Tensor::from_vec(unsafe { self.into_vec() }, like.shape(), like.device())
    }
}

/// Sums over everything but the channels of a contiguous [n, …] with `channels` channels, for the gradient of a bias.
pub(crate) fn channel_sums(x: &Tensor, channels: usize) -> Result<Vec<f32>> {
    let plane = x.elem_count() / x.dim(0)? / channels;
    let mut sums = vec![0.0; channels];
    with_values(x, |x| {
        if plane == 1 {
            add_rows(&mut sums, x);
            return;
        }
        sums.par_iter_mut().enumerate().for_each(|(channel, sum)| {
            // One sum per plane first: a single long sum in 32 bits would lose digits.
            *sum = x
                .chunks_exact(plane)
                .skip(channel)
                .step_by(channels)
                .map(|plane| f64::from(lane_sum(plane)))
                .sum::<f64>() as f32;
        });
    })?;
    Ok(sums)
}

/// sums ← the sum of all rows, in 64 bits; columns in parallel, so that every sum has one order.
fn add_rows(sums: &mut [f32], rows: &[f32]) {
    const COLUMNS_PER_TASK: usize = 256;
    let n_columns = sums.len();
    sums.par_chunks_mut(COLUMNS_PER_TASK).enumerate().for_each(|(task, sums)| {
        let mut totals = [0.0f64; COLUMNS_PER_TASK];
        for row in rows.chunks_exact(n_columns) {
            for (total, &value) in totals.iter_mut().zip(&row[task * COLUMNS_PER_TASK..][..sums.len()]) {
                *total += f64::from(value);
            }
        }
        sums.iter_mut().zip(totals).for_each(|(sum, total)| *sum = total as f32);
    });
}

/// A sum in eight interleaved parts, which the compiler can vectorise; the order is fixed.
pub(crate) fn lane_sum(values: &[f32]) -> f32 {
    let mut parts = [0.0f32; 8];
    let chunks = values.chunks_exact(8);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (part, value) in parts.iter_mut().zip(chunk) {
            *part += value;
        }
    }
    parts.iter().sum::<f32>() + rest
}
