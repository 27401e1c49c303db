//! Picture files of the user as squares of pixels.

use std::path::Path;

use image::RgbImage;
use image::imageops::{self, FilterType};

use crate::{Error, Result};

/// Decodes a PNG or JPEG file, told apart by its first bytes.
///
/// # Errors
/// The file cannot be read, is neither, or is damaged.
pub fn decode(path: &Path) -> Result<RgbImage> {
    let bytes = std::fs::read(path).map_err(|source| Error::io(path, "read the picture", source))?;
    let picture = image::load_from_memory(&bytes).map_err(|error| no_picture(path, &error))?;
    Ok(picture.to_rgb8())
}

/// Width and height of a PNG or JPEG file in pixels, from its first bytes: thousands of files take a moment.
///
/// # Errors
/// The file cannot be read, is neither, or its beginning is damaged.
pub fn dimensions(path: &Path) -> Result<(u32, u32)> {
    let io = |source| Error::io(path, "read the picture", source);
    let reader = image::io::Reader::open(path).and_then(image::io::Reader::with_guessed_format).map_err(io)?;
    reader.into_dimensions().map_err(|error| match error {
        image::ImageError::IoError(source) if source.raw_os_error().is_some() => io(source),
        error => no_picture(path, &error),
    })
}

fn no_picture(path: &Path, error: &image::ImageError) -> Error {
    let reason = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    Error::content(path, "a PNG or JPEG picture", reason, "convert it, or take it out of the folder")
}

/// A square picture's pixels in \[0, 1\] at another size, by a triangle filter as wide as the reduction.
///
/// # Shapes
/// → 3 × size × size.
#[must_use]
pub fn pixels(picture: &RgbImage, size: usize) -> Vec<f32> {
    let side = u32::try_from(size).unwrap_or(u32::MAX);
    let resized = match picture.dimensions() == (side, side) {
        true => picture.clone(),
        false => imageops::resize(picture, side, side, FilterType::Triangle),
    };
    let channel = |c: usize| resized.pixels().map(move |pixel| f32::from(pixel.0[c]) / 255.0);
    (0..3).flat_map(channel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn pixels_lie_channel_by_channel_and_are_averaged_when_reduced() {
        let picture = RgbImage::from_fn(4, 4, |x, y| Rgb([(x * 50) as u8, (y * 50) as u8, 255]));
        let same = pixels(&picture, 4);
        assert_eq!((same[1], same[16], same[16 + 4], same[32]), (50.0 / 255.0, 0.0, 50.0 / 255.0, 1.0));
        let half = pixels(&picture, 2);
        assert_eq!(half.len(), 12);
        // A triangle of half-width 2 around x = 1 weighs the columns at 0.5, 1.5, 2.5 with 3 : 3 : 1:
        // (0 · 3 + 50 · 3 + 100 · 1) / 7 = 35.7.
        assert!((half[0] * 255.0 - 35.7).abs() < 1.0, "{}", half[0] * 255.0);
        assert!(half[8..].iter().all(|&blue| blue == 1.0));
    }

    #[test]
    fn what_is_no_picture_is_one_line_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no.png");
        for content in [&b"no picture"[..], b"\x89PNG\r\n\x1a\n half"] {
            std::fs::write(&path, content).unwrap();
            for message in [decode(&path).unwrap_err().to_string(), dimensions(&path).unwrap_err().to_string()] {
                assert!(message.contains("no.png") && message.contains("PNG or JPEG") && !message.contains('\n'));
            }
        }
        RgbImage::new(5, 3).save(&path).unwrap();
        assert_eq!(dimensions(&path).unwrap(), (5, 3));
        assert!(dimensions(&folder.path().join("none.png")).unwrap_err().to_string().contains("none.png"));
        assert!(decode(&folder.path().join("none.png")).unwrap_err().to_string().contains("none.png"));
    }
}
