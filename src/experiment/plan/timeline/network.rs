//! Faults of the network and of dependencies: from names to parties, and whether there is anything to strike.

use super::which;
use crate::base::salt;
use crate::model::balancers::Product;
use crate::model::{Callee, Caller, Connect, GroupKind, LayerKind, Model};
use crate::sim::script::network::{NetBlow, NetFault, Party};
use crate::sim::script::{Effect, Which};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Action;
use crate::spec::fault::network::{Between, DnsAnswer};
use crate::spec::topology::Topology;

fn party(topology: &Topology, model: &Model, name: &str) -> Party {
    let position = |p: Option<usize>| p.map(|p| p as u32);
    let client = position(topology.clients.position(name)).map(Party::Client);
    let balancer = position(topology.balancers.position(name)).map(Party::Balancer);
    let queue = position(topology.queues.position(name)).map(Party::Queue);
    let group = position(model.groups.iter().position(|g| g.name == name)).map(Party::Group);
    group.or(balancer).or(queue).or(client).unwrap_or(Party::Group(0))
}

fn group_of(party: Party) -> Option<u32> {
    match party {
        Party::Group(group) => Some(group),
        Party::Client(_) | Party::Balancer(_) | Party::Queue(_) => None,
    }
}

fn caller(caller: Caller) -> Party {
    match caller {
        Caller::Client(client) => Party::Client(client),
        Caller::Group(group) => Party::Group(group),
    }
}

fn callee(callee: Callee) -> Party {
    match callee {
        Callee::Balancer(balancer) => Party::Balancer(balancer),
        Callee::Group(group) => Party::Group(group),
    }
}

/// What a fault of the network or of a dependency does; `None` for others.
pub(super) fn effect(action: &Action, topology: &Topology, model: &Model) -> Option<Effect> {
    let name = action.fault()?.name.to_string();
    let all = (None, Which::All);
    let (from, to, chosen, how) = match action {
        Action::Throttling(f) => {
            let rate = f.rate.map(|rate| rate.0);
            let burst = |rate: f64| libm::ceil(rate).clamp(1.0, f64::from(u32::MAX)) as u32;
            let limit = rate.map(|rate| (rate, f.burst.unwrap_or_else(|| burst(rate))));
            let ratio = f.ratio.map_or(0.0, |r| r.0);
            let retry_after = f.retry_after.map(|wait| wait.duration());
            (None, &f.target, all, NetBlow::Throttle { limit, ratio, retry_after })
        }
        Action::WrongAnswers(f) => {
            let group = group_of(party(topology, model, &f.target.value));
            (None, &f.target, (group, which(&f.instances, model)), NetBlow::Wrong(f.ratio.0))
        }
        Action::DnsFailure(f) => {
            let is_silent = matches!(f.answer, DnsAnswer::Timeout);
            (None, &f.target, all, NetBlow::Dns { is_silent })
        }
        Action::CertificateExpiry(f) => (None, &f.target, all, NetBlow::Certificate),
        Action::FullConnectionTable(f) => (None, &f.target, all, NetBlow::Table(f.max)),
        Action::SlowClients(f) => {
            let client = topology.clients.position(&f.target.value).unwrap_or(0) as u32;
            let how = NetBlow::SlowClients { reads: f.reads.dist.clone(), ratio: f.ratio.0 };
            let to = Party::Client(client);
            return Some(Effect::Net(NetFault { from: None, to, which: all, how, salt: salt(&name) }));
        }
        _ => {
            let Between { from, to, instances, both, .. } = action.between()?;
            let how = match action {
                Action::Partition(_) => NetBlow::Partition { both },
                Action::Latency(f) => {
                    NetBlow::Latency { latency: f.latency.dist.clone(), jitter: f.jitter.0, both }
                }
                Action::Loss(f) => NetBlow::Loss { ratio: f.ratio.0, rto: f.retransmission.duration(), both },
                Action::Resets(f) => NetBlow::Resets(f.ratio.0),
                _ => return None,
            };
            let group = |name: &str| group_of(party(topology, model, name));
            let is_service = |group: &u32| model.groups[*group as usize].kind == GroupKind::Service;
            let [to_group, from_group] = [group(&to.value), from.and_then(|from| group(&from.value))];
            let struck =
                to_group.filter(is_service).or(from_group.filter(is_service)).or(to_group).or(from_group);
            (from, to, (struck, which(instances, model)), how)
        }
    };
    let from = from.map(|from| party(topology, model, &from.value));
    let to = party(topology, model, &to.value);
    Some(Effect::Net(NetFault { from, to, which: chosen, how, salt: salt(&name) }))
}

/// Why a fault would do nothing, if that is so.
pub(super) fn mistake(action: &Action, topology: &Topology, model: &Model) -> Option<Diagnostic> {
    let side = |name: &str| party(topology, model, name);
    let connects = |name: &str, which: fn(&LayerKind) -> bool| {
        let target = side(name);
        let mut routes = model.routes.iter().filter(|route| callee(route.callee) == target);
        routes.any(|r| {
            model.layers[r.layers.start as usize..r.layers.end as usize].iter().any(|l| which(&l.kind))
        })
    };
    match action {
        Action::DnsFailure(f) => {
            let looks_up =
                |kind: &LayerKind| matches!(kind, LayerKind::Connect(Connect { dns: Some(_), .. }));
            (!connects(&f.target.value, looks_up)).then(|| {
                Diagnostic::error(f.target.span, format!("nobody looks up the name of `{}`", f.target.value))
                    .help("a caller's policy needs a `Connect` layer with `dns: Dns(…)`")
            })
        }
        Action::CertificateExpiry(f) => {
            let has_tls = |kind: &LayerKind| match kind {
                LayerKind::Connect(config) => config.has_tls(),
                kind => matches!(kind, LayerKind::Pool { .. }),
            };
            (!connects(&f.target.value, has_tls)).then(|| {
                let message = format!("nobody opens connections with TLS to `{}`", f.target.value);
                Diagnostic::error(f.target.span, message)
                    .help("a caller's policy needs a `Connect` layer with `tls`, or a pool")
            })
        }
        Action::FullConnectionTable(f) => {
            let opens = |kind: &LayerKind| matches!(kind, LayerKind::Connect(_) | LayerKind::Pool { .. });
            (!connects(&f.target.value, opens)).then(|| {
                let message = format!("nobody opens connections to `{}`", f.target.value);
                Diagnostic::error(f.target.span, message)
                    .help("a caller's policy needs a `Connect` layer or a pool")
            })
        }
        Action::SlowClients(f) => {
            let client = topology.clients.position(&f.target.value)? as u32;
            let waits = |edge: &&crate::model::EdgeShape| match edge.callee {
                Callee::Group(_) => true,
                Callee::Balancer(balancer) => model
                    .epochs
                    .iter()
                    .any(|e| !matches!(e.balancers[balancer as usize].product, Product::Nginx(_))),
            };
            let mut edges = model.edges.iter().filter(|e| e.caller == Caller::Client(client));
            (!edges.any(|edge| waits(&edge))).then(|| {
                Diagnostic::error(f.target.span, "nginx keeps answers until they are read: nothing waits")
                    .help("take a balancer of another product, or no balancer")
            })
        }
        _ => {
            let between = action.between()?;
            let to = side(&between.to.value);
            let from = between.from.map(|from| side(&from.value));
            if passes(model, from, to, between.is_partition) {
                return None;
            }
            Some(nothing_passes(&between, topology, model))
        }
    }
}

/// Whether anything passes between two sides, or between one and everybody.
fn passes(model: &Model, from: Option<Party>, to: Party, is_partition: bool) -> bool {
    let calls = model.edges.iter().map(|e| (caller(e.caller), callee(e.callee)));
    let behind = model.balancers.iter().enumerate();
    let behind = behind.map(|(b, shape)| (Party::Balancer(b as u32), Party::Group(shape.group)));
    let joins = |(a, b): (Party, Party)| match from {
        Some(from) => (a, b) == (from, to) || (b, a) == (from, to),
        None => b == to || is_partition && a == to,
    };
    if calls.chain(behind).any(joins) {
        return true;
    }
    let is_queue = |party: Option<Party>| matches!(party, Some(Party::Queue(_)));
    let is_group = |party: Option<Party>| party.is_none_or(|p| matches!(p, Party::Group(_)));
    let replicas = model.groups.iter().enumerate();
    let mut replicas =
        replicas.filter_map(|(r, g)| Some((Party::Group(g.replicates?), Party::Group(r as u32))));
    let consumes = || model.queues.iter().any(|queue| queue.consumer.map(Party::Group) == Some(to));
    is_partition
        && (replicas.any(joins)
            || from.is_none() && consumes()
            || is_queue(Some(to)) && is_group(from)
            || is_queue(from) && is_group(Some(to)))
}

fn nothing_passes(between: &Between<'_>, topology: &Topology, model: &Model) -> Diagnostic {
    let to = &between.to.value;
    let Some(from) = between.from else {
        return Diagnostic::error(between.to.span, format!("nobody calls `{to}`"));
    };
    let message = format!("nothing passes between `{}` and `{to}`", from.value);
    let error = Diagnostic::error(from.span, message);
    let sides = [party(topology, model, &from.value), party(topology, model, to)];
    let through = model.balancers.iter().enumerate().find(|(number, shape)| {
        let balancer = Party::Balancer(*number as u32);
        let other = match sides {
            [a, b] if b == Party::Group(shape.group) => a,
            [a, b] if a == Party::Group(shape.group) => b,
            _ => return false,
        };
        passes(model, Some(other), balancer, true)
    });
    match through {
        Some((_, shape)) => {
            error.help(format!("the balancer `{}` is between them: name it instead", shape.name))
        }
        None => error.help("name two components of which one calls the other"),
    }
}
