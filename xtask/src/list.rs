//! `cargo xtask list`

use anyhow::Result;
use clap::Args;
use multigen_training::Request;

use crate::workspace::Places;

#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    places: Places,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let catalogue = arguments.places.catalogue()?;
    let names = catalogue.names()?;
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let request = Request { profile: "quick".to_owned(), ..Request::default() };
    for name in &names {
        println!("{name:width$}  {}", catalogue.resolve_any(name, &request)?.about().question);
    }
    Ok(())
}
