//! Replicas that follow a primary, and what happens when the primary is lost.

use super::event::Event;
use super::instances::Condition;
use super::layers::sample;
use super::script::{Blow, Effect};
use super::{FrameId, World};
use crate::base::{SimDuration, SimTime, mix, uniform_of};
use crate::components::replication::Replica;
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::{GroupShape, Model};

/// How long a decision to promote waits for a replica to be there.
const RETRY: SimDuration = SimDuration::from_secs(10);

/// What the world keeps of a replica.
#[derive(Debug, Default)]
pub(super) struct ReplicaState {
    replica: Replica,
    /// Raised whenever what is being applied is given up.
    generation: u32,
    /// Writes so far: each draws its own times.
    writes: u64,
}

/// What the world keeps of a database that may fail over.
#[derive(Debug, Default)]
pub(super) struct FailoverState {
    /// How often its server was lost, and when last.
    losses: u64,
    lost_at: SimTime,
    /// The last backup, the first write since then, and how many there are.
    backup: (u64, SimTime, u64),
    /// The faults that keep the old server away, and the replica that took its place.
    struck_by: Vec<u32>,
    promoted: Option<u32>,
}

/// The replicas, by instance; those that follow nobody stay empty, and where nobody follows there are none.
pub(super) fn replicas(model: &Model) -> Vec<ReplicaState> {
    let follows = model.groups.iter().any(|shape| shape.replicates.is_some());
    let count = if follows { model.instances } else { 0 };
    (0..count).map(|_| ReplicaState::default()).collect()
}

/// By group.
pub(super) fn failovers(model: &Model) -> Vec<FailoverState> {
    model.groups.iter().map(|_| FailoverState::default()).collect()
}

impl<O: Observer> World<'_, O> {
    // ---- following ----

    /// Whether an endpoint of a group writes.
    #[inline]
    pub(super) fn is_write(&self, group: u32, endpoint: u32) -> bool {
        let writes = &self.model.epochs[self.epoch].groups[group as usize].writes;
        let first = self.model.groups[group as usize].endpoints.start;
        writes.get((endpoint - first) as usize).is_some_and(|writes| *writes)
    }

    /// A write was committed: every replica is to apply it.
    pub(super) fn replicate(&mut self, now: SimTime, group: u32, key: u64) {
        let model = self.model;
        let failover = model.epochs[self.epoch].groups[group as usize].failover.as_ref();
        if let Some(every) = failover.and_then(|failover| failover.backup) {
            let (last, first, writes) = &mut self.failovers[group as usize].backup;
            let number = now.ns() / every.ns().max(1);
            if number != *last || *writes == 0 {
                (*last, *first, *writes) = (number, now, 0);
            }
            *writes += 1;
        }
        for (follower, shape) in model.groups.iter().enumerate() {
            if shape.replicates != Some(group) {
                continue;
            }
            let Some((delay, _)) = &self.model.epochs[self.epoch].groups[follower].replication else {
                continue;
            };
            let lag = self.lag_of(follower as u32);
            for target in 0..shape.capacity {
                let instance = shape.first + target;
                let arrives = now + lag + sample(delay, mix(key, u64::from(target)));
                let is_cut = self.is_replica_cut(model.groups[group as usize].first, instance);
                let state = &mut self.replicas[instance as usize];
                if is_cut {
                    state.replica.hold(now, arrives);
                } else {
                    state.replica.write(now, arrives);
                }
                state.writes += 1;
                self.observer.moved(now, model.catalog.replication[follower].backlog, 1);
                self.go_on_applying(now, instance);
            }
        }
    }

    /// What faults add to the way of each write to the replicas of a group.
    fn lag_of(&self, follower: u32) -> SimDuration {
        let mut all = SimDuration::ZERO;
        for fault in &self.lasting {
            if let Effect::Lag { group, lag } = &self.script.faults[*fault as usize].effect
                && *group == follower
            {
                all = all + lag.scaled(self.strength(*fault));
            }
        }
        all
    }

    /// Lets a replica apply its next write, if it can.
    pub(super) fn go_on_applying(&mut self, now: SimTime, instance: u32) {
        let of = &self.instances[instance as usize];
        let Some((_, apply)) = &self.model.epochs[self.epoch].groups[of.group as usize].replication else {
            return;
        };
        if !of.answers() || of.is_hung {
            return;
        }
        let state = &mut self.replicas[instance as usize];
        let Some(begins) = state.replica.begin(now) else { return };
        let key = mix(mix(self.streams.key("replicas", "apply"), u64::from(instance)), state.writes);
        let time = sample(apply, key).scaled(of.slow);
        let event = Event::Applied { instance, generation: state.generation };
        self.queue.schedule(begins + time, Rank::Completion, event);
    }

    /// A replica has applied a write.
    pub(super) fn on_applied(&mut self, now: SimTime, instance: u32, generation: u32) {
        let of = &self.instances[instance as usize];
        let state = &mut self.replicas[instance as usize];
        if state.generation != generation {
            return;
        }
        if !of.answers() || of.is_hung {
            return state.replica.interrupt();
        }
        let group = of.group as usize;
        if let Some(committed) = state.replica.applied() {
            let meters = self.model.catalog.replication[group];
            self.observer.moved(now, meters.backlog, -1);
            self.observer.timed(meters.lag, now.since(committed));
        }
        self.go_on_applying(now, instance);
    }

    /// A read begins; if its replica has not applied everything, that is counted.
    pub(super) fn note_read(&mut self, id: FrameId, instance: u32) {
        debug_assert!(self.frames.get(id).is_some());
        let group = self.instances[instance as usize].group as usize;
        if self.model.groups[group].replicates.is_some()
            && self.replicas[instance as usize].replica.backlog() > 0
        {
            self.observer.count(self.model.catalog.replication[group].stale);
        }
    }

    fn resync(&mut self, now: SimTime, instance: u32) {
        let group = self.instances[instance as usize].group as usize;
        let state = &mut self.replicas[instance as usize];
        state.generation = state.generation.wrapping_add(1);
        let behind = state.replica.resync();
        self.observer.moved(now, self.model.catalog.replication[group].backlog, -(behind as i64));
    }

    // ---- taking over ----

    /// A server is lost, or its process has crashed and would be back after `restart`. Somebody may take over.
    pub(super) fn primary_lost(&mut self, now: SimTime, instance: u32, restart: Option<SimDuration>) {
        let group = self.instances[instance as usize].group as usize;
        let Some(failover) = &self.model.epochs[self.epoch].groups[group].failover else { return };
        self.followers(group as u32, |state| {
            if state.replica.primary_lost(now) {
                state.generation = state.generation.wrapping_add(1);
            }
        });
        let state = &mut self.failovers[group];
        state.losses += 1;
        state.lost_at = now;
        let key = mix(self.streams.key(&self.model.groups[group].name, "failover"), state.losses);
        let draws = [uniform_of(mix(key, 1)), uniform_of(mix(key, 2))];
        let Some(decided) = failover.config.decides_after(restart, draws) else { return };
        let after = decided + sample(&failover.promote, key);
        let life = self.instances[instance as usize].life;
        self.queue.schedule(now + after, Rank::Control, Event::Failover { instance, life });
    }

    /// An operator has another server take over: at once if the primary answers, and nothing is lost then; after the
    /// promotion if it is lost.
    pub(super) fn fail_over(&mut self, now: SimTime, group: u32) {
        let Some(failover) = &self.settings().groups[group as usize].failover else { return };
        let instance = self.model.groups[group as usize].first;
        let state = &self.instances[instance as usize];
        let is_up = state.condition == Condition::Up && !state.is_hung;
        let (life, answers) = (state.life, is_up && !self.is_isolated(instance));
        if answers {
            self.take_over(now, instance, false);
            return;
        }
        self.failovers[group as usize].losses += 1;
        let key = mix(
            self.streams.key(&self.model.groups[group as usize].name, "failover"),
            self.failovers[group as usize].losses,
        );
        let after = sample(&failover.promote, key);
        self.queue.schedule(now + after, Rank::Control, Event::Failover { instance, life });
    }

    /// The time has come for somebody to take over, unless the lost server is back.
    pub(super) fn on_failover(&mut self, now: SimTime, instance: u32, life: u32) {
        let state = &self.instances[instance as usize];
        let is_back = state.condition == Condition::Up && !state.is_hung && !self.is_isolated(instance);
        if state.life != life || is_back {
            return;
        }
        self.take_over(now, instance, true);
    }

    /// A replica takes the place of the primary; whether the primary `is_lost`, with what it had not sent.
    fn take_over(&mut self, now: SimTime, instance: u32, is_lost: bool) {
        let life = self.instances[instance as usize].life;
        let group = self.instances[instance as usize].group;
        let Some(failover) = &self.model.epochs[self.epoch].groups[group as usize].failover else { return };
        let (takes_replica, loses) = (failover.takes_replica, failover.loses_writes);
        let heir = self.heir(group);
        let has_replicas = self.model.groups.iter().any(|g| g.replicates == Some(group));
        if takes_replica && has_replicas && heir.is_none() {
            self.queue.schedule(now + RETRY, Rank::Control, Event::Failover { instance, life });
            return;
        }
        let meters = self.model.catalog.failovers[group as usize];
        if let Some(every) = failover.backup
            && is_lost
        {
            let state = &mut self.failovers[group as usize];
            let (last, first, writes) = std::mem::take(&mut state.backup);
            let lost_at = state.lost_at;
            if writes > 0 && last == lost_at.ns() / every.ns().max(1) {
                self.observer.count_many(meters.lost, writes);
                self.observer.timed(meters.rpo, lost_at.since(first));
            }
        } else if loses && is_lost {
            let oldest = heir.and_then(|i| self.replicas[i as usize].replica.oldest_held());
            let lost = self.lose_writes(now, group, heir);
            self.observer.count_many(meters.lost, lost);
            if let Some(committed) = oldest {
                self.observer.timed(meters.rpo, self.failovers[group as usize].lost_at.since(committed));
            }
        }
        self.observer.count(meters.failovers);
        self.note(now, Change::FailedOver { instance });
        if takes_replica && let Some(heir) = heir {
            self.die(now, heir, Change::Stopped { instance: heir });
            self.instances[heir as usize].condition = Condition::Down;
            self.discover(heir);
            self.resync(now, heir);
        }
        // What kept the old server away does not strike the new one.
        let mut faults = std::mem::take(&mut self.instances[instance as usize].faults);
        faults.extend(self.spare(instance));
        self.failovers[group as usize].struck_by = faults;
        self.failovers[group as usize].promoted = heir.filter(|_| takes_replica);
        if state_is_up(self.instances[instance as usize].condition) {
            self.die(now, instance, Change::Crashed { instance });
        }
        let state = &mut self.instances[instance as usize];
        state.condition = Condition::Starting;
        state.life += 1;
        let life = state.life;
        self.apply_faults(now, instance);
        self.queue.schedule(now, Rank::Control, Event::InstanceUp { instance, life });
        if self.failovers[group as usize].struck_by.is_empty() {
            // Its process had crashed, and comes back as a replica.
            self.rejoin(now, group);
        }
    }

    /// The replica with the least to apply, of those that answer.
    fn heir(&self, group: u32) -> Option<u32> {
        let follows = |shape: &&GroupShape| shape.replicates == Some(group);
        let all = self.model.groups.iter().filter(follows).flat_map(|g| g.first..g.first + g.capacity);
        let answers = |i: &u32| {
            let state = &self.instances[*i as usize];
            state.answers() && !state.is_hung && !self.is_isolated(*i)
        };
        all.filter(answers).min_by_key(|i| (self.replicas[*i as usize].replica.backlog(), *i))
    }

    /// Calls `with` for every replica of a group.
    fn followers(&mut self, group: u32, mut with: impl FnMut(&mut ReplicaState)) {
        let followers = self.model.groups.iter().filter(|shape| shape.replicates == Some(group));
        for shape in followers {
            let range = shape.first as usize..(shape.first + shape.capacity) as usize;
            self.replicas[range].iter_mut().for_each(&mut with);
        }
    }

    /// A server that others follow is back, or somebody has taken its place: what is still to come is sent.
    pub(super) fn primary_back(&mut self, now: SimTime, instance: u32) {
        let group = self.instances[instance as usize].group;
        if self.model.epochs[self.epoch].groups[group as usize].failover.is_none() {
            return;
        }
        for shape in self.model.groups.iter().filter(|shape| shape.replicates == Some(group)) {
            (shape.first..shape.first + shape.capacity).for_each(|i| self.send_writes(now, instance, i));
        }
    }

    /// What a replica has not received is sent, unless its primary cannot reach it.
    pub(super) fn send_writes(&mut self, now: SimTime, primary: u32, replica: u32) {
        if !self.is_replica_cut(primary, replica) {
            self.replicas[replica as usize].replica.primary_back(now);
            self.go_on_applying(now, replica);
        }
    }

    /// What a replica has not received does not come until the primary reaches it again.
    pub(super) fn hold_writes(&mut self, now: SimTime, replica: u32) {
        let state = &mut self.replicas[replica as usize];
        if state.replica.primary_lost(now) {
            state.generation = state.generation.wrapping_add(1);
        }
    }

    /// What the heir had not received when the primary was lost is gone, at all replicas; returns how many writes.
    fn lose_writes(&mut self, now: SimTime, group: u32, heir: Option<u32>) -> u64 {
        let model = self.model;
        let mut lost_by_heir = 0;
        for (follower, shape) in model.groups.iter().enumerate() {
            if shape.replicates != Some(group) {
                continue;
            }
            for instance in shape.first..shape.first + shape.capacity {
                let lost = self.replicas[instance as usize].replica.lose();
                self.observer.moved(now, model.catalog.replication[follower].backlog, -(lost as i64));
                if Some(instance) == heir {
                    lost_by_heir = lost as u64;
                }
            }
        }
        lost_by_heir
    }

    /// A fault is over: a server that it kept away comes back as a replica.
    pub(super) fn server_is_back(&mut self, now: SimTime, fault: u32) {
        for group in 0..self.failovers.len() as u32 {
            let state = &mut self.failovers[group as usize];
            let before = state.struck_by.len();
            state.struck_by.retain(|f| *f != fault);
            if before > 0 && state.struck_by.is_empty() {
                self.rejoin(now, group);
            }
        }
    }

    fn rejoin(&mut self, now: SimTime, group: u32) {
        let Some(replica) = self.failovers[group as usize].promoted.take() else { return };
        let state = &mut self.instances[replica as usize];
        if state.condition != Condition::Down || self.is_kept_down(replica) {
            return;
        }
        let state = &mut self.instances[replica as usize];
        state.condition = Condition::Starting;
        let (life, group) = (state.life, state.group as usize);
        let path = format!("{}#{life}", self.model.instance_name(replica));
        let start_up = &self.settings().groups[group].start_up;
        let delay = start_up.sample_duration(&mut self.streams.stream(&path, "start"));
        self.queue.schedule(now + delay, Rank::Control, Event::InstanceUp { instance: replica, life });
    }

    /// Whether a fault keeps an instance away.
    fn is_kept_down(&self, instance: u32) -> bool {
        let strikes_down =
            |fault: &u32| matches!(self.script.faults[*fault as usize].effect.blow(), Some(Blow::Down));
        self.instances[instance as usize].faults.iter().any(strikes_down)
    }

    /// Whether a replica has taken another server's place, and is away for that.
    pub(super) fn is_promoted(&self, instance: u32) -> bool {
        self.failovers.iter().any(|state| state.promoted == Some(instance))
    }
}

fn state_is_up(condition: Condition) -> bool {
    matches!(condition, Condition::Up | Condition::Draining)
}
