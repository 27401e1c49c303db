//! `holdout-sweep.png`: held-out quality against the held-out share of all cells, from one results folder per share; a panel
//! for PSNR and one for each accuracy of the judge, a curve per generator with its 95 % intervals over seeds.

use std::ops::Range;
use std::path::Path;

use multigen_measure::{JUDGE_JOINT, JUDGE_PRODUCT};
use plotters::prelude::*;

use crate::error::Result;
use crate::figures::canvas::{FAINT_INK, INK, RULE, png, text_left, text_style};
use crate::figures::curves::{colour, legend, padded};
use crate::labels::{TRUTH, is_trained, metric_heading};
use crate::stats::Estimate;
use crate::tables::Table;

/// What a results folder of the sweep is named, before its share in per cent.
pub const SWEEP: &str = "holdout-sweep-";
/// The caption of the figure.
pub const CAPTION: &str = "Held-out digits as the held-out share of the (digit, style, transform) cells grows: PSNR, and \
     what the judge reads, each factor, all at once, and the product of the factors. Whiskers are 95 % t-intervals over \
     seeds. Up to 83 % every digit in every style is seen in one transform or more; at 90 % 40 of the 100 pairs are never \
     seen.";

const PANEL: (i32, i32) = (600, 440);
const N_ABREAST: usize = 2;
const MARGIN: i32 = 40;
const TOP: i32 = 112;
const PSNR: &str = "psnr_db";
const BEST_BASELINE: &str = "best baseline";

/// One metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// The metric.
    pub metric: String,
    /// One curve per generator, then that of what it is to be compared with.
    pub curves: Vec<Curve>,
}

/// One generator, the best baseline, or the truth as the judge reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Held-out share in per cent and the figure, by ascending share.
    pub points: Vec<(f64, Estimate)>,
}

/// The panels of a sweep: one table per held-out share in per cent, of which the set `set` is shown.
pub fn panels(tables: &[(f64, Table)], set: &str) -> Vec<Panel> {
    let mut tables: Vec<&(f64, Table)> = tables.iter().collect();
    tables.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut metrics: Vec<&str> = vec![PSNR];
    let mut names: Vec<&str> = Vec::new();
    for (_, table) in &tables {
        let factors = table.metrics(set).into_iter().filter(|metric| metric.starts_with("judge_"));
        for metric in factors.filter(|metric| ![JUDGE_JOINT, JUDGE_PRODUCT].contains(metric)) {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        for model in table.models(set).into_iter().filter(|model| is_trained(model)) {
            if !names.contains(&model) {
                names.push(model);
            }
        }
    }
    metrics.extend([JUDGE_JOINT, JUDGE_PRODUCT]);
    let panel = |metric: &str| {
        let reference = if metric == PSNR { BEST_BASELINE } else { TRUTH };
        let curves = names.iter().copied().chain([reference]).map(|name| {
            let points = tables.iter().filter_map(|(share, table)| {
                let cell = match name {
                    BEST_BASELINE => table.best_baseline(set, metric),
                    name => table.cell(set, name, metric),
                };
                Some((*share, cell?.estimate))
            });
            Curve { name: name.to_owned(), points: points.collect() }
        });
        let curves: Vec<Curve> = curves.filter(|curve| !curve.points.is_empty()).collect();
        Panel { metric: metric.to_owned(), curves }
    };
    metrics.into_iter().map(panel).filter(|panel| !panel.curves.is_empty()).collect()
}

/// The figure as PNG; `path` is the file that errors name.
///
/// # Errors
/// The drawing library refuses.
pub fn draw_sweep(path: &Path, panels: &[Panel]) -> Result<Vec<u8>> {
    let mut names: Vec<&str> = Vec::new();
    for curve in panels.iter().flat_map(|panel| &panel.curves) {
        if !names.contains(&curve.name.as_str()) {
            names.push(&curve.name);
        }
    }
    let width = N_ABREAST as i32 * PANEL.0 + 2 * MARGIN;
    let n_lines = panels.len().div_ceil(N_ABREAST).max(1);
    // Every curve may need a line of the legend of its own.
    let height = TOP + 30 * names.len() as i32 + n_lines as i32 * PANEL.1 + MARGIN;
    png(path, width.unsigned_abs(), height.unsigned_abs(), |area| {
        text_left(area, "Digits: the held-out share grows", &text_style(32, true, INK), (MARGIN, 28))?;
        let note = "held-out (digit, style, transform) cells; mean over images, then seeds; whiskers: 95 % interval over seeds";
        text_left(area, note, &text_style(20, false, FAINT_INK), (MARGIN, 72))?;
        let legend_height = legend(area, &names, (MARGIN, TOP), width - 2 * MARGIN)?;
        let places =
            area.margin(TOP + legend_height + 10, 0, MARGIN / 2, MARGIN / 2).split_evenly((n_lines, N_ABREAST));
        for (panel, place) in panels.iter().zip(&places) {
            let range = if panel.metric == PSNR { reach(panel) } else { 0.0..1.02 };
            let mut chart = ChartBuilder::on(place)
                .caption(metric_heading(&panel.metric), text_style(23, true, INK))
                .margin(10)
                .margin_right(24)
                .x_label_area_size(64)
                .y_label_area_size(76)
                .build_cartesian_2d(0.0..100.0, range.clone())?;
            let decimals = if panel.metric == PSNR { 0 } else { 1 };
            chart
                .configure_mesh()
                .x_desc("held-out share, %")
                .y_desc(if panel.metric == PSNR { "PSNR, dB" } else { "share read right" })
                .x_labels(6)
                .y_labels(6)
                .axis_desc_style(text_style(20, false, INK))
                .label_style(text_style(18, false, FAINT_INK))
                .x_label_formatter(&|share| format!("{share:.0}"))
                .y_label_formatter(&|value| format!("{value:.decimals$}"))
                .bold_line_style(RULE)
                .light_line_style(TRANSPARENT)
                .axis_style(FAINT_INK)
                .draw()?;
            for curve in &panel.curves {
                let ink = colour(&names, &curve.name);
                let means = || curve.points.iter().map(|(share, estimate)| (*share, estimate.mean));
                chart.draw_series(LineSeries::new(means(), ink.stroke_width(2)))?;
                chart.draw_series(means().map(|point| Circle::new(point, 4, ink.filled())))?;
                let whiskers = curve.points.iter().filter_map(|(share, estimate)| {
                    let (low, high) = estimate.interval()?;
                    let ends = [low, high].map(|end| (*share, end.clamp(range.start, range.end)));
                    Some(PathElement::new(ends.to_vec(), ink.stroke_width(2)))
                });
                chart.draw_series(whiskers)?;
            }
        }
        Ok(())
    })
}

/// An axis that holds all means, and their whiskers as far as they reach no further than the means lie apart: two seeds may
/// have an interval that would press everything else flat.
fn reach(panel: &Panel) -> Range<f64> {
    let points = || panel.curves.iter().flat_map(|curve| &curve.points).map(|(_, estimate)| estimate);
    let bounds = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    };
    let (low, high) = bounds(&mut points().map(|estimate| estimate.mean));
    let apart = high - low;
    let ends = points().filter_map(|estimate| estimate.interval()).flat_map(|(a, b)| [a, b]);
    let (lowest, highest) = bounds(&mut ends.chain([low, high]));
    padded(lowest.max(low - apart), highest.min(high + apart))
}

#[cfg(test)]
mod tests {
    use multigen_measure::MetricRow;

    use super::*;

    fn table(figures: &[(&str, u64, &str, f64)]) -> Table {
        let rows: Vec<MetricRow> = figures
            .iter()
            .map(|(model, seed, metric, value)| MetricRow {
                experiment: "e".into(),
                model: (*model).into(),
                seed: Some(*seed),
                set: "cells".into(),
                combination: "digit=7".into(),
                metric: (*metric).into(),
                value: *value,
            })
            .collect();
        Table::summarise(&rows, &["ours"], Path::new("metrics.csv")).unwrap()
    }

    fn sweep() -> Vec<Panel> {
        let seventy = table(&[
            ("ours", 0, PSNR, 20.0),
            ("ours", 1, PSNR, 24.0),
            ("ours", 0, "judge_digit", 0.5),
            ("ours", 0, JUDGE_JOINT, 0.25),
            ("truth", 0, "judge_digit", 0.9),
        ]);
        let ten = table(&[
            ("ours", 0, PSNR, 30.0),
            ("baseline: black", 0, PSNR, 15.0),
            ("baseline: nearest training image", 0, PSNR, 18.0),
        ]);
        panels(&[(70.0, seventy), (10.0, ten)], "cells")
    }

    #[test]
    fn a_curve_per_generator_in_the_order_of_shares() {
        let panels = sweep();
        let metrics: Vec<&str> = panels.iter().map(|panel| panel.metric.as_str()).collect();
        assert_eq!(metrics, [PSNR, "judge_digit", JUDGE_JOINT]);
        let [psnr, digit, _] = panels.as_slice() else { unreachable!() };
        assert_eq!(psnr.curves.iter().map(|curve| curve.name.as_str()).collect::<Vec<_>>(), ["ours", BEST_BASELINE]);
        let means = |curve: &Curve| curve.points.iter().map(|(share, e)| (*share, e.mean)).collect::<Vec<_>>();
        // At 70 % (20 + 24) / 2 with the interval 22 ± 12.706 · √8 / √2; at 10 % one seed, which has none.
        assert_eq!(means(&psnr.curves[0]), [(10.0, 30.0), (70.0, 22.0)]);
        assert!((psnr.curves[0].points[1].1.half_width.unwrap() - 25.412).abs() < 1e-2);
        assert_eq!(psnr.curves[0].points[0].1.half_width, None);
        assert_eq!(means(&psnr.curves[1]), [(10.0, 18.0)]);
        assert_eq!(digit.curves[1].name, "truth");
        assert_eq!(means(&digit.curves[1]), [(70.0, 0.9)]);
    }

    #[test]
    fn the_axis_holds_whiskers_but_those_of_two_seeds() {
        // Means from 18 to 30, the interval of two seeds from −3.4 to 47.4: as far as 12 beyond the means, 6 to 42.
        let range = reach(&sweep()[0]);
        let wide = padded(6.0, 42.0);
        assert!((range.start - wide.start).abs() < 1e-9 && (range.end - wide.end).abs() < 1e-9, "{range:?}");
    }

    #[test]
    fn a_line_of_panels_for_every_two_metrics() {
        let height = |n: usize| {
            let png = draw_sweep(Path::new("sweep.png"), &sweep()[..n]).unwrap();
            image::load_from_memory(&png).unwrap().to_rgb8().dimensions().1
        };
        assert!(height(3) >= height(2) + PANEL.1 as u32);
    }
}
