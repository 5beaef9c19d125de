//! Scheduled actions in the world.

use super::Kind;
use crate::base::{SimDuration, SimTime};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::sim::World;
use crate::sim::event::Event;

impl<O: Observer> World<'_, O> {
    /// Takes the actions of this moment, tells the group's other autoscalers of the bounds, and waits for the next.
    pub(super) fn take_scheduled_actions(&mut self, now: SimTime, autoscaler: u32) {
        let group = self.model.autoscalers[autoscaler as usize].group;
        let current = self.groups[group as usize].wanted;
        let state = &mut self.autoscalers[autoscaler as usize];
        let generation = state.generation;
        let Kind::Scheduled(schedule) = &mut state.kind else { return };
        let is_due = schedule.next(now) == Some(now);
        let desired = if is_due { schedule.act(now, current) } else { current };
        if let Some(next) = schedule.next(now + SimDuration::from_ns(1)) {
            self.queue.schedule(next, Rank::Control, Event::Autoscale { autoscaler, generation });
        }
        if is_due {
            for other in 0..self.autoscalers.len() as u32 {
                if other != autoscaler && self.model.autoscalers[other as usize].group == group {
                    self.follow_settings(now, other);
                }
            }
            self.rescale(now, autoscaler, desired);
        }
    }
}
