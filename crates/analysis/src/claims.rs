//! `claims.md` and `claims.html`: every claim of SPEC §8 with its measured verdict, from what is in results/.
//!
//! | module | what it holds |
//! |---|---|
//! | `claim` | what a claim consists of |
//! | `catalogue` | the claims as data |
//! | `evidence` | the figures of results folders, by seed and image |
//! | `verdict` | the rule, and what the conditions come to |
//! | `text` | the sentences that both pages share |
//! | `markdown`, `html` | the pages |

mod catalogue;
mod claim;
mod evidence;
mod html;
mod markdown;
mod text;
mod verdict;

use std::path::{Path, PathBuf};

use multigen_measure::{ResultsDir, atomic_write};

use self::claim::{Case, Claim, Subject};
use self::evidence::{Evidence, Looked};
use self::verdict::Judged;
use crate::error::Result;
use crate::report::{file_name, write_index, write_sweep};

/// A claim with its cases judged.
#[derive(Debug, Clone, PartialEq)]
struct JudgedClaim {
    claim: Claim,
    cases: Vec<Judged>,
}

/// Writes `claims.md`, `claims.html`, the figure of the sweep where there are results of it, and `index.html`, which links
/// to them.
///
/// # Errors
/// A results folder that a claim rests on is broken (then nothing is written), or a file cannot be written.
pub fn write_claims(results_root: &Path) -> Result<Vec<PathBuf>> {
    let results = ResultsDir::new(results_root);
    results.check_writable()?;
    let judged = judge_all(&results, catalogue::claims())?;
    let mut written = write_sweep(&results)?;
    let sweep = written.first().map(|path| file_name(path));
    let sweep = sweep.as_deref();
    for (path, text) in
        [(results.claims(), markdown::page(&judged, sweep)), (results.claims_page(), html::page(&judged, sweep))]
    {
        atomic_write(&path, text.as_bytes())?;
        written.push(path);
    }
    written.push(write_index(&results)?);
    Ok(written)
}

fn judge_all(results: &ResultsDir, claims: Vec<Claim>) -> Result<Vec<JudgedClaim>> {
    let mut evidence = Evidence::new(results);
    let mut all = Vec::new();
    for claim in claims {
        let mut cases = Vec::new();
        for case in &claim.cases {
            cases.push(verdict::judge(case, &mut evidence)?);
            if let Some(photographs) = of_photographs(case, &mut evidence)? {
                cases.push(verdict::judge(&photographs, &mut evidence)?);
            }
        }
        cases.sort_by_key(|case| case.subject);
        all.push(JudgedClaim { claim, cases });
    }
    Ok(all)
}

/// The same case of photographs, where the user has results of them.
fn of_photographs(case: &Case, evidence: &mut Evidence) -> Result<Option<Case>> {
    if case.subject != Subject::DrawnFaces {
        return Ok(None);
    }
    for condition in &case.conditions {
        if matches!(evidence.of(&format!("{}-photographs", condition.folder))?, Looked::Found(_)) {
            return Ok(Some(Case { subject: Subject::Photographs, ..case.clone() }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
