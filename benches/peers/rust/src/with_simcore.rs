//! With simcore 0.1: components that send each other events. Clients choose the instance themselves and call off their
//! timeout when the answer comes.

use crate::{APP_MEAN, CORES, DB_MEAN, Found, INSTANCES, MM1_MEAN, MM1_RATE, POOL, RATE, TIMEOUT};
use rand_distr::Exp;
use serde::Serialize;
use simcore::event::EventId;
use simcore::{Event, EventHandler, Id, Simulation, SimulationContext, cast};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

#[derive(Clone, Serialize)]
struct Arrive {}

#[derive(Clone, Serialize)]
struct TimedOut {
    id: usize,
}

/// From clients to an instance.
#[derive(Clone, Serialize)]
struct Request {
    id: usize,
}

/// An instance or the database has worked.
#[derive(Clone, Serialize)]
struct Worked {
    id: usize,
}

/// From an instance to the database, which answers `app`.
#[derive(Clone, Serialize)]
struct Query {
    id: usize,
    app: Id,
}

/// The answer of the database, and of an instance.
#[derive(Clone, Serialize)]
struct Answer {
    id: usize,
}

struct Clients {
    gap: Exp<f64>,
    timeout: Option<f64>,
    apps: Vec<Id>,
    /// When each came, and the timeout of those that are open.
    requests: Vec<(f64, Option<EventId>)>,
    found: Found,
    ctx: SimulationContext,
}

impl Clients {
    fn on_arrive(&mut self) {
        let id = self.requests.len();
        let timeout = self.timeout.map(|limit| self.ctx.emit_self(TimedOut { id }, limit));
        self.requests.push((self.ctx.time(), timeout));
        self.ctx.emit_now(Request { id }, self.apps[id % self.apps.len()]);
        self.ctx.emit_self(Arrive {}, self.ctx.sample_from_distribution(&self.gap));
    }

    fn on_answer(&mut self, id: usize) {
        let (at, timeout) = &mut self.requests[id];
        if let Some(timeout) = timeout.take() {
            self.ctx.cancel_event(timeout);
        } else if self.timeout.is_some() {
            return;
        }
        self.found.latencies.push(self.ctx.time() - *at);
    }

    fn on_timed_out(&mut self, id: usize) {
        self.requests[id].1 = None;
        self.found.timeouts += 1;
    }
}

impl EventHandler for Clients {
    fn on(&mut self, event: Event) {
        cast!(match event.data {
            Arrive {} => {
                self.on_arrive()
            }
            Answer { id } => {
                self.on_answer(id)
            }
            TimedOut { id } => {
                self.on_timed_out(id)
            }
        })
    }
}

struct App {
    cores: usize,
    busy: usize,
    queue: VecDeque<usize>,
    work: Exp<f64>,
    /// The database, if there is one.
    db: Option<Id>,
    clients: Id,
    lent: usize,
    for_connection: VecDeque<usize>,
    ctx: SimulationContext,
}

impl App {
    fn start(&mut self, id: usize) {
        self.ctx.emit_self(Worked { id }, self.ctx.sample_from_distribution(&self.work));
    }

    fn on_request(&mut self, id: usize) {
        if self.busy < self.cores {
            self.busy += 1;
            self.start(id);
        } else {
            self.queue.push_back(id);
        }
    }

    fn on_worked(&mut self, id: usize) {
        match self.queue.pop_front() {
            Some(next) => self.start(next),
            None => self.busy -= 1,
        }
        match self.db {
            None => {
                self.ctx.emit_now(Answer { id }, self.clients);
            }
            Some(db) if self.lent < POOL => {
                self.lent += 1;
                self.ctx.emit_now(Query { id, app: self.ctx.id() }, db);
            }
            Some(_) => self.for_connection.push_back(id),
        }
    }

    fn on_answer(&mut self, id: usize, db: Id) {
        match self.for_connection.pop_front() {
            Some(next) => {
                self.ctx.emit_now(Query { id: next, app: self.ctx.id() }, db);
            }
            None => self.lent -= 1,
        }
        self.ctx.emit_now(Answer { id }, self.clients);
    }
}

impl EventHandler for App {
    fn on(&mut self, event: Event) {
        cast!(match event.data {
            Request { id } => {
                self.on_request(id)
            }
            Worked { id } => {
                self.on_worked(id)
            }
            Answer { id } => {
                self.on_answer(id, event.src)
            }
        })
    }
}

struct Db {
    busy: usize,
    queue: VecDeque<(usize, Id)>,
    work: Exp<f64>,
    ctx: SimulationContext,
    /// Who is served, by number of the request.
    callers: Vec<Id>,
}

impl Db {
    fn start(&mut self, id: usize, app: Id) {
        if self.callers.len() <= id {
            self.callers.resize(id + 1, 0);
        }
        self.callers[id] = app;
        self.ctx.emit_self(Worked { id }, self.ctx.sample_from_distribution(&self.work));
    }
}

impl EventHandler for Db {
    fn on(&mut self, event: Event) {
        cast!(match event.data {
            Query { id, app } => {
                if self.busy < CORES {
                    self.busy += 1;
                    self.start(id, app);
                } else {
                    self.queue.push_back((id, app));
                }
            }
            Worked { id } => {
                self.ctx.emit_now(Answer { id }, self.callers[id]);
                match self.queue.pop_front() {
                    Some((next, app)) => self.start(next, app),
                    None => self.busy -= 1,
                }
            }
        })
    }
}

fn exponential(mean: f64) -> Exp<f64> {
    Exp::new(1.0 / mean).expect("a mean above zero")
}

fn system(seconds: f64, rate: f64, instances: usize, cores: usize, mean: f64, has_db: bool) -> Found {
    let mut sim = Simulation::new(42);
    let clients = Rc::new(RefCell::new(Clients {
        gap: exponential(1.0 / rate),
        timeout: has_db.then_some(TIMEOUT),
        apps: Vec::new(),
        requests: Vec::new(),
        found: Found::default(),
        ctx: sim.create_context("clients"),
    }));
    let clients_id = sim.add_handler("clients", clients.clone());
    let db = has_db.then(|| {
        let ctx = sim.create_context("db");
        let db =
            Db { busy: 0, queue: VecDeque::new(), work: exponential(DB_MEAN), ctx, callers: Vec::new() };
        sim.add_handler("db", Rc::new(RefCell::new(db)))
    });
    for number in 0..instances {
        let name = format!("app-{number}");
        let app = App {
            cores,
            busy: 0,
            queue: VecDeque::new(),
            work: exponential(mean),
            db,
            clients: clients_id,
            lent: 0,
            for_connection: VecDeque::new(),
            ctx: sim.create_context(&name),
        };
        let id = sim.add_handler(name, Rc::new(RefCell::new(app)));
        clients.borrow_mut().apps.push(id);
    }
    clients.borrow().ctx.emit_self(Arrive {}, 0.0);
    sim.step_until_time(seconds);
    std::mem::take(&mut clients.borrow_mut().found)
}

pub fn w3(seconds: f64) -> Found {
    system(seconds, RATE, INSTANCES, CORES, APP_MEAN, true)
}

pub fn mm1(seconds: f64) -> Found {
    system(seconds, MM1_RATE, 1, 1, MM1_MEAN, false)
}
