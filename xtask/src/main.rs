//! The command line: every command is one file, parses its arguments and calls the crates.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod ablate;
mod bench;
mod claims;
mod data;
mod generate;
mod interrupt;
mod list;
mod output;
mod report;
mod reproduce;
mod show;
mod workspace;

/// Memory that a training step frees is kept for the next one: fresh memory costs page faults.
#[global_allocator]
static ALLOCATOR: multigen_ops::RecyclingAllocator = multigen_ops::RecyclingAllocator::new();

/// Reproduces, tests and goes beyond the Generative Cooperative Net research.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train, measure and report experiments: a full name, an ending such as result-3, or all
    Reproduce(reproduce::Arguments),
    /// Train the full model and the same with something left out, and report the difference
    Ablate(ablate::Arguments),
    /// List the experiments
    List(workspace::Places),
    /// Print an experiment resolved, and what it changes in its parent
    Show(show::Arguments),
    /// Draw one image with a trained generator: a combination, or a mixture of levels
    Generate(generate::Arguments),
    /// Make tables, figures and index.html anew from what is in results/
    Report(workspace::Places),
    /// Judge every claim of the research by what is in results/: claims.md and claims.html
    Claims(workspace::Places),
    /// Time training steps
    Bench(bench::Arguments),
    /// Data sets: check a set of your own or make an example, prepare photographs of KDEF or MMI, look at the drawn faces
    /// and check them, fetch MNIST from the hub
    Data(data::Arguments),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Reproduce(arguments) => reproduce::run(&arguments),
        Command::Ablate(arguments) => ablate::run(&arguments),
        Command::List(places) => list::run(&places),
        Command::Show(arguments) => show::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Report(places) => report::run(&places),
        Command::Claims(places) => claims::run(&places),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Data(arguments) => data::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes in one line, whatever the layers below wrote; a cause that was told is not told again.
fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
