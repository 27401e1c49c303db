//! `cargo xtask show NAME`

use anyhow::Result;
use clap::Args;
use multigen_training::Request;
use multigen_training::experiment::DEFAULT_PROFILE;

use crate::workspace::Places;

#[derive(Args, Debug)]
pub struct Arguments {
    /// A full name, or an ending such as result-3
    name: String,
    /// smoke, quick or paper
    #[arg(long, default_value = DEFAULT_PROFILE)]
    profile: String,
    /// Include the further models
    #[arg(long)]
    all_models: bool,
    /// Change the configuration as `reproduce` would
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    #[command(flatten)]
    places: Places,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let catalogue = arguments.places.catalogue()?;
    let request = Request {
        profile: arguments.profile.clone(),
        all_models: arguments.all_models,
        overrides: arguments.overrides.clone(),
    };
    for name in catalogue.matching(&arguments.name)? {
        let experiment = catalogue.resolve_any(&name, &request)?;
        println!("# {name}, resolved for the {} profile", arguments.profile);
        println!("{}", experiment.to_toml()?);
        match catalogue.parent(&name)? {
            Some(parent) => println!("# what its file changes in its parent '{parent}'"),
            None => println!("# it has no parent; its file sets"),
        }
        for line in catalogue.delta(&name)? {
            println!("#   {line}");
        }
        println!();
    }
    Ok(())
}
