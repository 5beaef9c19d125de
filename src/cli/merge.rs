//! `brownout merge DIR|FILE…`

use super::deliver::{DeliverArgs, Format};
use super::precision::PrecisionArgs;
use super::progress::Bar;
use super::run::{folder, report, reproducing, sampling, traces_again};
use super::{Ending, message, run_failed, show_diagnostics, threads};
use crate::base::SimDuration;
use crate::experiment::ledger::{Header, Ledger, LedgerError};
use crate::experiment::shards::{Gathered, MergeError, fold_kept};
use crate::experiment::{Changes, plan};
use crate::spec::files::Files;
use crate::spec::load::Loader;
use clap::Args;
use std::fs::File;
use std::path::{Path, PathBuf};

/// What `merge` takes.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Files that `run --shard` has left, or folders of them.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Folder for summary, series, events and plots [default: out/NAME]
    #[arg(long, conflicts_with = "no_out")]
    pub out: Option<PathBuf>,
    /// Writes no files.
    #[arg(long)]
    pub no_out: bool,
    /// Reports what is there, with a warning, if runs are missing.
    #[arg(long)]
    pub allow_missing: bool,
    /// What to print and to write.
    #[command(flatten)]
    pub deliver: DeliverArgs,
    /// Prints only what failed.
    #[arg(short, long)]
    pub quiet: bool,
}

/// Puts shards together and reports.
pub fn merge(args: &MergeArgs) -> Ending {
    if !args.deliver.are_known("merge", &[Format::Human, Format::Json]) {
        return Ending::Wrong;
    }
    merged(args).unwrap_or_else(|error| {
        message(&format!("error: {error}\n"));
        Ending::Wrong
    })
}

fn merged(args: &MergeArgs) -> Result<Ending, String> {
    let mut gathered = gathered(&args.paths).map_err(|error| error.to_string())?;
    if let Some(missing) = gathered.missing().filter(|_| !args.allow_missing) {
        return Err(missing.to_string());
    }
    let header = gathered.header().clone();
    let asked = &header.asked;
    // The texts that the shards carry, and nothing else: what lies on this machine may be another version.
    let texts = asked.texts.iter().map(|(path, text)| (PathBuf::from(path), text.clone()));
    let mut loader = Loader { files: Files::only(texts), ..Loader::default() };
    let document = loader.load(Path::new(&asked.file), &asked.sets);
    let duration = asked.duration_ns.map(SimDuration::from_ns);
    let changes =
        Changes { seed: Some(header.seed), runs: Some(header.runs), duration, ..Changes::default() };
    let changes = Changes { traces: sampling(asked.traces), ..changes };
    let precision = PrecisionArgs::again_as(asked);
    let changes = precision.change(&mut loader, None, changes);
    let planned = document.and_then(|document| plan(&mut loader, document, &changes));
    show_diagnostics(&loader);
    let Some(plan) = planned else {
        return Err("these shards were played by another version of brownout".into());
    };
    let here = Header::new(&plan, asked.clone());
    if here.digest != header.digest {
        return Err(format!("these shards are of {}", header.difference(&here)));
    }
    let outcome = match fold_kept(&plan, &mut gathered, &Bar::new(args.quiet)) {
        Ok(outcome) => outcome,
        Err(error) => return Ok(run_failed(&error)),
    };
    let Some(result) = outcome.result else { return Err("no run is there for all variants".into()) };
    let folder = (!args.no_out).then(|| folder(args.out.as_deref(), &plan.name));
    let mut line = reproducing(&asked.file, &asked.sets, plan.seed, plan.runs, duration, &precision);
    line.push_str(&traces_again(asked.traces));
    Ok(report(&result, folder.as_deref(), threads(), &args.deliver, args.quiet, line))
}

/// Opens all shards, in order of name.
fn gathered(paths: &[PathBuf]) -> Result<Gathered<File>, MergeError> {
    let unusable =
        |path: &Path, error: LedgerError| MergeError::Unusable { name: path.display().to_string(), error };
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => files.extend(in_folder(path).map_err(|e| unusable(path, e.into()))?),
            false => files.push(path.clone()),
        }
    }
    let mut ledgers = Vec::new();
    for path in files {
        let ledger = File::open(&path).map_err(LedgerError::from).and_then(Ledger::open);
        ledgers.push((path.display().to_string(), ledger.map_err(|error| unusable(&path, error))?));
    }
    Gathered::new(ledgers)
}

/// The shards of a folder, in order of name.
fn in_folder(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "shard") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
