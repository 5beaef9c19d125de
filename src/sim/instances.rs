//! Instances: admission and workers.

use super::asks::Asks;
use super::autoscalers::PodMeter;
use super::concurrency::Door;
use super::endings::Ending;
use super::event::Event;
use super::frame::{Call, Exec, Frame, Kind, NO_POOL, Runner, Stage};
use super::layers::sample;
use super::pods::PodFlags;
use super::runtimes::new_cpu;
use super::shedding::shedder;
use super::{FrameId, Task, World};
use crate::base::count::Count;
use crate::base::dist::Dist;
use crate::base::{Outcome, SimDuration, SimTime, mix, salt, uniform_of};
use crate::components::cpu::Cpu;
use crate::components::lambda::Invocation;
use crate::components::queue::{Called, Discipline, Entry, Newcomer, WaitQueue};
use crate::components::shedding::Shedder;
use crate::engine::Rank;
use crate::metrics::trace::Wait;
use crate::metrics::{Change, Observer};
use crate::model::catalog::GroupMeters;
use crate::model::{Epoch, Group, GroupKind, GroupShape, LayerKind, Model, Step};
use std::collections::VecDeque;

/// How an instance is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Condition {
    /// It does not exist: the group has fewer replicas.
    Off,
    /// Its process is being started.
    Starting,
    /// It answers.
    Up,
    /// It answers what it has and gets nothing new.
    Draining,
    /// A fault keeps it away.
    Down,
}

/// One instance of a group.
#[derive(Debug)]
pub(super) struct Instance<'m> {
    /// What its settings say, which are those of its version; to be changed with [`World::settle_instance`].
    pub settings: &'m Group,
    /// The first step of each endpoint's program, by the same settings.
    pub programs: &'m [u32],
    /// The meters of its group.
    pub meters: &'m GroupMeters,
    /// Where it has something rare that requests must be asked about.
    pub asks: Asks,
    /// What its group is.
    pub kind: GroupKind,
    /// Its group.
    pub group: u32,
    /// Its number within the group.
    pub target: u32,
    /// How it is.
    pub condition: Condition,
    /// Raised whenever its process dies.
    pub life: u32,
    /// Requests it executes, and the most that it executes at once, by its settings.
    pub busy: u32,
    pub workers: u32,
    /// Requests that wait for a worker.
    pub queue: WaitQueue<FrameId>,
    /// Its CPU; `None` for a core for everyone.
    pub cpu: Option<Cpu<FrameId>>,
    /// Memory taken by requests, in bytes.
    pub taken: u64,
    /// All its requests.
    pub execs: Vec<FrameId>,
    /// Faults that strike it now, by number in the script.
    pub faults: Vec<u32>,
    /// Work and waits take so many times as long.
    pub slow: f64,
    /// The share of requests that fails at once.
    pub errors: f64,
    /// The fault that sets its latency.
    pub latency: Option<u32>,
    /// Whether nothing goes on.
    pub is_hung: bool,
    /// What waits until it goes on.
    pub parked: VecDeque<Task>,
    /// When its draining ends, if it drains and has no longer than that.
    pub drain_ends: Option<SimTime>,
    /// What is measured for an autoscaler, if there is one.
    pub meter: Option<Box<PodMeter>>,
    /// The limit at its door, if it has one.
    pub door: Option<Box<Door>>,
    /// How it is as a pod.
    pub pod: PodFlags,
    /// Who is turned away there for its priority.
    pub shedder: Option<Box<Shedder>>,
    /// Which version of its service it is.
    pub version: u16,
    /// CPU in use when the gauge was last moved, in thousandths of a core.
    pub busy_millicores: i64,
}

/// A request that comes to an instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// Who gets the answer.
    pub parent: FrameId,
    /// The instance.
    pub instance: u32,
    /// The endpoint.
    pub endpoint: u32,
    /// The balancer that sent it, or `NO_BALANCER`.
    pub balancer: u32,
    /// Whether the balancer's measures are taken at the execution.
    pub measures_balancer: bool,
    /// Whether it is a health check.
    pub is_check: bool,
}

impl<'m> Instance<'m> {
    pub fn all(model: &'m Model, epoch: &'m Epoch) -> Vec<Self> {
        let mut all = Vec::with_capacity(model.instances as usize);
        for (group, (shape, settings)) in model.groups.iter().zip(&epoch.groups).enumerate() {
            let version = model.first_version(group as u32);
            for number in 0..shape.capacity {
                let up = number < settings.replicas;
                all.push(Self {
                    // Those of its version are settled before the run begins.
                    settings,
                    programs: &epoch.programs,
                    meters: &model.catalog.groups[group],
                    asks: Asks::default(),
                    kind: shape.kind,
                    group: group as u32,
                    target: number,
                    condition: if up { Condition::Up } else { Condition::Off },
                    life: 0,
                    busy: 0,
                    workers: u32::MAX,
                    queue: WaitQueue::new(settings.queue.clone()),
                    cpu: new_cpu(settings, SimTime::ZERO, 1.0),
                    taken: 0,
                    execs: Vec::new(),
                    faults: Vec::new(),
                    slow: 1.0,
                    errors: 0.0,
                    latency: None,
                    is_hung: false,
                    parked: VecDeque::new(),
                    drain_ends: None,
                    meter: PodMeter::of(model, group as u32).map(Box::new),
                    door: Door::of(settings, 0, SimTime::ZERO),
                    pod: PodFlags::default(),
                    shedder: shedder(settings),
                    version,
                    busy_millicores: 0,
                });
            }
        }
        all
    }

    #[inline]
    pub fn answers(&self) -> bool {
        matches!(self.condition, Condition::Up | Condition::Draining)
    }
}

/// A request as the queue of its instance sees it; `exec` is its frame and its endpoint. Then come its priority, the
/// number of its tenant, and the key of its random numbers.
pub(super) fn newcomer(
    settings: &Group,
    shape: &GroupShape,
    at: SimTime,
    exec: (FrameId, u32),
    (priority, tenant, key): (u8, u8, u64),
) -> Newcomer<FrameId> {
    let endpoint = exec.1 - shape.endpoints.start;
    let due = settings.queue_deadlines.get(endpoint as usize);
    let class = match settings.queue.discipline {
        Discipline::WeightedFair { .. } => u32::from(tenant),
        _ => endpoint,
    };
    let bytes = |(count, salt): &(Count, u64)| u64::from(count.variate(uniform_of(mix(key, *salt))));
    Newcomer {
        waiter: exec.0,
        at,
        priority,
        class,
        deadline: due.map_or(at, |due| at + *due),
        bytes: settings.queue_bytes.as_ref().map_or(0, bytes),
    }
}

/// A request that comes to an instance.
#[inline(always)]
fn new_exec(now: SimTime, arrival: Arrival, call: &Call, state: &Instance<'_>) -> Exec {
    Exec {
        run: Runner {
            pc: state.programs[arrival.endpoint as usize],
            route: u32::MAX,
            key: call.key,
            called_at: now,
            demand: 0.0,
            degraded: false,
            is_read: false,
        },
        at: now,
        instance: arrival.instance,
        endpoint: arrival.endpoint,
        place: state.execs.len() as u32,
        balancer: arrival.balancer,
        held: 0,
        affinity: call.affinity,
        pool_layer: call.pool_layer,
        stage: Stage::Queued,
        priority: call.priority,
        tenant: call.tenant,
        is_keyed: call.is_keyed,
        is_check: arrival.is_check,
        measures_balancer: arrival.measures_balancer,
        own_connection: false,
        on_free_core: false,
    }
}

/// How long a server works on what comes through a pool.
#[inline]
fn statement_timeout(model: &Model, pool_layer: u32) -> Option<SimDuration> {
    match &model.layers.get(pool_layer as usize)?.kind {
        LayerKind::Pool { statement_timeout, .. } => *statement_timeout,
        _ => None,
    }
}

impl<O: Observer> World<'_, O> {
    /// Puts gauges at their levels at the start, and instances behind their balancers.
    pub(super) fn start_levels(&mut self, now: SimTime) {
        for (group, meters) in self.groups.iter().zip(&self.model.catalog.groups) {
            self.observer.moved(now, meters.replicas, i64::from(group.wanted));
        }
        self.start_costs(now);
        for instance in 0..self.instances.len() as u32 {
            if self.instances[instance as usize].condition == Condition::Up {
                self.count_up(now, instance, 1);
                self.join(now, instance, true);
            } else {
                self.discover(instance);
            }
        }
        // Balancers are made with all targets that there can ever be.
        for balancer in 0..self.balancers.len() as u32 {
            self.reset_eligible(balancer);
        }
    }

    /// Moves the gauges of what a running instance adds to its group.
    pub(super) fn count_up(&mut self, now: SimTime, instance: u32, sign: i64) {
        let group = self.instances[instance as usize].group as usize;
        let model = self.model;
        let meters = &model.catalog.groups[group];
        let settings = self.group_of(instance);
        self.observer.moved(now, meters.up, sign);
        self.observer.moved(now, meters.cores, sign * settings.cores.map_or(0, |c| (c * 1e3) as i64));
        self.observer.moved(now, meters.workers, sign * i64::from(settings.workers.unwrap_or(0)));
        self.observer.moved(now, meters.memory, sign * settings.memory.map_or(0, |m| m.base as i64));
        self.watch_steal(now, instance, sign > 0);
    }

    /// The number of the process that an instance of a group runs in.
    pub(super) fn life_of(&self, group: u32, target: u32) -> u32 {
        self.instances[(self.model.groups[group as usize].first + target) as usize].life
    }

    // ---- admission ----

    /// A request comes to an instance, and is refused, queued or started. Nearly every one is started at once, and
    /// nearly every program begins with work.
    pub(super) fn arrive(&mut self, now: SimTime, arrival: Arrival, call: &Call) {
        debug_assert_eq!(self.instances[arrival.instance as usize].asks, self.asks_of(arrival.instance));
        let model = self.model;
        let state = &mut self.instances[arrival.instance as usize];
        let is_plain = !arrival.is_check
            && !state.asks.has(Asks::BEFORE)
            && state.condition == Condition::Up
            && state.queue.is_empty()
            && state.busy < state.workers
            && !(state.asks.has(Asks::CONNECTION) && call.pool_layer == NO_POOL)
            && !self.frames.is_traced(arrival.parent);
        if !is_plain {
            let parent = self.framed(now, arrival.parent, call);
            return self.arrive_with_care(now, Arrival { parent, ..arrival }, call);
        }
        let mut exec = new_exec(now, arrival, call, state);
        exec.stage = Stage::Running;
        let work = match &model.steps[exec.run.pc as usize] {
            Step::Work(draw) => Some(exec.run.begin_work(draw)),
            _ => None,
        };
        let id = self.frames.push(Frame::new(arrival.parent, Kind::Exec(exec)));
        state.execs.push(id);
        state.busy += 1;
        if let Some(meter) = &mut state.meter {
            meter.arrives();
            meter.holds(now, state.execs.len());
        }
        self.observer.arrival(model.catalog.endpoints + arrival.endpoint);
        self.observer.both_moved(now, state.meters.in_flight, 1);
        if state.kind == GroupKind::Service {
            self.observer.timed(state.meters.wait, SimDuration::ZERO);
        }
        if let Some(client) = arrival.parent.number_outside() {
            self.set_own_timeout(client, id);
        }
        if call.pool_layer != NO_POOL
            && let Some(limit) = statement_timeout(model, call.pool_layer)
        {
            self.after(limit, Rank::Timer, Event::RequestTimeout(id));
        }
        if self.has_tables {
            self.inherit(arrival.parent, id);
        }
        match work {
            Some(work) => self.use_cpu(now, id, (arrival.instance, call.priority), work),
            None => self.advance(now, id),
        }
    }

    /// The same where something may be in the way.
    #[inline(never)]
    fn arrive_with_care(&mut self, now: SimTime, arrival: Arrival, call: &Call) {
        let instance = arrival.instance;
        let state = &self.instances[instance as usize];
        let (meters, asks) = (state.meters, state.asks);
        if !arrival.is_check {
            self.observer.arrival(self.model.catalog.endpoints + arrival.endpoint);
        }
        if asks.has(Asks::ARRIVAL) {
            self.note_arrival(arrival);
        }
        self.observer.moved(now, meters.in_flight, 1);
        let id = self.push_exec(now, arrival, call);
        let state = &self.instances[instance as usize];
        let is_asked = asks.has(Asks::DOOR)
            || state.condition != Condition::Up
            || (asks.has(Asks::CONNECTION) && call.pool_layer == NO_POOL);
        if is_asked && let Some(refusal) = self.refusal(now, id, (instance, arrival.is_check), call) {
            self.end(now, id, refusal, Ending::Done);
            return;
        }
        let state = &self.instances[instance as usize];
        let has_worker = state.busy < state.workers;
        if !has_worker || !state.queue.is_empty() || state.is_hung || !state.answers() {
            return self.enqueue(now, id, arrival, call);
        }
        if asks.has(Asks::WORKER) {
            match self.invoke(now, instance) {
                Some(Invocation::Throttled) => return self.end(now, id, Outcome::Rejected, Ending::Done),
                Some(Invocation::Cold) => {
                    self.take_worker(now, id, instance);
                    return self.initialise(now, id, instance, call.key);
                }
                Some(Invocation::Warm) | None => {}
            }
        }
        self.take_worker(now, id, instance);
        self.begin_at(now, id, instance);
    }

    /// What is counted of a request that comes only for versions, and for what is outside the system.
    #[cold]
    fn note_arrival(&mut self, arrival: Arrival) {
        let model = self.model;
        let state = &self.instances[arrival.instance as usize];
        let (group, kind) = (state.group, state.kind);
        if !arrival.is_check
            && let Some(meters) = model.catalog.versions.get(usize::from(state.version))
        {
            self.observer.arrival(meters.red);
        }
        if model.costs.is_any && kind == GroupKind::External {
            self.pay_request(group);
        }
    }

    /// A request for which there is no worker waits for one, or is turned away.
    fn enqueue(&mut self, now: SimTime, id: FrameId, arrival: Arrival, call: &Call) {
        let state = &mut self.instances[arrival.instance as usize];
        let (group, settings, meters) = (state.group as usize, state.settings, state.meters);
        let newcomer = newcomer(
            settings,
            &self.model.groups[group],
            now,
            (id, arrival.endpoint),
            (call.priority, call.tenant, call.key),
        );
        let chance = uniform_of(mix(call.key, settings.queue_salt));
        let limit = match state.queue.push(now, newcomer, chance) {
            Entry::Waits(limit) => limit,
            Entry::Full => return self.end(now, id, Outcome::Rejected, Ending::Done),
            Entry::Shed => {
                self.observer.count(meters.shed);
                return self.end(now, id, Outcome::Rejected, Ending::Done);
            }
        };
        self.observer.moved(now, meters.queue, 1);
        if let Some(limit) = limit {
            self.queue.schedule(now + limit, Rank::Timer, Event::QueueTimeout(id));
        }
        if let Some(draw) = &settings.queue_wait_max {
            let limit = sample(draw, call.key);
            let event = Event::QueueTimeout(id);
            match draw.dist {
                Dist::Constant(_) => self.after(limit, Rank::Timer, event),
                _ => self.queue.schedule(now + limit, Rank::Timer, event),
            }
        }
    }

    fn push_exec(&mut self, now: SimTime, arrival: Arrival, call: &Call) -> FrameId {
        let exec = new_exec(now, arrival, call, &self.instances[arrival.instance as usize]);
        let id = self.push_frame(Frame::new(arrival.parent, Kind::Exec(exec)));
        let instance = &mut self.instances[arrival.instance as usize];
        instance.execs.push(id);
        if instance.asks.has(Asks::DOOR)
            && let Some(door) = &mut instance.door
        {
            door.push();
        }
        if let Some(meter) = &mut instance.meter {
            if !arrival.is_check {
                meter.arrives();
            }
            meter.holds(now, instance.execs.len());
        }
        id
    }

    /// Why a request is refused at the door, if it is.
    fn refusal(
        &mut self,
        now: SimTime,
        id: FrameId,
        (instance, is_check): (u32, bool),
        call: &Call,
    ) -> Option<Outcome> {
        let state = &self.instances[instance as usize];
        let group = state.group as usize;
        let waits = !state.answers() && self.waits_for(instance);
        if (!state.answers() && !waits) || state.pod.refuses {
            if matches!(self.frames.get(id), Some(Frame { kind: Kind::Exec(e), .. }) if !e.is_check) {
                self.count_refused(instance);
            }
            return Some(Outcome::Error); // connection refused
        }
        if self.net.is_used && !is_check && self.is_throttled(now, id, group as u32, call.key) {
            return Some(Outcome::Rejected);
        }
        let state = &self.instances[instance as usize];
        if state.errors > 0.0 && uniform_of(mix(call.key, salt("errors"))) < state.errors {
            return Some(Outcome::Error);
        }
        let settings = self.group_of(instance);
        if settings.in_flight_max.is_some_and(|max| state.execs.len() > max as usize) {
            let wait = settings.retry_after.unwrap_or(SimDuration::ZERO);
            if let Some(Frame { parent, .. }) = self.frames.get(id) {
                self.told.set(*parent, wait);
            }
            return Some(Outcome::Rejected);
        }
        if !is_check && self.is_shed(instance, call.priority) {
            return Some(Outcome::Rejected);
        }
        if !self.passes_door(now, id, instance) {
            return Some(Outcome::Rejected);
        }
        if settings.connections_max.is_some() && call.pool_layer == NO_POOL {
            if !self.accepts_connection(now, group as u32) {
                return Some(Outcome::Error);
            }
            self.count_connections(now, group as u32, 1);
            if let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get_mut(id) {
                exec.own_connection = true;
            }
        }
        None
    }

    /// Whether a server takes one more connection; if not, that is counted.
    pub(super) fn accepts_connection(&mut self, _now: SimTime, group: u32) -> bool {
        let first = self.model.groups[group as usize].first;
        let settings = &self.settings().groups[group as usize];
        let Some(max) = settings.connections_max else { return true };
        let shape = &self.model.groups[group as usize];
        let servers = &self.instances[first as usize..(first + shape.capacity) as usize];
        let running = servers.iter().filter(|i| i.answers()).count() as u32;
        if running == 0 {
            return false;
        }
        let max = max.saturating_mul(running);
        let accepts = self.groups[group as usize].connections < max;
        if !accepts {
            self.observer.count(self.model.catalog.groups[group as usize].refused);
        }
        accepts
    }

    pub(super) fn count_connections(&mut self, now: SimTime, group: u32, delta: i64) {
        let state = &mut self.groups[group as usize];
        state.connections = (i64::from(state.connections) + delta).max(0) as u32;
        self.observer.moved(now, self.model.catalog.groups[group as usize].connections, delta);
    }

    /// An execution takes a worker.
    #[inline(always)]
    fn take_worker(&mut self, now: SimTime, id: FrameId, instance: u32) {
        let state = &mut self.instances[instance as usize];
        let (settings, meters, asks) = (state.settings, state.meters, state.asks);
        state.busy += 1;
        self.observer.moved(now, meters.busy, 1);
        let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get_mut(id) else { return };
        exec.stage = Stage::Running;
        let pool_layer = exec.pool_layer;
        if state.kind == GroupKind::Service {
            self.observer.timed(meters.wait, now.since(exec.at));
        }
        if asks.has(Asks::WORKER) {
            exec.held = settings.memory.map_or(0, |memory| memory.per_request);
            let held = exec.held as i64;
            self.take_memory(now, instance, held);
            if let Some(limit) = settings.request_timeout {
                self.after(limit, Rank::Timer, Event::RequestTimeout(id));
            }
        }
        if pool_layer != NO_POOL
            && let Some(limit) = statement_timeout(self.model, pool_layer)
        {
            self.after(limit, Rank::Timer, Event::RequestTimeout(id));
        }
    }

    /// An execution with a worker begins its program.
    pub(super) fn begin(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get(id) else { return };
        self.begin_at(now, id, exec.instance);
    }

    #[inline(always)]
    fn begin_at(&mut self, now: SimTime, id: FrameId, instance: u32) {
        if self.instances[instance as usize].asks.has(Asks::BEGIN) {
            self.begin_rarely(now, id, instance);
        } else {
            self.advance(now, id);
        }
    }

    /// Begins a program unless memory has just killed the instance, or something else comes first.
    #[inline(never)]
    fn begin_rarely(&mut self, now: SimTime, id: FrameId, instance: u32) {
        let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get(id) else { return };
        let key = exec.run.key;
        self.runtime_request(now, instance);
        if self.is_out_of_memory(instance) {
            self.kill(now, instance, Change::OutOfMemory { instance });
            return;
        }
        self.note_read(id, instance);
        if self.is_too_late(now, id) {
            return self.not_begun(now, id, instance);
        }
        let state = &self.instances[instance as usize];
        let is_external = state.kind == GroupKind::External;
        let latency = state.latency;
        match latency {
            // An external's own latency is replaced where its program waits.
            Some(fault) if !is_external => {
                self.frames.waits(id, Wait::Fault);
                let delay = self.fault_latency(fault, key).scaled(self.strength(fault));
                self.queue.schedule(now + delay, Rank::Completion, Event::StepDone(id));
            }
            _ if self.opens_connection(now, id, instance) => {}
            _ => self.advance(now, id),
        }
    }

    /// A request has waited too long for a worker.
    pub(super) fn on_queue_timeout(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get(id) else { return };
        let (instance, stage) = (exec.instance, exec.stage);
        if self.instances[instance as usize].is_hung {
            self.park(instance, Task::QueueTimeout(id));
        } else if stage == Stage::Queued {
            let group = self.instances[instance as usize].group as usize;
            self.observer.count(self.model.catalog.groups[group].abandoned);
            self.end(now, id, Outcome::Rejected, Ending::Stopped);
        }
    }

    /// An instance stops working on a request.
    pub(super) fn on_request_timeout(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Exec(exec), child, .. }) = self.frames.get(id) else { return };
        let (instance, child) = (exec.instance, *child);
        if self.instances[instance as usize].is_hung {
            return self.park(instance, Task::RequestTimeout(id));
        }
        // Calls under way go on for nobody.
        self.anybody_left = true;
        self.stop_programs(now, child);
        self.end(now, id, Outcome::Timeout, Ending::Stopped);
    }

    /// Gives free workers to those who wait.
    pub(super) fn serve_next(&mut self, now: SimTime, instance: u32) {
        loop {
            let state = &mut self.instances[instance as usize];
            let meters = state.meters;
            if state.is_hung || !state.answers() || state.busy >= state.workers {
                return;
            }
            let Some(next) = state.queue.pop(now) else { return };
            self.observer.moved(now, meters.queue, -1);
            match next {
                // They waited while their function hung.
                Called::Serve(next) => match self.invoke(now, instance) {
                    Some(Invocation::Throttled) => self.end(now, next, Outcome::Rejected, Ending::Done),
                    Some(Invocation::Cold) => {
                        let key = self.streams.key("lambda", "init");
                        self.take_worker(now, next, instance);
                        self.initialise(now, next, instance, mix(key, now.ns()));
                    }
                    Some(Invocation::Warm) | None => {
                        self.take_worker(now, next, instance);
                        self.tasks.push_back(Task::Begin(next));
                    }
                },
                Called::Shed(next) => {
                    self.observer.count(meters.shed);
                    self.end(now, next, Outcome::Rejected, Ending::Done);
                }
            }
        }
    }

    // ---- what waits while an instance hangs ----

    /// Keeps a task until the instance goes on.
    pub(super) fn park(&mut self, instance: u32, task: Task) {
        self.instances[instance as usize].parked.push_back(task);
    }

    /// Lets an instance go on that hung.
    pub(super) fn unpark(&mut self, instance: u32) {
        let parked = std::mem::take(&mut self.instances[instance as usize].parked);
        self.tasks.extend(parked);
        // Who has waited too long meanwhile goes first.
        self.tasks.push_back(Task::Serve(instance));
    }

    /// A latency that a fault sets, for the owner of `key`.
    pub(super) fn fault_latency(&self, fault: u32, key: u64) -> SimDuration {
        use super::script::Blow;
        match self.script.faults[fault as usize].effect.blow() {
            Some(Blow::Latency(dist)) => {
                SimDuration::from_seconds(dist.variate(uniform_of(mix(key, salt("fault latency")))))
            }
            _ => SimDuration::ZERO,
        }
    }
}
