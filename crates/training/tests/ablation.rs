//! Ablations of the project's own full models: what the arms differ in, and what is refused.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use multigen_data::MnistSource;
use multigen_measure::ResultsDir;
use multigen_training::ablation::{self, LeftOut};
use multigen_training::dataset::{Data, Sources};
use multigen_training::experiment::Experiment;
use multigen_training::reproduce::{self, Options, PlannedRun};
use multigen_training::{Catalogue, Request};

type Outcome = Result<(), Box<dyn std::error::Error>>;

static GO: AtomicBool = AtomicBool::new(false);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn full(name: &str, profile: &str) -> multigen_training::Result<Experiment> {
    let request = Request { profile: profile.to_owned(), ..Request::default() };
    Catalogue::new(root().join("experiments")).resolve(name, &request)
}

/// The runs of both arms on two seeds.
fn runs(experiment: &Experiment) -> multigen_training::Result<Vec<PlannedRun>> {
    let mnist = MnistSource::Embedded { datasets: root().join("datasets") };
    let sources = Sources { mnist, drawn_faces: PathBuf::new(), kdef: None, mmi: None };
    let data = Data::load(&experiment.data.set, &sources)?;
    let options = Options {
        root: root(),
        results: ResultsDir::new("nowhere"),
        device: (Device::Cpu, "cpu".to_owned()),
        seeds: vec![0, 1],
        interrupt: &GO,
        quiet: true,
        command: String::new(),
    };
    reproduce::plan(experiment, &data, &options)
}

/// What the arms differ in, without the values.
fn paths(left_out: &[LeftOut]) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let both = ablation::experiment(&full("ablation", "quick")?, left_out)?;
    let differences = ablation::differences(&runs(&both)?, left_out)?;
    Ok(differences.iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect())
}

#[test]
fn arms_differ_in_what_is_left_out_and_in_nothing_else() -> Outcome {
    let of_cooperation = ["network", "pretraining.batch", "pretraining.learning_rate", "pretraining.steps"];
    let found = paths(&[LeftOut::Cooperative])?;
    for path in of_cooperation {
        assert!(found.contains(&format!("training.cooperation.{path}")), "{found:?}");
    }
    // Of the two phases the second one has a classifier.
    for path in ["classification", "classifier_learns"] {
        assert!(found.contains(&format!("training.phases.1.{path}")), "{found:?}");
    }
    assert!(found.iter().all(|path| path.contains("cooperation") || path.contains("classif")), "{found:?}");

    let adversarial = paths(&[LeftOut::Adversarial])?;
    assert!(adversarial.iter().all(|path| path.contains("adversarial")), "{adversarial:?}");
    assert!(adversarial.contains(&"training.phases.1.adversarial".to_owned()), "{adversarial:?}");
    assert_eq!(paths(&[LeftOut::Transform])?, ["training.cooperation.without.0"]);
    assert_eq!(paths(&[LeftOut::SquaredError])?, ["training.reconstruction"]);
    let segmentation = ["network.concatenating.mask_head", "training.mask_weight"];
    assert_eq!(paths(&[LeftOut::Segmentation])?, segmentation);
    let pretraining = paths(&[LeftOut::Pretraining])?;
    assert!(pretraining.iter().all(|path| path.starts_with("training.cooperation.pretraining.")), "{pretraining:?}");
    // Flags combine, in whatever order they come.
    let both = paths(&[LeftOut::SquaredError, LeftOut::Segmentation])?;
    assert_eq!(both, [&segmentation[..], &["training.reconstruction"]].concat());
    Ok(())
}

#[test]
fn arms_that_differ_in_more_are_refused() -> Outcome {
    let left_out = [LeftOut::Adversarial];
    let sound = ablation::experiment(&full("ablation", "quick")?, &left_out)?;
    let arm = sound.models[0].clone();
    let refused = |change: &dyn Fn(&mut Experiment)| -> Result<String, Box<dyn std::error::Error>> {
        let mut changed = sound.clone();
        change(&mut changed);
        let message = ablation::differences(&runs(&changed)?, &left_out).err().ok_or("it was not refused")?.to_string();
        assert!(!message.contains('\n'), "{message}");
        Ok(message)
    };
    let steps = refused(&|both| both.training.get_mut(&arm).into_iter().for_each(|solver| solver.steps += 1))?;
    assert!(steps.contains("training.steps: 400 → 401"), "{steps}");
    let weight = refused(&|both| {
        both.training.get_mut(&arm).into_iter().for_each(|solver| solver.phases[1].classification = 2.0);
    })?;
    assert!(weight.contains("training.phases.1.classification: 1.0 → 2.0"), "{weight}");
    // The same solver in both arms: no difference at all says nothing either.
    let same = refused(&|both| {
        let full = both.training[&both.models[1]].clone();
        both.training.insert(arm.clone(), full);
    })?;
    assert!(same.contains("do not differ"), "{same}");
    Ok(())
}

#[test]
fn what_cannot_be_left_out_is_refused_with_a_reason() -> Outcome {
    let message = |name: &str, left_out: &[LeftOut]| -> Result<String, Box<dyn std::error::Error>> {
        let message =
            ablation::experiment(&full(name, "quick")?, left_out).err().ok_or("it was not refused")?.to_string();
        assert!(!message.contains('\n'), "{message}");
        Ok(message)
    };
    assert!(message("ablation", &[])?.contains("nothing is left out"));
    assert!(message("ablation-faces", &[LeftOut::Segmentation])?.contains("has no mask head"));
    assert!(
        message("ablation", &[LeftOut::Cooperative, LeftOut::Transform])?.contains("leaves out the whole classifier")
    );
    assert!(message("digits-result-3", &[LeftOut::Adversarial])?.contains("expected one model"));
    Ok(())
}

#[test]
fn both_arms_and_their_folder_are_named_by_what_is_left_out() -> Outcome {
    let both = ablation::experiment(&full("ablation", "quick")?, &[LeftOut::SquaredError, LeftOut::Cooperative])?;
    assert_eq!(both.name, "ablation-no-cooperative-loss-l1");
    assert_eq!(both.models, ["digits-v2-mask+no-cooperative-loss-l1", "digits-v2-mask+full"]);
    let without_mask = ablation::experiment(&full("ablation", "quick")?, &[LeftOut::Segmentation])?;
    assert_eq!(without_mask.models, ["digits-v2+no-segmentation", "digits-v2-mask+full"]);
    for profile in ["paper", "smoke"] {
        for name in ["ablation", "ablation-faces"] {
            ablation::experiment(&full(name, profile)?, &[LeftOut::Pretraining, LeftOut::Adversarial])?;
        }
    }
    Ok(())
}
