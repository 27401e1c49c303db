//! An ordered, seeded store of a network's parameters.
//!
//! candle's `VarMap` has no fixed order and draws from a generator that cannot be seeded on the CPU. Here a parameter is
//! drawn from the generator that the caller passes in, in the order of creation, and kept in a `BTreeMap` by a name
//! that a PyTorch user recognises (`fc3.weight`, `deconv1.bias`), so files and updates have one order.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use rand::Rng;
use rand::RngExt;

use crate::{Error, Result};

/// How a parameter's first values are drawn (SPEC §5).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Filling {
    /// Caffe's Xavier: uniform in ±√(3 / fan-in), fan-in = number of weights / first dimension.
    Xavier,
    /// Normal with mean 0 and this standard deviation.
    Gaussian(f64),
    /// Every value the same.
    Constant(f32),
    /// Identity matrices along the last two axes plus Gaussian noise of this standard deviation.
    NearIdentity(f64),
}

/// Factors on the solver's learning rate and weight decay for one parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Multipliers {
    /// On the learning rate.
    pub learning_rate: f64,
    /// On the weight decay.
    pub decay: f64,
}

impl Default for Multipliers {
    fn default() -> Self {
        Self { learning_rate: 1.0, decay: 1.0 }
    }
}

/// One trainable tensor.
#[derive(Debug, Clone)]
pub struct Param {
    /// The variable that the network's graph holds.
    pub var: Var,
    /// Its multipliers in the solver.
    pub multipliers: Multipliers,
}

/// The parameters of one network, by name.
#[derive(Debug)]
pub struct Params {
    device: Device,
    /// Whether gradients reach them.
    learn: bool,
    entries: BTreeMap<String, Param>,
}

impl Params {
    /// An empty store on `device`.
    pub fn new(device: &Device) -> Self {
        Self { device: device.clone(), learn: true, entries: BTreeMap::new() }
    }

    /// An empty store of parameters that never learn: a graph that holds them passes gradients on to its images, and
    /// computes none for them.
    pub fn frozen(device: &Device) -> Self {
        Self { learn: false, ..Self::new(device) }
    }

    /// Where the parameters live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Draws a parameter and returns the tensor that stands for it in the network's graph.
    ///
    /// # Errors
    /// When the name is taken, or the device has no room.
    pub fn create(
        &mut self,
        name: &str,
        shape: &[usize],
        filling: Filling,
        multipliers: Multipliers,
        rng: &mut impl Rng,
    ) -> Result<Tensor> {
        let numel: usize = shape.iter().product();
        let values: Vec<f32> = match filling {
            Filling::Xavier => {
                let fan_in = numel / shape.first().copied().unwrap_or(1).max(1);
                let limit = (3.0 / fan_in.max(1) as f64).sqrt() as f32;
                (0..numel).map(|_| (rng.random::<f32>() * 2.0 - 1.0) * limit).collect()
            }
            Filling::Gaussian(sigma) => gaussian(numel, sigma, rng),
            Filling::Constant(value) => vec![value; numel],
            Filling::NearIdentity(sigma) => {
                let mut values = gaussian(numel, sigma, rng);
                let k = shape.last().copied().unwrap_or(1);
                for matrix in values.chunks_mut(k * k) {
                    for i in 0..k {
                        matrix[i * k + i] += 1.0;
                    }
                }
                values
            }
        };
        self.insert(name, Tensor::from_vec(values, shape, &self.device)?, multipliers)
    }

    /// Adds a parameter with given first values.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn insert(&mut self, name: &str, value: Tensor, multipliers: Multipliers) -> Result<Tensor> {
        if self.entries.contains_key(name) {
            return Err(Error::Description {
                network: name.to_owned(),
                problem: "two parameters carry this name".to_owned(),
            });
        }
        let var = Var::from_tensor(&value)?;
        let tensor = if self.learn { var.as_tensor().clone() } else { var.as_detached_tensor() };
        self.entries.insert(name.to_owned(), Param { var, multipliers });
        Ok(tensor)
    }

    /// The parameters in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Param)> {
        self.entries.iter().map(|(name, param)| (name.as_str(), param))
    }

    /// The variables by name, as the gradient buffers take them.
    pub fn vars(&self) -> BTreeMap<String, Var> {
        self.entries.iter().map(|(name, param)| (name.clone(), param.var.clone())).collect()
    }

    /// How many numbers are trained.
    pub fn count(&self) -> usize {
        self.entries.values().map(|param| param.var.elem_count()).sum()
    }

    /// The current values by name, on the CPU and apart from the variables: later updates do not reach them.
    ///
    /// # Errors
    /// When the device cannot be read.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        self.entries
            .iter()
            .map(|(name, param)| Ok((name.clone(), param.var.as_detached_tensor().to_device(&Device::Cpu)?.copy()?)))
            .collect()
    }

    /// Replaces every parameter's values by those of the same name.
    ///
    /// # Errors
    /// When a name is missing or a shape differs; nothing is replaced then.
    pub fn load(&self, source_name: &str, values: &HashMap<String, Tensor>) -> Result<()> {
        let mut checked = Vec::with_capacity(self.entries.len());
        for (name, param) in &self.entries {
            let wrong = |found: String| Error::Weight {
                source_name: source_name.to_owned(),
                weight: name.clone(),
                expected: param.var.dims().to_vec(),
                found,
            };
            let value = values.get(name).ok_or_else(|| wrong("nothing of that name".to_owned()))?;
            if value.dims() != param.var.dims() {
                return Err(wrong(format!("shape {:?}", value.dims())));
            }
            checked.push((param, value));
        }
        for (param, value) in checked {
            param.var.set(&value.to_dtype(DType::F32)?.to_device(&self.device)?)?;
        }
        Ok(())
    }

    /// Reads a safetensors file written by training (or by PyTorch under the same names).
    ///
    /// # Errors
    /// When the file cannot be read, or belongs to another network.
    pub fn load_file(&self, path: &Path) -> Result<()> {
        let values = candle_core::safetensors::load(path, &Device::Cpu).map_err(|e| Error::File {
            path: path.to_owned(),
            problem: format!("not a readable safetensors file ({e}); delete it and train again"),
        })?;
        self.load(&path.display().to_string(), &values)
    }
}

/// Normal values by Box and Muller's method, so that no distribution crate is needed.
fn gaussian(n: usize, sigma: f64, rng: &mut impl Rng) -> Vec<f32> {
    (0..n)
        .map(|_| {
            let u: f64 = 1.0 - rng.random::<f64>();
            let v: f64 = rng.random();
            (sigma * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn xavier_uses_caffes_fan_in() -> Result<()> {
        // digits-v2's last layer, 256×3×2×2: fan-in = 256·3·4 / 256 = 12, limit = √(3/12) = 0.5.
        let mut params = Params::new(&Device::Cpu);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let w = params.create("deconv2.weight", &[256, 3, 2, 2], Filling::Xavier, Multipliers::default(), &mut rng)?;
        let values = w.flatten_all()?.to_vec1::<f32>()?;
        let largest = values.iter().fold(0f32, |a, v| a.max(v.abs()));
        assert!(largest <= 0.5 && largest > 0.49, "{largest}");
        // The variance of a uniform in ±l is l²/3 = 1/12.
        let variance = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64;
        assert!((variance - 1.0 / 12.0).abs() < 0.005, "{variance}");
        Ok(())
    }

    #[test]
    fn gaussian_has_its_moments() {
        let values = gaussian(20_000, 2.0, &mut ChaCha8Rng::seed_from_u64(3));
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / 20_000.0;
        let variance = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.06 && (variance - 4.0).abs() < 0.15, "{mean} {variance}");
    }

    #[test]
    fn loading_checks_names_and_shapes_before_it_writes() -> Result<()> {
        let mut params = Params::new(&Device::Cpu);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let a = params.create("a", &[2], Filling::Constant(1.0), Multipliers::default(), &mut rng)?;
        params.create("b", &[3], Filling::Constant(1.0), Multipliers::default(), &mut rng)?;
        let zeros = |n: usize| Tensor::zeros(n, DType::F32, &Device::Cpu);
        let missing = HashMap::from([("a".to_owned(), zeros(2)?)]);
        assert!(
            params
                .load("f", &missing)
                .is_err_and(|e| e.to_string().contains("weight b: expected shape [3], found nothing"))
        );
        let wrong = HashMap::from([("a".to_owned(), zeros(2)?), ("b".to_owned(), zeros(4)?)]);
        assert!(params.load("f", &wrong).is_err_and(|e| e.to_string().contains("found shape [4]")));
        assert_eq!(a.to_vec1::<f32>()?, [1.0, 1.0], "a failed load must leave every value as it was");
        Ok(())
    }
}
