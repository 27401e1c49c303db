//! The schedule of a run's objective: phases, each with a weight for every term.
//!
//! ```text
//! loss = w_r · reconstruction + w_c · Σ over factors classification + w_a · adversarial
//! ```
//!
//! The research's three phases are *generator only* (w_c = 0), *fixed* (a frozen classifier reads) and *flexible* (it learns
//! too); SPEC §5. Without phases a run is one stretch of reconstruction. The learning rate's schedule and the optimiser
//! start anew in each.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A phase of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// The phase's name.
    pub name: String,
    /// Its share of the run's steps.
    pub share: f64,
    /// What multiplies the weights of reconstruction and mask.
    #[serde(default = "one")]
    pub reconstruction: f64,
    /// Weight of the classification loss of each factor; 0 without a classifier.
    #[serde(default)]
    pub classification: f64,
    /// Weight of the adversarial loss; 0 without a discriminator.
    #[serde(default)]
    pub adversarial: f64,
    /// The share of the batch that is drawn from all combinations, for the classifier alone to look at.
    #[serde(default)]
    pub imagined: f64,
    /// Whether the classifier learns too, from what is generated.
    #[serde(default)]
    pub classifier_learns: bool,
}

fn one() -> f64 {
    1.0
}

impl Phase {
    /// A phase of reconstruction alone.
    pub fn new(name: &str, share: f64) -> Self {
        Self {
            name: name.to_owned(),
            share,
            reconstruction: 1.0,
            classification: 0.0,
            adversarial: 0.0,
            imagined: 0.0,
            classifier_learns: false,
        }
    }

    fn validate(&self) -> std::result::Result<(), String> {
        let Self { name, share, imagined, .. } = self;
        if !(share.is_finite() && *share > 0.0) {
            return Err(format!("phase {name}: share = {share}, expected a number above 0"));
        }
        for (term, weight) in [
            ("reconstruction", self.reconstruction),
            ("classification", self.classification),
            ("adversarial", self.adversarial),
        ] {
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(format!("phase {name}: {term} = {weight}, expected a number of at least 0"));
            }
        }
        if !(0.0..1.0).contains(imagined) {
            return Err(format!("phase {name}: imagined = {imagined}, expected a share from 0 to below 1"));
        }
        if *imagined > 0.0 && self.classification == 0.0 {
            return Err(format!(
                "phase {name}: imagined = {imagined}, but classification is 0, so nothing would look at them"
            ));
        }
        if self.classifier_learns && self.classification == 0.0 {
            return Err(format!("phase {name}: classifier_learns, but classification is 0, so it would learn nothing"));
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let Self { name, share, reconstruction, classification, adversarial, imagined, classifier_learns } = self;
        let mut parts = Vec::new();
        if *reconstruction != 1.0 {
            parts.push(format!("reconstruction × {reconstruction}"));
        }
        if *classification > 0.0 {
            let how = if *classifier_learns { "learning from generated images" } else { "frozen" };
            parts.push(format!("classification × {classification}, the classifier {how}"));
        }
        if *adversarial > 0.0 {
            parts.push(format!("adversarial × {adversarial}"));
        }
        if *imagined > 0.0 {
            parts.push(format!("{:.0} % of the batch imagined", imagined * 100.0));
        }
        let what = if parts.is_empty() { "reconstruction alone".to_owned() } else { parts.join(", ") };
        format!("{name} ({:.0} % of the steps: {what})", share * 100.0)
    }
}

/// Every rule that holds of the phases of a run; of none there is none.
pub(crate) fn validate(phases: &[Phase], file: &str) -> Result<()> {
    let wrong = |problem: String| Err(Error::config(file, format!("phases: {problem}")));
    for phase in phases {
        if let Err(problem) = phase.validate() {
            return wrong(problem);
        }
    }
    let sum: f64 = phases.iter().map(|phase| phase.share).sum();
    if !phases.is_empty() && (sum - 1.0).abs() > 1e-6 {
        return wrong(format!("their shares sum to {sum}, expected 1"));
    }
    Ok(())
}

/// The phases in one sentence, for reports.
pub(crate) fn describe(phases: &[Phase]) -> String {
    phases.iter().map(Phase::describe).collect::<Vec<_>>().join(", then ")
}

/// Where a step lies in its phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place<'a> {
    /// The phase.
    pub phase: &'a Phase,
    /// The step, counted from the phase's first one.
    pub step: u64,
    /// The phase's steps.
    pub steps: u64,
}

/// The phase of `step` in a run of `steps`; none without phases.
pub(crate) fn place(phases: &[Phase], step: u64, steps: u64) -> Option<Place<'_>> {
    let mut sum = 0.0;
    let mut first = 0;
    for (i, phase) in phases.iter().enumerate() {
        sum += phase.share;
        let is_last = i + 1 == phases.len();
        let end = if is_last { steps } else { ((sum * steps as f64).round() as u64).min(steps) };
        if step < end {
            return Some(Place { phase, step: step - first, steps: end - first });
        }
        first = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(name: &str, share: f64, classification: f64) -> Phase {
        Phase { classification, ..Phase::new(name, share) }
    }

    #[test]
    fn phases_follow_each_other_and_end_with_the_run() {
        let three = [reading("alone", 0.25, 0.0), reading("fixed", 0.5, 5.0), reading("flexible", 0.25, 1.0)];
        // Of 10 steps: 0.25 · 10 = 2.5, rounded to 3; 0.75 · 10 = 7.5, rounded to 8.
        let place = |step| place(&three, step, 10).map(|place| (place.phase.name.as_str(), place.step, place.steps));
        assert_eq!(place(0), Some(("alone", 0, 3)));
        assert_eq!(place(2), Some(("alone", 2, 3)));
        assert_eq!(place(3), Some(("fixed", 0, 5)));
        assert_eq!(place(7), Some(("fixed", 4, 5)));
        assert_eq!(place(8), Some(("flexible", 0, 2)));
        assert_eq!(place(9), Some(("flexible", 1, 2)));
        assert_eq!(place(10), None);
    }

    #[test]
    fn impossible_phases_are_one_line() {
        let message = |phases: &[Phase]| validate(phases, "f").err().map(|e| e.to_string()).unwrap_or_default();
        assert_eq!(message(&[reading("a", 0.5, 0.0), reading("b", 0.5, 1.0)]), "");
        assert_eq!(message(&[]), "");
        for (phase, expected) in [
            (reading("a", 0.5, 0.0), "their shares sum to 0.5, expected 1"),
            (reading("a", 1.0, -1.0), "phase a: classification = -1"),
            (Phase { adversarial: f64::INFINITY, ..reading("a", 1.0, 1.0) }, "phase a: adversarial = inf"),
            (reading("a", f64::NAN, 1.0), "phase a: share = NaN"),
            (Phase { imagined: 1.0, ..reading("a", 1.0, 1.0) }, "phase a: imagined = 1"),
            (Phase { imagined: 0.5, ..reading("a", 1.0, 0.0) }, "nothing would look at them"),
            (Phase { classifier_learns: true, ..reading("a", 1.0, 0.0) }, "it would learn nothing"),
        ] {
            let found = message(&[phase]);
            assert!(found.contains(expected) && !found.contains('\n'), "{found}");
        }
    }
}
