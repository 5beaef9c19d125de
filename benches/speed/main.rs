//! What speed was promised, measured: one table, of ratios as far as possible.
//!
//!     cargo bench --bench speed                       # all rows, five times each
//!     cargo bench --bench speed -- w3 stations        # some groups of rows
//!     cargo bench --bench speed -- --times 11 --json  # more often, as JSON
//!     cargo bench --bench speed -- events --long      # up to a billion events
//!
//! Whole processes of the release binary are measured, from the file to the summary, one at a time on one thread, in
//! turn with what they are compared with: see `process.rs`. What is compared is played with the same seed, so each
//! repetition is the same work. The floor is in this binary, and is played by a process of its own, too.

#![allow(clippy::print_stdout, reason = "a table is what it is for")]

#[path = "../floor/mod.rs"]
mod floor;
mod inside;
mod process;
mod rows;
mod table;
mod topologies;

use clap::Parser;
use rows::{GROUPS, Setting};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use table::{Row, Verdict};

/// What speed was promised, measured.
#[derive(Parser)]
struct Arguments {
    /// Groups of rows: w3, stations, large, mesh, metrics, memory, events, pending, threads, start [default: all]
    groups: Vec<String>,
    /// How often each pair is played; what is shown are medians
    #[arg(long, default_value_t = 5)]
    times: usize,
    /// Prints JSON when all is measured, in place of a table
    #[arg(long)]
    json: bool,
    /// Plays up to a billion events
    #[arg(long)]
    long: bool,
    /// Another binary of brownout
    #[arg(long)]
    brownout: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // What this binary does for itself, in processes of their own.
    let done = match arguments.split_first() {
        Some((verb, rest)) if verb == "measure" => process::measure(rest),
        Some((verb, rest)) if verb == "floor" => play_floor(rest),
        Some((verb, rest)) if verb == "inside" => play_inside(rest),
        _ => speed(&Arguments::parse()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "what went wrong is no row")]
            {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}

/// `floor SYSTEM SECONDS`: without a series, as `brownout run --no-out`, which shows none.
fn play_floor(arguments: &[String]) -> Result<(), String> {
    let [system, seconds] = arguments else { return Err(format!("which of {:?}?", floor::SYSTEMS)) };
    let seconds = seconds.parse().map_err(|_| format!("{seconds} are no seconds"))?;
    let found = floor::play(system, seconds, seconds, 42).ok_or_else(|| format!("{system} is none"))?;
    println!("{found}");
    Ok(())
}

/// `inside FILE SECONDS TIMES`
fn play_inside(arguments: &[String]) -> Result<(), String> {
    let [file, seconds, times] = arguments else { return Err("which file?".into()) };
    let number = |text: &String| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
    let ratios = inside::ratios(Path::new(file), number(seconds)?, number(times)? as usize)?;
    println!("{} {} {} {}", ratios.full, ratios.both, ratios.columns, ratios.series);
    Ok(())
}

fn speed(arguments: &Arguments) -> Result<(), String> {
    if let Some(unknown) = arguments.groups.iter().find(|g| !GROUPS.iter().any(|(name, _)| name == g)) {
        let known: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there are no rows {unknown}; there are {}", known.join(", ")));
    }
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let own = || PathBuf::from(env!("CARGO_BIN_EXE_brownout"));
    let setting = Setting {
        brownout: arguments.brownout.clone().unwrap_or_else(own),
        times: arguments.times,
        is_long: arguments.long,
        folder: folder.path().to_path_buf(),
    };
    if !arguments.json {
        println!("{}", table::head());
    }
    let mut all: Vec<Row> = Vec::new();
    for (name, group) in GROUPS {
        if !arguments.groups.is_empty() && !arguments.groups.iter().any(|g| g == name) {
            continue;
        }
        let mut tell = |row: Row| {
            if !arguments.json {
                println!("{}", table::line(&row));
            }
            all.push(row);
        };
        if let Err(why) = group(&setting, &mut tell) {
            tell(Row::skipped(name, "could not be played", &why));
        }
    }
    if arguments.json {
        println!("{}", table::json(&all));
    } else {
        let count = |verdict| all.iter().filter(|row| row.verdict == verdict).count();
        let [holds, missed, skipped] = [Verdict::Holds, Verdict::Missed, Verdict::Skipped].map(count);
        println!("{holds} hold, {missed} do not, {skipped} were skipped");
    }
    Ok(())
}
