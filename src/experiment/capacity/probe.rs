//! One load: runs until it is known whether the objectives hold.

use super::resources::{self, Resource};
use super::{CapacityError, Question};
use crate::experiment::judge::{self, Examined, SubjectValue};
use crate::experiment::plan::{Plan, VariantPlan};
use crate::experiment::results::Verdict;
use crate::experiment::run::{Progress, RunError, merged, play};
use crate::experiment::stationary::piles_up;
use crate::experiment::study::Study;
use crate::experiment::team::Team;
use crate::experiment::{alerts, cascade, recovery};
use crate::metrics::estimate::{binomial_with, paired_difference};
use crate::metrics::{Estimate, Source};
use crate::model::Model;
use crate::sim::Stop;
use crate::spec::experiment::At;
use crate::spec::expression::Limits;

/// The runs of the first look at a load; each further look has twice as many.
const FIRST_LOOK: u32 = 5;

/// The least measured seconds in which it can be seen whether requests pile up.
const SECONDS_MIN: usize = 9;

/// How closely to look, and at what cost.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How far the highest load that holds may be from the lowest that does not, relative to it.
    pub within: f64,
    /// The most runs at each load.
    pub runs: u32,
}

/// A mean over runs with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The mean.
    pub mean: f64,
    /// The lower end of the interval.
    pub lo: f64,
    /// The upper end of the interval.
    pub hi: f64,
}

/// What an objective is about, at one load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The mean over runs, or the share of runs; none if no run has a value.
    pub value: Option<Bounds>,
    /// The distance of the value to the limit, negative on the wrong side.
    pub margin: Option<f64>,
    /// Whether it surely holds, or surely fails.
    pub verdict: Verdict,
}

/// Requests that pile up.
#[derive(Clone, Debug, PartialEq)]
pub struct Pile {
    /// Where.
    pub place: String,
    /// Requests in the first third of the measured time.
    pub early: f64,
    /// Requests in the last third.
    pub late: f64,
}

/// Runs that went two ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Runs on the wrong side of the limit.
    pub wrong: usize,
    /// All runs.
    pub runs: usize,
}

/// What was found at one load.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The load, as a multiple of the file's.
    pub load: f64,
    /// Runs played.
    pub runs: u32,
    /// Requests that the clients sent per second.
    pub rate: Option<Bounds>,
    /// Requests of the clients that ended well, per second.
    pub goodput: Option<Bounds>,
    /// Their mean latency in seconds.
    pub latency: Option<Bounds>,
    /// Each objective.
    pub objectives: Vec<Measured>,
    /// The used share of each resource.
    pub usage: Vec<Option<Bounds>>,
    /// The mean wait for each resource, in seconds.
    pub wait: Vec<Option<Bounds>>,
    /// The cost per hour, if anything has a price.
    pub cost: Option<Bounds>,
    /// Requests that pile up: the load is more than the system can do, whatever its objectives say.
    pub pile: Option<Pile>,
    /// Runs that went two ways.
    pub split: Option<Split>,
    /// Whether all objectives surely hold, or one surely fails.
    pub verdict: Verdict,
}

impl Point {
    /// The least distance to a limit, relative to it; at most -1 where requests pile up, or nothing was measured.
    pub fn margin(&self, limits: &[Limits]) -> f64 {
        if self.pile.is_some() {
            return -1.0;
        }
        let margins = self.objectives.iter().zip(limits).map(|(measured, limits)| {
            let scale = if limits.limit == 0.0 { 1.0 } else { limits.limit.abs() };
            measured.margin.map_or(-1.0, |margin| margin / scale)
        });
        margins.fold(f64::INFINITY, f64::min)
    }
}

/// What is kept of one run.
struct Sample {
    stop: Stop,
    events: u64,
    subjects: Vec<SubjectValue>,
    rate: Option<f64>,
    goodput: Option<f64>,
    latency: Option<f64>,
    cost: Option<f64>,
    usage: Vec<Option<f64>>,
    wait: Vec<Option<f64>>,
    /// Of each place where requests may pile up: the mean level early and late.
    levels: Vec<(f64, f64)>,
}

/// Plays loads.
pub struct Prober<'a> {
    study: &'a Study,
    /// What is asked.
    pub question: &'a Question,
    team: &'a Team,
    progress: &'a dyn Progress,
    /// Runs played so far.
    pub runs: usize,
    /// Events played so far.
    pub events: u64,
}

impl<'a> Prober<'a> {
    /// Nothing is played yet.
    pub fn new(study: &'a Study, question: &'a Question, team: &'a Team, progress: &'a dyn Progress) -> Self {
        Self { study, question, team, progress, runs: 0, events: 0 }
    }

    /// Plays a load with sizes and with something missing, in at most so many runs.
    pub fn point(
        &mut self,
        lost: &[At],
        sizes: &[String],
        load: f64,
        runs_max: u32,
    ) -> Result<Point, CapacityError> {
        let mut plan = self.question.plan(self.study, sizes, load, lost)?;
        let variant = &mut plan.variants[0];
        let resources = resources::all(&variant.model);
        let places = places(&variant.model);
        let columns: Vec<usize> =
            places.iter().map(|(_, gauge)| variant.recorded.column(Source::Level(*gauge, 1.0))).collect();
        // A fault that ends leaves a backlog that drains: there, growth means nothing.
        let is_steady =
            variant.faults.iter().all(|f| f.start == crate::base::SimTime::ZERO && f.end.is_none());
        let columns = if is_steady { columns } else { Vec::new() };
        let looks = looks(self.question.runs).len() as f64;
        let tests = looks * plan.variants[0].expectations.len().max(1) as f64;
        let confidence = 1.0 - (1.0 - self.question.confidence) / tests;
        let mut samples: Vec<Sample> = Vec::new();
        for look in looks_up_to(runs_max) {
            self.play(&plan, samples.len() as u32..look, &resources, &columns, &mut samples)?;
            let judged = judge_all(&plan.variants[0], &samples, confidence);
            let pile = pile(&places, &samples);
            let verdict = if pile.is_some() { Verdict::Failed } else { together(&judged) };
            if verdict != Verdict::Inconclusive || look == runs_max {
                return Ok(self.summed_up(load, &plan.variants[0], &samples, judged, pile, verdict));
            }
        }
        unreachable!("the last look returns")
    }

    fn play(
        &mut self,
        plan: &Plan,
        runs: std::ops::Range<u32>,
        resources: &[Resource],
        columns: &[usize],
        samples: &mut Vec<Sample>,
    ) -> Result<(), CapacityError> {
        let units: Vec<u32> = runs.collect();
        let variant = &plan.variants[0];
        self.team.each(
            &units,
            |run| sample(plan, variant, *run, resources, columns),
            |_, sample| {
                self.runs += 1;
                self.events += sample.events;
                if sample.stop == Stop::TimeStandsStill {
                    return Err(RunError::TimeStandsStill { variant: variant.name.clone() });
                }
                samples.push(sample);
                // How many runs there will be is not known before they are played.
                match self.progress.runs_done(self.runs, self.runs + units.len()) {
                    true => Ok(()),
                    false => Err(RunError::Interrupted { done: self.runs, total: self.runs + units.len() }),
                }
            },
        )?;
        Ok(())
    }

    fn summed_up(
        &self,
        load: f64,
        variant: &VariantPlan,
        samples: &[Sample],
        objectives: Vec<Measured>,
        pile: Option<Pile>,
        verdict: Verdict,
    ) -> Point {
        let bounds = |value: &dyn Fn(&Sample) -> Option<f64>| {
            let values: Vec<f64> = samples.iter().filter_map(value).collect();
            bounds(&values, self.question.confidence)
        };
        let of_each = |value: fn(&Sample) -> &[Option<f64>]| {
            let count = samples.first().map_or(0, |s| value(s).len());
            (0..count).map(|at| bounds(&|s: &Sample| value(s)[at])).collect::<Vec<_>>()
        };
        let splits = variant.expectations.iter().enumerate();
        let splits = splits.filter_map(|(at, e)| {
            let values: Vec<f64> = samples.iter().filter_map(|s| number(s.subjects[at])).collect();
            split(&values, &e.limits)
        });
        Point {
            load,
            runs: samples.len() as u32,
            rate: bounds(&|s| s.rate),
            goodput: bounds(&|s| s.goodput),
            latency: bounds(&|s| s.latency),
            objectives,
            usage: of_each(|s| &s.usage),
            wait: of_each(|s| &s.wait),
            cost: bounds(&|s| s.cost),
            pile,
            split: splits.max_by_key(|split| split.wrong),
            verdict,
        }
    }
}

/// Numbers of runs after which a load is looked at, up to a budget.
fn looks(runs_max: u32) -> Vec<u32> {
    let mut looks = vec![FIRST_LOOK.min(runs_max)];
    while looks[looks.len() - 1] < runs_max {
        looks.push((2 * looks[looks.len() - 1]).min(runs_max));
    }
    looks
}

fn looks_up_to(runs_max: u32) -> impl Iterator<Item = u32> {
    looks(runs_max).into_iter()
}

/// Where requests may pile up: clients, services, databases and externals.
fn places(model: &Model) -> Vec<(String, u32)> {
    let clients = model.clients.iter().zip(&model.catalog.clients);
    let clients = clients.map(|(client, meters)| (format!("clients.{}", client.name), meters.in_flight));
    let groups = model.groups.iter().zip(&model.catalog.groups);
    clients.chain(groups.map(|(group, meters)| (group.name.clone(), meters.in_flight))).collect()
}

fn sample(plan: &Plan, variant: &VariantPlan, run: u32, resources: &[Resource], columns: &[usize]) -> Sample {
    let played = play(variant, plan.seed, u64::from(run));
    let measured = merged(&played.record.windows, plan.warmup, plan.end, variant);
    let faults = recovery::examine(plan, variant, &played.record);
    let alerts = alerts::examine(&variant.alerts, &variant.recorded.columns, &played.record.rows);
    let cascades = cascade::examine(plan, variant, &played.record, &faults);
    let record = &played.record;
    let examined = Examined { variant, record, faults: &faults, alerts: &alerts, cascades: &cascades };
    let catalog = &variant.model.catalog;
    let sum = |source: fn(u32) -> Source| {
        catalog.clients.iter().map(|c| measured.value(source(c.red))).try_fold(0.0, |sum, v| Some(sum + v?))
    };
    let (mut time, mut count) = (0.0, 0.0);
    for client in &catalog.clients {
        let ended = measured.timers[client.red as usize].count() as f64;
        time += measured.value(Source::TimerMean(client.red)).unwrap_or(0.0) * ended;
        count += ended;
    }
    let width = variant.recorded.columns.len();
    let (first, end) = (plan.warmup.seconds().ceil() as usize, plan.end.seconds() as usize);
    let third = end.saturating_sub(first) / 3;
    let level = |column: usize, from: usize| {
        let values = (from..from + third).filter_map(|s| played.record.rows.get(s * width + column));
        values.filter(|v| !v.is_nan()).sum::<f64>() / third as f64
    };
    let levels = match end.saturating_sub(first) < SECONDS_MIN {
        true => Vec::new(),
        false => columns.iter().map(|column| (level(*column, first), level(*column, end - third))).collect(),
    };
    Sample {
        stop: played.summary.stop,
        events: played.summary.events,
        subjects: judge::subjects(examined),
        rate: sum(Source::Rate),
        goodput: sum(Source::Goodput),
        latency: (count > 0.0).then(|| time / count),
        cost: catalog.cost.and_then(|(gauge, counter)| measured.value(Source::Spent(gauge, counter))),
        usage: resources.iter().map(|r| r.usage(&measured)).collect(),
        wait: resources.iter().map(|r| r.wait(&measured)).collect(),
        levels,
    }
}

fn bounds(values: &[f64], confidence: f64) -> Option<Bounds> {
    let estimate = Estimate::with(values, confidence)?;
    let mean = estimate.mean;
    Some(Bounds { mean, lo: estimate.lo.unwrap_or(mean), hi: estimate.hi.unwrap_or(mean) })
}

fn number(subject: SubjectValue) -> Option<f64> {
    match subject {
        SubjectValue::Number(number) => number,
        SubjectValue::Happened(_) => None,
    }
}

/// Every objective over the runs so far.
fn judge_all(variant: &VariantPlan, samples: &[Sample], confidence: f64) -> Vec<Measured> {
    let expectations = variant.expectations.iter().enumerate();
    let judged = expectations.map(|(at, expectation)| {
        let values: Vec<SubjectValue> = samples.iter().map(|s| s.subjects[at]).collect();
        let value = if values.iter().any(|v| matches!(v, SubjectValue::Happened(_))) {
            let happened = values.iter().filter(|v| **v == SubjectValue::Happened(true)).count();
            let share = binomial_with(happened as u64, values.len() as u64, confidence);
            share.map(|s| Bounds { mean: s.share, lo: s.lo, hi: s.hi })
        } else {
            bounds(&values.iter().filter_map(|v| number(*v)).collect::<Vec<_>>(), confidence)
        };
        let limits = &expectation.limits;
        Measured {
            value,
            margin: value.map(|v| limits.margin(v.mean)),
            verdict: judge::judge(value.map(|v| v.mean), value.map(|v| (v.lo, v.hi)), limits),
        }
    });
    judged.collect()
}

/// All must hold; one that fails is enough to fail.
fn together(judged: &[Measured]) -> Verdict {
    let any = |verdict| judged.iter().any(|j| j.verdict == verdict);
    if any(Verdict::Failed) {
        Verdict::Failed
    } else if any(Verdict::Inconclusive) {
        Verdict::Inconclusive
    } else {
        Verdict::Held
    }
}

/// Where requests pile up, most first: by much in the mean over runs, and surely.
fn pile(places: &[(String, u32)], samples: &[Sample]) -> Option<Pile> {
    let mut worst: Option<Pile> = None;
    for (at, (place, _)) in places.iter().enumerate() {
        let levels: Vec<(f64, f64)> = samples.iter().filter_map(|s| s.levels.get(at).copied()).collect();
        let (early, late): (Vec<f64>, Vec<f64>) = levels.into_iter().unzip();
        let Some(growth) = paired_difference(&early, &late) else { continue };
        let mean = early.iter().sum::<f64>() / early.len() as f64;
        let pile = Pile { place: place.clone(), early: mean, late: mean + growth.mean };
        if !piles_up(pile.early, pile.late) || growth.lo.is_none_or(|lo| lo <= 0.0) {
            continue;
        }
        if worst.as_ref().is_none_or(|w| pile.late - pile.early > w.late - w.early) {
            worst = Some(pile);
        }
    }
    worst
}

/// Whether runs went two ways: two clusters, far apart for their width, with the limit between them.
///
/// The best cut in two explains more than nine tenths of the variance (of a normal sample it explains 2 / pi, of a
/// uniform one three quarters), at least two runs are on either side, and one mean is at least twice the other.
fn split(values: &[f64], limits: &Limits) -> Option<Split> {
    const EXPLAINED: f64 = 0.9;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let spread = |part: &[f64]| {
        let middle = mean(part);
        part.iter().map(|v| (v - middle) * (v - middle)).sum::<f64>()
    };
    let whole = spread(&sorted);
    let cuts = (2..n.saturating_sub(1)).map(|cut| (cut, spread(&sorted[..cut]) + spread(&sorted[cut..])));
    let (cut, left) = cuts.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let (low, high) = (mean(&sorted[..cut]), mean(&sorted[cut..]));
    let is_split = whole > 0.0
        && left <= (1.0 - EXPLAINED) * whole
        && high >= 2.0 * low
        && limits.holds(sorted[cut - 1]) != limits.holds(sorted[cut]);
    is_split.then(|| Split { wrong: sorted.iter().filter(|v| !limits.holds(**v)).count(), runs: n })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::expression::Operator;

    #[test]
    fn looks_double_up_to_the_budget() {
        assert_eq!(looks(40), [5, 10, 20, 40]);
        assert_eq!(looks(12), [5, 10, 12]);
        assert_eq!(looks(3), [3]);
    }

    #[test]
    fn two_worlds_are_told_from_spread() {
        let limits = Limits { operator: Operator::Less, limit: 1.0, upper: 1.0 };
        let worlds = [0.1, 0.12, 0.11, 0.13, 9.0, 9.5, 8.8, 0.1];
        assert_eq!(split(&worlds, &limits), Some(Split { wrong: 3, runs: 8 }));
        // Even spread around the limit; and two clusters on the same side of it.
        assert_eq!(split(&[0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3], &limits), None);
        assert_eq!(split(&[0.1, 0.1, 0.1, 0.5, 0.5, 0.5], &limits), None);
        assert_eq!(split(&[0.1, 5.0], &limits), None);
    }
}
