//! A person: every trait that does not change with expression or session.
//!
//! Lengths are in *face heights*: the vertex lies at y = 0, the chin at rest at y = 1, the middle of the face at x = 0,
//! y pointing down and x to the right of the picture. Every trait comes from the generator keyed by its purpose and
//! the person, so that one trait can be redrawn without touching the others.

use super::colour::{self, Colour};
use super::draws::Draws;
use super::expression::{ActionUnit, Expression, Intensities, UNITS};

/// How strongly a person shows a unit, lowest and highest: the lower these, the harder expressions are to read.
const AMPLITUDE: (f32, f32) = (0.55, 1.0);

/// A side of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The left of the picture.
    Left,
    /// The right of the picture.
    Right,
}

impl Side {
    /// −1 for the left, 1 for the right.
    #[must_use]
    pub fn sign(self) -> f32 {
        match self {
            Self::Left => -1.0,
            Self::Right => 1.0,
        }
    }
}

/// All traits of one person.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Person {
    pub index: u32,
    pub head: Head,
    pub eyes: Eyes,
    pub brows: Brows,
    pub nose: Nose,
    pub mouth: Mouth,
    pub ears: Ears,
    pub hair: Hair,
    pub skin: Skin,
    pub beard: Beard,
    pub glasses: Option<Glasses>,
    pub habits: Habits,
}

/// Half widths of the head at some heights, and the chin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head {
    pub temple: f32,
    pub cheek: f32,
    pub jaw: f32,
    pub chin: f32,
    pub jaw_y: f32,
    pub neck: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Eyes {
    /// Half the distance between the eyes' middles.
    pub x: f32,
    pub y: f32,
    pub half_width: f32,
    /// How far the lids are from the line between the corners.
    pub open_up: f32,
    pub open_down: f32,
    /// How much the outer corner is higher than the inner one, halved.
    pub tilt: f32,
    pub iris: f32,
    pub iris_colour: Colour,
    pub lashes: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Brows {
    /// Height above the eye's middle.
    pub above: f32,
    pub half_length: f32,
    pub half_thickness: f32,
    pub arch: f32,
    /// How much the outer end is higher than the inner one, halved.
    pub slant: f32,
    pub colour: Colour,
    pub density: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Nose {
    pub tip_y: f32,
    pub half_width: f32,
    pub bridge: f32,
    pub height: f32,
    pub tip: f32,
    pub nostril: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mouth {
    pub y: f32,
    pub half_width: f32,
    pub upper: f32,
    pub lower: f32,
    pub bow: f32,
    /// How much lower than the middle the corners lie at rest.
    pub corners: f32,
    pub colour: Colour,
    pub teeth: Colour,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ears {
    pub y: f32,
    pub half_height: f32,
    pub out: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HairStyle {
    Bald,
    Buzz,
    Receding,
    SidePart,
    Quiff,
    Fringe,
    Curly,
    Bob,
    Straight,
    Wavy,
    TiedBack,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hair {
    pub style: HairStyle,
    pub colour: Colour,
    /// Height of the hairline in the middle of the forehead.
    pub hairline: f32,
    /// How much higher the hairline is beside the middle.
    pub corners: f32,
    pub volume: f32,
    /// The side of the parting, and how far from the middle.
    pub parting: f32,
    pub length: f32,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Skin {
    pub colour: Colour,
    pub blush: f32,
    pub gloss: f32,
    /// From 0 (young) to 1 (old): the depth of the wrinkles.
    pub age: f32,
    pub eye_bags: f32,
    pub freckles: u32,
    /// Place and radius.
    pub moles: Vec<([f32; 2], f32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BeardStyle {
    None,
    Stubble,
    Moustache,
    Goatee,
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Beard {
    pub style: BeardStyle,
    pub colour: Colour,
    pub density: f32,
    pub thickness: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Glasses {
    pub half_width: f32,
    pub half_height: f32,
    /// Roundness of the corners, 0 to 1.
    pub round: f32,
    pub thickness: f32,
    pub colour: Colour,
}

/// How a person shows expressions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Habits {
    pub amplitudes: Intensities,
    /// 26 or 27, in surprise.
    pub jaw: ActionUnit,
    /// Whether disgust also pulls the corners of the lips down (15).
    pub disgust_depresses: bool,
    /// The side on which disgust raises the upper lip more, and how much more.
    pub disgust_side: Side,
    pub disgust_skew: f32,
}

impl Person {
    /// The person of this index: 0 to 69 are those of the sets, all others are there for tests.
    pub fn new(index: u32) -> Self {
        let draws = |purpose: &str| Draws::new(index, purpose, 0);
        // From 0 to 1: what goes together in faces (jaw, brows, beard) without being the same.
        let rugged = draws("rugged").unit();
        let age = {
            let unit = draws("age").unit();
            unit * unit
        };
        let skin = skin(&mut draws("skin"), age);
        let hair = hair(&mut draws("hair"), rugged, age);
        Self {
            index,
            head: head(&mut draws("head"), rugged),
            eyes: eyes(&mut draws("eyes"), rugged),
            brows: brows(&mut draws("brows"), rugged, hair.colour),
            nose: nose(&mut draws("nose"), rugged),
            mouth: mouth(&mut draws("mouth"), rugged, skin.colour),
            ears: ears(&mut draws("ears")),
            beard: beard(&mut draws("beard"), rugged, hair.colour),
            glasses: glasses(&mut draws("glasses")),
            habits: habits(&mut draws("habits")),
            skin,
            hair,
        }
    }

    /// How strongly the person shows each unit in an expression; `strength` is the session's factor.
    pub fn intensities(&self, expression: Expression, strength: f32) -> Intensities {
        let habits = &self.habits;
        Intensities::from_fn(|unit| {
            let shown = expression.action_units().contains(&unit)
                || expression.personal_units().contains(&unit)
                    && (unit == habits.jaw || (unit == ActionUnit::LipCornerDepressor && habits.disgust_depresses));
            if shown { habits.amplitudes.of(unit) * strength } else { 0.0 }
        })
    }
}

fn head(draws: &mut Draws, rugged: f32) -> Head {
    let temple = draws.around(0.335, 0.030);
    let cheek = temple + draws.around(0.012, 0.026);
    Head {
        temple,
        cheek,
        jaw: cheek * draws.around(0.735 + 0.07 * rugged, 0.085),
        chin: draws.around(0.085 + 0.035 * rugged, 0.045),
        jaw_y: draws.around(0.815, 0.030),
        neck: draws.around(0.185 + 0.045 * rugged, 0.03),
    }
}

fn eyes(draws: &mut Draws, rugged: f32) -> Eyes {
    Eyes {
        x: draws.around(0.158, 0.022),
        y: draws.around(0.492, 0.020),
        half_width: draws.around(0.077, 0.013),
        open_up: draws.around(0.0335, 0.0095),
        open_down: draws.around(0.0190, 0.0055),
        tilt: draws.around(0.003, 0.011),
        iris: draws.around(0.0345, 0.0035),
        iris_colour: colour::along(colour::IRIS, draws.between(0.0, 5.0)),
        lashes: draws.around(1.25 - 0.5 * rugged, 0.35),
    }
}

fn brows(draws: &mut Draws, rugged: f32, hair: Colour) -> Brows {
    let darkened = colour::mix(hair, [0.12, 0.08, 0.06], draws.between(0.25, 0.60));
    Brows {
        above: draws.around(0.094 - 0.012 * rugged, 0.018),
        half_length: draws.around(0.098, 0.016),
        half_thickness: draws.around(0.0085 + 0.006 * rugged, 0.0045),
        arch: draws.around(0.014, 0.013),
        slant: draws.around(0.004, 0.014),
        colour: darkened,
        density: draws.between(0.65, 0.95),
    }
}

fn nose(draws: &mut Draws, rugged: f32) -> Nose {
    Nose {
        tip_y: draws.around(0.690, 0.024),
        half_width: draws.around(0.066 + 0.010 * rugged, 0.020),
        bridge: draws.around(0.036, 0.010),
        height: draws.around(0.056, 0.022),
        tip: draws.around(0.042, 0.012),
        nostril: draws.around(0.0165, 0.0045),
    }
}

fn mouth(draws: &mut Draws, rugged: f32, skin: Colour) -> Mouth {
    let red = draws.between(0.22, 0.62) * (1.15 - 0.5 * rugged);
    Mouth {
        y: draws.around(0.812, 0.016),
        half_width: draws.around(0.122, 0.024),
        upper: draws.around(0.026 - 0.006 * rugged, 0.013),
        lower: draws.around(0.037 - 0.006 * rugged, 0.014),
        bow: draws.around(0.006, 0.006),
        corners: draws.around(0.002, 0.009),
        colour: colour::mix(colour::scaled(skin, 0.90), colour::LIP, red),
        teeth: colour::mix([0.93, 0.91, 0.86], [0.85, 0.80, 0.68], draws.unit()),
    }
}

fn ears(draws: &mut Draws) -> Ears {
    Ears { y: draws.around(0.545, 0.02), half_height: draws.around(0.095, 0.022), out: draws.around(0.040, 0.028) }
}

fn hair(draws: &mut Draws, rugged: f32, age: f32) -> Hair {
    use HairStyle as S;
    // Ruggeder persons wear it shorter more often.
    let style = if draws.chance(0.15 + 0.75 * rugged) {
        draws.choice([S::Bald, S::Buzz, S::Receding, S::SidePart, S::SidePart, S::Quiff, S::Fringe, S::Curly])
    } else {
        draws.choice([S::Bob, S::Straight, S::Wavy, S::TiedBack, S::Fringe, S::Curly, S::Straight])
    };
    let natural = colour::along(colour::HAIR, draws.between(0.0, 7.0));
    let grey = ((age - 0.35) * draws.between(0.0, 2.0)).clamp(0.0, 0.9);
    let side = if draws.chance(0.5) { 1.0 } else { -1.0 };
    Hair {
        style,
        colour: colour::mix(natural, colour::GREY_HAIR, grey),
        hairline: draws.around(0.205, 0.045),
        corners: draws.around(0.012, 0.03),
        volume: draws.around(1.0, 0.35),
        parting: side * draws.between(0.03, 0.16),
        length: draws.unit(),
    }
}

fn skin(draws: &mut Draws, age: f32) -> Skin {
    let place = 5.0 * draws.unit() * draws.between(0.35, 1.0);
    let undertone = draws.around(0.0, 0.03);
    let [red, green, blue] = colour::along(colour::SKIN, place);
    let n_moles = [0, 0, 1, 1, 2, 3][draws.choice([0_usize, 1, 2, 3, 4, 5])];
    Skin {
        colour: [red + 0.3 * undertone, green, blue - undertone],
        blush: draws.between(0.05, 0.32),
        gloss: draws.between(0.03, 0.12),
        age,
        eye_bags: draws.unit() * (0.35 + 0.65 * age),
        freckles: if place < 1.6 && draws.chance(0.22) { 30 + (draws.unit() * 50.0) as u32 } else { 0 },
        moles: (0..n_moles)
            .map(|_| ([draws.between(-0.24, 0.24), draws.between(0.28, 0.90)], draws.between(0.007, 0.013)))
            .collect(),
    }
}

fn beard(draws: &mut Draws, rugged: f32, hair: Colour) -> Beard {
    use BeardStyle as S;
    let style = if draws.chance(1.6 * (rugged - 0.45)) {
        draws.choice([S::Stubble, S::Stubble, S::Moustache, S::Goatee, S::Full])
    } else {
        S::None
    };
    Beard {
        style,
        colour: colour::mix(hair, [0.20, 0.13, 0.09], draws.between(0.1, 0.4)),
        density: draws.between(0.55, 0.95),
        thickness: draws.between(0.7, 1.3),
    }
}

fn glasses(draws: &mut Draws) -> Option<Glasses> {
    let colours = [[0.08, 0.08, 0.09], [0.30, 0.18, 0.10], [0.55, 0.55, 0.58], [0.45, 0.10, 0.12], [0.15, 0.20, 0.38]];
    let worn = draws.chance(0.22);
    let glasses = Glasses {
        half_width: draws.between(0.100, 0.128),
        half_height: draws.between(0.066, 0.096),
        round: draws.unit(),
        thickness: draws.between(0.007, 0.015),
        colour: draws.choice(colours),
    };
    worn.then_some(glasses)
}

fn habits(draws: &mut Draws) -> Habits {
    let amplitudes = UNITS.map(|_| draws.between(AMPLITUDE.0, AMPLITUDE.1));
    let mut each = amplitudes.into_iter();
    Habits {
        amplitudes: Intensities::from_fn(|_| each.next().unwrap_or_default()),
        jaw: if draws.chance(0.5) { ActionUnit::JawDrop } else { ActionUnit::MouthStretch },
        disgust_depresses: draws.chance(0.5),
        disgust_side: if draws.chance(0.5) { Side::Left } else { Side::Right },
        disgust_skew: draws.between(0.55, 0.95),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_a_function_of_the_index() {
        assert_eq!(Person::new(3), Person::new(3));
        assert_ne!(Person::new(3), Person::new(4));
        // Any index is somebody.
        assert_ne!(Person::new(u32::MAX), Person::new(u32::MAX - 1));
    }

    #[test]
    fn every_trait_occurs_among_the_persons_of_the_sets() {
        let persons: Vec<Person> = (0..70).map(Person::new).collect();
        let styles = |style: BeardStyle| persons.iter().filter(|person| person.beard.style == style).count();
        assert!(styles(BeardStyle::None) > 30 && styles(BeardStyle::None) < 65);
        let n_glasses = persons.iter().filter(|person| person.glasses.is_some()).count();
        assert!((7..25).contains(&n_glasses), "{n_glasses}");
        let left = persons.iter().filter(|person| person.habits.disgust_side == Side::Left).count();
        assert!((20..50).contains(&left), "{left}");
        let mut hair: Vec<HairStyle> = Vec::new();
        for person in &persons {
            if !hair.contains(&person.hair.style) {
                hair.push(person.hair.style);
            }
        }
        assert!(hair.len() >= 9, "{hair:?}");
    }

    #[test]
    fn intensities_are_the_expressions_units_at_the_persons_amplitude() {
        for index in 0..50 {
            let person = Person::new(index);
            for unit in UNITS {
                let amplitude = person.habits.amplitudes.of(unit);
                assert!((AMPLITUDE.0..AMPLITUDE.1).contains(&amplitude));
                assert_eq!(person.intensities(Expression::Neutral, 1.0).of(unit), 0.0);
                let angry = person.intensities(Expression::Angry, 1.1).of(unit);
                let expected = if [4, 5, 7, 23].contains(&unit.number()) { amplitude * 1.1 } else { 0.0 };
                assert_eq!(angry, expected);
            }
            let surprise = person.intensities(Expression::Surprise, 1.0);
            let jaws = [ActionUnit::JawDrop, ActionUnit::MouthStretch].map(|unit| surprise.of(unit) > 0.0);
            assert!(jaws[0] != jaws[1], "26 or 27, never both");
        }
    }
}
