//! The error type of this crate: each message is one line that names the file and the cure.

use std::path::PathBuf;

/// What can go wrong while results are turned into a report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the results could not be read or written.
    #[error(transparent)]
    Measure(#[from] multigen_measure::Error),
    /// An experiment has no results yet.
    #[error("{path}: no such experiment; run it first, or look with `list` which there are")]
    NoExperiment {
        /// The folder that was looked for.
        path: PathBuf,
    },
    /// A table holds rows that contradict each other.
    #[error("{path}: {detail}; delete the file and run the experiment again to make it anew")]
    Rows {
        /// The table.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A figure could not be drawn.
    #[error("{path}: cannot be drawn ({detail}); look at the rows and samples beside it")]
    Figure {
        /// The figure.
        path: PathBuf,
        /// What the drawing library says.
        detail: String,
    },
    /// The table library refused.
    #[error("{path}: cannot be tabulated ({detail}); look at metrics.csv beside it")]
    Table {
        /// The table that was to be written.
        path: PathBuf,
        /// What the table library says.
        detail: String,
    },
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
