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
        match toom_cook::size_per_image(self) {
            Some([rows, small, large]) if rows * (small * large + COST_OF_POINT * (small + large)) < direct => {
                Way::ToomCook
            }
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

    /// The arguments of all kernels.
    struct Arguments {
        small: Vec<f32>,
        large: Vec<f32>,
        weight: Vec<f32>,
        bias_o: Vec<f32>,
        bias_c: Vec<f32>,
        gradient: Vec<f32>,
    }

    impl Arguments {
        fn random(g: &Geometry, rng: &mut impl Rng) -> Self {
            let n_weights = g.small_channels * g.large_channels * g.kernel * g.kernel;
            Self {
                small: random(rng, g.n * g.small_len()),
                large: random(rng, g.n * g.large_len()),
                weight: random(rng, n_weights),
                bias_o: random(rng, g.large_channels),
                bias_c: random(rng, g.small_channels),
                gradient: random(rng, n_weights),
            }
        }

        /// The result of every kernel of one way, with and without what may be left out.
        fn results(&self, g: &Geometry, [spread, gather]: [Spread; 2], gradients: Gradients) -> [Vec<f32>; 7] {
            let written = |len: usize, write: &mut dyn FnMut(&mut [MaybeUninit<f32>])| -> Vec<f32> {
                let mut to = vec![MaybeUninit::new(f32::NAN); len];
                write(&mut to);
                // SAFETY: every element was initialised when the vector was made.
                to.iter().map(|value| unsafe { value.assume_init() }).collect()
            };
            let Self { small, large, weight, .. } = self;
            let (mut kept, mut alone) = (self.gradient.clone(), vec![f32::NAN; self.gradient.len()]);
            [
                written(large.len(), &mut |to| spread(g, small, weight, Some(&self.bias_o), to)),
                written(large.len(), &mut |to| spread(g, small, weight, None, to)),
                written(small.len(), &mut |to| gather(g, large, weight, Some(&self.bias_c), to)),
                written(small.len(), &mut |to| gather(g, large, weight, None, to)),
                written(small.len(), &mut |to| gradients(g, small, large, &mut kept, 1.0, Some((weight, to)))),
                kept,
                {
                    gradients(g, small, large, &mut alone, 0.0, None);
                    alone
                },
            ]
        }

        /// The same by the definition, in 64-bit floats.
        fn exact(&self, g: &Geometry) -> [Vec<f64>; 7] {
            let Geometry { n, small_channels, large_channels, small: [h, w], large: [lh, lw], kernel, .. } = *g;
            let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
            let (small, large, weight) = (wide(&self.small), wide(&self.large), wide(&self.weight));
            let mut spread = vec![0.0; large.len()];
            let mut gathered = vec![0.0; small.len()];
            let mut gradient = vec![0.0; weight.len()];
            for image in 0..n {
                for c in 0..small_channels {
                    for o in 0..large_channels {
                        for pixel in 0..h * w {
                            for tap in 0..kernel * kernel {
                                let y = (pixel / w * g.stride + tap / kernel).checked_sub(g.padding);
                                let x = (pixel % w * g.stride + tap % kernel).checked_sub(g.padding);
                                let (Some(y), Some(x)) = (y.filter(|y| *y < lh), x.filter(|x| *x < lw)) else {
                                    continue;
                                };
                                let s = (image * small_channels + c) * h * w + pixel;
                                let l = ((image * large_channels + o) * lh + y) * lw + x;
                                let t = (c * large_channels + o) * kernel * kernel + tap;
                                spread[l] += small[s] * weight[t];
                                gathered[s] += large[l] * weight[t];
                                gradient[t] += small[s] * large[l];
                            }
                        }
                    }
                }
            }
            let biased = |values: &[f64], bias: &[f32], plane: usize| -> Vec<f64> {
                let channel = |i: usize| i / plane % bias.len();
                values.iter().enumerate().map(|(i, value)| value + f64::from(bias[channel(i)])).collect()
            };
            let kept = gradient.iter().zip(&self.gradient).map(|(sum, kept)| sum + f64::from(*kept)).collect();
            [
                biased(&spread, &self.bias_o, lh * lw),
                spread,
                biased(&gathered, &self.bias_c, h * w),
                gathered.clone(),
                gathered,
                kept,
                gradient,
            ]
        }
    }

    /// The largest errors of both ways, each as a share of its result's largest value.
    fn check(g: &Geometry, rng: &mut impl Rng) -> [f64; 2] {
        let arguments = Arguments::random(g, rng);
        let exact = arguments.exact(g);
        let tiled =
            (g.taps() <= 7).then(|| arguments.results(g, [toom_cook::spread, toom_cook::gather], toom_cook::gradients));
        let direct = arguments.results(g, [columns::spread, columns::gather], columns::gradients);
        [tiled, Some(direct)].map(|results| {
            let errors = results.iter().flatten().zip(&exact).map(|(found, exact)| {
                let scale = exact.iter().fold(1e-30f64, |scale, value| scale.max(value.abs()));
                let differences = found.iter().zip(exact).map(|(found, exact)| (f64::from(*found) - exact).abs());
                // A NaN must not be smaller than anything.
                differences.fold(0.0f64, |most, error| if error > most || error.is_nan() { error } else { most })
                    / scale
            });
            errors.fold(0.0, |most, error| if error > most || error.is_nan() { error } else { most })
        })
    }

    /// Sizes of 1, kernels below and far above the stride, padding of the kernel's size, rows and columns that no window
    /// reaches, several blocks of images and of lines.
    #[test]
    fn both_ways_match_the_definition_on_random_shapes() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut seen = [0; 9];
        for _ in 0..150 {
            let (kernel, stride) = (rng.random_range(1..9), rng.random_range(1..4));
            let channels = [rng.random_range(1..40), rng.random_range(1..20)];
            let small = [rng.random_range(1..12), rng.random_range(1..12)];
            let padding = rng.random_range(0..=kernel);
            if small.iter().any(|len| (len - 1) * stride + kernel <= 2 * padding) {
                continue;
            }
            let mut g = geometry(rng.random_range(1..20), channels, small, [kernel, stride, padding]);
            g.large = g.large.map(|len| len + rng.random_range(0..stride));
            let [tiled, direct] = check(&g, &mut rng);
            assert!(direct <= 2e-6, "{g:?}: columns {direct:.1e}");
            assert!(tiled <= 5e-5, "{g:?}: polynomials {tiled:.1e}");
            seen[g.taps()] += 1;
        }
        assert!(seen[1..].iter().all(|times| *times > 0), "every number of taps: {seen:?}");
    }

    /// The layers that go by polynomials, all but their numbers of channels and images.
    #[test]
    fn polynomials_keep_their_precision_on_the_networks_shapes_and_at_other_scales() {
        let mut rng = ChaCha8Rng::seed_from_u64(12);
        for (small, numbers) in [
            ([7, 7], [4, 2, 1]),
            ([14, 14], [4, 2, 1]),
            ([28, 28], [5, 1, 2]),
            ([8, 8], [5, 2, 1]),
            ([17, 17], [5, 2, 1]),
            ([15, 15], [5, 1, 2]),
            ([7, 7], [3, 1, 1]),
        ] {
            let g = geometry(2, [64, 32], small, numbers);
            let [tiled, _] = check(&g, &mut rng);
            assert!(tiled <= 2e-5, "{g:?}: {tiled:.1e}");
        }
        let g = geometry(1, [32, 16], [7, 7], [4, 2, 1]);
        for scale in [1e-18f32, 1e18] {
            let mut arguments = Arguments::random(&g, &mut rng);
            arguments.small.iter_mut().for_each(|value| *value *= scale);
            let exact = &arguments.exact(&g)[1];
            let mut to = vec![MaybeUninit::new(f32::NAN); exact.len()];
            toom_cook::spread(&g, &arguments.small, &arguments.weight, None, &mut to);
            let largest = exact.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
            for (found, exact) in to.iter().zip(exact) {
                // SAFETY: every element was initialised when the vector was made.
                let found = f64::from(unsafe { found.assume_init() });
                assert!((found - exact).abs() <= 2e-5 * largest, "{scale}: {found} for {exact}");
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
            ("lanes of zeros count", geometry(1, [1, 64], [28, 28], [5, 1, 2])),
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
