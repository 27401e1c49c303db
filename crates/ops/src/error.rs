//! The error type of this crate: what was expected, what was found, and by which operator.

/// What an operator, the optimiser or the gradient buffers can complain about; each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The shapes or settings given to an operator do not fit together.
    #[error("{operator}: expected {expected}, found {found}; check the shapes of the network's layers")]
    Shape {
        /// The operator that refuses.
        operator: &'static str,
        /// What it needs.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// Backward reached no operator that uses this variable.
    #[error(
        "gradient buffers: variable {name} got no gradient; remove it from the trainable variables or use it in the loss"
    )]
    MissingGradient {
        /// The variable's name.
        name: String,
    },
    /// The optimiser's parameters, or a state given to it, do not fit it.
    #[error("adam: {entry}: expected {expected}, found {found}; was the state saved by another network?")]
    State {
        /// The entry of the state, or the parameter.
        entry: String,
        /// What the optimiser needs.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// Candle refused.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// A result whose error is [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;
