//! Programs: executions go on step by step, until they wait for something or end.

use super::asks::Asks;
use super::frame::{Branch, Call, Exec, Frame, Kind, NO_POOL, Rounds, Runner};
use super::layers::sample;
use super::{FrameId, Task, World};
use crate::base::{Outcome, SimDuration, SimTime, mix, uniform_of};
use crate::components::broker::{Message, Published};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::{GroupKind, Step};

use super::event::Event;

/// The salt of the chance of a round.
const GOES_ON: u64 = 1;

/// Where a program runs.
#[derive(Clone, Copy)]
pub(super) struct Host {
    /// The instance.
    pub instance: u32,
    /// The key that ring hashing follows.
    pub affinity: u32,
    priority: u8,
    tenant: u8,
    /// Whether that is the request's key.
    pub is_keyed: bool,
}

impl Host {
    #[inline]
    fn of(exec: &Exec) -> Self {
        let Exec { instance, affinity, priority, tenant, is_keyed, .. } = *exec;
        Self { instance, affinity, priority, tenant, is_keyed }
    }
}

impl<O: Observer> World<'_, O> {
    /// The program that a frame runs, and where; `None` if it is gone, or its process is.
    #[inline]
    pub(super) fn runner(&mut self, now: SimTime, id: FrameId) -> Option<(Runner, Host)> {
        let (run, host, life) = match &self.frames.get(id)?.kind {
            Kind::Exec(e) => (e.run, Host::of(e), None),
            Kind::Branch(b) => {
                let Branch { instance, affinity, priority, tenant, is_keyed, .. } = *b;
                (b.run, Host { instance, affinity, priority, tenant, is_keyed }, Some(b.life))
            }
            _ => return None,
        };
        if life.is_some_and(|life| life != self.instances[host.instance as usize].life) {
            self.forget_program(now, id);
            return None;
        }
        Some((run, host))
    }

    /// Removes a program whose process is gone, and the programs that wait for it in the same process.
    #[cold]
    pub(super) fn forget_program(&mut self, now: SimTime, id: FrameId) {
        let Some(frame) = self.frames.get(id) else { return };
        let (parent, child) = (frame.parent, frame.child);
        match frame.kind {
            Kind::Branch(_) => self.release_free_core(now, id),
            // Before the branch that asked is removed: the others are found through it.
            Kind::Join { .. } => self.sweep_branches(child),
            Kind::Repeat { .. } | Kind::Optional | Kind::Lock { .. } => {}
            _ => return,
        }
        self.forget_program(now, parent);
        self.frames.remove(id);
    }

    /// Stops the programs that run inside one, down to the calls that they have made: those go on for nobody.
    pub(super) fn stop_programs(&mut self, now: SimTime, id: FrameId) {
        let Some(frame) = self.frames.get(id) else { return };
        let child = frame.child;
        match &frame.kind {
            Kind::Join { .. } | Kind::Repeat { .. } | Kind::Optional => {
                self.frames.remove(id);
                self.stop_programs(now, child);
            }
            Kind::Lock { .. } => {
                self.stop_programs(now, child);
                self.unlock(now, id);
            }
            Kind::Branch(branch) => {
                let (instance, next, is_done) = (branch.instance, branch.next, branch.is_done);
                if !is_done {
                    self.leave_cpu(now, id, instance);
                }
                self.frames.remove(id);
                self.stop_programs(now, child);
                self.stop_programs(now, next);
            }
            _ => {}
        }
    }

    /// Takes a program off the CPU that it may use.
    fn leave_cpu(&mut self, now: SimTime, id: FrameId, instance: u32) {
        self.release_free_core(now, id);
        if let Some(cpu) = &mut self.instances[instance as usize].cpu
            && cpu.cancel(now, id)
        {
            self.watch_cpu(now, instance);
        }
    }

    fn set_runner(&mut self, id: FrameId, change: impl FnOnce(&mut Runner)) {
        match self.frames.get_mut(id).map(|f| &mut f.kind) {
            Some(Kind::Exec(e)) => change(&mut e.run),
            Some(Kind::Branch(b)) => change(&mut b.run),
            _ => {}
        }
    }

    /// A program goes on with its next step, and further until it waits or ends. Nearly every one is that of an
    /// execution, and nearly every step one of these three.
    pub(super) fn advance(&mut self, now: SimTime, id: FrameId) {
        let is_traced = self.frames.is_traced(id);
        let Some(Frame { kind: Kind::Exec(exec), .. }) = self.frames.get_mut(id) else {
            return self.advance_with_care(now, id);
        };
        let (instance, priority) = (exec.instance, exec.priority);
        let state = &self.instances[instance as usize];
        let is_plain = !state.asks.has(Asks::STEP) && !is_traced;
        match &self.model.steps[exec.run.pc as usize] {
            Step::Work(draw) if is_plain => {
                let work = exec.run.begin_work(draw);
                self.use_cpu(now, id, (instance, priority), work);
            }
            Step::Call(route) if is_plain => {
                exec.run.pc += 1;
                exec.run.route = *route;
                exec.run.called_at = now;
                let (key, host) = (exec.run.key, Host::of(exec));
                self.call_from(now, id, *route, key, host);
            }
            Step::End if is_plain && !self.net.is_used => {
                let outcome = if exec.run.degraded { Outcome::Degraded } else { Outcome::Ok };
                self.end_done(now, id, outcome);
            }
            _ => self.advance_with_care(now, id),
        }
    }

    /// The same for other programs and steps, and where something may be in the way.
    #[inline(never)]
    fn advance_with_care(&mut self, now: SimTime, id: FrameId) {
        if self.frames.is_traced(id) {
            self.trace_program(now, id);
        }
        let frame = self.frames.get_mut(id).map(|frame| &mut frame.kind);
        let (run, host, is_own) = match frame {
            Some(Kind::Exec(exec)) => {
                let host = Host::of(exec);
                (&mut exec.run, host, true)
            }
            Some(Kind::Branch(branch)) => {
                let Branch { instance, affinity, priority, tenant, is_keyed, life, .. } = *branch;
                if life != self.instances[instance as usize].life {
                    return self.forget_program(now, id);
                }
                (&mut branch.run, Host { instance, affinity, priority, tenant, is_keyed }, false)
            }
            _ => return self.connection_made(now, id),
        };
        let state = &self.instances[host.instance as usize];
        let is_asked = state.asks.has(Asks::STEP);
        if is_asked && state.is_hung {
            return self.park(host.instance, Task::Advance(id));
        }
        // Most steps are these three, for which the frame is looked up once.
        match &self.model.steps[run.pc as usize] {
            Step::Work(draw) => {
                run.pc += 1;
                let demand = sample(draw, run.key);
                if is_own {
                    run.demand += demand.ns() as f32;
                } else {
                    self.ask_for(id, demand);
                }
                let work = if is_asked { self.slowed_work(host.instance, demand) } else { demand };
                self.use_cpu(now, id, (host.instance, host.priority), work);
            }
            Step::Call(route) => {
                run.pc += 1;
                run.route = *route;
                run.called_at = now;
                let key = run.key;
                self.call_from(now, id, *route, key, host);
            }
            Step::End => {
                let outcome = if run.degraded { Outcome::Degraded } else { Outcome::Ok };
                if self.net.is_used && self.is_read_slowly(now, id) {
                    return;
                }
                self.end_program(now, id, outcome);
            }
            _ => {
                let run = *run;
                self.go_on(now, id, run, host);
            }
        }
    }

    /// The step that a program begins now is traced, if it is one of those that `go_on` does not see.
    #[cold]
    fn trace_program(&mut self, now: SimTime, id: FrameId) {
        let is_program = |frame: &Frame| matches!(frame.kind, Kind::Exec(_) | Kind::Branch(_));
        if self.frames.get(id).is_some_and(is_program)
            && let Some((run, host)) = self.runner(now, id)
            && !self.instances[host.instance as usize].is_hung
            && is_common(&self.model.steps[run.pc as usize])
        {
            self.trace_step(id, run.pc, run.key);
        }
    }

    /// How long work takes on an instance that is slow or cold.
    #[inline(never)]
    fn slowed_work(&self, instance: u32, demand: SimDuration) -> SimDuration {
        slowed(demand, self.instances[instance as usize].slow * self.cold(instance))
    }

    /// A program goes on with steps that are rarer, up to one that is not, or that it waits at.
    fn go_on(&mut self, now: SimTime, id: FrameId, run: Runner, host: Host) {
        let model = self.model;
        let mut pc = run.pc;
        loop {
            if !is_common(&model.steps[pc as usize]) {
                self.trace_step(id, pc, run.key);
            }
            match &model.steps[pc as usize] {
                Step::Work(_) | Step::Call(_) | Step::End => {
                    self.set_runner(id, |r| r.pc = pc);
                    return self.advance(now, id);
                }
                Step::Wait(draw) => {
                    self.set_runner(id, |r| r.pc = pc + 1);
                    let delay = self.wait_time(host.instance, draw, run.key);
                    self.queue.schedule(now + delay, Rank::Completion, Event::StepDone(id));
                    return;
                }
                Step::Parallel { branches, need, salt } => {
                    self.set_runner(id, |r| r.pc = pc + 1);
                    let kind = Kind::Join { need: *need, running: branches.len() as u32, degraded: false };
                    let join = self.push_frame(Frame::new(id, kind));
                    for (number, branch) in branches.clone().enumerate() {
                        let key = mix(mix(run.key, *salt), number as u64);
                        let start = model.branches[branch as usize];
                        let next = self.frames.get(join).map_or(FrameId::NONE, |f| f.child);
                        self.branch(join, start, key, host, next);
                    }
                    return;
                }
                Step::Choose { ways, salt } => {
                    let u = uniform_of(mix(run.key, *salt));
                    let ways = &model.ways[ways.start as usize..ways.end as usize];
                    let way = ways.iter().find(|(sum, _)| u < *sum).or(ways.last());
                    pc = way.map_or(pc + 1, |(_, to)| *to);
                }
                Step::Repeat { body, times, salt } => {
                    self.set_runner(id, |r| r.pc = pc + 1);
                    let key = mix(run.key, *salt);
                    let rounds = Rounds::Left(*times);
                    let kind = Kind::Repeat { body: *body, rounds, key, degraded: false };
                    let repeat = self.push_frame(Frame::new(id, kind));
                    self.branch(repeat, *body, mix(key, u64::from(*times)), host, FrameId::NONE);
                    return;
                }
                Step::While { body, chance, salt } => {
                    let key = mix(run.key, *salt);
                    pc += 1;
                    if goes_on(key, 1, *chance) {
                        self.set_runner(id, |r| r.pc = pc);
                        let rounds = Rounds::Chance { chance: *chance, round: 1 };
                        let kind = Kind::Repeat { body: *body, rounds, key, degraded: false };
                        let repeat = self.push_frame(Frame::new(id, kind));
                        return self.branch(repeat, *body, mix(key, 1), host, FrameId::NONE);
                    }
                }
                Step::Optional { body, salt } => {
                    self.set_runner(id, |r| r.pc = pc + 1);
                    let optional = self.push_frame(Frame::new(id, Kind::Optional));
                    self.branch(optional, *body, mix(run.key, *salt), host, FrameId::NONE);
                    return;
                }
                Step::Io { operations: (count, salt), bytes } => {
                    self.set_runner(id, |r| r.pc = pc + 1);
                    let operations = count.variate(uniform_of(mix(run.key, *salt)));
                    let delay = self.use_volume(now, host.instance, operations, *bytes);
                    let delay = slowed(delay, self.instances[host.instance as usize].slow);
                    self.queue.schedule(now + delay, Rank::Completion, Event::StepDone(id));
                    return;
                }
                Step::Lock { lock, rows, body, salt } => {
                    self.set_runner(id, |r| r.pc = pc + 1);
                    return self.lock(now, id, (*lock, *rows, *body), mix(run.key, *salt), host);
                }
                Step::Hold(bytes) => {
                    pc += 1;
                    self.set_runner(id, |r| r.pc = pc);
                    self.hold(now, id, host.instance, *bytes);
                    if self.frames.get(id).is_none() {
                        return;
                    }
                }
                Step::Fail { ratio, salt } => {
                    if uniform_of(mix(run.key, *salt)) < *ratio {
                        return self.end_program(now, id, Outcome::Error);
                    }
                    pc += 1;
                }
                Step::Publish { queue, salt } => {
                    let message = Message {
                        key: mix(run.key, *salt),
                        about: host.affinity,
                        priority: host.priority,
                        tenant: host.tenant,
                        is_keyed: host.is_keyed,
                        is_poisoned: false,
                    };
                    match self.publish(now, id, *queue, message) {
                        Published::Accepted => {
                            pc += 1;
                            if let Some(delay) = self.slow_broker(*queue, message.key) {
                                self.set_runner(id, |r| r.pc = pc);
                                self.queue.schedule(now + delay, Rank::Completion, Event::StepDone(id));
                                return;
                            }
                        }
                        Published::Refused => return self.end_program(now, id, Outcome::Error),
                        // It tries again once the broker reads on.
                        Published::Blocked => return self.set_runner(id, |r| r.pc = pc),
                    }
                }
                Step::Jump(to) => pc = *to,
            }
        }
    }

    /// The broker could not be reached for too long.
    pub(super) fn fail_publish(&mut self, now: SimTime, id: FrameId) {
        let Some((_, host)) = self.runner(now, id) else { return };
        if self.instances[host.instance as usize].is_hung {
            // It tries once more when it goes on, and learns then.
            return self.park(host.instance, Task::Advance(id));
        }
        self.end_program(now, id, Outcome::Error);
    }

    /// How long a wait takes, faults included.
    fn wait_time(&self, instance: u32, draw: &crate::model::Draw, key: u64) -> SimDuration {
        let state = &self.instances[instance as usize];
        let is_external = state.kind == GroupKind::External;
        let time = match state.latency {
            Some(fault) if is_external => {
                let (own, struck) = (sample(draw, key), self.fault_latency(fault, key));
                let strength = self.strength(fault);
                if strength < 1.0 { own.scaled(1.0 - strength) + struck.scaled(strength) } else { struck }
            }
            _ => sample(draw, key),
        };
        slowed(time, state.slow)
    }

    #[inline(always)]
    fn call_from(&mut self, now: SimTime, id: FrameId, route: u32, key: u64, host: Host) {
        let place = &self.model.routes[route as usize];
        let state = &self.instances[host.instance as usize];
        let call = Call {
            key: mix(key, place.salt),
            route,
            owner: state.target,
            life: state.life,
            affinity: host.affinity,
            pool_layer: NO_POOL,
            priority: host.priority,
            tenant: host.tenant,
            is_keyed: host.is_keyed,
        };
        self.observer.arrival(place.red);
        self.call(now, place, call, id);
    }

    /// Starts a program inside a program.
    pub(super) fn branch(&mut self, parent: FrameId, start: u32, key: u64, host: Host, next: FrameId) {
        let branch = Branch {
            run: Runner {
                pc: start,
                route: u32::MAX,
                key,
                called_at: SimTime::ZERO,
                demand: 0.0,
                degraded: false,
                is_read: false,
            },
            instance: host.instance,
            life: self.instances[host.instance as usize].life,
            affinity: host.affinity,
            priority: host.priority,
            tenant: host.tenant,
            is_keyed: host.is_keyed,
            on_free_core: false,
            next,
            is_done: false,
        };
        let id = self.push_frame(Frame::new(parent, Kind::Branch(branch)));
        self.tasks.push_back(Task::Advance(id));
    }

    /// Takes note of CPU that the request of a program asks for, whichever of its programs does.
    #[inline]
    fn ask_for(&mut self, id: FrameId, demand: SimDuration) {
        let mut owner = id;
        while let Some(frame) = self.frames.get_mut(owner) {
            if let Kind::Exec(exec) = &mut frame.kind {
                exec.run.demand += demand.ns() as f32;
                return;
            }
            owner = frame.parent;
        }
    }

    fn hold(&mut self, now: SimTime, id: FrameId, instance: u32, bytes: u64) {
        // Memory belongs to the request, whichever of its programs took it.
        let mut owner = id;
        while let Some(frame) = self.frames.get_mut(owner) {
            if let Kind::Exec(exec) = &mut frame.kind {
                exec.held += bytes;
                self.take_memory(now, instance, bytes as i64);
                if self.is_out_of_memory(instance) {
                    self.kill(now, instance, Change::OutOfMemory { instance });
                }
                return;
            }
            owner = frame.parent;
        }
    }

    /// The call of a program has its answer.
    pub(super) fn answered(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let (instance, route, called_at) = match self.frames.get(id).map(|frame| &frame.kind) {
            Some(Kind::Exec(exec)) => (exec.instance, exec.run.route, exec.run.called_at),
            _ => match self.runner(now, id) {
                Some((run, host)) => (host.instance, run.route, run.called_at),
                None => return,
            },
        };
        if self.hung > 0 && self.instances[instance as usize].is_hung {
            self.park(instance, Task::Up(id, outcome));
            return;
        }
        self.observer.outcome(self.model.routes[route as usize].red, outcome, now.since(called_at));
        self.resume(now, id, outcome);
    }

    /// A program goes on after a call or a part of it, or fails with it.
    pub(super) fn resume(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        if !outcome.is_success() {
            return self.end_program(now, id, Outcome::Error);
        }
        if outcome == Outcome::Degraded {
            self.set_runner(id, |r| r.degraded = true);
        }
        self.advance(now, id);
    }

    #[inline]
    fn end_program(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let Some(frame) = self.frames.get_mut(id) else { return };
        let parent = frame.parent;
        match &mut frame.kind {
            Kind::Exec(_) => self.finish(now, id, outcome),
            Kind::Branch(branch) => {
                // A branch of a join stays in its chain until the join ends.
                branch.is_done = true;
                self.frames.ends(id, outcome);
                if outcome.is_success() {
                    self.pass_taint(id, parent);
                }
                let is_joined = self.frames.get(parent).is_some_and(|p| matches!(p.kind, Kind::Join { .. }));
                if !is_joined {
                    self.frames.remove(id);
                }
                self.tasks.push_back(Task::Up(parent, outcome));
            }
            _ => {}
        }
    }

    /// A program inside a program has ended.
    pub(super) fn branch_ended(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let Some(frame) = self.frames.get_mut(id) else { return };
        let (parent, first) = (frame.parent, frame.child);
        let succeeded = outcome.is_success();
        let is_lock = matches!(frame.kind, Kind::Lock { .. });
        let verdict = match &mut frame.kind {
            Kind::Join { need, running, degraded } => {
                *running -= 1;
                *need -= u32::from(succeeded);
                *degraded |= outcome == Outcome::Degraded;
                if *need == 0 {
                    Some(if *degraded { Outcome::Degraded } else { Outcome::Ok })
                } else if *need > *running {
                    Some(Outcome::Error)
                } else {
                    None
                }
            }
            Kind::Repeat { body, rounds, key, degraded } => {
                *degraded |= outcome == Outcome::Degraded;
                let (again, number) = match rounds {
                    Rounds::Left(left) => {
                        *left -= 1;
                        (*left > 0, *left)
                    }
                    Rounds::Chance { chance, round } => {
                        *round = round.wrapping_add(1);
                        (goes_on(*key, *round, *chance), *round)
                    }
                };
                if succeeded && again {
                    let (body, key) = (*body, mix(*key, u64::from(number)));
                    if let Some((_, host)) = self.runner(now, parent) {
                        self.branch(id, body, key, host, FrameId::NONE);
                    } else {
                        self.frames.remove(id);
                    }
                    return;
                }
                let all = if *degraded { Outcome::Degraded } else { Outcome::Ok };
                Some(if succeeded { all } else { Outcome::Error })
            }
            Kind::Lock { .. } => Some(if succeeded { outcome } else { Outcome::Error }),
            _ => Some(if succeeded { outcome } else { Outcome::Degraded }),
        };
        let Some(verdict) = verdict else { return };
        self.pass_taint(id, parent);
        if is_lock {
            self.unlock(now, id);
        } else {
            self.frames.remove(id);
        }
        self.sweep_branches(first);
        self.resume(now, parent, verdict);
    }

    /// Frees the branches of a join that have ended; the others go on for nobody.
    fn sweep_branches(&mut self, first: FrameId) {
        let mut id = first;
        while let Some(Frame { kind: Kind::Branch(branch), .. }) = self.frames.get(id) {
            let next = branch.next;
            if branch.is_done {
                self.frames.remove(id);
            } else {
                self.anybody_left = true;
            }
            id = next;
        }
    }

    /// Calls off a program inside a program.
    pub(super) fn cancel_branch(&mut self, now: SimTime, id: FrameId) {
        let Some(Frame { kind: Kind::Branch(branch), child, .. }) = self.frames.get(id) else { return };
        let (instance, child, is_done) = (branch.instance, *child, branch.is_done);
        if !is_done {
            self.leave_cpu(now, id, instance);
            self.cancel(now, child);
        }
        self.frames.remove(id);
    }

    /// Calls off all branches of a join, from the last one put in place.
    pub(super) fn cancel_branches(&mut self, now: SimTime, first: FrameId) {
        let mut id = first;
        while let Some(Frame { kind: Kind::Branch(branch), .. }) = self.frames.get(id) {
            let next = branch.next;
            self.cancel_branch(now, id);
            id = next;
        }
    }
}

/// Whether a step is one of those that most programs consist of.
#[inline]
fn is_common(step: &Step) -> bool {
    matches!(step, Step::Work(_) | Step::Call(_) | Step::End)
}

/// Whether a `While` does one more round.
fn goes_on(key: u64, round: u32, chance: f64) -> bool {
    uniform_of(mix(mix(key, u64::from(round)), GOES_ON)) < chance
}

fn slowed(time: SimDuration, factor: f64) -> SimDuration {
    if factor == 1.0 { time } else { time.scaled(factor) }
}
