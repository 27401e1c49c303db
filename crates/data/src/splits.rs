//! The split of a set into training images and named held-out sets.

use crate::held_out::{self, HeldOut, Rule};
use crate::randomness::keyed_rng;
use crate::{Combination, Error, Factors, Result};

/// Which images are trained on, and which are held out under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The indices of the training images, ascending: those that no rule holds out.
    pub train: Vec<usize>,
    /// The held-out sets in the order of their rules, indices ascending. An image may be in several.
    pub held_out: Vec<(String, Vec<usize>)>,
}

impl Split {
    /// Applies the rules to the images that have these combinations.
    ///
    /// Rules that name levels are applied before shares, and shares before rules that leave but a few, whatever their
    /// order, because what these may take depends on what is left.
    ///
    /// # Errors
    /// A rule cannot be carried out, two rules share a name, or some level of a factor is left without any training
    /// image although the set has one.
    pub fn new(factors: &Factors, combinations: &[Combination], rules: &[HeldOut]) -> Result<Self> {
        if let Some(name) = repeated_name(rules) {
            return Err(Error::held_out(name, "two sets have this name; rename one"));
        }
        combinations.iter().try_for_each(|combination| factors.validate(combination))?;
        let mut is_held_out = vec![false; combinations.len()];
        let mut chosen: Vec<Option<Vec<usize>>> = vec![None; rules.len()];
        for stage in [Stage::Levels, Stage::Shares, Stage::Rest] {
            for (rule, chosen) in rules.iter().zip(&mut chosen) {
                if Stage::of(&rule.rule) != stage {
                    continue;
                }
                let indices = match &rule.rule {
                    Rule::Where(levels) => held_out::select_where(&rule.name, levels, factors, combinations)?,
                    Rule::Listed(cells) => held_out::select_listed(&rule.name, cells, factors, combinations)?,
                    Rule::Share(share) => {
                        let mut rng = keyed_rng(share.seed, "held-out", 0);
                        held_out::select_share(&rule.name, share, factors, combinations, &is_held_out, &mut rng)?
                    }
                    Rule::AllBut(all_but) => {
                        let mut rng = keyed_rng(all_but.seed, "held-out all but", 0);
                        held_out::select_all_but(&rule.name, all_but, factors, combinations, &is_held_out, &mut rng)?
                    }
                };
                indices.iter().for_each(|&index| is_held_out[index] = true);
                check_levels(&rule.name, factors, combinations, &is_held_out)?;
                *chosen = Some(indices);
            }
        }
        let train = (0..combinations.len()).filter(|&index| !is_held_out[index]).collect();
        let held_out =
            rules.iter().zip(chosen).map(|(rule, indices)| (rule.name.clone(), indices.unwrap_or_default())).collect();
        Ok(Self { train, held_out })
    }

    /// The images of the held-out set of this name, if there is such a set.
    #[must_use]
    pub fn indices(&self, name: &str) -> Option<&[usize]> {
        self.held_out.iter().find(|(other, _)| other == name).map(|(_, indices)| indices.as_slice())
    }
}

/// When a rule is applied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// First, those that name levels.
    Levels,
    /// Then shares.
    Shares,
    /// Last, those that leave but a few of what is left.
    Rest,
}

impl Stage {
    fn of(rule: &Rule) -> Self {
        match rule {
            Rule::Where(_) | Rule::Listed(_) => Self::Levels,
            Rule::Share(_) => Self::Shares,
            Rule::AllBut(_) => Self::Rest,
        }
    }
}

fn repeated_name(rules: &[HeldOut]) -> Option<&str> {
    let mut names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    names.sort_unstable();
    names.array_windows().find(|[a, b]| a == b).map(|[name, _]| *name)
}

/// Every level that the set shows must be shown in training: of a level never seen, nothing could be learned.
fn check_levels(name: &str, factors: &Factors, combinations: &[Combination], is_held_out: &[bool]) -> Result<()> {
    for (factor_idx, factor) in factors.iter().enumerate() {
        let mut exists = vec![false; factor.n_levels()];
        let mut is_trained = vec![false; factor.n_levels()];
        for (combination, &is_held_out) in combinations.iter().zip(is_held_out) {
            exists[combination[factor_idx]] = true;
            is_trained[combination[factor_idx]] |= !is_held_out;
        }
        if let Some(level) = (0..factor.n_levels()).find(|&level| exists[level] && !is_trained[level]) {
            return Err(Error::held_out(
                name,
                format!("leaves no training image of {}={}; hold out less of it", factor.name, factor.levels[level]),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Factor;
    use crate::held_out::Share;

    fn set() -> (Factors, Vec<Combination>) {
        let factors = Factors::new(vec![Factor::numbered("a", 3), Factor::numbered("b", 4)]).unwrap();
        let combinations = factors.combinations().collect();
        (factors, combinations)
    }

    fn levels(name: &str, levels: &[(&str, &str)]) -> HeldOut {
        let rule = Rule::Where(levels.iter().map(|&(factor, level)| (factor.to_owned(), level.into())).collect());
        HeldOut { name: name.to_owned(), rule }
    }

    fn share(name: &str, share: f64) -> HeldOut {
        let of = vec!["a".to_owned(), "b".to_owned()];
        HeldOut { name: name.to_owned(), rule: Rule::Share(Share { of, share, content: vec![], seed: 1 }) }
    }

    #[test]
    fn training_is_what_no_rule_holds_out() {
        let (factors, combinations) = set();
        // Image numbers are a · 4 + b.
        let rules = [levels("one", &[("a", "1"), ("b", "2")]), levels("two", &[("a", "2"), ("b", "0")])];
        let split = Split::new(&factors, &combinations, &rules).unwrap();
        assert_eq!(split.train, [0, 1, 2, 3, 4, 5, 7, 9, 10, 11]);
        assert_eq!(split.held_out, [("one".to_owned(), vec![6]), ("two".to_owned(), vec![8])]);
        assert_eq!(split.indices("two"), Some([8].as_slice()));
        assert_eq!(split.indices("three"), None);
        assert_eq!(Split::new(&factors, &combinations, &[]).unwrap().train.len(), 12);
    }

    #[test]
    fn sets_may_overlap_and_their_order_is_that_of_the_rules() {
        let (factors, combinations) = set();
        let rules = [share("cells", 0.5), levels("one", &[("a", "1"), ("b", "2")])];
        let split = Split::new(&factors, &combinations, &rules).unwrap();
        assert_eq!(split.held_out[0].0, "cells");
        assert_eq!(split.held_out[0].1.len(), 6);
        let union: std::collections::BTreeSet<usize> =
            split.held_out.iter().flat_map(|(_, indices)| indices).copied().collect();
        assert_eq!(split.train.len(), 12 - union.len());
        // The rule that names levels was applied first, although it is written second.
        let swapped = Split::new(&factors, &combinations, &[rules[1].clone(), rules[0].clone()]).unwrap();
        assert_eq!(swapped.train, split.train);
        assert_eq!(swapped.indices("cells"), split.indices("cells"));
    }

    #[test]
    fn a_level_may_not_vanish_from_training() {
        let (factors, combinations) = set();
        let message = |rules: &[HeldOut]| Split::new(&factors, &combinations, rules).unwrap_err().to_string();
        assert_eq!(
            message(&[levels("x", &[("a", "1")])]),
            "held-out set `x`: leaves no training image of a=1; hold out less of it"
        );
        assert!(
            message(&[levels("x", &[("a", "0"), ("b", "1")]), levels("x", &[("a", "1"), ("b", "1")])])
                .contains("two sets have this name")
        );
        // Together they take all of b=1, though none does alone.
        let rules: Vec<HeldOut> =
            ["0", "1", "2"].iter().map(|&a| levels(&format!("set {a}"), &[("a", a), ("b", "1")])).collect();
        assert!(Split::new(&factors, &combinations, &rules[..2]).is_ok());
        assert!(message(&rules).starts_with("held-out set `set 2`: leaves no training image of b=1"));
    }

    #[test]
    fn a_set_need_not_show_every_level() {
        let (factors, combinations) = set();
        let without_last: Vec<Combination> = combinations.into_iter().filter(|c| c[1] != 3).collect();
        let split = Split::new(&factors, &without_last, &[levels("x", &[("a", "1"), ("b", "2")])]).unwrap();
        assert_eq!(split.train.len(), 8);
        let impossible = Split::new(&factors, &[Combination(vec![0, 9])], &[]);
        assert!(impossible.is_err());
    }
}
