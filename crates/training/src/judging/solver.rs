//! The solver of a classifier, whoever it is.

use serde::{Deserialize, Serialize};

use crate::schedule::Schedule;
use crate::{Error, Result};

/// How a classifier is trained: Adam on the sum of the classification losses of its factors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Solver {
    /// Updates.
    pub steps: u64,
    /// Images per update.
    pub batch: usize,
    /// Base learning rate.
    pub learning_rate: f64,
    /// Adam's decay of the first moment.
    pub beta1: f64,
    /// Adam's decay of the second moment.
    pub beta2: f64,
    /// L2 weight decay, added to the gradient as Caffe does.
    pub weight_decay: f64,
    /// How the rate changes.
    pub schedule: Schedule,
}

/// What a solver has beside its steps, batch and learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolverRest {
    /// Adam's decay of the first moment.
    pub beta1: f64,
    /// Adam's decay of the second moment.
    pub beta2: f64,
    /// L2 weight decay, added to the gradient as Caffe does.
    pub weight_decay: f64,
    /// How the rate changes.
    pub schedule: Schedule,
}

impl Solver {
    /// Every rule that holds of a solver.
    pub(crate) fn validate(&self, file: &str) -> Result<()> {
        let wrong = |problem: String| Err(Error::config(file, problem));
        for (name, value) in [("steps", self.steps), ("batch", self.batch as u64)] {
            if value == 0 {
                return wrong(format!("{name} = 0: expected at least 1"));
            }
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return wrong(format!("learning_rate = {}: expected a positive number", self.learning_rate));
        }
        for (name, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&value) {
                return wrong(format!("{name} = {value}: expected a number from 0 to below 1"));
            }
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return wrong(format!("weight_decay = {}: expected a number of at least 0", self.weight_decay));
        }
        Ok(())
    }
}
