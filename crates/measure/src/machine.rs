//! The machine that a result was made on, as far as the operating system tells.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Processor and operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The processor's name, or `unknown processor`.
    pub cpu: String,
    /// Physical cores.
    pub cores: usize,
    /// Threads that this process may run on.
    pub threads: usize,
    /// The operating system's name.
    pub os: String,
}

impl Machine {
    /// Describes the machine that this runs on.
    pub fn detect() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let (cpu, cores) = processor(&cpuinfo);
        Self {
            cpu: cpu.unwrap_or_else(|| "unknown processor".to_owned()),
            cores: cores.unwrap_or(threads),
            threads,
            os: os_name(&release),
        }
    }
}

/// The processor's name and the number of distinct (socket, core) pairs in the text of `/proc/cpuinfo`.
fn processor(cpuinfo: &str) -> (Option<String>, Option<usize>) {
    let (mut name, mut socket) = (None, String::new());
    let mut cores = BTreeSet::new();
    for line in cpuinfo.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim().to_owned();
        match key.trim() {
            "model name" if name.is_none() => name = Some(value),
            "physical id" => socket = value,
            "core id" => {
                cores.insert((socket.clone(), value));
            }
            _ => {}
        }
    }
    (name, (!cores.is_empty()).then_some(cores.len()))
}

fn os_name(release: &str) -> String {
    release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map_or_else(|| std::env::consts::OS.to_owned(), |name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hyper_threads_of_one_core_count_once() {
        let thread = |core| format!("model name\t: Some CPU @ 2 GHz\nphysical id\t: 0\ncore id\t\t: {core}\n\n");
        let text = [thread(0), thread(0), thread(1), thread(1)].concat();
        assert_eq!(processor(&text), (Some("Some CPU @ 2 GHz".to_owned()), Some(2)));
        assert_eq!(processor(""), (None, None));
        assert_eq!(os_name("NAME=x\nPRETTY_NAME=\"Some Linux 12\"\n"), "Some Linux 12");
        assert_eq!(os_name(""), std::env::consts::OS);
        assert!(Machine::detect().threads >= 1);
    }
}
