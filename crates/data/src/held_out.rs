//! Rules that say which combinations are held out.
//!
//! A rule names levels of some factors (every image that has them all is held out: the factors that are not named run
//! free), lists several such cells one by one, or takes a share of all *cells*, a cell being a combination of some
//! factors. In a configuration file:
//!
//! ```toml
//! [[held_out]]
//! name = "result-3"
//! where = { digit = 7, style = 9, transform = "mirror-x" }
//!
//! [[held_out]]
//! name = "few"
//! listed = ["digit=2 style=4 colour=red transform=rotate-90", "digit=7 style=9"]
//!
//! [[held_out]]
//! name = "cells"
//! share = { of = ["digit", "style", "transform"], share = 0.3, content = ["digit", "style"], seed = 0 }
//! ```
//!
//! The cells of a share are drawn at random by the rule's own seed, in such a way that every level of every factor
//! stays in training and that, where this is possible, every content (here every pair of digit and style) keeps a
//! cell in training: of a content never seen, nothing could be known. Source: SPEC §3.1, §6.

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::{Combination, Error, Factors, Result};

/// One set of held-out combinations: its name and the rule that chooses them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "HeldOutText", into = "HeldOutText")]
pub struct HeldOut {
    /// The name under which results of this set are reported.
    pub name: String,
    /// Which combinations.
    pub rule: Rule,
}

/// Which combinations are held out.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Those that have every one of these levels (factor name → level name).
    Where(BTreeMap<String, LevelName>),
    /// Those that have every level of one of these cells, each written as `digit=7 style=9`.
    Listed(Vec<String>),
    /// Those in a share of all cells, drawn at random.
    Share(Share),
}

/// A share of all cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The factors whose combinations are the cells.
    pub of: Vec<String>,
    /// The share of the cells that is held out, above 0 and below 1; the number of cells is rounded to the nearest.
    pub share: f64,
    /// Factors among `of` that make up a content, each of which keeps a cell in training where possible.
    #[serde(default)]
    pub content: Vec<String>,
    /// The seed of the choice; training adds a run's seed to it, so that an interval over seeds covers the choice.
    pub seed: u64,
}

/// A level's name. A configuration file may write `7` as well as `"7"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct LevelName(pub String);

impl From<&str> for LevelName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl<'de> Deserialize<'de> for LevelName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = LevelName;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("the name or the number of a level")
            }

            fn visit_str<E>(self, name: &str) -> std::result::Result<LevelName, E> {
                Ok(name.into())
            }

            fn visit_u64<E>(self, number: u64) -> std::result::Result<LevelName, E> {
                Ok(LevelName(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> std::result::Result<LevelName, E> {
                Ok(LevelName(number.to_string()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A rule as it stands in a configuration file: exactly one of `where`, `listed` and `share`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeldOutText {
    name: String,
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    levels: Option<BTreeMap<String, LevelName>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listed: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<Share>,
}

impl TryFrom<HeldOutText> for HeldOut {
    type Error = Error;

    fn try_from(text: HeldOutText) -> Result<Self> {
        let rule = match (text.levels, text.listed, text.share) {
            (Some(levels), None, None) => Rule::Where(levels),
            (None, Some(cells), None) => Rule::Listed(cells),
            (None, None, Some(share)) => Rule::Share(share),
            (None, None, None) => {
                return Err(Error::held_out(&text.name, "has none of `where`, `listed` and `share`; give one"));
            }
            (levels, listed, share) => {
                let given =
                    [("`where`", levels.is_some()), ("`listed`", listed.is_some()), ("`share`", share.is_some())];
                let names: Vec<&str> = given.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| *name).collect();
                return Err(Error::held_out(&text.name, format!("has {}; keep one", names.join(" and "))));
            }
        };
        Ok(Self { name: text.name, rule })
    }
}

impl From<HeldOut> for HeldOutText {
    fn from(held_out: HeldOut) -> Self {
        let empty = Self { name: held_out.name, levels: None, listed: None, share: None };
        match held_out.rule {
            Rule::Where(levels) => Self { levels: Some(levels), ..empty },
            Rule::Listed(cells) => Self { listed: Some(cells), ..empty },
            Rule::Share(share) => Self { share: Some(share), ..empty },
        }
    }
}

/// The indices, in ascending order, of the combinations that have every one of the named levels.
///
/// # Errors
/// A factor or a level does not exist, no level is named, or no combination has them all.
pub fn select_where(
    name: &str,
    levels: &BTreeMap<String, LevelName>,
    factors: &Factors,
    combinations: &[Combination],
) -> Result<Vec<usize>> {
    if levels.is_empty() {
        return Err(Error::held_out(name, "names no level, which would hold out everything; name one"));
    }
    let wanted: Vec<(usize, usize)> = levels
        .iter()
        .map(|(factor, level)| Ok((factors.position(factor)?, factors.parse_level(factor, &level.0)?)))
        .collect::<Result<_>>()
        .map_err(|error| Error::held_out(name, error.to_string()))?;
    let matches = |combination: &Combination| {
        wanted.iter().all(|&(factor_idx, level)| combination.level(factor_idx) == Some(level))
    };
    let found: Vec<usize> =
        combinations.iter().enumerate().filter(|(_, c)| matches(c)).map(|(index, _)| index).collect();
    if found.is_empty() {
        return Err(Error::held_out(name, "no image has all of its levels; check them against the set"));
    }
    Ok(found)
}

/// The indices, in ascending order, of the combinations that have every level of one of the listed cells.
///
/// # Errors
/// Nothing is listed, a cell names no level or one that does not exist, two cells are the same, or no combination has
/// the levels of a cell.
pub fn select_listed(
    name: &str,
    cells: &[String],
    factors: &Factors,
    combinations: &[Combination],
) -> Result<Vec<usize>> {
    if cells.is_empty() {
        return Err(Error::held_out(name, "lists no cell; list one, such as \"digit=7 style=9\""));
    }
    // Cells that name the same factors lie in one map by their levels, so that a long list takes no longer than a short
    // one to compare with every image.
    let mut kinds: BTreeMap<Vec<usize>, ListedCells> = BTreeMap::new();
    for (place, cell) in cells.iter().enumerate() {
        let levels = factors.parse_cell(cell).map_err(|error| Error::held_out(name, error.to_string()))?;
        let named = levels.iter().enumerate().filter_map(|(factor_idx, level)| Some((factor_idx, (*level)?)));
        let (places, levels): (Vec<usize>, Vec<usize>) = named.unzip();
        if places.is_empty() {
            return Err(Error::held_out(
                name,
                "lists a cell without levels, which would hold out everything; take it out",
            ));
        }
        if kinds.entry(places).or_default().insert(levels, (place, false)).is_some() {
            return Err(Error::held_out(name, format!("lists `{cell}` twice; list it once")));
        }
    }
    let mut found = Vec::new();
    for (index, combination) in combinations.iter().enumerate() {
        let mut is_listed = false;
        for (places, by_levels) in &mut kinds {
            let levels: Vec<usize> = places.iter().filter_map(|&factor_idx| combination.level(factor_idx)).collect();
            if let Some((_, is_found)) = by_levels.get_mut(&levels) {
                *is_found = true;
                is_listed = true;
            }
        }
        if is_listed {
            found.push(index);
        }
    }
    let unfound = kinds.values().flat_map(BTreeMap::values).filter(|(_, is_found)| !is_found).map(|(place, _)| *place);
    match unfound.min() {
        Some(place) => {
            Err(Error::held_out(name, format!("no image has all levels of `{}`; take it off the list", cells[place])))
        }
        None => Ok(found),
    }
}

/// Cells by their levels: the place in the list, and whether an image has these levels.
type ListedCells = BTreeMap<Vec<usize>, (usize, bool)>;

/// The indices, in ascending order, of the combinations that lie in a share of all cells, drawn by `rng`.
///
/// `is_held_out` says of each combination whether another rule holds it out already: a cell of which nothing else is
/// left in training cannot stand for a level or a content.
///
/// # Errors
/// A factor does not exist or is named twice, `content` is not among `of`, the share is not between 0 and 1, it rounds
/// to no cell, or it is so large that some level of a factor would be left without training images.
pub fn select_share(
    name: &str,
    share: &Share,
    factors: &Factors,
    combinations: &[Combination],
    is_held_out: &[bool],
    rng: &mut impl Rng,
) -> Result<Vec<usize>> {
    let places = cell_places(name, share, factors)?;
    let mut cells = Cells::new(&places, factors, combinations, is_held_out);
    let n_cells = cells.levels.len();
    let n_wanted = (share.share * n_cells as f64).round() as usize;
    if n_wanted == 0 {
        return Err(Error::held_out(
            name,
            format!("a share of {} of {n_cells} cells is none at all; raise the share", share.share),
        ));
    }
    let mut order: Vec<usize> = (0..n_cells).collect();
    order.shuffle(rng);
    // First only cells whose content keeps another one; when there are no more of these, any that no level needs.
    for keeps_content in [true, false] {
        for &cell in &order {
            if cells.n_held_out < n_wanted && cells.can_hold_out(cell, keeps_content) {
                cells.hold_out(cell);
            }
        }
    }
    if cells.n_held_out < n_wanted {
        return Err(Error::held_out(
            name,
            format!(
                "a share of {} asks for {n_wanted} of {n_cells} cells, but only {} can go before some level is left \
                 without training images; lower the share",
                share.share, cells.n_held_out
            ),
        ));
    }
    Ok((0..combinations.len()).filter(|&index| cells.is_held_out[cells.of_image[index]]).collect())
}

/// A factor that makes up cells: its place in the set, and whether it belongs to the content.
struct CellFactor {
    factor_idx: usize,
    is_content: bool,
}

fn cell_places(name: &str, share: &Share, factors: &Factors) -> Result<Vec<CellFactor>> {
    if !(share.share > 0.0 && share.share < 1.0) {
        return Err(Error::held_out(name, format!("a share of {}; expected one above 0 and below 1", share.share)));
    }
    if share.of.is_empty() {
        return Err(Error::held_out(name, "`of` names no factor; name those that make up a cell"));
    }
    if let Some(other) = share.content.iter().find(|factor| !share.of.contains(factor)) {
        return Err(Error::held_out(name, format!("`content` names `{other}`, which `of` does not; add it there")));
    }
    let mut places: Vec<CellFactor> = Vec::with_capacity(share.of.len());
    for factor in &share.of {
        let factor_idx = factors.position(factor).map_err(|error| Error::held_out(name, error.to_string()))?;
        if places.iter().any(|place| place.factor_idx == factor_idx) {
            return Err(Error::held_out(name, format!("`of` names `{factor}` twice; name it once")));
        }
        places.push(CellFactor { factor_idx, is_content: share.content.contains(factor) });
    }
    Ok(places)
}

/// The cells of a set, and what is left of them in training while some are held out one by one.
struct Cells {
    /// The cell of each image.
    of_image: Vec<usize>,
    /// Per cell, its counters: one per factor of the cell (its level's), and last its content's.
    levels: Vec<Vec<usize>>,
    /// Per counter, the number of cells left in training.
    n_left: Vec<usize>,
    /// Whether there is a content to keep; without one the last counter of a cell means nothing.
    has_content: bool,
    /// Whether a cell still has images in training that no other rule holds out.
    is_live: Vec<bool>,
    is_held_out: Vec<bool>,
    n_held_out: usize,
}

impl Cells {
    fn new(places: &[CellFactor], factors: &Factors, combinations: &[Combination], is_held_out: &[bool]) -> Self {
        // Ordered maps, so that numbering is the same on every machine.
        let mut cell_of: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        for combination in combinations {
            cell_of.entry(projection(combination, places.iter())).or_insert(0);
        }
        cell_of.values_mut().enumerate().for_each(|(cell, number)| *number = cell);
        let of_image: Vec<usize> = combinations.iter().map(|c| cell_of[&projection(c, places.iter())]).collect();
        let mut is_live = vec![false; cell_of.len()];
        for (index, &cell) in of_image.iter().enumerate() {
            is_live[cell] |= !is_held_out.get(index).copied().unwrap_or(false);
        }
        let first_content = factors.n_levels().iter().sum::<usize>();
        let mut contents: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let mut levels = Vec::with_capacity(cell_of.len());
        for cell in cell_of.keys() {
            let mut counters: Vec<usize> = places
                .iter()
                .zip(cell)
                .map(|(place, &level)| factors.n_levels()[..place.factor_idx].iter().sum::<usize>() + level)
                .collect();
            let content: Vec<usize> =
                places.iter().zip(cell).filter(|(place, _)| place.is_content).map(|(_, &level)| level).collect();
            let n_contents = contents.len();
            counters.push(first_content + *contents.entry(content).or_insert(n_contents));
            levels.push(counters);
        }
        let mut n_left = vec![0; first_content + contents.len()];
        for (counters, _) in levels.iter().zip(&is_live).filter(|&(_, &is_live)| is_live) {
            counters.iter().for_each(|&counter| n_left[counter] += 1);
        }
        let has_content = places.iter().any(|place| place.is_content);
        let n_cells = levels.len();
        Self { of_image, levels, n_left, has_content, is_live, is_held_out: vec![false; n_cells], n_held_out: 0 }
    }

    fn can_hold_out(&self, cell: usize, keeps_content: bool) -> bool {
        if self.is_held_out[cell] {
            return false;
        }
        let n_counters = if keeps_content && self.has_content { usize::MAX } else { self.levels[cell].len() - 1 };
        !self.is_live[cell] || self.levels[cell].iter().take(n_counters).all(|&counter| self.n_left[counter] > 1)
    }

    fn hold_out(&mut self, cell: usize) {
        self.is_held_out[cell] = true;
        self.n_held_out += 1;
        if self.is_live[cell] {
            self.levels[cell].iter().for_each(|&counter| self.n_left[counter] -= 1);
        }
    }
}

fn projection<'a>(combination: &Combination, places: impl Iterator<Item = &'a CellFactor>) -> Vec<usize> {
    places.filter_map(|place| combination.level(place.factor_idx)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sets::digits::{self, DigitsConfig};
    use crate::{Factor, Split};

    fn digits() -> (Factors, Vec<Combination>) {
        let factors = digits::factors(DigitsConfig::default()).unwrap();
        let combinations = factors.combinations().collect();
        (factors, combinations)
    }

    fn cells(share: f64, seed: u64) -> HeldOut {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let (of, content) = (names(&["digit", "style", "transform"]), names(&["digit", "style"]));
        HeldOut { name: "cells".to_owned(), rule: Rule::Share(Share { of, share, content, seed }) }
    }

    fn of_kind(combination: &Combination, places: &[usize]) -> Vec<usize> {
        places.iter().map(|&place| combination[place]).collect()
    }

    #[test]
    fn where_leaves_the_other_factors_free() {
        let (factors, combinations) = digits();
        let levels: BTreeMap<String, LevelName> =
            [("digit".to_owned(), "7".into()), ("transform".to_owned(), "mirror-x".into())].into();
        let found = select_where("x", &levels, &factors, &combinations).unwrap();
        assert_eq!(found.len(), 30); // 10 styles · 3 colours
        assert!(found.iter().all(|&index| combinations[index][0] == 7 && combinations[index][3] == 4));
        // The same by the arithmetic of numbers: ((7 · 10 + style) · 3 + colour) · 6 + 4.
        let expected: Vec<usize> = (0..30).map(|k| (7 * 30 + k) * 6 + 4).collect();
        assert_eq!(found, expected);
    }

    fn listed(cells: &[&str]) -> HeldOut {
        HeldOut { name: "few".to_owned(), rule: Rule::Listed(cells.iter().map(|&cell| cell.to_owned()).collect()) }
    }

    #[test]
    fn a_list_holds_out_what_each_of_its_cells_names_and_no_more() {
        let (factors, combinations) = digits();
        let cells = ["transform=rotate-90 digit=2 style=4 colour=red", "digit=7 style=9", "digit=7 transform=mirror-x"];
        let split = Split::new(&factors, &combinations, &[listed(&cells)]).unwrap();
        // ((digit · 10 + style) · 3 + colour) · 6 + transform: one image, the 18 of digit 7 in style 9, and the 30 of
        // digit 7 upside down, three of which are among the 18.
        let mut expected = vec![((2 * 10 + 4) * 3) * 6 + 1];
        expected.extend((0..180).filter(|k| k / 18 == 9 || k % 6 == 4).map(|k| 7 * 180 + k));
        assert_eq!(expected.len(), 1 + 18 + 30 - 3);
        assert_eq!(split.indices("few").unwrap(), expected);
        assert_eq!(split.train.len(), 1_800 - 46);
    }

    #[test]
    fn a_list_is_applied_before_shares_are_drawn() {
        let (factors, combinations) = digits();
        let list = listed(&["digit=7 style=9"]);
        let split = |rules: &[HeldOut]| Split::new(&factors, &combinations, rules).unwrap();
        let (first, last) = (split(&[list.clone(), cells(0.3, 1)]), split(&[cells(0.3, 1), list]));
        assert_eq!((first.indices("cells"), &first.train), (last.indices("cells"), &last.train));
    }

    #[test]
    fn shares_hold_out_whole_cells_and_leave_something_of_everything() {
        let (factors, combinations) = digits();
        for share in [0.01, 0.3, 0.5, 0.7, 0.8] {
            for seed in 0..12 {
                let split = Split::new(&factors, &combinations, &[cells(share, seed)]).unwrap();
                let held_out = split.indices("cells").unwrap();
                // 600 cells of three colours each.
                assert_eq!(held_out.len(), (share * 600.0_f64).round() as usize * 3, "share {share}, seed {seed}");
                assert_eq!(held_out.len() + split.train.len(), 1_800);
                let cell_of = |index: &usize| of_kind(&combinations[*index], &[0, 1, 3]);
                let held_cells: BTreeSet<_> = held_out.iter().map(cell_of).collect();
                let train_cells: BTreeSet<_> = split.train.iter().map(cell_of).collect();
                assert!(held_cells.is_disjoint(&train_cells));
                for (place, factor) in factors.iter().enumerate() {
                    let levels: BTreeSet<_> = split.train.iter().map(|&index| combinations[index][place]).collect();
                    assert_eq!(levels.len(), factor.n_levels(), "{}", factor.name);
                }
                let contents: BTreeSet<_> =
                    split.train.iter().map(|&index| of_kind(&combinations[index], &[0, 1])).collect();
                assert_eq!(contents.len(), 100, "share {share}, seed {seed}");
            }
        }
    }

    #[test]
    fn beyond_what_every_content_can_keep_as_many_as_possible_keep_one() {
        let (factors, combinations) = digits();
        for seed in 0..6 {
            let split = Split::new(&factors, &combinations, &[cells(0.9, seed)]).unwrap();
            // 60 cells stay, so at best 60 of the 100 contents.
            let contents: BTreeSet<_> =
                split.train.iter().map(|&index| of_kind(&combinations[index], &[0, 1])).collect();
            assert_eq!((split.train.len(), contents.len()), (180, 60));
        }
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let (factors, combinations) = digits();
        let split = |seed| Split::new(&factors, &combinations, &[cells(0.3, seed)]).unwrap();
        assert_eq!(split(4), split(4));
        assert_ne!(split(4).train, split(5).train);
    }

    #[test]
    fn cells_are_drawn_evenly() {
        // Over many seeds each of 600 cells is held out in about 30 % of the draws: 200 draws, mean 60, standard
        // deviation √(200 · 0.3 · 0.7) ≈ 6.5, and no cell beyond 5.5 of these.
        let (factors, combinations) = digits();
        let mut counts = vec![0_u32; combinations.len()];
        for seed in 0..200 {
            let split = Split::new(&factors, &combinations, &[cells(0.3, seed)]).unwrap();
            split.indices("cells").unwrap().iter().for_each(|&index| counts[index] += 1);
        }
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(*least >= 24 && *most <= 96, "{least} … {most}");
    }

    #[test]
    fn a_share_counts_on_nothing_that_another_rule_holds_out() {
        // Two by two cells; another rule takes (0, 0). Of the three that are left, level 0 of each factor has one cell.
        // Half of four cells may be held out: (1, 1), which nothing needs, and (0, 0), of which nothing is left anyway.
        let factors = Factors::new(vec![Factor::numbered("a", 2), Factor::numbered("b", 2)]).unwrap();
        let combinations: Vec<Combination> = factors.combinations().collect();
        let share = Share { of: vec!["a".into(), "b".into()], share: 0.5, content: vec![], seed: 0 };
        for seed in 0..20 {
            let mut rng = crate::randomness::keyed_rng(seed, "test", 0);
            let held_out = [true, false, false, false];
            let found = select_share("x", &share, &factors, &combinations, &held_out, &mut rng).unwrap();
            assert_eq!(found, [0, 3]);
        }
    }

    #[test]
    fn impossible_rules_are_refused_with_the_reason() {
        let (factors, combinations) = digits();
        let message = |rule: HeldOut| {
            let message = Split::new(&factors, &combinations, &[rule]).unwrap_err().to_string();
            assert!(message.starts_with("held-out set `") && !message.contains('\n'), "{message}");
            message
        };
        for share in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
            assert!(message(cells(share, 0)).contains("expected one above 0 and below 1"));
        }
        assert!(message(cells(0.0001, 0)).contains("raise the share"));
        assert!(message(cells(0.995, 0)).contains("lower the share"));
        let share = |of: &[&str], content: &[&str]| {
            let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            let rule = Rule::Share(Share { of: names(of), share: 0.3, content: names(content), seed: 0 });
            HeldOut { name: "x".to_owned(), rule }
        };
        assert!(message(share(&[], &[])).contains("names no factor"));
        assert!(message(share(&["digit", "digit"], &[])).contains("`digit` twice"));
        assert!(message(share(&["digit"], &["style"])).contains("`content` names `style`"));
        assert!(message(share(&["slant"], &[])).contains("there is no factor `slant`"));
        let levels = |levels: &[(&str, &str)]| HeldOut {
            name: "x".to_owned(),
            rule: Rule::Where(levels.iter().map(|&(factor, level)| (factor.to_owned(), level.into())).collect()),
        };
        assert!(message(levels(&[])).contains("names no level"));
        assert!(message(levels(&[("digit", "11")])).contains("no level `11`; its levels are 0, 1, 2"));
        assert!(message(levels(&[("slant", "1")])).contains("there is no factor `slant`"));
        assert!(message(levels(&[("digit", "7")])).contains("digit=7"));
        assert!(message(listed(&[])).contains("lists no cell"));
        assert!(message(listed(&["digit=7 style=1", " "])).contains("a cell without levels"));
        assert!(message(listed(&["digit=7 style=1", "style=1 digit=7"])).contains("`style=1 digit=7` twice"));
        assert!(message(listed(&["digit=7 digit=7"])).contains("the factor `digit` twice"));
        assert!(message(listed(&["digit 7"])).contains("expected factor=level"));
        assert!(message(listed(&["slant=1"])).contains("there is no factor `slant`"));
        assert!(message(listed(&["digit=11"])).contains("no level `11`"));
        assert!(message(listed(&["digit=7"])).contains("leaves no training image of digit=7"));
        let few = combinations[..1_000].to_vec();
        let error = Split::new(&factors, &few, &[listed(&["digit=1 style=1", "digit=9 style=9"])]).unwrap_err();
        assert!(error.to_string().contains("no image has all levels of `digit=9 style=9`"), "{error}");
    }

    #[test]
    fn rules_are_read_from_and_written_to_toml() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Config {
            held_out: Vec<HeldOut>,
        }
        let text = r#"
            [[held_out]]
            name = "result-3"
            where = { digit = 7, style = "9", transform = "mirror-x" }
            [[held_out]]
            name = "few"
            listed = ["digit=7 style=9"]
            [[held_out]]
            name = "cells"
            share = { of = ["digit", "style", "transform"], share = 0.3, content = ["digit", "style"], seed = 5 }
        "#;
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.held_out, [digits::held_out()[1].clone(), listed(&["digit=7 style=9"]), cells(0.3, 5)]);
        assert_eq!(toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap(), config);
        let refused = |text: &str| toml::from_str::<Config>(text).unwrap_err().to_string();
        assert!(refused("[[held_out]]\nname = \"x\"").contains("has none of `where`, `listed` and `share`"));
        assert!(
            refused("[[held_out]]\nname = \"x\"\nwhere.digit = 7\nwher.digit = 7").contains("unknown field `wher`")
        );
        assert!(
            refused("[[held_out]]\nname = \"x\"\nwhere.digit = true").contains("the name or the number of a level")
        );
        assert!(
            refused("[[held_out]]\nname = \"x\"\nwhere.digit = 7\nshare = { of = [], share = 0.1, seed = 0 }")
                .contains("has `where` and `share`; keep one")
        );
        assert!(
            refused("[[held_out]]\nname = \"x\"\nwhere.digit = 7\nlisted = [\"digit=7\"]")
                .contains("has `where` and `listed`; keep one")
        );
    }
}
