//! Eyebrows: a soft shape with hairs in it.

use tiny_skia::PathBuilder;

use super::super::canvas::Canvas;
use super::super::colour;
use super::super::curves::{brush, push_brush, smooth};
use super::super::draws::Draws;
use super::super::geometry::Geometry;
use super::super::person::Person;

/// Hairs of one brow.
const N_HAIRS: usize = 26;

/// Paints both brows.
pub(super) fn paint(canvas: &mut Canvas, person: &Person, geometry: &Geometry) {
    let traits = &person.brows;
    for (brow, side) in geometry.brows.iter().zip([-1.0, 1.0]) {
        let line = smooth(&brow.line, 8);
        // Thick at the inner end, thin at the outer one.
        let width = |t: f32| traits.half_thickness * (0.72 + 1.1 * t - 1.55 * t * t).max(0.12);
        canvas.fill_soft(brush(&line, width), 0.007, traits.colour, traits.density);
        // The same hairs on both sides and in every picture of the person.
        let mut draws = Draws::new(person.index, "brow hairs", 0);
        let mut hairs = PathBuilder::new();
        for _ in 0..N_HAIRS {
            let t = draws.between(0.02, 0.93);
            let place = (t * (line.len() - 1) as f32) as usize;
            let [x, y] = line[place];
            let across = draws.between(-0.7, 0.7) * width(t);
            let (out, up) = (draws.between(0.010, 0.020) * (0.4 + t), draws.between(0.002, 0.014) * (1.0 - t));
            push_brush(&mut hairs, &[[x, y + across], [x + side * out, y + across - up]], |t| 0.0016 * (1.2 - t));
        }
        canvas.fill(hairs.finish(), colour::scaled(traits.colour, 0.72), 0.55);
    }
}
