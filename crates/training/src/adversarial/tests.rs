use std::collections::BTreeMap;
use std::result::Result as StdResult;

use multigen_data::{Combination, Factor, Factors};
use multigen_ops::GradientBuffers;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::run_config::Styles;

type Outcome = StdResult<(), Box<dyn std::error::Error>>;

const CPU: &Device = &Device::Cpu;
const SIZE: usize = 8;

fn adversarial(loss: AdversarialLoss, regularisation: Regularisation) -> Adversarial {
    Adversarial { loss, regularisation, learning_rate: 1e-3 }
}

fn opponent(loss: AdversarialLoss, regularisation: Regularisation) -> Result<Opponent> {
    let factors = Factors::new(vec![Factor::numbered("digit", 4), Factor::numbered("colour", 3)])?;
    let set = ImageSet {
        images: vec![0.0; 3 * SIZE * SIZE],
        channels: 3,
        height: SIZE,
        width: SIZE,
        masks: None,
        combinations: vec![Combination(vec![0, 0])],
        factors,
    };
    Opponent::new(
        &adversarial(loss, regularisation),
        (&SetConfig::Digits { transforms: 6, styles: Styles::Handwritten }, &set),
        3,
        CPU,
    )
}

fn images(n: usize, seed: u64) -> Result<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..n * 3 * SIZE * SIZE).map(|_| rng.random()).collect();
    Ok(Tensor::from_vec(values, (n, 3, SIZE, SIZE), CPU)?)
}

fn scalar(x: &Tensor) -> Result<f64> {
    Ok(f64::from(x.to_scalar::<f32>()?))
}

/// The losses of this module's table, from the scores that the duel itself reports.
#[test]
fn losses_are_those_of_the_table() -> Outcome {
    let (real, generated) = (images(2, 1)?, images(2, 2)?);
    let levels = [vec![1, 3], vec![0, 2]];
    let plus = |x: f64| (1.0 + x.exp()).ln();
    for loss in [AdversarialLoss::NonSaturating, AdversarialLoss::Hinge, AdversarialLoss::Wasserstein] {
        let duel = opponent(loss, Regularisation::SpectralNorm)?.duel(&real, &generated, &levels, 0)?;
        let scores = |x: &Tensor| -> Result<Vec<f64>> { Ok(x.to_vec1::<f32>()?.into_iter().map(f64::from).collect()) };
        let (r, g) = (scores(&duel.real)?, scores(&duel.generated)?);
        let mean = |of: &dyn Fn(f64, f64) -> f64| (of(r[0], g[0]) + of(r[1], g[1])) / 2.0;
        let (of_discriminator, of_generator) = match loss {
            AdversarialLoss::NonSaturating => (mean(&|r, g| plus(-r) + plus(g)), mean(&|_, g| plus(-g))),
            AdversarialLoss::Hinge => (mean(&|r, g| (1.0 - r).max(0.0) + (1.0 + g).max(0.0)), mean(&|_, g| -g)),
            AdversarialLoss::Wasserstein => (mean(&|r, g| g - r), mean(&|_, g| -g)),
        };
        assert!((scalar(&duel.discriminator)? - of_discriminator).abs() < 1e-4, "{loss:?}");
        assert!((scalar(&duel.generator)? - of_generator).abs() < 1e-4, "{loss:?}");
    }
    Ok(())
}

/// softplus(0) = ln 2, softplus(100) = 100, softplus(−100) = 0; its slope is the logistic function, 1/2 at 0.
#[test]
fn softplus_by_hand() -> Outcome {
    let x = Var::new(&[0f32, 100., -100., 2.], CPU)?;
    let y = softplus(x.as_tensor())?;
    let exact = [2f32.ln(), 100.0, 0.0, (1.0 + 2f32.exp()).ln()];
    assert!(y.to_vec1::<f32>()?.iter().zip(exact).all(|(a, b)| (a - b).abs() < 1e-5), "{y:?}");
    let slope = y.backward()?.get(&x).ok_or("no gradient")?.to_vec1::<f32>()?;
    assert!((slope[3] - 1.0 / (1.0 + (-2f32).exp())).abs() < 1e-5 && slope[1] == 1.0, "{slope:?}");
    Ok(())
}

/// One backward pass of the sum: the generator's loss leaves the discriminator's weights alone, and the discriminator's
/// leaves the generated images alone.
#[test]
fn each_side_has_its_own_gradient() -> Outcome {
    for regularisation in [Regularisation::SpectralNorm, Regularisation::GradientPenalty(10.0)] {
        let opponent = opponent(AdversarialLoss::Hinge, regularisation)?;
        let generated = Var::from_tensor(&images(2, 2)?)?;
        let levels = [vec![1, 3], vec![0, 2]];
        let mut vars: BTreeMap<String, Var> = opponent.discriminator().params().vars();
        vars.insert("generated".to_owned(), generated.clone());
        let gradients = |which: &dyn Fn(&Duel) -> Result<Tensor>| -> Result<GradientBuffers> {
            let duel = opponent.duel(&images(2, 1)?, generated.as_tensor(), &levels, 0)?;
            let mut gradients = GradientBuffers::new(&vars);
            gradients.backward(&which(&duel)?)?;
            Ok(gradients)
        };
        let of_generator = gradients(&|duel| Ok(duel.generator.clone()))?;
        let of_discriminator = gradients(&|duel| Ok(duel.discriminator.clone()))?;
        let of_both = gradients(&|duel| Ok((&duel.generator + &duel.discriminator)?))?;
        let is_image = |name: &str| name == "generated";
        assert_eq!(of_generator.norm(|name| !is_image(name))?, 0.0);
        assert_eq!(of_discriminator.norm(is_image)?, 0.0);
        assert!(of_generator.norm(is_image)? > 1e-4 && of_discriminator.norm(|name| !is_image(name))? > 1e-4);
        assert_eq!(of_both.norm(is_image)?, of_generator.norm(is_image)?);
        let (both, one) = (of_both.norm(|name| !is_image(name))?, of_discriminator.norm(|name| !is_image(name))?);
        assert!((both - one).abs() < 1e-6 * one, "{both} {one}");
    }
    Ok(())
}

/// (‖∇s‖ − 1)², of the norm that candle's own gradient has; and its gradient is the slope of that.
#[test]
fn the_penalty_is_that_of_the_gradients_norm() -> Outcome {
    let opponent = opponent(AdversarialLoss::Wasserstein, Regularisation::GradientPenalty(10.0))?;
    let (real, generated) = (images(3, 1)?, images(3, 2)?);
    let once = LevelTable::from_columns(vec![vec![1, 3, 0], vec![0, 2, 1]])?;
    let step = 5;
    // The same mixtures as the penalty draws.
    let mut rng = keyed_rng(3, "gradient penalty", step);
    let share: Vec<f32> = (0..3).map(|_| rng.random()).collect();
    let share = Tensor::from_vec(share, (3, 1, 1, 1), CPU)?;
    let mixed = (real.broadcast_mul(&share)? + generated.broadcast_mul(&(1.0 - &share)?)?)?;
    let mixed = Var::from_tensor(&mixed)?;
    let exact = || -> Result<f64> {
        let slopes = opponent.discriminator.acting()?.score(mixed.as_tensor(), &once)?.sum_all()?.backward()?;
        let gradient = slopes.get(mixed.as_tensor()).cloned().ok_or_else(|| Error::config("test", "no gradient"))?;
        let norms = gradient.sqr()?.flatten_from(1)?.sum(D::Minus1)?.sqrt()?.to_vec1::<f32>()?;
        Ok(norms.iter().map(|norm| (f64::from(*norm) - 1.0).powi(2)).sum::<f64>() / 3.0)
    };
    let penalty = || {
        let acting = opponent.discriminator.acting()?;
        opponent.gradient_penalty((&acting, &acting.frozen()), (&real, &generated), &once, step)
    };
    let (found, true_penalty) = (scalar(&penalty()?)?, exact()?);
    assert!((found - true_penalty).abs() < 1e-4 * true_penalty, "{found} {true_penalty}");

    let vars = opponent.discriminator.params().vars();
    let mut gradients = GradientBuffers::new(&vars);
    gradients.backward(&penalty()?)?;
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for name in ["conv1.weight", "conv3.weight", "fc.weight", "score.weight", "levels.digit.weight"] {
        let var = &vars[name];
        let direction: Vec<f32> = (0..var.elem_count()).map(|_| rng.random_range(-1.0f32..1.0)).collect();
        let direction = Tensor::from_vec(direction, var.shape(), CPU)?;
        let slope = scalar(&(gradients.get(name)? * &direction)?.sum_all()?)?;
        let own = var.as_detached_tensor().copy()?;
        let at = |step: f64| -> Result<f64> {
            var.set(&(&own + (&direction * step)?)?)?;
            exact()
        };
        // A step so small that no rectifier turns over: there the penalty jumps, and its gradient says nothing of that.
        let measured = (at(1e-4)? - at(-1e-4)?) / 2e-4;
        var.set(&own)?;
        assert!((slope - measured).abs() < 0.01 * measured.abs() + 2e-3, "{name}: {slope} {measured}");
    }
    Ok(())
}

/// Scores 1, −1 of real images and −2, −3, 4 of generated ones: half and two thirds lie right of 0. The means are 0 and
/// −1/3, their middle −1/6: the same shares. Shifted by 10 only the middle still parts them.
#[test]
fn accuracy_by_hand() {
    for loss in [AdversarialLoss::Hinge, AdversarialLoss::NonSaturating, AdversarialLoss::Wasserstein] {
        assert_eq!(accuracy(loss, &[1.0, -1.0], &[-2.0, -3.0, 4.0]), (0.5, 2.0 / 3.0));
    }
    assert_eq!(accuracy(AdversarialLoss::Hinge, &[11.0, 9.0], &[8.0, 7.0, 14.0]), (1.0, 0.0));
    assert_eq!(accuracy(AdversarialLoss::Wasserstein, &[11.0, 9.0], &[8.0, 7.0, 14.0]), (0.5, 2.0 / 3.0));
}

#[test]
fn impossible_settings_are_one_line_with_a_cure() {
    let message = |loss, regularisation, learning_rate| {
        let config = Adversarial { learning_rate, ..adversarial(loss, regularisation) };
        config.validate("f").err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(message(AdversarialLoss::Hinge, Regularisation::None, 1e-3), "");
    assert!(message(AdversarialLoss::Wasserstein, Regularisation::None, 1e-3).contains("gradient_penalty = 10.0"));
    assert!(
        message(AdversarialLoss::Hinge, Regularisation::GradientPenalty(-1.0), 1e-3).contains("expected a positive")
    );
    assert!(message(AdversarialLoss::Hinge, Regularisation::None, 0.0).contains("learning_rate = 0"));
    let read: Adversarial =
        toml::from_str("loss = 'wasserstein'\nregularisation = { gradient_penalty = 10.0 }\nlearning_rate = 2e-4")
            .unwrap();
    assert_eq!(read.regularisation, Regularisation::GradientPenalty(10.0));
    assert!(
        toml::from_str::<Adversarial>("loss = 'hinge'\nregularisation = 'spectral_norm'\nlearning_rate = 1\nx = 1")
            .is_err()
    );
}
