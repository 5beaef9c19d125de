//! Consistent hashing with bounded loads: who has more than its share of what is in flight passes requests on.
//!
//! Intuition: keys stay where they are while load is even, and a hot key cannot overload its target: with a bound of
//! c times the mean there is always someone below it.
//!
//! Sources: Mirrokni, Thorup and Zadimoghaddam, Consistent Hashing with Bounded Loads, 2016; Envoy 1.40.0,
//! `BoundedLoadHashingLoadBalancer` (others are tried in an order that is random, but always the same for one key, and
//! a host that has *exactly* its share takes one more); HAProxy 2.6.12, `chash_server_is_eligible` (the next on the
//! ring below its share). A factor of 0 is no bound.

use super::{Among, Targets};
use crate::base::Rng;

/// All that may be in flight to the candidates, the request to come included, in percent of what is: `factor`.
fn slots_of_all(in_flight: u64, factor: u32) -> u64 {
    ((in_flight + 1) * u64::from(factor)).div_ceil(100)
}

/// Envoy's bound.
#[derive(Clone, Debug)]
pub(super) struct Bounded {
    factor: u32,
    scratch: Vec<u32>,
}

impl Bounded {
    pub(super) fn new(factor: u32) -> Self {
        Self { factor, scratch: Vec::new() }
    }

    /// The target of the hash, or another if it has too much in flight.
    #[inline]
    pub(super) fn pick(
        &mut self,
        home: Option<u32>,
        hash: u64,
        targets: &Targets,
        among: Among,
    ) -> Option<u32> {
        let home = home?;
        if self.factor == 0 {
            return Some(home);
        }
        let candidates = targets.candidates(among);
        let in_flight = candidates.iter().map(|t| u64::from(targets.outstanding[*t as usize])).sum();
        let weight: u64 = candidates.iter().map(|t| u64::from(targets.weights[*t as usize])).sum();
        let all = slots_of_all(in_flight, self.factor);
        let overload = |t: u32| {
            let slots = (all * u64::from(targets.weights[t as usize])).div_ceil(weight.max(1)).max(1);
            f64::from(targets.outstanding[t as usize]) / slots as f64
        };
        let mut least = (overload(home), home);
        if least.0 <= 1.0 {
            return Some(home);
        }
        self.scratch.clear();
        self.scratch.extend(candidates.iter().filter(|t| targets.weights[**t as usize] > 0));
        let mut rng = Rng::from_seed(hash);
        for at in 0..self.scratch.len() {
            let other = at + rng.below((self.scratch.len() - at) as u64) as usize;
            self.scratch.swap(at, other);
            let target = self.scratch[at];
            let factor = overload(target);
            if factor <= 1.0 {
                return Some(target);
            }
            if factor < least.0 {
                least = (factor, target);
            }
        }
        Some(least.1)
    }
}

/// HAProxy's bound: which candidates may have one more. Shares are whole, and add up to that of all.
#[derive(Clone, Debug, Default)]
pub(super) struct HaproxyShares {
    may: Vec<bool>,
}

impl HaproxyShares {
    /// Whether each target has less than its share in flight.
    pub(super) fn of(&mut self, targets: &Targets, among: Among, factor: u32) -> &[bool] {
        let candidates = targets.candidates(among);
        self.may.clear();
        self.may.resize(targets.weights.len(), false);
        let weight = |t: u32| u64::from(targets.weights[t as usize]);
        let load = |t: u32| u64::from(targets.outstanding[t as usize]);
        let total: u64 = candidates.iter().map(|t| weight(*t)).sum();
        let all = slots_of_all(candidates.iter().map(|t| load(*t)).sum(), factor);
        let (whole, rest) = (all / total.max(1), all % total.max(1));
        let mut before = 0;
        for target in candidates {
            let own = weight(*target);
            let slots = own * whole + (before + own) * rest / total.max(1) - before * rest / total.max(1);
            self.may[*target as usize] = own > 0 && (factor == 0 || load(*target) < slots.max(1));
            before += own;
        }
        &self.may
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Balancer, PolicyConfig};
    use crate::base::Rng;
    use proptest::prelude::*;

    fn policies(factor: u32) -> [PolicyConfig; 3] {
        [
            PolicyConfig::HaproxyHash { hash_balance_factor: factor },
            PolicyConfig::RingHash { ring_size: 1024, hash_balance_factor: factor },
            PolicyConfig::Maglev { table_size: 1_009, hash_balance_factor: factor },
        ]
    }

    #[test]
    fn a_hot_key_overflows_only_with_a_bound() {
        for (factor, most) in [(0, 40), (125, 12)] {
            for config in policies(factor) {
                let (mut balancer, mut rng) = (Balancer::new(config, &[1; 5]), Rng::from_seed(1));
                for _ in 0..40 {
                    let target = balancer.pick(&mut rng, 7).unwrap();
                    balancer.on_start(target);
                }
                let loads: Vec<u32> = (0..5).map(|t| balancer.outstanding(t)).collect();
                let busiest = loads.iter().copied().max().unwrap();
                assert!(busiest <= most && busiest + 3 >= most, "{config:?} {loads:?}");
            }
        }
    }

    #[test]
    fn keys_stay_at_home_while_load_is_low() {
        for bounded in policies(200).iter().zip(policies(0)) {
            let mut one = Balancer::new(*bounded.0, &[1; 8]);
            let mut other = Balancer::new(bounded.1, &[1; 8]);
            let mut rng = Rng::from_seed(1);
            for key in 0..1_000 {
                assert_eq!(one.pick(&mut rng, key), other.pick(&mut rng, key), "{bounded:?}");
            }
        }
    }

    proptest! {
        /// The bound is ceil(c (m + 1) / n) at the moment of the choice; Envoy's may be passed by one.
        #[test]
        fn nobody_has_more_than_the_bound(
            which in 0usize..3,
            n in 1u32..12,
            factor in 101u32..300,
            steps in prop::collection::vec((any::<bool>(), 0u64..6), 1..80),
        ) {
            let config = policies(factor)[which];
            let (mut balancer, mut rng) = (Balancer::new(config, &vec![1; n as usize]), Rng::from_seed(1));
            let mut in_flight = Vec::new();
            for (ends, key) in steps {
                if ends && !in_flight.is_empty() {
                    balancer.on_end(in_flight.swap_remove(key as usize % in_flight.len()));
                    continue;
                }
                let m = in_flight.len() as u64;
                let target = balancer.pick(&mut rng, key).unwrap();
                balancer.on_start(target);
                in_flight.push(target);
                let bound = ((m + 1) * u64::from(factor)).div_ceil(100 * u64::from(n)).max(1);
                let slack = u64::from(which > 0);
                prop_assert!(u64::from(balancer.outstanding(target)) <= bound + slack);
            }
        }
    }
}
