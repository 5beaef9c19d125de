//! Spot instances: which places have one, how they are taken back, and what comes after them.
//!
//! A place of a group is on demand or spot by its number (`components/fleet.rs`). An instance that is taken back gets a
//! notice; it drains as its service is configured to, and is cut off when the notice is over. Its place is then empty:
//! it is still wanted, and is launched again after a delay, when there is capacity, or on demand.

use super::World;
use super::event::Event;
use super::instances::Condition;
use super::layers::sample;
use super::script::Reclaim;
use crate::base::{SimDuration, SimTime, mix};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::{GroupKind, Model};

/// How the instances of a group are bought.
#[derive(Clone, Debug, Default)]
pub(super) struct PurchaseState {
    /// Until when there is no spot capacity.
    missing_until: SimTime,
    on_demand: u32,
    spot: u32,
}

impl PurchaseState {
    pub fn all(model: &Model) -> Vec<Self> {
        let make = |_| Self { missing_until: SimTime::ZERO, on_demand: 0, spot: 0 };
        model.groups.iter().map(make).collect()
    }
}

/// An instance as it was bought.
#[derive(Clone, Debug)]
pub(super) struct SpotState {
    /// Whether it is there, and as what: spot or on demand.
    is_spot: Option<bool>,
    /// Whether it has its notice, and when that is over.
    gone_at: Option<SimTime>,
    /// Raised at each launch, and when it is gone.
    generation: u32,
    /// The place stays empty until then.
    not_before: SimTime,
    /// Whether it waits for capacity or its replacement.
    is_missing: bool,
}

impl SpotState {
    /// By instance; none where nothing is ever spot.
    pub fn all(model: &Model) -> Vec<Self> {
        let none = Self {
            is_spot: None,
            gone_at: None,
            generation: 0,
            not_before: SimTime::ZERO,
            is_missing: false,
        };
        let is_any = model.costs.spots.iter().any(Option::is_some);
        vec![none; if is_any { model.instances as usize } else { 0 }]
    }
}

impl<O: Observer> World<'_, O> {
    /// The instances of the start are bought.
    pub(super) fn start_purchases(&mut self, now: SimTime) {
        for instance in 0..self.instances.len() as u32 {
            if self.instances[instance as usize].condition != Condition::Off {
                self.can_launch(now, instance);
            }
        }
    }

    /// How many instances of a group are paid for, on demand and spot. Without spot these are all that there should be.
    pub(super) fn bought(&self, group: u32) -> (u32, u32) {
        match self.model.costs.spots[group as usize] {
            Some(_) => (self.purchases[group as usize].on_demand, self.purchases[group as usize].spot),
            // A deployed group pays for what there is, of all versions.
            None => (self.deployed_instances(group).unwrap_or(self.groups[group as usize].wanted), 0),
        }
    }

    fn count_bought(&mut self, now: SimTime, group: u32, is_spot: bool, sign: i64) {
        let fleet = &mut self.purchases[group as usize];
        let count = if is_spot { &mut fleet.spot } else { &mut fleet.on_demand };
        *count = (i64::from(*count) + sign).max(0) as u32;
        if let Some(meters) = self.model.catalog.costs.spots[group as usize] {
            self.observer.moved(now, if is_spot { meters.spot } else { meters.on_demand }, sign);
        }
        self.pay_instances(now, group);
    }

    fn mark_missing(&mut self, now: SimTime, instance: u32, is_missing: bool) {
        let was = std::mem::replace(&mut self.spots[instance as usize].is_missing, is_missing);
        let group = self.instances[instance as usize].group as usize;
        if was != is_missing
            && let Some(meters) = self.model.catalog.costs.spots[group]
        {
            self.observer.moved(now, meters.missing, if is_missing { 1 } else { -1 });
        }
    }

    /// An instance is to be launched; answers whether there is capacity for it. If not, that is tried again.
    pub(super) fn can_launch(&mut self, now: SimTime, instance: u32) -> bool {
        let (group, place) = self.place_of(instance);
        let model = self.model;
        let Some(settings) = &model.costs.spots[group as usize] else { return true };
        let missing_until = self.purchases[group as usize].missing_until;
        let mut is_spot = !model.costs.fleets[group as usize].is_on_demand(place);
        let mut earliest = self.spots[instance as usize].not_before;
        if is_spot && missing_until > now {
            if settings.falls_back {
                is_spot = false;
            } else {
                earliest = earliest.max(missing_until);
            }
        }
        if earliest > now {
            self.mark_missing(now, instance, true);
            self.queue.schedule(earliest, Rank::Control, Event::SpotBack { instance });
            return false;
        }
        self.mark_missing(now, instance, false);
        let state = &mut self.spots[instance as usize];
        state.is_spot = Some(is_spot);
        state.gone_at = None;
        state.generation += 1;
        let generation = state.generation;
        if let (true, Some(after)) = (is_spot, &settings.reclaimed_after) {
            let at = now + sample(after, self.spot_key(instance));
            self.queue.schedule(at, Rank::Fault, Event::SpotNotice { instance, generation });
        }
        self.count_bought(now, group, is_spot, 1);
        true
    }

    /// The key of the random numbers of this launch of an instance.
    fn spot_key(&self, instance: u32) -> u64 {
        mix(self.pod_key(instance), u64::from(self.spots[instance as usize].generation))
    }

    /// Whether an instance has its notice: it cannot be had back.
    pub(super) fn is_doomed(&self, instance: u32) -> bool {
        self.spots.get(instance as usize).is_some_and(|state| state.gone_at.is_some())
    }

    /// Spot instances of a group are taken back, chosen by a stream of the fault's own.
    pub(super) fn reclaim(&mut self, now: SimTime, reclaim: Reclaim, name: &str) {
        let shape = &self.model.groups[reclaim.group as usize];
        debug_assert!(shape.kind == GroupKind::Service);
        let until = now + reclaim.unavailable;
        let fleet = &mut self.purchases[reclaim.group as usize];
        fleet.missing_until = fleet.missing_until.max(until);
        let is_meant = |i: &u32| {
            let Some(state) = self.spots.get(*i as usize) else { return false };
            let zone = shape.zone_of(i - shape.first);
            state.is_spot == Some(true)
                && state.gone_at.is_none()
                && (reclaim.zone.is_none() || zone == reclaim.zone)
        };
        let all: Vec<u32> = (shape.first..shape.first + shape.capacity).filter(is_meant).collect();
        let count = libm::ceil(all.len() as f64 * reclaim.share - 1e-9).max(0.0) as usize;
        let count = count.min(reclaim.most as usize).min(all.len());
        for instance in self.some_of(all, count, name, "spot") {
            self.notify(now, instance, reclaim.notice);
        }
    }

    /// A spot instance is taken back at random.
    pub(super) fn on_spot_notice(&mut self, now: SimTime, instance: u32, generation: u32) {
        let state = &self.spots[instance as usize];
        let group = self.instances[instance as usize].group as usize;
        let Some(settings) = &self.model.costs.spots[group] else { return };
        if state.generation == generation && state.gone_at.is_none() {
            self.notify(now, instance, settings.notice);
        }
    }

    fn notify(&mut self, now: SimTime, instance: u32, notice: SimDuration) {
        let group = self.instances[instance as usize].group as usize;
        let model = self.model;
        let (Some(settings), Some(meters)) = (&model.costs.spots[group], model.catalog.costs.spots[group])
        else {
            return;
        };
        let state = &mut self.spots[instance as usize];
        state.gone_at = Some(now + notice);
        let generation = state.generation;
        self.observer.count(meters.reclaims);
        self.note(now, Change::SpotNotice { instance });
        self.queue.schedule(now + notice, Rank::Fault, Event::SpotGone { instance, generation });
        if settings.drains && self.instances[instance as usize].condition == Condition::Up {
            self.scale_in(now, instance);
        }
    }

    /// The notice of an instance is over: if it is still there, it is cut off.
    pub(super) fn on_spot_gone(&mut self, now: SimTime, instance: u32, generation: u32) {
        let state = &self.spots[instance as usize];
        if state.generation != generation || state.is_spot.is_none() {
            return;
        }
        match self.instances[instance as usize].condition {
            Condition::Up | Condition::Draining => {
                self.instances[instance as usize].pod.returns = false;
                self.die(now, instance, Change::Reclaimed { instance });
            }
            Condition::Starting => {
                self.die(now, instance, Change::Reclaimed { instance });
                self.note(now, Change::Reclaimed { instance });
            }
            Condition::Down => self.note(now, Change::Reclaimed { instance }),
            Condition::Off => return,
        }
        self.switch_off(now, instance);
    }

    /// A place may have an instance again, if one is still wanted there.
    pub(super) fn on_spot_back(&mut self, now: SimTime, instance: u32) {
        let (group, place) = self.place_of(instance);
        if self.instances[instance as usize].condition != Condition::Off {
            return;
        }
        if place < self.groups[group as usize].wanted {
            self.scale_out(now, instance);
        } else {
            self.mark_missing(now, instance, false);
        }
    }

    /// An instance is gone: it is paid for no more. If it was taken back, another comes for it after a while.
    pub(super) fn leave_fleet(&mut self, now: SimTime, instance: u32) {
        let (group, place) = self.place_of(instance);
        let model = self.model;
        let Some(settings) = &model.costs.spots[group as usize] else { return };
        let delay = sample(&settings.replacement_delay, self.spot_key(instance));
        let state = &mut self.spots[instance as usize];
        let Some(is_spot) = state.is_spot.take() else {
            // What waited for capacity is wanted no more.
            return self.mark_missing(now, instance, false);
        };
        state.generation += 1;
        let gone_at = state.gone_at.take();
        if let Some(gone_at) = gone_at {
            let from = if settings.replace_when_gone { gone_at.max(now) } else { now };
            state.not_before = from + delay;
        }
        self.count_bought(now, group, is_spot, -1);
        if gone_at.is_some() && place < self.groups[group as usize].wanted {
            self.mark_missing(now, instance, true);
            let at = self.spots[instance as usize].not_before;
            self.queue.schedule(at, Rank::Control, Event::SpotBack { instance });
        }
    }
}
