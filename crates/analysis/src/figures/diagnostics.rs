//! `diagnostics.png`: what was looked at while a discriminator took part; a panel per quantity, a colour per model, a line
//! per seed.

use std::path::Path;

use multigen_measure::DiagnosticRow;

use crate::error::Result;
use crate::figures::canvas::{FAINT_INK, INK, png, text_left, text_style};
use crate::figures::curves::{Panel, Series, legend, models, padded, series};

const PANEL: (i32, i32) = (600, 420);
const ABREAST: i32 = 3;
const LINES: i32 = 2;
const MARGIN: i32 = 40;

/// A quantity: its caption, what its axis says, and its value in a row.
type Quantity = (&'static str, &'static str, fn(&DiagnosticRow) -> f64);

const QUANTITIES: [Quantity; 5] = [
    ("Discriminator on real images", "share taken for real", |row| row.discriminator_on_real),
    ("Discriminator on generated images", "share taken for generated", |row| row.discriminator_on_generated),
    ("Spread of generated images", "multiple of the real ones' spread", |row| row.relative_spread),
    ("Gradient of the generator", "Euclidean norm", |row| row.generator_gradient),
    ("Gradient of the discriminator", "Euclidean norm", |row| row.discriminator_gradient),
];

/// The figure as PNG; `order` gives the order of the models, `path` the file that errors name.
///
/// # Errors
/// The drawing library refuses.
pub fn draw_diagnostics(path: &Path, order: &[&str], rows: &[DiagnosticRow]) -> Result<Vec<u8>> {
    let of_quantity = |value: fn(&DiagnosticRow) -> f64| -> Vec<Series> {
        let mut all = series(rows.iter().map(|row| (row.model.as_str(), row.seed, row.step, value(row))));
        all.sort_by_key(|one| order.iter().position(|model| *model == one.model));
        all
    };
    let panels = QUANTITIES.map(|(caption, quantity, value)| (caption, quantity, of_quantity(value)));
    let names = models(&panels[0].2);
    let last_step = rows.iter().map(|row| row.step as f64).fold(1.0, f64::max);
    let width = ABREAST * PANEL.0 + 2 * MARGIN;
    let top = 150;
    let height = top + 30 * names.len() as i32 + LINES * PANEL.1;
    png(path, width.unsigned_abs(), height.unsigned_abs(), |area| {
        text_left(area, "The discriminator during training", &text_style(32, true, INK), (MARGIN, 28))?;
        let note = "one line per seed; a discriminator that is always right teaches little, and a spread far below 1 is a collapse";
        text_left(area, note, &text_style(20, false, FAINT_INK), (MARGIN, 72))?;
        let legend_height = legend(area, &names, (MARGIN, 110), width - 2 * MARGIN)?;
        let areas = area
            .margin(top - 30 + legend_height, 0, MARGIN / 2, MARGIN / 2)
            .split_evenly((LINES as usize, ABREAST as usize));
        for ((caption, quantity, series), panel_area) in panels.iter().zip(&areas) {
            let points = series.iter().flat_map(|one| one.points.iter().map(|point| point.1));
            let (low, high) = points.fold((0.0f64, 1.0f64), |(low, high), value| (low.min(value), high.max(value)));
            // Shares and multiples have room for two digits; norms of tens do not need them.
            let digits = if high > 20.0 { 0 } else { 1 };
            let range = if high > 20.0 { padded(low, high) } else { low..high * 1.05 };
            Panel { caption, quantity, series, last_step, range, digits }.draw(panel_area, &names)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_all_sizes_are_drawn() {
        let row = |model: &str, step, gradient| DiagnosticRow {
            model: model.into(),
            seed: 0,
            step,
            discriminator_on_real: 0.7,
            discriminator_on_generated: 0.9,
            generator_gradient: gradient,
            discriminator_gradient: 0.0,
            relative_spread: 0.8,
        };
        for rows in [vec![row("a", 100, 1e4), row("a", 200, 0.0), row("b", 100, 3.0)], Vec::new()] {
            let png = draw_diagnostics(Path::new("diagnostics.png"), &["b", "a"], &rows).unwrap();
            let picture = image::load_from_memory(&png).unwrap().to_rgb8();
            assert_eq!(picture.width(), (ABREAST * PANEL.0 + 2 * MARGIN).unsigned_abs());
            // More than the heading and the axes alone where there are curves.
            let is_coloured = |p: &image::Rgb<u8>| p.0.iter().max().unwrap() - p.0.iter().min().unwrap() > 60;
            assert_eq!(picture.pixels().any(is_coloured), !rows.is_empty());
        }
    }
}
