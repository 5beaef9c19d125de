//! The cost of one event in the queue, by the hold model: pop the next, schedule another, with a constant number
//! pending (Vaucher and Duval 1975). Time is per 1,000 events; the heap's includes one exponential draw each.

use brownout::base::{Rng, SimDuration, SimTime};
use brownout::engine::{EventQueue, LaneId, Pending, Rank};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

const PENDING: [u64; 3] = [100, 10_000, 1_000_000];
const EVENTS: u32 = 1_000;
/// A payload of 16 bytes, as the simulator's.
#[derive(Clone, Copy)]
struct Event(u64, LaneId);

impl Pending for Event {}

fn main() {
    divan::main();
}

fn exponential(rng: &mut Rng) -> SimDuration {
    SimDuration::from_seconds(-libm::log(rng.uniform()))
}

/// A queue with `pending` events in its heap, each naming a lane out of sixteen in turn.
fn filled(pending: u64, rng: &mut Rng) -> EventQueue<Event> {
    let mut queue = EventQueue::new();
    let lanes: Vec<LaneId> =
        (1..=16).map(|k| queue.lane(SimDuration::from_ms(100 * k), Rank::Timer)).collect();
    for (number, lane) in (0..pending).zip(lanes.into_iter().cycle()) {
        queue.schedule(SimTime::ZERO + exponential(rng), Rank::Timer, Event(number, lane));
    }
    queue
}

/// Every event schedules another after a random delay: all ride in the heap.
#[divan::bench(args = PENDING, sample_count = 1_000)]
fn heap(bencher: Bencher, pending: u64) {
    let mut rng = Rng::from_seed(1);
    let mut queue = filled(pending, &mut rng);
    let mut hold = || {
        if let Some((now, event)) = queue.pop() {
            queue.schedule(now + exponential(&mut rng), Rank::Timer, black_box(event));
        }
    };
    (0..2 * pending).for_each(|_| hold());
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| (0..EVENTS).for_each(|_| hold()));
}

/// Every event schedules another after the delay of its lane, one of sixteen: all ride in lanes.
#[divan::bench(args = PENDING, sample_count = 1_000)]
fn lane(bencher: Bencher, pending: u64) {
    let mut queue = filled(pending, &mut Rng::from_seed(1));
    let mut hold = || {
        if let Some((_, event)) = queue.pop() {
            black_box(event.0);
            queue.schedule_lane(event.1, event);
        }
    };
    (0..20 * pending).for_each(|_| hold());
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| (0..EVENTS).for_each(|_| hold()));
}
