//! What frames are given beside their own content: the deadline that they work under, and the wait that an answer
//! told them. Frames stay small: both lie in tables of their own, which are empty in models that have no use for them.

use super::event::Event;
use super::frame::{Call, Frame, Kind, LayerState};
use super::layers::Passage;
use super::{FrameId, Task, World};
use crate::base::{Outcome, SimDuration, SimTime};
use crate::components::deadline::{deadline, is_over};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::LayerKind;

/// A value for each frame, by the frame's place in the arena.
#[derive(Clone, Debug)]
pub(super) struct FrameTable<T> {
    values: Vec<T>,
    default: T,
    is_used: bool,
}

impl<T: Copy> FrameTable<T> {
    /// A table in which every frame has the default; one that is not used keeps nothing.
    pub fn new(default: T, is_used: bool) -> Self {
        Self { values: Vec::new(), default, is_used }
    }

    /// Whether any frame ever has another value.
    pub fn is_used(&self) -> bool {
        self.is_used
    }

    /// The value of a frame. A frame that is gone may have its successor's.
    #[inline]
    pub fn get(&self, frame: FrameId) -> T {
        if !self.is_used || frame.is_none() {
            return self.default;
        }
        self.values.get(frame.slot() as usize).copied().unwrap_or(self.default)
    }

    /// Changes the value of a frame.
    #[inline]
    pub fn set(&mut self, frame: FrameId, value: T) {
        if !self.is_used || frame.is_none() {
            return;
        }
        let at = frame.slot() as usize;
        if at >= self.values.len() {
            self.values.resize(at + 1, self.default);
        }
        self.values[at] = value;
    }
}

impl<O: Observer> World<'_, O> {
    /// A new frame works under the deadline of its parent, and has been told nothing.
    #[inline(never)]
    pub(super) fn inherit(&mut self, parent: FrameId, frame: FrameId) {
        if self.deadlines.is_used {
            let until = self.deadlines.get(parent);
            self.deadlines.set(frame, until);
        }
        self.told.set(frame, SimDuration::ZERO);
        self.wrong.set(frame, false);
    }

    /// Whether it is too late to begin anything for a frame.
    #[inline]
    pub(super) fn is_too_late(&self, now: SimTime, frame: FrameId) -> bool {
        self.deadlines.is_used && is_over(self.deadlines.get(frame), now)
    }

    /// A call comes to a deadline.
    pub(super) fn enter_deadline(
        &mut self,
        now: SimTime,
        call: &Call,
        parent: FrameId,
        layer: u32,
        limit: SimDuration,
    ) -> Passage {
        let until = deadline(self.deadlines.get(parent), now, limit);
        let kind = Kind::Layer { layer, call: *call, state: LayerState::Plain };
        let id = self.push_frame(Frame::new(parent, kind));
        self.deadlines.set(id, until);
        if until == now + limit {
            self.after(limit, Rank::Timer, Event::Timer(id));
        } else {
            self.queue.schedule(until.max(now), Rank::Timer, Event::Timer(id));
        }
        Passage::Through(id)
    }

    /// A deadline has come: whoever waits gives up.
    pub(super) fn deadline_exceeded(&mut self, slot: usize) {
        let meters = self.deadline_meters[slot];
        self.observer.count(self.model.catalog.layers[meters as usize].rejected);
    }

    /// An execution has its turn after its deadline: it is not begun.
    pub(super) fn not_begun(&mut self, now: SimTime, id: FrameId, instance: u32) {
        let group = self.instances[instance as usize].group as usize;
        self.observer.count(self.model.catalog.groups[group].expired);
        self.finish(now, id, Outcome::Timeout);
    }

    /// Turns a call away that waited for nothing yet, saying when to come again.
    pub(super) fn reject_until(&mut self, parent: FrameId, wait: Option<SimDuration>) {
        self.told.set(parent, wait.unwrap_or(SimDuration::ZERO));
        self.tasks.push_back(Task::Up(parent, Outcome::Rejected));
    }

    /// An answer goes on up, and what it tells goes with it.
    #[inline]
    pub(super) fn pass_on(&mut self, from: FrameId, to: FrameId) {
        if self.has_tables {
            self.pass_tables_on(from, to);
        }
    }

    #[inline(never)]
    fn pass_tables_on(&mut self, from: FrameId, to: FrameId) {
        if self.told.is_used {
            let wait = self.told.get(from);
            self.told.set(to, wait);
        }
        self.pass_taint(from, to);
    }

    /// A frame forgets the wait that the last answer told it.
    #[inline]
    pub(super) fn forget_told(&mut self, frame: FrameId) {
        self.told.set(frame, SimDuration::ZERO);
    }

    /// The wait that the last answer told a frame, which forgets it.
    pub(super) fn take_told(&mut self, frame: FrameId) -> Option<SimDuration> {
        let wait = self.told.get(frame);
        self.told.set(frame, SimDuration::ZERO);
        (!wait.is_zero()).then_some(wait)
    }
}

/// Whether a model has deadlines, and whether answers may tell a wait.
pub(super) fn uses(model: &crate::model::Model) -> (bool, bool) {
    let has_deadlines = model.layers.iter().any(|l| matches!(l.kind, LayerKind::Deadline { .. }));
    let in_layers =
        model.layers.iter().any(|l| matches!(l.kind, LayerKind::RateLimit { retry_after: Some(_), .. }));
    let in_groups = model.epochs.iter().flat_map(|e| &e.groups).any(|g| g.retry_after.is_some());
    (has_deadlines, in_layers || in_groups)
}
