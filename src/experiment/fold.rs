//! Merging runs, in order of their number.

use super::alerts;
use super::judge::{self, SubjectValue};
use super::plan::{Plan, VariantPlan};
use super::results::{
    AlertRun, ExperimentResult, FaultResult, FaultRun, LatencyCurve, LogLine, MetricResult, RunLog, Series,
    SeriesColumn, TheoryResult, VariantResult,
};
use super::{stationary, theory};
use crate::metrics::estimate::binomial;
use crate::metrics::{Estimate, Histogram, Proportion, Source};
use crate::sim::Stop;

/// What is kept of one run.
#[derive(Debug)]
pub struct RunData {
    /// Why it stopped.
    pub stop: Stop,
    /// Events played.
    pub events: u64,
    /// Requests sent.
    pub requests: u64,
    /// The hash over its completions.
    pub fingerprint: u64,
    /// Every metric over the measured time.
    pub values: Vec<Option<f64>>,
    /// Every metric while each fault lasted.
    pub during: Vec<Vec<Option<f64>>>,
    /// The latency of each client population over the measured time.
    pub latency: Vec<Histogram>,
    /// State changes.
    pub log: Vec<LogLine>,
    /// State changes left out.
    pub log_dropped: u64,
    /// Every metric second by second, row by row; NaN where there is no value.
    pub rows: Vec<f64>,
    /// What each fault did.
    pub faults: Vec<FaultRun>,
    /// What each alert did.
    pub alerts: Vec<AlertRun>,
    /// What each expectation is about, and then what each measure is.
    pub subjects: Vec<SubjectValue>,
    /// What each value of theory is.
    pub theory: Vec<Option<f64>>,
}

/// The runs of one variant so far.
#[derive(Debug)]
pub struct Fold {
    columns: usize,
    events: u64,
    requests: u64,
    fingerprints: Vec<u64>,
    /// Values of each metric, run by run.
    values: Vec<Vec<Option<f64>>>,
    /// The same while each fault lasted.
    during: Vec<Vec<Vec<Option<f64>>>>,
    latency: Vec<Histogram>,
    logs: Vec<RunLog>,
    cells: Vec<Cell>,
    faults: Vec<Vec<FaultRun>>,
    alerts: Vec<Vec<AlertRun>>,
    subjects: Vec<Vec<SubjectValue>>,
    theory: Vec<Vec<Option<f64>>>,
}

/// One metric in one second, over runs.
#[derive(Clone, Copy, Debug)]
struct Cell {
    sum: f64,
    count: u32,
    lo: f64,
    hi: f64,
}

impl Cell {
    const EMPTY: Self = Self { sum: 0.0, count: 0, lo: f64::INFINITY, hi: f64::NEG_INFINITY };

    fn add(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        self.sum += value;
        self.count += 1;
        self.lo = self.lo.min(value);
        self.hi = self.hi.max(value);
    }
}

impl Fold {
    /// No runs yet.
    pub fn new(variant: &VariantPlan) -> Self {
        let columns = variant.model.catalog.metrics.len();
        Self {
            columns,
            events: 0,
            requests: 0,
            fingerprints: Vec::new(),
            values: vec![Vec::new(); columns],
            during: vec![vec![Vec::new(); columns]; variant.faults.len()],
            latency: vec![Histogram::new(); variant.model.clients.len()],
            logs: Vec::new(),
            cells: Vec::new(),
            faults: vec![Vec::new(); variant.faults.len()],
            alerts: vec![Vec::new(); variant.alerts.len()],
            subjects: vec![Vec::new(); variant.expectations.len() + variant.measures.len()],
            theory: vec![Vec::new(); variant.theory.len()],
        }
    }

    /// Adds the next run.
    pub fn add(&mut self, run: u32, data: RunData) {
        self.events += data.events;
        self.requests += data.requests;
        self.fingerprints.push(data.fingerprint);
        for (all, value) in self.values.iter_mut().zip(data.values) {
            all.push(value);
        }
        for (all, values) in self.during.iter_mut().zip(data.during) {
            all.iter_mut().zip(values).for_each(|(all, value)| all.push(value));
        }
        for (all, latency) in self.latency.iter_mut().zip(&data.latency) {
            all.merge(latency);
        }
        self.logs.push(RunLog { run, lines: data.log, dropped: data.log_dropped });
        self.cells.resize(self.cells.len().max(data.rows.len()), Cell::EMPTY);
        for (cell, value) in self.cells.iter_mut().zip(data.rows) {
            cell.add(value);
        }
        for (all, fault) in self.faults.iter_mut().zip(data.faults) {
            all.push(fault);
        }
        for (all, alert) in self.alerts.iter_mut().zip(data.alerts) {
            all.push(alert);
        }
        for (all, subject) in self.subjects.iter_mut().zip(data.subjects) {
            all.push(subject);
        }
        for (all, value) in self.theory.iter_mut().zip(data.theory) {
            all.push(value);
        }
    }

    fn series(&self, variant: &VariantPlan) -> Series {
        if !variant.recorded.is_series {
            return Series::default();
        }
        let seconds = self.cells.len().checked_div(self.columns).unwrap_or(0);
        let column = |index: usize| {
            let metric = &variant.model.catalog.metrics[index];
            let cells = (0..seconds).map(|s| &self.cells[s * self.columns + index]);
            let pick = |f: fn(&Cell) -> f64| {
                cells.clone().map(|c| if c.count == 0 { f64::NAN } else { f(c) }).collect::<Vec<f64>>()
            };
            SeriesColumn {
                path: metric.path.clone(),
                unit: metric.unit,
                mean: pick(|c| c.sum / f64::from(c.count)),
                lo: pick(|c| c.lo),
                hi: pick(|c| c.hi),
            }
        };
        Series {
            times_s: (1..=seconds).map(|s| s as f64).collect(),
            columns: (0..self.columns).map(column).collect(),
        }
    }

    fn metrics(variant: &VariantPlan, values: &[Vec<Option<f64>>]) -> Vec<MetricResult> {
        let metrics = variant.model.catalog.metrics.iter().zip(values);
        metrics
            .map(|(metric, values)| MetricResult {
                path: metric.path.clone(),
                unit: metric.unit,
                meaning: metric.meaning.clone(),
                estimate: Estimate::of_present(values),
                per_run: values.clone(),
            })
            .collect()
    }

    fn latency(&self, variant: &VariantPlan) -> Vec<LatencyCurve> {
        let clients = variant.model.clients.iter().zip(&self.latency);
        clients
            .map(|(client, histogram)| LatencyCurve {
                client: client.name.clone(),
                points: histogram.ccdf().collect(),
            })
            .collect()
    }
}

/// The result of all variants.
pub fn result(plan: &Plan, folds: Vec<Fold>) -> ExperimentResult {
    let mut expectations = Vec::new();
    let mut agreements = Vec::new();
    let mut warnings = Vec::new();
    let mut variants = Vec::new();
    for (variant, fold) in plan.variants.iter().zip(folds) {
        expectations.extend(judge::verdicts(variant, &fold.subjects));
        agreements.extend(theory::agreements(variant, &fold.theory));
        warnings.extend(not_stationary(plan, variant, &fold));
        warnings.extend(log_dropped(variant, &fold));
        variants.push(VariantResult {
            name: variant.name.clone(),
            requests: fold.requests,
            events: fold.events,
            metrics: Fold::metrics(variant, &fold.values),
            faults: (0..variant.faults.len()).map(|number| fault(variant, &fold, number)).collect(),
            alerts: variant
                .alerts
                .iter()
                .zip(&fold.alerts)
                .map(|(a, runs)| alerts::result(a, runs.clone()))
                .collect(),
            series: fold.series(variant),
            latency: fold.latency(variant),
            measures: judge::measures(variant, &fold.subjects),
            fingerprints: fold.fingerprints,
            log: fold.logs,
        });
    }
    if plan.runs < 2 {
        warnings.push("one run only: there are no confidence intervals; give `runs` or --runs".into());
    }
    ExperimentResult {
        name: plan.name.clone(),
        seed: plan.seed,
        runs: plan.runs,
        duration_s: plan.end.seconds(),
        warmup_s: plan.warmup.seconds(),
        events: variants.iter().map(|v| v.events).sum(),
        variants,
        expectations,
        theory: TheoryResult { source: plan.theory_source.clone(), agreements },
        warnings,
    }
}

fn fault(variant: &VariantPlan, fold: &Fold, number: usize) -> FaultResult {
    let (plan, runs) = (&variant.faults[number], fold.faults[number].as_slice());
    let estimate =
        |f: fn(&FaultRun) -> Option<f64>| Estimate::of_present(&runs.iter().map(f).collect::<Vec<_>>());
    let share = |f: fn(&FaultRun) -> bool| {
        let count = runs.iter().filter(|r| f(r)).count() as u64;
        binomial(count, runs.len() as u64).unwrap_or(Proportion {
            successes: 0,
            runs: 0,
            share: 0.0,
            lo: 0.0,
            hi: 1.0,
        })
    };
    FaultResult {
        name: plan.name.clone(),
        kind: plan.kind.to_string(),
        target: plan.target.clone(),
        start_s: plan.start.seconds(),
        end_s: plan.end.map(|e| e.seconds()),
        detect_s: estimate(|r| r.detect_s),
        recover_s: estimate(|r| r.recover_s),
        recovered: share(|r| r.recover_s.is_some()),
        depth: estimate(|r| Some(r.depth)),
        goodput_before: estimate(|r| Some(r.goodput_before)),
        unserved: estimate(|r| Some(r.unserved)),
        metastable: share(|r| r.metastable),
        during: Fold::metrics(variant, &fold.during[number]),
        per_run: runs.to_vec(),
    }
}

/// Warns of populations whose requests pile up although nothing strikes: means of such runs mean nothing.
fn not_stationary(plan: &Plan, variant: &VariantPlan, fold: &Fold) -> Vec<String> {
    let mut warnings = Vec::new();
    let calm = variant.faults.is_empty()
        && variant.script.failures.is_empty()
        && variant.model.epochs.len() == 1
        && variant.recorded.is_series;
    let seconds = fold.cells.len().checked_div(fold.columns).unwrap_or(0);
    let first = plan.warmup.seconds().ceil() as usize;
    if !calm || seconds < first + 9 {
        return warnings;
    }
    let third = (seconds - first) / 3;
    for (client, meters) in variant.model.clients.iter().zip(&variant.model.catalog.clients) {
        let in_flight = Source::Level(meters.in_flight, 1.0);
        let Some(column) = variant.model.catalog.metrics.iter().position(|m| m.source == in_flight) else {
            continue;
        };
        let mean = |from: usize, to: usize| {
            let cells = (from..to).map(|s| &fold.cells[s * fold.columns + column]);
            cells.map(|c| c.sum / f64::from(c.count.max(1))).sum::<f64>() / (to - from).max(1) as f64
        };
        let (early, late) = (mean(first, first + third), mean(seconds - third, seconds));
        if stationary::piles_up(early, late) {
            warnings.push(format!(
                "{}: requests of `{}` pile up (in flight {early:.0} early, {late:.0} late): more is asked than the \
                 system can do, or the warm-up is too short; means over this run depend on its length",
                variant.name, client.name
            ));
        }
    }
    warnings
}

fn log_dropped(variant: &VariantPlan, fold: &Fold) -> Option<String> {
    let dropped: u64 = fold.logs.iter().map(|l| l.dropped).sum();
    (dropped > 0).then(|| format!("{}: {dropped} state changes were left out of the event log", variant.name))
}
