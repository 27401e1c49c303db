//! Sampling under a flow: hand-made cases, exact shifts, a slow oracle in 64-bit floats, finite differences, the
//! portable twin, flows that point anywhere or nowhere, bad arguments.

use candle_core::{DType, Device, Tensor, Var};
use multigen_ops as ops;
use ops::Error;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

mod finite_differences;
mod oracle;

use oracle::{assert_close, flat};

const CPU: &Device = &Device::Cpu;

type Run = fn(&Tensor, &Tensor) -> ops::Result<Tensor>;

const RUNS: [Run; 2] = [ops::warp, ops::warp_portable];

fn random(rng: &mut ChaCha8Rng, dims: &[usize], scale: f32) -> Var {
    let values: Vec<f32> = (0..dims.iter().product()).map(|_| rng.random_range(-scale..scale)).collect();
    Var::from_vec(values, dims, CPU).unwrap()
}

/// The result, and the gradients of Σ out·direction by images and flow.
fn forward_and_backward(run: Run, images: &Var, flow: &Var, direction: &Tensor) -> [Vec<f32>; 3] {
    let out = run(images, flow).unwrap();
    let grads = (&out * direction).unwrap().sum_all().unwrap().backward().unwrap();
    [flat(&out), flat(grads.get(images).unwrap()), flat(grads.get(flow).unwrap())]
}

/// The image
///
/// ```text
/// 1 2 4
/// 8 6 0
/// ```
///
/// with the gradient 10 arriving at the top left pixel alone, which reads at (0.25, 0.5): the weights are
/// 0.5·0.75 = 0.375, 0.5·0.25 = 0.125 above and the same below, so
/// out = 0.375·1 + 0.125·2 + 0.375·8 + 0.125·6 = 4.375. By the image: ten times the weights. By the flow:
/// 10·(0.5·(2 − 1) + 0.5·(6 − 8)) = −5 rightwards, 10·(0.75·(8 − 1) + 0.25·(6 − 2)) = 62.5 downwards.
#[test]
fn warping_by_hand() {
    let images = Var::from_slice(&[1f32, 2., 4., 8., 6., 0.], (1, 1, 2, 3), CPU).unwrap();
    let flow = [0.25f32, 0., 0., 0., 0., 0., 0.5, 0., 0., 0., 0., 0.];
    let flow = Var::from_slice(&flow, (1, 2, 2, 3), CPU).unwrap();
    let direction = Tensor::new(&[[[[10f32, 0., 0.], [0., 0., 0.]]]], CPU).unwrap();
    for run in RUNS {
        let [out, grad_images, grad_flow] = forward_and_backward(run, &images, &flow, &direction);
        assert_eq!(out, [4.375, 2., 4., 8., 6., 0.]);
        assert_eq!(grad_images, [3.75, 1.25, 0., 3.75, 1.25, 0.]);
        assert_eq!(grad_flow, [-5., 0., 0., 0., 0., 0., 62.5, 0., 0., 0., 0., 0.]);
    }
}

/// The row [1, 2, 4] under flows of −0.5, 0 and +3: read at −0.5, 1 and 5, hence 1, 2 and 4. Only the middle one has a
/// derivative, 4 − 2. Under [0, 1, 0] it is read at 0, 2 and 2, all inside: 2 − 1 on the first pixel, 4 − 2 on the last.
/// The height of one pixel has no slope anywhere.
#[test]
fn warping_reads_the_edge_beyond_it() {
    let images = Var::from_slice(&[1f32, 2., 4.], (1, 1, 1, 3), CPU).unwrap();
    let ones = Tensor::ones((1, 1, 1, 3), DType::F32, CPU).unwrap();
    for run in RUNS {
        let flow = Var::from_slice(&[-0.5f32, 0., 3., -7., 0., 7.], (1, 2, 1, 3), CPU).unwrap();
        let [out, grad_images, grad_flow] = forward_and_backward(run, &images, &flow, &ones);
        assert_eq!((out, grad_images), (vec![1., 2., 4.], vec![1., 1., 1.]));
        assert_eq!(grad_flow, [0., 2., 0., 0., 0., 0.]);
        let flow = Var::from_slice(&[0f32, 1., 0., 0., 0., 0.], (1, 2, 1, 3), CPU).unwrap();
        let [out, grad_images, grad_flow] = forward_and_backward(run, &images, &flow, &ones);
        assert_eq!((out, grad_images), (vec![1., 4., 4.], vec![1., 0., 2.]));
        assert_eq!(grad_flow, [1., 2., 2., 0., 0., 0.]);
    }
}

#[test]
fn warping_by_whole_pixels_moves_the_image_to_the_bit() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for [n, c, h, w] in [[1, 1, 1, 1], [2, 3, 7, 5], [3, 1, 1, 9], [2, 2, 71, 71]] {
        let images = random(&mut rng, &[n, c, h, w], 1.0);
        let values = flat(&images);
        for (right, down) in [(0, 0), (1, 0), (0, 1), (-2, 3), (100, -100)] {
            let plane = |value: i64| Tensor::full(value as f32, (n, 1, h, w), CPU).unwrap();
            let flow = Tensor::cat(&[plane(right), plane(down)], 1).unwrap();
            let at = |own: usize, by: i64, len: usize| (own as i64 + by).clamp(0, len as i64 - 1) as usize;
            let expected: Vec<f32> = (0..values.len())
                .map(|i| values[(i / (h * w) * h + at(i / w % h, down, h)) * w + at(i % w, right, w)])
                .collect();
            for run in RUNS {
                assert_eq!(flat(&run(&images, &flow).unwrap()), expected, "{h}×{w} by ({right}, {down})");
            }
        }
    }
}

/// Jaderberg et al. (2015), equations 5 to 7: every output pixel is a sum over all pixels q of the image, weighted by
/// max(0, 1 − |x − q_x|)·max(0, 1 − |y − q_y|).
fn oracle(images: &Tensor, flow: &Tensor, direction: &[f32]) -> [Vec<f64>; 3] {
    let (n, c, h, w) = images.dims4().unwrap();
    let (images, flow) = (flat(images), flat(flow));
    let (mut out, mut grad_images) = (vec![0f64; images.len()], vec![0f64; images.len()]);
    let mut grad_flow = vec![0f64; flow.len()];
    let clamped = |at: f32, len: usize| f64::from(at).clamp(0.0, (len - 1) as f64);
    let tent = |q: usize, at: f64| (1.0 - (at - q as f64).abs()).max(0.0);
    let slope = |q: usize, at: f64| if (at - q as f64).abs() >= 1.0 { 0.0 } else { (q as f64 - at).signum() };
    for (image, p) in (0..n).flat_map(|image| (0..h * w).map(move |p| (image, p))) {
        let place = [0, 1].map(|direction| (image * 2 + direction) * h * w + p);
        let (x, y) = ((p % w) as f32 + flow[place[0]], (p / w) as f32 + flow[place[1]]);
        let inside = [x, y].into_iter().zip([w, h]).map(|(at, len)| f64::from(at) == clamped(at, len));
        let inside: Vec<bool> = inside.collect();
        let (x, y) = (clamped(x, w), clamped(y, h));
        for (channel, q) in (0..c).flat_map(|channel| (0..h * w).map(move |q| (channel, q))) {
            let (from, to) = ((image * c + channel) * h * w + q, (image * c + channel) * h * w + p);
            let (value, grad) = (f64::from(images[from]), f64::from(direction[to]));
            let (qx, qy) = (q % w, q / w);
            out[to] += value * tent(qx, x) * tent(qy, y);
            grad_images[from] += grad * tent(qx, x) * tent(qy, y);
            if inside[0] {
                grad_flow[place[0]] += grad * value * slope(qx, x) * tent(qy, y);
            }
            if inside[1] {
                grad_flow[place[1]] += grad * value * tent(qx, x) * slope(qy, y);
            }
        }
    }
    [out, grad_images, grad_flow]
}

#[test]
fn warping_matches_the_oracle_on_random_shapes() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for case in 0..60 {
        // A side of one pixel has a flow that never hits it but for zero, of which the hand-made cases take care.
        let dims = [rng.random_range(1..4), rng.random_range(1..5), rng.random_range(1..12), rng.random_range(1..12)];
        let scale = [0.3, 2.0, 20.0, 1e6][case % 4];
        let images = random(&mut rng, &dims, 1.0);
        let flow = random(&mut rng, &[dims[0], 2, dims[2], dims[3]], scale);
        let direction = random(&mut rng, &dims, 1.0);
        let exact = oracle(&images, &flow, &flat(&direction));
        for run in RUNS {
            let found = forward_and_backward(run, &images, &flow, &direction);
            for (what, (found, exact)) in ["out", "images", "flow"].into_iter().zip(found.iter().zip(&exact)) {
                assert_close(&format!("{what}, {dims:?}, flow {scale}"), found, exact, 1e-5);
            }
        }
    }
}

/// The two paths on a network's size, with sides of which no row is a whole number of vectors.
#[test]
fn warping_is_the_same_on_both_paths() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for (dims, scale) in [([5, 3, 71, 71], 4.0), ([2, 1, 13, 64], 30.0)] {
        let images = random(&mut rng, &dims, 1.0);
        let flow = random(&mut rng, &[dims[0], 2, dims[2], dims[3]], scale);
        let direction = random(&mut rng, &dims, 1.0);
        let [fast, portable] = RUNS.map(|run| forward_and_backward(run, &images, &flow, &direction));
        for (fast, portable) in fast.iter().zip(&portable) {
            let portable: Vec<f64> = portable.iter().map(|&v| f64::from(v)).collect();
            assert_close("fast and portable", fast, &portable, 1e-5);
        }
        // Inside other operators, the portable path is asked for by the thread.
        let asked = ops::with_portable_path(|| ops::warp(&images, &flow)).unwrap();
        assert_eq!(flat(&asked), flat(&ops::warp_portable(&images, &flow).unwrap()));
    }
}

#[test]
fn warping_matches_finite_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for dims in [[2, 3, 5, 4], [1, 1, 6, 6], [3, 2, 1, 7]] {
        let images = random(&mut rng, &dims, 1.0);
        // Inside and outside, but never nearer than 0.1 to a pixel's centre, where a bilinear sample has its kinks.
        let n_values = dims[0] * 2 * dims[2] * dims[3];
        let flow: Vec<f32> =
            (0..n_values).map(|_| rng.random_range(-3i32..3) as f32 + rng.random_range(0.1f32..0.9)).collect();
        let flow = Var::from_vec(flow, (dims[0], 2, dims[2], dims[3]), CPU).unwrap();
        let direction = random(&mut rng, &dims, 1.0);
        for run in RUNS {
            for _ in 0..5 {
                finite_differences::check(&[&images, &flow], &mut rng, |t| {
                    (run(&t[0], &t[1]).unwrap() * direction.as_tensor()).unwrap().sum_all().unwrap()
                });
            }
        }
    }
}

/// Endless and absurd flows read the edge and have no slope; what is not a number stays so, at its own pixel alone.
#[test]
fn warping_survives_flows_that_are_no_numbers() {
    let images = Var::from_slice(&[1f32, 2., 3., 4.], (1, 1, 2, 2), CPU).unwrap();
    let ones = Tensor::ones((1, 1, 2, 2), DType::F32, CPU).unwrap();
    let (far, nan) = (f32::INFINITY, f32::NAN);
    for run in RUNS {
        let flow = Var::from_slice(&[far, -far, f32::MAX, f32::MIN, -far, far, f32::MIN, f32::MAX], (1, 2, 2, 2), CPU);
        let [out, grad_images, grad_flow] = forward_and_backward(run, &images, &flow.unwrap(), &ones);
        assert_eq!((out, grad_images), (vec![2., 3., 2., 3.], vec![0., 2., 2., 0.]));
        assert_eq!(grad_flow, [0.; 8]);
        for flow in [[nan, 0., 0., 0., 0., 0., 0., 0.], [0., 0., 0., 0., -nan, 0., 0., 0.]] {
            let flow = Var::from_slice(&flow, (1, 2, 2, 2), CPU).unwrap();
            let [out, _, grad_flow] = forward_and_backward(run, &images, &flow, &ones);
            assert!(out[0].is_nan() && out[1..] == [2., 3., 4.], "{out:?}");
            // The other pixels are read at their centres: 2 − 1 and 4 − 3 rightwards, 3 − 1 and 4 − 2 downwards.
            assert_eq!((&grad_flow[1..4], &grad_flow[5..]), (&[1., 1., 1.][..], &[2., 2., 2.][..]));
        }
        for flow in [[nan; 8], [-nan; 8]] {
            let flow = Var::from_slice(&flow, (1, 2, 2, 2), CPU).unwrap();
            let [out, ..] = forward_and_backward(run, &images, &flow, &ones);
            assert!(out.iter().all(|v| v.is_nan()), "{out:?}");
        }
    }
}

#[test]
fn warping_leaves_out_the_gradient_that_nobody_needs() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (images, flow) = (random(&mut rng, &[2, 3, 5, 6], 1.0), random(&mut rng, &[2, 2, 5, 6], 2.0));
    let ones = Tensor::ones((2, 3, 5, 6), DType::F32, CPU).unwrap();
    let [_, grad_images, grad_flow] = forward_and_backward(ops::warp, &images, &flow, &ones);
    let (still, still_flow) = (images.as_detached_tensor(), flow.as_detached_tensor());
    let grads = ops::warp(&still, &flow).unwrap().sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&still).is_none() && flat(grads.get(&flow).unwrap()) == grad_flow);
    let grads = ops::warp(&images, &still_flow).unwrap().sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&still_flow).is_none() && flat(grads.get(&images).unwrap()) == grad_images);
}

#[test]
fn warping_gives_the_same_bytes_on_any_number_of_threads() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let (images, flow) = (random(&mut rng, &[7, 3, 19, 23], 1.0), random(&mut rng, &[7, 2, 19, 23], 5.0));
    let direction = random(&mut rng, &[7, 3, 19, 23], 1.0);
    let bytes = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let all = pool.install(|| forward_and_backward(ops::warp, &images, &flow, &direction));
        all.concat().into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    assert_eq!(bytes(1), bytes(3));
}

/// Views that are not contiguous, and a gradient that arrives as a broadcast.
#[test]
fn warping_understands_strided_arguments() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (images, flow) = (random(&mut rng, &[3, 4, 6, 5], 1.0), random(&mut rng, &[4, 2, 6, 5], 2.0));
    let [fast, portable] = RUNS.map(|run| {
        let turned = |t: &Tensor| t.transpose(2, 3).unwrap();
        let out = run(&turned(&images.transpose(0, 1).unwrap()), &turned(&flow)).unwrap();
        let grads = out.sum_all().unwrap().backward().unwrap();
        [flat(&out), flat(grads.get(&images).unwrap()), flat(grads.get(&flow).unwrap())]
    });
    for (fast, portable) in fast.iter().zip(&portable) {
        let portable: Vec<f64> = portable.iter().map(|&v| f64::from(v)).collect();
        assert_close("strided", fast, &portable, 1e-5);
    }
}

#[test]
fn warping_of_other_types_takes_the_portable_path() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    // More pixels than small floats can count: an index of theirs would be rounded.
    let images = random(&mut rng, &[1, 2, 30, 40], 1.0);
    for dtype in [DType::F64, DType::BF16, DType::F16] {
        let images = images.to_dtype(dtype).unwrap();
        let still = Tensor::zeros((1, 2, 30, 40), dtype, CPU).unwrap();
        let out = ops::warp(&images, &still).unwrap();
        assert_eq!(out.dtype(), dtype);
        let [out, images] = [out, images].map(|t| flat(&t.to_dtype(DType::F32).unwrap()));
        assert_eq!(out, images);
    }
}

#[test]
fn warping_names_bad_arguments() {
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, CPU).unwrap();
    let of = |dtype: DType, dims: &[usize]| Tensor::zeros(dims, dtype, CPU).unwrap();
    let (images, flow) = (zeros(&[2, 3, 4, 5]), zeros(&[2, 2, 4, 5]));
    let bad = [
        (zeros(&[3, 4, 5]), flow.clone()),
        (images.clone(), zeros(&[2, 4, 5])),
        (images.clone(), zeros(&[1, 2, 4, 5])),
        (images.clone(), zeros(&[2, 3, 4, 5])),
        (images.clone(), zeros(&[2, 2, 5, 5])),
        (images.clone(), zeros(&[2, 2, 4, 4])),
        (zeros(&[0, 3, 4, 5]), zeros(&[0, 2, 4, 5])),
        (zeros(&[2, 0, 4, 5]), flow.clone()),
        (zeros(&[2, 3, 0, 5]), zeros(&[2, 2, 0, 5])),
        (zeros(&[2, 3, 4, 0]), zeros(&[2, 2, 4, 0])),
        (images, of(DType::F64, &[2, 2, 4, 5])),
        (of(DType::U32, &[2, 3, 4, 5]), of(DType::U32, &[2, 2, 4, 5])),
    ];
    for (images, flow) in &bad {
        for run in RUNS {
            let error = run(images, flow).unwrap_err();
            assert!(matches!(error, Error::Shape { .. }), "{error}");
            let message = error.to_string();
            assert!(message.starts_with("warp: expected images [n, c, h, w]") && !message.contains('\n'), "{message}");
            for found in [images, flow].map(|t| format!("{:?} of {:?}", t.dims(), t.dtype())) {
                assert!(message.contains(&found), "{message}");
            }
        }
    }
}
