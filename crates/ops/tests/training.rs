//! Gradient buffers against candle's own backward, Adam against a plain loop in 64-bit floats, and their errors.

use candle_core::{DType, Device, Tensor, Var};
use multigen_ops as ops;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

const CPU: &Device = &Device::Cpu;

fn random(rng: &mut ChaCha8Rng, dims: &[usize]) -> Tensor {
    let len = dims.iter().product();
    let values: Vec<f32> = (0..len).map(|_| rng.random_range(-1.0f32..1.0)).collect();
    Tensor::from_vec(values, dims, CPU).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn variables(rng: &mut ChaCha8Rng) -> BTreeMap<String, Var> {
    [
        ("fc.weight", &[27, 5][..]),
        ("fc.bias", &[27]),
        ("slope", &[3]),
        ("up.weight", &[3, 4, 4, 4]),
        ("up.bias", &[4]),
        ("down.weight", &[2, 4, 3, 3]),
        ("shared", &[6, 6]),
    ]
    .into_iter()
    .map(|(name, dims)| (name.to_string(), Var::from_tensor(&random(rng, dims)).unwrap()))
    .collect()
}

/// A loss that uses every operator with a weight, one weight twice, and one weight by a fast and a stock operator.
fn loss(vars: &BTreeMap<String, Var>, x: &Tensor) -> Tensor {
    let var = |name: &str| vars[name].as_tensor();
    let up = ops::ConvTranspose2dConfig { stride: 2, padding: 1 };
    let down = ops::Conv2dConfig { stride: 1, padding: 1 };
    let y = ops::linear(x, var("fc.weight"), Some(var("fc.bias"))).unwrap();
    let y = ops::prelu(&y.reshape(((), 3, 3, 3)).unwrap(), var("slope")).unwrap();
    let y = ops::conv_transpose2d(&y, var("up.weight"), Some(var("up.bias")), up).unwrap(); // [n, 4, 6, 6]
    let y = ops::conv2d(&y, var("down.weight"), None, down).unwrap(); // [n, 2, 6, 6]
    let y = y.reshape(((), 6)).unwrap();
    let y = ops::linear(&y, var("shared"), None).unwrap();
    let y = ops::linear(&y, var("shared"), None).unwrap();
    let y = y.matmul(var("shared")).unwrap();
    ops::squared_error(&y, &y.zeros_like().unwrap()).unwrap()
}

#[test]
fn buffers_equal_candles_gradients() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let vars = variables(&mut rng);
    let mut buffers = ops::GradientBuffers::new(&vars);
    // Twice, with other inputs: nothing of the first pass may be left in the second.
    for _ in 0..2 {
        let x = random(&mut rng, &[4, 5]);
        buffers.backward(&loss(&vars, &x)).unwrap();
        let store = loss(&vars, &x).backward().unwrap();
        assert!(buffers.without_gradient().is_empty());
        for (name, var) in &vars {
            let (found, expected) = (flat(&buffers.get(name).unwrap()), flat(store.get(var.as_tensor()).unwrap()));
            let scale = expected.iter().fold(0f32, |max, v| max.max(v.abs()));
            assert!(scale > 0.0, "{name}");
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() <= 1e-5 * scale, "{name}");
            }
        }
    }
}

#[test]
fn equal_inputs_give_equal_bytes() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let vars = variables(&mut rng);
    let x = random(&mut rng, &[64, 5]);
    let run = || {
        let mut buffers = ops::GradientBuffers::new(&vars);
        buffers.backward(&loss(&vars, &x)).unwrap();
        let bits = |name: &String| {
            let values = flat(&buffers.get(name).unwrap());
            values.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        vars.keys().map(bits).collect::<Vec<_>>()
    };
    let first = run();
    for _ in 0..5 {
        assert_eq!(first, run());
    }
}

#[test]
fn a_variable_without_gradient_is_reported() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut vars = variables(&mut rng);
    let x = random(&mut rng, &[4, 5]);
    let unused = Var::zeros(3, DType::F32, CPU).unwrap();
    vars.insert("unused".into(), unused.clone());
    let mut buffers = ops::GradientBuffers::new(&vars);
    buffers.backward(&loss(&vars, &x)).unwrap();
    assert_eq!(buffers.without_gradient(), ["unused"]);
    let message = buffers.get("unused").unwrap_err().to_string();
    assert!(message.contains("unused"), "{message}");
    let mut adam = ops::Adam::new(vec![param("unused", &unused)], CONFIG).unwrap();
    let error = adam.step(&buffers, 0.1, 0.0).unwrap_err();
    assert!(matches!(error, ops::Error::MissingGradient { .. }));
    assert_eq!(adam.n_steps(), 0);
    // One that does not learn in this step needs none.
    adam.step_of(|name| name != "unused", &buffers, 0.1, 0.0).unwrap();
    assert_eq!(adam.n_steps(), 1);
    assert_eq!(unused.to_vec1::<f32>().unwrap(), [0.0; 3]);
}

#[test]
fn what_does_not_learn_rests_with_its_moments() {
    let var = |value: f32| Var::from_tensor(&Tensor::new(&[value], CPU).unwrap()).unwrap();
    let vars = BTreeMap::from([("at work".to_owned(), var(1.0)), ("at rest".to_owned(), var(1.0))]);
    let params = vars.iter().map(|(name, var)| param(name, var)).collect();
    let mut adam = ops::Adam::new(params, CONFIG).unwrap();
    let loss = vars.values().map(|var| var.as_tensor().sum_all().unwrap()).reduce(|a, b| (a + b).unwrap()).unwrap();
    let mut buffers = ops::GradientBuffers::new(&vars);
    buffers.backward(&loss).unwrap();
    adam.step(&buffers, 0.1, 0.0).unwrap();
    // A gradient of 1 gives m/(1 − β₁) = v/(1 − β₂) = 1, so Adam goes by the whole rate: 1 − 0.1.
    let value = |name: &str| vars[name].to_vec1::<f32>().unwrap()[0];
    let before = adam.state().unwrap();
    assert!((value("at rest") - 0.9).abs() < 1e-6);
    adam.step_of(|name| name == "at work", &buffers, 0.1, 0.0).unwrap();
    let after = adam.state().unwrap();
    assert!((value("at work") - 0.8).abs() < 1e-6 && (value("at rest") - 0.9).abs() < 1e-6);
    for moment in ["m", "v"] {
        let of = |state: &BTreeMap<String, Tensor>, name: &str| {
            state[&format!("adam.{moment}.{name}")].to_vec1::<f32>().unwrap()
        };
        assert_eq!(of(&before, "at rest"), of(&after, "at rest"), "{moment}");
        assert_ne!(of(&before, "at work"), of(&after, "at work"), "{moment}");
    }
}

const CONFIG: ops::AdamConfig = ops::AdamConfig { beta1: 0.9, beta2: 0.99, eps: 1e-8 };

fn param(name: &str, var: &Var) -> ops::AdamParam {
    ops::AdamParam { name: name.into(), var: var.clone(), lr_mult: 1.0, decay_mult: 1.0 }
}

/// The loss Σ w·c has the gradient c, so every step's gradient is known exactly.
fn step_with(adam: &mut ops::Adam, vars: &BTreeMap<String, Var>, gradients: &[Tensor]) {
    let loss = vars
        .values()
        .zip(gradients)
        .map(|(var, c)| (var.as_tensor() * c).unwrap().sum_all().unwrap())
        .reduce(|a, b| (a + b).unwrap())
        .unwrap();
    let mut buffers = ops::GradientBuffers::new(vars);
    buffers.backward(&loss).unwrap();
    adam.step(&buffers, 0.02, 0.1).unwrap();
}

#[test]
fn adam_matches_a_plain_loop() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    // Longer than a chunk, a single value, and an odd length; in 32 bits (in place) and in 64 (portable).
    for dtype in [DType::F32, DType::F64] {
        let settings = [(40_001, 1.0, 1.0), (1, 2.0, 0.0), (7, 0.5, 3.0)];
        let mut vars = BTreeMap::new();
        let mut params = Vec::new();
        for (idx, (len, lr_mult, decay_mult)) in settings.into_iter().enumerate() {
            let start = random(&mut rng, &[len]).to_dtype(dtype).unwrap();
            let (name, var) = (format!("p{idx}"), Var::from_tensor(&start).unwrap());
            vars.insert(name.clone(), var.clone());
            params.push(ops::AdamParam { name, var, lr_mult, decay_mult });
        }
        let wide = |t: &Tensor| t.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
        let mut exact: Vec<Vec<[f64; 3]>> =
            vars.values().map(|var| wide(var).into_iter().map(|w| [w, 0.0, 0.0]).collect()).collect();
        let mut adam = ops::Adam::new(params, CONFIG).unwrap();
        for t in 1..=6 {
            let gradients: Vec<Tensor> =
                vars.values().map(|var| random(&mut rng, var.dims()).to_dtype(dtype).unwrap()).collect();
            step_with(&mut adam, &vars, &gradients);
            for ((exact, (_, lr_mult, decay_mult)), g) in exact.iter_mut().zip(settings).zip(&gradients) {
                for ([w, m, v], g) in exact.iter_mut().zip(wide(g)) {
                    let g = g + 0.1 * decay_mult * *w;
                    *m = 0.9 * *m + 0.1 * g;
                    *v = 0.99 * *v + 0.01 * g * g;
                    let (m_hat, v_hat) = (*m / (1.0 - 0.9f64.powi(t)), *v / (1.0 - 0.99f64.powi(t)));
                    *w -= 0.02 * lr_mult * m_hat / (v_hat.sqrt() + 1e-8);
                }
            }
        }
        for (var, exact) in vars.values().zip(&exact) {
            for (found, [expected, _, _]) in wide(var).iter().zip(exact) {
                assert!((found - expected).abs() <= 1e-5, "{found} {expected}");
            }
        }
    }
}

#[test]
fn a_restored_state_continues_with_the_same_bytes() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let start = random(&mut rng, &[100]);
    let gradients: Vec<Tensor> = (0..6).map(|_| random(&mut rng, &[100])).collect();
    let run = |interrupted: bool| {
        let vars = BTreeMap::from([("w".to_string(), Var::from_tensor(&start).unwrap())]);
        let fresh = || ops::Adam::new(vec![param("w", &vars["w"])], CONFIG).unwrap();
        let mut adam = fresh();
        for (t, gradient) in gradients.iter().enumerate() {
            if interrupted && t == 3 {
                let state = adam.state().unwrap();
                adam = fresh();
                adam.load_state(&state).unwrap();
                assert_eq!(adam.n_steps(), 3);
            }
            step_with(&mut adam, &vars, std::slice::from_ref(gradient));
        }
        flat(&vars["w"]).into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn bad_settings_and_states_are_refused() {
    let var = Var::zeros(3, DType::F32, CPU).unwrap();
    let twice = vec![param("w", &var), param("w", &var)];
    assert!(ops::Adam::new(twice, CONFIG).is_err());
    for config in [
        ops::AdamConfig { beta1: 1.0, ..CONFIG },
        ops::AdamConfig { beta2: -0.1, ..CONFIG },
        ops::AdamConfig { eps: 0.0, ..CONFIG },
        ops::AdamConfig { eps: f64::NAN, ..CONFIG },
    ] {
        assert!(ops::Adam::new(vec![param("w", &var)], config).is_err());
    }
    let mut adam = ops::Adam::new(vec![param("w", &var)], CONFIG).unwrap();
    let mut state = adam.state().unwrap();
    state.insert("adam.m.w".into(), Tensor::zeros(4, DType::F32, CPU).unwrap());
    let message = adam.load_state(&state).unwrap_err().to_string();
    assert!(message.contains("adam.m.w") && message.contains("[4]"), "{message}");
    state.remove("adam.v.w");
    state.remove("adam.m.w");
    assert!(adam.load_state(&state).is_err());
}
