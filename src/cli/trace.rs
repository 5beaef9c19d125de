//! `brownout trace FILE`

use super::args::{PlayArgs, duration, traced_share};
use super::progress::Bar;
use super::{Ending, message, print, run_failed, show_diagnostics, threads};
use crate::base::{Outcome, SimDuration};
use crate::experiment::plan::Sampling;
use crate::experiment::{Changes, plan, run};
use crate::report::waterfall;
use crate::spec::load::Loader;
use clap::Args;
use std::path::PathBuf;

/// The share of requests that is looked at if nobody says how many.
const SHARE: f64 = 0.01;

/// What `trace` takes.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// A topology or an experiment.
    pub file: PathBuf,
    /// How it is played; one run of each variant if not given.
    #[command(flatten)]
    pub play: PlayArgs,
    /// Simulated time of each run, such as 10m.
    #[arg(long, value_parser = duration)]
    pub duration: Option<SimDuration>,
    /// The share of requests that is looked at, such as 0.1% [default: that of the file, or 1%]
    #[arg(long, value_name = "SHARE", value_parser = traced_share)]
    pub traces: Option<f64>,
    /// How many requests of each variant are shown.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub slowest: u32,
    /// Shows only requests that ended so: ok, degraded, error, timeout, rejected, unavailable or cancelled.
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    pub outcome: Option<Outcome>,
    /// Plays one variant only.
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// Shows no progress.
    #[arg(short, long)]
    pub quiet: bool,
}

fn outcome(text: &str) -> Result<Outcome, String> {
    let found = Outcome::ALL.into_iter().find(|outcome| outcome.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let names: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
        format!("there is: {}", names.join(", "))
    })
}

/// Shows the slowest of the sampled requests.
pub fn trace(args: &TraceArgs) -> Ending {
    let mut loader = Loader::default();
    let document = loader.load(&args.file, &args.play.sets);
    let changes = Changes {
        seed: args.play.seed,
        runs: Some(args.play.runs.unwrap_or(1)),
        duration: args.duration,
        variant: args.variant.clone(),
        series: Some(false),
        traces: args.traces.map_or(Sampling::AsWritten, Sampling::Share),
        ..Changes::default()
    };
    let planned = document.and_then(|document| plan(&mut loader, document, &changes));
    if show_diagnostics(&loader) {
        return Ending::Wrong;
    }
    let Some(mut plan) = planned else { return Ending::Wrong };
    if plan.traces == 0.0 {
        if args.traces.is_some() {
            message("error: a share of 0 traces nothing\n");
            return Ending::Wrong;
        }
        plan.traces = SHARE;
    }
    let jobs = args.play.jobs.map_or_else(threads, usize::from);
    match run(&plan, jobs, &Bar::new(args.quiet)) {
        Ok(result) => {
            let options = waterfall::Options { slowest: args.slowest as usize, outcome: args.outcome };
            print(&waterfall::write(&result, &options));
            Ending::Held
        }
        Err(error) => run_failed(&error),
    }
}
