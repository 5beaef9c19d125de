//! The result as JUnit's XML: a suite for each file, a case for each expectation and for each compared measure.

use super::{counted, measure_words, sentence};
use crate::experiment::check::{ChangeVerdict, CheckResult, Checked};
use crate::experiment::results::Verdict;
use crate::report::human::found;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// The report, with a newline at the end. What is inconclusive is a failure if `is_failure` says so, and skipped
/// otherwise.
pub fn report(result: &CheckResult, is_failure: bool) -> String {
    let mut report = Report::new("brownout check");
    for file in &result.files {
        let mut suite = TestSuite::new(file.file.as_str());
        match &file.found {
            Ok(found) => add_cases(&mut suite, &file.file, found, is_failure),
            Err(problems) => {
                for problem in problems {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                    status.set_message(problem.message.as_str());
                    let (line, column) = problem.place.position.unwrap_or_default();
                    let at = if line > 0 { format!(":{line}:{column}") } else { String::new() };
                    status.set_description(format!("{}{at}: {}", problem.place.file, problem.message));
                    suite.add_test_case(case("is valid", &file.file, status));
                }
            }
        }
        report.add_test_suite(suite);
    }
    match report.to_string() {
        Ok(text) => text,
        Err(_) => unreachable!("nothing but memory is written to"),
    }
}

fn add_cases(suite: &mut TestSuite, file: &str, checked: &Checked, is_failure: bool) {
    for (expectation, place) in &checked.expectations {
        let (line, column) = place.position.unwrap_or_default();
        let message = format!("{} ({}:{line}:{column})", found(expectation), place.file);
        let status = match expectation.verdict {
            Verdict::Held => TestCaseStatus::success(),
            Verdict::Failed => failure(&message),
            Verdict::Inconclusive => inconclusive(&message, is_failure),
        };
        let class = format!("{file}:{}", expectation.variant);
        suite.add_test_case(case(&expectation.text, &class, status));
    }
    let Some(comparison) = counted(checked) else { return };
    for change in &comparison.changes {
        let status = match change.verdict {
            ChangeVerdict::Worse => failure(&sentence(change)),
            ChangeVerdict::Better | ChangeVerdict::Same | ChangeVerdict::Unclear => TestCaseStatus::success(),
        };
        let mut case = case(
            &format!("{} is no worse", measure_words(&change.measure)),
            &format!("{file}:{}", change.variant),
            status,
        );
        if change.verdict != ChangeVerdict::Worse {
            case.set_system_out(sentence(change));
        }
        suite.add_test_case(case);
    }
    for misfit in &comparison.misfits {
        let status = inconclusive(&misfit.message, is_failure);
        suite.add_test_case(case(&misfit.message, &format!("{file}:{}", misfit.variant), status));
    }
}

fn case(name: &str, class: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}

fn failure(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(message).set_description(message);
    status
}

fn inconclusive(message: &str, is_failure: bool) -> TestCaseStatus {
    if is_failure {
        return failure(&format!("inconclusive: {message}"));
    }
    let mut status = TestCaseStatus::skipped();
    status.set_message(format!("inconclusive: {message}"));
    status
}
