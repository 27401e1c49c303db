//! Adam (Kingma and Ba, arXiv 1412.6980) with coupled weight decay, as one fused parallel pass per parameter.
//!
//! g ← g + decay·decay_mult·w; m ← β1·m + (1−β1)·g; v ← β2·v + (1−β2)·g²;
//! w ← w − lr·lr_mult/(1−β1ᵗ) · m / (√(v/(1−β2ᵗ)) + ε). The decay is coupled (SPEC §5, Caffe), as in torch.optim.Adam.

use crate::fast_path::vectorised;
use crate::gradient_buffers::Gradient;
use crate::{Error, GradientBuffers, Result, timing};
use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Tensor, Var};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Elements that one task updates at a time: large enough to amortise the task, small enough to balance two cores.
const CHUNK: usize = 1 << 15;

/// One parameter as the optimiser sees it.
#[derive(Debug, Clone)]
pub struct AdamParam {
    /// Unique name; also the name of its gradient in [`GradientBuffers`].
    pub name: String,
    /// The variable that is updated.
    pub var: Var,
    /// Multiplies the learning rate (SPEC §5: some biases learn twice as fast).
    pub lr_mult: f64,
    /// Multiplies the weight decay; 0 exempts the parameter.
    pub decay_mult: f64,
}

/// What does not change between steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamConfig {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
}

/// The optimiser with its moments.
#[derive(Debug)]
pub struct Adam {
    config: AdamConfig,
    n_steps: u32,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    param: AdamParam,
    moments: Moments,
}

#[derive(Debug)]
enum Moments {
    /// For 32-bit floats on the CPU: plain memory, updated in place.
    Memory { m: Vec<f32>, v: Vec<f32> },
    /// For everything else: tensors beside the parameter.
    Tensors { m: Tensor, v: Tensor },
}

impl Adam {
    /// Starts with zero moments.
    ///
    /// # Errors
    /// [`Error::State`] when two parameters have the same name, or β1, β2 or ε is out of range.
    pub fn new(params: Vec<AdamParam>, config: AdamConfig) -> Result<Self> {
        let AdamConfig { beta1, beta2, eps } = config;
        if !((0.0..1.0).contains(&beta1) && (0.0..1.0).contains(&beta2) && eps > 0.0) {
            return Err(Error::State {
                entry: "configuration".into(),
                expected: "0 ≤ β1 < 1, 0 ≤ β2 < 1, ε > 0".into(),
                found: format!("{config:?}"),
            });
        }
        let mut names: Vec<&str> = params.iter().map(|param| param.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::State {
                entry: pair[0].into(),
                expected: "every parameter once".into(),
                found: "it twice".into(),
            });
        }
        let slots = params
            .into_iter()
            .map(|param| {
                let tensor = param.var.as_tensor();
                let moments = if in_memory(tensor) {
                    Moments::Memory { m: vec![0.0; tensor.elem_count()], v: vec![0.0; tensor.elem_count()] }
                } else {
                    Moments::Tensors { m: tensor.zeros_like()?, v: tensor.zeros_like()? }
                };
                Ok(Slot { param, moments })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { config, n_steps: 0, slots })
    }

    /// Number of steps taken so far.
    pub fn n_steps(&self) -> u32 {
        self.n_steps
    }

    /// Updates every parameter once.
    ///
    /// # Errors
    /// [`Error::MissingGradient`] when a parameter has no gradient; nothing is changed then.
    pub fn step(&mut self, gradients: &GradientBuffers, lr: f64, weight_decay: f64) -> Result<()> {
        self.step_of(|_| true, gradients, lr, weight_decay)
    }

    /// Updates only the parameters whose name `learns`; the others keep their values and their moments, and need no
    /// gradient.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn step_of(
        &mut self,
        learns: impl Fn(&str) -> bool,
        gradients: &GradientBuffers,
        lr: f64,
        weight_decay: f64,
    ) -> Result<()> {
        for slot in &self.slots {
            if learns(&slot.param.name) && gradients.gradient(&slot.param.name).is_none() {
                return Err(Error::MissingGradient { name: slot.param.name.clone() });
            }
        }
        self.n_steps += 1;
        let AdamConfig { beta1, beta2, eps } = self.config;
        let correction1 = 1.0 - beta1.powf(f64::from(self.n_steps));
        let correction2 = 1.0 - beta2.powf(f64::from(self.n_steps));
        for slot in &mut self.slots {
            let AdamParam { name, var, lr_mult, decay_mult } = &slot.param;
            let Some(gradient) = gradients.gradient(name).filter(|_| learns(name)) else {
                continue;
            };
            let coefficients = Coefficients {
                beta1,
                beta2,
                eps,
                decay: weight_decay * decay_mult,
                step_size: lr * lr_mult / correction1,
                root_correction2: correction2.sqrt(),
            };
            timing::update(name, || coefficients.update(name, var, gradient, &mut slot.moments))?;
        }
        Ok(())
    }

    /// The moments ("adam.m.NAME", "adam.v.NAME") and the step count ("adam.t"), for a checkpoint.
    ///
    /// # Errors
    /// Only those of candle.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        state.insert("adam.t".to_string(), Tensor::new(&[self.n_steps], &Device::Cpu)?);
        for Slot { param, moments } in &self.slots {
            let (m, v) = match moments {
                Moments::Memory { m, v } => {
                    let tensor = param.var.as_tensor();
                    (
                        Tensor::from_slice(m, tensor.shape(), tensor.device())?,
                        Tensor::from_slice(v, tensor.shape(), tensor.device())?,
                    )
                }
                Moments::Tensors { m, v } => (m.clone(), v.clone()),
            };
            state.insert(format!("adam.m.{}", param.name), m);
            state.insert(format!("adam.v.{}", param.name), v);
        }
        Ok(state)
    }

    /// Restores what [`Self::state`] gave; entries of other names are ignored.
    ///
    /// # Errors
    /// [`Error::State`] when an entry is missing or has another shape; nothing is changed then.
    pub fn load_state(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let entry = |name: String, dims: &[usize]| -> Result<Tensor> {
            let mismatch =
                |found: String| Error::State { entry: name.clone(), expected: format!("a tensor {dims:?}"), found };
            let tensor = state.get(&name).ok_or_else(|| mismatch("no such entry".into()))?;
            if tensor.dims() != dims {
                return Err(mismatch(format!("{:?}", tensor.dims())));
            }
            Ok(tensor.clone())
        };
        let n_steps = entry("adam.t".into(), &[1])?.to_dtype(DType::U32)?;
        let n_steps = n_steps.to_vec1::<u32>()?.first().copied().unwrap_or(0);
        let loaded = self
            .slots
            .iter()
            .map(|Slot { param, moments }| {
                let tensor = param.var.as_tensor();
                let m = entry(format!("adam.m.{}", param.name), tensor.dims())?
                    .to_device(tensor.device())?
                    .to_dtype(tensor.dtype())?;
                let v = entry(format!("adam.v.{}", param.name), tensor.dims())?
                    .to_device(tensor.device())?
                    .to_dtype(tensor.dtype())?;
                Ok(match moments {
                    Moments::Memory { .. } => {
                        Moments::Memory { m: m.flatten_all()?.to_vec1()?, v: v.flatten_all()?.to_vec1()? }
                    }
                    Moments::Tensors { .. } => Moments::Tensors { m, v },
                })
            })
            .collect::<Result<Vec<_>>>()?;
        self.n_steps = n_steps;
        for (slot, moments) in self.slots.iter_mut().zip(loaded) {
            slot.moments = moments;
        }
        Ok(())
    }
}

fn in_memory(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32 && tensor.is_contiguous()
}

fn device_mismatch(name: &str) -> Error {
    Error::State {
        entry: name.into(),
        expected: "a gradient on the parameter's device, of its type".into(),
        found: "another".into(),
    }
}

/// The scalars of one parameter's update.
#[derive(Clone, Copy)]
struct Coefficients {
    beta1: f64,
    beta2: f64,
    eps: f64,
    decay: f64,
    step_size: f64,
    root_correction2: f64,
}

impl Coefficients {
    fn update(&self, name: &str, var: &Var, gradient: Gradient<'_>, moments: &mut Moments) -> Result<()> {
        match (moments, gradient) {
            (Moments::Memory { m, v }, Gradient::Buffer(values)) => self.update_in_place(var, values, m, v),
            (Moments::Memory { m, v }, Gradient::Tensor(tensor)) => {
                let flat = tensor.flatten_all()?.contiguous()?;
                let (storage, layout) = flat.storage_and_layout();
                let candle_core::Storage::Cpu(storage) = &*storage else {
                    return Err(device_mismatch(name));
                };
                let values = storage.as_slice::<f32>()?;
                let start = layout.start_offset();
                let values = values.get(start..start + m.len()).ok_or_else(|| device_mismatch(name))?;
                self.update_in_place(var, values, m, v)
            }
            (Moments::Tensors { m, v }, Gradient::Tensor(tensor)) => self.update_tensors(var, tensor, m, v),
            (Moments::Tensors { .. }, Gradient::Buffer(_)) => Err(device_mismatch(name)),
        }
    }

    fn update_in_place(&self, var: &Var, g: &[f32], m: &mut [f32], v: &mut [f32]) -> Result<()> {
        let update = Update { coefficients: *self, gradient: g, moments: std::cell::RefCell::new((m, v)) };
        Ok(var.as_tensor().inplace_op1(&update)?)
    }

    fn update_tensors(&self, var: &Var, g: &Tensor, m: &mut Tensor, v: &mut Tensor) -> Result<()> {
        let w = var.as_tensor().detach();
        let g = (g + (&w * self.decay)?)?;
        *m = ((&*m * self.beta1)? + (&g * (1.0 - self.beta1))?)?;
        *v = ((&*v * self.beta2)? + (g.sqr()? * (1.0 - self.beta2))?)?;
        let denominator = ((v.sqrt()? / self.root_correction2)? + self.eps)?;
        let w = (w - ((&*m / denominator)? * self.step_size)?)?;
        Ok(var.set(&w)?)
    }

    /// The same update on plain slices, vectorised by the compiler.
    #[inline(always)]
    fn update_slice(&self, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        let decay = self.decay as f32;
        let (beta1, keep1) = (self.beta1 as f32, (1.0 - self.beta1) as f32);
        let (beta2, keep2) = (self.beta2 as f32, (1.0 - self.beta2) as f32);
        let inverse_root = (1.0 / self.root_correction2) as f32;
        let (eps, step_size) = (self.eps as f32, self.step_size as f32);
        for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
            let g = g + decay * *w;
            *m = beta1 * *m + keep1 * g;
            *v = beta2 * *v + keep2 * g * g;
            *w -= step_size * *m / (v.sqrt() * inverse_root + eps);
        }
    }
}

/// The in-place update of one variable, handed to candle, which holds the variable's lock meanwhile.
struct Update<'a> {
    coefficients: Coefficients,
    gradient: &'a [f32],
    moments: std::cell::RefCell<(&'a mut [f32], &'a mut [f32])>,
}

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let CpuStorage::F32(values) = storage else {
            candle_core::bail!("adam: the parameter is not made of 32-bit floats")
        };
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("adam: the parameter is not contiguous")
        };
        let w = &mut values[start..end];
        let mut moments = self.moments.borrow_mut();
        let (m, v) = &mut *moments;
        if w.len() != self.gradient.len() || w.len() != m.len() || w.len() != v.len() {
            candle_core::bail!("adam: gradient and parameter differ in length")
        }
        let coefficients = self.coefficients;
        w.par_chunks_mut(CHUNK)
            .zip(self.gradient.par_chunks(CHUNK))
            .zip(m.par_chunks_mut(CHUNK))
            .zip(v.par_chunks_mut(CHUNK))
            .for_each(|(((w, g), m), v)| {
                vectorised(
                    #[inline(always)]
                    || coefficients.update_slice(w, g, m, v),
                );
            });
        Ok(())
    }
}
