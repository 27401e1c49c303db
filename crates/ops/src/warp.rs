//! Bilinear sampling of images where a flow points to: the sampler of Spatial Transformer Networks (Jaderberg et al.
//! 2015) under an appearance flow (Zhou et al. 2016, View Synthesis by Appearance Flow).
//!
//! ```text
//! out[n, c, y, x] = image[n, c] at (x + flow[n, 0, y, x], y + flow[n, 1, y, x])
//! ```
//!
//! with the flow in pixels, rightwards and downwards, so that a flow of zero is the identity to the bit. A coordinate
//! outside the image is clamped to its edge. That differs from the zero that [`affine_sample`](mod@crate::affine_sample)
//! reads there: a picture that is moved by a few pixels keeps its background.
//!
//! A bilinear sample has kinks at the pixels' centres. The derivative by the flow is there the one towards the larger
//! coordinate, but on the last row and column the one into the image: pixels on an edge, where a flow of zero reads
//! them, still learn from what lies inside.

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Shape, Tensor};
use rayon::prelude::*;

use crate::{Error, Result, fast_path};

const OPERATOR: &str = "warp";

/// Samples every image where its own flow points to.
///
/// # Shapes
/// images `[n, c, h, w]`, flow `[n, 2, h, w]` in pixels (0 rightwards, 1 downwards) → `[n, c, h, w]`.
///
/// A flow that is not a number makes the pixel one that is not a number either, and nothing is read out of bounds.
///
/// # Gradient
/// Of both arguments; a flow's is zero in the direction in which it points outside.
///
/// # Errors
/// [`Error::Shape`] when a shape does not fit.
pub fn warp(images: &Tensor, flow: &Tensor) -> Result<Tensor> {
    let dims = check(images, flow)?;
    if !fast_path::applies(&[images, flow]) {
        return warp_portable(images, flow);
    }
    Ok(images.contiguous()?.apply_op2(&flow.contiguous()?, Warp { dims })?)
}

/// The same from stock candle operators: any device, any float type.
///
/// # Shapes
/// As [`warp`].
///
/// # Errors
/// As [`warp`].
pub fn warp_portable(images: &Tensor, flow: &Tensor) -> Result<Tensor> {
    let [n, c, h, w] = check(images, flow)?;
    // Along one direction: the pixels before and behind the coordinate, and the fraction of the way between them.
    let between = |direction: usize, len: usize, dims: [usize; 4]| -> Result<[Tensor; 3]> {
        let own = Tensor::arange(0f32, len as f32, images.device())?.to_dtype(images.dtype())?.reshape(&dims)?;
        let at = flow.narrow(1, direction, 1)?.broadcast_add(&own)?; // [n, 1, h, w]
        let clamped = at.detach().clamp(0.0, (len - 1) as f64)?;
        // candle's clamp halves the gradient on the edge, so that of the coordinate is taken wherever it lies inside.
        let at = at.eq(&clamped)?.where_cond(&at, &clamped)?;
        let before = clamped.floor()?.minimum(len.saturating_sub(2) as f64)?;
        let fraction = (at - &before)?;
        let before = before.to_dtype(DType::U32)?;
        let behind = (&before + 1.0)?.minimum((len - 1) as f64)?;
        Ok([before, behind, fraction])
    };
    let [left, right, fx] = between(0, w, [1, 1, 1, w])?;
    let [top, bottom, fy] = between(1, h, [1, 1, h, 1])?;
    let (gx, gy) = (fx.affine(-1.0, 1.0)?, fy.affine(-1.0, 1.0)?);
    let flat = images.contiguous()?.reshape((n, c, h * w))?; // [n, c, q]
    let read = |row: &Tensor, column: &Tensor, weight: Tensor| -> Result<Tensor> {
        let index = ((row * w as f64)? + column)?.reshape((n, 1, h * w))?.broadcast_as((n, c, h * w))?;
        Ok(flat.gather(&index.contiguous()?, 2)?.broadcast_mul(&weight.reshape((n, 1, h * w))?)?) // [n, c, p]
    };
    let upper = (read(&top, &left, (&gy * &gx)?)? + read(&top, &right, (&gy * &fx)?)?)?;
    let lower = (read(&bottom, &left, (&fy * &gx)?)? + read(&bottom, &right, (&fy * &fx)?)?)?;
    Ok((upper + lower)?.reshape((n, c, h, w))?)
}

/// The images' shape.
fn check(images: &Tensor, flow: &Tensor) -> Result<[usize; 4]> {
    match (images.dims(), flow.dims()) {
        (&[n, c, h, w], &[flow_n, 2, flow_h, flow_w])
            if [n, h, w] == [flow_n, flow_h, flow_w]
                && images.elem_count() > 0
                && images.dtype().is_float()
                && images.dtype() == flow.dtype() =>
        {
            Ok([n, c, h, w])
        }
        _ => Err(Error::Shape {
            operator: OPERATOR,
            expected: "images [n, c, h, w] and flow [n, 2, h, w] of the same floating-point numbers, not empty".into(),
            found: format!("{:?} of {:?}, {:?} of {:?}", images.dims(), images.dtype(), flow.dims(), flow.dtype()),
        }),
    }
}

/// Where a coordinate reads along one direction.
struct Between {
    before: usize,
    behind: usize,
    /// Of the way from the pixel before to the one behind.
    fraction: f32,
    /// Whether nothing was clamped.
    inside: bool,
}

impl Between {
    /// At a coordinate in pixels, along a direction of `len` pixels.
    #[inline(always)]
    fn new(at: f32, len: usize) -> Self {
        let last = len - 1;
        let clamped = at.clamp(0.0, last as f32);
        // `as` rounds towards zero, which is down here, and makes 0 of what is not a number.
        let before = (clamped as u32 as usize).min(last.saturating_sub(1));
        let behind = (before + 1).min(last);
        Self { before, behind, fraction: clamped - before as f32, inside: clamped == at }
    }
}

/// Where one output pixel reads.
struct Source {
    /// (top, left), (top, right), (bottom, left), (bottom, right).
    corners: [usize; 4],
    fx: f32,
    fy: f32,
    /// Along x and y.
    inside: [bool; 2],
}

impl Source {
    #[inline(always)]
    fn weights(&self) -> [f32; 4] {
        let (fx, fy) = (self.fx, self.fy);
        [(1.0 - fy) * (1.0 - fx), (1.0 - fy) * fx, fy * (1.0 - fx), fy * fx]
    }
}

struct Warp {
    dims: [usize; 4],
}

impl Warp {
    /// Pixels of a plane.
    fn plane(&self) -> usize {
        let [_, _, h, w] = self.dims;
        h * w
    }

    /// Calls `visit` with every output pixel of an image and where it reads, in order.
    #[inline(always)]
    fn for_each_source(&self, flow: &[f32], mut visit: impl FnMut(usize, Source)) {
        let [_, _, h, w] = self.dims;
        let (flow_x, flow_y) = flow.split_at(h * w);
        for (y, (row_x, row_y)) in flow_x.chunks_exact(w).zip(flow_y.chunks_exact(w)).enumerate() {
            for (x, (flow_x, flow_y)) in row_x.iter().zip(row_y).enumerate() {
                let across = Between::new(x as f32 + flow_x, w);
                let down = Between::new(y as f32 + flow_y, h);
                let (top, bottom) = (down.before * w, down.behind * w);
                let corners =
                    [top + across.before, top + across.behind, bottom + across.before, bottom + across.behind];
                let inside = [across.inside, down.inside];
                visit(y * w + x, Source { corners, fx: across.fraction, fy: down.fraction, inside });
            }
        }
    }

    fn forward(&self, images: &[f32], flow: &[f32]) -> Vec<f32> {
        let (plane, image) = (self.plane(), self.dims[1] * self.plane());
        let mut out = vec![0f32; images.len()];
        out.par_chunks_mut(image).zip(images.par_chunks(image)).zip(flow.par_chunks(2 * plane)).for_each(
            |((out, image), flow)| {
                self.for_each_source(flow, |p, source| {
                    let weights = source.weights();
                    for (out, image) in out.chunks_exact_mut(plane).zip(image.chunks_exact(plane)) {
                        out[p] = source.corners.iter().zip(weights).map(|(&q, weight)| weight * image[q]).sum();
                    }
                });
            },
        );
        out
    }

    /// Every pixel's gradient goes to the four pixels that it was read from, by their weights.
    fn grad_images(&self, flow: &[f32], grad: &[f32]) -> Vec<f32> {
        let (plane, image) = (self.plane(), self.dims[1] * self.plane());
        let mut grad_images = vec![0f32; grad.len()];
        grad_images.par_chunks_mut(image).zip(grad.par_chunks(image)).zip(flow.par_chunks(2 * plane)).for_each(
            |((grad_image, grad), flow)| {
                self.for_each_source(flow, |p, source| {
                    let weights = source.weights();
                    for (grad_image, grad) in grad_image.chunks_exact_mut(plane).zip(grad.chunks_exact(plane)) {
                        for (&q, weight) in source.corners.iter().zip(weights) {
                            grad_image[q] += weight * grad[p];
                        }
                    }
                });
            },
        );
        grad_images
    }

    /// The derivative of the bilinear weights by the coordinate times the arriving gradient, over all channels.
    fn grad_flow(&self, images: &[f32], flow: &[f32], grad: &[f32]) -> Vec<f32> {
        let (plane, image) = (self.plane(), self.dims[1] * self.plane());
        let mut grad_flow = vec![0f32; flow.len()];
        grad_flow
            .par_chunks_mut(2 * plane)
            .zip(images.par_chunks(image))
            .zip(flow.par_chunks(2 * plane))
            .zip(grad.par_chunks(image))
            .for_each(|(((grad_flow, image), flow), grad)| {
                let (by_x, by_y) = grad_flow.split_at_mut(plane);
                self.for_each_source(flow, |p, source| {
                    let Source { corners, fx, fy, inside } = source;
                    let (mut slope_x, mut slope_y) = (0f32, 0f32);
                    for (image, grad) in image.chunks_exact(plane).zip(grad.chunks_exact(plane)) {
                        let [i00, i01, i10, i11] = corners.map(|q| image[q]);
                        slope_x += grad[p] * ((1.0 - fy) * (i01 - i00) + fy * (i11 - i10));
                        slope_y += grad[p] * ((1.0 - fx) * (i10 - i00) + fx * (i11 - i01));
                    }
                    if inside[0] {
                        by_x[p] = slope_x;
                    }
                    if inside[1] {
                        by_y[p] = slope_y;
                    }
                });
            });
        grad_flow
    }
}

impl CustomOp2 for Warp {
    fn name(&self) -> &'static str {
        OPERATOR
    }

    fn cpu_fwd(
        &self,
        images: &CpuStorage,
        images_layout: &Layout,
        flow: &CpuStorage,
        flow_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let images = fast_path::values(images, images_layout)?;
        let flow = fast_path::values(flow, flow_layout)?;
        Ok((CpuStorage::F32(self.forward(images, flow)), Shape::from(self.dims.as_slice())))
    }

    fn bwd(
        &self,
        images: &Tensor,
        flow: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (grad_images, grad_flow) = fast_path::with_values(images, |i| {
            fast_path::with_values(flow, |f| {
                fast_path::with_values(&grad, |g| {
                    let grad_images = images.track_op().then(|| self.grad_images(f, g));
                    (grad_images, flow.track_op().then(|| self.grad_flow(i, f, g)))
                })
            })
        })???;
        let tensor = |values: Option<Vec<f32>>, like: &Tensor| {
            values.map(|values| Tensor::from_vec(values, like.shape(), like.device())).transpose()
        };
        Ok((tensor(grad_images, images)?, tensor(grad_flow, flow)?))
    }
}
