//! Throttles at the client: the world around the pure ones.

use super::frame::{Call, Frame, Kind, LayerState};
use super::layers::Passage;
use super::{FrameId, World};
use crate::base::{Outcome, SimTime, mix, uniform_of};
use crate::components::throttling::Throttle;
use crate::metrics::Observer;
use crate::model::LayerKind;

/// A throttle and its meters.
#[derive(Debug)]
pub(super) struct ThrottleState {
    /// The throttle.
    pub throttle: Throttle,
    /// Its meters.
    pub meters: u32,
}

impl<O: Observer> World<'_, O> {
    /// A call comes to a throttle.
    pub(super) fn enter_throttle(
        &mut self,
        now: SimTime,
        slot: usize,
        call: &Call,
        parent: FrameId,
        layer: u32,
    ) -> Passage {
        let LayerKind::Throttle { salt, .. } = self.model.layers[layer as usize].kind else {
            return Passage::Rejected;
        };
        let state = &mut self.throttles[slot];
        let meters = self.model.catalog.layers[state.meters as usize];
        self.observer.count(meters.more);
        if !state.throttle.on_request(now, uniform_of(mix(call.key, salt))) {
            self.observer.count(meters.rejected);
            return Passage::Rejected;
        }
        let kind = Kind::Layer { layer, call: *call, state: LayerState::Plain };
        Passage::Through(self.push_frame(Frame::new(parent, kind)))
    }

    /// A call that a throttle let through has ended.
    pub(super) fn report_to_throttle(&mut self, now: SimTime, slot: usize, layer: u32, outcome: Outcome) {
        if let LayerKind::Throttle { accepts, .. } = &self.model.layers[layer as usize].kind {
            self.throttles[slot].throttle.on_result(now, accepts.contains(outcome));
        }
    }
}
