//! `accuracy.png`: the accuracy of classifiers as training images shrink, a panel per test and factor, a colour per arm.
//!
//! What is drawn stands in sets named `TEST at AMOUNT`, such as `session B at 12 %`. Amounts keep the order of the file, at
//! equal distances; a line joins shares alone, since one image per person is none. Bars are 95 % t-intervals over seeds.

use std::path::Path;

use multigen_measure::ACCURACY;
use plotters::prelude::*;

use crate::error::Result;
use crate::figures::canvas::{Area, Drawn, FAINT_INK, INK, RULE, png, text_centred, text_left, text_style, wrapped};
use crate::figures::curves::{colour, legend};
use crate::labels::is_trained;
use crate::tables::Table;

const PANEL: (i32, i32) = (700, 470);
const MAX_PANELS_ABREAST: usize = 2;
const MARGIN: i32 = 40;
/// What stands between a test and an amount.
const AT: &str = " at ";
/// Pixels between the points of two arms at one amount.
const APART: f64 = 0.08;

/// One test and factor.
#[derive(Debug, PartialEq)]
struct Panel<'a> {
    test: &'a str,
    metric: &'a str,
}

/// Test and amount of a set's name, where it has both.
fn parts(set: &str) -> Option<(&str, &str)> {
    set.split_once(AT)
}

/// The figure as PNG, or none where no set names an amount; `path` is the file that errors name.
///
/// # Errors
/// The drawing library refuses.
pub fn draw_accuracy(path: &Path, table: &Table, pictured: Option<&str>) -> Result<Option<Vec<u8>>> {
    let (mut panels, mut amounts, mut arms): (Vec<Panel>, Vec<&str>, Vec<&str>) = Default::default();
    for cell in table.cells().iter().filter(|cell| is_trained(&cell.model)) {
        let (Some((test, amount)), true) = (parts(&cell.set), cell.metric.starts_with(ACCURACY)) else { continue };
        let panel = Panel { test, metric: &cell.metric };
        if !panels.contains(&panel) {
            panels.push(panel);
        }
        if !amounts.contains(&amount) {
            amounts.push(amount);
        }
        if !arms.contains(&cell.model.as_str()) {
            arms.push(&cell.model);
        }
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let n_abreast = panels.len().min(MAX_PANELS_ABREAST);
    let n_lines = panels.len().div_ceil(n_abreast);
    let width = n_abreast as i32 * PANEL.0 + 2 * MARGIN;
    let top = 150;
    let height = top + 30 + n_lines as i32 * PANEL.1;
    let of_what = pictured.map(|what| format!(" of {what}")).unwrap_or_default();
    png(path, width.unsigned_abs(), height.unsigned_abs(), |area| {
        text_left(area, "Accuracy as training images shrink", &text_style(32, true, INK), (MARGIN, 28))?;
        let note = format!("on real images{of_what} that no classifier saw; bars: 95 % t-interval over seeds");
        text_left(area, &note, &text_style(20, false, FAINT_INK), (MARGIN, 72))?;
        let legend_height = legend(area, &arms, (MARGIN, 110), width - 2 * MARGIN)?;
        let places =
            area.margin(top - 30 + legend_height, 0, MARGIN / 2, MARGIN / 2).split_evenly((n_lines, n_abreast));
        for (panel, place) in panels.iter().zip(&places) {
            panel.draw(place, table, &amounts, &arms)?;
        }
        Ok(())
    })
    .map(Some)
}

impl Panel<'_> {
    fn draw(&self, area: &Area, table: &Table, amounts: &[&str], arms: &[&str]) -> Drawn {
        let factor = self.metric.trim_start_matches(ACCURACY);
        let last = amounts.len() as f64 - 0.5;
        let mut chart = ChartBuilder::on(area)
            .caption(format!("{}: {factor}", self.test), text_style(23, true, INK))
            .margin(10)
            .margin_right(24)
            .x_label_area_size(84)
            .y_label_area_size(84)
            .build_cartesian_2d(-0.5..last, 0.0..1.0)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(0)
            .y_desc("accuracy")
            .y_labels(6)
            .axis_desc_style(text_style(20, false, INK))
            .label_style(text_style(18, false, FAINT_INK))
            .y_label_formatter(&|accuracy| format!("{accuracy:.1}"))
            .bold_line_style(RULE)
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT_INK)
            .draw()?;
        let style = text_style(18, false, FAINT_INK);
        let at = |x: f64, y: f64| chart.backend_coord(&(x, y));
        let (left, above) = area.get_base_pixel();
        let room = at(1.0, 0.0).0 - at(0.0, 0.0).0;
        let mut lines = 1;
        for (place, amount) in amounts.iter().enumerate() {
            let (x, y) = at(place as f64, 0.0);
            let words = wrapped(amount, &style, room - 8);
            lines = lines.max(words.len() as i32);
            for (line, word) in (0..).zip(&words) {
                text_centred(area, word, &style, (x - left, y - above + 10 + 20 * line))?;
            }
        }
        let (x, y) = at(last / 2.0 - 0.25, 0.0);
        let below = (x - left, y - above + 12 + 20 * lines);
        text_centred(area, "real training images", &text_style(20, false, INK), below)?;
        for (place, arm) in arms.iter().enumerate() {
            let ink = colour(arms, arm);
            let shift = (place as f64 - (arms.len() as f64 - 1.0) / 2.0) * APART;
            let (mut points, mut shares) = (Vec::new(), Vec::new());
            for (x, amount) in amounts.iter().enumerate() {
                let set = format!("{}{AT}{amount}", self.test);
                let Some(cell) = table.cell(&set, arm, self.metric) else { continue };
                let x = x as f64 + shift;
                points.push((x, cell.estimate.mean));
                if amount.ends_with('%') {
                    shares.push((x, cell.estimate.mean));
                }
                if let Some((low, high)) = cell.estimate.interval() {
                    let bar = [(x, low.clamp(0.0, 1.0)), (x, high.clamp(0.0, 1.0))];
                    chart.draw_series(LineSeries::new(bar, ink.stroke_width(2)))?;
                }
            }
            chart.draw_series(points.into_iter().map(|point| Circle::new(point, 5, ink.filled())))?;
            chart.draw_series(LineSeries::new(shares, ink.stroke_width(2)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use multigen_measure::MetricRow;

    use super::*;

    #[test]
    fn one_panel_per_test_and_factor_and_none_without_amounts() {
        let row = |set: &str, metric: &str, model: &str, value| MetricRow {
            experiment: "e".into(),
            model: model.into(),
            seed: Some(0),
            set: set.into(),
            combination: "c".into(),
            metric: metric.into(),
            value,
        };
        let size = |rows: &[MetricRow]| {
            let table = Table::summarise(rows, &["alone", "cooperative"], Path::new("t")).unwrap();
            let png = draw_accuracy(Path::new("accuracy.png"), &table, Some("drawn faces")).unwrap();
            png.map(|png| image::load_from_memory(&png).unwrap().to_rgb8().dimensions())
        };
        let mut rows = Vec::new();
        for amount in ["100 %", "12 %", "one image per person"] {
            for arm in ["alone", "cooperative"] {
                rows.push(row(&format!("session B at {amount}"), "accuracy_person", arm, 0.5));
            }
        }
        let one = size(&rows).unwrap();
        rows.push(row("session B at 12 %", "accuracy_emotion", "alone", 0.75));
        rows.push(row("unseen persons at 12 %", "accuracy_emotion", "alone", 0.75));
        let three = size(&rows).unwrap();
        assert_eq!((three.0 - one.0, three.1 - one.1), (PANEL.0 as u32, PANEL.1 as u32));
        assert_eq!(size(&[row("held-out", "accuracy_person", "alone", 1.0)]), None);
        assert_eq!(size(&[row("held-out at 12 %", "psnr_db", "alone", 1.0)]), None);
    }
}
