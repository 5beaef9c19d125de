//! `brownout sweep FILE`

mod journal;

use super::args::PlayArgs;
use super::deliver::{DeliverArgs, Format};
use super::files::{self, Output};
use super::progress::Bar;
use super::{Ending, interrupt, message, run_failed, show_diagnostics, threads};
use crate::base::SimDuration;
use crate::experiment::study::{Mistakes, Study};
use crate::experiment::sweep::{self, Asked, POINTS_MAX, PlanError, Question, SweepPlan, SweepResult};
use crate::experiment::team::Team;
use crate::experiment::{Changes, RunError};
use crate::report::{plot, sweep as report};
use crate::spec::load::Loader;
use clap::Args;
use journal::{Journal, JournalError};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const HELP: &str = "\
A setting is swept over a list, over a range with equal differences, or over one with equal ratios:
  --over services.api.replicas=2,4,8
  --over policies.db.Pool.max=5..50/10          10 values; 10 if their number is left out
  --over 'load=0.5..10/12 log'                  the load of all clients, multiplied
  --over 'policies.db=[Pool(max: 5)],[Pool(max: 5), Timeout(\"1s\")]'
  --over variant=before,after
  --over timeline.weather.lasts=10s..5m         a fault, by its name or its place
Several settings make a grid, or with --points a Latin hypercube. An interrupted sweep goes on where it stopped when the
same command is given again. The command ends with 0 whatever the answer is.";

/// What `sweep` takes.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct SweepArgs {
    /// A topology or an experiment.
    pub file: PathBuf,
    /// A setting and its values, in place of those of the file; may be given again.
    #[arg(long, value_name = "PATH=VALUES")]
    pub over: Vec<String>,
    /// What is measured, such as 'p(99) of clients.users.latency' or 'clients.users.error_ratio < 1%', in place of the
    /// file's measures; may be given again.
    #[arg(long, value_name = "MEASURE")]
    pub measure: Vec<String>,
    /// Plays so many points of a Latin hypercube, and no grid.
    #[arg(long, value_name = "NUMBER")]
    pub points: Option<u32>,
    /// The variant.
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// How the points are played.
    #[command(flatten)]
    pub play: PlayArgs,
    /// Simulated time of each run, such as 10m.
    #[arg(long, value_parser = super::args::duration)]
    pub duration: Option<SimDuration>,
    /// Folder for tables, pictures and the journal [default: out/NAME]
    #[arg(long, conflicts_with = "no_out")]
    pub out: Option<PathBuf>,
    /// Writes no files, and no journal to go on from.
    #[arg(long)]
    pub no_out: bool,
    /// Starts anew, even if an interrupted sweep could go on.
    #[arg(long)]
    pub fresh: bool,
    /// What to print and to write.
    #[command(flatten)]
    pub deliver: DeliverArgs,
    /// Prints only points where something fails or requests pile up.
    #[arg(short, long)]
    pub quiet: bool,
}

/// Plays all points and reports.
pub fn sweep(args: &SweepArgs) -> Ending {
    match played(args) {
        Ok(()) => Ending::Held,
        Err(ending) => ending,
    }
}

fn played(args: &SweepArgs) -> Result<(), Ending> {
    if !args.deliver.are_known("sweep", &[Format::Human, Format::Json, Format::Csv]) {
        return Err(Ending::Wrong);
    }
    let team = Team::new(args.play.jobs.map_or_else(threads, usize::from)).map_err(|e| run_failed(&e))?;
    let plan = planned(args, &team)?;
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("out").join(&plan.name));
    let mut journal = match args.no_out {
        true => None,
        false => Some(opened(args, &plan, &folder)?),
    };
    let known = journal.as_mut().map(Journal::take_known).unwrap_or_default();
    let result = plan.play(
        &team,
        &known,
        &mut |point, run, found| match &mut journal {
            Some(journal) => journal.keep(point, run, found).map_err(Stopped::Journal),
            None => Ok(()),
        },
        &Bar::new(args.quiet),
    );
    let result = match result {
        Ok(result) => result,
        Err(Stopped::Run(error)) => {
            let ending = run_failed(&error);
            if journal.is_some() && ending == Ending::Interrupted {
                message("the same command goes on from here\n");
            }
            return Err(ending);
        }
        Err(Stopped::Journal(error)) => return Err(wrong(&format!("{error}"))),
    };
    let written = match args.no_out {
        true => Vec::new(),
        false => outputs(&result)
            .and_then(|outputs| files::write_all(&folder, &outputs))
            .map_err(|error| wrong(&format!("{error:#}")))?,
    };
    if let Some(journal) = journal {
        journal.remove().map_err(|error| wrong(&format!("{error}")))?;
    }
    let options = |color| report::Options {
        color,
        files: written.iter().map(|p| p.display().to_string()).collect(),
        reproduce: reproduce(args, &result),
        quiet: args.quiet,
    };
    args.deliver.deliver_or_say(&|format, color| {
        Ok(match format {
            Format::Json => report::json(&result).into_bytes(),
            Format::Csv => report::points_csv(&result),
            _ => report::human(&result, &options(color)).into_bytes(),
        })
    })
}

/// Why no more runs were played.
enum Stopped {
    Run(RunError),
    Journal(JournalError),
}

impl From<RunError> for Stopped {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

fn wrong(text: &str) -> Ending {
    message(&format!("error: {text}\n"));
    Ending::Wrong
}

fn planned(args: &SweepArgs, team: &Team) -> Result<SweepPlan, Ending> {
    let mut loader = Loader::default();
    let document = loader.load(&args.file, &args.play.sets);
    if show_diagnostics(&loader) {
        return Err(Ending::Wrong);
    }
    let mut study = Study::new(loader, document.ok_or(Ending::Wrong)?);
    let asked = Asked {
        over: args.over.clone(),
        measures: args.measure.clone(),
        points: args.points,
        variant: args.variant.clone(),
    };
    let mistaken = |Mistakes(loader): Mistakes| {
        show_diagnostics(&loader);
        Ending::Wrong
    };
    let question = Question::new(&mut study, &asked).map_err(mistaken)?;
    let changes =
        Changes { seed: args.play.seed, runs: args.play.runs, duration: args.duration, ..Changes::default() };
    sweep::plan(study, &question, &changes, team, &|| !interrupt::is_asked()).map_err(|error| match error {
        PlanError::Point(number, of, settings, mistakes) => {
            message(&format!("error: point {number} of {of} makes no sense: {settings}\n"));
            mistaken(mistakes)
        }
        PlanError::TooMany(points) => {
            let most = format!("{points} points are more than the {POINTS_MAX} that a sweep may have");
            wrong(&format!("{most}: take fewer values, or --points"))
        }
        PlanError::Run(error) => run_failed(&error),
    })
}

fn opened(args: &SweepArgs, plan: &SweepPlan, folder: &Path) -> Result<Journal, Ending> {
    let journal = Journal::open(folder, plan.inputs, (plan.points(), plan.runs), args.fresh);
    let journal = journal.map_err(|error| wrong(&format!("{error}")))?;
    let (known, total) = (journal.known(), plan.total());
    if known > 0 {
        message(&format!(
            "going on: {known} of {total} runs are taken over from the sweep that was interrupted\n"
        ));
    }
    Ok(journal)
}

fn outputs(result: &SweepResult) -> anyhow::Result<Vec<Output>> {
    let mut outputs = vec![
        ("sweep.csv".to_string(), report::points_csv(result)),
        ("sweep-runs.csv".to_string(), report::runs_csv(result)),
        ("sweep.json".to_string(), report::json(result).into_bytes()),
    ];
    #[cfg(feature = "parquet")]
    {
        outputs.push(("sweep.parquet".to_string(), report::parquet::write(&report::points(result))?));
        outputs.push(("sweep-runs.parquet".to_string(), report::parquet::write(&report::runs(result))?));
    }
    for plot in plot::sweep(result)? {
        outputs.push((format!("{}.svg", plot.file_stem), plot.svg.into_bytes()));
        outputs.push((format!("{}.png", plot.file_stem), plot.png));
    }
    Ok(outputs)
}

/// The command that gives the same bytes again.
fn reproduce(args: &SweepArgs, result: &SweepResult) -> String {
    let quoted = super::run::quoted;
    let mut line = format!("brownout sweep {}", quoted(&args.file.display().to_string()));
    for (flag, values) in [("set", &args.play.sets), ("over", &args.over), ("measure", &args.measure)] {
        for value in values {
            let _ = write!(line, " --{flag} {}", quoted(value));
        }
    }
    if let Some(points) = args.points {
        let _ = write!(line, " --points {points}");
    }
    if let Some(variant) = &args.variant {
        let _ = write!(line, " --variant {}", quoted(variant));
    }
    let _ = write!(line, " --seed {} --runs {}", result.seed, result.runs);
    if let Some(duration) = args.duration {
        let _ = write!(line, " --duration {}ns", duration.ns());
    }
    line
}
