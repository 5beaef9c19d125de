//! What the pools beside sequelize-pool's have in common: connections by state, and the line of those who wait.

use super::{Arena, ConnId, Connection, INVALID, Line, PoolAction, SimTime, State, Waiter};

/// What is kept of a connection for its life.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    /// When it was established.
    pub created: SimTime,
    /// When it last came back, or was established.
    pub used: SimTime,
    /// When its life is over.
    pub ends: SimTime,
    /// When it is next looked after while idle.
    pub check: SimTime,
    /// From one such look to the next, in nanoseconds.
    pub every: u64,
    /// Whether it is to be closed when it comes back.
    pub is_evicted: bool,
}

/// Connections and waiters.
#[derive(Clone, Debug)]
pub(super) struct Store<W> {
    conns: Arena<Connection>,
    /// Idle connections, in an order of the owner's.
    pub idle: Vec<ConnId>,
    pub waiters: Line<Waiter<W>>,
    creating: u32,
    in_use: u32,
    epoch: u32,
    /// The earliest time at which the owner has asked to be called.
    armed: Option<SimTime>,
}

impl<W: Copy + PartialEq> Store<W> {
    pub fn new() -> Self {
        Self {
            conns: Arena::new(),
            idle: Vec::new(),
            waiters: Line::new(),
            creating: 0,
            in_use: 0,
            epoch: 0,
            armed: None,
        }
    }

    /// Forgets everything; ids named before are stale.
    pub fn reset(&mut self) {
        let ids: Vec<ConnId> = self.conns.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.conns.remove(id);
        }
        self.idle.clear();
        self.waiters.clear();
        (self.creating, self.in_use, self.armed) = (0, 0, None);
    }

    pub fn size(&self) -> usize {
        self.creating as usize + self.standing()
    }

    /// Connections that are established.
    pub fn standing(&self) -> usize {
        self.idle.len() + self.in_use as usize
    }

    pub fn creating(&self) -> usize {
        self.creating as usize
    }

    pub fn in_use(&self) -> usize {
        self.in_use as usize
    }

    pub fn closing(&self) -> usize {
        self.conns.len() - self.size()
    }

    pub fn is_valid(&self, conn: ConnId) -> bool {
        self.conns.get(conn).is_some_and(|c| c.epoch == self.epoch)
    }

    pub fn invalidate_all(&mut self) {
        self.epoch += 1;
        debug_assert!(self.epoch < INVALID);
    }

    pub fn invalidate(&mut self, conn: ConnId) {
        if let Some(c) = self.conns.get_mut(conn).filter(|c| c.state != State::Creating) {
            c.epoch = INVALID;
        }
    }

    pub fn is_lent(&self, conn: ConnId) -> bool {
        self.conns.get(conn).is_some_and(|c| c.state == State::InUse)
    }

    pub fn is_creating(&self, conn: ConnId) -> bool {
        self.conns.get(conn).is_some_and(|c| c.state == State::Creating)
    }

    pub fn kept(&self, conn: ConnId) -> Kept {
        self.conns.get(conn).map_or(Kept::default(), |c| c.kept)
    }

    pub fn kept_mut(&mut self, conn: ConnId) -> Option<&mut Kept> {
        self.conns.get_mut(conn).map(|c| &mut c.kept)
    }

    /// All connections that are established, in order of slot.
    pub fn established(&self) -> impl Iterator<Item = (ConnId, &Kept)> {
        let stands = |c: &Connection| matches!(c.state, State::Idle | State::InUse);
        self.conns.iter().filter(move |(_, c)| stands(c)).map(|(id, c)| (id, &c.kept))
    }

    pub fn wait(&mut self, now: SimTime, token: W) {
        self.waiters.push(Waiter { token, since: now });
    }

    pub fn leave(&mut self, token: W) -> bool {
        self.waiters.remove(|w| w.token == token)
    }

    pub fn create(&mut self, out: &mut Vec<PoolAction<W>>) -> ConnId {
        let conn = Connection {
            state: State::Creating,
            uses: 0,
            epoch: INVALID,
            expires: SimTime::ZERO,
            kept: Kept::default(),
        };
        let conn = self.conns.insert(conn);
        self.creating += 1;
        out.push(PoolAction::Create { conn });
        conn
    }

    /// A connection stands now, and is idle but in no list; `false` if it is not known.
    pub fn established_now(&mut self, now: SimTime, conn: ConnId) -> bool {
        let epoch = self.epoch;
        let Some(c) = self.conns.get_mut(conn).filter(|c| c.state == State::Creating) else { return false };
        c.state = State::Idle;
        c.epoch = epoch;
        c.kept = Kept { created: now, used: now, ends: SimTime::NEVER, check: SimTime::NEVER, ..c.kept };
        self.creating -= 1;
        true
    }

    /// An attempt failed; `false` if it is not known.
    pub fn failed(&mut self, conn: ConnId) -> bool {
        if !self.is_creating(conn) {
            return false;
        }
        self.conns.remove(conn);
        self.creating -= 1;
        true
    }

    /// Hands a connection that is in no list to somebody.
    pub fn lend(&mut self, conn: ConnId, waiter: W, out: &mut Vec<PoolAction<W>>) {
        if let Some(c) = self.conns.get_mut(conn) {
            c.state = State::InUse;
            c.uses += 1;
            self.in_use += 1;
        }
        out.push(PoolAction::Lend { waiter, conn });
    }

    pub fn uses(&self, conn: ConnId) -> u32 {
        self.conns.get(conn).map_or(0, |c| c.uses)
    }

    /// A lent connection is idle again, but in no list yet.
    pub fn returned(&mut self, now: SimTime, conn: ConnId) {
        if let Some(c) = self.conns.get_mut(conn).filter(|c| c.state == State::InUse) {
            c.state = State::Idle;
            c.kept.used = now;
            self.in_use -= 1;
        }
    }

    /// Starts the closing of a connection, wherever it is.
    pub fn close(&mut self, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        let Some(c) = self.conns.get_mut(conn) else { return };
        match c.state {
            State::InUse => self.in_use -= 1,
            State::Idle => self.idle.retain(|id| *id != conn),
            State::Creating | State::Closing => return,
        }
        c.state = State::Closing;
        out.push(PoolAction::Close { conn });
    }

    /// A connection is closed for good; `false` if it is not known.
    pub fn closed(&mut self, conn: ConnId) -> bool {
        let closing = self.conns.get(conn).is_some_and(|c| c.state == State::Closing);
        closing && self.conns.remove(conn).is_some()
    }

    /// Asks to be called at `at`, unless an earlier call is on its way.
    pub fn arm(&mut self, at: SimTime, out: &mut Vec<PoolAction<W>>) {
        if at < SimTime::NEVER && self.armed.is_none_or(|armed| at < armed) {
            self.armed = Some(at);
            out.push(PoolAction::ArmReaper { at });
        }
    }

    /// A call has come: it is on its way no more.
    pub fn rang(&mut self, now: SimTime) {
        if self.armed.is_some_and(|at| at <= now) {
            self.armed = None;
        }
    }
}
