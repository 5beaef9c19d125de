//! The comparison as one JSON document. Names of fields are a contract.

use super::words;
use crate::experiment::compare::results::{Comparison, MeasureComparison, Pair, Selected};
use crate::report::json::{Number, Object, interval};
use serde::Serialize;

/// The comparison as pretty JSON, with a newline at the end.
pub fn json(result: &Comparison) -> String {
    match serde_json::to_string_pretty(&Document::of(result)) {
        Ok(text) => text + "\n",
        Err(_) => unreachable!("keys are strings and numbers are finite"),
    }
}

/// The ends of an interval.
type Ends = Option<[Number; 2]>;

fn ends(of: Option<(f64, f64)>) -> Ends {
    of.and_then(|(lo, hi)| interval(lo, hi))
}

#[derive(Serialize)]
struct Document<'a> {
    brownout: &'static str,
    name: &'a str,
    seed: u64,
    runs: u32,
    simulated_seconds: Number,
    warmup_seconds: Number,
    baseline: &'a str,
    variants: &'a [String],
    comparisons: usize,
    measures: Vec<Measure<'a>>,
    selection: Option<Selection<'a>>,
}

impl<'a> Document<'a> {
    fn of(result: &'a Comparison) -> Self {
        Self {
            brownout: env!("CARGO_PKG_VERSION"),
            name: &result.name,
            seed: result.seed,
            runs: result.runs,
            simulated_seconds: Number(result.duration_s),
            warmup_seconds: Number(result.warmup_s),
            baseline: &result.variants[result.baseline],
            variants: &result.variants,
            comparisons: result.family,
            measures: result.measures.iter().map(|m| Measure::of(result, m)).collect(),
            selection: result.selection.as_ref().map(|s| Selection::of(result, s)),
        }
    }
}

#[derive(Serialize)]
struct Measure<'a> {
    measure: &'a str,
    unit: &'static str,
    better: Option<&'static str>,
    is_event: bool,
    tolerance: Option<&'a str>,
    variants: Object<Value>,
    pairs: Vec<Compared<'a>>,
}

impl<'a> Measure<'a> {
    fn of(result: &'a Comparison, measure: &'a MeasureComparison) -> Self {
        let values = result.variants.iter().zip(&measure.variants).map(|(name, value)| {
            let per_run = value.per_run.iter().map(|v| v.map(Number)).collect();
            let value = Value {
                value: value.value.map(Number),
                ci95: ends(value.ci95),
                runs_with_value: value.present(),
                per_run,
            };
            (name.clone(), value)
        });
        Self {
            measure: &measure.text,
            unit: measure.unit.symbol(),
            better: measure.better.map(|better| better.name()),
            is_event: measure.is_event,
            tolerance: measure.tolerance.as_ref().map(|t| t.text.as_str()),
            variants: Object(values.collect()),
            pairs: measure.pairs.iter().map(|pair| Compared::of(result, measure, pair)).collect(),
        }
    }
}

#[derive(Serialize)]
struct Value {
    value: Option<Number>,
    ci95: Ends,
    runs_with_value: usize,
    per_run: Vec<Option<Number>>,
}

#[derive(Serialize)]
struct Compared<'a> {
    baseline: &'a str,
    variant: &'a str,
    complete_pairs: usize,
    baseline_mean: Option<Number>,
    variant_mean: Option<Number>,
    difference: Option<Number>,
    ci95: Ends,
    simultaneous95: Ends,
    relative: Option<Number>,
    p: Option<Number>,
    p_holm: Option<Number>,
    p_equivalence_holm: Option<Number>,
    detectable: Option<Number>,
    variance_ratio: Option<Number>,
    present: Option<Presence>,
    verdict: &'static str,
    words: String,
}

#[derive(Serialize)]
struct Presence {
    both: u64,
    only_baseline: u64,
    only_variant: u64,
    neither: u64,
}

impl<'a> Compared<'a> {
    fn of(result: &'a Comparison, measure: &MeasureComparison, pair: &Pair) -> Self {
        Self {
            baseline: &result.variants[pair.a],
            variant: &result.variants[pair.b],
            complete_pairs: pair.complete,
            baseline_mean: pair.means.map(|(a, _)| Number(a)),
            variant_mean: pair.means.map(|(_, b)| Number(b)),
            difference: pair.difference.map(Number),
            ci95: ends(pair.ci95),
            simultaneous95: ends(pair.simultaneous95),
            relative: pair.relative().map(Number),
            p: pair.p_value.map(Number),
            p_holm: pair.p_adjusted.map(Number),
            p_equivalence_holm: pair.p_equivalence.map(Number),
            detectable: pair.detectable.map(Number),
            variance_ratio: pair.variance_ratio.map(Number),
            present: pair.presence.map(|p| Presence {
                both: p.both,
                only_baseline: p.only_a,
                only_variant: p.only_b,
                neither: p.neither,
            }),
            verdict: pair.verdict.name(),
            words: words::sentence(result, measure, pair),
        }
    }
}

#[derive(Serialize)]
struct Selection<'a> {
    measure: &'a str,
    unit: &'static str,
    better: &'static str,
    indifference: Number,
    probability: Number,
    first: u32,
    at_most: u32,
    winner: Option<&'a str>,
    runs_needed: u32,
    variants: Object<Contender>,
    words: String,
}

#[derive(Serialize)]
struct Contender {
    runs: u32,
    mean: Number,
    left_after: Option<u32>,
}

impl<'a> Selection<'a> {
    fn of(result: &'a Comparison, selected: &'a Selected) -> Self {
        let variants = result.variants.iter().zip(&selected.contenders).map(|(name, c)| {
            (name.clone(), Contender { runs: c.runs, mean: Number(c.mean), left_after: c.left_after })
        });
        Self {
            measure: &selected.text,
            unit: selected.unit.symbol(),
            better: selected.better.name(),
            indifference: Number(selected.indifference),
            probability: Number(selected.probability),
            first: selected.first,
            at_most: selected.at_most,
            winner: selected.winner.map(|w| result.variants[w].as_str()),
            runs_needed: selected.runs_needed,
            variants: Object(variants.collect()),
            words: words::selected(result, selected),
        }
    }
}
