//! What `brownout check` found, for people, machines and CI services.

pub mod baseline;
pub mod github;
pub mod human;
pub mod json;
pub mod junit;
pub mod markdown;

use crate::base::units::ratio_text;
use crate::experiment::check::{Change, ChangeVerdict, CheckResult, Checked, Comparison};
use crate::experiment::results::Verdict;
use crate::report::words::value_text;

/// How many of everything there are, over all files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files that were played.
    pub checked: usize,
    /// Files that could not be.
    pub wrong: usize,
    /// Expectations that held.
    pub held: usize,
    /// Expectations that failed.
    pub failed: usize,
    /// Expectations of which it cannot be told.
    pub inconclusive: usize,
    /// Measures that were compared with a baseline.
    pub compared: usize,
    /// Those that got worse.
    pub worse: usize,
    /// Those that got better.
    pub better: usize,
    /// Those whose interval is too wide to tell.
    pub unclear: usize,
    /// What does not fit its baseline.
    pub misfits: usize,
    /// Baselines written.
    pub written: usize,
}

/// Counts everything. What was accepted by writing a new baseline is neither worse nor better.
pub fn tally(result: &CheckResult) -> Tally {
    let mut tally = Tally::default();
    for file in &result.files {
        let Ok(found) = &file.found else {
            tally.wrong += 1;
            continue;
        };
        tally.checked += 1;
        for (expectation, _) in &found.expectations {
            *match expectation.verdict {
                Verdict::Held => &mut tally.held,
                Verdict::Failed => &mut tally.failed,
                Verdict::Inconclusive => &mut tally.inconclusive,
            } += 1;
        }
        tally.written += usize::from(found.written.is_some());
        if let Some(comparison) = counted(found) {
            let count = |verdict| comparison.changes.iter().filter(|c| c.verdict == verdict).count();
            tally.compared += comparison.changes.len();
            tally.worse += count(ChangeVerdict::Worse);
            tally.better += count(ChangeVerdict::Better);
            tally.unclear += count(ChangeVerdict::Unclear);
            tally.misfits += comparison.misfits.len();
        }
    }
    tally
}

/// The comparison that counts: none if the baseline has just been written anew.
fn counted(found: &Checked) -> Option<&Comparison> {
    found.comparison.as_ref().filter(|_| found.written.is_none())
}

/// A measure as people say it: "p99 of clients.users.latency".
fn measure_words(measure: &str) -> String {
    let is_path = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "._-/:".contains(c));
    match measure.rsplit_once('.') {
        Some((of, statistic)) if is_path(measure) && is_statistic(statistic) => {
            format!("{statistic} of {of}")
        }
        _ => measure.to_string(),
    }
}

fn is_statistic(name: &str) -> bool {
    let is_percentile = name.strip_prefix('p').is_some_and(|digits| digits.parse::<u32>().is_ok());
    is_percentile || ["mean", "min", "max"].contains(&name)
}

/// A change in words: "p99 of clients.users.latency got worse by 5.2 % (4.8 % to 5.6 %): 187 ms, was 178 ms".
fn sentence(change: &Change) -> String {
    let text = |value: Option<f64>| value.map_or("without value".to_string(), |v| value_text(change.unit, v));
    let (measure, before, after) = (measure_words(&change.measure), text(change.before), text(change.after));
    let how = match change.verdict {
        ChangeVerdict::Worse => "got worse",
        ChangeVerdict::Better => "got better",
        ChangeVerdict::Same if change.before == change.after => {
            return format!("{measure} is {after}, as before");
        }
        ChangeVerdict::Same => return format!("{measure} is about the same: {after}, was {before}"),
        ChangeVerdict::Unclear => {
            return format!(
                "{measure} may or may not have changed: {after}, was {before}{}",
                interval(change)
            );
        }
    };
    match by(change) {
        Some(by) => format!("{measure} {how} by {by}: {after}, was {before}"),
        None => format!("{measure} {how}: {after}, was {before}"),
    }
}

/// By how much, relative to the baseline and in the direction that it took: "5.2 % (4.8 % to 5.6 %)".
fn by(change: &Change) -> Option<String> {
    let (difference, before) = (change.difference?, change.before.filter(|b| *b != 0.0)?);
    let relative = |value: f64| value / before.abs() * if difference.difference < 0.0 { -1.0 } else { 1.0 };
    let (one, other) = (relative(difference.lo), relative(difference.hi));
    let (lo, hi) = (one.min(other), one.max(other));
    let mean = percent(relative(difference.difference));
    Some(if lo == hi { mean } else { format!("{mean} ({} to {})", percent(lo), percent(hi)) })
}

/// The interval of a difference that may go either way: ", -1.2 ms to 3.4 ms more".
fn interval(change: &Change) -> String {
    let Some(difference) = change.difference else { return String::new() };
    let [lo, hi] = [difference.lo, difference.hi].map(|v| value_text(change.unit, v));
    format!(", {lo} to {hi} more")
}

/// Two digits of a share are as much as it is worth.
fn percent(share: f64) -> String {
    ratio_text(format!("{share:.1e}").parse().unwrap_or(share))
}

/// Whether a comparison went on other dice than the baseline, in words.
fn dice_words(comparison: &Comparison, found: &Checked) -> Option<String> {
    (!comparison.is_paired).then(|| {
        format!(
            "seed {} and {} runs, the baseline has seed {} and {} runs: compared without pairs, which shows only large \
             changes",
            found.seed, found.runs, comparison.taken_with.0, comparison.taken_with.1
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Unit;
    use crate::experiment::check::Place;
    use crate::metrics::comparison::TTest;

    fn change(verdict: ChangeVerdict, before: f64, after: f64, half: f64) -> Change {
        let mean = after - before;
        Change {
            variant: "guarded".into(),
            measure: "clients.users.latency.p99".into(),
            unit: Unit::Seconds,
            is_higher_worse: true,
            before: Some(before),
            after: Some(after),
            difference: Some(TTest {
                difference: mean,
                lo: mean - half,
                hi: mean + half,
                p_value: 0.001,
                freedom: 4.0,
            }),
            p_corrected: Some(0.002),
            tolerance: 0.001,
            verdict,
            place: Place::default(),
        }
    }

    #[test]
    fn a_regression_in_words() {
        let worse = change(ChangeVerdict::Worse, 0.178, 0.187256, 0.0007);
        assert_eq!(
            sentence(&worse),
            "p99 of clients.users.latency got worse by 5.2 % (4.8 % to 5.6 %): 187 ms, was 178 ms"
        );
        // What got better by shrinking shrank by so much.
        let better = change(ChangeVerdict::Better, 0.2, 0.19, 0.002);
        assert_eq!(
            sentence(&better),
            "p99 of clients.users.latency got better by 5 % (4 % to 6 %): 190 ms, was 200 ms"
        );
        let from_nothing =
            Change { measure: "P(metastable)".into(), ..change(ChangeVerdict::Worse, 0.0, 1.0, 0.0) };
        assert_eq!(sentence(&from_nothing), "P(metastable) got worse: 1 s, was 0 s");
    }

    #[test]
    fn measures_in_words() {
        assert_eq!(measure_words("clients.users.latency.mean"), "mean of clients.users.latency");
        assert_eq!(measure_words("clients.users.goodput"), "clients.users.goodput");
        assert_eq!(measure_words("P(recovered from a.p99)"), "P(recovered from a.p99)");
    }
}
