//! Relations between runs that hold whatever the right answer is.
//!
//! Nobody knows what a whole system should do to the last digit, but one knows what must not change it: other units,
//! another order of declarations, a policy that never acts, a component that nobody asks, more threads. And one knows
//! how it must change when all rates double and all times halve, or when a station is split in two. No oracle is
//! needed. "To the byte" means: fingerprints of all completions, counts, every metric to the last bit, second by
//! second, and the log. Where chance differs, the comparison is statistical and says how certain it is.

use crate::support;
use crate::support::ron as ron_text;

use brownout::base::{Outcome, Rng, SimDuration, SimTime};
use brownout::experiment::{ExperimentResult, Plan, run};
use brownout::metrics::{Observer, Source};
use brownout::report::{events_jsonl, json, series_csv};
use brownout::sim::{RunSummary, World};
use ron_text::Tree;
use support::{Files, Run, repository, run_of, whole_experiment};

/// M/M/3 at 67 %.
const SMALL: &str = r#"Topology(name: "small",
    clients: { "u": Clients(arrivals: Poisson("40/s"), requests: { "s/e": 1 }) },
    services: { "s": Service(workers: 3, endpoints: { "e": [Wait(Exponential("50ms"))] }) },
)"#;

/// A shop with everything in it that has a time or a state. Every setting that is a time is written out, and no number
/// of nanoseconds is odd, so that all of them can be halved.
const SHOP: &str = r#"Topology(name: "shop",
    clients: {
        "web": Clients(
            arrivals: Poisson("60/s"),
            requests: { "lb/browse": 4, "lb/pay": 1 },
            timeout: "900ms",
            retry: Retry(max: 1, backoff: Constant("200ms")),
            tenants: { "gold": Tenant(share: 1, priority: 2), "free": Tenant(share: 3) },
        ),
        "app": Clients(
            arrivals: Users(count: 12, think: Exponential("400ms")),
            requests: { "lb/browse": 1 },
            patience: Uniform(min: "2s", max: "4s"),
        ),
        "batch": Clients(
            arrivals: Mmpp([MmppState(rate: "2/s", mean: "4s"), MmppState(rate: "20/s", mean: "1s")]),
            requests: { "shop/pay": 1 },
            timeout: "3s",
        ),
    },
    balancers: { "lb": Balancer(
        targets: "shop", policy: LeastOutstanding, idle_timeout: "2s", deregistration_delay: "10s",
        health_check: HealthCheck(endpoint: "health", interval: "1s", timeout: "400ms", healthy: 2, unhealthy: 2),
    ) },
    services: { "shop": Service(
        replicas: 3, workers: 6, request_timeout: "1600ms", start_up: "1200ms", restart_delay: Exponential("600ms"),
        queue: Queue(capacity: 40, discipline: Priority, max_wait: "1s"),
        cpu: Cpu(cores: 2, limit: 1), memory: Memory(limit: "1GiB", base: "256MiB", per_request: "2MiB"),
        endpoints: {
            "browse": [
                Parallel(branches: [
                    [Call(to: "db/read", through: "database")],
                    [Optional([Call(to: "ads/get", through: "ads")])],
                ]),
                Work(LogNormal(median: "4ms", p99: "20ms")), Repeat(times: 2, steps: [Wait(Erlang(k: 2,
                    mean: "2ms"))]),
            ],
            "pay": [
                Hold("4MiB"), Call(to: "bank/charge", through: "bank"), Fail("1%"),
                Choose([Way(3, [Call(to: "db/write", through: "database")]), Way(1,
                    [Work(Gamma(mean: "6ms", cv: 0.6))])]),
            ],
            "health": [Work("200us")],
        },
    ) },
    databases: { "db": Database(
        cores: 2, max_connections: 40, reserved: 2, restart_delay: "2s", start_up: "1s",
        queries: { "read": [Work(Exponential("8ms"))], "write": [Work(Weibull(shape: 0.8, scale: "10ms"))] },
    ) },
    externals: {
        "bank": External(latency: LogNormal(mean: "80ms", cv: 0.6), error_ratio: "4%"),
        "ads": External(latency: Pareto(shape: 1.6, min: "20ms", max: "1s"), error_ratio: "10%"),
    },
    policies: {
        "database": [
            Bulkhead(max: 5, queue: 20, max_wait: "600ms"),
            Pool(max: 4, min: 1, acquire_timeout: "500ms", idle: "2s", evict: "200ms", connect: Exponential("4ms"),
                max_uses: 500, statement_timeout: "1s"),
        ],
        "bank": [
            Breaker(error_percent: 50, window: "2s", buckets: 10, reset: "1s", volume: 10),
            Retry(max: 2, backoff: Exponential(base: "20ms", factor: 2, max: "1s"), jitter: Full,
                budget: Budget(ratio: 0.5, initial: 4)),
            Timeout("600ms"),
            Network(latency: Exponential("1ms")),
        ],
        "ads": [
            Fallback([Cache(ttl: "1s", coverage: "80%"), Value]),
            Timeout(limit: "120ms", cancel: true),
        ],
    },
)"#;

/// What happens to the shop.
const SHOP_EVENTS: &str = r#"warmup: "2s", duration: "24s", timeline: [
    At("6s", Slow(target: "bank", latency: Constant("1s"), lasts: "4s")),
    At("12s", Crash(target: "shop", instances: Number(1))),
    At("14s", Slow(target: "db", factor: 4, lasts: "2s")),
    At("18s", Set("services.shop.workers", 8)),
]"#;

/// The cascade, with a tenth of its users, and the outage after twenty seconds.
const CASCADE_EVENTS: &str = r#"warmup: "4s", duration: "80s", timeline: [
    At("20s", Slow(target: "weather", latency: Constant("47s"), lasts: "30s")),
    At("60s", Restart("api", Unhealthy)),
]"#;

fn cascade() -> String {
    let text = std::fs::read_to_string(repository("models/lb-timeout-cascade.ron")).unwrap();
    let text = replaced(&text, "count: 2760", "count: 276");
    let text = replaced(&text, "\"2.1s\"", "\"2100ms\"");
    // A minute and a half must be enough for what takes ten minutes.
    let text = replaced(&text, "interval: \"30s\", timeout: \"30s\"", "interval: \"4s\", timeout: \"4s\"");
    let text = replaced(&text, "request_timeout: \"30s\"", "request_timeout: \"8s\"");
    let text = replaced(
        &text,
        "acquire_timeout: \"30s\", idle: \"10s\"",
        "acquire_timeout: \"30s\", evict: \"1s\", idle: \"10s\"",
    );
    text[text.find("Topology(").unwrap()..].trim_end().to_string()
}

/// The three systems and what happens to them.
fn systems() -> Vec<(&'static str, String, &'static str)> {
    vec![
        ("small", SMALL.to_string(), "warmup: \"2s\", duration: \"40s\""),
        ("shop", SHOP.to_string(), SHOP_EVENTS),
        ("cascade", cascade(), CASCADE_EVENTS),
    ]
}

#[track_caller]
fn replaced(text: &str, from: &str, to: &str) -> String {
    let new = text.replace(from, to);
    assert_ne!(new, text, "{from} is there");
    new
}

fn played(topology: &str, events: &str) -> Run {
    support::experiment(topology, events)
}

/// All that a run says, to the last bit: its summary, and each metric in all and second by second.
#[derive(PartialEq)]
struct Print {
    summary: RunSummary,
    metrics: Vec<(String, u64, Vec<u64>)>,
    log: Vec<String>,
}

fn print(run: &Run) -> Print {
    let meters = run.meters();
    let metrics = &run.plan.variants[0].model.catalog.metrics;
    let columns = &run.plan.variants[0].recorded.columns;
    let rows: Vec<&[f64]> = run.played.record.rows.chunks(columns.len()).collect();
    let metric = |(column, m): (usize, &brownout::model::catalog::Metric)| {
        let value = meters.value(m.source).unwrap_or(f64::NAN).to_bits();
        (m.path.clone(), value, rows.iter().map(|row| row[column].to_bits()).collect())
    };
    let all = metrics.iter().enumerate().map(metric).collect();
    Print { summary: run.played.summary.clone(), metrics: all, log: run.log() }
}

/// Asserts that two runs are the same to the byte.
#[track_caller]
fn assert_same(what: &str, ours: &Run, theirs: &Run) {
    assert_alike(what, ours, theirs, |_| true);
    let (ours, theirs) = (print(ours), print(theirs));
    assert_eq!(ours.summary, theirs.summary, "{what}");
    assert_eq!(ours.metrics.len(), theirs.metrics.len(), "{what}: the same metrics");
    assert!(ours == theirs, "{what}");
}

/// Asserts that two runs are the same to the byte for clients, in the log, and in the chosen metrics that both have.
#[track_caller]
fn assert_alike(what: &str, ours: &Run, theirs: &Run, chosen: impl Fn(&str) -> bool) {
    let (ours, theirs) = (print(ours), print(theirs));
    let mut compared = 0;
    for (path, value, row) in ours.metrics.iter().filter(|(path, ..)| chosen(path)) {
        let Some((_, other, other_row)) = theirs.metrics.iter().find(|(p, ..)| p == path) else { continue };
        assert!(
            value == other && row == other_row,
            "{what}: {path} is {} and {}",
            f64::from_bits(*value),
            f64::from_bits(*other)
        );
        compared += 1;
    }
    assert!(compared >= 10, "{what}: {compared} metrics compared");
    assert_eq!(ours.log, theirs.log, "{what}: log");
}

// ---- what changes nothing ----

#[test]
fn the_systems_are_worth_comparing() {
    for (name, topology, events) in systems() {
        let run = played(&topology, events);
        let sent: u64 = run.played.summary.tallies.iter().map(|t| t.sent).sum();
        assert!(sent > 1_400, "{name}: {sent}");
        if name == "shop" {
            for kind in ["breaker_opened", "breaker_closed", "crashed", "up"] {
                assert!(!run.times_of(kind).is_empty(), "{kind} in {:?}", run.log());
            }
            for path in [
                "services.shop.calls.bank.retries",
                "services.shop.calls.bank.retry_budget.refused",
                "services.shop.calls.ads.fallbacks",
                "services.shop.calls.db.bulkhead.waiting.max",
                "services.shop.calls.db.pool.waiting.max",
                "services.shop.queue.max",
                "clients.web.calls.lb.retries",
                "clients.app.outcomes.degraded",
            ] {
                assert!(run.value(path) > 0.0, "{path}");
            }
        }
        if name == "cascade" {
            assert!(run.value("balancers.alb.failed_open") > 0.0, "it cascades: {:?}", run.log());
        }
        let other = support::run_of(run.plan, 1);
        assert_ne!(run.played.summary, other.played.summary, "{name}: another run is another");
    }
}

#[test]
fn order_of_declarations_changes_nothing() {
    let mut rng = Rng::from_seed(7);
    for (name, topology, events) in systems() {
        let first = played(&topology, events);
        for round in 0..3 {
            let mut tree = Tree::read(&topology);
            tree.shuffle(&mut |n| rng.below(n as u64) as usize);
            assert_ne!(tree, Tree::read(&topology));
            assert_same(&format!("{name}, order {round}"), &first, &played(&tree.write(), events));
        }
    }
}

/// A quantity as it is written: whole units of the smallest kind.
#[derive(Clone, Copy, Debug)]
enum Quantity {
    /// Nanoseconds.
    Time(u64),
    /// Events in an hour.
    Rate(u64),
    /// Millionths.
    Ratio(u64),
    /// Bytes.
    Size(u64),
}

/// Reads what the systems of this file use; anything else is no quantity.
fn quantity(text: &str) -> Option<Quantity> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().ok()?;
    assert!(!unit.starts_with('.'), "whole numbers alone: {text}");
    Some(match unit {
        "us" => Quantity::Time(number * 1_000),
        "ms" => Quantity::Time(number * 1_000_000),
        "s" => Quantity::Time(number * 1_000_000_000),
        "m" => Quantity::Time(number * 60_000_000_000),
        "/s" => Quantity::Rate(number * 3_600),
        "%" => Quantity::Ratio(number * 10_000),
        "KiB" => Quantity::Size(number << 10),
        "MiB" => Quantity::Size(number << 20),
        "GiB" => Quantity::Size(number << 30),
        _ => return None,
    })
}

/// Writes every quantity of a text anew.
fn rewritten(text: &str, write: impl Fn(Quantity) -> Option<String>) -> (String, usize) {
    let mut tree = Tree::read(text);
    let mut count = 0;
    tree.change(&mut |word| {
        let new = write(quantity(word)?)?;
        count += 1;
        Some(new)
    });
    (tree.write(), count)
}

/// `n` parts of which `per` make one, with all decimals and no exponent.
fn decimal(n: u64, per: u64) -> String {
    let digits = per.ilog10() as usize;
    assert_eq!(10_u64.pow(digits as u32), per);
    let text = format!("{}.{:0digits$}", n / per, n % per);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[test]
fn units_change_nothing() {
    use Quantity::{Rate, Ratio, Size, Time};
    let time = |unit: &'static str, per: u64| move |ns: u64| format!("\"{}{unit}\"", decimal(ns, per));
    let (s, ms, us) = (time("s", 1_000_000_000), time("ms", 1_000_000), time("us", 1_000));
    type Writer = Box<dyn Fn(Quantity) -> Option<String>>;
    let writers: [(&str, Writer); 5] = [
        (
            "seconds, minutes, numbers and bytes",
            Box::new(move |q| {
                Some(match q {
                    Time(ns) => s(ns),
                    Rate(per_hour) => format!("\"{}/min\"", per_hour / 60),
                    Ratio(millionths) => decimal(millionths, 1_000_000),
                    Size(bytes) => format!("\"{bytes}B\""),
                })
            }),
        ),
        (
            "milliseconds, hours and KiB",
            Box::new(move |q| {
                Some(match q {
                    Time(ns) => ms(ns),
                    Rate(per_hour) => format!("\"{per_hour}/h\""),
                    Ratio(millionths) => format!("\"{}%\"", decimal(millionths, 10_000)),
                    Size(bytes) => format!("\"{}KiB\"", bytes >> 10),
                })
            }),
        ),
        (
            "microseconds and MiB",
            Box::new(move |q| match q {
                Time(ns) => Some(us(ns)),
                Size(bytes) if bytes % (1 << 20) == 0 => Some(format!("\"{}MiB\"", bytes >> 20)),
                _ => None,
            }),
        ),
        (
            "nanoseconds",
            Box::new(|q| match q {
                Time(ns) => Some(format!("\"{ns}ns\"")),
                _ => None,
            }),
        ),
        (
            "sums of units",
            Box::new(|q| match q {
                Time(ns) => Some(format!(
                    "\"{}s{}ms{}us\"",
                    ns / 1_000_000_000,
                    ns / 1_000_000 % 1_000,
                    ns / 1_000 % 1_000
                )),
                _ => None,
            }),
        ),
    ];
    for (name, topology, events) in systems() {
        let first = played(&topology, events);
        for (how, write) in &writers {
            let (new, count) = rewritten(&topology, write);
            assert!(count >= if name == "small" { 1 } else { 20 }, "{name}: {count} quantities");
            assert_ne!(new, Tree::read(&topology).write());
            // The experiment's own times as well; it is no record of its own here.
            let (new_events, _) = rewritten(&format!("E({events})"), write);
            let new_events = new_events.trim_start_matches("E(").strip_suffix(')').unwrap();
            assert_same(&format!("{name} in {how}"), &first, &played(&new, new_events));
        }
    }
    // Cores, which stand without quotes.
    let milli = replaced(SHOP, "Cpu(cores: 2, limit: 1)", "Cpu(cores: \"2000m\", limit: \"1 cores\")");
    assert_same("cores", &played(SHOP, SHOP_EVENTS), &played(&milli, SHOP_EVENTS));
    // What is not the same is noticed: a time that is a thousandth off.
    let off = replaced(SHOP, "timeout: \"900ms\"", "timeout: \"901ms\"");
    assert!(print(&played(SHOP, SHOP_EVENTS)) != print(&played(&off, SHOP_EVENTS)));
}

/// Layers that never act. The list of what is compared: all metrics of clients, balancers, databases and externals,
/// those of services and their calls that both systems have, the fingerprint of all completions, and the log.
#[test]
fn layers_that_never_act_change_nothing() {
    let idle = [
        "Breaker(error_percent: 100, volume: 1000000)",
        "Retry(max: 0)",
        "Retry(max: 5, on: [], jitter: Full, backoff: Constant(\"1s\"))",
        "Timeout(\"1h\")",
        "Timeout(limit: \"1h\", cancel: true)",
        "Bulkhead(max: 1000000)",
        "Bulkhead(max: 1000000, queue: 5, max_wait: \"1s\", per: Service)",
        "Pool(max: 1000000, connect: \"0s\")",
        "Network(latency: \"0s\")",
    ];
    // In each stack: before the first layer, between, and after the last. The clients have none of their own.
    let stacks = [
        ("\"database\": [", "Pool(max: 4"),
        ("\"bank\": [", "Timeout(\"600ms\")"),
        ("\"ads\": [", "Timeout(limit: \"120ms\""),
    ];
    let first = played(SHOP, SHOP_EVENTS);
    for layer in idle {
        for (outside, before) in stacks {
            for place in [0, 1] {
                let new = match place {
                    0 => replaced(SHOP, outside, &format!("{outside} {layer},")),
                    _ => replaced(SHOP, before, &format!("{layer}, {before}")),
                };
                // Layers that draw are told apart by their number among those of their kind, counted from within:
                // one that is put inside another of its kind takes its random numbers.
                if layer.starts_with("Retry") && outside.contains("bank") && place == 1 {
                    continue;
                }
                let second = played(&new, SHOP_EVENTS);
                let what = format!("{layer} {} {}", ["outside", "before"][place], [outside, before][place]);
                // A second layer of a kind gets the name `pool2`; which of the two is the first is as it is written.
                let kind = layer.split('(').next().unwrap_or_default().to_lowercase();
                assert_alike(&what, &first, &second, |path| {
                    let is_connections = kind == "pool" && path.ends_with(".connections");
                    !path.contains(&format!(".{kind}."))
                        && !is_connections
                        && !path.ends_with(".connections.max")
                });
                assert_eq!(first.played.summary.fingerprint, second.played.summary.fingerprint, "{what}");
                assert_eq!(first.played.summary.tallies, second.played.summary.tallies, "{what}");
            }
        }
    }
    // A breaker that does act is noticed.
    let acts = replaced(SHOP, "\"bank\": [", "\"bank\": [ Breaker(error_percent: 5),");
    assert_ne!(first.played.summary.fingerprint, played(&acts, SHOP_EVENTS).played.summary.fingerprint);
}

#[test]
fn limits_that_are_never_met_change_nothing() {
    let small = [
        ("requests: {", "timeout: \"1h\", requests: {"),
        ("requests: {", "patience: \"1h\", requests: {"),
        ("requests: {", "retry: Retry(max: 3), requests: {"),
        ("requests: {", "through: \"p\", requests: {"),
        ("workers: 3", "workers: 3, queue: Queue(capacity: 100000)"),
        ("workers: 3", "workers: 3, queue: Queue(max_wait: \"1h\")"),
        ("workers: 3", "workers: 3, queue: Queue(discipline: Priority)"),
        ("workers: 3", "workers: 3, request_timeout: \"1h\""),
        ("workers: 3", "workers: 3, memory: Memory(limit: \"1GiB\", per_request: \"1B\")"),
        ("workers: 3", "workers: 3, cpu: Cpu(cores: 1)"),
        ("))] }", ")), Fail(0)] }"),
        ("))] }", ")), Hold(\"1B\")] }"),
    ];
    let events = "warmup: \"2s\", duration: \"40s\"";
    let base =
        replaced(SMALL, "services:", "policies: { \"p\": [Timeout(\"1h\"), Pool(max: 100000)] }, services:");
    let first = played(&base, events);
    for (from, to) in small {
        let second = played(&replaced(&base, from, to), events);
        assert_alike(to, &first, &second, |path| !path.contains(".memory") && !path.contains(".cpu"));
        assert_eq!(first.played.summary.fingerprint, second.played.summary.fingerprint, "{to}");
    }
    // The same program written otherwise.
    for program in [
        "[Optional([Wait(",
        "[Repeat(times: 1, steps: [Wait(",
        "[Parallel(branches: [[Wait(",
        "[Choose([Way(1, [Wait(",
    ] {
        let ends = match program {
            p if p.starts_with("[Parallel") => "))]])]",
            p if p.starts_with("[Choose") => "))])])]",
            _ => "))])]",
        };
        let new =
            replaced(&base, "[Wait(Exponential(\"50ms\"))]", &format!("{program}Exponential(\"50ms\"{ends}"));
        let second = played(&new, events);
        // Steps draw by their place, so the draws differ; the arrivals do not.
        assert_eq!(first.played.summary.tallies[0].sent, second.played.summary.tallies[0].sent, "{program}");
        let (ours, theirs) = (first.series("clients.u.rate"), second.series("clients.u.rate"));
        assert_eq!(ours, theirs, "{program}");
    }
}

#[test]
fn what_nobody_uses_changes_nothing() {
    for (name, topology, events) in systems() {
        let first = played(&topology, events);
        let mut tree = Tree::read(&topology);
        add(
            &mut tree,
            "services",
            r#""0-idle": Service(replicas: 2, workers: 1, endpoints: { "e": [Work("1ms")] })"#,
        );
        add(&mut tree, "balancers", r#""0-idle-lb": Balancer(targets: "0-idle", policy: Random)"#);
        add(&mut tree, "databases", r#""0-idle-db": Database(cores: 1, queries: { "q": [Work("1ms")] })"#);
        add(&mut tree, "externals", r#""0-idle-ext": External(latency: Exponential("1s"))"#);
        add(&mut tree, "policies", r#""0-idle": [Retry(max: 9), Breaker(), Pool()]"#);
        add(
            &mut tree,
            "clients",
            r#""0-rare": Clients(arrivals: Poisson("1/h"), requests: { "0-idle-lb/e": 1 })"#,
        );
        add(
            &mut tree,
            "clients",
            r#""z-busy": Clients(arrivals: Poisson("30/s"), requests: { "0-idle-ext/e": 1 })"#,
        );
        let second = played(&tree.write(), events);
        assert_alike(name, &first, &second, |_| true);
        let ours = &first.played.summary.tallies;
        let theirs = &second.played.summary.tallies;
        assert_eq!(ours[..], theirs[1..=ours.len()], "{name}");
        assert!(theirs.last().unwrap().sent > 600);
    }
}

/// Adds an entry to a map of the topology.
fn add(tree: &mut Tree, field: &str, entry: &str) {
    let Tree::Map(new) = Tree::read(&format!("{{{entry}}}")) else { unreachable!() };
    let Tree::Record(_, fields) = tree else { unreachable!() };
    let known = fields.iter_mut().find(|(name, _)| name.as_deref() == Some(field));
    match known {
        Some((_, Tree::Map(entries))) => entries.extend(new),
        _ => fields.push((Some(field.to_string()), Tree::Map(new))),
    }
}

fn result(topology: &str, experiment: &str, jobs: usize) -> ExperimentResult {
    let files = Files::new(topology, Some(&whole_experiment(experiment)));
    run(&files.plan(), jobs, &()).unwrap()
}

#[test]
fn threads_and_order_of_variants_change_nothing() {
    let bytes = |r: &ExperimentResult| (json::summary(r), series_csv::write(r), events_jsonl::write(r));
    let variants = [
        "\"plain\": {}",
        "\"large\": { \"services.shop.replicas\": 5 }",
        "\"bare\": { \"policies.bank\": [], \"clients.web.timeout\": \"2s\" }",
    ];
    let experiment = |order: [usize; 3]| {
        let all: Vec<&str> = order.iter().map(|i| variants[*i]).collect();
        format!("{SHOP_EVENTS}, runs: 3, variants: {{ {} }}", all.join(", "))
    };
    let first = bytes(&result(SHOP, &experiment([0, 1, 2]), 1));
    for (jobs, order) in [(2, [2, 0, 1]), (3, [1, 2, 0]), (1, [2, 1, 0])] {
        assert!(first == bytes(&result(SHOP, &experiment(order), jobs)), "{jobs} jobs, order {order:?}");
    }
    // And what is played alone is what it is among others.
    let alone = result(SHOP, &format!("{SHOP_EVENTS}, runs: 3, variants: {{ {} }}", variants[0]), 2);
    let among = result(SHOP, &experiment([0, 1, 2]), 2);
    let among = among.variants.iter().find(|v| v.name == "plain").unwrap();
    assert_eq!(alone.variants[0].fingerprints, among.fingerprints);
}

// ---- twice as fast ----

/// All rates doubled and all times halved: the same run, at half the time. Times are whole nanoseconds, so that each
/// that is drawn may be off by half of one, and a request is the sum of some. Counts are the same; sums of latencies
/// are half of what they were within a microsecond for each request.
#[test]
fn twice_as_fast_is_the_same_in_half_the_time() {
    use Quantity::{Rate, Time};
    let halve = |q: Quantity| match q {
        Time(ns) => {
            assert_eq!(ns % 2, 0);
            Some(format!("\"{}ns\"", ns / 2))
        }
        Rate(per_hour) => Some(format!("\"{}/h\"", 2 * per_hour)),
        _ => None,
    };
    for (name, topology, events) in systems() {
        let (new, _) = rewritten(&topology, halve);
        let (new_events, _) = rewritten(&format!("E({events})"), halve);
        let new_events = new_events.trim_start_matches("E(").strip_suffix(')').unwrap();
        let (slow, fast) = (played(&topology, events), played(&new, new_events));
        assert_eq!(slow.played.summary.tallies, fast.played.summary.tallies, "{name}: counts");
        // An event a second is the measurement's own.
        let events = |run: &Run| run.played.summary.events - run.plan.end.ns() / 1_000_000_000;
        assert_eq!(events(&slow), events(&fast), "{name}: events");
        let (ours, theirs) = (slow.meters(), fast.meters());
        assert!((ours.seconds - 2.0 * theirs.seconds).abs() < 1e-9);
        assert_eq!(ours.reds, theirs.reds, "{name}: outcomes of all that is counted");
        assert_eq!(ours.counters, theirs.counters, "{name}: counters");
        let mut timed = 0;
        let catalog = &slow.plan.variants[0].model.catalog;
        for (id, (a, b)) in ours.timers.iter().zip(&theirs.timers).enumerate() {
            assert_eq!(a.count(), b.count(), "{name}");
            let (Some(a), Some(b)) = (a.mean(), b.mean()) else { continue };
            // A slowdown has no dimension; demands in whole nanoseconds round it.
            if catalog.groups.iter().any(|g| g.slowdown as usize == id) {
                assert!((a - b).abs() <= 1e-4 * a, "{name}: a mean slowdown of {a} and {b}");
                continue;
            }
            assert!((a - 2.0 * b).abs() <= 1e-6, "{name}: a mean of {a} and {b}");
            timed += 1;
        }
        assert!(timed >= 4);
        for (a, b) in ours.levels.iter().zip(&theirs.levels) {
            assert_eq!(a.max, b.max, "{name}: highest levels");
            let (a, b) = (a.area / ours.seconds, b.area / theirs.seconds);
            assert!((a - b).abs() <= 1e-6 * a.max(1.0), "{name}: a mean level of {a} and {b}");
        }
        let times = |run: &Run| -> Vec<(String, f64)> {
            let lines = brownout::experiment::log::lines(&run.plan.variants[0], &run.played.record);
            lines.iter().map(|l| (format!("{} {} {}", l.kind, l.component, l.instance), l.time_s)).collect()
        };
        let (ours, theirs) = (times(&slow), times(&fast));
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for ((a, t), (b, u)) in ours.iter().zip(&theirs) {
            assert_eq!(a, b, "{name}");
            assert!((t - 2.0 * u).abs() < 1e-5, "{name}: {a} at {t} and {u}");
        }
    }
}

// ---- merging and splitting ----

/// Means of metrics over [`RUNS`] runs, and their standard errors.
fn estimates(topology: &str, events: &str, paths: &[&str]) -> Vec<(f64, f64)> {
    let plan = || Files::new(topology, Some(&whole_experiment(events))).plan();
    let runs: Vec<Vec<f64>> = (0..RUNS)
        .map(|number| {
            let run = run_of(plan(), number);
            paths.iter().map(|path| run.value(path)).collect()
        })
        .collect();
    let n = RUNS as f64;
    let of = |i: usize| {
        let mean = runs.iter().map(|run| run[i]).sum::<f64>() / n;
        let variance = runs.iter().map(|run| (run[i] - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, (variance / n).sqrt())
    };
    (0..paths.len()).map(of).collect()
}

/// Two estimates of the same differ by less than 4.5 standard errors of their difference: by chance one pair in fifty
/// thousand does not (Student's t with 38 degrees of freedom, 20 runs each). What is 10 % off must be noticed.
#[track_caller]
fn assert_equal_means(what: &str, (a, error_a): (f64, f64), (b, error_b): (f64, f64)) {
    let error = error_a.hypot(error_b);
    assert!((a - b).abs() < 4.5 * error, "{what}: {a} and {b}, {:.1} standard errors apart", (a - b) / error);
    assert!(4.5 * error < 0.1 * a.abs(), "{what}: too noisy to tell: {a} +- {error}");
}

const RUNS: u64 = 20;

#[test]
fn two_poisson_sources_are_one_of_the_summed_rate() {
    let two = replaced(
        SMALL,
        "\"u\": Clients(arrivals: Poisson(\"40/s\"), requests: { \"s/e\": 1 })",
        "\"a\": Clients(arrivals: Poisson(\"15/s\"), requests: { \"s/e\": 1 }), \
         \"b\": Clients(arrivals: Poisson(\"25/s\"), requests: { \"s/e\": 1 })",
    );
    let events = "warmup: \"5s\", duration: \"605s\"";
    let metrics = ["services.s.queue", "services.s.latency.mean", "services.s.rate", "services.s.busy"];
    let one = estimates(SMALL, events, &metrics);
    let merged = estimates(&two, events, &metrics);
    for (i, metric) in metrics.iter().enumerate() {
        assert_equal_means(metric, one[i], merged[i]);
    }
    // Regular sources are not Poisson when they are merged, and that is noticed.
    let (one, other) = (one[0], estimates(&two.replace("Poisson", "Regular"), events, &metrics)[0]);
    assert!((one.0 - other.0).abs() > 4.5 * one.1.hypot(other.1), "{one:?} {other:?}");
}

/// A constant time is split exactly: what takes 50 ms in one service takes it in two, too, for every request.
#[test]
fn constant_times_add_up_exactly() {
    let one = |program: &str| {
        format!(
            "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Poisson(\"80/s\"),
                requests: {{ \"g/e\": 1 }}) }},
             services: {{ \"g\": Service(endpoints: {{ \"e\": [{program}] }}),
                 \"s\": Service(endpoints: {{ \"e\": [Wait(\"30ms\")] }}),
             \"t\": Service(cpu: Cpu(cores: 100), endpoints: {{ \"e\": [Work(\"20ms\")] }}) }})"
        )
    };
    let whole = played(&one("Wait(\"50ms\")"), "duration: \"30s\"");
    for program in [
        "Wait(\"30ms\"), Wait(\"20ms\")",
        "Call(\"s/e\"), Call(\"t/e\")",
        "Call(\"t/e\"), Wait(\"30ms\")",
        "Repeat(times: 5, steps: [Work(\"10ms\")])",
        "Parallel(branches: [[Wait(\"50ms\")], [Call(\"s/e\")], [Wait(\"20ms\"), Call(\"s/e\")]])",
        "Wait(Scaled(by: 2, of: Constant(\"25ms\")))",
    ] {
        let split = played(&one(program), "duration: \"30s\"");
        assert_alike(program, &whole, &split, |path| {
            path.starts_with("clients.u.")
                || path.starts_with("services.g.") && !path.contains("cpu") && !path.contains("slowdown")
        });
        assert_eq!(whole.played.summary.fingerprint, split.played.summary.fingerprint, "{program}");
    }
}

/// What leaves an M/M/1 queue is a Poisson stream again (Burke 1956), so that two in a row are two queues on their own:
/// their means add up, here to `1 / (60 - 30) + 1 / (50 - 30)` seconds.
#[test]
fn queues_in_a_row_add_up() {
    let system = |program: &str| {
        format!(
            "Topology(name: \"t\", clients: {{ \"u\": Clients(arrivals: Poisson(\"30/s\"),
                requests: {{ \"g/e\": 1 }}) }},
             services: {{ \"g\": Service(endpoints: {{ \"e\": [{program}] }}),
             \"a\": Service(workers: 1, endpoints: {{ \"e\": [Wait(Exponential(\"16666667ns\"))] }}),
             \"b\": Service(workers: 1, endpoints: {{ \"e\": [Wait(Exponential(\"20ms\"))] }}) }})"
        )
    };
    let events = "warmup: \"5s\", duration: \"405s\"";
    let mean = |program: &str| estimates(&system(program), events, &["clients.u.latency.mean"])[0];
    let both = mean("Call(\"a/e\"), Call(\"b/e\")");
    let first = mean("Call(\"a/e\")");
    let second = mean("Call(\"b/e\")");
    assert_equal_means("the sum", both, (first.0 + second.0, first.1.hypot(second.1)));
    let expected = 1.0 / 30.0 + 1.0 / 20.0;
    assert!((both.0 - expected).abs() < 4.5 * both.1, "{both:?} and not {expected}");
    // Either order gives the same.
    let turned = mean("Call(\"b/e\"), Call(\"a/e\")");
    assert_equal_means("the order", both, turned);
}

/// Names choose the random numbers and nothing else.
#[test]
fn names_change_nothing_but_chance() {
    let renamed = SHOP
        .replace("\"db\"", "\"store\"")
        .replace("\"db/", "\"store/")
        .replace("\"shop\"", "\"zoo\"")
        .replace("\"shop/", "\"zoo/")
        .replace("\"lb\"", "\"a\"")
        .replace("\"lb/", "\"a/")
        .replace("\"web\"", "\"people\"")
        .replace("\"bank\"", "\"zbank\"")
        .replace("\"bank/", "\"zbank/")
        .replace("\"browse\"", "\"x\"")
        .replace("/browse\"", "/x\"");
    let events = "warmup: \"2s\", duration: \"32s\"";
    assert_ne!(
        played(SHOP, events).played.summary.fingerprint,
        played(&renamed, events).played.summary.fingerprint
    );
    let (ours, theirs): (Vec<&str>, Vec<&str>) = [
        ("clients.web.latency.mean", "clients.people.latency.mean"),
        ("clients.app.throughput", "clients.app.throughput"),
        ("services.shop.cpu", "services.zoo.cpu"),
        ("databases.db.in_flight", "databases.store.in_flight"),
        ("services.shop.calls.bank.amplification", "services.zoo.calls.zbank.amplification"),
    ]
    .into_iter()
    .unzip();
    let (one, other) = (estimates(SHOP, events, &ours), estimates(&renamed, events, &theirs));
    for (i, path) in ours.iter().enumerate() {
        assert_equal_means(path, one[i], other[i]);
    }
}

// ---- laws within a run ----

/// What a run adds up to, in whole nanoseconds: levels over time, and times that ended.
#[derive(Default)]
struct Ledger {
    levels: Vec<(u64, u64, u128)>,
    times: Vec<(u64, u128)>,
    arrivals: Vec<u64>,
    ended: Vec<u64>,
}

impl Ledger {
    fn of(plan: &Plan, number: u64) -> (Self, RunSummary) {
        let variant = &plan.variants[0];
        let sizes = variant.model.catalog.sizes();
        let ledger = Self {
            levels: vec![(0, 0, 0); sizes.gauges],
            times: vec![(0, 0); sizes.timers],
            arrivals: vec![0; sizes.reds],
            ended: vec![0; sizes.reds],
        };
        let (summary, mut ledger) =
            World::new(&variant.model, &variant.script, plan.seed, number, ledger).run();
        let end = variant.script.end;
        (0..sizes.gauges).for_each(|g| {
            let now = ledger.levels[g].0;
            ledger.level(end, g as u32, now);
        });
        let sums = &variant.model.catalog.sums;
        for sum in &sums.reds {
            for part in &sum.parts {
                ledger.arrivals[sum.target as usize] += ledger.arrivals[*part as usize];
                ledger.ended[sum.target as usize] += ledger.ended[*part as usize];
            }
        }
        for sum in &sums.timers {
            for part in &sum.parts {
                let (count, time) = ledger.times[*part as usize];
                let (counts, times) = &mut ledger.times[sum.target as usize];
                (*counts, *times) = (*counts + count, *times + time);
            }
        }
        (ledger, summary)
    }

    fn source(plan: &Plan, path: &str) -> Source {
        plan.variants[0].model.catalog.find(path).unwrap_or_else(|| panic!("no metric {path}")).source
    }

    /// The area under a level, and where it ended.
    fn area(&self, plan: &Plan, path: &str) -> (u128, u64) {
        let Source::Level(gauge, _) = Self::source(plan, path) else { panic!("{path} is no level") };
        let (level, _, area) = self.levels[gauge as usize];
        (area, level)
    }

    /// How many times ended, and their sum.
    fn time(&self, plan: &Plan, path: &str) -> (u64, u128) {
        let Source::TimerMean(timer) = Self::source(plan, path) else { panic!("{path} is no mean time") };
        self.times[timer as usize]
    }

    fn begun_and_ended(&self, plan: &Plan, path: &str) -> (u64, u64) {
        let Source::Rate(red) = Self::source(plan, path) else { panic!("{path} is no rate") };
        (self.arrivals[red as usize], self.ended[red as usize])
    }
}

impl Observer for Ledger {
    fn arrival(&mut self, red: u32) {
        self.arrivals[red as usize] += 1;
    }
    fn outcome(&mut self, red: u32, _: Outcome, latency: SimDuration) {
        self.ended[red as usize] += 1;
        self.timed(red, latency);
    }
    fn outcome_apart(&mut self, red: u32, timer: u32, _: Outcome, latency: SimDuration) {
        self.ended[red as usize] += 1;
        self.timed(timer, latency);
    }
    fn timed(&mut self, timer: u32, time: SimDuration) {
        let (count, sum) = &mut self.times[timer as usize];
        *count += 1;
        *sum += u128::from(time.ns());
    }
    fn moved(&mut self, now: SimTime, gauge: u32, delta: i64) {
        let level = self.levels[gauge as usize].0;
        self.level(now, gauge, level.checked_add_signed(delta).expect("no level falls below zero"));
    }
    fn level(&mut self, now: SimTime, gauge: u32, level: u64) {
        let (old, since, area) = &mut self.levels[gauge as usize];
        *area += u128::from(*old) * u128::from(now.ns() - *since);
        (*old, *since) = (level, now.ns());
    }
}

/// Little's law: the area under the number in a place is the sum of the times spent there. With clients that fall
/// silent and a system that runs empty there are no edges, and it holds to the nanosecond.
#[test]
fn littles_law_holds_to_the_nanosecond() {
    // Users never fall silent, so the closed population asks on a profile of zero users.
    let silence = "profile: [Steps([Point(\"16s\", 0)])], requests: {";
    let fields = "duration: \"10m\"";
    let small = replaced(SMALL, "requests: {", silence);
    let shop = replaced(SHOP, "requests: {", silence);
    // Requests that are given up stay where they are, for nobody: what is timed there ends before what is counted.
    let calm = [
        "timeout: \"900ms\",",
        "timeout: \"3s\",",
        "patience: Uniform(min: \"2s\", max: \"4s\"),",
        "request_timeout: \"1600ms\",",
        "idle_timeout: \"2s\",",
        ", max_wait: \"1s\"",
        ", max_wait: \"600ms\"",
        ", statement_timeout: \"1s\"",
        "Timeout(\"600ms\"),",
        "Timeout(limit: \"120ms\", cancel: true),",
    ]
    .iter()
    .fold(shop.clone(), |text, limit| replaced(&text, limit, ""));
    for (name, topology, places, waits) in [
        (
            "small",
            &small,
            vec!["clients.u", "services.s"],
            vec![("services.s.queue", "services.s.wait.mean")],
        ),
        (
            "shop",
            &calm,
            vec![
                "clients.web",
                "clients.app",
                "clients.batch",
                "balancers.lb",
                "databases.db",
                "externals.bank",
                "externals.ads",
            ],
            vec![("services.shop.calls.db.pool.waiting", "services.shop.calls.db.pool.wait.mean")],
        ),
        (
            "shop with limits",
            &shop,
            vec!["clients.web", "clients.app", "clients.batch", "balancers.lb"],
            vec![],
        ),
    ] {
        let plan = Files::new(topology, Some(&whole_experiment(fields))).plan();
        let (ledger, summary) = Ledger::of(&plan, 0);
        assert_eq!(summary.rest.frames, 0, "{name}: all is over");
        for place in places {
            let (area, level) = ledger.area(&plan, &format!("{place}.in_flight"));
            let (count, sum) = ledger.time(&plan, &format!("{place}.latency.mean"));
            let (begun, ended) = ledger.begun_and_ended(&plan, &format!("{place}.rate"));
            assert_eq!((begun, ended, level), (count, count, 0), "{name}: {place}");
            assert!(count > 30, "{name}: {place}: {count}");
            assert_eq!(area, sum, "{name}: {place}");
        }
        for (level, time) in waits {
            let ((area, left), (count, sum)) = (ledger.area(&plan, level), ledger.time(&plan, time));
            assert!(count > 100 && left == 0);
            assert_eq!(area, sum, "{name}: {level}");
        }
    }
}

/// With requests in flight at the end, the area is the sum of the times of those that ended, and of what the others
/// have spent so far: at most their number times the length of the run, and no less than nothing.
#[test]
fn arrivals_are_ends_and_what_is_in_flight() {
    for (name, topology, events) in systems() {
        let plan = Files::new(&topology, Some(&whole_experiment(events))).plan();
        let (ledger, _) = Ledger::of(&plan, 0);
        let metrics = &plan.variants[0].model.catalog.metrics;
        let mut places = 0;
        for path in metrics.iter().filter_map(|m| m.path.strip_suffix(".in_flight")) {
            let (area, level) = ledger.area(&plan, &format!("{path}.in_flight"));
            let (begun, ended) = ledger.begun_and_ended(&plan, &format!("{path}.rate"));
            assert!(begun > 0, "{name}: {path}");
            places += 1;
            // Instances answer for requests that they go on working on: those are in flight and have ended.
            if path.starts_with("services.")
                || path.starts_with("databases.")
                || path.starts_with("externals.")
            {
                assert!(
                    begun <= ended + level,
                    "{name}: {path}: {begun} begun, {ended} ended, {level} in flight"
                );
                continue;
            }
            assert_eq!(begun, ended + level, "{name}: {path}");
            let (_, sum) = ledger.time(&plan, &format!("{path}.latency.mean"));
            let left =
                area.checked_sub(sum).unwrap_or_else(|| panic!("{name}: {path}: {area} is less than {sum}"));
            assert!(left <= u128::from(level) * u128::from(plan.end.ns()), "{name}: {path}: {left}");
            assert_eq!(left == 0, level == 0, "{name}: {path}");
        }
        assert!(places >= 2, "{name}");
    }
}

/// The utilisation law: what is busy is what was asked for, request by request.
#[test]
fn what_is_busy_is_what_was_asked() {
    let topology = r#"Topology(name: "t",
        clients: { "u": Clients(arrivals: Poisson("50/s"), requests: { "s/e": 1 },
            profile: [Steps([Point("100s", 0)])]) },
        services: { "s": Service(replicas: 2, workers: 3, cpu: Cpu(cores: 1),
            endpoints: { "e": [Wait("10ms"), Work("20ms"), Call("db/q")] }) },
        databases: { "db": Database(cores: 2, queries: { "q": [Work("16ms")] }) },
    )"#;
    let plan = Files::new(topology, Some(&whole_experiment("duration: \"200s\""))).plan();
    let (ledger, summary) = Ledger::of(&plan, 0);
    let n = u128::from(summary.tallies[0].sent);
    assert!(n > 4_500 && summary.rest.frames == 0);
    // A worker is busy from begin to end, and a request in flight is busy or waits.
    let (busy, _) = ledger.area(&plan, "services.s.busy");
    let (queue, _) = ledger.area(&plan, "services.s.queue");
    let (in_flight, _) = ledger.area(&plan, "services.s.in_flight");
    let (_, latency) = ledger.time(&plan, "services.s.latency.mean");
    assert_eq!(busy + queue, in_flight);
    assert_eq!(in_flight, latency);
    assert!(busy > n * 46_000_000);
    // A CPU is in use for as long as work was asked of it. Each piece ends at a whole nanosecond, rounded up, so
    // that up to one more for each change of the number of pieces may be counted.
    for (path, each) in [("services.s.cpu", 20_000_000), ("databases.db.cpu", 16_000_000)] {
        let Source::Level(_, factor) = Ledger::source(&plan, path) else { panic!("{path}") };
        let (area, _) = ledger.area(&plan, path);
        let used = area as f64 * factor;
        let asked = (n * each) as f64;
        assert!((used - asked).abs() <= 4.0 * n as f64, "{path}: {used} ns and not {asked}");
    }
}
