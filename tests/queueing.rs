//! Whole systems against queueing theory: the simulator's answers where exact answers are known.
//!
//! Each case states its source and asserts within a tolerance. The noise of a run is what theory leaves over: where a
//! standard error matters it is estimated here from independent replications, and printed when an assertion fails.
//! The seed is the one that the files give (42), chosen before anything was measured.

use crate::support;

use brownout::base::SimDuration;
use brownout::experiment::Changes;
use brownout::experiment::run::play;
use brownout::metrics::Meters;
use std::path::PathBuf;
use support::{Files, load, repository};

/// Many replications of a system.
struct Replications {
    values: Vec<Vec<f64>>,
    /// The metrics over all replications together.
    pooled: Vec<f64>,
    paths: Vec<String>,
}

impl Replications {
    fn of(path: PathBuf, seconds: u64, runs: u32, paths: &[&str]) -> Self {
        let changes = Changes { duration: Some(SimDuration::from_secs(seconds)), ..Changes::default() };
        let plan = load(path, &[], &changes).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let variant = &plan.variants[0];
        let catalog = &variant.model.catalog;
        let sources: Vec<_> =
            paths.iter().map(|p| catalog.find(p).unwrap_or_else(|| panic!("{p}")).source).collect();
        let one = |run: u32| {
            let played = play(variant, plan.seed, u64::from(run));
            let windows = &played.record.windows;
            brownout::experiment::run::merged(windows, plan.warmup, plan.end, variant).into_owned()
        };
        let values = |meters: &Meters| sources.iter().map(|s| meters.value(*s).unwrap_or(f64::NAN)).collect();
        // Two threads, as the test machines have; the order of the runs stays.
        let runs: Vec<u32> = (0..runs).collect();
        let (left, right) = runs.split_at(runs.len() / 2);
        let runs = std::thread::scope(|scope| {
            let other = scope.spawn(|| left.iter().map(|r| one(*r)).collect::<Vec<_>>());
            let ours: Vec<_> = right.iter().map(|r| one(*r)).collect();
            let mut all = other.join().unwrap();
            all.extend(ours);
            all
        });
        let mut pooled = Meters::new(catalog.sizes());
        runs.iter().for_each(|run| pooled.merge(run));
        let pooled = values(&pooled);
        Self {
            values: runs.iter().map(values).collect(),
            pooled,
            paths: paths.iter().map(|p| (*p).to_string()).collect(),
        }
    }

    /// Mean and standard error of a metric over replications.
    fn mean(&self, path: &str) -> (f64, f64) {
        let values = self.values(path);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, (variance / n).sqrt())
    }

    /// A metric over all replications together.
    fn pooled(&self, path: &str) -> f64 {
        self.pooled[self.paths.iter().position(|p| p == path).unwrap()]
    }

    fn values(&self, path: &str) -> Vec<f64> {
        let at = self.paths.iter().position(|p| p == path).unwrap();
        self.values.iter().map(|v| v[at]).collect()
    }

    /// As [`Replications::assert`], the noise taken out that shows in a metric whose value theory knows.
    #[track_caller]
    fn assert_controlled(&self, path: &str, expected: f64, relative: f64, (control, known): (&str, f64)) {
        let (y, x) = (self.values(path), self.values(control));
        let ((my, _), (mx, _)) = (self.mean(path), self.mean(control));
        let covariance: f64 = y.iter().zip(&x).map(|(y, x)| (y - my) * (x - mx)).sum();
        let variance: f64 = x.iter().map(|x| (x - mx).powi(2)).sum();
        let slope = covariance / variance;
        let n = y.len() as f64;
        let left: f64 = y.iter().zip(&x).map(|(y, x)| (y - my - slope * (x - mx)).powi(2)).sum();
        let error = (left / (n - 2.0) / n).sqrt();
        let mean = my - slope * (mx - known);
        let off = (mean - expected).abs() / expected;
        let what = format!(
            "{path}: {mean} for {expected}: off by {:.2} %, standard error {:.2} %",
            off * 100.0,
            error / expected * 100.0
        );
        assert!(off <= relative, "{what}");
        assert!(error / expected <= relative / 2.0, "too noisy to say: {what}");
    }

    #[track_caller]
    fn assert(&self, path: &str, expected: f64, relative: f64) {
        let (mean, error) = self.mean(path);
        let off = (mean - expected).abs() / expected.abs();
        assert!(
            off <= relative,
            "{path}: {mean} is not {expected}: off by {:.2} %, standard error {:.2} %",
            off * 100.0,
            error / expected.abs() * 100.0
        );
    }
}

/// Plays a topology given as text, and asserts its metrics: path, value, relative tolerance.
#[track_caller]
fn check(topology: &str, seconds: u64, runs: u32, expected: &[(&str, f64, f64)]) {
    let files = Files::new(&format!("Topology(name: \"q\", {topology})"), None);
    let paths: Vec<&str> = expected.iter().map(|(path, ..)| *path).collect();
    let replications = Replications::of(files.path("topology.ron"), seconds, runs, &paths);
    for (path, value, relative) in expected {
        replications.assert(path, *value, *relative);
    }
}

/// One station, asked by one Poisson stream.
fn station(rate: f64, service: &str) -> String {
    format!(
        "clients: {{ \"u\": Clients(arrivals: Poisson(\"{rate}/s\"), requests: {{ \"s/e\": 1 }}) }}, \
         services: {{ \"s\": Service({service}) }}"
    )
}

fn serves(program: &str) -> String {
    format!("endpoints: {{ \"e\": [{program}] }}")
}

const MEAN: &str = "clients.u.latency.mean";
const P50: &str = "clients.u.latency.p50";
const P95: &str = "clients.u.latency.p95";
const P99: &str = "clients.u.latency.p99";
const ERRORS: &str = "clients.u.error_ratio";
const GOODPUT: &str = "clients.u.goodput";
const IN_FLIGHT: &str = "clients.u.in_flight";
const WAIT: &str = "services.s.wait.mean";
const BUSY: &str = "services.s.busy";

// ---- the two models of the repository ----

/// Response times of M/M/1 are correlated over seconds: of 10 x 200,000 requests, the mean has a standard error of
/// 0.9 % and p99 one of 1.4 % (measured), so that 1 % would be a coin toss. So 120 replications are played, and what
/// theory knows of them is used to take noise out of the mean (a control variate): the utilisation must be 0.8. p99 is
/// that of all replications together (standard error 0.4 %): the mean of their quantiles is biased by their
/// correlation.
#[test]
fn the_model_mm1_is_m_m_1() {
    // A sixth of the time is warm-up: 3,000 s leave 2,500 s, which is 200,000 requests.
    let paths =
        [MEAN, P99, IN_FLIGHT, "services.server.worker_utilization"].map(|p| p.replace(".u.", ".users."));
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let r = Replications::of(repository("models/queueing/mm1.ron"), 3_000, 120, &paths);
    r.assert("services.server.worker_utilization", 0.8, 0.005);
    r.assert_controlled(
        "clients.users.latency.mean",
        0.05,
        0.01,
        ("services.server.worker_utilization", 0.8),
    );
    r.assert_controlled("clients.users.in_flight", 4.0, 0.01, ("services.server.worker_utilization", 0.8));
    let (p99, expected) = (r.pooled("clients.users.latency.p99"), 0.05 * libm::log(100.0));
    assert!((p99 - expected).abs() <= 0.01 * expected, "{p99} is not {expected}");
    let (mean, error) = r.mean("clients.users.latency.mean");
    assert!((mean - 0.05).abs() < 3.0 * error, "{mean} +- {error}");
}

/// 30/s for 6,667 s are 200,000 requests; the standard error of the mean over 10 replications is 0.2 %, that of p99
/// 0.35 %.
#[test]
fn the_model_mmc_is_m_m_4() {
    let paths =
        ["clients.users.latency.mean", "clients.users.latency.p99", "services.server.cpu_utilization"];
    let r = Replications::of(repository("models/queueing/mmc.ron"), 8_000, 10, &paths);
    r.assert(paths[0], 0.150_943_396, 0.01);
    r.assert(paths[1], 0.600_630_818, 0.01);
    r.assert(paths[2], 0.75, 0.005);
}

// ---- one station ----

#[test]
fn m_m_c_with_workers_as_servers() {
    // 10 servers at 80 %: Erlang C.
    let s = station(80.0, &format!("workers: 10, {}", serves("Wait(Exponential(\"100ms\"))")));
    check(
        &s,
        3_000,
        8,
        &[(MEAN, 0.120_459, 0.01), (WAIT, 0.020_459, 0.03), (P50, 0.091_211, 0.01), (P99, 0.494_611, 0.01)],
    );
}

#[test]
fn m_d_1_and_m_g_1_follow_pollaczek_and_khinchine() {
    let s = station(70.0, &format!("workers: 1, {}", serves("Wait(Constant(\"10ms\"))")));
    check(
        &s,
        2_000,
        8,
        &[(MEAN, 0.021_667, 0.01), (WAIT, 0.011_667, 0.02), (P95, 0.051_029, 0.015), (P99, 0.074_855, 0.02)],
    );
    // Lognormal, cv 2: the mean of a heavy tail converges slowly (1 % here), so the oracle's 3 % is kept.
    let s = station(60.0, &format!("workers: 1, {}", serves("Wait(LogNormal(mean: \"10ms\", cv: 2))")));
    check(&s, 4_000, 8, &[(MEAN, 0.0475, 0.03), (P50, 0.017_525, 0.02), (P95, 0.189_265, 0.03)]);
}

#[test]
fn m_m_1_k_blocks_as_often_as_the_formula_says() {
    let s = station(
        90.0,
        &format!("workers: 1, queue: Queue(capacity: 9), {}", serves("Wait(Exponential(\"10ms\"))")),
    );
    check(
        &s,
        3_000,
        8,
        &[
            (ERRORS, 0.050_813_7, 0.03),
            (GOODPUT, 85.426_8, 0.01),
            ("clients.u.success_latency.mean", 0.046_466, 0.01),
            (IN_FLIGHT, 3.969_44, 0.01),
            ("services.s.worker_utilization", 0.854_268, 0.01),
        ],
    );
}

#[test]
fn erlang_b_does_not_care_about_the_law_of_service() {
    // Loss does not depend on the law of service, only on its mean (Sevastyanov 1957).
    for (rate, workers, program, blocked, busy) in [
        (4.0, 5, "Wait(Constant(\"1s\"))", 0.199_067, 3.203_73),
        (80.0, 10, "Wait(LogNormal(mean: \"100ms\", cv: 2))", 0.121_661, 7.026_71),
    ] {
        let service = format!("workers: {workers}, queue: Queue(capacity: 0), {}", serves(program));
        let seconds = (200_000.0 / rate) as u64;
        check(&station(rate, &service), seconds, 6, &[(ERRORS, blocked, 0.02), (BUSY, busy, 0.01)]);
    }
}

#[test]
fn m_g_infinity_has_as_many_in_flight_as_littles_law_says() {
    let s = station(40.0, &serves("Wait(LogNormal(mean: \"500ms\", cv: 1.5))"));
    check(&s, 4_000, 4, &[(IN_FLIGHT, 20.0, 0.01), (MEAN, 0.5, 0.01)]);
}

#[test]
fn processor_sharing_is_insensitive() {
    let work = "Work(LogNormal(mean: \"10ms\", cv: 2))";
    let s = station(70.0, &format!("cpu: Cpu(cores: 1), {}", serves(work)));
    check(&s, 3_000, 8, &[(MEAN, 0.033_333, 0.02), ("services.s.cpu_utilization", 0.7, 0.01)]);
    let s = station(32.0, &format!("cpu: Cpu(cores: 4), {}", serves("Work(Exponential(\"100ms\"))")));
    check(&s, 6_000, 8, &[(MEAN, 0.174_554, 0.015), (IN_FLIGHT, 5.585_73, 0.015)]);
}

#[test]
fn m_m_1_under_processor_sharing_has_its_quantiles() {
    // Coffman, Muntz and Trotter 1970, by uniformisation.
    let s = station(70.0, &format!("cpu: Cpu(cores: 1), {}", serves("Work(Exponential(\"10ms\"))")));
    check(&s, 3_000, 8, &[(P50, 0.016_815, 0.015), (P95, 0.121_264, 0.02), (P99, 0.232_487, 0.03)]);
}

#[test]
fn high_priority_waits_less_and_low_priority_pays() {
    // Cobham 1954: 30/s high and 40/s low on one server; response is wait + 10 ms.
    let t = "clients: { \"high\": Clients(arrivals: Poisson(\"30/s\"), requests: { \"s/e\": 1 }, priority: 9), \
             \"low\": Clients(arrivals: Poisson(\"40/s\"), requests: { \"s/e\": 1 }) }, \
             services: { \"s\": Service(workers: 1, queue: Queue(discipline: Priority), \
             endpoints: { \"e\": [Wait(Exponential(\"10ms\"))] }) }";
    check(
        t,
        3_000,
        8,
        &[("clients.high.latency.mean", 0.020, 0.015), ("clients.low.latency.mean", 0.043_333, 0.03)],
    );
}

#[test]
fn last_come_first_served_waits_as_long_on_average_and_much_longer_at_worst() {
    let service = |d: &str| {
        format!("workers: 1, queue: Queue(discipline: {d}), {}", serves("Wait(Exponential(\"10ms\"))"))
    };
    let p99 = "services.s.wait.p99";
    check(&station(70.0, &service("Lifo")), 3_000, 8, &[(WAIT, 0.023_333, 0.03), (p99, 0.323_583, 0.05)]);
    check(&station(70.0, &service("Fifo")), 3_000, 8, &[(WAIT, 0.023_333, 0.03), (p99, 0.141_617, 0.03)]);
}

/// Patience runs until the answer, in service too: a birth-death chain with deaths min(n, c) mu + n theta.
#[test]
fn impatient_clients_leave_as_the_birth_death_chain_says() {
    let (lambda, mu, theta, servers) = (32.0, 10.0, 2.0, 4.0f64);
    let (mut p, mut sum, mut number) = (1.0, 1.0, 0.0);
    for n in 1..400 {
        let n = f64::from(n);
        p *= lambda / (n.min(servers) * mu + n * theta);
        sum += p;
        number += n * p;
    }
    let number = number / sum;
    let s = format!(
        "clients: {{ \"u\": Clients(arrivals: Poisson(\"32/s\"), patience: Exponential(\"500ms\"), \
         requests: {{ \"s/e\": 1 }}) }}, services: {{ \"s\": Service(workers: 4, {}) }}",
        serves("Wait(Exponential(\"100ms\"))")
    );
    check(
        &s,
        6_000,
        8,
        &[(IN_FLIGHT, number, 0.01), ("clients.u.outcomes.cancelled", theta * number, 0.015)],
    );
}

#[test]
fn renewal_arrivals_queue_as_gi_m_1() {
    let s = format!(
        "clients: {{ \"u\": Clients(arrivals: Renewal(Constant(\"12500us\")), requests: {{ \"s/e\": 1 }}) }}, \
         services: {{ \"s\": Service(workers: 1, {}) }}",
        serves("Wait(Exponential(\"10ms\"))")
    );
    check(&s, 3_000, 8, &[(MEAN, 0.026_927, 0.02), (P50, 0.018_665, 0.02), (P99, 0.124_005, 0.03)]);
}

#[test]
fn bursts_queue_as_mmpp_m_1() {
    let s = format!(
        "clients: {{ \"u\": Clients(arrivals: Mmpp([MmppState(\"30/s\", \"2s\"), MmppState(\"80/s\", \"2s\")]), \
         requests: {{ \"s/e\": 1 }}) }}, services: {{ \"s\": Service(workers: 1, {}) }}",
        serves("Wait(Exponential(\"10ms\"))")
    );
    check(&s, 6_000, 10, &[("clients.u.rate", 55.0, 0.015), (MEAN, 0.037_751, 0.04), (P95, 0.124_018, 0.05)]);
}

// ---- closed loops and networks of stations ----

#[test]
fn closed_loops_are_the_machine_repair_model() {
    for (users, servers, service, throughput, response) in
        [(50, 4, "100ms", 38.849_8, 0.287_007), (20, 1, "50ms", 16.822_2, 0.188_908)]
    {
        let s = format!(
            "clients: {{ \"u\": Clients(arrivals: Users(count: {users}, think: Exponential(\"1s\")), \
             requests: {{ \"s/e\": 1 }}) }}, services: {{ \"s\": Service(workers: {servers}, {}) }}",
            serves(&format!("Wait(Exponential(\"{service}\"))"))
        );
        check(&s, 4_000, 6, &[(GOODPUT, throughput, 0.01), (MEAN, response, 0.02)]);
    }
}

#[test]
fn stations_in_series_and_in_parallel() {
    let front = |program: &str| format!("\"f\": Service(endpoints: {{ \"e\": [{program}] }})");
    let at = |name: &str, mean: &str| {
        format!("\"{name}\": Service(workers: 1, endpoints: {{ \"e\": [Wait(Exponential(\"{mean}\"))] }})")
    };
    let clients = |rate: u32| {
        format!("clients: {{ \"u\": Clients(arrivals: Poisson(\"{rate}/s\"), requests: {{ \"f/e\": 1 }}) }}")
    };
    // Three stations in tandem: responses are independent exponentials (Burke, Reich).
    let t = format!(
        "{}, services: {{ {}, {}, {}, {} }}",
        clients(60),
        front("Call(\"a/e\"), Call(\"b/e\"), Call(\"c/e\")"),
        at("a", "10ms"),
        at("b", "12500us"),
        at("c", "8333333ns")
    );
    check(
        &t,
        4_000,
        6,
        &[(MEAN, 0.091_667, 0.02), (P95, 0.203_867, 0.03), ("services.b.latency.mean", 0.05, 0.025)],
    );
    // Fork and join over two M/M/1: (12 - rho) / 8 times the response of one (Nelson and Tantawi 1988).
    let t = format!(
        "{}, services: {{ {}, {}, {} }}",
        clients(60),
        front("Parallel(branches: [[Call(\"a/e\")], [Call(\"b/e\")]])"),
        at("a", "10ms"),
        at("b", "10ms")
    );
    check(
        &t,
        3_000,
        6,
        &[(MEAN, 0.035_625, 0.015), (P99, 0.131_788, 0.02), ("services.a.latency.mean", 0.025, 0.02)],
    );
}

#[test]
fn answers_of_many_are_order_statistics() {
    let calls = |n: usize| vec!["[Call(\"x/y\")]"; n].join(", ");
    for (n, need, latency, mean, p99) in [
        (10, "All", "LogNormal(mean: \"10ms\", cv: 1)", 0.028_941, 0.092_544),
        (3, "AtLeast(2)", "LogNormal(mean: \"20ms\", cv: 1.5)", 0.014_458, 0.060_608),
        (7, "AtLeast(4)", "LogNormal(mean: \"30ms\", cv: 2)", 0.015_894, 0.052_151),
    ] {
        let t = format!(
            "clients: {{ \"u\": Clients(arrivals: Poisson(\"100/s\"), requests: {{ \"s/e\": 1 }}) }}, \
             services: {{ \"s\": Service(endpoints: {{ \"e\": [Parallel(branches: [{}], need: {need})] }}) }}, \
             externals: {{ \"x\": External(latency: {latency}) }}",
            calls(n)
        );
        check(&t, 600, 4, &[(MEAN, mean, 0.01), (P99, p99, 0.02)]);
    }
}

// ---- balancers ----

#[test]
fn balancers_spread_load_as_theory_says() {
    for (policy, rate, targets, mean, p99) in [
        ("Random", 80, 10, 0.5, std::f64::consts::LN_10),
        ("RoundRobin", 32, 4, 0.326_738, 1.504_686),
        ("LeastOutstanding", 16, 2, 0.295_574, 1.308_44),
        ("PowerOfTwo", 40, 5, 0.223_537, 0.880_449),
    ] {
        let t = format!(
            "clients: {{ \"u\": Clients(arrivals: Poisson(\"{rate}/s\"), requests: {{ \"lb/e\": 1 }}) }}, \
             balancers: {{ \"lb\": Balancer(targets: \"s\", policy: {policy}) }}, \
             services: {{ \"s\": Service(replicas: {targets}, workers: 1, {}) }}",
            serves("Wait(Exponential(\"100ms\"))")
        );
        check(&t, 9_000, 6, &[(MEAN, mean, 0.02), (P99, p99, 0.03)]);
    }
}

// ---- pools, retries, timeouts, breakers ----

#[test]
fn pools_with_an_acquire_timeout_lose_as_the_formula_says() {
    for (rate, max, hold, patience, lost, served) in
        [(90, 10, "100ms", "50ms", 0.063_88, 84.250_8), (80, 1, "10ms", "30ms", 0.135_35, 69.172)]
    {
        let t = format!(
            "clients: {{ \"u\": Clients(arrivals: Poisson(\"{rate}/s\"), requests: {{ \"x/q\": 1 }}, through: \"p\") }}, \
             externals: {{ \"x\": External(latency: Exponential(\"{hold}\")) }}, \
             policies: {{ \"p\": [Pool(max: {max}, acquire_timeout: \"{patience}\")] }}"
        );
        check(&t, 3_000, 6, &[(ERRORS, lost, 0.02), (GOODPUT, served, 0.01)]);
    }
}

fn external(latency: &str, error: &str, client: &str) -> String {
    format!(
        "clients: {{ \"u\": Clients(arrivals: Poisson(\"50/s\"), requests: {{ \"x/q\": 1 }}, {client}) }}, \
         externals: {{ \"x\": External(latency: {latency}, error_ratio: \"{error}\") }}"
    )
}

#[test]
fn retries_cost_what_the_formulas_say() {
    let amplification = "clients.u.calls.x.amplification";
    // One failure in five, three attempts, waits of 100 and 200 ms.
    let t = external("Constant(\"10ms\")", "20%", "retry: Retry(max: 2, backoff: Exponential(\"100ms\"))");
    check(&t, 6_000, 4, &[(amplification, 1.24, 0.01), (ERRORS, 0.008, 0.04), (MEAN, 0.0404, 0.01)]);
    // Timeouts of 60 ms on exponential answers of 50 ms; four attempts, full jitter.
    let t = external(
        "Exponential(\"50ms\")",
        "0%",
        "timeout: \"60ms\", retry: Retry(max: 3, backoff: Exponential(\"100ms\"), jitter: Full)",
    );
    check(
        &t,
        6_000,
        4,
        &[(amplification, 1.419_236, 0.01), (ERRORS, 0.008_23, 0.04), (MEAN, 0.079_185, 0.01)],
    );
    // A budget of one retry in five calls, however many fail.
    let t = external("Constant(\"10ms\")", "100%", "retry: Retry(max: 3, budget: Budget(ratio: 0.2))");
    check(&t, 3_000, 2, &[(amplification, 1.2, 0.005)]);
}

#[test]
fn retries_multiply_along_a_chain() {
    let t = "clients: { \"u\": Clients(arrivals: Poisson(\"5/s\"), requests: { \"a/e\": 1 }, \
             retry: Retry(max: 2)) }, \
             services: { \"a\": Service(endpoints: { \"e\": [Call(\"b/e\", \"r\")] }), \
             \"b\": Service(endpoints: { \"e\": [Call(\"x/q\", \"r\")] }) }, \
             externals: { \"x\": External(latency: Constant(\"1ms\"), error_ratio: \"100%\") }, \
             policies: { \"r\": [Retry(max: 2)] }";
    let files = Files::new(&format!("Topology(name: \"q\", {t})"), None);
    let paths = ["externals.x.rate", "clients.u.rate"];
    let r = Replications::of(files.path("topology.ron"), 2_000, 2, &paths);
    let (leaf, root) = (r.mean(paths[0]).0, r.mean(paths[1]).0);
    assert!((leaf / root - 27.0).abs() < 0.01, "{leaf} / {root}");
}

#[test]
fn a_rejected_request_that_tries_once_more() {
    // M/M/2/4 whose rejected requests come back after an exponential time: a chain with an orbit.
    let s = format!(
        "clients: {{ \"u\": Clients(arrivals: Poisson(\"18/s\"), requests: {{ \"s/e\": 1 }}, \
         retry: Retry(max: 1, backoff: Random(Exponential(\"500ms\")), on: [Rejected])) }}, \
         services: {{ \"s\": Service(workers: 2, queue: Queue(capacity: 2), {}) }}",
        serves("Wait(Exponential(\"100ms\"))")
    );
    check(
        &s,
        6_000,
        6,
        &[
            (ERRORS, 0.101_261, 0.03),
            ("clients.u.calls.s.amplification", 1.269_795, 0.01),
            (GOODPUT, 16.177_3, 0.01),
            ("services.s.in_flight", 2.389_27, 0.02),
        ],
    );
}

#[test]
fn work_for_nobody_keeps_a_server_busy() {
    let s = format!(
        "clients: {{ \"u\": Clients(arrivals: Poisson(\"90/s\"), requests: {{ \"s/e\": 1 }}, timeout: \"200ms\") }}, \
         services: {{ \"s\": Service(workers: 1, {}) }}",
        serves("Wait(Exponential(\"10ms\"))")
    );
    // Correlations at 90 % last seconds: 5 % of the share of timeouts, as the oracle allows, over many runs.
    check(
        &s,
        6_000,
        10,
        &[
            (ERRORS, 0.135_335, 0.05),
            (GOODPUT, 77.819_8, 0.015),
            ("services.s.worker_utilization", 0.9, 0.01),
            (MEAN, 0.086_466, 0.02),
            ("services.s.work_for_nobody", 0.135_335, 0.05),
        ],
    );
}
