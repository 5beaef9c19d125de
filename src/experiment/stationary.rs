//! Whether requests pile up: means over a run in which they do say how long the run was, and nothing of the system.
//!
//! What a client population has in flight is averaged over [`SEGMENTS`] equal parts of the measured time of each run,
//! and a straight line is fitted to them. Runs are independent and alike, so the rises of their lines are a sample,
//! and Student's t says whether their mean is more than chance; within a run, neighbouring seconds are not independent,
//! and a test that takes them for it sees trends in every queue. In a system that has settled a rise is as likely as
//! the same fall, so the test is fair for skewed levels as well. A rise that is certain may still be small: it must be
//! at least half of the mean level, too, which that of a queue without bounds is unless the warm-up took more than 60 %
//! of the run.

use super::measures::SeriesKept;
use super::plan::VariantPlan;
use super::results::StationaryResult;
use crate::base::SimTime;
use crate::metrics::estimate::student_t;
use crate::metrics::{Record, Source};
use crate::model::profile::Factor;
use crate::model::{Arrivals, Client};

/// Parts of the measured time.
pub const SEGMENTS: usize = 10;
/// The confidence of the interval that must lie above zero: half of the rest are false alarms at most.
const CONFIDENCE: f64 = 0.99;
/// With fewer runs there is no interval worth the name.
const RUNS_FOR_INTERVAL: usize = 3;
/// With fewer runs the interval is so wide that it will also do if each run shows it plainly.
const RUNS_FOR_CERTAINTY: usize = 5;
/// The least rise in requests, and relative to the mean level.
const RISE_MIN: f64 = 1.0;
const SHARE_MIN: f64 = 0.5;
/// The least rise relative to the mean level, where there are too few runs for a narrow interval. That of a queue
/// without bounds is more unless the warm-up took more than a quarter of the run.
const SHARE_PLAIN: f64 = 1.2;

/// How what a population has in flight changes over the measured time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Requests in flight in the first part, mean over runs.
    pub early: f64,
    /// Requests in flight in the last part.
    pub late: f64,
    /// By how much the fitted lines rise over the measured time, mean over runs.
    pub rise: f64,
    /// The 99 % confidence interval of the rise; none with fewer than three runs.
    pub interval: Option<(f64, f64)>,
    /// Whether requests pile up.
    pub grows: bool,
}

/// The trend over runs, each with [`SEGMENTS`] levels in order of time; none of no runs.
pub fn trend(runs: &[Vec<f64>]) -> Option<Trend> {
    let runs: Vec<&[f64]> = runs.iter().map(Vec::as_slice).filter(|run| run.len() == SEGMENTS).collect();
    let n = runs.len() as f64;
    let mean_of = |value: &dyn Fn(&[f64]) -> f64| runs.iter().fold(0.0, |sum, run| sum + value(run)) / n;
    if runs.is_empty() {
        return None;
    }
    let level = mean_of(&|run| run.iter().sum::<f64>() / SEGMENTS as f64);
    let average = mean_of(&rise);
    let interval = (runs.len() >= RUNS_FOR_INTERVAL).then(|| {
        let squares = mean_of(&|run| (rise(run) - average) * (rise(run) - average));
        let half = student_t(runs.len() - 1, CONFIDENCE) * (squares / (n - 1.0)).sqrt();
        (average - half, average + half)
    });
    let is_certain = interval.is_some_and(|(lo, _)| lo > 0.0)
        || runs.len() < RUNS_FOR_CERTAINTY && runs.iter().all(|run| is_plain(run));
    Some(Trend {
        early: mean_of(&|run| run[0]),
        late: mean_of(&|run| run[SEGMENTS - 1]),
        rise: average,
        interval,
        grows: is_certain && average > RISE_MIN && average > SHARE_MIN * level,
    })
}

/// By how much the line through the levels of one run rises over the whole time, by least squares.
fn rise(levels: &[f64]) -> f64 {
    let middle = (SEGMENTS - 1) as f64 / 2.0;
    let (mut products, mut squares) = (0.0, 0.0);
    for (at, level) in levels.iter().enumerate() {
        let x = at as f64 - middle;
        products += x * level;
        squares += x * x;
    }
    products / squares * SEGMENTS as f64
}

/// Whether one run alone shows it: each fifth of the time has more in flight than the one before, and the rise is more
/// than the mean by a fifth. Five levels in random order rise in one case of 120.
fn is_plain(levels: &[f64]) -> bool {
    let fifths: Vec<f64> = levels.chunks(2).map(|pair| pair[0] + pair[1]).collect();
    let mean = levels.iter().sum::<f64>() / SEGMENTS as f64;
    fifths.windows(2).all(|pair| pair[0] < pair[1]) && rise(levels) > SHARE_PLAIN * mean
}

/// Whether nothing strikes, fails or changes, and the load is the same all the time: then the system should settle.
pub fn is_calm(variant: &VariantPlan) -> bool {
    let steady = |client: &Client| {
        let is_steady =
            |factor: &Factor| matches!(factor, Factor::Steps(p) if p.iter().all(|(at, _)| *at <= 0.0));
        client.profile.factors.iter().all(is_steady)
            && !matches!(client.arrivals, Arrivals::Times(_) | Arrivals::Rates(_))
    };
    variant.faults.is_empty()
        && variant.script.actions.is_empty()
        && variant.script.failures.is_empty()
        && variant.model.epochs.len() == 1
        && variant.model.epochs[0].clients.iter().all(steady)
}

/// Makes sure that levels of the parts of the measured time can be told: from the series, or else from windows.
pub fn record(variant: &mut VariantPlan, from: SimTime, to: SimTime) {
    if variant.recorded.series != SeriesKept::None || !is_calm(variant) || to <= from {
        return;
    }
    let part = |at: usize| from + to.since(from).scaled(at as f64 / SEGMENTS as f64);
    variant.script.windows.extend((1..SEGMENTS).map(part).filter(|t| *t > SimTime::ZERO && *t < to));
    variant.script.windows.sort_unstable();
    variant.script.windows.dedup();
}

/// What each population of a calm variant had in flight in each part of the measured time of a run; nothing of a
/// population if that cannot be told, as when less than ten seconds are measured.
pub fn levels(variant: &VariantPlan, record: &Record, from: SimTime, to: SimTime) -> Vec<Vec<f64>> {
    if !is_calm(variant) {
        return Vec::new();
    }
    let of_client = |gauge: u32| match variant.recorded.series {
        SeriesKept::All | SeriesKept::Unseen => of_series(variant, record, gauge, from, to),
        SeriesKept::None => of_windows(record, gauge, from, to),
    };
    variant.model.catalog.clients.iter().map(|client| of_client(client.in_flight)).collect()
}

fn of_series(variant: &VariantPlan, record: &Record, gauge: u32, from: SimTime, to: SimTime) -> Vec<f64> {
    let columns = &variant.recorded.columns;
    let Some(column) = columns.iter().position(|c| *c == Source::Level(gauge, 1.0)) else {
        return Vec::new();
    };
    let seconds: Vec<f64> = record.rows.iter().skip(column).step_by(columns.len()).copied().collect();
    let (first, last) = (from.seconds().ceil() as usize, (to.seconds() as usize).min(seconds.len()));
    if last < first + SEGMENTS {
        return Vec::new();
    }
    let bound = |at: usize| first + (last - first) * at / SEGMENTS;
    let mean = |seconds: &[f64]| seconds.iter().sum::<f64>() / seconds.len() as f64;
    (0..SEGMENTS).map(|at| mean(&seconds[bound(at)..bound(at + 1)])).collect()
}

fn of_windows(record: &Record, gauge: u32, from: SimTime, to: SimTime) -> Vec<f64> {
    let mut parts = [(0.0, 0.0); SEGMENTS];
    for window in record.windows.iter().filter(|w| w.from >= from && w.to <= to) {
        // A window belongs to the part in which it ends; its end may stand a nanosecond beside the part's.
        let share = window.to.since(from).seconds() / to.since(from).seconds() * SEGMENTS as f64;
        let part = &mut parts[((share - 1e-3).max(0.0) as usize).min(SEGMENTS - 1)];
        part.0 += window.meters.levels[gauge as usize].area;
        part.1 += window.meters.seconds;
    }
    match parts.iter().all(|(_, seconds)| *seconds > 0.0) {
        true => parts.iter().map(|(area, seconds)| area / seconds).collect(),
        false => Vec::new(),
    }
}

/// Whether each population of a variant settled, from the levels of all runs, by population and run. Populations of
/// which that cannot be told are left out.
pub fn results(variant: &VariantPlan, levels: &[Vec<Vec<f64>>], measured_s: f64) -> Vec<StationaryResult> {
    let clients = variant.model.clients.iter().zip(levels);
    let result = |client: &str, trend: Trend| {
        let Trend { early, late, grows, .. } = trend;
        let reason = format!("requests in flight rise from {early:.0} to {late:.0} over the measured time");
        StationaryResult {
            client: client.to_string(),
            is_stationary: !grows,
            early,
            late,
            rise_per_s: trend.rise / measured_s,
            ci99: trend.interval.map(|(lo, hi)| (lo / measured_s, hi / measured_s)),
            reason: grows.then_some(reason),
        }
    };
    clients.filter_map(|(client, runs)| Some(result(&client.name, trend(runs)?))).collect()
}

/// One line for each population whose requests pile up, with what to do.
pub fn warnings(variant: &str, results: &[StationaryResult]) -> Vec<String> {
    let piles = results.iter().filter(|r| !r.is_stationary);
    let warning = |r: &StationaryResult| {
        format!(
            "{variant}: requests of `{}` pile up (in flight {:.0} early, {:.0} late): more is asked than the system \
             can do, or the warm-up is too short; means over this run depend on its length",
            r.client, r.early, r.late
        )
    };
    piles.map(warning).collect()
}

/// Whether a level, such as requests in flight, has grown from the first third of the measured time to the last by so
/// much that it will go on: by half, and by ten.
pub fn piles_up(early: f64, late: f64) -> bool {
    late > 1.5 * early && late - early > 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(from: f64, to: f64) -> Vec<f64> {
        (0..SEGMENTS).map(|at| from + (to - from) * at as f64 / (SEGMENTS - 1) as f64).collect()
    }

    #[test]
    fn a_line_that_rises_in_all_runs_is_a_trend() {
        let runs: Vec<Vec<f64>> = (0..5).map(|run| line(10.0 + f64::from(run), 110.0)).collect();
        let found = trend(&runs).unwrap();
        assert!(found.grows && found.early == 12.0 && found.late == 110.0, "{found:?}");
        // The fitted line rises over ten parts, of which the first and the last stand nine apart.
        assert!((found.rise - 98.0 * 10.0 / 9.0).abs() < 1e-9);
        let falls: Vec<Vec<f64>> = runs.iter().map(|run| run.iter().rev().copied().collect()).collect();
        assert!(!trend(&falls).unwrap().grows);
        assert_eq!(trend(&[]), None);
        assert_eq!(trend(&[vec![1.0; 3]]), None);
    }

    #[test]
    fn what_is_certain_and_small_is_no_trend_and_neither_is_what_is_large_and_chance() {
        let small: Vec<Vec<f64>> = (0..5).map(|run| line(100.0, 110.0 + f64::from(run))).collect();
        let found = trend(&small).unwrap();
        assert!(!found.grows && found.interval.unwrap().0 > 0.0);
        let chance = [line(1.0, 50.0), line(50.0, 1.0), line(1.0, 90.0), line(30.0, 20.0)];
        assert!(!trend(&chance).unwrap().grows);
        let tiny: Vec<Vec<f64>> = (0..5).map(|run| line(0.0, 0.5 + 0.01 * f64::from(run))).collect();
        assert!(!trend(&tiny).unwrap().grows);
    }

    #[test]
    fn one_run_must_show_it_plainly() {
        assert!(trend(&[line(10.0, 100.0)]).unwrap().grows);
        let mut dented = line(10.0, 100.0);
        (dented[6], dented[7]) = (20.0, 20.0);
        assert!(!trend(&[dented.clone()]).unwrap().grows);
        assert!(!trend(&[line(10.0, 100.0), dented]).unwrap().grows);
        assert!(!trend(&[line(80.0, 100.0)]).unwrap().grows);
        // Three runs that differ so much that their interval reaches below zero.
        let three = [line(1.0, 20.0), line(1.0, 200.0), line(1.0, 30.0)];
        let found = trend(&three).unwrap();
        assert!(found.grows && found.interval.unwrap().0 < 0.0);
    }
}
