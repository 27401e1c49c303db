//! The roofs: how fast this machine multiplies large matrices and updates memory now, to hold a training step against.

use rayon::prelude::*;
use std::time::Instant;

/// Values that a task updates at a time.
const CHUNK: usize = 1 << 16;

/// Threads that the operators run on.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// GFLOP (10⁹ multiplications and additions) per second of a square matrix product on all threads, the best of `repeats`
/// runs each of two ways to divide the work: gemm's own, and one block of columns per thread.
///
/// The smallest size that is worth asking for is about 1024; 2048 takes 48 MiB and 17 GFLOP a run.
pub fn product_gflop_per_s(size: usize, repeats: usize) -> f64 {
    if size == 0 {
        return 0.0;
    }
    // Values between −1 and 1 that differ: what is multiplied must not be known to the hardware beforehand.
    let values = |seed: usize| -> Vec<f32> {
        (0..size * size).map(|i| ((i * 7919 + seed) % 2003) as f32 / 1001.5 - 1.0).collect()
    };
    let (lhs, rhs, mut product) = (values(1), values(2), vec![0.0f32; size * size]);
    let mut best = f64::INFINITY;
    for repeat in 0..2 * repeats.max(1) {
        let started = Instant::now();
        if repeat % 2 == 0 {
            multiply(&lhs, &rhs, &mut product, size, gemm::Parallelism::Rayon(0));
        } else {
            let columns = size.div_ceil(threads());
            product.par_chunks_mut(columns * size).zip(rhs.par_chunks(columns * size)).for_each(|(product, rhs)| {
                multiply(&lhs, rhs, product, size, gemm::Parallelism::None);
            });
        }
        best = best.min(started.elapsed().as_secs_f64());
    }
    2.0 * (size as f64).powi(3) / best / 1e9
}

/// Gigabytes per second, read and written together, of y ← y + a·x over `len` 32-bit values on all threads, the best of
/// `repeats`: the traffic of an optimiser, which like this reads all that it writes. Ask for more than the caches hold.
pub fn update_gb_per_s(len: usize, repeats: usize) -> f64 {
    let x = vec![1.0f32; len];
    let mut y = vec![0.0f32; len];
    let mut best = f64::INFINITY;
    for _ in 0..=repeats {
        // The first run also fetches the pages, and is never the best.
        let started = Instant::now();
        y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
            y.iter_mut().zip(x).for_each(|(y, x)| *y += 0.5 * x);
        });
        best = best.min(started.elapsed().as_secs_f64());
    }
    3.0 * 4.0 * len as f64 / best / 1e9
}

/// product ← lhs·rhs, columns one after the other: lhs is size × size, the others size × some columns.
fn multiply(lhs: &[f32], rhs: &[f32], product: &mut [f32], size: usize, parallelism: gemm::Parallelism) {
    let columns = product.len() / size;
    assert!(lhs.len() == size * size && rhs.len() == product.len(), "matrix product out of bounds");
    let column = size as isize;
    // SAFETY: the assertion keeps all reads inside the slices, and product, size × columns elements, is ours alone.
    unsafe {
        gemm::gemm(
            size,
            columns,
            size,
            product.as_mut_ptr(),
            column,
            1,
            false,
            lhs.as_ptr(),
            column,
            1,
            rhs.as_ptr(),
            column,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_divisions_multiply_and_a_figure_comes_out() {
        let (lhs, rhs) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]); // columns (1 2), (3 4) and (5 6), (7 8)
        for parallelism in [gemm::Parallelism::None, gemm::Parallelism::Rayon(0)] {
            let mut product = [0.0; 4];
            multiply(&lhs, &rhs, &mut product, 2, parallelism);
            assert_eq!(product, [23.0, 34.0, 31.0, 46.0]);
        }
        for size in [1, 65] {
            let figure = product_gflop_per_s(size, 1);
            assert!(figure.is_finite() && figure > 0.0, "{figure}");
        }
        assert_eq!(product_gflop_per_s(0, 1), 0.0);
        let figure = update_gb_per_s(1 << 18, 1);
        assert!(figure.is_finite() && figure > 0.0, "{figure}");
        assert!(threads() >= 1);
    }
}
