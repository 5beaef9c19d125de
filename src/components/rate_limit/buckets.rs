//! The token bucket and the generic cell rate algorithm: the same decisions from two points of view.

use super::{CallRate, ONE_CALL};
use crate::base::time::SimTime;

/// Tokens accrue continuously at a rate, up to a burst; a call takes one whole token or is turned away. Full at the
/// start.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: CallRate,
    /// The most it holds, and what it holds, in units of 10⁻¹⁸ tokens.
    capacity: u128,
    level: u128,
    filled_at: SimTime,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(rate: CallRate, burst: u32, now: SimTime) -> Self {
        let capacity = u128::from(burst) * ONE_CALL;
        Self { rate, capacity, level: capacity, filled_at: now }
    }

    /// Changes rate and burst. The tokens stay, as far as they fit.
    pub fn reconfigure(&mut self, rate: CallRate, burst: u32, now: SimTime) {
        self.fill(now);
        self.rate = rate;
        self.capacity = u128::from(burst) * ONE_CALL;
        self.level = self.level.min(self.capacity);
    }

    /// Takes a token, if there is a whole one.
    pub fn take(&mut self, now: SimTime) -> bool {
        self.fill(now);
        let passes = self.level >= ONE_CALL;
        if passes {
            self.level -= ONE_CALL;
        }
        passes
    }

    fn fill(&mut self, now: SimTime) {
        let accrued = self.rate.accrued(now.since(self.filled_at).ns());
        self.level = (self.level + accrued).min(self.capacity);
        self.filled_at = now;
    }
}

/// The generic cell rate algorithm: a call is due at the theoretical arrival time, a constant spacing after the one
/// before, and may come earlier by a tolerance of `burst - 1` spacings. It decides as a token bucket of `burst`
/// does. Times are kept in what the rate lets accrue until then, which is exact where a spacing in nanoseconds is not.
#[derive(Clone, Debug)]
pub struct Gcra {
    rate: CallRate,
    /// `(burst - 1)` spacings.
    tolerance: u128,
    /// The theoretical arrival time of the next call.
    due: u128,
    /// What is added to the accrual since time 0, so that a new rate goes on where the old one was.
    offset: u128,
    since: SimTime,
}

impl Gcra {
    /// A limiter that has seen no call.
    pub fn new(rate: CallRate, burst: u32) -> Self {
        Self { rate, tolerance: tolerance(burst), due: 0, offset: 0, since: SimTime::ZERO }
    }

    /// Changes rate and burst. The calls that might come at once stay as they are, as far as the burst allows.
    pub fn reconfigure(&mut self, rate: CallRate, burst: u32, now: SimTime) {
        let at = self.at(now);
        let left = (self.tolerance + ONE_CALL + at).saturating_sub(self.due.max(at));
        self.rate = rate;
        self.tolerance = tolerance(burst);
        self.offset = at;
        self.since = now;
        self.due = (at + self.tolerance + ONE_CALL).saturating_sub(left).max(at);
    }

    /// Whether a call conforms; if so, the next one is due a spacing later.
    pub fn take(&mut self, now: SimTime) -> bool {
        let at = self.at(now);
        let due = self.due.max(at);
        let passes = due <= at + self.tolerance;
        if passes {
            self.due = due + ONE_CALL;
        }
        passes
    }

    fn at(&self, now: SimTime) -> u128 {
        self.offset + self.rate.accrued(now.since(self.since).ns())
    }
}

fn tolerance(burst: u32) -> u128 {
    u128::from(burst.saturating_sub(1)) * ONE_CALL
}
