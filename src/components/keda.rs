//! KEDA: replicas by how much waits somewhere, down to none.
//!
//! KEDA itself only decides between none and some. At every poll it asks its trigger for a level; if that is above the
//! activation threshold and there is no replica, there is one from then on, and if it has not been for the cooldown
//! period, there is none. Everything between the first replica and the last is a HorizontalPodAutoscaler that KEDA
//! makes, with an external metric of `AverageValue`: level over threshold, with that autoscaler's tolerance, rates and
//! stabilisation of five minutes.
//!
//! Surprising: the cooldown is only for the last step to none, and counts from the last poll that found the trigger
//! active; and that step takes all replicas that are left, however many those are.
//!
//! Source: KEDA 2.21, "Scaling Deployments" and `pkg/scaling/executor`. Left out: `fallback`, since a trigger cannot
//! fail here.

use super::hpa::{Hpa, HpaConfig, Metric, Reading, Scale};
use crate::base::{SimDuration, SimTime};

/// The settings of a [`Keda`], with the product's names.
#[derive(Clone, PartialEq, Debug)]
pub struct KedaConfig {
    /// What each replica should have of the level, in thousandths (`threshold` of the trigger).
    pub threshold_milli: i64,
    /// Above which level the trigger is active, in thousandths (`activationThreshold`).
    pub activation_milli: i64,
    /// How long after the trigger was last active the last replica goes (`cooldownPeriod`).
    pub cooldown_period: SimDuration,
    /// Whether none may be left (`minReplicaCount: 0` or `idleReplicaCount: 0`).
    pub to_zero: bool,
    /// The fewest replicas while it is active (`minReplicaCount`, 1 at least).
    pub min_replica_count: u32,
    /// The most (`maxReplicaCount`).
    pub max_replica_count: u32,
}

impl KedaConfig {
    fn hpa(&self) -> HpaConfig {
        HpaConfig {
            min_replicas: self.min_replica_count.max(1),
            max_replicas: self.max_replica_count,
            metrics: vec![Metric::AverageValue { milli: self.threshold_milli }],
            ..HpaConfig::KUBERNETES
        }
    }
}

/// KEDA, the autoscaler that it makes, and what it remembers.
#[derive(Clone, Debug)]
pub struct Keda {
    config: KedaConfig,
    hpa: Hpa,
    /// When a poll last found the trigger active.
    last_active: Option<SimTime>,
}

impl Keda {
    /// One that has never polled.
    pub fn new(config: KedaConfig) -> Self {
        let hpa = Hpa::new(config.hpa());
        Self { config, hpa, last_active: None }
    }

    /// Behaves differently from now on, and remembers what it knew.
    pub fn reconfigure(&mut self, config: KedaConfig) {
        self.hpa.reconfigure(config.hpa());
        self.config = config;
    }

    /// A poll: how many replicas there should be, given how many so far and the level in thousandths.
    pub fn poll(&mut self, now: SimTime, current: u32, level_milli: i64) -> u32 {
        let least = self.config.min_replica_count.max(1);
        if level_milli > self.config.activation_milli {
            self.last_active = Some(now);
            return if current == 0 { least } else { current };
        }
        if !self.config.to_zero {
            return current.max(least);
        }
        let is_cool = self.last_active.is_none_or(|at| now.since(at) > self.config.cooldown_period);
        if is_cool { 0 } else { current }
    }

    /// A sync of the autoscaler that it makes, likewise; `pods` are those that exist.
    pub fn sync(&mut self, now: SimTime, current: u32, pods: u32, level_milli: i64) -> u32 {
        let scale = Scale { spec: current, status: pods };
        let proposal = self.hpa.propose(0, now, scale, &[], Reading::Total(Some(level_milli)));
        self.hpa.decide(now, current, &[proposal]).desired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(to_zero: bool, min: u32, max: u32) -> KedaConfig {
        KedaConfig {
            threshold_milli: 5_000,
            activation_milli: 2_000,
            cooldown_period: SimDuration::from_secs(300),
            to_zero,
            min_replica_count: min,
            max_replica_count: max,
        }
    }

    fn at(s: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(s)
    }

    #[test]
    fn it_decides_between_none_and_one_and_the_autoscaler_does_the_rest() {
        let mut keda = Keda::new(config(true, 0, 10));
        assert_eq!(keda.poll(at(30), 0, 2_000), 0);
        assert_eq!(keda.poll(at(60), 0, 2_001), 1);
        assert_eq!(keda.sync(at(60), 0, 0, 100_000), 0);
        // 100 over 5 are 20, of which the older rule allows 4 at first, then twice as many.
        assert_eq!(keda.sync(at(75), 1, 1, 100_000), 4);
        assert_eq!(keda.sync(at(90), 4, 4, 100_000), 8);
        assert_eq!(keda.sync(at(105), 8, 8, 100_000), 10);
        assert_eq!(keda.poll(at(120), 10, 100_000), 10);
    }

    #[test]
    fn the_cooldown_counts_from_the_last_active_poll_and_takes_all() {
        let mut keda = Keda::new(config(true, 0, 10));
        assert_eq!(keda.poll(at(30), 3, 9_000), 3);
        assert_eq!(keda.poll(at(330), 3, 0), 3);
        assert_eq!(keda.poll(at(331), 3, 0), 0);
        // Never active: at once.
        assert_eq!(Keda::new(config(true, 0, 10)).poll(at(30), 3, 0), 0);
        // With a least number there is no such step, and with one for idleness it goes back to the least.
        assert_eq!(Keda::new(config(false, 2, 10)).poll(at(900), 2, 0), 2);
        let mut idle = Keda::new(config(true, 3, 10));
        assert_eq!((idle.poll(at(30), 3, 0), idle.poll(at(60), 0, 9_000)), (0, 3));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// The bounds hold; none are left only if that is allowed, at a poll, a cooldown after the last active one.
        #[test]
        fn bounds_and_cooldown(
            levels in prop::collection::vec(0i64..60_000, 1..40), start in 1u32..8, zero in any::<bool>(),
            min in 0u32..4, quiet in any::<bool>(),
        ) {
            let mut keda = Keda::new(config(zero, min, 6));
            let (mut pods, mut last) = (start.clamp(min.max(1), 6), None::<u64>);
            for (i, level) in (1u64..).zip(levels) {
                let level = if quiet && level > 4_000 { 0 } else { level };
                let now = 15 * i;
                if i % 2 == 0 {
                    let before = pods;
                    pods = keda.poll(at(now), pods, level);
                    if level > 2_000 { last = Some(now); prop_assert!(pods > 0); }
                    if pods == 0 && before > 0 {
                        prop_assert!(zero && last.is_none_or(|at| now - at > 300));
                    }
                }
                pods = keda.sync(at(now), pods, pods, level);
                prop_assert!(pods <= 6 && (pods == 0 && zero || pods >= min.max(1)));
            }
        }
    }
}
