//! Where brows, lids, lips and jaw lie: a person's traits moved by action units.
//!
//! Coordinates as in `person`: face heights, x to the right of the picture, y down. Everything that the drawing and
//! the measures know about an expression comes from here, so that a measure is exact by construction.

use super::expression::{ActionUnit as Unit, Intensities};
use super::person::Person;

/// A point in face heights: x to the right, y down.
pub(super) type Point = [f32; 2];

/// A face with an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Geometry {
    pub intensities: Intensities,
    /// The eye on the left of the picture, and the one on the right.
    pub eyes: [Eye; 2],
    pub brows: [Brow; 2],
    pub mouth: Mouth,
    /// How far the chin has gone down.
    pub jaw: f32,
    /// How far the nose's wings have gone up.
    pub nose_up: f32,
    /// How far the cheeks have gone up.
    pub cheeks_up: f32,
}

/// One eye; `side` is −1 on the left of the picture and 1 on the right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Eye {
    pub side: f32,
    pub centre: Point,
    pub half_width: f32,
    pub tilt: f32,
    /// How far the upper lid is above the line between the corners, and the lower one below it.
    pub open_up: f32,
    pub open_down: f32,
    /// How much higher than usual the inner half of the upper lid is, and lower the outer half.
    pub oblique: f32,
}

/// One brow: its middle line from the inner to the outer end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Brow {
    pub line: [Point; 4],
}

/// The lips. A place along the mouth is a number from −1 (left corner) to 1 (right corner).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mouth {
    /// The middle of the closed mouth.
    pub y: f32,
    pub half_width: f32,
    /// How much lower than the middle the corners are.
    pub corners: f32,
    /// The distance between the lips in the middle.
    pub opening: f32,
    /// How far the upper lip has been raised, and how unevenly: 1 means twice on the right and not at all on the left.
    pub raised: f32,
    pub skew: f32,
    pub upper: f32,
    pub lower: f32,
    pub bow: f32,
}

impl Geometry {
    /// The face of a person with these intensities.
    pub fn new(person: &Person, intensities: Intensities) -> Self {
        let of = |unit| intensities.of(unit);
        let nose_up = 0.016 * of(Unit::NoseWrinkler) + 0.004 * of(Unit::UpperLipRaiser);
        Self {
            intensities,
            eyes: [-1.0, 1.0].map(|side| eye(person, &intensities, side)),
            brows: [-1.0, 1.0].map(|side| brow(person, &intensities, side)),
            mouth: mouth(person, &intensities),
            jaw: 0.034 * of(Unit::JawDrop) + 0.052 * of(Unit::MouthStretch) + 0.006 * of(Unit::LipsPart),
            nose_up,
            cheeks_up: 0.030 * of(Unit::CheekRaiser) + 0.012 * of(Unit::NoseWrinkler),
        }
    }
}

fn eye(person: &Person, intensities: &Intensities, side: f32) -> Eye {
    let of = |unit| intensities.of(unit);
    let eyes = &person.eyes;
    let narrowed_up =
        1.0 - 0.30 * of(Unit::LidTightener) - 0.12 * of(Unit::CheekRaiser) - 0.30 * of(Unit::NoseWrinkler);
    let narrowed_down =
        1.0 - 0.75 * of(Unit::LidTightener) - 0.75 * of(Unit::CheekRaiser) - 0.55 * of(Unit::NoseWrinkler);
    // Raised inner brows that are also drawn together pull the lid into a slope.
    let oblique =
        of(Unit::InnerBrowRaiser) * (0.35 + 0.65 * of(Unit::BrowLowerer)) * (1.0 - of(Unit::OuterBrowRaiser).min(1.0));
    // A lid that is raised and tightened at once (anger) glares, but opens less than one that is only raised.
    let raised = 0.0185 * of(Unit::UpperLidRaiser) * (1.0 - 0.55 * of(Unit::LidTightener).min(1.0));
    Eye {
        side,
        centre: [side * eyes.x, eyes.y],
        half_width: eyes.half_width,
        tilt: eyes.tilt,
        open_up: (eyes.open_up * narrowed_up + raised - 0.003 * oblique).max(0.006),
        open_down: (eyes.open_down * narrowed_down + 0.002 * of(Unit::UpperLidRaiser)).max(-0.004),
        oblique: 0.011 * oblique,
    }
}

fn brow(person: &Person, intensities: &Intensities, side: f32) -> Brow {
    let of = |unit| intensities.of(unit);
    let (eyes, brows) = (&person.eyes, &person.brows);
    let [raise_in, raise_out, lower] = [Unit::InnerBrowRaiser, Unit::OuterBrowRaiser, Unit::BrowLowerer].map(of);
    let wrinkle = of(Unit::NoseWrinkler);
    // Against a raised inner brow the lowering muscle draws together more than down.
    let down = lower * (1.0 - 0.72 * raise_in.min(1.0));
    let inner = -0.048 * raise_in + 0.043 * down + 0.020 * wrinkle;
    let middle = -0.020 * raise_in - 0.030 * raise_out + 0.034 * down + 0.012 * wrinkle;
    let outer = -0.004 * raise_in - 0.040 * raise_out + 0.010 * down;
    let together = 0.020 * lower + 0.006 * wrinkle;
    let y = eyes.y - brows.above;
    let x = eyes.x + 0.006;
    let place = |along: f32, arch: f32, moved: f32, together: f32| {
        [side * (x + along * brows.half_length - together), y - along * brows.slant - arch * brows.arch + moved]
    };
    Brow {
        line: [
            place(-1.0, 0.0, inner, together),
            place(-0.35, 0.55, 0.45 * inner + 0.55 * middle, 0.7 * together),
            place(0.35, 1.0, 0.7 * middle + 0.3 * outer, 0.3 * together),
            place(1.0, 0.1, outer, 0.0),
        ],
    }
}

fn mouth(person: &Person, intensities: &Intensities) -> Mouth {
    let of = |unit| intensities.of(unit);
    let mouth = &person.mouth;
    let [smile, depress, stretch, tighten] =
        [Unit::LipCornerPuller, Unit::LipCornerDepressor, Unit::LipStretcher, Unit::LipTightener].map(of);
    let [drop, gape, raise, wrinkle] =
        [Unit::JawDrop, Unit::MouthStretch, Unit::UpperLipRaiser, Unit::NoseWrinkler].map(of);
    let wider = 1.0 + 0.27 * smile + 0.26 * stretch - 0.23 * tighten - 0.14 * drop - 0.24 * gape - 0.05 * raise;
    let thinner = 1.0 - 0.22 * smile - 0.30 * stretch - 0.70 * tighten - 0.12 * gape;
    Mouth {
        y: mouth.y - 0.004 * smile - 0.006 * depress,
        half_width: mouth.half_width * wider,
        corners: mouth.corners - 0.040 * smile + 0.036 * depress + 0.014 * stretch,
        opening: of(Unit::LipsPart) * (0.030 + 0.014 * smile.min(1.0)) + 0.076 * drop + 0.112 * gape + 0.010 * raise,
        raised: 0.026 * raise + 0.008 * wrinkle,
        skew: person.habits.disgust_side.sign() * person.habits.disgust_skew * raise.min(1.0),
        upper: mouth.upper * thinner,
        lower: mouth.lower * thinner,
        bow: mouth.bow * (1.0 - 0.6 * smile.min(1.0)),
    }
}

impl Eye {
    /// The point at this place of the lids' corner line, −1 the inner and 1 the outer corner.
    fn corner_line(&self, place: f32) -> Point {
        [self.centre[0] + self.side * place * self.half_width, self.centre[1] - self.tilt * place]
    }

    /// The upper lid's edge at a place from −1 (inner corner) to 1 (outer corner).
    pub fn upper(&self, place: f32) -> Point {
        let [x, y] = self.corner_line(place);
        let bulge = 1.0 - place * place;
        [x, y - self.open_up * bulge * (1.0 + 0.35 * place * place) + self.oblique * place * bulge * 1.6]
    }

    /// The lower lid's edge at a place from −1 (inner corner) to 1 (outer corner).
    pub fn lower(&self, place: f32) -> Point {
        let [x, y] = self.corner_line(place);
        [x, y + self.open_down * (1.0 - place * place) * (1.0 + 0.2 * place)]
    }
}

impl Mouth {
    /// The line on which closed lips meet, without any raising.
    fn rest(&self, place: f32) -> Point {
        // Corners that are pulled bend the whole line, most of it near the corners.
        let bend = place * place * (0.55 + 0.45 * place * place);
        [place * self.half_width, self.y + self.corners * bend]
    }

    /// How far the upper lip is raised at a place.
    fn lift(&self, place: f32) -> f32 {
        let bulge = 1.0 - place * place;
        self.raised * bulge * (1.0 + 1.5 * self.skew * place) + 0.28 * self.opening * bulge
    }

    /// The edge of the upper lip inside the mouth.
    pub fn upper_inner(&self, place: f32) -> Point {
        let [x, y] = self.rest(place);
        // Of what raises the lip, most moves it as a whole; what remains parts the lips.
        [x, y - self.lift(place)]
    }

    /// The edge of the lower lip inside the mouth.
    pub fn lower_inner(&self, place: f32) -> Point {
        let [x, y] = self.rest(place);
        let bulge = 1.0 - place * place;
        let follows = self.raised * bulge * (1.0 + 1.5 * self.skew * place);
        [x, y + 0.72 * self.opening * bulge * (1.0 + 0.25 * place * place) - follows]
    }

    /// The edge of the upper lip towards the nose.
    pub fn upper_outer(&self, place: f32) -> Point {
        let [x, y] = self.upper_inner(place);
        let far = place.abs();
        let bulge = (1.0 - far) * (1.0 + 1.15 * far);
        let dip = (1.0 - (far / 0.25).min(1.0)) * self.bow.min(0.5 * self.upper);
        // The upper edge goes further than the inner one, unevenly: this is what shows as a sneer.
        let sneer = 0.45 * self.raised * (1.0 - place * place) * (1.0 + 1.5 * self.skew * place);
        [x, y - self.upper * bulge - sneer + dip]
    }

    /// The edge of the lower lip towards the chin.
    pub fn lower_outer(&self, place: f32) -> Point {
        let [x, y] = self.lower_inner(place);
        let bulge = (1.0 - place * place) * (1.0 + 0.3 * place * place);
        [x, y + self.lower * bulge]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::faces::expression::{Expression, SEVEN};

    fn face(person: u32, expression: Expression) -> Geometry {
        let person = Person::new(person);
        Geometry::new(&person, person.intensities(expression, 1.0))
    }

    #[test]
    fn units_move_what_they_are_named_for() {
        for person in 0..100 {
            let face = |expression| face(person, expression);
            let neutral = face(Expression::Neutral);
            let inner = |geometry: &Geometry| geometry.brows[0].line[0][1];
            let outer = |geometry: &Geometry| geometry.brows[1].line[3][1];
            assert!(inner(&face(Expression::Surprise)) < inner(&neutral));
            assert!(outer(&face(Expression::Surprise)) < outer(&neutral));
            assert!(inner(&face(Expression::Sad)) < inner(&neutral));
            assert!(inner(&face(Expression::Angry)) > inner(&neutral));
            assert!(face(Expression::Afraid).brows[0].line[0][0] > neutral.brows[0].line[0][0], "drawn together");
            assert!(face(Expression::Happy).mouth.corners < neutral.mouth.corners);
            assert!(face(Expression::Sad).mouth.corners > neutral.mouth.corners);
            assert!(face(Expression::Angry).mouth.upper < neutral.mouth.upper);
            assert!(face(Expression::Afraid).mouth.half_width > neutral.mouth.half_width);
            assert!(face(Expression::Surprise).eyes[0].open_up > neutral.eyes[0].open_up);
            assert!(face(Expression::Happy).eyes[0].open_down < neutral.eyes[0].open_down);
            assert!(face(Expression::Disgust).nose_up > neutral.nose_up);
            assert!(face(Expression::Surprise).jaw > face(Expression::Happy).jaw);
        }
    }

    #[test]
    fn lids_and_lips_do_not_cross() {
        for person in 0..200 {
            for expression in SEVEN {
                let geometry = face(person, expression);
                for step in -10..=10 {
                    let place = step as f32 / 10.0;
                    for eye in &geometry.eyes {
                        assert!(eye.upper(place)[1] <= eye.lower(place)[1] + 1e-6, "{person} {expression:?} {place}");
                    }
                    let mouth = &geometry.mouth;
                    let heights = [
                        mouth.upper_outer(place),
                        mouth.upper_inner(place),
                        mouth.lower_inner(place),
                        mouth.lower_outer(place),
                    ]
                    .map(|point| point[1]);
                    assert!(heights.array_windows().all(|[a, b]| *a <= b + 1e-6), "{person} {expression:?} {place}");
                }
            }
        }
    }
}
