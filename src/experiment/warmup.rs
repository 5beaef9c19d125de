//! The warm-up, found: MSER-5 on some runs that are played beforehand.
//!
//! MSER (White, "An effective truncation heuristic for bias reduction in simulation output", Simulation 69, 1997)
//! leaves out as many values at the start as make the confidence interval of the mean of the others narrowest: those
//! of a transient widen it, and leaving out more than them widens it as well. MSER-5 does so on means of five (White,
//! Cobb and Spratt, "A comparison of five steady-state truncation heuristics for simulation", Winter Simulation
//! Conference 2000). Only the first half may be left out: what is found at its end says that the run is too short.
//!
//! The series are those of what each client population has in flight and of its mean latency, second by second, each
//! averaged over [`PILOTS`] runs of each variant (Welch's idea: it takes the noise and leaves the transient). The
//! latest end of a transient counts, for all variants. The runs have numbers of their own, so what is found does not
//! depend on what is measured afterwards. They are played until something first happens on the timeline, and nothing
//! fails at random in them: what strikes is not a transient of the start.

use super::measures::Recorded;
use super::plan::{Changes, Plan, plan_experiment};
use super::run::play;
use super::team::Team;
use crate::base::SimTime;
use crate::metrics::Source;
use crate::spec::load::{ExperimentDocument, Loader};
use crate::spec::quantity::Seconds;
use crate::spec::runs::Warmup;

/// Runs of each variant that are played beforehand.
pub const PILOTS: u64 = 5;
/// The number of the first of them: far from those that are measured.
const PILOT_FIRST: u64 = 1 << 32;
/// Seconds in a batch.
const BATCH: usize = 5;
/// With fewer batches nothing can be found.
const BATCHES_MIN: usize = 10;

/// On how many threads pilot runs are played, and whether to go on with them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pilot {
    /// Threads; as many as there are cores if none are given. What is found is the same for any number.
    pub jobs: Option<usize>,
    /// Asked after each run whether to go on.
    pub go_on: Option<fn() -> bool>,
}

/// A warm-up that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// How long it is, in whole seconds.
    pub seconds: u64,
    /// Whether the transient lasts to the middle of the run or beyond: then the run is too short to tell.
    pub is_too_short: bool,
}

/// Finds the warm-up of an experiment that wants it found, once and for all that will happen to the system.
pub fn settle(loader: &Loader, document: &mut ExperimentDocument) {
    if document.experiment.warmup == Warmup::Auto {
        let seconds = find(loader, document, &Changes::default()).map_or(0, |found| found.seconds);
        document.experiment.warmup = Warmup::For(Seconds(seconds as f64));
    }
}

/// Looks for the warm-up of an experiment; none if it cannot be planned, if somebody asked to stop, or if a model lets
/// time stand still, all of which show again when it is played.
pub fn find(loader: &Loader, document: &ExperimentDocument, changes: &Changes) -> Option<Found> {
    let mut loader = loader.clone();
    let pilot = Changes {
        seed: changes.seed,
        duration: changes.duration,
        load: changes.load,
        timeline: changes.timeline.clone(),
        series: Some(false),
        warmup: Some(Warmup::For(Seconds(0.0))),
        ..Changes::default()
    };
    let mut plan = plan_experiment(&mut loader, document, &pilot)?;
    shorten(&mut plan);
    let Pilot { jobs, go_on } = changes.pilot;
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let units: Vec<(usize, u64)> =
        (0..plan.variants.len()).flat_map(|variant| (0..PILOTS).map(move |pilot| (variant, pilot))).collect();
    let mut sums: Vec<Vec<Vec<Sum>>> =
        plan.variants.iter().map(|v| vec![Vec::new(); v.recorded.columns.len()]).collect();
    let played = Team::new(jobs).ok()?.each(
        &units,
        |(variant, pilot)| play(&plan.variants[*variant], plan.seed, PILOT_FIRST + pilot).record.rows,
        |number, rows| {
            add(&mut sums[units[number].0], &rows);
            if go_on.is_none_or(|go_on| go_on()) { Ok(()) } else { Err(()) }
        },
    );
    played.ok()?;
    let series = sums.iter().flatten();
    let found = series.map(|sums| mser5(&sums.iter().map(|sum| sum.mean()).collect::<Vec<_>>()));
    found.reduce(|a, b| Found {
        seconds: a.seconds.max(b.seconds),
        is_too_short: a.is_too_short || b.is_too_short,
    })
}

/// Leaves nothing to play but the start, and nothing to record but what clients see.
fn shorten(plan: &mut Plan) {
    for variant in &mut plan.variants {
        let first = variant.script.actions.iter().map(|a| a.at).filter(|at| *at > SimTime::ZERO).min();
        variant.script.end = variant.script.end.min(first.unwrap_or(variant.script.end));
        variant.script.windows.clear();
        variant.script.failures.clear();
        // What reacts would look at metrics that pilots do not keep.
        variant.script.rules.clear();
        variant.script.reactions.clear();
        let columns = variant.model.catalog.clients.iter();
        let columns = columns.flat_map(|c| [Source::Level(c.in_flight, 1.0), Source::TimerMean(c.red)]);
        variant.recorded = Recorded { columns: columns.collect(), ..Recorded::default() };
    }
}

/// The values of one second.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sum: f64,
    count: u32,
}

impl Sum {
    fn mean(self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.sum / f64::from(self.count) }
    }
}

/// Adds the rows of a run to the sums of each column.
fn add(columns: &mut [Vec<Sum>], rows: &[f64]) {
    for row in rows.chunks(columns.len().max(1)).enumerate() {
        let (second, values) = row;
        for (column, value) in columns.iter_mut().zip(values) {
            if column.len() <= second {
                column.resize(second + 1, Sum::default());
            }
            if !value.is_nan() {
                column[second].sum += value;
                column[second].count += 1;
            }
        }
    }
}

/// How much of the start of a series to leave out; one value for each second, NaN where there is none.
pub fn mser5(series: &[f64]) -> Found {
    let batches: Vec<Option<f64>> = series.chunks_exact(BATCH).map(batch).collect();
    let half = batches.len() / 2;
    if batches.len() < BATCHES_MIN {
        return Found { seconds: series.len().div_ceil(2) as u64, is_too_short: true };
    }
    // From the end to the start: mean and sum of squares of what is kept, updated by each batch (Welford, "Note on a
    // method for calculating corrected sums of squares and products", Technometrics 4, 1962).
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    let mut best = (f64::INFINITY, 0);
    for (left_out, value) in batches.iter().enumerate().rev() {
        if let Some(value) = value {
            count += 1.0;
            let off = value - mean;
            mean += off / count;
            squares += off * (value - mean);
        }
        // The square of the standard error, but for a factor. Of equals the least left out wins.
        let error = squares / (count * count);
        if left_out <= half && count > 1.0 && error <= best.0 {
            best = (error, left_out);
        }
    }
    Found { seconds: (best.1 * BATCH) as u64, is_too_short: best.1 == half }
}

/// The mean of the values that a batch has.
fn batch(values: &[f64]) -> Option<f64> {
    let present = values.iter().filter(|v| !v.is_nan());
    let (sum, count) = present.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_is_left_out_to_its_end() {
        // Rises for 40 s and then stays: eight batches. A noise of two values that take turns changes nothing.
        for noise in [0.0, 0.1] {
            let value = |s: i32| f64::from(s.min(40)) + if s % 2 == 0 { noise } else { -noise };
            let series: Vec<f64> = (0..300).map(value).collect();
            let found = mser5(&series);
            assert!((35..=40).contains(&found.seconds) && !found.is_too_short, "{found:?}");
        }
    }

    #[test]
    fn nothing_is_left_out_of_what_stays() {
        assert_eq!(mser5(&[7.0; 100]), Found { seconds: 0, is_too_short: false });
        let wave: Vec<f64> = (0..400).map(|s| f64::from(s % 7)).collect();
        assert!(mser5(&wave).seconds <= 10, "{:?}", mser5(&wave));
    }

    #[test]
    fn a_transient_without_end_and_a_short_run_are_too_short() {
        let ramp: Vec<f64> = (0..200).map(f64::from).collect();
        assert_eq!(mser5(&ramp), Found { seconds: 100, is_too_short: true });
        assert_eq!(mser5(&ramp[..31]), Found { seconds: 16, is_too_short: true });
    }

    #[test]
    fn seconds_without_value_are_left_out() {
        let mut series: Vec<f64> = (0..100).map(|s| if s < 20 { 50.0 } else { 1.0 }).collect();
        series[40] = f64::NAN;
        series[60..70].fill(f64::NAN);
        assert_eq!(mser5(&series).seconds, 20);
    }
}
