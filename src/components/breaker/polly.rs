//! Polly's circuit breaker, version 8 (.NET): `CircuitStateController`, `AdvancedCircuitBehavior` and
//! `RollingHealthMetrics` of `Polly.Core`. Written after the source of 8.0; it has not been compared with recordings.
//!
//! It breaks when at least `minimum_throughput` results lie in the window and at least `failure_ratio` of them are
//! failures; it looks at that with every failure. After `break_duration` the next call is a probe, and all others are
//! rejected until some result comes: a success closes it and clears the window, a failure opens it again.
//!
//! What surprises:
//!
//! - The window's ten parts follow the traffic, not the clock: a part begins with the first event after the one before
//!   it has lasted a tenth of `sampling_duration`. So the span that counts is up to `sampling_duration`, and less.
//! - Half open is entered by a call, and any result decides it, also that of a call sent before it broke.
//! - Half open has no end of its own: a probe that never answers blocks everything for ever, and so does one that was
//!   called off, which is neither a success nor a failure.
//! - Results that come while it is open count in the window, and never prolong the break.

use super::{BreakerState, Transition};
use crate::base::time::{SimDuration, SimTime};
use std::collections::VecDeque;

/// The parts of a window.
const WINDOWS: u64 = 10;

/// What can be set on a [`PollyBreaker`]; the names are those of `CircuitBreakerStrategyOptions`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PollyConfig {
    /// The share of failures at which, or above which, it breaks.
    pub failure_ratio: f64,
    /// The fewest results in the window before it can break.
    pub minimum_throughput: u32,
    /// The length of the window.
    pub sampling_duration: SimDuration,
    /// How long it stays open.
    pub break_duration: SimDuration,
}

impl PollyConfig {
    /// The defaults of Polly 8.
    pub const DEFAULT: Self = Self {
        failure_ratio: 0.1,
        minimum_throughput: 100,
        sampling_duration: SimDuration::from_secs(30),
        break_duration: SimDuration::from_secs(5),
    };
}

#[derive(Clone, Copy, Debug)]
struct Part {
    started_at: SimTime,
    results: u32,
    failures: u32,
}

/// The breaker.
#[derive(Clone, Debug)]
pub struct PollyBreaker {
    config: PollyConfig,
    state: BreakerState,
    blocked_until: SimTime,
    /// Oldest first. Eleven at most, for lengths that ten does not divide.
    parts: VecDeque<Part>,
}

impl PollyBreaker {
    /// A closed breaker.
    pub fn new(config: PollyConfig) -> Self {
        let parts = VecDeque::with_capacity(WINDOWS as usize + 2);
        Self { config, state: BreakerState::Closed, blocked_until: SimTime::ZERO, parts }
    }

    /// Changes the settings while it runs. Its state, a break under way and what it has counted stay.
    pub fn reconfigure(&mut self, config: PollyConfig) {
        self.config = config;
    }

    /// A call arrives: whether it passes.
    pub fn on_request(&mut self, now: SimTime) -> (bool, Option<Transition>) {
        match self.state {
            BreakerState::Closed => (true, None),
            BreakerState::Open if now >= self.blocked_until => (true, Some(self.go(BreakerState::HalfOpen))),
            BreakerState::Open | BreakerState::HalfOpen => (false, None),
        }
    }

    /// A call that passed has ended. Nothing is told of one that was called off.
    pub fn on_result(&mut self, now: SimTime, failed: bool) -> Option<Transition> {
        match self.state {
            BreakerState::HalfOpen if failed => Some(self.open(now)),
            BreakerState::HalfOpen => {
                self.parts.clear();
                Some(self.go(BreakerState::Closed))
            }
            BreakerState::Open => {
                self.count(now, failed);
                None
            }
            BreakerState::Closed => {
                self.count(now, failed);
                if !failed {
                    return None;
                }
                let (results, failures) = self.health();
                let ratio = f64::from(failures) / f64::from(results);
                let breaks = results >= self.config.minimum_throughput && ratio >= self.config.failure_ratio;
                breaks.then(|| self.open(now))
            }
        }
    }

    /// Whether calls pass. An open breaker stays open until a call comes.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Results and failures in the window, as of the last event.
    pub fn health(&self) -> (u32, u32) {
        self.parts
            .iter()
            .fold((0, 0), |(results, failures), part| (results + part.results, failures + part.failures))
    }

    fn count(&mut self, now: SimTime, failed: bool) {
        let length = SimDuration::from_ns(self.config.sampling_duration.ns() / WINDOWS);
        if self.parts.back().is_none_or(|part| now.since(part.started_at) >= length) {
            self.parts.push_back(Part { started_at: now, results: 0, failures: 0 });
        }
        while self
            .parts
            .front()
            .is_some_and(|part| now.since(part.started_at) >= self.config.sampling_duration)
        {
            self.parts.pop_front();
        }
        if let Some(part) = self.parts.back_mut() {
            part.results += 1;
            part.failures += u32::from(failed);
        }
    }

    fn open(&mut self, now: SimTime) -> Transition {
        self.blocked_until = now + self.config.break_duration;
        self.go(BreakerState::Open)
    }

    fn go(&mut self, to: BreakerState) -> Transition {
        let from = std::mem::replace(&mut self.state, to);
        debug_assert!(from != to, "a transition leads elsewhere");
        Transition { from, to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: PollyConfig = PollyConfig {
        failure_ratio: 0.5,
        minimum_throughput: 4,
        sampling_duration: SimDuration::from_secs(10),
        break_duration: SimDuration::from_secs(5),
    };

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_ms(ms)
    }

    /// Plays results at their milliseconds; one mark each: `_` nothing, or the new state.
    fn results(breaker: &mut PollyBreaker, script: &[(u64, bool)]) -> String {
        let mark = |t: Option<Transition>| match t.map(|t| t.to) {
            None => '_',
            Some(BreakerState::Open) => 'O',
            Some(BreakerState::HalfOpen) => 'H',
            Some(BreakerState::Closed) => 'C',
        };
        script.iter().map(|(ms, failed)| mark(breaker.on_result(at(*ms), *failed))).collect()
    }

    #[test]
    fn it_breaks_at_the_ratio_and_not_before_the_throughput() {
        let mut breaker = PollyBreaker::new(CONFIG);
        assert_eq!(results(&mut breaker, &[(0, true), (1, true), (2, true), (3, true)]), "___O");
        let mut breaker = PollyBreaker::new(CONFIG);
        // Half of four: at the ratio. It is looked at with a failure only.
        assert_eq!(
            results(&mut breaker, &[(0, true), (1, true), (2, false), (3, false), (4, false)]),
            "_____"
        );
        assert_eq!(results(&mut breaker, &[(5, true)]), "O");
    }

    #[test]
    fn one_probe_from_the_very_moment_on() {
        let mut breaker = PollyBreaker::new(CONFIG);
        results(&mut breaker, &[(0, true), (0, true), (0, true), (0, true)]);
        assert!(!breaker.on_request(at(4_999)).0);
        let (passes, transition) = breaker.on_request(at(5_000));
        assert!(passes && transition.is_some_and(|t| t.to == BreakerState::HalfOpen));
        // All others wait for a result, for ever if none comes.
        assert!(!breaker.on_request(at(1_000_000)).0);
        assert_eq!(results(&mut breaker, &[(1_000_001, true)]), "O");
        assert!(breaker.on_request(at(1_005_001)).0);
        assert_eq!(results(&mut breaker, &[(1_005_002, false)]), "C");
        assert_eq!(breaker.health(), (0, 0));
    }

    #[test]
    fn late_results_count_while_open_and_do_not_prolong() {
        let mut breaker = PollyBreaker::new(CONFIG);
        results(&mut breaker, &[(0, true), (0, true), (0, true), (0, true)]);
        assert_eq!(results(&mut breaker, &[(4_000, true), (4_000, false)]), "__");
        assert_eq!(breaker.health(), (6, 5));
        assert!(breaker.on_request(at(5_000)).0);
        // The answer of a call that was sent before it broke decides like the probe's.
        assert_eq!(results(&mut breaker, &[(5_001, false)]), "C");
    }

    #[test]
    fn parts_of_the_window_begin_with_the_traffic() {
        let mut breaker = PollyBreaker::new(CONFIG);
        // One part from 0.9 s, so the result of 1.8 s goes when that of 0.9 s does.
        results(&mut breaker, &[(900, true), (1_800, true), (1_900, false), (10_899, false)]);
        assert_eq!(breaker.health(), (4, 2));
        results(&mut breaker, &[(10_900, false)]);
        assert_eq!(breaker.health(), (3, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn between_breaks_one_probe_passes_and_the_ratio_was_reached(
            minimum in 2u32..6, percent in 1u32..=100,
            steps in prop::collection::vec((0u64..3_000, 0u8..4), 1..80),
        ) {
            let failure_ratio = f64::from(percent) / 100.0;
            let config = PollyConfig { failure_ratio, minimum_throughput: minimum, ..CONFIG };
            let mut breaker = PollyBreaker::new(config);
            let (mut now, mut opened_at, mut probes) = (SimTime::ZERO, SimTime::ZERO, 0);
            for (wait, step) in steps {
                now += SimDuration::from_ms(wait);
                let before = breaker.state();
                let transition = if step < 2 {
                    let (passes, transition) = breaker.on_request(now);
                    prop_assert_eq!(passes, match before {
                        BreakerState::Closed => true,
                        BreakerState::Open => now.since(opened_at) >= config.break_duration,
                        BreakerState::HalfOpen => false,
                    });
                    probes += u32::from(passes && before != BreakerState::Closed);
                    transition
                } else {
                    breaker.on_result(now, step == 2)
                };
                prop_assert!(breaker.parts.len() <= 11);
                prop_assert!(probes <= 1);
                if let Some(Transition { to, .. }) = transition {
                    if to == BreakerState::Open {
                        opened_at = now;
                        if before == BreakerState::Closed {
                            let (results, failures) = breaker.health();
                            prop_assert!(results >= minimum);
                            prop_assert!(f64::from(failures) >= f64::from(results) * config.failure_ratio - 1e-9);
                        }
                    }
                    if to != BreakerState::HalfOpen {
                        probes = 0;
                    }
                }
            }
        }
    }
}
