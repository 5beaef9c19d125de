//! A run allocates while it warms up and no more: playing twice as long allocates as often as playing once.
//!
//! Both runs have the same seed, so the longer begins as the shorter does and what it allocates in addition, it
//! allocates in its second half. Buffers that grow when a queue is longer than ever before are allowed for.

use brownout::base::SimDuration;
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
