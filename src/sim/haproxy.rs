//! HAProxy: servers by checks and traffic, and the lines of those who wait for one.

use super::balanced::After;
use super::event::Event;
use super::frame::{Balanced, Call, Frame, Kind, Place};
use super::minds::Mind;
use super::{FrameId, Task, World};
use crate::base::{Outcome, SimTime};
use crate::components::balancer::PolicyConfig;
use crate::components::haproxy::{CheckConfig, Health, Queues, limit};
use crate::components::outlier::Cause;
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::balancers::{Haproxy, Observe, Product};

/// What HAProxy believes, and who waits.
#[derive(Debug)]
pub(super) struct HaproxyMind {
    checks: Vec<Health>,
    /// When the next check of a server is due; never while one is under way.
    due: Vec<SimTime>,
    queues: Queues<FrameId>,
}

impl HaproxyMind {
    pub fn new(haproxy: &Haproxy, capacity: usize) -> Self {
        let health = |config: CheckConfig| Health::new(&config);
        // Without checks there is nothing to count.
        let none = CheckConfig {
            rise: 1,
            fall: 1,
            inter: Default::default(),
            fastinter: Default::default(),
            downinter: Default::default(),
        };
        Self {
            checks: vec![health(haproxy.check.unwrap_or(none)); capacity],
            due: vec![SimTime::NEVER; capacity],
            queues: Queues::new(capacity),
        }
    }

    /// Whether a server gets requests.
    pub fn is_up(&self, product: &Product, target: u32) -> bool {
        match product {
            Product::Haproxy(Haproxy { check: Some(check), .. }) => self.checks[target as usize].is_up(check),
            _ => true,
        }
    }

    /// Everyone who waits leaves.
    pub fn leave_lines(&mut self) -> Vec<FrameId> {
        let mut all = Vec::new();
        for server in 0..self.checks.len() as u32 {
            while let Some(id) = self.queues.pop(server) {
                all.push(id);
            }
        }
        all
    }
}

impl<O: Observer> World<'_, O> {
    fn haproxy(&self, balancer: u32) -> Option<&Haproxy> {
        match &self.model.epochs[self.epoch].balancers[balancer as usize].product {
            Product::Haproxy(haproxy) => Some(haproxy),
            _ => None,
        }
    }

    fn haproxy_mind(&mut self, balancer: u32) -> Option<&mut HaproxyMind> {
        match &mut self.balancers[balancer as usize].mind {
            Mind::Haproxy(mind) => Some(mind),
            _ => None,
        }
    }

    // ---- checks ----

    /// A check was scheduled.
    pub(super) fn haproxy_expects(&mut self, balancer: u32, target: u32, at: SimTime) {
        if let Some(mind) = self.haproxy_mind(balancer) {
            mind.due[target as usize] = at;
        }
    }

    /// Whether a check that was scheduled still is: another may have come before it.
    pub(super) fn haproxy_is_due(&mut self, now: SimTime, balancer: u32, target: u32) -> bool {
        let Some(mind) = self.haproxy_mind(balancer) else { return true };
        let is_due = mind.due[target as usize] == now;
        if is_due {
            mind.due[target as usize] = SimTime::NEVER;
        }
        is_due
    }

    /// A check has its answer, or none in time.
    pub(super) fn haproxy_checked(
        &mut self,
        now: SimTime,
        balancer: u32,
        target: u32,
        generation: u32,
        rule: &CheckConfig,
        passed: bool,
    ) {
        let state = &mut self.balancers[balancer as usize];
        let Mind::Haproxy(mind) = &mut state.mind else { return };
        let health = &mut mind.checks[target as usize];
        let was_up = health.is_up(rule);
        if state.registered[target as usize] {
            health.on_check(rule, passed);
        }
        let (is_up, wait) = (health.is_up(rule), health.inter(rule));
        if generation == state.generation {
            self.haproxy_expects(balancer, target, now + wait);
            self.after(wait, Rank::Probe, Event::Check { balancer, target, generation });
        }
        self.haproxy_changed(now, balancer, target, was_up, is_up);
    }

    fn haproxy_changed(&mut self, now: SimTime, balancer: u32, target: u32, was_up: bool, is_up: bool) {
        if was_up == is_up {
            return;
        }
        let group = self.model.balancers[balancer as usize].group;
        let instance = self.model.groups[group as usize].first + target;
        self.note(
            now,
            match is_up {
                true => Change::TargetHealthy { balancer, instance },
                false => Change::TargetUnhealthy { balancer, instance },
            },
        );
        self.believe(now, balancer, target);
        self.haproxy_turned(now, balancer, target);
    }

    /// A server was added: its checks begin.
    pub(super) fn haproxy_registered(&mut self, now: SimTime, balancer: u32, target: u32) {
        let check = self.haproxy(balancer).and_then(|h| h.check);
        if let (Some(config), Some(mind)) = (check, self.haproxy_mind(balancer)) {
            mind.checks[target as usize] = Health::new(&config);
        }
        if now > SimTime::ZERO {
            self.check_at_once(now, balancer, target);
        }
    }

    /// Settings changed.
    pub(super) fn reconfigure_haproxy(&mut self, balancer: u32, is_new: bool) {
        let check = |epoch: usize| match &self.model.epochs[epoch].balancers[balancer as usize].product {
            Product::Haproxy(haproxy) => haproxy.check,
            _ => None,
        };
        let (before, after) = (check(self.previous_epoch()), check(self.epoch));
        let Some(mind) = self.haproxy_mind(balancer) else { return };
        if is_new || before == after {
            return;
        }
        for health in &mut mind.checks {
            match (&before, &after) {
                (Some(before), Some(after)) => health.reconfigure(before, after),
                (None, Some(after)) => *health = Health::new(after),
                (_, None) => {}
            }
        }
    }

    // ---- who waits ----

    /// Whether a server may have one more request; `asking` is 1 if that is counted nowhere yet.
    fn haproxy_has_room(&self, balancer: u32, haproxy: &Haproxy, target: u32, asking: u32) -> bool {
        let state = &self.balancers[balancer as usize];
        let Mind::Haproxy(mind) = &state.mind else { return true };
        let in_backend = match haproxy.minconn {
            0 => 0,
            _ => {
                let targets = 0..state.registered.len() as u32;
                targets.map(|t| state.policy.outstanding(t)).sum::<u32>() + mind.queues.waiting() + asking
            }
        };
        let most = limit(haproxy.maxconn, haproxy.minconn, haproxy.fullconn, in_backend);
        most == 0 || state.policy.outstanding(target) < most
    }

    /// Where a request goes: to a server, or it waits or is refused (`None`).
    pub(super) fn haproxy_routes(
        &mut self,
        now: SimTime,
        id: FrameId,
        haproxy: &Haproxy,
        call: &Call,
    ) -> Option<u32> {
        let Some(Frame { kind: Kind::Balanced(request), .. }) = self.frames.get(id) else { return None };
        let Balanced { balancer, place, target, .. } = *request;
        let http = self.model.catalog.balancers[balancer as usize].http_503;
        let state = &self.balancers[balancer as usize];
        // Who tries again has a server, even one that is down by now.
        if place == Place::TurnAround && state.registered[target as usize] {
            if self.haproxy_has_room(balancer, haproxy, target, 1) {
                return Some(target);
            }
            self.queue_up(balancer, haproxy, id, Some(target), now);
            return None;
        }
        let targets = state.registered.len() as u32;
        if (0..targets).all(|t| !self.is_believed(balancer, t)) {
            self.answer_balanced(now, id, Outcome::Unavailable, http);
            return None;
        }
        let is_hash = self.settings().balancers[balancer as usize].policy.is_hash();
        for t in 0..targets {
            let believed = self.is_believed(balancer, t);
            let has_room = is_hash || self.haproxy_has_room(balancer, haproxy, t, 1);
            let state = &mut self.balancers[balancer as usize];
            let Mind::Haproxy(mind) = &state.mind else { return None };
            let is_free = is_hash || mind.queues.waiting_for(t) == 0;
            state.policy.set_eligible(t, believed && has_room && is_free);
        }
        let Some(target) = self.choose(now, balancer, call, id) else {
            self.queue_up(balancer, haproxy, id, None, now);
            return None;
        };
        let state = &mut self.balancers[balancer as usize];
        let Mind::Haproxy(mind) = &state.mind else { return None };
        let in_line = mind.queues.waiting_for(target);
        if !is_hash || (in_line == 0 && self.haproxy_has_room(balancer, haproxy, target, 1)) {
            return Some(target);
        }
        if haproxy.maxqueue > 0 && in_line >= haproxy.maxqueue {
            self.answer_balanced(now, id, Outcome::Rejected, http);
        } else {
            self.queue_up(balancer, haproxy, id, Some(target), now);
        }
        None
    }

    fn queue_up(&mut self, balancer: u32, haproxy: &Haproxy, id: FrameId, target: Option<u32>, now: SimTime) {
        if let Some(Frame { kind: Kind::Balanced(request), .. }) = self.frames.get_mut(id) {
            request.place = Place::Queued;
        }
        if let Some(mind) = self.haproxy_mind(balancer) {
            mind.queues.push(target, id);
        }
        self.observer.moved(now, self.model.catalog.balancers[balancer as usize].queue, 1);
        self.after(haproxy.timeout_queue, Rank::Timer, Event::Timer(id));
    }

    /// A request in line gives up, or is called off.
    pub(super) fn out_of_line(&mut self, now: SimTime, balancer: u32, id: FrameId) {
        if self.haproxy_mind(balancer).is_some_and(|mind| mind.queues.remove(id)) {
            self.observer.moved(now, self.model.catalog.balancers[balancer as usize].queue, -1);
        }
    }

    /// A request has waited too long for a server.
    pub(super) fn waited_too_long(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Balanced(request), .. }) = self.frames.get(id) else { return };
        let balancer = request.balancer;
        self.out_of_line(now, balancer, id);
        let http = self.model.catalog.balancers[balancer as usize].http_503;
        self.answer_balanced(now, id, Outcome::Rejected, http);
    }

    /// A request that was taken out of a line asks anew.
    pub(super) fn leaves_line(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Balanced(request), .. }) = self.frames.get(id) else { return };
        self.observer.moved(now, self.model.catalog.balancers[request.balancer as usize].queue, -1);
        let id = self.reframe(id, Place::Sent);
        self.tasks.push_back(Task::Down(id));
    }

    /// A server may have room: who has waited longest goes there.
    pub(super) fn haproxy_serves(&mut self, now: SimTime, balancer: u32, target: u32) {
        let Product::Haproxy(haproxy) = &self.model.epochs[self.epoch].balancers[balancer as usize].product
        else {
            return;
        };
        let meters = self.model.catalog.balancers[balancer as usize];
        while self.is_believed(balancer, target) && self.haproxy_has_room(balancer, haproxy, target, 0) {
            let Some(id) = self.haproxy_mind(balancer).and_then(|mind| mind.queues.pop(target)) else {
                return;
            };
            self.observer.moved(now, meters.queue, -1);
            let id = self.reframe(id, Place::Assigned);
            if let Some(Frame { kind: Kind::Balanced(request), .. }) = self.frames.get_mut(id) {
                request.target = target;
            }
            self.balancers[balancer as usize].on_start(target);
            self.observer.moved(now, meters.in_flight, 1);
            self.tasks.push_back(Task::Down(id));
        }
    }

    /// A server may be up or down now, or have another limit: it takes who waits, or those in its own line look for
    /// another.
    pub(super) fn haproxy_turned(&mut self, now: SimTime, balancer: u32, target: u32) {
        if self.is_believed(balancer, target) {
            return self.haproxy_serves(now, balancer, target);
        }
        while let Some(id) = self.haproxy_mind(balancer).and_then(|mind| mind.queues.pop_own(target)) {
            self.leaves_line(now, id);
        }
    }

    // ---- what tries tell ----

    /// HAProxy learns how a try ended, and says whether it tries again.
    pub(super) fn haproxy_learns(
        &mut self,
        now: SimTime,
        request: &Balanced,
        haproxy: &Haproxy,
        outcome: Outcome,
        cause: Cause,
    ) -> After {
        let Balanced { balancer, target, tries, .. } = *request;
        if outcome != Outcome::Cancelled {
            let failed = match haproxy.observe {
                Some(Observe::Layer4) => cause == Cause::Refused,
                Some(Observe::Layer7) | None => !outcome.is_success(),
            };
            self.haproxy_observes(now, balancer, target, haproxy, failed);
        }
        if cause != Cause::Refused || u32::from(tries) > haproxy.retries {
            return After::Ends;
        }
        let takes_turns = !matches!(
            self.settings().balancers[balancer as usize].policy,
            PolicyConfig::RingHash { .. } | PolicyConfig::LeastOutstanding
        );
        let up = |t: &u32| self.is_believed(balancer, *t);
        let ups = (0..self.balancers[balancer as usize].registered.len() as u32).filter(up).count();
        let is_last = u32::from(tries) == haproxy.retries;
        if haproxy.redispatch && (!up(&target) || is_last || (takes_turns && ups > 1)) {
            return After::TriesAnother;
        }
        After::TriesTheSame(haproxy.turn_around)
    }

    /// A request tells of its server's health, if HAProxy looks.
    fn haproxy_observes(
        &mut self,
        now: SimTime,
        balancer: u32,
        target: u32,
        haproxy: &Haproxy,
        failed: bool,
    ) {
        let (Some(_), Some(check)) = (haproxy.observe, haproxy.check) else { return };
        let state = &mut self.balancers[balancer as usize];
        if !state.registered[target as usize] {
            return;
        }
        let generation = state.generation;
        let Mind::Haproxy(mind) = &mut state.mind else { return };
        let health = &mut mind.checks[target as usize];
        let was_up = health.is_up(&check);
        let soon = health.on_traffic(&check, failed, haproxy.error_limit, haproxy.on_error);
        let is_up = health.is_up(&check);
        let (due, sooner) = (mind.due[target as usize], now + check.fastinter);
        if soon && due != SimTime::NEVER && sooner < due {
            mind.due[target as usize] = sooner;
            self.after(check.fastinter, Rank::Probe, Event::Check { balancer, target, generation });
        }
        self.haproxy_changed(now, balancer, target, was_up, is_up);
    }
}
