//! What classifiers are tested on: real images, none of which any arm has trained on.

use multigen_data::ImageSet;

use super::lot::{Lot, part};
use super::{Classification, TestsConfig};
use crate::dataset::Data;
use crate::{Error, Result};

/// The images of one test, and what is read off them.
pub(super) struct TestSet {
    /// The name under which figures stand.
    pub name: String,
    /// The images.
    pub set: ImageSet,
    /// The factors that are read and mean the same here as in training.
    pub reads: Vec<String>,
}

/// The tests that are the same for all seeds, and what is to be said of those that cannot be had.
///
/// # Errors
/// When a session is asked for that training sees, or images cannot be drawn.
pub(super) fn of_all_seeds(
    experiment: &Classification,
    data: &Data,
    reads: &[String],
) -> Result<(Vec<TestSet>, Vec<String>)> {
    let TestsConfig { session, unseen_persons, .. } = experiment.tests;
    let (mut tests, mut notes) = (Vec::new(), Vec::new());
    if let Some(session) = session {
        let name = format!("session {}", session_name(session));
        match data.in_session(session)? {
            Some(set) => tests.push(test(name, set, data, reads)?),
            None => notes.push(format!("Test {name} left out: these images have no such session.")),
        }
    }
    if unseen_persons > 0 {
        match data.unseen_persons(unseen_persons, experiment.draw.upright)? {
            Some(set) => tests.push(test("unseen persons".to_owned(), set, data, reads)?),
            None => notes.push("Test unseen persons left out: only drawn faces have persons in no set.".to_owned()),
        }
    }
    Ok((tests, notes))
}

/// The tests on images of the set itself, which a seed may choose.
///
/// # Errors
/// When nothing is held out although it is to be tested.
pub(super) fn of_seed(experiment: &Classification, data: &Data, lot: &Lot, reads: &[String]) -> Result<Vec<TestSet>> {
    let mut tests = Vec::new();
    for (name, asked, images) in [
        ("held-out", experiment.tests.held_out, lot.held_out()),
        ("persons not drawn", experiment.tests.persons_not_drawn, lot.of_other_persons()),
    ] {
        if !asked {
            continue;
        }
        if images.is_empty() {
            return Err(Error::config("tests", format!("'{name}' holds no image; expected at least one")));
        }
        tests.push(test(name.to_owned(), part(data.set(), &images)?, data, reads)?);
    }
    Ok(tests)
}

/// A name for each session, as the drawing has it: 0 is A.
fn session_name(session: u32) -> String {
    char::from_u32(u32::from(b'A') + session).map_or_else(|| session.to_string(), String::from)
}

/// A test of the factors whose levels are those of the training set: a person who is in no set has none of its levels.
fn test(name: String, set: ImageSet, data: &Data, reads: &[String]) -> Result<TestSet> {
    let of_training = &data.set().factors;
    let means_the_same = |factor: &&String| {
        let level_names = |factors: &multigen_data::Factors| {
            factors.position(factor).ok().map(|place| factors.as_slice()[place].levels.clone())
        };
        level_names(&set.factors).is_some_and(|levels| Some(levels) == level_names(of_training))
    };
    let reads: Vec<String> = reads.iter().filter(means_the_same).cloned().collect();
    if reads.is_empty() {
        return Err(Error::config("tests", format!("'{name}' shows none of the factors that are read")));
    }
    Ok(TestSet { name, set, reads })
}
