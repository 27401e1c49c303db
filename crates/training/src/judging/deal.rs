//! Which photos of a set teach a twin, and which it is tested on.

use std::collections::{BTreeMap, BTreeSet};

use multigen_data::ImageSet;
use multigen_data::randomness::keyed_rng;
use rand::seq::SliceRandom;

use crate::{Error, Result};

/// One of this many photos is for the test.
pub(super) const TEST_PART: usize = 5;

/// The two sides of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deal {
    /// Per image whether it is for the test.
    pub tested: Vec<bool>,
    /// Factors of which nothing can be told: every photo has a level of its own, so that a level is on one side alone.
    pub untold: Vec<String>,
}

impl Deal {
    /// Deals a set out photo by photo. A photo is what only the transform changes, so that none is on both sides. The
    /// order is drawn at random: in the order of their labels every fifth photo may well have the same level of the last
    /// factor. A photo stays on the training side where it is the last one there with some level.
    ///
    /// # Errors
    /// When there are too few photos, or none of them can be spared.
    pub(super) fn new(set: &ImageSet) -> Result<Self> {
        let transform = set.factors.position("transform").ok();
        let but_transform = |levels: &[usize]| -> Vec<usize> {
            levels.iter().enumerate().filter(|(place, _)| Some(*place) != transform).map(|(_, &level)| level).collect()
        };
        let mut photos: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        let mut n_train: Vec<Vec<usize>> = set.factors.n_levels().into_iter().map(|n| vec![0; n]).collect();
        for (index, combination) in set.combinations.iter().enumerate() {
            photos.entry(but_transform(&combination.0)).or_default().push(index);
            n_train.iter_mut().zip(combination.iter()).for_each(|(n, &level)| n[level] += 1);
        }
        let too_few = |expected: &str| {
            Error::config(
                "judge",
                format!("{} photos are too few to tell how well it reads: expected {expected}", photos.len()),
            )
        };
        let n_test = photos.len() / TEST_PART;
        if n_test == 0 {
            return Err(too_few(&format!("at least {TEST_PART} different ones")));
        }
        let is_untold = |place: usize| {
            let levels: BTreeSet<usize> = set.combinations.iter().filter_map(|c| c.level(place)).collect();
            Some(place) != transform && levels.len() == photos.len()
        };
        let untold: Vec<bool> = (0..set.factors.len()).map(is_untold).collect();

        let mut order: Vec<&Vec<usize>> = photos.values().collect();
        order.shuffle(&mut keyed_rng(0, "judge twin", 0));
        let (mut tested, mut n_tested) = (vec![false; set.len()], 0);
        for images in order {
            if n_tested == n_test {
                break;
            }
            let combinations = || images.iter().filter_map(|&index| set.combinations.get(index));
            for combination in combinations() {
                n_train.iter_mut().zip(combination.iter()).for_each(|(n, &level)| n[level] -= 1);
            }
            let is_last = combinations().any(|combination| {
                let left = n_train.iter().zip(combination.iter()).map(|(n, &level)| n[level]);
                left.zip(&untold).any(|(left, untold)| left == 0 && !untold)
            });
            if is_last {
                for combination in combinations() {
                    n_train.iter_mut().zip(combination.iter()).for_each(|(n, &level)| n[level] += 1);
                }
                continue;
            }
            images.iter().for_each(|&index| tested[index] = true);
            n_tested += 1;
        }
        if n_tested == 0 {
            return Err(too_few("several photos of some levels, where each is the only one of a level"));
        }
        let untold =
            set.factors.iter().zip(untold).filter(|(_, untold)| *untold).map(|(f, _)| f.name.clone()).collect();
        Ok(Self { tested, untold })
    }
}

#[cfg(test)]
mod tests {
    use multigen_data::{Combination, Factor, Factors};

    use super::*;

    /// A set of these factors without pixels: all combinations, or those that are let in.
    fn set(factors: Vec<Factor>, is_in: impl Fn(&Combination) -> bool) -> ImageSet {
        let factors = Factors::new(factors).unwrap();
        let combinations = factors.combinations().filter(is_in).collect();
        ImageSet { factors, channels: 3, height: 0, width: 0, images: Vec::new(), masks: None, combinations }
    }

    /// Per factor how many levels are among the images of one side.
    fn n_levels(set: &ImageSet, deal: &Deal, of_test: bool) -> Vec<usize> {
        let side = || set.combinations.iter().zip(&deal.tested).filter(move |(_, tested)| **tested == of_test);
        let levels = |place| side().filter_map(|(c, _)| c.level(place)).collect::<BTreeSet<usize>>().len();
        (0..set.factors.len()).map(levels).collect()
    }

    #[test]
    fn every_level_is_taught_whatever_the_number_of_levels() {
        for last in [2, 5, 10] {
            let factors = vec![Factor::numbered("shape", 4), Factor::numbered("size", last)];
            let set = set([factors, vec![Factor::numbered("transform", 4)]].concat(), |_| true);
            let deal = Deal::new(&set).unwrap();
            assert_eq!(n_levels(&set, &deal, false), [4, last, 4], "{last}");
            // One of five photos, in all four transforms: 4 · last / 5.
            assert_eq!(deal.tested.iter().filter(|tested| **tested).count(), 4 * (4 * last / 5), "{last}");
            assert!(deal.tested.chunks_exact(4).all(|photo| photo.iter().all(|tested| *tested == photo[0])));
            assert!(deal.untold.is_empty());
            assert_eq!(Deal::new(&set).unwrap(), deal);
        }
        // Dealt in the order of the labels, one level of five would be all of the test.
        let set = set(vec![Factor::numbered("shape", 40), Factor::numbered("size", 5)], |_| true);
        assert_eq!(n_levels(&set, &Deal::new(&set).unwrap(), true)[1], 5);
    }

    #[test]
    fn the_last_photo_of_a_level_stays_in_training() {
        // Shape 0 in all ten sizes; of the shapes 1 to 9 one size each: 19 photos, of which those nine stay.
        let factors = vec![Factor::numbered("shape", 10), Factor::numbered("size", 10)];
        let set = set(factors, |c| c[0] == 0 || c[0] == c[1]);
        let deal = Deal::new(&set).unwrap();
        assert_eq!(n_levels(&set, &deal, false), [10, 10]);
        // Three of 19, from what can be spared: shape 0 in the sizes 1 to 9.
        let tested: Vec<&Combination> =
            set.combinations.iter().zip(&deal.tested).filter(|(_, tested)| **tested).map(|(c, _)| c).collect();
        assert_eq!(tested.len(), 3);
        assert!(tested.iter().all(|c| c[0] == 0 && c[1] > 0), "{tested:?}");
    }

    #[test]
    fn of_a_factor_that_names_every_photo_nothing_is_told() {
        let factors = vec![Factor::numbered("name", 10), Factor::numbered("hue", 2), Factor::numbered("transform", 4)];
        let set = set(factors, |c| c[0] % 2 == c[1]);
        let deal = Deal::new(&set).unwrap();
        assert_eq!((deal.untold.as_slice(), n_levels(&set, &deal, true)[0]), (&["name".to_owned()][..], 2));
        assert_eq!(n_levels(&set, &deal, false)[1..], [2, 4]);
    }

    #[test]
    fn sets_without_a_photo_to_spare_are_refused() {
        let message = |set: &ImageSet| Deal::new(set).unwrap_err().to_string();
        let four = message(&set(vec![Factor::numbered("shape", 4), Factor::numbered("transform", 6)], |_| true));
        assert!(four.contains("4 photos are too few") && four.contains("at least 5 different ones"), "{four}");
        // A star of two arms: every photo but the one in the middle is the only one of a level.
        let factors = vec![Factor::numbered("shape", 4), Factor::numbered("size", 4)];
        let star = message(&set(factors, |c| c[0] == 0 && c[1] > 0 || c[1] == 0 && c[0] > 0));
        assert!(star.contains("6 photos are too few") && star.contains("the only one of a level"), "{star}");
    }
}
