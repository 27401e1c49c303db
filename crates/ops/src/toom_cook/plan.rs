//! How a convolution is cut into tiles, and the small matrices that belong to every size of tile.

use super::transform::{LANES, MAX_POINTS, Transform};
use crate::convolution::Geometry;

/// Values in the largest intermediate of one block of images (64 MiB); few in this crate's own tests, which thereby see
/// several blocks.
const BLOCK_VALUES: usize = if cfg!(test) { 1 << 15 } else { 1 << 24 };
/// Every point also has taps to make and to pack, which takes as long as some 64 rows of its product.
const ROWS_PER_POINT: usize = 64;

/// One tile along one dimension: m pixels, known from P = m + T − 1 points.
#[derive(Debug, Clone, Copy)]
pub(super) struct TileSize {
    pub(super) pixels: usize,
    pub(super) points: usize,
    /// Pixels of a tile → values at the points.
    pub(super) evaluate: Transform,
    /// Values at the points → coefficients of the product.
    pub(super) interpolate: Transform,
}

impl TileSize {
    fn new(list: &[f64], pixels: usize, taps: usize) -> Self {
        let points = pixels + taps - 1;
        let list = &list[..points];
        Self {
            pixels,
            points,
            evaluate: Transform::from_f64(&evaluation(list, pixels)),
            interpolate: Transform::from_f64(&inverse(evaluation(list, points))),
        }
    }
}

/// The tiles of one dimension: the first `n_full` have m pixels, the others one less. The smaller tiles leave out the
/// last point, at which there are therefore fewer products.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) n_tiles: usize,
    n_full: usize,
    full: TileSize,
    smaller: TileSize,
}

impl Axis {
    /// Every number of tiles into which `len` pixels can be cut with few enough points, most tiles first.
    fn tilings(len: usize, taps: usize) -> impl Iterator<Item = usize> {
        (1..=len).rev().filter(move |n_tiles| Self::points_of(len, *n_tiles, taps) <= MAX_POINTS)
    }

    /// Points of the largest of so many tiles.
    fn points_of(len: usize, n_tiles: usize, taps: usize) -> usize {
        len.div_ceil(n_tiles) + taps - 1
    }

    fn new(len: usize, n_tiles: usize, taps: usize) -> Self {
        let pixels = len.div_ceil(n_tiles);
        let list = point_list(pixels + taps - 1);
        let n_full = len - n_tiles * (pixels - 1);
        let smaller = if n_full == n_tiles { pixels } else { pixels - 1 };
        Self { n_tiles, n_full, full: TileSize::new(list, pixels, taps), smaller: TileSize::new(list, smaller, taps) }
    }

    pub(super) fn points(&self) -> usize {
        self.full.points
    }

    /// The size of full tiles, and of the others.
    pub(super) fn sizes(&self) -> [&TileSize; 2] {
        [&self.full, &self.smaller]
    }

    pub(super) fn is_full(&self, tile: usize) -> bool {
        tile < self.n_full
    }

    pub(super) fn size(&self, tile: usize) -> &TileSize {
        if self.is_full(tile) { &self.full } else { &self.smaller }
    }

    /// The first pixel of a tile.
    pub(super) fn start(&self, tile: usize) -> usize {
        tile * self.full.pixels - tile.saturating_sub(self.n_full)
    }

    /// How many tiles, the first ones, have this point.
    pub(super) fn tiles_with(&self, point: usize) -> usize {
        if point + 1 < self.full.points { self.n_tiles } else { self.n_full }
    }

    /// Points of all tiles together: len + tiles·(T − 1).
    #[cfg(test)]
    fn total_points(&self) -> usize {
        (0..self.full.points).map(|point| self.tiles_with(point)).sum()
    }
}

/// How a geometry is cut into tiles.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) geometry: Geometry,
    /// Taps per phase and dimension, T.
    pub(super) taps: usize,
    /// Rows and columns of tiles.
    pub(super) axes: [Axis; 2],
    /// Taps → values at the points, per dimension.
    pub(super) evaluate_taps: [Transform; 2],
    /// Rows of one image at all points before each one, in the order of [`Self::point`]; the last entry counts them all.
    rows_before: Vec<usize>,
}

/// Rows and columns of tiles. Few tiles mean few products, many mean few points, which round less: those come first where it
/// is a draw.
fn tiling(geometry: &Geometry) -> [usize; 2] {
    let ([height, width], taps) = (geometry.small, geometry.taps());
    let cost = |tiles: &[usize; 2]| {
        let [down, across] = *tiles;
        let points = Axis::points_of(height, down, taps) * Axis::points_of(width, across, taps);
        geometry.n * rows_of(geometry, *tiles) + ROWS_PER_POINT * points
    };
    let pairs =
        Axis::tilings(height, taps).flat_map(|down| Axis::tilings(width, taps).map(move |across| [down, across]));
    pairs.min_by_key(cost).unwrap_or(geometry.small)
}

/// Rows of one image at all points together: a dimension of `len` pixels in so many tiles has len + tiles·(T − 1) points.
fn rows_of(geometry: &Geometry, tiles: [usize; 2]) -> usize {
    [0, 1].map(|dimension| geometry.small[dimension] + tiles[dimension] * (geometry.taps() - 1)).iter().product()
}

/// What a plan would have, counted without making one: rows of an image, and the values of a row on the small and on the
/// large side.
pub(super) fn size_per_image(geometry: &Geometry) -> [usize; 3] {
    let [small, large] = [geometry.small_channels, geometry.large_channels].map(in_lanes);
    [rows_of(geometry, tiling(geometry)), small, geometry.stride * geometry.stride * large]
}

/// Channels, and further ones of zeros that fill the last group of lanes.
fn in_lanes(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}

impl Plan {
    pub(super) fn new(geometry: &Geometry) -> Self {
        let taps = geometry.taps();
        let [height, width] = geometry.small;
        let [down, across] = tiling(geometry);
        let axes = [Axis::new(height, down, taps), Axis::new(width, across, taps)];
        let evaluate_taps = axes.map(|axis| Transform::from_f64(&evaluation(point_list(axis.points()), taps)));
        let mut rows_before = vec![0];
        for i in 0..axes[0].points() {
            for j in 0..axes[1].points() {
                let rows = axes[0].tiles_with(i) * axes[1].tiles_with(j);
                rows_before.push(rows_before.last().copied().unwrap_or(0) + rows);
            }
        }
        Self { geometry: *geometry, taps, axes, evaluate_taps, rows_before }
    }

    /// Channels of the small image, lanes of zeros included.
    pub(super) fn small_lanes(&self) -> usize {
        in_lanes(self.geometry.small_channels)
    }

    /// The same of the large image.
    pub(super) fn large_lanes(&self) -> usize {
        in_lanes(self.geometry.large_channels)
    }

    /// Columns of the products: all phases of all large channels, lanes of zeros included.
    pub(super) fn n_columns(&self) -> usize {
        self.geometry.stride * self.geometry.stride * self.large_lanes()
    }

    fn point(&self, i: usize, j: usize) -> usize {
        i * self.axes[1].points() + j
    }

    /// Rows at all points together.
    pub(super) fn n_rows(&self, n_images: usize) -> usize {
        n_images * self.rows_before.last().copied().unwrap_or(0)
    }

    /// The rows of point (i, j): the first one and how many, one per image and tile that has the point.
    pub(super) fn rows_at(&self, i: usize, j: usize, n_images: usize) -> (usize, usize) {
        let point = self.point(i, j);
        let before = self.rows_before[point];
        (n_images * before, n_images * (self.rows_before[point + 1] - before))
    }

    /// The row of a tile of an image at each of its points, in rows of `MAX_POINTS`.
    pub(super) fn rows_of_tile(
        &self,
        n_images: usize,
        image: usize,
        [y, x]: [usize; 2],
    ) -> [usize; MAX_POINTS * MAX_POINTS] {
        let mut rows = [0; MAX_POINTS * MAX_POINTS];
        for i in 0..self.axes[0].size(y).points {
            for j in 0..self.axes[1].size(x).points {
                let (n_y, n_x) = (self.axes[0].tiles_with(i), self.axes[1].tiles_with(j));
                rows[i * MAX_POINTS + j] = self.rows_at(i, j, n_images).0 + (image * n_y + y) * n_x + x;
            }
        }
        rows
    }

    /// Every tile, as (row, column).
    pub(super) fn tiles(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let [rows, columns] = self.axes.map(|axis| axis.n_tiles);
        (0..rows).flat_map(move |y| (0..columns).map(move |x| [y, x]))
    }

    /// Blocks of images, as (first image, number of images), small enough for the intermediates.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let geometry = self.geometry;
        let widest = self.small_lanes().max(self.n_columns());
        let block = (BLOCK_VALUES / (self.n_rows(1) * widest)).clamp(1, geometry.n);
        (0..geometry.n).step_by(block).map(move |first| (first, block.min(geometry.n - first)))
    }
}

/// The points in use when there are `points` of them; of the lists that were tried, these rounded least. A smaller tile
/// takes the first points of the larger one's list, so that both share the taps' values.
fn point_list(points: usize) -> &'static [f64] {
    const FEW: [f64; 6] = [0.0, f64::INFINITY, 1.0, -1.0, 0.5, -2.0];
    const MANY: [f64; MAX_POINTS] = [0.0, f64::INFINITY, 1.0, -1.0, 0.5, -0.5, 2.0];
    if points <= FEW.len() { &FEW[..points] } else { &MANY }
}

/// The matrix that takes `coefficients` coefficients to values at the points; at ∞ the value is the leading one.
fn evaluation(points: &[f64], coefficients: usize) -> Vec<Vec<f64>> {
    points
        .iter()
        .map(|&point| {
            (0..coefficients)
                .map(|power| match point.is_infinite() {
                    true if power + 1 == coefficients => 1.0,
                    true => 0.0,
                    false => point.powi(power as i32),
                })
                .collect()
        })
        .collect()
}

/// Gauss–Jordan with pivoting; the matrices are evaluations at distinct points, which are never singular.
fn inverse(mut matrix: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let n = matrix.len();
    let mut result: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for column in 0..n {
        let pivot =
            (column..n).max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs())).unwrap_or(column);
        matrix.swap(column, pivot);
        result.swap(column, pivot);
        let scale = 1.0 / matrix[column][column];
        for rows in [&mut matrix, &mut result] {
            rows[column].iter_mut().for_each(|entry| *entry *= scale);
        }
        for row in (0..n).filter(|&row| row != column) {
            let factor = matrix[row][column];
            for rows in [&mut matrix, &mut result] {
                let pivot_row = rows[column].clone();
                for (entry, pivot) in rows[row].iter_mut().zip(pivot_row) {
                    *entry -= factor * pivot;
                }
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_a_dimension_once_and_differ_by_one_pixel() {
        for taps in 1..=MAX_POINTS {
            for len in 1..40 {
                for axis in Axis::tilings(len, taps).map(|n_tiles| Axis::new(len, n_tiles, taps)) {
                    let mut next = 0;
                    for tile in 0..axis.n_tiles {
                        assert_eq!(axis.start(tile), next, "{len} pixels, {taps} taps, {} tiles", axis.n_tiles);
                        next += axis.size(tile).pixels;
                    }
                    assert_eq!(next, len);
                    // m + T − 1 points per tile: len + tiles·(T − 1) in all.
                    assert_eq!(axis.total_points(), len + axis.n_tiles * (taps - 1));
                    let by_tile: usize = (0..axis.n_tiles).map(|tile| axis.size(tile).points).sum();
                    assert_eq!(axis.total_points(), by_tile);
                }
            }
        }
    }

    #[test]
    fn seven_pixels_and_two_taps_take_nine_points() {
        // digits-v2's transposed convolution, batch 128: 4 + 3 pixels, 5 + 4 points, so 81 products per image instead
        // of 7² · 2² = 196.
        let geometry = Geometry {
            n: 128,
            small_channels: 256,
            large_channels: 256,
            small: [7, 7],
            large: [14, 14],
            kernel: 4,
            stride: 2,
            padding: 1,
        };
        let plan = Plan::new(&geometry);
        assert_eq!(plan.axes.map(|axis| (axis.n_tiles, axis.points())), [(2, 5), (2, 5)]);
        assert_eq!(plan.n_rows(1), 81);
        assert_eq!(size_per_image(&geometry), [81, plan.small_lanes(), plan.n_columns()]);
        assert_eq!(plan.rows_at(0, 0, 128), (0, 512));
        assert_eq!(plan.rows_at(4, 4, 128), (80 * 128, 128));
    }

    #[test]
    fn every_row_of_a_point_belongs_to_one_tile() {
        let geometry = Geometry {
            n: 3,
            small_channels: 1,
            large_channels: 1,
            small: [7, 5],
            large: [7, 5],
            kernel: 3,
            stride: 1,
            padding: 1,
        };
        let plan = Plan::new(&geometry);
        let mut seen = vec![0; plan.n_rows(3)];
        for image in 0..3 {
            for tile in plan.tiles() {
                let rows = plan.rows_of_tile(3, image, tile);
                for i in 0..plan.axes[0].size(tile[0]).points {
                    for j in 0..plan.axes[1].size(tile[1]).points {
                        let (first, n) = plan.rows_at(i, j, 3);
                        let row = rows[i * MAX_POINTS + j];
                        assert!((first..first + n).contains(&row));
                        seen[row] += 1;
                    }
                }
            }
        }
        assert!(seen.iter().all(|&times| times == 1), "{seen:?}");
    }

    #[test]
    fn a_product_of_polynomials_is_known_from_its_values() {
        // (1 + 2z + 3z²)·(4 + 5z) = 4 + 13z + 22z² + 15z³, from four points.
        let list = point_list(4);
        let values = |coefficients: &[f64]| -> Vec<f64> {
            evaluation(list, coefficients.len())
                .iter()
                .map(|row| row.iter().zip(coefficients).map(|(a, b)| a * b).sum())
                .collect()
        };
        let products: Vec<f64> = values(&[1.0, 2.0, 3.0]).iter().zip(values(&[4.0, 5.0])).map(|(a, b)| a * b).collect();
        let interpolate = inverse(evaluation(list, 4));
        let found = interpolate.iter().map(|row| row.iter().zip(&products).map(|(a, b)| a * b).sum::<f64>());
        for (found, exact) in found.zip([4.0, 13.0, 22.0, 15.0]) {
            assert!((found - exact).abs() < 1e-12);
        }
    }
}
