//! The blast radius as one JSON document.

use super::name;
use crate::experiment::blast::{BlastResult, BlastVariant, Failure, Kind, Suffered};
use crate::experiment::results::Verdict;
use crate::metrics::{Estimate, Proportion};
use crate::report::json::{Interval, Number, interval, interval_of};
use serde::Serialize;

#[derive(Serialize)]
struct Document<'a> {
    brownout: &'static str,
    name: &'a str,
    seed: u64,
    runs: u32,
    simulated_seconds: Number,
    warmup_seconds: Number,
    start_s: Number,
    end_s: Number,
    spof: Number,
    falls: Number,
    noticed: Number,
    events: u64,
    has_single_point: &'static str,
    variants: Vec<Variant<'a>>,
}

#[derive(Serialize)]
struct Variant<'a> {
    name: &'a str,
    single_points: Vec<Point<'a>>,
    request_points: Vec<Point<'a>>,
    only_together: Vec<Point<'a>>,
    unnoticed: Vec<&'a str>,
    normal: Vec<Normal<'a>>,
    failures: Vec<FailureRow<'a>>,
}

#[derive(Serialize)]
struct Point<'a> {
    failure: &'a str,
    takes: Vec<String>,
    certain: bool,
}

#[derive(Serialize)]
struct Normal<'a> {
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    population: Option<&'a str>,
    goodput_per_s: Value,
    error_ratio: Value,
    p99_s: Value,
}

#[derive(Serialize)]
struct FailureRow<'a> {
    failure: &'a str,
    text: &'a str,
    noticed: bool,
    cascade: Vec<&'a str>,
    recovered: Share,
    recover_s: Value,
    detect_s: Value,
    metastable: Share,
    suffered: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    population: Option<&'a str>,
    struck: bool,
    lost: Value,
    errors: Value,
    p99_s: Value,
    slower_s: Value,
    load: Value,
    lost_requests: Value,
    over_s: Value,
    not_over: Share,
    fell: Share,
    full: bool,
    fell_s: Value,
}

/// An estimate: `null` if no run has a value.
type Value = Option<Mean>;

#[derive(Serialize)]
struct Mean {
    mean: Number,
    ci95: Interval,
    runs: usize,
}

fn value(estimate: Option<Estimate>) -> Value {
    estimate.map(|e| Mean { mean: Number(e.mean), ci95: interval_of(estimate), runs: e.runs })
}

#[derive(Serialize)]
struct Share {
    share: Number,
    ci95: Interval,
    runs: u64,
}

fn share(p: Proportion) -> Share {
    Share { share: Number(p.share), ci95: interval(p.lo, p.hi), runs: p.runs }
}

fn population(variant: &BlastVariant, at: usize) -> Option<&str> {
    match variant.sufferers[at].kind {
        Kind::Request(population) => Some(&variant.sufferers[population].name),
        _ => None,
    }
}

fn suffered<'a>(variant: &'a BlastVariant, at: usize, s: &Suffered) -> Row<'a> {
    Row {
        kind: variant.sufferers[at].kind.name(),
        name: &variant.sufferers[at].name,
        population: population(variant, at),
        struck: s.is_struck,
        lost: value(s.lost),
        errors: value(s.errors),
        p99_s: value(s.p99_s),
        slower_s: value(s.slower_s),
        load: value(s.load),
        lost_requests: value(s.lost_requests),
        over_s: value(s.over_s),
        not_over: share(s.not_over),
        fell: share(s.fell),
        full: s.is_full,
        fell_s: value(s.fell_s),
    }
}

fn failure<'a>(variant: &'a BlastVariant, failure: &'a Failure) -> FailureRow<'a> {
    let rows = failure.suffered.iter().enumerate().map(|(at, s)| suffered(variant, at, s));
    FailureRow {
        failure: &failure.id,
        text: &failure.label,
        noticed: failure.is_noticed,
        cascade: failure.cascade.iter().map(|at| variant.sufferers[*at].name.as_str()).collect(),
        recovered: share(failure.recovered),
        recover_s: value(failure.recover_s),
        detect_s: value(failure.detect_s),
        metastable: share(failure.metastable),
        suffered: rows.collect(),
    }
}

fn found_points<'a>(of: &BlastVariant, found: Vec<(&'a Failure, Vec<usize>, Verdict)>) -> Vec<Point<'a>> {
    let point = |(failure, who, verdict): (&'a Failure, Vec<usize>, Verdict)| Point {
        failure: &failure.id,
        takes: who.iter().map(|at| name(of, *at)).collect(),
        certain: verdict == Verdict::Held,
    };
    found.into_iter().map(point).collect()
}

fn variant(of: &BlastVariant) -> Variant<'_> {
    let together = of.only_together().into_iter().map(|(f, who)| (f, who, Verdict::Held)).collect();
    let normal = of.normal.iter().zip(&of.sufferers).enumerate().map(|(at, (n, who))| Normal {
        kind: who.kind.name(),
        name: &who.name,
        population: population(of, at),
        goodput_per_s: value(n.goodput),
        error_ratio: value(n.errors),
        p99_s: value(n.p99_s),
    });
    Variant {
        name: &of.name,
        single_points: found_points(of, of.single_points()),
        request_points: found_points(of, of.request_points()),
        only_together: found_points(of, together),
        unnoticed: of.unnoticed().iter().map(|f| f.id.as_str()).collect(),
        normal: normal.collect(),
        failures: of.failures.iter().map(|f| failure(of, f)).collect(),
    }
}

/// Everything, pretty, with a newline at the end.
pub fn json(result: &BlastResult) -> String {
    let document = Document {
        brownout: env!("CARGO_PKG_VERSION"),
        name: &result.name,
        seed: result.seed,
        runs: result.runs,
        simulated_seconds: Number(result.duration_s),
        warmup_seconds: Number(result.warmup_s),
        start_s: Number(result.start_s),
        end_s: Number(result.end_s),
        spof: Number(result.question.spof.0),
        falls: Number(result.question.falls.0),
        noticed: Number(result.question.noticed.0),
        events: result.events,
        has_single_point: match result.has_single_point() {
            Verdict::Held => "yes",
            Verdict::Failed => "no",
            Verdict::Inconclusive => "inconclusive",
        },
        variants: result.variants.iter().map(variant).collect(),
    };
    match serde_json::to_string_pretty(&document) {
        Ok(text) => text + "\n",
        Err(_) => unreachable!("keys are strings and numbers are finite"),
    }
}
