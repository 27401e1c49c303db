//! The images of a share of all cells, drawn at random so that training keeps something of everything.

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::{Combination, Error, Factors, Result};

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
