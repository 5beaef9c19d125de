//! How balancers choose, in a whole system.

use crate::support::{experiment, quick};

/// A system behind a balancer with these fields.
fn system(balancer: &str, service: &str) -> String {
    format!(
        r#"Topology(
            name: "balancing",
            clients: {{ "users": Clients(arrivals: Regular("100/s"), requests: {{ "lb/show": 1 }}) }},
            balancers: {{ "lb": Balancer(targets: "api", {balancer}) }},
            services: {{ "api": Service({service}, endpoints: {{ "show": [ Wait("10ms") ] }}) }},
        )"#
    )
}

/// All ways to choose that need no key.
const POLICIES: [&str; 13] = [
    "RoundRobin",
    "WeightedRoundRobin",
    "EnvoyRoundRobin",
    "HaproxyRoundRobin",
    "LeastConn",
    "NginxLeastConn",
    "LeastRequest()",
    "PowerOfChoices(3)",
    "PeakEwma()",
    "EnvoyPeakEwma()",
    "Maglev()",
    "Maglev(hash_balance_factor: 125)",
    "HaproxyConsistentHash(hash_balance_factor: 125)",
];

#[test]
fn no_policy_sends_to_replicas_that_are_not_there_yet() {
    for policy in POLICIES {
        let run = experiment(
            &system(&format!("policy: {policy}"), "replicas: 2"),
            r#"duration: "20s", timeline: [ At("10s", Set("services.api.replicas", 4)) ]"#,
        );
        assert_eq!(run.value("clients.users.error_ratio"), 0.0, "{policy}");
        assert_eq!(run.series("balancers.lb.healthy").last(), Some(&4.0), "{policy}");
    }
}

#[test]
fn a_policy_can_be_changed_while_requests_are_in_flight() {
    for policy in POLICIES {
        let set = format!(
            r#"duration: "20s", timeline: [
                At("5s", Set("balancers.lb.policy", {policy})), At("10s", Set("balancers.lb.weights", [1, 2, 3, 4])),
                At("15s", Set("balancers.lb.policy", LeastConn)),
            ]"#
        );
        let run = experiment(&system("policy: Random", "replicas: 4"), &set);
        assert_eq!(run.value("clients.users.error_ratio"), 0.0, "{policy}");
        assert!(run.series("balancers.lb.in_flight").iter().all(|n| *n <= 2.0), "{policy}");
    }
}

#[test]
fn an_answer_that_never_comes_counts_until_the_balancer_gives_up() {
    let topology = system(r#"policy: PeakEwma(), idle_timeout: "1s""#, "replicas: 2");
    let run = experiment(
        &topology,
        r#"duration: "20s", timeline: [
            At("5s", Slow(target: "api", factor: 1000, instances: Number(1), lasts: "10s")),
        ]"#,
    );
    // One look at the slow one, and after that hardly another: what it has is not answered, and what was costs a
    // second.
    let timeouts = run.total("balancers.lb.outcomes.timeout");
    assert!((1.0..100.0).contains(&timeouts), "{timeouts}");
    let blind = quick(&topology.replace("PeakEwma()", "RoundRobin"), 5);
    assert_eq!(blind.total("balancers.lb.outcomes.timeout"), 0.0);
}

/// A system of three replicas of which one fails its checks for ten seconds. From then on it answers only after the
/// clients have given up, but passes its checks: each request that is sent there shows as a timeout.
fn recovering(balancer: &str) -> crate::support::Run {
    let topology = format!(
        r#"Topology(
            name: "recovering",
            clients: {{
                "users": Clients(arrivals: Regular("120/s"), requests: {{ "lb/show": 1 }}, timeout: "500ms"),
            }},
            balancers: {{
                "lb": Balancer(
                    targets: "api",
                    {balancer},
                    health_check: HealthCheck(
                        endpoint: "ping", interval: "1s", timeout: "500ms", healthy: 2, unhealthy: 2,
                    ),
                ),
            }},
            services: {{ "api": Service(replicas: 3, endpoints: {{ "ping": [], "show": [ Wait("10ms") ] }}) }},
        )"#
    );
    experiment(
        &topology,
        r#"duration: "90s", timeline: [
            At("5s", Errors(target: "api", instances: Number(1), lasts: "10s")),
            At("14s", Slow(target: "api", instances: Unhealthy, factor: 200, name: "cold")),
        ]"#,
    )
}

/// The requests that the third replica gets in the 40 seconds from its recovery, and the seconds of its slow start.
fn share_of_the_recovered(balancer: &str) -> (f64, f64) {
    let run = recovering(balancer);
    let healthy = run.series("balancers.lb.healthy");
    let back = 15 + healthy[15..].iter().position(|n| *n > 2.5).unwrap();
    let slow = if balancer.contains("slow_start") { run.total("balancers.lb.slow_starting") } else { 0.0 };
    // A request that goes there times out half a second later, within a second of its own.
    (run.count("clients.users.outcomes.timeout", back, back + 40), slow)
}

#[test]
fn a_recovered_target_gets_its_share_little_by_little() {
    // With the part f of a weight, f / (2 + f) of 120 requests per second.
    let expected = |seconds: f64, factor: &dyn Fn(f64) -> f64| {
        (0..4_000)
            .map(|i| f64::from(i) / 100.0)
            .map(|t| if t < seconds { factor(t) } else { 1.0 })
            .map(|f| 1.2 * f / (2.0 + f))
            .sum::<f64>()
    };
    let at_once = expected(0.0, &|_| 1.0);
    for policy in ["RoundRobin", "EnvoyRoundRobin", "HaproxyRoundRobin"] {
        let (count, _) = share_of_the_recovered(&format!("policy: {policy}"));
        crate::support::close(policy, count, at_once, 0.03);
    }
    type Case<'f> = (&'f str, &'f str, &'f dyn Fn(f64) -> f64);
    let cases: [Case; 5] = [
        ("RoundRobin", r#"Alb("30s")"#, &|t| t / 30.0),
        ("WeightedRandom", r#"Alb("30s")"#, &|t| t / 30.0),
        ("EnvoyRoundRobin", r#"Envoy(slow_start_window: "30s")"#, &|t| (t / 30.0).max(0.1)),
        ("EnvoyRoundRobin", r#"Envoy(slow_start_window: "30s", aggression: 2.0)"#, &|t| {
            libm::sqrt(t / 30.0).max(0.1)
        }),
        ("HaproxyRoundRobin", r#"Haproxy("30s")"#, &|t| {
            (16.0 * t.floor() / 30.0 + 1.0).floor().min(16.0) / 16.0
        }),
    ];
    for (policy, slow_start, factor) in cases {
        let (count, slow) = share_of_the_recovered(&format!("policy: {policy}, slow_start: {slow_start}"));
        let expected = expected(30.0, factor);
        assert!(expected < 0.85 * at_once);
        crate::support::close(&format!("{policy} {slow_start}"), count, expected, 0.08);
        assert!((slow - 30.0).abs() <= 1.0, "{policy} {slow_start}: {slow} s");
    }
}

/// Ten users and a service of which one instance fails its checks from the 30th second on.
fn users(balancer: &str, think: &str) -> crate::support::Run {
    let topology = format!(
        r#"Topology(
            name: "sticky",
            clients: {{
                "users": Clients(arrivals: Users(count: 10, think: "{think}"), requests: {{ "lb/show": 1 }}),
            }},
            balancers: {{
                "lb": Balancer(
                    targets: "api",
                    {balancer}
                    health_check: HealthCheck(endpoint: "show", interval: "1s", timeout: "500ms"),
                ),
            }},
            services: {{ "api": Service(replicas: 2, endpoints: {{ "show": [ Wait("10ms") ] }}) }},
        )"#
    );
    let fields = r#"duration: "60s", timeline: [ At("30s", Errors(target: "api", instances: Number(1))) ]"#;
    experiment(&topology, fields)
}

#[test]
fn sessions_stay_until_their_target_is_gone_and_then_stay_elsewhere() {
    let run = users("stickiness: Stickiness(),", "500ms");
    // Round robin gave each instance every other user. Each user of the failed one is bound anew, once.
    assert_eq!(run.total("balancers.lb.rebound"), 5.0);
    assert_eq!(run.count("clients.users.outcomes.error", 0, 30), 0.0);
    assert_eq!(run.count("clients.users.outcomes.error", 35, 60), 0.0);
    // Who thinks longer than the cookie lives has no session.
    let run = users(r#"stickiness: Stickiness("1s"),"#, "2s");
    assert_eq!(run.total("balancers.lb.rebound"), 0.0);
}

/// A front of three replicas that calls a back with `replicas` through a balancer with these fields, three zones each.
fn zones(balancer: &str, replicas: u32, fields: &str) -> crate::support::Run {
    let topology = format!(
        r#"Topology(
            name: "zones",
            clients: {{ "users": Clients(arrivals: Regular("90/s"), requests: {{ "front/show": 1 }}) }},
            balancers: {{ "lb": Balancer(targets: "back", {balancer}) }},
            services: {{
                "front": Service(replicas: 3, zones: ["a", "b", "c"], endpoints: {{ "show": [ Call("lb/find") ] }}),
                "back": Service(replicas: {replicas}, zones: ["a", "b", "c"], endpoints: {{ "find": [ Wait("5ms") ] }}),
            }},
        )"#
    );
    experiment(&topology, fields)
}

const ZONE_RATES: [&str; 3] = ["balancers.lb.zones.a", "balancers.lb.zones.b", "balancers.lb.zones.c"];

#[test]
fn each_zone_gets_the_same_without_cross_zone_balancing() {
    for policy in ["RoundRobin", "LeastOutstanding", "WeightedRandom"] {
        // Four targets: two in zone a, one each in b and c.
        let balancer = format!("policy: {policy}, zone_routing: WithinZone");
        let run = zones(&balancer, 4, r#"duration: "100s""#);
        for zone in ZONE_RATES {
            crate::support::close(&format!("{policy} {zone}"), run.value(zone), 30.0, 0.05);
        }
        // The caller's zone does not matter: two thirds leave it.
        crate::support::close(policy, run.value("balancers.lb.cross_zone"), 60.0, 0.05);
        let run = zones(&format!("policy: {policy}"), 4, r#"duration: "100s""#);
        crate::support::close(policy, run.value("balancers.lb.zones.a"), 45.0, 0.05);
    }
}

#[test]
fn a_zone_without_targets_is_left_out() {
    let fields = r#"duration: "40s", timeline: [ At("20s", Set("services.back.replicas", 2)) ]"#;
    let run = zones("zone_routing: WithinZone", 3, fields);
    assert_eq!(run.value("clients.users.error_ratio"), 0.0);
    assert_eq!(run.count("balancers.lb.zones.c", 21, 40), 0.0);
    crate::support::close("zone b", run.count("balancers.lb.zones.b", 21, 40), 19.0 * 45.0, 0.1);
}

#[test]
fn envoy_keeps_calls_in_their_zone_as_far_as_targets_are_there() {
    for policy in ["EnvoyRoundRobin", "LeastRequest()", "Random"] {
        let aware = format!("policy: {policy}, zone_routing: ZoneAware()");
        let even = zones(&aware, 6, r#"duration: "60s""#);
        assert_eq!(even.value("balancers.lb.cross_zone"), 0.0, "{policy}");
        // Below the least size of a cluster zones do not matter.
        let small = zones(&aware, 5, r#"duration: "60s""#);
        assert!(small.value("balancers.lb.cross_zone") > 30.0, "{policy}");
        // Seven targets, three of them in a: a seventh of each other zone's calls goes there.
        let uneven = zones(&aware, 7, r#"duration: "200s""#);
        crate::support::close(policy, uneven.value("balancers.lb.zones.a"), 90.0 * 3.0 / 7.0, 0.03);
        crate::support::close(policy, uneven.value("balancers.lb.cross_zone"), 90.0 * 2.0 / 21.0, 0.1);
        let half = format!(r#"policy: {policy}, zone_routing: ZoneAware(routing_enabled: "50%")"#);
        crate::support::close(
            policy,
            zones(&half, 6, r#"duration: "200s""#).value("balancers.lb.cross_zone"),
            30.0,
            0.1,
        );
    }
}

#[test]
fn zone_routing_can_be_switched_on_and_off() {
    let fields = r#"duration: "30s", timeline: [
        At("10s", Set("balancers.lb.zone_routing", ZoneAware())),
        At("20s", Set("balancers.lb.zone_routing", CrossZone)),
    ]"#;
    let run = zones("policy: Random", 6, fields);
    assert_eq!(run.value("clients.users.error_ratio"), 0.0);
    assert_eq!(run.count("balancers.lb.cross_zone", 11, 20), 0.0);
    assert!(run.count("balancers.lb.cross_zone", 21, 30) > 200.0);
}
