//! The adversarial discriminator: conditioning, normalisation, shared weights, gradients against finite differences.

use std::error::Error;

use candle_core::{Device, Tensor, Var};
use multigen_models::{Acting, Discriminator, DiscriminatorConfig, LevelTable, Params};
use multigen_ops::GradientBuffers;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Outcome = Result<(), Box<dyn Error>>;

const CPU: &Device = &Device::Cpu;

fn config(spectral_norm: bool) -> DiscriminatorConfig {
    let factors = vec![("digit".to_owned(), 10), ("colour".to_owned(), 3)];
    DiscriminatorConfig { image_size: 12, factors, spectral_norm }
}

fn build(spectral_norm: bool) -> multigen_models::Result<Discriminator> {
    Discriminator::new(&config(spectral_norm), Params::new(CPU), &mut ChaCha8Rng::seed_from_u64(4))
}

fn images(n: usize, seed: u64) -> candle_core::Result<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Tensor::from_vec((0..n * 3 * 12 * 12).map(|_| rng.random::<f32>()).collect::<Vec<_>>(), (n, 3, 12, 12), CPU)
}

fn levels(rows: &[[u32; 2]]) -> multigen_models::Result<LevelTable> {
    LevelTable::from_rows(rows.iter().map(|row| row.as_slice()))
}

/// The labels act on the score by a projection: what two levels of one factor differ by does not depend on the other
/// factor, s(d, c) − s(d', c) = ⟨e(d) − e(d'), h⟩ for every c.
#[test]
fn labels_act_by_projection() -> Outcome {
    let net = build(false)?;
    let image = images(1, 1)?;
    let score = |digit, colour| -> Result<f32, Box<dyn Error>> {
        Ok(net.acting()?.score(&image, &levels(&[[digit, colour]])?)?.to_vec1::<f32>()?[0])
    };
    let of_digit: Vec<f32> =
        (0..3).map(|colour| Ok(score(7, colour)? - score(2, colour)?)).collect::<Result<_, Box<dyn Error>>>()?;
    assert!(of_digit[0].abs() > 1e-3, "{of_digit:?}");
    assert!(of_digit.iter().all(|d| (d - of_digit[0]).abs() < 1e-4), "{of_digit:?}");
    Ok(())
}

/// Ten times the weights of a layer are the same layer once they are divided by their norm; without, they are not.
#[test]
fn spectral_normalisation_takes_the_scale_out_of_every_weight() -> Outcome {
    let (images, levels) = (images(3, 2)?, levels(&[[0, 0], [4, 1], [9, 2]])?);
    for spectral_norm in [true, false] {
        let net = build(spectral_norm)?;
        let before = net.acting()?.score(&images, &levels)?.to_vec1::<f32>()?;
        for (name, param) in net.params().iter().filter(|(name, _)| name.ends_with("weight")) {
            let own = param.var.as_detached_tensor().copy()?;
            param.var.set(&(&own * 10.0)?)?;
            let after = net.acting()?.score(&images, &levels)?.to_vec1::<f32>()?;
            param.var.set(&own)?;
            let same = before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-4 * a.abs().max(1.0));
            assert_eq!(same, spectral_norm, "{name}: {before:?} {after:?}");
        }
    }
    Ok(())
}

#[test]
fn frozen_it_scores_alike_and_keeps_no_gradient() -> Outcome {
    for spectral_norm in [true, false] {
        let net = build(spectral_norm)?;
        let acting = net.acting()?;
        let frozen = acting.frozen();
        let levels = levels(&[[1, 1], [3, 0]])?;
        let image = Var::from_tensor(&images(2, 3)?)?;
        let scores = |of: &Acting| of.score(image.as_tensor(), &levels);
        assert_eq!(scores(&acting)?.to_vec1::<f32>()?, scores(&frozen)?.to_vec1::<f32>()?);

        let mut gradients = GradientBuffers::new(&net.params().vars());
        gradients.backward(&scores(&frozen)?.sum_all()?)?;
        assert_eq!(gradients.without_gradient().len(), net.params().vars().len());
        gradients.backward(&scores(&acting)?.sum_all()?)?;
        assert!(gradients.without_gradient().is_empty());
        let of_image = scores(&frozen)?.sum_all()?.backward()?;
        assert!(of_image.get(&image).ok_or("no gradient")?.abs()?.sum_all()?.to_scalar::<f32>()? > 1e-3);
    }
    Ok(())
}

#[test]
fn gradients_are_the_slopes_of_the_score() -> Outcome {
    let levels = levels(&[[1, 1], [3, 0]])?;
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for spectral_norm in [true, false] {
        let net = build(spectral_norm)?;
        let image = Var::from_tensor(&images(2, 7)?)?;
        let mut vars = net.params().vars();
        vars.insert("images".to_owned(), image.clone());
        let score = || -> Result<f64, Box<dyn Error>> {
            let scores = net.acting()?.score(image.as_tensor(), &levels)?;
            Ok(f64::from(scores.sqr()?.sum_all()?.to_scalar::<f32>()?))
        };
        let gradients = net.acting()?.score(image.as_tensor(), &levels)?.sqr()?.sum_all()?.backward()?;
        for (name, var) in &vars {
            let direction: Vec<f32> = (0..var.elem_count()).map(|_| rng.random_range(-1.0f32..1.0)).collect();
            let direction = Tensor::from_vec(direction, var.shape(), CPU)?;
            let gradient = gradients.get(var).ok_or("no gradient")?;
            if spectral_norm && name.ends_with("weight") {
                // Larger weights are the same layer, so the gradient has no part along the weights themselves.
                let along = (gradient * var.as_tensor())?.sum_all()?.to_scalar::<f32>()?.abs();
                let sizes = [gradient, var.as_tensor()].map(|x| x.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>());
                let [gradient, weight] = sizes;
                assert!(along < 1e-3 * gradient? * weight?, "{name}: {along}");
            }
            let slope = (gradient * &direction)?.sum_all()?.to_scalar::<f32>()?;
            let own = var.as_detached_tensor().copy()?;
            let at = |step: f64| -> Result<f64, Box<dyn Error>> {
                var.set(&(&own + (&direction * step)?)?)?;
                score()
            };
            let measured = (at(1e-3)? - at(-1e-3)?) / 2e-3;
            var.set(&own)?;
            // The scores are of the order of one in single precision, and leaky rectifiers bend. Twelve rounds of power
            // iteration leave the vectors a few per cent short, which the slope of a normalised layer feels.
            let tolerance = 0.04 * measured.abs() + 0.02;
            assert!((f64::from(slope) - measured).abs() < tolerance, "{name} {spectral_norm}: {slope} {measured}");
        }
    }
    Ok(())
}

/// ⟨∇s(x), d⟩ by candle's gradient of the score.
#[test]
fn the_slope_along_a_direction_is_that_of_the_gradient() -> Outcome {
    let levels = levels(&[[1, 1], [3, 0]])?;
    for spectral_norm in [true, false] {
        let net = build(spectral_norm)?;
        let image = Var::from_tensor(&images(2, 7)?)?;
        let direction = (images(2, 8)? - 0.5)?;
        let gradient = net.acting()?.score(image.as_tensor(), &levels)?.sum_all()?.backward()?;
        let exact =
            (gradient.get(&image).ok_or("no gradient")? * &direction)?.flatten_from(1)?.sum(1)?.to_vec1::<f32>()?;
        let found = net.acting()?.slope_along(image.as_tensor(), &direction, &levels)?.to_vec1::<f32>()?;
        assert!(exact.iter().all(|slope| slope.abs() > 1e-3), "{exact:?}");
        assert!(found.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 1e-4 * b.abs().max(1.0)), "{found:?} {exact:?}");
    }
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Outcome {
    let net = build(false)?;
    let two = levels(&[[1, 1], [3, 0]])?;
    assert!(net.acting()?.score(&images(3, 1)?, &two).is_err_and(|e| e.to_string().contains("images [3, 3, 12, 12]")));
    assert!(net.acting()?.score(&images(1, 1)?, &levels(&[[1, 3]])?).is_err_and(|e| e.to_string().contains("colour")));
    let tiny = DiscriminatorConfig { image_size: 4, ..config(false) };
    let refused = Discriminator::new(&tiny, Params::new(CPU), &mut ChaCha8Rng::seed_from_u64(0));
    assert!(refused.is_err_and(|e| e.to_string().contains("at least 8×8")));
    Ok(())
}
