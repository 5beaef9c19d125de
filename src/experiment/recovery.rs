//! What a fault did in one run: how long until it was noticed, how deep it went, when it was over.
//!
//! Objectives are judged over sliding windows of the time series, with an allowance for chance: at a hundred requests
//! in a window, ten more or less are noise. A run has recovered at the first moment from which
//! all windows meet the objectives, up to the next fault or the end, and for long enough to count. It is metastable
//! (Bronson et al., HotOS 2021) if the fault is over, as much is asked as before, the instances are back, the system
//! is not draining a backlog, and still goodput has not come back.

use super::plan::{FaultPlan, ObjectivePlan, Plan, VariantPlan};
use super::results::FaultRun;
use crate::base::SimTime;
use crate::metrics::{Change, Record, Source};

/// The share of the load before the fault at which as much is asked as before.
const LOAD_IS_BACK: f64 = 0.9;
/// A backlog that has shrunk by this factor over the last half of the time since the fault is draining.
const DRAINING: f64 = 0.9;

/// The series of one run as columns.
#[derive(Debug)]
pub struct Columns<'r> {
    /// The values, row by row.
    pub rows: &'r [f64],
    /// Columns.
    pub width: usize,
}

impl Columns<'_> {
    /// How many seconds there are.
    pub fn seconds(&self) -> usize {
        self.rows.len().checked_div(self.width).unwrap_or(0)
    }

    /// The value in the second that ends at `second + 1`; 0 where there is none.
    pub fn at(&self, column: usize, second: usize) -> f64 {
        self.get(column, second).unwrap_or(0.0)
    }

    /// The value in the second that ends at `second + 1`, if there is one.
    pub fn get(&self, column: usize, second: usize) -> Option<f64> {
        self.rows.get(second * self.width + column).copied().filter(|v| !v.is_nan())
    }

    /// The sum over seconds `from..to`.
    pub fn sum(&self, column: usize, from: usize, to: usize) -> f64 {
        (from..to).map(|second| self.at(column, second)).sum()
    }

    /// The mean over seconds `from..to`, those without value left out; `None` if none has one.
    pub fn mean(&self, column: usize, from: usize, to: usize) -> Option<f64> {
        let values = (from..to.min(self.seconds()))
            .filter_map(|s| self.rows.get(s * self.width + column).copied())
            .filter(|v| !v.is_nan());
        let (sum, count) = values.fold((0.0, 0u32), |(sum, count), v| (sum + v, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }
}

/// Where the metrics of all groups stand in the series: instances that run, and requests at them.
struct Capacity {
    up: Vec<usize>,
    held: Vec<usize>,
}

/// Where the metrics of a client population stand in the series.
struct ClientColumns {
    rate: usize,
    throughput: usize,
    goodput: usize,
    in_flight: usize,
    /// Columns of latency and their limits in seconds.
    latency: Vec<(usize, f64)>,
    availability: f64,
    is_judged: bool,
    /// Whether these are users, who ask less when answers are slow: then what is asked says nothing.
    is_closed: bool,
}

/// Examines what every fault of a variant did in one run.
pub fn examine(plan: &Plan, variant: &VariantPlan, record: &Record) -> Vec<FaultRun> {
    if variant.faults.is_empty() {
        return Vec::new();
    }
    let columns = Columns { rows: &record.rows, width: variant.recorded.columns.len() };
    let clients = client_columns(variant);
    let up: Vec<usize> =
        variant.model.catalog.groups.iter().filter_map(|g| find(variant, Source::Level(g.up, 1.0))).collect();
    let held: Vec<usize> = variant
        .model
        .catalog
        .groups
        .iter()
        .filter_map(|g| find(variant, Source::Level(g.in_flight, 1.0)))
        .collect();
    let capacity = Capacity { up, held };
    let mut runs = Vec::new();
    for fault in &variant.faults {
        runs.push(examine_one(plan, variant, record, fault, &columns, &clients, &capacity));
    }
    runs
}

/// When a fault began and ended in a run, as the log has it; `None` if it never began. A log that left lines out is
/// believed only where it has the fault.
pub fn struck(variant: &VariantPlan, record: &Record, number: usize) -> Option<(SimTime, Option<SimTime>)> {
    let fault = &variant.faults[number];
    let is = |change: &Change, begins: bool| match change {
        Change::FaultBegan { fault } => begins && *fault as usize == number,
        Change::FaultEnded { fault } => !begins && *fault as usize == number,
        _ => false,
    };
    let find = |begins| record.log.iter().find(|(_, c)| is(c, begins)).map(|(at, _)| *at);
    match (find(true), find(false)) {
        (Some(start), Some(end)) => Some((start, Some(end))),
        (Some(start), None) => Some((start, fault.end.filter(|_| start == fault.start))),
        (None, _) => (record.log_dropped > 0).then_some((fault.start, fault.end)),
    }
}

fn find(variant: &VariantPlan, source: Source) -> Option<usize> {
    variant.recorded.columns.iter().position(|c| *c == source)
}

/// Has everything recorded that faults are examined by.
pub fn record(variant: &mut VariantPlan) {
    if variant.faults.is_empty() {
        return;
    }
    let VariantPlan { model, recorded, objectives, .. } = variant;
    if let Some((gauge, counter)) = model.catalog.cost {
        recorded.column(Source::Spent(gauge, counter));
    }
    for group in &model.catalog.groups {
        // Externals have no instances to be up.
        let up = Source::Level(group.up, 1.0);
        if model.catalog.metrics.iter().any(|m| m.source == up) {
            recorded.column(up);
        }
        recorded.column(Source::Level(group.in_flight, 1.0));
    }
    for (index, meters) in model.catalog.clients.iter().enumerate() {
        recorded.column(Source::Rate(meters.red));
        recorded.column(Source::Throughput(meters.red));
        let is_right = objectives.iter().any(|o| o.client as usize == index && o.right);
        recorded.column(model.catalog.goodput(index as u32, is_right));
        recorded.column(Source::Level(meters.in_flight, 1.0));
        let objective = objectives.iter().filter(|o| o.client as usize == index);
        for (q, _) in objective.flat_map(|o| &o.latency) {
            recorded.column(Source::TimerQuantile(meters.red, *q));
        }
    }
}

/// Without objectives, every population must have 99 % of its requests served.
fn client_columns(variant: &VariantPlan) -> Vec<ClientColumns> {
    let mut all = Vec::new();
    for (index, meters) in variant.model.catalog.clients.iter().enumerate() {
        let objective: Option<&ObjectivePlan> =
            variant.objectives.iter().find(|o| o.client as usize == index);
        let column = |source| {
            let Some(at) = find(variant, source) else { unreachable!("no metric of a client: {source:?}") };
            at
        };
        let latency = objective.map(|o| o.latency.as_slice()).unwrap_or_default();
        all.push(ClientColumns {
            rate: column(Source::Rate(meters.red)),
            throughput: column(Source::Throughput(meters.red)),
            goodput: column(variant.model.catalog.goodput(index as u32, objective.is_some_and(|o| o.right))),
            in_flight: column(Source::Level(meters.in_flight, 1.0)),
            latency: latency
                .iter()
                .map(|(q, limit)| (column(Source::TimerQuantile(meters.red, *q)), *limit))
                .collect(),
            availability: objective.map_or(0.99, |o| o.availability),
            is_judged: variant.objectives.is_empty() || objective.is_some(),
            is_closed: matches!(
                variant.model.epochs[0].clients[index].arrivals,
                crate::model::Arrivals::Users { .. }
            ),
        });
    }
    all
}

fn examine_one(
    plan: &Plan,
    variant: &VariantPlan,
    record: &Record,
    fault: &FaultPlan,
    columns: &Columns<'_>,
    clients: &[ClientColumns],
    capacity: &Capacity,
) -> FaultRun {
    let start = fault.start.seconds() as usize;
    let warmup = plan.warmup.seconds().ceil() as usize;
    let total = columns.seconds();
    let next =
        variant.faults.iter().filter(|f| f.start > fault.start).map(|f| f.start.seconds() as usize).min();
    let limit = next.unwrap_or(total).min(total);
    let window = (plan.recovery.window_s as usize).max(1);
    // What was normal: the minute before the fault, as far as it was measured.
    let normal_from = start.saturating_sub(60).max(warmup.min(start));
    let sum = |f: fn(&ClientColumns) -> usize, from: usize, to: usize| -> f64 {
        clients.iter().filter_map(|c| columns.mean(f(c), from, to)).sum()
    };
    let before = sum(|c| c.goodput, normal_from, start);
    let is_good = |from: usize| {
        let to = from + window;
        let wanted = wanted(columns, clients, (normal_from, start), (from, to));
        // As many as are wanted, less what a Poisson count of that size may lack by chance.
        let count = plan.recovery.goodput * wanted * window as f64;
        let back = sum(|c| c.goodput, from, to) * window as f64 >= count - by_chance(count);
        back && clients.iter().filter(|c| c.is_judged).all(|c| meets(columns, c, from, to))
    };
    let last_window = (limit + 1).saturating_sub(window);
    let last_bad = (start..last_window).rev().find(|s| !is_good(*s));
    let recovered_at = last_bad.map_or(start, |s| s + 1);
    let has_recovered =
        limit.saturating_sub(recovered_at) as f64 >= plan.recovery.stable_s && recovered_at < last_window;
    let until = if has_recovered { recovered_at } else { limit };
    let worst_to = until.max(start + 1);
    let depth = (start..worst_to.min(last_window.max(start + 1)))
        .map(|s| sum(|c| c.goodput, s, s + window))
        .fold(f64::INFINITY, f64::min);
    let unserved = (start..until)
        .flat_map(|s| clients.iter().map(move |c| (s, c)))
        .map(|(s, c)| columns.at(c.throughput, s) - columns.at(c.goodput, s))
        .sum::<f64>();
    FaultRun {
        detect_s: detected(record, fault),
        recover_s: has_recovered.then(|| recovered_at as f64 - fault.start.seconds()).map(|s| s.max(0.0)),
        depth: if depth.is_finite() { depth } else { before },
        goodput_before: before,
        unserved: unserved.max(0.0),
        cost: cost(plan, variant, columns, (normal_from, start), until_over(fault, until, limit), unserved),
        metastable: !has_recovered
            && is_metastable(plan, fault, columns, clients, (normal_from, start, limit), capacity),
    }
}

/// The second in which a fault is over and recovered from, or the last one that is about it.
fn until_over(fault: &FaultPlan, recovered: usize, limit: usize) -> usize {
    fault.end.map_or(limit, |end| end.seconds().ceil() as usize).max(recovered).min(limit)
}

/// What a fault cost: what was paid more than before it, and what the requests were worth that it cost.
fn cost(
    plan: &Plan,
    variant: &VariantPlan,
    columns: &Columns<'_>,
    (normal_from, start): (usize, usize),
    until: usize,
    unserved: f64,
) -> Option<f64> {
    let lost = unserved.max(0.0) * plan.recovery.lost_request;
    let Some((gauge, counter)) = variant.model.catalog.cost else {
        return (plan.recovery.lost_request > 0.0).then_some(lost);
    };
    let column = find(variant, Source::Spent(gauge, counter))?;
    let normal = columns.mean(column, normal_from, start)?;
    let more: f64 = (start..until).map(|s| columns.at(column, s) - normal).sum();
    Some(more / 3600.0 + lost)
}

/// The goodput that is to be back: what it was before, or what is asked if that is less by now. A quiet moment, or the
/// evening, is no failure.
fn wanted(
    columns: &Columns<'_>,
    clients: &[ClientColumns],
    normal: (usize, usize),
    (from, to): (usize, usize),
) -> f64 {
    let mean = |column: usize, from: usize, to: usize| columns.mean(column, from, to).unwrap_or(0.0);
    let of_client = |c: &ClientColumns| {
        let before = mean(c.goodput, normal.0, normal.1);
        if c.is_closed { before } else { before.min(mean(c.rate, from, to)) }
    };
    clients.iter().map(of_client).sum()
}

/// How far a Poisson count with this mean strays by chance: three standard deviations.
fn by_chance(mean: f64) -> f64 {
    3.0 * mean.max(0.0).sqrt()
}

fn meets(columns: &Columns<'_>, client: &ClientColumns, from: usize, to: usize) -> bool {
    let ended: f64 = (from..to).map(|s| columns.at(client.throughput, s)).sum();
    let good: f64 = (from..to).map(|s| columns.at(client.goodput, s)).sum();
    // Nothing asked and nothing answered is no failure; asked and not answered shows in goodput.
    let allowed = (1.0 - client.availability) * ended;
    let available = ended - good <= allowed + by_chance(allowed) + 1e-9;
    available
        && client
            .latency
            .iter()
            .all(|(column, limit)| columns.mean(*column, from, to).is_none_or(|latency| latency <= *limit))
}

/// Seconds from the fault's start to the first reaction of the system to it.
fn detected(record: &Record, fault: &FaultPlan) -> Option<f64> {
    let is_reaction = |change: &Change| {
        matches!(
            change,
            Change::TargetUnhealthy { .. }
                | Change::BreakerOpened { .. }
                | Change::OutOfMemory { .. }
                | Change::Unready { .. }
                | Change::ProbeFailed { .. }
                | Change::TaskUnhealthy { .. }
        )
    };
    record
        .log
        .iter()
        .find(|(at, change)| *at >= fault.start && is_reaction(change))
        .map(|(at, _)| at.since(fault.start).seconds())
}

fn is_metastable(
    plan: &Plan,
    fault: &FaultPlan,
    columns: &Columns<'_>,
    clients: &[ClientColumns],
    (normal_from, start, limit): (usize, usize, usize),
    capacity: &Capacity,
) -> bool {
    let window = (plan.recovery.window_s as usize).max(1);
    let Some(over) = fault.end.map(|e| e.seconds().ceil() as usize) else { return false };
    // The trigger must be over for long enough that recovery could have shown.
    if (limit as f64) < over as f64 + plan.recovery.stable_s.max(window as f64) {
        return false;
    }
    let late = limit - window;
    let mean = |column: usize, from: usize, to: usize| columns.mean(column, from, to).unwrap_or(0.0);
    let sum = |f: fn(&ClientColumns) -> usize, from: usize, to: usize| -> f64 {
        clients.iter().map(|c| mean(f(c), from, to)).sum()
    };
    let wanted = wanted(columns, clients, (normal_from, start), (late, limit));
    let goodput_is_back = sum(|c| c.goodput, late, limit) >= plan.recovery.goodput * wanted;
    let is_closed = clients.iter().all(|c| c.is_closed);
    // Users who wait for answers ask less: their number is the load, and that has not changed.
    let load_is_back =
        is_closed || sum(|c| c.rate, late, limit) >= LOAD_IS_BACK * sum(|c| c.rate, normal_from, start);
    let capacity_is_back = capacity
        .up
        .iter()
        .all(|column| mean(*column, late, limit) >= mean(*column, normal_from, start) - 1e-9);
    let middle = over + (limit - over) / 2;
    let (earlier, later) = (sum(|c| c.in_flight, middle, middle + window), sum(|c| c.in_flight, late, limit));
    // Clients that gave up leave their requests behind: the instances still have to get rid of them.
    let held = |from: usize, to: usize| capacity.held.iter().map(|c| mean(*c, from, to)).sum::<f64>();
    let is_draining =
        later < DRAINING * earlier || held(late, limit) < DRAINING * held(middle, middle + window);
    !goodput_is_back && load_is_back && capacity_is_back && !is_draining
}
