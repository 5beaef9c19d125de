//! Time averages: the mean of a level that jumps, such as a queue's length or the number of busy workers.
//!
//! A level holds until it changes, so its mean over a window is the area under its steps divided by the width. The
//! area is exact, in whole level-nanoseconds: the level at the end of the window times that instant, less each step
//! times its own instant. So a step costs an addition and a product, and nobody need remember the one before.
//!
//! Invariant: at any instant `t` after the last change, the area from the start of the window is `level t - steps`.

use crate::base::SimTime;

/// A whole-numbered level over time: its mean and its greatest value within the current window.
#[derive(Clone, Debug, Default)]
pub struct TimeAverage {
    level: u64,
    max: u64,
    /// The level at the start of the window times that instant, and each change since times its own, in level times
    /// nanoseconds. It may wrap, as sums and differences then still do.
    steps: u128,
}

impl TimeAverage {
    /// A level of zero from time zero on.
    pub fn new() -> Self {
        Self::default()
    }

    /// The level is `level` from `now` on.
    #[inline]
    pub fn set(&mut self, now: SimTime, level: u64) {
        self.add(now, level.wrapping_sub(self.level) as i64);
    }

    /// The level changes by `delta` at `now`, which is not before any earlier change. It must not fall below zero.
    #[inline(always)]
    pub fn add(&mut self, now: SimTime, delta: i64) {
        debug_assert!(self.level.checked_add_signed(delta).is_some(), "{} {delta:+} is no level", self.level);
        self.level = self.level.wrapping_add_signed(delta);
        self.steps = self.steps.wrapping_add_signed(i128::from(delta) * i128::from(now.ns()));
        if delta > 0 && self.level > self.max {
            self.max = self.level;
        }
    }

    /// Begins a new window at `now`: keeps the level, forgets the area and the greatest value.
    pub fn restart(&mut self, now: SimTime) {
        *self = Self { level: self.level, max: self.level, steps: product(self.level, now) };
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

    #[inline]
    fn area_at(&self, now: SimTime) -> u128 {
        product(self.level, now).wrapping_sub(self.steps)
    }
}

fn product(level: u64, at: SimTime) -> u128 {
    u128::from(level) * u128::from(at.ns())
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
        assert_eq!((busy.level(), busy.max()), (1, 4));
        assert_eq!(busy.area(at(40)), 60e-9);
    }

    #[test]
    fn a_new_window_keeps_the_level_only() {
        let mut busy = TimeAverage::new();
        busy.set(at(0), 9);
        busy.set(at(5), 2);
        busy.restart(at(10));
        assert_eq!((busy.area(at(10)), busy.max()), (0.0, 2));
        busy.add(at(15), 2);
        assert_eq!((busy.area(at(20)), busy.max()), (30e-9, 4));
    }

    #[test]
    fn a_peak_without_length_counts_for_the_maximum_only() {
        let mut busy = TimeAverage::new();
        busy.set(at(5), 100);
        busy.set(at(5), 0);
        assert_eq!((busy.area(at(10)), busy.max()), (0.0, 100));
    }

    #[test]
    fn large_levels_late_in_time_are_exact() {
        let mut memory = TimeAverage::new();
        let late = u64::from(u32::MAX) << 24;
        memory.set(at(late), 1 << 50);
        memory.set(at(late + 3), 1);
        memory.restart(at(late + 5));
        memory.add(at(late + 6), 1 << 50);
        assert_eq!(memory.area_at(at(late + 8)), 3 + (2 << 50));
    }

    proptest! {
        #[test]
        fn agrees_with_counting_every_nanosecond(
            steps in prop::collection::vec((0u64..20, 0u64..9), 1..50),
            cut in 0usize..50,
        ) {
            let mut gauge = TimeAverage::new();
            let (mut now, mut level, mut sum, mut max) = (0, 0, 0, 0);
            for (index, (wait, next)) in steps.into_iter().enumerate() {
                sum += u128::from(wait) * u128::from(level);
                now += wait;
                level = next;
                max = max.max(level);
                gauge.set(at(now), level);
                prop_assert_eq!((gauge.area_at(at(now)), gauge.max()), (sum, max));
                if index == cut {
                    gauge.restart(at(now));
                    (sum, max) = (0, level);
                }
            }
        }
    }
}
