//! The pictures of a custom set: their sizes, their pixels, and which files the table does not name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use image::RgbImage;
use image::imageops;

use super::labels::Photo;
use super::{Crop, CustomConfig};
use crate::{Error, Result, picture};

/// A folder is searched for what a missing picture may be called instead for at most this many of them.
const MAX_SEARCHES: usize = 20;

/// Does some work for every item on all cores; what comes out lies in the order of the items.
pub(super) fn on_all_cores<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    let queue = Mutex::new(items.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let work_through = || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((place, item)) = next else { return };
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..n_threads {
            scope.spawn(work_through);
        }
        work_through();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Width and height of every picture, or why it has none.
pub(super) fn dimensions(config: &CustomConfig, photos: &[Photo]) -> Vec<Result<(u32, u32)>> {
    let mut n_missing = 0;
    let found = on_all_cores(photos.iter().collect(), |photo: &Photo| match photo.path.is_file() {
        true => picture::dimensions(&photo.path).map(Some),
        false => Ok(None),
    });
    let known = |(photo, found): (&Photo, Result<Option<(u32, u32)>>)| match found {
        Ok(Some(dimensions)) => Ok(dimensions),
        Err(error) => Err(error),
        Ok(None) => {
            n_missing += 1;
            let other = if n_missing <= MAX_SEARCHES { other_name(&photo.path) } else { None };
            let found = other.map_or_else(|| "no such file".to_owned(), |other| format!("no such file but {other}"));
            let expected = format!("the picture {} as {}", photo.name, photo.path.display());
            Err(Error::content(&config.table, expected, found, "correct its name, or take it out of the table"))
        }
    };
    photos.iter().zip(found).map(known).collect()
}

/// A file in the folder that a missing one may be: the same name with other capitals or another ending.
fn other_name(path: &Path) -> Option<String> {
    let wanted = path.file_stem()?.to_string_lossy().to_lowercase();
    let entries = std::fs::read_dir(path.parent()?).ok()?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let alike =
        |name: &String| Path::new(name).file_stem().is_some_and(|stem| stem.to_string_lossy().to_lowercase() == wanted);
    names.filter(alike).min()
}

/// Pixels of a side once a picture is a square; nothing if it is none and must not be cropped.
pub(super) fn side(config: &CustomConfig, (width, height): (u32, u32)) -> Option<u32> {
    (width == height || config.crop == Some(Crop::Centre)).then_some(width.min(height))
}

/// A picture as a square.
///
/// # Errors
/// It cannot be decoded, or is no square and must not be cropped.
pub(super) fn square(config: &CustomConfig, path: &Path) -> Result<RgbImage> {
    let picture = picture::decode(path)?;
    let (width, height) = picture.dimensions();
    if width == height {
        return Ok(picture);
    }
    let Some(side) = side(config, (width, height)) else { return Err(not_square(path, (width, height))) };
    // Where the surplus is odd, the pixel more goes off at the right or at the bottom.
    Ok(imageops::crop_imm(&picture, (width - side) / 2, (height - side) / 2, side, side).to_image())
}

/// Why a picture cannot be used as it is.
pub(super) fn not_square(path: &Path, (width, height): (u32, u32)) -> Error {
    let found = format!("{width}×{height} pixels");
    Error::content(path, "a square picture", found, "crop it, or have the middle taken by `crop = \"centre\"`")
}

/// PNG and JPEG files in a folder and the folders in it that are none of the named ones, in order.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn unnamed(folder: &Path, photos: &[Photo]) -> Result<Vec<PathBuf>> {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let named: BTreeSet<PathBuf> = photos.iter().map(|photo| whole(&photo.path)).collect();
    let mut unnamed = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let io = |source| Error::io(&folder, "read the folder of pictures", source);
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(io)?);
            let is_picture = path
                .extension()
                .is_some_and(|ending| ["png", "jpg", "jpeg"].iter().any(|known| ending.eq_ignore_ascii_case(known)));
            // Links to folders are not followed: they may lead round in circles.
            if kind.is_dir() {
                folders.push(path);
            } else if is_picture && !named.contains(&whole(&path)) {
                unnamed.push(path);
            }
        }
    }
    unnamed.sort();
    Ok(unnamed)
}
