//! Verdicts on hand-made rows.

use std::collections::BTreeMap;

use multigen_measure::{
    MEAN_PERSON, MOUTH_ASYMMETRY, MOUTH_OPENING, MOUTH_READ, Machine, Manifest, MetricRow, write_rows,
};

use super::claim::{Condition, Measure, Needs, Quantity, Side, Standing, Whose};
use super::verdict::{Finding, Verdict, of_interval, overall};
use super::*;
use crate::labels::TRUTH;

const SETS: &[&str] = &["held-out"];
const PSNR: &str = "psnr_db";

/// A results folder of these rows: model, seed, set, combination, metric, value.
type Rows = Vec<(&'static str, Option<u64>, &'static str, String, &'static str, f64)>;

fn write(root: &Path, folder: &str, profile: &str, rows: &Rows) {
    let dir = ResultsDir::new(root).experiment(folder);
    dir.create().unwrap();
    let rows: Vec<MetricRow> = rows
        .iter()
        .map(|(model, seed, set, combination, metric, value)| MetricRow {
            experiment: folder.into(),
            model: (*model).into(),
            seed: *seed,
            set: (*set).into(),
            combination: combination.clone(),
            metric: (*metric).into(),
            value: *value,
        })
        .collect();
    write_rows(&dir.metrics(), &rows).unwrap();
    let manifest = Manifest {
        experiment: folder.into(),
        title: "t".into(),
        question: "q".into(),
        expected: "e".into(),
        profile: profile.into(),
        device: "cpu".into(),
        dataset: "d".into(),
        pictured: None,
        models: Vec::new(),
        seeds: vec![0],
        config_hash: "0".into(),
        run_hashes: BTreeMap::new(),
        commit: None,
        run_commits: BTreeMap::new(),
        command: format!("cargo xtask reproduce {folder} <made>"),
        started: "2026-01-31T08:05:09Z".into(),
        duration_s: 1.0,
        machine: Machine { cpu: "c".into(), cores: 2, threads: 2, os: "o".into() },
        judge: None,
        notes: Vec::new(),
    };
    manifest.write(&dir.manifest()).unwrap();
}

fn measure(of: Whose, metric: &'static str) -> Measure {
    Measure { of, metric, level: None }
}

fn difference(metric: &'static str, reference: Whose) -> Quantity {
    Quantity::Difference(measure(Whose::Named("ours"), metric), measure(reference, metric))
}

fn condition(quantity: Quantity) -> Condition {
    Condition {
        folder: "e",
        sets: SETS,
        quantity,
        null: 0.0,
        side: Side::Above,
        standing: Standing::Decides,
        needs: None,
    }
}

/// The only finding of a condition on these rows.
fn finding(condition: Condition, rows: &Rows) -> Finding {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "e", "quick", rows);
    judged(folder.path(), condition)
}

fn judged(root: &Path, condition: Condition) -> Finding {
    let case = Case { subject: Subject::DrawnFaces, arm: "ours", conditions: vec![condition] };
    let mut judged = verdict::judge(&case, &mut Evidence::new(&ResultsDir::new(root))).unwrap();
    let finding = judged.findings.remove(0);
    assert_eq!(judged.verdict, overall([&finding.verdict].into_iter()));
    finding
}

#[test]
fn results_of_a_changed_experiment_have_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let rows = two_models(&[21.0, 22.0, 23.0, 24.0, 25.0], &[20.0, 21.0, 22.0, 23.0, 24.0]);
    write(folder.path(), "e", "quick", &rows);
    let against = condition(difference(PSNR, Whose::Named("alone")));
    assert_eq!(judged(folder.path(), against.clone()).verdict, Verdict::Supported);
    let path = ResultsDir::new(folder.path()).experiment("e").manifest();
    let manifest = Manifest::read(&path).unwrap();
    let command = format!("{} --set steps=5", manifest.command);
    Manifest { command, ..manifest }.write(&path).unwrap();
    let verdict = judged(folder.path(), against).verdict;
    assert!(matches!(&verdict, Verdict::None(reason) if reason.contains("--set steps")), "{verdict:?}");
}

/// PSNR of `ours` and of `alone`, one image each, by seed.
fn two_models(ours: &[f64], alone: &[f64]) -> Rows {
    let rows = |model, values: &[f64]| -> Rows {
        let row = |(value, seed): (&f64, u64)| (model, Some(seed), "held-out", "person=1".to_owned(), PSNR, *value);
        values.iter().zip(0..).map(row).collect()
    };
    [rows("ours", ours), rows("alone", alone)].concat()
}

#[test]
fn the_whole_interval_decides() {
    let against = |ours: &[f64], alone: &[f64]| {
        finding(condition(difference(PSNR, Whose::Named("alone"))), &two_models(ours, alone))
    };
    let alone = [20.0, 21.0, 22.0, 23.0, 24.0];
    // Differences 1, 2, 3, 4, 5: mean 3, sd √2.5, half width 2.776 · √2.5 / √5 = 1.963: 1.037 to 4.963.
    let found = against(&[21.0, 23.0, 25.0, 27.0, 29.0], &alone);
    let (low, high) = found.estimate.unwrap().interval().unwrap();
    assert!((low - 1.037).abs() < 1e-3 && (high - 4.963).abs() < 1e-3, "{low} {high}");
    assert_eq!((found.verdict, found.seeds), (Verdict::Supported, vec![0, 1, 2, 3, 4]));
    assert_eq!(found.what, "PSNR, dB: ours − alone");
    assert_eq!(found.missing_command, None);
    // The same below: −4.963 to −1.037.
    assert_eq!(against(&[19.0, 19.0, 19.0, 19.0, 19.0], &alone).verdict, Verdict::NotSupported);
    // Differences −2, 1, 1, 1, 1: mean 0.4, sd √1.8, half width 2.776 · √1.8 / √5 = 1.666.
    assert_eq!(against(&[18.0, 22.0, 23.0, 24.0, 25.0], &alone).verdict, Verdict::Inconclusive);
    // No difference at all is at the null.
    assert_eq!(against(&alone, &alone).verdict, Verdict::NotSupported);
    // Pairing: without it, the spread of 20 to 24 would hide a difference of 0.1.
    let shifted: Vec<f64> = alone.iter().map(|value| value + 0.1).collect();
    assert_eq!(against(&shifted, &alone).verdict, Verdict::Supported);
    // Four seeds, however far from the null, and five of which one has no partner.
    let few = against(&[30.0, 31.0, 32.0, 33.0], &alone);
    assert_eq!(few.verdict, Verdict::None("4 seeds, 5 needed".into()));
    assert!(few.estimate.unwrap().interval().unwrap().0 > 0.0);
    assert_eq!(few.missing_command.as_deref(), Some("cargo xtask reproduce e --seeds 5"));
    let unpaired = against(&[30.0, 31.0, 32.0, 33.0, 34.0], &alone[..4]);
    assert_eq!(unpaired.verdict, Verdict::None("4 seeds, 5 needed".into()));
    assert_eq!(against(&[30.0], &alone).verdict, Verdict::None("1 seed, 5 needed".into()));
}

#[test]
fn each_side_of_the_null_has_its_edge() {
    for (interval, side, expected) in [
        ((0.1, 1.0), Side::Above, Verdict::Supported),
        ((0.0, 1.0), Side::Above, Verdict::Inconclusive),
        ((-1.0, 0.0), Side::Above, Verdict::NotSupported),
        ((0.0, 1.0), Side::AtLeast, Verdict::Supported),
        ((-1.0, 0.0), Side::AtLeast, Verdict::Inconclusive),
        ((-1.0, -0.1), Side::AtLeast, Verdict::NotSupported),
        ((-1.0, -0.1), Side::Below, Verdict::Supported),
        ((-1.0, 0.0), Side::Below, Verdict::Inconclusive),
        ((0.0, 1.0), Side::Below, Verdict::NotSupported),
    ] {
        assert_eq!(of_interval(interval, 0.0, side), expected, "{interval:?} {side:?}");
    }
}

#[test]
fn all_conditions_must_hold_and_what_stands_beside_decides_nothing() {
    use Verdict::{Beside, Inconclusive, None, NotSupported, Supported};
    let of = |verdicts: &[Verdict]| overall(verdicts.iter());
    let (beside, none) = (Beside("b".into()), None("3 seeds, 5 needed".into()));
    assert_eq!(of(&[Supported, Supported, beside.clone()]), Supported);
    assert_eq!(of(&[Supported, Inconclusive]), Inconclusive);
    assert_eq!(of(&[Supported, none.clone(), Inconclusive]), none);
    assert_eq!(of(&[none, NotSupported, Inconclusive]), NotSupported);
    assert!(matches!(of(&[beside]), None(_)));
}

/// A command that was followed is not asked for again because of mouths: they would be read as they were.
#[test]
fn the_command_that_made_the_results_is_not_asked_for_again_for_its_mouths() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "e", "quick", &two_models(&[1.0; 4], &[0.0; 4]));
    let mouths = condition(Quantity::AsymmetryLost { model: "ours", level: "emotion=disgust" });
    assert!(judged(folder.path(), mouths.clone()).missing_command.is_some());
    let path = ResultsDir::new(folder.path()).experiment("e").manifest();
    let mut manifest = Manifest::read(&path).unwrap();
    manifest.command = "cargo xtask reproduce e --seeds 5".into();
    manifest.write(&path).unwrap();
    let unread = judged(folder.path(), mouths);
    assert!(matches!(unread.verdict, Verdict::None(_)) && unread.missing_command.is_none(), "{unread:?}");
    // What was stopped goes on, and what code of another day did not measure may be measured now.
    for quantity in [difference(PSNR, Whose::Named("alone")), difference("ssim", Whose::Named("alone"))] {
        let found = judged(folder.path(), condition(quantity));
        assert_eq!(found.missing_command.as_deref(), Some("cargo xtask reproduce e --seeds 5"));
    }
}

#[test]
fn what_is_missing_is_named_with_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let rows = two_models(&[1.0; 5], &[0.0; 5]);
    let alone = condition(difference(PSNR, Whose::Named("alone")));
    let none = judged(folder.path(), alone.clone());
    assert_eq!(none.verdict, Verdict::None("no results of e".into()));
    assert_eq!(none.missing_command.as_deref(), Some("cargo xtask reproduce e --seeds 5"));
    // Another profile is not taken for the quick one.
    write(folder.path(), "e-paper", "paper", &rows);
    let paper = judged(folder.path(), alone.clone());
    assert_eq!(paper.verdict, Verdict::None("no results of e in the profile quick, only in paper".into()));
    write(folder.path(), "e", "paper", &rows);
    assert!(matches!(judged(folder.path(), alone.clone()).verdict, Verdict::None(reason) if reason.contains("paper")));
    write(folder.path(), "e", "quick", &rows);
    assert_eq!(judged(folder.path(), alone.clone()).verdict, Verdict::Supported);
    let ssim = judged(folder.path(), condition(difference("ssim", Whose::Named("alone"))));
    assert_eq!(ssim.verdict, Verdict::None("no \"SSIM\" of ours in held-out".into()));
    let model = judged(folder.path(), condition(difference(PSNR, Whose::Named("nobody"))));
    assert_eq!(model.verdict, Verdict::None("nothing of nobody in held-out".into()));
    assert!(matches!(
        judged(folder.path(), condition(difference(PSNR, Whose::BestBaseline))).verdict,
        Verdict::None(_)
    ));
    // What stands beside and is missing keeps no verdict back.
    let beside = Condition { standing: Standing::Beside("b"), ..condition(difference("ssim", Whose::Named("alone"))) };
    let case = Case { subject: Subject::DrawnFaces, arm: "ours", conditions: vec![alone.clone(), beside] };
    let both = verdict::judge(&case, &mut Evidence::new(&ResultsDir::new(folder.path()))).unwrap();
    assert_eq!(both.verdict, Verdict::Supported);
    assert_eq!(both.findings[1].verdict, Verdict::Beside("no \"SSIM\" of ours in held-out".into()));
    // A broken table is an error, and nothing is written.
    std::fs::write(folder.path().join("e/metrics.csv"), b"a,b\n").unwrap();
    let case = Case { subject: Subject::DrawnFaces, arm: "ours", conditions: vec![alone] };
    assert!(verdict::judge(&case, &mut Evidence::new(&ResultsDir::new(folder.path()))).is_err());
}

#[test]
fn the_best_baseline_is_best_over_all_sets_together_and_an_image_counts_once() {
    let mut rows = Rows::new();
    for seed in 0..5 {
        let seed = Some(seed);
        let mut image = |model, set, image: &str, value| rows.push((model, seed, set, image.to_owned(), PSNR, value));
        // Ours: (30 + 20) / 2 = 25, the image of both sets counted once. Black (10 + 18) / 2 = 14, grey (16 + 16) / 2 = 16.
        for (model, first, second) in
            [("ours", 30.0, 20.0), ("baseline: black", 10.0, 18.0), ("baseline: grey", 16.0, 16.0)]
        {
            image(model, "one", "person=1 emotion=happy", first);
            image(model, "two", "person=1 emotion=happy", first);
            image(model, "two", "person=2 emotion=happy", second);
        }
    }
    let both = Condition { sets: &["one", "two"], ..condition(difference(PSNR, Whose::BestBaseline)) };
    let found = finding(both, &rows);
    assert_eq!((found.estimate.unwrap().mean, found.verdict), (9.0, Verdict::Supported));
    assert_eq!(found.what, "PSNR, dB: ours − best baseline (grey)");
    assert_eq!(found.sample, "2 images");
}

#[test]
fn a_sample_that_is_too_small_has_no_verdict() {
    let mut rows = Rows::new();
    for seed in 0..5_u64 {
        // Two persons happy in two transforms each; one sad, under seed 3 two.
        for (person, emotion) in [(1, "happy"), (2, "happy"), (3, "sad"), (4, "sad")] {
            for transform in ["identity", "mirror-x"] {
                if person < 4 || seed == 3 {
                    let combination = format!("person={person} emotion={emotion} transform={transform}");
                    rows.push(("ours", Some(seed), "held-out", combination, "judge_person", 0.9));
                }
            }
        }
    }
    let at_least = |null, needs| Condition {
        side: Side::AtLeast,
        null,
        needs: Some(Needs { at_least: needs, per: Some("emotion") }),
        ..condition(Quantity::Mean(measure(Whose::Named("ours"), "judge_person")))
    };
    let found = finding(at_least(0.8, 1), &rows);
    assert_eq!(found.verdict, Verdict::Supported);
    assert_eq!(found.sample, "6 images, of 3 persons, at least 1 with emotion=sad");
    let found = finding(at_least(0.8, 2), &rows);
    assert_eq!(found.verdict, Verdict::None("1 person with emotion=sad under seed 0, 2 needed".into()));
    assert_eq!(finding(at_least(0.95, 1), &rows).verdict, Verdict::NotSupported);
    // Without the level that is asked for, persons are counted over all.
    let all = Condition { needs: Some(Needs { at_least: 4, per: None }), ..at_least(0.8, 1) };
    assert_eq!(finding(all, &rows).verdict, Verdict::None("3 persons under seed 0, 4 needed".into()));
}

#[test]
fn an_accuracy_that_nothing_can_surpass_decides_nothing() {
    let mut rows = Rows::new();
    for seed in 0..5 {
        for (model, value) in [("ours", 1.0), ("alone", 1.0), (TRUTH, 0.75)] {
            rows.push((model, Some(seed), "held-out", "person=1".to_owned(), "judge_colour", value));
        }
    }
    let against = condition(difference("judge_colour", Whose::Named("alone")));
    assert!(matches!(finding(against.clone(), &rows).verdict, Verdict::Beside(_)));
    // What cannot rise can fall: 0.9 − 1.0 = −0.1 under every seed, so the whole interval lies below 0.
    let fallen: Rows = rows
        .iter()
        .cloned()
        .map(|mut row| {
            if row.0 == "ours" {
                row.5 = 0.9;
            }
            row
        })
        .collect();
    assert_eq!(finding(against.clone(), &fallen).verdict, Verdict::NotSupported);
    // As many read wrong by both under every seed: nothing is told, though the interval 0 to 0 lies at the null.
    let tied: Rows = rows.iter().cloned().map(|row| (row.0, row.1, row.2, row.3, row.4, row.5.min(0.9))).collect();
    assert!(matches!(finding(against.clone(), &tied).verdict, Verdict::Beside(reason) if reason.contains("as many")));
    // One image of one seed that is read wrong, and it can be surpassed.
    rows[1].5 = 0.0;
    assert_eq!(finding(against, &rows).verdict, Verdict::Inconclusive);
    // What the judge reads in the truth stands beside what it must read.
    let must = Condition {
        null: 0.8,
        side: Side::AtLeast,
        ..condition(Quantity::Mean(measure(Whose::Named("ours"), "judge_colour")))
    };
    let note = finding(must, &rows).note.unwrap();
    assert!(note.contains("0.750 right, so that no generator"), "{note}");
}

/// The judge reads 0.75 of the truth where 0.9 is asked for: 0.70 of generated images are within 0.1 of that, 0.60 are not.
#[test]
fn a_judge_that_cannot_read_the_truth_decides_against_no_one_who_is_read_as_well() {
    let of = |share: f64| {
        let mut rows = Rows::new();
        for seed in 0..5 {
            for (model, value) in [("ours", share), (TRUTH, 0.75)] {
                rows.push((model, Some(seed), "held-out", "person=1".to_owned(), "judge_colour", value));
            }
        }
        let must = Condition {
            null: 0.9,
            side: Side::AtLeast,
            ..condition(Quantity::Mean(measure(Whose::Named("ours"), "judge_colour")))
        };
        finding(must, &rows).verdict
    };
    assert_eq!([0.95, 0.70, 0.60].map(of), [Verdict::Supported, Verdict::Inconclusive, Verdict::NotSupported]);
}

#[test]
fn mouths_are_compared_image_by_image_where_they_could_be_read() {
    let (surprise, disgust) = ("person=1 emotion=surprise", "person=1 emotion=disgust");
    let mut rows = Rows::new();
    for seed in 0..5 {
        let mut image = |model, image: &str, metric, value| {
            rows.push((model, Some(seed), "held-out", image.to_owned(), metric, value));
        };
        // Own 0.10, mean 0.04, generated 0.05: |0.05 − 0.10| − |0.05 − 0.04| = 0.04. The second image was not read.
        for (model, value) in [(TRUTH, 0.10), (MEAN_PERSON, 0.04), ("ours", 0.05)] {
            image(model, surprise, MOUTH_OPENING, value);
        }
        image(TRUTH, "person=2 emotion=surprise", MOUTH_OPENING, 0.9);
        image(MEAN_PERSON, "person=2 emotion=surprise", MOUTH_OPENING, 0.0);
        image("ours", surprise, MOUTH_READ, 1.0);
        image("ours", "person=2 emotion=surprise", MOUTH_READ, 0.0);
        // A mouth that is raised on the left: own −0.03, generated −0.01: 0.03 − 0.01 = 0.02 lost.
        image(TRUTH, disgust, MOUTH_ASYMMETRY, -0.03);
        image("ours", disgust, MOUTH_ASYMMETRY, -0.01);
        image("ours", disgust, MOUTH_READ, 1.0);
    }
    let nearer = finding(condition(Quantity::NearerMeanMouth { model: "ours", level: "emotion=surprise" }), &rows);
    assert!((nearer.estimate.unwrap().mean - 0.04).abs() < 1e-12);
    assert_eq!(nearer.sample, "1 image of 2 whose mouth could be read");
    let lost = finding(condition(Quantity::AsymmetryLost { model: "ours", level: "emotion=disgust" }), &rows);
    assert!((lost.estimate.unwrap().mean - 0.02).abs() < 1e-12);
    assert_eq!(lost.verdict, Verdict::Supported);
}

#[test]
fn the_pages_name_every_claim_its_verdicts_and_its_commands() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = Rows::new();
    for seed in 0..5 {
        for model in ["digits-v2", "operator-affine"] {
            let mut image = |metric, value| {
                rows.push((model, Some(seed), "result-3", "digit=7".to_owned(), metric, value));
            };
            image(PSNR, if model == "digits-v2" { 20.0 } else { 50.0 });
            image("mean_digit_psnr_db", 25.0);
        }
    }
    write(folder.path(), "digits-result-3", "quick", &rows);
    write(folder.path(), "kdef-held-out-pairs-photographs", "quick", &two_models(&[1.0], &[0.0]));
    let written = write_claims(folder.path()).unwrap();
    assert_eq!(written.len(), 3, "{written:?}");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (markdown, html) = (read("claims.md"), read("claims.html"));
    for number in ["1", "2", "3", "4", "5", "6", "6b", "7", "8", "9", "10"] {
        assert!(markdown.contains(&format!("\n## {number}. ")) && html.contains(&format!("id=\"claim-{number}\"")));
    }
    // digits-v2: nearer the mean, 25 − 20 > 0; the operator is not, which decides against it although the other half of the
    // claim lacks its experiment.
    let line = "digits: digits-v2 no verdict: no results of digits-styled; operator-affine not supported.";
    assert!(markdown.contains(line), "{markdown}");
    assert!(markdown.contains("| digits-v2 | PSNR to the mean of the same digit, dB − PSNR, dB | [digits-result-3](digits-result-3/summary.md) | result-3: 1 image | 0–4 | 5.00 | 5.00 to 5.00 | > 0 | supported |"));
    assert!(
        html.contains("<span class=\"yes\">supported</span>") && html.contains("href=\"digits-result-3/summary.md\"")
    );
    assert!(markdown.contains("- `cargo xtask reproduce digits-styled --seeds 5` (no results of digits-styled)"));
    assert!(markdown.contains("- digits-result-3: `cargo xtask reproduce digits-result-3 <made>`"));
    assert!(html.contains("digits-result-3 &lt;made&gt;") && !html.contains("<made>"));
    assert!(markdown.contains("### On photographs") && html.contains("--kdef datasets/kdef/prepared"));
    assert!(read("index.html").contains("href=\"claims.html\""));
    assert!(!html.contains("<script") && !html.contains("http://") && !html.contains("https://"));
}

#[test]
fn every_test_that_a_claim_names_is_there() {
    fn read(dir: &Path, sources: &mut String) {
        for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                read(&entry, sources);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&std::fs::read_to_string(&entry).unwrap());
            }
        }
    }
    let mut sources = String::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut sources);
    let claims = catalogue::claims();
    let named: Vec<&str> = claims.iter().flat_map(|claim| claim.checks).map(|check| check.test).collect();
    assert!(named.len() > 4);
    for test in named {
        assert!(
            sources.contains(&format!("#[test]\nfn {test}(")) || sources.contains(&format!("#[test]\n    fn {test}(")),
            "{test}"
        );
    }
}
