//! `brownout capacity FILE`

use super::args::{PlayArgs, duration};
use super::deliver::{DeliverArgs, Format};
use super::files::{self, Output};
use super::progress::Bar;
use super::run::quoted;
use super::{Ending, run_failed, show_diagnostics, threads};
use crate::base::SimDuration;
use crate::base::units::parse_ratio;
use crate::experiment::capacity::{Asked, CapacityError, CapacityResult, Question, capacity as find};
use crate::experiment::results::Verdict;
use crate::experiment::study::{Mistakes, Study};
use crate::experiment::team::Team;
use crate::report::{capacity as report, plot};
use crate::spec::load::Loader;
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;

/// What `capacity` takes.
#[derive(Debug, Args)]
pub struct CapacityArgs {
    /// A topology or an experiment.
    pub file: PathBuf,
    /// What must hold, such as 'p(99) of clients.users.latency < 200ms'; may be given again [default: the file's]
    #[arg(long = "objective", value_name = "EXPECTATION")]
    pub objectives: Vec<String>,
    /// How sure the answer is to be [default: 95%]
    #[arg(long, value_parser = confidence)]
    pub confidence: Option<f64>,
    /// The highest multiple of the load that is looked for [default: 20]
    #[arg(long, value_parser = load)]
    pub up_to: Option<f64>,
    /// How closely the capacity is looked for, relative to it [default: 1%]
    #[arg(long, value_parser = within)]
    pub within: Option<f64>,
    /// Multiples of the load that are asked about [default: 1,2,10]
    #[arg(long, value_delimiter = ',', value_parser = load)]
    pub multiples: Vec<f64>,
    /// Fails if the capacity is surely below this multiple of the load [default: 1]
    #[arg(long, value_parser = load)]
    pub at_least: Option<f64>,
    /// A size that may change to carry the multiples, such as policies.db.Pool.max=1..64; may be given again
    #[arg(long = "scale", value_name = "PATH=FROM..TO", value_parser = scale)]
    pub scale: Vec<(String, u32, u32)>,
    /// The variant that is asked about, if there are several.
    #[arg(long)]
    pub variant: Option<String>,
    /// How it is played. The most runs at each load [default: 40] are those of `--runs`.
    #[command(flatten)]
    pub play: PlayArgs,
    /// Simulated time of each run, such as 10m.
    #[arg(long, value_parser = duration)]
    pub duration: Option<SimDuration>,
    /// Folder for the answer, the curve and the plot [default: out/NAME]
    #[arg(long, conflicts_with = "no_out")]
    pub out: Option<PathBuf>,
    /// Writes no files.
    #[arg(long)]
    pub no_out: bool,
    /// What to print and to write.
    #[command(flatten)]
    pub deliver: DeliverArgs,
    /// Prints only what failed.
    #[arg(short, long)]
    pub quiet: bool,
}

fn ratio(text: &str, from: f64, to: f64, range: &str) -> Result<f64, String> {
    let value = parse_ratio(text).map_err(|e| e.to_string())?;
    if (from..=to).contains(&value) { Ok(value) } else { Err(format!("{range} is possible")) }
}

fn confidence(text: &str) -> Result<f64, String> {
    ratio(text, 0.5, 0.999_999, "50% to 99.9999%")
}

fn within(text: &str) -> Result<f64, String> {
    ratio(text, 1e-4, 0.5, "0.01% to 50%")
}

fn load(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('x').parse::<f64>().ok().filter(|load| *load > 0.0 && *load <= 1000.0);
    number.ok_or_else(|| "a multiple of the load is a number above 0 and at most 1000".to_string())
}

fn scale(text: &str) -> Result<(String, u32, u32), String> {
    let parts = text.split_once('=').and_then(|(path, range)| Some((path, range.split_once("..")?)));
    let numbers = parts.and_then(|(path, (from, to))| {
        Some((path.trim().to_string(), from.trim().parse().ok()?, to.trim().parse().ok()?))
    });
    let valid = numbers.filter(|(path, from, to)| !path.is_empty() && 1 <= *from && from <= to);
    valid.ok_or_else(|| "a range is written PATH=FROM..TO, such as services.api.workers=1..64".to_string())
}

/// Asks how much load a file's system can take.
pub fn capacity(args: &CapacityArgs) -> Ending {
    if !args.deliver.are_known("capacity", &[Format::Human, Format::Json, Format::Csv, Format::Markdown]) {
        return Ending::Wrong;
    }
    let mut loader = Loader::default();
    let document = loader.load(&args.file, &args.play.sets);
    if show_diagnostics(&loader) {
        return Ending::Wrong;
    }
    let Some(document) = document else { return Ending::Wrong };
    let mut study = Study::new(loader, document);
    let asked = asked(args, study.loader());
    let question = match Question::new(&mut study, asked) {
        Ok(question) => question,
        Err(mistakes) => return show(&mistakes),
    };
    let jobs = args.play.jobs.map_or_else(threads, usize::from);
    let result = Team::new(jobs).map_err(CapacityError::Run);
    let result = result.and_then(|team| find(&study, &question, &team, &Bar::new(args.quiet)));
    let result = match result {
        Ok(result) => result,
        Err(CapacityError::Mistakes(mistakes)) => return show(&mistakes),
        Err(CapacityError::Run(error)) => return run_failed(&error),
    };
    let written =
        match files::write_or_say(args.no_out, args.out.as_deref(), &result.name, || outputs(&result)) {
            Ok(written) => written,
            Err(ending) => return ending,
        };
    let delivered = args.deliver.deliver_or_say(&|format, color| {
        let options = report::Options {
            color,
            files: written.clone(),
            reproduce: reproduce(args, &result),
            quiet: args.quiet,
        };
        Ok(match format {
            Format::Json => report::json(&result).into_bytes(),
            Format::Csv => report::csv(&result),
            Format::Markdown => report::markdown(&result, &options).into_bytes(),
            _ => report::human(&result, &options).into_bytes(),
        })
    });
    match (delivered, result.at_least.1) {
        (Err(ending), _) => ending,
        (Ok(()), Verdict::Held) => Ending::Held,
        (Ok(()), Verdict::Failed) => Ending::Failed,
        (Ok(()), Verdict::Inconclusive) => Ending::Inconclusive,
    }
}

fn show(mistakes: &Mistakes) -> Ending {
    show_diagnostics(&mistakes.0);
    Ending::Wrong
}

fn asked(args: &CapacityArgs, loader: &mut Loader) -> Asked {
    Asked {
        objectives: args.objectives.iter().map(|text| loader.quoted("--objective", text)).collect(),
        confidence: args.confidence,
        up_to: args.up_to,
        within: args.within,
        runs: args.play.runs.map(|runs| runs.max(3)),
        multiples: args.multiples.clone(),
        at_least: args.at_least,
        scale: args
            .scale
            .iter()
            .map(|(path, from, to)| (loader.quoted("--scale", path), *from, *to))
            .collect(),
        variant: args.variant.clone(),
        seed: args.play.seed,
        duration: args.duration,
    }
}

fn outputs(result: &CapacityResult) -> anyhow::Result<Vec<Output>> {
    let plot = plot::of_capacity(result)?;
    Ok(vec![
        ("capacity.json".to_string(), report::json(result).into_bytes()),
        ("capacity.csv".to_string(), report::csv(result)),
        ("capacity.svg".to_string(), plot.svg.into_bytes()),
        ("capacity.png".to_string(), plot.png),
    ])
}

/// The command that gives the same bytes again.
fn reproduce(args: &CapacityArgs, result: &CapacityResult) -> String {
    let mut line = format!("brownout capacity {}", quoted(&args.file.display().to_string()));
    for objective in &args.objectives {
        let _ = write!(line, " --objective {}", quoted(objective));
    }
    for set in &args.play.sets {
        let _ = write!(line, " --set {}", quoted(set));
    }
    for (path, from, to) in &args.scale {
        let _ = write!(line, " --scale {}", quoted(&format!("{path}={from}..{to}")));
    }
    let mut number = |flag: &str, value: Option<f64>| {
        if let Some(value) = value {
            let _ = write!(line, " --{flag} {value}");
        }
    };
    number("confidence", args.confidence);
    number("up-to", args.up_to);
    number("within", args.within);
    number("at-least", args.at_least);
    if !args.multiples.is_empty() {
        let multiples: Vec<String> = args.multiples.iter().map(f64::to_string).collect();
        let _ = write!(line, " --multiples {}", multiples.join(","));
    }
    if let Some(variant) = &args.variant {
        let _ = write!(line, " --variant {}", quoted(variant));
    }
    if let Some(duration) = args.duration {
        let _ = write!(line, " --duration {}ns", duration.ns());
    }
    let _ = write!(line, " --seed {} --runs {}", result.seed, result.runs);
    line
}
