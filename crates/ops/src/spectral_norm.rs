//! The spectral norm of a layer's weights: the largest singular value of W viewed as a matrix [out, rest].
//!
//! A discriminator whose every layer is divided by it changes little faster than its inputs do (Miyato et al., arXiv
//! 1802.05957; of a convolution it is the norm of the reshaped kernel, which bounds that of the map up to a factor of the kernel's size). The singular vectors come from power iteration, u ← W·v/‖·‖, v ← Wᵀ·u/‖·‖, always from the same start:
//! nothing is carried from step to step that a checkpoint would have to hold. The matrices are small, so a few dozen
//! products cost less than one convolution of a batch. σ = uᵀ·W·v with u and v taken as constants, which has the gradient u·vᵀ.

use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

const OPERATOR: &str = "spectral_norm";

/// Products of either kind. The relative error falls with the square of (σ₂/σ₁) per round.
const ROUNDS: usize = 12;

/// The largest singular value of weights, by power iteration: from below, and within a few per cent for random weights.
///
/// # Shapes
/// `weight` [out, …] → scalar.
///
/// # Gradient
/// With respect to the weight.
///
/// # Errors
/// [`Error::Shape`] when the weight has no rows or no columns.
pub fn spectral_norm(weight: &Tensor) -> Result<Tensor> {
    let rows = weight.dims().first().copied().unwrap_or(0);
    if rows == 0 || weight.elem_count() == 0 {
        return Err(Error::Shape {
            operator: OPERATOR,
            expected: "weights [out, …], not empty".into(),
            found: format!("{:?}", weight.dims()),
        });
    }
    let columns = weight.elem_count() / rows;
    let matrix = weight.reshape((rows, columns))?;
    let values = matrix.detach().to_dtype(DType::F32)?.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
    let (u, v) = singular_vectors(&values, columns);
    let place = |vector: Vec<f64>, shape: (usize, usize)| -> Result<Tensor> {
        let vector: Vec<f32> = vector.into_iter().map(|value| value as f32).collect();
        Ok(Tensor::from_vec(vector, shape, weight.device())?.to_dtype(weight.dtype())?)
    };
    let (u, v) = (place(u, (1, rows))?, place(v, (columns, 1))?);
    Ok(u.matmul(&matrix)?.matmul(&v)?.reshape(())?)
}

/// Unit vectors u and v of the largest singular value; of a matrix of zeros any.
fn singular_vectors(matrix: &[f32], columns: usize) -> (Vec<f64>, Vec<f64>) {
    // A start without symmetry: one that is orthogonal to the first singular vector would never reach it.
    let mut v: Vec<f64> = (0..columns).map(|j| 1.0 + 0.5 * ((j * 7919 + 3) % 101) as f64 / 101.0).collect();
    normalise(&mut v);
    let mut u = Vec::new();
    for _ in 0..ROUNDS {
        u = matrix.chunks_exact(columns).map(|row| row.iter().zip(&v).map(|(w, v)| f64::from(*w) * v).sum()).collect();
        normalise(&mut u);
        v.fill(0.0);
        for (row, u) in matrix.chunks_exact(columns).zip(&u) {
            v.iter_mut().zip(row).for_each(|(v, w)| *v += u * f64::from(*w));
        }
        normalise(&mut v);
    }
    (u, v)
}

fn normalise(vector: &mut [f64]) {
    let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|x| *x /= norm);
    }
}
