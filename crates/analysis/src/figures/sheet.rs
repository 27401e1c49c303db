//! A sheet as a picture: images in rows and columns under their labels, what was held out in a strong frame.
//!
//! Images are enlarged by whole factors without interpolation. A column is as wide as its images, or a little wider if
//! the words above it need it; if they need much more, all column labels are set upright.

use std::path::Path;

use multigen_measure::{Sheet, SheetCell, atomic_write};
use ndarray::Axis;
use plotters::prelude::*;

use crate::error::Result;
use crate::figures::canvas::{
    Area, Drawn, FAINT_INK, INK, RULE, STRONG, enlarged, png, text_centred, text_left, text_style, text_upwards,
    text_width, wrapped,
};

const MARGIN: i32 = 28;
const GAP: i32 = 12;
/// Between blocks of rows, instead of the usual gap.
const BLOCK_GAP: i32 = 34;
/// From an image to what stands beside, above or under it.
const LABEL_GAP: i32 = 8;
const MIN_WIDTH: i32 = 720;
/// Row labels are broken into lines of at most this width.
const MAX_LABEL_WIDTH: i32 = 200;
/// Images are enlarged until they are at least this wide; on sheets of many rows or columns, the second.
const MIN_SIDES: [usize; 2] = [112, 64];
/// More rows or columns than these are many.
const FEW: (usize, usize) = (12, 9);
/// From the image's edge to the outer edge of its frame, and the frame's thickness.
const FRAME: (i32, i32) = (4, 3);
/// Where there is no picture.
const EMPTY: RGBColor = RGBColor(241, 243, 246);
const LEGEND: &str = "framed: held out, never seen in training";

/// The sheet as PNG; `path` is the file that errors name.
///
/// # Errors
/// The sheet does not fit together, or the drawing library refuses.
pub fn draw_sheet(path: &Path, sheet: &Sheet) -> Result<Vec<u8>> {
    sheet.validate()?;
    let layout = Layout::new(sheet);
    png(path, layout.width.unsigned_abs(), layout.height().unsigned_abs(), |area| layout.draw(area))
}

/// Draws a sheet and writes it, atomically.
///
/// # Errors
/// As [`draw_sheet`], or the file cannot be written.
pub fn write_sheet(path: &Path, sheet: &Sheet) -> Result<()> {
    Ok(atomic_write(path, &draw_sheet(path, sheet)?)?)
}

/// Where everything lies, in pixels.
struct Layout<'a> {
    sheet: &'a Sheet,
    scale: usize,
    /// Width and height of an image.
    side: (i32, i32),
    /// Size of labels and captions.
    text: i32,
    title: Vec<String>,
    note: Vec<String>,
    headings: Headings,
    /// Lines of each row's label, the first of them bold.
    rows: Vec<Vec<(String, bool)>>,
    label_width: i32,
    column_width: i32,
    width: i32,
    /// Of the line of captions under a row that has some.
    caption_height: i32,
}

enum Headings {
    /// Lines over each column.
    Level(Vec<Vec<String>>),
    /// One upright line over each column, and the height of the longest.
    Upright(i32),
}

const TITLE: (i32, i32) = (27, 34);
const NOTE: (i32, i32) = (17, 23);

impl<'a> Layout<'a> {
    fn new(sheet: &'a Sheet) -> Self {
        let (_, _, h, w) = sheet.images.dim();
        let n_columns = sheet.columns.len();
        let [large, small] = MIN_SIDES;
        let is_large = sheet.rows.len() <= FEW.0 && n_columns <= FEW.1;
        let scale = if is_large { large } else { small }.div_ceil(w.max(1));
        let side = ((w * scale) as i32, (h * scale) as i32);
        let text = if side.0 < 100 { 14 } else { 16 };
        let (bold, regular) = (text_style(text, true, INK), text_style(text, false, FAINT_INK));
        let widest =
            |texts: &mut dyn Iterator<Item = &str>| texts.map(|text| text_width(text, &bold)).max().unwrap_or(0);
        let word_width = widest(&mut sheet.columns.iter().flat_map(|label| label.split_whitespace()));
        let caption_width = widest(&mut sheet.cells.iter().filter_map(|cell| cell.caption.as_deref()));
        let is_level = word_width <= side.0 + side.0 / 3 + GAP;
        let column_width = side.0.max(caption_width).max(if is_level { word_width } else { 0 });
        let headings = if is_level {
            let lines = |label: &String| wrapped(label, &bold, column_width + GAP / 2);
            Headings::Level(sheet.columns.iter().map(lines).collect())
        } else {
            Headings::Upright(widest(&mut sheet.columns.iter().map(String::as_str)))
        };
        let rows: Vec<Vec<(String, bool)>> = sheet
            .rows
            .iter()
            .map(|label| {
                let lines = label.split('\n').enumerate().map(|(place, part)| (part, place == 0));
                lines
                    .flat_map(|(part, is_first)| {
                        let style = if is_first { &bold } else { &regular };
                        wrapped(part, style, MAX_LABEL_WIDTH).into_iter().map(move |line| (line, is_first))
                    })
                    .collect()
            })
            .collect();
        let label_width = widest(&mut rows.iter().flatten().map(|(line, _)| line.as_str()));
        let label_width = if label_width > 0 { label_width + 2 * LABEL_GAP } else { 0 };
        let images_width = n_columns as i32 * (column_width + GAP) - GAP + FRAME.0;
        let width = (2 * MARGIN + label_width + images_width).max(MIN_WIDTH);
        let lines = |text, size, bold| wrapped(text, &text_style(size, bold, INK), width - 2 * MARGIN);
        Self {
            sheet,
            scale,
            side,
            text,
            title: lines(&sheet.title, TITLE.0, true),
            note: lines(&sheet.note, NOTE.0, false),
            headings,
            rows,
            label_width,
            column_width,
            width,
            caption_height: text + 10,
        }
    }

    fn line_height(&self) -> i32 {
        self.text + 3
    }

    fn has_frames(&self) -> bool {
        self.sheet.cells.iter().any(|cell| cell.framed)
    }

    /// Title, note and legend.
    fn head_height(&self) -> i32 {
        let legend = if self.has_frames() { NOTE.1 + 6 } else { 0 };
        self.title.len() as i32 * TITLE.1 + self.note.len() as i32 * NOTE.1 + legend + 14
    }

    fn headings_height(&self) -> i32 {
        let height = match &self.headings {
            Headings::Level(lines) => lines.iter().map(Vec::len).max().unwrap_or(0) as i32 * self.line_height(),
            Headings::Upright(longest) => *longest,
        };
        height + LABEL_GAP
    }

    fn cells(&self, row: usize) -> &[SheetCell] {
        let n_columns = self.sheet.columns.len();
        self.sheet.cells.get(row * n_columns..(row + 1) * n_columns).unwrap_or_default()
    }

    /// From the top of a row to the top of the next.
    fn row_height(&self, row: usize) -> i32 {
        let has_captions = self.cells(row).iter().any(|cell| cell.caption.is_some());
        let label_height = self.rows.get(row).map_or(0, |lines| lines.len() as i32 * self.line_height());
        let caption_height = if has_captions { self.caption_height } else { 0 };
        (self.side.1 + caption_height).max(label_height) + if self.ends_block(row) { BLOCK_GAP } else { GAP }
    }

    fn ends_block(&self, row: usize) -> bool {
        self.sheet.block > 0 && (row + 1).is_multiple_of(self.sheet.block) && row + 1 < self.rows.len()
    }

    fn height(&self) -> i32 {
        let rows: i32 = (0..self.rows.len()).map(|row| self.row_height(row)).sum();
        2 * MARGIN + self.head_height() + self.headings_height() + rows - GAP + FRAME.0
    }

    fn column_left(&self, column: usize) -> i32 {
        MARGIN + self.label_width + column as i32 * (self.column_width + GAP)
    }

    fn draw(&self, area: &Area) -> Drawn {
        self.draw_head(area)?;
        let mut top = MARGIN + self.head_height();
        self.draw_headings(area, top)?;
        top += self.headings_height();
        for row in 0..self.rows.len() {
            self.draw_row(area, row, top)?;
            top += self.row_height(row);
            if self.ends_block(row) {
                let y = top - (BLOCK_GAP + GAP) / 2 + 3;
                let right = self.column_left(self.sheet.columns.len()) - GAP;
                area.draw(&Rectangle::new([(MARGIN, y), (right, y + 1)], RULE.filled()))?;
            }
        }
        Ok(())
    }

    fn draw_head(&self, area: &Area) -> Drawn {
        let mut y = MARGIN;
        for line in &self.title {
            text_left(area, line, &text_style(TITLE.0, true, INK), (MARGIN, y))?;
            y += TITLE.1;
        }
        for line in &self.note {
            text_left(area, line, &text_style(NOTE.0, false, FAINT_INK), (MARGIN, y))?;
            y += NOTE.1;
        }
        if self.has_frames() {
            frame(area, (MARGIN + FRAME.0, y + 2 + FRAME.0), (8, 8))?;
            text_left(area, LEGEND, &text_style(NOTE.0, false, INK), (MARGIN + 26, y + 3))?;
        }
        Ok(())
    }

    fn draw_headings(&self, area: &Area, top: i32) -> Drawn {
        let bold = text_style(self.text, true, INK);
        let bottom = top + self.headings_height() - LABEL_GAP;
        for (column, label) in self.sheet.columns.iter().enumerate() {
            let centre = self.column_left(column) + self.column_width / 2;
            match &self.headings {
                Headings::Level(lines) => {
                    let lines = lines.get(column).map_or(&[] as &[String], Vec::as_slice);
                    for (line, place) in lines.iter().rev().zip(1..) {
                        text_centred(area, line, &bold, (centre, bottom - place * self.line_height()))?;
                    }
                }
                Headings::Upright(_) => text_upwards(area, label, &bold, (centre, bottom))?,
            }
        }
        Ok(())
    }

    fn draw_row(&self, area: &Area, row: usize, top: i32) -> Drawn {
        let lines = self.rows.get(row).map_or(&[] as &[(String, bool)], Vec::as_slice);
        let mut y = top + (self.side.1 - lines.len() as i32 * self.line_height()).max(0) / 2;
        for (line, is_bold) in lines {
            let ink = if *is_bold { INK } else { FAINT_INK };
            text_left(area, line, &text_style(self.text, *is_bold, ink), (MARGIN, y))?;
            y += self.line_height();
        }
        let n_columns = self.sheet.columns.len();
        for (column, cell) in self.cells(row).iter().enumerate() {
            let centre = self.column_left(column) + self.column_width / 2;
            let at = (centre - self.side.0 / 2, top);
            if cell.absent {
                let (right, bottom) = (at.0 + self.side.0 - 1, at.1 + self.side.1 - 1);
                area.draw(&Rectangle::new([at, (right, bottom)], EMPTY.filled()))?;
                let middle = top + (self.side.1 - self.line_height()) / 2;
                text_centred(area, "–", &text_style(self.text, false, FAINT_INK), (centre, middle))?;
            } else {
                enlarged(area, self.scale, at, self.sheet.images.index_axis(Axis(0), row * n_columns + column))?;
            }
            if cell.framed {
                frame(area, at, self.side)?;
            }
            if let Some(caption) = &cell.caption {
                let ink = if cell.framed { STRONG } else { FAINT_INK };
                let style = text_style(self.text - 1, cell.framed, ink);
                text_centred(area, caption, &style, (centre, top + self.side.1 + FRAME.0 + 4))?;
            }
        }
        Ok(())
    }
}

/// A strong frame around an image, leaving a white line between.
fn frame(area: &Area, (left, top): (i32, i32), (width, height): (i32, i32)) -> Drawn {
    let (distance, thickness) = FRAME;
    for offset in distance - thickness + 1..=distance {
        let corners = [(left - offset, top - offset), (left + width - 1 + offset, top + height - 1 + offset)];
        area.draw(&Rectangle::new(corners, STRONG))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array4;

    /// `rows` × `columns` black pictures of `side` pixels without labels on the rows.
    fn sheet(rows: usize, columns: usize, side: usize) -> Sheet {
        let columns: Vec<String> = (0..columns).map(|column| format!("c{column}")).collect();
        let images = Array4::zeros((rows * columns.len(), 3, side, side));
        Sheet::new("a", "A title", vec![String::new(); rows], columns, images)
    }

    fn drawn(sheet: &Sheet) -> image::RgbImage {
        image::load_from_memory(&draw_sheet(Path::new("sheet.png"), sheet).unwrap()).unwrap().to_rgb8()
    }

    /// The pixel at a distance from the top left corner of a cell.
    fn pixel(sheet: &Sheet, picture: &image::RgbImage, (row, column): (usize, usize), (dx, dy): (i32, i32)) -> [u8; 3] {
        let layout = Layout::new(sheet);
        let above: i32 = (0..row).map(|row| layout.row_height(row)).sum();
        let top = MARGIN + layout.head_height() + layout.headings_height() + above;
        let left = layout.column_left(column) + (layout.column_width - layout.side.0) / 2;
        picture.get_pixel((left + dx) as u32, (top + dy) as u32).0
    }

    #[test]
    fn images_lie_row_by_row_and_are_enlarged_crisply() {
        let mut sheet = sheet(2, 3, 56);
        sheet.rows = vec!["a".into(), "b\nbelow".into()];
        sheet.images.index_axis_mut(Axis(0), 4).fill(1.0); // Row 1, column 1.
        sheet.images[[5, 0, 0, 0]] = 1.0; // A red corner.
        let picture = drawn(&sheet);
        let at = |cell| pixel(&sheet, &picture, cell, (50, 50));
        assert_eq!([at((0, 0)), at((1, 1)), at((1, 2))], [[0; 3], [255; 3], [0; 3]]);
        // Scale 112 / 56 = 2.
        let corner = |offset| pixel(&sheet, &picture, (1, 2), offset);
        assert_eq!([corner((1, 1)), corner((2, 1)), corner((-1, 1))], [[255, 0, 0], [0; 3], [255; 3]]);
    }

    #[test]
    fn what_was_held_out_is_framed_and_what_is_absent_is_empty() {
        let mut sheet = sheet(2, 2, 112);
        let plain = drawn(&sheet);
        sheet.cells[1] = SheetCell { framed: true, caption: Some("24.1 dB".into()), absent: false };
        sheet.cells[2].absent = true;
        let picture = drawn(&sheet);
        let at = |cell, offset| pixel(&sheet, &picture, cell, offset);
        let strong = [STRONG.0, STRONG.1, STRONG.2];
        // From the outside: the frame's three pixels, one white, the image.
        assert_eq!([-5, -4, -2, -1, 0].map(|dx| at((0, 1), (dx, 50))), [[255; 3], strong, strong, [255; 3], [0; 3]]);
        assert_eq!(at((0, 0), (-3, 50)), [255; 3]);
        assert_eq!(at((1, 0), (20, 20)), [EMPTY.0, EMPTY.1, EMPTY.2]);
        // A line for the legend, a line for the captions of the first row.
        assert_eq!(picture.height() - plain.height(), (NOTE.1 + 6 + 16 + 10) as u32);
    }

    #[test]
    fn many_rows_or_columns_make_images_small_and_long_labels_stand_upright() {
        let side = |rows, columns, pixels| Layout::new(&sheet(rows, columns, pixels)).side.0;
        assert_eq!((side(2, 7, 71), side(25, 7, 71), side(7, 25, 71)), (142, 71, 71));
        assert_eq!((side(2, 7, 28), side(2, 20, 28), side(1, 1, 158)), (112, 84, 158));
        let mut long = sheet(1, 12, 71);
        let width = Layout::new(&long).column_width;
        long.columns[3] = "two words each of them short".into();
        assert!(matches!(&Layout::new(&long).headings, Headings::Level(lines) if lines[3].len() > 2));
        long.columns[3] = "rotate-270-mirror-y".into();
        let upright = Layout::new(&long);
        assert!(matches!(upright.headings, Headings::Upright(height) if height > 100));
        assert_eq!(upright.column_width, width);
        drawn(&long);
    }

    #[test]
    fn blocks_are_set_apart() {
        let mut sheet = sheet(6, 2, 112);
        let height = drawn(&sheet).height();
        sheet.block = 2;
        // Three blocks, two gaps between them.
        assert_eq!(drawn(&sheet).height() - height, 2 * (BLOCK_GAP - GAP) as u32);
    }

    #[test]
    fn sheets_that_do_not_fit_together_are_refused() {
        let mut wrong = sheet(2, 3, 8);
        wrong.rows.pop();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        let error = write_sheet(&path, &wrong).unwrap_err().to_string();
        assert!(error.contains("6 images and 6 cells for 1 rows and 3 columns"), "{error}");
        assert!(!path.exists());
        write_sheet(&path, &sheet(2, 3, 8)).unwrap();
        assert!(path.is_file());
    }
}
