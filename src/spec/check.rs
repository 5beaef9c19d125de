//! What types cannot say: names that must exist, values that must fit one another, calls that must end.

mod alerts;
mod autoscalers;
mod balancers;
mod balancing;
mod baseline;
mod blast;
mod breakers;
pub mod capacity;
mod cascades;
pub mod compare;
mod concurrency;
mod costs;
mod cycles;
mod databases;
mod deployments;
mod failures;
mod fault_instances;
mod keys;
mod life;
mod limits;
mod names;
mod network;
mod pools;
mod queues;
mod rare;
mod resilience4j;
mod retries;
mod runtime;
mod shedding;
mod sweep;
mod theory;
mod throttling;
pub mod timeline;
mod tune;
mod values;
mod waiting;

use super::decode::Context;
use super::diagnostic::Diagnostics;
use super::experiment::Experiment;
use super::topology::{Call, Step, Topology};

pub use failures::no_clients;
pub use names::{Component, Target, find, resolve};

/// Everything that is wrong with a topology whose fields are all of the right type.
pub fn topology(topology: &Topology) -> Diagnostics {
    let mut cx = Context::default();
    names::check(topology, &mut cx);
    values::check(topology, &mut cx);
    autoscalers::check(topology, &mut cx);
    balancing::check(topology, &mut cx);
    life::check(topology, &mut cx);
    runtime::check(topology, &mut cx);
    queues::check(topology, &mut cx);
    costs::check(topology, &mut cx);
    if !cx.diagnostics.has_errors() {
        cycles::check(topology, &mut cx);
    }
    if !cx.diagnostics.has_errors() {
        keys::check(topology, &mut cx);
    }
    cx.diagnostics
}

/// Everything that is wrong with an experiment, given its topology.
pub fn experiment(experiment: &Experiment, topology: &Topology) -> Diagnostics {
    let mut cx = Context::default();
    timeline::check(experiment, topology, &mut cx);
    theory::check(experiment, &mut cx);
    failures::check(experiment, topology, &mut cx);
    alerts::check(experiment, topology, &mut cx);
    cascades::check(experiment, &mut cx);
    compare::check(experiment, &mut cx);
    baseline::check(experiment, &mut cx);
    if let Some(blast) = &experiment.blast {
        blast::check(blast, topology, &mut cx);
    }
    sweep::check(experiment, &mut cx);
    tune::check(experiment, &mut cx);
    capacity::check(experiment, topology, &mut cx);
    if let Some(rare) = &experiment.rare {
        rare::check(rare, experiment, &mut cx);
    }
    cx.diagnostics
}

/// Calls `visit` for every step of a program, the outer before the inner.
pub fn each_step<'s>(steps: &'s [Step], visit: &mut dyn FnMut(&'s Step)) {
    for step in steps {
        visit(step);
        match step {
            Step::Parallel(p) => p.branches.iter().for_each(|b| each_step(b, visit)),
            Step::Choose(c) => c.ways.iter().for_each(|w| each_step(&w.steps, visit)),
            Step::Repeat(r) => each_step(&r.steps, visit),
            Step::Optional(o) => each_step(&o.steps, visit),
            Step::While(w) => each_step(&w.steps, visit),
            Step::Lock(l) => each_step(&l.steps, visit),
            Step::Work(_)
            | Step::Wait(_)
            | Step::Call(_)
            | Step::Hold(_)
            | Step::Fail(_)
            | Step::Io(_)
            | Step::Publish(_) => {}
        }
    }
}

/// Calls `visit` for every call of a program.
pub fn each_call<'s>(steps: &'s [Step], visit: &mut dyn FnMut(&'s Call)) {
    each_step(steps, &mut |step| {
        if let Step::Call(call) = step {
            visit(call);
        }
    });
}
