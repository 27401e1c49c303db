//! The processes that measure: this program again, or PyTorch's script.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::step::Measurement;
use crate::{Error, Result};

/// Where PyTorch's side of the comparison lies in a checkout.
const SCRIPT: &str = "crates/ops/benches/pytorch_step.py";

/// glibc's allocator on huge pages that never gives memory back, so that a step finds that of the step before.
const TUNED: &str = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=68719476736:\
                     glibc.malloc.top_pad=268435456";

/// What a process that was started by `command` measured and printed.
///
/// # Errors
/// When it cannot be started, fails, or prints something else.
pub(super) fn measurement(command: Command) -> Result<Measurement> {
    json(command, "")
}

/// Runs `command` and reads the last line that it prints. `hint` is added where it cannot be started.
fn json<T: DeserializeOwned>(mut command: Command, hint: &str) -> Result<T> {
    let program = PathBuf::from(command.get_program());
    let script = command.get_args().find(|argument| argument.to_string_lossy().ends_with(".py")).map(PathBuf::from);
    let output =
        command.output().map_err(|error| Error::file(&program, format!("cannot be started ({error}){hint}")))?;
    let named = script.unwrap_or(program);
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let reason = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("failed without a word");
        return Err(Error::file(named, format!("{}{hint}", reason.trim_start_matches("error: "))));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|error| Error::file(named, format!("printed no measurement ({error})")))
}

/// A Python with torch, and the script.
pub(super) struct PyTorch {
    python: PathBuf,
    script: PathBuf,
    pub(super) version: String,
    nets: Vec<String>,
}

#[derive(Deserialize)]
struct Listing {
    nets: Vec<String>,
    torch: String,
}

impl PyTorch {
    /// Asks the script what it can train.
    pub(super) fn find(python: &Path, root: &Path) -> Result<Self> {
        let script = root.join(SCRIPT);
        let mut command = Command::new(python);
        command.arg(&script).arg("--list");
        let Listing { nets, torch } = json(command, "; give a Python that has torch by --python PATH")?;
        Ok(Self { python: python.to_owned(), script, version: torch, nets })
    }

    /// Refuses a network that the script cannot train.
    pub(super) fn check_knows(&self, net: &str) -> Result<()> {
        if self.nets.iter().any(|known| known == net) {
            return Ok(());
        }
        Err(Error::file(&self.script, format!("does not know {net}; it trains {}", self.nets.join(", "))))
    }

    pub(super) fn measurement(
        &self,
        net: &str,
        batch: usize,
        n_steps: usize,
        threads: usize,
        tuned: bool,
    ) -> Result<Measurement> {
        let mut command = Command::new(&self.python);
        command.arg(&self.script).args(["--net", net]);
        for (flag, value) in [("--batch", batch), ("--steps", n_steps), ("--threads", threads)] {
            command.args([flag, &value.to_string()]);
        }
        if tuned {
            command.env("GLIBC_TUNABLES", TUNED);
        }
        json(command, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_last_line_is_the_measurement() -> Result<()> {
        let printed = r#"echo hello; echo '{"step_ms": [3.0, 1.0], "threads": 2, "memory_before_bytes": null, "peak_memory_bytes": 7}'"#;
        let found = measurement(shell(printed))?;
        assert_eq!((found.step_ms, found.threads, found.peak_memory_bytes), (vec![3.0, 1.0], 2, Some(7)));
        Ok(())
    }

    #[test]
    fn what_goes_wrong_is_told_in_one_line() {
        let told = |script: &str| measurement(shell(script)).map_or_else(|error| error.to_string(), |_| String::new());
        assert_eq!(told("echo one >&2; echo 'error: two' >&2; echo >&2; exit 3"), "sh: two");
        assert!(told("echo nothing").starts_with("sh: printed no measurement"));
        let missing = PyTorch::find(Path::new("/no/such/python"), Path::new("/nowhere"));
        let missing = missing.map_or_else(|error| error.to_string(), |_| String::new());
        assert!(missing.starts_with("/no/such/python: cannot be started") && missing.contains("--python"), "{missing}");
    }
}
