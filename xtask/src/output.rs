//! Long text on the standard output.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};

/// Writes text; a reader that has seen enough, such as `head`, may close the pipe.
///
/// # Errors
/// When it cannot be written for another reason.
pub fn write(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("the standard output cannot be written"),
    }
}
