//! Replications: every variant, every run, on as many threads as wanted, with the same results.

use super::fold::{Fold, RunData};
use super::judge::Examined;
use super::measures::{Recorded, SeriesKept};
use super::plan::{Plan, VariantPlan};
use super::recovery;
use super::results::ExperimentResult;
use super::team::Team;
use super::{alerts, cascade, doubts, judge, log, objectives, precision, stationary};
use crate::base::SimTime;
use crate::metrics::{Meters, Record, Recorder, Sizes, Window};
use crate::sim::{RunSummary, Stop, World};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why an experiment could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// A model lets more happen at one instant than any sane model does.
    #[error(
        "time stands still in variant `{variant}`: something happens again and again at the same instant \
         (a retry without backoff on a failure that takes no time, users who do not think, or messages that \
         lead to messages?)"
    )]
    TimeStandsStill {
        /// The variant.
        variant: String,
    },
    /// The threads could not be started.
    #[error("cannot start {jobs} threads")]
    Threads {
        /// How many were wanted.
        jobs: usize,
    },
    /// Runs that are kept in files could not be read or written.
    #[error("{0}")]
    Kept(String),
    /// The caller asked to stop.
    #[error("interrupted after {done} of {total} runs")]
    Interrupted {
        /// Runs played.
        done: usize,
        /// Runs planned.
        total: usize,
    },
}

/// Told how far the work is; answers whether to go on.
pub trait Progress: Sync {
    /// `done` of `total` runs are played.
    fn runs_done(&self, done: usize, total: usize) -> bool;
    /// Whether another run may be begun; asked by whoever is about to.
    fn goes_on(&self) -> bool {
        true
    }
}

/// Nobody wants to know.
impl Progress for () {
    fn runs_done(&self, _: usize, _: usize) -> bool {
        true
    }
}

/// Where runs are kept as they finish, and taken from if they were played before.
pub trait Keep {
    /// Whether a run of a variant is there.
    fn has(&self, run: u32, variant: usize) -> bool;
    /// A run that is there.
    ///
    /// # Errors
    /// If it cannot be read.
    fn recall(&mut self, run: u32, variant: usize) -> Result<RunData, RunError>;
    /// Keeps a run that was played.
    ///
    /// # Errors
    /// If it cannot be written.
    fn keep(&mut self, run: u32, variant: usize, data: &RunData) -> Result<(), RunError>;
}

/// Keeps nothing.
impl Keep for () {
    fn has(&self, _: u32, _: usize) -> bool {
        false
    }
    fn recall(&mut self, run: u32, _: usize) -> Result<RunData, RunError> {
        Err(RunError::Kept(format!("run {run} is kept nowhere")))
    }
    fn keep(&mut self, _: u32, _: usize, _: &RunData) -> Result<(), RunError> {
        Ok(())
    }
}

/// How far an experiment came.
#[derive(Debug)]
pub struct Outcome {
    /// What the runs mean that are complete for all variants; none if there are no such runs.
    pub result: Option<ExperimentResult>,
    /// Runs played or recalled, of all variants.
    pub done: usize,
    /// Runs planned, of all variants.
    pub total: usize,
}

impl Outcome {
    /// Whether no run is missing.
    pub fn is_whole(&self) -> bool {
        self.done == self.total
    }
}

/// One run of one variant.
#[derive(Debug)]
pub struct Played {
    /// What the run was.
    pub summary: RunSummary,
    /// What was recorded.
    pub record: Record,
}

/// Plays one run of a variant.
pub fn play(variant: &VariantPlan, seed: u64, run: u64) -> Played {
    play_traced(variant, seed, run, 0.0)
}

/// As [`play`], with traces of a share of the requests.
pub fn play_traced(variant: &VariantPlan, seed: u64, run: u64, traces: f64) -> Played {
    let Recorded { columns, tracked, .. } = &variant.recorded;
    let catalog = &variant.model.catalog;
    let recorder =
        Recorder::new(catalog.sizes(), &catalog.sums, columns.clone(), tracked).until(variant.script.end);
    let world = World::new(&variant.model, &variant.script, seed, run, recorder).traced(traces);
    let (summary, recorder) = world.run();
    Played { summary, record: recorder.finish(variant.script.end) }
}

/// Carries out an experiment on `jobs` threads.
///
/// # Errors
/// If a model lets time stand still, threads cannot be started, or `progress` says to stop.
pub fn run(plan: &Plan, jobs: usize, progress: &dyn Progress) -> Result<ExperimentResult, RunError> {
    let Outcome { result, done, total } = run_keeping(plan, jobs, progress, &mut ())?;
    result.filter(|_| done == total).ok_or(RunError::Interrupted { done, total })
}

/// Carries out an experiment, plays only the runs that `keep` does not have, and hands it those that are played. If
/// `progress` says to stop, the runs under way are finished and kept, and the result is that of all complete runs.
///
/// # Errors
/// If a model lets time stand still, threads cannot be started, or runs cannot be kept or recalled.
pub fn run_keeping(
    plan: &Plan,
    jobs: usize,
    progress: &dyn Progress,
    keep: &mut dyn Keep,
) -> Result<Outcome, RunError> {
    let team = Team::new(jobs)?;
    let mut folding = Folding::new(plan);
    let (mut played, mut done) = (0, 0);
    let total = plan.runs as usize * plan.variants.len();
    while let Some(until) = precision::next(plan, played, &folding.folds) {
        let progress = Further { progress, before: done, total };
        let (finished, wanted) =
            play_range(plan, played..until, &team, &progress, keep, &mut |run, variant, data| {
                folding.add(run, variant, data);
            })?;
        done += finished;
        if finished < wanted {
            return Ok(Outcome { result: folding.result(false), done, total });
        }
        played = until;
    }
    // Who was precise before the most runs were played has finished as well.
    progress.runs_done(done, done);
    Ok(Outcome { result: folding.result(true), done, total: done })
}

/// Progress of a later part of the runs.
struct Further<'p> {
    progress: &'p dyn Progress,
    before: usize,
    total: usize,
}

impl Progress for Further<'_> {
    fn runs_done(&self, done: usize, _: usize) -> bool {
        self.progress.runs_done(self.before + done, self.total)
    }
    fn goes_on(&self) -> bool {
        self.progress.goes_on()
    }
}

/// Plays some of the runs of every variant, and hands those that are finished to `take`, in order of run and variant.
/// Answers how many are finished, and how many should be.
///
/// # Errors
/// As [`run_keeping`].
pub fn play_range(
    plan: &Plan,
    runs: Range<u32>,
    team: &Team,
    progress: &dyn Progress,
    keep: &mut dyn Keep,
    take: &mut dyn FnMut(u32, usize, RunData),
) -> Result<(usize, usize), RunError> {
    // Run by run and not variant by variant: whoever stops early has as many runs of each.
    let units: Vec<(u32, usize, bool)> = runs
        .flat_map(|r| (0..plan.variants.len()).map(move |v| (r, v)))
        .map(|(r, v)| (r, v, keep.has(r, v)))
        .collect();
    let is_over = AtomicBool::new(false);
    let mut finished = 0;
    team.each(
        &units,
        |(run, variant, is_known)| {
            let is_wanted = !is_known && !is_over.load(Ordering::Relaxed) && progress.goes_on();
            is_wanted.then(|| examine(plan, &plan.variants[*variant], *run))
        },
        |number, played| {
            let (run, variant, is_known) = units[number];
            let data = match played {
                Some(data) if data.stop == Stop::TimeStandsStill => {
                    return Err(RunError::TimeStandsStill { variant: plan.variants[variant].name.clone() });
                }
                Some(data) => {
                    keep.keep(run, variant, &data)?;
                    data
                }
                None if is_known => keep.recall(run, variant)?,
                // Nothing new was begun, but others that are under way are still waited for.
                None => return Ok(()),
            };
            take(run, variant, data);
            finished += 1;
            if !progress.runs_done(finished, units.len()) {
                is_over.store(true, Ordering::Relaxed);
            }
            Ok(())
        },
    )?;
    Ok((finished, units.len()))
}

/// Runs that are added up as they come, in order of run and variant; a run counts once all variants have it.
#[derive(Debug)]
pub struct Folding<'p> {
    plan: &'p Plan,
    folds: Vec<Fold>,
    run: u32,
    open: Vec<RunData>,
    complete: u32,
}

impl<'p> Folding<'p> {
    /// No runs yet.
    pub fn new(plan: &'p Plan) -> Self {
        let folds = plan.variants.iter().map(Fold::new).collect();
        Self { plan, folds, run: 0, open: Vec::new(), complete: 0 }
    }

    /// Adds the next run of a variant.
    pub fn add(&mut self, run: u32, variant: usize, data: RunData) {
        if run != self.run {
            self.open.clear();
            self.run = run;
        }
        // A variant is missing before this one: the run will not be complete.
        if variant != self.open.len() {
            return;
        }
        self.open.push(data);
        if self.open.len() == self.folds.len() {
            self.folds.iter_mut().zip(self.open.drain(..)).for_each(|(fold, data)| fold.add(run, data));
            self.complete += 1;
        }
    }

    /// What the complete runs mean; none if there are none. Unless they are all, a warning says so.
    pub fn result(self, is_whole: bool) -> Option<ExperimentResult> {
        if self.complete == 0 {
            return None;
        }
        let mut result = super::fold::result(self.plan, self.folds);
        if !is_whole {
            let (complete, runs) = (self.complete, self.plan.runs);
            let warning =
                format!("not all runs are there: these are {complete} of {runs} runs of each variant");
            result.warnings.insert(0, warning);
        }
        Some(result)
    }
}

/// Plays a run and keeps what is asked of it.
pub fn examine(plan: &Plan, variant: &VariantPlan, run: u32) -> RunData {
    let played = play_traced(variant, plan.seed, u64::from(run), plan.traces);
    let measured = merged(&played.record.windows, plan.warmup, plan.end, variant);
    let metrics = &variant.model.catalog.metrics;
    let alerts = alerts::examine(&variant.alerts, &variant.recorded.columns, &played.record.rows);
    let faults = recovery::examine(plan, variant, &played.record, &alerts);
    let cascades = cascade::examine(plan, variant, &played.record, &faults);
    let record = &played.record;
    let examined = Examined { variant, record, faults: &faults, alerts: &alerts, cascades: &cascades };
    let (subjects, theory) = (judge::subjects(examined), judge::known(examined));
    RunData {
        stop: played.summary.stop,
        events: played.summary.events,
        requests: played.summary.tallies.iter().map(|t| t.sent).sum(),
        fingerprint: played.summary.fingerprint,
        values: metrics.iter().map(|m| measured.value(m.source)).collect(),
        during: variant
            .faults
            .iter()
            .enumerate()
            .map(|(number, _)| {
                let Some((start, end)) = recovery::struck(variant, &played.record, number) else {
                    return vec![None; metrics.len()];
                };
                let during = merged(&played.record.windows, start, end.unwrap_or(plan.end), variant);
                metrics.iter().map(|m| during.value(m.source)).collect()
            })
            .collect(),
        latency: variant
            .model
            .catalog
            .clients
            .iter()
            .map(|c| measured.timers[c.red as usize].clone())
            .collect(),
        log: alerts::with_alerts(log::lines(variant, &played.record), variant, &alerts),
        log_dropped: played.record.log_dropped,
        levels: stationary::levels(variant, &played.record, plan.warmup, plan.end),
        beyond: doubts::beyond(plan, variant, &played.record, &measured),
        theory,
        traces: played.summary.traces,
        rows: match variant.recorded.series {
            SeriesKept::All => played.record.rows,
            SeriesKept::None | SeriesKept::Unseen => Vec::new(),
        },
        faults,
        alerts,
        cascades,
        objectives: objectives::examine(&variant.slos, &measured),
        subjects,
    }
}

/// The meters of all windows between two instants together.
pub fn merged<'a>(
    windows: &'a [Window],
    from: SimTime,
    to: SimTime,
    variant: &VariantPlan,
) -> Cow<'a, Meters> {
    let within = windows.iter().filter(|w| w.from >= from && w.to <= to);
    // Most runs have one window that is measured, which needs no copy.
    if let (Some(only), None) = (within.clone().next(), within.clone().nth(1)) {
        return Cow::Borrowed(&only.meters);
    }
    let sizes = Sizes { tracked: variant.recorded.tracked.len(), ..variant.model.catalog.sizes() };
    let mut meters = Meters::new(sizes);
    within.for_each(|window| meters.merge(&window.meters));
    Cow::Owned(meters)
}
