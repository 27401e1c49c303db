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

/// Gives every portrait, and the last layer of the network that redraws them, other numbers than those they start with:
/// grey portraits have no edge to move, and a last layer of zeros lets no gradient through.
fn remember_something(generator: &Generator) -> Outcome {
    for (name, param) in generator.params().iter() {
        if name == "portraits" || name == "redraw.deconv3.weight" {
            let wave = (Tensor::arange(0f32, param.var.elem_count() as f32, &Device::Cpu)? * 0.37)?.sin()?;
            let wave = if name == "portraits" { ((wave * 0.3)? + 0.4)? } else { (wave * 0.02)? };
            param.var.set(&wave.reshape(param.var.shape())?)?;
        }
    }
    Ok(())
}

#[test]
fn they_draw_any_size_and_every_parameter_gets_a_gradient() -> Outcome {
    const STEPS: u64 = 10;
    for name in OURS {
        // Even, odd, and sizes that halve to both.
        for size in [16, 24, 27, 71] {
            let (config, generator) = build(name, size, true)?;
            remember_something(&generator)?;
            assert_eq!(config.image_size(name)?, size, "{name}");
            assert_eq!(generator.forward(&levels()?)?.images.dims(), [4, 3, size, size], "{name}");
            let mut untaught: Vec<&str> = generator.params().iter().map(|(parameter, _)| parameter).collect();
            for step in [0, STEPS - 1] {
                let drawn = generator.forward_to_learn(&levels()?, step, STEPS)?;
                let mut gradients = GradientBuffers::new(&generator.params().vars());
                // A target with a slope: constant images have no gradient by a map.
                let ramp = Tensor::arange(0f32, size as f32, &Device::Cpu)?.broadcast_as(drawn.images.shape())?;
                gradients.backward(&squared_error(&drawn.images, &(ramp / size as f64)?)?)?;
                for (parameter, _) in generator.params().iter().filter(|(p, _)| generator.learns(p, step, STEPS)) {
                    let largest = gradients.get(parameter)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
                    assert!(largest.is_finite() && largest > 0.0, "{name}: {parameter}: {largest}");
                    untaught.retain(|untaught| *untaught != parameter);
                }
            }
            assert!(untaught.is_empty(), "{name}: {untaught:?} never learn");
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
        remember_something(&generator)?;
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

/// A portrait generator of 16×16 pixels whose network draws nothing, and whose emotions change everybody by 0.1, 0.2 and
/// 0.3; every portrait is of one brightness, given per person and session × emotion, 0.5 for one that was never shown.
fn plain_portraits(of: impl Fn(usize, usize) -> f32) -> Result<Generator, Box<dyn std::error::Error>> {
    let (_, generator) = build("portrait", 16, true)?;
    for (name, param) in generator.params().iter() {
        let var = &param.var;
        let rows: Vec<f32> = match name {
            "redraw.deconv3.weight" | "redraw.deconv3.bias" => {
                var.set(&var.zeros_like()?)?;
                continue;
            }
            // 4 persons · 2 sessions · 3 emotions.
            "portraits" => (0..24).map(|row| of(row / 3, row % 3)).collect(),
            "changes.emotion" => vec![0.1, 0.2, 0.3],
            _ => continue,
        };
        let n = rows.len();
        assert_eq!(var.dims(), [n, 768], "{name}"); // 3·16·16 numbers each
        var.set(&Tensor::from_vec(rows, (n, 1), &Device::Cpu)?.broadcast_as((n, 768))?.contiguous()?)?;
    }
    Ok(generator)
}

/// The brightness of person 3 in session 1 (so portraits 7) with emotion 2; the first transform moves nothing.
fn brightness(generator: &Generator) -> Result<f32, Box<dyn std::error::Error>> {
    let rows: [&[u32]; 1] = [&[3, 2, 1, 0]];
    let drawn = generator.forward(&LevelTable::from_rows(rows)?)?.images.flatten_all()?;
    let (low, high) = (drawn.min(0)?.to_scalar::<f32>()?, drawn.max(0)?.to_scalar::<f32>()?);
    assert!(high - low < 1e-6, "{low} to {high}");
    Ok(low)
}

#[test]
fn an_emotion_is_drawn_from_the_others_and_never_from_itself() -> Outcome {
    let near = |generator: &Generator, expected: f32, what: &str| -> Outcome {
        let found = brightness(generator)?;
        assert!((found - expected).abs() < 1e-5, "{what}: {found}, expected {expected}");
        Ok(())
    };
    // Without a network one half is the sum of effects, and each of the three portraits, the missing one filled in, a sixth.
    // Seen with emotions 0 and 1: without emotion ((0.2 − 0.1) + (0.4 − 0.2)) / 2 = 0.15, with emotion 2 0.45;
    // ½ · 0.45 + (0.2 + 0.4 + 0.45) / 6 = 0.4. What is remembered of emotion 2 itself changes nothing.
    for own in [0.9, 0.1, 0.5] {
        near(&plain_portraits(|_, emotion| [0.2, 0.4, own][emotion])?, 0.4, "two others")?;
    }
    // Seen with emotion 0 only: without emotion 0.1, with emotion 2 0.4, with emotion 1 0.3;
    // ½ · 0.4 + (0.2 + 0.3 + 0.4) / 6 = 0.35.
    near(&plain_portraits(|_, emotion| [0.2, 0.5, 0.9][emotion])?, 0.35, "one other")?;
    // Seen with emotion 2 only, so drawn from it: without emotion 0.9 − 0.3 = 0.6, emotions 0.7, 0.8, 0.9;
    // ½ · 0.9 + (0.7 + 0.8 + 0.9) / 6 = 0.85.
    near(&plain_portraits(|_, emotion| [0.5, 0.5, 0.9][emotion])?, 0.85, "no other")?;
    // Never seen: as the mean of all others without emotion, who are 0.2 − 0.1 = 0.1 with emotion 0 and nothing else;
    // emotions 0.2, 0.3, 0.4: ½ · 0.4 + (0.2 + 0.3 + 0.4) / 6 = 0.35.
    let shown = |who: usize, emotion: usize| if who != 7 && emotion == 0 { 0.2 } else { 0.5 };
    near(&plain_portraits(shown)?, 0.35, "never seen")
}

#[test]
fn portraits_are_learned_first_and_then_taught() -> Outcome {
    let (_, generator) = build("portrait", 16, true)?;
    remember_something(&generator)?;
    // Two fifths of ten steps.
    assert_eq!(generator.remembering_steps(10), 4);
    assert_eq!(build("compact", 16, true)?.1.remembering_steps(10), 0);
    let remembered = generator.forward_to_learn(&levels()?, 3, 10)?;
    assert!(remembered.instead_of_truth.is_none() && remembered.images.dims() == [4, 3, 16, 16]);
    // The first and the third row show one portrait in two transforms, which is redrawn once.
    let redrawn = generator.forward_to_learn(&levels()?, 4, 10)?;
    let truth = redrawn.instead_of_truth.ok_or("nothing to learn from")?;
    assert!(redrawn.images.dims() == [3, 3, 16, 16] && truth.dims() == [3, 3, 16, 16]);
    // The first row's transform moves nothing, so what it remembers is the truth of what it redraws.
    let difference = (remembered.images.get(0)? - truth.get(0)?)?.abs()?.max_all()?.to_scalar::<f32>()?;
    assert!(difference < 1e-6, "{difference}");
    Ok(())
}

#[test]
fn impossible_descriptions_are_one_line() -> Outcome {
    let part = |factor: &str, levels, part| PartOf { factor: factor.to_owned(), levels, part };
    let good = PortraitConfig {
        factors: vec![part("person", 4, Part::Sits), part("emotion", 3, Part::Redraws)],
        widths: [4, 4, 4],
        size: 16,
        remembering: 0.4,
    };
    assert_eq!(good.image_size("n")?, 16);
    let moves = |levels, bank| part("transform", levels, Part::Moves { bank });
    let with = |more: Vec<PartOf>| PortraitConfig { factors: [good.factors.clone(), more].concat(), ..good.clone() };
    for (config, expected) in [
        (PortraitConfig { factors: good.factors[1..].to_vec(), ..good.clone() }, "no factor that sits"),
        (PortraitConfig { factors: good.factors[..1].to_vec(), ..good.clone() }, "0 factors that redraw"),
        (with(vec![part("mood", 3, Part::Redraws)]), "2 factors that redraw"),
        (with(vec![part("pose", 0, Part::Sits)]), "factor pose: no level"),
        (with(vec![moves(4, Bank::Turns), moves(4, Bank::Turns)]), "two factors move pixels"),
        (with(vec![moves(4, Bank::Random { maps: 0 })]), "the bank has no map"),
        (with(vec![moves(1, Bank::TurnsFromFirst)]), "expected a second one"),
        (with(vec![part("pose", 1 << 40, Part::Sits)]), "numbers in all portraits"),
        (PortraitConfig { widths: [4, 0, 4], ..good.clone() }, "at least 1 channel"),
        (PortraitConfig { remembering: 1.0, ..good.clone() }, "remembering = 1: expected a share"),
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
