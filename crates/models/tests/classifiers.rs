//! The named classifiers: sizes, parameters and arithmetic by hand, a gradient for every parameter, dropout; and a small
//! one against PyTorch.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor, Var};
use multigen_models::alexnet::{Head, Stem};
use multigen_models::{
    Activation, AlexNet, AlexNetConfig, Classifier, ClassifierConfig, Dropout, Multipliers, Params, presets,
};
use multigen_ops::{GradientBuffers, softmax_cross_entropy, timing};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Every kind of layer at a size that a file beside the test can hold: 12, 6, 6, 3, 3, 1 pixels. conv1's windows leave a
/// row of pixels unread, and the first two pools hang over the edge.
fn small() -> AlexNetConfig {
    let head = |factor: &str, levels, fc6| Head { factor: factor.to_owned(), levels, fc6 };
    AlexNetConfig {
        image_size: 28,
        conv1: Stem { kernel: 5, stride: 2 },
        widths: [4, 6, 5, 6, 4],
        activation: Activation::LeakyRelu { slope: 0.2 },
        heads: vec![head("person", 5, 7), head("emotion", 3, 6)],
        fc7: 8,
        dropout: 0.5,
    }
}

fn build(config: &AlexNetConfig, seed: u64) -> multigen_models::Result<(Params, AlexNet)> {
    let mut params = Params::new(&Device::Cpu);
    let net = AlexNet::build(&mut params, "net", config, &mut ChaCha8Rng::seed_from_u64(seed))?;
    Ok((params, net))
}

/// Images of numbers up to ±`scale` that PyTorch computes alike.
fn images(n: usize, size: usize, scale: f32) -> candle_core::Result<Tensor> {
    let pixels = (0..n * 3 * size * size).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * scale).collect::<Vec<_>>();
    Tensor::from_vec(pixels, (n, 3, size, size), &Device::Cpu)
}

fn values(logits: &[Tensor]) -> candle_core::Result<Vec<f32>> {
    let mut all = Vec::new();
    for logits in logits {
        all.extend(logits.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(all)
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

#[test]
fn sizes_are_those_of_the_specification() -> Outcome {
    for (name, expected) in [
        ("alexnet-multitask", [74, 37, 37, 18, 18, 18, 18, 9]),
        ("alexnet-multitask-relu", [74, 37, 37, 18, 18, 18, 18, 9]),
        ("alexnet-71", [61, 30, 30, 15, 15, 15, 15, 7]),
        ("alexnet-71-s2", [31, 15, 15, 7, 7, 7, 7, 3]),
        ("alexnet-28", [24, 12, 12, 6, 6, 6, 6, 3]),
        ("alexnet-compact-71", [31, 15, 15, 7, 7, 7, 7, 3]),
    ] {
        let (layers, sizes): (Vec<String>, Vec<usize>) = presets::classifier(name)?.sizes(name)?.into_iter().unzip();
        assert_eq!(layers, ["conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5"]);
        assert_eq!(sizes, expected, "{name}");
        assert_ne!(presets::describe(name), "No preset.", "{name}");
    }
    assert!(presets::CLASSIFIERS.iter().all(|name| presets::classifier(name).is_ok()));
    assert!(presets::classifier("alexnet").is_err_and(|e| e.to_string().contains("alexnet-71-s2")));
    Ok(())
}

#[test]
fn a_classifier_is_made_for_the_factors_and_the_size_that_are_asked_for() -> Outcome {
    let factors = [("person".to_owned(), 7), ("emotion".to_owned(), 5), ("hat".to_owned(), 2)];
    for (name, size) in [(presets::COMPACT_CLASSIFIER, 36), (presets::JUDGE, 36), ("alexnet-compact-71", 80)] {
        let config = presets::classifier_for(name, &factors, size)?;
        assert_eq!((config.factors(), config.image_size()), (factors.to_vec(), size), "{name}");
        assert_ne!(presets::describe(name), "No preset.");
    }
    // The published heads keep their widths, 4096 and 1024; one that is not published is as wide as the narrower.
    let ClassifierConfig::AlexNet(published) = presets::classifier_for("alexnet-multitask", &factors, 158)? else {
        return Err("not an AlexNet".into());
    };
    assert_eq!(published.heads.iter().map(|head| head.fc6).collect::<Vec<_>>(), [4096, 1024, 1024]);
    let message = |name, size| presets::classifier_for(name, &factors, size).err().map(|e| e.to_string());
    assert!(message("alexnet", 71).is_some_and(|m| m.contains("alexnet-compact, judge, alexnet-multitask")));
    assert!(message("alexnet-71-s2", 12).is_some_and(|m| m.contains("exceeds its input")));
    Ok(())
}

/// SPEC §4: 207 million parameters with five emotions, 5: 4096 units in both layers of every head.
#[test]
fn the_classifier_of_five_emotions_has_207_million_parameters() -> Outcome {
    // Convolutions as below, 3,747,200; each head fc6 84,938,752 and fc7 16,781,312; fc8 4096·65 + 65 and 4096·5 + 5.
    let expected = 3_747_200 + 2 * (84_938_752 + 16_781_312) + 266_305 + 20_485;
    assert_eq!(expected, 207_474_118);
    let counted: u64 = presets::classifier("alexnet-multitask-relu")?
        .heads
        .iter()
        .map(|head| (20_736 + 1) * head.fc6 as u64 + (head.fc6 as u64 + 1) * 4096 + 4097 * head.levels as u64)
        .sum();
    assert_eq!(counted + 3_747_200, expected);
    Ok(())
}

#[test]
fn the_researchs_classifier_has_131_million_parameters() -> Outcome {
    // conv1 96·3·121 + 96 = 34,944; conv2 256·96·25 + 256 = 614,656; conv3 384·256·9 + 384 = 885,120; conv4
    // 384·384·9 + 384 = 1,327,488; conv5 256·384·9 + 256 = 884,992. Features: 256·9·9 = 20,736.
    // person: fc6 20,736·4096 + 4096 = 84,938,752; fc7 4096·4096 + 4096 = 16,781,312; fc8 4096·65 + 65 = 266,305.
    // emotion: fc6 20,736·1024 + 1024 = 21,234,688; fc7 1024·4096 + 4096 = 4,198,400; fc8 4096·4 + 4 = 16,388.
    let convolutions = 34_944 + 614_656 + 885_120 + 1_327_488 + 884_992;
    let expected = convolutions + 84_938_752 + 16_781_312 + 266_305 + 21_234_688 + 4_198_400 + 16_388;
    assert_eq!(expected, 131_183_045);
    let (params, net) = build(&presets::classifier("alexnet-multitask")?, 1)?;
    assert_eq!(params.count(), expected);
    let logits = net.forward(&images(1, 158, 1.0)?, Dropout::Off)?;
    assert_eq!(logits.iter().map(Tensor::dims).collect::<Vec<_>>(), [[1, 65], [1, 4]]);
    assert!(values(&logits)?.iter().all(|v| v.is_finite()));
    Ok(())
}

#[test]
fn every_named_classifier_that_is_small_gives_logits_per_head() -> Outcome {
    for (name, size, expected) in
        [("alexnet-28", 28, &[[2, 10], [2, 10], [2, 3], [2, 6]][..]), ("alexnet-compact-71", 71, &[[2, 65], [2, 4]])]
    {
        let config = presets::classifier(name)?;
        let (_, net) = build(&config, 1)?;
        let logits = net.forward(&images(2, size, 1.0)?, Dropout::Keyed(1))?;
        assert_eq!(logits.iter().map(Tensor::dims).collect::<Vec<_>>(), expected, "{name}");
        assert_eq!(config.factors().iter().map(|(_, n)| [2, *n]).collect::<Vec<_>>(), expected, "{name}");
    }
    Ok(())
}

#[test]
fn some_biases_start_at_a_tenth_and_all_learn_twice_as_fast_without_decay() -> Outcome {
    let (params, _) = build(&small(), 1)?;
    let layers = ["conv1", "conv2", "conv3", "conv4", "conv5"].map(str::to_owned).into_iter();
    let heads =
        ["person", "emotion"].into_iter().flat_map(|head| ["fc6", "fc7", "fc8"].map(|fc| format!("{head}.{fc}")));
    let layers: Vec<String> = layers.chain(heads).collect();
    let expected: Vec<String> = layers.iter().flat_map(|l| [format!("{l}.bias"), format!("{l}.weight")]).collect();
    let params: BTreeMap<&str, _> = params.iter().collect();
    assert_eq!(params.len(), expected.len());
    for name in &expected {
        let param = params.get(name.as_str()).ok_or_else(|| format!("no {name}"))?;
        let values = param.var.flatten_all()?.to_vec1::<f32>()?;
        if name.ends_with("bias") {
            let positive = ["conv2", "conv4", "conv5", "fc6", "fc7"].iter().any(|layer| name.contains(layer));
            assert!(values.iter().all(|v| *v == if positive { 0.1 } else { 0.0 }), "{name}: {values:?}");
            assert_eq!(param.multipliers, Multipliers { learning_rate: 2.0, decay: 0.0 }, "{name}");
        } else {
            let limit = (3.0 * param.var.dim(0)? as f32 / values.len() as f32).sqrt();
            let largest = values.iter().fold(0f32, |a, v| a.max(v.abs()));
            assert!(largest <= limit && largest > 0.8 * limit, "{name}: {largest}, limit {limit}");
            assert_eq!(param.multipliers, Multipliers::default(), "{name}");
        }
    }
    Ok(())
}

#[test]
fn every_parameter_gets_a_finite_gradient_that_is_not_zero() -> Outcome {
    // A PReLU between conv5 and its pool learns only where all of a window is negative, which no image here brings about.
    for activation in [Activation::LeakyRelu { slope: 0.2 }, Activation::Relu] {
        for dropout in [Dropout::Off, Dropout::Keyed(3)] {
            let (params, net) = build(&AlexNetConfig { activation, ..small() }, 2)?;
            let logits = net.forward(&images(4, 28, 1.0)?, dropout)?;
            let person = softmax_cross_entropy(&logits[0], &Tensor::new(&[0u32, 4, 2, 1], &Device::Cpu)?)?;
            let emotion = softmax_cross_entropy(&logits[1], &Tensor::new(&[2u32, 0, 1, 1], &Device::Cpu)?)?;
            let mut gradients = GradientBuffers::new(&params.vars());
            gradients.backward(&(person + emotion)?)?;
            for (parameter, _) in params.iter() {
                let values = gradients.get(parameter)?.flatten_all()?.to_vec1::<f32>()?;
                assert!(values.iter().all(|v| v.is_finite()), "{activation:?}: {parameter}");
                assert!(values.iter().any(|v| *v != 0.0), "{activation:?} {dropout:?}: {parameter}: all zeros");
            }
        }
    }
    Ok(())
}

#[test]
fn a_key_names_what_is_dropped() -> Outcome {
    let (_, net) = build(&small(), 1)?;
    let x = images(3, 28, 1.0)?;
    let read = |dropout| -> Result<Vec<f32>, Box<dyn std::error::Error>> { Ok(values(&net.forward(&x, dropout)?)?) };
    assert_eq!(read(Dropout::Off)?, read(Dropout::Off)?);
    assert_eq!(read(Dropout::Keyed(7))?, read(Dropout::Keyed(7))?);
    assert_ne!(read(Dropout::Keyed(7))?, read(Dropout::Keyed(8))?);
    assert_ne!(read(Dropout::Keyed(7))?, read(Dropout::Off)?);
    let (_, undropped) = build(&AlexNetConfig { dropout: 0.0, ..small() }, 1)?;
    assert_eq!(values(&undropped.forward(&x, Dropout::Keyed(7))?)?, read(Dropout::Off)?);
    Ok(())
}

#[test]
fn two_heads_of_one_description_drop_other_units() -> Outcome {
    // With the second head's weights set to the first one's, only dropout can tell them apart.
    let mut config = small();
    config.heads[1] = Head { factor: "twin".to_owned(), ..config.heads[0].clone() };
    let (params, net) = build(&config, 1)?;
    let params: BTreeMap<&str, &Var> = params.iter().map(|(name, param)| (name, &param.var)).collect();
    for (name, var) in &params {
        if let Some(layer) = name.strip_prefix("twin.") {
            var.set(params[format!("person.{layer}").as_str()].as_tensor())?;
        }
    }
    let x = images(3, 28, 1.0)?;
    let read = |dropout| -> Result<[Vec<f32>; 2], Box<dyn std::error::Error>> {
        let logits = net.forward(&x, dropout)?;
        Ok([values(&logits[..1])?, values(&logits[1..])?])
    };
    let [person, twin] = read(Dropout::Off)?;
    assert_eq!(person, twin);
    let [person, twin] = read(Dropout::Keyed(7))?;
    assert_ne!(person, twin);
    Ok(())
}

#[test]
fn evaluation_gives_what_training_gives_on_average() -> Outcome {
    // The logits are linear in either mask only where nothing is rectified between the two.
    let (_, net) = build(&AlexNetConfig { activation: Activation::Linear, ..small() }, 1)?;
    let x = images(1, 28, 1.0)?;
    let expected = values(&net.forward(&x, Dropout::Off)?)?;
    let n = 4000;
    let (mut mean, mut square) = (vec![0f64; expected.len()], vec![0f64; expected.len()]);
    for key in 0..n {
        for (i, logit) in values(&net.forward(&x, Dropout::Keyed(key))?)?.into_iter().enumerate() {
            mean[i] += f64::from(logit) / n as f64;
            square[i] += f64::from(logit).powi(2) / n as f64;
        }
    }
    for ((mean, square), expected) in mean.into_iter().zip(square).zip(expected) {
        let error = ((square - mean * mean) / n as f64).sqrt();
        assert!(error > 0.0 && (mean - f64::from(expected)).abs() < 4.5 * error, "{mean} ± {error}, {expected}");
    }
    Ok(())
}

#[test]
fn the_arithmetic_is_counted_under_the_names_of_the_sections() -> Outcome {
    let config = small();
    let (_, net) = build(&config, 1)?;
    let (logits, times) = timing::record(|| net.forward(&images(1, 28, 1.0)?, Dropout::Keyed(1)));
    logits?;
    let sections: Vec<String> = times.into_iter().map(|time| time.name).collect();
    assert_eq!(
        sections[..10],
        ["conv1", "norm1", "pool1", "conv2", "norm2", "pool2", "conv3", "conv4", "conv5", "pool5"]
    );
    let counted = config.multiplications("net")?;
    let is_counted = |name: &&String| !name.starts_with("norm") && !name.starts_with("pool");
    assert_eq!(
        sections.iter().filter(is_counted).collect::<Vec<_>>(),
        counted.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    let expected = [
        ("conv1", 144 * 3 * 4 * 25),
        ("conv2", 36 * 4 * 6 * 25),
        ("conv3", 9 * 6 * 5 * 9),
        ("conv4", 9 * 5 * 6 * 9),
        ("conv5", 9 * 6 * 4 * 9),
        ("person.fc6", 4 * 7),
        ("person.fc7", 7 * 8),
        ("person.fc8", 8 * 5),
        ("emotion.fc6", 4 * 6),
        ("emotion.fc7", 6 * 8),
        ("emotion.fc8", 8 * 3),
    ];
    assert_eq!(counted, expected.map(|(name, n)| (name.to_owned(), n)));
    // The research's: 74² · 3·96·121 and 37² · 96·256·25.
    let counted: BTreeMap<String, u64> =
        presets::classifier("alexnet-multitask")?.multiplications("alexnet-multitask")?.into_iter().collect();
    assert_eq!((counted["conv1"], counted["conv2"]), (190_827_648, 841_113_600));
    Ok(())
}

#[test]
fn impossible_descriptions_and_images_are_errors_that_name_the_layer() -> Outcome {
    type Change = fn(&mut AlexNetConfig);
    let changes: [(&str, Change); 16] = [
        ("conv1: kernel 5 exceeds its input of 4×4", |c| c.image_size = 4),
        ("pool1: window 3 exceeds its input of 1×1", |c| c.image_size = 6),
        ("pool5: window 3 exceeds its input of 2×2", |c| c.image_size = 20),
        ("conv1: kernel and stride must be at least 1", |c| c.conv1.stride = 0),
        ("conv1: kernel and stride must be at least 1", |c| c.conv1.kernel = 0),
        ("conv3: width 0", |c| c.widths[2] = 0),
        ("conv3: ", |c| c.widths[2] = usize::MAX),
        ("person.fc6: ", |c| c.image_size = usize::MAX),
        ("person.fc6: width 0", |c| c.heads[0].fc6 = 0),
        ("person.fc7: width 0", |c| c.fc7 = 0),
        ("emotion.fc8: width 0", |c| c.heads[1].levels = 0),
        ("no factor: expected at least one head", |c| c.heads.clear()),
        ("head 2: its factor 'person' is empty or taken", |c| c.heads[1].factor = "person".to_owned()),
        ("dropout: rate 1 lies outside [0, 1)", |c| c.dropout = 1.0),
        ("dropout: rate NaN lies outside [0, 1)", |c| c.dropout = f64::NAN),
        ("activation: slope NaN", |c| c.activation = Activation::LeakyRelu { slope: f64::NAN }),
    ];
    small().validate("net")?;
    for (problem, change) in changes {
        let mut config = small();
        change(&mut config);
        let found = [
            config.validate("net").err(),
            config.sizes("net").err(),
            config.multiplications("net").err(),
            build(&config, 1).err(),
        ];
        for error in found {
            let error = error.map(|e| e.to_string()).unwrap_or_default();
            assert!(error.starts_with(&format!("network net: {problem}")), "{error}, expected {problem}");
            assert!(!error.contains('\n'));
        }
    }
    let (_, net) = build(&small(), 1)?;
    let error = net.forward(&images(2, 27, 1.0)?, Dropout::Off).err().map(|e| e.to_string());
    assert_eq!(error.as_deref(), Some("network net: images [2, 3, 27, 27], expected [n, 3, 28, 28]"));
    Ok(())
}

#[test]
fn a_description_is_read_as_it_was_written_and_unknown_keys_are_refused() -> Outcome {
    for name in presets::CLASSIFIERS {
        let config = presets::classifier(name)?;
        let json = serde_json::to_string(&config)?;
        assert_eq!(serde_json::from_str::<AlexNetConfig>(&json)?, config, "{name}");
    }
    let json = serde_json::to_string(&small())?;
    for (key, foreign) in
        [("\"fc7\"", "\"fc9\":1,\"fc7\""), ("\"fc6\"", "\"fc9\":1,\"fc6\""), ("\"kernel\"", "\"fc9\":1,\"kernel\"")]
    {
        let error = serde_json::from_str::<AlexNetConfig>(&json.replacen(key, foreign, 1)).err();
        assert!(error.is_some_and(|e| e.to_string().contains("fc9")), "{key}");
    }
    Ok(())
}

/// `pytorch/reference.py` loaded `pytorch/small_classifier.safetensors`, which this test's network wrote, into a PyTorch
/// network with the same names and wrote what it read, and the gradient of the sum of all logits, to
/// `pytorch/reference.json`. The images are of some tens, so that the norms matter.
#[test]
fn a_weights_file_reads_the_same_in_pytorch() -> Outcome {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch");
    let file = dir.join("small_classifier.safetensors");
    if std::env::var_os("MULTIGEN_WRITE_REFERENCE").is_some() {
        candle_core::safetensors::save(&build(&small(), 7)?.0.tensors()?.into_iter().collect(), &file)?;
    }
    // Built with other weights, which the file replaces.
    let (params, net) = build(&small(), 8)?;
    params.load_file(&file)?;
    let reference = std::fs::read_to_string(dir.join("reference.json"))?;
    let reference: BTreeMap<String, Vec<f32>> = serde_json::from_str(&reference)?;
    let logits = net.forward(&images(3, 28, 100.0)?, Dropout::Off)?;
    let mut gradients = GradientBuffers::new(&params.vars());
    gradients.backward(&(logits[0].sum_all()? + logits[1].sum_all()?)?)?;
    let mut found = vec![("person", logits[0].clone()), ("emotion", logits[1].clone())];
    for layer in ["conv1.weight", "conv3.bias", "person.fc6.weight"] {
        found.push((layer, gradients.get(layer)?));
    }
    for (name, ours) in found {
        let (ours, theirs) = (ours.flatten_all()?.to_vec1::<f32>()?, &reference[name]);
        let scale = theirs.iter().fold(0f32, |largest, v| largest.max(v.abs()));
        let worst = largest_difference(&ours, theirs) / scale;
        assert!(scale > 0.1 && worst < 1e-5, "{name}: {worst} of {scale}");
    }
    Ok(())
}

/// Central differences of the loss of a classifier by its images; a frozen one has the same, and none of its own.
#[test]
fn a_frozen_classifier_passes_gradients_to_its_images_and_keeps_none() -> Outcome {
    let config = ClassifierConfig::AlexNet(small());
    let [learning, frozen] = [Params::new(&Device::Cpu), Params::frozen(&Device::Cpu)]
        .map(|params| Classifier::new("net", &config, params, &mut ChaCha8Rng::seed_from_u64(5)));
    let (learning, frozen) = (learning?, frozen?);
    let x = images(2, 28, 1.0)?;
    let loss = |net: &Classifier, x: &Tensor| -> Result<Tensor, Box<dyn std::error::Error>> {
        let mut sum = Tensor::new(0f32, &Device::Cpu)?;
        for (_, logits) in net.forward(x, Dropout::Keyed(3))? {
            sum = (sum + softmax_cross_entropy(&logits, &Tensor::new(&[1u32, 2], &Device::Cpu)?)?)?;
        }
        Ok(sum)
    };
    let by_images = |net: &Classifier| -> Result<Tensor, Box<dyn std::error::Error>> {
        let var = Var::from_tensor(&x)?;
        Ok(loss(net, var.as_tensor())?.backward()?.get(var.as_tensor()).ok_or("no gradient")?.clone())
    };
    let (of_learning, of_frozen) = (by_images(&learning)?, by_images(&frozen)?);
    assert_eq!(of_learning.flatten_all()?.to_vec1::<f32>()?, of_frozen.flatten_all()?.to_vec1::<f32>()?);

    // Along the gradient the loss changes by its length: |g|² / |g|, by steps of ±h.
    let g = of_frozen.flatten_all()?.to_vec1::<f32>()?;
    let length = g.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    assert!(length > 1e-4, "{length}");
    let h = 2e-2;
    let at = |sign: f64| -> Result<f64, Box<dyn std::error::Error>> {
        let moved = (&x + (of_frozen.clone() * (sign * h / length))?)?;
        Ok(f64::from(loss(&frozen, &moved)?.to_scalar::<f32>()?))
    };
    let slope = (at(1.0)? - at(-1.0)?) / (2.0 * h);
    assert!((slope - length).abs() < 0.05 * length, "{slope}, expected {length}");

    // And along directions of chance, by which no part of the image could go without its gradient.
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for _ in 0..4 {
        let d: Vec<f32> = g.iter().map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 }).collect();
        let expected: f64 = g.iter().zip(&d).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
        let d = Tensor::from_vec(d, x.shape(), &Device::Cpu)?;
        let h = 2e-3;
        let at = |sign: f64| -> Result<f64, Box<dyn std::error::Error>> {
            Ok(f64::from(loss(&frozen, &(&x + (&d * (sign * h))?)?)?.to_scalar::<f32>()?))
        };
        let slope = (at(1.0)? - at(-1.0)?) / (2.0 * h);
        // What a part of the image adds is of the order of its gradient's length.
        assert!((slope - expected).abs() < 0.05 * length, "{slope}, expected {expected}");
    }

    let mut gradients = GradientBuffers::new(&frozen.params().vars());
    let image = Var::from_tensor(&x)?;
    gradients.backward(&loss(&frozen, image.as_tensor())?)?;
    assert_eq!(gradients.without_gradient().len(), frozen.params().iter().count());
    gradients = GradientBuffers::new(&learning.params().vars());
    gradients.backward(&loss(&learning, image.as_tensor())?)?;
    assert!(gradients.without_gradient().is_empty());
    Ok(())
}

/// Loading reaches the graph of a frozen classifier too: it shares its numbers with the variables.
#[test]
fn a_frozen_classifier_reads_with_the_weights_that_it_loads() -> Outcome {
    let config = ClassifierConfig::AlexNet(small());
    let build = |params, seed| Classifier::new("net", &config, params, &mut ChaCha8Rng::seed_from_u64(seed));
    let (learning, frozen) = (build(Params::new(&Device::Cpu), 5)?, build(Params::frozen(&Device::Cpu), 6)?);
    let x = images(2, 28, 1.0)?;
    let read = |net: &Classifier| -> Result<Vec<Vec<f32>>, Box<dyn std::error::Error>> {
        let logits = net.forward(&x, Dropout::Off)?;
        logits.iter().map(|(_, logits)| Ok(logits.flatten_all()?.to_vec1::<f32>()?)).collect()
    };
    assert_ne!(read(&learning)?, read(&frozen)?);
    frozen.params().load("weights", &learning.params().tensors()?.into_iter().collect())?;
    assert_eq!(read(&learning)?, read(&frozen)?);
    Ok(())
}

#[test]
fn the_compact_classifier_reads_any_factors_at_any_size() -> Outcome {
    let factors = [("person".to_owned(), 7), ("emotion".to_owned(), 3)];
    for size in [16, 28, 71, 158] {
        let config = presets::compact_classifier(&factors, size);
        config.validate("compact")?;
        let (_, net) = build(&config, 1)?;
        let logits = net.forward(&images(1, size, 1.0)?, Dropout::Off)?;
        assert_eq!(logits.iter().map(Tensor::dims).collect::<Vec<_>>(), [[1, 7], [1, 3]], "{size}");
    }
    Ok(())
}
