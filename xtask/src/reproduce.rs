//! `cargo xtask reproduce NAME…`

use std::path::PathBuf;
use std::rc::Rc;

use anyhow::Result;
use clap::Args;
use multigen_training::dataset::{Data, Sources};
use multigen_training::estimate::{Estimated, Known};
use multigen_training::experiment::DEFAULT_PROFILE;
use multigen_training::reproduce::Options;
use multigen_training::{AnyExperiment, Catalogue, Request, device, progress};

use crate::workspace::{self, Places};
use crate::{interrupt, report};

/// The profile that takes seconds.
const SHORTEST_PROFILE: &str = "smoke";

#[derive(Args, Debug)]
pub struct Arguments {
    /// A full name, a parent such as holdout-sweep for all that build upon it, an ending such as result-3, the path of a file
    /// of your own, or all
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Number of seeds; intervals need two, verdicts five
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Train the further models of each experiment as well
    #[arg(long)]
    all_models: bool,
    #[command(flatten)]
    how: How,
}

/// How experiments are run, whichever command asks for them.
#[derive(Args, Debug)]
pub struct How {
    /// smoke (seconds), quick (minutes), paper (the research's exact solver) or paper-71 (its face networks of 71 pixels)
    #[arg(long, default_value = DEFAULT_PROFILE)]
    profile: String,
    /// The first of the seeds; others than those that a setting was chosen on judge it better
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    first_seed: u64,
    /// Train anew what is already trained
    #[arg(long)]
    fresh: bool,
    /// Change the configuration: a solver field, MODEL.field, or a path that `show` prints
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Say what would be trained, and for how long, and stop
    #[arg(long)]
    dry_run: bool,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Folder with your own MNIST idx files, plain or .gz
    #[arg(long, value_name = "DIR")]
    mnist: Option<PathBuf>,
    /// Folder of your KDEF photographs, prepared by `data kdef`; they take the place of drawn faces
    #[arg(long, value_name = "DIR")]
    kdef: Option<PathBuf>,
    /// Folder of your MMI photographs, prepared by `data mmi`
    #[arg(long, value_name = "DIR")]
    mmi: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
}

impl How {
    /// The experiments.
    pub fn catalogue(&self) -> Result<Catalogue> {
        self.places.catalogue()
    }

    /// How they are asked for.
    pub fn request(&self, all_models: bool) -> Request {
        Request { profile: self.profile.clone(), all_models, overrides: self.overrides.clone() }
    }

    /// What surrounds their runs on so many seeds. The cheapest checks first: a folder that cannot be written is found before the first
    /// step, not after the last.
    pub fn options(&self, seeds: u64) -> Result<Options<'static>> {
        let options = Options {
            root: self.places.root()?,
            results: self.places.results()?,
            device: (device::parse(&self.device)?, self.device.clone()),
            seeds: (self.first_seed..self.first_seed + seeds).collect(),
            interrupt: interrupt::flag()?,
            quiet: false,
            command: workspace::command_line(),
        };
        if !self.dry_run {
            options.results.check_writable()?;
        }
        Ok(options)
    }

    /// Their images.
    pub fn data(&self, experiments: &[AnyExperiment], options: &Options) -> Result<Vec<Rc<Data>>> {
        let sources = Sources {
            mnist: self.places.mnist(self.mnist.as_ref())?,
            drawn_faces: options.results.cache().join("faces"),
            kdef: self.kdef.clone(),
            mmi: self.mmi.clone(),
        };
        Ok(Data::load_all(experiments.iter().map(|experiment| &experiment.data().set), &sources)?)
    }

    /// Says what would be trained where that may take long, then trains, measures and reports.
    pub fn perform(
        &self,
        experiments: &[AnyExperiment],
        data: &[Rc<Data>],
        options: &Options,
        may_take_long: bool,
    ) -> Result<()> {
        if self.dry_run || may_take_long || takes_long(&self.profile) {
            announce(experiments, data, options)?;
        }
        if self.dry_run {
            return Ok(());
        }
        if self.fresh {
            // All of them before the first is trained: experiments share runs, and none is to be trained twice.
            for (experiment, data) in experiments.iter().zip(data) {
                experiment.forget(data, options)?;
            }
        }
        for (experiment, data) in experiments.iter().zip(data) {
            eprintln!("{}: {} ({} profile)", experiment.name(), experiment.title(), experiment.profile());
            experiment.run(data, options)?;
            multigen_analysis::write_experiment(options.results.root(), &experiment.results_name(data))?;
        }
        report::write(&options.results)?;
        for (experiment, data) in experiments.iter().zip(data) {
            let folder = options.results.experiment(&experiment.results_name(data));
            eprintln!("pictures: {}", folder.root().display());
        }
        eprintln!("report:   {}", options.results.index().display());
        Ok(())
    }
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { names: words, seeds, all_models, how } = arguments;
    let catalogue = how.catalogue()?;
    let request = how.request(*all_models);
    let mut names: Vec<String> = Vec::new();
    for word in words {
        for name in catalogue.matching(word)? {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let experiments = names
        .iter()
        .map(|name| catalogue.resolve_any(name, &request))
        .collect::<multigen_training::Result<Vec<_>>>()?;
    let options = how.options(*seeds)?;
    let data = how.data(&experiments, &options)?;
    how.perform(&experiments, &data, &options, words.iter().any(|word| word == "all"))
}

/// Whether the command may take hours, so that it says first how many: with any profile but the two short ones.
fn takes_long(profile: &str) -> bool {
    ![SHORTEST_PROFILE, DEFAULT_PROFILE].contains(&profile)
}

/// Prints what would be trained and how long it would take here.
fn announce(experiments: &[AnyExperiment], data: &[Rc<Data>], options: &Options) -> Result<()> {
    let mut known = Known::new();
    let mut total = 0.0;
    for (experiment, data) in experiments.iter().zip(data) {
        eprintln!("{} ({} profile): {}", experiment.name(), experiment.profile(), experiment.about().question);
        for Estimated { what, complete, seconds } in experiment.estimate(data, options, &mut known)? {
            let cost = match (complete, seconds > 0.0) {
                (true, _) => "trained already".to_owned(),
                (false, true) => format!("about {}", progress::duration_text(seconds)),
                (false, false) => "shares a run above".to_owned(),
            };
            eprintln!("  {what}, {cost}");
            total += seconds;
        }
    }
    eprintln!(
        "in all about {} of training on this machine ({:.2} hours)",
        progress::duration_text(total),
        total / 3600.0
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_of_the_research_says_first_how_long_it_takes() {
        assert!(takes_long("paper") && takes_long("paper-71"));
        assert!(!takes_long("quick") && !takes_long("smoke"));
    }
}
