//! `cargo xtask data …`: data sets, what they hold, and how they are prepared. One file a command, but for the shortest.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use multigen_analysis::figures::sheet::write_sheet;
use multigen_data::FacesConfig;
use multigen_data::sets::faces::{self, Expression};
use multigen_data::sets::photographs::PhotoSet;
use multigen_measure::Sheet;
use ndarray::Array4;

use crate::workspace::Places;

mod check;
mod faces_check;
mod photographs;

#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Subcommand, Debug)]
enum DataCommand {
    /// Get a data set from the hub (or its cache) and compare it with the embedded copy
    Fetch {
        /// The data set: mnist
        name: String,
        #[command(flatten)]
        places: Places,
    },
    /// Draw a contact sheet of the set of drawn faces
    Faces(Faces),
    /// Check that the drawn faces are neither too easy nor too hard for a classifier
    FacesCheck(faces_check::Arguments),
    /// Look for everything that is wrong with a set of your own: a folder of pictures and a table
    Check(check::Check),
    /// Make a small set of your own to begin with
    Example(check::Example),
    /// Prepare your photographs of KDEF: find the face of each, crop and resize it
    Kdef(photographs::Arguments),
    /// Prepare your photographs of MMI, named PERSON-EMOTION.png
    Mmi(photographs::Arguments),
}

#[derive(Args, Debug)]
struct Faces {
    /// The sheet, a PNG file
    #[arg(long, value_name = "FILE", default_value = "faces.png")]
    out: PathBuf,
    /// The first person
    #[arg(long, default_value_t = 0)]
    first: u32,
    /// How many persons, a row each
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    persons: u32,
    /// Pixels of a side
    #[arg(long, default_value_t = 158)]
    size: usize,
    /// One neutral face per session instead of one face per expression
    #[arg(long)]
    sessions: bool,
    /// With the noise that training sees
    #[arg(long)]
    noise: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        DataCommand::Fetch { name, places } if name == "mnist" => fetch_mnist(places),
        DataCommand::Fetch { name, .. } => anyhow::bail!("no data set '{name}' on the hub; expected mnist"),
        DataCommand::Faces(faces) => faces_sheet(faces),
        DataCommand::FacesCheck(arguments) => faces_check::run(arguments),
        DataCommand::Check(set) => check::check(set),
        DataCommand::Example(example) => check::example(example),
        DataCommand::Kdef(arguments) => photographs::run(PhotoSet::Kdef, arguments),
        DataCommand::Mmi(arguments) => photographs::run(PhotoSet::Mmi, arguments),
    }
}

fn faces_sheet(arguments: &Faces) -> Result<()> {
    let Faces { out, first, persons, size, sessions, noise } = arguments;
    let end = first.checked_add(*persons).context("--first: there are no persons beyond 4294967295")?;
    let config = FacesConfig {
        persons: (*first..end).collect(),
        expressions: if *sessions { vec![Expression::Neutral] } else { faces::SEVEN.to_vec() },
        sessions: if *sessions { vec![0, 1, 2] } else { vec![0] },
        size: *size,
        noise: *noise,
        ..FacesConfig::default()
    };
    let set = faces::build(&config)?;
    let factor = set.factors.iter().nth(if *sessions { 2 } else { 1 }).context("the set has no such factor")?;
    let columns: Vec<String> =
        factor.levels.iter().map(|level| if *sessions { format!("session {level}") } else { level.clone() }).collect();
    let shape = (set.len(), set.channels, set.height, set.width);
    let images = Array4::from_shape_vec(shape, set.images).context("the set has other images than it says")?;
    let rows = config.persons.iter().map(|person| format!("person {person}")).collect();
    let mut sheet = Sheet::new("faces", "Drawn faces", rows, columns, images);
    sheet.note = format!("drawn by this program, nobody's pictures; drawing {}, {size} pixels", faces::DRAWING_VERSION);
    write_sheet(out, &sheet)?;
    println!("{}", out.display());
    Ok(())
}

#[cfg(not(feature = "hub"))]
fn fetch_mnist(_places: &Places) -> Result<()> {
    anyhow::bail!(
        "this program was built without the hub; run `cargo xtask-hub data fetch mnist` (the embedded copy needs no hub)"
    )
}

#[cfg(feature = "hub")]
fn fetch_mnist(places: &Places) -> Result<()> {
    use multigen_data::Mnist;
    use multigen_data::hub::{HubConfig, fetch_and_compare};

    let config = HubConfig::from_env()?;
    let report = fetch_and_compare(&config, &Mnist::load(&places.mnist(None)?)?)?;
    println!("{report}");
    Ok(())
}
