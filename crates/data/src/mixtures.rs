//! Mixtures of levels: half of one person and half of another, say.
//!
//! In text a mixture reads `person=4:0.5,7:0.5 emotion=happy`: a factor's levels, each with its weight, or one level that
//! is drawn alone. A level whose own name holds a colon or a comma is still the level where it stands alone.

use crate::{Combination, Error, Factor, Factors, Result};

/// How far the sum of a factor's weights may be from 1.
const TOLERANCE: f64 = 1e-6;

/// Per factor, in order, the weights of all its levels: none below 0, adding up to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture(Vec<Vec<f64>>);

impl Mixture {
    /// The mixture that a text such as `person=4:0.5,7:0.5 emotion=happy` names. The factors may come in any order.
    ///
    /// # Errors
    /// A part is not `factor=level` or `factor=level:weight,…`, a factor or level does not exist, or is missing or given
    /// twice, a weight is no number or below 0, or a factor's weights do not add up to 1 within 0.000001.
    pub fn parse(factors: &Factors, text: &str) -> Result<Self> {
        Ok(Self(factors.parse_all(text, weights)?))
    }

    /// The weights of a factor's levels, in order, per factor.
    pub fn weights(&self) -> impl Iterator<Item = &[f64]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// The combination, if it is one: if every factor has all its weight on one level.
    #[must_use]
    pub fn combination(&self) -> Option<Combination> {
        let alone = |weights: &Vec<f64>| {
            let mut with_weight = weights.iter().enumerate().filter(|&(_, &weight)| weight > 0.0);
            with_weight.next().map(|(level, _)| level).filter(|_| with_weight.next().is_none())
        };
        Some(Combination(self.0.iter().map(alone).collect::<Option<_>>()?))
    }
}

/// The weights of a factor's levels that a text names: `4`, or `4:0.5,7:0.5`.
fn weights(factor: &Factor, text: &str) -> Result<Vec<f64>> {
    let mut weights = vec![None; factor.n_levels()];
    let is_level = factor.levels.iter().any(|level| level == text);
    if is_level || !text.contains([':', ',']) {
        weights[factor.parse_level(text)?] = Some(1.0);
    } else {
        let name = &factor.name;
        let wrong = |problem: String| Error::Combination(format!("the mixture `{name}={text}` {problem}"));
        for part in text.split(',') {
            let (level, weight) = part.rsplit_once(':').ok_or_else(|| {
                wrong(format!("gives `{part}` no weight; expected LEVEL:WEIGHT,LEVEL:WEIGHT such as 4:0.5,7:0.5"))
            })?;
            let found = || format!("gives `{level}` the weight `{weight}`; expected a number from 0 to 1");
            let weight: f64 = weight.parse().map_err(|_| wrong(found()))?;
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(wrong(found()));
            }
            if weights[factor.parse_level(level)?].replace(weight).is_some() {
                return Err(wrong(format!("gives the level `{level}` twice; give it once")));
            }
        }
        let sum: f64 = weights.iter().flatten().sum();
        if (sum - 1.0).abs() > TOLERANCE {
            return Err(wrong(format!("has weights that add up to {sum}; expected 1")));
        }
    }
    Ok(weights.into_iter().map(|weight| weight.unwrap_or(0.0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors() -> Factors {
        let odd = Factor::new("shade", ["a:1", "b,c", "dark"]);
        Factors::new(vec![Factor::numbered("person", 4), Factor::new("emotion", ["happy", "sad"]), odd]).unwrap()
    }

    #[test]
    fn weights_stand_at_the_places_of_their_levels() {
        let mixture = Mixture::parse(&factors(), "emotion=sad person=3:0.75,1:0.25 shade=dark").unwrap();
        let weights: Vec<&[f64]> = mixture.weights().collect();
        assert_eq!(weights, [&[0.0, 0.25, 0.0, 0.75][..], &[0.0, 1.0], &[0.0, 0.0, 1.0]]);
        assert_eq!(mixture.combination(), None);
        // Thirds do not add up to 1 to the last bit.
        assert!(Mixture::parse(&factors(), "person=0:0.333333,1:0.333333,2:0.333334 emotion=sad shade=dark").is_ok());
    }

    #[test]
    fn one_level_with_all_the_weight_is_a_combination_and_odd_names_stand_alone() {
        for text in ["person=2 emotion=sad shade=a:1", "person=2:1 emotion=happy:0,sad:1 shade=a:1"] {
            assert_eq!(Mixture::parse(&factors(), text).unwrap().combination(), Some(Combination(vec![2, 1, 0])));
        }
        let mixture = Mixture::parse(&factors(), "person=2 emotion=sad shade=b,c").unwrap();
        assert_eq!(mixture.combination(), Some(Combination(vec![2, 1, 1])));
        // The weight stands behind the last colon, so that such a name can be mixed too.
        assert!(Mixture::parse(&factors(), "person=2 emotion=sad shade=a:1:0.5,dark:0.5").is_ok());
    }

    #[test]
    fn what_is_no_mixture_is_refused_in_one_line() {
        let refused = |person: &str| {
            let text = format!("person={person} emotion=sad shade=dark");
            let message = Mixture::parse(&factors(), &text).unwrap_err().to_string();
            assert!(!message.contains('\n'), "{message}");
            message
        };
        assert_eq!(
            refused("1:0.5,2"),
            "the mixture `person=1:0.5,2` gives `2` no weight; expected LEVEL:WEIGHT,LEVEL:WEIGHT such as 4:0.5,7:0.5"
        );
        assert!(refused("1,2").contains("gives `1` no weight"));
        assert!(refused("1:0.5,").contains("gives `` no weight"));
        for weight in ["half", "", "nan", "inf", "-0.5"] {
            let message = refused(&format!("1:{weight},2:1"));
            assert!(message.contains(&format!("the weight `{weight}`; expected a number from 0 to 1")), "{message}");
        }
        assert!(refused("1:0.5,1:0.5").contains("gives the level `1` twice"));
        // 0.5 + 0.25 = 0.75, and one millionth is the most that may be missing.
        assert!(refused("1:0.5,2:0.25").contains("add up to 0.75; expected 1"));
        assert!(refused("1:0.5,2:0.499998").contains("expected 1"));
        assert!(refused("1:0,2:0").contains("add up to 0; expected 1"));
        assert!(refused("1:0.5,9:0.5").contains("the factor `person` has no level `9`; its levels are 0, 1, 2, 3"));
        assert!(refused("9").contains("has no level `9`"));
        let whole = |text: &str| Mixture::parse(&factors(), text).unwrap_err().to_string();
        assert!(whole("person=1:0.5,2:0.5 emotion=sad").contains("does not give the factor `shade`"));
        assert!(whole("person=1 person=2:1 emotion=sad shade=dark").contains("the factor `person` twice"));
        assert!(whole("age=1:1").contains("there is no factor `age`"));
        assert!(whole("person").contains("expected factor=level"));
    }
}
