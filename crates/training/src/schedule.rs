//! Learning-rate schedules: Caffe's steps, and a cosine with warm-up for the quick profile (SPEC §5).

use serde::{Deserialize, Serialize};

/// How the learning rate changes with the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// The base rate throughout.
    Constant,
    /// Multiplied by `factor` at each of the listed steps (Caffe's `multistep`).
    Steps {
        /// The multiplier.
        factor: f64,
        /// The steps from which on it applies once more.
        at: Vec<u64>,
    },
    /// Multiplied by `factor` every `every` steps (Caffe's `step`).
    Every {
        /// The multiplier.
        factor: f64,
        /// The number of steps between two multiplications.
        every: u64,
    },
    /// Linear from 0 over the warm-up, then half a cosine down to 0 at the last step.
    Cosine {
        /// Steps of warm-up.
        warmup_steps: u64,
    },
}

impl Schedule {
    /// The multiplier on the base rate at `step` (counted from 0) of `steps`.
    pub fn multiplier(&self, step: u64, steps: u64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Steps { factor, at } => factor.powi(at.iter().filter(|&&s| s <= step).count() as i32),
            Self::Every { factor, every } => factor.powi((step / (*every).max(1)) as i32),
            Self::Cosine { warmup_steps } => {
                let warmup = ((step + 1) as f64 / (*warmup_steps).max(1) as f64).min(1.0);
                warmup * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps.max(1) as f64).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_multiply_from_the_listed_step_on() {
        let schedule = Schedule::Steps { factor: 0.25, at: vec![600, 1000] };
        assert_eq!(
            [0, 599, 600, 999, 1000, 9999].map(|s| schedule.multiplier(s, 10_000)),
            [1.0, 1.0, 0.25, 0.25, 0.0625, 0.0625]
        );
        let halving = Schedule::Every { factor: 0.5, every: 500 };
        assert_eq!([0, 499, 500, 1000].map(|s| halving.multiplier(s, 2000)), [1.0, 1.0, 0.5, 0.25]);
    }

    #[test]
    fn the_cosine_warms_up_and_ends_near_zero() {
        let schedule = Schedule::Cosine { warmup_steps: 50 };
        // Step 0: 1/50 · ½(1 + cos 0) = 0.02; half way: ½(1 + cos(π/2)) = 0.5.
        assert!((schedule.multiplier(0, 1000) - 0.02).abs() < 1e-12);
        assert!((schedule.multiplier(500, 1000) - 0.5).abs() < 1e-12);
        assert!(schedule.multiplier(999, 1000) < 1e-5);
    }
}
