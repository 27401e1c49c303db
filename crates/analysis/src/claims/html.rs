//! `claims.html`: one static page; no script, no network, links relative to the page.

use super::JudgedClaim;
use super::text::{CHECKS, HEADING, RULE, by_verdict, cells, made_by, missing, summary_of, tally};
use super::verdict::{Judged, Verdict};
use crate::figures::sweep::CAPTION as SWEEP_CAPTION;
use crate::index_page::{STYLE, escape};

const OWN_STYLE: &str = include_str!("claims.css");

/// The page; `sweep` is the figure of the sweep, where there is one.
pub fn page(all: &[JudgedClaim], sweep: Option<&str>) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Claims</title>\n\
         <style>\n{STYLE}{OWN_STYLE}</style>\n</head>\n<body>\n<nav><strong>Claims</strong>"
    );
    for judged in all {
        page.push_str(&format!("<a href=\"#claim-{0}\">{0}</a>", judged.claim.number));
    }
    page.push_str("<a href=\"index.html\">all results</a></nav>\n<main>\n<h1>Claims</h1>\n");
    page.push_str("<p>What the research says or hopes, and what is measured of it.</p>\n");
    page.push_str(&format!("<section>\n<h2>At a glance</h2>\n<p>{}</p>\n", escape(&tally(all))));
    page.push_str("<div class=\"scroll\"><table class=\"claims\"><tbody>\n");
    for judged in all {
        page.push_str(&format!(
            "<tr><td><a href=\"#claim-{0}\">{0}</a></td><td class=\"text\">{1}</td><td class=\"text\">{2}</td></tr>\n",
            judged.claim.number,
            escape(judged.claim.text),
            chips(&judged.cases)
        ));
    }
    page.push_str("</tbody></table></div>\n<details>\n<summary>How verdicts come about</summary>\n<ul>\n");
    for sentence in RULE {
        page.push_str(&format!("<li>{}</li>\n", escape(sentence)));
    }
    page.push_str("</ul>\n</details>\n</section>\n");
    for judged in all {
        page.push_str(&claim(judged, sweep.filter(|_| judged.claim.number == "10")));
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn claim(judged: &JudgedClaim, figure: Option<&str>) -> String {
    let claim = &judged.claim;
    let mut html = format!(
        "<section id=\"claim-{0}\">\n<h2>{0}. {1}</h2>\n<p class=\"faint\">Measured by: {2}. Supported when, over at least 5 \
         seeds, the 95 % interval lies there: {3}.</p>\n<p>{4}</p>\n",
        claim.number,
        escape(claim.text),
        escape(claim.measured_by),
        escape(claim.supported_when),
        chips(&judged.cases),
    );
    let mut subject = None;
    for case in &judged.cases {
        if subject != Some(case.subject) {
            if subject.is_some() {
                html.push_str("</tbody></table></div>\n");
            }
            subject = Some(case.subject);
            html.push_str(&format!(
                "<h3>On {}</h3>\n<div class=\"scroll\"><table class=\"findings\">\n<thead><tr>",
                case.subject.name()
            ));
            HEADING.iter().for_each(|name| html.push_str(&format!("<th>{name}</th>")));
            html.push_str("</tr></thead>\n<tbody>\n");
        }
        html.push_str(&rows(case));
    }
    if subject.is_some() {
        html.push_str("</tbody></table></div>\n");
    }
    if let Some(figure) = figure {
        let caption = escape(SWEEP_CAPTION);
        html.push_str(&format!(
            "<figure>\n<figcaption>{caption}</figcaption>\n<a href=\"{figure}\"><img src=\"{figure}\" alt=\"{caption}\"></a>\n\
             </figure>\n"
        ));
    }
    let missing = missing(&judged.cases);
    if !missing.is_empty() {
        html.push_str("<h3>Missing</h3>\n<ul>\n");
        for (command, reasons) in missing {
            let (command, reasons) = (escape(command), escape(&reasons.join("; ")));
            html.push_str(&format!("<li><code>{command}</code> <span class=\"faint\">({reasons})</span></li>\n"));
        }
        html.push_str("</ul>\n");
    }
    if !claim.checks.is_empty() {
        html.push_str(&format!("<details>\n<summary>{CHECKS}</summary>\n<ul>\n"));
        for check in claim.checks {
            html.push_str(&format!("<li>{} <code>{}</code></li>\n", escape(check.that), check.test));
        }
        html.push_str("</ul>\n</details>\n");
    }
    let made = made_by(&judged.cases);
    if !made.is_empty() {
        html.push_str("<details>\n<summary>Made by</summary>\n<ul>\n");
        for (folder, command) in made {
            html.push_str(&format!("<li>{}: <code>{}</code></li>\n", escape(folder), escape(command)));
        }
        html.push_str("</ul>\n</details>\n");
    }
    html.push_str("</section>\n");
    html
}

fn rows(case: &Judged) -> String {
    let mut html = String::new();
    for (place, finding) in case.findings.iter().enumerate() {
        let cells = cells(finding);
        let folder = escape(&finding.folder);
        let experiment = match finding.made_by {
            Some(_) => format!("<a href=\"{}\">{folder}</a>", summary_of(&finding.folder)),
            None => folder,
        };
        let first = if place == 0 { escape(case.arm) } else { String::new() };
        let row = [
            first,
            escape(&cells.what),
            experiment,
            escape(&cells.sample),
            cells.seeds,
            cells.effect,
            cells.interval,
            escape(&finding.null),
            format!("<span class=\"{}\">{}</span>", class(&finding.verdict), escape(&finding.verdict.text())),
        ];
        html.push_str(if place == 0 { "<tr class=\"first\">" } else { "<tr>" });
        row.iter().for_each(|cell| html.push_str(&format!("<td>{cell}</td>")));
        html.push_str("</tr>\n");
    }
    html
}

/// Per subject what its cases come to.
fn chips(cases: &[Judged]) -> String {
    let mut lines = Vec::new();
    for (subject, groups) in by_verdict(cases) {
        let mut line = format!("<span class=\"faint\">{}:</span>", subject.name());
        for group in groups {
            line.push_str(&format!(
                " <span class=\"chip {}\">{} {}</span>",
                class(group.verdict),
                escape(&group.arms.join(", ")),
                escape(&group.verdict.text())
            ));
        }
        lines.push(line);
    }
    lines.join("<br>")
}

fn class(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Supported => "yes",
        Verdict::NotSupported => "no",
        Verdict::Inconclusive => "open",
        Verdict::None(_) => "none",
        Verdict::Beside(_) => "faint",
    }
}
