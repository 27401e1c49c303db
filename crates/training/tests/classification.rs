//! Experiments whose arms are classifiers: their files, what they refuse, and whole runs in seconds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use multigen_data::MnistSource;
use multigen_measure::{ConfusionRow, MetricRow, ResultsDir, read_rows};
use multigen_training::classification::{self, Classification};
use multigen_training::dataset::{Data, Sources};
use multigen_training::reproduce::Options;
use multigen_training::{AnyExperiment, Catalogue, Request};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn catalogue() -> Catalogue {
    Catalogue::new(root().join("experiments"))
}

fn request(profile: &str, overrides: &[&str]) -> Request {
    let overrides = overrides.iter().map(|&pair| pair.to_owned()).collect();
    Request { profile: profile.to_owned(), overrides, ..Request::default() }
}

fn resolve(name: &str, profile: &str, overrides: &[&str]) -> multigen_training::Result<Classification> {
    catalogue().resolve_classification(name, &request(profile, overrides))
}

static NEVER: AtomicBool = AtomicBool::new(false);

fn options(folder: &Path, seeds: &[u64]) -> Options<'static> {
    Options {
        root: root(),
        results: ResultsDir::new(folder),
        device: (Device::Cpu, "cpu".to_owned()),
        seeds: seeds.to_vec(),
        interrupt: &NEVER,
        quiet: true,
        command: "test".to_owned(),
    }
}

fn data(experiment: &Classification, folder: &Path) -> multigen_training::Result<Data> {
    let sources = Sources {
        mnist: MnistSource::Embedded { datasets: root().join("datasets") },
        drawn_faces: folder.join("faces"),
        kdef: None,
        mmi: None,
    };
    Data::load(&experiment.data.set, &sources)
}

/// The figures of a run: metrics as they lie on disk.
fn figures(
    name: &str,
    overrides: &[&str],
    folder: &Path,
    seeds: &[u64],
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let experiment = resolve(name, "smoke", overrides)?;
    let data = data(&experiment, folder)?;
    let dir = classification::run(&experiment, &data, &options(folder, seeds))?;
    Ok(std::fs::read(dir.metrics())?)
}

static STOP: AtomicBool = AtomicBool::new(true);

/// Ctrl-C at every step, and the same command again: the figures are those of a run in one piece, and nothing but the
/// complete classifier stays in the cache.
#[test]
fn a_run_that_is_stopped_at_every_step_ends_in_the_same_figures() -> Outcome {
    let (whole, pieces) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let overrides = ["steps=3", "batch=4"];
    let name = "classifier-alone-4emo-split";
    let expected = figures(name, &overrides, whole.path(), &[0])?;
    let experiment = resolve(name, "smoke", &overrides)?;
    let data = data(&experiment, pieces.path())?;
    let stopped = Options { interrupt: &STOP, ..options(pieces.path(), &[0]) };
    for step in 1..3 {
        let message =
            classification::run(&experiment, &data, &stopped).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains(&format!("stopped at step {step} of 3")) && message.contains("to go on"), "{message}");
    }
    let dir = classification::run(&experiment, &data, &stopped)?;
    assert_eq!(std::fs::read(dir.metrics())?, expected);
    assert_eq!(std::fs::read_dir(pieces.path().join("cache/classifiers"))?.count(), 1);
    Ok(())
}

#[test]
fn every_file_resolves_in_every_profile_and_its_arms_take_equal_steps() -> Outcome {
    let catalogue = catalogue();
    let mut n_found = 0;
    for name in catalogue.names()? {
        if !catalogue.is_classification(&name)? {
            continue;
        }
        n_found += 1;
        for profile in ["smoke", "quick", "paper"] {
            let AnyExperiment::Classification(experiment) = catalogue.resolve_any(&name, &request(profile, &[]))?
            else {
                return Err(format!("{name} is no experiment on classifiers").into());
            };
            let solvers: BTreeSet<(u64, usize, String)> =
                experiment.arms.iter().map(|arm| (arm.solver.steps, arm.solver.batch, arm.network.clone())).collect();
            assert_eq!(solvers.len(), 1, "{name} {profile}: {solvers:?}");
            assert!(experiment.about.expected.len() > 10 && !experiment.about.question.is_empty(), "{name}");
            assert!(experiment.arms.iter().all(|arm| arm.description.len() > 10), "{name}");
            toml::from_str::<toml::Table>(&experiment.to_toml()?)?;
            let differs = experiment.differs_from_paper.values().any(|sentences| !sentences.is_empty());
            assert_eq!(differs, profile != "paper", "{name} {profile}");
        }
    }
    assert_eq!(n_found, 8);
    Ok(())
}

#[test]
fn paper_is_the_published_solver() -> Outcome {
    let four = resolve("classifier-alone-4emo", "paper", &[])?;
    let solver = &four.arms[0].solver;
    assert_eq!((solver.steps, solver.batch, solver.learning_rate), (30_000, 48, 1e-4));
    assert_eq!((solver.beta1, solver.beta2, solver.weight_decay), (0.92, 0.995, 5e-4));
    // Halved every 500 steps: by step 1,000 twice.
    assert_eq!(solver.schedule.multiplier(1000, solver.steps), 0.25);
    let seven = resolve("classifier-alone-7emo", "paper", &[])?;
    assert_eq!((seven.arms[0].network.as_str(), seven.arms[0].solver.steps), ("alexnet-multitask-relu", 4500));
    assert_eq!(seven.arms[0].solver.schedule.multiplier(600, 4500), 0.25);
    // What the named set holds out: ten cells of four emotions, sixteen pairs of seven.
    assert_eq!((four.data.held_out.len(), seven.data.held_out.len()), (10, 16));
    let quick = resolve("classifier-alone-4emo", "quick", &[])?;
    let differs = &quick.differs_from_paper["alone"];
    assert!(differs.contains(&"network: judge (paper: alexnet-multitask)".to_owned()), "{differs:?}");
    assert!(differs.iter().any(|line| line.starts_with("images: kdef-4emo at 71×71 pixels (paper:")), "{differs:?}");
    Ok(())
}

#[test]
fn what_contradicts_itself_is_refused_in_one_line() -> Outcome {
    let arm = |more: &str| format!("arms=[{{name=\"a\",description=\"d\"{more}}}]");
    let (generated, rotations) = (arm(",generated=1.0"), arm(",rotations=true"));
    let (negative, nothing) = (arm(",generated=-1.0"), arm(",real=false"));
    let leaking = "cooperation.training.cooperation={network=\"judge\",without=[\"transform\"],leaking=true,pretraining={steps=6,batch=8,learning_rate=1e-3,test_images=8}}";
    let (strong, hats) = (arm(",classical={shift=1.5,crop=0,flip=true,brightness=0}"), arm(",hat=true"));
    for (name, pair, said) in [
        ("augmentation", "steps=0", "steps = 0"),
        ("augmentation", "learning_rate=-1", "learning_rate = -1"),
        ("augmentation", "nonsense=1", "no key 'nonsense'"),
        ("augmentation", "tests.nonsense=1", "no key 'nonsense' among persons_not_drawn, unseen_persons"),
        ("augmentation", "reads=[\"person\"]", "expected `reads` without \"person\""),
        ("augmentation", "arms=[]", "arms is empty"),
        ("augmentation", negative.as_str(), "arm a: generated = -1"),
        ("augmentation", nothing.as_str(), "nothing to learn"),
        ("augmentation", strong.as_str(), "classical.shift = 1.5"),
        ("augmentation", hats.as_str(), "unknown field `hat`"),
        ("augmentation", "draw.persons=0", "draw.persons = 0"),
        ("augmentation", "generator.model=\"alexnet\"", "generator: expected a network that is trained alone"),
        ("augmentation", "arms=[{name=\"A b\",description=\"d\"}]", "arm 'A b'"),
        (
            "augmentation",
            "arms=[{name=\"a\",description=\"d\"},{name=\"a\",description=\"d\"}]",
            "two arms are named 'a'",
        ),
        (
            "augmentation",
            "arms=[{name=\"a\",description=\"d\"},{name=\"b\",description=\"d\",solver={steps=5}}]",
            "arms differ in effort (a: 12 steps of 16, judge; b: 5 steps of 16, judge)",
        ),
        ("starvation", leaking, "leaking = true would show the classifier what it is tested on"),
        ("classifier-alone-4emo", generated.as_str(), "expected a table [generator]"),
        ("classifier-alone-4emo", rotations.as_str(), "draw.upright = true"),
        ("classifier-alone-4emo", "data.held_out=\"some\"", "data.held_out = \"some\""),
        ("starvation", "steps=13", "6 steps of pretraining and 6 beside the generator, but solver.steps = 13"),
        ("starvation", "network=\"alexnet-compact\"", "network alexnet-compact, but judge takes part"),
        ("starvation", "starve.shares=[1.5]", "starve.shares holds 1.5"),
        ("starvation", "arms=[{name=\"a\",description=\"d\"}]", "no arm has cooperative = true"),
    ] {
        let message = resolve(name, "smoke", &[pair]).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains(said) && !message.contains('\n'), "{pair}: {message}");
    }
    assert!(resolve("augmentation", "fast", &[]).is_err_and(|e| e.to_string().contains("paper, quick, smoke")));
    Ok(())
}

/// Before anything is trained: the plan finds it.
#[test]
fn rivals_that_read_other_factors_are_refused() -> Outcome {
    let dir = tempfile::tempdir()?;
    let experiment = resolve("starvation", "smoke", &["reads=[\"emotion\"]"])?;
    let data = data(&experiment, dir.path())?;
    let message = classification::plan(&experiment, &data, &options(dir.path(), &[0])).err().map(|e| e.to_string());
    let message = message.unwrap_or_default();
    assert!(message.contains("cooperates reads person, emotion, the others emotion"), "{message}");
    Ok(())
}

#[test]
fn an_unknown_key_is_refused_with_the_files_name() -> Outcome {
    let dir = tempfile::tempdir()?;
    std::fs::copy(root().join("experiments/classifier-alone.toml"), dir.path().join("classifier-alone.toml"))?;
    let own = "parent = \"classifier-alone\"\n[data.set.faces]\nnamed = \"mmi\"\nsize = 24\n";
    for (more, said) in [("[tests]\nsesion = 1\n", "sesion"), ("[solver]\nstep = 1\n", "step"), ("[drow]\n", "drow")] {
        std::fs::write(dir.path().join("own.toml"), format!("{own}{more}"))?;
        let error = Catalogue::new(dir.path()).resolve_classification("own", &request("smoke", &[]));
        let message = error.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains("own.toml") && message.contains(said) && !message.contains('\n'), "{message}");
    }
    Ok(())
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_seed_others() -> Outcome {
    let dirs = [tempfile::tempdir()?, tempfile::tempdir()?];
    let run = |i: usize, seeds: &[u64]| figures("augmentation", &[], dirs[i].path(), seeds);
    let first = run(0, &[0])?;
    assert_eq!(run(1, &[0])?, first);
    // From the cache: nothing is trained, nothing changes.
    let experiment = resolve("augmentation", "smoke", &[])?;
    let data = data(&experiment, dirs[0].path())?;
    let options = options(dirs[0].path(), &[0]);
    assert!(classification::plan(&experiment, &data, &options)?.iter().all(|planned| planned.complete));
    assert_eq!(run(0, &[0])?, first);
    let other = run(0, &[1])?;
    let values = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .lines()
            .filter_map(|line| Some(line.rsplit_once(',')?.1.to_owned()))
            .collect::<Vec<_>>()
    };
    assert_ne!(values(&other), values(&first));
    classification::forget(&experiment, &data, &options)?;
    assert!(classification::plan(&experiment, &data, &options)?.iter().all(|planned| !planned.complete));
    Ok(())
}

#[test]
fn every_arm_is_tested_on_the_same_images_none_of_which_shows_a_training_person() -> Outcome {
    let dir = tempfile::tempdir()?;
    figures("augmentation", &[], dir.path(), &[0])?;
    let folder = ResultsDir::new(dir.path()).experiment("augmentation-smoke");
    let rows: Vec<MetricRow> = read_rows(&folder.metrics())?;
    let of = |model: &str, set: &str| {
        let of_arm = rows.iter().filter(|row| row.model == model && row.set == set);
        of_arm.map(|row| row.combination.clone()).collect::<Vec<_>>()
    };
    let experiment = resolve("augmentation", "smoke", &[])?;
    // Eight unseen persons with four emotions; 65 − 8 persons that were not drawn, upright, with four emotions.
    for (set, n) in [("unseen persons", 32), ("persons not drawn", 228)] {
        let first = of("real", set);
        assert_eq!(first.len(), n, "{set}");
        assert!(experiment.arms.iter().all(|arm| of(&arm.name, set) == first));
    }
    assert!(of("real", "persons not drawn").iter().all(|label| label.ends_with("transform=identity")));
    let confusion: Vec<ConfusionRow> = read_rows(&folder.confusion())?;
    let tested = |set: &str| {
        let rows = confusion.iter().filter(|row| row.model == "real" && row.set == set);
        rows.map(|row| row.count).sum::<u64>()
    };
    assert_eq!((tested("unseen persons"), tested("persons not drawn")), (32, 228));
    assert!(confusion.iter().all(|row| row.factor == "emotion"));
    Ok(())
}

#[test]
fn scarce_images_train_both_arms_at_every_amount() -> Outcome {
    let dir = tempfile::tempdir()?;
    figures("starvation", &[], dir.path(), &[0])?;
    let rows: Vec<MetricRow> = read_rows(&ResultsDir::new(dir.path()).experiment("starvation-smoke").metrics())?;
    for amount in ["100 %", "6 %", "one image per person"] {
        for (test, n, metrics) in [
            ("session B", 1040, &["accuracy_person", "accuracy_emotion"][..]),
            ("unseen persons", 32, &["accuracy_emotion"]),
        ] {
            for arm in ["alone", "cooperative"] {
                let set = format!("{test} at {amount}");
                let of_arm = || rows.iter().filter(|row| row.model == arm && row.set == set);
                let found: BTreeSet<&str> = of_arm().map(|row| row.metric.as_str()).collect();
                assert_eq!(found, metrics.iter().copied().collect(), "{arm} {set}");
                assert_eq!(of_arm().count(), n * metrics.len(), "{arm} {set}");
            }
        }
    }
    Ok(())
}

#[test]
fn digits_and_a_set_of_the_users_own_are_read_too() -> Outcome {
    let dir = tempfile::tempdir()?;
    let overrides = [
        "data.set={digits={transforms=6}}",
        "data.held_out=[{name=\"seven\",where={digit=7,style=9,transform=\"mirror-x\"}}]",
        "tests={held_out=true,session=1,unseen_persons=9}",
        "reads=[]",
    ];
    figures("classifier-alone-4emo", &overrides, dir.path(), &[0])?;
    let folder = ResultsDir::new(dir.path()).experiment("classifier-alone-4emo-smoke");
    let rows: Vec<MetricRow> = read_rows(&folder.metrics())?;
    // Three images, of which four factors are read; what digits have not is left out and said.
    assert_eq!(rows.len(), 12);
    assert!(rows.iter().all(|row| row.set == "held-out"));
    let manifest = multigen_measure::Manifest::read(&folder.manifest())?;
    for said in ["session B left out", "unseen persons left out"] {
        assert!(manifest.notes.iter().any(|note| note.contains(said)), "{:?}", manifest.notes);
    }
    let unknown = figures("classifier-alone-4emo", &["reads=[\"hat\"]"], dir.path(), &[0]);
    assert!(unknown.is_err_and(|e| e.to_string().contains("'hat': expected some of person, emotion, transform")));
    let trained = figures("classifier-alone-4emo", &["tests.session=1"], dir.path(), &[0]);
    assert!(trained.is_err_and(|e| e.to_string().contains("1 is trained on")));
    Ok(())
}
