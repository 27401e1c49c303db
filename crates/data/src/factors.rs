//! Factors, their levels, and combinations of levels.
//!
//! A set has an ordered list of factors. A combination is one level index per factor, in the same order; combinations
//! are numbered row-major, the last factor running fastest. In text a combination reads
//! `digit=7 style=9 colour=red transform=mirror-x`.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// More levels than this are not listed in a message but counted.
const MAX_LEVELS_LISTED: usize = 16;

/// One categorical factor: its name and the names of its levels, in index order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// The factor's name, for example `digit`.
    pub name: String,
    /// The names of its levels; a level's index is its place in this list.
    pub levels: Vec<String>,
}

impl Factor {
    /// A factor from its name and its levels' names.
    pub fn new<S: Into<String>>(name: &str, levels: impl IntoIterator<Item = S>) -> Self {
        Self { name: name.to_owned(), levels: levels.into_iter().map(Into::into).collect() }
    }

    /// A factor whose levels are the numbers `0 … n_levels − 1`.
    #[must_use]
    pub fn numbered(name: &str, n_levels: usize) -> Self {
        Self::new(name, (0..n_levels).map(|level| level.to_string()))
    }

    /// How many levels the factor has.
    #[must_use]
    pub fn n_levels(&self) -> usize {
        self.levels.len()
    }

    /// The index of a level given by name.
    ///
    /// # Errors
    /// The factor has no level of this name; the message lists those it has.
    pub fn parse_level(&self, text: &str) -> Result<usize> {
        self.levels.iter().position(|level| level == text).ok_or_else(|| Error::UnknownLevel {
            factor: self.name.clone(),
            level: text.to_owned(),
            known: self.listed_levels(),
        })
    }

    fn listed_levels(&self) -> String {
        match self.levels.as_slice() {
            levels if levels.len() <= MAX_LEVELS_LISTED => levels.join(", "),
            [first, second, .., last] => format!("{first}, {second}, …, {last} ({} in all)", self.levels.len()),
            levels => levels.join(", "),
        }
    }
}

/// One level index per factor, in the order of the set's factors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Combination(pub Vec<usize>);

impl Combination {
    /// The level index of the factor at this place, if there is such a factor.
    #[must_use]
    pub fn level(&self, factor_idx: usize) -> Option<usize> {
        self.0.get(factor_idx).copied()
    }
}

impl std::ops::Deref for Combination {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<Vec<usize>> for Combination {
    fn from(levels: Vec<usize>) -> Self {
        Self(levels)
    }
}

/// The ordered factors of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factors(Vec<Factor>);

impl Factors {
    /// The factors in this order.
    ///
    /// # Errors
    /// Two factors share a name, two levels of a factor share a name, or a factor has no level.
    pub fn new(factors: Vec<Factor>) -> Result<Self> {
        for (factor_idx, factor) in factors.iter().enumerate() {
            if factor.levels.is_empty() {
                return Err(Error::Combination(format!("the factor `{}` has no level; give it one", factor.name)));
            }
            if factors.iter().take(factor_idx).any(|other| other.name == factor.name) {
                return Err(Error::Combination(format!("two factors are named `{}`; rename one", factor.name)));
            }
            let mut levels: Vec<&String> = factor.levels.iter().collect();
            levels.sort_unstable();
            if let Some([level, _]) = levels.array_windows().find(|[a, b]| a == b) {
                return Err(Error::Combination(format!(
                    "the factor `{}` has two levels named `{level}`; rename one",
                    factor.name
                )));
            }
        }
        Ok(Self(factors))
    }

    /// The factors in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Factor] {
        &self.0
    }

    /// The factors in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Factor> {
        self.0.iter()
    }

    /// How many factors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no factor at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of levels of each factor, in order.
    #[must_use]
    pub fn n_levels(&self) -> Vec<usize> {
        self.0.iter().map(Factor::n_levels).collect()
    }

    /// The place of a factor given by name.
    ///
    /// # Errors
    /// There is no factor of this name; the message lists those that exist.
    pub fn position(&self, name: &str) -> Result<usize> {
        self.0.iter().position(|factor| factor.name == name).ok_or_else(|| Error::UnknownFactor {
            name: name.to_owned(),
            known: self.0.iter().map(|factor| factor.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// The level index of a factor, both given by name.
    ///
    /// # Errors
    /// The factor or the level does not exist; the message lists those that do.
    pub fn parse_level(&self, factor: &str, text: &str) -> Result<usize> {
        self.0[self.position(factor)?].parse_level(text)
    }

    /// How many combinations the factors have: the product of their numbers of levels.
    #[must_use]
    pub fn n_combinations(&self) -> usize {
        self.0.iter().map(Factor::n_levels).product()
    }

    /// The number of a combination, the last factor running fastest.
    ///
    /// # Errors
    /// The combination has another number of factors, or a level that does not exist.
    pub fn index(&self, combination: &[usize]) -> Result<usize> {
        self.validate(combination)?;
        Ok(self.0.iter().zip(combination).fold(0, |index, (factor, &level)| index * factor.n_levels() + level))
    }

    /// The combination of this number: the inverse of [`Factors::index`].
    ///
    /// # Errors
    /// The number is not below [`Factors::n_combinations`].
    pub fn combination(&self, index: usize) -> Result<Combination> {
        if index >= self.n_combinations() {
            return Err(Error::Combination(format!(
                "there is no combination {index}; expected a number below {}",
                self.n_combinations()
            )));
        }
        let mut rest = index;
        let mut levels = vec![0; self.len()];
        for (level, factor) in levels.iter_mut().zip(&self.0).rev() {
            *level = rest % factor.n_levels();
            rest /= factor.n_levels();
        }
        Ok(Combination(levels))
    }

    /// All combinations in order.
    pub fn combinations(&self) -> impl Iterator<Item = Combination> {
        (0..self.n_combinations()).filter_map(|index| self.combination(index).ok())
    }

    /// A combination as text: `digit=7 style=9 colour=red transform=mirror-x`.
    ///
    /// A level that does not exist is written as its number with a question mark: a label is for people to read and
    /// never fails.
    #[must_use]
    pub fn label(&self, combination: &[usize]) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .zip(combination)
            .map(|(factor, &level)| match factor.levels.get(level) {
                Some(name) => format!("{}={name}", factor.name),
                None => format!("{}={level}?", factor.name),
            })
            .collect();
        parts.join(" ")
    }

    /// The combination that a text such as `digit=7 style=9 colour=red transform=mirror-x` names: the inverse of
    /// [`Factors::label`]. The factors may come in any order.
    ///
    /// # Errors
    /// A part is not `factor=level`, a factor or level does not exist, or a factor is missing or given twice.
    pub fn parse(&self, text: &str) -> Result<Combination> {
        Ok(Combination(self.parse_all(text, Factor::parse_level)?))
    }

    /// As [`Factors::parse`], but factors may be left out: a cell such as `digit=7 style=9` is every combination that
    /// has these levels. One entry per factor, nothing where the text does not name it.
    ///
    /// # Errors
    /// A part is not `factor=level`, a factor or level does not exist, or a factor is given twice.
    pub fn parse_cell(&self, text: &str) -> Result<Vec<Option<usize>>> {
        self.parse_some(text, Factor::parse_level)
    }

    /// What a text `factor=…` gives to every factor.
    pub(crate) fn parse_all<T>(&self, text: &str, parse: impl Fn(&Factor, &str) -> Result<T>) -> Result<Vec<T>> {
        let given = self.0.iter().zip(self.parse_some(text, parse)?).map(|(factor, given)| {
            given.ok_or_else(|| {
                let name = &factor.name;
                Error::Combination(format!("`{text}` does not give the factor `{name}`; add {name}=LEVEL"))
            })
        });
        given.collect()
    }

    /// What a text `factor=…` gives to the factors that it names.
    fn parse_some<T>(&self, text: &str, parse: impl Fn(&Factor, &str) -> Result<T>) -> Result<Vec<Option<T>>> {
        let mut all: Vec<Option<T>> = self.0.iter().map(|_| None).collect();
        for part in text.split_whitespace() {
            let (name, given) = part
                .split_once('=')
                .ok_or_else(|| Error::Combination(format!("`{part}` in `{text}`: expected factor=level")))?;
            let place = self.position(name)?;
            if all[place].replace(parse(&self.0[place], given)?).is_some() {
                return Err(Error::Combination(format!("`{text}` gives the factor `{name}` twice; give it once")));
            }
        }
        Ok(all)
    }

    /// Checks that a combination has one existing level per factor.
    ///
    /// # Errors
    /// It has another number of factors, or a level that does not exist.
    pub fn validate(&self, combination: &[usize]) -> Result<()> {
        if combination.len() != self.len() {
            return Err(Error::Combination(format!(
                "expected a combination of {} factors, found {}",
                self.len(),
                combination.len()
            )));
        }
        for (factor, &level) in self.0.iter().zip(combination) {
            if level >= factor.n_levels() {
                return Err(Error::UnknownLevel {
                    factor: factor.name.clone(),
                    level: format!("number {level}"),
                    known: factor.listed_levels(),
                });
            }
        }
        Ok(())
    }
}

impl<'a> IntoIterator for &'a Factors {
    type Item = &'a Factor;
    type IntoIter = std::slice::Iter<'a, Factor>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Factors {
        Factors::new(vec![
            Factor::numbered("digit", 2),
            Factor::new("colour", ["red", "green", "blue"]),
            Factor::numbered("style", 4),
        ])
        .unwrap()
    }

    #[test]
    fn the_last_factor_runs_fastest() {
        let factors = small();
        assert_eq!(factors.n_combinations(), 24); // 2 · 3 · 4
        // digit 1, colour 2, style 3: (1 · 3 + 2) · 4 + 3 = 23.
        assert_eq!(factors.index(&[1, 2, 3]).unwrap(), 23);
        // digit 0, colour 1, style 2: (0 · 3 + 1) · 4 + 2 = 6.
        assert_eq!(factors.index(&[0, 1, 2]).unwrap(), 6);
        assert_eq!(factors.combination(6).unwrap().0, [0, 1, 2]);
    }

    #[test]
    fn number_combination_and_label_are_inverse_to_each_other() {
        let factors = small();
        let all: Vec<Combination> = factors.combinations().collect();
        assert_eq!(all.len(), 24);
        for (index, combination) in all.iter().enumerate() {
            assert_eq!(factors.index(combination).unwrap(), index);
            assert_eq!(&factors.parse(&factors.label(combination)).unwrap(), combination);
        }
        assert_eq!(factors.label(&[1, 0, 3]), "digit=1 colour=red style=3");
        assert_eq!(factors.parse("style=3 digit=1 colour=red").unwrap().0, [1, 0, 3]);
        assert_eq!(factors.parse_cell("style=3 digit=1").unwrap(), [Some(1), None, Some(3)]);
        assert_eq!(factors.parse_cell("").unwrap(), [None; 3]);
    }

    #[test]
    fn what_does_not_exist_is_named_with_what_does() {
        let factors = small();
        let message = |error: Error| error.to_string();
        assert_eq!(
            message(factors.parse_level("colour", "mauve").unwrap_err()),
            "the factor `colour` has no level `mauve`; its levels are red, green, blue"
        );
        assert_eq!(
            message(factors.parse_level("color", "red").unwrap_err()),
            "there is no factor `color`; the factors are digit, colour, style"
        );
        assert_eq!(
            message(factors.index(&[0, 3, 0]).unwrap_err()),
            "the factor `colour` has no level `number 3`; its levels are red, green, blue"
        );
        assert!(message(factors.index(&[0, 1]).unwrap_err()).contains("expected a combination of 3 factors, found 2"));
        assert!(message(factors.combination(24).unwrap_err()).contains("below 24"));
        assert!(message(factors.parse("digit=1 style=0").unwrap_err()).contains("add colour=LEVEL"));
        assert!(message(factors.parse("digit=1 digit=0").unwrap_err()).contains("twice"));
        assert!(message(factors.parse("digit 1").unwrap_err()).contains("expected factor=level"));
        assert!(
            message(Factor::numbered("person", 70).parse_level("70").unwrap_err()).contains("0, 1, …, 69 (70 in all)")
        );
    }

    #[test]
    fn ambiguous_factors_are_refused() {
        assert!(Factors::new(vec![Factor::numbered("a", 2), Factor::numbered("a", 3)]).is_err());
        assert!(Factors::new(vec![Factor::new("a", ["x", "y", "x"])]).is_err());
        assert!(Factors::new(vec![Factor::numbered("a", 0)]).is_err());
    }

    #[test]
    fn a_label_of_an_impossible_level_is_still_readable() {
        assert_eq!(small().label(&[9, 0, 1]), "digit=9? colour=red style=1");
    }
}
