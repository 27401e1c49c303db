//! Samples: the images that a report shows, of one model and seed, in one safetensors file.
//!
//! Tensors `<set>.truth`, `<set>.generated`, `<set>.nearest`, f32 `[n, c, h, w]`; the order of the sets and all labels
//! lie as JSON under the metadata key `samples`.

use std::path::Path;

use ndarray::Array4;
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::labelled_tensors::{self, LabelledTensor};

const KEY: &str = "samples";

/// The images of one set of combinations.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// The set of combinations.
    pub set: String,
    /// The combination of each image, as `digit=7 style=9 colour=red transform=mirror-x`.
    pub labels: Vec<String>,
    /// The true images, `[n, c, h, w]`.
    pub truth: Array4<f32>,
    /// The generated images, clamped to [0, 1].
    pub generated: Array4<f32>,
    /// For each *generated* image the training image nearest to it: the look at memorisation.
    pub nearest: Array4<f32>,
    /// The combinations of the nearest training images.
    pub nearest_labels: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetLabels {
    set: String,
    labels: Vec<String>,
    nearest_labels: Vec<String>,
}

/// Writes the samples of one model and seed atomically; the same samples give the same bytes.
///
/// # Errors
/// Counts or shapes that do not fit together, two sets of one name; anything that keeps the file from being written.
pub fn write_samples(path: &Path, samples: &[Samples]) -> Result<()> {
    let mut tensors = Vec::new();
    let mut set_labels = Vec::new();
    for (set_idx, sample) in samples.iter().enumerate() {
        check(sample)?;
        if samples.iter().take(set_idx).any(|earlier| earlier.set == sample.set) {
            return Err(Error::Shape {
                what: "samples",
                expected: "every set once".to_owned(),
                found: format!("`{}` twice", sample.set),
            });
        }
        for (part, images) in [("truth", &sample.truth), ("generated", &sample.generated), ("nearest", &sample.nearest)]
        {
            let bytes = images.iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
            let name = format!("{}.{part}", sample.set);
            tensors.push(LabelledTensor { name, dtype: Dtype::F32, shape: images.shape().to_vec(), bytes });
        }
        set_labels.push(SetLabels {
            set: sample.set.clone(),
            labels: sample.labels.clone(),
            nearest_labels: sample.nearest_labels.clone(),
        });
    }
    labelled_tensors::write(path, KEY, &set_labels, &tensors)
}

/// Reads a file that [`write_samples`] wrote.
///
/// # Errors
/// A missing or broken file, missing tensors, counts that do not fit together.
pub fn read_samples(path: &Path) -> Result<Vec<Samples>> {
    labelled_tensors::read(path, KEY, |set_labels: Vec<SetLabels>, tensors| {
        let read = |SetLabels { set, labels, nearest_labels }: SetLabels| {
            let images = |part: &str| {
                labelled_tensors::images(tensors, &format!("{set}.{part}"), Dtype::F32, f32::from_le_bytes)
            };
            let (truth, generated, nearest) = (images("truth")?, images("generated")?, images("nearest")?);
            let sample = Samples { set, labels, truth, generated, nearest, nearest_labels };
            check(&sample).map_err(|error| error.to_string())?;
            Ok(sample)
        };
        set_labels.into_iter().map(read).collect()
    })
}

fn check(sample: &Samples) -> Result<()> {
    let shape = sample.truth.shape();
    let same = sample.generated.shape() == shape && sample.nearest.shape() == shape;
    let n = sample.truth.dim().0;
    if same && sample.labels.len() == n && sample.nearest_labels.len() == n {
        return Ok(());
    }
    Err(Error::Shape {
        what: "samples",
        expected: "three arrays [n, c, h, w] of one shape and n labels each".to_owned(),
        found: format!(
            "truth {:?}, generated {:?}, nearest {:?}, {} labels, {} nearest labels in the set `{}`",
            shape,
            sample.generated.shape(),
            sample.nearest.shape(),
            sample.labels.len(),
            sample.nearest_labels.len(),
            sample.set
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(set: &str, n: usize) -> Samples {
        let images = |seed: usize| {
            Array4::from_shape_fn((n, 3, 4, 5), |(i, c, y, x)| ((i * 7 + c * 5 + y * 3 + x + seed) % 11) as f32 / 11.0)
        };
        Samples {
            set: set.into(),
            labels: (0..n).map(|i| format!("digit={i}")).collect(),
            truth: images(0),
            generated: images(1),
            nearest: images(2),
            nearest_labels: (0..n).map(|i| format!("digit={}", i + 1)).collect(),
        }
    }

    #[test]
    fn sets_keep_their_order_and_the_file_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m-seed0.safetensors");
        let samples = vec![sample("result-3", 3), sample("a set", 1), sample("train", 2)];
        write_samples(&path, &samples).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(read_samples(&path).unwrap(), samples);
        write_samples(&path, &samples).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn arrays_that_are_not_contiguous_are_written_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m-seed0.safetensors");
        let mut flipped = sample("train", 2);
        flipped.truth.invert_axis(ndarray::Axis(2));
        write_samples(&path, &[flipped.clone()]).unwrap();
        assert_eq!(read_samples(&path).unwrap()[0].truth, flipped.truth);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m-seed0.safetensors");
        let mut few_labels = sample("train", 2);
        few_labels.labels.pop();
        assert!(write_samples(&path, &[few_labels]).unwrap_err().to_string().contains("1 labels"));
        assert!(write_samples(&path, &[sample("train", 1), sample("train", 2)]).is_err());
        assert!(!path.exists());

        write_samples(&path, &[sample("train", 2)]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for broken in [&bytes[..bytes.len() - 1], &bytes[..9], b"nonsense".as_slice(), b""] {
            std::fs::write(&path, broken).unwrap();
            let error = read_samples(&path).unwrap_err().to_string();
            assert!(error.contains("m-seed0.safetensors") && !error.contains('\n'), "{error}");
        }
    }
}
