//! What the curve figures share: a colour per model, a legend, series by model and seed, a panel.

use std::ops::Range;

use plotters::prelude::*;

use crate::figures::canvas::{Area, Drawn, FAINT_INK, INK, RULE, text_left, text_style};

/// Okabe and Ito's colours, which colour-blind readers can tell apart; after these they repeat.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];

/// The points of one model and seed, ordered by step.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The model.
    pub model: String,
    /// The seed.
    pub seed: u64,
    /// Step and value.
    pub points: Vec<(f64, f64)>,
}

/// Sorts points into series by model and seed, in the order in which they first appear; steps ascend in each.
pub fn series<'a>(points: impl Iterator<Item = (&'a str, u64, u64, f64)>) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (model, seed, step, value) in points {
        let place = *places.entry((model, seed)).or_insert_with(|| {
            all.push(Series { model: model.to_owned(), seed, points: Vec::new() });
            all.len() - 1
        });
        if let Some(series) = all.get_mut(place) {
            series.points.push((step as f64, value));
        }
    }
    for series in &mut all {
        series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    all
}

/// The models of some series, in their order.
pub fn models(series: &[Series]) -> Vec<&str> {
    let mut models: Vec<&str> = Vec::new();
    for one in series {
        if !models.contains(&one.model.as_str()) {
            models.push(&one.model);
        }
    }
    models
}

/// The colour of a model among `models`.
pub fn colour(models: &[&str], model: &str) -> RGBColor {
    let place = models.iter().position(|name| *name == model).unwrap_or(0);
    PALETTE.get(place % PALETTE.len()).copied().unwrap_or(BLACK)
}

/// A legend in lines of at most `width` pixels from `at`; returns its height.
///
/// # Errors
/// The drawing library refuses.
pub fn legend(area: &Area, models: &[&str], at: (i32, i32), width: i32) -> Drawn<i32> {
    const LINE: i32 = 30;
    let style = text_style(21, false, INK);
    let (mut x, mut y) = at;
    for model in models {
        let item = 50 + area.estimate_text_size(model, &style)?.0 as i32 + 28;
        if x > at.0 && x + item > at.0 + width {
            x = at.0;
            y += LINE;
        }
        area.draw(&Rectangle::new([(x, y + 5), (x + 38, y + 9)], colour(models, model).filled()))?;
        text_left(area, model, &style, (x + 50, y))?;
        x += item;
    }
    Ok(y - at.1 + LINE)
}

/// What a panel of curves over training steps shows.
pub struct Panel<'a> {
    /// Above it.
    pub caption: &'a str,
    /// What stands on the upright axis, with its unit.
    pub quantity: &'a str,
    /// The curves.
    pub series: &'a [Series],
    /// The last step of the axis.
    pub last_step: f64,
    /// The values of the upright axis.
    pub range: Range<f64>,
    /// Digits behind the point of its labels.
    pub digits: usize,
}

impl Panel<'_> {
    /// Draws it, each model in its colour among `models`.
    ///
    /// # Errors
    /// The drawing library refuses.
    pub fn draw(&self, area: &Area, models: &[&str]) -> Drawn {
        let mut chart = ChartBuilder::on(area)
            .caption(self.caption, text_style(23, true, INK))
            .margin(10)
            .margin_right(24)
            .x_label_area_size(64)
            .y_label_area_size(84)
            .build_cartesian_2d(0.0..self.last_step, self.range.clone())?;
        chart
            .configure_mesh()
            .x_desc("training step")
            .y_desc(self.quantity)
            .x_labels(6)
            .y_labels(8)
            .axis_desc_style(text_style(20, false, INK))
            .label_style(text_style(18, false, FAINT_INK))
            .x_label_formatter(&|step| format!("{step:.0}"))
            .y_label_formatter(&|value| format!("{value:.*}", self.digits))
            .bold_line_style(RULE)
            .light_line_style(TRANSPARENT)
            .axis_style(FAINT_INK)
            .draw()?;
        for one in self.series {
            let ink = colour(models, &one.model);
            chart.draw_series(LineSeries::new(one.points.iter().copied(), ink.stroke_width(2)))?;
            chart.draw_series(one.points.iter().map(|point| Circle::new(*point, 3, ink.filled())))?;
        }
        Ok(())
    }
}

/// A range widened by a twentieth on both sides, and never empty.
pub fn padded(low: f64, high: f64) -> std::ops::Range<f64> {
    let pad = ((high - low) * 0.05).max(0.5);
    low - pad..high + pad
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_find_their_series_and_ascend() {
        let rows = [("b", 0, 2, 20.0), ("a", 0, 1, 1.0), ("b", 0, 1, 10.0), ("b", 1, 1, 5.0)];
        let all = series(rows.into_iter());
        assert_eq!(all.len(), 3);
        assert_eq!(all[0], Series { model: "b".into(), seed: 0, points: vec![(1.0, 10.0), (2.0, 20.0)] });
        assert_eq!(models(&all), ["b", "a"]);
        assert_ne!(colour(&["b", "a"], "a"), colour(&["b", "a"], "b"));
    }
}
