//! A set of the user's own on the command line: the commands of the README as they stand there, and what is refused.

use std::path::Path;
use std::process::{Command, Output};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

fn xtask(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(XTASK).args(arguments).current_dir(folder).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The only line of stderr of a command that refused.
fn refused(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success() && text.lines().count() == 1 && text.starts_with("error: "), "{text}");
    text
}

fn says(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "'{part}' is not in: {text}"));
}

#[test]
fn the_readme_makes_and_checks_a_set() {
    let folder = tempfile::tempdir().unwrap();
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let commands = |of: &'static str| {
        let lines = readme.lines().filter_map(|line| line.strip_prefix("    cargo xtask "));
        lines
            .filter(move |line| line.starts_with(of))
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let (examples, checks) = (commands("data example"), commands("data check"));
    assert!(examples.len() == 1 && !checks.is_empty(), "{examples:?} {checks:?}");
    let made = stdout(&xtask(folder.path(), &examples[0]));
    // What comes next is the README's next command.
    says(&made, &["96 pictures", &format!("next: cargo xtask {}", checks[0].join(" "))]);
    for check in checks {
        let text = stdout(&xtask(folder.path(), &check));
        says(&text, &["96 rows, 96 usable", "shape    4 levels", "train 90, unseen 6", "images = \"my-shapes\""]);
    }

    // The README's experiment on it, in seconds.
    let [own] = &commands("reproduce my-shapes")[..] else { panic!("one command trains on the example") };
    let mut arguments = own.clone();
    arguments.extend(["--profile", "smoke", "--results", "results"]);
    stdout(&xtask(folder.path(), &arguments));
    let summary = std::fs::read_to_string(folder.path().join("results/shapes-smoke/summary.md")).unwrap();
    says(&summary, &["Shapes: a hue never seen on a star", "unseen (6 images)", "judge: hue", "my-shapes/labels.csv"]);
    assert!(folder.path().join("results/shapes-smoke/grid-compact.png").exists());

    // A set that does not exist is refused before anything is trained or written.
    let mut arguments = own.clone();
    arguments.extend(["--profile", "smoke", "--results", "none", "--set", "evaluate.sets=[\"unsene\"]"]);
    let refusal = xtask(folder.path(), &arguments);
    says(&String::from_utf8(refusal.stderr).unwrap(), &["error: ", "'unsene' holds no image"]);
    assert_eq!(std::fs::read_dir(folder.path().join("none")).unwrap().count(), 0);

    // The report ends with what an experiment file says; the same command reads it there.
    let text = stdout(&xtask(
        folder.path(),
        &[
            "data",
            "check",
            "--images",
            "my-shapes",
            "--table",
            "my-shapes/labels.csv",
            "--size",
            "16",
            "--transforms",
            "4",
        ],
    ));
    let (_, dataset) = text.split_once("[dataset]").unwrap();
    let own = folder.path().join("experiments");
    std::fs::create_dir(&own).unwrap();
    let dataset = dataset.replace("\"my-shapes", "\"../my-shapes");
    std::fs::write(own.join("mine.toml"), format!("title = \"mine\"\n[dataset]{dataset}")).unwrap();
    let again = stdout(&xtask(folder.path(), &["data", "check", "experiments/mine.toml"]));
    says(&again, &["384 images of 16×16", "size = 16\ntransforms = 4\n"]);
    // The smallest size that the check lets pass can be trained on.
    let shapes = std::fs::read_to_string(folder.path().join("my-shapes/shapes.toml")).unwrap();
    let small = shapes.replace("table = \"labels.csv\"", "table = \"labels.csv\"\nsize = 16");
    std::fs::write(folder.path().join("my-shapes/small.toml"), small).unwrap();
    let smallest = ["reproduce", "my-shapes/small.toml", "--profile", "smoke", "--results", "results"];
    stdout(&xtask(folder.path(), &smallest));
    let summary = std::fs::read_to_string(folder.path().join("results/small-smoke/summary.md")).unwrap();
    says(&summary, &["16×16"]);
}

/// The experiment files of datasets/custom/README.md, as they stand there, in seconds.
#[test]
fn the_examples_with_a_classifier_run_on_a_set_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    stdout(&xtask(folder.path(), &["data", "example", "--out", "my-shapes"]));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/custom/README.md");
    let page = std::fs::read_to_string(page).unwrap();
    for (name, found) in [
        ("reads", ["held-out (6 images)", "accuracy: shape", "accuracy: hue"]),
        ("cooperative", ["unseen (6 images)", "compact+fixed − compact", "classifier on real images: hue"]),
    ] {
        let (_, rest) = page.split_once(&format!("(`my-shapes/{name}.toml`)")).unwrap();
        let block = rest.lines().skip(2).take_while(|line| line.is_empty() || line.starts_with("    "));
        let text: Vec<&str> = block.map(str::trim_start).collect();
        std::fs::write(folder.path().join(format!("my-shapes/{name}.toml")), text.join("\n")).unwrap();
        let file = format!("my-shapes/{name}.toml");
        stdout(&xtask(folder.path(), &["reproduce", &file, "--profile", "smoke", "--results", "results"]));
        let summary = folder.path().join(format!("results/{name}-smoke/summary.md"));
        says(&std::fs::read_to_string(summary).unwrap(), &found);
    }
}

#[test]
fn what_is_wrong_with_a_set_is_listed_and_the_command_fails() {
    let folder = tempfile::tempdir().unwrap();
    stdout(&xtask(folder.path(), &["data", "example", "--out", "set"]));
    let table = std::fs::read_to_string(folder.path().join("set/labels.csv")).unwrap();
    let broken = table.replace("star-red-large-0.png,star,red", "star-red-large-0.png,,red");
    std::fs::write(folder.path().join("set/labels.csv"), broken).unwrap();
    std::fs::remove_file(folder.path().join("set/moon-red-large-0.png")).unwrap();
    let output = xtask(folder.path(), &["data", "check", "--images", "set", "--table", "set/labels.csv"]);
    says(&refused(&output), &["the set has 2 problems"]);
    let report = String::from_utf8(output.stdout).unwrap();
    says(&report, &["a level of `shape` in line 62", "moon-red-large-0.png (line 14)", "next: mend the 2 problems"]);

    says(&refused(&xtask(folder.path(), &["data", "example", "--out", "set"])), &["set: expected a new folder"]);
    says(&refused(&xtask(folder.path(), &["data", "check", "none.toml"])), &["none.toml: cannot read"]);
    let check = |more: &[&str]| xtask(folder.path(), &[&["data", "check", "--images", "set"], more].concat());
    says(&refused(&check(&["--table", "none.csv"])), &["none.csv: expected a table"]);
    says(&refused(&check(&["--table", "labels.csv"])), &["did you mean set/labels.csv?"]);
    says(&refused(&check(&["--table", "set/labels.csv", "--size", "2"])), &["size = 2: expected 16 to 256"]);
    says(&refused(&check(&["--table", "set/labels.csv", "--transforms", "3"])), &["transforms = 3"]);
    let missing = check(&[]);
    assert!(!missing.status.success());
    says(&String::from_utf8(missing.stderr).unwrap(), &["--table <FILE>"]);
}
