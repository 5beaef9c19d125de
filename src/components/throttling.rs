//! Throttling at the client: whoever is turned away often enough turns its own calls away, at random, before they cost
//! the callee anything.
//!
//! Two of a kind:
//!
//! - Google's adaptive throttling ("Site Reliability Engineering", 2016, chapter 21): a call is rejected with the
//!   probability `max(0, (requests - K x accepts) / (requests + 1))` over the last two minutes. Requests are all calls,
//!   the rejected ones too: so that of a callee that accepts nothing hardly anything is asked, and with K = 2 it gets
//!   about twice what it accepts.
//! - Envoy's admission control filter (`source/extensions/filters/http/admission_control`), after its source:
//!   `((n - successes / threshold) / (n + 1))^(1 / aggression)` over the last 30 s, at most 80 %. What it rejects
//!   itself does *not* count; so the success rate that it keeps is the threshold's, and it goes on probing.
//!
//! Neither has been compared with recordings. Both keep their history in parts of a second, each of which begins with
//! the first event after the one before is a second old (as Envoy does).

use crate::base::time::{SimDuration, SimTime};
use std::collections::VecDeque;

/// The length of a part of the history.
const PART: SimDuration = SimDuration::from_secs(1);

/// How it decides.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ThrottleConfig {
    /// Google's.
    Adaptive {
        /// How many times as many requests as are accepted it sends: more than 1, or 1.
        k: f64,
        /// Over what time it counts.
        window: SimDuration,
    },
    /// Envoy's.
    AdmissionControl {
        /// Over what time it counts.
        sampling_window: SimDuration,
        /// The success rate below which it begins to reject, as a share.
        sr_threshold: f64,
        /// How steeply: 1 or more.
        aggression: f64,
        /// Below so many requests per second it rejects nothing.
        rps_threshold: u32,
        /// The highest probability.
        max_rejection_probability: f64,
    },
}

impl ThrottleConfig {
    /// Google's figures.
    pub const ADAPTIVE: Self = Self::Adaptive { k: 2.0, window: SimDuration::from_secs(120) };

    /// Envoy's defaults.
    pub const ADMISSION_CONTROL: Self = Self::AdmissionControl {
        sampling_window: SimDuration::from_secs(30),
        sr_threshold: 0.95,
        aggression: 1.0,
        rps_threshold: 0,
        max_rejection_probability: 0.8,
    };

    fn window(&self) -> SimDuration {
        match *self {
            Self::Adaptive { window, .. } => window,
            Self::AdmissionControl { sampling_window, .. } => sampling_window,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Part {
    started_at: SimTime,
    requests: u64,
    accepts: u64,
}

/// A throttle.
#[derive(Clone, Debug)]
pub struct Throttle {
    config: ThrottleConfig,
    parts: VecDeque<Part>,
    requests: u64,
    accepts: u64,
}

impl Throttle {
    /// One that has seen nothing.
    pub fn new(config: ThrottleConfig) -> Self {
        Self { config, parts: VecDeque::new(), requests: 0, accepts: 0 }
    }

    /// Changes the settings while it runs; what it has counted stays, as far as it is not too old.
    pub fn reconfigure(&mut self, config: ThrottleConfig) {
        self.config = config;
    }

    /// A call arrives with a uniform random number from 0 to 1: whether it passes.
    pub fn on_request(&mut self, now: SimTime, dice: f64) -> bool {
        let passes = dice >= self.rejection_probability(now);
        if let ThrottleConfig::Adaptive { .. } = self.config {
            self.count(now, 1, 0);
        }
        passes
    }

    /// A call that passed has ended: whether the callee accepted it, or answered it well.
    pub fn on_result(&mut self, now: SimTime, accepted: bool) {
        match self.config {
            ThrottleConfig::Adaptive { .. } if accepted => self.count(now, 0, 1),
            ThrottleConfig::Adaptive { .. } => {}
            ThrottleConfig::AdmissionControl { .. } => self.count(now, 1, u64::from(accepted)),
        }
    }

    /// With what probability the next call is rejected.
    pub fn rejection_probability(&mut self, now: SimTime) -> f64 {
        self.forget(now);
        let (requests, accepts) = (self.requests as f64, self.accepts as f64);
        match self.config {
            ThrottleConfig::Adaptive { k, .. } => ((requests - k * accepts) / (requests + 1.0)).max(0.0),
            ThrottleConfig::AdmissionControl {
                sr_threshold,
                aggression,
                rps_threshold,
                max_rejection_probability,
                ..
            } => {
                if self.rate(now) < u64::from(rps_threshold) {
                    return 0.0;
                }
                let share = ((requests - accepts / sr_threshold) / (requests + 1.0)).max(0.0);
                let share = if aggression == 1.0 { share } else { libm::pow(share, 1.0 / aggression) };
                share.min(max_rejection_probability)
            }
        }
    }

    /// Requests and accepts that count.
    pub fn counts(&self) -> (u64, u64) {
        (self.requests, self.accepts)
    }

    /// Requests per second, in whole seconds and whole requests.
    fn rate(&self, now: SimTime) -> u64 {
        let age = self.parts.front().map_or(0, |part| now.since(part.started_at).ns() / PART.ns());
        self.requests / age.max(1)
    }

    fn forget(&mut self, now: SimTime) {
        let window = self.config.window();
        while let Some(oldest) = self.parts.front().filter(|part| now.since(part.started_at) >= window) {
            self.requests -= oldest.requests;
            self.accepts -= oldest.accepts;
            self.parts.pop_front();
        }
    }

    fn count(&mut self, now: SimTime, requests: u64, accepts: u64) {
        self.forget(now);
        if self.parts.back().is_none_or(|part| now.since(part.started_at) >= PART) {
            self.parts.push_back(Part { started_at: now, requests: 0, accepts: 0 });
        }
        if let Some(part) = self.parts.back_mut() {
            part.requests += requests;
            part.accepts += accepts;
        }
        self.requests += requests;
        self.accepts += accepts;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_ms(ms)
    }

    #[test]
    fn rejected_calls_count_as_requests_of_googles() {
        let mut throttle = Throttle::new(ThrottleConfig::ADAPTIVE);
        assert_eq!(throttle.rejection_probability(at(0)), 0.0);
        for i in 0..4 {
            assert!(throttle.on_request(at(i), 0.999));
            throttle.on_result(at(i), i < 2);
        }
        // Four requests, two accepted: not more than K times as many.
        assert_eq!(throttle.rejection_probability(at(4)), 0.0);
        assert!(throttle.on_request(at(4), 0.0));
        assert_eq!(throttle.rejection_probability(at(5)), 1.0 / 6.0);
        assert!(!throttle.on_request(at(5), 0.16));
        assert_eq!(throttle.rejection_probability(at(5)), 2.0 / 7.0);
        // Two minutes after its part of the history began, all is forgotten.
        assert!(throttle.rejection_probability(at(119_999)) > 0.0);
        assert_eq!(throttle.rejection_probability(at(120_000)), 0.0);
    }

    #[test]
    fn a_callee_that_accepts_nothing_is_hardly_asked() {
        let mut throttle = Throttle::new(ThrottleConfig::ADAPTIVE);
        let passed =
            (0..1_000u64).filter(|i| throttle.on_request(at(*i), (*i * 619 % 1_000) as f64 / 1e3)).count();
        // The sum of 1 / (n + 1) is about 7.
        assert!((2..15).contains(&passed), "{passed}");
    }

    #[test]
    fn envoys_counts_only_what_it_let_through() {
        let mut throttle = Throttle::new(ThrottleConfig::ADMISSION_CONTROL);
        (0..19).for_each(|_| throttle.on_result(at(0), true));
        throttle.on_result(at(0), false);
        // A success rate of 95 % is at the threshold.
        assert!(throttle.rejection_probability(at(1)) < 1e-12);
        throttle.on_result(at(1), false);
        let expected = (21.0 - 19.0 / 0.95) / 22.0;
        assert!((throttle.rejection_probability(at(2)) - expected).abs() < 1e-12);
        assert!(!throttle.on_request(at(2), expected / 2.0));
        assert_eq!(throttle.counts(), (21, 19));
        (0..1_000).for_each(|_| throttle.on_result(at(3), false));
        assert_eq!(throttle.rejection_probability(at(4)), 0.8);
        assert_eq!(throttle.rejection_probability(at(30_000)), 0.0);
    }

    #[test]
    fn envoys_aggression_and_least_rate() {
        let ThrottleConfig::AdmissionControl {
            sampling_window, sr_threshold, max_rejection_probability, ..
        } = ThrottleConfig::ADMISSION_CONTROL
        else {
            unreachable!()
        };
        let with = |aggression, rps_threshold| {
            let mut throttle = Throttle::new(ThrottleConfig::AdmissionControl {
                sampling_window,
                sr_threshold,
                aggression,
                rps_threshold,
                max_rejection_probability,
            });
            (0..10).for_each(|i| throttle.on_result(at(i * 300), i > 5));
            throttle.rejection_probability(at(2_999))
        };
        let base = (10.0 - 4.0 / 0.95) / 11.0;
        assert!((with(2.0, 0) - f64::sqrt(base)).abs() < 1e-12);
        // Ten requests in two whole seconds are five per second.
        assert!((with(1.0, 5) - base).abs() < 1e-12);
        assert_eq!(with(1.0, 6), 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn it_counts_what_a_list_says(
            envoy: bool, steps in prop::collection::vec((0u64..900, 0u8..4, 0.0f64..1.0), 1..60),
        ) {
            let window = SimDuration::from_secs(5);
            let config = if envoy {
                ThrottleConfig::AdmissionControl {
                    sampling_window: window,
                    sr_threshold: 0.9,
                    aggression: 1.5,
                    rps_threshold: 0,
                    max_rejection_probability: 0.7,
                }
            } else {
                ThrottleConfig::Adaptive { k: 1.5, window }
            };
            let mut throttle = Throttle::new(config);
            // Each event with the beginning of its part of the history.
            let (mut now, mut part, mut list) = (SimTime::ZERO, None::<SimTime>, Vec::new());
            for (wait, step, dice) in steps {
                now += SimDuration::from_ms(wait);
                let p = throttle.rejection_probability(now);
                let most = if envoy { 0.7 } else { 1.0 };
                prop_assert!((0.0..=most).contains(&p));
                let counted = if step < 2 {
                    prop_assert_eq!(throttle.on_request(now, dice), dice >= p);
                    (!envoy).then_some((1, 0))
                } else {
                    throttle.on_result(now, step == 2);
                    if envoy { Some((1, u64::from(step == 2))) } else { (step == 2).then_some((0, 1)) }
                };
                if let Some((requests, accepts)) = counted {
                    let begins = part.filter(|p| now.since(*p) < PART).unwrap_or(now);
                    part = Some(begins);
                    list.push((begins, requests, accepts));
                }
                throttle.forget(now);
                let kept = list.iter().filter(|e| now.since(e.0) < window);
                let sums = kept.fold((0, 0), |sums, e| (sums.0 + e.1, sums.1 + e.2));
                prop_assert_eq!(throttle.counts(), sums);
                prop_assert!(throttle.parts.len() <= 6);
            }
        }
    }
}
