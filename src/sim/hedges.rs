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
use crate::model::LayerKind;

impl<O: Observer> World<'_, O> {
    /// Puts the first attempt below a new hedge, and sets the timer of the second. The first has the random numbers
    /// of the call itself.
    pub(super) fn first_attempt(
        &mut self,
        now: SimTime,
        hedge: FrameId,
        delay: SimDuration,
        max: u32,
    ) -> FrameId {
        let Some(Frame { kind: Kind::Layer { layer, call, .. }, .. }) = self.frames.get(hedge) else {
            return hedge;
        };
        let state = LayerState::Attempt { next: FrameId::NONE };
        let attempt = Frame::new(hedge, Kind::Layer { layer: *layer, call: *call, state });
        self.set_state(hedge, LayerState::Hedge { sent: 1, running: 1, due: now + delay });
        if max > 0 {
            self.after(delay, Rank::Timer, Event::Timer(hedge));
        }
        self.push_frame(attempt)
    }

    /// Sends another attempt, if any is left.
    pub(super) fn send_hedge(&mut self, now: SimTime, hedge: FrameId) {
        let Some(Frame { kind: Kind::Layer { layer, call, state }, child, .. }) = self.frames.get(hedge)
        else {
            return;
        };
        let (layer, call, child) = (*layer, *call, *child);
        let LayerState::Hedge { sent, running, .. } = *state else { return };
        let LayerKind::Hedge { delay, max, salt, .. } = &self.model.layers[layer as usize].kind else {
            return;
        };
        if sent > *max {
            return;
        }
        // Each attempt has random numbers of its own.
        let call = Call { key: mix(mix(call.key, *salt), u64::from(sent)), ..call };
        let state = LayerState::Attempt { next: child };
        let attempt = self.push_frame(Frame::new(hedge, Kind::Layer { layer, call, state }));
        self.set_state(hedge, LayerState::Hedge { sent: sent + 1, running: running + 1, due: now + *delay });
        if sent < *max {
            self.after(*delay, Rank::Timer, Event::Timer(hedge));
        }
        let edge = self.model.routes[call.route as usize].edge as usize;
        self.observer.count(self.model.catalog.edges[edge].hedges);
        self.tasks.push_back(Task::Down(attempt));
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
            self.unchain(id);
            self.frames.remove(id);
            return Some(outcome);
        };
        let LayerKind::Hedge { max, cancel, .. } = &self.model.layers[layer as usize].kind else {
            return None;
        };
        let running = running - 1;
        if !outcome.is_success() && (running > 0 || sent <= *max) {
            self.set_state(id, LayerState::Hedge { sent, running, due });
            self.send_hedge(now, id);
            return None;
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
            self.cancel(now, id);
            id = next;
        }
    }

    /// The attempt after this one in its chain; `None` if this is none.
    fn next_attempt(&self, id: FrameId) -> Option<FrameId> {
        match self.frames.get(id)?.kind {
            Kind::Layer { state: LayerState::Attempt { next }, .. } => Some(next),
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
                return self.set_state(before, LayerState::Attempt { next });
            }
            before = after;
        }
    }
}
