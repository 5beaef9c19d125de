//! Are the intervals honest? Plays M/M/1 queues whose answers theory knows a thousand times, and counts how often the
//! 95 % intervals contain the truth; counts false alarms and missed ones of the test for requests that pile up, and
//! how much warm-up MSER-5 leaves out. `cargo bench --bench coverage` prints all tables; `-- 200 piles warmups` only
//! some, with another number of repetitions. `tests/precision.rs` holds a cheap version.

#![allow(clippy::print_stdout, reason = "a table is what it is for")]

use brownout::base::SimDuration;
use brownout::experiment::precision::WIDER;
use brownout::experiment::run::{merged, play};
use brownout::experiment::team::Team;
use brownout::experiment::{Changes, Plan, plan, run, stationary};
use brownout::metrics::estimate::paired_difference;
use brownout::metrics::{Estimate, Histogram};
use brownout::spec::load::Loader;
use brownout::spec::runs::Warmup;

/// Arrivals per second, where nothing else is said, and the mean service times of the two variants.
const RATE: f64 = 70.0;
const SERVICE_S: [f64; 2] = [0.010, 0.009];
const RUNS: u64 = 10;

/// Plays so many repetitions and prints what it finds.
type Table = fn(&Team, u64);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let repetitions: u64 = arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(1_000);
    let names: Vec<&String> = arguments.iter().filter(|a| a.parse::<u64>().is_err()).collect();
    let team = Team::new(std::thread::available_parallelism().map_or(1, usize::from)).expect("threads");
    let tables: [(&str, Table); 5] = [
        ("fixed", fixed),
        ("bias", bias),
        ("sequential", sequential),
        ("piles", piles),
        ("warmups", warmups),
    ];
    for (name, table) in tables {
        if names.is_empty() || names.iter().any(|n| *n == name) {
            table(&team, repetitions);
        }
    }
}

/// An M/M/1 queue in two variants.
fn queue(rate: f64, fields: &str, changes: &Changes) -> Plan {
    let text = format!(
        r#"Experiment(
            topology: Topology(
                name: "mm1",
                clients: {{ "users": Clients(arrivals: Poisson("{rate}/s"), requests: {{ "server/serve": 1 }}) }},
                services: {{ "server": Service(workers: 1, endpoints: {{ "serve": [ Wait(Exponential("10ms")) ] }}) }},
            ),
            variants: {{ "a": {{}}, "b": {{ "services.server.endpoints.serve": [ Wait(Exponential("9ms")) ] }} }},
            {fields}
        )"#
    );
    let mut loader = Loader::default();
    let document = loader.load_text("coverage", &text);
    match document.and_then(|document| plan(&mut loader, document, changes)) {
        Some(plan) => plan,
        None => panic!("{}", loader.diagnostics.render(&loader.sources, false)),
    }
}

/// The mean time in an M/M/1 queue, and its p99: exponential (Kleinrock, Queueing Systems I, 1975, section 3.2).
fn truth(service_s: f64) -> [f64; 2] {
    let mean = 1.0 / (1.0 / service_s - RATE);
    [mean, mean * libm::log(100.0)]
}

/// Does something for seeds 1 to `repetitions`, on all threads.
fn each<R: Send>(team: &Team, repetitions: u64, work: impl Fn(u64) -> R + Sync) -> Vec<R> {
    let seeds: Vec<u64> = (1..=repetitions).collect();
    let mut results = Vec::new();
    let taken: Result<(), ()> = team.each(
        &seeds,
        |seed| work(*seed),
        |_, result| {
            results.push(result);
            Ok(())
        },
    );
    taken.expect("nothing fails");
    results
}

/// The latency of a run over the measured time.
fn latency(plan: &Plan, variant: usize, seed: u64, run: u64) -> Histogram {
    let variant = &plan.variants[variant];
    let record = play(variant, seed, run).record;
    let meters = merged(&record.windows, plan.warmup, plan.end, variant);
    meters.timers[variant.model.catalog.clients[0].red as usize].clone()
}

/// A mean and a quantile; every run here has requests.
fn numbers(latency: &Histogram) -> [f64; 2] {
    [latency.mean().unwrap_or(0.0), latency.quantile(0.99).unwrap_or(0.0)]
}

/// The quantile of all runs together, with a jackknife over runs (Asmussen and Glynn, "Stochastic Simulation", 2007,
/// section III.5).
fn jackknife(runs: &[Histogram]) -> Estimate {
    let pooled = |without: Option<usize>| {
        let mut all = Histogram::new();
        runs.iter().enumerate().filter(|(at, _)| Some(*at) != without).for_each(|(_, run)| all.merge(run));
        numbers(&all)[1]
    };
    let (whole, n) = (pooled(None), runs.len() as f64);
    let pseudo: Vec<f64> = (0..runs.len()).map(|at| n * whole - (n - 1.0) * pooled(Some(at))).collect();
    Estimate::of(&pseudo).expect("there are runs")
}

#[derive(Default)]
struct Coverage {
    covered: u32,
    repetitions: u32,
    half: f64,
    off: f64,
}

impl Coverage {
    fn add(&mut self, estimate: Estimate, truth: f64) {
        let half = estimate.half_width.unwrap_or(0.0);
        self.covered += u32::from((estimate.mean - truth).abs() <= half);
        self.repetitions += 1;
        self.half += half / truth.abs();
        self.off += (estimate.mean - truth) / truth.abs();
    }

    fn print(&self, name: &str) {
        let n = f64::from(self.repetitions);
        println!(
            "{name:44} {:5.1} %   half width {:5.2} %   bias {:+.2} %",
            100.0 * f64::from(self.covered) / n,
            100.0 * self.half / n,
            100.0 * self.off / n
        );
    }
}

/// Ten runs of 200 s (14,000 requests), and intervals over runs.
fn fixed(team: &Team, repetitions: u64) {
    println!(
        "95 % intervals of {RUNS} runs, M/M/1 at utilisations 0.70 and 0.63, 200 s each: contain the truth in"
    );
    let plan = queue(RATE, r#"warmup: "10s", duration: "210s", series: false"#, &Changes::default());
    let mut rows: Vec<(&str, Coverage)> = [
        "mean latency",
        "p99, Student's t over the runs' p99",
        "p99, pooled with jackknife over runs",
        "difference of means, pairs of runs",
        "difference of p99, pairs of runs",
    ]
    .map(|name| (name, Coverage::default()))
    .into();
    let [slow, fast] = SERVICE_S.map(truth);
    let all = each(team, repetitions, |seed| {
        let runs = [0, 1].map(|v| (0..RUNS).map(|run| latency(&plan, v, seed, run)).collect::<Vec<_>>());
        let of = |v: usize, what: usize| runs[v].iter().map(|run| numbers(run)[what]).collect::<Vec<f64>>();
        let paired = |what: usize| paired_difference(&of(0, what), &of(1, what)).expect("runs");
        let over_runs = |what: usize| Estimate::of(&of(0, what)).expect("runs");
        [over_runs(0), over_runs(1), jackknife(&runs[0]), paired(0), paired(1)]
    });
    let truths = [slow[0], slow[1], slow[1], fast[0] - slow[0], fast[1] - slow[1]];
    for estimates in all {
        for ((row, estimate), truth) in rows.iter_mut().zip(estimates).zip(truths) {
            row.1.add(estimate, truth);
        }
    }
    rows.iter().for_each(|(name, coverage)| coverage.print(name));
}

/// The p99 of short runs.
fn bias(team: &Team, repetitions: u64) {
    println!("\nMean over runs of their p99, relative to the truth, by values expected beyond it:");
    for seconds in [1u64, 3, 5, 10, 14, 30, 100] {
        let fields = format!(r#"warmup: "10s", duration: "{}s", series: false"#, seconds + 10);
        let plan = queue(RATE, &fields, &Changes::default());
        let values = each(team, repetitions.min(400), |seed| {
            (0..10).map(|run| numbers(&latency(&plan, 0, seed, run))[1]).collect::<Vec<f64>>()
        });
        let values: Vec<f64> = values.into_iter().flatten().collect();
        let e = Estimate::of(&values).expect("runs");
        println!(
            "  {:5.1} beyond: {:+6.2} % ± {:.2} %",
            seconds as f64 * RATE / 100.0,
            100.0 * (e.mean / truth(SERVICE_S[0])[1] - 1.0),
            100.0 * e.half_width.unwrap_or(0.0) / truth(SERVICE_S[0])[1]
        );
    }
}

/// Where an experiment stopped.
struct Stopped {
    mean: f64,
    half: f64,
    runs: u32,
    is_reached: bool,
}

/// Runs until the answer is precise.
fn sequential(team: &Team, repetitions: u64) {
    println!("\nRuns until half the interval is so narrow (10 to 400 runs): contains the truth in");
    let (mean, p99) = ("mean of clients.users.latency", "p(99) of clients.users.latency");
    // Of 30 s, 21 requests lie beyond p99: too few for 10 %, and warned of. Of 120 s, 84 do.
    for (metric, what, within, seconds) in
        [(mean, 0, "10%", 30), (mean, 0, "5%", 30), (p99, 1, "10%", 120), (p99, 1, "10%", 30)]
    {
        let fields = format!(
            r#"warmup: "10s", duration: "{}s", series: false,
                runs: Precise(metric: "{metric}", within: "{within}", at_most: 400)"#,
            seconds + 10
        );
        let found = each(team, repetitions, |seed| {
            let changes = Changes { seed: Some(seed), variant: Some("a".into()), ..Changes::default() };
            let result = run(&queue(RATE, &fields, &changes), 1, &()).expect("it runs");
            let p = &result.precision[0];
            let (mean, half) = (p.value.unwrap_or(0.0), p.half_width.unwrap_or(0.0));
            Stopped { mean, half, runs: result.runs, is_reached: p.is_reached }
        });
        let truth = truth(SERVICE_S[0])[what];
        let n = found.len() as f64;
        let share = |is: &dyn Fn(&Stopped) -> bool| 100.0 * found.iter().filter(|f| is(f)).count() as f64 / n;
        let runs = found.iter().map(|f| f64::from(f.runs)).sum::<f64>() / n;
        let limit = if within == "5%" { 0.05 } else { 0.10 };
        println!(
            "{metric:31} {within:>4} {seconds:>4} s {:5.1} %  (Student's t alone {:5.1} %)  {runs:6.1} runs, \
             reached {:.1} %, within it of the truth {:.1} %",
            share(&|f| (f.mean - truth).abs() <= f.half),
            share(&|f| (f.mean - truth).abs() <= f.half / WIDER),
            share(&|f| f.is_reached),
            share(&|f| (f.mean / truth - 1.0).abs() <= limit)
        );
    }
}

/// Alarms for requests that pile up.
fn piles(team: &Team, repetitions: u64) {
    println!("\nAlarms that requests pile up, by number of runs (10 s of warm-up):");
    println!("  utilisation, measured          1        2        3        5       10");
    let cases = [(90.0, 20), (90.0, 60), (90.0, 200), (105.0, 20), (105.0, 60), (105.0, 200), (110.0, 60)];
    for (rate, seconds) in cases {
        let fields = format!(r#"warmup: "10s", duration: "{}s", series: false"#, seconds + 10);
        let plan = queue(rate, &fields, &Changes::default());
        let variant = &plan.variants[0];
        let repetitions = if rate < 95.0 { repetitions } else { repetitions.min(200) };
        let alarms = each(team, repetitions, |seed| {
            let levels = (0..RUNS).map(|run| {
                let record = play(variant, seed, run).record;
                stationary::levels(variant, &record, plan.warmup, plan.end).remove(0)
            });
            let levels: Vec<Vec<f64>> = levels.collect();
            [1, 2, 3, 5, 10].map(|runs| stationary::trend(&levels[..runs]).is_some_and(|t| t.grows))
        });
        let shares = (0..5).map(|at| {
            let count = alarms.iter().filter(|a| a[at]).count();
            format!("{:7.1} %", 100.0 * count as f64 / alarms.len() as f64)
        });
        println!("  {:.2} {seconds:>10} s       {}", rate / 100.0, shares.collect::<String>());
    }
}

/// What MSER-5 leaves out.
fn warmups(team: &Team, repetitions: u64) {
    let repetitions = repetitions.min(200);
    println!(
        "\nWarm-up found by MSER-5 in seconds, started empty, {repetitions} seeds: median, p90, most; too short"
    );
    for (rate, seconds) in [(50.0, 120), (70.0, 120), (90.0, 120), (90.0, 600), (98.0, 600), (115.0, 600)] {
        let found = each(team, repetitions, |seed| {
            let changes = Changes {
                seed: Some(seed),
                warmup: Some(Warmup::Auto),
                duration: Some(SimDuration::from_secs(seconds)),
                pilot: brownout::experiment::warmup::Pilot { jobs: Some(1), go_on: None },
                ..Changes::default()
            };
            queue(rate, r#"duration: "60s", series: false"#, &changes).warmup_found.expect("it runs")
        });
        let mut all: Vec<u64> = found.iter().map(|f| f.seconds).collect();
        all.sort_unstable();
        println!(
            "  {:.2} {seconds:>5} s: {:>4} {:>4} {:>4}; {:.1} %",
            rate / 100.0,
            all[all.len() / 2],
            all[all.len() * 9 / 10],
            all[all.len() - 1],
            100.0 * found.iter().filter(|f| f.is_too_short).count() as f64 / found.len() as f64
        );
    }
}
