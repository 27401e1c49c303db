//! Classical augmentation: an image is cropped, shifted, flipped and made brighter or darker, all at random.
//!
//! ```text
//! out[c, y, x] = b · image[c, v, u],   u = left + (x + ½) · side/size − ½ (x from the right where flipped), v likewise
//! ```
//!
//! with bilinear sampling between pixels, the edge repeated outside, and the result clamped to [0, 1]. A shift is where the
//! crop lies, off the middle; it may reach over the edge.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// How much is changed at most; an experiment's file says it, because a change that is too strong is no augmentation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classical {
    /// How far a crop may lie off the middle, as a share of a side.
    pub shift: f64,
    /// How much of a side a crop may leave out, as a share.
    pub crop: f64,
    /// Whether half of the images are flipped, left to right.
    pub flip: bool,
    /// How much brighter or darker an image may become, as a share.
    pub brightness: f64,
}

impl Classical {
    /// What is wrong with it, if anything is.
    pub(super) fn problem(&self) -> Option<String> {
        [("shift", self.shift), ("crop", self.crop), ("brightness", self.brightness)]
            .iter()
            .find(|(_, value)| !(0.0..1.0).contains(value))
            .map(|(name, value)| format!("classical.{name} = {value}, expected a share from 0 to below 1"))
    }
}

/// What is done to one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change {
    /// Side of the crop, in pixels.
    pub side: f64,
    /// Column and row of the crop's upper left corner, in pixels.
    pub corner: (f64, f64),
    /// Whether columns are reversed.
    pub flipped: bool,
    /// What every pixel is multiplied by.
    pub brightness: f64,
}

impl Change {
    /// A random change of square images of `size` pixels.
    pub fn draw(rng: &mut impl Rng, size: usize, at_most: Classical) -> Self {
        let Classical { shift, crop, flip, brightness } = at_most;
        let size = size as f64;
        let side = size * (1.0 - crop * rng.random::<f64>());
        let mut corner = || 0.5 * (size - side) + size * shift * rng.random_range(-1.0..1.0);
        let corner = (corner(), corner());
        let flipped = rng.random::<bool>() && flip;
        Self { side, corner, flipped, brightness: 1.0 + brightness * rng.random_range(-1.0..1.0) }
    }

    /// The changed image.
    ///
    /// # Shapes
    /// channels × size × size → the same.
    pub fn apply(&self, image: &[f32], size: usize) -> Vec<f32> {
        let scale = self.side / size as f64;
        let place = |i: usize, corner: f64| {
            let place = corner + (i as f64 + 0.5) * scale - 0.5;
            let place = place.clamp(0.0, size as f64 - 1.0);
            let before = (place.floor() as usize).min(size - 1);
            (before, (before + 1).min(size - 1), (place - place.floor()) as f32)
        };
        let rows: Vec<_> = (0..size).map(|y| place(y, self.corner.1)).collect();
        let columns: Vec<_> =
            (0..size).map(|x| place(if self.flipped { size - 1 - x } else { x }, self.corner.0)).collect();
        let brightness = self.brightness as f32;
        let mut out = Vec::with_capacity(image.len());
        for channel in image.chunks_exact(size * size) {
            for &(above, below, down) in &rows {
                for &(left, right, across) in &columns {
                    let mix = |row: usize| {
                        let (a, b) = (channel[row * size + left], channel[row * size + right]);
                        a + (b - a) * across
                    };
                    let (a, b) = (mix(above), mix(below));
                    out.push(((a + (b - a) * down) * brightness).clamp(0.0, 1.0));
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use multigen_data::randomness::keyed_rng;

    use super::*;

    const NONE: Change = Change { side: 3.0, corner: (0.0, 0.0), flipped: false, brightness: 1.0 };
    /// Tenths, row by row.
    const IMAGE: [f32; 9] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];

    fn near(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}, expected {expected:?}");
    }

    #[test]
    fn nothing_done_leaves_an_image_as_it_is() {
        near(&NONE.apply(&IMAGE, 3), &IMAGE);
    }

    #[test]
    fn an_image_is_shifted_with_its_edge_repeated() {
        // A crop that begins one column to the right shows columns 1, 2 and again 2.
        near(&Change { corner: (1.0, 0.0), ..NONE }.apply(&IMAGE, 3), &[0.1, 0.2, 0.2, 0.4, 0.5, 0.5, 0.7, 0.8, 0.8]);
        // Half a row up: rows −½, ½, 1½; row ½ is the mean of rows 0 and 1.
        near(
            &Change { corner: (0.0, -0.5), ..NONE }.apply(&IMAGE, 3),
            &[0.0, 0.1, 0.2, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65],
        );
    }

    #[test]
    fn a_crop_is_enlarged_to_the_whole_image() {
        // Half of each side from corner ¾: columns ¾ + (x + ½)/2 − ½ = ½, 1, 1½; rows the same. Values are linear in both.
        let centre = Change { side: 1.5, corner: (0.75, 0.75), ..NONE };
        near(&centre.apply(&IMAGE, 3), &[0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6]);
    }

    #[test]
    fn columns_are_reversed_and_brightness_ends_at_white() {
        near(&Change { flipped: true, ..NONE }.apply(&IMAGE, 3), &[0.2, 0.1, 0.0, 0.5, 0.4, 0.3, 0.8, 0.7, 0.6]);
        near(&Change { brightness: 2.0, ..NONE }.apply(&IMAGE, 3), &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn drawn_changes_stay_within_their_bounds_and_flip_half() {
        let mut rng = keyed_rng(0, "test", 0);
        let at_most = Classical { shift: 0.1, crop: 0.15, flip: true, brightness: 0.2 };
        let drawn: Vec<Change> = (0..2000).map(|_| Change::draw(&mut rng, 40, at_most)).collect();
        for change in &drawn {
            assert!((34.0..=40.0).contains(&change.side) && (0.8..1.2).contains(&change.brightness));
            // The middle of the crop lies at most a tenth of 40 pixels off the middle of the image.
            let off = |corner: f64| (corner + change.side / 2.0 - 20.0).abs();
            assert!(off(change.corner.0) <= 4.0 + 1e-9 && off(change.corner.1) <= 4.0 + 1e-9);
        }
        let n_flipped = drawn.iter().filter(|change| change.flipped).count();
        assert!((900..1100).contains(&n_flipped), "{n_flipped}");
        let nothing = Classical { shift: 0.0, crop: 0.0, flip: false, brightness: 0.0 };
        assert_eq!(Change::draw(&mut rng, 3, nothing), NONE);
        assert_eq!(nothing.problem(), None);
        assert!(
            Classical { crop: 1.0, ..nothing }.problem().is_some_and(|problem| problem.contains("classical.crop = 1"))
        );
    }
}
