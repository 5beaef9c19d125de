//! M/M/c by hand: one line, so many cores, first come, first served.

use super::meters::{Level, Timer};
use super::pending::{NEVER, Pending, Turn, turn};
use super::random::{self, Arrivals, Work};
use super::{Found, SECOND};
use brownout::base::{Streams, mix};

/// Room for those who wait.
const ROOM: u64 = 4_096;
const ARRIVAL: u64 = 0xc0;
const END_OF_SECOND: u64 = 0xff;

/// `NODES` is twice a power of two that is no less than `CORES`.
struct Station<const CORES: usize, const NODES: usize> {
    arrivals: Arrivals,
    key: u64,
    work: Work,
    pending: Pending<NODES>,
    /// A bit for each core that is idle.
    idle: u32,
    /// Arrivals of those in service, by core.
    running: [u64; 16],
    /// By number of the request: when it came, and its work, drawn before it is needed.
    requests: [(u64, u64); ROOM as usize],
    sent: u64,
    started: u64,
    latency: Timer,
    in_flight: Level,
    busy: Level,
    queue: Level,
}

pub fn play<const CORES: usize, const NODES: usize>(
    mean_s: f64,
    seconds: u64,
    every: u64,
    seed: u64,
) -> Found {
    let streams = Streams::new(seed, 0);
    let mut station = Station::<CORES, NODES> {
        arrivals: Arrivals::new(streams, 9_000.0),
        key: random::requests(streams),
        work: Work::new("services.server.endpoints.serve.0", mean_s),
        pending: Pending::new(),
        idle: (1 << CORES) - 1,
        running: [0; 16],
        requests: [(0, 0); ROOM as usize],
        sent: 0,
        started: 0,
        latency: Timer::new(),
        in_flight: Level::new(),
        busy: Level::new(),
        queue: Level::new(),
    };
    let (rows, events) = station.run(seconds, every);
    let Station { sent, latency, in_flight, busy, queue, .. } = station;
    Found {
        sent,
        ok: latency.count,
        timeouts: 0,
        for_nobody: 0,
        events,
        timers: vec![("latency", latency)],
        levels: vec![("in flight", in_flight), ("busy cores", busy), ("waiting for a core", queue)],
        rows,
    }
}

impl<const CORES: usize, const NODES: usize> Station<CORES, NODES> {
    fn run(&mut self, seconds: u64, every: u64) -> (Vec<f64>, u64) {
        let mut rows = Vec::with_capacity((seconds / every) as usize * 16);
        let (mut events, mut sent_before) = (0, 0);
        let mut arrival = turn(self.arrivals.gap(), ARRIVAL);
        for second in (every..=seconds).step_by(every as usize) {
            let end = turn(second * SECOND, END_OF_SECOND);
            loop {
                let done = self.pending.least();
                let next = done.min(arrival);
                if next > end {
                    break;
                }
                events += 1;
                if next == arrival {
                    self.arrive(next >> 8);
                    arrival = turn((next >> 8) + self.arrivals.gap(), ARRIVAL);
                } else {
                    self.complete(next >> 8, next as usize & 15);
                }
            }
            rows.push((self.sent - sent_before) as f64);
            sent_before = self.sent;
            self.latency.second(&mut rows);
            for level in [&mut self.in_flight, &mut self.busy, &mut self.queue] {
                level.second(second * SECOND, &mut rows);
            }
        }
        (rows, events)
    }

    #[inline]
    fn arrive(&mut self, now: u64) {
        self.sent += 1;
        self.in_flight.up(now);
        let work = self.work.of(mix(self.key, self.sent));
        self.requests[(self.sent & (ROOM - 1)) as usize] = (now, work);
        if self.idle == 0 {
            assert!(self.sent - self.started < ROOM, "more wait than there is room for");
            self.queue.up(now);
        } else {
            let core = self.idle.trailing_zeros() as usize;
            self.idle &= self.idle - 1;
            self.busy.up(now);
            let done = self.start(now, core);
            self.pending.set(core, done);
        }
    }

    #[inline]
    fn complete(&mut self, now: u64, core: usize) {
        self.latency.record(now - self.running[core]);
        self.in_flight.down(now);
        let next = if self.started < self.sent {
            self.queue.down(now);
            self.start(now, core)
        } else {
            self.idle |= 1 << core;
            self.busy.down(now);
            NEVER
        };
        self.pending.set(core, next);
    }

    /// The next in line begins; when it is done.
    #[inline]
    fn start(&mut self, now: u64, core: usize) -> Turn {
        self.started += 1;
        let (at, work) = self.requests[(self.started & (ROOM - 1)) as usize];
        self.running[core] = at;
        turn(now + work, core as u64)
    }
}
