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
    let mut loader = Loader::default();
    let document = loader.load(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file), &[]).unwrap();
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

/// As `check`, with full metrics: what the first `seconds` allocate is warm-up, the same time again must allocate
/// nothing but what grows to a record.
fn check_with_metrics(system: &str, seconds: u64, growths_max: u64) {
    let file = format!("models/bench/{system}.ron");
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join(&file).exists() {
        return;
    }
    let (once, events_once) = allocations_with_metrics(&planned(&file, seconds));
    let (twice, events_twice) = allocations_with_metrics(&planned(&file, 2 * seconds));
    assert!(events_twice - events_once > 50_000, "long enough to tell");
    assert!(
        twice.saturating_sub(once) <= growths_max,
        "{file}: {once} allocations, then {} more",
        twice - once
    );
}

// Debug builds play 20,000 requests per second or so: the warm-ups are what the fastest timers and queues need.

#[test]
fn w3_with_full_metrics_allocates_nothing_after_10_s() {
    check_with_metrics("w3", 10, GROWTHS_MAX);
}

#[test]
fn m_m_10_with_full_metrics_allocates_nothing_after_10_s() {
    check_with_metrics("mm10", 10, GROWTHS_MAX);
}
