//! Spot instances in a whole system: which are taken back, how they end, and what comes after them.

use crate::support::{Run, close, experiment};

/// Eight instances, each of them busy for a second with each of its requests, in two zones.
fn fleet(purchase: &str, fields: &str) -> Run {
    let topology = format!(
        "Topology(
            name: \"t\",
            clients: {{ \"users\": Clients(arrivals: Regular(\"20/s\"), requests: {{ \"lb/show\": 1 }}) }},
            balancers: {{ \"lb\": Balancer(targets: \"api\") }},
            services: {{ \"api\": Service(
                replicas: 8, price_per_hour: 1, zones: [\"a\", \"b\"], start_up: \"3s\", purchase: {purchase},
                endpoints: {{ \"show\": [ Wait(\"1s\") ] }},
            ) }},
        )"
    );
    experiment(&topology, &format!("duration: \"100s\", {fields}"))
}

const MIXED: &str = "Mixed(base_on_demand: 1, on_demand_above_base: \"25%\")";

#[test]
fn instances_drain_are_gone_at_the_end_of_the_notice_and_come_back() {
    let run = fleet(MIXED, "timeline: [ At(\"10s\", SpotReclaim(target: \"api\", notice: \"20s\")) ]");
    // One and ceil(7 / 4) on demand, five spot.
    assert_eq!(run.series("services.api.spot")[5], 5.0);
    assert_eq!(run.value("services.api.on_demand.max"), 3.0);
    assert_eq!(run.value("services.api.reclaims"), 5.0);
    assert_eq!(run.times_of("spot_notice"), [10.0; 5]);
    // They finish what they have within a second; nobody notices. Replacements are there after the notice and start-up.
    assert_eq!(run.value("clients.users.error_ratio"), 0.0);
    let stopped = run.times_of("stopped");
    assert!(stopped.len() == 5 && stopped.iter().all(|t| (10.0..=11.1).contains(t)), "{stopped:?}");
    assert_eq!(run.times_of("starting"), [30.0; 5]);
    assert_eq!(run.series("services.api.spot_missing")[20], 5.0);
    assert_eq!(run.series("services.api.up")[40], 8.0);
    close("what is not there is not paid for", run.series("services.api.cost")[25], 3.0, 1e-9);
    close("cheap", run.series("services.api.cost")[60], 3.0 + 5.0 * 0.3, 1e-9);
}

#[test]
fn without_draining_requests_are_cut_off() {
    let purchase = "Mixed(base_on_demand: 1, on_demand_above_base: \"25%\", spot: Spot(drain: false))";
    let run = fleet(purchase, "timeline: [ At(\"10s\", SpotReclaim(target: \"api\", notice: \"20s\")) ]");
    assert_eq!(run.times_of("reclaimed"), [30.0; 5]);
    // Twenty requests are in flight, five of eight instances are cut off.
    let failed = run.count("clients.users.outcomes.error", 0, 100);
    assert!((11.0..=14.0).contains(&failed), "{failed}");
    assert_eq!(run.series("services.api.up")[25], 8.0);
}

#[test]
fn a_notice_that_is_too_short_cuts_off_what_drains() {
    let reclaim = "timeline: [ At(\"10.2s\", SpotReclaim(target: \"api\", notice: \"500ms\")) ]";
    let run = fleet(MIXED, reclaim);
    assert!(run.count("clients.users.outcomes.error", 0, 100) > 3.0);
    assert!(run.times_of("reclaimed").iter().all(|t| *t == 10.7));
}

#[test]
fn while_there_is_no_capacity_places_stay_empty_or_fall_back() {
    let reclaim =
        "timeline: [ At(\"10s\", SpotReclaim(target: \"api\", notice: \"5s\", unavailable_for: \"40s\")) ]";
    let run = fleet(MIXED, reclaim);
    assert_eq!(run.times_of("starting"), [50.0; 5]);
    let purchase = MIXED.replace("\"25%\"", "\"25%\", spot: Spot(fall_back_to_on_demand: true)");
    let run = fleet(&purchase, reclaim);
    assert_eq!(run.times_of("starting"), [15.0; 5]);
    assert_eq!(run.series("services.api.on_demand")[20], 8.0);
    close("dear", run.series("services.api.cost")[20], 8.0, 1e-9);
    let early = "\"25%\", spot: Spot(replace: WhenDrained, replacement_delay: \"2s\")";
    let run = fleet(
        &MIXED.replace("\"25%\"", early),
        "timeline: [ At(\"10s\", SpotReclaim(target: \"api\", notice: \"50s\")) ]",
    );
    let starting = run.times_of("starting");
    assert!(starting.len() == 5 && starting.iter().all(|t| (12.0..=13.1).contains(t)), "{starting:?}");
}

#[test]
fn a_share_a_number_or_a_zone_is_meant() {
    let reclaims = |which: &str| {
        let action = format!("SpotReclaim(target: \"api\", notice: \"5s\", {which})");
        let run = fleet(MIXED, &format!("timeline: [ At(\"10s\", {action}) ]"));
        (run.value("services.api.reclaims"), run.log())
    };
    assert_eq!(reclaims("instances: Share(\"50%\")").0, 3.0);
    assert_eq!(reclaims("instances: Number(2)").0, 2.0);
    // Places 0, 1 and 5 are on demand; of the spot ones, 2, 4 and 6 are in zone a.
    let (count, log) = reclaims("zone: \"a\"");
    assert_eq!(count, 3.0);
    for place in [2, 4, 6] {
        assert!(
            log.iter().any(|l| l.ends_with(&format!("spot_notice services.api api.{place}"))),
            "{log:#?}"
        );
    }
}

#[test]
fn an_operator_who_wants_more_does_not_get_back_what_has_its_notice() {
    let run = fleet(
        "Spot(drain: true)",
        "timeline: [
            At(\"10s\", SpotReclaim(target: \"api\", notice: \"20s\", unavailable_for: \"60s\")),
            At(\"10.5s\", Set(\"services.api.replicas\", 9)),
            At(\"50s\", Set(\"services.api.replicas\", 4)),
        ]",
    );
    assert_eq!(run.series("services.api.up")[40], 0.0);
    assert_eq!(run.series("services.api.spot_missing")[40], 9.0);
    assert_eq!(run.times_of("starting"), [70.0; 4]);
    assert_eq!(run.series("services.api.spot_missing")[80], 0.0);
}

#[test]
fn instances_are_taken_back_at_random_each_by_itself() {
    // Eight instances, each taken back after 10 s on average, away for 5 s: 15 s is a cycle.
    let purchase = "Spot(reclaimed_after: Exponential(\"7s\"), notice: \"2s\", replacement_delay: \"3s\")";
    let run = fleet(purchase, "seed: 3");
    let cycles = run.value("services.api.reclaims") / 8.0;
    // 7 s, a notice of 2 s, 3 s until the next is launched.
    close("a cycle of 12 s", cycles, 100.0 / 12.0, 0.25);
    let again = fleet(purchase, "seed: 3");
    assert_eq!(run.log(), again.log());
}
