//! W3 by hand: 12 instances in turn, a core each for four, a pool of connections, one database, one timeout.

use super::meters::{Level, Timer};
use super::pending::{NEVER, Pending, Turn, turn};
use super::random::{self, Arrivals, Work};
use super::{Found, SECOND};
use brownout::base::{Streams, mix, salt};

const RATE: f64 = 3_360.0;
const INSTANCES: usize = 12;
const CORES: usize = 4;
const APP_MEAN_S: f64 = 0.010;
const POOL: u32 = 20;
const DB_MEAN_S: f64 = 833.333_333e-6;
const TIMEOUT: u64 = SECOND;

/// Room for requests in flight.
const ROOM: u64 = 512;
/// The cores of the database come after those of all instances.
const DB: usize = INSTANCES * CORES;
/// What a turn is. Below these it is the core that completes.
const TIMER: u64 = 0x80;
const ARRIVAL: u64 = 0xc0;
const END_OF_SECOND: u64 = 0xff;

/// A client waits for the answer; an instance works on it.
const AWAITED: u8 = 1;
const WORKED_ON: u8 = 2;

#[derive(Clone, Copy, Default)]
struct Request {
    /// What it asks of the instance and of the database, drawn before it is needed.
    work: u64,
    query: u64,
    /// When it came, when it asked for a connection, and when it got one.
    at: u64,
    asked: u64,
    lent: u64,
    /// Who is next in the line that it stands in.
    next: u32,
    instance: u8,
    state: u8,
}

/// First in, first out; the links are in the requests.
#[derive(Clone, Copy, Default)]
struct Line {
    first: u32,
    last: u32,
    length: u32,
}

#[derive(Clone, Copy, Default)]
struct Instance {
    /// A bit for each core that is idle.
    idle: u8,
    /// Connections lent.
    lent: u32,
    for_core: Line,
    for_connection: Line,
}

struct W3 {
    arrivals: Arrivals,
    requests: u64,
    app: Work,
    query: Work,
    call: u64,
    pending: Pending<128>,
    room: [Request; ROOM as usize],
    /// Whom each core works for.
    running: [u32; 64],
    instances: [Instance; 16],
    /// Whose turn it is.
    turn: usize,
    db_idle: u8,
    for_db: Line,
    sent: u64,
    /// All requests before this one are gone.
    oldest: u64,
    ok: u64,
    timeouts: u64,
    for_nobody: u64,
    latency: Timer,
    app_latency: Timer,
    db_latency: Timer,
    pool_wait: Timer,
    in_flight: Level,
    app_in_flight: Level,
    busy: Level,
    queue: Level,
    connections: Level,
    pool_waiting: Level,
    db_busy: Level,
    db_queue: Level,
}

pub fn play(seconds: u64, every: u64, seed: u64) -> Found {
    let streams = Streams::new(seed, 0);
    let mut w3 = W3 {
        arrivals: Arrivals::new(streams, RATE),
        requests: random::requests(streams),
        app: Work::new("services.app.endpoints.serve.0", APP_MEAN_S),
        query: Work::new("databases.db.queries.read.0", DB_MEAN_S),
        call: salt("services.app.endpoints.serve.1"),
        pending: Pending::new(),
        room: [Request::default(); ROOM as usize],
        running: [0; 64],
        instances: [Instance { idle: (1 << CORES) - 1, ..Instance::default() }; 16],
        turn: 0,
        db_idle: (1 << CORES) - 1,
        for_db: Line::default(),
        sent: 0,
        oldest: 1,
        ok: 0,
        timeouts: 0,
        for_nobody: 0,
        latency: Timer::new(),
        app_latency: Timer::new(),
        db_latency: Timer::new(),
        pool_wait: Timer::new(),
        in_flight: Level::new(),
        app_in_flight: Level::new(),
        busy: Level::new(),
        queue: Level::new(),
        connections: Level::new(),
        pool_waiting: Level::new(),
        db_busy: Level::new(),
        db_queue: Level::new(),
    };
    let (rows, events) = w3.run(seconds, every);
    Found {
        sent: w3.sent,
        ok: w3.ok,
        timeouts: w3.timeouts,
        for_nobody: w3.for_nobody,
        events,
        timers: vec![
            ("latency", w3.latency),
            ("latency of app", w3.app_latency),
            ("latency of db", w3.db_latency),
            ("wait for a connection", w3.pool_wait),
        ],
        levels: vec![
            ("in flight", w3.in_flight),
            ("in flight in app", w3.app_in_flight),
            ("busy cores of app", w3.busy),
            ("waiting for a core of app", w3.queue),
            ("connections in use", w3.connections),
            ("waiting for a connection", w3.pool_waiting),
            ("busy cores of db", w3.db_busy),
            ("waiting for a core of db", w3.db_queue),
        ],
        rows,
    }
}

impl W3 {
    fn run(&mut self, seconds: u64, every: u64) -> (Vec<f64>, u64) {
        let mut rows = Vec::with_capacity((seconds / every) as usize * 52);
        let mut events = 0;
        let mut arrival = turn(self.arrivals.gap(), ARRIVAL);
        let mut second = every;
        let mut before = [0; 4];
        // Nobody times out earlier; whether somebody does is looked at then.
        let mut timer = turn(TIMEOUT, TIMER);
        let mut limit = timer.min(turn(second * SECOND, END_OF_SECOND));
        while second <= seconds {
            let next = self.pending.least().min(arrival);
            if next > limit {
                if limit == timer {
                    timer = self.time_out(limit >> 8);
                } else {
                    self.end_second(second * SECOND, &mut before, &mut rows);
                    second += every;
                }
                limit = timer.min(turn(second * SECOND, END_OF_SECOND));
                continue;
            }
            events += 1;
            let now = next >> 8;
            if next == arrival {
                self.arrive(now);
                arrival = turn(now + self.arrivals.gap(), ARRIVAL);
            } else {
                let core = next as usize & 63;
                if core < DB { self.app_done(now, core) } else { self.db_done(now, core) }
            }
        }
        (rows, events)
    }

    #[inline]
    fn request(&mut self, number: u32) -> &mut Request {
        &mut self.room[number as usize & (ROOM as usize - 1)]
    }

    #[inline]
    fn arrive(&mut self, now: u64) {
        self.sent += 1;
        if self.sent - self.oldest == ROOM {
            self.make_room();
        }
        let (number, instance) = (self.sent as u32, self.turn);
        self.turn = if instance + 1 == INSTANCES { 0 } else { instance + 1 };
        self.in_flight.up(now);
        self.app_in_flight.up(now);
        let key = mix(self.requests, self.sent);
        let (work, query) = (self.app.of(key), self.query.of(mix(key, self.call)));
        let (at, instance_u8) = (now, instance as u8);
        *self.request(number) = Request {
            work,
            query,
            at,
            instance: instance_u8,
            state: AWAITED | WORKED_ON,
            ..Request::default()
        };
        let idle = self.instances[instance & 15].idle;
        if idle == 0 {
            self.queue.up(now);
            push(&mut self.instances[instance & 15].for_core, &mut self.room, number);
        } else {
            self.instances[instance & 15].idle = idle & (idle - 1);
            self.busy.up(now);
            let core = instance * CORES + idle.trailing_zeros() as usize;
            let done = self.start_app(now, core, number);
            self.pending.set(core, done);
        }
    }

    #[inline]
    fn start_app(&mut self, now: u64, core: usize, number: u32) -> Turn {
        self.running[core & 63] = number;
        turn(now + self.request(number).work, core as u64)
    }

    #[inline]
    fn start_query(&mut self, now: u64, core: usize, number: u32) -> Turn {
        self.running[core & 63] = number;
        turn(now + self.request(number).query, core as u64)
    }

    #[inline]
    fn app_done(&mut self, now: u64, core: usize) {
        let number = self.running[core];
        let instance = &mut self.instances[core / CORES];
        let next = if instance.for_core.length > 0 {
            let next = pop(&mut instance.for_core, &self.room);
            self.queue.down(now);
            self.start_app(now, core, next)
        } else {
            instance.idle |= 1 << (core % CORES);
            self.busy.down(now);
            NEVER
        };
        self.pending.set(core, next);
        self.request(number).asked = now;
        let instance = &mut self.instances[core / CORES];
        if instance.lent < POOL {
            instance.lent += 1;
            self.connections.up(now);
            self.lend(now, number);
        } else {
            push(&mut instance.for_connection, &mut self.room, number);
            self.pool_waiting.up(now);
        }
    }

    /// A request has its connection, and asks the database.
    #[inline]
    fn lend(&mut self, now: u64, number: u32) {
        let request = self.request(number);
        request.lent = now;
        let waited = now - request.asked;
        self.pool_wait.record(waited);
        if self.db_idle == 0 {
            push(&mut self.for_db, &mut self.room, number);
            self.db_queue.up(now);
        } else {
            let core = DB + self.db_idle.trailing_zeros() as usize;
            self.db_idle &= self.db_idle - 1;
            self.db_busy.up(now);
            let done = self.start_query(now, core, number);
            self.pending.set(core, done);
        }
    }

    #[inline]
    fn db_done(&mut self, now: u64, core: usize) {
        let number = self.running[core];
        let next = if self.for_db.length > 0 {
            let next = pop(&mut self.for_db, &self.room);
            self.db_queue.down(now);
            self.start_query(now, core, next)
        } else {
            self.db_idle |= 1 << (core - DB);
            self.db_busy.down(now);
            NEVER
        };
        self.pending.set(core, next);
        let request = self.request(number);
        let Request { at, lent, instance, state, .. } = *request;
        request.state = 0;
        self.db_latency.record(now - lent);
        self.app_latency.record(now - at);
        self.app_in_flight.down(now);
        if state & AWAITED != 0 {
            self.ok += 1;
            self.latency.record(now - at);
            self.in_flight.down(now);
        } else {
            self.for_nobody += 1;
        }
        let instance = &mut self.instances[instance as usize & 15];
        if instance.for_connection.length > 0 {
            let next = pop(&mut instance.for_connection, &self.room);
            self.pool_waiting.down(now);
            self.lend(now, next);
        } else {
            instance.lent -= 1;
            self.connections.down(now);
        }
    }

    /// Whoever has waited too long gives up. When somebody may do so next: requests time out in the order of their
    /// numbers, so a timer is called off by not being looked at.
    #[cold]
    #[inline(never)]
    fn time_out(&mut self, now: u64) -> Turn {
        self.make_room();
        for number in self.oldest..=self.sent {
            let request = self.request(number as u32);
            if request.state & AWAITED == 0 {
                continue;
            }
            if request.at + TIMEOUT > now {
                return turn(request.at + TIMEOUT, TIMER);
            }
            request.state &= !AWAITED;
            self.timeouts += 1;
            self.latency.record(TIMEOUT);
            self.in_flight.down(now);
        }
        turn(now + TIMEOUT, TIMER)
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self) {
        while self.oldest < self.sent && self.request(self.oldest as u32).state == 0 {
            self.oldest += 1;
        }
        assert!(self.sent - self.oldest < ROOM, "more in flight than there is room for");
    }

    #[cold]
    #[inline(never)]
    fn end_second(&mut self, now: u64, before: &mut [u64; 4], rows: &mut Vec<f64>) {
        let counts = [self.sent, self.ok, self.timeouts, self.for_nobody];
        rows.extend(counts.iter().zip(&*before).map(|(now, before)| (now - before) as f64));
        *before = counts;
        for timer in [&mut self.latency, &mut self.app_latency, &mut self.db_latency, &mut self.pool_wait] {
            timer.second(rows);
        }
        let levels = [
            &mut self.in_flight,
            &mut self.app_in_flight,
            &mut self.busy,
            &mut self.queue,
            &mut self.connections,
            &mut self.pool_waiting,
            &mut self.db_busy,
            &mut self.db_queue,
        ];
        for level in levels {
            level.second(now, rows);
        }
    }
}

#[inline]
fn push(line: &mut Line, room: &mut [Request; ROOM as usize], number: u32) {
    if line.length == 0 {
        line.first = number;
    } else {
        room[line.last as usize & (ROOM as usize - 1)].next = number;
    }
    line.last = number;
    line.length += 1;
}

#[inline]
fn pop(line: &mut Line, room: &[Request; ROOM as usize]) -> u32 {
    let first = line.first;
    line.first = room[first as usize & (ROOM as usize - 1)].next;
    line.length -= 1;
    first
}
