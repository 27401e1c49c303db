//! Means with 95 % t-intervals, and differences paired by seed (SPEC §6, Statistics).
//!
//! Interval: mean ± t(0.975, n − 1) · sd / √n, with the sample standard deviation (divisor n − 1). One value has no
//! interval. The quantile inverts the distribution function P(T ≤ t) = 1 − I(ν/(ν + t²); ν/2, 1/2) / 2 for t ≥ 0, where I
//! is the regularised incomplete beta function (continued fraction, Numerical Recipes §6.4).

use std::collections::BTreeMap;

/// Mean of some values, with its 95 % t-interval where there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Number of values.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their sample standard deviation; none for one value.
    pub sd: Option<f64>,
    /// Half the width of the 95 % interval; none for one value.
    pub half_width: Option<f64>,
}

impl Estimate {
    /// The ends of the 95 % interval; none for one value.
    pub fn interval(&self) -> Option<(f64, f64)> {
        self.half_width.map(|half_width| (self.mean - half_width, self.mean + half_width))
    }
}

/// Mean and 95 % t-interval; none for no values.
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let sd = (n > 1).then(|| {
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (squares / (n - 1) as f64).sqrt()
    });
    let half_width = sd.map(|sd| student_t_quantile(0.975, (n - 1) as f64) * sd / (n as f64).sqrt());
    Some(Estimate { n, mean, sd, half_width })
}

/// Estimate of `a − b` over the seeds that both have; none if they share no seed.
pub fn paired_difference(a: &BTreeMap<u64, f64>, b: &BTreeMap<u64, f64>) -> Option<Estimate> {
    let differences: Vec<f64> = a.iter().filter_map(|(seed, a)| b.get(seed).map(|b| a - b)).collect();
    estimate(&differences)
}

/// The `p`-quantile of Student's t with `degrees` (ν > 0) degrees of freedom, for p in (0, 1).
pub fn student_t_quantile(p: f64, degrees: f64) -> f64 {
    if p < 0.5 {
        return -student_t_quantile(1.0 - p, degrees);
    }
    let below = |t: f64| 1.0 - 0.5 * incomplete_beta(degrees / (degrees + t * t), degrees / 2.0, 0.5);
    let mut high = 1.0;
    while below(high) < p && high < 1e150 {
        high *= 2.0;
    }
    let mut low = 0.0;
    // Bisection halves the bracket to the last bit in at most some sixty steps; the count is a safe bound.
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if below(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The regularised incomplete beta function I(x; a, b).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
    // The continued fraction converges fast only on this side of the mean; the other side follows by symmetry.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(x, a, b) / a
    } else {
        1.0 - front * beta_fraction(1.0 - x, b, a) / b
    }
}

/// The continued fraction of the incomplete beta function by Lentz's method.
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    let nonzero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..=500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / nonzero(1.0 + even * d);
        c = nonzero(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / nonzero(1.0 + odd * d);
        c = nonzero(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// ln Γ(x) for x > 0 by Lanczos' approximation with g = 7 and nine terms, good to about 1e-15.
fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        let pi = std::f64::consts::PI;
        return (pi / (pi * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let t = x + 7.5;
    let [first, rest @ ..] = COEFFICIENTS;
    let sum = rest.iter().zip(1..).fold(first, |sum, (coefficient, k)| sum + coefficient / (x + f64::from(k)));
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_agree_with_published_tables() {
        // Two-sided 95 % and 99 %, as printed in every table of Student's t (for example NIST's handbook, §1.3.6.7.2).
        for (degrees, t975, t995) in [
            (1.0, 12.706, 63.657),
            (2.0, 4.303, 9.925),
            (3.0, 3.182, 5.841),
            (4.0, 2.776, 4.604),
            (9.0, 2.262, 3.250),
            (29.0, 2.045, 2.756),
            (100.0, 1.984, 2.626),
        ] {
            assert!((student_t_quantile(0.975, degrees) - t975).abs() < 5e-4, "{degrees}");
            assert!((student_t_quantile(0.995, degrees) - t995).abs() < 5e-4, "{degrees}");
        }
        // Closed forms: ν = 1 is Cauchy, tan(π(p − ½)); ν = 2 is (2p − 1)·√(2 / (4p(1 − p))).
        let cauchy = (std::f64::consts::PI * 0.475).tan();
        assert!((student_t_quantile(0.975, 1.0) - cauchy).abs() < 1e-9);
        let two = 0.95 * (2.0_f64 / (4.0 * 0.975 * 0.025)).sqrt();
        assert!((student_t_quantile(0.975, 2.0) - two).abs() < 1e-10);
        // Large ν is the normal distribution.
        assert!((student_t_quantile(0.975, 1e7) - 1.959_964).abs() < 1e-5);
        assert!((student_t_quantile(0.025, 4.0) + student_t_quantile(0.975, 4.0)).abs() < 1e-12);
        assert!(student_t_quantile(0.5, 3.0).abs() < 1e-9);
    }

    #[test]
    fn an_interval_by_hand() {
        // 1, 2, 3: mean 2, sd 1, half width 4.303 · 1 / √3 = 2.484.
        let three = estimate(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((three.n, three.mean, three.sd), (3, 2.0, Some(1.0)));
        assert!((three.half_width.unwrap() - 2.484).abs() < 5e-4);
        let (low, high) = three.interval().unwrap();
        assert!((low + 0.484).abs() < 5e-4 && (high - 4.484).abs() < 5e-4);
    }

    #[test]
    fn one_value_has_no_interval_and_none_no_estimate() {
        let one = estimate(&[7.5]).unwrap();
        assert_eq!(one, Estimate { n: 1, mean: 7.5, sd: None, half_width: None });
        assert_eq!(one.interval(), None);
        assert_eq!(estimate(&[]), None);
    }

    #[test]
    fn pairing_uses_shared_seeds_only() {
        let a = BTreeMap::from([(0, 10.0), (1, 20.0), (2, 99.0)]);
        let b = BTreeMap::from([(0, 9.0), (1, 17.0), (3, 0.0)]);
        // Differences 1 and 3: mean 2, sd √2, half width 12.706 · √2 / √2 = 12.706.
        let difference = paired_difference(&a, &b).unwrap();
        assert_eq!((difference.n, difference.mean), (2, 2.0));
        assert!((difference.half_width.unwrap() - 12.706).abs() < 5e-4);
        assert_eq!(paired_difference(&a, &BTreeMap::from([(7, 1.0)])), None);
    }
}
