//! What must be asked about an instance at each stop of a request on its way.
//!
//! Most instances have no limit on memory, no function, no shedder and no fault, and most requests meet nothing of
//! all that. So it is not asked at each stop again and again, but put together here whenever settings, versions or
//! faults change: a bit for each stop. What depends on the condition of an instance is asked where it matters.

use super::World;
use crate::metrics::Observer;
use crate::model::GroupKind;

/// At which stops an instance has something that is rare.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Asks(u8);

impl Asks {
    /// When a request comes: a version, a price.
    pub const ARRIVAL: Self = Self(1);
    /// Whether a request is let in: limits, faults, a closed listener.
    pub const DOOR: Self = Self(1 << 1);
    /// Whether a request without a pool gets a connection.
    pub const CONNECTION: Self = Self(1 << 2);
    /// When it takes a worker: memory, an environment, a timeout.
    pub const WORKER: Self = Self(1 << 3);
    /// Before its program begins: memory, what is run in, deadlines, latency, the cost of a connection.
    pub const BEGIN: Self = Self(1 << 4);
    /// Before a step: whether it hangs, or is slow.
    pub const STEP: Self = Self(1 << 5);
    /// When its CPU changes: what it is run in.
    pub const CPU: Self = Self(1 << 6);
    /// When a request ends: what it held, whom it concerns.
    pub const END: Self = Self(1 << 7);

    #[inline]
    pub fn has(self, stop: Self) -> bool {
        self.0 & stop.0 != 0
    }

    /// Everything that may hold a request up before its program begins, but for a connection of its own.
    pub const BEFORE: Self =
        Self(Self::ARRIVAL.0 | Self::DOOR.0 | Self::WORKER.0 | Self::BEGIN.0 | Self::STEP.0);

    fn set(&mut self, stop: Self, is: bool) {
        if is {
            self.0 |= stop.0;
        }
    }
}

impl<O: Observer> World<'_, O> {
    /// What must be asked about an instance, by its settings and its state.
    pub(super) fn asks_of(&self, instance: u32) -> Asks {
        let state = &self.instances[instance as usize];
        let (group, settings) = (state.group as usize, state.settings);
        let model = self.model;
        let shape = &model.groups[group];
        let has_version = model.catalog.versions.get(usize::from(state.version)).is_some();
        let is_priced = model.costs.is_any && shape.kind == GroupKind::External;
        let has_door = settings.admission.is_some() || state.door.is_some();
        let is_shed = settings.shedding.is_some();
        let is_function = self.lambdas[instance as usize].is_some();
        let has_runtime = !self.runtimes[instance as usize].is_plain();
        let is_late = self.deadlines.is_used();
        let mut asks = Asks::default();
        asks.set(Asks::ARRIVAL, has_version || is_priced);
        asks.set(
            Asks::DOOR,
            state.pod.refuses
                || self.net.is_used
                || state.errors > 0.0
                || settings.in_flight_max.is_some()
                || is_shed
                || has_door,
        );
        asks.set(Asks::CONNECTION, settings.connections_max.is_some());
        let has_memory = settings.memory.is_some();
        asks.set(Asks::WORKER, is_function || has_memory || settings.request_timeout.is_some());
        let has_cost = self.settings().groups[group].connect_cost.is_some();
        let is_replica = shape.replicates.is_some();
        asks.set(
            Asks::BEGIN,
            has_runtime || has_memory || is_replica || is_late || state.latency.is_some() || has_cost,
        );
        asks.set(Asks::STEP, state.is_hung || state.slow != 1.0 || has_runtime);
        asks.set(Asks::CPU, has_runtime);
        let has_writes = !self.settings().groups[group].writes.is_empty();
        asks.set(
            Asks::END,
            has_version
                || has_door
                || is_function
                || model.costs.has_answers
                || has_writes
                || self.net.taints
                || self.net.has_wires,
        );
        asks
    }

    /// Something has changed on which it depends what must be asked about an instance.
    pub(super) fn ask_anew(&mut self, instance: u32) {
        self.instances[instance as usize].asks = self.asks_of(instance);
    }

    /// Settings have changed: sources follow them, and instances those of their versions.
    pub(super) fn settle_instances(&mut self) {
        self.settle_sources();
        for instance in 0..self.instances.len() as u32 {
            self.settle_instance(instance);
        }
    }

    /// The settings of an instance, or its version, have changed.
    pub(super) fn settle_instance(&mut self, instance: u32) {
        let epoch = self.settings_of(instance);
        let state = &mut self.instances[instance as usize];
        state.settings = &epoch.groups[state.group as usize];
        state.programs = &epoch.programs;
        state.workers = state.settings.workers.unwrap_or(u32::MAX);
        self.ask_anew(instance);
    }
}
