//! Connections of HTTP: Envoy's pool with its limits ("circuit breakers"), and keep-alive pools of plain clients.
//!
//! Intuition: Envoy's circuit breaker has no state and no memory. It counts what is under way, and turns away what
//! would be too much, at once; the moment something ends, there is room again. With HTTP/1.1 a connection carries one
//! request at a time, with HTTP/2 many, so there the limit on requests is the one that counts.
//!
//! What surprises: (a) a request that waits for the connection that is being made for it is pending, too, so a low
//! `max_pending_requests` turns away bursts that `max_connections` would carry; (b) one connection is made even if
//! there may be none; (c) a connection that cannot be made fails all that wait; (d) the last connection to become free
//! is used first; (e) a server that closes idle connections sooner than the client does so in the very moment in which
//! some request is sent: that one fails although both are well.
//!
//! Source: Envoy 1.40, `conn_pool_base.cc`, `resource_manager_impl.h`; counts checked against a recording of it.

use super::store::Store;
use super::{ConnId, PoolAction};
use crate::base::{SimDuration, SimTime};

/// The settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HttpConfig {
    /// Most connections (`max_connections`).
    pub max_connections: u32,
    /// Most requests that wait for a connection (`max_pending_requests`).
    pub max_pending_requests: u32,
    /// Most requests on connections (`max_requests`).
    pub max_requests: u32,
    /// Requests that a connection carries at once: 1 for HTTP/1.1, `max_concurrent_streams` for HTTP/2; at least 1.
    pub streams: u32,
    /// The longest time that the making of a connection takes.
    pub connect_timeout: Option<SimDuration>,
    /// How long the client keeps an idle connection.
    pub idle_timeout: Option<SimDuration>,
    /// How long the server keeps an idle connection.
    pub keep_alive: Option<SimDuration>,
    /// A request that is sent so shortly before or after the server closes its connection is lost.
    pub race: SimDuration,
}

/// A pool of connections that carry one request each, or many, for waiters named by tokens `W`.
#[derive(Clone, Debug)]
pub struct HttpPool<W> {
    config: HttpConfig,
    store: Store<W>,
    /// Connections with room for another request, the last to have become so last; those without any are also idle
    /// in the store.
    ready: Vec<ConnId>,
    /// Requests on each connection that carries any.
    carried: Vec<(ConnId, u32)>,
    requests: u32,
}

impl<W: Copy + PartialEq> HttpPool<W> {
    /// An empty pool.
    pub fn new(config: HttpConfig) -> Self {
        assert!(config.streams > 0);
        Self { config, store: Store::new(), ready: Vec::new(), carried: Vec::new(), requests: 0 }
    }

    pub(super) fn store(&self) -> &Store<W> {
        &self.store
    }

    pub(super) fn store_mut(&mut self) -> &mut Store<W> {
        &mut self.store
    }

    /// The settings.
    pub fn config(&self) -> &HttpConfig {
        &self.config
    }

    /// Requests on connections.
    pub fn requests(&self) -> u32 {
        self.requests
    }

    /// Most connections at once.
    pub fn most(&self) -> u32 {
        self.config.max_connections.max(1)
    }

    /// Changes the settings; more room is used at once.
    pub fn reconfigure(&mut self, now: SimTime, config: HttpConfig, out: &mut Vec<PoolAction<W>>) {
        self.config = config;
        let (store, carried) = (&self.store, &self.carried);
        let has_room = |conn: ConnId| {
            let carries = carried.iter().find(|(c, _)| *c == conn).map_or(0, |(_, n)| *n);
            store.is_valid(conn) && carries < config.streams
        };
        self.ready = store.established().map(|(conn, _)| conn).filter(|conn| has_room(*conn)).collect();
        self.serve(now, out);
        self.watch(now, out);
    }

    /// Its process died.
    pub fn reset(&mut self) {
        self.store.reset();
        self.ready.clear();
        self.carried.clear();
        self.requests = 0;
    }

    /// A request comes: it goes out on a connection, waits for one, or is turned away.
    pub fn acquire(&mut self, now: SimTime, waiter: W, out: &mut Vec<PoolAction<W>>) {
        if !self.ready.is_empty() && self.store.waiters.is_empty() {
            return self.attach(now, waiter, out);
        }
        if self.store.waiters.len() >= self.config.max_pending_requests as usize {
            return out.push(PoolAction::Refuse { waiter });
        }
        self.store.wait(now, waiter);
        self.connect(out);
    }

    /// Puts a request on a connection with room.
    fn attach(&mut self, now: SimTime, waiter: W, out: &mut Vec<PoolAction<W>>) {
        if self.requests >= self.config.max_requests {
            return out.push(PoolAction::Refuse { waiter });
        }
        let Some(conn) = self.ready.last().copied() else { return };
        let idle = self.store.idle.iter().position(|c| *c == conn);
        if idle.is_some() && self.is_being_closed(now, conn) {
            self.ready.pop();
            self.store.close(conn, out);
            return out.push(PoolAction::Fail { waiter });
        }
        self.requests += 1;
        let carries = match idle {
            Some(at) => {
                self.store.idle.remove(at);
                self.store.lend(conn, waiter, out);
                self.carried.push((conn, 1));
                1
            }
            None => {
                out.push(PoolAction::Lend { waiter, conn });
                let Some((_, carries)) = self.carried.iter_mut().find(|(c, _)| *c == conn) else { return };
                *carries += 1;
                *carries
            }
        };
        if carries >= self.config.streams {
            self.ready.pop();
        }
    }

    /// Whether the server is about to close an idle connection, or has, and the client does not know yet.
    fn is_being_closed(&self, now: SimTime, conn: ConnId) -> bool {
        let idle = now.since(self.store.kept(conn).used);
        self.config.keep_alive.is_some_and(|keep| idle + self.config.race > keep)
    }

    /// A request is over. A connection that broke is closed with its last request.
    pub fn release(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        let Some(at) = self.carried.iter().position(|(c, _)| *c == conn) else { return };
        self.requests -= 1;
        self.carried[at].1 -= 1;
        let carries = self.carried[at].1;
        let is_valid = self.store.is_valid(conn);
        if carries == 0 {
            self.carried.swap_remove(at);
            if is_valid {
                self.store.returned(now, conn);
                self.store.idle.push(conn);
            } else {
                self.ready.retain(|c| *c != conn);
                return self.store.close(conn, out);
            }
        }
        if is_valid && carries < self.config.streams && !self.ready.contains(&conn) {
            self.ready.push(conn);
        }
        self.serve(now, out);
        self.watch(now, out);
    }

    /// A connection stands.
    pub fn on_created(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if !self.store.established_now(now, conn) {
            return;
        }
        self.store.idle.push(conn);
        self.ready.push(conn);
        self.serve(now, out);
        self.watch(now, out);
    }

    /// A connection could not be made: all who wait are told.
    pub fn on_create_failed(&mut self, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if self.store.failed(conn) {
            while let Some(waiter) = self.store.waiters.pop() {
                out.push(PoolAction::Fail { waiter: waiter.token });
            }
        }
    }

    /// A connection is closed for good: another is made if somebody waits.
    pub fn on_closed(&mut self, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if self.store.closed(conn) {
            self.connect(out);
        }
    }

    /// Closes what has been idle for too long, by the client's patience or the server's.
    pub fn on_timer(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        self.store.rang(now);
        let mut at = 0;
        while at < self.store.idle.len() {
            let conn = self.store.idle[at];
            if self.ends(conn) <= now {
                self.ready.retain(|c| *c != conn);
                self.store.close(conn, out);
            } else {
                at += 1;
            }
        }
        self.watch(now, out);
    }

    /// The server dropped all connections: the idle ones are closed at once, the others when their requests end.
    pub fn on_server_gone(&mut self, out: &mut Vec<PoolAction<W>>) {
        self.store.invalidate_all();
        self.ready.clear();
        while let Some(conn) = self.store.idle.last().copied() {
            self.store.close(conn, out);
        }
    }

    fn serve(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        while !self.ready.is_empty()
            && let Some(waiter) = self.store.waiters.pop()
        {
            self.attach(now, waiter.token, out);
        }
        self.connect(out);
    }

    /// Makes connections while more wait than those under way will carry.
    fn connect(&mut self, out: &mut Vec<PoolAction<W>>) {
        let coming = |store: &Store<W>| store.creating() as u64 * u64::from(self.config.streams);
        while self.store.waiters.len() as u64 > coming(&self.store)
            && self.store.size() < self.most() as usize
        {
            self.store.create(out);
        }
    }

    /// When an idle connection is closed.
    fn ends(&self, conn: ConnId) -> SimTime {
        let used = self.store.kept(conn).used;
        let client = self.config.idle_timeout.map_or(SimTime::NEVER, |t| used + t);
        let server = self.config.keep_alive.map_or(SimTime::NEVER, |t| used + t + self.config.race);
        client.min(server)
    }

    fn watch(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        // The first in the list is idle for longest: they come back one after the other.
        if let Some(conn) = self.store.idle.first().copied() {
            self.store.arm(self.ends(conn).max(now), out);
        }
    }
}
