//! Beards: a shadow on the skin, and hair on top of it.

use tiny_skia::{Path, PathBuilder};

use super::super::canvas::Canvas;
use super::super::colour;
use super::super::curves::{between, closed, push_brush};
use super::super::draws::Draws;
use super::super::geometry::{Geometry, Point};
use super::super::person::{BeardStyle, Person};
use super::{mirrored, sampled};

/// The shadow of stubble, and what shows between a beard's hairs.
pub(super) fn shadow(canvas: &mut Canvas, person: &Person, geometry: &Geometry, outline: &[Point]) {
    let beard = &person.beard;
    let opacity = match beard.style {
        BeardStyle::None => return,
        BeardStyle::Stubble => 0.20 + 0.22 * beard.density,
        BeardStyle::Moustache | BeardStyle::Goatee => 0.16,
        BeardStyle::Full => 0.55,
    };
    let dark = colour::mix(colour::scaled(person.skin.colour, 0.55), beard.colour, 0.5);
    canvas.clip(closed(outline));
    canvas.fill_soft(cheeks_and_chin(person, geometry), 0.055, dark, opacity);
    canvas.fill_soft(above_lip(geometry, person, 1.0), 0.020, dark, opacity);
    canvas.unclip();
}

/// The hairs of moustache, goatee and full beard.
pub(super) fn hair(canvas: &mut Canvas, person: &Person, geometry: &Geometry, outline: &[Point]) {
    let beard = &person.beard;
    let mouth = &geometry.mouth;
    let has = |styles: &[BeardStyle]| styles.contains(&beard.style);
    let mut draws = Draws::new(person.index, "beard hairs", 0);
    if has(&[BeardStyle::Full]) {
        canvas.clip(closed(outline));
        canvas.fill_soft(cheeks_and_chin(person, geometry), 0.030, beard.colour, 0.80 * beard.density);
        strands(canvas, person, &mut draws, 150, |draws| {
            let x = draws.between(-0.32, 0.32);
            let low = 0.80 + 0.5 * geometry.jaw;
            let y = draws.between(low.max(0.99 - 0.9 * x.abs() - 0.25), 1.0 + geometry.jaw);
            ([x, y], [0.15 * x, 0.032])
        });
        canvas.unclip();
    }
    if has(&[BeardStyle::Goatee, BeardStyle::Full]) {
        let [_, lip] = mouth.lower_outer(0.0);
        let chin = 1.0 + geometry.jaw;
        let half = 0.105 * beard.thickness;
        let patch = [
            [-0.35 * half, lip + 0.012],
            [0.35 * half, lip + 0.012],
            [half, chin - 0.055],
            [0.62 * half, chin + 0.004],
            [-0.62 * half, chin + 0.004],
            [-half, chin - 0.055],
        ];
        canvas.fill_soft(closed(&patch), 0.018, beard.colour, 0.9 * beard.density);
        strands(canvas, person, &mut draws, 50, |draws| {
            let x = draws.between(-0.8, 0.8) * half;
            ([x, draws.between(chin - 0.07, chin - 0.02)], [0.1 * x, 0.028])
        });
    }
    if has(&[BeardStyle::Moustache, BeardStyle::Goatee, BeardStyle::Full]) {
        canvas.fill_soft(above_lip(geometry, person, beard.thickness), 0.008, beard.colour, 0.95 * beard.density);
        strands(canvas, person, &mut draws, 60, |draws| {
            let place = draws.between(-0.95, 0.95);
            let [x, y] = mouth.upper_outer(place);
            ([x, y - 0.020 * (1.0 - 0.5 * place * place)], [0.016 * place, 0.022])
        });
    }
}

/// Hairs from a root in a direction, some lighter and some darker.
fn strands(
    canvas: &mut Canvas,
    person: &Person,
    draws: &mut Draws,
    n: usize,
    mut hair: impl FnMut(&mut Draws) -> (Point, Point),
) {
    for shade in [0.70, 1.30] {
        let mut hairs = PathBuilder::new();
        for _ in 0..n / 2 {
            let ([x, y], [dx, dy]) = hair(draws);
            push_brush(&mut hairs, &[[x, y], [x + dx, y + dy]], |t| 0.0018 * (1.3 - t));
        }
        canvas.fill(hairs.finish(), colour::scaled(person.beard.colour, shade), 0.45 * person.beard.density);
    }
}

/// Where a full beard grows below the cheekbones; the lips are painted over.
fn cheeks_and_chin(person: &Person, geometry: &Geometry) -> Option<Path> {
    let (head, mouth, jaw) = (&person.head, &geometry.mouth, geometry.jaw);
    let below = mouth.lower_outer(0.0)[1];
    let right = [
        [head.cheek + 0.02, 0.60],
        [head.cheek - 0.055, 0.69],
        [mouth.half_width + 0.055, mouth.y - 0.03],
        [mouth.half_width + 0.030, mouth.y + 0.02],
        [0.55 * mouth.half_width, below + 0.022],
    ];
    let mut points: Vec<Point> = right.to_vec();
    points.extend(right.iter().rev().map(|&point| mirrored(-1.0, point)));
    points.extend([[-head.jaw - 0.05, 0.88 + jaw], [0.0, 1.06 + jaw], [head.jaw + 0.05, 0.88 + jaw]]);
    closed(&points)
}

/// Where a moustache grows: from the upper lip towards the nose.
fn above_lip(geometry: &Geometry, person: &Person, thickness: f32) -> Option<Path> {
    let mouth = &geometry.mouth;
    let room = (mouth.upper_outer(0.0)[1] - person.nose.tip_y - 0.028).max(0.014);
    let lip = sampled(-1.08, 1.08, 20, |place| {
        let [x, y] = mouth.upper_outer(place.clamp(-1.0, 1.0));
        [x * 1.04, y + 0.004]
    });
    let top: Vec<Point> = lip
        .iter()
        .map(|&[x, y]| {
            let far = (x / (1.1 * mouth.half_width)).abs();
            [x, y - (room * 0.85 * thickness).min(room) * (1.0 - far * far).max(0.0) - 0.004]
        })
        .collect();
    between(&top, &lip)
}
