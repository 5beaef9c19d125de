//! Runs until an answer is precise: when to look, and when to stop.
//!
//! Who adds runs until an interval is narrow, and then reports that interval, is too sure of himself: he stops when the
//! spread happens to look small. The loss vanishes as intervals become narrow (Chow and Robbins, "On the asymptotic
//! theory of fixed-width sequential confidence intervals for the mean", Annals of Mathematical Statistics 36, 1965),
//! but not for the numbers of runs that people can afford (Singham and Schruben, "Finite-sample performance of absolute
//! precision stopping rules", INFORMS Journal on Computing 24, 2012). So:
//!
//! - it is looked at only at checkpoints: after the fewest runs, then after half as many again each time;
//! - what must be narrow is an interval [`WIDER`] than Student's t, by as much as makes up for the loss that is left;
//! - a relative precision γ is reached if half that interval is at most γ / (1 + γ) of the mean, so that the mean is
//!   within γ of the truth and not of itself (Law, "Simulation Modeling and Analysis", 5th edition, section 9.4.1).
//!
//! Stein's two stages ("A two-sample test for a linear hypothesis whose power is independent of the variance", Annals
//! of Mathematical Statistics 16, 1945) have no loss at all for normal values, but use the spread of the first runs
//! alone, and so take more runs for the same precision.
//!
//! Checkpoints are numbers of runs and what is looked at is folded in order of run: threads do not matter.

use super::fold::Fold;
use super::judge::{SubjectValue, summed_up};
use super::plan::{Changes, Plan, VariantPlan, WantedPlan};
use super::results::PrecisionResult;
use crate::base::SimTime;
use crate::spec::experiment::Experiment;
use crate::spec::expression::parse_value;
use crate::spec::load::Loader;
use crate::spec::quantity::Ratio;
use crate::spec::runs::{Metrics, Precise, Runs};
use crate::spec::source::{Places, Spanned};
use crate::spec::topology::Topology;

/// How many times as many runs there are at the next checkpoint.
const STEP: f64 = 1.5;
/// How many times as wide as Student's the interval is that must be narrow enough. Without it, intervals of normal
/// values at which is stopped cover the truth in 93.7 % where it is worst; with it, the mean of an M/M/1 queue was
/// covered in 95.7 % (within 10 %) and 94.6 % (within 5 %) of 1,000 experiments.
pub const WIDER: f64 = 1.06;
/// The fewest and the most runs, if only the command line asks for precision.
const AT_LEAST: u32 = 10;
const AT_MOST: u32 = 200;

/// How precise the command line wants the answer.
#[derive(Clone, Debug)]
pub struct PrecisionChange {
    /// How wide half the interval may be, relative to the mean.
    pub within: f64,
    /// Of what; if empty, of what the file wants to know precisely, or else of p99 of the latency of all clients.
    pub metrics: Vec<Spanned<String>>,
}

/// Something that is to be known precisely.
#[derive(Clone, Debug)]
pub struct PrecisePlan {
    /// What.
    pub wanted: WantedPlan,
    /// How wide half the interval may be, relative to the mean.
    pub within: Option<f64>,
    /// How wide half the interval may be, in the unit. One of them will do.
    pub absolute: Option<f64>,
}

/// Changes an experiment's runs as the command line, or a question, wants it: with a precision, the number of runs is
/// the most that there may be.
pub fn change(experiment: &mut Experiment, changes: &Changes, topology: &Topology, loader: &mut Loader) {
    if let Some(change) = &changes.precision {
        let stated = match &experiment.runs {
            Runs::Precise(precise) => precise.clone(),
            Runs::Number(_) => Precise {
                metric: Metrics(Vec::new()),
                within: None,
                absolute: None,
                at_least: AT_LEAST,
                at_most: AT_MOST,
                span: experiment.place("runs"),
                places: Places::default(),
            },
        };
        let metric = match change.metrics.is_empty() {
            true => stated.metric,
            false => Metrics(change.metrics.clone()),
        };
        let within = Some(Ratio(change.within));
        experiment.runs = Runs::Precise(Precise { metric, within, absolute: None, ..stated });
    }
    match (&mut experiment.runs, changes.runs) {
        (Runs::Number(number), Some(runs)) => *number = runs,
        (Runs::Precise(precise), Some(runs)) => {
            precise.at_most = runs;
            precise.at_least = precise.at_least.min(runs);
        }
        (_, None) => {}
    }
    if changes.precision.is_some()
        && let Runs::Precise(precise) = &mut experiment.runs
        && precise.metric.0.is_empty()
    {
        let texts = topology.clients.names().map(|name| format!("p(99) of clients.{name}.latency"));
        precise.metric.0 = texts.map(|text| loader.quoted("--precision", &text)).collect();
    }
}

/// Plans what is to be known precisely of a variant; mistakes are left in the loader's diagnostics.
pub fn plan(
    experiment: &Experiment,
    variant: &mut VariantPlan,
    run: (SimTime, SimTime),
    loader: &mut Loader,
) {
    let Runs::Precise(precise) = &experiment.runs else { return };
    for text in &precise.metric.0 {
        let planned = super::plan::wanted(text, variant, run).and_then(|wanted| {
            let absolute = precise.absolute.as_ref();
            let absolute =
                absolute.map(|text| parse_value(&text.value, wanted.unit, text.span)).transpose()?;
            Ok(PrecisePlan { wanted, within: precise.within.map(|w| w.0), absolute })
        });
        match planned {
            Ok(planned) => variant.precise.push(planned),
            Err(diagnostic) => loader.diagnostics.push(diagnostic),
        }
    }
}

/// Until which run to play next when `done` runs of each variant are played; `None` if that is enough. Asked after 0
/// runs, and then after as many as it said.
pub fn next(plan: &Plan, done: u32, folds: &[Fold]) -> Option<u32> {
    match plan.at_least {
        _ if done >= plan.runs => None,
        None => Some(plan.runs),
        Some(at_least) if done < at_least => Some(at_least.min(plan.runs)),
        Some(_) if is_reached(plan, folds) => None,
        Some(_) => Some(checkpoint_after(done).min(plan.runs)),
    }
}

fn checkpoint_after(done: u32) -> u32 {
    ((f64::from(done) * STEP).ceil() as u32).max(done + 1)
}

fn is_reached(plan: &Plan, folds: &[Fold]) -> bool {
    plan.variants.iter().zip(folds).all(|(variant, fold)| {
        variant.precise.iter().zip(fold.precise(variant)).all(|(precise, runs)| half(precise, runs).1)
    })
}

/// Half the interval that must be narrow enough, and whether it is.
fn half(precise: &PrecisePlan, runs: &[SubjectValue]) -> (Option<f64>, bool) {
    let (mean, interval) = summed_up(runs);
    let (Some(mean), Some((lo, hi))) = (mean, interval) else { return (None, false) };
    let is_share = runs.iter().any(|run| matches!(run, SubjectValue::Happened(_)));
    // The interval of Clopper and Pearson is wider than need be already.
    let half = (hi - lo) / 2.0 * if is_share { 1.0 } else { WIDER };
    (Some(half), is_narrow(mean, half, precise.within, precise.absolute))
}

/// Whether half an interval is narrow enough for one of two limits.
fn is_narrow(mean: f64, half: f64, within: Option<f64>, absolute: Option<f64>) -> bool {
    within.is_some_and(|w| half <= w / (1.0 + w) * mean.abs()) || absolute.is_some_and(|a| half <= a)
}

/// How precise the answers became, in order of variant.
pub fn results(variant: &VariantPlan, runs: &[Vec<SubjectValue>]) -> Vec<PrecisionResult> {
    let result = |(precise, runs): (&PrecisePlan, &Vec<SubjectValue>)| {
        let (half_width, is_reached) = half(precise, runs);
        PrecisionResult {
            variant: variant.name.clone(),
            text: precise.wanted.text.clone(),
            unit: precise.wanted.unit,
            value: summed_up(runs).0,
            half_width,
            within: precise.within,
            absolute: precise.absolute,
            is_reached,
        }
    };
    variant.precise.iter().zip(runs).map(result).collect()
}

/// What to do about a precision that was not reached; one line for all that is not precise enough.
pub fn warning(results: &[PrecisionResult], runs: u32) -> Option<String> {
    let missed: Vec<&PrecisionResult> = results.iter().filter(|r| !r.is_reached).collect();
    let worst = missed.iter().max_by(|a, b| a.times_too_wide().total_cmp(&b.times_too_wide()))?;
    let mut text =
        format!("the precision asked for was not reached in {runs} runs: {}: {}", worst.variant, worst.text);
    match (worst.half_width, worst.value) {
        (Some(half), Some(value)) => {
            text += &format!(" is {} ± {}", worst.unit.text(value), worst.unit.text(half))
        }
        _ => text += " has no interval",
    }
    if missed.len() > 1 {
        text += &format!(", and {} more", missed.len() - 1);
    }
    // Half the width falls with the square root of the number of runs.
    let needed = f64::from(runs) * worst.times_too_wide() * worst.times_too_wide();
    Some(match needed.is_finite() {
        true => text + &format!("; about {:.0} runs would do (`at_most` or --runs)", (needed * 1.1).ceil()),
        false => text + "; give `absolute` if the mean may be 0",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Estimate;
    use crate::metrics::estimate::binomial;

    /// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), from 0 to 1.
    struct Dice(u64);

    impl Dice {
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            let radius = (-2.0 * libm::log(self.uniform())).sqrt();
            radius * libm::cos(std::f64::consts::TAU * self.uniform())
        }
    }

    /// The checkpoints with a limit that is never met.
    fn checkpoints(at_least: u32, at_most: u32) -> Vec<u32> {
        let mut all = vec![at_least];
        while all[all.len() - 1] < at_most {
            all.push(checkpoint_after(all[all.len() - 1]).min(at_most));
        }
        all
    }

    #[test]
    fn checkpoints_are_few_and_end_with_the_limit() {
        assert_eq!(checkpoints(10, 200), [10, 15, 23, 35, 53, 80, 120, 180, 200]);
        assert_eq!(checkpoints(2, 6), [2, 3, 5, 6]);
        assert_eq!(checkpoint_after(1), 2);
    }

    #[test]
    fn narrow_is_relative_to_the_truth_or_absolute() {
        // Within 25 %: 20 % of the estimate, so that an estimate that is 20 % too high is 25 % above the truth.
        assert!(is_narrow(100.0, 20.0, Some(0.25), None) && !is_narrow(100.0, 20.1, Some(0.25), None));
        assert!(is_narrow(-100.0, 20.0, Some(0.25), None) && !is_narrow(0.0, 0.1, Some(0.25), None));
        assert!(is_narrow(0.0, 0.1, Some(0.25), Some(0.1)) && !is_narrow(0.0, 0.2, Some(0.25), Some(0.1)));
    }

    /// Adds values until the interval is narrow; whether the wider interval covers, and whether the plain one does.
    fn stopped(draw: &mut impl FnMut() -> f64, truth: f64, within: f64, at_most: u32) -> (bool, bool) {
        let mut values = Vec::new();
        for checkpoint in checkpoints(10, at_most) {
            values.resize_with(checkpoint as usize, &mut *draw);
            let e = Estimate::of(&values).unwrap();
            let half = e.half_width.unwrap();
            if is_narrow(e.mean, WIDER * half, Some(within), None) || checkpoint == at_most {
                let off = (e.mean - truth).abs();
                return (off <= WIDER * half, off <= half);
            }
        }
        unreachable!("the last checkpoint stops")
    }

    #[test]
    fn stopping_when_it_is_precise_leaves_95_percent() {
        // Normal values with a coefficient of variation of 0.3, at precisions for which 5 to 120 runs would do.
        let repetitions = 1_500;
        for runs_needed in [5.0, 15.0, 60.0] {
            let within = 1.96 * 0.3 / f64::sqrt(runs_needed);
            let mut dice = Dice(7);
            let (mut wide, mut plain) = (0, 0);
            for _ in 0..repetitions {
                let (is_in, is_in_plain) = stopped(&mut || 1.0 + 0.3 * dice.normal(), 1.0, within, 400);
                wide += u32::from(is_in);
                plain += u32::from(is_in_plain);
            }
            let [wide, plain] = [wide, plain].map(|count| f64::from(count) / f64::from(repetitions));
            // The standard error of a share of 95 % of 1,500 is 0.56 %; `benches/coverage.rs` looks closer.
            assert!((0.93..0.975).contains(&wide) && plain < wide, "{runs_needed}: {wide} {plain}");
        }
    }

    #[test]
    fn shares_at_which_is_stopped_are_covered() {
        let mut dice = Dice(11);
        for truth in [0.02, 0.1, 0.3, 0.5] {
            let (repetitions, mut covered) = (1_000, 0);
            for _ in 0..repetitions {
                let (mut happened, mut done) = (0, 0);
                for checkpoint in checkpoints(10, 400) {
                    happened += (done..checkpoint).filter(|_| dice.uniform() < truth).count() as u64;
                    done = checkpoint;
                    let p = binomial(happened, u64::from(done)).unwrap();
                    if (p.hi - p.lo) / 2.0 <= 0.1 {
                        covered += u32::from(p.lo <= truth && truth <= p.hi);
                        break;
                    }
                }
            }
            let share = f64::from(covered) / f64::from(repetitions);
            assert!(share > 0.935, "{truth}: {share}");
        }
    }
}
