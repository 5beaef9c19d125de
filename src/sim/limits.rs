//! Rate limits: the world around the pure limiters. A leaky bucket and resilience4j's let calls
//! wait; their turns are events.

use super::event::Event;
use super::frame::{Call, Frame, Kind, LayerState};
use super::layers::Passage;
use super::{FrameId, Task, World};
use crate::base::{Outcome, SimTime};
use crate::components::rate_limit::{Admission, RateLimitConfig, RateLimiter};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::LayerKind;
use crate::model::catalog::LayerMeters;

impl<O: Observer> World<'_, O> {
    /// The limit that a call is counted by: its caller's, or that of its tenant there.
    fn limiter_of(&self, layer: u32, call: &Call) -> usize {
        let place = &self.model.layers[layer as usize];
        let LayerKind::RateLimit { keys, .. } = place.kind else { return self.slot(layer, call) };
        let caller = if place.shared { 0 } else { call.owner };
        let key = if keys > 1 { u32::from(call.tenant) } else { 0 };
        (place.slot + caller * keys + key) as usize
    }

    /// A call comes to a rate limit.
    pub(super) fn enter_rate_limit(
        &mut self,
        now: SimTime,
        call: &Call,
        parent: FrameId,
        layer: u32,
    ) -> Passage {
        let slot = self.limiter_of(layer, call);
        let meters = self.line_meters(slot);
        // Whoever cannot wait needs no frame: nothing has to be known of the call once it has passed.
        let state = LayerState::RateLimit { waiting: true };
        let id = if self.rate_limits[slot].has_line() {
            self.push_frame(Frame::new(parent, Kind::Layer { layer, call: *call, state }))
        } else {
            FrameId::NONE
        };
        match self.rate_limits[slot].enter(now, id) {
            Admission::Admitted => {
                self.observer.count(meters.more);
                self.set_state(id, LayerState::RateLimit { waiting: false });
                Passage::Through(if id.is_none() { parent } else { id })
            }
            Admission::Queued => {
                self.observer.moved(now, meters.gauge, 1);
                if self.rate_limits[slot].waiting() == 1 {
                    self.watch_line(now, slot as u32);
                }
                Passage::Waits
            }
            Admission::Rejected => {
                self.observer.count(meters.rejected);
                self.frames.remove(id);
                Passage::Rejected
            }
        }
    }

    /// Schedules the next turn at a rate limit, if anybody waits for it.
    pub(super) fn watch_line(&mut self, now: SimTime, limiter: u32) {
        if let Some(at) = self.rate_limits[limiter as usize].turn_at() {
            self.queue.schedule(at.max(now), Rank::Timer, Event::RateTurn { limiter });
        }
    }

    /// The one who has waited longest at a rate limit may go on.
    pub(super) fn on_rate_turn(&mut self, now: SimTime, limiter: u32) {
        let slot = limiter as usize;
        let Some(head) = self.rate_limits[slot].head() else { return };
        let meters = self.line_meters(slot);
        let Some(Frame { kind: Kind::Layer { layer, call, .. }, .. }) = self.frames.get(head) else {
            // It went with its process, under settings that keep this limit no more.
            self.rate_limits[slot].evict();
            self.observer.moved(now, meters.gauge, -1);
            return self.watch_line(now, limiter);
        };
        if let Some(instance) = self.hung_caller(*layer, call) {
            return self.park(instance, Task::RateTurn(limiter));
        }
        // An event of a line that has changed since may come too early.
        let parent = self.frames.get(head).map_or(FrameId::NONE, |frame| frame.parent);
        let Some((frame, passes)) = self.rate_limits[slot].turn(now) else { return };
        self.observer.moved(now, meters.gauge, -1);
        if !passes {
            self.observer.count(meters.rejected);
            self.frames.remove(frame);
            self.tasks.push_back(Task::Up(parent, Outcome::Rejected));
            return self.watch_line(now, limiter);
        }
        self.observer.count(meters.more);
        self.set_state(frame, LayerState::RateLimit { waiting: false });
        self.tasks.push_back(Task::Down(frame));
        self.watch_line(now, limiter);
    }

    /// A call that a limit let through is answered: some limits follow from that.
    pub(super) fn rate_limit_answered(&mut self, now: SimTime, layer: u32, call: &Call, outcome: Outcome) {
        let slot = self.limiter_of(layer, call);
        if self.rate_limits[slot].on_response(now, outcome == Outcome::Rejected) {
            self.watch_line(now, slot as u32);
        }
    }

    /// A call that waited is called off.
    pub(super) fn leave_line(&mut self, now: SimTime, layer: u32, call: &Call, frame: FrameId) {
        let slot = self.limiter_of(layer, call);
        let turn_at = self.rate_limits[slot].turn_at();
        if self.rate_limits[slot].abandon(frame) {
            let meters = self.line_meters(slot);
            self.observer.moved(now, meters.gauge, -1);
            // The next one's turn may be another.
            if self.rate_limits[slot].turn_at() != turn_at {
                self.watch_line(now, slot as u32);
            }
        }
    }

    /// The calling process is gone, and its limit with it; a new one has all that it allows at once.
    pub(super) fn reset_rate_limit(&mut self, now: SimTime, slot: usize, config: RateLimitConfig) {
        let meters = self.line_meters(slot);
        let mut old = std::mem::replace(&mut self.rate_limits[slot], RateLimiter::new(config, now));
        self.observer.moved(now, meters.gauge, -i64::from(old.waiting()));
        // Who waited without a parent in the process has no timer that would find it.
        while let Some(waiter) = old.evict() {
            if let Some(gone) = self.frames.remove(waiter) {
                self.tasks.push_back(Task::Up(gone.parent, Outcome::Error));
            }
        }
    }

    fn line_meters(&self, slot: usize) -> LayerMeters {
        self.model.catalog.layers[self.rate_limit_meters[slot] as usize]
    }
}
