//! Expressions as facial action units of the Facial Action Coding System (Ekman and Friesen, 1978), and the orders in
//! which sets number them.
//!
//! | expression | units | besides |
//! |---|---|---|
//! | neutral | none | |
//! | disgust | 9 10 | 15 in some persons |
//! | happy | 6 12 25 | |
//! | surprise | 1 2 5 | 26 or 27, a person's own |
//! | afraid | 1 2 4 5 20 25 | |
//! | angry | 4 5 7 23 | |
//! | sad | 1 4 15 | |
//!
//! Source: SPEC §3.3; the orders: SPEC §3.2.

use crate::{Error, Result};

/// One of the seven expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Expression {
    /// No unit at all.
    Neutral,
    /// Nose wrinkled, upper lip raised, more so on a person's own side. The research says "aversion".
    Disgust,
    /// A smile with raised cheeks that shows the teeth.
    Happy,
    /// Brows and upper lids raised, the jaw dropped.
    Surprise,
    /// Brows raised and drawn together, lips stretched.
    Afraid,
    /// Brows lowered, lids and lips tightened.
    Angry,
    /// Inner brows raised, corners of the lips pulled down.
    Sad,
}

use Expression::{Afraid, Angry, Disgust, Happy, Neutral, Sad, Surprise};

/// The order of the sets with seven expressions: NE 0, DI 1, HA 2, SU 3, AF 4, AN 5, SA 6.
pub const SEVEN: [Expression; 7] = [Neutral, Disgust, Happy, Surprise, Afraid, Angry, Sad];

/// The order of the sets with five expressions: DI 0, HA 1, SU 2, NE 3, SA 4. The first three and the first four of
/// them make the smaller sets.
pub const FIVE: [Expression; 5] = [Disgust, Happy, Surprise, Neutral, Sad];

/// The order of the MMI-shaped sets. Known of the original are 3 surprise and 5 cheer; the rest is ours.
pub const MMI: [Expression; 7] = [Neutral, Disgust, Afraid, Surprise, Angry, Happy, Sad];

impl Expression {
    /// The level's name in the factor `emotion`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Neutral => "neutral",
            Disgust => "disgust",
            Happy => "happy",
            Surprise => "surprise",
            Afraid => "afraid",
            Angry => "angry",
            Sad => "sad",
        }
    }

    /// The expression of this name: the inverse of [`Expression::name`].
    ///
    /// # Errors
    /// There is none; the message lists those that exist.
    pub fn parse(name: &str) -> Result<Self> {
        SEVEN.into_iter().find(|expression| expression.name() == name).ok_or_else(|| Error::Setting {
            setting: "expressions",
            found: format!("`{name}`"),
            expected: format!("some of {}", SEVEN.map(Self::name).join(", ")),
        })
    }

    /// The units that everybody shows.
    #[must_use]
    pub fn action_units(self) -> &'static [ActionUnit] {
        use ActionUnit as U;
        match self {
            Neutral => &[],
            Disgust => &[U::NoseWrinkler, U::UpperLipRaiser],
            Happy => &[U::CheekRaiser, U::LipCornerPuller, U::LipsPart],
            Surprise => &[U::InnerBrowRaiser, U::OuterBrowRaiser, U::UpperLidRaiser],
            Afraid => &[
                U::InnerBrowRaiser,
                U::OuterBrowRaiser,
                U::BrowLowerer,
                U::UpperLidRaiser,
                U::LipStretcher,
                U::LipsPart,
            ],
            Angry => &[U::BrowLowerer, U::UpperLidRaiser, U::LidTightener, U::LipTightener],
            Sad => &[U::InnerBrowRaiser, U::BrowLowerer, U::LipCornerDepressor],
        }
    }

    /// The units of which a person shows at most one: for surprise 26 or 27, for disgust 15 or nothing.
    #[must_use]
    pub fn personal_units(self) -> &'static [ActionUnit] {
        match self {
            Surprise => &[ActionUnit::JawDrop, ActionUnit::MouthStretch],
            Disgust => &[ActionUnit::LipCornerDepressor],
            _ => &[],
        }
    }
}

/// A facial action unit; the discriminant is its number in the Facial Action Coding System.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionUnit {
    /// 1: the inner ends of the brows go up.
    InnerBrowRaiser = 1,
    /// 2: the outer ends of the brows go up.
    OuterBrowRaiser = 2,
    /// 4: the brows go down and together.
    BrowLowerer = 4,
    /// 5: the upper lids go up, showing white above the iris.
    UpperLidRaiser = 5,
    /// 6: the cheeks go up and narrow the eyes from below.
    CheekRaiser = 6,
    /// 7: both lids narrow.
    LidTightener = 7,
    /// 9: the skin along the nose is drawn up and wrinkles.
    NoseWrinkler = 9,
    /// 10: the upper lip goes up.
    UpperLipRaiser = 10,
    /// 12: the corners of the lips go up and back.
    LipCornerPuller = 12,
    /// 15: the corners of the lips go down.
    LipCornerDepressor = 15,
    /// 20: the lips are stretched sideways.
    LipStretcher = 20,
    /// 23: the lips are tightened and become thin.
    LipTightener = 23,
    /// 25: the lips part.
    LipsPart = 25,
    /// 26: the jaw drops.
    JawDrop = 26,
    /// 27: the mouth is stretched open, wider than by 26.
    MouthStretch = 27,
}

/// All units that some expression uses, in the order of their numbers.
pub const UNITS: [ActionUnit; 15] = {
    use ActionUnit as U;
    [
        U::InnerBrowRaiser,
        U::OuterBrowRaiser,
        U::BrowLowerer,
        U::UpperLidRaiser,
        U::CheekRaiser,
        U::LidTightener,
        U::NoseWrinkler,
        U::UpperLipRaiser,
        U::LipCornerPuller,
        U::LipCornerDepressor,
        U::LipStretcher,
        U::LipTightener,
        U::LipsPart,
        U::JawDrop,
        U::MouthStretch,
    ]
};

impl ActionUnit {
    /// The unit's number in the Facial Action Coding System.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// How strongly each unit acts, from 0 (not at all) to about 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Intensities([f32; UNITS.len()]);

impl Intensities {
    /// The intensity of every unit from a function.
    pub fn from_fn(mut intensity: impl FnMut(ActionUnit) -> f32) -> Self {
        Self(UNITS.map(&mut intensity))
    }

    /// The intensity of one unit.
    pub fn of(&self, unit: ActionUnit) -> f32 {
        UNITS.iter().zip(self.0).find(|&(&other, _)| other == unit).map_or(0.0, |(_, intensity)| intensity)
    }

    /// The same with another intensity of one unit.
    pub fn with(self, unit: ActionUnit, intensity: f32) -> Self {
        Self::from_fn(|other| if other == unit { intensity } else { self.of(other) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(units: &[ActionUnit]) -> Vec<u8> {
        units.iter().map(|unit| unit.number()).collect()
    }

    #[test]
    fn the_units_are_those_of_the_coding_system() {
        let table: [(Expression, &[u8], &[u8]); 7] = [
            (Neutral, &[], &[]),
            (Disgust, &[9, 10], &[15]),
            (Happy, &[6, 12, 25], &[]),
            (Surprise, &[1, 2, 5], &[26, 27]),
            (Afraid, &[1, 2, 4, 5, 20, 25], &[]),
            (Angry, &[4, 5, 7, 23], &[]),
            (Sad, &[1, 4, 15], &[]),
        ];
        for (expression, everybody, personal) in table {
            assert_eq!(numbers(expression.action_units()), everybody, "{}", expression.name());
            assert_eq!(numbers(expression.personal_units()), personal, "{}", expression.name());
        }
        assert_eq!(numbers(&UNITS), [1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 20, 23, 25, 26, 27]);
    }

    #[test]
    fn the_orders_are_those_of_the_research() {
        let names = |order: &[Expression]| order.iter().map(|expression| expression.name()).collect::<Vec<_>>();
        assert_eq!(names(&SEVEN), ["neutral", "disgust", "happy", "surprise", "afraid", "angry", "sad"]);
        assert_eq!(names(&FIVE), ["disgust", "happy", "surprise", "neutral", "sad"]);
        assert_eq!((MMI[3], MMI[5]), (Surprise, Happy));
        let mut all = MMI.to_vec();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 7);
    }

    #[test]
    fn names_are_read_back_and_others_refused() {
        for expression in SEVEN {
            assert_eq!(Expression::parse(expression.name()).unwrap(), expression);
        }
        assert_eq!(
            Expression::parse("cheer").unwrap_err().to_string(),
            "expressions = `cheer`: expected some of neutral, disgust, happy, surprise, afraid, angry, sad"
        );
    }

    #[test]
    fn an_intensity_belongs_to_its_unit() {
        let intensities = Intensities::from_fn(|unit| f32::from(unit.number()));
        for unit in UNITS {
            assert_eq!(intensities.of(unit), f32::from(unit.number()));
        }
    }
}
