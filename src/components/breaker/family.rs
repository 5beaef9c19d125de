//! Breakers of all makes behind one face.

use super::consecutive::{ConsecutiveBreaker, ConsecutiveConfig, Ending, Ticket};
use super::polly::{PollyBreaker, PollyConfig};
use super::resilience4j::{Resilience4jBreaker, Resilience4jConfig};
use super::{Breaker, BreakerConfig, BreakerState, Transition, Verdict};
use crate::base::outcome::Outcome;
use crate::base::time::SimTime;

/// The settings of a breaker of any make.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum AnyBreakerConfig {
    /// opossum's: a share of failures within a window.
    Opossum(BreakerConfig),
    /// Failures in a row.
    Consecutive(ConsecutiveConfig),
    /// resilience4j's: shares of failures and of slow calls.
    Resilience4j(Resilience4jConfig),
    /// Polly's: a share of failures.
    Polly(PollyConfig),
}

/// A breaker of any make.
#[derive(Clone, Debug)]
pub enum AnyBreaker {
    /// opossum's.
    Opossum(Breaker),
    /// That which counts failures in a row.
    Consecutive(ConsecutiveBreaker),
    /// resilience4j's.
    Resilience4j(Resilience4jBreaker),
    /// Polly's.
    Polly(PollyBreaker),
}

impl AnyBreaker {
    /// A closed breaker that starts counting at `now`.
    pub fn new(config: AnyBreakerConfig, now: SimTime) -> Self {
        match config {
            AnyBreakerConfig::Opossum(config) => Self::Opossum(Breaker::new(config, now)),
            AnyBreakerConfig::Consecutive(config) => Self::Consecutive(ConsecutiveBreaker::new(config)),
            AnyBreakerConfig::Resilience4j(config) => {
                Self::Resilience4j(Resilience4jBreaker::new(config, now))
            }
            AnyBreakerConfig::Polly(config) => Self::Polly(PollyBreaker::new(config)),
        }
    }

    /// Changes the settings while it runs; one of another make is another breaker.
    pub fn reconfigure(&mut self, config: AnyBreakerConfig, now: SimTime) {
        match (self, config) {
            (Self::Opossum(breaker), AnyBreakerConfig::Opossum(config)) => breaker.reconfigure(config, now),
            (Self::Consecutive(breaker), AnyBreakerConfig::Consecutive(config)) => {
                breaker.reconfigure(config);
            }
            (Self::Resilience4j(breaker), AnyBreakerConfig::Resilience4j(config)) => {
                breaker.reconfigure(config, now);
            }
            (Self::Polly(breaker), AnyBreakerConfig::Polly(config)) => breaker.reconfigure(config),
            (other, config) => *other = Self::new(config, now),
        }
    }

    /// A call arrives: the ticket with which it passes, to be told with its outcome, or `None` if it is rejected.
    #[inline]
    pub fn on_request(&mut self, now: SimTime) -> (Option<Ticket>, Option<Transition>) {
        match self {
            Self::Opossum(breaker) => {
                breaker.advance(now);
                let (verdict, transition) = breaker.on_request(now);
                ((verdict == Verdict::Pass).then_some(Ticket::NONE), transition)
            }
            Self::Consecutive(breaker) => (breaker.on_request(), None),
            Self::Resilience4j(breaker) => admitted(breaker.on_request(now)),
            Self::Polly(breaker) => admitted(breaker.on_request(now)),
        }
    }

    /// A call that was admitted at `since` ended, or was called off.
    #[inline]
    pub fn on_outcome(
        &mut self,
        now: SimTime,
        ticket: Ticket,
        since: SimTime,
        outcome: Outcome,
    ) -> Option<Transition> {
        match self {
            Self::Opossum(breaker) => {
                breaker.advance(now);
                match outcome {
                    Outcome::Ok | Outcome::Degraded => breaker.on_success(now),
                    Outcome::Timeout => breaker.on_timeout(now),
                    Outcome::Error | Outcome::Rejected | Outcome::Unavailable => breaker.on_failure(now),
                    Outcome::Cancelled => {
                        breaker.on_cancelled();
                        None
                    }
                }
            }
            Self::Consecutive(breaker) => {
                let ending = match outcome {
                    Outcome::Cancelled => Ending::Cancelled,
                    outcome if outcome.is_success() => Ending::Success,
                    _ => Ending::Failure,
                };
                breaker.on_ending(now, ticket, ending)
            }
            Self::Resilience4j(breaker) if outcome == Outcome::Cancelled => {
                breaker.on_cancelled();
                None
            }
            Self::Resilience4j(breaker) => breaker.on_result(now, now.since(since), !outcome.is_success()),
            // To Polly's handling, a cancellation is neither a success nor a failure.
            Self::Polly(_) if outcome == Outcome::Cancelled => None,
            Self::Polly(breaker) => breaker.on_result(now, !outcome.is_success()),
        }
    }

    /// The timer went off. One that is not due, or no longer wanted, changes nothing.
    pub fn on_reset_timer(&mut self, now: SimTime) -> Option<Transition> {
        match self {
            Self::Opossum(breaker) => {
                breaker.advance(now);
                breaker.on_reset_timer(now)
            }
            Self::Consecutive(breaker) => breaker.on_reset_timer(now),
            Self::Resilience4j(breaker) => breaker.on_timer(now),
            Self::Polly(_) => None,
        }
    }

    /// When the timer is due that changes its state by itself, if one runs.
    pub fn timer_at(&self) -> Option<SimTime> {
        match self {
            Self::Opossum(breaker) => breaker.half_open_at(),
            Self::Consecutive(breaker) => breaker.half_open_at(),
            Self::Resilience4j(breaker) => breaker.timer_at(),
            Self::Polly(_) => None,
        }
    }

    /// Whether calls pass.
    #[inline]
    pub fn state(&self) -> BreakerState {
        match self {
            Self::Opossum(breaker) => breaker.state(),
            Self::Consecutive(breaker) => breaker.state(),
            Self::Resilience4j(breaker) => breaker.state(),
            Self::Polly(breaker) => breaker.state(),
        }
    }
}

/// The answer of a breaker that does without tickets.
fn admitted((passes, transition): (bool, Option<Transition>)) -> (Option<Ticket>, Option<Transition>) {
    (passes.then_some(Ticket::NONE), transition)
}
