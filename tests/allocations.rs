//! A run allocates while it warms up and no more: playing twice as long allocates as often as playing once.
//!
//! Both runs have the same seed, so the longer begins as the shorter does and what it allocates in addition, it
//! allocates in its second half. Buffers that grow when a queue is longer than ever before are allowed for.

use brownout::base::SimDuration;
use brownout::experiment::run::play;
use brownout::experiment::{Changes, Plan, plan};
use brownout::sim::World;
use brownout::spec::load::Loader;
use std::path::Path;

/// Buffers that may still grow to a record after warm-up.
const GROWTHS_MAX: u64 = 4;

fn planned(file: &str, seconds: u64) -> Plan {
    planned_with(file, &[], seconds)
}

fn planned_with(file: &str, sets: &[&str], seconds: u64) -> Plan {
    let mut loader = Loader::default();
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_string()).collect();
    let document = loader.load(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file), &sets).unwrap();
    let changes = Changes { duration: Some(SimDuration::from_secs(seconds)), ..Changes::default() };
    plan(&mut loader, document, &changes).unwrap()
}

/// Allocations and events of a run that nobody observes.
fn allocations(file: &str, seconds: u64) -> (u64, u64) {
    let plan = planned(file, seconds);
    let variant = &plan.variants[0];
    let mut events = 0;
    let info = allocation_counter::measure(|| {
        events = World::new(&variant.model, &variant.script, plan.seed, 0, ()).run().0.events;
    });
    (info.count_total, events)
}

fn check(file: &str, seconds: u64) {
    let (once, events_once) = allocations(file, seconds);
    let (twice, events_twice) = allocations(file, 2 * seconds);
    assert!(events_twice - events_once > 50_000, "long enough to tell");
    assert!(twice - once <= GROWTHS_MAX, "{file}: {once} allocations, then {} more", twice - once);
}

#[test]
fn a_queue_allocates_nothing_after_warm_up() {
    check("models/queueing/mm1.ron", 500);
}

#[test]
fn the_cascade_s_normal_operation_allocates_nothing_after_warm_up() {
    check("models/lb-timeout-cascade.ron", 60);
}

/// Allocations and events of a run with every metric and a row of all of them for each second.
fn allocations_with_metrics(plan: &Plan) -> (u64, u64) {
    let mut events = 0;
    let info = allocation_counter::measure(|| {
        events = play(&plan.variants[0], plan.seed, 0).summary.events;
    });
    (info.count_total, events)
}

/// As `check`, with full metrics: what the first `seconds` allocate is warm-up, and as much time again may allocate
/// `growths_max` times, for what grows to a record: lines and histograms that have never been so long.
fn check_with_metrics(system: &str, sets: &[&str], seconds: u64, growths_max: u64) {
    let file = format!("models/bench/{system}.ron");
    let [(once, events_once), (twice, events_twice)] =
        [seconds, 2 * seconds].map(|seconds| allocations_with_metrics(&planned_with(&file, sets, seconds)));
    assert!(events_twice - events_once > 50_000, "long enough to tell: {events_once}, {events_twice}");
    assert!(
        twice.saturating_sub(once) <= growths_max,
        "{file}: {once} allocations, then {} more",
        twice - once
    );
}

#[test]
fn one_line_with_full_metrics_allocates_nothing_after_10_s() {
    check_with_metrics("mm10", &[], 10, GROWTHS_MAX);
}

/// Twelve instances have lines that grow to records of their own, and histograms octaves: 44 times in the second 10 s
/// (33,600 requests), and less and less often.
#[test]
fn w3_with_full_metrics_allocates_hardly_anything_after_warm_up() {
    check_with_metrics("w3", &[], 10, 60);
    check_with_metrics("w3", &[], 80, 60);
}
