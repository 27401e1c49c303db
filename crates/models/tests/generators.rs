//! Every named generator of digits: shapes, parameter counts, a gradient for every parameter; and a small one against
//! PyTorch.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use multigen_models::concatenating::{Branch, ConcatenatingConfig, FeatureMap, FillingRules};
use multigen_models::layers::Upsampling;
use multigen_models::{Activation, Generator, GeneratorConfig, LevelTable, presets};
use multigen_ops::{GradientBuffers, softmax_cross_entropy, squared_error};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn digits_levels() -> multigen_models::Result<LevelTable> {
    let rows: [&[u32]; 3] = [&[7, 9, 0, 4], &[2, 4, 1, 1], &[7, 9, 2, 5]];
    LevelTable::from_rows(rows)
}

/// The generators that draw digits.
fn digit_generators() -> impl Iterator<Item = &'static str> {
    let draws_digits = |name: &&str| {
        presets::generator(name).is_ok_and(|config| config.factors().iter().any(|(factor, _)| factor == "digit"))
    };
    presets::GENERATORS.into_iter().filter(draws_digits)
}

#[test]
fn every_parameter_of_every_generator_gets_a_finite_gradient_that_is_not_zero() -> Outcome {
    for name in digit_generators() {
        let config = presets::generator(name)?;
        let generator = Generator::new(name, &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(1))?;
        let drawn = generator.forward(&digits_levels()?)?;
        assert_eq!(drawn.images.dims(), [3, 3, 28, 28], "{name}");
        assert_eq!(drawn.mask_logits.is_some(), config.has_mask_head(), "{name}");
        let target = (drawn.images.ones_like()? * 0.5)?;
        let mut loss = squared_error(&drawn.images, &target)?;
        if let Some(logits) = &drawn.mask_logits {
            let rows = logits.permute((0, 2, 3, 1))?.reshape((3 * 28 * 28, 2))?;
            let classes: Vec<u32> = (0..3 * 28 * 28).map(|i| i % 2).collect();
            loss = (loss + softmax_cross_entropy(&rows, &Tensor::new(classes, &Device::Cpu)?)?)?;
        }
        let mut gradients = GradientBuffers::new(&generator.params().vars());
        gradients.backward(&loss)?;
        for (parameter, _) in generator.params().iter() {
            let values = gradients.get(parameter)?.flatten_all()?.to_vec1::<f32>()?;
            assert!(values.iter().all(|v| v.is_finite()), "{name}: {parameter}");
            assert!(values.iter().any(|v| *v != 0.0), "{name}: {parameter} got a gradient of zeros");
        }
    }
    Ok(())
}

#[test]
fn digits_v2_has_the_published_number_of_parameters() -> Outcome {
    // Branches: digit and style 10·512 + 512 + 512·512 + 512 (fc1, fc2) + 2·512 slopes = 269,312 each;
    // colour 3·128 + 128 + 128·128 + 128 + 2·128 = 17,280; transform 6·256 + 256 + 256·256 + 256 + 2·256 = 68,096.
    // fc3 1408·2048 + 2048 + 2048 slopes = 2,887,680; fc4 2048·2048 + 2·2048 = 4,198,400;
    // fc5 2048·12544 + 12544 + 256 slopes = 25,702,912.
    // deconv1 256·256·16 + 256 + 256 slopes = 1,049,088; deconv2 256·3·4 + 3 = 3,075.
    let expected = 2 * 269_312 + 17_280 + 68_096 + 2_887_680 + 4_198_400 + 25_702_912 + 1_049_088 + 3_075;
    let config = presets::generator("digits-v2")?;
    let generator = Generator::new("digits-v2", &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(1))?;
    assert_eq!(generator.params().count(), expected);
    Ok(())
}

#[test]
fn the_arithmetic_of_a_step_is_counted_under_the_names_of_the_sections() -> Outcome {
    // digits-v2, multiplications of an image: branches 2·(10·512 + 512²) + 3·128 + 128² + 6·256 + 256² = 618,368;
    // fc3 to fc5 1408·2048 + 2048² + 2048·12544 = 32,768,000; deconv1 49 pixels · 256·256·16 = 51,380,224;
    // deconv2 196 · 256·3·4 = 602,112. Together 85,368,704; six floating-point operations for each in a step.
    // digits-v1: branches 666,880; fc3 to fc5 15,466,496; deconv1 51,380,224, deconv2 196 · 256·92·16 = 73,859,072,
    // deconv3 784 · 92·92·25 = 165,894,400, deconv4 784 · 92·3·25 = 5,409,600.
    let v1 = 666_880 + 15_466_496 + 51_380_224 + 73_859_072 + 165_894_400 + 5_409_600;
    for (name, batch, expected, gflop) in [("digits-v2", 128, 85_368_704, 65.6), ("digits-v1", 64, v1, 120.0)] {
        let counts = presets::generator(name)?.multiplications().ok_or("not counted")?;
        let total: u64 = counts.iter().map(|(_, n)| n).sum();
        assert_eq!(total, expected, "{name}");
        let found = 6.0 * (total * batch) as f64 / 1e9;
        assert!((found - gflop).abs() < 0.2, "{name}: {found} GFLOP, expected about {gflop}");
    }
    for name in digit_generators() {
        let config = presets::generator(name)?;
        let generator = Generator::new(name, &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(1))?;
        let levels = digits_levels()?;
        let (drawn, times) = multigen_ops::timing::record(|| generator.forward(&levels));
        drawn?;
        let sections: Vec<String> = times.into_iter().map(|time| time.name).collect();
        match config.multiplications() {
            Some(counts) => {
                assert_eq!(sections, counts.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), "{name}")
            }
            None => assert!(sections.iter().any(|section| section == "action"), "{name}: {sections:?}"),
        }
    }
    Ok(())
}

#[test]
fn a_description_is_written_as_ever_so_that_runs_keep_their_names() -> Outcome {
    let expected = concat!(
        r#"{"concatenating":{"branches":[{"factor":"digit","levels":10,"fc1":512,"fc2":512},"#,
        r#"{"factor":"style","levels":10,"fc1":512,"fc2":512},{"factor":"colour","levels":3,"fc1":128,"fc2":128},"#,
        r#"{"factor":"transform","levels":6,"fc1":256,"fc2":256}],"hidden":[2048,2048],"map":{"channels":256,"size":7},"#,
        r#""upsampling":[{"channels":256,"kernel":4,"stride":2,"padding":1},{"channels":3,"kernel":2,"stride":2,"padding":0}],"#,
        r#""activation":"prelu","last":"relu","mask_head":false,"filling":"plain"}}"#
    );
    assert_eq!(serde_json::to_string(&presets::generator("digits-v2")?)?, expected);
    for name in presets::GENERATORS {
        let config = presets::generator(name)?;
        let json = serde_json::to_string(&config)?;
        assert_eq!(json.contains("conv3"), name == "mmi-large", "{name}");
        assert_eq!(serde_json::from_str::<GeneratorConfig>(&json)?, config, "{name}");
    }
    Ok(())
}

#[test]
fn a_seed_names_the_weights() -> Outcome {
    let config = presets::generator("operator-affine")?;
    let weights = |seed| -> Result<Vec<f32>, Box<dyn std::error::Error>> {
        let generator = Generator::new("g", &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(seed))?;
        let mut all = Vec::new();
        for (_, param) in generator.params().iter() {
            all.extend(param.var.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(all)
    };
    assert_eq!(weights(3)?, weights(3)?);
    assert_ne!(weights(3)?, weights(4)?);
    Ok(())
}

#[test]
fn an_image_does_not_depend_on_what_else_is_drawn() -> Outcome {
    // Contents are drawn once per batch and picked per image; a picked image must be the one drawn alone.
    for name in digit_generators() {
        let config = presets::generator(name)?;
        let generator = Generator::new(name, &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(5))?;
        let together = generator.forward(&digits_levels()?)?.images;
        let rows: [&[u32]; 1] = [&[7, 9, 2, 5]];
        let alone = generator.forward(&LevelTable::from_rows(rows)?)?.images;
        let difference = (together.get(2)? - alone.get(0)?)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(difference < 1e-5, "{name}: {difference}");
    }
    Ok(())
}

/// `[n, levels]` per factor of the network with one 1 per row.
fn one_hot_codes(config: &GeneratorConfig, levels: &LevelTable) -> multigen_models::Result<Vec<Tensor>> {
    let factors = config.factors();
    let code = |(factor, (_, n)): (usize, &(String, usize))| {
        let index = Tensor::new(levels.column(factor), &Device::Cpu)?;
        Ok(Tensor::eye(*n, DType::F32, &Device::Cpu)?.index_select(&index, 0)?)
    };
    factors.iter().enumerate().map(code).collect()
}

#[test]
fn a_mixture_of_one_level_is_that_level_and_its_gradients_are_the_same() -> Outcome {
    for name in digit_generators() {
        let config = presets::generator(name)?;
        let generator = Generator::new(name, &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(7))?;
        let levels = digits_levels()?;
        let picked = generator.forward(&levels)?.images;
        let mixed = generator.forward_mixed(&one_hot_codes(&config, &levels)?)?.images;
        let [a, b] = [&picked, &mixed].map(|images| images.flatten_all().and_then(|images| images.to_vec1::<f32>()));
        let (a, b) = (a?, b?);
        let scale = a.iter().fold(1e-3f32, |scale, value| scale.max(value.abs()));
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-5 * scale), "{name}");
        let [picked, mixed] = [picked, mixed].map(|images| images.sqr()?.sum_all()?.backward());
        let (picked, mixed) = (picked?, mixed?);
        for (parameter, var) in generator.params().vars() {
            let gradient = |store: &candle_core::backprop::GradStore| -> candle_core::Result<Vec<f32>> {
                store.get(&var).map_or(Ok(Vec::new()), |gradient| gradient.flatten_all()?.to_vec1())
            };
            let (a, b) = (gradient(&picked)?, gradient(&mixed)?);
            assert_eq!(a.len(), b.len(), "{name}: {parameter}");
            let scale = a.iter().fold(1e-6f32, |scale, value| scale.max(value.abs()));
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-3 * scale), "{name}: {parameter}");
        }
    }
    Ok(())
}

#[test]
fn colours_mix_linearly_and_codes_of_a_wrong_shape_are_errors() -> Outcome {
    // Colours scale the channels of a grey image, so half red and half green has half of each one's channels.
    let config = presets::generator("operator-affine")?;
    let generator = Generator::new("operator-affine", &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(8))?;
    let levels = |colour: u32| LevelTable::from_columns(vec![vec![3], vec![5], vec![colour], vec![1]]);
    let of_level =
        |colour| -> Result<Tensor, Box<dyn std::error::Error>> { Ok(generator.forward(&levels(colour)?)?.images) };
    let mut codes = one_hot_codes(&config, &levels(0)?)?;
    codes[2] = Tensor::new(&[[0.5f32, 0.5, 0.0]], &Device::Cpu)?;
    let mixed = generator.forward_mixed(&codes)?.images.flatten_all()?.to_vec1::<f32>()?;
    let expected = ((of_level(0)? + of_level(1)?)? * 0.5)?.flatten_all()?.to_vec1::<f32>()?;
    assert!(mixed.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-5), "{mixed:?}");
    // A concatenating network sees the mixture as its input: other numbers than the mean of both images.
    let config = presets::generator("digits-v2")?;
    let generator = Generator::new("digits-v2", &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(8))?;
    let mut codes = one_hot_codes(&config, &levels(0)?)?;
    codes[0] = Tensor::full(0.1f32, (1, 10), &Device::Cpu)?;
    let mixed = generator.forward_mixed(&codes)?.images;
    assert_eq!(mixed.dims(), [1, 3, 28, 28]);
    let message = |codes: &[Tensor]| generator.forward_mixed(codes).err().map_or(String::new(), |e| e.to_string());
    codes[1] = Tensor::full(0.1f32, (1, 9), &Device::Cpu)?;
    assert!(message(&codes).contains("style [n, 10]"), "{}", message(&codes));
    assert!(message(&codes[..3]).contains("expected digit [n, 10]"), "{}", message(&codes[..3]));
    Ok(())
}

#[test]
fn levels_that_do_not_exist_and_impossible_networks_are_errors() -> Outcome {
    let config = presets::generator("digits-v2")?;
    let generator = Generator::new("digits-v2", &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(1))?;
    let rows: [&[u32]; 1] = [&[7, 10, 0, 4]];
    let error = generator.forward(&LevelTable::from_rows(rows)?).err().map(|e| e.to_string());
    assert_eq!(error.as_deref(), Some("factor style: level 10 asked for, the network has levels 0 to 9"));
    assert!(presets::generator("digits-v9").is_err_and(|e| e.to_string().contains("digits-v2")));
    let mut broken = small();
    broken.upsampling[0].padding = 9;
    assert!(broken.image_size("small").is_err_and(|e| e.to_string().contains("deconv1")));
    Ok(())
}

/// Two factors, one hidden layer, two transposed convolutions, a mask head: every kind of layer at a size that a file
/// beside the test can hold.
fn small() -> ConcatenatingConfig {
    let branch = |factor: &str, levels| Branch { factor: factor.to_owned(), levels, fc1: 3, fc2: 2 };
    let up = |channels, kernel, padding| Upsampling { channels, kernel, stride: 2, padding, conv3: false };
    ConcatenatingConfig {
        branches: vec![branch("digit", 4), branch("colour", 3)],
        hidden: vec![6],
        map: FeatureMap { channels: 4, size: 2 },
        upsampling: vec![up(3, 4, 1), up(3, 2, 0)],
        activation: Activation::Prelu,
        last: Activation::Relu,
        mask_head: true,
        filling: FillingRules::Plain,
    }
}

/// `pytorch/reference.py` loaded `pytorch/small.safetensors`, which this test's network wrote, into a PyTorch network
/// with the same names and wrote what it drew to `pytorch/reference.json`.
#[test]
fn a_weights_file_draws_the_same_in_pytorch() -> Outcome {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch");
    let config = GeneratorConfig::Concatenating(small());
    let generator = Generator::new("small", &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(7))?;
    if std::env::var_os("MULTIGEN_WRITE_REFERENCE").is_some() {
        candle_core::safetensors::save(
            &generator.params().tensors()?.into_iter().collect(),
            dir.join("small.safetensors"),
        )?;
    }
    let other = Generator::new("small", &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(8))?;
    other.load_file(&dir.join("small.safetensors"))?;
    let rows: [&[u32]; 3] = [&[0, 2], &[3, 1], &[1, 0]];
    let reference = std::fs::read_to_string(dir.join("reference.json"))?;
    let reference: std::collections::BTreeMap<String, Vec<f32>> = serde_json::from_str(&reference)?;
    for generator in [&generator, &other] {
        let drawn = generator.forward(&LevelTable::from_rows(rows)?)?;
        let logits = drawn.mask_logits.ok_or("no mask")?;
        for (name, ours) in [("images", drawn.images), ("mask_logits", logits)] {
            let (ours, theirs) = (ours.flatten_all()?.to_vec1::<f32>()?, &reference[name]);
            assert_eq!(ours.len(), theirs.len());
            let worst = ours.iter().zip(theirs).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(worst < 1e-5, "{name}: {worst}");
        }
    }
    Ok(())
}
