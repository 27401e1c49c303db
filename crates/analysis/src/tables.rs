//! From `metrics.csv` to a table: per set, model and metric the mean over images under each seed, then mean and 95 %
//! t-interval over seeds.
//!
//! Averaging over images first makes the seed the unit of the interval: images of one run are not independent.

use std::collections::BTreeMap;
use std::path::Path;

use multigen_measure::MetricRow;
use polars::prelude::*;

use crate::error::{Error, Result};
use crate::labels::{TRUTH, figure_with_interval, is_trained, metric_heading};
use crate::stats::{Estimate, estimate, paired_difference};

/// One figure of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The set of combinations.
    pub set: String,
    /// The model, baseline or `truth`.
    pub model: String,
    /// The metric.
    pub metric: String,
    /// Images under each seed; the smallest count where seeds differ.
    pub n_images: usize,
    /// Mean over images, by seed; empty for what no seed changes.
    pub by_seed: BTreeMap<u64, f64>,
    /// Mean and interval over seeds.
    pub estimate: Estimate,
}

/// The table of an experiment: trained models in their order, then the truth, then baselines.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    cells: Vec<Cell>,
}

impl Table {
    /// Summarises the rows; `models` gives the order of the trained models, `path` the file that errors name.
    ///
    /// # Errors
    /// The table library refuses the rows.
    pub fn summarise(rows: &[MetricRow], models: &[&str], path: &Path) -> Result<Self> {
        let cells = summarise(rows).map_err(|error| table_error(path, &error))?;
        let rank = |model: &str| match models.iter().position(|name| *name == model) {
            Some(position) => position,
            None if is_trained(model) => models.len(),
            None if model == TRUTH => models.len() + 1,
            None => models.len() + 2,
        };
        let mut table = Self { cells };
        let sets: Vec<String> = table.sets().into_iter().map(str::to_owned).collect();
        let set_rank = |set: &str| sets.iter().position(|name| name == set);
        // A stable sort, so that what the ranks do not decide keeps the order of the file.
        table.cells.sort_by_key(|cell| (set_rank(&cell.set), rank(&cell.model)));
        Ok(table)
    }

    /// All figures.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The sets, in the order of the file.
    pub fn sets(&self) -> Vec<&str> {
        distinct(self.cells.iter().map(|cell| cell.set.as_str()))
    }

    /// The models of a set, in their order.
    pub fn models(&self, set: &str) -> Vec<&str> {
        distinct(self.of(set).map(|cell| cell.model.as_str()))
    }

    /// The metrics of a set, in the order of the file.
    pub fn metrics(&self, set: &str) -> Vec<&str> {
        distinct(self.of(set).map(|cell| cell.metric.as_str()))
    }

    /// The largest number of images behind a figure of a set.
    pub fn n_images(&self, set: &str) -> usize {
        self.of(set).map(|cell| cell.n_images).max().unwrap_or(0)
    }

    /// One figure.
    pub fn cell(&self, set: &str, model: &str, metric: &str) -> Option<&Cell> {
        self.of(set).find(|cell| cell.model == model && cell.metric == metric)
    }

    /// The baseline with the highest figure of a set, where higher is better.
    pub fn best_baseline(&self, set: &str, metric: &str) -> Option<&Cell> {
        self.of(set)
            .filter(|cell| cell.metric == metric && !is_trained(&cell.model) && cell.model != TRUTH)
            .max_by(|a, b| a.estimate.mean.total_cmp(&b.estimate.mean))
    }

    /// Difference `model − reference` of a metric, paired by seed.
    pub fn difference(&self, set: &str, metric: &str, model: &str, reference: &str) -> Option<Estimate> {
        let (a, b) = (self.cell(set, model, metric)?, self.cell(set, reference, metric)?);
        paired_difference(&a.by_seed, &b.by_seed)
    }

    /// The heading and the rows of a set's table, as text: model, then one figure per metric.
    pub fn text(&self, set: &str) -> (Vec<String>, Vec<Vec<String>>) {
        let metrics = self.metrics(set);
        let heading = std::iter::once(String::new()).chain(metrics.iter().map(|metric| metric_heading(metric)));
        let rows = self.models(set).into_iter().map(|model| {
            let figures = metrics.iter().map(|metric| {
                self.cell(set, model, metric)
                    .map_or_else(|| "–".to_owned(), |cell| figure_with_interval(model, metric, &cell.estimate))
            });
            std::iter::once(model.to_owned()).chain(figures).collect()
        });
        (heading.collect(), rows.collect())
    }

    /// The table in long form as CSV: set, model, metric, n_images, n_seeds, mean, sd, ci95_low, ci95_high; what does not
    /// exist is empty.
    ///
    /// # Errors
    /// The table library refuses.
    pub fn to_csv(&self, path: &Path) -> Result<Vec<u8>> {
        let write = || -> PolarsResult<Vec<u8>> {
            let mut frame = df!(
                "set" => self.column(|cell| cell.set.as_str()),
                "model" => self.column(|cell| cell.model.as_str()),
                "metric" => self.column(|cell| cell.metric.as_str()),
                "n_images" => self.column(|cell| cell.n_images as u64),
                "n_seeds" => self.column(|cell| cell.by_seed.len() as u64),
                "mean" => self.column(|cell| cell.estimate.mean),
                "sd" => self.column(|cell| cell.estimate.sd),
                "ci95_low" => self.column(|cell| cell.estimate.interval().map(|(low, _)| low)),
                "ci95_high" => self.column(|cell| cell.estimate.interval().map(|(_, high)| high)),
            )?;
            let mut bytes = Vec::new();
            CsvWriter::new(&mut bytes).finish(&mut frame)?;
            Ok(bytes)
        };
        write().map_err(|error| table_error(path, &error))
    }

    fn of<'a, 's>(&'a self, set: &'s str) -> impl Iterator<Item = &'a Cell> + use<'a, 's> {
        self.cells.iter().filter(move |cell| cell.set == set)
    }

    fn column<'a, T>(&'a self, field: impl Fn(&'a Cell) -> T) -> Vec<T> {
        self.cells.iter().map(field).collect()
    }
}

/// A table in Markdown; the first `n_text` columns are text, the others figures.
pub fn markdown(heading: &[String], rows: &[Vec<String>], n_text: usize) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| markdown_text(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(heading);
    let rule: Vec<&str> = (0..heading.len()).map(|column| if column < n_text { "---" } else { "---:" }).collect();
    text.push_str(&format!("| {} |\n", rule.join(" | ")));
    for row in rows {
        text.push_str(&line(row));
    }
    text
}

/// Text that cannot break a Markdown table or start HTML: bars and `<` escaped, lines joined.
pub fn markdown_text(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}

/// `metrics.csv` as Parquet.
///
/// # Errors
/// The table library refuses.
#[cfg(feature = "hub")]
pub fn metrics_parquet(rows: &[MetricRow], path: &Path) -> Result<Vec<u8>> {
    let write = || -> PolarsResult<Vec<u8>> {
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut frame_of(rows)?)?;
        Ok(bytes)
    };
    write().map_err(|error| table_error(path, &error))
}

fn frame_of(rows: &[MetricRow]) -> PolarsResult<DataFrame> {
    fn column<'a, T>(rows: &'a [MetricRow], field: impl Fn(&'a MetricRow) -> T) -> Vec<T> {
        rows.iter().map(field).collect()
    }
    df!(
        "experiment" => column(rows, |row| row.experiment.as_str()),
        "model" => column(rows, |row| row.model.as_str()),
        "seed" => column(rows, |row| row.seed),
        "set" => column(rows, |row| row.set.as_str()),
        "combination" => column(rows, |row| row.combination.as_str()),
        "metric" => column(rows, |row| row.metric.as_str()),
        "value" => column(rows, |row| row.value),
    )
}

fn summarise(rows: &[MetricRow]) -> PolarsResult<Vec<Cell>> {
    let frame = frame_of(rows)?;
    let values = frame.column("value")?.f64()?;
    let groups = frame.group_by_stable(["set", "model", "metric", "seed"])?;
    // One entry per (set, model, metric) in the order of the file: means and counts over images, by seed.
    type Means = Vec<(Option<u64>, f64, usize)>;
    let mut order: Vec<(&str, &str, &str)> = Vec::new();
    let mut means: BTreeMap<(&str, &str, &str), Means> = BTreeMap::new();
    for group in groups.get_groups().iter() {
        let members: Vec<usize> = match group {
            GroupsIndicator::Idx((_, indices)) => indices.iter().map(|index| *index as usize).collect(),
            GroupsIndicator::Slice([first, length]) => (first as usize..(first + length) as usize).collect(),
        };
        let Some(row) = members.first().and_then(|first| rows.get(*first)) else { continue };
        let sum: f64 = members.iter().filter_map(|member| values.get(*member)).sum();
        let key = (row.set.as_str(), row.model.as_str(), row.metric.as_str());
        if !means.contains_key(&key) {
            order.push(key);
        }
        means.entry(key).or_default().push((row.seed, sum / members.len() as f64, members.len()));
    }
    Ok(order
        .into_iter()
        .filter_map(|key| {
            let means = means.get(&key)?;
            let figures: Vec<f64> = means.iter().map(|(_, mean, _)| *mean).collect();
            Some(Cell {
                set: key.0.to_owned(),
                model: key.1.to_owned(),
                metric: key.2.to_owned(),
                n_images: means.iter().map(|(_, _, n)| *n).min().unwrap_or(0),
                by_seed: means.iter().filter_map(|(seed, mean, _)| Some(((*seed)?, *mean))).collect(),
                estimate: estimate(&figures)?,
            })
        })
        .collect())
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = std::collections::HashSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}

fn table_error(path: &Path, error: &PolarsError) -> Error {
    let detail = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    Error::Table { path: path.to_path_buf(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(model: &str, seed: Option<u64>, combination: &str, metric: &str, value: f64) -> MetricRow {
        MetricRow {
            experiment: "e".into(),
            model: model.into(),
            seed,
            set: "result-3".into(),
            combination: combination.into(),
            metric: metric.into(),
            value,
        }
    }

    fn table() -> Table {
        let rows = [
            row("baseline: black", None, "a", "psnr_db", 15.0),
            row("baseline: black", None, "b", "psnr_db", 17.0),
            row("baseline: nearest", None, "a", "psnr_db", 20.0),
            row("truth", None, "a", "judge_digit", 1.0),
            row("second", Some(0), "a", "psnr_db", 30.0),
            row("first", Some(0), "a", "psnr_db", 10.0),
            row("first", Some(1), "a", "psnr_db", 20.0),
            row("first", Some(0), "b", "psnr_db", 30.0),
            row("first", Some(1), "b", "psnr_db", 24.0),
            row("first", Some(1), "b", "judge_digit", 1.0),
        ];
        Table::summarise(&rows, &["first", "second"], Path::new("metrics.csv")).unwrap()
    }

    #[test]
    fn images_are_averaged_before_seeds() {
        let table = table();
        // Seed 0: (10 + 30) / 2 = 20; seed 1: (20 + 24) / 2 = 22; mean 21, sd √2, half width 12.706 · √2 / √2.
        let cell = table.cell("result-3", "first", "psnr_db").unwrap();
        assert_eq!(cell.by_seed, BTreeMap::from([(0, 20.0), (1, 22.0)]));
        assert_eq!((cell.n_images, cell.estimate.n, cell.estimate.mean), (2, 2, 21.0));
        assert!((cell.estimate.half_width.unwrap() - 12.706).abs() < 1e-3);
        let black = table.cell("result-3", "baseline: black", "psnr_db").unwrap();
        assert_eq!((black.estimate.mean, black.estimate.n, black.by_seed.len()), (16.0, 1, 0));
        assert_eq!(table.best_baseline("result-3", "psnr_db").unwrap().model, "baseline: nearest");
        // Only seed 0 is shared: 20 − 30.
        let difference = table.difference("result-3", "psnr_db", "first", "second").unwrap();
        assert_eq!((difference.n, difference.mean, difference.half_width), (1, -10.0, None));
    }

    #[test]
    fn models_come_in_the_order_of_the_manifest_then_truth_then_baselines() {
        let order = ["first", "second", "truth", "baseline: black", "baseline: nearest"];
        assert_eq!(table().models("result-3"), order);
        let (heading, rows) = table().text("result-3");
        assert_eq!(heading, ["", "PSNR, dB", "judge: digit"]);
        assert_eq!(rows[0], ["first", "21.00 ± 12.71", "1.000 (no interval)"]);
        assert_eq!(rows[1], ["second", "30.00 (no interval)", "–"]);
        assert_eq!(rows[3], ["baseline: black", "16.00", "–"]);
    }

    #[test]
    fn the_csv_has_one_line_per_figure_and_empty_fields_where_nothing_is() {
        let csv = String::from_utf8(table().to_csv(Path::new("table.csv")).unwrap()).unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], "set,model,metric,n_images,n_seeds,mean,sd,ci95_low,ci95_high");
        assert_eq!(lines.len(), 1 + table().cells().len());
        assert!(lines[1].starts_with("result-3,first,psnr_db,2,2,21.0,1.414"), "{}", lines[1]);
        assert!(lines.contains(&"result-3,baseline: black,psnr_db,2,0,16.0,,,"), "{csv}");
    }

    #[test]
    fn no_rows_make_an_empty_table() {
        let table = Table::summarise(&[], &[], Path::new("metrics.csv")).unwrap();
        assert!(table.sets().is_empty());
        assert_eq!(table.to_csv(Path::new("table.csv")).unwrap().iter().filter(|byte| **byte == b'\n').count(), 1);
    }

    #[cfg(feature = "hub")]
    #[test]
    fn parquet_reads_back() {
        let rows = [row("first", Some(3), "a", "psnr_db", 10.5), row("baseline: black", None, "a", "psnr_db", 15.9)];
        let bytes = metrics_parquet(&rows, Path::new("metrics.parquet")).unwrap();
        let frame = ParquetReader::new(std::io::Cursor::new(bytes)).finish().unwrap();
        assert_eq!(frame.shape(), (2, 7));
        assert_eq!(frame.column("value").unwrap().f64().unwrap().get(1), Some(15.9));
        assert_eq!(frame.column("seed").unwrap().u64().unwrap().get(1), None);
    }

    #[test]
    fn markdown_cannot_be_broken_by_bars() {
        let text = markdown(&["a|b".into(), "c".into()], &[vec!["d\ne".into(), "<f".into()]], 1);
        assert_eq!(text, "| a\\|b | c |\n| --- | ---: |\n| d e | &lt;f |\n");
    }
}
