//! The only training loop, and what surrounds it: experiments, solvers, checkpoints, the judge, evaluation.
//!
//! | module | what it holds |
//! |---|---|
//! | [`experiment`] | experiment files: inheritance, profiles, overrides |
//! | [`run_config`] | what one training run is, and the hash that names it |
//! | [`dataset`] | the images of an experiment, their truth, their judge's lessons |
//! | [`schedule`] | learning-rate schedules |
//! | [`objective`] | what a generator minimises |
//! | [`train`] | the loop |
//! | [`phases`] | when which term of the loss counts for how much |
//! | [`cooperation`], [`adversarial`] | a classifier, a discriminator that takes part |
//! | `learners`, `diagnostics` | all that learns in a run; what to look at while a discriminator takes part |
//! | [`checkpoint`] | what a stopped run leaves behind |
//! | [`judging`] | the judge: trained, cached, tested |
//! | [`evaluate`] | figures of drawn images |
//! | `mouths`, `sheets` | mouths of drawn faces; pictures in the research's layout |
//! | `results_folder` | a results folder, opened and filled |
//! | [`reproduce`] | an experiment from its file to its results folder |
//! | [`classification`] | experiments whose arms are classifiers |
//! | [`kind`] | one type for every kind of experiment |
//! | [`ablation`] | the full model, and the same with something left out |
//! | [`faces_check`] | whether the drawn faces are hard enough |
//! | [`generate`] | images from a trained model |
//! | [`provenance`] | commit, command, machine |
//! | [`bench`](mod@bench) | timed training steps |
//! | [`device`], [`progress`] | `--device`; the bar |

pub mod ablation;
pub mod adversarial;
pub mod bench;
pub mod checkpoint;
pub mod classification;
pub mod cooperation;
pub mod dataset;
pub mod device;
mod diagnostics;
pub mod error;
pub mod estimate;
pub mod evaluate;
pub mod experiment;
pub mod faces_check;
pub mod generate;
pub mod judging;
pub mod kind;
mod learners;
mod mouths;
pub mod objective;
pub mod phases;
pub mod progress;
pub mod provenance;
pub mod reproduce;
mod results_folder;
pub mod run_config;
pub mod schedule;
mod sheets;
pub mod train;

pub use error::{Error, Result};
pub use experiment::{Catalogue, Experiment, Request};
pub use kind::AnyExperiment;
