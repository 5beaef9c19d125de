//! The command line: flags, exit codes, progress, files. The only room that prints and sees the wall clock.
//!
//! Results go to standard output, progress and messages to standard error. A closed pipe is no error.

mod args;
mod blast;
mod capacity;
mod check;
mod compare;
mod deliver;
mod files;
mod find;
mod git;
mod interrupt;
mod merge;
mod metrics;
mod partial;
mod precision;
mod progress;
mod rare;
mod run;
mod schema;
mod shard;
mod submit;
mod sweep;
mod trace;
mod tune;
mod validate;

use crate::experiment::RunError;
use crate::spec::load::Loader;
use anstream::ColorChoice;
use args::{Command, CommandLine, Late};
use clap::Parser;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// What a command ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All expectations held.
    Held,
    /// An expectation failed.
    Failed,
    /// The input or the usage was wrong.
    Wrong,
    /// An expectation's interval straddles its limit, and none failed.
    Inconclusive,
    /// A budget of events ran out.
    OutOfBudget,
    /// Somebody asked to stop.
    Interrupted,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::Held => 0,
            Ending::Failed => 1,
            Ending::Wrong => 2,
            Ending::Inconclusive => 3,
            Ending::OutOfBudget => 4,
            Ending::Interrupted => 130,
        })
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let line = CommandLine::parse();
    line.color.write_global();
    interrupt::listen();
    let ending = match &line.command {
        Command::Run(Late(args)) => run::run(args),
        Command::Validate(Late(args)) => validate::validate(args),
        Command::Check(Late(args)) => check::check(args),
        Command::Metrics(Late(args)) => metrics::metrics(args),
        Command::Merge(Late(args)) => merge::merge(args),
        Command::Submit(Late(args)) => submit::submit(args),
        Command::Blast(Late(args)) => blast::blast(args),
        Command::Tune(Late(args)) => tune::tune(args),
        Command::Capacity(Late(args)) => capacity::capacity(args),
        Command::Compare(Late(args)) => compare::compare(args),
        Command::Rare(Late(args)) => rare::rare(args),
        Command::Trace(Late(args)) => trace::trace(args),
        Command::Schema => {
            print(&schema::reference());
            Ending::Held
        }
        Command::Sweep(Late(args)) => sweep::sweep(args),
    };
    ending.into()
}

/// Writes results to standard output; who has closed the pipe wants no more.
fn print(text: &str) {
    // A closed pipe is the reader's choice; any other failure to write leaves nothing better to do either.
    let _ = if has_controls(text) {
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    } else {
        // Nothing to take out, which is looked for character by character: of megabytes of JSON that takes longer than
        // to make them.
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    };
}

/// Whether a text has control characters, as colors do, beside tabs and ends of lines.
fn has_controls(text: &str) -> bool {
    let is_control =
        |byte: u8| ((byte < b' ') & (byte != b'\n') & (byte != b'\t') & (byte != b'\r')) | (byte == 0x7f);
    // Many bytes at once: none of them decides what is done next.
    let has_some = |part: &[u8]| part.iter().fold(false, |some, byte| some | is_control(*byte));
    text.as_bytes().chunks(4096).any(has_some)
}

/// Writes a message to standard error.
fn message(text: &str) {
    let mut out = anstream::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Whether results may be colored.
fn has_color() -> bool {
    ColorChoice::global() != ColorChoice::Never
        && anstream::AutoStream::choice(&std::io::stdout()) != ColorChoice::Never
}

/// Shows why an experiment could not be carried out.
fn run_failed(error: &RunError) -> Ending {
    message(&format!("error: {error}\n"));
    match error {
        RunError::TimeStandsStill { .. } => Ending::OutOfBudget,
        RunError::Threads { .. } | RunError::Kept(_) => Ending::Wrong,
        RunError::Interrupted { .. } => Ending::Interrupted,
    }
}

/// Shows what was found wrong; `true` if the input cannot be used.
fn show_diagnostics(loader: &Loader) -> bool {
    if loader.diagnostics.is_empty() {
        return false;
    }
    let color = anstream::AutoStream::choice(&std::io::stderr()) != ColorChoice::Never;
    message(&loader.diagnostics.render(&loader.sources, color));
    loader.diagnostics.has_errors()
}

/// As many threads as there are cores.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The width of the terminal, or what is readable elsewhere.
fn width() -> usize {
    if std::io::stdout().is_terminal() {
        let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse::<usize>().ok());
        columns.unwrap_or(120).clamp(60, 160)
    } else {
        100
    }
}
