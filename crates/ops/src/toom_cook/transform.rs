//! A small matrix pair that acts on both dimensions of a tile, for several channels side by side.

/// Most points per dimension.
pub(super) const MAX_POINTS: usize = 7;
/// Channels that a transform handles side by side: two AVX2 registers, one AVX-512 register.
pub(super) const LANES: usize = 16;

pub(super) type Lanes = [f32; LANES];
/// A tile, its points, or its coefficients, in rows of `MAX_POINTS`.
pub(super) type Tile = [Lanes; MAX_POINTS * MAX_POINTS];

/// What a transform reads, its intermediate, and what it writes; made once for many tiles, because clearing it costs
/// more than a transform.
pub(super) struct Workspace {
    pub(super) from: Tile,
    half: Tile,
    pub(super) to: Tile,
}

impl Workspace {
    #[inline(always)]
    pub(super) fn new() -> Self {
        let zeros = [[0.0; LANES]; MAX_POINTS * MAX_POINTS];
        Self { from: zeros, half: zeros, to: zeros }
    }

    /// to ← A·from·Bᵀ, lane by lane. Lanes that have no channel hold zeros, and so do their results.
    #[inline(always)]
    pub(super) fn apply(&mut self, a: &Transform, b: &Transform) {
        a.apply::<MAX_POINTS, 1>(&self.from, &mut self.half, b.n_in);
        b.apply::<1, MAX_POINTS>(&self.half, &mut self.to, a.n_out);
    }
}

/// A small matrix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transform {
    n_out: usize,
    n_in: usize,
    entries: [[f32; MAX_POINTS]; MAX_POINTS],
}

impl Transform {
    pub(super) fn from_f64(rows: &[Vec<f64>]) -> Self {
        let mut entries = [[0.0; MAX_POINTS]; MAX_POINTS];
        for (to, from) in entries.iter_mut().zip(rows) {
            for (to, &from) in to.iter_mut().zip(from) {
                *to = from as f32;
            }
        }
        Self { n_out: rows.len(), n_in: rows.first().map_or(0, Vec::len), entries }
    }

    pub(super) fn transposed(&self) -> Self {
        let mut entries = [[0.0; MAX_POINTS]; MAX_POINTS];
        for (i, row) in self.entries.iter().enumerate() {
            for (j, &entry) in row.iter().enumerate() {
                entries[j][i] = entry;
            }
        }
        Self { n_out: self.n_in, n_in: self.n_out, entries }
    }

    /// The factors of one result.
    pub(super) fn row(&self, out: usize) -> &[f32] {
        &self.entries[out][..self.n_in]
    }

    /// Along the dimension whose neighbours lie `ALONG` apart, for `n_lines` lines that lie `ACROSS` apart.
    #[inline(always)]
    fn apply<const ALONG: usize, const ACROSS: usize>(&self, from: &Tile, to: &mut Tile, n_lines: usize) {
        // Constants let the compiler unroll the sizes of the networks' layers and keep a line in registers.
        match (self.n_out, self.n_in) {
            (5, 4) => self.apply_sized::<5, 4, ALONG, ACROSS>(from, to, n_lines),
            (4, 5) => self.apply_sized::<4, 5, ALONG, ACROSS>(from, to, n_lines),
            (4, 3) => self.apply_sized::<4, 3, ALONG, ACROSS>(from, to, n_lines),
            (3, 4) => self.apply_sized::<3, 4, ALONG, ACROSS>(from, to, n_lines),
            (4, 4) => self.apply_sized::<4, 4, ALONG, ACROSS>(from, to, n_lines),
            (5, 5) => self.apply_sized::<5, 5, ALONG, ACROSS>(from, to, n_lines),
            (6, 6) => self.apply_sized::<6, 6, ALONG, ACROSS>(from, to, n_lines),
            (7, 7) => self.apply_sized::<7, 7, ALONG, ACROSS>(from, to, n_lines),
            (6, 4) => self.apply_sized::<6, 4, ALONG, ACROSS>(from, to, n_lines),
            (4, 6) => self.apply_sized::<4, 6, ALONG, ACROSS>(from, to, n_lines),
            (7, 5) => self.apply_sized::<7, 5, ALONG, ACROSS>(from, to, n_lines),
            (5, 7) => self.apply_sized::<5, 7, ALONG, ACROSS>(from, to, n_lines),
            _ => self.apply_any::<ALONG, ACROSS>(from, to, n_lines),
        }
    }

    #[inline(always)]
    fn apply_sized<const OUT: usize, const IN: usize, const ALONG: usize, const ACROSS: usize>(
        &self,
        from: &Tile,
        to: &mut Tile,
        n_lines: usize,
    ) {
        for line in 0..n_lines {
            let inputs: [Lanes; IN] = std::array::from_fn(|i| from[line * ACROSS + i * ALONG]);
            for out in 0..OUT {
                let mut sum = [0.0; LANES];
                for (input, &factor) in inputs.iter().zip(&self.entries[out]) {
                    add_scaled(&mut sum, factor, input);
                }
                to[line * ACROSS + out * ALONG] = sum;
            }
        }
    }

    #[inline(always)]
    fn apply_any<const ALONG: usize, const ACROSS: usize>(&self, from: &Tile, to: &mut Tile, n_lines: usize) {
        for line in 0..n_lines {
            for out in 0..self.n_out {
                let mut sum = [0.0; LANES];
                for i in 0..self.n_in {
                    add_scaled(&mut sum, self.entries[out][i], &from[line * ACROSS + i * ALONG]);
                }
                to[line * ACROSS + out * ALONG] = sum;
            }
        }
    }
}

#[inline(always)]
fn add_scaled(sum: &mut Lanes, factor: f32, values: &Lanes) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_matrices_act_whatever_their_size() {
        // A = all entries i + 2j − 1 of n_out × n_in, B likewise; the sum is worked out entry by entry.
        let matrix = |n_out: usize, n_in: usize, shift: f64| {
            let rows = (0..n_out).map(|i| (0..n_in).map(|j| i as f64 + 2.0 * j as f64 - shift).collect());
            rows.collect::<Vec<Vec<f64>>>()
        };
        for (n_out, n_in) in [(1, 1), (5, 4), (4, 5), (3, 7), (7, 5), (6, 6), (2, 6)] {
            let (a, b) = (matrix(n_out, n_in, 1.0), matrix(n_in, n_out, 3.0));
            let mut tiles = Workspace::new();
            for i in 0..n_in {
                for j in 0..n_out {
                    tiles.from[i * MAX_POINTS + j] = std::array::from_fn(|lane| (i * 3 + j + lane) as f32);
                }
            }
            tiles.apply(&Transform::from_f64(&a), &Transform::from_f64(&b));
            for (o, a) in a.iter().enumerate() {
                for (q, b) in b.iter().enumerate() {
                    for lane in [0, LANES - 1] {
                        let from = |i: usize, j: usize| (i * 3 + j + lane) as f64;
                        let products = a
                            .iter()
                            .enumerate()
                            .flat_map(|(i, a)| b.iter().enumerate().map(move |(j, b)| (a * b, i, j)));
                        let exact: f64 = products.map(|(factor, i, j)| factor * from(i, j)).sum();
                        assert_eq!(f64::from(tiles.to[o * MAX_POINTS + q][lane]), exact, "{n_out}×{n_in}");
                    }
                }
            }
        }
    }
}
