//! What a sweep found: plain data, ready for any report.

use super::{Found, Setting, SweepPlan, Value, VariantPlan, judge, overload};
use crate::base::units::Unit;
use crate::experiment::judge::SubjectValue;
use crate::experiment::plan::{ExpectationPlan, SubjectPlan, WantedPlan};
use crate::experiment::results::Verdict;
use crate::spec::expression::Operator;

/// All that a sweep found.
#[derive(Clone, Debug)]
pub struct SweepResult {
    /// What it is called.
    pub name: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Runs of each point.
    pub runs: u32,
    /// Simulated seconds of each run of the first point, warm-up included.
    pub duration_s: f64,
    /// Simulated seconds before measuring began.
    pub warmup_s: f64,
    /// Whether each value of each setting is combined with all others.
    pub is_grid: bool,
    /// The settings, in order of writing.
    pub settings: Vec<SettingResult>,
    /// What was measured, in order of asking.
    pub measures: Vec<SweepMeasure>,
    /// The points; in a grid, the last setting changes fastest.
    pub points: Vec<PointResult>,
}

/// A setting that was tried with several values.
#[derive(Clone, Debug)]
pub struct SettingResult {
    /// Its path, or `load`, or `variant`.
    pub path: String,
    /// The unit of its values if all are numbers or quantities of one kind; plain numbers have [`Unit::Level`].
    pub unit: Option<Unit>,
    /// Whether its values are best seen on a logarithmic axis.
    pub is_log: bool,
    /// Its values in a grid, in order; those of all points in a Latin hypercube.
    pub values: Vec<SettingValue>,
}

/// A value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingValue {
    /// As people read it.
    pub text: String,
    /// As a number in the base unit, if it is one.
    pub number: Option<f64>,
}

/// What was measured of each point.
#[derive(Clone, Debug)]
pub struct SweepMeasure {
    /// As written.
    pub text: String,
    /// Its unit.
    pub unit: Unit,
    /// Whether it is a share of runs.
    pub is_share: bool,
    /// The limits it is compared with, one or two; none if it is not compared.
    pub limits: Vec<f64>,
}

/// A point.
#[derive(Clone, Debug)]
pub struct PointResult {
    /// The value of each setting.
    pub values: Vec<SettingValue>,
    /// Each measure.
    pub measures: Vec<Measured>,
    /// That requests pile up, if they do: means over such runs depend on their length.
    pub overload: Option<Overload>,
}

/// A measure of a point.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The mean over runs, or the share of runs; `None` if no run has a value.
    pub value: Option<f64>,
    /// Its 95 % confidence interval; `None` with fewer than two values.
    pub ci95: Option<(f64, f64)>,
    /// How many runs have a value.
    pub runs: usize,
    /// The verdict, if it is compared with a limit. Nothing holds for certain where requests pile up.
    pub verdict: Option<Verdict>,
    /// The value of each run, in order of run; 1 or 0 for an event.
    pub per_run: Vec<Option<f64>>,
}

/// That more is asked of a system than it can do.
#[derive(Clone, Debug, PartialEq)]
pub struct Overload {
    /// The client population whose requests pile up.
    pub client: String,
    /// What it has in flight in the first third of the measured time, mean over runs.
    pub early: f64,
    /// And in the last.
    pub late: f64,
}

/// A measure of a variant that is asked for.
#[derive(Debug)]
pub struct Wanted<'v> {
    /// Where it stands among the subjects of a run.
    pub at: usize,
    /// What is computed.
    subject: &'v SubjectPlan,
    unit: Unit,
    judged: Option<&'v ExpectationPlan>,
}

impl<'v> Wanted<'v> {
    pub fn plain(plan: &'v WantedPlan, at: usize) -> Self {
        Self { at, subject: &plan.subject, unit: plan.unit, judged: None }
    }

    pub fn judged(plan: &'v ExpectationPlan, at: usize) -> Self {
        Self { at, subject: &plan.subject, unit: plan.unit, judged: Some(plan) }
    }

    fn measure(&self, text: &str) -> SweepMeasure {
        let is_share = matches!(
            self.subject,
            SubjectPlan::Recovered(..)
                | SubjectPlan::Metastable(_)
                | SubjectPlan::Holds(..)
                | SubjectPlan::Cascade(_)
        );
        let limits = self.judged.map(|e| e.limits);
        SweepMeasure {
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            unit: self.unit,
            is_share,
            limits: limits.map_or_else(Vec::new, |l| match l.operator {
                Operator::Between => vec![l.limit, l.upper],
                _ => vec![l.limit],
            }),
        }
    }

    fn measured(&self, runs: &[SubjectValue], overloaded: bool) -> Measured {
        let (value, ci95) = judge::summed_up(runs);
        let verdict = self.judged.map(|plan| match judge::verdict_of(plan, runs) {
            Verdict::Held if overloaded => Verdict::Inconclusive,
            verdict => verdict,
        });
        let per_run: Vec<Option<f64>> = runs.iter().map(|run| run.number()).collect();
        Measured { value, ci95, runs: per_run.iter().flatten().count(), verdict, per_run }
    }
}

impl From<&Value> for SettingValue {
    fn from(value: &Value) -> Self {
        Self { text: value.text.clone(), number: value.number }
    }
}

impl SweepPlan {
    /// The result without points.
    pub(super) fn empty(&self) -> SweepResult {
        let setting = |(at, setting): (usize, &Setting)| SettingResult {
            path: setting.path.value.clone(),
            unit: setting.unit,
            is_log: setting.is_log,
            // What a hypercube draws from a list is in the list, too.
            values: match self.is_grid || setting.unit.is_none() {
                true => setting.values.iter().map(SettingValue::from).collect(),
                false => self.points.iter().map(|point| SettingValue::from(&point[at])).collect(),
            },
        };
        SweepResult {
            name: self.name.clone(),
            seed: self.seed,
            runs: self.runs,
            duration_s: self.duration_s,
            warmup_s: self.warmup_s,
            is_grid: self.is_grid,
            settings: self.settings.iter().enumerate().map(setting).collect(),
            measures: Vec::new(),
            points: Vec::new(),
        }
    }

    /// What was measured; the same for all points.
    pub(super) fn measures(&self, variant: &VariantPlan) -> Vec<SweepMeasure> {
        let wanted = self.wanted(variant).zip(&self.measures);
        wanted.map(|(wanted, text)| wanted.measure(&text.value)).collect()
    }

    /// What a point is, from all of its runs in order.
    pub(super) fn point_result(&self, point: usize, variant: &VariantPlan, runs: &[Found]) -> PointResult {
        let overload = overload::judged(variant, runs);
        let measured = |(at, wanted): (usize, Wanted<'_>)| {
            let runs: Vec<SubjectValue> = runs.iter().map(|run| run.values[at]).collect();
            wanted.measured(&runs, overload.is_some())
        };
        PointResult {
            values: self.points[point].iter().map(SettingValue::from).collect(),
            measures: self.wanted(variant).enumerate().map(measured).collect(),
            overload: overload.clone(),
        }
    }
}
