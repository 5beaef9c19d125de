//! What faults do to queues, caches, connections, disks and memory, beside keeping instances away.

use super::endings::Ending;
use super::frame::{Frame, Kind};
use super::queues::QueueState;
use super::script::{Blow, Effect};
use super::{FrameId, World};
use crate::base::{Outcome, SimDuration, SimTime, mix, salt, uniform_of};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::LayerKind;

use super::event::Event;

impl<O: Observer> World<'_, O> {
    // ---- queues ----

    /// A blow strikes a queue, or is over.
    pub(super) fn strike_queue(&mut self, now: SimTime, queue: u32, blow: &Blow, begins: bool) {
        match blow {
            Blow::Down => self.broker_fails(now, queue, begins),
            Blow::Hang => {
                let hung = &mut self.queues[queue as usize].trouble.hung;
                *hung = if begins { *hung + 1 } else { hung.saturating_sub(1) };
                self.broker_fails(now, queue, begins);
            }
            _ => self.trouble_queue(queue),
        }
    }

    /// What of the faults that last strikes publishers of a queue is put together.
    pub(super) fn trouble_queue(&mut self, queue: u32) {
        let (mut errors, mut latency) = (1.0, None);
        for fault in &self.lasting {
            let Effect::Strikes { queues, blow, .. } = &self.script.faults[*fault as usize].effect else {
                continue;
            };
            if !queues.contains(&queue) {
                continue;
            }
            match blow {
                Blow::Errors(ratio) => errors *= 1.0 - ratio * self.strength(*fault),
                Blow::Latency(_) => latency = Some(*fault),
                _ => {}
            }
        }
        let trouble = &mut self.queues[queue as usize].trouble;
        (trouble.errors, trouble.latency) = (1.0 - errors, latency);
    }

    /// Whether a broker refuses a message that it could take.
    pub(super) fn is_refused(&self, queue: u32, key: u64) -> bool {
        let errors = self.queues[queue as usize].trouble.errors;
        errors > 0.0 && uniform_of(mix(key, salt("broker errors"))) < errors
    }

    /// What a slow broker adds to the time until a message is confirmed, or is with its consumer.
    pub(super) fn slow_broker(&self, queue: u32, key: u64) -> Option<SimDuration> {
        let fault = self.queues[queue as usize].trouble.latency?;
        Some(self.fault_latency(fault, key).scaled(self.strength(fault)))
    }

    /// The next messages of a queue are poisoned.
    pub(super) fn poison(&mut self, queue: u32, count: u32) {
        let poison = &mut self.queues[queue as usize].trouble.poison;
        *poison = poison.saturating_add(count);
    }

    // ---- caches ----

    /// Caches lose all that they have; some are away from then on.
    pub(super) fn empty_caches(&mut self, now: SimTime, caches: &[u32], away: bool) {
        for cache in caches {
            self.empty_cache(now, *cache as usize);
            self.stores[*cache as usize].away += u32::from(away);
        }
    }

    /// Caches are there again.
    pub(super) fn caches_return(&mut self, caches: &[u32]) {
        for cache in caches {
            let away = &mut self.stores[*cache as usize].away;
            *away = away.saturating_sub(1);
        }
    }

    // ---- connections ----

    /// The next connection that one of these pools should get back is lost to it.
    pub(super) fn lose_connection(&mut self, pools: &[u32], draw: f64) {
        let runs = |pool: &&u32| self.pool_runs(**pool as usize);
        let count = pools.iter().filter(runs).count();
        let at = ((draw * count as f64) as usize).min(count.saturating_sub(1));
        let chosen = pools.iter().filter(runs).nth(at).copied();
        if let Some(pool) = chosen {
            self.pool_states[pool as usize].owed += 1;
        }
    }

    /// All connections to a group break. Its processes live on.
    pub(super) fn disconnect(&mut self, now: SimTime, group: u32) {
        let shape = &self.model.groups[group as usize];
        for instance in shape.first..shape.first + shape.capacity {
            let execs: Vec<FrameId> = self.instances[instance as usize].execs.clone();
            for id in execs {
                let Some(Frame { kind: Kind::Exec(exec), child, .. }) = self.frames.get(id) else { continue };
                if exec.is_check {
                    continue;
                }
                let child = *child;
                self.anybody_left = true;
                self.stop_programs(now, child);
                self.end(now, id, Outcome::Error, Ending::Stopped);
            }
        }
        for pool in 0..self.pools.len() {
            if self.pool_states[pool].group == group && self.pooler_before(pool).is_none() {
                let open = std::mem::take(&mut self.pool_states[pool].open);
                self.count_open(now, pool, -i64::from(open));
            }
        }
        self.break_connections(now, group);
        for slot in &self.settings().slots {
            if let LayerKind::Connect(config) = &self.model.layers[slot.layer as usize].kind
                && slot.callee_group == group
            {
                for index in slot.first..slot.first + slot.count {
                    self.connects[index as usize] = super::connects::ConnectState::new(config);
                }
            }
        }
    }

    // ---- processes ----

    /// A process leaks.
    pub(super) fn leak(&mut self, now: SimTime, instance: u32, bytes: u64) {
        if bytes == 0 || self.runtimes[instance as usize].is_hung {
            return;
        }
        self.runtimes[instance as usize].leaked += bytes;
        self.count_leak(now, instance, bytes as i64);
        if self.is_out_of_memory(instance) {
            self.kill(now, instance, Change::OutOfMemory { instance });
        }
    }

    /// A process stands still for a while, unless it does already.
    pub(super) fn pause(&mut self, now: SimTime, instance: u32, time: SimDuration) {
        if self.runtimes[instance as usize].is_paused || time.is_zero() {
            return;
        }
        let group = self.instances[instance as usize].group as usize;
        if let Some(meters) = &self.model.catalog.runtimes[group] {
            self.observer.timed(meters.pause, time);
        }
        let life = self.instances[instance as usize].life;
        self.set_paused(now, instance, true);
        self.queue.schedule(now + time, Rank::Completion, Event::PauseEnd { instance, life });
    }

    /// How long work takes on a core for everyone of which a share is stolen.
    pub(super) fn stolen(&self, instance: u32, work: SimDuration) -> SimDuration {
        let speed = self.runtimes[instance as usize].speed;
        if speed < 1.0 { work.scaled(1.0 / speed) } else { work }
    }

    /// Moves the gauge of stolen CPU time to what an instance is missing now.
    pub(super) fn watch_steal(&mut self, now: SimTime, instance: u32, runs: bool) {
        let group = self.instances[instance as usize].group as usize;
        let Some(meter) = self.model.catalog.stolen.get(group).copied().flatten() else { return };
        let state = &mut self.runtimes[instance as usize];
        let is = if runs { ((1.0 - state.speed) * 1e6 + 0.5) as i64 } else { 0 };
        let was = std::mem::replace(&mut state.stolen, is);
        if is != was {
            self.observer.moved(now, meter.stolen, is - was);
        }
        let there = if runs { 1_000_000 } else { 0 };
        let was = std::mem::replace(&mut state.there, there);
        if there != was {
            self.observer.moved(now, meter.there, there - was);
        }
    }
}

/// What faults do to a queue beside taking its broker away.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Faults that let the broker hang: publishers wait.
    pub hung: u32,
    /// The share of messages that it refuses.
    pub errors: f64,
    /// The fault that makes it slow.
    pub latency: Option<u32>,
    /// Messages that are still to be poisoned.
    pub poison: u32,
}

impl QueueState {
    /// Whether the broker is away, and says so.
    pub fn refuses(&self) -> bool {
        self.down_count() > self.trouble.hung
    }
}
