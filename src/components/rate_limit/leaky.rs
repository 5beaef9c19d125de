//! The leaky bucket as a queue: calls leave it at a constant pace, as nginx's `limit_req` delays them.

use super::CallRate;
use crate::base::time::{SimDuration, SimTime};

/// The pace of the queue; who waits in it is kept by the [`RateLimiter`](super::RateLimiter). The spacing is 1/rate,
/// rounded up to a whole nanosecond.
#[derive(Clone, Debug)]
pub struct LeakyBucket {
    spacing: SimDuration,
    capacity: u32,
    last: Option<SimTime>,
}

impl LeakyBucket {
    /// A bucket that nothing has left yet.
    pub fn new(rate: CallRate, capacity: u32) -> Self {
        Self { spacing: rate.spacing(), capacity, last: None }
    }

    /// Changes rate and capacity. The next call leaves a new spacing after the last; nobody who waits is put out.
    pub fn reconfigure(&mut self, rate: CallRate, capacity: u32) {
        self.spacing = rate.spacing();
        self.capacity = capacity;
    }

    /// How many may wait.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// When the next call may leave.
    pub fn free_at(&self) -> SimTime {
        self.last.map_or(SimTime::ZERO, |last| last + self.spacing)
    }

    /// A call leaves, if it may.
    pub fn take(&mut self, now: SimTime) -> bool {
        let passes = self.free_at() <= now;
        if passes {
            self.last = Some(now);
        }
        passes
    }
}
