//! The CPU and the memory of instances, as requests use them.

use super::asks::Asks;
use super::event::Event;
use super::frame::Kind;
use super::instances::Instance;
use super::{FrameId, Task, World};
use crate::base::{SimDuration, SimTime};
use crate::engine::{EventQueue, Rank};
use crate::metrics::Observer;

impl<O: Observer> World<'_, O> {
    /// Uses the CPU for a step of a program.
    #[inline(always)]
    pub(super) fn use_cpu(
        &mut self,
        now: SimTime,
        id: FrameId,
        (instance, priority): (u32, u8),
        work: SimDuration,
    ) {
        let state = &mut self.instances[instance as usize];
        match &mut state.cpu {
            Some(cpu) => {
                if state.asks.has(Asks::CPU) {
                    cpu.start(now, id, work, priority);
                    self.watch_cpu(now, instance);
                } else if cpu.start(now, id, work, priority) {
                    Self::set_alarm(&mut self.queue, &mut self.observer, now, instance, state);
                }
            }
            None => {
                let work = self.stolen(instance, work);
                self.move_free_core(now, instance, 1);
                self.set_free_core(id, true);
                self.queue.schedule(now + work, Rank::Completion, Event::StepDone(id));
            }
        }
    }

    /// Sets the alarm and the gauge of a CPU after a change.
    #[inline(never)]
    pub(super) fn watch_cpu(&mut self, now: SimTime, instance: u32) {
        if self.instances[instance as usize].asks.has(Asks::CPU) {
            // First, as it may change the cores, and with them the alarm.
            self.watch_runtime(now, instance);
        }
        let state = &mut self.instances[instance as usize];
        Self::set_alarm(&mut self.queue, &mut self.observer, now, instance, state);
    }

    /// The same where nobody else minds the change.
    #[inline(always)]
    fn set_alarm(
        queue: &mut EventQueue<Event>,
        observer: &mut O,
        now: SimTime,
        instance: u32,
        state: &mut Instance<'_>,
    ) {
        let Some(cpu) = &mut state.cpu else { return };
        let busy = cpu.busy_millicores();
        let before = std::mem::replace(&mut state.busy_millicores, busy);
        if let Some(at) = cpu.alarm() {
            queue.schedule(at, Rank::Completion, Event::Cpu { instance });
        }
        if busy != before {
            observer.moved(now, state.meters.cpu, busy - before);
        }
        if let Some(meter) = &mut state.meter {
            meter.uses(now, cpu.busy_cores());
        }
    }

    pub(super) fn on_cpu(&mut self, now: SimTime, instance: u32) {
        let state = &mut self.instances[instance as usize];
        let is_asked = state.asks.has(Asks::CPU);
        let Some(cpu) = &mut state.cpu else { return self.watch_cpu(now, instance) };
        if !cpu.on_alarm(now) && !is_asked {
            return;
        }
        let first = cpu.complete(now);
        if first.is_some() {
            while let Some(job) = cpu.complete(now) {
                self.tasks.push_back(Task::Advance(job));
            }
        }
        if is_asked {
            self.watch_cpu(now, instance);
        } else {
            Self::set_alarm(&mut self.queue, &mut self.observer, now, instance, state);
        }
        // Its turn is the first: nothing else can have followed from this event before.
        if let Some(job) = first {
            self.advance(now, job);
        }
    }

    /// A step without a CPU is done.
    pub(super) fn on_step_done(&mut self, now: SimTime, id: FrameId) {
        self.release_free_core(now, id);
        self.advance(now, id);
    }

    fn set_free_core(&mut self, id: FrameId, on: bool) -> Option<u32> {
        match self.frames.get_mut(id).map(|f| &mut f.kind) {
            Some(Kind::Exec(exec)) => std::mem::replace(&mut exec.on_free_core, on).then_some(exec.instance),
            Some(Kind::Branch(branch)) => {
                std::mem::replace(&mut branch.on_free_core, on).then_some(branch.instance)
            }
            _ => None,
        }
    }

    pub(super) fn release_free_core(&mut self, now: SimTime, id: FrameId) {
        if let Some(instance) = self.set_free_core(id, false) {
            self.move_free_core(now, instance, -1);
        }
    }

    /// A core for everyone is used, or is not any more.
    pub(super) fn move_free_core(&mut self, now: SimTime, instance: u32, delta: i64) {
        let state = &mut self.instances[instance as usize];
        self.observer.moved(now, state.meters.cpu, delta * 1000);
        if let Some(meter) = &mut state.meter {
            meter.uses_free(now, delta);
        }
    }

    pub(super) fn meter_requests(&mut self, now: SimTime, instance: u32) {
        let state = &mut self.instances[instance as usize];
        if let Some(meter) = &mut state.meter {
            meter.holds(now, state.execs.len());
        }
    }

    #[inline]
    pub(super) fn take_memory(&mut self, now: SimTime, instance: u32, bytes: i64) {
        if bytes == 0 {
            return;
        }
        let state = &mut self.instances[instance as usize];
        debug_assert!(state.taken.checked_add_signed(bytes).is_some(), "{} {bytes:+} bytes", state.taken);
        state.taken = state.taken.saturating_add_signed(bytes);
        self.observer.moved(now, state.meters.memory, bytes);
    }

    /// Whether an instance uses more memory than its limit.
    pub(super) fn is_out_of_memory(&self, instance: u32) -> bool {
        let state = &self.instances[instance as usize];
        let leaked = || self.runtimes[instance as usize].leaked;
        state.settings.memory.is_some_and(|m| m.base + state.taken + leaked() > m.limit)
    }
}
