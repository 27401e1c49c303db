//! Measures of a drawn face that are known exactly, because they are read from the geometry and not from pixels.
//!
//! Lengths are in face heights: the distance from the vertex to the chin at rest. They are taken in the face's own
//! frame, so that a session's shift, turn and scale do not matter; its factor on the amplitudes does.

use super::expression::Expression;
use super::geometry::{Geometry, Mouth};
use super::person::{Person, Side};
use super::session::Session;

/// The distance between the lips in the middle of the mouth, in face heights; 0 when they touch.
#[must_use]
pub fn mouth_opening(person: u32, expression: Expression, session: u32) -> f32 {
    opening_of(&geometry(person, expression, session).mouth)
}

/// How much higher the upper lip's outer edge lies half-way to the right corner than half-way to the left one, in face
/// heights, right and left of the picture. Positive where the right is raised more; 0 for every expression but disgust.
#[must_use]
pub fn mouth_asymmetry(person: u32, expression: Expression, session: u32) -> f32 {
    asymmetry_of(&geometry(person, expression, session).mouth)
}

/// The side of the picture on which a person's disgust raises the upper lip more.
#[must_use]
pub fn disgust_side(person: u32) -> Side {
    Person::new(person).habits.disgust_side
}

/// [`mouth_opening`] of these lips.
pub(super) fn opening_of(mouth: &Mouth) -> f32 {
    mouth.lower_inner(0.0)[1] - mouth.upper_inner(0.0)[1]
}

/// [`mouth_asymmetry`] of these lips.
pub(super) fn asymmetry_of(mouth: &Mouth) -> f32 {
    mouth.upper_outer(-0.5)[1] - mouth.upper_outer(0.5)[1]
}

/// The geometry of one picture.
pub(super) fn geometry(person: u32, expression: Expression, session: u32) -> Geometry {
    let amplitude = Session::new(person, session).amplitude;
    let person = Person::new(person);
    Geometry::new(&person, person.intensities(expression, amplitude))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::faces::expression::SEVEN;

    #[test]
    fn surprise_opens_the_mouth_most() {
        for person in 0..300 {
            for session in 0..3 {
                let opening = |expression| mouth_opening(person, expression, session);
                let surprise = opening(Expression::Surprise);
                assert!(surprise > 0.03, "{surprise}");
                for closed in [Expression::Neutral, Expression::Angry, Expression::Sad] {
                    assert_eq!(opening(closed), 0.0);
                }
                assert!(opening(Expression::Happy) > 0.01);
                assert!(opening(Expression::Disgust) < surprise);
            }
        }
    }

    #[test]
    fn only_disgust_is_uneven_and_to_the_persons_own_side() {
        for person in 0..300 {
            for session in 0..2 {
                for expression in SEVEN {
                    let asymmetry = mouth_asymmetry(person, expression, session);
                    if expression == Expression::Disgust {
                        assert_eq!(asymmetry.signum(), disgust_side(person).sign());
                        assert!(asymmetry.abs() > 0.005, "{asymmetry}");
                    } else {
                        assert!(asymmetry.abs() < 1e-6, "{expression:?} {asymmetry}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_session_changes_the_strength_and_nothing_else() {
        let of = |session| mouth_opening(5, Expression::Surprise, session) / Session::new(5, session).amplitude;
        assert!((of(0) - of(1)).abs() < 1e-6);
        assert_eq!(mouth_opening(5, Expression::Surprise, 0), mouth_opening(5, Expression::Surprise, 0));
    }
}
