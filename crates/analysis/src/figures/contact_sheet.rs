//! Images in rows and columns with a label for each: what a data set looks like.

use std::path::Path;

use multigen_measure::atomic_write;
use ndarray::{ArrayView4, Axis};

use crate::error::{Error, Result};
use crate::figures::canvas::{FAINT_INK, INK, enlarged, png, text_centred, text_left, text_style};

const MARGIN: i32 = 28;
const LABEL_WIDTH: i32 = 110;
const GAP: i32 = 6;
const TITLE_HEIGHT: i32 = 72;
const HEADING_HEIGHT: i32 = 26;
/// Images are enlarged until they are at least this wide.
const MIN_SIDE: usize = 112;
/// Pixels that a heading's character takes, about.
const CHARACTER: usize = 9;

/// What a contact sheet shows.
#[derive(Debug, Clone, Copy)]
pub struct ContactSheet<'a> {
    /// Over everything.
    pub title: &'a str,
    /// Under the title: what has to be known of the images.
    pub note: &'a str,
    /// A label for each row and each column.
    pub rows: &'a [String],
    /// As above.
    pub columns: &'a [String],
    /// `[rows · columns, c, h, w]`, row by row.
    pub images: ArrayView4<'a, f32>,
}

/// Draws a contact sheet and writes it, atomically.
///
/// # Errors
/// There are not as many images as places, or the file cannot be drawn or written.
pub fn write(path: &Path, sheet: &ContactSheet) -> Result<()> {
    let (n, _, h, w) = sheet.images.dim();
    let (n_rows, n_columns) = (sheet.rows.len(), sheet.columns.len());
    if n != n_rows * n_columns || n == 0 {
        let detail = format!("{n} images for {n_rows} rows and {n_columns} columns");
        return Err(Error::Figure { path: path.to_path_buf(), detail });
    }
    let scale = MIN_SIDE.div_ceil(w.max(1));
    let widest_heading = sheet.columns.iter().map(|column| column.chars().count() * CHARACTER).max().unwrap_or(0);
    let (step_x, step_y) = ((w * scale).max(widest_heading) as i32 + GAP, (h * scale) as i32 + GAP);
    let width = (2 * MARGIN + LABEL_WIDTH + n_columns as i32 * step_x).max(720);
    let height = 2 * MARGIN + TITLE_HEIGHT + HEADING_HEIGHT + n_rows as i32 * step_y;
    let bytes = png(path, width.unsigned_abs(), height.unsigned_abs(), |area| {
        text_left(area, sheet.title, &text_style(27, true, INK), (MARGIN, MARGIN))?;
        text_left(area, sheet.note, &text_style(17, false, FAINT_INK), (MARGIN, MARGIN + 36))?;
        let top = MARGIN + TITLE_HEIGHT;
        let heading = text_style(16, true, INK);
        let left = MARGIN + LABEL_WIDTH;
        for (column, label) in sheet.columns.iter().enumerate() {
            let centre = left + column as i32 * step_x + (step_x - GAP) / 2;
            text_centred(area, label, &heading, (centre, top))?;
        }
        for (row, label) in sheet.rows.iter().enumerate() {
            let y = top + HEADING_HEIGHT + row as i32 * step_y;
            text_left(area, label, &heading, (MARGIN, y + (step_y - GAP) / 2 - 8))?;
            for column in 0..n_columns {
                let x = left + column as i32 * step_x + (step_x - GAP - (w * scale) as i32) / 2;
                let image = sheet.images.index_axis(Axis(0), row * n_columns + column);
                enlarged(area, scale, (x, y), image)?;
            }
        }
        Ok(())
    })?;
    Ok(atomic_write(path, &bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array4;

    #[test]
    fn images_lie_row_by_row_under_their_labels() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        let mut images = Array4::zeros((6, 3, 56, 56));
        images.index_axis_mut(Axis(0), 4).fill(1.0); // Row 1, column 1.
        let labels = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (rows, columns) = (labels(&["a", "b"]), labels(&["one", "two", "three"]));
        let sheet =
            ContactSheet { title: "A title", note: "a note", rows: &rows, columns: &columns, images: images.view() };
        write(&path, &sheet).unwrap();
        let drawn = image::open(&path).unwrap().to_rgb8();
        let pixel = |row: i32, column: i32| {
            let x = MARGIN + LABEL_WIDTH + column * (112 + GAP) + 50;
            let y = MARGIN + TITLE_HEIGHT + HEADING_HEIGHT + row * (112 + GAP) + 50;
            drawn.get_pixel(x as u32, y as u32).0
        };
        assert_eq!([pixel(0, 0), pixel(1, 1), pixel(1, 2)], [[0; 3], [255; 3], [0; 3]]);
        let wrong = ContactSheet { rows: &rows[..1], ..sheet };
        let error = write(&path, &wrong).unwrap_err().to_string();
        assert!(error.contains("6 images for 1 rows and 3 columns"), "{error}");
    }
}
