//! What an experiment found: plain data, ready for any report.

use super::traces::TraceBook;
use crate::base::units::Unit;
use crate::metrics::{Estimate, Proportion};
use serde::{Deserialize, Serialize};

/// All that an experiment found.
#[derive(Clone, Debug)]
pub struct ExperimentResult {
    /// The experiment's name.
    pub name: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Runs of each variant.
    pub runs: u32,
    /// The most runs of each variant that there might have been.
    pub runs_at_most: u32,
    /// How precise the answers became that were to be precise, in order of variant and of asking.
    pub precision: Vec<PrecisionResult>,
    /// Simulated seconds of each run, warm-up included.
    pub duration_s: f64,
    /// Simulated seconds before measuring began.
    pub warmup_s: f64,
    /// By which method the warm-up was found, if nobody said it.
    pub warmup_method: Option<&'static str>,
    /// Events played, all variants and runs.
    pub events: u64,
    /// The variants, in order of name.
    pub variants: Vec<VariantResult>,
    /// The verdicts, in order of variant and of writing.
    pub expectations: Vec<ExpectationResult>,
    /// How the simulation agrees with theory.
    pub theory: TheoryResult,
    /// What must be read before the numbers are trusted.
    pub warnings: Vec<String>,
}

/// How the simulation agrees with theory.
#[derive(Clone, Debug, Default)]
pub struct TheoryResult {
    /// Where the values come from.
    pub source: String,
    /// Each value that is known, in order of variant and name.
    pub agreements: Vec<Agreement>,
}

/// A value that theory knows, and what the simulation found.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// The variant it is about.
    pub variant: String,
    /// What it is called.
    pub name: String,
    /// The formula as written.
    pub text: String,
    /// The unit of all values.
    pub unit: Unit,
    /// What it is in theory.
    pub reference: f64,
    /// How far the simulation may be off.
    pub tolerance: f64,
    /// What was simulated; `None` if no run has a value.
    pub value: Option<f64>,
    /// Its 95 % confidence interval over runs; `None` for one run, and for the least or greatest of the runs.
    pub ci95: Option<(f64, f64)>,
    /// Held: within the tolerance, with an interval narrow enough to tell. Failed: outside. Inconclusive: within, with
    /// an interval wider than the tolerance.
    pub verdict: Verdict,
}

impl Agreement {
    /// How far the simulation is off, relative to the reference; to nothing if the reference is zero.
    pub fn error(&self) -> Option<f64> {
        let off = self.value? - self.reference;
        (self.reference != 0.0).then(|| off / self.reference.abs())
    }
}

/// What one variant did.
#[derive(Clone, Debug)]
pub struct VariantResult {
    /// Its name; `base` for a topology as it is.
    pub name: String,
    /// Requests that the clients sent, all runs, warm-up included.
    pub requests: u64,
    /// Events played, all runs.
    pub events: u64,
    /// A hash over all completions of each run: two runs that agree in it did the same.
    pub fingerprints: Vec<u64>,
    /// Every metric of the model over the measured time, in order of path.
    pub metrics: Vec<MetricResult>,
    /// What struck, in order of time.
    pub faults: Vec<FaultResult>,
    /// What alerts did, in order of name.
    pub alerts: Vec<AlertResult>,
    /// How objectives were met, in order of name, each population before its requests.
    pub objectives: Vec<ObjectiveResult>,
    /// The order in which components fell after each fault, or after the first change of settings if nothing strikes.
    pub cascades: Vec<CascadeResult>,
    /// Every metric second by second.
    pub series: Series,
    /// The distribution of latency of each client population, over the measured time of all runs.
    pub latency: Vec<LatencyCurve>,
    /// State changes of the runs, in order of run; of the first ones only if there are very many.
    pub log: Vec<RunLog>,
    /// Numbers that were wanted, in order of asking.
    pub measures: Vec<MeasureResult>,
    /// Whether client populations settled, in order of name; those of which that cannot be told are left out, and all
    /// are if something strikes or the load changes over time.
    pub stationary: Vec<StationaryResult>,
    /// The sampled requests; `None` if none were to be sampled.
    pub traces: Option<TraceBook>,
}

/// How precise an answer became that was to be precise.
#[derive(Clone, Debug, PartialEq)]
pub struct PrecisionResult {
    /// The variant.
    pub variant: String,
    /// The formula or event as written.
    pub text: String,
    /// Its unit.
    pub unit: Unit,
    /// The mean over runs, or the share of runs.
    pub value: Option<f64>,
    /// Half the width of the interval that was to be narrow, which is wider than usual by what stopping costs; `None`
    /// with fewer than two values.
    pub half_width: Option<f64>,
    /// How wide it may be, relative to the mean.
    pub within: Option<f64>,
    /// How wide it may be in any case, in the unit.
    pub absolute: Option<f64>,
    /// Whether it became narrow enough for one of the two.
    pub is_reached: bool,
}

impl PrecisionResult {
    /// How many times wider than wanted the interval is; infinite if there is none.
    pub fn times_too_wide(&self) -> f64 {
        let (Some(half), Some(value)) = (self.half_width, self.value) else { return f64::INFINITY };
        let wide = self.within.map_or(0.0, |w| w / (1.0 + w) * value.abs()).max(self.absolute.unwrap_or(0.0));
        half / wide
    }
}

/// Whether a client population settled.
#[derive(Clone, Debug, PartialEq)]
pub struct StationaryResult {
    /// The client population.
    pub client: String,
    /// Whether it settled, as far as can be told. If not, its requests pile up, and means over the run depend on its
    /// length.
    pub is_stationary: bool,
    /// Requests in flight in the first tenth of the measured time.
    pub early: f64,
    /// Requests in flight in the last tenth.
    pub late: f64,
    /// By how many requests per second that rises.
    pub rise_per_s: f64,
    /// The 99 % confidence interval of the rise; `None` with fewer than three runs.
    pub ci99: Option<(f64, f64)>,
    /// Why it is not stationary.
    pub reason: Option<String>,
}

/// A metric over the measured time, across runs.
#[derive(Clone, Debug)]
pub struct MetricResult {
    /// Its path.
    pub path: String,
    /// Its unit.
    pub unit: Unit,
    /// Mean and 95 % confidence interval over runs; `None` if no run has a value (a latency without requests).
    pub estimate: Option<Estimate>,
    /// The value of each run, in order of run: run k of all variants is played on the same random numbers.
    pub per_run: Vec<Option<f64>>,
}

/// A number that was wanted of every run.
#[derive(Clone, Debug)]
pub struct MeasureResult {
    /// The formula or event as written.
    pub text: String,
    /// Its unit.
    pub unit: Unit,
    /// The mean over runs, or the share of runs in which the event happened; `None` if no run has a value.
    pub value: Option<f64>,
    /// Its 95 % confidence interval: Student's t for a mean, Clopper and Pearson for a share; `None` with fewer than
    /// two values.
    pub ci95: Option<(f64, f64)>,
    /// Whether it is a share of runs.
    pub is_share: bool,
    /// The value of each run, in order of run; 1 or 0 for an event.
    pub per_run: Vec<Option<f64>>,
}

/// The share of requests that took longer, as a curve.
#[derive(Clone, Debug)]
pub struct LatencyCurve {
    /// The client population.
    pub client: String,
    /// Seconds, and the share of requests (0 to 1) that took longer than that; falling.
    pub points: Vec<(f64, f64)>,
}

/// A fault and what it did.
#[derive(Clone, Debug)]
pub struct FaultResult {
    /// Its name.
    pub name: String,
    /// What it is, such as `Slow`.
    pub kind: String,
    /// What it struck.
    pub target: String,
    /// When it began, in seconds from the start of the run.
    pub start_s: f64,
    /// When it ended; `None` if it lasted to the end of the run.
    pub end_s: Option<f64>,
    /// Seconds from its start to the first reaction of the system (a target taken out, a breaker opened, an instance
    /// killed for its memory), over the runs in which there was one.
    pub detect_s: Option<Estimate>,
    /// Seconds from its start until the objectives held again and stayed held, over the runs in which they did.
    pub recover_s: Option<Estimate>,
    /// The share of runs that recovered.
    pub recovered: Proportion,
    /// The lowest goodput in any window, per second.
    pub depth: Option<Estimate>,
    /// The goodput before the fault, per second.
    pub goodput_before: Option<Estimate>,
    /// Requests that did not end well between its start and recovery (or the end of the run).
    pub unserved: Option<Estimate>,
    /// What it cost more than normal, with the worth of unserved requests; `None` where nothing has a price.
    pub cost: Option<Estimate>,
    /// The share of runs that were metastable: fault over, load and capacity back, goodput not.
    pub metastable: Proportion,
    /// What else `faults.NAME.…` has, in order of [`FaultMeasure::ALL`](super::plan::FaultMeasure::ALL).
    pub measures: Vec<FaultNumber>,
    /// Every metric while the fault lasted, in order of path.
    pub during: Vec<MetricResult>,
    /// The same, run by run.
    pub per_run: Vec<FaultRun>,
}

/// A measure of a fault, over the runs that have it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultNumber {
    /// Its name, as in `faults.NAME.mitigate`.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Mean and interval; `None` if no run has a value.
    pub estimate: Option<Estimate>,
}

/// What a fault did in one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultRun {
    /// Seconds to the first reaction.
    pub detect_s: Option<f64>,
    /// Seconds to recovery.
    pub recover_s: Option<f64>,
    /// The lowest goodput in any window, per second.
    pub depth: f64,
    /// The goodput before the fault, per second.
    pub goodput_before: f64,
    /// Requests that did not end well between start and recovery.
    pub unserved: f64,
    /// What it cost more than normal, with the worth of unserved requests, if anything has a price.
    #[serde(default)]
    pub cost: Option<f64>,
    /// Whether the run was metastable.
    pub metastable: bool,
    /// Whether the fault began at all in this run; if not, it has no measures.
    pub struck: bool,
    /// When it began in this run, and when it ended if it did, in seconds from the start of the run.
    pub lasted_s: (f64, Option<f64>),
    /// Seconds to the first reaction of the system; alerts are none.
    pub reaction_s: Option<f64>,
    /// What it cost beside that.
    pub impact: Impact,
}

/// What a fault cost in one run, beside its recovery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Impact {
    /// Seconds until goodput was back above half of what was lost, and stayed there.
    pub mitigate_s: Option<f64>,
    /// Requests that ended well, but above the latency of their population's objective.
    pub late: Option<f64>,
    /// Messages that queues lost: too old, or no room. `None` without queues.
    pub lost_messages: Option<f64>,
    /// Messages that were handled well more than once.
    pub duplicated_messages: Option<f64>,
    /// The share of an objective's error budget that failed requests used up; of the population that is worst off.
    pub budget_burnt: Option<f64>,
    /// Attempts for each call, over what was normal.
    pub retry_amplification: f64,
    /// The share of the requests finished that nobody waited for any more.
    pub work_for_nobody: Option<f64>,
    /// Seconds: the age of the oldest write that was acknowledged and lost; 0 if none was. `None` without databases
    /// that fail over.
    pub rpo_s: Option<f64>,
    /// What kept it going after the fault was over; `None` if it was not over, or nothing had to be got over.
    pub sustained: Option<Sustained>,
}

/// What kept an incident going after its trigger was over: the share of load that each added, above normal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sustained {
    /// Attempts beyond the first.
    pub retries: f64,
    /// Misses of caches.
    pub cold_cache: f64,
    /// CPU beyond what requests normally take.
    pub contention: f64,
    /// Instances that were away or starting.
    pub restarts: f64,
    /// Requests finished for nobody.
    pub work_for_nobody: f64,
}

/// An alert and what it did.
#[derive(Clone, Debug)]
pub struct AlertResult {
    /// Its name.
    pub name: String,
    /// What it is, such as `BurnRate`.
    pub kind: String,
    /// What it is about, for people.
    pub text: String,
    /// The share of runs in which it fired.
    pub fired: Proportion,
    /// When it first fired, in seconds from the start of the run, over the runs in which it did.
    pub fired_s: Option<Estimate>,
    /// Seconds for which it was firing.
    pub firing_s: Option<Estimate>,
    /// The share of the error budget that was spent when it first fired, over the runs in which it did; `None` for an
    /// alert that knows no budget.
    pub budget_spent: Option<Estimate>,
    /// The same, run by run.
    pub per_run: Vec<AlertRun>,
}

/// What an alert did in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRun {
    /// When it first fired, in seconds from the start of the run.
    pub fired_s: Option<f64>,
    /// Seconds for which it was firing.
    pub firing_s: f64,
    /// The share of the error budget that was spent when it first fired.
    pub budget_spent: Option<f64>,
    /// When it fired (`true`) and was resolved (`false`), in order of time.
    pub changes: Vec<(f64, bool)>,
}

/// All metrics second by second, across runs.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// The end of each window, in seconds from the start of the run; windows are one second long.
    pub times_s: Vec<f64>,
    /// One column for each metric, in order of path.
    pub columns: Vec<SeriesColumn>,
}

/// One metric second by second.
#[derive(Clone, Debug)]
pub struct SeriesColumn {
    /// Its path.
    pub path: String,
    /// Its unit.
    pub unit: Unit,
    /// The mean over runs; NaN where no run has a value (a latency without requests).
    pub mean: Vec<f64>,
    /// The least over runs.
    pub lo: Vec<f64>,
    /// The greatest over runs.
    pub hi: Vec<f64>,
}

impl Series {
    /// The column of a metric.
    pub fn column(&self, path: &str) -> Option<&SeriesColumn> {
        self.columns.binary_search_by(|c| c.path.as_str().cmp(path)).ok().map(|at| &self.columns[at])
    }
}

/// The state changes of one run.
#[derive(Clone, Debug)]
pub struct RunLog {
    /// The run's number, from 0.
    pub run: u32,
    /// What happened, in order of time.
    pub lines: Vec<LogLine>,
    /// Lines left out because there were too many.
    pub dropped: u64,
}

/// One state change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, in seconds from the start of the run.
    pub time_s: f64,
    /// What kind, such as `target_unhealthy` or `breaker_opened`.
    pub kind: String,
    /// Of what, such as `balancers.alb` or `services.api.calls.weather.breaker`.
    pub component: String,
    /// Which of them, such as `api.3`; empty if there is only one.
    pub instance: String,
    /// More, for people.
    pub detail: String,
}

/// How an expectation fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The whole confidence interval meets it.
    Held,
    /// No part of the confidence interval meets it.
    Failed,
    /// The confidence interval straddles the limit.
    Inconclusive,
}

impl Verdict {
    /// The word used in every format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// An expectation and its verdict.
#[derive(Clone, Debug)]
pub struct ExpectationResult {
    /// The variant it is about.
    pub variant: String,
    /// The text as written.
    pub text: String,
    /// The file it stands in, as the user named it.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The value found; `None` if no run has one.
    pub value: Option<f64>,
    /// Its 95 % confidence interval; `None` with fewer than two runs.
    pub ci95: Option<(f64, f64)>,
    /// How far the value is on the right side of the limit; negative on the wrong side.
    pub margin: Option<f64>,
    /// The unit of value, interval and margin.
    pub unit: Unit,
    /// The verdict.
    pub verdict: Verdict,
    /// What it is about in each run, in order of run; 1 or 0 for an event.
    pub per_run: Vec<Option<f64>>,
}

/// The order in which components fell after something struck.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CascadeResult {
    /// The fault's name; `settings` for a change of settings.
    pub name: String,
    /// Whether it is a fault.
    pub is_fault: bool,
    /// The run whose steps these are: the first that took the most frequent order.
    pub run: u32,
    /// All runs.
    pub runs: u32,
    /// Its steps.
    pub steps: Vec<CascadeStep>,
    /// All orders in which components fell, most frequent first. One without components is of runs in which nothing
    /// struck.
    pub orders: Vec<CascadeOrder>,
}

/// An order in which components fell.
#[derive(Clone, Debug, PartialEq)]
pub struct CascadeOrder {
    /// The components.
    pub path: Vec<String>,
    /// In how many runs.
    pub runs: u32,
}

/// A component that fell.
#[derive(Clone, Debug, PartialEq)]
pub struct CascadeStep {
    /// The component, such as `services.api`; what was struck, as written, if that is no component.
    pub component: String,
    /// What showed first.
    pub first: CascadeShown,
    /// What struck, of the first step; empty of all others.
    pub text: String,
    /// What showed later, in order of time.
    pub later: Vec<CascadeShown>,
    /// The edge that carried it, if it was carried.
    pub carrier: Option<String>,
    /// The load on that edge per second, normal and then, if more load is what it carried.
    pub load: Option<(f64, f64)>,
}

/// How it showed that a component had fallen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CascadeShown {
    /// Seconds since what struck began.
    pub after_s: f64,
    /// Which sign: `struck`, `errors`, `held`, `latency`, `waiting`, `workers`, `cpu`, `pool`, `health`, `up`,
    /// `memory` or `backlog`.
    pub sign: &'static str,
    /// Its value, at its worst in ten seconds.
    pub value: f64,
    /// What is normal.
    pub normal: f64,
}

/// How an objective was met over the measured time.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectiveResult {
    /// What it is about: `users`, or `users.api/list`.
    pub name: String,
    /// The share of requests that must succeed.
    pub target: f64,
    /// Seconds that the error budget is for.
    pub period_s: f64,
    /// The share that succeeded.
    pub availability: Option<Estimate>,
    /// The share of the budget that is left; `None` if nothing may fail.
    pub budget_left: Option<Estimate>,
    /// The share that failed over the share that may; likewise.
    pub burn_rate: Option<Estimate>,
    /// Latency by percentile.
    pub latency: Vec<ObjectiveTarget>,
}

/// A percentile of latency and its limit.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectiveTarget {
    /// Which, such as `p99`.
    pub percentile: String,
    /// The limit in seconds.
    pub limit_s: f64,
    /// What was found.
    pub latency: Option<Estimate>,
}
