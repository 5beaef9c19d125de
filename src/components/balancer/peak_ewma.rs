//! Peak EWMA: of two targets, the one whose recent latency times its requests is less.
//!
//! Intuition: a target that became slow is avoided at its first slow answer, before requests pile up there, and is
//! forgiven as the memory of it fades.
//!
//! Sources: Finagle, `PeakEwma.scala` and `p2c` (read, not run): a peak is taken over at once, what is below is
//! averaged in; the average fades while nothing is heard, even by being looked at. Envoy's contrib `peak_ewma`
//! (documentation): an average without peaks, which does not fade by itself.

use crate::base::{Rng, SimDuration, SimTime};

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Flavour {
    /// Finagle's.
    Finagle,
    /// Envoy's; the round trip that is assumed of an idle target of which nothing is known.
    Envoy {
        /// `default_rtt`.
        default_rtt: SimDuration,
    },
}

/// Finagle's penalty for a target without history that has work: more than any cost.
const FINAGLE_PENALTY: f64 = 9.2e18 / 2.0;
/// Envoy's, in milliseconds.
const ENVOY_PENALTY: f64 = 1e6;

/// What is known of one target.
#[derive(Clone, Copy, Debug, Default)]
struct Metric {
    stamp: SimTime,
    /// Milliseconds.
    cost: f64,
    /// Whether there was an answer yet.
    is_known: bool,
}

/// Two different targets at random; the one that costs less, or the first of equals.
#[derive(Clone, Debug)]
pub(super) struct PeakEwma {
    decay: f64,
    flavour: Flavour,
    metrics: Vec<Metric>,
}

impl PeakEwma {
    pub(super) fn new(decay: SimDuration, flavour: Flavour) -> Self {
        Self { decay: decay.seconds(), flavour, metrics: Vec::new() }
    }

    pub(super) fn on_targets_changed(&mut self, targets: usize) {
        self.metrics.resize(targets.max(self.metrics.len()), Metric::default());
    }

    /// A request has ended after `rtt`.
    #[inline]
    pub(super) fn observe(&mut self, now: SimTime, target: u32, rtt: SimDuration) {
        let metric = &mut self.metrics[target as usize];
        let ms = rtt.seconds() * 1e3;
        let elapsed = now.since(metric.stamp).seconds();
        let w = libm::exp(-elapsed / self.decay);
        metric.cost = match self.flavour {
            Flavour::Finagle if ms > metric.cost => ms,
            Flavour::Envoy { .. } if !metric.is_known => ms,
            Flavour::Finagle | Flavour::Envoy { .. } => metric.cost * w + ms * (1.0 - w),
        };
        metric.stamp = now;
        metric.is_known = true;
    }

    /// What one more request would cost.
    fn load(&self, now: SimTime, target: u32, pending: u32) -> f64 {
        let metric = &self.metrics[target as usize];
        let pending = f64::from(pending);
        match self.flavour {
            Flavour::Finagle => {
                // Finagle's metric takes note of an rtt of zero when it is read: that is the same as fading.
                let cost = metric.cost * libm::exp(-now.since(metric.stamp).seconds() / self.decay);
                if cost == 0.0 && pending > 0.0 { FINAGLE_PENALTY + pending } else { cost * (pending + 1.0) }
            }
            Flavour::Envoy { .. } if !metric.is_known && pending > 0.0 => ENVOY_PENALTY * (pending + 1.0),
            Flavour::Envoy { default_rtt } if !metric.is_known => default_rtt.seconds() * 1e3,
            Flavour::Envoy { .. } => metric.cost * (pending + 1.0),
        }
    }

    #[inline]
    pub(super) fn pick(&self, now: SimTime, candidates: &[u32], outstanding: &[u32], rng: &mut Rng) -> u32 {
        let n = candidates.len() as u64;
        if n == 1 {
            return candidates[0];
        }
        let first = rng.below(n);
        let second = rng.below(n - 1);
        let second = second + u64::from(second >= first);
        let (a, b) = (candidates[first as usize], candidates[second as usize]);
        let load = |t: u32| self.load(now, t, outstanding[t as usize]);
        if load(a) <= load(b) { a } else { b }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;
    use proptest::prelude::*;

    fn at(seconds: f64) -> SimTime {
        SimTime::ZERO + SimDuration::from_seconds(seconds)
    }

    fn of(flavour: Flavour, targets: usize) -> PeakEwma {
        let mut ewma = PeakEwma::new(SimDuration::from_secs(10), flavour);
        ewma.on_targets_changed(targets);
        ewma
    }

    #[test]
    fn finagle_takes_peaks_at_once_and_averages_what_is_below() {
        let mut ewma = of(Flavour::Finagle, 1);
        ewma.observe(at(1.0), 0, SimDuration::from_ms(10));
        assert_eq!(ewma.load(at(1.0), 0, 0), 10.0);
        ewma.observe(at(2.0), 0, SimDuration::from_ms(500));
        assert_eq!(ewma.load(at(2.0), 0, 1), 1000.0);
        ewma.observe(at(12.0), 0, SimDuration::from_ms(10));
        let w = libm::exp(-1.0);
        let expected = 500.0 * w + 10.0 * (1.0 - w);
        assert!((ewma.load(at(12.0), 0, 0) - expected).abs() < 1e-9);
        // It fades while nothing is heard.
        assert!((ewma.load(at(22.0), 0, 0) - expected * w).abs() < 1e-9);
    }

    #[test]
    fn who_is_not_known_gets_one_request_at_a_time() {
        for flavour in [Flavour::Finagle, Flavour::Envoy { default_rtt: SimDuration::from_ms(10) }] {
            let mut ewma = of(flavour, 2);
            ewma.observe(at(1.0), 0, SimDuration::from_secs(3));
            let mut rng = Rng::from_seed(1);
            assert_eq!(ewma.pick(at(1.0), &[0, 1], &[0, 0], &mut rng), 1);
            // One is on its way there: it is not asked again, however busy the other is.
            assert_eq!(ewma.pick(at(1.0), &[0, 1], &[100, 1], &mut rng), 0);
        }
    }

    #[test]
    fn envoy_averages_peaks_too_and_does_not_fade() {
        let mut ewma = of(Flavour::Envoy { default_rtt: SimDuration::from_ms(10) }, 1);
        assert_eq!(ewma.load(at(0.0), 0, 0), 10.0);
        ewma.observe(at(1.0), 0, SimDuration::from_ms(20));
        ewma.observe(at(1.0), 0, SimDuration::from_ms(500));
        assert_eq!(ewma.load(at(1.0), 0, 0), 20.0);
        assert_eq!(ewma.load(at(100.0), 0, 0), 20.0);
        ewma.observe(at(11.0), 0, SimDuration::from_ms(500));
        let w = libm::exp(-1.0);
        assert!((ewma.load(at(11.0), 0, 0) - (20.0 * w + 500.0 * (1.0 - w))).abs() < 1e-9);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn a_cost_is_never_above_the_worst_seen(rtts in prop::collection::vec((0u64..5_000, 0u64..9_000), 1..12)) {
            for flavour in [Flavour::Finagle, Flavour::Envoy { default_rtt: SimDuration::ZERO }] {
                let mut ewma = of(flavour, 1);
                let (mut now, mut worst) = (SimTime::ZERO, 0.0f64);
                for (gap, rtt) in &rtts {
                    now += SimDuration::from_ms(*gap);
                    ewma.observe(now, 0, SimDuration::from_ms(*rtt));
                    worst = worst.max(*rtt as f64);
                    let load = ewma.load(now, 0, 0);
                    prop_assert!(load >= 0.0 && load <= worst + 1e-6);
                }
            }
        }
    }
}
