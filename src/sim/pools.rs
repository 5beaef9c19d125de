//! Pools of connections: the world around the pure pool.

use super::event::Event;
use super::frame::{Frame, Kind, LayerState};
use super::layers::sample;
use super::{FrameId, Task, World};
use crate::base::{Outcome, SimTime, mix};
use crate::components::pool::{ConnId, PoolAction};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::{LayerKind, SlotUse};

/// What the world keeps of a pool.
#[derive(Clone, Debug)]
pub(super) struct PoolState {
    /// The layer that configures it now.
    pub layer: u32,
    /// The group that its connections go to.
    pub group: u32,
    /// Its meters.
    pub meters: u32,
    /// Connections that the server counts.
    pub open: u32,
    /// The calling instance, counted within its group.
    owner: u64,
    /// Connections it has begun to open: each draws a time of its own.
    creations: u64,
    /// Size, lent and waiting when the gauges were last moved.
    shown: (usize, usize, usize),
}

impl PoolState {
    pub fn new(slot: &SlotUse, index: u32) -> Self {
        Self {
            owner: u64::from(index - slot.first),
            layer: slot.layer,
            group: slot.callee_group,
            meters: slot.meters,
            open: 0,
            creations: 0,
            shown: (0, 0, 0),
        }
    }
}

impl<O: Observer> World<'_, O> {
    /// Asks a pool for a connection; `true` if `frame` has one at once.
    pub(super) fn acquire(&mut self, now: SimTime, pool: usize, frame: FrameId) -> bool {
        let mut actions = std::mem::take(&mut self.pool_actions);
        self.pools[pool].acquire(now, frame, &mut actions);
        let served = self.act(now, pool, &mut actions, frame);
        self.pool_actions = actions;
        served
    }

    pub(super) fn release(&mut self, now: SimTime, pool: usize, conn: ConnId) {
        let mut actions = std::mem::take(&mut self.pool_actions);
        self.pools[pool].release(now, conn, &mut actions);
        self.act(now, pool, &mut actions, FrameId::NONE);
        self.pool_actions = actions;
    }

    /// A call has waited too long. It is counted, and not in the time that calls wait for the connection they get.
    pub(super) fn acquire_timed_out(&mut self, now: SimTime, pool: usize, frame: FrameId) {
        self.pools[pool].on_acquire_timeout(now, frame);
        let meters = self.model.catalog.layers[self.pool_states[pool].meters as usize];
        self.observer.count(meters.rejected);
        self.show(now, pool);
    }

    pub(super) fn abandon_acquire(&mut self, now: SimTime, pool: usize, frame: FrameId) {
        self.pools[pool].abandon(frame);
        self.show(now, pool);
    }

    pub(super) fn on_pool_connected(&mut self, now: SimTime, pool: u32, conn: ConnId) {
        let pool = pool as usize;
        let mut actions = std::mem::take(&mut self.pool_actions);
        self.connected(now, pool, conn, &mut actions);
        self.act(now, pool, &mut actions, FrameId::NONE);
        self.pool_actions = actions;
    }

    pub(super) fn on_pool_reap(&mut self, now: SimTime, pool: u32) {
        let pool = pool as usize;
        let mut actions = std::mem::take(&mut self.pool_actions);
        self.pools[pool].on_reap(now, &mut actions);
        self.act(now, pool, &mut actions, FrameId::NONE);
        self.pool_actions = actions;
    }

    /// The server takes a new connection, or refuses it.
    fn connected(&mut self, now: SimTime, pool: usize, conn: ConnId, out: &mut Vec<PoolAction<FrameId>>) {
        let before = self.pools[pool].size();
        let group = self.pool_states[pool].group;
        if self.accepts_connection(now, group) {
            self.pools[pool].on_created(now, conn, out);
            // A pool that was reset since knows nothing of this connection.
            if self.pools[pool].is_valid(conn) {
                self.pool_states[pool].open += 1;
                self.count_connections(now, group, 1);
            }
        } else {
            self.pools[pool].on_create_failed(now, conn, out);
        }
        debug_assert!(self.pools[pool].size() <= before.max(self.pools[pool].max()));
    }

    /// Does what a pool has decided; `true` if `frame` was lent a connection. What follows from connections that
    /// open in no time is appended to `actions` and done too.
    fn act(
        &mut self,
        now: SimTime,
        pool: usize,
        actions: &mut Vec<PoolAction<FrameId>>,
        frame: FrameId,
    ) -> bool {
        let mut served = false;
        let mut at = 0;
        while at < actions.len() {
            let action = actions[at];
            at += 1;
            match action {
                PoolAction::Lend { waiter, conn } => {
                    self.lent(now, pool, waiter, conn);
                    if waiter == frame {
                        served = true;
                    } else {
                        self.tasks.push_back(Task::Down(waiter));
                    }
                }
                PoolAction::Create { conn } => self.create(now, pool, conn, actions),
                PoolAction::Close { conn } => {
                    if self.pools[pool].is_valid(conn) {
                        self.pool_states[pool].open -= 1;
                        let group = self.pool_states[pool].group;
                        self.count_connections(now, group, -1);
                    }
                    self.pools[pool].on_closed(now, conn, actions);
                }
                PoolAction::Fail { waiter } => {
                    if let Some(gone) = self.frames.remove(waiter) {
                        self.tasks.push_back(Task::Up(gone.parent, Outcome::Error));
                    }
                }
                PoolAction::ArmReaper { at } => {
                    self.queue.schedule(at, Rank::Timer, Event::PoolReap { pool: pool as u32 });
                }
            }
        }
        actions.clear();
        self.show(now, pool);
        served
    }

    fn create(&mut self, now: SimTime, pool: usize, conn: ConnId, out: &mut Vec<PoolAction<FrameId>>) {
        let state = &mut self.pool_states[pool];
        let LayerKind::Pool { connect, .. } = &self.model.layers[state.layer as usize].kind else { return };
        state.creations += 1;
        let key = mix(mix(self.streams.key("pools", "connect"), state.owner), state.creations);
        let delay = sample(connect, key);
        if delay.is_zero() {
            self.connected(now, pool, conn, out);
        } else {
            let event = Event::PoolConnected { pool: pool as u32, conn };
            self.queue.schedule(now + delay, Rank::Completion, event);
        }
    }

    fn lent(&mut self, now: SimTime, pool: usize, waiter: FrameId, lent: ConnId) {
        let meters = self.model.catalog.layers[self.pool_states[pool].meters as usize];
        if let Some(Frame {
            kind: Kind::Layer { state: LayerState::Pool { conn, since, waiting }, .. },
            ..
        }) = self.frames.get_mut(waiter)
        {
            *conn = lent;
            *waiting = false;
            let waited = now.since(*since);
            self.observer.timed(meters.wait, waited);
        }
    }

    /// Moves the gauges to where the pool is now.
    fn show(&mut self, now: SimTime, pool: usize) {
        let p = &self.pools[pool];
        let is = (p.size(), p.in_use(), p.waiting());
        let state = &mut self.pool_states[pool];
        let was = std::mem::replace(&mut state.shown, is);
        let gauge = self.model.catalog.layers[state.meters as usize].gauge;
        for (offset, (is, was)) in [(is.0, was.0), (is.1, was.1), (is.2, was.2)].into_iter().enumerate() {
            if is != was {
                self.observer.moved(now, gauge + offset as u32, is as i64 - was as i64);
            }
        }
    }

    /// The calling process is gone, and its pool with it.
    pub(super) fn reset_pool(&mut self, now: SimTime, pool: usize) {
        let open = std::mem::take(&mut self.pool_states[pool].open);
        let group = self.pool_states[pool].group;
        self.count_connections(now, group, -i64::from(open));
        self.pools[pool].reset();
        self.show(now, pool);
    }

    /// The server is gone, and all connections to it.
    pub(super) fn break_connections(&mut self, group: u32) {
        for (pool, state) in self.pools.iter_mut().zip(&mut self.pool_states) {
            if state.group == group {
                pool.invalidate_all();
                state.open = 0;
            }
        }
    }
}
