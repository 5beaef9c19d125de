//! Concurrency limits: around calls, and at the doors of instances.

use super::event::Event;
use super::frame::{Call, Exec, Frame, Kind, LayerState};
use super::layers::Passage;
use super::{FrameId, Task, World};
use crate::base::{Outcome, SimTime, mix, salt, uniform_of};
use crate::components::concurrency::{Entry, Finish, LimitConfig, Limiter, LimiterConfig};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::{Group, LayerKind};

/// Where a limiter's further gauges are, from its first one, which is the limit.
const IN_USE: u32 = 1;
const WAITING: u32 = 2;

/// A limiter around calls.
#[derive(Debug)]
pub(super) struct LimiterState {
    limiter: Limiter<FrameId>,
    /// Its meters.
    meters: u32,
    /// The limit that the gauge shows; none before the first call.
    shown: u32,
}

impl LimiterState {
    pub fn new(config: LimiterConfig, meters: u32, now: SimTime) -> Self {
        Self { limiter: Limiter::new(config, now), meters, shown: 0 }
    }

    /// Calls in progress or waiting.
    pub fn holds(&self) -> u64 {
        u64::from(self.limiter.in_use() + self.limiter.waiting())
    }
}

/// A limiter at the door of an instance.
#[derive(Debug)]
pub(super) struct Door {
    limiter: Limiter<()>,
    /// Of each request, by its place: how many were in progress when it came; 0 if it does not count.
    admitted: Vec<u32>,
    shown: u32,
}

impl Door {
    pub fn of(settings: &Group, requests: usize, now: SimTime) -> Option<Box<Self>> {
        let limiter = Limiter::new(settings.admission?, now);
        Some(Box::new(Self { limiter, admitted: vec![0; requests], shown: 0 }))
    }

    /// A request comes, and does not count yet.
    pub fn push(&mut self) {
        self.admitted.push(0);
    }

    /// The request at a place goes; the last one takes its place.
    pub fn swap_remove(&mut self, place: u32) {
        self.admitted.swap_remove(place as usize);
    }
}

/// What a limit learns from an outcome.
fn finish(config: &LimitConfig, outcome: Outcome, cancelled: Finish) -> Finish {
    match outcome {
        Outcome::Ok | Outcome::Degraded => Finish::Success,
        Outcome::Cancelled => cancelled,
        // To Envoy any answer is one.
        _ if matches!(config, LimitConfig::Envoy(_)) => Finish::Success,
        Outcome::Error => Finish::Ignored,
        Outcome::Timeout | Outcome::Rejected | Outcome::Unavailable => Finish::Dropped,
    }
}

impl<O: Observer> World<'_, O> {
    /// A call comes to a concurrency limit.
    pub(super) fn enter_limiter(
        &mut self,
        now: SimTime,
        slot: usize,
        call: &Call,
        parent: FrameId,
        layer: u32,
    ) -> Passage {
        let state = LayerState::Limited { since: now, in_flight: 0 };
        let id = self.push_frame(Frame::new(parent, Kind::Layer { layer, call: *call, state }));
        let meters = self.model.catalog.layers[self.limiters[slot].meters as usize];
        let entry = self.limiters[slot].limiter.enter(now, id);
        self.show_limit(now, slot);
        match entry {
            Entry::Admitted(in_flight) => {
                self.observer.moved(now, meters.gauge + IN_USE, 1);
                self.set_state(id, LayerState::Limited { since: now, in_flight });
                Passage::Through(id)
            }
            Entry::Queued => {
                self.observer.moved(now, meters.gauge + WAITING, 1);
                if let Some(wait) = self.limiters[slot].limiter.wait_max() {
                    self.after(wait, Rank::Timer, Event::Timer(id));
                }
                Passage::Waits
            }
            Entry::Rejected => {
                self.observer.count(meters.rejected);
                self.frames.remove(id);
                Passage::Rejected
            }
        }
    }

    /// A call leaves a concurrency limit, in whatever way.
    pub(super) fn leave_limiter(
        &mut self,
        now: SimTime,
        (slot, layer, id): (usize, u32, FrameId),
        call: &Call,
        state: LayerState,
        outcome: Outcome,
    ) {
        let LayerState::Limited { since, in_flight } = state else { return };
        if in_flight == 0 {
            return self.give_up_waiting(now, slot, id);
        }
        let LayerKind::ConcurrencyLimit { config, salt } = &self.model.layers[layer as usize].kind else {
            return;
        };
        let finish = finish(&config.limit, outcome, Finish::Ignored);
        let dice = uniform_of(mix(call.key, *salt));
        self.limiters[slot].limiter.leave(now, finish, since, in_flight, dice);
        let meters = self.model.catalog.layers[self.limiters[slot].meters as usize];
        self.observer.moved(now, meters.gauge + IN_USE, -1);
        // An answer lets at most one go on.
        if let Some(next) = self.limiters[slot].limiter.admit() {
            self.limiter_admitted(now, slot, next);
        }
        self.show_limit(now, slot);
    }

    /// A call waits no longer; `true` if it did.
    fn give_up_waiting(&mut self, now: SimTime, slot: usize, id: FrameId) {
        if self.limiters[slot].limiter.abandon(id) {
            let meters = self.model.catalog.layers[self.limiters[slot].meters as usize];
            self.observer.moved(now, meters.gauge + WAITING, -1);
        }
    }

    /// A call has waited as long as it may.
    pub(super) fn limiter_timed_out(&mut self, now: SimTime, slot: usize, id: FrameId, parent: FrameId) {
        self.give_up_waiting(now, slot, id);
        let meters = self.model.catalog.layers[self.limiters[slot].meters as usize];
        self.observer.count(meters.rejected);
        self.frames.remove(id);
        self.tasks.push_back(Task::Up(parent, Outcome::Rejected));
    }

    /// A call that waited has its turn.
    fn limiter_admitted(&mut self, now: SimTime, slot: usize, (frame, in_flight): (FrameId, u32)) {
        let meters = self.model.catalog.layers[self.limiters[slot].meters as usize];
        self.observer.moved(now, meters.gauge + WAITING, -1);
        self.observer.moved(now, meters.gauge + IN_USE, 1);
        self.set_state(frame, LayerState::Limited { since: now, in_flight });
        self.tasks.push_back(Task::Down(frame));
    }

    /// Moves the gauge of the limit to where it is.
    fn show_limit(&mut self, now: SimTime, slot: usize) {
        let state = &mut self.limiters[slot];
        let limit = state.limiter.limit();
        let before = std::mem::replace(&mut state.shown, limit);
        if limit != before {
            let gauge = self.model.catalog.layers[state.meters as usize].gauge;
            self.observer.moved(now, gauge, i64::from(limit) - i64::from(before));
        }
    }

    /// New settings for a limiter.
    pub(super) fn reconfigure_limiter(&mut self, now: SimTime, slot: usize, config: LimiterConfig) {
        self.limiters[slot].limiter.reconfigure(config, now);
        while let Some(next) = self.limiters[slot].limiter.admit() {
            self.limiter_admitted(now, slot, next);
        }
        if self.limiters[slot].shown > 0 {
            self.show_limit(now, slot);
        }
    }

    /// The calling process is gone, and its limiter with it.
    pub(super) fn reset_limiter(&mut self, now: SimTime, slot: usize, config: LimiterConfig) {
        let meters = self.limiters[slot].meters;
        let new = LimiterState::new(config, meters, now);
        let mut old = std::mem::replace(&mut self.limiters[slot], new);
        let gauge = self.model.catalog.layers[meters as usize].gauge;
        self.observer.moved(now, gauge, -i64::from(old.shown));
        self.observer.moved(now, gauge + IN_USE, -i64::from(old.limiter.in_use()));
        self.observer.moved(now, gauge + WAITING, -i64::from(old.limiter.waiting()));
        // Who waited without a parent in the process has no timer that would find it.
        while let Some(waiter) = old.limiter.evict() {
            if let Some(gone) = self.frames.remove(waiter) {
                self.tasks.push_back(Task::Up(gone.parent, Outcome::Error));
            }
        }
    }

    // ---- doors ----

    /// Whether a request may come in through its instance's door.
    pub(super) fn passes_door(&mut self, now: SimTime, id: FrameId, instance: u32) -> bool {
        let state = &mut self.instances[instance as usize];
        let Some(door) = &mut state.door else { return true };
        let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get(id) else { return true };
        if exec.is_check {
            return true;
        }
        let meters = self.model.catalog.groups[state.group as usize].admission;
        let entry = door.limiter.enter(now, ());
        match entry {
            Entry::Admitted(in_flight) => {
                door.admitted[exec.place as usize] = in_flight;
                self.observer.moved(now, meters.limit + IN_USE, 1);
            }
            _ => self.observer.count(meters.rejected),
        }
        self.show_door(now, instance);
        matches!(entry, Entry::Admitted(_))
    }

    /// A request ends at an instance.
    pub(super) fn leave_door(&mut self, now: SimTime, exec: &Exec, outcome: Outcome) {
        let settings = self.group_of(exec.instance);
        let state = &mut self.instances[exec.instance as usize];
        let Some(door) = &mut state.door else { return };
        let in_flight = std::mem::take(&mut door.admitted[exec.place as usize]);
        let Some(config) = settings.admission else { return };
        if in_flight == 0 {
            return;
        }
        let finish = finish(&config.limit, outcome, Finish::Dropped);
        let dice = uniform_of(mix(exec.run.key, salt("admission")));
        door.limiter.leave(now, finish, exec.at, in_flight, dice);
        let meters = self.model.catalog.groups[state.group as usize].admission;
        self.observer.moved(now, meters.limit + IN_USE, -1);
        self.show_door(now, exec.instance);
    }

    fn show_door(&mut self, now: SimTime, instance: u32) {
        let state = &mut self.instances[instance as usize];
        let Some(door) = &mut state.door else { return };
        let limit = door.limiter.limit();
        let before = std::mem::replace(&mut door.shown, limit);
        if limit != before {
            let gauge = self.model.catalog.groups[state.group as usize].admission.limit;
            self.observer.moved(now, gauge, i64::from(limit) - i64::from(before));
        }
    }

    /// New settings for a door: the limiter goes on; without it there is none, and requests inside do not count.
    pub(super) fn reconfigure_door(&mut self, now: SimTime, instance: u32, old: &Group, new: &Group) {
        let state = &mut self.instances[instance as usize];
        match (&mut state.door, new.admission) {
            (Some(door), Some(config)) => {
                if old.admission != new.admission {
                    door.limiter.reconfigure(config, now);
                }
                if door.shown > 0 {
                    self.show_door(now, instance);
                }
            }
            _ if old.admission != new.admission => self.reset_door(now, instance, new),
            _ => {}
        }
    }

    /// The process behind a door is gone, or the door itself: another one, if there is to be one.
    pub(super) fn reset_door(&mut self, now: SimTime, instance: u32, settings: &Group) {
        let state = &mut self.instances[instance as usize];
        if let Some(old) = state.door.take() {
            let gauge = self.model.catalog.groups[state.group as usize].admission.limit;
            self.observer.moved(now, gauge, -i64::from(old.shown));
            self.observer.moved(now, gauge + IN_USE, -i64::from(old.limiter.in_use()));
        }
        state.door = Door::of(settings, state.execs.len(), now);
        self.ask_anew(instance);
    }
}
