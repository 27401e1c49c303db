//! `differences.png`: how far every later model is from the first one, with its interval; a panel per set and measure.

use std::path::Path;

use multigen_measure::{JUDGE_PRODUCT, SHARPNESS};
use plotters::prelude::*;

use crate::error::Result;
use crate::figures::canvas::{FAINT_INK, INK, RULE, png, text_left, text_right, text_style, text_width};
use crate::figures::curves::colour;
use crate::labels::{figure, metric_heading};
use crate::stats::Estimate;
use crate::tables::Table;

const MARGIN: i32 = 40;
const PANEL_WIDTH: i32 = 460;
const ABREAST: usize = 3;
const ROW: i32 = 34;
/// Above the rows of a panel its caption, below them its axis.
const CAPTION: i32 = 70;
const AXIS: i32 = 66;
/// Between two lines of panels.
const GAP: i32 = 24;

/// One difference to the first model.
struct Difference<'a> {
    model: &'a str,
    estimate: Estimate,
}

/// Whether a measure has a panel: quality and what is read, not what was only looked at beside.
fn is_shown(metric: &str) -> bool {
    let is_reading = ["judge_", "accuracy_"].iter().any(|kind| metric.starts_with(kind));
    ["psnr_db", "ssim", SHARPNESS].contains(&metric) || (is_reading && metric != JUDGE_PRODUCT)
}

/// The figure as PNG, or none where there are not two models with something to compare; `path` is the file that errors
/// name.
///
/// # Errors
/// The drawing library refuses.
pub fn draw_differences(path: &Path, models: &[&str], table: &Table) -> Result<Option<Vec<u8>>> {
    let Some((reference, others)) = models.split_first() else { return Ok(None) };
    let mut panels: Vec<(&str, &str, Vec<Difference>)> = Vec::new();
    for set in table.sets() {
        for metric in table.metrics(set).into_iter().filter(|metric| is_shown(metric)) {
            let differences = others.iter().filter_map(|&model| {
                Some(Difference { model, estimate: table.difference(set, metric, model, reference)? })
            });
            let differences: Vec<Difference> = differences.collect();
            if !differences.is_empty() {
                panels.push((set, metric, differences));
            }
        }
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let n_rows = panels.iter().map(|(_, _, differences)| differences.len()).max().unwrap_or(1) as i32;
    let names = text_style(19, false, INK);
    let names_width = others.iter().map(|model| text_width(model, &names)).max().unwrap_or(0) + 20;
    let (panel_width, panel_height) = (names_width + PANEL_WIDTH, CAPTION + n_rows * ROW + AXIS + GAP);
    let n_abreast = panels.len().min(ABREAST);
    let n_lines = panels.len().div_ceil(n_abreast) as i32;
    let top = 120;
    let (width, height) = (2 * MARGIN + n_abreast as i32 * panel_width, top + n_lines * panel_height + MARGIN / 2);
    let drawn = png(path, width.unsigned_abs(), height.unsigned_abs(), |area| {
        text_left(area, &format!("Differences to {reference}"), &text_style(32, true, INK), (MARGIN, 28))?;
        let note = "point: mean of the differences paired by seed; bar: 95 % t-interval over seeds, where there are two or more";
        text_left(area, note, &text_style(20, false, FAINT_INK), (MARGIN, 72))?;
        for (place, (set, metric, differences)) in panels.iter().enumerate() {
            let left = MARGIN + (place % n_abreast) as i32 * panel_width;
            let top = top + (place / n_abreast) as i32 * panel_height;
            text_left(area, &metric_heading(metric), &text_style(22, true, INK), (left, top))?;
            text_left(area, set, &text_style(18, false, FAINT_INK), (left, top + 30))?;
            for (row, difference) in differences.iter().enumerate() {
                let y = top + CAPTION + row as i32 * ROW + 6;
                text_right(area, difference.model, &names, (left + names_width - 10, y + 7))?;
            }
            let ends = differences.iter().flat_map(|difference| {
                let (low, high) =
                    difference.estimate.interval().unwrap_or((difference.estimate.mean, difference.estimate.mean));
                [low, high]
            });
            let (low, high) = ends.fold((0.0f64, 0.0f64), |(low, high), end| (low.min(end), high.max(end)));
            // Where nothing differs, a range whose labels differ.
            let pad = if high > low { ((high - low) * 0.08).max(1e-3) } else { 0.01 };
            let panel = area.clone().shrink(
                ((left + names_width) as u32, (top + CAPTION) as u32),
                ((PANEL_WIDTH - 30) as u32, (n_rows * ROW + AXIS) as u32),
            );
            let mut chart = ChartBuilder::on(&panel)
                .x_label_area_size(AXIS)
                .build_cartesian_2d(low - pad..high + pad, 0.0..f64::from(n_rows))?;
            chart
                .configure_mesh()
                .disable_y_mesh()
                .disable_y_axis()
                .x_desc("difference (right of 0: more)")
                .x_labels(5)
                .axis_desc_style(text_style(18, false, INK))
                .label_style(text_style(17, false, FAINT_INK))
                // Plus 0 makes a zero of either sign a plain one.
                .x_label_formatter(&|value| figure(metric, (value * 1e6).round() / 1e6 + 0.0))
                .bold_line_style(RULE)
                .light_line_style(TRANSPARENT)
                .axis_style(FAINT_INK)
                .draw()?;
            let zero = [(0.0, 0.0), (0.0, f64::from(n_rows))];
            chart.draw_series(LineSeries::new(zero, FAINT_INK.stroke_width(2)))?;
            for (row, Difference { model, estimate }) in differences.iter().enumerate() {
                let y = f64::from(n_rows) - row as f64 - 0.5;
                let ink = colour(models, model);
                if let Some((low, high)) = estimate.interval() {
                    chart.draw_series(LineSeries::new([(low, y), (high, y)], ink.stroke_width(4)))?;
                }
                chart.draw_series(std::iter::once(Circle::new((estimate.mean, y), 7, ink.filled())))?;
            }
        }
        Ok(())
    })?;
    Ok(Some(drawn))
}

#[cfg(test)]
mod tests {
    use multigen_measure::MetricRow;

    use super::*;

    fn row(model: &str, seed: u64, metric: &str, value: f64) -> MetricRow {
        MetricRow {
            experiment: "e".into(),
            model: model.into(),
            seed: Some(seed),
            set: "held-out".into(),
            combination: "digit=1".into(),
            metric: metric.into(),
            value,
        }
    }

    #[test]
    fn a_panel_per_measure_that_two_models_share() {
        let rows = |models: &[&str], metrics: &[&str]| -> Vec<MetricRow> {
            let cells = models.iter().flat_map(|model| metrics.iter().map(move |metric| (model, metric)));
            cells.flat_map(|(model, metric)| [0, 1].map(|seed| row(model, seed, metric, seed as f64))).collect()
        };
        let size = |models: &[&str], metrics: &[&str]| {
            let table = Table::summarise(&rows(models, metrics), models, Path::new("metrics.csv")).unwrap();
            let png = draw_differences(Path::new("differences.png"), models, &table).unwrap()?;
            Some(image::load_from_memory(&png).unwrap().to_rgb8().dimensions())
        };
        assert_eq!(size(&["a"], &["psnr_db"]), None);
        assert_eq!(size(&["a", "b"], &["mse"]), None, "not a measure that is shown");
        let one = size(&["a", "b"], &["psnr_db"]).unwrap();
        let two = size(&["a", "b"], &["psnr_db", "judge_digit"]).unwrap();
        let four = size(&["a", "b"], &["psnr_db", "judge_digit", "ssim", "accuracy_digit"]).unwrap();
        assert_eq!(two.1, one.1);
        assert_eq!(two.0 - one.0, one.0 - 2 * MARGIN as u32);
        assert!(four.1 > two.1);
        assert_eq!(size(&["a", "b", "c"], &["psnr_db"]).unwrap().1 - one.1, ROW as u32);
    }
}
