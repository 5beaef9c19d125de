//! Limits per window: fixed ones, sliding ones, and sliding ones estimated from two fixed ones.

use crate::base::time::{SimDuration, SimTime};
use std::collections::VecDeque;

/// So many calls in each window; windows begin at multiples of their length from time 0. Twice the limit may pass
/// around a boundary.
#[derive(Clone, Debug)]
pub struct FixedWindow {
    limit: u32,
    window: u64,
    /// The window that is counted, and its calls.
    number: u64,
    count: u32,
}

impl FixedWindow {
    /// Nothing has been counted.
    pub fn new(limit: u32, window: SimDuration) -> Self {
        Self { limit, window: window.ns().max(1), number: 0, count: 0 }
    }

    /// Changes limit and window. Another window starts a new count.
    pub fn reconfigure(&mut self, limit: u32, window: SimDuration) {
        if self.window != window.ns().max(1) {
            *self = Self::new(limit, window);
        }
        self.limit = limit;
    }

    /// Counts a call, if the window allows one more.
    pub fn take(&mut self, now: SimTime) -> bool {
        let number = now.ns() / self.window;
        if number != self.number {
            self.number = number;
            self.count = 0;
        }
        let passes = self.count < self.limit;
        self.count += u32::from(passes);
        passes
    }
}

/// So many calls in any window: the times of those admitted are kept. A call no longer counts when the window's
/// length has passed since it.
#[derive(Clone, Debug)]
pub struct SlidingWindow {
    limit: u32,
    window: SimDuration,
    admitted: VecDeque<SimTime>,
}

impl SlidingWindow {
    /// Nothing has been counted.
    pub fn new(limit: u32, window: SimDuration) -> Self {
        Self { limit, window: window.max(SimDuration::from_ns(1)), admitted: VecDeque::new() }
    }

    /// Changes limit and window. The calls that are known count on.
    pub fn reconfigure(&mut self, limit: u32, window: SimDuration) {
        self.limit = limit;
        self.window = window.max(SimDuration::from_ns(1));
    }

    /// Counts a call, if the window that ends now allows one more.
    pub fn take(&mut self, now: SimTime) -> bool {
        while self.admitted.front().is_some_and(|at| now.since(*at) >= self.window) {
            self.admitted.pop_front();
        }
        let passes = self.admitted.len() < self.limit as usize;
        if passes {
            self.admitted.push_back(now);
        }
        passes
    }
}

/// A sliding window estimated from two counters, as Cloudflare describes it ("How we built rate limiting capable of
/// scaling to millions of domains", 2017): the calls of the current window, and those of the previous one in
/// proportion to how much of it the sliding window still covers. A call passes while the estimate is below the limit.
/// Only admitted calls are counted, as in Upstash's `slidingWindow`.
#[derive(Clone, Debug)]
pub struct SlidingCounter {
    limit: u32,
    window: u64,
    number: u64,
    current: u32,
    previous: u32,
}

impl SlidingCounter {
    /// Nothing has been counted.
    pub fn new(limit: u32, window: SimDuration) -> Self {
        Self { limit, window: window.ns().max(1), number: 0, current: 0, previous: 0 }
    }

    /// Changes limit and window. Another window starts a new count.
    pub fn reconfigure(&mut self, limit: u32, window: SimDuration) {
        if self.window != window.ns().max(1) {
            *self = Self::new(limit, window);
        }
        self.limit = limit;
    }

    /// Counts a call, if the estimate allows one more.
    pub fn take(&mut self, now: SimTime) -> bool {
        let number = now.ns() / self.window;
        if number != self.number {
            self.previous = if number == self.number + 1 { self.current } else { 0 };
            self.current = 0;
            self.number = number;
        }
        let window = u128::from(self.window);
        let covered = window - u128::from(now.ns() % self.window);
        let estimate = u128::from(self.previous) * covered + u128::from(self.current) * window;
        let passes = estimate < u128::from(self.limit) * window;
        self.current += u32::from(passes);
        passes
    }
}
