//! What can go wrong when a network is described, built, loaded or run.

use std::path::PathBuf;

/// The errors of this crate; each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// An operator refused its arguments.
    #[error(transparent)]
    Operator(#[from] multigen_ops::Error),
    /// A network description contradicts itself.
    #[error("network {network}: {problem}")]
    Description {
        /// The network's name.
        network: String,
        /// What does not fit, with both figures.
        problem: String,
    },
    /// No preset carries that name.
    #[error("unknown network '{name}': expected one of {known}")]
    UnknownNetwork {
        /// What was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A level lies outside its factor.
    #[error("factor {factor}: level {level} asked for, the network has levels 0 to {last}")]
    Level {
        /// The factor's name.
        factor: String,
        /// The level asked for.
        level: u32,
        /// The factor's last level.
        last: usize,
    },
    /// A network was given images of another shape than it reads.
    #[error("network {network}: images {found:?}, expected [n, {}, {}, {}]", expected[0], expected[1], expected[2])]
    Images {
        /// The network's name.
        network: String,
        /// Channels, height and width of the images that it reads.
        expected: [usize; 3],
        /// The shape of what it was given.
        found: Vec<usize>,
    },
    /// Stored weights do not belong to this network.
    #[error(
        "{source_name}: weight {weight}: expected shape {expected:?}, found {found}; it belongs to another network"
    )]
    Weight {
        /// Where the weights came from.
        source_name: String,
        /// The weight's name.
        weight: String,
        /// The network's shape.
        expected: Vec<usize>,
        /// What was there instead.
        found: String,
    },
    /// A weights file could not be read or written.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// What happened.
        problem: String,
    },
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
