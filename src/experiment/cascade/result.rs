//! The cascades of one run, and what those of all runs mean together.

use super::{Followed, Path, Sign, Trigger, follow, normal_before};
use crate::experiment::plan::{Plan, VariantPlan};
use crate::experiment::recovery::{Columns, struck};
use crate::experiment::results::{CascadeOrder, CascadeResult, CascadeShown, CascadeStep, FaultRun};
use crate::metrics::Record;

/// The cascade of every trigger of a variant in one run. Each is followed until its fault is over and everybody has
/// recovered, or to the end of the run.
pub fn examine(plan: &Plan, variant: &VariantPlan, record: &Record, faults: &[FaultRun]) -> Vec<Path> {
    let map = &variant.cascade;
    let columns = Columns { rows: &record.rows, width: variant.recorded.columns.len() };
    let warmup = plan.warmup.seconds().ceil() as usize;
    let mut paths = Vec::new();
    for (number, trigger) in map.triggers.iter().enumerate() {
        let span = match trigger.at {
            Some(at) => Some((at, None)),
            None => struck(variant, record, number),
        };
        let Some((start, end)) = span else {
            paths.push(Path::new());
            continue;
        };
        let second = start.seconds() as usize;
        let total = columns.seconds();
        let recovered = faults.get(number).filter(|_| trigger.at.is_none()).and_then(|f| f.recover_s);
        let until = recovered.map_or(total, |s| {
            let recovered = (start.seconds() + s).ceil() as usize;
            recovered.max(end.map_or(total, |end| end.seconds().ceil() as usize))
        });
        let followed = Followed { start, normal: normal_before(second, warmup), until };
        paths.push(follow(map, trigger, record, &columns, followed));
    }
    paths
}

/// What the cascades of a trigger mean together: the orders in which components fell, most frequent first, and the
/// steps of the first run that took the most frequent one.
pub fn result(variant: &VariantPlan, number: usize, runs: &[Vec<Path>]) -> CascadeResult {
    let map = &variant.cascade;
    let trigger: &Trigger = &map.triggers[number];
    let name = |component: Option<usize>| {
        component.map_or_else(|| trigger.target.clone(), |c| map.components[c].path.clone())
    };
    let mut orders: Vec<CascadeOrder> = Vec::new();
    let mut first: Vec<usize> = Vec::new();
    for (run, paths) in runs.iter().enumerate() {
        let path: Vec<String> = paths[number].iter().map(|step| name(step.component)).collect();
        match orders.iter_mut().find(|order| order.path == path) {
            Some(order) => order.runs += 1,
            None => {
                orders.push(CascadeOrder { path, runs: 1 });
                first.push(run);
            }
        }
    }
    let most = (0..orders.len()).rev().max_by_key(|at| orders[*at].runs);
    let run = most.map_or(0, |at| first[at]);
    orders.sort_by_key(|order| std::cmp::Reverse(order.runs));
    let shown = |shown: &super::Shown| CascadeShown {
        after_s: shown.after_s,
        sign: shown.sign.name(),
        value: shown.value,
        normal: shown.normal,
    };
    let steps = runs.get(run).map(|paths| &paths[number]).into_iter().flatten();
    let steps = steps.map(|step| CascadeStep {
        component: name(step.component),
        first: shown(&step.first),
        text: if step.first.sign == Sign::Struck { trigger.text.clone() } else { String::new() },
        later: step.later.iter().map(shown).collect(),
        carrier: step.carrier.map(|c| map.links[c.link].path.clone()),
        load: step.carrier.and_then(|c| c.load),
    });
    CascadeResult {
        name: trigger.name.clone(),
        is_fault: trigger.at.is_none(),
        run: run as u32,
        runs: runs.len() as u32,
        steps: steps.collect(),
        orders,
    }
}
