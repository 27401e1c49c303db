//! `cargo xtask bench [NET…] [--compare pytorch --python PATH]`

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use multigen_training::bench::{Arithmetic, step_milliseconds};

use crate::workspace::Places;

#[derive(Args, Debug)]
pub struct Arguments {
    /// Generators
    #[arg(default_value = "digits-v2")]
    nets: Vec<String>,
    /// Images per step
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// Timed steps per measurement
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    steps: u16,
    /// Time something else alternately, in pairs, and print the ratios
    #[arg(long)]
    compare: Option<Rival>,
    /// Pairs of measurements
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
    /// A Python with torch, for --compare pytorch
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: PathBuf,
    #[command(flatten)]
    places: Places,
}

/// What ours is compared with.
#[derive(ValueEnum, Debug, Clone, Copy)]
enum Rival {
    /// PyTorch with Adam(fused=True), by the script under crates/ops/benches
    Pytorch,
    /// candle's own operators and AdamW
    Candle,
}

/// Best and median of some milliseconds.
struct Time {
    best: f64,
    median: f64,
}

impl Time {
    fn of(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        Self { best: milliseconds[0], median: milliseconds[milliseconds.len() / 2] }
    }
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let (batch, steps) = (usize::from(arguments.batch), usize::from(arguments.steps));
    for net in &arguments.nets {
        let ours = || -> Result<Time> { Ok(Time::of(step_milliseconds(net, batch, steps, Arithmetic::Ours)?)) };
        let Some(rival) = arguments.compare else {
            let time = ours()?;
            println!("{net}, batch {batch}: {:.1} ms a step at best, {:.1} median of {steps}", time.best, time.median);
            continue;
        };
        let mut ratios = Vec::new();
        for pair in 1..=arguments.pairs {
            let (ours, theirs) = (ours()?, other(rival, net, batch, steps, arguments)?);
            ratios.push(ours.median / theirs.median);
            println!(
                "{net}, batch {batch}, pair {pair}: ours {:.1} ms (best {:.1}), {} {:.1} ms (best {:.1}), ratio {:.3}",
                ours.median,
                ours.best,
                name(rival),
                theirs.median,
                theirs.best,
                ours.median / theirs.median
            );
        }
        println!(
            "{net}, batch {batch}: median ratio to {} of {} pairs: {:.3}",
            name(rival),
            arguments.pairs,
            Time::of(ratios).median
        );
    }
    Ok(())
}

fn name(rival: Rival) -> &'static str {
    match rival {
        Rival::Pytorch => "PyTorch",
        Rival::Candle => "stock candle",
    }
}

fn other(rival: Rival, net: &str, batch: usize, steps: usize, arguments: &Arguments) -> Result<Time> {
    match rival {
        Rival::Candle => Ok(Time::of(step_milliseconds(net, batch, steps.min(3), Arithmetic::StockCandle)?)),
        Rival::Pytorch => pytorch(&arguments.python, &arguments.places.root()?, net, batch, steps),
    }
}

fn pytorch(python: &Path, root: &Path, net: &str, batch: usize, steps: usize) -> Result<Time> {
    let script = root.join("crates/ops/benches/pytorch_digits_v2.py");
    let output = Command::new(python)
        .arg(&script)
        .args(["--net", net, "--batch", &batch.to_string(), "--steps", &steps.to_string()])
        .output()
        .with_context(|| format!("{}: cannot be started; give a Python with torch by --python", python.display()))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", script.display(), reason.lines().last().unwrap_or("failed without a word"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = |key: &str| -> Option<f64> {
        let (_, rest) = text.rsplit_once(&format!("\"{key}\":"))?;
        rest.split([',', '}']).next()?.trim().parse().ok()
    };
    match (figure("ms_best"), figure("ms_median")) {
        (Some(best), Some(median)) => Ok(Time { best, median }),
        _ => bail!("{}: printed no ms_best and ms_median", script.display()),
    }
}
