//! `cargo xtask data check …`, `cargo xtask data example …`: the user's own sets.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use multigen_data::CustomConfig;
use multigen_data::sets::custom::{self, Crop, EXAMPLE_TABLE};

use crate::output;

#[derive(Args, Debug)]
pub struct Check {
    /// An experiment file whose [dataset] is checked, instead of --images and --table
    #[arg(
        value_name = "EXPERIMENT.toml",
        required_unless_present_any = ["images", "table"],
        conflicts_with_all = ["images", "table", "size", "image_column", "crop", "transforms"]
    )]
    experiment: Option<PathBuf>,
    /// The folder of the pictures
    #[arg(long, value_name = "DIR", requires = "table")]
    images: Option<PathBuf>,
    /// The table: a column for the picture's name, one for each factor, perhaps one named split
    #[arg(long, value_name = "FILE", requires = "images")]
    table: Option<PathBuf>,
    /// Pixels of a side, 16 to 256 [default: those of the pictures]
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// The column that names the picture [default: image, file or path]
    #[arg(long, value_name = "NAME")]
    image_column: Option<String>,
    /// How pictures that are no squares become some [default: they are refused]
    #[arg(long, value_enum)]
    crop: Option<CropName>,
    /// Every picture also turned and mirrored: 4, 6 or 8 symmetries of the square
    #[arg(long, value_name = "N", default_value_t = 1)]
    transforms: usize,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum CropName {
    /// The largest square in the middle
    Centre,
}

#[derive(Args, Debug)]
pub struct Example {
    /// The folder, which must be new or empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Prints everything that there is to be said about a set; fails where it could not be trained on.
pub fn check(arguments: &Check) -> Result<()> {
    let config = match (&arguments.experiment, &arguments.images, &arguments.table) {
        (Some(experiment), ..) => CustomConfig::from_experiment(experiment)?,
        (None, Some(images), Some(table)) => CustomConfig {
            size: arguments.size,
            image_column: arguments.image_column.clone(),
            crop: arguments.crop.map(|CropName::Centre| Crop::Centre),
            transforms: arguments.transforms,
            ..CustomConfig::new(images, table)
        },
        _ => anyhow::bail!("no set to check; give an experiment file, or --images DIR and --table FILE"),
    };
    let report = custom::check(&config)?;
    output::write(&report.to_string())?;
    match report.problems() {
        [] => Ok(()),
        [_] => anyhow::bail!("the set has a problem, listed above"),
        problems => anyhow::bail!("the set has {} problems, listed above", problems.len()),
    }
}

/// Makes a small set to begin with.
pub fn example(arguments: &Example) -> Result<()> {
    let Example { out } = arguments;
    let n_pictures = custom::write_example(out)?;
    let (folder, table) = (out.display(), out.join(EXAMPLE_TABLE));
    let table = table.to_str().context("--out: expected a name in UTF-8; choose another one")?;
    println!("{n_pictures} pictures of 32×32 pixels and their table {table}");
    println!("next: cargo xtask data check --images {folder} --table {table}");
    Ok(())
}
