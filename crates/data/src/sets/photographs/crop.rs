//! The square that is cut out around a face.
//!
//! The original cut out the box of OpenCV's frontal Haar cascade. On the 28 faces of a group photograph that both
//! detectors find, that box has the same centre as ours and 1.13 times its side (standard deviation 0.09), and cuts
//! through some chins. Ours is [`MARGIN`] times the box, so that brows and chin are in it, also with the jaw dropped.

use super::detector::Face;

/// Side of the square as a multiple of the face's.
const MARGIN: f64 = 1.3;

/// A square inside a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Square {
    /// The left edge.
    pub x: u32,
    /// The upper edge.
    pub y: u32,
    /// Width and height.
    pub side: u32,
}

/// The square around a face: shifted, and if need be made smaller, so that it lies inside the picture.
pub(super) fn around(face: &Face, width: u32, height: u32) -> Square {
    let side = ((face.side as f64 * MARGIN).round() as i64).clamp(1, i64::from(width.min(height).max(1)));
    let place = |start: i64, length: u32| {
        let place = start + (face.side - side) / 2;
        u32::try_from(place.clamp(0, (i64::from(length) - side).max(0))).unwrap_or(0)
    };
    Square { x: place(face.x, width), y: place(face.y, height), side: u32::try_from(side).unwrap_or(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_square_has_the_faces_centre_and_stays_inside() {
        let face = |x, y, side| Face { x, y, side, score: 9.0 };
        // 1.3 · 100 = 130, 15 more on each side.
        assert_eq!(around(&face(200, 250, 100), 562, 762), Square { x: 185, y: 235, side: 130 });
        // Over the edges: shifted by as much.
        assert_eq!(around(&face(-20, 5, 100), 562, 762), Square { x: 0, y: 0, side: 130 });
        assert_eq!(around(&face(500, 700, 100), 562, 762), Square { x: 432, y: 632, side: 130 });
        // Larger than the picture: its shorter side.
        assert_eq!(around(&face(10, 10, 500), 562, 762), Square { x: 0, y: 0, side: 562 });
        assert_eq!(around(&face(0, 0, 1), 1, 1), Square { x: 0, y: 0, side: 1 });
    }
}
