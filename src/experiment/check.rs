//! Whether a file still does what is expected of it, and nothing worse than when its baseline was taken.
//!
//! A *question* is a plan that is asked for the measures of each variant; its *answer* is played, judged, and compared
//! with a [`Baseline`]. Runs on the same random numbers are compared in pairs; if seed or number of runs differ, as two
//! samples. A change matters if it is more than chance, corrected for how many measures a file compares, and more than
//! a tolerance.

mod compare;
mod question;

pub use compare::compare;
pub use question::{Asked, Question, question};

use super::judge::{self, SubjectValue};
use super::plan::Plan;
use super::results::ExpectationResult;
use super::run::{Progress, RunError};
use super::study::sample;
use super::team::Team;
use crate::base::units::Unit;
use crate::metrics::comparison::TTest;
use crate::metrics::estimate::stable;
use crate::spec::check_baseline::Worse;
use std::collections::BTreeMap;

/// What was found about all files.
#[derive(Clone, Debug, Default)]
pub struct CheckResult {
    /// The files that were checked, in order.
    pub files: Vec<FileResult>,
    /// Files found in folders that have nothing to check.
    pub skipped: usize,
    /// Files that nothing changed about since the commit that was named, if one was.
    pub unchanged: usize,
    /// What changed files are compared with, if only those were wanted.
    pub since: Option<String>,
}

/// What was found about one file.
#[derive(Clone, Debug)]
pub struct FileResult {
    /// The file, as the user named it.
    pub file: String,
    /// What was found, or why nothing could be.
    pub found: Result<Checked, Vec<Problem>>,
}

/// A mistake, and where it is if it is anywhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// The file.
    pub place: Place,
}

/// A place in a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// Line and column, from 1; none if it is about the file as a whole.
    pub position: Option<(usize, usize)>,
}

/// What was found about a file that can be played.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What it is called.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// Runs of each variant.
    pub runs: u32,
    /// How many variants.
    pub variants: usize,
    /// The verdicts, and where the expectations stand.
    pub expectations: Vec<(ExpectationResult, Place)>,
    /// The comparison with the baseline, if there is one.
    pub comparison: Option<Comparison>,
    /// The baseline that was written, if one was.
    pub written: Option<Written>,
}

/// A baseline that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Its file.
    pub file: String,
    /// How many measures it has.
    pub measures: usize,
    /// Whether it was there already with the same bytes.
    pub is_same: bool,
}

/// The values that a file had when its baseline was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// The version of this program that took it.
    pub version: String,
    /// The seed.
    pub seed: u64,
    /// Runs of each variant.
    pub runs: u32,
    /// Simulated seconds before measuring began.
    pub warmup_s: f64,
    /// Simulated seconds of each run.
    pub duration_s: f64,
    /// By variant, and then by measure as written.
    pub variants: BTreeMap<String, BTreeMap<String, Kept>>,
}

impl Baseline {
    /// How many measures it has.
    pub fn measures(&self) -> usize {
        self.variants.values().map(BTreeMap::len).sum()
    }
}

/// What is kept of a measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The symbol of its unit.
    pub unit: String,
    /// Its value in each run, with twelve significant digits; none where the run has none.
    pub per_run: Vec<Option<f64>>,
}

/// A file compared with its baseline.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The baseline's file.
    pub file: String,
    /// Whether runs were compared in pairs.
    pub is_paired: bool,
    /// The baseline's seed and number of runs.
    pub taken_with: (u64, u32),
    /// The version that took the baseline, if it was another.
    pub other_version: Option<String>,
    /// What was compared, in order of variant and measure.
    pub changes: Vec<Change>,
    /// What cannot be compared: missing in the baseline, or there and no longer measured.
    pub misfits: Vec<Misfit>,
}

/// Something that cannot be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfit {
    /// The variant.
    pub variant: String,
    /// Why, in words.
    pub message: String,
    /// Where the variant stands.
    pub place: Place,
}

/// A measure now and in the baseline.
#[derive(Clone, Debug)]
pub struct Change {
    /// The variant.
    pub variant: String,
    /// The measure as written.
    pub measure: String,
    /// Its unit.
    pub unit: Unit,
    /// Whether more of it is worse.
    pub is_higher_worse: bool,
    /// The mean in the baseline, over the runs that are compared.
    pub before: Option<f64>,
    /// The mean now.
    pub after: Option<f64>,
    /// After less before; none with fewer than two runs.
    pub difference: Option<TTest>,
    /// The probability of such a difference by chance, corrected for the number of measures.
    pub p_corrected: Option<f64>,
    /// How much of a difference does not matter.
    pub tolerance: f64,
    /// What that amounts to.
    pub verdict: ChangeVerdict,
    /// Where the variant stands.
    pub place: Place,
}

/// What a change amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeVerdict {
    /// Worse, beyond chance and tolerance.
    Worse,
    /// Better, beyond chance and tolerance.
    Better,
    /// Different by less than the tolerance, as far as can be told.
    Same,
    /// The interval is too wide to tell.
    Unclear,
}

impl ChangeVerdict {
    /// The word used in every format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Same => "same",
            Self::Unclear => "unclear",
        }
    }
}

/// What every expectation and every measure of a question is in each run, by variant.
#[derive(Clone, Debug)]
pub struct Answer {
    /// By variant, then by expectation or measure, then by run.
    subjects: Vec<Vec<Vec<SubjectValue>>>,
}

/// Plays a question.
///
/// # Errors
/// If a model lets time stand still, or `progress` says to stop.
pub fn answer(question: &Question, team: &Team, progress: &dyn Progress) -> Result<Answer, RunError> {
    let plan = &question.plan;
    let by_run = sample(plan, 0..plan.runs, team, progress)?;
    let transposed = |(variant, runs): (usize, Vec<Vec<SubjectValue>>)| {
        let planned = &plan.variants[variant];
        let mut subjects = vec![Vec::new(); planned.expectations.len() + planned.measures.len()];
        for run in runs {
            subjects.iter_mut().zip(run).for_each(|(all, value)| all.push(value));
        }
        subjects
    };
    Ok(Answer { subjects: by_run.into_iter().enumerate().map(transposed).collect() })
}

impl Answer {
    /// The verdicts on all expectations.
    pub fn verdicts(&self, plan: &Plan) -> Vec<ExpectationResult> {
        let variants = plan.variants.iter().zip(&self.subjects);
        variants.flat_map(|(variant, subjects)| judge::verdicts(variant, subjects)).collect()
    }

    /// What the baseline of this answer would keep.
    pub fn baseline(&self, question: &Question, version: &str) -> Baseline {
        let plan = &question.plan;
        let mut variants = BTreeMap::new();
        for (variant, subjects) in plan.variants.iter().zip(&self.subjects) {
            let kept: BTreeMap<String, Kept> = judge::measures(variant, subjects)
                .into_iter()
                .map(|measure| {
                    let per_run = measure.per_run.into_iter().map(|value| value.map(rounded)).collect();
                    (measure.text, Kept { unit: measure.unit.symbol().to_string(), per_run })
                })
                .collect();
            if !kept.is_empty() {
                variants.insert(variant.name.clone(), kept);
            }
        }
        Baseline {
            version: version.to_string(),
            seed: plan.seed,
            runs: plan.runs,
            warmup_s: rounded(plan.warmup.seconds()),
            duration_s: rounded(plan.end.seconds()),
            variants,
        }
    }
}

/// As it is kept: twelve significant digits, and no negative zero.
fn rounded(value: f64) -> f64 {
    stable(value) + 0.0
}

/// How much more of a measure is how much worse: 1 or -1.
fn sign(worse: &Worse) -> f64 {
    match worse {
        Worse::Higher => 1.0,
        Worse::Lower => -1.0,
    }
}
