//! What a balancer minds beyond its policy: sessions, zones, and targets that start slowly.

use super::frame::{Call, Kind, NO_USER};
use super::instances::Condition;
use super::targets::BalancerState;
use super::{FrameId, World};
use crate::base::{Rng, SimTime, mix};
use crate::components::balancer::sticky::Bound;
use crate::components::balancer::zone_aware::{ZONES_MAX, ZoneAware};
use crate::metrics::Observer;
use crate::model::{Caller, ZoneRouting};

/// The salt of the zone of a request.
const ZONE: u64 = 0x7a6f_6e65;

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
        let target = self.choose_by_session(now, balancer, call, parent)?;
        if let Some(counter) = self.model.catalog.balancers[balancer as usize].balancing.zones {
            let group = &self.model.groups[self.model.balancers[balancer as usize].group as usize];
            let zones = group.zones.len() as u32;
            self.observer.count(counter + target % zones);
            if self.caller_of(call).is_some_and(|(_, zone)| Some(zone) != group.zone_of(target)) {
                self.observer.count(counter + zones);
            }
        }
        Some(target)
    }

    /// Where the session goes, or else where the policy says.
    fn choose_by_session(
        &mut self,
        now: SimTime,
        balancer: u32,
        call: &Call,
        parent: FrameId,
    ) -> Option<u32> {
        let stickiness = self.settings().balancers[balancer as usize].stickiness;
        let Some(duration) = stickiness else { return self.pick_target(balancer, call) };
        let Some(session) = self.sticky_session(call, parent) else {
            return self.pick_target(balancer, call);
        };
        let state = &self.balancers[balancer as usize];
        let bound = state.sticky.target(now, session);
        let target = match bound {
            Bound::To(target) if state.may_ask(target) => target,
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
        let is_second = self.turn_to_second(balancer, call.key);
        let picked = self.pick_of_version(balancer, call);
        if is_second {
            self.turn_back(balancer);
        }
        picked
    }

    fn pick_of_version(&mut self, balancer: u32, call: &Call) -> Option<u32> {
        let zone = match self.settings().balancers[balancer as usize].zone_routing {
            ZoneRouting::CrossZone => None,
            ZoneRouting::WithinZone => self.zone_of_node(balancer, call),
            ZoneRouting::ZoneAware(config) => self.zone_near(balancer, call, config),
        };
        let state = &mut self.balancers[balancer as usize];
        if state.is_random {
            state.rng = Rng::from_seed(mix(call.key, state.salt));
        }
        let key = u64::from(call.affinity);
        match zone {
            Some(zone) => state.policy.pick_in(zone, &mut state.rng, key),
            None => state.policy.pick(&mut state.rng, key),
        }
    }

    fn zone_rng(&self, balancer: u32, call: &Call) -> Rng {
        Rng::from_seed(mix(mix(call.key, self.balancers[balancer as usize].salt), ZONE))
    }

    /// One of the balancer's nodes, at random: those in zones with a target that may be asked.
    fn zone_of_node(&self, balancer: u32, call: &Call) -> Option<usize> {
        let zones = self.model.groups[self.model.balancers[balancer as usize].group as usize].zones.len();
        let policy = &self.balancers[balancer as usize].policy;
        let open = |zone: &usize| policy.eligible_in(*zone) > 0;
        let count = (0..zones).filter(open).count() as u64;
        let draw = self.zone_rng(balancer, call).below(count.max(1)) as usize;
        (0..zones).filter(open).nth(draw)
    }

    /// The calling group and the zone of the calling instance, if it has one.
    fn caller_of(&self, call: &Call) -> Option<(u32, u32)> {
        let edge = self.model.routes[call.route as usize].edge;
        let Caller::Group(group) = self.model.edges[edge as usize].caller else { return None };
        Some((group, self.model.groups[group as usize].zone_of(call.owner)?))
    }

    /// The zone to which Envoy sends a call; `None` if zones do not matter.
    fn zone_near(&self, balancer: u32, call: &Call, config: ZoneAware) -> Option<usize> {
        let (caller, zone) = self.caller_of(call)?;
        let callee = &self.model.groups[self.model.balancers[balancer as usize].group as usize];
        let caller = &self.model.groups[caller as usize];
        let place = |zone: u32| callee.zones.iter().position(|z| *z == zone);
        let own = place(zone)?;
        if caller.zones.len() != callee.zones.len() {
            return None;
        }
        let (mut callers, mut targets) = ([0; ZONES_MAX], [0; ZONES_MAX]);
        for number in 0..caller.capacity {
            if self.instances[(caller.first + number) as usize].condition == Condition::Up
                && let Some(at) = caller.zone_of(number).and_then(place)
            {
                callers[at] += 1;
            }
        }
        let zones = callee.zones.len();
        let state = &self.balancers[balancer as usize];
        for (zone, count) in targets.iter_mut().enumerate().take(zones) {
            *count = state.policy.eligible_in(zone) as u32;
        }
        let registered = state.registered.iter().filter(|yes| **yes).count() as u32;
        let mut rng = self.zone_rng(balancer, call);
        config.route(own, &callers[..zones], &targets[..zones], registered, &mut rng)
    }

    /// Whose request it is: the user at its origin, or else its key.
    fn sticky_session(&self, call: &Call, parent: FrameId) -> Option<u64> {
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
        self.with_slow_starts(now, balancer, |state| state.each_policy(|policy| policy.tick(now)));
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
