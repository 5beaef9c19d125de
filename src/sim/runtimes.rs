//! What processes run in: quotas that stall, pauses of garbage collection, one thread for all, code that warms up, CPU
//! credits, and leaks.
//!
//! An instance in a pause stands still like one that hangs: what reaches it waits, and its CPU does nothing. One whose
//! event loop is busy is blocked in the same way, but its CPU goes on.

use super::World;
use super::event::Event;
use super::layers::sample;
use crate::base::{SimTime, mix, uniform_of};
use crate::components::cpu::Cpu;
use crate::components::cpu::quota::Quota;
use crate::components::credits::Credits;
use crate::components::heap::{Collection, Heap};
use crate::components::warm_up::WarmUp;
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::{Group, Model};

/// The salts of the phase of periods, and of pauses.
const PHASE: u64 = 64;
const PAUSES: u64 = 65;

/// The runtime of an instance.
#[derive(Debug)]
pub(super) struct RuntimeState {
    /// Whether a fault makes it hang.
    pub is_hung: bool,
    pub is_paused: bool,
    is_loop_busy: bool,
    is_throttled: bool,
    /// What only those have that are not plain.
    details: Option<Box<Details>>,
    /// Bytes that its process has leaked.
    pub leaked: u64,
    /// The share of its CPU time that is not stolen.
    pub speed: f64,
    /// What the gauges of stolen time show of it, in millionths of the instance.
    pub stolen: i64,
    pub there: i64,
    /// Faults that act on it again and again, and the number of each one's turns.
    pub turning: Vec<(u32, u32)>,
}

/// What a runtime has whose group has something of this.
#[derive(Debug)]
struct Details {
    heap: Heap,
    /// Collections so far: each pause is drawn anew.
    collections: u64,
    warm_up: WarmUp,
    credits: Option<Credits>,
    /// Cores that were in use since credits were last brought up to date.
    used: f64,
    /// The cap on its cores for want of credits.
    cap: Option<f64>,
    /// Credits as the gauge has them, in thousandths; and those of the surplus that were counted.
    counted: u64,
    billed: u64,
    /// The next time at which credits were said to run out.
    alarm: Option<SimTime>,
}

impl Details {
    /// Of a process that is warm already.
    fn new() -> Box<Self> {
        Box::new(Self {
            heap: Heap::default(),
            collections: 0,
            warm_up: WarmUp::done(),
            credits: None,
            used: 0.0,
            cap: None,
            counted: 0,
            billed: 0,
            alarm: None,
        })
    }
}

impl RuntimeState {
    /// Whether its group never has anything of this.
    pub fn is_plain(&self) -> bool {
        self.details.is_none()
    }

    pub fn all(model: &Model) -> Vec<Self> {
        let mut all = Vec::with_capacity(model.instances as usize);
        for (group, shape) in model.groups.iter().enumerate() {
            let is_plain = model.all_of_group(group).all(|settings| settings.runtime.is_plain());
            for _ in 0..shape.capacity {
                all.push(Self {
                    is_hung: false,
                    is_paused: false,
                    is_loop_busy: false,
                    is_throttled: false,
                    details: (!is_plain).then(Details::new),
                    leaked: 0,
                    speed: 1.0,
                    stolen: 0,
                    there: 0,
                    turning: Vec::new(),
                });
            }
        }
        all
    }
}

/// A CPU with these settings; `phase` is where in its period the quota begins.
pub(super) fn new_cpu<J: Copy + PartialEq>(settings: &Group, now: SimTime, phase: f64) -> Option<Cpu<J>> {
    let cores = cpu_cores(settings)?;
    let mut cpu = Cpu::new(cores, settings.cpu_discipline);
    cpu.set_contention(now, settings.contention.0, settings.contention.1);
    if let Some((config, _)) = settings.runtime.quota {
        cpu.set_quota(now, Some(Quota::new(config, now, config.period.scaled(phase))));
    }
    Some(cpu)
}

/// The cores that work can run on: with a quota, those of the machine.
pub(super) fn cpu_cores(settings: &Group) -> Option<f64> {
    settings.runtime.quota.map(|(_, cores)| cores).or(settings.cores)
}

impl<O: Observer> World<'_, O> {
    /// Where in its period the quota of an instance begins.
    pub(super) fn quota_phase(&self, instance: u32) -> f64 {
        uniform_of(mix(self.pod_key(instance), PHASE))
    }

    /// Instances of the start have the credits that they are said to have.
    pub(super) fn start_runtimes(&mut self, now: SimTime) {
        for instance in 0..self.instances.len() as u32 {
            let settings = self.group_of(instance);
            if self.runtimes[instance as usize].is_plain() {
                continue;
            }
            self.instances[instance as usize].cpu = new_cpu(settings, now, self.quota_phase(instance));
            if self.instances[instance as usize].answers()
                && let Some(credits) = settings.runtime.credits
            {
                self.give_credits(now, instance, credits.initial);
            }
        }
    }

    /// An instance is launched, with the credits that new ones get.
    pub(super) fn runtime_launches(&mut self, now: SimTime, instance: u32) {
        if let Some(credits) = self.group_of(instance).runtime.credits {
            self.give_credits(now, instance, credits.launch);
        }
    }

    fn details_of(&mut self, instance: u32) -> Option<&mut Details> {
        self.runtimes[instance as usize].details.as_deref_mut()
    }

    fn give_credits(&mut self, now: SimTime, instance: u32, balance: f64) {
        let Some(credits) = self.group_of(instance).runtime.credits else { return };
        let Some(state) = self.details_of(instance) else { return };
        state.credits = Some(Credits::new(credits.config, now, balance));
        (state.used, state.billed) = (0.0, 0);
        self.watch_cpu(now, instance);
    }

    /// An instance is gone, and its machine with it.
    pub(super) fn runtime_goes(&mut self, now: SimTime, instance: u32) {
        self.runtime_begins(now, instance);
        if let Some(state) = self.details_of(instance) {
            state.credits = None;
        }
        self.watch_credits(now, instance);
        self.watch_cpu(now, instance);
    }

    /// Another process begins, at `at` or later: nothing of the one before is left.
    pub(super) fn runtime_begins(&mut self, at: SimTime, instance: u32) {
        let state = &mut self.runtimes[instance as usize];
        // Faults may let any process leak or pause.
        if state.is_plain() && state.leaked == 0 && !state.is_paused {
            return;
        }
        if let Some(details) = &mut state.details {
            details.heap = Heap::default();
            details.warm_up = WarmUp::default();
        }
        let leaked = std::mem::take(&mut state.leaked);
        if leaked > 0 {
            self.count_leak(at, instance, -(leaked as i64));
        }
        self.set_paused(at, instance, false);
        self.runtimes[instance as usize].is_loop_busy = false;
        self.block(instance);
    }

    // ---- what stands still ----

    /// Whether an instance is blocked follows from what may block it.
    fn block(&mut self, instance: u32) {
        let runtime = &self.runtimes[instance as usize];
        let is = runtime.is_hung || runtime.is_paused || runtime.is_loop_busy;
        let was = std::mem::replace(&mut self.instances[instance as usize].is_hung, is);
        self.hung = self.hung + u32::from(is) - u32::from(was);
        if is != was {
            self.ask_anew(instance);
        }
        if was && !is {
            self.unpark(instance);
        }
    }

    /// The CPU of an instance stands still, or goes on, as faults and pauses have it.
    pub(super) fn stand(&mut self, now: SimTime, instance: u32) {
        let runtime = &self.runtimes[instance as usize];
        let stands = runtime.is_hung || runtime.is_paused;
        if let Some(cpu) = &mut self.instances[instance as usize].cpu {
            cpu.set_speed(now, if stands { 0.0 } else { runtime.speed });
            self.watch_cpu(now, instance);
        }
        self.block(instance);
    }

    pub(super) fn set_paused(&mut self, now: SimTime, instance: u32, is: bool) {
        let state = &mut self.runtimes[instance as usize];
        if std::mem::replace(&mut state.is_paused, is) == is {
            return;
        }
        let group = self.instances[instance as usize].group as usize;
        if let Some(meters) = &self.model.catalog.runtimes[group] {
            self.observer.moved(now, meters.paused, if is { 1 } else { -1 });
        }
        self.stand(now, instance);
    }

    /// A pause of garbage collection is over.
    pub(super) fn on_pause_end(&mut self, now: SimTime, instance: u32, life: u32) {
        if self.instances[instance as usize].life == life {
            self.set_paused(now, instance, false);
        }
    }

    // ---- requests ----

    /// A request begins at an instance: it allocates, leaks, and warms the code up.
    pub(super) fn runtime_request(&mut self, now: SimTime, instance: u32) {
        let group = self.instances[instance as usize].group as usize;
        let model = self.model;
        let settings = self.group_of(instance);
        let state = &mut self.runtimes[instance as usize];
        let Some(details) = &mut state.details else { return };
        details.warm_up.on_request();
        if settings.runtime.leak > 0 {
            state.leaked += settings.runtime.leak;
            self.count_leak(now, instance, settings.runtime.leak as i64);
        }
        let Some((config, pause)) = &settings.runtime.gc else { return };
        let state = &mut self.runtimes[instance as usize];
        if state.is_paused {
            return;
        }
        let base = settings.memory.map_or(0, |m| m.base);
        let live = base + self.instances[instance as usize].taken + state.leaked;
        let Some(details) = &mut state.details else { return };
        let Some(collection) = details.heap.on_request(config, live) else { return };
        details.collections += 1;
        let collections = details.collections;
        let time = match collection {
            Collection::Young => sample(pause, mix(mix(self.pod_key(instance), PAUSES), collections)),
            Collection::Full(time) => time,
        };
        if let Some(meters) = &model.catalog.runtimes[group] {
            self.observer.timed(meters.pause, time);
            if collection != Collection::Young {
                self.observer.count(meters.full);
            }
        }
        if !time.is_zero() {
            let life = self.instances[instance as usize].life;
            self.set_paused(now, instance, true);
            self.queue.schedule(now + time, Rank::Completion, Event::PauseEnd { instance, life });
        }
    }

    pub(super) fn count_leak(&mut self, now: SimTime, instance: u32, bytes: i64) {
        let group = self.instances[instance as usize].group as usize;
        self.observer.moved(now, self.model.catalog.groups[group].memory, bytes);
        if let Some(meters) = &self.model.catalog.runtimes[group] {
            self.observer.moved(now, meters.leaked, bytes);
        }
    }

    /// How many times as long work takes, for code that is not warm yet.
    #[inline]
    pub(super) fn cold(&self, instance: u32) -> f64 {
        let Some(details) = &self.runtimes[instance as usize].details else { return 1.0 };
        self.group_of(instance).runtime.warm_up.map_or(1.0, |config| details.warm_up.factor(&config))
    }

    // ---- the CPU ----

    /// The CPU of an instance has changed: quota, event loop and credits follow.
    #[inline]
    pub(super) fn watch_runtime(&mut self, now: SimTime, instance: u32) {
        if !self.runtimes[instance as usize].is_plain() {
            self.watch_details(now, instance);
        }
    }

    fn watch_details(&mut self, now: SimTime, instance: u32) {
        let group = self.instances[instance as usize].group as usize;
        let Some(cpu) = &self.instances[instance as usize].cpu else { return };
        let (is_throttled, jobs) = (cpu.is_throttled(), cpu.running() + cpu.waiting());
        let state = &mut self.runtimes[instance as usize];
        if std::mem::replace(&mut state.is_throttled, is_throttled) != is_throttled
            && let Some(meters) = &self.model.catalog.runtimes[group]
        {
            self.observer.moved(now, meters.throttled, if is_throttled { 1 } else { -1 });
        }
        let is_loop = self.group_of(instance).runtime.event_loop;
        let is_loop_busy = is_loop && jobs > 0;
        let state = &mut self.runtimes[instance as usize];
        if std::mem::replace(&mut state.is_loop_busy, is_loop_busy) != is_loop_busy {
            self.block(instance);
        }
        self.watch_credits(now, instance);
    }

    /// Brings the credits of an instance up to date, and caps its CPU, or not.
    fn watch_credits(&mut self, now: SimTime, instance: u32) {
        let group = self.instances[instance as usize].group as usize;
        let model = self.model;
        let Some(meters) = &model.catalog.runtimes[group] else { return };
        let settings = self.group_of(instance);
        let Some(state) = &mut self.runtimes[instance as usize].details else { return };
        let before = state.cap;
        if let Some(credits) = &mut state.credits {
            credits.advance(now, state.used);
            state.cap = credits.limit();
        } else {
            state.cap = None;
        }
        let (cap, cpu) = (state.cap, &mut self.instances[instance as usize].cpu);
        if let (Some(cpu), Some(cores)) = (cpu, cpu_cores(settings)) {
            if cap != before {
                cpu.set_cores(now, cap.map_or(cores, |cap| cap.min(cores)));
            }
            state.used = cpu.busy_cores();
        }
        if cap.is_some() != before.is_some() {
            self.observer.moved(now, meters.capped, if cap.is_some() { 1 } else { -1 });
        }
        let counted = state.credits.map_or(0, |c| (c.balance() * 1e3) as u64);
        let counted_before = std::mem::replace(&mut state.counted, counted);
        if counted != counted_before {
            self.observer.moved(now, meters.credits, counted as i64 - counted_before as i64);
        }
        let billed = state.credits.map_or(0, |c| (c.surplus() * 1e3) as u64);
        if billed > state.billed {
            self.observer.count_many(meters.surplus, billed - state.billed);
            state.billed = billed;
        }
        let runs_out = state.credits.and_then(|c| c.runs_out(state.used));
        if let Some(at) = runs_out
            && state.alarm.is_none_or(|alarm| at < alarm)
        {
            state.alarm = Some(at);
            self.queue.schedule(at, Rank::Completion, Event::CreditsOut { instance });
        }
    }

    /// The credits of an instance may have run out.
    pub(super) fn on_credits_out(&mut self, now: SimTime, instance: u32) {
        if let Some(state) = self.details_of(instance)
            && state.alarm.is_some_and(|at| at <= now)
        {
            state.alarm = None;
        }
        self.watch_cpu(now, instance);
    }

    /// New settings: cores, quota, credits.
    pub(super) fn reconfigure_runtime(&mut self, now: SimTime, instance: u32, old: &Group, new: &Group) {
        if self.runtimes[instance as usize].is_plain() {
            return;
        }
        let phase = self.quota_phase(instance);
        if old.runtime.quota != new.runtime.quota
            && let Some(cpu) = &mut self.instances[instance as usize].cpu
        {
            let quota = new.runtime.quota.map(|(q, _)| Quota::new(q, now, q.period.scaled(phase)));
            cpu.set_quota(now, quota);
        }
        let answers = self.instances[instance as usize].answers();
        let Some(details) = self.details_of(instance) else { return };
        match (&mut details.credits, new.runtime.credits) {
            (Some(credits), Some(new)) => credits.reconfigure(new.config),
            (None, Some(new)) if answers => self.give_credits(now, instance, new.initial),
            (Some(_), None) => details.credits = None,
            _ => {}
        }
        // Cores that were set anew are capped anew.
        let group = self.instances[instance as usize].group as usize;
        if self.details_of(instance).is_some_and(|details| details.cap.take().is_some())
            && let Some(meters) = &self.model.catalog.runtimes[group]
        {
            self.observer.moved(now, meters.capped, -1);
        }
        if new.runtime.gc.is_none() {
            self.set_paused(now, instance, false);
        }
        self.watch_cpu(now, instance);
    }

    /// A CPU that is new has all its cores until it is looked at.
    pub(super) fn runtime_is_up(&mut self, now: SimTime, instance: u32) {
        let Some(details) = &self.runtimes[instance as usize].details else { return };
        let cap = details.cap;
        if let (Some(cpu), Some(cap)) = (&mut self.instances[instance as usize].cpu, cap) {
            cpu.set_cores(now, cap);
        }
        self.watch_cpu(now, instance);
    }
}
