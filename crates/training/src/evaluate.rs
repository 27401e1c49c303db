//! Measuring a trained generator: PSNR, SSIM, MSE, the judge's reading, and the nearest training image.

use multigen_data::{ImageSet, Split};
use multigen_measure::{self as measure, Baselines, EvaluationRow, JUDGE_JOINT, JUDGE_PRODUCT, MetricRow, SHARPNESS};
use multigen_models::{Generator, LevelTable};
use ndarray::{Array4, ArrayView3, Axis};

use crate::judging::TrainedJudge;
use crate::{Error, Result};

/// Images drawn at a time: bounds the memory that activations take.
const DRAWN_AT_ONCE: usize = 128;

/// Draws the combinations of these images, clamped to [0, 1].
///
/// # Shapes
/// m indices → `[m, c, h, w]`.
///
/// # Errors
/// When an index or a level does not exist.
pub fn draw(generator: &Generator, set: &ImageSet, indices: &[usize]) -> Result<Array4<f32>> {
    let mut pixels = Vec::with_capacity(indices.len() * set.image_len());
    for chunk in indices.chunks(DRAWN_AT_ONCE) {
        let rows: Vec<Vec<u32>> = chunk
            .iter()
            .filter_map(|&i| set.combinations.get(i))
            .map(|c| c.iter().map(|&level| level as u32).collect())
            .collect();
        let levels = LevelTable::from_rows(rows.iter().map(Vec::as_slice))?;
        pixels.extend(generator.forward(&levels)?.images.detach().flatten_all()?.to_vec1::<f32>()?);
    }
    let images = array(pixels, indices.len(), set)?;
    Ok(measure::clamp_to_unit(images.view()))
}

/// The true images with these indices, `[m, c, h, w]`.
///
/// # Errors
/// When an index does not exist.
pub fn truth(set: &ImageSet, indices: &[usize]) -> Result<Array4<f32>> {
    array(set.gather(indices)?.images, indices.len(), set)
}

pub(crate) fn array(pixels: Vec<f32>, n: usize, set: &ImageSet) -> Result<Array4<f32>> {
    Array4::from_shape_vec((n, set.channels, set.height, set.width), pixels).map_err(|e| {
        Error::config("images", format!("expected {n} images of {}×{}×{}: {e}", set.channels, set.height, set.width))
    })
}

/// Mean PSNR on at most `at_most` evenly spaced images of the training set, then of each held-out set.
pub(crate) fn sampled(
    generator: &Generator,
    set: &ImageSet,
    split: &Split,
    at_most: usize,
    (model, seed, step): (&str, u64, u64),
) -> Result<Vec<EvaluationRow>> {
    let sets = std::iter::once(("train", &split.train))
        .chain(split.held_out.iter().map(|(name, indices)| (name.as_str(), indices)));
    sets.map(|(name, indices)| {
        let stride = indices.len().div_ceil(at_most).max(1);
        let sample: Vec<usize> = indices.iter().copied().step_by(stride).collect();
        let (drawn, true_images) = (draw(generator, set, &sample)?, truth(set, &sample)?);
        let values = psnr_each(&drawn, &true_images)?;
        let psnr_db = values.iter().sum::<f64>() / values.len().max(1) as f64;
        Ok(EvaluationRow { model: model.to_owned(), seed, step, set: name.to_owned(), psnr_db })
    })
    .collect()
}

fn psnr_each(images: &Array4<f32>, true_images: &Array4<f32>) -> Result<Vec<f64>> {
    images.outer_iter().zip(true_images.outer_iter()).map(|(image, truth)| Ok(measure::psnr(image, truth)?)).collect()
}

/// Whose images are measured: what goes into the rows beside the figures.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The experiment.
    pub experiment: &'a str,
    /// The model, or a baseline's name.
    pub model: &'a str,
    /// The seed.
    pub seed: u64,
    /// The set of combinations.
    pub set: &'a str,
}

/// All figures of some images: one row per combination and metric.
///
/// With `nearest`, the PSNR to the nearest training image is measured as well: near 100 dB for an image that was copied.
///
/// # Errors
/// When shapes do not fit, or the judge fails.
pub fn measure_images(
    subject: Subject,
    images: &Array4<f32>,
    (set, indices): (&ImageSet, &[usize]),
    judge: &TrainedJudge,
    nearest: Option<&Array4<f32>>,
) -> Result<Vec<MetricRow>> {
    let true_images = truth(set, indices)?;
    let sharpness = |image: ArrayView3<f32>| Ok(measure::sharpness(image)?);
    let mut columns: Vec<(String, Vec<f64>)> = vec![
        (SHARPNESS.to_owned(), images.outer_iter().map(sharpness).collect::<Result<_>>()?),
        ("psnr_db".to_owned(), psnr_each(images, &true_images)?),
        ("ssim".to_owned(), each(images, &true_images, |a, b| measure::ssim(a, b))?),
        ("mse".to_owned(), each(images, &true_images, |a, b| measure::mse(a, b))?),
    ];
    let mut all_right = vec![1.0; indices.len()];
    let mut product = 1.0;
    let first_of_judge = columns.len();
    for (factor, read) in judge.read(images)? {
        let right = read_right(&factor, &read, (set, indices))?;
        product *= right.iter().sum::<f64>() / right.len().max(1) as f64;
        all_right.iter_mut().zip(&right).for_each(|(all, right)| *all *= right);
        columns.push((format!("judge_{factor}"), right));
    }
    // All factors right at once, and how often that would be if the errors in one had nothing to do with those in another.
    if columns.len() > first_of_judge + 1 {
        columns.push((JUDGE_JOINT.to_owned(), all_right));
        columns.push((JUDGE_PRODUCT.to_owned(), vec![product; indices.len()]));
    }
    if let Some(nearest) = nearest {
        columns.push(("nearest_train_psnr_db".to_owned(), psnr_each(images, nearest)?));
    }
    Ok(rows(subject, &columns, (set, indices)))
}

/// The PSNR of some images to others than the true ones, as rows of `metric`.
///
/// # Errors
/// When shapes do not fit.
pub fn psnr_to(
    subject: Subject,
    metric: &str,
    (images, others): (&Array4<f32>, &Array4<f32>),
    of_images: (&ImageSet, &[usize]),
) -> Result<Vec<MetricRow>> {
    Ok(rows(subject, &[(metric.to_owned(), psnr_each(images, others)?)], of_images))
}

/// One row per image and column.
fn rows(subject: Subject, columns: &[(String, Vec<f64>)], (set, indices): (&ImageSet, &[usize])) -> Vec<MetricRow> {
    let mut rows = Vec::with_capacity(columns.len() * indices.len());
    for (i, &index) in indices.iter().enumerate() {
        let combination = set.label(index).unwrap_or_default();
        rows.extend(columns.iter().map(|(metric, values)| MetricRow {
            experiment: subject.experiment.to_owned(),
            model: subject.model.to_owned(),
            seed: Some(subject.seed),
            set: subject.set.to_owned(),
            combination: combination.clone(),
            metric: metric.clone(),
            value: values[i],
        }));
    }
    rows
}

/// Of each image, whether a factor is read right.
fn read_right(factor: &str, read: &[usize], (set, indices): (&ImageSet, &[usize])) -> Result<Vec<f64>> {
    let position = set.factors.position(factor)?;
    let right = |(&i, level): (&usize, &usize)| {
        f64::from(set.combinations.get(i).and_then(|c| c.level(position)) == Some(*level))
    };
    Ok(indices.iter().zip(read).map(right).collect())
}

/// Whether each factor of each image is read right, as metrics that begin with `prefix`.
///
/// # Errors
/// When a factor does not exist.
pub fn read_rows(
    subject: Subject,
    prefix: &str,
    read: Vec<(String, Vec<usize>)>,
    (set, indices): (&ImageSet, &[usize]),
) -> Result<Vec<MetricRow>> {
    let mut columns = Vec::new();
    for (factor, read) in read {
        columns.push((format!("{prefix}{factor}"), read_right(&factor, &read, (set, indices))?));
    }
    Ok(rows(subject, &columns, (set, indices)))
}

fn each(
    images: &Array4<f32>,
    true_images: &Array4<f32>,
    metric: impl Fn(ndarray::ArrayView3<f32>, ndarray::ArrayView3<f32>) -> measure::Result<f64>,
) -> Result<Vec<f64>> {
    images.outer_iter().zip(true_images.outer_iter()).map(|(image, truth)| Ok(metric(image, truth)?)).collect()
}

/// For each image the training image nearest to it, and its index among all images of the set.
///
/// # Errors
/// When shapes do not fit.
pub fn nearest_training_images(
    images: &Array4<f32>,
    baselines: &Baselines,
    split: &Split,
    set: &ImageSet,
) -> Result<(Array4<f32>, Vec<usize>)> {
    let found: Vec<usize> = baselines
        .nearest(images.view())?
        .iter()
        .filter_map(|nearest| split.train.get(nearest.index).copied())
        .collect();
    Ok((truth(set, &found)?, found))
}

/// The images of some rows of an array.
pub(crate) fn select(images: &Array4<f32>, rows: &[usize]) -> Array4<f32> {
    images.select(Axis(0), rows)
}
