//! Faults of zones, machines, processes, connections, caches, replicas, queues and clients, by id.

use crate::base::SimDuration;
use crate::model::catalog::edge_path;
use crate::model::{GroupKind, LayerKind, Model};
use crate::sim::script::{Blow, Effect, What, Which};
use crate::spec::experiment::Action;
use crate::spec::fault_instances::{RecycleOrder, ZoneLoss};
use crate::spec::topology::Topology;

/// The number of a zone.
pub(super) fn zone(model: &Model, name: &str) -> u32 {
    model.zones.iter().position(|zone| zone == name).unwrap_or(0) as u32
}

/// The groups with instances in a zone, and that zone.
pub(crate) fn in_zone(model: &Model, zone: u32) -> Vec<(u32, Which)> {
    let is_in = |number: &u32| {
        let group = &model.groups[*number as usize];
        group.kind != GroupKind::External && group.zones.contains(&zone)
    };
    (0..model.groups.len() as u32).filter(is_in).map(|group| (group, Which::Zone(zone))).collect()
}

fn group_called(model: &Model, name: &str) -> Option<u32> {
    model.groups.iter().position(|g| g.name == name).map(|g| g as u32)
}

/// The caches that a policy has wherever it is used, or those of one edge.
fn caches(model: &Model, target: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for slot in model.epochs.iter().flat_map(|epoch| &epoch.slots) {
        let edge = &model.edges[slot.edge as usize];
        let is_meant = edge.policy == target || edge_path(model, edge) == target;
        if is_meant && matches!(model.layers[slot.layer as usize].kind, LayerKind::Cache { .. }) {
            found.extend(slot.first..slot.first + slot.count);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The pools between a caller and a callee, those of proxies left out.
fn pools(model: &Model, from: &str, to: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for slot in model.epochs.iter().flat_map(|epoch| &epoch.slots) {
        let edge = &model.edges[slot.edge as usize];
        let is_meant =
            model.caller_name(edge.caller) == from && model.groups[slot.callee_group as usize].name == to;
        let kind = &model.layers[slot.layer as usize].kind;
        if is_meant && matches!(kind, LayerKind::Pool { sessions: None, .. }) {
            found.extend(slot.first..slot.first + slot.count);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// What is wrong with an action that only the compiled model can tell.
pub(super) fn missing(action: &Action, model: &Model) -> Option<(String, String)> {
    match action {
        Action::CacheFlush(f) if caches(model, &f.target.value).is_empty() => {
            Some(no_cache(model, &f.target.value))
        }
        Action::CacheRestart(f) if caches(model, &f.target.value).is_empty() => {
            Some(no_cache(model, &f.target.value))
        }
        Action::ConnectionLeak(f) if pools(model, &f.target.value, &f.to.value).is_empty() => {
            let (from, to) = (&f.target.value, &f.to.value);
            let help = format!("let `{from}` call `{to}` through a policy with a pool");
            Some((format!("there is no pool of connections between `{from}` and `{to}`"), help))
        }
        _ => None,
    }
}

fn no_cache(model: &Model, target: &str) -> (String, String) {
    let mut known = Vec::new();
    for slot in model.epochs.iter().flat_map(|epoch| &epoch.slots) {
        if matches!(model.layers[slot.layer as usize].kind, LayerKind::Cache { .. }) {
            let edge = &model.edges[slot.edge as usize];
            known.extend([edge.policy.clone(), edge_path(model, edge)]);
        }
    }
    known.sort();
    known.dedup();
    let help = match known.is_empty() {
        true => "a cache is a layer `Cache(…)` of a policy that a call goes through".to_string(),
        false => format!("there is: {}", known.join(", ")),
    };
    (format!("no policy and no edge with a cache is called `{target}`"), help)
}

/// What an operator does to a zone.
pub(super) fn operation(action: &Action, model: &Model) -> Option<What> {
    match action {
        Action::DrainZone(d) => Some(What::DrainZone { zone: zone(model, &d.zone.value), is_drained: true }),
        Action::RestoreZone(d) => {
            Some(What::DrainZone { zone: zone(model, &d.zone.value), is_drained: false })
        }
        _ => None,
    }
}

/// What a fault does, if it is one of those of this file.
pub(super) fn effect(action: &Action, topology: &Topology, model: &Model) -> Option<Effect> {
    let group = |name: &str| group_called(model, name).unwrap_or(0);
    let client = |name: &str| topology.clients.position(name).unwrap_or(0) as u32;
    let queue = |name: &str| topology.queues.position(name).unwrap_or(0) as u32;
    let strike = |name: &str, which: Which, blow| Effect::Strike { group: group(name), which, blow };
    let on_queue = |name: &str, blow| {
        let queue = topology.queues.position(name)? as u32;
        Some(Effect::Strikes { on: Vec::new(), queues: vec![queue], blow })
    };
    let duration = |seconds: crate::spec::quantity::Seconds| -> SimDuration { seconds.duration() };
    Some(match action {
        Action::Slow(f) => {
            let latency = f.latency.as_ref()?;
            return on_queue(&f.target.value, Blow::Latency(latency.dist.clone()));
        }
        Action::Errors(f) => return on_queue(&f.target.value, Blow::Errors(f.ratio.0)),
        Action::Hang(f) => return on_queue(&f.target.value, Blow::Hang),
        Action::ZoneDown(f) => {
            let blow = match f.how {
                ZoneLoss::Power => Blow::Down,
                ZoneLoss::Network => Blow::Hang,
            };
            let zone = zone(model, &f.zone.value);
            Effect::Strikes { on: in_zone(model, zone), queues: Vec::new(), blow }
        }
        Action::CpuSteal(f) => {
            strike(&f.target.value, super::timeline::which(&f.instances, model), Blow::Steal(f.share.0))
        }
        Action::DiskSlow(f) => {
            strike(&f.target.value, super::timeline::which(&f.instances, model), Blow::Disk(f.factor))
        }
        Action::OutOfIoCredits(f) => strike(&f.target.value, Which::All, Blow::NoCredits),
        Action::MemoryLeak(f) => {
            let blow = Blow::Leak(f.rate.0 as f64);
            strike(&f.target.value, super::timeline::which(&f.instances, model), blow)
        }
        Action::GcStorm(f) => {
            let blow = Blow::Pauses { pause: f.pause.dist.clone(), every: duration(f.every) };
            strike(&f.target.value, super::timeline::which(&f.instances, model), blow)
        }
        Action::ConnectionLeak(f) => Effect::LoseConnections {
            pools: pools(model, &f.target.value, &f.to.value),
            every: duration(f.every),
        },
        Action::CacheFlush(f) => Effect::Caches { caches: caches(model, &f.target.value), away: false },
        Action::CacheRestart(f) => Effect::Caches { caches: caches(model, &f.target.value), away: true },
        Action::ReplicaLag(f) => Effect::Lag { group: group(&f.target.value), lag: duration(f.lag) },
        Action::PrimaryLoss(f) => strike(&f.target.value, Which::All, Blow::Down),
        Action::PoisonedMessage(f) => Effect::Poison { queue: queue(&f.target.value), count: f.count },
        Action::TenantSpike(f) => {
            let number = client(&f.target.value);
            let tenants = &model.clients[number as usize].tenants;
            let tenant = tenants.iter().position(|t| *t == f.tenant.value).unwrap_or(0) as u32;
            Effect::Tenant { client: number, tenant, factor: f.factor }
        }
        Action::DropConnections(f) => Effect::Disconnect { group: group(&f.target.value) },
        Action::Reconnect(f) => {
            Effect::Reconnect { client: client(&f.target.value), within: duration(f.within) }
        }
        Action::Burst(f) => Effect::Burst {
            client: client(&f.target.value),
            every: duration(f.every),
            requests: f.requests,
            within: duration(f.within),
        },
        Action::Recycle(f) => Effect::Recycle {
            group: group(&f.target.value),
            every: duration(f.every),
            jitter: f.jitter.dist.clone(),
            in_turn: matches!(f.order, RecycleOrder::InTurn),
        },
        _ => return None,
    })
}

/// The groups whose CPU time faults steal.
pub(super) fn stolen_from(effects: &[crate::sim::script::Fault]) -> Vec<u32> {
    let steals = effects.iter().filter(|f| matches!(f.effect.blow(), Some(Blow::Steal(_))));
    steals.flat_map(|f| f.effect.strikes().map(|(group, _)| group)).collect()
}
