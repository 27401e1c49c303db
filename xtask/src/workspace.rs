//! Where things lie: the checkout, its experiments, its data, its results.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use multigen_data::MnistSource;
use multigen_measure::ResultsDir;
use multigen_training::{Catalogue, experiment};

/// Where a command reads and writes.
#[derive(Args, Debug)]
pub struct Places {
    /// Folder of experiment files [default: experiments/ of the checkout]
    #[arg(long, value_name = "DIR")]
    experiments: Option<PathBuf>,
    /// Folder for results [default: results/ of the checkout]
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
}

impl Places {
    /// The checkout.
    pub fn root(&self) -> Result<PathBuf> {
        root()
    }

    /// The experiments.
    pub fn catalogue(&self) -> Result<Catalogue> {
        Ok(Catalogue::new(match &self.experiments {
            Some(dir) => dir.clone(),
            None => self.root()?.join("experiments"),
        }))
    }

    /// The results.
    pub fn results(&self) -> Result<ResultsDir> {
        Ok(ResultsDir::new(match &self.results {
            Some(dir) => dir.clone(),
            None => self.root()?.join("results"),
        }))
    }

    /// MNIST: the user's files, or the embedded copy.
    pub fn mnist(&self, dir: Option<&PathBuf>) -> Result<MnistSource> {
        Ok(match dir {
            Some(dir) => MnistSource::Directory(dir.clone()),
            None => MnistSource::Embedded { datasets: self.root()?.join("datasets") },
        })
    }
}

/// The checkout: from the current folder upwards, else the one that this program was built from.
pub fn root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("the current folder cannot be read; change to another one")?;
    match experiment::find_root(&here) {
        Ok(root) => Ok(root),
        Err(error) => {
            let built_from = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            Ok(experiment::find_root(&built_from).map_err(|_| error)?)
        }
    }
}

/// The command as the user would type it again, in words of a shell; without the folder of the results, which says
/// where they lie and not how they came about.
pub fn command_line() -> String {
    typed(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()))
}

fn typed(mut words: impl Iterator<Item = String>) -> String {
    let mut command = if cfg!(feature = "cuda") { "cargo xtask-cuda" } else { "cargo xtask" }.to_owned();
    while let Some(word) = words.next() {
        if word == "--results" {
            words.next();
        } else if !word.starts_with("--results=") {
            command.push(' ');
            // Only a NUL cannot be quoted, and no argument of a program holds one.
            command.push_str(&shlex::try_quote(&word).unwrap_or_default());
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_command_can_be_typed_again_and_names_no_folder_of_results() {
        let words =
            ["reproduce", "e", "--results", "/home/me/r", "--set", "a=[\"b\", \"c\"]", "--results=r", "--seeds", "5"];
        let command = typed(words.into_iter().map(str::to_owned));
        assert!(command.ends_with(" reproduce e --set 'a=[\"b\", \"c\"]' --seeds 5"), "{command}");
        let read = shlex::split(&command).unwrap();
        assert_eq!(read[2..], ["reproduce", "e", "--set", words[5], "--seeds", "5"]);
    }
}
