//! The life of an instance in a whole system: probes, restarts, termination.

use crate::support::{Run, close, experiment};

/// A service with some fields more, and a client that asks it.
fn api(fields: &str, show: &str) -> String {
    format!(
        "Topology(
            name: \"t\",
            clients: {{ \"users\": Clients(arrivals: Regular(\"20/s\"), requests: {{ \"api/show\": 1 }}) }},
            services: {{ \"api\": Service({fields} endpoints: {{ \"show\": [ {show} ], \"live\": [ Work(\"1ms\") ] }}) }},
        )"
    )
}

fn between(run: &Run, kind: &str, from: f64, to: f64) {
    let times = run.times_of(kind);
    assert!(times.first().is_some_and(|t| (from..=to).contains(t)), "{kind}: {times:?}, not {from} to {to}");
}

const HANG: &str =
    "duration: \"120s\", timeline: [ At(\"20s\", Hang(target: \"api\", lasts: \"60s\", name: \"f\")) ]";

#[test]
fn a_probe_is_detected_after_two_to_three_periods_and_a_timeout() {
    for phase in 0..8 {
        let fields = format!("seed: {phase}, {HANG}");
        let run = experiment(&api("readiness_probe: Probe(endpoint: \"live\"),", "Wait(\"5ms\")"), &fields);
        // (failure_threshold - 1) · period + timeout to failure_threshold · period + timeout.
        between(&run, "unready", 20.0 + 21.0, 20.0 + 31.0);
        // Back with the first success, which is at the latest a period after the hang is over; never killed.
        between(&run, "ready", 80.0, 90.1);
        assert_eq!(run.value("services.api.kills"), 0.0);
    }
}

#[test]
fn no_ready_instance_means_no_endpoint_and_no_failing_open() {
    let run =
        experiment(&api("replicas: 3, readiness_probe: Probe(endpoint: \"live\"),", "Wait(\"5ms\")"), HANG);
    let refused = run.count("clients.users.outcomes.unavailable", 55, 78);
    close("all calls fail at once", refused, 23.0 * 20.0, 0.01);
}

#[test]
fn a_balancer_follows_readiness_and_does_not_fail_open_either() {
    let t = api("replicas: 3, readiness_probe: Probe(endpoint: \"live\"),", "Wait(\"5ms\")")
        .replace("api/show", "lb/show")
        .replace("services:", "balancers: { \"lb\": Balancer(targets: \"api\") }, services:");
    let run = experiment(&t, HANG);
    close("targets", run.series("balancers.lb.targets")[70], 0.0, 1e-9);
    close("turned away", run.count("clients.users.outcomes.unavailable", 55, 78), 23.0 * 20.0, 0.01);
    close("back", run.series("balancers.lb.targets")[110], 3.0, 1e-9);
}

#[test]
fn a_liveness_probe_with_one_second_kills_what_is_only_slow() {
    // Twelve seconds of work for each second: the queue of the CPU grows, and probes stand in it.
    let busy = "cpu: Cpu(cores: 1), workers: 50,";
    let probed = format!("{busy} liveness_probe: Probe(endpoint: \"live\"),");
    let fields =
        "duration: \"120s\", timeline: [ At(\"20s\", Slow(target: \"api\", factor: 12, lasts: \"60s\")) ]";
    let healthy = experiment(&api(busy, "Work(\"40ms\")"), fields);
    assert_eq!(healthy.value("services.api.kills"), 0.0);
    let run = experiment(&api(&probed, "Work(\"40ms\")"), fields);
    assert!(run.value("services.api.probe_kills") >= 1.0, "{:?}", run.log());
    assert!(run.value("services.api.probes.liveness.outcomes.timeout") > 0.0);
}

#[test]
fn without_a_startup_probe_liveness_kills_whoever_starts_slowly() {
    let fields = "duration: \"200s\", timeline: [ At(\"10s\", Crash(target: \"api\")) ]";
    let slow = "start_up: \"45s\", liveness_probe: Probe(endpoint: \"live\"),";
    let killed = experiment(&api(slow, "Wait(\"5ms\")"), fields);
    assert!(killed.value("services.api.probe_kills") >= 3.0, "it never comes up");
    assert_eq!(killed.times_of("up").len(), 0);
    let guarded = format!("{slow} startup_probe: Probe(endpoint: \"live\", failure_threshold: 30),");
    let run = experiment(&api(&guarded, "Wait(\"5ms\")"), fields);
    assert_eq!(run.value("services.api.probe_kills"), 0.0);
    between(&run, "up", 55.0, 55.0);
    // Only once it has started is it ready.
    between(&run, "ready", 55.0, 65.1);
    // An initial delay does, too, if it is long enough.
    let delayed = slow.replace("\"live\"", "\"live\", initial_delay: \"45s\"");
    let run = experiment(&api(&delayed, "Wait(\"5ms\")"), fields);
    assert_eq!(run.value("services.api.probe_kills"), 0.0);
}

#[test]
fn crashes_wait_longer_each_time_and_a_replaced_pod_begins_anew() {
    let crashes: String = [10, 12, 30, 60]
        .iter()
        .map(|s| format!("At(\"{s}s\", Crash(target: \"api\", name: \"c{s}\")), "))
        .collect();
    let fields = format!("duration: \"200s\", timeline: [ {crashes} At(\"120s\", Restart(\"api\")) ]");
    let run = experiment(&api("restart: KubernetesBackOff(),", "Wait(\"5ms\")"), &fields);
    // At once, after 10, 20, 40 s; the operator's new pod at once.
    assert_eq!(run.times_of("up"), [10.0, 22.0, 50.0, 100.0, 120.0]);
    assert_eq!(run.times_of("back_off"), [12.0, 30.0, 60.0]);
    close("time in back-off", run.value("services.api.back_off") * 200.0, 70.0, 1e-6);
}

fn ends(termination: &str, show: &str) -> Run {
    let fields = "duration: \"120s\", timeline: [ At(\"20s\", Set(\"services.api.replicas\", 1)) ]";
    experiment(&api(&format!("replicas: 2, termination: Termination({termination}),"), show), fields)
}

#[test]
fn sigterm_precedes_the_removal_from_endpoints_at_the_clients() {
    // Every other of 20 per second, for five seconds; the requests under way at SIGTERM are finished.
    let run = ends("endpoint_propagation: \"5s\"", "Wait(\"1s\")");
    close("refused", run.total("clients.users.outcomes.error"), 50.0, 0.03);
    close("refused", run.total("services.api.refused_at_end"), 50.0, 0.03);
    let run = ends("endpoint_propagation: \"5s\", pre_stop: \"5100ms\"", "Wait(\"1s\")");
    assert_eq!(run.total("clients.users.outcomes.error"), 0.0);
    between(&run, "stopped", 25.1, 26.2);
}

#[test]
fn who_keeps_serving_loses_what_it_has_at_sigkill() {
    let run =
        ends("endpoint_propagation: \"1s\", on_sigterm: KeepServing, grace_period: \"10s\"", "Wait(\"1s\")");
    assert_eq!(run.total("clients.users.outcomes.error"), 0.0);
    assert_eq!(run.times_of("stopped"), [30.0]);
    let run = ends("endpoint_propagation: \"1s\", grace_period: \"10s\"", "Wait(\"30s\")");
    assert_eq!(run.times_of("stopped"), [30.0]);
    assert_eq!(run.value("services.api.sigkills"), 1.0);
    // Those under way for up to thirty seconds (it began with none), every other of twenty in a second.
    let errors = run.count("clients.users.outcomes.error", 28, 32);
    assert!(errors >= 190.0, "{errors}");
}

#[test]
fn a_hook_that_runs_too_long_leaves_two_seconds() {
    let run = ends("endpoint_propagation: \"1s\", pre_stop: \"60s\", grace_period: \"10s\"", "Wait(\"40s\")");
    assert_eq!(run.times_of("stopped"), [32.0]);
}

#[test]
fn a_place_that_is_wanted_again_gets_a_new_pod_once_the_old_one_is_gone() {
    let fields = "duration: \"120s\", timeline: [
        At(\"20s\", Set(\"services.api.replicas\", 1)), At(\"22s\", Set(\"services.api.replicas\", 2)) ]";
    let t = api(
        "replicas: 2, start_up: \"3s\", termination: Termination(endpoint_propagation: \"1s\", pre_stop: \"10s\"),",
        "Wait(\"1s\")",
    );
    let run = experiment(&t, fields);
    let (stopped, up) = (run.times_of("stopped"), run.times_of("up"));
    assert_eq!(stopped.len(), 1);
    close("the next", up[0], stopped[0] + 3.0, 1e-6);
    assert_eq!(run.total("clients.users.outcomes.error"), 0.0);
}

#[test]
fn a_hung_process_is_killed_only_at_the_end_of_its_grace_period() {
    let fields =
        "liveness_probe: Probe(endpoint: \"live\"), termination: Termination(endpoint_propagation: \"1s\"),";
    let run = experiment(&api(fields, "Wait(\"5ms\")"), HANG);
    let (failed, up) = (run.times_of("probe_failed"), run.times_of("up"));
    close("SIGKILL", up[0], failed[0] + 30.0, 1e-6);
    assert_eq!(run.value("services.api.sigkills"), run.value("services.api.restarts"));
}

// ---- Amazon ECS ----

const ECS: &str =
    "replicas: 2, start_up: \"10s\", ecs: EcsService(health_check: ContainerCheck(endpoint: \"live\")),";

#[test]
fn a_task_that_hangs_is_replaced_by_one_that_started_beside_it() {
    let fields = "duration: \"300s\", timeline: [ At(\"20s\", Hang(target: \"api\", instances: Number(1))) ]";
    let run = experiment(&api(ECS, "Wait(\"5ms\")"), fields);
    // Checks are an interval after the end of the one before: 65 to 95 s, and the timeouts of three.
    let doomed = run.times_of("task_unhealthy")[0];
    assert!((20.0 + 75.0..=20.0 + 105.0).contains(&doomed), "{doomed}");
    // The replacement starts at once, answers 10 s later, is first checked 30 s after its start.
    close("starts", run.times_of("starting")[0], doomed, 1e-9);
    close("up", run.times_of("up")[0], doomed + 10.0, 1e-9);
    let draining = run.times_of("draining")[0];
    assert!((draining - doomed - 30.0).abs() < 0.1, "{draining}");
    // It hangs with requests in it: only SIGKILL ends it.
    close("stops", run.times_of("stopped")[0], draining + 30.0, 1e-6);
    assert_eq!(run.value("services.api.up.max"), 3.0);
    assert_eq!(run.series("services.api.up")[299], 2.0);
}

#[test]
fn with_100_percent_the_task_goes_first() {
    let fields = "duration: \"300s\", timeline: [ At(\"20s\", Hang(target: \"api\", instances: Number(1))) ]";
    let t = api(&ECS.replace("EcsService(", "EcsService(maximum_percent: 100, "), "Wait(\"5ms\")");
    let run = experiment(&t, fields);
    let doomed = run.times_of("task_unhealthy")[0];
    close("goes", run.times_of("draining")[0], doomed, 1e-9);
    assert_eq!(run.series("services.api.up")[299], 2.0);
}

#[test]
fn a_time_of_grace_that_is_too_short_replaces_tasks_for_ever() {
    // Tasks need 40 s to answer; the balancer gives up on them before, and the service replaces them.
    let lb = |grace: &str| {
        api(
            &format!(
                "replicas: 2, start_up: \"1s\", ecs: EcsService(health_check_grace_period: \"{grace}\"),"
            ),
            "Wait(\"5ms\")",
        )
        .replace("api/show", "lb/show")
        .replace("[ Work(\"1ms\") ]", "[ Wait(\"1ms\") ]")
        .replace(
            "services:",
            "balancers: { \"lb\": Balancer(targets: \"api\", deregistration_delay: \"5s\",
                health_check: HealthCheck(endpoint: \"live\", interval: \"5s\", timeout: \"2s\")) }, services:",
        )
    };
    let fields =
        "duration: \"300s\", timeline: [ At(\"20s\", Slow(target: \"api\", factor: 5000, lasts: \"100s\")) ]";
    let run = experiment(&lb("0s"), fields);
    let replaced = run.value("services.api.tasks_found_unhealthy");
    assert!(replaced >= 6.0, "{replaced}: all tasks share the fate of what is slow");
    let patient = experiment(&lb("200s"), fields);
    // Those of the start are at the end of their grace only after the fault.
    assert_eq!(patient.value("services.api.tasks_found_unhealthy"), 0.0);
    assert_eq!(run.series("services.api.up")[299], 2.0);
}

#[test]
fn tasks_follow_the_number_that_is_wanted() {
    let fields = "duration: \"200s\", timeline: [
        At(\"20s\", Hang(target: \"api\", instances: Number(1))),
        At(\"150s\", Set(\"services.api.replicas\", 5)), At(\"180s\", Set(\"services.api.replicas\", 1)) ]";
    let run = experiment(&api(ECS, "Wait(\"5ms\")"), fields);
    assert_eq!(run.series("services.api.up")[175], 5.0);
    assert_eq!(run.series("services.api.up")[195], 1.0);
}

#[test]
fn a_replacement_behind_a_balancer_has_to_be_healthy_there_before_the_old_task_goes() {
    let t = api("replicas: 2, start_up: \"10s\", ecs: EcsService(),", "Wait(\"5ms\")")
        .replace("api/show", "lb/show")
        .replace(
            "services:",
            "balancers: { \"lb\": Balancer(targets: \"api\", deregistration_delay: \"5s\",
            health_check: HealthCheck(endpoint: \"live\", interval: \"8s\", timeout: \"2s\")) }, services:",
        );
    let fields = "duration: \"100s\", timeline: [ At(\"20s\", Hang(target: \"api\", instances: Number(1))) ]";
    let run = experiment(&t, fields);
    let doomed = run.times_of("task_unhealthy")[0];
    let healthy = run.times_of("target_healthy")[0];
    assert!(healthy >= doomed + 10.0 && healthy < doomed + 18.1, "{:?}", run.log());
    close("then", run.times_of("draining")[0], healthy, 1e-9);
}
