//! The timeline: faults that begin and end, and what operators do.

use super::instances::Condition;
use super::script::{Blow, Effect, What, Which};
use super::{Task, World};
use crate::base::{Outcome, SimTime};
use crate::components::breaker::BreakerState;
use crate::components::breaker::family::{AnyBreaker, AnyBreakerConfig};
use crate::components::bulkhead::family::{AnyBulkhead, AnyBulkheadConfig};
use crate::engine::Rank;
use crate::metrics::observer::RollbackCause;
use crate::metrics::{Change, Observer};

use super::event::Event;

impl<O: Observer> World<'_, O> {
    /// Something on the timeline happens.
    pub(super) fn on_script(&mut self, now: SimTime, index: u32) {
        let script = self.script;
        self.perform(now, &script.actions[index as usize].what);
    }

    /// A fault begins or ends, or an operator acts.
    pub(super) fn perform(&mut self, now: SimTime, what: &What) {
        match what {
            What::Begin(fault) => {
                self.note(now, Change::FaultBegan { fault: *fault });
                self.begin_fault(now, *fault);
            }
            What::End(fault) => {
                self.note(now, Change::FaultEnded { fault: *fault });
                self.end_fault(now, *fault);
            }
            What::Settings(change) => self.change_settings(now, *change),
            What::FailOver(group) => self.fail_over(now, *group),
            What::KillQueries { group, longer_than } => self.kill_queries(now, *group, *longer_than),
            What::Deploy(deployment) => self.deploy(now, *deployment),
            What::RollBack(group) => self.roll_back(now, *group, RollbackCause::Operator),
            What::GiveUp { deployment, within } => self.give_up_deployment(now, *deployment, *within),
            What::Restart { group, which, name } => {
                for instance in self.chosen(*group, *which, name) {
                    self.restart(now, instance);
                }
            }
        }
    }

    pub(super) fn begin_fault(&mut self, now: SimTime, fault: u32) {
        let script = self.script;
        self.lasting.push(fault);
        let f = &script.faults[fault as usize];
        match &f.effect {
            Effect::Spike { client, factor } => {
                self.sources[*client as usize].spike *= factor;
                self.rescheduled(now, *client);
            }
            Effect::Broker { queue } => self.broker_fails(now, *queue, true),
            Effect::Settings { begin, .. } => self.change_settings(now, *begin),
            Effect::Strike { group, which, blow } => {
                for instance in self.chosen(*group, *which, &f.name) {
                    match blow {
                        Blow::Crash => self.kill(now, instance, Change::Crashed { instance }),
                        _ => {
                            self.instances[instance as usize].faults.push(fault);
                            self.apply_faults(now, instance);
                        }
                    }
                }
            }
        }
    }

    pub(super) fn end_fault(&mut self, now: SimTime, fault: u32) {
        let script = self.script;
        self.lasting.retain(|f| *f != fault);
        self.server_is_back(now, fault);
        match &script.faults[fault as usize].effect {
            Effect::Spike { client, .. } => {
                // The product of what still strikes, rather than a division that leaves a rest.
                let source = *client;
                let spike =
                    self.lasting.iter().fold(1.0, |product, f| match script.faults[*f as usize].effect {
                        Effect::Spike { client, factor } if client == source => product * factor,
                        _ => product,
                    });
                self.sources[source as usize].spike = spike;
                self.rescheduled(now, source);
            }
            Effect::Broker { queue } => self.broker_fails(now, *queue, false),
            Effect::Settings { end, .. } => self.change_settings(now, *end),
            Effect::Strike { group, .. } => {
                let shape = &self.model.groups[*group as usize];
                for instance in shape.first..shape.first + shape.capacity {
                    let faults = &mut self.instances[instance as usize].faults;
                    let before = faults.len();
                    faults.retain(|f| *f != fault);
                    if faults.len() < before {
                        self.apply_faults(now, instance);
                    }
                }
            }
        }
    }

    /// Strikes an instance that is new with the faults that strike all of its group.
    pub(super) fn strike_newcomer(&mut self, now: SimTime, instance: u32) {
        let script = self.script;
        let ours = self.instances[instance as usize].group;
        let strikes_all = |fault: &u32| match &script.faults[*fault as usize].effect {
            Effect::Strike { group, which: Which::All, blow } => {
                *group == ours && !matches!(blow, Blow::Crash)
            }
            _ => false,
        };
        self.instances[instance as usize].faults = self.lasting.iter().copied().filter(strikes_all).collect();
        self.fail_newcomer(now, instance);
        self.apply_faults(now, instance);
    }

    /// Puts an instance into the state that the faults which strike it make.
    pub(super) fn apply_faults(&mut self, now: SimTime, instance: u32) {
        let script = self.script;
        let state = &mut self.instances[instance as usize];
        let (mut slow, mut healthy_share, mut latency, mut hung, mut down) = (1.0, 1.0, None, false, false);
        for fault in &state.faults {
            let Effect::Strike { blow, .. } = &script.faults[*fault as usize].effect else { continue };
            match blow {
                Blow::Slow(factor) => slow *= factor,
                Blow::Latency(_) => latency = Some(*fault),
                Blow::Errors(ratio) => healthy_share *= 1.0 - ratio,
                Blow::Hang => hung = true,
                Blow::Down => down = true,
                Blow::Crash => {}
            }
        }
        state.slow = slow;
        state.errors = 1.0 - healthy_share;
        state.latency = latency;
        let was_hung = std::mem::replace(&mut self.runtimes[instance as usize].is_hung, hung);
        self.stand(now, instance);
        if was_hung != hung && !self.queues.is_empty() {
            self.consumers_hang(now, instance, hung);
        }
        if was_hung && !hung {
            self.go_on_applying(now, instance);
            self.primary_back(now, instance);
        }
        if hung && !was_hung && self.instances[instance as usize].answers() {
            self.primary_lost(now, instance, None);
        }
        match (down, self.instances[instance as usize].condition) {
            (true, Condition::Draining) if !self.instances[instance as usize].pod.returns => {
                self.die(now, instance, Change::Crashed { instance });
                self.switch_off(now, instance);
            }
            (true, Condition::Up | Condition::Starting | Condition::Draining) => {
                self.die(now, instance, Change::Crashed { instance });
                self.instances[instance as usize].condition = Condition::Down;
                self.discover(instance);
                self.primary_lost(now, instance, None);
            }
            (false, Condition::Down) if self.is_promoted(instance) => {}
            (false, Condition::Down) => {
                let state = &mut self.instances[instance as usize];
                state.condition = Condition::Starting;
                let life = state.life;
                self.process_begins(now, instance);
                if self.is_pending(instance) {
                    return;
                }
                let settings = self.group_of(instance);
                let path = format!("{}#{life}", self.model.instance_name(instance));
                let delay = settings.start_up.sample_duration(&mut self.streams.stream(&path, "start"));
                self.queue.schedule(now + delay, Rank::Control, Event::InstanceUp { instance, life });
            }
            _ => {}
        }
    }

    /// An operator restarts an instance: a new task takes its place, which its balancers have yet to check.
    fn restart(&mut self, now: SimTime, instance: u32) {
        self.leave_balancers(now, instance);
        self.forget_back_off(instance);
        self.kill(now, instance, Change::Restarted { instance });
        self.pod_begins(now, instance);
    }

    /// The instances of a group that are meant.
    fn chosen(&self, group: u32, which: Which, name: &str) -> Vec<u32> {
        let shape = &self.model.groups[group as usize];
        let exists = |i: &u32| !matches!(self.instances[*i as usize].condition, Condition::Off);
        let mut all: Vec<u32> = (shape.first..shape.first + shape.capacity).filter(exists).collect();
        let count = match which {
            Which::All => return all,
            Which::Unhealthy => {
                all.retain(|i| self.is_doubted(group, i - shape.first));
                return all;
            }
            Which::Number(n) => (n as usize).min(all.len()),
            Which::Share(share) => ((all.len() as f64 * share).ceil() as usize).min(all.len()),
        };
        // The first so many of a shuffle (Fisher and Yates) by a stream of the fault's own.
        let mut rng = self.streams.stream(name, "instances");
        for at in 0..count {
            let other = at + rng.below((all.len() - at) as u64) as usize;
            all.swap(at, other);
        }
        all.truncate(count);
        all.sort_unstable();
        all
    }

    pub(super) fn reset_breaker(&mut self, now: SimTime, index: usize, config: AnyBreakerConfig) {
        if self.breakers[index].state() != BreakerState::Closed {
            let meters = self.breaker_meters[index] as usize;
            self.observer.moved(now, self.model.catalog.layers[meters].gauge, -1);
        }
        self.breakers[index] = AnyBreaker::new(config, now);
    }

    pub(super) fn reset_bulkhead(&mut self, now: SimTime, index: usize, config: AnyBulkheadConfig) {
        let meters = self.model.catalog.layers[self.bulkhead_meters[index] as usize];
        let mut old = std::mem::replace(&mut self.bulkheads[index], AnyBulkhead::new(config));
        self.observer.moved(now, meters.gauge, -i64::from(old.in_use()));
        self.observer.moved(now, meters.gauge + 1, -i64::from(old.waiting()));
        // Who waited without a parent in the process has no timer that would find it.
        while let Some(waiter) = old.evict() {
            if let Some(gone) = self.frames.remove(waiter) {
                self.tasks.push_back(Task::Up(gone.parent, Outcome::Error));
            }
        }
    }
}
