//! What a fault did: the metrics `faults.NAME.…`, for expectations.

use crate::base::units::Unit;
use crate::experiment::results::{FaultRun, Sustained};

/// What a fault did: the metrics `faults.NAME.…`, for expectations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultMeasure {
    /// `detect`: time to the first reaction or alert.
    Detect,
    /// `recover`: time to recovery. A run that has not recovered has no value, and meets no upper limit.
    Recover,
    /// `depth`: the lowest goodput.
    Depth,
    /// `unserved`: requests that did not end well until recovery.
    Unserved,
    /// `cost`: what it cost more than normal, and what the unserved requests were worth.
    Cost,
    /// `reaction`: time to the first reaction of the system.
    Reaction,
    /// `mitigate`: time until goodput is back above half of what was lost. As `recover` if it never is.
    Mitigate,
    /// `late`: requests that ended well too late.
    Late,
    /// `lost_messages`: messages that queues lost.
    LostMessages,
    /// `duplicated_messages`: messages handled more than once.
    DuplicatedMessages,
    /// `budget_burnt`: share of the error budget.
    BudgetBurnt,
    /// `retry_amplification`: attempts for each call, over normal.
    RetryAmplification,
    /// `work_for_nobody`: share of work that nobody waited for.
    WorkForNobody,
    /// `rpo`: age of the oldest write that was acknowledged and lost.
    Rpo,
    /// `sustained_by.retries` and the like.
    Sustained(Sustainer),
}

/// What keeps an incident going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sustainer {
    /// Attempts beyond the first.
    Retries,
    /// Misses of caches.
    ColdCache,
    /// CPU beyond what requests normally take.
    Contention,
    /// Instances away or starting.
    Restarts,
    /// Requests finished for nobody.
    WorkForNobody,
}

impl Sustainer {
    /// Its share in a run.
    pub fn of(self, shares: &Sustained) -> f64 {
        match self {
            Self::Retries => shares.retries,
            Self::ColdCache => shares.cold_cache,
            Self::Contention => shares.contention,
            Self::Restarts => shares.restarts,
            Self::WorkForNobody => shares.work_for_nobody,
        }
    }
}

/// A measure: name in paths, itself, unit and meaning.
type Row = (&'static str, FaultMeasure, Unit, &'static str);

impl FaultMeasure {
    /// All of them: name in paths, unit and meaning.
    pub const ALL: [Row; 19] = [
        (
            "detect",
            Self::Detect,
            Unit::Seconds,
            "time from the fault's start to the first reaction of the system, or to the first alert that fires",
        ),
        (
            "recover",
            Self::Recover,
            Unit::Seconds,
            "time from the fault's start until the objectives hold again and stay held",
        ),
        ("depth", Self::Depth, Unit::PerSecond, "lowest goodput between the fault's start and recovery"),
        (
            "unserved",
            Self::Unserved,
            Unit::Count("requests"),
            "requests that did not end well until recovery",
        ),
        (
            "cost",
            Self::Cost,
            Unit::Level,
            "what was paid more than normal until recovery and the fault's end, and the worth of unserved requests",
        ),
        (
            "reaction",
            Self::Reaction,
            Unit::Seconds,
            "time from the fault's start to the first reaction of the system; alerts are none",
        ),
        (
            "mitigate",
            Self::Mitigate,
            Unit::Seconds,
            "time from the fault's start until goodput is back above half of what was lost, and stays there",
        ),
        (
            "late",
            Self::Late,
            Unit::Count("requests"),
            "requests that ended well above the greatest latency of their objective, until fault and effects are over",
        ),
        (
            "lost_messages",
            Self::LostMessages,
            Unit::Count("messages"),
            "messages that queues lost, as too old or for want of room, until fault and effects are over",
        ),
        (
            "duplicated_messages",
            Self::DuplicatedMessages,
            Unit::Count("messages"),
            "times that a message was handled well again, until fault and effects are over",
        ),
        (
            "budget_burnt",
            Self::BudgetBurnt,
            Unit::Ratio,
            "share of the error budget of the objective's period that failed requests used up; the worst population",
        ),
        (
            "retry_amplification",
            Self::RetryAmplification,
            Unit::Level,
            "attempts for each call over all edges, over what was normal",
        ),
        (
            "work_for_nobody",
            Self::WorkForNobody,
            Unit::Ratio,
            "share of the requests finished meanwhile that nobody waited for any more",
        ),
        (
            "rpo",
            Self::Rpo,
            Unit::Seconds,
            "age of the oldest write that was acknowledged and lost; 0 if none was",
        ),
        (
            "sustained_by.retries",
            Self::Sustained(Sustainer::Retries),
            Unit::Ratio,
            "after the fault's end: share of all attempts that retries and hedges were, above normal",
        ),
        (
            "sustained_by.cold_cache",
            Self::Sustained(Sustainer::ColdCache),
            Unit::Ratio,
            "after the fault's end: share of the misses of caches beyond the normal share of calls",
        ),
        (
            "sustained_by.contention",
            Self::Sustained(Sustainer::Contention),
            Unit::Ratio,
            "after the fault's end: share of the CPU used beyond what the requests finished normally take",
        ),
        (
            "sustained_by.restarts",
            Self::Sustained(Sustainer::Restarts),
            Unit::Ratio,
            "after the fault's end: share of the instances that normally run that were away; the worst group",
        ),
        (
            "sustained_by.work_for_nobody",
            Self::Sustained(Sustainer::WorkForNobody),
            Unit::Ratio,
            "after the fault's end: share of the requests finished for nobody, above normal",
        ),
    ];

    /// The measure of one run; `None` as well if the fault never began in it.
    pub fn of(self, run: &FaultRun) -> Option<f64> {
        if !run.struck {
            return None;
        }
        match self {
            Self::Detect => run.detect_s,
            Self::Recover => run.recover_s,
            Self::Depth => Some(run.depth),
            Self::Unserved => Some(run.unserved),
            Self::Cost => run.cost,
            Self::Reaction => run.reaction_s,
            Self::Mitigate => run.impact.mitigate_s,
            Self::Late => run.impact.late,
            Self::LostMessages => run.impact.lost_messages,
            Self::DuplicatedMessages => run.impact.duplicated_messages,
            Self::BudgetBurnt => run.impact.budget_burnt,
            Self::RetryAmplification => Some(run.impact.retry_amplification),
            Self::WorkForNobody => run.impact.work_for_nobody,
            Self::Rpo => run.impact.rpo_s,
            Self::Sustained(what) => run.impact.sustained.map(|shares| what.of(&shares)),
        }
    }

    /// Whether a run without a value has one that is beyond any upper limit: what never came.
    pub fn may_never_come(self) -> bool {
        matches!(self, Self::Recover | Self::Mitigate)
    }
}
