//! What a claim consists of: cases, each of one subject and one generator, and the conditions that all must hold.

use multigen_measure::{MOUTH_ASYMMETRY, MOUTH_OPENING};

use crate::labels::{BASELINE, metric_heading};

/// A claim of SPEC §8.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Its number, as `6b`.
    pub number: &'static str,
    /// What is claimed.
    pub text: &'static str,
    /// By what it is measured.
    pub measured_by: &'static str,
    /// When it counts as supported.
    pub supported_when: &'static str,
    /// What it is tried on.
    pub cases: Vec<Case>,
    /// What speaks against a fault of the implementation; of claims about discriminators and classifiers.
    pub checks: &'static [Check],
}

/// A property of the implementation, and the test that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// What is so.
    pub that: &'static str,
    /// The name of the test's function.
    pub test: &'static str,
}

/// What images a case is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Handwritten digits.
    Digits,
    /// Faces that the project draws.
    DrawnFaces,
    /// The user's photographs, in folders of their own.
    Photographs,
}

impl Subject {
    /// For headings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::DrawnFaces => "drawn faces",
            Self::Photographs => "photographs",
        }
    }

    /// What counts as one member of a sample where images belong together: its name for one and for
    /// several, and the factors that tell one from another.
    pub fn clusters(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::Digits => ("cell", "cells", &["digit", "style", "transform"]),
            Self::DrawnFaces | Self::Photographs => ("person", "persons", &["person"]),
        }
    }
}

/// A claim on one subject, by one generator or one arm of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The images.
    pub subject: Subject,
    /// The generator or the arm.
    pub arm: &'static str,
    /// All that must hold, and what is shown beside it.
    pub conditions: Vec<Condition>,
}

/// One figure with what it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The experiment; the folder in results/ of drawn faces or digits.
    pub folder: &'static str,
    /// The sets whose images are taken together.
    pub sets: &'static [&'static str],
    /// What is measured under each seed.
    pub quantity: Quantity,
    /// The figure that it is compared with.
    pub null: f64,
    /// The side of the null on which the whole interval must lie.
    pub side: Side,
    /// Whether the verdict depends on it.
    pub standing: Standing,
    /// What the sample must hold.
    pub needs: Option<Needs>,
}

/// A side of the null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Greater than the null.
    Above,
    /// At the null or greater.
    AtLeast,
    /// Smaller than the null.
    Below,
}

impl Side {
    /// As it is written before the null.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => "≥",
            Self::Below => "<",
        }
    }
}

/// Whether a verdict depends on a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Decides,
    /// It stands beside the others, for this reason.
    Beside(&'static str),
}

/// A sample that is large enough: under every seed at least so many clusters, of each level of a factor if one is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// How many clusters.
    pub at_least: usize,
    /// A factor, each level of which must have as many.
    pub per: Option<&'static str>,
}

/// What is measured: one value under each seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// A mean over images.
    Mean(Measure),
    /// The difference of two means over images, paired by seed.
    Difference(Measure, Measure),
    /// How much nearer the opening of a generated mouth is to the mean person's than to the person's own: |generated − own| −
    /// |generated − mean|, of the images with this level whose mouth could be read.
    NearerMeanMouth {
        /// The generator.
        model: &'static str,
        /// The level.
        level: &'static str,
    },
    /// How much of the asymmetry of a mouth is lost, counted towards the person's own side: |own| − generated, of the images
    /// with this level whose mouth could be read.
    AsymmetryLost {
        /// The generator.
        model: &'static str,
        /// The level.
        level: &'static str,
    },
}

/// The mean of a metric over images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// Whose.
    pub of: Whose,
    /// The metric.
    pub metric: &'static str,
    /// Only images with this level, as `emotion=happy`.
    pub level: Option<&'static str>,
}

/// Whose figures a measure takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// A model's, a baseline's or the truth's.
    Named(&'static str),
    /// Those of the baseline with the highest mean.
    BestBaseline,
}

impl Quantity {
    /// The measure that its sample and its digits follow.
    pub fn leading(&self) -> Measure {
        match *self {
            Self::Mean(measure) | Self::Difference(measure, _) => measure,
            Self::NearerMeanMouth { model, level } => {
                Measure { of: Whose::Named(model), metric: MOUTH_OPENING, level: Some(level) }
            }
            Self::AsymmetryLost { model, level } => {
                Measure { of: Whose::Named(model), metric: MOUTH_ASYMMETRY, level: Some(level) }
            }
        }
    }

    /// In words; `best` is the name of the best baseline where it is known.
    pub fn describe(&self, best: Option<&str>) -> String {
        let level = |level: &'static str| level.split_once('=').map_or(level, |(_, name)| name);
        let whose = |measure: &Measure| match (measure.of, best) {
            (Whose::Named(name), _) => name.trim_start_matches(BASELINE).to_owned(),
            (Whose::BestBaseline, Some(best)) => format!("best baseline ({})", best.trim_start_matches(BASELINE)),
            (Whose::BestBaseline, None) => "best baseline".to_owned(),
        };
        match self {
            Self::Mean(measure) => metric_heading(measure.metric),
            Self::Difference(a, b) if a.metric != b.metric => {
                format!("{} − {}", metric_heading(a.metric), metric_heading(b.metric))
            }
            Self::Difference(a, b) => match (a.level, b.level) {
                (Some(of_a), Some(of_b)) if of_a != of_b => {
                    format!("{}: {} − {}", metric_heading(a.metric), level(of_a), level(of_b))
                }
                _ => format!("{}: {} − {}", metric_heading(a.metric), whose(a), whose(b)),
            },
            Self::NearerMeanMouth { level: of, .. } => {
                format!("{}: distance of the mouth's opening to the person's own − to the mean person's", level(of))
            }
            Self::AsymmetryLost { level: of, .. } => {
                format!("{}: asymmetry of the mouth, true − generated", level(of))
            }
        }
    }
}
