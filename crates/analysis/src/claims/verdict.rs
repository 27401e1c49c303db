//! The rule by which a claim is supported, not supported, or neither; and the figures that it is applied to.
//!
//! Unit: the seed. A figure is the mean over the images of a set under each seed, differences are paired by seed, the
//! interval is the 95 % t-interval over seeds. A condition is *supported* when the whole interval lies on the side of the
//! null that the claim names, *not supported* when it lies on the other side or at the null, *inconclusive* when it
//! contains the null; with fewer than five seeds there is no verdict. A claim on a subject needs all of its conditions.

use std::collections::BTreeMap;

use multigen_measure::{ACCURACY, MEAN_PERSON, MOUTH_ASYMMETRY, MOUTH_OPENING, MOUTH_READ};

use super::catalogue::{SEEDS_NEEDED, command};
use super::claim::{Case, Condition, Measure, Quantity, Side, Standing, Subject, Whose};
use super::evidence::{Evidence, Figures, Images, Looked, means, n_clusters};
use crate::error::Result;
use crate::labels::{TRUTH, figure, metric_heading, thousands};
use crate::stats::{Estimate, estimate};

/// What a condition or a case comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The whole interval lies where the claim says.
    Supported,
    /// The whole interval lies on the other side, or at the null.
    NotSupported,
    /// The interval contains the null.
    Inconclusive,
    /// There is no verdict, for this reason.
    None(String),
    /// Shown, and no part of the verdict, for this reason.
    Beside(String),
}

impl Verdict {
    /// In a few words.
    pub fn text(&self) -> String {
        match self {
            Self::Supported => "supported".to_owned(),
            Self::NotSupported => "not supported".to_owned(),
            Self::Inconclusive => "inconclusive".to_owned(),
            Self::None(reason) => format!("no verdict: {reason}"),
            Self::Beside(reason) => format!("(beside: {reason})"),
        }
    }
}

/// A condition with its figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What is measured, in words.
    pub what: String,
    /// The results folder.
    pub folder: String,
    /// The sets.
    pub sets: String,
    /// The command that made the results, where there are some.
    pub made_by: Option<String>,
    /// The command that makes what is missing; none where nothing is.
    pub missing_command: Option<String>,
    /// The seeds that it rests on.
    pub seeds: Vec<u64>,
    /// Images and clusters.
    pub sample: String,
    /// The effect, with its interval.
    pub estimate: Option<Estimate>,
    /// The metric whose digits the figures have.
    pub metric: &'static str,
    /// What it is compared with, as `> 0`.
    pub null: String,
    /// What it comes to.
    pub verdict: Verdict,
    /// What a reader must know, such as what the judge reads in the truth.
    pub note: Option<String>,
}

/// A case with its findings.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The images.
    pub subject: Subject,
    /// The generator or the arm.
    pub arm: &'static str,
    /// One per condition.
    pub findings: Vec<Finding>,
    /// What all of them come to.
    pub verdict: Verdict,
}

/// Judges a case.
///
/// # Errors
/// A broken results folder.
pub fn judge(case: &Case, evidence: &mut Evidence) -> Result<Judged> {
    let mut findings: Vec<Finding> =
        case.conditions.iter().map(|condition| find(condition, case.subject, evidence)).collect::<Result<_>>()?;
    for finding in &mut findings {
        // Mouths that could not be read would not be read by the same command again.
        let of_mouths = [MOUTH_OPENING, MOUTH_ASYMMETRY].contains(&finding.metric);
        if of_mouths && finding.made_by == finding.missing_command {
            finding.missing_command = None;
        }
    }
    let verdict = overall(findings.iter().map(|finding| &finding.verdict));
    Ok(Judged { subject: case.subject, arm: case.arm, findings, verdict })
}

/// The verdict of one interval.
pub fn of_interval((low, high): (f64, f64), null: f64, side: Side) -> Verdict {
    let (holds, fails) = match side {
        Side::Above => (low > null, high <= null),
        Side::AtLeast => (low >= null, high < null),
        Side::Below => (high < null, low >= null),
    };
    match (holds, fails) {
        (true, _) => Verdict::Supported,
        (_, true) => Verdict::NotSupported,
        _ => Verdict::Inconclusive,
    }
}

/// The verdict of several conditions of which all must hold: one that fails decides, then one that has no verdict yet.
pub fn overall<'a>(verdicts: impl Iterator<Item = &'a Verdict> + Clone) -> Verdict {
    let mut deciding = verdicts.filter(|verdict| !matches!(verdict, Verdict::Beside(_))).peekable();
    if deciding.peek().is_none() {
        return Verdict::None("no condition could be decided".to_owned());
    }
    if deciding.clone().any(|verdict| *verdict == Verdict::NotSupported) {
        return Verdict::NotSupported;
    }
    if let Some(none) = deciding.clone().find(|verdict| matches!(verdict, Verdict::None(_))) {
        return none.clone();
    }
    match deciding.any(|verdict| *verdict == Verdict::Inconclusive) {
        true => Verdict::Inconclusive,
        false => Verdict::Supported,
    }
}

fn find(condition: &Condition, subject: Subject, evidence: &mut Evidence) -> Result<Finding> {
    let folder = match subject {
        Subject::Photographs => format!("{}-photographs", condition.folder),
        Subject::Digits | Subject::DrawnFaces => condition.folder.to_owned(),
    };
    let mut finding = Finding {
        what: condition.quantity.describe(None),
        sets: condition.sets.join(", "),
        made_by: None,
        missing_command: None,
        seeds: Vec::new(),
        sample: String::new(),
        estimate: None,
        metric: condition.quantity.leading().metric,
        null: format!("{} {}", condition.side.sign(), condition.null),
        verdict: Verdict::None(String::new()),
        note: None,
        folder: folder.clone(),
    };
    let without = |mut finding: Finding, reason: String| {
        finding.verdict = match condition.standing {
            Standing::Decides => Verdict::None(reason),
            Standing::Beside(_) => Verdict::Beside(reason),
        };
        finding.missing_command = Some(command(condition.folder, subject));
        Ok(finding)
    };
    let figures = match evidence.of(&folder)? {
        Looked::Found(figures) => figures,
        Looked::Missing(reason) => return without(finding, reason.clone()),
    };
    finding.made_by = Some(figures.command.clone());
    let measured = Measured { figures, sets: condition.sets };
    let Some(best) = measured.best_of(&condition.quantity) else {
        let reason = format!("no baseline has \"{}\"", metric_heading(finding.metric));
        return without(finding, reason);
    };
    finding.what = condition.quantity.describe(best);
    let by_seed = match measured.by_seed(&condition.quantity, best) {
        Ok(by_seed) => by_seed,
        Err(lacks) => return without(finding, lacks),
    };
    let leading = measured.images(&condition.quantity.leading(), best);
    let too_small = measured.describe_sample(condition, subject, &leading, &mut finding);
    finding.seeds = by_seed.keys().copied().collect();
    finding.estimate = estimate(&by_seed.values().copied().collect::<Vec<_>>());
    finding.note = measured.truth_note(condition);
    let n_seeds = by_seed.len();
    if n_seeds < SEEDS_NEEDED {
        finding.missing_command = Some(command(condition.folder, subject));
    }
    let interval = finding.estimate.and_then(|estimate| estimate.interval());
    finding.verdict = match (condition.standing, too_small, interval) {
        (Standing::Beside(reason), ..) => Verdict::Beside(reason.to_owned()),
        (_, Some(reason), _) => Verdict::None(reason),
        (_, _, Some(interval)) if n_seeds >= SEEDS_NEEDED => {
            match (of_interval(interval, condition.null, condition.side), measured.cannot_rise(&condition.quantity)) {
                // What cannot rise can still fall: a loss decides.
                (Verdict::Supported | Verdict::Inconclusive, Some(reason)) => Verdict::Beside(reason),
                (Verdict::NotSupported, Some(reason)) if interval.1 >= condition.null => Verdict::Beside(reason),
                (Verdict::NotSupported, None) if interval == (0.0, 0.0) && is_of_accuracies(&condition.quantity) => {
                    Verdict::Beside("both read as many images right under every seed".to_owned())
                }
                (Verdict::NotSupported, None) if measured.is_as_the_truth(condition, interval) => Verdict::Inconclusive,
                (verdict, _) => verdict,
            }
        }
        _ => Verdict::None(format!("{n_seeds} {}, {SEEDS_NEEDED} needed", if n_seeds == 1 { "seed" } else { "seeds" })),
    };
    Ok(finding)
}

/// Some sets of a folder.
struct Measured<'a> {
    figures: &'a Figures,
    sets: &'a [&'static str],
}

impl<'a> Measured<'a> {
    /// The best baseline's name where the quantity names one: the inner `None` where it does not; the outer one where there
    /// is no baseline.
    fn best_of(&self, quantity: &Quantity) -> Option<Option<&'a str>> {
        let Quantity::Difference(a, b) = quantity else { return Some(None) };
        if ![a.of, b.of].contains(&Whose::BestBaseline) {
            return Some(None);
        }
        let baselines = self.figures.baselines(self.sets, a.metric).into_iter().map(|name| {
            let means = means(&self.figures.images(self.sets, name, a.metric, None));
            (name, means.values().sum::<f64>() / means.len().max(1) as f64)
        });
        baselines.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(name, _)| Some(name))
    }

    fn images(&self, measure: &Measure, best: Option<&str>) -> Images<'a> {
        let model = match measure.of {
            Whose::Named(name) => name,
            Whose::BestBaseline => best.unwrap_or_default(),
        };
        self.figures.images(self.sets, model, measure.metric, measure.level)
    }

    /// The quantity under every seed, or what it lacks.
    fn by_seed(&self, quantity: &Quantity, best: Option<&str>) -> std::result::Result<BTreeMap<u64, f64>, String> {
        let present = |measure: &Measure| {
            let images = self.images(measure, best);
            if images.is_empty() {
                let model = match measure.of {
                    Whose::Named(name) => name,
                    Whose::BestBaseline => "the best baseline",
                };
                let level = measure.level.map(|level| format!(", {level}")).unwrap_or_default();
                if !self.figures.has(self.sets, model) {
                    return Err(format!("nothing of {model} in {}", self.sets.join(", ")));
                }
                return Err(format!(
                    "no \"{}\" of {model} in {}{level}",
                    metric_heading(measure.metric),
                    self.sets.join(", ")
                ));
            }
            Ok(images)
        };
        match *quantity {
            Quantity::Mean(measure) => {
                let means = means(&present(&measure)?);
                Ok(means.into_iter().filter_map(|(seed, mean)| Some((seed?, mean))).collect())
            }
            Quantity::Difference(a, b) => {
                let (a, b) = (means(&present(&a)?), means(&present(&b)?));
                let reference = |seed| b.get(&Some(seed)).or_else(|| b.get(&None));
                Ok(a.iter().filter_map(|(seed, a)| Some(((*seed)?, a - reference((*seed)?)?))).collect())
            }
            Quantity::NearerMeanMouth { model, level } => {
                let of = |name| Measure { of: Whose::Named(name), metric: MOUTH_OPENING, level: Some(level) };
                let (drawn, own, mean) = (present(&of(model))?, present(&of(TRUTH))?, present(&of(MEAN_PERSON))?);
                Ok(per_image(&drawn, |seed, image, drawn| {
                    let (own, mean) = (at(&own, seed, image)?, at(&mean, seed, image)?);
                    Some((drawn - own).abs() - (drawn - mean).abs())
                }))
            }
            Quantity::AsymmetryLost { model, level } => {
                let of = |name| Measure { of: Whose::Named(name), metric: MOUTH_ASYMMETRY, level: Some(level) };
                let (drawn, own) = (present(&of(model))?, present(&of(TRUTH))?);
                Ok(per_image(&drawn, |seed, image, drawn| {
                    let own = at(&own, seed, image)?;
                    Some(own.abs() - drawn * own.signum())
                }))
            }
        }
    }

    /// Writes the sample into the finding; says what it lacks.
    fn describe_sample(
        &self,
        condition: &Condition,
        subject: Subject,
        images: &Images,
        finding: &mut Finding,
    ) -> Option<String> {
        let (one, name, factors) = subject.clusters();
        let n_images = images.values().map(BTreeMap::len).min().unwrap_or(0);
        let n = n_clusters(images, factors, None).into_values().map(|(n, _)| n).min().unwrap_or(0);
        let plural = if n_images == 1 { "image" } else { "images" };
        finding.sample = format!("{} {plural}", thousands(n_images as u64));
        if let Quantity::NearerMeanMouth { model, level } | Quantity::AsymmetryLost { model, level } =
            condition.quantity
        {
            let read = self.figures.images(self.sets, model, MOUTH_READ, Some(level));
            let n_all = read.values().map(BTreeMap::len).min().unwrap_or(0);
            finding.sample += &format!(" of {} whose mouth could be read", thousands(n_all as u64));
        }
        if n > 0 && n < n_images {
            finding.sample += &format!(", of {} {}", thousands(n as u64), if n == 1 { one } else { name });
        }
        let needs = condition.needs?;
        let counts = n_clusters(images, factors, needs.per);
        let (seed, (n, group)) = counts.into_iter().min_by_key(|(_, (n, _))| *n)?;
        let of = if group.is_empty() { String::new() } else { format!(" with {group}") };
        finding.sample += &format!(", at least {n}{of}");
        let under = seed.map(|seed| format!(" under seed {seed}")).unwrap_or_default();
        (n < needs.at_least)
            .then(|| format!("{n} {}{of}{under}, {} needed", if n == 1 { one } else { name }, needs.at_least))
    }

    /// What the judge reads in the truth, where a condition is on what it reads in generated images.
    fn truth_note(&self, condition: &Condition) -> Option<String> {
        let (metric, mean) = self.read_in_truth(condition)?;
        let ceiling = match mean < condition.null {
            true => ", so that no generator can be expected to reach the null",
            false => "",
        };
        Some(format!("of the true images it reads {} right{ceiling}", figure(metric, mean)))
    }

    /// What the judge reads in the truth of a share that it is to read in generated images: the metric and the mean over
    /// seeds.
    fn read_in_truth(&self, condition: &Condition) -> Option<(&'static str, f64)> {
        let Quantity::Mean(measure) = condition.quantity else { return None };
        if !measure.metric.starts_with("judge_") {
            return None;
        }
        let truth: Vec<f64> =
            means(&self.figures.images(self.sets, TRUTH, measure.metric, measure.level)).into_values().collect();
        Some((measure.metric, estimate(&truth)?.mean))
    }

    /// Whether a share that misses its null misses it because of the judge: of the truth it reads less than the null, and of
    /// the generated images no less than that by more than the null allows a perfect judge.
    fn is_as_the_truth(&self, condition: &Condition, (_, high): (f64, f64)) -> bool {
        self.read_in_truth(condition)
            .is_some_and(|(_, truth)| truth < condition.null && high >= truth - (1.0 - condition.null))
    }

    /// Why a difference of accuracies decides nothing: the reference has every image right under every seed.
    fn cannot_rise(&self, quantity: &Quantity) -> Option<String> {
        let Quantity::Difference(_, b) = quantity else { return None };
        let reference = self.images(b, None);
        let all_right =
            !reference.is_empty() && reference.values().flat_map(BTreeMap::values).all(|value| *value == 1.0);
        (is_of_accuracies(quantity) && all_right)
            .then(|| "the reference is right in every image of every seed and cannot be surpassed".to_owned())
    }
}

/// Whether it is a difference of one accuracy.
fn is_of_accuracies(quantity: &Quantity) -> bool {
    let Quantity::Difference(a, b) = quantity else { return false };
    a.metric == b.metric && (a.metric.starts_with("judge_") || a.metric.starts_with(ACCURACY))
}

fn at(images: &Images, seed: u64, image: &str) -> Option<f64> {
    images.get(&Some(seed)).or_else(|| images.get(&None))?.get(image).copied()
}

/// The mean under every seed of what `of` makes of every image, of those that it makes something of.
fn per_image(images: &Images, of: impl Fn(u64, &str, f64) -> Option<f64>) -> BTreeMap<u64, f64> {
    let seeds = images.iter().filter_map(|(seed, values)| Some(((*seed)?, values)));
    seeds
        .filter_map(|(seed, values)| {
            let made: Vec<f64> = values.iter().filter_map(|(image, value)| of(seed, image, *value)).collect();
            Some((seed, estimate(&made)?.mean))
        })
        .collect()
}
