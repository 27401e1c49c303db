//! One picture, painted from the back to the front: background, hair behind the head, shoulders, ears, head, what lies
//! on the skin, eyes, brows, nose, mouth, beard, hair, glasses. Each part is in a file of its own.

mod adornments;
mod beard;
mod brows;
mod eyes;
mod hair;
mod head;
mod mouth;
mod nose;

use super::canvas::Canvas;
use super::expression::Expression;
use super::geometry::{Geometry, Point};
use super::person::Person;
use super::session::Session;

/// Draws a person with an expression in a session.
///
/// # Shapes
/// 3 × size × size bytes, 255 being white; empty for a size of 0.
pub(super) fn draw(person: &Person, expression: Expression, session_idx: u32, size: usize) -> Vec<u8> {
    let session = Session::new(person.index, session_idx);
    let geometry = Geometry::new(person, person.intensities(expression, session.amplitude));
    draw_geometry(person, &geometry, &session, size)
}

/// Draws a person whose brows, lids, lips and jaw lie as `geometry` says, whatever expression that is.
///
/// # Shapes
/// As [`draw`].
pub(super) fn draw_geometry(person: &Person, geometry: &Geometry, session: &Session, size: usize) -> Vec<u8> {
    let Some(mut canvas) = Canvas::new(size, session) else { return Vec::new() };
    canvas.background(|[_, y]| {
        let fall = 0.05 * (y - 0.5);
        [0.70 - fall, 0.71 - fall, 0.72 - fall]
    });
    hair::behind(&mut canvas, person);
    head::shoulders(&mut canvas, person, geometry);
    head::ears(&mut canvas, person);
    let outline = head::outline(person, geometry);
    head::skin(&mut canvas, person, geometry, &outline);
    head::wrinkles(&mut canvas, person, geometry);
    nose::relief(&mut canvas, person, geometry);
    mouth::relief(&mut canvas, geometry);
    adornments::spots(&mut canvas, person);
    beard::shadow(&mut canvas, person, geometry, &outline);
    nose::openings(&mut canvas, person, geometry);
    mouth::paint(&mut canvas, person, geometry);
    beard::hair(&mut canvas, person, geometry, &outline);
    for eye in &geometry.eyes {
        eyes::paint(&mut canvas, person, eye);
    }
    brows::paint(&mut canvas, person, geometry);
    hair::front(&mut canvas, person);
    adornments::glasses(&mut canvas, person, geometry);
    canvas.finish(session)
}

/// Points of a curve at evenly spread places between two.
fn sampled(from: f32, to: f32, n: usize, curve: impl Fn(f32) -> Point) -> Vec<Point> {
    (0..=n).map(|step| curve(from + (to - from) * step as f32 / n as f32)).collect()
}

/// A point of the right side of the face on this side: itself for 1, its mirror image for −1.
fn mirrored(side: f32, [x, y]: Point) -> Point {
    [side * x, y]
}
