//! What requests ask for: keys, some more often than others.

use std::sync::Arc;

/// How often each key is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// All of so many equally often.
    Uniform(u32),
    /// By weight.
    Weighted(Arc<Shares>),
}

/// What part of requests asks for a key or one before it, for all keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares {
    sums: Vec<f64>,
    /// For each of so many equal parts of all requests: how many keys are before its beginning. It says where to look,
    /// within a line of memory or two, in place of a bisection that goes through many.
    guide: Vec<u32>,
}

impl Shares {
    fn new(sums: Vec<f64>) -> Self {
        // A power of two, so that the parts begin at numbers that floats have, and a product with it is exact.
        let parts = (sums.len() / 2).next_power_of_two();
        let before = |part: usize| {
            let begin = part as f64 / parts as f64;
            sums.partition_point(|sum| *sum <= begin) as u32
        };
        let guide = (0..=parts).map(before).collect();
        Self { sums, guide }
    }

    /// How many sums are no more than `u`, which is at least 0 and less than 1.
    fn up_to(&self, u: f64) -> usize {
        let part = (u * (self.guide.len() - 1) as f64) as usize;
        let (from, to) = (self.guide[part] as usize, self.guide[part + 1] as usize);
        from + self.sums[from..to].partition_point(|sum| *sum <= u)
    }
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
        Self::Weighted(Arc::new(Shares::new(sums.iter().map(|sum| sum / whole).collect())))
    }

    /// The key that a uniform number stands for, by inversion; keys begin with 1.
    pub fn pick(&self, u: f64) -> u32 {
        match self {
            Self::Uniform(count) => (u * f64::from(*count)) as u32 + 1,
            Self::Weighted(shares) => shares.up_to(u) as u32 + 1,
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
    fn the_guide_changes_no_key() {
        let mut rng = Rng::from_seed(7);
        for count in [1, 2, 3, 7, 64, 1000, 10_000] {
            for exponent in [0.0, 0.9, 3.0] {
                let keys = Keys::zipf(count, exponent);
                let Keys::Weighted(shares) = &keys else { unreachable!() };
                let parts = shares.guide.len() - 1;
                let begins = (0..parts).map(|part| part as f64 / parts as f64);
                let below = begins.clone().skip(1).map(|u| u.next_down());
                let last = [0.0, f64::MIN_POSITIVE, 1.0f64.next_down()];
                let at_sums = shares.sums.iter().copied().filter(|sum| *sum < 1.0);
                let drawn: Vec<f64> = (0..1_000).map(|_| rng.uniform()).collect();
                for u in begins.chain(below).chain(last).chain(at_sums).chain(drawn) {
                    let plain = shares.sums.partition_point(|sum| *sum <= u) as u32 + 1;
                    assert_eq!(keys.pick(u), plain, "{u} of {count} keys");
                }
            }
        }
    }

    #[test]
    fn uniform_keys_have_equal_shares() {
        let keys = Keys::Uniform(4);
        assert_eq!([1e-17, 0.2499, 0.25, 0.74, 1.0 - 1e-16].map(|u| keys.pick(u)), [1, 1, 2, 3, 4]);
    }
}
