//! `results/index.html`: one static page with every experiment; no script, no network, links relative to the page.

use multigen_measure::{ACCURACY, Manifest};

use crate::figures::sweep::CAPTION as SWEEP_CAPTION;
use crate::labels::{BASELINE, figure, figure_with_interval, is_trained};
use crate::summary::{
    Pictures, TextTable, differences, differences_note, differs_from_paper, facts, grid_caption, judge, link,
    model_notes, models, question, reading, set_heading,
};
use crate::tables::Table;

pub(crate) const STYLE: &str = include_str!("index_page.css");

/// What the page shows of one experiment.
#[derive(Debug, Clone)]
pub struct Section {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its table.
    pub table: Table,
    /// Its pictures, as file names in its folder.
    pub pictures: Pictures,
}

/// What stands above the experiments, where it was made: files beside the page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Above {
    /// The page of the claims.
    pub claims: Option<String>,
    /// The figure of the sweep.
    pub sweep: Option<String>,
}

/// The page of all experiments: by folder name, either what to show or one line on why it cannot be shown.
pub fn index_page(sections: &[(String, Result<Section, String>)], above: &Above) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Results</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<nav><strong>Results</strong>"
    );
    if let Some(claims) = &above.claims {
        page.push_str(&format!("<a href=\"{}\"><strong>claims</strong></a>", link(claims)));
    }
    for (name, _) in sections {
        page.push_str(&format!("<a href=\"#{}\">{}</a>", link(name), escape(name)));
    }
    page.push_str("</nav>\n<main>\n<h1>Results</h1>\n");
    if sections.is_empty() {
        page.push_str("<p>There are no experiments here yet. Run one, then make this page again.</p>\n");
    }
    if let Some(claims) = &above.claims {
        page.push_str(&format!(
            "<p><a href=\"{}\">The claims</a>: what the research says or hopes, each with its measured verdict.</p>\n",
            link(claims)
        ));
    }
    page.push_str(&overview(sections));
    if let Some(sweep) = &above.sweep {
        page.push_str(&format!(
            "<section>\n<h2>The held-out share grows</h2>\n<figure>\n<figcaption>{caption}</figcaption>\n<a href=\"{file}\">\
             <img src=\"{file}\" alt=\"{caption}\" loading=\"lazy\"></a>\n</figure>\n</section>\n",
            caption = escape(SWEEP_CAPTION),
            file = link(sweep)
        ));
    }
    for (name, section) in sections {
        match section {
            Ok(section) => page.push_str(&experiment(name, section)),
            Err(reason) => page.push_str(&format!(
                "<section class=\"broken\" id=\"{}\">\n<h2>{}</h2>\n<p>Not shown: {}</p>\n</section>\n",
                escape(name),
                escape(name),
                escape(reason)
            )),
        }
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// One line per experiment, set and trained model: a generator's PSNR beside the best baseline's, a classifier's accuracies.
fn overview(sections: &[(String, Result<Section, String>)]) -> String {
    let (mut generators, mut classifiers) = (String::new(), String::new());
    for (name, section) in sections {
        let Ok(Section { table, manifest, .. }) = section else { continue };
        for set in table.sets() {
            for model in table.models(set).into_iter().filter(|model| is_trained(model)) {
                let row = |figures: &str| {
                    let texts =
                        [escape(set), escape(model)].map(|text| format!("<td class=\"text\">{text}</td>")).concat();
                    let (link, name, profile) = (link(name), escape(name), escape(&manifest.profile));
                    format!(
                        "<tr><td><a href=\"#{link}\">{name}</a></td>{texts}{figures}<td class=\"text\">{profile}</td></tr>\n"
                    )
                };
                if let Some(cell) = table.cell(set, model, "psnr_db") {
                    let baseline = table.best_baseline(set, "psnr_db").map_or_else(
                        || "–".to_owned(),
                        |best| {
                            let short = best.model.trim_start_matches(BASELINE);
                            format!("{} ({short})", figure("psnr_db", best.estimate.mean))
                        },
                    );
                    let psnr = figure_with_interval(model, "psnr_db", &cell.estimate);
                    generators.push_str(&row(&format!("<td>{}</td><td>{}</td>", escape(&psnr), escape(&baseline))));
                    continue;
                }
                let accuracies: Vec<String> = table
                    .metrics(set)
                    .into_iter()
                    .filter_map(|metric| {
                        let factor = metric.strip_prefix(ACCURACY)?;
                        let cell = table.cell(set, model, metric)?;
                        Some(format!("{factor} {}", figure_with_interval(model, metric, &cell.estimate)))
                    })
                    .collect();
                if !accuracies.is_empty() {
                    // As text, so that a long list hides no other.
                    classifiers.push_str(&row(&format!("<td class=\"text\">{}</td>", escape(&accuracies.join(", ")))));
                }
            }
        }
    }
    if generators.is_empty() && classifiers.is_empty() {
        return String::new();
    }
    let table = |title: &str, what: &str, figures: &str, rows: &str| {
        if rows.is_empty() {
            return String::new();
        }
        let texts = "<th class=\"text\">";
        format!(
            "<h3>{title}</h3>\n<p class=\"faint\">{what}, mean over the images of a set, then over seeds; ± is half of the \
             95 % t-interval over seeds.</p>\n<div class=\"scroll\"><table class=\"glance\">\n<thead><tr><th>experiment</th>{texts}set</th>\
             {texts}model</th>{figures}{texts}profile</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
        )
    };
    format!(
        "<section>\n<h2>At a glance</h2>\n{}{}</section>\n",
        table("Generators", "PSNR in dB", "<th>PSNR, dB</th><th>best baseline</th>", &generators),
        table(
            "Classifiers",
            "Share of real images of which a factor is read right",
            "<th class=\"text\">accuracy</th>",
            &classifiers
        )
    )
}

fn experiment(name: &str, section: &Section) -> String {
    let Section { manifest, table, pictures } = section;
    let mut html = format!(
        "<section id=\"{}\">\n<h2>{}</h2>\n<p class=\"faint\"><code>{}</code>, profile <code>{}</code></p>\n",
        escape(name),
        escape(&manifest.title),
        escape(name),
        escape(&manifest.profile)
    );
    for (heading, text) in question(manifest) {
        html.push_str(&format!("<p><strong>{heading}</strong> {}</p>\n", escape(&text)));
    }
    html.push_str("<h3>Figures</h3>\n");
    for set in table.sets() {
        html.push_str(&format!("<h4>{}</h4>\n", escape(&set_heading(table, set))));
        html.push_str(&html_table(&table.text(set), 1));
    }
    html.push_str(&format!(
        "<p class=\"faint\">{}</p>\n",
        escape(&reading(manifest, table)).replace("`truth`", "<em>truth</em>")
    ));
    if let Some(judge) = judge(manifest) {
        html.push_str(&format!("<p><strong>Judge.</strong> {}</p>\n", escape(&judge)));
    }
    if let Some(differences) = differences(table, manifest) {
        html.push_str(&format!(
            "<details>\n<summary>Differences</summary>\n<p class=\"faint\">{}</p>\n{}</details>\n",
            escape(&differences_note(manifest, table)),
            html_table(&differences, 3)
        ));
    }
    if !(pictures.grids.is_empty()
        && pictures.sheets.is_empty()
        && pictures.mouths.is_none()
        && pictures.readings.is_empty())
    {
        html.push_str("<h3>Pictures</h3>\n");
    }
    for (model, seed, file) in &pictures.grids {
        let caption = grid_caption(model, *seed);
        html.push_str(&picture(name, file, &caption));
    }
    for (caption, file) in pictures.sheets.iter().chain(&pictures.mouths).chain(&pictures.readings) {
        html.push_str(&picture(name, file, caption));
    }
    if !pictures.curves.is_empty() {
        html.push_str("<h3>Training</h3>\n<div class=\"curves\">\n");
        for (caption, file) in &pictures.curves {
            html.push_str(&picture(name, file, caption));
        }
        html.push_str("</div>\n");
    }
    html.push_str("<h3>Models</h3>\n");
    html.push_str(&html_table(&models(manifest), 1));
    for (model, sentences) in model_notes(manifest) {
        html.push_str(&format!("<p><strong>{}</strong>: {}</p>\n", escape(&model), escape(&sentences.join(" "))));
    }
    html.push_str(&list(
        "What differs from the paper profile",
        differs_from_paper(manifest).iter().map(|(model, sentence)| format!("{model}: {sentence}")),
    ));
    html.push_str(&list("Notes", manifest.notes.iter().cloned()));
    html.push_str(
        "<details>\n<summary>How it was made</summary>\n<div class=\"scroll\"><table class=\"facts\"><tbody>\n",
    );
    for (fact, content, is_code) in facts(manifest) {
        let content = if is_code { format!("<code>{}</code>", escape(&content)) } else { escape(&content) };
        html.push_str(&format!("<tr><td>{}</td><td>{content}</td></tr>\n", escape(&fact)));
    }
    html.push_str("</tbody></table></div>\n</details>\n</section>\n");
    html
}

fn picture(experiment: &str, file: &str, caption: &str) -> String {
    let source = link(&format!("{experiment}/{file}"));
    let caption = escape(caption);
    format!(
        "<figure>\n<figcaption>{caption}</figcaption>\n<a href=\"{source}\"><img src=\"{source}\" alt=\"{caption}\" \
         loading=\"lazy\"></a>\n</figure>\n"
    )
}

/// A table whose first `n_text` columns are text; rows of trained models stand out.
fn html_table((heading, rows): &TextTable, n_text: usize) -> String {
    let class = |column: usize| if column < n_text { " class=\"text\"" } else { "" };
    let mut html = "<div class=\"scroll\"><table>\n<thead><tr>".to_owned();
    for (column, name) in heading.iter().enumerate() {
        html.push_str(&format!("<th{}>{}</th>", class(column), escape(name)));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        let trained = n_text == 1 && row.first().is_some_and(|model| is_trained(model));
        html.push_str(if trained { "<tr class=\"trained\">" } else { "<tr>" });
        for (column, cell) in row.iter().enumerate() {
            html.push_str(&format!("<td{}>{}</td>", class(column), escape(cell)));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    html
}

fn list(heading: &str, items: impl Iterator<Item = String>) -> String {
    let items: String = items.map(|item| format!("<li>{}</li>\n", escape(&item))).collect();
    if items.is_empty() {
        return items;
    }
    format!("<h3>{heading}</h3>\n<ul>\n{items}</ul>\n")
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
