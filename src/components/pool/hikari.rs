//! HikariCP's pool: connections are added by one thread, one after the other, and given out first come, first served.
//!
//! Intuition: after an outage every waiter asks for a connection, but only one is being made at a time, with a pause
//! of 30 ms after each and a growing one after failures. The database sees a trickle, not a storm; in exchange the
//! pool is slow to fill.
//!
//! What surprises: (a) connections in use are never closed for their age, only marked, and closed when they come
//! back; (b) a connection used within the last half second is given out without asking whether it still lives, so the
//! first call after a crash may fail on it; (c) `idle_timeout` does nothing unless `minimum_idle` is below
//! `maximum_pool_size`; (d) a request to add a connection is dropped if nobody needs it when its turn comes; (e) the
//! first free connection in order of creation is given out, not the last used (the list of each thread's own last
//! connections is not modelled: there are no threads here).
//!
//! Source: HikariCP 6.0, `HikariPool.java`, `ConcurrentBag.java`. Read, not recorded.

use super::store::Store;
use super::{ConnId, PoolAction};
use crate::base::{SimDuration, SimTime};

/// The settings, named as in HikariCP 6.0. `None` is the product's 0: never.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HikariConfig {
    /// Most connections, idle and in use; at least 1.
    pub maximum_pool_size: u32,
    /// Idle connections that it tries to have; at most `maximum_pool_size`.
    pub minimum_idle: u32,
    /// The longest wait for a connection, and for one to be established.
    pub connection_timeout: SimDuration,
    /// How long a connection may lie idle.
    pub idle_timeout: Option<SimDuration>,
    /// The longest life of a connection, less up to 2.5 %.
    pub max_lifetime: Option<SimDuration>,
    /// How often an idle connection is asked whether it lives, less up to 10 %.
    pub keepalive_time: Option<SimDuration>,
}

/// From the start to the first round of the housekeeper.
const FIRST_ROUND: SimDuration = SimDuration::from_ms(100);
/// From one round of the housekeeper to the next.
const ROUND: SimDuration = SimDuration::from_secs(30);
/// The pause of the adding thread after a success.
const AFTER_ADD: SimDuration = SimDuration::from_ms(30);
/// Its first pause after a failure; doubled by each further one.
const BACKOFF: SimDuration = SimDuration::from_ms(10);
/// The longest of them.
const BACKOFF_MAX: SimDuration = SimDuration::from_secs(5);
/// A connection used within this time is given out unasked (`aliveBypassWindowMs`).
const ALIVE_BYPASS: SimDuration = SimDuration::from_ms(500);
/// Shorter lives and intervals are taken as they are, without a random part.
const VARIES_FROM: SimDuration = SimDuration::from_secs(10);

/// What the adding thread does.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Adder {
    /// It waits for something to do.
    Free,
    /// It makes a connection.
    Connecting,
    /// It pauses; after a failure it goes on with the same request.
    Resting { until: SimTime, tries_again: bool },
}

/// HikariCP's pool, for waiters named by tokens `W`.
#[derive(Clone, Debug)]
pub struct HikariPool<W> {
    config: HikariConfig,
    /// Idle connections stand in order of creation.
    store: Store<W>,
    /// Requests to add a connection, not begun yet.
    asked: u32,
    adder: Adder,
    backoff: SimDuration,
    housekeeping: SimTime,
    /// When the first connection is to be looked after, for its age or as a sign of life; may be too early.
    lives: SimTime,
    /// Connections established so far.
    is_running: bool,
}

impl<W: Copy + PartialEq> HikariPool<W> {
    /// A pool that has not been started.
    pub fn new(config: HikariConfig) -> Self {
        assert!(config.maximum_pool_size > 0 && config.minimum_idle <= config.maximum_pool_size);
        Self {
            config,
            store: Store::new(),
            asked: 0,
            adder: Adder::Free,
            backoff: BACKOFF,
            housekeeping: SimTime::NEVER,
            lives: SimTime::NEVER,
            is_running: false,
        }
    }

    pub(super) fn store(&self) -> &Store<W> {
        &self.store
    }

    pub(super) fn store_mut(&mut self) -> &mut Store<W> {
        &mut self.store
    }

    /// The settings.
    pub fn config(&self) -> &HikariConfig {
        &self.config
    }

    /// Its process starts: one connection at once (`initializationFailTimeout`), the others by the housekeeper's
    /// first round.
    pub fn start(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        if self.is_running {
            return;
        }
        self.is_running = true;
        self.housekeeping = now + FIRST_ROUND;
        if self.config.minimum_idle > 0 {
            self.asked = self.asked.max(1);
        }
        self.go_on(now, out);
    }

    /// Nobody will ask it any more: idle connections are closed, those in use when they come back.
    pub fn retire(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        if !self.is_running {
            return;
        }
        self.is_running = false;
        self.housekeeping = SimTime::NEVER;
        while let Some(conn) = self.store.idle.pop() {
            self.store.idle.push(conn);
            self.store.close(conn, out);
        }
        self.go_on(now, out);
    }

    /// Changes the settings. Idle connections above a lower maximum are closed.
    pub fn reconfigure(&mut self, now: SimTime, config: HikariConfig, out: &mut Vec<PoolAction<W>>) {
        self.config = config;
        while self.store.size() > config.maximum_pool_size as usize
            && let Some(conn) = self.store.idle.first().copied()
        {
            self.store.close(conn, out);
        }
        // Those who wait may have room now.
        self.ask();
        self.go_on(now, out);
    }

    /// Its process died.
    pub fn reset(&mut self) {
        *self = Self { store: std::mem::replace(&mut self.store, Store::new()), ..Self::new(self.config) };
        self.store.reset();
    }

    /// Somebody wants a connection.
    pub fn acquire(&mut self, now: SimTime, waiter: W, out: &mut Vec<PoolAction<W>>) {
        while let Some(conn) = self.store.idle.first().copied() {
            let kept = self.store.kept(conn);
            let is_asked = now.since(kept.used) > ALIVE_BYPASS;
            if kept.is_evicted || (is_asked && !self.store.is_valid(conn)) {
                self.store.close(conn, out);
                continue;
            }
            self.store.idle.remove(0);
            self.store.lend(conn, waiter, out);
            return;
        }
        self.store.wait(now, waiter);
        self.ask();
        self.go_on(now, out);
    }

    /// A connection comes back. One that broke in use was found out by its error (SQL state 08), and is closed.
    pub fn release(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if !self.store.is_lent(conn) {
            return;
        }
        let is_unwanted = !self.is_running && self.store.waiters.is_empty();
        if self.store.kept(conn).is_evicted || !self.store.is_valid(conn) || is_unwanted {
            self.store.close(conn, out);
        } else {
            self.store.returned(now, conn);
            self.hand_on(conn, out);
        }
        self.go_on(now, out);
    }

    /// A connection stands. `luck` is uniform in 0..1: it shortens lives, so that not all end together.
    pub fn on_created(&mut self, now: SimTime, conn: ConnId, luck: f64, out: &mut Vec<PoolAction<W>>) {
        if !self.store.established_now(now, conn) {
            return;
        }
        let varied = |time: SimDuration, share: f64| match time > VARIES_FROM {
            true => time.scaled(1.0 - share * luck),
            false => time,
        };
        let every = self.config.keepalive_time.map(|t| varied(t, 0.1));
        let ends = self.config.max_lifetime.map(|t| now + varied(t, 0.025));
        if let Some(kept) = self.store.kept_mut(conn) {
            kept.ends = ends.unwrap_or(SimTime::NEVER);
            kept.check = every.map_or(SimTime::NEVER, |t| now + t);
            kept.every = every.map_or(0, SimDuration::ns);
            self.lives = self.lives.min(kept.ends).min(kept.check);
        }
        self.adder = Adder::Resting { until: now + AFTER_ADD, tries_again: false };
        self.hand_on(conn, out);
        self.go_on(now, out);
    }

    /// A connection could not be made: the same request tries again after a pause. Nobody is told; who waits, waits.
    pub fn on_create_failed(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if !self.store.failed(conn) {
            return;
        }
        self.adder = Adder::Resting { until: now + self.backoff, tries_again: true };
        self.backoff = self.backoff.scaled(2.0).min(BACKOFF_MAX);
        self.go_on(now, out);
    }

    /// A connection is closed for good: the minimum of idle ones is restored, and one is added if somebody waits.
    pub fn on_closed(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if self.store.closed(conn) {
            self.fill();
            self.ask();
            self.go_on(now, out);
        }
    }

    /// Does what is due: the adding thread's next step, the housekeeper's round, ends of lives, signs of life.
    pub fn on_timer(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        self.store.rang(now);
        if self.lives <= now {
            self.end_lives(now, out);
            let ends = |k: &super::store::Kept| if k.is_evicted { SimTime::NEVER } else { k.ends };
            let next = self.store.established().map(|(_, kept)| ends(kept).min(kept.check)).min();
            self.lives = next.unwrap_or(SimTime::NEVER);
        }
        if self.housekeeping <= now {
            self.housekeeping = now + ROUND;
            self.close_idle(now, out);
            self.fill();
        }
        self.go_on(now, out);
    }

    fn end_lives(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        loop {
            let due =
                |kept: &&super::store::Kept| (kept.ends <= now && !kept.is_evicted) || kept.check <= now;
            let Some((conn, kept)) = self.store.established().find(|(_, kept)| due(kept)) else { return };
            let kept = *kept;
            let is_idle = self.store.idle.contains(&conn);
            let is_over = kept.ends <= now && !kept.is_evicted;
            if is_idle && (is_over || !self.store.is_valid(conn)) {
                self.store.close(conn, out);
            } else if let Some(k) = self.store.kept_mut(conn) {
                k.is_evicted |= is_over;
                if k.check <= now {
                    k.check = now + SimDuration::from_ns(k.every);
                }
            }
        }
    }

    fn close_idle(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        let Some(timeout) = self.config.idle_timeout else { return };
        if self.config.minimum_idle >= self.config.maximum_pool_size {
            return;
        }
        let mut surplus = self.store.idle.len().saturating_sub(self.config.minimum_idle as usize);
        let mut at = 0;
        while surplus > 0 && at < self.store.idle.len() {
            let conn = self.store.idle[at];
            if now.since(self.store.kept(conn).used) > timeout {
                self.store.close(conn, out);
                surplus -= 1;
            } else {
                at += 1;
            }
        }
    }

    /// One more request to add a connection, unless as many are in line as wait.
    fn ask(&mut self) {
        if self.store.waiters.len() > self.asked as usize {
            self.asked = (self.asked + 1).min(self.config.maximum_pool_size);
        }
    }

    fn fill(&mut self) {
        if !self.is_running || self.store.standing() >= self.config.maximum_pool_size as usize {
            return;
        }
        let missing = (self.config.minimum_idle as usize).saturating_sub(self.store.idle.len());
        self.asked = (self.asked + missing as u32).min(self.config.maximum_pool_size);
    }

    /// A free connection goes to who stands first in line, or among the idle ones.
    fn hand_on(&mut self, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if let Some(waiter) = self.store.waiters.pop() {
            return self.store.lend(conn, waiter.token, out);
        }
        let created = self.store.kept(conn).created;
        let at = self.store.idle.partition_point(|id| self.store.kept(*id).created <= created);
        self.store.idle.insert(at, conn);
    }

    /// The adding thread goes on as far as it can, and the next call is asked for.
    fn go_on(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        loop {
            match self.adder {
                Adder::Connecting => break,
                Adder::Resting { until, .. } if now < until => break,
                Adder::Resting { tries_again: true, .. } => {
                    self.adder = Adder::Free;
                    self.attempt(out);
                }
                Adder::Resting { .. } => self.adder = Adder::Free,
                Adder::Free => {
                    if self.asked == 0 {
                        break;
                    }
                    self.asked -= 1;
                    self.backoff = BACKOFF;
                    self.attempt(out);
                }
            }
        }
        self.watch(out);
    }

    fn attempt(&mut self, out: &mut Vec<PoolAction<W>>) {
        let (idle, waiting) = (self.store.idle.len(), self.store.waiters.len());
        let wanted = (self.is_running && idle < self.config.minimum_idle as usize) || waiting > idle;
        if wanted && self.store.standing() < self.config.maximum_pool_size as usize {
            self.adder = Adder::Connecting;
            self.store.create(out);
        }
    }

    fn watch(&mut self, out: &mut Vec<PoolAction<W>>) {
        let mut next = self.housekeeping.min(self.lives);
        if let Adder::Resting { until, .. } = self.adder {
            next = next.min(until);
        }
        self.store.arm(next, out);
    }
}
