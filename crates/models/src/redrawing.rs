//! The network that redraws portraits: a U-Net (Ronneberger et al. 2015) whose channels a code scales and shifts (FiLM,
//! Perez et al. 2018).
//!
//! It halves what it sees three times and doubles it again, adding what it had at each size on the way down.

use candle_core::Tensor;
use multigen_ops::{Conv2dConfig, timing::section};
use rand::Rng;

use crate::activation::Activated;
use crate::layers::{Conv2d, ConvTranspose2d, LayerFilling, Upsampling};
use crate::{Activation, Filling, Multipliers, Params, Result};

/// A convolution, its activation, and the scale and shift of every channel by each level.
#[derive(Debug)]
struct Stage {
    name: String,
    conv: Conv2d,
    activation: Activated,
    /// `[levels, 2·channels]`: scales less one, then shifts.
    acts: Tensor,
}

/// A transposed convolution with its activation.
#[derive(Debug)]
struct Doubling {
    name: String,
    deconv: ConvTranspose2d,
    activation: Activated,
}

/// The network, its parameters in a [`Params`] under names that begin with `redraw`.
#[derive(Debug)]
pub(crate) struct Redrawing {
    stages: Vec<Stage>,
    doublings: Vec<Doubling>,
}

impl Redrawing {
    /// Draws the parameters of a network from and to images of `size`×`size` with these numbers of channels, that a code
    /// of `levels` acts on; `widths` are its channels at a half, a quarter and an eighth of the size.
    pub(crate) fn build(
        params: &mut Params,
        widths: [usize; 3],
        size: usize,
        [channels_in, channels_out]: [usize; 2],
        levels: usize,
        rng: &mut impl Rng,
    ) -> Result<Self> {
        // Sizes s, s/2, s/4, s/8 (rounded up), and a further stage at the smallest: a stage there sees a whole mouth.
        let [w1, w2, w3] = widths;
        let plan = [(channels_in, w1, 5, 2), (w1, w2, 3, 2), (w2, w3, 3, 2), (w3, w3, 3, 1)];
        let mut stages = Vec::new();
        let mut sizes = vec![size];
        for (i, (n_in, n_out, kernel, stride)) in plan.into_iter().enumerate() {
            let name = format!("redraw.conv{}", i + 1);
            let geometry = Conv2dConfig { stride, padding: kernel / 2 };
            let shape = [n_out, n_in, kernel, kernel];
            let conv = Conv2d::build(params, &name, shape, geometry, LayerFilling::default(), rng)?;
            let activation = Activation::Prelu.build(params, &format!("{name}.prelu"), n_out, rng)?;
            let shape = [levels, 2 * n_out];
            let filling = Filling::Gaussian(0.05);
            let acts = params.create(&format!("{name}.acts"), &shape, filling, Multipliers::default(), rng)?;
            stages.push(Stage { name, conv, activation, acts });
            if stride == 2 {
                sizes.push(sizes[i].div_ceil(2));
            }
        }
        let mut doublings = Vec::new();
        for (i, (n_in, n_out)) in [(w3, w2), (w2, w1), (w1, channels_out)].into_iter().enumerate() {
            let name = format!("redraw.deconv{}", i + 1);
            // From n to 2n by a kernel of 4, to 2n − 1 by a kernel of 5.
            let (kernel, padding) = if sizes[2 - i].is_multiple_of(2) { (4, 1) } else { (5, 2) };
            let layer = Upsampling { channels: n_out, kernel, stride: 2, padding, conv3: false };
            let (filling, activation) = match i {
                // At the start nothing is redrawn.
                2 => (LayerFilling { weight: Filling::Gaussian(0.001), ..LayerFilling::default() }, Activation::Linear),
                _ => (LayerFilling::default(), Activation::Prelu),
            };
            let deconv = ConvTranspose2d::build(params, &name, n_in, layer, filling, rng)?;
            let activation = activation.build(params, &format!("{name}.prelu"), n_out, rng)?;
            doublings.push(Doubling { name, deconv, activation });
        }
        Ok(Self { stages, doublings })
    }

    /// Images `[u, channels in, s, s]` and codes `[u, levels]` → `[u, channels out, s, s]`.
    pub(crate) fn forward(&self, images: &Tensor, code: &Tensor) -> Result<Tensor> {
        let mut x = images.clone();
        let mut on_the_way = Vec::new();
        for Stage { name, conv, activation, acts } in &self.stages {
            x = section(format_args!("{name}"), &x, |x| -> Result<Tensor> {
                let x = conv.forward(x, activation)?; // [u, c, h, w]
                let (u, c, ..) = x.dims4()?;
                let act = code.matmul(acts)?; // [u, 2·c]
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
        Ok(x)
    }
}
