//! Candidates: settings, and what was found of them so far. Run k of every candidate is played on the same random
//! numbers, so candidates are compared on the same luck.

use super::knobs::Dial;
use super::{Aimed, Question};
use crate::base::units::Unit;
use crate::experiment::judge::{SubjectValue, summed_up, verdict};
use crate::experiment::plan::{Changes, ExpectationPlan, Plan};
use crate::experiment::results::{ExpectationResult, Verdict};
use crate::experiment::run::{Progress, RunError, examine};
use crate::experiment::study::{Mistakes, Study};
use crate::experiment::team::Team;
use crate::sim::Stop;
use std::collections::BTreeMap;

/// One file that is played with each candidate's settings.
#[derive(Debug)]
pub struct Part {
    /// The file's name, for reports; empty for the file that is tuned.
    pub file: String,
    /// The file.
    pub study: Study,
    /// What is changed about it in any case.
    pub changes: Changes,
    /// What must hold in it.
    pub constraints: Vec<ExpectationPlan>,
    /// Expectations of the file itself, which come first among what a run tells.
    own: usize,
}

/// A candidate.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Where it was first looked for.
    pub stage: &'static str,
    /// Its place in the unit box; empty for the settings as they are.
    pub point: Vec<f64>,
    /// The values of the settings, as RON.
    pub values: Vec<String>,
    /// Why it cannot be played, if it cannot.
    pub impossible: Option<String>,
    /// Runs played.
    pub runs: u32,
    /// What each constraint is in each run, all files one after the other.
    constraints: Vec<Vec<SubjectValue>>,
    /// What each aim is in each run.
    aims: Vec<Vec<SubjectValue>>,
}

/// How a candidate stands, for comparisons: less is better.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// How far constraints are missed: 0 if none is. Infinite if it cannot be played.
    pub violation: f64,
    /// Constraints that are met by the mean and not by the whole interval.
    pub open: usize,
    /// The aims, each to be small.
    pub aims: Vec<f64>,
}

/// All candidates.
pub struct Bench<'b> {
    /// The settings.
    pub dials: Vec<Dial>,
    /// The files.
    pub parts: Vec<Part>,
    /// The aims: text, unit, and whether it is to be large.
    pub aims: Vec<(String, Unit, bool)>,
    /// The candidates, in order of trying; the first is the settings as they are.
    pub trials: Vec<Trial>,
    /// Runs played.
    pub played: u32,
    /// Runs planned, for the progress.
    pub planned: u32,
    known: BTreeMap<Vec<String>, usize>,
    team: &'b Team,
    progress: &'b dyn Progress,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum TuneError {
    /// The question makes no sense; the messages are ready to be shown.
    Mistakes(Mistakes),
    /// The runs could not be carried out.
    Run(RunError),
}

impl From<RunError> for TuneError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<Mistakes> for TuneError {
    fn from(mistakes: Mistakes) -> Self {
        Self::Mistakes(mistakes)
    }
}

/// What messages call the place where a candidate's settings stand.
pub const PLACE: &str = "a setting that is tried";

impl<'b> Bench<'b> {
    /// The settings as they are, planned, and each end of every range.
    ///
    /// # Errors
    /// If the file, an aim, a constraint or a setting makes no sense.
    pub fn new(question: &Question, team: &'b Team, progress: &'b dyn Progress) -> Result<Self, TuneError> {
        let mut parts = Vec::new();
        let mut aims = Vec::new();
        for (number, file) in question.files.iter().enumerate() {
            let changes = Changes {
                variant: file.variant.clone(),
                series: Some(false),
                expect: file.subject_to.clone(),
                measures: question
                    .aims
                    .iter()
                    .filter(|_| number == 0)
                    .map(|(text, _)| text.clone())
                    .collect(),
                ..question.changes.clone()
            };
            let plan = file.study.plan(PLACE, &[], &changes)?;
            let variant = &plan.variants[0];
            let own = variant.expectations.len() - file.subject_to.len();
            aims.extend(
                variant
                    .measures
                    .iter()
                    .zip(&question.aims)
                    .map(|(m, (_, is_large))| (m.text.clone(), m.unit, *is_large)),
            );
            let constraints = variant.expectations[own..].to_vec();
            let (file, study) = (file.name.clone(), file.study.clone());
            parts.push(Part { file, study, changes, constraints, own });
        }
        let mut bench = Self {
            dials: question.dials.clone(),
            parts,
            aims,
            trials: Vec::new(),
            played: 0,
            planned: 0,
            known: BTreeMap::new(),
            team,
            progress,
        };
        bench.trials.push(bench.trial("present", Vec::new(), Vec::new()));
        bench.probe()?;
        Ok(bench)
    }

    /// Tries both ends of every range, so that a path that leads nowhere is found at once. A value may be impossible
    /// beside the present values of the others; if both ends are, the setting itself is wrong.
    fn probe(&self) -> Result<(), TuneError> {
        for dial in &self.dials {
            for part in &self.parts {
                let plan = |at: f64| {
                    part.study.plan(PLACE, &[format!("{}={}", dial.path, dial.value(at))], &part.changes)
                };
                if let Err(mistakes) = plan(0.0)
                    && plan(1.0).is_err()
                {
                    return Err(mistakes.into());
                }
            }
        }
        Ok(())
    }

    fn trial(&self, stage: &'static str, point: Vec<f64>, values: Vec<String>) -> Trial {
        let constraints = self.parts.iter().map(|part| part.constraints.len()).sum();
        Trial {
            stage,
            point,
            values,
            impossible: None,
            runs: 0,
            constraints: vec![Vec::new(); constraints],
            aims: vec![Vec::new(); self.aims.len()],
        }
    }

    /// The candidate at a point of the unit box, and whether it is new.
    pub fn at(&mut self, stage: &'static str, point: &[f64]) -> (usize, bool) {
        let values: Vec<String> = self.dials.iter().zip(point).map(|(dial, at)| dial.value(*at)).collect();
        if let Some(known) = self.known.get(&values) {
            return (*known, false);
        }
        let number = self.trials.len();
        self.known.insert(values.clone(), number);
        let trial = self.trial(stage, point.to_vec(), values);
        self.trials.push(trial);
        (number, true)
    }

    /// Drops the candidates from a number on, of which none has been played.
    pub fn forget(&mut self, from: usize) {
        self.trials.truncate(from);
        self.known.retain(|_, number| *number < from);
    }

    /// A copy of a candidate of which nothing has been found yet, for runs under another seed.
    pub fn afresh(&self, number: usize) -> Trial {
        let trial = &self.trials[number];
        Trial {
            impossible: trial.impossible.clone(),
            ..self.trial(trial.stage, trial.point.clone(), trial.values.clone())
        }
    }

    /// Settings as they are given to a file.
    pub fn settings(&self, values: &[String]) -> Vec<String> {
        self.dials.iter().zip(values).map(|(dial, value)| format!("{}={value}", dial.path)).collect()
    }

    /// How many runs of one file each run of a candidate takes.
    pub fn files(&self) -> u32 {
        self.parts.len() as u32
    }

    /// Plays candidates until each has `runs` runs.
    ///
    /// # Errors
    /// If `progress` says to stop.
    pub fn play(&mut self, numbers: &[usize], runs: u32) -> Result<(), RunError> {
        let mut trials: Vec<Trial> = numbers.iter().map(|n| self.trials[*n].clone()).collect();
        let result = self.play_trials(&mut trials, runs, None);
        for (number, trial) in numbers.iter().zip(trials) {
            self.trials[*number] = trial;
        }
        result
    }

    /// Plays candidates that are not among those kept, under another seed if one is given.
    ///
    /// # Errors
    /// If `progress` says to stop.
    pub fn play_trials(
        &mut self,
        trials: &mut [Trial],
        runs: u32,
        seed: Option<u64>,
    ) -> Result<(), RunError> {
        let mut plans: Vec<Vec<Plan>> = Vec::new();
        for trial in trials.iter_mut() {
            plans.push(self.plans(trial, seed));
        }
        let mut units = Vec::new();
        for (number, trial) in trials.iter().enumerate().filter(|(_, t)| t.impossible.is_none()) {
            units.extend(
                (trial.runs..runs).flat_map(|run| (0..self.parts.len()).map(move |p| (number, p, run))),
            );
        }
        let (parts, played, planned) = (&self.parts, &mut self.played, self.planned);
        let progress = self.progress;
        self.team.each(
            &units,
            |(number, part, run)| {
                let plan = &plans[*number][*part];
                let data = examine(plan, &plan.variants[0], *run);
                (data.stop, data.subjects)
            },
            |done, (stop, subjects)| {
                let (number, part, run) = units[done];
                let trial = &mut trials[number];
                if stop == Stop::TimeStandsStill {
                    trial.impossible = Some("time stands still".into());
                }
                trial.add(parts, part, subjects);
                trial.runs = trial.runs.max(run + 1);
                *played += 1;
                let total = planned.max(*played) as usize;
                match progress.runs_done((*played as usize).min(total - 1), total) {
                    true => Ok(()),
                    false => Err(RunError::Interrupted { done: *played as usize, total }),
                }
            },
        )
    }

    /// The plan of each file; none if the settings do not go together, which the candidate then says.
    fn plans(&self, trial: &mut Trial, seed: Option<u64>) -> Vec<Plan> {
        if trial.impossible.is_some() {
            return Vec::new();
        }
        let settings = self.settings(&trial.values);
        let mut plans = Vec::new();
        for part in &self.parts {
            let changes = Changes { seed: seed.or(part.changes.seed), ..part.changes.clone() };
            match part.study.plan(PLACE, &settings, &changes) {
                Ok(plan) => plans.push(plan),
                Err(mistakes) => {
                    let first = mistakes.0.diagnostics.iter().next().map(|d| d.message.clone());
                    trial.impossible = Some(first.unwrap_or_else(|| "it makes no sense".into()));
                    return Vec::new();
                }
            }
        }
        plans
    }

    /// The value and interval of each aim.
    pub fn aim_values(&self, trial: &Trial) -> Vec<Aimed> {
        trial.aims.iter().map(|runs| summed_up(runs)).collect()
    }

    /// The verdict of each constraint.
    pub fn verdicts(&self, trial: &Trial) -> Vec<ExpectationResult> {
        let constraints =
            self.parts.iter().flat_map(|part| part.constraints.iter().map(move |c| (&part.file, c)));
        let judged = constraints
            .zip(&trial.constraints)
            .map(|((file, constraint), runs)| verdict(file, constraint, runs));
        judged.collect()
    }

    /// How a candidate stands: feasible before infeasible, less violation before more, then by aims (Deb, "An
    /// efficient constraint handling method for genetic algorithms", 2000). From `CAREFUL_RUNS` runs on, what is met
    /// by the whole interval comes before what is met by the mean alone.
    pub fn standing(&self, trial: &Trial) -> Standing {
        let mut standing = Standing { violation: 0.0, open: 0, aims: Vec::new() };
        if trial.impossible.is_some() || trial.runs == 0 {
            let aims = vec![f64::INFINITY; self.aims.len()];
            return Standing { violation: f64::INFINITY, open: 0, aims };
        }
        let constraints = self.parts.iter().flat_map(|part| &part.constraints);
        for (found, constraint) in self.verdicts(trial).iter().zip(constraints) {
            let scale = constraint.limits.limit.abs().max(constraint.limits.upper.abs());
            let scale = if scale > 0.0 { scale } else { 1.0 };
            match (found.value, found.margin) {
                (Some(value), Some(margin)) if !constraint.limits.holds(value) => {
                    standing.violation += libm::log1p((-margin).max(1e-9) / scale);
                }
                // A run that has not recovered at all: the mean of the others says nothing.
                (Some(_), Some(_)) if found.verdict == Verdict::Failed => standing.violation += 1.0,
                (Some(_), Some(_)) => {
                    let is_open = trial.runs >= CAREFUL_RUNS && found.verdict != Verdict::Held;
                    standing.open += usize::from(is_open);
                }
                _ => standing.violation += NO_VALUE,
            }
        }
        for ((value, _), (_, _, is_large)) in self.aim_values(trial).iter().zip(&self.aims) {
            standing.violation += if value.is_some() { 0.0 } else { NO_VALUE };
            let value = value.unwrap_or(f64::INFINITY);
            standing.aims.push(if *is_large && value.is_finite() { -value } else { value });
        }
        standing
    }

    /// An aim of each run.
    pub fn aim_runs(trial: &Trial, aim: usize) -> Vec<Option<f64>> {
        trial.aims[aim].iter().map(|run| run.number()).collect()
    }

    /// Everything that a candidate is asked about, as numbers over its first runs: aims, then constraints. Some
    /// candidates have more runs than others, and only the same runs can be compared.
    pub fn first_outputs(trial: &Trial, runs: u32) -> Vec<Option<f64>> {
        let first = |all: &Vec<SubjectValue>| summed_up(&all[..all.len().min(runs as usize)]).0;
        trial.aims.iter().chain(&trial.constraints).map(first).collect()
    }
}

/// The fewest runs whose interval is worth looking at during the search.
const CAREFUL_RUNS: u32 = 5;
/// The violation of something that no run has a value of.
const NO_VALUE: f64 = 7.0;

impl Trial {
    /// Adds what one run of one file told.
    fn add(&mut self, parts: &[Part], part: usize, subjects: Vec<SubjectValue>) {
        let before: usize = parts[..part].iter().map(|p| p.constraints.len()).sum();
        let count = parts[part].constraints.len();
        let told = subjects.into_iter().skip(parts[part].own);
        for (number, subject) in told.enumerate() {
            match number.checked_sub(count) {
                None => self.constraints[before + number].push(subject),
                Some(aim) => self.aims[aim].push(subject),
            }
        }
    }
}

impl Standing {
    /// Whether all constraints are met by the mean.
    pub fn is_feasible(&self) -> bool {
        self.violation == 0.0
    }

    /// The order of candidates with one aim.
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        let first = |s: &Self| s.aims.first().copied().unwrap_or(0.0);
        self.violation
            .total_cmp(&other.violation)
            .then(self.open.cmp(&other.open))
            .then(first(self).total_cmp(&first(other)))
    }

    /// Whether it is better in something and worse in nothing.
    pub fn dominates(&self, other: &Self) -> bool {
        match (self.violation, self.open).partial_cmp(&(other.violation, other.open)) {
            Some(std::cmp::Ordering::Less) => true,
            Some(std::cmp::Ordering::Equal) => {
                let pairs = || self.aims.iter().zip(&other.aims);
                pairs().all(|(a, b)| a <= b) && pairs().any(|(a, b)| a < b)
            }
            _ => false,
        }
    }
}
