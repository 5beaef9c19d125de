//! Sweeps: how an answer moves with some settings.
//!
//! Every point is planned before any is played, so settings that make no sense are found at once. All runs of all
//! points are played by one team, run k of each point on the same random numbers. What was found of a run is a few
//! numbers that the caller can keep, and hand in again to go on where it stopped.

mod design;
mod overload;
mod question;
mod results;

pub use question::{Asked, Question};
pub use results::{Measured, Overload, PointResult, SettingResult, SettingValue, SweepMeasure, SweepResult};

use super::judge::{self, Examined, SubjectValue};
use super::plan::{Changes, Plan, VariantPlan};
use super::run::{Progress, RunError, play};
use super::study::{Mistakes, Study};
use super::team::Team;
use super::{alerts, cascade, recovery};
use crate::sim::Stop;
use crate::spec::expression;
use crate::spec::load::Override;
use crate::spec::source::Spanned;
use design::{Setting, Value};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use xxhash_rust::xxh64::Xxh64;

/// The most points of a sweep.
pub const POINTS_MAX: usize = 100_000;

/// A sweep whose points have all been planned once.
#[derive(Debug)]
pub struct SweepPlan {
    /// What the results are called.
    pub name: String,
    /// The seed of all random numbers, and of a Latin hypercube.
    pub seed: u64,
    /// Runs of each point.
    pub runs: u32,
    /// A hash over everything that determines the results but the version of the program: two sweeps that agree in it
    /// have the same.
    pub inputs: u64,
    study: Study,
    base: Changes,
    settings: Vec<Setting>,
    points: Vec<Vec<Value>>,
    measures: Vec<Spanned<String>>,
    duration_s: f64,
    warmup_s: f64,
    is_grid: bool,
}

/// Why a sweep could not be planned.
#[derive(Debug)]
pub enum PlanError {
    /// A point makes no sense: its number from 1, how many there are, its settings, and what is wrong with it.
    Point(usize, usize, String, Mistakes),
    /// There are more points than any machine could play.
    TooMany(usize),
    /// It could not be carried out.
    Run(RunError),
}

/// What was found of one run of a point.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What each measure is, in order of asking.
    pub values: Vec<SubjectValue>,
    /// Requests in flight early and late in the calm time, for each client population; empty if that time is too
    /// short to tell.
    pub in_flight: Vec<(f64, f64)>,
}

/// The runs that are known, by point and run, both from 0.
pub type Known = BTreeMap<(usize, u32), Found>;

/// Plans every point. `changes` are those of the command line; `goes_on` is asked again and again.
///
/// # Errors
/// If the question or a point is wrong, or `goes_on` says no.
pub fn plan(
    study: Study,
    question: &Question,
    changes: &Changes,
    team: &Team,
    goes_on: &dyn Fn() -> bool,
) -> Result<SweepPlan, PlanError> {
    let mut base = Changes { series: Some(false), variant: question.variant(), ..changes.clone() };
    for measure in &question.measures {
        // What can be read without a comparison has none.
        match expression::parse_subject(measure) {
            Ok(_) => base.measures.push(measure.clone()),
            Err(_) => base.expect.push(measure.clone()),
        }
    }
    let seed = changes.seed.or(study.experiment().map(|e| e.seed)).unwrap_or(super::plan::SEED);
    let whole = |setting: usize, probe: &[Value]| is_whole(&study, &base, question, setting, probe);
    let settings = design::settings(study.texts(), question, &whole);
    let count = design::count(&settings, question);
    if count > POINTS_MAX {
        return Err(PlanError::TooMany(count));
    }
    let points = design::points(&settings, question, seed);
    let mut sweep = SweepPlan {
        name: String::new(),
        seed,
        runs: 0,
        inputs: 0,
        base,
        settings,
        points,
        measures: question.measures.clone(),
        duration_s: 0.0,
        warmup_s: 0.0,
        is_grid: question.latin.is_none(),
        study,
    };
    let mut inputs = Xxh64::new(1);
    let numbers: Vec<usize> = (0..sweep.points.len()).collect();
    let mut first: Option<Facts> = None;
    team.each(
        &numbers,
        |point| sweep.point(*point).map(|plan| sweep.facts(*point, &plan)),
        |point, facts| {
            let facts = facts.map_err(|mistakes| {
                PlanError::Point(point + 1, sweep.points.len(), sweep.written(point), mistakes)
            })?;
            inputs.update(&facts.hash.to_le_bytes());
            first.get_or_insert(facts);
            match goes_on() {
                true => Ok(()),
                false => Err(PlanError::Run(RunError::Interrupted { done: 0, total: sweep.points.len() })),
            }
        },
    )?;
    if let Some(first) = first {
        (sweep.name, sweep.runs) = (first.name, first.runs);
        (sweep.duration_s, sweep.warmup_s) = (first.duration_s, first.warmup_s);
    }
    inputs.update(&sweep.runs.to_le_bytes());
    sweep.inputs = inputs.digest();
    Ok(sweep)
}

/// What is kept of the plan of a point.
struct Facts {
    hash: u64,
    name: String,
    runs: u32,
    duration_s: f64,
    warmup_s: f64,
}

/// Whether a setting takes whole numbers only: a fraction is refused as such.
fn is_whole(study: &Study, base: &Changes, question: &Question, setting: usize, probe: &[Value]) -> bool {
    let (overrides, changes) = applied(question.paths(), probe, base);
    let Err(Mistakes(loader)) = study.overridden(overrides, &changes) else { return false };
    let span = probe[setting].node.span;
    loader
        .diagnostics
        .iter()
        .any(|d| d.is_error && d.span == Some(span) && d.message.contains("whole number"))
}

/// Values as overrides and changes: `load` and `variant` are no settings of the files.
fn applied<'a>(
    paths: impl Iterator<Item = &'a Spanned<String>>,
    values: &[Value],
    base: &Changes,
) -> (Vec<Override>, Changes) {
    let mut changes = base.clone();
    let mut overrides = Vec::new();
    for (path, value) in paths.zip(values) {
        match path.value.as_str() {
            "load" => changes.load = value.number,
            "variant" => changes.variant = Some(value.text.clone()),
            _ => overrides.push(Override { path: path.clone(), value: value.node.clone() }),
        }
    }
    (overrides, changes)
}

impl SweepPlan {
    /// How many points there are.
    pub fn points(&self) -> usize {
        self.points.len()
    }

    /// How many runs there are in all.
    pub fn total(&self) -> usize {
        self.points.len() * self.runs as usize
    }

    /// The settings of a point as flags would say them.
    pub fn written(&self, point: usize) -> String {
        let pairs = self.settings.iter().zip(&self.points[point]);
        pairs
            .map(|(setting, value)| format!("{}={}", setting.path.value, value.text))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The plan of a point, which records what tells whether requests pile up.
    fn point(&self, point: usize) -> Result<Plan, Mistakes> {
        let paths = self.settings.iter().map(|s| &s.path);
        let (overrides, changes) = applied(paths, &self.points[point], &self.base);
        let mut plan = self.study.overridden(overrides, &changes)?;
        plan.variants.truncate(1);
        for variant in &mut plan.variants {
            overload::record(variant);
        }
        Ok(plan)
    }

    /// What is kept of a plan, with a hash over all that determines the runs of a point.
    fn facts(&self, point: usize, plan: &Plan) -> Facts {
        let mut hash = Hashed(Xxh64::new(0));
        let v = &plan.variants[0];
        let subjects: Vec<_> = self.wanted(v).collect();
        let written = self.written(point);
        let run = (plan.seed, plan.warmup, plan.end, plan.recovery);
        let system = (&v.model, &v.script, &v.faults, &v.objectives, &v.alerts, &v.recorded);
        // Hashing cannot fail.
        let _ = write!(hash, "{written:?}{run:?}{system:?}{subjects:?}");
        for measure in &self.measures {
            let _ = write!(hash, "{:?}", measure.value);
        }
        Facts {
            hash: hash.0.digest(),
            name: plan.name.clone(),
            runs: plan.runs,
            duration_s: plan.end.seconds(),
            warmup_s: plan.warmup.seconds(),
        }
    }

    /// The measures of a variant in order of asking: what is computed, the limits if it is compared with any, and
    /// where it stands among the subjects.
    fn wanted<'v>(&'v self, v: &'v VariantPlan) -> impl Iterator<Item = results::Wanted<'v>> {
        let mut judged = v.expectations.len() - self.base.expect.len()..v.expectations.len();
        let mut plain = 0..v.measures.len();
        self.measures.iter().map(move |text| {
            if self.base.measures.contains(text) {
                let at = plain.next().expect("all measures were planned");
                results::Wanted::plain(&v.measures[at], v.expectations.len() + at)
            } else {
                let at = judged.next().expect("all expectations were planned");
                results::Wanted::judged(&v.expectations[at], at)
            }
        })
    }

    /// Plays all runs that are not known. `keep` is told of each run as it is done, in order; what it answers may end
    /// the sweep.
    ///
    /// # Errors
    /// If a model lets time stand still, `keep` fails, or `progress` says to stop.
    pub fn play<E: From<RunError>>(
        &self,
        team: &Team,
        known: &Known,
        keep: &mut dyn FnMut(usize, u32, &Found) -> Result<(), E>,
        progress: &dyn Progress,
    ) -> Result<SweepResult, E> {
        let all = (0..self.points.len()).flat_map(|point| (0..self.runs).map(move |run| (point, run)));
        let units: Vec<(usize, u32)> = all.filter(|unit| !known.contains_key(unit)).collect();
        let plans = Plans { sweep: self, plans: self.points.iter().map(|_| Mutex::new(None)).collect() };
        let mut result = self.empty();
        result.measures = self.measures(&plans.get(0).variants[0]);
        let mut runs: BTreeMap<u32, Found> = BTreeMap::new();
        let mut fold = |point: usize, runs: &mut BTreeMap<u32, Found>| {
            let plan = plans.get(point);
            for run in 0..self.runs {
                if let Some(found) = known.get(&(point, run)) {
                    runs.insert(run, found.clone());
                }
            }
            let runs: Vec<Found> = std::mem::take(runs).into_values().collect();
            result.points.push(self.point_result(point, &plan.variants[0], &runs));
            plans.drop(point);
        };
        let mut next = 0;
        team.each(
            &units,
            |(point, run)| {
                let plan = plans.get(*point);
                found(&plan, &plan.variants[0], *run, self)
            },
            |done, (stop, found)| {
                let (point, run) = units[done];
                if stop == Stop::TimeStandsStill {
                    let variant = self.written(point);
                    return Err(E::from(RunError::TimeStandsStill { variant }));
                }
                keep(point, run, &found)?;
                while next < point {
                    fold(next, &mut runs);
                    next += 1;
                }
                runs.insert(run, found);
                match progress.runs_done(done + 1, units.len()) {
                    true => Ok(()),
                    false => Err(E::from(RunError::Interrupted { done: done + 1, total: units.len() })),
                }
            },
        )?;
        while next < self.points.len() {
            fold(next, &mut runs);
            next += 1;
        }
        Ok(result)
    }
}

/// Plays a run and keeps what is asked of it.
fn found(plan: &Plan, variant: &VariantPlan, run: u32, sweep: &SweepPlan) -> (Stop, Found) {
    let played = play(variant, plan.seed, u64::from(run));
    let faults = recovery::examine(plan, variant, &played.record);
    let alerts = alerts::examine(&variant.alerts, &variant.recorded.columns, &played.record.rows);
    let cascades = cascade::examine(plan, variant, &played.record, &faults);
    let record = &played.record;
    let examined = Examined { variant, record, faults: &faults, alerts: &alerts, cascades: &cascades };
    let subjects = judge::subjects(examined);
    let values = sweep.wanted(variant).map(|wanted| subjects[wanted.at]).collect();
    (
        played.summary.stop,
        Found { values, in_flight: overload::in_flight(plan, variant, &played.record.rows) },
    )
}

/// The plans of the points that are under way: a sweep of thousands keeps only a few.
struct Plans<'s> {
    sweep: &'s SweepPlan,
    plans: Vec<Mutex<Option<Arc<Plan>>>>,
}

impl Plans<'_> {
    fn get(&self, point: usize) -> Arc<Plan> {
        let mut slot = self.plans[point].lock().unwrap_or_else(PoisonError::into_inner);
        let plan = slot.get_or_insert_with(|| {
            Arc::new(self.sweep.point(point).expect("every point has been planned once"))
        });
        Arc::clone(plan)
    }

    fn drop(&self, point: usize) {
        *self.plans[point].lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A hash of what is written to it.
struct Hashed(Xxh64);

impl fmt::Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}
