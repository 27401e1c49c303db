//! Every operator, its gradients and Adam against PyTorch's numbers, which tests/pytorch/make_reference.py wrote.

use candle_core::{DType, Device, Tensor, Var};
use multigen_ops as ops;
use std::collections::BTreeMap;

fn reference() -> BTreeMap<String, Tensor> {
    include_str!("pytorch/reference.txt")
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            let name = words.next().unwrap().to_string();
            let dims: Vec<usize> = match words.next().unwrap() {
                "scalar" => vec![],
                dims => dims.split('x').map(|len| len.parse().unwrap()).collect(),
            };
            let values: Vec<f32> = words.map(|word| word.parse().unwrap()).collect();
            (name, Tensor::from_vec(values, dims, &Device::Cpu).unwrap())
        })
        .collect()
}

fn assert_close(what: &str, found: &Tensor, expected: &Tensor) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected) = (
        found.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
        expected.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
    );
    let scale = expected.iter().fold(1.0f32, |max, v| max.max(v.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        let error = (found - expected).abs() / scale;
        assert!(error <= 1e-5, "{what}: {found} for {expected}");
    }
}

type Run<'a> = &'a dyn Fn(&[Var]) -> ops::Result<Tensor>;

/// Runs an operator, fast and portable, on the reference's inputs and compares result and gradients.
fn check(name: &str, inputs: &[&str], runs: [Run<'_>; 2]) {
    let reference = reference();
    let get = |key: &str| &reference[&format!("{name}.{key}")];
    for run in runs {
        let vars: Vec<Var> = inputs.iter().map(|key| Var::from_tensor(get(key)).unwrap()).collect();
        let y = run(&vars).unwrap();
        assert_close(name, &y, get("y"));
        let loss = (y * get("direction")).unwrap().sum_all().unwrap();
        let grads = loss.backward().unwrap();
        for (key, var) in inputs.iter().zip(&vars) {
            if let Some(expected) = reference.get(&format!("{name}.{key}.grad")) {
                let found = grads.get(var.as_tensor()).unwrap();
                assert_close(&format!("{name}.{key}.grad"), found, expected);
            }
        }
    }
}

#[test]
fn conv_transpose2d() {
    let config = ops::ConvTranspose2dConfig { stride: 2, padding: 1 };
    check(
        "conv_transpose2d",
        &["x", "weight", "bias"],
        [&|v| ops::conv_transpose2d(&v[0], &v[1], Some(&v[2]), config), &|v| {
            ops::conv_transpose2d_portable(&v[0], &v[1], Some(&v[2]), config)
        }],
    );
}

#[test]
fn conv2d() {
    let config = ops::Conv2dConfig { stride: 2, padding: 1 };
    check(
        "conv2d",
        &["x", "weight", "bias"],
        [&|v| ops::conv2d(&v[0], &v[1], Some(&v[2]), config), &|v| {
            ops::conv2d_portable(&v[0], &v[1], Some(&v[2]), config)
        }],
    );
}

#[test]
fn linear() {
    check(
        "linear",
        &["x", "weight", "bias"],
        [&|v| ops::linear(&v[0], &v[1], Some(&v[2])), &|v| ops::linear_portable(&v[0], &v[1], Some(&v[2]))],
    );
}

#[test]
fn prelu() {
    check("prelu", &["x", "weight"], [&|v| ops::prelu(&v[0], &v[1]), &|v| ops::prelu_portable(&v[0], &v[1])]);
}

#[test]
fn leaky_relu() {
    check("leaky_relu", &["x"], [&|v| ops::leaky_relu(&v[0], 0.1), &|v| ops::leaky_relu_portable(&v[0], 0.1)]);
}

#[test]
fn squared_error() {
    check(
        "squared_error",
        &["x", "target"],
        [&|v| ops::squared_error(&v[0], &v[1]), &|v| ops::squared_error_portable(&v[0], &v[1])],
    );
}

#[test]
fn softmax_cross_entropy() {
    let classes = |v: &Var| v.as_tensor().to_dtype(DType::U32).unwrap();
    check(
        "softmax_cross_entropy",
        &["x", "target"],
        [&|v| ops::softmax_cross_entropy(&v[0], &classes(&v[1])), &|v| {
            ops::softmax_cross_entropy_portable(&v[0], &classes(&v[1]))
        }],
    );
}

#[test]
fn max_pool2d() {
    for (name, ceil_mode) in [("max_pool2d_floor", false), ("max_pool2d_ceil", true)] {
        let config = ops::MaxPool2dConfig { kernel: 3, stride: 2, ceil_mode };
        check(name, &["x"], [&|v| ops::max_pool2d(&v[0], config), &|v| ops::max_pool2d_portable(&v[0], config)]);
    }
}

#[test]
fn local_response_norm() {
    let config = ops::LocalResponseNormConfig { size: 5, alpha: 1e-4, beta: 0.75 };
    check(
        "local_response_norm",
        &["x"],
        [&|v| ops::local_response_norm(&v[0], config), &|v| ops::local_response_norm_portable(&v[0], config)],
    );
}

#[test]
fn adam() {
    let reference = reference();
    let var = Var::from_tensor(&reference["adam.start"]).unwrap();
    let vars = BTreeMap::from([("w".to_string(), var.clone())]);
    let param = ops::AdamParam { name: "w".into(), var: var.clone(), lr_mult: 0.5, decay_mult: 2.0 };
    let config = ops::AdamConfig { beta1: 0.9, beta2: 0.99, eps: 1e-8 };
    let mut adam = ops::Adam::new(vec![param], config).unwrap();
    let mut gradients = ops::GradientBuffers::new(&vars);
    for _ in 0..5 {
        let difference = (var.as_tensor() - &reference["adam.a"]).unwrap();
        let loss = difference.sqr().unwrap().sqr().unwrap().sum_all().unwrap();
        gradients.backward(&loss).unwrap();
        // The multipliers undo the doubled rate and the halved decay.
        adam.step(&gradients, 0.1, 0.005).unwrap();
    }
    assert_close("w", var.as_tensor(), &reference["adam.end"]);
    let state = adam.state().unwrap();
    assert_close("m", &state["adam.m.w"], &reference["adam.m"]);
    assert_close("v", &state["adam.v.w"], &reference["adam.v"]);
    assert_eq!(state["adam.t"].to_vec1::<u32>().unwrap(), [5]);
}
