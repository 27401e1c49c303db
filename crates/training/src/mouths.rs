//! The mouths of drawn faces: known of the truth, read from generated images (SPEC §8, claims 3 and 4).

use std::collections::BTreeMap;

use multigen_data::sets::faces::{self, Expression, FacesConfig, MouthReader};
use multigen_data::{ImageSet, transforms};
use multigen_measure::{MEAN_PERSON, MOUTH_ASYMMETRY, MOUTH_OPENING, MetricRow};
use ndarray::Array4;

use crate::evaluate::Subject;
use crate::{Error, Result};

/// The expressions whose mouths are measured: those that open it, and the one that raises it unevenly.
const MEASURED: [Expression; 3] = [Expression::Surprise, Expression::Happy, Expression::Disgust];

/// What one image of a set of drawn faces shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    person: u32,
    /// Place in [`MEASURED`].
    expression: usize,
    session: u32,
}

impl Shown {
    fn expression(&self) -> Expression {
        MEASURED[self.expression]
    }
}

/// The mouths of one set of images.
pub(crate) struct Mouths<'a> {
    config: &'a FacesConfig,
    set: &'a ImageSet,
    indices: &'a [usize],
    /// Drawing what a mouth is compared with takes much longer than comparing.
    readers: BTreeMap<Shown, MouthReader>,
}

impl<'a> Mouths<'a> {
    /// Of these images of a set that was drawn by this configuration.
    pub(crate) fn new(config: &'a FacesConfig, set: &'a ImageSet, indices: &'a [usize]) -> Self {
        Self { config, set, indices, readers: BTreeMap::new() }
    }

    /// What is known of the true mouths, and of the mean person's: the mean over all others with the same expression.
    pub(crate) fn known(&self, subject: Subject, truth: &str) -> Result<Vec<MetricRow>> {
        let mut rows = Vec::new();
        // A person's geometry is the same in all transforms, and everybody's is asked for by everybody else's mean.
        let mut drawn = BTreeMap::new();
        let mut known = |shown| *drawn.entry(shown).or_insert_with(|| known(shown));
        for &index in self.indices {
            let Some(shown) = self.shown(index)? else { continue };
            rows.extend(self.rows(Subject { model: truth, ..subject }, index, known(shown)));
            let others = self.config.persons.iter().filter(|&&person| person != shown.person);
            let others = others.filter(|person| !self.config.left_out.contains(person));
            let (mut sum, mut n) = ([0.0; 2], 0.0);
            for &person in others {
                let [opening, asymmetry] = known(Shown { person, ..shown });
                (sum, n) = ([sum[0] + opening, sum[1] + asymmetry], n + 1.0);
            }
            if n > 0.0 {
                let mean = sum.map(|sum| sum / n);
                rows.extend(self.rows(Subject { model: MEAN_PERSON, ..subject }, index, mean));
            }
        }
        Ok(rows)
    }

    /// What is read from images of the same combinations.
    pub(crate) fn read(&mut self, subject: Subject, images: &Array4<f32>) -> Result<Vec<MetricRow>> {
        let transform_place = self.set.factors.position("transform").ok();
        let all = match transform_place {
            Some(_) => transforms::levels(self.config.transforms)?,
            None => &transforms::SIX[..1],
        };
        let mut rows = Vec::new();
        for (&index, image) in self.indices.iter().zip(images.outer_iter()) {
            let Some(shown) = self.shown(index)? else { continue };
            let level = transform_place.and_then(|place| self.set.combinations.get(index)?.level(place)).unwrap_or(0);
            let pixels: Vec<f32> = image.iter().copied().collect();
            let upright = match all.get(level) {
                Some(transform) => transform.inverse().apply(self.config.size, &pixels),
                None => pixels,
            };
            let reader = match self.readers.entry(shown) {
                std::collections::btree_map::Entry::Occupied(reader) => reader.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(MouthReader::new(shown.person, shown.expression(), shown.session, self.config.size)?)
                }
            };
            let reading = reader.read(&upright)?;
            let asymmetry = f64::from(reading.asymmetry * faces::disgust_side(shown.person).sign());
            rows.extend(self.rows(subject, index, [f64::from(reading.opening), asymmetry]));
        }
        Ok(rows)
    }

    fn rows(&self, subject: Subject, index: usize, figures: [f64; 2]) -> Vec<MetricRow> {
        let combination = self.set.label(index).unwrap_or_default();
        [MOUTH_OPENING, MOUTH_ASYMMETRY]
            .into_iter()
            .zip(figures)
            .map(|(metric, value)| MetricRow {
                experiment: subject.experiment.to_owned(),
                model: subject.model.to_owned(),
                seed: Some(subject.seed),
                set: subject.set.to_owned(),
                combination: combination.clone(),
                metric: metric.to_owned(),
                value,
            })
            .collect()
    }

    /// What an image shows, where its mouth is measured.
    fn shown(&self, index: usize) -> Result<Option<Shown>> {
        let missing = || Error::config("faces", format!("image {index} has other factors than the drawn faces"));
        let combination = self.set.combinations.get(index).ok_or_else(missing)?;
        let level = |factor: &str| Ok::<_, Error>(combination.level(self.set.factors.position(factor)?));
        let person = level("person")?.and_then(|level| self.config.persons.get(level)).ok_or_else(missing)?;
        let expression = level("emotion")?.and_then(|level| self.config.expressions.get(level)).ok_or_else(missing)?;
        // A set of one session has no such factor.
        let session = level("session").ok().flatten().unwrap_or(0);
        let session = self.config.sessions.get(session).ok_or_else(missing)?;
        let expression = MEASURED.iter().position(|measured| measured == expression);
        Ok(expression.map(|expression| Shown { person: *person, expression, session: *session }))
    }
}

/// Opening, and asymmetry counted towards the side on which the person raises the lip more.
fn known(shown: Shown) -> [f64; 2] {
    let Shown { person, session, .. } = shown;
    let asymmetry = faces::mouth_asymmetry(person, shown.expression(), session) * faces::disgust_side(person).sign();
    [f64::from(faces::mouth_opening(person, shown.expression(), session)), f64::from(asymmetry)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn true_mouths_are_read_as_they_are_known_in_every_transform_and_neutral_ones_are_left_out() {
        let config = FacesConfig {
            persons: vec![3, 5, 8],
            left_out: vec![8],
            expressions: vec![Expression::Neutral, Expression::Surprise, Expression::Disgust],
            sessions: vec![0],
            transforms: 4,
            size: 71,
            noise: false,
        };
        let set = faces::build(&config).unwrap();
        let indices: Vec<usize> = (0..set.len()).collect();
        let mut mouths = Mouths::new(&config, &set, &indices);
        let subject = Subject { experiment: "e", model: "m", seed: 0, set: "s" };
        let read = mouths.read(subject, &crate::evaluate::truth(&set, &indices).unwrap()).unwrap();
        let known = mouths.known(subject, "truth").unwrap();
        // Two persons, two of three expressions, four transforms, two measures; the known ones also of the mean person.
        assert_eq!((read.len(), known.len()), (32, 64));
        let of = |model: &'static str| known.iter().filter(move |row| row.model == model);
        for (read, known) in read.iter().zip(of("truth")) {
            assert_eq!((&read.combination, &read.metric), (&known.combination, &known.metric));
            assert!((read.value - known.value).abs() < 0.005, "{read:?} {known:?}");
        }
        // Person 8 has no picture, so the mean of all others is the one other person.
        let opening = |person, row: &MetricRow| {
            let expected = faces::mouth_opening(person, Expression::Surprise, 0);
            (row.value - f64::from(expected)).abs() < 1e-6
        };
        let surprise = |row: &&MetricRow| row.metric == MOUTH_OPENING && row.combination.contains("surprise");
        assert!(
            of(MEAN_PERSON)
                .filter(surprise)
                .all(|row| { opening(if row.combination.contains("person=0") { 5 } else { 3 }, row) })
        );
    }
}
