//! Random failures and repairs: alternating renewal processes, one for each instance or one for all of them.
//!
//! A process belongs to the place of an instance in its group and runs from the start of the run to its end, whether or
//! not an instance stands there now: its times depend on nothing but the failure's name, the place and the number of
//! the cycle. An instance that comes to a place that is down is down until the repair.

use super::World;
use super::event::Event;
use super::instances::Condition;
use super::script::RandomFailure;
use crate::base::{SimDuration, SimTime, Streams, mix, uniform_of};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};

/// The state of one random failure.
#[derive(Debug)]
pub(super) struct FailureState {
    /// The key of its times to failure, and that of its times to repair.
    keys: [u64; 2],
    /// Its processes, by place; one if all instances fail together.
    members: Vec<Member>,
}

/// One process.
#[derive(Clone, Copy, Debug, Default)]
struct Member {
    is_down: bool,
    /// Failures so far.
    cycle: u64,
}

impl FailureState {
    /// The states at the start: everything is up.
    pub fn all(failures: &[RandomFailure], capacity: impl Fn(u32) -> u32, streams: Streams) -> Vec<Self> {
        let state = |failure: &RandomFailure| {
            let path = format!("failures.{}", failure.name);
            let members = if failure.each { capacity(failure.group) } else { 1 };
            Self {
                keys: [streams.key(&path, "up"), streams.key(&path, "down")],
                members: vec![Member::default(); members as usize],
            }
        };
        failures.iter().map(state).collect()
    }

    /// How long a process stays as it is now.
    fn stay(&self, failure: &RandomFailure, member: u32) -> SimDuration {
        let state = self.members[member as usize];
        let (key, dist) =
            if state.is_down { (self.keys[1], &failure.down) } else { (self.keys[0], &failure.up) };
        let u = uniform_of(mix(mix(key, u64::from(member)), state.cycle));
        SimDuration::from_seconds(dist.variate(u))
    }
}

impl<O: Observer> World<'_, O> {
    /// Schedules the first failure of every process.
    pub(super) fn start_failures(&mut self) {
        for failure in 0..self.failures.len() as u32 {
            for member in 0..self.failures[failure as usize].members.len() as u32 {
                self.schedule_failure(SimTime::ZERO, failure, member);
            }
        }
    }

    fn schedule_failure(&mut self, now: SimTime, failure: u32, member: u32) {
        let stay = self.failures[failure as usize].stay(&self.script.failures[failure as usize], member);
        self.queue.schedule(now + stay, Rank::Fault, Event::Failure { failure, member });
    }

    /// A process fails, or is repaired.
    pub(super) fn on_failure(&mut self, now: SimTime, failure: u32, member: u32) {
        let script = self.script;
        let plan = &script.failures[failure as usize];
        let state = &mut self.failures[failure as usize].members[member as usize];
        state.is_down = !state.is_down;
        state.cycle += u64::from(!state.is_down);
        let fails = state.is_down;
        self.schedule_failure(now, failure, member);
        if !plan.each {
            self.note_failure(now, failure, fails, None);
            if fails {
                self.begin_fault(now, plan.fault);
            } else {
                self.end_fault(now, plan.fault);
            }
            return;
        }
        let instance = self.model.groups[plan.group as usize].first + member;
        let state = &mut self.instances[instance as usize];
        if state.condition == Condition::Off {
            return;
        }
        if fails {
            state.faults.push(plan.fault);
            self.turns_begin(now, plan.fault, instance);
        } else {
            state.faults.retain(|f| *f != plan.fault);
            self.server_is_back(now, plan.fault);
        }
        self.note_failure(now, failure, fails, Some(instance));
        self.apply_faults(now, instance);
    }

    /// Counts and logs a failure or a repair.
    fn note_failure(&mut self, now: SimTime, failure: u32, fails: bool, instance: Option<u32>) {
        let meters = self.model.catalog.failures[failure as usize];
        self.observer.moved(now, meters.down, if fails { 1 } else { -1 });
        if fails {
            self.observer.count(meters.failures);
            self.note(now, Change::Failed { failure, instance });
        } else {
            self.note(now, Change::Repaired { failure, instance });
        }
    }

    /// Strikes an instance that is new with what its place suffers from.
    pub(super) fn fail_newcomer(&mut self, now: SimTime, instance: u32) {
        for (failure, plan) in self.script.failures.iter().enumerate() {
            let group = &self.model.groups[plan.group as usize];
            let place = instance.wrapping_sub(group.first);
            if plan.each && place < group.capacity && self.failures[failure].members[place as usize].is_down {
                self.instances[instance as usize].faults.push(plan.fault);
                self.turns_begin(now, plan.fault, instance);
                self.observer.moved(now, self.model.catalog.failures[failure].down, 1);
            }
        }
    }

    /// An instance goes that may have failed: nobody waits for its repair any more.
    pub(super) fn forget_failures(&mut self, now: SimTime, instance: u32) {
        for (failure, plan) in self.script.failures.iter().enumerate() {
            if plan.each && self.instances[instance as usize].faults.contains(&plan.fault) {
                self.observer.moved(now, self.model.catalog.failures[failure].down, -1);
            }
        }
    }
}
