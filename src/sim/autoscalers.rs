//! Autoscalers: what is measured of instances for them, and what becomes of what they decide.
//!
//! Instances of a service with an autoscaler are its pods. They are measured for it whether or not anybody observes
//! the run: at every `metric_resolution` a pod's mean use since the last time is taken, if its process was there all
//! the while. At a moment when both are due, pods are measured first and the autoscaler looks then.

mod aws;
mod hpa;
mod keda;
mod knative;
mod nodes;
mod schedule;

use super::World;
use super::event::Event;
use super::instances::Condition;
use crate::base::{SimDuration, SimTime};
use crate::components::hpa::{Moment, Sample};
use crate::components::keda::Keda;
use crate::components::nodes::Nodes;
use crate::components::schedule::Schedule;
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::{Autoscaler, AutoscalerShape, Epoch, Model};
use aws::AwsState;
use hpa::HpaState;
use knative::KnativeState;
use std::collections::VecDeque;

/// When pods started that are there from the start of the run: so long before that nothing waits for them any more.
const LONG_AGO: Moment = -(1 << 60);

/// An autoscaler as a run has it.
#[derive(Debug)]
pub(super) struct AutoscalerState {
    kind: Kind,
    /// Raised to drop the look that is scheduled.
    generation: u32,
    /// When instances were last measured, and when they will be next.
    measured_at: SimTime,
    measures_at: SimTime,
}

/// What an autoscaler of a kind remembers.
#[derive(Debug)]
enum Kind {
    Hpa(HpaState),
    Aws(AwsState),
    Scheduled(Schedule),
    Knative(KnativeState),
    Keda(Keda),
    Nodes(Nodes),
}

impl AutoscalerState {
    pub fn all(model: &Model, epoch: &Epoch) -> Vec<Self> {
        let make = |(shape, settings): (&AutoscalerShape, &Autoscaler)| Self {
            kind: match settings {
                Autoscaler::Hpa(hpa) => Kind::Hpa(HpaState::new(hpa)),
                Autoscaler::Aws(aws) => {
                    Kind::Aws(AwsState::new(aws, model.groups[shape.group as usize].capacity))
                }
                Autoscaler::Scheduled(actions) => Kind::Scheduled(Schedule::new(actions.clone())),
                Autoscaler::Nodes(settings) => Kind::Nodes(nodes::at_start(model, epoch, shape, settings)),
                Autoscaler::Keda(keda) => Kind::Keda(Keda::new(keda.config.clone())),
                Autoscaler::Knative(knative) => {
                    let ready = epoch.groups[shape.group as usize].replicas;
                    Kind::Knative(KnativeState::new(knative, SimTime::ZERO, ready))
                }
            },
            generation: 0,
            measured_at: SimTime::ZERO,
            measures_at: SimTime::ZERO + settings.measured_every().unwrap_or(SimDuration::ZERO),
        };
        model.autoscalers.iter().zip(&epoch.autoscalers).map(make).collect()
    }
}

/// What an instance has used since it last became ready, or ceased to be.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    /// How often it has.
    turns: u32,
    /// In core-nanoseconds and request-nanoseconds.
    core_ns: f64,
    request_ns: f64,
    /// Request-nanoseconds ever.
    held_ns: f64,
    /// Requests that have come, ever.
    requests: u64,
}

/// What is measured of an instance for its autoscaler.
#[derive(Clone, Debug)]
pub(super) struct PodMeter {
    /// When the pod started.
    started: Moment,
    /// When it last became ready, or ceased to be.
    transition: Moment,
    /// When its process started.
    process_since: SimTime,
    /// Up to when use was added up.
    since: SimTime,
    /// Cores in use, on the CPU and as cores for everyone.
    cores: f64,
    free_cores: i64,
    /// Requests waiting or executed.
    requests: usize,
    /// Use since the last measurement, in core-nanoseconds and request-nanoseconds.
    core_ns: f64,
    request_ns: f64,
    totals: Totals,
    /// Whether the pod waits for a node.
    is_pending: bool,
    /// The last measurements that are seen.
    cpu: Option<Sample>,
    in_flight: Option<Sample>,
    memory: Option<Sample>,
    /// Those that will be, and when.
    under_way: VecDeque<(SimTime, [Option<Sample>; 3])>,
}

impl PodMeter {
    /// The meter of an instance, if its group has an autoscaler.
    pub fn of(model: &Model, group: u32) -> Option<Self> {
        model.autoscalers.iter().any(|a| a.group == group).then_some(Self {
            started: LONG_AGO,
            transition: LONG_AGO,
            process_since: SimTime::ZERO,
            since: SimTime::ZERO,
            cores: 0.0,
            free_cores: 0,
            requests: 0,
            core_ns: 0.0,
            request_ns: 0.0,
            totals: Totals::default(),
            is_pending: false,
            cpu: None,
            in_flight: None,
            memory: None,
            under_way: VecDeque::new(),
        })
    }

    #[inline]
    fn advance(&mut self, now: SimTime) {
        // Most is told twice at a moment: of the CPU and of the requests.
        if now != self.since {
            self.add_up(now);
        }
    }

    fn add_up(&mut self, now: SimTime) {
        let ns = now.since(self.since).ns() as f64;
        let core_ns = (self.cores + self.free_cores as f64) * ns;
        let request_ns = self.requests as f64 * ns;
        self.core_ns += core_ns;
        self.request_ns += request_ns;
        self.totals.core_ns += core_ns;
        self.totals.request_ns += request_ns;
        self.totals.held_ns += request_ns;
        self.since = now;
    }

    /// So many cores of the CPU are in use from now on.
    pub fn uses(&mut self, now: SimTime, cores: f64) {
        self.advance(now);
        self.cores = cores;
    }

    /// One core for everyone more or less is in use from now on.
    pub fn uses_free(&mut self, now: SimTime, delta: i64) {
        self.advance(now);
        self.free_cores += delta;
    }

    /// So many requests are waiting or executed from now on.
    pub fn holds(&mut self, now: SimTime, requests: usize) {
        self.advance(now);
        self.requests = requests;
    }

    /// A request has come.
    pub fn arrives(&mut self) {
        self.totals.requests += 1;
    }

    /// It has become ready, or ceased to be.
    fn turns(&mut self, now: SimTime) {
        self.advance(now);
        self.transition = moment(now);
        self.totals.turns += 1;
        (self.totals.core_ns, self.totals.request_ns) = (0.0, 0.0);
    }

    /// Another pod takes the place of the one before.
    fn begins(&mut self, now: SimTime) {
        self.advance(now);
        self.started = moment(now);
        self.transition = moment(now);
        (self.cpu, self.in_flight, self.memory) = (None, None, None);
        self.under_way.clear();
    }

    /// Takes the mean use since `last`, and the bytes of memory that are in use now.
    fn measure(&mut self, now: SimTime, last: SimTime, lag: SimDuration, condition: Condition, memory: u64) {
        self.advance(now);
        let window = now.since(last);
        let (core_ns, request_ns) = (std::mem::take(&mut self.core_ns), std::mem::take(&mut self.request_ns));
        let is_whole = self.process_since <= last && window > SimDuration::ZERO;
        let is_there = is_whole && !matches!(condition, Condition::Off | Condition::Down);
        let sample = |total: f64| Sample {
            milli: milli(total / window.ns() as f64),
            at: moment(now),
            window_ns: window.ns() as Moment,
        };
        let cpu = is_there.then(|| sample(core_ns));
        // Only who answers can be asked how much it does.
        let answers = matches!(condition, Condition::Up | Condition::Draining);
        let in_flight = (is_there && answers).then(|| sample(request_ns));
        let memory = is_there.then(|| Sample {
            milli: memory as i64 * 1_000,
            at: moment(now),
            window_ns: window.ns() as Moment,
        });
        self.under_way.push_back((now + lag, [cpu, in_flight, memory]));
    }

    /// Shows the measurements that are old enough to be seen.
    fn show(&mut self, now: SimTime) {
        while let Some((at, [cpu, in_flight, memory])) = self.under_way.front().copied()
            && at <= now
        {
            (self.cpu, self.in_flight, self.memory) = (cpu, in_flight, memory);
            self.under_way.pop_front();
        }
    }
}

/// Whole billionths, as metrics-server has them, rounded up to thousandths, as the controller reads them.
fn milli(value: f64) -> i64 {
    let billionths = (value * 1e9) as i64;
    billionths / 1_000_000 + i64::from(billionths % 1_000_000 > 0)
}

fn moment(time: SimTime) -> Moment {
    time.ns() as Moment
}

impl<O: Observer> World<'_, O> {
    /// Every autoscaler looks at the start, and pods are measured from then on.
    pub(super) fn start_autoscalers(&mut self, now: SimTime) {
        for autoscaler in 0..self.autoscalers.len() as u32 {
            self.queue.schedule(now, Rank::Control, Event::Autoscale { autoscaler, generation: 0 });
            self.schedule_measurement(autoscaler);
            self.start_nodes(now, autoscaler);
        }
    }

    fn schedule_measurement(&mut self, autoscaler: u32) {
        if self.settings().autoscalers[autoscaler as usize].measured_every().is_some() {
            let at = self.autoscalers[autoscaler as usize].measures_at;
            self.queue.schedule(at, Rank::Control, Event::MeasurePods { autoscaler });
        }
    }

    /// Instances are to be measured, unless that was done at this moment or put off.
    pub(super) fn on_measure_pods(&mut self, now: SimTime, autoscaler: u32) {
        let state = &mut self.autoscalers[autoscaler as usize];
        let Some(every) = self.model.epochs[self.epoch].autoscalers[autoscaler as usize].measured_every()
        else {
            return;
        };
        if now < state.measures_at {
            return;
        }
        let last = std::mem::replace(&mut state.measured_at, now);
        state.measures_at = now + every;
        match state.kind {
            Kind::Hpa(_) => self.measure_pods(now, autoscaler, last),
            Kind::Aws(_) => self.take_datapoint(now, autoscaler, last),
            Kind::Knative(_) => self.ask_pods(now, autoscaler, last),
            Kind::Keda(_) => self.look_at_trigger(now, autoscaler, true),
            Kind::Scheduled(_) | Kind::Nodes(_) => {}
        }
        self.schedule_measurement(autoscaler);
    }

    /// An autoscaler looks and decides.
    pub(super) fn on_autoscale(&mut self, now: SimTime, autoscaler: u32, generation: u32) {
        if self.autoscalers[autoscaler as usize].generation != generation {
            return;
        }
        if let Some(every) = self.settings().autoscalers[autoscaler as usize].looks_every() {
            self.after(every, Rank::Control, Event::Autoscale { autoscaler, generation });
        }
        self.on_measure_pods(now, autoscaler);
        match self.autoscalers[autoscaler as usize].kind {
            Kind::Hpa(_) => self.sync_hpa(now, autoscaler),
            Kind::Aws(_) => self.evaluate_alarms(now, autoscaler),
            Kind::Scheduled(_) => self.take_scheduled_actions(now, autoscaler),
            Kind::Knative(_) => self.tick_knative(now, autoscaler),
            Kind::Keda(_) => self.look_at_trigger(now, autoscaler, false),
            Kind::Nodes(_) => self.scan_nodes(now, autoscaler),
        }
    }

    /// An autoscaler has decided how many instances there should be.
    fn rescale(&mut self, now: SimTime, autoscaler: u32, desired: u32) {
        let group = self.model.autoscalers[autoscaler as usize].group;
        let current = self.groups[group as usize].wanted;
        let desired = desired.min(self.model.groups[group as usize].capacity);
        if desired != current {
            let meters = self.model.catalog.autoscalers[autoscaler as usize];
            self.observer.count(if desired > current { meters.ups } else { meters.downs });
            self.note(now, Change::Scaled { autoscaler, from: current, to: desired });
            self.scale(now, group, desired);
        }
    }

    /// There should be another number of instances from now on; the last to come are the first to go.
    fn scale(&mut self, now: SimTime, group: u32, to: u32) {
        let from = self.groups[group as usize].wanted;
        self.want(now, group, to);
        if self.is_deployed(group) {
            // At once: an activator looks for what is started.
            return self.fit_fleet(now, group);
        }
        if self.ecs(group).is_some() {
            return self.fit_tasks(now, group);
        }
        if self.is_scattered(group) {
            return self.fit_scattered(now, group);
        }
        let first = self.model.groups[group as usize].first;
        for target in from..to {
            self.scale_out(now, first + target);
        }
        for target in (to..from).rev() {
            self.scale_in(now, first + target);
        }
    }

    /// Takes note of how many instances there should be.
    pub(super) fn want(&mut self, now: SimTime, group: u32, replicas: u32) {
        let wanted = std::mem::replace(&mut self.groups[group as usize].wanted, replicas);
        if replicas != wanted {
            let gauge = self.model.catalog.groups[group as usize].replicas;
            let more = i64::from(replicas) - i64::from(wanted);
            self.observer.moved(now, gauge, more);
            self.pay_instances(now, group);
        }
    }

    /// New settings: autoscalers keep what they remember.
    pub(super) fn reconfigure_autoscalers(&mut self, now: SimTime) {
        let model = self.model;
        let [before, after] = [self.previous_epoch(), self.epoch].map(|e| &model.epochs[e].autoscalers);
        for (autoscaler, (before, after)) in (0..).zip(before.iter().zip(after)) {
            if before == after {
                continue;
            }
            self.follow_settings(now, autoscaler);
            let state = &mut self.autoscalers[autoscaler as usize];
            let generation = state.generation + 1;
            let measures_anew = before.measured_every() != after.measured_every();
            if measures_anew {
                state.measures_at = now + after.measured_every().unwrap_or(SimDuration::ZERO);
            }
            if before.looks_every() != after.looks_every() {
                state.generation = generation;
                let event = Event::Autoscale { autoscaler, generation };
                match after.looks_every() {
                    Some(every) => self.after(every, Rank::Control, event),
                    None => self.queue.schedule(now, Rank::Control, event),
                }
            } else if after.looks_every().is_none() {
                state.generation = generation;
                self.queue.schedule(now, Rank::Control, Event::Autoscale { autoscaler, generation });
            }
            if measures_anew {
                self.schedule_measurement(autoscaler);
            }
        }
    }

    /// Follows the settings in force, within the bounds that scheduled actions have set.
    fn follow_settings(&mut self, now: SimTime, autoscaler: u32) {
        let model = self.model;
        let group = model.autoscalers[autoscaler as usize].group;
        let settings = &model.epochs[self.epoch].autoscalers[autoscaler as usize];
        let mut schedules = model.autoscalers.iter().zip(&self.autoscalers);
        let schedule = schedules.find_map(|(shape, state)| match &state.kind {
            Kind::Scheduled(schedule) if shape.group == group => Some(schedule),
            _ => None,
        });
        let bounds = |min, max| schedule.map_or((min, max), |s| s.bounds(min, max));
        let kind = match settings {
            Autoscaler::Hpa(hpa) => {
                let mut config = hpa.config.clone();
                (config.min_replicas, config.max_replicas) = bounds(config.min_replicas, config.max_replicas);
                Autoscaler::Hpa(crate::model::autoscaler::HpaSettings { config, ..hpa.clone() })
            }
            Autoscaler::Aws(aws) => {
                let mut aws = aws.clone();
                let given = aws.policy.bounds_mut();
                (given.min, given.max) = bounds(given.min, given.max);
                Autoscaler::Aws(aws)
            }
            Autoscaler::Knative(knative) => {
                let mut knative = *knative;
                let given = &mut knative.config;
                (given.min_scale, given.max_scale) = bounds(given.min_scale, given.max_scale);
                Autoscaler::Knative(knative)
            }
            Autoscaler::Keda(keda) => {
                let mut keda = keda.clone();
                let given = &mut keda.config;
                (given.min_replica_count, given.max_replica_count) =
                    bounds(given.min_replica_count, given.max_replica_count);
                Autoscaler::Keda(keda)
            }
            Autoscaler::Scheduled(_) | Autoscaler::Nodes(_) => settings.clone(),
        };
        let capacity = model.groups.get(group as usize).map_or(0, |g| g.capacity);
        match (&mut self.autoscalers[autoscaler as usize].kind, kind) {
            (Kind::Hpa(state), Autoscaler::Hpa(hpa)) => state.hpa.reconfigure(hpa.config),
            (Kind::Aws(state), Autoscaler::Aws(aws)) => state.policy.reconfigure(aws.policy),
            (Kind::Scheduled(state), Autoscaler::Scheduled(actions)) => state.reconfigure(actions),
            (Kind::Knative(state), Autoscaler::Knative(knative)) => state.kpa.reconfigure(knative.config),
            // Another kind of autoscaler under the same name begins anew.
            (kind, Autoscaler::Hpa(hpa)) => *kind = Kind::Hpa(HpaState::new(&hpa)),
            (kind, Autoscaler::Aws(aws)) => *kind = Kind::Aws(AwsState::new(&aws, capacity)),
            (Kind::Nodes(state), Autoscaler::Nodes(nodes)) => state.reconfigure(nodes.config),
            // Nodes cannot come to be or cease on the way: the services below which they are would change.
            (Kind::Nodes(_), _) | (_, Autoscaler::Nodes(_)) => {}
            (Kind::Keda(state), Autoscaler::Keda(keda)) => state.reconfigure(keda.config),
            (kind, Autoscaler::Keda(keda)) => *kind = Kind::Keda(Keda::new(keda.config)),
            (kind, Autoscaler::Knative(knative)) => {
                *kind = Kind::Knative(KnativeState::new(&knative, now, self.groups[group as usize].wanted));
            }
            (kind, Autoscaler::Scheduled(actions)) => *kind = Kind::Scheduled(Schedule::new(actions)),
        }
    }

    // ---- what becomes of pods ----

    /// An instance is a new pod.
    pub(super) fn pod_begins(&mut self, now: SimTime, instance: u32) {
        if let Some(meter) = &mut self.instances[instance as usize].meter {
            meter.begins(now);
        }
        self.new_pod(now, instance);
    }

    /// A pod has become ready, or ceased to be.
    pub(super) fn pod_turns(&mut self, now: SimTime, instance: u32) {
        if let Some(meter) = &mut self.instances[instance as usize].meter {
            meter.turns(now);
        }
    }

    /// A pod has another process from `at` on: what it used before is not measured.
    pub(super) fn process_begins(&mut self, at: SimTime, instance: u32) {
        if let Some(meter) = &mut self.instances[instance as usize].meter {
            meter.process_since = at;
        }
        self.container_begins(at, instance);
    }
}
