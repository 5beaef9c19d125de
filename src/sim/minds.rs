//! What balancers believe in a way of their product's own, and when they come to believe it.

use super::World;
use super::event::Event;
use super::haproxy::HaproxyMind;
use super::nginx::NginxMind;
use crate::base::{Outcome, Rng, SimTime};
use crate::components::envoy::{CheckConfig, CheckResult, HostCheck, MergeWindow, Transition, Update};
use crate::components::outlier::{Cause, Outlier, Verdict};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::Balancer;
use crate::model::balancers::{Envoy, Product};

/// What a balancer believes in a way of its product's own.
#[derive(Debug)]
pub(super) enum Mind {
    /// Nothing but its checks.
    Alb,
    /// An Envoy's.
    Envoy(Box<EnvoyMind>),
    /// nginx's.
    Nginx(Box<NginxMind>),
    /// HAProxy's.
    Haproxy(Box<HaproxyMind>),
}

/// What an Envoy believes.
#[derive(Debug)]
pub(super) struct EnvoyMind {
    outlier: Outlier,
    checks: Vec<HostCheck>,
    merge: MergeWindow,
    /// Which hosts the balancer takes to be healthy: what it has heard of last.
    applied: Vec<bool>,
    rng: Rng,
    /// The generation of the schedule of sweeps.
    sweeps: u32,
    had_traffic: bool,
}

impl EnvoyMind {
    /// Whether the balancer takes a host to be healthy.
    pub fn is_applied(&self, target: u32) -> bool {
        self.applied[target as usize]
    }
}

impl Mind {
    pub fn new(settings: &Balancer, capacity: usize, mut rng: Rng) -> Self {
        match &settings.product {
            Product::Alb(_) => Self::Alb,
            Product::Haproxy(haproxy) => Self::Haproxy(Box::new(HaproxyMind::new(haproxy, capacity))),
            Product::Nginx(_) => Self::Nginx(Box::new(NginxMind::new(settings, capacity, rng.uniform()))),
            Product::Envoy(_) => Self::Envoy(Box::new(EnvoyMind {
                outlier: Outlier::new(capacity),
                checks: vec![HostCheck::known(true); capacity],
                merge: MergeWindow::default(),
                applied: vec![false; capacity],
                rng,
                sweeps: 0,
                had_traffic: false,
            })),
        }
    }

    /// A target is about to join, or was there from the start.
    pub fn joins(&mut self, target: u32, from_start: bool) {
        if let Self::Envoy(envoy) = self
            && !from_start
        {
            envoy.checks[target as usize] = HostCheck::added();
        }
    }

    fn is_of(&self, product: &Product) -> bool {
        match self {
            Self::Alb => matches!(product, Product::Alb(_)),
            Self::Envoy(_) => matches!(product, Product::Envoy(_)),
            Self::Nginx(_) => matches!(product, Product::Nginx(_)),
            Self::Haproxy(_) => matches!(product, Product::Haproxy(_)),
        }
    }
}

impl<O: Observer> World<'_, O> {
    fn envoy(&self, balancer: u32) -> Option<&Envoy> {
        match &self.model.epochs[self.epoch].balancers[balancer as usize].product {
            Product::Envoy(envoy) => Some(envoy),
            _ => None,
        }
    }

    /// Schedules the first sweep of every Envoy.
    pub(super) fn start_sweeps(&mut self) {
        (0..self.balancers.len() as u32).for_each(|b| self.schedule_sweep(b));
    }

    fn schedule_sweep(&mut self, balancer: u32) {
        let Some(config) = self.envoy(balancer).and_then(|e| e.outlier) else { return };
        let Mind::Envoy(mind) = &self.balancers[balancer as usize].mind else { return };
        let generation = mind.sweeps;
        self.after(config.interval, Rank::Probe, Event::OutlierSweep { balancer, generation });
    }

    /// An Envoy's sweep is due.
    pub(super) fn on_outlier_sweep(&mut self, now: SimTime, balancer: u32, generation: u32) {
        let Some(config) = self.envoy(balancer).and_then(|e| e.outlier) else { return };
        let Mind::Envoy(mind) = &mut self.balancers[balancer as usize].mind else { return };
        if mind.sweeps != generation {
            return;
        }
        let mut told = Vec::new();
        let EnvoyMind { outlier, rng, .. } = &mut **mind;
        outlier.sweep(&config, now, rng, |host, verdict| told.push((host, verdict)));
        for (host, verdict) in told {
            self.judged(now, balancer, host, verdict);
        }
        self.schedule_sweep(balancer);
    }

    /// A try at an Envoy's host ended with this status.
    pub(super) fn envoy_heard(&mut self, now: SimTime, balancer: u32, target: u32, code: u16) {
        let Some(config) = self.envoy(balancer).and_then(|e| e.outlier) else { return };
        let Mind::Envoy(mind) = &mut self.balancers[balancer as usize].mind else { return };
        let EnvoyMind { outlier, rng, .. } = &mut **mind;
        if let Some(verdict) = outlier.on_code(&config, now, target, code, rng) {
            self.judged(now, balancer, target, verdict);
        }
    }

    /// An Envoy's balancer has sent a request.
    pub(super) fn envoy_sends(&mut self, balancer: u32) {
        if let Mind::Envoy(mind) = &mut self.balancers[balancer as usize].mind {
            mind.had_traffic = true;
        }
    }

    fn judged(&mut self, now: SimTime, balancer: u32, host: u32, verdict: Verdict) {
        let meters = self.model.catalog.balancers[balancer as usize];
        let group = self.model.balancers[balancer as usize].group;
        let instance = self.model.groups[group as usize].first + host;
        match verdict {
            Verdict::Ejected => {
                self.observer.count(meters.ejections);
                self.observer.moved(now, meters.ejected, 1);
                self.note(now, Change::TargetUnhealthy { balancer, instance });
                self.health_changed(now, balancer);
            }
            Verdict::Unejected => {
                self.observer.moved(now, meters.ejected, -1);
                self.note(now, Change::TargetHealthy { balancer, instance });
                self.health_changed(now, balancer);
            }
            Verdict::Overflow => self.observer.count(meters.ejections_overflow),
            Verdict::NotEnforced => {}
        }
    }

    /// The health of some host of an Envoy changed: its balancer hears of it now or later.
    fn health_changed(&mut self, now: SimTime, balancer: u32) {
        let Some(window) = self.envoy(balancer).map(|e| e.update_merge_window) else { return };
        let Mind::Envoy(mind) = &mut self.balancers[balancer as usize].mind else { return };
        match mind.merge.on_change(now, window) {
            Update::Now => self.apply_health(now, balancer),
            Update::At(then) => {
                self.queue.schedule(then, Rank::Probe, Event::MergedUpdate { balancer });
            }
            Update::Pending => {}
        }
    }

    /// An Envoy's balancer may hear of changes of health.
    pub(super) fn on_merged_update(&mut self, now: SimTime, balancer: u32) {
        let Mind::Envoy(mind) = &mut self.balancers[balancer as usize].mind else { return };
        if mind.merge.on_time(now) {
            self.apply_health(now, balancer);
        }
    }

    /// An Envoy's balancer hears how its hosts are.
    fn apply_health(&mut self, now: SimTime, balancer: u32) {
        let has_checks = self.settings().balancers[balancer as usize].check.is_some();
        for target in 0..self.balancers[balancer as usize].registered.len() as u32 {
            let Mind::Envoy(mind) = &mut self.balancers[balancer as usize].mind else { return };
            let passes = !has_checks || mind.checks[target as usize].is_healthy();
            mind.applied[target as usize] = passes && !mind.outlier.is_ejected(target);
        }
        self.believe_all(now, balancer);
    }

    /// A target was registered or taken out.
    pub(super) fn registered_in_mind(&mut self, now: SimTime, balancer: u32, target: u32, registered: bool) {
        let meters = self.model.catalog.balancers[balancer as usize];
        let mind = match &mut self.balancers[balancer as usize].mind {
            Mind::Alb => return,
            Mind::Nginx(mind) => return mind.set_member(target, registered),
            Mind::Haproxy(_) => return self.haproxy_registered(now, balancer, target),
            Mind::Envoy(mind) => mind,
        };
        if mind.outlier.is_ejected(target) {
            self.observer.moved(now, meters.ejected, -1);
        }
        mind.outlier.set_member(target, registered);
        if now == SimTime::ZERO {
            // What there is from the start was there before.
            mind.applied[target as usize] = registered;
            return;
        }
        mind.merge.on_members(now);
        self.apply_health(now, balancer);
        self.check_at_once(now, balancer, target);
    }

    /// An Envoy's check has its answer, or none.
    pub(super) fn envoy_checked(
        &mut self,
        now: SimTime,
        balancer: u32,
        target: u32,
        generation: u32,
        rule: &CheckConfig,
        (outcome, cause): (Outcome, Cause),
    ) {
        let outlier = self.envoy(balancer).and_then(|e| e.outlier);
        let state = &mut self.balancers[balancer as usize];
        let Mind::Envoy(mind) = &mut state.mind else { return };
        let passed = outcome.is_success();
        let result = match (passed, cause) {
            (true, _) => CheckResult::Passed,
            (false, Cause::Answered) => CheckResult::WrongStatus,
            (false, _) => CheckResult::NoAnswer,
        };
        let is_member = state.registered[target as usize];
        let mut did = Transition::Unchanged;
        let mut is_back = false;
        if is_member {
            let check = &mut mind.checks[target as usize];
            did = check.on_result(rule, result);
            if passed && check.is_healthy() {
                is_back = outlier.is_some_and(|config| mind.outlier.on_check_passed(&config, now, target));
            }
        }
        let wait = rule.wait(passed, did, mind.had_traffic, mind.rng.uniform());
        if generation == state.generation {
            // Lanes are for delays that recur.
            let event = Event::Check { balancer, target, generation };
            match rule.interval_jitter.is_zero() {
                true => self.after(wait, Rank::Probe, event),
                false => self.queue.schedule(now + wait, Rank::Probe, event),
            }
        }
        if is_back {
            self.judged(now, balancer, target, Verdict::Unejected);
        }
        if did == Transition::Changed {
            let group = self.model.balancers[balancer as usize].group;
            let instance = self.model.groups[group as usize].first + target;
            let change = match passed {
                true => Change::TargetHealthy { balancer, instance },
                false => Change::TargetUnhealthy { balancer, instance },
            };
            self.note(now, change);
            self.health_changed(now, balancer);
        }
    }

    /// Settings changed: another product begins with a mind of its own, and without outlier detection all are let back.
    pub(super) fn reconfigure_mind(&mut self, now: SimTime, balancer: u32) {
        let model = self.model;
        let settings = &model.epochs[self.epoch].balancers[balancer as usize];
        let product = &settings.product;
        let before = &model.epochs[self.previous_epoch()].balancers[balancer as usize].product;
        let meters = model.catalog.balancers[balancer as usize];
        let state = &mut self.balancers[balancer as usize];
        let ejected = match &state.mind {
            Mind::Envoy(mind) => mind.outlier.ejected(),
            Mind::Alb | Mind::Nginx(_) | Mind::Haproxy(_) => 0,
        };
        let is_other = !state.mind.is_of(product);
        let mut waiting = Vec::new();
        if is_other {
            if let Mind::Haproxy(mind) = &mut state.mind {
                waiting = mind.leave_lines();
            }
            let path =
                format!("balancers.{}#{}", model.balancers[balancer as usize].name, self.past.changes());
            let rng = self.streams.stream(&path, "product");
            state.mind = Mind::new(settings, state.registered.len(), rng);
        }
        // Who waited asks anew.
        waiting.into_iter().for_each(|id| self.leaves_line(now, id));
        let state = &mut self.balancers[balancer as usize];
        let Product::Envoy(envoy) = product else {
            self.observer.moved(now, meters.ejected, -i64::from(ejected));
            self.reconfigure_haproxy(balancer, is_other);
            return self.reconfigure_nginx(now, balancer, is_other);
        };
        let Mind::Envoy(mind) = &mut state.mind else { return };
        if is_other {
            for target in 0..state.registered.len() {
                mind.outlier.set_member(target as u32, state.registered[target]);
            }
        }
        if envoy.outlier.is_none() {
            mind.outlier.clear();
        }
        let now_ejected = mind.outlier.ejected();
        let interval = |product: &Product| match product {
            Product::Envoy(envoy) => envoy.outlier.map(|o| o.interval),
            _ => None,
        };
        let is_new = is_other || interval(before) != interval(product);
        if is_new {
            mind.sweeps += 1;
        }
        self.observer.moved(now, meters.ejected, i64::from(now_ejected) - i64::from(ejected));
        if is_new {
            self.schedule_sweep(balancer);
        }
        // A change of settings builds the cluster anew: its balancer hears of everything.
        let has_checks = model.epochs[self.epoch].balancers[balancer as usize].check.is_some();
        let had_checks = model.epochs[self.previous_epoch()].balancers[balancer as usize].check.is_some();
        let Mind::Envoy(mind) = &mut self.balancers[balancer as usize].mind else { return };
        if has_checks && !had_checks {
            mind.checks.fill(HostCheck::known(true));
        }
        for target in 0..mind.applied.len() {
            let passes = !has_checks || mind.checks[target].is_healthy();
            mind.applied[target] = passes && !mind.outlier.is_ejected(target as u32);
        }
    }
}
