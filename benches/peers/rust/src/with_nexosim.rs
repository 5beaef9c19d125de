//! With nexosim 1.0, on one thread: models with ports. Clients choose the instance themselves (a port for each) and call
//! off their timeout when the answer comes.

use crate::{APP_MEAN, CORES, DB_MEAN, Found, INSTANCES, MM1_MEAN, MM1_RATE, POOL, RATE, TIMEOUT};
use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::Output;
use nexosim::simulation::{EventKey, Mailbox, SimInit};
use nexosim::time::MonotonicTime;
use rand::SeedableRng;
use rand_distr::{Distribution, Exp1};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Random(Xoshiro256PlusPlus);

impl Random {
    fn new(stream: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(42 + stream))
    }

    /// At least a nanosecond: an event must lie in the future.
    fn exponential(&mut self, mean: f64) -> Duration {
        let one: f64 = Exp1.sample(&mut self.0);
        Duration::from_secs_f64(mean * one).max(Duration::from_nanos(1))
    }
}

/// Instance and number of a request.
type Query = (u32, u64);

#[derive(Serialize, Deserialize)]
struct Clients {
    requests: Vec<Output<u64>>,
    rate: f64,
    has_timeout: bool,
    random: Random,
    /// When each came, and the timeout of those that are open.
    sent: Vec<(MonotonicTime, Option<EventKey>)>,
    #[serde(skip)]
    found: Arc<Mutex<Found>>,
}

#[Model]
impl Clients {
    #[nexosim(init)]
    async fn init(&mut self, cx: &Context<Self>) {
        self.schedule(cx);
    }

    fn schedule(&mut self, cx: &Context<Self>) {
        let gap = self.random.exponential(1.0 / self.rate);
        cx.schedule_event(gap, schedulable!(Self::arrive), ()).expect("a time to come");
    }

    #[nexosim(schedulable)]
    async fn arrive(&mut self, _: (), cx: &Context<Self>) {
        let id = self.sent.len() as u64;
        let timeout = self.has_timeout.then(|| {
            let limit = Duration::from_secs_f64(TIMEOUT);
            cx.schedule_keyed_event(limit, schedulable!(Self::time_out), id).expect("a time to come")
        });
        self.sent.push((cx.time(), timeout));
        self.schedule(cx);
        let instance = id as usize % self.requests.len();
        self.requests[instance].send(id).await;
    }

    async fn answer(&mut self, id: u64, cx: &Context<Self>) {
        let (at, timeout) = &mut self.sent[id as usize];
        match timeout.take() {
            Some(timeout) => timeout.cancel(),
            None if self.has_timeout => return,
            None => {}
        }
        let latency = cx.time().duration_since(*at).as_secs_f64();
        self.found.lock().expect("one thread").latencies.push(latency);
    }

    #[nexosim(schedulable)]
    async fn time_out(&mut self, id: u64) {
        self.sent[id as usize].1 = None;
        self.found.lock().expect("one thread").timeouts += 1;
    }
}

#[derive(Serialize, Deserialize)]
struct App {
    queries: Output<Query>,
    answers: Output<u64>,
    number: u32,
    cores: usize,
    mean: f64,
    has_db: bool,
    random: Random,
    busy: usize,
    queue: VecDeque<u64>,
    lent: usize,
    for_connection: VecDeque<u64>,
}

#[Model]
impl App {
    fn start(&mut self, id: u64, cx: &Context<Self>) {
        let work = self.random.exponential(self.mean);
        cx.schedule_event(work, schedulable!(Self::worked), id).expect("a time to come");
    }

    async fn request(&mut self, id: u64, cx: &Context<Self>) {
        if self.busy < self.cores {
            self.busy += 1;
            self.start(id, cx);
        } else {
            self.queue.push_back(id);
        }
    }

    #[nexosim(schedulable)]
    async fn worked(&mut self, id: u64, cx: &Context<Self>) {
        match self.queue.pop_front() {
            Some(next) => self.start(next, cx),
            None => self.busy -= 1,
        }
        if !self.has_db {
            self.answers.send(id).await;
        } else if self.lent < POOL {
            self.lent += 1;
            self.queries.send((self.number, id)).await;
        } else {
            self.for_connection.push_back(id);
        }
    }

    async fn read(&mut self, id: u64) {
        match self.for_connection.pop_front() {
            Some(next) => self.queries.send((self.number, next)).await,
            None => self.lent -= 1,
        }
        self.answers.send(id).await;
    }
}

#[derive(Serialize, Deserialize)]
struct Db {
    answers: Vec<Output<u64>>,
    random: Random,
    busy: usize,
    queue: VecDeque<Query>,
}

#[Model]
impl Db {
    fn start(&mut self, query: Query, cx: &Context<Self>) {
        let work = self.random.exponential(DB_MEAN);
        cx.schedule_event(work, schedulable!(Self::worked), query).expect("a time to come");
    }

    async fn query(&mut self, query: Query, cx: &Context<Self>) {
        if self.busy < CORES {
            self.busy += 1;
            self.start(query, cx);
        } else {
            self.queue.push_back(query);
        }
    }

    #[nexosim(schedulable)]
    async fn worked(&mut self, query: Query, cx: &Context<Self>) {
        match self.queue.pop_front() {
            Some(next) => self.start(next, cx),
            None => self.busy -= 1,
        }
        self.answers[query.0 as usize].send(query.1).await;
    }
}

fn system(seconds: f64, rate: f64, instances: usize, cores: usize, mean: f64, has_db: bool) -> Found {
    let found = Arc::new(Mutex::new(Found::default()));
    let mut clients = Clients {
        requests: Vec::new(),
        rate,
        has_timeout: has_db,
        random: Random::new(0),
        sent: Vec::new(),
        found: found.clone(),
    };
    let mut db = Db { answers: Vec::new(), random: Random::new(1), busy: 0, queue: VecDeque::new() };
    let (clients_box, db_box) = (Mailbox::new(), Mailbox::new());
    let mut bench = SimInit::with_num_threads(1);
    for number in 0..instances {
        let mut app = App {
            queries: Output::default(),
            answers: Output::default(),
            number: number as u32,
            cores,
            mean,
            has_db,
            random: Random::new(2 + number as u64),
            busy: 0,
            queue: VecDeque::new(),
            lent: 0,
            for_connection: VecDeque::new(),
        };
        let app_box = Mailbox::new();
        let (mut requests, mut read) = (Output::default(), Output::default());
        requests.connect(App::request, &app_box);
        read.connect(App::read, &app_box);
        clients.requests.push(requests);
        db.answers.push(read);
        app.queries.connect(Db::query, &db_box);
        app.answers.connect(Clients::answer, &clients_box);
        bench = bench.add_model(app, app_box, &format!("app-{number}"));
    }
    let bench = bench.add_model(clients, clients_box, "clients").add_model(db, db_box, "db");
    let mut simulation = bench.init(MonotonicTime::EPOCH).expect("a simulation");
    simulation.step_until(Duration::from_secs_f64(seconds)).expect("it runs");
    std::mem::take(&mut found.lock().expect("one thread"))
}

pub fn w3(seconds: f64) -> Found {
    system(seconds, RATE, INSTANCES, CORES, APP_MEAN, true)
}

pub fn mm1(seconds: f64) -> Found {
    system(seconds, MM1_RATE, 1, 1, MM1_MEAN, false)
}
