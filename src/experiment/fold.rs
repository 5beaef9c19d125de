//! Merging runs, in order of their number.

use super::alerts;
use super::cascade;
use super::doubts;
use super::judge::{self, SubjectValue};
use super::measures::SeriesKept;
use super::objectives;
use super::plan::{FaultMeasure, Plan, VariantPlan};
use super::precision;
use super::results::{
    AlertRun, ExperimentResult, FaultNumber, FaultResult, FaultRun, LatencyCurve, LogLine, MetricResult,
    RunLog, Series, SeriesColumn, TheoryResult, VariantResult,
};
use super::stationary;
use super::theory;
use super::traces;
use crate::metrics::estimate::binomial;
use crate::metrics::trace::Traces;
use crate::metrics::{Estimate, Histogram, Proportion};
use crate::sim::Stop;
use serde::{Deserialize, Serialize};

/// The most lines of the event logs of a variant. The log of a run is kept as a whole or not at all; from the first
/// that does not fit on, none is kept.
const LOG_LINES_MAX: usize = 200_000;

/// What is kept of one run.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunData {
    /// Why it stopped. Only runs that came to their end are kept.
    #[serde(skip, default = "at_its_end")]
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
    /// What each population had in flight in each part of the measured time.
    pub levels: Vec<Vec<f64>>,
    /// How many values lie beyond each percentile that somebody looks at.
    pub beyond: Vec<f64>,
    /// Every metric second by second, row by row; NaN where there is no value.
    pub rows: Vec<f64>,
    /// What each fault did.
    pub faults: Vec<FaultRun>,
    /// What each alert did.
    pub alerts: Vec<AlertRun>,
    /// In which order components fell, for each trigger.
    pub cascades: Vec<cascade::Path>,
    /// How objectives were met.
    pub objectives: Vec<Vec<Option<f64>>>,
    /// What each expectation is about, and then what each measure is.
    pub subjects: Vec<SubjectValue>,
    /// What each value of theory is.
    pub theory: Vec<Option<f64>>,
    /// The requests that were sampled.
    pub traces: Traces,
}

fn at_its_end() -> Stop {
    Stop::End
}

/// The runs of one variant so far.
///
/// What is kept of each run are numbers: one for each metric, expectation, fault and alert. Series and histograms are
/// merged, and logs are kept up to a limit: memory does not grow with what runs record.
#[derive(Debug)]
pub struct Fold {
    columns: usize,
    /// How many values a row of the series has: those of all metrics come first.
    width: usize,
    events: u64,
    requests: u64,
    fingerprints: Vec<u64>,
    /// Values of each metric, run by run.
    values: Vec<Vec<Option<f64>>>,
    /// The same while each fault lasted.
    during: Vec<Vec<Vec<Option<f64>>>>,
    latency: Vec<Histogram>,
    logs: Vec<RunLog>,
    log_lines: usize,
    /// The first run whose log was left out.
    log_ends: Option<u32>,
    log_dropped: u64,
    /// What each population had in flight, run by run.
    levels: Vec<Vec<Vec<f64>>>,
    /// The sum over runs of the values beyond each percentile.
    beyond: Vec<f64>,
    cells: Vec<Cell>,
    faults: Vec<Vec<FaultRun>>,
    alerts: Vec<Vec<AlertRun>>,
    cascades: Vec<Vec<cascade::Path>>,
    objectives: Vec<Vec<Vec<Option<f64>>>>,
    subjects: Vec<Vec<SubjectValue>>,
    theory: Vec<Vec<Option<f64>>>,
    traces: traces::Kept,
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
            width: variant.recorded.columns.len(),
            events: 0,
            requests: 0,
            fingerprints: Vec::new(),
            values: vec![Vec::new(); columns],
            during: vec![vec![Vec::new(); columns]; variant.faults.len()],
            latency: vec![Histogram::new(); variant.model.clients.len()],
            logs: Vec::new(),
            log_lines: 0,
            log_ends: None,
            log_dropped: 0,
            levels: vec![Vec::new(); variant.model.clients.len()],
            beyond: vec![0.0; variant.percentiles.len()],
            cells: Vec::new(),
            faults: vec![Vec::new(); variant.faults.len()],
            alerts: vec![Vec::new(); variant.alerts.len()],
            cascades: Vec::new(),
            objectives: Vec::new(),
            subjects: vec![Vec::new(); subjects(variant)],
            theory: vec![Vec::new(); variant.theory.len()],
            traces: traces::Kept::default(),
        }
    }

    /// Adds the next run.
    pub fn add(&mut self, run: u32, data: RunData) {
        self.events += data.events;
        self.requests += data.requests;
        self.fingerprints.push(data.fingerprint);
        for (all, value) in self.values.iter_mut().zip(data.values) {
            // Often there is one run only, and metrics may be many: no room for others yet.
            if all.is_empty() {
                all.reserve_exact(1);
            }
            all.push(value);
        }
        for (all, values) in self.during.iter_mut().zip(data.during) {
            all.iter_mut().zip(values).for_each(|(all, value)| all.push(value));
        }
        for (all, latency) in self.latency.iter_mut().zip(&data.latency) {
            all.merge(latency);
        }
        self.add_log(RunLog { run, lines: data.log, dropped: data.log_dropped });
        for (all, levels) in self.levels.iter_mut().zip(data.levels) {
            all.push(levels);
        }
        for (sum, beyond) in self.beyond.iter_mut().zip(data.beyond) {
            *sum += beyond;
        }
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
        self.cascades.push(data.cascades);
        self.objectives.push(data.objectives);
        for (all, subject) in self.subjects.iter_mut().zip(data.subjects) {
            all.push(subject);
        }
        for (all, value) in self.theory.iter_mut().zip(data.theory) {
            all.push(value);
        }
        self.traces.add(run, data.traces);
    }

    fn add_log(&mut self, log: RunLog) {
        self.log_dropped += log.dropped;
        self.log_lines += log.lines.len();
        if self.log_ends.is_none() && self.log_lines > LOG_LINES_MAX {
            self.log_ends = Some(log.run);
        }
        if self.log_ends.is_none() {
            self.logs.push(log);
        }
    }

    /// What is to be known precisely, in each run.
    pub fn precise(&self, variant: &VariantPlan) -> &[Vec<SubjectValue>] {
        &self.subjects[variant.expectations.len() + variant.measures.len()..]
    }

    /// How many values lie beyond each percentile, mean over runs.
    fn beyond(&self) -> Vec<f64> {
        self.beyond.iter().map(|sum| sum / self.fingerprints.len().max(1) as f64).collect()
    }

    fn series(&self, variant: &VariantPlan) -> Series {
        if variant.recorded.series != SeriesKept::All {
            return Series::default();
        }
        let seconds = self.cells.len().checked_div(self.width).unwrap_or(0);
        let column = |index: usize| {
            let metric = &variant.model.catalog.metrics[index];
            let cells = (0..seconds).map(|s| &self.cells[s * self.width + index]);
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

    fn metrics(variant: &VariantPlan, values: Vec<Vec<Option<f64>>>) -> Vec<MetricResult> {
        let metrics = variant.model.catalog.metrics.iter().zip(values);
        metrics
            .map(|(metric, values)| MetricResult {
                path: metric.path.clone(),
                unit: metric.unit,
                estimate: Estimate::of_present(&values),
                per_run: values,
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

/// The result of all variants, over the runs that were added.
pub fn result(plan: &Plan, folds: Vec<Fold>) -> ExperimentResult {
    let mut expectations = Vec::new();
    let mut agreements = Vec::new();
    let mut warnings = Vec::new();
    let mut variants = Vec::new();
    let mut precision = Vec::new();
    let runs = folds.iter().map(|fold| fold.fingerprints.len() as u32).max().unwrap_or(0);
    let beyond: Vec<Vec<f64>> = folds.iter().map(Fold::beyond).collect();
    for (variant, mut fold) in plan.variants.iter().zip(folds) {
        expectations.extend(judge::verdicts(variant, &fold.subjects));
        agreements.extend(theory::agreements(variant, &fold.theory));
        precision.extend(precision::results(variant, fold.precise(variant)));
        let stationary = stationary::results(variant, &fold.levels, plan.end.since(plan.warmup).seconds());
        warnings.extend(stationary::warnings(&variant.name, &stationary));
        warnings.extend(log_dropped(variant, &fold, runs));
        warnings.extend(fold.traces.warnings(&variant.name));
        let during = std::mem::take(&mut fold.during);
        variants.push(VariantResult {
            name: variant.name.clone(),
            requests: fold.requests,
            events: fold.events,
            metrics: Fold::metrics(variant, std::mem::take(&mut fold.values)),
            faults: during
                .into_iter()
                .enumerate()
                .map(|(at, during)| fault(variant, &fold, at, during))
                .collect(),
            alerts: variant
                .alerts
                .iter()
                .zip(&fold.alerts)
                .map(|(a, runs)| alerts::result(a, runs.clone()))
                .collect(),
            objectives: objectives::results(&variant.slos, &fold.objectives),
            cascades: (0..variant.cascade.triggers.len())
                .map(|number| cascade::result(variant, number, &fold.cascades))
                .collect(),
            series: fold.series(variant),
            latency: fold.latency(variant),
            measures: judge::measures(variant, &fold.subjects),
            fingerprints: fold.fingerprints,
            log: fold.logs,
            traces: fold.traces.book(variant, plan.traces),
            stationary,
        });
    }
    warnings.extend(precision::warning(&precision, runs));
    warnings.extend(doubts::too_short(plan, &beyond));
    warnings.extend(doubts::of_plan(plan, runs));
    ExperimentResult {
        name: plan.name.clone(),
        seed: plan.seed,
        runs,
        runs_at_most: plan.runs,
        precision,
        duration_s: plan.end.seconds(),
        warmup_s: plan.warmup.seconds(),
        warmup_method: plan.warmup_found.map(|_| "MSER-5"),
        events: variants.iter().map(|v| v.events).sum(),
        variants,
        expectations,
        theory: TheoryResult { source: plan.theory_source.clone(), agreements },
        warnings,
    }
}

fn fault(variant: &VariantPlan, fold: &Fold, number: usize, during: Vec<Vec<Option<f64>>>) -> FaultResult {
    let (plan, all) = (&variant.faults[number], fold.faults[number].as_slice());
    // A fault that never began in a run says nothing about it.
    let runs: Vec<FaultRun> = all.iter().copied().filter(|run| run.struck).collect();
    let estimate = |f: fn(&FaultRun) -> Option<f64>| estimate_of(&runs, f);
    // What waits for something begins when it does: the mean over the runs in which it did.
    let (start_s, end_s) = match plan.is_conditional() {
        true => {
            let start = estimate(|r| Some(r.lasted_s.0)).map_or(variant.script.end.seconds(), |e| e.mean);
            (start, estimate(|r| r.lasted_s.1).map(|e| e.mean))
        }
        false => (plan.start.seconds(), plan.end.map(|e| e.seconds())),
    };
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
        start_s,
        end_s,
        detect_s: estimate(|r| r.detect_s),
        recover_s: estimate(|r| r.recover_s),
        recovered: share(|r| r.recover_s.is_some()),
        depth: estimate(|r| Some(r.depth)),
        goodput_before: estimate(|r| Some(r.goodput_before)),
        unserved: estimate(|r| Some(r.unserved)),
        cost: estimate(|r| r.cost),
        metastable: share(|r| r.metastable),
        during: Fold::metrics(variant, during),
        measures: FaultMeasure::ALL
            .iter()
            .skip(5)
            .map(|(name, what, unit, _)| FaultNumber {
                name,
                unit: *unit,
                estimate: estimate_of(&runs, |run| what.of(run)),
            })
            .collect(),
        per_run: all.to_vec(),
    }
}

fn estimate_of(runs: &[FaultRun], of: impl Fn(&FaultRun) -> Option<f64>) -> Option<Estimate> {
    Estimate::of_present(&runs.iter().map(of).collect::<Vec<_>>())
}

/// How many numbers are asked of each run.
fn subjects(variant: &VariantPlan) -> usize {
    variant.expectations.len() + variant.measures.len() + variant.precise.len()
}

fn log_dropped(variant: &VariantPlan, fold: &Fold, runs: u32) -> Vec<String> {
    let name = &variant.name;
    let lines = (fold.log_dropped > 0)
        .then(|| format!("{name}: {} state changes were left out of the event log", fold.log_dropped));
    let logs = fold.log_ends.map(|first| {
        format!("{name}: the event log ends before run {first}: it holds {LOG_LINES_MAX} lines at most, of {runs} runs")
    });
    lines.into_iter().chain(logs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::run::examine;
    use crate::experiment::{Changes, plan};
    use crate::spec::load::Loader;

    const SYSTEM: &str = r#"Experiment(
        topology: Topology(
            name: "t",
            clients: { "users": Clients(arrivals: Poisson("5/s"), requests: { "s/e": 1 }) },
            services: { "s": Service(endpoints: { "e": [ Work("1ms") ] }) },
        ),
        duration: "2s", runs: 6,
    )"#;

    #[test]
    fn logs_are_kept_whole_or_not_at_all_and_that_is_said() {
        let mut loader = Loader::default();
        let document = loader.load_text("t", SYSTEM);
        let plan = document.and_then(|d| plan(&mut loader, d, &Changes::default())).unwrap();
        let variant = &plan.variants[0];
        let mut fold = Fold::new(variant);
        let line = LogLine {
            time_s: 1.0,
            kind: "up".into(),
            component: String::new(),
            instance: String::new(),
            detail: String::new(),
        };
        // Two logs fit, the third does not, and the fourth would, but a hole is worse than an end.
        for (run, lines) in [100_000, 99_999, 2, 0, 5, 0].into_iter().enumerate() {
            let mut data = examine(&plan, variant, run as u32);
            data.log = vec![line.clone(); lines];
            data.log_dropped = 3;
            fold.add(run as u32, data);
        }
        let result = result(&plan, vec![fold]);
        let logs = &result.variants[0].log;
        assert_eq!(
            logs.iter().map(|l| (l.run, l.lines.len())).collect::<Vec<_>>(),
            [(0, 100_000), (1, 99_999)]
        );
        let said = |words: &str| result.warnings.iter().any(|w| w.contains(words));
        assert!(said("the event log ends before run 2") && said("18 state changes"), "{:?}", result.warnings);
        assert_eq!(result.variants[0].metrics[0].per_run.len(), 6);
    }
}
