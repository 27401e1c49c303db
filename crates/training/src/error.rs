//! What can go wrong while an experiment is read, trained, measured or written; each message is one line.

use std::path::PathBuf;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// An operator refused its arguments.
    #[error(transparent)]
    Operator(#[from] multigen_ops::Error),
    /// A network refused its description, its levels or its weights.
    #[error(transparent)]
    Network(#[from] multigen_models::Error),
    /// The data could not be read or split.
    #[error(transparent)]
    Data(#[from] multigen_data::Error),
    /// Results could not be measured or written.
    #[error(transparent)]
    Measure(#[from] multigen_measure::Error),
    /// A file could not be read or written.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What happened and what to do.
        problem: String,
    },
    /// No experiment carries that name.
    #[error("no experiment named '{name}'{}; `cargo xtask list` shows all", suggestion.as_ref().map_or(String::new(), |s| format!(": did you mean '{s}'?")))]
    UnknownExperiment {
        /// What was asked for.
        name: String,
        /// The nearest name, if one is near.
        suggestion: Option<String>,
    },
    /// A configuration contradicts itself.
    #[error("{file}: {problem}")]
    Config {
        /// The file, or the flag, that holds it.
        file: String,
        /// What was expected and found.
        problem: String,
    },
    /// A checkpoint was written by another configuration.
    #[error("{}: written by configuration {found}, this run is {expected}; pass --fresh to train anew, or delete the file", path.display())]
    ForeignCheckpoint {
        /// The checkpoint.
        path: PathBuf,
        /// This run's hash.
        expected: String,
        /// The hash in the file.
        found: String,
    },
    /// The loss stopped being a number.
    #[error("{model}, seed {seed}: the loss is {loss} at step {step}; {}; lower the learning rate, for example --set learning_rate=1e-4", checkpoint.as_ref().map_or("there is no checkpoint yet".to_owned(), |path| format!("the last good checkpoint is {}", path.display())))]
    NonFiniteLoss {
        /// The model.
        model: String,
        /// The seed.
        seed: u64,
        /// The loss that was found.
        loss: f64,
        /// The step that computed it.
        step: u64,
        /// The last checkpoint before it, if there is one.
        checkpoint: Option<PathBuf>,
    },
    /// The user asked to stop.
    #[error(
        "stopped at step {step} of {steps} of {model}, seed {seed}; run the same command again to go on from what is saved"
    )]
    Interrupted {
        /// The model.
        model: String,
        /// The seed.
        seed: u64,
        /// Steps done.
        step: u64,
        /// Steps in all.
        steps: u64,
    },
    /// The user asked to stop while a classifier was trained.
    #[error(
        "stopped at step {step} of {steps} of {reader}; {}", if *is_kept { "run the same command again to go on from what is saved" } else { "nothing of it is kept" }
    )]
    ClassifierInterrupted {
        /// Who was trained.
        reader: String,
        /// Steps done.
        step: u64,
        /// Steps in all.
        steps: u64,
        /// Whether it goes on from there.
        is_kept: bool,
    },
    /// A device was asked for that is not there.
    #[error("device {device}: {problem}")]
    Device {
        /// What was asked for.
        device: String,
        /// Why it cannot be had and what to do.
        problem: String,
    },
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn config(file: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { file: file.into(), problem: problem.into() }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, problem: impl std::fmt::Display) -> Self {
        Self::File { path: path.into(), problem: problem.to_string() }
    }
}
