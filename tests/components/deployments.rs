//! Deployments in a whole system: versions, rolling updates, rollbacks, blue-green, canaries.

use crate::support::{Run, close, experiment};

/// A service of which versions are deployed, behind a balancer; `more` is what else the topology has.
fn shop(fields: &str, balancer: &str, more: &str) -> String {
    format!(
        "Topology(
            name: \"t\",
            clients: {{ \"users\": Clients(arrivals: Regular(\"50/s\"), requests: {{ \"lb/show\": 1 }}, timeout: \"3s\") }},
            balancers: {{ \"lb\": Balancer(targets: \"api\", {balancer}) }},
            services: {{ \"api\": Service({fields} workers: 20, start_up: Constant(\"5s\"), endpoints: {{
                \"show\": [ Wait(\"20ms\") ], \"ready\": [ Wait(\"1ms\") ] }}) }},
            {more}
        )"
    )
}

/// An experiment with a deployment after ten seconds.
fn deploy(version: &str, rest: &str) -> String {
    format!(
        "duration: \"300s\", timeline: [ At(\"10s\", Deploy(target: \"api\", version: Version(\"v2\", {version}), {rest})) ],"
    )
}

const SLOWER: &str = "{ \"services.api.endpoints.show\": [ Wait(\"30ms\") ] }";
const BROKEN: &str = "{ \"services.api.endpoints.ready\": [ Fail(\"100%\") ] }";
const READY: &str = "replicas: 4, readiness_probe: Probe(endpoint: \"ready\", period: \"1s\"),";

fn max(values: &[f64]) -> f64 {
    values.iter().copied().filter(|v| !v.is_nan()).fold(f64::NEG_INFINITY, f64::max)
}

fn both(run: &Run, what: &str) -> Vec<f64> {
    let [old, new] = ["base", "v2"].map(|v| run.series(&format!("services.api.versions.{v}.{what}")));
    old.iter().zip(&new).map(|(old, new)| old + new).collect()
}

#[test]
fn surge_and_missing_replicas_keep_their_bounds() {
    for (surge, missing, most, least) in [(1, 0, 5.0, 4.0), (0, 1, 4.0, 3.0), (2, 2, 6.0, 2.0)] {
        let strategy = format!("strategy: RollingUpdate(max_surge: {surge}, max_unavailable: {missing})");
        let run = experiment(&shop(READY, "", ""), &deploy(SLOWER, &strategy));
        assert_eq!(max(&both(&run, "replicas")), most, "surge {surge}");
        let ready = both(&run, "ready");
        let fewest = ready[1..].iter().copied().fold(f64::INFINITY, f64::min);
        // The mean of a second in which one takes the place of another.
        assert!(fewest >= least - 1e-9, "{fewest} ready with {missing} missing: {ready:?}");
        close("all are new", run.series("services.api.versions.v2.ready")[250], 4.0, 1e-9);
        assert_eq!(run.times_of("deployment_complete").len(), 1);
        assert_eq!(run.value("clients.users.error_ratio"), 0.0);
    }
}

#[test]
fn each_version_has_its_own_settings() {
    let run = experiment(&shop("replicas: 4,", "", ""), &deploy(SLOWER, "strategy: RollingUpdate()"));
    close("old", run.value("services.api.versions.base.latency.p50"), 0.020, 0.01);
    close("new", run.value("services.api.versions.v2.latency.p50"), 0.030, 0.01);
    let parts = run.count("services.api.versions.base.rate", 1, 299)
        + run.count("services.api.versions.v2.rate", 1, 299);
    close("all requests have a version", parts, run.count("services.api.rate", 1, 299), 1e-9);
}

#[test]
fn a_version_brings_its_own_layers() {
    // Only the new version gives up after 50 ms on a database that takes 100 ms.
    let topology = "Topology(
        name: \"t\",
        clients: { \"users\": Clients(arrivals: Regular(\"50/s\"), requests: { \"api/show\": 1 }) },
        services: { \"api\": Service(replicas: 2, workers: 20, start_up: Constant(\"5s\"),
            endpoints: { \"show\": [ Call(to: \"db/read\", through: \"db\") ] }) },
        externals: { \"db\": External(latency: Constant(\"100ms\")) },
        policies: { \"db\": [] },
    )";
    let set = "{ \"policies.db\": [ Breaker(error_percent: 50, window: \"10s\", reset: \"5s\"), Timeout(\"50ms\") ] }";
    let run = experiment(topology, &deploy(set, "strategy: Recreate()"));
    close("old answers all", run.value("services.api.versions.base.error_ratio"), 0.0, 1e-9);
    close("new answers none", run.value("services.api.versions.v2.error_ratio"), 1.0, 1e-9);
    assert!(!run.times_of("breaker_opened").is_empty());
}

#[test]
fn a_version_that_is_never_ready_blocks_and_nobody_rolls_back() {
    let strategy = "strategy: RollingUpdate(max_surge: 1, max_unavailable: 0, progress_deadline: \"60s\")";
    let run = experiment(&shop(READY, "", ""), &deploy(BROKEN, strategy));
    // Nothing has changed since its first instance was created.
    assert_eq!(run.times_of("progress_deadline_exceeded"), [70.0]);
    assert!(run.times_of("deployment_given_up").is_empty(), "Kubernetes does not");
    close("old", run.series("services.api.versions.base.ready")[290], 4.0, 1e-9);
    close("new", run.series("services.api.versions.v2.replicas")[290], 1.0, 1e-9);
    assert_eq!(run.value("clients.users.error_ratio"), 0.0);
}

#[test]
fn the_deadline_rolls_back_if_it_is_said_to() {
    let strategy = "strategy: RollingUpdate(max_surge: 1, max_unavailable: 0, progress_deadline: \"60s\"), \
                    rollback: [ OnDeadline ]";
    let run = experiment(&shop(READY, "", ""), &deploy(BROKEN, strategy));
    assert_eq!(run.times_of("deployment_given_up"), [70.0]);
    assert_eq!(run.times_of("rolled_back"), [70.0]);
    close("new", run.series("services.api.versions.v2.replicas")[80], 0.0, 1e-9);
}

#[test]
fn crashes_roll_back() {
    let set = "{ \"services.api.memory\": Memory(limit: \"100MiB\", base: \"90MiB\", per_request: \"2MiB\"), \
               \"services.api.endpoints.show\": [ Wait(\"2s\") ] }";
    let rest = "strategy: RollingUpdate(max_surge: 1, max_unavailable: 0, min_ready: \"20s\"), \
                rollback: [ OnRestarts(3) ]";
    let run = experiment(&shop("replicas: 4,", "", ""), &deploy(set, rest));
    assert_eq!(run.times_of("out_of_memory").len(), 3);
    assert_eq!(run.times_of("rolled_back").len(), 1);
    close("old", run.series("services.api.versions.base.ready")[290], 4.0, 1e-9);
}

#[test]
fn minutes_of_readiness_are_waited_for() {
    let rest = "strategy: RollingUpdate(max_surge: 1, max_unavailable: 0, min_ready: \"20s\")";
    let run = experiment(&shop("replicas: 4,", "", ""), &deploy(SLOWER, rest));
    // Four times five seconds to start and twenty to be available.
    assert_eq!(run.times_of("deployment_complete"), [110.0]);
}

#[test]
fn instances_that_are_ending_do_not_count() {
    let fields = "replicas: 4, termination: Termination(grace_period: \"60s\", pre_stop: \"50s\", \
                  endpoint_propagation: Constant(\"1s\")),";
    let rest = "strategy: RollingUpdate(max_surge: 1, max_unavailable: 0)";
    let run = experiment(&shop(fields, "", ""), &deploy(SLOWER, rest));
    assert_eq!(max(&both(&run, "replicas")), 5.0);
    // The last of the old ones goes twenty seconds after the first, which takes fifty.
    assert_eq!(max(&run.series("services.api.deployment.instances")), 8.0);
}

#[test]
fn readiness_gates_wait_for_the_balancer() {
    let check = "health_check: HealthCheck(endpoint: \"ready\", interval: \"10s\", timeout: \"2s\", healthy: 2, \
                 unhealthy: 2),";
    let rolling = "strategy: RollingUpdate(max_surge: 1, max_unavailable: 0)";
    let plain = experiment(&shop("replicas: 4,", check, ""), &deploy(SLOWER, rolling));
    let gated = format!("{rolling}, readiness_gates: true");
    let gated = experiment(&shop("replicas: 4,", check, ""), &deploy(SLOWER, &gated));
    let fewest =
        |run: &Run| run.series("balancers.lb.healthy")[2..].iter().copied().fold(f64::INFINITY, f64::min);
    assert!(
        fewest(&plain) < 3.0,
        "old targets are gone before new ones are found healthy: {}",
        fewest(&plain)
    );
    assert!(fewest(&gated) >= 4.0, "{}", fewest(&gated));
    assert!(gated.times_of("deployment_complete")[0] > plain.times_of("deployment_complete")[0] + 30.0);
}

#[test]
fn an_operator_brings_back_what_was_complete() {
    let fields = "duration: \"200s\", timeline: [
        At(\"10s\", Deploy(target: \"api\", version: Version(\"v2\", { \"services.api.endpoints.show\": [ Wait(\"30ms\") ] }),
            strategy: RollingUpdate())),
        At(\"100s\", RollBack(\"api\")),
    ],";
    let run = experiment(&shop("replicas: 4,", "", ""), fields);
    assert_eq!(run.times_of("deployment_complete").len(), 1);
    assert_eq!(run.times_of("deployment_given_up"), [100.0]);
    assert_eq!(run.times_of("rolled_back").len(), 1);
    close("base", run.series("services.api.versions.base.ready")[190], 4.0, 1e-9);
}

#[test]
fn an_alert_rolls_back_what_was_complete_a_short_time_ago() {
    let version = "{ \"services.api.endpoints.show\": [ Fail(\"50%\"), Wait(\"20ms\") ] }";
    for (within, comes_back) in [("5m", true), ("10s", false)] {
        let rule = format!(
            "strategy: RollingUpdate(max_surge: 4), rollback: [ OnAlert(alert: \"errors\", within: \"{within}\") ]"
        );
        let alerts = "alerts: { \"errors\": Threshold(metric: \"clients.users.error_ratio\", above: \"5%\", \
                      window: \"15s\", for: \"30s\") },";
        let run = experiment(&shop("replicas: 4,", "", ""), &(deploy(version, &rule) + alerts));
        assert_eq!(!run.times_of("rolled_back").is_empty(), comes_back, "{within}");
        let last = run.series("services.api.versions.base.ready")[290];
        close("base", last, if comes_back { 4.0 } else { 0.0 }, 1e-9);
    }
}

#[test]
fn more_replicas_in_the_middle_are_shared_out() {
    let fields = "duration: \"100s\", timeline: [
        At(\"10s\", Deploy(target: \"api\", version: Version(\"v2\", { \"services.api.endpoints.ready\": [ Fail(\"100%\") ] }),
            strategy: RollingUpdate(max_surge: 4, max_unavailable: 0))),
        At(\"50s\", Set(\"services.api.replicas\", 8)),
    ],";
    let run = experiment(&shop(READY, "", ""), fields);
    // Four old ones and four new ones that are never ready: eight of eight become twelve of twelve.
    let at = |version: &str, second: usize| {
        run.series(&format!("services.api.versions.{version}.replicas"))[second]
    };
    assert_eq!([at("base", 45), at("v2", 45)], [4.0, 4.0]);
    assert_eq!([at("base", 60), at("v2", 60)], [6.0, 6.0]);
}

#[test]
fn versions_follow_changes_of_what_they_leave_alone() {
    let fields = "duration: \"100s\", timeline: [
        At(\"10s\", Deploy(target: \"api\", version: Version(\"v2\", { \"services.api.workers\": 10 }),
            strategy: RollingUpdate(max_surge: 4))),
        At(\"50s\", Set(\"services.api.endpoints.show\", [ Wait(\"40ms\") ])),
    ],";
    let run = experiment(&shop("replicas: 4,", "", ""), fields);
    close("before", run.series("services.api.versions.v2.latency.p50")[40], 0.020, 0.01);
    close("after", run.series("services.api.versions.v2.latency.p50")[60], 0.040, 0.01);
}

#[test]
fn a_canary_by_weight_gets_its_share_whatever_its_size() {
    let rest = "strategy: Canary(steps: [ Weight(\"20%\"), Pause(\"100s\") ])";
    let run = experiment(&shop("replicas: 10,", "", ""), &deploy(SLOWER, rest));
    let share = run.count("services.api.versions.v2.rate", 20, 110) / run.count("services.api.rate", 20, 110);
    close("share", share, 0.2, 0.15);
    assert_eq!(run.series("services.api.versions.v2.replicas")[60], 2.0);
    assert_eq!(run.series("services.api.versions.base.replicas")[60], 10.0);
    // 10 s, start-up, pause, start-up of the others, and the old fleet is kept for half a minute.
    assert_eq!(run.times_of("deployment_complete"), [150.0]);
    assert_eq!(run.value("clients.users.error_ratio"), 0.0);
}

#[test]
fn a_canary_by_replicas_gets_their_share() {
    let rest = "strategy: Canary(steps: [ Weight(\"20%\"), Pause(\"100s\") ], routing: Replicas)";
    let run = experiment(&shop("replicas: 10,", "", ""), &deploy(SLOWER, rest));
    let share = run.count("services.api.versions.v2.rate", 30, 100) / run.count("services.api.rate", 30, 100);
    close("share", share, 0.2, 0.02);
    assert_eq!(run.series("services.api.versions.v2.replicas")[60], 2.0);
    assert_eq!(run.series("services.api.versions.base.replicas")[60], 8.0);
    close("all", run.series("services.api.versions.v2.ready")[290], 10.0, 1e-9);
}

#[test]
fn blue_and_green_never_serve_together() {
    let run = experiment(
        &shop("replicas: 4,", "", ""),
        &deploy(SLOWER, "strategy: BlueGreen(auto_promotion: \"10s\", scale_down_delay: \"30s\")"),
    );
    let green = run.series("services.api.versions.v2.rate");
    let blue = run.series("services.api.versions.base.rate");
    close("blue", blue[20], 50.0, 0.03);
    assert_eq!(green[20], 0.0, "up and not asked");
    close("green", green[30], 50.0, 0.03);
    assert_eq!(blue[30], 0.0);
    assert_eq!(max(&both(&run, "replicas")), 8.0);
    // 10 s, start-up, auto-promotion, delay.
    assert_eq!(run.times_of("traffic_shifted"), [25.0]);
    assert_eq!(run.times_of("deployment_complete"), [55.0]);
    assert_eq!(run.value("clients.users.error_ratio"), 0.0);
}

#[test]
fn an_operator_switches_back_while_the_old_fleet_is_there() {
    let fields = "duration: \"150s\", timeline: [
        At(\"10s\", Deploy(target: \"api\", version: Version(\"v2\", { \"services.api.endpoints.show\": [ Wait(\"30ms\") ] }),
            strategy: BlueGreen(scale_down_delay: \"60s\"))),
        At(\"40s\", RollBack(\"api\")),
    ],";
    let run = experiment(&shop("replicas: 4,", "", ""), fields);
    assert_eq!(run.times_of("traffic_shifted"), [15.0, 40.0]);
    close("blue", run.series("services.api.versions.base.rate")[45], 50.0, 0.03);
    close("none started", run.times_of("starting").len() as f64, 4.0, 1e-9);
    close("green is gone", run.series("services.api.versions.v2.replicas")[110], 0.0, 1e-9);
}

#[test]
fn direct_calls_are_shared_out_too() {
    let topology = shop("replicas: 4,", "", "").replace("lb/show", "api/show");
    let run = experiment(
        &topology,
        &deploy(SLOWER, "strategy: Canary(steps: [ Weight(\"30%\"), Pause(\"100s\") ])"),
    );
    let share = run.count("services.api.versions.v2.rate", 20, 110) / run.count("services.api.rate", 20, 110);
    close("share", share, 0.3, 0.1);
}

#[test]
fn an_autoscaler_goes_on_during_a_rollout() {
    // Each instance has ten requests in flight at 500/s of 80 ms over four; the target is five.
    let topology = shop("replicas: 4, workers: 100,", "", "")
        .replace("workers: 20,", "")
        .replace("50/s", "500/s")
        .replace("Wait(\"20ms\")", "Wait(\"80ms\")")
        .replace(
            "services: {",
            "autoscalers: { \"hpa\": Hpa(service: \"api\", min: 4, max: 10, metrics: [ InFlight(5) ]) }, services: {",
        );
    let set = "{ \"services.api.workers\": 90 }";
    let run = experiment(&topology, &deploy(set, "strategy: RollingUpdate(min_ready: \"30s\")"));
    close("replicas", run.series("services.api.versions.v2.ready")[290], 8.0, 0.26);
    close("old", run.series("services.api.versions.base.replicas")[290], 0.0, 1e-9);
    assert_eq!(run.value("clients.users.error_ratio"), 0.0);
}
