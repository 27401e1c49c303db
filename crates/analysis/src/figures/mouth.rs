//! `mouth.png`: the mouths of held-out drawn faces, generated against true, a panel for each expression that has figures.
//!
//! Surprise and happiness by the opening of the mouth: a generator that has learned the person's own lies on the diagonal,
//! one that draws the average mouth on the level line of the mean person. Disgust by the asymmetry of the mouth, counted
//! towards the side on which the person's own lip is raised more: on the diagonal the own, at 0 an even mouth, below 0
//! the wrong side. Images whose mouth could not be read have no point; each panel says how many there are.

use std::collections::HashMap;
use std::path::Path;

use multigen_measure::{MEAN_PERSON, MOUTH_ASYMMETRY, MOUTH_OPENING, MOUTH_READ, MetricRow};
use plotters::prelude::*;

use crate::error::Result;
use crate::figures::canvas::{Area, Drawn, FAINT_INK, INK, RULE, png, text_centred, text_left, text_right, text_style};
use crate::figures::curves::{colour, legend};
use crate::labels::{TRUTH, is_trained};

/// The set of what training sees; its mouths say nothing about what was held out.
const TRAIN: &str = "train";

const PANEL: (i32, i32) = (560, 540);
const MARGIN: i32 = 40;
const TOP: i32 = 112;

/// One expression and what is looked at in it.
struct Kind {
    emotion: &'static str,
    metric: &'static str,
    title: &'static str,
    x: &'static str,
    y: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind {
        emotion: "surprise",
        metric: MOUTH_OPENING,
        title: "Surprise: opening of the mouth",
        x: "true opening, face heights",
        y: "generated opening, face heights",
    },
    Kind {
        emotion: "happy",
        metric: MOUTH_OPENING,
        title: "Happy: opening of the mouth",
        x: "true opening, face heights",
        y: "generated opening, face heights",
    },
    Kind {
        emotion: "disgust",
        metric: MOUTH_ASYMMETRY,
        title: "Disgust: asymmetry of the mouth",
        x: "true asymmetry, face heights",
        y: "generated asymmetry, face heights",
    },
];

struct Panel<'a> {
    kind: &'a Kind,
    /// Model, true and generated figure of each image.
    points: Vec<(&'a str, f64, f64)>,
    /// Model of each image whose mouth could not be read.
    unread: Vec<&'a str>,
    /// The mean person's opening, or 0 for an even mouth, with its name.
    level: Option<(f64, &'static str)>,
}

/// The figure as PNG, or none where no mouth of a held-out face could be read; `order` gives the order of the models,
/// `path` the file that errors name.
///
/// # Errors
/// The drawing library refuses.
pub fn draw_mouth(path: &Path, order: &[&str], metrics: &[MetricRow]) -> Result<Option<Vec<u8>>> {
    let panels: Vec<Panel> = KINDS.iter().filter_map(|kind| panel(kind, metrics)).collect();
    if panels.iter().all(|panel| panel.points.is_empty()) {
        return Ok(None);
    }
    let mut names: Vec<&str> = Vec::new();
    for panel in &panels {
        for model in panel.points.iter().map(|(model, ..)| model).chain(&panel.unread) {
            if !names.contains(model) {
                names.push(model);
            }
        }
    }
    names.sort_by_key(|model| order.iter().position(|name| name == model));
    let width = panels.len() as i32 * PANEL.0 + 2 * MARGIN;
    // Every model may need a line of the legend of its own.
    let height = TOP + 30 * names.len() as i32 + PANEL.1 + MARGIN / 2;
    png(path, width.unsigned_abs(), height.unsigned_abs(), |area| {
        text_left(area, "Mouths of held-out drawn faces", &text_style(32, true, INK), (MARGIN, 28))?;
        let is_uneven = panels.iter().any(|panel| panel.kind.metric == MOUTH_ASYMMETRY);
        let sides = if is_uneven { "; asymmetry counts towards the person's own side" } else { "" };
        let note = format!("read from the pixels; a point per image and seed{sides}");
        text_left(area, &note, &text_style(20, false, FAINT_INK), (MARGIN, 72))?;
        let legend_height = legend(area, &names, (MARGIN, TOP), width - 2 * MARGIN)?;
        let top = TOP + legend_height + 8;
        for (panel, place) in panels.iter().zip(0..) {
            panel.draw(area, &names, (MARGIN + place * PANEL.0, top))?;
        }
        Ok(())
    })
    .map(Some)
}

fn panel<'a>(kind: &'a Kind, metrics: &'a [MetricRow]) -> Option<Panel<'a>> {
    let emotion = format!("emotion={}", kind.emotion);
    let of_metric = |metric: &'static str| {
        let shows = |row: &&MetricRow| row.combination.split_whitespace().any(|level| level == emotion);
        metrics.iter().filter(move |row| row.metric == metric && row.set != TRAIN).filter(shows)
    };
    let rows = || of_metric(kind.metric);
    let truths: HashMap<&str, f64> =
        rows().filter(|row| row.model == TRUTH).map(|row| (row.combination.as_str(), row.value)).collect();
    let points: Vec<(&str, f64, f64)> = rows()
        .filter(|row| is_trained(&row.model))
        .filter_map(|row| {
            let truth = *truths.get(row.combination.as_str())?;
            let side = if kind.metric == MOUTH_ASYMMETRY { truth.signum() } else { 1.0 };
            Some((row.model.as_str(), side * truth, side * row.value))
        })
        .collect();
    let level = if kind.metric == MOUTH_ASYMMETRY {
        Some((0.0, "even"))
    } else {
        let mean: Vec<f64> = rows().filter(|row| row.model == MEAN_PERSON).map(|row| row.value).collect();
        (!mean.is_empty()).then(|| (mean.iter().sum::<f64>() / mean.len() as f64, "mean person"))
    };
    let unread: Vec<&str> = of_metric(MOUTH_READ).filter(|row| row.value < 0.5).map(|row| row.model.as_str()).collect();
    (!(points.is_empty() && unread.is_empty())).then_some(Panel { kind, points, unread, level })
}

impl Panel<'_> {
    fn draw(&self, area: &Area, names: &[&str], (left, top): (i32, i32)) -> Drawn {
        let values = || {
            let points = self.points.iter().flat_map(|&(_, truth, generated)| [truth, generated]);
            points.chain(self.level.map(|(level, _)| level))
        };
        // Room for a twentieth, and never an empty axis where all mouths are closed.
        let high = 1.06 * values().fold(0.01, f64::max);
        let low = values().fold(0.0, f64::min);
        let low = if low < 0.0 || self.kind.metric == MOUTH_ASYMMETRY { 1.1 * low.min(-0.15 * high) } else { 0.0 };
        let panel = area.clone().shrink((left, top), PANEL);
        text_centred(area, self.kind.title, &text_style(21, true, INK), (left + PANEL.0 / 2 + 46, top))?;
        if !self.unread.is_empty() {
            let n = self.points.len() + self.unread.len();
            let note = format!("{} of {n} images left out: no mouth that can be read", self.unread.len());
            let place = (left + PANEL.0 / 2 + 46, top + 27);
            text_centred(area, &note, &text_style(17, false, FAINT_INK), place)?;
        }
        let mut chart = ChartBuilder::on(&panel)
            .margin(10)
            .margin_top(56)
            .margin_left(24)
            .margin_right(24)
            .x_label_area_size(64)
            .y_label_area_size(92)
            .build_cartesian_2d(0.0..high, low..high)?;
        chart
            .configure_mesh()
            .x_desc(self.kind.x)
            .y_desc(self.kind.y)
            .x_labels(6)
            .y_labels(7)
            .axis_desc_style(text_style(19, false, INK))
            .label_style(text_style(17, false, FAINT_INK))
            .x_label_formatter(&|value| format!("{value:.3}"))
            .y_label_formatter(&|value| format!("{value:.3}"))
            .bold_line_style(RULE)
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT_INK)
            .draw()?;
        let faint = text_style(17, false, FAINT_INK);
        chart.draw_series(LineSeries::new([(0.0, 0.0), (high, high)], FAINT_INK.stroke_width(2)))?;
        let (x, y) = chart.backend_coord(&(0.9 * high, 0.9 * high));
        text_right(area, "as in the truth", &faint, (x - 12, y - 14))?;
        if let Some((level, name)) = self.level {
            let line = DashedLineSeries::new([(0.0, level), (high, level)], 10, 7, INK.stroke_width(2));
            chart.draw_series(line)?;
            // At the left end, where there are hardly any points.
            let (x, y) = chart.backend_coord(&(0.0, level));
            // Above the line, but for 0, where the diagonal begins.
            let above = if level > 0.0 { -24 } else { 6 };
            text_left(area, name, &text_style(17, false, INK), (x + 8, y + above))?;
        }
        let ink = |model| colour(names, model).mix(0.8).filled();
        let dots = self.points.iter().map(|&(model, truth, generated)| Circle::new((truth, generated), 5, ink(model)));
        chart.draw_series(dots)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(model: &str, set: &str, combination: &str, metric: &str, value: f64) -> MetricRow {
        MetricRow {
            experiment: "e".into(),
            model: model.into(),
            seed: Some(0),
            set: set.into(),
            combination: combination.into(),
            metric: metric.into(),
            value,
        }
    }

    #[test]
    fn points_pair_a_model_with_the_truth_of_the_same_image() {
        let (a, b) = ("person=1 emotion=surprise session=A", "person=2 emotion=surprise session=A");
        let rows = [
            row("truth", "result-3", a, MOUTH_OPENING, 0.10),
            row("truth", "result-3", b, MOUTH_OPENING, 0.05),
            row("truth", "train", "person=3 emotion=surprise session=A", MOUTH_OPENING, 0.01),
            row("m", "train", "person=3 emotion=surprise session=A", MOUTH_OPENING, 0.01),
            row("m", "result-3", b, MOUTH_OPENING, 0.06),
            row("m", "result-3", a, MOUTH_OPENING, 0.08),
            row("m", "result-3", "person=9 emotion=surprise session=A", MOUTH_OPENING, 0.5),
            row("m", "result-3", a, "psnr_db", 20.0),
            row(MEAN_PERSON, "result-3", a, MOUTH_OPENING, 0.06),
            row(MEAN_PERSON, "result-3", b, MOUTH_OPENING, 0.08),
        ];
        let surprise = panel(&KINDS[0], &rows).unwrap();
        assert_eq!(surprise.points, [("m", 0.05, 0.06), ("m", 0.10, 0.08)]);
        assert!((surprise.level.unwrap().0 - 0.07).abs() < 1e-12);
        assert!(panel(&KINDS[1], &rows).is_none() && panel(&KINDS[2], &rows).is_none());
    }

    #[test]
    fn asymmetry_counts_towards_the_persons_own_side() {
        let (left, right) = ("person=1 emotion=disgust", "person=2 emotion=disgust");
        let rows = [
            row("truth", "result-3", left, MOUTH_ASYMMETRY, -0.02),
            row("truth", "result-3", right, MOUTH_ASYMMETRY, 0.03),
            row("m", "result-3", left, MOUTH_ASYMMETRY, -0.01),
            row("m", "result-3", right, MOUTH_ASYMMETRY, -0.01),
        ];
        // The first is uneven to its own side, the second to the wrong one.
        assert_eq!(panel(&KINDS[2], &rows).unwrap().points, [("m", 0.02, 0.01), ("m", 0.03, -0.01)]);
    }

    #[test]
    fn images_whose_mouth_could_not_be_read_are_counted_and_have_no_point() {
        let (a, b) = ("person=1 emotion=surprise session=A", "person=2 emotion=surprise session=A");
        let rows = [
            row("truth", "result-3", a, MOUTH_OPENING, 0.10),
            row("truth", "result-3", b, MOUTH_OPENING, 0.05),
            row("m", "result-3", a, MOUTH_READ, 1.0),
            row("m", "result-3", a, MOUTH_OPENING, 0.08),
            row("m", "result-3", b, MOUTH_READ, 0.0),
            row("n", "result-3", a, MOUTH_READ, 0.0),
            row("n", "train", b, MOUTH_READ, 0.0),
        ];
        let surprise = panel(&KINDS[0], &rows).unwrap();
        assert_eq!((surprise.points.len(), surprise.unread), (1, vec!["m", "n"]));
        // A panel without a point stays beside others and says so; a figure of such panels alone would be empty, and the table
        // has the share that could be read.
        let none = panel(&KINDS[0], &rows[4..]).unwrap();
        assert_eq!((none.points.len(), none.unread), (0, vec!["m", "n"]));
        assert!(draw_mouth(Path::new("mouth.png"), &["m", "n"], &rows[4..]).unwrap().is_none());
        assert!(draw_mouth(Path::new("mouth.png"), &["m", "n"], &rows).unwrap().is_some());
    }

    #[test]
    fn there_is_a_panel_per_expression_and_no_figure_without_mouths() {
        let rows = |emotions: &[(&str, &'static str)]| -> Vec<MetricRow> {
            let pair = |&(emotion, metric): &(&str, &'static str)| {
                let combination = format!("person=1 emotion={emotion}");
                ["truth", "m"].map(|model| row(model, "result-3", &combination, metric, 0.0))
            };
            emotions.iter().flat_map(pair).collect()
        };
        let draw = |rows: &[MetricRow]| draw_mouth(Path::new("mouth.png"), &["m"], rows).unwrap();
        let width = |rows: &[MetricRow]| image::load_from_memory(&draw(rows).unwrap()).unwrap().width() as i32;
        let all = rows(&[("surprise", MOUTH_OPENING), ("happy", MOUTH_OPENING), ("disgust", MOUTH_ASYMMETRY)]);
        assert_eq!(width(&all) - width(&all[..2]), 2 * PANEL.0);
        assert!(draw(&[]).is_none());
        assert!(draw(&rows(&[("sad", MOUTH_OPENING)])).is_none());
    }
}
