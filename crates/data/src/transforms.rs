//! The symmetries of the square as exact pixel permutations.
//!
//! An image is indexed \[row, column\]; a permutation `p` acts as `out[i] = in[p[i]]` with `i = row · size + column`.
//! There is no interpolation: a transformed image has the pixels of the original, each once.
//!
//! Source: SPEC §2. Six levels are the usual ones; the first four of them serve some face experiments; eight are the
//! option `transforms = 8`, level = rotation + 4 · mirrored, rotate first, then reverse the columns. The same name
//! always means the same permutation, so level 6 of the eight (180° and columns reversed) is called `mirror-x`, which
//! it is.

use crate::{Error, Factor, Result};

/// One symmetry of the square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transform {
    /// Unchanged.
    Identity,
    /// A quarter turn counter-clockwise.
    Rotate90,
    /// Half a turn.
    Rotate180,
    /// Three quarter turns counter-clockwise.
    Rotate270,
    /// Rows reversed (upside down).
    MirrorX,
    /// Columns reversed (left–right).
    MirrorY,
    /// A quarter turn counter-clockwise, then columns reversed.
    Rotate90MirrorY,
    /// Three quarter turns counter-clockwise, then columns reversed: the transpose.
    Rotate270MirrorY,
}

use Transform::{Identity, MirrorX, MirrorY, Rotate90, Rotate90MirrorY, Rotate180, Rotate270, Rotate270MirrorY};

/// The six usual levels.
pub const SIX: [Transform; 6] = [Identity, Rotate90, Rotate180, Rotate270, MirrorX, MirrorY];

/// All eight symmetries: level = rotation + 4 · mirrored, rotate first, then reverse the columns.
pub const EIGHT: [Transform; 8] =
    [Identity, Rotate90, Rotate180, Rotate270, MirrorY, Rotate90MirrorY, MirrorX, Rotate270MirrorY];

/// The levels of the transform factor when it has this many: 4, 6 or 8.
///
/// # Errors
/// The number is another one.
pub fn levels(n_transforms: usize) -> Result<&'static [Transform]> {
    match n_transforms {
        4 => Ok(&SIX[..4]),
        6 => Ok(&SIX),
        8 => Ok(&EIGHT),
        _ => Err(Error::Setting {
            setting: "transforms",
            found: n_transforms.to_string(),
            expected: "4, 6 or 8".to_owned(),
        }),
    }
}

/// The factor `transform` with the levels of [`levels`].
///
/// # Errors
/// The number of transforms is not 4, 6 or 8.
pub fn factor(n_transforms: usize) -> Result<Factor> {
    Ok(Factor::new("transform", levels(n_transforms)?.iter().map(|transform| transform.name())))
}

/// A picture under each permutation in turn.
///
/// # Shapes
/// `picture` C × H·W, every permutation H·W → permutations × C × H·W.
pub(crate) fn transformed<'a>(
    picture: &'a [f32],
    permutations: &'a [Vec<usize>],
) -> impl Iterator<Item = f32> + use<'a> {
    permutations.iter().flat_map(move |permutation| {
        let channels = picture.chunks_exact(permutation.len().max(1));
        channels.flat_map(move |channel| permutation.iter().map(move |&from| channel[from]))
    })
}

impl Transform {
    /// The level's name, as used in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Identity => "identity",
            Rotate90 => "rotate-90",
            Rotate180 => "rotate-180",
            Rotate270 => "rotate-270",
            MirrorX => "mirror-x",
            MirrorY => "mirror-y",
            Rotate90MirrorY => "rotate-90-mirror-y",
            Rotate270MirrorY => "rotate-270-mirror-y",
        }
    }

    /// The transform that undoes this one.
    #[must_use]
    pub fn inverse(self) -> Self {
        match self {
            Rotate90 => Rotate270,
            Rotate270 => Rotate90,
            // Half turns, mirrors and the two reflections at a diagonal undo themselves.
            Identity | Rotate180 | MirrorX | MirrorY | Rotate90MirrorY | Rotate270MirrorY => self,
        }
    }

    /// The transformed image: every channel permuted alike.
    ///
    /// # Shapes
    /// C × `size` × `size`, the same out; what does not fill a channel is left out.
    #[must_use]
    pub fn apply(self, size: usize, image: &[f32]) -> Vec<f32> {
        if size == 0 {
            return Vec::new();
        }
        let permutation = self.permutation(size);
        image.chunks_exact(size * size).flat_map(|channel| permutation.iter().map(|&from| channel[from])).collect()
    }

    /// The permutation of a `size` × `size` image: `out[i] = in[permutation[i]]`.
    #[must_use]
    pub fn permutation(self, size: usize) -> Vec<usize> {
        let mut permutation = Vec::with_capacity(size * size);
        for row in 0..size {
            for column in 0..size {
                // Counting from the other side.
                let (row_back, column_back) = (size - 1 - row, size - 1 - column);
                let (from_row, from_column) = match self {
                    Identity => (row, column),
                    Rotate90 => (column, row_back),
                    Rotate180 => (row_back, column_back),
                    Rotate270 => (column_back, row),
                    MirrorX => (row_back, column),
                    MirrorY => (row, column_back),
                    Rotate90MirrorY => (column_back, row_back),
                    Rotate270MirrorY => (column, row),
                };
                permutation.push(from_row * size + from_column);
            }
        }
        permutation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(transform: Transform, size: usize, image: &[u8]) -> Vec<u8> {
        transform.permutation(size).iter().map(|&from| image[from]).collect()
    }

    #[test]
    fn hand_made_two_by_two() {
        // a b    counter-clockwise by 90°: the top right corner becomes the top left one.
        // c d
        let image = b"abcd";
        assert_eq!(apply(Identity, 2, image), b"abcd");
        assert_eq!(apply(Rotate90, 2, image), b"bdac");
        assert_eq!(apply(Rotate180, 2, image), b"dcba");
        assert_eq!(apply(Rotate270, 2, image), b"cadb");
        assert_eq!(apply(MirrorX, 2, image), b"cdab");
        assert_eq!(apply(MirrorY, 2, image), b"badc");
    }

    #[test]
    fn hand_made_three_by_three() {
        // a b c
        // d e f
        // g h i
        let image = b"abcdefghi";
        assert_eq!(apply(Rotate90, 3, image), b"cfibehadg");
        assert_eq!(apply(Rotate180, 3, image), b"ihgfedcba");
        assert_eq!(apply(Rotate270, 3, image), b"gdahebifc");
        assert_eq!(apply(MirrorX, 3, image), b"ghidefabc");
        assert_eq!(apply(MirrorY, 3, image), b"cbafedihg");
        // Rotated (cfi beh adg), then the columns reversed.
        assert_eq!(apply(Rotate90MirrorY, 3, image), b"ifchebgda");
        // The transpose.
        assert_eq!(apply(Rotate270MirrorY, 3, image), b"adgbehcfi");
    }

    #[test]
    fn the_eight_are_a_rotation_and_then_reversed_columns() {
        let image: Vec<u8> = (0..25).collect();
        for (level, &transform) in EIGHT.iter().enumerate() {
            let mut expected = image.clone();
            for _ in 0..level % 4 {
                expected = apply(Rotate90, 5, &expected);
            }
            if level >= 4 {
                expected = apply(MirrorY, 5, &expected);
            }
            assert_eq!(apply(transform, 5, &image), expected, "level {level}");
        }
    }

    #[test]
    fn group_identities() {
        let image: Vec<u8> = (0..49).collect();
        let chain = |transforms: &[Transform]| {
            transforms.iter().fold(image.clone(), |image, &transform| apply(transform, 7, &image))
        };
        assert_eq!(chain(&[Rotate90; 4]), image);
        assert_eq!(chain(&[Rotate90, Rotate90]), chain(&[Rotate180]));
        assert_eq!(chain(&[Rotate90, Rotate180]), chain(&[Rotate270]));
        assert_eq!(chain(&[Rotate90, Rotate270]), image);
        assert_eq!(chain(&[MirrorX, MirrorY]), chain(&[Rotate180]));
        for mirror in [MirrorX, MirrorY, Rotate90MirrorY, Rotate270MirrorY] {
            assert_eq!(chain(&[mirror, mirror]), image, "{}", mirror.name());
        }
    }

    #[test]
    fn the_inverse_undoes_in_every_channel() {
        let image: Vec<f32> = (0..75).map(|value| value as f32).collect(); // 3 × 5 × 5
        for transform in EIGHT {
            let turned = transform.apply(5, &image);
            assert_eq!(turned == image, transform == Identity);
            assert_eq!(transform.inverse().apply(5, &turned), image, "{}", transform.name());
            assert_eq!(turned[50..], transform.apply(5, &image[50..]), "a channel is a picture of its own");
        }
        assert!(Rotate90.apply(0, &[]).is_empty());
    }

    #[test]
    fn every_transform_is_a_permutation_at_every_size_and_no_two_are_the_same() {
        for size in [0, 1, 2, 3, 28] {
            for transform in EIGHT {
                let mut seen = transform.permutation(size);
                seen.sort_unstable();
                assert_eq!(seen, (0..size * size).collect::<Vec<_>>());
            }
        }
        for (i, a) in EIGHT.iter().enumerate() {
            for b in &EIGHT[..i] {
                assert_ne!(a.permutation(3), b.permutation(3));
                assert_ne!(a.name(), b.name());
            }
        }
    }

    #[test]
    fn a_picture_is_transformed_channel_by_channel() {
        // Two channels of two pixels by two, unchanged and turned by 90° counter-clockwise (b d a c).
        let picture = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let permutations = [Identity.permutation(2), Rotate90.permutation(2)];
        let all: Vec<f32> = transformed(&picture, &permutations).collect();
        assert_eq!(all[..8], picture);
        assert_eq!(all[8..], [2.0, 4.0, 1.0, 3.0, 6.0, 8.0, 5.0, 7.0]);
    }

    #[test]
    fn only_four_six_and_eight_exist() {
        assert_eq!(levels(4).unwrap(), &SIX[..4]);
        assert_eq!(factor(6).unwrap().levels[4], "mirror-x");
        assert_eq!(levels(8).unwrap().len(), 8);
        assert_eq!(levels(5).unwrap_err().to_string(), "transforms = 5: expected 4, 6 or 8");
    }
}
