//! Matrix products on strided memory: dst ← keep·dst + lhs·rhs, by the `gemm` crate.

use rayon::prelude::*;

/// A matrix inside a slice: element (i, j) lies at `i·row + j·column`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// A matrix that is written, inside memory that several tasks share.
#[derive(Clone, Copy)]
pub(crate) struct MatrixMut {
    pub(crate) start: *mut f32,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

// SAFETY: a `MatrixMut` is only a place; whoever writes through it (`multiply`, which is unsafe) vouches that no two
// tasks write the same elements.
unsafe impl Send for MatrixMut {}
// SAFETY: as above.
unsafe impl Sync for MatrixMut {}

impl<'a> Matrix<'a> {
    pub(crate) fn new(values: &'a [f32], row: usize, column: usize) -> Self {
        Self { values, row, column }
    }

    pub(crate) fn transposed(self) -> Self {
        Self::new(self.values, self.column, self.row)
    }

    /// The matrix without its first `row` rows.
    pub(crate) fn below(self, row: usize) -> Self {
        Self::new(&self.values[row * self.row..], self.row, self.column)
    }

    /// The matrix without its first `column` columns.
    pub(crate) fn right_of(self, column: usize) -> Self {
        Self::new(&self.values[column * self.column..], self.row, self.column)
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.row + (columns - 1) * self.column < self.values.len()
    }
}

impl MatrixMut {
    pub(crate) fn new(values: &mut [f32], row: usize, column: usize) -> Self {
        Self { start: values.as_mut_ptr(), row, column }
    }

    /// The matrix from the given row and column on.
    pub(crate) fn offset(self, row: usize, column: usize) -> Self {
        Self { start: self.start.wrapping_add(row * self.row + column * self.column), ..self }
    }
}

/// Single-threaded product dst[m × n] ← keep·dst + lhs[m × k]·rhs[k × n], where keep is 0 (dst is not read) or 1.
///
/// # Safety
/// `dst` has to be valid for writes (and for reads, when `keep` is not 0) of all m × n elements, and nobody else may
/// use them meanwhile.
pub(crate) unsafe fn multiply(
    dst: MatrixMut,
    lhs: Matrix<'_>,
    rhs: Matrix<'_>,
    (m, n, k): (usize, usize, usize),
    keep: f32,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(k > 0 && lhs.holds(m, k) && rhs.holds(k, n), "matrix product out of bounds");
    // SAFETY: the assertion keeps the reads inside both slices, the caller vouches for dst.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.start,
            dst.column as isize,
            dst.row as isize,
            keep != 0.0,
            lhs.values.as_ptr(),
            lhs.column as isize,
            lhs.row as isize,
            rhs.values.as_ptr(),
            rhs.column as isize,
            rhs.row as isize,
            keep,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// The same product with the columns of dst split into blocks that run in parallel.
///
/// # Safety
/// As [`multiply`].
pub(crate) unsafe fn multiply_by_columns(
    dst: MatrixMut,
    lhs: Matrix<'_>,
    rhs: Matrix<'_>,
    (m, n, k): (usize, usize, usize),
    keep: f32,
) {
    let block = column_block(n);
    (0..n.div_ceil(block)).into_par_iter().for_each(|b| {
        let from = b * block;
        let width = block.min(n - from);
        let rhs = rhs.right_of(from);
        // SAFETY: the blocks are disjoint columns of dst, for all of which the caller vouches.
        unsafe { multiply(dst.offset(0, from), lhs, rhs, (m, width, k), keep) };
    });
}

/// Columns of a task's block: at most 512, and fewer where a narrow product would otherwise leave threads idle.
pub(crate) fn column_block(n_columns: usize) -> usize {
    n_columns.div_ceil(2 * rayon::current_num_threads()).next_multiple_of(32).min(512)
}
