//! A factor that moves the pixels of a canonical image: by attention, or by a gated bank of affine maps (SPEC §4).

use candle_core::Tensor;
use multigen_ops as ops;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{Error, Filling, Multipliers, Params, Result};

/// The first values of a bank of affine maps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bank {
    /// Eight turns × mirrored or not, all turned by 0.2 rad: 16 maps.
    Turns,
    /// The same, but the first level moves nothing: the canonical image is *defined* as what it shows. Without this the
    /// canonical image is free to be turned, mirrored and scaled, and of a face, which is nearly its own mirror image, half
    /// of each hand is drawn (docs/operator.md).
    TurnsFromFirst,
    /// This many maps with Gaussian entries (σ = 0.7), nothing known of rotations.
    Random {
        /// How many maps.
        maps: usize,
    },
}

/// How the levels of a factor move pixels.
#[derive(Debug)]
pub(crate) enum Spatial {
    Attention(Tensor),                                    // [levels, pixels, pixels] logits
    Affine { maps: Tensor, gates: Tensor, first: usize }, // [levels − first, bank, 6] and [levels − first, bank] logits
}

/// Maps (and the attention's logits) learn at three times the rate (SPEC §4).
const MAP_RATE: Multipliers = Multipliers { learning_rate: 3.0, decay: 1.0 };

/// Gates learn at fifty times the rate. SPEC §4 has three: but Adam moves a logit by the rate per step, and a gate closes
/// after a distance of five or more, so at three times the rate the bank stays a blur for thousands of steps.
const GATE_RATE: Multipliers = Multipliers { learning_rate: 50.0, decay: 1.0 };

/// Where the first level defines the canonical image, the others first have to find their maps: what they teach the
/// drawing weighs this much, times the square of the largest gate. Otherwise the drawing turns into what fits maps that
/// are wrong, and then the maps stay so. Contents that the first level does not show still learn: Adam's step does not
/// depend on the gradient's scale.
const TEACHING: f64 = 0.1;

impl Bank {
    /// What a factor that acts by such a bank is told, for reports.
    pub(crate) fn what_it_is_told(self, factor: &str) -> String {
        match self {
            Self::Turns => format!(
                "that each {factor} is an affine map of the image, started from sixteen turned and mirrored ones, but not which is which"
            ),
            Self::TurnsFromFirst => format!(
                "that the first {factor} is the view in which an image is drawn, and that each other one is an affine map of it, started from sixteen turned and mirrored ones, but not which is which"
            ),
            Self::Random { .. } => {
                format!("that each {factor} is an affine map of the image, started from random ones")
            }
        }
    }
}

impl Spatial {
    /// One matrix of logits per level for images of `size`×`size`.
    pub(crate) fn attention(params: &mut Params, levels: usize, size: usize, rng: &mut impl Rng) -> Result<Self> {
        let shape = [levels, size * size, size * size];
        Ok(Self::Attention(params.create("attention.logits", &shape, Filling::Gaussian(0.01), MAP_RATE, rng)?))
    }

    /// The maps and gates of a bank for every level that moves.
    pub(crate) fn affine(params: &mut Params, bank: Bank, levels: usize, rng: &mut impl Rng) -> Result<Self> {
        let first = usize::from(bank == Bank::TurnsFromFirst);
        let levels = levels.saturating_sub(first);
        let (start, n_maps) = bank_start(bank, rng);
        let start: Vec<f32> = match bank {
            Bank::Turns | Bank::TurnsFromFirst => start.repeat(levels),
            // A random bank is drawn anew for every level.
            Bank::Random { .. } => {
                let mut all = start;
                for _ in 1..levels {
                    all.extend(bank_start(bank, rng).0);
                }
                all
            }
        };
        let start = Tensor::from_vec(start, (levels, n_maps, 6), params.device())?;
        let maps = params.insert("affine.maps", start, MAP_RATE)?;
        let gates = params.create("affine.gates", &[levels, n_maps], Filling::Constant(0.0), GATE_RATE, rng)?;
        Ok(Self::Affine { maps, gates, first })
    }

    /// Row (canonical image, level) for each image: `[u, c, s, s]` → `[n, c, size, size]`. Of every level only those
    /// canonical images are moved that the batch shows in it.
    pub(crate) fn moved(
        &self,
        canonical: &Tensor,
        levels: &[u32],
        canonical_of: &[u32],
        size: usize,
    ) -> Result<Tensor> {
        let n_levels = levels.iter().max().map_or(0, |&level| level as usize + 1);
        let mut rows_of_level: Vec<Vec<u32>> = vec![Vec::new(); n_levels];
        let places: Vec<(usize, usize)> = levels
            .iter()
            .zip(canonical_of)
            .map(|(&level, &row)| {
                let rows = &mut rows_of_level[level as usize];
                let place = rows.iter().position(|&other| other == row).unwrap_or(rows.len());
                if place == rows.len() {
                    rows.push(row);
                }
                (level as usize, place)
            })
            .collect();
        let mut starts = Vec::with_capacity(n_levels);
        let mut moved = Vec::with_capacity(n_levels);
        let mut start = 0;
        for (level, rows) in rows_of_level.into_iter().enumerate() {
            starts.push(start);
            start += rows.len();
            if !rows.is_empty() {
                let shown = canonical.index_select(&Tensor::new(rows, canonical.device())?, 0)?;
                moved.push(self.moved_to(&shown, level, size)?);
            }
        }
        let index: Vec<u32> = places.into_iter().map(|(level, place)| (starts[level] + place) as u32).collect();
        Ok(Tensor::cat(&moved, 0)?.index_select(&Tensor::new(index, canonical.device())?, 0)?)
    }

    /// Canonical images as one level moves them: `[u, c, s, s]` → `[u, c, size, size]`.
    pub(crate) fn moved_to(&self, canonical: &Tensor, level: usize, size: usize) -> Result<Tensor> {
        let (u, c, h, w) = canonical.dims4()?;
        let moved = match self {
            Spatial::Attention(logits) => {
                let weights = candle_nn::ops::softmax(&logits.get(level)?, 1)?; // [p, q]
                ops::linear(&canonical.reshape((u * c, h * w))?, &weights, None)? // [u·c, p]
            }
            Spatial::Affine { first, .. } if level < *first => return Ok(canonical.clone()),
            Spatial::Affine { maps, gates, first } => {
                let level = level - first;
                let gates = candle_nn::ops::softmax(&gates.narrow(0, level, 1)?, 1)?; // [1, bank]
                let mut flat = canonical.reshape((u * c, h, w))?;
                if *first > 0 {
                    let sure = f64::from(gates.detach().max(1)?.get(0)?.to_scalar::<f32>()?);
                    flat = teaching(&flat, TEACHING * sure * sure)?;
                }
                ops::affine_sample(&flat, &maps.narrow(0, level, 1)?, &gates, size)? // [1, u·c, h, w]
            }
        };
        Ok(moved.reshape((u, c, size, size))?)
    }
}

/// The same numbers, with a gradient of `weight` times what arrives.
fn teaching(x: &Tensor, weight: f64) -> Result<Tensor> {
    Ok(((x * weight)? + (x.detach() * (1.0 - weight))?)?)
}

/// The sum over levels of what they do, weighted row by row: weights `[n, levels]`, each level `[n, …]`.
pub(crate) fn mixed(weights: &Tensor, of_level: impl Fn(usize) -> Result<Tensor>) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for level in 0..weights.dim(1)? {
        let drawn = of_level(level)?;
        let mut shape = vec![1; drawn.rank()];
        shape[0] = drawn.dim(0)?;
        let drawn = drawn.broadcast_mul(&weights.narrow(1, level, 1)?.reshape(shape)?)?;
        sum = Some(match sum {
            Some(sum) => (sum + drawn)?,
            None => drawn,
        });
    }
    sum.ok_or_else(|| Error::Tensor(candle_core::Error::Msg("a factor without levels".to_owned())))
}

/// A bank's first maps, row-major `[maps, 2, 3]`, and their number.
fn bank_start(bank: Bank, rng: &mut impl Rng) -> (Vec<f32>, usize) {
    match bank {
        Bank::Turns | Bank::TurnsFromFirst => {
            let mut maps = Vec::with_capacity(16 * 6);
            for mirror in [1.0f64, -1.0] {
                for turn in 0..8 {
                    let angle = f64::from(turn) * std::f64::consts::FRAC_PI_4 + 0.2;
                    let (sin, cos) = angle.sin_cos();
                    maps.extend([cos * mirror, -sin, 0.0, sin * mirror, cos, 0.0].map(|v| v as f32));
                }
            }
            (maps, 16)
        }
        Bank::Random { maps } => {
            let normal = |rng: &mut dyn FnMut() -> f64| {
                let (u, v) = (1.0 - rng(), rng());
                (0.7 * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
            };
            let mut uniform = || rand::RngExt::random::<f64>(rng);
            let values = (0..maps * 6).map(|i| if i % 3 == 2 { 0.0 } else { normal(&mut uniform) }).collect();
            (values, maps)
        }
    }
}
