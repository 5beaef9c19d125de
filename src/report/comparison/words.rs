//! What was found, in sentences.

use crate::base::units::{Unit, ratio_text};
use crate::experiment::compare::results::{Comparison, MeasureComparison, Pair, Selected, Verdict};
use crate::report::words::{many, value_text};

/// A difference of two values, without its sign: shares differ by percentage points.
pub fn amount(unit: Unit, difference: f64) -> String {
    let text = value_text(unit, difference.abs());
    match (unit, text.strip_suffix(" %")) {
        (Unit::Ratio, Some(number)) => format!("{number} points"),
        _ => text,
    }
}

/// A difference with its sign: "+5 ms", "-3 points", "0 s".
pub fn signed(unit: Unit, difference: f64) -> String {
    let sign = if difference > 0.0 {
        "+"
    } else if difference < 0.0 {
        "-"
    } else {
        ""
    };
    format!("{sign}{}", amount(unit, difference))
}

/// An interval of a difference: "-29.9 to -29.7 s".
pub fn interval(unit: Unit, interval: Option<(f64, f64)>) -> Option<String> {
    interval.map(|(lo, hi)| from_to(&signed(unit, lo), &signed(unit, hi)))
}

/// Two quantities; their unit is said once where it is the same.
fn from_to(from: &str, to: &str) -> String {
    let parts =
        |text: &str| text.split_once(' ').map(|(number, unit)| (number.to_string(), unit.to_string()));
    match (parts(from), parts(to)) {
        (Some((number, unit)), Some((_, other))) if unit == other && !unit.contains(' ') => {
            format!("{number} to {to}")
        }
        _ => format!("{from} to {to}"),
    }
}

/// A share of change with its sign: "-99.4 %".
pub fn change(pair: &Pair) -> Option<String> {
    let relative = pair.relative()?;
    let sign = if relative > 0.0 { "+" } else { "" };
    Some(format!("{sign}{}", ratio_text(relative)))
}

/// A p value, or that it is small.
pub fn p_text(p: f64) -> String {
    match p {
        p if p < 0.001 => "< 0.001".to_string(),
        p if p < 0.1 => format!("{p:.3}"),
        p => format!("{p:.2}"),
    }
}

/// The value of a variant: a mean, or in how many of its runs an event happened.
fn value(measure: &MeasureComparison, pair: &Pair, is_b: bool) -> String {
    let at = if is_b { pair.b } else { pair.a };
    if measure.is_event {
        let of = &measure.variants[at];
        let happened = of.per_run.iter().flatten().filter(|v| **v > 0.5).count();
        return format!("{happened} of {}", many(of.per_run.len() as u64, "run"));
    }
    let mean = pair.means.map(|(a, b)| if is_b { b } else { a });
    mean.map_or("–".to_string(), |mean| value_text(measure.unit, mean))
}

/// The difference as "29.8 s less (29.7 s to 29.9 s)".
fn less_or_more(measure: &MeasureComparison, pair: &Pair) -> Option<String> {
    let difference = pair.difference?;
    let unit = measure.unit;
    let word = if difference < 0.0 { "less" } else { "more" };
    let text = format!("{} {word}", amount(unit, difference));
    Some(match pair.ci95 {
        Some((lo, hi)) if lo == hi => format!("{text} in every run"),
        Some((lo, hi)) if hi < 0.0 => format!("{text} ({})", from_to(&amount(unit, hi), &amount(unit, lo))),
        Some((lo, hi)) if lo > 0.0 => format!("{text} ({})", from_to(&amount(unit, lo), &amount(unit, hi))),
        ci95 => format!("{text}{}", interval(unit, ci95).map_or(String::new(), |i| format!(" ({i})"))),
    })
}

/// Where values are missing: "a value in 10 of 10 runs instead of 3".
fn presence(measure: &MeasureComparison, pair: &Pair) -> Option<String> {
    let counts = pair.presence?;
    let what = if measure.missing_is_worst { "recovered" } else { "has a value" };
    let runs = many(counts.pairs(), "run");
    Some(format!("{what} in {} of {runs} instead of {}", counts.in_b(), counts.in_a()))
}

/// What was found about one pair, as a sentence without a full stop.
pub fn sentence(result: &Comparison, measure: &MeasureComparison, pair: &Pair) -> String {
    let [a, b] = [pair.a, pair.b].map(|at| result.variants[at].as_str());
    let text = &measure.text;
    let instead = || format!("{} instead of {}", value(measure, pair, true), value(measure, pair, false));
    let facts = |verdict: &str| {
        let mut facts = Vec::new();
        facts.extend(presence(measure, pair));
        let is_some_missing = !facts.is_empty();
        if pair.complete > 0 {
            let found = format!("{}, {}", instead(), less_or_more(measure, pair).unwrap_or_default());
            let in_both = if is_some_missing {
                format!("in the {} in which both have a value: ", many(pair.complete as u64, "run"))
            } else {
                String::new()
            };
            facts.push(format!("{in_both}{found}"));
        }
        format!("{verdict}: {}", facts.join("; "))
    };
    match pair.verdict {
        Verdict::Better => facts(&format!("{b} beats {a} on {text}")),
        Verdict::Worse => facts(&format!("{b} is worse than {a} on {text}")),
        Verdict::More => facts(&format!("{b} has more {text} than {a}")),
        Verdict::Less => facts(&format!("{b} has less {text} than {a}")),
        Verdict::Equivalent => {
            let tolerance = measure.tolerance.as_ref().map_or("", |t| t.text.as_str());
            facts(&format!("{b} and {a} are equal on {text} within {tolerance}"))
        }
        Verdict::NotFound | Verdict::Inconclusive => unclear(measure, pair, a, b),
    }
}

/// That nothing was found, and what could have been.
fn unclear(measure: &MeasureComparison, pair: &Pair, a: &str, b: &str) -> String {
    let text = &measure.text;
    let runs = measure.variants[pair.a].per_run.len() as u64;
    let presence = presence(measure, pair).map_or(String::new(), |p| format!("; {p}"));
    if pair.complete < 2 {
        let pairs = match pair.complete {
            0 => "no pair of runs in which both have a value".to_string(),
            _ => "only one pair of runs in which both have a value".to_string(),
        };
        return format!("{b} and {a} cannot be compared on {text}: {pairs}{presence}");
    }
    let is_same = pair.difference == Some(0.0) && pair.ci95.is_some_and(|(lo, hi)| lo == hi);
    if is_same && pair.presence.is_none() {
        return format!("{b} and {a} have the same {text} in all {}", many(runs, "run"));
    }
    let difference = pair.difference.map_or("–".to_string(), |d| signed(measure.unit, d));
    let interval = interval(measure.unit, pair.ci95).map_or(String::new(), |i| format!(" ({i})"));
    if pair.verdict == Verdict::Inconclusive {
        let why = match &measure.tolerance {
            Some(tolerance) => format!("neither different nor equal within {}", tolerance.text),
            None => "the signs disagree".to_string(),
        };
        return format!("{b} and {a} on {text}: {why}: {difference}{interval}{presence}");
    }
    let could = match pair.detectable {
        Some(least) if measure.is_event => {
            format!("; {} would have had to differ", many((least * runs as f64).round() as u64, "run"))
        }
        Some(least) => format!("; these runs would have shown {}", amount(measure.unit, least)),
        None if measure.is_event => "; so few runs cannot show any".to_string(),
        None => String::new(),
    };
    format!("no difference between {b} and {a} found on {text}: {difference}{interval}{could}{presence}")
}

/// One line for each variant: on how many measures it is better, worse, or neither.
pub fn tally(result: &Comparison) -> Vec<String> {
    let others = (0..result.variants.len()).filter(|v| *v != result.baseline);
    let line = |variant: usize| {
        let found = result.measures.iter().filter_map(|m| {
            m.pairs.iter().find(|p| (p.a, p.b) == (result.baseline, variant)).map(|pair| pair.verdict)
        });
        let found: Vec<Verdict> = found.collect();
        let count = |verdict: Verdict| found.iter().filter(|v| **v == verdict).count();
        let mut parts = vec![
            format!("better on {}", count(Verdict::Better)),
            format!("worse on {}", count(Verdict::Worse)),
        ];
        for (verdict, words) in [
            (Verdict::More, "more of"),
            (Verdict::Less, "less of"),
            (Verdict::Equivalent, "equal on"),
            (Verdict::NotFound, "no difference found on"),
            (Verdict::Inconclusive, "inconclusive on"),
        ] {
            if count(verdict) > 0 {
                parts.push(format!("{words} {}", count(verdict)));
            }
        }
        let baseline = &result.variants[result.baseline];
        let all = many(found.len() as u64, "measure");
        format!("{} against {baseline}, {all}: {}", result.variants[variant], parts.join(", "))
    };
    others.map(line).collect()
}

/// What the search for the best found.
pub fn selected(result: &Comparison, selected: &Selected) -> String {
    let (text, unit) = (&selected.text, selected.unit);
    let probability = ratio_text(selected.probability);
    match selected.winner {
        Some(winner) => {
            let of = selected.contenders[winner];
            format!(
                "{} is best on {text} with a probability of {probability}: {} over {}; another may be better by less \
                 than {}",
                result.variants[winner],
                value_text(unit, of.mean),
                many(u64::from(of.runs), "run"),
                amount(unit, selected.indifference)
            )
        }
        None => {
            let left =
                selected.contenders.iter().zip(&result.variants).filter(|(c, _)| c.left_after.is_none());
            let mut names: Vec<&str> = left.map(|(_, name)| name.as_str()).collect();
            let last = names.pop().unwrap_or_default();
            let suffice = match selected.runs_needed {
                u32::MAX => String::new(),
                runs => format!("{} suffice for sure, or ", many(u64::from(runs), "run")),
            };
            format!(
                "no best on {text} yet: {} and {last} are still in contention after {}; {suffice}say that more than {} \
                 does not matter",
                names.join(", "),
                many(u64::from(selected.at_most), "run"),
                amount(unit, selected.indifference)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_signs_and_shares_have_points() {
        assert_eq!(signed(Unit::Ratio, -0.659), "-65.9 points");
        assert_eq!(signed(Unit::Seconds, 0.005), "+5 ms");
        assert_eq!(signed(Unit::PerSecond, 0.0), "0/s");
        let of = |unit, lo, hi| interval(unit, Some((lo, hi))).unwrap();
        assert_eq!(of(Unit::Seconds, -0.281, -0.262), "-281 to -262 ms");
        assert_eq!(of(Unit::Seconds, -0.182, 2.58), "-182 ms to +2.58 s");
        assert_eq!(of(Unit::Seconds, 70.0, 74.0), "+1 min 10 s to +1 min 14 s");
        assert_eq!(of(Unit::PerSecond, -1.5, 2.5), "-1.5/s to +2.5/s");
        assert_eq!(of(Unit::Ratio, 0.0029, 0.0042), "+0.29 to +0.42 points");
        assert_eq!(
            (p_text(1e-9), p_text(0.002), p_text(0.047)),
            ("< 0.001".into(), "0.002".into(), "0.047".into())
        );
    }
}
