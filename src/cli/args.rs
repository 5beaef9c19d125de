//! Flags, and what they mean.

use super::blast::BlastArgs;
use super::capacity::CapacityArgs;
use super::check::CheckArgs;
use super::compare::CompareArgs;
use super::deliver::DeliverArgs;
use super::merge::MergeArgs;
use super::precision::PrecisionArgs;
use super::rare::RareArgs;
use super::shard::ShardArgs;
use super::submit::SubmitArgs;
use super::sweep::SweepArgs;
use super::trace::TraceArgs;
use super::tune::TuneArgs;
use crate::base::SimDuration;
use crate::base::units::{parse_duration, parse_ratio};
use clap::builder::Resettable;
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Capacity and failure simulator: describe a system, break it, see when it recovers.
#[derive(Debug, Parser)]
#[command(name = "brownout", version, about, max_term_width = 100)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// When to use colors.
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true)]
    pub color: Color,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What happens? Plays a topology (a quick look) or an experiment (all that it declares).
    Run(Late<RunArgs>),
    /// Can the simulator be trusted? Plays systems whose answers theory knows, and compares.
    Validate(Late<ValidateArgs>),
    /// What can be measured? Lists every metric of a file, with unit and meaning.
    Metrics(Late<MetricsArgs>),
    /// Which settings meet the objective at the least cost? Searches, and looks again at what it found.
    Tune(Late<TuneArgs>),
    /// How much load until an objective breaks? What at 1x, 2x and 10x, and what would that cost?
    Capacity(Late<CapacityArgs>),
    /// How is a file written? Prints the reference of the language.
    Schema,
    /// Do the expectations still hold, and is anything worse than the baseline? For CI.
    Check(Late<CheckArgs>),
    /// What do the shards say together? Gives what one machine would have given, byte for byte.
    Merge(Late<MergeArgs>),
    /// How do many machines play this? Hands shards and their merging to a queue of jobs.
    Submit(Late<SubmitArgs>),
    /// If X fails, what else breaks, for every X? Fails everything in turn and shows who suffers.
    Blast(Late<BlastArgs>),
    /// How does the answer move with these settings? Plays many points on the same random numbers.
    Sweep(Late<SweepArgs>),
    /// Which variant is better, and is the difference real? Compares variants on the same random numbers.
    Compare(Late<CompareArgs>),
    /// Why was this request slow? Shows what the slowest sampled requests waited for, step by step.
    Trace(Late<TraceArgs>),
    /// How often do failures coincide so that the system is out, however rare that is?
    Rare(Late<RareArgs>),
}

/// The flags of a verb, which are put together only if it is the one that is asked for: those of all verbs were a third
/// of the start of a small run, and are spread over the whole program.
#[derive(Debug)]
pub struct Late<T>(pub T);

impl<T: Args> Late<T> {
    fn flags(command: clap::Command) -> clap::Command {
        // What the verb says of itself stays.
        let (about, long) = (command.get_about().cloned(), command.get_long_about().cloned());
        T::augment_args(command).about(Resettable::from(about)).long_about(Resettable::from(long))
    }
}

impl<T: Args> Args for Late<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(Self::flags)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl<T: Args> FromArgMatches for Late<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// What `run` takes.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A topology or an experiment.
    pub file: PathBuf,
    /// How it is played.
    #[command(flatten)]
    pub play: PlayArgs,
    /// How precise the answer is to be.
    #[command(flatten)]
    pub precision: PrecisionArgs,
    /// Simulated time of each run, such as 10m.
    #[arg(long, value_parser = duration)]
    pub duration: Option<SimDuration>,
    /// Writes what became of a share of the requests, such as 0.1%, to traces.jsonl (OTLP, for Jaeger and the like).
    #[arg(long, value_name = "SHARE", value_parser = traced_share, conflicts_with = "no_out")]
    pub traces: Option<f64>,
    /// Folder for summary, series, events and plots [default: out/NAME]
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
    /// Which part is played, if others play the rest.
    #[command(flatten)]
    pub share: ShardArgs,
    /// Plays only what an interrupted run has left, or the shard only if it is not there yet.
    #[arg(long, conflicts_with = "no_out")]
    pub resume: bool,
}

/// How files are played.
#[derive(Debug, Args)]
pub struct PlayArgs {
    /// Changes a setting, such as services.api.replicas=24; may be given again. `@FILE` changes all settings of a file
    /// of paths and values, as `tune` writes it; they win over those of variants.
    #[arg(long = "set", value_name = "PATH=VALUE|@FILE")]
    pub sets: Vec<String>,
    /// The seed of all random numbers.
    #[arg(long, env = "BROWNOUT_SEED")]
    pub seed: Option<u64>,
    /// Runs of each variant.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub runs: Option<u32>,
    /// Threads; the results are the same for any number.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
}

/// What `validate` takes.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Experiments that state what theory says of them, or folders of them.
    #[arg(default_value = "models/oracle")]
    pub paths: Vec<PathBuf>,
    /// How they are played.
    #[command(flatten)]
    pub play: PlayArgs,
    /// Folder for the tables [default: out/validation]
    #[arg(long, conflicts_with = "no_out")]
    pub out: Option<PathBuf>,
    /// Writes no files.
    #[arg(long)]
    pub no_out: bool,
    /// What to print and to write.
    #[command(flatten)]
    pub deliver: DeliverArgs,
    /// Prints only what disagrees.
    #[arg(short, long)]
    pub quiet: bool,
}

/// What `metrics` takes.
#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// A topology or an experiment.
    pub file: PathBuf,
    /// What to print and to write.
    #[command(flatten)]
    pub deliver: DeliverArgs,
}

/// When to use colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Makes this the choice for all that is printed.
    pub fn write_global(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// A share of the requests.
pub fn traced_share(text: &str) -> Result<f64, String> {
    parse_ratio(text).map_err(|e| e.to_string())
}

/// A length of simulated time.
pub fn duration(text: &str) -> Result<SimDuration, String> {
    let seconds = parse_duration(text).map_err(|e| e.to_string())?;
    if seconds <= 0.0 {
        return Err("a run must last longer than no time".into());
    }
    Ok(SimDuration::from_seconds(seconds))
}
