//! The nose: bridge, tip, wings and nostrils.

use super::super::canvas::{Canvas, Spot};
use super::super::colour;
use super::super::curves::{brush, oval, smooth};
use super::super::geometry::Geometry;
use super::super::person::Person;
use super::mirrored;

/// The nose's relief and the shade beneath it.
pub(super) fn relief(canvas: &mut Canvas, person: &Person, geometry: &Geometry) {
    let nose = &person.nose;
    let (top, tip, up) = (person.eyes.y - 0.01, nose.tip_y - 0.4 * geometry.nose_up, geometry.nose_up);
    let middle = 0.5 * (top + tip);
    canvas.bump(Spot::level([0.0, middle + 0.01], nose.bridge * 2.1, 0.66 * (tip - top)), 0.42 * nose.height);
    canvas.bump(Spot::level([0.0, tip - 0.075], nose.bridge * 1.9, 0.13), 0.20 * nose.height);
    canvas.bump(Spot::level([0.0, tip - 0.012], nose.tip * 1.30, nose.tip * 1.15), 0.30 * nose.height);
    for side in [-1.0, 1.0] {
        let wing = [side * (nose.half_width - 0.022), tip + 0.004 - up];
        canvas.bump(Spot::level(wing, 0.038, 0.034), 0.012);
        canvas.shade_spot(Spot::level([side * nose.bridge * 1.35, middle], nose.bridge * 0.9, 0.10), 0.05);
    }
    canvas.gloss_spot(Spot::level([0.0, tip - 0.02], 0.035, 0.045), 0.9 * person.skin.gloss);
    canvas.shade_spot(Spot::level([0.0, tip + 0.042], nose.half_width * 1.15, 0.032), 0.34);
    let red = colour::mix(person.skin.colour, [0.86, 0.36, 0.33], 0.5);
    canvas.tint_spot(Spot::level([0.0, tip - 0.01], 0.075, 0.06), red, 0.6 * person.skin.blush);
}

/// Nostrils, and the line around the wings.
pub(super) fn openings(canvas: &mut Canvas, person: &Person, geometry: &Geometry) {
    let nose = &person.nose;
    let (tip, up) = (nose.tip_y, geometry.nose_up);
    for side in [-1.0, 1.0] {
        let x = nose.half_width;
        let wing = [[x - 0.006, tip - 0.034 - up], [x + 0.003, tip - 0.006 - up], [x - 0.010, tip + 0.021 - 0.8 * up]];
        let line = smooth(&wing.map(|point| mirrored(side, point)), 6);
        canvas.shade(brush(&line, |t| 0.0032 + 0.0050 * t), 0.007, 0.42 + 8.0 * up);
        let hole = [side * (x * 0.5), tip + 0.019 - 0.75 * up];
        let dark = colour::mix(colour::scaled(person.skin.colour, 0.28), [0.20, 0.06, 0.05], 0.5);
        canvas.fill_soft(oval(hole, nose.nostril + 0.15 * up, 0.0078 + 0.16 * up), 0.006, dark, 0.92);
    }
    let base = [
        [-0.5 * nose.half_width, tip + 0.024 - 0.6 * up],
        [0.0, tip + 0.031 - 0.4 * up],
        [0.5 * nose.half_width, tip + 0.024 - 0.6 * up],
    ];
    canvas.shade(brush(&smooth(&base, 6), |t| 0.002 + 0.012 * t * (1.0 - t)), 0.008, 0.40);
    // The groove down to the lip.
    let lip = geometry.mouth.upper_outer(0.0)[1];
    for side in [-1.0, 1.0] {
        canvas.ridge(&[[side * 0.017, tip + 0.032], [side * 0.020, lip]], 0.012, 0.0022);
    }
}
