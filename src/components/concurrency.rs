//! Limits on calls in progress that find themselves: as many as do not make each other slow.
//!
//! A fixed bulkhead has to be right for every load. These limits grow while answers are as fast as ever, and shrink
//! when they become slow or are lost, as TCP does with its window. They are those of Netflix' concurrency-limits
//! (Java, snapshot 78a74b9) in `limits.rs`, compared with its recordings by `tests/conformance.rs`, and Envoy's
//! gradient controller in `envoy.rs`.
//!
//! The limiter around them is Netflix' `SimpleLimiter`: a call passes if fewer are in progress than the limit. With a
//! [`Backlog`] it is the `LifoBlockingLimiter`: calls wait, and the *last* that came is served first. An answer lets at
//! most one of them go on, even if the limit has grown by more.

pub mod envoy;
pub mod limits;

use self::envoy::{EnvoyAdaptive, EnvoyConfig};
use self::limits::{
    Aimd, AimdConfig, Gradient, Gradient2, Gradient2Config, GradientConfig, Vegas, VegasConfig,
};
use crate::base::time::{SimDuration, SimTime};
use std::collections::VecDeque;

/// An algorithm with its settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum LimitConfig {
    /// Always the same (`FixedLimit`).
    Fixed(u32),
    /// One more at a time, or a share of all (`AIMDLimit`).
    Aimd(AimdConfig),
    /// By the queue that answers seem to have waited in (`VegasLimit`).
    Vegas(VegasConfig),
    /// By the shortest time over the present one (`GradientLimit`).
    Gradient(GradientConfig),
    /// By the usual time over the present one (`Gradient2Limit`).
    Gradient2(Gradient2Config),
    /// Envoy's adaptive concurrency filter.
    Envoy(EnvoyConfig),
}

/// `WindowedLimit`: samples are gathered, and told together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowConfig {
    /// The shortest window.
    pub min_window_time: SimDuration,
    /// The longest; between them a window is twice the shortest time in it.
    pub max_window_time: SimDuration,
    /// A window with fewer samples is thrown away.
    pub window_size: u32,
    /// Samples below this do not count.
    pub min_rtt_threshold: SimDuration,
}

/// `LifoBlockingLimiter`: who may not pass waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backlog {
    /// How many may wait.
    pub size: u32,
    /// The longest wait; the caller owns the timer.
    pub timeout: SimDuration,
}

/// What can be set on a [`Limiter`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LimiterConfig {
    /// How the limit is found.
    pub limit: LimitConfig,
    /// Whether samples are gathered.
    pub window: Option<WindowConfig>,
    /// Whether calls wait.
    pub backlog: Option<Backlog>,
}

/// How a call ended, as a limit sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finish {
    /// With an answer, whose time counts.
    Success,
    /// It was refused or took too long: there was too much of it.
    Dropped,
    /// Otherwise: nothing is learnt.
    Ignored,
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it began.
    pub since: SimTime,
    /// How long it took.
    pub rtt: SimDuration,
    /// How many calls were in progress when it began, itself included.
    pub in_flight: u32,
    /// Whether it was dropped.
    pub dropped: bool,
    /// A uniform random number of its own, from 0 to 1.
    pub dice: f64,
}

/// What becomes of one who wants to enter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// It is in progress, with so many others and itself.
    Admitted(u32),
    /// It waits.
    Queued,
    /// It is turned away.
    Rejected,
}

#[derive(Clone, Debug)]
enum AnyLimit {
    Fixed(u32),
    Aimd(Aimd),
    Vegas(Vegas),
    Gradient(Gradient),
    Gradient2(Gradient2),
    Envoy(EnvoyAdaptive),
}

impl AnyLimit {
    fn new(config: LimitConfig, now: SimTime) -> Self {
        match config {
            LimitConfig::Fixed(limit) => Self::Fixed(limit),
            LimitConfig::Aimd(config) => Self::Aimd(Aimd::new(config)),
            LimitConfig::Vegas(config) => Self::Vegas(Vegas::new(config)),
            LimitConfig::Gradient(config) => Self::Gradient(Gradient::new(config)),
            LimitConfig::Gradient2(config) => Self::Gradient2(Gradient2::new(config)),
            LimitConfig::Envoy(config) => Self::Envoy(EnvoyAdaptive::new(config, now)),
        }
    }

    fn reconfigure(&mut self, config: LimitConfig, now: SimTime) {
        match (self, config) {
            (Self::Aimd(limit), LimitConfig::Aimd(config)) => limit.reconfigure(config),
            (Self::Vegas(limit), LimitConfig::Vegas(config)) => limit.reconfigure(config),
            (Self::Gradient(limit), LimitConfig::Gradient(config)) => limit.reconfigure(config),
            (Self::Gradient2(limit), LimitConfig::Gradient2(config)) => limit.reconfigure(config),
            (Self::Envoy(limit), LimitConfig::Envoy(config)) => limit.reconfigure(config),
            (other, config) => *other = Self::new(config, now),
        }
    }

    fn limit(&self) -> u32 {
        match self {
            Self::Fixed(limit) => *limit,
            Self::Aimd(limit) => limit.limit(),
            Self::Vegas(limit) => limit.limit(),
            Self::Gradient(limit) => limit.limit(),
            Self::Gradient2(limit) => limit.limit(),
            Self::Envoy(limit) => limit.limit(),
        }
    }

    fn on_sample(&mut self, sample: &Sample) {
        match self {
            Self::Fixed(_) => {}
            Self::Aimd(limit) => limit.on_sample(sample),
            Self::Vegas(limit) => limit.on_sample(sample),
            Self::Gradient(limit) => limit.on_sample(sample),
            Self::Gradient2(limit) => limit.on_sample(sample),
            Self::Envoy(limit) => limit.on_sample(sample),
        }
    }
}

/// What a window has gathered.
#[derive(Clone, Copy, Debug)]
struct Gathered {
    min_rtt: u64,
    sum: u64,
    in_flight: u32,
    samples: u32,
    dropped: bool,
}

impl Gathered {
    const NOTHING: Self = Self { min_rtt: u64::MAX, sum: 0, in_flight: 0, samples: 0, dropped: false };
}

/// A limiter. `W` names who waits: an id.
#[derive(Clone, Debug)]
pub struct Limiter<W> {
    config: LimiterConfig,
    limit: AnyLimit,
    gathered: Gathered,
    next_update: SimTime,
    in_use: u32,
    /// The last that came is at the back.
    waiting: VecDeque<W>,
}

impl<W: Copy + PartialEq> Limiter<W> {
    /// A limiter without calls.
    pub fn new(config: LimiterConfig, now: SimTime) -> Self {
        Self {
            config,
            limit: AnyLimit::new(config.limit, now),
            gathered: Gathered::NOTHING,
            next_update: SimTime::ZERO,
            in_use: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Changes the settings while it runs: nobody is put out, and the same algorithm goes on from the limit it has
    /// found, within its new bounds. More room is given to those who wait by calling [`admit`](Self::admit).
    pub fn reconfigure(&mut self, config: LimiterConfig, now: SimTime) {
        if self.config.limit != config.limit {
            self.limit.reconfigure(config.limit, now);
        }
        self.config = config;
    }

    /// Lets time pass: Envoy's limit changes by itself.
    pub fn advance(&mut self, now: SimTime) {
        if let AnyLimit::Envoy(limit) = &mut self.limit {
            limit.advance(now);
        }
    }

    /// Somebody wants to enter.
    pub fn enter(&mut self, now: SimTime, who: W) -> Entry {
        self.advance(now);
        if self.in_use < self.limit.limit() {
            self.in_use += 1;
            return Entry::Admitted(self.in_use);
        }
        match self.config.backlog {
            Some(backlog) if self.waiting() < backlog.size => {
                self.waiting.push_back(who);
                Entry::Queued
            }
            _ => Entry::Rejected,
        }
    }

    /// Somebody who was in progress has ended. Whose turn it may be is said by [`admit`](Self::admit), once.
    pub fn leave(&mut self, now: SimTime, finish: Finish, since: SimTime, in_flight: u32, dice: f64) {
        debug_assert!(self.in_use > 0, "who leaves has entered");
        self.advance(now);
        self.in_use = self.in_use.saturating_sub(1);
        if finish != Finish::Ignored {
            let dropped = finish == Finish::Dropped;
            self.on_sample(Sample { since, rtt: now.since(since), in_flight, dropped, dice });
        }
    }

    /// Lets the last that came in, if there is room: it is in progress then, with so many others and itself.
    pub fn admit(&mut self) -> Option<(W, u32)> {
        if self.in_use >= self.limit.limit() {
            return None;
        }
        let next = self.waiting.pop_back()?;
        self.in_use += 1;
        Some((next, self.in_use))
    }

    /// Takes out one who waits; `false` if they do not. Those who waited longest are looked at first.
    pub fn abandon(&mut self, who: W) -> bool {
        let at = self.waiting.iter().position(|w| *w == who);
        at.is_some_and(|at| self.waiting.remove(at).is_some())
    }

    /// Takes out any who waits, as the limiter is to go.
    pub fn evict(&mut self) -> Option<W> {
        self.waiting.pop_front()
    }

    /// The limit as it stands.
    pub fn limit(&self) -> u32 {
        self.limit.limit()
    }

    /// How many are in progress. After the limit has shrunk they may be more than it.
    pub fn in_use(&self) -> u32 {
        self.in_use
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.len() as u32
    }

    /// The longest wait, if calls may wait at all.
    pub fn wait_max(&self) -> Option<SimDuration> {
        self.config.backlog.map(|backlog| backlog.timeout)
    }

    /// Tells the algorithm of a call that has ended, at once or together with others.
    pub fn on_sample(&mut self, sample: Sample) {
        let Some(window) = self.config.window else { return self.limit.on_sample(&sample) };
        if sample.rtt < window.min_rtt_threshold {
            return;
        }
        let all = &mut self.gathered;
        all.min_rtt = all.min_rtt.min(sample.rtt.ns());
        all.sum += sample.rtt.ns();
        all.in_flight = all.in_flight.max(sample.in_flight);
        all.samples += 1;
        all.dropped |= sample.dropped;
        let now = sample.since + sample.rtt;
        if now <= self.next_update {
            return;
        }
        let all = std::mem::replace(&mut self.gathered, Gathered::NOTHING);
        // In this order, as the library has it: the longest time wins if they are the wrong way round.
        let length = (all.min_rtt * 2).max(window.min_window_time.ns()).min(window.max_window_time.ns());
        self.next_update = now + SimDuration::from_ns(length);
        if all.samples >= window.window_size {
            let rtt = SimDuration::from_ns(all.sum / u64::from(all.samples));
            self.limit.on_sample(&Sample { rtt, in_flight: all.in_flight, dropped: all.dropped, ..sample });
        }
    }
}

#[cfg(test)]
mod tests;
