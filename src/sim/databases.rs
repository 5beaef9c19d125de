//! What databases do beside computing: disks, locks, and queries that are ended from outside.

use super::endings::Ending;
use super::event::Event;
use super::frame::{Frame, Kind, Stage};
use super::programs::Host;
use super::{FrameId, World};
use crate::base::{Outcome, SimDuration, SimTime, mix, uniform_of};
use crate::components::locks::LockTable;
use crate::components::volume::{Volume, VolumeConfig};
use crate::engine::Rank;
use crate::metrics::Observer;
use crate::model::{Epoch, Model};

/// The salt of the row that a program locks, if its request has no key.
const ROW: u64 = 1;

/// Steps of the gauge of credits for all of them.
const CREDIT_STEPS: f64 = 1e6;

/// A volume and what its gauge shows. Most instances have none.
#[derive(Debug)]
pub(super) struct VolumeState {
    volume: Volume,
    shown: i64,
}

impl VolumeState {
    fn new(config: VolumeConfig) -> Box<Self> {
        Box::new(Self { volume: Volume::new(config), shown: 0 })
    }
}

/// The volumes of all instances, by instance.
pub(super) fn volumes(model: &Model, epoch: &Epoch) -> Vec<Option<Box<VolumeState>>> {
    let of_group = |(group, shape): (usize, &crate::model::GroupShape)| {
        let config = epoch.groups[group].volume;
        (0..shape.capacity).map(move |_| config.map(VolumeState::new))
    };
    model.groups.iter().enumerate().flat_map(of_group).collect()
}

/// The lock tables of all instances: each lock has one for each instance that its group may have.
pub(super) fn lock_tables(model: &Model) -> Vec<Vec<LockTable<FrameId>>> {
    let tables = |lock: &crate::model::LockShape| {
        let capacity = model.groups[lock.group as usize].capacity;
        (0..capacity).map(|_| LockTable::default()).collect()
    };
    model.locks.iter().map(tables).collect()
}

impl<O: Observer> World<'_, O> {
    // ---- disks ----

    /// A program uses its instance's volume; how long that takes.
    pub(super) fn use_volume(
        &mut self,
        now: SimTime,
        instance: u32,
        operations: u32,
        bytes: u64,
    ) -> SimDuration {
        let Some(state) = &mut self.volumes[instance as usize] else { return SimDuration::ZERO };
        let time = state.volume.submit(now, operations, bytes * u64::from(operations));
        let group = self.instances[instance as usize].group as usize;
        let meters = self.model.catalog.volumes[group];
        self.observer.count_many(meters.operations, u64::from(operations));
        self.observer.timed(meters.time, time);
        self.show_credits(now, instance);
        time
    }

    /// The storage of an instance takes so many times as long as its settings say.
    pub(super) fn set_volume_factor(&mut self, instance: u32, factor: f64) {
        if let Some(state) = &mut self.volumes[instance as usize] {
            state.volume.set_factor(factor);
        }
    }

    /// The credits of an instance's storage are used up.
    pub(super) fn use_up_credits(&mut self, now: SimTime, instance: u32) {
        if let Some(state) = &mut self.volumes[instance as usize] {
            state.volume.use_up_credits(now);
        }
        self.show_credits(now, instance);
    }

    fn show_credits(&mut self, now: SimTime, instance: u32) {
        let Some(state) = &mut self.volumes[instance as usize] else { return };
        let is = (state.volume.credit_ratio(now) * CREDIT_STEPS) as i64;
        let was = std::mem::replace(&mut state.shown, is);
        let group = self.instances[instance as usize].group as usize;
        if is != was {
            self.observer.moved(now, self.model.catalog.volumes[group].credits, is - was);
        }
    }

    /// Puts the gauges of credits at their levels at the start.
    pub(super) fn start_volumes(&mut self, now: SimTime) {
        for instance in 0..self.instances.len() as u32 {
            self.show_credits(now, instance);
        }
    }

    /// New settings for the volumes.
    pub(super) fn reconfigure_volumes(&mut self, now: SimTime) {
        for instance in 0..self.instances.len() {
            let group = self.instances[instance].group as usize;
            let config = self.settings().groups[group].volume;
            match (&mut self.volumes[instance], config) {
                (Some(state), Some(config)) => state.volume.reconfigure(config),
                (slot, Some(config)) => *slot = Some(VolumeState::new(config)),
                // Steps that have begun under the old settings may still use it.
                (_, None) => {}
            }
            self.show_credits(now, instance as u32);
        }
    }

    // ---- locks ----

    /// A program needs a row before it goes on with what stands under the lock.
    pub(super) fn lock(
        &mut self,
        now: SimTime,
        id: FrameId,
        (lock, rows, body): (u32, u32, u32),
        key: u64,
        host: Host,
    ) {
        let row = if host.is_keyed {
            host.affinity % rows
        } else {
            (uniform_of(mix(key, ROW)) * f64::from(rows)) as u32
        };
        let instance = host.instance;
        let kind = Kind::Lock { lock, row, body, instance, key, since: now, waits: false };
        let frame = self.push_frame(Frame::new(id, kind));
        let (_, target) = self.place_of(host.instance);
        if self.locks[lock as usize][target as usize].acquire(row, frame) {
            return self.locked(now, frame);
        }
        if let Some(Frame { kind: Kind::Lock { waits, .. }, .. }) = self.frames.get_mut(frame) {
            *waits = true;
        }
        self.observer.moved(now, self.model.catalog.locks[lock as usize].waiting, 1);
        if let Some(limit) = self.group_of(host.instance).lock_timeout {
            self.after(limit, Rank::Timer, Event::Timer(frame));
        }
    }

    /// A program has its lock and goes on.
    fn locked(&mut self, now: SimTime, frame: FrameId) {
        let Some(Frame { kind: Kind::Lock { lock, body, key, since, waits, .. }, parent, .. }) =
            self.frames.get_mut(frame)
        else {
            return;
        };
        let (lock, body, key, since, parent) = (*lock, *body, *key, *since, *parent);
        let waited = std::mem::replace(waits, false);
        let meters = self.model.catalog.locks[lock as usize];
        self.observer.moved(now, meters.waiting, -i64::from(waited));
        self.observer.timed(meters.wait, now.since(since));
        match self.runner(now, parent) {
            Some((_, host)) => self.branch(frame, body, key, host, FrameId::NONE),
            None => self.unlock(now, frame),
        }
    }

    /// A frame with a lock is removed: it gives its lock back, or its place in line.
    pub(super) fn unlock(&mut self, now: SimTime, frame: FrameId) {
        let Some(Frame { kind: Kind::Lock { lock, row, instance, waits, .. }, .. }) =
            self.frames.remove(frame)
        else {
            return;
        };
        let meters = self.model.catalog.locks[lock as usize];
        self.observer.moved(now, meters.waiting, -i64::from(waits));
        let (_, target) = self.place_of(instance);
        if let Some(next) = self.locks[lock as usize][target as usize].release(row, frame) {
            self.locked(now, next);
        }
    }

    /// A program has waited too long for a lock.
    pub(super) fn lock_timed_out(&mut self, now: SimTime, frame: FrameId) {
        let Some(Frame { kind: Kind::Lock { lock, instance, waits: true, .. }, parent, .. }) =
            self.frames.get(frame)
        else {
            return;
        };
        let (lock, instance, parent) = (*lock, *instance, *parent);
        if self.instances[instance as usize].is_hung {
            return self.park(instance, super::Task::Timer(frame));
        }
        self.observer.count(self.model.catalog.locks[lock as usize].timeouts);
        self.unlock(now, frame);
        self.resume(now, parent, Outcome::Error);
    }

    /// A process is gone, and its locks with it.
    pub(super) fn reset_locks(&mut self, now: SimTime, group: u32, target: u32) {
        for lock in 0..self.locks.len() {
            if self.model.locks[lock].group != group {
                continue;
            }
            for waiter in self.locks[lock][target as usize].reset() {
                // Those whose requests are gone already: nothing else would find them.
                self.observer.moved(now, self.model.catalog.locks[lock].waiting, -1);
                self.forget_program(now, waiter);
            }
        }
    }

    // ---- operators ----

    /// Ends the queries of a database that have run for so long, or longer.
    pub(super) fn kill_queries(&mut self, now: SimTime, group: u32, longer_than: SimDuration) {
        let shape = &self.model.groups[group as usize];
        for instance in shape.first..shape.first + shape.capacity {
            let execs = self.instances[instance as usize].execs.clone();
            for id in execs {
                let Some(Frame { kind: Kind::Exec(exec), child, .. }) = self.frames.get(id) else { continue };
                if exec.stage != Stage::Running || now.since(exec.at) < longer_than {
                    continue;
                }
                let child = *child;
                self.anybody_left = true;
                self.stop_programs(now, child);
                self.end(now, id, Outcome::Error, Ending::Stopped);
            }
        }
    }
}
