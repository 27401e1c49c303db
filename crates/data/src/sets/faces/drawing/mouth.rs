//! The mouth: what is seen between the lips, the lips, and their relief.

use super::super::canvas::{Canvas, Spot};
use super::super::colour;
use super::super::curves::{between, brush, oval};
use super::super::geometry::{Geometry, Point};
use super::super::person::Person;
use super::sampled;

/// Points along the mouth.
const N_POINTS: usize = 24;

/// The lips' relief on the skin around them.
pub(super) fn relief(canvas: &mut Canvas, geometry: &Geometry) {
    let mouth = &geometry.mouth;
    for place in [-1.0_f32, 1.0] {
        // The corners sink in.
        let [x, y] = mouth.upper_inner(place);
        canvas.bump(Spot::level([x, y], 0.034, 0.028), -0.009);
        canvas.shade_spot(Spot::level([x * 1.03, y + 0.002], 0.028, 0.020), 0.30);
    }
    let [_, below] = mouth.lower_outer(0.0);
    canvas.shade_spot(Spot::level([0.0, below + 0.014], mouth.half_width * 0.72, 0.022), 0.26);
}

/// Teeth, tongue and lips.
pub(super) fn paint(canvas: &mut Canvas, person: &Person, geometry: &Geometry) {
    let mouth = &geometry.mouth;
    let along = |curve: &dyn Fn(f32) -> Point| sampled(-1.0, 1.0, N_POINTS, curve);
    let upper_inner = along(&|place| mouth.upper_inner(place));
    let lower_inner = along(&|place| mouth.lower_inner(place));
    let upper_outer = along(&|place| mouth.upper_outer(place));
    let lower_outer = along(&|place| mouth.lower_outer(place));

    if mouth.opening > 1e-4 {
        inside(canvas, person, geometry, &upper_inner, &lower_inner);
    }
    let [red, green, blue] = person.mouth.colour;
    let upper_colour = colour::scaled([red, green, blue], 0.86);
    let soft = 0.006;
    canvas.fill_soft(between(&upper_outer, &upper_inner), soft, upper_colour, 0.95);
    canvas.fill_soft(between(&lower_inner, &lower_outer), soft, [red, green, blue], 0.95);
    // The lower lip bulges; the upper one turns away from light from above.
    let [_, top] = mouth.lower_inner(0.0);
    let [_, bottom] = mouth.lower_outer(0.0);
    let middle = [0.0, 0.5 * (top + bottom)];
    canvas.bump(Spot::level(middle, mouth.half_width * 0.85, (0.9 * (bottom - top)).max(0.008)), 0.22 * (bottom - top));
    canvas.gloss_spot(Spot::level([0.0, middle[1]], mouth.half_width * 0.4, 0.5 * (bottom - top) + 0.004), 0.16);
    canvas.shade(between(&upper_outer, &upper_inner), soft, 0.12);
    // The line between the lips, or the rims of an open mouth.
    let line = colour::mix(colour::scaled(person.mouth.colour, 0.30), [0.22, 0.05, 0.06], 0.5);
    if mouth.opening < 0.006 {
        canvas.fill_soft(brush(&upper_inner, |t| 0.0020 + 0.0105 * t * (1.0 - t)), 0.003, line, 0.88);
    } else {
        canvas.fill_soft(brush(&upper_inner, |t| 0.0015 + 0.006 * t * (1.0 - t)), 0.003, line, 0.5);
    }
}

/// Everything between the lips.
fn inside(canvas: &mut Canvas, person: &Person, geometry: &Geometry, upper: &[Point], lower: &[Point]) {
    let mouth = &geometry.mouth;
    let opening = mouth.opening;
    let gap = between(upper, lower);
    canvas.surface(gap.clone(), [0.24, 0.07, 0.08], 0.0, |_| [0.0, 0.0]);
    canvas.clip(gap);
    let bottom = mouth.lower_inner(0.0)[1];
    if opening > 0.045 {
        let tongue = oval([0.0, bottom + 0.012], mouth.half_width * 0.62, 0.35 * opening + 0.010);
        canvas.fill_soft(tongue, 0.010, [0.62, 0.27, 0.28], 0.9);
    }
    // Teeth hang from above; the more the mouth is stretched open, the less of the lower ones is hidden.
    let teeth = person.mouth.teeth;
    let length = (0.85 * opening).min(0.031 - 0.16 * geometry.jaw);
    let row: Vec<Point> = upper
        .iter()
        .map(|&[x, y]| {
            let far = x / mouth.half_width;
            [x, y + length * (1.0 - 0.35 * far * far)]
        })
        .collect();
    canvas.fill_soft(between(upper, &row), 0.003, teeth, 0.96);
    for tooth in -4..=4_i8 {
        let x = (f32::from(tooth) + 0.5) * 0.024;
        let top = mouth.upper_inner((x / mouth.half_width).clamp(-1.0, 1.0))[1];
        canvas.fill(brush(&[[x, top], [x, top + length]], |_| 0.0009), [0.55, 0.45, 0.40], 0.40);
    }
    if opening > 0.07 {
        let row: Vec<Point> = lower.iter().map(|&[x, y]| [x, y - 0.016]).collect();
        canvas.fill_soft(between(&row, lower), 0.004, colour::scaled(teeth, 0.80), 0.75);
    }
    // The upper lip's shade, and the dark corners.
    let shadow: Vec<Point> = upper.iter().map(|&[x, y]| [x, y + 0.007]).collect();
    canvas.fill_soft(between(upper, &shadow), 0.008, [0.16, 0.05, 0.05], 0.45);
    for side in [-1.0, 1.0] {
        let corner = [side * mouth.half_width, mouth.y + mouth.corners];
        canvas.tint_spot(Spot::level(corner, mouth.half_width * 0.38, 0.06), [0.16, 0.05, 0.05], 0.85);
    }
    canvas.unclip();
}
