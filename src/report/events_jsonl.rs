//! The log of state changes: one JSON object per line, by variant, run and time.
//!
//! Where lines were left out because there were too many, the run's last line says how many, with the kind
//! `lines_dropped` and no time.

use crate::experiment::results::{ExperimentResult, LogLine, RunLog};
use crate::metrics::estimate::stable;
use serde::Serialize;

/// The logs of all runs of all variants as JSON lines.
pub fn write(result: &ExperimentResult) -> Vec<u8> {
    let mut bytes = Vec::new();
    for variant in &result.variants {
        for log in &variant.log {
            run_lines(&mut bytes, &variant.name, log);
        }
    }
    bytes
}

#[derive(Serialize)]
struct Line<'a> {
    variant: &'a str,
    run: u32,
    time_s: Option<f64>,
    kind: &'a str,
    component: &'a str,
    instance: &'a str,
    detail: &'a str,
}

fn run_lines(bytes: &mut Vec<u8>, variant: &str, log: &RunLog) {
    for line in &log.lines {
        push(bytes, &line_of(variant, log.run, line));
    }
    if log.dropped > 0 {
        let detail = format!("{} lines left out", log.dropped);
        let kind = "lines_dropped";
        let last =
            Line { variant, run: log.run, time_s: None, kind, component: "", instance: "", detail: &detail };
        push(bytes, &last);
    }
}

fn line_of<'a>(variant: &'a str, run: u32, line: &'a LogLine) -> Line<'a> {
    Line {
        variant,
        run,
        time_s: line.time_s.is_finite().then(|| stable(line.time_s)),
        kind: &line.kind,
        component: &line.component,
        instance: &line.instance,
        detail: &line.detail,
    }
}

fn push(bytes: &mut Vec<u8>, line: &Line) {
    if serde_json::to_writer(&mut *bytes, line).is_err() {
        unreachable!("writing to memory succeeds, and all keys are strings");
    }
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_line_for_each_change_and_one_for_what_was_dropped() {
        let text = String::from_utf8(write(&fixture::tiny())).unwrap();
        let expected = concat!(
            r#"{"variant":"base","run":0,"time_s":1.5,"kind":"target_unhealthy","component":"balancers.alb","#,
            r#""instance":"api.3","detail":"2 checks \"timed out\""}"#,
            "\n",
            r#"{"variant":"base","run":0,"time_s":null,"kind":"lines_dropped","component":"","instance":"","#,
            r#""detail":"7 lines left out"}"#,
            "\n",
        );
        assert_eq!(text, expected);
    }
}
