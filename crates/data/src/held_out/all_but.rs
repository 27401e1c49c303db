//! All images but a few, so that training data is scarce: one cell of every level of a factor, and as many more as make up a
//! share.
//!
//! What is kept is the beginning of one random order, in which a cell of each level comes first: with one seed, a smaller share
//! is a part of a larger one.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::{Combination, Error, Factors, Result};

/// All but a few cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllBut {
    /// The factors whose combinations are the cells; with all factors of the set, a cell is an image.
    pub of: Vec<String>,
    /// The factor, among `of`, of whose every level at least one cell is kept.
    pub every: String,
    /// The share of the cells that is kept, from 0 to below 1, rounded to the nearest number of cells; 0 keeps one cell of every
    /// level and no more.
    pub share: f64,
    /// The seed of the choice; training adds a run's seed to it, so that an interval over seeds covers the choice.
    pub seed: u64,
}

/// The indices, in ascending order, of all combinations but those in the few cells that are kept, drawn by `rng`. What another
/// rule holds out, as `is_held_out` says, is no part of any cell.
///
/// # Errors
/// A factor does not exist or is named twice, `every` is not among `of`, the share is not from 0 to below 1, or nothing
/// would be held out.
pub fn select_all_but(
    name: &str,
    all_but: &AllBut,
    factors: &Factors,
    combinations: &[Combination],
    is_held_out: &[bool],
    rng: &mut impl Rng,
) -> Result<Vec<usize>> {
    let AllBut { of, every, share, .. } = all_but;
    if !(0.0..1.0).contains(share) {
        return Err(Error::held_out(name, format!("keeps a share of {share}; expected one from 0 to below 1")));
    }
    let mut places = Vec::with_capacity(of.len());
    for factor in of {
        let place = factors.position(factor).map_err(|error| Error::held_out(name, error.to_string()))?;
        if places.contains(&place) {
            return Err(Error::held_out(name, format!("`of` names `{factor}` twice; name it once")));
        }
        places.push(place);
    }
    let Some(every) = of.iter().position(|factor| factor == every) else {
        return Err(Error::held_out(name, format!("`every` names `{every}`, which `of` does not; add it there")));
    };
    // An ordered map, so that cells come in the same order on every machine.
    let mut cells: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (index, combination) in combinations.iter().enumerate() {
        if !is_held_out.get(index).copied().unwrap_or(false) {
            let cell = places.iter().filter_map(|&place| combination.level(place)).collect();
            cells.entry(cell).or_default().push(index);
        }
    }
    let n_wanted = (share * cells.len() as f64).round() as usize;
    let mut order: Vec<(Vec<usize>, Vec<usize>)> = cells.into_iter().collect();
    order.shuffle(rng);
    let mut seen = BTreeSet::new();
    let (mut kept, further): (Vec<_>, Vec<_>) = order.into_iter().partition(|(cell, _)| seen.insert(cell[every]));
    let n_kept = n_wanted.max(kept.len());
    kept.extend(further);
    let mut held_out: Vec<usize> = kept.into_iter().skip(n_kept).flat_map(|(_, images)| images).collect();
    if held_out.is_empty() {
        return Err(Error::held_out(name, "keeps every cell; keep fewer, or drop the rule"));
    }
    held_out.sort_unstable();
    Ok(held_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Factor;
    use crate::randomness::keyed_rng;

    /// Five persons, four emotions, two transforms: 40 images.
    fn set() -> (Factors, Vec<Combination>) {
        let factors = [("person", 5), ("emotion", 4), ("transform", 2)].map(|(name, n)| Factor::numbered(name, n));
        let factors = Factors::new(factors.to_vec()).unwrap();
        let combinations = factors.combinations().collect();
        (factors, combinations)
    }

    fn all_but(of: &[&str], share: f64) -> AllBut {
        AllBut { of: of.iter().map(|&name| name.to_owned()).collect(), every: "person".to_owned(), share, seed: 0 }
    }

    fn kept(rule: &AllBut, is_held_out: &[bool], seed: u64) -> Result<Vec<usize>> {
        let (factors, combinations) = set();
        let mut rng = keyed_rng(seed, "test", 0);
        let held_out = select_all_but("few", rule, &factors, &combinations, is_held_out, &mut rng)?;
        Ok((0..40).filter(|i| !held_out.contains(i) && !is_held_out[*i]).collect())
    }

    const ALL: [&str; 3] = ["person", "emotion", "transform"];

    #[test]
    fn shares_are_parts_of_larger_ones_and_keep_every_person() {
        let nothing = [false; 40];
        // Of 40 images 0.5 are 20, 0.25 are 10; 0.06 would be 2, but there are five persons.
        let [half, quarter, least] = [0.5, 0.25, 0.06].map(|share| kept(&all_but(&ALL, share), &nothing, 1).unwrap());
        assert_eq!((half.len(), quarter.len(), least.len()), (20, 10, 5));
        assert!(quarter.iter().all(|i| half.contains(i)) && least.iter().all(|i| quarter.contains(i)));
        let persons: BTreeSet<usize> = least.iter().map(|i| i / 8).collect();
        assert_eq!(persons.len(), 5);
        assert_ne!(kept(&all_but(&ALL, 0.5), &nothing, 2).unwrap(), half);
    }

    #[test]
    fn one_picture_per_person_comes_in_all_its_transforms() {
        let chosen = kept(&all_but(&["person", "emotion"], 0.0), &[false; 40], 3).unwrap();
        assert_eq!(chosen.len(), 10);
        for (person, pair) in chosen.chunks(2).enumerate() {
            // Images of one person and emotion are neighbours: 2 · (4 · person + emotion) and one more.
            assert_eq!((pair[0] / 8, pair[0] % 2, pair[1]), (person, 0, pair[0] + 1));
        }
    }

    #[test]
    fn what_is_held_out_already_is_not_kept() {
        let mut is_held_out = [false; 40];
        is_held_out[..7].fill(true);
        // Image 7 is all that is left of person 0.
        let chosen = kept(&all_but(&ALL, 0.0), &is_held_out, 4).unwrap();
        assert_eq!((chosen[0], chosen.len()), (7, 5));
    }

    #[test]
    fn impossible_rules_are_one_line() {
        let message = |rule: AllBut| kept(&rule, &[false; 40], 0).unwrap_err().to_string();
        let person = AllBut { every: "emotion".to_owned(), ..all_but(&["person"], 0.0) };
        for (rule, expected) in [
            (all_but(&ALL, 1.0), "a share of 1; expected one from 0 to below 1"),
            (all_but(&["person", "hat"], 0.1), "no factor `hat`"),
            (all_but(&["person", "person"], 0.1), "`of` names `person` twice"),
            (person, "`every` names `emotion`, which `of` does not"),
            (all_but(&["person"], 0.5), "keeps every cell"),
        ] {
            let found = message(rule);
            assert!(found.starts_with("held-out set `few`") && found.contains(expected), "{found}");
        }
    }
}
