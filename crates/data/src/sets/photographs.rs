//! The real face sets KDEF and MMI, from a folder of the user: neither may be redistributed.
//!
//! [`prepare`] reads file names, finds the face of every picture, crops and resizes it, and keeps the result in a
//! folder; [`load`] makes any of the named sets of [`faces`](super::faces) from that folder, with the same factors,
//! levels and held-out combinations as the drawn ones.
//!
//! | module | what it holds |
//! |---|---|
//! | `names` | what a file name says |
//! | `detector` | where the face is, and what counts as exactly one |
//! | `crop` | the square that is cut out around it |
//! | `sources` | the files of the user's folder |
//! | `prepare` | from the user's folder to the prepared one |
//! | `table` | `table.csv`: every picture, what became of it and why |
//! | `cache` | the cropped pictures on disk |
//! | `report` | counts, and what is missing |
//! | `load` | from the prepared folder to a named set |
//!
//! Deviation from the original, which found faces by a Haar cascade on the equalised grey picture: see `detector` and
//! `crop`. Source: SPEC §3.2.

mod cache;
mod crop;
mod detector;
mod load;
mod names;
mod prepare;
mod report;
mod sources;
mod table;

pub use detector::{FaceModel, MODEL_SHA256};
pub use load::{Photographs, load};
pub use prepare::{Preparation, prepare};
pub use report::Report;

use super::faces;
use crate::{Error, Result};

/// Pixels of a side of the prepared pictures.
pub const SIZES: [usize; 2] = [158, 71];

/// Which of the two sets a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhotoSet {
    /// Karolinska Directed Emotional Faces: 70 persons, seven expressions, sessions A and B.
    Kdef,
    /// Pictures of the MMI Facial Expression Database: 7 persons, seven emotions, one session.
    Mmi,
}

impl PhotoSet {
    /// The photographs from which the named set is made.
    ///
    /// # Errors
    /// There is no set of this name.
    pub fn of(name: &str) -> Result<Self> {
        match name {
            _ if !faces::NAMES.contains(&name) => {
                let (found, expected) = (format!("`{name}`"), faces::NAMES.join(", "));
                Err(Error::Setting { setting: "faces set", found, expected })
            }
            _ if name.starts_with("mmi") => Ok(Self::Mmi),
            _ => Ok(Self::Kdef),
        }
    }

    /// The set's name on the command line and of its folder in `datasets`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kdef => "kdef",
            Self::Mmi => "mmi",
        }
    }

    /// The command that prepares the set.
    fn command(self) -> String {
        format!("cargo xtask data {} --from DIR", self.name())
    }
}

#[cfg(test)]
mod tests;
