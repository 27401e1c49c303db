//! `psnr.png`: the mean PSNR of each set over training steps; a panel per set with one common axis, a colour per model, a
//! line per seed.

use std::path::Path;

use crate::error::Result;
use crate::figures::canvas::{FAINT_INK, INK, png, text_left, text_style};
use crate::figures::curves::{Panel, Series, legend, models, padded, series};
use multigen_measure::EvaluationRow;

const PANEL: (i32, i32) = (660, 460);
const MAX_PANELS_ABREAST: usize = 2;
const MARGIN: i32 = 40;

/// The figure as PNG; `order` gives the order of the models, `path` the file that errors name.
///
/// # Errors
/// The drawing library refuses.
pub fn draw_psnr(path: &Path, order: &[&str], evaluations: &[EvaluationRow]) -> Result<Vec<u8>> {
    let mut sets: Vec<&str> = Vec::new();
    for row in evaluations {
        if !sets.contains(&row.set.as_str()) {
            sets.push(&row.set);
        }
    }
    let panels: Vec<(&str, Vec<Series>)> = sets.into_iter().map(|set| (set, of_set(set, order, evaluations))).collect();
    let all: Vec<Series> = panels.iter().flat_map(|(_, series)| series.clone()).collect();
    let names: Vec<&str> = {
        let mut names = models(&all);
        names.sort_by_key(|model| order.iter().position(|name| name == model));
        names
    };
    let points = || all.iter().flat_map(|one| one.points.iter().copied());
    let last = points().map(|point| point.0).fold(1.0, f64::max);
    let (low, high) =
        points().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| (low.min(point.1), high.max(point.1)));
    let range = if low <= high { padded(low, high) } else { 0.0..50.0 };
    let n_abreast = panels.len().clamp(1, MAX_PANELS_ABREAST);
    let n_lines = panels.len().div_ceil(n_abreast).max(1);
    let width = n_abreast as i32 * PANEL.0 + 2 * MARGIN;
    let top = 150;
    // Every model may need a line of the legend of its own.
    let height = top + 30 * names.len() as i32 + n_lines as i32 * PANEL.1;
    png(path, width.unsigned_abs(), height.unsigned_abs(), |area| {
        text_left(area, "PSNR during training", &text_style(32, true, INK), (MARGIN, 28))?;
        let note = "mean over the evaluated images of each set; one line per seed";
        text_left(area, note, &text_style(20, false, FAINT_INK), (MARGIN, 72))?;
        let legend_height = legend(area, &names, (MARGIN, 110), width - 2 * MARGIN)?;
        let panel_areas =
            area.margin(top - 30 + legend_height, 0, MARGIN / 2, MARGIN / 2).split_evenly((n_lines, n_abreast));
        for ((set, series), panel_area) in panels.iter().zip(&panel_areas) {
            let panel = Panel {
                caption: set,
                quantity: "PSNR in dB",
                series,
                last_step: last,
                range: range.clone(),
                digits: 0,
            };
            panel.draw(panel_area, &names)?;
        }
        Ok(())
    })
}

fn of_set(set: &str, order: &[&str], evaluations: &[EvaluationRow]) -> Vec<Series> {
    let rows = evaluations.iter().filter(|row| row.set == set);
    let mut all = series(rows.map(|row| (row.model.as_str(), row.seed, row.step, row.psnr_db)));
    all.sort_by_key(|one| order.iter().position(|model| *model == one.model));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_panel_per_set_and_none_without_evaluations() {
        let row = |set: &str, step| EvaluationRow { model: "m".into(), seed: 0, step, set: set.into(), psnr_db: 20.0 };
        let size = |rows: &[EvaluationRow]| {
            let png = draw_psnr(Path::new("psnr.png"), &["m"], rows).unwrap();
            image::load_from_memory(&png).unwrap().to_rgb8().dimensions()
        };
        let one = size(&[row("train", 1), row("train", 2)]);
        let three = size(&[row("train", 1), row("result-2", 1), row("result-3", 1)]);
        assert_eq!((three.0 - one.0, three.1 - one.1), (PANEL.0 as u32, PANEL.1 as u32));
        size(&[]);
    }
}
