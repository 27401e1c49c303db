//! `summary.md`: what was asked, what came out, and everything needed to judge and repeat it. It states no verdict.

use multigen_measure::{ACCURACY, MOUTH_READ, Manifest, Sheet};

use crate::experiment_results::ExperimentResults;
use crate::labels::{duration, figure, figure_with_interval, metric_heading, thousands};
use crate::tables::{Table, markdown, markdown_text};

/// The pictures that exist for an experiment, as file names in its folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pictures {
    /// Model, seed and file of each image grid.
    pub grids: Vec<(String, u64, String)>,
    /// Caption and file of each sheet.
    pub sheets: Vec<(String, String)>,
    /// Caption and file of the mouths, generated against true.
    pub mouths: Option<(String, String)>,
    /// Caption and file of what classifiers read: accuracy curves and confusion matrices.
    pub readings: Vec<(String, String)>,
    /// Caption and file of each curve.
    pub curves: Vec<(String, String)>,
}

/// Heading and rows of a table, as text.
pub type TextTable = (Vec<String>, Vec<Vec<String>>);

/// The summary of an experiment in Markdown.
pub fn summary(results: &ExperimentResults, table: &Table, pictures: &Pictures) -> String {
    let manifest = &results.manifest;
    let mut text = format!("# {}\n\n", markdown_text(&manifest.title));
    text.push_str(&format!("`{}`, profile `{}`\n\n", manifest.experiment, manifest.profile));
    for (name, content) in question(manifest) {
        text.push_str(&format!("**{name}** {}\n\n", markdown_text(&content)));
    }
    text.push_str("## Figures\n\n");
    text.push_str(&format!("{}\n", reading(manifest, table)));
    for set in table.sets() {
        text.push_str(&format!("\n### {}\n\n", set_heading(table, set)));
        let (heading, rows) = table.text(set);
        text.push_str(&markdown(&heading, &rows, 1));
    }
    if let Some((heading, rows)) = differences(table, manifest) {
        text.push_str(&format!(
            "\n## Differences\n\n{}\n\n{}",
            differences_note(manifest, table),
            markdown(&heading, &rows, 3)
        ));
    }
    if let Some(judge) = judge(manifest) {
        text.push_str(&format!("\n## Judge\n\n{}\n", markdown_text(&judge)));
    }
    text.push_str("\n## Pictures\n\n");
    for (model, seed, file) in &pictures.grids {
        let caption = grid_caption(model, *seed);
        text.push_str(&format!("{}\n\n![{}]({})\n\n", markdown_text(&caption), markdown_text(model), link(file)));
    }
    for (caption, file) in pictures.sheets.iter().chain(&pictures.mouths).chain(&pictures.readings) {
        let caption = markdown_text(caption);
        text.push_str(&format!("{caption}\n\n![{caption}]({})\n\n", link(file)));
    }
    for (caption, file) in &pictures.curves {
        text.push_str(&format!("![{}]({})\n\n", markdown_text(caption), link(file)));
    }
    text.push_str("## Models\n\n");
    let (heading, rows) = models(manifest);
    text.push_str(&markdown(&heading, &rows, 1));
    for (model, sentences) in model_notes(manifest) {
        text.push_str(&format!("\n**{}**: {}\n", markdown_text(&model), markdown_text(&sentences.join(" "))));
    }
    let differs = differs_from_paper(manifest);
    if !differs.is_empty() {
        text.push_str("\n## What differs from the `paper` profile\n\n");
        for (model, sentence) in differs {
            text.push_str(&format!("- {}: {}\n", markdown_text(&model), markdown_text(&sentence)));
        }
    }
    if !manifest.notes.is_empty() {
        text.push_str("\n## Notes\n\n");
        for note in &manifest.notes {
            text.push_str(&format!("- {}\n", markdown_text(note)));
        }
    }
    text.push_str("\n## How it was made\n\n| | |\n| --- | --- |\n");
    for (name, content, is_code) in facts(manifest) {
        let content = if is_code { code(&content) } else { markdown_text(&content) };
        text.push_str(&format!("| {name} | {content} |\n"));
    }
    text
}

/// Text set as code, where nothing but a bar has a meaning in a table.
fn code(text: &str) -> String {
    format!("`{}`", text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|"))
}

/// Question, expectation and data.
pub fn question(manifest: &Manifest) -> [(&'static str, String); 3] {
    [
        ("Question.", manifest.question.clone()),
        ("Expected, written before running.", manifest.expected.clone()),
        ("Data.", manifest.dataset.clone()),
    ]
}

/// How the figures are to be read.
pub fn reading(manifest: &Manifest, table: &Table) -> String {
    let n = manifest.seeds.len();
    let over = match n {
        1 => "One seed, so the figures have no interval.".to_owned(),
        _ => format!("± is half of the 95 % t-interval over {n} seeds."),
    };
    if are_classifiers(table) {
        return format!(
            "Each figure is the share of the real images of a set of which a factor is read right, then the mean over \
             seeds. {over} No arm was trained on any of these images. A factor has no figure where its levels mean nothing: a \
             person who is in no set cannot be named."
        );
    }
    let mouths = match table.cells().iter().any(|cell| cell.metric == MOUTH_READ) {
        true => {
            " The mouth of a generated face is read by comparing it with drawn mouths of that person and expression; \
             where none of them looks like it, it counts as not read and has no opening and no asymmetry."
        }
        false => "",
    };
    format!(
        "Each figure is the mean over the images of a set, then over seeds. {over} Generated images are clamped to [0, 1]; \
         PSNR has peak 1 over all channels. Baselines involve no learning of how factors combine; the nearest training \
         image is an oracle, because it is chosen by looking at the truth. `truth` is the judge's reading of the true images.{mouths}"
    )
}

/// Whether the arms are classifiers.
fn are_classifiers(table: &Table) -> bool {
    table.cells().iter().any(|cell| cell.metric.starts_with(ACCURACY))
}

/// A set with its number of images.
pub fn set_heading(table: &Table, set: &str) -> String {
    match table.n_images(set) {
        1 => format!("{set} (1 image)"),
        n => format!("{set} ({} images)", thousands(n as u64)),
    }
}

/// Differences of every later model to the first, and of every model's PSNR to the best baseline; none if there are none.
pub fn differences(table: &Table, manifest: &Manifest) -> Option<TextTable> {
    let models: Vec<&str> = manifest.models.iter().map(|model| model.name.as_str()).collect();
    let mut rows = Vec::new();
    for set in table.sets() {
        for &model in &models {
            let (Some(cell), Some(baseline)) = (table.cell(set, model, "psnr_db"), table.best_baseline(set, "psnr_db"))
            else {
                continue;
            };
            let mut difference = cell.estimate;
            difference.mean -= baseline.estimate.mean;
            rows.push(vec![
                set.to_owned(),
                metric_heading("psnr_db"),
                format!("{model} − best baseline ({})", baseline.model.trim_start_matches(crate::labels::BASELINE)),
                figure_with_interval(model, "psnr_db", &difference),
            ]);
        }
        let Some((reference, others)) = models.split_first() else { continue };
        for metric in table.metrics(set) {
            for model in others {
                let Some(difference) = table.difference(set, metric, model, reference) else { continue };
                rows.push(vec![
                    set.to_owned(),
                    metric_heading(metric),
                    format!("{model} − {reference}"),
                    figure_with_interval(model, metric, &difference),
                ]);
            }
        }
    }
    let heading = ["set", "measure", "difference", "figure"].map(str::to_owned).to_vec();
    (!rows.is_empty()).then_some((heading, rows))
}

/// How the differences are to be read.
pub fn differences_note(manifest: &Manifest, table: &Table) -> String {
    if are_classifiers(table) {
        return "Differences of every later arm to the first, paired by seed.".to_owned();
    }
    let several = if manifest.models.len() > 1 { " Differences between models are paired by seed." } else { "" };
    format!(
        "The best baseline is the one with the highest PSNR of the set; baselines depend on the seed only where it draws what \
         is held out.{several}"
    )
}

/// What the judge is, and how well it reads real images.
pub fn judge(manifest: &Manifest) -> Option<String> {
    let judge = manifest.judge.as_ref()?;
    let accuracy: Vec<String> =
        judge.accuracy.iter().map(|(factor, accuracy)| format!("{factor} {}", figure("judge_", *accuracy))).collect();
    Some(format!(
        "{} Its accuracy on {} images that it was not trained on: {}.",
        judge.description,
        thousands(judge.n_images),
        accuracy.join(", ")
    ))
}

/// The caption of an image grid.
pub fn grid_caption(model: &str, seed: u64) -> String {
    format!(
        "{model}, seed {seed}: truth, generated, difference (×{}), and the training image nearest to the generated one.",
        crate::figures::grid::AMPLIFICATION
    )
}

/// The caption of a sheet.
pub fn sheet_caption(model: &str, seed: u64, sheet: &Sheet) -> String {
    format!("{model}, seed {seed}: {}", sheet.title)
}

/// The models with their size and cost.
pub fn models(manifest: &Manifest) -> TextTable {
    let heading = ["", "parameters", "steps", "batch", "training time per run", "images/s"];
    let rows = manifest.models.iter().map(|model| {
        vec![
            model.name.clone(),
            thousands(model.n_parameters),
            thousands(model.steps),
            thousands(model.batch),
            duration(model.training_seconds),
            thousands(model.images_per_s.max(0.0).round() as u64),
        ]
    });
    (heading.map(str::to_owned).to_vec(), rows.collect())
}

/// What each model is, and what must be known about it.
pub fn model_notes(manifest: &Manifest) -> Vec<(String, Vec<String>)> {
    let sentences = |model: &multigen_measure::ModelRecord| {
        std::iter::once(model.description.clone()).chain(model.network_note.clone()).collect()
    };
    manifest.models.iter().map(|model| (model.name.clone(), sentences(model))).collect()
}

/// What differs from the `paper` profile; what holds for all models stands once.
pub fn differs_from_paper(manifest: &Manifest) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for model in &manifest.models {
        for sentence in &model.differs_from_paper {
            if all.iter().any(|(_, seen)| seen == sentence) {
                continue;
            }
            let sharing: Vec<&str> = manifest
                .models
                .iter()
                .filter(|other| other.differs_from_paper.contains(sentence))
                .map(|other| other.name.as_str())
                .collect();
            let who = if sharing.len() == manifest.models.len() && sharing.len() > 1 {
                "all models".to_owned()
            } else {
                sharing.join(", ")
            };
            all.push((who, sentence.clone()));
        }
    }
    all
}

/// Name, content, and whether the content is to be set as code.
pub fn facts(manifest: &Manifest) -> Vec<(String, String, bool)> {
    let fact = |name: &str, content: String, is_code: bool| (name.to_owned(), content, is_code);
    let seeds: Vec<String> = manifest.seeds.iter().map(u64::to_string).collect();
    let machine = &manifest.machine;
    let mut facts = vec![
        fact("command", manifest.command.clone(), true),
        fact("profile, device", format!("{}, {}", manifest.profile, manifest.device), false),
        fact("seeds", seeds.join(", "), false),
        fact("config hash", manifest.config_hash.clone(), true),
        fact(
            "measured by commit",
            manifest.commit.as_ref().map_or("none (not in a repository)".to_owned(), ToString::to_string),
            false,
        ),
        fact("started", manifest.started.clone(), false),
        fact("duration of this call, without what was trained before", duration(manifest.duration_s), false),
        fact(
            "machine",
            format!("{}, {} cores, {} threads, {}", machine.cpu, machine.cores, machine.threads, machine.os),
            false,
        ),
    ];
    for (run, hash) in &manifest.run_hashes {
        facts.push((format!("run {run}"), hash.clone(), true));
        if let Some(commits) = manifest.run_commits.get(run) {
            let commits: Vec<String> = commits.iter().map(ToString::to_string).collect();
            facts.push((format!("run {run}, trained by commit"), commits.join(", then "), false));
        }
    }
    if let Some(commit) = manifest.judge.as_ref().and_then(|judge| judge.commit.as_ref()) {
        facts.push(("judge, trained by commit".to_owned(), commit.to_string(), false));
    }
    facts
}

/// A file name as a link target: what has a meaning in links or Markdown is percent-encoded.
pub fn link(file: &str) -> String {
    let mut encoded = String::new();
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_survive_odd_names() {
        assert_eq!(link("grid-operator-affine.png"), "grid-operator-affine.png");
        assert_eq!(link("grid-a b(é).png"), "grid-a%20b%28%C3%A9%29.png");
    }
}
