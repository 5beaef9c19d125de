//! Retries: whether to try again, and when.
//!
//! A retry helps against failures of chance and hurts against failures of load, and the client cannot tell them
//! apart. What it can do is try rarely (`max_retries`, a [`Budget`]), late (backoff) and not together with
//! everyone else who failed at the same moment (jitter).
//!
//! ```text
//!   outcome ─► retryable? ─► tries left? ─► budget pays? ─► Retry(delay)
//!                  │no            │no             │no
//!                  ▼              ▼               ▼
//!            NotRetryable     Exhausted        Budget
//! ```
//!
//! The forms of jitter are those of M. Brooker, "Exponential Backoff And Jitter" (AWS, 2015). What products do:
//!
//! | product | in these terms |
//! | --- | --- |
//! | AWS SDK, standard mode (botocore 1.44.5) | 2 retries, exponential 50 ms x 2 up to 20 s, full |
//! | Envoy | 1 retry, steps 25, 75, 175, 250 ms (base 25 ms), full |
//! | Polly v8 | 3 retries, base 2 s (its jitter of exponential delays is smoother than any here) |
//! | resilience4j 2.3 | 2 retries, constant 500 ms |

use crate::base::outcome::Outcome;
use crate::base::rng::Rng;
use crate::base::time::{SimDuration, SimTime};
use crate::components::budget::Budget;

/// How long to wait before a retry, before jitter.
#[derive(Clone, PartialEq, Debug)]
pub enum Backoff {
    /// Not at all.
    None,
    /// Always as long.
    Constant(SimDuration),
    /// `min(max, base * factor^retry)`, the first retry being number 0.
    Exponential {
        /// The wait before the first retry.
        base: SimDuration,
        /// By how much each wait is longer than the one before (1 or more, usually 2).
        factor: f64,
        /// The longest wait.
        max: SimDuration,
    },
    /// One wait after the other; the last one repeats.
    Steps(Vec<SimDuration>),
}

impl Backoff {
    /// The wait before retry number `retry` (from 0).
    pub fn delay(&self, retry: u32) -> SimDuration {
        match self {
            Self::None => SimDuration::ZERO,
            Self::Constant(delay) => *delay,
            Self::Exponential { base, factor, max } => {
                base.scaled(libm::pow(*factor, f64::from(retry))).min(*max)
            }
            Self::Steps(steps) => steps.get(retry as usize).or(steps.last()).copied().unwrap_or_default(),
        }
    }

    /// The longest wait that it knows: the cap of decorrelated jitter.
    fn longest(&self) -> SimDuration {
        match self {
            Self::None => SimDuration::ZERO,
            Self::Constant(delay) => *delay,
            Self::Exponential { max, .. } => *max,
            Self::Steps(steps) => steps.iter().max().copied().unwrap_or_default(),
        }
    }
}

/// How chance changes a wait. Each form but `None` takes exactly one draw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Jitter {
    /// `v`, the wait that backoff says.
    None,
    /// `U(0, v)`.
    Full,
    /// `v/2 + U(0, v/2)`.
    Equal,
    /// `min(max, U(base, 3 * previous))`: `base` is the first wait of the backoff, `max` its longest, and
    /// `previous` the wait before the retry before, or `base` if there was none. It is of use with an exponential
    /// backoff, whose factor it then ignores; a constant one stays constant.
    Decorrelated,
}

/// A set of outcomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutcomeSet(u8);

const _: () = assert!(Outcome::COUNT <= 8, "a set of outcomes is a byte");

impl OutcomeSet {
    /// What is retried unless said otherwise: `Error`, `Timeout`, `Rejected` and `Unavailable`. `Rejected` is
    /// among them because across a network it looks like any failure (an HTTP 503 or 429), and clients such as
    /// the AWS SDKs and Istio's proxies do retry it. `Ok` and `Degraded` are answers, and who calls off does not
    /// want another try.
    pub const RETRYABLE: Self =
        Self::of(&[Outcome::Error, Outcome::Timeout, Outcome::Rejected, Outcome::Unavailable]);

    /// The set of the `outcomes` listed.
    pub const fn of(outcomes: &[Outcome]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < outcomes.len() {
            bits |= 1 << outcomes[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// Whether `outcome` is in it.
    #[inline]
    pub const fn contains(self, outcome: Outcome) -> bool {
        self.0 & (1 << outcome as u8) != 0
    }
}

/// Whether and when one caller tries again.
#[derive(Clone, PartialEq, Debug)]
pub struct RetryConfig {
    /// How many more attempts there may be after the first. (Products that say `maxAttempts`, as the AWS SDKs,
    /// gRPC and resilience4j do, count the first one too: one more than this.)
    pub max_retries: u32,
    /// The wait before each.
    pub backoff: Backoff,
    /// What chance does to it.
    pub jitter: Jitter,
    /// What is worth another attempt; see [`OutcomeSet::RETRYABLE`].
    pub on: OutcomeSet,
}

impl RetryConfig {
    /// The wait before retry number `retry` (from 0), after a wait of `previous` before the one before it. For
    /// the first retry `previous` is zero.
    pub fn delay(&self, retry: u32, previous: SimDuration, rng: &mut Rng) -> SimDuration {
        let delay = self.backoff.delay(retry);
        match self.jitter {
            Jitter::None => delay,
            Jitter::Full => between(SimDuration::ZERO, delay, rng),
            Jitter::Equal => between(delay.scaled(0.5), delay, rng),
            Jitter::Decorrelated => {
                let base = self.backoff.delay(0);
                let most = previous.max(base).scaled(3.0);
                between(base, most, rng).min(self.backoff.longest())
            }
        }
    }
}

/// What to do after an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Try again after this long.
    Retry(SimDuration),
    /// The outcome is final.
    GiveUp(GiveUp),
}

/// Why an outcome is final.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GiveUp {
    /// It is not among those worth another attempt: an answer, for one.
    NotRetryable,
    /// All retries are used up.
    Exhausted,
    /// The budget does not pay for a retry.
    Budget,
}

/// Decides what follows an attempt that ended with `outcome` after `retries_done` retries, the last of them after
/// a wait of `previous`. The `budget` is asked last, so that it pays only for a retry that takes place; of its
/// deposits and refunds the caller takes care.
pub fn decide(
    config: &RetryConfig,
    budget: Option<&mut Budget>,
    now: SimTime,
    retries_done: u32,
    outcome: Outcome,
    previous: SimDuration,
    rng: &mut Rng,
) -> Decision {
    if !config.on.contains(outcome) {
        return Decision::GiveUp(GiveUp::NotRetryable);
    }
    if retries_done >= config.max_retries {
        return Decision::GiveUp(GiveUp::Exhausted);
    }
    if budget.is_some_and(|budget| !budget.try_retry(now)) {
        return Decision::GiveUp(GiveUp::Budget);
    }
    Decision::Retry(config.delay(retries_done, previous, rng))
}

/// A uniform length between `low` and `high`.
fn between(low: SimDuration, high: SimDuration, rng: &mut Rng) -> SimDuration {
    low + (high - low).scaled(rng.uniform())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::components::budget::BudgetConfig;
    use proptest::prelude::*;

    const fn ms(ms: u64) -> SimDuration {
        SimDuration::from_ms(ms)
    }

    fn exponential(jitter: Jitter) -> RetryConfig {
        let backoff = Backoff::Exponential { base: ms(100), factor: 2.0, max: ms(1_000) };
        RetryConfig { max_retries: 2, backoff, jitter, on: OutcomeSet::RETRYABLE }
    }

    /// The first five waits of a backoff, in milliseconds.
    fn waits(backoff: &Backoff) -> Vec<u64> {
        (0..5).map(|retry| backoff.delay(retry).ns() / 1_000_000).collect()
    }

    #[test]
    fn backoffs_wait_as_they_say() {
        assert_eq!(waits(&Backoff::None), [0, 0, 0, 0, 0]);
        assert_eq!(waits(&Backoff::Constant(ms(7))), [7, 7, 7, 7, 7]);
        assert_eq!(waits(&exponential(Jitter::None).backoff), [100, 200, 400, 800, 1_000]);
        assert_eq!(waits(&Backoff::Steps(vec![ms(1), ms(5), ms(3)])), [1, 5, 3, 3, 3]);
        assert_eq!(waits(&Backoff::Steps(vec![])), [0, 0, 0, 0, 0]);
    }

    #[test]
    fn growth_stops_at_the_cap_however_many_retries() {
        assert_eq!(exponential(Jitter::None).backoff.delay(u32::MAX), ms(1_000));
    }

    /// The range of the waits before retry `retry`, in milliseconds, and their mean, over many draws.
    fn spread(jitter: Jitter, retry: u32, previous: SimDuration) -> (u64, u64, u64) {
        let (config, mut rng) = (exponential(jitter), Rng::from_seed(7));
        let drawn: Vec<u64> =
            (0..20_000).map(|_| config.delay(retry, previous, &mut rng).ns() / 1_000).collect();
        let mean = drawn.iter().sum::<u64>() / drawn.len() as u64;
        let round = |us: u64| (us + 5_000) / 10_000 * 10;
        (
            round(drawn.iter().copied().min().unwrap()),
            round(drawn.iter().copied().max().unwrap()),
            round(mean),
        )
    }

    #[test]
    fn jitter_spreads_as_its_formula_says() {
        assert_eq!(spread(Jitter::None, 1, ms(0)), (200, 200, 200));
        assert_eq!(spread(Jitter::Full, 1, ms(0)), (0, 200, 100));
        assert_eq!(spread(Jitter::Equal, 1, ms(0)), (100, 200, 150));
        assert_eq!(spread(Jitter::Decorrelated, 0, ms(0)), (100, 300, 200));
        assert_eq!(spread(Jitter::Decorrelated, 1, ms(200)), (100, 600, 350));
        assert_eq!(spread(Jitter::Decorrelated, 2, ms(1_000)).1, 1_000);
    }

    #[test]
    fn jitter_takes_one_draw_and_none_takes_none() {
        for jitter in [Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
            let (mut drawn, mut expected) = (Rng::from_seed(1), Rng::from_seed(1));
            exponential(jitter).delay(3, ms(0), &mut drawn);
            expected.bits();
            assert_eq!(drawn.bits(), expected.bits());
        }
        let mut rng = Rng::from_seed(1);
        exponential(Jitter::None).delay(3, ms(0), &mut rng);
        assert_eq!(rng.bits(), Rng::from_seed(1).bits());
    }

    fn after(budget: Option<&mut Budget>, retries_done: u32, outcome: Outcome) -> Decision {
        let config = exponential(Jitter::None);
        decide(&config, budget, SimTime::ZERO, retries_done, outcome, ms(0), &mut Rng::from_seed(1))
    }

    #[test]
    fn what_is_retried_by_default() {
        let retried = |outcome: &Outcome| matches!(after(None, 0, *outcome), Decision::Retry(_));
        let names: Vec<&str> =
            Outcome::ALL.iter().filter(|outcome| retried(outcome)).map(|outcome| outcome.name()).collect();
        assert_eq!(names, ["error", "timeout", "rejected", "unavailable"]);
    }

    #[test]
    fn gives_up_after_the_last_retry() {
        assert_eq!(after(None, 0, Outcome::Error), Decision::Retry(ms(100)));
        assert_eq!(after(None, 1, Outcome::Error), Decision::Retry(ms(200)));
        assert_eq!(after(None, 2, Outcome::Error), Decision::GiveUp(GiveUp::Exhausted));
        assert_eq!(after(None, 0, Outcome::Ok), Decision::GiveUp(GiveUp::NotRetryable));
    }

    #[test]
    fn the_budget_pays_only_for_a_retry_that_takes_place() {
        let mut budget = Budget::new(&BudgetConfig::ratio(0.0, 0.0, 1.0), SimTime::ZERO);
        after(Some(&mut budget), 0, Outcome::Ok);
        after(Some(&mut budget), 2, Outcome::Error);
        assert_eq!(budget.tokens(SimTime::ZERO), 1.0);
        assert_eq!(after(Some(&mut budget), 0, Outcome::Error), Decision::Retry(ms(100)));
        assert_eq!(after(Some(&mut budget), 0, Outcome::Error), Decision::GiveUp(GiveUp::Budget));
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_longest(
            base in 0u64..5_000, factor in 1.0f64..4.0, max in 0u64..60_000, seed: u64,
        ) {
            let max = ms(max.max(base));
            for jitter in [Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
                let backoff = Backoff::Exponential { base: ms(base), factor, max };
                let config = RetryConfig { backoff, ..exponential(jitter) };
                let (mut rng, mut previous) = (Rng::from_seed(seed), SimDuration::ZERO);
                for retry in 0..20 {
                    previous = config.delay(retry, previous, &mut rng);
                    prop_assert!(previous <= max);
                    prop_assert!(jitter != Jitter::Decorrelated || previous >= ms(base));
                }
            }
        }
    }
}
