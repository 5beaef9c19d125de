//! The rolling window of a breaker: counters over a ring of buckets (opossum 10.0.0, `lib/status.js`).
//!
//! The newest bucket takes every count; a rotation empties the oldest and makes it the newest. The sums are kept
//! up to date, so that reading them costs nothing however many buckets there are.

use super::BreakerStats;
use crate::base::time::{SimDuration, SimTime};

/// The counters.
#[derive(Clone, Debug)]
pub(super) struct Window {
    buckets: Vec<BreakerStats>,
    newest: usize,
    total: BreakerStats,
    bucket_length: SimDuration,
    next_rotation: SimTime,
}

impl Window {
    /// An empty window, whose first rotation is due one bucket after `now`.
    pub(super) fn new(buckets: u32, bucket_length: SimDuration, now: SimTime) -> Self {
        Self {
            buckets: vec![BreakerStats::default(); buckets as usize],
            newest: 0,
            total: BreakerStats::default(),
            bucket_length,
            next_rotation: now + bucket_length,
        }
    }

    /// The sums over all buckets.
    pub(super) fn total(&self) -> BreakerStats {
        self.total
    }

    /// When the next rotation is due.
    #[inline]
    pub(super) fn next_rotation(&self) -> SimTime {
        self.next_rotation
    }

    /// Adds one to a counter, in the newest bucket.
    #[inline]
    pub(super) fn count(&mut self, field: impl Fn(&mut BreakerStats) -> &mut u32) {
        *field(&mut self.buckets[self.newest]) += 1;
        *field(&mut self.total) += 1;
    }

    /// Moves on by one bucket.
    pub(super) fn rotate(&mut self) {
        self.newest = (self.newest + 1) % self.buckets.len();
        let oldest = std::mem::take(&mut self.buckets[self.newest]);
        subtract(&mut self.total, oldest);
        self.next_rotation += self.bucket_length;
    }

    /// Does all rotations due at or before `now`, of which there is one at least; in one go after a long pause.
    pub(super) fn advance(&mut self, now: SimTime) {
        let due = now.since(self.next_rotation).ns() / self.bucket_length.ns() + 1;
        if due >= self.buckets.len() as u64 {
            self.buckets.fill(BreakerStats::default());
            self.total = BreakerStats::default();
            self.next_rotation += SimDuration::from_ns(due * self.bucket_length.ns());
        } else {
            (0..due).for_each(|_| self.rotate());
        }
    }
}

fn subtract(total: &mut BreakerStats, gone: BreakerStats) {
    total.fires -= gone.fires;
    total.successes -= gone.successes;
    total.failures -= gone.failures;
    total.timeouts -= gone.timeouts;
    total.rejects -= gone.rejects;
    total.fallbacks -= gone.fallbacks;
    total.semaphore -= gone.semaphore;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lazy_rotation_equals_rotation_on_time(gaps in prop::collection::vec(0u64..15_000, 1..60)) {
            let mut now = SimTime::ZERO;
            let mut lazy = Window::new(7, SimDuration::from_ms(1_428), now);
            let mut prompt = lazy.clone();
            for gap in gaps {
                now += SimDuration::from_ms(gap);
                if lazy.next_rotation() <= now {
                    lazy.advance(now);
                }
                while prompt.next_rotation() <= now {
                    prompt.rotate();
                }
                lazy.count(|c| &mut c.fires);
                prompt.count(|c| &mut c.fires);
                prop_assert_eq!(lazy.total(), prompt.total());
                prop_assert_eq!(lazy.next_rotation(), prompt.next_rotation());
            }
        }
    }
}
