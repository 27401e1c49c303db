//! Bilinear sampling of images under a gated bank of affine maps (a spatial transformer, Jaderberg et al. 2015).
//!
//! ```text
//! out[l, u, p] = Σ_m gate[l, m] · image_u(A_{l,m} · (x_p, y_p, 1))
//! ```
//!
//! with pixel centres at (x, y) ∈ [−1, 1]², the corners' centres at ±1, so that turns by 90° and mirrorings are exact
//! permutations, and zero outside the image. A map is row-major `[a b c; d e f]`: x' = a·x + b·y + c. What is drawn may
//! have another size than what is sampled: a finer canonical image loses nothing when it is turned.
//!
//! The fast path keeps pixels outermost and images innermost: the coordinates of an output pixel are worked out once
//! for all images, and everything that is done per image is a contiguous vector operation.

use candle_core::{CpuStorage, CustomOp3, D, DType, Layout, Shape, Tensor};
use rayon::prelude::*;

use crate::transpose::transpose;
use crate::{Error, Result, fast_path};

/// A map whose gate is below this cannot change a pixel by more than a part in a million, nor learn anything: it is
/// skipped. Late in training all but one map per level are.
const NEGLIGIBLE_GATE: f32 = 1e-6;

/// Images handled together by one task. Fixed, so that sums have one order whatever the number of threads.
const CHUNK: usize = 32;

/// Samples `images` under every level's bank.
///
/// # Shapes
/// images `[u, s, s]`, maps `[levels, bank, 6]`, gates `[levels, bank]` (already a softmax) → `[levels, u, size, size]`.
///
/// # Gradient
/// Of all three arguments; a map's gradient is that of the bilinear weights, zero where all four corners lie outside.
///
/// # Errors
/// When a shape does not fit.
pub fn affine_sample(images: &Tensor, maps: &Tensor, gates: &Tensor, size: usize) -> Result<Tensor> {
    let (from, levels) = check(images, maps, gates, size)?;
    if !fast_path::applies(&[images, maps, gates]) {
        return affine_sample_portable(images, maps, gates, size);
    }
    let n_images = images.dim(0)?;
    let op = AffineSample { from, size, levels, bank: gates.dim(1)?, n_images };
    Ok(images.contiguous()?.apply_op3(&maps.contiguous()?, &gates.contiguous()?, op)?)
}

/// The same from stock candle operators: any device, any float type.
///
/// # Errors
/// When a shape does not fit.
pub fn affine_sample_portable(images: &Tensor, maps: &Tensor, gates: &Tensor, size: usize) -> Result<Tensor> {
    let (from, levels) = check(images, maps, gates, size)?;
    let (n_images, bank) = (images.dim(0)?, gates.dim(1)?);
    let (device, dtype) = (images.device(), images.dtype());
    let n_pixels = size * size;
    let half = (from - 1) as f64 / 2.0;
    let (xs, ys): (Vec<f32>, Vec<f32>) = (0..n_pixels).map(|p| centre(p, size)).unzip();
    let xs = Tensor::new(xs, device)?.to_dtype(dtype)?; // [p]
    let ys = Tensor::new(ys, device)?.to_dtype(dtype)?; // [p]
    let flat = images.reshape((n_images, from * from))?; // [u, q]
    let entry = |i: usize| -> Result<Tensor> { Ok(maps.narrow(D::Minus1, i, 1)?.reshape((levels * bank, 1))?) }; // [l·m, 1]
    let coordinate = |i: usize| -> Result<Tensor> {
        let source =
            entry(i)?.broadcast_mul(&xs)?.add(&entry(i + 1)?.broadcast_mul(&ys)?)?.broadcast_add(&entry(i + 2)?)?;
        Ok(source.affine(half, half)?.clamp(-2.0, (from + 1) as f64)?) // [l·m, p] in pixels
    };
    let (px, py) = (coordinate(0)?, coordinate(3)?);
    let (x0, y0) = (px.floor()?.detach(), py.floor()?.detach());
    let (fx, fy) = ((px - &x0)?, (py - &y0)?);
    let last = (from - 1) as f64;
    let mut sum = Tensor::zeros((n_images, levels * bank * n_pixels), dtype, device)?;
    for (dy, dx) in [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)] {
        let (x, y) = ((&x0 + dx)?, (&y0 + dy)?);
        let inside = x.ge(0.0)?.mul(&x.le(last)?)?.mul(&y.ge(0.0)?)?.mul(&y.le(last)?)?.to_dtype(dtype)?;
        let index =
            ((y.clamp(0.0, last)? * from as f64)? + x.clamp(0.0, last)?)?.to_dtype(DType::U32)?.flatten_all()?;
        let wx = if dx == 0.0 { fx.affine(-1.0, 1.0)? } else { fx.clone() };
        let wy = if dy == 0.0 { fy.affine(-1.0, 1.0)? } else { fy.clone() };
        let weight = ((wx * wy)? * inside)?.flatten_all()?; // [l·m·p]
        sum = (sum + flat.index_select(&index, 1)?.broadcast_mul(&weight)?)?; // [u, l·m·p]
    }
    let sum = sum
        .reshape((n_images, levels, bank, n_pixels))?
        .broadcast_mul(&gates.reshape((1, levels, bank, 1))?)?
        .sum(2)?; // [u, l, p]
    Ok(sum.transpose(0, 1)?.reshape((levels, n_images, size, size))?) // [l, u, h, w]
}

/// The size of the images and the number of levels.
fn check(images: &Tensor, maps: &Tensor, gates: &Tensor, size: usize) -> Result<(usize, usize)> {
    match (images.dims(), maps.dims(), gates.dims()) {
        (&[u, h, w], &[levels, bank, 6], &[gate_levels, gate_bank])
            if h == w
                && h > 0
                && u > 0
                && levels > 0
                && bank > 0
                && size > 0
                && levels == gate_levels
                && bank == gate_bank =>
        {
            Ok((h, levels))
        }
        (i, m, g) => Err(Error::Shape {
            operator: "affine_sample",
            expected: "images [u, s, s], maps [levels, bank, 6], gates [levels, bank], none of them empty, size ≥ 1"
                .into(),
            found: format!("{i:?}, {m:?}, {g:?}, size {size}"),
        }),
    }
}

/// The centre of pixel `p`, (x, y) in [−1, 1]; an image of one pixel has its centre at 0.
fn centre(p: usize, size: usize) -> (f32, f32) {
    let at = |i: usize| if size == 1 { 0.0 } else { 2.0 * i as f32 / (size - 1) as f32 - 1.0 };
    (at(p % size), at(p / size))
}

/// Where one output pixel reads: the four corners' pixels (none outside the image) and the fractions between them.
struct Source {
    corners: [Option<usize>; 4], // (y0, x0), (y0, x1), (y1, x0), (y1, x1)
    fx: f32,
    fy: f32,
}

impl Source {
    /// Of output pixel `p` of `size`×`size`, in an image of `from`×`from`.
    fn new(map: &[f32], p: usize, size: usize, from: usize) -> Self {
        let (x, y) = centre(p, size);
        let half = (from - 1) as f32 / 2.0;
        let pixel = |row: &[f32]| ((row[0] * x + row[1] * y + row[2]) * half + half).clamp(-2.0, (from + 1) as f32);
        let (px, py) = (pixel(&map[..3]), pixel(&map[3..6]));
        let (x0, y0) = (px.floor(), py.floor());
        let (ix, iy) = (x0 as i64, y0 as i64);
        let inside = 0..from as i64;
        let at =
            |y: i64, x: i64| (inside.contains(&y) && inside.contains(&x)).then(|| (y as usize) * from + x as usize);
        Self { corners: [at(iy, ix), at(iy, ix + 1), at(iy + 1, ix), at(iy + 1, ix + 1)], fx: px - x0, fy: py - y0 }
    }

    fn weights(&self) -> [f32; 4] {
        let (fx, fy) = (self.fx, self.fy);
        [(1.0 - fy) * (1.0 - fx), (1.0 - fy) * fx, fy * (1.0 - fx), fy * fx]
    }
}

struct AffineSample {
    from: usize,
    size: usize,
    levels: usize,
    bank: usize,
    n_images: usize,
}

impl AffineSample {
    /// Images in chunks of at most [`CHUNK`], each `[q, chunk]`: pixels outermost.
    fn chunks(&self, images: &[f32]) -> Vec<Vec<f32>> {
        let n_pixels = self.from * self.from;
        images.par_chunks(CHUNK * n_pixels).map(|chunk| transposed(chunk, n_pixels)).collect()
    }

    fn forward(&self, images: &[f32], maps: &[f32], gates: &[f32]) -> Vec<f32> {
        let n_pixels = self.size * self.size;
        let chunks = self.chunks(images);
        let tasks: Vec<(usize, usize)> =
            (0..self.levels).flat_map(|l| (0..chunks.len()).map(move |c| (l, c))).collect();
        let parts: Vec<Vec<f32>> = tasks
            .par_iter()
            .map(|&(level, c)| {
                let images = &chunks[c]; // [q, n]
                let n = images.len() / (self.from * self.from);
                let mut out = vec![0f32; n_pixels * n];
                for m in 0..self.bank {
                    let map = &maps[(level * self.bank + m) * 6..][..6];
                    let gate = gates[level * self.bank + m];
                    if gate < NEGLIGIBLE_GATE {
                        continue;
                    }
                    for (p, out) in out.chunks_exact_mut(n).enumerate() {
                        let source = Source::new(map, p, self.size, self.from);
                        for (corner, weight) in source.corners.iter().zip(source.weights()) {
                            if let Some(q) = corner {
                                add_scaled(out, &images[q * n..][..n], gate * weight);
                            }
                        }
                    }
                }
                transposed(&out, n) // [n, p]
            })
            .collect();
        parts.concat() // levels outermost, then chunks in order: [levels, u, p]
    }

    /// Gradients of images, maps and gates.
    fn backward(&self, images: &[f32], maps: &[f32], gates: &[f32], grad: &[f32]) -> [Vec<f32>; 3] {
        let n_pixels = self.size * self.size;
        let chunks = self.chunks(images);
        let half = (self.from - 1) as f32 / 2.0;
        let parts: Vec<[Vec<f32>; 3]> = chunks
            .par_iter()
            .enumerate()
            .map(|(c, images)| {
                let n = images.len() / (self.from * self.from);
                let mut grad_images = vec![0f32; images.len()]; // [q, n]
                let mut grad_maps = vec![0f32; maps.len()];
                let mut grad_gates = vec![0f32; gates.len()];
                for level in 0..self.levels {
                    let start = (level * self.n_images + c * CHUNK) * n_pixels;
                    let grad = transposed(&grad[start..start + n * n_pixels], n_pixels); // [p, n]
                    for m in 0..self.bank {
                        let at = level * self.bank + m;
                        let (map, gate) = (&maps[at * 6..][..6], gates[at]);
                        if gate < NEGLIGIBLE_GATE {
                            continue;
                        }
                        let mut grad_map = [0f32; 6];
                        let mut grad_gate = 0f32;
                        for (p, g) in grad.chunks_exact(n).enumerate() {
                            let source = Source::new(map, p, self.size, self.from);
                            let weights = source.weights();
                            let mut dots = [0f32; 4];
                            for ((corner, weight), sum) in source.corners.iter().zip(weights).zip(&mut dots) {
                                if let Some(q) = corner {
                                    *sum = dot(g, &images[q * n..][..n]);
                                    add_scaled(&mut grad_images[q * n..][..n], g, gate * weight);
                                }
                            }
                            let [d00, d01, d10, d11] = dots;
                            grad_gate += weights.iter().zip(dots).map(|(w, d)| w * d).sum::<f32>();
                            // The derivative of the bilinear weights by the source's position, in pixels, times `half`
                            // pixels per unit of the map's coordinates.
                            let by_x = gate * half * ((1.0 - source.fy) * (d01 - d00) + source.fy * (d11 - d10));
                            let by_y = gate * half * ((1.0 - source.fx) * (d10 - d00) + source.fx * (d11 - d01));
                            let (x, y) = centre(p, self.size);
                            for (sum, value) in
                                grad_map.iter_mut().zip([by_x * x, by_x * y, by_x, by_y * x, by_y * y, by_y])
                            {
                                *sum += value;
                            }
                        }
                        grad_maps[at * 6..][..6].copy_from_slice(&grad_map);
                        grad_gates[at] = grad_gate;
                    }
                }
                [transposed(&grad_images, n), grad_maps, grad_gates]
            })
            .collect();
        let mut grad_images = Vec::with_capacity(images.len());
        let (mut grad_maps, mut grad_gates) = (vec![0f32; maps.len()], vec![0f32; gates.len()]);
        for [part_images, part_maps, part_gates] in parts {
            grad_images.extend(part_images);
            add_scaled(&mut grad_maps, &part_maps, 1.0);
            add_scaled(&mut grad_gates, &part_gates, 1.0);
        }
        [grad_images, grad_maps, grad_gates]
    }
}

impl CustomOp3 for AffineSample {
    fn name(&self) -> &'static str {
        "affine_sample"
    }

    fn cpu_fwd(
        &self,
        images: &CpuStorage,
        images_layout: &Layout,
        maps: &CpuStorage,
        maps_layout: &Layout,
        gates: &CpuStorage,
        gates_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let images = fast_path::values(images, images_layout)?;
        let maps = fast_path::values(maps, maps_layout)?;
        let gates = fast_path::values(gates, gates_layout)?;
        let out = self.forward(images, maps, gates);
        Ok((CpuStorage::F32(out), Shape::from((self.levels, self.n_images, self.size, self.size))))
    }

    fn bwd(
        &self,
        images: &Tensor,
        maps: &Tensor,
        gates: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let values = [images, maps, gates, grad].map(|t| t.flatten_all()?.to_vec1::<f32>());
        let [i, m, g, d] = values;
        let [grad_images, grad_maps, grad_gates] = self.backward(&i?, &m?, &g?, &d?);
        let device = images.device();
        Ok((
            Some(Tensor::from_vec(grad_images, images.shape(), device)?),
            Some(Tensor::from_vec(grad_maps, maps.shape(), device)?),
            Some(Tensor::from_vec(grad_gates, gates.shape(), device)?),
        ))
    }
}

/// `[rows, columns]` → `[columns, rows]`.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    let mut out = vec![0f32; values.len()];
    transpose(values, columns, &mut out, values.len() / columns);
    out
}

fn add_scaled(out: &mut [f32], x: &[f32], scale: f32) {
    for (out, x) in out.iter_mut().zip(x) {
        *out += scale * x;
    }
}

/// A dot product in eight interleaved partial sums, which the compiler turns into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn random(shape: &[usize], rng: &mut ChaCha8Rng) -> Result<Tensor> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random::<f32>() * 2.0 - 1.0).collect();
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    #[test]
    fn quarter_turn_is_an_exact_permutation() -> Result<()> {
        // Image [[1, 2], [3, 4]]; the map x' = −y, y' = x sends output (x, y) = (−1, −1), top left, to source (1, −1),
        // top right, which is 2; (1, −1) to (1, 1) = 4; (−1, 1) to (−1, −1) = 1; (1, 1) to (−1, 1) = 3: [[2, 4], [1, 3]].
        let images = Tensor::new(&[[[1f32, 2.0], [3.0, 4.0]]], &Device::Cpu)?;
        let maps = Tensor::new(&[[[0f32, -1.0, 0.0, 1.0, 0.0, 0.0]]], &Device::Cpu)?;
        let gates = Tensor::new(&[[1f32]], &Device::Cpu)?;
        let out = affine_sample(&images, &maps, &gates, 2)?;
        assert_eq!(out.flatten_all()?.to_vec1::<f32>()?, [2.0, 4.0, 1.0, 3.0]);
        Ok(())
    }

    #[test]
    fn half_a_pixel_averages_and_outside_is_zero() -> Result<()> {
        // A shift by c = 1 in a 3-wide image is one pixel (half = 1): column x reads x + 1; half a pixel is c = 0.5:
        // row [2, 4, 8] → (2+4)/2 = 3, (4+8)/2 = 6, (8+0)/2 = 4.
        let images = Tensor::new(&[[[2f32, 4.0, 8.0], [2.0, 4.0, 8.0], [2.0, 4.0, 8.0]]], &Device::Cpu)?;
        let maps = Tensor::new(&[[[1f32, 0.0, 0.5, 0.0, 1.0, 0.0]]], &Device::Cpu)?;
        let out = affine_sample(&images, &maps, &Tensor::new(&[[1f32]], &Device::Cpu)?, 3)?;
        assert_eq!(out.flatten_all()?.to_vec1::<f32>()?[..3], [3.0, 6.0, 4.0]);
        Ok(())
    }

    #[test]
    fn a_finer_image_is_read_at_its_own_pixels() -> Result<()> {
        // 3×3 → 2×2 under the identity: the corners' centres coincide, and nothing between them is read.
        let images = Tensor::new(&[[[1f32, 9.0, 2.0], [9.0, 9.0, 9.0], [3.0, 9.0, 4.0]]], &Device::Cpu)?;
        let maps = Tensor::new(&[[[1f32, 0.0, 0.0, 0.0, 1.0, 0.0]]], &Device::Cpu)?;
        let gates = Tensor::new(&[[1f32]], &Device::Cpu)?;
        assert_eq!(affine_sample(&images, &maps, &gates, 2)?.flatten_all()?.to_vec1::<f32>()?, [1.0, 2.0, 3.0, 4.0]);
        // 2×2 → 3×3: the middle is the mean of all four, (1 + 2 + 3 + 4)/4 = 2.5.
        let images = Tensor::new(&[[[1f32, 2.0], [3.0, 4.0]]], &Device::Cpu)?;
        let out = affine_sample(&images, &maps, &gates, 3)?.flatten_all()?.to_vec1::<f32>()?;
        assert_eq!(out, [1.0, 1.5, 2.0, 2.0, 2.5, 3.0, 3.0, 3.5, 4.0]);
        Ok(())
    }

    #[test]
    fn fast_and_portable_agree_forward_and_backward() -> Result<()> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let shapes = [(1, 2, 2, 1, 1), (3, 5, 5, 2, 3), (33, 13, 7, 3, 2), (70, 4, 6, 2, 5), (2, 2, 3, 1, 2)];
        for (u, from, size, levels, bank) in shapes {
            let images = Var::from_tensor(&random(&[u, from, from], &mut rng)?)?;
            let maps = Var::from_tensor(&random(&[levels, bank, 6], &mut rng)?)?;
            let gates = Var::from_tensor(&random(&[levels, bank], &mut rng)?.abs()?)?;
            let weight = random(&[levels, u, size, size], &mut rng)?;
            let mut results = Vec::new();
            for f in [affine_sample, affine_sample_portable] {
                let out = f(&images, &maps, &gates, size)?;
                let grads = (&out * &weight)?.sum_all()?.backward()?;
                let mut values = vec![out.flatten_all()?.to_vec1::<f32>()?];
                for var in [&images, &maps, &gates] {
                    let grad = grads.get(var).ok_or_else(|| Error::MissingGradient { name: "argument".into() })?;
                    values.push(grad.flatten_all()?.to_vec1::<f32>()?);
                }
                results.push(values);
            }
            for (fast, portable) in results[0].iter().zip(&results[1]) {
                let scale = portable.iter().fold(1f32, |a, v| a.max(v.abs()));
                let worst = fast.iter().zip(portable).fold(0f32, |a, (x, y)| a.max((x - y).abs()));
                assert!(worst <= 1e-4 * scale, "{worst} of {scale} at u {u}, from {from} to {size}");
            }
        }
        Ok(())
    }

    #[test]
    fn gradients_match_central_differences() -> Result<()> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let images = random(&[2, 7, 7], &mut rng)?;
        let maps = (random(&[1, 2, 6], &mut rng)? * 0.6)?;
        let gates = random(&[1, 2], &mut rng)?.abs()?;
        let weight = random(&[1, 2, 6, 6], &mut rng)?;
        let loss = |images: &Tensor, maps: &Tensor, gates: &Tensor| -> Result<f64> {
            // The portable path in f64 is the function whose differences are taken.
            let [i, m, g, w] = [images, maps, gates, &weight].map(|t| t.to_dtype(DType::F64));
            Ok((affine_sample_portable(&i?, &m?, &g?, 6)? * w?)?.sum_all()?.to_scalar::<f64>()?)
        };
        let vars = [&images, &maps, &gates].map(Var::from_tensor);
        let [vi, vm, vg] = vars;
        let (vi, vm, vg) = (vi?, vm?, vg?);
        let grads = (affine_sample(&vi, &vm, &vg, 6)? * &weight)?.sum_all()?.backward()?;
        for which in 0..3 {
            let var = [&vi, &vm, &vg][which];
            let analytic = grads
                .get(var)
                .ok_or_else(|| Error::MissingGradient { name: "argument".into() })?
                .flatten_all()?
                .to_vec1::<f32>()?;
            let values = var.flatten_all()?.to_vec1::<f32>()?;
            for i in 0..values.len() {
                let at = |delta: f32| -> Result<f64> {
                    let mut moved = values.clone();
                    moved[i] += delta;
                    let moved = Tensor::from_vec(moved, var.shape(), &Device::Cpu)?;
                    let mut args = [&images, &maps, &gates];
                    args[which] = &moved;
                    loss(args[0], args[1], args[2])
                };
                // The step is small because a bilinear sample has kinks at the pixels' centres.
                let numeric = (at(1e-4)? - at(-1e-4)?) / 2e-4;
                assert!(
                    (numeric - f64::from(analytic[i])).abs() < 2e-2 * (1.0 + numeric.abs()),
                    "argument {which}, entry {i}: {numeric} {}",
                    analytic[i]
                );
            }
        }
        Ok(())
    }

    #[test]
    fn wrong_shapes_and_absurd_maps_are_no_panic() -> Result<()> {
        let images = Tensor::zeros((2, 3, 4), DType::F32, &Device::Cpu)?;
        let maps = Tensor::zeros((1, 1, 6), DType::F32, &Device::Cpu)?;
        let gates = Tensor::ones((1, 1), DType::F32, &Device::Cpu)?;
        assert!(affine_sample(&images, &maps, &gates, 3).is_err_and(|e| e.to_string().contains("affine_sample")));
        let square = Tensor::ones((2, 3, 3), DType::F32, &Device::Cpu)?;
        assert!(affine_sample(&square, &maps, &gates, 0).is_err_and(|e| e.to_string().contains("size 0")));
        let far = Tensor::full(f32::INFINITY, (1, 1, 6), &Device::Cpu)?;
        affine_sample(&square, &far, &gates, 3)?;
        let away = Tensor::full(1e30f32, (1, 1, 6), &Device::Cpu)?;
        assert_eq!(affine_sample(&square, &away, &gates, 3)?.dims(), [1, 2, 3, 3]);
        Ok(())
    }
}
