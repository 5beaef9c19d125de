//! `brownout compare FILE`

use super::args::PlayArgs;
use super::deliver::{DeliverArgs, Format};
use super::progress::Bar;
use super::run::quoted;
use super::{Ending, files, message, run_failed, show_diagnostics, threads, width};
use crate::base::units::parse_ratio;
use crate::experiment::Changes;
use crate::experiment::compare::results::{Comparison, Verdict};
use crate::experiment::compare::{self as comparing, Asked, AskedBest, CompareError, MadeUp, Question};
use crate::experiment::study::Study;
use crate::report::{comparison, human, plot};
use crate::spec::check::compare::FIRST_MIN;
use crate::spec::compare::Better;
use crate::spec::load::Loader;
use clap::{Args, ValueEnum};
use std::fmt::Write;
use std::path::PathBuf;

/// What `compare` takes.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// An experiment with variants, or a topology and --variant.
    pub file: PathBuf,
    /// What to compare, such as 'p(99) of clients.users.latency' or 'P(recovered within 60s)'; may be given again.
    #[arg(long = "measure", value_name = "MEASURE")]
    pub measures: Vec<String>,
    /// What is better of the measures given here; known of latencies, errors, recovery, goodput and the like.
    #[arg(long, value_enum)]
    pub better: Option<BetterArg>,
    /// The variant that others are compared with [default: before or base, else the first]
    #[arg(long, value_name = "VARIANT")]
    pub baseline: Option<String>,
    /// Makes a variant up: the baseline with a setting; given again with the same name, with more settings.
    #[arg(long = "variant", value_name = "NAME:PATH=VALUE")]
    pub variants: Vec<String>,
    /// Compares all variants with each other, not with the baseline only.
    #[arg(long)]
    pub all_pairs: bool,
    /// A difference that does not matter: 2% of the baseline's mean, or an amount such as 5ms.
    #[arg(long, value_name = "DIFFERENCE")]
    pub tolerance: Option<String>,
    /// Selects the best variant on a measure: adds runs to those in contention until one is left.
    #[arg(long, value_name = "MEASURE", requires = "indifference")]
    pub select: Option<String>,
    /// The probability of selecting the best [default: 95%]
    #[arg(long, requires = "select", value_parser = probability)]
    pub probability: Option<f64>,
    /// A difference from the best that does not matter, in the measure's unit, such as 5ms.
    #[arg(long, requires = "select", value_name = "DIFFERENCE")]
    pub indifference: Option<String>,
    /// Runs of each variant at most while the best is searched [default: 1000]
    #[arg(long, requires = "select", value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub at_most: Option<u32>,
    /// Ends with 1 if a variant is worse than the baseline on any measure, and with 3 if that is inconclusive.
    #[arg(long)]
    pub fail_if_worse: bool,
    /// How it is played.
    #[command(flatten)]
    pub play: PlayArgs,
    /// Folder for tables and plot [default: out/NAME]
    #[arg(long, conflicts_with = "no_out")]
    pub out: Option<PathBuf>,
    /// Writes no files.
    #[arg(long)]
    pub no_out: bool,
    /// What to print and to write.
    #[command(flatten)]
    pub deliver: DeliverArgs,
    /// Prints only what is worse or inconclusive.
    #[arg(short, long)]
    pub quiet: bool,
}

/// What is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BetterArg {
    /// Less.
    Less,
    /// More.
    More,
}

fn probability(text: &str) -> Result<f64, String> {
    let probability = parse_ratio(text).map_err(|e| e.to_string())?;
    if !(0.5..1.0).contains(&probability) {
        return Err("the probability must be at least 50% and less than 100%".into());
    }
    Ok(probability)
}

/// Plays the variants and compares them.
pub fn compare(args: &CompareArgs) -> Ending {
    if !args.deliver.are_known("compare", &[Format::Human, Format::Json, Format::Csv, Format::Markdown]) {
        return Ending::Wrong;
    }
    let mut loader = Loader::default();
    let document = loader.load(&args.file, &args.play.sets);
    if show_diagnostics(&loader) {
        return Ending::Wrong;
    }
    let Some(document) = document else { return Ending::Wrong };
    let mut study = Study::new(loader, document);
    let Some(question) = question(args, &mut study) else { return Ending::Wrong };
    let changes = Changes { seed: args.play.seed, runs: args.play.runs, ..Changes::default() };
    let plan = match comparing::plan(&mut study, &question, &changes) {
        Ok(plan) => plan,
        Err(mistakes) => {
            show_diagnostics(&mistakes.0);
            return Ending::Wrong;
        }
    };
    if plan.plan.runs < 2 {
        message("error: one run of each variant says nothing about chance: give at least --runs 2\n");
        return Ending::Wrong;
    }
    let jobs = args.play.jobs.map_or_else(threads, usize::from);
    let result = match comparing::compare(&plan, jobs, &Bar::new(args.quiet)) {
        Ok(result) => result,
        Err(CompareError::Run(error)) => return run_failed(&error),
        Err(error @ CompareError::NoValue { .. }) => {
            message(&format!("error: {error}\n"));
            return Ending::Wrong;
        }
    };
    let written =
        match files::write_or_say(args.no_out, args.out.as_deref(), &result.name, || outputs(&result)) {
            Ok(written) => written,
            Err(ending) => return ending,
        };
    let delivered = args.deliver.deliver_or_say(&|format, color| {
        Ok(match format {
            Format::Json => comparison::json(&result).into_bytes(),
            Format::Csv => comparison::csv(&result),
            Format::Markdown => comparison::markdown(&result).into_bytes(),
            _ => {
                let options = human::Options {
                    color,
                    width: width(),
                    files: written.clone(),
                    reproduce: reproduce(args, &result),
                    quiet: args.quiet,
                };
                comparison::human(&result, &options).into_bytes()
            }
        })
    });
    match delivered {
        Ok(()) => ending(args, &result),
        Err(ending) => ending,
    }
}

/// What the file asks, and what the flags change about it; none after a message.
fn question(args: &CompareArgs, study: &mut Study) -> Option<Question> {
    let declared = study.experiment().and_then(|e| e.compare.as_ref());
    let mut question = declared.map(Question::of).unwrap_or_default();
    let loader = study.loader();
    let better = args.better.map(|better| match better {
        BetterArg::Less => Better::Less,
        BetterArg::More => Better::More,
    });
    if !args.measures.is_empty() {
        let asked = args.measures.iter().map(|text| Asked {
            of: loader.quoted("--measure", text),
            better: better.clone(),
            tolerance: None,
        });
        question.measures = asked.collect();
    }
    if let Some(baseline) = &args.baseline {
        question.baseline = Some(loader.quoted("--baseline", baseline));
    }
    if let Some(tolerance) = &args.tolerance {
        question.tolerance = Some(loader.quoted("--tolerance", tolerance));
        question.measures.iter_mut().for_each(|m| m.tolerance = None);
    }
    question.all_pairs |= args.all_pairs;
    if let Some(select) = &args.select {
        let declared = question.select.take();
        question.select = Some(AskedBest {
            of: loader.quoted("--select", select),
            better,
            indifference: loader.quoted("--indifference", args.indifference.as_deref().unwrap_or_default()),
            probability: args.probability.unwrap_or(0.95),
            first: declared.as_ref().map_or(FIRST_MIN, |s| s.first).min(args.at_most.unwrap_or(u32::MAX)),
            at_most: args.at_most.or(declared.map(|s| s.at_most)).unwrap_or(1_000),
        });
    }
    for text in &args.variants {
        let Some((name, setting)) = text.split_once(':').filter(|(name, _)| !name.trim().is_empty()) else {
            message(&format!(
                "error: `--variant {text}`: a variant is written NAME:PATH=VALUE, such as \
                 wider:services.api.workers=16\n"
            ));
            return None;
        };
        let (name, setting) = (name.trim(), setting.trim());
        let at = question.made_up.iter().position(|m| m.name.value == name).unwrap_or_else(|| {
            question.made_up.push(MadeUp { name: loader.quoted("--variant", name), settings: Vec::new() });
            question.made_up.len() - 1
        });
        if !setting.is_empty() {
            question.made_up[at].settings.push(setting.to_string());
        }
    }
    Some(question)
}

fn outputs(result: &Comparison) -> anyhow::Result<Vec<files::Output>> {
    let mut outputs = vec![
        ("compare.json".to_string(), comparison::json(result).into_bytes()),
        ("compare.csv".to_string(), comparison::csv(result)),
    ];
    if let Some(plot) = plot::compare(result)? {
        outputs.push((format!("{}.svg", plot.file_stem), plot.svg.into_bytes()));
        outputs.push((format!("{}.png", plot.file_stem), plot.png));
    }
    Ok(outputs)
}

fn ending(args: &CompareArgs, result: &Comparison) -> Ending {
    let against_baseline = || {
        let pairs = result.measures.iter().flat_map(|m| &m.pairs);
        pairs.filter(|p| p.a == result.baseline).map(|p| p.verdict)
    };
    if args.fail_if_worse && against_baseline().any(|v| v == Verdict::Worse) {
        Ending::Failed
    } else if args.fail_if_worse && against_baseline().any(|v| v == Verdict::Inconclusive)
        || result.selection.as_ref().is_some_and(|s| s.winner.is_none())
    {
        Ending::Inconclusive
    } else {
        Ending::Held
    }
}

/// The command that gives the same bytes again.
fn reproduce(args: &CompareArgs, result: &Comparison) -> String {
    let mut line = format!("brownout compare {}", quoted(&args.file.display().to_string()));
    let mut flag = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = write!(line, " --{name} {}", quoted(value));
        }
    };
    args.play.sets.iter().for_each(|set| flag("set", Some(set)));
    args.measures.iter().for_each(|measure| flag("measure", Some(measure)));
    flag("better", args.better.map(|b| if b == BetterArg::Less { "less" } else { "more" }));
    flag("baseline", args.baseline.as_deref());
    args.variants.iter().for_each(|variant| flag("variant", Some(variant)));
    flag("tolerance", args.tolerance.as_deref());
    flag("select", args.select.as_deref());
    flag("probability", args.probability.map(|p| p.to_string()).as_deref());
    flag("indifference", args.indifference.as_deref());
    flag("at-most", args.at_most.map(|n| n.to_string()).as_deref());
    if args.all_pairs {
        line.push_str(" --all-pairs");
    }
    let _ = write!(line, " --seed {} --runs {}", result.seed, result.runs);
    line
}
