//! `confusion.csv`: how often a classifier took each level of a factor for which, in long form.
//!
//! Counts are over the images of one test set, for one arm and one seed. Rows stand in the order of the levels, truth
//! before reading; a count of 0 is left out but for a level read right, so that every level has a row of its own.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rows::Row;

/// How often images that show one level were read as showing another, or the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfusionRow {
    /// The arm.
    pub model: String,
    /// The seed of the run.
    pub seed: u64,
    /// The test set.
    pub set: String,
    /// The factor that was read.
    pub factor: String,
    /// The level that the images show.
    pub truth: String,
    /// The level that was read.
    pub read: String,
    /// How many images.
    pub count: u64,
}

impl Row for ConfusionRow {
    const COLUMNS: &'static [&'static str] = &["model", "seed", "set", "factor", "truth", "read", "count"];

    fn figures(&self) -> Vec<(&'static str, f64)> {
        vec![("count", self.count as f64)]
    }
}

/// Counts `[true level, read level]` of `n_levels` levels.
///
/// # Errors
/// [`Error::Shape`] where not as many levels are read as there are images, or a level is none of the factor's.
pub fn confusion(n_levels: usize, truth: &[usize], read: &[usize]) -> Result<Vec<Vec<u64>>> {
    let shape = |found: String| Error::Shape {
        what: "confusion",
        expected: format!("{} levels below {n_levels}", truth.len()),
        found,
    };
    if truth.len() != read.len() {
        return Err(shape(format!("{} read levels", read.len())));
    }
    let mut counts = vec![vec![0; n_levels]; n_levels];
    for (&truth, &read) in truth.iter().zip(read) {
        let count = counts.get_mut(truth).and_then(|row: &mut Vec<u64>| row.get_mut(read));
        *count.ok_or_else(|| shape(format!("level {truth} read as {read}")))? += 1;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_counted_by_what_they_show_and_what_was_read() {
        // Six images: level 0 thrice, read 0, 0, 2; level 1 once, read 1; level 2 twice, read 2, 0.
        let counts = confusion(3, &[0, 1, 0, 2, 0, 2], &[0, 1, 0, 2, 2, 0]).unwrap();
        assert_eq!(counts, [[2, 0, 1], [0, 1, 0], [1, 0, 1]]);
        assert_eq!(confusion(2, &[], &[]).unwrap(), [[0, 0], [0, 0]]);
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        for (truth, read) in [(vec![0, 1], vec![0]), (vec![3], vec![0]), (vec![0], vec![3])] {
            let message = confusion(3, &truth, &read).unwrap_err().to_string();
            assert!(message.contains("levels below 3") && !message.contains('\n'), "{message}");
        }
    }
}
