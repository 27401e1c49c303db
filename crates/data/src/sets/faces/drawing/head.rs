//! Shoulders, ears, the head's shape and relief, and the wrinkles that expression and age make.

use super::super::canvas::{Canvas, Spot};
use super::super::colour;
use super::super::curves::{brush, closed, smooth};
use super::super::expression::ActionUnit as Unit;
use super::super::geometry::{Geometry, Point};
use super::super::person::Person;
use super::mirrored;

/// Neck and shoulders in a grey shirt.
pub(super) fn shoulders(canvas: &mut Canvas, person: &Person, geometry: &Geometry) {
    let neck = person.head.neck;
    let skin = colour::scaled(person.skin.colour, 0.93);
    let cylinder = |[x, _]: Point| {
        let across = (x / (neck * 1.15)).clamp(-0.94, 0.94);
        [0.55 * across / (1.0 - across * across).sqrt(), 0.0]
    };
    let outline =
        [[-neck, 0.7], [neck, 0.7], [neck * 1.02, 1.08], [neck * 1.5, 1.3], [-neck * 1.5, 1.3], [-neck * 1.02, 1.08]];
    canvas.surface(closed(&outline), skin, 0.0, cylinder);
    // The head keeps the light off the neck.
    canvas.clip(closed(&outline));
    canvas.shade_spot(Spot::level([0.0, 0.97 + geometry.jaw], neck * 1.9, 0.20), 0.55);
    canvas.unclip();
    let shirt = [
        [-neck * 0.98, 1.115],
        [0.0, 1.20],
        [neck * 0.98, 1.115],
        [0.52, 1.20],
        [0.72, 1.36],
        [0.72, 1.6],
        [-0.72, 1.6],
        [-0.72, 1.36],
        [-0.52, 1.20],
    ];
    canvas.surface(closed(&shirt), [0.50, 0.51, 0.53], 0.0, |[x, y]| [0.5 * x, 0.25 - 0.2 * y]);
}

/// Both ears, partly behind the head.
pub(super) fn ears(canvas: &mut Canvas, person: &Person) {
    let (ears, head) = (&person.ears, &person.head);
    for side in [-1.0, 1.0] {
        let root = head.cheek.min(head.temple) - 0.03;
        let [top, bottom] = [ears.y - ears.half_height, ears.y + ears.half_height];
        let out = head.cheek + ears.out;
        let outline = [
            [root, top + 0.02],
            [out - 0.018, top],
            [out + 0.006, ears.y - 0.5 * ears.half_height],
            [out - 0.006, ears.y + 0.25 * ears.half_height],
            [out - 0.028, bottom],
            [root, bottom - 0.01],
        ]
        .map(|point| mirrored(side, point));
        let skin = colour::mix(person.skin.colour, [0.80, 0.40, 0.36], 0.13);
        canvas.surface(closed(&outline), skin, 0.0, |[x, _]| {
            [side * (0.2 + 4.0 * (side * x - root)).clamp(0.0, 1.1), 0.1]
        });
        let inner = [
            [out - 0.012, ears.y - 0.62 * ears.half_height],
            [out - 0.022, ears.y - 0.1 * ears.half_height],
            [out - 0.030, ears.y + 0.42 * ears.half_height],
        ]
        .map(|point| mirrored(side, point));
        canvas.shade(brush(&smooth(&inner, 6), |t| 0.011 * (1.0 - t * t) + 0.003), 0.012, 0.42);
    }
}

/// The head's outline, clockwise from the vertex.
pub(super) fn outline(person: &Person, geometry: &Geometry) -> Vec<Point> {
    let (head, jaw) = (&person.head, geometry.jaw);
    let right = [
        [0.60 * head.temple, 0.045],
        [0.915 * head.temple, 0.175],
        [head.temple, 0.34],
        [head.cheek, 0.52],
        [0.5 * (head.cheek + head.jaw) + 0.022, 0.5 * (0.52 + head.jaw_y)],
        [head.jaw, head.jaw_y + 0.5 * jaw],
        [0.5 * (head.jaw + head.chin), 0.925 + 0.9 * jaw],
        [head.chin, 0.982 + jaw],
    ];
    let mut points = vec![[0.0, 0.0]];
    points.extend(right);
    points.push([0.0, 1.0 + jaw]);
    points.extend(right.iter().rev().map(|&point| mirrored(-1.0, point)));
    points
}

/// The head's skin and its great forms: skull, brow ridge, sockets, cheeks, chin.
pub(super) fn skin(canvas: &mut Canvas, person: &Person, geometry: &Geometry, outline: &[Point]) {
    let (head, eyes) = (&person.head, &person.eyes);
    let (wide, high, deep) = (head.cheek * 1.06, 0.58 + 0.5 * geometry.jaw, 0.36);
    let middle = 0.5 + 0.5 * geometry.jaw;
    let colour = person.skin.colour;
    canvas.surface(closed(outline), colour, person.skin.gloss, |[x, y]| {
        let (across, up) = (x / wide, (y - middle) / high);
        // A flattened ellipsoid: z = deep · √(1 − across² − up²), its steepest parts left out.
        let root = (1.0 - across * across - 0.75 * up * up).max(0.10).sqrt();
        [-deep * across / (wide * root), -0.75 * deep * up / (high * root)]
    });
    let red = colour::mix(colour, [0.86, 0.34, 0.32], 0.6);
    for (eye, side) in geometry.eyes.iter().zip([-1.0, 1.0]) {
        let [x, y] = eye.centre;
        canvas.bump(Spot::level([x + 0.01 * side, y + 0.004], 0.125, 0.080), -0.021);
        canvas.shade_spot(Spot::level([x - 0.035 * side, y - 0.012], 0.095, 0.062), 0.16);
        canvas.bump(Spot::level([x, y - person.brows.above - 0.004], 0.145, 0.055), 0.010);
        // Cheeks: raised ones come forward and gather under the eye.
        let raised = geometry.cheeks_up;
        let cheek = [side * (eyes.x + 0.045), 0.665 - raised];
        canvas.bump(Spot::level(cheek, 0.125, 0.125 - 0.8 * raised), 0.020 + 0.55 * raised);
        canvas.tint_spot(Spot::level([cheek[0], cheek[1] + 0.01], 0.145, 0.125), red, person.skin.blush);
        canvas.gloss_spot(Spot::level([cheek[0], cheek[1] - 0.02], 0.10, 0.08), 0.35 * person.skin.gloss);
    }
    canvas.gloss_spot(Spot::level([0.0, 0.30], 0.18, 0.10), 0.4 * person.skin.gloss);
    canvas.bump(Spot::level([0.0, geometry.mouth.y + 0.3 * geometry.jaw], 0.20, 0.125), 0.026);
    canvas.bump(Spot::level([0.0, 0.945 + geometry.jaw], 0.090 + 0.4 * head.chin, 0.075), 0.024);
    // Tightened lips press the chin into a boss with a furrow above it.
    let tight = geometry.intensities.of(Unit::LipTightener);
    canvas.bump(Spot::level([0.0, 0.893 + 0.9 * geometry.jaw], 0.095, 0.030), -0.008 - 0.008 * tight);
}

/// Folds and furrows: those of the expression, those of age, and those that both make deeper.
pub(super) fn wrinkles(canvas: &mut Canvas, person: &Person, geometry: &Geometry) {
    let of = |unit| geometry.intensities.of(unit);
    let (age, eyes, mouth) = (person.skin.age, &person.eyes, &geometry.mouth);
    for side in [-1.0, 1.0] {
        // From the wing of the nose around the corner of the mouth.
        let depth = 0.22 * age
            + 0.10
            + 0.75 * of(Unit::LipCornerPuller)
            + 0.55 * of(Unit::UpperLipRaiser) * (1.0 + 0.6 * side * mouth.skew)
            + 0.35 * of(Unit::NoseWrinkler);
        let start = [person.nose.half_width + 0.010, person.nose.tip_y - 0.020 - geometry.nose_up];
        let end = [mouth.half_width + 0.030, mouth.y + 0.5 * mouth.corners - 0.004];
        let bend =
            [0.5 * (start[0] + end[0]) + 0.022 + 0.012 * of(Unit::LipCornerPuller), 0.5 * (start[1] + end[1]) - 0.014];
        fold(canvas, &[start, bend, end].map(|point| mirrored(side, point)), 0.019, depth);
        // Marionette lines below depressed corners.
        let corner = [mouth.half_width + 0.012, mouth.y + mouth.corners];
        let depth = 0.14 * age + 0.40 * of(Unit::LipCornerDepressor);
        fold(
            canvas,
            &[corner, [corner[0] + 0.012, corner[1] + 0.020], [corner[0] + 0.008, corner[1] + 0.048]]
                .map(|point| mirrored(side, point)),
            0.013,
            depth,
        );
        // Bags under the eyes.
        let depth = 0.50 * person.skin.eye_bags
            + 0.50 * of(Unit::CheekRaiser)
            + 0.25 * of(Unit::LidTightener)
            + 0.25 * of(Unit::NoseWrinkler);
        let y = eyes.y + 0.046 - 0.4 * geometry.cheeks_up;
        let bag = [[eyes.x - 0.065, y - 0.012], [eyes.x - 0.01, y + 0.006], [eyes.x + 0.06, y - 0.008]];
        fold(canvas, &bag.map(|point| mirrored(side, point)), 0.012, depth);
        // Crow's feet.
        let depth = 0.35 * age + 0.75 * of(Unit::CheekRaiser);
        let x = eyes.x + eyes.half_width + 0.016;
        for (rise, reach) in [(-0.022, 0.040), (0.002, 0.046), (0.024, 0.040)] {
            let foot = [[x, eyes.y + 0.35 * rise], [x + reach, eyes.y + rise * 1.5]];
            fold(canvas, &foot.map(|point| mirrored(side, point)), 0.0075, 0.7 * depth);
        }
        // Furrows between the brows.
        let x = 0.026 - 0.006 * of(Unit::BrowLowerer);
        let depth = 0.18 * age + 0.95 * of(Unit::BrowLowerer) + 0.35 * of(Unit::NoseWrinkler);
        let y = geometry.brows[0].line[0][1];
        fold(canvas, &[[x + 0.004, y - 0.038], [x, y + 0.022]].map(|point| mirrored(side, point)), 0.011, depth);
        // The wrinkled nose.
        for (height, reach) in [(0.555, 0.040), (0.580, 0.046), (0.605, 0.045)] {
            let crease = [[0.006, height - 0.007], [reach, height + 0.011]];
            fold(canvas, &crease.map(|point| mirrored(side, point)), 0.0085, 0.85 * of(Unit::NoseWrinkler));
        }
    }
    // Across the forehead: brows raised outside wrinkle all of it, inside only the middle.
    let (inside, outside) = (of(Unit::InnerBrowRaiser), of(Unit::OuterBrowRaiser));
    let reach = 0.085 + 0.085 * outside.max(age);
    for (line, height) in [0.356, 0.319, 0.282].into_iter().enumerate() {
        let depth = (0.24 * age + 0.42 * inside + 0.32 * outside) * (1.0 - 0.18 * line as f32);
        let y = height - 0.010 * (inside + outside) + 0.4 * (person.eyes.y - 0.492);
        let arch = 0.010 * (outside - inside);
        let points = [
            [-reach, y + 0.010],
            [-0.5 * reach, y - arch],
            [0.0, y + arch],
            [0.5 * reach, y - arch],
            [reach, y + 0.010],
        ];
        fold(canvas, &points, 0.011, depth);
    }
}

/// A fold of the skin: a crease in the relief and a soft line of shade in it.
fn fold(canvas: &mut Canvas, points: &[Point], width: f32, depth: f32) {
    if depth < 0.02 {
        return;
    }
    let line = smooth(points, 5);
    canvas.ridge(&line, width, -0.32 * width * depth);
    canvas.shade(brush(&line, |t| width * 0.30 * (0.25 + 3.0 * t * (1.0 - t))), width * 0.8, (0.38 * depth).min(0.55));
}
