//! Time averages: the mean of a level that jumps, such as a queue's length or the number of busy workers.
//!
//! A level holds until it changes, so its mean over a window is the area under its steps divided by the width. The
//! area is kept in whole level-nanoseconds and is exact; it is brought up to date when the level changes and never
//! in between.
//!
//! Invariant: the area covers the window from its start to the last change.

use crate::base::SimTime;

/// A whole-numbered level over time: its mean and its greatest value within the current window.
#[derive(Clone, Debug, Default)]
pub struct TimeAverage {
    level: u64,
    max: u64,
    start: SimTime,
    changed: SimTime,
    /// The area from `start` to `changed`, in level times nanoseconds.
    area: u128,
}

impl TimeAverage {
    /// A level of zero from time zero on.
    pub fn new() -> Self {
        Self::default()
    }

    /// The level is `level` from `now` on.
    #[inline]
    pub fn set(&mut self, now: SimTime, level: u64) {
        debug_assert!(now >= self.changed, "time never goes back");
        self.area = self.area_at(now);
        self.changed = now;
        self.level = level;
        self.max = self.max.max(level);
    }

    /// The level changes by `delta` at `now`. It must not fall below zero.
    #[inline]
    pub fn add(&mut self, now: SimTime, delta: i64) {
        debug_assert!(self.level.checked_add_signed(delta).is_some(), "{} {delta:+} is no level", self.level);
        self.set(now, self.level.saturating_add_signed(delta));
    }

    /// Begins a new window at `now`: keeps the level, forgets the area and the greatest value.
    pub fn restart(&mut self, now: SimTime) {
        *self = Self { level: self.level, max: self.level, start: now, changed: now, area: 0 };
    }

    /// The level after the last change.
    #[inline]
    pub fn level(&self) -> u64 {
        self.level
    }

    /// The greatest level of this window, however short it lasted.
    #[inline]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The area from the start of the window to `now`, in level times seconds: worker-seconds, request-seconds.
    pub fn area(&self, now: SimTime) -> f64 {
        self.area_at(now) as f64 / 1e9
    }

    /// The mean level from the start of the window to `now`; for a window of no length, the level.
    pub fn mean(&self, now: SimTime) -> f64 {
        let width = now.since(self.start);
        if width.is_zero() {
            return self.level as f64;
        }
        self.area_at(now) as f64 / width.ns() as f64
    }

    #[inline]
    fn area_at(&self, now: SimTime) -> u128 {
        self.area + u128::from(self.level) * u128::from(now.since(self.changed).ns())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ns: u64) -> SimTime {
        SimTime::from_ns(ns)
    }

    #[test]
    fn steps_are_weighted_by_their_length() {
        let mut busy = TimeAverage::new();
        busy.set(at(10), 4);
        busy.add(at(20), -3);
        assert_eq!(busy.mean(at(40)), (10.0 * 4.0 + 20.0) / 40.0);
        assert_eq!((busy.level(), busy.max()), (1, 4));
        assert_eq!(busy.area(at(40)), 60e-9);
    }

    #[test]
    fn a_new_window_keeps_the_level_only() {
        let mut busy = TimeAverage::new();
        busy.set(at(0), 9);
        busy.set(at(5), 2);
        busy.restart(at(10));
        assert_eq!((busy.mean(at(10)), busy.max()), (2.0, 2));
        busy.add(at(15), 2);
        assert_eq!((busy.mean(at(20)), busy.max()), (3.0, 4));
    }

    #[test]
    fn a_peak_without_length_counts_for_the_maximum_only() {
        let mut busy = TimeAverage::new();
        busy.set(at(5), 100);
        busy.set(at(5), 0);
        assert_eq!((busy.mean(at(10)), busy.max()), (0.0, 100));
    }

    proptest! {
        #[test]
        fn agrees_with_counting_every_nanosecond(steps in prop::collection::vec((0u64..20, 0u64..9), 1..50)) {
            let mut gauge = TimeAverage::new();
            let (mut now, mut level, mut sum) = (0, 0, 0);
            for (wait, next) in steps {
                sum += (0..wait).map(|_| level).sum::<u64>();
                now += wait;
                level = next;
                gauge.set(at(now), level);
            }
            let expected = if now == 0 { level as f64 } else { sum as f64 / now as f64 };
            prop_assert_eq!(gauge.mean(at(now)), expected);
        }
    }
}
