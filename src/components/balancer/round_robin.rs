//! Round robin: each in turn, plain or by weight.
//!
//! Intuition: turns even out over time, and the smooth weighted kind also within one round: 5, 1, 1 gives AABACAA
//! rather than AAAAABC.
//!
//! Source: nginx 1.22.1, `ngx_http_upstream_round_robin.c`, for the weighted kind with no failures counted (HAProxy
//! and Envoy give other orders for the same weights). The plain kind starts at target 0.

use super::Targets;

/// Strict rotation in order of index.
#[derive(Clone, Debug, Default)]
pub(super) struct RoundRobin {
    /// The target served last.
    last: Option<u32>,
    /// Where it stands in the list of candidates, if that has not changed.
    at: usize,
    /// What parts of a turn those in a slow start have saved up.
    saved: Vec<f64>,
}

impl RoundRobin {
    /// The first candidate after the one served last, or the first of all.
    #[inline(always)]
    pub(super) fn pick(&mut self, candidates: &[u32]) -> u32 {
        if let [only] = *candidates {
            (self.last, self.at) = (Some(only), 0);
            return only;
        }
        let next = match self.last {
            None => 0,
            Some(last) if candidates.get(self.at) == Some(&last) => self.at + 1,
            Some(last) => candidates.partition_point(|t| *t <= last),
        };
        self.at = if next < candidates.len() { next } else { 0 };
        let target = candidates[self.at];
        self.last = Some(target);
        target
    }

    /// The same while some are in a slow start: each has a part of a turn in each round, and is served when it has a
    /// whole one.
    pub(super) fn pick_slowly(&mut self, candidates: &[u32], factors: &[f64]) -> u32 {
        self.saved.resize(factors.len(), 0.0);
        for _ in 0..candidates.len() * 64 {
            let target = self.pick(candidates);
            let saved = &mut self.saved[target as usize];
            *saved += factors[target as usize];
            if *saved >= 1.0 {
                *saved -= 1.0;
                return target;
            }
        }
        self.pick(candidates)
    }
}

/// Smooth weighted rotation. Takes time in proportion to the number of candidates, as in nginx.
#[derive(Clone, Debug, Default)]
pub(super) struct WeightedRoundRobin {
    /// Per target, how much of a turn it is owed.
    current: Vec<i64>,
}

impl WeightedRoundRobin {
    /// Keeps what is owed; new targets are owed nothing.
    pub(super) fn on_targets_changed(&mut self, targets: &Targets) {
        self.current.resize(targets.weights.len(), 0);
    }

    /// Each candidate earns its weight; the one owed most is served (the first of equals) and pays for the round.
    #[inline]
    pub(super) fn pick(&mut self, candidates: &[u32], weights: &[u32]) -> Option<u32> {
        let (mut best, mut total) = (None, 0);
        let mut most = i64::MIN;
        for target in candidates {
            let weight = i64::from(weights[*target as usize]);
            if weight == 0 {
                continue;
            }
            let current = &mut self.current[*target as usize];
            *current += weight;
            total += weight;
            if *current > most {
                (best, most) = (Some(*target), *current);
            }
        }
        self.current[best? as usize] -= total;
        best
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Balancer, PolicyConfig};
    use crate::base::Rng;
    use proptest::prelude::{any, prop, prop_assert, proptest};

    fn order(balancer: &mut Balancer, picks: usize) -> String {
        let mut rng = Rng::from_seed(1);
        let letter = |t: Option<u32>| t.map_or('_', |t| char::from(b'A' + t as u8));
        (0..picks).map(|_| letter(balancer.pick(&mut rng, 0))).collect()
    }

    fn weighted(weights: &[u32], picks: usize) -> String {
        order(&mut Balancer::new(PolicyConfig::WeightedRoundRobin, weights), picks)
    }

    #[test]
    fn conformance_with_the_orders_of_nginx() {
        assert_eq!(weighted(&[5, 1, 1], 28), "AABACAA".repeat(4));
        assert_eq!(weighted(&[1, 2], 12), "BAB".repeat(4));
        assert_eq!(weighted(&[4, 3, 2, 1], 40), "ABCABDACBA".repeat(4));
        assert_eq!(weighted(&[1, 1, 1, 1], 16), "ABCD".repeat(4));
        assert_eq!(weighted(&[10, 7, 3], 80), "ABACBAABABCABAABCABA".repeat(4));
    }

    proptest! {
        #[test]
        fn shares_over_a_cycle_are_exact(weights in prop::collection::vec(1u32..9, 1..7), seed in any::<u64>()) {
            let total: u32 = weights.iter().sum();
            for (config, slack) in [(PolicyConfig::WeightedRoundRobin, 0), (PolicyConfig::EnvoyRoundRobin, 1)] {
                let (mut balancer, mut rng) = (Balancer::new(config, &weights), Rng::from_seed(seed));
                for _ in 0..3 {
                    let mut counts = vec![0u32; weights.len()];
                    for _ in 0..total {
                        counts[balancer.pick(&mut rng, 0).unwrap() as usize] += 1;
                    }
                    // Envoy's begins anywhere, so a cycle may have one of the next.
                    for (count, weight) in counts.iter().zip(&weights) {
                        prop_assert!(count.abs_diff(*weight) <= slack, "{:?} {:?} {:?}", config, weights, counts);
                    }
                }
            }
        }
    }

    #[test]
    fn weight_zero_gets_nothing() {
        assert_eq!(weighted(&[0, 2, 1], 6), "BCBBCB");
        assert_eq!(weighted(&[0, 0], 2), "__");
    }

    #[test]
    fn the_rotation_is_strict_and_goes_on_after_the_last_served() {
        let mut balancer = Balancer::new(PolicyConfig::RoundRobin, &[1; 4]);
        assert_eq!(order(&mut balancer, 6), "ABCDAB");
        balancer.set_eligible(2, false);
        assert_eq!(order(&mut balancer, 4), "DABD");
        balancer.set_eligible(3, false);
        assert_eq!(order(&mut balancer, 3), "ABA");
        balancer.set_eligible(0, false);
        balancer.set_eligible(2, true);
        assert_eq!(order(&mut balancer, 3), "BCB");
        (0..4).for_each(|t| balancer.set_eligible(t, true));
        assert_eq!(order(&mut balancer, 5), "CDABC");
    }
}
