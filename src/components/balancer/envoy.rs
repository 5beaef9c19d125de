//! Envoy's round robin and least request.
//!
//! Intuition: with equal weights they are a rotation and the better of two looks; as soon as weights differ, both
//! become turns by due dates, and least request divides a target's weight by what it works on.
//!
//! Source: Envoy 1.40.0, `EdfLoadBalancerBase`, `RoundRobinLoadBalancer`, `LeastRequestLoadBalancer`. A change of
//! hosts, health or weights begins a new schedule, from a point in the cycle that each balancer draws once.

use super::edf::Edf;
use super::{Among, Targets};
use crate::base::Rng;

/// A new schedule is advanced by at most so many turns.
const SKIP_MAX: u64 = 4096;

/// The schedules of one balancer: one of the eligible, one of all.
#[derive(Clone, Debug, Default)]
struct Schedules {
    of: [Schedule; 2],
    seed: Option<u64>,
}

/// Turns among one set of targets.
#[derive(Clone, Debug, Default)]
struct Schedule {
    is_current: bool,
    /// Those with a weight.
    hosts: Vec<u32>,
    /// Whether weights differ.
    is_weighted: bool,
    edf: Edf,
    /// How many were served by plain rotation.
    served: u64,
}

impl Schedules {
    fn on_targets_changed(&mut self) {
        self.of.iter_mut().for_each(|schedule| schedule.is_current = false);
    }

    fn get(
        &mut self,
        targets: &Targets,
        among: Among,
        rng: &mut Rng,
        weight: impl Fn(u32) -> f64,
    ) -> (&mut Schedule, u64) {
        let seed = *self.seed.get_or_insert_with(|| rng.bits());
        let schedule = &mut self.of[usize::from(among == Among::All)];
        if !schedule.is_current {
            schedule.is_current = true;
            schedule.hosts.clear();
            let candidates = targets.candidates(among).iter();
            schedule.hosts.extend(candidates.filter(|t| targets.weights[**t as usize] > 0));
            let mut weights = schedule.hosts.iter().map(|t| targets.weights[*t as usize]);
            let first = weights.next();
            schedule.is_weighted = weights.any(|w| Some(w) != first) || targets.is_warming;
            schedule.edf.rebuild(&schedule.hosts, &weight);
            let cycle: u64 = schedule.hosts.iter().map(|t| u64::from(targets.weights[*t as usize])).sum();
            if schedule.is_weighted {
                for _ in 0..seed % cycle.clamp(1, SKIP_MAX) {
                    schedule.edf.next(&weight);
                }
            }
        }
        (schedule, seed)
    }
}

/// `ROUND_ROBIN`.
#[derive(Clone, Debug, Default)]
pub(super) struct EnvoyRoundRobin {
    schedules: Schedules,
}

impl EnvoyRoundRobin {
    pub(super) fn on_targets_changed(&mut self) {
        self.schedules.on_targets_changed();
    }

    #[inline]
    pub(super) fn pick(&mut self, targets: &Targets, among: Among, rng: &mut Rng) -> Option<u32> {
        let weight = |t: u32| targets.weight(t);
        let (schedule, seed) = self.schedules.get(targets, among, rng, weight);
        if schedule.is_weighted {
            return schedule.edf.next(weight);
        }
        let at = seed.wrapping_add(schedule.served) % schedule.hosts.len().max(1) as u64;
        schedule.served += 1;
        schedule.hosts.get(at as usize).copied()
    }
}

/// `LEAST_REQUEST`.
#[derive(Clone, Debug)]
pub(super) struct LeastRequest {
    choice_count: u32,
    active_request_bias: f64,
    schedules: Schedules,
}

impl LeastRequest {
    pub(super) fn new(choice_count: u32, active_request_bias: f64) -> Self {
        Self { choice_count, active_request_bias, schedules: Schedules::default() }
    }

    pub(super) fn on_targets_changed(&mut self) {
        self.schedules.on_targets_changed();
    }

    #[inline]
    pub(super) fn pick(&mut self, targets: &Targets, among: Among, rng: &mut Rng) -> Option<u32> {
        let bias = self.active_request_bias;
        let weight = |t: u32| {
            let active = f64::from(targets.outstanding[t as usize]) + 1.0;
            let weight = targets.weight(t);
            if bias == 1.0 {
                weight / active
            } else if bias == 0.0 {
                weight
            } else {
                weight / libm::pow(active, bias)
            }
        };
        let (schedule, _) = self.schedules.get(targets, among, rng, weight);
        if schedule.is_weighted {
            return schedule.edf.next(weight);
        }
        let n = schedule.hosts.len() as u64;
        if n == 0 {
            return None;
        }
        // With replacement: two looks can be at the same host. The first of equals stays.
        let mut best = schedule.hosts[rng.below(n) as usize];
        for _ in 1..self.choice_count {
            let sampled = schedule.hosts[rng.below(n) as usize];
            if targets.outstanding[sampled as usize] < targets.outstanding[best as usize] {
                best = sampled;
            }
        }
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Balancer, PolicyConfig};
    use crate::base::Rng;

    fn order(config: PolicyConfig, weights: &[u32], picks: usize, seed: u64) -> String {
        let (mut balancer, mut rng) = (Balancer::new(config, weights), Rng::from_seed(seed));
        let letter = |t: Option<u32>| t.map_or('_', |t| char::from(b'A' + t as u8));
        (0..picks).map(|_| letter(balancer.pick(&mut rng, 0))).collect()
    }

    #[test]
    fn every_cycle_is_the_same_and_begins_anywhere() {
        let starts: std::collections::BTreeSet<String> =
            (0..60).map(|seed| order(PolicyConfig::EnvoyRoundRobin, &[5, 1, 2], 8, seed)).collect();
        assert_eq!(starts.len(), 8, "{starts:?}");
        assert!(starts.iter().all(|start| "AACAABCA".repeat(2).contains(start)), "{starts:?}");
    }

    #[test]
    fn with_equal_weights_it_is_a_rotation() {
        let starts: std::collections::BTreeSet<String> =
            (0..60).map(|seed| order(PolicyConfig::EnvoyRoundRobin, &[3, 3, 3], 6, seed)).collect();
        assert_eq!(starts.into_iter().collect::<Vec<_>>(), ["ABCABC", "BCABCA", "CABCAB"]);
    }

    #[test]
    fn of_two_hosts_the_busier_still_gets_a_quarter() {
        let config = PolicyConfig::LeastRequest { choice_count: 2, active_request_bias: 1.0 };
        let (mut balancer, mut rng) = (Balancer::new(config, &[1, 1]), Rng::from_seed(4));
        balancer.on_start(0);
        let busier = (0..40_000).filter(|_| balancer.pick(&mut rng, 0) == Some(0)).count();
        // 4 standard deviations are 346.
        assert!(busier.abs_diff(10_000) < 346, "{busier}");
    }

    #[test]
    fn more_choices_see_more() {
        let config = PolicyConfig::LeastRequest { choice_count: 4, active_request_bias: 1.0 };
        let (mut balancer, mut rng) = (Balancer::new(config, &[1, 1]), Rng::from_seed(4));
        balancer.on_start(0);
        let busier = (0..40_000).filter(|_| balancer.pick(&mut rng, 0) == Some(0)).count();
        // All four looks at the busier one: 1/16, 4 standard deviations are 194.
        assert!(busier.abs_diff(2_500) < 194, "{busier}");
    }

    #[test]
    fn with_unequal_weights_what_is_in_flight_divides_them() {
        // A weighs 2 and has 3 requests in flight: 2 / 4 against 1 / 1, a third of the turns.
        let shares = |bias: f64| {
            let config = PolicyConfig::LeastRequest { choice_count: 2, active_request_bias: bias };
            let (mut balancer, mut rng) = (Balancer::new(config, &[2, 1]), Rng::from_seed(4));
            (0..3).for_each(|_| balancer.on_start(0));
            (0..3_000).filter(|_| balancer.pick(&mut rng, 0) == Some(0)).count()
        };
        assert!(shares(1.0).abs_diff(1_000) <= 1);
        assert!(shares(0.0).abs_diff(2_000) <= 1);
        assert!(shares(0.5).abs_diff(1_500) <= 1);
    }
}
