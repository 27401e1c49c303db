//! Files that are either the old ones or the new ones, never half of each.
//!
//! The content goes to a temporary name (`*.tmp`) in the same folder, is synced to the disk, then renamed over the
//! target: a stop at any moment, a crash or a full disk leaves the earlier file untouched.

use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes `bytes` to `path` atomically; the folder must exist.
///
/// # Errors
/// A full disk, a missing or read-only folder, a folder in the place of the file.
pub fn atomic_write(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic_write_with(path, |writer| writer.write_all(bytes))
}

/// Writes what `fill` produces to `path` atomically; the folder must exist.
///
/// # Errors
/// As [`atomic_write`], and any error of `fill`.
pub fn atomic_write_with(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    replace(path, |file| fill_and_sync(file.as_file_mut(), fill))
}

/// Has `fill` write a whole file to the temporary path that it is given, then syncs and renames it: for writers that
/// take a path, and for files too large to lie in memory a second time.
///
/// # Errors
/// As [`atomic_write`], and any error of `fill`.
pub fn atomic_write_path(path: &Path, fill: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    replace(path, |file| {
        let permissions = file.as_file().metadata()?.permissions();
        fill(file.path())?;
        let written = std::fs::File::open(file.path())?;
        // A writer may have put a file of its own, with other permissions, in the place of the temporary one.
        written.set_permissions(permissions)?;
        written.sync_all()
    })
}

fn replace(path: &Path, fill: impl FnOnce(&mut tempfile::NamedTempFile) -> std::io::Result<()>) -> Result<()> {
    let failed = |source: std::io::Error| Error::writing(path, &source);
    // Renaming a file over a folder fails with a message that differs between systems, after all the work: look first.
    if path.is_dir() {
        return Err(Error::Write { path: path.to_path_buf(), detail: "a folder has this name".to_owned() });
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file_name = path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy());
    let mut builder = tempfile::Builder::new();
    let prefix = format!(".{file_name}.");
    builder.prefix(&prefix).suffix(".tmp");
    // Temporary files are private by default; results are for everybody whom the user's umask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(|source| {
        // The error of `tempfile` names its own random path; the user wants to read the name of the target.
        Error::writing(path, &std::io::Error::from(source.kind()))
    })?;
    fill(&mut file).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

fn fill_and_sync(
    file: &mut std::fs::File,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut writer = BufWriter::new(&mut *file);
    fill(&mut writer)?;
    writer.flush()?;
    drop(writer);
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_arrives_and_no_temporary_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        atomic_write(&path, b"one").unwrap();
        atomic_write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failing_writer_leaves_the_earlier_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        atomic_write(&path, b"earlier").unwrap();
        let full = |writer: &mut dyn Write| {
            writer.write_all(b"half")?;
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        };
        let error = atomic_write_with(&path, full).unwrap_err();
        assert!(matches!(error, Error::NoRoom { .. }));
        assert!(error.to_string().contains("a.csv: no room to write it"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"earlier");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_in_the_place_of_the_file_and_a_missing_folder_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = atomic_write(folder.path(), b"x").unwrap_err().to_string();
        assert!(error.contains("a folder has this name") && !error.contains('\n'), "{error}");
        let error = atomic_write(&folder.path().join("missing/a.csv"), b"x").unwrap_err().to_string();
        assert!(error.contains("missing/a.csv: cannot be written"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_without_room_reads_as_a_full_disk() {
        // Every write to /dev/full fails as on a full disk; the buffer must not hide it.
        let mut file = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let source = fill_and_sync(&mut file, |writer| writer.write_all(b"some bytes")).unwrap_err();
        assert!(matches!(Error::writing(Path::new("metrics.csv"), &source), Error::NoRoom { .. }), "{source}");
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (path, plain) = (folder.path().join("a"), folder.path().join("b"));
        atomic_write(&path, b"x").unwrap();
        std::fs::write(&plain, b"x").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&plain));
    }
}
