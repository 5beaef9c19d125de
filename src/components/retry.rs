//! Retries: whether to try again, and when.
//!
//! A retry helps against failures of chance and hurts against failures of load, and the client cannot tell them
//! apart. What it can do is try rarely (`max_retries`, a [budget](super::budget)), late (backoff) and not together with
//! everyone else who failed at the same moment (jitter).
//!
//! ```text
//!   outcome ─► retryable? ─► tries left? ─► budget pays? ─► Retry(delay)
//!                  │no            │no             │no
//!                  ▼              ▼               ▼
//!            NotRetryable     Exhausted        Budget
//! ```
//!
//! How long each product waits is in [`waits`].

pub mod waits;

pub use self::waits::{Backoff, Jitter, Wait};

use crate::base::outcome::Outcome;
use crate::base::rng::Rng;
use crate::base::time::{SimDuration, SimTime};
use crate::components::budget::family::AnyBudget;
use crate::components::deadline::allows_wait;

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

    /// All outcomes that are no success.
    pub const FAILURES: Self = Self::of(&[
        Outcome::Error,
        Outcome::Timeout,
        Outcome::Rejected,
        Outcome::Unavailable,
        Outcome::Cancelled,
    ]);

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

/// What becomes of a wait that a rejection asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RetryAfter {
    /// Nothing.
    Ignore,
    /// The wait is at least so long.
    AtLeast,
    /// The wait is so long, but at most so much longer than it would be: AWS SDKs, `x-amz-retry-after`.
    AtMost(SimDuration),
    /// The wait is just so long, and backoff begins anew after it: gRPC, `grpc-retry-pushback-ms`.
    Pushback,
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
    /// What becomes of a wait that a rejection asks for.
    pub retry_after: RetryAfter,
}

/// An attempt that has ended, and what was before it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// How it ended.
    pub outcome: Outcome,
    /// Retries of the call so far.
    pub retries_done: u32,
    /// Retries after which backoff began anew.
    pub backoff_from: u32,
    /// What the wait before it left to remember.
    pub memory: SimDuration,
    /// The wait that its answer asks for.
    pub told: Option<SimDuration>,
    /// When nobody waits for the call any more; [`SimTime::NEVER`] if that is not known.
    pub deadline: SimTime,
}

/// What to do after an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Try again.
    Retry {
        /// After how long, and what to remember of that.
        wait: Wait,
        /// What the budget took; `None` without one.
        cost: Option<u32>,
        /// Whether backoff begins anew with the retry after it.
        restarts: bool,
    },
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
    /// The wait would last until nobody waits for the answer.
    Deadline,
}

/// Decides what follows an attempt. The `budget` is asked last, so that it pays only for a retry that takes place; the
/// caller tells it of all else.
pub fn decide(
    config: &RetryConfig,
    budget: Option<&mut AnyBudget>,
    now: SimTime,
    attempt: &Attempt,
    rng: &mut Rng,
) -> Decision {
    let Attempt { outcome, retries_done, backoff_from, memory, told, deadline } = *attempt;
    if !config.on.contains(outcome) {
        return Decision::GiveUp(GiveUp::NotRetryable);
    }
    if retries_done >= config.max_retries {
        return Decision::GiveUp(GiveUp::Exhausted);
    }
    let step = retries_done - backoff_from;
    let mut wait = waits::wait(&config.backoff, config.jitter, step, outcome, memory, rng);
    let mut restarts = false;
    if let Some(told) = told {
        wait.delay = match config.retry_after {
            RetryAfter::Ignore => wait.delay,
            RetryAfter::AtLeast => wait.delay.max(told),
            RetryAfter::AtMost(more) => wait.delay.max(told.min(wait.delay + more)),
            RetryAfter::Pushback => {
                restarts = true;
                told
            }
        };
    }
    if !allows_wait(deadline, now, wait.delay) {
        return Decision::GiveUp(GiveUp::Deadline);
    }
    let mut cost = None;
    if let Some(budget) = budget {
        cost = budget.try_retry(now, outcome);
        if cost.is_none() {
            return Decision::GiveUp(GiveUp::Budget);
        }
    }
    Decision::Retry { wait, cost, restarts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::components::budget::BudgetConfig;
    use crate::components::budget::family::AnyBudgetConfig;

    const fn ms(ms: u64) -> SimDuration {
        SimDuration::from_ms(ms)
    }

    fn retry(delay: SimDuration, cost: Option<u32>) -> Decision {
        Decision::Retry { wait: Wait { delay, memory: delay }, cost, restarts: false }
    }

    const FIRST: Attempt = Attempt {
        outcome: Outcome::Error,
        retries_done: 0,
        backoff_from: 0,
        memory: SimDuration::ZERO,
        told: None,
        deadline: SimTime::NEVER,
    };

    fn config(retry_after: RetryAfter) -> RetryConfig {
        let backoff = Backoff::Exponential { base: ms(100), factor: 2.0, max: ms(1_000) };
        RetryConfig { max_retries: 2, backoff, jitter: Jitter::None, on: OutcomeSet::RETRYABLE, retry_after }
    }

    fn after(budget: Option<&mut AnyBudget>, retries_done: u32, outcome: Outcome) -> Decision {
        let attempt = Attempt { retries_done, outcome, ..FIRST };
        decide(&config(RetryAfter::Ignore), budget, SimTime::ZERO, &attempt, &mut Rng::from_seed(1))
    }

    #[test]
    fn products_obey_a_wait_in_their_own_ways() {
        let told = |retry_after, told_ms| {
            let attempt = Attempt { retries_done: 1, told: Some(ms(told_ms)), ..FIRST };
            match decide(&config(retry_after), None, SimTime::ZERO, &attempt, &mut Rng::from_seed(1)) {
                Decision::Retry { wait, restarts, .. } => (wait.delay.ns() / 1_000_000, restarts),
                Decision::GiveUp(_) => (0, false),
            }
        };
        assert_eq!(told(RetryAfter::Ignore, 700), (200, false));
        assert_eq!(
            (told(RetryAfter::AtLeast, 700), told(RetryAfter::AtLeast, 70)),
            ((700, false), (200, false))
        );
        let aws = RetryAfter::AtMost(SimDuration::from_secs(5));
        assert_eq!(
            (told(aws, 70), told(aws, 700), told(aws, 60_000)),
            ((200, false), (700, false), (5_200, false))
        );
        assert_eq!(told(RetryAfter::Pushback, 7), (7, true));
        // After a pushback the waits begin with the first again.
        let attempt = Attempt { retries_done: 1, backoff_from: 1, ..FIRST };
        let next =
            decide(&config(RetryAfter::Pushback), None, SimTime::ZERO, &attempt, &mut Rng::from_seed(1));
        assert_eq!(next, retry(ms(100), None));
    }

    #[test]
    fn no_retry_waits_until_its_deadline() {
        let by = |deadline_ms| {
            let attempt = Attempt { deadline: SimTime::ZERO + ms(deadline_ms), ..FIRST };
            decide(&config(RetryAfter::Ignore), None, SimTime::ZERO, &attempt, &mut Rng::from_seed(1))
        };
        assert_eq!(by(101), retry(ms(100), None));
        assert_eq!(by(100), Decision::GiveUp(GiveUp::Deadline));
    }

    #[test]
    fn what_is_retried_by_default() {
        let retried = |outcome: &Outcome| matches!(after(None, 0, *outcome), Decision::Retry { .. });
        let names: Vec<&str> =
            Outcome::ALL.iter().filter(|outcome| retried(outcome)).map(|outcome| outcome.name()).collect();
        assert_eq!(names, ["error", "timeout", "rejected", "unavailable"]);
    }

    #[test]
    fn gives_up_after_the_last_retry() {
        assert_eq!(after(None, 0, Outcome::Error), retry(ms(100), None));
        assert_eq!(after(None, 1, Outcome::Error), retry(ms(200), None));
        assert_eq!(after(None, 2, Outcome::Error), Decision::GiveUp(GiveUp::Exhausted));
        assert_eq!(after(None, 0, Outcome::Ok), Decision::GiveUp(GiveUp::NotRetryable));
    }

    #[test]
    fn the_budget_pays_only_for_a_retry_that_takes_place() {
        let config = AnyBudgetConfig::Tokens(BudgetConfig::ratio(0.0, 0.0, 1.0));
        let mut budget = AnyBudget::new(&config, SimTime::ZERO);
        after(Some(&mut budget), 0, Outcome::Ok);
        after(Some(&mut budget), 2, Outcome::Error);
        assert_eq!(after(Some(&mut budget), 0, Outcome::Error), retry(ms(100), Some(0)));
        assert_eq!(after(Some(&mut budget), 0, Outcome::Error), Decision::GiveUp(GiveUp::Budget));
    }
}
