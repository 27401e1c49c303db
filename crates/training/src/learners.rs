//! All that a run trains: the generator, a classifier that learns beside it, a discriminator against it.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Tensor, Var};
use multigen_models::{Classifier, Generator, Multipliers, Param, Params};
use multigen_ops::{Adam, AdamConfig, AdamParam};

use crate::Result;
use crate::adversarial::Opponent;
use crate::run_config::TrainingConfig;

/// Adam's ε (SPEC §5).
const EPSILON: f64 = 1e-8;

/// What the names of a classifier's parameters begin with where a generator's stand beside them.
pub(crate) const CLASSIFIER_PREFIX: &str = "classifier.";

/// What the names of a discriminator's parameters begin with.
pub(crate) const DISCRIMINATOR_PREFIX: &str = "discriminator.";

/// The networks of a run.
#[derive(Clone, Copy)]
pub(crate) struct Learners<'a> {
    /// The generator.
    pub generator: &'a Generator,
    /// The classifier, if it learns in some phase.
    pub classifier: Option<&'a Classifier>,
    /// The discriminator, if there is one.
    pub opponent: Option<&'a Opponent>,
}

impl<'a> Learners<'a> {
    /// The networks beside the generator, with what their parameters' names begin with.
    fn others(&self) -> impl Iterator<Item = (&'static str, &'a Params)> + use<'a> {
        let classifier = self.classifier.map(|classifier| (CLASSIFIER_PREFIX, classifier.params()));
        let opponent = self.opponent.map(|opponent| (DISCRIMINATOR_PREFIX, opponent.discriminator().params()));
        classifier.into_iter().chain(opponent)
    }

    fn iter(&self) -> impl Iterator<Item = (String, &'a Param)> {
        let generator = self.generator.params().iter().map(|(name, param)| (name.to_owned(), param));
        let others = self
            .others()
            .flat_map(|(prefix, params)| params.iter().map(move |(name, param)| (format!("{prefix}{name}"), param)));
        generator.chain(others)
    }

    /// The variables by name.
    pub fn vars(&self) -> BTreeMap<String, Var> {
        self.iter().map(|(name, param)| (name, param.var.clone())).collect()
    }

    /// The current values by name.
    ///
    /// # Errors
    /// When the device cannot be read.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = self.generator.params().tensors()?;
        for (prefix, params) in self.others() {
            tensors.extend(params.tensors()?.into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)));
        }
        Ok(tensors)
    }

    /// Replaces all values by those of the same name.
    ///
    /// # Errors
    /// When a name is missing or a shape differs.
    pub fn load(&self, source_name: &str, values: &HashMap<String, Tensor>) -> Result<()> {
        self.generator.params().load(source_name, values)?;
        for (prefix, params) in self.others() {
            let own = values
                .iter()
                .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone())));
            params.load(source_name, &own.collect())?;
        }
        Ok(())
    }

    /// An Adam over all parameters with their multipliers.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn optimiser(&self, config: &TrainingConfig) -> Result<Adam> {
        let rate = self.opponent.map_or(1.0, |opponent| opponent.rate_multiplier(config.learning_rate));
        let params = self.iter().map(|(name, param)| {
            let mut multipliers = param.multipliers;
            if name.starts_with(DISCRIMINATOR_PREFIX) {
                multipliers.learning_rate *= rate;
            }
            (name, &param.var, multipliers)
        });
        adam(params, config)
    }
}

/// An Adam over a network's parameters with their multipliers.
pub(crate) fn optimiser(params: &Params, config: &TrainingConfig) -> Result<Adam> {
    adam(params.iter().map(|(name, param)| (name.to_owned(), &param.var, param.multipliers)), config)
}

fn adam<'a>(params: impl Iterator<Item = (String, &'a Var, Multipliers)>, config: &TrainingConfig) -> Result<Adam> {
    let adam = AdamConfig { beta1: config.beta1, beta2: config.beta2, eps: EPSILON };
    let params = params
        .map(|(name, var, multipliers)| AdamParam {
            name,
            var: var.clone(),
            lr_mult: multipliers.learning_rate,
            decay_mult: multipliers.decay,
        })
        .collect();
    Ok(Adam::new(params, adam)?)
}
