//! The cropped pictures on disk: `pictures-158.bin` and `pictures-71.bin`.
//!
//! A sealed file (8 bytes `MGPHOTO1`, a body, the body's SHA-256). Body: 32 bytes that name the set, these rules and
//! the table beside the file; the number of pictures, 8 bytes, little-endian; the pictures' bytes one after the other,
//! N × 3 × size × size, 255 being white. The first 32 bytes tie the file to its table: neither an edited table nor one
//! that another version of the program wrote is ever read with the wrong pictures.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{MODEL_SHA256, PhotoSet};
use crate::Result;
use crate::sets::sealed::{self, Magic};

const MAGIC: &Magic = b"MGPHOTO1";

/// Changes with every change of how pictures are looked at, cropped or resized.
const RULES: &str = "1";

/// What the pictures belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// The key of a set's pictures with this table.
    pub fn new(set: PhotoSet, table: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(format!("{} {RULES} {MODEL_SHA256}\n", set.name()));
        hasher.update(table);
        Self(hasher.finalize().into())
    }
}

/// The table of a prepared folder.
pub(super) fn table_path(folder: &Path) -> PathBuf {
    folder.join("table.csv")
}

/// The pictures of this size in a prepared folder.
pub(super) fn path(folder: &Path, size: usize) -> PathBuf {
    folder.join(format!("pictures-{size}.bin"))
}

/// The bytes of `n` pictures in a file; nothing if there is no such file, or it is damaged or belongs to another table.
///
/// # Errors
/// The file exists and cannot be read.
pub(super) fn read(path: &Path, key: Key, size: usize, n: usize) -> Result<Option<Vec<u8>>> {
    let Some(mut body) = sealed::read(path, MAGIC, "read the prepared pictures")? else { return Ok(None) };
    let head = [&key.0[..], &(n as u64).to_le_bytes()].concat();
    if !body.starts_with(&head) || body.len() != head.len() + n * 3 * size * size {
        return Ok(None);
    }
    body.drain(..head.len());
    Ok(Some(body))
}

/// Writes pictures, all of one size.
///
/// # Errors
/// The folder or the file cannot be written.
pub(super) fn write(path: &Path, key: Key, pictures: &[&[u8]]) -> Result<()> {
    let n = (pictures.len() as u64).to_le_bytes();
    let body: Vec<&[u8]> = [&key.0[..], &n].into_iter().chain(pictures.iter().copied()).collect();
    sealed::write(path, MAGIC, &body, "write the prepared pictures")
}
