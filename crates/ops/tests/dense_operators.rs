//! Linear layers, activations and losses: hand-made cases, a slow oracle, finite differences, bad arguments.

use candle_core::{DType, Device, Tensor, Var};
use multigen_ops as ops;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

mod finite_differences;
mod oracle;

use oracle::{assert_close, flat};

const CPU: &Device = &Device::Cpu;

fn random(rng: &mut ChaCha8Rng, dims: &[usize]) -> Var {
    let len = dims.iter().product();
    let values: Vec<f32> = (0..len).map(|_| rng.random_range(-1.0f32..1.0)).collect();
    Var::from_vec(values, dims, CPU).unwrap()
}

/// x = [1 2], w = [[3 4] [5 6]], b = [10 20]: 1·3 + 2·4 + 10 = 21, 1·5 + 2·6 + 20 = 37.
#[test]
fn linear_by_hand() {
    let x = Tensor::new(&[[1f32, 2.]], CPU).unwrap();
    let weight = Tensor::new(&[[3f32, 4.], [5., 6.]], CPU).unwrap();
    let bias = Tensor::new(&[10f32, 20.], CPU).unwrap();
    let y = ops::linear(&x, &weight, Some(&bias)).unwrap();
    assert_eq!(flat(&y), [21.0, 37.0]);
    let y = ops::linear(&x, &weight, None).unwrap();
    assert_eq!(flat(&y), [11.0, 17.0]);
}

#[test]
fn linear_matches_the_oracle() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (n, n_in, n_out) in [(1, 1, 1), (3, 10, 70), (128, 3, 33), (7, 600, 1), (2, 65, 1100)] {
        let (x, weight) = (random(&mut rng, &[n, n_in]), random(&mut rng, &[n_out, n_in]));
        let (bias, direction) = (random(&mut rng, &[n_out]), random(&mut rng, &[n, n_out]));
        let [x64, w64, b64, d64] =
            [&x, &weight, &bias, &direction].map(|t| flat(t).into_iter().map(f64::from).collect::<Vec<_>>());
        let mut y = vec![0.0; n * n_out];
        let (mut gx, mut gw, mut gb) = (vec![0.0; n * n_in], vec![0.0; n_out * n_in], vec![0.0; n_out]);
        for i in 0..n {
            for o in 0..n_out {
                y[i * n_out + o] += b64[o];
                gb[o] += d64[i * n_out + o];
                for c in 0..n_in {
                    y[i * n_out + o] += x64[i * n_in + c] * w64[o * n_in + c];
                    gx[i * n_in + c] += d64[i * n_out + o] * w64[o * n_in + c];
                    gw[o * n_in + c] += d64[i * n_out + o] * x64[i * n_in + c];
                }
            }
        }
        for run in [ops::linear, ops::linear_portable] {
            let found = run(&x, &weight, Some(&bias)).unwrap();
            assert_close("y", &flat(&found), &y, 1e-5);
            let loss = (found * direction.as_tensor()).unwrap().sum_all().unwrap();
            let grads = loss.backward().unwrap();
            for (what, var, exact) in [("gx", &x, &gx), ("gw", &weight, &gw), ("gb", &bias, &gb)] {
                let found = grads.get(var.as_tensor()).unwrap();
                assert_close(what, &flat(found), exact, 1e-5);
            }
        }
    }
}

/// A view that is not contiguous, and a batch whose gradient arrives as a broadcast.
#[test]
fn strided_arguments_are_understood() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (x, weight) = (random(&mut rng, &[5, 4]), random(&mut rng, &[5, 3]));
    let y = ops::linear(&x.t().unwrap(), &weight.t().unwrap(), None).unwrap(); // [4, 3]
    let expected = ops::linear_portable(&x.t().unwrap(), &weight.t().unwrap(), None).unwrap();
    let exact: Vec<f64> = flat(&expected).into_iter().map(f64::from).collect();
    assert_close("y", &flat(&y), &exact, 1e-5);
    let grads = y.sum_all().unwrap().backward().unwrap();
    let expected = expected.sum_all().unwrap().backward().unwrap();
    for var in [&x, &weight] {
        let exact = flat(expected.get(var.as_tensor()).unwrap());
        let exact: Vec<f64> = exact.into_iter().map(f64::from).collect();
        let found = grads.get(var.as_tensor()).unwrap();
        assert_close("gradient", &flat(found), &exact, 1e-5);
    }
}

/// Channel 0 has slope 0.5, channel 1 slope −2: (−2, 3) → (−1, 3) and (−1, 0) → (2, 0). With gradient 1 everywhere
/// the slopes get Σ min(x, 0): −2 and −1, and x gets 0.5, 1, −2, −2 (0 counts as below).
#[test]
fn prelu_by_hand() {
    let x = Var::from_slice(&[-2f32, 3., -1., 0.], (1, 2, 2), CPU).unwrap();
    let slope = Var::from_slice(&[0.5f32, -2.], 2, CPU).unwrap();
    for run in [ops::prelu, ops::prelu_portable] {
        let y = run(&x, &slope).unwrap();
        assert_eq!(flat(&y), [-1.0, 3.0, 2.0, 0.0]);
        let grads = y.sum_all().unwrap().backward().unwrap();
        assert_eq!(flat(grads.get(&x).unwrap()), [0.5, 1.0, -2.0, -2.0]);
        assert_eq!(flat(grads.get(&slope).unwrap()), [-2.0, -1.0]);
    }
}

#[test]
fn fast_activations_match_the_portable_ones() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for dims in [&[1, 1][..], &[5, 300], &[3, 7, 5, 5], &[130, 2, 40, 40], &[2, 3, 19]] {
        let (x, slope) = (random(&mut rng, dims), random(&mut rng, &[dims[1]]));
        let direction = random(&mut rng, dims);
        let run = |y: Tensor| {
            let loss = (&y * direction.as_tensor()).unwrap().sum_all().unwrap();
            let grads = loss.backward().unwrap();
            let mut results = vec![y];
            results.extend([&x, &slope].iter().filter_map(|v| grads.get(v).cloned()));
            results
        };
        for (fast, portable) in [
            (ops::prelu(&x, &slope), ops::prelu_portable(&x, &slope)),
            (ops::leaky_relu(&x, 0.1), ops::leaky_relu_portable(&x, 0.1)),
        ] {
            let (fast, portable) = (run(fast.unwrap()), run(portable.unwrap()));
            assert_eq!(fast.len(), portable.len());
            for (fast, portable) in fast.iter().zip(&portable) {
                let exact: Vec<f64> = flat(portable).into_iter().map(f64::from).collect();
                assert_close("activation", &flat(fast), &exact, 2e-5);
            }
        }
    }
}

/// Two samples, differences (1, −2) and (0, 3): (1 + 4 + 9) / (2·2) = 3.5; the gradient is the difference over 2.
#[test]
fn squared_error_by_hand() {
    let target = Tensor::new(&[[0f32, 2.], [1., 1.]], CPU).unwrap();
    let pred = Var::from_slice(&[1f32, 0., 1., 4.], (2, 2), CPU).unwrap();
    for run in [ops::squared_error, ops::squared_error_portable] {
        let loss = run(&pred, &target).unwrap();
        assert_eq!(loss.to_scalar::<f32>().unwrap(), 3.5);
        let grads = (loss * 3.0).unwrap().backward().unwrap();
        assert_eq!(flat(grads.get(&pred).unwrap()), [1.5, -3.0, 0.0, 4.5]);
    }
}

/// Equal logits over k classes cost ln k, whatever their size.
#[test]
fn cross_entropy_of_equal_logits() {
    let logits = Tensor::full(1e4f32, (3, 8), CPU).unwrap();
    let targets = Tensor::new(&[0u32, 7, 3], CPU).unwrap();
    let loss = ops::softmax_cross_entropy(&logits, &targets).unwrap();
    assert!((loss.to_scalar::<f32>().unwrap() - 8f32.ln()).abs() < 1e-6);
}

/// The slope of a smooth loss through all operators along a random direction, from both sides.
#[test]
fn matches_finite_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (x, weight) = (random(&mut rng, &[4, 6]), random(&mut rng, &[5, 6]));
    let (bias, slope) = (random(&mut rng, &[5]), random(&mut rng, &[5]));
    let target = random(&mut rng, &[4, 5]);
    let classes = Tensor::new(&[0u32, 3, 4, 1], CPU).unwrap();
    let vars = [&x, &weight, &bias, &slope];
    let loss = |t: &[Tensor]| {
        let y = ops::linear(&t[0], &t[1], Some(&t[2])).unwrap();
        let y = ops::prelu(&y, &t[3]).unwrap();
        let squared = ops::squared_error(&y, &target).unwrap();
        let entropy = ops::softmax_cross_entropy(&y, &classes).unwrap();
        (squared + entropy).unwrap()
    };
    finite_differences::check(&vars, &mut rng, loss);
}

#[test]
fn bad_arguments_are_named() {
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, CPU).unwrap();
    let classes = |values: &[u32]| Tensor::new(values, CPU).unwrap();
    for (name, result) in [
        ("linear", ops::linear(&zeros(&[2, 3]), &zeros(&[4, 5]), None)),
        ("linear", ops::linear(&zeros(&[0, 3]), &zeros(&[4, 3]), None)),
        ("linear", ops::linear(&zeros(&[3]), &zeros(&[4, 3]), None)),
        ("linear", ops::linear(&zeros(&[2, 3]), &zeros(&[4, 3]), Some(&zeros(&[3])))),
        ("prelu", ops::prelu(&zeros(&[2, 3]), &zeros(&[2]))),
        ("prelu", ops::prelu(&zeros(&[3]), &zeros(&[3]))),
        ("prelu", ops::prelu(&zeros(&[0, 3]), &zeros(&[3]))),
        ("squared_error", ops::squared_error(&zeros(&[2, 3]), &zeros(&[3, 2]))),
        ("squared_error", ops::squared_error(&zeros(&[0, 3]), &zeros(&[0, 3]))),
        ("softmax_cross_entropy", ops::softmax_cross_entropy(&zeros(&[2, 3]), &classes(&[0, 3]))),
        ("softmax_cross_entropy", ops::softmax_cross_entropy(&zeros(&[2, 3]), &classes(&[0]))),
        ("softmax_cross_entropy", ops::softmax_cross_entropy(&zeros(&[0, 3]), &zeros(&[0]))),
    ] {
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with(name), "{message}");
        assert!(message.contains('[') && !message.contains('\n'), "{message}");
    }
}

/// p = [1 −2], t = [0 1]: |1| + |−3| = 4 over a batch of one; slopes +1 and −1. Equal values have the slope 0.
#[test]
fn absolute_error_by_hand() {
    let p = Var::new(&[[1f32, -2., 5.]], CPU).unwrap();
    let t = Tensor::new(&[[0f32, 1., 5.]], CPU).unwrap();
    let loss = ops::absolute_error(&p, &t).unwrap();
    assert_eq!(loss.to_scalar::<f32>().unwrap(), 4.0);
    assert_eq!(flat(loss.backward().unwrap().get(&p).unwrap()), [1.0, -1.0, 0.0]);
    // Twice the batch, twice the sum: the same mean per image.
    let both = |x: &Tensor| Tensor::cat(&[x, x], 0).unwrap();
    let loss = ops::absolute_error(&both(&p), &both(&t)).unwrap();
    assert_eq!(loss.to_scalar::<f32>().unwrap(), 4.0);
    assert!(ops::absolute_error(&p, &both(&t)).is_err());
}

/// diag(3, 4): σ = 4, u = v = e₂, so the gradient is 1 at the second place of the diagonal. A rank-one matrix a·bᵀ with
/// a = [3 4], b = [1 2 2] has σ = ‖a‖·‖b‖ = 5 · 3.
#[test]
fn spectral_norm_by_hand() {
    let w = Var::new(&[[3f32, 0.], [0., 4.]], CPU).unwrap();
    let sigma = ops::spectral_norm(&w).unwrap();
    assert!((sigma.to_scalar::<f32>().unwrap() - 4.0).abs() < 0.01);
    // (3/4)^24 ≈ 0.001 is what twelve rounds leave of the other vector.
    let gradient = flat(sigma.backward().unwrap().get(&w).unwrap());
    for (found, exact) in gradient.iter().zip([0.0, 0.0, 0.0, 1.0]) {
        assert!((found - exact).abs() < 0.01, "{gradient:?}");
    }
    let w = Tensor::new(&[[3f32, 6., 6.], [4., 8., 8.]], CPU).unwrap();
    let found = ops::spectral_norm(&w.reshape((2, 3, 1, 1)).unwrap()).unwrap().to_scalar::<f32>().unwrap();
    assert!((found - 15.0).abs() < 1e-4, "{found}");
    assert!(ops::spectral_norm(&Tensor::zeros((0, 3), DType::F32, CPU).unwrap()).is_err());
    assert_eq!(
        ops::spectral_norm(&Tensor::zeros((2, 3), DType::F32, CPU).unwrap()).unwrap().to_scalar::<f32>().unwrap(),
        0.0
    );
}

/// Against the square root of the largest eigenvalue of WᵀW, by thousands of products; never above it.
#[test]
fn spectral_norm_of_random_weights_is_within_a_few_per_cent() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for (rows, columns) in [(1, 1), (1, 30), (30, 1), (32, 75), (128, 576), (64, 40)] {
        let w = random(&mut rng, &[rows, columns]);
        let matrix: Vec<f64> = flat(&w).into_iter().map(f64::from).collect();
        let mut v: Vec<f64> = (0..columns).map(|_| rng.random_range(0.5..1.0)).collect();
        let mut sigma = 0.0;
        for _ in 0..3000 {
            let u: Vec<f64> = (0..rows).map(|i| (0..columns).map(|j| matrix[i * columns + j] * v[j]).sum()).collect();
            let next: Vec<f64> =
                (0..columns).map(|j| (0..rows).map(|i| matrix[i * columns + j] * u[i]).sum()).collect();
            let norm = next.iter().map(|x| x * x).sum::<f64>().sqrt();
            sigma = norm.sqrt();
            v = next.iter().map(|x| x / norm).collect();
        }
        let found = f64::from(ops::spectral_norm(&w).unwrap().to_scalar::<f32>().unwrap());
        assert!(found <= sigma * 1.0001 && found >= sigma * 0.93, "{rows}×{columns}: {found} of {sigma}");
    }
}

/// ‖(3, 4)‖ = 5 of one variable; with a second one of gradient 12: ‖(5, 12)‖ = 13.
#[test]
fn the_norm_of_gradients_by_hand() {
    let (a, b) = (Var::new(&[1f32, 1.], CPU).unwrap(), Var::new(&[[1f32]], CPU).unwrap());
    let vars = std::collections::BTreeMap::from([("a".to_owned(), a.clone()), ("b".to_owned(), b.clone())]);
    let mut gradients = ops::GradientBuffers::new(&vars);
    let of_a = (a.as_tensor() * &Tensor::new(&[3f32, 4.], CPU).unwrap()).unwrap().sum_all().unwrap();
    // A layer of the fast path: its gradient lies in a buffer. x = 12, so dy/dw = 12.
    let of_b = ops::linear(&Tensor::new(&[[12f32]], CPU).unwrap(), &b, None).unwrap().sum_all().unwrap();
    gradients.backward(&(of_a + of_b).unwrap()).unwrap();
    assert_eq!(gradients.norm(|name| name == "a").unwrap(), 5.0);
    assert_eq!(gradients.norm(|_| true).unwrap(), 13.0);
    assert_eq!(gradients.norm(|_| false).unwrap(), 0.0);
}
