//! Faults of instances, zones and infrastructure in whole systems.

use crate::support::{Run, close, experiment, quick};

fn system(fields: &str) -> String {
    format!("Topology(name: \"t\", {fields})")
}

const THREE: &str = "clients: { \"users\": Clients(arrivals: Regular(\"30/s\"), requests: { \"api/show\": 1 }) },
    services: { \"api\": Service(
        replicas: 3, zones: [\"a\", \"b\", \"c\"], start_up: \"2s\", endpoints: { \"show\": [ Wait(\"10ms\") ] },
    ) }";

fn plays(topology: &str, timeline: &str, seconds: u32) -> Run {
    experiment(&system(topology), &format!("duration: \"{seconds}s\", timeline: [ {timeline} ]"))
}

#[test]
fn a_zone_chooses_its_instances_for_every_fault_and_for_restarts() {
    let run = plays(THREE, "At(\"10s\", Down(target: \"api\", instances: Zone(\"b\"), lasts: \"10s\"))", 30);
    let up = run.series("services.api.up");
    assert_eq!((up[5], up[15], up[25]), (3.0, 2.0, 3.0));
    let log = run.log().join("\n");
    assert!(log.contains("api.1") && !log.contains("api.0") && !log.contains("api.2"), "{log}");
    let run = plays(THREE, "At(\"10s\", Restart(\"api\", Zone(\"c\")))", 30);
    assert!(run.log().iter().any(|line| line.contains("restarted") && line.contains("api.2")));
    assert_eq!(run.value("services.api.kills"), 1.0);
    let steal =
        "At(\"10s\", CpuSteal(target: \"api\", share: \"90%\", instances: Zone(\"a\"), lasts: \"10s\"))";
    let run = plays(THREE, steal, 30);
    close("a third has lost nine tenths", run.series("services.api.cpu_stolen")[15], 0.3, 1e-6);
    assert_eq!(run.series("services.api.cpu_stolen")[25], 0.0);
}

#[test]
fn replicas_that_are_wanted_during_a_loss_come_up_in_other_zones() {
    let scaled = "clients: { \"users\": Clients(arrivals: Regular(\"30/s\"), requests: { \"api/show\": 1 }) },
        services: { \"api\": Service(
            replicas: 3, zones: [\"a\", \"b\", \"c\"], endpoints: { \"show\": [ Wait(\"10ms\") ] },
        ) },
        autoscalers: { \"more\": Scheduled(service: \"api\", actions: [
            ScheduledAction(at: \"20s\", desired_capacity: 6), ScheduledAction(at: \"60s\", desired_capacity: 4),
            ScheduledAction(at: \"1h\", desired_capacity: 12),
        ]) }";
    let loss = "At(\"10s\", ZoneDown(zone: \"a\", lasts: \"30s\"))";
    let run = plays(scaled, loss, 80);
    let up = run.series("services.api.up");
    // Two are left, three come, and the lost one is back at 40 s.
    assert_eq!((up[5], up[15], up[30], up[50], up[70]), (3.0, 2.0, 5.0, 6.0, 4.0));
    let started: Vec<String> = run.log().into_iter().filter(|line| line.contains("starting")).collect();
    assert_eq!(started.len(), 3, "{started:?}");
    let in_a = |line: &String| line.contains("api.3") || line.contains("api.6");
    assert!(!started.iter().any(in_a), "the zone is lost: {started:?}");
}

#[test]
fn what_is_placed_in_a_lost_zone_stays_away_until_the_zone_is_back() {
    let set =
        "At(\"10s\", ZoneDown(zone: \"a\", lasts: \"30s\")), At(\"20s\", Set(\"services.api.replicas\", 5))";
    let one = THREE.replace("replicas: 3", "replicas: 1");
    let run = plays(&one, set, 60);
    let up = run.series("services.api.up");
    // Places 0 to 4: two of them in zone a.
    assert_eq!((up[15], up[30], up[50]), (0.0, 3.0, 5.0));
}

#[test]
fn an_ecs_service_starts_its_tasks_outside_of_a_lost_zone() {
    let ecs = THREE.replace("start_up: \"2s\",", "start_up: \"2s\", ecs: EcsService(maximum_percent: 200),");
    let set =
        "At(\"10s\", ZoneDown(zone: \"a\", lasts: \"40s\")), At(\"20s\", Set(\"services.api.replicas\", 5))";
    let run = plays(&ecs, set, 60);
    assert_eq!(run.series("services.api.up")[35], 4.0, "two that were there and two more");
}

#[test]
fn a_drained_zone_finishes_what_it_has_and_gets_nothing_new() {
    let slow = "clients: { \"users\": Clients(arrivals: Regular(\"30/s\"), requests: { \"lb/show\": 1 }) },
        balancers: { \"lb\": Balancer(targets: \"api\") },
        services: { \"api\": Service(
            replicas: 3, zones: [\"a\", \"b\", \"c\"], endpoints: { \"show\": [ Wait(\"2s\") ] },
        ) }";
    let run = plays(slow, "At(\"10s\", DrainZone(\"a\")), At(\"20s\", RestoreZone(\"a\"))", 40);
    assert_eq!(run.value("clients.users.error_ratio"), 0.0);
    let targets = run.series("balancers.lb.targets");
    assert_eq!((targets[5], targets[15], targets[25]), (3.0, 2.0, 3.0));
    assert_eq!(run.times_of("zone_drained"), [10.0]);
    assert_eq!(run.times_of("zone_restored"), [20.0]);
}

#[test]
fn ramps_of_errors_and_spikes_are_straight_lines_in_steps() {
    let errors = "At(\"10s\", Errors(target: \"api\", lasts: \"40s\", ramp: \"10s\"))";
    let run = plays(&THREE.replace("30/s", "300/s"), errors, 60);
    let ratio = run.series("clients.users.error_ratio");
    for (second, expected) in [(12, 0.25), (17, 0.75), (30, 1.0), (43, 0.65), (48, 0.15)] {
        assert!((ratio[second] - expected).abs() < 0.09, "{second}: {} for {expected}", ratio[second]);
    }
    assert_eq!(ratio[55], 0.0);
    let run =
        plays(THREE, "At(\"10s\", Spike(target: \"users\", factor: 5, lasts: \"40s\", ramp: \"10s\"))", 60);
    let rate = run.series("clients.users.rate");
    for (second, expected) in [(5, 30.0), (14, 84.0), (30, 150.0), (45, 84.0), (55, 30.0)] {
        close(&format!("at {second} s"), rate[second], expected, 0.05);
    }
}

#[test]
fn a_random_failure_of_a_zone_strikes_its_instances_at_once_and_draws_stay_the_same() {
    let failure =
        "failures: { \"zone\": Failures(target: Zone(\"b\"), up: Exponential(\"30s\"), down: \"10s\") }";
    let fields = format!("duration: \"300s\", {failure}");
    let run = experiment(&system(THREE), &fields);
    let again = experiment(&system(&THREE.replace("10ms", "25ms")), &fields);
    assert!(run.value("failures.zone.failures") > 2.0);
    assert_eq!(run.times_of("failed"), again.times_of("failed"));
    assert_eq!(run.series("services.api.up").iter().copied().fold(9.0, f64::min), 2.0);
}

#[test]
fn a_cause_strikes_queues_and_databases_together() {
    let all = "clients: { \"users\": Clients(arrivals: Regular(\"30/s\"), requests: { \"api/show\": 1, \"db/q\": 1 }) },
        services: { \"api\": Service(endpoints: { \"show\": [ Publish(\"mail\") ] }) },
        databases: { \"db\": Database(cores: 1, queries: { \"q\": [ Work(\"1ms\") ] }) },
        queues: { \"mail\": Sqs() }";
    let failure = "failures: { \"cause\": Failures(
        target: \"mail\", each: Component, with: [\"db\"], up: \"20s\", down: \"10s\",
    ) }";
    let run = experiment(&system(all), &format!("duration: \"60s\", {failure}"));
    let errors = run.series("clients.users.error_ratio");
    for (second, ratio) in errors.iter().enumerate().filter(|(s, _)| s % 30 > 1) {
        let is_down = second % 30 >= 21;
        let is_up = second % 30 < 20;
        assert!((!is_down || *ratio > 0.9) && (!is_up || *ratio == 0.0), "{second}: {ratio}");
    }
}

#[test]
fn users_who_reconnect_ask_once_and_go_on_as_before() {
    let users = "clients: { \"users\": Clients(
            arrivals: Users(count: 300, think: Exponential(\"100s\")), requests: { \"api/show\": 1 },
        ) },
        services: { \"api\": Service(endpoints: { \"show\": [ Wait(\"10ms\") ] }) }";
    let run = plays(users, "At(\"50s\", Reconnect(target: \"users\", within: \"4s\"))", 150);
    let rate = run.series("clients.users.rate");
    let herd: f64 = rate[51..54].iter().sum();
    assert!((190.0..=260.0).contains(&herd), "{herd}: three quarters of 300");
    let after: f64 = rate[60..140].iter().sum();
    assert!((180.0..300.0).contains(&after), "{after}: three a second");
}

#[test]
fn a_leak_of_connections_ends_with_the_process() {
    let pool = "clients: { \"users\": Clients(arrivals: Regular(\"20/s\"), requests: { \"api/show\": 1 }) },
        services: { \"api\": Service(endpoints: { \"show\": [ Call(\"db/q\", \"p\") ] }) },
        databases: { \"db\": Database(cores: 1, queries: { \"q\": [ Work(\"1ms\") ] }) },
        policies: { \"p\": [ Pool(max: 4, acquire_timeout: \"1s\") ] }";
    let leak = "At(\"10s\", ConnectionLeak(target: \"api\", to: \"db\", every: \"5s\", lasts: \"30s\")),
        At(\"50s\", Crash(target: \"api\", name: \"crash\"))";
    let run = plays(pool, leak, 60);
    let lent = run.series("services.api.calls.db.pool.in_use");
    assert!(lent[17] >= 1.0 && lent[22] >= 2.0 && lent[45] == 4.0 && lent[55] < 0.5, "{lent:?}");
    assert_eq!(run.played.summary.rest.connections, 0);
}

#[test]
fn a_poisoned_message_fails_at_its_dead_letter_queue_too() {
    let queues = "clients: { \"shop\": Clients(arrivals: Regular(\"2/s\"), requests: { \"api/order\": 1 }) },
        services: {
            \"api\": Service(endpoints: { \"order\": [ Publish(\"orders\") ] }),
            \"worker\": Service(endpoints: { \"handle\": [ Wait(\"5ms\") ] }),
        },
        queues: {
            \"orders\": Sqs(visibility_timeout: \"2s\",
                redrive_policy: RedrivePolicy(dead_letter: \"failed\", max_receive_count: 2),
                consumer: SqsConsumer(endpoint: \"worker/handle\", pollers: 3, wait_time: \"20s\")),
            \"failed\": Sqs(visibility_timeout: \"2s\",
                consumer: SqsConsumer(endpoint: \"worker/handle\", pollers: 3, wait_time: \"20s\")),
        }";
    let run = plays(queues, "At(\"10s\", PoisonedMessage(target: \"orders\", count: 2))", 60);
    assert_eq!(run.value("queues.orders.dead_lettered"), 2.0);
    assert_eq!(run.value("queues.failed.acknowledged"), 0.0);
    assert!(run.value("queues.failed.redelivered") > 20.0);
}

#[test]
fn faults_that_steal_nothing_add_no_metric() {
    let run = quick(&system(THREE), 5);
    assert!(run.plan.variants[0].model.catalog.find("services.api.cpu_stolen").is_none());
}
