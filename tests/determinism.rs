//! The same input gives the same bytes, and a change of one thing leaves the others alone.

use crate::support;

use brownout::experiment::{Changes, ExperimentResult, run};
use brownout::report::{events_jsonl, json, plot, series_csv};
use support::{Files, quick, whole_experiment};

const CLIENTS: &str = "clients: {
    \"a\": Clients(arrivals: Poisson(\"40/s\"), requests: { \"lb/e\": 2, \"lb/f\": 1 }, timeout: \"400ms\"),
    \"b\": Clients(arrivals: Users(count: 9, think: Exponential(\"500ms\")), requests: { \"lb/e\": 1 }),
},";
const BALANCERS: &str =
    "balancers: { \"lb\": Balancer(targets: \"s\", policy: PowerOfTwo, idle_timeout: \"300ms\",
    health_check: HealthCheck(endpoint: \"f\", interval: \"1s\", timeout: \"200ms\", healthy: 2)) },";
const SERVICES: &str = "services: {
    \"s\": Service(replicas: 3, workers: 4, queue: Queue(capacity: 5), cpu: Cpu(cores: 1), start_up: \"1s\",
        endpoints: { \"e\": [Work(Exponential(\"20ms\")), Call(\"db/q\", \"p\")], \"f\": [Work(\"1ms\")] }),
},";
const DATABASES: &str =
    "databases: { \"db\": Database(cores: 2, queries: { \"q\": [Work(Exponential(\"10ms\"))] }) },";
const POLICIES: &str = "policies: { \"p\": [
    Retry(max: 2, backoff: Exponential(\"10ms\"), jitter: Full), Timeout(\"150ms\"),
    Pool(max: 3, connect: Exponential(\"5ms\"), acquire_timeout: \"100ms\"),
] },";
const TIMELINE: &str = "warmup: \"2s\", duration: \"20s\", runs: 5, timeline: [
    At(\"6s\", Slow(target: \"db\", factor: 6, lasts: \"4s\")),
    At(\"12s\", Crash(target: \"s\", instances: Number(1))),
]";

fn system(parts: &[&str]) -> String {
    format!("Topology(name: \"small\", {})", parts.join("\n"))
}

fn all_parts() -> String {
    system(&[CLIENTS, BALANCERS, SERVICES, DATABASES, POLICIES])
}

fn result(topology: &str, jobs: usize, seed: Option<u64>) -> ExperimentResult {
    let files = Files::new(topology, Some(&whole_experiment(TIMELINE)));
    let plan = files.try_plan(&Changes { seed, ..Changes::default() }).unwrap_or_else(|m| panic!("{m}"));
    run(&plan, jobs, &()).unwrap()
}

/// Every file that a run writes.
fn bytes(result: &ExperimentResult) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![
        ("summary.json".to_string(), json::summary(result).into_bytes()),
        ("timeseries.csv".to_string(), series_csv::write(result)),
        ("events.jsonl".to_string(), events_jsonl::write(result)),
    ];
    for plot in plot::all(result, 2).unwrap() {
        all.push((format!("{}.svg", plot.file_stem), plot.svg.into_bytes()));
        all.push((format!("{}.png", plot.file_stem), plot.png));
    }
    all
}

#[track_caller]
fn assert_same(ours: &ExperimentResult, theirs: &ExperimentResult, what: &str) {
    for ((name, a), (_, b)) in bytes(ours).into_iter().zip(bytes(theirs)) {
        assert!(a == b, "{what}: {name} differs");
    }
}

#[test]
fn any_number_of_threads_and_any_repetition_give_the_same_bytes() {
    let one = result(&all_parts(), 1, None);
    assert!(one.variants[0].requests > 3_000 && one.variants[0].log.iter().all(|l| !l.lines.is_empty()));
    for jobs in [1, 2, 4] {
        assert_same(&one, &result(&all_parts(), jobs, None), &format!("{jobs} jobs"));
    }
}

#[test]
fn another_seed_is_another_run() {
    let (one, other) = (result(&all_parts(), 2, Some(1)), result(&all_parts(), 2, Some(2)));
    assert_ne!(one.variants[0].fingerprints, other.variants[0].fingerprints);
    let prints = &one.variants[0].fingerprints;
    assert!((1..prints.len()).all(|i| !prints[..i].contains(&prints[i])), "runs differ from one another");
}

#[test]
fn the_order_of_declarations_does_not_matter() {
    let clients = "clients: {
        \"b\": Clients(requests: { \"lb/e\": 1 }, arrivals: Users(think: Exponential(\"500ms\"), count: 9)),
        \"a\": Clients(timeout: \"400ms\", requests: { \"lb/f\": 1, \"lb/e\": 2 }, arrivals: Poisson(\"40/s\")),
    },";
    let services = "services: {
        \"s\": Service(
            endpoints: { \"f\": [Work(\"1ms\")], \"e\": [Work(Exponential(\"20ms\")), Call(\"db/q\", \"p\")] },
            start_up: \"1s\", cpu: Cpu(cores: 1), queue: Queue(capacity: 5), workers: 4, replicas: 3),
    },";
    let other = system(&[POLICIES, DATABASES, services, BALANCERS, clients]);
    assert_same(&result(&all_parts(), 2, None), &result(&other, 2, None), "another order");
}

#[test]
fn units_do_not_matter() {
    let other = all_parts()
        .replace("\"40/s\"", "\"2400/min\"")
        .replace("\"400ms\"", "\"0.4s\"")
        .replace("\"500ms\"", "\"500000us\"")
        .replace("\"1s\"", "\"1000ms\"");
    assert_ne!(other, all_parts());
    assert_same(&result(&all_parts(), 2, None), &result(&other, 2, None), "other units");
}

/// The metrics of clients: their estimates, to the bit, and the fingerprints.
fn of_clients(result: &ExperimentResult) -> Vec<String> {
    let v = &result.variants[0];
    let mut all: Vec<String> = v
        .metrics
        .iter()
        .filter(|m| m.path.starts_with("clients.") && !m.path.contains(".calls."))
        .map(|m| format!("{} {:?}", m.path, m.estimate))
        .collect();
    all.push(format!("{:?}", v.fingerprints));
    all
}

#[test]
fn a_breaker_that_never_opens_changes_nothing_for_clients() {
    let with = all_parts().replace("Retry(max: 2", "Breaker(error_percent: 100), Retry(max: 2");
    assert_ne!(with, all_parts());
    assert_eq!(of_clients(&result(&all_parts(), 2, None)), of_clients(&result(&with, 2, None)));
}

#[test]
fn an_unrelated_service_leaves_the_others_alone() {
    let clients = CLIENTS.trim_end_matches("},").to_string()
        + "\"0\": Clients(arrivals: Poisson(\"5/s\"), requests: { \"other/e\": 1 }), },";
    let services = SERVICES.trim_end_matches("},").to_string()
        + "\"other\": Service(endpoints: { \"e\": [Work(Exponential(\"5ms\"))] }), },";
    let more = result(&system(&[&clients, BALANCERS, &services, DATABASES, POLICIES]), 2, None);
    let base = result(&all_parts(), 2, None);
    for metric in &base.variants[0].metrics {
        let same = more.variants[0].metrics.iter().find(|m| m.path == metric.path).unwrap();
        assert_eq!(format!("{:?}", metric.estimate), format!("{:?}", same.estimate), "{}", metric.path);
    }
}

#[test]
fn a_setting_that_is_set_to_what_it_was_changes_nothing() {
    let t = all_parts();
    let fields = |extra: &str| format!("duration: \"20s\", timeline: [{extra}]");
    let plain = support::experiment(&t, &fields(""));
    let set = support::experiment(&t, &fields("At(\"7s\", Set(\"services.s.workers\", 4))"));
    assert_eq!(plain.played.summary.fingerprint, set.played.summary.fingerprint);
    assert_eq!(plain.played.summary.tallies, set.played.summary.tallies);
}

#[test]
fn what_comes_later_does_not_change_what_was() {
    let (short, long) = (quick(&all_parts(), 5), quick(&all_parts(), 9));
    let (a, b) = (short.series("clients.a.latency.mean"), long.series("clients.a.latency.mean"));
    assert_eq!(format!("{a:?}"), format!("{:?}", &b[..a.len()]));
}
