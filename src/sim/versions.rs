//! Instances of different versions: which settings and states of layers each of them has, and who gets requests.

use super::targets::BalancerState;
use super::{Event, Task, World};
use crate::base::{Outcome, SimDuration, SimTime, mix, salt, uniform_of};
use crate::components::balancer::Balancer;
use crate::components::queue::WaitQueue;
use crate::metrics::{Histogram, Observer};
use crate::model::{Caller, Epoch, SlotUse};

/// The salt of which version a request goes to.
const SHARE: u64 = 0x0073_6861_7265;

/// What the instances of a version have done, for whoever decides about it.
#[derive(Debug, Default)]
pub(super) struct VersionStats {
    /// Requests that ended.
    pub requests: u64,
    /// Those that did not end well.
    pub errors: u64,
    /// Their latencies, since the analysis that goes on last looked.
    pub latencies: Histogram,
    /// Whether latencies are wanted.
    pub is_watched: bool,
    /// Requests and errors when that analysis last looked.
    pub analysed: (u64, u64),
}

/// How requests are shared out between a version and all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    /// The version.
    pub version: u16,
    /// Its share, from 0 to 1.
    pub share: f64,
}

impl BalancerState {
    /// A request goes to a target.
    pub fn on_start(&mut self, target: u32) {
        self.policy.on_start(target);
        if let Some(second) = &mut self.second {
            second.on_start(target);
        }
    }

    /// A request to a target, sent so long ago, is over.
    pub fn on_end(&mut self, now: SimTime, target: u32, took: SimDuration) {
        for policy in std::iter::once(&mut self.policy).chain(self.second.as_deref_mut()) {
            policy.on_end(target);
            policy.observe(now, target, took);
        }
    }

    /// Does something to the policy, and to that of a second version if there is one.
    pub fn each_policy(&mut self, mut act: impl FnMut(&mut Balancer)) {
        act(&mut self.policy);
        self.second.as_deref_mut().into_iter().for_each(act);
    }

    /// Whether a target may be asked.
    pub fn may_ask(&self, target: u32) -> bool {
        self.policy.is_eligible(target) || self.second.as_ref().is_some_and(|s| s.is_eligible(target))
    }
}

impl<'m, O: Observer> World<'m, O> {
    // ---- settings ----

    /// Another version comes to a place where nothing runs.
    pub(super) fn begin_version(&mut self, now: SimTime, instance: u32, version: u16) {
        if self.instances[instance as usize].version == version {
            return;
        }
        self.instances[instance as usize].version = version;
        self.settle_instance(instance);
        let settings = self.settings_of(instance);
        let (group, target) = self.place_of(instance);
        self.instances[instance as usize].queue =
            WaitQueue::new(settings.groups[group as usize].queue.clone());
        self.reset_layers(now, group, target);
        self.reconfigure_layers(now, instance);
    }

    /// The settings of versions have changed with those of the topology.
    pub(super) fn reconfigure_versions(&mut self, now: SimTime) {
        for instance in 0..self.instances.len() as u32 {
            if self.own_settings(instance).is_some() {
                self.reconfigure_layers(now, instance);
            }
        }
    }

    /// The settings of an instance whose version is not the topology's.
    pub(super) fn own_settings(&self, instance: u32) -> Option<&'m Epoch> {
        let model = self.model;
        let version = model.versions.get(usize::from(self.instances[instance as usize].version))?;
        version.epochs.get(self.epoch)
    }

    fn reconfigure_layers(&mut self, now: SimTime, instance: u32) {
        let (group, target) = self.place_of(instance);
        for slot in &self.settings_of(instance).slots {
            for index in self.states_of(slot, group, target) {
                self.reconfigure_state(now, slot, index);
            }
        }
    }

    /// The states of a layer that belong to the calls of one instance.
    pub(super) fn states_of(&self, slot: &SlotUse, group: u32, target: u32) -> std::ops::Range<u32> {
        let is_ours = self.model.edges[slot.edge as usize].caller == Caller::Group(group);
        if !is_ours || self.model.layers[slot.layer as usize].shared {
            return 0..0;
        }
        let each = slot.count / self.model.groups[group as usize].capacity.max(1);
        slot.first + target * each..slot.first + (target + 1) * each
    }

    /// Whether the calls of an instance go through a layer with these meters.
    pub(super) fn uses_layer(&self, instance: u32, meters: u32) -> bool {
        self.settings_of(instance).slots.iter().any(|slot| slot.meters == meters)
    }

    // ---- what is known of them ----

    /// A request ends at an instance.
    pub(super) fn note_version(&mut self, instance: u32, outcome: Outcome, latency: SimDuration) {
        let state = &self.instances[instance as usize];
        let Some(meters) = self.model.catalog.versions.get(usize::from(state.version)) else { return };
        self.observer.outcome(meters.red, outcome, latency);
        let stats = &mut self.version_stats[usize::from(state.version)];
        stats.requests += 1;
        stats.errors += u64::from(!outcome.is_success());
        if stats.is_watched {
            stats.latencies.record(latency.ns());
        }
    }

    // ---- who gets requests ----

    /// Whether a place is one of the version that gets a share of its own; `None` if requests are not shared out.
    fn side(&self, group: u32, target: u32) -> Option<(bool, f64)> {
        let split = self.splits.get(group as usize).copied().flatten()?;
        let instance = self.model.groups[group as usize].first + target;
        Some((self.instances[instance as usize].version == split.version, split.share))
    }

    /// A balancer may ask a target, or may not, as far as the shares of versions let it.
    pub(super) fn let_in(&mut self, balancer: u32, target: u32, yes: bool) {
        let side = self.side(self.model.balancers[balancer as usize].group, target);
        let state = &mut self.balancers[balancer as usize];
        match (side, &mut state.second) {
            (Some((is_new, share)), Some(second)) => {
                state.policy.set_eligible(target, yes && !is_new && share < 1.0);
                second.set_eligible(target, yes && is_new && share > 0.0);
            }
            _ => state.policy.set_eligible(target, yes),
        }
    }

    /// The same for calls without a balancer.
    pub(super) fn let_in_direct(&mut self, group: u32, target: u32, yes: bool) {
        let side = self.side(group, target);
        let state = &mut self.groups[group as usize];
        match (side, &mut state.second) {
            (Some((is_new, share)), Some(second)) => {
                state.discovery.set_eligible(target, yes && !is_new && share < 1.0);
                second.set_eligible(target, yes && is_new && share > 0.0);
            }
            _ => state.discovery.set_eligible(target, yes),
        }
    }

    /// Whether a request goes to the version that has a share of its own.
    fn goes_to_second(&self, group: u32, key: u64) -> bool {
        let Some(split) = self.splits.get(group as usize).copied().flatten() else { return false };
        uniform_of(mix(key, SHARE)) < split.share
    }

    /// The target of a call without a balancer.
    #[inline(always)]
    pub(super) fn pick_direct(&mut self, group: u32, key: u64) -> Option<u32> {
        if self.groups[group as usize].second.is_some() && self.goes_to_second(group, key) {
            let state = &mut self.groups[group as usize];
            return state.second.as_mut().and_then(|policy| policy.pick_in_turn());
        }
        self.groups[group as usize].discovery.pick_in_turn()
    }

    /// Puts the policy of the second version in the place of the first while a target of that version is chosen;
    /// answers whether it did. To be called once more after the choice.
    pub(super) fn turn_to_second(&mut self, balancer: u32, key: u64) -> bool {
        if self.balancers[balancer as usize].second.is_none() {
            return false;
        }
        let group = self.model.balancers[balancer as usize].group;
        let turns = self.goes_to_second(group, mix(key, salt("balancer")));
        if turns {
            self.turn_back(balancer);
        }
        turns
    }

    /// Swaps the policies of both versions.
    pub(super) fn turn_back(&mut self, balancer: u32) {
        let state = &mut self.balancers[balancer as usize];
        if let Some(second) = &mut state.second {
            std::mem::swap(&mut state.policy, second);
        }
    }

    /// From now on a version gets such a share of the requests; `None` if they are not shared out any more.
    pub(super) fn split(&mut self, group: u32, split: Option<Split>) {
        self.splits[group as usize] = split;
        for balancer in 0..self.model.balancers.len() as u32 {
            if self.model.balancers[balancer as usize].group != group {
                continue;
            }
            let state = &mut self.balancers[balancer as usize];
            match (split.is_some(), state.second.is_some()) {
                (true, false) => state.second = Some(Box::new(state.policy.clone())),
                (false, true) => state.second = None,
                _ => {}
            }
            state.note_settings(
                &self.model.epochs[self.epoch].balancers[balancer as usize],
                self.model,
                balancer as usize,
            );
            self.reset_eligible(balancer);
        }
        let state = &mut self.groups[group as usize];
        match (split.is_some(), state.second.is_some()) {
            (true, false) => state.second = Some(Box::new(state.discovery.clone())),
            (false, true) => state.second = None,
            _ => {}
        }
        let shape = &self.model.groups[group as usize];
        (shape.first..shape.first + shape.capacity).for_each(|instance| self.discover(instance));
    }

    // ---- when to look ----

    /// Whether versions of a group are deployed in this run: then it has no fixed places.
    #[inline]
    pub(super) fn is_deployed(&self, group: u32) -> bool {
        self.fleets.get(group as usize).is_some_and(Option::is_some)
    }

    /// Something has changed about the instances of a group: its deployment looks at it once the handlers are done.
    #[inline]
    pub(super) fn fleet_moved(&mut self, group: u32) {
        if let Some(Some(fleet)) = self.fleets.get_mut(group as usize)
            && !std::mem::replace(&mut fleet.is_due, true)
        {
            self.tasks.push_back(Task::Fit(group));
        }
    }

    /// A moment has come that a deployment waited for.
    pub(super) fn on_rollout(&mut self, now: SimTime, group: u32) {
        if let Some(Some(fleet)) = self.fleets.get_mut(group as usize)
            && fleet.alarm <= now
        {
            fleet.alarm = SimTime::NEVER;
            self.fleet_moved(group);
        }
    }

    /// Wakes a deployment at a moment, unless it wakes up earlier.
    pub(super) fn wake_rollout(&mut self, group: u32, at: SimTime) {
        if let Some(Some(fleet)) = self.fleets.get_mut(group as usize)
            && at < fleet.alarm
        {
            fleet.alarm = at;
            self.queue.schedule(at, crate::engine::Rank::Control, Event::Rollout { group });
        }
    }
}
