//! Drawn pictures on disk.
//!
//! A file is 8 bytes `MGFACES1`, the pictures' bytes one after the other (N × 3 × size × size, 255 being white, without
//! noise or transform), and the 32 bytes of their SHA-256. Its name holds the version of the drawing and a hash of the
//! persons, expressions, sessions and the size, so that another drawing never meets an old file.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{DRAWING_VERSION, Photo};
use crate::Result;
use crate::sets::sealed::{self, Magic};

const MAGIC: &Magic = b"MGFACES1";

/// The file of these pictures.
pub(super) fn path(folder: &Path, photos: &[Photo], size: usize) -> PathBuf {
    let mut hasher = Sha256::new();
    hasher.update((size as u64).to_le_bytes());
    for photo in photos {
        hasher.update(photo.person.to_le_bytes());
        hasher.update(photo.expression.name().as_bytes());
        hasher.update(photo.session.to_le_bytes());
    }
    folder.join(format!("faces-{DRAWING_VERSION}-{size}px-{}.bin", hex(&hasher.finalize()[..8])))
}

/// The pictures in a file; nothing if there is no file, or none that holds `n_bytes` of pictures undamaged.
///
/// # Errors
/// The file exists and cannot be read.
pub(super) fn read(path: &Path, n_bytes: usize) -> Result<Option<Vec<u8>>> {
    Ok(sealed::read(path, MAGIC, "read the drawn faces")?.filter(|pictures| pictures.len() == n_bytes))
}

/// Writes pictures to a file.
///
/// # Errors
/// The folder or the file cannot be written.
pub(super) fn write(path: &Path, pictures: &[u8]) -> Result<()> {
    sealed::write(path, MAGIC, &[pictures], "write the drawn faces")
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use crate::sets::faces::{Expression, FacesConfig, build, build_cached};

    fn config() -> FacesConfig {
        FacesConfig { persons: vec![3, 4], expressions: vec![Expression::Sad], size: 24, ..FacesConfig::default() }
    }

    #[test]
    fn what_is_read_is_what_was_drawn_and_damage_is_drawn_anew() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("cache");
        let drawn = build(&config()).unwrap();
        assert_eq!(build_cached(&config(), &own).unwrap(), drawn);
        let files = || std::fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let [file] = files().try_into().unwrap();
        let good = std::fs::read(&file).unwrap();
        assert_eq!(build_cached(&config(), &own).unwrap(), drawn);
        for damage in [0, 20, good.len() - 1] {
            let mut bad = good.clone();
            bad[damage] ^= 1;
            std::fs::write(&file, &bad).unwrap();
            assert_eq!(build_cached(&config(), &own).unwrap(), drawn);
            assert_eq!(std::fs::read(&file).unwrap(), good);
        }
        std::fs::write(&file, &good[..40]).unwrap();
        assert_eq!(build_cached(&config(), &own).unwrap(), drawn);
        // Noise and transforms are made of the same file; another size has another.
        build_cached(&FacesConfig { noise: false, transforms: 4, ..config() }, &own).unwrap();
        assert_eq!(files().len(), 1);
        build_cached(&FacesConfig { size: 25, ..config() }, &own).unwrap();
        assert_eq!(files().len(), 2);
    }

    #[test]
    fn a_file_in_the_way_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("file");
        std::fs::write(&blocked, "").unwrap();
        let message = build_cached(&config(), &blocked.join("cache")).unwrap_err().to_string();
        assert!(message.contains("drawn faces") && !message.contains('\n'), "{message}");
    }
}
