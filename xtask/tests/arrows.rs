//! The crates' dependencies are the arrows of ARCHITECTURE.md, one way only, and what knows no network knows no candle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::Table;

/// Every package of the workspace with the packages of the workspace that it may use.
const ARROWS: [(&str, &[&str]); 7] = [
    ("multigen-ops", &[]),
    ("multigen-data", &[]),
    ("multigen-measure", &[]),
    ("multigen-models", &["multigen-ops"]),
    ("multigen-training", &["multigen-models", "multigen-ops", "multigen-data", "multigen-measure"]),
    ("multigen-analysis", &["multigen-measure"]),
    (
        "xtask",
        &[
            "multigen-ops",
            "multigen-data",
            "multigen-measure",
            "multigen-models",
            "multigen-training",
            "multigen-analysis",
        ],
    ),
];

/// Packages that know no network.
const WITHOUT_CANDLE: [&str; 3] = ["multigen-data", "multigen-measure", "multigen-analysis"];

/// The names of all packages that a manifest depends on, of every kind and for every target.
fn dependencies(manifest: &Table) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (key, value) in manifest {
        let Some(table) = value.as_table() else { continue };
        match key.as_str() {
            "dependencies" | "dev-dependencies" | "build-dependencies" => {
                for (name, dependency) in table {
                    // A renamed dependency is what its `package` says.
                    let package =
                        dependency.as_table().and_then(|table| table.get("package")).and_then(|name| name.as_str());
                    names.insert(package.unwrap_or(name).to_owned());
                }
            }
            "target" => names.extend(table.values().filter_map(|target| target.as_table()).flat_map(dependencies)),
            _ => {}
        }
    }
    names
}

/// What a package depends on and must not.
fn forbidden(package: &str, manifest: &Table) -> Vec<String> {
    let allowed = ARROWS.iter().find(|(name, _)| *name == package).map_or(&[][..], |(_, allowed)| allowed);
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    dependencies(manifest)
        .into_iter()
        .filter(|name| {
            let against_the_arrows = ours.contains(name.as_str()) && !allowed.contains(&name.as_str());
            against_the_arrows || (name.starts_with("candle-") && WITHOUT_CANDLE.contains(&package))
        })
        .collect()
}

fn manifests() -> BTreeMap<String, Table> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<_> =
        std::fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.push(root.join("xtask"));
    folders
        .iter()
        .map(|folder| {
            let manifest: Table = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
            (manifest["package"]["name"].as_str().unwrap().to_owned(), manifest)
        })
        .collect()
}

#[test]
fn every_package_keeps_to_the_arrows() {
    let manifests = manifests();
    let named: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        manifests.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        named,
        "every package has its arrows here"
    );
    for (package, manifest) in &manifests {
        assert_eq!(forbidden(package, manifest), Vec::<String>::new(), "{package} depends against the arrows");
    }
}

#[test]
fn every_arrow_is_used() {
    let manifests = manifests();
    for (package, allowed) in ARROWS {
        let used = dependencies(&manifests[package]);
        for arrow in allowed {
            assert!(used.contains(*arrow), "{package} → {arrow} is an arrow that nothing uses: take it out");
        }
    }
}

#[test]
fn a_dependency_against_the_arrows_is_found_wherever_it_stands() {
    for text in [
        "[dependencies]\nmultigen-training.workspace = true",
        "[dev-dependencies]\nmultigen-training = { path = \"../training\" }",
        "[build-dependencies]\nours = { package = \"multigen-training\", path = \"../training\" }",
        "[target.'cfg(unix)'.dependencies]\nmultigen-training.workspace = true",
    ] {
        let manifest: Table = text.parse().unwrap();
        assert_eq!(forbidden("multigen-models", &manifest), ["multigen-training"], "{text}");
        assert_eq!(forbidden("xtask", &manifest), Vec::<String>::new(), "{text}");
    }
    let candle: Table = "[dependencies]\ncandle-nn.workspace = true".parse().unwrap();
    assert_eq!(forbidden("multigen-data", &candle), ["candle-nn"]);
    assert_eq!(forbidden("multigen-models", &candle), Vec::<String>::new());
}
