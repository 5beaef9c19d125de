//! Rules over what is recorded second by second, as a monitoring system evaluates them.
//!
//! A burn rate is the error ratio over a window, divided by the share of requests that may fail; it is too high when
//! the rates of a long and a short window reach a threshold (Beyer et al., The Site Reliability Workbook, 2018,
//! chapter 5). Rules are evaluated in intervals and must hold for a time, as in Prometheus: the first evaluation at
//! which a rule holds starts the clock, and one at which it does not stops it. Windows look back to the start of the
//! run at most: before it there were no requests.

use super::Source;

/// When a rule holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// The error budget of a client population burns too fast.
    BurnRate {
        /// The red of the population.
        red: u32,
        /// The share of requests that may fail.
        budget: f64,
        /// The burn rate that is too fast.
        threshold: f64,
        /// The windows in seconds, all of which must burn too fast.
        windows: Vec<usize>,
        /// The seconds that the error budget is for.
        period_s: f64,
    },
    /// A metric is beyond a limit.
    Threshold {
        /// The metric.
        source: Source,
        /// On which side of which limit.
        bound: Bound,
        /// The seconds that its value is of.
        window: usize,
    },
}

/// A side of a limit, in the unit of the metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// More than the limit.
    Above(f64),
    /// Less than the limit.
    Below(f64),
}

impl Bound {
    /// Whether a value is on this side.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::Above(limit) => value > limit,
            Self::Below(limit) => value < limit,
        }
    }
}

/// What was recorded so far: a row of values for each second, NaN where a metric has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rows<'r> {
    /// The metrics.
    pub columns: &'r [Source],
    /// Their values, row after row.
    pub rows: &'r [f64],
}

impl Rows<'_> {
    /// Seconds that are recorded.
    pub fn seconds(&self) -> usize {
        self.rows.len().checked_div(self.columns.len()).unwrap_or(0)
    }

    /// The values of a metric in the seconds that end at `from + 1` to `to`.
    pub fn values(&self, source: Source, from: usize, to: usize) -> impl Iterator<Item = f64> + '_ {
        let Some(column) = self.columns.iter().position(|c| *c == source) else {
            unreachable!("rules need {source:?}, which was not recorded")
        };
        let width = self.columns.len();
        (from..to).map(move |second| self.rows[second * width + column])
    }

    /// The sum of a rate over some seconds: whole numbers of requests.
    fn requests(&self, source: Source, from: usize, to: usize) -> f64 {
        self.values(source, from, to).filter(|v| !v.is_nan()).map(f64::round).sum()
    }

    /// The value of a metric over some seconds: for an error ratio that of all its requests, for a highest value the
    /// highest, for a total the sum, else the mean.
    pub fn value(&self, source: Source, from: usize, to: usize) -> Option<f64> {
        let present = |source| self.values(source, from, to).filter(|v| !v.is_nan());
        match source {
            Source::ErrorRatio(red) => {
                let ended: f64 = present(Source::Throughput(red)).sum();
                let good: f64 = present(Source::Goodput(red)).sum();
                (ended > 0.0).then(|| ((ended - good) / ended).max(0.0))
            }
            Source::TimerMax(_) | Source::LevelMax(..) => present(source).reduce(f64::max),
            Source::CounterTotal(_) => Some(present(source).sum()),
            _ => {
                let count = present(source).count();
                (count > 0).then(|| present(source).sum::<f64>() / count as f64)
            }
        }
    }
}

impl Rule {
    /// The metrics that it needs second by second.
    pub fn columns(&self) -> Vec<Source> {
        match self {
            Self::BurnRate { red, .. } => {
                vec![Source::Rate(*red), Source::Throughput(*red), Source::Goodput(*red)]
            }
            Self::Threshold { source: Source::ErrorRatio(red), .. } => {
                vec![Source::Throughput(*red), Source::Goodput(*red)]
            }
            Self::Threshold { source, .. } => vec![*source],
        }
    }

    /// Whether it holds at the end of second `at`.
    pub fn holds(&self, rows: &Rows<'_>, at: usize) -> bool {
        match self {
            Self::BurnRate { red, budget, threshold, windows, .. } => windows.iter().all(|window| {
                let from = at.saturating_sub(*window);
                let ended = rows.requests(Source::Throughput(*red), from, at);
                let good = rows.requests(Source::Goodput(*red), from, at);
                ended > 0.0 && (ended - good) / ended / budget >= *threshold
            }),
            Self::Threshold { source, bound, window } => {
                rows.value(*source, at.saturating_sub(*window), at).is_some_and(|v| bound.holds(v))
            }
        }
    }
}

/// A rule that is evaluated again and again: whether it fires.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    pending: Option<usize>,
    firing: Option<usize>,
}

impl Watch {
    /// Since which second it fires.
    pub fn firing_since(&self) -> Option<usize> {
        self.firing
    }

    /// Evaluates at the end of second `at`; the rule must hold for `for_s` seconds. Answers `true` if it begins to
    /// fire, and `false` if it ends.
    pub fn look(&mut self, at: usize, for_s: f64, holds: bool) -> Option<bool> {
        if !holds {
            self.pending = None;
            return self.firing.take().map(|_| false);
        }
        let since = *self.pending.get_or_insert(at);
        if self.firing.is_none() && (at - since) as f64 >= for_s {
            self.firing = Some(at);
            return Some(true);
        }
        None
    }
}
