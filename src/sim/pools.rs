//! Pools of connections: the world around the pure pools.

use super::event::Event;
use super::frame::{Call, Frame, Kind, LayerState, NO_POOL};
use super::instances::Condition;
use super::layers::{Passage, sample};
use super::{FrameId, Task, World};
use crate::base::{Id, Outcome, SimDuration, SimTime, mix, salt, uniform_of};
use crate::components::pool::family::{AnyPool, AnyPoolConfig};
use crate::components::pool::{ConnId, PassedTo, PoolAction};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::metrics::trace::Wait;
use crate::model::{Caller, LayerKind, Model, SlotUse};

/// Where a pool's further counters are, from its first one.
const ATTEMPTS: u32 = 0;
const FAILED: u32 = 1;

/// Where a pool's further gauges are, from that of its size.
const IN_USE: u32 = 1;
const WAITING: u32 = 2;

/// What the world keeps of a pool.
#[derive(Clone, Debug)]
pub(super) struct PoolState {
    /// The layer that configures it now.
    pub layer: u32,
    /// The group that its connections go to.
    pub group: u32,
    /// Its meters.
    pub meters: u32,
    /// Its first gauge and its timer, which every call moves.
    gauge: u32,
    wait: u32,
    /// Connections that the server counts, or the proxy in front of it.
    pub open: u32,
    /// Whether it is that of a proxy in front of a database.
    pub is_pooler: bool,
    /// Of a proxy: who keeps which of its connections: pool and connection of the client, and the one to the server.
    pub sessions: Vec<(u32, ConnId, ConnId)>,
    /// The group whose process holds it; `None` for a client population's, or one that is shared.
    caller: Option<u32>,
    /// The calling instance, counted within its group.
    owner: u64,
    /// Connections it has begun to open: each draws a time of its own.
    creations: u64,
    /// Whether `attempts` and `failed` are counted.
    counts: bool,
    /// Size, lent and waiting when the gauges were last moved.
    shown: (usize, usize, usize),
    /// Connections that are to be lost when they come back, and those that were.
    pub owed: u32,
    pub lost: u32,
}

impl PoolState {
    pub fn new(slot: &SlotUse, index: u32, model: &Model) -> Self {
        let layer = &model.layers[slot.layer as usize];
        let (is_pooler, counts) = match &layer.kind {
            LayerKind::Pool { config, sessions, .. } => {
                (sessions.is_some(), !matches!(config, AnyPoolConfig::Sequelize(_)))
            }
            _ => (false, false),
        };
        let caller = match model.edges[slot.edge as usize].caller {
            Caller::Group(group) if !layer.shared => Some(group),
            _ => None,
        };
        let meters = &model.catalog.layers[slot.meters as usize];
        Self {
            owner: u64::from(index - slot.first),
            layer: slot.layer,
            group: slot.callee_group,
            meters: slot.meters,
            gauge: meters.gauge,
            wait: meters.wait,
            open: 0,
            is_pooler,
            sessions: Vec::new(),
            caller,
            creations: 0,
            counts,
            shown: (0, 0, 0),
            owed: 0,
            lost: 0,
        }
    }
}

/// What becomes of a call that asks a pool for a connection.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Served {
    /// It waits, or has failed already.
    Not,
    /// It has a connection.
    Lent,
    /// It has one that is broken, which the first message on it shows.
    Broken,
    /// It is turned away.
    Refused,
}

impl<O: Observer> World<'_, O> {
    /// A call comes to a pool.
    #[inline]
    pub(super) fn enter_pool(
        &mut self,
        now: SimTime,
        slot: usize,
        call: &mut Call,
        parent: FrameId,
        layer: u32,
    ) -> Passage {
        if let AnyPool::Sequelize(pool) = &mut self.pools[slot]
            && let Some(conn) = pool.lend_at_once()
        {
            let pool = &mut self.pool_states[slot];
            pool.shown.1 += 1;
            self.observer.timed(pool.wait, SimDuration::ZERO);
            self.observer.moved(now, pool.gauge + IN_USE, 1);
            let state =
                LayerState::Pool { conn, since: now, waiting: false, is_client: false, is_kept: false };
            let id = self.push_frame(Frame::new(parent, Kind::Layer { layer, call: *call, state }));
            call.pool_layer = layer;
            return Passage::Through(id);
        }
        self.ask_pool(now, slot, call, parent, layer)
    }

    /// The same where the pool has more to do, or to mind.
    #[inline(never)]
    fn ask_pool(
        &mut self,
        now: SimTime,
        slot: usize,
        call: &mut Call,
        parent: FrameId,
        layer: u32,
    ) -> Passage {
        let model = self.model;
        let LayerKind::Pool { config, sessions, .. } = &model.layers[layer as usize].kind else {
            return Passage::Rejected;
        };
        let (mut is_client, mut is_kept) = (false, false);
        let mut session = None;
        if let Some(sessions) = sessions {
            is_client = call.pool_layer == NO_POOL;
            if is_client && !self.client_connects(now, slot) {
                return Passage::Answered(Outcome::Error);
            }
            is_kept = !is_client && uniform_of(mix(call.key, sessions.salt)) < sessions.pin;
            session = self.session_of(slot, call, parent);
        }
        let waiting = session.is_none();
        let conn = session.unwrap_or(Id::NONE);
        let state =
            LayerState::Pool { conn, since: now, waiting, is_client, is_kept: is_kept || session.is_some() };
        let id = self.push_frame(Frame::new(parent, Kind::Layer { layer, call: *call, state }));
        let served = if waiting { self.acquire(now, slot, id) } else { Served::Lent };
        match served {
            Served::Lent => {
                self.note_pool(call, layer);
                Passage::Through(id)
            }
            Served::Broken => {
                self.tasks.push_back(Task::Up(id, Outcome::Error));
                Passage::Waits
            }
            Served::Refused => Passage::Rejected,
            Served::Not => {
                if let Some(limit) = config.acquire_timeout() {
                    self.after(limit, Rank::Timer, Event::Timer(id));
                }
                Passage::Waits
            }
        }
    }

    /// A call holds a connection. That of a pool of its own is the one whose statement timeout counts, not a proxy's.
    pub(super) fn note_pool(&self, call: &mut Call, layer: u32) {
        let is_pooler =
            matches!(self.model.layers[layer as usize].kind, LayerKind::Pool { sessions: Some(_), .. });
        if !is_pooler || call.pool_layer == NO_POOL {
            call.pool_layer = layer;
        }
    }

    /// A call leaves a pool: by its answer, or called off.
    #[inline]
    pub(super) fn leave_pool(
        &mut self,
        now: SimTime,
        slot: usize,
        call: &Call,
        id: FrameId,
        state: LayerState,
    ) {
        match state {
            LayerState::Pool { conn, waiting: false, .. } if !self.pool_states[slot].is_pooler => {
                self.release(now, slot, conn);
            }
            _ => self.leave_pool_with_care(now, slot, call, id, state),
        }
    }

    /// The same for a call that still waits, and at a proxy.
    #[inline(never)]
    fn leave_pool_with_care(
        &mut self,
        now: SimTime,
        slot: usize,
        call: &Call,
        id: FrameId,
        state: LayerState,
    ) {
        let LayerState::Pool { conn, waiting, is_client, is_kept, .. } = state else { return };
        if waiting {
            self.abandon_acquire(now, slot, id);
        } else if self.pool_states[slot].is_pooler {
            let parent = self.frames.get(id).map_or(FrameId::NONE, |f| f.parent);
            self.leave_session(now, slot, call, parent, (conn, is_kept));
        } else {
            self.release(now, slot, conn);
        }
        if is_client {
            self.client_leaves(now, slot);
        }
    }

    /// Asks a pool for a connection.
    fn acquire(&mut self, now: SimTime, pool: usize, frame: FrameId) -> Served {
        let mut actions = std::mem::take(&mut self.pool_actions);
        self.pools[pool].acquire(now, frame, &mut actions);
        let served = self.act(now, pool, &mut actions, frame);
        self.pool_actions = actions;
        served
    }

    /// Tells a pool something, and does what it decides.
    pub(super) fn tell_pool(
        &mut self,
        now: SimTime,
        pool: usize,
        what: impl FnOnce(&mut AnyPool<FrameId>, &mut Vec<PoolAction<FrameId>>),
    ) {
        let mut actions = std::mem::take(&mut self.pool_actions);
        what(&mut self.pools[pool], &mut actions);
        self.act(now, pool, &mut actions, FrameId::NONE);
        self.pool_actions = actions;
    }

    /// A connection comes back.
    #[inline(always)]
    pub(super) fn release(&mut self, now: SimTime, pool: usize, conn: ConnId) {
        let state = &mut self.pool_states[pool];
        if state.owed > 0 {
            (state.owed, state.lost) = (state.owed - 1, state.lost + 1);
            return;
        }
        if let AnyPool::Sequelize(p) = &mut self.pools[pool]
            && let Some(passed) = p.pass_on(now, conn)
        {
            match passed {
                PassedTo::Nobody => {
                    state.shown.1 -= 1;
                    self.observer.moved(now, state.gauge + IN_USE, -1);
                }
                PassedTo::Waiter(waiter) => {
                    state.shown.2 -= 1;
                    self.observer.moved(now, state.gauge + WAITING, -1);
                    self.lent(now, pool, waiter, conn);
                    self.tasks.push_back(Task::Down(waiter));
                }
            }
            return;
        }
        self.release_with_care(now, pool, conn);
    }

    /// The same where the pool has more to do, or to mind.
    #[inline(never)]
    fn release_with_care(&mut self, now: SimTime, pool: usize, conn: ConnId) {
        self.tell_pool(now, pool, |p, out| p.release(now, conn, out));
    }

    /// A call has waited too long. It is counted, and not in the time that calls wait for the connection they get.
    pub(super) fn acquire_timed_out(
        &mut self,
        now: SimTime,
        pool: usize,
        call: &Call,
        frame: FrameId,
        state: LayerState,
    ) {
        self.tell_pool(now, pool, |p, out| {
            p.on_acquire_timeout(now, frame, out);
        });
        let meters = self.model.catalog.layers[self.pool_states[pool].meters as usize];
        self.observer.count(meters.rejected);
        if self.pool_states[pool].is_pooler {
            self.client_waited_too_long(now, pool, call, frame, state);
        }
    }

    fn abandon_acquire(&mut self, now: SimTime, pool: usize, frame: FrameId) {
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

    pub(super) fn on_pool_connect_timeout(&mut self, now: SimTime, pool: u32, conn: ConnId) {
        if self.pools[pool as usize].is_creating(conn) {
            self.count_failed(pool as usize);
            self.tell_pool(now, pool as usize, |p, out| p.on_connect_timeout(now, conn, out));
        }
    }

    pub(super) fn on_pool_reap(&mut self, now: SimTime, pool: u32) {
        self.tell_pool(now, pool as usize, |p, out| p.on_reap(now, out));
    }

    /// A new connection reaches the server, or the proxy in front of it: it is taken, or refused.
    fn connected(&mut self, now: SimTime, pool: usize, conn: ConnId, out: &mut Vec<PoolAction<FrameId>>) {
        if !self.pools[pool].is_creating(conn) {
            return; // given up meanwhile, or its process has died
        }
        if self.net.is_used {
            match self.pool_meets(now, pool, conn) {
                Some(true) => {
                    self.count_failed(pool);
                    return self.pools[pool].on_create_failed(now, conn, out);
                }
                Some(false) => return,
                None => {}
            }
        }
        let before = self.pools[pool].size();
        let group = self.pool_states[pool].group;
        let front = self.pooler_before(pool);
        let is_taken = match front {
            Some(pooler) => self.accepts_client(now, pooler),
            None => self.accepts_connection(now, group),
        };
        if !is_taken {
            self.count_failed(pool);
            self.pools[pool].on_create_failed(now, conn, out);
        } else if front.is_none() && self.works_on_connection(now, pool, conn) {
            return;
        } else {
            self.stands(now, pool, conn, out);
            if self.pools[pool].is_valid(conn) {
                self.count_open(now, pool, 1);
            }
        }
        debug_assert!(self.pools[pool].size() <= before.max(self.pools[pool].config().max() as usize));
    }

    /// A connection stands, if its pool still wants it: then it is among the open ones.
    fn stands(&mut self, now: SimTime, pool: usize, conn: ConnId, out: &mut Vec<PoolAction<FrameId>>) {
        let state = &self.pool_states[pool];
        let key = mix(mix(self.streams.key("pools", "lives"), state.owner), state.creations);
        let luck = uniform_of(mix(key, u64::from(state.layer)));
        self.pools[pool].on_created(now, conn, luck, out);
        if self.pools[pool].is_valid(conn) {
            self.pool_states[pool].open += 1;
        }
    }

    /// Begins the work of a database's CPU on a new connection; `false` if it costs none.
    fn works_on_connection(&mut self, now: SimTime, pool: usize, conn: ConnId) -> bool {
        let state = &self.pool_states[pool];
        let Some(draw) = &self.settings().groups[state.group as usize].connect_cost else { return false };
        let key = mix(mix(self.streams.key("pools", "cost"), u64::from(state.meters)), state.owner);
        let work = sample(draw, mix(key, state.creations));
        let group = state.group;
        let instance = self.model.groups[group as usize].first;
        let life = self.instances[instance as usize].life;
        self.count_connections(now, group, 1);
        let kind = Kind::Connecting { pool: pool as u32, conn, instance, life };
        let id = self.push_frame(Frame::new(FrameId::NONE, kind));
        let work = work.scaled(self.instances[instance as usize].slow);
        self.use_cpu(now, id, (instance, 0), work);
        true
    }

    /// A call without a pool opens a connection of its own, which costs the database's CPU; `false` if it costs none.
    pub(super) fn opens_connection(&mut self, now: SimTime, id: FrameId, instance: u32) -> bool {
        let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get(id) else { return false };
        let (key, priority) = (exec.run.key, exec.priority);
        let state = &self.instances[instance as usize];
        let cost = &self.settings().groups[state.group as usize].connect_cost;
        let Some(draw) = cost.as_ref().filter(|_| exec.own_connection) else { return false };
        let work = sample(draw, mix(key, salt("connect_cost"))).scaled(state.slow);
        self.frames.waits(id, Wait::Connection);
        self.use_cpu(now, id, (instance, priority), work);
        true
    }

    /// A database's CPU has done its work on a new connection, or its process has died.
    pub(super) fn connection_made(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Connecting { pool, conn, instance, life }, .. }) = self.frames.get(id)
        else {
            return;
        };
        let (pool, conn, instance, life) = (*pool as usize, *conn, *instance, *life);
        self.frames.remove(id);
        let is_alive = self.instances[instance as usize].life == life;
        let mut actions = std::mem::take(&mut self.pool_actions);
        if !is_alive {
            if self.pools[pool].is_creating(conn) {
                self.count_failed(pool);
            }
            self.pools[pool].on_create_failed(now, conn, &mut actions);
        } else if self.pools[pool].is_creating(conn) {
            self.stands(now, pool, conn, &mut actions);
        } else {
            // Nobody wants it any more: the work was for nothing.
            let group = self.pool_states[pool].group;
            self.count_connections(now, group, -1);
        }
        self.act(now, pool, &mut actions, FrameId::NONE);
        self.pool_actions = actions;
    }

    /// Does what a pool has decided, and says what became of `frame`. What follows from connections that open in no
    /// time is appended to `actions` and done too.
    fn act(
        &mut self,
        now: SimTime,
        pool: usize,
        actions: &mut Vec<PoolAction<FrameId>>,
        frame: FrameId,
    ) -> Served {
        let mut served = Served::Not;
        let mut at = 0;
        while at < actions.len() {
            let action = actions[at];
            at += 1;
            match action {
                PoolAction::Lend { waiter, conn } => {
                    self.lent(now, pool, waiter, conn);
                    let is_broken = !self.pools[pool].is_valid(conn);
                    if waiter == frame {
                        served = if is_broken { Served::Broken } else { Served::Lent };
                    } else if is_broken {
                        self.tasks.push_back(Task::Up(waiter, Outcome::Error));
                    } else {
                        self.tasks.push_back(Task::Down(waiter));
                    }
                }
                PoolAction::Create { conn } => self.create(now, pool, conn, actions),
                PoolAction::Close { conn } => {
                    self.end_session(now, pool, conn);
                    if self.pools[pool].is_valid(conn) {
                        self.pool_states[pool].open -= 1;
                        self.count_open(now, pool, -1);
                    }
                    self.pools[pool].on_closed(now, conn, actions);
                }
                PoolAction::Fail { waiter } => {
                    if let Some(gone) = self.frames.remove(waiter) {
                        self.tasks.push_back(Task::Up(gone.parent, Outcome::Error));
                    }
                }
                PoolAction::Refuse { waiter } => {
                    let meters = self.model.catalog.layers[self.pool_states[pool].meters as usize];
                    self.observer.count(meters.rejected);
                    let gone = self.frames.remove(waiter);
                    if waiter == frame {
                        served = Served::Refused;
                    } else if let Some(gone) = gone {
                        self.tasks.push_back(Task::Up(gone.parent, Outcome::Rejected));
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
        let LayerKind::Pool { connect, config, .. } = &self.model.layers[state.layer as usize].kind else {
            return;
        };
        state.creations += 1;
        if state.counts {
            let meters = self.model.catalog.layers[state.meters as usize];
            self.observer.count(meters.more + ATTEMPTS);
        }
        let key = mix(mix(self.streams.key("pools", "connect"), state.owner), state.creations);
        let mut delay = sample(connect, key);
        if self.net.is_used {
            delay = delay + self.pool_trip(pool, key);
        }
        if let Some(limit) = config.connect_timeout() {
            let has_cost =
                self.settings().groups[self.pool_states[pool].group as usize].connect_cost.is_some();
            if delay > limit || has_cost {
                let event = Event::PoolConnectTimeout { pool: pool as u32, conn };
                self.queue.schedule(now + limit, Rank::Timer, event);
            }
        }
        if delay.is_zero() {
            self.connected(now, pool, conn, out);
        } else {
            let event = Event::PoolConnected { pool: pool as u32, conn };
            self.queue.schedule(now + delay, Rank::Completion, event);
        }
    }

    fn count_failed(&mut self, pool: usize) {
        let state = &self.pool_states[pool];
        if state.counts {
            let meters = self.model.catalog.layers[state.meters as usize];
            self.observer.count(meters.more + FAILED);
        }
    }

    fn lent(&mut self, now: SimTime, pool: usize, waiter: FrameId, lent: ConnId) {
        if let Some(Frame {
            kind: Kind::Layer { state: LayerState::Pool { conn, since, waiting, .. }, .. },
            ..
        }) = self.frames.get_mut(waiter)
        {
            *conn = lent;
            *waiting = false;
            let waited = now.since(*since);
            self.observer.timed(self.pool_states[pool].wait, waited);
        }
    }

    /// Moves the gauges to where the pool is now.
    fn show(&mut self, now: SimTime, pool: usize) {
        let p = &self.pools[pool];
        let is = (p.size(), p.in_use(), p.waiting());
        let state = &mut self.pool_states[pool];
        let was = std::mem::replace(&mut state.shown, is);
        let gauge = state.gauge;
        if is == was {
            return;
        }
        for (offset, (is, was)) in [(is.0, was.0), (is.1, was.1), (is.2, was.2)].into_iter().enumerate() {
            if is != was {
                self.observer.moved(now, gauge + offset as u32, is as i64 - was as i64);
            }
        }
    }

    // ---- processes and settings ----

    /// Starts the pools that settings have and whose processes run. Those that run already stay as they are.
    pub(super) fn start_pools(&mut self, now: SimTime) {
        let model = self.model;
        let epoch = self.epoch;
        let versions = model.versions.iter().filter_map(|version| version.epochs.get(epoch));
        let all = std::iter::once(&model.epochs[epoch]).chain(versions);
        for slot in all.flat_map(|epoch| &epoch.slots) {
            if !matches!(model.layers[slot.layer as usize].kind, LayerKind::Pool { .. }) {
                continue;
            }
            for pool in slot.first as usize..(slot.first + slot.count) as usize {
                let uses = |group: u32, owner: u32| {
                    model.versions.is_empty()
                        || self.uses_layer(model.groups[group as usize].first + owner, slot.meters)
                };
                let state = &self.pool_states[pool];
                let is_used = state.caller.is_none_or(|group| uses(group, state.owner as u32));
                if self.pool_runs(pool) && is_used {
                    self.tell_pool(now, pool, |p, out| p.start(now, out));
                }
            }
        }
    }

    /// Whether the process of a pool runs, if it has one.
    pub(super) fn pool_runs(&self, pool: usize) -> bool {
        let state = &self.pool_states[pool];
        state.caller.is_none_or(|group| {
            let instance = self.model.groups[group as usize].first + state.owner as u32;
            self.instances[instance as usize].condition == Condition::Up
        })
    }

    /// New settings for a pool.
    pub(super) fn reconfigure_pool(&mut self, now: SimTime, pool: usize, config: AnyPoolConfig) {
        self.tell_pool(now, pool, |p, out| p.reconfigure(now, config, out));
    }

    /// Pools that settings do not have any more empty themselves.
    pub(super) fn retire_pools(&mut self, now: SimTime) {
        let model = self.model;
        for pool in 0..self.pools.len() {
            let meters = self.pool_states[pool].meters;
            let state = &self.pool_states[pool];
            let owner = state.caller.map(|group| model.groups[group as usize].first + state.owner as u32);
            let is_kept = match owner {
                Some(instance) => self.uses_layer(instance, meters),
                None => model.epochs[self.epoch].slots.iter().any(|slot| slot.meters == meters),
            };
            if !is_kept {
                self.tell_pool(now, pool, |p, out| p.retire(now, out));
            }
        }
    }

    /// The calling process is gone, and its pool with it.
    pub(super) fn reset_pool(&mut self, now: SimTime, pool: usize) {
        let open = std::mem::take(&mut self.pool_states[pool].open);
        (self.pool_states[pool].owed, self.pool_states[pool].lost) = (0, 0);
        self.count_open(now, pool, -i64::from(open));
        self.end_sessions(now, pool);
        self.pools[pool].reset();
        self.show(now, pool);
    }

    /// The server is gone, and all connections to it. Those to a proxy in front of it stand.
    pub(super) fn break_connections(&mut self, now: SimTime, group: u32) {
        for pool in 0..self.pools.len() {
            if self.pool_states[pool].group == group && self.pooler_before(pool).is_none() {
                self.pool_states[pool].open = 0;
                self.tell_pool(now, pool, |p, out| p.on_server_gone(now, out));
                self.break_sessions(now, pool);
            }
        }
    }
}
