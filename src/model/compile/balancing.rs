//! How balancers choose, from the language's types to the components' own.

use crate::components::balancer::zone_aware::ZoneAware;
use crate::components::balancer::{Flavour, PolicyConfig, SlowStartConfig};
use crate::model::{GroupKind, GroupShape, ZoneRouting};
use crate::spec::balancing as sb;
use crate::spec::balancing::SlowStart;
use crate::spec::topology::{BalancerPolicy, Topology};

pub(super) fn policy(policy: &BalancerPolicy) -> PolicyConfig {
    match policy {
        BalancerPolicy::RoundRobin => PolicyConfig::RoundRobin,
        BalancerPolicy::WeightedRoundRobin => PolicyConfig::WeightedRoundRobin,
        BalancerPolicy::Random => PolicyConfig::Random,
        BalancerPolicy::WeightedRandom => PolicyConfig::WeightedRandom,
        BalancerPolicy::LeastOutstanding => PolicyConfig::LeastOutstanding,
        BalancerPolicy::PowerOfTwo => PolicyConfig::PowerOfTwo,
        BalancerPolicy::RingHash(r) => PolicyConfig::RingHash {
            ring_size: r.ring_size,
            hash_balance_factor: r.hash_balance_factor.unwrap_or(0),
        },
        BalancerPolicy::EnvoyRoundRobin => PolicyConfig::EnvoyRoundRobin,
        BalancerPolicy::HaproxyRoundRobin => PolicyConfig::HaproxyRoundRobin,
        BalancerPolicy::LeastConn => PolicyConfig::LeastConn,
        BalancerPolicy::NginxLeastConn => PolicyConfig::NginxLeastConn,
        BalancerPolicy::LeastRequest(l) => PolicyConfig::LeastRequest {
            choice_count: l.choice_count,
            active_request_bias: l.active_request_bias,
        },
        BalancerPolicy::PowerOfChoices(p) => PolicyConfig::PowerOfChoices { choices: p.choices },
        BalancerPolicy::PeakEwma(p) => {
            PolicyConfig::PeakEwma { decay: p.decay.duration(), flavour: Flavour::Finagle }
        }
        BalancerPolicy::EnvoyPeakEwma(p) => PolicyConfig::PeakEwma {
            decay: p.decay_time.duration(),
            flavour: Flavour::Envoy { default_rtt: p.default_rtt.duration() },
        },
        BalancerPolicy::Maglev(m) => PolicyConfig::Maglev {
            table_size: m.table_size,
            hash_balance_factor: m.hash_balance_factor.unwrap_or(0),
        },
        BalancerPolicy::HaproxyConsistentHash(h) => {
            PolicyConfig::HaproxyHash { hash_balance_factor: h.hash_balance_factor }
        }
    }
}

pub(super) fn slow_start(slow_start: &SlowStart) -> SlowStartConfig {
    match slow_start {
        SlowStart::Alb(alb) => SlowStartConfig::Alb { duration: alb.duration.duration() },
        SlowStart::Envoy(envoy) => SlowStartConfig::Envoy {
            window: envoy.slow_start_window.duration(),
            aggression: envoy.aggression,
            min_weight: envoy.min_weight_percent.0,
        },
        SlowStart::Haproxy(haproxy) => SlowStartConfig::Haproxy { duration: haproxy.slowstart.duration() },
    }
}

pub(super) fn zone_routing(routing: &sb::ZoneRouting) -> ZoneRouting {
    match routing {
        sb::ZoneRouting::CrossZone => ZoneRouting::CrossZone,
        sb::ZoneRouting::WithinZone => ZoneRouting::WithinZone,
        sb::ZoneRouting::ZoneAware(z) => ZoneRouting::ZoneAware(ZoneAware {
            min_cluster_size: z.min_cluster_size,
            routing_enabled: z.routing_enabled.0,
        }),
    }
}

/// All zones of all services and databases, in order of name.
pub(super) fn zones(topology: &Topology) -> Vec<String> {
    let mut all: Vec<String> = topology.services.iter().flat_map(|(_, s)| s.zones.iter().cloned()).collect();
    all.extend(topology.databases.iter().flat_map(|(_, d)| d.zones.iter().cloned()));
    all.sort();
    all.dedup();
    all
}

/// The zones of a group, by number among all.
pub(super) fn zones_of(topology: &Topology, group: &GroupShape, all: &[String]) -> Vec<u32> {
    let zones = match group.kind {
        GroupKind::Service => topology.services.get(&group.name).map(|s| &s.zones),
        GroupKind::Database => topology.databases.get(&group.name).map(|d| &d.zones),
        GroupKind::External => None,
    };
    let numbers = zones.into_iter().flatten();
    numbers.map(|zone| all.iter().position(|z| z == zone).map_or(u32::MAX, |at| at as u32)).collect()
}
