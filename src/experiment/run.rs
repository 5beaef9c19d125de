//! Replications: every variant, every run, on as many threads as wanted, with the same results.

use super::fold::{Fold, RunData};
use super::judge::Examined;
use super::measures::Recorded;
use super::plan::{Plan, VariantPlan};
use super::recovery;
use super::results::ExperimentResult;
use super::team::Team;
use super::{alerts, doubts, judge, log, precision, stationary};
use crate::base::SimTime;
use crate::metrics::{Meters, Record, Recorder, Sizes, Window};
use crate::sim::{RunSummary, Stop, World};

/// Why an experiment could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// A model lets more happen at one instant than any sane model does.
    #[error(
        "time stands still in variant `{variant}`: something happens again and again at the same instant \
         (a retry without backoff on a failure that takes no time, or users who do not think?)"
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
}

/// Nobody wants to know.
impl Progress for () {
    fn runs_done(&self, _: usize, _: usize) -> bool {
        true
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
    let Recorded { columns, tracked, .. } = &variant.recorded;
    let recorder = Recorder::new(variant.model.catalog.sizes(), columns.clone(), tracked);
    let world = World::new(&variant.model, &variant.script, seed, run, recorder);
    let (summary, recorder) = world.run();
    Played { summary, record: recorder.finish(variant.script.end) }
}

/// Carries out an experiment on `jobs` threads.
///
/// # Errors
/// If a model lets time stand still, threads cannot be started, or `progress` says to stop.
pub fn run(plan: &Plan, jobs: usize, progress: &dyn Progress) -> Result<ExperimentResult, RunError> {
    let team = Team::new(jobs)?;
    let mut folds: Vec<Fold> = plan.variants.iter().map(Fold::new).collect();
    let (mut played, total) = (0, plan.runs as usize * plan.variants.len());
    while let Some(until) = precision::next(plan, played, &folds) {
        // Run by run and not variant by variant: whoever stops early has as many runs of each.
        let units: Vec<(u32, usize)> =
            (played..until).flat_map(|r| (0..plan.variants.len()).map(move |v| (r, v))).collect();
        let before = played as usize * plan.variants.len();
        team.each(
            &units,
            |(run, variant)| examine(plan, &plan.variants[*variant], *run),
            |number, data| {
                let (run, variant) = units[number];
                if data.stop == Stop::TimeStandsStill {
                    return Err(RunError::TimeStandsStill { variant: plan.variants[variant].name.clone() });
                }
                folds[variant].add(run, data);
                let done = before + number + 1;
                match progress.runs_done(done, total) {
                    true => Ok(()),
                    false => Err(RunError::Interrupted { done, total }),
                }
            },
        )?;
        played = until;
    }
    // Who was precise before the most runs were played has finished as well.
    let done = played as usize * plan.variants.len();
    progress.runs_done(done, done);
    Ok(super::fold::result(plan, folds))
}

/// Plays a run and keeps what is asked of it.
pub fn examine(plan: &Plan, variant: &VariantPlan, run: u32) -> RunData {
    let played = play(variant, plan.seed, u64::from(run));
    let measured = merged(&played.record.windows, plan.warmup, plan.end, variant);
    let metrics = &variant.model.catalog.metrics;
    let faults = recovery::examine(plan, variant, &played.record);
    let alerts = alerts::examine(&variant.alerts, &variant.recorded.columns, &played.record.rows);
    let examined = Examined { variant, record: &played.record, faults: &faults, alerts: &alerts };
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
            .map(|fault| {
                let to = fault.end.unwrap_or(plan.end);
                let during = merged(&played.record.windows, fault.start, to, variant);
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
        rows: if variant.recorded.is_series { played.record.rows } else { Vec::new() },
        faults,
        alerts,
        subjects,
    }
}

/// The meters of all windows between two instants together.
pub fn merged(windows: &[Window], from: SimTime, to: SimTime, variant: &VariantPlan) -> Meters {
    let sizes = Sizes { tracked: variant.recorded.tracked.len(), ..variant.model.catalog.sizes() };
    let mut meters = Meters::new(sizes);
    for window in windows.iter().filter(|w| w.from >= from && w.to <= to) {
        meters.merge(&window.meters);
    }
    meters
}
