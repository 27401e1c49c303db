//! The one error type of this crate. Every message is one line that names the file or the setting, says what was
//! expected and what was found, and ends with what to do.

use std::path::{Path, PathBuf};

/// What can go wrong between the bytes on disk and a batch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted, as a verb phrase ("read the file").
        action: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },

    /// A file exists but its content is not what it has to be.
    #[error("{}: expected {expected}, found {found}; {cure}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What the file should hold.
        expected: String,
        /// What it holds.
        found: String,
        /// What to do about it.
        cure: String,
    },

    /// None of the names under which a file may lie exists.
    #[error("{}: expected one of the files {}, found none of them; {cure}", dir.display(), tried.join(", "))]
    MissingFile {
        /// The folder that was searched.
        dir: PathBuf,
        /// The names that were tried.
        tried: Vec<String>,
        /// What to do about it.
        cure: String,
    },

    /// A factor of this name does not exist.
    #[error("there is no factor `{name}`; the factors are {known}")]
    UnknownFactor {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },

    /// A factor has no level of this name.
    #[error("the factor `{factor}` has no level `{level}`; its levels are {known}")]
    UnknownLevel {
        /// The factor.
        factor: String,
        /// The level that was asked for.
        level: String,
        /// The levels that exist.
        known: String,
    },

    /// A combination or a selection of factors does not fit the set.
    #[error("{0}")]
    Combination(String),

    /// A rule of what to hold out cannot be carried out.
    #[error("held-out set `{name}`: {reason}")]
    HeldOut {
        /// The rule's name.
        name: String,
        /// Why not, and what to do.
        reason: String,
    },

    /// A setting is outside what is possible.
    #[error("{setting} = {found}: expected {expected}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What it was set to.
        found: String,
        /// What it may be.
        expected: String,
    },

    /// More than one thing is wrong with what a user supplied.
    #[error("{first}; {n_more} more of such problems: {cure}")]
    Several {
        /// The first of them.
        first: Box<Error>,
        /// How many others there are.
        n_more: usize,
        /// How to see them all.
        cure: &'static str,
    },

    /// The hub could not be asked, and the cache could not answer either.
    #[error("{what}: {reason}; {cure}")]
    Hub {
        /// The file on the hub.
        what: String,
        /// Why it could not be had.
        reason: String,
        /// What to do about it.
        cure: String,
    },
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(path: &Path, action: &'static str, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), action, source }
    }

    pub(crate) fn content(
        path: &Path,
        expected: impl Into<String>,
        found: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self::Content { path: path.to_path_buf(), expected: expected.into(), found: found.into(), cure: cure.into() }
    }

    pub(crate) fn held_out(name: &str, reason: impl Into<String>) -> Self {
        Self::HeldOut { name: name.to_owned(), reason: reason.into() }
    }
}
