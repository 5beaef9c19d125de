//! Random failures: targets that exist, and times that are times.

use super::names::{Component, find};
use super::timeline::legal;
use crate::spec::decode::{Context, Map};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::dist::Distribution;
use crate::spec::experiment::Experiment;
use crate::spec::failure::{FailureEffect, Failures};
use crate::spec::topology::Topology;

pub(super) fn check(experiment: &Experiment, topology: &Topology, cx: &mut Context) {
    all(&experiment.failures, topology, cx);
    for (_, variant) in experiment.variants.iter() {
        all(&variant.0.failures, topology, cx);
    }
    let has_any =
        !experiment.failures.is_empty() || experiment.variants.iter().any(|(_, v)| !v.0.failures.is_empty());
    if topology.clients.is_empty() && !has_any {
        cx.diagnostics.push(no_clients(topology));
    }
}

/// Without clients nothing happens, unless something fails at random.
pub fn no_clients(topology: &Topology) -> Diagnostic {
    Diagnostic::error(topology.span.at_end(), "there are no clients: nothing would ever happen")
        .help("add `clients: { \"users\": Clients(…) }`")
}

fn all(failures: &Map<Failures>, topology: &Topology, cx: &mut Context) {
    for (name, span, failure) in failures.spanned() {
        legal(name, "a failure", span, cx);
        one(failure, topology, cx);
    }
}

fn one(f: &Failures, topology: &Topology, cx: &mut Context) {
    let name = f.target.value.as_str();
    match find(topology, name) {
        Some(Component::Service(_) | Component::Database(_) | Component::External(_)) => {}
        Some(Component::Balancer(_)) => {
            cx.fail::<()>(
                f.target.span,
                format!("`{name}` is a balancer: what fails is what stands behind it"),
            );
        }
        None => {
            let names =
                topology.services.names().chain(topology.databases.names()).chain(topology.externals.names());
            cx.diagnostics.push(
                Diagnostic::error(f.target.span, format!("nothing called `{name}` can fail"))
                    .nearest(name, names),
            );
        }
    }
    time(&f.up, "up", cx);
    time(&f.down, "down", cx);
    if let FailureEffect::Slow(slow) = &f.what
        && slow.factor < 0.0
    {
        cx.fail::<()>(slow.place("factor"), "`factor` must not be negative");
    }
}

fn time(time: &Distribution, what: &str, cx: &mut Context) {
    // Times are whole nanoseconds: shorter ones would be none, and the process would never get on.
    if time.dist.mean() < 1e-9 {
        cx.fail::<()>(time.span, format!("`{what}` must be more than 0 on average"));
    }
}
