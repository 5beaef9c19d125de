//! Deployments: one version of a service takes the place of another, and is brought back.
//!
//! The group of a service that is deployed has no fixed places: new instances start at any place that is free. After
//! whatever may have changed the picture, `fit_fleet` looks at all instances, lets the deployment take its next step,
//! and starts and ends instances as [`Fleet::next`] says.

mod judging;
mod stages;

use super::World;
use super::instances::Condition;
use super::script::{Deployment, RollbackRule, Script, Strategy};
use super::versions::Split;
use crate::base::{SimDuration, SimTime};
use crate::components::analysis::Analysis;
use crate::components::rollout::{Fleet, Move, Side, canary_replicas, fenceposts, proportional};
use crate::metrics::observer::{DeploymentChange, RollbackCause};
use crate::metrics::{Change, Observer};
use crate::model::Model;

/// The instances of a service that is deployed.
#[derive(Debug)]
pub(super) struct FleetState {
    /// The version that there should be.
    pub current: u16,
    /// The last deployment, and the version that ran before.
    last: Option<(u32, u16)>,
    /// When that was complete.
    completed: SimTime,
    rollout: Option<Rollout>,
    /// Since when each place has an instance that is ready; `NEVER` if it has none.
    ready_since: Vec<SimTime>,
    /// When it is woken up next.
    pub alarm: SimTime,
    /// Whether it is about to look.
    pub is_due: bool,
    /// Replicas and surge when it last looked.
    most: u32,
    /// Instances that are paid for.
    paid: u32,
}

/// A deployment that goes on.
#[derive(Clone, Copy, Debug)]
struct Rollout {
    deployment: u32,
    from: u16,
    to: u16,
    stage: Stage,
    /// When it last made progress.
    progressed: SimTime,
    /// Whether it has been without for too long.
    is_late: bool,
    /// Whether it brings a version back: then nothing stops it.
    is_rollback: bool,
    /// New and old instances, ready and available ones when it last looked.
    seen: [u32; 4],
    /// The most new instances that were available at once.
    best: u32,
    /// Restarts of containers of the new version.
    restarts: u32,
    /// The share of the requests that the new version is to have.
    weight: f64,
    /// The analysis that goes on, and when it measures next.
    analysis: Option<(Analysis, SimTime)>,
    /// The end of the window in which errors are counted, and what had been counted at its start.
    window: (SimTime, u64, u64),
}

/// How far a deployment is.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Stage {
    /// New instances come and old ones go.
    Going,
    /// The new fleet is available, since when.
    Waiting(SimTime),
    /// A step of a canary, since when.
    Step(u32, SimTime),
    /// All requests go to the new fleet, since when; the old one is kept.
    Kept(SimTime),
    /// The old fleet ends.
    Ending,
    /// Given up: no request goes to the new fleet, since when.
    Aborting(SimTime),
}

/// What there is of a group.
#[derive(Clone, Copy, Debug, Default)]
struct Census {
    new: Side,
    old: Side,
    ready: u32,
    /// Old instances that exist, ending ones included.
    old_existing: u32,
    existing: u32,
}

impl FleetState {
    pub fn all(model: &Model, script: &Script) -> Vec<Option<Box<Self>>> {
        if script.deployments.is_empty() {
            return Vec::new();
        }
        let make = |(group, shape): (u32, &crate::model::GroupShape)| {
            let current = model.first_version(group);
            (current != crate::model::versions::NO_VERSION).then(|| {
                Box::new(Self {
                    current,
                    last: None,
                    completed: SimTime::ZERO,
                    rollout: None,
                    ready_since: vec![SimTime::NEVER; shape.capacity as usize],
                    alarm: SimTime::NEVER,
                    is_due: false,
                    most: 0,
                    paid: model.epochs[0].groups[group as usize].replicas,
                })
            })
        };
        (0..).zip(&model.groups).map(make).collect()
    }
}

impl<O: Observer> World<'_, O> {
    fn fleet_of(&mut self, group: u32) -> Option<&mut FleetState> {
        self.fleets.get_mut(group as usize)?.as_deref_mut()
    }

    fn rollout(&self, group: u32) -> Option<Rollout> {
        self.fleets.get(group as usize)?.as_ref()?.rollout
    }

    fn set_rollout(&mut self, group: u32, rollout: Option<Rollout>) {
        if let Some(fleet) = self.fleet_of(group) {
            fleet.rollout = rollout;
        }
    }

    fn tell(&mut self, now: SimTime, version: u16, what: DeploymentChange) {
        self.note(now, Change::Deployment { version: version.into(), what });
    }

    /// All deployed groups look around when the run begins.
    pub(super) fn start_fleets(&mut self) {
        (0..self.fleets.len() as u32).for_each(|group| self.fleet_moved(group));
    }

    // ---- what operators do ----

    /// A deployment begins.
    pub(super) fn deploy(&mut self, now: SimTime, number: u32) {
        let script = self.script;
        let deployment = &script.deployments[number as usize];
        let group = deployment.group;
        let Some(fleet) = self.fleet_of(group) else { return };
        // Until it is complete, the version before it is the one that is known to work.
        let from = fleet.rollout.map_or(fleet.current, |r| match r.stage {
            Stage::Ending => r.to,
            _ if r.is_rollback => r.to,
            _ => r.from,
        });
        if fleet.rollout.is_none() && from == deployment.version {
            return;
        }
        fleet.last = Some((number, from));
        self.begin_rollout(now, number, from, deployment.version, false);
    }

    fn begin_rollout(&mut self, now: SimTime, number: u32, from: u16, to: u16, is_rollback: bool) {
        let script = self.script;
        let deployment = &script.deployments[number as usize];
        let group = deployment.group;
        let is_stepwise = matches!(deployment.strategy, Strategy::Canary { .. }) && !is_rollback;
        self.drop_second(now, group, to);
        let stats = &self.version_stats[usize::from(to)];
        let window = deployment.rollback.iter().find_map(|rule| match rule {
            RollbackRule::OnErrors { window, .. } => Some(now + *window),
            _ => None,
        });
        let window = (window.unwrap_or(SimTime::NEVER), stats.requests, stats.errors);
        self.set_rollout(
            group,
            Some(Rollout {
                deployment: number,
                from,
                to,
                stage: if is_stepwise { Stage::Step(0, now) } else { Stage::Going },
                progressed: now,
                is_late: false,
                is_rollback,
                seen: [0; 4],
                best: 0,
                restarts: 0,
                weight: 0.0,
                analysis: None,
                window,
            }),
        );
        if let Some(fleet) = self.fleet_of(group) {
            fleet.current = to;
            fleet.most = 0;
        }
        self.split(group, None);
        if deployment.is_split() {
            self.split(group, Some(Split { version: to, share: 0.0 }));
        }
        self.tell(now, to, DeploymentChange::Began);
        self.fleet_moved(group);
    }

    /// A second fleet that another deployment leaves behind ends at once: nobody keeps requests from it any more.
    fn drop_second(&mut self, now: SimTime, group: u32, to: u16) {
        let script = self.script;
        let Some(r) = self.rollout(group) else { return };
        let is_second = script.deployments[r.deployment as usize].is_split() && r.stage != Stage::Ending;
        if !is_second || r.to == to {
            return;
        }
        let shape = &self.model.groups[group as usize];
        for instance in shape.first..shape.first + shape.capacity {
            if self.instances[instance as usize].version == r.to {
                self.scale_in(now, instance);
            }
        }
    }

    /// The version before is brought back.
    pub(super) fn roll_back(&mut self, now: SimTime, group: u32, cause: RollbackCause) {
        let script = self.script;
        let Some(fleet) = self.fleet_of(group) else { return };
        let (last, current) = (fleet.last, fleet.current);
        let Some((number, before)) = last else { return };
        match self.rollout(group) {
            Some(r) if r.is_rollback || matches!(r.stage, Stage::Aborting(_)) => {}
            Some(r) => {
                self.tell(now, r.to, DeploymentChange::GivenUp { cause });
                let is_split = script.deployments[r.deployment as usize].is_split();
                if is_split && r.stage != Stage::Ending {
                    self.shift(now, group, &r, 0.0);
                    let stage = Stage::Aborting(now);
                    self.set_rollout(group, Some(Rollout { stage, weight: 0.0, analysis: None, ..r }));
                    self.unwatch();
                    if let Some(fleet) = self.fleet_of(group) {
                        fleet.current = r.from;
                    }
                    return self.fleet_moved(group);
                }
                self.begin_rollout(now, r.deployment, r.to, r.from, true);
            }
            None if current != before => {
                self.tell(now, current, DeploymentChange::GivenUp { cause });
                self.begin_rollout(now, number, current, before, true);
            }
            None => {}
        }
    }

    /// An alert fires that gives up a deployment.
    pub(super) fn give_up_deployment(&mut self, now: SimTime, deployment: u32, within: SimDuration) {
        let group = self.script.deployments[deployment as usize].group;
        let rollout = self.rollout(group);
        let Some(fleet) = self.fleet_of(group) else { return };
        let is_ours = match rollout {
            Some(r) => r.deployment == deployment && !r.is_rollback,
            None => {
                fleet.last.is_some_and(|(last, _)| last == deployment) && now.since(fleet.completed) <= within
            }
        };
        if is_ours {
            self.roll_back(now, group, RollbackCause::Alert);
        }
    }

    // ---- what is there ----

    /// A container is started again.
    pub(super) fn version_restarts(&mut self, instance: u32) {
        let state = &self.instances[instance as usize];
        let (group, version) = (state.group, state.version);
        if let Some(mut r) = self.rollout(group)
            && r.to == version
        {
            r.restarts += 1;
            self.set_rollout(group, Some(r));
            self.fleet_moved(group);
        }
    }

    /// Whether an instance is ready, by its probes, and by its balancers if these count.
    fn is_ready(&self, instance: u32, gates: bool) -> bool {
        let state = &self.instances[instance as usize];
        let (group, target) = self.place_of(instance);
        let doubts = || {
            let balancers = self.model.balancers.iter().enumerate().filter(|(_, shape)| shape.group == group);
            balancers.map(|(number, _)| number as u32).any(|balancer| !self.is_believed(balancer, target))
        };
        state.condition == Condition::Up && !state.pod.unready && !(gates && doubts())
    }

    /// Counts the instances of a group, and takes note of who has become ready.
    fn census(&mut self, now: SimTime, group: u32) -> Census {
        let script = self.script;
        let model = self.model;
        let shape = &model.groups[group as usize];
        let rollout = self.rollout(group);
        let deployment = rollout.map(|r| &script.deployments[r.deployment as usize]);
        let (gates, min_ready) = deployment.map_or((false, SimDuration::ZERO), |d| (d.gates, d.min_ready));
        let to = rollout.map_or_else(|| self.fleet_of(group).map_or(0, |f| f.current), |r| r.to);
        let mut census = Census::default();
        let mut next = SimTime::NEVER;
        for target in 0..shape.capacity {
            let instance = shape.first + target;
            let is_ready = self.is_ready(instance, gates);
            let state = &self.instances[instance as usize];
            let is_new = state.version == to;
            let (exists, is_active) = match state.condition {
                Condition::Off => (false, false),
                Condition::Draining => (true, state.pod.returns),
                Condition::Starting | Condition::Up | Condition::Down => (true, true),
            };
            let Some(fleet) = self.fleet_of(group) else { return census };
            let since = &mut fleet.ready_since[target as usize];
            *since = if is_ready { (*since).min(now) } else { SimTime::NEVER };
            let is_available = is_ready && now.since(*since) >= min_ready;
            if is_ready && !is_available {
                next = next.min(*since + min_ready);
            }
            let side = if is_new { &mut census.new } else { &mut census.old };
            side.active += u32::from(is_active);
            side.available += u32::from(is_available);
            census.ready += u32::from(is_ready);
            census.existing += u32::from(exists);
            census.old_existing += u32::from(exists && !is_new);
        }
        if next < SimTime::NEVER {
            self.wake_rollout(group, next);
        }
        census
    }

    // ---- what follows ----

    /// Looks at a group: its deployment goes on, and instances start and end.
    pub(super) fn fit_fleet(&mut self, now: SimTime, group: u32) {
        match self.fleet_of(group) {
            Some(fleet) => fleet.is_due = false,
            None => return,
        }
        // Each round changes the stage, or starts or ends somebody.
        loop {
            let census = self.census(now, group);
            if self.follow(now, group, &census) {
                continue;
            }
            let fleet = self.plan(group, &census);
            if self.share_out(now, group, &fleet) {
                continue;
            }
            let Some(next) = fleet.next() else { break };
            if !self.make_move(now, group, next) {
                break;
            }
        }
        self.show_fleet(now, group);
    }

    /// What the stage of a deployment wants.
    fn plan(&mut self, group: u32, census: &Census) -> Fleet {
        let script = self.script;
        let desired = self.groups[group as usize].wanted;
        let with_goals = |new_goal: u32, old_goal: u32, (surge, unavailable): (u32, u32)| Fleet {
            desired,
            surge,
            unavailable,
            new: Side { goal: new_goal, ..census.new },
            old: Side { goal: old_goal, ..census.old },
        };
        let Some(r) = self.rollout(group) else { return with_goals(desired, 0, (0, 0)) };
        let deployment = &script.deployments[r.deployment as usize];
        let beside = |new_goal: u32, old_goal: u32| {
            with_goals(new_goal, old_goal, ((new_goal + old_goal).saturating_sub(desired), 0))
        };
        match &deployment.strategy {
            Strategy::Rolling { surge, unavailable } => {
                with_goals(desired, 0, fenceposts(*surge, *unavailable, desired))
            }
            Strategy::Recreate if census.old_existing > 0 => with_goals(0, 0, (0, desired)),
            Strategy::Recreate => with_goals(desired, 0, (0, desired)),
            Strategy::Canary { by_weight: false, surge, unavailable, .. } => {
                let fences = fenceposts(*surge, *unavailable, desired);
                match r.stage {
                    Stage::Step(..) => {
                        let new = canary_replicas(r.weight, desired);
                        with_goals(new, desired - new, fences)
                    }
                    _ => with_goals(desired, 0, fences),
                }
            }
            Strategy::BlueGreen { keep, .. } | Strategy::Canary { keep, .. } => match r.stage {
                Stage::Step(..) => {
                    let new = libm::ceil(r.weight * f64::from(desired) - 1e-9) as u32;
                    beside(new.min(desired), desired)
                }
                Stage::Going | Stage::Waiting(_) | Stage::Kept(_) => beside(desired, desired),
                Stage::Ending => with_goals(desired, 0, (0, 0)),
                Stage::Aborting(since) => {
                    // What failed is kept until its time is over, as it is.
                    let is_over = self.now_is_after(group, since + *keep);
                    beside(if is_over { 0 } else { census.new.active }, desired)
                }
            },
        }
    }

    /// Whether a moment has come; if not, the group is looked at then.
    fn now_is_after(&mut self, group: u32, at: SimTime) -> bool {
        let is_over = self.queue.now() >= at;
        if !is_over {
            self.wake_rollout(group, at);
        }
        is_over
    }

    /// More or fewer replicas in the middle of a rolling update: both versions get their part of the change.
    fn share_out(&mut self, now: SimTime, group: u32, plan: &Fleet) -> bool {
        let script = self.script;
        let Some(r) = self.rollout(group) else { return false };
        if !matches!(script.deployments[r.deployment as usize].strategy, Strategy::Rolling { .. }) {
            return false;
        }
        let Some(fleet) = self.fleet_of(group) else { return false };
        let most = plan.desired + plan.surge;
        let before = std::mem::replace(&mut fleet.most, most);
        if before == 0 || before == most || plan.new.active == 0 || plan.old.active == 0 {
            return false;
        }
        let (new, old) = proportional(plan.new.active, plan.old.active, before, most);
        let mut moved = false;
        for (more, start, end) in [
            (new, Move::StartNew as fn(u32) -> Move, Move::EndNew as fn(u32) -> Move),
            (old, Move::StartOld, Move::EndOld),
        ] {
            if more != 0 {
                let count = more.unsigned_abs() as u32;
                moved |= self.make_move(now, group, if more > 0 { start(count) } else { end(count) });
            }
        }
        moved
    }

    /// Starts or ends instances; `false` if none could be.
    fn make_move(&mut self, now: SimTime, group: u32, next: Move) -> bool {
        let Some(fleet) = self.fleet_of(group) else { return false };
        let current = fleet.current;
        let (to, from) = fleet.rollout.map_or((current, current), |r| (r.to, r.from));
        let shape = &self.model.groups[group as usize];
        let places = shape.first..shape.first + shape.capacity;
        let (count, ends, version) = match next {
            Move::StartNew(count) => (count, false, to),
            Move::StartOld(count) => (count, false, from),
            Move::EndNew(count) => (count, true, to),
            Move::EndOld(count) => (count, true, from),
        };
        if !ends {
            return self.start_version(now, group, version, count);
        }
        let is_new = matches!(next, Move::EndNew(_));
        for done in 0..count {
            let is_meant = |i: &u32| {
                let state = &self.instances[*i as usize];
                let is_active = match state.condition {
                    Condition::Off => false,
                    Condition::Draining => state.pod.returns,
                    Condition::Starting | Condition::Up | Condition::Down => true,
                };
                is_active && (state.version == to) == is_new
            };
            let is_ill = |i: &u32| is_meant(i) && !self.is_ready(*i, false);
            let found = places.clone().rfind(is_ill).or_else(|| places.clone().rfind(is_meant));
            let Some(instance) = found else { return done > 0 };
            self.scale_in(now, instance);
        }
        true
    }

    /// Starts so many instances of a version where there is room; `false` if none could be.
    fn start_version(&mut self, now: SimTime, group: u32, version: u16, count: u32) -> bool {
        let shape = &self.model.groups[group as usize];
        let mut started = 0;
        // At first where nothing is known of the one before any more, and at last in a zone that is lost.
        for is_last in [false, true] {
            for instance in shape.first..shape.first + shape.capacity {
                let state = &self.instances[instance as usize];
                let is_worse = state.pod.lingers || self.is_in_lost_zone(instance);
                if started == count || state.condition != Condition::Off || is_worse != is_last {
                    continue;
                }
                self.begin_version(now, instance, version);
                self.scale_out(now, instance);
                // There may be no capacity for one at this place.
                started += u32::from(self.instances[instance as usize].condition != Condition::Off);
            }
        }
        started > 0
    }

    // ---- what is shown ----

    /// Puts the gauges of a group at what there is, and pays for it.
    fn show_fleet(&mut self, now: SimTime, group: u32) {
        let census = self.census(now, group);
        let model = self.model;
        let shape = &model.groups[group as usize];
        let desired = self.groups[group as usize].wanted;
        let all = &self.instances[shape.first as usize..(shape.first + shape.capacity) as usize];
        for (number, (version, meters)) in (0u16..).zip(model.versions.iter().zip(&model.catalog.versions)) {
            if version.group != group {
                continue;
            }
            let ours = || all.iter().filter(|i| i.version == number);
            let is_active = |c: Condition| !matches!(c, Condition::Off | Condition::Draining);
            let active = ours().filter(|i| is_active(i.condition)).count() as u64;
            let ready = ours().filter(|i| i.condition == Condition::Up && !i.pod.unready).count() as u64;
            self.observer.level(now, meters.replicas, active);
            self.observer.level(now, meters.ready, ready);
        }
        let Some(meters) = &model.catalog.fleets[group as usize] else { return };
        let available = census.new.available + census.old.available;
        self.observer.level(now, meters.updated, u64::from(census.new.active));
        self.observer.level(now, meters.unavailable, u64::from(desired.saturating_sub(available)));
        self.observer.level(now, meters.instances, u64::from(census.existing));
        if let Some(fleet) = self.fleet_of(group) {
            fleet.paid = census.existing;
        }
        self.pay_instances(now, group);
    }

    /// Instances that there are of a service that is deployed, of all versions.
    pub(super) fn deployed_instances(&self, group: u32) -> Option<u32> {
        Some(self.fleets.get(group as usize)?.as_ref()?.paid)
    }
}

impl Deployment {
    /// Whether requests are shared out by weight.
    fn is_split(&self) -> bool {
        matches!(self.strategy, Strategy::BlueGreen { .. } | Strategy::Canary { by_weight: true, .. })
    }
}
