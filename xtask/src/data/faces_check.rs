//! `cargo xtask data faces-check`

use anyhow::Result;
use clap::Args;
use multigen_training::judging::JudgeTraining;
use multigen_training::train::Surroundings;
use multigen_training::{device, faces_check, provenance};

use crate::interrupt;
use crate::workspace::{self, Places};

#[derive(Args, Debug)]
pub struct Arguments {
    /// Updates of each classifier
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    steps: u64,
    /// Pixels of a side; several are possible. The page is kept where the first is 71, else printed only
    #[arg(long = "size", value_name = "N", default_values_t = [faces_check::KEPT_SIZE])]
    sizes: Vec<usize>,
    #[command(flatten)]
    places: Places,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let device = device::parse("cpu")?;
    let results = arguments.places.results()?;
    results.check_writable()?;
    let commit = provenance::commit(&arguments.places.root()?);
    let around = Surroundings { device: &device, interrupt: interrupt::flag()?, quiet: false, commit: commit.as_ref() };
    let training = JudgeTraining::on_images(arguments.steps);
    let mut sizes = Vec::new();
    for &size in &arguments.sizes {
        sizes.push((size, faces_check::check(size, &training, around)?));
    }
    let text = faces_check::report(&sizes, &training, commit.as_ref(), &workspace::command_line());
    println!("{text}");
    // The page is compared with what is asked for at this size.
    if arguments.sizes.first() == Some(&faces_check::KEPT_SIZE) {
        multigen_measure::atomic_write(&results.faces_check(), text.as_bytes())?;
        println!("{}", results.faces_check().display());
    }
    Ok(())
}
