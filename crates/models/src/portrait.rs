//! The `portrait` generator, ours: an emotion redraws a portrait, a transform moves it (SPEC §4: factors that act).
//!
//! ```text
//! person, session → portrait [3, s, s], learned pixel by pixel
//!   ─(emotion: + a small convolutional network of the portrait, whose channels it scales and shifts)→
//!   ─(transform: pixels moved by an affine map)→ image
//! ```
//!
//! The network that redraws is one for all persons. It sees the portrait, and so where this person's mouth is and what
//! colour the lips have; what an emotion does is learned from everybody who shows it, and carried over to a person who
//! was never seen with it. The network halves the portrait three times and doubles it again, adding what it had at each
//! size on the way down (a U-Net, Ronneberger et al. 2015); levels act by a scale and a shift per channel (FiLM, Perez et
//! al. 2018).

use candle_core::{DType, Device, Tensor};
use multigen_ops::{Conv2dConfig, timing::section};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::activation::Activated;
use crate::layers::{Conv2d, ConvTranspose2d, LayerFilling, Upsampling};
use crate::spatial::{Bank, Spatial, mixed};
use crate::{Activation, Drawn, Error, Filling, LevelTable, Multipliers, Params, Result};

/// What a factor does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// It says whose portrait it is; there is one for every combination of such factors.
    Sits,
    /// It redraws the portrait.
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
        if count(|part| matches!(part, Part::Redraws)) == 0 {
            return Err(wrong("no factor that redraws, such as emotion: expected at least one".to_owned()));
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
            Part::Redraws => Some(format!("that {} redraws a portrait", factor.factor)),
            Part::Moves { bank } => Some(bank.what_it_is_told(&factor.factor)),
        };
        self.factors.iter().filter_map(of_factor).collect::<Vec<_>>().join("; ")
    }

    fn n_portraits(&self) -> usize {
        let sitting = self.factors.iter().filter(|factor| factor.part == Part::Sits);
        sitting.fold(1, |product: usize, factor| product.saturating_mul(factor.levels))
    }
}

/// A convolution, its activation, and the scale and shift of every channel by each level of every factor that redraws.
#[derive(Debug)]
struct Stage {
    name: String,
    conv: Conv2d,
    activation: Activated,
    /// Per factor that redraws `[levels, 2·channels]`: scales less one, then shifts.
    acts: Vec<Tensor>,
}

/// A transposed convolution with its activation.
#[derive(Debug)]
struct Doubling {
    name: String,
    deconv: ConvTranspose2d,
    activation: Activated,
}

/// A portrait generator with its parameters in a [`Params`].
#[derive(Debug)]
pub struct Portrait {
    /// Places and levels of the factors that sit.
    sitting: Vec<(usize, usize)>,
    /// The same of those that redraw.
    redrawing: Vec<(usize, usize)>,
    portraits: Tensor, // [n, 3·s·s]
    /// What each level of a factor that redraws changes in everybody's portrait, `[levels, 3·s·s]` each.
    changes: Vec<Tensor>,
    stages: Vec<Stage>,
    doublings: Vec<Doubling>,
    spatial: Option<(usize, Spatial)>,
    size: usize,
}

const IMAGE_CHANNELS: usize = 3;

/// Portraits learn faster than weights: a pixel has half a unit to go, and gets a gradient only when its person is in the
/// batch.
const PORTRAIT_RATE: Multipliers = Multipliers { learning_rate: 5.0, decay: 0.0 };

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
        let (sitting, redrawing) = (of_part(Part::Sits), of_part(Part::Redraws));
        let shape = [config.n_portraits(), IMAGE_CHANNELS * size * size];
        let portraits = params.create("portraits", &shape, Filling::Constant(0.5), PORTRAIT_RATE, rng)?;
        let changes = redrawing.iter().map(|&(place, levels)| {
            let name = format!("changes.{}", config.factors[place].factor);
            params.create(&name, &[levels, shape[1]], Filling::Constant(0.0), PORTRAIT_RATE, rng)
        });
        let changes = changes.collect::<Result<Vec<_>>>()?;

        // Sizes s, s/2, s/4, s/8 (rounded up), and a further stage at the smallest: a stage there sees a whole mouth.
        let [w1, w2, w3] = config.widths;
        let plan = [(IMAGE_CHANNELS, w1, 5, 2), (w1, w2, 3, 2), (w2, w3, 3, 2), (w3, w3, 3, 1)];
        let mut stages = Vec::new();
        let mut sizes = vec![size];
        for (i, (n_in, n_out, kernel, stride)) in plan.into_iter().enumerate() {
            let name = format!("redraw.conv{}", i + 1);
            let geometry = Conv2dConfig { stride, padding: kernel / 2 };
            let shape = [n_out, n_in, kernel, kernel];
            let conv = Conv2d::build(params, &name, shape, geometry, LayerFilling::default(), rng)?;
            let activation = Activation::Prelu.build(params, &format!("{name}.prelu"), n_out, rng)?;
            let acts = redrawing.iter().map(|&(place, levels)| {
                let factor = &config.factors[place].factor;
                let filling = Filling::Gaussian(0.05);
                params.create(&format!("{name}.{factor}"), &[levels, 2 * n_out], filling, Multipliers::default(), rng)
            });
            let acts = acts.collect::<Result<Vec<_>>>()?;
            stages.push(Stage { name, conv, activation, acts });
            if stride == 2 {
                sizes.push(sizes[i].div_ceil(2));
            }
        }
        let mut doublings = Vec::new();
        for (i, (n_in, n_out)) in [(w3, w2), (w2, w1), (w1, IMAGE_CHANNELS)].into_iter().enumerate() {
            let name = format!("redraw.deconv{}", i + 1);
            // From n to 2n by a kernel of 4, to 2n − 1 by a kernel of 5.
            let (kernel, padding) = if sizes[2 - i].is_multiple_of(2) { (4, 1) } else { (5, 2) };
            let layer = Upsampling { channels: n_out, kernel, stride: 2, padding, conv3: false };
            let is_last = n_out == IMAGE_CHANNELS && i == 2;
            let filling = match is_last {
                // At the start nothing is redrawn.
                true => LayerFilling { weight: Filling::Gaussian(0.001), ..LayerFilling::default() },
                false => LayerFilling::default(),
            };
            let deconv = ConvTranspose2d::build(params, &name, n_in, layer, filling, rng)?;
            let activation = if is_last { Activation::Linear } else { Activation::Prelu };
            let activation = activation.build(params, &format!("{name}.prelu"), n_out, rng)?;
            doublings.push(Doubling { name, deconv, activation });
        }
        let mut spatial = None;
        for (PartOf { levels, part, .. }, place) in config.factors.iter().zip(0..) {
            if let Part::Moves { bank } = *part {
                spatial = Some((place, Spatial::affine(params, bank, *levels, rng)?));
            }
        }
        Ok(Self { sitting, redrawing, portraits, changes, stages, doublings, spatial, size })
    }

    /// Draws a batch: every redrawn portrait once, then every transform of it that the batch shows.
    ///
    /// # Shapes
    /// `[n]` levels per factor → images `[n, 3, size, size]`.
    pub(crate) fn forward(&self, levels: &LevelTable, device: &Device) -> Result<Drawn> {
        let places: Vec<usize> = self.sitting.iter().chain(&self.redrawing).map(|(place, _)| *place).collect();
        let (first_rows, drawn_of) = levels.distinct(&places);
        let rows: Vec<u32> = first_rows
            .iter()
            .map(|&row| self.sitting.iter().fold(0, |at, &(place, n)| at * n as u32 + levels.column(place)[row]))
            .collect();
        let portraits = self.portraits.index_select(&Tensor::new(rows, device)?, 0)?; // [u, 3·s·s]
        let codes = self.redrawing.iter().map(|&(place, n)| {
            let column: Vec<u32> = first_rows.iter().map(|&row| levels.column(place)[row]).collect();
            Ok(Tensor::eye(n, DType::F32, device)?.index_select(&Tensor::new(column, device)?, 0)?) // [u, levels]
        });
        let drawn = self.redrawn(&portraits, &codes.collect::<Result<Vec<_>>>()?)?; // [u, 3, s, s]
        let images = match &self.spatial {
            None => drawn.index_select(&Tensor::new(drawn_of, device)?, 0)?,
            Some((place, spatial)) => section(format_args!("action"), &drawn, |drawn| {
                spatial.moved(drawn, levels.column(*place), &drawn_of, self.size)
            })?,
        }; // [n, 3, s, s]
        Ok(Drawn { images, mask_logits: None })
    }

    /// Draws mixtures of levels: the weighted sum of portraits, redrawn by mixed scales and shifts.
    ///
    /// # Shapes
    /// `[n, levels]` per factor → images `[n, 3, size, size]`.
    pub(crate) fn forward_mixed(&self, codes: &[Tensor]) -> Result<Drawn> {
        let n = codes.first().map_or(Ok(0), |code| code.dim(0))?;
        let mut weights = Tensor::ones((n, 1), DType::F32, self.portraits.device())?;
        for &(place, levels) in &self.sitting {
            let n_columns = weights.dim(1)?;
            let outer = weights.unsqueeze(2)?.broadcast_mul(&codes[place].unsqueeze(1)?)?; // [n, columns, levels]
            weights = outer.reshape((n, n_columns * levels))?;
        }
        let redrawing: Vec<Tensor> = self.redrawing.iter().map(|&(place, _)| codes[place].clone()).collect();
        let mut images = self.redrawn(&weights.matmul(&self.portraits)?, &redrawing)?; // [n, 3, s, s]
        if let Some((place, spatial)) = &self.spatial {
            images = mixed(&codes[*place], |level| spatial.moved_to(&images, level, self.size))?;
        }
        Ok(Drawn { images, mask_logits: None })
    }

    /// Portraits `[u, 3·s·s]` and per factor that redraws `[u, levels]` → `[u, 3, s, s]`.
    fn redrawn(&self, portraits: &Tensor, codes: &[Tensor]) -> Result<Tensor> {
        let u = portraits.dim(0)?;
        let mut portraits = portraits.clone();
        for (code, changes) in codes.iter().zip(&self.changes) {
            portraits = (portraits + code.matmul(changes)?)?; // [u, 3·s·s]
        }
        let portraits = portraits.reshape((u, IMAGE_CHANNELS, self.size, self.size))?;
        let mut x = portraits.detach();
        let mut on_the_way = Vec::new();
        for Stage { name, conv, activation, acts } in &self.stages {
            x = section(format_args!("{name}"), &x, |x| -> Result<Tensor> {
                let x = conv.forward(x, activation)?; // [u, c, h, w]
                let c = x.dim(1)?;
                let mut act: Option<Tensor> = None;
                for (code, of_level) in codes.iter().zip(acts) {
                    let own = code.matmul(of_level)?; // [u, 2·c]
                    act = Some(match act {
                        Some(act) => (act + own)?,
                        None => own,
                    });
                }
                let Some(act) = act else { return Ok(x) };
                let scale = (act.narrow(1, 0, c)? + 1.0)?.reshape((u, c, 1, 1))?;
                let shift = act.narrow(1, c, c)?.reshape((u, c, 1, 1))?;
                Ok(x.broadcast_mul(&scale)?.broadcast_add(&shift)?)
            })?;
            on_the_way.push(x.clone());
        }
        for (Doubling { name, deconv, activation }, i) in self.doublings.iter().zip(0..) {
            x = section(format_args!("{name}"), &x, |x| deconv.forward(x, activation))?; // twice the size
            if i < 2 {
                x = (x + &on_the_way[1 - i])?;
            }
        }
        Ok((x + portraits)?)
    }
}
