//! Rare events: something that can fail, and outages that say what.

use crate::spec::decode::Context;
use crate::spec::experiment::Experiment;
use crate::spec::rare::{self, Rare};
use std::collections::BTreeSet;

/// The most failures at once that are played: their sets are many.
const SIZE_MAX: u32 = 4;

pub(super) fn check(rare: &Rare, experiment: &Experiment, cx: &mut Context) {
    let own = experiment.variants.iter().flat_map(|(_, v)| v.0.failures.names());
    let names: BTreeSet<&str> = experiment.failures.names().chain(own).collect();
    let names: Vec<&str> = names.into_iter().collect();
    for text in &rare.outage {
        if let Err(diagnostic) = rare::parse(text, &names) {
            cx.diagnostics.push(diagnostic);
        }
    }
    if rare.per.0 <= 0.0 {
        cx.fail::<()>(rare.place("per"), "`per` must be more than 0");
    }
    if !(1..=SIZE_MAX).contains(&rare.size) {
        cx.fail::<()>(rare.place("size"), format!("`size` must be from 1 to {SIZE_MAX}"));
    }
    if !(1_000..=1_000_000_000).contains(&rare.samples) {
        cx.fail::<()>(rare.place("samples"), "`samples` must be from 1,000 to 1,000,000,000");
    }
}
