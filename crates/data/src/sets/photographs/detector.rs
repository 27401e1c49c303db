//! Where the face is: the SeetaFace detector (a funnel of boosted and multilayer-perceptron classifiers for frontal
//! faces) by the crate `rustface`, with the model in `datasets/face-detector/`.
//!
//! A picture is looked at in grey, with its longer side at [`SIDE`] pixels, on black ground with a border: a face is
//! searched for from 1/8 of the longer side upwards, whatever the picture's size, and one that fills the picture is
//! found as well. The border has a second purpose: the crate shifts its windows without asking whether they still
//! touch what it was given, and a window on black ground alone is never a face that could be shifted.
//!
//! The score is a sum over all windows that agree on a face. On a group photograph all 29 faces and nothing else are
//! found at its full size, with scores from 4.8 upwards; what was wrongly found in another photograph scores 0.5 and 0.6.
//! Drawn faces of the size of KDEF's score from 10 upwards.

use std::path::Path;

use image::imageops::{self, FilterType};
use image::{GrayImage, RgbImage};
use rustface::{ImageData, Model};
use sha2::{Digest, Sha256};

use crate::{Error, Result, idx};

/// The SHA-256 of the model file.
pub const MODEL_SHA256: &str = "c4619d066ed35e84d9a8e842860b0dff567aba0cbb139881075538761db3ff5d";

const MODEL_FILE: &str = "face-detector/seeta_fd_frontal_v1.0.bin";

/// Pixels of the longer side of the picture that the detector sees; its smallest face has 40.
const SIDE: u32 = 320;

/// Pixels of black ground on every side.
const BORDER: u32 = 40;

/// Below this score nothing counts as a face.
const FAINT: f64 = 2.0;

/// Of several faces one may be taken if it alone reaches this score: what is not quite one rarely does.
const CLEAR: f64 = 5.0;

/// The detector's weights, from which every thread makes its own detector.
#[derive(Clone)]
pub struct FaceModel(Model);

/// Looks for faces; keeps memory from one picture to the next.
pub(super) struct Detector(Box<dyn rustface::Detector>);

/// A face that was found, in pixels of the picture; parts of it may lie outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Face {
    /// The left edge.
    pub x: i64,
    /// The upper edge.
    pub y: i64,
    /// Width and height.
    pub side: i64,
    /// How certain it is, rounded to hundredths.
    pub score: f64,
}

/// Why a picture has no face to crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotOne {
    /// Nothing was found.
    None,
    /// Several were found, and none of them is the only clear one.
    Several,
}

impl FaceModel {
    /// Reads the model from the folder `datasets`.
    ///
    /// # Errors
    /// The file cannot be read, or is not the one that is shipped.
    pub fn load(datasets: &Path) -> Result<Self> {
        let path = datasets.join(MODEL_FILE);
        let bytes =
            std::fs::read(&path).map_err(|source| Error::io(&path, "read the face detector's model", source))?;
        let found = idx::hex(&Sha256::digest(&bytes));
        let broken = |found| {
            let cure = "restore the file from the repository (git checkout -- datasets)";
            Error::content(&path, format!("content with sha256 {MODEL_SHA256}"), found, cure)
        };
        // The crate believes whatever the file says, so nothing but the shipped file may reach it.
        if found != MODEL_SHA256 {
            return Err(broken(format!("sha256 {found}")));
        }
        Ok(Self(rustface::read_model(bytes.as_slice()).map_err(|error| broken(error.to_string()))?))
    }

    pub(super) fn detector(&self) -> Detector {
        let mut detector = rustface::create_detector_with_model(self.0.clone());
        detector.set_score_thresh(FAINT);
        detector.set_pyramid_scale_factor(0.8);
        detector.set_slide_window_step(4, 4);
        Detector(detector)
    }
}

impl Detector {
    /// The faces of a picture, the most certain first.
    pub fn detect(&mut self, picture: &RgbImage) -> Vec<Face> {
        let (width, height) = picture.dimensions();
        let longer = width.max(height);
        if longer == 0 {
            return Vec::new();
        }
        let reduction = f64::from(longer) / f64::from(SIDE);
        let reduced = |side: u32| ((f64::from(side) / reduction).round() as u32).max(1);
        let grey = imageops::grayscale(picture);
        let grey = imageops::resize(&grey, reduced(width), reduced(height), FilterType::Triangle);
        let mut ground = GrayImage::new(grey.width() + 2 * BORDER, grey.height() + 2 * BORDER);
        imageops::replace(&mut ground, &grey, i64::from(BORDER), i64::from(BORDER));

        let found = self.0.detect(&ImageData::new(ground.as_raw(), ground.width(), ground.height()));
        let back = |pixels: i64| (pixels as f64 * reduction).round() as i64;
        let face = |info: &rustface::FaceInfo| Face {
            x: back(i64::from(info.bbox().x()) - i64::from(BORDER)),
            y: back(i64::from(info.bbox().y()) - i64::from(BORDER)),
            side: back(i64::from(info.bbox().width())).max(1),
            score: (info.score() * 100.0).round() / 100.0,
        };
        let mut faces: Vec<Face> = found.iter().map(face).collect();
        faces.sort_by(|a, b| b.score.total_cmp(&a.score).then((a.x, a.y, a.side).cmp(&(b.x, b.y, b.side))));
        faces
    }
}

/// The face of a picture that shows exactly one: the only one, or the only clear one.
pub(super) fn exactly_one(faces: &[Face]) -> std::result::Result<Face, NotOne> {
    match faces {
        [] => Err(NotOne::None),
        [face] => Ok(*face),
        // Sorted by score.
        [first, second, ..] if first.score >= CLEAR && second.score < CLEAR => Ok(*first),
        _ => Err(NotOne::Several),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture;

    fn datasets() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets")
    }

    fn face(score: f64) -> Face {
        Face { x: 0, y: 0, side: 10, score }
    }

    #[test]
    fn one_face_is_the_only_one_or_the_only_clear_one() {
        assert_eq!(exactly_one(&[]), Err(NotOne::None));
        assert_eq!(exactly_one(&[face(2.1)]), Ok(face(2.1)));
        assert_eq!(exactly_one(&[face(20.0), face(4.9)]), Ok(face(20.0)));
        assert_eq!(exactly_one(&[face(20.0), face(5.0)]), Err(NotOne::Several));
        assert_eq!(exactly_one(&[face(4.9), face(2.1)]), Err(NotOne::Several));
    }

    #[test]
    fn a_photograph_of_a_face_is_found_at_any_size() {
        let portrait = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/portrait/portrait.jpg");
        let portrait = picture::decode(&portrait).unwrap();
        let mut detector = FaceModel::load(&datasets()).unwrap().detector();
        for side in [90, 240, 700] {
            let picture = imageops::resize(&portrait, side, side, FilterType::Triangle);
            let found = exactly_one(&detector.detect(&picture)).unwrap();
            // In the 512 pixels of the original the face lies at (174, 70) with 99 pixels; the portrait begins at column
            // 100 and has 240: ((174 + 49.5 − 100) / 240, (70 + 49.5) / 240) = (0.515, 0.498), and 99 / 240 = 0.41.
            let share = |pixels: i64| pixels as f64 / f64::from(side);
            let centre = [share(2 * found.x + found.side) / 2.0, share(2 * found.y + found.side) / 2.0];
            assert!((centre[0] - 0.515).abs() < 0.05 && (centre[1] - 0.498).abs() < 0.05, "{side} {found:?}");
            assert!((share(found.side) - 0.41).abs() < 0.05, "{side} {found:?}");
        }
    }

    #[test]
    fn pictures_of_any_shape_are_looked_at() {
        let mut detector = FaceModel::load(&datasets()).unwrap().detector();
        for (width, height) in [(0, 0), (1, 1), (1, 900), (2000, 3), (39, 41), (50, 50), (321, 320)] {
            let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 7 + y * 13) as u8; 3]));
            assert_eq!(detector.detect(&picture), []);
        }
    }

    #[test]
    fn another_model_is_refused_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let message = |folder: &Path| FaceModel::load(folder).map(|_| ()).unwrap_err().to_string();
        assert!(message(folder.path()).contains("cannot read the face detector's model"));
        let path = folder.path().join(MODEL_FILE);
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let mut bytes = std::fs::read(datasets().join(MODEL_FILE)).unwrap();
        bytes[1000] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let message = message(folder.path());
        assert!(message.contains("expected content with sha256 c4619d06") && message.contains("git checkout"));
    }
}
