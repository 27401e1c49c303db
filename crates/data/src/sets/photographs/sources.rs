//! The files of the user's folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::PhotoSet;
use super::names::Name;
use super::table::{LeftOut, Row};
use crate::sets::faces::Photo;
use crate::{Error, Result, idx};

const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

/// What lies in the user's folder.
#[derive(Debug)]
pub(super) struct Sources {
    /// One row per picture, in the order of their paths; nothing was looked at yet, but the labels are known and the
    /// files of those that may be used are hashed.
    pub rows: Vec<Row>,
    /// How many other files there are.
    pub n_other_files: usize,
}

/// Walks the folder with its sub-folders, reads the names, and hashes the pictures that may be used.
///
/// # Errors
/// The folder or a file cannot be read, or no picture is named as one of the set.
pub(super) fn find(set: PhotoSet, from: &Path) -> Result<Sources> {
    let mut found = Vec::new();
    walk(from, "", &mut BTreeSet::new(), &mut found)?;
    found.sort();
    let n_files = found.len();
    let mut rows = Vec::new();
    let mut first_of: BTreeMap<Photo, String> = BTreeMap::new();
    for (file, path) in found {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        if extension.is_none_or(|extension| !EXTENSIONS.contains(&extension.as_str())) {
            continue;
        }
        let mut row = Row { file, ..Row::default() };
        match set.parse(&path.file_stem().unwrap_or_default().to_string_lossy()) {
            Name::Photo(photo) => {
                row.label(&photo);
                match first_of.get(&photo) {
                    Some(first) => {
                        row.left_out = Some(LeftOut::Repeated);
                        row.detail = format!("the same labels as {first}");
                    }
                    None => {
                        first_of.insert(photo, row.file.clone());
                        let bytes =
                            std::fs::read(&path).map_err(|source| Error::io(&path, "read the picture", source))?;
                        row.sha256 = idx::hex(&Sha256::digest(&bytes));
                    }
                }
            }
            Name::OtherView(photo) => {
                row.label(&photo);
                row.left_out = Some(LeftOut::OtherView);
            }
            Name::Unknown(reason) => {
                row.left_out = Some(LeftOut::Name);
                row.detail = reason;
            }
        }
        rows.push(row);
    }
    if first_of.is_empty() {
        let example = set.example();
        let found = format!("{} pictures and {} other files", rows.len(), n_files - rows.len());
        let cure = format!("give the folder of the set {} by --from", set.name());
        return Err(Error::content(from, format!("pictures named {example}"), found, cure));
    }
    Ok(Sources { n_other_files: n_files - rows.len(), rows })
}

/// Adds all files below a folder, as (path inside the user's folder, path).
fn walk(
    folder: &Path,
    inside: &str,
    visited: &mut BTreeSet<PathBuf>,
    found: &mut Vec<(String, PathBuf)>,
) -> Result<()> {
    let io = |source| Error::io(folder, "read the folder", source);
    // A link may lead to a folder above.
    if !visited.insert(folder.canonicalize().map_err(io)?) {
        return Ok(());
    }
    let entries: std::io::Result<Vec<_>> = std::fs::read_dir(folder).map_err(io)?.collect();
    let mut entries = entries.map_err(io)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let inside = format!("{inside}{}", name.to_string_lossy());
        if path.is_dir() {
            walk(&path, &format!("{inside}/"), visited, found)?;
        } else {
            found.push((inside, path));
        }
    }
    Ok(())
}
