//! Knative's pod autoscaler in the world, and the activator that holds requests while no pod is ready.
//!
//! Requests that wait with the activator stand in the queue of an instance that is being started: the first. When
//! another one is ready before, they go over to that one.

use super::Kind;
use crate::base::{Outcome, SimTime};
use crate::components::kpa::Kpa;
use crate::components::queue::Entry;
use crate::metrics::Observer;
use crate::model::autoscaler::KnativeSettings;
use crate::sim::World;
use crate::sim::endings::Ending;
use crate::sim::frame::{Frame, Kind as FrameKind, NO_BALANCER};
use crate::sim::instances::{Condition, newcomer};

/// Knative's pod autoscaler as a run has it.
#[derive(Debug)]
pub(super) struct KnativeState {
    pub kpa: Kpa,
    /// Request-nanoseconds of all instances when they were last asked.
    held_ns: f64,
}

impl KnativeState {
    pub fn new(settings: &KnativeSettings, now: SimTime, ready: u32) -> Self {
        Self { kpa: Kpa::new(settings.config, now, ready), held_ns: 0.0 }
    }
}

impl<O: Observer> World<'_, O> {
    /// Asks all pods, and the activator, how many requests they had since `last`.
    pub(super) fn ask_pods(&mut self, now: SimTime, autoscaler: u32, last: SimTime) {
        let shape = &self.model.groups[self.model.autoscalers[autoscaler as usize].group as usize];
        let mut held_ns = 0.0;
        for instance in shape.first..shape.first + shape.capacity {
            if let Some(meter) = &mut self.instances[instance as usize].meter {
                meter.advance(now);
                held_ns += meter.totals.held_ns;
            }
        }
        let Kind::Knative(state) = &mut self.autoscalers[autoscaler as usize].kind else { return };
        let before = std::mem::replace(&mut state.held_ns, held_ns);
        let ns = now.since(last).ns() as f64;
        // Sums of floats: what is less than a millionth of a request is none.
        let mean = (held_ns - before) / ns.max(1.0);
        state.kpa.observe(if mean < 1e-6 { 0.0 } else { mean });
    }

    /// A tick.
    pub(super) fn tick_knative(&mut self, now: SimTime, autoscaler: u32) {
        let group = self.model.autoscalers[autoscaler as usize].group;
        let current = self.groups[group as usize].wanted;
        let shape = &self.model.groups[group as usize];
        let instances = &self.instances[shape.first as usize..(shape.first + shape.capacity) as usize];
        let ready = instances.iter().filter(|i| i.condition == Condition::Up).count() as u32;
        let Kind::Knative(state) = &mut self.autoscalers[autoscaler as usize].kind else { return };
        let did_panic = state.kpa.panics();
        let desired = state.kpa.decide(now, current, ready);
        if state.kpa.panics() && !did_panic {
            self.observer.count(self.model.catalog.autoscalers[autoscaler as usize].panics);
        }
        self.rescale(now, autoscaler, desired);
    }

    /// The autoscaler of a group that has an activator.
    fn activating(&self, group: u32) -> Option<u32> {
        let found = self
            .model
            .autoscalers
            .iter()
            .zip(&self.autoscalers)
            .position(|(shape, state)| shape.group == group && matches!(state.kind, Kind::Knative(_)));
        found.map(|autoscaler| autoscaler as u32)
    }

    /// Where a request goes that finds no target: to a pod that is ready all the same, or to one that is being
    /// started. If there should be none, there should be from now on. `None` without an activator.
    #[cold]
    pub(in crate::sim) fn activated(&mut self, now: SimTime, group: u32) -> Option<u32> {
        let autoscaler = self.activating(group)?;
        if self.groups[group as usize].wanted == 0 {
            let Kind::Knative(state) = &mut self.autoscalers[autoscaler as usize].kind else { return None };
            let desired = state.kpa.activate(now);
            self.observer.count(self.model.catalog.autoscalers[autoscaler as usize].activations);
            self.rescale(now, autoscaler, desired);
        }
        let shape = &self.model.groups[group as usize];
        let mut targets = 0..shape.capacity;
        let is = |world: &Self, target: u32, condition: Condition| {
            world.instances[(shape.first + target) as usize].condition == condition
        };
        let ready = targets.clone().find(|t| is(self, *t, Condition::Up));
        ready.or_else(|| targets.find(|t| is(self, *t, Condition::Starting)))
    }

    /// Whether requests to an instance that is being started wait for it.
    pub(in crate::sim) fn waits_for(&self, instance: u32) -> bool {
        let state = &self.instances[instance as usize];
        state.condition == Condition::Starting && self.activating(state.group).is_some()
    }

    /// An instance is ready: those who wait with the activator come to it.
    pub(in crate::sim) fn leave_activator(&mut self, now: SimTime, instance: u32) {
        let group = self.instances[instance as usize].group;
        if self.activating(group).is_none() {
            return;
        }
        let shape = &self.model.groups[group as usize];
        for other in shape.first..shape.first + shape.capacity {
            if other == instance || self.instances[other as usize].condition != Condition::Starting {
                continue;
            }
            let mut waiting = Vec::new();
            self.instances[other as usize].queue.drain(&mut waiting);
            for id in waiting {
                let place = self.instances[instance as usize].execs.len() as u32;
                let Some(Frame { kind: FrameKind::Exec(exec), .. }) = self.frames.get_mut(id) else {
                    continue;
                };
                let before = *exec;
                (exec.instance, exec.place) = (instance, place);
                self.leave_door(now, &before, Outcome::Cancelled);
                self.forget(&before);
                if before.balancer != NO_BALANCER {
                    self.balancers[before.balancer as usize].each_policy(|policy| {
                        policy.on_end(other - shape.first);
                        policy.on_start(instance - shape.first);
                    });
                }
                let settings = self.group_of(instance);
                self.redirect_wire(id, instance);
                let state = &mut self.instances[instance as usize];
                state.execs.push(id);
                if let Some(door) = &mut state.door {
                    door.push();
                }
                let who = (before.priority, before.tenant, before.run.key);
                let newcomer = newcomer(settings, shape, before.at, (id, before.endpoint), who);
                // A chance of 1: nobody is turned away at random who was let in already.
                if !matches!(state.queue.push(now, newcomer, 1.0), Entry::Waits(_)) {
                    self.observer.moved(now, self.model.catalog.groups[group as usize].queue, -1);
                    self.end(now, id, Outcome::Rejected, Ending::Done);
                }
            }
            self.meter_requests(now, other);
        }
        self.meter_requests(now, instance);
        self.serve_next(now, instance);
    }
}
