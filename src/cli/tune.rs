//! `brownout tune FILE`

use super::args::{PlayArgs, duration};
use super::deliver::{DeliverArgs, Format};
use super::files::{self, Output};
use super::progress::Bar;
use super::run::quoted;
use super::{Ending, message, run_failed, show_diagnostics, threads, width};
use crate::base::SimDuration;
use crate::experiment::Changes;
use crate::experiment::study::Study;
use crate::experiment::tune::knobs::Dial;
use crate::experiment::tune::{Question, QuestionFile, State, TuneError, TuneResult, tune as search};
use crate::report::tune as report;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Experiment;
use crate::spec::load::Loader;
use crate::spec::source::{Places, Span, Spanned};
use crate::spec::tune::{
    BUDGET_MAX, BUDGET_MIN, Knob, MorrisDesign, Sensitivity, SobolDesign, Tune, knob_of_flag,
};
use clap::Args;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What `tune` takes.
#[derive(Debug, Args)]
pub struct TuneArgs {
    /// An experiment with `tune: Tune(…)`, or any file with the flags below.
    pub file: PathBuf,
    /// How it is played; `--runs` are those of the final look.
    #[command(flatten)]
    pub play: PlayArgs,
    /// A setting to be found: 5..100 are whole numbers, 0.5..8.0 numbers, 100ms..30s durations, A|B choices; may be
    /// given again.
    #[arg(long = "setting", value_name = "PATH=RANGE")]
    pub settings: Vec<String>,
    /// A formula that is to be small, such as 'p(99) of clients.users.latency'; may be given again.
    #[arg(long, value_name = "FORMULA")]
    pub minimise: Vec<String>,
    /// A formula that is to be large; may be given again.
    #[arg(long, value_name = "FORMULA")]
    pub maximise: Vec<String>,
    /// An expectation that must hold; may be given again.
    #[arg(long, value_name = "EXPECTATION")]
    pub subject_to: Vec<String>,
    /// Runs for the search and for the final look.
    #[arg(long, value_parser = clap::value_parser!(u32).range(i64::from(BUDGET_MIN)..=i64::from(BUDGET_MAX)))]
    pub budget: Option<u32>,
    /// The variant to be tuned.
    #[arg(long)]
    pub variant: Option<String>,
    /// Finds out which settings matter, with further runs: morris, morris=TRAJECTORIES, sobol, or sobol=SAMPLES.
    #[arg(long, value_name = "METHOD", value_parser = sensitivity)]
    pub sensitivity: Option<(String, u32)>,
    /// Simulated time of each run, such as 10m.
    #[arg(long, value_parser = duration)]
    pub duration: Option<SimDuration>,
    /// Folder for settings, tables and plots [default: out/NAME]
    #[arg(long, conflicts_with = "no_out")]
    pub out: Option<PathBuf>,
    /// Writes no files.
    #[arg(long)]
    pub no_out: bool,
    /// What to print and to write.
    #[command(flatten)]
    pub deliver: DeliverArgs,
    /// Prints only the settings found, or what is wrong.
    #[arg(short, long)]
    pub quiet: bool,
}

fn sensitivity(text: &str) -> Result<(String, u32), String> {
    let (name, number) = text.split_once('=').map_or((text, None), |(name, number)| (name, Some(number)));
    let (least, default) = match name {
        "morris" => (2, 10),
        "sobol" => (8, 64),
        _ => return Err("there is: morris, sobol".into()),
    };
    let number =
        number.map_or(Ok(default), |n| n.parse().map_err(|_| format!("`{n}` is not a whole number")))?;
    if !(least..=100_000).contains(&number) {
        return Err(format!("a whole number from {least} to 100000"));
    }
    Ok((name.into(), number))
}

/// Searches and reports.
pub fn tune(args: &TuneArgs) -> Ending {
    if !args.deliver.are_known("tune", &[Format::Human, Format::Json, Format::Csv]) {
        return Ending::Wrong;
    }
    let question = match question(args) {
        Ok(question) => question,
        Err(ending) => return ending,
    };
    let jobs = args.play.jobs.map_or_else(threads, usize::from);
    let result = match search(&question, jobs, &Bar::new(args.quiet)) {
        Ok(result) => result,
        Err(TuneError::Run(error)) => return run_failed(&error),
        Err(TuneError::Mistakes(mistakes)) => {
            show_diagnostics(&mistakes.0);
            return Ending::Wrong;
        }
    };
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("out").join(&result.name));
    let mut written = Vec::new();
    if !args.no_out {
        match outputs(args, &result).and_then(|outputs| files::write_all(&folder, &outputs)) {
            Ok(paths) => written = paths,
            Err(error) => {
                message(&format!("error: {error:#}\n"));
                return Ending::Wrong;
            }
        }
    }
    let delivered = args.deliver.deliver_or_say(&|format, color| {
        Ok(match format {
            Format::Json => report::json(&result).into_bytes(),
            Format::Csv => report::csv(&result)?,
            _ => {
                let options = report::Options {
                    color,
                    width: width(),
                    files: written.iter().map(|p| p.display().to_string()).collect(),
                    again: written.first().map(|tuned| again(args, &result, tuned)),
                    reproduce: reproduce(args, &result),
                    quiet: args.quiet,
                };
                report::human(&result, &options).into_bytes()
            }
        })
    });
    match delivered {
        Ok(()) => ending(&result),
        Err(ending) => ending,
    }
}

fn ending(result: &TuneResult) -> Ending {
    let any = |state| result.found.iter().any(|one| one.state == state);
    if any(State::Feasible) {
        Ending::Held
    } else if any(State::Inconclusive) {
        Ending::Inconclusive
    } else {
        Ending::Failed
    }
}

fn outputs(args: &TuneArgs, result: &TuneResult) -> anyhow::Result<Vec<Output>> {
    let mut outputs = Vec::new();
    let command = reproduce(args, result);
    if let Some(chosen) = result.found.first() {
        outputs.push(("tuned.ron".to_string(), report::settings(result, chosen, &command).into_bytes()));
    }
    if result.aims.len() > 1 {
        for (number, one) in result.found.iter().enumerate() {
            let name = format!("tuned-{}.ron", number + 1);
            outputs.push((name, report::settings(result, one, &command).into_bytes()));
        }
    }
    outputs.push(("tune.json".to_string(), report::json(result).into_bytes()));
    outputs.push(("tune.csv".to_string(), report::csv(result)?));
    for plot in crate::report::plot::tune(result)? {
        outputs.push((format!("{}.svg", plot.file_stem), plot.svg.into_bytes()));
        outputs.push((format!("{}.png", plot.file_stem), plot.png));
    }
    Ok(outputs)
}

// ---- the question ----

/// The question of the file, with what the flags say of it.
fn question(args: &TuneArgs) -> Result<Question, Ending> {
    let mut loader = Loader::default();
    let document = loader.load(&args.file, &args.play.sets);
    if show_diagnostics(&loader) {
        return Err(Ending::Wrong);
    }
    let mut study = Study::new(loader, document.ok_or(Ending::Wrong)?);
    let tune = study.experiment().and_then(|experiment| experiment.tune.clone());
    let found = parts(args, &mut study, tune.as_ref());
    if show_diagnostics(study.loader()) {
        return Err(Ending::Wrong);
    }
    let parts = found.ok_or(Ending::Wrong)?;
    let variant = variant(args, &study, tune.as_ref())?;
    let mut files = vec![QuestionFile {
        name: String::new(),
        study: study.clone(),
        variant: variant.clone(),
        subject_to: parts.subject_to,
    }];
    for (name, span, subject_to) in tune.iter().flat_map(|t| t.and.spanned()) {
        files.push(other(&mut study, variant.as_deref(), name, span, subject_to)?);
    }
    let budget = args.budget.or(tune.as_ref().map(|t| t.budget)).unwrap_or(400);
    let least = BUDGET_MIN * files.len() as u32;
    if budget < least {
        message(&format!("error: {} files need a budget of {least} runs at least\n", files.len()));
        return Err(Ending::Wrong);
    }
    Ok(Question {
        dials: parts.knobs.iter().map(|(path, knob)| Dial::new(path, knob, &study)).collect(),
        files,
        aims: parts.aims,
        budget,
        fresh: args.play.runs.map(|runs| runs.max(2)),
        sensitivity: args.sensitivity.as_ref().map(chosen).or_else(|| tune?.sensitivity),
        changes: Changes { seed: args.play.seed, duration: args.duration, ..Changes::default() },
    })
}

fn chosen((name, number): &(String, u32)) -> Sensitivity {
    let (span, places) = (Span::default(), Places::default());
    match name.as_str() {
        "morris" => Sensitivity::Morris(MorrisDesign { trajectories: *number, span, places }),
        _ => Sensitivity::Sobol(SobolDesign { samples: *number, span, places }),
    }
}

/// What is to be found, and what is wanted of it.
struct Parts {
    knobs: Vec<(String, Knob)>,
    aims: Vec<(Spanned<String>, bool)>,
    subject_to: Vec<Spanned<String>>,
}

/// What the flags say goes before what the file says: of each kind, the flags' if there are any.
fn parts(args: &TuneArgs, study: &mut Study, tune: Option<&Tune>) -> Option<Parts> {
    let mut quoted = |name: &str, texts: &[String]| -> Vec<Spanned<String>> {
        texts.iter().map(|text| study.loader().quoted(name, text)).collect()
    };
    let settings = quoted("--setting", &args.settings);
    let [minimise, maximise] = [("--minimise", &args.minimise), ("--maximise", &args.maximise)]
        .map(|(name, texts)| quoted(name, texts));
    let subject_to = quoted("--subject-to", &args.subject_to);
    let mut knobs: Vec<(String, Knob)> = Vec::new();
    for text in &settings {
        match knob_of_flag(text) {
            Ok(knob) => knobs.push(knob),
            Err(diagnostic) => {
                study.loader().diagnostics.push(diagnostic);
                return None;
            }
        }
    }
    // In order of path, as the file's are: the order of flags changes nothing.
    knobs.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(twice) = knobs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let message = format!("`{}` is given twice", twice[1].0);
        study.loader().diagnostics.push(Diagnostic::error(twice[1].1.span(), message));
        return None;
    }
    let of_file = |knobs: &mut Vec<(String, Knob)>| {
        let settings = tune.into_iter().flat_map(|t| t.settings.iter());
        knobs.extend(settings.map(|(path, knob)| (path.to_string(), knob.clone())));
    };
    if knobs.is_empty() {
        of_file(&mut knobs);
    }
    let mut aims: Vec<(Spanned<String>, bool)> = minimise.into_iter().map(|text| (text, false)).collect();
    aims.extend(maximise.into_iter().map(|text| (text, true)));
    if aims.is_empty() {
        aims.extend(tune.into_iter().flat_map(|t| &t.minimise).map(|text| (text.clone(), false)));
        aims.extend(tune.into_iter().flat_map(|t| &t.maximise).map(|text| (text.clone(), true)));
    }
    let subject_to = match subject_to.is_empty() {
        true => tune.map(|t| t.subject_to.clone()).unwrap_or_default(),
        false => subject_to,
    };
    let missing = if knobs.is_empty() {
        Some((
            "which settings may be changed",
            "settings: { \"policies.database.Pool.max\": Whole(5, 100) }",
            "--setting policies.database.Pool.max=5..100",
        ))
    } else if aims.is_empty() {
        Some((
            "what is to be small or large",
            "minimise: [ \"p(99) of clients.users.latency\" ]",
            "--minimise 'p(99) of clients.users.latency'",
        ))
    } else {
        None
    };
    if let Some((what, field, flag)) = missing {
        message(&format!(
            "error: `tune` is not told {what}\nhelp: write `{field}` in `tune: Tune(…)`, or give {flag}\n"
        ));
        return None;
    }
    Some(Parts { knobs, aims, subject_to })
}

/// The variant to be tuned; none for a topology and for an experiment without variants.
fn variant(args: &TuneArgs, study: &Study, tune: Option<&Tune>) -> Result<Option<String>, Ending> {
    let named = args.variant.clone().or_else(|| tune?.variant.as_ref().map(|v| v.value.clone()));
    let names: Vec<&str> = study.experiment().map(|e| e.variants.names().collect()).unwrap_or_default();
    match (named, names.as_slice()) {
        (Some(name), names) if names.contains(&name.as_str()) || names.is_empty() && name == "base" => {
            Ok(Some(name))
        }
        (Some(name), names) => {
            let there_is = if names.is_empty() { "base".to_string() } else { names.join(", ") };
            message(&format!("error: there is no variant `{name}`; there is: {there_is}\n"));
            Err(Ending::Wrong)
        }
        (None, []) => Ok(None),
        (None, [only]) => Ok(Some((*only).to_string())),
        (None, names) => {
            let there_is = names.join(", ");
            message(&format!("error: which variant is to be tuned? Give --variant; there is: {there_is}\n"));
            Err(Ending::Wrong)
        }
    }
}

/// Another experiment in which something must hold.
fn other(
    study: &mut Study,
    variant: Option<&str>,
    name: &str,
    span: Span,
    subject_to: &[Spanned<String>],
) -> Result<QuestionFile, Ending> {
    // The expectations stand in the file that is tuned, so its texts go with them.
    let mut loader = study.loader().clone();
    let folder = loader.sources.get(span.source).map(|s| s.folder.clone()).unwrap_or_default();
    let document = loader.load(&folder.join(name), &[]);
    if show_diagnostics(&loader) {
        return Err(Ending::Wrong);
    }
    let other = Study::new(loader, document.ok_or(Ending::Wrong)?);
    let names: Vec<&str> =
        other.experiment().map(|e: &Experiment| e.variants.names().collect()).unwrap_or_default();
    let variant = match (names.as_slice(), variant) {
        ([], _) => None,
        (names, Some(variant)) if names.contains(&variant) => Some(variant.to_string()),
        ([only], _) => Some((*only).to_string()),
        (names, _) => {
            let there_is = names.join(", ");
            let text = format!(
                "{name} has several variants, and none of the name that is tuned; there is: {there_is}"
            );
            study.loader().diagnostics.push(Diagnostic::error(span, text));
            show_diagnostics(study.loader());
            return Err(Ending::Wrong);
        }
    };
    Ok(QuestionFile { name: name.to_string(), study: other, variant, subject_to: subject_to.to_vec() })
}

// ---- commands ----

/// The command that plays what was found as the final look did.
fn again(args: &TuneArgs, result: &TuneResult, tuned: &Path) -> String {
    let mut line = format!("brownout run {}", quoted(&args.file.display().to_string()));
    for set in &args.play.sets {
        let _ = write!(line, " --set {}", quoted(set));
    }
    let runs = result.found.first().map_or(0, |one| one.runs);
    let _ = write!(line, " --set {} --seed {}", quoted(&format!("@{}", tuned.display())), result.fresh_seed);
    let _ = write!(line, " --runs {runs}");
    if let Some(duration) = args.duration {
        let _ = write!(line, " --duration {}ns", duration.ns());
    }
    line
}

/// The command that gives the same bytes again.
fn reproduce(args: &TuneArgs, result: &TuneResult) -> String {
    let mut line = format!("brownout tune {}", quoted(&args.file.display().to_string()));
    let mut give = |flag: &str, values: &[String]| {
        for value in values {
            let _ = write!(line, " {flag} {}", quoted(value));
        }
    };
    give("--set", &args.play.sets);
    give("--setting", &args.settings);
    give("--minimise", &args.minimise);
    give("--maximise", &args.maximise);
    give("--subject-to", &args.subject_to);
    give("--variant", args.variant.as_slice());
    if let Some((name, number)) = &args.sensitivity {
        give("--sensitivity", &[format!("{name}={number}")]);
    }
    let _ = write!(line, " --budget {} --seed {}", result.budget, result.seed);
    if let Some(runs) = args.play.runs {
        let _ = write!(line, " --runs {runs}");
    }
    if let Some(duration) = args.duration {
        let _ = write!(line, " --duration {}ns", duration.ns());
    }
    line
}
