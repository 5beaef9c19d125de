//! `brownout run FILE`

use super::args::RunArgs;
use super::deliver::{DeliverArgs, Format};
use super::files::{self, Output};
use super::partial::Partial;
use super::precision::PrecisionArgs;
use super::progress::Bar;
use super::{Ending, interrupt, message, run_failed, shard, show_diagnostics, threads, width};
use crate::base::SimDuration;
use crate::experiment::ledger::{Asked, Header};
use crate::experiment::plan::Sampling;
use crate::experiment::results::Verdict;
use crate::experiment::run::{Outcome, RunError, run_keeping};
use crate::experiment::shards::Shard;
use crate::experiment::{Changes, ExperimentResult, Plan, plan};
use crate::report::{events_jsonl, human, json, plot, series_csv, traces};
use crate::spec::load::Loader;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Plays a file and reports.
pub fn run(args: &RunArgs) -> Ending {
    if !args.deliver.are_known("run", &[Format::Human, Format::Json]) {
        return Ending::Wrong;
    }
    match shard::wanted(&args.share).and_then(|shard| played(args, shard)) {
        Ok(ending) => ending,
        Err(error) => {
            message(&format!("error: {error}\n"));
            Ending::Wrong
        }
    }
}

fn played(args: &RunArgs, shard: Option<Shard>) -> Result<Ending, String> {
    let mut loader = Loader::default();
    let document = loader.load(&args.file, &args.play.sets);
    let changes = Changes {
        seed: args.play.seed,
        runs: args.play.runs,
        duration: args.duration,
        traces: sampling(args.traces),
        // Only files have it, and ledgers for those who merge them.
        hides_series: args.no_out && shard.is_none(),
        ..Changes::default()
    };
    let changes = args.precision.change(&mut loader, args.play.jobs, changes);
    let plan = document.and_then(|d| plan(&mut loader, d, &changes));
    if show_diagnostics(&loader) {
        return Ok(Ending::Wrong);
    }
    if interrupt::is_asked() {
        message("error: interrupted before the first run\n");
        return Ok(Ending::Interrupted);
    }
    let Some(mut plan) = plan else { return Ok(Ending::Wrong) };
    if args.no_out && plan.traces > 0.0 {
        plan.traces = 0.0;
        message("note: the file asks for traces, and --no-out writes none\n");
    }
    let header = || Ok::<_, String>(Header::new(&plan, asked(args, &loader)?));
    if let Some(shard) = shard {
        return shard::play(args, &plan, header()?, shard);
    }
    let folder = folder(args.out.as_deref(), &plan.name);
    let mut partial = match args.no_out {
        true => Partial::nowhere(),
        false => Partial::begin(&folder, &header()?, args.resume)?,
    };
    let jobs = args.play.jobs.map_or_else(threads, usize::from);
    let outcome = match run_keeping(&plan, jobs, &Bar::new(args.quiet), &mut partial) {
        Ok(outcome) => outcome,
        Err(error) => {
            if matches!(error, RunError::TimeStandsStill { .. }) {
                // Whoever goes on sees the same again.
                partial.remove();
            }
            return Ok(run_failed(&error));
        }
    };
    let reproduce = reproduce(args, &plan);
    if !outcome.is_whole() {
        return Ok(interrupted(args, outcome, &partial, reproduce));
    }
    let Some(result) = outcome.result else { return Err("there was nothing to play".into()) };
    let folder = (!args.no_out).then_some(folder.as_path());
    let ending = report(&result, folder, jobs, &args.deliver, args.quiet, reproduce);
    match partial.path() {
        // A disk that is full, say: whoever mends that needs not play again.
        Some(path) if ending == Ending::Wrong => {
            message(&format!("all runs are kept in {}; --resume goes on with them\n", path.display()));
        }
        _ => partial.remove(),
    }
    // The process ends: taking a large system and its results apart piece by piece would be a tenth of its start.
    std::mem::forget((loader, plan, result));
    Ok(ending)
}

/// What was asked, as ledgers keep it.
fn asked(args: &RunArgs, loader: &Loader) -> Result<Asked, String> {
    let text = |path: &Path| {
        let text = path.to_str().map(str::to_string);
        text.ok_or_else(|| format!("{} has a name that is not UTF-8: give it another", path.display()))
    };
    let files = loader.files.all();
    let texts = files.iter().map(|(path, bytes)| Ok((text(path)?, bytes.to_vec())));
    let (precision, warmup_ns) = args.precision.asked();
    Ok(Asked {
        precision,
        warmup_ns,
        file: text(&args.file)?,
        sets: args.play.sets.clone(),
        duration_ns: args.duration.map(SimDuration::ns),
        traces: args.traces,
        texts: texts.collect::<Result<_, String>>()?,
    })
}

/// Which requests are traced: the share that a flag gives, or that of the file.
pub fn sampling(share: Option<f64>) -> Sampling {
    share.map_or(Sampling::AsWritten, Sampling::Share)
}

/// Where the results of a plan go.
pub fn folder(out: Option<&Path>, name: &str) -> PathBuf {
    out.map_or_else(|| Path::new("out").join(name), Path::to_path_buf)
}

/// Shows what there is after somebody asked to stop, and how to go on. Files are written by whoever finishes.
fn interrupted(args: &RunArgs, outcome: Outcome, partial: &Partial, reproduce: String) -> Ending {
    let Outcome { result, done, total } = outcome;
    let resume = match partial.path() {
        Some(path) => {
            let mut line = format!("{reproduce} --resume");
            if let Some(out) = &args.out {
                let _ = write!(line, " --out {}", quoted(&out.display().to_string()));
            }
            message(&format!(
                "interrupted after {done} of {total} runs, which are kept in {}\ngo on with: {line}\n",
                path.display()
            ));
            line
        }
        None => {
            message(&format!("interrupted after {done} of {total} runs\n"));
            reproduce
        }
    };
    if let Some(mut result) = result {
        result.name += " (interrupted)";
        // Its ending would be that of another experiment, with fewer runs.
        report(&result, None, 1, &args.deliver, args.quiet, resume);
    }
    Ending::Interrupted
}

/// Writes result files into the folder, if there is one, plots made on `jobs` threads, and prints; answers with the
/// verdict.
pub fn report(
    result: &ExperimentResult,
    folder: Option<&Path>,
    jobs: usize,
    deliver: &DeliverArgs,
    quiet: bool,
    reproduce: String,
) -> Ending {
    let mut written = Vec::new();
    if let Some(folder) = folder {
        match outputs(result, jobs).and_then(|outputs| files::write_all(folder, &outputs)) {
            Ok(paths) => written = paths,
            Err(error) => {
                message(&format!("error: {error:#}\n"));
                return Ending::Wrong;
            }
        }
    }
    let delivered = deliver.deliver_or_say(&|format, color| {
        if format == Format::Json {
            return Ok(json::summary(result).into_bytes());
        }
        let options = human::Options {
            color,
            width: width(),
            files: written.iter().map(|p| p.display().to_string()).collect(),
            reproduce: reproduce.clone(),
            quiet,
        };
        Ok(human::summary(result, &options).into_bytes())
    });
    match delivered {
        Ok(()) => ending(result),
        Err(ending) => ending,
    }
}

fn outputs(result: &ExperimentResult, jobs: usize) -> anyhow::Result<Vec<Output>> {
    let mut outputs = vec![
        ("summary.json".to_string(), json::summary(result).into_bytes()),
        ("events.jsonl".to_string(), events_jsonl::write(result)),
    ];
    if result.variants.iter().any(|v| !v.series.times_s.is_empty()) {
        outputs.insert(1, ("timeseries.csv".to_string(), series_csv::write(result)));
    }
    if result.variants.iter().any(|v| v.traces.is_some()) {
        outputs.push(("traces.jsonl".to_string(), traces::write(result)));
    }
    for plot in plot::all(result, jobs)? {
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
fn reproduce(args: &RunArgs, plan: &Plan) -> String {
    let file = args.file.display().to_string();
    let mut line = reproducing(&file, &args.play.sets, plan.seed, plan.runs, args.duration, &args.precision);
    line.push_str(&traces_again(args.traces));
    line
}

/// The flag again, behind a space.
pub fn traces_again(share: Option<f64>) -> String {
    share.map_or(String::new(), |share| format!(" --traces {share}"))
}

/// As [`reproduce`], of what a ledger remembers as well.
pub fn reproducing(
    file: &str,
    sets: &[String],
    seed: u64,
    runs: u32,
    duration: Option<SimDuration>,
    precision: &PrecisionArgs,
) -> String {
    let mut line = format!("brownout run {}", quoted(file));
    for set in sets {
        let _ = write!(line, " --set {}", quoted(set));
    }
    let _ = write!(line, " --seed {seed} --runs {runs}");
    line.push_str(&precision.again(&quoted));
    if let Some(duration) = duration {
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
