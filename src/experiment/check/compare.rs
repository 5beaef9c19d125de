//! What differs from a baseline, beyond chance and tolerance.

use super::{Asked, Baseline, Change, ChangeVerdict, Comparison, Misfit, Place, Question, sign};
use crate::experiment::plan::WantedPlan;
use crate::metrics::Estimate;
use crate::metrics::comparison::{holm, paired_t, welch_t};
use crate::metrics::estimate::CONFIDENCE;

/// A difference is no chance if its corrected probability is at most this.
const SIGNIFICANCE: f64 = 0.05;

/// Compares what is found now with the baseline that is kept in `file`.
///
/// # Errors
/// If the two cannot be compared at all, because what is measured has changed.
pub fn compare(
    question: &Question,
    now: &Baseline,
    baseline: &Baseline,
    file: &str,
) -> Result<Comparison, String> {
    let timing = |b: &Baseline| (b.warmup_s, b.duration_s);
    if timing(now) != timing(baseline) {
        let text = |(warmup, duration)| format!("{duration} s with {warmup} s of warm-up");
        return Err(format!(
            "the baseline is of runs of {}, and a run is now of {}: what adds up over a run cannot be compared; take \
             a new one with --update-baselines",
            text(timing(baseline)),
            text(timing(now)),
        ));
    }
    let is_paired = (now.seed, now.runs) == (baseline.seed, baseline.runs);
    let (mut changes, mut misfits) = (Vec::new(), Vec::new());
    // How many measures a touched variant has: those of an untouched one cannot be wrong.
    let mut is_touched = Vec::new();
    for ((variant, asked), place) in question.plan.variants.iter().zip(&question.asked).zip(&question.places)
    {
        if asked.is_empty() {
            continue;
        }
        let misfit =
            |message: String| Misfit { variant: variant.name.clone(), message, place: place.clone() };
        let (Some(kept_now), Some(kept)) =
            (now.variants.get(&variant.name), baseline.variants.get(&variant.name))
        else {
            misfits.push(misfit("this variant is not in the baseline".into()));
            continue;
        };
        let before = changes.len();
        for (planned, asked) in variant.measures.iter().zip(asked) {
            let (Some(new), Some(old)) = (kept_now.get(&planned.text), kept.get(&planned.text)) else {
                misfits.push(misfit(format!("`{}` is not in the baseline", planned.text)));
                continue;
            };
            if new.unit != old.unit {
                misfits.push(misfit(format!(
                    "`{}` is in {} in the baseline, and in {} now",
                    planned.text, old.unit, new.unit
                )));
                continue;
            }
            let (values, in_pairs) = values(&old.per_run, &new.per_run, is_paired);
            changes.push(change(&variant.name, planned, asked, &values, in_pairs, place));
        }
        let is_other = kept_now != kept || !is_paired;
        is_touched.extend((before..changes.len()).map(|_| is_other));
        for gone in kept.keys().filter(|text| !kept_now.contains_key(*text)) {
            misfits.push(misfit(format!("`{gone}` is in the baseline, and no longer measured")));
        }
    }
    for gone in baseline.variants.keys().filter(|name| !now.variants.contains_key(*name)) {
        let place = Place { position: None, ..question.places.first().cloned().unwrap_or_default() };
        let message = "this variant is in the baseline, and no longer compared".into();
        misfits.push(Misfit { variant: gone.clone(), message, place });
    }
    judge(&mut changes, &is_touched);
    Ok(Comparison {
        file: file.to_string(),
        is_paired,
        taken_with: (baseline.seed, baseline.runs),
        other_version: Some(baseline.version.clone()).filter(|version| *version != now.version),
        changes,
        misfits,
    })
}

/// Values before and after.
type Values = (Vec<f64>, Vec<f64>);

/// The values that are compared: in pairs those of runs that have one on both sides, if there are any; all otherwise.
fn values(before: &[Option<f64>], after: &[Option<f64>], is_paired: bool) -> (Values, bool) {
    let pairs: Values = before.iter().zip(after).filter_map(|(b, a)| Some(((*b)?, (*a)?))).unzip();
    if is_paired && !pairs.0.is_empty() {
        return (pairs, true);
    }
    ((before.iter().copied().flatten().collect(), after.iter().copied().flatten().collect()), false)
}

fn change(
    variant: &str,
    planned: &WantedPlan,
    asked: &Asked,
    (before, after): &Values,
    is_paired: bool,
    place: &Place,
) -> Change {
    let mean = |values: &[f64]| Estimate::of(values).map(|e| e.mean);
    let difference = match is_paired {
        true => paired_t(before, after, CONFIDENCE),
        false => welch_t(before, after, CONFIDENCE),
    };
    let relative = asked.tolerance * mean(before).map_or(0.0, f64::abs);
    Change {
        variant: variant.to_string(),
        measure: planned.text.clone(),
        unit: planned.unit,
        is_higher_worse: sign(&asked.worse) > 0.0,
        before: mean(before),
        after: mean(after),
        difference,
        p_corrected: None,
        tolerance: relative.max(asked.absolute),
        verdict: ChangeVerdict::Unclear,
        place: place.clone(),
    }
}

/// The verdicts, with the probabilities of all touched variants corrected together.
fn judge(changes: &mut [Change], is_touched: &[bool]) {
    let family: Vec<usize> =
        (0..changes.len()).filter(|at| is_touched[*at] && changes[*at].difference.is_some()).collect();
    let p: Vec<f64> =
        family.iter().filter_map(|at| changes[*at].difference.map(|difference| difference.p_value)).collect();
    for (at, corrected) in family.into_iter().zip(holm(&p)) {
        changes[at].p_corrected = Some(corrected);
    }
    for change in changes {
        change.verdict = verdict(change);
    }
}

fn verdict(change: &Change) -> ChangeVerdict {
    let Some(difference) = change.difference else {
        let is_same = change.before == change.after;
        return if is_same { ChangeVerdict::Same } else { ChangeVerdict::Unclear };
    };
    let is_chance = change.p_corrected.is_none_or(|p| p > SIGNIFICANCE);
    let is_small = difference.difference.abs() <= change.tolerance;
    let within = -change.tolerance..=change.tolerance;
    match (is_chance, is_small) {
        (false, false) if (difference.difference > 0.0) == change.is_higher_worse => ChangeVerdict::Worse,
        (false, false) => ChangeVerdict::Better,
        (false, true) => ChangeVerdict::Same,
        (true, _) if within.contains(&difference.lo) && within.contains(&difference.hi) => {
            ChangeVerdict::Same
        }
        (true, _) => ChangeVerdict::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Unit;

    #[test]
    fn what_no_run_has_any_more_is_not_the_same() {
        let (old, new) = ([Some(1.0), Some(2.0)], [None, None]);
        let ((before, after), in_pairs) = values(&old, &new, true);
        assert_eq!((before.len(), after.len(), in_pairs), (2, 0, false));
        let mut gone = changed(&[1.0], &[1.0], 0.0, true);
        (gone.before, gone.after) = (Some(1.5), None);
        assert_eq!(verdict(&gone), ChangeVerdict::Unclear);
    }

    fn changed(before: &[f64], after: &[f64], tolerance: f64, is_higher_worse: bool) -> Change {
        Change {
            variant: "base".into(),
            measure: "m".into(),
            unit: Unit::Seconds,
            is_higher_worse,
            before: None,
            after: None,
            difference: paired_t(before, after, CONFIDENCE),
            p_corrected: None,
            tolerance,
            verdict: ChangeVerdict::Unclear,
            place: Place::default(),
        }
    }

    fn judged(change: Change, others: usize) -> ChangeVerdict {
        let mut all = vec![change.clone()];
        // Others of which nothing can be said, for the correction.
        all.extend((0..others).map(|_| changed(&[1.0, 2.0, 3.0], &[2.0, 1.0, 3.0], 0.0, true)));
        let touched = vec![true; all.len()];
        judge(&mut all, &touched);
        all[0].verdict
    }

    #[test]
    fn a_regression_is_beyond_chance_and_beyond_the_tolerance() {
        let (before, after) = ([1.0, 2.0, 3.0, 4.0], [1.11, 2.10, 3.09, 4.10]);
        assert_eq!(judged(changed(&before, &after, 0.05, true), 0), ChangeVerdict::Worse);
        assert_eq!(judged(changed(&before, &after, 0.05, false), 0), ChangeVerdict::Better);
        assert_eq!(judged(changed(&before, &after, 0.2, true), 0), ChangeVerdict::Same);
        let noisy = [1.9, 1.5, 3.4, 4.3];
        assert_eq!(judged(changed(&before, &noisy, 0.05, true), 0), ChangeVerdict::Unclear);
        assert_eq!(judged(changed(&before, &before, 0.0, true), 0), ChangeVerdict::Same);
    }

    #[test]
    fn many_questions_ask_for_stronger_evidence() {
        // t = 4.9 with 3 degrees of freedom: p is 1.6 %.
        let (before, after) = ([0.0; 4], [0.6, 1.0, 1.4, 1.0]);
        let p = paired_t(&before, &after, CONFIDENCE).unwrap().p_value;
        assert!((0.005..0.05).contains(&p), "{p}");
        assert_eq!(judged(changed(&before, &after, 0.1, true), 0), ChangeVerdict::Worse);
        assert_eq!(judged(changed(&before, &after, 0.1, true), 50), ChangeVerdict::Unclear);
    }
}
