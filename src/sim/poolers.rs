//! Proxies in front of databases: their clients, and who keeps a server connection.
//!
//! A proxy's pool is the innermost layer of every call to its database, and one for all who call it. A client is a
//! connection of a caller's pool, or a call without a pool. What a client keeps after a call (in session mode, or
//! pinned) is a *session*; it ends when the client's connection does.

use super::frame::{Call, Frame, Kind, LayerState, NO_POOL};
use super::{FrameId, World};
use crate::base::SimTime;
use crate::components::pool::ConnId;
use crate::metrics::Observer;

/// Where the counter of refused clients is, from a pool's first one.
const REFUSED: u32 = 2;
/// Where the gauge of clients is, from a pool's first one.
const CLIENTS: u32 = 3;

/// A connection of a caller's pool.
type Client = (u32, ConnId);

impl<O: Observer> World<'_, O> {
    /// The proxy that a pool's connections go to, if they do.
    pub(super) fn pooler_before(&self, pool: usize) -> Option<usize> {
        let pooler = self.groups[self.pool_states[pool].group as usize].pooler?;
        (pooler as usize != pool).then_some(pooler as usize)
    }

    /// A pool has so many connections more, or fewer: at the proxy in front of the server, or at the server.
    pub(super) fn count_open(&mut self, now: SimTime, pool: usize, delta: i64) {
        match self.pooler_before(pool) {
            Some(pooler) => self.count_clients(now, pooler, delta),
            None => {
                let group = self.pool_states[pool].group;
                self.count_connections(now, group, delta);
            }
        }
    }

    fn count_clients(&mut self, now: SimTime, pooler: usize, delta: i64) {
        let state = &self.pool_states[pooler];
        let meters = self.model.catalog.layers[state.meters as usize];
        let clients = &mut self.groups[state.group as usize].clients;
        *clients = (i64::from(*clients) + delta).max(0) as u32;
        self.observer.moved(now, meters.gauge + CLIENTS, delta);
    }

    /// Whether a proxy takes one more client; if not, that is counted.
    pub(super) fn accepts_client(&mut self, now: SimTime, pooler: usize) -> bool {
        let group = self.pool_states[pooler].group as usize;
        let most = self.settings().groups[group].clients_max;
        let has_room = most.is_none_or(|most| self.groups[group].clients < most);
        let mut is_taken = has_room;
        if has_room {
            self.tell_pool(now, pooler, |p, out| is_taken = p.on_client(now, out));
        }
        if !is_taken {
            let meters = self.model.catalog.layers[self.pool_states[pooler].meters as usize];
            self.observer.count(meters.more + REFUSED);
        }
        is_taken
    }

    /// A call without a pool connects to a proxy.
    pub(super) fn client_connects(&mut self, now: SimTime, pooler: usize) -> bool {
        let is_taken = self.accepts_client(now, pooler);
        if is_taken {
            self.count_clients(now, pooler, 1);
        }
        is_taken
    }

    /// A call without a pool disconnects.
    pub(super) fn client_leaves(&mut self, now: SimTime, pooler: usize) {
        self.count_clients(now, pooler, -1);
    }

    /// The connection of a caller's pool through which a call came to the frame `above`.
    fn client_of(&self, call: &Call, above: FrameId) -> Option<Client> {
        if call.pool_layer == NO_POOL {
            return None;
        }
        let mut id = above;
        loop {
            let frame: &Frame = self.frames.get(id)?;
            match &frame.kind {
                Kind::Layer { layer, state: LayerState::Pool { conn, .. }, .. }
                    if *layer == call.pool_layer =>
                {
                    return Some((self.slot(*layer, call) as u32, *conn));
                }
                Kind::Layer { .. } | Kind::Attempt { .. } => id = frame.parent,
                _ => return None,
            }
        }
    }

    /// The server connection that the client of a call keeps.
    pub(super) fn session_of(&self, pooler: usize, call: &Call, above: FrameId) -> Option<ConnId> {
        let client = self.client_of(call, above)?;
        let mut sessions = self.pool_states[pooler].sessions.iter();
        sessions.find(|(pool, conn, _)| (*pool, *conn) == client).map(|(_, _, server)| *server)
    }

    /// A call that held a server connection is over: its client keeps it, or it goes back.
    pub(super) fn leave_session(
        &mut self,
        now: SimTime,
        pooler: usize,
        call: &Call,
        above: FrameId,
        (server, is_kept): (ConnId, bool),
    ) {
        let client = self.client_of(call, above);
        let is_broken = !self.pools[pooler].is_valid(server);
        if is_broken && let Some(client) = client {
            // Who was cut off in the middle is disconnected.
            self.break_client(now, client);
        }
        let keeper =
            client.filter(|(pool, conn)| is_kept && !is_broken && self.pools[*pool as usize].is_valid(*conn));
        let sessions = &mut self.pool_states[pooler].sessions;
        match keeper {
            Some((pool, conn)) => {
                if !sessions.iter().any(|(.., s)| *s == server) {
                    sessions.push((pool, conn, server));
                }
            }
            None => {
                sessions.retain(|(.., s)| *s != server);
                self.release(now, pooler, server);
            }
        }
    }

    /// A client has waited too long for a server connection, and is disconnected.
    pub(super) fn client_waited_too_long(
        &mut self,
        now: SimTime,
        pooler: usize,
        call: &Call,
        frame: FrameId,
        state: LayerState,
    ) {
        let above = self.frames.get(frame).map_or(FrameId::NONE, |f| f.parent);
        if let LayerState::Pool { is_client: true, .. } = state {
            self.client_leaves(now, pooler);
        } else if let Some(client) = self.client_of(call, above) {
            self.break_client(now, client);
        }
    }

    /// The other end closes a connection of a caller's pool, which finds out when it next looks at it.
    pub(super) fn break_client(&mut self, now: SimTime, (pool, conn): Client) {
        let pool = pool as usize;
        if self.pools[pool].is_valid(conn) {
            self.pool_states[pool].open -= 1;
            self.count_open(now, pool, -1);
            self.pools[pool].invalidate(conn);
        }
    }

    /// A connection of a caller's pool is closed: what it kept goes back.
    pub(super) fn end_session(&mut self, now: SimTime, pool: usize, conn: ConnId) {
        let Some(pooler) = self.pooler_before(pool) else { return };
        let sessions = &mut self.pool_states[pooler].sessions;
        let Some(at) = sessions.iter().position(|(p, c, _)| (*p as usize, *c) == (pool, conn)) else {
            return;
        };
        let (_, _, server) = sessions.remove(at);
        self.release(now, pooler, server);
    }

    /// A caller's pool is gone: all that it kept goes back.
    pub(super) fn end_sessions(&mut self, now: SimTime, pool: usize) {
        let Some(pooler) = self.pooler_before(pool) else { return };
        while let Some(at) = self.pool_states[pooler].sessions.iter().position(|(p, ..)| *p as usize == pool)
        {
            let (_, _, server) = self.pool_states[pooler].sessions.remove(at);
            self.release(now, pooler, server);
        }
    }

    /// The server of a proxy is gone: clients that kept a connection to it are disconnected.
    pub(super) fn break_sessions(&mut self, now: SimTime, pooler: usize) {
        while let Some((pool, conn, server)) = self.pool_states[pooler].sessions.pop() {
            self.break_client(now, (pool, conn));
            self.release(now, pooler, server);
        }
    }
}
