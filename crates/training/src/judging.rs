//! The judge: trained once on real images, cached, and tested on real images that it never saw (SPEC §6).
//!
//! Nothing that is generated ever reaches it. What it learns from are [`Lessons`]: handwriting for digits, all
//! combinations of a set of images elsewhere.

mod deal;
mod fit;
mod half_way;
mod handwriting;
mod images;
mod kept;
mod lessons;
mod solver;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use multigen_data::ImageSet;
use multigen_measure::JudgeRecord;
use multigen_models::{Classifier, ClassifierConfig, Dropout, JudgeConfig, Params};
use ndarray::Array4;
use serde::{Deserialize, Serialize};

pub(crate) use self::fit::{fit, start, step_seconds};
pub(crate) use self::half_way::HalfWay;
pub use self::handwriting::Handwriting;
pub use self::images::Images;
pub(crate) use self::images::OF_ONE_SET;
pub(crate) use self::kept::{record, save};
pub(crate) use self::lessons::heads;
pub use self::lessons::{Lesson, Lessons, Material};
pub use self::solver::{Solver, SolverRest};
use crate::checkpoint;
use crate::estimate::{Estimated, Known};
use crate::run_config::short_hash;
use crate::schedule::Schedule;
use crate::train::Surroundings;
use crate::{Error, Result};

/// How a judge is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeTraining {
    /// Updates.
    pub steps: u64,
    /// Images per update.
    pub batch: usize,
    /// Base learning rate.
    pub learning_rate: f64,
    /// At most so many test images measure its accuracy.
    pub test_images: usize,
    /// The rest of its solver, where it is another than the judges'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solver: Option<SolverRest>,
}

impl JudgeTraining {
    /// The judge of a profile for images of this size: one of a few steps for `smoke`, else the same one for all.
    pub fn new(profile: &str, image_size: usize) -> Self {
        match profile {
            "smoke" => Self { steps: 40, batch: 64, learning_rate: 2e-3, test_images: 500, solver: None },
            // Larger images are fewer in all sets, and six times the work each.
            _ if image_size > 32 => Self::on_images(600),
            _ => Self { steps: 1000, batch: 128, learning_rate: 2e-3, test_images: 10_000, solver: None },
        }
    }

    /// So many steps on images larger than handwriting.
    pub fn on_images(steps: u64) -> Self {
        Self { steps, batch: 64, learning_rate: 1e-3, test_images: 10_000, solver: None }
    }

    pub(crate) fn solver(&self) -> Solver {
        let rest = self.solver.clone().unwrap_or(SolverRest {
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 1e-4,
            schedule: Schedule::Cosine { warmup_steps: 50 },
        });
        let SolverRest { beta1, beta2, weight_decay, schedule } = rest;
        let Self { steps, batch, learning_rate, .. } = *self;
        Solver { steps, batch, learning_rate, beta1, beta2, weight_decay, schedule }
    }
}

/// The level of each factor that a classifier reads in each image.
///
/// # Shapes
/// `[m, 3, h, w]` → per factor m levels.
///
/// # Errors
/// When the images have another size.
pub fn classify(classifier: &Classifier, images: &Array4<f32>) -> Result<Vec<(String, Vec<usize>)>> {
    let (_, c, h, w) = images.dim();
    let mut read: Vec<(String, Vec<usize>)> = Vec::new();
    for chunk in images.axis_chunks_iter(ndarray::Axis(0), 256) {
        let pixels: Vec<f32> = chunk.iter().copied().collect();
        let batch = Tensor::from_vec(pixels, (chunk.dim().0, c, h, w), classifier.params().device())?;
        for (i, (factor, logits)) in classifier.forward(&batch, Dropout::Off)?.into_iter().enumerate() {
            let levels = logits.argmax(1)?.to_vec1::<u32>()?;
            if read.len() <= i {
                read.push((factor, Vec::new()));
            }
            read[i].1.extend(levels.into_iter().map(|level| level as usize));
        }
    }
    Ok(read)
}

/// The judge's network.
pub(crate) fn judge_network(image_size: usize, heads: Vec<(String, usize)>) -> ClassifierConfig {
    ClassifierConfig::Judge(JudgeConfig { image_size, heads })
}

/// A judge, or another classifier that is trained as judges are, with its own accuracy.
#[derive(Debug)]
pub struct TrainedJudge {
    judge: Classifier,
    /// How well it reads real images that it never saw.
    pub record: JudgeRecord,
}

/// What names a cached judge.
#[derive(Serialize)]
struct Key<'a> {
    training: &'a JudgeTraining,
    network: &'a ClassifierConfig,
    lessons: &'a str,
    device: &'a str,
}

/// Judges have one seed: an experiment's seeds share their judge.
pub(crate) const JUDGES_SEED: u64 = 0;

/// Who the judge is, among those that are trained as it is.
pub(crate) const JUDGE: &str = "judge";

impl TrainedJudge {
    /// The judge that these lessons make: from the cache, or trained now (about a minute on two cores). Their images are
    /// gathered for training alone.
    ///
    /// # Errors
    /// When the data cannot be read, the cache cannot be written, or the user interrupts.
    pub fn get(lessons: &Lessons, training: &JudgeTraining, cache: &Path, around: Surroundings) -> Result<Self> {
        let network = &lessons.network;
        let (path, hash) = place(lessons, training, cache, around.device)?;
        let kept = (HalfWay::of(&path, &hash), HalfWay::of_twin(&path, &hash));
        if let Some(record) = record::<JudgeRecord>(&path)? {
            let judge = start(network, Params::new(around.device), lessons.seed)?;
            judge.load_file(&path)?;
            // Still there where a process was killed between the two.
            kept.0.delete()?;
            kept.1.delete()?;
            return Ok(Self { judge, record });
        }
        let trained = Self::make(lessons, training, (Some(&kept.0), Some(&kept.1)), around)?;
        save(&path, &trained.judge, &trained.record)?;
        kept.0.delete()?;
        kept.1.delete()?;
        if !around.quiet {
            eprintln!("{}: reads test images it never saw: {}", lessons.reader, accuracy_text(&trained.record));
        }
        Ok(trained)
    }

    /// How long it would take to train the judge, if it is not in the cache.
    ///
    /// # Errors
    /// When its images cannot be gathered or a step fails.
    pub(crate) fn estimate(
        lessons: &Lessons,
        training: &JudgeTraining,
        cache: &Path,
        around: Surroundings,
        known: &mut Known,
    ) -> Result<Estimated> {
        let (path, hash) = place(lessons, training, cache, around.device)?;
        let JudgeTraining { steps, batch, .. } = training;
        let what = format!("{}: {steps} steps of {batch}", lessons.reader);
        if path.exists() || known.contains_key(&hash) {
            return Ok(Estimated { what, complete: path.exists(), seconds: 0.0 });
        }
        let mut material = (lessons.material)()?;
        let solver = training.solver();
        let step = step_seconds(&lessons.network, material.as_mut(), (&solver, lessons.seed), around, known)?;
        let n_networks = if material.twin()?.is_some() { 2.0 } else { 1.0 };
        let seconds = n_networks * step * *steps as f64;
        known.insert(hash, seconds);
        Ok(Estimated { what, complete: false, seconds })
    }

    /// Deletes the judge from the cache, and what is kept of it half way.
    ///
    /// # Errors
    /// When a file cannot be deleted.
    pub(crate) fn forget(lessons: &Lessons, training: &JudgeTraining, cache: &Path, device: &Device) -> Result<()> {
        let (path, hash) = place(lessons, training, cache, device)?;
        checkpoint::delete_file(&path)?;
        HalfWay::of(&path, &hash).delete()?;
        HalfWay::of_twin(&path, &hash).delete()
    }

    /// Trains and tests a judge that is not kept.
    ///
    /// # Errors
    /// As [`TrainedJudge::get`].
    pub fn train(lessons: &Lessons, training: &JudgeTraining, around: Surroundings) -> Result<Self> {
        Self::make(lessons, training, (None, None), around)
    }

    fn make(
        lessons: &Lessons,
        training: &JudgeTraining,
        (half_way, of_twin): (Option<&HalfWay>, Option<&HalfWay>),
        around: Surroundings,
    ) -> Result<Self> {
        let network = &lessons.network;
        let mut material = (lessons.material)()?;
        let solver = training.solver();
        let who = (lessons.reader, network);
        let (judge, _) = fit(who, material.as_mut(), (&solver, lessons.seed), half_way, around)?;
        let (n_images, accuracy) = match material.twin()? {
            None => test_accuracy(&judge, network.image_size(), material.as_ref(), training, around.device)?,
            Some(mut twin) => {
                let (stand_in, _) = fit(who, twin.as_mut(), (&solver, lessons.seed), of_twin, around)?;
                test_accuracy(&stand_in, network.image_size(), twin.as_ref(), training, around.device)?
            }
        };
        let description = describe(lessons, training);
        let record = JudgeRecord { description, n_images, accuracy, commit: around.commit.cloned() };
        Ok(Self { judge, record })
    }

    /// The level of each factor that the judge reads in each image.
    ///
    /// # Shapes
    /// `[m, 3, h, w]` → per factor m levels.
    ///
    /// # Errors
    /// When the images have another size.
    pub fn read(&self, images: &Array4<f32>) -> Result<Vec<(String, Vec<usize>)>> {
        classify(&self.judge, images)
    }

    /// A copy of its weights in a network that never learns (`Params::frozen`) or goes on learning.
    ///
    /// # Errors
    /// When the device has no room.
    pub(crate) fn network(&self, config: &ClassifierConfig, params: Params) -> Result<Classifier> {
        let copy = start(config, params, JUDGES_SEED)?;
        copy.params().load("classifier", &self.judge.params().tensors()?.into_iter().collect())?;
        Ok(copy)
    }
}

/// Where a judge lies in the cache, and the hash that names it.
fn place(lessons: &Lessons, training: &JudgeTraining, cache: &Path, device: &Device) -> Result<(PathBuf, String)> {
    let key =
        Key { training, network: &lessons.network, lessons: &lessons.identity, device: crate::device::kind(device) };
    let json = serde_json::to_vec(&key).map_err(|e| Error::config("judge", e.to_string()))?;
    let hash = short_hash(&json);
    Ok((cache.join(format!("{}-{hash}.safetensors", lessons.reader)), hash))
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
    hexadecimal(&hasher.finalize())
}

/// The SHA-256 of a set's pixels and combinations in hexadecimal digits.
pub(crate) fn sha256_of_set(set: &ImageSet) -> String {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    let mut bytes = Vec::new();
    for (index, image) in set.images.chunks_exact(set.image_len().max(1)).enumerate() {
        bytes.clear();
        bytes.extend(image.iter().flat_map(|pixel| pixel.to_le_bytes()));
        hasher.update(&bytes);
        hasher.update(set.label(index).unwrap_or_default());
    }
    hexadecimal(&hasher.finalize())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn describe(lessons: &Lessons, training: &JudgeTraining) -> String {
    let JudgeTraining { steps, batch, .. } = training;
    format!("A convolutional network, trained for {steps} steps of {batch} on {}.", lessons.description)
}

/// How many images the judge was tested on, and the share of them that it read right, per factor of which they tell.
fn test_accuracy(
    judge: &Classifier,
    image_size: usize,
    material: &dyn Material,
    training: &JudgeTraining,
    device: &Device,
) -> Result<(u64, BTreeMap<String, f64>)> {
    const AT_ONCE: usize = 256;
    let n = training.test_images.min(material.n_test());
    let mut right: BTreeMap<String, u64> = BTreeMap::new();
    for start in (0..n).step_by(AT_ONCE) {
        let (images, levels) = material.test(start..n.min(start + AT_ONCE))?.tensors(image_size, device)?;
        for ((factor, logits), levels) in judge.forward(&images, Dropout::Off)?.iter().zip(&levels) {
            if !material.tells(factor) {
                continue;
            }
            let read = logits.argmax(1)?.to_vec1::<u32>()?;
            let levels = levels.to_vec1::<u32>()?;
            *right.entry(factor.clone()).or_default() +=
                read.iter().zip(&levels).filter(|(a, b)| a == b).count() as u64;
        }
    }
    Ok((n as u64, right.into_iter().map(|(factor, right)| (factor, right as f64 / n.max(1) as f64)).collect()))
}
