//! `cargo xtask data faces-check`

use anyhow::Result;
use clap::Args;
use multigen_data::sets::faces::DRAWING_VERSION;
use multigen_training::judging::JudgeTraining;
use multigen_training::train::Surroundings;
use multigen_training::{device, faces_check};

use crate::interrupt;

#[derive(Args, Debug)]
pub struct Arguments {
    /// Pixels of a side
    #[arg(long, default_value_t = 71)]
    size: usize,
    /// Updates of each classifier
    #[arg(long, default_value_t = 600)]
    steps: u64,
    #[arg(long, default_value_t = 64)]
    batch: usize,
    #[arg(long, default_value_t = 1e-3)]
    rate: f64,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let device = device::parse("cpu")?;
    let around = Surroundings { device: &device, interrupt: interrupt::flag()?, quiet: false, commit: None };
    let training = JudgeTraining {
        steps: arguments.steps,
        batch: arguments.batch,
        learning_rate: arguments.rate,
        test_images: 10_000,
    };
    println!("drawing {DRAWING_VERSION}");
    for arm in faces_check::check(arguments.size, &training, around)? {
        println!("{arm:?}");
    }
    Ok(())
}
