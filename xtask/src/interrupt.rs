//! Ctrl-C: the first one saves and stops, the second one stops at once.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

static INTERRUPT: AtomicBool = AtomicBool::new(false);

/// The flag that Ctrl-C (or a termination signal) raises.
pub fn flag() -> Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if INTERRUPT.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("\nstopping after this step and saving; once more stops at once");
    })
    .context("Ctrl-C cannot be handled")?;
    Ok(&INTERRUPT)
}
