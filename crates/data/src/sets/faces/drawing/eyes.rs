//! One eye: lids, white, iris, lashes.

use super::super::canvas::{Canvas, Spot};
use super::super::colour;
use super::super::curves::{between, brush, oval};
use super::super::geometry::{Eye, Point};
use super::super::person::Person;
use super::sampled;

/// Points along a lid.
const N_POINTS: usize = 20;

/// Paints one eye with its lids.
pub(super) fn paint(canvas: &mut Canvas, person: &Person, eye: &Eye) {
    let traits = &person.eyes;
    let upper = sampled(-1.0, 1.0, N_POINTS, |place| eye.upper(place));
    let lower = sampled(-1.0, 1.0, N_POINTS, |place| eye.lower(place));
    let almond = between(&upper, &lower);
    let [x, y] = eye.centre;

    // The lid above and the rim below stand out from the socket.
    let lid: Vec<Point> = upper.iter().map(|&[x, y]| [x, y - 0.008]).collect();
    canvas.ridge(&lid, 0.018, 0.0045);
    let rim: Vec<Point> = lower.iter().map(|&[x, y]| [x, y + 0.010]).collect();
    canvas.ridge(&rim, 0.014, 0.0030);

    canvas.surface(almond.clone(), [0.90, 0.89, 0.87], 0.0, |[px, py]| [-2.2 * (px - x), -1.5 * (py - y)]);
    canvas.clip(almond);
    for (place, strength) in [(-1.0, 0.45), (1.0, 0.35)] {
        let corner = eye.upper(place);
        canvas.tint_spot(Spot::level(corner, 0.036, 0.028), [0.80, 0.50, 0.46], strength);
    }
    let iris = [x, y - 0.003];
    let radius = traits.iris;
    canvas.fill(oval(iris, radius, radius), colour::scaled(traits.iris_colour, 0.50), 1.0);
    canvas.fill_with(oval(iris, radius * 0.90, radius * 0.90), 0.002, |[px, py]| {
        let (dx, dy) = ((px - iris[0]) / radius, (py - iris[1]) / radius);
        // Lighter below, where light falls through the lens, and around the pupil.
        (colour::scaled(traits.iris_colour, 0.95 + 0.45 * dy - 0.25 * (dx * dx + dy * dy)), 1.0)
    });
    canvas.fill(oval(iris, radius * 0.44, radius * 0.44), [0.03, 0.03, 0.03], 1.0);
    // The upper lid's shadow on the eyeball.
    let shadow: Vec<Point> = upper.iter().map(|&[x, y]| [x, y + 0.011]).collect();
    canvas.fill_soft(between(&upper, &shadow), 0.010, [0.16, 0.12, 0.12], 0.50);
    canvas.fill(oval([x + 0.30 * radius, y - 0.36 * radius], 0.0068, 0.0068), [1.0; 3], 0.95);
    canvas.unclip();

    let lash = colour::mix(colour::scaled(person.skin.colour, 0.22), [0.06, 0.05, 0.05], 0.65);
    let weight = traits.lashes;
    canvas.fill_soft(brush(&upper, |t| 0.0022 + 0.0040 * weight * t.min(0.9) * (1.4 - t)), 0.003, lash, 0.92);
    if weight > 1.1 {
        // Long lashes at the outer corner.
        for place in [0.62, 0.78, 0.92] {
            let [lx, ly] = eye.upper(place);
            let tip = [lx + eye.side * 0.012, ly - 0.010 * weight];
            canvas.fill(brush(&[[lx, ly], tip], |t| 0.0022 * (1.0 - 0.8 * t)), lash, 0.8);
        }
    }
    canvas.fill_soft(brush(&lower, |t| 0.0012 + 0.0015 * t), 0.003, colour::scaled(person.skin.colour, 0.45), 0.55);
    // The fold above the lid: near the lashes where the lid is raised, and gone into the brow where it is sloped.
    let crease = sampled(-0.88, 1.06, N_POINTS, |place| {
        let [cx, cy] = eye.upper(place.clamp(-1.0, 1.0));
        let far = place.abs().min(1.0);
        [cx + 0.004 * eye.side * place, cy - 0.0085 - (0.010 - 0.25 * (eye.open_up - 0.0335)) * (1.0 - 0.7 * far * far)]
    });
    canvas.shade(brush(&crease, |t| 0.0016 + 0.0055 * t * (1.0 - t)), 0.005, 0.52);
}
