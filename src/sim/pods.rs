//! Instances as pods: probes, the back-off between restarts, and how a pod ends.
//!
//! A *pod* is what stands at the place of an instance; a *container* is its process. Probes are requests like any
//! other. What they publish decides whether the instance is among the endpoints (`unready`), or has it killed. A
//! deleted pod drains (`Condition::Draining`) until its process ends by itself after SIGTERM or is killed, and its
//! address may be asked for longer than that (`lingers`).

use super::event::Event;
use super::frame::{Frame, Kind};
use super::instances::Condition;
use super::layers::sample;
use super::{FrameId, World};
use crate::base::{Outcome, SimDuration, SimTime, Streams, mix, uniform_of};
use crate::components::back_off::BackOff;
use crate::components::probe::{Probe, ProbeConfig, ProbeKind, ProbeResult};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::Model;
use crate::model::life::Life;

/// The salt of the moment of the first probe, to which the kind is added.
const PHASE: u64 = 1;
/// The salt of probes, to which the kind is added.
const PROBES: u64 = 8;
/// The salt of what endpoints need to spread.
const ENDPOINTS: u64 = 16;

/// What the rest of the world asks of a pod.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PodFlags {
    /// Probes keep it out of the endpoints.
    pub unready: bool,
    /// It was deleted or is gone, and not everybody knows.
    pub lingers: bool,
    /// It does not end when it is idle.
    pub stays: bool,
    /// Its listener is closed.
    pub refuses: bool,
    /// It is started again when it has ended.
    pub returns: bool,
}

/// A pod.
#[derive(Debug)]
pub(super) struct Pod {
    probes: [Probe; 3],
    /// The key of its random numbers.
    key: u64,
    /// Raised to drop the ticks that are scheduled.
    generation: u32,
    /// Since when, or from when on, its container runs.
    since: SimTime,
    back_off: BackOff,
    /// Whether it waits to be restarted.
    is_waiting: bool,
    /// Whether it counts as ready.
    is_counted: bool,
    is_terminating: bool,
    /// Raised to drop news about its endpoint that is on its way.
    endings: u32,
    /// Whether another pod is to take its place once it is gone.
    wanted_again: bool,
}

impl Pod {
    pub fn all(model: &Model, streams: Streams) -> Vec<Self> {
        let make = |instance| Self {
            probes: ProbeKind::ALL.map(Probe::passed),
            key: streams.key(&model.instance_name(instance), "probes"),
            generation: 0,
            since: SimTime::ZERO,
            back_off: BackOff::default(),
            is_waiting: false,
            is_counted: false,
            is_terminating: false,
            endings: 0,
            wanted_again: false,
        };
        (0..model.instances).map(make).collect()
    }

    /// Whether its probes let it be among the endpoints.
    fn passes(&self, life: &Life) -> bool {
        let passes = |kind: usize| {
            life.probes[kind].is_none() || self.probes[kind].published() == ProbeResult::Success
        };
        passes(0) && passes(1)
    }
}

impl<O: Observer> World<'_, O> {
    /// The key of the random numbers of what stands at a place.
    pub(super) fn pod_key(&self, instance: u32) -> u64 {
        self.pods[instance as usize].key
    }

    fn life(&self, instance: u32) -> &Life {
        &self.group_of(instance).life
    }

    /// Pods of the start of the run have passed their probes long ago, and are probed from then on.
    pub(super) fn start_pods(&mut self, now: SimTime) {
        for instance in 0..self.instances.len() as u32 {
            if self.instances[instance as usize].condition == Condition::Up {
                self.count_ready(now, instance);
                self.schedule_probes(now, instance);
            }
        }
    }

    fn schedule_probes(&mut self, now: SimTime, instance: u32) {
        let probes = &self.group_of(instance).life.probes;
        let pod = &mut self.pods[instance as usize];
        pod.generation += 1;
        let (key, generation) = (pod.key, pod.generation);
        for (number, (kind, probe)) in (0..).zip(ProbeKind::ALL.iter().zip(probes)) {
            let Some((config, _)) = probe else { continue };
            // Each worker first waits for a random part of its period.
            let phase = uniform_of(mix(mix(key, u64::from(generation)), PHASE + number));
            let at = now + config.period.scaled(phase);
            self.queue.schedule(at, Rank::Probe, Event::Probe { instance, kind: *kind, generation });
        }
    }

    // ---- probes ----

    /// A worker of the kubelet looks at its container.
    pub(super) fn on_probe(&mut self, now: SimTime, instance: u32, kind: ProbeKind, generation: u32) {
        if self.pods[instance as usize].generation != generation {
            return;
        }
        let Some((config, endpoint)) = self.life(instance).probes[kind as usize] else { return };
        self.after(config.period, Rank::Probe, Event::Probe { instance, kind, generation });
        self.probe(now, instance, kind, (config, endpoint));
    }

    fn probe(
        &mut self,
        now: SimTime,
        instance: u32,
        kind: ProbeKind,
        (config, endpoint): (ProbeConfig, u32),
    ) {
        let life = self.life(instance);
        let has_startup = life.probes[0].is_some();
        let pod = &self.pods[instance as usize];
        let has_started = !has_startup || pod.probes[0].published() == ProbeResult::Success;
        let is_its_turn = (kind == ProbeKind::Startup) != has_started;
        let runs = match self.instances[instance as usize].condition {
            Condition::Up | Condition::Starting => pod.since <= now,
            // While a pod ends, only its readiness is still looked at.
            Condition::Draining => kind == ProbeKind::Readiness,
            Condition::Off | Condition::Down => false,
        };
        if !runs || !is_its_turn || now.since(pod.since) < config.initial_delay {
            return;
        }
        if !self.pods[instance as usize].probes[kind as usize].on_tick() {
            return;
        }
        let group = self.instances[instance as usize].group;
        let pod = &self.pods[instance as usize];
        // By its number, not by the nanosecond. One comes in each period.
        let number = now.ns() / config.period.ns().max(1);
        let key = mix(mix(mix(pod.key, u64::from(pod.generation)), PROBES + kind as u64), number);
        if let Some(meters) = &self.model.catalog.lives[group as usize] {
            self.observer.arrival(meters.probes[kind as usize]);
        }
        let life = self.instances[instance as usize].life;
        let frame = Frame::new(FrameId::NONE, Kind::Probe { instance, kind, life, at: now });
        self.send_check(now, frame, (instance, endpoint), config.timeout, key);
    }

    /// A probe has its answer, or none in time.
    pub(super) fn end_probe(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let Some(Frame { kind: Kind::Probe { instance, kind, life, at }, .. }) = self.frames.remove(id)
        else {
            return;
        };
        let group = self.instances[instance as usize].group as usize;
        if let Some(meters) = &self.model.catalog.lives[group] {
            self.observer.outcome(meters.probes[kind as usize], outcome, now.since(at));
        }
        let ticks = self.pods[instance as usize].probes[kind as usize].on_answer();
        let Some((config, endpoint)) = self.life(instance).probes[kind as usize] else { return };
        // Of a container that is gone nothing is learnt.
        if self.instances[instance as usize].life == life {
            let passed = outcome.is_success();
            let changed = self.pods[instance as usize].probes[kind as usize].on_result(&config, passed);
            match (changed, kind) {
                (None, _) => {}
                (Some(ProbeResult::Failure), ProbeKind::Startup | ProbeKind::Liveness) => {
                    self.kill_container(now, instance);
                }
                (Some(_), _) => self.update_ready(now, instance),
            }
        }
        if ticks {
            self.probe(now, instance, kind, (config, endpoint));
        }
    }

    /// A probe wants a container to be killed: gracefully, if its pod has a way to end.
    fn kill_container(&mut self, now: SimTime, instance: u32) {
        let state = &self.instances[instance as usize];
        let group = state.group as usize;
        if let Some(meters) = &self.model.catalog.lives[group] {
            self.observer.count(meters.probe_kills);
        }
        match state.condition {
            Condition::Up => {
                if self.begin_termination(now, instance, true) {
                    self.note(now, Change::ProbeFailed { instance });
                    self.observer.count(self.model.catalog.groups[group].kills);
                } else {
                    self.kill(now, instance, Change::ProbeFailed { instance });
                }
            }
            Condition::Starting => {
                self.note(now, Change::ProbeFailed { instance });
                self.kill(now, instance, Change::ProbeFailed { instance });
            }
            Condition::Off | Condition::Draining | Condition::Down => {}
        }
    }

    /// Probes may say something else now of who is among the endpoints.
    fn update_ready(&mut self, now: SimTime, instance: u32) {
        let unready = !self.pods[instance as usize].passes(self.life(instance));
        let state = &mut self.instances[instance as usize];
        if std::mem::replace(&mut state.pod.unready, unready) == unready {
            return;
        }
        if state.condition == Condition::Up {
            let change = if unready { Change::Unready { instance } } else { Change::Ready { instance } };
            self.note(now, change);
            self.pod_turns(now, instance);
            if !unready {
                return self.join(now, instance, false);
            }
        }
        if unready && !self.instances[instance as usize].pod.lingers {
            self.leave_balancers(now, instance);
        }
        self.discover(instance);
        self.count_ready(now, instance);
    }

    /// Moves the gauge of ready instances to what an instance is now.
    pub(super) fn count_ready(&mut self, now: SimTime, instance: u32) {
        self.fleet_moved(self.instances[instance as usize].group);
        let state = &self.instances[instance as usize];
        let Some(meters) = &self.model.catalog.lives[state.group as usize] else { return };
        let is_ready = state.condition == Condition::Up && !state.pod.unready;
        let was_ready = std::mem::replace(&mut self.pods[instance as usize].is_counted, is_ready);
        if is_ready != was_ready {
            self.observer.moved(now, meters.ready, if is_ready { 1 } else { -1 });
        }
    }

    // ---- containers ----

    /// Another pod stands at the place of an instance.
    pub(super) fn new_pod(&mut self, now: SimTime, instance: u32) {
        if self.instances[instance as usize].pod.lingers {
            // The address of the one before is forgotten with it.
            self.instances[instance as usize].pod.lingers = false;
            self.leave_balancers(now, instance);
            self.discover(instance);
        }
        let pod = &mut self.pods[instance as usize];
        pod.endings += 1;
        pod.back_off = BackOff::default();
        pod.probes = ProbeKind::ALL.map(Probe::new);
        self.instances[instance as usize].pod = PodFlags::default();
        self.ask_anew(instance);
        self.update_ready(now, instance);
        self.schedule_probes(now, instance);
        self.runtime_launches(now, instance);
    }

    /// The container ends, and another one begins at `at`, now or later.
    pub(super) fn container_begins(&mut self, at: SimTime, instance: u32) {
        self.end_termination(at, instance);
        self.leave_back_off(at, instance);
        let flags = &mut self.instances[instance as usize].pod;
        if std::mem::take(&mut flags.returns) {
            flags.lingers = false;
            // News of the end that are still on their way are not about the new one.
            self.pods[instance as usize].endings += 1;
        }
        let pod = &mut self.pods[instance as usize];
        pod.since = at;
        pod.probes.iter_mut().for_each(Probe::on_container);
        self.update_ready(at, instance);
        self.count_ready(at, instance);
        self.task_begins(at, instance);
        self.runtime_begins(at, instance);
    }

    /// How long a container that has ended waits before it is restarted.
    pub(super) fn back_off(&mut self, now: SimTime, instance: u32) -> SimDuration {
        let group = self.instances[instance as usize].group as usize;
        if let Some(meters) = &self.model.catalog.lives[group] {
            self.observer.count(meters.restarts);
        }
        let Some(config) = self.life(instance).back_off else { return SimDuration::ZERO };
        self.pods[instance as usize].back_off.on_end(&config, now)
    }

    /// A pod whose operator replaces it has no past.
    pub(super) fn forget_back_off(&mut self, instance: u32) {
        self.pods[instance as usize].back_off = BackOff::default();
    }

    /// A container waits to be restarted, until `until`.
    pub(super) fn enter_back_off(&mut self, now: SimTime, instance: u32, until: SimTime) {
        let state = &self.instances[instance as usize];
        let (group, life) = (state.group as usize, state.life);
        let Some(meters) = &self.model.catalog.lives[group] else { return };
        self.pods[instance as usize].is_waiting = true;
        self.observer.moved(now, meters.back_off, 1);
        self.note(now, Change::BackOff { instance });
        self.queue.schedule(until, Rank::Control, Event::ContainerStarts { instance, life });
    }

    pub(super) fn on_container_starts(&mut self, now: SimTime, instance: u32, life: u32) {
        if self.instances[instance as usize].life == life {
            self.leave_back_off(now, instance);
        }
    }

    fn leave_back_off(&mut self, now: SimTime, instance: u32) {
        if std::mem::take(&mut self.pods[instance as usize].is_waiting) {
            let group = self.instances[instance as usize].group as usize;
            let Some(meters) = &self.model.catalog.lives[group] else { return };
            self.observer.moved(now, meters.back_off, -1);
        }
    }

    // ---- how pods end ----

    /// Begins to end a pod that runs, if its service says how; it `returns` if only its container is to be replaced.
    pub(super) fn begin_termination(&mut self, now: SimTime, instance: u32, returns: bool) -> bool {
        let Some((config, _)) = &self.life(instance).termination else { return false };
        let config = *config;
        let state = &mut self.instances[instance as usize];
        state.condition = Condition::Draining;
        state.pod.lingers = !state.pod.unready;
        state.pod.stays = true;
        state.pod.returns = returns;
        state.drain_ends = Some(now + config.sigkill_after());
        let (life, group) = (state.life, state.group as usize);
        self.pods[instance as usize].is_terminating = true;
        if let Some(meters) = &self.model.catalog.lives[group] {
            self.observer.moved(now, meters.terminating, 1);
        }
        if !returns {
            self.note(now, Change::Draining { instance });
            self.spread_end(now, instance);
        }
        self.discover(instance);
        self.count_ready(now, instance);
        let (term, kill) = (config.sigterm_after(), config.sigkill_after());
        self.queue.schedule(now + term, Rank::Control, Event::Sigterm { instance, life });
        self.queue.schedule(now + kill, Rank::Control, Event::DrainEnd { instance, life });
        true
    }

    /// News that a pod was deleted begins to spread.
    pub(super) fn spread_end(&mut self, now: SimTime, instance: u32) {
        let Some((_, propagation)) = &self.life(instance).termination else { return };
        let pod = &self.pods[instance as usize];
        let key = mix(mix(pod.key, ENDPOINTS), u64::from(pod.generation));
        let delay = sample(propagation, key);
        let pod = &mut self.pods[instance as usize];
        pod.endings += 1;
        let generation = pod.endings;
        self.queue.schedule(now + delay, Rank::Control, Event::EndpointGone { instance, generation });
    }

    /// Everybody knows that a pod is gone.
    pub(super) fn on_endpoint_gone(&mut self, now: SimTime, instance: u32, generation: u32) {
        if self.pods[instance as usize].endings != generation {
            return;
        }
        self.instances[instance as usize].pod.lingers = false;
        self.leave_balancers(now, instance);
        self.discover(instance);
    }

    /// The process of a pod that ends is told so.
    pub(super) fn on_sigterm(&mut self, now: SimTime, instance: u32, life: u32) {
        let closes = self.life(instance).termination.as_ref().is_some_and(|(c, _)| c.closes_listener);
        let state = &mut self.instances[instance as usize];
        if state.life != life || state.condition != Condition::Draining || !closes {
            return;
        }
        state.pod.refuses = true;
        state.pod.stays = false;
        let is_idle = state.execs.is_empty();
        self.ask_anew(instance);
        if is_idle {
            self.stop(now, instance);
        }
    }

    /// A pod had not ended by itself when its grace period was over.
    pub(super) fn count_sigkill(&mut self, instance: u32) {
        let group = self.instances[instance as usize].group as usize;
        if let Some(meters) = &self.model.catalog.lives[group]
            && self.pods[instance as usize].is_terminating
        {
            self.observer.count(meters.sigkills);
        }
    }

    /// A request came to a pod that has closed its listener, or is gone already.
    pub(super) fn count_refused(&mut self, instance: u32) {
        let state = &self.instances[instance as usize];
        if let Some(meters) = &self.model.catalog.lives[state.group as usize]
            && (state.pod.refuses || state.pod.lingers)
        {
            self.observer.count(meters.refused);
        }
    }

    /// A pod that was ending has ended.
    pub(super) fn end_termination(&mut self, now: SimTime, instance: u32) {
        let state = &mut self.instances[instance as usize];
        let group = state.group as usize;
        (state.pod.stays, state.pod.refuses) = (false, false);
        self.ask_anew(instance);
        if std::mem::take(&mut self.pods[instance as usize].is_terminating)
            && let Some(meters) = &self.model.catalog.lives[group]
        {
            self.observer.moved(now, meters.terminating, -1);
        }
    }

    /// A pod that ends is wanted after all; answers whether that has to wait until it is gone.
    pub(super) fn wants_again(&mut self, instance: u32) -> bool {
        let pod = &mut self.pods[instance as usize];
        pod.wanted_again = pod.is_terminating && !self.instances[instance as usize].pod.returns;
        pod.is_terminating
    }

    /// A pod that ends is not wanted any more, even if only its container was to be replaced.
    pub(super) fn wants_no_more(&mut self, now: SimTime, instance: u32) {
        self.pods[instance as usize].wanted_again = false;
        if std::mem::take(&mut self.instances[instance as usize].pod.returns) {
            self.note(now, Change::Draining { instance });
            self.spread_end(now, instance);
        }
    }

    /// A pod is gone. Its address may be asked for until everybody knows.
    pub(super) fn pod_is_gone(&mut self, now: SimTime, instance: u32) {
        self.end_termination(now, instance);
        self.leave_back_off(now, instance);
        self.count_ready(now, instance);
        self.runtime_goes(now, instance);
        // Nobody probes what is not there.
        self.pods[instance as usize].generation += 1;
        if std::mem::take(&mut self.pods[instance as usize].wanted_again) {
            self.scale_out(now, instance);
        }
        self.task_is_gone(now, instance);
    }

    // ---- settings ----

    /// New settings of probes and restarts; what was published of running containers stays.
    pub(super) fn reconfigure_pods(&mut self, now: SimTime) {
        let model = self.model;
        for instance in 0..self.instances.len() as u32 {
            let state = &self.instances[instance as usize];
            let group = state.group as usize;
            let settings = |epoch: usize| &model.settings_of(state.version, epoch).groups[group];
            let [before, after] = [self.previous_epoch(), self.epoch].map(|e| &settings(e).life.probes);
            let is_ready = state.condition == Condition::Up && !state.pod.unready;
            if state.condition == Condition::Off || before == after {
                continue;
            }
            for (number, kind) in ProbeKind::ALL.into_iter().enumerate() {
                if before[number].is_none() && after[number].is_some() {
                    // A probe that is new finds a container that has been taken to work so far.
                    self.pods[instance as usize].probes[number] =
                        if is_ready { Probe::passed(kind) } else { Probe::new(kind) };
                }
            }
            let periods = |probes: &[Option<(ProbeConfig, u32)>; 3]| probes.map(|p| p.map(|(c, _)| c.period));
            if periods(before) != periods(after) {
                self.schedule_probes(now, instance);
            }
            self.update_ready(now, instance);
        }
    }
}
