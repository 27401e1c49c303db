//! Freckles, moles and glasses.

use tiny_skia::PathBuilder;

use super::super::canvas::{Canvas, Spot};
use super::super::colour;
use super::super::curves::{brush, push_closed, smooth};
use super::super::draws::Draws;
use super::super::geometry::{Geometry, Point};
use super::super::person::Person;

/// Freckles and moles.
pub(super) fn spots(canvas: &mut Canvas, person: &Person) {
    let skin = &person.skin;
    let brown = colour::mix(colour::scaled(skin.colour, 0.60), [0.40, 0.22, 0.12], 0.4);
    let mut draws = Draws::new(person.index, "freckles", 0);
    for _ in 0..skin.freckles {
        let place = [draws.around(0.0, 0.26), draws.around(0.61, 0.13)];
        let radius = draws.between(0.005, 0.010);
        canvas.tint_spot(Spot::level(place, radius, radius), brown, draws.between(0.3, 0.7));
    }
    for &(place, radius) in &skin.moles {
        let dark = colour::mix(brown, [0.16, 0.09, 0.07], 0.5);
        canvas.tint_spot(Spot::level(place, radius, radius), dark, 1.0);
        canvas.tint_spot(Spot::level(place, 0.8 * radius, 0.8 * radius), dark, 1.0);
    }
}

/// Glasses, which sit on the nose whatever the face does.
pub(super) fn glasses(canvas: &mut Canvas, person: &Person, geometry: &Geometry) {
    let Some(glasses) = person.glasses else { return };
    for eye in &geometry.eyes {
        let side = eye.side;
        let centre = [eye.centre[0] + 0.004 * side, eye.centre[1] + 0.014];
        let rim = |grow: f32| rounded(centre, glasses.half_width + grow, glasses.half_height + grow, glasses.round);
        let mut lens = PathBuilder::new();
        push_closed(&mut lens, &rim(0.0));
        canvas.fill(lens.finish(), [0.93, 0.95, 0.97], 0.07);
        let mut frame = PathBuilder::new();
        push_closed(&mut frame, &rim(0.5 * glasses.thickness));
        // The inner edge runs the other way round, so that the glass stays free.
        let mut inner = rim(-0.5 * glasses.thickness);
        inner.reverse();
        push_closed(&mut frame, &inner);
        let frame = frame.finish();
        canvas.shade(frame.clone(), 0.016, 0.25);
        canvas.fill(frame, glasses.colour, 0.96);
        let end = person.head.cheek.max(person.head.temple) + 0.004;
        let temple = [[centre[0] + side * glasses.half_width, centre[1] - 0.030], [side * end, centre[1] - 0.022]];
        canvas.fill(brush(&temple, |_| 0.5 * glasses.thickness), glasses.colour, 0.96);
    }
    let inner = person.eyes.x - glasses.half_width + 0.004;
    let y = geometry.eyes[0].centre[1] - 0.004;
    let bridge = smooth(&[[-inner, y + 0.008], [0.0, y - 0.004], [inner, y + 0.008]], 6);
    canvas.fill(brush(&bridge, |_| 0.45 * glasses.thickness), glasses.colour, 0.96);
}

/// An oval (`round` 1) or a rectangle with round corners (`round` 0), by its points.
fn rounded(centre: Point, half_width: f32, half_height: f32, round: f32) -> Vec<Point> {
    let corner = 0.707 + 0.16 * (1.0 - round);
    let long = 0.45 + 0.06 * (1.0 - round);
    let edge = 0.90 + 0.085 * (1.0 - round);
    let quarter = [[1.0, 0.0], [edge, long], [corner, corner], [long, edge]];
    let turned = |n: usize| {
        quarter.iter().map(move |&[x, y]| match n {
            0 => [x, y],
            1 => [-y, x],
            2 => [-x, -y],
            _ => [y, -x],
        })
    };
    (0..4).flat_map(turned).map(|[x, y]: Point| [centre[0] + x * half_width, centre[1] + y * half_height]).collect()
}
