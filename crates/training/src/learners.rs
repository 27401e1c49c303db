//! All that a run trains: the generator, and a classifier that learns beside it.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Tensor, Var};
use multigen_models::{Classifier, Generator, Param};
use multigen_ops::{Adam, AdamConfig, AdamParam};

use crate::Result;
use crate::run_config::TrainingConfig;

/// Adam's ε (SPEC §5).
const EPSILON: f64 = 1e-8;

/// What the names of a classifier's parameters begin with where a generator's stand beside them.
pub(crate) const CLASSIFIER_PREFIX: &str = "classifier.";

/// The networks of a run.
#[derive(Clone, Copy)]
pub(crate) struct Learners<'a> {
    /// The generator.
    pub generator: &'a Generator,
    /// The classifier, if it learns in some phase.
    pub classifier: Option<&'a Classifier>,
}

impl Learners<'_> {
    fn iter(&self) -> impl Iterator<Item = (String, &Param)> {
        let generator = self.generator.params().iter().map(|(name, param)| (name.to_owned(), param));
        let classifier = self.classifier.into_iter().flat_map(|classifier| classifier.params().iter());
        generator.chain(classifier.map(|(name, param)| (format!("{CLASSIFIER_PREFIX}{name}"), param)))
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
        if let Some(classifier) = self.classifier {
            let own = classifier.params().tensors()?;
            tensors.extend(own.into_iter().map(|(name, tensor)| (format!("{CLASSIFIER_PREFIX}{name}"), tensor)));
        }
        Ok(tensors)
    }

    /// Replaces all values by those of the same name.
    ///
    /// # Errors
    /// When a name is missing or a shape differs.
    pub fn load(&self, source_name: &str, values: &HashMap<String, Tensor>) -> Result<()> {
        self.generator.params().load(source_name, values)?;
        if let Some(classifier) = self.classifier {
            let own = values
                .iter()
                .filter_map(|(name, tensor)| Some((name.strip_prefix(CLASSIFIER_PREFIX)?.to_owned(), tensor.clone())));
            classifier.params().load(source_name, &own.collect())?;
        }
        Ok(())
    }

    /// An Adam over all parameters with their multipliers.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn optimiser(&self, config: &TrainingConfig) -> Result<Adam> {
        optimiser(self.iter(), (config.beta1, config.beta2))
    }
}

/// An Adam over parameters with their multipliers, and its decays of the first and second moment.
pub(crate) fn optimiser<'a>(
    params: impl Iterator<Item = (String, &'a Param)>,
    (beta1, beta2): (f64, f64),
) -> Result<Adam> {
    let adam = AdamConfig { beta1, beta2, eps: EPSILON };
    let params = params
        .map(|(name, param)| AdamParam {
            name,
            var: param.var.clone(),
            lr_mult: param.multipliers.learning_rate,
            decay_mult: param.multipliers.decay,
        })
        .collect();
    Ok(Adam::new(params, adam)?)
}
