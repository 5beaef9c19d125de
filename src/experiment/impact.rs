//! What a fault cost in one run, beside its recovery: requests late, messages lost, budget burnt, load added.
//!
//! An *incident* lasts from the fault's start until it is over and everybody has recovered, or to the next fault or
//! the end of the run.
//!
//! *Mitigated* is the moment from which goodput is back above half of what was lost, and stays there: most users are
//! served again, though not all is well yet. Mitigation as the end of the worst, apart from resolution: Davidovič,
//! Incident Metrics in SRE, O'Reilly 2021; that it is half is ours.
//!
//! What *sustained* an incident is the share of load that each of these adds once the trigger is over, above normal
//! (Bronson et al., Metastable Failures in Distributed Systems, HotOS 2021; Huang et al., Metastable Failures in the
//! Wild, OSDI 2022):
//!
//! - retries: attempts beyond the first, of all attempts on all edges;
//! - cold caches: misses beyond the normal share of calls, of all misses;
//! - contention: CPU used beyond what the requests finished would normally take, of all CPU used;
//! - restarts: instances that are away or starting, of those that normally run, in the group that lacks most;
//! - work for nobody: requests finished that nobody waited for any more, of all finished.

use super::plan::{Plan, VariantPlan};
use super::recovery::Columns;
use super::results::{Impact, Sustained};
use crate::metrics::Source;
use crate::model::LayerKind;

/// Where in the series is what an impact is computed from.
#[derive(Clone, Debug, Default)]
pub struct ImpactColumns {
    /// Of each population: arrivals, ended, well; its objective.
    clients: Vec<ClientImpact>,
    /// Of each edge: calls begun, and attempts beyond the first.
    edges: Vec<(usize, [usize; 2])>,
    /// Of each cache: calls, misses.
    caches: Vec<(usize, usize)>,
    /// Of each group: finished, finished for nobody, CPU, instances that run.
    groups: Vec<GroupImpact>,
    /// Of each queue: expired, dropped, duplicates.
    queues: Vec<[usize; 3]>,
    /// Ages of lost writes.
    rpo: Vec<usize>,
}

impl ImpactColumns {
    /// Whether anything can lose writes.
    pub fn has_rpo(&self) -> bool {
        !self.rpo.is_empty()
    }
}

#[derive(Clone, Debug)]
struct ClientImpact {
    rate: usize,
    ended: usize,
    good: usize,
    /// The share of those that ended well above the latency of the objective.
    late: Option<usize>,
    /// The share of requests that may fail, and for how many seconds that is.
    budget: Option<(f64, f64)>,
}

#[derive(Clone, Debug)]
struct GroupImpact {
    finished: usize,
    nobody: usize,
    cpu: Option<usize>,
    up: Option<usize>,
}

/// Has everything recorded that impacts are computed from.
pub fn record(variant: &mut VariantPlan) -> ImpactColumns {
    let mut all = ImpactColumns::default();
    if variant.faults.is_empty() {
        return all;
    }
    let VariantPlan { model, recorded, objectives, .. } = variant;
    let mut column = |source| recorded.column(source);
    for (index, meters) in model.catalog.clients.iter().enumerate() {
        let objective = objectives.iter().find(|o| o.client as usize == index);
        let limit = objective.and_then(|o| o.latency.iter().map(|l| l.1).reduce(f64::max));
        all.clients.push(ClientImpact {
            rate: column(Source::Rate(meters.red)),
            ended: column(Source::Throughput(meters.red)),
            good: column(Source::Goodput(meters.red)),
            late: limit.map(|limit| column(Source::TimerAbove(meters.success, (limit * 1e9) as u64))),
            budget: objective.filter(|o| o.availability < 1.0).map(|o| (1.0 - o.availability, o.period_s)),
        });
    }
    for meters in &model.catalog.edges {
        let calls = column(Source::CounterRate(meters.calls));
        let more = [meters.retries, meters.hedges].map(|counter| column(Source::CounterRate(counter)));
        all.edges.push((calls, more));
    }
    let mut seen = Vec::new();
    for slot in model.epochs.iter().flat_map(|e| &e.slots) {
        let is_cache = matches!(model.layers[slot.layer as usize].kind, LayerKind::Cache { .. });
        if is_cache && !seen.contains(&slot.meters) {
            seen.push(slot.meters);
            let calls = model.catalog.layers[slot.meters as usize].rejected;
            all.caches.push((column(Source::CounterRate(calls)), column(Source::CounterRate(calls + 2))));
        }
    }
    for (group, meters) in model.groups.iter().zip(&model.catalog.groups) {
        let is_ours = group.kind != crate::model::GroupKind::External;
        all.groups.push(GroupImpact {
            finished: column(Source::CounterRate(meters.finished)),
            nobody: column(Source::CounterRate(meters.nobody)),
            cpu: is_ours.then(|| column(Source::Level(meters.cpu, 1e-3))),
            up: is_ours.then(|| column(Source::Level(meters.up, 1.0))),
        });
    }
    for meters in &model.catalog.queues {
        // In the order of `catalog::queues::COUNTERS`: expired, dropped, duplicates.
        all.queues.push([6, 7, 4].map(|number| column(Source::CounterTotal(meters.counters + number))));
    }
    for (index, meters) in model.catalog.failovers.iter().enumerate() {
        if model.epochs.iter().any(|epoch| epoch.groups[index].failover.is_some()) {
            all.rpo.push(column(Source::TimerMax(meters.rpo)));
        }
    }
    all
}

/// The parts of a run that an impact is about, in seconds of the series.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// Before the fault.
    pub normal: (usize, usize),
    /// When the fault began.
    pub start: usize,
    /// When it was over, if it was before the limit.
    pub over: Option<usize>,
    /// When everybody had recovered, or the limit.
    pub until: usize,
    /// The next fault, or the end of the run.
    pub limit: usize,
    /// The lowest goodput of a window, and the goodput before.
    pub lost: (f64, f64),
}

/// The impact of a fault.
pub fn of(plan: &Plan, variant: &VariantPlan, columns: &Columns<'_>, parts: Parts) -> Impact {
    let at = &variant.impact;
    let end = parts.until.max(parts.over.unwrap_or(parts.limit)).min(parts.limit);
    let incident = (parts.start, end);
    let sum = |column: usize, (from, to): (usize, usize)| columns.sum(column, from, to);
    let queued = |which: &[usize]| {
        let of = |queue: &[usize; 3]| which.iter().map(|w| sum(queue[*w], incident)).sum::<f64>();
        (!at.queues.is_empty()).then(|| at.queues.iter().map(of).sum())
    };
    let late = |client: &ClientImpact| {
        let above = client.late?;
        let of = |second| columns.at(above, second) * columns.at(client.good, second);
        Some((parts.start..end).map(of).sum::<f64>())
    };
    let burnt = |client: &ClientImpact| {
        let (budget, period) = client.budget?;
        let normal = columns.mean(client.rate, parts.normal.0, parts.normal.1)?;
        let bad = (sum(client.ended, incident) - sum(client.good, incident)).max(0.0);
        (normal > 0.0).then(|| bad / (budget * normal * period))
    };
    let amplification = |span| {
        let [calls, more] = attempts(at, columns, span);
        if calls > 0.0 { 1.0 + more / calls } else { 1.0 }
    };
    let lates: Vec<f64> = at.clients.iter().filter_map(late).collect();
    Impact {
        mitigate_s: mitigated(plan, at, columns, parts),
        late: (!lates.is_empty()).then(|| lates.iter().sum()),
        lost_messages: queued(&[0, 1]),
        duplicated_messages: queued(&[2]),
        budget_burnt: at.clients.iter().filter_map(burnt).reduce(f64::max),
        retry_amplification: amplification(incident) / amplification(parts.normal),
        work_for_nobody: nobody(at, columns, incident),
        rpo_s: (!at.rpo.is_empty()).then(|| {
            let ages = at.rpo.iter().flat_map(|c| (parts.start..end).filter_map(|s| columns.get(*c, s)));
            ages.fold(0.0, f64::max)
        }),
        sustained: parts.over.filter(|over| *over < parts.until).map(|over| Sustained {
            retries: {
                let share = |span| {
                    let [calls, more] = attempts(at, columns, span);
                    if calls + more > 0.0 { more / (calls + more) } else { 0.0 }
                };
                (share((over, parts.until)) - share(parts.normal)).max(0.0)
            },
            cold_cache: cold(at, columns, parts.normal, (over, parts.until)),
            contention: contention(at, columns, parts.normal, (over, parts.until)),
            restarts: away(at, columns, parts.normal, (over, parts.until)),
            work_for_nobody: {
                let [now, before] = [(over, parts.until), parts.normal].map(|s| nobody(at, columns, s));
                (now.unwrap_or(0.0) - before.unwrap_or(0.0)).max(0.0)
            },
        }),
    }
}

/// Seconds from the start until goodput is back above half of what was lost, and stays there.
fn mitigated(plan: &Plan, at: &ImpactColumns, columns: &Columns<'_>, parts: Parts) -> Option<f64> {
    let window = (plan.recovery.window_s as usize).max(1);
    let (depth, before) = parts.lost;
    let half = before - (before - depth) / 2.0;
    let goodput = |from: usize| -> f64 {
        at.clients.iter().filter_map(|c| columns.mean(c.good, from, from + window)).sum()
    };
    let last = (parts.limit + 1).saturating_sub(window);
    // A window is below as a whole or by chance at its edge: what counts is the last one from which it is not.
    let low = (parts.start..last).rev().find(|from| goodput(*from) <= half && depth < before);
    match low {
        None => Some(0.0),
        Some(low) if low + 1 >= last => None,
        Some(low) => Some((low + 1 - parts.start) as f64),
    }
}

fn attempts(at: &ImpactColumns, columns: &Columns<'_>, (from, to): (usize, usize)) -> [f64; 2] {
    let mut all = [0.0, 0.0];
    for (calls, more) in &at.edges {
        all[0] += columns.sum(*calls, from, to);
        all[1] += more.iter().map(|c| columns.sum(*c, from, to)).sum::<f64>();
    }
    all
}

fn nobody(at: &ImpactColumns, columns: &Columns<'_>, (from, to): (usize, usize)) -> Option<f64> {
    let finished: f64 = at.groups.iter().map(|g| columns.sum(g.finished, from, to)).sum();
    let nobody: f64 = at.groups.iter().map(|g| columns.sum(g.nobody, from, to)).sum();
    (finished > 0.0).then(|| nobody / finished)
}

type Span = (usize, usize);

fn cold(at: &ImpactColumns, columns: &Columns<'_>, normal: Span, after: Span) -> f64 {
    let (mut more, mut all) = (0.0, 0.0);
    for (calls, misses) in &at.caches {
        let sum = |column: usize, span: Span| columns.sum(column, span.0, span.1);
        let before = sum(*calls, normal);
        let usual = if before > 0.0 { sum(*misses, normal) / before } else { 0.0 };
        let missed = sum(*misses, after);
        more += (missed - usual * sum(*calls, after)).max(0.0);
        all += missed;
    }
    if all > 0.0 { more / all } else { 0.0 }
}

fn contention(at: &ImpactColumns, columns: &Columns<'_>, normal: Span, after: Span) -> f64 {
    let (mut more, mut all) = (0.0, 0.0);
    for group in &at.groups {
        let Some(cpu) = group.cpu else { continue };
        let sum = |column: usize, span: Span| columns.sum(column, span.0, span.1);
        let before = sum(group.finished, normal);
        if before <= 0.0 {
            continue;
        }
        let used = sum(cpu, after);
        more += (used - sum(cpu, normal) / before * sum(group.finished, after)).max(0.0);
        all += used;
    }
    if all > 0.0 { more / all } else { 0.0 }
}

fn away(at: &ImpactColumns, columns: &Columns<'_>, normal: Span, after: Span) -> f64 {
    let away = |group: &GroupImpact| {
        let up = |span: Span| columns.mean(group.up?, span.0, span.1);
        let before = up(normal).filter(|up| *up > 0.0)?;
        Some((1.0 - up(after)? / before).max(0.0))
    };
    at.groups.iter().filter_map(away).fold(0.0, f64::max)
}
