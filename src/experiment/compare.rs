//! Which variant is better, and is the difference real?
//!
//! All variants are played on common random numbers, so a difference is looked at run by run, in which the dice that
//! both share cancel. Every difference is tested, and all of them together: the more one looks for, the more chance
//! finds. If the best is wanted, runs are added to those variants that are still in contention.

pub mod direction;
mod judge;
pub mod results;
mod select;

use super::judge::{SubjectValue, summed_up};
use super::plan::{Changes, FaultMeasure, Plan, SubjectPlan, VariantPlan};
use super::run::{Progress, RunError, examine};
use super::study::{Mistakes, Study};
use super::team::Team;
use crate::sim::Stop;
use crate::spec::compare::{Better, Compare};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::expression::{self, parse_value};
use crate::spec::source::Spanned;
use direction::Direction;
pub use judge::POWER;
use results::{Comparison, MeasureComparison, Tolerance, VariantValue};

/// A measure that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The formula or event.
    pub of: Spanned<String>,
    /// What is better, if that was said.
    pub better: Option<Better>,
    /// A difference that does not matter.
    pub tolerance: Option<Spanned<String>>,
}

/// A variant that was made up on the command line: another variant with other settings.
#[derive(Clone, Debug)]
pub struct MadeUp {
    /// Its name.
    pub name: Spanned<String>,
    /// The settings, each `PATH=VALUE`.
    pub settings: Vec<String>,
}

/// The search for the best that was asked for.
#[derive(Clone, Debug)]
pub struct AskedBest {
    /// The measure.
    pub of: Spanned<String>,
    /// What is better, if that was said.
    pub better: Option<Better>,
    /// A difference that does not matter.
    pub indifference: Spanned<String>,
    /// The probability with which the best is selected, at least 0.5 and less than 1.
    pub probability: f64,
    /// Runs of each variant before any is left out, at least 10.
    pub first: u32,
    /// Runs of each variant at most, no less than the first.
    pub at_most: u32,
}

/// What is to be compared.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The measures; a sensible set if empty.
    pub measures: Vec<Asked>,
    /// The variant that others are compared with.
    pub baseline: Option<Spanned<String>>,
    /// A difference that does not matter, for measures that have no other.
    pub tolerance: Option<Spanned<String>>,
    /// Whether all variants are compared with each other.
    pub all_pairs: bool,
    /// The search for the best.
    pub select: Option<AskedBest>,
    /// Variants beside those of the file.
    pub made_up: Vec<MadeUp>,
}

impl Question {
    /// What a file asks.
    pub fn of(compare: &Compare) -> Self {
        let measures = compare.measures.iter().map(|m| Asked {
            of: m.0.of.clone(),
            better: m.0.better.clone(),
            tolerance: m.0.tolerance.clone(),
        });
        let select = compare.select.as_ref().map(|s| AskedBest {
            of: s.of.clone(),
            better: s.better.clone(),
            indifference: s.indifference.clone(),
            probability: s.probability.0,
            first: s.first,
            at_most: s.at_most,
        });
        Self {
            measures: measures.collect(),
            baseline: compare.baseline.clone(),
            tolerance: compare.tolerance.clone(),
            all_pairs: compare.all_pairs,
            select,
            made_up: Vec::new(),
        }
    }
}

/// A comparison, ready to be played.
#[derive(Debug)]
pub struct ComparePlan {
    /// The variants, with the measures as what is wanted of every run.
    pub plan: Plan,
    /// The variant that others are compared with, by number.
    pub baseline: usize,
    /// Whether all variants are compared with each other.
    pub all_pairs: bool,
    /// The measures, without values; that of the selection is not among them unless it was asked for as well.
    measures: Vec<MeasureComparison>,
    /// The search for the best.
    select: Option<BestPlan>,
}

/// The search for the best, ready to be played.
#[derive(Clone, Debug)]
struct BestPlan {
    /// Which of the numbers wanted of every run.
    measure: usize,
    text: String,
    unit: crate::base::units::Unit,
    better: Direction,
    indifference: f64,
    probability: f64,
    first: u32,
    at_most: u32,
}

/// Plans a comparison; `changes` may give seed and runs.
///
/// # Errors
/// If the question or what it makes of the file is wrong.
pub fn plan(study: &mut Study, question: &Question, changes: &Changes) -> Result<ComparePlan, Mistakes> {
    let quiet = Changes { series: Some(false), ..changes.clone() };
    let bare = variants(study, question, &quiet)?;
    let refuse = |study: &mut Study, diagnostic: Diagnostic| {
        let mut loader = study.loader().clone();
        loader.diagnostics.push(diagnostic);
        Mistakes(Box::new(loader))
    };
    if bare.variants.len() < 2 {
        let only = bare.variants.first().map_or("base", |v| v.name.as_str());
        let message = format!("there is one variant only, `{only}`: nothing to compare it with");
        let help = "give the experiment `variants`, or make one up with --variant 'NAME:PATH=VALUE'";
        return Err(refuse(study, Diagnostic::general(message).help(help)));
    }
    let names: Vec<&str> = bare.variants.iter().map(|v| v.name.as_str()).collect();
    let usual = ["before", "base"].iter().find_map(|usual| names.iter().position(|name| name == usual));
    let baseline = match &question.baseline {
        None => usual.unwrap_or(0),
        Some(wanted) => match names.iter().position(|name| *name == wanted.value) {
            Some(baseline) => baseline,
            None => {
                let diagnostic =
                    Diagnostic::error(wanted.span, format!("there is no variant `{}`", wanted.value))
                        .nearest(&wanted.value, names.iter().copied());
                return Err(refuse(study, diagnostic));
            }
        },
    };
    let mut asked = question.measures.clone();
    if asked.is_empty() {
        let usual = usual_measures(&bare.variants);
        asked.extend(usual.into_iter().map(|text| Asked {
            of: study.loader().quoted("a usual measure", &text),
            better: None,
            tolerance: None,
        }));
    }
    let mut wanted: Vec<Spanned<String>> = asked.iter().map(|a| a.of.clone()).collect();
    wanted.extend(question.select.iter().map(|s| s.of.clone()));
    let plan = variants(study, question, &Changes { measures: wanted, ..quiet })?;
    let first = &plan.variants[0];
    let mut measures = Vec::new();
    for (asked, planned) in asked.iter().zip(&first.measures) {
        match measure(asked, planned, question) {
            Ok(measure) => measures.push(measure),
            Err(diagnostic) => return Err(refuse(study, diagnostic)),
        }
    }
    let select = match &question.select {
        None => None,
        Some(asked) => match best(asked, first, measures.len()) {
            Ok(best) => Some(best),
            Err(diagnostic) => return Err(refuse(study, diagnostic)),
        },
    };
    Ok(ComparePlan { plan, baseline, all_pairs: question.all_pairs, measures, select })
}

/// The plan of all variants, those made up at the end; they have no expectations.
fn variants(study: &mut Study, question: &Question, changes: &Changes) -> Result<Plan, Mistakes> {
    let mut plan = study.plan("--set", &[], changes)?;
    let names: Vec<String> = plan.variants.iter().map(|v| v.name.clone()).collect();
    let parent =
        question.baseline.as_ref().map(|b| b.value.as_str()).filter(|b| names.iter().any(|n| n == b));
    let usual = ["before", "base"].into_iter().find(|usual| names.iter().any(|name| name == usual));
    let parent = parent.or(usual).unwrap_or(&names[0]).to_string();
    for made_up in &question.made_up {
        let changes = Changes { variant: Some(parent.clone()), ..changes.clone() };
        let other = study.plan("--variant", &made_up.settings, &changes)?;
        let mut problem = None;
        let is_legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !made_up.name.value.chars().all(is_legal) {
            problem = Some(format!("`{}` cannot be the name of a variant", made_up.name.value));
        } else if plan.variants.iter().any(|v| v.name == made_up.name.value) {
            problem = Some(format!("there is a variant `{}` already", made_up.name.value));
        } else if (other.warmup, other.end) != (plan.warmup, plan.end) {
            problem = Some("variants that are compared must last as long and measure as long".to_string());
        }
        if let Some(problem) = problem {
            let mut loader = study.loader().clone();
            loader.diagnostics.push(Diagnostic::error(made_up.name.span, problem));
            return Err(Mistakes(Box::new(loader)));
        }
        let made = other.variants.into_iter().map(|v| VariantPlan { name: made_up.name.value.clone(), ..v });
        plan.variants.extend(made);
    }
    // Nobody asks about expectations here; without them, the measures are all that is computed of a run.
    for variant in &mut plan.variants {
        variant.expectations.clear();
        variant.theory.clear();
    }
    Ok(plan)
}

/// What is compared if nobody says: what clients see, and what each fault does that strikes all variants.
fn usual_measures(variants: &[VariantPlan]) -> Vec<String> {
    let Some(first) = variants.first() else { return Vec::new() };
    let mut measures = Vec::new();
    for client in &first.model.clients {
        let path = format!("clients.{}", client.name);
        for metric in ["latency.mean", "latency.p50", "latency.p99", "error_ratio", "goodput"] {
            measures.push(format!("{path}.{metric}"));
        }
    }
    for fault in &first.faults {
        if variants.iter().all(|v| v.faults.iter().any(|f| f.name == fault.name)) {
            for metric in ["recover", "unserved", "depth"] {
                measures.push(format!("faults.{}.{metric}", fault.name));
            }
        }
    }
    for metric in first.model.catalog.metrics.iter().filter(|m| m.path.starts_with("cost.")) {
        if variants.iter().all(|v| v.model.catalog.find(&metric.path).is_some()) {
            measures.push(metric.path.clone());
        }
    }
    // A fault that strikes twice under one name is one.
    let mut seen = std::collections::BTreeSet::new();
    measures.retain(|m| seen.insert(m.clone()));
    measures
}

fn measure(
    asked: &Asked,
    planned: &super::plan::WantedPlan,
    question: &Question,
) -> Result<MeasureComparison, Diagnostic> {
    let is_event = matches!(
        planned.subject,
        SubjectPlan::Recovered(..)
            | SubjectPlan::Metastable(_)
            | SubjectPlan::Holds(..)
            | SubjectPlan::Cascade(_)
    );
    let known = direction::of_subject(&expression::parse_subject(&asked.of)?);
    let tolerance = match asked.tolerance.as_ref().or(question.tolerance.as_ref().filter(|_| !is_event)) {
        None => None,
        Some(text) if is_event && !text.value.trim().ends_with('%') => {
            return Err(Diagnostic::error(
                text.span,
                "the tolerance of a probability is a number of per cent",
            ));
        }
        Some(text) => Some(tolerance(text, planned.unit, is_event)?),
    };
    Ok(MeasureComparison {
        text: planned.text.clone(),
        unit: planned.unit,
        better: asked.better.as_ref().map(Direction::from).or(known),
        is_event,
        tolerance,
        missing_is_worst: matches!(planned.subject, SubjectPlan::Fault(_, FaultMeasure::Recover)),
        variants: Vec::new(),
        pairs: Vec::new(),
    })
}

/// `"2%"` is a share of the baseline's mean, but of runs for an event; anything else an amount.
fn tolerance(
    text: &Spanned<String>,
    unit: crate::base::units::Unit,
    is_event: bool,
) -> Result<Tolerance, Diagnostic> {
    let written = text.value.trim();
    let wrong = |message: &str| {
        Err(Diagnostic::error(text.span, message.to_string()).help(
            "a tolerance is a share of the baseline's mean such as \"2%\", or an amount such as \"5ms\"",
        ))
    };
    let is_share = written.ends_with('%');
    let unit = if is_share { crate::base::units::Unit::Ratio } else { unit };
    let amount = match parse_value(written, unit, text.span) {
        Ok(amount) => amount,
        Err(diagnostic) => return wrong(&diagnostic.message),
    };
    if amount <= 0.0 {
        return wrong("a tolerance must be more than nothing");
    }
    Ok(Tolerance { text: written.to_string(), amount, is_relative: is_share && !is_event })
}

fn best(asked: &AskedBest, variant: &VariantPlan, measure: usize) -> Result<BestPlan, Diagnostic> {
    let planned = &variant.measures[measure];
    let parsed = expression::parse_subject(&asked.of)?;
    if matches!(parsed, expression::Subject::Probability(_)) {
        let message = "the best is selected by a number that every run has, not by a probability";
        return Err(Diagnostic::error(asked.of.span, message));
    }
    let better = asked.better.as_ref().map(Direction::from).or_else(|| direction::of_subject(&parsed));
    let Some(better) = better else {
        let message = format!("it is not known whether less or more of `{}` is better", planned.text);
        return Err(Diagnostic::error(asked.of.span, message).help("say `better: Less` or --better less"));
    };
    let indifference = parse_value(asked.indifference.value.trim(), planned.unit, asked.indifference.span)?;
    if indifference <= 0.0 {
        let message = "the indifference must be more than nothing: how great a difference matters?";
        return Err(Diagnostic::error(asked.indifference.span, message));
    }
    Ok(BestPlan {
        measure,
        text: planned.text.clone(),
        unit: planned.unit,
        better,
        indifference,
        probability: asked.probability,
        first: asked.first,
        at_most: asked.at_most,
    })
}

/// Why a comparison could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// Runs could not be played.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The best cannot be selected by a measure that some run does not have.
    #[error("the best cannot be selected by `{measure}`: run {run} of `{variant}` has no value")]
    NoValue {
        /// The measure.
        measure: String,
        /// The variant.
        variant: String,
        /// The run.
        run: u32,
    },
}

/// Plays the variants and compares them, on `jobs` threads.
///
/// # Errors
/// If a run cannot be played, `progress` says to stop, or the best is wanted by a measure that not every run has.
pub fn compare(plan: &ComparePlan, jobs: usize, progress: &dyn Progress) -> Result<Comparison, CompareError> {
    let team = Team::new(jobs)?;
    let mut bench =
        Bench { plan: &plan.plan, team: &team, values: vec![Vec::new(); plan.plan.variants.len()] };
    let all: Vec<usize> = (0..plan.plan.variants.len()).collect();
    bench.play(&all, plan.plan.runs, progress)?;
    let mut measures = plan.measures.clone();
    for (at, measure) in measures.iter_mut().enumerate() {
        let of_variant = |runs: &Vec<Vec<SubjectValue>>| {
            let values: Vec<SubjectValue> = runs.iter().map(|run| run[at]).collect();
            let (value, ci95) = summed_up(&values);
            VariantValue { value, ci95, per_run: values.into_iter().map(SubjectValue::number).collect() }
        };
        measure.variants = bench.values.iter().map(of_variant).collect();
    }
    let family = judge::judge(&mut measures, &pairs(all.len(), plan.baseline, plan.all_pairs));
    let selection = match &plan.select {
        Some(best) => Some(select::select(best, &mut bench, jobs, progress)?),
        None => None,
    };
    Ok(Comparison {
        name: plan.plan.name.clone(),
        seed: plan.plan.seed,
        runs: plan.plan.runs,
        duration_s: plan.plan.end.seconds(),
        warmup_s: plan.plan.warmup.seconds(),
        variants: plan.plan.variants.iter().map(|v| v.name.clone()).collect(),
        baseline: plan.baseline,
        measures,
        family,
        selection,
    })
}

/// The pairs that are compared: those with the baseline, and then all others if they are wanted.
fn pairs(variants: usize, baseline: usize, all: bool) -> Vec<(usize, usize)> {
    let others: Vec<usize> = (0..variants).filter(|v| *v != baseline).collect();
    let mut pairs: Vec<(usize, usize)> = others.iter().map(|other| (baseline, *other)).collect();
    if all {
        for (at, a) in others.iter().enumerate() {
            pairs.extend(others[at + 1..].iter().map(|b| (*a, *b)));
        }
    }
    pairs
}

/// Runs that were played, by variant and then by run; more can be added.
struct Bench<'p> {
    plan: &'p Plan,
    team: &'p Team,
    values: Vec<Vec<Vec<SubjectValue>>>,
}

impl Bench<'_> {
    /// Plays the runs that are missing, until each of these variants has so many.
    fn play(&mut self, variants: &[usize], runs: u32, progress: &dyn Progress) -> Result<(), RunError> {
        let least = variants.iter().map(|v| self.values[*v].len() as u32).min().unwrap_or(runs);
        // Run by run and not variant by variant: whoever stops early has as many of each.
        let units: Vec<(u32, usize)> = (least..runs)
            .flat_map(|run| variants.iter().map(move |variant| (run, *variant)))
            .filter(|(run, variant)| *run >= self.values[*variant].len() as u32)
            .collect();
        let plan = self.plan;
        let values = &mut self.values;
        self.team.each(
            &units,
            |(run, variant)| {
                let data = examine(plan, &plan.variants[*variant], *run);
                (data.stop, data.subjects)
            },
            |done, (stop, subjects)| {
                let variant = units[done].1;
                if stop == Stop::TimeStandsStill {
                    return Err(RunError::TimeStandsStill { variant: plan.variants[variant].name.clone() });
                }
                values[variant].push(subjects);
                match progress.runs_done(done + 1, units.len()) {
                    true => Ok(()),
                    false => Err(RunError::Interrupted { done: done + 1, total: units.len() }),
                }
            },
        )
    }
}
