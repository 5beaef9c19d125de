//! Faults of zones, machines, processes, connections, caches, replicas, queues and clients: what they need to strike.

use super::names::{Component, find};
use super::timeline::{instances, target};
use crate::spec::database::Storage;
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::{Action, Instances};
use crate::spec::source::{Span, Spanned};
use crate::spec::topology::{Arrivals, Topology};

/// The names of all zones.
pub(super) fn zones(topology: &Topology) -> impl Iterator<Item = &str> {
    let of_services = topology.services.iter().flat_map(|(_, s)| &s.zones);
    of_services.chain(topology.databases.iter().flat_map(|(_, d)| &d.zones)).map(String::as_str)
}

/// Whether a fault strikes a message queue.
pub(super) fn is_queue(topology: &Topology, name: &Spanned<String>) -> bool {
    topology.queues.get(&name.value).is_some()
}

/// A fault strikes a queue, which must be told from all else and has no instances.
pub(super) fn whole_queue(
    topology: &Topology,
    target: &Spanned<String>,
    which: &Instances,
    place: Span,
    cx: &mut Context,
) {
    if find(topology, &target.value).is_some() {
        let message = format!("`{}` is a queue and something else: it is not clear what fails", target.value);
        cx.diagnostics.push(Diagnostic::error(target.span, message).help("give one of them another name"));
    } else if !matches!(which, Instances::All) {
        cx.fail::<()>(place, format!("`{}` has no instances to choose from", target.value));
    }
}

/// The zone that instances are chosen by is one of theirs.
pub(super) fn selected(which: &Instances, topology: &Topology, name: &str, cx: &mut Context) {
    let Instances::Zone(chosen) = which else { return };
    let zones = match find(topology, name) {
        Some(Component::Service(_)) => topology.services.get(name).map(|s| &s.zones),
        Some(Component::Database(_)) => topology.databases.get(name).map(|d| &d.zones),
        _ => None,
    };
    let known: Vec<&str> = zones.into_iter().flatten().map(String::as_str).collect();
    if !known.contains(&chosen.zone.value.as_str()) {
        let message = format!("`{name}` has no instances in a zone `{}`", chosen.zone.value);
        let error = Diagnostic::error(chosen.zone.span, message);
        cx.diagnostics.push(match known.is_empty() {
            true => error.help("give it `zones: [\"a\", …]`"),
            false => error.nearest(&chosen.zone.value, known),
        });
    }
}

/// A ramp fits twice into its fault.
pub(super) fn ramp(action: &Action, cx: &mut Context) {
    let ramp = action.ramp().0;
    if let Some(lasts) = action.fault().and_then(|view| view.lasts)
        && ramp > 0.0
        && 2.0 * ramp > lasts.0
    {
        let message =
            "`ramp` must be at most half of `lasts`: the effect grows over it, and shrinks over it again";
        cx.fail::<()>(action.place("ramp"), message);
    }
}

fn zone(topology: &Topology, name: &Spanned<String>, cx: &mut Context) {
    if !zones(topology).any(|zone| zone == name.value) {
        let error = Diagnostic::error(name.span, format!("there is no zone `{}`", name.value));
        let has_any = zones(topology).next().is_some();
        cx.diagnostics.push(match has_any {
            true => error.nearest(&name.value, zones(topology)),
            false => error.help("services and databases have `zones: [\"a\", …]`"),
        });
    }
}

fn client(topology: &Topology, name: &Spanned<String>, cx: &mut Context) {
    if topology.clients.get(&name.value).is_none() {
        cx.diagnostics.push(
            Diagnostic::error(name.span, format!("there is no client population `{}`", name.value))
                .nearest(&name.value, topology.clients.names()),
        );
    }
}

fn service(topology: &Topology, name: &Spanned<String>, cx: &mut Context) {
    if topology.services.get(&name.value).is_none() {
        cx.diagnostics.push(
            Diagnostic::error(name.span, format!("there is no service `{}`", name.value))
                .nearest(&name.value, topology.services.names()),
        );
    }
}

/// A database that exists; `false` after saying that it does not.
fn database(topology: &Topology, name: &Spanned<String>, cx: &mut Context) -> bool {
    let exists = topology.databases.get(&name.value).is_some();
    if !exists {
        let error = Diagnostic::error(name.span, format!("there is no database `{}`", name.value));
        cx.diagnostics.push(error.nearest(&name.value, topology.databases.names()));
    }
    exists
}

fn chosen(topology: &Topology, name: &Spanned<String>, which: &Instances, place: Span, cx: &mut Context) {
    let component = target(topology, name, false, cx);
    instances(which, component, &name.value, place, cx);
    selected(which, topology, &name.value, cx);
}

fn positive(value: f64, field: &str, place: Span, cx: &mut Context) {
    if value <= 0.0 {
        cx.fail::<()>(place, format!("`{field}` must be more than 0"));
    }
}

/// The shortest time between two acts of a fault, in seconds: shorter ones would let time stand still.
const OFTEN: f64 = 0.001;

fn not_too_often(every: f64, place: Span, cx: &mut Context) {
    if every < OFTEN {
        cx.fail::<()>(place, "`every` must be at least 1ms");
    }
}

/// The most requests of a burst.
const BURST_MAX: u32 = 1_000_000;

pub(super) fn event(action: &Action, topology: &Topology, cx: &mut Context) {
    match action {
        Action::ZoneDown(f) => zone(topology, &f.zone, cx),
        Action::DrainZone(f) => zone(topology, &f.zone, cx),
        Action::RestoreZone(f) => zone(topology, &f.zone, cx),
        Action::CpuSteal(f) => {
            chosen(topology, &f.target, &f.instances, f.place("instances"), cx);
            if f.share.0 >= 1.0 {
                let message = "`share` must be less than 100%: without any CPU time use `Hang`";
                cx.fail::<()>(f.place("share"), message);
            }
        }
        Action::DiskSlow(f) => {
            if database(topology, &f.target, cx) {
                chosen(topology, &f.target, &f.instances, f.place("instances"), cx);
                has_storage(topology, &f.target, cx);
            }
            positive(f.factor, "factor", f.place("factor"), cx);
        }
        Action::OutOfIoCredits(f) => has_credits(&f.target, topology, cx),
        Action::MemoryLeak(f) => {
            service(topology, &f.target, cx);
            if let Some(service) = topology.services.get(&f.target.value) {
                selected(&f.instances, topology, &f.target.value, cx);
                if service.memory.is_none() {
                    let message = format!("`{}` has no `memory`: a leak would do nothing", f.target.value);
                    let error = Diagnostic::error(f.target.span, message);
                    cx.diagnostics.push(error.help("give the service `memory: Memory(limit: …)`"));
                }
            }
        }
        Action::GcStorm(f) => {
            chosen(topology, &f.target, &f.instances, f.place("instances"), cx);
            not_too_often(f.every.0, f.place("every"), cx);
        }
        Action::ConnectionLeak(f) => {
            if topology.services.get(&f.target.value).is_none()
                && topology.clients.get(&f.target.value).is_none()
            {
                let names = topology.services.names().chain(topology.clients.names());
                let message = format!("nobody called `{}` calls anything", f.target.value);
                cx.diagnostics
                    .push(Diagnostic::error(f.target.span, message).nearest(&f.target.value, names));
            }
            target(topology, &f.to, true, cx);
            not_too_often(f.every.0, f.place("every"), cx);
        }
        // What has a cache is known once policies are taken apart: see the plan.
        Action::CacheFlush(_) | Action::CacheRestart(_) => {}
        Action::ReplicaLag(f) => {
            let follows = topology.databases.get(&f.target.value).is_some_and(|d| d.replication.is_some());
            if database(topology, &f.target, cx) && !follows {
                let message = format!("`{}` follows nobody: it cannot lag behind", f.target.value);
                let error = Diagnostic::error(f.target.span, message);
                cx.diagnostics.push(error.help("name the database that has `replication`"));
            }
            positive(f.lag.0, "lag", f.place("lag"), cx);
        }
        Action::PrimaryLoss(f) => {
            let fails_over = topology.databases.get(&f.target.value).is_some_and(|d| d.failover.is_some());
            if database(topology, &f.target, cx) && !fails_over {
                let message = format!("`{}` has no `failover`: nobody would take over", f.target.value);
                let error = Diagnostic::error(f.target.span, message);
                cx.diagnostics.push(error.help("give it a `failover`, or use `Down`"));
            }
        }
        Action::PoisonedMessage(f) => {
            if topology.queues.get(&f.target.value).is_none() {
                let error =
                    Diagnostic::error(f.target.span, format!("there is no queue `{}`", f.target.value));
                cx.diagnostics.push(error.nearest(&f.target.value, topology.queues.names()));
            }
            positive(f64::from(f.count), "count", f.place("count"), cx);
        }
        Action::TenantSpike(f) => {
            client(topology, &f.target, cx);
            if let Some(clients) = topology.clients.get(&f.target.value)
                && clients.tenants.get(&f.tenant.value).is_none()
            {
                let message = format!("`{}` has no tenant `{}`", f.target.value, f.tenant.value);
                let error = Diagnostic::error(f.tenant.span, message);
                cx.diagnostics.push(error.nearest(&f.tenant.value, clients.tenants.names()));
            }
            if f.factor < 0.0 {
                cx.fail::<()>(f.place("factor"), "`factor` must not be negative");
            }
        }
        Action::DropConnections(f) => {
            target(topology, &f.target, false, cx);
        }
        Action::Reconnect(f) => {
            client(topology, &f.target, cx);
            if let Some(clients) = topology.clients.get(&f.target.value)
                && !matches!(clients.arrivals, Arrivals::Users(_))
            {
                let message = format!("`{}` has no users who could ask all at once", f.target.value);
                let error = Diagnostic::error(f.target.span, message);
                cx.diagnostics.push(error.help("use `Burst` for a population without `Users`"));
            }
        }
        Action::Burst(f) => {
            client(topology, &f.target, cx);
            positive(f.every.0, "every", f.place("every"), cx);
            if f.every.0 > 0.0 {
                not_too_often(f.every.0, f.place("every"), cx);
            }
            if !(1..=BURST_MAX).contains(&f.requests) {
                let message = format!("`requests` must be from 1 to {BURST_MAX}");
                cx.fail::<()>(f.place("requests"), message);
            }
        }
        Action::Recycle(f) => {
            service(topology, &f.target, cx);
            if f.every.0 < 1.0 {
                cx.fail::<()>(f.place("every"), "`every` must be at least 1s");
            }
        }
        _ => {}
    }
}

/// The storage of a database must have credits to lose.
fn has_credits(target: &Spanned<String>, topology: &Topology, cx: &mut Context) {
    if !database(topology, target, cx) {
        return;
    }
    has_storage(topology, target, cx);
    let storage = topology.databases.get(&target.value).and_then(|d| d.storage.as_ref());
    if matches!(storage, Some(Storage::Disk(_) | Storage::Gp3(_))) {
        let error =
            Diagnostic::error(target.span, format!("the storage of `{}` has no credits", target.value));
        cx.diagnostics.push(error.help("`Gp2(…)` has; use `DiskSlow` for others"));
    }
}

fn has_storage(topology: &Topology, name: &Spanned<String>, cx: &mut Context) {
    if topology.databases.get(&name.value).is_some_and(|d| d.storage.is_none()) {
        let error = Diagnostic::error(name.span, format!("`{}` has no `storage`", name.value));
        cx.diagnostics.push(error.help("give the database a `storage`"));
    }
}
