//! The `portrait` generator, ours: it remembers portraits, draws an emotion from those of the other emotions, and moves
//! the result (SPEC §4: factors that act).
//!
//! ```text
//! person, session → a remembered portrait [3, s, s] per emotion seen of them, learned pixel by pixel
//!   ─(emotion: the portraits of all *other* emotions, each moved by a flow, mixed, and a residual; one network for all)→
//!   ─(transform: pixels moved by an affine map)→ image
//! ```
//!
//! What is drawn never looks at what is remembered of the very combination: a person's surprise is drawn from the same
//! person's happiness and disgust, whether it was seen or not. So the network meets in training what it meets with a
//! combination that was held out, and is as good there; were it to learn on portraits that have the emotion in them, it
//! would learn to look at them (docs/operator.md). Only where a person was seen with a single emotion is that one drawn
//! from itself.
//!
//! The network sees the portraits, and so where this person's mouth is and what colour the lips have; what an emotion
//! does is learned from everybody who shows it, and carried over to a person who was never seen with it.
//!
//! Training has two stretches: first the portraits are learned, then, with the portraits as its images, the network.

use candle_core::{DType, Device, Tensor};
use multigen_ops::{self as ops, timing::section};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::redrawing::Redrawing;
use crate::spatial::{Bank, Spatial, mixed};
use crate::{Drawn, Error, Filling, LevelTable, Multipliers, Params, Result};

/// What a factor does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// It says whose portraits they are.
    Sits,
    /// It redraws the portraits of its other levels.
    Redraws,
    /// It moves the pixels by a gated bank of affine maps.
    Moves {
        /// Where the bank starts.
        bank: Bank,
    },
}

/// A factor with its number of levels and its part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartOf {
    /// The factor's name.
    pub factor: String,
    /// How many levels it has.
    pub levels: usize,
    /// What it does.
    pub part: Part,
}

/// The description of a portrait generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortraitConfig {
    /// The factors in the order in which the network takes their levels.
    pub factors: Vec<PartOf>,
    /// Channels at a half, a quarter and an eighth of the size.
    pub widths: [usize; 3],
    /// Height and width of the images.
    pub size: usize,
    /// The share of all steps in which portraits are learned, and not yet redrawn.
    pub remembering: f64,
}

/// Portraits of more numbers than this are refused: a description may ask for anything.
const MAX_PORTRAIT_NUMBERS: usize = 1 << 28;

impl PortraitConfig {
    /// Size of the image, all rules checked.
    ///
    /// # Errors
    /// When the description is impossible.
    pub fn image_size(&self, network: &str) -> Result<usize> {
        let wrong = |problem: String| Error::Description { network: network.to_owned(), problem };
        if let Some(factor) = self.factors.iter().find(|factor| factor.levels == 0) {
            return Err(wrong(format!("factor {}: no level, expected at least one", factor.factor)));
        }
        let count = |is: fn(&Part) -> bool| self.factors.iter().filter(|factor| is(&factor.part)).count();
        if count(|part| matches!(part, Part::Sits)) == 0 {
            return Err(wrong("no factor that sits: expected at least one".to_owned()));
        }
        if count(|part| matches!(part, Part::Redraws)) != 1 {
            let n = count(|part| matches!(part, Part::Redraws));
            return Err(wrong(format!("{n} factors that redraw, such as emotion: expected one")));
        }
        if count(|part| matches!(part, Part::Moves { .. })) > 1 {
            return Err(wrong("two factors move pixels: expected at most one".to_owned()));
        }
        if self.factors.iter().any(|f| f.part == Part::Moves { bank: Bank::Random { maps: 0 } }) {
            return Err(wrong("the bank has no map: expected at least one".to_owned()));
        }
        if self.factors.iter().any(|f| f.part == Part::Moves { bank: Bank::TurnsFromFirst } && f.levels < 2) {
            return Err(wrong("the first level moves nothing: expected a second one".to_owned()));
        }
        if self.widths.contains(&0) || self.size < 8 {
            let (widths, size) = (self.widths, self.size);
            return Err(wrong(format!("widths {widths:?} and size {size}: expected at least 1 channel and 8 pixels")));
        }
        if !(self.remembering > 0.0 && self.remembering < 1.0) {
            return Err(wrong(format!("remembering = {}: expected a share between 0 and 1", self.remembering)));
        }
        let numbers = self.n_portraits().saturating_mul(IMAGE_CHANNELS * self.size.saturating_mul(self.size));
        if numbers > MAX_PORTRAIT_NUMBERS {
            return Err(wrong(format!("{numbers} numbers in all portraits: expected at most {MAX_PORTRAIT_NUMBERS}")));
        }
        Ok(self.size)
    }

    /// What a reader of a report must know of what this network is told.
    pub(crate) fn what_it_is_told(&self) -> String {
        let of_factor = |factor: &PartOf| match factor.part {
            Part::Sits => None,
            Part::Redraws => Some(format!("that {} redraws what is remembered of its other levels", factor.factor)),
            Part::Moves { bank } => Some(bank.what_it_is_told(&factor.factor)),
        };
        self.factors.iter().filter_map(of_factor).collect::<Vec<_>>().join("; ")
    }

    /// One for every combination of levels but those that move.
    fn n_portraits(&self) -> usize {
        let remembered = self.factors.iter().filter(|factor| !matches!(factor.part, Part::Moves { .. }));
        remembered.fold(1, |product: usize, factor| product.saturating_mul(factor.levels))
    }
}

/// A portrait generator with its parameters in a [`Params`].
#[derive(Debug)]
pub struct Portrait {
    /// Places and levels of the factors that sit.
    sitting: Vec<(usize, usize)>,
    /// The same of the one that redraws.
    redrawing: (usize, usize),
    /// What is remembered, `[sitters·levels, 3·s·s]`: levels innermost.
    portraits: Tensor,
    /// What each level changes in everybody's portrait, `[levels, 3·s·s]`.
    changes: Tensor,
    network: Redrawing,
    spatial: Option<(usize, Spatial)>,
    size: usize,
    remembering: f64,
}

/// What a portrait generator learns in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// The portraits.
    Remembering,
    /// The network that redraws them.
    Redrawing,
}

const IMAGE_CHANNELS: usize = 3;

/// A portrait that was never shown still has this value everywhere, to the bit.
const NEVER_SHOWN: f64 = 0.5;

/// Portraits learn faster than weights: a pixel has half a unit to go, and gets a gradient only when its person is in the
/// batch with this emotion, one step in six or so.
const PORTRAIT_RATE: Multipliers = Multipliers { learning_rate: 25.0, decay: 0.0 };
/// What an emotion changes is in every batch.
const CHANGE_RATE: Multipliers = Multipliers { learning_rate: 5.0, decay: 0.0 };

impl Portrait {
    /// Draws the parameters.
    ///
    /// # Errors
    /// When the description is impossible.
    pub fn build(params: &mut Params, network: &str, config: &PortraitConfig, rng: &mut impl Rng) -> Result<Self> {
        let size = config.image_size(network)?;
        let of_part = |wanted: Part| -> Vec<(usize, usize)> {
            let places = config.factors.iter().enumerate().filter(|(_, factor)| factor.part == wanted);
            places.map(|(place, factor)| (place, factor.levels)).collect()
        };
        let sitting = of_part(Part::Sits);
        let Some(&redrawing) = of_part(Part::Redraws).first() else {
            let problem = "no factor that redraws: expected one".to_owned();
            return Err(Error::Description { network: network.to_owned(), problem });
        };
        let (place, levels) = redrawing;
        let pixels = IMAGE_CHANNELS * size * size;
        let start = Filling::Constant(NEVER_SHOWN as f32);
        let portraits = params.create("portraits", &[config.n_portraits(), pixels], start, PORTRAIT_RATE, rng)?;
        let name = format!("changes.{}", config.factors[place].factor);
        let changes = params.create(&name, &[levels, pixels], Filling::Constant(0.0), CHANGE_RATE, rng)?;
        // Of the estimate and of every portrait a flow and a logit; one residual.
        let sources = levels + 1;
        let channels = [IMAGE_CHANNELS * sources, 3 * sources + IMAGE_CHANNELS];
        let network = Redrawing::build(params, config.widths, size, channels, levels, rng)?;
        let mut spatial = None;
        for (PartOf { levels, part, .. }, place) in config.factors.iter().zip(0..) {
            if let Part::Moves { bank } = *part {
                spatial = Some((place, Spatial::affine(params, bank, *levels, rng)?));
            }
        }
        let remembering = config.remembering;
        Ok(Self { sitting, redrawing, portraits, changes, network, spatial, size, remembering })
    }

    /// Draws a batch: every redrawn portrait once, then every transform of it that the batch shows.
    ///
    /// # Shapes
    /// `[n]` levels per factor → images `[n, 3, size, size]`.
    pub(crate) fn forward(&self, levels: &LevelTable, device: &Device) -> Result<Drawn> {
        let rows = Rows::of(self, levels);
        let images = self.moved(&self.redrawn_rows(&rows, device)?, levels, rows.drawn_of, device)?;
        Ok(Drawn { images, mask_logits: None, instead_of_truth: None })
    }

    /// The first steps, of `steps` in all, in which portraits are learned: one at least.
    pub(crate) fn remembering_steps(&self, steps: u64) -> u64 {
        ((steps as f64 * self.remembering).round() as u64).clamp(1, steps.max(1))
    }

    /// What training looks at: portraits as the batch shows them, or redrawn ones beside those that are remembered.
    ///
    /// # Shapes
    /// `[n]` levels per factor → while remembering images `[n, 3, size, size]`, afterwards one `[u, 3, size, size]` per
    /// distinct portrait.
    pub(crate) fn forward_to_learn(&self, levels: &LevelTable, stretch: Stretch, device: &Device) -> Result<Drawn> {
        let rows = Rows::of(self, levels);
        let n_levels = self.redrawing.1 as u32;
        let own: Vec<u32> = rows.sitters.iter().zip(&rows.levels).map(|(who, level)| who * n_levels + level).collect();
        let own = self.portraits.index_select(&Tensor::new(own, device)?, 0)?; // [u, 3·s·s]
        let own = self.as_images(&own)?;
        Ok(match stretch {
            Stretch::Remembering => {
                let images = self.moved(&own, levels, rows.drawn_of, device)?;
                Drawn { images, mask_logits: None, instead_of_truth: None }
            }
            Stretch::Redrawing => {
                let images = self.redrawn_rows(&rows, device)?;
                Drawn { images, mask_logits: None, instead_of_truth: Some(own.detach()) }
            }
        })
    }

    /// Draws mixtures of levels: from the weighted sums of portraits, towards mixed levels.
    ///
    /// # Shapes
    /// `[n, levels]` per factor → images `[n, 3, size, size]`.
    pub(crate) fn forward_mixed(&self, codes: &[Tensor]) -> Result<Drawn> {
        let n = codes.first().map_or(Ok(0), |code| code.dim(0))?;
        let device = self.portraits.device();
        let mut weights = Tensor::ones((n, 1), DType::F32, device)?;
        for &(place, levels) in &self.sitting {
            let n_columns = weights.dim(1)?;
            let outer = weights.unsqueeze(2)?.broadcast_mul(&codes[place].unsqueeze(1)?)?; // [n, columns, levels]
            weights = outer.reshape((n, n_columns * levels))?;
        }
        let (place, n_levels) = self.redrawing;
        let (n_sitters, pixels) = (weights.dim(1)?, self.portraits.dim(1)?);
        let all = self.portraits.detach().reshape((n_sitters, n_levels, pixels))?;
        let shown = Tensor::new(were_shown(&all)?, device)?; // [sitters, levels]
        let share = weights.matmul(&shown)?; // [n, levels]
        let sum = weights.matmul(&all.broadcast_mul(&shown.unsqueeze(2)?)?.reshape((n_sitters, n_levels * pixels))?)?;
        let portraits = sum
            .reshape((n, n_levels, pixels))?
            .broadcast_div(&share.maximum(f64::from(f32::EPSILON))?.unsqueeze(2)?)?;
        let mut images = self.redrawn(&portraits, &share.to_vec2()?, &codes[place])?; // [n, 3, s, s]
        if let Some((place, spatial)) = &self.spatial {
            images = mixed(&codes[*place], |level| spatial.moved_to(&images, level, self.size))?;
        }
        Ok(Drawn { images, mask_logits: None, instead_of_truth: None })
    }

    /// Portraits `[u, 3, s, s]` as the batch shows them → `[n, 3, s, s]`.
    fn moved(&self, portraits: &Tensor, levels: &LevelTable, drawn_of: Vec<u32>, device: &Device) -> Result<Tensor> {
        match &self.spatial {
            None => Ok(portraits.index_select(&Tensor::new(drawn_of, device)?, 0)?),
            Some((place, spatial)) => section(format_args!("action"), portraits, |portraits| {
                spatial.moved(portraits, levels.column(*place), &drawn_of, self.size)
            }),
        }
    }

    fn redrawn_rows(&self, rows: &Rows, device: &Device) -> Result<Tensor> {
        let (u, n_levels) = (rows.sitters.len(), self.redrawing.1);
        let all: Vec<u32> = rows
            .sitters
            .iter()
            .flat_map(|who| (0..n_levels as u32).map(move |level| who * n_levels as u32 + level))
            .collect();
        let portraits = self.portraits.detach().index_select(&Tensor::new(all, device)?, 0)?;
        let portraits = portraits.reshape((u, n_levels, portraits.dim(1)?))?;
        let levels = Tensor::new(rows.levels.as_slice(), device)?;
        let code = Tensor::eye(n_levels, DType::F32, device)?.index_select(&levels, 0)?; // [u, levels]
        self.redrawn(&portraits, &were_shown(&portraits)?, &code)
    }

    /// Remembered portraits `[u, levels, 3·s·s]`, how far each was shown, and the level to draw `[u, levels]` →
    /// `[u, 3, s, s]`.
    fn redrawn(&self, portraits: &Tensor, shown: &[Vec<f32>], code: &Tensor) -> Result<Tensor> {
        let (u, n_levels, _) = portraits.dims3()?;
        let device = portraits.device();
        let given: Vec<Vec<f32>> =
            shown.iter().zip(code.to_vec2::<f32>()?).map(|(shown, code)| given(shown, &code)).collect();
        let weights: Vec<Vec<f32>> = given
            .iter()
            .map(|given| {
                let sum: f32 = given.iter().sum();
                given.iter().map(|g| if sum > 0.0 { g / sum } else { 0.0 }).collect()
            })
            .collect();
        let (given, weights) = (Tensor::new(given, device)?, Tensor::new(weights, device)?); // [u, levels]

        // The sum of effects: this person without any emotion, then with everybody's change by this one.
        let changes = self.changes.detach();
        let mean = weights.unsqueeze(1)?.matmul(portraits)?.squeeze(1)?; // [u, 3·s·s]
        let mut without = (mean - weights.matmul(&changes)?)?;
        let nothing = (1.0 - weights.sum_keepdim(1)?)?.clamp(0.0, 1.0)?; // [u, 1]
        if nothing.max_all()?.to_scalar::<f32>()? > 0.5 {
            without = (without + nothing.matmul(&self.anybody()?)?)?;
        }
        let change = code.matmul(&self.changes)?; // [u, 3·s·s], its gradient as though the sum were drawn
        let estimate = (&without + change.detach())?;

        // What was not shown, or is to be drawn, is filled in by the sum of effects.
        let filled = without.unsqueeze(1)?.broadcast_add(&changes.unsqueeze(0)?)?; // [u, levels, 3·s·s]
        let given = given.unsqueeze(2)?;
        let known = (portraits.broadcast_mul(&given)? + filled.broadcast_mul(&(1.0 - &given)?)?)?;
        let sources = Tensor::cat(&[&estimate.unsqueeze(1)?, &known], 1)?; // [u, sources, 3·s·s]

        let (s, n_sources) = (self.size, n_levels + 1);
        let seen = sources.reshape((u, n_sources * IMAGE_CHANNELS, s, s))?;
        let out = self.network.forward(&seen, code)?; // [u, 3·sources + 3, s, s]
        section(format_args!("mixing"), &out, |out| {
            let flow = (out.narrow(1, 0, 2 * n_sources)? * (s as f64 / 2.0))?.reshape((u * n_sources, 2, s, s))?;
            let warped = ops::warp(&sources.reshape((u * n_sources, IMAGE_CHANNELS, s, s))?, &flow)?;
            let logits = out.narrow(1, 2 * n_sources, n_sources)?;
            // At the start one half is the sum of effects.
            let first: Vec<f32> =
                (0..n_sources).map(|source| if source == 0 { (n_levels as f32).ln() } else { 0.0 }).collect();
            let logits = logits.broadcast_add(&Tensor::new(first, device)?.reshape((1, n_sources, 1, 1))?)?;
            let shares = candle_nn::ops::softmax(&logits, 1)?.unsqueeze(2)?; // [u, sources, 1, s, s]
            let warped = warped.reshape((u, n_sources, IMAGE_CHANNELS, s, s))?;
            let drawn = warped.broadcast_mul(&shares)?.sum(1)?; // [u, 3, s, s]
            let residual = out.narrow(1, 3 * n_sources, IMAGE_CHANNELS)?;
            let learns = (&change - change.detach())?.reshape((u, IMAGE_CHANNELS, s, s))?; // 0
            Ok(((drawn + residual)? + learns)?)
        })
    }

    /// The mean of all that is remembered, without what emotions change: `[1, 3·s·s]`.
    fn anybody(&self) -> Result<Tensor> {
        let (n_levels, pixels) = self.changes.dims2()?;
        let all = self.portraits.detach().reshape(((), n_levels, pixels))?;
        let shown = Tensor::new(were_shown(&all)?, all.device())?; // [sitters, levels]
        let n = shown.sum_all()?.to_scalar::<f32>()?.max(1.0);
        let own = all.broadcast_sub(&self.changes.detach().unsqueeze(0)?)?;
        Ok((own.broadcast_mul(&shown.unsqueeze(2)?)?.sum((0, 1))?.unsqueeze(0)? / f64::from(n))?)
    }

    fn as_images(&self, portraits: &Tensor) -> Result<Tensor> {
        Ok(portraits.reshape((portraits.dim(0)?, IMAGE_CHANNELS, self.size, self.size))?)
    }
}

/// The distinct portraits of a batch.
struct Rows {
    /// Whose, `[u]`.
    sitters: Vec<u32>,
    /// Towards which level, `[u]`.
    levels: Vec<u32>,
    /// Of each image, which of them it shows, `[n]`.
    drawn_of: Vec<u32>,
}

impl Rows {
    fn of(net: &Portrait, levels: &LevelTable) -> Self {
        let redraws = net.redrawing.0;
        let places: Vec<usize> = net.sitting.iter().map(|(place, _)| *place).chain([redraws]).collect();
        let (first_rows, drawn_of) = levels.distinct(&places);
        let sitter =
            |row: &usize| net.sitting.iter().fold(0, |at, &(place, n)| at * n as u32 + levels.column(place)[*row]);
        Self {
            sitters: first_rows.iter().map(sitter).collect(),
            levels: first_rows.iter().map(|&row| levels.column(redraws)[row]).collect(),
            drawn_of,
        }
    }
}

/// Whether a parameter learns in a stretch: the network that redraws, and what changes in everybody, in the second; all
/// else in the first.
pub(crate) fn learns(parameter: &str, stretch: Stretch) -> bool {
    let redraws = parameter.starts_with("redraw.") || parameter.starts_with("changes.");
    redraws == (stretch == Stretch::Redrawing)
}

/// How far each of a sitter's portraits is looked at: those that were shown, but not what is to be drawn. Where that leaves
/// nothing, what is to be drawn is all that there is.
fn given(shown: &[f32], code: &[f32]) -> Vec<f32> {
    let others: Vec<f32> = shown.iter().zip(code).map(|(shown, code)| shown * (1.0 - code)).collect();
    if others.iter().sum::<f32>() > 1e-6 { others } else { shown.to_vec() }
}

/// Of portraits `[u, levels, 3·s·s]`, 1 for each that was shown in training, else 0.
fn were_shown(portraits: &Tensor) -> Result<Vec<Vec<f32>>> {
    let moved = (portraits - NEVER_SHOWN)?.abs()?.max(2)?.to_vec2::<f32>()?;
    Ok(moved.into_iter().map(|row| row.into_iter().map(|v| f32::from(u8::from(v > 0.0))).collect()).collect())
}
