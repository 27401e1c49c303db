//! The loop: twice the same bytes, stopped and gone on with the same bytes, and what it refuses to go on from.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType, Device, Tensor};
use multigen_data::sets::digits;
use multigen_data::{DigitsConfig, ImageSet, MnistSource, Part, Split};
use multigen_measure::Commit;
use multigen_models::concatenating::{Branch, ConcatenatingConfig, FeatureMap, FillingRules};
use multigen_models::layers::Upsampling;
use multigen_models::{Activation, GeneratorConfig, Params, presets};
use multigen_training::adversarial::{Adversarial, AdversarialLoss, Regularisation};
use multigen_training::checkpoint::{self, RunFiles};
use multigen_training::cooperation::Cooperation;
use multigen_training::judging::JudgeTraining;
use multigen_training::phases::Phase;
use multigen_training::run_config::{DataConfig, Reconstruction, RunConfig, TrainingConfig};
use multigen_training::schedule::Schedule;
use multigen_training::train::{Images, Surroundings, Trained, train};
use multigen_training::{Error, Result};

static GO: AtomicBool = AtomicBool::new(false);
static STOP: AtomicBool = AtomicBool::new(true);

/// All digits, and a split that holds a few images out; loaded once.
fn data() -> &'static (ImageSet, Split, DataConfig) {
    static DATA: OnceLock<(ImageSet, Split, DataConfig)> = OnceLock::new();
    DATA.get_or_init(|| {
        let datasets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
        let mnist = MnistSource::Embedded { datasets }.load(Part::Train).unwrap();
        let set = digits::build(&mnist, DigitsConfig { transforms: 6 }).unwrap();
        let text = "set = { digits = { transforms = 6 } }\n[[held_out]]\nname = 'seven'\nwhere = { digit = 7, style = 9, transform = 'mirror-x' }";
        let config: DataConfig = toml::from_str(text).unwrap();
        let split = Split::new(&set.factors, &set.combinations, &config.held_out).unwrap();
        (set, split, config)
    })
}

/// A generator small enough for a step in milliseconds, with everything that a checkpoint has to carry: PReLU's slopes
/// and both heads.
fn small_network() -> GeneratorConfig {
    let branch = |(factor, levels): (&str, usize)| Branch { factor: factor.to_owned(), levels, fc1: 8, fc2: 8 };
    let up = |channels, kernel, padding| Upsampling { channels, kernel, stride: 2, padding, conv3: false };
    GeneratorConfig::Concatenating(ConcatenatingConfig {
        branches: [("digit", 10), ("style", 10), ("colour", 3), ("transform", 6)].map(branch).to_vec(),
        hidden: vec![16],
        map: FeatureMap { channels: 8, size: 7 },
        upsampling: vec![up(8, 4, 1), up(3, 2, 0)],
        activation: Activation::Prelu,
        last: Activation::Linear,
        mask_head: true,
        filling: FillingRules::Plain,
    })
}

fn config(seed: u64) -> RunConfig {
    RunConfig {
        model: "small".to_owned(),
        network: small_network(),
        data: data().2.clone(),
        factors: data().0.factors.as_slice().to_vec(),
        training_images: data().1.train.len(),
        data_sha256: "not looked at here".to_owned(),
        training: TrainingConfig {
            steps: 8,
            batch: 8,
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 1e-2,
            schedule: Schedule::Cosine { warmup_steps: 2 },
            reconstruction_weight: 1.0,
            mask_weight: 1.0,
            evaluate_every: 5,
            checkpoint_every: 3,
            reconstruction: Reconstruction::default(),
            cooperation: None,
            adversarial: None,
            phases: Vec::new(),
        },
        device: "cpu".to_owned(),
        seed,
    }
}

fn run(config: &RunConfig, cache: &Path, interrupt: &AtomicBool) -> Result<Trained> {
    let (set, split, _) = data();
    train(
        config,
        Images { set, truth: set },
        split,
        cache,
        Surroundings { device: &Device::Cpu, interrupt, quiet: true, commit: None },
    )
}

fn files(config: &RunConfig, cache: &Path) -> RunFiles {
    RunFiles::new(cache, &config.model, config.seed, &config.hash().unwrap())
}

fn weights(config: &RunConfig, cache: &Path) -> Vec<u8> {
    std::fs::read(files(config, cache).weights()).unwrap()
}

/// Runs to the end with a stop after every single step; how many sittings it took.
fn run_step_by_step(config: &RunConfig, cache: &Path) -> (Trained, u64) {
    for sitting in 1..=config.training.steps {
        match run(config, cache, &STOP) {
            Ok(trained) => return (trained, sitting),
            Err(Error::Interrupted { step, steps, .. }) => {
                assert_eq!((step, steps), (sitting, config.training.steps), "every sitting goes one step further");
                assert!(!files(config, cache).weights().exists(), "weights are final or not there");
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("not done after as many sittings as steps");
}

fn message(result: Result<Trained>) -> String {
    let text = result.map(|_| "it was trained").unwrap_err().to_string();
    assert!(!text.contains('\n'), "one line: {text}");
    text
}

/// The figures of a run without what a clock measured.
fn figures(trained: &Trained) -> (Vec<(u64, u64)>, String) {
    let history = trained.history.iter().map(|point| (point.loss.to_bits(), point.learning_rate.to_bits())).collect();
    (history, format!("{:?} {:?}", trained.progress.evaluations, trained.progress.best))
}

/// All three phases, the last two with imagined combinations, in eight steps: 2, 3 and 3.
fn cooperating() -> RunConfig {
    let phase = |name: &str, share, classification, classifier_learns| Phase {
        classification,
        imagined: if classification > 0.0 { 0.5 } else { 0.0 },
        classifier_learns,
        ..Phase::new(name, share)
    };
    let mut config = config(6);
    config.training.phases =
        vec![phase("alone", 0.25, 0.0, false), phase("fixed", 0.375, 5.0, false), phase("flexible", 0.375, 1.0, true)];
    let pretraining = JudgeTraining { steps: 2, batch: 8, learning_rate: 1e-3, test_images: 8, solver: None };
    config.training.cooperation = Some(Cooperation {
        pretraining: Some(pretraining),
        network: "alexnet-compact".to_owned(),
        leaking: false,
        without: Vec::new(),
    });
    config
}

/// A phase of reconstruction alone in two steps, then six with a discriminator.
fn adversarial(loss: AdversarialLoss, regularisation: Regularisation) -> RunConfig {
    let mut config = config(9);
    config.training.phases =
        vec![Phase::new("alone", 0.25), Phase { adversarial: 0.5, ..Phase::new("adversarial", 0.75) }];
    config.training.adversarial = Some(Adversarial { loss, regularisation, learning_rate: 4e-3 });
    config
}

/// Half of the weight in the second phase is half of the loss of its first step; the first phase has the whole of it.
#[test]
fn a_phase_weighs_the_reconstruction() {
    let losses = |reconstruction| {
        let mut config = config(9);
        config.training.phases =
            vec![Phase::new("first", 0.25), Phase { reconstruction, ..Phase::new("second", 0.75) }];
        let cache = tempfile::tempdir().unwrap();
        run(&config, cache.path(), &GO).unwrap().history.iter().map(|point| point.loss).collect::<Vec<_>>()
    };
    let (whole, half) = (losses(1.0), losses(0.5));
    assert_eq!(whole[..2], half[..2]);
    assert!((half[2] - whole[2] / 2.0).abs() < 1e-5 * whole[2], "{} {}", half[2], whole[2]);
}

#[test]
fn a_run_with_a_discriminator_is_stopped_and_gone_on_with_the_same_bytes() {
    let [straight, stepwise] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for config in [
        adversarial(AdversarialLoss::Hinge, Regularisation::SpectralNorm),
        adversarial(AdversarialLoss::Wasserstein, Regularisation::GradientPenalty(10.0)),
    ] {
        let once = run(&config, straight.path(), &GO).unwrap();
        let (in_steps, sittings) = run_step_by_step(&config, stepwise.path());
        assert_eq!(sittings, 8);
        assert_eq!(figures(&once), figures(&in_steps));
        assert_eq!(once.progress.diagnostics, in_steps.progress.diagnostics);
        assert_eq!(weights(&config, straight.path()), weights(&config, stepwise.path()));
        // Looked at in steps 5 and 8, evaluate_every = 5.
        let steps: Vec<u64> = once.progress.diagnostics.iter().map(|row| row.step).collect();
        assert_eq!(steps, [5, 8]);
    }
}

#[test]
fn a_discriminator_learns_in_its_phase_at_its_own_rate_and_teaches_the_generator() {
    let weights_before = |config: &RunConfig, cache: &Path, step: u64, prefix: &str| -> Vec<f32> {
        std::fs::remove_dir_all(files(config, cache).dir()).ok();
        for sitting in 1..=step {
            assert!(matches!(run(config, cache, &STOP), Err(Error::Interrupted { step, .. }) if step == sitting));
        }
        let last = checkpoint::load(&files(config, cache).last(), &config.hash().unwrap()).unwrap().unwrap();
        let mut weights: Vec<_> =
            last.weights.iter().filter(|(name, _)| name.starts_with("discriminator.") != prefix.is_empty()).collect();
        weights.sort_by_key(|(name, _)| *name);
        weights.iter().flat_map(|(_, tensor)| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
    };
    let cache = tempfile::tempdir().unwrap();
    let config = adversarial(AdversarialLoss::NonSaturating, Regularisation::None);
    let of_discriminator = |config: &RunConfig, step| weights_before(config, cache.path(), step, "discriminator.");
    let (start, before_phase, after_one) =
        (of_discriminator(&config, 1), of_discriminator(&config, 2), of_discriminator(&config, 3));
    assert_eq!(start, before_phase, "it does not learn before its phase");
    // Adam's first step moves a parameter by its rate, whatever the gradient: 4e-3, of which a warm-up of two steps
    // takes half.
    let largest = start.iter().zip(&after_one).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!((largest - 2e-3).abs() < 1e-5, "{largest}");
    // The same seed and phases without the term: the generator learns otherwise from the first step of the phase on.
    let mut alone = config.clone();
    alone.training.adversarial = None;
    alone.training.phases[1].adversarial = 0.0;
    let of_generator = |config: &RunConfig, step| weights_before(config, cache.path(), step, "");
    assert_eq!(of_generator(&config, 2), of_generator(&alone, 2));
    assert_ne!(of_generator(&config, 3), of_generator(&alone, 3));
}

#[test]
fn a_run_with_a_classifier_is_stopped_and_gone_on_with_the_same_bytes() {
    let [straight, stepwise] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let config = cooperating();
    let once = run(&config, straight.path(), &GO).unwrap();
    // A classifier that is stopped in its pretraining, a minute's work, starts again; here it is there already.
    for file in std::fs::read_dir(straight.path()).unwrap().map(|entry| entry.unwrap()) {
        if file.file_name().to_string_lossy().starts_with("classifier-") {
            std::fs::copy(file.path(), stepwise.path().join(file.file_name())).unwrap();
        }
    }
    let (in_steps, sittings) = run_step_by_step(&config, stepwise.path());
    assert_eq!(sittings, 8);
    assert_eq!(figures(&once), figures(&in_steps));
    let weights = |cache: &Path| std::fs::read(files(&config, cache).weights()).unwrap();
    assert_eq!(weights(straight.path()), weights(stepwise.path()));
    // Warm-ups of two steps, of which the first has half the rate: the schedule starts anew with every phase.
    let rates: Vec<f64> = once.history.iter().map(|point| point.learning_rate).collect();
    for first in [0, 2, 5] {
        assert!((rates[first] - 5e-4).abs() < 1e-12, "{rates:?}");
    }
    // Loaded again: the classifier as it was at the end, not as it was pretrained.
    let again = run(&config, straight.path(), &GO).unwrap();
    let classifier = |trained: &Trained| values(trained.cooperating.as_ref().unwrap().classifier().params());
    assert_eq!(classifier(&once), classifier(&again));
}

#[test]
fn a_frozen_classifier_stays_as_it_was_and_still_teaches() {
    let cache = tempfile::tempdir().unwrap();
    let mut config = cooperating();
    // Without imagined combinations, so that all three runs see the same true images.
    phases_of(&mut config).iter_mut().for_each(|phase| phase.imagined = 0.0);
    let classifier = |trained: &Trained| values(trained.cooperating.as_ref().unwrap().classifier().params());
    let flexible = run(&config, cache.path(), &GO).unwrap();
    phases_of(&mut config)[2].classifier_learns = false;
    let fixed = run(&config, cache.path(), &GO).unwrap();
    for phase in &mut phases_of(&mut config)[1..] {
        // Too little to be felt: what it is multiplied by must be above 0 where a classifier takes part.
        phase.classification = 1e-30;
    }
    let untaught = run(&config, cache.path(), &GO).unwrap();
    assert_eq!(classifier(&fixed), classifier(&untaught), "nothing reaches a frozen classifier");
    assert_ne!(classifier(&fixed), classifier(&flexible));
    assert_ne!(
        values(fixed.generator.params()),
        values(untaught.generator.params()),
        "its reading reaches the generator"
    );
}

#[test]
fn a_classifier_learns_in_the_phase_that_says_so_and_in_no_other() {
    let cache = tempfile::tempdir().unwrap();
    let config = cooperating();
    // Pretrained by a run to the end, whose own weights are forgotten.
    run(&config, cache.path(), &GO).unwrap();
    std::fs::remove_dir_all(files(&config, cache.path()).dir()).unwrap();
    // Every sitting goes one step further, and leaves the weights before the next one.
    let classifier: Vec<Vec<f32>> = (1..=7)
        .map(|step| {
            assert!(
                matches!(run(&config, cache.path(), &STOP), Err(Error::Interrupted { step: at, .. }) if at == step)
            );
            let last =
                checkpoint::load(&files(&config, cache.path()).last(), &config.hash().unwrap()).unwrap().unwrap();
            let mut weights: Vec<_> = last.weights.iter().filter(|(name, _)| name.starts_with("classifier.")).collect();
            weights.sort_by_key(|(name, _)| *name);
            assert!(!weights.is_empty());
            // The optimiser starts anew with each phase.
            let n_updates = step - [0, 2, 5].into_iter().filter(|first| *first <= step).max().unwrap();
            assert_eq!(
                last.optimiser["adam.t"].to_dtype(DType::U32).unwrap().to_vec1::<u32>().unwrap(),
                [n_updates as u32]
            );
            weights.iter().flat_map(|(_, tensor)| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
        })
        .collect();
    // Alone in steps 0 and 1, fixed in 2, 3 and 4, flexible from 5 on.
    for step in 2..=5 {
        assert!(classifier[step - 1] == classifier[0], "before step {step}");
    }
    assert!(classifier[5] != classifier[0] && classifier[6] != classifier[5]);
}

#[test]
fn what_is_drawn_is_measured_against_the_truth_and_learned_from_what_is_shown() {
    let (set, split, _) = data();
    let black = ImageSet { images: vec![0.0; set.images.len()], ..set.clone() };
    let against = |truth: &ImageSet| {
        let cache = tempfile::tempdir().unwrap();
        let around = Surroundings { device: &Device::Cpu, interrupt: &GO, quiet: true, commit: None };
        train(&config(7), Images { set, truth }, split, cache.path(), around).unwrap()
    };
    let (own, other) = (against(set), against(&black));
    assert_eq!(figures(&own).0, figures(&other).0);
    assert!(own.progress.evaluations.iter().zip(&other.progress.evaluations).all(|(a, b)| a.psnr_db != b.psnr_db));
    assert!(!own.progress.evaluations.is_empty());
}

fn values(params: &Params) -> Vec<f32> {
    let tensors = params.tensors().unwrap();
    tensors.values().flat_map(|tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
}

fn phases_of(config: &mut RunConfig) -> &mut Vec<Phase> {
    &mut config.training.phases
}

#[test]
fn a_run_names_the_commits_that_trained_it_also_when_it_is_reused_by_another() {
    let cache = tempfile::tempdir().unwrap();
    let (set, split, _) = data();
    let run_at = |hash: &str, interrupt| {
        let commit = Commit { hash: hash.to_owned(), dirty: false };
        let around = Surroundings { device: &Device::Cpu, interrupt, quiet: true, commit: Some(&commit) };
        train(&config(4), Images { set, truth: set }, split, cache.path(), around)
    };
    let hashes = |trained: Trained| trained.progress.commits.into_iter().map(|commit| commit.hash).collect::<Vec<_>>();
    assert!(matches!(run_at("first", &STOP), Err(Error::Interrupted { .. })));
    assert!(matches!(run_at("first", &STOP), Err(Error::Interrupted { .. })));
    assert_eq!(hashes(run_at("second", &GO).unwrap()), ["first", "second"]);
    assert_eq!(hashes(run_at("third", &GO).unwrap()), ["first", "second"], "the third one trained nothing");
}

#[test]
fn the_same_configuration_gives_the_same_bytes_and_another_seed_others() {
    let cache = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let (first, other) = (config(1), config(2));
    let a = run(&first, cache[0].path(), &GO).unwrap();
    let b = run(&first, cache[1].path(), &GO).unwrap();
    let c = run(&other, cache[2].path(), &GO).unwrap();
    assert!(weights(&first, cache[0].path()) == weights(&first, cache[1].path()));
    assert_eq!(figures(&a), figures(&b));
    assert_ne!(a.history[0].loss.to_bits(), c.history[0].loss.to_bits());
    // The files carry the hash of their configuration, so the tensors are compared.
    let tensors = |trained: &Trained| {
        let tensors = trained.generator.params().tensors().unwrap();
        tensors
            .into_iter()
            .map(|(name, t)| (name, t.flatten_all().unwrap().to_vec1::<f32>().unwrap()))
            .collect::<Vec<_>>()
    };
    assert!(tensors(&a) == tensors(&b));
    for ((name, a), (_, c)) in tensors(&a).iter().zip(&tensors(&c)) {
        assert!(a != c, "{name} does not depend on the seed");
    }
}

#[test]
fn a_run_that_is_stopped_after_every_step_ends_with_the_same_bytes() {
    let operator = RunConfig {
        model: "operator-affine".to_owned(),
        network: presets::generator("operator-affine").unwrap(),
        ..config(3)
    };
    for config in [config(3), operator] {
        let cache = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let whole = run(&config, cache[0].path(), &GO).unwrap();
        let (stopped, sittings) = run_step_by_step(&config, cache[1].path());
        assert_eq!(sittings, config.training.steps);
        assert!(weights(&config, cache[0].path()) == weights(&config, cache[1].path()), "{}", config.model);
        assert_eq!(figures(&whole), figures(&stopped), "{}", config.model);
        assert_eq!(whole.history.len(), 8);
        // Steps 5 and 8, on the training set and on the held-out one.
        assert_eq!(whole.progress.evaluations.iter().map(|row| row.step).collect::<Vec<_>>(), [5, 5, 8, 8]);
        // A complete run is loaded, whatever the flag says, and is the same again.
        let loaded = run(&config, cache[1].path(), &STOP).unwrap();
        assert_eq!(figures(&whole), figures(&loaded));
        assert!(
            !files(&config, cache[1].path()).last().exists(),
            "the optimiser's state is of no use after the last step"
        );
    }
}

#[test]
fn a_run_that_another_thread_stops_ends_with_the_same_bytes() {
    let mut config = config(4);
    config.training.steps = 60;
    let cache = [(); 2].map(|()| tempfile::tempdir().unwrap());
    run(&config, cache[0].path(), &GO).unwrap();
    let flag = AtomicBool::new(false);
    let last = files(&config, cache[1].path()).last();
    let stopped = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !last.exists() && !files(&config, cache[1].path()).weights().exists() {
                std::thread::yield_now();
            }
            flag.store(true, Ordering::Relaxed);
        });
        run(&config, cache[1].path(), &flag)
    });
    // On a machine that lets the other thread wait for long the run may be over; then nothing was stopped.
    if let Err(error) = stopped {
        assert!(matches!(error, Error::Interrupted { step: 3.., .. }), "{error}");
        run(&config, cache[1].path(), &GO).unwrap();
    }
    assert!(weights(&config, cache[0].path()) == weights(&config, cache[1].path()));
}

#[test]
fn what_a_killed_writer_left_is_removed() {
    let (config, cache) = (config(5), tempfile::tempdir().unwrap());
    let dir = files(&config, cache.path()).dir().to_path_buf();
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(".last.safetensors.Xy12.tmp"), b"half a checkpoint").unwrap();
    run(&config, cache.path(), &GO).unwrap();
    let mut names: Vec<String> =
        std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, ["best.safetensors", "record.safetensors", "run.json", "weights.safetensors"]);
}

#[test]
fn the_last_weights_are_kept_whether_they_are_the_best_or_not() {
    // Evaluations are after steps 5 and 8. A rate a thousand times as high from the sixth step on spoils what was learned.
    for (factor, best_step) in [(1.0, 8), (1e3, 5)] {
        let mut config = config(7);
        config.training.schedule = Schedule::Steps { factor, at: vec![5] };
        let cache = tempfile::tempdir().unwrap();
        let trained = run(&config, cache.path(), &GO).unwrap();
        assert_eq!(trained.progress.best.map(|(step, _)| step), Some(best_step));
        let files = files(&config, cache.path());
        let same = std::fs::read(files.best()).unwrap() == std::fs::read(files.weights()).unwrap();
        assert_eq!(same, best_step == 8);
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let [best, last] = [files.best(), files.weights()].map(|path| std::fs::metadata(path).unwrap().ino());
            assert_eq!(best == last, best_step == 8, "kept once where they are the same");
        }
        let kept = checkpoint::load_weights(&files.weights(), &config.hash().unwrap()).unwrap();
        let last = trained.generator.params().tensors().unwrap();
        assert_eq!(kept.len(), last.len());
        for (name, tensor) in last {
            let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(values(&kept[&name]) == values(&tensor), "{name}");
        }
    }
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint() {
    // Step 4 (the fifth) multiplies the rate by 1e30; the loss of the next one overflows. With a checkpoint after every
    // step, the overflowing weights are not among them; whether an evaluation meets them first makes no difference.
    for (checkpoint_every, evaluate_every) in [(1, 100), (1, 5), (4, 100)] {
        let mut config = config(6);
        config.training.schedule = Schedule::Steps { factor: 1e30, at: vec![4] };
        (config.training.checkpoint_every, config.training.evaluate_every) = (checkpoint_every, evaluate_every);
        let cache = tempfile::tempdir().unwrap();
        let last = files(&config, cache.path()).last();
        for _again in 0..2 {
            let error = run(&config, cache.path(), &GO).unwrap_err();
            assert!(
                matches!(&error, Error::NonFiniteLoss { step: 5, checkpoint: Some(path), .. } if *path == last),
                "{error}"
            );
            let text = message(Err(error));
            assert!(
                text.contains("small, seed 6")
                    && text.contains("at step 5")
                    && text.contains("lower the learning rate"),
                "{text}"
            );
            let good = checkpoint::load(&last, &config.hash().unwrap()).unwrap().unwrap();
            assert_eq!((good.progress.step, good.history.len()), (4, 4));
            for tensor in good.weights.values() {
                let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert!(values.iter().all(|value| value.abs() < 100.0));
            }
        }
        assert!(!files(&config, cache.path()).weights().exists());
    }
    let mut config = config(6);
    config.training.learning_rate = 1e30;
    let text = message(run(&config, tempfile::tempdir().unwrap().path(), &GO));
    assert!(text.contains("at step 1;") && text.contains("there is no checkpoint yet"), "{text}");
}

#[test]
fn a_checkpoint_of_another_configuration_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let (own, other) = (config(7), config(8));
    for config in [&own, &other] {
        message(run(config, cache.path(), &STOP));
    }
    let (own_files, other_files) = (files(&own, cache.path()), files(&other, cache.path()));
    let refused = |path: PathBuf| {
        let error = run(&own, cache.path(), &GO).unwrap_err();
        let (expected, found) = (own.hash().unwrap(), other.hash().unwrap());
        assert!(
            matches!(&error, Error::ForeignCheckpoint { path: p, expected: e, found: f } if (p, e, f) == (&path, &expected, &found)),
            "{error}"
        );
        let text = message(Err(error));
        assert!(text.contains("--fresh") && text.contains(&path.display().to_string()), "{text}");
    };
    std::fs::copy(other_files.last(), own_files.last()).unwrap();
    refused(own_files.last());

    std::fs::remove_file(own_files.last()).unwrap();
    for config in [&own, &other] {
        run(config, cache.path(), &GO).unwrap();
    }
    // Both networks are of the same shape: only the hash tells their weights apart.
    std::fs::copy(other_files.weights(), own_files.weights()).unwrap();
    refused(own_files.weights());
    std::fs::copy(other_files.record(), own_files.record()).unwrap();
    refused(own_files.record());
}

#[test]
fn a_broken_file_is_named_whatever_its_length() {
    let (config, cache) = (config(9), tempfile::tempdir().unwrap());
    let refused = |path: &Path, n_bytes: usize, whole: &[u8]| {
        std::fs::write(path, &whole[..n_bytes]).unwrap();
        let text = message(run(&config, cache.path(), &GO));
        assert!(text.starts_with(&path.display().to_string()) && text.contains("delete it"), "{n_bytes} bytes: {text}");
    };
    message(run(&config, cache.path(), &STOP));
    let files = files(&config, cache.path());
    let last = std::fs::read(files.last()).unwrap();
    for n_bytes in [0, 7, 100, last.len() / 2, last.len() - 1] {
        refused(&files.last(), n_bytes, &last);
    }
    std::fs::write(files.last(), &last).unwrap();
    run(&config, cache.path(), &GO).unwrap();
    for path in [files.weights(), files.record()] {
        let whole = std::fs::read(&path).unwrap();
        for n_bytes in [0, 100, whole.len() - 1] {
            refused(&path, n_bytes, &whole);
        }
        std::fs::write(&path, &whole).unwrap();
    }
    run(&config, cache.path(), &GO).unwrap();
}
