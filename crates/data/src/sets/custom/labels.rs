//! From the rows of a table to factors, levels and pictures with a place each.
//!
//! One column names the picture, one (`split`) may say what is held out, every other one is a factor, in the order of the
//! columns; its levels are all that occur, in natural order. Combinations are written as `hue=dark-red size=3`, so names
//! of factors and levels must hold no spaces: they are written as `-`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::CustomConfig;
use super::order::natural;
use super::table::{self, Row, Table};
use crate::{Combination, Error, Factor, Factors, Result};

/// Columns that name the picture where the configuration does not say which, in order of preference.
const IMAGE_COLUMNS: [&str; 3] = ["image", "file", "path"];

/// The column that says what is held out, and its word for what is not.
const SPLIT_COLUMN: &str = "split";
const TRAIN: &str = "train";

/// More combinations than this come from columns that are no factors, such as a name of its own for every picture.
const MAX_COMBINATIONS: usize = 1_000_000_000;

/// What a table says, and what is wrong with it.
#[derive(Debug)]
pub(super) struct Labels {
    /// The factors in the order of the columns, without transforms.
    pub factors: Factors,
    /// The pictures of all rows without a problem, in the order of their combinations.
    pub photos: Vec<Photo>,
    /// The words of the column `split` that hold something out, in alphabetical order: that of the rows says nothing.
    pub splits: Vec<String>,
    /// Rows of the table, with and without problems.
    pub n_rows: usize,
    /// Everything for which a set cannot be built.
    pub problems: Vec<Error>,
    /// What is allowed but may not be meant.
    pub notes: Vec<String>,
}

/// One picture of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Photo {
    /// The file.
    pub path: PathBuf,
    /// How the table names it and where: `a.png (line 7)`.
    pub name: String,
    /// Its levels, one per factor.
    pub combination: Combination,
    /// The held-out set it belongs to; nothing means training.
    pub split: Option<String>,
}

/// Reads the table of a set.
///
/// # Errors
/// The table cannot be read, or no column of it names pictures or none is a factor.
pub(super) fn read(config: &CustomConfig) -> Result<Labels> {
    let mut table = table::read(&config.table)?;
    let columns = Columns::find(config, &table)?;
    let mut labels = Labels {
        factors: Factors::new(Vec::new())?,
        photos: Vec::new(),
        splits: Vec::new(),
        n_rows: table.rows.len() + table.problems.len(),
        problems: std::mem::take(&mut table.problems),
        notes: Vec::new(),
    };
    labels.check_names(config, &columns);
    let rows: Vec<&Row> = table.rows.iter().filter(|row| labels.is_complete(config, &table, &columns, row)).collect();
    if rows.is_empty() && labels.problems.is_empty() {
        let expected = format!("a {} for every picture", table.unit);
        labels.problems.push(Error::content(&config.table, expected, "the heading alone", "add the pictures"));
    }
    let factors = columns.factors.iter().map(|(place, name)| {
        let levels: BTreeSet<&str> = rows.iter().map(|row| row.fields[*place].as_str()).collect();
        labels.factor(config, name, &levels)
    });
    let factors: Vec<Factor> = factors.collect();
    if rows.is_empty() || !labels.problems_of_factors(config, &factors) {
        return Ok(labels);
    }
    labels.factors = Factors::new(factors)?;
    let places: Vec<BTreeMap<&str, usize>> = labels.factors.iter().map(level_places).collect();
    let mut photos = Vec::with_capacity(rows.len());
    for row in rows {
        let level = |((column, _), places): (&(usize, String), &BTreeMap<&str, usize>)| {
            places.get(one_word(&row.fields[*column]).as_str()).copied()
        };
        let levels: Option<Vec<usize>> = columns.factors.iter().zip(&places).map(level).collect();
        let file = &row.fields[columns.image];
        let split = columns.split.map(|column| one_word(&row.fields[column])).unwrap_or_default();
        photos.push(Photo {
            path: picture_path(&config.images, file),
            name: format!("{file} ({} {})", table.unit, row.number),
            combination: Combination(levels.unwrap_or_default()),
            split: (!split.is_empty() && !split.eq_ignore_ascii_case(TRAIN)).then_some(split),
        });
    }
    let splits: BTreeSet<&String> = photos.iter().filter_map(|photo| photo.split.as_ref()).collect();
    labels.splits = splits.into_iter().cloned().collect();
    photos.sort_by(|a, b| a.combination.cmp(&b.combination));
    labels.photos = photos;
    labels.check_pictures(config);
    Ok(labels)
}

/// Which columns are what.
struct Columns {
    image: usize,
    split: Option<usize>,
    /// Place and name of each factor.
    factors: Vec<(usize, String)>,
}

impl Columns {
    fn find(config: &CustomConfig, table: &Table) -> Result<Self> {
        let refuse = |expected: String, cure: &str| {
            Err(Error::content(&config.table, expected, format!("the columns {}", table.columns.join(", ")), cure))
        };
        let named = |name: &str| table.columns.iter().position(|column| column.eq_ignore_ascii_case(name));
        let image = match &config.image_column {
            Some(name) => table.columns.iter().position(|column| column == name.trim()),
            None => IMAGE_COLUMNS.iter().find_map(|name| named(name)),
        };
        let Some(image) = image else {
            return match &config.image_column {
                Some(name) => refuse(format!("a column `{name}` with the pictures' names"), "correct `image_column`"),
                None => refuse(
                    format!("a column with the pictures' names, called {}", IMAGE_COLUMNS.join(" or ")),
                    "rename it, or name it by `image_column`",
                ),
            };
        };
        let split = named(SPLIT_COLUMN).filter(|&place| place != image);
        let is_used = |place: usize| table.rows.iter().any(|row| !row.fields[place].is_empty());
        let factors: Vec<(usize, String)> = table
            .columns
            .iter()
            .enumerate()
            .filter(|&(place, name)| place != image && Some(place) != split && (!name.is_empty() || is_used(place)))
            .map(|(place, name)| (place, one_word(name)))
            .collect();
        if factors.is_empty() {
            return refuse("a column for each factor".to_owned(), "add one, such as `person` or `colour`");
        }
        Ok(Self { image, split, factors })
    }
}

impl Labels {
    /// Names of factors become names of parameters and of figures.
    fn check_names(&mut self, config: &CustomConfig, columns: &Columns) {
        for (place, (column, name)) in columns.factors.iter().enumerate() {
            let is_plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
            let mut refuse = |expected: &str, found: String, cure: &str| {
                self.problems.push(Error::content(&config.table, expected, found, cure));
            };
            if name.is_empty() {
                let found = format!("none for column {}", column + 1);
                refuse("a name for every column", found, "name it, or take it out");
            } else if !name.chars().all(is_plain) {
                refuse("factors named by letters, digits, - and _", format!("`{name}`"), "rename the column");
            } else if columns.factors[..place].iter().any(|(_, other)| other == name) {
                refuse("a name of its own for every column", format!("`{name}` twice"), "rename one");
            } else if name == "transform" && config.transforms > 1 {
                let cure = "rename the column, or leave the setting `transforms` out";
                refuse("no column `transform` beside the transforms of the settings", "one".to_owned(), cure);
            }
        }
    }

    /// Whether a row names a picture and a level of every factor; if not, what it lacks becomes a problem.
    fn is_complete(&mut self, config: &CustomConfig, table: &Table, columns: &Columns, row: &Row) -> bool {
        let before = self.problems.len();
        let mut lacks = |what: String| {
            let expected = format!("{what} in {} {}", table.unit, row.number);
            let cure = format!("fill it in, or take the {} out", table.unit);
            self.problems.push(Error::content(&config.table, expected, "an empty field", cure));
        };
        if row.fields[columns.image].is_empty() {
            lacks("a picture's name".to_owned());
        }
        for (place, name) in &columns.factors {
            if row.fields[*place].is_empty() {
                lacks(format!("a level of `{name}`"));
            }
        }
        self.problems.len() == before
    }

    /// A factor from all levels that occur, as they stand in the table.
    fn factor(&mut self, config: &CustomConfig, name: &str, levels: &BTreeSet<&str>) -> Factor {
        let mut written: BTreeMap<String, &str> = BTreeMap::new();
        let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for &level in levels {
            let word = one_word(level);
            // Levels that a person would call the same: other capitals, other ways to write a number.
            let number: Option<f64> = word.parse().ok();
            alike.entry(number.map_or_else(|| word.to_lowercase(), |n| n.to_string())).or_default().push(word.clone());
            if let Some(other) = written.insert(word, level) {
                let expected = format!("levels of `{name}` that differ in more than spaces");
                let found = format!("`{}` and `{}`", other.escape_debug(), level.escape_debug());
                self.problems.push(Error::content(&config.table, expected, found, "write them alike, or rename one"));
            }
        }
        for same in alike.values().filter(|same| same.len() > 1) {
            self.notes
                .push(format!("{name}: the levels {} are different ones; are they meant to be?", same.join(", ")));
        }
        let mut levels: Vec<String> = written.into_keys().collect();
        levels.sort_by(|a, b| natural(a, b));
        Factor { name: name.to_owned(), levels }
    }

    /// Whether factors can be made of these.
    fn problems_of_factors(&mut self, config: &CustomConfig, factors: &[Factor]) -> bool {
        let n_combinations = factors.iter().try_fold(1_usize, |n, factor| n.checked_mul(factor.n_levels()));
        if n_combinations.is_none_or(|n| n > MAX_COMBINATIONS) {
            let mut widest: Vec<&Factor> = factors.iter().collect();
            widest.sort_by_key(|factor| std::cmp::Reverse(factor.n_levels()));
            let widest = widest.iter().take(3).map(|factor| format!("{} {}", factor.name, factor.n_levels()));
            let found = format!("more; most levels have {}", widest.collect::<Vec<_>>().join(", "));
            let expected = format!("factors with at most {MAX_COMBINATIONS} combinations");
            let cure = "take out columns that are no factors";
            self.problems.push(Error::content(&config.table, expected, found, cure));
            return false;
        }
        let mut names = BTreeSet::new();
        factors.iter().all(|factor| names.insert(&factor.name))
    }

    /// No file stands in two rows, and no combination has two pictures.
    fn check_pictures(&mut self, config: &CustomConfig) {
        let mut first: BTreeMap<PathBuf, &Photo> = BTreeMap::new();
        for photo in &self.photos {
            if let Some(other) = first.insert(photo.path.components().collect(), photo) {
                let found = format!("{} and {}", other.name, photo.name);
                let cure = "take one of them out";
                self.problems.push(Error::content(&config.table, "every picture once", found, cure));
            }
        }
        for pair in self.photos.array_windows::<2>() {
            let [a, b] = pair;
            if a.combination == b.combination && a.path != b.path {
                let found = format!("{} and {} for {}", a.name, b.name, self.factors.label(&a.combination));
                let cure = "add a column that tells them apart, such as `take` or `session`";
                let expected = "one picture per combination of levels";
                self.problems.push(Error::content(&config.table, expected, found, cure));
            }
        }
    }
}

fn level_places(factor: &Factor) -> BTreeMap<&str, usize> {
    factor.levels.iter().enumerate().map(|(place, level)| (level.as_str(), place)).collect()
}

/// Text with `-` for its spaces.
fn one_word(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join("-")
}

/// The file that a table means. A table written on Windows may separate folders by `\`.
fn picture_path(images: &Path, file: &str) -> PathBuf {
    let path = images.join(file);
    match file.contains('\\') && !path.exists() {
        true => images.join(file.replace('\\', "/")),
        false => path,
    }
}
