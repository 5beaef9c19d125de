//! The result as Markdown, for the summary of a CI step.
//!
//! GitHub refuses summaries of more than 1 MiB, so this one stays well below: what is worth a look comes first, and
//! what no longer fits is counted.

use super::{counted, sentence, tally};
use crate::experiment::check::{ChangeVerdict, CheckResult};
use crate::experiment::results::Verdict;
use crate::report::human::found;
use crate::report::words::many;
use std::fmt::Write as _;

/// The most bytes of a summary, somewhat less than GitHub's 1 MiB.
const BYTES_MAX: usize = 1_000_000;

/// A row of the first table.
struct Row {
    mark: &'static str,
    file: String,
    variant: String,
    what: String,
    found: String,
}

/// The summary, with a newline at the end.
pub fn summary(result: &CheckResult) -> String {
    let tally = tally(result);
    let mark = match (tally.wrong + tally.failed + tally.worse, tally.inconclusive + tally.misfits) {
        (0, 0) => "✅",
        (0, _) => "❓",
        _ => "❌",
    };
    let mut text = format!("### {mark} brownout check\n\n");
    let _ = writeln!(
        text,
        "{} checked, {} wrong · {} expectations held, {} failed, {} inconclusive · {} compared with a \
         baseline, {} worse, {} better, {} unclear\n",
        many(tally.checked as u64, "file"),
        tally.wrong,
        tally.held,
        tally.failed,
        tally.inconclusive,
        many(tally.compared as u64, "measure"),
        tally.worse,
        tally.better,
        tally.unclear
    );
    let mut rows = rows(result);
    rows.sort_by_key(|row| ["❌", "❓", "🎉", "✅"].iter().position(|mark| *mark == row.mark));
    if rows.is_empty() {
        return text;
    }
    text.push_str("| | file | variant | what | found |\n|---|---|---|---|---|\n");
    for (at, row) in rows.iter().enumerate() {
        let [file, variant, what, found] = [&row.file, &row.variant, &row.what, &row.found].map(|c| cell(c));
        let line = format!("| {} | {file} | {variant} | {what} | {found} |\n", row.mark);
        if text.len() + line.len() > BYTES_MAX {
            let _ = writeln!(text, "\n… and {} more", rows.len() - at);
            break;
        }
        text.push_str(&line);
    }
    text
}

fn rows(result: &CheckResult) -> Vec<Row> {
    let mut rows = Vec::new();
    for file in &result.files {
        let mut add = |mark, variant: &str, what: &str, found: String| {
            let (file, variant, what) = (file.file.clone(), variant.to_string(), what.to_string());
            rows.push(Row { mark, file, variant, what, found });
        };
        let checked = match &file.found {
            Ok(checked) => checked,
            Err(problems) => {
                for problem in problems {
                    let (line, _) = problem.place.position.unwrap_or_default();
                    let at = if line > 0 { format!("line {line}") } else { String::new() };
                    add("❌", "", &at, problem.message.clone());
                }
                continue;
            }
        };
        for (expectation, _) in &checked.expectations {
            let mark = match expectation.verdict {
                Verdict::Held => "✅",
                Verdict::Failed => "❌",
                Verdict::Inconclusive => "❓",
            };
            add(mark, &expectation.variant, &format!("`{}`", expectation.text), found(expectation));
        }
        let Some(comparison) = counted(checked) else { continue };
        for change in &comparison.changes {
            let mark = match change.verdict {
                ChangeVerdict::Worse => "❌",
                ChangeVerdict::Better => "🎉",
                ChangeVerdict::Same | ChangeVerdict::Unclear => continue,
            };
            add(mark, &change.variant, "against the baseline", sentence(change));
        }
        for misfit in &comparison.misfits {
            add("❓", &misfit.variant, "against the baseline", misfit.message.clone());
        }
    }
    rows
}

/// A text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::check::{FileResult, Place, Problem};

    #[test]
    fn a_summary_stays_below_a_mebibyte_and_says_what_it_left_out() {
        let problem = |number: usize| Problem {
            message: format!("{number} | <b>\n{}", "x".repeat(500)),
            place: Place::default(),
        };
        let file = FileResult { file: "a|b.ron".into(), found: Err((0..5000).map(problem).collect()) };
        let text = summary(&CheckResult { files: vec![file], ..CheckResult::default() });
        assert!(text.len() < 1 << 20, "{}", text.len());
        assert!(text.contains("| ❌ | a\\|b.ron |  |  | 0 \\| &lt;b> xxx"), "{}", &text[..500]);
        let shown = text.lines().filter(|line| line.starts_with("| ❌")).count();
        assert!(text.ends_with(&format!("\n… and {} more\n", 5000 - shown)), "{}", &text[text.len() - 50..]);
    }
}
