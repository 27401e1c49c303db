//! `cargo xtask ablate --no-…`

use std::slice;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use multigen_training::ablation::{self, LeftOut};
use multigen_training::reproduce;

use crate::reproduce::How;

#[derive(Args, Debug)]
pub struct Arguments {
    /// Leave out the cooperative classifier
    #[arg(long)]
    no_cooperative: bool,
    /// Leave out the adversarial discriminator
    #[arg(long)]
    no_adversarial: bool,
    /// Leave out the classifier's transform head
    #[arg(long)]
    no_transform: bool,
    /// Leave out the mask head and its loss
    #[arg(long)]
    no_segmentation: bool,
    /// Start the classifier at random
    #[arg(long)]
    no_pretraining: bool,
    /// l1: the absolute error in the place of the squared one
    #[arg(long, value_enum, default_value_t = Loss::L2)]
    loss: Loss,
    /// What is drawn
    #[arg(long, value_enum, default_value_t = Subject::Digits)]
    on: Subject,
    /// Number of seeds, the same for both arms; intervals need two, verdicts five
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Loss {
    /// The squared error, as in the full model
    L2,
    /// The absolute error
    L1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Handwritten digits
    Digits,
    /// Drawn faces, or your photographs
    Faces,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let left_out: Vec<LeftOut> = [
        (arguments.no_cooperative, LeftOut::Cooperative),
        (arguments.no_adversarial, LeftOut::Adversarial),
        (arguments.no_transform, LeftOut::Transform),
        (arguments.no_segmentation, LeftOut::Segmentation),
        (arguments.loss == Loss::L1, LeftOut::SquaredError),
        (arguments.no_pretraining, LeftOut::Pretraining),
    ]
    .into_iter()
    .filter_map(|(is_asked_for, part)| is_asked_for.then_some(part))
    .collect();
    let how = &arguments.how;
    let name = match arguments.on {
        Subject::Digits => "ablation",
        Subject::Faces => "ablation-faces",
    };
    let full = how.catalogue()?.resolve(name, &how.request(false))?;
    let mut experiment = ablation::experiment(&full, &left_out)?;
    let options = how.options(arguments.seeds)?;
    let data = how.data(slice::from_ref(&experiment), &options)?;
    let images = data.first().context("no images")?;
    let differences = ablation::differences(&reproduce::plan(&experiment, images, &options)?, &left_out)?;
    eprintln!("the arms differ in:");
    for difference in &differences {
        eprintln!("  {difference}");
    }
    experiment.about.varies = differences.join("; ");
    how.perform(slice::from_ref(&experiment), &data, &options, false)
}
