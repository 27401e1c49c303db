//! From a prepared folder to a set of the research by name.

use std::collections::BTreeMap;
use std::path::Path;

use super::cache::{self, Key};
use super::table::{self, Row};
use super::{PhotoSet, SIZES};
use crate::sets::faces::{self, FacesConfig, Photo};
use crate::{Error, ImageSet, Result};

/// A named set made of photographs.
#[derive(Debug, Clone, PartialEq)]
pub struct Photographs {
    /// The images, with all transforms of the set; combinations without a photo are not in it.
    pub set: ImageSet,
    /// Images of another session, for tests only.
    pub test: Option<ImageSet>,
    /// What the set was made of and what is missing, in one line.
    pub note: String,
}

/// The set of this name, as [`faces::named`] defines it, from a prepared folder.
///
/// A photo that is not there leaves its combinations out, and the note names it. What is held out, and whether a photo of
/// that is there, is for the experiment to say.
///
/// # Shapes
/// images N × 3 × size × size in \[0, 1\], in the order of the combinations; no masks.
///
/// # Errors
/// There is no such set or size; the folder is not prepared, damaged, or prepared for the other set; or no photo
/// of the set is there.
pub fn load(prepared: &Path, name: &str, size: usize) -> Result<Photographs> {
    let photo_set = PhotoSet::of(name)?;
    if !SIZES.contains(&size) {
        let expected = format!("{} pixels", SIZES.map(|size| size.to_string()).join(" or "));
        return Err(Error::Setting { setting: "size", found: size.to_string(), expected });
    }
    let named = faces::named(name, size)?;
    let folder = Folder::read(photo_set, prepared, size)?;
    let without_noise = |config: FacesConfig| FacesConfig { noise: false, ..config };

    let config = without_noise(named.config);
    let (set, missing) = folder.assemble(prepared, name, &config)?;
    let mut note = format!("{}, {}", photo_set.title(), counted(photo_set, &config, &missing));
    let mut test = None;
    if let Some(config) = named.test.map(without_noise) {
        let (images, missing) = folder.assemble(prepared, &format!("the test of {name}"), &config)?;
        note += &format!("; test: {}", counted(photo_set, &config, &missing));
        test = Some(images);
    }
    Ok(Photographs { set, test, note })
}

impl PhotoSet {
    /// The set's name in reports.
    fn title(self) -> &'static str {
        match self {
            Self::Kdef => "photographs of KDEF",
            Self::Mmi => "photographs of MMI",
        }
    }
}

/// `1038 of 1040 photos, missing AM05DIS, AF02HAS`
fn counted(photo_set: PhotoSet, config: &FacesConfig, missing: &[Photo]) -> String {
    let n = config.photos().len();
    let listed = if missing.is_empty() { String::new() } else { format!(", missing {}", photo_set.listed(missing)) };
    format!("{} of {n} photos{listed}", n - missing.len())
}

/// A prepared folder in memory, at one size.
struct Folder {
    place_of: BTreeMap<Photo, usize>,
    pictures: Vec<u8>,
    picture_len: usize,
}

impl Folder {
    fn read(photo_set: PhotoSet, prepared: &Path, size: usize) -> Result<Self> {
        let path = cache::table_path(prepared);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let cure = format!("prepare the set by `{}`", photo_set.command());
                return Err(Error::MissingFile { dir: prepared.to_path_buf(), tried: vec!["table.csv".into()], cure });
            }
            Err(error) => return Err(Error::io(&path, "read the table of pictures", error)),
        };
        let cure = format!("prepare the set anew by `{} --fresh`", photo_set.command());
        let rows = table::from_csv(&path, &text, &cure)?;
        let used: Vec<Photo> = rows.iter().filter_map(Row::used).collect();
        let path = cache::path(prepared, size);
        let pictures = cache::read(&path, Key::new(photo_set, &text), size, used.len())?.ok_or_else(|| {
            let expected = format!("the {} pictures of table.csv, prepared for {}", used.len(), photo_set.name());
            Error::content(&path, expected, "none, others, or a damaged file", cure)
        })?;
        let place_of = used.into_iter().enumerate().map(|(place, photo)| (photo, place)).collect();
        Ok(Self { place_of, pictures, picture_len: 3 * size * size })
    }

    /// The set of this configuration, and the photos that it misses.
    fn assemble(&self, prepared: &Path, name: &str, config: &FacesConfig) -> Result<(ImageSet, Vec<Photo>)> {
        let picture = |photo: &Photo| {
            let start = self.place_of.get(photo)? * self.picture_len;
            self.pictures.get(start..start + self.picture_len)
        };
        let photos = config.photos();
        let found: Vec<(Photo, &[u8])> =
            photos.iter().filter_map(|photo| picture(photo).map(|bytes| (*photo, bytes))).collect();
        if found.is_empty() {
            let expected = format!("some of the {} photos of {name}", photos.len());
            let cure = "table.csv says which pictures were left out and why";
            return Err(Error::content(prepared, expected, "none of them", cure));
        }
        let missing = photos.iter().filter(|photo| !self.place_of.contains_key(photo)).copied().collect();
        Ok((faces::assemble(config, &found)?, missing))
    }
}
