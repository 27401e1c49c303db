//! The error type of this crate: each message is one line that names the file or the array, what was expected, and the
//! cure.

use std::path::{Path, PathBuf};

/// What can go wrong while measuring, or while reading and writing results.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no room for a file: the disk is full, or a quota or a limit on the size of files is reached.
    #[error(
        "{path}: no room to write it ({detail}); free some space (results/cache holds checkpoints that can be deleted) or lift the limit, and run the same command again"
    )]
    NoRoom {
        /// The file that was being written.
        path: PathBuf,
        /// What the operating system says.
        detail: String,
    },
    /// A file could not be written for another reason.
    #[error("{path}: cannot be written ({detail}); make the folder writable, or choose another results folder")]
    Write {
        /// The file that was being written.
        path: PathBuf,
        /// What the operating system says.
        detail: String,
    },
    /// A file could not be read.
    #[error("{path}: cannot be read ({detail}); run the experiment again to make it")]
    Read {
        /// The file that was being read.
        path: PathBuf,
        /// What the operating system says.
        detail: String,
    },
    /// A file was read, but its content is not what it must be.
    #[error("{path}: expected {expected}, found {found}; delete the file and run the experiment again to make it anew")]
    Malformed {
        /// The file that was being read.
        path: PathBuf,
        /// What its content must be.
        expected: String,
        /// What it is instead.
        found: String,
    },
    /// Rows that shall be written hold a value that no table may hold.
    #[error("{path}: not written, because {detail}; look at the run that produced it")]
    BadRow {
        /// The file that was to be written.
        path: PathBuf,
        /// What is wrong, and in which row.
        detail: String,
    },
    /// Arrays that do not fit together.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// The function or argument.
        what: &'static str,
        /// The shape or count that was expected.
        expected: String,
        /// The shape or count that was given.
        found: String,
    },
    /// An image holds a value that is not a number, so no metric of it means anything.
    #[error("{what}: an image holds values that are not finite; look at the loss of the run that generated it")]
    NotFinite {
        /// The metric.
        what: &'static str,
    },
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Maps an operating-system error on writing to [`Error::NoRoom`] or [`Error::Write`].
    pub fn writing(path: &Path, source: &std::io::Error) -> Self {
        let (path, detail) = (path.to_path_buf(), one_line(&source.to_string()));
        match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge => {
                Self::NoRoom { path, detail }
            }
            _ => Self::Write { path, detail },
        }
    }

    /// Maps an operating-system error on reading to [`Error::Read`].
    pub fn reading(path: &Path, source: &std::io::Error) -> Self {
        Self::Read { path: path.to_path_buf(), detail: one_line(&source.to_string()) }
    }

    /// Reports content that is not what it must be; `found` is folded into one line.
    pub fn malformed(path: &Path, expected: impl Into<String>, found: impl std::fmt::Display) -> Self {
        Self::Malformed { path: path.to_path_buf(), expected: expected.into(), found: one_line(&found.to_string()) }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
