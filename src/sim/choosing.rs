//! What a balancer minds beyond its policy: sessions, and targets that start slowly.

use super::frame::{Call, Kind, NO_USER};
use super::targets::BalancerState;
use super::{FrameId, World};
use crate::base::{Rng, SimTime, mix};
use crate::components::balancer::sticky::Bound;
use crate::metrics::Observer;

impl<O: Observer> World<'_, O> {
    /// The target of a call through a balancer; `None` if there is none.
    pub(super) fn choose(
        &mut self,
        now: SimTime,
        balancer: u32,
        call: &Call,
        parent: FrameId,
    ) -> Option<u32> {
        self.tick_balancer(now, balancer);
        let stickiness = self.settings().balancers[balancer as usize].stickiness;
        let Some(duration) = stickiness else { return self.pick_target(balancer, call) };
        let Some(session) = self.session_of(call, parent) else { return self.pick_target(balancer, call) };
        let state = &self.balancers[balancer as usize];
        let bound = state.sticky.target(now, session);
        let target = match bound {
            Bound::To(target) if state.policy.is_eligible(target) => target,
            Bound::To(_) | Bound::Free => {
                let target = self.pick_target(balancer, call)?;
                let rebound = self.model.catalog.balancers[balancer as usize].balancing.rebound;
                if let (Bound::To(_), Some(counter)) = (bound, rebound) {
                    self.observer.count(counter);
                }
                target
            }
        };
        self.balancers[balancer as usize].sticky.bind(now, session, target, duration);
        Some(target)
    }

    fn pick_target(&mut self, balancer: u32, call: &Call) -> Option<u32> {
        let state = &mut self.balancers[balancer as usize];
        if state.is_random {
            state.rng = Rng::from_seed(mix(call.key, state.salt));
        }
        state.policy.pick(&mut state.rng, u64::from(call.affinity))
    }

    /// Whose request it is: the user at its origin, or else its key.
    fn session_of(&self, call: &Call, parent: FrameId) -> Option<u64> {
        let mut id = parent;
        while let Some(frame) = self.frames.get(id) {
            if let Kind::Request(request) = &frame.kind {
                if request.user != NO_USER {
                    return Some(mix(u64::from(request.client) + 1, u64::from(request.user)));
                }
                break;
            }
            id = frame.parent;
        }
        call.is_keyed.then(|| mix(0, u64::from(call.affinity)))
    }

    /// A balancer looks at the clock: slow starts go on.
    pub(super) fn tick_balancer(&mut self, now: SimTime, balancer: u32) {
        self.with_slow_starts(now, balancer, |state| state.policy.tick(now));
    }

    /// Does something to a balancer, and takes note of slow starts that begin or end by it.
    pub(super) fn with_slow_starts(
        &mut self,
        now: SimTime,
        balancer: u32,
        act: impl FnOnce(&mut BalancerState),
    ) {
        let state = &mut self.balancers[balancer as usize];
        let before = state.policy.slow_starting();
        act(state);
        let after = state.policy.slow_starting();
        if before != after
            && let Some(gauge) = self.model.catalog.balancers[balancer as usize].balancing.slow_starting
        {
            self.observer.moved(now, gauge, after as i64 - before as i64);
        }
    }
}
