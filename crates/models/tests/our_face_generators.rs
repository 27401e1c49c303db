//! Our generators of faces and of any other set: sizes, a gradient for every parameter, one image alone and among others,
//! levels and their one-hot codes; and what a portrait is by hand.

use candle_core::{DType, Device, Tensor};
use multigen_models::portrait::{Part, PartOf, PortraitConfig};
use multigen_models::spatial::Bank;
use multigen_models::{Generator, GeneratorConfig, LevelTable, presets};
use multigen_ops::{GradientBuffers, squared_error};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const OURS: [&str; 5] = ["compact", "operator-emotion", "operator-transform", "operator-emotion-transform", "portrait"];

fn factors(with_session: bool) -> Vec<(String, usize)> {
    let all = [("person", 4), ("emotion", 3), ("session", 2), ("transform", 4)];
    let kept = all.into_iter().filter(|(name, _)| with_session || *name != "session");
    kept.map(|(name, levels)| (name.to_owned(), levels)).collect()
}

fn build(name: &str, size: usize, with_session: bool) -> multigen_models::Result<(GeneratorConfig, Generator)> {
    let config = presets::generator_for(name, &factors(with_session), size)?;
    let generator = Generator::new(name, &config, &Device::Cpu, &mut ChaCha8Rng::seed_from_u64(2))?;
    Ok((config, generator))
}

fn levels() -> multigen_models::Result<LevelTable> {
    let rows: [&[u32]; 4] = [&[3, 2, 1, 0], &[0, 1, 0, 2], &[3, 2, 1, 3], &[2, 0, 1, 1]];
    LevelTable::from_rows(rows)
}

#[test]
fn they_draw_any_size_and_every_parameter_gets_a_gradient() -> Outcome {
    for name in OURS {
        // Even, odd, and sizes that halve to both.
        for size in [16, 24, 27, 71] {
            let (config, generator) = build(name, size, true)?;
            assert_eq!(config.image_size(name)?, size, "{name}");
            let images = generator.forward(&levels()?)?.images;
            assert_eq!(images.dims(), [4, 3, size, size], "{name}");
            let mut gradients = GradientBuffers::new(&generator.params().vars());
            // A target with a slope: constant images have no gradient by a map.
            let ramp = Tensor::arange(0f32, size as f32, &Device::Cpu)?.broadcast_as(images.shape())?;
            gradients.backward(&squared_error(&images, &(ramp / size as f64)?)?)?;
            for (parameter, _) in generator.params().iter() {
                let largest = gradients.get(parameter)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
                // A portrait starts grey all over, so that at first only its edge moves and no one redraws.
                let waits = name == "portrait" && parameter.starts_with("redraw.") && !parameter.contains("deconv3");
                assert!(largest.is_finite() && (largest > 0.0 || waits), "{name}: {parameter}: {largest}");
            }
        }
        let (config, generator) = build(name, 16, false)?;
        assert_eq!(config.factors().len(), 3, "{name}");
        let rows: [&[u32]; 1] = [&[3, 2, 1]];
        assert_eq!(generator.forward(&LevelTable::from_rows(rows)?)?.images.dims(), [1, 3, 16, 16], "{name}");
    }
    Ok(())
}

#[test]
fn an_image_does_not_depend_on_what_else_is_drawn_and_a_one_hot_is_a_level() -> Outcome {
    for name in OURS {
        let (config, generator) = build(name, 24, true)?;
        let together = generator.forward(&levels()?)?.images;
        let rows: [&[u32]; 1] = [&[3, 2, 1, 3]];
        let alone = generator.forward(&LevelTable::from_rows(rows)?)?.images;
        let table = levels()?;
        let factors = config.factors();
        let codes = factors.iter().enumerate().map(|(factor, (_, n))| {
            let index = Tensor::new(table.column(factor), &Device::Cpu)?;
            Tensor::eye(*n, DType::F32, &Device::Cpu)?.index_select(&index, 0)
        });
        let mixed = generator.forward_mixed(&codes.collect::<candle_core::Result<Vec<_>>>()?)?.images;
        for difference in [(together.get(2)? - alone.get(0)?)?, (together - mixed)?] {
            let largest = difference.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(largest < 1e-4, "{name}: {largest}");
        }
    }
    Ok(())
}

#[test]
fn a_portrait_is_the_sum_of_what_the_person_and_the_emotion_have_until_it_is_redrawn() -> Outcome {
    let (_, generator) = build("portrait", 16, true)?;
    let params = generator.params();
    let var = |name: &str| params.iter().find(|(found, _)| *found == name).map(|(_, param)| param.var.clone());
    // Nothing is redrawn when the last layer is 0.
    for name in ["redraw.deconv3.weight", "redraw.deconv3.bias"] {
        let var = var(name).ok_or("no such parameter")?;
        var.set(&var.zeros_like()?)?;
    }
    let portraits = var("portraits").ok_or("no portraits")?;
    let changes = var("changes.emotion").ok_or("no changes")?;
    assert_eq!(portraits.dims(), [8, 768]); // 4 persons · 2 sessions, 3·16·16 numbers each
    let pixels = Tensor::arange(0f32, 8.0 * 768.0, &Device::Cpu)?.reshape((8, 768))?;
    portraits.set(&pixels)?;
    changes.set(&Tensor::new(&[[0.25f32], [0.5], [0.75]], &Device::Cpu)?.broadcast_as((3, 768))?.contiguous()?)?;
    // Person 3 in session 1 is portrait 3·2 + 1 = 7; emotion 2 adds 0.75; the first transform moves nothing.
    let rows: [&[u32]; 1] = [&[3, 2, 1, 0]];
    let drawn = generator.forward(&LevelTable::from_rows(rows)?)?.images.flatten_all()?.to_vec1::<f32>()?;
    for (i, value) in drawn.iter().enumerate() {
        assert!((value - (7.0 * 768.0 + i as f32 + 0.75)).abs() < 1e-2, "{i}: {value}");
    }
    Ok(())
}

#[test]
fn impossible_descriptions_are_one_line() -> Outcome {
    let part = |factor: &str, levels, part| PartOf { factor: factor.to_owned(), levels, part };
    let good = PortraitConfig {
        factors: vec![part("person", 4, Part::Sits), part("emotion", 3, Part::Redraws)],
        widths: [4, 4, 4],
        size: 16,
    };
    assert_eq!(good.image_size("n")?, 16);
    let moves = |levels, bank| part("transform", levels, Part::Moves { bank });
    let with = |more: Vec<PartOf>| PortraitConfig { factors: [good.factors.clone(), more].concat(), ..good.clone() };
    for (config, expected) in [
        (PortraitConfig { factors: good.factors[1..].to_vec(), ..good.clone() }, "no factor that sits"),
        (PortraitConfig { factors: good.factors[..1].to_vec(), ..good.clone() }, "no factor that redraws"),
        (with(vec![part("pose", 0, Part::Sits)]), "factor pose: no level"),
        (with(vec![moves(4, Bank::Turns), moves(4, Bank::Turns)]), "two factors move pixels"),
        (with(vec![moves(4, Bank::Random { maps: 0 })]), "the bank has no map"),
        (with(vec![moves(1, Bank::TurnsFromFirst)]), "expected a second one"),
        (with(vec![part("pose", 1 << 40, Part::Sits)]), "numbers in all portraits"),
        (PortraitConfig { widths: [4, 0, 4], ..good.clone() }, "at least 1 channel"),
        (PortraitConfig { size: 7, ..good.clone() }, "8 pixels"),
    ] {
        let message = config.image_size("n").err().ok_or("accepted")?.to_string();
        assert!(message.contains(expected) && !message.contains('\n'), "{message}");
    }
    let size = |name: &str, size| presets::generator_for(name, &factors(true), size).err().map(|e| e.to_string());
    assert!(size("kdef-small", 64).is_some_and(|e| e.contains("draws 71×71 images, the data has 64×64")));
    assert!(size("digits-v2", 28).is_some_and(|e| e.contains("no branch for the factor person, only for digit")));
    assert!(size("compact", 8).is_some_and(|e| e.contains("at least one upsampling layer")));
    Ok(())
}
