//! Shapes from points: closed curves, ovals, strokes of varying width, and what lies between two lines.
//!
//! Curves go through all their points (Catmull–Rom splines). Coordinates are face heights, as everywhere.

use tiny_skia::{Path, PathBuilder};

use super::geometry::Point;

/// A closed curve through points.
pub(super) fn closed(points: &[Point]) -> Option<Path> {
    let mut builder = PathBuilder::new();
    push_closed(&mut builder, points);
    builder.finish()
}

/// Adds a closed curve through points to others.
pub(super) fn push_closed(builder: &mut PathBuilder, points: &[Point]) {
    let n = points.len();
    let Some(&[x, y]) = points.first() else { return };
    builder.move_to(x, y);
    for index in 0..n {
        // Catmull–Rom: the tangent at a point is parallel to the line between its neighbours.
        let [before, from, to, after] = [n - 1, 0, 1, 2].map(|offset| points[(index + offset) % n]);
        let c1 = [from[0] + (to[0] - before[0]) / 6.0, from[1] + (to[1] - before[1]) / 6.0];
        let c2 = [to[0] - (after[0] - from[0]) / 6.0, to[1] - (after[1] - from[1]) / 6.0];
        builder.cubic_to(c1[0], c1[1], c2[0], c2[1], to[0], to[1]);
    }
    builder.close();
}

/// An oval.
pub(super) fn oval(centre: Point, radius_x: f32, radius_y: f32) -> Option<Path> {
    let rect = tiny_skia::Rect::from_ltrb(
        centre[0] - radius_x,
        centre[1] - radius_y,
        centre[0] + radius_x,
        centre[1] + radius_y,
    )?;
    PathBuilder::from_oval(rect)
}

/// A shape between two lines that have their ends in common or near each other: along the first, back along the second.
pub(super) fn between(first: &[Point], second: &[Point]) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (index, &[x, y]) in first.iter().chain(second.iter().rev()).enumerate() {
        if index == 0 { builder.move_to(x, y) } else { builder.line_to(x, y) }
    }
    builder.close();
    builder.finish()
}

/// A stroke along points with an own half width at each.
pub(super) fn brush(points: &[Point], half_width: impl Fn(f32) -> f32) -> Option<Path> {
    let mut builder = PathBuilder::new();
    push_brush(&mut builder, points, half_width);
    builder.finish()
}

/// Adds a stroke along points to others; `half_width` is a function of the share of the points that lie before.
pub(super) fn push_brush(builder: &mut PathBuilder, points: &[Point], half_width: impl Fn(f32) -> f32) {
    let n = points.len();
    if n < 2 {
        return;
    }
    let sides: Vec<[Point; 2]> = (0..n)
        .map(|index| {
            let (before, after) = (points[index.saturating_sub(1)], points[(index + 1).min(n - 1)]);
            let [dx, dy] = [after[0] - before[0], after[1] - before[1]];
            let length = (dx * dx + dy * dy).sqrt().max(1e-6);
            let width = half_width(index as f32 / (n - 1) as f32);
            let [nx, ny] = [-dy / length * width, dx / length * width];
            let [x, y] = points[index];
            [[x + nx, y + ny], [x - nx, y - ny]]
        })
        .collect();
    let there = sides.iter().map(|side| side[0]);
    let back = sides.iter().rev().map(|side| side[1]);
    for (index, [x, y]) in there.chain(back).enumerate() {
        if index == 0 { builder.move_to(x, y) } else { builder.line_to(x, y) }
    }
    builder.close();
}

/// Points of a smooth curve through a few given ones, `n` per piece.
pub(super) fn smooth(points: &[Point], n: usize) -> Vec<Point> {
    let last = points.len().saturating_sub(1);
    let mut curve = Vec::with_capacity(last * n + 1);
    for index in 0..last {
        let [from, to] = [points[index], points[index + 1]];
        // Beyond an end the curve goes on as the reflection of the neighbour.
        let before = if index > 0 { points[index - 1] } else { [2.0 * from[0] - to[0], 2.0 * from[1] - to[1]] };
        let after = if index + 2 <= last { points[index + 2] } else { [2.0 * to[0] - from[0], 2.0 * to[1] - from[1]] };
        for step in 0..n {
            let t = step as f32 / n as f32;
            curve.push([0, 1].map(|axis| {
                let [p0, p1, p2, p3] = [before[axis], from[axis], to[axis], after[axis]];
                0.5 * (2.0 * p1
                    + (p2 - p0) * t
                    + (2.0 * p0 - 5.0 * p1 + 4.0 * p2 - p3) * t * t
                    + (3.0 * p1 - p0 - 3.0 * p2 + p3) * t * t * t)
            }));
        }
    }
    curve.extend(points.last());
    curve
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smooth_curve_goes_through_its_points() {
        let points = [[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]];
        let curve = smooth(&points, 4);
        assert_eq!(curve.len(), 9);
        assert_eq!([curve[0], curve[4], curve[8]], points);
        // Through points in a line it is that line.
        let line = smooth(&[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], 2);
        assert_eq!(line[1], [0.5, 0.5]);
        assert!(smooth(&[], 3).is_empty());
    }

    #[test]
    fn a_brush_is_as_wide_as_it_is_told() {
        let bounds = brush(&[[0.0, 1.0], [2.0, 1.0]], |_| 0.25).unwrap().bounds();
        assert_eq!([bounds.left(), bounds.right(), bounds.top(), bounds.bottom()], [0.0, 2.0, 0.75, 1.25]);
        assert!(brush(&[[0.0, 1.0]], |_| 0.25).is_none());
    }

    #[test]
    fn shapes_without_extent_are_none() {
        assert!(closed(&[]).is_none());
        assert!(oval([0.0, 0.0], -1.0, 1.0).is_none());
    }
}
