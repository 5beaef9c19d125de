//! Faults of the network and of dependencies: sides that exist, values that can be.

use super::{instances, target};
use crate::spec::check::names::{Component, find};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::{Action, Instances};
use crate::spec::fault::network::Between;
use crate::spec::source::Spanned;
use crate::spec::topology::Topology;

/// What a side of a network is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Client,
    Queue,
    Component(Component),
}

impl Side {
    fn has_instances(self) -> bool {
        matches!(
            self,
            Self::Component(Component::Service(_) | Component::Database(_) | Component::External(_))
        )
    }
}

pub(super) fn event(action: &Action, topology: &Topology, cx: &mut Context) {
    if let Some(between) = action.between() {
        sides(&between, topology, cx);
    }
    match action {
        Action::Latency(f) => {
            if f.jitter.0 < 0.0 {
                cx.fail::<()>(f.place("jitter"), "`jitter` must not be negative");
            }
            if f.places.of("latency").is_none() && f.jitter.0 == 0.0 {
                cx.fail::<()>(f.span, "`Latency` needs a latency, or a jitter");
            }
        }
        Action::Loss(f) => {
            positive(f.ratio.0, f.place("ratio"), "ratio", cx);
            positive(f.retransmission.0, f.place("retransmission"), "retransmission", cx);
        }
        Action::Resets(f) => positive(f.ratio.0, f.place("ratio"), "ratio", cx),
        Action::DnsFailure(f) => called(&f.target, topology, cx),
        Action::CertificateExpiry(f) => called(&f.target, topology, cx),
        Action::FullConnectionTable(f) => called(&f.target, topology, cx),
        Action::Throttling(f) => {
            target(topology, &f.target, true, cx);
            if f.rate.is_none() == f.ratio.is_none() {
                let error = Diagnostic::error(f.span, "`Throttling` needs either a rate or a ratio");
                cx.diagnostics.push(error.help("write `rate: \"100/s\"`, or `ratio: 0.5`"));
            }
            if f.burst.is_some() && f.rate.is_none() {
                cx.fail::<()>(f.place("burst"), "`burst` belongs to a rate");
            }
            if let Some(rate) = f.rate {
                positive(rate.0, f.place("rate"), "rate", cx);
            }
            if f.burst == Some(0) {
                cx.fail::<()>(f.place("burst"), "`burst` must be at least 1: nothing would pass, ever");
            }
        }
        Action::WrongAnswers(f) => {
            let component = target(topology, &f.target, true, cx);
            positive(f.ratio.0, f.place("ratio"), "ratio", cx);
            instances(&f.instances, component, &f.target.value, f.place("instances"), cx);
        }
        Action::SlowClients(f) => {
            if topology.clients.get(&f.target.value).is_none() {
                let message = format!("there is no client population `{}`", f.target.value);
                let error = Diagnostic::error(f.target.span, message);
                cx.diagnostics.push(error.nearest(&f.target.value, topology.clients.names()));
            }
            positive(f.ratio.0, f.place("ratio"), "ratio", cx);
        }
        _ => {}
    }
}

fn positive(value: f64, span: crate::spec::source::Span, field: &str, cx: &mut Context) {
    if value <= 0.0 {
        cx.fail::<()>(span, format!("`{field}` must be more than 0"));
    }
}

/// Something that is called by its name.
fn called(name: &Spanned<String>, topology: &Topology, cx: &mut Context) {
    if find(topology, &name.value).is_none() {
        let names = (topology.balancers.names())
            .chain(topology.services.names())
            .chain(topology.databases.names())
            .chain(topology.externals.names());
        let message = format!("nobody can call `{}`: there is no such component", name.value);
        cx.diagnostics.push(Diagnostic::error(name.span, message).nearest(&name.value, names));
    }
}

fn sides(between: &Between<'_>, topology: &Topology, cx: &mut Context) {
    let to = side(between.to, topology, cx);
    let from = between.from.map(|from| side(from, topology, cx));
    if let Some(from) = between.from
        && from.value == between.to.value
    {
        cx.fail::<()>(from.span, format!("`{}` is on both sides", from.value));
        return;
    }
    let Some(to) = to else { return };
    if matches!(to, Side::Client | Side::Queue) && !between.is_partition {
        let message = format!("nobody calls `{}`", between.to.value);
        let error = Diagnostic::error(between.to.span, message);
        cx.diagnostics.push(error.help("`to` is who is called, `from` who calls"));
        return;
    }
    if matches!(between.instances, Instances::All) {
        return;
    }
    let with_instances = [(Some(to), between.to.value.as_str())]
        .into_iter()
        .chain(between.from.map(|name| (from.flatten(), name.value.as_str())));
    let found = with_instances.into_iter().find(|(side, _)| side.is_some_and(Side::has_instances));
    match found {
        Some((Some(Side::Component(component)), name)) => {
            instances(between.instances, Some(component), name, between.instances_at, cx);
        }
        _ => {
            let message = format!("`{}` has no instances to choose from", between.to.value);
            cx.fail::<()>(between.instances_at, message);
        }
    }
}

fn side(name: &Spanned<String>, topology: &Topology, cx: &mut Context) -> Option<Side> {
    let client = topology.clients.get(&name.value).map(|_| Side::Client);
    let queue = topology.queues.get(&name.value).map(|_| Side::Queue);
    let component = find(topology, &name.value).map(Side::Component);
    let mut found = [client, queue, component].into_iter().flatten();
    match (found.next(), found.next()) {
        (Some(side), None) => Some(side),
        (Some(_), Some(_)) => {
            let message = format!("there is more than one `{}`: it is not clear which is meant", name.value);
            let error = Diagnostic::error(name.span, message);
            cx.diagnostics.push(error.help("give one of them another name"));
            None
        }
        _ => {
            let names = (topology.clients.names())
                .chain(topology.balancers.names())
                .chain(topology.services.names())
                .chain(topology.databases.names())
                .chain(topology.externals.names())
                .chain(topology.queues.names());
            let message = format!("there is nothing called `{}` on the network", name.value);
            cx.diagnostics.push(Diagnostic::error(name.span, message).nearest(&name.value, names));
            None
        }
    }
}
