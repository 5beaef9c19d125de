//! Agreement with theory: what is known of a system, and what the simulation found.
//!
//! A value agrees if its mean over the runs lies within the tolerance and half its 95 % confidence interval is no wider
//! than the tolerance: so neither a wrong simulator nor one that was run too briefly passes.

use super::plan::{TheoryPlan, VariantPlan};
use super::results::{Agreement, Verdict};
use crate::metrics::Estimate;
use crate::spec::experiment::Over;

/// How a variant agrees with theory, from its values in each run.
pub fn agreements(variant: &VariantPlan, values: &[Vec<Option<f64>>]) -> Vec<Agreement> {
    variant.theory.iter().zip(values).map(|(theory, runs)| agreement(&variant.name, theory, runs)).collect()
}

fn agreement(variant: &str, theory: &TheoryPlan, runs: &[Option<f64>]) -> Agreement {
    let (value, ci95) = over_runs(&theory.over, runs);
    Agreement {
        variant: variant.to_string(),
        name: theory.name.clone(),
        text: theory.text.clone(),
        unit: theory.unit,
        reference: theory.is,
        tolerance: theory.tolerance,
        value,
        ci95,
        verdict: verdict(theory.is, theory.tolerance, value, ci95),
    }
}

type Interval = (f64, f64);

/// The value over all runs, and its confidence interval.
fn over_runs(over: &Over, runs: &[Option<f64>]) -> (Option<f64>, Option<Interval>) {
    let mut values: Vec<f64> = runs.iter().copied().flatten().collect();
    match over {
        Over::Mean => match Estimate::of(&values) {
            Some(estimate) => (Some(estimate.mean), estimate.lo.zip(estimate.hi)),
            None => (None, None),
        },
        Over::Min => (values.into_iter().reduce(f64::min), None),
        Over::Max => (values.into_iter().reduce(f64::max), None),
        Over::Median => {
            values.sort_by(f64::total_cmp);
            let middle = values.len() / 2;
            let median = match values.len() {
                0 => None,
                n if n % 2 == 1 => Some(values[middle]),
                _ => Some((values[middle - 1] + values[middle]) / 2.0),
            };
            (median, crate::metrics::estimate::median_interval(&values))
        }
    }
}

fn verdict(reference: f64, tolerance: f64, value: Option<f64>, ci95: Option<Interval>) -> Verdict {
    // Rounding in the last digits is no disagreement, even where the tolerance is zero.
    let tolerance = tolerance.max(1e-9 * reference.abs()).max(1e-12);
    match value {
        Some(value) if (value - reference).abs() <= tolerance => match ci95 {
            Some((lo, hi)) if hi - lo > 2.0 * tolerance => Verdict::Inconclusive,
            _ => Verdict::Held,
        },
        _ => Verdict::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_the_wrong_nor_the_vague_agrees() {
        assert_eq!(verdict(1.0, 0.02, Some(1.01), Some((1.0, 1.02))), Verdict::Held);
        assert_eq!(verdict(1.0, 0.02, Some(1.01), Some((0.98, 1.04))), Verdict::Inconclusive);
        assert_eq!(verdict(1.0, 0.02, Some(1.03), Some((0.9, 1.1))), Verdict::Failed);
        assert_eq!(verdict(1.0, 0.02, None, None), Verdict::Failed);
        assert_eq!(verdict(27.0, 0.0, Some(27.000_000_000_1), None), Verdict::Held);
    }

    #[test]
    fn the_runs_are_taken_as_asked() {
        let runs = [Some(3.0), None, Some(1.0), Some(2.0), Some(10.0)];
        assert_eq!(over_runs(&Over::Min, &runs).0, Some(1.0));
        assert_eq!(over_runs(&Over::Max, &runs).0, Some(10.0));
        assert_eq!(over_runs(&Over::Median, &runs).0, Some(2.5));
        assert_eq!(over_runs(&Over::Mean, &runs).0, Some(4.0));
        assert_eq!(over_runs(&Over::Mean, &[]).0, None);
    }
}
