//! With desru 0.1: an event is a closure in a heap. What is shared between them is behind `Rc<RefCell<_>>`. An event
//! cannot be called off, so a timeout that is not needed finds its request answered.

use crate::{APP_MEAN, CORES, DB_MEAN, Found, INSTANCES, MM1_MEAN, MM1_RATE, POOL, RATE, TIMEOUT};
use desru::EventScheduler;
use rand::SeedableRng;
use rand_distr::{Distribution, Exp1};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

struct Request {
    at: f64,
    instance: usize,
    is_open: bool,
}

#[derive(Default)]
struct Instance {
    busy: usize,
    queue: VecDeque<usize>,
    lent: usize,
    for_connection: VecDeque<usize>,
}

struct System {
    rng: Xoshiro256PlusPlus,
    requests: Vec<Request>,
    instances: Vec<Instance>,
    db_busy: usize,
    db_queue: VecDeque<usize>,
    found: Found,
}

type Shared = Rc<RefCell<System>>;

impl System {
    fn exponential(&mut self, mean: f64) -> f64 {
        let one: f64 = Exp1.sample(&mut self.rng);
        mean * one
    }
}

fn system() -> Shared {
    Rc::new(RefCell::new(System {
        rng: Xoshiro256PlusPlus::seed_from_u64(42),
        requests: Vec::new(),
        instances: (0..INSTANCES).map(|_| Instance::default()).collect(),
        db_busy: 0,
        db_queue: VecDeque::new(),
        found: Found::default(),
    }))
}

/// Schedules a function of the system and a number.
fn after(
    scheduler: &mut EventScheduler,
    delay: f64,
    system: &Shared,
    id: usize,
    what: fn(&mut EventScheduler, &Shared, usize),
) {
    let system = Rc::clone(system);
    let action = move |scheduler: &mut EventScheduler| {
        what(scheduler, &system, id);
        None
    };
    scheduler.timeout(delay, Some(Box::new(action)), None);
}

fn play(scheduler: &mut EventScheduler, system: Shared, seconds: f64) -> Found {
    let stop = move |s: &EventScheduler| s.event_queue.peek().is_none_or(|e| e.time >= seconds);
    // Without this every event is kept.
    scheduler.run(Box::new(stop), Some(Box::new(|_, _| false)));
    std::mem::take(&mut system.borrow_mut().found)
}

pub fn w3(seconds: f64) -> Found {
    let (mut scheduler, system) = (EventScheduler::new(), system());
    let gap = system.borrow_mut().exponential(1.0 / RATE);
    after(&mut scheduler, gap, &system, 0, arrive);
    play(&mut scheduler, system, seconds)
}

fn arrive(scheduler: &mut EventScheduler, shared: &Shared, id: usize) {
    let mut system = shared.borrow_mut();
    let instance = id % INSTANCES;
    system.requests.push(Request { at: scheduler.current_time, instance, is_open: true });
    let gap = system.exponential(1.0 / RATE);
    after(scheduler, gap, shared, id + 1, arrive);
    after(scheduler, TIMEOUT, shared, id, time_out);
    if system.instances[instance].busy < CORES {
        system.instances[instance].busy += 1;
        let work = system.exponential(APP_MEAN);
        after(scheduler, work, shared, id, worked);
    } else {
        system.instances[instance].queue.push_back(id);
    }
}

fn worked(scheduler: &mut EventScheduler, shared: &Shared, id: usize) {
    let mut system = shared.borrow_mut();
    let number = system.requests[id].instance;
    match system.instances[number].queue.pop_front() {
        Some(next) => {
            let work = system.exponential(APP_MEAN);
            after(scheduler, work, shared, next, worked);
        }
        None => system.instances[number].busy -= 1,
    }
    if system.instances[number].lent < POOL {
        system.instances[number].lent += 1;
        query(scheduler, shared, &mut system, id);
    } else {
        system.instances[number].for_connection.push_back(id);
    }
}

fn query(scheduler: &mut EventScheduler, shared: &Shared, system: &mut System, id: usize) {
    if system.db_busy < CORES {
        system.db_busy += 1;
        let work = system.exponential(DB_MEAN);
        after(scheduler, work, shared, id, queried);
    } else {
        system.db_queue.push_back(id);
    }
}

fn queried(scheduler: &mut EventScheduler, shared: &Shared, id: usize) {
    let mut system = shared.borrow_mut();
    match system.db_queue.pop_front() {
        Some(next) => {
            let work = system.exponential(DB_MEAN);
            after(scheduler, work, shared, next, queried);
        }
        None => system.db_busy -= 1,
    }
    let number = system.requests[id].instance;
    match system.instances[number].for_connection.pop_front() {
        Some(next) => query(scheduler, shared, &mut system, next),
        None => system.instances[number].lent -= 1,
    }
    let request = &mut system.requests[id];
    if request.is_open {
        request.is_open = false;
        let latency = scheduler.current_time - request.at;
        system.found.latencies.push(latency);
    }
}

fn time_out(_: &mut EventScheduler, shared: &Shared, id: usize) {
    let mut system = shared.borrow_mut();
    if system.requests[id].is_open {
        system.requests[id].is_open = false;
        system.found.timeouts += 1;
    }
}

pub fn mm1(seconds: f64) -> Found {
    let (mut scheduler, system) = (EventScheduler::new(), system());
    let gap = system.borrow_mut().exponential(1.0 / MM1_RATE);
    after(&mut scheduler, gap, &system, 0, mm1_arrive);
    play(&mut scheduler, system, seconds)
}

fn mm1_arrive(scheduler: &mut EventScheduler, shared: &Shared, id: usize) {
    let mut system = shared.borrow_mut();
    system.requests.push(Request { at: scheduler.current_time, instance: 0, is_open: true });
    let gap = system.exponential(1.0 / MM1_RATE);
    after(scheduler, gap, shared, id + 1, mm1_arrive);
    if system.db_busy == 0 {
        system.db_busy = 1;
        let work = system.exponential(MM1_MEAN);
        after(scheduler, work, shared, id, mm1_done);
    } else {
        system.db_queue.push_back(id);
    }
}

fn mm1_done(scheduler: &mut EventScheduler, shared: &Shared, id: usize) {
    let mut system = shared.borrow_mut();
    match system.db_queue.pop_front() {
        Some(next) => {
            let work = system.exponential(MM1_MEAN);
            after(scheduler, work, shared, next, mm1_done);
        }
        None => system.db_busy = 0,
    }
    let latency = scheduler.current_time - system.requests[id].at;
    system.found.latencies.push(latency);
}
