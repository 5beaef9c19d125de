//! `components::pool::http` against Envoy 1.40.0: what twenty requests at once become under its limits.
//!
//! The recording was made in real time on loopback, so counts are compared exactly and times in steps of 100 ms, as it
//! has them. The upstream answered after 300 ms. It is played twice: through the component, with a connection that
//! takes no time, and through a whole system.

use brownout::base::{SimDuration, SimTime};
use brownout::components::pool::PoolAction;
use brownout::components::pool::http::{HttpConfig, HttpPool};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// How long the upstream took.
const SERVICE_MS: u64 = 300;

/// How many requests ended how: status and time in tenths of a second.
type Counts = BTreeMap<(u32, u64), u64>;

/// A cluster's limits as the recording words them: the defaults, but for what is said.
fn limits(text: &str) -> HttpConfig {
    let mut config = HttpConfig {
        max_connections: 1024,
        max_pending_requests: 1024,
        max_requests: 1024,
        streams: 1,
        connect_timeout: None,
        idle_timeout: None,
        keep_alive: None,
        race: SimDuration::ZERO,
    };
    for (name, value) in text.split_whitespace().filter_map(|word| word.split_once('=')) {
        let value = value.parse().unwrap();
        match name {
            "max_connections" => config.max_connections = value,
            "max_pending_requests" => config.max_pending_requests = value,
            "max_requests" => config.max_requests = value,
            other => panic!("unknown limit {other}"),
        }
    }
    config
}

/// What the recording says: `"200 overloaded=False ~0.3s": 2`.
fn recorded(results: &Value) -> Counts {
    let mut counts = Counts::new();
    for (what, number) in results.as_object().unwrap() {
        let mut words = what.split_whitespace();
        let status: u32 = words.next().unwrap().parse().unwrap();
        assert_eq!(words.next().unwrap(), if status == 503 { "overloaded=True" } else { "overloaded=False" });
        let seconds: f64 = words.next().unwrap().trim_matches(['~', 's']).parse().unwrap();
        *counts.entry((status, (seconds * 10.0).round() as u64)).or_default() += number.as_u64().unwrap();
    }
    counts
}

/// So many requests at once, each holding its connection for the time of the service.
fn played(config: HttpConfig, concurrent: u32) -> Counts {
    let mut pool = HttpPool::new(config);
    let (mut out, mut counts, mut busy) = (Vec::new(), Counts::new(), VecDeque::new());
    let mut now = SimTime::ZERO;
    for request in 0..concurrent {
        pool.acquire(now, request, &mut out);
        settle(&mut pool, now, &mut out, &mut busy, &mut counts);
    }
    while let Some((at, conn)) = busy.pop_front() {
        now = at;
        *counts.entry((200, now.ns() / 100_000_000)).or_default() += 1;
        pool.release(now, conn, &mut out);
        settle(&mut pool, now, &mut out, &mut busy, &mut counts);
    }
    counts
}

type Busy = VecDeque<(SimTime, brownout::components::pool::ConnId)>;

fn settle(
    pool: &mut HttpPool<u32>,
    now: SimTime,
    out: &mut Vec<PoolAction<u32>>,
    busy: &mut Busy,
    counts: &mut Counts,
) {
    let mut at = 0;
    while at < out.len() {
        let action = out[at];
        at += 1;
        match action {
            PoolAction::Create { conn } => pool.on_created(now, conn, out),
            PoolAction::Lend { conn, .. } => busy.push_back((now + SimDuration::from_ms(SERVICE_MS), conn)),
            PoolAction::Refuse { .. } => *counts.entry((503, now.ns() / 100_000_000)).or_default() += 1,
            other => panic!("{other:?}"),
        }
    }
    out.clear();
}

/// The same in a whole system: how many ended well and were turned away, their mean latency and the longest.
fn in_the_world(config: HttpConfig, concurrent: u32) -> (u64, u64, f64, f64) {
    let topology = format!(
        r#"Topology(
            name: "envoy",
            clients: {{ "c": Clients(
                arrivals: Times(file: "times.csv"), requests: {{ "up/get": 1 }}, through: "p",
            ) }},
            externals: {{ "up": External(latency: "300ms") }},
            policies: {{ "p": [ EnvoyLimits(max_connections: {}, max_pending_requests: {}, max_requests: {}) ] }},
        )"#,
        config.max_connections, config.max_pending_requests, config.max_requests
    );
    let experiment = crate::support::whole_experiment("duration: \"3s\"");
    let files = crate::support::Files::new(&topology, Some(&experiment));
    files.write("times.csv", &format!("time_s\n{}", "1.0\n".repeat(concurrent as usize)));
    let run = crate::support::run_of(files.plan(), 0);
    let count = |path: &str| run.total(path).round() as u64;
    let latency = |which: &str| run.value(&format!("clients.c.latency.{which}"));
    (count("clients.c.goodput"), count("clients.c.outcomes.rejected"), latency("mean"), latency("p99"))
}

fn clusters() -> Vec<(String, HttpConfig, u32, Counts)> {
    let documents = super::documents("envoy");
    let (_, clusters) = documents.iter().find(|(name, _)| name == "circuit_breakers.json").unwrap();
    let one = |cluster: &Value| {
        let limits = limits(cluster["limits"].as_str().unwrap());
        let concurrent = cluster["concurrent"].as_u64().unwrap() as u32;
        (cluster["cluster"].as_str().unwrap().to_string(), limits, concurrent, recorded(&cluster["results"]))
    };
    clusters.as_array().unwrap().iter().map(one).collect()
}

#[test]
fn conformance_of_envoy_s_limits() {
    let (mut steps, mut deviations) = (0, 0);
    let clusters = clusters();
    for (cluster, config, concurrent, expected) in &clusters {
        let ours = played(*config, *concurrent);
        steps += u64::from(*concurrent);
        deviations += usize::from(ours != *expected);
        assert_eq!(ours, *expected, "cluster {cluster}");
        assert_eq!(expected.values().sum::<u64>(), u64::from(*concurrent));
    }
    super::report("Envoy's limits", clusters.len(), steps as usize, deviations);
}

#[test]
fn conformance_of_envoy_s_limits_in_a_whole_system() {
    for (cluster, config, concurrent, expected) in clusters() {
        let (ok, rejected, mean, longest) = in_the_world(config, concurrent);
        let of = |status: u32| expected.iter().filter(move |((s, _), _)| *s == status);
        assert_eq!(ok, of(200).map(|(_, n)| n).sum::<u64>(), "cluster {cluster}");
        assert_eq!(rejected, of(503).map(|(_, n)| n).sum::<u64>(), "cluster {cluster}");
        // Times are the recording's, to 50 ms.
        let seconds = |tenths: u64| tenths as f64 / 10.0;
        let sum: f64 = expected.iter().map(|((_, tenths), n)| seconds(*tenths) * *n as f64).sum();
        assert!((mean - sum / f64::from(concurrent)).abs() < 0.05, "cluster {cluster}: {mean}");
        let last = expected.keys().map(|(_, tenths)| seconds(*tenths)).fold(0.0, f64::max);
        assert!((longest - last).abs() < 0.05, "cluster {cluster}: {longest}");
    }
}

#[test]
fn conformance_of_envoy_notices_a_limit_that_is_off_by_one() {
    let (_, connections, concurrent, expected) = clusters().swap_remove(0);
    let off = |change: &dyn Fn(&mut HttpConfig)| {
        let mut config = connections;
        change(&mut config);
        assert_ne!(played(config, concurrent), expected, "{config:?}");
    };
    off(&|c| c.max_connections += 1);
    off(&|c| c.max_connections -= 1);
    off(&|c| c.max_pending_requests += 1);
    off(&|c| c.max_pending_requests -= 1);
    let (_, requests, concurrent, expected) = clusters().swap_remove(1);
    for max_requests in [requests.max_requests - 1, requests.max_requests + 1] {
        assert_ne!(played(HttpConfig { max_requests, ..requests }, concurrent), expected);
    }
}
