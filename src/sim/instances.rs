//! Instances: admission, workers, CPU and memory.

use super::autoscalers::PodMeter;
use super::concurrency::Door;
use super::event::Event;
use super::frame::{Call, Exec, Frame, Kind, NO_BALANCER, NO_POOL, Runner, Stage};
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
use crate::model::{Epoch, Group, GroupKind, GroupShape, LayerKind, Model};
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
pub(super) struct Instance {
    /// Its group.
    pub group: u32,
    /// How it is.
    pub condition: Condition,
    /// Raised whenever its process dies.
    pub life: u32,
    /// Requests it executes.
    pub busy: u32,
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
    pub meter: Option<PodMeter>,
    /// The limit at its door, if it has one.
    pub door: Option<Box<Door>>,
    /// How it is as a pod.
    pub pod: PodFlags,
    /// Who is turned away there for its priority.
    pub shedder: Option<Box<Shedder>>,
    /// Which version of its service it is.
    pub version: u16,
    /// CPU in use when the gauge was last moved, in thousandths of a core.
    busy_millicores: i64,
}

/// How an execution ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// Its program ended.
    Done,
    /// It was stopped: it may still be in the queue or on the CPU.
    Stopped,
    /// Its instance died: queue and CPU are empty already.
    Died,
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

impl Instance {
    pub fn all(model: &Model, epoch: &Epoch) -> Vec<Self> {
        let mut all = Vec::with_capacity(model.instances as usize);
        for (group, (shape, settings)) in model.groups.iter().zip(&epoch.groups).enumerate() {
            let version = model.first_version(group as u32);
            for number in 0..shape.capacity {
                let up = number < settings.replicas;
                all.push(Self {
                    group: group as u32,
                    condition: if up { Condition::Up } else { Condition::Off },
                    life: 0,
                    busy: 0,
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
                    meter: PodMeter::of(model, group as u32),
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

    /// A request comes to an instance, and is refused, queued or started.
    pub(super) fn arrive(&mut self, now: SimTime, arrival: Arrival, call: &Call) {
        let group = self.instances[arrival.instance as usize].group as usize;
        let model = self.model;
        let meters = &model.catalog.groups[group];
        if !arrival.is_check {
            self.observer.arrival(self.model.catalog.endpoints[arrival.endpoint as usize]);
            let version = usize::from(self.instances[arrival.instance as usize].version);
            if let Some(meters) = model.catalog.versions.get(version) {
                self.observer.arrival(meters.red);
            }
        }
        if model.costs.is_any && model.groups[group].kind == GroupKind::External {
            self.pay_request(group as u32);
        }
        self.observer.moved(now, meters.in_flight, 1);
        let id = self.new_exec(now, arrival, call);
        if let Some(refusal) = self.refusal(now, id, (arrival.instance, arrival.is_check), call) {
            self.end(now, id, refusal, Ending::Done);
            return;
        }
        let settings = self.group_of(arrival.instance);
        let instance = &mut self.instances[arrival.instance as usize];
        let has_worker = settings.workers.is_none_or(|workers| instance.busy < workers);
        if has_worker && instance.queue.is_empty() && !instance.is_hung && instance.answers() {
            match self.invoke(now, arrival.instance) {
                Some(Invocation::Throttled) => self.end(now, id, Outcome::Rejected, Ending::Done),
                Some(Invocation::Cold) => {
                    self.take_worker(now, id, arrival.instance);
                    self.initialise(now, id, arrival.instance, call.key);
                }
                Some(Invocation::Warm) | None => {
                    self.take_worker(now, id, arrival.instance);
                    self.begin(now, id);
                }
            }
            return;
        }
        self.enqueue(now, id, arrival, call);
    }

    /// A request for which there is no worker waits for one, or is turned away.
    fn enqueue(&mut self, now: SimTime, id: FrameId, arrival: Arrival, call: &Call) {
        let settings = self.group_of(arrival.instance);
        let state = &mut self.instances[arrival.instance as usize];
        let group = state.group as usize;
        let meters = &self.model.catalog.groups[group];
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

    fn new_exec(&mut self, now: SimTime, arrival: Arrival, call: &Call) -> FrameId {
        let place = self.instances[arrival.instance as usize].execs.len() as u32;
        let exec = Exec {
            run: Runner {
                pc: self.settings_of(arrival.instance).programs[arrival.endpoint as usize],
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
            place,
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
        };
        let id = self.push_frame(Frame::new(arrival.parent, Kind::Exec(exec)));
        let instance = &mut self.instances[arrival.instance as usize];
        instance.execs.push(id);
        if let Some(door) = &mut instance.door {
            door.push();
        }
        if let (Some(meter), false) = (&mut instance.meter, arrival.is_check) {
            meter.arrives();
        }
        self.meter_requests(now, arrival.instance);
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
    fn take_worker(&mut self, now: SimTime, id: FrameId, instance: u32) {
        let group = self.instances[instance as usize].group as usize;
        let model = self.model;
        let meters = &model.catalog.groups[group];
        let settings = self.group_of(instance);
        self.instances[instance as usize].busy += 1;
        self.observer.moved(now, meters.busy, 1);
        let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get_mut(id) else { return };
        exec.stage = Stage::Running;
        exec.held = settings.memory.map_or(0, |memory| memory.per_request);
        let (held, waited) = (exec.held, now.since(exec.at));
        let pool_layer = exec.pool_layer;
        if self.model.groups[group].kind == GroupKind::Service {
            self.observer.timed(meters.wait, waited);
        }
        self.take_memory(now, instance, held as i64);
        if let Some(limit) = settings.request_timeout {
            self.after(limit, Rank::Timer, Event::RequestTimeout(id));
        }
        if let Some(limit) = self.statement_timeout(pool_layer) {
            self.after(limit, Rank::Timer, Event::RequestTimeout(id));
        }
    }

    fn statement_timeout(&self, pool_layer: u32) -> Option<SimDuration> {
        match &self.model.layers.get(pool_layer as usize)?.kind {
            LayerKind::Pool { statement_timeout, .. } => *statement_timeout,
            _ => None,
        }
    }

    /// An execution with a worker begins its program, unless memory has just killed its instance.
    pub(super) fn begin(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get(id) else { return };
        let (instance, key) = (exec.instance, exec.run.key);
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
        let is_external = self.model.groups[state.group as usize].kind == GroupKind::External;
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

    /// The program of an execution ended, or it was called off.
    pub(super) fn finish(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let ending = if outcome == Outcome::Cancelled { Ending::Stopped } else { Ending::Done };
        self.end(now, id, outcome, ending);
    }

    pub(super) fn end(&mut self, now: SimTime, id: FrameId, outcome: Outcome, ending: Ending) {
        self.frames.ends(id, outcome);
        let Some(Frame { kind: Kind::Exec(exec), parent, .. }) = self.frames.remove(id) else { return };
        let group = self.instances[exec.instance as usize].group;
        let model = self.model;
        let meters = &model.catalog.groups[group as usize];
        self.leave_door(now, &exec, outcome);
        self.forget(&exec);
        self.meter_requests(now, exec.instance);
        self.observer.moved(now, meters.in_flight, -1);
        if !exec.is_check {
            let latency = now.since(exec.at);
            if model.costs.has_answers {
                self.pay_answer(parent, &exec, outcome, latency);
            }
            // For the endpoint, its group, and the balancer if it measures what its targets do.
            let red = match exec.measures_balancer && exec.balancer != NO_BALANCER {
                true => self.model.catalog.balancers[exec.balancer as usize].sent.wrapping_add(exec.endpoint),
                false => self.model.catalog.endpoints[exec.endpoint as usize],
            };
            self.observer.outcome(red, outcome, latency);
            self.note_version(exec.instance, outcome, latency);
            if outcome.is_success() && self.is_write(group, exec.endpoint) {
                self.replicate(now, group, exec.run.key);
            }
            if outcome.is_success() && exec.run.demand > 0.0 {
                let slowdown = latency.seconds() / f64::from(exec.run.demand);
                // A timer counts billionths, of seconds or of whatever else.
                self.observer.timed(meters.slowdown, SimDuration::from_seconds(slowdown));
            }
            // What was called off in time is no work for nobody.
            if self.anybody_left && outcome != Outcome::Cancelled && !self.is_awaited(parent) {
                self.observer.count(meters.nobody);
            }
        }
        if exec.own_connection {
            self.count_connections(now, group, -1);
        }
        if self.net.taints && outcome.is_success() {
            self.taint_answer(id, exec.instance, exec.run.key, parent);
        }
        if exec.is_check || self.net.has_wires {
            self.note_cause(parent, self.cause_of(&exec, ending));
        }
        if exec.balancer != NO_BALANCER {
            self.ends_behind_balancer(now, parent, &exec, (outcome, ending));
        }
        self.tasks.push_back(Task::Up(parent, outcome));
        match exec.stage {
            Stage::Running => self.free_worker(now, id, &exec, ending),
            Stage::Queued if ending == Ending::Stopped => {
                if self.instances[exec.instance as usize].queue.remove(id) {
                    self.observer.moved(now, meters.queue, -1);
                }
            }
            Stage::Queued => {}
        }
        let state = &self.instances[exec.instance as usize];
        if state.condition == Condition::Draining && state.execs.is_empty() && !state.pod.stays {
            self.stop(now, exec.instance);
        }
    }

    /// Takes an execution out of its instance's list; the last one takes its place.
    pub(super) fn forget(&mut self, exec: &Exec) {
        let instance = &mut self.instances[exec.instance as usize];
        if let Some(door) = &mut instance.door {
            door.swap_remove(exec.place);
        }
        let execs = &mut instance.execs;
        execs.swap_remove(exec.place as usize);
        if let Some(moved) = execs.get(exec.place as usize).copied()
            && let Some(Frame { kind: Kind::Exec(other), .. }) = self.frames.get_mut(moved)
        {
            other.place = exec.place;
        }
    }

    fn free_worker(&mut self, now: SimTime, id: FrameId, exec: &Exec, ending: Ending) {
        let instance = exec.instance;
        let group = self.instances[instance as usize].group as usize;
        let model = self.model;
        let meters = &model.catalog.groups[group];
        self.instances[instance as usize].busy -= 1;
        self.leave_environment(now, instance);
        self.observer.moved(now, meters.busy, -1);
        if exec.on_free_core {
            self.move_free_core(now, instance, -1);
        }
        if ending == Ending::Stopped
            && let Some(cpu) = &mut self.instances[instance as usize].cpu
            && cpu.cancel(now, id)
        {
            self.watch_cpu(now, instance);
        }
        self.take_memory(now, instance, -(exec.held as i64));
        if ending != Ending::Died {
            self.serve_next(now, instance);
        }
    }

    /// Gives free workers to those who wait.
    pub(super) fn serve_next(&mut self, now: SimTime, instance: u32) {
        let group = self.instances[instance as usize].group as usize;
        let workers = self.group_of(instance).workers;
        loop {
            let state = &mut self.instances[instance as usize];
            if state.is_hung || !state.answers() || workers.is_some_and(|w| state.busy >= w) {
                return;
            }
            let Some(next) = state.queue.pop(now) else { return };
            self.observer.moved(now, self.model.catalog.groups[group].queue, -1);
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
                    self.observer.count(self.model.catalog.groups[group].shed);
                    self.end(now, next, Outcome::Rejected, Ending::Done);
                }
            }
        }
    }

    // ---- CPU and memory ----

    /// Uses the CPU for a step of a program.
    pub(super) fn use_cpu(
        &mut self,
        now: SimTime,
        id: FrameId,
        (instance, priority): (u32, u8),
        work: SimDuration,
    ) {
        match &mut self.instances[instance as usize].cpu {
            Some(cpu) => {
                cpu.start(now, id, work, priority);
                self.watch_cpu(now, instance);
            }
            None => {
                let work = self.stolen(instance, work);
                self.move_free_core(now, instance, 1);
                self.set_free_core(id, true);
                self.queue.schedule(now + work, Rank::Completion, Event::StepDone(id));
            }
        }
    }

    /// Sets the alarm and the gauge of a CPU after a change.
    pub(super) fn watch_cpu(&mut self, now: SimTime, instance: u32) {
        // First, as it may change the cores, and with them the alarm.
        self.watch_runtime(now, instance);
        let state = &mut self.instances[instance as usize];
        let Some(cpu) = &mut state.cpu else { return };
        let cores = cpu.busy_cores();
        if let Some(meter) = &mut state.meter {
            meter.uses(now, cores);
        }
        let busy = (cores * 1e3) as i64;
        let before = std::mem::replace(&mut state.busy_millicores, busy);
        if let Some(at) = cpu.alarm() {
            self.queue.schedule(at, Rank::Completion, Event::Cpu { instance });
        }
        if busy != before {
            self.observer.moved(now, self.model.catalog.groups[state.group as usize].cpu, busy - before);
        }
    }

    pub(super) fn on_cpu(&mut self, now: SimTime, instance: u32) {
        if let Some(cpu) = &mut self.instances[instance as usize].cpu {
            cpu.on_alarm(now);
        }
        while let Some(job) = self.instances[instance as usize].cpu.as_mut().and_then(|cpu| cpu.complete(now))
        {
            self.tasks.push_back(Task::Advance(job));
        }
        self.watch_cpu(now, instance);
    }

    /// A step without a CPU is done.
    pub(super) fn on_step_done(&mut self, now: SimTime, id: FrameId) {
        self.release_free_core(now, id);
        self.advance(now, id);
    }

    fn set_free_core(&mut self, id: FrameId, on: bool) -> Option<u32> {
        match self.frames.get_mut(id).map(|f| &mut f.kind) {
            Some(Kind::Exec(exec)) => std::mem::replace(&mut exec.on_free_core, on).then_some(exec.instance),
            Some(Kind::Branch(branch)) => {
                std::mem::replace(&mut branch.on_free_core, on).then_some(branch.instance)
            }
            _ => None,
        }
    }

    pub(super) fn release_free_core(&mut self, now: SimTime, id: FrameId) {
        if let Some(instance) = self.set_free_core(id, false) {
            self.move_free_core(now, instance, -1);
        }
    }

    /// A core for everyone is used, or is not any more.
    fn move_free_core(&mut self, now: SimTime, instance: u32, delta: i64) {
        let state = &mut self.instances[instance as usize];
        self.observer.moved(now, self.model.catalog.groups[state.group as usize].cpu, delta * 1000);
        if let Some(meter) = &mut state.meter {
            meter.uses_free(now, delta);
        }
    }

    pub(super) fn meter_requests(&mut self, now: SimTime, instance: u32) {
        let state = &mut self.instances[instance as usize];
        if let Some(meter) = &mut state.meter {
            meter.holds(now, state.execs.len());
        }
    }

    pub(super) fn take_memory(&mut self, now: SimTime, instance: u32, bytes: i64) {
        if bytes == 0 {
            return;
        }
        let state = &mut self.instances[instance as usize];
        debug_assert!(state.taken.checked_add_signed(bytes).is_some(), "{} {bytes:+} bytes", state.taken);
        state.taken = state.taken.saturating_add_signed(bytes);
        self.observer.moved(now, self.model.catalog.groups[state.group as usize].memory, bytes);
    }

    /// Whether an instance uses more memory than its limit.
    pub(super) fn is_out_of_memory(&self, instance: u32) -> bool {
        let state = &self.instances[instance as usize];
        let memory = self.group_of(instance).memory;
        let leaked = self.runtimes[instance as usize].leaked;
        memory.is_some_and(|m| m.base + state.taken + leaked > m.limit)
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
