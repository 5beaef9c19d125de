//! Tuning: which settings meet what is asked at the least cost?
//!
//! 1. *Explore.* Many candidates, a few runs each. All of them play the same runs, so they are compared on the same
//!    luck (common random numbers), and what is noise between runs is not noise between candidates.
//! 2. *Halve.* The better ones are played again and again, fewer of them each time.
//! 3. *Confirm.* The best of them is played on runs under another seed, which the search has not seen. What is reported
//!    comes from these runs alone: the least of many noisy numbers is too good to be true, and no search can be asked
//!    for an honest estimate of what it has found.
//!
//! Constraints come first: a candidate that meets them beats one that does not, whatever its aims (Deb 2000). In the
//! end they have to hold with their whole confidence interval.

pub mod bench;
pub mod knobs;
pub mod search;
pub mod sensitivity;

use super::plan::Changes;
use super::results::{ExpectationResult, Verdict};
use super::run::{Progress, RunError};
use super::study::Study;
use super::team::Team;
use crate::base::rng::Rng;
use crate::base::units::Unit;
use crate::base::{mix, salt};
use crate::metrics::Estimate;
use crate::metrics::estimate::paired_difference_present;
use crate::spec::source::Spanned;
use crate::spec::tune::Sensitivity;
pub use bench::TuneError;
use bench::{Bench, Trial};
use knobs::Dial;
use search::Split;
use sensitivity::Effect;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The file that is tuned, and after it other files in which something must hold.
    pub files: Vec<QuestionFile>,
    /// The settings.
    pub dials: Vec<Dial>,
    /// Formulas, and whether each is to be large; at least one.
    pub aims: Vec<(Spanned<String>, bool)>,
    /// Runs for the search and for the final look.
    pub budget: u32,
    /// Runs of the final look, if not as the budget has it.
    pub fresh: Option<u32>,
    /// Whether it is found out which settings matter.
    pub sensitivity: Option<Sensitivity>,
    /// What else is changed about all files: the seed, the duration.
    pub changes: Changes,
}

/// A file of a question.
#[derive(Clone, Debug)]
pub struct QuestionFile {
    /// Its name for reports; empty for the file that is tuned.
    pub name: String,
    /// The file.
    pub study: Study,
    /// The variant that is played.
    pub variant: Option<String>,
    /// What must hold.
    pub subject_to: Vec<Spanned<String>>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct TuneResult {
    /// The plan's name.
    pub name: String,
    /// The variant that was tuned.
    pub variant: String,
    /// Whether the file has variants, so that what is found is for one of them.
    pub is_variant: bool,
    /// The seed of the search.
    pub seed: u64,
    /// The seed of the final look.
    pub fresh_seed: u64,
    /// The budget in runs.
    pub budget: u32,
    /// Runs played, those for sensitivity left out.
    pub runs: u32,
    /// Runs of each candidate at first.
    pub first_runs: u32,
    /// How candidates were found.
    pub method: &'static str,
    /// The settings, in order of path.
    pub settings: Vec<SettingResult>,
    /// The aims.
    pub aims: Vec<AimResult>,
    /// The constraints: file (empty for the one that is tuned), text and unit.
    pub constraints: Vec<(String, String, Unit)>,
    /// The candidates, in order of trying; the first is the settings as they are.
    pub trials: Vec<TrialResult>,
    /// The settings as they are, on the runs of the final look.
    pub present: Confirmed,
    /// What was found, on runs that the search has not seen, the chosen one first and the rest in order of the first
    /// aim: one candidate for one aim, a front for several. Empty if no candidate can be played.
    pub found: Vec<Confirmed>,
    /// Candidates that looked good in the search and did not stand the final look.
    pub refuted: usize,
    /// Which settings matter.
    pub sensitivity: Option<SensitivityResult>,
}

/// A setting that was to be found.
#[derive(Clone, Debug)]
pub struct SettingResult {
    /// Its path.
    pub path: String,
    /// What it may be, for people.
    pub range: String,
    /// How it is written now, if it is not left to its default.
    pub present: Option<String>,
}

/// An aim.
#[derive(Clone, Debug)]
pub struct AimResult {
    /// The formula as written.
    pub text: String,
    /// Its unit.
    pub unit: Unit,
    /// Whether it is to be large.
    pub is_large: bool,
}

/// How a candidate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every constraint holds with its whole interval.
    Feasible,
    /// No constraint fails, and one holds only in the mean, or not even that.
    Inconclusive,
    /// A constraint fails.
    Infeasible,
    /// The settings do not go together.
    Impossible,
}

impl State {
    /// The word used in every format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Feasible => "feasible",
            Self::Inconclusive => "inconclusive",
            Self::Infeasible => "infeasible",
            Self::Impossible => "impossible",
        }
    }

    fn of(trial: &Trial, verdicts: &[ExpectationResult]) -> Self {
        let any = |verdict| verdicts.iter().any(|v| v.verdict == verdict);
        match () {
            () if trial.impossible.is_some() => Self::Impossible,
            () if any(Verdict::Failed) => Self::Infeasible,
            () if any(Verdict::Inconclusive) => Self::Inconclusive,
            () => Self::Feasible,
        }
    }
}

/// A candidate as the search saw it.
#[derive(Clone, Debug)]
pub struct TrialResult {
    /// Where it was first looked for.
    pub stage: &'static str,
    /// The values of the settings, as RON; empty for the settings as they are.
    pub values: Vec<String>,
    /// Runs of it that the search has played.
    pub runs: u32,
    /// Whether the constraints are met by the mean.
    pub meets: bool,
    /// How it stands by intervals.
    pub state: State,
    /// Why it cannot be played, if it cannot.
    pub impossible: Option<String>,
    /// Each aim with its interval.
    pub aims: Vec<Aimed>,
    /// Each constraint's value.
    pub constraints: Vec<Option<f64>>,
}

/// The value of an aim over runs, and its 95 % confidence interval.
pub type Aimed = (Option<f64>, Option<(f64, f64)>);

/// A candidate on the runs of the final look.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// Its number among the trials.
    pub trial: usize,
    /// The values of the settings, as RON.
    pub values: Vec<String>,
    /// Runs under the seed of the final look.
    pub runs: u32,
    /// Each aim with its interval.
    pub aims: Vec<Aimed>,
    /// How much each aim differs from the settings as they are, run by run on the same random numbers.
    pub differences: Vec<Option<Estimate>>,
    /// The verdict of each constraint.
    pub constraints: Vec<ExpectationResult>,
    /// How it stands.
    pub state: State,
    /// Whether another one of the front is at least as good in all aims and better in one.
    pub is_dominated: bool,
}

/// Which settings matter.
#[derive(Clone, Debug)]
pub struct SensitivityResult {
    /// `Morris` or `Sobol`.
    pub method: &'static str,
    /// Candidates played for it.
    pub candidates: usize,
    /// Runs played for it.
    pub runs: u32,
    /// For each aim and then each constraint: its text, unit, and the effect of each setting, the greatest first.
    pub outputs: Vec<(String, Unit, Vec<Effect>)>,
}

/// Finds settings.
///
/// # Errors
/// If the question makes no sense, or `progress` says to stop.
pub fn tune(question: &Question, jobs: usize, progress: &dyn Progress) -> Result<TuneResult, TuneError> {
    let team = Team::new(jobs)?;
    let plan = question.files[0].study.plan(
        bench::PLACE,
        &[],
        &Changes { variant: question.files[0].variant.clone(), ..question.changes.clone() },
    )?;
    let (name, variant, seed) = (plan.name.clone(), plan.variants[0].name.clone(), plan.seed);
    let mut bench = Bench::new(question, &team, progress)?;
    let mut split = Split::of(question.budget, bench.files());
    split.fresh = question.fresh.unwrap_or(split.fresh);
    bench.planned =
        question.budget.max(split.fresh * bench.files()) + planned_for_sensitivity(question, &split);

    bench.play(&[0], split.first)?;
    let method = search::explore(&mut bench, &split, mix(seed, salt("tune")))?;
    let left = search::halve(&mut bench, &split)?;
    let fresh_seed = seed.wrapping_add(1);
    let look = final_look(&mut bench, &left, &split, fresh_seed)?;
    let runs = bench.played;
    let sensitivity = sensitivity(&mut bench, question, &split, seed)?;
    // Says that all is done, whatever was planned.
    progress.runs_done(bench.planned as usize, bench.planned as usize);

    let trials = bench.trials.iter().map(|trial| trial_result(&bench, trial)).collect();
    let setting = |dial: &Dial| SettingResult {
        path: dial.path.clone(),
        range: dial.range_text(),
        present: question.files[0].study.written(&variant, &dial.path),
    };
    Ok(TuneResult {
        settings: bench.dials.iter().map(setting).collect(),
        aims: bench
            .aims
            .iter()
            .map(|(text, unit, is_large)| AimResult { text: text.clone(), unit: *unit, is_large: *is_large })
            .collect(),
        constraints: bench
            .parts
            .iter()
            .flat_map(|p| p.constraints.iter().map(|c| (p.file.clone(), c.expectation.text.clone(), c.unit)))
            .collect(),
        is_variant: question.files[0].study.experiment().is_some_and(|e| !e.variants.is_empty()),
        name,
        variant,
        seed,
        fresh_seed,
        budget: question.budget,
        runs,
        first_runs: split.first,
        method,
        trials,
        present: look.present,
        found: look.found,
        refuted: look.refuted,
        sensitivity,
    })
}

fn trial_result(bench: &Bench<'_>, trial: &Trial) -> TrialResult {
    let verdicts = bench.verdicts(trial);
    TrialResult {
        stage: trial.stage,
        values: trial.values.clone(),
        runs: trial.runs,
        meets: bench.standing(trial).is_feasible(),
        state: State::of(trial, &verdicts),
        impossible: trial.impossible.clone(),
        aims: bench.aim_values(trial),
        constraints: verdicts.iter().map(|v| v.value).collect(),
    }
}

/// What the final look saw.
struct FinalLook {
    present: Confirmed,
    found: Vec<Confirmed>,
    refuted: usize,
}

/// Plays what the search has found, and the settings as they are, on runs of another seed.
fn final_look(
    bench: &mut Bench<'_>,
    left: &[usize],
    split: &Split,
    seed: u64,
) -> Result<FinalLook, RunError> {
    let mut present = [bench.afresh(0)];
    bench.play_trials(&mut present, split.present, Some(seed))?;
    let [present] = present;
    let playable: Vec<usize> =
        left.iter().copied().filter(|n| bench.trials[*n].impossible.is_none()).collect();
    let (found, refuted) = match bench.aims.len() {
        1 => one(bench, &playable, split, seed)?,
        _ => (front(bench, &playable, split, seed)?, 0),
    };
    let mut found: Vec<Confirmed> =
        found.iter().map(|(number, trial)| confirmed(bench, *number, trial, &present)).collect();
    mark_dominated(bench, &mut found);
    if bench.aims.len() > 1 {
        chosen_first(bench, &mut found);
    }
    Ok(FinalLook { present: confirmed(bench, 0, &present, &present), found, refuted })
}

/// The best candidate that stands half of the final look; it gets the other half as well. If none does, the first.
fn one(
    bench: &mut Bench<'_>,
    playable: &[usize],
    split: &Split,
    seed: u64,
) -> Result<(Vec<(usize, Trial)>, usize), RunError> {
    let mut looked: Vec<(usize, Trial)> = Vec::new();
    let mut pot = split.fresh;
    for number in playable {
        let half = (pot / 2).max(2).min(pot);
        if half < 2 {
            break;
        }
        let mut trial = [bench.afresh(*number)];
        bench.play_trials(&mut trial, half, Some(seed))?;
        pot -= half;
        let stands = bench.standing(&trial[0]).is_feasible();
        if stands || pot < 2 {
            bench.play_trials(&mut trial, half + pot, Some(seed))?;
            let [trial] = trial;
            let refuted = looked.len();
            if stands || looked.is_empty() {
                return Ok((vec![(*number, trial)], refuted));
            }
            looked.push((*number, trial));
            break;
        }
        let [trial] = trial;
        looked.push((*number, trial));
    }
    // None stands: the one that misses least.
    let refuted = looked.len();
    let order = |a: &(usize, Trial), b: &(usize, Trial)| {
        bench.standing(&a.1).violation.total_cmp(&bench.standing(&b.1).violation)
    };
    let least = looked.into_iter().min_by(order);
    Ok((least.into_iter().collect(), refuted.saturating_sub(1)))
}

/// The candidates that none dominates so far, at most eight.
fn front(
    bench: &mut Bench<'_>,
    playable: &[usize],
    split: &Split,
    seed: u64,
) -> Result<Vec<(usize, Trial)>, RunError> {
    let standings: Vec<_> = playable.iter().map(|n| bench.standing(&bench.trials[*n])).collect();
    let is_front = |at: &usize| !standings.iter().any(|other| other.dominates(&standings[*at]));
    let numbers: Vec<usize> = (0..playable.len()).filter(is_front).take(8).map(|at| playable[at]).collect();
    let mut trials: Vec<Trial> = numbers.iter().map(|n| bench.afresh(*n)).collect();
    let each = split.fresh.checked_div(numbers.len() as u32).unwrap_or(0).max(2);
    bench.play_trials(&mut trials, each, Some(seed))?;
    Ok(numbers.into_iter().zip(trials).collect())
}

fn confirmed(bench: &Bench<'_>, number: usize, trial: &Trial, present: &Trial) -> Confirmed {
    let constraints = bench.verdicts(trial);
    let difference = |aim: usize| {
        let (before, after) = (Bench::aim_runs(present, aim), Bench::aim_runs(trial, aim));
        let pairs = before.len().min(after.len());
        paired_difference_present(&before[..pairs], &after[..pairs])
    };
    Confirmed {
        trial: number,
        values: trial.values.clone(),
        runs: trial.runs,
        aims: bench.aim_values(trial),
        differences: (0..bench.aims.len()).map(difference).collect(),
        state: State::of(trial, &constraints),
        constraints,
        is_dominated: false,
    }
}

/// The aims of a candidate as numbers to be small.
fn small(bench: &Bench<'_>, one: &Confirmed) -> Vec<f64> {
    let pairs = one.aims.iter().zip(&bench.aims);
    pairs.map(|((v, _), (_, _, large))| v.map_or(f64::INFINITY, |v| if *large { -v } else { v })).collect()
}

fn mark_dominated(bench: &Bench<'_>, found: &mut [Confirmed]) {
    let aims: Vec<Vec<f64>> = found.iter().map(|one| small(bench, one)).collect();
    let rank = |state: State| match state {
        State::Feasible => 0,
        State::Inconclusive => 1,
        State::Infeasible | State::Impossible => 2,
    };
    let ranks: Vec<i32> = found.iter().map(|one| rank(one.state)).collect();
    for (at, one) in found.iter_mut().enumerate() {
        one.is_dominated = (0..aims.len()).any(|other| {
            let pairs = || aims[other].iter().zip(&aims[at]);
            let is_better = pairs().all(|(a, b)| a <= b) && pairs().any(|(a, b)| a < b);
            ranks[other] <= ranks[at] && is_better
        });
    }
}

/// Puts the front in order of the first aim, and before it the candidate nearest to the best of every aim, each aim
/// scaled by its range over the front.
fn chosen_first(bench: &Bench<'_>, found: &mut Vec<Confirmed>) {
    found.sort_by(|a, b| small(bench, a)[0].total_cmp(&small(bench, b)[0]).then(a.trial.cmp(&b.trial)));
    let best_state = [State::Feasible, State::Inconclusive, State::Infeasible];
    let Some(state) = best_state.into_iter().find(|s| found.iter().any(|one| one.state == *s)) else {
        return;
    };
    let candidates: Vec<(usize, Vec<f64>)> = found
        .iter()
        .enumerate()
        .filter(|(_, one)| one.state == state && !one.is_dominated)
        .map(|(at, one)| (at, small(bench, one)))
        .collect();
    let ends = |aim: usize| {
        let values = candidates.iter().map(|(_, aims)| aims[aim]);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)))
    };
    let ends: Vec<(f64, f64)> = (0..bench.aims.len()).map(ends).collect();
    let distance = |aims: &[f64]| {
        let part = |(v, (lo, hi)): (&f64, &(f64, f64))| if hi > lo { (v - lo) / (hi - lo) } else { 0.0 };
        aims.iter().zip(&ends).map(part).fold(0.0, |sum, x| sum + x * x)
    };
    let nearest =
        candidates.iter().min_by(|a, b| distance(&a.1).total_cmp(&distance(&b.1)).then(a.0.cmp(&b.0)));
    if let Some((at, _)) = nearest {
        let chosen = found.remove(*at);
        found.insert(0, chosen);
    }
}

/// Candidates that a sensitivity analysis plays.
fn design_size(question: &Question) -> usize {
    let settings = question.dials.len();
    match &question.sensitivity {
        Some(Sensitivity::Morris(m)) => m.trajectories as usize * (settings + 1),
        Some(Sensitivity::Sobol(s)) => s.samples as usize * (settings + 2),
        None => 0,
    }
}

fn planned_for_sensitivity(question: &Question, split: &Split) -> u32 {
    (design_size(question) as u32).saturating_mul(split.first).saturating_mul(question.files.len() as u32)
}

/// Plays a design over the whole box. Candidates that the search has played are not played again.
fn sensitivity(
    bench: &mut Bench<'_>,
    question: &Question,
    split: &Split,
    seed: u64,
) -> Result<Option<SensitivityResult>, RunError> {
    let Some(wanted) = &question.sensitivity else { return Ok(None) };
    let (settings, before) = (bench.dials.len(), (bench.trials.len(), bench.played));
    let mut rng = Rng::from_seed(mix(seed, salt("sensitivity")));
    let (method, points) = match wanted {
        Sensitivity::Morris(m) => {
            ("Morris", sensitivity::morris_points(settings, m.trajectories as usize, &mut rng))
        }
        Sensitivity::Sobol(s) => ("Sobol", sensitivity::sobol_points(settings, s.samples as usize, &mut rng)),
    };
    let numbers: Vec<usize> = points.iter().map(|point| bench.at("sensitivity", point).0).collect();
    let mut new: Vec<usize> = numbers.iter().copied().filter(|number| *number >= before.0).collect();
    new.sort_unstable();
    new.dedup();
    bench.play(&new, split.first)?;
    let told: Vec<Vec<Option<f64>>> = numbers
        .iter()
        .map(|number| {
            let trial = &bench.trials[*number];
            let outputs = bench.aims.len() + bench.parts.iter().map(|p| p.constraints.len()).sum::<usize>();
            if trial.impossible.is_some() {
                vec![None; outputs]
            } else {
                Bench::first_outputs(trial, split.first)
            }
        })
        .collect();
    let aims = bench.aims.iter().map(|(text, unit, _)| (text.clone(), *unit));
    let constraints = bench.parts.iter().flat_map(|part| &part.constraints);
    let names = aims.chain(constraints.map(|c| (c.expectation.text.clone(), c.unit)));
    let outputs = names.enumerate().map(|(output, (text, unit))| {
        let values: Vec<Option<f64>> = told.iter().map(|outputs| outputs[output]).collect();
        let effects = match wanted {
            Sensitivity::Morris(_) => sensitivity::morris(settings, &points, &values),
            Sensitivity::Sobol(_) => sensitivity::sobol(settings, &values),
        };
        (text, unit, effects)
    });
    let outputs = outputs.collect();
    Ok(Some(SensitivityResult { method, candidates: points.len(), runs: bench.played - before.1, outputs }))
}
