//! The project's own experiment files: they resolve, share what they should, and refuse what is wrong.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use multigen_data::held_out::Rule;
use multigen_data::sets::{custom, digits, faces};
use multigen_data::{DigitsConfig, HeldOut, Split};
use multigen_training::judging::JudgeTraining;
use multigen_training::run_config::{SetConfig, Styles, TrainingConfig};
use multigen_training::{Catalogue, Request};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments")
}

fn request(profile: &str) -> Request {
    Request { profile: profile.to_owned(), ..Request::default() }
}

#[test]
fn every_experiment_resolves_in_every_profile_with_all_models() -> Outcome {
    let catalogue = Catalogue::new(folder());
    let names = catalogue.names()?;
    for name in ["digits-result-1", "digits-result-2", "digits-result-3", "digits-holdout-30", "digits-holdout-70"] {
        assert!(names.iter().any(|n| n == name), "{name}");
    }
    for parent in ["digits", "kdef", "mmi", "custom", "holdout-sweep"] {
        assert!(!names.iter().any(|n| n == parent), "a parent is not run itself");
    }
    for name in &names {
        if catalogue.is_classification(name)? {
            continue;
        }
        for profile in ["smoke", "quick", "paper"] {
            let experiment = catalogue.resolve(name, &Request { all_models: true, ..request(profile) })?;
            let expected = match (name.starts_with("digits"), profile) {
                // The generator alone, and five ways to let a classifier take part, or three to let a discriminator.
                (_, _) if name.ends_with("cooperative") => 6,
                (_, _) if name.ends_with("adversarial") => 4,
                (false, _) if name.starts_with("holdout-sweep") => 4,
                (true, _) => 8,
                (false, "paper") => 1 + usize::from(name.starts_with("mmi")),
                (false, _) => 6,
            };
            assert_eq!(experiment.models.len(), expected, "{name} {profile}");
            assert!(!experiment.about.question.is_empty() && experiment.about.expected.len() > 10, "{name}");
        }
    }
    Ok(())
}

#[test]
fn paper_is_the_published_solver_and_quick_says_what_differs() -> Outcome {
    let catalogue = Catalogue::new(folder());
    let paper = catalogue.resolve("digits-result-3", &Request { all_models: true, ..request("paper") })?;
    let v2 = &paper.training["digits-v2"];
    assert_eq!(
        (v2.steps, v2.batch, v2.learning_rate, v2.beta1, v2.beta2, v2.weight_decay),
        (10_000, 128, 2e-4, 0.9, 0.99, 0.01)
    );
    // ×0.25 at 600, 1000, 1500, 2000: four quarterings by step 2000.
    assert!((v2.schedule.multiplier(2000, v2.steps) - 0.25f64.powi(4)).abs() < 1e-12);
    let v1 = &paper.training["digits-v1"];
    assert_eq!((v1.batch, v1.weight_decay, v1.reconstruction_weight), (64, 0.0, 0.1));
    assert!(paper.differs_from_paper["digits-v2"].is_empty());
    let quick = catalogue.resolve("digits-result-3", &request("quick"))?;
    assert_eq!(quick.training["digits-v2"].batch, 64);
    assert!(quick.differs_from_paper["digits-v2"].iter().any(|line| line == "batch: 64 (paper: 128)"));
    Ok(())
}

#[test]
fn arms_differ_from_the_generator_alone_in_who_takes_part_and_in_nothing_else() -> Outcome {
    let catalogue = Catalogue::new(folder());
    for (name, alone) in [
        ("digits-cooperative", "digits-v2"),
        ("digits-adversarial", "digits-v2"),
        ("kdef-cooperative", "compact"),
        ("kdef-adversarial", "compact"),
    ] {
        for profile in ["smoke", "quick", "paper"] {
            let all = Request { all_models: true, ..request(profile) };
            let experiment = catalogue.resolve(name, &all)?;
            let alone = if profile == "paper" && name.starts_with("kdef") { "kdef-large" } else { alone };
            let reference = &experiment.training[alone];
            assert!(reference.cooperation.is_none() && reference.adversarial.is_none());
            let shares = |solver: &TrainingConfig| solver.phases.iter().map(|phase| phase.share).collect::<Vec<_>>();
            for (model, arm) in experiment.training.iter().filter(|(model, _)| *model != alone) {
                assert!(arm.cooperation.is_some() != arm.adversarial.is_some(), "{name} {profile} {model}");
                // The schedule starts anew with every phase, so that also these must be alike.
                assert_eq!(shares(arm), shares(reference), "{name} {profile} {model}");
                let phases = reference.phases.clone();
                let but_for_partners = TrainingConfig { cooperation: None, adversarial: None, phases, ..arm.clone() };
                assert_eq!(&but_for_partners, reference, "{name} {profile} {model}");
            }
        }
    }
    // The research's weight of a frozen classifier, and its phases of 20,000, 40,000 and 40,000 steps.
    let paper = catalogue.resolve("digits-cooperative", &request("paper"))?.training["digits-v2+flexible"].clone();
    let phases: Vec<(f64, f64)> =
        paper.phases.iter().map(|phase| (phase.share * paper.steps as f64, phase.classification)).collect();
    assert_eq!(phases, [(20_000.0, 0.0), (40_000.0, 500.0), (40_000.0, 1.0)]);
    // Its classifier, and how that was pretrained: the protocol of four emotions.
    for arm in ["fixed", "flexible", "leaking", "imagined"] {
        for (name, model, network) in [
            ("kdef-cooperative", "kdef-large", "alexnet-multitask"),
            ("digits-cooperative", "digits-v2", "alexnet-compact"),
        ] {
            let paper = catalogue.resolve(name, &request("paper"))?.training[&format!("{model}+{arm}")].clone();
            let cooperation = paper.cooperation.ok_or("no classifier takes part")?;
            let Some(JudgeTraining { steps, batch, learning_rate, solver: Some(rest), .. }) = cooperation.pretraining
            else {
                return Err(format!("{name} {arm} is pretrained by the judges' solver").into());
            };
            assert_eq!((cooperation.network.as_str(), steps, batch, learning_rate), (network, 30_000, 48, 1e-4));
            assert_eq!((rest.beta1, rest.beta2, rest.weight_decay), (0.92, 0.995, 5e-4), "{name} {arm}");
            assert_eq!(rest.schedule.multiplier(1000, steps), 0.25, "{name} {arm}");
        }
    }
    // A network that does not exist is refused with those that do.
    let overrides = vec!["digits-v2+fixed.cooperation={network=\"alexnet\"}".to_owned()];
    let stranger = catalogue.resolve("digits-cooperative", &Request { overrides, ..request("quick") });
    let message = stranger.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(message.contains("alexnet-compact, judge, alexnet-multitask") && !message.contains('\n'), "{message}");
    Ok(())
}

#[test]
fn what_differs_from_paper_is_said_of_what_paper_trains_and_of_nothing_else() -> Outcome {
    let catalogue = Catalogue::new(folder());
    let differs = |name: &str, profile: &str, overrides: &[&str]| {
        let overrides = overrides.iter().map(|&pair| pair.to_owned()).collect();
        catalogue
            .resolve(name, &Request { overrides, all_models: true, ..request(profile) })
            .map(|resolved| resolved.differs_from_paper)
    };
    // Neither solver is the paper's, which trains another network; that `mmi` has fewer steps for it differs from nothing.
    for profile in ["quick", "paper-71", "smoke"] {
        for (name, said) in [
            ("kdef-result-3", "no part of `paper`, which trains kdef-large on kdef-3emo at 158×158 pixels"),
            ("mmi-result-3", "no part of `paper`, which trains mmi-large on mmi at 158×158 pixels"),
        ] {
            for (model, sentences) in differs(name, profile, &[])? {
                assert_eq!(sentences, [said], "{name} {profile} {model}");
            }
        }
    }
    assert!(differs("mmi-result-3", "paper", &[])?.values().all(Vec::is_empty));
    // Other images, and another solver, than the profile says.
    let small = differs("kdef-result-3", "paper", &["data.set.faces.size=71", "training.batch=8"])?;
    let expected = ["batch: 8 (paper: 32)", "images: kdef-3emo at 71×71 pixels (paper: kdef-3emo at 158×158 pixels)"];
    assert_eq!(small["kdef-large"], expected);
    let other = ["data.set.digits.transforms=8", "data.held_out=[]", "evaluate.sets=[\"train\"]"];
    let digits = differs("digits-result-3", "quick", &other)?;
    assert!(digits["digits-v2"].contains(&"images: digits in 8 transforms (paper: digits in 6 transforms)".to_owned()));
    assert!(digits["digits-v2"].contains(&"held out: nothing (paper: result-2, result-3)".to_owned()), "{digits:?}");
    // A set of the user's own has no paper.
    let dir = tempfile::tempdir()?;
    custom::write_example(&dir.path().join("shapes"))?;
    let file = dir.path().join("shapes").join(custom::EXAMPLE_EXPERIMENT).display().to_string();
    assert!(differs(&file, "quick", &[])?.values().all(Vec::is_empty));
    Ok(())
}

#[test]
fn the_three_results_share_their_data_and_solvers() -> Outcome {
    let catalogue = Catalogue::new(folder());
    let [one, two, three] =
        ["digits-result-1", "digits-result-2", "digits-result-3"].map(|n| catalogue.resolve(n, &request("quick")));
    let (one, two, three) = (one?, two?, three?);
    assert_eq!((&one.data, &one.training), (&two.data, &two.training));
    assert_eq!((&two.data, &two.training), (&three.data, &three.training));
    assert_ne!(one.evaluate, three.evaluate);
    Ok(())
}

#[test]
fn faces_are_held_out_and_trained_as_in_the_research() -> Outcome {
    let catalogue = Catalogue::new(folder());
    for (name, set, model, steps, batch, decay) in [
        ("kdef-result-3", "kdef-3emo", "kdef-large", 10_000, 32, 1e-6),
        ("mmi-result-3", "mmi", "mmi-large", 5_000, 8, 1e-7),
    ] {
        let paper = catalogue.resolve(name, &request("paper"))?;
        assert_eq!(paper.data.set, SetConfig::Faces { named: set.to_owned(), size: 158 });
        let solver = &paper.training[model];
        assert_eq!((solver.steps, solver.batch, solver.weight_decay), (steps, batch, decay));
        assert_eq!((solver.learning_rate, solver.beta1, solver.beta2), (2e-4, 0.9, 0.99));
        let quick = catalogue.resolve(name, &request("quick"))?;
        assert_eq!(quick.data.set, SetConfig::Faces { named: set.to_owned(), size: 71 });
        // The same combinations in both, and the same as the named set holds out.
        assert_eq!(quick.data.held_out, paper.data.held_out);
        let sorted = |rules: &[HeldOut]| {
            let mut rules: Vec<String> = rules.iter().map(|rule| format!("{rule:?}")).collect();
            rules.sort();
            rules
        };
        assert_eq!(sorted(&paper.data.held_out), sorted(&faces::named(set, 158)?.held_out));
    }
    // The small networks, as published.
    let small = catalogue.resolve("mmi-result-3", &request("paper-71"))?;
    assert_eq!((small.training["mmi-small"].steps, small.training["mmi-small"].batch), (10_000, 8));
    Ok(())
}

/// Claim 3 of SPEC §8 asks for ten held-out persons per emotion, or more.
#[test]
fn held_out_pairs_hold_out_ten_persons_of_every_emotion_whatever_the_seed() -> Outcome {
    let pairs = Catalogue::new(folder()).resolve("kdef-held-out-pairs", &request("quick"))?;
    let set = faces::named("kdef-3emo", 71)?.config;
    let (factors, combinations) = (set.factors()?, set.combinations()?);
    let (person, emotion) = (factors.position("person")?, factors.position("emotion")?);
    for seed in 0..5 {
        let mut rules = pairs.data.held_out.clone();
        for rule in &mut rules {
            if let Rule::Share(share) = &mut rule.rule {
                share.seed += seed;
            }
        }
        let split = Split::new(&factors, &combinations, &rules)?;
        let mut persons = vec![BTreeSet::new(); 3];
        for &index in split.indices("held-out pairs").ok_or("no such set")? {
            persons[combinations[index][emotion]].insert(combinations[index][person]);
        }
        assert!(persons.iter().all(|persons| persons.len() >= 10), "seed {seed}: {persons:?}");
    }
    Ok(())
}

#[test]
fn a_file_of_the_users_own_is_found_by_its_path_and_names_its_pictures_from_there() -> Outcome {
    let dir = tempfile::tempdir()?;
    let folder_of_set = dir.path().join("shapes");
    custom::write_example(&folder_of_set)?;
    let file = folder_of_set.join(custom::EXAMPLE_EXPERIMENT).display().to_string();
    let catalogue = Catalogue::new(folder());
    assert_eq!(catalogue.matching(&file)?, [file.as_str()]);
    let experiment = catalogue.resolve(&file, &request("quick"))?;
    assert_eq!((experiment.name.as_str(), experiment.evaluate.sets.as_slice()), ("shapes", &["unseen".to_owned()][..]));
    let SetConfig::Custom(set) = &experiment.data.set else { return Err("not the user's set".into()) };
    assert!(set.images.ends_with("shapes/.") && set.table.ends_with("shapes/./labels.csv") || set.table.exists());
    std::fs::write(&file, "parent = \"custom\"\n[dataset]\nimages = \".\"\nlabels = \"labels.csv\"\n")?;
    let message = catalogue.resolve(&file, &request("quick")).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(message.contains("shapes.toml: dataset: unknown field `labels`") && !message.contains('\n'), "{message}");
    assert!(
        catalogue.resolve("nowhere.toml", &request("quick")).is_err_and(|e| e.to_string().contains("nowhere.toml"))
    );
    Ok(())
}

#[test]
fn a_file_of_the_users_own_must_not_replace_the_projects_results() -> Outcome {
    let dir = tempfile::tempdir()?;
    let catalogue = Catalogue::new(folder());
    custom::write_example(&dir.path().join("shapes"))?;
    let example = dir.path().join("shapes").join(custom::EXAMPLE_EXPERIMENT);
    let resolve = |stem: &str, profile: &str| -> Result<(), Box<dyn std::error::Error>> {
        let file = example.with_file_name(format!("{stem}.toml"));
        std::fs::copy(&example, &file)?;
        let resolved = catalogue.resolve(&file.display().to_string(), &request(profile));
        Ok(resolved.map(|_| ())?)
    };
    for (stem, profile, said) in [
        (
            "digits-result-1",
            "quick",
            "results/digits-result-1, which are those of the project's experiment digits-result-1",
        ),
        ("digits-result-1", "smoke", "results/digits-result-1-smoke"),
        ("Digits-Result-1", "quick", "experiment digits-result-1"),
        ("digits-result-1-paper", "quick", "results/digits-result-1-paper, which are those"),
        ("kdef-result-3-paper-71", "quick", "results/kdef-result-3-paper-71, which"),
        ("cache", "quick", "results/cache, the folder of trained runs"),
        ("mine-photographs", "quick", "which git ignores"),
    ] {
        let message = resolve(stem, profile).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains(said) && message.contains(&format!("{stem}.toml")), "{stem}: {message}");
        assert!(message.ends_with("rename the file") && !message.contains('\n'), "{message}");
    }
    // What is no name of the project's may be one of the user's, and the project's own files may be named by their paths.
    for stem in ["digits", "digits-result", "my-digits-result-1"] {
        resolve(stem, "quick")?;
    }
    let shipped = folder().join("digits-result-1.toml").display().to_string();
    assert_eq!(catalogue.resolve(&shipped, &request("quick"))?.name, "digits-result-1");
    Ok(())
}

#[test]
fn overrides_reach_solvers_of_all_or_one_model_and_the_document() -> Outcome {
    let catalogue = Catalogue::new(folder());
    let overrides =
        ["training.steps=7", "training.digits-v2.batch=3", "evaluate.sets=[\"train\"]"].map(str::to_owned).to_vec();
    let experiment = catalogue.resolve("digits-result-2", &Request { overrides, ..request("quick") })?;
    assert_eq!(experiment.training["operator-affine"].steps, 7);
    assert_eq!((experiment.training["digits-v2"].steps, experiment.training["digits-v2"].batch), (7, 3));
    assert_eq!(experiment.evaluate.sets, ["train"]);
    // The same without the table's name.
    let overrides = ["steps=7", "digits-v2.batch=3"].map(str::to_owned).to_vec();
    let short = catalogue.resolve("digits-result-2", &Request { overrides, ..request("quick") })?;
    assert_eq!(short.training, experiment.training);
    for wrong in [
        "steps",
        "nonsense=1",
        "steps=0",
        "digits-v2.nonsense=1",
        "digits-v1.steps=3",
        "evaluate.nonsense=1",
        "learning_rate=-1",
        "steps=many",
    ] {
        let error =
            catalogue.resolve("digits-result-2", &Request { overrides: vec![wrong.to_owned()], ..request("quick") });
        let message = error.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(!message.is_empty() && !message.contains('\n'), "{wrong}: {message}");
    }
    assert!(
        catalogue
            .resolve("digits-result-2", &request("fast"))
            .is_err_and(|e| e.to_string().contains("paper, quick, smoke"))
    );
    Ok(())
}

#[test]
fn what_the_sweep_and_the_familiar_cells_hold_out() -> Outcome {
    let catalogue = Catalogue::new(folder());
    let factors = digits::factors(DigitsConfig::default())?;
    let combinations: Vec<_> = factors.combinations().collect();
    let split = |name: &str| -> Result<Split, Box<dyn std::error::Error>> {
        Ok(Split::new(&factors, &combinations, &catalogue.resolve(name, &request("quick"))?.data.held_out)?)
    };
    // 600 cells of three colours each. Of 100 pairs of digit and style, 90 % of the cells leave 60 cells, one of a pair each.
    for (name, held_out, pairs) in
        [("holdout-sweep-01", 6, 100), ("holdout-sweep-50", 300, 100), ("holdout-sweep-90", 540, 60)]
    {
        let split = split(name)?;
        assert_eq!(split.indices("held-out cells").map(<[usize]>::len), Some(3 * held_out), "{name}");
        let seen: BTreeSet<&[usize]> = split.train.iter().map(|&index| &combinations[index].0[..2]).collect();
        assert_eq!(seen.len(), pairs, "{name}");
    }
    let familiar = split("digits-familiar-cells")?;
    assert_eq!(familiar.indices("2-style-4-red-rotate-90").map(<[usize]>::len), Some(1));
    assert_eq!(familiar.indices("familiar cells").map(<[usize]>::len), Some(30));
    let styled = catalogue.resolve("digits-styled", &request("quick"))?;
    assert_eq!(styled.data.set, SetConfig::Digits { transforms: 6, styles: Styles::Consistent });
    assert_eq!(styled.data.held_out, catalogue.resolve("digits-result-3", &request("quick"))?.data.held_out);
    Ok(())
}

#[test]
fn names_endings_and_all() -> Outcome {
    let catalogue = Catalogue::new(folder());
    assert!(catalogue.matching("result-3")?.contains(&"digits-result-3".to_owned()));
    assert_eq!(catalogue.matching("digits-result-1")?, ["digits-result-1"]);
    // A parent that is not run itself stands for those that build upon it, one that is for itself.
    let sweep = ["01", "10", "30", "50", "70", "90"].map(|share| format!("holdout-sweep-{share}"));
    assert_eq!(catalogue.matching("holdout-sweep")?, sweep);
    assert_eq!(catalogue.matching("digits-holdout-30")?, ["digits-holdout-30"]);
    assert_eq!(catalogue.matching("all")?, catalogue.names()?);
    let error = catalogue.matching("digits-reslt-3").err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("did you mean 'digits-result-3'?"), "{error}");
    Ok(())
}

#[test]
fn files_that_are_wrong_are_named() -> Outcome {
    let dir = tempfile::tempdir()?;
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text);
    std::fs::copy(folder().join("digits.toml"), dir.path().join("digits.toml"))?;
    let about = "title = \"t\"\n[about]\nquestion = \"q\"\nexpected = \"e\"\n";
    write("unknown-key.toml", &format!("parent = \"digits\"\nlearing_rate = 1\n{about}"))?;
    write("broken.toml", "parent = ")?;
    write("orphan.toml", "parent = \"nobody\"")?;
    write("loop.toml", "parent = \"loop\"")?;
    write("no-set.toml", &format!("parent = \"digits\"\n{about}[evaluate]\nsets = [\"result-9\"]\n"))?;
    let catalogue = Catalogue::new(dir.path());
    for (name, said) in [
        ("unknown-key", "learing_rate"),
        ("broken", "is not TOML"),
        ("orphan", "nobody.toml"),
        ("loop", "ancestor"),
        ("no-set", "result-9"),
    ] {
        let message = catalogue.resolve(name, &request("quick")).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains(said) && !message.contains('\n'), "{name}: {message}");
    }
    Ok(())
}

#[test]
fn the_delta_lists_what_a_file_changes() -> Outcome {
    let catalogue = Catalogue::new(folder());
    let delta = catalogue.delta("digits-result-3")?;
    assert!(delta.iter().any(|line| line == "evaluate.sets: [\"train\"] → [\"result-3\"]"), "{delta:?}");
    assert!(!delta.iter().any(|line| line.starts_with("training.")), "{delta:?}");
    Ok(())
}
