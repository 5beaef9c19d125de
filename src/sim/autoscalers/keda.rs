//! KEDA in the world: the levels that it polls.

use super::Kind;
use crate::base::SimTime;
use crate::metrics::Observer;
use crate::model::Autoscaler;
use crate::model::autoscaler::Trigger;
use crate::sim::World;
use crate::sim::instances::Condition;

impl<O: Observer> World<'_, O> {
    /// The level of a trigger.
    fn level(&mut self, now: SimTime, trigger: Trigger) -> u64 {
        if let Trigger::Backlog { queue, in_flight } = trigger {
            let levels = self.levels_of_queue(now, queue);
            return levels.backlog + if in_flight { levels.in_flight } else { 0 };
        }
        let instances = |group: u32| {
            let shape = &self.model.groups[group as usize];
            &self.instances[shape.first as usize..(shape.first + shape.capacity) as usize]
        };
        match trigger {
            Trigger::QueueLength(group) => instances(group).iter().map(|i| i.queue.len() as u64).sum(),
            Trigger::RequestsInFlight(group) => instances(group).iter().map(|i| i.execs.len() as u64).sum(),
            Trigger::Backlog { .. } => unreachable!("answered above"),
        }
    }

    /// A poll, or a sync of the autoscaler that KEDA makes.
    pub(super) fn look_at_trigger(&mut self, now: SimTime, autoscaler: u32, is_poll: bool) {
        let Autoscaler::Keda(settings) = &self.settings().autoscalers[autoscaler as usize] else { return };
        let milli = self.level(now, settings.trigger) as i64 * 1000;
        let group = self.model.autoscalers[autoscaler as usize].group;
        let current = self.groups[group as usize].wanted;
        let shape = &self.model.groups[group as usize];
        let instances = &self.instances[shape.first as usize..(shape.first + shape.capacity) as usize];
        let pods = instances.iter().filter(|i| i.condition != Condition::Off).count() as u32;
        let Kind::Keda(keda) = &mut self.autoscalers[autoscaler as usize].kind else { return };
        let desired =
            if is_poll { keda.poll(now, current, milli) } else { keda.sync(now, current, pods, milli) };
        self.rescale(now, autoscaler, desired);
    }
}
