//! What convolution and transposed convolution share: their shapes, and three kernels, each by the cheaper of two ways.
//!
//! Both operators relate a small image to a large one: large[o, s·i − p + a] ↔ small[c, i]·w[c, o, a] (one dimension
//! of two shown).
//!
//! | kernel | map | transposed convolution | convolution |
//! |---|---|---|---|
//! | [`spread`] | small, w → large | forward | gradient of the input |
//! | [`gather`] | large, w → small | gradient of the input | forward |
//! | [`gradients`] | small, large → w | gradient of the weight | gradient of the weight |
//!
//! [`toom_cook`] multiplies less, [`columns`] moves less: where a layer has few channels on the large side, as the first
//! layer of a classifier and the last of a generator, or kernels no larger than the stride, there is little to multiply.

use crate::{columns, toom_cook};
use std::mem::MaybeUninit;

/// What moving a value to or from the image of columns costs, in multiplications of a matrix product.
const COST_OF_COLUMN: usize = 25;
/// What a value of a polynomial at a point costs, of either image, in multiplications of a matrix product.
const COST_OF_POINT: usize = 100;

/// Shapes of one convolution, whichever way it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) n: usize,
    pub(crate) small_channels: usize,
    pub(crate) large_channels: usize,
    pub(crate) small: [usize; 2],
    pub(crate) large: [usize; 2],
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

impl Geometry {
    pub(crate) fn small_len(&self) -> usize {
        self.small_channels * self.small[0] * self.small[1]
    }

    pub(crate) fn large_len(&self) -> usize {
        self.large_channels * self.large[0] * self.large[1]
    }

    /// Taps per phase and dimension, T.
    pub(crate) fn taps(&self) -> usize {
        self.kernel.div_ceil(self.stride)
    }

    fn way(&self) -> Way {
        let columns = self.large_channels * self.kernel * self.kernel;
        let direct = self.small[0] * self.small[1] * columns * (self.small_channels + COST_OF_COLUMN);
        let phases = self.stride * self.stride * self.large_channels;
        let of_row = self.small_channels * phases + COST_OF_POINT * (self.small_channels + phases);
        match toom_cook::rows_per_image(self) {
            Some(rows) if rows * of_row < direct => Way::ToomCook,
            _ => Way::Columns,
        }
    }
}

/// The two ways to compute a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToomCook,
    Columns,
}

/// large ← bias + Σ over channels and taps of small·w; `large` need not be initialised, and is afterwards.
///
/// `small` [n, c, h, w], `weight` [c, o, k, k], `bias` [o], `large` [n, o, h', w'].
pub(crate) fn spread(
    geometry: &Geometry,
    small: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    large: &mut [MaybeUninit<f32>],
) {
    match geometry.way() {
        Way::ToomCook => toom_cook::spread(geometry, small, weight, bias, large),
        Way::Columns => columns::spread(geometry, small, weight, bias, large),
    }
}

/// small ← bias + Σ over large channels and taps of large·w; `small` need not be initialised, and is afterwards.
///
/// `large` [n, o, h', w'], `weight` [c, o, k, k], `bias` [c], `small` [n, c, h, w].
pub(crate) fn gather(
    geometry: &Geometry,
    large: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    small: &mut [MaybeUninit<f32>],
) {
    match geometry.way() {
        Way::ToomCook => toom_cook::gather(geometry, large, weight, bias, small),
        Way::Columns => columns::gather(geometry, large, weight, bias, small),
    }
}

/// Both gradients of a convolution or transposed convolution; they share what is made of the large image.
///
/// `gradient` ← keep·`gradient` + Σ small·large (not read when keep is 0), `[c, o, k, k]`; and, when
/// `weight` and `gathered` are given, gathered ← what [`gather`] makes of `large`.
pub(crate) fn gradients(
    geometry: &Geometry,
    small: &[f32],
    large: &[f32],
    gradient: &mut [f32],
    keep: f32,
    gathered: Option<(&[f32], &mut [MaybeUninit<f32>])>,
) {
    match geometry.way() {
        Way::ToomCook => toom_cook::gradients(geometry, small, large, gradient, keep, gathered),
        Way::Columns => columns::gradients(geometry, small, large, gradient, keep, gathered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn geometry(n: usize, channels: [usize; 2], small: [usize; 2], [kernel, stride, padding]: [usize; 3]) -> Geometry {
        let large = small.map(|len| (len - 1) * stride + kernel - 2 * padding);
        Geometry { n, small_channels: channels[0], large_channels: channels[1], small, large, kernel, stride, padding }
    }

    fn random(rng: &mut impl Rng, len: usize) -> Vec<f32> {
        (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    type Spread = fn(&Geometry, &[f32], &[f32], Option<&[f32]>, &mut [MaybeUninit<f32>]);
    type Gradients = fn(&Geometry, &[f32], &[f32], &mut [f32], f32, Option<(&[f32], &mut [MaybeUninit<f32>])>);

    /// The results of all kernels of one way, one after the other.
    fn results(g: &Geometry, seed: u64, [spread, gather]: [Spread; 2], gradients: Gradients) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (small, large) = (random(&mut rng, g.n * g.small_len()), random(&mut rng, g.n * g.large_len()));
        let weight = random(&mut rng, g.small_channels * g.large_channels * g.kernel * g.kernel);
        let (bias_o, bias_c) = (random(&mut rng, g.large_channels), random(&mut rng, g.small_channels));
        let mut gradient = random(&mut rng, weight.len());
        let mut all = Vec::new();
        let mut written = |len: usize, write: &mut dyn FnMut(&mut [MaybeUninit<f32>])| {
            let mut to = vec![MaybeUninit::new(f32::NAN); len];
            write(&mut to);
            // SAFETY: every element was initialised when the vector was made.
            all.extend(to.iter().map(|value| unsafe { value.assume_init() }));
        };
        written(large.len(), &mut |to| spread(g, &small, &weight, Some(&bias_o), to));
        written(large.len(), &mut |to| spread(g, &small, &weight, None, to));
        written(small.len(), &mut |to| gather(g, &large, &weight, Some(&bias_c), to));
        written(small.len(), &mut |to| gradients(g, &small, &large, &mut gradient, 1.0, Some((&weight, to))));
        all.extend(&gradient);
        gradients(g, &small, &large, &mut gradient, 0.0, None);
        all.extend(&gradient);
        all
    }

    #[test]
    fn both_ways_agree_on_random_shapes() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        for case in 0..60 {
            let kernel = rng.random_range(1..6);
            let stride = rng.random_range(1..4);
            let channels = [rng.random_range(1..40), rng.random_range(1..20)];
            let small = [rng.random_range(1..12), rng.random_range(1..12)];
            let most = (kernel - 1) / 2;
            let mut g =
                geometry(rng.random_range(1..20), channels, small, [kernel, stride, rng.random_range(0..=most)]);
            // A convolution may leave rows and columns that no window reaches.
            g.large = g.large.map(|len| len + rng.random_range(0..stride));
            let tiled = results(&g, case, [toom_cook::spread, toom_cook::gather], toom_cook::gradients);
            let direct = results(&g, case, [columns::spread, columns::gather], columns::gradients);
            let scale = tiled.iter().fold(1.0f32, |scale, value| scale.max(value.abs()));
            for (i, (a, b)) in tiled.iter().zip(&direct).enumerate() {
                assert!((a - b).abs() <= 2e-5 * scale, "{g:?}: {a} and {b} at {i}, scale {scale}");
            }
        }
    }

    #[test]
    fn few_channels_are_convolved_directly_and_many_by_polynomials() {
        let columns = [
            ("digits-v2, last", geometry(128, [256, 3], [14, 14], [2, 2, 0])),
            ("digits-v1, last", geometry(64, [92, 3], [28, 28], [5, 1, 2])),
            ("kdef-small, last", geometry(32, [184, 3], [35, 35], [5, 2, 1])),
            ("alexnet-71-s2, first", geometry(32, [96, 3], [31, 31], [11, 2, 0])),
            ("mask head", geometry(128, [2, 3], [28, 28], [1, 1, 0])),
        ];
        let tiled = [
            ("digits-v2, first", geometry(128, [256, 256], [7, 7], [4, 2, 1])),
            ("digits-v1, third", geometry(64, [92, 92], [28, 28], [5, 1, 2])),
            ("kdef-small, second", geometry(32, [512, 184], [17, 17], [5, 2, 1])),
            ("alexnet-71-s2, second", geometry(32, [256, 96], [15, 15], [5, 1, 2])),
            ("alexnet-71-s2, third", geometry(32, [384, 256], [7, 7], [3, 1, 1])),
        ];
        for (name, geometry) in columns {
            assert_eq!(geometry.way(), Way::Columns, "{name}");
        }
        for (name, geometry) in tiled {
            assert_eq!(geometry.way(), Way::ToomCook, "{name}");
        }
    }
}
