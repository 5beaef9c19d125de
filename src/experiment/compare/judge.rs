//! From values run by run to differences and verdicts.

use super::direction::Direction;
use super::results::{MeasureComparison, Pair, Tolerance, Verdict};
use crate::metrics::comparison::{holm, paired_t};
use crate::metrics::estimate::{CONFIDENCE, stable};
use crate::metrics::pairs::{self, YesNo};

/// The probability with which the smallest difference that is reported would have been found.
pub const POWER: f64 = 0.8;

/// Compares the pairs of variants of each measure; `pairs` are numbers of variants, the same for all measures.
/// Returns how many differences were tested together.
pub fn judge(measures: &mut [MeasureComparison], pairs: &[(usize, usize)]) -> usize {
    let family = (measures.len() * pairs.len()).max(1);
    for measure in measures.iter_mut() {
        measure.pairs = pairs.iter().map(|(a, b)| pair(measure, *a, *b, family)).collect();
    }
    // What has no p value was not tested, but counts: whether it would have one depends on chance as well.
    let all = || measures.iter().flat_map(|m| &m.pairs);
    let adjusted = |value: &dyn Fn(&Pair) -> Option<f64>| {
        holm(&all().map(|pair| value(pair).unwrap_or(1.0)).collect::<Vec<f64>>())
    };
    let of_difference = adjusted(&|pair| pair.p_value);
    let of_equivalence = adjusted(&|pair| pair.p_equivalence);
    let mut at = 0;
    for measure in measures.iter_mut() {
        for pair in &mut measure.pairs {
            pair.p_adjusted = pair.p_value.map(|_| of_difference[at]);
            pair.p_equivalence = pair.p_equivalence.map(|_| of_equivalence[at]);
            pair.verdict =
                verdict(pair, measure.better, measure.tolerance.is_some(), measure.missing_is_worst);
            at += 1;
        }
    }
    family
}

fn pair(measure: &MeasureComparison, a: usize, b: usize, family: usize) -> Pair {
    let [of_a, of_b] = [a, b].map(|variant| rounded(&measure.variants[variant].per_run));
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (a, b) in of_a.iter().zip(&of_b) {
        if let (Some(a), Some(b)) = (a, b) {
            before.push(*a);
            after.push(*b);
        }
    }
    let presence = YesNo::of(&present(&of_a), &present(&of_b));
    let has_all = presence.both == presence.pairs();
    let mut pair = Pair {
        a,
        b,
        complete: before.len(),
        means: mean(&before).zip(mean(&after)),
        difference: None,
        ci95: None,
        simultaneous95: None,
        p_value: None,
        p_adjusted: None,
        p_equivalence: None,
        detectable: None,
        variance_ratio: pairs::variance_ratio(&before, &after),
        presence: (!has_all).then_some(presence),
        verdict: Verdict::Inconclusive,
    };
    let together = 1.0 - (1.0 - CONFIDENCE) / family as f64;
    if measure.is_event {
        events(&mut pair, &before, &after, together);
    } else {
        numbers(&mut pair, &before, &after, together);
    }
    if let Some(tolerance) = &measure.tolerance {
        pair.p_equivalence = equivalence(&before, &after, tolerance);
    }
    if measure.missing_is_worst && !has_all {
        // Two questions at once: whether there is a value, and which. Either answer may be believed at half the level.
        let of_presence = presence.p_value();
        let least = pair.p_value.map_or(of_presence, |p| (2.0 * p.min(of_presence)).min(1.0));
        pair.p_value = Some(least);
        // Whoever has no value in some runs is not the same as others, however close the rest.
        pair.p_equivalence = None;
    }
    pair
}

fn numbers(pair: &mut Pair, before: &[f64], after: &[f64], together: f64) {
    let Some(test) = paired_t(before, after, CONFIDENCE) else {
        pair.difference = pair.means.map(|(a, b)| b - a);
        return;
    };
    let simultaneous = paired_t(before, after, together);
    let differences: Vec<f64> = before.iter().zip(after).map(|(a, b)| b - a).collect();
    pair.difference = Some(test.difference);
    pair.ci95 = Some((test.lo, test.hi));
    pair.simultaneous95 = simultaneous.map(|t| (t.lo, t.hi));
    pair.p_value = Some(test.p_value);
    pair.detectable = pairs::detectable(&differences, 1.0 - together, POWER);
}

fn events(pair: &mut Pair, before: &[f64], after: &[f64], together: f64) {
    let [a, b] = [before, after].map(|side| side.iter().map(|v| *v > 0.5).collect::<Vec<bool>>());
    let counts = YesNo::of(&a, &b);
    pair.difference = counts.difference();
    pair.ci95 = counts.interval(CONFIDENCE);
    pair.simultaneous95 = counts.interval(together);
    if counts.pairs() > 1 {
        pair.p_value = Some(counts.p_value());
    }
    let share = pairs::detectable_pairs(1.0 - together) as f64 / counts.pairs().max(1) as f64;
    pair.detectable = (share <= 1.0).then_some(share);
}

/// Whether the difference is within the tolerance: the p value of not being so. A relative tolerance is a share of the
/// baseline's own mean in these runs, known no better than it is, so the ratio of the means is tested.
fn equivalence(before: &[f64], after: &[f64], tolerance: &Tolerance) -> Option<f64> {
    let sign = if mean(before)? < 0.0 { -1.0 } else { 1.0 };
    let room = |a: f64| if tolerance.is_relative { sign * tolerance.amount * a } else { tolerance.amount };
    let each =
        |side: f64| -> Vec<f64> { before.iter().zip(after).map(|(a, b)| b - a + side * room(*a)).collect() };
    pairs::equivalence(&each(1.0), &each(-1.0))
}

fn verdict(pair: &Pair, better: Option<Direction>, has_tolerance: bool, missing_is_worst: bool) -> Verdict {
    let level = 1.0 - CONFIDENCE;
    if pair.p_equivalence.is_some_and(|p| p <= level) {
        return Verdict::Equivalent;
    }
    let Some(p) = pair.p_adjusted else { return Verdict::Inconclusive };
    if p > level {
        return if has_tolerance { Verdict::Inconclusive } else { Verdict::NotFound };
    }
    // A value in more of the runs outweighs a greater or lesser one in those that both have, unless they disagree.
    let of_presence = pair.presence.filter(|_| missing_is_worst).filter(|p| p.p_value() <= level);
    let by_presence = of_presence.map(|p| p.only_b > p.only_a);
    let is_significant = pair.ci95.is_some_and(|(lo, hi)| lo > 0.0 || hi < 0.0);
    let by_value = pair.difference.filter(|_| of_presence.is_none() || is_significant).map(|d| d > 0.0);
    let by_value = by_value.filter(|_| pair.difference != Some(0.0));
    match (by_presence, by_value, better) {
        (Some(in_more), None, _) => named(in_more),
        (Some(in_more), Some(is_greater), Some(better)) => {
            let is_better = is_greater == (better == Direction::More);
            if is_better == in_more { named(in_more) } else { Verdict::Inconclusive }
        }
        (None, Some(is_greater), Some(better)) => named(is_greater == (better == Direction::More)),
        (_, Some(true), None) => Verdict::More,
        (_, Some(false), None) => Verdict::Less,
        (None, None, _) => Verdict::Inconclusive,
    }
}

fn named(is_better: bool) -> Verdict {
    if is_better { Verdict::Better } else { Verdict::Worse }
}

/// With twelve digits, as everywhere in results: what rounding does to the last ones is no difference.
fn rounded(values: &[Option<f64>]) -> Vec<Option<f64>> {
    values.iter().map(|value| value.map(stable)).collect()
}

fn present(values: &[Option<f64>]) -> Vec<bool> {
    values.iter().map(Option::is_some).collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().fold(0.0, |sum, x| sum + x) / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::results::VariantValue;
    use super::*;
    use crate::base::units::Unit;

    fn measure(better: Option<Direction>, runs: &[&[Option<f64>]]) -> MeasureComparison {
        let variant =
            |per_run: &&[Option<f64>]| VariantValue { value: None, ci95: None, per_run: per_run.to_vec() };
        MeasureComparison {
            text: "a measure".into(),
            unit: Unit::Seconds,
            better,
            is_event: false,
            tolerance: None,
            missing_is_worst: false,
            variants: runs.iter().map(variant).collect(),
            pairs: Vec::new(),
        }
    }

    fn some(values: [f64; 8]) -> Vec<Option<f64>> {
        values.map(Some).to_vec()
    }

    fn judged(measure: MeasureComparison) -> Pair {
        let mut measures = [measure];
        assert_eq!(super::judge(&mut measures, &[(0, 1)]), 1);
        measures[0].pairs[0].clone()
    }

    const BEFORE: [f64; 8] = [10.0, 50.0, 30.0, 20.0, 41.0, 12.0, 33.0, 27.0];
    /// About one more in each run.
    const AFTER: [f64; 8] = [11.0, 51.1, 31.0, 20.9, 42.1, 12.9, 34.0, 28.0];

    #[test]
    fn what_is_better_depends_on_the_direction() {
        let runs = [&some(BEFORE)[..], &some(AFTER)[..]];
        for (better, verdict) in [
            (Some(Direction::Less), Verdict::Worse),
            (Some(Direction::More), Verdict::Better),
            (None, Verdict::More),
        ] {
            assert_eq!(judged(measure(better, &runs)).verdict, verdict);
        }
        let pair = judged(measure(None, &runs));
        assert!((pair.difference.unwrap() - 1.0).abs() < 1e-9 && pair.variance_ratio.unwrap() > 1_000.0);
        assert_eq!((pair.ci95, pair.complete, pair.presence), (pair.simultaneous95, 8, None));
    }

    #[test]
    fn chance_is_no_difference() {
        let other = [50.0, 11.0, 21.0, 31.0, 12.0, 40.0, 27.5, 33.5];
        let pair = judged(measure(Some(Direction::Less), &[&some(BEFORE), &some(other)]));
        assert_eq!(pair.verdict, Verdict::NotFound);
        assert!(pair.detectable.unwrap() > 10.0, "{pair:?}");
        let same = judged(measure(Some(Direction::Less), &[&some(BEFORE), &some(BEFORE)]));
        assert_eq!((same.verdict, same.p_value, same.detectable), (Verdict::NotFound, Some(1.0), Some(0.0)));
    }

    #[test]
    fn the_last_bits_are_no_difference() {
        let bits = BEFORE.map(|x| x * (1.0 + 2.0 * f64::EPSILON));
        assert_eq!(judged(measure(None, &[&some(BEFORE), &some(bits)])).verdict, Verdict::NotFound);
    }

    #[test]
    fn within_a_tolerance() {
        let with = |text: &str, amount, is_relative| MeasureComparison {
            tolerance: Some(Tolerance { text: text.into(), amount, is_relative }),
            ..measure(Some(Direction::Less), &[&some(BEFORE), &some(AFTER)])
        };
        assert_eq!(judged(with("2s", 2.0, false)).verdict, Verdict::Equivalent);
        // Different for sure, and by more than half a second.
        assert_eq!(judged(with("500ms", 0.5, false)).verdict, Verdict::Worse);
        // One in 28 on average is 3.6 %.
        assert_eq!(judged(with("10%", 0.1, true)).verdict, Verdict::Equivalent);
        assert_eq!(judged(with("1%", 0.01, true)).verdict, Verdict::Worse);
        let far = some([50.0, 11.0, 21.0, 31.0, 12.0, 40.0, 27.5, 33.5]);
        let vague = MeasureComparison {
            tolerance: Some(Tolerance { text: "1s".into(), amount: 1.0, is_relative: false }),
            ..measure(Some(Direction::Less), &[&some(BEFORE), &far])
        };
        assert_eq!(judged(vague).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn runs_that_did_not_recover_do_not_drop_out() {
        let recover = |a: &[Option<f64>], b: &[Option<f64>]| {
            judged(MeasureComparison { missing_is_worst: true, ..measure(Some(Direction::Less), &[a, b]) })
        };
        // Never against always: no pair is complete, and yet it is clear.
        let pair = recover(&[None; 8], &some(AFTER));
        assert_eq!((pair.verdict, pair.complete, pair.difference), (Verdict::Better, 0, None));
        assert_eq!(pair.p_value, Some(0.007_812_5));
        assert_eq!(recover(&some(AFTER), &[None; 8]).verdict, Verdict::Worse);
        assert_eq!(recover(&[None; 8], &[None; 8]).verdict, Verdict::NotFound);
        // In those runs in which both recovered, the first was faster; but it did not in most.
        let mut rarely = vec![None; 8];
        rarely.extend([Some(1.0), Some(2.0), Some(3.0)]);
        let always: Vec<Option<f64>> = (0..11).map(|run| Some(f64::from(run) + 50.0)).collect();
        let pair = recover(&rarely, &always);
        assert_eq!((pair.complete, pair.presence.unwrap().only_b), (3, 8));
        assert_eq!(pair.verdict, Verdict::Inconclusive, "{pair:?}");
        // As often, and slower.
        let mut late = some(AFTER);
        let mut early = some(BEFORE);
        late[3] = None;
        early[3] = None;
        assert_eq!(recover(&early, &late).verdict, Verdict::Worse);
    }

    #[test]
    fn events_are_counted() {
        let event = |a: [f64; 8], b: [f64; 8]| {
            let of = measure(Some(Direction::More), &[&some(a), &some(b)]);
            judged(MeasureComparison { is_event: true, unit: Unit::Ratio, ..of })
        };
        let pair = event([0.0; 8], [1.0; 8]);
        assert_eq!(
            (pair.verdict, pair.difference, pair.p_value),
            (Verdict::Better, Some(1.0), Some(0.007_812_5))
        );
        // Six of eight would have had to differ.
        let pair = event([0.0; 8], [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!((pair.verdict, pair.detectable), (Verdict::NotFound, Some(0.75)));
    }

    #[test]
    fn many_comparisons_are_judged_together() {
        // Each of ten has a p value of about 2 %: none is found among so many.
        let after = [11.0, 52.0, 31.5, 20.0, 43.0, 12.0, 33.1, 29.5];
        let one = || measure(Some(Direction::Less), &[&some(BEFORE), &some(after)]);
        let alone = judged(one());
        assert!(alone.verdict == Verdict::Worse && alone.p_value.unwrap() > 0.005, "{alone:?}");
        let mut many: Vec<MeasureComparison> = (0..10).map(|_| one()).collect();
        assert_eq!(super::judge(&mut many, &[(0, 1)]), 10);
        let pair = &many[0].pairs[0];
        assert_eq!((pair.verdict, pair.ci95, pair.p_value), (Verdict::NotFound, alone.ci95, alone.p_value));
        let (wide, narrow) = (pair.simultaneous95.unwrap(), pair.ci95.unwrap());
        assert!(wide.0 < narrow.0 && wide.1 > narrow.1);
    }
}
