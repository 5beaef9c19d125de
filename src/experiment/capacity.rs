//! How much load until an objective breaks?
//!
//! The mean over runs of a measure is a function of the load with an unknown root: the load at which it meets its
//! limit. Every load is played on the same random numbers (the runs of one number have the same requests, only closer
//! together), so the sample's function is as smooth and as monotone as the system, and the root is found by bisection
//! (retrospective approximation: Chen and Schmeiser, "Stochastic root finding via retrospective approximation", IIE
//! Transactions 33, 2001). Each load is judged by a sequential test: runs are added, 5, 10, 20 and so on, until the
//! interval of every objective lies on one side of its limit, or the budget of runs is used up.
//!
//! What is reported is an interval: the highest load that surely holds, and the lowest that surely fails. Turning tests
//! into an interval in this way needs no correction for the number of loads that were tried: where the function is
//! monotone, a test that errs at any load below the root errs at the root as well. It needs one for the number of looks
//! at each load and of objectives (Bonferroni's: each test has the risk divided by their product), and has it.

mod loss;
mod probe;
mod resources;
mod search;
mod sizes;

use super::plan::{Changes, Plan};
use super::results::Verdict;
use super::run::{Progress, RunError};
use super::study::{Mistakes, Study};
use super::team::Team;
use crate::base::SimDuration;
use crate::base::units::Unit;
use crate::metrics::estimate::stable;
use crate::spec::capacity::Capacity;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::{At, Experiment};
use crate::spec::expression::Limits;
use crate::spec::source::Spanned;
pub use loss::LossPlan;
pub use probe::{Bounds, Measured, Pile, Point, Split};
use probe::{Effort, Prober};
pub use search::{Found, Full, Knee};
pub use sizes::{Size, Sized};

/// What was asked on the command line; what is missing is taken from the file, or a default.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// What must hold.
    pub objectives: Vec<Spanned<String>>,
    /// How sure the answer is to be, from 0 to 1.
    pub confidence: Option<f64>,
    /// The highest multiple of the load.
    pub up_to: Option<f64>,
    /// How closely the capacity is looked for.
    pub within: Option<f64>,
    /// The most runs at each load.
    pub runs: Option<u32>,
    /// The multiples of the load that are asked about.
    pub multiples: Vec<f64>,
    /// The multiple that the capacity must reach.
    pub at_least: Option<f64>,
    /// Sizes that may change: path, least, greatest.
    pub scale: Vec<(Spanned<String>, u32, u32)>,
    /// The variant.
    pub variant: Option<String>,
    /// The seed.
    pub seed: Option<u64>,
    /// Simulated time of each run.
    pub duration: Option<SimDuration>,
}

/// The whole question.
#[derive(Clone, Debug)]
pub struct Question {
    /// What must hold.
    pub objectives: Vec<Spanned<String>>,
    /// How sure the answer is to be, from 0 to 1.
    pub confidence: f64,
    /// The highest multiple of the load that is looked for.
    pub up_to: f64,
    /// How closely the capacity is looked for, relative to it.
    pub within: f64,
    /// The most runs at each load.
    pub runs: u32,
    /// The multiples of the load that are asked about, ascending.
    pub multiples: Vec<f64>,
    /// The multiple that the capacity must reach.
    pub at_least: f64,
    /// Sizes that may change.
    pub scale: Vec<Setting>,
    /// How busy a resource may be in the first guess.
    pub busy: f64,
    /// What may be missing.
    pub without: Vec<LossPlan>,
    /// The variant.
    pub variant: Option<String>,
    /// Settings that make an experiment calm: no timeline, no failures, no expectations.
    calm: Vec<String>,
    /// Seed and duration.
    changes: Changes,
}

/// A setting that may change.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its path.
    pub path: String,
    /// What it is in the file.
    pub now: u32,
    /// The least it may be.
    pub from: u32,
    /// The most it may be.
    pub to: u32,
    /// What one more of it costs per hour.
    price: f64,
}

/// What must hold, as it was understood.
#[derive(Clone, Debug)]
pub struct ObjectiveInfo {
    /// As written.
    pub text: String,
    /// The unit of its values.
    pub unit: Unit,
    /// Its limits.
    pub limits: Limits,
}

/// The answer for one multiple of the load.
#[derive(Clone, Debug)]
pub struct Multiple {
    /// The system as it is.
    pub point: Point,
    /// The least sizes that carry it; none if nothing may change.
    pub sized: Option<Sized>,
}

/// The capacity with something missing.
#[derive(Clone, Debug)]
pub struct Without {
    /// What it is called.
    pub name: String,
    /// What is missing, in words.
    pub what: String,
    /// What was found.
    pub found: Found,
    /// What to know about it; empty if nothing.
    pub note: String,
}

/// The whole answer.
#[derive(Clone, Debug)]
pub struct CapacityResult {
    /// The name of the file's experiment or topology.
    pub name: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The variant, if there are several.
    pub variant: Option<String>,
    /// How sure the answers are, from 0 to 1.
    pub confidence: f64,
    /// How closely the capacity was looked for, relative to it.
    pub within: f64,
    /// The highest multiple that was looked for.
    pub up_to: f64,
    /// The most runs at each load.
    pub runs: u32,
    /// Simulated seconds of each run, warm-up included.
    pub duration_s: f64,
    /// Simulated seconds before measuring began.
    pub warmup_s: f64,
    /// What must hold.
    pub objectives: Vec<ObjectiveInfo>,
    /// Names of all resources, in the order of [`Point::usage`].
    pub resources: Vec<String>,
    /// The capacity of the system as it is.
    pub found: Found,
    /// The multiple that must be reached, and whether it is.
    pub at_least: (f64, Verdict),
    /// Each multiple.
    pub multiples: Vec<Multiple>,
    /// What gives out, in order of load.
    pub full: Vec<Full>,
    /// Where the latency begins to rise steeply.
    pub knee: Option<Knee>,
    /// The same with something missing.
    pub without: Vec<Without>,
    /// Runs played in all.
    pub runs_played: usize,
    /// Events played in all.
    pub events: u64,
    /// What must be read before the numbers are trusted.
    pub warnings: Vec<String>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum CapacityError {
    /// The file or the question is wrong.
    Mistakes(Mistakes),
    /// The runs could not be carried out.
    Run(RunError),
}

impl From<Mistakes> for CapacityError {
    fn from(mistakes: Mistakes) -> Self {
        Self::Mistakes(mistakes)
    }
}

impl From<RunError> for CapacityError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl Question {
    /// The question that a file and the command line ask together.
    ///
    /// # Errors
    /// If the file is wrong, or it is not said what must hold.
    pub fn new(study: &mut Study, asked: Asked) -> Result<Self, Mistakes> {
        // The file as it is must be right, too.
        study.plan("--set", &[], &Changes { series: Some(false), ..Changes::default() })?;
        let experiment = study.experiment().cloned();
        let own = experiment.as_ref().and_then(|e| e.capacity.clone());
        let of = |field: fn(&Capacity) -> f64| own.as_ref().map(field);
        let mut objectives = asked.objectives;
        if objectives.is_empty() {
            objectives = own.as_ref().map(|c| c.objective.clone()).unwrap_or_default();
        }
        if objectives.is_empty() {
            let texts = experiment.as_ref().map(objectives_of).unwrap_or_default();
            objectives = texts.iter().map(|text| study.loader().quoted("objectives", text)).collect();
        }
        if objectives.is_empty() {
            return Err(study.mistake(Diagnostic::general("it is not said what must hold").help(
                "give --objective 'p(99) of clients.users.latency < 200ms', or `objectives` in an experiment",
            )));
        }
        let variant = asked.variant.or_else(|| own.as_ref()?.variant.as_ref().map(|v| v.value.clone()));
        let names: Vec<String> =
            experiment.iter().flat_map(|e| e.variants.names()).map(str::to_string).collect();
        if variant.is_none() && names.len() > 1 {
            let message = "the experiment has several variants: which is asked about?";
            let help = format!("give --variant NAME; there is: {}", names.join(", "));
            return Err(study.mistake(Diagnostic::general(message).help(help)));
        }
        let mut multiples = asked.multiples;
        if multiples.is_empty() {
            multiples = own.as_ref().map_or(vec![1.0, 2.0, 10.0], |c| c.multiples.clone());
        }
        multiples.sort_by(f64::total_cmp);
        multiples.dedup();
        let mut question = Self {
            objectives,
            confidence: asked.confidence.or(of(|c| c.confidence.0)).unwrap_or(0.95),
            up_to: asked.up_to.or(of(|c| c.up_to)).unwrap_or(20.0),
            within: asked.within.or(of(|c| c.within.0)).unwrap_or(0.01),
            runs: asked.runs.or(own.as_ref().map(|c| c.runs)).unwrap_or(40),
            multiples,
            at_least: asked.at_least.or(of(|c| c.at_least)).unwrap_or(1.0),
            scale: Vec::new(),
            busy: of(|c| c.busy.0).unwrap_or(0.7),
            without: Vec::new(),
            calm: experiment.as_ref().map(|e| calm(e, variant.as_deref())).unwrap_or_default(),
            changes: Changes {
                seed: asked.seed,
                duration: asked.duration,
                variant: variant.clone(),
                series: Some(false),
                ..Changes::default()
            },
            variant,
        };
        let plan = question.plan(study, &[], 1.0, &[])?;
        question.scale = settings(study, &plan, own.as_ref(), asked.scale, question.variant.as_deref())?;
        let losses = own.as_ref().and_then(|c| c.without.clone());
        question.without = loss::plans(study, &plan, experiment.as_ref(), losses.as_ref())?;
        Ok(question)
    }

    /// The plan for a load, with sizes, and with something missing.
    fn plan(&self, study: &Study, sizes: &[String], load: f64, lost: &[At]) -> Result<Plan, Mistakes> {
        let settings: Vec<String> = self.calm.iter().chain(sizes).cloned().collect();
        let changes = Changes {
            load: Some(load),
            timeline: lost.to_vec(),
            expect: self.objectives.clone(),
            ..self.changes.clone()
        };
        study.plan("--scale", &settings, &changes)
    }
}

/// The objectives of an experiment as expectations.
fn objectives_of(experiment: &Experiment) -> Vec<String> {
    let mut texts = Vec::new();
    for (client, objective) in experiment.objectives.iter() {
        let errors = stable(1.0 - objective.availability.0);
        texts.push(format!("clients.{client}.error_ratio <= {}%", stable(errors * 100.0)));
        for (percentile, limit) in objective.latency.iter() {
            let number = percentile.trim_start_matches('p');
            texts.push(format!("p({number}) of clients.{client}.latency <= {}s", stable(limit.0)));
        }
    }
    texts
}

/// Settings that leave out what happens to an experiment, and what it expects.
fn calm(experiment: &Experiment, variant: Option<&str>) -> Vec<String> {
    let nothing =
        ["timeline=[]", "failures={}", "expect={}", "theory=None", "alerts={}", "when=[]", "runbooks={}"];
    let mut settings: Vec<String> = nothing.map(String::from).to_vec();
    settings.extend(["cascades={}", "capacity=None"].map(String::from));
    let name = variant.or_else(|| experiment.variants.names().next());
    if let Some((name, variant)) = name.and_then(|name| Some((name, experiment.variants.get(name)?))) {
        if !variant.0.timeline.is_empty() {
            settings.push(format!("variants.{name}.timeline=[]"));
        }
        if !variant.0.failures.is_empty() {
            settings.push(format!("variants.{name}.failures={{}}"));
        }
        if !variant.0.when.is_empty() {
            settings.push(format!("variants.{name}.when=[]"));
        }
        if !variant.0.runbooks.is_empty() {
            settings.push(format!("variants.{name}.runbooks={{}}"));
        }
    }
    settings
}

/// What may change: the replicas of all services that nothing scales, and what was asked for.
fn settings(
    study: &mut Study,
    plan: &Plan,
    own: Option<&Capacity>,
    asked: Vec<(Spanned<String>, u32, u32)>,
    variant: Option<&str>,
) -> Result<Vec<Setting>, Mistakes> {
    const REPLICAS_MAX: u32 = 1000;
    let model = &plan.variants[0].model;
    let mut wanted: Vec<(Spanned<String>, u32, u32)> = Vec::new();
    let price = |path: &str| {
        let service = path.strip_prefix("services.").and_then(|rest| rest.strip_suffix(".replicas"));
        let group = model.groups.iter().find(|group| Some(group.name.as_str()) == service);
        group.map_or(0.0, |group| group.price)
    };
    let given = own.into_iter().flat_map(|own| own.scale.spanned());
    let given =
        given.map(|(path, span, range)| (Spanned { value: path.to_string(), span }, range.from, range.to));
    for setting in given.chain(asked) {
        wanted.retain(|(path, ..)| path.value != setting.0.value);
        wanted.push(setting);
    }
    for (index, group) in model.groups.iter().enumerate() {
        let path = format!("services.{}.replicas", group.name);
        let is_scaled = model.autoscalers.iter().any(|a| a.group as usize == index);
        let is_service = group.kind == crate::model::GroupKind::Service;
        if is_service && !is_scaled && !wanted.iter().any(|(known, ..)| known.value == path) {
            wanted.push((study.loader().quoted("services", &path), 1, REPLICAS_MAX));
        }
    }
    wanted.sort_by(|a, b| a.0.value.cmp(&b.0.value));
    let mut settings = Vec::new();
    for (path, from, to) in wanted {
        let now = match study.number(&path, variant) {
            Ok(now) => now.or_else(|| path.value.ends_with(".replicas").then_some(1)),
            Err(diagnostic) => return Err(study.mistake(diagnostic)),
        };
        let Some(now) = now else {
            // A setting that does not exist has a better message.
            study.plan("--scale", &[format!("{}=1", path.value)], &Changes::default())?;
            let message = format!("`{}` has no number to start from", path.value);
            let help = "write the setting in the file, as a whole number";
            return Err(study.mistake(Diagnostic::error(path.span, message).help(help)));
        };
        let price = price(&path.value);
        settings.push(Setting { path: path.value, now, from, to, price });
    }
    Ok(settings)
}

/// Answers a question on `team`'s threads.
///
/// # Errors
/// If a setting is wrong, a model lets time stand still, or `progress` says to stop.
pub fn capacity(
    study: &Study,
    question: &Question,
    team: &Team,
    progress: &dyn Progress,
) -> Result<CapacityResult, CapacityError> {
    let mut prober = Prober::new(study, question, team, progress);
    let whole = Effort { within: question.within, runs: question.runs };
    let plan = question.plan(study, &[], 1.0, &[])?;
    let mut points = Vec::new();
    search::search(&mut prober, &[], whole, &mut points)?;
    let mut multiples = Vec::new();
    for load in question.multiples.iter().chain([&question.at_least]) {
        search::at(&mut prober, &[], *load, question.runs, &mut points)?;
    }
    search::curve(&mut prober, question.runs.min(10), &mut points)?;
    let found = search::Found::new(points, &plan);
    let resources = resources::all(&plan.variants[0].model);
    for load in &question.multiples {
        let Some(point) = found.points.iter().find(|p| p.load == *load).cloned() else { continue };
        let sized = sizes::least(&mut prober, &found, &resources, *load)?;
        multiples.push(Multiple { point, sized });
    }
    // Rows to compare: less closely looked for than the answer itself.
    let rough = Effort { within: question.within.max(0.03), runs: question.runs.min(20) };
    let mut without = Vec::new();
    for lost in &question.without {
        let mut points = Vec::new();
        search::search(&mut prober, &lost.timeline, rough, &mut points)?;
        let found = search::Found::new(points, &plan);
        let (name, what, note) = (lost.name.clone(), lost.what.clone(), lost.note.clone());
        without.push(Without { name, what, found, note });
    }
    let objectives = plan.variants[0].expectations.iter().map(|e| ObjectiveInfo {
        text: e.expectation.text.split_whitespace().collect::<Vec<_>>().join(" "),
        unit: e.unit,
        limits: e.limits,
    });
    let at_least = found.points.iter().find(|p| p.load == question.at_least);
    let at_least = (question.at_least, at_least.map_or(Verdict::Inconclusive, |p| p.verdict));
    Ok(CapacityResult {
        name: plan.name.clone(),
        seed: plan.seed,
        variant: question.variant.clone(),
        confidence: question.confidence,
        within: question.within,
        up_to: question.up_to,
        runs: question.runs,
        duration_s: plan.end.seconds(),
        warmup_s: plan.warmup.seconds(),
        objectives: objectives.collect(),
        resources: resources.iter().map(|r| r.name.clone()).collect(),
        full: found.full(resources.len()),
        knee: found.knee(),
        at_least,
        multiples,
        without,
        runs_played: prober.runs,
        events: prober.events,
        warnings: warnings(&found, question),
        found,
    })
}

fn warnings(found: &Found, question: &Question) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some((fails, holds)) = found.not_monotone() {
        warnings.push(format!(
            "the objectives fail at {fails}x and hold again at {holds}x: the system is not monotone in its load; \
             the capacity is the first load at which they break"
        ));
    }
    for (load, split) in found.points.iter().filter_map(|p| Some((p.load, p.split?))) {
        warnings.push(format!(
            "two worlds at {load}x: {} of {} runs are far on the wrong side of a limit and the others far on the \
             right one; the mean over runs describes neither",
            split.wrong, split.runs
        ));
    }
    if question.runs < 10 {
        warnings.push("fewer than 10 runs at each load: intervals are wide".to_string());
    }
    warnings
}
