//! Reports from a results folder with made-up but plausible figures: every file appears, broken folders are skipped, and
//! earlier reports survive broken input.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use multigen_analysis::{write_experiment, write_report};
use multigen_measure::{
    Commit, EvaluationRow, HistoryRow, JudgeRecord, MOUTH_ASYMMETRY, MOUTH_OPENING, MOUTH_READ, Machine, Manifest,
    MetricRow, ModelRecord, ResultsDir, SHARPNESS, Samples, Sheet, SheetCell, psnr, read_rows, write_rows,
    write_samples, write_sheets,
};
use ndarray::{Array4, Axis};

const MODELS: [(&str, f64); 2] = [("operator-affine", 0.004), ("digits-v2", 0.12)];
const COLOURS: [&str; 3] = ["red", "green", "blue"];
const TRANSFORMS: [&str; 3] = ["identity", "rotate-90", "mirror-x"];

/// A thick stroke in the shape of a 7 in one channel, with a ripple of the given height that differs by seed.
fn images(n: usize, ripple: f64, seed: u64) -> Array4<f32> {
    Array4::from_shape_fn((n, 3, 28, 28), |(i, c, y, x)| {
        let (x_of_stroke, bar) = (22.0 - 0.55 * (y as f64 - 6.0), (6..9).contains(&y) && (6..23).contains(&x));
        let stroke = bar || ((8..24).contains(&y) && (x as f64 - x_of_stroke + (i % 4) as f64).abs() < 1.6);
        let wave = ((x * 3 + y * 5 + i * 7) as f64 * 0.37 + seed as f64).sin();
        let value = if stroke && c == i % 3 { 1.0 } else { 0.0 };
        (value + ripple * wave) as f32
    })
}

fn label(i: usize) -> String {
    format!("digit=7 style={} colour={} transform={}", i % 10, COLOURS[i % 3], TRANSFORMS[i / 3 % 3])
}

fn metric(model: &str, seed: Option<u64>, set: &str, i: usize, metric: &str, value: f64) -> MetricRow {
    MetricRow {
        experiment: "digits-result-3".into(),
        model: model.into(),
        seed,
        set: set.into(),
        combination: label(i),
        metric: metric.into(),
        value,
    }
}

/// Writes a whole experiment folder as training would.
fn write_fixture(root: &Path, experiment: &str, seeds: &[u64]) {
    let dir = ResultsDir::new(root).experiment(experiment);
    dir.create().unwrap();
    let (mut metrics, mut history, mut evaluations) = (Vec::new(), Vec::new(), Vec::new());
    for (model, ripple) in MODELS {
        for &seed in seeds {
            let mut samples = Vec::new();
            for (set, n) in [("train", 12), ("result-3", 3)] {
                let (truth, generated) = (images(n, 0.0, 0), images(n, ripple, seed));
                for i in 0..n {
                    let db = psnr(generated.index_axis(Axis(0), i), truth.index_axis(Axis(0), i)).unwrap();
                    metrics.push(metric(model, Some(seed), set, i, "psnr_db", db));
                    metrics.push(metric(model, Some(seed), set, i, "ssim", 1.0 - ripple));
                    metrics.push(metric(model, Some(seed), set, i, "mse", 10_f64.powf(-db / 10.0)));
                    let read = if ripple > 0.1 && i == 1 { 0.0 } else { 1.0 };
                    metrics.push(metric(model, Some(seed), set, i, "judge_digit", read));
                }
                let labels: Vec<String> = (0..n).map(label).collect();
                samples.push(Samples {
                    set: set.into(),
                    nearest: images(n, 0.0, 1),
                    nearest_labels: labels.clone(),
                    labels,
                    truth,
                    generated,
                });
            }
            write_samples(&dir.samples(model, seed), &samples).unwrap();
            for step in 1..=600_u64 {
                let decay = (-(step as f64) / 120.0).exp();
                let noise = 1.0 + 0.4 * ((step * 37 + seed * 11) as f64).sin();
                let loss = (60.0 * decay + 400.0 * ripple) * noise;
                let row = HistoryRow { model: model.into(), seed, step, loss, learning_rate: 1e-3, images_per_s: 2e3 };
                history.push(row);
                if step % 100 == 0 {
                    for (set, bonus) in [("train", 3.0), ("result-3", 0.0)] {
                        let psnr_db = 15.0 + bonus - 6.0 * (decay + ripple).log10() + seed as f64 * 0.3;
                        evaluations.push(EvaluationRow { model: model.into(), seed, step, set: set.into(), psnr_db });
                    }
                }
            }
        }
    }
    for (baseline, db) in [("black", 15.9), ("nearest training image", 20.8), ("additive model", 18.4)] {
        for set in ["train", "result-3"] {
            metrics.push(metric(&format!("baseline: {baseline}"), None, set, 0, "psnr_db", db));
        }
    }
    metrics.push(metric("truth", None, "result-3", 0, "judge_digit", 1.0));
    write_rows(&dir.metrics(), &metrics).unwrap();
    write_rows(&dir.history(), &history).unwrap();
    write_rows(&dir.evaluations(), &evaluations).unwrap();
    manifest(experiment, seeds).write(&dir.manifest()).unwrap();
}

fn manifest(experiment: &str, seeds: &[u64]) -> Manifest {
    let model = |name: &str, description: &str| ModelRecord {
        name: name.into(),
        n_parameters: 26_512_345,
        description: description.into(),
        steps: 600,
        batch: 64,
        training_seconds: 73.4,
        images_per_s: 2041.7,
        network_note: (name == "operator-affine").then(|| "It is told that transforms are affine.".into()),
        differs_from_paper: vec!["600 steps instead of 10,000.".into()],
    };
    Manifest {
        experiment: experiment.into(),
        title: "A style that was never seen in that transform".into(),
        question: "Is a 7 in style 9, upside down, drawn although no image of style 9 upside down of a 7 was seen?"
            .into(),
        expected: "The concatenating generator draws an average 7; the operator <draws> style 9 & no other.".into(),
        profile: "quick".into(),
        device: "cpu".into(),
        dataset: "digits: 1,796 training images made from 100 images of MNIST.".into(),
        pictured: None,
        models: vec![
            model("operator-affine", "Colour and transform act on a canonical image."),
            model("digits-v2", "One-hot factors are concatenated, as in the research."),
        ],
        seeds: seeds.to_vec(),
        config_hash: "5f4dcc3b5aa765d61d8327deb882cf99".into(),
        run_hashes: BTreeMap::from([("digits-v2-seed0".into(), "9a0364b9e99bb480dd25e1f0284c8555".into())]),
        commit: Some(Commit { hash: "0123456789abcdef".into(), dirty: true }),
        run_commits: BTreeMap::from([(
            "digits-v2-seed0".into(),
            vec![Commit { hash: "aaaa".into(), dirty: false }, Commit { hash: "bbbb".into(), dirty: false }],
        )]),
        command: "cargo xtask reproduce result-3 --seeds 3".into(),
        started: "2026-01-31T08:05:09Z".into(),
        duration_s: 512.0,
        machine: Machine { cpu: "Some CPU".into(), cores: 2, threads: 2, os: "Some Linux".into() },
        judge: Some(JudgeRecord {
            description: "A small convolutional network, trained on real images.".into(),
            n_images: 18_000,
            accuracy: BTreeMap::from([("digit".into(), 0.987), ("colour".into(), 1.0), ("transform".into(), 0.993)]),
            commit: None,
        }),
        notes: vec!["The research's published picture of this case measures 18.4 to 19.5 dB.".into()],
    }
}

/// Adds the sheets of one run and figures of mouths to an experiment folder.
fn add_sheets_and_mouths(root: &Path, experiment: &str, model: &str, seed: u64) {
    let dir = ResultsDir::new(root).experiment(experiment);
    let labels = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    let pairs = |slug, title| {
        let rows = labels(["truth\nperson 37, surprise", "generated"]);
        let mut sheet = Sheet::new(slug, title, rows, labels(["identity", "rotate-90"]), images(4, 0.02, seed));
        sheet.cells[2] = SheetCell { caption: Some("24.1 dB".into()), framed: true, absent: false };
        sheet
    };
    let sheets = [pairs("pairs", "Pairs <never> seen"), pairs("between", "Between two persons")];
    write_sheets(&dir.sheets(model, seed), &sheets).unwrap();
    let mut rows: Vec<MetricRow> = read_rows(&dir.metrics()).unwrap();
    for (emotion, name) in [("surprise", MOUTH_OPENING), ("disgust", MOUTH_ASYMMETRY)] {
        for person in 0..4 {
            let own = 0.04 + 0.01 * f64::from(person);
            for (model, seed, value) in
                [("truth", None, own), (model, Some(seed), 0.03 + 0.5 * own), ("baseline: mean person", None, 0.055)]
            {
                let combination = format!("person={person} emotion={emotion}");
                rows.push(MetricRow { combination, ..metric(model, seed, "result-3", 0, name, value) });
            }
        }
    }
    // One mouth of surprise could be read, one could not.
    for (person, value) in [(0, 1.0), (4, 0.0)] {
        let combination = format!("person={person} emotion=surprise");
        rows.push(MetricRow { combination, ..metric(model, Some(seed), "result-3", 0, MOUTH_READ, value) });
    }
    rows.push(metric(model, Some(seed), "result-3", 0, SHARPNESS, 0.031_24));
    write_rows(&dir.metrics(), &rows).unwrap();
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_file_of_the_layout_is_made() {
    let folder = tempfile::tempdir().unwrap();
    // For a look at what is made: MULTIGEN_REPORT_FIXTURE=folder keeps it there.
    let kept = std::env::var_os("MULTIGEN_REPORT_FIXTURE").map(PathBuf::from);
    let root = kept.as_deref().unwrap_or(folder.path());
    write_fixture(root, "digits-result-3", &[0, 1, 2]);
    write_fixture(root, "digits-single-seed", &[0]);
    let report = write_report(root).unwrap();
    assert!(report.skipped.is_empty());
    let results = ResultsDir::new(root);
    let dir = results.experiment("digits-result-3");
    for path in [dir.grid("operator-affine"), dir.grid("digits-v2"), dir.loss_figure(), dir.psnr_figure()] {
        assert!(image::open(&path).unwrap().width() > 600);
        assert!(report.written.contains(&path));
    }
    let summary = read(dir.summary());
    for expected in [
        "# A style that was never seen in that transform",
        "**Question.** Is a 7",
        "`cargo xtask reproduce result-3 --seeds 3`",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "0123456789abcdef (dirty",
        "aaaa, then bbbb",
        "| seeds | 0, 1, 2 |",
        "8 min 32 s",
        "Some CPU, 2 cores",
        "18,000 images that it was not trained on",
        "digit 0.987",
        "&lt;draws> style 9 & no other",
        "- all models: 600 steps instead of 10,000.",
        "18.4 to 19.5 dB",
        "](grid-operator-affine.png)",
        "](loss.png)",
        "| baseline: black | 15.90 |",
        "operator-affine − best baseline (nearest training image)",
        "digits-v2 − operator-affine",
    ] {
        assert!(summary.contains(expected), "no `{expected}` in\n{summary}");
    }
    assert!(summary.contains(" ± ") && !summary.contains("no interval)"));
    assert!(read(results.experiment("digits-single-seed").summary()).contains("(no interval)"));
    assert!(read(dir.table()).starts_with("set,model,metric,n_images,n_seeds,mean,sd,ci95_low,ci95_high\n"));

    let page = read(results.index());
    for expected in [
        "src=\"digits-result-3/grid-operator-affine.png\"",
        "src=\"digits-single-seed/loss.png\"",
        "&lt;draws&gt; style 9 &amp; no other",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(expected), "no `{expected}`");
    }
    assert!(!page.contains("http"), "the page must need no network");
    // Every picture that the page shows exists.
    for source in page.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(root.join(source).is_file(), "{source}");
    }
}

#[test]
fn sheets_and_mouths_are_drawn_and_linked_where_there_are_some() {
    let folder = tempfile::tempdir().unwrap();
    let results = ResultsDir::new(folder.path());
    write_fixture(folder.path(), "faces", &[0, 1]);
    write_fixture(folder.path(), "other", &[0]);
    // Seed 0 has no sheets, so those of seed 1 are shown.
    add_sheets_and_mouths(folder.path(), "faces", "operator-affine", 1);
    let report = write_report(folder.path()).unwrap();
    assert!(report.skipped.is_empty());
    let dir = results.experiment("faces");
    let sheets = ["pairs", "between"].map(|slug| dir.sheet_figure("operator-affine", slug));
    for path in sheets.iter().chain([&dir.mouth_figure()]) {
        assert!(image::open(path).unwrap().width() >= 600);
        assert!(report.written.contains(path));
    }
    assert!(!results.experiment("other").mouth_figure().exists());
    let summary = read(dir.summary());
    let places = [
        "](grid-operator-affine.png)",
        "operator-affine, seed 1: Pairs &lt;never> seen\n",
        "](sheet-operator-affine-pairs.png)",
        "operator-affine, seed 1: Between two persons\n",
        "](sheet-operator-affine-between.png)",
        "](mouth.png)",
        "](loss.png)",
    ]
    .map(|expected| summary.find(expected).unwrap_or_else(|| panic!("no `{expected}` in\n{summary}")));
    assert!(places.is_sorted(), "grids, sheets, mouths, curves");
    for expected in [
        "mouth opening, face heights",
        "mouths that could be read",
        "| 0.500 (no interval) |",
        "it counts as not read",
        "sharpness, 1/pixel",
        "0.0312 (no interval)",
        "| 0.0550 |",
    ] {
        assert!(summary.contains(expected), "no `{expected}` in\n{summary}");
    }
    assert!(!read(results.experiment("other").summary()).contains("counts as not read"));
    let page = read(results.index());
    assert!(
        page.contains("src=\"faces/sheet-operator-affine-pairs.png\"") && page.contains("Pairs &lt;never&gt; seen")
    );
    assert!(page.contains("src=\"faces/mouth.png\"") && !page.contains("src=\"other/mouth.png\""));
    // Another experiment made anew leaves them on the page.
    write_experiment(folder.path(), "other").unwrap();
    assert_eq!(read(results.index()), page);

    std::fs::write(dir.sheets("operator-affine", 1), "nonsense").unwrap();
    let error = write_experiment(folder.path(), "faces").unwrap_err().to_string();
    assert!(error.contains("operator-affine-seed1-sheets.safetensors") && !error.contains('\n'), "{error}");
}

#[test]
fn broken_folders_are_named_and_leave_the_others_and_their_own_reports() {
    let folder = tempfile::tempdir().unwrap();
    let results = ResultsDir::new(folder.path());
    for name in ["a-good", "b-broken-csv", "c-broken-json", "d-broken-samples"] {
        write_fixture(folder.path(), name, &[0]);
    }
    std::fs::create_dir(folder.path().join("e-empty")).unwrap();
    write_report(folder.path()).unwrap();
    let earlier = read(results.experiment("b-broken-csv").summary());

    let csv = read(results.experiment("b-broken-csv").metrics());
    std::fs::write(results.experiment("b-broken-csv").metrics(), csv.replacen(",psnr_db,", ",psnr_db,x", 1)).unwrap();
    let json = read(results.experiment("c-broken-json").manifest());
    std::fs::write(results.experiment("c-broken-json").manifest(), &json[..json.len() / 2]).unwrap();
    let samples = results.experiment("d-broken-samples").samples("digits-v2", 0);
    std::fs::write(&samples, "nonsense").unwrap();

    let report = write_report(folder.path()).unwrap();
    let page = read(results.index());
    let skipped: Vec<&str> = report.skipped.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(skipped, ["b-broken-csv", "c-broken-json", "d-broken-samples", "e-empty"]);
    for ((_, error), file) in
        report.skipped.iter().zip(["metrics.csv", "manifest.json", "digits-v2-seed0", "manifest.json"])
    {
        let line = error.to_string();
        assert!(line.contains(file) && line.contains("run the experiment again") && !line.contains('\n'), "{line}");
    }
    assert_eq!(page.matches("Not shown: ").count(), 4);
    assert!(page.contains("src=\"a-good/loss.png\""));
    assert_eq!(read(results.experiment("b-broken-csv").summary()), earlier);

    // One broken experiment asked for by name is an error and changes nothing.
    assert!(write_experiment(folder.path(), "b-broken-csv").is_err());
    assert_eq!(read(results.index()), page);
    let missing = write_experiment(folder.path(), "nothing").unwrap_err().to_string();
    assert!(missing.contains("nothing: no such experiment"), "{missing}");
}

/// The page says first what every generator and every classifier comes to: 1 of 2 images is read right, 0.5.
#[test]
fn a_glance_tells_generators_from_classifiers() {
    let folder = tempfile::tempdir().unwrap();
    let results = ResultsDir::new(folder.path());
    write_fixture(folder.path(), "generation", &[0]);
    write_fixture(folder.path(), "classification", &[0]);
    let rows = [0, 1].map(|i| metric("digits-v2", Some(0), "unseen", i, "accuracy_emotion", i as f64));
    write_rows(&results.experiment("classification").metrics(), &rows).unwrap();
    write_report(folder.path()).unwrap();
    let page = read(results.index());
    let (generators, classifiers) = page.split_once("<h3>Classifiers</h3>").unwrap();
    let generators = generators.split_once("<h3>Generators</h3>").unwrap().1;
    assert!(generators.contains("#generation") && !generators.contains("#classification"));
    let row = "<a href=\"#classification\">classification</a></td><td class=\"text\">unseen</td><td class=\"text\">digits-v2\
               </td><td class=\"text\">emotion 0.500 (no interval)</td>";
    assert!(classifiers.contains(row), "{}", classifiers.split("</section>").next().unwrap());
}

#[test]
fn one_experiment_renews_the_page_but_not_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let results = ResultsDir::new(folder.path());
    write_fixture(folder.path(), "a", &[0]);
    write_fixture(folder.path(), "b", &[0]);
    write_report(folder.path()).unwrap();
    let page = read(results.index());
    std::fs::write(results.experiment("b").summary(), "by hand").unwrap();
    let written = write_experiment(folder.path(), "a").unwrap();
    assert!(written.contains(&results.index()) && !written.contains(&results.experiment("b").summary()));
    assert_eq!(read(results.experiment("b").summary()), "by hand");
    assert_eq!(read(results.index()), page);
}

#[test]
fn the_same_figure_twice_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write_fixture(folder.path(), "a", &[0]);
    let path = ResultsDir::new(folder.path()).experiment("a").metrics();
    let row = metric("digits-v2", Some(0), "train", 0, "psnr_db", 1.0);
    write_rows(&path, &[row.clone(), row]).unwrap();
    let error = write_experiment(folder.path(), "a").unwrap_err().to_string();
    assert!(error.contains("metrics.csv: `psnr_db` of") && error.contains("stands twice"), "{error}");
}
