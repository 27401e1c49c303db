//! `cargo xtask report`

use anyhow::Result;
use clap::Args;
use multigen_measure::ResultsDir;

use crate::workspace::Places;

#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    places: Places,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let results = arguments.places.results()?;
    write(&results)?;
    println!("report: {}", results.index().display());
    Ok(())
}

/// Makes every report anew and says which folders were left out.
pub fn write(results: &ResultsDir) -> Result<()> {
    for (experiment, reason) in multigen_analysis::write_report(results.root())?.skipped {
        eprintln!("left out of the report: {experiment}: {reason}");
    }
    Ok(())
}
