//! Where a result came from: the commit that was checked out, and the libraries' versions.

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

/// The version of a library that the checkout at `root` is built with; none where its Cargo.lock does not tell.
pub fn locked_version(root: &Path, library: &str) -> Option<String> {
    let lock: toml::Table = std::fs::read_to_string(root.join("Cargo.lock")).ok()?.parse().ok()?;
    let packages = lock.get("package")?.as_array()?;
    let package =
        packages.iter().find(|package| package.get("name").and_then(|name| name.as_str()) == Some(library))?;
    Some(package.get("version")?.as_str()?.to_owned())
}
