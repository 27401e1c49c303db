//! `cargo xtask bench [NET…] [--compare pytorch --python PATH [--tuned]] [--json FILE]`

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use multigen_training::bench::record::Surroundings;
use multigen_training::bench::step::{Arithmetic, Request, measure};
use multigen_training::bench::{self, Plan, Rival, workload};

use crate::workspace::{self, Places};

/// The digits' generators, the small faces' one, and the classifier at the size of small faces.
const DEFAULT_NETS: [&str; 4] = ["digits-v2", "digits-v1", "kdef-small", "alexnet-71-s2"];

#[derive(Args, Debug)]
pub struct Arguments {
    /// Networks [default: digits-v2 digits-v1 kdef-small alexnet-71-s2]
    nets: Vec<String>,
    /// Images per step [default: as the network is trained, such as 128 for digits-v2 and 32 for kdef-small]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: Option<u16>,
    /// Timed steps per measurement
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    steps: u16,
    /// Time something else alternately, in pairs, and print the ratios
    #[arg(long)]
    compare: Option<Compared>,
    /// Pairs of measurements
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
    /// Time PyTorch also with an allocator that keeps its memory, for --compare pytorch
    #[arg(long, requires = "compare")]
    tuned: bool,
    /// A Python with torch, for --compare pytorch
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: PathBuf,
    /// Time the operators one by one instead, the fast path beside the portable one
    #[arg(long, conflicts_with_all = ["nets", "batch", "compare", "json"])]
    operators: bool,
    /// Write the figures of this command as JSON as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure in this process and print it as JSON: what the command starts for each measurement
    #[arg(long, hide = true)]
    measure: Option<Measured>,
    #[command(flatten)]
    places: Places,
}

/// What ours is compared with.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    /// PyTorch with Adam(fused=True), by the script under crates/ops/benches
    Pytorch,
    /// candle's own operators and AdamW
    Candle,
}

/// What one process measures.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Measured {
    /// Steps, memory, layers and the roof
    Details,
    /// Steps and memory
    Steps,
    /// Steps of stock candle
    Candle,
}

impl Measured {
    fn of(request: &Request) -> &'static str {
        match (request.arithmetic, request.details) {
            (Arithmetic::StockCandle, _) => "candle",
            (Arithmetic::Ours, true) => "details",
            (Arithmetic::Ours, false) => "steps",
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let say = |line: &str| println!("{line}");
    if arguments.operators {
        let surroundings = Surroundings::detect(&arguments.places.root()?, &workspace::command_line(), None);
        let results = arguments.places.results()?;
        return Ok(bench::operators::run(&results, usize::from(arguments.steps), &surroundings, &say)?);
    }
    let named = match arguments.nets.is_empty() {
        true => DEFAULT_NETS.map(str::to_owned).to_vec(),
        false => arguments.nets.clone(),
    };
    let nets = named
        .into_iter()
        .map(|net| {
            let usual = workload::default_batch(&net)?;
            Ok((net, arguments.batch.map_or(usual, usize::from)))
        })
        .collect::<Result<Vec<_>>>()?;
    let n_steps = usize::from(arguments.steps);
    if let Some(measured) = arguments.measure {
        return measure_here(&nets, n_steps, measured);
    }
    if arguments.tuned && arguments.compare != Some(Compared::Pytorch) {
        bail!("--tuned is about PyTorch's allocator: give --compare pytorch with it");
    }
    let program = std::env::current_exe().context("the path of this program cannot be found")?;
    let own = |request: &Request| {
        let mut command = Command::new(&program);
        command.args(["bench", &request.net, "--measure", Measured::of(request)]);
        command.args(["--batch", &request.batch.to_string(), "--steps", &request.n_steps.to_string()]);
        command
    };
    let plan = Plan {
        nets,
        n_steps,
        n_pairs: usize::from(arguments.pairs),
        rival: arguments.compare.map(|compared| match compared {
            Compared::Pytorch => Rival::PyTorch { python: arguments.python.clone(), tuned: arguments.tuned },
            Compared::Candle => Rival::Candle,
        }),
        root: arguments.places.root()?,
        command: workspace::command_line(),
        json: arguments.json.clone(),
        results: arguments.places.results()?,
    };
    bench::run(&plan, &own, &say)?;
    Ok(())
}

/// What a process does that was started to measure.
fn measure_here(nets: &[(String, usize)], n_steps: usize, measured: Measured) -> Result<()> {
    for (net, batch) in nets {
        let request = Request {
            net: net.clone(),
            batch: *batch,
            n_steps,
            arithmetic: if measured == Measured::Candle { Arithmetic::StockCandle } else { Arithmetic::Ours },
            details: measured == Measured::Details,
        };
        println!("{}", serde_json::to_string(&measure(&request)?).context("the measurement cannot be written")?);
    }
    Ok(())
}
