//! A classifier half way through its training, beside its place in the cache until it is complete.

use std::path::{Path, PathBuf};
use std::time::Duration;

use multigen_measure::Commit;
use multigen_models::Classifier;
use multigen_ops::Adam;

use crate::Result;
use crate::checkpoint::{self, Progress};

/// How often a classifier is kept: what a killed process loses at most.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// The checkpoint of one classifier: weights, optimiser state and step, as those of a run.
#[derive(Debug, Clone)]
pub(crate) struct HalfWay {
    path: PathBuf,
    hash: String,
}

impl HalfWay {
    /// Of the classifier with this hash that will lie at `path`.
    pub fn of(path: &Path, hash: &str) -> Self {
        Self { path: path.with_extension("half-way.safetensors"), hash: hash.to_owned() }
    }

    /// Of its twin, which tells how well it reads.
    pub fn of_twin(path: &Path, hash: &str) -> Self {
        Self { path: path.with_extension("twin-half-way.safetensors"), hash: hash.to_owned() }
    }

    /// The step and the seconds of a training by this commit; its beginning where nothing is kept, or what is kept is another
    /// commit's: a classifier's record names one commit.
    ///
    /// # Errors
    /// When the file is broken.
    pub(super) fn resume(
        &self,
        classifier: &Classifier,
        adam: &mut Adam,
        commit: Option<&Commit>,
        quiet: bool,
    ) -> Result<(u64, f64)> {
        let Some(kept) = checkpoint::load(&self.path, &self.hash)? else { return Ok((0, 0.0)) };
        if kept.progress.commits.first() != commit {
            if !quiet {
                eprintln!("{}: kept half way by another commit; it begins anew", self.path.display());
            }
            return Ok((0, 0.0));
        }
        classifier.params().load(&self.path.display().to_string(), &kept.weights)?;
        adam.load_state(&kept.optimiser)?;
        Ok((kept.progress.step, kept.progress.seconds))
    }

    /// Keeps what `steps` steps in `seconds` have made.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn save(
        &self,
        (classifier, adam): (&Classifier, &Adam),
        (step, seconds): (u64, f64),
        seed: u64,
        commit: Option<&Commit>,
    ) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            checkpoint::make_folder(folder)?;
        }
        let progress = Progress {
            config_hash: self.hash.clone(),
            step,
            seed,
            best: None,
            evaluations: Vec::new(),
            diagnostics: Vec::new(),
            seconds,
            commits: commit.cloned().into_iter().collect(),
        };
        checkpoint::save(&self.path, &progress, &classifier.params().tensors()?, &adam.state()?, &[])
    }

    /// Deletes it: the classifier is complete, or to be trained anew.
    ///
    /// # Errors
    /// When the file cannot be deleted.
    pub fn delete(&self) -> Result<()> {
        checkpoint::delete_file(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use candle_core::Device;
    use multigen_data::randomness::keyed_rng;
    use multigen_data::{Factor, Factors, ImageSet};
    use multigen_models::ClassifierConfig;
    use rand::RngExt;

    use crate::Error;

    use super::super::{Images, JudgeTraining, Lesson, Lessons, Material, Solver, TrainedJudge, fit, judge_network};
    use super::*;
    use crate::schedule::Schedule;
    use crate::train::Surroundings;

    const STEPS: u64 = 4;

    /// Other images at every step.
    struct Noise;

    impl Material for Noise {
        fn batch(&mut self, step: u64, n: usize) -> Result<Lesson> {
            let mut rng = keyed_rng(0, "noise", step);
            let images = (0..n * 3 * 28 * 28).map(|_| rng.random()).collect();
            Ok(Lesson { images, levels: vec![(0..n).map(|_| rng.random_range(0..3)).collect()] })
        }

        fn n_test(&self) -> usize {
            0
        }

        fn test(&self, _images: std::ops::Range<usize>) -> Result<Lesson> {
            Ok(Lesson { images: Vec::new(), levels: vec![Vec::new()] })
        }
    }

    fn commit(hash: &str) -> Commit {
        Commit { hash: hash.to_owned(), dirty: false }
    }

    fn weights(classifier: &Classifier) -> Vec<Vec<f32>> {
        let tensors = classifier.params().tensors().unwrap();
        tensors.values().map(|tensor| tensor.flatten_all().unwrap().to_vec1().unwrap()).collect()
    }

    struct Training {
        network: ClassifierConfig,
        solver: Solver,
        half_way: HalfWay,
    }

    impl Training {
        fn new(folder: &Path) -> Self {
            let solver = Solver {
                steps: STEPS,
                batch: 4,
                learning_rate: 1e-3,
                beta1: 0.9,
                beta2: 0.99,
                weight_decay: 1e-4,
                schedule: Schedule::Cosine { warmup_steps: 2 },
            };
            let network = judge_network(28, vec![("digit".to_owned(), 3)]);
            Self { network, solver, half_way: HalfWay::of(&folder.join("new/reader.safetensors"), "hash") }
        }

        fn sitting(&self, is_stopped: bool, commit: &Commit, is_kept: bool) -> Result<(Classifier, f64)> {
            let interrupt = AtomicBool::new(is_stopped);
            let around =
                Surroundings { device: &Device::Cpu, interrupt: &interrupt, quiet: true, commit: Some(commit) };
            let half_way = Some(&self.half_way).filter(|_| is_kept);
            fit(("reader", &self.network), &mut Noise, (&self.solver, 7), half_way, around)
        }

        /// The step at which a sitting stops that is asked to.
        fn stops_at(&self, commit: &Commit) -> u64 {
            match self.sitting(true, commit, true) {
                Err(Error::ClassifierInterrupted { step, is_kept: true, .. }) => step,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_classifier_that_is_stopped_at_every_step_has_the_same_weights() {
        let folder = tempfile::tempdir().unwrap();
        let training = Training::new(folder.path());
        let (whole, _) = training.sitting(false, &commit("a"), false).unwrap();
        for step in 1..STEPS {
            assert_eq!(training.stops_at(&commit("a")), step);
        }
        let (in_pieces, seconds) = training.sitting(true, &commit("a"), true).unwrap();
        assert_eq!(weights(&in_pieces), weights(&whole));
        // What is complete is kept until it lies in its own place.
        let (again, as_before) = training.sitting(true, &commit("a"), true).unwrap();
        assert_eq!(weights(&again), weights(&whole));
        assert!(as_before >= seconds);
        training.half_way.delete().unwrap();
        training.half_way.delete().unwrap();
        assert_eq!(training.stops_at(&commit("a")), 1);
    }

    /// A judge of one set is two networks: stopped after steps 1 and 2 of each, and complete at the fifth sitting.
    #[test]
    fn a_judge_and_its_twin_go_on_and_leave_one_file() {
        let cache = tempfile::tempdir().unwrap();
        let factors = Factors::new(vec![Factor::numbered("shape", 4), Factor::numbered("size", 5)]).unwrap();
        let combinations: Vec<_> = factors.combinations().collect();
        let images = (0..combinations.len() * 3 * 28 * 28).map(|i| (i % 11) as f32 / 10.0).collect();
        let set = ImageSet { factors, channels: 3, height: 28, width: 28, images, masks: None, combinations };
        let lessons = Lessons {
            reader: "judge",
            network: judge_network(28, vec![("shape".to_owned(), 4)]),
            identity: "set".to_owned(),
            seed: 0,
            description: String::new(),
            material: Box::new(|| Ok(Box::new(Images::of_one_set(&set, &["shape"])?))),
        };
        let training = JudgeTraining { steps: 3, batch: 4, learning_rate: 1e-3, test_images: 4, solver: None };
        let interrupt = AtomicBool::new(true);
        let around = Surroundings { device: &Device::Cpu, interrupt: &interrupt, quiet: true, commit: None };
        let sitting = || TrainedJudge::get(&lessons, &training, cache.path(), around);
        let n_files = || std::fs::read_dir(cache.path()).unwrap().count();
        for at in [1, 2, 1, 2] {
            let stopped = sitting().unwrap_err();
            assert!(matches!(stopped, Error::ClassifierInterrupted { step, .. } if step == at), "{stopped}");
        }
        assert_eq!(n_files(), 2);
        let judge = sitting().unwrap();
        let whole =
            TrainedJudge::train(&lessons, &training, Surroundings { interrupt: &AtomicBool::new(false), ..around });
        assert_eq!((n_files(), &judge.record), (1, &whole.unwrap().record));
        assert_eq!(sitting().unwrap().record, judge.record);
        TrainedJudge::forget(&lessons, &training, cache.path(), &Device::Cpu).unwrap();
        assert_eq!(n_files(), 0);
    }

    #[test]
    fn another_commit_begins_anew_and_a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let training = Training::new(folder.path());
        assert_eq!((training.stops_at(&commit("a")), training.stops_at(&commit("a"))), (1, 2));
        assert_eq!(training.stops_at(&commit("b")), 1);
        assert!(matches!(
            training.sitting(true, &commit("b"), false),
            Err(Error::ClassifierInterrupted { step: 1, is_kept: false, .. })
        ));
        std::fs::write(&training.half_way.path, "nonsense").unwrap();
        let message = training.sitting(true, &commit("b"), true).unwrap_err().to_string();
        assert!(message.contains("reader.half-way.safetensors") && message.contains("delete it"), "{message}");
    }
}
