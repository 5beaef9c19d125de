//! The summary for machines: one JSON document with everything but the series and the log.
//!
//! Names of fields are a contract. Numbers have twelve significant digits, so that what a platform does with the last
//! bits does not show; what has no value is `null`, never NaN.

mod cascades;
mod indented;
mod objectives;

use crate::base::units::Unit;
use crate::experiment::results::{
    Agreement, AlertResult, AlertRun, ExpectationResult, ExperimentResult, FaultNumber, FaultResult,
    FaultRun, MetricResult, PrecisionResult, StationaryResult, TheoryResult, VariantResult,
};
use crate::metrics::estimate::stable;
use crate::metrics::{Estimate, Proportion};
use crate::report::validation::Case;
use cascades::Cascade;
use indented::Indented;
use objectives::Objective;
use serde::{Serialize, Serializer};

/// The summary as pretty JSON, with a newline at the end.
pub fn summary(result: &ExperimentResult) -> String {
    pretty(&Summary::of(result))
}

/// As serde's own pretty JSON, with a newline at the end.
fn pretty(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Indented::default());
    if value.serialize(&mut serializer).is_err() {
        unreachable!("keys are strings and numbers are finite");
    }
    bytes.push(b'\n');
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => unreachable!("JSON is UTF-8"),
    }
}

/// How all cases agree with theory, as one JSON document.
pub fn validation(cases: &[Case]) -> String {
    #[derive(Serialize)]
    struct Row<'a> {
        system: &'a str,
        seed: u64,
        runs: u32,
        simulated_seconds: Number,
        events: u64,
        #[serde(flatten)]
        theory: Theory<'a>,
    }
    let rows = cases.iter().map(|case| Row {
        system: &case.name,
        seed: case.result.seed,
        runs: case.result.runs,
        simulated_seconds: Number(case.result.duration_s),
        events: case.result.events,
        theory: Theory::of(&case.result.theory),
    });
    let rows: Vec<Row<'_>> = rows.collect();
    match serde_json::to_string_pretty(&rows) {
        Ok(text) => text + "\n",
        Err(_) => unreachable!("keys are strings and numbers are finite"),
    }
}

/// Metrics as a JSON list of path, unit and meaning.
pub fn metric_list<'a>(metrics: impl Iterator<Item = (&'a str, Unit, &'a str)>) -> String {
    #[derive(Serialize)]
    struct Row<'a> {
        path: &'a str,
        unit: &'static str,
        meaning: &'a str,
    }
    let rows: Vec<Row<'_>> =
        metrics.map(|(path, unit, meaning)| Row { path, unit: unit.symbol(), meaning }).collect();
    match serde_json::to_string_pretty(&rows) {
        Ok(text) => text + "\n",
        Err(_) => unreachable!("strings are always JSON"),
    }
}

/// A number with twelve significant digits; `null` if it is not finite.
#[derive(Clone, Copy)]
pub(super) struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.0.is_finite() {
            return serializer.serialize_none();
        }
        // Adding zero turns a negative zero into a plain one.
        serializer.serialize_f64(stable(self.0) + 0.0)
    }
}

/// The ends of an interval.
pub(super) type Interval = Option<[Number; 2]>;

pub(super) fn interval(lo: f64, hi: f64) -> Interval {
    (lo.is_finite() && hi.is_finite()).then_some([Number(lo), Number(hi)])
}

pub(super) fn interval_of(estimate: Option<Estimate>) -> Interval {
    estimate.and_then(|e| interval(e.lo?, e.hi?))
}

fn mean_of(estimate: Option<Estimate>) -> Option<Number> {
    estimate.map(|e| Number(e.mean))
}

/// An object whose keys keep their order.
pub(super) struct Object<T>(pub(super) Vec<(String, T)>);

impl<T: Serialize> Serialize for Object<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    brownout: &'static str,
    name: &'a str,
    seed: u64,
    runs: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    precision: Vec<Precision<'a>>,
    simulated_seconds: Number,
    warmup_seconds: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    warmup_found_by: Option<&'static str>,
    events: u64,
    warnings: &'a [String],
    variants: Object<Variant<'a>>,
    expectations: Vec<Expectation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    theory: Option<Theory<'a>>,
}

impl<'a> Summary<'a> {
    fn of(result: &'a ExperimentResult) -> Self {
        Self {
            brownout: env!("CARGO_PKG_VERSION"),
            name: &result.name,
            seed: result.seed,
            runs: result.runs,
            precision: result.precision.iter().map(Precision::of).collect(),
            simulated_seconds: Number(result.duration_s),
            warmup_seconds: Number(result.warmup_s),
            warmup_found_by: result.warmup_method,
            events: result.events,
            warnings: &result.warnings,
            variants: Object(result.variants.iter().map(|v| (v.name.clone(), Variant::of(v))).collect()),
            expectations: result.expectations.iter().map(Expectation::of).collect(),
            theory: Some(Theory::of(&result.theory)).filter(|t| !t.values.is_empty()),
        }
    }
}

/// How precise an answer became.
#[derive(Serialize)]
struct Precision<'a> {
    variant: &'a str,
    text: &'a str,
    unit: &'static str,
    value: Option<Number>,
    half_width: Option<Number>,
    within: Option<Number>,
    absolute: Option<Number>,
    reached: bool,
}

impl<'a> Precision<'a> {
    fn of(precision: &'a PrecisionResult) -> Self {
        Self {
            variant: &precision.variant,
            text: &precision.text,
            unit: precision.unit.symbol(),
            value: precision.value.map(Number),
            half_width: precision.half_width.map(Number),
            within: precision.within.map(Number),
            absolute: precision.absolute.map(Number),
            reached: precision.is_reached,
        }
    }
}

#[derive(Serialize)]
struct Theory<'a> {
    source: &'a str,
    values: Vec<KnownValue<'a>>,
}

impl<'a> Theory<'a> {
    fn of(theory: &'a TheoryResult) -> Self {
        Self { source: &theory.source, values: theory.agreements.iter().map(KnownValue::of).collect() }
    }
}

#[derive(Serialize)]
struct KnownValue<'a> {
    name: &'a str,
    variant: &'a str,
    formula: &'a str,
    unit: &'static str,
    reference: Number,
    tolerance: Number,
    simulated: Option<Number>,
    ci95: Interval,
    error: Option<Number>,
    verdict: &'static str,
}

impl<'a> KnownValue<'a> {
    fn of(agreement: &'a Agreement) -> Self {
        Self {
            name: &agreement.name,
            variant: &agreement.variant,
            formula: &agreement.text,
            unit: agreement.unit.symbol(),
            reference: Number(agreement.reference),
            tolerance: Number(agreement.tolerance),
            simulated: agreement.value.map(Number),
            ci95: agreement.ci95.and_then(|(lo, hi)| interval(lo, hi)),
            error: agreement.error().map(Number),
            verdict: agreement.verdict.name(),
        }
    }
}

#[derive(Serialize)]
struct Variant<'a> {
    requests: u64,
    events: u64,
    fingerprints: Vec<String>,
    /// Whether all populations settled; null if that cannot be told.
    stationary: Option<bool>,
    #[serde(skip_serializing_if = "is_empty")]
    populations: Object<Population<'a>>,
    metrics: Metrics<'a>,
    faults: Vec<Fault<'a>>,
    alerts: Object<AlertOf<'a>>,
    #[serde(skip_serializing_if = "is_empty")]
    objectives: Object<Objective<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cascades: Vec<Cascade<'a>>,
}

fn is_empty<T>(object: &Object<T>) -> bool {
    object.0.is_empty()
}

/// Whether a client population settled.
#[derive(Serialize)]
struct Population<'a> {
    stationary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    in_flight_early: Number,
    in_flight_late: Number,
    rise_per_s: Number,
    ci99: Interval,
}

impl<'a> Population<'a> {
    fn of(settled: &'a StationaryResult) -> Self {
        Self {
            stationary: settled.is_stationary,
            reason: settled.reason.as_deref(),
            in_flight_early: Number(settled.early),
            in_flight_late: Number(settled.late),
            rise_per_s: Number(settled.rise_per_s),
            ci99: settled.ci99.and_then(|(lo, hi)| interval(lo, hi)),
        }
    }
}

impl<'a> Variant<'a> {
    fn of(variant: &'a VariantResult) -> Self {
        Self {
            requests: variant.requests,
            events: variant.events,
            fingerprints: variant.fingerprints.iter().map(|hash| format!("{hash:016x}")).collect(),
            stationary: (!variant.stationary.is_empty())
                .then(|| variant.stationary.iter().all(|s| s.is_stationary)),
            populations: Object(
                variant.stationary.iter().map(|s| (s.client.clone(), Population::of(s))).collect(),
            ),
            metrics: Metrics(&variant.metrics),
            faults: variant.faults.iter().map(Fault::of).collect(),
            alerts: Object(variant.alerts.iter().map(|a| (a.name.clone(), AlertOf::of(a))).collect()),
            objectives: Object(
                variant.objectives.iter().map(|o| (o.name.clone(), Objective::of(o))).collect(),
            ),
            cascades: variant.cascades.iter().map(Cascade::of).collect(),
        }
    }
}

/// Metrics by path. Those that no run has a value of are null. There may be very many, so no list of them is made.
struct Metrics<'a>(&'a [MetricResult]);

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|m| (&m.path, Metric::of(m))))
    }
}

#[derive(Serialize)]
struct Metric {
    mean: Option<Number>,
    ci95: Interval,
    unit: &'static str,
}

impl Metric {
    fn measured(number: &FaultNumber) -> Self {
        Self {
            mean: mean_of(number.estimate),
            ci95: interval_of(number.estimate),
            unit: number.unit.symbol(),
        }
    }

    fn of(metric: &MetricResult) -> Self {
        Self {
            mean: mean_of(metric.estimate),
            ci95: interval_of(metric.estimate),
            unit: metric.unit.symbol(),
        }
    }
}

#[derive(Serialize)]
struct Share {
    share: Number,
    ci95: Interval,
    runs: u64,
}

impl Share {
    fn of(proportion: Proportion) -> Self {
        Self {
            share: Number(proportion.share),
            ci95: interval(proportion.lo, proportion.hi),
            runs: proportion.runs,
        }
    }
}

#[derive(Serialize)]
struct Fault<'a> {
    name: &'a str,
    kind: &'a str,
    target: &'a str,
    start_s: Number,
    end_s: Option<Number>,
    detect_s: Option<Number>,
    recover_s: Option<Number>,
    recovered: Share,
    depth_per_s: Option<Number>,
    goodput_before_per_s: Option<Number>,
    unserved: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Number>,
    metastable: bool,
    metastable_share: Share,
    #[serde(skip_serializing_if = "is_empty")]
    measures: Object<Metric>,
    ci95: FaultIntervals,
    during: Metrics<'a>,
    per_run: Vec<Run>,
}

impl<'a> Fault<'a> {
    fn of(fault: &'a FaultResult) -> Self {
        Self {
            name: &fault.name,
            kind: &fault.kind,
            target: &fault.target,
            start_s: Number(fault.start_s),
            end_s: fault.end_s.map(Number),
            detect_s: mean_of(fault.detect_s),
            recover_s: mean_of(fault.recover_s),
            recovered: Share::of(fault.recovered),
            depth_per_s: mean_of(fault.depth),
            goodput_before_per_s: mean_of(fault.goodput_before),
            unserved: mean_of(fault.unserved),
            cost: mean_of(fault.cost),
            metastable: fault.metastable.share > 0.5,
            metastable_share: Share::of(fault.metastable),
            measures: Object(
                fault.measures.iter().map(|m| (m.name.to_string(), Metric::measured(m))).collect(),
            ),
            ci95: FaultIntervals::of(fault),
            during: Metrics(&fault.during),
            per_run: fault.per_run.iter().map(Run::of).collect(),
        }
    }
}

#[derive(Serialize)]
struct FaultIntervals {
    detect_s: Interval,
    recover_s: Interval,
    depth_per_s: Interval,
    goodput_before_per_s: Interval,
    unserved: Interval,
}

impl FaultIntervals {
    fn of(fault: &FaultResult) -> Self {
        Self {
            detect_s: interval_of(fault.detect_s),
            recover_s: interval_of(fault.recover_s),
            depth_per_s: interval_of(fault.depth),
            goodput_before_per_s: interval_of(fault.goodput_before),
            unserved: interval_of(fault.unserved),
        }
    }
}

#[derive(Serialize)]
struct Run {
    detect_s: Option<Number>,
    recover_s: Option<Number>,
    depth_per_s: Number,
    goodput_before_per_s: Number,
    unserved: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Number>,
    metastable: bool,
    /// Whether the fault began in this run at all.
    #[serde(skip_serializing_if = "std::clone::Clone::clone")]
    struck: bool,
}

impl Run {
    fn of(run: &FaultRun) -> Self {
        Self {
            detect_s: run.detect_s.map(Number),
            recover_s: run.recover_s.map(Number),
            depth_per_s: Number(run.depth),
            goodput_before_per_s: Number(run.goodput_before),
            unserved: Number(run.unserved),
            cost: run.cost.map(Number),
            metastable: run.metastable,
            struck: run.struck,
        }
    }
}

#[derive(Serialize)]
struct AlertOf<'a> {
    kind: &'a str,
    text: &'a str,
    fired: Share,
    fired_s: Option<Number>,
    firing_s: Option<Number>,
    budget_spent: Option<Number>,
    ci95: AlertIntervals,
    per_run: Vec<AlertRunOf>,
}

#[derive(Serialize)]
struct AlertIntervals {
    fired_s: Interval,
    firing_s: Interval,
    budget_spent: Interval,
}

impl<'a> AlertOf<'a> {
    fn of(alert: &'a AlertResult) -> Self {
        Self {
            kind: &alert.kind,
            text: &alert.text,
            fired: Share::of(alert.fired),
            fired_s: mean_of(alert.fired_s),
            firing_s: mean_of(alert.firing_s),
            budget_spent: mean_of(alert.budget_spent),
            ci95: AlertIntervals {
                fired_s: interval_of(alert.fired_s),
                firing_s: interval_of(alert.firing_s),
                budget_spent: interval_of(alert.budget_spent),
            },
            per_run: alert.per_run.iter().map(AlertRunOf::of).collect(),
        }
    }
}

#[derive(Serialize)]
struct AlertRunOf {
    fired_s: Option<Number>,
    firing_s: Number,
    budget_spent: Option<Number>,
}

impl AlertRunOf {
    fn of(run: &AlertRun) -> Self {
        Self {
            fired_s: run.fired_s.map(Number),
            firing_s: Number(run.firing_s),
            budget_spent: run.budget_spent.map(Number),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Expectation<'a> {
    variant: &'a str,
    text: &'a str,
    value: Option<Number>,
    ci95: Interval,
    unit: &'static str,
    margin: Option<Number>,
    verdict: &'static str,
    file: &'a str,
    line: usize,
}

impl<'a> Expectation<'a> {
    pub(super) fn of(expectation: &'a ExpectationResult) -> Self {
        Self {
            variant: &expectation.variant,
            text: &expectation.text,
            value: expectation.value.map(Number),
            ci95: expectation.ci95.and_then(|(lo, hi)| interval(lo, hi)),
            unit: expectation.unit.symbol(),
            margin: expectation.margin.map(Number),
            verdict: expectation.verdict.name(),
            file: &expectation.file,
            line: expectation.line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use serde_json::Value;

    fn parsed(result: &ExperimentResult) -> Value {
        serde_json::from_str(&summary(result)).unwrap()
    }

    #[test]
    fn the_bytes_of_a_tiny_result() {
        let expected = include_str!("json/tiny.json").replace("VERSION", env!("CARGO_PKG_VERSION"));
        assert_eq!(summary(&fixture::tiny()), expected);
    }

    #[test]
    fn an_incident_has_its_structure() {
        let json = parsed(&fixture::incident());
        let names: Vec<&String> = json["variants"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["after", "before", "operator"]);
        let before = &json["variants"]["before"];
        assert_eq!(before["fingerprints"].as_array().unwrap().len(), 5);
        assert_eq!(before["metrics"]["clients.users.error_ratio"]["mean"], 0.671);
        assert_eq!(before["metrics"]["clients.users.error_ratio"]["unit"], "1");
        let fault = &before["faults"][0];
        assert_eq!((&fault["metastable"], &fault["recover_s"]), (&Value::Bool(true), &Value::Null));
        assert_eq!(fault["ci95"]["recover_s"], Value::Null);
        assert_eq!(fault["metastable_share"]["runs"], 5);
        assert_eq!(fault["per_run"].as_array().unwrap().len(), 5);
        assert_eq!(json["expectations"][0]["verdict"], "held");
    }

    #[test]
    fn what_is_not_finite_is_null() {
        let json = parsed(&fixture::all_nan());
        let text = json.to_string();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert_eq!(json["variants"]["base"]["metrics"]["clients.users.rate"]["mean"], Value::Null);
    }

    #[test]
    fn numbers_have_twelve_digits() {
        assert_eq!(serde_json::to_string(&Number(2.0 / 3.0)).unwrap(), "0.666666666667");
        assert_eq!(serde_json::to_string(&Number(-0.0)).unwrap(), "0.0");
        assert_eq!(serde_json::to_string(&Number(f64::INFINITY)).unwrap(), "null");
    }
}
