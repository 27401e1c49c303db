//! What changes from one session of a person to the next: light, place in the picture, and strength of expression.
//!
//! The ranges are within those of SPEC §3.3, and narrower than an earlier drawing's, in which a person was not known again in
//! another session: `cargo xtask data faces-check` measures that they are, and the expression on persons never seen too.

use super::draws::Draws;

/// How often a person came to be drawn, at most: sessions are named by letters.
pub const MAX_SESSIONS: u32 = 26;

/// One session of one person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Session {
    /// Where the light comes from, right and down, relative to the direction of view.
    pub light: [f32; 2],
    /// How much of the light has that direction; the rest comes from everywhere.
    pub strength: f32,
    /// Brightness of the picture.
    pub exposure: f32,
    /// Shift right and down, in image sizes, at most 1 %.
    pub shift: [f32; 2],
    /// Turn in the picture, in radians, at most 1.5°.
    pub turn: f32,
    /// Size relative to the usual one, at most 1 % off.
    pub scale: f32,
    /// Factor on every amplitude, at most 10 % off.
    pub amplitude: f32,
}

impl Session {
    /// Session `index` of a person: 0 is A, 1 is B.
    pub fn new(person: u32, index: u32) -> Self {
        let mut draws = Draws::new(person, "session", u64::from(index));
        Self {
            light: [draws.between(-0.45, 0.45), draws.between(-0.45, -0.15)],
            strength: draws.between(0.04, 0.15),
            exposure: draws.between(0.98, 1.02),
            shift: [draws.between(-0.01, 0.01), draws.between(-0.01, 0.01)],
            turn: draws.between(-0.026, 0.026),
            scale: draws.between(0.99, 1.01),
            amplitude: draws.between(0.9, 1.1),
        }
    }
}

/// The level's name in the factor `session`: A, B, C, …
pub(super) fn name(index: u32) -> String {
    char::from_u32('A' as u32 + index).unwrap_or('?').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_stay_within_their_bounds_and_differ() {
        for person in 0..200 {
            for index in 0..3 {
                let session = Session::new(person, index);
                assert!(session.shift.iter().all(|shift| shift.abs() <= 0.01));
                assert!(session.turn.abs() <= 1.5_f32.to_radians());
                assert!((session.scale - 1.0).abs() <= 0.01);
                assert!((session.amplitude - 1.0).abs() <= 0.1);
                assert_ne!(session, Session::new(person, index + 1));
                assert_ne!(session, Session::new(person + 1, index));
                assert_eq!(session, Session::new(person, index));
            }
        }
        assert_eq!([name(0), name(2), name(25)], ["A", "C", "Z"]);
    }
}
