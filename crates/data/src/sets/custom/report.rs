//! What a set holds and what is wrong with it, all at once, before any time is spent on training.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use sha2::{Digest, Sha256};

use super::{CustomConfig, Survey, bytes, n_bytes, pictures, split};
use crate::{Combination, Error, Factor, Factors, Result};

/// Of a long list this much is shown, and the number of the rest.
const SHOWN: usize = 20;
/// Of problems more, because each has to be mended.
const PROBLEMS_SHOWN: usize = 100;
/// Levels with fewer pictures than this are noted.
const FEW: usize = 3;

/// What a set holds. As text: aligned, for people, ending with what to do next.
#[derive(Debug)]
pub struct CheckReport {
    config: CustomConfig,
    n_rows: usize,
    n_pictures: usize,
    /// Per factor its levels and how many pictures each has.
    factors: Vec<(String, Vec<(String, usize)>)>,
    n_possible: usize,
    n_missing: usize,
    /// The first combinations without a picture.
    missing: Vec<String>,
    sizes: BTreeMap<(u32, u32), usize>,
    size: Option<usize>,
    /// Training and the held-out sets, with their pictures.
    splits: Vec<(String, usize)>,
    notes: Vec<String>,
    problems: Vec<Error>,
}

impl CheckReport {
    /// Everything for which [`super::build`] would refuse the set, one line each; of a sound set nothing.
    #[must_use]
    pub fn problems(&self) -> &[Error] {
        &self.problems
    }

    /// What is allowed but may not be meant.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Looks at everything: the table, and every picture whole.
///
/// # Errors
/// The settings are impossible, or the table or the folder cannot be read at all. Every other problem stands in the
/// report.
pub fn check(config: &CustomConfig) -> Result<CheckReport> {
    let mut survey = Survey::new(config)?;
    let mut notes = std::mem::take(&mut survey.labels.notes);
    let mut problems = std::mem::take(&mut survey.labels.problems);
    let photos = &survey.labels.photos;

    let usable = |found: &(u32, u32)| pictures::side(config, *found).is_some();
    let known = photos.iter().zip(&survey.dimensions).filter(|(_, found)| found.as_ref().is_some_and(usable));
    let known: Vec<_> = known.map(|(photo, _)| photo).collect();
    // Equal pixels under two names are more often a mistake than meant.
    let decoded = pictures::on_all_cores(known.clone(), |photo| {
        let square = pictures::square(config, &photo.path)?;
        let mut hasher = Sha256::new();
        hasher.update(square.width().to_le_bytes());
        hasher.update(square.as_raw());
        Ok(hasher.finalize())
    });
    let mut first = BTreeMap::new();
    let mut twins = Vec::new();
    for (photo, hash) in known.iter().zip(decoded) {
        match hash {
            Err(error) => problems.push(error),
            Ok(hash) => match first.get(&hash) {
                None => drop(first.insert(hash, &photo.name)),
                Some(other) => twins.push(format!("{other} and {}", photo.name)),
            },
        }
    }
    note_list(&mut notes, ["pair of pictures", "pairs of pictures"], "with the same pixels", &twins);

    let combinations: Vec<&Combination> = photos.iter().map(|photo| &photo.combination).collect();
    let factors = count_levels(&survey.labels.factors, combinations.iter().copied());
    note_levels(&mut notes, &factors, photos.len());
    if let Some(size) = config.size {
        let sides = survey.dimensions.iter().flatten().filter_map(|found| pictures::side(config, *found));
        let n_small = sides.filter(|&side| (side as usize) < size).count();
        if n_small > 0 {
            notes.push(format!("{n_small} of the pictures are smaller than {size} pixels and will be enlarged"));
        }
    }
    let unnamed = pictures::unnamed(&config.images, photos)?;
    let unnamed: Vec<String> = unnamed.iter().map(|path| path.display().to_string()).collect();
    note_list(&mut notes, ["picture", "pictures"], "in the folder that no usable row of the table names", &unnamed);

    let mut present: Vec<&Combination> = combinations;
    present.dedup();
    let is_missing = |combination: &Combination| present.binary_search(&combination).is_err();
    let n_possible = if survey.labels.factors.is_empty() { 0 } else { survey.labels.factors.n_combinations() };
    let missing = (0..n_possible).filter_map(|index| survey.labels.factors.combination(index).ok()).filter(is_missing);
    let missing = missing.take(SHOWN).map(|combination| survey.labels.factors.label(&combination)).collect();
    let n_missing = n_possible - present.len();

    let mut sizes = BTreeMap::new();
    survey.dimensions.iter().flatten().for_each(|&found| *sizes.entry(found).or_insert(0) += 1);
    let of_split = |split: Option<&String>| photos.iter().filter(|photo| photo.split.as_ref() == split).count();
    let mut splits = vec![("train".to_owned(), of_split(None))];
    splits.extend(survey.labels.splits.iter().map(|word| (word.clone(), of_split(Some(word)))));
    if let Ok(split) = split(&survey.labels) {
        let train = split.train.iter().filter_map(|&index| Some(&photos.get(index)?.combination));
        note_training(&mut notes, &factors, &count_levels(&survey.labels.factors, train));
    }
    Ok(CheckReport {
        config: config.clone(),
        n_rows: survey.labels.n_rows,
        n_pictures: photos.len(),
        factors,
        n_possible,
        n_missing,
        missing,
        sizes,
        size: survey.size,
        splits,
        notes,
        problems,
    })
}

/// Per factor its levels and how many of these pictures each has.
fn count_levels<'a>(
    factors: &Factors,
    combinations: impl Iterator<Item = &'a Combination> + Clone,
) -> Vec<(String, Vec<(String, usize)>)> {
    let counted = |(factor_idx, factor): (usize, &Factor)| {
        let mut n = vec![0; factor.n_levels()];
        combinations.clone().filter_map(|combination| combination.level(factor_idx)).for_each(|level| n[level] += 1);
        (factor.name.clone(), factor.levels.iter().cloned().zip(n).collect())
    };
    factors.iter().enumerate().map(counted).collect()
}

fn note_list(notes: &mut Vec<String>, [one, many]: [&str; 2], which: &str, entries: &[String]) {
    if !entries.is_empty() {
        let what = if entries.len() == 1 { one } else { many };
        notes.push(format!("{} {what} {which}: {}", entries.len(), shortened(entries, "; ")));
    }
}

/// Notes on factors that say nothing and on levels of which little can be learned.
fn note_levels(notes: &mut Vec<String>, factors: &[(String, Vec<(String, usize)>)], n_pictures: usize) {
    for (factor, levels) in factors {
        if let [(level, _)] = levels.as_slice() {
            notes.push(format!("{factor}: {level} is its only level, so that it says nothing; the column can go"));
        } else if levels.len() == n_pictures {
            notes.push(format!(
                "{factor}: every picture has a level of its own; is it a factor? if not, take the column out"
            ));
        } else {
            let few = levels.iter().filter(|(_, n)| *n < FEW).map(|(level, n)| format!("{level} ({n})"));
            let few: Vec<String> = few.collect();
            if !few.is_empty() {
                notes.push(format!(
                    "{factor}: {} with fewer than {FEW} pictures, from which little can be learned: {}",
                    counted(few.len(), "level"),
                    shortened(&few, ", ")
                ));
            }
        }
    }
}

/// Notes on levels that have pictures enough, but hardly any of them in training.
fn note_training(
    notes: &mut Vec<String>,
    all: &[(String, Vec<(String, usize)>)],
    train: &[(String, Vec<(String, usize)>)],
) {
    for ((factor, all), (_, train)) in all.iter().zip(train) {
        let few = all.iter().zip(train).filter(|((_, n_all), (_, n_train))| *n_train < FEW && *n_all >= FEW);
        let few: Vec<String> = few.map(|(_, (level, n_train))| format!("{level} ({n_train})")).collect();
        if !few.is_empty() {
            notes.push(format!(
                "{factor}: {} with fewer than {FEW} pictures in training: {}",
                counted(few.len(), "level"),
                shortened(&few, ", ")
            ));
        }
    }
}

fn shortened(entries: &[String], separator: &str) -> String {
    let shown = entries.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(separator);
    match entries.len().saturating_sub(SHOWN) {
        0 => shown,
        n_more => format!("{shown}{separator}and {n_more} more"),
    }
}

/// `1 level`, `2 levels`.
fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// A row of the report: what it is about, then text.
fn row(f: &mut Formatter<'_>, name: &str, text: impl Display) -> fmt::Result {
    writeln!(f, "{name:<13} {text}")
}

impl Display for CheckReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { config, factors, .. } = self;
        let rows = counted(self.n_rows, "row");
        row(f, "table", format_args!("{}: {rows}, {} usable", config.table.display(), self.n_pictures))?;
        row(f, "pictures", config.images.display())?;
        let width = factors.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (place, (name, levels)) in factors.iter().enumerate() {
            let listed: Vec<String> = levels.iter().map(|(level, n)| format!("{level} {n}")).collect();
            let heading = if place == 0 { "factors" } else { "" };
            let n_levels = counted(levels.len(), "level");
            row(
                f,
                heading,
                format_args!("{name:<width$}  {n_levels:>10}, pictures of each: {}", shortened(&listed, ", ")),
            )?;
        }
        match (self.n_possible, self.n_missing) {
            (0, _) => {}
            (possible, 0) => row(f, "combinations", format_args!("{possible} possible, each has a picture"))?,
            (possible, missing) => {
                row(f, "combinations", format_args!("{possible} possible, {missing} without a picture:"))?;
                self.missing.iter().try_for_each(|label| row(f, "", format_args!("  {label}")))?;
                if missing > self.missing.len() {
                    row(f, "", format_args!("  and {} more", missing - self.missing.len()))?;
                }
            }
        }
        let sizes: Vec<String> = self.sizes.iter().map(|((w, h), n)| format!("{w}×{h} {n}")).collect();
        row(f, "sizes", if sizes.is_empty() { "none".to_owned() } else { shortened(&sizes, ", ") })?;
        let splits: Vec<String> = self.splits.iter().map(|(word, n)| format!("{word} {n}")).collect();
        row(f, "split", splits.join(", "))?;
        if let (Some(size), true) = (self.size, self.problems.is_empty()) {
            let n_images = counted(self.n_pictures * config.transforms, "image");
            let memory = bytes(n_bytes(config, self.n_pictures, size));
            row(f, "set", format_args!("{n_images} of {size}×{size}, {memory} in memory"))?;
        }
        for (place, note) in self.notes.iter().enumerate() {
            row(f, if place == 0 { "notes" } else { "" }, format_args!("- {note}"))?;
        }
        for (place, problem) in self.problems.iter().take(PROBLEMS_SHOWN).enumerate() {
            row(f, if place == 0 { "problems" } else { "" }, format_args!("- {problem}"))?;
        }
        if let Some(n_more @ 1..) = self.problems.len().checked_sub(PROBLEMS_SHOWN) {
            row(f, "", format_args!("- and {n_more} more"))?;
        }
        writeln!(f)?;
        if !self.problems.is_empty() {
            let problems = counted(self.problems.len(), "problem");
            return writeln!(f, "next: mend the {problems}, then run the same command again");
        }
        writeln!(f, "next: the set is sound; an experiment file, for `cargo xtask reproduce FILE.toml`:\n")?;
        writeln!(f, "parent = \"custom\"\ntitle = \"My pictures\"\n")?;
        writeln!(f, "[dataset]")?;
        let settings = toml::to_string(config).map_err(|_| fmt::Error)?;
        write!(f, "{settings}")
    }
}
