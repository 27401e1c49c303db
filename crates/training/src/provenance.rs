//! Where a result came from: the commit that was checked out.

use std::path::Path;
use std::process::Command;

use multigen_measure::Commit;

/// The commit of the checkout at `root`, and whether tracked source differs from it; none without git.
///
/// Files under results/ do not count: they are what a run writes.
pub fn commit(root: &Path) -> Option<Commit> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let hash = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)results"])?;
    Some(Commit { hash, dirty: !changes.is_empty() })
}
