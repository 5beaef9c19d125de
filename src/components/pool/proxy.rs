//! The pool of a proxy in front of a database: PgBouncer's, and with other settings that of RDS Proxy.
//!
//! Intuition: clients are many and cheap, server connections few. PgBouncer makes one server connection at a time, so
//! a pool of 20 takes 20 times the time to connect until it is full, and a server that comes back is not stormed.
//!
//! What surprises: (a) after a failed attempt there is none for `server_login_retry`, and clients that connect
//! meanwhile are turned away if no server connection stands; clients that are connected wait on; (b) a connection in
//! use is never closed for its age, and old ones are closed one by one, spread over the lifetime; (c) the reserve is
//! used only once the first in line has waited for `reserve_pool_timeout`; (d) idle connections that break are noticed
//! at once.
//!
//! Source: PgBouncer 1.18, `janitor.c`, `objects.c`; the Amazon RDS user guide, June 2023. Read, not recorded.

use super::store::Store;
use super::{ConnId, PoolAction};
use crate::base::{SimDuration, SimTime};

/// The settings. `None` means never, or no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProxyConfig {
    /// Most server connections, the reserve left out (`default_pool_size`); at least 1.
    pub pool_size: u32,
    /// How many more there may be when waits are long (`reserve_pool_size`).
    pub reserve_pool_size: u32,
    /// How long the first in line waits before the reserve is used.
    pub reserve_pool_timeout: Option<SimDuration>,
    /// Server connections that idling does not close, and that are made once there are clients (`min_pool_size`).
    pub min_pool_size: u32,
    /// Most server connections of all, reserve included (`max_db_connections`).
    pub max_db_connections: Option<u32>,
    /// How many are made at a time: PgBouncer makes one.
    pub attempts: u32,
    /// How long there is no attempt after one that failed, counted from its start.
    pub server_login_retry: SimDuration,
    /// The longest time that an attempt takes.
    pub server_connect_timeout: Option<SimDuration>,
    /// The longest life of a server connection; 0 closes each after one use.
    pub server_lifetime: Option<SimDuration>,
    /// How long a server connection may lie idle.
    pub server_idle_timeout: Option<SimDuration>,
    /// Idle connections above this number are closed after [`SURPLUS_IDLE`] (RDS Proxy).
    pub max_idle: Option<u32>,
    /// The longest wait for a server connection (`query_wait_timeout`).
    pub query_wait_timeout: Option<SimDuration>,
    /// Whether the connection that lay idle longest is used first, not the last returned.
    pub server_round_robin: bool,
    /// Whether clients that connect while no server can be reached are turned away (PgBouncer).
    pub fails_fast: bool,
}

/// How long an idle connection above `max_idle` is kept. AWS does not say.
pub const SURPLUS_IDLE: SimDuration = SimDuration::from_secs(60);

/// The period of PgBouncer's maintenance, which adds one connection at a time up to `min_pool_size`.
const MAINTENANCE: SimDuration = SimDuration::from_ms(333);

/// A proxy's pool of server connections, for waiters named by tokens `W`.
#[derive(Clone, Debug)]
pub struct ProxyPool<W> {
    config: ProxyConfig,
    /// Idle connections, the last returned last.
    store: Store<W>,
    /// When the last attempt began.
    last_attempt: Option<SimTime>,
    has_failed: bool,
    /// When a connection was last closed for its age.
    last_end: Option<SimTime>,
    has_clients: bool,
}

impl<W: Copy + PartialEq> ProxyPool<W> {
    /// An empty pool.
    pub fn new(config: ProxyConfig) -> Self {
        assert!(config.pool_size > 0 && config.attempts > 0);
        Self {
            config,
            store: Store::new(),
            last_attempt: None,
            has_failed: false,
            last_end: None,
            has_clients: false,
        }
    }

    pub(super) fn store(&self) -> &Store<W> {
        &self.store
    }

    pub(super) fn store_mut(&mut self) -> &mut Store<W> {
        &mut self.store
    }

    /// The settings.
    pub fn config(&self) -> &ProxyConfig {
        &self.config
    }

    /// Most server connections of all.
    pub fn most(&self) -> usize {
        let all = self.config.pool_size + self.config.reserve_pool_size;
        self.config.max_db_connections.map_or(all, |most| all.min(most)) as usize
    }

    /// Changes the settings: more room is used at once, idle connections beyond the limit are closed.
    pub fn reconfigure(&mut self, now: SimTime, config: ProxyConfig, out: &mut Vec<PoolAction<W>>) {
        self.config = config;
        while self.store.size() > self.most()
            && let Some(conn) = self.store.idle.first().copied()
        {
            self.store.close(conn, out);
        }
        self.serve(now, out);
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.store.reset();
        *self = Self { store: std::mem::replace(&mut self.store, Store::new()), ..Self::new(self.config) };
    }

    /// A client connects: `false` if it is turned away, as no server connection stands and the last attempt failed.
    pub fn on_client(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) -> bool {
        self.has_clients = true;
        if self.config.fails_fast && self.has_failed && self.store.standing() == 0 {
            self.launch(now, true, out);
            self.watch(now, out);
            return false;
        }
        self.watch(now, out);
        true
    }

    /// A client's query needs a server connection.
    pub fn acquire(&mut self, now: SimTime, waiter: W, out: &mut Vec<PoolAction<W>>) {
        self.has_clients = true;
        self.store.wait(now, waiter);
        self.serve(now, out);
    }

    /// A query is over.
    pub fn release(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if !self.store.is_lent(conn) {
            return;
        }
        let is_over = self.config.server_lifetime == Some(SimDuration::ZERO) || self.life_is_over(now, conn);
        if !self.store.is_valid(conn) || self.store.size() > self.most() {
            self.store.close(conn, out);
        } else if is_over {
            self.last_end = Some(now);
            self.store.close(conn, out);
        } else {
            self.store.returned(now, conn);
            self.store.idle.push(conn);
        }
        self.serve(now, out);
    }

    /// A server connection stands.
    pub fn on_created(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if self.store.established_now(now, conn) {
            self.has_failed = false;
            self.store.idle.push(conn);
            self.serve(now, out);
        }
    }

    /// An attempt failed: nobody is told.
    pub fn on_create_failed(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if self.store.failed(conn) {
            self.has_failed = true;
            self.serve(now, out);
        }
    }

    /// A server connection is closed for good.
    pub fn on_closed(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if self.store.closed(conn) {
            self.serve(now, out);
        }
    }

    /// Maintenance: ages, idleness, the reserve, another attempt.
    pub fn on_timer(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        self.store.rang(now);
        let mut at = 0;
        while at < self.store.idle.len() {
            let conn = self.store.idle[at];
            if self.life_is_over(now, conn) {
                self.last_end = Some(now);
                self.store.close(conn, out);
            } else if self.idle_ends(at) <= now {
                self.store.close(conn, out);
            } else {
                at += 1;
            }
        }
        let missing = self.store.size() < self.config.min_pool_size as usize;
        if missing && self.has_clients && self.store.creating() == 0 {
            self.launch(now, true, out);
        }
        self.serve(now, out);
    }

    /// The server dropped all connections: the idle ones are gone at once.
    pub fn on_server_gone(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        self.store.invalidate_all();
        while let Some(conn) = self.store.idle.last().copied() {
            self.store.close(conn, out);
        }
        self.serve(now, out);
    }

    /// Gives idle connections to those in line, and makes more if some still wait.
    fn serve(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        while !self.store.idle.is_empty()
            && let Some(waiter) = self.store.waiters.pop()
        {
            let conn = match self.config.server_round_robin {
                true => self.store.idle.remove(0),
                false => self.store.idle.swap_remove(self.store.idle.len() - 1),
            };
            self.store.lend(conn, waiter.token, out);
        }
        self.launch(now, false, out);
        self.watch(now, out);
    }

    /// Starts as many attempts as are wanted and allowed.
    fn launch(&mut self, now: SimTime, is_wanted: bool, out: &mut Vec<PoolAction<W>>) {
        let mut is_wanted = is_wanted;
        while (is_wanted || self.store.waiters.len() > self.store.creating())
            && self.store.creating() < self.config.attempts as usize
            && self.retry_at().is_none_or(|at| at <= now)
            && self.store.size() < self.room(now)
        {
            is_wanted = false;
            self.last_attempt = Some(now);
            self.store.create(out);
        }
    }

    /// When the next attempt may begin; `None` for at once.
    fn retry_at(&self) -> Option<SimTime> {
        self.last_attempt.filter(|_| self.has_failed).map(|at| at + self.config.server_login_retry)
    }

    /// When the reserve is opened, if it can be.
    fn reserve_at(&self) -> Option<SimTime> {
        let timeout = self.config.reserve_pool_timeout.filter(|_| self.config.reserve_pool_size > 0)?;
        self.store.waiters.first().map(|w| w.since + timeout)
    }

    fn room(&self, now: SimTime) -> usize {
        let reserve = self.reserve_at().is_some_and(|at| at <= now);
        let room =
            self.config.pool_size as usize + if reserve { self.config.reserve_pool_size as usize } else { 0 };
        room.min(self.most())
    }

    /// When a connection's life is over, if others were not closed for that just before.
    fn life_ends(&self, conn: ConnId) -> SimTime {
        let Some(lifetime) = self.config.server_lifetime else { return SimTime::NEVER };
        let gap = SimDuration::from_ns(lifetime.ns() / u64::from(self.config.pool_size));
        let own = self.store.kept(conn).created + lifetime;
        self.last_end.map_or(own, |last| own.max(last + gap))
    }

    fn life_is_over(&self, now: SimTime, conn: ConnId) -> bool {
        self.life_ends(conn) <= now
    }

    /// When the idle connection at a place has been idle for too long.
    fn idle_ends(&self, at: usize) -> SimTime {
        let used = self.store.kept(self.store.idle[at]).used;
        let is_surplus = self.config.max_idle.is_some_and(|max| self.store.idle.len() - at > max as usize);
        let surplus = if is_surplus { used + SURPLUS_IDLE } else { SimTime::NEVER };
        let is_kept = self.store.standing() <= self.config.min_pool_size as usize;
        let idle = self.config.server_idle_timeout.filter(|_| !is_kept);
        idle.map_or(surplus, |timeout| surplus.min(used + timeout))
    }

    /// Asks for the next call.
    fn watch(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        let mut next = SimTime::NEVER;
        if self.store.waiters.len() > self.store.creating() {
            // Who waits is helped by a reserve that opens, or an attempt that is allowed again.
            for at in [self.reserve_at(), self.retry_at()].into_iter().flatten().filter(|at| *at > now) {
                next = next.min(at);
            }
        }
        let missing = self.store.size() < self.config.min_pool_size.min(self.most() as u32) as usize;
        if missing && self.has_clients && self.store.creating() == 0 {
            next = next.min(self.retry_at().unwrap_or(now).max(now + MAINTENANCE));
        }
        // The first in order of return is the first to be too old; each may be the first to end its life.
        if !self.store.idle.is_empty() {
            next = next.min(self.idle_ends(0));
            for at in 0..self.store.idle.len() {
                next = next.min(self.life_ends(self.store.idle[at]));
            }
        }
        self.store.arm(next.max(now), out);
    }
}
