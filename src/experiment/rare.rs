//! How often do random failures coincide so that the system is out, however rare that is?
//!
//! What fails is a set of independent alternating renewal processes, one for each instance or one for all of a
//! component, as in [`sim`](crate::sim). In the long run an outage begins when one of them fails while the others,
//! which are in their stationary states then (they know nothing of each other), are such that this is one too many.
//! So instead of waiting for it, such moments are drawn: the process that fails, in proportion to how often it does;
//! whether each other is down, with the probability that it is. Outages are rare among those, too, so they are drawn
//! from a mixture of distributions under which more is down, and weighted by the likelihood ratio (importance sampling
//! with a defensive mixture: Hesterberg, "Weighted average importance sampling and defensive mixture distributions",
//! Technometrics 37, 1995; the balance heuristic of Veach and Guibas, 1995). From there on the processes are played as
//! they are until the outage is over. Nothing has to be exponential.
//!
//! What an outage is, is stated, or found by playing the system with everything down that may be down.

mod exact;
mod sampling;
mod sets;

use super::blast::prepare::{decoded, undisturbed};
use super::plan::{Changes, Plan};
use super::run::{Progress, RunError};
use super::study::{Mistakes, Study};
use super::team::Team;
use super::warmup;
use crate::base::dist::Dist;
use crate::metrics::Estimate;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Experiment;
use crate::spec::failure::{FailureTarget, FailureUnit, Failures};
use crate::spec::load::{Document, Loader};
use crate::spec::rare::{self, Clause, Rare};
use crate::spec::source::Span;
use std::collections::BTreeMap;

pub use exact::{Exact, exact};
pub use sampling::Sampled;
pub use sets::Played;

/// What fails by itself: some processes that are alike.
#[derive(Clone, Debug)]
pub struct Class {
    /// The failure's name.
    pub name: String,
    /// How many processes.
    pub members: u32,
    /// Seconds up.
    pub up: Dist,
    /// Seconds down.
    pub down: Dist,
}

impl Class {
    /// The share of time that one of them is down.
    pub fn unavailability(&self) -> f64 {
        self.down.mean() / (self.up.mean() + self.down.mean())
    }

    /// How often one of them fails, per second.
    pub fn frequency(&self) -> f64 {
        1.0 / (self.up.mean() + self.down.mean())
    }
}

/// What an outage is. More failures never make one good again.
#[derive(Clone, Debug, PartialEq)]
pub enum Structure {
    /// Any of these, all clauses of which hold.
    Stated(Vec<Vec<Clause>>),
    /// At least as many of each are down as in any of these.
    Sets(Vec<Vec<u32>>),
    /// Either, or so many in all.
    Beyond(Vec<Vec<u32>>, u32),
}

impl Structure {
    /// Whether there is an outage with so many of each class down.
    pub fn is_out(&self, down: &[u32]) -> bool {
        let contains = |set: &Vec<u32>| set.iter().zip(down).all(|(needed, down)| down >= needed);
        match self {
            Self::Stated(any) => any.iter().any(|all| {
                all.iter().all(|c| c.of.iter().map(|at| f64::from(down[*at])).sum::<f64>() >= c.least)
            }),
            Self::Sets(sets) => sets.iter().any(contains),
            Self::Beyond(sets, many) => sets.iter().any(contains) || down.iter().sum::<u32>() >= *many,
        }
    }
}

/// How often outages are.
#[derive(Clone, Debug)]
pub struct RareResult {
    /// The experiment's name.
    pub name: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Runs of each set of failures that was played; none if outages are stated.
    pub runs: Option<u32>,
    /// The question.
    pub question: Rare,
    /// The variants, in order of name.
    pub variants: Vec<RareVariant>,
}

/// How often a variant is out.
#[derive(Clone, Debug)]
pub struct RareVariant {
    /// Its name.
    pub name: String,
    /// What fails.
    pub classes: Vec<Class>,
    /// The sets of failures that were played; empty if outages are stated.
    pub played: Vec<Played>,
    /// What was sampled.
    pub sampled: Sampled,
    /// The same without chance, where the states are few enough to add them all up: of outages of any length.
    pub exact: Option<Exact>,
    /// The share of time that the system would be out if every larger set of failures were an outage.
    pub beyond: Option<f64>,
}

/// Outages for a share of a period.
#[derive(Clone, Debug)]
pub struct Share {
    /// How many of each class are down when it begins: the least that makes an outage.
    pub down: Vec<u32>,
    /// Outages that begin so, per period.
    pub outages: Option<Estimate>,
    /// Seconds of outage that follow, per period.
    pub seconds: Option<Estimate>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum RareError {
    /// The file or a flag is wrong.
    Mistakes(Mistakes),
    /// The runs could not be played.
    Run(RunError),
}

impl From<Mistakes> for RareError {
    fn from(mistakes: Mistakes) -> Self {
        Self::Mistakes(mistakes)
    }
}

impl From<RunError> for RareError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

/// What flags ask for; it wins over what the file asks for.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// What an outage is.
    pub outage: Vec<String>,
    /// The period in seconds.
    pub per_s: Option<f64>,
    /// The shortest outage that counts, in seconds.
    pub lasting_s: Option<f64>,
    /// Failures at once that are played.
    pub size: Option<u32>,
    /// Beginnings tried.
    pub samples: Option<u32>,
}

/// What fails in each variant, as the file says.
type Failing = BTreeMap<String, Vec<(String, Failures)>>;

/// A question, ready to be asked.
#[derive(Debug)]
pub struct Asked {
    study: Study,
    question: Rare,
    failing: Failing,
}

/// The study of a document whose random failures are looked at one by one; mistakes are left in the loader.
pub fn ask(mut loader: Loader, document: Document, wishes: &Wishes) -> Result<Asked, Box<Loader>> {
    let Document::Experiment(document) = document else {
        let message = "nothing fails at random in a topology";
        let help = "ask an experiment with `failures: { \"db\": Failures(target: \"db\", …) }`";
        loader.diagnostics.push(Diagnostic::general(message).help(help));
        return Err(Box::new(loader));
    };
    let mut document = *document;
    let experiment = &mut document.experiment;
    let asked = experiment.rare.take().or_else(|| decoded(&mut loader, "the question", "Rare()"));
    let Some(mut question) = asked else { return Err(Box::new(loader)) };
    if !wishes.outage.is_empty() {
        question.outage = wishes.outage.iter().map(|text| loader.quoted("--outage", text)).collect();
    }
    question.per.0 = wishes.per_s.unwrap_or(question.per.0);
    question.lasting.0 = wishes.lasting_s.unwrap_or(question.lasting.0);
    question.size = wishes.size.unwrap_or(question.size);
    question.samples = wishes.samples.unwrap_or(question.samples);
    experiment.rare = Some(question);
    // With its failures still there, so that what an outage says of them can be checked.
    let Some(topology) = loader.topology(&document.topology) else { return Err(Box::new(loader)) };
    let found = crate::spec::check::experiment(experiment, &topology);
    let is_wrong = found.has_errors();
    loader.diagnostics.extend(found);
    let failing = failing(experiment);
    let Some(question) = experiment.rare.take() else { unreachable!("a question was put there") };
    // What is played is played without them; what is stated needs not even clients.
    if question.outage.is_empty() {
        undisturbed(experiment);
    }
    if failing.values().all(Vec::is_empty) {
        let message = "nothing fails at random: there are no `failures`";
        loader.diagnostics.push(Diagnostic::error(experiment.span, message));
        return Err(Box::new(loader));
    }
    for failure in failing.values().flatten() {
        if let Some(diagnostic) = refused(failure) {
            loader.diagnostics.push(diagnostic);
        }
    }
    if is_wrong || loader.diagnostics.has_errors() {
        return Err(Box::new(loader));
    }
    warmup::settle(&loader, &mut document);
    Ok(Asked { study: Study::new(loader, Document::Experiment(Box::new(document))), question, failing })
}

fn failing(experiment: &Experiment) -> Failing {
    let mut variants: Vec<&str> = experiment.variants.names().collect();
    if variants.is_empty() {
        variants.push("base");
    }
    let of = |variant: &str| {
        let failures = experiment.failures_of(variant).into_iter();
        failures.map(|(name, failure)| (name.to_string(), failure.clone())).collect()
    };
    variants.into_iter().map(|variant| (variant.to_string(), of(variant))).collect()
}

/// What the method cannot answer for.
fn refused((name, failure): &(String, Failures)) -> Option<Diagnostic> {
    let (up, down) = (&failure.up, &failure.down);
    let wrong = |span: Span, message: String, help: &str| Some(Diagnostic::error(span, message).help(help));
    if up.dist.variance() == 0.0 && down.dist.variance() == 0.0 {
        let help = "the long run is asked about: let one of `up` and `down` vary";
        return wrong(up.span, format!("`{name}` fails by the clock: its phase is never forgotten"), help);
    }
    for (time, what) in [(up, "up"), (down, "down")] {
        if !time.dist.variance().is_finite() {
            let help = "cut its tail off, as by `max` of a Pareto distribution";
            return wrong(time.span, format!("`{what}` of `{name}` has no finite variance"), help);
        }
    }
    None
}

/// Answers the question for every variant, on `jobs` threads.
///
/// # Errors
/// If a setting makes no sense, a model lets time stand still, or `progress` says to stop.
pub fn rare(
    asked: &Asked,
    changes: &Changes,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<RareResult, RareError> {
    let team = Team::new(jobs)?;
    let Asked { study, question, failing } = asked;
    let changes = Changes { series: Some(false), ..changes.clone() };
    let plan: Plan = study.plan("--set", &[], &changes)?;
    let is_stated = !question.outage.is_empty();
    let mut variants = Vec::new();
    for variant in &plan.variants {
        let failures = failing.get(&variant.name).map(Vec::as_slice).unwrap_or_default();
        let names: Vec<&str> = failures.iter().map(|(name, _)| name.as_str()).collect();
        let members = |failure: &Failures| {
            let FailureTarget::Component(target) = &failure.target else { return 1 };
            let group = variant.model.groups.iter().position(|g| g.name == target.value);
            let replicas = group.map_or(1, |at| variant.model.epochs[0].groups[at].replicas);
            if matches!(failure.each, FailureUnit::Instance) { replicas } else { 1 }
        };
        let class = |(name, failure): &(String, Failures)| Class {
            name: name.clone(),
            members: members(failure),
            up: failure.up.dist.clone(),
            down: failure.down.dist.clone(),
        };
        let classes: Vec<Class> = failures.iter().map(class).collect();
        let mut played = Vec::new();
        let structure = if is_stated {
            // What names a failure that this variant does not have can never hold in it.
            Structure::Stated(question.outage.iter().filter_map(|t| rare::parse(t, &names).ok()).collect())
        } else {
            let task =
                sets::Task { study, changes: &changes, variant: &variant.name, failures, classes: &classes };
            played = task.play(question.size, &team, progress)?;
            Structure::Sets(played.iter().filter(|p| p.is_outage()).map(|p| p.down.clone()).collect())
        };
        let beyond = match &structure {
            Structure::Sets(sets) => {
                exact(&classes, &Structure::Beyond(sets.clone(), question.size + 1)).map(|e| e.unavailability)
            }
            _ => None,
        };
        let task = sampling::Task { classes: &classes, structure: &structure, question, seed: plan.seed };
        variants.push(RareVariant {
            name: variant.name.clone(),
            sampled: task.sample(&variant.name, &team, progress)?,
            exact: exact(&classes, &structure),
            beyond,
            played,
            classes,
        });
    }
    Ok(RareResult {
        name: plan.name.clone(),
        seed: plan.seed,
        runs: (!is_stated).then_some(plan.runs),
        question: question.clone(),
        variants,
    })
}
