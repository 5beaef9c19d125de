//! Runs that are too short or too few for what is asked of them.
//!
//! A percentile of n values with fewer than ten expected beyond it is decided by a handful of them: it is biased
//! towards the middle and strays widely, in every run alike, and no number of runs mends that. Measured for p99 in an
//! M/M/1 queue at 70 % utilisation (`benches/coverage.rs`): too low by about 0.8 over the number of values expected
//! beyond it, which is 8 % with ten and 0.3 % with seventy. A percentile that is to be known precisely must be less
//! biased than precise: then intervals narrow around the wrong value.

use super::measures::{FormulaPlan, MeasurePlan, Taken};
use super::plan::{Plan, SubjectPlan, VariantPlan, WindowPlan};
use super::run::merged;
use crate::base::SimTime;
use crate::base::units::{count_text, duration_text};
use crate::metrics::{Meters, Record, Source};

/// Values that must be expected beyond a percentile in each run.
const BEYOND_MIN: f64 = 10.0;
/// The same over the relative precision that is wanted: the bias is then a tenth of it.
const BEYOND_TIMES_PRECISION: f64 = 8.0;
/// With fewer runs, Student's t is above 2.7.
const RUNS_MIN: u32 = 5;

/// A percentile that somebody looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct PercentilePlan {
    /// What it is of, for people.
    pub name: String,
    /// The timer.
    pub timer: u32,
    /// The percentile, as a share.
    pub quantile: f64,
    /// The part of the run.
    pub window: WindowPlan,
    /// How many values must be expected beyond it.
    pub needed: f64,
}

/// The percentiles that are looked at: p99 of each population's latency, which the summary shows, and those in
/// expectations, measures and what is to be known precisely.
pub fn percentiles(variant: &VariantPlan, run: (SimTime, SimTime)) -> Vec<PercentilePlan> {
    let window = WindowPlan { from: run.0, to: run.1 };
    let clients = variant.model.clients.iter().zip(&variant.model.catalog.clients);
    let shown = clients.map(|(client, meters)| PercentilePlan {
        name: format!("clients.{}.latency", client.name),
        timer: meters.red,
        quantile: 0.99,
        window,
        needed: BEYOND_MIN,
    });
    let mut found: Vec<PercentilePlan> = shown.collect();
    let expected = variant.expectations.iter().map(|e| (&e.subject, &e.expectation.text, BEYOND_MIN));
    let wanted = variant.measures.iter().map(|w| (&w.subject, &w.text, BEYOND_MIN));
    let precise = variant.precise.iter().map(|p| {
        let needed = p.within.map_or(BEYOND_MIN, |within| (BEYOND_TIMES_PRECISION / within).max(BEYOND_MIN));
        (&p.wanted.subject, &p.wanted.text, needed)
    });
    for (subject, text, needed) in precise.chain(expected).chain(wanted) {
        if let SubjectPlan::Formula(formula) | SubjectPlan::Holds(formula, _) = subject {
            of_formula(formula, text, needed, &mut found);
        }
    }
    found
}

fn of_formula(formula: &FormulaPlan, text: &str, needed: f64, found: &mut Vec<PercentilePlan>) {
    match formula {
        FormulaPlan::Join(_, a, b) => {
            [a, b].into_iter().for_each(|part| of_formula(part, text, needed, found))
        }
        FormulaPlan::Measure(MeasurePlan {
            taken: Taken::Whole(Source::TimerQuantile(timer, q)),
            window,
        }) => {
            let is_same = |p: &&mut PercentilePlan| (p.timer, p.quantile, p.window) == (*timer, *q, *window);
            match found.iter_mut().find(is_same) {
                Some(known) => known.needed = known.needed.max(needed),
                // The least and the greatest are quantiles by another name.
                None if *q > 0.0 && *q < 1.0 => {
                    let name = format!("`{text}`");
                    found.push(PercentilePlan { name, timer: *timer, quantile: *q, window: *window, needed });
                }
                None => {}
            }
        }
        _ => {}
    }
}

/// How many values each percentile of a variant has beyond it in a run; `measured` are the meters of the measured time.
pub fn beyond(plan: &Plan, variant: &VariantPlan, record: &Record, measured: &Meters) -> Vec<f64> {
    let count = |p: &PercentilePlan| {
        let values = if (p.window.from, p.window.to) == (plan.warmup, plan.end) {
            measured.timers[p.timer as usize].count()
        } else {
            merged(&record.windows, p.window.from, p.window.to, variant).timers[p.timer as usize].count()
        };
        values as f64 * (1.0 - p.quantile).min(p.quantile)
    };
    variant.percentiles.iter().map(count).collect()
}

/// What is to be said of percentiles: one line for each, of the variant in which it has the fewest values beyond it.
/// `means` are those of [`beyond`] over runs, by variant.
pub fn too_short(plan: &Plan, means: &[Vec<f64>]) -> Vec<String> {
    let mut worst: Vec<(&PercentilePlan, f64)> = Vec::new();
    for (variant, means) in plan.variants.iter().zip(means) {
        for (percentile, mean) in variant.percentiles.iter().zip(means) {
            // Without any value there is no percentile, and nothing to be wrong about.
            if *mean >= percentile.needed || *mean <= 0.0 {
                continue;
            }
            match worst
                .iter_mut()
                .find(|(p, _)| (&p.name, p.quantile) == (&percentile.name, percentile.quantile))
            {
                Some(known) => known.1 = known.1.min(*mean),
                None => worst.push((percentile, *mean)),
            }
        }
    }
    worst.iter().map(|(percentile, mean)| one_too_short(plan, percentile, *mean)).collect()
}

fn one_too_short(plan: &Plan, percentile: &PercentilePlan, mean: f64) -> String {
    let PercentilePlan { name, quantile, window, needed, .. } = percentile;
    let p = count_text(100.0 * quantile);
    let values = count_text(mean / (1.0 - quantile).min(*quantile));
    let beyond = count_text(*needed);
    let mut text = format!(
        "p{p} of {name}: a run has {values} values, too few for it ({beyond} should lie beyond it): "
    );
    if (window.from, window.to) == (plan.warmup, plan.end) {
        let measured = plan.end.since(plan.warmup).seconds();
        let enough = plan.warmup.seconds() + (measured * needed / mean * 1.1).ceil();
        text += &format!("play longer (--duration {}), or ", duration_text(enough).replace(' ', ""));
    }
    let known = [0.999, 0.99, 0.95, 0.9, 0.5];
    let lower = known.into_iter().find(|q| mean / (1.0 - quantile).max(1e-9) * (1.0 - q) >= *needed);
    text + &match lower {
        Some(q) => format!("look at p{}", count_text(100.0 * q)),
        None => "look at the mean".to_string(),
    }
}

/// What is to be said of the number of runs and of the warm-up.
pub fn of_plan(plan: &Plan, runs: u32) -> Vec<String> {
    let mut warnings = Vec::new();
    let (warmup, end) = (plan.warmup.seconds(), plan.end.seconds());
    match plan.warmup_found {
        Some(found) if found.is_too_short => warnings.push(format!(
            "the warm-up that was found takes half of the run or more ({} of {}): the run is too short to tell, or the \
             system does not settle; play longer (--duration)",
            duration_text(warmup),
            duration_text(end)
        )),
        _ if warmup > end / 2.0 => warnings.push(format!(
            "the warm-up ({}) takes more than half of the run ({}): play longer (--duration)",
            duration_text(warmup),
            duration_text(end)
        )),
        _ => {}
    }
    match runs {
        0 | 1 => {
            warnings
                .push("one run only: there are no confidence intervals; give `runs` or --runs".to_string());
        }
        2..RUNS_MIN => warnings.push(format!(
            "{runs} runs only: intervals are {} times as wide as with 10; give `runs` or --runs",
            if runs == 2 {
                "12"
            } else if runs == 3 {
                "3.5"
            } else {
                "2.2"
            }
        )),
        _ => {}
    }
    warnings
}
