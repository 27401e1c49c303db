//! MNIST: 70,000 handwritten digits of 28 × 28 grey pixels, in the original order.
//!
//! Two sources: the copy that is shipped with the project, every file of which is checked against the SHA-256 in its
//! manifest, and a folder of the user's own idx files, which is checked for consistency only, because a user may well
//! want to bring other digits. Source: SPEC §3.1.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::idx::{self, Idx};
use crate::{Error, Result};

/// Height and width of every image.
pub const SIZE: usize = 28;

/// Number of different labels.
pub const N_DIGITS: usize = 10;

const EMBEDDED_CURE: &str = "restore the file from the repository (git checkout -- datasets)";
const DIRECTORY_CURE: &str = "get the original file again, or leave out the folder to use the copy that is shipped";

/// Where MNIST comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MnistSource {
    /// The copy that is shipped with the project.
    Embedded {
        /// The folder `datasets`, which holds `mnist/`.
        datasets: PathBuf,
    },
    /// A folder with the user's own idx files under their usual names, each plain or gzip-compressed:
    /// `train-images-idx3-ubyte` or `train-images.idx3-ubyte`, with or without `.gz`, and so on.
    Directory(PathBuf),
}

/// One of MNIST's two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The 60,000 training images: the styles of the set `digits`, and what a judge learns from.
    Train,
    /// The 10,000 test images, on which a judge's own accuracy is measured.
    Test,
}

/// Images of one part with their labels, in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledImages {
    /// Grey pixels, 0 black to 255 white, N × 28 × 28.
    pub pixels: Vec<u8>,
    /// One label per image, each at most 9.
    pub labels: Vec<u8>,
}

/// Both parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mnist {
    /// The training part.
    pub train: LabelledImages,
    /// The test part.
    pub test: LabelledImages,
}

impl Mnist {
    /// Reads both parts.
    ///
    /// # Errors
    /// As [`MnistSource::load`].
    pub fn load(source: &MnistSource) -> Result<Self> {
        Ok(Self { train: source.load(Part::Train)?, test: source.load(Part::Test)? })
    }
}

impl MnistSource {
    /// Reads one part. The training part of the shipped copy takes about a fifth of a second.
    ///
    /// # Errors
    /// A file is missing, unreadable or not the idx file that it should be; a checksum of the shipped copy differs;
    /// images and labels are not equally many; an image is not 28 × 28; a label is above 9.
    pub fn load(&self, part: Part) -> Result<LabelledImages> {
        match self {
            Self::Embedded { datasets } => load_embedded(&datasets.join("mnist"), part),
            Self::Directory(dir) => load_directory(dir, part),
        }
    }
}

impl LabelledImages {
    /// How many images there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The 784 pixels of one image, if there is such an image.
    #[must_use]
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        self.pixels.as_chunks::<{ SIZE * SIZE }>().0.get(index).map(<[u8; SIZE * SIZE]>::as_slice)
    }

    /// The places of the first `n_each` images of every digit, sorted by digit and then by order: the image of digit
    /// `d` and style `k` is at `d * n_each + k` of the result.
    ///
    /// # Errors
    /// A digit has fewer images.
    pub fn first_of_each_digit(&self, n_each: usize) -> Result<Vec<usize>> {
        let mut places = Vec::with_capacity(N_DIGITS * n_each);
        for digit in 0..N_DIGITS {
            let of_digit = self.labels.iter().enumerate().filter(|&(_, &label)| usize::from(label) == digit);
            places.extend(of_digit.map(|(index, _)| index).take(n_each));
            let n_found = places.len() - digit * n_each;
            if n_found < n_each {
                return Err(Error::Setting {
                    setting: "styles",
                    found: n_each.to_string(),
                    expected: format!("at most {n_found}, as there are no more images of the digit {digit}"),
                });
            }
        }
        Ok(places)
    }
}

impl Part {
    /// The name stems that MNIST's files use.
    fn stem(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "t10k",
        }
    }
}

/// `datasets/mnist/manifest.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    file: BTreeMap<String, ManifestFile>,
}

/// One file of the manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestFile {
    /// Size of the compressed file.
    bytes: u64,
    /// Size and checksum of what it unpacks to.
    unpacked_bytes: u64,
    unpacked_sha256: String,
    /// Number of images or labels.
    count: usize,
}

fn load_embedded(dir: &Path, part: Part) -> Result<LabelledImages> {
    let manifest_path = dir.join("manifest.toml");
    let text = std::fs::read_to_string(&manifest_path)
        .map_err(|source| Error::io(&manifest_path, "read the manifest of the shipped data", source))?;
    let manifest: Manifest = toml::from_str(&text).map_err(|error| {
        let reason = error.message().replace('\n', " ");
        Error::content(&manifest_path, "a manifest of MNIST files", reason, EMBEDDED_CURE)
    })?;
    let load = |name: String, read: fn(&Path, &str) -> Result<Idx>| {
        let path = dir.join(&name);
        let entry = manifest
            .file
            .get(&name)
            .ok_or_else(|| Error::content(&manifest_path, format!("an entry for {name}"), "none", EMBEDDED_CURE))?;
        let idx = read(&path, EMBEDDED_CURE)?;
        entry.check(&idx, &path)?;
        Ok((path, idx))
    };
    let images = load(format!("{}-images-idx3-ubyte.gz", part.stem()), idx::read_images)?;
    let labels = load(format!("{}-labels-idx1-ubyte.gz", part.stem()), idx::read_labels)?;
    combine(images, labels, EMBEDDED_CURE)
}

impl ManifestFile {
    fn check(&self, idx: &Idx, path: &Path) -> Result<()> {
        let found = idx.sha256();
        if found != self.unpacked_sha256 {
            return Err(Error::content(
                path,
                format!("content with sha256 {}", self.unpacked_sha256),
                format!("sha256 {found}"),
                EMBEDDED_CURE,
            ));
        }
        // What remains of the manifest is implied by the checksum, so a difference is a mistake in the manifest.
        let n_header = 4 + 4 * idx.dims.len();
        let unpacked_bytes = (n_header + idx.data.len()) as u64;
        let bytes = std::fs::metadata(path).map_err(|source| Error::io(path, "read the size of", source))?.len();
        let count = idx.dims.first().copied().unwrap_or(0);
        if (self.bytes, self.unpacked_bytes, self.count) != (bytes, unpacked_bytes, count) {
            return Err(Error::content(
                path,
                format!("{} bytes, {} unpacked, {} entries", self.bytes, self.unpacked_bytes, self.count),
                format!("{bytes} bytes, {unpacked_bytes} unpacked, {count} entries"),
                EMBEDDED_CURE,
            ));
        }
        Ok(())
    }
}

fn load_directory(dir: &Path, part: Part) -> Result<LabelledImages> {
    let images_path = find(dir, part.stem(), "images", "idx3")?;
    let labels_path = find(dir, part.stem(), "labels", "idx1")?;
    let images = idx::read_images(&images_path, DIRECTORY_CURE)?;
    let labels = idx::read_labels(&labels_path, DIRECTORY_CURE)?;
    combine((images_path, images), (labels_path, labels), DIRECTORY_CURE)
}

/// The first of the usual names under which a file exists.
fn find(dir: &Path, stem: &str, what: &str, format: &str) -> Result<PathBuf> {
    let tried: Vec<String> = ["-", "."]
        .iter()
        .flat_map(|separator| {
            ["", ".gz"].iter().map(move |ending| format!("{stem}-{what}{separator}{format}-ubyte{ending}"))
        })
        .collect();
    tried.iter().map(|name| dir.join(name)).find(|path| path.is_file()).ok_or_else(|| Error::MissingFile {
        dir: dir.to_path_buf(),
        tried,
        cure: "give the folder that holds MNIST's idx files, or leave it out to use the copy that is shipped".into(),
    })
}

/// Checks that images and labels belong together.
fn combine(images: (PathBuf, Idx), labels: (PathBuf, Idx), cure: &str) -> Result<LabelledImages> {
    let ((images_path, images), (labels_path, labels)) = (images, labels);
    let n_images = match images.dims.as_slice() {
        [n_images, SIZE, SIZE] => *n_images,
        [_, height, width] => {
            let found = format!("images of {height} × {width} pixels");
            return Err(Error::content(&images_path, format!("images of {SIZE} × {SIZE} pixels"), found, cure));
        }
        dims => {
            return Err(Error::content(&images_path, "three dimensions", format!("{}", dims.len()), cure));
        }
    };
    if labels.data.len() != n_images {
        return Err(Error::content(
            &labels_path,
            format!("{n_images} labels, one for each image of {}", images_path.display()),
            format!("{}", labels.data.len()),
            cure,
        ));
    }
    if let Some((place, label)) = labels.data.iter().enumerate().find(|&(_, &label)| usize::from(label) >= N_DIGITS) {
        return Err(Error::content(
            &labels_path,
            "labels from 0 to 9",
            format!("label {label} at place {place}"),
            cure,
        ));
    }
    Ok(LabelledImages { pixels: images.data, labels: labels.data })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;
    use sha2::{Digest, Sha256};

    use super::*;

    fn datasets() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets")
    }

    fn embedded() -> MnistSource {
        MnistSource::Embedded { datasets: datasets() }
    }

    fn images_file(n: usize, height: u32, width: u32) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, 3];
        for dim in [n as u32, height, width] {
            bytes.extend(dim.to_be_bytes());
        }
        bytes.extend((0..n * height as usize * width as usize).map(|i| (i % 251) as u8));
        bytes
    }

    fn labels_file(labels: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, 1];
        bytes.extend((labels.len() as u32).to_be_bytes());
        bytes.extend(labels);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn one_line(result: Result<LabelledImages>) -> String {
        let message = result.unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    }

    #[test]
    fn the_shipped_copy_is_the_original() {
        let mnist = Mnist::load(&embedded()).unwrap();
        assert_eq!((mnist.train.len(), mnist.test.len()), (60_000, 10_000));
        // The first labels of the two parts, as everybody who printed them knows them.
        assert_eq!(mnist.train.labels[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
        assert_eq!(mnist.test.labels[..10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
        assert!(mnist.train.image(59_999).is_some() && mnist.train.image(60_000).is_none());
    }

    #[test]
    fn the_styles_are_the_first_ten_images_of_each_digit() {
        let train = embedded().load(Part::Train).unwrap();
        let places = train.first_of_each_digit(10).unwrap();
        assert_eq!(places.len(), 100);
        let bytes: Vec<u8> = places.iter().flat_map(|&place| train.image(place).unwrap()).copied().collect();
        assert_eq!(bytes.len(), 78_400);
        // SPEC §3.1.
        let expected = "1aff468cff7c06fe4bd70d37b972061d6ae9567d96e633596cf845c0dca5e429";
        assert_eq!(idx::hex(&Sha256::digest(&bytes)), expected);
        // The first 5 is the very first image, and the first 0 the second.
        assert_eq!((places[50], places[0]), (0, 1));
    }

    #[test]
    fn a_changed_file_of_the_shipped_copy_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("mnist");
        std::fs::create_dir(&dir).unwrap();
        let source = MnistSource::Embedded { datasets: folder.path().to_path_buf() };
        assert!(one_line(source.load(Part::Test)).contains("manifest.toml: cannot read the manifest"));
        for name in ["manifest.toml", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"] {
            std::fs::copy(datasets().join("mnist").join(name), dir.join(name)).unwrap();
        }
        let original = source.load(Part::Test).unwrap();
        assert!(one_line(source.load(Part::Train)).contains("train-images-idx3-ubyte.gz: cannot open"));

        let mut labels = original.labels.clone();
        labels[17] ^= 1;
        let labels_path = dir.join("t10k-labels-idx1-ubyte.gz");
        std::fs::write(&labels_path, gzip(&labels_file(&labels))).unwrap();
        let message = one_line(source.load(Part::Test));
        assert!(message.contains("t10k-labels-idx1-ubyte.gz: expected content with sha256 ff7bcfd4"), "{message}");
        assert!(message.ends_with("restore the file from the repository (git checkout -- datasets)"), "{message}");

        // The right content, compressed otherwise than the manifest says.
        std::fs::write(&labels_path, gzip(&labels_file(&original.labels))).unwrap();
        assert!(
            one_line(source.load(Part::Test)).contains("expected 4517 bytes, 10008 unpacked, 10000 entries, found")
        );

        std::fs::write(dir.join("manifest.toml"), "[file.x]\nbytes = 1\n").unwrap();
        assert!(one_line(source.load(Part::Test)).contains("expected a manifest of MNIST files, found missing field"));
        std::fs::write(dir.join("manifest.toml"), "[file]\n").unwrap();
        assert!(one_line(source.load(Part::Test)).contains("expected an entry for t10k-images-idx3-ubyte.gz"));
    }

    #[test]
    fn a_folder_may_use_either_spelling_plain_or_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let source = MnistSource::Directory(folder.path().to_path_buf());
        let labels = [3, 1, 4];
        std::fs::write(folder.path().join("train-images.idx3-ubyte.gz"), gzip(&images_file(3, 28, 28))).unwrap();
        std::fs::write(folder.path().join("train-labels-idx1-ubyte"), labels_file(&labels)).unwrap();
        let train = source.load(Part::Train).unwrap();
        assert_eq!(train.labels, labels);
        assert_eq!(train.image(1).unwrap()[0], (784 % 251) as u8);
        let message = one_line(source.load(Part::Test));
        assert!(message.contains("t10k-images-idx3-ubyte, t10k-images-idx3-ubyte.gz, t10k-images.idx3-ubyte, "));
        // Ten styles cannot be had from three images.
        let message = train.first_of_each_digit(10).unwrap_err().to_string();
        assert_eq!(message, "styles = 10: expected at most 0, as there are no more images of the digit 0");
    }

    #[test]
    fn images_and_labels_have_to_belong_together() {
        let folder = tempfile::tempdir().unwrap();
        let source = MnistSource::Directory(folder.path().to_path_buf());
        let write = |images: Vec<u8>, labels: Vec<u8>| {
            std::fs::write(folder.path().join("t10k-images-idx3-ubyte"), images).unwrap();
            std::fs::write(folder.path().join("t10k-labels-idx1-ubyte"), labels).unwrap();
        };
        write(images_file(3, 28, 28), labels_file(&[1, 2]));
        assert!(one_line(source.load(Part::Test)).contains("t10k-labels-idx1-ubyte: expected 3 labels, one for each"));
        write(images_file(2, 28, 28), labels_file(&[1, 10]));
        assert!(one_line(source.load(Part::Test)).contains("expected labels from 0 to 9, found label 10 at place 1"));
        write(images_file(2, 32, 28), labels_file(&[1, 2]));
        assert!(
            one_line(source.load(Part::Test)).contains("expected images of 28 × 28 pixels, found images of 32 × 28")
        );
        write(labels_file(&[1, 2]), labels_file(&[1, 2]));
        assert!(one_line(source.load(Part::Test)).contains("found a file of labels"));
        write(images_file(2, 28, 28)[..900].to_vec(), labels_file(&[1, 2]));
        assert!(one_line(source.load(Part::Test)).contains("the file is cut off"));
    }
}
