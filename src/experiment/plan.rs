//! From an experiment's text to something that can be run: a model and a script for each variant.

mod deployments;
mod measure;
mod settings;
mod timeline;
mod timeline_instances;
pub(super) use timeline_instances::in_zone;

pub use measure::FaultMeasure;

use super::alerts::{self, AlertMeasure, AlertPlan};
use super::cascade;
use super::doubts::{self, PercentilePlan};
use super::impact::{self, ImpactColumns};
use super::measures::{FormulaPlan, Recorded, SeriesKept, Subject, find_fault};
use super::objectives::{self, Slo};
use super::precision::{self, PrecisePlan, PrecisionChange};
use super::stationary;
use super::warmup::{self, Found, Pilot};
use crate::base::units::Unit;
use crate::base::{SimDuration, SimTime};
use crate::model::{Model, compile};
use crate::sim::script::Script;
use crate::spec::check;
use crate::spec::decode::{Anything, Map};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::{Action, At, Experiment, KnownValue, Over};
use crate::spec::expression::{self, Event, Expectation, Limits};
use crate::spec::load::{Document, ExperimentDocument, Loader, Override};
use crate::spec::node::{self, Node};
use crate::spec::quantity::Seconds;
use crate::spec::runs::{Runs, Warmup};
use crate::spec::source::{Span, Spanned};
use crate::spec::topology::Topology;
use std::borrow::Cow;
use timeline::{Happenings, Stage};

/// What the command line, or a question about an experiment, changes about it.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The seed.
    pub seed: Option<u64>,
    /// Runs of each variant; the most, if the experiment says how precise the answer is to be.
    pub runs: Option<u32>,
    /// Simulated time of each run.
    pub duration: Option<SimDuration>,
    /// Multiplies the load: the rates of all client populations, and the number of users in closed loops.
    pub load: Option<f64>,
    /// The one variant to plan, instead of all.
    pub variant: Option<String>,
    /// Whether all metrics are kept second by second; as the experiment says if not given.
    pub series: Option<bool>,
    /// Whether nobody looks at the series: then only what else is asked for is kept of it. No other number changes.
    pub hides_series: bool,
    /// What else happens, to every variant.
    pub timeline: Vec<At>,
    /// What else is expected of every variant.
    pub expect: Vec<Spanned<String>>,
    /// Numbers that are wanted of every run: formulas, or events as `P(recovered within 60s)`.
    pub measures: Vec<Spanned<String>>,
    /// How precise the answer is to be.
    pub precision: Option<PrecisionChange>,
    /// Simulated time before measuring begins.
    pub warmup: Option<Warmup>,
    /// How the runs are played from which a warm-up is found.
    pub pilot: Pilot,
    /// Which requests are traced.
    pub traces: Sampling,
}

/// Which requests are traced.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Sampling {
    /// None: for those who show no traces.
    #[default]
    Nothing,
    /// As many as the experiment says.
    AsWritten,
    /// This share.
    Share(f64),
}

/// The simulated time of a topology that is run on its own, and its warm-up.
const QUICK_LOOK: SimDuration = SimDuration::from_secs(60);
const QUICK_WARMUP: SimDuration = SimDuration::from_secs(10);
const QUICK_RUNS: u32 = 5;
pub(super) const SEED: u64 = 42;

/// An experiment, ready to be run.
#[derive(Debug)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Runs of each variant; the most, if the answer is to be precise.
    pub runs: u32,
    /// The fewest runs, after which is looked whether the answer is precise; `None` if the number of runs is fixed.
    pub at_least: Option<u32>,
    /// When measuring begins.
    pub warmup: SimTime,
    /// How that was found, if nobody said it.
    pub warmup_found: Option<Found>,
    /// When each run ends.
    pub end: SimTime,
    /// The variants, in order of name.
    pub variants: Vec<VariantPlan>,
    /// What counts as recovered.
    pub recovery: RecoveryPlan,
    /// Where the values of theory come from; empty if there are none.
    pub theory_source: String,
    /// The share of requests that is traced.
    pub traces: f64,
}

/// What counts as recovered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecoveryPlan {
    /// Objectives are judged over windows of so many seconds.
    pub window_s: f64,
    /// Seconds for which they must hold.
    pub stable_s: f64,
    /// The share of the goodput before the fault that must be back.
    pub goodput: f64,
    /// What a request is worth that was not served.
    pub lost_request: f64,
}

/// A variant, ready to be run.
#[derive(Debug)]
pub struct VariantPlan {
    /// Its name.
    pub name: String,
    /// The system.
    pub model: Model,
    /// What happens to it.
    pub script: Script,
    /// What strikes, for reports.
    pub faults: Vec<FaultPlan>,
    /// What each change of settings says, by number.
    pub settings: Vec<String>,
    /// What counts as working, by client population.
    pub objectives: Vec<ObjectivePlan>,
    /// The same, and of single requests, as reports tell it.
    pub slos: Vec<Slo>,
    /// What would tell somebody, in order of name.
    pub alerts: Vec<AlertPlan>,
    /// What is expected.
    pub expectations: Vec<ExpectationPlan>,
    /// What theory says.
    pub theory: Vec<TheoryPlan>,
    /// Numbers that somebody wants of every run.
    pub measures: Vec<WantedPlan>,
    /// What is to be known precisely.
    pub precise: Vec<PrecisePlan>,
    /// The percentiles that somebody looks at.
    pub percentiles: Vec<PercentilePlan>,
    /// What is recorded of each run.
    pub recorded: Recorded,
    /// What can fall, and what strikes.
    pub cascade: cascade::Map,
    /// Where the series has what faults cost.
    pub impact: ImpactColumns,
}

/// A fault as reports see it.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultPlan {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: &'static str,
    /// What it strikes.
    pub target: String,
    /// When it begins; `SimTime::NEVER` if something else must happen first.
    pub start: SimTime,
    /// When it ends, if it does before the run.
    pub end: Option<SimTime>,
}

impl FaultPlan {
    /// Whether it begins when something else happens: when that is, each run knows for itself.
    pub fn is_conditional(&self) -> bool {
        self.start == SimTime::NEVER
    }
}

/// What counts as working for a client population.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectivePlan {
    /// The population, by number.
    pub client: u32,
    /// The share of requests that must succeed.
    pub availability: f64,
    /// Quantiles of latency (0 to 1) and their limits in seconds.
    pub latency: Vec<(f64, f64)>,
    /// Whether wrong answers count as failures.
    pub right: bool,
    /// Seconds that the error budget is for.
    pub period_s: f64,
}

/// An expectation whose metric is found.
#[derive(Clone, Debug)]
pub struct ExpectationPlan {
    /// The expectation.
    pub expectation: Expectation,
    /// What is judged in each run.
    pub subject: SubjectPlan,
    /// The limits, in the unit.
    pub limits: Limits,
    /// The unit.
    pub unit: Unit,
    /// The file and line it stands in.
    pub place: (String, usize),
}

/// A number that is wanted of every run.
#[derive(Clone, Debug)]
pub struct WantedPlan {
    /// The formula or event as written.
    pub text: String,
    /// What is computed of each run.
    pub subject: SubjectPlan,
    /// Its unit.
    pub unit: Unit,
}

/// A value that theory knows.
#[derive(Clone, Debug)]
pub struct TheoryPlan {
    /// What it is called.
    pub name: String,
    /// The formula as written.
    pub text: String,
    /// What is computed of each run.
    pub formula: FormulaPlan,
    /// Its unit; a plain number if none.
    pub unit: Unit,
    /// What it is in theory.
    pub is: f64,
    /// How far the simulation may be off, in the value's unit.
    pub tolerance: f64,
    /// What is taken of the runs.
    pub over: Over,
}

/// What is judged in each run.
#[derive(Clone, Debug)]
pub enum SubjectPlan {
    /// The mean over runs.
    Formula(FormulaPlan),
    /// The mean over runs of what a fault did.
    Fault(usize, FaultMeasure),
    /// The mean over runs of what an alert did.
    Alert(usize, AlertMeasure),
    /// The share of runs that recovered, in time if it matters, from one fault or all.
    Recovered(Option<f64>, Option<usize>),
    /// The share of runs that were metastable after one fault or any.
    Metastable(Option<usize>),
    /// The share of runs in which a number meets limits.
    Holds(FormulaPlan, Limits),
    /// The share of runs in which components fell in an order.
    Cascade(cascade::ExpectedPath),
}

/// A part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowPlan {
    /// From when.
    pub from: SimTime,
    /// To when.
    pub to: SimTime,
}

/// Plans what a document asks for; mistakes are left in the loader's diagnostics.
pub fn plan(loader: &mut Loader, document: Document, changes: &Changes) -> Option<Plan> {
    let plan = match document {
        Document::Topology(node) => plan_topology(loader, node, changes),
        Document::Experiment(document) => plan_experiment(loader, &document, changes),
    };
    // Mistakes that were found while reading, such as a key that is given twice, forbid a plan as well.
    plan.filter(|_| !loader.diagnostics.has_errors())
}

/// A quick look at a topology: an experiment that only looks.
fn plan_topology(loader: &mut Loader, node: Node, changes: &Changes) -> Option<Plan> {
    let topology = loader.topology(&node)?;
    if topology.clients.is_empty() {
        loader.diagnostics.push(check::no_clients(&topology));
        return None;
    }
    let duration = changes.duration.unwrap_or(QUICK_LOOK);
    let warmup = changes.duration.map_or(QUICK_WARMUP, |d| d.scaled(1.0 / 6.0));
    // The values that no file gives have no place in one; those that are given are shown where the topology stands.
    let text = format!(
        "Experiment(topology: Topology(name: \"\"), warmup: \"{}ns\", duration: \"{}ns\", runs: {QUICK_RUNS}, \
         seed: {SEED})",
        warmup.ns(),
        duration.ns()
    );
    let source = loader.sources.add("a quick look", &text, std::path::Path::new("."));
    let tree = node::parse(source, &text, &mut loader.diagnostics)?;
    let mut experiment: Experiment = loader.decode(&tree)?;
    experiment.name = Some(topology.name.clone());
    let document =
        ExperimentDocument { experiment, tree, topology: node, pinned: Vec::new(), pinned_of: Vec::new() };
    plan_known(loader, &document, &Changes { duration: None, ..changes.clone() }, Some(topology))
}

/// Plans an experiment; mistakes are left in the loader's diagnostics.
pub(super) fn plan_experiment(
    loader: &mut Loader,
    document: &ExperimentDocument,
    changes: &Changes,
) -> Option<Plan> {
    plan_known(loader, document, changes, None)
}

/// The same; `known` is the document's topology, if that has been decoded and checked before.
fn plan_known(
    loader: &mut Loader,
    document: &ExperimentDocument,
    changes: &Changes,
    known: Option<Topology>,
) -> Option<Plan> {
    let mut experiment = document.experiment.clone();
    if let Some(duration) = changes.duration {
        experiment.duration.0 = duration.seconds();
    }
    if let Some(series) = changes.series {
        experiment.series = series;
    }
    experiment.timeline.extend(changes.timeline.iter().cloned());
    if let Some(warmup) = changes.warmup {
        experiment.warmup = warmup;
    }
    let base = known.or_else(|| loader.topology(&document.topology))?;
    precision::change(&mut experiment, changes, &base, loader);
    let found = check::experiment(&experiment, &base);
    let usable = !found.has_errors();
    loader.diagnostics.extend(found);
    if !usable {
        return None;
    }
    let end = SimTime::ZERO + experiment.duration.duration();
    let mut warmup_found = None;
    if experiment.warmup == Warmup::Auto {
        warmup_found = warmup::find(loader, document, changes);
        experiment.warmup = Warmup::For(Seconds(warmup_found.map_or(0.0, |found| found.seconds as f64)));
    }
    let warmup = SimTime::ZERO + experiment.warmup.stated();
    let mut variants = Vec::new();
    let mut base = Some(base);
    for name in variant_names(loader, &experiment, changes)? {
        variants.extend(plan_variant(loader, &experiment, document, changes, &name, &mut base));
    }
    if loader.diagnostics.has_errors() {
        return None;
    }
    let name = experiment.name.clone().unwrap_or_else(|| file_name(loader, experiment.span));
    Some(Plan {
        name,
        seed: changes.seed.unwrap_or(experiment.seed),
        runs: experiment.runs.at_most(),
        at_least: match &experiment.runs {
            Runs::Precise(precise) => Some(precise.at_least),
            Runs::Number(_) => None,
        },
        warmup,
        warmup_found,
        end,
        variants,
        recovery: RecoveryPlan {
            window_s: experiment.recovery.window.0,
            stable_s: experiment.recovery.stable.0,
            goodput: experiment.recovery.goodput.0,
            lost_request: experiment.recovery.lost_request,
        },
        traces: match changes.traces {
            Sampling::Nothing => 0.0,
            Sampling::AsWritten => experiment.traces.0,
            Sampling::Share(share) => share,
        },
        theory_source: experiment.theory.as_ref().map_or_else(String::new, |t| t.source.clone()),
    })
}

/// The variants to plan: all, or the one that is wanted.
fn variant_names(loader: &mut Loader, experiment: &Experiment, changes: &Changes) -> Option<Vec<String>> {
    let mut names: Vec<String> = experiment.variants.names().map(str::to_string).collect();
    if names.is_empty() {
        names.push("base".into());
    }
    let Some(wanted) = &changes.variant else { return Some(names) };
    if !names.contains(wanted) {
        let message = format!("there is no variant `{wanted}`");
        let diagnostic = Diagnostic::error(experiment.span, message);
        loader.diagnostics.push(diagnostic.nearest(wanted, names.iter().map(String::as_str)));
        return None;
    }
    Some(vec![wanted.clone()])
}

/// The name of the file that a span stands in, without folder and ending.
fn file_name(loader: &Loader, span: Span) -> String {
    let name = loader.sources.get(span.source).map_or("experiment", |s| s.name.as_str());
    let stem = std::path::Path::new(name).file_stem().and_then(|s| s.to_str());
    stem.unwrap_or("experiment").to_string()
}

/// Settings by path, as changes of a tree.
fn overrides(set: &Map<Anything>) -> Vec<Override> {
    let one = |(path, span, value): (&str, Span, &Anything)| Override {
        path: Spanned { value: path.to_string(), span },
        value: value.0.clone(),
    };
    set.spanned().map(one).collect()
}

fn plan_variant(
    loader: &mut Loader,
    experiment: &Experiment,
    document: &ExperimentDocument,
    changes: &Changes,
    name: &str,
    base: &mut Option<Topology>,
) -> Option<VariantPlan> {
    let [warmup, end] =
        [experiment.warmup.stated(), experiment.duration.duration()].map(|length| SimTime::ZERO + length);
    let mut node = Cow::Borrowed(&document.topology);
    let set = experiment.variants.get(name).map_or_else(Vec::new, |variant| overrides(&variant.0.set));
    let pinned = document.pinned_for(name);
    // Decoding is most of the start of a large system: it is done once if nothing is set.
    let known = if set.is_empty() && pinned.is_empty() { base.take() } else { None };
    for overrides in [set, pinned].iter().filter(|overrides| !overrides.is_empty()) {
        loader.apply(node.to_mut(), overrides);
    }
    let happenings = Happenings::new(experiment, name);
    let (changing, numbers) = happenings.changes(loader);
    let mut script = Script { end, ..Script::default() };
    let states = changing.states(loader, node, known, &mut script)?;
    let count = states.topologies.len();
    let versions = deployments::versions(loader, &states.nodes, &happenings.deploys())?;
    let mut topologies = states.topologies;
    topologies.extend(versions.topologies);
    let mut model = match compile::compile_versions(&topologies, count, &versions.deployed) {
        Ok(model) => model,
        Err(error) if error.epoch >= count => {
            let span = versions.places[error.epoch / count - 1];
            loader.diagnostics.push(Diagnostic::error(span, error.to_string()));
            return None;
        }
        Err(error) => {
            let change = changing.changes.get(states.led_by[error.epoch] as usize);
            let span = change.map_or(experiment.span, |change| change.span);
            loader.diagnostics.push(Diagnostic::error(span, error.to_string()));
            return None;
        }
    };
    if let Some(load) = changes.load {
        model.scale_load(load);
    }
    let failures = experiment.failures_of(name);
    model.catalog = std::mem::take(&mut model.catalog).with_failures(failures.keys().copied());
    if experiment.has_wrong_answers() {
        model.catalog = std::mem::take(&mut model.catalog).with_wrong_answers(&model.clients);
    }
    let alerts = alerts::plan(experiment, &model, &mut loader.diagnostics);
    let stage = Stage { topology: &topologies[0], model: &model, alerts: &alerts, warmup };
    let faults = timeline::script(&happenings, &numbers, &stage, &mut script, &mut loader.diagnostics);
    failures.iter().for_each(|(name, failure)| script.push_failure(name, failure, &model));
    let stolen = timeline_instances::stolen_from(&script.faults);
    if !stolen.is_empty() {
        let catalog = std::mem::take(&mut model.catalog);
        model.catalog = catalog.with_stolen(&model.groups, |group| stolen.contains(&group));
    }
    let objectives = recovery_objectives(experiment, &model);
    let series = match experiment.series {
        true if changes.hides_series => SeriesKept::Unseen,
        true => SeriesKept::All,
        false => SeriesKept::None,
    };
    let mut planned = VariantPlan {
        name: name.to_string(),
        recorded: Recorded::new(&model, series),
        slos: objectives::plan(experiment, &model),
        alerts,
        model,
        script,
        faults,
        settings: changing.changes.into_iter().map(|change| change.text).collect(),
        objectives,
        expectations: Vec::new(),
        theory: Vec::new(),
        measures: Vec::new(),
        precise: Vec::new(),
        percentiles: Vec::new(),
        cascade: cascade::Map::default(),
        impact: ImpactColumns::default(),
    };
    super::recovery::record(&mut planned);
    let first_set = happenings.timeline.iter().find_map(|at| match &at.action {
        Action::Set(set) => Some((SimTime::ZERO + at.at.duration(), set.path.value.as_str())),
        _ => None,
    });
    planned.impact = impact::record(&mut planned);
    planned.cascade = cascade::record(&mut planned, first_set);
    stationary::record(&mut planned, warmup, end);
    let watched: Vec<_> = planned.script.rules.iter().flat_map(|rule| rule.rule.columns()).collect();
    for source in alerts::alert_columns(&planned.alerts).into_iter().chain(watched) {
        planned.recorded.column(source);
    }
    for text in experiment.expect.get(name).into_iter().flatten().chain(&changes.expect) {
        match expectation(text, &mut planned, (warmup, end)) {
            Ok(mut expectation) => {
                let file = loader.sources.get(text.span.source).map_or("", |s| s.name.as_str());
                expectation.place = (file.to_string(), loader.sources.position(text.span).0);
                planned.expectations.push(expectation);
            }
            Err(diagnostic) => loader.diagnostics.push(diagnostic),
        }
    }
    for (text, span) in targets(experiment, &planned) {
        let text = Spanned { value: text, span };
        match expectation(&text, &mut planned, (warmup, end)) {
            Ok(mut expectation) => {
                let file = loader.sources.get(span.source).map_or("", |s| s.name.as_str());
                expectation.place = (file.to_string(), loader.sources.position(span).0);
                planned.expectations.push(expectation);
            }
            Err(diagnostic) => loader.diagnostics.push(diagnostic),
        }
    }
    planned.expectations.extend(cascade::expected(loader, experiment, &planned));
    for text in &changes.measures {
        match wanted(text, &mut planned, (warmup, end)) {
            Ok(measure) => planned.measures.push(measure),
            Err(diagnostic) => loader.diagnostics.push(diagnostic),
        }
    }
    precision::plan(experiment, &mut planned, (warmup, end), loader);
    planned.percentiles = doubts::percentiles(&planned, (warmup, end));
    let first = experiment.variants.names().next().unwrap_or("base");
    for (value_name, value) in experiment.theory.iter().flat_map(|t| t.values.iter()) {
        if value.variant.as_ref().map_or(first, |v| v.value.as_str()) != name {
            continue;
        }
        match theory(value_name, value, &mut planned, (warmup, end)) {
            Ok(theory) => planned.theory.push(theory),
            Err(diagnostic) => loader.diagnostics.push(diagnostic),
        }
    }
    Some(planned)
}

fn recovery_objectives(experiment: &Experiment, model: &Model) -> Vec<ObjectivePlan> {
    let mut planned = Vec::new();
    for (name, objective) in experiment.objectives.iter() {
        let client = model.clients.iter().position(|c| c.name == name).unwrap_or(0) as u32;
        let quantile = check::timeline::percentile_quantile;
        let latency =
            objective.latency.iter().filter_map(|(p, limit)| Some((quantile(p)?, limit.0))).collect();
        let (availability, right, period_s) = (objective.availability.0, objective.right, objective.period.0);
        planned.push(ObjectivePlan { client, availability, latency, right, period_s });
    }
    planned
}

/// What recovery from every fault is expected to meet, and where that is written.
fn targets(experiment: &Experiment, variant: &VariantPlan) -> Vec<(String, Span)> {
    let recovery = &experiment.recovery;
    let mut texts = Vec::new();
    if !recovery.targets_of.is_empty() && recovery.targets_of.iter().all(|v| v.value != variant.name) {
        return texts;
    }
    for fault in &variant.faults {
        let mut target = |what: &str, limit: &Option<Spanned<Seconds>>| {
            let Some(limit) = limit else { return };
            texts.push((format!("faults.{}.{what} <= {}s", fault.name, limit.value.0), limit.span));
        };
        target("recover", &recovery.rto);
        if variant.impact.has_rpo() {
            target("rpo", &recovery.rpo);
        }
    }
    texts
}

// ---- expectations and theory ----

fn expectation(
    text: &Spanned<String>,
    variant: &mut VariantPlan,
    run: (SimTime, SimTime),
) -> Result<ExpectationPlan, Diagnostic> {
    let expectation = expression::parse(text)?;
    let (subject, unit) = subject_plan(&expectation.subject, variant, run, text.span)?;
    let limits = expectation.comparison.limits(unit, text.span)?;
    Ok(ExpectationPlan { expectation, subject, limits, unit, place: (String::new(), 0) })
}

/// Plans a number that is wanted of every run.
pub(super) fn wanted(
    text: &Spanned<String>,
    variant: &mut VariantPlan,
    run: (SimTime, SimTime),
) -> Result<WantedPlan, Diagnostic> {
    let (subject, unit) = subject_plan(&expression::parse_subject(text)?, variant, run, text.span)?;
    // A formula may be written in several lines.
    let text = text.value.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(WantedPlan { text, subject, unit })
}

fn subject_plan(
    parsed: &expression::Subject,
    variant: &mut VariantPlan,
    run: (SimTime, SimTime),
    span: Span,
) -> Result<(SubjectPlan, Unit), Diagnostic> {
    match parsed {
        expression::Subject::Formula(formula) => {
            let (planned, unit) = subject(variant, run, span).formula(formula)?;
            let planned = match planned {
                FormulaPlan::Fault(fault, what) => SubjectPlan::Fault(fault, what),
                FormulaPlan::Alert(alert, what) => SubjectPlan::Alert(alert, what),
                planned => SubjectPlan::Formula(planned),
            };
            Ok((planned, unit.unwrap_or(Unit::Level)))
        }
        expression::Subject::Probability(event) => Ok((event_plan(event, variant, run, span)?, Unit::Ratio)),
    }
}

fn subject(variant: &mut VariantPlan, run: (SimTime, SimTime), span: Span) -> Subject<'_> {
    let VariantPlan { model, faults, alerts, slos, recorded, .. } = variant;
    Subject { model, faults, alerts, slos, run, recorded, span }
}

fn event_plan(
    event: &Event,
    variant: &mut VariantPlan,
    run: (SimTime, SimTime),
    span: Span,
) -> Result<SubjectPlan, Diagnostic> {
    let faults = &variant.faults;
    let number = |from: &Option<String>| match from {
        Some(name) => find_fault(name, faults, span).map(Some),
        None if faults.is_empty() => {
            Err(Diagnostic::error(span, "nothing strikes this variant, so nothing can recover"))
        }
        None => Ok(None),
    };
    match event {
        Event::Recovered { within, from } => Ok(SubjectPlan::Recovered(*within, number(from)?)),
        Event::Metastable { from } => Ok(SubjectPlan::Metastable(number(from)?)),
        Event::Holds(formula, comparison) => {
            let (planned, unit) = subject(variant, run, span).formula(formula)?;
            Ok(SubjectPlan::Holds(planned, comparison.limits(unit.unwrap_or(Unit::Level), span)?))
        }
    }
}

fn theory(
    name: &str,
    value: &KnownValue,
    variant: &mut VariantPlan,
    run: (SimTime, SimTime),
) -> Result<TheoryPlan, Diagnostic> {
    let parsed = expression::parse_formula(&value.of)?;
    let (formula, unit) = subject(variant, run, value.of.span).formula(&parsed)?;
    let tolerance = (value.within.0 * value.is.abs()).max(value.absolute);
    Ok(TheoryPlan {
        name: name.to_string(),
        // A formula may be written in several lines.
        text: value.of.value.split_whitespace().collect::<Vec<_>>().join(" "),
        formula,
        unit: unit.unwrap_or(Unit::Level),
        is: value.is,
        tolerance,
        over: value.over.clone(),
    })
}
