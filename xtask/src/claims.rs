//! `cargo xtask claims`

use anyhow::Result;

use crate::workspace::Places;

pub fn run(places: &Places) -> Result<()> {
    let results = places.results()?;
    multigen_analysis::write_claims(results.root())?;
    println!("claims: {} and {}", results.claims().display(), results.claims_page().display());
    Ok(())
}
