//! Objectives: how well each population, and each of its requests, was served against stated targets, and what is left
//! of the error budgets.
//!
//! The error budget of a period is what may fail of the requests that come in it at the rate of the measured time. The
//! burn rate is the share that failed over the share that may: at 1 the budget lasts exactly for its period (Beyer et
//! al., The Site Reliability Workbook, 2018, chapters 2 and 5).

use super::measures::Subject;
use super::plan::WindowPlan;
use super::results::{ObjectiveResult, ObjectiveTarget};
use crate::base::units::Unit;
use crate::metrics::{Estimate, Meters, Source};
use crate::model::Model;
use crate::spec::check::timeline::percentile_quantile;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::{Experiment, Objective};
use crate::spec::expression::{Measure, Statistic};
use crate::spec::source::Span;

/// The objective of a population or of one of its requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// What it is about: `users`, or `users.api/list`.
    pub name: String,
    /// Its red.
    pub red: u32,
    /// The share of requests that must succeed.
    pub availability: f64,
    /// Percentiles by name, as quantiles, with their limits in seconds.
    pub latency: Vec<(String, f64, f64)>,
    /// Seconds that the error budget is for.
    pub period_s: f64,
}

/// A number about an objective: `objectives.NAME.…`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Of {
    /// `availability`: the share of the requests ended that ended well.
    Availability,
    /// `budget_left`: the share of the period's error budget that is left; less than nothing if more failed.
    BudgetLeft,
    /// `burn_rate`: the share that failed over the share that may.
    BurnRate,
    /// A quantile of latency.
    Latency(f64),
}

/// The numbers by name, with unit and meaning.
pub const NUMBERS: [(&str, Of, Unit, &str); 3] = [
    ("availability", Of::Availability, Unit::Ratio, "share of the requests ended that ended well"),
    (
        "budget_left",
        Of::BudgetLeft,
        Unit::Ratio,
        "share of the error budget of the objective's period that is left; negative if it is overdrawn",
    ),
    (
        "burn_rate",
        Of::BurnRate,
        Unit::Level,
        "share of requests that failed over the share that may fail: at 1 the budget lasts for its period",
    ),
];

/// The objectives of an experiment, in order of name, each population before its requests. That all of them are there
/// was checked.
pub fn plan(experiment: &Experiment, model: &Model) -> Vec<Slo> {
    let mut all = Vec::new();
    for (name, objective) in experiment.objectives.iter() {
        let Some(index) = model.clients.iter().position(|c| c.name == name) else { continue };
        let meters = model.catalog.clients[index];
        all.push(slo(name.to_string(), meters.red, objective));
        for (request, objective) in objective.endpoints.iter() {
            let place = model.clients[index].requests.iter().position(|r| r == request);
            all.extend(
                place.map(|at| slo(format!("{name}.{request}"), meters.requests + at as u32, objective)),
            );
        }
    }
    all
}

fn slo(name: String, red: u32, objective: &Objective) -> Slo {
    let latency = objective.latency.iter();
    Slo {
        name,
        red,
        availability: objective.availability.0,
        latency: latency
            .filter_map(|(p, limit)| Some((p.to_string(), percentile_quantile(p)?, limit.0)))
            .collect(),
        period_s: objective.period.0,
    }
}

impl Slo {
    /// A number about it over a part of the run, from the meters of that part.
    pub fn value(&self, what: Of, meters: &Meters) -> Option<f64> {
        let red = &meters.reds[self.red as usize];
        let (ended, bad) = (red.ended() as f64, (red.ended() - red.good()) as f64);
        let budget = 1.0 - self.availability;
        match what {
            Of::Availability => (ended > 0.0).then(|| 1.0 - bad / ended),
            Of::BurnRate => (ended > 0.0 && budget > 0.0).then(|| bad / ended / budget),
            Of::BudgetLeft => {
                let budgeted = budget * red.arrivals as f64 / meters.seconds * self.period_s;
                (budgeted > 0.0).then(|| 1.0 - bad / budgeted)
            }
            Of::Latency(quantile) => meters.value(Source::TimerQuantile(self.red, quantile)),
        }
    }

    /// Everything that is told about it.
    fn numbers(&self) -> impl Iterator<Item = Of> + '_ {
        let of_all = [Of::Availability, Of::BudgetLeft, Of::BurnRate].into_iter();
        of_all.chain(self.latency.iter().map(|(_, quantile, _)| Of::Latency(*quantile)))
    }
}

/// What is told about all objectives, in one run.
pub fn examine(slos: &[Slo], measured: &Meters) -> Vec<Vec<Option<f64>>> {
    slos.iter().map(|slo| slo.numbers().map(|what| slo.value(what, measured)).collect()).collect()
}

/// What it means over all runs.
pub fn results(slos: &[Slo], runs: &[Vec<Vec<Option<f64>>>]) -> Vec<ObjectiveResult> {
    let result = |(number, slo): (usize, &Slo)| {
        let estimate = |at: usize| {
            Estimate::of_present(&runs.iter().map(|run| run[number][at]).collect::<Vec<Option<f64>>>())
        };
        let target = |(at, (name, _, limit)): (usize, &(String, f64, f64))| ObjectiveTarget {
            percentile: name.clone(),
            limit_s: *limit,
            latency: estimate(3 + at),
        };
        ObjectiveResult {
            name: slo.name.clone(),
            target: slo.availability,
            period_s: slo.period_s,
            availability: estimate(0),
            budget_left: estimate(1),
            burn_rate: estimate(2),
            latency: slo.latency.iter().enumerate().map(target).collect(),
        }
    };
    slos.iter().enumerate().map(result).collect()
}

/// A number about an objective over a part of the run.
#[derive(Clone, Debug)]
pub struct SloMeasure {
    /// The objective, by number.
    pub slo: usize,
    /// What of it.
    pub what: Of,
    /// Over which part.
    pub window: WindowPlan,
}

/// `objectives.users.budget_left` and the like.
pub fn find(subject: &Subject<'_>, measure: &Measure, span: Span) -> Result<(SloMeasure, Unit), Diagnostic> {
    let path = measure.path.strip_prefix("objectives.").unwrap_or_default();
    let (name, what) = path.rsplit_once('.').unwrap_or((path, ""));
    let slo = subject.slos.iter().position(|slo| slo.name == name).ok_or_else(|| {
        Diagnostic::error(span, format!("there is no objective `{name}`"))
            .nearest(name, subject.slos.iter().map(|slo| slo.name.as_str()))
    })?;
    let Some((_, of, unit, _)) = NUMBERS.iter().find(|(known, ..)| *known == what) else {
        return Err(Diagnostic::error(span, format!("there is no metric `{}`", measure.path))
            .nearest(what, NUMBERS.iter().map(|(known, ..)| *known)));
    };
    if measure.statistic != Statistic::Value {
        return Err(Diagnostic::error(span, "an objective has no statistics: it is one number"));
    }
    let has_budget = subject.slos[slo].availability < 1.0;
    if !has_budget && *of != Of::Availability {
        return Err(Diagnostic::error(span, format!("`{name}` has no error budget: nothing may fail")));
    }
    Ok((SloMeasure { slo, what: *of, window: subject.window(&measure.window)? }, *unit))
}
