//! Both convolutions and their gradients against a slow oracle in 64-bit floats, a case done by hand, finite
//! differences, the portable twins, PyTorch, and bad arguments.

use candle_core::{DType, Device, Tensor, Var};
use multigen_ops::{
    Conv2dConfig, ConvTranspose2dConfig, Error, conv_transpose2d, conv_transpose2d_portable, conv2d, conv2d_portable,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[derive(Debug, Clone, Copy)]
struct Case {
    n: usize,
    ci: usize,
    co: usize,
    h: usize,
    w: usize,
    k: usize,
    stride: usize,
    padding: usize,
    transposed: bool,
}

/// Largest error allowed, as a share of the largest value of the exact result; typical is 1e-6 to 1e-5.
const TOLERANCE: f64 = 2e-5;

impl Case {
    fn out(&self, len: usize) -> Option<usize> {
        let Case { k, stride, padding, .. } = *self;
        if self.transposed {
            ((len - 1) * stride + k).checked_sub(2 * padding).filter(|&l| l > 0)
        } else {
            Some((len + 2 * padding).checked_sub(k)? / stride + 1)
        }
    }

    fn weight_dims(&self) -> [usize; 4] {
        if self.transposed { [self.ci, self.co, self.k, self.k] } else { [self.co, self.ci, self.k, self.k] }
    }

    /// Calls `visit(x index, weight index, y index)` for every product that the definition has.
    fn for_each_product(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let Case { n, ci, co, h, w, k, stride, padding, transposed } = *self;
        let (oh, ow) = (self.out(h).unwrap(), self.out(w).unwrap());
        let (small, large) = if transposed { ((h, w), (oh, ow)) } else { ((oh, ow), (h, w)) };
        for i in 0..small.0 {
            for j in 0..small.1 {
                for a in 0..k {
                    for e in 0..k {
                        let (y, x) = (i * stride + a, j * stride + e);
                        if y < padding || x < padding {
                            continue;
                        }
                        let (y, x) = (y - padding, x - padding);
                        if y >= large.0 || x >= large.1 {
                            continue;
                        }
                        for image in 0..n {
                            for c in 0..ci {
                                for o in 0..co {
                                    let (sp, lp) = (i * small.1 + j, y * large.1 + x);
                                    let (x_pixel, y_pixel, first, second, seconds) =
                                        if transposed { (sp, lp, c, o, co) } else { (lp, sp, o, c, ci) };
                                    visit(
                                        (image * ci + c) * h * w + x_pixel,
                                        (first * seconds + second) * k * k + a * k + e,
                                        (image * co + o) * oh * ow + y_pixel,
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn run(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, portable: bool) -> Tensor {
        let (stride, padding) = (self.stride, self.padding);
        if self.transposed {
            let config = ConvTranspose2dConfig { stride, padding };
            let run = if portable { conv_transpose2d_portable } else { conv_transpose2d };
            run(x, weight, bias, config).unwrap()
        } else {
            let config = Conv2dConfig { stride, padding };
            let run = if portable { conv2d_portable } else { conv2d };
            run(x, weight, bias, config).unwrap()
        }
    }
}

fn random(rng: &mut ChaCha8Rng, len: usize) -> Vec<f32> {
    (0..len).map(|_| rng.random_range(-1.0f32..1.0)).collect()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(what: &str, case: &Case, found: &[f32], exact: &[f64]) {
    assert_eq!(found.len(), exact.len(), "{what} {case:?}");
    let scale = exact.iter().fold(1e-30f64, |max, v| max.max(v.abs()));
    for (i, (&f, &e)) in found.iter().zip(exact).enumerate() {
        let error = (f64::from(f) - e).abs() / scale;
        assert!(error <= TOLERANCE, "{what} {case:?}: [{i}] {f} for {e}");
    }
}

/// Forward and all three gradients, fast against oracle, portable against oracle.
fn check(case: &Case, rng: &mut ChaCha8Rng) {
    let Case { n, ci, co, h, w, .. } = *case;
    let (oh, ow) = (case.out(h).unwrap(), case.out(w).unwrap());
    let x = random(rng, n * ci * h * w);
    let weight = random(rng, case.weight_dims().iter().product());
    let bias = random(rng, co);
    let direction = random(rng, n * co * oh * ow);
    let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let (x64, w64, d64) = (wide(&x), wide(&weight), wide(&direction));
    let mut y = vec![0.0; n * co * oh * ow];
    let (mut gx, mut gw, mut gb) = (vec![0.0; x.len()], vec![0.0; weight.len()], vec![0.0; co]);
    for (i, y) in y.iter_mut().enumerate() {
        let channel = i / (oh * ow) % co;
        *y += f64::from(bias[channel]);
        gb[channel] += d64[i];
    }
    case.for_each_product(|xi, wi, yi| {
        y[yi] += x64[xi] * w64[wi];
        gx[xi] += d64[yi] * w64[wi];
        gw[wi] += d64[yi] * x64[xi];
    });
    let cpu = &Device::Cpu;
    let x = Var::from_slice(&x, (n, ci, h, w), cpu).unwrap();
    let weight = Var::from_slice(&weight, &case.weight_dims(), cpu).unwrap();
    let bias = Var::from_slice(&bias, co, cpu).unwrap();
    let direction = Tensor::from_vec(direction, (n, co, oh, ow), cpu).unwrap();
    for portable in [false, true] {
        let found = case.run(&x, &weight, Some(&bias), portable);
        assert_eq!(found.dims(), [n, co, oh, ow], "{case:?}");
        let name = if portable { "portable" } else { "fast" };
        assert_close(&format!("{name} y"), case, &flat(&found), &y);
        let loss = (found * &direction).unwrap().sum_all().unwrap();
        let grads = loss.backward().unwrap();
        for (what, var, exact) in [("gx", &x, &gx), ("gw", &weight, &gw), ("gb", &bias, &gb)] {
            let found = flat(grads.get(var.as_tensor()).unwrap());
            assert_close(&format!("{name} {what}"), case, &found, exact);
        }
    }
}

#[test]
fn matches_the_oracle_on_random_shapes() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (sizes, channels) = ([1, 2, 5, 7, 8, 13], [1, 3, 17, 64]);
    let mut n_checked = 0;
    while n_checked < 60 {
        let mut pick = |from: &[usize]| from[rng.random_range(0..from.len())];
        let case = Case {
            n: pick(&[1, 2, 3]),
            ci: pick(&channels),
            co: pick(&channels),
            h: pick(&sizes),
            w: pick(&sizes),
            k: pick(&[1, 2, 3, 4, 5]),
            stride: pick(&[1, 2, 3]),
            padding: pick(&[0, 1, 2, 3]),
            transposed: pick(&[0, 1]) == 1,
        };
        if case.out(case.h).is_some() && case.out(case.w).is_some() {
            check(&case, &mut rng);
            n_checked += 1;
        }
    }
}

#[test]
fn matches_the_oracle_on_the_networks_shapes() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (ci, co, h, k, stride, padding, transposed) in [
        (256, 64, 7, 4, 2, 1, true),
        (64, 92, 14, 4, 2, 1, true),
        (64, 3, 14, 2, 2, 0, true),
        (92, 92, 9, 5, 1, 2, true),
        (128, 64, 8, 5, 2, 1, true),
        (64, 64, 19, 3, 1, 1, false),
        (3, 24, 37, 11, 2, 0, false),
        (8, 8, 24, 11, 1, 5, false), // more taps than points
        // These go by polynomials.
        (256, 128, 7, 4, 2, 1, true),
        (128, 96, 8, 5, 2, 1, true),
        (96, 128, 15, 5, 1, 2, false),
        (128, 192, 7, 3, 1, 1, false),
    ] {
        let case = Case { n: 2, ci, co, h, w: h, k, stride, padding, transposed };
        check(&case, &mut rng);
    }
}

/// x = [1 2], w = [[1 2] [3 4]], stride 1, bias 10. The two windows overlap in the middle column:
/// top 1·1 | 1·2 + 2·1 | 2·2, bottom 1·3 | 1·4 + 2·3 | 2·4.
#[test]
fn transposed_by_hand() {
    let cpu = &Device::Cpu;
    let x = Tensor::new(&[[[[1f32, 2.]]]], cpu).unwrap();
    let weight = Tensor::new(&[[[[1f32, 2.], [3., 4.]]]], cpu).unwrap();
    let bias = Tensor::new(&[10f32], cpu).unwrap();
    let config = ConvTranspose2dConfig { stride: 1, padding: 0 };
    let y = flat(&conv_transpose2d(&x, &weight, Some(&bias), config).unwrap());
    for (found, exact) in y.iter().zip([11.0, 14.0, 14.0, 13.0, 20.0, 18.0]) {
        assert!((found - exact).abs() < 1e-5, "{y:?}");
    }
}

/// x = [[1 2 3] [4 5 6]], w = [[1 0] [0 −1]], stride 1: 1 − 5 and 2 − 6.
#[test]
fn convolution_by_hand() {
    let cpu = &Device::Cpu;
    let x = Tensor::new(&[[[[1f32, 2., 3.], [4., 5., 6.]]]], cpu).unwrap();
    let weight = Tensor::new(&[[[[1f32, 0.], [0., -1.]]]], cpu).unwrap();
    let config = Conv2dConfig { stride: 1, padding: 0 };
    let y = flat(&conv2d(&x, &weight, None, config).unwrap());
    assert_eq!(y.len(), 2);
    assert!((y[0] + 4.0).abs() < 1e-5 && (y[1] + 4.0).abs() < 1e-5, "{y:?}");
}

/// The slope of Σ y² along a random direction of weight and x, from both sides, against the gradients.
#[test]
fn matches_finite_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let cpu = &Device::Cpu;
    for transposed in [true, false] {
        let case = Case { n: 2, ci: 3, co: 2, h: 5, w: 4, k: 4, stride: 2, padding: 1, transposed };
        let x = Var::from_vec(random(&mut rng, 2 * 3 * 20), (2, 3, 5, 4), cpu).unwrap();
        let weight = Var::from_vec(random(&mut rng, 96), &case.weight_dims(), cpu).unwrap();
        let loss = |x: &Tensor, w: &Tensor| {
            let y = case.run(x, w, None, false);
            y.sqr().unwrap().sum_all().unwrap()
        };
        let grads = loss(&x, &weight).backward().unwrap();
        for (idx, var) in [&x, &weight].into_iter().enumerate() {
            let values = random(&mut rng, var.elem_count());
            let direction = Tensor::from_vec(values, var.shape(), cpu).unwrap();
            let slope = (grads.get(var.as_tensor()).unwrap() * &direction).unwrap();
            let slope = slope.sum_all().unwrap().to_scalar::<f32>().unwrap();
            let at = |step: f64| {
                let moved = (var.as_tensor() + (&direction * step).unwrap()).unwrap();
                let value = if idx == 0 { loss(&moved, &weight) } else { loss(&x, &moved) };
                f64::from(value.to_scalar::<f32>().unwrap())
            };
            // The loss is quadratic along a line, so central differences are exact but for rounding.
            let measured = (at(0.1) - at(-0.1)) / 0.2;
            let error = (f64::from(slope) - measured).abs();
            assert!(error <= 2e-3 * measured.abs().max(1.0), "{slope} {measured}");
        }
    }
}

/// Inputs a thousand times smaller or larger give results with the same relative error.
#[test]
fn keeps_its_precision_at_other_scales() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let cpu = &Device::Cpu;
    let case = Case { n: 1, ci: 17, co: 5, h: 7, w: 7, k: 4, stride: 2, padding: 1, transposed: true };
    let x = random(&mut rng, 17 * 49);
    let weight = random(&mut rng, 17 * 5 * 16);
    for scale in [1e-18f32, 1.0, 1e18] {
        let x: Vec<f32> = x.iter().map(|v| v * scale).collect();
        let mut exact = vec![0.0; 5 * 14 * 14];
        case.for_each_product(|xi, wi, yi| {
            exact[yi] += f64::from(x[xi]) * f64::from(weight[wi]);
        });
        let x = Tensor::from_vec(x, (1, 17, 7, 7), cpu).unwrap();
        let weight = Tensor::from_slice(&weight, &case.weight_dims(), cpu).unwrap();
        let found = flat(&case.run(&x, &weight, None, false));
        assert_close("y", &case, &found, &exact);
    }
}

#[test]
fn other_types_take_the_portable_path() {
    let cpu = &Device::Cpu;
    let x = Tensor::ones((1, 2, 3, 3), DType::F64, cpu).unwrap();
    let weight = Tensor::ones((2, 1, 2, 2), DType::F64, cpu).unwrap();
    let config = ConvTranspose2dConfig { stride: 2, padding: 0 };
    let y = conv_transpose2d(&x, &weight, None, config).unwrap();
    assert_eq!(y.dtype(), DType::F64);
    // Windows of size 2 at distance 2 do not overlap: every pixel is one product over two channels.
    assert_eq!(y.sum_all().unwrap().to_scalar::<f64>().unwrap(), 72.0);
}

#[test]
fn bad_arguments_are_named() {
    let cpu = &Device::Cpu;
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, cpu).unwrap();
    let rejected = |x: &[usize], w: &[usize], b: Option<usize>, stride: usize, padding: usize| {
        let (x, weight) = (zeros(x), zeros(w));
        let bias = b.map(|b| zeros(&[b]));
        let transposed = ConvTranspose2dConfig { stride, padding };
        let plain = Conv2dConfig { stride, padding };
        for (name, result) in [
            ("conv_transpose2d", conv_transpose2d(&x, &weight, bias.as_ref(), transposed)),
            ("conv2d", conv2d(&x, &weight, bias.as_ref(), plain)),
        ] {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::Shape { .. }), "{error}");
            let message = error.to_string();
            assert!(message.starts_with(name) && !message.contains('\n'));
            assert!(message.contains(&format!("{:?}", x.dims())), "{message}");
        }
    };
    rejected(&[0, 3, 4, 4], &[3, 3, 2, 2], None, 1, 0); // empty batch
    rejected(&[1, 3, 0, 4], &[3, 3, 2, 2], None, 1, 0); // empty image
    rejected(&[1, 3, 4, 4], &[3, 3, 0, 0], None, 1, 0); // empty kernel
    rejected(&[1, 3, 4, 4], &[4, 4, 2, 2], None, 1, 0); // other channels
    rejected(&[1, 3, 4, 4], &[3, 3, 2, 3], None, 1, 0); // kernel not square
    rejected(&[1, 3, 4, 4], &[3, 3, 2, 2], Some(4), 1, 0); // other bias
    rejected(&[1, 3, 4, 4], &[3, 3, 2, 2], None, 0, 0); // stride 0
    rejected(&[3, 4, 4], &[3, 3, 2, 2], None, 1, 0); // no batch dimension
    let x = zeros(&[1, 3, 4, 4]);
    let plain = Conv2dConfig { stride: 1, padding: 0 };
    assert!(conv2d(&x, &zeros(&[3, 3, 5, 5]), None, plain).is_err()); // kernel larger than the input
    let transposed = ConvTranspose2dConfig { stride: 1, padding: 3 };
    assert!(conv_transpose2d(&x, &zeros(&[3, 3, 2, 2]), None, transposed).is_err()); // nothing left
    // Sizes beyond every number.
    for padding in [usize::MAX, usize::MAX / 2 + 1] {
        assert!(conv2d(&x, &zeros(&[3, 3, 2, 2]), None, Conv2dConfig { stride: 1, padding }).is_err());
        let transposed = ConvTranspose2dConfig { stride: 1, padding };
        assert!(conv_transpose2d(&x, &zeros(&[3, 3, 2, 2]), None, transposed).is_err());
    }
    let transposed = ConvTranspose2dConfig { stride: usize::MAX, padding: 0 };
    assert!(conv_transpose2d(&x, &zeros(&[3, 3, 2, 2]), None, transposed).is_err());
}
