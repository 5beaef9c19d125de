//! Autoscalers in whole systems: demand that can be counted by hand, and when what follows from it is there.

use crate::support::{Run, experiment};

/// A service `s` of one core for each instance, asked for `load` (in cores), and its autoscalers.
fn play(load: &[(u32, f64)], service: &str, autoscalers: &str, fields: &str) -> Run {
    let points: Vec<String> = load.iter().map(|(at, cores)| format!("Point(\"{at}s\", {cores})")).collect();
    let topology = format!(
        "Topology(name: \"t\",
            clients: {{ \"u\": Clients(arrivals: Regular(\"20/s\"), profile: [Steps([{}])],
                requests: {{ \"s/e\": 1 }}) }},
            services: {{ \"s\": Service({service} endpoints: {{ \"e\": [Work(\"50ms\")] }}) }},
            autoscalers: {{ {autoscalers} }})",
        points.join(", ")
    );
    experiment(&topology, fields)
}

const SERVICE: &str =
    "replicas: 2, workers: 4, queue: Queue(capacity: 4), cpu: Cpu(cores: 1), start_up: \"45s\",";

fn scaled(run: &Run) -> Vec<(f64, String)> {
    let lines = brownout::experiment::log::lines(&run.plan.variants[0], &run.played.record);
    lines.into_iter().filter(|l| l.kind == "scaled").map(|l| (l.time_s, l.detail)).collect()
}

fn expect(run: &Run, expected: &[(f64, &str)]) {
    let expected: Vec<(f64, String)> =
        expected.iter().map(|(at, what)| (*at, format!("from {what} replicas"))).collect();
    assert_eq!(scaled(run), expected);
}

#[test]
fn target_tracking_acts_on_the_third_datapoint_and_takes_away_on_the_fifteenth() {
    let tracking =
        "\"a\": TargetTracking(service: \"s\", min_capacity: 2, max_capacity: 9, target_value: 50),";
    // 1.9 of 2 cores from 0:50 on: minute 1 is (0.2 x 50 + 1.9 x 10) / 120 = 24 %, minutes 2 to 4 are 95 %, so that
    // 2 x 95 / 50 = 3.8 at 4:00, which leaves 47.5 %: not clearly below. Then 0.5 cores of 4 from 10:00 on are
    // 12.5 %: all fifteen are at 25:00, and two go at once, as 4 x 12.5 / 50 is 1 and the least is 2.
    let load = [(0, 0.2), (50, 1.9), (600, 0.5)];
    let run = play(&load, SERVICE, tracking, "duration: \"30min\"");
    expect(&run, &[(240.0, "2 to 4"), (1500.0, "4 to 2")]);
    assert_eq!(run.times_of("up"), [285.0, 285.0]);
    assert_eq!((run.value("autoscalers.a.scale_ups"), run.value("autoscalers.a.scale_downs")), (1.0, 1.0));
    assert_eq!(run.value("autoscalers.a.alarms"), 2.0);
    // What is seen two minutes late is done two minutes late.
    let late = tracking.replace("50),", "50, metric_lag: \"2min\"),");
    let run = play(&load, SERVICE, &late, "duration: \"10min\"");
    expect(&run, &[(360.0, "2 to 4")]);
}

#[test]
fn instances_that_warm_up_are_not_in_the_metric() {
    let with = |warmup: &str| {
        format!(
            "\"a\": TargetTracking(service: \"s\", min_capacity: 2, max_capacity: 20, target_value: 50,
                estimated_instance_warmup: \"{warmup}\"),"
        )
    };
    // Two instances are full: 4 are wanted. Those are up at 225 s. With a warm-up of 10 minutes only the first two are
    // looked at, which by then are as full as the others.
    let load = [(0, 3.0)];
    let run = play(&load, SERVICE, &with("10min"), "duration: \"10min\"");
    expect(&run, &[(180.0, "2 to 4")]);
    // With none all four are seen as full as they are in their first 15 seconds: too many are added.
    let run = play(&load, SERVICE, &with("0s"), "duration: \"5min\"");
    expect(&run, &[(180.0, "2 to 4"), (240.0, "4 to 8")]);
}

#[test]
fn one_that_would_keep_what_there_is_holds_back_another() {
    let both = "\"a\": TargetTracking(service: \"s\", max_capacity: 9, target_value: 50),
        \"b\": TargetTracking(service: \"s\", max_capacity: 9, metric: RequestCountPerTarget, target_value: 200),";
    // 0.4 cores: 20 % of two, but 8 requests per second are 240 a minute and instance.
    let load = [(0, 0.4)];
    let run = play(&load, SERVICE, both, "duration: \"18min\"");
    expect(&run, &[(180.0, "2 to 3")]);
    let alone = "\"a\": TargetTracking(service: \"s\", max_capacity: 9, target_value: 50),";
    let run = play(&load, SERVICE, alone, "duration: \"18min\"");
    expect(&run, &[(900.0, "2 to 1")]);
}

#[test]
fn a_schedule_sets_the_bounds_of_another_autoscaler() {
    let both = "\"a\": TargetTracking(service: \"s\", min_capacity: 2, max_capacity: 9, target_value: 50),
        \"b\": Scheduled(service: \"s\", actions: [
            ScheduledAction(at: \"100s\", every: \"1h\", min_capacity: 5, max_capacity: 6),
            ScheduledAction(at: \"20min\", min_capacity: 1)]),";
    let run = play(&[(0, 0.2), (300, 4.0)], SERVICE, both, "duration: \"15min\"");
    // 5 as soon as that is the least, and 6 although 80 % would want 8.
    expect(&run, &[(100.0, "2 to 5"), (480.0, "5 to 6")]);
}

#[test]
fn settings_change_on_the_way() {
    let tracking =
        "\"a\": TargetTracking(service: \"s\", min_capacity: 2, max_capacity: 9, target_value: 50),";
    let set = |path: &str, value: &str| {
        format!("duration: \"6min\", timeline: [At(\"70s\", Set(\"autoscalers.a{path}\", {value}))]")
    };
    let load = [(0, 1.8)];
    let run = play(&load, SERVICE, tracking, &set(".target_value", "100"));
    expect(&run, &[]);
    let run = play(&load, SERVICE, tracking, &set(".min_capacity", "3"));
    // Three at the next look, a minute in which only two were up before it.
    assert_eq!(scaled(&run)[0], (120.0, "from 2 to 3 replicas".to_string()));
    // Another kind begins anew, at the next look a minute after the change.
    let steps = "StepScaling(service: \"s\", min_capacity: 2, max_capacity: 9, alarm: CloudWatchAlarm(threshold: 80),
        adjustment_type: PercentChangeInCapacity, step_adjustments: [ScalingStep(lower: 0, adjustment: 100)])";
    let run = play(&load, SERVICE, tracking, &set("", steps));
    expect(&run, &[(120.0, "2 to 4")]);
}

#[test]
fn a_simple_policy_waits_for_what_it_has_begun() {
    let simple =
        "\"a\": SimpleScaling(service: \"s\", max_capacity: 9, alarm: CloudWatchAlarm(threshold: 80),
        scaling_adjustment: 1, cooldown: \"60s\"),";
    // Full at 60 s; the third is up at 105 s, and nothing is done until 165 s: at 180 s.
    let run = play(&[(0, 4.0)], SERVICE, simple, "duration: \"4min\"");
    expect(&run, &[(60.0, "2 to 3"), (180.0, "3 to 4")]);
}

const KNATIVE: &str = "\"a\": KnativeKpa(service: \"s\", max_scale: 10, container_concurrency_target: 2,
    target_utilization: \"50%\"),";

#[test]
fn knative_leaves_no_pod_and_holds_requests_until_there_is_one() {
    // Nothing from 30 s on. The stable window is empty at 90 s (the last request ended before 31 s), and at 120 s the
    // grace is over. The next request, at 200 s, waits for its pod.
    let load = [(0, 0.2), (30, 0.0), (200, 0.2)];
    let service =
        "replicas: 1, workers: 4, queue: Queue(capacity: 50), cpu: Cpu(cores: 1), start_up: \"12s\",";
    let run = play(&load, service, KNATIVE, "duration: \"250s\"");
    let all = scaled(&run);
    assert_eq!(all[0].1, "from 1 to 0 replicas");
    assert!((118.0..=124.0).contains(&all[0].0), "{all:?}");
    assert_eq!(all[1].1, "from 0 to 1 replicas");
    assert!((200.0..200.6).contains(&all[1].0), "{all:?}");
    assert_eq!(run.value("autoscalers.a.activations"), 1.0);
    assert_eq!(run.value("clients.u.error_ratio"), 0.0);
    let longest = run.value("clients.u.latency.max");
    assert!((12.0..12.3).contains(&longest), "{longest}");
    // The 48 requests of the 12 s that the activator held ask for more than twice the one pod.
    assert!(run.value("autoscalers.a.panics") >= 1.0);
    // Through a balancer it is the same, and nothing is left behind.
    let whole = play(&[(0, 0.2), (30, 0.0), (200, 0.2), (230, 0.0)], service, KNATIVE, "duration: \"260s\"");
    assert_eq!(whole.played.summary.rest, Default::default());
}

#[test]
fn who_waits_with_the_activator_goes_to_the_first_pod_that_is_ready() {
    let topology = |balancer: &str, to: &str| {
        format!(
            "Topology(name: \"t\",
                clients: {{ \"u\": Clients(arrivals: Regular(\"20/s\"), timeout: \"50s\",
                    profile: [Steps([Point(\"5s\", 0), Point(\"60s\", 1), Point(\"90s\", 0)])],
                    requests: {{ \"{to}/e\": 1 }}) }},
                {balancer}
                services: {{ \"s\": Service(workers: 4, cpu: Cpu(cores: 1), start_up: Uniform(\"5s\", \"40s\"),
                    endpoints: {{ \"e\": [Work(\"50ms\")] }}) }},
                autoscalers: {{ \"a\": KnativeKpa(service: \"s\", max_scale: 10, stable_window: \"10s\",
                    scale_to_zero_grace_period: \"5s\", container_concurrency_target: 4) }})"
        )
    };
    let balancers = "balancers: { \"lb\": Balancer(targets: \"s\", policy: LeastOutstanding) },";
    let times = |run: &Run| (run.times_of("starting"), run.times_of("up"));
    for (balancer, to) in [("", "s"), (balancers, "lb")] {
        for number in 0..4 {
            let files = crate::support::Files::new(
                &topology(balancer, to),
                Some(&crate::support::whole_experiment("duration: \"200s\"")),
            );
            let run = crate::support::run_of(files.plan(), number);
            let (_, ups) = times(&run);
            assert_eq!(run.played.summary.tallies[0].in_flight, 0);
            assert_eq!(run.value("services.s.replicas.max"), 10.0);
            // All wait until the first pod is up, whichever that is, and are served from then on.
            let first = ups[0];
            let seconds = run.series("clients.u.goodput");
            let served: f64 = seconds[60..first as usize].iter().filter(|v| !v.is_nan()).sum();
            assert_eq!(served, 0.0);
            assert!(seconds[first as usize + 1] > 0.0, "{to} {number}: {first}");
            assert_eq!(run.played.summary.rest, Default::default());
        }
    }
}

#[test]
fn who_waits_with_the_activator_is_turned_away_if_there_is_to_be_no_pod() {
    let load = [(0, 0.2), (30, 0.0), (200, 0.2), (205, 0.0)];
    let service = "workers: 4, cpu: Cpu(cores: 1), start_up: \"60s\",";
    let fields = "duration: \"299s\", timeline: [
        At(\"210s\", Set(\"services.s.workers\", 5)), At(\"220s\", Crash(target: \"s\", name: \"crash\")),
        At(\"230s\", Down(target: \"s\", lasts: \"10s\"))]";
    let run = play(&load, service, KNATIVE, fields);
    // The pod that was to come crashes, is down and comes at 300 s: they have waited all the while.
    assert_eq!(run.played.summary.rest.queued, run.played.summary.tallies[0].in_flight);
    assert!(run.played.summary.rest.queued > 10);
    let timeout = play(&load, service, KNATIVE, &fields.replace("220s", "290s").replace("230s", "295s"));
    assert_eq!(timeout.played.summary.rest, Default::default());
    assert_eq!(timeout.value("clients.u.error_ratio"), 0.0);
}

#[test]
fn keda_starts_the_first_replica_at_a_poll_and_takes_the_last_a_cooldown_after_work() {
    let topology = "Topology(name: \"t\",
        clients: { \"u\": Clients(arrivals: Regular(\"1/s\"), requests: { \"front/ask\": 1 },
            profile: [Steps([Point(\"0s\", 0), Point(\"100s\", 1), Point(\"200s\", 0)])]) },
        services: {
            \"front\": Service(endpoints: { \"ask\": [Call(\"jobs/do\", \"again\")] }),
            \"jobs\": Service(start_up: \"5s\", endpoints: { \"do\": [Wait(\"1s\")] }),
        },
        policies: { \"again\": [Retry(max: 100, backoff: Constant(\"1s\"))] },
        autoscalers: { \"a\": Keda(service: \"jobs\", trigger: RequestsInFlight(\"front\"), threshold: 1000,
            activation_threshold: 10, cooldown_period: \"60s\") })";
    let run = experiment(topology, "duration: \"400s\"");
    // Never active at 30 s: none. More than 10 wait at 120 s, and not again; 60 s and a poll later none are left.
    expect(&run, &[(30.0, "1 to 0"), (120.0, "0 to 1"), (210.0, "1 to 0")]);
    assert_eq!(run.value("clients.u.error_ratio"), 0.0);
    assert_eq!(run.played.summary.rest, Default::default());
}

#[test]
fn keda_scales_by_a_queue_as_the_autoscaler_that_it_makes() {
    let keda = "\"a\": Keda(service: \"s\", trigger: QueueLength(\"s\"), threshold: 20, min_replica_count: 2,
        max_replica_count: 30),";
    let service = "replicas: 2, workers: 1, start_up: \"1s\",";
    // Two replicas keep up until 300 s; then 80 per second come and 40 go, and 600 wait 15 s later: 30 are wanted.
    let run = play(&[(0, 2.0), (300, 4.0), (360, 0.2)], service, keda, "duration: \"420s\"");
    let all = scaled(&run);
    assert_eq!(all[0], (315.0, "from 2 to 4 replicas".to_string()), "{all:?}");
    // One sync at most doubles, or goes to 4; all of them are 15 seconds apart.
    assert!(all.len() > 1 && all.iter().all(|(at, _)| at % 15.0 == 0.0));
}

/// A service whose pods request half a node each, and the autoscaler of the nodes.
fn on_nodes(replicas: u32, timeline: &str, nodes: &str) -> Run {
    let topology = format!(
        "Topology(name: \"t\",
            clients: {{ \"u\": Clients(arrivals: Regular(\"20/s\"), requests: {{ \"s/e\": 1 }}) }},
            services: {{ \"s\": Service(replicas: {replicas}, start_up: \"5s\", endpoints: {{ \"e\": [Wait(\"2s\")] }}) }},
            autoscalers: {{ \"n\": ClusterAutoscaler(pods: {{ \"s\": NodePod(request: 1, image_pull: \"20s\") }},
                node_cores: 2, max_nodes: 4, node_boot: \"60s\", {nodes}) }})"
    );
    experiment(&topology, &format!("duration: \"40min\", timeline: [{timeline}]"))
}

#[test]
fn a_pod_waits_for_its_node_and_the_first_one_there_for_its_image() {
    let run = on_nodes(3, "At(\"65s\", Set(\"services.s.replicas\", 9))", "");
    // The fourth fits on the second node, where the image is. At 70 s nodes for the other five are asked for, of which
    // there may be two; they come at 130 s. The pods on each have the image after 20 s.
    let ups = run.times_of("up");
    assert_eq!(ups[0], 70.0);
    assert_eq!(ups[1..], [155.0; 4]);
    assert_eq!(run.times_of("nodes_asked"), [70.0]);
    assert_eq!(run.times_of("node_ready"), [130.0, 130.0]);
    assert_eq!(run.value("autoscalers.n.nodes.max"), 4.0);
    // One has no place ever.
    assert_eq!(run.series("autoscalers.n.pending")[600], 1.0);
    assert_eq!(run.series("services.s.up")[600], 8.0);
    assert_eq!(run.value("clients.u.error_ratio"), 0.0);
}

#[test]
fn nodes_that_are_not_needed_go_and_their_pods_move() {
    let timeline =
        "At(\"65s\", Set(\"services.s.replicas\", 8)), At(\"200s\", Set(\"services.s.replicas\", 1))";
    let run = on_nodes(3, timeline, "scale_down_utilization_threshold: \"60%\",");
    // One pod is left on the first node. The others are empty, and go ten minutes after they were first seen so.
    let gone = run.times_of("nodes_gone");
    assert_eq!((gone.as_slice(), run.value("autoscalers.n.scale_downs")), ([810.0].as_slice(), 1.0));
    assert_eq!(run.series("autoscalers.n.nodes")[900], 1.0);
    // One on each of two nodes: the first moves to where the second is, ends what it has, and begins there, where the
    // image is.
    let timeline =
        "At(\"5s\", Set(\"services.s.replicas\", 2)), At(\"100s\", Set(\"autoscalers.n.min_nodes\", 1))";
    let run = on_nodes(1, timeline, "min_nodes: 2, scale_down_utilization_threshold: \"60%\",");
    let [drains, stops] = ["draining", "stopped"].map(|kind| *run.times_of(kind).last().unwrap());
    assert_eq!((drains, run.times_of("nodes_gone").len()), (600.0, 1));
    assert!((stops - drains - 2.0).abs() < 0.2, "{stops}");
    assert_eq!(*run.times_of("up").last().unwrap(), stops + 5.0);
    assert_eq!(run.series("services.s.up")[800], 2.0);
    assert_eq!(run.value("clients.u.error_ratio"), 0.0);
}

#[test]
fn pods_that_wait_for_a_node_are_not_started_by_faults_or_their_end() {
    let timeline =
        "At(\"65s\", Set(\"services.s.replicas\", 6)), At(\"75s\", Crash(target: \"s\", name: \"c\")),
        At(\"80s\", Down(target: \"s\", lasts: \"10s\"))";
    let run = on_nodes(3, timeline, "");
    // The fourth is up at 70 s; all on nodes are back 5 s after the end, and the others come when their node has come.
    assert_eq!(run.times_of("up")[..].iter().filter(|t| **t < 130.0).count(), 1 + 4);
    assert_eq!(run.series("services.s.up")[120], 4.0);
    assert_eq!(run.series("services.s.up")[170], 6.0);
    // A node that takes too long is given up, and pods wait until another is asked for.
    let late =
        on_nodes(3, "At(\"65s\", Set(\"services.s.replicas\", 6))", "max_node_provision_time: \"30s\"");
    assert!(late.value("autoscalers.n.given_up") >= 2.0);
    assert_eq!(late.series("services.s.up")[2300], 4.0);
}

#[test]
fn measurements_that_lag_are_acted_on_later() {
    let hpa = |lag: &str| {
        format!("\"a\": Hpa(service: \"s\", max: 9, metrics: [InFlight(4)], metric_lag: \"{lag}\"),")
    };
    let load = [(0, 0.2), (31, 4.0)];
    let first = |lag: &str| scaled(&play(&load, SERVICE, &hpa(lag), "duration: \"3min\""))[0].0;
    assert_eq!([first("0s"), first("1s"), first("15s"), first("40s")], [45.0, 60.0, 60.0, 90.0]);
}

#[test]
fn pods_that_wait_for_a_node_hold_back_the_autoscaler_as_unready_ones() {
    let topology = |nodes: &str| {
        format!(
            "Topology(name: \"t\",
                clients: {{ \"u\": Clients(arrivals: Regular(\"20/s\"), requests: {{ \"s/e\": 1 }}) }},
                services: {{ \"s\": Service(replicas: 2, start_up: \"5s\", endpoints: {{ \"e\": [Wait(\"1s\")] }}) }},
                autoscalers: {{ \"a\": Hpa(service: \"s\", max: 20, metrics: [InFlight(2)]) {nodes} }})"
        )
    };
    // 20 in flight at two pods want ten, of which four may come at once. With pods that are ready the rest follows;
    // while they wait for a node they count as idle, and 20 over 2 of 4 pods is still as much as one sync may do.
    let nodes =
        ", \"n\": ClusterAutoscaler(pods: { \"s\": NodePod(request: 1) }, node_cores: 2, max_nodes: 9)";
    let [free, bound] = [topology(""), topology(nodes)].map(|t| experiment(&t, "duration: \"4min\""));
    assert_eq!(free.series("services.s.replicas")[100], 10.0);
    assert_eq!(bound.series("services.s.replicas")[239], 10.0);
    assert_eq!(bound.series("services.s.up")[120], 2.0);
    assert!(bound.times_of("up")[0] > 140.0);
}

#[test]
fn a_balancer_sends_nothing_to_instances_that_may_only_come_later() {
    for check in ["", "health_check: HealthCheck(endpoint: \"e\", interval: \"5s\"),"] {
        let topology = format!(
            "Topology(name: \"t\",
                clients: {{ \"u\": Clients(arrivals: Regular(\"20/s\"), requests: {{ \"lb/e\": 1 }}) }},
                balancers: {{ \"lb\": Balancer(targets: \"s\", {check}) }},
                services: {{ \"s\": Service(replicas: 2, endpoints: {{ \"e\": [Wait(\"10ms\")] }}) }},
                autoscalers: {{ \"a\": Hpa(service: \"s\", max: 8, metrics: [InFlight(5)]) }})"
        );
        let run = experiment(&topology, "duration: \"20s\"");
        assert_eq!(run.value("clients.u.error_ratio"), 0.0);
        assert_eq!(run.value("balancers.lb.targets.max"), 2.0);
    }
}
