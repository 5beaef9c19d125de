//! Objectives for machines.

use super::{Interval, Number, interval_of, mean_of};
use crate::experiment::results::{ObjectiveResult, ObjectiveTarget};
use crate::metrics::Estimate;
use serde::Serialize;

/// How well an objective was met.
#[derive(Serialize)]
pub(super) struct Objective<'a> {
    target: Number,
    availability: Option<Number>,
    availability_ci95: Interval,
    latency: Vec<Target<'a>>,
    period_s: Number,
    budget_left: Option<Number>,
    budget_left_ci95: Interval,
    burn_rate: Option<Number>,
    burn_rate_ci95: Interval,
    /// Whether all targets are met, by the means over runs; null if something has no value.
    met: Option<bool>,
}

#[derive(Serialize)]
struct Target<'a> {
    percentile: &'a str,
    limit_s: Number,
    found_s: Option<Number>,
    ci95: Interval,
}

impl<'a> Objective<'a> {
    pub(super) fn of(objective: &'a ObjectiveResult) -> Self {
        let mean = |estimate: Option<Estimate>| estimate.map(|e| e.mean);
        let target = |target: &'a ObjectiveTarget| Target {
            percentile: &target.percentile,
            limit_s: Number(target.limit_s),
            found_s: mean_of(target.latency),
            ci95: interval_of(target.latency),
        };
        let met = objective.latency.iter().map(|t| Some(mean(t.latency)? <= t.limit_s));
        let met = [mean(objective.availability).map(|a| a >= objective.target)].into_iter().chain(met);
        let met = met.into_iter().try_fold(true, |all, one| Some(all && one?));
        Self {
            target: Number(objective.target),
            availability: mean_of(objective.availability),
            availability_ci95: interval_of(objective.availability),
            latency: objective.latency.iter().map(target).collect(),
            period_s: Number(objective.period_s),
            budget_left: mean_of(objective.budget_left),
            budget_left_ci95: interval_of(objective.budget_left),
            burn_rate: mean_of(objective.burn_rate),
            burn_rate_ci95: interval_of(objective.burn_rate),
            met,
        }
    }
}
