//! Expectations: what each is about in each run, and the verdict over all runs.

use super::alerts::AlertMeasure;
use super::cascade;
use super::measures::{FormulaPlan, MeasurePlan, Taken};
use super::plan::{ExpectationPlan, FaultMeasure, SubjectPlan, VariantPlan, WantedPlan};
use super::results::{AlertRun, ExpectationResult, FaultRun, MeasureResult, Verdict};
use super::run::merged;
use crate::metrics::estimate::binomial;
use crate::metrics::{Estimate, Record};
use crate::spec::expression::Limits;
use serde::{Deserialize, Serialize};

/// What an expectation is about, in one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum SubjectValue {
    /// A number; `None` if the run has none, such as a latency without requests.
    Number(Option<f64>),
    /// Whether something happened.
    Happened(bool),
}

impl SubjectValue {
    /// As a number: 1 or 0 for what happened or did not.
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Number(number) => number,
            Self::Happened(happened) => Some(if happened { 1.0 } else { 0.0 }),
        }
    }
}

/// A run as expectations and theory look at it.
#[derive(Clone, Copy, Debug)]
pub struct Examined<'r> {
    /// What was played.
    pub variant: &'r VariantPlan,
    /// What was recorded.
    pub record: &'r Record,
    /// What each fault did.
    pub faults: &'r [FaultRun],
    /// What each alert did.
    pub alerts: &'r [AlertRun],
    /// In which order components fell, for each trigger.
    pub cascades: &'r [cascade::Path],
}

/// What each expectation of a variant is about in one run, then what each measure is, and then what is to be known
/// precisely.
pub fn subjects(run: Examined<'_>) -> Vec<SubjectValue> {
    let chosen = |fault: &Option<usize>| match fault {
        Some(index) => run.faults.get(*index..=*index).unwrap_or_default(),
        None => run.faults,
    };
    let subject = |subject: &SubjectPlan| match subject {
        SubjectPlan::Formula(formula) => SubjectValue::Number(computed(run, formula)),
        SubjectPlan::Fault(fault, what) => {
            SubjectValue::Number(run.faults.get(*fault).and_then(|run| what.of(run)))
        }
        SubjectPlan::Alert(alert, what) => {
            SubjectValue::Number(run.alerts.get(*alert).and_then(|run| what.of(run)))
        }
        SubjectPlan::Recovered(within, fault) => SubjectValue::Happened(
            chosen(fault).iter().all(|f| f.recover_s.is_some_and(|s| within.is_none_or(|w| s <= w))),
        ),
        SubjectPlan::Metastable(fault) => SubjectValue::Happened(chosen(fault).iter().any(|f| f.metastable)),
        SubjectPlan::Holds(formula, limits) => {
            SubjectValue::Happened(computed(run, formula).is_some_and(|v| limits.holds(v)))
        }
        SubjectPlan::Cascade(expected) => {
            SubjectValue::Happened(run.cascades.get(expected.trigger).is_some_and(|p| expected.is_taken(p)))
        }
    };
    let variant = run.variant;
    let wanted = variant.measures.iter().chain(variant.precise.iter().map(|p| &p.wanted)).map(|m| &m.subject);
    variant.expectations.iter().map(|e| &e.subject).chain(wanted).map(subject).collect()
}

/// What each value of theory is in one run.
pub fn known(run: Examined<'_>) -> Vec<Option<f64>> {
    run.variant.theory.iter().map(|t| computed(run, &t.formula)).collect()
}

fn computed(run: Examined<'_>, formula: &FormulaPlan) -> Option<f64> {
    let Examined { variant, record, faults, alerts, .. } = run;
    match formula {
        FormulaPlan::Number(value) => Some(*value),
        FormulaPlan::Fault(fault, what) => faults.get(*fault).and_then(|run| what.of(run)),
        FormulaPlan::Alert(alert, what) => alerts.get(*alert).and_then(|run| what.of(run)),
        FormulaPlan::Join(how, a, b) => {
            let [a, b] = [a, b].map(|part| computed(run, part));
            how.apply(a?, b?)
        }
        FormulaPlan::Measure(MeasurePlan { taken: Taken::Whole(source), window }) => {
            merged(&record.windows, window.from, window.to, variant).value(*source)
        }
        FormulaPlan::Measure(MeasurePlan { taken: Taken::Series(column, what), window }) => {
            let width = variant.recorded.columns.len();
            let column: Vec<f64> = record.rows.iter().skip(*column).step_by(width).copied().collect();
            what.of(&column, window.from.seconds().ceil() as usize, window.to.seconds() as usize)
        }
    }
}

/// The verdicts of a variant's expectations, from what each was about in each run.
pub fn verdicts(variant: &VariantPlan, subjects: &[Vec<SubjectValue>]) -> Vec<ExpectationResult> {
    variant.expectations.iter().zip(subjects).map(|(e, runs)| verdict(&variant.name, e, runs)).collect()
}

/// A variant's measures, from what each was in each run; they come after its expectations.
pub fn measures(variant: &VariantPlan, subjects: &[Vec<SubjectValue>]) -> Vec<MeasureResult> {
    let subjects = subjects.iter().skip(variant.expectations.len());
    let measure = |(wanted, runs): (&WantedPlan, &Vec<SubjectValue>)| {
        let (value, ci95) = summed_up(runs);
        MeasureResult {
            text: wanted.text.clone(),
            unit: wanted.unit,
            value,
            ci95,
            is_share: runs.iter().any(|run| matches!(run, SubjectValue::Happened(_))),
            per_run: runs.iter().map(|run| run.number()).collect(),
        }
    };
    variant.measures.iter().zip(subjects).map(measure).collect()
}

/// The mean over runs, or the share of runs in which something happened, with its 95 % confidence interval.
pub fn summed_up(runs: &[SubjectValue]) -> (Option<f64>, Option<(f64, f64)>) {
    if runs.iter().any(|run| matches!(run, SubjectValue::Happened(_))) {
        let happened = runs.iter().filter(|run| **run == SubjectValue::Happened(true)).count() as u64;
        let share = binomial(happened, runs.len() as u64);
        return (share.map(|s| s.share), share.map(|s| (s.lo, s.hi)));
    }
    let numbers: Vec<Option<f64>> = runs.iter().map(|run| run.number()).collect();
    let estimate = Estimate::of_present(&numbers);
    (estimate.map(|e| e.mean), estimate.and_then(|e| e.lo.zip(e.hi)))
}

/// The verdict of one expectation, from what it was about in each run.
pub fn verdict(variant: &str, e: &ExpectationPlan, runs: &[SubjectValue]) -> ExpectationResult {
    let (value, ci95) = summed_up(runs);
    ExpectationResult {
        variant: variant.to_string(),
        text: e.expectation.text.clone(),
        file: e.place.0.clone(),
        line: e.place.1,
        value,
        ci95,
        margin: value.map(|v| e.limits.margin(v)),
        unit: e.unit,
        verdict: verdict_of(e, runs),
        per_run: runs.iter().map(|run| run.number()).collect(),
    }
}

/// The verdict of an expectation, from what it was about in each run.
pub fn verdict_of(e: &ExpectationPlan, runs: &[SubjectValue]) -> Verdict {
    let (value, ci95) = summed_up(runs);
    // The share of the runs that were played is what is judged of a path, not the share of all that there might be.
    let ci95 = ci95.filter(|_| !matches!(e.subject, SubjectPlan::Cascade(_)));
    if never_happened(e, runs) { Verdict::Failed } else { judge(value, ci95, &e.limits) }
}

/// Whether an upper limit on the time to recover is missed by a run that has not recovered at all, or one on the time
/// of an alert by a run in which it has not fired.
fn never_happened(e: &ExpectationPlan, runs: &[SubjectValue]) -> bool {
    let is_moment = matches!(
        e.subject,
        SubjectPlan::Fault(_, FaultMeasure::Recover) | SubjectPlan::Alert(_, AlertMeasure::Fired)
    );
    is_moment && runs.contains(&SubjectValue::Number(None)) && !e.limits.holds(f64::INFINITY)
}

/// Held if the whole interval meets the limits, failed if none of it does, inconclusive otherwise. A value that no
/// run has fails: what was to be measured did not happen.
pub fn judge(value: Option<f64>, ci95: Option<(f64, f64)>, limits: &Limits) -> Verdict {
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
