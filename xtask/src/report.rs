//! `cargo xtask report`

use anyhow::Result;
use multigen_measure::ResultsDir;

use crate::workspace::Places;

pub fn run(places: &Places) -> Result<()> {
    let results = places.results()?;
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
