//! What requests ask for: keys, some more often than others.

use std::sync::Arc;

/// How often each key is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// All of so many equally often.
    Uniform(u32),
    /// Cumulative shares.
    Weighted(Arc<[f64]>),
}

impl Keys {
    /// Key i of `count`, counted from 1, in proportion to i^-exponent (Zipf's law).
    pub fn zipf(count: u32, exponent: f64) -> Self {
        Self::weighted((1..=count).map(|i| libm::pow(f64::from(i), -exponent)))
    }

    /// Keys in proportion to weights, not all of them 0.
    pub fn weighted(weights: impl Iterator<Item = f64>) -> Self {
        let sums = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        let sums: Vec<f64> = sums.collect();
        let whole = sums.last().copied().unwrap_or(0.0);
        Self::Weighted(sums.iter().map(|sum| sum / whole).collect())
    }

    /// The key that a uniform number stands for, by inversion; keys begin with 1.
    pub fn pick(&self, u: f64) -> u32 {
        match self {
            Self::Uniform(count) => (u * f64::from(*count)) as u32 + 1,
            Self::Weighted(sums) => sums.partition_point(|sum| *sum <= u) as u32 + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn zipf_follows_its_law() {
        let keys = Keys::zipf(1000, 0.8);
        let whole: f64 = (1..=1000).map(|i| libm::pow(f64::from(i), -0.8)).sum();
        let mut rng = Rng::from_seed(1);
        let n = 1_000_000;
        let mut counts = vec![0u32; 1001];
        (0..n).for_each(|_| counts[keys.pick(rng.uniform()) as usize] += 1);
        assert_eq!(counts[0], 0);
        for key in [1usize, 2, 10, 100, 1000] {
            let p = libm::pow(key as f64, -0.8) / whole;
            let sigma = (p * (1.0 - p) / f64::from(n)).sqrt();
            let share = f64::from(counts[key]) / f64::from(n);
            assert!((share - p).abs() < 4.0 * sigma, "key {key}: {share} is not {p}");
        }
    }

    #[test]
    fn keys_without_weight_are_never_asked_for() {
        let keys = Keys::weighted([0.0, 1.0, 0.0, 3.0, 0.0].into_iter());
        assert_eq!([1e-17, 0.2499, 0.25, 0.9, 1.0 - 1e-16].map(|u| keys.pick(u)), [2, 2, 4, 4, 4]);
    }

    #[test]
    fn uniform_keys_have_equal_shares() {
        let keys = Keys::Uniform(4);
        assert_eq!([1e-17, 0.2499, 0.25, 0.74, 1.0 - 1e-16].map(|u| keys.pick(u)), [1, 1, 2, 3, 4]);
    }
}
