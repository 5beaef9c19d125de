//! Annotations as GitHub Actions reads them from a log: `::error file=…,line=…,col=…,title=…::message`
//! (<https://docs.github.com/actions/reference/workflow-commands-for-github-actions>).
//!
//! GitHub shows ten errors and ten warnings of a step. What failed comes first, and all regressions of a variant are
//! one annotation.

use super::{counted, sentence, tally};
use crate::experiment::check::{ChangeVerdict, CheckResult, Place};
use crate::experiment::results::{ExpectationResult, Verdict};
use crate::report::human::found;
use crate::report::words::many;
use std::fmt::Write as _;

/// One line for each annotation, then one line in plain words.
pub fn annotations(result: &CheckResult) -> String {
    let mut text = String::new();
    for file in &result.files {
        for problem in file.found.as_ref().err().into_iter().flatten() {
            annotate(&mut text, "error", &problem.place, "brownout: wrong input", &problem.message);
        }
    }
    for (level, verdict, title) in [
        ("error", Verdict::Failed, "brownout: expectation failed"),
        ("warning", Verdict::Inconclusive, "brownout: inconclusive"),
    ] {
        let changes: &[(ChangeVerdict, &str, &str)] = match verdict {
            Verdict::Failed => &[(ChangeVerdict::Worse, "error", "brownout: regression")],
            _ => &[(ChangeVerdict::Better, "notice", "brownout: improvement")],
        };
        for found in result.files.iter().filter_map(|file| file.found.as_ref().ok()) {
            for (expectation, place) in found.expectations.iter().filter(|(e, _)| e.verdict == verdict) {
                annotate(&mut text, level, place, title, &words(expectation));
            }
            let Some(comparison) = counted(found) else { continue };
            for (change, level, title) in changes {
                let changed: Vec<_> = comparison.changes.iter().filter(|c| c.verdict == *change).collect();
                for of_variant in changed.chunk_by(|a, b| a.variant == b.variant) {
                    let lines: Vec<String> = of_variant.iter().map(|c| sentence(c)).collect();
                    let message = format!("{}: {}", of_variant[0].variant, lines.join("\n"));
                    annotate(&mut text, level, &of_variant[0].place, title, &message);
                }
            }
            if verdict == Verdict::Inconclusive {
                for misfits in comparison.misfits.chunk_by(|a, b| a.variant == b.variant) {
                    let lines: Vec<&str> = misfits.iter().map(|m| m.message.as_str()).collect();
                    let message = format!("{}: {}", misfits[0].variant, lines.join("\n"));
                    annotate(
                        &mut text,
                        "warning",
                        &misfits[0].place,
                        "brownout: not in the baseline",
                        &message,
                    );
                }
            }
        }
    }
    let tally = tally(result);
    let _ = writeln!(
        text,
        "{} checked: {} held, {} failed, {} inconclusive; {} compared, {} worse, {} better",
        many(tally.checked as u64, "file"),
        tally.held,
        tally.failed,
        tally.inconclusive,
        many(tally.compared as u64, "measure"),
        tally.worse,
        tally.better
    );
    text
}

/// An expectation and what was found: "guarded: p(99) of … < 1s: 1.2 s (…), misses by 200 ms".
fn words(expectation: &ExpectationResult) -> String {
    let of = format!("{}: {}", expectation.variant, expectation.text);
    format!("{of} is {}: {}", expectation.verdict.name(), found(expectation))
}

fn annotate(text: &mut String, level: &str, place: &Place, title: &str, message: &str) {
    let file = place.file.strip_prefix("./").unwrap_or(&place.file);
    let mut properties = Vec::new();
    if !file.is_empty() {
        properties.push(format!("file={}", property(file)));
    }
    if let Some((line, column)) = place.position {
        properties.push(format!("line={line},col={column}"));
    }
    properties.push(format!("title={}", property(title)));
    let _ = writeln!(text, "::{level} {}::{}", properties.join(","), data(message));
}

/// A message: it must stay in one line.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property: it ends at a comma, and the list of them at a colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_github_is_escaped() {
        let place = Place { file: "./a,b:c%.ron".into(), position: Some((3, 9)) };
        let mut text = String::new();
        annotate(&mut text, "error", &place, "x: y, z", "5 % of a,b:\nworse\r\n");
        assert_eq!(
            text,
            "::error file=a%2Cb%3Ac%25.ron,line=3,col=9,title=x%3A y%2C z::5 %25 of a,b:%0Aworse%0D%0A\n"
        );
        let mut nowhere = String::new();
        annotate(&mut nowhere, "warning", &Place::default(), "t", "m");
        assert_eq!(nowhere, "::warning title=t::m\n");
    }
}
