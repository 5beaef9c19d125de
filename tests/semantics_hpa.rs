//! The Kubernetes HPA within whole systems: demand that can be counted by hand, and the replicas that follow from it.

use crate::support;

use brownout::base::Outcome;
use brownout::sim::World;
use support::{Files, Run, close, experiment, run_of, whole_experiment};

/// Cores in use in all during the 15 seconds before evaluation `k`, which is at 15 k seconds.
const DEMAND: [(f64, f64); 5] = [(0.0, 0.9), (45.0, 2.3), (135.0, 4.7), (225.0, 3.1), (315.0, 0.45)];

/// A service `s` that starts with 3 replicas, asked for work of `DEMAND` cores, and its autoscaler.
fn system(service: &str, hpa: &str) -> String {
    let points: Vec<String> = DEMAND.iter().map(|(at, cores)| format!("Point(\"{at}s\", {cores})")).collect();
    format!(
        "Topology(name: \"t\",
            clients: {{ \"u\": Clients(arrivals: Regular(\"100/s\"), profile: [Steps([{}])],
                requests: {{ \"s/e\": 1 }}) }},
            services: {{ \"s\": Service(replicas: 3, {service} endpoints: {{ \"e\": [Work(\"10ms\")] }}) }},
            autoscalers: {{ \"a\": Hpa(service: \"s\", min: 2, max: 20, {hpa}) }})",
        points.join(", ")
    )
}

const CPU: &str = "metrics: [Cpu(target: \"60%\", request: \"0.5 cores\")],";
const EIGHT: &str = "cpu: Cpu(cores: 8),";
const AT_ONCE: &str = "behavior: Behavior(
    scale_up: Rules(stabilization_window: \"0s\", policies: [Pods(100, \"15s\")]),
    scale_down: Rules(stabilization_window: \"0s\", policies: [Percent(100, \"15s\")])),";

/// Replicas after each evaluation.
fn replicas(run: &Run) -> Vec<u32> {
    let seconds = run.series("services.s.replicas");
    seconds.chunks(15).map(|second| second[0].round() as u32).collect()
}

fn play(service: &str, hpa: &str, fields: &str) -> Run {
    experiment(&system(service, hpa), fields)
}

/// So many times a number, one after the other.
fn runs(of: &[(u32, usize)]) -> Vec<u32> {
    of.iter().flat_map(|(replicas, times)| vec![*replicas; *times]).collect()
}

#[test]
fn replicas_follow_demand() {
    let run = play(EIGHT, &format!("{CPU} {AT_ONCE}"), "duration: \"420s\"");
    // At 0 s nothing is measured yet. Then: 153 % of the requests of 3 pods are 2.55 times the target, 7.65 pods;
    // 117 % of 8 are 15.6; 38 % of 16 are 10.13, of 8 cores; 8 % of 11 are 1.47.
    assert_eq!(replicas(&run), runs(&[(3, 4), (8, 6), (16, 6), (11, 6), (2, 6)]));
    let expected =
        [(60.0, "from 3 to 8"), (150.0, "from 8 to 16"), (240.0, "from 16 to 11"), (330.0, "from 11 to 2")];
    let lines = brownout::experiment::log::lines(&run.plan.variants[0], &run.played.record);
    let scaled: Vec<_> = lines.iter().filter(|l| l.kind == "scaled").collect();
    assert_eq!(scaled.len(), expected.len());
    for (line, (at, detail)) in scaled.iter().zip(expected) {
        assert_eq!((line.time_s, line.component.as_str()), (at, "autoscalers.a"));
        assert_eq!(line.detail, format!("{detail} replicas"));
    }
    assert_eq!((run.value("autoscalers.a.scale_ups"), run.value("autoscalers.a.scale_downs")), (2.0, 2.0));
    assert_eq!(run.times_of("up").len(), 5 + 8);
    assert_eq!(run.times_of("stopped").len(), 5 + 9);
    close("up at the end", run.series("services.s.up")[400], 2.0, 1e-9);
    assert_eq!(run.value("services.s.replicas.max"), 16.0);
}

#[test]
fn cores_for_everyone_are_measured_as_well() {
    let run = play("", &format!("{CPU} {AT_ONCE}"), "duration: \"420s\"");
    assert_eq!(replicas(&run), runs(&[(3, 4), (8, 6), (16, 6), (11, 6), (2, 6)]));
}

#[test]
fn without_behavior_a_sync_doubles_at_most_and_five_minutes_hold_back() {
    let run = play(EIGHT, CPU, "duration: \"675s\"");
    // 6 at 60 s (twice 3); then 76 % of 6 are 7.6 pods. 16 was last recommended at 225 s, 11 at 315 s: each holds
    // for the 300 s that follow, to the last.
    assert_eq!(replicas(&run), runs(&[(3, 4), (6, 1), (8, 5), (16, 26), (11, 6), (2, 3)]));
}

#[test]
fn empty_behavior_has_its_own_rates_and_window() {
    let run = play(EIGHT, &format!("{CPU} behavior: Behavior(),"), "duration: \"675s\"");
    // 7 at 60 s (4 pods more), which are within the tolerance of 65 %; 14 at 150 s (twice 7), and 16 after that.
    // The window ends one sync earlier: what is as old as it counts no more.
    assert_eq!(replicas(&run), runs(&[(3, 4), (7, 6), (14, 1), (16, 24), (11, 6), (2, 4)]));
}

#[test]
fn the_default_metric_is_80_percent_of_the_limit() {
    let cpu = "cpu: Cpu(cores: 8, limit: \"0.5 cores\"),";
    // 0.9 of 1.5 cores: 60 % of what is requested, 45 pods in 60; then all that 2 pods have, and so on.
    let run = play(cpu, AT_ONCE, "duration: \"80s\"");
    assert_eq!(replicas(&run), [3, 3, 3, 3, 4, 5]);
}

#[test]
fn a_set_of_the_replicas_is_where_it_goes_on_from_and_others_change_nothing() {
    let timeline = |set: &str| format!("duration: \"120s\", timeline: [At(\"67s\", {set})]");
    let hpa = format!("{CPU} {AT_ONCE}");
    let play = |set: &str| {
        let run = play(EIGHT, &hpa, &timeline(set));
        let seconds = run.series("services.s.replicas");
        [66, 67, 75, 90, 100].map(|second| seconds[second].round() as u32)
    };
    // The 4 new ones are not measured yet at 75 s and count in full: 64 %, where 47 % would be less than the target.
    assert_eq!(play("Set(\"services.s.replicas\", 12)"), [8, 12, 12, 8, 8]);
    // More than the maximum is cut to it at the next look, without metrics; then they count.
    assert_eq!(play("Set(\"services.s.replicas\", 30)"), [8, 30, 20, 8, 8]);
    // The number that it began with is a number like any other. 108 % at 75 s, of which 7 s with 8 pods.
    assert_eq!(play("Set(\"services.s.replicas\", 3)"), [8, 3, 6, 8, 8]);
    assert_eq!(play("Set(\"services.s.cpu.cores\", 4)"), [8, 8, 8, 8, 8]);
    // Its own settings change, too: a lower bound counts from the next look on.
    assert_eq!(play("Set(\"autoscalers.a.max\", 5)"), [8, 8, 5, 5, 5]);
    assert_eq!(play("Set(\"autoscalers.a.metrics.Cpu.target\", \"30%\")"), [8, 8, 16, 16, 16]);
    // Looking anew every 30 s begins at the change: 97 s.
    assert_eq!(
        play("Set(\"autoscalers.a\", Hpa(service: \"s\", min: 9, max: 20, sync: \"30s\"))"),
        [8, 8, 8, 8, 9]
    );
}

#[test]
fn requests_in_flight_are_a_metric_too() {
    let topology = |metrics: &str| {
        format!(
            "Topology(name: \"t\",
                clients: {{ \"u\": Clients(arrivals: Regular(\"100/s\"), requests: {{ \"s/e\": 1 }}) }},
                services: {{ \"s\": Service(replicas: 2, workers: 6, endpoints: {{
                    \"e\": [Wait(\"240ms\"), Work(\"1ms\")] }}) }},
                autoscalers: {{ \"a\": Hpa(service: \"s\", max: 20, metrics: [{metrics}], {AT_ONCE}) }})"
        )
    };
    // 24.1 in flight, once there are workers for them; what waits for a worker counts as well. In the first window
    // 2 pods have 12 workers: (100 - 12 / 0.241) x 15 / 2 wait on average, and 12 are executed: 194 per pod.
    let run = experiment(&topology("InFlight(5)"), "duration: \"80s\"");
    let replicas = replicas(&run);
    assert_eq!(replicas[..2], [2, 20]);
    assert_eq!(*replicas.last().unwrap(), 5);
    // The larger proposal counts.
    let both = experiment(&topology("Cpu(\"60%\", \"0.01 cores\"), InFlight(5)"), "duration: \"80s\"");
    assert_eq!(both.series("services.s.replicas")[79].round() as u32, 17);
}

#[test]
fn new_pods_take_their_time_and_are_believed_after_a_whole_measurement() {
    let slow = format!("{EIGHT} start_up: \"20s\",");
    let run = play(&slow, &format!("{CPU} {AT_ONCE}"), "duration: \"200s\"");
    assert_eq!(run.times_of("up"), [vec![80.0; 5], vec![170.0; 8]].concat());
    // While 5 of 8 start, their share counts as nothing used of the requests of all 8: 57 %.
    assert_eq!(replicas(&run)[4..10], [8; 6]);
    // Pods of the start count from the first measurement, although they are as new as the run.
    assert_eq!(replicas(&run)[..5], [3, 3, 3, 3, 8]);
}

#[test]
fn pods_that_crash_are_missing_until_they_run_and_idle_until_they_are_ready() {
    let play = |service: &str| {
        let fields = "duration: \"200s\", timeline: [At(\"100s\", Crash(target: \"s\"))]";
        play(&format!("{EIGHT} {service}"), &format!("{CPU} {AT_ONCE}"), fields)
    };
    // Without a process no pod is measured, so nothing is done until some have been: from 150 to 165 s.
    let run = play("restart_delay: \"40s\",");
    assert_eq!(run.series("services.s.up")[120], 0.0);
    assert_eq!(replicas(&run)[4..], [vec![8; 7], vec![16; 3]].concat());
    // Processes that start use nothing, and the 3 pods that were ready before count: the service shrinks.
    let run = play("start_up: \"40s\",");
    assert_eq!(replicas(&run)[7..9], [8, 2]);
}

#[test]
fn measurements_have_their_own_resolution() {
    let hpa = format!("{CPU} {AT_ONCE} metric_resolution: \"60s\",");
    // Measured at 60 s: 0.9 cores of 45 s and 2.3 of 15 s, 83 % of the requests of 3 pods: 4.15. Between
    // measurements the last one stays, of those that were there: 3 of 5 pods; the new ones count against it.
    let run = play(EIGHT, &hpa, "duration: \"130s\"");
    assert_eq!(replicas(&run)[..5], [3, 3, 3, 3, 5]);
    // At 120 s: 2.3 cores, 92 % of the requests of 5 pods.
    assert_eq!(replicas(&run)[8], 8);
}

#[test]
fn who_watches_changes_nothing() {
    let files = Files::new(
        &system(EIGHT, &format!("{CPU} {AT_ONCE}")),
        Some(&whole_experiment("duration: \"420s\"")),
    );
    let watched = run_of(files.plan(), 0);
    let variant = &watched.plan.variants[0];
    let world = World::new(&variant.model, &variant.script, watched.plan.seed, 0, ());
    let (alone, ()) = world.run();
    assert_eq!(alone.fingerprint, watched.played.summary.fingerprint);
    assert_eq!(alone.tallies, watched.played.summary.tallies);
    assert!(alone.tallies[0].ended[Outcome::Ok as usize] > 80_000);
}

#[test]
fn memory_scales_too_and_the_larger_recommendation_counts() {
    let play = |metrics: &str| {
        let system = format!(
            "Topology(name: \"t\",
                clients: {{ \"u\": Clients(arrivals: Regular(\"100/s\"), requests: {{ \"s/e\": 1 }}) }},
                services: {{ \"s\": Service(replicas: 3, cpu: Cpu(cores: 1),
                    memory: Memory(limit: \"8GiB\", base: \"100MiB\", per_request: \"5MiB\"),
                    endpoints: {{ \"e\": [Wait(\"2s\")] }}) }},
                autoscalers: {{ \"a\": Hpa(service: \"s\", min: 2, max: 20, metrics: [{metrics}], {AT_ONCE}) }})"
        );
        *replicas(&experiment(&system, "duration: \"180s\"")).last().unwrap()
    };
    // 200 requests of 5 MiB, and 100 MiB for each pod: 3 pods have 108 % of what they request, 1.35 times the target,
    // which makes 4.1 pods. 5 of them have 75 %, which is within the tolerance.
    let memory = "Memory(\"80%\", \"400MiB\")";
    assert_eq!(play(memory), 5);
    // They wait, and use no CPU.
    assert_eq!(play("Cpu(\"70%\")"), 2);
    assert_eq!(play(&format!("Cpu(\"70%\"), {memory}")), 5);
    // Without a request the limit is taken for it: 8 GiB are plenty.
    assert_eq!(play("Memory(\"80%\")"), 2);
}
