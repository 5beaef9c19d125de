//! Health checks: requests like any other, through the same workers.

use super::event::Event;
use super::frame::{Call, Frame, Kind, NO_BALANCER, NO_POOL};
use super::instances::Arrival;
use super::{FrameId, World};
use crate::base::{Outcome, SimDuration, SimTime, mix, uniform_of};
use crate::components::health::{Health, TargetHealth};
use crate::components::outlier::Cause;
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::balancers::CheckRule;

/// The salt of the moment of a target's first check.
const PHASE: u64 = 1;
/// The salt of its checks, to which the generation of the schedule is added.
const CHECKS: u64 = 2;

impl<O: Observer> World<'_, O> {
    /// Schedules the first check of every target of every balancer.
    pub(super) fn start_checks(&mut self, now: SimTime) {
        for balancer in 0..self.model.balancers.len() as u32 {
            self.schedule_checks(now, balancer);
        }
    }

    fn schedule_checks(&mut self, now: SimTime, balancer: u32) {
        let Some(check) = &self.settings().balancers[balancer as usize].check else { return };
        let state = &self.balancers[balancer as usize];
        let (key, generation, members) = (state.key, state.generation, state.members);
        for target in 0..state.registered.len() as u32 {
            self.balancers[balancer as usize].is_checking[target as usize] = true;
            // Each target has a phase of its own within the interval: checks do not come in step.
            let phase = match check.rule {
                CheckRule::Haproxy(_) => (f64::from(target) / f64::from(members.max(1))).fract(),
                CheckRule::Alb | CheckRule::Envoy(_) => uniform_of(mix(mix(key, u64::from(target)), PHASE)),
            };
            let at = now + check.interval.scaled(phase);
            self.haproxy_expects(balancer, target, at);
            self.queue.schedule(at, Rank::Probe, Event::Check { balancer, target, generation });
        }
    }

    /// A target was registered: where the answer to a check brings the next, its first is sent at once.
    pub(super) fn check_at_once(&mut self, now: SimTime, balancer: u32, target: u32) {
        let Some(check) = &self.settings().balancers[balancer as usize].check else { return };
        let state = &mut self.balancers[balancer as usize];
        let (index, generation) = (target as usize, state.generation);
        if matches!(check.rule, CheckRule::Alb) || !state.registered[index] || state.is_checking[index] {
            return;
        }
        state.is_checking[index] = true;
        self.haproxy_expects(balancer, target, now);
        self.after(SimDuration::ZERO, Rank::Probe, Event::Check { balancer, target, generation });
    }

    /// The settings of the checks may have changed: a new schedule takes the place of the old one.
    pub(super) fn reschedule_checks(&mut self, now: SimTime, balancer: u32) {
        let [before, after] = [self.previous_epoch(), self.epoch]
            .map(|e| self.model.epochs[e].balancers[balancer as usize].check.as_ref())
            .map(|check| check.map(|c| (c.interval, std::mem::discriminant(&c.rule))));
        if before != after {
            self.balancers[balancer as usize].generation += 1;
            self.schedule_checks(now, balancer);
        }
    }

    /// Checks that begin anew, after a time without any, begin with what is believed at the start.
    pub(super) fn restart_checks(&mut self, balancer: u32) {
        let [before, after] = [self.previous_epoch(), self.epoch]
            .map(|e| self.model.epochs[e].balancers[balancer as usize].check.as_ref().map(|c| c.initial));
        if let (None, Some(initial)) = (before, after) {
            self.balancers[balancer as usize].health.fill(Health::new(initial));
        }
    }

    /// A check is due: the schedule is fixed, a slow answer does not shift it.
    pub(super) fn on_check(&mut self, now: SimTime, balancer: u32, target: u32, generation: u32) {
        let state = &self.balancers[balancer as usize];
        if state.generation != generation {
            return;
        }
        let Some(check) = &self.settings().balancers[balancer as usize].check else { return };
        let is_fixed = matches!(check.rule, CheckRule::Alb);
        if !self.haproxy_is_due(now, balancer, target) {
            return;
        }
        if is_fixed {
            self.after(check.interval, Rank::Probe, Event::Check { balancer, target, generation });
        }
        let state = &mut self.balancers[balancer as usize];
        if !state.registered[target as usize] {
            state.is_checking[target as usize] = false;
            return;
        }
        // By its number, not by the nanosecond: twice as fast is the same. One comes in each interval.
        let number = now.ns() / check.interval.ns().max(1);
        let key = mix(mix(mix(state.key, u64::from(target)), CHECKS + u64::from(generation)), number);
        let meters = self.model.catalog.balancers[balancer as usize];
        self.observer.arrival(meters.checks);
        let frame = Frame::new(
            FrameId::NONE,
            Kind::Check { balancer, target, at: now, generation, cause: Cause::Answered },
        );
        let group = self.model.balancers[balancer as usize].group;
        let instance = self.model.groups[group as usize].first + target;
        self.send_check(now, frame, (instance, check.endpoint), check.timeout, key);
    }

    /// Asks an instance something that no caller asked for: a check or a probe. `frame` gets the answer, or the
    /// timeout.
    pub(super) fn send_check(
        &mut self,
        now: SimTime,
        frame: Frame,
        (instance, endpoint): (u32, u32),
        timeout: SimDuration,
        key: u64,
    ) {
        let balancer = match frame.kind {
            Kind::Check { balancer, .. } => Some(balancer),
            _ => None,
        };
        let parent = self.push_frame(frame);
        self.after(timeout, Rank::Timer, Event::Timer(parent));
        let call = Call {
            key,
            route: 0,
            owner: 0,
            life: 0,
            affinity: 0,
            pool_layer: NO_POOL,
            // Checks stand in line like everyone else.
            priority: 0,
            tenant: 0,
            // All checks ask for the same, which no client asks for: their keys begin with 1.
            is_keyed: true,
        };
        let arrival = Arrival {
            parent,
            instance,
            endpoint,
            balancer: NO_BALANCER,
            measures_balancer: false,
            is_check: true,
        };
        // Probes come from the instance's own host.
        match balancer {
            Some(balancer) => self.deliver(now, arrival, &call, balancer),
            None => self.arrive(now, arrival, &call),
        }
    }

    /// A check has its answer, or none in time.
    pub(super) fn end_check(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let Some(Frame { kind: Kind::Check { balancer, target, at, generation, cause }, .. }) =
            self.frames.remove(id)
        else {
            return;
        };
        let meters = self.model.catalog.balancers[balancer as usize];
        self.observer.outcome(meters.checks, outcome, now.since(at));
        let Some(check) = &self.settings().balancers[balancer as usize].check else { return };
        if let CheckRule::Envoy(rule) = &check.rule {
            return self.envoy_checked(now, balancer, target, generation, rule, (outcome, cause));
        }
        if let CheckRule::Haproxy(rule) = &check.rule {
            return self.haproxy_checked(now, balancer, target, generation, rule, outcome.is_success());
        }
        let state = &mut self.balancers[balancer as usize];
        if !state.registered[target as usize] {
            return;
        }
        let changed = state.health[target as usize].on_check(&check.thresholds, outcome.is_success());
        let group = self.model.balancers[balancer as usize].group;
        let instance = self.model.groups[group as usize].first + target;
        let Some(is) = changed else { return self.target_of_task_checked(now, instance) };
        self.note(
            now,
            match is {
                TargetHealth::Healthy => Change::TargetHealthy { balancer, instance },
                TargetHealth::Initial | TargetHealth::Unhealthy => {
                    Change::TargetUnhealthy { balancer, instance }
                }
            },
        );
        self.believe(now, balancer, target);
        self.target_of_task_checked(now, instance);
    }
}
