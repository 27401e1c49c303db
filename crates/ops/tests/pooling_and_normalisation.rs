//! Pooling, normalisation across channels and dropout: hand-made cases, slow oracles in 64-bit floats, finite
//! differences, the portable twins, masks drawn by other means, bad arguments.

use candle_core::{DType, Device, Tensor, Var};
use multigen_ops as ops;
use ops::{DropoutConfig, Error, LocalResponseNormConfig, MaxPool2dConfig};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

mod oracle;

use oracle::{assert_close, flat};

const CPU: &Device = &Device::Cpu;

type Run<'a> = &'a (dyn Fn(&Tensor) -> ops::Result<Tensor> + Sync);

fn random(rng: &mut ChaCha8Rng, len: usize) -> Vec<f32> {
    (0..len).map(|_| rng.random_range(-1.0f32..1.0)).collect()
}

fn pick(rng: &mut ChaCha8Rng, from: &[usize]) -> usize {
    from[rng.random_range(0..from.len())]
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// The result and the gradient of Σ y·direction, of which as much is taken as y has elements.
fn forward_and_backward(run: Run<'_>, x: &[f32], dims: &[usize], direction: &[f32]) -> (Tensor, Vec<f32>) {
    let x = Var::from_slice(x, dims, CPU).unwrap();
    let y = run(&x).unwrap();
    let direction = Tensor::from_slice(&direction[..y.elem_count()], y.shape(), CPU).unwrap();
    let grads = (&y * direction).unwrap().sum_all().unwrap().backward().unwrap();
    let grad_x = flat(grads.get(&x).unwrap());
    (y, grad_x)
}

/// The slope of Σ y·direction along a random line from both sides, of the portable path in 64-bit floats, against the
/// gradient of the fast path.
fn check_finite_differences(rng: &mut ChaCha8Rng, run: Run<'_>, x: &[f32], dims: &[usize], step: f64) {
    let wide_tensor = |values: &[f32], dims: &[usize]| Tensor::from_vec(wide(values), dims, CPU).unwrap();
    let x64 = wide_tensor(x, dims);
    let y_dims = run(&x64).unwrap().dims().to_vec();
    let direction = random(rng, y_dims.iter().product());
    let (_, grad_x) = forward_and_backward(run, x, dims, &direction);
    let direction = wide_tensor(&direction, &y_dims);
    for _ in 0..5 {
        let line = random(rng, x.len());
        let slope: f64 = grad_x.iter().zip(&line).map(|(g, l)| f64::from(*g) * f64::from(*l)).sum();
        let at = |step: f64| {
            let moved = (&x64 + (wide_tensor(&line, dims) * step).unwrap()).unwrap();
            let loss = (run(&moved).unwrap() * &direction).unwrap().sum_all().unwrap();
            loss.to_scalar::<f64>().unwrap()
        };
        let measured = (at(step) - at(-step)) / (2.0 * step);
        assert!((slope - measured).abs() <= 1e-4 * measured.abs().max(1.0), "{slope} {measured}");
    }
}

/// Pooling by its definition: values, and for every window the index of its first maximum (of its first NaN).
fn pool_oracle(x: &[f32], dims: [usize; 4], config: MaxPool2dConfig) -> (Vec<f32>, Vec<usize>) {
    let [n, c, h, w] = dims;
    let MaxPool2dConfig { kernel, stride, ceil_mode } = config;
    let starts = |len: usize| {
        let mut starts: Vec<usize> = (0..=len - kernel).step_by(stride).collect();
        let last = starts[starts.len() - 1];
        // One more window reads what lies beyond the last full one, if it starts inside.
        if ceil_mode && last + kernel < len && last + stride < len {
            starts.push(last + stride);
        }
        starts
    };
    let (mut values, mut places) = (Vec::new(), Vec::new());
    for plane in 0..n * c {
        for top in starts(h) {
            for left in starts(w) {
                let mut place = (plane * h + top) * w + left;
                for row in top..(top + kernel).min(h) {
                    for column in left..(left + kernel).min(w) {
                        let next = (plane * h + row) * w + column;
                        if x[next] > x[place] || x[next].is_nan() && !x[place].is_nan() {
                            place = next;
                        }
                    }
                }
                values.push(x[place]);
                places.push(place);
            }
        }
    }
    (values, places)
}

/// Fast and portable against the oracle: values to the bit, gradients but for the rounding of their sums.
fn check_pool(rng: &mut ChaCha8Rng, x: &[f32], dims: [usize; 4], config: MaxPool2dConfig) {
    let (values, places) = pool_oracle(x, dims, config);
    let direction = random(rng, values.len());
    let mut exact = vec![0.0; x.len()];
    for (&place, &direction) in places.iter().zip(&direction) {
        exact[place] += f64::from(direction);
    }
    for run in [ops::max_pool2d, ops::max_pool2d_portable] {
        let (y, grad_x) = forward_and_backward(&|x| run(x, config), x, &dims, &direction);
        let same = flat(&y).iter().zip(&values).all(|(y, value)| y == value || y.is_nan() && value.is_nan());
        assert!(same && y.elem_count() == values.len(), "{dims:?} {config:?}");
        // The loss of a direction times NaN is NaN, but its gradient is the direction.
        assert_close(&format!("{dims:?} {config:?}"), &grad_x, &exact, 1e-6);
    }
}

/// Kernel 3, stride 2 on
///
/// ```text
/// 1 5 2 0
/// 3 5 4 6
/// 0 1 2 7
/// 9 0 8 0
/// ```
///
/// Rounded down, (4 − 3)/2 + 1 = 1: the one window sees rows and columns 0 to 2, its maximum is 5, first met at (0, 1).
/// Rounded up it is 2: the windows at column 2 see 2 0 / 4 6 / 2 7 (7), those at row 2 see 0 1 2 / 9 0 8 (9), and the
/// last one 2 7 / 8 0 (8).
#[test]
fn pooling_by_hand() {
    let x = Var::from_slice(&[1f32, 5., 2., 0., 3., 5., 4., 6., 0., 1., 2., 7., 9., 0., 8., 0.], (1, 1, 4, 4), CPU)
        .unwrap();
    let config = MaxPool2dConfig { kernel: 3, stride: 2, ceil_mode: false };
    for run in [ops::max_pool2d, ops::max_pool2d_portable] {
        let y = run(&x, config).unwrap();
        assert_eq!((y.dims(), flat(&y)), (&[1, 1, 1, 1][..], vec![5.0]));
        let y = run(&x, MaxPool2dConfig { ceil_mode: true, ..config }).unwrap();
        assert_eq!((y.dims(), flat(&y)), (&[1, 1, 2, 2][..], vec![5.0, 7.0, 9.0, 8.0]));
        let grads = y.sum_all().unwrap().backward().unwrap();
        let ones = [1, 11, 12, 14];
        let expected: Vec<f32> = (0..16).map(|i| if ones.contains(&i) { 1.0 } else { 0.0 }).collect();
        assert_eq!(flat(grads.get(&x).unwrap()), expected);
    }
}

/// The only maximum of four overlapping windows gets all four gradients: 1 + 10 + 100 + 1000.
#[test]
fn overlapping_windows_add_their_gradients() {
    let mut x = [0f32; 25];
    x[12] = 1.0;
    let config = MaxPool2dConfig { kernel: 3, stride: 2, ceil_mode: false };
    for run in [ops::max_pool2d, ops::max_pool2d_portable] {
        let (_, grad_x) = forward_and_backward(&|x| run(x, config), &x, &[1, 1, 5, 5], &[1.0, 10.0, 100.0, 1000.0]);
        for (i, grad) in grad_x.into_iter().enumerate() {
            assert_eq!(grad, if i == 12 { 1111.0 } else { 0.0 });
        }
    }
}

#[test]
fn pooling_matches_the_oracle_on_random_shapes() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let sizes = [1, 2, 3, 5, 8, 9, 13, 18, 37];
    let mut n_checked = 0;
    while n_checked < 150 {
        let (h, w) = (pick(&mut rng, &sizes), pick(&mut rng, &sizes));
        let kernel = pick(&mut rng, &[1, 2, 3, 4, 5, 9]);
        if kernel > h.min(w) {
            continue;
        }
        let config = MaxPool2dConfig { kernel, stride: pick(&mut rng, &[1, 2, 3, 4, 7]), ceil_mode: rng.random() };
        let dims = [pick(&mut rng, &[1, 2]), pick(&mut rng, &[1, 3, 17]), h, w];
        let mut x = random(&mut rng, dims.iter().product());
        if rng.random() {
            // Few levels: most windows have several maxima.
            x.iter_mut().for_each(|x| *x = (*x * 1.6).round());
        }
        check_pool(&mut rng, &x, dims, config);
        n_checked += 1;
    }
}

#[test]
fn pooling_matches_the_oracle_on_the_networks_shapes() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (c, side) in [(96, 74), (256, 37), (256, 18)] {
        let dims = [2, c, side, side];
        let x = random(&mut rng, dims.iter().product());
        check_pool(&mut rng, &x, dims, MaxPool2dConfig { kernel: 3, stride: 2, ceil_mode: true });
    }
}

#[test]
fn pooling_is_exact_at_every_scale_and_loses_no_nan() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let dims = [2, 3, 11, 10];
    for config in [
        MaxPool2dConfig { kernel: 3, stride: 2, ceil_mode: true },
        MaxPool2dConfig { kernel: 3, stride: 2, ceil_mode: false },
        MaxPool2dConfig { kernel: 2, stride: 3, ceil_mode: true },
    ] {
        for scale in [1e-40f32, 1e-20, 1.0, 1e15, f32::MAX] {
            let x: Vec<f32> = random(&mut rng, 660).iter().map(|v| v * scale).collect();
            check_pool(&mut rng, &x, dims, config);
        }
        for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = random(&mut rng, 660);
            x.iter_mut().for_each(|x| *x = if rng.random_bool(0.2) { special } else { *x });
            check_pool(&mut rng, &x, dims, config);
        }
        check_pool(&mut rng, &[f32::NEG_INFINITY; 660], dims, config);
        check_pool(&mut rng, &[f32::NAN; 660], dims, config);
    }
}

/// Normalisation by its definition, and the gradient of Σ y·direction.
fn norm_oracle(
    x: &[f64],
    [n, c, h, w]: [usize; 4],
    config: LocalResponseNormConfig,
    direction: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let LocalResponseNormConfig { size, alpha, beta } = config;
    let plane = h * w;
    let (mut y, mut grad_x) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    for image in 0..n {
        for pixel in 0..plane {
            let at = |channel: usize| (image * c + channel) * plane + pixel;
            for channel in 0..c {
                let near = |other: &usize| other.abs_diff(channel) <= size / 2;
                let sum: f64 = (0..c).filter(near).map(|other| x[at(other)] * x[at(other)]).sum();
                let base = 1.0 + alpha / size as f64 * sum;
                y[at(channel)] = x[at(channel)] * base.powf(-beta);
                grad_x[at(channel)] += direction[at(channel)] * base.powf(-beta);
                for other in (0..c).filter(near) {
                    // The derivative of s⁻ᵝ by another response: −β·s⁻ᵝ⁻¹ · α/size · 2·a.
                    let slope = -beta * base.powf(-beta - 1.0) * alpha / size as f64 * 2.0 * x[at(other)];
                    grad_x[at(other)] += direction[at(channel)] * x[at(channel)] * slope;
                }
            }
        }
    }
    (y, grad_x)
}

fn check_norm(rng: &mut ChaCha8Rng, x: &[f32], dims: [usize; 4], config: LocalResponseNormConfig) {
    let direction = random(rng, x.len());
    let (y64, grad64) = norm_oracle(&wide(x), dims, config, &wide(&direction));
    for run in [ops::local_response_norm, ops::local_response_norm_portable] {
        let (y, grad_x) = forward_and_backward(&|x| run(x, config), x, &dims, &direction);
        assert_eq!(y.dims(), dims);
        assert_close(&format!("y {dims:?} {config:?}"), &flat(&y), &y64, 1e-5);
        assert_close(&format!("gradient {dims:?} {config:?}"), &grad_x, &grad64, 1e-5);
    }
}

/// Two channels (1, 2), size 3, α = 3, β = 1: both sums hold both channels, s = 1 + 3/3·(1 + 4) = 6, y = (1/6, 2/6).
/// For Σ y = (a + b)/s the slope by a is 1/s − 2a(a + b)/s² = 1/6 − 6/36 = 0, that by b 1/6 − 12/36 = −1/6.
///
/// At β = 0.75 and α = 9 it is s = 16, s^0.75 = 8, y = (1/8, 2/8).
#[test]
fn normalisation_by_hand() {
    let x = Var::from_slice(&[1f32, 2.], (1, 2, 1, 1), CPU).unwrap();
    for run in [ops::local_response_norm, ops::local_response_norm_portable] {
        let y = run(&x, LocalResponseNormConfig { size: 3, alpha: 3.0, beta: 1.0 }).unwrap();
        assert_close("y", &flat(&y), &[1.0 / 6.0, 1.0 / 3.0], 1e-6);
        let grads = y.sum_all().unwrap().backward().unwrap();
        assert_close("gradient", &flat(grads.get(&x).unwrap()), &[0.0, -1.0 / 6.0], 1e-6);
        let y = run(&x, LocalResponseNormConfig { size: 3, alpha: 9.0, beta: 0.75 }).unwrap();
        assert_close("y", &flat(&y), &[0.125, 0.25], 1e-6);
    }
}

#[test]
fn normalisation_matches_the_oracle_on_random_shapes() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for _ in 0..60 {
        let dims = [
            pick(&mut rng, &[1, 2, 3]),
            pick(&mut rng, &[1, 2, 5, 17]),
            pick(&mut rng, &[1, 3, 16, 19]),
            pick(&mut rng, &[1, 2, 16, 31]),
        ];
        let config = LocalResponseNormConfig {
            size: pick(&mut rng, &[1, 3, 5, 11, 1_000_001]),
            alpha: [0.0, 1e-4, 1.0, 20.0][rng.random_range(0..4)],
            beta: [0.75, 0.5, 1.0, 2.3, 0.0, -0.5][rng.random_range(0..6)],
        };
        let scale = [0.1, 1.0, 100.0][rng.random_range(0..3)];
        let x: Vec<f32> = random(&mut rng, dims.iter().product()).iter().map(|v| v * scale).collect();
        check_norm(&mut rng, &x, dims, config);
    }
}

const ALEXNET: LocalResponseNormConfig = LocalResponseNormConfig { size: 5, alpha: 1e-4, beta: 0.75 };

#[test]
fn normalisation_keeps_its_precision_at_other_scales() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let dims = [2, 9, 6, 5];
    for scale in [1e-20f32, 1e-3, 1.0, 1e3, 1e9, 1e15] {
        let x: Vec<f32> = random(&mut rng, 540).iter().map(|v| v * scale).collect();
        check_norm(&mut rng, &x, dims, ALEXNET);
    }
}

/// A channel of huge responses must not disturb channels that it is no neighbour of: sums that were made by
/// subtraction would.
#[test]
fn large_responses_leave_no_trace_beyond_their_neighbours() {
    let config = LocalResponseNormConfig { size: 3, alpha: 3.0, beta: 0.75 };
    let mut x = vec![1.0f32; 8];
    x[1] = 1e12;
    for run in [ops::local_response_norm, ops::local_response_norm_portable] {
        let (y, grad_x) = forward_and_backward(&|x| run(x, config), &x, &[1, 8, 1, 1], &[1.0; 8]);
        // Channels 3 to 6 see three ones: s = 4; channel 7 sees two: s = 3.
        let exact = [4.0, 4.0, 4.0, 4.0, 3.0].map(|base: f64| base.powf(-0.75));
        assert_close("y", &flat(&y)[3..], &exact, 1e-6);
        // In the middle of five: s^−0.75 − 2·0.75·3·s^−1.75.
        let exact = [4f64.powf(-0.75) - 4.5 * 4f64.powf(-1.75)];
        assert_close("gradient", &grad_x[5..6], &exact, 1e-5);
    }
}

#[test]
fn gradients_match_finite_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let dims = [2, 5, 7, 6];
    // Distinct multiples of 0.01 in a random order: a step that is far smaller changes no maximum.
    let mut x: Vec<f32> = (0..420).map(|i| i as f32 * 0.01).collect();
    for i in (1..x.len()).rev() {
        x.swap(i, rng.random_range(0..=i));
    }
    for ceil_mode in [false, true] {
        let config = MaxPool2dConfig { kernel: 3, stride: 2, ceil_mode };
        check_finite_differences(&mut rng, &|x| ops::max_pool2d(x, config), &x, &dims, 1e-3);
    }
    for beta in [0.75, 1.5] {
        let config = LocalResponseNormConfig { size: 3, alpha: 0.5, beta };
        check_finite_differences(&mut rng, &|x| ops::local_response_norm(x, config), &x, &dims, 1e-4);
    }
    let config = DropoutConfig { rate: 0.4, seed: 1 };
    check_finite_differences(&mut rng, &|x| ops::dropout(x, config), &x, &dims, 1e-2);
}

/// Element i is kept if word i mod 4096 of stream i/4096 of the seed's generator, as a share of 2³², is at least the
/// rate. This must not change: it would give every trained network other masks.
#[test]
fn dropout_draws_the_mask_that_its_seed_names() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for (len, rate, seed) in [(1, 0.5, 0), (4096, 0.1, 1), (4097, 0.5, u64::MAX), (10_000, 0.9, 2), (300, 0.25, 3)] {
        let (x, direction) = (random(&mut rng, len), random(&mut rng, len));
        let kept: Vec<bool> = (0..len)
            .map(|i| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream((i / 4096) as u64);
                rng.set_word_pos((i % 4096) as u128);
                f64::from(rng.next_u32()) / 4_294_967_296.0 >= rate
            })
            .collect();
        let masked = |values: &[f32]| -> Vec<f64> {
            values.iter().zip(&kept).map(|(v, &kept)| if kept { f64::from(*v) / (1.0 - rate) } else { 0.0 }).collect()
        };
        for run in [ops::dropout, ops::dropout_portable] {
            let (y, grad_x) = forward_and_backward(&|x| run(x, DropoutConfig { rate, seed }), &x, &[len], &direction);
            assert_close("y", &flat(&y), &masked(&x), 1e-6);
            assert_close("gradient", &grad_x, &masked(&direction), 1e-6);
        }
    }
}

/// Five standard deviations: of the number kept, √(n·r·(1 − r)); of the sum of y, √(Σ x²·r/(1 − r)).
#[test]
fn dropout_keeps_its_share_and_the_mean() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let x: Vec<f32> = (0..200_000).map(|_| rng.random_range(0.5f32..1.5)).collect();
    let sum_of = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>();
    let squares: f64 = x.iter().map(|&v| f64::from(v * v)).sum();
    let tensor = Tensor::from_slice(&x, (200, 1000), CPU).unwrap();
    for (rate, seed) in [(0.01, 1), (0.3, 2), (0.5, 3), (0.5, 4), (0.95, 5)] {
        let y = flat(&ops::dropout(&tensor, DropoutConfig { rate, seed }).unwrap());
        let n_kept = y.iter().filter(|&&v| v != 0.0).count() as f64;
        let n = x.len() as f64;
        assert!((n_kept - n * (1.0 - rate)).abs() <= 5.0 * (n * rate * (1.0 - rate)).sqrt(), "{rate}: {n_kept}");
        let error = sum_of(&y) - sum_of(&x);
        assert!(error.abs() <= 5.0 * (squares * rate / (1.0 - rate)).sqrt(), "{rate}: {error}");
    }
}

#[test]
fn dropout_at_the_ends_of_its_rate() {
    let x = Tensor::new(&[1f32, f32::NAN, -3.0], CPU).unwrap();
    let y = ops::dropout(&x, DropoutConfig { rate: 0.0, seed: 1 }).unwrap();
    assert_eq!(y.id(), x.id());
    // The nearest rate below 1 keeps one element of 2³²; a NaN among those that it drops is seen.
    for run in [ops::dropout, ops::dropout_portable] {
        let y = flat(&run(&x, DropoutConfig { rate: 1.0f64.next_down(), seed: 1 }).unwrap());
        assert!(y[0] == 0.0 && y[1].is_nan() && y[2] == 0.0, "{y:?}");
    }
}

/// Half of two independent masks at rate 0.5 agree: 5000 of 10,000, give or take five times 50.
#[test]
fn different_seeds_give_different_masks() {
    let x = Tensor::ones(10_000, DType::F32, CPU).unwrap();
    let mask = |seed: u64| flat(&ops::dropout(&x, DropoutConfig { rate: 0.5, seed }).unwrap());
    let masks = [0, 1, 2, 1 << 32, u64::MAX].map(mask);
    for (i, mask) in masks.iter().enumerate() {
        for other in &masks[..i] {
            let n_alike = mask.iter().zip(other).filter(|(a, b)| a == b).count();
            assert!(n_alike.abs_diff(5000) <= 250, "{n_alike}");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let dims = [3, 7, 19, 23];
    let x = random(&mut rng, dims.iter().product());
    let pool = MaxPool2dConfig { kernel: 3, stride: 2, ceil_mode: true };
    let drop = DropoutConfig { rate: 0.5, seed: 11 };
    let runs: [Run<'_>; 5] = [
        &|x| ops::dropout(x, drop),
        &|x| ops::dropout_portable(x, drop),
        &|x| ops::max_pool2d(x, pool),
        &|x| ops::local_response_norm(x, ALEXNET),
        &|x| ops::local_response_norm(x, LocalResponseNormConfig { beta: 0.6, ..ALEXNET }),
    ];
    for run in runs {
        let bytes = |n_threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            let (y, grad_x) = pool.install(|| forward_and_backward(run, &x, &dims, &x));
            flat(&y).into_iter().chain(grad_x).map(f32::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(bytes(1), bytes(3));
    }
}

/// A view that is not contiguous, and a gradient that arrives as a broadcast.
#[test]
fn strided_arguments_are_understood() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let x = Var::from_vec(random(&mut rng, 2 * 5 * 9 * 7), (5, 2, 9, 7), CPU).unwrap();
    let pool = MaxPool2dConfig { kernel: 3, stride: 2, ceil_mode: true };
    let drop = DropoutConfig { rate: 0.5, seed: 3 };
    let pairs: [[Run<'_>; 2]; 3] = [
        [&|x| ops::max_pool2d(x, pool), &|x| ops::max_pool2d_portable(x, pool)],
        [&|x| ops::local_response_norm(x, ALEXNET), &|x| ops::local_response_norm_portable(x, ALEXNET)],
        [&|x| ops::dropout(x, drop), &|x| ops::dropout_portable(x, drop)],
    ];
    for pair in pairs {
        let [fast, portable] = pair.map(|run| {
            let y = run(&x.transpose(0, 1).unwrap().transpose(2, 3).unwrap()).unwrap();
            let grads = y.sum_all().unwrap().backward().unwrap();
            [flat(&y), flat(grads.get(&x).unwrap())]
        });
        for (fast, portable) in fast.iter().zip(&portable) {
            assert_close("strided", fast, &wide(portable), 1e-5);
        }
    }
}

#[test]
fn other_types_take_the_portable_path() {
    for dtype in [DType::F64, DType::BF16] {
        let x = Tensor::ones((1, 2, 4, 4), dtype, CPU).unwrap();
        let config = MaxPool2dConfig { kernel: 3, stride: 2, ceil_mode: true };
        for y in [
            ops::max_pool2d(&x, config).unwrap(),
            ops::local_response_norm(&x, ALEXNET).unwrap(),
            ops::dropout(&x, DropoutConfig { rate: 0.5, seed: 0 }).unwrap(),
        ] {
            assert_eq!(y.dtype(), dtype);
        }
    }
}

#[test]
fn bad_arguments_are_named() {
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, CPU).unwrap();
    let refused = |name: &str, x: &Tensor, runs: [Run<'_>; 2], found: &str| {
        for run in runs {
            let error = run(x).unwrap_err();
            assert!(matches!(error, Error::Shape { .. }), "{error}");
            let message = error.to_string();
            assert!(message.starts_with(name) && !message.contains('\n'), "{message}");
            assert!(message.contains(&format!("{:?}", x.dims())) && message.contains(found), "{message}");
        }
    };
    let whole = Tensor::zeros((1, 2, 4, 4), DType::U32, CPU).unwrap();
    let x = zeros(&[1, 2, 4, 4]);
    let no_images =
        [zeros(&[2, 4, 4]), zeros(&[0, 2, 4, 4]), zeros(&[1, 0, 4, 4]), zeros(&[1, 2, 0, 4]), zeros(&[1, 2, 4, 0])];

    let pool = |x: &Tensor, kernel: usize, stride: usize, found: &str| {
        for ceil_mode in [false, true] {
            let config = MaxPool2dConfig { kernel, stride, ceil_mode };
            let runs: [Run<'_>; 2] = [&|x| ops::max_pool2d(x, config), &|x| ops::max_pool2d_portable(x, config)];
            refused("max_pool2d", x, runs, found);
        }
    };
    for x in no_images.iter().chain([&whole]) {
        pool(x, 1, 1, "kernel 1");
    }
    pool(&x, 3, 0, "stride 0");
    pool(&x, 0, 1, "kernel 0");
    pool(&x, 5, 1, "kernel 5");
    pool(&zeros(&[1, 2, 4, 3]), 4, 2, "kernel 4");
    pool(&zeros(&[1, 2, 3, 4]), 4, 2, "kernel 4");
    pool(&x, usize::MAX, usize::MAX, "stride");

    let norm = |x: &Tensor, config: LocalResponseNormConfig, found: &str| {
        let runs: [Run<'_>; 2] =
            [&|x| ops::local_response_norm(x, config), &|x| ops::local_response_norm_portable(x, config)];
        refused("local_response_norm", x, runs, found);
    };
    for x in no_images.iter().chain([&whole]) {
        norm(x, ALEXNET, "size 5");
    }
    for size in [0, 4, usize::MAX - 1] {
        norm(&x, LocalResponseNormConfig { size, ..ALEXNET }, &format!("size {size}"));
    }
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        norm(&x, LocalResponseNormConfig { alpha: bad, ..ALEXNET }, &format!("alpha {bad}"));
        norm(&x, LocalResponseNormConfig { beta: bad, ..ALEXNET }, &format!("beta {bad}"));
    }
    norm(&x, LocalResponseNormConfig { alpha: -1e-4, ..ALEXNET }, "alpha -0.0001");

    let drop = |x: &Tensor, rate: f64| {
        let config = DropoutConfig { rate, seed: 0 };
        let runs: [Run<'_>; 2] = [&|x| ops::dropout(x, config), &|x| ops::dropout_portable(x, config)];
        refused("dropout", x, runs, &format!("rate {rate}"));
    };
    for rate in [-0.1, 1.0, 1.5, f64::NAN, f64::INFINITY] {
        drop(&x, rate);
    }
    for rate in [0.0, 0.5] {
        drop(&whole, rate);
        drop(&zeros(&[3, 0]), rate);
    }
}

/// A window as large as the image, and strides and sizes as large as numbers go, are no reason to panic.
#[test]
fn extreme_settings_are_served() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let dims = [2, 3, 6, 6];
    let x = random(&mut rng, 216);
    for (kernel, stride) in [(6, 1), (6, usize::MAX), (2, usize::MAX), (1, 6)] {
        for ceil_mode in [false, true] {
            check_pool(&mut rng, &x, dims, MaxPool2dConfig { kernel, stride, ceil_mode });
        }
    }
    check_norm(&mut rng, &x, dims, LocalResponseNormConfig { size: usize::MAX, ..ALEXNET });
}
