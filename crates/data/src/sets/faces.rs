//! The set `faces`: drawn faces with known truth, shaped like KDEF (70 persons × 7 expressions × 2 sessions) or MMI.
//!
//! Neither of those may be redistributed; these pictures are drawn by the program, deterministically, and whatever is
//! shown from them has to say that they are drawn. A picture is a function of its person, expression, session and size:
//! it does not depend on what else is drawn. Person 0 to 69 are those of the sets; every other index is a person too,
//! there for tests on persons never seen in training. Sessions 0 and 1 are A and B, 2 (C) is there for the judge.
//!
//! | module | what it holds |
//! |---|---|
//! | `expression` | expressions, action units, orders |
//! | `person` | a person's traits, amplitudes and side of disgust |
//! | `session` | light, place and strength of one session |
//! | `geometry` | brows, lids, lips and jaw, moved by action units |
//! | `measures` | mouth opening and asymmetry, read from the geometry |
//! | `mouth_reader` | the same, read from the pixels of any picture of that person and expression |
//! | `drawing`, `canvas`, `curves`, `colour` | from geometry to pixels |
//! | `noise` | noise and the quality it allows |
//! | `named` | the sets of the research by name, with what they hold out |
//! | `assemble` | from pictures to the set: noise, transforms |
//! | `cache` | pictures on disk |
//!
//! Values of the truth are k/255 with 10 ≤ k ≤ 245. Drawing uses only operations that IEEE 754 defines to the last bit
//! (and a rasteriser in integers), so that the same bytes come out on every machine; [`DRAWING_VERSION`] says which
//! drawing it is, and a test compares it with the pictures. Source: SPEC §3.3.

mod assemble;
mod cache;
mod canvas;
mod colour;
mod curves;
mod drawing;
mod draws;
mod expression;
mod geometry;
mod measures;
mod mouth_reader;
mod named;
mod noise;
mod person;
mod session;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

pub(crate) use assemble::assemble;
pub use expression::{ActionUnit, Expression, FIVE, MMI, SEVEN, UNITS};
pub use measures::{disgust_side, mouth_asymmetry, mouth_opening};
pub use mouth_reader::{MouthReader, MouthReading};
pub use named::{NAMES, NamedSet, named};
pub use noise::{SIGMA, psnr_ceiling_db};
pub use person::Side;
pub use session::MAX_SESSIONS;

use crate::{Combination, Error, Factor, Factors, ImageSet, Result, transforms};
use person::Person;

/// Which drawing this is: the beginning of the SHA-256 of some of its pictures. It changes with every change of any of
/// them, and belongs into whatever is measured on them.
pub const DRAWING_VERSION: &str = "bd5f273dedb32cce";

/// Persons of the sets; others are there for tests.
pub const N_PERSONS: u32 = 70;

/// Smallest and largest pictures, in pixels.
pub const SIZES: std::ops::RangeInclusive<usize> = 16..=1024;

/// What can be chosen about the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacesConfig {
    /// The persons, in the order of the levels of the factor `person`; levels are named by their number, from 0.
    pub persons: Vec<u32>,
    /// Persons that have a level but no picture, as in the research's sets whose one-hot vectors are longer than the
    /// list of persons used.
    pub left_out: Vec<u32>,
    /// The expressions, in the order of the levels of the factor `emotion`.
    pub expressions: Vec<Expression>,
    /// The sessions; a single one makes no factor.
    pub sessions: Vec<u32>,
    /// How many transforms: 1 (no such factor), 4, 6 or 8.
    pub transforms: usize,
    /// Pixels of a side.
    pub size: usize,
    /// Whether pictures carry noise of [`SIGMA`]; without it they are the truth.
    pub noise: bool,
}

impl Default for FacesConfig {
    /// The KDEF-shaped set: 70 persons, seven expressions, two sessions, upright, 71 pixels, with noise.
    fn default() -> Self {
        Self {
            persons: (0..N_PERSONS).collect(),
            left_out: Vec::new(),
            expressions: SEVEN.to_vec(),
            sessions: vec![0, 1],
            transforms: 1,
            size: 71,
            noise: true,
        }
    }
}

impl FacesConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// A list is empty or names something twice, somebody is left out who is not in the list (or everybody is), a
    /// session, the size or the number of transforms does not exist.
    pub fn validate(&self) -> Result<()> {
        check_list("persons", &self.persons, "a person's index", |person| person.to_string())?;
        check_list("expressions", &self.expressions, "an expression", |expression| expression.name().to_owned())?;
        check_list("sessions", &self.sessions, "a session", |session| session.to_string())?;
        let setting = |setting, found: String, expected: String| Err(Error::Setting { setting, found, expected });
        if let Some(person) = self.left_out.iter().find(|person| !self.persons.contains(person)) {
            return setting("left_out", person.to_string(), "only indices that `persons` names".to_owned());
        }
        if self.persons.iter().all(|person| self.left_out.contains(person)) {
            let found = format!("all {} persons", self.persons.len());
            return setting("left_out", found, "somebody to remain".to_owned());
        }
        for &session in &self.sessions {
            check_session(session)?;
        }
        check_size(self.size)?;
        if self.transforms != 1 && transforms::levels(self.transforms).is_err() {
            return setting("transforms", self.transforms.to_string(), "1, 4, 6 or 8".to_owned());
        }
        Ok(())
    }

    /// The factors of the set: person, emotion, session (unless there is one), transform (unless there is one).
    ///
    /// # Errors
    /// As [`FacesConfig::validate`].
    pub fn factors(&self) -> Result<Factors> {
        self.validate()?;
        let mut factors = vec![
            Factor::numbered("person", self.persons.len()),
            Factor::new("emotion", self.expressions.iter().map(|expression| expression.name())),
        ];
        if self.sessions.len() > 1 {
            factors.push(Factor::new("session", self.sessions.iter().map(|&session| session::name(session))));
        }
        if self.transforms > 1 {
            factors.push(transforms::factor(self.transforms)?);
        }
        Factors::new(factors)
    }

    /// The combinations that have a picture, in order: all but those of the persons left out.
    ///
    /// # Errors
    /// As [`FacesConfig::validate`].
    pub fn combinations(&self) -> Result<Vec<Combination>> {
        let has_picture = |combination: &Combination| {
            let person = combination.level(0).and_then(|level| self.persons.get(level));
            person.is_some_and(|person| !self.left_out.contains(person))
        };
        Ok(self.factors()?.combinations().filter(has_picture).collect())
    }

    /// What is drawn: every picture of the set before any transform, in the order of the combinations.
    pub(crate) fn photos(&self) -> Vec<Photo> {
        let persons = self.persons.iter().filter(|person| !self.left_out.contains(person));
        persons
            .flat_map(|&person| {
                self.expressions.iter().flat_map(move |&expression| {
                    self.sessions.iter().map(move |&session| Photo { person, expression, session })
                })
            })
            .collect()
    }
}

/// What names one picture before any transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Photo {
    pub person: u32,
    pub expression: Expression,
    pub session: u32,
}

impl Photo {
    /// A number for the picture among those of the person, whatever set it is in.
    fn number(&self) -> u64 {
        u64::from(self.session) * SEVEN.len() as u64 + self.expression as u64
    }
}

/// Draws the set.
///
/// # Shapes
/// images N × 3 × size × size in \[0, 1\], in the order of [`FacesConfig::combinations`]; no masks.
///
/// # Errors
/// As [`FacesConfig::validate`].
pub fn build(config: &FacesConfig) -> Result<ImageSet> {
    config.validate()?;
    let photos = config.photos();
    assemble_all(config, &photos, &draw_all(&photos, config.size))
}

/// As [`build`], but keeps the drawn pictures in a file of the folder and takes them from there the next time. The
/// file's name holds [`DRAWING_VERSION`] and a hash of what is drawn; a broken file is drawn anew.
///
/// # Errors
/// As [`build`], or the file cannot be read or written.
pub fn build_cached(config: &FacesConfig, folder: &Path) -> Result<ImageSet> {
    config.validate()?;
    let photos = config.photos();
    let path = cache::path(folder, &photos, config.size);
    let truth = match cache::read(&path, photos.len() * 3 * config.size * config.size)? {
        Some(truth) => truth,
        None => {
            let truth = draw_all(&photos, config.size);
            cache::write(&path, &truth)?;
            truth
        }
    };
    assemble_all(config, &photos, &truth)
}

/// The set from all of its drawn pictures.
fn assemble_all(config: &FacesConfig, photos: &[Photo], truth: &[u8]) -> Result<ImageSet> {
    let pictures = truth.chunks_exact(3 * config.size * config.size);
    assemble(config, &photos.iter().copied().zip(pictures).collect::<Vec<_>>())
}

/// One picture without noise or transform.
///
/// # Shapes
/// 3 × size × size in \[0, 1\].
///
/// # Errors
/// The session or the size does not exist.
pub fn truth(person: u32, expression: Expression, session: u32, size: usize) -> Result<Vec<f32>> {
    let config = FacesConfig {
        persons: vec![person],
        expressions: vec![expression],
        sessions: vec![session],
        size,
        noise: false,
        ..FacesConfig::default()
    };
    Ok(build(&config)?.images)
}

fn check_list<T: Ord>(setting: &'static str, list: &[T], what: &str, name: impl Fn(&T) -> String) -> Result<()> {
    let refuse = |found, expected| Err(Error::Setting { setting, found, expected });
    if list.is_empty() {
        return refuse("an empty list".to_owned(), format!("{what} at least"));
    }
    let mut seen = BTreeSet::new();
    match list.iter().find(|&entry| !seen.insert(entry)) {
        Some(entry) => refuse(format!("{} twice", name(entry)), format!("each of the {setting} once")),
        None => Ok(()),
    }
}

fn check_session(session: u32) -> Result<()> {
    if session < MAX_SESSIONS {
        return Ok(());
    }
    let expected = format!("numbers below {MAX_SESSIONS}; 0 is A");
    Err(Error::Setting { setting: "sessions", found: session.to_string(), expected })
}

fn check_size(size: usize) -> Result<()> {
    if SIZES.contains(&size) {
        return Ok(());
    }
    let expected = format!("{} to {} pixels", SIZES.start(), SIZES.end());
    Err(Error::Setting { setting: "size", found: size.to_string(), expected })
}

/// Draws pictures on all cores, one after the other in memory.
fn draw_all(photos: &[Photo], size: usize) -> Vec<u8> {
    let picture_len = 3 * size * size;
    let mut pixels = vec![0; photos.len() * picture_len];
    let slots: Vec<Mutex<&mut [u8]>> = pixels.chunks_exact_mut(picture_len).map(Mutex::new).collect();
    let next = AtomicUsize::new(0);
    let draw = || {
        let mut person: Option<Person> = None;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(photo), Some(slot)) = (photos.get(index), slots.get(index)) else { return };
            let person = match person.take_if(|person| person.index == photo.person) {
                Some(same) => person.insert(same),
                None => person.insert(Person::new(photo.person)),
            };
            let picture = drawing::draw(person, photo.expression, photo.session, size);
            slot.lock().unwrap_or_else(PoisonError::into_inner).copy_from_slice(&picture);
        }
    };
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(photos.len());
    std::thread::scope(|scope| {
        for _ in 1..n_threads {
            scope.spawn(draw);
        }
        draw();
    });
    pixels
}

#[cfg(test)]
mod tests;
