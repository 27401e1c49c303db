//! The images that have named levels: all of one list of levels, or those of one of several cells.

use std::collections::BTreeMap;

use super::LevelName;
use crate::{Combination, Error, Factors, Result};

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
