//! Hair: what hangs behind the head, the cap on it, and the curtains beside long-haired faces.

use tiny_skia::{Path, PathBuilder};

use super::super::canvas::Canvas;
use super::super::colour::{self, Colour};
use super::super::curves::{between, brush, closed, oval, push_brush, push_closed, smooth};
use super::super::draws::Draws;
use super::super::geometry::Point;
use super::super::person::{HairStyle, Person};
use super::mirrored;

/// How a style's cap differs from others; lengths in face heights.
struct Cap {
    /// How far it stands off the head, above and beside.
    top: f32,
    side: f32,
    /// Height of the hairline in the middle, and how much higher it is beside the middle.
    middle: f32,
    corners: f32,
    /// How far it comes down before the ears.
    sideburn: f32,
    opacity: f32,
}

impl Cap {
    fn new(person: &Person) -> Self {
        use HairStyle as S;
        let hair = &person.hair;
        let (volume, middle, corners) = (hair.volume, hair.hairline, hair.corners);
        let cap = |top: f32, side: f32, sideburn: f32| Self {
            top: top * volume,
            side: side * volume,
            middle,
            corners,
            sideburn,
            opacity: 1.0,
        };
        match hair.style {
            S::Bald => Self { corners: 0.03, opacity: 0.10, ..cap(0.0, 0.0, 0.45) },
            S::Buzz => Self { opacity: 0.70, ..cap(0.010, 0.005, 0.50) },
            S::Receding => Self { middle: 0.135, corners: 0.105, opacity: 0.92, ..cap(0.014, 0.018, 0.52) },
            S::SidePart => cap(0.042, 0.014, 0.53),
            S::Quiff => Self { middle: middle - 0.015, ..cap(0.080, 0.012, 0.51) },
            S::Fringe => Self { middle: 0.325 + 0.05 * hair.length, corners: -0.01, ..cap(0.040, 0.026, 0.54) },
            S::Curly => Self { middle: middle + 0.015, corners: 0.0, ..cap(0.055, 0.040, 0.50) },
            S::Bob | S::Straight | S::Wavy => cap(0.040, 0.018, 0.50),
            S::TiedBack => Self { middle: middle - 0.01, ..cap(0.016, 0.004, 0.49) },
        }
    }

    /// The right half of the cap's outer edge, from the sideburn to the top.
    fn outer(&self, person: &Person) -> [Point; 5] {
        let head = &person.head;
        [
            [head.cheek + 0.004 + 0.6 * self.side, self.sideburn],
            [head.temple + 0.008 + self.side, 0.33],
            [0.915 * head.temple + 0.012 + self.side, 0.165],
            [0.60 * head.temple + 0.6 * self.side, 0.038 - 0.75 * self.top],
            [0.0, -0.003 - self.top],
        ]
    }

    /// The right half of the hairline, from the middle to the sideburn.
    fn hairline(&self, person: &Person) -> [Point; 5] {
        let head = &person.head;
        let corner = self.middle - self.corners;
        [
            [0.0, self.middle],
            [0.52 * head.temple, corner + 0.004],
            [0.80 * head.temple, (corner + 0.070).min(0.36)],
            [0.885 * head.temple, 0.375],
            [head.cheek * 0.935, self.sideburn],
        ]
    }

    /// Everything within the cap's outer edge, the face included.
    fn silhouette(&self, person: &Person) -> Option<Path> {
        let outer = self.outer(person);
        let mut points: Vec<Point> = outer.to_vec();
        points.extend(outer.iter().rev().skip(1).map(|&point| mirrored(-1.0, point)));
        points.extend([[-0.2, 0.75], [0.2, 0.75]]);
        closed(&points)
    }

    fn path(&self, person: &Person) -> Option<Path> {
        let (outer, hairline) = (self.outer(person), self.hairline(person));
        let mut points: Vec<Point> = outer.to_vec();
        points.extend(outer.iter().rev().skip(1).map(|&point| mirrored(-1.0, point)));
        points.extend(hairline.iter().rev().map(|&point| mirrored(-1.0, point)));
        points.extend(&hairline[1..]);
        closed(&points)
    }
}

/// What is seen of long or thick hair behind the head and neck.
pub(super) fn behind(canvas: &mut Canvas, person: &Person) {
    use HairStyle as S;
    let (hair, head) = (&person.hair, &person.head);
    let dark = colour::scaled(hair.colour, 0.62);
    let wide = head.cheek + 0.050 * hair.volume;
    let bottom = match hair.style {
        S::Bob => 0.84 + 0.14 * hair.length,
        S::Straight | S::Wavy => 1.08 + 0.3 * hair.length,
        S::TiedBack => {
            let bun = oval([0.35 * hair.parting, -0.035], 0.115 * hair.volume.max(0.8), 0.075);
            surface(canvas, person, bun, colour::scaled(hair.colour, 0.85));
            return;
        }
        S::Curly => {
            curls(canvas, person, 0.050);
            return;
        }
        _ => return,
    };
    let flare = if hair.style == S::Wavy { 0.07 } else { 0.02 };
    let right = [
        [0.6 * wide, 0.02],
        [0.97 * wide, 0.25],
        [wide + 0.5 * flare, 0.6],
        [wide + flare, bottom - 0.06],
        [0.72 * wide, bottom],
    ];
    let mut points: Vec<Point> = right.to_vec();
    points.extend(right.iter().rev().map(|&point| mirrored(-1.0, point)));
    surface(canvas, person, closed(&points), dark);
}

/// The hair in front of the head.
pub(super) fn front(canvas: &mut Canvas, person: &Person) {
    use HairStyle as S;
    let hair = &person.hair;
    let cap = Cap::new(person);
    if cap.opacity < 1.0 {
        // Through short hair the skin is seen; its edge is soft towards the forehead only.
        let blur = if hair.style == S::Receding { 0.014 } else { 0.030 };
        canvas.clip(cap.silhouette(person));
        canvas.fill_soft(cap.path(person), blur, hair.colour, cap.opacity);
        canvas.unclip();
        return;
    }
    match hair.style {
        S::Fringe => {
            cap_of_hair(canvas, person, &cap);
            fringe(canvas, person, &cap);
        }
        S::Curly => {
            cap_of_hair(canvas, person, &cap);
            curls(canvas, person, 0.034);
        }
        S::Bob if hair.length > 0.5 => {
            cap_of_hair(canvas, person, &Cap { middle: 0.345, corners: -0.01, ..cap });
            fringe(canvas, person, &Cap { middle: 0.345, ..Cap::new(person) });
            curtains(canvas, person, 0.86 + 0.12 * hair.length, 0.0);
        }
        S::Bob => curtains(canvas, person, 0.84 + 0.12 * hair.length, 0.06),
        S::Straight => curtains(canvas, person, 1.35, 0.0),
        S::Wavy => curtains(canvas, person, 1.35, 0.10),
        S::SidePart => {
            cap_of_hair(canvas, person, &cap);
            swept(canvas, person, &cap, 0.055);
        }
        S::Quiff => {
            cap_of_hair(canvas, person, &cap);
            swept(canvas, person, &cap, 0.0);
        }
        _ => cap_of_hair(canvas, person, &cap),
    }
}

/// The cap, with strands that follow its edges.
fn cap_of_hair(canvas: &mut Canvas, person: &Person, cap: &Cap) {
    let path = cap.path(person);
    canvas.shade(path.clone(), 0.030, 0.30);
    surface(canvas, person, path.clone(), person.hair.colour);
    canvas.clip(path);
    for side in [-1.0, 1.0] {
        let mut outer = cap.outer(person).map(|point| mirrored(side, point));
        outer.reverse();
        let inner = cap.hairline(person).map(|point| mirrored(side, point));
        strands(canvas, person, &outer, &inner, 44, side);
    }
    canvas.unclip();
}

/// Hair swept over the forehead from a parting.
fn swept(canvas: &mut Canvas, person: &Person, cap: &Cap, down: f32) {
    let (hair, head) = (&person.hair, &person.head);
    let side = -hair.parting.signum();
    let from = [hair.parting, -0.2 * cap.top];
    let edge = [
        [hair.parting + side * 0.01, cap.middle - cap.corners - 0.02],
        [0.3 * hair.parting, cap.middle + 0.2 * down],
        [side * 0.45 * head.temple, cap.middle - cap.corners + down],
        [side * 0.86 * head.temple, cap.middle + 0.05 + 0.5 * down],
    ];
    let over = [
        from,
        [side * 0.2 * head.temple, 0.02 - cap.top],
        [side * 0.66 * head.temple, 0.06 - 0.7 * cap.top],
        [side * (0.93 * head.temple + cap.side), 0.2],
    ];
    let (edge, over) = (smooth(&edge, 8), smooth(&over, 8));
    let path = between(&over, &edge);
    canvas.shade(path.clone(), 0.025, 0.22);
    surface(canvas, person, path.clone(), colour::scaled(hair.colour, 1.08));
    canvas.clip(path);
    strands(canvas, person, &over, &edge, 60, 2.0);
    canvas.unclip();
    let parting = [[hair.parting, 0.01 - cap.top], [hair.parting + 0.004, cap.middle - cap.corners - 0.02]];
    canvas.fill_soft(
        brush(&parting, |t| 0.002 + 0.003 * t),
        0.004,
        colour::mix(hair.colour, person.skin.colour, 0.55),
        0.6,
    );
}

/// A fringe whose lower edge is ragged.
fn fringe(canvas: &mut Canvas, person: &Person, cap: &Cap) {
    let head = &person.head;
    let mut draws = Draws::new(person.index, "fringe", 0);
    let n = 13_u8;
    let top: Vec<Point> = (0..=n).map(|i| [(f32::from(i) / f32::from(n) - 0.5) * 0.9 * head.temple, 0.06]).collect();
    let bottom: Vec<Point> = (0..=n)
        .map(|i| {
            let across = 2.0 * f32::from(i) / f32::from(n) - 1.0;
            let ragged = if i % 2 == 0 { 0.012 } else { -0.006 } * draws.between(0.4, 1.6);
            [across * 0.88 * head.temple, cap.middle + ragged + 0.030 * across * across]
        })
        .collect();
    let path = between(&top, &bottom);
    canvas.shade(path.clone(), 0.028, 0.25);
    surface(canvas, person, path.clone(), person.hair.colour);
    canvas.clip(path);
    for shade in [0.72, 1.28] {
        let mut hairs = PathBuilder::new();
        for _ in 0..34 {
            let across = draws.between(-1.0, 1.0);
            let line = [
                [across * 0.42 * head.temple, 0.05],
                [across * 0.80 * head.temple, 0.5 * cap.middle + 0.04],
                [across * 0.9 * head.temple, cap.middle + 0.06],
            ];
            push_brush(&mut hairs, &smooth(&line, 4), |t| 0.0026 * (1.2 - t));
        }
        canvas.fill(hairs.finish(), colour::scaled(person.hair.colour, shade), 0.38);
    }
    canvas.unclip();
}

/// Long hair that falls from a parting on both sides of the face.
fn curtains(canvas: &mut Canvas, person: &Person, bottom: f32, wave: f32) {
    let (hair, head) = (&person.hair, &person.head);
    let cap = Cap::new(person);
    let top = -0.004 - cap.top;
    let parting = 0.8 * hair.parting;
    let open = 0.10 * (1.0 - hair.length);
    for side in [-1.0, 1.0] {
        let wide = head.cheek + 0.045 * hair.volume;
        let bent = |amount: f32| wave * amount;
        let outer = [
            [parting * side, top],
            [0.62 * head.temple + 0.4 * cap.side, 0.028 - 0.75 * cap.top],
            [head.temple + 0.014 + cap.side, 0.20],
            [wide + bent(0.1), 0.42],
            [wide + bent(0.35), 0.62],
            [wide + 0.01 + bent(-0.05), 0.80],
            [wide + 0.01 + bent(0.55), bottom],
        ]
        .map(|point| mirrored(side, point));
        let inner = [
            [parting * side, cap.middle - 0.055],
            [0.40 * head.temple + 0.3 * parting * side, cap.middle - 0.01],
            [0.76 * head.temple, cap.middle + 0.085],
            [0.90 * head.temple + 0.2 * open, 0.42],
            [head.cheek * 0.90 + 0.35 * open + bent(0.25), 0.62],
            [head.cheek * 0.93 + 0.3 * open - bent(0.25), 0.80],
            [head.cheek * 0.86 + 0.3 * open + bent(0.15), bottom],
        ]
        .map(|point| mirrored(side, point));
        let (outer, inner) = (smooth(&outer, 8), smooth(&inner, 8));
        let path = between(&outer, &inner);
        canvas.shade(path.clone(), 0.035, 0.32);
        surface(canvas, person, path.clone(), hair.colour);
        canvas.clip(path);
        strands(canvas, person, &outer, &inner, 80, 3.0 + side);
        canvas.unclip();
    }
    let line = [[parting, top + 0.004], [parting, cap.middle - 0.055]];
    canvas.fill_soft(
        brush(&line, |t| 0.0025 + 0.003 * t),
        0.005,
        colour::mix(hair.colour, person.skin.colour, 0.6),
        0.7,
    );
}

/// Curls along the cap's outer edge, and in it.
fn curls(canvas: &mut Canvas, person: &Person, size: f32) {
    let cap = Cap::new(person);
    let hair = &person.hair;
    let mut draws = Draws::new(person.index, "curls", u64::from(size > 0.05));
    let outer = smooth(&cap.outer(person), 8);
    let hairline = smooth(&cap.hairline(person), 8);
    let n = outer.len();
    for (round, shade) in [0.80, 0.92, 1.06, 0.96, 1.10, 1.0].into_iter().enumerate() {
        let mut builder = PathBuilder::new();
        for side in [-1.0, 1.0] {
            for index in (round % 2..n).step_by(2) {
                // From the outer edge inwards; the hairline runs the other way round.
                let inwards = draws.between(-0.10, 0.90) * if round < 2 { 0.3 } else { 1.0 };
                let (a, b) = (outer[index], hairline[n - 1 - index]);
                let place = [a[0] + inwards * (b[0] - a[0]), a[1] + inwards * (b[1] - a[1])];
                let radius = size * draws.between(0.55, 1.0) * hair.volume.max(0.8);
                let [x, y] = mirrored(side, place);
                push_closed(&mut builder, &[[x + radius, y], [x, y + radius], [x - radius, y], [x, y - radius]]);
            }
        }
        surface(canvas, person, builder.finish(), colour::scaled(hair.colour, shade));
    }
}

/// Strands between two lines of equally many points: some lighter, some darker than the hair.
fn strands(canvas: &mut Canvas, person: &Person, first: &[Point], second: &[Point], n: usize, part: f32) {
    let (first, second) = (smooth(first, 4), smooth(second, 4));
    let mut draws = Draws::new(person.index, "strands", (10.0 + 2.0 * part) as u64);
    for (shade, opacity) in [(0.60, 0.40), (1.38, 0.32), (0.80, 0.4)] {
        let mut hairs = PathBuilder::new();
        for _ in 0..n / 3 {
            let (across, drift) = (draws.unit(), draws.between(-0.18, 0.18));
            let last = first.len().min(second.len()) - 1;
            let start = (draws.between(0.0, 0.45) * last as f32) as usize;
            let end = (start + 2 + (draws.between(0.25, 0.8) * last as f32) as usize).min(last);
            let line: Vec<Point> = (start..=end)
                .map(|i| {
                    let share = across + drift * i as f32 / last as f32;
                    [0, 1].map(|axis| first[i][axis] + share * (second[i][axis] - first[i][axis]))
                })
                .collect();
            let width = draws.between(0.0014, 0.0042);
            push_brush(&mut hairs, &line, |t| width * (0.2 + 3.2 * t * (1.0 - t)));
        }
        canvas.fill(hairs.finish(), colour::scaled(person.hair.colour, shade), opacity);
    }
}

/// Hair has a round surface with a sheen of its own.
fn surface(canvas: &mut Canvas, person: &Person, path: Option<Path>, colour: Colour) {
    let wide = person.head.cheek + 0.12;
    canvas.surface(path, colour, 0.10, |[x, y]| {
        let (across, up) = ((x / wide).clamp(-0.93, 0.93), ((y - 0.55) / 0.75).clamp(-0.85, 0.85));
        let root = (1.0 - across * across).sqrt();
        [0.45 * across / root, 0.55 * up]
    });
}
