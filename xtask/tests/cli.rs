//! The command line as a user meets it: what works, and what is refused in one line that says what to do.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
const EXPERIMENT: &str = "digits-result-3";
/// Its folder in results/ under the cheap profile.
const FOLDER: &str = "digits-result-3-smoke";
/// The cheapest training that goes through everything.
const CHEAP: [&str; 8] =
    ["--profile", "smoke", "--set", "models.default=[\"operator-affine\"]", "--set", "steps=4", "--set", "batch=8"];

fn xtask<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(XTASK).args(arguments).output().unwrap()
}

/// `reproduce digits-result-3` into `results`, cheaply, with more arguments.
fn reproduce_arguments<'a>(results: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["reproduce", EXPERIMENT, "--results", results.to_str().unwrap()];
    arguments.extend(CHEAP);
    arguments.extend(more);
    arguments
}

fn reproduce(results: &Path, more: &[&str]) -> Output {
    xtask(reproduce_arguments(results, more))
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    stderr(output)
}

/// The last line of stderr of a command that refused: its only line beginning with `error:`.
fn refused(output: &Output) -> String {
    let text = stderr(output);
    assert!(!output.status.success(), "it was not refused: {text}");
    let errors = text.lines().filter(|line| line.starts_with("error: ")).count();
    let last = text.lines().last().unwrap_or_default().to_owned();
    assert!(errors == 1 && last.starts_with("error: "), "one line at the end: {text}");
    assert!(!text.contains("panicked"), "{text}");
    last
}

/// As [`refused`], and nothing else was printed: the command was refused before it began.
fn refused_at_once(output: &Output) -> String {
    let line = refused(output);
    assert_eq!(stderr(output).lines().count(), 1, "{}", stderr(output));
    assert!(output.stdout.is_empty());
    line
}

fn says(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "'{part}' is not in: {line}");
    }
}

/// A results folder with one cheap run of the experiment. Tests read it; those that change something copy it.
fn finished() -> &'static Path {
    static FINISHED: OnceLock<PathBuf> = OnceLock::new();
    FINISHED.get_or_init(|| {
        let results = Path::new(env!("CARGO_TARGET_TMPDIR")).join("finished-results");
        std::fs::remove_dir_all(&results).ok();
        let text = succeeded(&reproduce(&results, &[]));
        says(&text, &["judge: reads test images", "operator-affine seed 0: 4 steps", "pictures: ", "report: "]);
        results
    })
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

fn copy_of_finished() -> tempfile::TempDir {
    let own = tempfile::tempdir().unwrap();
    copy(finished(), own.path());
    own
}

/// A results folder with nothing but the judge, whose training takes seconds.
fn only_judge() -> tempfile::TempDir {
    let own = tempfile::tempdir().unwrap();
    let cache = own.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    let judge = judge_file(finished());
    std::fs::copy(&judge, cache.join(judge.file_name().unwrap())).unwrap();
    own
}

fn judge_file(results: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(results.join("cache")).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "safetensors")).unwrap()
}

fn run_folder(results: &Path, seed: u64) -> Option<PathBuf> {
    let entries = std::fs::read_dir(results.join("cache/runs")).ok()?;
    let prefix = format!("operator-affine-seed{seed}-");
    entries.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).map(|entry| entry.path())
}

/// Every file of a results folder but for the cache, with its bytes.
fn snapshot(results: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![results.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path == results.join("cache") {
            } else if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn assert_untouched(before: &BTreeMap<PathBuf, Vec<u8>>, results: &Path) {
    let after = snapshot(results);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (path, bytes) in before {
        assert!(after[path] == *bytes, "{} changed", path.display());
    }
    assert!(!results.join(format!(".{FOLDER}.new")).exists());
}

#[test]
fn an_experiment_is_reproduced_and_its_run_reused() {
    let own = copy_of_finished();
    let dir = own.path().join(FOLDER);
    for name in
        ["metrics.csv", "history.csv", "evaluations.csv", "manifest.json", "config.toml", "summary.md", "table.csv"]
    {
        assert!(std::fs::metadata(dir.join(name)).is_ok_and(|file| file.len() > 100), "{name}");
    }
    for name in ["grid-operator-affine.png", "loss.png", "psnr.png"] {
        assert!(std::fs::read(dir.join(name)).unwrap().starts_with(b"\x89PNG"), "{name}");
    }
    let page = std::fs::read_to_string(own.path().join("index.html")).unwrap();
    says(&page, &[EXPERIMENT, "grid-operator-affine.png", "operator-affine"]);
    let metrics = std::fs::read_to_string(dir.join("metrics.csv")).unwrap();
    assert!(metrics.starts_with("experiment,model,seed,set,combination,metric,value\n"));
    for metric in ["psnr_db", "ssim", "mse", "judge_digit", "judge_colour", "judge_transform", "mean_digit_psnr_db"] {
        let row =
            format!("{EXPERIMENT},operator-affine,0,result-3,digit=7 style=9 colour=red transform=mirror-x,{metric},");
        says(&metrics, &[&row]);
    }
    says(&metrics, &["baseline: ", ",truth,"]);
    assert_eq!(std::fs::read_to_string(dir.join("history.csv")).unwrap().lines().count(), 1 + 4);

    let text = succeeded(&reproduce(own.path(), &[]));
    says(&text, &["operator-affine seed 0: already trained (4 steps)"]);
    assert!(std::fs::read_to_string(dir.join("metrics.csv")).unwrap() == metrics);

    // Trained anew, the same configuration gives the same figures.
    let text = succeeded(&reproduce(own.path(), &["--fresh"]));
    assert!(!text.contains("already trained"), "{text}");
    assert!(std::fs::read_to_string(dir.join("metrics.csv")).unwrap() == metrics);
}

#[test]
fn list_show_and_report_print() {
    let list = xtask(["list"]);
    succeeded(&list);
    let text = String::from_utf8(list.stdout).unwrap();
    for name in ["digits-result-1", "digits-result-2", EXPERIMENT, "digits-holdout-30", "digits-holdout-70"] {
        assert!(text.lines().any(|line| line.starts_with(name) && line.ends_with('?')), "{name}: {text}");
    }
    assert!(!text.lines().any(|line| line.starts_with("digits ")), "the parent is not run: {text}");

    let show = xtask(["show", "digits-result-3", "--set", "digits-v2.steps=77"]);
    succeeded(&show);
    let text = String::from_utf8(show.stdout).unwrap();
    says(
        &text,
        &[
            "# digits-result-3, resolved",
            "steps = 77",
            "its parent 'digits'",
            "evaluate.sets: [\"train\"] → [\"result-3\"]",
        ],
    );
    // What is printed is TOML, comments and all.
    assert!(text.parse::<toml::Table>().is_ok_and(|table| table["evaluate"]["sets"][0].as_str() == Some("result-3")));

    let own = copy_of_finished();
    let results = own.path().to_str().unwrap();
    let grid = own.path().join(FOLDER).join("grid-operator-affine.png");
    let before = std::fs::read(&grid).unwrap();
    std::fs::remove_file(&grid).unwrap();
    std::fs::remove_file(own.path().join("index.html")).unwrap();
    let broken = own.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("manifest.json"), "{").unwrap();
    let report = xtask(["report", "--results", results]);
    let text = succeeded(&report);
    says(&text, &["left out of the report: broken: ", "manifest.json"]);
    assert_eq!(text.lines().count(), 1, "{text}");
    says(&String::from_utf8(report.stdout).unwrap(), &["report: ", "index.html"]);
    assert!(std::fs::read(&grid).unwrap() == before);
    says(&std::fs::read_to_string(own.path().join("index.html")).unwrap(), &[EXPERIMENT, "broken"]);
}

#[test]
fn claims_are_judged_by_what_is_there_and_broken_results_are_named() {
    let own = copy_of_finished();
    let claims = |results: &Path| xtask(["claims", "--results", results.to_str().unwrap()]);
    succeeded(&claims(own.path()));
    let page = fs::read_to_string(own.path().join("claims.md")).unwrap();
    // A smoke test is no evidence.
    says(&page, &["no results of digits-result-3 in the profile quick, only in smoke", "without a verdict yet"]);
    says(&page, &["`cargo xtask reproduce digits-result-3 --seeds 5`"]);
    says(&fs::read_to_string(own.path().join("index.html")).unwrap(), &["claims.html"]);
    fs::rename(own.path().join(FOLDER), own.path().join("digits-result-1")).unwrap();
    fs::write(own.path().join("digits-result-1/manifest.json"), "{").unwrap();
    fs::remove_file(own.path().join("claims.md")).unwrap();
    says(&refused_at_once(&claims(own.path())), &["digits-result-1/manifest.json", "run the experiment again"]);
    assert!(!own.path().join("claims.md").exists());
}

#[test]
fn a_dry_run_says_what_would_be_trained_and_trains_nothing() {
    let own = tempfile::tempdir().unwrap();
    let results = own.path().join("results");
    let text = succeeded(&reproduce(&results, &["--dry-run", "--seeds", "2"]));
    let runs = ["operator-affine seed 0: 4 steps of 8, about", "operator-affine seed 1: 4 steps of 8"];
    says(&text, &[&["judge: 40 steps of 64, about"], &runs[..], &["in all about"]].concat());
    // A classifier that two arms share is counted once.
    let cooperative = ["reproduce", "digits-cooperative", "--profile", "smoke", "--dry-run", "--results"];
    let text = succeeded(&xtask([&cooperative[..], &[results.to_str().unwrap()]].concat()));
    let pretraining = |arm: &str| format!("digits-v2+{arm} seed 0, its classifier: 10 steps of 16, ");
    says(&text, &[&(pretraining("fixed") + "about"), &(pretraining("flexible") + "shares a run above")]);
    let text = succeeded(&reproduce(&results, &["--dry-run", "--seeds", "2", "--first-seed", "5"]));
    says(&text, &["operator-affine seed 5: 4", "operator-affine seed 6: 4"]);
    assert!(!text.contains("seed 0") && !text.contains("seed 7"), "{text}");
    assert!(!results.exists());
    let text = succeeded(&reproduce(finished(), &["--dry-run"]));
    says(&text, &["judge: 40 steps of 64, trained already", "4 steps of 8, trained already", "in all about 0 s"]);
}

#[test]
fn an_ablation_says_what_its_arms_differ_in_and_reports_the_difference() {
    let results = only_judge();
    let path = results.path().to_str().unwrap();
    let cheap = ["--profile", "smoke", "--set", "steps=4", "--set", "batch=8", "--seeds", "2", "--results", path];
    let run = |flags: &[&str]| xtask([&["ablate"], flags, &cheap].concat());
    let said = succeeded(&run(&["--no-segmentation", "--no-cooperative"]));
    says(
        &said,
        &["the arms differ in:", "training.mask_weight: 1.0 → 0.0", "network.concatenating.mask_head: true → false"],
    );
    let folder = results.path().join("ablation-no-cooperative-no-segmentation-smoke");
    let summary = fs::read_to_string(folder.join("summary.md")).unwrap();
    says(
        &summary,
        &[
            "digits-v2-mask+full − digits-v2+no-cooperative-no-segmentation",
            "training.mask_weight: 1.0 → 0.0",
            "differences.png",
        ],
    );
    assert!(folder.join("differences.png").exists() && folder.join("diagnostics.png").exists());
    let says_refused = |flags: &[&str], parts: &[&str]| says(&refused(&run(flags)), parts);
    says_refused(&[], &["nothing is left out", "--no-cooperative"]);
    says_refused(&["--on", "faces", "--no-segmentation"], &["has no mask head"]);
    says_refused(&["--no-cooperative", "--no-pretraining"], &["leaves out the whole classifier"]);
}

#[test]
fn an_image_is_generated_and_impossible_levels_are_refused() {
    let own = tempfile::tempdir().unwrap();
    let picture = own.path().join("seven.png");
    let generate = |change: &[(&str, &str)], results: &Path| {
        let mut options = BTreeMap::from([
            ("--digit", "7"),
            ("--style", "9"),
            ("--colour", "red"),
            ("--transform", "mirror-x"),
            ("--out", picture.to_str().unwrap()),
            ("--results", results.to_str().unwrap()),
        ]);
        options.extend(change.iter().copied());
        xtask(std::iter::once("generate").chain(options.into_iter().flat_map(|(name, value)| [name, value])))
    };
    for (change, levels) in [
        (("--digit", "12"), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (("--style", "10"), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (("--colour", "yellow"), "red, green, blue"),
        (("--transform", "mirror"), "identity, rotate-90, rotate-180, rotate-270, mirror-x, mirror-y"),
    ] {
        says(&refused_at_once(&generate(&[change], finished())), &[&change.0[2..], change.1, levels]);
        assert!(!picture.exists());
    }
    says(
        &refused_at_once(&generate(&[("--model", "digits-v2")], finished())),
        &["no trained digits-v2 model", "cargo xtask reproduce"],
    );
    says(
        &refused_at_once(&generate(&[], own.path())),
        &["no trained model of the factors digit, style, colour, transform", "cargo xtask reproduce"],
    );
    let nowhere = own.path().join("missing/seven.png");
    says(
        &refused_at_once(&generate(&[("--out", nowhere.to_str().unwrap())], finished())),
        &[nowhere.to_str().unwrap()],
    );

    for (scale, size) in [("1", 28_u32), ("3", 84)] {
        succeeded(&generate(&[("--scale", scale)], finished()));
        let bytes = std::fs::read(&picture).unwrap();
        // A PNG's width and height are the two big-endian numbers after its signature, length and chunk name.
        assert_eq!(bytes[16..24], [size.to_be_bytes(), size.to_be_bytes()].concat());
    }

    let drawn = |digit: &str| {
        succeeded(&generate(&[("--digit", digit)], finished()));
        std::fs::read(&picture).unwrap()
    };
    let (seven, nine, half) = (drawn("7"), drawn("9"), drawn("7:0.5,9:0.5"));
    assert!(half != seven && half != nine);
    assert_eq!((drawn("7:1"), drawn("7:0,9:1")), (seven, nine));
    for (digit, parts) in [
        ("7:0.5,9:0.6", ["`digit=7:0.5,9:0.6`", "add up to 1.1; expected 1"]),
        ("7:0.5,9", ["gives `9` no weight", "LEVEL:WEIGHT"]),
        ("7:0.5,12:0.5", ["no level `12`", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"]),
        ("7:-1,9:2", ["the weight `-1`", "expected a number from 0 to 1"]),
    ] {
        says(&refused_at_once(&generate(&[("--digit", digit)], finished())), &parts);
    }

    let broken = copy_of_finished();
    let weights = run_folder(broken.path(), 0).unwrap().join("weights.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    says(&refused_at_once(&generate(&[], broken.path())), &[weights.to_str().unwrap(), "not a whole weights file"]);
}

#[test]
fn an_unknown_experiment_is_refused_with_the_nearest_name() {
    says(
        &refused_at_once(&xtask(["reproduce", "digits-reslt-3"])),
        &["digits-reslt-3", "did you mean 'digits-result-3'?"],
    );
    says(&refused_at_once(&xtask(["show", "holdout30"])), &["did you mean 'digits-holdout-30'?"]);
    says(
        &refused_at_once(&xtask(["reproduce", "unheard-of"])),
        &["no experiment named 'unheard-of'", "cargo xtask list"],
    );
}

#[test]
fn flags_with_impossible_values_are_refused() {
    let own = tempfile::tempdir().unwrap();
    let results = own.path().join("results");
    for (more, parts) in [
        (&["--set", "nonsense=1"][..], &["--set nonsense=1", "no key 'nonsense'", "learning_rate"][..]),
        (&["--set", "operator-affine.nonsense=1"], &["no solver field 'nonsense'", "learning_rate"]),
        (&["--set", "steps"], &["--set steps", "expected key=value"]),
        (&["--set", "steps=0"], &["steps = 0", "at least 1"]),
        (&["--set", "steps=-3"], &["operator-affine", "-3"]),
        (&["--set", "steps=many"], &["operator-affine", "many"]),
        (&["--set", "learning_rate=nan"], &["learning_rate = NaN", "positive"]),
        (&["--set", "digits-v1.steps=3"], &["'digits-v1' takes no part", "operator-affine"]),
        (&["--set", "models.default=[]"], &["models.default is empty"]),
        (&["--set", "models.default=[\"digits-v9\"]"], &["digits-v9", "digits-v2"]),
        (&["--set", "evaluate.sets=[\"faces\"]"], &["evaluate.sets", "faces", "result-3"]),
        (&["--set", "data.set.digits.transforms=7"], &["transforms", "7"]),
        (&["--set", "models.default=[\"kdef-small\"]"], &["kdef-small", "no branch for the factor digit"]),
        (&["--profile", "nope"], &["--profile", "nope", "paper, quick, smoke"]),
        (&["--device", "gpu"], &["device gpu", "expected cpu, cuda or cuda:N"]),
        (&["--device", "cuda:x"], &["device cuda:x", "cuda:0"]),
        #[cfg(not(feature = "cuda"))]
        (&["--device", "cuda"], &["device cuda", "built without CUDA", "--device cpu"]),
    ] {
        let mut arguments = vec!["reproduce", EXPERIMENT, "--results", results.to_str().unwrap()];
        // A flag that takes one value cannot be given twice.
        arguments.extend(if more[0] == "--profile" { &CHEAP[2..] } else { &CHEAP[..] });
        arguments.extend(more);
        let output = xtask(&arguments);
        // What only the data can refuse comes after the results folder was looked at, but before anything is trained.
        says(&refused(&output), parts);
        assert!(!results.join("cache/runs").exists());
    }
    says(&refused_at_once(&xtask(["data", "fetch", "faces"])), &["faces", "expected mnist"]);
    #[cfg(not(feature = "hub"))]
    says(
        &refused_at_once(&xtask(["data", "fetch", "mnist"])),
        &["without the hub", "cargo xtask-hub data fetch mnist"],
    );
}

#[test]
fn an_unknown_key_in_an_experiment_file_is_refused_with_file_and_key() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments");
    let (child, parent) = (format!("{EXPERIMENT}.toml"), "digits.toml".to_owned());
    for (file, addition, parts) in [
        (&child, "\n[evaluate.extra]\nx = 1\n", &["extra", "show_at_most"][..]),
        (&child, "\n[colour]\n", &["colour", "evaluate"]),
        (&child, "\n[training]\nstepz = 5\n", &["training", "stepz", "steps"]),
        (&parent, "\n[profiles.smoke.extra]\n", &["extra"]),
        (&parent, "\n[profiles.quick.models.digits-wide2]\nsteps = 5\n", &["digits-wide2", "digits-wide"]),
        // Of a model that takes no part in this command.
        (
            &parent,
            "\n[profiles.smoke.models.digits-wide]\nlerning_rate = 5\n",
            &["digits-wide", "lerning_rate", "learning_rate"],
        ),
        (&child, "\n[[data.held_out]]\nname = \"x\"\nwhere = { digit = 1 }\nunless = 3\n", &["unless"]),
        (&child, "\nthis is no TOML\n", &["is not TOML"]),
    ] {
        let own = tempfile::tempdir().unwrap();
        copy(&shipped, own.path());
        let path = own.path().join(file);
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(addition.as_bytes()).unwrap();
        let results = own.path().join("results");
        let output = reproduce(&results, &["--experiments", own.path().to_str().unwrap()]);
        let line = refused_at_once(&output);
        says(&line, &[path.to_str().unwrap()]);
        says(&line, parts);
        assert!(!results.exists());
    }
    let own = tempfile::tempdir().unwrap();
    std::fs::write(own.path().join("orphan.toml"), "parent = \"gone\"\n").unwrap();
    let line = refused_at_once(&xtask(["show", "orphan", "--experiments", own.path().to_str().unwrap()]));
    says(&line, &["gone.toml", "cannot be read"]);
}

#[test]
fn broken_mnist_files_are_refused_and_named() {
    let own = copy_of_finished();
    let before = snapshot(own.path());
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/mnist");
    let images = std::fs::read(shipped.join("train-images-idx3-ubyte.gz")).unwrap();
    let labels = std::fs::read(shipped.join("train-labels-idx1-ubyte.gz")).unwrap();
    let mut three = vec![0, 0, 8, 3];
    [3_u32, 28, 28].iter().for_each(|n| three.extend(n.to_be_bytes()));
    let truncated: Vec<u8> = three.iter().copied().chain([0; 1000]).collect();
    three.extend([0; 3 * 784]);
    for (images_name, images, labels, parts) in [
        (
            "train-images-idx3-ubyte.gz",
            &images[..images.len() / 2],
            &labels[..],
            &["train-images-idx3-ubyte.gz", "a whole gzip file"][..],
        ),
        ("train-images-idx3-ubyte", &truncated, &labels, &["train-images-idx3-ubyte:", "cut off"]),
        (
            "train-images-idx3-ubyte",
            b"no idx file, but long enough for one",
            &labels,
            &["train-images-idx3-ubyte:", "expected"],
        ),
        ("train-images-idx3-ubyte", b"", &labels, &["train-images-idx3-ubyte:", "expected"]),
        ("train-images-idx3-ubyte.gz", &labels, &labels, &["train-images-idx3-ubyte.gz:", "labels"]),
        ("train-images-idx3-ubyte", &three, &labels, &["train-labels-idx1-ubyte.gz:", "expected 3 labels"]),
        ("train-images-idx3-ubyte", &three, &labels[..100], &["train-labels-idx1-ubyte.gz:", "a whole gzip file"]),
    ] {
        let mnist = tempfile::tempdir().unwrap();
        std::fs::write(mnist.path().join(images_name), images).unwrap();
        std::fs::write(mnist.path().join("train-labels-idx1-ubyte.gz"), labels).unwrap();
        let line = refused_at_once(&reproduce(own.path(), &["--mnist", mnist.path().to_str().unwrap()]));
        says(&line, &[mnist.path().to_str().unwrap(), "leave out the folder"]);
        says(&line, parts);
    }
    let empty = tempfile::tempdir().unwrap();
    for folder in [empty.path().to_path_buf(), empty.path().join("missing")] {
        let line = refused_at_once(&reproduce(own.path(), &["--mnist", folder.to_str().unwrap()]));
        says(&line, &[folder.to_str().unwrap(), "train-images-idx3-ubyte.gz", "found none of them"]);
    }
    assert_untouched(&before, own.path());

    // The shipped files under another folder are the same data and so the same run.
    let text = succeeded(&reproduce(own.path(), &["--mnist", shipped.to_str().unwrap()]));
    says(&text, &["already trained"]);
}

#[test]
fn broken_and_foreign_files_in_the_cache_are_refused_and_named() {
    let own = copy_of_finished();
    let results = own.path();
    succeeded(&reproduce(results, &["--seeds", "2"]));
    let before = snapshot(results);
    let (mine, other) = (run_folder(results, 1).unwrap(), run_folder(results, 0).unwrap());
    let refuses = |path: &Path, bytes: &[u8], parts: &[&str]| {
        let kept = std::fs::read(path).ok();
        std::fs::write(path, bytes).unwrap();
        let line = refused(&reproduce(results, &["--seeds", "2"]));
        says(&line, &[path.to_str().unwrap()]);
        says(&line, parts);
        match kept {
            Some(kept) => std::fs::write(path, kept).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        assert_untouched(&before, results);
    };
    let (weights, record) = (mine.join("weights.safetensors"), mine.join("record.safetensors"));
    let whole = std::fs::read(&weights).unwrap();
    refuses(&weights, &whole[..whole.len() / 2], &["not a whole weights file", "delete it"]);
    refuses(
        &weights,
        &std::fs::read(other.join("weights.safetensors")).unwrap(),
        &["written by configuration", "--fresh"],
    );
    refuses(&record, b"", &["not a whole checkpoint", "delete it"]);
    let judge = judge_file(results);
    let bytes = std::fs::read(&judge).unwrap();
    refuses(&judge, &bytes[..bytes.len() - 1], &["not a whole classifier", "delete it"]);
    refuses(&judge, &std::fs::read(&weights).unwrap(), &["not a whole classifier", "delete it"]);

    // Without its final weights a run goes on from its last checkpoint.
    std::fs::remove_file(&weights).unwrap();
    let foreign = std::fs::read(other.join("record.safetensors")).unwrap();
    let last = mine.join("last.safetensors");
    refuses(&last, &foreign, &["written by configuration", "--fresh"]);
    refuses(&last, &foreign[..foreign.len() - 1], &["not a whole checkpoint", "delete it"]);
    succeeded(&reproduce(results, &["--seeds", "2"]));
    assert!(std::fs::read(&weights).unwrap() == whole, "trained anew, the weights are the same");
}

#[test]
fn a_results_folder_that_cannot_be_written_is_refused_before_training() {
    let own = tempfile::tempdir().unwrap();
    let file = own.path().join("results");
    std::fs::write(&file, "a file").unwrap();
    for results in [file.clone(), file.join("deeper")] {
        let line = refused_at_once(&reproduce(&results, &[]));
        says(&line, &[results.to_str().unwrap(), "cannot be written", "choose another results folder"]);
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"a file");

    // A file where one experiment's folder, its cache or its runs should be.
    for name in [FOLDER, "cache", "cache/runs"] {
        let own = only_judge();
        if name == "cache" {
            std::fs::remove_dir_all(own.path().join(name)).unwrap();
        }
        std::fs::write(own.path().join(name), "a file").unwrap();
        let output = reproduce(own.path(), &[]);
        says(&refused(&output), &[own.path().join(name).to_str().unwrap()]);
        assert!(!stderr(&output).contains("steps in"), "nothing was trained: {}", stderr(&output));
    }
}

/// A command under a limit on the size of files, which fails like a full disk in the middle of a file. The unit is 512
/// bytes.
#[cfg(unix)]
fn with_files_of_at_most(blocks: u32, arguments: &[&str]) -> Output {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    Command::new("sh").args(["-c", &script, XTASK]).args(arguments).output().unwrap()
}

#[cfg(unix)]
#[test]
fn a_write_that_fails_half_way_leaves_earlier_results_as_they_were() {
    let own = copy_of_finished();
    let before = snapshot(own.path());
    let leftovers = |folder: &Path| {
        let names =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with('.')).collect::<Vec<_>>()
    };

    // 32 KiB hold the run's description, not its weights.
    let output = with_files_of_at_most(64, &reproduce_arguments(own.path(), &["--fresh"]));
    let run = run_folder(own.path(), 0).unwrap();
    says(&refused(&output), &[run.to_str().unwrap(), "safetensors: no room", "File too large", "free some space"]);
    assert_eq!(leftovers(&run), Vec::<String>::new());
    assert_untouched(&before, own.path());

    // 8 KiB hold the manifest, not the figures; and 32 KiB the figures, not the samples.
    succeeded(&reproduce(own.path(), &[]));
    let before = snapshot(own.path());
    for (blocks, file) in [(16, "metrics.csv"), (64, "operator-affine-seed0.safetensors")] {
        let output = with_files_of_at_most(blocks, &reproduce_arguments(own.path(), &[]));
        says(&refused(&output), &[own.path().to_str().unwrap(), file, "no room", "free some space"]);
        says(&stderr(&output), &["already trained"]);
        assert_untouched(&before, own.path());
        assert_eq!(leftovers(own.path()), Vec::<String>::new());
    }
    succeeded(&reproduce(own.path(), &[]));
}

#[test]
fn a_run_that_diverges_is_refused_and_earlier_results_stay() {
    let own = copy_of_finished();
    // A fresh clone has the compressed copy of the table alone: those are results too.
    for has_table in [true, false] {
        if !has_table {
            std::fs::remove_file(own.path().join(FOLDER).join("metrics.csv")).unwrap();
        }
        let before = snapshot(own.path());
        let output = reproduce(own.path(), &["--set", "learning_rate=1e30", "--set", "evaluate_every=100"]);
        says(&refused(&output), &["operator-affine, seed 0: the loss is", "at step", "lower the learning rate"]);
        assert_untouched(&before, own.path());
    }
}

/// Starts a long run and gives its standard error.
fn spawn(results: &Path) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = Command::new(XTASK)
        .args(reproduce_arguments(results, &LONG))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap());
    (child, lines)
}

const LONG: [&str; 6] = ["--set", "steps=120", "--set", "checkpoint_every=3", "--set", "evaluate_every=50"];

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_and_one_that_is_interrupted_go_on_to_the_same_bytes() {
    let (whole, stopped) = (only_judge(), only_judge());
    succeeded(&reproduce(whole.path(), &LONG));

    let (mut child, _lines) = spawn(stopped.path());
    let started = Instant::now();
    let last = loop {
        if let Some(last) =
            run_folder(stopped.path(), 0).map(|run| run.join("last.safetensors")).filter(|last| last.exists())
        {
            break last;
        }
        assert!(started.elapsed() < Duration::from_secs(120), "no checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    };
    child.kill().unwrap(); // SIGKILL
    assert!(!child.wait().unwrap().success());
    let weights = last.with_file_name("weights.safetensors");
    assert!(last.exists() && !weights.exists(), "it was killed before its end");

    let (mut child, mut lines) = spawn(stopped.path());
    let mut text = String::new();
    while !text.contains("operator-affine seed 0: going on from step ") {
        assert!(lines.read_line(&mut text).unwrap() > 0, "it did not go on: {text}");
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    lines.read_to_string(&mut text).unwrap();
    assert!(!child.wait().unwrap().success());
    let error = text.lines().last().unwrap();
    assert!(error.starts_with("error: stopped at step "), "{text}");
    says(error, &["of 120 of operator-affine, seed 0", "run the same command again to go on"]);
    assert!(last.exists() && !weights.exists());

    let text = succeeded(&reproduce(stopped.path(), &LONG));
    says(&text, &["going on from step ", " of 120"]);
    let same = |relative: &Path| {
        std::fs::read(whole.path().join(relative)).unwrap() == std::fs::read(stopped.path().join(relative)).unwrap()
    };
    assert!(same(weights.strip_prefix(stopped.path()).unwrap()), "weights");
    for name in ["metrics.csv", "evaluations.csv"] {
        assert!(same(&Path::new(FOLDER).join(name)), "{name}");
    }
    // The history is the same but for its last column, images per second.
    let history = |results: &Path| {
        let text = std::fs::read_to_string(results.join(FOLDER).join("history.csv")).unwrap();
        text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(history(whole.path()).len(), 121);
    assert_eq!(history(whole.path()), history(stopped.path()));
}

#[test]
fn a_training_step_is_timed_and_the_figures_are_kept() {
    let results = tempfile::tempdir().unwrap();
    let json = results.path().join("figures.json");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let bench = |net: &str, more: &[&str]| {
        let mut arguments = vec!["bench".to_owned(), net.to_owned(), "--results".to_owned(), path(results.path())];
        arguments.extend(["--batch", "2", "--steps", "1"].iter().chain(more).map(|word| (*word).to_owned()));
        xtask(arguments)
    };
    let output = bench("operator-affine", &["--json", &path(&json)]);
    succeeded(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    for word in ["operator-affine, batch 2:", "layer, ms", "branches.digit", "action", "Adam:"] {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
    succeeded(&bench("alexnet-28", &["--compare", "candle", "--pairs", "1"]));
    let table = fs::read_to_string(results.path().join("bench.md")).unwrap();
    assert!(table.contains("| operator-affine, 2 |") && table.contains("| alexnet-28, 2 |"), "{table}");
    let figures = fs::read_to_string(&json).unwrap();
    assert!(figures.contains("\"net\": \"operator-affine\"") && figures.contains("\"ours_ms\""), "{figures}");
    assert!(!figures.contains("alexnet"), "the JSON holds what its command measured: {figures}");
}

#[test]
fn a_bench_that_cannot_run_is_refused() {
    let results = tempfile::tempdir().unwrap();
    let results = results.path().to_str().unwrap();
    let bench = |more: &[&str]| refused_at_once(&xtask([&["bench", "--results", results], more].concat()));
    says(&bench(&["digits-v3"]), &["digits-v3", "digits-v2", "alexnet-71"]);
    says(&bench(&["--compare", "pytorch", "--python", "/no/python"]), &["/no/python", "--python PATH"]);
    says(&bench(&["--json", "/no/folder/x.json"]), &["/no/folder/x.json", "make it first"]);
    says(&bench(&["--compare", "candle", "--tuned"]), &["--tuned", "--compare pytorch"]);
    fs::write(Path::new(results).join("bench.json"), "{}").unwrap();
    says(&bench(&["operator-affine"]), &["bench.json", "delete it"]);
}

#[test]
fn the_check_of_the_faces_takes_a_size_and_keeps_the_page_of_another_one() {
    let results = tempfile::tempdir().unwrap();
    let page = results.path().join("faces-check.md");
    std::fs::write(&page, "kept").unwrap();
    let check = |size: &str| {
        let place = results.path().to_str().unwrap();
        xtask(["data", "faces-check", "--size", size, "--steps", "1", "--results", place])
    };
    let checked = check("16");
    succeeded(&checked);
    says(
        &String::from_utf8(checked.stdout).unwrap(),
        &["## 16×16 pixels", "one image per person, in session A | 70 |"],
    );
    says(&refused_at_once(&check("8")), &["size = 8: expected 16 to 1024 pixels"]);
    assert_eq!(std::fs::read_to_string(page).unwrap(), "kept");
}

#[test]
fn drawn_faces_come_out_as_a_sheet_and_impossible_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("faces.png");
    let faces = |more: &[&str]| xtask([&["data", "faces", "--out", out.to_str().unwrap()], more].concat());
    succeeded(&faces(&["--persons", "2", "--size", "32"]));
    let expressions = image::open(&out).unwrap();
    succeeded(&faces(&["--persons", "3", "--size", "32", "--sessions", "--noise"]));
    let sessions = image::open(&out).unwrap();
    assert!(expressions.width() > sessions.width() && expressions.height() < sessions.height());
    says(&refused_at_once(&faces(&["--size", "5000"])), &["size", "16 to 1024 pixels"]);
    says(&refused_at_once(&faces(&["--first", "4294967295"])), &["--first"]);
    let nowhere = refused_at_once(&xtask(["data", "faces", "--persons", "1", "--out", "/no/folder/x.png"]));
    says(&nowhere, &["/no/folder/x.png"]);
}

/// A photograph in the naming and size of KDEF: a portrait on grey ground, at this height.
fn kdef_photograph(path: &Path, y: i64) {
    let portrait = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/data/tests/portrait/portrait.jpg");
    let mut picture = image::RgbImage::from_pixel(562, 762, image::Rgb([150; 3]));
    image::imageops::replace(&mut picture, &image::open(portrait).unwrap().to_rgb8(), 160, y);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.save_with_format(path, image::ImageFormat::Jpeg).unwrap();
}

#[test]
fn photographs_of_kdef_are_prepared_once() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("KDEF"), folder.path().join("prepared"));
    kdef_photograph(&from.join("AF01/AF01HAS.JPG"), 200);
    kdef_photograph(&from.join("BF01/BF01HAS.JPG"), 260);
    std::fs::write(from.join("BF01/BF01HAFL.JPG"), "not even read").unwrap();
    std::fs::write(from.join("BF01/BF01NES.JPG"), "broken").unwrap();
    let kdef = |more: &[&str]| {
        let arguments = ["data", "kdef", "--from", from.to_str().unwrap(), "--out", out.to_str().unwrap()];
        let output = xtask([&arguments[..], more].concat());
        succeeded(&output);
        String::from_utf8(output.stdout).unwrap()
    };
    says(
        &kdef(&[]),
        &[
            ": prepared\n",
            "2 photos of 980, 1 persons of 70",
            "happy        1 in session A   1 in session B",
            "left out, other view: 1\n",
            "left out, unreadable: 1: BF01/BF01NES.JPG",
            "missing: 978: AM01NES, ",
            "table.csv, pictures-158.bin, pictures-71.bin",
        ],
    );
    says(&kdef(&[]), &["already prepared; --fresh does it anew", "2 photos of 980"]);
    says(&kdef(&["--fresh"]), &[": prepared\n"]);
}

#[test]
fn folders_without_the_sets_photographs_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("none");
    let data = |set: &str| {
        let out = folder.path().join("prepared");
        refused_at_once(&xtask(["data", set, "--from", from.to_str().unwrap(), "--out", out.to_str().unwrap()]))
    };
    says(&data("kdef"), &["none: cannot read the folder"]);
    kdef_photograph(&from.join("AF01HAS.JPG"), 200);
    says(&data("mmi"), &["pictures named PERSON-EMOTION as in 0-3.png", "1 pictures", "--from"]);
    assert!(!folder.path().join("prepared").exists());
}
