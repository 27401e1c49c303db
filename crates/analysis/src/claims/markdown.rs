//! `claims.md`.

use super::JudgedClaim;
use super::text::{CHECKS, HEADING, RULE, cells, made_by, missing, one_line, summary_of, tally};
use crate::figures::sweep::CAPTION as SWEEP_CAPTION;
use crate::tables::{markdown, markdown_text};

/// The page; `sweep` is the figure of the sweep, where there is one.
pub fn page(all: &[JudgedClaim], sweep: Option<&str>) -> String {
    let mut page = "# Claims\n\nWhat the research says or hopes, and what is measured of it.\n\n".to_owned();
    for sentence in RULE {
        page.push_str(&format!("- {sentence}\n"));
    }
    page.push_str(&format!("\n{}\n\n", tally(all)));
    let heading = ["claim", "", "verdict"].map(str::to_owned);
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|judged| vec![judged.claim.number.to_owned(), judged.claim.text.to_owned(), one_line(judged)])
        .collect();
    page.push_str(&markdown(&heading, &rows, 3));
    for judged in all {
        page.push_str(&claim(judged));
        if let (Some(figure), "10") = (sweep, judged.claim.number) {
            page.push_str(&format!("\n![The held-out share grows]({figure})\n\n{SWEEP_CAPTION}\n"));
        }
    }
    page
}

fn claim(judged: &JudgedClaim) -> String {
    let claim = &judged.claim;
    let mut text = format!(
        "\n## {}. {}\n\nMeasured by: {}. Supported when, over at least 5 seeds, the 95 % interval lies there: {}.\n\n**{}**\n",
        claim.number,
        markdown_text(claim.text),
        markdown_text(claim.measured_by),
        markdown_text(claim.supported_when),
        markdown_text(&one_line(judged)),
    );
    let mut subject = None;
    for case in &judged.cases {
        if subject != Some(case.subject) {
            subject = Some(case.subject);
            text.push_str(&format!("\n### On {}\n\n", case.subject.name()));
            text.push_str(&markdown(&HEADING.map(str::to_owned), &[], HEADING.len()));
        }
        for finding in &case.findings {
            let cells = cells(finding);
            let experiment = match finding.made_by {
                Some(_) => format!("[{}]({})", finding.folder, summary_of(&finding.folder)),
                None => finding.folder.clone(),
            };
            let row = [
                markdown_text(case.arm),
                markdown_text(&cells.what),
                experiment,
                markdown_text(&cells.sample),
                cells.seeds,
                cells.effect,
                cells.interval,
                markdown_text(&finding.null),
                markdown_text(&finding.verdict.text()),
            ];
            text.push_str(&format!("| {} |\n", row.join(" | ")));
        }
    }
    let made = made_by(&judged.cases);
    if !made.is_empty() {
        text.push_str("\nMade by:\n\n");
        for (folder, command) in made {
            text.push_str(&format!("- {folder}: `{command}`\n"));
        }
    }
    if !claim.checks.is_empty() {
        text.push_str(&format!("\n{CHECKS}\n\n"));
        for check in claim.checks {
            text.push_str(&format!("- {} (test `{}`)\n", markdown_text(check.that), check.test));
        }
    }
    let missing = missing(&judged.cases);
    if !missing.is_empty() {
        text.push_str("\nMissing:\n\n");
        for (command, reasons) in missing {
            text.push_str(&format!("- `{command}` ({})\n", markdown_text(&reasons.join("; "))));
        }
    }
    text
}
