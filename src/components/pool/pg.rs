//! node-postgres' pool: a call that finds no idle connection makes its own, or stands in line if the pool is full.
//!
//! What surprises: (a) without `connection_timeout` a call waits for ever; (b) a connection that is being made belongs
//! to the call that began it: if it fails, that call fails and no other, and if another comes back earlier, that call
//! still waits for its own; (c) the last returned is lent first; (d) an idle connection that breaks is noticed at once
//! and removed; (e) one that came back while there were no more than `min` never becomes too old; (f) a call that gave
//! up leaves its connection to the pool, but only if it had stood in line first: otherwise it is torn down.
//!
//! Source: pg-pool 3.14, `index.js`. Read, not recorded.

use super::store::Store;
use super::{ConnId, PoolAction};
use crate::base::{SimDuration, SimTime};

/// The settings, named as in pg-pool 3.14. `None` is the product's 0: never.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PgConfig {
    /// Most connections; at least 1.
    pub max: u32,
    /// Connections that idling does not close; at most `max`.
    pub min: u32,
    /// How long a connection may lie idle.
    pub idle_timeout: Option<SimDuration>,
    /// The longest wait for a connection, in line and while it is made.
    pub connection_timeout: Option<SimDuration>,
    /// Uses after which a connection is closed.
    pub max_uses: Option<u32>,
    /// The longest life of a connection.
    pub max_lifetime: Option<SimDuration>,
}

/// Somebody's connection that is being made.
#[derive(Clone, Copy, Debug)]
struct Making<W> {
    conn: ConnId,
    /// Whose it is; `None` if they have gone.
    waiter: Option<W>,
    /// Whether they stood in line before.
    stood_in_line: bool,
}

/// pg-pool's pool, for waiters named by tokens `W`.
#[derive(Clone, Debug)]
pub struct PgPool<W> {
    config: PgConfig,
    /// Idle connections, the last returned last.
    store: Store<W>,
    making: Vec<Making<W>>,
    /// When the first idle connection is too old, or a life over; may be too early.
    next: SimTime,
}

impl<W: Copy + PartialEq> PgPool<W> {
    /// An empty pool.
    pub fn new(config: PgConfig) -> Self {
        assert!(config.max > 0 && config.min <= config.max);
        Self { config, store: Store::new(), making: Vec::new(), next: SimTime::NEVER }
    }

    pub(super) fn store(&self) -> &Store<W> {
        &self.store
    }

    pub(super) fn store_mut(&mut self) -> &mut Store<W> {
        &mut self.store
    }

    /// The settings.
    pub fn config(&self) -> &PgConfig {
        &self.config
    }

    /// Calls that wait: in line, or for the connection that is being made for them.
    pub fn waiting(&self) -> usize {
        self.store.waiters.len() + self.making.iter().filter(|m| m.waiter.is_some()).count()
    }

    /// Changes the settings; more room is used at once.
    pub fn reconfigure(&mut self, config: PgConfig, out: &mut Vec<PoolAction<W>>) {
        self.config = config;
        while self.can_pulse() {
            self.pulse(out);
        }
    }

    /// Its process died.
    pub fn reset(&mut self) {
        self.store.reset();
        self.making.clear();
        self.next = SimTime::NEVER;
    }

    fn is_full(&self) -> bool {
        self.store.size() >= self.config.max as usize
    }

    /// Somebody wants a connection.
    pub fn acquire(&mut self, now: SimTime, waiter: W, out: &mut Vec<PoolAction<W>>) {
        if self.store.idle.is_empty() && !self.is_full() {
            return self.make(waiter, false, out);
        }
        self.store.wait(now, waiter);
        self.pulse(out);
    }

    fn make(&mut self, waiter: W, stood_in_line: bool, out: &mut Vec<PoolAction<W>>) {
        let conn = self.store.create(out);
        self.making.push(Making { conn, waiter: Some(waiter), stood_in_line });
    }

    fn can_pulse(&self) -> bool {
        !self.store.waiters.is_empty() && (!self.store.idle.is_empty() || !self.is_full())
    }

    /// Serves the first in line, if there is anything to serve it with.
    fn pulse(&mut self, out: &mut Vec<PoolAction<W>>) {
        if !self.can_pulse() {
            return;
        }
        let Some(waiter) = self.store.waiters.pop() else { return };
        match self.store.idle.pop() {
            Some(conn) => self.store.lend(conn, waiter.token, out),
            None => self.make(waiter.token, true, out),
        }
    }

    fn taken(&mut self, conn: ConnId) -> Option<Making<W>> {
        let at = self.making.iter().position(|m| m.conn == conn)?;
        Some(self.making.remove(at))
    }

    /// A call has waited too long; `true` if it still waited.
    pub fn on_acquire_timeout(&mut self, waiter: W, out: &mut Vec<PoolAction<W>>) -> bool {
        if self.store.leave(waiter) {
            return true;
        }
        let Some(at) = self.making.iter().position(|m| m.waiter == Some(waiter)) else { return false };
        if self.making[at].stood_in_line {
            self.making[at].waiter = None;
        } else {
            let gone = self.making.remove(at);
            self.store.failed(gone.conn);
            self.pulse(out);
        }
        true
    }

    /// A call was called off; `true` if it still waited.
    pub fn abandon(&mut self, waiter: W) -> bool {
        let making = self.making.iter_mut().find(|m| m.waiter == Some(waiter));
        match making {
            Some(making) => {
                making.waiter = None;
                true
            }
            None => self.store.leave(waiter),
        }
    }

    /// A connection stands: it is for whom it was made, or the pool's if they have gone.
    pub fn on_created(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if !self.store.established_now(now, conn) {
            return;
        }
        if let Some(life) = self.config.max_lifetime
            && let Some(kept) = self.store.kept_mut(conn)
        {
            kept.ends = now + life;
            self.next = self.next.min(kept.ends);
        }
        match self.taken(conn).and_then(|m| m.waiter) {
            Some(waiter) => self.store.lend(conn, waiter, out),
            None => self.put_idle(now, conn, out),
        }
        self.store.arm(self.next, out);
    }

    /// A connection could not be made: whom it was for is told, and the next in line makes one.
    pub fn on_create_failed(&mut self, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if !self.store.failed(conn) {
            return;
        }
        let making = self.taken(conn);
        self.pulse(out);
        if let Some(waiter) = making.and_then(|m| m.waiter) {
            out.push(PoolAction::Fail { waiter });
        }
    }

    /// A connection has taken `connection_timeout` to be made. Whom it is for has a timer of their own, unless they
    /// stood in line first.
    pub fn on_connect_timeout(&mut self, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        let has_timer = |m: &Making<W>| m.conn == conn && m.waiter.is_some() && !m.stood_in_line;
        if !self.making.iter().any(has_timer) {
            self.on_create_failed(conn, out);
        }
    }

    /// A connection comes back. One that broke in use is not kept.
    pub fn release(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if !self.store.is_lent(conn) {
            return;
        }
        let is_used_up = self.config.max_uses.is_some_and(|max| self.store.uses(conn) >= max);
        if is_used_up || self.store.kept(conn).is_evicted || !self.store.is_valid(conn) {
            return self.store.close(conn, out);
        }
        self.store.returned(now, conn);
        self.put_idle(now, conn, out);
        self.store.arm(self.next, out);
    }

    fn put_idle(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        let is_above_min = self.store.size() > self.config.min as usize;
        let check = self.config.idle_timeout.filter(|_| is_above_min).map_or(SimTime::NEVER, |t| now + t);
        if let Some(kept) = self.store.kept_mut(conn) {
            kept.check = check;
        }
        self.store.idle.push(conn);
        self.pulse(out);
        if self.store.idle.contains(&conn) {
            self.next = self.next.min(check);
        }
    }

    /// A connection is closed for good: the next in line is served.
    pub fn on_closed(&mut self, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if self.store.closed(conn) {
            self.pulse(out);
        }
    }

    /// Closes what has been idle for too long or lived too long.
    pub fn on_timer(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        self.store.rang(now);
        if self.next <= now {
            let mut at = 0;
            while at < self.store.idle.len() {
                let conn = self.store.idle[at];
                let kept = self.store.kept(conn);
                let is_too_old = kept.check <= now && self.store.size() > self.config.min as usize;
                if kept.ends <= now || is_too_old {
                    self.store.close(conn, out);
                    continue;
                }
                if kept.check <= now
                    && let Some(kept) = self.store.kept_mut(conn)
                {
                    // Its timer has rung, once and in vain.
                    kept.check = SimTime::NEVER;
                }
                at += 1;
            }
            self.expire_lent(now);
            let idle = self.store.idle.iter().map(|id| self.store.kept(*id).check);
            let ends = |k: &super::store::Kept| if k.is_evicted { SimTime::NEVER } else { k.ends };
            let lives = self.store.established().map(|(_, kept)| ends(kept));
            self.next = idle.chain(lives).min().unwrap_or(SimTime::NEVER);
        }
        self.store.arm(self.next, out);
    }

    /// Marks connections in use whose life is over: they are closed when they come back.
    fn expire_lent(&mut self, now: SimTime) {
        let due = |kept: &super::store::Kept| kept.ends <= now && !kept.is_evicted;
        loop {
            let found = self.store.established().find(|(_, kept)| due(kept)).map(|(conn, _)| conn);
            let Some(conn) = found else { return };
            if let Some(kept) = self.store.kept_mut(conn) {
                kept.is_evicted = true;
            }
        }
    }

    /// The server dropped all connections: the idle ones are removed at once.
    pub fn on_server_gone(&mut self, out: &mut Vec<PoolAction<W>>) {
        self.store.invalidate_all();
        while let Some(conn) = self.store.idle.last().copied() {
            self.store.close(conn, out);
        }
    }
}
