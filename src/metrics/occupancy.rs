//! How long a level stayed where: what time-weighted percentiles, shares of time and crossings are computed from.
//!
//! A level is taken as it is once an instant is over: what rises and falls back at one instant never was. Kept only
//! for gauges that somebody asks about, since every change is looked at.
//!
//! Invariant: the times of all levels add up to the length of the window.

use crate::base::SimTime;

/// A whole-numbered level over a window: how long it stayed at each value, and when it crossed each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Occupancy {
    /// Nanoseconds at level 0, 1, 2, and so on.
    times: Vec<u64>,
    /// What is known of each threshold: entry k is about the level being greater than k.
    crossings: Vec<Crossing>,
}

/// When a level was above a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Crossing {
    /// How often it rose above.
    rises: u64,
    /// When it was first above.
    first: SimTime,
    /// Until when it was last above.
    last: SimTime,
}

impl Occupancy {
    /// The level stayed at `level` from `from` to `to`, having been at `before` until then.
    fn stay(&mut self, from: SimTime, to: SimTime, before: u64, level: u64) {
        let (level, before) = (level as usize, before as usize);
        if self.times.len() <= level {
            self.times.resize(level + 1, 0);
        }
        self.times[level] += to.since(from).ns();
        while self.crossings.len() < level {
            self.crossings.push(Crossing { rises: 0, first: from, last: from });
        }
        for crossing in self.crossings.iter_mut().take(level).skip(before) {
            crossing.rises += 1;
        }
        // Thresholds that the level stays above are brought up to date when it falls, or when the window ends.
        for crossing in self.crossings.iter_mut().take(before).skip(level) {
            crossing.last = from;
        }
    }

    /// The window ends with the level still where it is.
    fn end(&mut self, now: SimTime, level: u64) {
        self.crossings.iter_mut().take(level as usize).for_each(|c| c.last = now);
    }

    /// Adds what a later window has seen.
    pub fn merge(&mut self, later: &Self) {
        if self.times.len() < later.times.len() {
            self.times.resize(later.times.len(), 0);
        }
        self.times.iter_mut().zip(&later.times).for_each(|(mine, theirs)| *mine += theirs);
        for (mine, theirs) in self.crossings.iter_mut().zip(&later.crossings) {
            mine.rises += theirs.rises;
            mine.last = mine.last.max(theirs.last);
        }
        let known = self.crossings.len().min(later.crossings.len());
        self.crossings.extend(&later.crossings[known..]);
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.times.clear();
        self.crossings.clear();
    }

    fn whole(&self) -> Option<f64> {
        let whole: u64 = self.times.iter().sum();
        (whole > 0).then_some(whole as f64)
    }

    /// The share of time, from 0 to 1, that the level was greater than `threshold`; none in no time.
    pub fn above(&self, threshold: f64) -> Option<f64> {
        let above = self.times.iter().enumerate().filter(|(level, _)| *level as f64 > threshold);
        Some(above.map(|(_, ns)| *ns).sum::<u64>() as f64 / self.whole()?)
    }

    /// The least level that is not exceeded for a share `q` of the time; none in no time.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let wanted = q * self.whole()?;
        let mut sum = 0.0;
        let reached = self.times.iter().position(|ns| {
            sum += *ns as f64;
            sum >= wanted
        });
        Some(reached.unwrap_or(self.times.len() - 1) as f64)
    }

    /// The variance over time, in squares of the level; none in no time.
    pub fn variance(&self) -> Option<f64> {
        let whole = self.whole()?;
        let moment = |f: &dyn Fn(f64) -> f64| {
            self.times.iter().enumerate().map(|(level, ns)| f(level as f64) * *ns as f64).sum::<f64>() / whole
        };
        let mean = moment(&|level| level);
        Some(moment(&|level| (level - mean) * (level - mean)))
    }

    fn crossing(&self, threshold: f64) -> Option<&Crossing> {
        // Levels are whole: greater than 1.5 is greater than 1.
        (threshold >= 0.0).then(|| self.crossings.get(threshold as usize)).flatten()
    }

    /// How often the level rose above `threshold`.
    pub fn rises(&self, threshold: f64) -> u64 {
        self.crossing(threshold).map_or(0, |c| c.rises)
    }

    /// When the level was first above `threshold`, in seconds from the start of the run; none if it never was.
    pub fn first(&self, threshold: f64) -> Option<f64> {
        self.crossing(threshold).map(|c| c.first.seconds())
    }

    /// Until when the level was last above `threshold`, in seconds from the start of the run; none if it never was.
    pub fn last(&self, threshold: f64) -> Option<f64> {
        self.crossing(threshold).map(|c| c.last.seconds())
    }
}

/// A level as it moves, and the occupancy of the window so far.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    /// The level of the last interval that took time.
    settled: u64,
    level: u64,
    since: SimTime,
    seen: Occupancy,
}

impl Tracker {
    /// The level is `level` from `now` on.
    pub fn set(&mut self, now: SimTime, level: u64) {
        self.settle(now);
        self.level = level;
    }

    fn settle(&mut self, now: SimTime) {
        if now > self.since {
            self.seen.stay(self.since, now, self.settled, self.level);
            self.settled = self.level;
            self.since = now;
        }
    }

    /// Ends a window: hands out what it has seen and begins the next.
    pub fn cut(&mut self, now: SimTime, into: &mut Occupancy) {
        self.settle(now);
        self.seen.end(now, self.settled);
        std::mem::swap(&mut self.seen, into);
        self.seen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ns: u64) -> SimTime {
        SimTime::from_ns(ns)
    }

    fn seen(moves: &[(u64, u64)], end: u64) -> Occupancy {
        let mut tracker = Tracker::default();
        for (when, level) in moves {
            tracker.set(at(*when), *level);
        }
        let mut seen = Occupancy::default();
        tracker.cut(at(end), &mut seen);
        seen
    }

    #[test]
    fn shares_of_time_and_crossings() {
        let seen = seen(&[(10, 3), (20, 1), (30, 2), (60, 0)], 100);
        assert_eq!(seen.above(0.0), Some(0.5));
        assert_eq!(seen.above(1.0), Some(0.4));
        assert_eq!((seen.rises(0.0), seen.rises(1.0), seen.rises(2.0), seen.rises(3.0)), (1, 2, 1, 0));
        assert_eq!((seen.first(1.0), seen.last(1.0)), (Some(10e-9), Some(60e-9)));
        assert_eq!((seen.first(2.0), seen.last(2.0), seen.last(3.0)), (Some(10e-9), Some(20e-9), None));
        assert_eq!(
            (seen.quantile(0.5), seen.quantile(0.51), seen.quantile(1.0)),
            (Some(0.0), Some(1.0), Some(3.0))
        );
    }

    #[test]
    fn what_falls_back_at_once_never_was() {
        let seen = seen(&[(10, 1), (10, 5), (10, 1), (20, 0), (20, 1)], 40);
        assert_eq!((seen.rises(0.0), seen.rises(1.0)), (1, 0));
        assert_eq!(seen.above(1.0), Some(0.0));
    }

    #[test]
    fn a_level_that_stays_is_above_until_the_end() {
        let mut tracker = Tracker::default();
        tracker.set(at(5), 2);
        let (mut one, mut two) = (Occupancy::default(), Occupancy::default());
        tracker.cut(at(10), &mut one);
        tracker.cut(at(30), &mut two);
        assert_eq!((one.rises(0.0), two.rises(0.0)), (1, 0));
        assert_eq!(two.first(1.0), Some(10e-9));
        one.merge(&two);
        assert_eq!((one.first(1.0), one.last(1.0), one.rises(1.0)), (Some(5e-9), Some(30e-9), 1));
        assert_eq!(one.above(0.0), Some(25.0 / 30.0));
    }

    proptest! {
        #[test]
        fn agrees_with_looking_at_every_nanosecond(
            steps in prop::collection::vec((0u64..9, 0u64..6), 1..40),
            cut in 0usize..40,
        ) {
            let mut tracker = Tracker::default();
            let (mut now, mut level) = (0, 0);
            let mut levels: Vec<u64> = Vec::new();
            let mut merged = Occupancy::default();
            for (index, (wait, next)) in steps.iter().enumerate() {
                levels.extend(std::iter::repeat_n(level, *wait as usize));
                now += wait;
                level = *next;
                tracker.set(at(now), level);
                if index == cut {
                    tracker.cut(at(now), &mut merged);
                }
            }
            let mut rest = Occupancy::default();
            tracker.cut(at(now), &mut rest);
            merged.merge(&rest);
            for threshold in 0u64..6 {
                let above = levels.iter().filter(|l| **l > threshold).count();
                let share = (!levels.is_empty()).then(|| above as f64 / levels.len() as f64);
                prop_assert_eq!(merged.above(threshold as f64), share);
                let first = levels.iter().position(|l| *l > threshold);
                prop_assert_eq!(merged.first(threshold as f64), first.map(|at| at as f64 / 1e9));
                let last = levels.iter().rposition(|l| *l > threshold);
                prop_assert_eq!(merged.last(threshold as f64), last.map(|at| (at + 1) as f64 / 1e9));
                let rises = levels.windows(2).filter(|w| w[0] <= threshold && w[1] > threshold).count()
                    + usize::from(levels.first().is_some_and(|l| *l > threshold));
                prop_assert_eq!(merged.rises(threshold as f64), rises as u64);
            }
        }
    }
}
