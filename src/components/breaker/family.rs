//! Breakers of all makes behind one face.

use super::consecutive::{ConsecutiveBreaker, ConsecutiveConfig, Ending, Ticket};
use super::{Breaker, BreakerConfig, BreakerState, Transition, Verdict};
use crate::base::outcome::Outcome;
use crate::base::time::SimTime;

/// The settings of a breaker of either make.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum AnyBreakerConfig {
    /// opossum's: a share of failures within a window.
    Opossum(BreakerConfig),
    /// Failures in a row.
    Consecutive(ConsecutiveConfig),
}

/// A breaker of either make.
#[derive(Clone, Debug)]
pub enum AnyBreaker {
    /// opossum's.
    Opossum(Breaker),
    /// That which counts failures in a row.
    Consecutive(ConsecutiveBreaker),
}

impl AnyBreaker {
    /// A closed breaker that starts counting at `now`.
    pub fn new(config: AnyBreakerConfig, now: SimTime) -> Self {
        match config {
            AnyBreakerConfig::Opossum(config) => Self::Opossum(Breaker::new(config, now)),
            AnyBreakerConfig::Consecutive(config) => Self::Consecutive(ConsecutiveBreaker::new(config)),
        }
    }

    /// Changes the settings while it runs; one of another make is another breaker.
    pub fn reconfigure(&mut self, config: AnyBreakerConfig, now: SimTime) {
        match (self, config) {
            (Self::Opossum(breaker), AnyBreakerConfig::Opossum(config)) => breaker.reconfigure(config, now),
            (Self::Consecutive(breaker), AnyBreakerConfig::Consecutive(config)) => {
                breaker.reconfigure(config);
            }
            (other, config) => *other = Self::new(config, now),
        }
    }

    /// A call arrives: the ticket with which it passes, to be told with its outcome, or `None` if it is rejected.
    pub fn on_request(&mut self, now: SimTime) -> (Option<Ticket>, Option<Transition>) {
        match self {
            Self::Opossum(breaker) => {
                breaker.advance(now);
                let (verdict, transition) = breaker.on_request(now);
                ((verdict == Verdict::Pass).then_some(Ticket::NONE), transition)
            }
            Self::Consecutive(breaker) => (breaker.on_request(), None),
        }
    }

    /// An admitted call ended, or was called off.
    pub fn on_outcome(&mut self, now: SimTime, ticket: Ticket, outcome: Outcome) -> Option<Transition> {
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
        }
    }

    /// The reset timer went off. One that is not due, or no longer wanted, changes nothing.
    pub fn on_reset_timer(&mut self, now: SimTime) -> Option<Transition> {
        match self {
            Self::Opossum(breaker) => {
                breaker.advance(now);
                breaker.on_reset_timer(now)
            }
            Self::Consecutive(breaker) => breaker.on_reset_timer(now),
        }
    }

    /// When the reset timer is due; `None` unless open.
    pub fn half_open_at(&self) -> Option<SimTime> {
        match self {
            Self::Opossum(breaker) => breaker.half_open_at(),
            Self::Consecutive(breaker) => breaker.half_open_at(),
        }
    }

    /// Whether calls pass.
    pub fn state(&self) -> BreakerState {
        match self {
            Self::Opossum(breaker) => breaker.state(),
            Self::Consecutive(breaker) => breaker.state(),
        }
    }
}
