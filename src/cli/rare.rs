//! `brownout rare FILE`

use super::args::PlayArgs;
use super::deliver::{DeliverArgs, Format};
use super::files;
use super::progress::Bar;
use super::run::quoted;
use super::{Ending, run_failed, show_diagnostics, threads, width};
use crate::base::units::parse_duration;
use crate::experiment::Changes;
use crate::experiment::rare::{self, RareError, RareResult, Wishes};
use crate::report::{human, rare as report};
use crate::spec::load::Loader;
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;

/// What `rare` takes.
#[derive(Debug, Args)]
pub struct RareArgs {
    /// An experiment with failures at random.
    pub file: PathBuf,
    /// How it is played.
    #[command(flatten)]
    pub play: PlayArgs,
    /// What an outage is, such as 'failures.db.down >= 2'; may be given again, and any of them is one [default: what
    /// breaks the objectives when it is played].
    #[arg(long = "outage", value_name = "CONDITION")]
    pub outage: Vec<String>,
    /// The period for which numbers are given [default: 365d].
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub per: Option<f64>,
    /// Counts only outages that last so long [default: 0s].
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub lasting: Option<f64>,
    /// How many failures at once are played, if no outage is stated [default: 2].
    #[arg(long, value_name = "NUMBER")]
    pub size: Option<u32>,
    /// How many beginnings of outages are tried [default: 1000000].
    #[arg(long, value_name = "NUMBER")]
    pub samples: Option<u32>,
    /// Plays one variant only.
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// Folder for the result [default: out/NAME]
    #[arg(long, conflicts_with = "no_out")]
    pub out: Option<PathBuf>,
    /// Writes no files.
    #[arg(long)]
    pub no_out: bool,
    /// What to print and to write.
    #[command(flatten)]
    pub deliver: DeliverArgs,
    /// Prints only the numbers.
    #[arg(short, long)]
    pub quiet: bool,
}

/// Asks how often a system is out.
pub fn rare(args: &RareArgs) -> Ending {
    if !args.deliver.are_known("rare", &[Format::Human, Format::Json]) {
        return Ending::Wrong;
    }
    let result = match asked(args) {
        Ok(result) => result,
        Err(ending) => return ending,
    };
    let outputs = || Ok(vec![("rare.json".to_string(), report::json(&result).into_bytes())]);
    let written = match files::write_or_say(args.no_out, args.out.as_deref(), &result.name, outputs) {
        Ok(written) => written,
        Err(ending) => return ending,
    };
    let delivered = args.deliver.deliver_or_say(&|format, color| {
        if format == Format::Json {
            return Ok(report::json(&result).into_bytes());
        }
        let options = human::Options {
            color,
            width: width(),
            files: written.clone(),
            reproduce: reproduce(args, &result),
            quiet: args.quiet,
        };
        Ok(report::human(&result, &options).into_bytes())
    });
    match delivered {
        Ok(()) => Ending::Held,
        Err(ending) => ending,
    }
}

fn asked(args: &RareArgs) -> Result<RareResult, Ending> {
    let mut loader = Loader::default();
    let document = loader.load(&args.file, &args.play.sets);
    let Some(document) = document.filter(|_| !loader.diagnostics.has_errors()) else {
        show_diagnostics(&loader);
        return Err(Ending::Wrong);
    };
    let wishes = Wishes {
        outage: args.outage.clone(),
        per_s: args.per,
        lasting_s: args.lasting,
        size: args.size,
        samples: args.samples,
    };
    let asked = rare::ask(loader, document, &wishes).map_err(|loader| {
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
    rare::rare(&asked, &changes, jobs, &Bar::new(args.quiet)).map_err(|error| match error {
        RareError::Mistakes(mistakes) => {
            show_diagnostics(&mistakes.0);
            Ending::Wrong
        }
        RareError::Run(error) => run_failed(&error),
    })
}

/// The command that gives the same bytes again.
fn reproduce(args: &RareArgs, result: &RareResult) -> String {
    let mut line = format!("brownout rare {}", quoted(&args.file.display().to_string()));
    for (flag, values) in [("set", &args.play.sets), ("outage", &args.outage)] {
        for value in values {
            let _ = write!(line, " --{flag} {}", quoted(value));
        }
    }
    for (flag, seconds) in [("per", args.per), ("lasting", args.lasting)] {
        if let Some(seconds) = seconds {
            let _ = write!(line, " --{flag} {seconds}s");
        }
    }
    for (flag, number) in [("size", args.size), ("samples", args.samples)] {
        if let Some(number) = number {
            let _ = write!(line, " --{flag} {number}");
        }
    }
    if let Some(variant) = &args.variant {
        let _ = write!(line, " --variant {}", quoted(variant));
    }
    let _ = write!(line, " --seed {}", result.seed);
    if let Some(runs) = result.runs {
        let _ = write!(line, " --runs {runs}");
    }
    line
}
