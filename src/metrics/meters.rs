//! Meters: what is counted while a run plays, and how metrics are computed from them.
//!
//! There are four dense tables: *reds* (arrivals and outcomes), *timers* (histograms), *gauges* (levels over time) and
//! *counters*. Meters of several windows merge into those of one longer window.

use super::occupancy::{Occupancy, Tracker};
use super::{Histogram, TimeAverage};
use crate::base::{Outcome, SimTime};

/// How a metric is computed from the meters of a window; the numbers are ids of meters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// Arrivals per second of a red.
    Rate(u32),
    /// Requests that ended, whatever their outcome, per second.
    Throughput(u32),
    /// Requests that ended well, per second.
    Goodput(u32),
    /// Share of the requests that ended and did not end well.
    ErrorRatio(u32),
    /// Requests that ended with one outcome, per second.
    OutcomeRate(u32, Outcome),
    /// Mean of a timer, in seconds.
    TimerMean(u32),
    /// Quantile of a timer, from 0 to 1.
    TimerQuantile(u32, f64),
    /// Longest time of a timer, in seconds.
    TimerMax(u32),
    /// Shortest time of a timer, in seconds.
    TimerMin(u32),
    /// Variance of a timer, in square seconds.
    TimerVariance(u32),
    /// Mean of the squares of a timer, in square seconds.
    TimerSquare(u32),
    /// Share of a timer's values greater than so many nanoseconds.
    TimerAbove(u32, u64),
    /// How many values a timer has.
    TimerCount(u32),
    /// Mean level of a gauge, times a factor.
    Level(u32, f64),
    /// Highest level of a gauge, times a factor.
    LevelMax(u32, f64),
    /// Time-weighted quantile of a tracked gauge, from 0 to 1; the number is its place among the tracked ones.
    LevelQuantile(u32, f64),
    /// Variance over time of a tracked gauge.
    LevelVariance(u32),
    /// Share of time that a tracked gauge was greater than a threshold.
    LevelAbove(u32, f64),
    /// How often a tracked gauge rose above a threshold.
    LevelRises(u32, f64),
    /// When a tracked gauge was first above a threshold, in seconds from the start of the run.
    LevelFirst(u32, f64),
    /// Until when a tracked gauge was last above a threshold, in seconds from the start of the run.
    LevelLast(u32, f64),
    /// Mean level of one gauge over that of another.
    LevelRatio(u32, u32),
    /// Arrivals of a red per second, times a factor.
    RateTimes(u32, f64),
    /// Money per hour, in billionths: the mean level of a gauge, and a counter per hour.
    Spent(u32, u32),
    /// The same, times a factor.
    SpentTimes(u32, u32, f64),
    /// Money in all.
    SpentInAll(u32, u32),
    /// A counter, per second.
    CounterRate(u32),
    /// A counter in all.
    CounterTotal(u32),
    /// A counter over another.
    CounterRatio(u32, u32),
    /// Requests of a red that ended well, per second, less those that a counter has counted.
    GoodputLess(u32, u32),
}

impl Source {
    /// The timer that it is computed from, if it is one.
    pub fn timer(self) -> Option<u32> {
        match self {
            Self::TimerMean(timer)
            | Self::TimerQuantile(timer, _)
            | Self::TimerMax(timer)
            | Self::TimerMin(timer)
            | Self::TimerVariance(timer)
            | Self::TimerSquare(timer)
            | Self::TimerAbove(timer, _)
            | Self::TimerCount(timer) => Some(timer),
            _ => None,
        }
    }
}

impl Histogram {
    /// Computes a metric of a timer that has these values; `None` for other metrics.
    pub fn value(&self, source: Source) -> Option<f64> {
        match source {
            Source::TimerMean(_) => self.mean(),
            Source::TimerQuantile(_, q) => self.quantile(q),
            Source::TimerMax(_) => self.quantile(1.0),
            Source::TimerMin(_) => self.min_ns().map(|ns| ns as f64 / 1e9),
            Source::TimerVariance(_) => self.variance(),
            Source::TimerSquare(_) => {
                let (n, mean) = (self.count() as f64, self.mean()?);
                Some(self.variance().unwrap_or(0.0) * (n - 1.0) / n + mean * mean)
            }
            Source::TimerAbove(_, ns) => self.fraction_above(ns),
            Source::TimerCount(_) => Some(self.count() as f64),
            _ => None,
        }
    }
}

/// Arrivals and outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Red {
    /// Requests begun.
    pub arrivals: u64,
    /// Requests ended, by outcome.
    pub outcomes: [u64; Outcome::COUNT],
}

impl Red {
    /// Requests ended.
    pub fn ended(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.arrivals += other.arrivals;
        self.outcomes.iter_mut().zip(other.outcomes).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// Requests ended well.
    pub fn good(&self) -> u64 {
        Outcome::ALL.iter().filter(|o| o.is_success()).map(|o| self.outcomes[*o as usize]).sum()
    }
}

/// A level over a window: its integral in level-seconds, and its maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// The integral, in level-seconds.
    pub area: f64,
    /// The highest level.
    pub max: u64,
}

/// How many meters of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Reds; the timers of the same ids are theirs.
    pub reds: usize,
    /// Timers.
    pub timers: usize,
    /// Gauges.
    pub gauges: usize,
    /// Counters.
    pub counters: usize,
    /// Gauges whose every move is looked at.
    pub tracked: usize,
}

/// All meters of a window.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// The length of the window in seconds.
    pub seconds: f64,
    /// Arrivals and outcomes.
    pub reds: Vec<Red>,
    /// Durations.
    pub timers: Vec<Histogram>,
    /// Levels.
    pub levels: Vec<Level>,
    /// How long the tracked levels stayed where.
    pub occupancies: Vec<Occupancy>,
    /// Counts.
    pub counters: Vec<u64>,
}

impl Meters {
    /// Meters that have seen nothing.
    pub fn new(sizes: Sizes) -> Self {
        Self {
            seconds: 0.0,
            reds: vec![Red::default(); sizes.reds],
            timers: vec![Histogram::new(); sizes.timers],
            levels: vec![Level::default(); sizes.gauges],
            occupancies: vec![Occupancy::default(); sizes.tracked],
            counters: vec![0; sizes.counters],
        }
    }

    /// Adds what a later window has seen.
    pub fn merge(&mut self, other: &Self) {
        self.seconds += other.seconds;
        for (mine, theirs) in self.reds.iter_mut().zip(&other.reds) {
            mine.add(theirs);
        }
        for (mine, theirs) in self.timers.iter_mut().zip(&other.timers) {
            if !theirs.is_empty() {
                mine.merge(theirs);
            }
        }
        for (mine, theirs) in self.levels.iter_mut().zip(&other.levels) {
            mine.area += theirs.area;
            mine.max = mine.max.max(theirs.max);
        }
        for (mine, theirs) in self.occupancies.iter_mut().zip(&other.occupancies) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.counters.iter_mut().zip(&other.counters) {
            *mine += theirs;
        }
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.seconds = 0.0;
        self.reds.fill(Red::default());
        self.timers.iter_mut().filter(|t| !t.is_empty()).for_each(Histogram::clear);
        self.levels.fill(Level::default());
        self.occupancies.iter_mut().for_each(Occupancy::clear);
        self.counters.fill(0);
    }

    /// Computes a metric; `None` where it has no value, such as a latency without requests.
    pub fn value(&self, source: Source) -> Option<f64> {
        if let Some(timer) = source.timer() {
            return self.timers[timer as usize].value(source);
        }
        let per_second = |count: u64| (self.seconds > 0.0).then(|| count as f64 / self.seconds);
        match source {
            Source::Rate(red) => per_second(self.reds[red as usize].arrivals),
            Source::Throughput(red) => per_second(self.reds[red as usize].ended()),
            Source::Goodput(red) => per_second(self.reds[red as usize].good()),
            Source::ErrorRatio(red) => {
                let red = &self.reds[red as usize];
                let ended = red.ended();
                (ended > 0).then(|| (ended - red.good()) as f64 / ended as f64)
            }
            Source::OutcomeRate(red, outcome) => {
                per_second(self.reds[red as usize].outcomes[outcome as usize])
            }
            Source::TimerMean(_)
            | Source::TimerQuantile(..)
            | Source::TimerMax(_)
            | Source::TimerMin(_)
            | Source::TimerVariance(_)
            | Source::TimerSquare(_)
            | Source::TimerAbove(..)
            | Source::TimerCount(_) => None,
            Source::Level(gauge, factor) => {
                (self.seconds > 0.0).then(|| self.levels[gauge as usize].area / self.seconds * factor)
            }
            Source::LevelMax(gauge, factor) => Some(self.levels[gauge as usize].max as f64 * factor),
            Source::LevelQuantile(tracked, q) => self.occupancies[tracked as usize].quantile(q),
            Source::LevelVariance(tracked) => self.occupancies[tracked as usize].variance(),
            Source::LevelAbove(tracked, level) => self.occupancies[tracked as usize].above(level),
            Source::LevelRises(tracked, level) => {
                Some(self.occupancies[tracked as usize].rises(level) as f64)
            }
            Source::LevelFirst(tracked, level) => self.occupancies[tracked as usize].first(level),
            Source::LevelLast(tracked, level) => self.occupancies[tracked as usize].last(level),
            Source::LevelRatio(a, b) => {
                let whole = self.levels[b as usize].area;
                (whole > 0.0).then(|| self.levels[a as usize].area / whole)
            }
            Source::RateTimes(red, factor) => {
                per_second(self.reds[red as usize].arrivals).map(|rate| rate * factor)
            }
            Source::Spent(gauge, counter) => {
                let (level, count) = (self.levels[gauge as usize].area, self.counters[counter as usize]);
                (self.seconds > 0.0).then(|| (level + count as f64 * 3600.0) / self.seconds * 1e-9)
            }
            Source::SpentTimes(gauge, counter, factor) => {
                self.value(Source::Spent(gauge, counter)).map(|spent| spent * factor)
            }
            Source::SpentInAll(gauge, counter) => {
                let (level, count) = (self.levels[gauge as usize].area, self.counters[counter as usize]);
                Some((level / 3600.0 + count as f64) * 1e-9)
            }
            Source::GoodputLess(red, counter) => {
                let good = self.reds[red as usize].good();
                per_second(good.saturating_sub(self.counters[counter as usize]))
            }
            Source::CounterRate(counter) => per_second(self.counters[counter as usize]),
            Source::CounterTotal(counter) => Some(self.counters[counter as usize] as f64),
            Source::CounterRatio(a, b) => {
                let whole = self.counters[b as usize];
                (whole > 0).then(|| self.counters[a as usize] as f64 / whole as f64)
            }
        }
    }
}

/// Levels as they move, and what they add to a window.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    now: Vec<TimeAverage>,
    /// The gauges whose every move is looked at.
    tracked: Vec<(u32, Tracker)>,
}

impl Gauges {
    /// So many gauges, all at 0; the moves of those in `tracked` are looked at.
    pub fn new(count: usize, tracked: &[u32]) -> Self {
        let tracked = tracked.iter().map(|gauge| (*gauge, Tracker::default())).collect();
        Self { now: vec![TimeAverage::new(); count], tracked }
    }

    /// Moves a gauge.
    #[inline(always)]
    pub fn add(&mut self, now: SimTime, gauge: u32, delta: i64) {
        self.now[gauge as usize].add(now, delta);
        if !self.tracked.is_empty() {
            self.track(now, gauge);
        }
    }

    /// Moves a gauge and the one after it by as much.
    #[inline(always)]
    pub fn add_both(&mut self, now: SimTime, first: u32, delta: i64) {
        if let [one, other] = &mut self.now[first as usize..first as usize + 2] {
            one.add(now, delta);
            other.add(now, delta);
        }
        if !self.tracked.is_empty() {
            self.track(now, first);
            self.track(now, first + 1);
        }
    }

    /// Puts a gauge at a level.
    #[inline]
    pub fn set(&mut self, now: SimTime, gauge: u32, level: u64) {
        self.now[gauge as usize].set(now, level);
        if !self.tracked.is_empty() {
            self.track(now, gauge);
        }
    }

    #[cold]
    fn track(&mut self, now: SimTime, gauge: u32) {
        for (tracked, tracker) in &mut self.tracked {
            if *tracked == gauge {
                tracker.set(now, self.now[gauge as usize].level());
            }
        }
    }

    /// Ends a window: writes every gauge's area and maximum, and the occupancy of those that are tracked, into
    /// `meters`, and begins the next window.
    pub fn cut(&mut self, now: SimTime, meters: &mut Meters) {
        for (gauge, level) in self.now.iter_mut().zip(&mut meters.levels) {
            *level = Level { area: gauge.area(now), max: gauge.max() };
            gauge.restart(now);
        }
        for ((_, tracker), seen) in self.tracked.iter_mut().zip(&mut meters.occupancies) {
            tracker.cut(now, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_gauges_that_move_at_once_move_as_one_by_one() {
        let sizes = Sizes { gauges: 4, tracked: 2, ..Sizes::default() };
        let seen = |both: fn(&mut Gauges, SimTime, i64)| {
            let (mut gauges, mut meters) = (Gauges::new(4, &[2, 3]), Meters::new(sizes));
            gauges.add(SimTime::ZERO, 3, 5);
            for (at, delta) in [(10, 2), (30, -1), (70, 3)] {
                both(&mut gauges, SimTime::from_ns(at), delta);
            }
            gauges.cut(SimTime::from_ns(100), &mut meters);
            let quantiles =
                meters.occupancies.iter().map(|o| [o.quantile(0.5), o.variance()]).collect::<Vec<_>>();
            (meters.levels, quantiles)
        };
        let at_once = seen(|gauges, now, delta| gauges.add_both(now, 1, delta));
        let apart = seen(|gauges, now, delta| {
            gauges.add(now, 1, delta);
            gauges.add(now, 2, delta);
        });
        assert_eq!(at_once, apart);
        assert_eq!(at_once.0.iter().map(|level| level.max).collect::<Vec<_>>(), [0, 4, 4, 5]);
    }
}
