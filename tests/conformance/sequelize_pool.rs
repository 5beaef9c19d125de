//! `components::pool` against sequelize-pool 8.0.1: every step of every recording, without one deviation.
//!
//! A recording has one line per timer that rang in the real program. Each is played to the pool; what the pool then
//! wants done, and its counts before and after, must be what the real one did. The real reaper leaves no line when
//! it closes nothing, so its timer is kept here: it rings before a line of the same millisecond if it was set
//! before the timer of that line was.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use brownout::base::{SimDuration, SimTime};
use brownout::components::pool::{ConnId, Pool, PoolAction, PoolConfig};
use serde::Deserialize;

#[derive(Deserialize)]
struct Header {
    sequelize_pool: String,
    options: Options,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Options {
    max: u32,
    #[serde(default)]
    min: u32,
    acquire_timeout_millis: Option<u64>,
    idle_timeout_millis: Option<u64>,
    reap_interval_millis: Option<u64>,
    max_uses: Option<u32>,
}

#[derive(Deserialize)]
struct Step {
    step: u64,
    time_ms: u64,
    events: Vec<Event>,
    state_before: Counts,
    state_after: Counts,
}

/// One event of a step. Fields that only describe what the recording's clients planned are left out.
#[derive(Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(tag = "action", rename_all = "snake_case")]
enum Event {
    Acquire { client: u32 },
    AcquireTimeout { client: u32, wait_ms: u64 },
    CreateDone { res: usize },
    CreateFailed { res: usize },
    Release { client: u32, res: usize },
    DestroyByClient { client: u32, res: usize },
    DestroyDone { res: usize },
    Kill { res: usize },
    Acquired { client: u32, res: usize, wait_ms: u64 },
    AcquireError { client: u32, wait_ms: u64 },
    CreateStart { res: usize },
    DestroyStart { res: usize },
}

#[derive(Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Counts {
    size: usize,
    available: usize,
    using: usize,
    waiting: usize,
    db_open: usize,
}

struct Recording {
    name: String,
    header: Header,
    steps: Vec<Step>,
}

impl Options {
    /// Settings as in the recording; what it does not name is at the product's default.
    fn config(&self) -> PoolConfig {
        let ms = |value: Option<u64>, default| SimDuration::from_ms(value.unwrap_or(default));
        PoolConfig {
            max: self.max,
            min: self.min,
            acquire_timeout: ms(self.acquire_timeout_millis, 30_000),
            idle_timeout: ms(self.idle_timeout_millis, 30_000),
            reap_interval: ms(self.reap_interval_millis, 1_000),
            max_uses: self.max_uses,
        }
    }
}

/// Within a moment, the order in which the real program sets its timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SetBy {
    /// The recording's plan of arrivals, before it began.
    Plan,
    /// The pool, when it calls for a creation, a close or a patience.
    Factory,
    /// The pool, when it arms the reaper.
    Reaper,
    /// A client, when it is told of its connection.
    Client,
}

/// When a timer was set: the number of the step (counting silent reaper rounds), then by whom.
type SetAt = (u64, SetBy);

/// Plays a recording to a pool, and keeps what the real program kept around its own.
struct Player {
    pool: Pool<u32>,
    /// Connections by their number in the recording, which is their order of creation.
    conns: Vec<ConnId>,
    /// Per connection: when the timer of its creation, later of its close, was set.
    factory_set: Vec<u64>,
    /// Per client: when it came, and the step at which it was served.
    came: BTreeMap<u32, (u64, u64)>,
    held: BTreeMap<u32, u64>,
    reaper: Option<(u64, SetAt)>,
    db_open: usize,
    /// Steps so far, silent rounds of the reaper among them.
    clock: u64,
    actions: Vec<PoolAction<u32>>,
}

impl Player {
    fn new(config: PoolConfig) -> Self {
        Self {
            pool: Pool::new(config),
            conns: Vec::new(),
            factory_set: Vec::new(),
            came: BTreeMap::new(),
            held: BTreeMap::new(),
            reaper: None,
            db_open: 0,
            clock: 0,
            actions: Vec::new(),
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            size: self.pool.size(),
            available: self.pool.available(),
            using: self.pool.in_use(),
            waiting: self.pool.waiting(),
            db_open: self.db_open,
        }
    }

    /// Rings the reaper for all rounds that come before a line; an error if one of them did something.
    fn ring_silently_before(&mut self, line: &Step, is_reaper_line: bool) -> Result<(), String> {
        while let Some((due, set_at)) = self.reaper {
            let is_before = due < line.time_ms
                || (due == line.time_ms && !is_reaper_line && set_at < self.set_at(line.events[0]));
            if !is_before {
                break;
            }
            let seen = self.ring(due);
            if !seen.is_empty() {
                return Err(format!("the reaper at {due} ms did {seen:?}, in silence in the recording"));
            }
        }
        Ok(())
    }

    fn ring(&mut self, due: u64) -> Vec<Event> {
        self.clock += 1;
        self.reaper = None;
        self.pool.on_reap(at(due), &mut self.actions);
        self.carry_out(due)
    }

    /// When the timer was set whose ringing began with this event.
    fn set_at(&self, cause: Event) -> SetAt {
        match cause {
            Event::AcquireTimeout { client, .. } => {
                (self.came.get(&client).map_or(0, |came| came.1), SetBy::Factory)
            }
            Event::CreateDone { res } | Event::CreateFailed { res } | Event::DestroyDone { res } => {
                (self.factory_set.get(res).copied().unwrap_or(0), SetBy::Factory)
            }
            Event::Release { client, .. } | Event::DestroyByClient { client, .. } => {
                (self.held.get(&client).copied().unwrap_or(0), SetBy::Client)
            }
            _ => (0, SetBy::Plan),
        }
    }

    /// Tells the pool what began a line.
    fn feed(&mut self, ms: u64, cause: Event) -> Result<(), String> {
        let (now, out) = (at(ms), &mut self.actions);
        let conn = |res: usize| self.conns.get(res).copied().ok_or(format!("connection {res} is unknown"));
        match cause {
            Event::Acquire { client } => {
                self.came.insert(client, (ms, self.clock));
                self.pool.acquire(now, client, out);
            }
            Event::AcquireTimeout { client, wait_ms } => {
                let patience = self.pool.config().acquire_timeout;
                if !self.pool.on_acquire_timeout(now, client) {
                    return Err(format!("client {client} times out, but does not wait"));
                }
                let waited = ms - self.came.get(&client).map_or(0, |came| came.0);
                if waited != wait_ms || SimDuration::from_ms(waited) != patience {
                    return Err(format!("client {client} times out after {waited} ms"));
                }
            }
            Event::CreateDone { res } => {
                self.db_open += 1;
                self.pool.on_created(now, conn(res)?, out);
            }
            Event::CreateFailed { res } => self.pool.on_create_failed(now, conn(res)?, out),
            Event::Release { res, .. } => self.pool.release(now, conn(res)?, out),
            Event::DestroyByClient { res, .. } => self.pool.discard(now, conn(res)?, out),
            Event::DestroyDone { res } => {
                self.db_open = self.db_open.saturating_sub(1);
                self.pool.on_closed(now, conn(res)?, out);
            }
            Event::Kill { res } => self.pool.invalidate(conn(res)?),
            Event::Acquired { .. }
            | Event::AcquireError { .. }
            | Event::CreateStart { .. }
            | Event::DestroyStart { .. } => return Err(format!("{cause:?} has no cause")),
        }
        Ok(())
    }

    /// What the pool wants done, in the words of the recording.
    fn carry_out(&mut self, ms: u64) -> Vec<Event> {
        let mut seen = Vec::new();
        for action in std::mem::take(&mut self.actions) {
            let res = |c: ConnId| self.conns.iter().rposition(|known| *known == c).unwrap_or(usize::MAX);
            let waited = |client: u32| ms - self.came.get(&client).map_or(0, |came| came.0);
            match action {
                PoolAction::Lend { waiter, conn } => {
                    self.held.insert(waiter, self.clock);
                    seen.push(Event::Acquired { client: waiter, res: res(conn), wait_ms: waited(waiter) });
                }
                PoolAction::Create { conn } => {
                    seen.push(Event::CreateStart { res: self.conns.len() });
                    self.conns.push(conn);
                    self.factory_set.push(self.clock);
                }
                PoolAction::Close { conn } => {
                    self.factory_set[res(conn)] = self.clock;
                    seen.push(Event::DestroyStart { res: res(conn) });
                }
                PoolAction::Fail { waiter } => {
                    seen.push(Event::AcquireError { client: waiter, wait_ms: waited(waiter) });
                }
                PoolAction::Refuse { .. } => panic!("sequelize-pool turns nobody away"),
                PoolAction::ArmReaper { at } => {
                    self.reaper = Some((at.ns() / 1_000_000, (self.clock, SetBy::Reaper)));
                }
            }
        }
        seen
    }

    /// Plays one line and compares all there is to compare.
    fn follow(&mut self, line: &Step) -> Result<(), String> {
        let is_reaper_line = matches!(line.events.first(), Some(Event::DestroyStart { .. }));
        self.ring_silently_before(line, is_reaper_line)?;
        same("counts before", &self.counts(), &line.state_before)?;
        if is_reaper_line {
            same("time of the reaper", &self.reaper.map(|(due, _)| due), &Some(line.time_ms))?;
            same("events", &self.ring(line.time_ms)[..], &line.events[..])?;
        } else {
            self.clock += 1;
            self.feed(line.time_ms, line.events[0])?;
            same("events", &self.carry_out(line.time_ms)[..], &line.events[1..])?;
        }
        same("counts after", &self.counts(), &line.state_after)
    }
}

fn same<T: PartialEq + std::fmt::Debug + ?Sized>(what: &str, ours: &T, real: &T) -> Result<(), String> {
    if ours == real { Ok(()) } else { Err(format!("{what}: ours {ours:?}, real {real:?}")) }
}

fn at(ms: u64) -> SimTime {
    SimTime::ZERO + SimDuration::from_ms(ms)
}

/// Follows a recording with the given settings up to its end or to the first deviation: answers with the steps
/// that agreed.
fn follow(recording: &Recording, config: PoolConfig) -> Result<usize, String> {
    let mut player = Player::new(config);
    for line in &recording.steps {
        let place = || format!("{} step {} at {} ms", recording.name, line.step, line.time_ms);
        player.follow(line).map_err(|deviation| format!("{}: {deviation}", place()))?;
    }
    Ok(recording.steps.len())
}

fn recordings() -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/sequelize-pool");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(".jsonl.gz"));
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Recording {
    let file = flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap());
    let mut lines: VecDeque<String> = BufReader::new(file).lines().map(Result::unwrap).collect();
    let header: Header = serde_json::from_str(&lines.pop_front().unwrap()).unwrap();
    assert_eq!(header.sequelize_pool, "8.0.1");
    let steps = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    Recording { name: path.file_name().unwrap().to_string_lossy().into_owned(), header, steps }
}

#[test]
fn conformance_with_every_recording_of_sequelize_pool() {
    let recordings = recordings();
    let (mut steps, mut wrong) = (0, Vec::new());
    for recording in &recordings {
        match follow(recording, recording.header.options.config()) {
            Ok(followed) => steps += followed,
            Err(deviation) => wrong.push(deviation.to_string()),
        }
    }
    // A recording is left at its first deviation.
    super::report("pool against sequelize-pool 8.0.1", recordings.len(), steps, wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn conformance_is_lost_when_a_setting_is_off_by_one() {
    type Wrong = fn(PoolConfig, SimDuration) -> PoolConfig;
    let ms = SimDuration::from_ms(1);
    let wrongs: [(&str, Wrong); 5] = [
        ("max", |right, _| PoolConfig { max: right.max + 1, ..right }),
        ("min", |right, _| PoolConfig { min: (right.min + 1).min(right.max), ..right }),
        ("acquire_timeout", |right, ms| PoolConfig { acquire_timeout: right.acquire_timeout + ms, ..right }),
        ("idle_timeout", |right, ms| PoolConfig { idle_timeout: right.idle_timeout + ms, ..right }),
        ("reap_interval", |right, ms| PoolConfig { reap_interval: right.reap_interval + ms, ..right }),
    ];
    let recordings = recordings();
    for (setting, wrong) in wrongs {
        let is_noticed = |r: &Recording| follow(r, wrong(r.header.options.config(), ms)).is_err();
        assert!(recordings.iter().any(is_noticed), "{setting} is off by one, and no recording notices");
    }
}
