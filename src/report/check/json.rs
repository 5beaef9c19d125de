//! The result as one JSON document. Names of fields are a contract.

use super::{counted, tally};
use crate::experiment::check::{Change, CheckResult, Checked, Comparison, FileResult, Misfit, Problem};
use crate::report::json::{Expectation, Interval, Number, interval};
use serde::Serialize;

/// The result as pretty JSON, with a newline at the end.
pub fn document(result: &CheckResult) -> String {
    match serde_json::to_string_pretty(&Document::of(result)) {
        Ok(text) => text + "\n",
        Err(_) => unreachable!("keys are strings and numbers are finite"),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    brownout: &'static str,
    files: Vec<File<'a>>,
    held: usize,
    failed: usize,
    inconclusive: usize,
    compared: usize,
    worse: usize,
    better: usize,
    unclear: usize,
    misfits: usize,
    wrong: usize,
    skipped: usize,
    unchanged: usize,
    since: Option<&'a str>,
}

impl<'a> Document<'a> {
    fn of(result: &'a CheckResult) -> Self {
        let tally = tally(result);
        Self {
            brownout: env!("CARGO_PKG_VERSION"),
            files: result.files.iter().map(File::of).collect(),
            held: tally.held,
            failed: tally.failed,
            inconclusive: tally.inconclusive,
            compared: tally.compared,
            worse: tally.worse,
            better: tally.better,
            unclear: tally.unclear,
            misfits: tally.misfits,
            wrong: tally.wrong,
            skipped: result.skipped,
            unchanged: result.unchanged,
            since: result.since.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct File<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ProblemOf<'a>>,
    #[serde(flatten)]
    found: Option<Found<'a>>,
}

impl<'a> File<'a> {
    fn of(file: &'a FileResult) -> Self {
        Self {
            file: &file.file,
            problems: file.found.as_ref().err().into_iter().flatten().map(ProblemOf::of).collect(),
            found: file.found.as_ref().ok().map(Found::of),
        }
    }
}

#[derive(Serialize)]
struct ProblemOf<'a> {
    message: &'a str,
    file: &'a str,
    line: Option<usize>,
    column: Option<usize>,
}

impl<'a> ProblemOf<'a> {
    fn of(problem: &'a Problem) -> Self {
        Self {
            message: &problem.message,
            file: &problem.place.file,
            line: problem.place.position.map(|(line, _)| line),
            column: problem.place.position.map(|(_, column)| column),
        }
    }
}

#[derive(Serialize)]
struct Found<'a> {
    name: &'a str,
    seed: u64,
    runs: u32,
    expectations: Vec<Judged<'a>>,
    baseline: Option<BaselineOf<'a>>,
    written: Option<&'a str>,
}

impl<'a> Found<'a> {
    fn of(found: &'a Checked) -> Self {
        let judged = found.expectations.iter().map(|(e, place)| Judged {
            column: place.position.map(|(_, column)| column),
            expectation: Expectation::of(e),
        });
        Self {
            name: &found.name,
            seed: found.seed,
            runs: found.runs,
            expectations: judged.collect(),
            baseline: counted(found).map(BaselineOf::of),
            written: found.written.as_ref().map(|w| w.file.as_str()),
        }
    }
}

#[derive(Serialize)]
struct Judged<'a> {
    #[serde(flatten)]
    expectation: Expectation<'a>,
    column: Option<usize>,
}

#[derive(Serialize)]
struct BaselineOf<'a> {
    file: &'a str,
    paired: bool,
    seed: u64,
    runs: u32,
    other_version: Option<&'a str>,
    changes: Vec<ChangeOf<'a>>,
    misfits: Vec<MisfitOf<'a>>,
}

impl<'a> BaselineOf<'a> {
    fn of(comparison: &'a Comparison) -> Self {
        Self {
            file: &comparison.file,
            paired: comparison.is_paired,
            seed: comparison.taken_with.0,
            runs: comparison.taken_with.1,
            other_version: comparison.other_version.as_deref(),
            changes: comparison.changes.iter().map(ChangeOf::of).collect(),
            misfits: comparison.misfits.iter().map(MisfitOf::of).collect(),
        }
    }
}

#[derive(Serialize)]
struct MisfitOf<'a> {
    variant: &'a str,
    message: &'a str,
}

impl<'a> MisfitOf<'a> {
    fn of(misfit: &'a Misfit) -> Self {
        Self { variant: &misfit.variant, message: &misfit.message }
    }
}

#[derive(Serialize)]
struct ChangeOf<'a> {
    variant: &'a str,
    measure: &'a str,
    unit: &'static str,
    worse: &'static str,
    before: Option<Number>,
    after: Option<Number>,
    difference: Option<Number>,
    ci95: Interval,
    p: Option<Number>,
    p_corrected: Option<Number>,
    tolerance: Number,
    verdict: &'static str,
}

impl<'a> ChangeOf<'a> {
    fn of(change: &'a Change) -> Self {
        Self {
            variant: &change.variant,
            measure: &change.measure,
            unit: change.unit.symbol(),
            worse: if change.is_higher_worse { "higher" } else { "lower" },
            before: change.before.map(Number),
            after: change.after.map(Number),
            difference: change.difference.map(|d| Number(d.difference)),
            ci95: change.difference.and_then(|d| interval(d.lo, d.hi)),
            p: change.difference.map(|d| Number(d.p_value)),
            p_corrected: change.p_corrected.map(Number),
            tolerance: Number(change.tolerance),
            verdict: change.verdict.name(),
        }
    }
}
