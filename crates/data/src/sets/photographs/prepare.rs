//! From the user's folder to the prepared one: look, crop, resize, on all cores.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use image::imageops;

use super::cache::{self, Key};
use super::detector::{Detector, NotOne, exactly_one};
use super::report::Report;
use super::table::{self, LeftOut, Row};
use super::{FaceModel, PhotoSet, SIZES, crop, sources};
use crate::sets::sealed;
use crate::{Error, Result, picture};

/// What to prepare, from where, to where.
#[derive(Debug, Clone, Copy)]
pub struct Preparation<'a> {
    /// Which set the folder holds.
    pub set: PhotoSet,
    /// The user's folder; it is only read.
    pub from: &'a Path,
    /// The prepared folder.
    pub out: &'a Path,
    /// Prepare anew what is prepared already.
    pub fresh: bool,
}

/// Prepares a set: `table.csv` and the pictures of every size of [`SIZES`] in the prepared folder. Where these are
/// there already and the sources are unchanged, nothing is done. `progress` is told, from any thread, how many of how
/// many pictures were looked at.
///
/// # Errors
/// The user's folder cannot be read or holds no picture of the set; the model is not the one that is shipped; the
/// prepared folder cannot be written. Pictures without exactly one face, and pictures that cannot be decoded, are no
/// error: the report and the table say so.
pub fn prepare(preparation: &Preparation, datasets: &Path, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Report> {
    let Preparation { set, from, out, fresh } = *preparation;
    let sources = sources::find(set, from)?;
    let report = |rows, is_new| Report {
        set,
        from: from.to_path_buf(),
        out: out.to_path_buf(),
        rows,
        n_other_files: sources.n_other_files,
        is_new,
    };
    if !fresh && let Some(rows) = prepared(set, out, &sources.rows)? {
        return Ok(report(rows, false));
    }
    let model = FaceModel::load(datasets)?;
    let (rows, pictures) = look_at_all(&model, from, sources.rows, progress)?;
    let path = cache::table_path(out);
    let table = table::to_csv(&path, &rows)?;
    let key = Key::new(set, &table);
    for (place, size) in SIZES.into_iter().enumerate() {
        let of_size: Vec<&[u8]> = pictures.iter().map(|picture| picture[place].as_slice()).collect();
        cache::write(&cache::path(out, size), key, &of_size)?;
    }
    // Last, so that a folder with a table that fits its pictures is a complete one.
    sealed::write_plain(&path, &[&table], "write the table of pictures")?;
    Ok(report(rows, true))
}

/// The rows of a folder that was prepared from these sources and is whole.
fn prepared(set: PhotoSet, out: &Path, sources: &[Row]) -> Result<Option<Vec<Row>>> {
    let path = cache::table_path(out);
    let table = match std::fs::read(&path) {
        Ok(table) => table,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(&path, "read the table of pictures", error)),
    };
    let Ok(rows) = table::from_csv(&path, &table, "") else { return Ok(None) };
    let names = |rows: &[Row]| rows.iter().map(|row| (row.file.clone(), row.sha256.clone())).collect::<Vec<_>>();
    if names(&rows) != names(sources) {
        return Ok(None);
    }
    let n_used = rows.iter().filter(|row| row.used().is_some()).count();
    for size in SIZES {
        if cache::read(&cache::path(out, size), Key::new(set, &table), size, n_used)?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(rows))
}

/// A picture's bytes, 3 × size × size, for every size of [`SIZES`].
type Pictures = [Vec<u8>; SIZES.len()];

/// Completes the rows, and gives the pictures of those that are used, in their order.
fn look_at_all(
    model: &FaceModel,
    from: &Path,
    rows: Vec<Row>,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<(Vec<Row>, Vec<Pictures>)> {
    let slots: Vec<Mutex<(Row, Result<Option<Pictures>>)>> =
        rows.into_iter().map(|row| Mutex::new((row, Ok(None)))).collect();
    let (next, n_done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut detector = model.detector();
        while let Some(slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            if slot.0.left_out.is_none() {
                slot.1 = look_at(&mut detector, from, &mut slot.0);
            }
            progress(n_done.fetch_add(1, Ordering::Relaxed) + 1, slots.len());
        }
    };
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(slots.len());
    std::thread::scope(|scope| {
        for _ in 1..n_threads {
            scope.spawn(work);
        }
        work();
    });
    let mut rows = Vec::with_capacity(slots.len());
    let mut pictures = Vec::new();
    for slot in slots {
        let (row, found) = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
        rows.push(row);
        pictures.extend(found?);
    }
    Ok((rows, pictures))
}

/// Looks at one picture, notes in its row what was found, and crops it if it shows exactly one face.
///
/// # Errors
/// The file cannot be read; one that can be read but not decoded is noted in the row.
fn look_at(detector: &mut Detector, from: &Path, row: &mut Row) -> Result<Option<Pictures>> {
    let path = from.join(&row.file);
    let picture = match picture::decode(&path) {
        Ok(picture) => picture,
        Err(Error::Content { found, .. }) => {
            row.left_out = Some(LeftOut::Unreadable);
            row.detail = found.replace('\n', " ");
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let faces = detector.detect(&picture);
    row.n_faces = Some(faces.len());
    if let Some(face) = faces.first() {
        row.face_x = Some(face.x);
        row.face_y = Some(face.y);
        row.face_side = Some(face.side);
        row.score = Some(face.score);
    }
    let face = match exactly_one(&faces) {
        Ok(face) => face,
        Err(not_one) => {
            row.left_out = Some(match not_one {
                NotOne::None => LeftOut::NoFace,
                NotOne::Several => LeftOut::SeveralFaces,
            });
            let scores: Vec<String> = faces.iter().map(|face| face.score.to_string()).collect();
            row.detail = if scores.is_empty() { String::new() } else { format!("scores {}", scores.join(" ")) };
            return Ok(None);
        }
    };
    let square = crop::around(&face, picture.width(), picture.height());
    row.crop_x = Some(square.x);
    row.crop_y = Some(square.y);
    row.crop_side = Some(square.side);
    let cut = imageops::crop_imm(&picture, square.x, square.y, square.side, square.side).to_image();
    let bytes = |size| picture::pixels(&cut, size).iter().map(|pixel| (pixel * 255.0).round() as u8).collect();
    Ok(Some(SIZES.map(bytes)))
}
