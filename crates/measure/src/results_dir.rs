//! The layout of results/: every path of it is named here and nowhere else.
//!
//! ```text
//! results/index.html
//! results/claims.md  claims.html                  every claim with its verdict
//! results/holdout-sweep.png                       held-out quality against the held-out share
//! results/bench.md  bench.json                    times of training steps
//! results/bench-operators.md                      times of operators
//! results/faces-check.md                          how hard the drawn faces are
//! results/cache/                                  runs and judges, ignored by git
//! results/<experiment>/config.toml  manifest.json  metrics.csv  metrics.csv.gz  history.csv  evaluations.csv  diagnostics.csv
//!                      confusion.csv                           of experiments on classifiers
//!                      samples/<model>-seed<k>.safetensors  samples/<model>-seed<k>-sheets.safetensors
//!                      grid-<model>.png  sheet-<model>-<slug>.png  mouth.png  differences.png  loss.png  psnr.png  diagnostics.png
//!                      confusion-<arm>-<factor>.png  accuracy.png  table.csv  summary.md
//!                      (made by analysis)
//! ```

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The results folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultsDir {
    root: PathBuf,
}

/// The folder of one experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentDir {
    root: PathBuf,
}

impl ResultsDir {
    /// The results folder at `root`; nothing is read or written yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The page that shows every experiment.
    pub fn index(&self) -> PathBuf {
        self.root.join("index.html")
    }

    /// The claims with their verdicts, in Markdown.
    pub fn claims(&self) -> PathBuf {
        self.root.join("claims.md")
    }

    /// The same as a page.
    pub fn claims_page(&self) -> PathBuf {
        self.root.join("claims.html")
    }

    /// Held-out quality against the held-out share.
    pub fn sweep_figure(&self) -> PathBuf {
        self.root.join("holdout-sweep.png")
    }

    /// The table of times that a training step takes.
    pub fn bench(&self) -> PathBuf {
        self.root.join("bench.md")
    }

    /// The same figures, and more of them, as JSON.
    pub fn bench_json(&self) -> PathBuf {
        self.root.join("bench.json")
    }

    /// The table of times of the operators.
    pub fn bench_operators(&self) -> PathBuf {
        self.root.join("bench-operators.md")
    }

    /// How hard the drawn faces are for a classifier.
    pub fn faces_check(&self) -> PathBuf {
        self.root.join("faces-check.md")
    }

    /// What may be deleted and made again: runs with their checkpoints, judges.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// The folder of one experiment.
    pub fn experiment(&self, name: &str) -> ExperimentDir {
        ExperimentDir { root: self.root.join(name) }
    }

    /// Creates the folder if it is missing and checks that files can be written into it. Cheap: call it before training.
    ///
    /// # Errors
    /// The folder cannot be made or written into, for example because a file has its name.
    pub fn check_writable(&self) -> Result<()> {
        check_writable(&self.root)
    }

    /// The names of all folders that may be experiments, sorted: all but the cache and hidden ones.
    ///
    /// # Errors
    /// The results folder cannot be read.
    pub fn experiments(&self) -> Result<Vec<String>> {
        let reading = |source: std::io::Error| Error::reading(&self.root, &source);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() && name != "cache" && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

impl ExperimentDir {
    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Creates the folder and its samples folder if they are missing and checks that files can be written.
    ///
    /// # Errors
    /// As [`ResultsDir::check_writable`].
    pub fn create(&self) -> Result<()> {
        check_writable(&self.root)?;
        check_writable(&self.root.join("samples"))
    }

    /// What was looked at while a discriminator took part; only where one did.
    pub fn diagnostics(&self) -> PathBuf {
        self.root.join("diagnostics.csv")
    }

    /// The figure of it, made by analysis.
    pub fn diagnostics_figure(&self) -> PathBuf {
        self.root.join("diagnostics.png")
    }

    /// The figure of differences between models, made by analysis.
    pub fn differences_figure(&self) -> PathBuf {
        self.root.join("differences.png")
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The [`Manifest`](crate::Manifest).
    pub fn manifest(&self) -> PathBuf {
        self.root.join("manifest.json")
    }

    /// The [`MetricRow`](crate::MetricRow)s.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.csv")
    }

    /// The same, compressed: what a repository keeps.
    pub fn metrics_compressed(&self) -> PathBuf {
        self.root.join("metrics.csv.gz")
    }

    /// Whether figures of a whole experiment lie here.
    pub fn holds_figures(&self) -> bool {
        self.metrics().exists() || self.metrics_compressed().exists()
    }

    /// The same as Parquet, with the feature `hub` of the analysis.
    pub fn metrics_parquet(&self) -> PathBuf {
        self.root.join("metrics.parquet")
    }

    /// The [`HistoryRow`](crate::HistoryRow)s.
    pub fn history(&self) -> PathBuf {
        self.root.join("history.csv")
    }

    /// The [`EvaluationRow`](crate::EvaluationRow)s.
    pub fn evaluations(&self) -> PathBuf {
        self.root.join("evaluations.csv")
    }

    /// The [`ConfusionRow`](crate::ConfusionRow)s of classifiers.
    pub fn confusion(&self) -> PathBuf {
        self.root.join("confusion.csv")
    }

    /// The [`Samples`](crate::Samples) of one run.
    pub fn samples(&self, model: &str, seed: u64) -> PathBuf {
        self.root.join("samples").join(format!("{model}-seed{seed}.safetensors"))
    }

    /// The [`Sheet`](crate::Sheet)s of one run.
    pub fn sheets(&self, model: &str, seed: u64) -> PathBuf {
        self.root.join("samples").join(format!("{model}-seed{seed}-sheets.safetensors"))
    }

    /// The image grid of one model.
    pub fn grid(&self, model: &str) -> PathBuf {
        self.root.join(format!("grid-{model}.png"))
    }

    /// One sheet of one model, drawn.
    pub fn sheet_figure(&self, model: &str, slug: &str) -> PathBuf {
        self.root.join(format!("sheet-{model}-{slug}.png"))
    }

    /// The mouths of drawn faces, generated against true.
    pub fn mouth_figure(&self) -> PathBuf {
        self.root.join("mouth.png")
    }

    /// The loss curves.
    pub fn loss_figure(&self) -> PathBuf {
        self.root.join("loss.png")
    }

    /// The PSNR curves.
    pub fn psnr_figure(&self) -> PathBuf {
        self.root.join("psnr.png")
    }

    /// What one arm's classifiers took for what.
    pub fn confusion_figure(&self, arm: &str, factor: &str) -> PathBuf {
        self.root.join(format!("confusion-{arm}-{factor}.png"))
    }

    /// The accuracy of classifiers as training images shrink.
    pub fn accuracy_figure(&self) -> PathBuf {
        self.root.join("accuracy.png")
    }

    /// The table of means and intervals.
    pub fn table(&self) -> PathBuf {
        self.root.join("table.csv")
    }

    /// The summary.
    pub fn summary(&self) -> PathBuf {
        self.root.join("summary.md")
    }

    /// Deletes the samples, sheets and pictures of earlier results: all but what is kept, and what the layout does not
    /// name. A picture of a model, of a set or of mouths that new results do not have would be shown as theirs.
    ///
    /// # Errors
    /// A folder cannot be read, or a file cannot be deleted.
    pub fn remove_all_but(&self, kept: &[PathBuf]) -> Result<()> {
        let is_picture = |name: &str| {
            let named = [
                self.mouth_figure(),
                self.differences_figure(),
                self.loss_figure(),
                self.psnr_figure(),
                self.diagnostics(),
                self.diagnostics_figure(),
                self.accuracy_figure(),
                self.confusion(),
            ];
            let of_model =
                ["grid-", "sheet-", "confusion-"].iter().any(|kind| name.starts_with(kind)) && name.ends_with(".png");
            of_model || named.iter().any(|path| path.ends_with(name))
        };
        let is_sample = |name: &str| name.ends_with(".safetensors");
        let reading = |source: std::io::Error| Error::reading(&self.root, &source);
        let entries = |folder: PathBuf| Ok(std::fs::read_dir(folder).map_err(reading)?.collect::<Vec<_>>());
        let pictures = entries(self.root.clone())?.into_iter().map(|entry| (entry, true));
        let samples = entries(self.root.join("samples"))?.into_iter().map(|entry| (entry, false));
        for (entry, may_be_picture) in pictures.chain(samples) {
            let entry = entry.map_err(reading)?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let is_of_layout = if may_be_picture { is_picture(&name) } else { is_sample(&name) };
            if is_of_layout && !kept.contains(&path) {
                std::fs::remove_file(&path).map_err(|source| Error::writing(&path, &source))?;
            }
        }
        Ok(())
    }
}

fn check_writable(folder: &Path) -> Result<()> {
    let failed = |source: std::io::Error| Error::writing(folder, &source);
    std::fs::create_dir_all(folder).map_err(failed)?;
    // Permission bits do not tell the truth on every file system; making a file does.
    tempfile::Builder::new()
        .prefix(".probe.")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(|source| failed(std::io::Error::from(source.kind())))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_the_place_of_the_folder_is_one_line_with_a_cure() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("results");
        std::fs::write(&root, b"x").unwrap();
        for error in [
            ResultsDir::new(&root).check_writable().unwrap_err().to_string(),
            ResultsDir::new(&root).experiment("e").create().unwrap_err().to_string(),
        ] {
            assert!(error.contains("results") && error.contains("choose another results folder"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn samples_and_pictures_of_earlier_results_go_and_what_the_layout_does_not_name_stays() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ResultsDir::new(folder.path()).experiment("e");
        dir.create().unwrap();
        let gone = [
            dir.grid("m"),
            dir.sheet_figure("m", "matrix"),
            dir.mouth_figure(),
            dir.loss_figure(),
            dir.psnr_figure(),
            dir.confusion_figure("m", "emotion"),
            dir.accuracy_figure(),
            dir.confusion(),
            dir.diagnostics(),
            dir.diagnostics_figure(),
            dir.differences_figure(),
            dir.sheets("m", 0),
            dir.samples("m", 1),
        ];
        let own = [dir.root().join("my-notes.md"), dir.root().join("poster.png"), dir.root().join("samples/notes.txt")];
        let kept = [dir.samples("m", 0), dir.metrics(), dir.manifest()];
        for path in gone.iter().chain(&own).chain(&kept) {
            std::fs::write(path, b"x").unwrap();
        }
        dir.remove_all_but(&kept).unwrap();
        assert!(gone.iter().all(|path| !path.exists()));
        assert!(own.iter().chain(&kept).all(|path| path.exists()));
        let missing = ResultsDir::new(folder.path()).experiment("none").remove_all_but(&[]).unwrap_err().to_string();
        assert!(missing.contains("none") && !missing.contains('\n'), "{missing}");
    }

    #[test]
    fn a_new_folder_is_made_and_left_empty() {
        let folder = tempfile::tempdir().unwrap();
        let results = ResultsDir::new(folder.path().join("deep/results"));
        results.check_writable().unwrap();
        assert_eq!(std::fs::read_dir(results.root()).unwrap().count(), 0);
        results.experiment("digits-result-3").create().unwrap();
        results.experiment("digits-result-1").create().unwrap();
        std::fs::create_dir(results.cache()).unwrap();
        std::fs::create_dir(results.root().join(".hidden")).unwrap();
        std::fs::write(results.index(), b"").unwrap();
        assert_eq!(results.experiments().unwrap(), ["digits-result-1", "digits-result-3"]);
        let samples = results.experiment("digits-result-3").samples("operator-affine", 2);
        assert!(samples.ends_with("digits-result-3/samples/operator-affine-seed2.safetensors"));
    }
}
