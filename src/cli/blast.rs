//! `brownout blast FILE`

use super::args::PlayArgs;
use super::deliver::{DeliverArgs, Format};
use super::files::{self, Output};
use super::progress::Bar;
use super::run::quoted;
use super::{Ending, run_failed, show_diagnostics, threads, width};
use crate::base::units::{parse_duration, parse_ratio};
use crate::experiment::Changes;
use crate::experiment::blast::{self, BlastError, BlastResult, Wishes};
use crate::experiment::results::Verdict;
use crate::report::{blast as report, human, plot};
use crate::spec::load::Loader;
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;

/// What `blast` takes.
#[derive(Debug, Args)]
pub struct BlastArgs {
    /// A topology or an experiment.
    pub file: PathBuf,
    /// How it is played.
    #[command(flatten)]
    pub play: PlayArgs,
    /// What happens to each component: Down, Hang, Errors, Slow(10); may be given again [default: Down].
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<String>,
    /// What fails; may be given again [default: every service, database and external dependency].
    #[arg(long = "target", value_name = "NAME")]
    pub targets: Vec<String>,
    /// Fails any two components together as well.
    #[arg(long)]
    pub pairs: bool,
    /// Fails services as a whole only, and not also one of their instances.
    #[arg(long)]
    pub no_instances: bool,
    /// When it fails, from the end of the warm-up [default: 30s].
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub at: Option<f64>,
    /// How long it lasts [default: 60s].
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub lasts: Option<f64>,
    /// How long the system is watched afterwards [default: 90s].
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub rest: Option<f64>,
    /// The share of a population's goodput that a single point of failure takes [default: 50%].
    #[arg(long, value_parser = parse_ratio, value_name = "SHARE")]
    pub spof: Option<f64>,
    /// Plays one variant only.
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// Ends with 1 if there is a single point of failure, and with 3 if that cannot be told.
    #[arg(long)]
    pub fail_on_spof: bool,
    /// Folder for tables and the picture [default: out/NAME]
    #[arg(long, conflicts_with = "no_out")]
    pub out: Option<PathBuf>,
    /// Writes no files.
    #[arg(long)]
    pub no_out: bool,
    /// What to print and to write.
    #[command(flatten)]
    pub deliver: DeliverArgs,
    /// Prints only the single points of failure.
    #[arg(short, long)]
    pub quiet: bool,
}

/// Fails everything in turn and reports.
pub fn blast(args: &BlastArgs) -> Ending {
    if !args.deliver.are_known("blast", &[Format::Human, Format::Json, Format::Csv, Format::Markdown]) {
        return Ending::Wrong;
    }
    let result = match played(args) {
        Ok(result) => result,
        Err(ending) => return ending,
    };
    let written =
        match files::write_or_say(args.no_out, args.out.as_deref(), &result.name, || outputs(&result)) {
            Ok(written) => written,
            Err(ending) => return ending,
        };
    let delivered = args.deliver.deliver_or_say(&|format, color| {
        let options = human::Options {
            color,
            width: width(),
            files: written.clone(),
            reproduce: reproduce(args, &result),
            quiet: args.quiet,
        };
        Ok(match format {
            Format::Json => report::json(&result).into_bytes(),
            Format::Csv => report::csv(&result),
            Format::Markdown => report::markdown(&result).into_bytes(),
            _ => report::human(&result, &options).into_bytes(),
        })
    });
    match (delivered, args.fail_on_spof.then(|| result.has_single_point())) {
        (Err(ending), _) => ending,
        (Ok(()), Some(Verdict::Held)) => Ending::Failed,
        (Ok(()), Some(Verdict::Inconclusive)) => Ending::Inconclusive,
        _ => Ending::Held,
    }
}

fn played(args: &BlastArgs) -> Result<BlastResult, Ending> {
    let mut loader = Loader::default();
    let document = loader.load(&args.file, &args.play.sets);
    let Some(document) = document.filter(|_| !loader.diagnostics.has_errors()) else {
        show_diagnostics(&loader);
        return Err(Ending::Wrong);
    };
    let wishes = Wishes {
        faults: args.faults.clone(),
        targets: args.targets.clone(),
        instances: args.no_instances.then_some(false),
        pairs: args.pairs.then_some(true),
        at_s: args.at,
        lasts_s: args.lasts,
        rest_s: args.rest,
        spof: args.spof,
    };
    let study = blast::study(loader, document, &wishes).map_err(|loader| {
        show_diagnostics(&loader);
        Ending::Wrong
    })?;
    let changes = Changes {
        seed: args.play.seed,
        runs: args.play.runs,
        variant: args.variant.clone(),
        ..Changes::default()
    };
    let jobs = args.play.jobs.map_or_else(threads, usize::from);
    blast::blast(&study, &changes, jobs, &Bar::new(args.quiet)).map_err(|error| match error {
        BlastError::Mistakes(mistakes) => {
            show_diagnostics(&mistakes.0);
            Ending::Wrong
        }
        BlastError::Run(error) => run_failed(&error),
    })
}

fn outputs(result: &BlastResult) -> anyhow::Result<Vec<Output>> {
    let mut outputs = vec![
        ("blast.json".to_string(), report::json(result).into_bytes()),
        ("blast.csv".to_string(), report::csv(result)),
        ("blast.md".to_string(), report::markdown(result).into_bytes()),
    ];
    if let Some(plot) = plot::blast(result)? {
        outputs.push((format!("{}.svg", plot.file_stem), plot.svg.into_bytes()));
        outputs.push((format!("{}.png", plot.file_stem), plot.png));
    }
    Ok(outputs)
}

/// The command that gives the same bytes again.
fn reproduce(args: &BlastArgs, result: &BlastResult) -> String {
    let mut line = format!("brownout blast {}", quoted(&args.file.display().to_string()));
    for (flag, values) in [("set", &args.play.sets), ("fault", &args.faults), ("target", &args.targets)] {
        for value in values {
            let _ = write!(line, " --{flag} {}", quoted(value));
        }
    }
    for (flag, is_given) in [("pairs", args.pairs), ("no-instances", args.no_instances)] {
        if is_given {
            let _ = write!(line, " --{flag}");
        }
    }
    for (flag, seconds) in [("at", args.at), ("lasts", args.lasts), ("rest", args.rest)] {
        if let Some(seconds) = seconds {
            let _ = write!(line, " --{flag} {seconds}s");
        }
    }
    if let Some(spof) = args.spof {
        let _ = write!(line, " --spof {spof}");
    }
    if let Some(variant) = &args.variant {
        let _ = write!(line, " --variant {}", quoted(variant));
    }
    let _ = write!(line, " --seed {} --runs {}", result.seed, result.runs);
    line
}
