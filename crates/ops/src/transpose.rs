//! Transposition of matrices in memory, tile by tile, so that both sides are touched a cache line at a time.

use crate::matrix_product::MatrixMut;
use rayon::prelude::*;

/// Side of a tile: one cache line of 32-bit floats.
const TILE: usize = 16;
/// Tiles of one task of the parallel form.
const TILES_PER_TASK: usize = 8;

/// to ← fromᵀ in parallel, where `from` has rows of `n_columns` and `to` has rows of `n_rows`, both contiguous.
pub(crate) fn transpose(from: &[f32], n_columns: usize, to: &mut [f32], n_rows: usize) {
    assert!(from.len() == n_rows * n_columns && to.len() == from.len(), "transposition between different sizes");
    let places = MatrixMut::new(to, n_rows, 1);
    from.par_chunks(TILE * TILES_PER_TASK * n_columns).enumerate().for_each(|(task, rows)| {
        let from = Rows { values: rows, stride: n_columns, len: n_columns };
        // SAFETY: tasks write disjoint columns of `to`, which the assertion found large enough.
        unsafe { transpose_into(from, places.offset(0, task * TILE * TILES_PER_TASK)) };
    });
}

/// Rows that lie one stride apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) stride: usize,
    /// Of a row.
    pub(crate) len: usize,
}

/// to ← fromᵀ, where the columns of `to` lie side by side (`to.column` is 1).
///
/// # Safety
/// `to` has to be valid for writes of as many elements as the rows of `from` have, which nobody else uses meanwhile.
pub(crate) unsafe fn transpose_into(from: Rows<'_>, to: MatrixMut) {
    debug_assert_eq!(to.column, 1);
    let n_rows = from.values.len() / from.stride;
    for top in (0..n_rows).step_by(TILE) {
        let height = TILE.min(n_rows - top);
        for left in (0..from.len).step_by(TILE) {
            let width = TILE.min(from.len - left);
            let mut tile = [[0.0f32; TILE]; TILE];
            for i in 0..height {
                let row = &from.values[(top + i) * from.stride + left..][..width];
                for (column, &value) in tile.iter_mut().zip(row) {
                    column[i] = value;
                }
            }
            for (j, column) in tile.iter().enumerate().take(width) {
                // SAFETY: row left + j of `to` has n_rows elements, for which the caller vouches.
                unsafe { to.offset(left + j, top).start.copy_from_nonoverlapping(column.as_ptr(), height) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_changes_its_indices_whatever_the_shape() {
        for (n_rows, n_columns) in [(1, 1), (1, 40), (40, 1), (16, 16), (17, 33), (300, 7), (5, 300), (129, 64)] {
            let from: Vec<f32> = (0..n_rows * n_columns).map(|i| i as f32).collect();
            let mut to = vec![-1.0; from.len()];
            transpose(&from, n_columns, &mut to, n_rows);
            for i in 0..n_rows {
                for j in 0..n_columns {
                    assert_eq!(to[j * n_rows + i], from[i * n_columns + j], "{n_rows}×{n_columns} at {i}, {j}");
                }
            }
        }
    }
}
