//! The observer that keeps everything: meters by window, a time series by the second, the log of changes.

use super::meters::{Gauges, Meters, Sizes, Source};
use super::observer::{Change, Observer};
use super::rules::Rows;
use super::sums::Sums;
use super::tally::Tally;
use crate::base::{Outcome, SimDuration, SimTime};

/// The most lines that the log of one run keeps.
pub const LOG_LINES_MAX: usize = 20_000;

const SECOND_NS: u64 = 1_000_000_000;

/// The most values of a series for which there is room from the start: 32 MiB, of which none is used before it is.
const ROOM_MAX: usize = 1 << 22;

/// A part of the run and what happened in it.
#[derive(Clone, Debug)]
pub struct Window {
    /// When it began.
    pub from: SimTime,
    /// When it ended.
    pub to: SimTime,
    /// What was counted.
    pub meters: Meters,
}

/// What ends, and how long it took: what every request moves, side by side. The first line is what times move.
#[derive(Clone, Debug, Default)]
#[repr(C, align(64))]
struct Ended {
    /// Times of the timer, but for those of zero.
    times: Tally,
    /// Times of zero: many a wait is none.
    zeros: u64,
    /// Outcomes of the red of the same number, if there is one.
    outcomes: [u64; Outcome::COUNT],
}

/// Records a run.
#[derive(Debug)]
pub struct Recorder {
    sizes: Sizes,
    /// What is not recorded as it is the sum of what is.
    sums: Sums,
    /// Which timer has the values of each timer in the second of the last row.
    views: Vec<u32>,
    /// What happened since the last second or window ended, but for most of what is in `ended` until it ends.
    recent: Meters,
    /// What happened since then, by timer.
    ended: Vec<Ended>,
    recent_from: SimTime,
    gauges: Gauges,
    window: Meters,
    window_from: SimTime,
    windows: Vec<Window>,
    /// What happened in this second before a window ended in the middle of it.
    begun: Option<Box<Meters>>,
    /// When the last row was written.
    last_row: SimTime,
    /// The metrics of the series; none for no series.
    columns: Vec<Source>,
    /// One row of `columns` for each second; NaN where a metric has no value.
    rows: Vec<f64>,
    log: Vec<(SimTime, Change)>,
    log_dropped: u64,
}

/// What a recorder has recorded.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The windows, in order of time.
    pub windows: Vec<Window>,
    /// One row for each second, each with one value for each column; NaN where there is none.
    pub rows: Vec<f64>,
    /// The log of changes.
    pub log: Vec<(SimTime, Change)>,
    /// Lines of the log left out.
    pub log_dropped: u64,
}

impl Recorder {
    /// A recorder of so many meters, some of which are sums of others, with a series of `columns`, and with the
    /// occupancy of the gauges `tracked`.
    pub fn new(sizes: Sizes, sums: &Sums, columns: Vec<Source>, tracked: &[u32]) -> Self {
        let sizes = Sizes { tracked: tracked.len(), ..sizes };
        Self {
            sizes,
            sums: sums.clone(),
            views: (0..sizes.timers as u32).collect(),
            recent: Meters::new(sizes),
            ended: vec![Ended::default(); sizes.timers],
            recent_from: SimTime::ZERO,
            gauges: Gauges::new(sizes.gauges, tracked),
            window: Meters::new(sizes),
            window_from: SimTime::ZERO,
            windows: Vec::new(),
            begun: None,
            last_row: SimTime::ZERO,
            columns,
            rows: Vec::new(),
            log: Vec::new(),
            log_dropped: 0,
        }
    }

    /// With room for the series of a run that ends at `end`.
    #[must_use]
    pub fn until(mut self, end: SimTime) -> Self {
        let seconds = usize::try_from(end.ns() / SECOND_NS).unwrap_or(usize::MAX);
        self.rows.reserve_exact(self.columns.len().saturating_mul(seconds).min(ROOM_MAX));
        self
    }

    /// Ends the recording at the end of the run.
    pub fn finish(mut self, end: SimTime) -> Record {
        self.window(end);
        Record { windows: self.windows, rows: self.rows, log: self.log, log_dropped: self.log_dropped }
    }

    /// Moves what happened recently into the window.
    fn settle(&mut self, now: SimTime) {
        self.recent.seconds = now.since(self.recent_from).seconds();
        self.gauges.cut(now, &mut self.recent);
        for (ended, timer) in self.ended.iter_mut().zip(&mut self.recent.timers) {
            ended.times.settle(timer);
            timer.record_n(0, std::mem::take(&mut ended.zeros));
        }
        for (ended, red) in self.ended.iter_mut().zip(&mut self.recent.reds) {
            red.outcomes = std::mem::take(&mut ended.outcomes);
        }
        self.recent_from = now;
    }

    /// Writes the row of the second that ends now.
    fn write_row(&mut self, now: SimTime) {
        self.settle(now);
        self.window.merge(&self.recent);
        let mut begun = self.begun.take().map(|mut begun| {
            begun.merge(&self.recent);
            begun
        });
        let second = begun.as_deref_mut().unwrap_or(&mut self.recent);
        self.sums.view(second, &mut self.views);
        self.rows.extend(self.columns.iter().map(|source| {
            let value = match source.timer() {
                Some(timer) => second.timers[self.views[timer as usize] as usize].value(*source),
                None => second.value(*source),
            };
            value.unwrap_or(f64::NAN)
        }));
        self.last_row = now;
        self.recent.clear();
    }
}

impl Observer for Recorder {
    #[inline(always)]
    fn arrival(&mut self, red: u32) {
        self.recent.reds[red as usize].arrivals += 1;
    }

    #[inline(always)]
    fn outcome(&mut self, red: u32, outcome: Outcome, latency: SimDuration) {
        let ended = &mut self.ended[red as usize];
        ended.outcomes[outcome as usize] += 1;
        ended.times.record(latency.ns(), || &mut self.recent.timers[red as usize]);
    }

    #[inline(always)]
    fn outcome_apart(&mut self, red: u32, timer: u32, outcome: Outcome, latency: SimDuration) {
        self.ended[red as usize].outcomes[outcome as usize] += 1;
        let times = &mut self.ended[timer as usize].times;
        times.record(latency.ns(), || &mut self.recent.timers[timer as usize]);
    }

    #[inline(always)]
    fn timed(&mut self, timer: u32, time: SimDuration) {
        let ended = &mut self.ended[timer as usize];
        match time.ns() {
            0 => ended.zeros += 1,
            ns => ended.times.record(ns, || &mut self.recent.timers[timer as usize]),
        }
    }

    #[inline(always)]
    fn moved(&mut self, now: SimTime, gauge: u32, delta: i64) {
        self.gauges.add(now, gauge, delta);
    }

    #[inline(always)]
    fn both_moved(&mut self, now: SimTime, first: u32, delta: i64) {
        self.gauges.add_both(now, first, delta);
    }

    #[inline(always)]
    fn level(&mut self, now: SimTime, gauge: u32, level: u64) {
        self.gauges.set(now, gauge, level);
    }

    #[inline(always)]
    fn count(&mut self, counter: u32) {
        self.recent.counters[counter as usize] += 1;
    }

    #[inline(always)]
    fn count_many(&mut self, counter: u32, times: u64) {
        self.recent.counters[counter as usize] += times;
    }

    fn change(&mut self, now: SimTime, change: Change) {
        if self.log.len() < LOG_LINES_MAX {
            self.log.push((now, change));
        } else {
            self.log_dropped += 1;
        }
    }

    fn wants_seconds(&self) -> bool {
        !self.columns.is_empty()
    }

    fn second(&mut self, now: SimTime) {
        if self.last_row < now {
            self.write_row(now);
        }
    }

    fn rows(&self) -> Rows<'_> {
        Rows { columns: &self.columns, rows: &self.rows }
    }

    fn window(&mut self, now: SimTime) {
        if self.wants_seconds() && now.ns().is_multiple_of(SECOND_NS) && self.last_row < now {
            // The second ends with the window, and belongs to it.
            self.write_row(now);
        } else {
            self.settle(now);
            if self.wants_seconds() && self.last_row < now {
                self.begun.get_or_insert_with(|| Box::new(Meters::new(self.sizes))).merge(&self.recent);
            }
            self.window.merge(&self.recent);
            self.recent.clear();
        }
        let mut meters = std::mem::replace(&mut self.window, Meters::new(self.sizes));
        self.sums.add_up(&mut meters);
        self.windows.push(Window { from: self.window_from, to: now, meters });
        self.window_from = now;
    }
}
