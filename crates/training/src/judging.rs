//! The judge: trained once on real handwriting, cached, and tested on real images that it never saw (SPEC §6).
//!
//! It is trained on MNIST's 60,000 training images, each in a colour and a transform drawn at random anew in each epoch,
//! and tested on the 10,000 test images in the same way. Nothing that is generated ever reaches it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor};
use multigen_data::randomness::keyed_rng;
use multigen_data::sets::digits;
use multigen_data::sets::mnist::SIZE;
use multigen_data::{DigitsConfig, Factors, LabelledImages, MnistSource, Part, transforms};
use multigen_measure::{Commit, JudgeRecord};
use multigen_models::{Judge, JudgeConfig};
use multigen_ops::{self as ops, GradientBuffers};
use ndarray::Array4;
use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::progress::ProgressLine;
use crate::run_config::{TrainingConfig, short_hash};
use crate::schedule::Schedule;
use crate::train::optimiser;
use crate::{Error, Result};

/// How a judge is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeTraining {
    /// Updates.
    pub steps: u64,
    /// Images per update.
    pub batch: usize,
    /// Learning rate at the start of its cosine.
    pub learning_rate: f64,
    /// Test images that its accuracy is measured on.
    pub test_images: usize,
}

impl JudgeTraining {
    /// The judge of a profile: one of a few steps for `smoke`, else the same one for all.
    pub fn of_profile(profile: &str) -> Self {
        match profile {
            "smoke" => Self { steps: 40, batch: 64, learning_rate: 2e-3, test_images: 500 },
            _ => Self { steps: 1000, batch: 128, learning_rate: 2e-3, test_images: 10_000 },
        }
    }
}

/// A judge with its own accuracy.
#[derive(Debug)]
pub struct TrainedJudge {
    judge: Judge,
    device: Device,
    /// How well it reads real images that it never saw.
    pub record: JudgeRecord,
}

/// What names a cached judge.
#[derive(Serialize)]
struct Key<'a> {
    training: &'a JudgeTraining,
    network: &'a JudgeConfig,
    transforms: usize,
    data_sha256: &'a str,
    device: &'a str,
}

const RECORD: &str = "record";

impl TrainedJudge {
    /// The judge for a set of digits: from the cache, or trained now (about a minute on two cores).
    ///
    /// # Errors
    /// When the data cannot be read, the cache cannot be written, or the user interrupts.
    pub fn get(
        source: &MnistSource,
        config: DigitsConfig,
        training: &JudgeTraining,
        cache: &Path,
        device: &Device,
        (interrupt, quiet, commit): (&AtomicBool, bool, Option<&Commit>),
    ) -> Result<Self> {
        let factors = digits::factors(config)?;
        let heads = read_factors(&factors);
        let network = JudgeConfig { image_size: SIZE, heads };
        let train = source.load(Part::Train)?;
        let data_sha256 = sha256_hex(&[&train.pixels, &train.labels]);
        let key = Key {
            training,
            network: &network,
            transforms: config.transforms,
            data_sha256: &data_sha256,
            device: crate::device::kind(device),
        };
        let json = serde_json::to_vec(&key).map_err(|e| Error::config("judge", e.to_string()))?;
        let path = cache.join(format!("judge-{}.safetensors", short_hash(&json)));
        let judge = Judge::new(&network, device, &mut keyed_rng(0, "judge weights", 0))?;
        if let Some(record) = cached_record(&path)? {
            judge.load_file(&path)?;
            return Ok(Self { judge, device: device.clone(), record });
        }
        let painter = Painter::new(config)?;
        fit(&judge, &train, &painter, training, device, (interrupt, quiet))?;
        let test = source.load(Part::Test)?;
        let mut record = test_accuracy(&judge, &test, &painter, training, device)?;
        record.commit = commit.cloned();
        let trained = Self { judge, device: device.clone(), record };
        trained.save(&path)?;
        if !quiet {
            eprintln!("judge: reads real test images it never saw: {}", accuracy_text(&trained.record));
        }
        Ok(trained)
    }

    /// The level of each factor that the judge reads in each image.
    ///
    /// # Shapes
    /// `[m, 3, h, w]` → per factor m levels.
    ///
    /// # Errors
    /// When the images have another size.
    pub fn read(&self, images: &Array4<f32>) -> Result<Vec<(String, Vec<usize>)>> {
        let (_, c, h, w) = images.dim();
        let mut read: Vec<(String, Vec<usize>)> = Vec::new();
        for chunk in images.axis_chunks_iter(ndarray::Axis(0), 256) {
            let pixels: Vec<f32> = chunk.iter().copied().collect();
            let batch = Tensor::from_vec(pixels, (chunk.dim().0, c, h, w), &self.device)?;
            for (i, (factor, logits)) in self.judge.forward(&batch)?.into_iter().enumerate() {
                let levels = logits.argmax(1)?.to_vec1::<u32>()?;
                if read.len() <= i {
                    read.push((factor, Vec::new()));
                }
                read[i].1.extend(levels.into_iter().map(|level| level as usize));
            }
        }
        Ok(read)
    }

    fn save(&self, path: &Path) -> Result<()> {
        let tensors = self.judge.params().tensors()?;
        let record = serde_json::to_string(&self.record).map_err(|e| Error::file(path, e))?;
        let metadata = HashMap::from([(RECORD.to_owned(), record)]);
        let bytes = safetensors::serialize(tensors.iter().map(|(n, t)| (n.as_str(), t)), Some(metadata))
            .map_err(|e| Error::file(path, e))?;
        Ok(multigen_measure::atomic_write(path, &bytes)?)
    }
}

/// The judge's accuracy in one phrase.
pub fn accuracy_text(record: &JudgeRecord) -> String {
    record.accuracy.iter().map(|(factor, a)| format!("{factor} {a:.4}")).collect::<Vec<_>>().join(", ")
}

/// The SHA-256 of some byte lists in hexadecimal digits.
pub(crate) fn sha256_hex(parts: &[&[u8]]) -> String {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A style is no property that can be read off an image of another writer, so the judge reads all factors but that.
fn read_factors(factors: &Factors) -> Vec<(String, usize)> {
    factors
        .iter()
        .filter(|factor| factor.name != "style")
        .map(|factor| (factor.name.clone(), factor.n_levels()))
        .collect()
}

fn cached_record(path: &Path) -> Result<Option<JudgeRecord>> {
    let Ok(bytes) = std::fs::read(path) else { return Ok(None) };
    let broken = |e: &dyn std::fmt::Display| {
        Error::file(path, format!("is not a whole judge ({e}); delete it to train the judge anew"))
    };
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| broken(&e))?;
    let json = header.metadata().as_ref().and_then(|m| m.get(RECORD)).ok_or_else(|| broken(&"it carries no record"))?;
    serde_json::from_str(json).map(Some).map_err(|e| broken(&e))
}

/// Paints grey images in a colour and a transform.
struct Painter {
    permutations: Vec<Vec<usize>>,
}

/// A painted batch: images `[n, 3, 28, 28]`, and per factor (digit, colour, transform) the levels.
struct Painted {
    images: Vec<f32>,
    levels: [Vec<u32>; 3],
}

impl Painter {
    fn new(config: DigitsConfig) -> Result<Self> {
        let permutations = transforms::levels(config.transforms)?.iter().map(|t| t.permutation(SIZE)).collect();
        Ok(Self { permutations })
    }

    fn paint(&self, from: &LabelledImages, indices: &[usize], rng: &mut impl rand::Rng) -> Painted {
        let n_colours = digits::COLOURS.len();
        let mut painted =
            Painted { images: vec![0.0; indices.len() * n_colours * SIZE * SIZE], levels: Default::default() };
        for (&index, image) in indices.iter().zip(painted.images.chunks_exact_mut(n_colours * SIZE * SIZE)) {
            let (Some(grey), Some(&digit)) = (from.image(index), from.labels.get(index)) else { continue };
            let (colour, transform) = (rng.random_range(0..n_colours), rng.random_range(0..self.permutations.len()));
            digits::paint(grey, &self.permutations[transform], colour, image);
            for (levels, level) in painted.levels.iter_mut().zip([u32::from(digit), colour as u32, transform as u32]) {
                levels.push(level);
            }
        }
        painted
    }
}

impl Painted {
    fn tensor(&mut self, device: &Device) -> Result<Tensor> {
        let n = self.levels[0].len();
        Ok(Tensor::from_vec(std::mem::take(&mut self.images), (n, digits::COLOURS.len(), SIZE, SIZE), device)?)
    }
}

fn fit(
    judge: &Judge,
    train: &LabelledImages,
    painter: &Painter,
    training: &JudgeTraining,
    device: &Device,
    (interrupt, quiet): (&AtomicBool, bool),
) -> Result<()> {
    let solver = TrainingConfig {
        steps: training.steps,
        batch: training.batch,
        learning_rate: training.learning_rate,
        beta1: 0.9,
        beta2: 0.99,
        weight_decay: 1e-4,
        schedule: Schedule::Cosine { warmup_steps: 50 },
        reconstruction_weight: 1.0,
        mask_weight: 0.0,
        evaluate_every: training.steps,
        checkpoint_every: training.steps,
    };
    let mut adam = optimiser(judge.params(), &solver)?;
    let mut gradients = GradientBuffers::new(&judge.params().vars());
    let mut order: Vec<usize> = (0..train.len()).collect();
    order.shuffle(&mut keyed_rng(0, "judge order", 0));
    let mut line = ProgressLine::start("judge", 0, solver.steps, quiet);
    let started = std::time::Instant::now();
    for step in 0..solver.steps {
        if interrupt.load(Ordering::Relaxed) {
            return Err(Error::Interrupted { model: "judge".to_owned(), seed: 0, step, steps: solver.steps });
        }
        let batch: Vec<usize> =
            (0..solver.batch).map(|i| order[(step as usize * solver.batch + i) % order.len()]).collect();
        let mut painted = painter.paint(train, &batch, &mut keyed_rng(0, "judge batch", step));
        let mut loss = Tensor::new(0f32, device)?;
        for ((_, logits), levels) in judge.forward(&painted.tensor(device)?)?.iter().zip(&painted.levels) {
            loss = (loss + ops::softmax_cross_entropy(logits, &Tensor::new(levels.as_slice(), device)?)?)?;
        }
        gradients.backward(&loss)?;
        adam.step(
            &gradients,
            solver.learning_rate * solver.schedule.multiplier(step, solver.steps),
            solver.weight_decay,
        )?;
        let loss = f64::from(loss.to_scalar::<f32>()?);
        if !loss.is_finite() {
            return Err(Error::config(
                "judge",
                format!("its loss is {loss} at step {step}; this should not happen with the shipped data"),
            ));
        }
        line.update(step + 1, loss, ((step + 1) * solver.batch as u64) as f64 / started.elapsed().as_secs_f64());
    }
    line.finish(&format!("{} steps in {:.0} s", solver.steps, started.elapsed().as_secs_f64()));
    Ok(())
}

fn test_accuracy(
    judge: &Judge,
    test: &LabelledImages,
    painter: &Painter,
    training: &JudgeTraining,
    device: &Device,
) -> Result<JudgeRecord> {
    let n = training.test_images.min(test.len());
    let indices: Vec<usize> = (0..n).collect();
    let mut rng = keyed_rng(0, "judge test", 0);
    let mut right: BTreeMap<String, u64> = BTreeMap::new();
    for chunk in indices.chunks(256) {
        let mut painted = painter.paint(test, chunk, &mut rng);
        for ((factor, logits), levels) in judge.forward(&painted.tensor(device)?)?.iter().zip(&painted.levels) {
            let read = logits.argmax(1)?.to_vec1::<u32>()?;
            *right.entry(factor.clone()).or_default() += read.iter().zip(levels).filter(|(a, b)| a == b).count() as u64;
        }
    }
    Ok(JudgeRecord {
        description: format!(
            "A convolutional network, trained for {} steps of {} on MNIST's 60,000 training images in random colours and transforms, tested on MNIST's test images, which neither it nor any generator has seen.",
            training.steps, training.batch
        ),
        n_images: n as u64,
        accuracy: right.into_iter().map(|(factor, right)| (factor, right as f64 / n.max(1) as f64)).collect(),
        commit: None,
    })
}
