//! MNIST as the hub keeps it: a parquet table with the columns `image`, a struct of `bytes` (a PNG file) and `path`,
//! and `label`, an integer.
//!
//! The reader of parquet is polars'. It reports a truncated file, but a byte changed inside one can make it ask for more
//! memory than there is, which ends the program; that is why the checksum under which the hub lists a file is compared
//! before the file comes here.

use std::fs::File;
use std::path::Path;

use image::{DynamicImage, ImageFormat};
use polars::prelude::{DataFrame, DataType, ParquetReader, PolarsResult, SerReader};

use crate::sets::mnist::{LabelledImages, N_DIGITS, SIZE};
use crate::{Error, Result};

/// Reads and decodes such a table.
///
/// # Errors
/// The file cannot be read, is no parquet file, does not have these columns, or holds something else than 28 × 28 grey
/// images with labels from 0 to 9.
pub(super) fn read_mnist(path: &Path) -> Result<LabelledImages> {
    let file = File::open(path).map_err(|source| Error::io(path, "open the parquet file", source))?;
    let table = ParquetReader::new(file)
        .with_columns(Some(vec!["image".to_owned(), "label".to_owned()]))
        .finish()
        .map_err(|error| content(path, "a parquet file with the columns image and label", &error.to_string()))?;
    decode(path, &table)
}

fn decode(path: &Path, table: &DataFrame) -> Result<LabelledImages> {
    let expected = "image: struct of bytes and path, label: integer";
    let columns = |table: &DataFrame| -> PolarsResult<_> {
        let bytes = table.column("image")?.struct_()?.field_by_name("bytes")?;
        let labels = table.column("label")?.cast(&DataType::Int64)?;
        Ok((bytes.binary()?.clone(), labels.i64()?.clone()))
    };
    let (bytes, labels) = columns(table).map_err(|error| content(path, expected, &error.to_string()))?;
    let mut images = LabelledImages {
        pixels: Vec::with_capacity(bytes.len() * SIZE * SIZE),
        labels: Vec::with_capacity(labels.len()),
    };
    for (place, (png, label)) in bytes.iter().zip(labels.iter()).enumerate() {
        let png = png.ok_or_else(|| content(path, "an image in every row", &format!("none in row {place}")))?;
        let pixels = decode_png(png).map_err(|found| {
            content(path, &format!("PNG images of {SIZE} × {SIZE} grey pixels"), &format!("{found} in row {place}"))
        })?;
        let label = label.and_then(|label| u8::try_from(label).ok()).filter(|&label| usize::from(label) < N_DIGITS);
        let label = label.ok_or_else(|| content(path, "labels from 0 to 9", &format!("another in row {place}")))?;
        images.pixels.extend_from_slice(&pixels);
        images.labels.push(label);
    }
    Ok(images)
}

/// The grey pixels of a PNG file, or what it is instead.
fn decode_png(png: &[u8]) -> std::result::Result<Vec<u8>, String> {
    let decoded = image::load_from_memory_with_format(png, ImageFormat::Png);
    match decoded.map_err(|error| format!("no PNG file ({error})"))? {
        DynamicImage::ImageLuma8(grey) if grey.dimensions() == (SIZE as u32, SIZE as u32) => Ok(grey.into_raw()),
        other => Err(format!("{} × {} pixels of type {:?}", other.height(), other.width(), other.color())),
    }
}

fn content(path: &Path, expected: &str, found: &str) -> Error {
    let found = found.split_whitespace().collect::<Vec<_>>().join(" ");
    Error::content(path, expected, found, "delete the file and fetch it again")
}
