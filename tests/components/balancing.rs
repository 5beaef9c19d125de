//! How balancers choose, in a whole system.

use super::super::support::{experiment, quick};

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
    // One look at the slow one, and after that hardly another: what it has is not answered, and what was costs a second.
    let timeouts = run.total("balancers.lb.outcomes.timeout");
    assert!((1.0..100.0).contains(&timeouts), "{timeouts}");
    let blind = quick(&topology.replace("PeakEwma()", "RoundRobin"), 5);
    assert_eq!(blind.total("balancers.lb.outcomes.timeout"), 0.0);
}
