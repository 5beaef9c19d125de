//! How instances die, start again, join, drain and follow settings that change.

use super::endings::Ending;
use super::event::Event;
use super::frame::{Frame, Kind, LayerState};
use super::instances::{Condition, newcomer};
use super::runtimes::{cpu_cores, new_cpu};
use super::shedding::shedder;
use super::{FrameId, Task, World};
use crate::base::{Outcome, SimDuration, SimTime};
use crate::components::queue::{Newcomer, QueueConfig, ShedConfig, WaitQueue};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::{Epoch, Group, GroupKind, HedgeDelay, LayerKind};

/// As many cores as any work can use: each piece uses one at most.
const CORES_FOR_ALL: f64 = 1e9;

impl<O: Observer> World<'_, O> {
    /// Kills an instance's process; it starts again by itself.
    pub(super) fn kill(&mut self, now: SimTime, instance: u32, change: Change) {
        let state = &self.instances[instance as usize];
        let was_draining = state.condition == Condition::Draining && !state.pod.returns;
        if !self.die(now, instance, change) {
            return;
        }
        if was_draining {
            return self.switch_off(now, instance);
        }
        self.start_again(now, instance);
    }

    /// Starts the process of an instance again that has ended.
    fn start_again(&mut self, now: SimTime, instance: u32) {
        self.version_restarts(instance);
        let wait = self.back_off(now, instance);
        let state = &self.instances[instance as usize];
        let settings = self.group_of(instance);
        let path = format!("{}#{}", self.model.instance_name(instance), state.life);
        let mut rng = self.streams.stream(&path, "restart");
        let restart_delay = wait + settings.restart_delay.sample_duration(&mut rng);
        let delay = restart_delay + settings.start_up.sample_duration(&mut rng);
        self.process_begins(now + restart_delay, instance);
        self.instances[instance as usize].condition = Condition::Starting;
        if self.is_pending(instance) {
            return;
        }
        let life = self.instances[instance as usize].life;
        self.queue.schedule(now + delay, Rank::Control, Event::InstanceUp { instance, life });
        self.primary_lost(now, instance, Some(delay));
        if !wait.is_zero() {
            self.enter_back_off(now, instance, now + restart_delay);
        }
    }

    /// Ends an instance's process and fails its requests; `false` if there was none.
    pub(super) fn die(&mut self, now: SimTime, instance: u32, change: Change) -> bool {
        let state = &mut self.instances[instance as usize];
        match state.condition {
            Condition::Up | Condition::Draining => {}
            Condition::Starting => {
                // The start that was under way is void.
                state.life += 1;
                self.process_begins(now, instance);
                return true;
            }
            Condition::Off | Condition::Down => return false,
        }
        let group = state.group as usize;
        self.anybody_killed = true;
        self.anybody_left = true;
        self.note(now, change);
        self.observer.count(self.model.catalog.groups[group].kills);
        self.count_up(now, instance, -1);
        // Before its requests end: the last of a draining instance would stop it once more.
        self.instances[instance as usize].condition = Condition::Starting;
        self.pod_turns(now, instance);
        self.process_begins(now, instance);
        self.consumers_die(now, instance);
        self.empty(now, instance);
        self.instances[instance as usize].life += 1;
        self.discover(instance);
        // Connections are not tied to one of several servers.
        let shape = &self.model.groups[group];
        let mut others = shape.first..shape.first + shape.capacity;
        if shape.kind != GroupKind::Service && !others.any(|i| self.instances[i as usize].answers()) {
            self.break_connections(now, group as u32);
            let open = self.groups[group].connections;
            self.count_connections(now, group as u32, -i64::from(open));
        }
        true
    }

    /// Fails everything that an instance works on, and forgets what its process knew.
    fn empty(&mut self, now: SimTime, instance: u32) {
        let mut gone = std::mem::take(&mut self.scratch);
        let mut jobs = Vec::new();
        let state = &mut self.instances[instance as usize];
        if let Some(cpu) = &mut state.cpu {
            cpu.drain(now, &mut jobs);
        }
        let waiting = state.queue.len() as i64;
        state.queue.drain(&mut gone);
        gone.clear();
        // Nobody goes on with it, but who has outlived the process is to learn that.
        self.tasks.extend(state.parked.drain(..));
        gone.extend_from_slice(&state.execs);
        let (group, target) = self.place_of(instance);
        self.observer.moved(now, self.model.catalog.groups[group as usize].queue, -waiting);
        self.watch_cpu(now, instance);
        for id in &gone {
            let child = self.frames.get(*id).map_or(FrameId::NONE, |f| f.child);
            self.drop_local(now, child);
            self.end(now, *id, Outcome::Error, Ending::Died);
        }
        // Programs that worked on for nobody find that their process is gone.
        self.tasks.extend(jobs.into_iter().map(Task::Advance));
        gone.clear();
        self.scratch = gone;
        self.reset_layers(now, group, target);
    }

    /// Forgets what a dead process knew of its outgoing calls, down to where they left it.
    fn drop_local(&mut self, now: SimTime, id: FrameId) {
        let Some(frame) = self.frames.get(id) else { return };
        let child = frame.child;
        match &frame.kind {
            Kind::Layer { layer, call, state } => {
                let (layer, call, state) = (*layer, *call, *state);
                if self.model.layers[layer as usize].shared {
                    self.drop_layer(now, id, layer, &call, state);
                } else {
                    self.frames.remove(id);
                }
                if matches!(state, LayerState::Hedge { .. }) {
                    return self.drop_attempts(now, child);
                }
                self.drop_local(now, child);
            }
            Kind::Join { .. } => {
                self.drop_branches(now, child);
                self.frames.remove(id);
            }
            Kind::Repeat { .. } | Kind::Optional | Kind::Lock { .. } => {
                self.frames.remove(id);
                self.drop_branches(now, child);
            }
            // What has left the process goes on for nobody.
            Kind::Exec(_)
            | Kind::Attempt { .. }
            | Kind::Balanced(_)
            | Kind::Branch(_)
            | Kind::Request(_)
            | Kind::Check { .. }
            | Kind::Connecting { .. }
            | Kind::Probe { .. }
            | Kind::TaskCheck { .. }
            | Kind::Message { .. }
            | Kind::Wire(_) => {}
        }
    }

    /// Forgets the attempts of a dead process's hedge, from the last one put in place.
    fn drop_attempts(&mut self, now: SimTime, first: FrameId) {
        let mut id = first;
        while let Some(Frame { kind: Kind::Layer { state: LayerState::Attempt { next, .. }, .. }, .. }) =
            self.frames.get(id)
        {
            let next = *next;
            self.drop_local(now, id);
            id = next;
        }
    }

    /// Forgets the branches of a dead process, from the last one put in place.
    fn drop_branches(&mut self, now: SimTime, first: FrameId) {
        let mut id = first;
        while let Some(Frame { kind: Kind::Branch(branch), child, .. }) = self.frames.get(id) {
            let (next, child) = (branch.next, *child);
            self.release_free_core(now, id);
            self.frames.remove(id);
            self.drop_local(now, child);
            id = next;
        }
    }

    /// A new process has new breakers, pools, bulkheads, budgets, caches and rate limits.
    pub(super) fn reset_layers(&mut self, now: SimTime, group: u32, target: u32) {
        let model = self.model;
        let mut epochs: Vec<&Epoch> =
            self.past.iter().chain([&self.epoch]).map(|epoch| &model.epochs[*epoch]).collect();
        epochs.extend(self.own_settings(model.groups[group as usize].first + target));
        let slots = epochs.iter().enumerate().flat_map(|(e, epoch)| epoch.slots.iter().map(move |s| (e, s)));
        for (epoch, slot) in slots {
            // Settings that keep a state no more leave it to the calls that still use it; the last word on it counts.
            if epochs[epoch + 1..].iter().any(|later| later.slots.iter().any(|s| s.meters == slot.meters)) {
                continue;
            }
            let layer = &model.layers[slot.layer as usize];
            let is_ours = model.edges[slot.edge as usize].caller == crate::model::Caller::Group(group);
            if !is_ours || layer.shared {
                continue;
            }
            let index = (slot.first + target) as usize;
            match &layer.kind {
                LayerKind::Breaker(config) => self.reset_breaker(now, index, *config),
                LayerKind::Pool { .. } => self.reset_pool(now, index),
                LayerKind::Bulkhead { config } => self.reset_bulkhead(now, index, *config),
                LayerKind::Retry { budget: Some(config), .. }
                | LayerKind::Hedge { budget: Some(config), .. } => {
                    self.budgets[index] = crate::components::budget::family::AnyBudget::new(config, now);
                }
                LayerKind::Hedge { delay: HedgeDelay::Percentile(config), .. } => {
                    self.latencies[index] = crate::components::percentile::Percentile::new(*config, now);
                }
                LayerKind::Connect(config) => {
                    self.connects[index] = super::connects::ConnectState::new(config);
                }
                LayerKind::Fallback { .. } => self.caches[index] = None,
                LayerKind::RateLimit { config, keys, .. } => {
                    let first = slot.first + target * keys;
                    (first..first + keys).for_each(|i| self.reset_rate_limit(now, i as usize, *config));
                }
                LayerKind::ConcurrencyLimit { config, .. } => self.reset_limiter(now, index, *config),
                LayerKind::Throttle { config, .. } => {
                    self.throttles[index].throttle = crate::components::throttling::Throttle::new(*config);
                }
                _ => {}
            }
        }
        let instance = model.groups[group as usize].first + target;
        self.reset_door(now, instance, self.group_of(instance));
        self.reset_environments(now, instance, true);
        self.instances[instance as usize].shedder = shedder(self.group_of(instance));
        self.reset_caches(now, group, target);
        self.reset_locks(now, group, target);
    }

    /// An instance has started.
    pub(super) fn on_instance_up(&mut self, now: SimTime, instance: u32, life: u32) {
        let state = &mut self.instances[instance as usize];
        if state.life != life || state.condition != Condition::Starting {
            return;
        }
        state.condition = Condition::Up;
        self.note(now, Change::Up { instance });
        if !self.instances[instance as usize].pod.unready {
            self.pod_turns(now, instance);
        }
        self.count_up(now, instance, 1);
        let settings = self.group_of(instance);
        let phase = self.quota_phase(instance);
        let state = &mut self.instances[instance as usize];
        state.cpu = new_cpu(settings, now, phase);
        self.runtime_is_up(now, instance);
        self.apply_faults(now, instance);
        self.start_pools(now);
        self.join(now, instance, false);
        self.go_on_applying(now, instance);
        self.primary_back(now, instance);
        if self.instances[instance as usize].condition != Condition::Up {
            return self.discover(instance);
        }
        self.task_is_up(now, instance);
        self.leave_activator(now, instance);
        self.consumers_begin(now, instance);
    }

    /// An instance that drains has no time left: what it still works on is cut off.
    pub(super) fn on_drain_end(&mut self, now: SimTime, instance: u32, life: u32) {
        let state = &self.instances[instance as usize];
        // One that drains anew has another end.
        let is_due = state.drain_ends.is_some_and(|ends| ends <= now);
        if state.life == life && state.condition == Condition::Draining && is_due {
            self.anybody_killed = true;
            self.anybody_left = true;
            self.count_sigkill(instance);
            // From now on nothing keeps it.
            self.instances[instance as usize].pod.stays = false;
            self.consumers_die(now, instance);
            self.empty(now, instance);
            // The last request that was cut off has stopped it already.
            self.stop(now, instance);
        }
    }

    /// An instance that scaled in is gone.
    pub(super) fn stop(&mut self, now: SimTime, instance: u32) {
        if self.instances[instance as usize].condition != Condition::Draining {
            return;
        }
        self.count_up(now, instance, -1);
        let (group, target) = self.place_of(instance);
        let state = &mut self.instances[instance as usize];
        state.condition = Condition::Off;
        state.life += 1;
        self.anybody_killed = true;
        // What it still did for nobody ends with it.
        let mut jobs = Vec::new();
        if let Some(cpu) = &mut self.instances[instance as usize].cpu {
            cpu.drain(now, &mut jobs);
        }
        self.watch_cpu(now, instance);
        self.tasks.extend(jobs.into_iter().map(Task::Advance));
        let parked = std::mem::take(&mut self.instances[instance as usize].parked);
        self.tasks.extend(parked);
        self.reset_layers(now, group, target);
        self.end_termination(now, instance);
        if self.instances[instance as usize].pod.returns {
            self.process_begins(now, instance);
            self.start_again(now, instance);
            return self.discover(instance);
        }
        self.note(now, Change::Stopped { instance });
        self.switch_off(now, instance);
    }

    /// An instance is wanted no more and has no process: its balancers and faults forget it.
    pub(super) fn switch_off(&mut self, now: SimTime, instance: u32) {
        self.instances[instance as usize].condition = Condition::Off;
        if !self.instances[instance as usize].pod.lingers {
            self.leave_balancers(now, instance);
        }
        self.discover(instance);
        self.forget_failures(now, instance);
        self.instances[instance as usize].faults.clear();
        self.apply_faults(now, instance);
        self.pod_is_gone(now, instance);
        self.leave_node(now, instance);
        self.leave_fleet(now, instance);
    }

    // ---- settings ----

    /// New settings for all groups: more or fewer instances, cores, queues.
    pub(super) fn reconfigure_groups(&mut self, now: SimTime) {
        let model = self.model;
        let epochs = [self.previous_epoch(), self.epoch];
        for (group, shape) in model.groups.iter().enumerate() {
            let [old, new] = epochs.map(|epoch| &model.epochs[epoch].groups[group]);
            // What an autoscaler has made of the replicas stays, unless the change names them.
            let is_scaled = model.autoscalers.iter().any(|a| a.group as usize == group);
            if !is_scaled || new.replicas_said != old.replicas_said {
                self.want(now, group as u32, new.replicas);
            }
            let wanted = self.groups[group].wanted;
            let is_fitted = new.life.ecs.is_some() || self.is_deployed(group as u32);
            let is_scattered = !is_fitted && self.is_scattered(group as u32);
            for target in 0..shape.capacity {
                let instance = shape.first + target;
                let version = self.instances[instance as usize].version;
                let [old, new] = epochs.map(|e| &model.settings_of(version, e).groups[group]);
                self.reconfigure_instance(now, instance, old, new);
                if is_fitted || is_scattered {
                    continue;
                }
                if target < wanted {
                    self.scale_out(now, instance);
                } else {
                    self.scale_in(now, instance);
                }
            }
            if is_scattered {
                self.fit_scattered(now, group as u32);
            }
            self.fit_tasks(now, group as u32);
            self.fleet_moved(group as u32);
        }
        self.reconfigure_tasks(now);
        self.reconfigure_pods(now);
    }

    fn reconfigure_instance(&mut self, now: SimTime, instance: u32, old: &Group, new: &Group) {
        let state = &mut self.instances[instance as usize];
        let group = state.group as usize;
        if state.answers() {
            let model = self.model;
            let meters = &model.catalog.groups[group];
            let cores = |g: &Group| g.cores.map_or(0, |c| (c * 1e3) as i64);
            let workers = |g: &Group| i64::from(g.workers.unwrap_or(0));
            let memory = |g: &Group| g.memory.map_or(0, |m| m.base as i64);
            self.observer.moved(now, meters.memory, memory(new) - memory(old));
            self.observer.moved(now, meters.cores, cores(new) - cores(old));
            self.observer.moved(now, meters.workers, workers(new) - workers(old));
        }
        self.reconfigure_door(now, instance, old, new);
        self.reconfigure_shedder(instance, old, new);
        let (queue, before) = (&new.queue, &old.queue);
        if queue.discipline == before.discipline && queue.shed == before.shed {
            self.instances[instance as usize].queue.set_bounds(queue.capacity, queue.bytes_max);
        } else {
            self.requeue(now, instance, new);
        }
        let state = &mut self.instances[instance as usize];
        match (&mut state.cpu, cpu_cores(new)) {
            // A limit that is lifted leaves a core for everyone.
            (Some(cpu), cores) => {
                cpu.set_cores(now, cores.unwrap_or(CORES_FOR_ALL));
                cpu.set_contention(now, new.contention.0, new.contention.1);
                self.watch_cpu(now, instance);
            }
            (None, Some(_)) => {
                state.cpu = new_cpu(new, now, 1.0);
                self.apply_faults(now, instance);
            }
            (None, None) => {}
        }
        self.reconfigure_runtime(now, instance, old, new);
        self.serve_next(now, instance);
    }

    /// Those who wait stand in line anew, under another discipline, in the order in which they came. Nobody is turned
    /// away by that.
    fn requeue(&mut self, now: SimTime, instance: u32, new: &Group) {
        let mut waiting = Vec::new();
        let state = &mut self.instances[instance as usize];
        let shape = &self.model.groups[state.group as usize];
        state.queue.drain(&mut waiting);
        let patient =
            QueueConfig { shed: ShedConfig::None, capacity: None, bytes_max: None, ..new.queue.clone() };
        state.queue = WaitQueue::new(patient);
        let mut waiting: Vec<Newcomer<FrameId>> = waiting
            .into_iter()
            .filter_map(|id| match self.frames.get(id).map(|f| &f.kind) {
                Some(Kind::Exec(exec)) => {
                    let as_called = (exec.priority, exec.tenant, exec.run.key);
                    Some(newcomer(new, shape, exec.at, (id, exec.endpoint), as_called))
                }
                _ => None,
            })
            .collect();
        waiting.sort_by_key(|newcomer| newcomer.at);
        let state = &mut self.instances[instance as usize];
        for newcomer in waiting {
            state.queue.push(now, newcomer, 1.0);
        }
        state.queue.set_shed(new.queue.shed);
        state.queue.set_bounds(new.queue.capacity, new.queue.bytes_max);
    }

    pub(super) fn scale_out(&mut self, now: SimTime, instance: u32) {
        let state = &mut self.instances[instance as usize];
        match state.condition {
            Condition::Off => {
                if !self.can_launch(now, instance) {
                    return;
                }
                self.instances[instance as usize].condition = Condition::Starting;
                self.pod_begins(now, instance);
                self.process_begins(now, instance);
                self.strike_newcomer(now, instance);
                if self.instances[instance as usize].condition != Condition::Starting {
                    return;
                }
                self.note(now, Change::Starting { instance });
                if let Some(pull) = self.place_pod(now, instance) {
                    self.process_begins(now + pull, instance);
                    self.start_pod(now, instance, pull);
                }
            }
            Condition::Draining => {
                if self.is_doomed(instance) || self.is_evicted(instance) || self.wants_again(instance) {
                    return;
                }
                let state = &mut self.instances[instance as usize];
                state.condition = Condition::Up;
                state.drain_ends = None;
                self.join(now, instance, false);
                self.consumers_begin(now, instance);
            }
            Condition::Starting | Condition::Up | Condition::Down => {}
        }
    }

    pub(super) fn scale_in(&mut self, now: SimTime, instance: u32) {
        let state = &mut self.instances[instance as usize];
        match state.condition {
            Condition::Up => {
                if self.begin_termination(now, instance, false) {
                    return;
                }
                let state = &mut self.instances[instance as usize];
                state.condition = Condition::Draining;
                let (life, group) = (state.life, state.group);
                self.note(now, Change::Draining { instance });
                self.leave_balancers(now, instance);
                self.consumers_leave(now, instance);
                self.discover(instance);
                let delays = self.model.balancers.iter().zip(&self.settings().balancers);
                let delay =
                    delays.filter(|(b, _)| b.group == group).map(|(_, s)| s.deregistration_delay).max();
                // A task of ECS gets SIGTERM after that, and has some time more.
                let delay = match self.ecs(group) {
                    Some(ecs) => Some(delay.unwrap_or(SimDuration::ZERO) + ecs.stop_timeout),
                    None => delay,
                };
                if self.instances[instance as usize].execs.is_empty() {
                    self.stop(now, instance);
                } else if let Some(delay) = delay {
                    self.instances[instance as usize].drain_ends = Some(now + delay);
                    self.queue.schedule(now + delay, Rank::Control, Event::DrainEnd { instance, life });
                }
            }
            Condition::Starting | Condition::Down => {
                // Who waits for it with an activator.
                if !state.execs.is_empty() {
                    self.empty(now, instance);
                }
                self.instances[instance as usize].life += 1;
                self.switch_off(now, instance);
            }
            Condition::Draining => self.wants_no_more(now, instance),
            Condition::Off => {}
        }
    }
}
