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
//!
//! [[held_out]]
//! name = "unused"
//! all_but = { of = ["person", "emotion"], every = "person", share = 0.12, seed = 0 }
//! ```
//!
//! The cells of a share are drawn at random by the rule's own seed, in such a way that every level of every factor
//! stays in training and that, where this is possible, every content (here every pair of digit and style) keeps a
//! cell in training: of a content never seen, nothing could be known. Source: SPEC §3.1, §6.
//!
//! | module | what it holds |
//! |---|---|
//! | `text` | a rule as it stands in a configuration file |
//! | `named` | the images that have named levels, or those of a listed cell |
//! | `share` | the images of a share of all cells |
//! | `all_but` | all images but a few, for studies of scarce data |

mod all_but;
mod named;
mod share;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::all_but::{AllBut, select_all_but};
pub use self::named::{select_listed, select_where};
pub use self::share::{Share, select_share};
use self::text::HeldOutText;
pub use self::text::LevelName;

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
    /// All but a few cells, drawn at random.
    AllBut(AllBut),
}

#[cfg(test)]
mod tests;
