//! Makes the reports: everything for one experiment, or for all of them, and the page that shows them together.
//!
//! All files of an experiment are made in memory before the first is written, so that a broken input changes nothing.

use std::path::{Path, PathBuf};

use multigen_measure::{ResultsDir, atomic_write};

use crate::error::{Error, Result};
use crate::experiment_results::ExperimentResults;
use crate::figures::accuracy_curve::draw_accuracy;
use crate::figures::confusion::{self, ConfusionHeading, draw_confusion};
use crate::figures::diagnostics::draw_diagnostics;
use crate::figures::differences::draw_differences;
use crate::figures::grid::{GridHeading, draw_grid};
use crate::figures::loss_curve::draw_loss;
use crate::figures::mouth::draw_mouth;
use crate::figures::psnr_curve::draw_psnr;
use crate::figures::sheet::draw_sheet;
use crate::figures::sweep::{self, SWEEP};
use crate::index_page::{Above, Section, index_page};
use crate::summary::{Pictures, sheet_caption, summary};
use crate::tables::Table;

/// What [`write_report`] did.
#[derive(Debug, Default)]
pub struct Report {
    /// The files that were written.
    pub written: Vec<PathBuf>,
    /// The experiments that were left out, each with the reason in one line; the page says so too.
    pub skipped: Vec<(String, Error)>,
}

/// Writes figures, table and summary of every experiment folder, and `index.html`.
///
/// A broken folder is skipped: its reason stands in the result and on the page, its files stay as they are.
///
/// # Errors
/// The results folder cannot be read, or a file cannot be written.
pub fn write_report(results_root: &Path) -> Result<Report> {
    let results = ResultsDir::new(results_root);
    let mut report = Report::default();
    let mut sections = Vec::new();
    for experiment in results.experiments()? {
        match render(&results, &experiment) {
            Ok((section, files)) => {
                report.written.extend(write(files)?);
                sections.push((experiment, Ok(section)));
            }
            Err(error) => {
                sections.push((experiment.clone(), Err(error.to_string())));
                report.skipped.push((experiment, error));
            }
        }
    }
    report.written.extend(write_sweep(&results)?);
    report.written.push(write_page(&results, &sections)?);
    Ok(report)
}

/// Writes figures, table and summary of one experiment, and `index.html` anew.
///
/// # Errors
/// No such experiment, a broken file in it (then nothing is written), a file that cannot be written.
pub fn write_experiment(results_root: &Path, experiment: &str) -> Result<Vec<PathBuf>> {
    let results = ResultsDir::new(results_root);
    let (section, files) = render(&results, experiment)?;
    let mut written = write(files)?;
    written.push(write_index_with(&results, Some((experiment, section)))?);
    Ok(written)
}

/// Writes `index.html` anew from what other commands made.
///
/// # Errors
/// The results folder cannot be read, or the file cannot be written.
pub(crate) fn write_index(results: &ResultsDir) -> Result<PathBuf> {
    write_index_with(results, None)
}

/// Draws the figure of the sweep from the folders of its shares in the quick profile; none where there are none, or where
/// one is broken, which its own report says.
///
/// # Errors
/// The results folder cannot be read, or the file cannot be written.
pub(crate) fn write_sweep(results: &ResultsDir) -> Result<Vec<PathBuf>> {
    let mut tables = Vec::new();
    for experiment in results.experiments()? {
        let share = experiment.strip_prefix(SWEEP).and_then(|share| share.parse::<u8>().ok());
        if let (Some(share), Ok(section)) = (share, section_on_disk(results, &experiment)) {
            tables.push((f64::from(share), section.table));
        }
    }
    let panels = sweep::panels(&tables, SWEEP_SET);
    if panels.is_empty() {
        return Ok(Vec::new());
    }
    let path = results.sweep_figure();
    write(vec![(path.clone(), sweep::draw_sweep(&path, &panels)?)])
}

fn write_index_with(results: &ResultsDir, fresh: Option<(&str, Section)>) -> Result<PathBuf> {
    let mut fresh = fresh;
    let mut sections = Vec::new();
    for name in results.experiments()? {
        let section = match fresh.take_if(|(experiment, _)| name == *experiment) {
            Some((_, section)) => Ok(section),
            None => section_on_disk(results, &name).map_err(|error| error.to_string()),
        };
        sections.push((name, section));
    }
    write_page(results, &sections)
}

fn write_page(results: &ResultsDir, sections: &[(String, std::result::Result<Section, String>)]) -> Result<PathBuf> {
    let shown = |path: PathBuf| path.exists().then(|| file_name(&path));
    let above = Above { claims: shown(results.claims_page()), sweep: shown(results.sweep_figure()) };
    let page = index_page(sections, &above);
    atomic_write(&results.index(), page.as_bytes())?;
    Ok(results.index())
}

type Files = Vec<(PathBuf, Vec<u8>)>;

fn render(results: &ResultsDir, experiment: &str) -> Result<(Section, Files)> {
    let read = ExperimentResults::read(results, experiment)?;
    let models: Vec<&str> = read.models().collect();
    let dir = &read.dir;
    let mut files = Files::new();
    let mut pictures = Pictures::default();
    for model in &models {
        if let Some((seed, samples)) = read.samples(model)? {
            let heading =
                GridHeading { title: &read.manifest.title, model, seed, pictured: read.manifest.pictured.as_deref() };
            files.push((dir.grid(model), draw_grid(&dir.grid(model), heading, &samples)?));
            pictures.grids.push(((*model).to_owned(), seed, file_name(&dir.grid(model))));
        }
    }
    for model in &models {
        if let Some((seed, sheets)) = read.sheets(model)? {
            for sheet in &sheets {
                let path = dir.sheet_figure(model, &sheet.slug);
                pictures.sheets.push((sheet_caption(model, seed, sheet), file_name(&path)));
                let png = draw_sheet(&path, sheet)?;
                files.push((path, png));
            }
        }
    }
    if let Some(png) = draw_mouth(&dir.mouth_figure(), &models, &read.metrics)? {
        files.push((dir.mouth_figure(), png));
        pictures.mouths = Some((MOUTH_CAPTION.to_owned(), file_name(&dir.mouth_figure())));
    }
    let table = Table::summarise(&read.metrics, &models, &dir.metrics())?;
    if models.iter().any(|model| model.contains('+'))
        && let Some(png) = draw_differences(&dir.differences_figure(), &models, &table)?
    {
        files.push((dir.differences_figure(), png));
        pictures.curves.push((DIFFERENCES_CAPTION.to_owned(), file_name(&dir.differences_figure())));
    }
    if !read.history.is_empty() {
        files.push((dir.loss_figure(), draw_loss(&dir.loss_figure(), &models, &read.history)?));
        pictures.curves.push((LOSS_CAPTION.to_owned(), file_name(&dir.loss_figure())));
    }
    if !read.evaluations.is_empty() {
        files.push((dir.psnr_figure(), draw_psnr(&dir.psnr_figure(), &models, &read.evaluations)?));
        pictures.curves.push((PSNR_CAPTION.to_owned(), file_name(&dir.psnr_figure())));
    }
    if !read.diagnostics.is_empty() {
        let path = dir.diagnostics_figure();
        files.push((path.clone(), draw_diagnostics(&path, &models, &read.diagnostics)?));
        pictures.curves.push((DIAGNOSTICS_CAPTION.to_owned(), file_name(&path)));
    }
    let pictured = read.manifest.pictured.as_deref();
    if let Some(png) = draw_accuracy(&dir.accuracy_figure(), &table, pictured)? {
        files.push((dir.accuracy_figure(), png));
        pictures.readings.push((ACCURACY_CAPTION.to_owned(), file_name(&dir.accuracy_figure())));
    }
    for &arm in &models {
        for factor in confusion::factors(&read.confusion, arm) {
            let path = dir.confusion_figure(arm, factor);
            let png = draw_confusion(&path, ConfusionHeading { arm, factor, pictured }, &read.confusion)?;
            pictures.readings.push((confusion_caption(arm, factor), file_name(&path)));
            files.push((path, png));
        }
    }
    files.push((dir.table(), table.to_csv(&dir.table())?));
    #[cfg(feature = "hub")]
    files.push((dir.metrics_parquet(), crate::tables::metrics_parquet(&read.metrics, &dir.metrics_parquet())?));
    files.push((dir.summary(), summary(&read, &table, &pictures).into_bytes()));
    Ok((Section { manifest: read.manifest, table, pictures }, files))
}

/// What the page needs of an experiment whose files were made before: no picture is drawn again.
fn section_on_disk(results: &ResultsDir, experiment: &str) -> Result<Section> {
    let read = ExperimentResults::read(results, experiment)?;
    let models: Vec<&str> = read.models().collect();
    let mut pictures = Pictures::default();
    for model in &models {
        let first = read.first_seed(|seed| read.dir.samples(model, seed));
        if let (Some((seed, _)), true) = (first, read.dir.grid(model).exists()) {
            pictures.grids.push(((*model).to_owned(), seed, file_name(&read.dir.grid(model))));
        }
    }
    for model in &models {
        for (seed, sheet) in
            read.sheets(model)?.iter().flat_map(|(seed, sheets)| sheets.iter().map(move |s| (*seed, s)))
        {
            let path = read.dir.sheet_figure(model, &sheet.slug);
            if path.exists() {
                pictures.sheets.push((sheet_caption(model, seed, sheet), file_name(&path)));
            }
        }
    }
    if read.dir.mouth_figure().exists() {
        pictures.mouths = Some((MOUTH_CAPTION.to_owned(), file_name(&read.dir.mouth_figure())));
    }
    if read.dir.accuracy_figure().exists() {
        pictures.readings.push((ACCURACY_CAPTION.to_owned(), file_name(&read.dir.accuracy_figure())));
    }
    for &arm in &models {
        for factor in confusion::factors(&read.confusion, arm) {
            let path = read.dir.confusion_figure(arm, factor);
            if path.exists() {
                pictures.readings.push((confusion_caption(arm, factor), file_name(&path)));
            }
        }
    }
    for (caption, path) in [
        (DIFFERENCES_CAPTION, read.dir.differences_figure()),
        (LOSS_CAPTION, read.dir.loss_figure()),
        (PSNR_CAPTION, read.dir.psnr_figure()),
        (DIAGNOSTICS_CAPTION, read.dir.diagnostics_figure()),
    ] {
        if path.exists() {
            pictures.curves.push((caption.to_owned(), file_name(&path)));
        }
    }
    let table = Table::summarise(&read.metrics, &models, &read.dir.metrics())?;
    Ok(Section { manifest: read.manifest, table, pictures })
}

/// The set of the sweep's experiments.
const SWEEP_SET: &str = "held-out cells";
const MOUTH_CAPTION: &str = "Mouths of held-out faces, generated against true";
const LOSS_CAPTION: &str = "Training loss over steps";
const ACCURACY_CAPTION: &str = "Accuracy as training images shrink";
const PSNR_CAPTION: &str = "PSNR over steps";
const DIFFERENCES_CAPTION: &str = "Differences to the first model, paired by seed";
const DIAGNOSTICS_CAPTION: &str = "What was looked at while a discriminator took part";

fn confusion_caption(arm: &str, factor: &str) -> String {
    format!("{arm}: confusion of {factor}; rows are what images show, columns what was read")
}

fn write(files: Files) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (path, bytes) in files {
        atomic_write(&path, &bytes)?;
        written.push(path);
    }
    Ok(written)
}

/// The last part of a path.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
