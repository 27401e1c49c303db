//! The generators of faces: image sizes, parameter counts and arithmetic by hand, a gradient for every parameter.

use std::collections::BTreeMap;

use candle_core::Device;
use multigen_models::{Generator, LevelTable, presets};
use multigen_ops::{GradientBuffers, squared_error, timing};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A factor's branch with a first and second layer of this width: levels·w + w + w·w + w.
const fn branch(levels: usize, width: usize) -> usize {
    levels * width + width + width * width + width
}

/// Name, pixels, levels of each factor, parameters.
fn expected() -> [(&'static str, usize, Vec<u32>, usize); 5] {
    let kdef = branch(70, 512) + branch(3, 512) + branch(2, 128) + branch(6, 256);
    let mmi = branch(7, 512) + branch(7, 512) + branch(6, 256);
    // kdef-small: fc3 (512 + 512 + 128 + 256)·2048 + 2048 = 2,885,632; fc4 2048·2048 + 2048 = 4,196,352;
    // fc5 2048·32768 + 32768 = 67,141,632. deconv1 512·512·25 + 512 = 6,554,112; deconv2 512·184·25 + 184 = 2,355,384;
    // deconv3 184·3·25 + 3 = 13,803.
    let small = 4_196_352 + 67_141_632 + 6_554_112 + 2_355_384 + 13_803;
    // kdef-large: the same but for deconv3 184·184·25 + 184 = 846,584 and deconv4 184·3·16 + 3 = 8,835.
    let large = 4_196_352 + 67_141_632 + 6_554_112 + 2_355_384 + 846_584 + 8_835;
    // mmi has no session: fc3 (512 + 512 + 256)·2048 + 2048 = 2,623,488.
    // mmi-large: fc3 1280·1024 + 1024 = 1,311,744; fc4 1024·1024 + 1024 = 1,049,600; fc5 1024·16384 + 16384 = 16,793,600;
    // deconv1 256·256·25 + 256 = 1,638,656, conv1 256·256·9 + 256 = 590,080; deconv2 256·92·25 + 92 = 588,892, conv2
    // 92·92·9 + 92 = 76,268; deconv3 92·92·25 + 92 = 211,692, conv3 76,268; deconv4 92·3·16 + 3 = 4,419.
    let fcs = 1_311_744 + 1_049_600 + 16_793_600;
    let mmi_large = fcs + 1_638_656 + 590_080 + 588_892 + 76_268 + 211_692 + 76_268 + 4_419;
    [
        ("kdef-small", 71, vec![70, 3, 2, 6], kdef + 2_885_632 + small),
        ("kdef-large", 158, vec![70, 3, 2, 6], kdef + 2_885_632 + large),
        ("mmi-small", 71, vec![7, 7, 6], mmi + 2_623_488 + small),
        ("mmi-large", 158, vec![7, 7, 6], mmi + mmi_large),
        ("mmi-figure", 158, vec![7, 7, 6], mmi + 2_623_488 + large),
    ]
}

#[test]
fn sizes_and_parameters_are_those_of_the_specification_and_every_parameter_gets_a_gradient() -> Outcome {
    for (name, pixels, levels, n_parameters) in expected() {
        let config = presets::generator(name)?;
        assert_eq!(config.image_size(name)?, pixels, "{name}");
        assert_eq!(config.factors().iter().map(|(_, n)| *n as u32).collect::<Vec<_>>(), levels, "{name}");
        let generator = Generator::new(name, &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(1))?;
        assert_eq!(generator.params().count(), n_parameters, "{name}");

        let last: Vec<u32> = levels.iter().map(|n| n - 1).collect();
        let rows = LevelTable::from_rows([&vec![0; levels.len()][..], &last])?;
        let (drawn, times) = timing::record(|| generator.forward(&rows));
        let images = drawn?.images;
        assert_eq!(images.dims(), [2, 3, pixels, pixels], "{name}");
        let counted = config.multiplications().ok_or("not counted")?;
        let sections: Vec<String> = times.into_iter().map(|time| time.name).collect();
        assert_eq!(sections, counted.into_iter().map(|(layer, _)| layer).collect::<Vec<_>>(), "{name}");

        let mut gradients = GradientBuffers::new(&generator.params().vars());
        gradients.backward(&squared_error(&images, &(images.ones_like()? * 0.5)?)?)?;
        for (parameter, _) in generator.params().iter() {
            let gradient = gradients.get(parameter)?;
            let largest = gradient.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
            let total = gradient.sum_all()?.to_scalar::<f32>()?;
            assert!(total.is_finite() && largest > 0.0, "{name}: {parameter}: {total}, {largest}");
        }
    }
    Ok(())
}

#[test]
fn only_the_last_transposed_convolution_of_large_images_does_not_decay() -> Outcome {
    for name in ["kdef-small", "mmi-large"] {
        let config = presets::generator(name)?;
        let generator = Generator::new(name, &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(1))?;
        let undecayed: Vec<&str> = generator
            .params()
            .iter()
            .filter(|(_, param)| param.multipliers.decay == 0.0)
            .map(|(parameter, _)| parameter)
            .collect();
        let expected: &[&str] = if name == "mmi-large" { &["deconv4.bias", "deconv4.weight"] } else { &[] };
        assert_eq!(undecayed, expected, "{name}");
        assert!(generator.params().iter().all(|(_, param)| param.multipliers.learning_rate == 1.0));
    }
    Ok(())
}

#[test]
fn the_arithmetic_of_a_step_is_the_published_one() -> Outcome {
    // kdef-small: fc3 to fc5 74.2 million multiplications; deconv1 64 pixels · 512·512·25 = 419.4, deconv2
    // 289 · 512·184·25 = 680.7, deconv3 1225 · 184·3·25 = 16.9; branches 0.6.
    let counts: BTreeMap<String, u64> =
        presets::generator("kdef-small")?.multiplications().ok_or("not counted")?.into_iter().collect();
    assert_eq!(counts["deconv2"], 289 * 512 * 184 * 25);
    let gflop = 6.0 * 32.0 * counts.values().sum::<u64>() as f64 / 1e9;
    assert!((gflop - 229.0).abs() < 1.0, "{gflop}");
    // mmi-large's convolutions after 19×19, 39×39 and 79×79 pixels.
    let counts: BTreeMap<String, u64> =
        presets::generator("mmi-large")?.multiplications().ok_or("not counted")?.into_iter().collect();
    assert_eq!(counts["conv1"], 361 * 256 * 256 * 9);
    assert_eq!(counts["conv3"], 6241 * 92 * 92 * 9);
    Ok(())
}
