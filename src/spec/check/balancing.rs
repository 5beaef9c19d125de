//! Values of how balancers choose.

use crate::spec::balancing::{SlowStart, ZoneRouting};
use crate::spec::decode::Context;
use crate::spec::source::Span;
use crate::spec::topology::{Balancer, BalancerPolicy, Topology};

/// The most zones of a service.
const ZONES_MAX: usize = 16;

/// The largest table of Envoy's Maglev.
const TABLE_MAX: u32 = 5_000_011;

pub(super) fn check(topology: &Topology, cx: &mut Context) {
    for (_, balancer) in topology.balancers.iter() {
        policy(balancer, topology, cx);
        slow_start(balancer, cx);
        stickiness(balancer, cx);
        zone_routing(balancer, topology, cx);
    }
    for (_, service) in topology.services.iter() {
        zones(&service.zones, service.place("zones"), cx);
    }
    for (_, database) in topology.databases.iter() {
        zones(&database.zones, database.place("zones"), cx);
    }
}

fn policy(b: &Balancer, topology: &Topology, cx: &mut Context) {
    match &b.policy {
        BalancerPolicy::RingHash(ring) => {
            envoy_bound(ring.hash_balance_factor, ring.place("hash_balance_factor"), cx);
        }
        BalancerPolicy::LeastRequest(l) => {
            if !(2..=16).contains(&l.choice_count) {
                cx.fail::<()>(l.place("choice_count"), "`choice_count` must be from 2 to 16");
            }
            if !(l.active_request_bias >= 0.0 && l.active_request_bias.is_finite()) {
                cx.fail::<()>(l.place("active_request_bias"), "`active_request_bias` must not be negative");
            }
        }
        BalancerPolicy::PowerOfChoices(p) if !(1..=16).contains(&p.choices) => {
            cx.fail::<()>(p.place("choices"), "`choices` must be from 1 to 16");
        }
        BalancerPolicy::PeakEwma(p) => {
            super::values::positive_time(p.decay, "decay", p.place("decay"), cx);
        }
        BalancerPolicy::EnvoyPeakEwma(p) => {
            super::values::positive_time(p.decay_time, "decay_time", p.place("decay_time"), cx);
        }
        BalancerPolicy::Maglev(m) => {
            let targets = topology.services.get(&b.targets.value).map_or(1, |s| s.replicas);
            if m.table_size > TABLE_MAX || m.table_size <= targets || !is_prime(m.table_size) {
                let message = format!(
                    "`table_size` must be a prime, at most {TABLE_MAX} and above the number of targets ({targets})"
                );
                cx.fail::<()>(m.place("table_size"), message);
            }
            envoy_bound(m.hash_balance_factor, m.place("hash_balance_factor"), cx);
        }
        BalancerPolicy::HaproxyConsistentHash(h) if (1..=100).contains(&h.hash_balance_factor) => {
            let message = "`hash_balance_factor` must be 0, for no limit, or above 100";
            cx.fail::<()>(h.place("hash_balance_factor"), message);
        }
        _ => {}
    }
    let is_haproxy = matches!(
        b.policy,
        BalancerPolicy::HaproxyRoundRobin
            | BalancerPolicy::LeastConn
            | BalancerPolicy::HaproxyConsistentHash(_)
    );
    if is_haproxy && b.weights.iter().any(|w| *w > 256) {
        cx.fail::<()>(b.place("weights"), "HAProxy's weights are from 0 to 256");
    }
}

fn envoy_bound(factor: Option<u32>, place: crate::spec::source::Span, cx: &mut Context) {
    if factor.is_some_and(|f| f < 100) {
        cx.fail::<()>(place, "`hash_balance_factor` must be at least 100 (per cent of the mean)");
    }
}

fn slow_start(b: &Balancer, cx: &mut Context) {
    use BalancerPolicy as P;
    let Some(slow_start) = &b.slow_start else { return };
    let (whose, fits, can) = match slow_start {
        SlowStart::Alb(alb) => {
            if !(30.0..=900.0).contains(&alb.duration.0) {
                cx.fail::<()>(alb.place("duration"), "an ALB's slow start takes from 30 s to 900 s");
            }
            (
                "an ALB's",
                matches!(b.policy, P::RoundRobin | P::WeightedRandom),
                "`RoundRobin` and `WeightedRandom`",
            )
        }
        SlowStart::Envoy(envoy) => {
            super::values::positive_time(
                envoy.slow_start_window,
                "slow_start_window",
                envoy.place("slow_start_window"),
                cx,
            );
            if !(envoy.aggression > 0.0 && envoy.aggression.is_finite()) {
                cx.fail::<()>(envoy.place("aggression"), "`aggression` must be above 0");
            }
            let fits = matches!(b.policy, P::EnvoyRoundRobin | P::LeastRequest(_));
            ("Envoy's", fits, "`EnvoyRoundRobin` and `LeastRequest`")
        }
        SlowStart::Haproxy(haproxy) => {
            super::values::positive_time(haproxy.slowstart, "slowstart", haproxy.place("slowstart"), cx);
            let fits = matches!(b.policy, P::HaproxyRoundRobin | P::LeastConn);
            ("HAProxy's", fits, "`HaproxyRoundRobin` and `LeastConn`")
        }
    };
    if !fits {
        cx.fail::<()>(b.place("slow_start"), format!("{whose} slow start goes with the policies {can}"));
    }
}

fn stickiness(b: &Balancer, cx: &mut Context) {
    let Some(sticky) = &b.stickiness else { return };
    if !(1.0..=604_800.0).contains(&sticky.duration.0) {
        cx.fail::<()>(sticky.place("duration"), "`duration` must be from 1 s to 7 d");
    }
}

fn zones(zones: &[String], place: Span, cx: &mut Context) {
    if zones.len() > ZONES_MAX {
        cx.fail::<()>(place, format!("there are at most {ZONES_MAX} zones"));
    }
    for (at, zone) in zones.iter().enumerate() {
        if zones[..at].contains(zone) {
            cx.fail::<()>(place, format!("the zone `{zone}` is listed twice"));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if zone.is_empty() || !zone.chars().all(is_plain) {
            let message = format!("the zone `{zone}` must have a name of letters, digits, `-` and `_`");
            cx.fail::<()>(place, message);
        }
    }
}

fn zone_routing(b: &Balancer, topology: &Topology, cx: &mut Context) {
    use BalancerPolicy as P;
    let place = || b.place("zone_routing");
    if matches!(b.zone_routing, ZoneRouting::CrossZone) {
        return;
    }
    if topology.services.get(&b.targets.value).is_some_and(|s| s.zones.len() < 2) {
        cx.fail::<()>(place(), format!("`{}` has no `zones`, or only one", b.targets.value));
    }
    match &b.zone_routing {
        ZoneRouting::WithinZone if b.stickiness.is_some() => {
            cx.fail::<()>(place(), "an ALB has no sticky sessions without cross-zone load balancing");
        }
        ZoneRouting::ZoneAware(_)
            if matches!(b.policy, P::RingHash(_) | P::Maglev(_) | P::HaproxyConsistentHash(_)) =>
        {
            cx.fail::<()>(place(), "policies that follow a key do not mind zones");
        }
        _ => {}
    }
}

fn is_prime(n: u32) -> bool {
    n >= 2
        && (2..).take_while(|d| u64::from(*d) * u64::from(*d) <= u64::from(n)).all(|d| !n.is_multiple_of(d))
}
