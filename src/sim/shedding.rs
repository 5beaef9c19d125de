//! Shedding by priority at the doors of instances.

use super::World;
use crate::components::shedding::Shedder;
use crate::metrics::Observer;
use crate::model::{Group, ShedSignal};

/// A shedder, if there is to be one.
pub(super) fn shedder(settings: &Group) -> Option<Box<Shedder>> {
    settings.shedding.as_ref().map(|s| Box::new(Shedder::new(&s.thresholds)))
}

impl<O: Observer> World<'_, O> {
    /// Whether a request of a priority is let in.
    pub(super) fn is_shed(&mut self, instance: u32, priority: u8) -> bool {
        let group = self.group_of(instance);
        let state = &mut self.instances[instance as usize];
        let Some(shedder) = &mut state.shedder else { return false };
        let Some(settings) = &group.shedding else { return false };
        let level = match settings.signal {
            ShedSignal::Queue => state.queue.len() as f64,
            ShedSignal::Busy => f64::from(state.busy) / f64::from(group.workers.unwrap_or(u32::MAX)),
        };
        let passes = shedder.on_request(level, priority);
        if !passes {
            self.observer.count(self.model.catalog.groups[state.group as usize].shed);
        }
        !passes
    }

    /// New thresholds: none of them is crossed.
    pub(super) fn reconfigure_shedder(&mut self, instance: u32, old: &Group, new: &Group) {
        if old.shedding != new.shedding {
            self.instances[instance as usize].shedder = shedder(new);
        }
    }
}
