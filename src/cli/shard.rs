//! `brownout run FILE --shard I/N`: a part of the runs, kept in one file for `brownout merge`.

use super::args::RunArgs;
use super::deliver::Format;
use super::progress::Bar;
use super::{Ending, files, message, print, run_failed, threads};
use crate::experiment::Plan;
use crate::experiment::fold::RunData;
use crate::experiment::ledger::{Header, Ledger, LedgerError, Writer};
use crate::experiment::run::{Keep, RunError, play_range};
use crate::experiment::shards::{Shard, runs_to_divide};
use crate::experiment::team::Team;
use clap::Args;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Which part of the runs is played.
#[derive(Debug, Args)]
pub struct ShardArgs {
    /// Plays shard I of N and leaves one file for `brownout merge`; `auto` asks the environment (Slurm, AWS Batch,
    /// Kubernetes, Cloud Run, HyperQueue, or BROWNOUT_SHARD_INDEX and BROWNOUT_SHARD_COUNT).
    #[arg(long, value_name = "I/N", conflicts_with = "no_out")]
    pub shard: Option<WantedShard>,
    /// How many shards there are, where the environment does not say.
    #[arg(long, value_name = "N", requires = "shard", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub shards: Option<u32>,
}

/// A shard, as the command line gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedShard {
    /// The environment says which.
    Auto,
    /// This one.
    This(Shard),
}

impl FromStr for WantedShard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::This) }
    }
}

/// The shard that the command line asks for; none if all runs are to be played.
pub fn wanted(args: &ShardArgs) -> Result<Option<Shard>, String> {
    match args.shard {
        None => Ok(None),
        Some(WantedShard::Auto) => from_environment(&|name| std::env::var(name).ok(), args.shards).map(Some),
        Some(WantedShard::This(shard)) => match args.shards {
            Some(count) if count != shard.count => {
                Err(format!("--shard {shard} and --shards {count} disagree"))
            }
            _ => Ok(Some(shard)),
        },
    }
}

/// Variables that say which part of a whole a process is to do: which, the least that it can be, and of how many.
struct Engine {
    index: &'static str,
    first: First,
    count: Option<&'static str>,
}

/// What the first index is.
enum First {
    Number(u32),
    /// What a variable says, and how far each is from the one before.
    Variable(&'static str, &'static str),
}

/// In the order in which they are named in messages. HyperQueue and Kubernetes do not say how many there are.
const ENGINES: [Engine; 6] = [
    Engine { index: "BROWNOUT_SHARD_INDEX", first: First::Number(0), count: Some("BROWNOUT_SHARD_COUNT") },
    Engine {
        index: "SLURM_ARRAY_TASK_ID",
        first: First::Variable("SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"),
        count: Some("SLURM_ARRAY_TASK_COUNT"),
    },
    Engine {
        index: "AWS_BATCH_JOB_ARRAY_INDEX",
        first: First::Number(0),
        count: Some("AWS_BATCH_JOB_ARRAY_SIZE"),
    },
    Engine { index: "JOB_COMPLETION_INDEX", first: First::Number(0), count: None },
    Engine { index: "CLOUD_RUN_TASK_INDEX", first: First::Number(0), count: Some("CLOUD_RUN_TASK_COUNT") },
    // `hq submit --array=1-N`, as its manual has it.
    Engine { index: "HQ_TASK_ID", first: First::Number(1), count: None },
];

/// The shard that the environment asks for. All that say something must say the same.
fn from_environment(variable: &dyn Fn(&str) -> Option<String>, shards: Option<u32>) -> Result<Shard, String> {
    let number = |name: &str| match variable(name).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => match text.trim().parse::<u32>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("--shard auto: {name} is `{text}`, which is not a whole number")),
        },
    };
    // What is said, by whom.
    let mut index: Option<(u32, &str)> = None;
    let mut count: Option<(u32, &str)> = shards.map(|n| (n, "--shards"));
    for engine in ENGINES {
        if let Some(found) = number(engine.index)? {
            let (first, step) = match engine.first {
                First::Number(first) => (first, 1),
                First::Variable(first, step) => (number(first)?.unwrap_or(0), number(step)?.unwrap_or(1)),
            };
            let place = found.checked_sub(first).filter(|far| step > 0 && far % step == 0);
            let place = place.ok_or_else(|| {
                format!("--shard auto: {} is {found}, but the first is {first} of every {step}", engine.index)
            })?;
            agree("the shard", &mut index, (place / step + 1, engine.index))?;
        }
        let Some(name) = engine.count else { continue };
        if let Some(found) = number(name)? {
            agree("the number of shards", &mut count, (found, name))?;
        }
    }
    let Some((index, by)) = index else {
        let names: Vec<&str> = ENGINES.iter().map(|engine| engine.index).collect();
        return Err(format!("--shard auto: the environment has none of {}", names.join(", ")));
    };
    let Some((count, _)) = count else {
        return Err(format!("--shard auto: {by} does not say how many shards there are: give --shards N"));
    };
    Shard::new(index, count).map_err(|error| format!("--shard auto: by {by}, {error}"))
}

fn agree(
    what: &str,
    known: &mut Option<(u32, &'static str)>,
    found: (u32, &'static str),
) -> Result<(), String> {
    match *known {
        Some((number, by)) if number != found.0 => Err(format!(
            "--shard auto: {what} is {number} by {by} and {} by {}: say it with --shard I/N",
            found.0, found.1
        )),
        Some(_) => Ok(()),
        None => {
            *known = Some(found);
            Ok(())
        }
    }
}

/// The name of a shard's file.
pub fn file_name(name: &str, shard: Shard) -> String {
    format!("{}.{}-of-{}.shard", files::stem(name), shard.index, shard.count)
}

/// Plays a shard and leaves its file, whole or not at all.
pub fn play(args: &RunArgs, plan: &Plan, header: Header, shard: Shard) -> Result<Ending, String> {
    if args.deliver.format != Format::Human || !args.deliver.outputs.is_empty() {
        return Err(
            "a shard has no results of its own: --format and --output are for `brownout merge`".into()
        );
    }
    let runs = runs_to_divide(plan)?;
    let range = shard.range(runs);
    let header = Header { range: range.clone(), shard: Some((shard.index, shard.count)), ..header };
    let folder = args.out.clone().unwrap_or_else(|| Path::new("out").join(&plan.name).join("shards"));
    let path = folder.join(file_name(&plan.name, shard));
    let told = |what: &str| {
        if !args.quiet {
            let runs = match range.len() {
                0 => format!("none of {runs} runs"),
                1 => format!("run {} of {runs}", range.start),
                _ => format!("runs {} to {} of {runs}", range.start, range.end - 1),
            };
            print(&format!("{}: {runs}{what}\n", path.display()));
        }
    };
    if args.resume && is_there(&path, &header)? {
        told(", there already");
        return Ok(Ending::Held);
    }
    let cannot = |error: &dyn std::fmt::Display| format!("cannot write {}: {error}", path.display());
    std::fs::create_dir_all(&folder)
        .map_err(|e| format!("cannot make the folder {}: {e}", folder.display()))?;
    // Goes with everything that goes wrong.
    let file = tempfile::Builder::new().prefix(".brownout-").tempfile_in(&folder).map_err(|e| cannot(&e))?;
    let handle = file.reopen().map_err(|e| cannot(&e))?;
    let writer = Writer::new(BufWriter::new(handle), &header).map_err(|e| cannot(&e))?;
    let mut kept = Kept { writer, path: path.clone() };
    let jobs = args.play.jobs.map_or_else(threads, usize::from);
    let bar = Bar::new(args.quiet);
    let played = Team::new(jobs)
        .and_then(|team| play_range(plan, range.clone(), &team, &bar, &mut kept, &mut |_, _, _| ()));
    match played {
        Ok((done, total)) if done < total => {
            message(&format!("interrupted after {done} of {total} runs: no shard was written\n"));
            return Ok(Ending::Interrupted);
        }
        Ok(_) => {}
        Err(error) => return Ok(run_failed(&error)),
    }
    kept.writer.end().map_err(|e| cannot(&e))?;
    file.as_file().sync_all().and_then(|()| files::readable(&file)).map_err(|e| cannot(&e))?;
    file.persist(&path).map_err(|e| cannot(&e.error))?;
    told("");
    Ok(Ending::Held)
}

/// Whether the shard was played before. One that is cut or damaged is played again; one of other inputs is not
/// touched.
fn is_there(path: &PathBuf, header: &Header) -> Result<bool, String> {
    let found = match File::open(path) {
        Ok(file) => Ledger::open(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let again =
        |error: &LedgerError| message(&format!("note: {}: {error}; it is played again\n", path.display()));
    match found {
        Ok(ledger) if ledger.header.digest != header.digest => {
            let difference = ledger.header.difference(header);
            Err(format!(
                "{} is of other inputs: {difference}; without --resume it is replaced",
                path.display()
            ))
        }
        Ok(ledger) => {
            ledger.fault().map(again);
            Ok(ledger.fault().is_none() && ledger.header == *header)
        }
        Err(error) => {
            again(&error);
            Ok(false)
        }
    }
}

/// The file of a shard while it is written.
struct Kept<W: std::io::Write> {
    writer: Writer<W>,
    path: PathBuf,
}

impl<W: std::io::Write> Keep for Kept<W> {
    fn has(&self, _: u32, _: usize) -> bool {
        false
    }

    fn recall(&mut self, run: u32, _: usize) -> Result<RunData, RunError> {
        Err(RunError::Kept(format!("run {run} was not played before")))
    }

    fn keep(&mut self, run: u32, variant: usize, data: &RunData) -> Result<(), RunError> {
        let written = self.writer.add(run, variant, data);
        written.map_err(|error| RunError::Kept(format!("cannot write {}: {error}", self.path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(variables: &[(&str, &str)], shards: Option<u32>) -> Result<Shard, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_string())
        };
        from_environment(&variable, shards)
    }

    fn is(index: u32, count: u32) -> Result<Shard, String> {
        Shard::new(index, count)
    }

    #[test]
    fn each_engine_is_understood() {
        assert_eq!(auto(&[("BROWNOUT_SHARD_INDEX", "2"), ("BROWNOUT_SHARD_COUNT", "8")], None), is(3, 8));
        let slurm = |id, min, step, count| {
            auto(
                &[
                    ("SLURM_ARRAY_TASK_ID", id),
                    ("SLURM_ARRAY_TASK_MIN", min),
                    ("SLURM_ARRAY_TASK_MAX", "99"),
                    ("SLURM_ARRAY_TASK_STEP", step),
                    ("SLURM_ARRAY_TASK_COUNT", count),
                ],
                None,
            )
        };
        assert_eq!(slurm("0", "0", "1", "4"), is(1, 4));
        assert_eq!(slurm("4", "1", "1", "4"), is(4, 4));
        assert_eq!(slurm("7", "1", "2", "4"), is(4, 4));
        assert_eq!(
            auto(&[("AWS_BATCH_JOB_ARRAY_INDEX", "9"), ("AWS_BATCH_JOB_ARRAY_SIZE", "10")], None),
            is(10, 10)
        );
        assert_eq!(auto(&[("JOB_COMPLETION_INDEX", "0")], Some(3)), is(1, 3));
        assert_eq!(auto(&[("CLOUD_RUN_TASK_INDEX", "1"), ("CLOUD_RUN_TASK_COUNT", "2")], None), is(2, 2));
        assert_eq!(auto(&[("HQ_TASK_ID", "3")], Some(3)), is(3, 3));
    }

    #[test]
    fn several_must_say_the_same() {
        let both = [
            ("SLURM_ARRAY_TASK_ID", "2"),
            ("SLURM_ARRAY_TASK_MIN", "0"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
            ("BROWNOUT_SHARD_INDEX", "2"),
        ];
        assert_eq!(auto(&both, Some(4)), is(3, 4));
        assert_eq!(
            auto(&both, Some(8)).unwrap_err(),
            "--shard auto: the number of shards is 8 by --shards and 4 by SLURM_ARRAY_TASK_COUNT: \
             say it with --shard I/N"
        );
        let other = auto(&[both[0], both[1], both[2], ("JOB_COMPLETION_INDEX", "1")], None).unwrap_err();
        assert!(other.contains("3 by SLURM_ARRAY_TASK_ID and 2 by JOB_COMPLETION_INDEX"), "{other}");
    }

    #[test]
    fn nobody_guesses() {
        for (variables, shards, words) in [
            (&[][..], None, "has none of BROWNOUT_SHARD_INDEX, SLURM_ARRAY_TASK_ID"),
            (&[], Some(4), "has none of"),
            (&[("JOB_COMPLETION_INDEX", "1")], None, "JOB_COMPLETION_INDEX does not say how many"),
            (&[("JOB_COMPLETION_INDEX", "")], Some(4), "has none of"),
            (&[("JOB_COMPLETION_INDEX", "x")], Some(4), "is `x`, which is not a whole number"),
            (&[("JOB_COMPLETION_INDEX", "-1")], Some(4), "is `-1`"),
            (&[("JOB_COMPLETION_INDEX", "4")], Some(4), "there is no shard 5 of 4"),
            (&[("HQ_TASK_ID", "0")], Some(4), "HQ_TASK_ID is 0, but the first is 1"),
            // `--array=1,3,7` leaves three shards with numbers up to seven.
            (
                &[
                    ("SLURM_ARRAY_TASK_ID", "7"),
                    ("SLURM_ARRAY_TASK_MIN", "1"),
                    ("SLURM_ARRAY_TASK_COUNT", "3"),
                ],
                None,
                "there is no shard 7 of 3",
            ),
            (&[("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_ARRAY_TASK_STEP", "0")], Some(4), "of every 0"),
        ] {
            let error = auto(variables, shards).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
