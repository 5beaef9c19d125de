//! Random failures: targets that exist, and times that are times.

use super::fault_instances;
use super::names::{Component, find};
use super::timeline::legal;
use crate::spec::decode::{Context, Map};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::dist::Distribution;
use crate::spec::experiment::Experiment;
use crate::spec::failure::{FailureTarget, FailureUnit, Failures, LastingEffect};
use crate::spec::source::Spanned;
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
    match &f.target {
        FailureTarget::Component(target) => component(target, topology, cx),
        FailureTarget::Zone(z) => {
            if !fault_instances::zones(topology).any(|zone| zone == z.zone.value) {
                let error = Diagnostic::error(z.zone.span, format!("there is no zone `{}`", z.zone.value));
                cx.diagnostics.push(error.nearest(&z.zone.value, fault_instances::zones(topology)));
            }
        }
    }
    for (at, more) in f.with.iter().enumerate() {
        component(more, topology, cx);
        let is_target = matches!(&f.target, FailureTarget::Component(target) if target.value == more.value);
        if is_target || f.with[..at].iter().any(|other| other.value == more.value) {
            cx.fail::<()>(more.span, format!("`{}` is struck twice by one failure", more.value));
        }
    }
    if !f.with.is_empty() && matches!(f.each, FailureUnit::Instance) {
        let message = "what fails by one cause fails at once: instances cannot fail each by itself";
        let error = Diagnostic::error(f.place("with"), message);
        cx.diagnostics.push(error.help("write `each: Component`"));
    }
    time(&f.up, "up", cx);
    time(&f.down, "down", cx);
    effect(f, topology, cx);
}

fn component(target: &Spanned<String>, topology: &Topology, cx: &mut Context) {
    let name = target.value.as_str();
    let is_queue = topology.queues.get(name).is_some();
    match find(topology, name) {
        Some(Component::Balancer(_)) if !is_queue => {
            cx.fail::<()>(
                target.span,
                format!("`{name}` is a balancer: what fails is what stands behind it"),
            );
        }
        Some(_) if is_queue => {
            let message = format!("`{name}` is a queue and something else: it is not clear what fails");
            let error = Diagnostic::error(target.span, message);
            cx.diagnostics.push(error.help("give one of them another name"));
        }
        Some(_) => {}
        None if is_queue => {}
        None => {
            let names = topology
                .services
                .names()
                .chain(topology.databases.names())
                .chain(topology.externals.names())
                .chain(topology.queues.names());
            cx.diagnostics.push(
                Diagnostic::error(target.span, format!("nothing called `{name}` can fail"))
                    .nearest(name, names),
            );
        }
    }
}

/// What a failure does must be possible where it strikes.
fn effect(f: &Failures, topology: &Topology, cx: &mut Context) {
    let own = match &f.target {
        FailureTarget::Component(target) => Some(target),
        FailureTarget::Zone(_) => None,
    };
    let struck = || own.into_iter().chain(&f.with);
    let fails_whole = matches!(f.what, LastingEffect::Down | LastingEffect::Hang);
    if own.is_none() && !fails_whole {
        cx.fail::<()>(f.place("what"), "a zone can be `Down` or `Hang`");
    }
    let queue = struck().find(|name| topology.queues.get(&name.value).is_some());
    match &f.what {
        LastingEffect::Down | LastingEffect::Hang | LastingEffect::Errors(_) => {}
        LastingEffect::Slow(slow) if slow.factor < 0.0 => {
            cx.fail::<()>(slow.place("factor"), "`factor` must not be negative");
        }
        LastingEffect::CpuSteal(steal) if steal.share.0 >= 1.0 => {
            let message = "`share` must be less than 100%: without any CPU time use `Hang`";
            cx.fail::<()>(steal.place("share"), message);
        }
        LastingEffect::DiskSlow(disk) if disk.factor <= 0.0 => {
            cx.fail::<()>(disk.place("factor"), "`factor` must be more than 0");
        }
        LastingEffect::GcStorm(storm) if storm.every.0 < 0.001 => {
            cx.fail::<()>(storm.place("every"), "`every` must be at least 1ms");
        }
        _ => {
            if let Some(queue) = queue {
                let message =
                    format!("`{}` is a queue: it can be `Down`, `Hang` or answer `Errors`", queue.value);
                cx.fail::<()>(queue.span, message);
            }
        }
    }
}

fn time(time: &Distribution, what: &str, cx: &mut Context) {
    // Times are whole nanoseconds: shorter ones would be none, and the process would never get on.
    if time.dist.mean() < 1e-9 {
        cx.fail::<()>(time.span, format!("`{what}` must be more than 0 on average"));
    }
}
