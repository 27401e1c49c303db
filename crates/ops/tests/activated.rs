//! Operators with an activation at their end, and the fully connected layer on picked rows: hand-made cases, the same in
//! separate operators, a slow oracle in 64 bits, finite differences, bad arguments.

use candle_core::{DType, Device, Tensor, Var};
use multigen_ops::{self as ops, Activation};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

mod finite_differences;

const CPU: &Device = &Device::Cpu;

fn random(rng: &mut ChaCha8Rng, dims: &[usize]) -> Var {
    let len = dims.iter().product();
    let values: Vec<f32> = (0..len).map(|_| rng.random_range(-1.0f32..1.0)).collect();
    Var::from_vec(values, dims, CPU).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(what: &str, found: &[f32], exact: &[f32], tolerance: f32) {
    assert_eq!(found.len(), exact.len(), "{what}");
    let scale = exact.iter().fold(1e-30f32, |max, v| max.max(v.abs()));
    for (f, e) in found.iter().zip(exact) {
        assert!((f - e).abs() <= tolerance * scale, "{what}: {f} for {e}");
    }
}

/// x = 1, w = (2, −3, 1, −4), b = (−1, 1, 0, 0), output of 2 channels of 2 pixels: z = (1, −2), (1, −4).
/// Slopes (0.5, −2): y = (1, −1), (1, 8). With gradient 1 everywhere z gets (1, 0.5), (1, −2), which is also the bias's
/// and here the weight's gradient; the slopes get Σ min(z, 0): −2 and −4; x gets 2 − 1.5 + 1 + 8 = 9.5.
#[test]
fn linear_with_slopes_by_hand() {
    let var = |values: &[f32], dims: &[usize]| Var::from_slice(values, dims, CPU).unwrap();
    let x = var(&[1.0], &[1, 1]);
    let (weight, bias, slope) =
        (var(&[2.0, -3.0, 1.0, -4.0], &[4, 1]), var(&[-1.0, 1.0, 0.0, 0.0], &[4]), var(&[0.5, -2.0], &[2]));
    for run in [ops::linear_activated, ops::linear_activated_portable] {
        let y = run(&x, &weight, Some(&bias), &[2, 2], Activation::Prelu(&slope)).unwrap();
        assert_eq!(y.dims(), [1, 2, 2]);
        assert_eq!(flat(&y), [1.0, -1.0, 1.0, 8.0]);
        let grads = y.sum_all().unwrap().backward().unwrap();
        for (var, exact) in [
            (&x, &[9.5f32][..]),
            (&weight, &[1.0, 0.5, 1.0, -2.0]),
            (&bias, &[1.0, 0.5, 1.0, -2.0]),
            (&slope, &[-2.0, -4.0]),
        ] {
            assert_eq!(flat(grads.get(var).unwrap()), exact);
        }
    }
}

/// Every operator with every activation against the two operators one after the other, biases or none, slopes of all
/// signs and 0 among them; with and without buffers for the gradients.
#[test]
fn an_activation_at_the_end_is_the_activation_after_it() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for case in 0..40 {
        let n = rng.random_range(1..6);
        // Few channels are convolved by columns, many by polynomials.
        let few = case % 10 != 0;
        let mut channels = || if few { rng.random_range(1..20) } else { 96 };
        let (ci, co) = (channels(), channels());
        let (size, kernel) = if few { (rng.random_range(3..9), rng.random_range(1..4)) } else { (8, 3) };
        let stride = rng.random_range(1..3);
        let x4 = random(&mut rng, &[n, ci, size, size]);
        let x2 = random(&mut rng, &[n, ci]);
        let weights = [
            random(&mut rng, &[co * 4, ci]),
            random(&mut rng, &[co, ci, kernel, kernel]),
            random(&mut rng, &[ci, co, kernel, kernel]),
        ];
        let (wide_bias, bias, slope) = (random(&mut rng, &[co * 4]), random(&mut rng, &[co]), random(&mut rng, &[co]));
        if case % 3 == 0 {
            slope.set(&slope.zeros_like().unwrap()).unwrap();
        }
        let with_bias = case % 2 == 0;
        let (wide_bias_used, bias_used) =
            if with_bias { (Some(wide_bias.as_tensor()), Some(bias.as_tensor())) } else { (None, None) };
        let conv = ops::Conv2dConfig { stride, padding: 1 };
        let deconv = ops::ConvTranspose2dConfig { stride, padding: 0 };
        let activations = [
            Activation::Identity,
            Activation::LeakyRelu(0.0),
            Activation::LeakyRelu(0.2),
            Activation::LeakyRelu(-0.5),
            Activation::Prelu(&slope),
        ];
        for activation in activations {
            let after = |z: Tensor| match activation {
                Activation::Identity => z,
                Activation::LeakyRelu(slope) => ops::leaky_relu(&z, slope).unwrap(),
                Activation::Prelu(slope) => ops::prelu(&z, slope).unwrap(),
            };
            let pairs = [
                (
                    ops::linear_activated(&x2, &weights[0], wide_bias_used, &[co, 2, 2], activation).unwrap(),
                    after(ops::linear(&x2, &weights[0], wide_bias_used).unwrap().reshape((n, co, 2, 2)).unwrap()),
                ),
                (
                    ops::conv2d_activated(&x4, &weights[1], bias_used, conv, activation).unwrap(),
                    after(ops::conv2d(&x4, &weights[1], bias_used, conv).unwrap()),
                ),
                (
                    ops::conv_transpose2d_activated(&x4, &weights[2], bias_used, deconv, activation).unwrap(),
                    after(ops::conv_transpose2d(&x4, &weights[2], bias_used, deconv).unwrap()),
                ),
            ];
            for (operator, (at_the_end, after)) in pairs.into_iter().enumerate() {
                let what = format!("case {case}, operator {operator}, {activation:?}");
                assert_eq!(flat(&at_the_end), flat(&after), "{what}");
                let direction = random(&mut rng, after.dims());
                let loss = |y: &Tensor| (y * direction.as_tensor()).unwrap().sum_all().unwrap();
                let [found, exact] = [&at_the_end, &after].map(|y| loss(y).backward().unwrap());
                let vars: BTreeMap<String, Var> = [&x2, &x4, &weights[0], &weights[1], &weights[2]]
                    .into_iter()
                    .chain([&wide_bias, &bias, &slope])
                    .enumerate()
                    .map(|(i, var)| (i.to_string(), var.clone()))
                    .collect();
                let mut buffers = ops::GradientBuffers::new(&vars);
                buffers.backward(&loss(&at_the_end)).unwrap();
                for (name, var) in &vars {
                    match exact.get(var) {
                        Some(exact) => {
                            let exact = flat(exact);
                            assert_close(&what, &flat(found.get(var).unwrap()), &exact, 1e-5);
                            assert_close(&what, &flat(&buffers.get(name).unwrap()), &exact, 1e-5);
                        }
                        None => assert!(found.get(var).is_none() && buffers.get(name).is_err(), "{what}"),
                    }
                }
            }
        }
    }
}

/// Every operator with every subset of its arguments needing a gradient: those get the one that they get with all the
/// others, and the others get none.
#[test]
fn arguments_that_need_no_gradient_leave_the_others_theirs() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let conv = ops::Conv2dConfig { stride: 1, padding: 1 };
    let deconv = ops::ConvTranspose2dConfig { stride: 2, padding: 1 };
    let run = |operator: usize, t: &[Tensor]| {
        let activation = Activation::Prelu(&t[3]);
        match operator {
            0 => ops::linear_activated(&t[0], &t[1], Some(&t[2]), &[4], activation),
            1 => ops::conv2d_activated(&t[0], &t[1], Some(&t[2]), conv, activation),
            2 => ops::conv_transpose2d_activated(&t[0], &t[1], Some(&t[2]), deconv, activation),
            _ => ops::gathered_linear(&t[..1], &[&[0, 1, 1, 0, 0, 0, 1, 1]], &t[1], Some(&t[2]), activation),
        }
        .unwrap()
    };
    let shapes: [[&[usize]; 4]; 6] = [
        [&[5, 3], &[4, 3], &[4], &[4]],
        [&[2, 3, 6, 6], &[4, 3, 3, 3], &[4], &[4]],
        [&[2, 3, 6, 6], &[3, 4, 4, 4], &[4], &[4]],
        [&[2, 3], &[4, 3], &[4], &[4]],
        [&[2, 96, 8, 8], &[96, 96, 3, 3], &[96], &[96]],
        [&[2, 96, 8, 8], &[96, 96, 4, 4], &[96], &[96]],
    ];
    for (case, shapes) in shapes.into_iter().enumerate() {
        let operator = [0, 1, 2, 3, 1, 2][case];
        let vars = shapes.map(|dims| random(&mut rng, dims));
        let all: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let y = run(operator, &all);
        let direction = random(&mut rng, y.dims());
        let gradients = |y: Tensor| (y * direction.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
        let exact = gradients(y);
        for subset in 1..16 {
            let needs = |i: usize| subset >> i & 1 == 1;
            let some: Vec<Tensor> =
                all.iter().enumerate().map(|(i, t)| if needs(i) { t.clone() } else { t.detach() }).collect();
            let found = gradients(run(operator, &some));
            for (i, var) in vars.iter().enumerate() {
                let what = format!("case {case}, argument {i} of subset {subset:04b}");
                match found.get(var) {
                    Some(found) => assert_close(&what, &flat(found), &flat(exact.get(var).unwrap()), 1e-5),
                    None => assert!(!needs(i), "{what}"),
                }
            }
        }
    }
}

/// Tables (1, 2), (3, 4) and (5), (6); weight (1 10 100); images of levels (0, 1) and (1, 0) and (0, 1):
/// 1 + 20 + 600 = 621, 3 + 40 + 500 = 543. With gradients 1, 2, 4 the rows (0, 1) get 5 and (1, 0) get 2: tables
/// (5, 50), (2, 20) and (200), (500); weight 5·1 + 2·3 = 11, 5·2 + 2·4 = 18, 2·5 + 5·6 = 40.
#[test]
fn picked_rows_by_hand() {
    let first = Var::new(&[[1f32, 2.], [3., 4.]], CPU).unwrap();
    let second = Var::new(&[[5f32], [6.]], CPU).unwrap();
    let weight = Var::new(&[[1f32, 10., 100.]], CPU).unwrap();
    let tables = [first.as_tensor().clone(), second.as_tensor().clone()];
    let indices = [&[0u32, 1, 0, 0, 0, 0, 0][..], &[1, 0, 1, 1, 1, 1, 1]];
    let direction = Tensor::new(&[[1f32], [2.], [4.], [0.], [0.], [0.], [0.]], CPU).unwrap();
    for run in [ops::gathered_linear, ops::gathered_linear_portable] {
        let y = run(&tables, &indices, &weight, None, Activation::Identity).unwrap();
        assert_eq!(flat(&y), [621.0, 543.0, 621.0, 621.0, 621.0, 621.0, 621.0]);
        let grads = (y * &direction).unwrap().sum_all().unwrap().backward().unwrap();
        assert_eq!(flat(grads.get(&first).unwrap()), [5.0, 50.0, 2.0, 20.0]);
        assert_eq!(flat(grads.get(&second).unwrap()), [200.0, 500.0]);
        assert_eq!(flat(grads.get(&weight).unwrap()), [11.0, 18.0, 40.0]);
    }
}

/// On both sides of the choice between products of tables and of picked rows.
#[test]
fn picked_rows_match_the_oracle_on_random_shapes() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for case in 0..30 {
        let n = rng.random_range(1..80);
        let n_out = rng.random_range(1..90);
        let shapes: Vec<[usize; 2]> =
            (0..rng.random_range(1..5)).map(|_| [rng.random_range(1..12), rng.random_range(1..40)]).collect();
        let n_in: usize = shapes.iter().map(|[_, width]| width).sum();
        let tables: Vec<Var> = shapes.iter().map(|shape| random(&mut rng, shape)).collect();
        let picked: Vec<Vec<u32>> =
            shapes.iter().map(|[levels, _]| (0..n).map(|_| rng.random_range(0..*levels as u32)).collect()).collect();
        let (weight, bias, direction) =
            (random(&mut rng, &[n_out, n_in]), random(&mut rng, &[n_out]), random(&mut rng, &[n, n_out]));
        let wide = |t: &Tensor| flat(t).into_iter().map(f64::from).collect::<Vec<f64>>();
        let (w, b, d) = (wide(&weight), wide(&bias), wide(&direction));
        let t: Vec<Vec<f64>> = tables.iter().map(|table| wide(table)).collect();
        let mut y = vec![0.0; n * n_out];
        let mut gt: Vec<Vec<f64>> = t.iter().map(|table| vec![0.0; table.len()]).collect();
        let (mut gw, mut gb) = (vec![0.0; w.len()], vec![0.0; n_out]);
        for i in 0..n {
            for o in 0..n_out {
                y[i * n_out + o] += b[o];
                gb[o] += d[i * n_out + o];
                let mut column = o * n_in;
                for (f, [_, width]) in shapes.iter().enumerate() {
                    let row = picked[f][i] as usize * width;
                    for c in 0..*width {
                        y[i * n_out + o] += t[f][row + c] * w[column + c];
                        gt[f][row + c] += d[i * n_out + o] * w[column + c];
                        gw[column + c] += d[i * n_out + o] * t[f][row + c];
                    }
                    column += width;
                }
            }
        }
        let narrow = |values: &[f64]| values.iter().map(|value| *value as f32).collect::<Vec<f32>>();
        let inputs: Vec<Tensor> = tables.iter().map(|table| table.as_tensor().clone()).collect();
        let indices: Vec<&[u32]> = picked.iter().map(Vec::as_slice).collect();
        for run in [ops::gathered_linear, ops::gathered_linear_portable] {
            let found = run(&inputs, &indices, &weight, Some(&bias), Activation::Identity).unwrap();
            assert_close(&format!("y of case {case}"), &flat(&found), &narrow(&y), 1e-5);
            let grads = (found * direction.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
            let exact = gt.iter().chain([&gw, &gb]);
            for (i, (var, exact)) in tables.iter().chain([&weight, &bias]).zip(exact).enumerate() {
                let found = flat(grads.get(var).unwrap());
                assert_close(&format!("gradient {i} of case {case}"), &found, &narrow(exact), 1e-5);
            }
        }
    }
}

/// The slope of a smooth loss along a random direction, from both sides.
#[test]
fn matches_finite_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let tables = [random(&mut rng, &[2, 3]), random(&mut rng, &[3, 2])];
    let (weight, bias, slope) = (random(&mut rng, &[8, 5]), random(&mut rng, &[8]), random(&mut rng, &[8]));
    let (kernel, kernel_slope) = (random(&mut rng, &[2, 3, 2, 2]), random(&mut rng, &[3]));
    let picked: [&[u32]; 2] = [&[0, 1, 1, 0, 1, 0, 0, 1], &[2, 0, 1, 1, 0, 0, 2, 2]];
    let target = random(&mut rng, &[8, 3, 4, 4]);
    let vars = [&tables[0], &tables[1], &weight, &bias, &slope, &kernel, &kernel_slope];
    let loss = |t: &[Tensor]| {
        let x = ops::gathered_linear(&t[..2], &picked, &t[2], Some(&t[3]), Activation::Prelu(&t[4])).unwrap();
        let x = x.reshape((8, 2, 2, 2)).unwrap();
        let config = ops::ConvTranspose2dConfig { stride: 2, padding: 0 };
        let y = ops::conv_transpose2d_activated(&x, &t[5], None, config, Activation::Prelu(&t[6])).unwrap();
        ops::squared_error(&y, &target).unwrap()
    };
    finite_differences::check(&vars, &mut rng, loss);
}

#[test]
fn other_types_take_the_portable_path() {
    let table = Tensor::new(&[[1f64, 2.], [3., 4.]], CPU).unwrap();
    let weight = Tensor::new(&[[1f64, 10.]], CPU).unwrap();
    let y = ops::gathered_linear(&[table], &[&[1]], &weight, None, Activation::LeakyRelu(0.5)).unwrap();
    assert_eq!(y.to_vec2::<f64>().unwrap(), [[43.0]]);
}

#[test]
fn bad_arguments_are_named() {
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, CPU).unwrap();
    let table = [zeros(&[2, 3])];
    let (two, one) = (zeros(&[2]), zeros(&[1]));
    let conv = ops::Conv2dConfig { stride: 1, padding: 0 };
    let deconv = ops::ConvTranspose2dConfig { stride: 1, padding: 0 };
    let (image, kernel) = (zeros(&[1, 1, 3, 3]), zeros(&[1, 1, 2, 2]));
    let (slopes, identity) = (Activation::Prelu(&two), Activation::Identity);
    for (name, result) in [
        ("linear", ops::linear_activated(&table[0], &zeros(&[4, 3]), None, &[3], identity)),
        ("linear", ops::linear_activated(&table[0], &zeros(&[4, 3]), None, &[], identity)),
        ("linear", ops::linear_activated(&table[0], &zeros(&[1, 3]), None, &[], identity)),
        ("linear", ops::linear_activated(&table[0], &zeros(&[4, 3]), None, &[4, 1], slopes)),
        ("conv2d", ops::conv2d_activated(&image, &kernel, None, conv, slopes)),
        ("conv_transpose2d", ops::conv_transpose2d_activated(&image, &kernel, None, deconv, slopes)),
        ("gathered_linear", ops::gathered_linear(&[], &[], &zeros(&[4, 3]), None, identity)),
        ("gathered_linear", ops::gathered_linear(&table, &[&[]], &zeros(&[4, 3]), None, identity)),
        ("gathered_linear", ops::gathered_linear(&table, &[&[2]], &zeros(&[4, 3]), None, identity)),
        ("gathered_linear", ops::gathered_linear(&table, &[&[0]], &zeros(&[4, 2]), None, identity)),
        ("gathered_linear", ops::gathered_linear(&table, &[&[0]], &zeros(&[4, 3]), Some(&one), identity)),
        ("gathered_linear", ops::gathered_linear(&table, &[&[0]], &zeros(&[4, 3]), None, slopes)),
        ("gathered_linear", ops::gathered_linear(&table, &[&[0], &[0]], &zeros(&[4, 3]), None, identity)),
    ] {
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with(name), "{message}");
        assert!(message.contains('[') && !message.contains('\n'), "{message}");
    }
}
