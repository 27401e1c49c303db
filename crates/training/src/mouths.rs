//! The mouths of drawn faces: known of the truth, read from generated images (SPEC §8, claims 3 and 4).

use std::collections::BTreeMap;

use multigen_data::sets::faces::{self, Expression, FacesConfig, MouthReader};
use multigen_data::{ImageSet, transforms};
use multigen_measure::{MEAN_PERSON, MOUTH_ASYMMETRY, MOUTH_OPENING, MOUTH_READ, MetricRow};
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

    /// What is read from images of the same combinations, and for each whether it could be read: what shows no mouth of
    /// its expression has neither opening nor asymmetry.
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
            let is_read = reading.is_reliable();
            rows.push(self.row(subject, index, MOUTH_READ, f64::from(u8::from(is_read))));
            if is_read {
                let asymmetry = f64::from(reading.asymmetry * faces::disgust_side(shown.person).sign());
                rows.extend(self.rows(subject, index, [f64::from(reading.opening), asymmetry]));
            }
        }
        Ok(rows)
    }

    fn rows(&self, subject: Subject, index: usize, [opening, asymmetry]: [f64; 2]) -> [MetricRow; 2] {
        [(MOUTH_OPENING, opening), (MOUTH_ASYMMETRY, asymmetry)]
            .map(|(metric, value)| self.row(subject, index, metric, value))
    }

    fn row(&self, subject: Subject, index: usize, metric: &str, value: f64) -> MetricRow {
        MetricRow {
            experiment: subject.experiment.to_owned(),
            model: subject.model.to_owned(),
            seed: Some(subject.seed),
            set: subject.set.to_owned(),
            combination: self.set.label(index).unwrap_or_default(),
            metric: metric.to_owned(),
            value,
        }
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
    use ndarray::Axis;

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
        // Two persons, two of three expressions, four transforms: whether it was read, and two measures; the two known
        // ones also of the mean person.
        assert_eq!((read.len(), known.len()), (48, 64));
        let (readable, read): (Vec<_>, Vec<_>) = read.into_iter().partition(|row| row.metric == MOUTH_READ);
        assert_eq!(readable.iter().map(|row| row.value).collect::<Vec<_>>(), [1.0; 16]);
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

    #[test]
    fn what_shows_no_mouth_of_its_expression_is_counted_and_has_no_figure() {
        let expressions = vec![Expression::Happy, Expression::Surprise, Expression::Disgust];
        let config = FacesConfig {
            persons: vec![3],
            left_out: vec![],
            expressions,
            sessions: vec![0],
            transforms: 1,
            size: 71,
            noise: false,
        };
        let set = faces::build(&config).unwrap();
        let mut images = crate::evaluate::truth(&set, &[0, 1, 2]).unwrap();
        // What ought to be a surprise is half happy and half disgusted.
        let faded = (&images.index_axis(Axis(0), 0) + &images.index_axis(Axis(0), 2)) / 2.0;
        images.index_axis_mut(Axis(0), 1).assign(&faded);
        let subject = Subject { experiment: "e", model: "m", seed: 0, set: "s" };
        let rows = Mouths::new(&config, &set, &[0, 1, 2]).read(subject, &images).unwrap();
        let of = |metric: &str| rows.iter().filter(|row| row.metric == metric).collect::<Vec<_>>();
        assert_eq!(of(MOUTH_READ).iter().map(|row| row.value).collect::<Vec<_>>(), [1.0, 0.0, 1.0]);
        for metric in [MOUTH_OPENING, MOUTH_ASYMMETRY] {
            assert!(of(metric).len() == 2 && of(metric).iter().all(|row| !row.combination.contains("surprise")));
        }
    }
}
