//! Files that tell whether they are whole: 8 bytes of magic, a body, and the 32 bytes of the body's SHA-256.

use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Says of which kind and version a file is.
pub(super) type Magic = [u8; 8];

const N_HASH: usize = 32;

/// The body of a file; nothing if there is no file, or none that is whole and of this kind.
///
/// # Errors
/// The file exists and cannot be read; `action` says what was attempted.
pub(super) fn read(path: &Path, magic: &Magic, action: &'static str) -> Result<Option<Vec<u8>>> {
    let mut bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, action, error)),
    };
    if bytes.len() < magic.len() + N_HASH || !bytes.starts_with(magic) {
        return Ok(None);
    }
    let hash = bytes.split_off(bytes.len() - N_HASH);
    bytes.drain(..magic.len());
    Ok((Sha256::digest(&bytes).as_slice() == hash).then_some(bytes))
}

/// Writes a body, given in parts, to a file, and makes its folder.
///
/// # Errors
/// The folder or the file cannot be written; `action` says what was attempted.
pub(super) fn write(path: &Path, magic: &Magic, body: &[&[u8]], action: &'static str) -> Result<()> {
    let mut hasher = Sha256::new();
    body.iter().for_each(|part| hasher.update(part));
    let hash = hasher.finalize();
    let parts: Vec<&[u8]> = [&magic[..]].into_iter().chain(body.iter().copied()).chain([&hash[..]]).collect();
    write_plain(path, &parts, action)
}

/// Writes parts one after the other to a file, and makes its folder: to a temporary name first, so that the file is
/// never seen half-written.
///
/// # Errors
/// As [`write`].
pub(super) fn write_plain(path: &Path, parts: &[&[u8]], action: &'static str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, action, error))?;
    }
    // Processes and threads that write the same file must not write into one temporary file.
    let thread = format!("{:?}", std::thread::current().id());
    let digits: String = thread.chars().filter(char::is_ascii_digit).collect();
    let temporary = path.with_extension(format!("{}-{digits}.new", std::process::id()));
    let written = fill(&temporary, parts).and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|error| {
        std::fs::remove_file(&temporary).ok();
        Error::io(path, action, error)
    })
}

fn fill(path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_and_no_other_file_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/file.bin");
        let read = |magic| read(&path, magic, "read it").unwrap();
        assert_eq!(read(b"MAGIC--1"), None);
        write(&path, b"MAGIC--1", &[b"abc", b"", b"de"], "write it").unwrap();
        assert_eq!(read(b"MAGIC--1").as_deref(), Some(&b"abcde"[..]));
        assert_eq!(read(b"MAGIC--2"), None);
        let good = std::fs::read(&path).unwrap();
        assert_eq!(good.len(), 8 + 5 + 32);
        for length in [0, 7, 39, 44] {
            std::fs::write(&path, &good[..length]).unwrap();
            assert_eq!(read(b"MAGIC--1"), None);
        }
        // Nothing temporary stays behind.
        assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_read_or_written_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let message = read(folder.path(), b"MAGIC--1", "read the faces").unwrap_err().to_string();
        assert!(message.contains("cannot read the faces") && !message.contains('\n'), "{message}");
        let message = write(folder.path(), b"MAGIC--1", &[], "write the faces").unwrap_err().to_string();
        assert!(message.contains("cannot write the faces") && !message.contains('\n'), "{message}");
    }
}
