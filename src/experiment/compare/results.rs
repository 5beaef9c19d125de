//! What a comparison found: plain data, ready for any report.

use super::direction::Direction;
use crate::base::units::Unit;
use crate::metrics::pairs::YesNo;

/// A comparison of variants on the same random numbers.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The experiment's name.
    pub name: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Runs of each variant.
    pub runs: u32,
    /// Simulated seconds of each run, warm-up included.
    pub duration_s: f64,
    /// Simulated seconds before measuring began.
    pub warmup_s: f64,
    /// The names of the variants.
    pub variants: Vec<String>,
    /// The variant that others are compared with, by number.
    pub baseline: usize,
    /// What was compared, in order of asking.
    pub measures: Vec<MeasureComparison>,
    /// How many differences were tested together: verdicts are adjusted for so many.
    pub family: usize,
    /// The best variant, if that was asked.
    pub selection: Option<Selected>,
}

/// One measure of all variants.
#[derive(Clone, Debug)]
pub struct MeasureComparison {
    /// The formula or event as written.
    pub text: String,
    /// Its unit.
    pub unit: Unit,
    /// What is better; none if that is not known.
    pub better: Option<Direction>,
    /// Whether it is an event, which happens in a run or does not.
    pub is_event: bool,
    /// A difference that does not matter.
    pub tolerance: Option<Tolerance>,
    /// Whether a run without a value is worse than any with one, as a run that has not recovered.
    pub missing_is_worst: bool,
    /// What it is in each variant.
    pub variants: Vec<VariantValue>,
    /// The pairs that were compared.
    pub pairs: Vec<Pair>,
}

/// A difference that does not matter.
#[derive(Clone, Debug, PartialEq)]
pub struct Tolerance {
    /// As written.
    pub text: String,
    /// The amount, in the measure's unit or as a share of the baseline's mean.
    pub amount: f64,
    /// Whether it is a share of the baseline's mean.
    pub is_relative: bool,
}

/// A measure of one variant.
#[derive(Clone, Debug)]
pub struct VariantValue {
    /// The mean over the runs that have a value, or the share of runs in which the event happened.
    pub value: Option<f64>,
    /// Its 95 % confidence interval: Student's t, or Clopper and Pearson for a share.
    pub ci95: Option<(f64, f64)>,
    /// The value of each run, in order of run; 1 or 0 for an event.
    pub per_run: Vec<Option<f64>>,
}

impl VariantValue {
    /// How many runs have a value.
    pub fn present(&self) -> usize {
        self.per_run.iter().flatten().count()
    }
}

/// Two variants, compared run by run.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The variant that is compared with, by number.
    pub a: usize,
    /// The variant that is compared.
    pub b: usize,
    /// Pairs of runs in which both have a value.
    pub complete: usize,
    /// The means of both over the complete pairs.
    pub means: Option<(f64, f64)>,
    /// The mean of the second less the first over the complete pairs; a difference of shares for an event.
    pub difference: Option<f64>,
    /// The 95 % confidence interval of the difference by itself.
    pub ci95: Option<(f64, f64)>,
    /// The interval at a level such that all intervals of the comparison hold together with 95 % (Bonferroni).
    pub simultaneous95: Option<(f64, f64)>,
    /// The p value of no difference by itself.
    pub p_value: Option<f64>,
    /// The same, adjusted for all that was tested (Holm).
    pub p_adjusted: Option<f64>,
    /// The same of not being equivalent (two one-sided tests), adjusted; none without a tolerance.
    pub p_equivalence: Option<f64>,
    /// The smallest difference that these runs would have shown with 80 %, at the strictest level of the comparison.
    pub detectable: Option<f64>,
    /// How many times greater the variance of the difference would be on independent random numbers.
    pub variance_ratio: Option<f64>,
    /// In which runs either has a value, if any lacks one.
    pub presence: Option<YesNo>,
    /// What to think of it.
    pub verdict: Verdict,
}

impl Pair {
    /// The difference as a share of the first's mean.
    pub fn relative(&self) -> Option<f64> {
        let (before, _) = self.means?;
        (before != 0.0).then_some(self.difference? / before.abs())
    }
}

/// What to think of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The second is better.
    Better,
    /// The second is worse.
    Worse,
    /// The second is greater; nobody said whether that is good.
    More,
    /// The second is less; nobody said whether that is good.
    Less,
    /// Equal but for less than the tolerance.
    Equivalent,
    /// No difference was found, which does not mean that there is none.
    NotFound,
    /// Too few runs to say anything, or neither different nor equivalent.
    Inconclusive,
}

impl Verdict {
    /// The word used in every format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::More => "more",
            Self::Less => "less",
            Self::Equivalent => "equivalent",
            Self::NotFound => "no difference found",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// The search for the best variant.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The formula as written.
    pub text: String,
    /// Its unit.
    pub unit: Unit,
    /// What is better.
    pub better: Direction,
    /// The difference that does not matter.
    pub indifference: f64,
    /// The probability with which the best is selected.
    pub probability: f64,
    /// Runs of the first stage.
    pub first: u32,
    /// Runs of each variant at most.
    pub at_most: u32,
    /// The best; none if the runs did not suffice.
    pub winner: Option<usize>,
    /// Every variant, by number.
    pub contenders: Vec<Contender>,
    /// Runs of each variant after which there would have been a winner for sure.
    pub runs_needed: u32,
}

/// A variant in the search for the best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contender {
    /// Runs that were taken of it.
    pub runs: u32,
    /// Their mean.
    pub mean: f64,
    /// After which run it was left out; none if it was not.
    pub left_after: Option<u32>,
}
