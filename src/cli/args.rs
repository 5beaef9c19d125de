//! Flags, and what they mean.

use super::blast::BlastArgs;
use super::deliver::DeliverArgs;
use super::rare::RareArgs;
use crate::base::SimDuration;
use crate::base::units::parse_duration;
use clap::{Args, Parser, Subcommand, ValueEnum};
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
    Run(RunArgs),
    /// Can the simulator be trusted? Plays systems whose answers theory knows, and compares.
    Validate(ValidateArgs),
    /// What can be measured? Lists every metric of a file, with unit and meaning.
    Metrics(MetricsArgs),
    /// How is a file written? Prints the reference of the language.
    Schema,
    /// If X fails, what else breaks, for every X? Fails everything in turn and shows who suffers.
    Blast(BlastArgs),
    /// How often do failures coincide so that the system is out, however rare that is?
    Rare(RareArgs),
}

/// What `run` takes.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A topology or an experiment.
    pub file: PathBuf,
    /// How it is played.
    #[command(flatten)]
    pub play: PlayArgs,
    /// Simulated time of each run, such as 10m.
    #[arg(long, value_parser = duration)]
    pub duration: Option<SimDuration>,
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
}

/// How files are played.
#[derive(Debug, Args)]
pub struct PlayArgs {
    /// Changes a setting, such as services.api.replicas=24; may be given again.
    #[arg(long = "set", value_name = "PATH=VALUE")]
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

fn duration(text: &str) -> Result<SimDuration, String> {
    let seconds = parse_duration(text).map_err(|e| e.to_string())?;
    if seconds <= 0.0 {
        return Err("a run must last longer than no time".into());
    }
    Ok(SimDuration::from_seconds(seconds))
}
