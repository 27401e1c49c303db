//! The rows of the tables of a results folder, and their CSV files.
//!
//! `metrics.csv` (one figure per row, long form), `history.csv` (one training step per row), `evaluations.csv` (one
//! evaluation per row), `diagnostics.csv` (one look at a discriminator per row, where one takes part). The header is written and checked; a figure that is not finite is neither written nor read.

use std::io::{Read, Write};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::atomic_write::{atomic_write, atomic_write_with};
use crate::error::{Error, Result};

/// The model under which the mean over the other persons stands, where drawn faces say what theirs is.
pub const MEAN_PERSON: &str = "baseline: mean person";
/// Metric: whether a judge reads every factor of an image right.
pub const JUDGE_JOINT: &str = "judge_all factors";
/// Metric: the product of a judge's accuracies over a set, one per factor, which [`JUDGE_JOINT`]'s mean would be if errors
/// in one factor had nothing to do with those in another. It stands with every image of the set.
pub const JUDGE_PRODUCT: &str = "judge_product of factors";
/// What the metrics of a classifier begin with, before the factor: whether it reads that factor of a real image right.
pub const ACCURACY: &str = "accuracy_";
/// The baseline of digits that is the mean of the same digit's other styles in that transform and colour.
pub const MEAN_DIGIT: &str = "baseline: mean of the same digit";
/// Metric: the PSNR of a generated image to [`MEAN_DIGIT`] instead of the truth, in dB; of held-out digits only. Above
/// `psnr_db`, an image is nearer to the average digit than to the one that it is meant to be.
pub const MEAN_DIGIT_PSNR: &str = "mean_digit_psnr_db";
/// The metric of [`sharpness`](crate::sharpness).
pub const SHARPNESS: &str = "sharpness";
/// The metric that says how far the lips are apart, in face heights; on drawn faces only.
pub const MOUTH_OPENING: &str = "mouth_opening";
/// The metric that says how much higher the upper lip is raised on the right of the picture than on the left, in face
/// heights; on drawn faces only.
pub const MOUTH_ASYMMETRY: &str = "mouth_asymmetry";
/// The metric that says whether the mouth of a generated face could be read (1) or not (0): then the image has no
/// [`MOUTH_OPENING`] and no [`MOUTH_ASYMMETRY`].
pub const MOUTH_READ: &str = "mouth_read";

/// One figure: a metric of one image (or of one set) under one model and seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricRow {
    /// The experiment, as its folder is named.
    pub experiment: String,
    /// The model; `baseline: …` for a baseline, `truth` where the judge reads the true images.
    pub model: String,
    /// The seed of the run; none for what no seed changes, such as a baseline.
    pub seed: Option<u64>,
    /// The set of combinations that the image belongs to.
    pub set: String,
    /// The combination, as `digit=7 style=9 colour=red transform=mirror-x`.
    pub combination: String,
    /// The metric, as `psnr_db`, `ssim`, `mse`, `judge_digit`, [`SHARPNESS`].
    pub metric: String,
    /// The figure.
    pub value: f64,
}

/// One training step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryRow {
    /// The model.
    pub model: String,
    /// The seed of the run.
    pub seed: u64,
    /// The step, from 1.
    pub step: u64,
    /// The loss of the step.
    pub loss: f64,
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// Training images per second.
    pub images_per_s: f64,
}

/// One evaluation during training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationRow {
    /// The model.
    pub model: String,
    /// The seed of the run.
    pub seed: u64,
    /// The step after which the network was evaluated.
    pub step: u64,
    /// The set of combinations.
    pub set: String,
    /// Mean PSNR of the set, in dB.
    pub psnr_db: f64,
}

/// One look at a run in which a discriminator takes part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiagnosticRow {
    /// The model.
    pub model: String,
    /// The seed of the run.
    pub seed: u64,
    /// The step that was looked at, from 1.
    pub step: u64,
    /// Share of the batch's real images that the discriminator takes for real.
    pub discriminator_on_real: f64,
    /// Share of the batch's generated images that it takes for generated.
    pub discriminator_on_generated: f64,
    /// Euclidean norm of the gradient of all of the generator's parameters.
    pub generator_gradient: f64,
    /// The same of the discriminator's.
    pub discriminator_gradient: f64,
    /// How much the batch's generated images differ from each other, as a multiple of how much its real ones do: mean over
    /// pixels of the standard deviation over the batch. Near 0 when all combinations are drawn alike.
    pub relative_spread: f64,
}

/// A row of one of the tables: its columns, and the figures that must be finite.
pub trait Row: Serialize + DeserializeOwned {
    /// The columns, in the order of the file.
    const COLUMNS: &'static [&'static str];

    /// The figures of the row with their names.
    fn figures(&self) -> Vec<(&'static str, f64)>;
}

impl Row for MetricRow {
    const COLUMNS: &'static [&'static str] = &["experiment", "model", "seed", "set", "combination", "metric", "value"];

    fn figures(&self) -> Vec<(&'static str, f64)> {
        vec![("value", self.value)]
    }
}

impl Row for HistoryRow {
    const COLUMNS: &'static [&'static str] = &["model", "seed", "step", "loss", "learning_rate", "images_per_s"];

    fn figures(&self) -> Vec<(&'static str, f64)> {
        vec![("loss", self.loss), ("learning_rate", self.learning_rate), ("images_per_s", self.images_per_s)]
    }
}

impl Row for EvaluationRow {
    const COLUMNS: &'static [&'static str] = &["model", "seed", "step", "set", "psnr_db"];

    fn figures(&self) -> Vec<(&'static str, f64)> {
        vec![("psnr_db", self.psnr_db)]
    }
}

impl Row for DiagnosticRow {
    const COLUMNS: &'static [&'static str] = &[
        "model",
        "seed",
        "step",
        "discriminator_on_real",
        "discriminator_on_generated",
        "generator_gradient",
        "discriminator_gradient",
        "relative_spread",
    ];

    fn figures(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("discriminator_on_real", self.discriminator_on_real),
            ("discriminator_on_generated", self.discriminator_on_generated),
            ("generator_gradient", self.generator_gradient),
            ("discriminator_gradient", self.discriminator_gradient),
            ("relative_spread", self.relative_spread),
        ]
    }
}

/// Writes a table, header first, atomically.
///
/// # Errors
/// A figure that is not finite; anything that keeps the file from being written.
pub fn write_rows<R: Row>(path: &Path, rows: &[R]) -> Result<()> {
    atomic_write(path, &to_csv(path, rows)?)
}

/// As [`write_rows`], and beside it a gzip-compressed copy at `compressed`: a table of tens of megabytes is kept in a
/// repository only so.
///
/// # Errors
/// As [`write_rows`].
pub fn write_rows_and_copy<R: Row>(path: &Path, compressed: &Path, rows: &[R]) -> Result<()> {
    let text = to_csv(path, rows)?;
    atomic_write(path, &text)?;
    atomic_write_with(compressed, |writer| {
        let mut encoder = flate2::write::GzEncoder::new(writer, flate2::Compression::default());
        encoder.write_all(&text)?;
        encoder.finish().map(|_| ())
    })
}

fn to_csv<R: Row>(path: &Path, rows: &[R]) -> Result<Vec<u8>> {
    if let Some((line, name, figure)) = first_not_finite(rows) {
        let detail = format!("`{name}` of row {line} is {figure}");
        return Err(Error::BadRow { path: path.to_path_buf(), detail });
    }
    let unwritten = |error: csv::Error| Error::BadRow { path: path.to_path_buf(), detail: error.to_string() };
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(R::COLUMNS).map_err(unwritten)?;
    for row in rows {
        writer.serialize(row).map_err(unwritten)?;
    }
    writer.into_inner().map_err(|error| Error::writing(path, error.error()))
}

/// Reads a table that [`write_rows`] wrote, or, where it is not there, its gzip-compressed copy `PATH.gz`.
///
/// # Errors
/// A missing or broken file, other columns, a field that does not parse, a figure that is not finite.
pub fn read_rows<R: Row>(path: &Path) -> Result<Vec<R>> {
    let text = read_or_decompress(path)?;
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let columns = R::COLUMNS.join(",");
    let header = reader.headers().map_err(|error| Error::malformed(path, format!("the columns {columns}"), error))?;
    if header.iter().ne(R::COLUMNS.iter().copied()) {
        let found = header.iter().collect::<Vec<_>>().join(",");
        return Err(Error::malformed(path, format!("the columns {columns}"), format!("`{found}`")));
    }
    let rows = reader
        .deserialize()
        .collect::<std::result::Result<Vec<R>, csv::Error>>()
        .map_err(|error| Error::malformed(path, format!("rows of {columns}"), error))?;
    if let Some((line, name, figure)) = first_not_finite(&rows) {
        return Err(Error::malformed(path, "finite figures", format!("`{name}` of row {line} is {figure}")));
    }
    Ok(rows)
}

fn read_or_decompress(path: &Path) -> Result<Vec<u8>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    let compressed = Path::new(&name);
    if path.exists() || !compressed.exists() {
        return std::fs::read(path).map_err(|source| Error::reading(path, &source));
    }
    let file = std::fs::File::open(compressed).map_err(|source| Error::reading(compressed, &source))?;
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(std::io::BufReader::new(file))
        .read_to_end(&mut text)
        .map_err(|error| Error::malformed(compressed, "a whole gzip file", error))?;
    Ok(text)
}

fn first_not_finite<R: Row>(rows: &[R]) -> Option<(usize, &'static str, f64)> {
    rows.iter().enumerate().find_map(|(row_idx, row)| {
        row.figures()
            .into_iter()
            .find(|(_, figure)| !figure.is_finite())
            .map(|(name, figure)| (row_idx + 1, name, figure))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_copy_stands_in_for_a_missing_table() {
        let folder = tempfile::tempdir().unwrap();
        let (path, compressed) = (folder.path().join("metrics.csv"), folder.path().join("metrics.csv.gz"));
        let rows = vec![metric(Some(1), 2.5)];
        write_rows_and_copy(&path, &compressed, &rows).unwrap();
        let bytes = std::fs::read(&compressed).unwrap();
        assert_eq!(read_rows::<MetricRow>(&path).unwrap(), rows);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read_rows::<MetricRow>(&path).unwrap(), rows);
        // The table itself comes first, and half a copy is an error that names it.
        write_rows(&path, &[metric(Some(1), 3.5)]).unwrap();
        assert_eq!(read_rows::<MetricRow>(&path).unwrap(), [metric(Some(1), 3.5)]);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&compressed, &bytes[..bytes.len() / 2]).unwrap();
        assert!(read_rows::<MetricRow>(&path).unwrap_err().to_string().contains("metrics.csv.gz"));
    }

    fn metric(seed: Option<u64>, value: f64) -> MetricRow {
        MetricRow {
            experiment: "digits-result-3".into(),
            model: "operator, \"affine\"".into(),
            seed,
            set: "result-3".into(),
            combination: "digit=7 style=9 colour=red transform=mirror-x".into(),
            metric: "psnr_db".into(),
            value,
        }
    }

    #[test]
    fn all_three_tables_survive_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let rows = vec![metric(Some(0), 1.0 / 3.0), metric(None, 1e-12)];
        write_rows(&path, &rows).unwrap();
        assert_eq!(read_rows::<MetricRow>(&path).unwrap(), rows);
        let header = "experiment,model,seed,set,combination,metric,value\n";
        assert!(std::fs::read_to_string(&path).unwrap().starts_with(header));

        let path = folder.path().join("history.csv");
        let row = HistoryRow { model: "m".into(), seed: 3, step: 1, loss: 2.5, learning_rate: 2e-4, images_per_s: 7e3 };
        write_rows(&path, std::slice::from_ref(&row)).unwrap();
        assert_eq!(read_rows::<HistoryRow>(&path).unwrap(), vec![row]);

        let path = folder.path().join("evaluations.csv");
        let row = EvaluationRow { model: "m".into(), seed: 3, step: 100, set: "train".into(), psnr_db: 31.25 };
        write_rows(&path, std::slice::from_ref(&row)).unwrap();
        assert_eq!(read_rows::<EvaluationRow>(&path).unwrap(), vec![row]);
    }

    #[test]
    fn an_empty_table_still_has_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        write_rows::<HistoryRow>(&path, &[]).unwrap();
        assert!(read_rows::<HistoryRow>(&path).unwrap().is_empty());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "model,seed,step,loss,learning_rate,images_per_s\n");
    }

    #[test]
    fn broken_files_give_one_line_that_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let header = "experiment,model,seed,set,combination,metric,value\n";
        for (content, expected) in [
            (String::new(), "expected the columns experiment,model"),
            ("a,b\n1,2\n".to_owned(), "found `a,b`"),
            (format!("{header}e,m,0,s,c,psnr_db\n"), "expected rows of"),
            (format!("{header}e,m,0,s,c,psnr_db,twenty\n"), "invalid float"),
            (format!("{header}e,m,-1,s,c,psnr_db,1\n"), "invalid digit"),
            (format!("{header}e,m,0,s,c,psnr_db,NaN\n"), "`value` of row 1 is NaN"),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = read_rows::<MetricRow>(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("metrics.csv") && error.contains("run the experiment again"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let error = read_rows::<MetricRow>(&folder.path().join("none.csv")).unwrap_err().to_string();
        assert!(error.contains("none.csv: cannot be read"), "{error}");
    }

    #[test]
    fn a_figure_that_is_not_finite_leaves_the_earlier_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        write_rows(&path, &[metric(Some(0), 1.0)]).unwrap();
        let error = write_rows(&path, &[metric(Some(0), 1.0), metric(Some(1), f64::INFINITY)]).unwrap_err();
        assert!(error.to_string().contains("`value` of row 2 is inf"), "{error}");
        assert_eq!(read_rows::<MetricRow>(&path).unwrap().len(), 1);
    }
}
