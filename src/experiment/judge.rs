//! Expectations: what each is about in each run, and the verdict over all runs.

use super::alerts::AlertMeasure;
use super::plan::{ExpectationPlan, FaultMeasure, MeasurePlan, SubjectPlan, VariantPlan};
use super::results::{AlertRun, ExpectationResult, FaultRun, Verdict};
use super::run::merged;
use crate::metrics::estimate::binomial;
use crate::metrics::{Estimate, Record};
use crate::spec::expression::{Limits, Statistic};

/// What an expectation is about, in one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SubjectValue {
    /// A number; `None` if the run has none, such as a latency without requests.
    Number(Option<f64>),
    /// Whether something happened.
    Happened(bool),
}

/// What each expectation of a variant is about, in one run.
pub fn subjects(
    variant: &VariantPlan,
    record: &Record,
    faults: &[FaultRun],
    alerts: &[AlertRun],
) -> Vec<SubjectValue> {
    let chosen = |fault: &Option<usize>| match fault {
        Some(index) => faults.get(*index..=*index).unwrap_or_default(),
        None => faults,
    };
    let subject = |e: &ExpectationPlan| match &e.subject {
        SubjectPlan::Measure(measure) => SubjectValue::Number(measured(variant, record, measure)),
        SubjectPlan::Fault(fault, what) => {
            SubjectValue::Number(faults.get(*fault).and_then(|run| what.of(run)))
        }
        SubjectPlan::Alert(alert, what) => {
            SubjectValue::Number(alerts.get(*alert).and_then(|run| what.of(run)))
        }
        SubjectPlan::AlertHolds(alert, what, limits) => SubjectValue::Happened(
            alerts.get(*alert).and_then(|run| what.of(run)).is_some_and(|value| limits.holds(value)),
        ),
        SubjectPlan::Recovered(within, fault) => SubjectValue::Happened(
            chosen(fault).iter().all(|f| f.recover_s.is_some_and(|s| within.is_none_or(|w| s <= w))),
        ),
        SubjectPlan::Metastable(fault) => SubjectValue::Happened(chosen(fault).iter().any(|f| f.metastable)),
        SubjectPlan::Holds(measure, limits) => {
            SubjectValue::Happened(measured(variant, record, measure).is_some_and(|v| limits.holds(v)))
        }
    };
    variant.expectations.iter().map(subject).collect()
}

fn measured(variant: &VariantPlan, record: &Record, measure: &MeasurePlan) -> Option<f64> {
    let window = measure.window;
    let fold: fn(f64, f64) -> f64 = match measure.statistic {
        Statistic::Value | Statistic::Percentile(_) => {
            return merged(&record.windows, window.from, window.to, variant).value(measure.source);
        }
        Statistic::Min => f64::min,
        Statistic::Max => f64::max,
        Statistic::Mean => |a, b| a + b,
    };
    let width = variant.model.catalog.metrics.len();
    let from = window.from.seconds().ceil() as usize;
    let to = window.to.seconds() as usize;
    let values: Vec<f64> = (from..to)
        .filter_map(|s| record.rows.get(s * width + measure.column).copied())
        .filter(|v| !v.is_nan())
        .collect();
    let count = values.len() as f64;
    let all = values.into_iter().reduce(fold)?;
    Some(if measure.statistic == Statistic::Mean { all / count } else { all })
}

/// The verdicts of a variant's expectations, from what each was about in each run.
pub fn verdicts(variant: &VariantPlan, subjects: &[Vec<SubjectValue>]) -> Vec<ExpectationResult> {
    variant.expectations.iter().zip(subjects).map(|(e, runs)| verdict(&variant.name, e, runs)).collect()
}

fn verdict(variant: &str, e: &ExpectationPlan, runs: &[SubjectValue]) -> ExpectationResult {
    let happened = runs.iter().filter(|s| **s == SubjectValue::Happened(true)).count() as u64;
    let numbers: Vec<Option<f64>> = runs
        .iter()
        .filter_map(|s| match s {
            SubjectValue::Number(n) => Some(*n),
            SubjectValue::Happened(_) => None,
        })
        .collect();
    let (value, ci95) = match &e.subject {
        SubjectPlan::Measure(_) | SubjectPlan::Fault(..) | SubjectPlan::Alert(..) => {
            match Estimate::of_present(&numbers) {
                Some(estimate) => (Some(estimate.mean), estimate.lo.zip(estimate.hi)),
                None => (None, None),
            }
        }
        _ => match binomial(happened, runs.len() as u64) {
            Some(share) => (Some(share.share), Some((share.lo, share.hi))),
            None => (None, None),
        },
    };
    ExpectationResult {
        variant: variant.to_string(),
        text: e.expectation.text.clone(),
        file: e.place.0.clone(),
        line: e.place.1,
        value,
        ci95,
        margin: value.map(|v| e.limits.margin(v)),
        unit: e.unit,
        verdict: if never_happened(e, &numbers) { Verdict::Failed } else { judge(value, ci95, &e.limits) },
    }
}

/// Whether an upper limit on the time to recover is missed by a run that has not recovered at all, or one on the time
/// of an alert by a run in which it has not fired.
fn never_happened(e: &ExpectationPlan, numbers: &[Option<f64>]) -> bool {
    let is_moment = matches!(
        e.subject,
        SubjectPlan::Fault(_, FaultMeasure::Recover) | SubjectPlan::Alert(_, AlertMeasure::Fired)
    );
    is_moment && numbers.iter().any(Option::is_none) && !e.limits.holds(f64::INFINITY)
}

/// Held if the whole interval meets the limits, failed if none of it does, inconclusive otherwise. A value that no
/// run has fails: what was to be measured did not happen.
fn judge(value: Option<f64>, ci95: Option<(f64, f64)>, limits: &Limits) -> Verdict {
    let Some(value) = value else { return Verdict::Failed };
    let (lo, hi) = ci95.unwrap_or((value, value));
    let holds = limits.holds(value);
    if holds && limits.holds(lo) && limits.holds(hi) {
        Verdict::Held
    } else if !holds && !overlaps(lo, hi, limits) {
        Verdict::Failed
    } else {
        Verdict::Inconclusive
    }
}

/// Whether any value from `lo` to `hi` meets the limits.
fn overlaps(lo: f64, hi: f64, limits: &Limits) -> bool {
    limits.holds(lo)
        || limits.holds(hi)
        || (lo..=hi).contains(&limits.limit) && limits.holds(limits.limit)
        || (lo..=hi).contains(&limits.upper) && limits.holds(limits.upper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::expression::Operator;

    fn limits(operator: Operator, limit: f64, upper: f64) -> Limits {
        Limits { operator, limit, upper }
    }

    #[test]
    fn an_interval_that_straddles_the_limit_is_inconclusive() {
        let below = limits(Operator::Less, 10.0, 10.0);
        assert_eq!(judge(Some(5.0), Some((4.0, 6.0)), &below), Verdict::Held);
        assert_eq!(judge(Some(9.0), Some((7.0, 11.0)), &below), Verdict::Inconclusive);
        assert_eq!(judge(Some(11.0), Some((9.0, 13.0)), &below), Verdict::Inconclusive);
        assert_eq!(judge(Some(12.0), Some((11.0, 13.0)), &below), Verdict::Failed);
        assert_eq!(judge(None, None, &below), Verdict::Failed);
    }

    #[test]
    fn ranges_are_met_as_a_whole_or_not_at_all() {
        let range = limits(Operator::Between, 1.0, 2.0);
        assert_eq!(judge(Some(1.5), Some((1.0, 2.0)), &range), Verdict::Held);
        assert_eq!(judge(Some(3.0), Some((2.5, 3.5)), &range), Verdict::Failed);
        assert_eq!(judge(Some(3.0), Some((0.5, 5.5)), &range), Verdict::Inconclusive);
    }
}
