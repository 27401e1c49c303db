//! Training steps, timed: alone, or in pairs with PyTorch or stock candle.
//!
//! Every measurement is made by a fresh process: a network's memory is then its own, and neither side of a comparison
//! finds what the other one, or an earlier network, left behind. The two sides of a pair run one after the other, each
//! pair in the opposite order of the one before, so that a machine that slows down slows down both.
//!
//! | what | where |
//! |---|---|
//! | a step of ours or of stock candle, in this process | [`step`] |
//! | what is trained | [`workload`] |
//! | every operator, in this process | [`operators`] |
//! | the processes of both sides | `process` |
//! | the figures, as text, JSON and a table | [`record`] |

pub mod operators;
mod process;
pub mod record;
pub mod step;
pub mod workload;

use std::path::{Path, PathBuf};
use std::process::Command;

use multigen_measure::ResultsDir;
use multigen_ops::roof;

use crate::{Error, Result};
use process::PyTorch;
use record::{Record, Rivalry, Surroundings};
use step::{Arithmetic, Measurement, Request, median};

/// Stock candle is timed over few steps: it takes several times as long.
const MOST_CANDLE_STEPS: usize = 3;

/// What ours is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rival {
    /// PyTorch with `Adam(fused=True)`.
    PyTorch {
        /// A Python that has torch.
        python: PathBuf,
        /// Whether it is also timed with an allocator that keeps its memory in huge pages.
        tuned: bool,
    },
    /// candle's own operators and AdamW.
    Candle,
}

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Networks, each with its images per step.
    pub nets: Vec<(String, usize)>,
    /// Steps that count in each measurement.
    pub n_steps: usize,
    /// Pairs of measurements.
    pub n_pairs: usize,
    /// What ours is compared with, if with anything.
    pub rival: Option<Rival>,
    /// The checkout.
    pub root: PathBuf,
    /// The command as the user would type it again.
    pub command: String,
    /// Where the figures go as JSON as well.
    pub json: Option<PathBuf>,
    /// Where the table of all networks is kept.
    pub results: ResultsDir,
}

/// Measures, prints through `say`, and writes after every network what there is so far.
///
/// `own` makes the command that starts a process which measures the request and prints the [`Measurement`] as JSON.
///
/// # Errors
/// When a network is unknown, a process fails, or a file cannot be written.
pub fn run(plan: &Plan, own: &dyn Fn(&Request) -> Command, say: &dyn Fn(&str)) -> Result<Vec<Record>> {
    for (net, _) in &plan.nets {
        workload::default_batch(net)?;
    }
    plan.results.check_writable()?;
    record::kept(&plan.results)?;
    if let Some(path) = &plan.json {
        check_can_be_written(path)?;
    }
    let pytorch = match &plan.rival {
        Some(Rival::PyTorch { python, .. }) => Some(PyTorch::find(python, &plan.root)?),
        _ => None,
    };
    if let Some(pytorch) = &pytorch {
        plan.nets.iter().try_for_each(|(net, _)| pytorch.check_knows(net))?;
    }
    let torch = pytorch.as_ref().map(|pytorch| pytorch.version.clone());
    let surroundings = Surroundings::detect(&plan.root, &plan.command, torch);
    let mut records: Vec<Record> = Vec::new();
    for (net, batch) in &plan.nets {
        let record = measured(plan, (net, *batch), pytorch.as_ref(), &surroundings, own, say)?;
        say(&record.text());
        record::keep(&plan.results, &record)?;
        records.push(record);
        if let Some(path) = &plan.json {
            record::write_json(path, &records)?;
        }
    }
    Ok(records)
}

/// Refuses a file whose folder is not there, before anything is measured.
fn check_can_be_written(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => {
            Err(Error::file(path, format!("cannot be written: there is no folder {}; make it first", folder.display())))
        }
        _ if path.is_dir() => Err(Error::file(path, "is a folder; name a file")),
        _ => Ok(()),
    }
}

/// Everything about one network.
fn measured(
    plan: &Plan,
    (net, batch): (&str, usize),
    pytorch: Option<&PyTorch>,
    surroundings: &Surroundings,
    own: &dyn Fn(&Request) -> Command,
    say: &dyn Fn(&str),
) -> Result<Record> {
    let ours = |arithmetic: Arithmetic, n_steps: usize, details: bool| -> Result<Measurement> {
        let request = Request { net: net.to_owned(), batch, n_steps, arithmetic, details };
        let mut command = own(&request);
        if arithmetic == Arithmetic::StockCandle {
            // candle's own thread pool disturbs our operators and is otherwise held at one thread; here it gets as many as ours.
            command.env("CANDLE_NUM_THREADS", roof::threads().to_string());
        }
        process::measurement(command)
    };
    let details = ours(Arithmetic::Ours, plan.n_steps, true)?;
    let mut record = Record::new(net, batch, details, workload::layer_gflop(net, batch)?, surroundings.clone());
    let threads = record.threads;
    let beside_pytorch = |pytorch: &PyTorch, tuned| pytorch.measurement(net, batch, plan.n_steps, threads, tuned);
    type Measure<'a> = Box<dyn Fn() -> Result<Measurement> + 'a>;
    let mut rivals: Vec<(&str, Measure)> = Vec::new();
    match (&plan.rival, pytorch) {
        (Some(Rival::PyTorch { tuned, .. }), Some(pytorch)) => {
            rivals.push(("PyTorch", Box::new(move || beside_pytorch(pytorch, false))));
            if *tuned {
                let measure = move || beside_pytorch(pytorch, true);
                rivals.push(("PyTorch with a tuned allocator", Box::new(measure)));
            }
        }
        (Some(Rival::Candle), _) => {
            let measure = || ours(Arithmetic::StockCandle, plan.n_steps.min(MOST_CANDLE_STEPS), false);
            rivals.push(("stock candle", Box::new(measure)));
        }
        _ => return Ok(record),
    }
    let measured = surroundings.text();
    let mut rivalries = vec![Rivalry { measured, ..Rivalry::default() }; rivals.len()];
    let mut mine = Vec::new();
    for pair in 0..plan.n_pairs {
        let first = if pair % 2 == 0 { Some(ours(Arithmetic::Ours, plan.n_steps, false)?) } else { None };
        let theirs = rivals.iter().map(|(_, measure)| measure()).collect::<Result<Vec<_>>>()?;
        let our = match first {
            Some(measurement) => measurement,
            None => ours(Arithmetic::Ours, plan.n_steps, false)?,
        };
        let mut line = format!("{net}, batch {batch}, pair {}: ours {:.1} ms", pair + 1, median(our.step_ms.clone()));
        for (((name, _), theirs), rivalry) in rivals.iter().zip(theirs).zip(&mut rivalries) {
            rivalry.add(&our, &theirs);
            let ratio = rivalry.ratios.last().copied().unwrap_or(f64::NAN);
            line.push_str(&format!(", {name} {:.1} ms, ratio {ratio:.3}", median(theirs.step_ms)));
        }
        say(&line);
        mine.push(our);
    }
    drop(rivals);
    record.set_pairs(&mine);
    let mut rivalries = rivalries.into_iter();
    match &plan.rival {
        Some(Rival::Candle) => record.candle = rivalries.next(),
        _ => (record.pytorch, record.pytorch_tuned) = (rivalries.next(), rivalries.next()),
    }
    Ok(record)
}
