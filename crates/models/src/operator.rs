//! The `operator` generator: a factor is not concatenated, it acts (SPEC §4, ours).
//!
//! The content factors (digit and style) are drawn once, as a one-channel *canonical image*; every other factor acts on
//! it. A combination that was never seen is then a known content under a known action.
//!
//! ```text
//! content one-hots → branches → code z ─(latent: z·A_t)→ decoder → canonical image
//!                                  ─(attention or affine: pixels moved by level t)→ ─(colour: ⊗ v_c)→ image
//! ```
//!
//! Three kinds of action for the spatial factor, all learned:
//! - *latent*: a k×k matrix per level on the code, near the identity at the start;
//! - *attention*: output pixel p is Σ_q softmax(L_t)\[p, q\]·canonical\[q\], one matrix of logits per level;
//! - *affine*: a spatial transformer with a bank of 16 maps per level and a softmax gate over them. The bank starts as
//!   eight turns, mirrored or not, all turned by a further 0.2 rad so that none is right from the start. Maps learn at
//!   three times the rate, gates at fifty (a deviation from SPEC §4, measured in docs/operator.md).
//!
//! No kind is told which transform a level is; the affine kind is told that transforms are affine.

use candle_core::{Device, Tensor};
use multigen_ops::timing::section;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::activation::Activated;
use crate::concatenating::{Branch, BranchLayers, Decoder, DecoderConfig, FeatureMap, FillingRules, upsampled_size};
use crate::layers::Upsampling;
use crate::spatial::{Bank, Spatial, mixed};
use crate::{Activation, Drawn, Error, Filling, LevelTable, Multipliers, Params, Result};

/// What a factor does to an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It says what is drawn: a branch of two fully connected layers of its one-hot, concatenated into the code.
    Content {
        /// Width of the first layer.
        fc1: usize,
        /// Width of the second layer.
        fc2: usize,
    },
    /// It acts by a k×k matrix per level on the code.
    Latent {
        /// Width k of the code.
        k: usize,
    },
    /// It acts by a softmax mixture of the canonical image's positions per output position.
    Attention,
    /// It acts by a gated bank of affine maps of the canonical image.
    Affine {
        /// Where the bank starts.
        bank: Bank,
    },
    /// It acts by a vector per level that a canonical image of one channel is multiplied with.
    Colour,
}

/// A factor with its number of levels and its role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleOf {
    /// The factor's name.
    pub factor: String,
    /// How many levels it has.
    pub levels: usize,
    /// What it does.
    pub role: Role,
}

/// The description of an operator generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorConfig {
    /// The factors in the order in which the network takes their levels.
    pub factors: Vec<RoleOf>,
    /// Widths of the layers between code and feature map.
    pub hidden: Vec<usize>,
    /// The feature map.
    pub map: FeatureMap,
    /// Transposed convolutions to the canonical image: one channel where a factor is a colour, else three.
    pub upsampling: Vec<Upsampling>,
    /// Height and width of the images that are drawn; the canonical image of the affine kind may be finer.
    pub size: usize,
}

impl OperatorConfig {
    /// Size of the image, checked layer by layer.
    ///
    /// # Errors
    /// When the description is impossible.
    pub fn image_size(&self, network: &str) -> Result<usize> {
        let wrong = |problem: String| Error::Description { network: network.to_owned(), problem };
        if let Some(factor) = self.factors.iter().find(|factor| factor.levels == 0) {
            return Err(wrong(format!("factor {}: no level, expected at least one", factor.factor)));
        }
        let roles = || self.factors.iter().map(|factor| factor.role);
        if !roles().any(|role| matches!(role, Role::Content { .. })) {
            return Err(wrong("no content factor: expected at least one".to_owned()));
        }
        let is_empty = |role| {
            matches!(
                role,
                Role::Latent { k: 0 }
                    | Role::Affine { bank: Bank::Random { maps: 0 } }
                    | Role::Content { fc1: 0, .. }
                    | Role::Content { fc2: 0, .. }
            )
        };
        if roles().any(is_empty) {
            return Err(wrong("a factor's widths, maps or code entries are 0: expected at least one".to_owned()));
        }
        let is_spatial = |role: &Role| matches!(role, Role::Attention | Role::Affine { .. });
        if roles().filter(is_spatial).count() > 1 {
            return Err(wrong("two factors move pixels: expected at most one".to_owned()));
        }
        let n_colours = roles().filter(|role| *role == Role::Colour).count();
        let n_channels = if n_colours == 0 { N_CHANNELS } else { 1 };
        if n_colours > 1 {
            return Err(wrong("two factors are colours: expected at most one".to_owned()));
        }
        if self.upsampling.last().is_some_and(|layer| layer.channels != n_channels) {
            return Err(wrong(format!(
                "the last upsampling layer must have {n_channels} channels: one where a factor is a colour, else three"
            )));
        }
        let widths: Vec<usize> =
            roles().filter_map(|role| if let Role::Latent { k } = role { Some(k) } else { None }).collect();
        if widths.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(wrong(format!("latent factors act on codes of {widths:?} entries: expected one width")));
        }
        let canonical = upsampled_size(network, self.map, &self.upsampling)?;
        let from_first = |factor: &&RoleOf| factor.role == Role::Affine { bank: Bank::TurnsFromFirst };
        if let Some(factor) = self.factors.iter().find(from_first)
            && (factor.levels < 2 || canonical != self.size)
        {
            return Err(wrong(format!(
                "factor {}: its first level moves nothing, so it needs two levels (found {}) and a canonical image of the image's size (found {canonical})",
                factor.factor, factor.levels
            )));
        }
        if self.size == 0 || (canonical != self.size && !roles().any(|role| matches!(role, Role::Affine { .. }))) {
            return Err(wrong(format!(
                "the canonical image has {canonical}×{canonical} pixels, the image {0}×{0}: only the affine kind resamples",
                self.size
            )));
        }
        Ok(self.size)
    }
}

impl OperatorConfig {
    /// What a reader of a report must know of what this network is told.
    pub(crate) fn what_it_is_told(&self) -> String {
        let of_factor = |factor: &RoleOf| {
            let name = &factor.factor;
            Some(match factor.role {
                Role::Content { .. } => return None,
                Role::Latent { .. } => format!("that {name} acts on the code by a matrix"),
                Role::Attention => {
                    format!("that {name} moves pixels, each of the image a mixture of the canonical one's")
                }
                Role::Affine { bank } => bank.what_it_is_told(name),
                Role::Colour => format!("that {name} scales channels"),
            })
        };
        self.factors.iter().filter_map(of_factor).collect::<Vec<_>>().join("; ")
    }
}

/// A factor of the network: its place in the order of factors, and what it does.
#[derive(Debug)]
struct Acting<T> {
    place: usize,
    action: T,
}

/// An operator generator with its parameters in a [`Params`].
#[derive(Debug)]
pub struct Operator {
    contents: Vec<Acting<BranchLayers>>,
    to_code: Option<crate::layers::Linear>,
    latents: Vec<Acting<Tensor>>, // [levels, k, k] each
    decoder: Decoder,
    spatial: Option<Acting<Spatial>>,
    colours: Option<Acting<Tensor>>, // [levels, 3]
    size: usize,
}

const N_CHANNELS: usize = 3;

/// Colours learn at five times the rate: they have half a unit to go from their first values, and every image waits.
const COLOUR_RATE: Multipliers = Multipliers { learning_rate: 5.0, decay: 1.0 };

impl Operator {
    /// Draws the parameters.
    ///
    /// # Errors
    /// When the description is impossible.
    pub fn build(params: &mut Params, network: &str, config: &OperatorConfig, rng: &mut impl Rng) -> Result<Self> {
        let size = config.image_size(network)?;
        let mut contents = Vec::new();
        let mut n_in = 0;
        for (RoleOf { factor, levels, role }, place) in config.factors.iter().zip(0..) {
            if let Role::Content { fc1, fc2 } = *role {
                let branch = Branch { factor: factor.clone(), levels: *levels, fc1, fc2 };
                let action = BranchLayers::build(params, &branch, Activation::Prelu, FillingRules::Plain, rng)?;
                contents.push(Acting { place, action });
                n_in += fc2;
            }
        }
        let (mut latents, mut to_code, mut spatial) = (Vec::new(), None, None);
        for (RoleOf { factor, levels, role }, place) in config.factors.iter().zip(0..) {
            match *role {
                Role::Content { .. } | Role::Colour => {}
                Role::Latent { k } => {
                    let name = format!("latent.{factor}.matrices");
                    let filling = Filling::NearIdentity(0.02);
                    let action = params.create(&name, &[*levels, k, k], filling, Multipliers::default(), rng)?;
                    latents.push(Acting { place, action });
                    if to_code.is_none() {
                        let linear =
                            crate::layers::Linear::build(params, "to_code", (n_in, k), Default::default(), rng)?;
                        to_code = Some(linear);
                        n_in = k;
                    }
                }
                Role::Attention => {
                    let action = Spatial::attention(params, *levels, size, rng)?;
                    spatial = Some(Acting { place, action });
                }
                Role::Affine { bank } => {
                    let action = Spatial::affine(params, bank, *levels, rng)?;
                    spatial = Some(Acting { place, action });
                }
            }
        }
        let decoder = DecoderConfig {
            n_in,
            hidden: &config.hidden,
            map: config.map,
            upsampling: &config.upsampling,
            activation: Activation::Prelu,
            last: Activation::Linear,
            filling: FillingRules::Plain,
        };
        let decoder = Decoder::build(params, &decoder, rng)?;
        let mut colours = None;
        for (RoleOf { levels, role, .. }, place) in config.factors.iter().zip(0..) {
            if *role == Role::Colour {
                let shape = [*levels, N_CHANNELS];
                let start: Vec<f32> =
                    (0..shape[0] * shape[1]).map(|_| 0.25 + 0.5 * rand::RngExt::random::<f32>(rng)).collect();
                let start = Tensor::from_vec(start, &shape, params.device())?;
                colours = Some(Acting { place, action: params.insert("colours", start, COLOUR_RATE)? });
            }
        }
        Ok(Self { contents, to_code, latents, decoder, spatial, colours, size })
    }

    /// Draws a batch: what the content and latent factors say once, every pair of it and a spatial level once, then the
    /// colours.
    ///
    /// # Shapes
    /// `[n]` levels per factor → images `[n, 3, size, size]`.
    pub(crate) fn forward(&self, levels: &LevelTable, device: &Device) -> Result<Drawn> {
        let places = self.contents.iter().map(|content| content.place);
        let places: Vec<usize> = places.chain(self.latents.iter().map(|latent| latent.place)).collect();
        let (first_rows, canonical_of) = levels.distinct(&places);
        let picked = |table: &Tensor, place: usize| -> Result<Tensor> {
            let column: Vec<u32> = first_rows.iter().map(|&row| levels.column(place)[row]).collect();
            Ok(table.index_select(&Tensor::new(column, device)?, 0)?)
        };
        let codes = self.contents.iter().map(|c| picked(&c.action.forward(device)?, c.place)); // [u, fc2]
        let mut code = Tensor::cat(&codes.collect::<Result<Vec<_>>>()?, 1)?; // [u, Σ fc2]
        if let Some(to_code) = &self.to_code {
            code = to_code.forward(&code, &Activated::Linear)?; // [u, k]
        }
        for Acting { place, action: matrices } in &self.latents {
            let column: Vec<u32> = first_rows.iter().map(|&row| levels.column(*place)[row]).collect();
            code = section(format_args!("action"), &code, |code| acted(code, matrices, &column))?; // [u, k]
        }
        let canonical = self.decoder.forward(&code)?; // [u, c, s, s]
        let moved = match &self.spatial {
            None => canonical.index_select(&Tensor::new(canonical_of, device)?, 0)?, // [n, c, h, w]
            Some(Acting { place, action }) => section(format_args!("action"), &canonical, |canonical| {
                action.moved(canonical, levels.column(*place), &canonical_of, self.size)
            })?,
        };
        let colours = self.colours.as_ref().map(|Acting { place, action }| -> Result<Tensor> {
            Ok(action.index_select(&levels.indices(*place, device)?, 0)?) // [n, 3]
        });
        coloured(moved, colours.transpose()?)
    }

    /// Draws mixtures of levels: contents from mixed codes, and of what the levels of a factor do the weighted sum.
    ///
    /// # Shapes
    /// `[n, levels]` per factor → images `[n, 3, size, size]`.
    pub(crate) fn forward_mixed(&self, codes: &[Tensor]) -> Result<Drawn> {
        let contents = self.contents.iter().map(|content| content.action.forward_mixed(&codes[content.place]));
        let mut code = Tensor::cat(&contents.collect::<Result<Vec<_>>>()?, 1)?; // [n, Σ fc2]
        if let Some(to_code) = &self.to_code {
            code = to_code.forward(&code, &Activated::Linear)?; // [n, k]
        }
        for Acting { place, action: matrices } in &self.latents {
            code = mixed(&codes[*place], |level| Ok(code.matmul(&matrices.get(level)?)?))?;
        }
        let mut images = self.decoder.forward(&code)?; // [n, c, s, s]
        if let Some(Acting { place, action }) = &self.spatial {
            images = mixed(&codes[*place], |level| action.moved_to(&images, level, self.size))?;
        }
        let colours = self.colours.as_ref().map(|Acting { place, action }| codes[*place].matmul(action)); // [n, 3]
        coloured(images, colours.transpose()?)
    }
}

/// Codes under the matrices of their levels: row i of `[u, k]` times `matrices[column[i]]`.
fn acted(code: &Tensor, matrices: &Tensor, column: &[u32]) -> Result<Tensor> {
    let (n_levels, u) = (matrices.dim(0)?, code.dim(0)?);
    let all = (0..n_levels).map(|level| Ok(code.matmul(&matrices.get(level)?)?)).collect::<Result<Vec<_>>>()?;
    let index: Vec<u32> = column.iter().zip(0..).map(|(level, row)| level * u as u32 + row).collect();
    Ok(Tensor::cat(&all, 0)?.index_select(&Tensor::new(index, code.device())?, 0)?) // [u, k]
}

/// Images `[n, 3, h, w]`: as they are, or grey ones `[n, 1, h, w]` times their colours `[n, 3]`.
fn coloured(images: Tensor, colours: Option<Tensor>) -> Result<Drawn> {
    let images = match colours {
        None => images,
        Some(colours) => {
            let (n, _, h, w) = images.dims4()?;
            let grey = images.reshape((n, 1, h * w))?;
            grey.broadcast_mul(&colours.unsqueeze(2)?)?.reshape((n, N_CHANNELS, h, w))? // [n, 3, h, w]
        }
    };
    Ok(Drawn { images, mask_logits: None, instead_of_truth: None })
}
