//! Breakers: the world around the pure ones.

use super::event::Event;
use super::frame::{Call, Frame, Kind, LayerState};
use super::layers::Passage;
use super::{FrameId, World};
use crate::base::{Outcome, SimTime};
use crate::components::breaker::{BreakerState, Transition};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};

/// Where a breaker's further counters are, from its first one.
const OPENED: u32 = 0;
const CLOSED: u32 = 1;
const TRIALS: u32 = 2;

impl<O: Observer> World<'_, O> {
    /// A call comes to a breaker.
    #[inline]
    pub(super) fn enter_breaker(
        &mut self,
        now: SimTime,
        slot: usize,
        call: &Call,
        parent: FrameId,
        layer: u32,
    ) -> Passage {
        let breaker = &mut self.breakers[slot];
        let (ticket, transition) = breaker.on_request(now);
        let is_trial = breaker.state() == BreakerState::HalfOpen;
        if let Some(transition) = transition {
            self.breaker_changed(now, slot, transition);
        }
        let Some(ticket) = ticket else {
            let meters = self.model.catalog.layers[self.breaker_meters[slot] as usize];
            self.observer.count(meters.rejected);
            return Passage::Rejected;
        };
        if is_trial {
            let meters = self.model.catalog.layers[self.breaker_meters[slot] as usize];
            self.observer.count(meters.more + TRIALS);
        }
        let state = LayerState::Breaker { ticket, since: now };
        Passage::Through(self.push_frame(Frame::new(parent, Kind::Layer { layer, call: *call, state })))
    }

    /// A call that a breaker let through has ended.
    #[inline]
    pub(super) fn report_to_breaker(
        &mut self,
        now: SimTime,
        slot: usize,
        state: LayerState,
        outcome: Outcome,
    ) {
        let LayerState::Breaker { ticket, since } = state else { return };
        if let Some(transition) = self.breakers[slot].on_outcome(now, ticket, since, outcome) {
            self.breaker_changed(now, slot, transition);
        }
    }

    #[cold]
    pub(super) fn breaker_changed(&mut self, now: SimTime, slot: usize, transition: Transition) {
        let Transition { from, to } = transition;
        let layer = self.breaker_meters[slot];
        let caller = self.caller_of_slot(slot, layer);
        let meters = self.model.catalog.layers[layer as usize];
        if from == BreakerState::Closed {
            self.observer.moved(now, meters.gauge, 1);
        }
        if let Some(at) = self.breakers[slot].timer_at() {
            self.queue.schedule(at, Rank::Timer, Event::BreakerReset { breaker: slot as u32 });
        }
        let change = match to {
            BreakerState::Open => {
                self.observer.count(meters.more + OPENED);
                Change::BreakerOpened { layer, caller }
            }
            BreakerState::HalfOpen => Change::BreakerHalfOpened { layer, caller },
            BreakerState::Closed => {
                self.observer.moved(now, meters.gauge, -1);
                self.observer.count(meters.more + CLOSED);
                Change::BreakerClosed { layer, caller }
            }
        };
        self.note(now, change);
    }

    /// Which calling instance a breaker belongs to.
    fn caller_of_slot(&self, slot: usize, layer: u32) -> u32 {
        let first = self.breaker_meters.iter().position(|m| *m == layer).unwrap_or(0);
        (slot - first) as u32
    }

    pub(super) fn on_breaker_reset(&mut self, now: SimTime, breaker: u32) {
        let slot = breaker as usize;
        // A breaker that closed and opened again since has another timer.
        if self.breakers[slot].timer_at().is_none_or(|at| at > now) {
            return;
        }
        if let Some(transition) = self.breakers[slot].on_reset_timer(now) {
            self.breaker_changed(now, slot, transition);
        }
    }
}
