//! A pool of connections: few are lent to many, and who finds none waits in line.
//!
//! Intuition: a pool is a queue with a bound on service, so a slow database shows up as a wait for a connection
//! first. The details decide how it fails: every waiter starts a connection of its own up to `max` (a storm after
//! a failover), and a failed connection attempt is answered to whoever stands first in line.
//!
//! ```text
//!              on_created             somebody waits (most recently returned first)
//!   Creating ─────────────► Idle ───────────────────────────────────────────────────► InUse
//!      │                    │  ▲                          release                       │
//!      │                    │  └────────────────────────────────────────────────────────┘
//!      │ on_create_failed   │ reaped, or found invalid          discard, or used up     │
//!      ▼                    └───────────► Closing ◄─────────────────────────────────────┘
//!     gone                                   │ on_closed: `min` is restored, the next waiter is looked at
//!                                            ▼
//!                                           gone
//! ```
//!
//! What surprises, and is so on purpose: (a) `min` is not created in advance, only restored after a close; (b) a
//! failed creation rejects the head waiter, not the one who caused it; (c) a waiter that times out leaves its
//! creation running; (d) a closing connection no longer counts, so the server may see more than `max`; (e) each
//! waiter starts its own creation; (f) an idle connection past its time is still lent until it is reaped; (g) the
//! number of uses is looked at on release only.
//!
//! Source: sequelize-pool 8.0.1, `src/Pool.ts`; checked step by step against recordings of it.

pub mod family;
pub mod hikari;
pub mod http;
pub mod pg;
pub mod proxy;
mod store;

use crate::base::{Arena, Id, SimDuration, SimTime};
use crate::components::queue::Line;

/// The settings of a pool, named as in sequelize-pool 8.0.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolConfig {
    /// Most connections at once, being created included, closing excluded; at least 1.
    pub max: u32,
    /// Connections that closing falls short of only for a moment; at most `max`.
    pub min: u32,
    /// How long a waiter has patience (`acquireTimeoutMillis`, default 30 s). The owner holds the timer.
    pub acquire_timeout: SimDuration,
    /// How long an idle connection is kept (`idleTimeoutMillis`, default 30 s).
    pub idle_timeout: SimDuration,
    /// Time from the arming of the reaper to its round (`reapIntervalMillis`, default 1 s).
    pub reap_interval: SimDuration,
    /// Number of uses after which a connection is closed (`maxUses`); `None` for no bound.
    pub max_uses: Option<u32>,
}

/// One connection, from the start of its making to the end of its closing.
#[derive(Clone, Copy, Default, Debug)]
pub struct Connection {
    state: State,
    uses: u32,
    /// The value of `Pool::epoch` at its opening, or [`INVALID`].
    epoch: u32,
    /// When it may be reaped, if idle.
    expires: SimTime,
    /// What other pools than sequelize-pool's keep of it.
    kept: store::Kept,
}

/// The name of a connection: stale once it is gone.
pub type ConnId = Id<Connection>;

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum State {
    #[default]
    Creating,
    Idle,
    InUse,
    Closing,
}

/// The epoch of connections that were invalidated one by one.
const INVALID: u32 = u32::MAX;

/// What the owner of the pool must do, in the order given.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum PoolAction<W> {
    /// Hand the connection to the waiter.
    Lend {
        /// Who waited.
        waiter: W,
        /// What it gets.
        conn: ConnId,
    },
    /// Start connecting; answer with [`Pool::on_created`] or [`Pool::on_create_failed`].
    Create {
        /// The connection to be.
        conn: ConnId,
    },
    /// Start closing; answer with [`Pool::on_closed`].
    Close {
        /// The connection that was.
        conn: ConnId,
    },
    /// Tell the waiter that a connection could not be created.
    Fail {
        /// Who stood first in line.
        waiter: W,
    },
    /// Turn the waiter away: there is no room (Envoy's limits).
    Refuse {
        /// Who came.
        waiter: W,
    },
    /// Call [`Pool::on_reap`] at this time. Never a second time before it was. (Other pools may ask for an earlier
    /// time meanwhile; being called too early or too often changes nothing.)
    ArmReaper {
        /// When.
        at: SimTime,
    },
}

/// Who has a connection that came back.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum PassedTo<W> {
    /// Nobody: it is idle.
    Nobody,
    /// The first in line.
    Waiter(W),
}

/// A pool of connections for waiters named by tokens `W`.
#[derive(Clone, Debug)]
pub struct Pool<W> {
    config: PoolConfig,
    conns: Arena<Connection>,
    /// Idle connections, the most recently returned last.
    idle: Vec<ConnId>,
    waiters: Line<Waiter<W>>,
    creating: u32,
    in_use: u32,
    /// When the reaper rings, if it is armed.
    reaper_due: Option<SimTime>,
    /// Raised by `invalidate_all`: connections opened in an earlier one are broken.
    epoch: u32,
    /// The shortest patience ever configured: nobody who came later than this ago can time out now.
    acquire_timeout_min: SimDuration,
}

#[derive(Clone, Copy, Debug)]
struct Waiter<W> {
    token: W,
    since: SimTime,
}

impl<W: Copy + PartialEq> Pool<W> {
    /// An empty pool.
    pub fn new(config: PoolConfig) -> Self {
        config.check();
        Self {
            config,
            conns: Arena::new(),
            idle: Vec::new(),
            waiters: Line::new(),
            creating: 0,
            in_use: 0,
            reaper_due: None,
            epoch: 0,
            acquire_timeout_min: config.acquire_timeout,
        }
    }

    /// Changes the settings. Connections above a lower `max` live on until they are closed; a higher `max` is used
    /// from the next call on. (The product has no such thing.)
    pub fn reconfigure(&mut self, config: PoolConfig) {
        config.check();
        self.config = config;
        self.acquire_timeout_min = self.acquire_timeout_min.min(config.acquire_timeout);
    }

    /// Forgets all connections and waiters, as when the process that holds the pool dies. Connections named before
    /// are stale from now on, and a reaper that was armed rings in vain.
    pub fn reset(&mut self) {
        let ids: Vec<ConnId> = self.conns.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.conns.remove(id);
        }
        self.idle.clear();
        self.waiters.clear();
        (self.creating, self.in_use, self.reaper_due) = (0, 0, None);
    }

    /// The settings.
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// Connections that count against `max`: being created, idle and in use.
    #[inline]
    pub fn size(&self) -> usize {
        self.creating as usize + self.idle.len() + self.in_use as usize
    }

    /// Idle connections.
    #[inline]
    pub fn available(&self) -> usize {
        self.idle.len()
    }

    /// Connections lent.
    #[inline]
    pub fn in_use(&self) -> usize {
        self.in_use as usize
    }

    /// Connections on their way out, which count no more but may still be open at the server.
    #[inline]
    pub fn closing(&self) -> usize {
        self.conns.len() - self.size()
    }

    /// Who stands in line.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// Most connections at once.
    #[inline]
    pub fn max(&self) -> usize {
        self.config.max as usize
    }

    /// Somebody wants a connection. The owner sets a timer for `acquire_timeout`, unless it is lent at once.
    #[inline]
    pub fn acquire(&mut self, now: SimTime, waiter: W, out: &mut Vec<PoolAction<W>>) {
        self.waiters.push(Waiter { token: waiter, since: now });
        self.dispense(out);
    }

    /// Lends an idle connection at once, if nobody waits: what [`Pool::acquire`] does nearly always, without the line
    /// and the list of actions. `None` changes nothing, and leaves it to that.
    #[inline]
    pub fn lend_at_once(&mut self) -> Option<ConnId> {
        if !self.waiters.is_empty() {
            return None;
        }
        let conn = *self.idle.last()?;
        let c = self.conns.get_mut(conn).filter(|c| c.epoch == self.epoch)?;
        c.state = State::InUse;
        self.idle.pop();
        self.in_use += 1;
        Some(conn)
    }

    /// Takes a connection back, and lends it to the first in line: what [`Pool::release`] does nearly always. `None`
    /// changes nothing, and leaves it to that.
    #[inline]
    pub fn pass_on(&mut self, now: SimTime, conn: ConnId) -> Option<PassedTo<W>> {
        if self.reaper_due.is_none() || self.config.max_uses.is_some() {
            return None;
        }
        let epoch = self.epoch;
        let c = self.conns.get_mut(conn).filter(|c| c.state == State::InUse && c.epoch == epoch)?;
        c.uses += 1;
        if let Some(waiter) = self.waiters.pop() {
            return Some(PassedTo::Waiter(waiter.token));
        }
        c.state = State::Idle;
        c.expires = now + self.config.idle_timeout;
        self.idle.push(conn);
        self.in_use -= 1;
        Some(PassedTo::Nobody)
    }

    /// A waiter's patience is over, `acquire_timeout` after it came. True if it still waited: it is gone now.
    ///
    /// Cheap whatever the answer: the search ends at the first who came too late to time out by now.
    pub fn on_acquire_timeout(&mut self, now: SimTime, waiter: W) -> bool {
        let patience = self.acquire_timeout_min;
        self.waiters.remove_while(|w| now.since(w.since) >= patience, |w| w.token == waiter)
    }

    /// A waiter was cancelled by its caller. True if it still waited: it is gone now.
    ///
    /// Searches from the oldest; do not ask for those who wait no more, for they are searched in vain.
    pub fn abandon(&mut self, waiter: W) -> bool {
        self.waiters.remove(|w| w.token == waiter)
    }

    /// A connection comes back unharmed, as far as the client knows. Ignored if it is not lent.
    #[inline]
    pub fn release(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        let Some(c) = self.conns.get_mut(conn).filter(|c| c.state == State::InUse) else { return };
        c.uses += 1;
        if self.config.max_uses.is_some_and(|max| c.uses >= max) {
            self.destroy(conn, out);
            self.dispense(out);
        } else {
            self.in_use -= 1;
            self.put_idle(now, conn, out);
        }
    }

    /// The client found a connection broken and throws it away.
    pub fn discard(&mut self, _now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        self.destroy(conn, out);
    }

    /// A connection stands: it goes to the head waiter, whoever that is by now.
    pub fn on_created(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        let epoch = self.epoch;
        let Some(c) = self.conns.get_mut(conn).filter(|c| c.state == State::Creating) else { return };
        c.epoch = epoch;
        self.creating -= 1;
        if self.waiters.is_empty() {
            self.put_idle(now, conn, out);
        } else {
            self.lend(conn, out);
        }
    }

    /// A connection could not be created: the head waiter is told, and the next one starts another.
    pub fn on_create_failed(&mut self, _now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if self.conns.get(conn).is_none_or(|c| c.state != State::Creating) {
            return;
        }
        self.conns.remove(conn);
        self.creating -= 1;
        if let Some(waiter) = self.waiters.pop() {
            out.push(PoolAction::Fail { waiter: waiter.token });
        }
        self.dispense(out);
    }

    /// A connection is closed for good: `min` is restored, and one waiter may start a creation.
    pub fn on_closed(&mut self, _now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        if self.conns.get(conn).is_none_or(|c| c.state != State::Closing) {
            return;
        }
        self.conns.remove(conn);
        self.ensure_min(out);
        self.dispense(out);
    }

    /// The reaper makes its round: closes idle connections past their time, oldest first, down to `min`. Ignored
    /// before the time it is armed for.
    pub fn on_reap(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        if self.reaper_due.is_none_or(|due| now < due) {
            return;
        }
        self.reaper_due = None;
        let removable = self.size().saturating_sub(self.config.min as usize);
        let mut removed = 0;
        let conns = &mut self.conns;
        self.idle.retain(|id| {
            let Some(c) = conns.get_mut(*id).filter(|c| removed < removable && now >= c.expires) else {
                return true;
            };
            c.state = State::Closing;
            removed += 1;
            out.push(PoolAction::Close { conn: *id });
            false
        });
        if !self.idle.is_empty() {
            self.arm_reaper(now, out);
        }
    }

    /// The server dropped this connection: it is found out when it is next to be lent.
    pub fn invalidate(&mut self, conn: ConnId) {
        if let Some(c) = self.conns.get_mut(conn).filter(|c| c.state != State::Creating) {
            c.epoch = INVALID;
        }
    }

    /// The server dropped all connections that stand, as in a failover or a restart.
    pub fn invalidate_all(&mut self) {
        self.epoch += 1;
        debug_assert!(self.epoch < INVALID);
    }

    /// Whether the server still knows this connection.
    pub fn is_valid(&self, conn: ConnId) -> bool {
        self.conns.get(conn).is_some_and(|c| c.epoch == self.epoch)
    }

    /// Whether a connection is still being made.
    pub fn is_creating(&self, conn: ConnId) -> bool {
        self.conns.get(conn).is_some_and(|c| c.state == State::Creating)
    }

    /// Serves one waiter: with the most recently returned valid connection, or by starting a creation.
    #[inline]
    fn dispense(&mut self, out: &mut Vec<PoolAction<W>>) {
        if self.waiters.is_empty() {
            return;
        }
        while let Some(&conn) = self.idle.last() {
            if self.is_valid(conn) {
                self.idle.pop();
                return self.lend(conn, out);
            }
            self.destroy(conn, out);
        }
        if self.size() < self.max() {
            self.create(out);
        }
    }

    #[inline]
    fn lend(&mut self, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        let Some(waiter) = self.waiters.pop() else {
            unreachable!("lend is called only while somebody waits")
        };
        self.set_state(conn, State::InUse);
        self.in_use += 1;
        debug_assert!(self.in_use as usize <= self.conns.len());
        out.push(PoolAction::Lend { waiter: waiter.token, conn });
    }

    #[inline]
    fn put_idle(&mut self, now: SimTime, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        let expires = now + self.config.idle_timeout;
        if let Some(c) = self.conns.get_mut(conn) {
            c.state = State::Idle;
            c.expires = expires;
        }
        self.idle.push(conn);
        self.dispense(out);
        self.arm_reaper(now, out);
    }

    fn create(&mut self, out: &mut Vec<PoolAction<W>>) {
        let conn = Connection {
            state: State::Creating,
            uses: 0,
            epoch: INVALID,
            expires: SimTime::ZERO,
            kept: Default::default(),
        };
        let conn = self.conns.insert(conn);
        self.creating += 1;
        out.push(PoolAction::Create { conn });
    }

    /// Takes a connection out of the pool and starts its closing; only restores `min` if it is not in the pool.
    fn destroy(&mut self, conn: ConnId, out: &mut Vec<PoolAction<W>>) {
        match self.conns.get(conn).map(|c| c.state) {
            Some(State::InUse) => self.in_use -= 1,
            Some(State::Idle) => {
                if let Some(at) = self.idle.iter().rposition(|id| *id == conn) {
                    self.idle.remove(at);
                }
            }
            Some(State::Creating | State::Closing) | None => return self.ensure_min(out),
        }
        self.set_state(conn, State::Closing);
        out.push(PoolAction::Close { conn });
    }

    fn ensure_min(&mut self, out: &mut Vec<PoolAction<W>>) {
        while self.size() < self.config.min as usize {
            self.create(out);
        }
    }

    #[inline]
    fn arm_reaper(&mut self, now: SimTime, out: &mut Vec<PoolAction<W>>) {
        if self.reaper_due.is_none() {
            let at = now + self.config.reap_interval;
            self.reaper_due = Some(at);
            out.push(PoolAction::ArmReaper { at });
        }
    }

    #[inline]
    fn set_state(&mut self, conn: ConnId, state: State) {
        if let Some(c) = self.conns.get_mut(conn) {
            c.state = state;
        }
    }
}

impl PoolConfig {
    fn check(&self) {
        assert!(self.max > 0);
        assert!(self.min <= self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn config(max: u32, min: u32) -> PoolConfig {
        PoolConfig {
            max,
            min,
            acquire_timeout: SimDuration::from_ms(100),
            idle_timeout: SimDuration::from_ms(50),
            reap_interval: SimDuration::from_ms(10),
            max_uses: None,
        }
    }

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_ms(ms)
    }

    /// Plays steps such as `10 a1`, separated by commas, and writes the actions: waiters are numbered by the
    /// script, connections by order of creation. `a` acquire, `t` acquire timeout, `c` created, `f` creation
    /// failed, `r` release, `d` discard, `x` closed, `k` invalidate, `R` reap.
    fn replay(config: PoolConfig, script: &str) -> String {
        let mut pool = Pool::new(config);
        let (mut conns, mut out, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for step in script.split(", ") {
            let (ms, what) = step.split_once(' ').unwrap();
            let (now, number) = (at(ms.parse().unwrap()), what[1..].parse::<usize>().unwrap_or(0));
            match &what[..1] {
                "a" => pool.acquire(now, number, &mut out),
                "t" => told.push(format!("t={}", pool.on_acquire_timeout(now, number))),
                "c" => pool.on_created(now, conns[number], &mut out),
                "f" => pool.on_create_failed(now, conns[number], &mut out),
                "r" => pool.release(now, conns[number], &mut out),
                "d" => pool.discard(now, conns[number], &mut out),
                "x" => pool.on_closed(now, conns[number], &mut out),
                "k" => pool.invalidate(conns[number]),
                _ => pool.on_reap(now, &mut out),
            }
            for action in out.drain(..) {
                if let PoolAction::Create { conn } = action {
                    conns.push(conn);
                }
                let number = |c: ConnId| conns.iter().rposition(|known| *known == c).unwrap();
                told.push(match action {
                    PoolAction::Lend { waiter, conn } => format!("{waiter}<-{}", number(conn)),
                    PoolAction::Create { conn } => format!("+{}", number(conn)),
                    PoolAction::Close { conn } => format!("-{}", number(conn)),
                    PoolAction::Fail { waiter } => format!("!{waiter}"),
                    PoolAction::Refuse { waiter } => format!("x{waiter}"),
                    PoolAction::ArmReaper { at } => format!("R{}", at.ns() / 1_000_000),
                });
            }
        }
        told.join(" ")
    }

    #[test]
    fn edge_a_min_is_not_created_in_advance_but_restored_after_a_close() {
        assert_eq!(replay(config(4, 2), "0 a1, 1 c0, 2 d0, 3 x0"), "+0 1<-0 -0 +1 +2");
    }

    #[test]
    fn edge_b_a_failed_creation_rejects_the_head_waiter() {
        let told = replay(config(2, 0), "0 a1, 0 a2, 1 a3, 5 f1, 6 f0, 7 f2");
        assert_eq!(told, "+0 +1 !1 +2 !2 +3 !3");
    }

    #[test]
    fn edge_c_a_timeout_leaves_the_creation_running() {
        assert_eq!(replay(config(2, 0), "0 a1, 100 t1, 101 t1, 120 c0"), "+0 t=true t=false R130");
    }

    #[test]
    fn edge_d_a_closing_connection_makes_room_at_once() {
        assert_eq!(replay(config(1, 0), "0 a1, 1 c0, 2 d0, 3 a2"), "+0 1<-0 -0 +1");
    }

    #[test]
    fn edge_e_each_waiter_starts_its_own_creation() {
        assert_eq!(replay(config(3, 0), "0 a1, 0 a2, 0 a3, 0 a4, 1 c2"), "+0 +1 +2 1<-2");
    }

    #[test]
    fn edge_f_an_expired_connection_is_lent_until_it_is_reaped() {
        assert_eq!(replay(config(1, 0), "0 a1, 1 c0, 2 r0, 80 a2"), "+0 1<-0 R12 2<-0");
    }

    #[test]
    fn edge_g_uses_are_counted_on_release() {
        let twice = PoolConfig { max_uses: Some(2), ..config(1, 0) };
        assert_eq!(replay(twice, "0 a1, 1 c0, 2 r0, 3 a2, 4 a3, 5 r0"), "+0 1<-0 R12 2<-0 -0 +1");
    }

    #[test]
    fn the_last_returned_is_lent_first_and_the_broken_are_passed_over() {
        let three = "0 a1, 0 a2, 0 a3, 1 c0, 1 c1, 1 c2, 2 r0, 3 r1, 4 r2";
        assert_eq!(replay(config(3, 0), &format!("{three}, 5 a4")), "+0 +1 +2 1<-0 2<-1 3<-2 R12 4<-2");
        let told = replay(config(3, 0), &format!("{three}, 5 k2, 5 k1, 6 a4"));
        assert!(told.ends_with("R12 -2 -1 4<-0"), "{told}");
    }

    #[test]
    fn the_reaper_takes_the_oldest_down_to_min() {
        let three = "0 a1, 0 a2, 0 a3, 1 c0, 1 c1, 1 c2, 2 r0, 3 r1, 4 r2";
        let told = replay(config(3, 1), &format!("{three}, 12 R, 52 R, 62 R, 72 R"));
        assert!(told.ends_with("R12 R22 -0 R62 -1 R72 R82"), "{told}");
    }

    #[test]
    fn invalidating_all_spares_what_is_created_later() {
        let (mut pool, mut out) = (Pool::new(config(2, 0)), Vec::new());
        pool.acquire(at(0), 1, &mut out);
        pool.acquire(at(0), 2, &mut out);
        let ids: Vec<ConnId> = pool.conns.iter().map(|(id, _)| id).collect();
        pool.on_created(at(1), ids[0], &mut out);
        pool.invalidate_all();
        pool.on_created(at(2), ids[1], &mut out);
        assert!(!pool.is_valid(ids[0]));
        assert!(pool.is_valid(ids[1]));
    }

    #[test]
    fn a_reset_pool_knows_no_earlier_connection() {
        let (mut pool, mut out) = (Pool::new(config(2, 0)), Vec::new());
        pool.acquire(at(0), 1, &mut out);
        let (before, _) = pool.conns.iter().next().unwrap();
        pool.reset();
        pool.acquire(at(1), 2, &mut out);
        out.clear();
        pool.on_created(at(2), before, &mut out);
        assert!(out.is_empty());
        assert_eq!((pool.size(), pool.waiting(), pool.in_use(), pool.closing()), (1, 1, 0, 0));
    }

    #[test]
    fn timeouts_are_found_after_the_patience_was_changed() {
        let (mut pool, mut out) = (Pool::new(config(1, 0)), Vec::new());
        pool.acquire(at(0), 1, &mut out);
        pool.reconfigure(PoolConfig { acquire_timeout: SimDuration::from_secs(9), ..config(1, 0) });
        pool.acquire(at(1), 2, &mut out);
        assert!(pool.on_acquire_timeout(at(100), 1));
        assert!(pool.on_acquire_timeout(at(9_001), 2));
        assert!(!pool.abandon(2));
    }

    /// What the world around a pool knows, to be compared with what the pool does.
    #[derive(Default)]
    struct Ledger {
        creating: Vec<ConnId>,
        lent: Vec<ConnId>,
        idle: Vec<ConnId>,
        closing: Vec<ConnId>,
        waiting: VecDeque<u32>,
    }

    impl Ledger {
        fn carry_out(&mut self, action: PoolAction<u32>, max: usize) -> Result<(), TestCaseError> {
            match action {
                PoolAction::Lend { waiter, conn } => {
                    prop_assert_eq!(self.waiting.pop_front(), Some(waiter), "first come, first served");
                    prop_assert!(!self.lent.contains(&conn));
                    self.idle.retain(|c| *c != conn);
                    self.lent.push(conn);
                    prop_assert!(self.lent.len() <= max);
                }
                PoolAction::Create { conn } => self.creating.push(conn),
                PoolAction::Close { conn } => {
                    self.idle.retain(|c| *c != conn);
                    self.lent.retain(|c| *c != conn);
                    prop_assert!(!self.closing.contains(&conn));
                    self.closing.push(conn);
                }
                PoolAction::Fail { waiter } => prop_assert_eq!(self.waiting.pop_front(), Some(waiter)),
                PoolAction::Refuse { .. } | PoolAction::ArmReaper { .. } => {}
            }
            Ok(())
        }

        fn agrees(&self, pool: &Pool<u32>) -> Result<(), TestCaseError> {
            prop_assert_eq!(pool.in_use(), self.lent.len());
            prop_assert_eq!(pool.available(), self.idle.len());
            prop_assert_eq!(pool.closing(), self.closing.len());
            prop_assert_eq!(pool.size(), self.creating.len() + self.idle.len() + self.lent.len());
            prop_assert_eq!(pool.waiting(), self.waiting.len());
            prop_assert!(pool.size() <= pool.max());
            Ok(())
        }
    }

    fn take(list: &mut Vec<ConnId>, index: prop::sample::Index) -> Option<ConnId> {
        (!list.is_empty()).then(|| list.remove(index.index(list.len())))
    }

    proptest! {
        #[test]
        fn never_lends_more_than_max_and_loses_nothing(
            max in 1u32..6,
            min in 0u32..6,
            max_uses in prop_oneof![Just(None), (1u32..4).prop_map(Some)],
            steps in prop::collection::vec((0u8..12, any::<prop::sample::Index>(), 0u64..20), 0..300),
        ) {
            let mut pool = Pool::new(PoolConfig { max_uses, ..config(max, min.min(max)) });
            let (mut ledger, mut out, mut ms) = (Ledger::default(), Vec::new(), 0);
            for (number, (action, index, pause)) in (0u32..).zip(steps) {
                ms += pause;
                let now = at(ms);
                match action {
                    0..4 => {
                        ledger.waiting.push_back(number);
                        pool.acquire(now, number, &mut out);
                    }
                    4 | 5 => if let Some(conn) = take(&mut ledger.creating, index) {
                        if ledger.waiting.is_empty() { ledger.idle.push(conn); }
                        pool.on_created(now, conn, &mut out);
                    },
                    6 => if let Some(conn) = take(&mut ledger.creating, index) {
                        pool.on_create_failed(now, conn, &mut out);
                    },
                    7 => if let Some(conn) = take(&mut ledger.lent, index) {
                        ledger.idle.push(conn);
                        pool.release(now, conn, &mut out);
                    },
                    8 => if let Some(conn) = take(&mut ledger.lent, index) {
                        pool.discard(now, conn, &mut out);
                    },
                    9 => if let Some(conn) = take(&mut ledger.closing, index) {
                        pool.on_closed(now, conn, &mut out);
                    },
                    10 if ledger.waiting.is_empty() => pool.on_reap(now, &mut out),
                    10 => {
                        let gone = ledger.waiting.remove(index.index(ledger.waiting.len())).unwrap();
                        prop_assert!(pool.abandon(gone));
                    }
                    _ => if let Some(conn) = ledger.idle.first() { pool.invalidate(*conn); },
                }
                for action in out.drain(..) {
                    ledger.carry_out(action, max as usize)?;
                }
                ledger.agrees(&pool)?;
            }
        }
    }
}
