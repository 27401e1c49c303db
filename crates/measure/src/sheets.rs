//! Sheets: pictures in rows and columns that a report shows, of one model and seed, in one safetensors file.
//!
//! One tensor a sheet, named by its slug, u8 `[rows · columns, c, h, w]`: sheets are there to be looked at, and a picture
//! on a screen has no finer steps than k/255. Titles, labels and captions lie as JSON under the metadata key `sheets`.

use std::path::Path;

use ndarray::Array4;
use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use crate::clamp::unit;
use crate::error::{Error, Result};
use crate::labelled_tensors::{self, LabelledTensor};

const KEY: &str = "sheets";

/// Pictures in rows and columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// What names the sheet's file: small letters, digits and hyphens.
    pub slug: String,
    /// Over everything.
    pub title: String,
    /// Under the title: what has to be known of the pictures.
    pub note: String,
    /// A label for each row. What follows a line break in it stands back: `truth\nperson 37, surprise`.
    pub rows: Vec<String>,
    /// A label for each column.
    pub columns: Vec<String>,
    /// How many rows belong together; blocks of so many are set apart. 0 for no blocks.
    pub block: usize,
    /// `[rows · columns, c, h, w]`, row by row.
    pub images: Array4<f32>,
    /// What each picture is, in the same order.
    pub cells: Vec<SheetCell>,
}

/// What has to be said about one picture of a sheet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SheetCell {
    /// A few characters under the picture, as `24.1 dB`.
    pub caption: Option<String>,
    /// Whether the picture is framed: held out, never seen in training.
    pub framed: bool,
    /// Whether there is no picture here; what `images` holds in its place is not shown.
    pub absent: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SheetLabels {
    slug: String,
    title: String,
    note: String,
    rows: Vec<String>,
    columns: Vec<String>,
    block: usize,
    cells: Vec<SheetCell>,
}

impl Sheet {
    /// A sheet without blocks whose pictures are all there, with neither frames nor captions; its note is empty.
    ///
    /// # Shapes
    /// images `[rows · columns, c, h, w]`, row by row.
    pub fn new(slug: &str, title: &str, rows: Vec<String>, columns: Vec<String>, images: Array4<f32>) -> Self {
        Self {
            slug: slug.to_owned(),
            title: title.to_owned(),
            note: String::new(),
            block: 0,
            cells: vec![SheetCell::default(); rows.len() * columns.len()],
            rows,
            columns,
            images,
        }
    }

    /// Checks what has to fit together.
    ///
    /// # Errors
    /// Not as many pictures and cells as places, or none; a slug that cannot be a part of a file's name; pixels that are
    /// not finite.
    pub fn validate(&self) -> Result<()> {
        let refuse = |expected: &str, found: String| {
            Err(Error::Shape {
                what: "sheet",
                expected: expected.to_owned(),
                found: format!("{found} in `{}`", self.slug),
            })
        };
        let (n, n_rows, n_columns) = (self.images.dim().0, self.rows.len(), self.columns.len());
        if n == 0 || n != n_rows * n_columns || n != self.cells.len() {
            let found = format!("{n} images and {} cells for {n_rows} rows and {n_columns} columns", self.cells.len());
            return refuse("an image and a cell for each place, and one at least", found);
        }
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.slug.is_empty() || !self.slug.chars().all(is_plain) {
            return refuse("a slug of small letters, digits and hyphens", "another".to_owned());
        }
        if self.images.iter().any(|pixel| !pixel.is_finite()) {
            return Err(Error::NotFinite { what: "sheet" });
        }
        Ok(())
    }
}

/// Writes the sheets of one model and seed atomically; the same sheets give the same bytes. Pixels are clamped to [0, 1]
/// and rounded to k/255.
///
/// # Errors
/// As [`Sheet::validate`], two sheets of one slug; anything that keeps the file from being written.
pub fn write_sheets(path: &Path, sheets: &[Sheet]) -> Result<()> {
    let (mut labels, mut tensors) = (Vec::new(), Vec::new());
    for (place, sheet) in sheets.iter().enumerate() {
        sheet.validate()?;
        if sheets.iter().take(place).any(|earlier| earlier.slug == sheet.slug) {
            return Err(Error::Shape {
                what: "sheets",
                expected: "every slug once".to_owned(),
                found: format!("`{}` twice", sheet.slug),
            });
        }
        tensors.push(LabelledTensor {
            name: sheet.slug.clone(),
            dtype: Dtype::U8,
            shape: sheet.images.shape().to_vec(),
            bytes: sheet.images.iter().map(|&pixel| (unit(pixel) * 255.0).round() as u8).collect(),
        });
        labels.push(SheetLabels {
            slug: sheet.slug.clone(),
            title: sheet.title.clone(),
            note: sheet.note.clone(),
            rows: sheet.rows.clone(),
            columns: sheet.columns.clone(),
            block: sheet.block,
            cells: sheet.cells.clone(),
        });
    }
    labelled_tensors::write(path, KEY, &labels, &tensors)
}

/// Reads a file that [`write_sheets`] wrote.
///
/// # Errors
/// A missing or broken file, missing tensors, counts that do not fit together.
pub fn read_sheets(path: &Path) -> Result<Vec<Sheet>> {
    labelled_tensors::read(path, KEY, |labels: Vec<SheetLabels>, tensors| {
        let read = |SheetLabels { slug, title, note, rows, columns, block, cells }: SheetLabels| {
            let pixel = |[byte]: [u8; 1]| f32::from(byte) / 255.0;
            let images = labelled_tensors::images(tensors, &slug, Dtype::U8, pixel)?;
            let sheet = Sheet { slug, title, note, rows, columns, block, images, cells };
            sheet.validate().map_err(|error| error.to_string())?;
            Ok(sheet)
        };
        labels.into_iter().map(read).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of three pictures of k/255, one of them framed and captioned, one absent.
    fn sheet(slug: &str) -> Sheet {
        let labels = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let images =
            Array4::from_shape_fn((6, 3, 4, 5), |(i, c, y, x)| ((i * 71 + c * 5 + y * 3 + x) % 256) as f32 / 255.0);
        let mut sheet =
            Sheet::new(slug, "A title", labels(&["truth\nhappy", "drawn"]), labels(&["a", "b", "c"]), images);
        sheet.note = "a note".into();
        sheet.block = 2;
        sheet.cells[4] = SheetCell { caption: Some("24.1 dB".into()), framed: true, absent: false };
        sheet.cells[5].absent = true;
        sheet
    }

    #[test]
    fn sheets_come_back_in_their_order_and_the_file_keeps_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m-seed0-sheets.safetensors");
        let sheets = vec![sheet("pairs"), sheet("all-expressions"), sheet("between-2")];
        write_sheets(&path, &sheets).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(read_sheets(&path).unwrap(), sheets);
        write_sheets(&path, &sheets).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        write_sheets(&path, &[]).unwrap();
        assert!(read_sheets(&path).unwrap().is_empty());
    }

    #[test]
    fn pixels_are_cut_and_rounded_as_a_screen_would() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m-seed0-sheets.safetensors");
        let mut odd = sheet("odd");
        // 0.1 · 255 = 25.5, rounded up; what lies outside is cut.
        odd.images.fill(0.1);
        odd.images[[0, 0, 0, 0]] = -3.0;
        odd.images[[0, 0, 0, 1]] = 1.7;
        write_sheets(&path, &[odd]).unwrap();
        let read = read_sheets(&path).unwrap();
        let first: Vec<f32> = read[0].images.iter().take(3).copied().collect();
        assert_eq!(first, [0.0, 1.0, 26.0 / 255.0]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m-seed0-sheets.safetensors");
        let refused = |change: fn(&mut Sheet)| {
            let mut wrong = sheet("a");
            change(&mut wrong);
            write_sheets(&path, &[wrong]).unwrap_err().to_string()
        };
        assert_eq!(
            refused(|sheet| sheet.rows.truncate(1)),
            "sheet: expected an image and a cell for each place, and one at least, found 6 images and 6 cells for 1 rows \
             and 3 columns in `a`"
        );
        assert!(refused(|sheet| sheet.cells.truncate(5)).contains("6 images and 5 cells"));
        assert!(
            refused(|sheet| *sheet = Sheet::new("a", "", vec![], vec![], Array4::zeros((0, 3, 4, 4))))
                .contains("0 rows")
        );
        for slug in ["", "Up", "a/b", "a b"] {
            let wrong = Sheet { slug: slug.into(), ..sheet("a") };
            let message = wrong.validate().unwrap_err().to_string();
            assert!(message.contains("small letters") && message.ends_with(&format!("in `{slug}`")), "{message}");
        }
        assert!(refused(|sheet| sheet.images[[1, 1, 1, 1]] = f32::NAN).contains("not finite"));
        let twice = write_sheets(&path, &[sheet("a"), sheet("a")]).unwrap_err().to_string();
        assert_eq!(twice, "sheets: expected every slug once, found `a` twice");
        assert!(!path.exists());

        write_sheets(&path, &[sheet("a")]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for broken in [&bytes[..bytes.len() - 1], &bytes[..9], b"nonsense".as_slice(), b""] {
            std::fs::write(&path, broken).unwrap();
            let error = read_sheets(&path).unwrap_err().to_string();
            assert!(error.contains("m-seed0-sheets.safetensors") && !error.contains('\n'), "{error}");
        }
        // A file of samples is no file of sheets.
        crate::write_samples(&path, &[]).unwrap();
        assert!(read_sheets(&path).unwrap_err().to_string().contains("no metadata named `sheets`"));
    }
}
