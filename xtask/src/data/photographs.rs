//! `cargo xtask data kdef --from DIR`, `cargo xtask data mmi --from DIR`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use multigen_data::sets::photographs::{self, PhotoSet, Preparation};

use crate::workspace;

/// A line of progress after so many pictures.
const EVERY: usize = 200;

#[derive(Args, Debug)]
pub struct Arguments {
    /// The folder with the set's pictures, also in sub-folders; it is only read
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The prepared folder [default: datasets/kdef/prepared or datasets/mmi/prepared of the checkout]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Prepare anew what is prepared already
    #[arg(long)]
    fresh: bool,
}

pub fn run(set: PhotoSet, arguments: &Arguments) -> Result<()> {
    let datasets = workspace::root()?.join("datasets");
    let out = arguments.out.clone().unwrap_or_else(|| datasets.join(set.name()).join("prepared"));
    let progress = |done: usize, total: usize| {
        if done.is_multiple_of(EVERY) && done < total {
            eprintln!("looked at {done} of {total} pictures");
        }
    };
    let preparation = Preparation { set, from: &arguments.from, out: &out, fresh: arguments.fresh };
    println!("{}", photographs::prepare(&preparation, &datasets, &progress)?);
    Ok(())
}
