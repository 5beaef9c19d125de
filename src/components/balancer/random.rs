//! Random choice, uniform or by weight: the baseline that needs to know nothing.
//!
//! Intuition: chance bunches up. The busiest of many targets is far above the mean, which is what policies that
//! look at load are measured against.
//!
//! Source: Envoy 1.40.0 `RANDOM`; AWS ALB `weighted_random` without anomaly mitigation.

use super::{Among, Targets};
use crate::base::Rng;

/// Uniform choice, one draw.
#[derive(Clone, Debug)]
pub(super) struct Random;

impl Random {
    #[inline]
    pub(super) fn pick(&self, candidates: &[u32], rng: &mut Rng) -> u32 {
        candidates[rng.below(candidates.len() as u64) as usize]
    }
}

/// Choice in proportion to weight, by inversion: one draw, a search in running totals.
#[derive(Clone, Debug, Default)]
pub(super) struct WeightedRandom {
    /// Running totals of the weights of the eligible.
    eligible: Vec<u64>,
    /// Running totals of the weights of all.
    all: Vec<u64>,
}

impl WeightedRandom {
    pub(super) fn on_targets_changed(&mut self, targets: &Targets) {
        let totals = |candidates: &[u32], out: &mut Vec<u64>| {
            out.clear();
            let weights = candidates.iter().map(|t| match targets.weights[*t as usize] {
                // In a slow start a weight is a part; never nothing, as there may be nobody else.
                weight if targets.is_warming && weight > 0 => ((targets.weight(*t) * 65_536.0) as u64).max(1),
                weight => u64::from(weight),
            });
            out.extend(weights.scan(0, |total, weight| {
                *total += weight;
                Some(*total)
            }));
        };
        totals(&targets.eligible, &mut self.eligible);
        totals(&targets.all, &mut self.all);
    }

    /// `None` if all candidates have weight 0.
    #[inline]
    pub(super) fn pick(&self, candidates: &[u32], among: Among, rng: &mut Rng) -> Option<u32> {
        let totals = match among {
            Among::Eligible => &self.eligible,
            Among::All => &self.all,
        };
        debug_assert_eq!(totals.len(), candidates.len());
        let total = totals.last().copied().filter(|total| *total > 0)?;
        let draw = rng.below(total);
        Some(candidates[totals.partition_point(|running| *running <= draw)])
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Balancer, PolicyConfig};
    use crate::base::Rng;

    /// Counts of `n` picks.
    fn counts(balancer: &mut Balancer, n: u32) -> Vec<u32> {
        let (mut rng, mut counts) = (Rng::from_seed(3), vec![0; 4]);
        for _ in 0..n {
            counts[balancer.pick(&mut rng, 0).unwrap() as usize] += 1;
        }
        counts
    }

    /// Whether each count is within 4 standard deviations of its share.
    fn assert_shares(counts: &[u32], shares: &[f64]) {
        let n = f64::from(counts.iter().sum::<u32>());
        for (count, share) in counts.iter().zip(shares) {
            let sd = (n * share * (1.0 - share)).sqrt();
            assert!((f64::from(*count) - n * share).abs() <= 4.0 * sd, "{counts:?} {shares:?}");
        }
    }

    #[test]
    fn shares_are_equal_among_the_eligible() {
        let mut balancer = Balancer::new(PolicyConfig::Random, &[9, 1, 1, 1]);
        assert_shares(&counts(&mut balancer, 40_000), &[0.25; 4]);
        balancer.set_eligible(1, false);
        assert_shares(&counts(&mut balancer, 40_000), &[1.0 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0]);
    }

    #[test]
    fn shares_are_by_weight_among_the_eligible() {
        let mut balancer = Balancer::new(PolicyConfig::WeightedRandom, &[6, 3, 1, 0]);
        assert_shares(&counts(&mut balancer, 40_000), &[0.6, 0.3, 0.1, 0.0]);
        balancer.set_eligible(0, false);
        assert_shares(&counts(&mut balancer, 40_000), &[0.0, 0.75, 0.25, 0.0]);
    }
}
