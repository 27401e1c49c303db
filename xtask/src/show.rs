//! `cargo xtask show NAME`

use anyhow::Result;
use clap::Args;
use multigen_training::Request;
use multigen_training::experiment::DEFAULT_PROFILE;

use crate::output;
use crate::workspace::Places;

#[derive(Args, Debug)]
pub struct Arguments {
    /// A full name, or an ending such as result-3
    name: String,
    /// smoke, quick, paper or paper-71
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
    let mut text = String::new();
    for name in catalogue.matching(&arguments.name)? {
        let experiment = catalogue.resolve_any(&name, &request)?;
        text += &format!("# {name}, resolved for the {} profile\n{}\n", arguments.profile, experiment.to_toml()?);
        text += &match catalogue.parent(&name)? {
            Some(parent) => format!("# what its file changes in its parent '{parent}'\n"),
            None => "# it has no parent; its file sets\n".to_owned(),
        };
        for line in catalogue.delta(&name)? {
            text += &format!("#   {line}\n");
        }
        text.push('\n');
    }
    output::write(&text)
}
