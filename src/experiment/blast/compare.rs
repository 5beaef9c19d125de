//! A run with a failure beside its twin without one.

use super::rows::Row;
use super::watch::{Seen, SeenOf, Watch};
use super::{Failure, Normal, Suffered, takes};
use crate::base::{SimDuration, SimTime};
use crate::experiment::plan::Plan;
use crate::experiment::results::{FaultRun, Verdict};
use crate::metrics::estimate::binomial;
use crate::metrics::{Estimate, Proportion};
use crate::spec::blast::Blast;
use crate::spec::experiment::Experiment;

/// The share in use at which workers or CPU have come to their end.
const FULL: f64 = 0.95;
/// How much more of workers or CPU must be in use.
const HARDER: f64 = 0.1;
/// Seconds on end for which a component must be down for the first of them to count as its fall.
const ON_END: usize = 3;
/// How many times as long a p99 must be for clients to notice.
const SLOWER: f64 = 1.5;

/// When things happen, and what counts.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// When the failure begins.
    pub start: SimTime,
    /// When it ends.
    pub end: SimTime,
    /// When the run ends.
    pub finish: SimTime,
    spof: f64,
    falls: f64,
    noticed: f64,
    /// Goodput is judged over windows of so many seconds.
    window: usize,
    /// The share of goodput that must be back.
    goodput: f64,
}

impl Frame {
    /// The frame of a question about an experiment.
    pub fn new(question: &Blast, experiment: &Experiment) -> Self {
        let start = SimTime::ZERO + experiment.warmup.stated() + question.at.duration();
        let end = start + question.lasts.duration();
        Self {
            start,
            end,
            finish: end + question.rest.duration(),
            spof: question.spof.0,
            falls: question.falls.0,
            noticed: question.noticed.0,
            window: (experiment.recovery.window.0 as usize).max(1),
            goodput: experiment.recovery.goodput.0,
        }
    }

    /// How long a run takes, warm-up included.
    pub fn duration(&self) -> SimDuration {
        self.finish.since(SimTime::ZERO)
    }

    /// Has the windows of an undisturbed run cut where those of the others are.
    pub fn cut(&self, plan: &mut Plan) {
        for variant in &mut plan.variants {
            let windows = &mut variant.script.windows;
            windows.extend([self.start, self.end]);
            windows.sort_unstable();
            windows.dedup();
        }
    }
}

/// What a failure did in one run.
#[derive(Clone, Debug)]
pub struct Effects {
    fault: FaultRun,
    each: Vec<Effect>,
}

/// What a failure did to one sufferer in one run.
#[derive(Clone, Copy, Debug)]
struct Effect {
    lost: Option<f64>,
    errors: Option<f64>,
    p99_s: Option<f64>,
    slower_s: Option<f64>,
    load: Option<f64>,
    lost_requests: f64,
    /// Seconds until goodput was back; none if it was not.
    over_s: Option<f64>,
    fell: bool,
    is_full: bool,
    fell_s: Option<f64>,
}

/// Compares a run with its twin.
pub fn effects(twin: &Seen, run: &Seen, row: &Row, watch: &Watch, frame: &Frame) -> Effects {
    let nothing = FaultRun {
        detect_s: None,
        recover_s: None,
        depth: 0.0,
        goodput_before: 0.0,
        unserved: 0.0,
        cost: None,
        metastable: false,
    };
    let each = twin.each.iter().zip(&run.each).zip(&watch.sufferers);
    let each = each.map(|((normal, hit), who)| {
        // What is struck in part fails in part: only what that does to the rest is a fall.
        let partly =
            !who.kind.is_client() && row.struck.iter().any(|s| s.target == who.name && s.instances.is_some());
        effect(normal, hit, partly, frame)
    });
    Effects { fault: run.fault.unwrap_or(nothing), each: each.collect() }
}

fn effect(normal: &SeenOf, hit: &SeenOf, partly: bool, frame: &Frame) -> Effect {
    let share = |part: f64, of: f64| (of > 0.0).then(|| part / of);
    let difference = |a: Option<f64>, b: Option<f64>| Some(a? - b?);
    // Whoever gets no answers any more had errors of some share before, and has none now.
    let errors = difference(hit.errors, normal.errors);
    let has_errors = !partly && errors.is_some_and(|e| e >= frame.falls);
    let seconds = hit.errors_by_second.len().min(normal.errors_by_second.len());
    let first = |is_bad: &dyn Fn(usize) -> bool| {
        let bad: Vec<bool> = (0..seconds).map(is_bad).collect();
        bad.windows(ON_END).position(|some| some.iter().all(|b| *b)).map(|s| s as f64)
    };
    let full = |s: usize| hit.usage_by_second[s] >= FULL && normal.usage_by_second[s] < FULL;
    let errors_at = |s: usize| !partly && hit.errors_by_second[s] - normal.errors_by_second[s] >= frame.falls;
    // Who works hard anyway is full now and then by chance.
    let is_full = first(&full).is_some() && difference(hit.usage, normal.usage).is_some_and(|d| d >= HARDER);
    let fell_s = first(&|s| errors_at(s) || full(s));
    Effect {
        lost: share(normal.goodput - hit.goodput, normal.goodput),
        errors,
        p99_s: hit.p99_s,
        slower_s: difference(hit.p99_s, normal.p99_s),
        load: share(hit.rate, normal.rate),
        lost_requests: normal.good - hit.good,
        over_s: over(&normal.good_by_second, &hit.good_by_second, frame),
        fell: is_full || has_errors,
        is_full,
        fell_s,
    }
}

/// Seconds until the goodput of a run is back to what it is in its twin, and stays so to the end: over sliding
/// windows, with the allowance for chance that recovery has.
fn over(normal: &[f64], hit: &[f64], frame: &Frame) -> Option<f64> {
    let width = frame.window;
    let windows = normal.windows(width).zip(hit.windows(width));
    let is_bad = |(normal, hit): (&[f64], &[f64])| {
        let sum = |values: &[f64]| values.iter().fold(0.0, |sum, v| sum + v);
        let wanted = frame.goodput * sum(normal);
        sum(hit) < wanted - 3.0 * wanted.sqrt() - 1e-9
    };
    let bad: Vec<bool> = windows.map(is_bad).collect();
    match bad.iter().rposition(|b| *b) {
        None => Some(0.0),
        Some(last) if last + 1 == bad.len() => None,
        Some(last) => Some((last + 1) as f64),
    }
}

/// What a failure did over all runs.
pub fn failure(row: &Row, runs: &[Effects], watch: &Watch, frame: &Frame) -> Failure {
    let share = |count: usize, of: usize| {
        let none = Proportion { successes: 0, runs: 0, share: 0.0, lo: 0.0, hi: 1.0 };
        binomial(count as u64, of as u64).unwrap_or(none)
    };
    let count = |is: &dyn Fn(&Effects) -> bool| share(runs.iter().filter(|run| is(run)).count(), runs.len());
    let fault = |of: &dyn Fn(&FaultRun) -> Option<f64>| {
        Estimate::of_present(&runs.iter().map(|run| of(&run.fault)).collect::<Vec<_>>())
    };
    let suffered: Vec<Suffered> = watch
        .sufferers
        .iter()
        .enumerate()
        .map(|(at, who)| {
            let estimate = |of: &dyn Fn(&Effect) -> Option<f64>| {
                Estimate::of_present(&runs.iter().map(|run| of(&run.each[at])).collect::<Vec<_>>())
            };
            let fell = count(&|run| run.each[at].fell);
            let full = count(&|run| run.each[at].is_full);
            Suffered {
                is_struck: !who.kind.is_client()
                    && row.struck.iter().any(|s| s.target == who.name && s.instances.is_none()),
                lost: estimate(&|e| e.lost),
                errors: estimate(&|e| e.errors),
                p99_s: estimate(&|e| e.p99_s),
                slower_s: estimate(&|e| e.slower_s),
                load: estimate(&|e| e.load),
                lost_requests: estimate(&|e| Some(e.lost_requests)),
                over_s: estimate(&|e| e.over_s),
                not_over: count(&|run| run.each[at].over_s.is_none()),
                is_full: full.successes > 0 && 2 * full.successes > fell.successes,
                fell_s: estimate(&|e| e.fell_s.filter(|_| e.fell)),
                fell,
            }
        })
        .collect();
    let clients = || suffered.iter().enumerate().filter(|(at, _)| watch.sufferers[*at].kind.is_client());
    let takes = clients()
        .map(|(at, s)| (at, takes(s.lost, frame.spof)))
        .filter(|(_, verdict)| *verdict != Verdict::Failed)
        .collect();
    let mut cascade: Vec<usize> = (0..suffered.len())
        .filter(|at| !watch.sufferers[*at].kind.is_client() && !suffered[*at].is_struck)
        .filter(|at| suffered[*at].fell.share >= 0.5)
        .collect();
    let order = |at: &usize| suffered[*at].fell_s.map_or(f64::INFINITY, |e| e.mean);
    cascade.sort_by(|a, b| order(a).total_cmp(&order(b)));
    Failure {
        id: row.id.clone(),
        label: row.label.clone(),
        struck: row.struck.clone(),
        is_noticed: clients().any(|(_, s)| is_noticed(s, frame)),
        takes,
        cascade,
        recovered: count(&|run| run.fault.recover_s.is_some()),
        recover_s: fault(&|f| f.recover_s),
        detect_s: fault(&|f| f.detect_s),
        metastable: count(&|run| run.fault.metastable),
        suffered,
    }
}

fn is_noticed(suffered: &Suffered, frame: &Frame) -> bool {
    let reaches = |e: Option<Estimate>| e.is_some_and(|e| e.mean >= frame.noticed);
    let is_slower = || {
        let (p99, slower) = (suffered.p99_s?.mean, suffered.slower_s?.mean);
        Some(p99 >= SLOWER * (p99 - slower))
    };
    reaches(suffered.lost) || reaches(suffered.errors) || is_slower().unwrap_or(false)
}

/// How everybody does while nothing fails.
pub fn normal(runs: &[Seen], watch: &Watch) -> Vec<Normal> {
    let of = |at: usize| {
        let estimate = |of: &dyn Fn(&SeenOf) -> Option<f64>| {
            Estimate::of_present(&runs.iter().map(|run| of(&run.each[at])).collect::<Vec<_>>())
        };
        Normal {
            goodput: estimate(&|s| Some(s.goodput)),
            errors: estimate(&|s| s.errors),
            p99_s: estimate(&|s| s.p99_s),
        }
    };
    (0..watch.sufferers.len()).map(of).collect()
}
