//! A set of the user's own: a folder of pictures, and a table that says what each of them shows.
//!
//! In an experiment file, both places being relative to the file's folder:
//!
//! ```toml
//! [dataset]
//! images = "my-shapes"
//! table = "my-shapes/labels.csv"
//! size = 64                # pixels of a side; without it the pictures' own, which must then be one size
//! image_column = "picture" # without it `image`, `file` or `path`
//! crop = "centre"          # the middle of pictures that are no squares; without it they are refused
//! transforms = 4           # every picture also turned: 4, 6 or 8 symmetries of the square
//! ```
//!
//! Every column but the picture's and `split` is a factor, in the order of the columns; its levels are all that occur,
//! numbers by value, else by name. A combination has at most one picture, and not every combination needs one. A factor
//! with one level is allowed, but noted: it says nothing. Rows whose `split` is neither empty nor `train` are held out
//! under that word, by a rule that lists their combinations, so that a run's configuration says what it never saw.
//!
//! | module | what it holds |
//! |---|---|
//! | `table`, `parquet` | the table as text |
//! | `labels`, `order` | factors and levels of it, and its pictures |
//! | `pictures` | sizes and pixels |
//! | `report` | everything that is to be said about a set before it is used |
//! | `example` | a small set to begin with |
//!
//! Source: SPEC §3.4.

mod example;
mod labels;
mod order;
#[cfg(feature = "hub")]
mod parquet;
mod pictures;
mod report;
mod table;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use example::{EXAMPLE_EXPERIMENT, EXAMPLE_TABLE, write_example};
pub use report::{CheckReport, check};

use crate::held_out::{HeldOut, Rule};
use crate::{Combination, Error, Factors, ImageSet, Result, Split, picture, transforms};
use labels::Labels;

/// Smallest and largest images of a set, in pixels. Structural similarity needs 11 and the judge 8; on two cores the judge
/// alone trains for 20 minutes at 256, four times as long at twice the side. Pictures of any size can be resized to these.
pub const SIZES: std::ops::RangeInclusive<usize> = 16..=256;

/// A set may take this many bytes of memory: 8 GB.
pub const MAX_BYTES: u128 = 8_000_000_000;

/// Where a set lies and how its pictures become squares: the table `[dataset]` of an experiment file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomConfig {
    /// The folder of the pictures.
    pub images: PathBuf,
    /// The table, CSV or Parquet.
    pub table: PathBuf,
    /// Pixels of a side; without it the size of the pictures, which must then be square and alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// The column that names the picture; without it `image`, or the first of `file` and `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_column: Option<String>,
    /// What becomes of pictures that are no squares; without it they are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// How many transforms: 1 (no such factor), 4, 6 or 8.
    #[serde(default = "no_transforms", skip_serializing_if = "is_no_transforms")]
    pub transforms: usize,
}

/// How a picture becomes a square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crop {
    /// The largest square in its middle.
    Centre,
}

fn no_transforms() -> usize {
    1
}

fn is_no_transforms(transforms: &usize) -> bool {
    *transforms == 1
}

impl CustomConfig {
    /// A folder and a table, everything else as it is without a setting.
    pub fn new(images: impl Into<PathBuf>, table: impl Into<PathBuf>) -> Self {
        Self {
            images: images.into(),
            table: table.into(),
            size: None,
            image_column: None,
            crop: None,
            transforms: no_transforms(),
        }
    }

    /// The table `[dataset]` of an experiment file, its places relative to the file's folder.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or has no such table or one with other settings.
    pub fn from_experiment(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Experiment {
            dataset: Option<CustomConfig>,
        }
        let text = std::fs::read_to_string(path).map_err(|source| Error::io(path, "read the experiment", source))?;
        let cure = "give `images`, the folder, and `table`, the file";
        let expected = "a table [dataset] with the place of a set";
        let experiment: Experiment = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            let found = format!("in line {line}: {}", error.message().replace('\n', " "));
            Error::content(path, expected, found, cure)
        })?;
        let config = experiment.dataset.ok_or_else(|| Error::content(path, expected, "none", cure))?;
        Ok(config.relative_to(path.parent().unwrap_or(Path::new(""))))
    }

    /// What names a run on such a set: what is not known from its pixels, factors and rules. The same pictures in another
    /// folder, under other names or cut to size beforehand are the same set.
    #[must_use]
    pub fn without_places(&self) -> Self {
        Self { transforms: self.transforms, ..Self::new("", "") }
    }

    /// The same with places that are relative to the current folder, not to `base`.
    #[must_use]
    pub fn relative_to(&self, base: &Path) -> Self {
        Self { images: base.join(&self.images), table: base.join(&self.table), ..self.clone() }
    }

    /// Checks every setting, and that folder and table are there.
    ///
    /// # Errors
    /// The size or the number of transforms does not exist, or one of the places does not.
    pub fn validate(&self) -> Result<()> {
        let setting = |setting, found: String, expected: String| Err(Error::Setting { setting, found, expected });
        if let Some(size) = self.size.filter(|size| !SIZES.contains(size)) {
            return setting("size", size.to_string(), format!("{} to {} pixels", SIZES.start(), SIZES.end()));
        }
        if self.transforms != 1 && transforms::levels(self.transforms).is_err() {
            return setting("transforms", self.transforms.to_string(), "1, 4, 6 or 8".to_owned());
        }
        if !self.images.is_dir() {
            let found = if self.images.exists() { "something else" } else { "nothing of this name" };
            return Err(Error::content(&self.images, "a folder of pictures", found, "correct the setting `images`"));
        }
        if !self.table.is_file() {
            let found = if self.table.exists() { "something else" } else { "nothing of this name" };
            let inside = self.images.join(&self.table);
            let cure = match inside.is_file() {
                true => format!("correct the setting `table`: did you mean {}?", inside.display()),
                false => "correct the setting `table`".to_owned(),
            };
            return Err(Error::content(&self.table, "a table of the pictures", found, cure));
        }
        Ok(())
    }
}

/// A set of the user, ready to be trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct Custom {
    /// Its images in the order of their combinations; no masks.
    pub set: ImageSet,
    /// What the column `split` holds out, one rule a word.
    pub held_out: Vec<HeldOut>,
    /// What the set is, for reports: `96 images of factors shape 4, hue 4 from my-shapes/labels.csv, 64×64`.
    pub note: String,
}

/// Reads the set.
///
/// # Shapes
/// images N × 3 × size × size in \[0, 1\], in the order of the combinations.
///
/// # Errors
/// Whatever [`check`] lists as a problem; of several the first, with their number.
pub fn build(config: &CustomConfig) -> Result<Custom> {
    let survey = Survey::new(config)?;
    let (Some(size), true) = (survey.size, survey.labels.problems.is_empty()) else {
        return Err(several(survey.labels.problems));
    };
    let Labels { factors, photos, .. } = &survey.labels;
    let permutations = permutations(config, size)?;
    let picture_len = 3 * size * size;
    let mut images = vec![0.0; photos.len() * permutations.len() * picture_len];
    let slots = photos.iter().zip(images.chunks_exact_mut(permutations.len() * picture_len)).collect();
    let done = pictures::on_all_cores(slots, |(photo, slot): (&labels::Photo, &mut [f32])| {
        let pixels = picture::pixels(&pictures::square(config, &photo.path)?, size);
        slot.iter_mut().zip(transforms::transformed(&pixels, &permutations)).for_each(|(to, from)| *to = from);
        Ok(())
    });
    let problems: Vec<Error> = done.into_iter().filter_map(Result::err).collect();
    if !problems.is_empty() {
        return Err(several(problems));
    }
    let mut all_factors = factors.as_slice().to_vec();
    let mut combinations: Vec<Combination> = photos.iter().map(|photo| photo.combination.clone()).collect();
    if config.transforms > 1 {
        all_factors.push(transforms::factor(config.transforms)?);
        let levels = 0..config.transforms;
        let with = |c: &Combination| levels.clone().map(|level| [c.0.as_slice(), &[level]].concat().into()).collect();
        combinations = combinations
            .iter()
            .flat_map(|combination: &Combination| -> Vec<Combination> { with(combination) })
            .collect();
    }
    let factors = Factors::new(all_factors)?;
    let set = ImageSet { factors, channels: 3, height: size, width: size, images, masks: None, combinations };
    set.validate()?;
    let listed = set.factors.iter().map(|factor| format!("{} {}", factor.name, factor.n_levels()));
    let listed = listed.collect::<Vec<_>>().join(", ");
    Ok(Custom {
        note: format!("{} images of factors {listed} from {}, {size}×{size}", set.len(), config.table.display()),
        held_out: held_out(&survey.labels),
        set,
    })
}

/// The permutations that every picture appears in: the first leaves it as it is.
fn permutations(config: &CustomConfig, size: usize) -> Result<Vec<Vec<usize>>> {
    let transforms = if config.transforms > 1 { transforms::levels(config.transforms)? } else { &transforms::SIX[..1] };
    Ok(transforms.iter().map(|transform| transform.permutation(size)).collect())
}

/// One rule per word of the column `split`. The cells that it lists name no transform, so that all of them are held out.
fn held_out(labels: &Labels) -> Vec<HeldOut> {
    let rule = |word: &String| {
        let photos = labels.photos.iter().filter(|photo| photo.split.as_ref() == Some(word));
        let cells = photos.map(|photo| labels.factors.label(&photo.combination)).collect();
        HeldOut { name: word.clone(), rule: Rule::Listed(cells) }
    };
    labels.splits.iter().map(rule).collect()
}

/// The first problem, and how many more there are.
fn several(problems: Vec<Error>) -> Error {
    let n_more = problems.len().saturating_sub(1);
    let first = problems.into_iter().next();
    let first = first.unwrap_or_else(|| Error::Combination("the set has no picture; add one to its table".to_owned()));
    match n_more {
        0 => first,
        n_more => Error::Several { first: Box::new(first), n_more, cure: "`cargo xtask data check` lists them" },
    }
}

/// A set as far as it is known without decoding its pictures: what [`build`] and [`check`] begin with.
struct Survey {
    /// Its table; its problems are joined by those of the pictures' sizes.
    labels: Labels,
    /// Width and height of each picture, where it has any.
    dimensions: Vec<Option<(u32, u32)>>,
    /// Pixels of a side, where the settings or the pictures say so.
    size: Option<usize>,
}

impl Survey {
    fn new(config: &CustomConfig) -> Result<Self> {
        config.validate()?;
        let mut labels = labels::read(config)?;
        if !labels.photos.is_empty()
            && let Err(error) = split(&labels)
        {
            labels.problems.push(error);
        }
        let mut dimensions = Vec::with_capacity(labels.photos.len());
        let mut sides = std::collections::BTreeMap::new();
        for (photo, found) in labels.photos.iter().zip(pictures::dimensions(config, &labels.photos)) {
            let found = found.map_err(|error| labels.problems.push(error)).ok();
            match found.map(|found| (found, pictures::side(config, found))) {
                Some((_, Some(side))) => *sides.entry(side as usize).or_insert(0_usize) += 1,
                Some((found, None)) => labels.problems.push(pictures::not_square(&photo.path, found)),
                None => {}
            }
            dimensions.push(found);
        }
        let size = match (config.size, sides.len()) {
            (Some(size), _) => Some(size),
            (None, 0) => None,
            (None, 1) => sides.keys().next().copied(),
            (None, n_sides) => {
                let mut sides: Vec<(usize, usize)> = sides.into_iter().collect();
                sides.sort_by_key(|&(side, n)| (std::cmp::Reverse(n), side));
                let listed: Vec<String> =
                    sides.iter().take(4).map(|(side, n)| format!("{n} of {side}×{side}")).collect();
                let more = if n_sides > listed.len() { ", …" } else { "" };
                let found = format!("{}{more} pixels", listed.join(", "));
                let cure = "choose one by the setting `size`";
                labels.problems.push(Error::content(&config.table, "pictures of one size", found, cure));
                None
            }
        };
        if let Some(size) = size.filter(|size| !SIZES.contains(size)) {
            let expected = format!("pictures of {} to {} pixels", SIZES.start(), SIZES.end());
            let found = format!("a side of {size}");
            let cure = "choose another by the setting `size`";
            labels.problems.push(Error::content(&config.table, expected, found, cure));
        }
        let n_bytes = size.map_or(0, |size| n_bytes(config, labels.photos.len(), size));
        if n_bytes > MAX_BYTES {
            let expected = format!("a set of at most {} in memory", bytes(MAX_BYTES));
            let found = format!("{} images of {} in all", labels.photos.len() * config.transforms, bytes(n_bytes));
            let cure = "choose a smaller `size`, fewer `transforms` or fewer pictures";
            labels.problems.push(Error::content(&config.table, expected, found, cure));
        }
        Ok(Self { labels, dimensions, size })
    }
}

/// What training sees of the pictures and what it does not.
fn split(labels: &Labels) -> Result<Split> {
    let combinations: Vec<Combination> = labels.photos.iter().map(|photo| photo.combination.clone()).collect();
    Split::new(&labels.factors, &combinations, &held_out(labels))
}

/// The bytes of a set in memory: pictures × transforms × 3 × size² values of 4 bytes.
fn n_bytes(config: &CustomConfig, n_pictures: usize, size: usize) -> u128 {
    [n_pictures, config.transforms, 3, size, size, size_of::<f32>()].iter().map(|&n| n as u128).product()
}

/// A number of bytes for people.
fn bytes(n_bytes: u128) -> String {
    match n_bytes as f64 {
        n if n >= 1e9 => format!("{:.1} GB", n / 1e9),
        n if n >= 1e6 => format!("{:.1} MB", n / 1e6),
        n => format!("{:.0} kB", (n / 1e3).ceil()),
    }
}

#[cfg(test)]
mod tests;
