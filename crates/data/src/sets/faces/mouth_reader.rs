//! The opening and the asymmetry of a mouth, read from the pixels of a picture by analysis by synthesis.
//!
//! Of a drawn picture both are known (see `measures`); of a picture that a network made they have to be read. The reader
//! draws the same person, expression and session with other mouths and asks which of them looks most like the picture:
//!
//! - *opening*: the units that part the lips in the expression (25, 26, 27) from not at all to [`WIDEST`] times their
//!   full strength or the person's own, whichever is more; where an expression has none of them, 25 alone;
//! - *asymmetry*: the unevenness of the raised lip up to [`MOST_UNEVEN`] times the person's own, to either side. Without
//!   a raised lip there is nothing that could be uneven, and it reads 0.
//!
//! The best candidate has the smallest squared error over the pixels in which candidates differ. A parabola through its
//! error and those of its two neighbours, on each axis, tells what lies between. What a mouth does not decide is left
//! free: the mean of each colour, and one contrast for all of them within [`CONTRASTS`], are the picture's own.
//!
//! Picture and candidates are smoothed first, by a tent of [`REACH`]. A generated mouth is often an average of several.
//! Unsmoothed, an edge that is off by one pixel costs as much as one that is off by five, and an average of two mouths
//! looks like either of them; smoothed as widely as mouths differ, it looks like the mouth between. Candidates are also
//! smoothed wider ([`WIDER`]), so that a blurred picture finds a candidate as blurred as itself.
//!
//! At 71 pixels the opening of a true picture, with noise or without, is read to 0.005 face heights (a third of a pixel),
//! its asymmetry to 0.0025. A blur with a standard deviation of 1.6 pixels moves the opening by at most 0.02, mostly
//! upwards, on the average by 0.004; the tests hold these bounds. The reader knows one face: an average over several
//! persons, or the person in another session, lies elsewhere in the picture and is not read right. The opening of a mean
//! person is the mean of the known ones.
//!
//! Not every picture shows a mouth that can be drawn: a generator may cross-fade the mouths of two other expressions, and
//! the best of the wrong candidates says nothing about it. So a reading also tells its *misfit* and whether it lies at an
//! end of what was drawn. [`MOST_MISFIT`] was set between two groups, in 24 persons at 71 pixels: true pictures, noisy or
//! blurred, mouths of half and of one and a half times the opening, and averages of these have a misfit of at most 0.025
//! (two of 240 lie above 0.02); halves of two other expressions of the person start at 0.022 where happiness or disgust is
//! read. Where surprise is read, 25 of 360 such halves pass, nearly all of fear, sadness and rest: little or nothing opens
//! the mouth there, and that is what is read.
//!
//! Pictures are upright: of a transformed one take `transform.inverse().apply(size, image)`.

use super::canvas::FACE_SIZE;
use super::drawing;
use super::expression::{ActionUnit, Expression, Intensities};
use super::geometry::{Geometry, Mouth};
use super::measures::{asymmetry_of, opening_of};
use super::person::Person;
use super::session::Session;
use super::{check_session, check_size};
use crate::{Error, Result};

/// How far the smoothing reaches, in face heights.
const REACH: f32 = 0.08;
/// Candidates are smoothed so much wider than the picture: not at all, a little, more.
const WIDER: [f32; 3] = [1.0, 1.2, 1.4];
/// Units that part the lips.
const OPENERS: [ActionUnit; 3] = [ActionUnit::LipsPart, ActionUnit::JawDrop, ActionUnit::MouthStretch];
/// Candidates on the axis of the opening.
const N_OPENINGS: usize = 13;
/// The widest candidate: intensities up to this, or up to this many times the person's own.
const WIDEST: f32 = 2.0;
/// Candidates on the axis of the asymmetry, an odd number so that an even mouth is among them.
const N_ASYMMETRIES: usize = 9;
/// The most uneven candidates, in the person's own asymmetry, to both sides.
const MOST_UNEVEN: f32 = 1.5;
/// The contrast that a picture may have, relative to the drawing.
const CONTRASTS: [f64; 2] = [0.7, 1.4];

/// The greatest [`MouthReading::misfit`] of a reading that can be relied on, in face heights.
const MOST_MISFIT: f32 = 0.02;

/// What a mouth looks like, in face heights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MouthReading {
    /// As [`mouth_opening`](super::mouth_opening) means it.
    pub opening: f32,
    /// As [`mouth_asymmetry`](super::mouth_asymmetry) means it: positive where the right of the picture is raised more.
    pub asymmetry: f32,
    /// How much of the picture the best candidate leaves unexplained: the difference between two openings that would look
    /// as different, in face heights.
    pub misfit: f32,
    /// Whether the best candidate is the widest or one of the two most uneven, beyond which nothing was drawn. A closed
    /// mouth is no such end: there is nothing beyond it.
    pub is_at_end: bool,
}

impl MouthReading {
    /// Whether the picture shows a mouth that the reader can draw. Where it does not, the best of the wrong candidates is
    /// no measure of anything.
    #[must_use]
    pub fn is_reliable(&self) -> bool {
        !self.is_at_end && self.misfit <= MOST_MISFIT
    }
}

/// Reads the mouths of pictures that are to show one person with one expression in one session.
#[derive(Debug, Clone)]
pub struct MouthReader {
    size: usize,
    smoothing: Smoothing,
    /// The openings and asymmetries of the candidates, ascending.
    openings: Vec<f32>,
    asymmetries: Vec<f32>,
    window: Window,
    /// All asymmetries of the first opening first.
    candidates: Vec<Candidate>,
}

/// One mouth within the window, less the mean of each channel, as smooth as each of [`WIDER`] makes it.
type Candidate = [Vec<f32>; WIDER.len()];

impl MouthReader {
    /// Draws the candidates: 13 pictures (65 ms at 71 pixels), or 13 × 9 where a lip is raised unevenly.
    ///
    /// # Errors
    /// The session or the size does not exist.
    pub fn new(person: u32, expression: Expression, session: u32, size: usize) -> Result<Self> {
        check_session(session)?;
        check_size(size)?;
        let session = Session::new(person, session);
        let person = Person::new(person);
        let opened = opened(&person, person.intensities(expression, session.amplitude));
        let own = opened[0].mouth;
        let skews = skews(&own);
        let uneven = |mouth: Mouth, skew: f32| Mouth { skew, ..mouth };
        let smoothings = WIDER.map(|wider| Smoothing::new(size, wider * REACH));
        let drawn: Vec<Candidate> = opened
            .iter()
            .flat_map(|geometry| skews.iter().map(move |&skew| (geometry, skew)))
            .map(|(geometry, skew)| {
                let geometry = Geometry { mouth: uneven(geometry.mouth, skew), ..geometry.clone() };
                let bytes = drawing::draw_geometry(&person, &geometry, &session, size);
                let picture: Vec<f32> = bytes.into_iter().map(|byte| f32::from(byte) / 255.0).collect();
                smoothings.each_ref().map(|smoothing| smoothing.of(picture.clone()))
            })
            .collect();
        let window = Window::new(3 * size * size, |pixel| {
            drawn.iter().any(|[candidate, ..]| candidate[pixel] != drawn[0][0][pixel])
        });
        let [smoothing, ..] = smoothings;
        Ok(Self {
            size,
            smoothing,
            openings: opened.iter().map(|geometry| opening_of(&geometry.mouth)).collect(),
            asymmetries: skews.iter().map(|&skew| asymmetry_of(&uneven(own, skew))).collect(),
            candidates: drawn.iter().map(|blurs| blurs.each_ref().map(|picture| window.of(picture))).collect(),
            window,
        })
    }

    /// Reads the mouth of an upright picture.
    ///
    /// # Shapes
    /// 3 × size × size in \[0, 1\].
    ///
    /// # Errors
    /// The picture has another size, or values that are not finite.
    pub fn read(&self, image: &[f32]) -> Result<MouthReading> {
        let size = self.size;
        let refuse = |found| {
            let expected = format!("3 × {size} × {size} finite values");
            Err(Error::Setting { setting: "image", found, expected })
        };
        if image.len() != 3 * size * size {
            return refuse(format!("{} values", image.len()));
        }
        if let Some(value) = image.iter().find(|value| !value.is_finite()) {
            return refuse(format!("the value {value}"));
        }
        let seen = self.window.of(&self.smoothing.of(image.to_vec()));
        let error = |blurs: &Candidate| blurs.iter().map(|one| error(&seen, one)).fold(f64::INFINITY, f64::min);
        let errors: Vec<f64> = self.candidates.iter().map(error).collect();
        let best = (0..errors.len()).min_by(|&a, &b| errors[a].total_cmp(&errors[b])).unwrap_or(0);
        let n = self.asymmetries.len();
        let (row, column) = (best / n, best % n);
        let (closed, widest) = (0, self.openings.len() - 1);
        let [[from, ..], [to, ..]] = [closed, widest].map(|row| &self.candidates[row * n + column]);
        let apart: f64 = from.iter().zip(to).map(|(&from, &to)| f64::from(to - from).powi(2)).sum();
        let range = self.openings[widest] - self.openings[closed];
        Ok(MouthReading {
            opening: refined(&self.openings, row, |row| errors[row * n + column]),
            asymmetry: refined(&self.asymmetries, column, |column| errors[row * n + column]),
            // Rounding may leave an error of a perfect fit below 0.
            misfit: range * (errors[best].max(0.0) / apart.max(f64::MIN_POSITIVE)).sqrt() as f32,
            is_at_end: row == widest || (n > 1 && (column == 0 || column + 1 == n)),
        })
    }
}

/// The face with its mouth opened further and further.
fn opened(person: &Person, own: Intensities) -> Vec<Geometry> {
    let shown: Vec<ActionUnit> = OPENERS.into_iter().filter(|&unit| own.of(unit) > 0.0).collect();
    let openers = if shown.is_empty() { &OPENERS[..1] } else { &shown };
    (0..N_OPENINGS)
        .map(|step| {
            let share = step as f32 / (N_OPENINGS - 1) as f32;
            let intensity = |unit| share * WIDEST * own.of(unit).max(1.0);
            Geometry::new(person, openers.iter().fold(own, |units, &unit| units.with(unit, intensity(unit))))
        })
        .collect()
}

/// The skews of the candidates: around 0 for a lip that is raised unevenly, else the one that there is.
fn skews(mouth: &Mouth) -> Vec<f32> {
    let own = mouth.skew.abs();
    if own == 0.0 {
        return vec![0.0];
    }
    // A greater skew lifts the right more, so the asymmetry ascends with it.
    let half = (N_ASYMMETRIES / 2) as f32;
    (0..N_ASYMMETRIES).map(|step| (step as f32 - half) / half * MOST_UNEVEN * own).collect()
}

/// The value at the lowest point of the parabola through the errors of a candidate and its neighbours; the candidate's
/// own at either end.
fn refined(values: &[f32], best: usize, error: impl Fn(usize) -> f64) -> f32 {
    let middle = values[best];
    let (Some(&before), Some(&after)) = (best.checked_sub(1).and_then(|place| values.get(place)), values.get(best + 1))
    else {
        return middle;
    };
    let [left, here, right] = [best - 1, best, best + 1].map(error);
    let bend = left + right - 2.0 * here;
    if bend <= 0.0 {
        return middle;
    }
    // The lowest error is in the middle, so the parabola's lowest point lies within half a step of it.
    let steps = (0.5 * (left - right) / bend) as f32;
    if steps < 0.0 { middle + steps * (middle - before) } else { middle + steps * (after - middle) }
}

/// The squared error between what is seen and a candidate in the contrast that suits it best.
fn error(seen: &[f32], candidate: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let (power, product) = (dot(candidate, candidate), dot(seen, candidate));
    // Σ (seen − c · candidate)² is least at c = product / power.
    let contrast = (product / power.max(f64::MIN_POSITIVE)).clamp(CONTRASTS[0], CONTRASTS[1]);
    dot(seen, seen) - 2.0 * contrast * product + contrast * contrast * power
}

/// Where candidates differ.
#[derive(Debug, Clone)]
struct Window {
    /// Places in 3 × size × size, of each channel its own.
    channels: [Vec<usize>; 3],
}

impl Window {
    /// The pixels of 3 × size × size, `n` in all, for which `differ` holds.
    fn new(n: usize, differ: impl Fn(usize) -> bool) -> Self {
        let channel = |c: usize| (c * n / 3..(c + 1) * n / 3).filter(|&pixel| differ(pixel)).collect();
        Self { channels: [0, 1, 2].map(channel) }
    }

    /// What a picture shows there, less the mean of each channel.
    fn of(&self, picture: &[f32]) -> Vec<f32> {
        let mut seen = Vec::with_capacity(self.channels.iter().map(Vec::len).sum());
        for pixels in &self.channels {
            let mean = pixels.iter().map(|&pixel| picture[pixel]).sum::<f32>() / pixels.len().max(1) as f32;
            seen.extend(pixels.iter().map(|&pixel| picture[pixel] - mean));
        }
        seen
    }
}

/// A tent-shaped blur: no exponential, so that every machine gets the same values.
#[derive(Debug, Clone)]
struct Smoothing {
    size: usize,
    /// (r + 1 − |d|) / (r + 1)² for d = −r … r.
    weights: Vec<f32>,
}

impl Smoothing {
    /// A tent that reaches this far, in face heights.
    fn new(size: usize, reach: f32) -> Self {
        let radius = (reach * FACE_SIZE * size as f32).round().max(1.0) as usize;
        let width = (radius + 1) as f32;
        let weight = |place: usize| (width - place.abs_diff(radius) as f32) / (width * width);
        Self { size, weights: (0..=2 * radius).map(weight).collect() }
    }

    /// The blurred picture; beyond its edges it goes on as at the edge.
    fn of(&self, mut image: Vec<f32>) -> Vec<f32> {
        let size = self.size;
        let mut line = Vec::with_capacity(size);
        for channel in image.chunks_exact_mut(size * size) {
            for row in 0..size {
                self.along(channel, (row * size..(row + 1) * size).step_by(1), &mut line);
            }
            for column in 0..size {
                self.along(channel, (column..size * size).step_by(size), &mut line);
            }
        }
        image
    }

    fn along(&self, channel: &mut [f32], indices: impl Iterator<Item = usize> + Clone, line: &mut Vec<f32>) {
        line.clear();
        line.extend(indices.clone().map(|index| channel[index]));
        let radius = self.weights.len() / 2;
        let last = line.len() - 1;
        for (place, index) in indices.enumerate() {
            let at = |offset: usize| line[(place + offset).saturating_sub(radius).min(last)];
            channel[index] = self.weights.iter().enumerate().map(|(offset, weight)| weight * at(offset)).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::faces::expression::SEVEN;
    use crate::sets::faces::{measures, mouth_asymmetry, mouth_opening, noise, truth};
    use crate::transforms::Transform;

    /// Persons with and without beards, of both sides of disgust, with 26 and with 27, each in one session.
    const CASES: [(u32, u32); 4] = [(0, 0), (7, 1), (41, 1), (63, 2)];

    fn known(person: u32, expression: Expression, session: u32) -> MouthReading {
        MouthReading {
            opening: mouth_opening(person, expression, session),
            asymmetry: mouth_asymmetry(person, expression, session),
            misfit: 0.0,
            is_at_end: false,
        }
    }

    /// A picture whose lips part by a factor, and whose unevenness has another.
    fn with_mouth(person: u32, expression: Expression, session: u32, [opened, skewed]: [f32; 2]) -> Vec<f32> {
        let geometry = measures::geometry(person, expression, session);
        let own = geometry.intensities;
        let units = OPENERS.into_iter().fold(own, |units, unit| units.with(unit, opened * own.of(unit)));
        let person = Person::new(person);
        let mut moved = Geometry::new(&person, units);
        moved.mouth.skew *= skewed;
        let bytes = drawing::draw_geometry(&person, &moved, &Session::new(person.index, session), 71);
        bytes.into_iter().map(|byte| f32::from(byte) / 255.0).collect()
    }

    /// `share` of b, the rest of a.
    fn blend(a: &[f32], b: &[f32], share: f32) -> Vec<f32> {
        a.iter().zip(b).map(|(a, b)| a + share * (b - a)).collect()
    }

    #[test]
    fn true_pictures_are_read_as_what_is_known_of_them_and_blur_moves_them_little() {
        // A tent of radius 2 has the variance 4/3; applied twice, a standard deviation of 1.6 pixels.
        let blur = Smoothing { size: 71, weights: [1.0, 2.0, 3.0, 2.0, 1.0].map(|weight| weight / 9.0).to_vec() };
        let mut shifts = Vec::new();
        for (person, session) in CASES {
            for expression in SEVEN {
                let what = format!("{person} {} {session}", expression.name());
                let reader = MouthReader::new(person, expression, session, 71).unwrap();
                let known = known(person, expression, session);
                let clean = truth(person, expression, session, 71).unwrap();
                let mut noisy = clean.clone();
                noise::add(&mut noisy, person, 0);
                for image in [&clean, &noisy] {
                    let read = reader.read(image).unwrap();
                    assert!((read.opening - known.opening).abs() < 0.005, "{what} {read:?} {known:?}");
                    assert!((read.asymmetry - known.asymmetry).abs() < 0.0025, "{what} {read:?} {known:?}");
                }
                let blurred = reader.read(&blur.of(blur.of(clean))).unwrap();
                shifts.push(blurred.opening - known.opening);
                assert!((blurred.opening - known.opening).abs() < 0.02, "{what} {blurred:?} {known:?}");
                assert!((blurred.asymmetry - known.asymmetry).abs() < 0.006, "{what} {blurred:?} {known:?}");
            }
        }
        let mean = shifts.iter().sum::<f32>() / shifts.len() as f32;
        assert!(mean.abs() < 0.007, "{mean}");
    }

    #[test]
    fn a_blend_of_two_mouths_is_read_between_them() {
        for (person, session) in CASES {
            let reader = MouthReader::new(person, Expression::Surprise, session, 71).unwrap();
            let own = mouth_opening(person, Expression::Surprise, session);
            let [narrow, wide] = [0.5, 1.5].map(|part| with_mouth(person, Expression::Surprise, session, [part, 1.0]));
            let read = |share| reader.read(&blend(&narrow, &wide, share)).unwrap().opening;
            let readings = [0.0, 0.25, 0.5, 0.75, 1.0].map(read);
            assert!(readings.array_windows().all(|[a, b]| a < b), "{person} {readings:?}");
            for (reading, expected) in readings.into_iter().zip([0.5, 0.75, 1.0, 1.25, 1.5]) {
                assert!((reading - expected * own).abs() < 0.2 * own, "{person} {reading} {expected} × {own}");
            }
        }
    }

    #[test]
    fn what_is_no_mouth_of_this_expression_is_told_from_what_is_one() {
        let blur = Smoothing { size: 71, weights: [1.0, 2.0, 3.0, 2.0, 1.0].map(|weight| weight / 9.0).to_vec() };
        for (person, session) in CASES {
            let picture = |expression| truth(person, expression, session, 71).unwrap();
            for expression in [Expression::Surprise, Expression::Happy, Expression::Disgust] {
                let reader = MouthReader::new(person, expression, session, 71).unwrap();
                let what = format!("{person} {}", expression.name());
                let mut noisy = picture(expression);
                noise::add(&mut noisy, person, 0);
                let opened = |part| with_mouth(person, expression, session, [part, 1.0]);
                let [narrow, wide] = [0.5, 1.5].map(opened);
                let between = blend(&opened(0.75), &opened(1.25), 0.5);
                for own in [&noisy, &blur.of(blur.of(picture(expression))), &narrow, &wide, &between] {
                    let reading = reader.read(own).unwrap();
                    assert!(reading.is_reliable(), "{what} {reading:?}");
                }
                // Half of one and half of another expression, of fifteen pairs.
                let others: Vec<Vec<f32>> =
                    SEVEN.into_iter().filter(|&other| other != expression).map(picture).collect();
                let pairs = others.iter().enumerate().flat_map(|(i, a)| others[..i].iter().map(move |b| (a, b)));
                let read: Vec<MouthReading> =
                    pairs.map(|(a, b)| reader.read(&blend(a, b, 0.5)).unwrap()).filter(|r| r.is_reliable()).collect();
                if expression == Expression::Surprise {
                    // Those of fear and sadness, which hardly open the mouth, and are read so.
                    let widest = read.iter().map(|reading| reading.opening).fold(0.0, f32::max);
                    assert!(read.len() <= 3 && widest < 0.03, "{what} {read:?}");
                } else {
                    assert!(read.is_empty(), "{what} {read:?}");
                }
            }
            let reader = MouthReader::new(person, Expression::Surprise, session, 71).unwrap();
            let faded = blend(&picture(Expression::Happy), &picture(Expression::Disgust), 0.5);
            assert!(!reader.read(&faded).unwrap().is_reliable(), "{person}");
        }
    }

    #[test]
    fn a_mouth_at_an_end_of_what_was_drawn_is_told_but_for_a_closed_one() {
        let (person, session) = CASES[1];
        let reader = MouthReader::new(person, Expression::Disgust, session, 71).unwrap();
        let read = |mouth| reader.read(&with_mouth(person, Expression::Disgust, session, mouth)).unwrap();
        // Twice as uneven is beyond the candidates, to either side.
        for skewed in [-2.0, 2.0] {
            assert!(read([1.0, skewed]).is_at_end && !read([1.0, skewed]).is_reliable());
        }
        assert!(!read([1.0, 1.0]).is_at_end);
        let reader = MouthReader::new(person, Expression::Surprise, session, 71).unwrap();
        let read = |opened| reader.read(&with_mouth(person, Expression::Surprise, session, [opened, 1.0])).unwrap();
        assert!(read(3.0).is_at_end && !read(3.0).is_reliable(), "{:?}", read(3.0));
        assert_eq!((read(0.0).opening, read(0.0).is_at_end, read(0.0).is_reliable()), (0.0, false, true));
    }

    #[test]
    fn a_blend_of_both_sides_is_read_as_even() {
        let (person, session) = CASES[1];
        let reader = MouthReader::new(person, Expression::Disgust, session, 71).unwrap();
        let own = mouth_asymmetry(person, Expression::Disgust, session);
        let [even, mirrored, weak] =
            [0.0, -1.0, 0.5].map(|side| with_mouth(person, Expression::Disgust, session, [1.0, side]));
        let uneven = truth(person, Expression::Disgust, session, 71).unwrap();
        let share = |image: &[f32]| reader.read(image).unwrap().asymmetry / own;
        assert!((share(&even)).abs() < 0.05 && (share(&mirrored) + 1.0).abs() < 0.05);
        assert!((share(&weak) - 0.5).abs() < 0.05, "{}", share(&weak));
        assert!(share(&blend(&uneven, &mirrored, 0.5)).abs() < 0.1);
        assert!((share(&blend(&uneven, &even, 0.5)) - 0.5).abs() < 0.1);
    }

    #[test]
    fn brightness_and_contrast_do_not_matter_and_another_expression_is_told() {
        let (person, session) = CASES[2];
        let reader = MouthReader::new(person, Expression::Surprise, session, 71).unwrap();
        let image = truth(person, Expression::Surprise, session, 71).unwrap();
        let expected = reader.read(&image).unwrap();
        for (contrast, brightness) in [(1.0, 0.05), (0.8, 0.1), (1.2, -0.1)] {
            let lit: Vec<f32> = image.iter().map(|value| contrast * value + brightness).collect();
            assert!((reader.read(&lit).unwrap().opening - expected.opening).abs() < 1e-4);
        }
        let closed = reader.read(&truth(person, Expression::Neutral, session, 71).unwrap()).unwrap();
        assert!(closed.opening < 0.02, "{closed:?}");
        assert_eq!(closed.asymmetry, 0.0);
        // An image without any face is read as something, not refused, and nothing to rely on.
        let grey = reader.read(&[0.5; 3 * 71 * 71]).unwrap();
        assert!(grey.opening.is_finite() && !grey.is_reliable(), "{grey:?}");
    }

    #[test]
    fn other_sizes_and_transformed_pictures_are_read_alike() {
        for size in [32, 158] {
            let reader = MouthReader::new(3, Expression::Surprise, 0, size).unwrap();
            let image = Transform::Rotate90.apply(size, &truth(3, Expression::Surprise, 0, size).unwrap());
            let upright = Transform::Rotate90.inverse().apply(size, &image);
            let reading = reader.read(&upright).unwrap();
            let error = reading.opening - mouth_opening(3, Expression::Surprise, 0);
            assert!(error.abs() < 0.005 && reading.is_reliable(), "{size} {reading:?}");
            let [happy, disgust] =
                [Expression::Happy, Expression::Disgust].map(|other| truth(3, other, 0, size).unwrap());
            let faded = reader.read(&blend(&happy, &disgust, 0.5)).unwrap();
            assert!(!faded.is_reliable(), "{size} {faded:?}");
        }
    }

    #[test]
    fn parabolas_have_their_lowest_point_where_it_is() {
        // (x − 2.3)² at 1, 2, 3, 4: the lowest point lies 0.3 of the way from 2 to 3.
        let squares = [1.69, 0.09, 0.49, 2.89];
        assert!((refined(&[10.0, 20.0, 40.0, 60.0], 1, |place| squares[place]) - 26.0).abs() < 1e-4);
        // To the left it goes by the step to the left: (x − 1.7)² at 1, 2, 3 is lowest 0.3 below the middle.
        let squares = [0.49, 0.09, 1.69];
        assert!((refined(&[10.0, 20.0, 40.0], 1, |place| squares[place]) - 17.0).abs() < 1e-4);
        assert_eq!(refined(&[10.0, 20.0], 0, |_| 0.0), 10.0);
        assert_eq!(refined(&[10.0, 20.0, 30.0], 1, |_| 0.5), 20.0);
    }

    #[test]
    fn what_cannot_be_read_is_refused_in_one_line() {
        let message = |result: Result<MouthReader>| result.unwrap_err().to_string();
        assert_eq!(
            message(MouthReader::new(0, Expression::Sad, 26, 32)),
            "sessions = 26: expected numbers below 26; 0 is A"
        );
        assert_eq!(message(MouthReader::new(0, Expression::Sad, 0, 8)), "size = 8: expected 16 to 1024 pixels");
        let reader = MouthReader::new(0, Expression::Sad, 0, 16).unwrap();
        let refused = |image: &[f32]| reader.read(image).unwrap_err().to_string();
        assert_eq!(refused(&[0.0; 5]), "image = 5 values: expected 3 × 16 × 16 finite values");
        assert_eq!(refused(&[f32::NAN; 768]), "image = the value NaN: expected 3 × 16 × 16 finite values");
    }
}
