//! Hedges: several attempts of one call at once.
//!
//! A hedge is a frame, and each attempt is a frame of the same layer below it, in a chain from the last one sent:
//! `child` of the hedge, then `next` of each attempt. An attempt with an answer leaves the chain. When one has ended
//! well the hedge is removed; attempts that are not called off then have a parent that is gone, and work for nobody.

use super::event::Event;
use super::frame::{Call, Frame, Kind, LayerState};
use super::{FrameId, Task, World};
use crate::base::{Outcome, SimDuration, SimTime, mix};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::{HedgeDelay, LayerKind};

impl<O: Observer> World<'_, O> {
    /// Puts the first attempt below a new hedge, and sets the timer of the second. The first has the random numbers
    /// of the call itself.
    pub(super) fn first_attempt(&mut self, now: SimTime, hedge: FrameId, max: u32) -> FrameId {
        let Some(Frame { kind: Kind::Layer { layer, call, .. }, .. }) = self.frames.get(hedge) else {
            return hedge;
        };
        let (layer, call) = (*layer, *call);
        let state = LayerState::Attempt { next: FrameId::NONE, at: now };
        let attempt = Frame::new(hedge, Kind::Layer { layer, call, state });
        let delay = self.hedge_delay(now, layer, &call);
        self.set_state(hedge, LayerState::Hedge { sent: 1, running: 1, due: now + delay });
        if max > 0 {
            self.after(delay, Rank::Timer, Event::Timer(hedge));
        }
        self.push_frame(attempt)
    }

    /// How long the next attempt waits for an answer to come.
    fn hedge_delay(&mut self, now: SimTime, layer: u32, call: &Call) -> SimDuration {
        match self.model.layers[layer as usize].kind {
            LayerKind::Hedge { delay: HedgeDelay::Fixed(delay), .. } => delay,
            LayerKind::Hedge { delay: HedgeDelay::Percentile(_), .. } => {
                let slot = self.slot(layer, call);
                self.latencies[slot].value(now)
            }
            _ => SimDuration::ZERO,
        }
    }

    /// Takes note of how long an attempt took, or has taken until it is called off.
    fn observe_attempt(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Layer { layer, call, state }, .. }) = self.frames.get(id) else {
            return;
        };
        let (layer, call) = (*layer, *call);
        let LayerState::Attempt { at, .. } = *state else { return };
        if let LayerKind::Hedge { delay: HedgeDelay::Percentile(_), .. } =
            self.model.layers[layer as usize].kind
        {
            let slot = self.slot(layer, &call);
            self.latencies[slot].observe(now, now.since(at));
        }
    }

    /// Sends another attempt, if any is left and may be sent. Returns whether it is.
    pub(super) fn send_hedge(&mut self, now: SimTime, hedge: FrameId) -> bool {
        let Some(Frame { kind: Kind::Layer { layer, call, state }, child, .. }) = self.frames.get(hedge)
        else {
            return false;
        };
        let (layer, call, child) = (*layer, *call, *child);
        let LayerState::Hedge { sent, running, due } = *state else { return false };
        let LayerKind::Hedge { budget, max, salt, .. } = &self.model.layers[layer as usize].kind else {
            return false;
        };
        if sent > *max || self.is_too_late(now, hedge) {
            return false;
        }
        if budget.is_some() {
            let slot = self.slot(layer, &call);
            let meters = self.model.catalog.layers[self.budget_meters[slot] as usize];
            if !self.budgets[slot].allows_hedge() {
                self.observer.count(meters.rejected);
                // There will be no others, even if the budget allowed them again.
                self.set_state(hedge, LayerState::Hedge { sent: *max + 1, running, due });
                return false;
            }
            self.observer.count(meters.more);
        }
        let delay = self.hedge_delay(now, layer, &call);
        // Each attempt has random numbers of its own.
        let call = Call { key: mix(mix(call.key, *salt), u64::from(sent)), ..call };
        let state = LayerState::Attempt { next: child, at: now };
        let attempt = self.push_frame(Frame::new(hedge, Kind::Layer { layer, call, state }));
        self.set_state(hedge, LayerState::Hedge { sent: sent + 1, running: running + 1, due: now + delay });
        if sent < *max {
            self.after(delay, Rank::Timer, Event::Timer(hedge));
        }
        let edge = self.model.routes[call.route as usize].edge as usize;
        self.observer.count(self.model.catalog.edges[edge].hedges);
        self.tasks.push_back(Task::Down(attempt));
        true
    }

    /// An answer reaches an attempt, or passes it and reaches its hedge: what goes on up, if anything does.
    pub(super) fn hedge_answered(
        &mut self,
        now: SimTime,
        id: FrameId,
        layer: u32,
        state: LayerState,
        outcome: Outcome,
    ) -> Option<Outcome> {
        let LayerState::Hedge { sent, running, due } = state else {
            self.observe_attempt(now, id);
            self.unchain(id);
            self.frames.remove(id);
            return Some(outcome);
        };
        let LayerKind::Hedge { non_fatal, budget, cancel, .. } = &self.model.layers[layer as usize].kind
        else {
            return None;
        };
        let goes_on = non_fatal.contains(outcome);
        if budget.is_some()
            && let Some(Frame { kind: Kind::Layer { call, .. }, .. }) = self.frames.get(id)
        {
            let slot = self.slot(layer, call);
            self.budgets[slot].on_hedge_answer(outcome, goes_on);
        }
        let running = running - 1;
        if goes_on {
            self.set_state(id, LayerState::Hedge { sent, running, due });
            if self.send_hedge(now, id) || running > 0 {
                return None;
            }
        }
        let gone = self.frames.remove(id);
        if running > 0 {
            self.anybody_left = true;
            if *cancel {
                self.cancel_attempts(now, gone.map_or(FrameId::NONE, |hedge| hedge.child));
            }
        }
        Some(outcome)
    }

    /// Calls off attempts, from the last one sent.
    pub(super) fn cancel_attempts(&mut self, now: SimTime, first: FrameId) {
        let mut id = first;
        while let Some(next) = self.next_attempt(id) {
            self.observe_attempt(now, id);
            self.cancel(now, id);
            id = next;
        }
    }

    /// The attempt after this one in its chain; `None` if this is none.
    fn next_attempt(&self, id: FrameId) -> Option<FrameId> {
        match self.frames.get(id)?.kind {
            Kind::Layer { state: LayerState::Attempt { next, .. }, .. } => Some(next),
            _ => None,
        }
    }

    /// Takes an attempt out of its hedge's chain.
    fn unchain(&mut self, id: FrameId) {
        let Some(next) = self.next_attempt(id) else { return };
        let Some(hedge) = self.frames.get(id).map(|attempt| attempt.parent) else { return };
        let Some(hedge) = self.frames.get_mut(hedge) else { return };
        if hedge.child == id {
            hedge.child = next;
            return;
        }
        let mut before = hedge.child;
        while let Some(after) = self.next_attempt(before) {
            if after == id {
                if let Some(Frame {
                    kind: Kind::Layer { state: LayerState::Attempt { next: n, .. }, .. },
                    ..
                }) = self.frames.get_mut(before)
                {
                    *n = next;
                }
                return;
            }
            before = after;
        }
    }
}
