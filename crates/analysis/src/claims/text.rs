//! The sentences and cells that both pages share.

use std::collections::BTreeMap;

use super::JudgedClaim;
use super::claim::Subject;
use super::verdict::{Finding, Judged, Verdict};
use crate::labels::figure;
use crate::summary::link;

/// What stands above the checks of a claim.
pub const CHECKS: &str = "Checks against a fault of the implementation, among the tests of the workspace:";

/// How verdicts come about.
pub const RULE: [&str; 6] = [
    "A figure is the mean over the images of a set under each seed; differences are paired by seed. The seed is the unit: the \
     effect is the mean over seeds, the interval is the 95 % t-interval over seeds. Images, and the cells or persons that they \
     belong to, are counted in the sample and do not narrow the interval.",
    "A condition is supported when the whole interval lies on the side of the null that is named; not supported when it lies \
     on the other side or at the null; inconclusive when it contains the null. With fewer than 5 seeds there is no verdict.",
    "A claim is supported by a generator when all of its conditions are; one that is not supported decides against it. What \
     stands beside decides nothing. A difference of accuracies where the reference is right in every image of every seed, so \
     that nothing could surpass it, decides only where the arm is clearly worse; one that is nothing under every seed decides nothing.",
    "Where the judge reads fewer of the true images right than the null asks of generated ones, no generator can reach it: such \
     a condition is inconclusive, unless the generator falls short of the truth by more than the null lies below 1.",
    "Figures are of the profile quick alone, two CPU cores within minutes, of the experiment's file and data as they are (no \
     --set but for the choice of models, no --experiments, no --mnist); each experiment's report says what differs from \
     the research's solver. Faces are drawn, and verdicts on them read on drawn faces; photographs have rows of their own \
     where the user has results of them.",
    "The best baseline is the one with the highest mean; where that is the nearest training image, it was chosen by looking at \
     the truth.",
];

/// The heading of a table of findings.
pub const HEADING: [&str; 9] =
    ["generator or arm", "measured", "experiment", "sample", "seeds", "effect", "95 % interval", "null", "verdict"];

/// The cells of a finding after the first, but for its experiment.
pub struct Cells {
    /// What is measured.
    pub what: String,
    /// Images and clusters, and of which sets.
    pub sample: String,
    /// The seeds.
    pub seeds: String,
    /// The effect.
    pub effect: String,
    /// Its interval.
    pub interval: String,
}

/// A finding as cells.
pub fn cells(finding: &Finding) -> Cells {
    let dash = || "–".to_owned();
    let seeds = match finding.seeds.as_slice() {
        [] => dash(),
        [first, .., last] if (*last - *first) as usize + 1 == finding.seeds.len() => format!("{first}–{last}"),
        seeds => seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    };
    let sample = match finding.sample.as_str() {
        "" => finding.sets.clone(),
        sample => format!("{}: {sample}", finding.sets),
    };
    Cells {
        what: match &finding.note {
            Some(note) => format!("{} ({note})", finding.what),
            None => finding.what.clone(),
        },
        sample,
        seeds,
        effect: finding.estimate.map_or_else(dash, |estimate| unsigned_zero(finding.metric, estimate.mean)),
        interval: match finding.estimate.and_then(|estimate| estimate.interval()) {
            Some((low, high)) => {
                format!("{} to {}", unsigned_zero(finding.metric, low), unsigned_zero(finding.metric, high))
            }
            None if finding.estimate.is_some() => "no interval".to_owned(),
            None => dash(),
        },
    }
}

/// A figure that is not written as −0.00.
fn unsigned_zero(metric: &str, value: f64) -> String {
    let text = figure(metric, value);
    match text.trim_start_matches('-') {
        zero if text.parse() == Ok(0.0) => zero.to_owned(),
        _ => text,
    }
}

/// The cases of a subject that come to the same.
pub struct Alike<'a> {
    /// The generators or arms.
    pub arms: Vec<&'static str>,
    /// What they come to.
    pub verdict: &'a Verdict,
}

/// Per subject what its cases come to, those that come to the same together.
pub fn by_verdict(cases: &[Judged]) -> Vec<(Subject, Vec<Alike<'_>>)> {
    let mut subjects: Vec<(Subject, Vec<Alike>)> = Vec::new();
    for case in cases {
        if subjects.last().is_none_or(|(last, _)| *last != case.subject) {
            subjects.push((case.subject, Vec::new()));
        }
        let Some((_, groups)) = subjects.last_mut() else { continue };
        match groups.iter_mut().find(|group| *group.verdict == case.verdict) {
            Some(group) => group.arms.push(case.arm),
            None => groups.push(Alike { arms: vec![case.arm], verdict: &case.verdict }),
        }
    }
    subjects
}

/// A claim in one line: per subject, what its generators or arms come to.
pub fn one_line(judged: &JudgedClaim) -> String {
    let parts = by_verdict(&judged.cases).into_iter().map(|(subject, groups)| {
        let groups = groups.iter().map(|group| format!("{} {}", group.arms.join(", "), group.verdict.text()));
        format!("{}: {}", subject.name(), groups.collect::<Vec<_>>().join("; "))
    });
    parts.collect::<Vec<_>>().join(". ") + "."
}

/// How many cases of all claims come to what.
pub fn tally(all: &[JudgedClaim]) -> String {
    let verdicts = || all.iter().flat_map(|judged| &judged.cases).map(|case| &case.verdict);
    let count = |wanted: fn(&Verdict) -> bool| verdicts().filter(|verdict| wanted(verdict)).count();
    format!(
        "Of {} cases (a claim on one kind of images by one generator or arm): {} supported, {} not supported, {} \
         inconclusive, {} without a verdict yet.",
        verdicts().count(),
        count(|verdict| *verdict == Verdict::Supported),
        count(|verdict| *verdict == Verdict::NotSupported),
        count(|verdict| *verdict == Verdict::Inconclusive),
        count(|verdict| matches!(verdict, Verdict::None(_))),
    )
}

/// The commands that made a claim's results, by folder.
pub fn made_by(cases: &[Judged]) -> BTreeMap<&str, &str> {
    let findings = cases.iter().flat_map(|case| &case.findings);
    findings.filter_map(|finding| Some((finding.folder.as_str(), finding.made_by.as_deref()?))).collect()
}

/// The commands that make what a claim lacks, and of each what it lacks, each once.
pub fn missing(cases: &[Judged]) -> BTreeMap<&str, Vec<String>> {
    let mut missing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for finding in cases.iter().flat_map(|case| &case.findings) {
        let Some(command) = &finding.missing_command else { continue };
        let reason = match &finding.verdict {
            Verdict::None(reason) if reason.contains(&finding.folder) => reason.clone(),
            Verdict::None(reason) => format!("{}: {reason}", finding.folder),
            _ => continue,
        };
        let reasons = missing.entry(command.as_str()).or_default();
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    missing
}

/// The file that tells all about a folder, relative to results/.
pub fn summary_of(folder: &str) -> String {
    link(&format!("{folder}/summary.md"))
}
