//! resilience4j's circuit breaker, version 2.3.0 (Java): `CircuitBreakerStateMachine`, `CircuitBreakerMetrics` and the
//! sliding windows of `resilience4j-core`. Recordings of it are replayed line by line by `tests/conformance.rs`.
//!
//! ```text
//!            a rate >= its threshold               a call, strictly after the wait
//!   Closed ──────────────────────────► Open ────────────────────────────────────► HalfOpen
//!     ▲                                 ▲                                          │    │
//!     │                                 └───── enough results: a rate >= threshold ┘    │
//!     └──────────────────────────────────────── enough results: below both thresholds ──┘
//! ```
//!
//! What surprises:
//!
//! - It is half open *lazily*: nothing happens when the wait is over. The first call that comes strictly later enters
//!   half open, and is a trial. (Unless `automatic_transition_from_open_to_half_open_enabled` is set.)
//! - Half open lets `permitted_number_of_calls_in_half_open_state` calls through in all, not at once: places are not
//!   filled again. With fewer `minimum_number_of_calls` than that, it decides while trials are still under way.
//! - Results count in the state that is current when they come, whenever their calls were sent: late answers of calls
//!   sent while it was closed decide a half open breaker.
//! - Calls that were called off give their place back and count for nothing (`releasePermission`), also if they were
//!   sent before it was half open: then more than the permitted calls pass.
//! - A window of calls never forgets by time. A window of time is one of whole seconds of the clock: its span is
//!   between `sliding_window_size - 1` and `sliding_window_size` seconds.
//! - Waits that grow are reset only by closing.
//! - Rates are 32-bit floats, and are undefined below the fewest calls.

mod window;

use self::window::Window;
use super::{BreakerState, Transition};
use crate::base::time::{SimDuration, SimTime};

/// Over what rates are taken (`slidingWindowType`, `slidingWindowSize`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlidingWindow {
    /// So many of the last results: at least one.
    Count(u32),
    /// So many seconds of the clock: at least one.
    Time(u32),
}

/// How long it stays open (`waitIntervalFunctionInOpenState`).
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum OpenWait {
    /// The same time each time (`waitDurationInOpenState`).
    Constant(SimDuration),
    /// `IntervalFunction.ofExponentialBackoff`: longer each time it opens without having closed, in whole
    /// milliseconds, rounded down at each step.
    Exponential {
        /// The first wait.
        initial: SimDuration,
        /// The factor of growth, at least 1.
        multiplier: f64,
        /// The longest wait.
        max: Option<SimDuration>,
    },
}

impl OpenWait {
    /// The wait of an attempt, counted from 1.
    fn of(&self, attempt: u32) -> SimDuration {
        match *self {
            Self::Constant(wait) => wait,
            Self::Exponential { initial, multiplier, max } => {
                let max = max.map_or(u64::MAX / 2_000_000, |max| max.ns() / 1_000_000);
                let mut wait = initial.ns() / 1_000_000;
                for _ in 1..attempt {
                    let next = (wait as f64 * multiplier) as u64;
                    if wait >= max || next == wait {
                        break;
                    }
                    wait = next;
                }
                SimDuration::from_ms(wait.min(max))
            }
        }
    }
}

/// What can be set on a [`Resilience4jBreaker`]; the names are resilience4j's.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Resilience4jConfig {
    /// Over what rates are taken.
    pub sliding_window: SlidingWindow,
    /// The fewest results before rates are defined; of a window of calls, at most its size.
    pub minimum_number_of_calls: u32,
    /// Opens at this percentage of failures, or above.
    pub failure_rate_threshold: f32,
    /// Opens at this percentage of slow calls, or above.
    pub slow_call_rate_threshold: f32,
    /// A call that took longer than this is slow, however it ended.
    pub slow_call_duration_threshold: SimDuration,
    /// How many calls pass while half open: at least one.
    pub permitted_number_of_calls_in_half_open_state: u32,
    /// How long it stays open.
    pub wait_in_open_state: OpenWait,
    /// How long it may stay half open; `None` for ever (resilience4j's 0).
    pub max_wait_duration_in_half_open_state: Option<SimDuration>,
    /// Whether it closes, not opens, after that.
    pub closes_after_wait_in_half_open_state: bool,
    /// Whether a timer, not the next call, makes it half open.
    pub automatic_transition_from_open_to_half_open_enabled: bool,
}

impl Resilience4jConfig {
    /// The defaults of resilience4j 2.3.0.
    pub const DEFAULT: Self = Self {
        sliding_window: SlidingWindow::Count(100),
        minimum_number_of_calls: 100,
        failure_rate_threshold: 50.0,
        slow_call_rate_threshold: 100.0,
        slow_call_duration_threshold: SimDuration::from_secs(60),
        permitted_number_of_calls_in_half_open_state: 10,
        wait_in_open_state: OpenWait::Constant(SimDuration::from_secs(60)),
        max_wait_duration_in_half_open_state: None,
        closes_after_wait_in_half_open_state: false,
        automatic_transition_from_open_to_half_open_enabled: false,
    };
}

/// What is counted, as resilience4j's `CircuitBreaker.Metrics` has it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Resilience4jStats {
    /// Percentage of failures; -1 below the fewest calls.
    pub failure_rate: f32,
    /// Percentage of slow calls; -1 below the fewest calls.
    pub slow_call_rate: f32,
    /// Results in the window.
    pub buffered: u32,
    /// Failures among them.
    pub failed: u32,
    /// Slow calls among them.
    pub slow: u32,
    /// Calls turned away since the window was made.
    pub not_permitted: u32,
}

/// The breaker.
#[derive(Clone, Debug)]
pub struct Resilience4jBreaker {
    config: Resilience4jConfig,
    state: BreakerState,
    /// The window while closed.
    closed: Window,
    /// The window of trials while half open: of calls, and as many as are permitted.
    trials: Window,
    /// Whether `trials` is the one that counts. Open inherits that of the state before.
    counts_trials: bool,
    not_permitted: u32,
    /// How often it has opened since it was closed.
    attempts: u32,
    /// Calls that may still pass while half open.
    permits: u32,
    /// Open: calls after this are trials.
    open_until: SimTime,
    /// The timer that runs, if any.
    timer: Option<SimTime>,
}

impl Resilience4jBreaker {
    /// A closed breaker that starts counting at `now`.
    pub fn new(config: Resilience4jConfig, now: SimTime) -> Self {
        Self {
            config,
            state: BreakerState::Closed,
            closed: Window::new(config.sliding_window, now),
            trials: Window::new(
                SlidingWindow::Count(config.permitted_number_of_calls_in_half_open_state),
                now,
            ),
            counts_trials: false,
            not_permitted: 0,
            attempts: 0,
            permits: 0,
            open_until: SimTime::ZERO,
            timer: None,
        }
    }

    /// Changes the settings while it runs. Its state, a wait under way and trials under way stay; a window of another
    /// type or size starts anew. (resilience4j itself would need another breaker.)
    pub fn reconfigure(&mut self, config: Resilience4jConfig, now: SimTime) {
        if self.config.sliding_window != config.sliding_window {
            self.closed = Window::new(config.sliding_window, now);
        }
        let permitted = config.permitted_number_of_calls_in_half_open_state;
        if self.config.permitted_number_of_calls_in_half_open_state != permitted {
            self.trials = Window::new(SlidingWindow::Count(permitted), now);
            self.permits = self.permits.max(u32::from(self.state == BreakerState::HalfOpen)).min(permitted);
        }
        self.config = config;
    }

    /// A call arrives: whether it passes. One that passes is told by [`on_result`](Self::on_result) or
    /// [`on_cancelled`](Self::on_cancelled).
    pub fn on_request(&mut self, now: SimTime) -> (bool, Option<Transition>) {
        let mut transition = None;
        if self.state == BreakerState::Open && now > self.open_until {
            transition = Some(self.half_open(now));
        }
        let passes = match self.state {
            BreakerState::Closed => true,
            BreakerState::Open => false,
            BreakerState::HalfOpen => self.permits > 0,
        };
        if !passes {
            self.not_permitted += 1;
        } else if self.state == BreakerState::HalfOpen {
            self.permits -= 1;
        }
        (passes, transition)
    }

    /// A call that passed has ended after `duration`, whatever was the state when it passed.
    pub fn on_result(&mut self, now: SimTime, duration: SimDuration, failed: bool) -> Option<Transition> {
        let slow = duration > self.config.slow_call_duration_threshold;
        let window = if self.counts_trials { &mut self.trials } else { &mut self.closed };
        window.record(now, failed, slow);
        let stats = self.stats(now);
        // Below the fewest calls the rates say nothing.
        if stats.failure_rate < 0.0 || self.state == BreakerState::Open {
            return None;
        }
        let exceeded = stats.failure_rate >= self.config.failure_rate_threshold
            || stats.slow_call_rate >= self.config.slow_call_rate_threshold;
        match self.state {
            _ if exceeded => Some(self.open(now)),
            BreakerState::HalfOpen => Some(self.close(now)),
            _ => None,
        }
    }

    /// A call that passed was called off: half open, another one may pass.
    pub fn on_cancelled(&mut self) {
        if self.state == BreakerState::HalfOpen {
            self.permits += 1;
        }
    }

    /// The timer went off. One that is not due, or no longer wanted, changes nothing.
    pub fn on_timer(&mut self, now: SimTime) -> Option<Transition> {
        if self.timer? > now {
            return None;
        }
        Some(match self.state {
            BreakerState::Open => self.half_open(now),
            _ if self.config.closes_after_wait_in_half_open_state => self.close(now),
            _ => self.open(now),
        })
    }

    /// When the timer is due: the end of an open state that ends by itself, or that of the longest half open state.
    pub fn timer_at(&self) -> Option<SimTime> {
        self.timer
    }

    /// Whether calls pass. An open breaker stays open until a call comes.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// What is counted now.
    pub fn stats(&mut self, now: SimTime) -> Resilience4jStats {
        let (window, size) = if self.counts_trials {
            let permitted = self.config.permitted_number_of_calls_in_half_open_state;
            (&mut self.trials, SlidingWindow::Count(permitted))
        } else {
            (&mut self.closed, self.config.sliding_window)
        };
        let total = window.total(now);
        let minimum = match size {
            SlidingWindow::Count(size) => self.config.minimum_number_of_calls.min(size),
            SlidingWindow::Time(_) => self.config.minimum_number_of_calls,
        };
        let rate = |part: u32| {
            if total.calls == 0 || total.calls < minimum {
                -1.0
            } else {
                part as f32 * 100.0 / total.calls as f32
            }
        };
        Resilience4jStats {
            failure_rate: rate(total.failed),
            slow_call_rate: rate(total.slow),
            buffered: total.calls,
            failed: total.failed,
            slow: total.slow,
            not_permitted: self.not_permitted,
        }
    }

    fn open(&mut self, now: SimTime) -> Transition {
        self.attempts += 1;
        self.open_until = now + self.config.wait_in_open_state.of(self.attempts);
        let timer =
            self.config.automatic_transition_from_open_to_half_open_enabled.then_some(self.open_until);
        self.go(BreakerState::Open, timer)
    }

    fn half_open(&mut self, now: SimTime) -> Transition {
        self.trials.clear(now);
        self.counts_trials = true;
        self.not_permitted = 0;
        self.permits = self.config.permitted_number_of_calls_in_half_open_state;
        self.go(
            BreakerState::HalfOpen,
            self.config.max_wait_duration_in_half_open_state.map(|wait| now + wait),
        )
    }

    fn close(&mut self, now: SimTime) -> Transition {
        self.closed.clear(now);
        self.counts_trials = false;
        self.not_permitted = 0;
        self.attempts = 0;
        self.go(BreakerState::Closed, None)
    }

    fn go(&mut self, to: BreakerState, timer: Option<SimTime>) -> Transition {
        let from = std::mem::replace(&mut self.state, to);
        debug_assert!(from != to, "a transition leads elsewhere");
        self.timer = timer;
        Transition { from, to }
    }
}

#[cfg(test)]
mod tests;
