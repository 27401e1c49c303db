//! `loss.png`: the reconstruction loss over training steps on a logarithmic axis, a colour per model, a line per seed.
//!
//! The bold line is the mean over [`WINDOW`] steps around each step; the raw loss stands faintly behind it.

use std::path::Path;

use multigen_measure::HistoryRow;
use plotters::prelude::*;

use crate::error::Result;
use crate::figures::canvas::{FAINT_INK, INK, RULE, png, text_left, text_style};
use crate::figures::curves::{colour, legend, models, series};

/// Steps that are averaged for the bold line.
pub const WINDOW: usize = 25;
const SIZE: (u32, u32) = (1400, 820);
/// A logarithm needs positive values; a loss of 0 is shown here.
const FLOOR: f64 = 1e-12;

/// The figure as PNG; `order` gives the order of the models, `path` the file that errors name.
///
/// # Errors
/// The drawing library refuses.
pub fn draw_loss(path: &Path, order: &[&str], history: &[HistoryRow]) -> Result<Vec<u8>> {
    let mut raw = series(history.iter().map(|row| (row.model.as_str(), row.seed, row.step, row.loss.max(FLOOR))));
    raw.sort_by_key(|one| order.iter().position(|model| *model == one.model));
    let smooth: Vec<Vec<(f64, f64)>> = raw.iter().map(|one| smoothed(&one.points, WINDOW)).collect();
    let names = models(&raw);
    let last = raw.iter().flat_map(|one| &one.points).map(|point| point.0).fold(1.0, f64::max);
    let values = || smooth.iter().flatten().map(|point| point.1);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    // Room for the raw loss around the smooth one; an empty history gets an empty axis.
    let range = if low <= high { low / 2.0..high * 2.0 } else { 0.1..10.0 };
    png(path, SIZE.0, SIZE.1, |area| {
        text_left(area, "Training loss", &text_style(32, true, INK), (40, 28))?;
        let note = format!("bold: mean over {WINDOW} steps; faint: every step; one line per seed");
        text_left(area, &note, &text_style(20, false, FAINT_INK), (40, 72))?;
        let legend_height = legend(area, &names, (40, 110), SIZE.0 as i32 - 80)?;
        let chart_area = area.margin(116 + legend_height, 20, 20, 50);
        let mut chart = ChartBuilder::on(&chart_area)
            .x_label_area_size(70)
            .y_label_area_size(120)
            .build_cartesian_2d(0.0..last, range.clone().log_scale())?;
        chart
            .configure_mesh()
            .x_desc("training step")
            .y_desc("reconstruction loss (squared error / 2·batch)")
            .axis_desc_style(text_style(22, false, INK))
            .label_style(text_style(20, false, FAINT_INK))
            .x_label_formatter(&|step| format!("{step:.0}"))
            .y_label_formatter(&|loss| axis_label(*loss))
            .bold_line_style(RULE)
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT_INK)
            .draw()?;
        for one in &raw {
            let points = one.points.iter().map(|(step, loss)| (*step, loss.clamp(range.start, range.end)));
            let style = colour(&names, &one.model).mix(0.18).stroke_width(1);
            chart.draw_series(LineSeries::new(points, style))?;
        }
        for (one, smooth) in raw.iter().zip(&smooth) {
            let style = colour(&names, &one.model).stroke_width(2);
            chart.draw_series(LineSeries::new(smooth.iter().copied(), style))?;
        }
        Ok(())
    })
}

/// Numbers of a logarithmic axis without needless zeros: 0.01, 0.5, 200.
fn axis_label(value: f64) -> String {
    if value == 0.0 || (1e-3..1e5).contains(&value) {
        let text = format!("{value:.6}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    format!("{value:.0e}")
}

/// The mean over `window` points around each point, fewer at the ends.
fn smoothed(points: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    let half = window / 2;
    points
        .iter()
        .enumerate()
        .map(|(place, (step, _))| {
            let end = (place + half + 1).min(points.len());
            let around = points.get(place.saturating_sub(half)..end).unwrap_or_default();
            (*step, around.iter().map(|point| point.1).sum::<f64>() / around.len().max(1) as f64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_a_line_and_averages_a_peak() {
        let line: Vec<(f64, f64)> = (0..50).map(|step| (f64::from(step), 2.0 * f64::from(step))).collect();
        for (smooth, exact) in smoothed(&line, 25).iter().zip(&line).skip(12).take(50 - 24) {
            assert!((smooth.1 - exact.1).abs() < 1e-12);
        }
        // At the first step the mean of steps 0 to 12 of 2 · step: 12.
        assert!((smoothed(&line, 25)[0].1 - 12.0).abs() < 1e-12);
        // A peak of 25 in the middle of zeros, over 25 points: 1.
        let peak: Vec<(f64, f64)> =
            (0..51).map(|step| (f64::from(step), if step == 25 { 25.0 } else { 0.0 })).collect();
        assert!((smoothed(&peak, 25)[25].1 - 1.0).abs() < 1e-12);
        assert!(smoothed(&[], 25).is_empty());
    }

    #[test]
    fn labels_and_empty_histories() {
        assert_eq!(
            (axis_label(0.01).as_str(), axis_label(200.0).as_str(), axis_label(1e-7).as_str()),
            ("0.01", "200", "1e-7")
        );
        assert!(draw_loss(Path::new("loss.png"), &[], &[]).is_ok());
        let row = HistoryRow { model: "m".into(), seed: 0, step: 1, loss: 0.0, learning_rate: 1e-3, images_per_s: 1.0 };
        assert!(draw_loss(Path::new("loss.png"), &["m"], &[row]).is_ok());
    }
}
