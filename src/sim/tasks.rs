//! Services of Amazon ECS: tasks that are found unhealthy are replaced, the replacement first if there is room.
//!
//! A task stands at any of its group's places; there are more places than tasks, so that a replacement can start beside
//! the task that it replaces. After whatever may have changed the picture, `fit_tasks` starts and stops what has to be.

use super::event::Event;
use super::frame::{Frame, Kind};
use super::instances::Condition;
use super::{FrameId, World};
use crate::base::{Outcome, SimTime, mix, uniform_of};
use crate::components::health::TargetHealth;
use crate::components::task_health::{TaskHealth, TaskStatus};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::Model;
use crate::model::life::EcsTask;

/// The salts of the age of the first tasks' schedules, and of checks.
const AGE: u64 = 32;
const CHECKS: u64 = 33;

/// A task.
#[derive(Debug)]
pub(super) struct TaskState {
    health: TaskHealth,
    /// The life that the schedule of checks belongs to; another one when checks begin anew.
    schedule: u32,
    /// When its process started.
    since: SimTime,
    /// Whether it is to be replaced.
    is_doomed: bool,
}

impl TaskState {
    pub fn all(model: &Model) -> Vec<Self> {
        let make = |_| Self {
            health: TaskHealth::new(TaskStatus::Healthy),
            schedule: 0,
            since: SimTime::ZERO,
            is_doomed: false,
        };
        (0..model.instances).map(make).collect()
    }
}

impl<O: Observer> World<'_, O> {
    pub(super) fn ecs(&self, group: u32) -> Option<&EcsTask> {
        self.model.epochs[self.epoch].groups[group as usize].life.ecs.as_ref()
    }

    /// Tasks of the start of the run are healthy; their checks come at moments of their own.
    pub(super) fn start_tasks(&mut self, now: SimTime) {
        for instance in 0..self.instances.len() as u32 {
            let state = &self.instances[instance as usize];
            let (group, life) = (state.group, state.life);
            if let Some((check, _)) = self.ecs(group).and_then(|e| e.check)
                && state.condition == Condition::Up
            {
                let key = self.pod_key(instance);
                let at = now + check.interval.scaled(uniform_of(mix(key, AGE)));
                self.queue.schedule(at, Rank::Probe, Event::TaskCheck { instance, life, schedule: 0 });
            }
        }
    }

    /// The process of a task starts at `at`.
    pub(super) fn task_begins(&mut self, at: SimTime, instance: u32) {
        let group = self.instances[instance as usize].group;
        let Some(ecs) = self.ecs(group) else { return };
        let check = ecs.check;
        self.doom(at, instance, false);
        let state = &mut self.tasks_of_ecs[instance as usize];
        let unchecked = if check.is_some() { TaskStatus::Unknown } else { TaskStatus::Healthy };
        state.health = TaskHealth::new(unchecked);
        state.since = at;
    }

    /// A task's process answers: its checks begin an interval after its start.
    pub(super) fn task_is_up(&mut self, now: SimTime, instance: u32) {
        let state = &self.instances[instance as usize];
        let (group, life) = (state.group, state.life);
        let Some(ecs) = self.ecs(group) else { return };
        if let Some((check, _)) = ecs.check {
            let task = &mut self.tasks_of_ecs[instance as usize];
            task.schedule = task.schedule.wrapping_add(1);
            let schedule = task.schedule;
            let due = task.since + check.interval;
            let event = Event::TaskCheck { instance, life, schedule };
            self.queue.schedule(due.max(now), Rank::Probe, event);
        }
        self.fit_tasks(now, group);
    }

    /// A check of a task's container is due.
    pub(super) fn on_task_check(&mut self, now: SimTime, instance: u32, life: u32, schedule: u32) {
        let state = &self.instances[instance as usize];
        let is_current = state.life == life && self.tasks_of_ecs[instance as usize].schedule == schedule;
        let Some((check, endpoint)) = self.ecs(state.group).and_then(|e| e.check) else { return };
        if !is_current || state.condition != Condition::Up {
            return;
        }
        if let Some(meters) = &self.model.catalog.lives[state.group as usize] {
            self.observer.arrival(meters.task_checks);
        }
        let number = now.ns() / check.interval.ns().max(1);
        let key = mix(mix(mix(self.pod_key(instance), CHECKS), u64::from(life)), number);
        let frame = Frame::new(FrameId::NONE, Kind::TaskCheck { instance, life, schedule, at: now });
        self.send_check(now, frame, (instance, endpoint), check.timeout, key);
    }

    /// A check of a container has its answer, or none in time.
    pub(super) fn end_task_check(&mut self, now: SimTime, id: FrameId, outcome: Outcome) {
        let Some(Frame { kind: Kind::TaskCheck { instance, life, schedule, at }, .. }) =
            self.frames.remove(id)
        else {
            return;
        };
        let state = &self.instances[instance as usize];
        let group = state.group;
        let is_current = state.life == life && self.tasks_of_ecs[instance as usize].schedule == schedule;
        if let Some(meters) = &self.model.catalog.lives[group as usize] {
            self.observer.outcome(meters.task_checks, outcome, now.since(at));
        }
        let Some((check, _)) = self.ecs(group).and_then(|e| e.check) else { return };
        if !is_current {
            return;
        }
        self.after(check.interval, Rank::Probe, Event::TaskCheck { instance, life, schedule });
        let task = &mut self.tasks_of_ecs[instance as usize];
        task.health.on_check(&check, now.since(task.since), outcome.is_success());
        self.judge_task(now, instance);
        self.fit_tasks(now, group);
    }

    /// A balancer has checked a task: the service looks at what it believes.
    pub(super) fn target_of_task_checked(&mut self, now: SimTime, instance: u32) {
        let group = self.instances[instance as usize].group;
        if self.ecs(group).is_some() {
            self.judge_task(now, instance);
            self.fit_tasks(now, group);
        }
    }

    /// Dooms a task that its container's checks or a balancer's find unhealthy, once its time of grace is over.
    fn judge_task(&mut self, now: SimTime, instance: u32) {
        let (group, target) = self.place_of(instance);
        let Some(grace) = self.ecs(group).map(|e| e.grace_period) else { return };
        let task = &self.tasks_of_ecs[instance as usize];
        let is_old_enough = now >= task.since && now.since(task.since) >= grace;
        let by_check = task.health.status() == TaskStatus::Unhealthy;
        let by_balancer = self.model.balancers.iter().zip(&self.balancers).any(|(shape, state)| {
            shape.group == group
                && state.registered[target as usize]
                && state.health[target as usize].state() == TargetHealth::Unhealthy
        });
        let runs = self.instances[instance as usize].condition == Condition::Up;
        if runs && is_old_enough && (by_check || by_balancer) {
            self.doom(now, instance, true);
        }
    }

    /// Whether a task runs and everybody who checks it has found it healthy.
    fn is_proven(&self, instance: u32) -> bool {
        let (group, target) = self.place_of(instance);
        let settings = &self.settings().balancers;
        let all_agree =
            self.model.balancers.iter().zip(settings).zip(&self.balancers).all(|((shape, s), state)| {
                let is_checked = shape.group == group && s.check.is_some();
                !is_checked || state.health[target as usize].state() == TargetHealth::Healthy
            });
        let is_healthy = self.tasks_of_ecs[instance as usize].health.status() == TaskStatus::Healthy;
        self.instances[instance as usize].condition == Condition::Up && is_healthy && all_agree
    }

    fn doom(&mut self, now: SimTime, instance: u32, is_doomed: bool) {
        let task = &mut self.tasks_of_ecs[instance as usize];
        if std::mem::replace(&mut task.is_doomed, is_doomed) == is_doomed {
            return;
        }
        let group = self.instances[instance as usize].group as usize;
        let Some(meters) = &self.model.catalog.lives[group] else { return };
        self.observer.moved(now, meters.unhealthy_tasks, if is_doomed { 1 } else { -1 });
        if is_doomed {
            self.observer.count(meters.replaced);
            self.note(now, Change::TaskUnhealthy { instance });
        }
    }

    /// A task is gone: its place is free.
    pub(super) fn task_is_gone(&mut self, now: SimTime, instance: u32) {
        self.doom(now, instance, false);
        let group = self.instances[instance as usize].group;
        if self.ecs(group).is_some() {
            self.fit_tasks(now, group);
        }
    }

    /// Starts and stops tasks until there are as many as wanted, none of them doomed, as far as that can be done now.
    pub(super) fn fit_tasks(&mut self, now: SimTime, group: u32) {
        let Some(maximum_percent) = self.ecs(group).map(|e| e.maximum_percent) else { return };
        let shape = &self.model.groups[group as usize];
        let places = shape.first..shape.first + shape.capacity;
        let wanted = self.groups[group as usize].wanted as usize;
        let most = (wanted as u64 * u64::from(maximum_percent) / 100) as usize;
        // Each round changes one task.
        loop {
            let is = |i: u32| self.instances[i as usize].condition;
            let is_active = |i: &u32| matches!(is(*i), Condition::Starting | Condition::Up | Condition::Down);
            let is_doomed = |i: &u32| self.tasks_of_ecs[*i as usize].is_doomed;
            let proven = |i: &u32| self.is_proven(*i);
            let active = places.clone().filter(is_active).count();
            let good = places.clone().filter(|i| is_active(i) && !is_doomed(i)).count();
            let sound = places.clone().filter(|i| is_active(i) && !is_doomed(i) && proven(i)).count();
            let doomed = places.clone().rfind(|i| is_active(i) && is_doomed(i));
            let is_free = |i: &u32| is(*i) == Condition::Off;
            let free = places.clone().find(|i| is_free(i) && !self.is_in_lost_zone(*i));
            let free = free.or_else(|| places.clone().find(is_free));
            let (stops, starts) = if good > wanted {
                (places.clone().rfind(|i| is_active(i) && !is_doomed(i)), None)
            } else if doomed.is_some() && (sound >= wanted || sound + (active - good) > wanted) {
                // Enough others serve.
                (doomed, None)
            } else if good < wanted && active < most.max(wanted) && free.is_some() {
                (None, free)
            } else if good < wanted && active >= most.max(wanted) {
                // No room for the replacement: the task goes first.
                (doomed, None)
            } else {
                (None, None)
            };
            match (stops, starts) {
                (Some(instance), _) => self.scale_in(now, instance),
                (None, Some(instance)) => self.scale_out(now, instance),
                (None, None) => return,
            }
        }
    }

    /// New settings of task health.
    pub(super) fn reconfigure_tasks(&mut self, now: SimTime) {
        let model = self.model;
        for group in 0..model.groups.len() {
            let [before, after] =
                [self.previous_epoch(), self.epoch].map(|e| model.epochs[e].groups[group].life.ecs);
            if before == after {
                continue;
            }
            let checks = |ecs: Option<EcsTask>| ecs.and_then(|e| e.check).map(|(c, _)| c.interval);
            let shape = &model.groups[group];
            for instance in shape.first..shape.first + shape.capacity {
                if after.is_none() {
                    self.doom(now, instance, false);
                }
                if checks(before) != checks(after)
                    && self.instances[instance as usize].condition == Condition::Up
                {
                    self.tasks_of_ecs[instance as usize].health = TaskHealth::new(TaskStatus::Healthy);
                    self.tasks_of_ecs[instance as usize].since = now;
                    self.task_is_up(now, instance);
                }
            }
        }
    }
}
