//! `confusion-<arm>-<factor>.png`: what one arm's classifiers took for what, a matrix per test set, summed over seeds.
//!
//! Rows are what images show, columns what was read; a cell is the share of the row's images, white at 0 and dark at 1. A
//! factor of more than [`MAX_LEVELS`] levels has no figure: nobody could read it.

use std::path::Path;

use multigen_measure::ConfusionRow;
use plotters::prelude::*;

use crate::error::Result;
use crate::figures::canvas::{
    Area, Drawn, FAINT_INK, INK, RULE, png, text_centred, text_left, text_right, text_style, text_width, wrapped,
};

/// Levels of a factor at most.
pub const MAX_LEVELS: usize = 12;

const CELL: i32 = 74;
const MARGIN: i32 = 40;
const TOP: i32 = 128;
/// From a panel's top to its first row: its name, the name of the columns, their labels.
const HEADING: i32 = 96;
const GAP: i32 = 50;
/// The darkest cell.
const DARK: (f64, f64, f64) = (0.0, 92.0, 150.0);

/// What stands above a figure.
#[derive(Debug, Clone, Copy)]
pub struct ConfusionHeading<'a> {
    /// The arm.
    pub arm: &'a str,
    /// The factor.
    pub factor: &'a str,
    /// What the images are, where they could be mistaken for others.
    pub pictured: Option<&'a str>,
}

/// The counts of one test set.
#[derive(Debug, PartialEq)]
struct Matrix<'a> {
    set: &'a str,
    /// In the order of the file.
    levels: Vec<&'a str>,
    /// Counts `[truth, read]`.
    counts: Vec<Vec<u64>>,
}

/// The factors of an arm whose levels are few enough for a figure, in the order of the file.
pub fn factors<'a>(rows: &'a [ConfusionRow], arm: &str) -> Vec<&'a str> {
    let mut factors: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| row.model == arm) {
        if !factors.contains(&row.factor.as_str()) {
            factors.push(&row.factor);
        }
    }
    factors.retain(|factor| {
        let matrices = matrices(rows, arm, factor);
        !matrices.is_empty() && matrices.iter().all(|matrix| matrix.levels.len() <= MAX_LEVELS)
    });
    factors
}

/// The counts of an arm and a factor, a matrix per test set, summed over seeds.
fn matrices<'a>(rows: &'a [ConfusionRow], arm: &str, factor: &str) -> Vec<Matrix<'a>> {
    let mut all: Vec<Matrix> = Vec::new();
    let of_figure = || rows.iter().filter(|row| row.model == arm && row.factor == factor);
    for row in of_figure() {
        let place = all.iter().position(|matrix| matrix.set == row.set).unwrap_or_else(|| {
            all.push(Matrix { set: &row.set, levels: Vec::new(), counts: Vec::new() });
            all.len() - 1
        });
        if !all[place].levels.contains(&row.truth.as_str()) {
            all[place].levels.push(&row.truth);
        }
    }
    for matrix in &mut all {
        let n = matrix.levels.len();
        matrix.counts = vec![vec![0; n]; n];
        for row in of_figure().filter(|row| row.set == matrix.set) {
            let place = |level: &str| matrix.levels.iter().position(|known| *known == level);
            if let (Some(truth), Some(read)) = (place(&row.truth), place(&row.read)) {
                matrix.counts[truth][read] += row.count;
            }
        }
    }
    all
}

/// The figure as PNG; `path` is the file that errors name.
///
/// # Errors
/// The drawing library refuses.
pub fn draw_confusion(path: &Path, heading: ConfusionHeading, rows: &[ConfusionRow]) -> Result<Vec<u8>> {
    let matrices = matrices(rows, heading.arm, heading.factor);
    let label = text_style(18, false, INK);
    let longest = |matrix: &Matrix| matrix.levels.iter().map(|level| text_width(level, &label)).max().unwrap_or(0);
    let left = matrices.iter().map(longest).max().unwrap_or(0) + 46;
    let width_of = |matrix: &Matrix| (left + CELL * matrix.levels.len() as i32).max(320);
    let title = format!("What {} reads as {}", heading.arm, heading.factor);
    let of_what = heading.pictured.map(|what| format!(" of {what}")).unwrap_or_default();
    let note = format!("share of the real images{of_what} that show a level, by the level read; all seeds together");
    let (title_style, note_style) = (text_style(32, true, INK), text_style(20, false, FAINT_INK));
    let panels: i32 = matrices.iter().map(|matrix| width_of(matrix) + GAP).sum::<i32>() - GAP;
    let width = panels.max(text_width(&title, &title_style)).max(520) + 2 * MARGIN;
    let note = wrapped(&note, &note_style, width - 2 * MARGIN);
    let top = TOP + 26 * (note.len() as i32 - 1);
    let n_rows = matrices.iter().map(|matrix| matrix.levels.len()).max().unwrap_or(0) as i32;
    let height = top + HEADING + CELL * n_rows + MARGIN;
    png(path, width.unsigned_abs(), height.unsigned_abs(), |area| {
        text_left(area, &title, &title_style, (MARGIN, 28))?;
        for (line, y) in note.iter().zip(0..) {
            text_left(area, line, &note_style, (MARGIN, 74 + 26 * y))?;
        }
        let mut x = MARGIN;
        for matrix in &matrices {
            matrix.draw(area, (x, top), left)?;
            x += width_of(matrix) + GAP;
        }
        Ok(())
    })
}

impl Matrix<'_> {
    fn draw(&self, area: &Area, (x, y): (i32, i32), left: i32) -> Drawn {
        let n_images: u64 = self.counts.iter().flatten().sum();
        let heading = format!("{} (n = {n_images})", self.set);
        text_left(area, &heading, &text_style(22, true, INK), (x, y))?;
        let axis = text_style(18, true, FAINT_INK);
        text_left(area, "read as", &axis, (x + left, y + 38))?;
        text_right(area, "shown", &axis, (x + left - 12, y + 66))?;
        let label = text_style(18, false, INK);
        let (x0, y0) = (x + left, y + HEADING);
        for (place, level) in (0..).zip(&self.levels) {
            // Names of columns are cut where they would run into each other; the rows have them whole.
            let mut name = (*level).to_owned();
            while text_width(&name, &label) > CELL - 6 && name.pop().is_some() {}
            text_centred(area, &name, &label, (x0 + CELL * place + CELL / 2, y + 66))?;
            text_right(area, level, &label, (x0 - 12, y0 + CELL * place + CELL / 2 - 11))?;
        }
        for (row, counts) in (0..).zip(&self.counts) {
            let sum: u64 = counts.iter().sum();
            for (column, count) in (0..).zip(counts) {
                let share = *count as f64 / sum.max(1) as f64;
                let corner = (x0 + CELL * column, y0 + CELL * row);
                let opposite = (corner.0 + CELL, corner.1 + CELL);
                area.draw(&Rectangle::new([corner, opposite], shade(share).filled()))?;
                area.draw(&Rectangle::new([corner, opposite], RULE.stroke_width(1)))?;
                let ink = if share > 0.55 { WHITE } else { INK };
                let text = if sum == 0 { "–".to_owned() } else { format!("{share:.2}") };
                let style = text_style(19, false, ink);
                text_centred(area, &text, &style, (corner.0 + CELL / 2, corner.1 + CELL / 2 - 11))?;
            }
        }
        Ok(())
    }
}

/// White at 0, the darkest colour at 1.
fn shade(share: f64) -> RGBColor {
    let mix = |dark: f64| (255.0 + (dark - 255.0) * share.clamp(0.0, 1.0)).round() as u8;
    RGBColor(mix(DARK.0), mix(DARK.1), mix(DARK.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seed: u64, set: &str, factor: &str, (truth, read): (&str, &str), count: u64) -> ConfusionRow {
        let [set, factor, truth, read] = [set, factor, truth, read].map(str::to_owned);
        ConfusionRow { model: "alone".into(), seed, set, factor, truth, read, count }
    }

    fn rows() -> Vec<ConfusionRow> {
        let mut rows = vec![
            row(0, "held-out", "emotion", ("happy", "happy"), 3),
            row(0, "held-out", "emotion", ("happy", "sad"), 1),
            row(0, "held-out", "emotion", ("sad", "sad"), 0),
            row(1, "held-out", "emotion", ("happy", "happy"), 2),
            row(1, "held-out", "emotion", ("sad", "happy"), 5),
            row(0, "session B", "emotion", ("happy", "happy"), 7),
        ];
        rows.extend((0..13).map(|person| {
            let person = person.to_string();
            row(0, "session B", "person", (&person, &person), 1)
        }));
        rows
    }

    #[test]
    fn counts_are_summed_over_seeds_and_kept_apart_by_set() {
        let rows = rows();
        let matrices = matrices(&rows, "alone", "emotion");
        // Held-out, both seeds: happy read as happy 3 + 2, as sad 1; sad as happy 5, as sad 0.
        assert_eq!(matrices[0].levels, ["happy", "sad"]);
        assert_eq!(matrices[0].counts, [[5, 1], [5, 0]]);
        assert_eq!((matrices[1].set, matrices[1].counts[0][0], matrices.len()), ("session B", 7, 2));
    }

    #[test]
    fn factors_of_many_levels_have_no_figure() {
        assert_eq!(factors(&rows(), "alone"), ["emotion"]);
        assert!(factors(&rows(), "other").is_empty());
    }

    #[test]
    fn a_full_cell_is_dark_and_an_empty_one_white() {
        assert_eq!((shade(0.0), shade(1.0)), (WHITE, RGBColor(0, 92, 150)));
        let heading = ConfusionHeading { arm: "alone", factor: "emotion", pictured: Some("drawn faces") };
        let png = draw_confusion(Path::new("confusion.png"), heading, &rows()).unwrap();
        let picture = image::load_from_memory(&png).unwrap().to_rgb8();
        // Session B: happy read as happy in all seven images, one dark cell.
        assert!(picture.pixels().filter(|pixel| pixel.0 == [0, 92, 150]).count() > 3000);
        draw_confusion(Path::new("confusion.png"), heading, &[]).unwrap();
    }
}
