//! `cargo xtask claims`

use anyhow::Result;
use clap::Args;

use crate::workspace::Places;

#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    places: Places,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let results = arguments.places.results()?;
    multigen_analysis::write_claims(results.root())?;
    println!("claims: {} and {}", results.claims().display(), results.claims_page().display());
    Ok(())
}
