//! How executions end, and what they leave behind.

use super::asks::Asks;
use super::frame::{Exec, Frame, Kind, NO_BALANCER, Stage};
use super::instances::Condition;
use super::sources::plain_request;
use super::{FrameId, Task, World};
use crate::base::{Outcome, SimDuration, SimTime};
use crate::metrics::Observer;

/// How an execution ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// Its program ended.
    Done,
    /// It was stopped: it may still be in the queue or on the CPU.
    Stopped,
    /// Its instance died: queue and CPU are empty already.
    Died,
}

/// A balancer's request that ends at an instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// The balancer.
    pub balancer: u32,
    /// The instance.
    pub instance: u32,
    /// The key that ring hashing follows.
    pub affinity: u32,
    /// When it was sent.
    pub at: SimTime,
    /// How it ends for its caller.
    pub outcome: Outcome,
    /// How it ends at the instance.
    pub ending: Ending,
}

/// How many times as long as its work, in nanoseconds, a request took, as a timer counts it: in billionths.
#[inline]
fn slowdown(latency: SimDuration, demand: f32) -> SimDuration {
    SimDuration::from_seconds(latency.ns() as i64 as f64 / f64::from(demand))
}

impl<O: Observer> World<'_, O> {
    /// The program of an execution ended, or it was called off.
    pub(super) fn finish(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let ending = if outcome == Outcome::Cancelled { Ending::Stopped } else { Ending::Done };
        self.end(now, id, outcome, ending);
    }

    /// An execution that runs has come to the end of its program. Nearly every one holds nothing but its worker.
    #[inline(always)]
    pub(super) fn end_done(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let Some(Frame { kind: Kind::Exec(exec), parent, .. }) = self.frames.get(id) else { return };
        let state = &mut self.instances[exec.instance as usize];
        let is_plain = !state.asks.has(Asks::END)
            && !(exec.is_check | exec.own_connection | exec.on_free_core)
            && exec.held == 0
            && state.condition != Condition::Draining
            && !self.frames.is_traced(id);
        if !is_plain {
            return self.end(now, id, outcome, Ending::Done);
        }
        let (parent, at, place, endpoint) = (*parent, exec.at, exec.place, exec.endpoint);
        let (instance, demand, balancer) = (exec.instance, exec.run.demand, exec.balancer);
        let (affinity, measures_balancer, key) = (exec.affinity, exec.measures_balancer, exec.run.key);
        self.frames.free(id);
        if let Some(moved) = state.execs.pop()
            && let Some(hole) = state.execs.get_mut(place as usize)
        {
            *hole = moved;
            if let Some(Frame { kind: Kind::Exec(other), .. }) = self.frames.get_mut(moved) {
                other.place = place;
            }
        }
        state.busy -= 1;
        if let Some(meter) = &mut state.meter {
            meter.holds(now, state.execs.len());
        }
        let (meters, somebody_waits) = (state.meters, !state.queue.is_empty());
        let latency = now.since(at);
        self.observer.both_moved(now, meters.in_flight, -1);
        let mut red = self.model.catalog.endpoints + endpoint;
        if balancer != NO_BALANCER {
            if measures_balancer {
                red = self.balancers[balancer as usize].sent.wrapping_add(endpoint);
            }
            let call = Sent { balancer, instance, affinity, at, outcome, ending: Ending::Done };
            self.ends_behind_balancer(now, parent, call);
        }
        self.observer.outcome(red, outcome, latency);
        if outcome.is_success() && demand > 0.0 {
            self.observer.timed(meters.slowdown, slowdown(latency, demand));
        }
        if self.anybody_left && !self.is_awaited(parent) {
            self.observer.count(meters.nobody);
        }
        match parent.number_outside() {
            Some(client) => self.plain_request_ended(now, client, (at, key), outcome),
            None => self.tasks.push_back(Task::Up(parent, outcome)),
        }
        if somebody_waits {
            self.serve_next(now, instance);
        }
    }

    /// An execution ends, however far it is.
    pub(super) fn end(&mut self, now: SimTime, id: FrameId, outcome: Outcome, ending: Ending) {
        self.frames.ends(id, outcome);
        let Some(Frame { kind: Kind::Exec(exec), mut parent, .. }) = self.frames.remove(id) else { return };
        if let Some(client) = parent.number_outside() {
            // It is told as others are, in its turn.
            let request = plain_request(client, exec.at, exec.run.key);
            parent = self.push_frame(Frame::new(FrameId::NONE, Kind::Request(request)));
        }
        let model = self.model;
        let state = &self.instances[exec.instance as usize];
        let (meters, is_rare) = (state.meters, state.asks.has(Asks::END));
        debug_assert_eq!(state.asks, self.asks_of(exec.instance));
        if is_rare {
            self.leave_door(now, &exec, outcome);
        }
        self.forget(&exec);
        self.meter_requests(now, exec.instance);
        self.observer.moved(now, meters.in_flight, -1);
        if !exec.is_check {
            let latency = now.since(exec.at);
            // For the endpoint, its group, and the balancer if it measures what its targets do.
            let red = match exec.measures_balancer && exec.balancer != NO_BALANCER {
                true => model.catalog.balancers[exec.balancer as usize].sent.wrapping_add(exec.endpoint),
                false => model.catalog.endpoints + exec.endpoint,
            };
            self.observer.outcome(red, outcome, latency);
            if is_rare {
                self.note_end(now, parent, &exec, outcome);
            }
            if outcome.is_success() && exec.run.demand > 0.0 {
                self.observer.timed(meters.slowdown, slowdown(latency, exec.run.demand));
            }
            // What was called off in time is no work for nobody.
            if self.anybody_left && outcome != Outcome::Cancelled && !self.is_awaited(parent) {
                self.observer.count(meters.nobody);
            }
        }
        if exec.own_connection {
            let group = self.instances[exec.instance as usize].group;
            self.count_connections(now, group, -1);
        }
        if is_rare && self.net.taints && outcome.is_success() {
            self.taint_answer(id, exec.instance, exec.run.key, parent);
        }
        if exec.is_check || (is_rare && self.net.has_wires) {
            self.note_cause(parent, self.cause_of(exec.instance, ending));
        }
        if exec.balancer != NO_BALANCER {
            let Exec { balancer, instance, affinity, at, .. } = exec;
            let call = Sent { balancer, instance, affinity, at, outcome, ending };
            self.ends_behind_balancer(now, parent, call);
        }
        self.tasks.push_back(Task::Up(parent, outcome));
        match exec.stage {
            Stage::Running => self.free_worker(now, id, &exec, ending),
            Stage::Queued if ending == Ending::Stopped => {
                if self.instances[exec.instance as usize].queue.remove(id) {
                    self.observer.moved(now, meters.queue, -1);
                }
            }
            Stage::Queued => {}
        }
        let state = &self.instances[exec.instance as usize];
        if state.condition == Condition::Draining && state.execs.is_empty() && !state.pod.stays {
            self.stop(now, exec.instance);
        }
    }

    /// What is noted of an execution that ends where answers cost, or writes are replicated, or versions compared.
    #[cold]
    fn note_end(&mut self, now: SimTime, parent: FrameId, exec: &Exec, outcome: Outcome) {
        let latency = now.since(exec.at);
        if self.model.costs.has_answers {
            self.pay_answer(parent, exec, outcome, latency);
        }
        self.note_version(exec.instance, outcome, latency);
        let group = self.instances[exec.instance as usize].group;
        if outcome.is_success() && self.is_write(group, exec.endpoint) {
            self.replicate(now, group, exec.run.key);
        }
    }

    /// Takes an execution out of its instance's list; the last one takes its place.
    #[inline(always)]
    pub(super) fn forget(&mut self, exec: &Exec) {
        let instance = &mut self.instances[exec.instance as usize];
        if instance.asks.has(Asks::DOOR)
            && let Some(door) = &mut instance.door
        {
            door.swap_remove(exec.place);
        }
        let Some(moved) = instance.execs.pop() else { return };
        // Unless it was the last one itself.
        if let Some(place) = instance.execs.get_mut(exec.place as usize) {
            *place = moved;
            if let Some(Frame { kind: Kind::Exec(other), .. }) = self.frames.get_mut(moved) {
                other.place = exec.place;
            }
        }
    }

    #[inline(always)]
    fn free_worker(&mut self, now: SimTime, id: FrameId, exec: &Exec, ending: Ending) {
        let instance = exec.instance;
        let state = &mut self.instances[instance as usize];
        state.busy -= 1;
        let meters = state.meters;
        if state.asks.has(Asks::END) {
            self.leave_environment(now, instance);
        }
        self.observer.moved(now, meters.busy, -1);
        if exec.on_free_core {
            self.move_free_core(now, instance, -1);
        }
        if ending == Ending::Stopped
            && let Some(cpu) = &mut self.instances[instance as usize].cpu
            && cpu.cancel(now, id)
        {
            self.watch_cpu(now, instance);
        }
        self.take_memory(now, instance, -(exec.held as i64));
        if ending != Ending::Died && !self.instances[instance as usize].queue.is_empty() {
            self.serve_next(now, instance);
        }
    }
}
