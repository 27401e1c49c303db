//! What a face is painted on: colour, relief and shade side by side, lit at the end.
//!
//! Shapes are filled by tiny-skia, whose masks are rasterised in integers; everything else is additions,
//! multiplications, divisions and square roots of 32-bit floats, which are the same on every machine. There are no
//! transcendental functions but for [`sin_cos`], which is a polynomial.
//!
//! Places and lengths are face heights (see `person`); the canvas knows how they lie in the picture. It is twice as
//! large as the picture in both directions.

use tiny_skia::{FillRule, Mask, Path, Transform};

use super::colour::Colour;
use super::geometry::Point;
use super::session::Session;

/// Canvas pixels per picture pixel, in each direction.
const OVERSAMPLING: usize = 2;
/// Picture sizes per face height.
pub(super) const FACE_SIZE: f32 = 0.86;
/// The height in the face that lies in the middle of the picture.
const FACE_MIDDLE: f32 = 0.53;
/// Values of a picture lie between these, so that noise is never cut off.
const DARKEST: f32 = 10.0;
const LIGHTEST: f32 = 245.0;

/// The canvas of one picture.
pub(super) struct Canvas {
    side: usize,
    to_pixels: Transform,
    /// The face's own coordinates of every pixel.
    places: Vec<Point>,
    colour: Vec<Colour>,
    /// The gradient of the relief, which stands out towards the viewer: rise per length, to the right and down.
    slope: Vec<[f32; 2]>,
    /// Factor on the light, below 1 where something keeps it off.
    shade: Vec<f32>,
    /// How much the surface mirrors the light.
    gloss: Vec<f32>,
    mask: Mask,
    clip: Option<Mask>,
}

/// A box of pixels, the ends excluded.
#[derive(Clone, Copy)]
struct Pixels {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
}

/// A round or oval spot that fades out towards its rim.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub centre: Point,
    /// Radius along `axis`, and across it.
    pub radii: [f32; 2],
    /// A direction of length 1.
    pub axis: Point,
}

impl Spot {
    /// An oval whose axes lie level and upright.
    pub fn level(centre: Point, radius_x: f32, radius_y: f32) -> Self {
        Self { centre, radii: [radius_x, radius_y], axis: [1.0, 0.0] }
    }

    /// Distances from the centre, in radii along and across the axis.
    fn offset(&self, place: Point) -> [f32; 2] {
        let [dx, dy] = [place[0] - self.centre[0], place[1] - self.centre[1]];
        let [ax, ay] = self.axis;
        [(dx * ax + dy * ay) / self.radii[0], (dy * ax - dx * ay) / self.radii[1]]
    }
}

impl Canvas {
    /// An empty canvas for a picture of `size` × `size` pixels; none if there is no pixel or too many.
    pub fn new(size: usize, session: &Session) -> Option<Self> {
        let side = size.checked_mul(OVERSAMPLING)?;
        let mask = Mask::new(u32::try_from(side).ok()?, u32::try_from(side).ok()?)?;
        let unit = side as f32 * FACE_SIZE * session.scale;
        let (sin, cos) = sin_cos(session.turn);
        let [centre_x, centre_y] = session.shift.map(|shift| (0.5 + shift) * side as f32);
        // A place turns around the middle of the picture.
        let tx = centre_x + unit * sin * FACE_MIDDLE;
        let ty = centre_y - unit * cos * FACE_MIDDLE;
        let to_pixels = Transform::from_row(unit * cos, unit * sin, -unit * sin, unit * cos, tx, ty);
        let mut places = Vec::with_capacity(side * side);
        for row in 0..side {
            for column in 0..side {
                let (dx, dy) = (column as f32 + 0.5 - tx, row as f32 + 0.5 - ty);
                places.push([(dx * cos + dy * sin) / unit, (dy * cos - dx * sin) / unit]);
            }
        }
        let n = side * side;
        Some(Self {
            side,
            to_pixels,
            places,
            colour: vec![[0.0; 3]; n],
            slope: vec![[0.0; 2]; n],
            shade: vec![1.0; n],
            gloss: vec![0.0; n],
            mask,
            clip: None,
        })
    }

    /// Colours every pixel by a function of its place.
    pub fn background(&mut self, colour: impl Fn(Point) -> Colour) {
        for (pixel, &place) in self.colour.iter_mut().zip(&self.places) {
            *pixel = colour(place);
        }
    }

    /// Fills a shape with a colour.
    pub fn fill(&mut self, path: Option<Path>, colour: Colour, opacity: f32) {
        self.cover(path, 0.0, |canvas, index, coverage| blend(&mut canvas.colour[index], colour, coverage * opacity));
    }

    /// Fills a shape with a colour, its edge blurred over a length.
    pub fn fill_soft(&mut self, path: Option<Path>, blur: f32, colour: Colour, opacity: f32) {
        self.cover(path, blur, |canvas, index, coverage| blend(&mut canvas.colour[index], colour, coverage * opacity));
    }

    /// Fills a shape with a colour and an opacity that depend on the place.
    pub fn fill_with(&mut self, path: Option<Path>, blur: f32, paint: impl Fn(Point) -> (Colour, f32)) {
        self.cover(path, blur, |canvas, index, coverage| {
            let (colour, opacity) = paint(canvas.places[index]);
            blend(&mut canvas.colour[index], colour, coverage * opacity);
        });
    }

    /// Gives a shape a surface of its own: colour, relief and gloss; what shade lay there is gone.
    pub fn surface(&mut self, path: Option<Path>, colour: Colour, gloss: f32, slope: impl Fn(Point) -> [f32; 2]) {
        self.cover(path, 0.0, |canvas, index, coverage| {
            blend(&mut canvas.colour[index], colour, coverage);
            let new = slope(canvas.places[index]);
            for (old, new) in canvas.slope[index].iter_mut().zip(new) {
                *old += (new - *old) * coverage;
            }
            canvas.shade[index] += (1.0 - canvas.shade[index]) * coverage;
            canvas.gloss[index] += (gloss - canvas.gloss[index]) * coverage;
        });
    }

    /// Keeps light off a shape: a factor of 1 − `depth` on it.
    pub fn shade(&mut self, path: Option<Path>, blur: f32, depth: f32) {
        self.cover(path, blur, |canvas, index, coverage| canvas.shade[index] *= 1.0 - depth * coverage);
    }

    /// Keeps light off a spot, most in its middle; a negative depth lightens it.
    pub fn shade_spot(&mut self, spot: Spot, depth: f32) {
        self.spot(spot, |canvas, index, _, strength| canvas.shade[index] *= 1.0 - depth * strength);
    }

    /// Colours a spot, most in its middle.
    pub fn tint_spot(&mut self, spot: Spot, colour: Colour, opacity: f32) {
        self.spot(spot, |canvas, index, _, strength| blend(&mut canvas.colour[index], colour, opacity * strength));
    }

    /// Makes a spot mirror more of the light.
    pub fn gloss_spot(&mut self, spot: Spot, gloss: f32) {
        self.spot(spot, |canvas, index, _, strength| canvas.gloss[index] += gloss * strength);
    }

    /// Raises a bump of this height: h · (1 − r²)³, r counted in radii. A negative height makes a hollow.
    pub fn bump(&mut self, spot: Spot, height: f32) {
        let [ax, ay] = spot.axis;
        self.spot(spot, |canvas, index, [along, across], strength| {
            let outward = -6.0 * height * strength;
            let [along, across] = [outward * along / spot.radii[0], outward * across / spot.radii[1]];
            canvas.slope[index][0] += along * ax - across * ay;
            canvas.slope[index][1] += along * ay + across * ax;
        });
    }

    /// A ridge (or, of negative height, a crease) along a line of points, fading at both ends.
    pub fn ridge(&mut self, line: &[Point], width: f32, height: f32) {
        let n = line.len().saturating_sub(1);
        for (segment, [from, to]) in line.array_windows().enumerate() {
            let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
            let length = (dx * dx + dy * dy).sqrt().max(1e-6);
            let along = (segment as f32 + 0.5) / n as f32;
            let spot = Spot {
                centre: [(from[0] + to[0]) / 2.0, (from[1] + to[1]) / 2.0],
                radii: [length * 1.1 + width, width],
                axis: [dx / length, dy / length],
            };
            self.bump(spot, height * 4.0 * along * (1.0 - along));
        }
    }

    /// From here on only what lies in the shape is painted, until [`Canvas::unclip`].
    pub fn clip(&mut self, path: Option<Path>) {
        let mut clip = self.mask.clone();
        clip.clear();
        if let Some(path) = path {
            clip.fill_path(&path, FillRule::Winding, true, self.to_pixels);
        }
        self.clip = Some(clip);
    }

    /// Ends [`Canvas::clip`].
    pub fn unclip(&mut self) {
        self.clip = None;
    }

    /// Calls `paint` with every pixel of a shape and how much of it is covered, from 0 to 1.
    fn cover(&mut self, path: Option<Path>, blur: f32, mut paint: impl FnMut(&mut Self, usize, f32)) {
        let Some(path) = path.and_then(|path| path.transform(self.to_pixels)) else { return };
        let radius = (blur * self.to_pixels.get_scale().0 / 3.0).round() as usize;
        let bounds = path.bounds();
        let Some(pixels) =
            self.pixels([bounds.left(), bounds.right(), bounds.top(), bounds.bottom()], 3.0 * radius as f32 + 1.0)
        else {
            return;
        };
        self.mask.fill_path(&path, FillRule::Winding, true, Transform::identity());
        if radius > 0 {
            for _ in 0..2 {
                blur_box(self.mask.data_mut(), self.side, pixels, radius);
            }
        }
        for row in pixels.top..pixels.bottom {
            for index in row * self.side + pixels.left..row * self.side + pixels.right {
                let coverage = std::mem::take(&mut self.mask.data_mut()[index]);
                if coverage > 0 {
                    let clip = self.clip_at(index);
                    paint(self, index, f32::from(coverage) / 255.0 * clip);
                }
            }
        }
    }

    /// How much of a pixel lies in the clip, from 0 to 1.
    fn clip_at(&self, index: usize) -> f32 {
        self.clip.as_ref().map_or(1.0, |clip| f32::from(clip.data()[index]) / 255.0)
    }

    /// Calls `paint` with every pixel of a spot: its offset in radii along and across, and how much is left of 1 − r²
    /// squared in the clip.
    fn spot(&mut self, spot: Spot, mut paint: impl FnMut(&mut Self, usize, [f32; 2], f32)) {
        let reach = spot.radii[0].max(spot.radii[1]) * self.to_pixels.get_scale().0;
        let mut centre = tiny_skia::Point::from_xy(spot.centre[0], spot.centre[1]);
        self.to_pixels.map_point(&mut centre);
        let Some(pixels) = self.pixels([centre.x, centre.x, centre.y, centre.y], reach + 1.0) else { return };
        for row in pixels.top..pixels.bottom {
            for index in row * self.side + pixels.left..row * self.side + pixels.right {
                let offset = spot.offset(self.places[index]);
                let rest = 1.0 - offset[0] * offset[0] - offset[1] * offset[1];
                if rest > 0.0 {
                    let strength = rest * rest * self.clip_at(index);
                    paint(self, index, offset, strength);
                }
            }
        }
    }

    /// The pixels within a box and a margin around it, if any.
    fn pixels(&self, [left, right, top, bottom]: [f32; 4], margin: f32) -> Option<Pixels> {
        let first = |edge: f32| (edge - margin).floor().clamp(0.0, self.side as f32) as usize;
        let last = |edge: f32| (edge + margin).ceil().clamp(0.0, self.side as f32) as usize;
        let pixels = Pixels { left: first(left), right: last(right), top: first(top), bottom: last(bottom) };
        (pixels.left < pixels.right && pixels.top < pixels.bottom).then_some(pixels)
    }

    /// The picture under the session's light.
    ///
    /// # Shapes
    /// 3 × size × size bytes, 255 being white.
    pub fn finish(&self, session: &Session) -> Vec<u8> {
        let size = self.side / OVERSAMPLING;
        let n_picture = size * size;
        let mut sums = vec![0.0_f32; 3 * n_picture];
        let light = Light::new(session);
        for row in 0..size * OVERSAMPLING {
            for column in 0..size * OVERSAMPLING {
                let index = row * self.side + column;
                let lit = light.on(self.colour[index], self.slope[index], self.shade[index], self.gloss[index]);
                let place = row / OVERSAMPLING * size + column / OVERSAMPLING;
                for (channel, value) in lit.into_iter().enumerate() {
                    sums[channel * n_picture + place] += value.clamp(0.0, 1.0);
                }
            }
        }
        let share = 1.0 / (OVERSAMPLING * OVERSAMPLING) as f32;
        sums.into_iter().map(|sum| (DARKEST + (LIGHTEST - DARKEST) * sum * share).round() as u8).collect()
    }
}

/// A light from one direction and light from everywhere.
struct Light {
    direction: [f32; 3],
    halfway: [f32; 3],
    strength: f32,
    exposure: f32,
}

impl Light {
    fn new(session: &Session) -> Self {
        let direction = unit([session.light[0], session.light[1], 1.0]);
        let halfway = unit([direction[0], direction[1], direction[2] + 1.0]);
        Self { direction, halfway, strength: session.strength, exposure: session.exposure }
    }

    fn on(&self, colour: Colour, slope: [f32; 2], shade: f32, gloss: f32) -> Colour {
        let normal = unit([-slope[0], -slope[1], 1.0]);
        // What faces the viewer is as bright in light from the side as in light from the front.
        let lambert = dot(normal, self.direction).max(0.0) / self.direction[2];
        // The light from everywhere comes more from the front and from above, which keeps shapes readable.
        let ambient = 0.62 + 0.38 * normal[2] - 0.10 * normal[1];
        let bright = ((1.0 - self.strength) * ambient + self.strength * lambert) * shade * self.exposure;
        let mirrored = {
            let power_1 = dot(normal, self.halfway).max(0.0);
            let power_2 = power_1 * power_1;
            let power_4 = power_2 * power_2;
            let power_8 = power_4 * power_4;
            gloss * power_8 * power_8 * power_8 * self.strength * shade
        };
        // Shadows on skin are warm: red falls off slower than blue.
        let dark = 1.0 - bright;
        let warm = [bright + 0.07 * dark, bright, bright - 0.05 * dark];
        [0, 1, 2].map(|channel| colour[channel] * warm[channel] + mirrored)
    }
}

fn unit(vector: [f32; 3]) -> [f32; 3] {
    let length = dot(vector, vector).sqrt();
    vector.map(|value| value / length)
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn blend(pixel: &mut Colour, colour: Colour, opacity: f32) {
    for (old, new) in pixel.iter_mut().zip(colour) {
        *old += (new - *old) * opacity;
    }
}

/// The mean over (2 · radius + 1)² pixels, within a box; pixels outside count as empty.
fn blur_box(mask: &mut [u8], side: usize, pixels: Pixels, radius: usize) {
    let mut line = Vec::new();
    for row in pixels.top..pixels.bottom {
        let range = row * side + pixels.left..row * side + pixels.right;
        blur_line(mask, range.step_by(1), radius, &mut line);
    }
    for column in pixels.left..pixels.right {
        let range = pixels.top * side + column..pixels.bottom * side;
        blur_line(mask, range.step_by(side), radius, &mut line);
    }
}

fn blur_line(mask: &mut [u8], indices: impl Iterator<Item = usize> + Clone, radius: usize, line: &mut Vec<u8>) {
    line.clear();
    line.extend(indices.clone().map(|index| mask[index]));
    let at = |place: usize| line.get(place).copied().map_or(0, u32::from);
    let mut sum: u32 = (0..radius).map(at).sum();
    let width = 2 * radius as u32 + 1;
    for (place, index) in indices.enumerate() {
        sum += at(place + radius);
        mask[index] = ((sum + width / 2) / width) as u8;
        if place >= radius {
            sum -= at(place - radius);
        }
    }
}

/// Sine and cosine by their series: the standard library's may differ in the last bit between machines.
pub(super) fn sin_cos(angle: f32) -> (f32, f32) {
    let turn = 2.0 * std::f64::consts::PI;
    let x = f64::from(angle) - turn * (f64::from(angle) / turn).round();
    let (mut sin, mut cos, mut term) = (0.0, 0.0, 1.0);
    for order in 0..24 {
        let sign = if order % 4 < 2 { 1.0 } else { -1.0 };
        if order % 2 == 0 {
            cos += sign * term;
        } else {
            sin += sign * term;
        }
        term *= x / f64::from(order + 1);
    }
    (sin as f32, cos as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::faces::curves::oval;

    #[test]
    fn sines_are_sines() {
        for step in -700..700 {
            let angle = step as f32 / 100.0;
            let (sin, cos) = sin_cos(angle);
            assert!((sin - angle.sin()).abs() < 1e-6 && (cos - angle.cos()).abs() < 1e-6, "{angle}");
        }
    }

    #[test]
    fn a_blur_keeps_what_there_is() {
        let mut mask = vec![0; 81];
        mask[40] = 255;
        blur_box(&mut mask, 9, Pixels { left: 0, right: 9, top: 0, bottom: 9 }, 1);
        // 255 over nine pixels, rounded in two steps.
        for row in 0..9 {
            for column in 0..9 {
                let inside = (3..6).contains(&row) && (3..6).contains(&column);
                assert_eq!(mask[row * 9 + column], if inside { 28 } else { 0 });
            }
        }
    }

    #[test]
    fn a_bump_is_lit_on_the_side_of_the_light() {
        let session = Session {
            light: [-0.7, 0.0],
            strength: 0.6,
            exposure: 1.0,
            shift: [0.0; 2],
            turn: 0.0,
            scale: 1.0,
            amplitude: 1.0,
        };
        let mut canvas = Canvas::new(41, &session).unwrap();
        canvas.background(|_| [0.5; 3]);
        canvas.bump(Spot::level([0.0, FACE_MIDDLE], 0.4, 0.4), 0.1);
        let picture = canvas.finish(&session);
        let middle_row = &picture[20 * 41..21 * 41];
        assert!(middle_row[12] > middle_row[0] && middle_row[28] < middle_row[0], "{middle_row:?}");
    }

    #[test]
    fn shapes_lie_where_the_face_says() {
        let mut session = Session::new(0, 0);
        (session.shift, session.turn, session.scale) = ([0.02, 0.0], 0.0, 1.0);
        let mut canvas = Canvas::new(100, &session).unwrap();
        canvas.fill(oval([0.0, FACE_MIDDLE], 0.05, 0.05), [1.0; 3], 1.0);
        let picture = canvas.finish(&session);
        let lit: Vec<usize> = (0..10_000).filter(|&index| picture[index] > 100).collect();
        let mean = |part: fn(usize) -> usize| lit.iter().map(|&i| part(i) as f32 + 0.5).sum::<f32>() / lit.len() as f32;
        assert!((mean(|i| i % 100) - 52.0).abs() < 0.2 && (mean(|i| i / 100) - 50.0).abs() < 0.2);
        assert!(Canvas::new(0, &session).is_none());
    }
}
