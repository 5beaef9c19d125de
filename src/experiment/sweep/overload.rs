//! Points that have no steady state: requests pile up, and means depend on how long one looks.

use super::results::Overload;
use super::{Found, Plan, VariantPlan};
use crate::metrics::Source;

/// The least calm time that can tell, in seconds.
const CALM_MIN: usize = 9;

/// Sees to it that what clients have in flight is recorded second by second.
pub fn record(variant: &mut VariantPlan) {
    for at in 0..variant.model.catalog.clients.len() {
        let source = in_flight_of(variant, at);
        variant.recorded.column(source);
    }
}

fn in_flight_of(variant: &VariantPlan, client: usize) -> Source {
    Source::Level(variant.model.catalog.clients[client].in_flight, 1.0)
}

/// The mean of what each population has in flight, in the first and in the last third of the time after the warm-up in
/// which nothing strikes and no setting changes.
pub fn in_flight(plan: &Plan, variant: &VariantPlan, rows: &[f64]) -> Vec<(f64, f64)> {
    let width = variant.recorded.columns.len();
    let first = plan.warmup.seconds().ceil() as usize;
    let struck = variant.script.actions.first().map_or(plan.end, |action| action.at.min(plan.end));
    let end = (struck.seconds() as usize).min(rows.len().checked_div(width).unwrap_or(0));
    if !variant.script.failures.is_empty() || end < first + CALM_MIN {
        return Vec::new();
    }
    let third = (end - first) / 3;
    let means = |client: usize| {
        let source = in_flight_of(variant, client);
        let column = variant.recorded.columns.iter().position(|c| *c == source)?;
        let mean = |from: usize, to: usize| {
            let values = (from..to).map(|second| rows[second * width + column]).filter(|v| !v.is_nan());
            let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), v| (sum + v, count + 1));
            sum / f64::from(count.max(1))
        };
        Some((mean(first, first + third), mean(end - third, end)))
    };
    (0..variant.model.clients.len()).filter_map(means).collect()
}

/// The population whose requests pile up, if any do: late there are half as many again as early, and ten more.
pub fn judged(variant: &VariantPlan, runs: &[Found]) -> Option<Overload> {
    let count = runs.len().max(1) as f64;
    variant.model.clients.iter().enumerate().find_map(|(at, client)| {
        let of = |run: &Found| run.in_flight.get(at).copied();
        let (early, late) = runs
            .iter()
            .map(of)
            .try_fold((0.0, 0.0), |(early, late), run| run.map(|(e, l)| (early + e, late + l)))?;
        let (early, late) = (early / count, late / count);
        let piles_up = late > 1.5 * early && late - early > 10.0;
        piles_up.then(|| Overload { client: client.name.clone(), early, late })
    })
}
