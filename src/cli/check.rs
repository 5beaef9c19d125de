//! `brownout check [FILE|FOLDER…]`

use super::args::PlayArgs;
use super::deliver::{DeliverArgs, Format};
use super::find::{self, File};
use super::git::Changed;
use super::progress::Bar;
use super::run::quoted;
use super::{Ending, files, interrupt, message, show_diagnostics, threads, width};
use crate::experiment::Changes;
use crate::experiment::check::{
    Baseline, CheckResult, Checked, FileResult, Place, Problem, Question, Written, answer, compare, question,
};
use crate::experiment::run::RunError;
use crate::experiment::team::Team;
use crate::report::check::{Tally, baseline, github, human, json, junit, markdown, tally};
use crate::spec::load::{Document, FILE_BYTES_MAX, Loader};
use clap::{Args, ValueEnum};
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What `check` takes.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Experiments, or folders of them.
    #[arg(default_value = "experiments")]
    pub paths: Vec<PathBuf>,
    /// How they are played.
    #[command(flatten)]
    pub play: PlayArgs,
    /// Takes what is found now as the new baselines, written beside the files.
    #[arg(long, conflicts_with = "sets")]
    pub update_baselines: bool,
    /// Only files of which git says that they changed: they themselves, what they include or read, or their baseline.
    #[arg(long)]
    pub changed_only: bool,
    /// The commit that --changed-only compares with [default: where this branch left origin/main, or HEAD]
    #[arg(long, value_name = "REF", requires = "changed_only")]
    pub since: Option<String>,
    /// What becomes of the exit code if something is inconclusive, or missing in a baseline, and nothing failed.
    #[arg(long, value_enum, default_value_t = OnInconclusive::Exit3)]
    pub on_inconclusive: OnInconclusive,
    /// What to print and to write.
    #[command(flatten)]
    pub deliver: DeliverArgs,
    /// Prints only what is worth a look.
    #[arg(short, long)]
    pub quiet: bool,
}

/// What becomes of the exit code if something is inconclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnInconclusive {
    /// It is 1, as if it had failed.
    Fail,
    /// It is 0, as if it had held.
    Pass,
    /// It is 3.
    #[value(name = "exit3")]
    Exit3,
}

const FORMATS: [Format; 5] = [Format::Human, Format::Json, Format::Junit, Format::Github, Format::Markdown];

/// Checks files.
pub fn check(args: &CheckArgs) -> Ending {
    if !args.deliver.are_known("check", &FORMATS) {
        return Ending::Wrong;
    }
    if args.update_baselines && (args.play.seed.is_some() || args.play.runs.is_some()) {
        return wrong(
            "a baseline is of the file as it stands: --update-baselines goes without --seed and --runs",
        );
    }
    let files = match find::found(&args.paths) {
        Ok(files) => files,
        Err(error) => return wrong(&error),
    };
    let changed = match args.changed_only.then(|| Changed::since(args.since.as_deref())).transpose() {
        Ok(changed) => changed,
        Err(error) => return wrong(&error),
    };
    let team = match Team::new(args.play.jobs.map_or_else(threads, usize::from)) {
        Ok(team) => team,
        Err(error) => return wrong(&error.to_string()),
    };
    let mut result =
        CheckResult { since: changed.as_ref().map(|c| c.since.clone()), ..CheckResult::default() };
    let mut stands_still = 0;
    for file in &files {
        let found = match prepared(args, file, changed.as_ref()) {
            Prepared::Nothing => {
                result.skipped += 1;
                continue;
            }
            Prepared::Unchanged => {
                result.unchanged += 1;
                continue;
            }
            Prepared::Wrong(problems) => Err(problems),
            Prepared::Ready(ready) => match checked(args, file, *ready, &team) {
                Ok(checked) => Ok(checked),
                Err(Failure::Wrong(problems)) => Err(problems),
                Err(Failure::Run(error)) => {
                    message(&format!("{}:\nerror: {error}\n", file.path.display()));
                    stands_still += usize::from(matches!(error, RunError::TimeStandsStill { .. }));
                    Err(vec![about(&file.path, error.to_string())])
                }
            },
        };
        if interrupt::is_asked() && found.is_err() {
            break;
        }
        result.files.push(FileResult { file: file.path.display().to_string(), found });
    }
    if result.files.is_empty() && result.unchanged == 0 && !interrupt::is_asked() {
        let shown = args.paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
        return wrong(&format!(
            "there is nothing to check in {shown}: no experiment has expectations (`expect`) or a baseline"
        ));
    }
    let is_failure = args.on_inconclusive == OnInconclusive::Fail;
    let delivered = args.deliver.deliver_or_say(&|format, color| {
        Ok(match format {
            Format::Json => json::document(&result),
            Format::Junit => junit::report(&result, is_failure),
            Format::Github => github::annotations(&result),
            Format::Markdown => markdown::summary(&result),
            Format::Human | Format::Csv => {
                let (reproduce, quiet) = (reproduce(args), args.quiet);
                human::summary(&result, &human::Options { color, width: width(), reproduce, quiet })
            }
        }
        .into_bytes())
    });
    match delivered {
        Err(ending) => ending,
        Ok(()) if interrupt::is_asked() => Ending::Interrupted,
        Ok(()) => ending(&tally(&result), args.on_inconclusive, stands_still),
    }
}

fn wrong(error: &str) -> Ending {
    message(&format!("error: {error}\n"));
    Ending::Wrong
}

fn ending(tally: &Tally, on_inconclusive: OnInconclusive, stands_still: usize) -> Ending {
    let is_vague = tally.inconclusive + tally.misfits > 0;
    match () {
        () if stands_still > 0 && tally.wrong == stands_still => Ending::OutOfBudget,
        () if tally.wrong > 0 => Ending::Wrong,
        () if tally.failed + tally.worse > 0 => Ending::Failed,
        () if !is_vague || on_inconclusive == OnInconclusive::Pass => Ending::Held,
        () if on_inconclusive == OnInconclusive::Fail => Ending::Failed,
        () => Ending::Inconclusive,
    }
}

/// A file before it is played.
enum Prepared {
    /// Found in a folder, with nothing to check.
    Nothing,
    /// Nothing that it is made of has changed.
    Unchanged,
    /// It cannot be played; that has been said.
    Wrong(Vec<Problem>),
    /// It can be.
    Ready(Box<Ready>),
}

struct Ready {
    loader: Loader,
    question: Question,
    baseline: Option<Baseline>,
}

fn prepared(args: &CheckArgs, file: &File, changed: Option<&Changed>) -> Prepared {
    let mut loader = Loader::default();
    let document = loader.load(&file.path, &args.play.sets);
    let kept = baseline_of(&file.path);
    let has_baseline = kept.exists();
    if let Some(document) = &document
        && !file.is_named
        && !loader.diagnostics.has_errors()
        && !has_baseline
        && !asks(document, args.update_baselines)
    {
        return Prepared::Nothing;
    }
    let changes = Changes { seed: args.play.seed, runs: args.play.runs, ..Changes::default() };
    let question = document.and_then(|d| question(&mut loader, d, &changes));
    // Only now has everything been read that it is made of.
    if let Some(changed) = changed
        && !loader.files.paths().iter().any(|f| changed.contains(f))
        && !changed.contains(&kept)
    {
        return Prepared::Unchanged;
    }
    if show_diagnostics(&loader) {
        return Prepared::Wrong(problems(&loader, &file.path));
    }
    let Some(question) = question else { return Prepared::Wrong(problems(&loader, &file.path)) };
    let baseline = match question.wants_baseline && has_baseline && !args.update_baselines {
        true => match read_baseline(&kept) {
            Ok(baseline) => Some(baseline),
            Err(problem) => return Prepared::Wrong(vec![said(problem)]),
        },
        // What is damaged is about to be replaced, and needs not be understood.
        false => read_baseline(&kept).ok().filter(|_| question.wants_baseline),
    };
    let is_update = args.update_baselines && question.wants_baseline;
    if !question.has_expectations() && baseline.is_none() && !is_update {
        let message = format!(
            "there is nothing to check: no expectations (`expect`), and no baseline in {} (--update-baselines takes \
             one)",
            kept.display()
        );
        return Prepared::Wrong(vec![said(about(&file.path, message))]);
    }
    Prepared::Ready(Box::new(Ready { loader, question, baseline }))
}

/// Whether a file that was found in a folder, and has no baseline, asks to be checked, or to get one.
fn asks(document: &Document, is_update: bool) -> bool {
    match document {
        Document::Experiment(document) => {
            let check = document.experiment.check.as_ref();
            !document.experiment.expect.is_empty() || is_update && check.is_some_and(|c| c.baseline)
        }
        Document::Topology(_) => false,
    }
}

/// Why a file could not be checked.
enum Failure {
    /// It was wrong; that has been said.
    Wrong(Vec<Problem>),
    /// It could not be played.
    Run(RunError),
}

fn checked(args: &CheckArgs, file: &File, ready: Ready, team: &Team) -> Result<Checked, Failure> {
    let Ready { loader, question, baseline } = ready;
    let answer = answer(&question, team, &Bar::new(args.quiet)).map_err(Failure::Run)?;
    let plan = &question.plan;
    let places = question.expectation_places(&loader);
    let now = answer.baseline(&question, env!("CARGO_PKG_VERSION"));
    let kept = baseline_of(&file.path);
    let comparison = match &baseline {
        // A baseline that is to be replaced may be of anything.
        Some(baseline) => match compare(&question, &now, baseline, &kept.display().to_string()) {
            Ok(comparison) => Some(comparison),
            Err(_) if args.update_baselines => None,
            Err(error) => return Err(Failure::Wrong(vec![said(about(&kept, error))])),
        },
        None => None,
    };
    let written = match args.update_baselines && question.wants_baseline {
        true => Some(
            write_baseline(&kept, &now)
                .map_err(|error| Failure::Wrong(vec![said(about(&kept, format!("{error:#}")))]))?,
        ),
        false => None,
    };
    Ok(Checked {
        name: plan.name.clone(),
        seed: plan.seed,
        runs: plan.runs,
        variants: plan.variants.len(),
        expectations: answer.verdicts(plan).into_iter().zip(places).collect(),
        comparison,
        written,
    })
}

/// Where the baseline of a file is kept: `x.baseline.json` for `x.ron`.
fn baseline_of(file: &Path) -> PathBuf {
    file.with_extension("baseline.json")
}

fn read_baseline(path: &Path) -> Result<Baseline, Problem> {
    let cannot = |error: std::io::Error| about(path, format!("cannot read {}: {error}", path.display()));
    if std::fs::metadata(path).map_err(cannot)?.len() > FILE_BYTES_MAX {
        let error = std::io::Error::new(ErrorKind::FileTooLarge, "it is too large for a baseline");
        return Err(cannot(error));
    }
    let text = std::fs::read_to_string(path).map_err(cannot)?;
    baseline::read(&text).map_err(|damage| {
        let place = Place { file: path.display().to_string(), position: damage.position };
        Problem { message: damage.message, place }
    })
}

fn write_baseline(path: &Path, baseline: &Baseline) -> anyhow::Result<Written> {
    let text = baseline::write(baseline);
    let is_same = std::fs::read_to_string(path).is_ok_and(|old| old == text);
    if !is_same {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files::write_all(folder, &[(name, text.into_bytes())])?;
    }
    Ok(Written { file: path.display().to_string(), measures: baseline.measures(), is_same })
}

/// A mistake that is about a file as a whole.
fn about(file: &Path, message: String) -> Problem {
    Problem { message, place: Place { file: file.display().to_string(), position: None } }
}

/// Shows a mistake that no loader has found.
fn said(problem: Problem) -> Problem {
    let Place { file, position } = &problem.place;
    let at = position.map_or(String::new(), |(line, column)| format!(":{line}:{column}"));
    message(&format!("error: {}\n --> {file}{at}\n\n", problem.message));
    problem
}

/// What a loader has found, with places.
fn problems(loader: &Loader, file: &Path) -> Vec<Problem> {
    let errors = loader.diagnostics.iter().filter(|d| d.is_error);
    let problem = |d: &crate::spec::Diagnostic| {
        let source = d.span.and_then(|span| Some((span, loader.sources.get(span.source)?)));
        let Some((span, source)) = source else { return about(file, d.message.clone()) };
        let place = Place { file: source.name.clone(), position: Some(loader.sources.position(span)) };
        Problem { message: d.message.clone(), place }
    };
    errors.map(problem).collect()
}

/// The command that gives the same result again.
fn reproduce(args: &CheckArgs) -> String {
    let mut line = String::from("brownout check");
    for path in &args.paths {
        let _ = write!(line, " {}", quoted(&path.display().to_string()));
    }
    for set in &args.play.sets {
        let _ = write!(line, " --set {}", quoted(set));
    }
    if let Some(seed) = args.play.seed {
        let _ = write!(line, " --seed {seed}");
    }
    if let Some(runs) = args.play.runs {
        let _ = write!(line, " --runs {runs}");
    }
    line
}
