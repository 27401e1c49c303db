//! The face sets of the research by name: who is in them, and what they hold out.
//!
//! | name | persons | emotions | sessions | transforms | left out | training images |
//! |---|---|---|---|---|---|---|
//! | `kdef-3emo` | 70 levels, 63 used | DI HA SU | 2 | 6 | 0 14 23 27 28 42 52 | 2,230; at 71 pixels 2,254 |
//! | `kdef-4emo` | 65 | DI HA SU NE | 2 | 4 | 18 19 25 42 52 | 2,012 |
//! | `kdef-4emo-split` | 65 | the same | A; B tests | 4 | the same | 1,006; B 1,040 |
//! | `kdef-5emo` | 65 | DI HA SU NE SA | 2 | 6 | the same | 3,720, test 180 |
//! | `kdef-7emo` | 70 levels, 65 used | seven | 2 | 4 | the same | 3,512, test 128 |
//! | `mmi`, `mmi-small` | 7 | seven | – | 6 | – | 287 |
//!
//! In the sets of 65 persons levels are counted after those left out are removed. A pair (person, emotion) holds out
//! every transform and session; a triple names the transform as well. A held-out set is named
//! `PERSON-EMOTION` or `PERSON-EMOTION-TRANSFORM`. Source: SPEC §3.2; that the persons of `kdef-7emo` keep their
//! original numbers is our reading of its test person 68.

use super::expression::{FIVE, MMI, SEVEN};
use super::{Expression, FacesConfig, N_PERSONS};
use crate::held_out::{HeldOut, Rule};
use crate::{Error, Result, transforms};

/// The names of the sets.
pub const NAMES: [&str; 7] =
    ["kdef-3emo", "kdef-4emo", "kdef-4emo-split", "kdef-5emo", "kdef-7emo", "mmi", "mmi-small"];

const LEFT_OUT_3: [u32; 7] = [0, 14, 23, 27, 28, 42, 52];
const LEFT_OUT_4: [u32; 5] = [18, 19, 25, 42, 52];

/// A set, what is held out of it, and a second set for tests where there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedSet {
    /// What is drawn.
    pub config: FacesConfig,
    /// What of it is held out of training.
    pub held_out: Vec<HeldOut>,
    /// Pictures of another session, for tests only.
    pub test: Option<FacesConfig>,
}

/// The set of this name with pictures of this size, with noise.
///
/// # Errors
/// There is no set of this name, or the size is not possible.
pub fn named(name: &str, size: usize) -> Result<NamedSet> {
    let base = FacesConfig { size, ..FacesConfig::default() };
    let kept: Vec<u32> = (0..N_PERSONS).filter(|person| !LEFT_OUT_4.contains(person)).collect();
    let four = FacesConfig { persons: kept, expressions: FIVE[..4].to_vec(), transforms: 4, ..base.clone() };
    let mut test = None;
    let (config, cells): (FacesConfig, Vec<Cell>) = match name {
        "kdef-3emo" => {
            let expressions = FIVE[..3].to_vec();
            let config = FacesConfig { left_out: LEFT_OUT_3.to_vec(), expressions, transforms: 6, ..base };
            let mut cells = vec![Cell::pair(37, 2), Cell::triple(4, 0, 1)];
            // The research's networks of 71 pixels held out only these two.
            if size != 71 {
                cells.extend([Cell::pair(56, 1), Cell::pair(55, 0)]);
            }
            (config, cells)
        }
        "kdef-4emo" => (four, four_emotions()),
        "kdef-4emo-split" => {
            test = Some(FacesConfig { sessions: vec![1], ..four.clone() });
            (FacesConfig { sessions: vec![0], ..four }, four_emotions())
        }
        "kdef-5emo" => {
            let persons = (4..=48).step_by(4).chain([56, 60, 64]);
            let cells = persons.enumerate().map(|(place, person)| Cell::pair(person, place % 5)).collect();
            (FacesConfig { expressions: FIVE.to_vec(), transforms: 6, ..four }, cells)
        }
        "kdef-7emo" => {
            let persons = (4..=48).step_by(4).chain([56, 60, 64, 68]);
            let cells = persons.enumerate().map(|(place, person)| Cell::pair(person, place % 7)).collect();
            (FacesConfig { left_out: LEFT_OUT_4.to_vec(), expressions: SEVEN.to_vec(), transforms: 4, ..base }, cells)
        }
        "mmi" => (mmi(base), vec![Cell::pair(3, 3), Cell::triple(5, 0, 1)]),
        "mmi-small" => (mmi(base), vec![Cell::pair(3, 6), Cell::triple(4, 4, 1)]),
        _ => {
            let (found, expected) = (format!("`{name}`"), NAMES.join(", "));
            return Err(Error::Setting { setting: "faces set", found, expected });
        }
    };
    config.validate()?;
    let held_out = cells.iter().map(|cell| cell.rule(&config.expressions)).collect();
    Ok(NamedSet { config, held_out, test })
}

fn mmi(base: FacesConfig) -> FacesConfig {
    FacesConfig { persons: (0..7).collect(), expressions: MMI.to_vec(), sessions: vec![0], transforms: 6, ..base }
}

fn four_emotions() -> Vec<Cell> {
    let mut cells = vec![Cell::triple(4, 0, 1), Cell::triple(36, 1, 2)];
    let pairs = [(41, 0), (46, 0), (56, 1), (63, 1), (34, 2), (48, 2), (9, 3), (28, 3)];
    cells.extend(pairs.map(|(person, emotion)| Cell::pair(person, emotion)));
    cells
}

/// Level numbers of a held-out pair or triple.
struct Cell {
    person: usize,
    emotion: usize,
    transform: Option<usize>,
}

impl Cell {
    fn pair(person: usize, emotion: usize) -> Self {
        Self { person, emotion, transform: None }
    }

    fn triple(person: usize, emotion: usize, transform: usize) -> Self {
        Self { person, emotion, transform: Some(transform) }
    }

    fn rule(&self, expressions: &[Expression]) -> HeldOut {
        let emotion = expressions[self.emotion].name();
        let mut name = format!("{}-{emotion}", self.person);
        let mut levels = vec![("person", self.person.to_string()), ("emotion", emotion.to_owned())];
        if let Some(transform) = self.transform {
            let transform = transforms::SIX[transform].name();
            name = format!("{name}-{transform}");
            levels.push(("transform", transform.to_owned()));
        }
        let levels = levels.into_iter().map(|(factor, level)| (factor.to_owned(), level.as_str().into())).collect();
        HeldOut { name, rule: Rule::Where(levels) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Combination, Split};

    fn split(set: &NamedSet) -> (Vec<Combination>, Split) {
        let combinations = set.config.combinations().unwrap();
        let split = Split::new(&set.config.factors().unwrap(), &combinations, &set.held_out).unwrap();
        (combinations, split)
    }

    #[test]
    fn the_numbers_of_training_images_are_the_researchs() {
        for (name, size, n_train, n_held_out) in [
            ("kdef-3emo", 158, 2_230, 38),
            ("kdef-3emo", 71, 2_254, 14),
            ("kdef-4emo", 71, 2_012, 68),
            ("kdef-4emo-split", 71, 1_006, 34),
            ("kdef-5emo", 158, 3_720, 180),
            ("kdef-7emo", 158, 3_512, 128),
            ("mmi", 158, 287, 7),
            ("mmi-small", 71, 287, 7),
        ] {
            let set = named(name, size).unwrap();
            let (combinations, split) = split(&set);
            assert_eq!(split.train.len(), n_train, "{name} at {size}");
            assert_eq!(combinations.len() - n_train, n_held_out, "{name} at {size}");
            // No image is in two held-out sets.
            assert_eq!(split.held_out.iter().map(|(_, indices)| indices.len()).sum::<usize>(), n_held_out);
        }
        let test = named("kdef-4emo-split", 71).unwrap().test.unwrap();
        assert_eq!(test.combinations().unwrap().len(), 1_040);
        assert_eq!(test.sessions, [1]);
    }

    #[test]
    fn who_is_left_out_and_what_is_held_out() {
        let three = named("kdef-3emo", 158).unwrap();
        assert_eq!(three.config.factors().unwrap().n_levels(), [70, 3, 2, 6]);
        let used: Vec<usize> = {
            let mut persons: Vec<usize> = split(&three).0.iter().map(|combination| combination[0]).collect();
            persons.dedup();
            persons
        };
        assert_eq!(used.len(), 63);
        assert!([0, 14, 23, 27, 28, 42, 52].iter().all(|person| !used.contains(person)));
        let names = |set: &NamedSet| set.held_out.iter().map(|rule| rule.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&three), ["37-surprise", "4-disgust-rotate-90", "56-happy", "55-disgust"]);

        let four = named("kdef-4emo", 158).unwrap();
        assert_eq!(four.config.factors().unwrap().n_levels(), [65, 4, 2, 4]);
        // Counted after removal: level 18 is person 20.
        assert_eq!(four.config.persons[17..20], [17, 20, 21]);
        assert_eq!(names(&four)[9], "28-neutral");
        assert_eq!(named("kdef-4emo-split", 71).unwrap().config.factors().unwrap().n_levels(), [65, 4, 4]);
        assert_eq!(named("kdef-5emo", 71).unwrap().config.factors().unwrap().n_levels(), [65, 5, 2, 6]);
        assert_eq!(names(&named("kdef-5emo", 71).unwrap())[5], "24-disgust");

        let seven = named("kdef-7emo", 71).unwrap();
        assert_eq!(seven.config.factors().unwrap().n_levels(), [70, 7, 2, 4]);
        assert_eq!(names(&seven)[15], "68-disgust");
        let mmi = named("mmi", 158).unwrap();
        assert_eq!(mmi.config.factors().unwrap().n_levels(), [7, 7, 6]);
        assert_eq!(names(&mmi), ["3-surprise", "5-neutral-rotate-90"]);
        assert_eq!(names(&named("mmi-small", 71).unwrap()), ["3-sad", "4-angry-rotate-90"]);
    }

    #[test]
    fn other_names_are_refused_in_one_line() {
        let message = named("kdef", 71).unwrap_err().to_string();
        assert!(message.starts_with("faces set = `kdef`: expected kdef-3emo, kdef-4emo"), "{message}");
        for name in NAMES {
            assert!(named(name, 71).is_ok());
            assert!(named(name, 3).unwrap_err().to_string().starts_with("size = 3: expected"));
        }
    }
}
