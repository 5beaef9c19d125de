//! The timeline: faults that begin and end, and what operators do.

use super::instances::Condition;
use super::ongoing::eased;
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
            What::SwitchSite { site, region } => self.switch_site(now, *site, *region),
            What::FailOver(group) => self.fail_over(now, *group),
            What::DrainZone { zone, is_drained } => self.drain_zone(now, *zone, *is_drained),
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
        self.ongoing_begins(now, fault);
        let f = &script.faults[fault as usize];
        match &f.effect {
            Effect::Spike { client, .. } | Effect::Tenant { client, .. } => self.respike(now, *client),
            Effect::Broker { queue } => self.broker_fails(now, *queue, true),
            Effect::Net(_) => self.begin_net(now, fault),
            Effect::Reclaim(reclaim) => self.reclaim(now, *reclaim, &f.name),
            Effect::Settings { begin, .. } => self.change_settings(now, *begin),
            Effect::Strike { .. } | Effect::Strikes { .. } => self.strike_all(now, fault),
            Effect::Reconnect { client, within } => self.reconnect(now, fault, *client, *within),
            Effect::Disconnect { group } => self.disconnect(now, *group),
            Effect::Caches { caches, away } => self.empty_caches(now, caches, *away),
            Effect::Poison { queue, count } => self.poison(*queue, *count),
            Effect::Lag { .. }
            | Effect::Burst { .. }
            | Effect::LoseConnections { .. }
            | Effect::Recycle { .. } => {}
        }
    }

    /// A fault strikes instances and queues.
    fn strike_all(&mut self, now: SimTime, fault: u32) {
        let script = self.script;
        let f = &script.faults[fault as usize];
        let Some(blow) = f.effect.blow() else { return };
        for (group, which) in f.effect.strikes() {
            for instance in self.chosen(group, which, &f.name) {
                match blow {
                    Blow::Crash => self.kill(now, instance, Change::Crashed { instance }),
                    Blow::NoCredits => self.use_up_credits(now, instance),
                    _ => {
                        self.instances[instance as usize].faults.push(fault);
                        self.turns_begin(now, fault, instance);
                        self.apply_faults(now, instance);
                    }
                }
            }
        }
        if let Effect::Strikes { queues, .. } = &f.effect {
            queues.iter().for_each(|queue| self.strike_queue(now, *queue, blow, true));
        }
    }

    pub(super) fn end_fault(&mut self, now: SimTime, fault: u32) {
        let script = self.script;
        self.lasting.retain(|f| *f != fault);
        self.ongoing_ends(fault);
        self.server_is_back(now, fault);
        let effect = &script.faults[fault as usize].effect;
        match effect {
            Effect::Spike { client, .. } | Effect::Tenant { client, .. } => self.respike(now, *client),
            Effect::Broker { queue } => self.broker_fails(now, *queue, false),
            Effect::Net(_) => self.end_net(now, fault),
            // What has its notice goes by itself.
            Effect::Reclaim(_) => {}
            Effect::Settings { end, .. } => self.change_settings(now, *end),
            Effect::Caches { caches, away: true } => self.caches_return(caches),
            Effect::Strikes { queues, blow, .. } => {
                queues.iter().for_each(|queue| self.strike_queue(now, *queue, blow, false));
            }
            _ => {}
        }
        for (group, _) in effect.strikes() {
            let shape = &self.model.groups[group as usize];
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

    /// Strikes an instance that is new with the faults that strike all of its group, or all in its zone.
    pub(super) fn strike_newcomer(&mut self, now: SimTime, instance: u32) {
        let script = self.script;
        let ours = self.instances[instance as usize].group;
        let zone = self.zone_of(instance);
        let strikes_it = |fault: &u32| {
            let effect = &script.faults[*fault as usize].effect;
            let lasts = !matches!(effect.blow(), None | Some(Blow::Crash | Blow::NoCredits));
            lasts
                && effect.strikes().any(|(group, which)| match which {
                    Which::All => group == ours,
                    Which::Zone(z) => group == ours && Some(z) == zone,
                    _ => false,
                })
        };
        let faults: Vec<u32> = self.lasting.iter().copied().filter(strikes_it).collect();
        faults.iter().for_each(|fault| self.turns_begin(now, *fault, instance));
        self.instances[instance as usize].faults = faults;
        self.fail_newcomer(now, instance);
        self.apply_faults(now, instance);
    }

    /// Puts an instance into the state that the faults which strike it make.
    pub(super) fn apply_faults(&mut self, now: SimTime, instance: u32) {
        let script = self.script;
        let ongoing = &self.ongoing;
        let state = &mut self.instances[instance as usize];
        let (mut slow, mut healthy_share, mut latency, mut hung, mut down) = (1.0, 1.0, None, false, false);
        let (mut speed, mut disk) = (1.0, 1.0);
        for fault in &state.faults {
            let Some(blow) = script.faults[*fault as usize].effect.blow() else { continue };
            let strength = ongoing[*fault as usize].strength;
            match blow {
                Blow::Slow(factor) => slow *= eased(1.0, *factor, strength),
                Blow::Latency(_) => latency = Some(*fault),
                Blow::Errors(ratio) => healthy_share *= 1.0 - ratio * strength,
                Blow::Hang => hung = true,
                Blow::Down => down = true,
                Blow::Steal(share) => speed *= 1.0 - share * strength,
                Blow::Disk(factor) => disk *= eased(1.0, *factor, strength),
                Blow::Crash | Blow::NoCredits | Blow::Leak(_) | Blow::Pauses { .. } => {}
            }
        }
        state.slow = slow;
        state.errors = 1.0 - healthy_share;
        state.latency = latency;
        self.ask_anew(instance);
        self.set_volume_factor(instance, disk);
        self.runtimes[instance as usize].speed = speed;
        let was_hung = std::mem::replace(&mut self.runtimes[instance as usize].is_hung, hung);
        self.stand(now, instance);
        self.watch_steal(now, instance, self.instances[instance as usize].answers());
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
    pub(super) fn restart(&mut self, now: SimTime, instance: u32) {
        self.leave_balancers(now, instance);
        self.forget_back_off(instance);
        self.kill(now, instance, Change::Restarted { instance });
        self.pod_begins(now, instance);
    }

    /// The instances of a group that are meant.
    pub(super) fn chosen(&self, group: u32, which: Which, name: &str) -> Vec<u32> {
        let shape = &self.model.groups[group as usize];
        let exists = |i: &u32| !matches!(self.instances[*i as usize].condition, Condition::Off);
        let mut all: Vec<u32> = (shape.first..shape.first + shape.capacity).filter(exists).collect();
        let count = match which {
            Which::All => return all,
            Which::Zone(zone) => {
                all.retain(|i| shape.zone_of(i - shape.first) == Some(zone));
                return all;
            }
            Which::Unhealthy => {
                all.retain(|i| self.is_doubted(group, i - shape.first));
                return all;
            }
            Which::Number(n) => (n as usize).min(all.len()),
            Which::Share(share) => ((all.len() as f64 * share).ceil() as usize).min(all.len()),
        };
        self.some_of(all, count, name, "instances")
    }

    /// So many of them, at random by a stream of their own, in order: the first of a shuffle (Fisher and Yates).
    pub(super) fn some_of(&self, mut all: Vec<u32>, count: usize, name: &str, purpose: &str) -> Vec<u32> {
        let mut rng = self.streams.stream(name, purpose);
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
