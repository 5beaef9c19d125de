//! Names that lead to regions, and what is lost with a region: systems whose every moment can be counted by hand.

use crate::support;

use support::experiment;

/// Two regions, each a service behind a balancer that checks every second; a hundred requests a second.
fn system(site: &str) -> String {
    let region = |name: &str| {
        format!(
            r#""{name}": Service(zones: ["{name}"], workers: 50, start_up: "1s",
                endpoints: {{ "e": [ Wait("1ms") ], "h": [ Wait("1ms") ] }})"#
        )
    };
    let balancer = |name: &str| {
        format!(
            r#""lb-{name}": Balancer(targets: "{name}", health_check: HealthCheck(endpoint: "h", interval: "1s",
                timeout: "1s", healthy: 2, unhealthy: 2), when_none_healthy: Refuse)"#
        )
    };
    format!(
        r#"Topology(
            name: "t",
            clients: {{ "u": Clients(arrivals: Regular(rate: "100/s"), requests: {{ "www/e": 1 }}) }},
            sites: {{ "www": Site(regions: ["lb-a", "lb-b"], interval: "5s", failures: 2, {site}) }},
            balancers: {{ {}, {} }},
            services: {{ {}, {} }},
        )"#,
        balancer("a"),
        balancer("b"),
        region("a"),
        region("b")
    )
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

const LOSS: &str = r#"duration: "120s", timeline: [ At("20s", ZoneDown(zone: "a", name: "region")) ]"#;

#[test]
fn a_lost_region_is_left_as_answers_age() {
    let run = experiment(&system(r#"routing: Failover, ttl: "40s""#), LOSS);
    let to_b = run.series("clients.u.calls.lb-b.rate");
    assert_eq!(mean(&to_b[..20]), 0.0);
    // The checks of 21 s and 22 s fail; the looks of 25 s and 30 s see no healthy target. From then on answers age: of
    // those that are at most 40 s old, as many as seconds have passed.
    assert_eq!(mean(&to_b[20..30]), 0.0);
    let half = mean(&to_b[45..55]);
    assert!((40.0..60.0).contains(&half), "half of the clients have looked again after 20 s: {half}");
    assert_eq!(mean(&to_b[71..]), 100.0);
}

#[test]
fn who_keeps_an_answer_for_good_stays_with_the_lost_region() {
    let run = experiment(&system(r#"routing: Failover, ttl: "1s", stale: "10%""#), LOSS);
    let to_a = mean(&run.series("clients.u.calls.lb-a.rate")[40..]);
    assert!((7.0..13.0).contains(&to_a), "a tenth, within three standard errors: {to_a}");
}

#[test]
fn weights_share_out_and_leave_out_what_is_not_healthy() {
    let run = experiment(&system(r#"routing: Weighted([3, 1]), ttl: "0s""#), LOSS);
    let to_a = run.series("clients.u.calls.lb-a.rate");
    let before = mean(&to_a[..20]);
    assert!((72.0..78.0).contains(&before), "three in four of 2,000, within three standard errors: {before}");
    assert_eq!(mean(&to_a[32..]), 0.0);
    assert_eq!(run.series("sites.www.healthy").last(), Some(&1.0));
}

#[test]
fn an_operator_switches_whatever_is_healthy() {
    let fields = r#"duration: "60s", timeline: [ At("20s", SwitchSite("www", "lb-b")) ]"#;
    let run = experiment(&system(r#"routing: Manual, ttl: "0s""#), fields);
    let to_b = run.series("clients.u.calls.lb-b.rate");
    assert_eq!((mean(&to_b[..20]), mean(&to_b[21..])), (0.0, 100.0));
}

/// Ten writes a second; the server is lost at 95 s, and somebody restores the backup of 60 s.
#[test]
fn a_restored_database_lacks_what_was_written_since_the_backup() {
    let topology = r#"Topology(
        name: "t",
        clients: { "u": Clients(arrivals: Regular(rate: "10/s"), requests: { "db/w": 1 }) },
        databases: { "db": Database(
            writes: ["w"], cores: 4, queries: { "w": [ Wait("1ms") ] }, failover: Restore(every: "60s", takes: "10s"),
        ) },
    )"#;
    let run = experiment(
        topology,
        r#"duration: "150s", timeline: [ At("95s", PrimaryLoss(target: "db")), At("100s", FailOver("db")) ]"#,
    );
    let lost: f64 = run.series("databases.db.lost_writes").iter().sum();
    assert!((350.0..=352.0).contains(&lost), "10/s for 35 s: {lost}");
    let rpo = run.series("databases.db.rpo").into_iter().filter(|v| !v.is_nan()).fold(0.0, f64::max);
    assert!((34.8..35.1).contains(&rpo), "{rpo}");
    let good = run.series("clients.u.goodput");
    assert_eq!((mean(&good[96..110]), mean(&good[111..])), (0.0, 10.0), "back after 10 s");
}

/// A service that is switched off answers nothing until somebody switches it on.
#[test]
fn what_is_switched_off_can_be_switched_on() {
    let topology = r#"Topology(
        name: "t",
        clients: { "u": Clients(arrivals: Regular(rate: "10/s"), requests: { "s/e": 1 }) },
        services: { "s": Service(replicas: 0, start_up: "5s", endpoints: { "e": [ Wait("1ms") ] }) },
    )"#;
    let fields = r#"duration: "60s", timeline: [
        At("20s", Set("services.s.replicas", 2)), At("40s", Set("services.s.replicas", 0)) ]"#;
    let run = experiment(topology, fields);
    let good = run.series("clients.u.goodput");
    assert_eq!((mean(&good[..24]), mean(&good[26..39]), mean(&good[41..])), (0.0, 10.0, 0.0));
}
