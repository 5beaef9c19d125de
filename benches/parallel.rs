//! How much faster two threads are than one, and how much memory many runs take. `cargo bench --bench parallel` plays
//! 64 runs of two systems with one and with two threads in turn, several times, and prints the median of the ratios;
//! then 100 and 10,000 small runs, and the most memory that the process has had until then.

#![allow(clippy::print_stdout, reason = "a table is what it is for")]
#![allow(clippy::disallowed_methods, reason = "a benchmark sees the wall clock")]

use brownout::base::SimDuration;
use brownout::experiment::{Changes, Plan, plan, run};
use brownout::spec::load::Loader;
use std::path::Path;
use std::time::Instant;

const ROUNDS: usize = 7;

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("64 runs, one thread and two in turn, {ROUNDS} times; {cores} cores");
    for (name, file, seconds) in
        [("M/M/1", "models/queueing/mm1.ron", 500), ("cascade", "models/lb-timeout-cascade.ron", 20)]
    {
        speed(name, &planned(file, 64, seconds));
    }
    for runs in [100, 10_000] {
        let plan = planned("models/queueing/mm1.ron", runs, 10);
        let took = time(&plan, 2);
        println!("{runs:>6} runs of 10 s of M/M/1: {took:.2} s, at most {} of memory", peak());
    }
}

fn planned(file: &str, runs: u32, seconds: u64) -> Plan {
    let mut loader = Loader::default();
    let document = loader.load(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file), &[]);
    let changes =
        Changes { runs: Some(runs), duration: Some(SimDuration::from_secs(seconds)), ..Changes::default() };
    match document.and_then(|document| plan(&mut loader, document, &changes)) {
        Some(plan) => plan,
        None => panic!("{file} has no mistakes"),
    }
}

/// Seconds of the wall clock that the experiment takes.
fn time(plan: &Plan, jobs: usize) -> f64 {
    let start = Instant::now();
    let result = run(plan, jobs, &());
    assert!(result.is_ok(), "it runs");
    start.elapsed().as_secs_f64()
}

fn speed(name: &str, plan: &Plan) {
    let mut ratios = Vec::new();
    let mut best = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        let (one, two) = (time(plan, 1), time(plan, 2));
        ratios.push(one / two);
        best = [best[0].min(one), best[1].min(two)];
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "{name:8} {:.2} times as fast with two threads (median of {:.2} to {:.2}); best {:.2} s and {:.2} s",
        ratios[ROUNDS / 2],
        ratios[0],
        ratios[ROUNDS - 1],
        best[0],
        best[1]
    );
}

/// The most memory that the process has had, where the system tells.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or("an unknown amount".to_string(), |kib| kib.trim().to_string())
}
