//! The three kernels of [`crate::convolution`] by an image of columns: one matrix product per image, or per block of its
//! lines, between which the columns never leave the cache.
//!
//! A column holds, for one pixel of the small image, the k² pixels per channel of the large image under the kernel:
//! columns [o·k², h·w]. With the weight [c, o·k²] as it lies, `small` [c, h·w] and the columns are related by one product
//! in each direction, and their product is the weight's gradient.
//!
//! Large images are read and written phase by phase: pixels that lie one stride apart are brought side by side first, so
//! that every line of a column is a contiguous part of a phase's line, and a copy or a sum of vectors.

use crate::convolution::Geometry;
use crate::fast_path::vectorised;
use crate::matrix_product::{Matrix, MatrixMut, multiply};
use crate::scratch::Scratch;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Values of a block of columns, which should stay in the second-level cache with what they are multiplied by; few in this
/// crate's own tests, which thereby see several blocks.
const BLOCK_VALUES: usize = if cfg!(test) { 1 << 9 } else { 1 << 16 };
/// Images are summed into the weight's gradient in this many parts, whatever the number of threads: the order of the sum,
/// and so its bytes, depend on nothing else.
const GRADIENT_PARTS: usize = 16;
/// Values of all parts together, at most (64 MiB): of a large weight there are fewer parts.
const GRADIENT_VALUES: usize = 1 << 24;

/// large ← bias + columns put back, where columns = wᵀ·small.
pub(crate) fn spread(
    geometry: &Geometry,
    small: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    large: &mut [MaybeUninit<f32>],
) {
    let shape = Shape::of(geometry);
    large.par_chunks_exact_mut(geometry.large_len()).zip(small.par_chunks_exact(geometry.small_len())).for_each(
        |(large, small)| {
            let mut phases = Scratch::take(shape.phases_len());
            let mut columns = Scratch::take(shape.block_len());
            phases.fill(0.0);
            for lines in shape.blocks() {
                let n_pixels = lines.len() * shape.width;
                let dst = MatrixMut::new(&mut columns, n_pixels, 1);
                let lhs = Matrix::new(weight, 1, shape.n_columns); // [o·k², c]
                let rhs = Matrix::new(small, shape.n_pixels(), 1).right_of(lines.start * shape.width); // [c, pixels]
                // SAFETY: the columns are this task's own and are not read.
                unsafe { multiply(dst, lhs, rhs, (shape.n_columns, n_pixels, geometry.small_channels), 0.0) };
                vectorised(
                    #[inline(always)]
                    || shape.add_columns(&lines, &columns, &mut phases),
                );
            }
            vectorised(
                #[inline(always)]
                || shape.merge(&phases, bias, large),
            );
        },
    );
}

/// small ← bias + w·columns.
pub(crate) fn gather(
    geometry: &Geometry,
    large: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    small: &mut [MaybeUninit<f32>],
) {
    let shape = Shape::of(geometry);
    small.par_chunks_exact_mut(geometry.small_len()).zip(large.par_chunks_exact(geometry.large_len())).for_each(
        |(small, large)| {
            let phases = shape.split(large);
            let mut columns = Scratch::take(shape.block_len());
            for lines in shape.blocks() {
                shape.fill_columns(&lines, &phases, &mut columns);
                shape.multiply_columns(&lines, &columns, weight, bias, small);
            }
        },
    );
}

/// gradient ← keep·gradient + Σ over images of small·columnsᵀ; and gathered ← w·columns.
pub(crate) fn gradients(
    geometry: &Geometry,
    small: &[f32],
    large: &[f32],
    gradient: &mut [f32],
    keep: f32,
    gathered: Option<(&[f32], &mut [MaybeUninit<f32>])>,
) {
    let shape = Shape::of(geometry);
    let (weight, mut gathered) = gathered.unzip();
    let n_parts = (GRADIENT_VALUES / gradient.len()).clamp(1, GRADIENT_PARTS);
    let images_per_part = geometry.n.div_ceil(n_parts);
    let mut sums = Scratch::take(geometry.n.div_ceil(images_per_part) * gradient.len());
    let (small_len, large_len) = (images_per_part * geometry.small_len(), images_per_part * geometry.large_len());
    // Where nothing is gathered, every part has an empty piece of it.
    let pieces: Vec<&mut [MaybeUninit<f32>]> = match &mut gathered {
        Some(gathered) => gathered.chunks_mut(small_len).collect(),
        None => small.chunks(small_len).map(|_| Default::default()).collect(),
    };
    sums.par_chunks_exact_mut(gradient.len())
        .zip(small.par_chunks(small_len))
        .zip(large.par_chunks(large_len))
        .zip(pieces)
        .for_each(|(((sum, small), large), gathered)| shape.add_gradients(small, large, sum, weight, gathered));
    for (part, sum) in sums.chunks_exact(gradient.len()).enumerate() {
        let keep = if part == 0 { keep } else { 1.0 };
        for (gradient, sum) in gradient.iter_mut().zip(sum) {
            *gradient = if keep == 0.0 { *sum } else { *gradient + sum };
        }
    }
}

/// One image: its phases, and how its columns are cut.
#[derive(Clone, Copy)]
struct Shape<'a> {
    geometry: &'a Geometry,
    /// Rows of the image of columns, o·k².
    n_columns: usize,
    /// Lines of the small image, and pixels of a line.
    height: usize,
    width: usize,
    /// Lines of one phase of the large image and its padding, and pixels of a line.
    phase_height: usize,
    phase_width: usize,
    /// Lines of the small image in a block.
    block_lines: usize,
}

/// Row of the image of columns, with the phase and the place in the phase that its first pixel has.
struct Tap {
    column: usize,
    phase: usize,
    line: usize,
    place: usize,
}

impl<'a> Shape<'a> {
    fn of(geometry: &'a Geometry) -> Self {
        let [height, width] = geometry.small;
        let n_columns = geometry.large_channels * geometry.kernel * geometry.kernel;
        Self {
            geometry,
            n_columns,
            height,
            width,
            phase_height: height + geometry.taps() - 1,
            phase_width: width + geometry.taps() - 1,
            block_lines: (BLOCK_VALUES / (n_columns * width)).clamp(1, height),
        }
    }

    fn n_pixels(&self) -> usize {
        self.height * self.width
    }

    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (height, block_lines) = (self.height, self.block_lines);
        (0..height).step_by(block_lines).map(move |first| first..height.min(first + block_lines))
    }

    fn block_len(&self) -> usize {
        self.n_columns * self.block_lines * self.width
    }

    fn phase_len(&self) -> usize {
        self.phase_height * self.phase_width
    }

    fn phases_len(&self) -> usize {
        self.geometry.large_channels * self.geometry.stride * self.geometry.stride * self.phase_len()
    }

    /// Every row of the image of columns, in the weight's order.
    #[inline(always)]
    fn taps(&self) -> impl Iterator<Item = Tap> + use<> {
        let Geometry { kernel, stride, large_channels, .. } = *self.geometry;
        (0..large_channels).flat_map(move |channel| {
            (0..kernel * kernel).map(move |tap| {
                let (a, e) = (tap / kernel, tap % kernel);
                Tap {
                    column: channel * kernel * kernel + tap,
                    phase: (channel * stride + a % stride) * stride + e % stride,
                    line: a / stride,
                    place: e / stride,
                }
            })
        })
    }

    /// The places of a phase's line that lie inside the large image, and the pixel of the first of them.
    #[inline(always)]
    fn inside(&self, dimension: usize, phase: usize) -> (Range<usize>, usize) {
        let Geometry { stride, padding, large, .. } = *self.geometry;
        let len = [self.phase_height, self.phase_width][dimension];
        let first = padding.saturating_sub(phase).div_ceil(stride).min(len);
        let end = (large[dimension] + padding).saturating_sub(phase).div_ceil(stride).min(len);
        (first..end.max(first), (first * stride + phase).saturating_sub(padding))
    }

    /// A large image as phases [o, s², lines, places], zero outside of the image.
    fn split(&self, large: &[f32]) -> Scratch {
        let mut phases = Scratch::take(self.phases_len());
        vectorised(
            #[inline(always)]
            || self.split_into(large, &mut phases),
        );
        phases
    }

    #[inline(always)]
    fn split_into(&self, large: &[f32], phases: &mut [f32]) {
        let stride = self.geometry.stride;
        let [large_height, large_width] = self.geometry.large;
        for (idx, phase) in phases.chunks_exact_mut(self.phase_len()).enumerate() {
            let (channel, phase_y, phase_x) = (idx / (stride * stride), idx / stride % stride, idx % stride);
            let large = &large[channel * large_height * large_width..][..large_height * large_width];
            let (lines, first_line) = self.inside(0, phase_y);
            let (places, first_place) = self.inside(1, phase_x);
            for (y, line) in phase.chunks_exact_mut(self.phase_width).enumerate() {
                if !lines.contains(&y) || places.is_empty() {
                    line.fill(0.0);
                    continue;
                }
                let from = &large[(first_line + (y - lines.start) * stride) * large_width..][..large_width];
                line[..places.start].fill(0.0);
                line[places.end..].fill(0.0);
                let to = &mut line[places.clone()];
                if stride == 1 {
                    to.copy_from_slice(&from[first_place..][..to.len()]);
                } else {
                    let pixels = from[first_place..].iter().step_by(stride);
                    to.iter_mut().zip(pixels).for_each(|(to, pixel)| *to = *pixel);
                }
            }
        }
    }

    /// The inverse of [`Self::split`], with the bias added.
    #[inline(always)]
    fn merge(&self, phases: &[f32], bias: Option<&[f32]>, large: &mut [MaybeUninit<f32>]) {
        let stride = self.geometry.stride;
        let [large_height, large_width] = self.geometry.large;
        for (channel, large) in large.chunks_exact_mut(large_height * large_width).enumerate() {
            let bias = bias.map_or(0.0, |bias| bias[channel]);
            // Lines and places that no window reaches have no phase.
            large.fill(MaybeUninit::new(bias));
            for phase in 0..stride * stride {
                let (lines, first_line) = self.inside(0, phase / stride);
                let (places, first_place) = self.inside(1, phase % stride);
                if places.is_empty() {
                    continue;
                }
                let phase = &phases[(channel * stride * stride + phase) * self.phase_len()..][..self.phase_len()];
                for (i, from) in phase.chunks_exact(self.phase_width).take(lines.end).skip(lines.start).enumerate() {
                    let to = &mut large[(first_line + i * stride) * large_width..][..large_width];
                    let pixels = to[first_place..].iter_mut().step_by(stride);
                    for (to, from) in pixels.zip(&from[places.clone()]) {
                        to.write(from + bias);
                    }
                }
            }
        }
    }

    /// columns [o·k², pixels of the lines] ← phases.
    fn fill_columns(&self, lines: &Range<usize>, phases: &[f32], columns: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || {
                for tap in self.taps() {
                    let column = &mut columns[tap.column * lines.len() * self.width..][..lines.len() * self.width];
                    let phase = &phases[tap.phase * self.phase_len()..][..self.phase_len()];
                    for (to, y) in column.chunks_exact_mut(self.width).zip(lines.clone()) {
                        let from = &phase[(y + tap.line) * self.phase_width + tap.place..][..self.width];
                        to.copy_from_slice(from);
                    }
                }
            },
        );
    }

    /// phases += columns [o·k², pixels of the lines].
    #[inline(always)]
    fn add_columns(&self, lines: &Range<usize>, columns: &[f32], phases: &mut [f32]) {
        for tap in self.taps() {
            let column = &columns[tap.column * lines.len() * self.width..][..lines.len() * self.width];
            let phase = &mut phases[tap.phase * self.phase_len()..][..self.phase_len()];
            for (from, y) in column.chunks_exact(self.width).zip(lines.clone()) {
                let to = &mut phase[(y + tap.line) * self.phase_width + tap.place..][..self.width];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        }
    }

    /// The lines of small [c, h·w] ← bias + w·columns.
    fn multiply_columns(
        &self,
        lines: &Range<usize>,
        columns: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
        small: &mut [MaybeUninit<f32>],
    ) {
        let (first, n_pixels) = (lines.start * self.width, lines.len() * self.width);
        if let Some(bias) = bias {
            for (channel, &bias) in small.chunks_exact_mut(self.n_pixels()).zip(bias) {
                channel[first..][..n_pixels].fill(MaybeUninit::new(bias));
            }
        }
        let dst = MatrixMut { start: small.as_mut_ptr().cast(), row: self.n_pixels(), column: 1 }.offset(0, first);
        let lhs = Matrix::new(weight, self.n_columns, 1); // [c, o·k²]
        let rhs = Matrix::new(columns, n_pixels, 1); // [o·k², pixels]
        let sizes = (self.geometry.small_channels, n_pixels, self.n_columns);
        // SAFETY: the image is exclusively borrowed, and these lines of it are read only where the bias was written.
        unsafe { multiply(dst, lhs, rhs, sizes, if bias.is_some() { 1.0 } else { 0.0 }) };
    }

    /// sum ← Σ over some images of small·columnsᵀ, [c, o·k²]; and gathered ← w·columns, unless it is empty.
    fn add_gradients(
        &self,
        small: &[f32],
        large: &[f32],
        sum: &mut [f32],
        weight: Option<&[f32]>,
        gathered: &mut [MaybeUninit<f32>],
    ) {
        let small_len = self.geometry.small_len();
        let mut columns = Scratch::take(self.block_len());
        let mut keep = 0.0;
        let images = small.chunks_exact(small_len).zip(large.chunks_exact(self.geometry.large_len()));
        for (image, (small, large)) in images.enumerate() {
            let phases = self.split(large);
            for lines in self.blocks() {
                let n_pixels = lines.len() * self.width;
                self.fill_columns(&lines, &phases, &mut columns);
                if let Some(weight) = weight {
                    let gathered = &mut gathered[image * small_len..][..small_len];
                    self.multiply_columns(&lines, &columns, weight, None, gathered);
                }
                let dst = MatrixMut::new(sum, self.n_columns, 1);
                let lhs = Matrix::new(small, self.n_pixels(), 1).right_of(lines.start * self.width); // [c, pixels]
                let rhs = Matrix::new(&columns, 1, n_pixels); // [pixels, o·k²]
                let sizes = (self.geometry.small_channels, self.n_columns, n_pixels);
                // SAFETY: the sum is exclusively borrowed, and is read only after it was written.
                unsafe { multiply(dst, lhs, rhs, sizes, keep) };
                keep = 1.0;
            }
        }
    }
}
