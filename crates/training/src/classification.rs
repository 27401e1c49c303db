//! Experiments whose arms are classifiers: what is read off real images that training never saw, by classifiers that
//! differ in what they learn from.
//!
//! An experiment's file has a list `[[arms]]` instead of `[models]`; everything else about files (parents, profiles,
//! `--set`), results and seeds is as in [`crate::experiment`]. A seed changes first weights, batches, dropped units and
//! what is drawn of the training images.
//!
//! | module | what it holds |
//! |---|---|
//! | `config` | an experiment's file, resolved |
//! | `lot` | the real training images of one seed |
//! | `test_sets` | what the classifiers are tested on |
//! | `augment` | shifted, cropped, flipped, brighter images |
//! | `mixing` | images of nobody: two persons' codes, half and half |
//! | `pool` | what one arm learns from |
//! | `trained` | classifiers by their hash in the cache |
//! | `run` | an experiment from its file to its results folder |

mod augment;
mod config;
mod lot;
mod mixing;
mod pool;
mod run;
mod test_sets;
mod trained;

pub use self::augment::Classical;
pub use self::config::{Arm, Classification, Draw, GeneratorTraining, Starve, TestsConfig};
pub use self::run::{PlannedClassifier, estimate, forget, plan, run};
