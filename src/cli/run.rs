//! `brownout run FILE`

use super::args::RunArgs;
use super::deliver::Format;
use super::files::{self, Output};
use super::progress::Bar;
use super::{Ending, message, run_failed, show_diagnostics, threads, width};
use crate::experiment::results::Verdict;
use crate::experiment::{Changes, ExperimentResult, plan, run as play};
use crate::report::{events_jsonl, human, json, plot, series_csv};
use crate::spec::load::Loader;
use std::fmt::Write;
use std::path::PathBuf;

/// Plays a file and reports.
pub fn run(args: &RunArgs) -> Ending {
    if !args.deliver.are_known("run", &[Format::Human, Format::Json]) {
        return Ending::Wrong;
    }
    let mut loader = Loader::default();
    let document = loader.load(&args.file, &args.play.sets);
    let changes =
        Changes { seed: args.play.seed, runs: args.play.runs, duration: args.duration, ..Changes::default() };
    let plan = document.and_then(|d| plan(&mut loader, d, &changes));
    if show_diagnostics(&loader) {
        return Ending::Wrong;
    }
    let Some(plan) = plan else { return Ending::Wrong };
    let jobs = args.play.jobs.map_or_else(threads, usize::from);
    let result = match play(&plan, jobs, &Bar::new(args.quiet)) {
        Ok(result) => result,
        Err(error) => return run_failed(&error),
    };
    let mut written = Vec::new();
    if !args.no_out {
        let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("out").join(&result.name));
        match outputs(&result).and_then(|outputs| files::write_all(&folder, &outputs)) {
            Ok(paths) => written = paths,
            Err(error) => {
                message(&format!("error: {error:#}\n"));
                return Ending::Wrong;
            }
        }
    }
    let delivered = args.deliver.deliver_or_say(&|format, color| {
        if format == Format::Json {
            return Ok(json::summary(&result).into_bytes());
        }
        let options = human::Options {
            color,
            width: width(),
            files: written.iter().map(|p| p.display().to_string()).collect(),
            reproduce: reproduce(args, &result),
            quiet: args.quiet,
        };
        Ok(human::summary(&result, &options).into_bytes())
    });
    match delivered {
        Ok(()) => ending(&result),
        Err(ending) => ending,
    }
}

fn outputs(result: &ExperimentResult) -> anyhow::Result<Vec<Output>> {
    let mut outputs = vec![
        ("summary.json".to_string(), json::summary(result).into_bytes()),
        ("events.jsonl".to_string(), events_jsonl::write(result)),
    ];
    if result.variants.iter().any(|v| !v.series.times_s.is_empty()) {
        outputs.insert(1, ("timeseries.csv".to_string(), series_csv::write(result)));
    }
    for plot in plot::all(result)? {
        outputs.push((format!("{}.svg", plot.file_stem), plot.svg.into_bytes()));
        outputs.push((format!("{}.png", plot.file_stem), plot.png));
    }
    Ok(outputs)
}

fn ending(result: &ExperimentResult) -> Ending {
    let any = |verdict| {
        result.expectations.iter().any(|e| e.verdict == verdict)
            || result.theory.agreements.iter().any(|a| a.verdict == verdict)
    };
    if any(Verdict::Failed) {
        Ending::Failed
    } else if any(Verdict::Inconclusive) {
        Ending::Inconclusive
    } else {
        Ending::Held
    }
}

/// The command that gives the same bytes again.
fn reproduce(args: &RunArgs, result: &ExperimentResult) -> String {
    let mut line = format!("brownout run {}", quoted(&args.file.display().to_string()));
    for set in &args.play.sets {
        let _ = write!(line, " --set {}", quoted(set));
    }
    let _ = write!(line, " --seed {} --runs {}", result.seed, result.runs);
    if let Some(duration) = args.duration {
        let _ = write!(line, " --duration {}ns", duration.ns());
    }
    line
}

/// As a shell would have to be told it.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_string()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
