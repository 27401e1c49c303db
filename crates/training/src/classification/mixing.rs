//! Images of nobody: two training persons' codes mixed half and half, with an emotion (SPEC §6).
//!
//! Every pair of persons is mixed once in every combination of the other factors. Pairs come in a random order of their
//! own for each of those, which take turns: whatever number of images is taken from the beginning, all emotions are as frequent
//! as each other to within one, and a smaller number is a part of a larger one.

use candle_core::Tensor;
use multigen_data::randomness::keyed_rng;
use multigen_data::{Combination, Factors};
use multigen_models::Generator;
use rand::seq::SliceRandom;

use crate::{Error, Result};

/// The weight of each of the two persons.
const HALF: f32 = 0.5;
/// Images drawn at a time: bounds the memory that activations take.
const DRAWN_AT_ONCE: usize = 128;

/// One mixture: two persons, and a level of every factor; that of the person is the first one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mixed {
    /// A level of every factor; the person's is the smaller one.
    pub levels: Combination,
    /// The other person.
    pub other: usize,
}

/// The first `n` mixtures of a seed.
///
/// # Errors
/// When the set has no factor `person`, or there are fewer mixtures.
pub(super) fn mixtures(factors: &Factors, n: usize, seed: u64) -> Result<Vec<Mixed>> {
    let person = factors.position("person")?;
    let n_persons = factors.n_levels()[person];
    let pairs: Vec<(usize, usize)> = (0..n_persons).flat_map(|a| (a + 1..n_persons).map(move |b| (a, b))).collect();
    let templates: Vec<Combination> = factors.combinations().filter(|combination| combination[person] == 0).collect();
    let n_all = pairs.len() * templates.len();
    if n > n_all {
        let problem = format!("{n} images asked for, but {n_persons} persons make {n_all} mixtures; ask for fewer");
        return Err(Error::config("generated", problem));
    }
    let mut orders: Vec<Vec<(usize, usize)>> = Vec::with_capacity(templates.len());
    for template in 0..templates.len() {
        let mut order = pairs.clone();
        order.shuffle(&mut keyed_rng(seed, "mixtures", template as u64));
        orders.push(order);
    }
    Ok((0..n)
        .map(|i| {
            let template = i % templates.len();
            let (first, other) = orders[template][i / templates.len()];
            let mut levels = templates[template].clone();
            levels.0[person] = first;
            Mixed { levels, other }
        })
        .collect())
}

/// Draws mixtures, clamped to [0, 1].
///
/// # Shapes
/// n mixtures → n × 3 × h × w.
///
/// # Errors
/// When the generator has other factors.
pub(super) fn draw(generator: &Generator, factors: &Factors, mixtures: &[Mixed]) -> Result<Vec<f32>> {
    let person = factors.position("person")?;
    let device = generator.params().device();
    let mut pixels = Vec::new();
    for chunk in mixtures.chunks(DRAWN_AT_ONCE) {
        let mut codes = Vec::with_capacity(factors.len());
        for (place, &n_levels) in factors.n_levels().iter().enumerate() {
            let mut weights = vec![0f32; chunk.len() * n_levels];
            for (row, mixed) in weights.chunks_exact_mut(n_levels).zip(chunk) {
                row[mixed.levels[place]] = 1.0;
                if place == person {
                    row[mixed.levels[place]] = HALF;
                    row[mixed.other] = HALF;
                }
            }
            codes.push(Tensor::from_vec(weights, (chunk.len(), n_levels), device)?);
        }
        let drawn = generator.forward_mixed(&codes)?.images.detach().flatten_all()?.to_vec1::<f32>()?;
        pixels.extend(drawn.into_iter().map(|pixel| pixel.clamp(0.0, 1.0)));
    }
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use multigen_data::Factor;

    use super::*;

    fn factors() -> Factors {
        Factors::new(vec![Factor::numbered("person", 5), Factor::numbered("emotion", 4)]).unwrap()
    }

    #[test]
    fn every_pair_is_mixed_once_per_emotion_and_fewer_are_a_part_of_more() {
        // Five persons are ten pairs; with four emotions, forty mixtures.
        let all = mixtures(&factors(), 40, 3).unwrap();
        let distinct: BTreeSet<(usize, usize, usize)> =
            all.iter().map(|mixed| (mixed.levels[0], mixed.other, mixed.levels[1])).collect();
        assert_eq!(distinct.len(), 40);
        assert!(all.iter().all(|mixed| mixed.levels[0] < mixed.other));
        let few = mixtures(&factors(), 10, 3).unwrap();
        assert_eq!(few, all[..10]);
        // Ten images of four emotions: three, three, two, two.
        let count = |emotion| few.iter().filter(|mixed| mixed.levels[1] == emotion).count();
        assert_eq!([0, 1, 2, 3].map(count), [3, 3, 2, 2]);
        assert_ne!(mixtures(&factors(), 10, 4).unwrap(), few);
        let message = mixtures(&factors(), 41, 3).unwrap_err().to_string();
        assert!(message.contains("41 images asked for, but 5 persons make 40 mixtures"), "{message}");
    }

    #[test]
    fn a_mixture_is_what_the_generator_draws_of_half_and_half() {
        let levels = [("person".to_owned(), 5), ("emotion".to_owned(), 4)];
        let config = multigen_models::presets::generator_for("compact", &levels, 16).unwrap();
        let device = candle_core::Device::Cpu;
        let generator = Generator::new("compact", &config, &device, &mut keyed_rng(1, "weights", 0)).unwrap();
        let mixed = [Mixed { levels: Combination(vec![1, 2]), other: 4 }];
        let drawn = draw(&generator, &factors(), &mixed).unwrap();
        let person = Tensor::new(&[[0f32, 0.5, 0.0, 0.0, 0.5]], &device).unwrap();
        let emotion = Tensor::new(&[[0f32, 0.0, 1.0, 0.0]], &device).unwrap();
        let expected = generator.forward_mixed(&[person, emotion]).unwrap().images;
        let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(drawn, expected.iter().map(|pixel| pixel.clamp(0.0, 1.0)).collect::<Vec<_>>());
        assert!(drawn.iter().any(|pixel| *pixel > 0.0));
    }
}
