//! `brownout validate [FILE|FOLDER…]`

use super::args::ValidateArgs;
use super::deliver::Format;
use super::files;
use super::find::{self, File};
use super::progress::Bar;
use super::{Ending, message, run_failed, show_diagnostics, threads};
use crate::experiment::{Changes, plan, run as play};
use crate::report::json;
use crate::report::validation::{self, Case};
use crate::spec::load::{Document, Loader};
use std::path::PathBuf;

/// Plays systems whose answers are known and compares.
pub fn validate(args: &ValidateArgs) -> Ending {
    if !args.deliver.are_known("validate", &[Format::Human, Format::Json, Format::Csv, Format::Markdown]) {
        return Ending::Wrong;
    }
    let files = match find::found(&args.paths) {
        Ok(files) => files,
        Err(error) => {
            message(&format!("error: {error}\n"));
            return Ending::Wrong;
        }
    };
    let mut cases = Vec::new();
    for file in &files {
        match case(args, file) {
            Ok(case) => cases.extend(case),
            Err(ending) => return ending,
        }
    }
    if cases.is_empty() {
        message("error: no file states what theory says of it (`theory: Theory(…)`)\n");
        return Ending::Wrong;
    }
    if !args.no_out {
        let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("out/validation"));
        let outputs = [
            ("validation.md".to_string(), validation::markdown(&cases).into_bytes()),
            ("validation.csv".to_string(), validation::csv(&cases)),
            ("validation.json".to_string(), json::validation(&cases).into_bytes()),
        ];
        if let Err(error) = files::write_all(&folder, &outputs) {
            message(&format!("error: {error:#}\n"));
            return Ending::Wrong;
        }
    }
    let delivered = args.deliver.deliver_or_say(&|format, color| {
        Ok(match format {
            Format::Json => json::validation(&cases).into_bytes(),
            Format::Csv => validation::csv(&cases),
            Format::Markdown => validation::markdown(&cases).into_bytes(),
            _ => validation::human(&cases, color, args.quiet).into_bytes(),
        })
    });
    if let Err(ending) = delivered {
        return ending;
    }
    let tally = validation::tally(&cases);
    if tally.failed > 0 {
        Ending::Failed
    } else if tally.inconclusive > 0 {
        Ending::Inconclusive
    } else {
        Ending::Held
    }
}

/// One file: none if it states no theory and was found in a folder.
fn case(args: &ValidateArgs, file: &File) -> Result<Option<Case>, Ending> {
    let mut loader = Loader::default();
    let document = loader.load(&file.path, &args.play.sets);
    let states_theory = match &document {
        Some(Document::Experiment(document)) => document.experiment.theory.is_some(),
        Some(Document::Topology(_)) => false,
        None => true,
    };
    if !states_theory && !file.is_named && !loader.diagnostics.has_errors() {
        return Ok(None);
    }
    let changes = Changes { seed: args.play.seed, runs: args.play.runs, ..Changes::default() };
    let plan = document.and_then(|d| plan(&mut loader, d, &changes));
    if show_diagnostics(&loader) {
        return Err(Ending::Wrong);
    }
    let Some(plan) = plan else { return Err(Ending::Wrong) };
    if !states_theory {
        let shown = file.path.display();
        message(&format!("error: {shown} does not state what theory says of it (`theory: Theory(…)`)\n"));
        return Err(Ending::Wrong);
    }
    let jobs = args.play.jobs.map_or_else(threads, usize::from);
    match play(&plan, jobs, &Bar::new(args.quiet)) {
        Ok(result) => {
            let name = file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok(Some(Case { name, result }))
        }
        Err(error) => {
            message(&format!("{}:\n", file.path.display()));
            Err(run_failed(&error))
        }
    }
}
