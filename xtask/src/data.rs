//! `cargo xtask data fetch mnist`

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::workspace::Places;

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
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let DataCommand::Fetch { name, places } = &arguments.command;
    if name != "mnist" {
        anyhow::bail!("no data set '{name}' on the hub; expected mnist");
    }
    fetch_mnist(places)
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
