//! Slow start: a target that has just become able gets little at first, and more and more until it has its share.
//!
//! Intuition: caches are cold and code is not compiled yet; the first full share can be one too much.
//!
//! Sources: AWS ALB, user guide of June 2023 (linear; how round robin and weighted random leave a target out is not
//! documented); Envoy 1.40.0, `EdfLoadBalancerBase::applySlowStartFactor`; HAProxy 2.6.12, `server_recalc_eweight` and
//! `server_warmup` (steps of a sixteenth, every second or every twentieth of the time).

use crate::base::{SimDuration, SimTime};

/// Whose slow start, and its settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum SlowStartConfig {
    /// AWS ALB: from nothing to all in a straight line.
    Alb {
        /// `slow_start.duration_seconds`.
        duration: SimDuration,
    },
    /// Envoy: (time / window)^(1 / aggression), but never below a least share.
    Envoy {
        /// `slow_start_window`.
        window: SimDuration,
        /// `aggression`.
        aggression: f64,
        /// `min_weight_percent`, as a share.
        min_weight: f64,
    },
    /// HAProxy: in steps.
    Haproxy {
        /// `slowstart`.
        duration: SimDuration,
    },
}

impl SlowStartConfig {
    /// How long it lasts.
    pub fn duration(&self) -> SimDuration {
        match *self {
            Self::Alb { duration } | Self::Haproxy { duration } => duration,
            Self::Envoy { window, .. } => window,
        }
    }

    /// The part of its weight that a target has after `elapsed`, which is less than the duration.
    fn factor(&self, elapsed: SimDuration) -> f64 {
        let part = elapsed.seconds() / self.duration().seconds();
        match *self {
            Self::Alb { .. } => part,
            Self::Envoy { window, aggression, min_weight } => {
                // The shortest time that counts is a millisecond.
                let part = part.max(1e-3 / window.seconds());
                let part = if aggression == 1.0 { part } else { libm::pow(part, 1.0 / aggression) };
                part.max(min_weight)
            }
            Self::Haproxy { duration } => {
                let step = libm::floor(duration.seconds() / 20.0).max(1.0);
                let seen = libm::floor(elapsed.seconds() / step) * step;
                libm::floor(16.0 * seen / duration.seconds() + 1.0).min(16.0) / 16.0
            }
        }
    }
}

/// The targets of one balancer that are starting.
#[derive(Clone, Debug, Default)]
pub(super) struct SlowStart {
    config: Option<SlowStartConfig>,
    /// Who is starting, and since when.
    starting: Vec<(u32, SimTime)>,
}

impl SlowStart {
    pub(super) fn configure(&mut self, config: Option<SlowStartConfig>) {
        self.config = config;
        if config.is_none() {
            self.starting.clear();
        }
    }

    /// A target has become able; `others` are able, too. Whether it starts slowly.
    pub(super) fn begin(&mut self, now: SimTime, target: u32, others: usize) -> bool {
        let Some(config) = self.config else { return false };
        self.end(target);
        // With an ALB somebody else has to be fully able, so the first of all start at full speed.
        if matches!(config, SlowStartConfig::Alb { .. }) && others <= self.starting.len() {
            return false;
        }
        self.starting.push((target, now));
        true
    }

    /// A target is able no more.
    pub(super) fn end(&mut self, target: u32) {
        self.starting.retain(|(t, _)| *t != target);
    }

    /// How many are starting.
    pub(super) fn len(&self) -> usize {
        self.starting.len()
    }

    /// Writes down what part of their weights those who are starting have now. Whether any of that changed.
    pub(super) fn apply(&mut self, now: SimTime, factors: &mut [f64]) -> bool {
        let Some(config) = self.config else { return false };
        let mut changed = false;
        self.starting.retain(|(target, since)| {
            let elapsed = now.since(*since);
            let is_over = elapsed >= config.duration();
            let fresh = if is_over { 1.0 } else { config.factor(elapsed) };
            let Some(factor) = factors.get_mut(*target as usize) else { return false };
            changed |= *factor != fresh || is_over;
            *factor = fresh;
            !is_over
        });
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn s(seconds: f64) -> SimDuration {
        SimDuration::from_seconds(seconds)
    }

    #[test]
    fn alb_is_a_straight_line_from_nothing() {
        let alb = SlowStartConfig::Alb { duration: s(30.0) };
        assert_eq!(alb.factor(s(0.0)), 0.0);
        assert_eq!(alb.factor(s(15.0)), 0.5);
    }

    #[test]
    fn envoy_begins_at_the_least_share_and_aggression_bends_the_line() {
        let of = |aggression| SlowStartConfig::Envoy { window: s(60.0), aggression, min_weight: 0.1 };
        assert_eq!(of(1.0).factor(s(0.0)), 0.1);
        assert_eq!(of(1.0).factor(s(3.0)), 0.1);
        assert_eq!(of(1.0).factor(s(30.0)), 0.5);
        assert!((of(2.0).factor(s(15.0)) - 0.5).abs() < 1e-12);
        assert!((of(0.5).factor(s(30.0)) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn haproxy_goes_up_in_sixteenths_at_its_own_pace() {
        let short = SlowStartConfig::Haproxy { duration: s(16.0) };
        let seen: Vec<f64> = [0.0, 0.9, 1.0, 8.5, 15.9].iter().map(|t| 16.0 * short.factor(s(*t))).collect();
        assert_eq!(seen, [1.0, 1.0, 2.0, 9.0, 16.0]);
        // Every twentieth of the time where that is more than a second.
        let long = SlowStartConfig::Haproxy { duration: s(200.0) };
        assert_eq!(long.factor(s(19.9)), long.factor(s(10.0)));
        assert!(long.factor(s(30.0)) > long.factor(s(10.0)));
    }

    #[test]
    fn with_an_alb_the_first_of_all_start_at_full_speed() {
        let mut slow = SlowStart::default();
        slow.configure(Some(SlowStartConfig::Alb { duration: s(30.0) }));
        assert!(!slow.begin(SimTime::ZERO, 0, 0));
        assert!(slow.begin(SimTime::ZERO, 1, 1));
        assert!(slow.begin(SimTime::ZERO, 2, 2));
        // Target 0 is gone, and the others are still starting.
        assert!(!slow.begin(SimTime::ZERO, 0, 2));
        assert_eq!(slow.len(), 2);
        slow.configure(Some(SlowStartConfig::Haproxy { duration: s(30.0) }));
        assert!(slow.begin(SimTime::ZERO, 0, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn shares_only_grow_and_end_at_all(
            duration in 1.0f64..900.0,
            aggression in 0.2f64..5.0,
            mut times in prop::collection::vec(0.0f64..1.0, 2..8),
        ) {
            times.sort_by(f64::total_cmp);
            let duration = s(duration);
            let configs = [
                SlowStartConfig::Alb { duration },
                SlowStartConfig::Envoy { window: duration, aggression, min_weight: 0.1 },
                SlowStartConfig::Haproxy { duration },
            ];
            for config in configs {
                let mut slow = SlowStart::default();
                let mut factors = [1.0];
                slow.configure(Some(config));
                slow.begin(SimTime::ZERO, 0, 1);
                let mut before = 0.0;
                for time in &times {
                    slow.apply(SimTime::ZERO + duration.scaled(*time), &mut factors);
                    prop_assert!(factors[0] >= before && factors[0] <= 1.0);
                    before = factors[0];
                }
                slow.apply(SimTime::ZERO + duration, &mut factors);
                prop_assert_eq!((factors[0], slow.len()), (1.0, 0));
            }
        }
    }
}
