//! The README's tables against what the experiments and the bench left in results/.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rows of the README's tables of PSNR that link to a report: the folder, and the figures by column.
fn rows(readme: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut heading = Vec::new();
    let mut rows = Vec::new();
    for line in readme.lines().filter(|line| line.starts_with('|')) {
        match line.split_once("](results/").and_then(|(_, rest)| rest.split_once("/summary.md)")) {
            Some((folder, _)) if !heading.is_empty() => {
                let figures = heading.iter().cloned().zip(cells(line)).skip(1);
                rows.push((folder.to_owned(), figures.collect()));
            }
            None if line.starts_with("| PSNR, dB |") => heading = cells(line),
            None if !line.starts_with("|---") => heading.clear(),
            _ => {}
        }
    }
    rows
}

/// PSNR by model of one set in a results folder, or of its only one, as the README writes it: `50.1 ± 0.2`, or `50.1` where one seed gives no interval.
fn figures(folder: &str, wanted: Option<&String>) -> BTreeMap<String, String> {
    let path = root().join("results").join(folder).join("table.csv");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut figures = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [set, model, "psnr_db", _, _, mean, _, low, high] = fields[..] else { continue };
        if wanted.is_some_and(|wanted| wanted != set) {
            continue;
        }
        let mean: f64 = mean.parse().unwrap();
        let interval = low.parse::<f64>().ok().zip(high.parse::<f64>().ok());
        let text = match interval.filter(|_| !model.starts_with("baseline")) {
            Some((low, high)) => format!("{mean:.1} ± {:.1}", (high - low) / 2.0),
            None => format!("{mean:.1}"),
        };
        figures.insert(model.to_owned(), text);
    }
    figures
}

#[test]
fn every_figure_of_the_results_table_is_in_the_results() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let rows = rows(&readme);
    assert!(rows.len() >= 10, "the tables of results have {} rows that link to a report", rows.len());
    for (folder, shown) in rows {
        let found = figures(&folder, shown.get("set"));
        let models = shown.keys().filter_map(|column| column.split('`').nth(1));
        assert_eq!(models.clone().count(), 2, "{folder}: two models are shown");
        for model in models {
            let column = shown.iter().find(|(column, _)| column.contains(&format!("`{model}`")));
            // A dash: this model takes no part.
            let figure = column.map(|(_, figure)| figure).filter(|figure| *figure != "–");
            assert_eq!(figure, found.get(model), "{folder}, {model}");
        }
        let best = found
            .iter()
            .filter(|(model, _)| model.starts_with("baseline"))
            .map(|(_, figure)| figure)
            .max_by(|a, b| a.parse::<f64>().unwrap().total_cmp(&b.parse::<f64>().unwrap()));
        let column = shown.iter().find(|(column, _)| column.contains("baseline"));
        assert_eq!(column.map(|(_, figure)| figure), best, "{folder}, best baseline");
    }
}

/// The tables of the sections on discriminators and classifiers: every figure with an interval is one of the report that was
/// linked last before it.
#[test]
fn every_figure_of_discriminators_and_classifiers_is_in_its_report() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let section = readme.split("## Discriminators").nth(1).and_then(|rest| rest.split("## Claims").next()).unwrap();
    let mut report = String::new();
    let mut n_figures = 0;
    for line in section.lines() {
        if let Some(folder) = line.split("](results/").nth(1).and_then(|rest| rest.split("/summary.md)").next()) {
            report = std::fs::read_to_string(root().join("results").join(folder).join("summary.md")).unwrap();
        }
        for cell in line.split('|').map(str::trim).filter(|cell| line.starts_with('|') && cell.contains('±')) {
            // A report writes a difference with a plain sign and leaves a plus out.
            let figure = cell.replace('−', "-").replace('+', "");
            assert!(report.contains(&format!("| {figure} |")), "{line}: {figure} is not in the report");
            n_figures += 1;
        }
    }
    assert!(n_figures >= 40, "{n_figures} figures");
}

/// Means with half of their interval, as `34.2 ± 0.1`.
fn intervals(text: &str) -> Vec<(&str, &str)> {
    let is_of_number = |c: char| c.is_ascii_digit() || ".-+−e".contains(c);
    let pieces: Vec<&str> = text.split(" ± ").collect();
    let around = pieces.windows(2).map(|pair| {
        let mean = pair[0].rsplit(|c| !is_of_number(c)).next().unwrap_or("");
        (mean, pair[1].split(|c| !is_of_number(c)).next().unwrap_or("").trim_end_matches('.'))
    });
    around.filter(|(mean, half)| !mean.is_empty() && !half.is_empty()).collect()
}

/// Outside of tables: every figure with an interval is one of a report that its paragraph links, rounded.
#[test]
fn every_interval_of_the_prose_is_in_a_report_that_its_paragraph_links() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let plain = |figure: &str| figure.replace('−', "-").parse::<f64>().unwrap();
    let mut n_figures = 0;
    for paragraph in readme.split("\n\n").filter(|paragraph| !paragraph.starts_with('|')) {
        let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        let folders = words.split("](results/").skip(1).filter_map(|rest| rest.split_once("/summary.md)"));
        let reports: Vec<String> = folders
            .map(|(folder, _)| std::fs::read_to_string(root().join("results").join(folder).join("summary.md")).unwrap())
            .collect();
        let found: Vec<(f64, f64)> = reports
            .iter()
            .flat_map(|report| intervals(report))
            .map(|(mean, half)| (plain(mean), plain(half)))
            .collect();
        for (mean, half) in intervals(&words) {
            let rounded = |value: f64, shown: &str| {
                let n_decimals = shown.split_once('.').map_or(0, |(_, decimals)| decimals.len());
                (value - plain(shown)).abs() <= 0.5 * 10f64.powi(-(n_decimals as i32)) + 1e-9
            };
            assert!(
                found.iter().any(|&(a, b)| rounded(a, mean) && rounded(b, half)),
                "{mean} ± {half} is in no report that is linked beside it: {words}"
            );
            n_figures += 1;
        }
    }
    assert!(n_figures >= 5, "{n_figures} figures");
}

/// A network's times as the README writes them: ours, PyTorch's, the ratio with its range, the tuned allocator's ratio.
fn speed_row(record: &serde_json::Value) -> Option<String> {
    let number = |name: &str| record[name].as_f64();
    let ratios = |rival: &str| -> Option<Vec<f64>> {
        let mut ratios: Vec<f64> =
            record[rival]["ratios"].as_array()?.iter().filter_map(|ratio| ratio.as_f64()).collect();
        ratios.sort_by(f64::total_cmp);
        Some(ratios)
    };
    let (stock, tuned) = (ratios("pytorch")?, ratios("pytorch_tuned"));
    let middle = |ratios: &[f64]| (ratios[(ratios.len() - 1) / 2] + ratios[ratios.len() / 2]) / 2.0;
    Some(format!(
        "| {}, {} | {:.0} | {:.0} | {:.2} ({:.2} to {:.2}) | {} |",
        record["net"].as_str()?,
        record["batch"],
        number("ours_ms")?,
        number("pytorch_ms")?,
        middle(&stock),
        stock.first()?,
        stock.last()?,
        tuned.map_or("–".to_owned(), |tuned| format!("{:.2}", middle(&tuned)))
    ))
}

#[test]
fn every_network_that_was_timed_beside_pytorch_stands_in_the_table_of_speed() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let records = std::fs::read_to_string(root().join("results/bench.json")).unwrap();
    let records: Vec<serde_json::Value> = serde_json::from_str(&records).unwrap();
    let rows: Vec<String> = records.iter().filter_map(speed_row).collect();
    assert!(rows.len() >= 4, "{rows:?}");
    for row in rows {
        assert!(readme.contains(&row), "not in README.md: {row}");
    }
}

#[test]
fn every_local_link_of_the_pages_leads_somewhere() {
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "docs/discriminators.md",
        "docs/operator.md",
        "docs/performance.md",
        "datasets/README.md",
        "datasets/custom/README.md",
    ] {
        let path = root().join(page);
        let text = std::fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or(link);
            if !link.contains("://") && !file.is_empty() {
                assert!(path.with_file_name(file).exists(), "{page}: {link}");
            }
        }
    }
}
