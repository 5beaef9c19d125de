//! Autoscalers: what is measured of instances for them, and what becomes of what they decide.
//!
//! Instances of a service with an autoscaler are its pods. They are measured for it whether or not anybody observes
//! the run: at every `metric_resolution` a pod's mean use since the last time is taken, if its process was there all
//! the while. At a moment when both are due, pods are measured first and the autoscaler looks then.

use super::World;
use super::event::Event;
use super::instances::Condition;
use crate::base::{SimDuration, SimTime};
use crate::components::hpa::{Hpa, Moment, Phase, Pod, Proposal, Reading, Sample, Scale};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::{Epoch, Measure, Model};

/// When pods started that are there from the start of the run: so long before that nothing waits for them any more.
const LONG_AGO: Moment = -(1 << 60);

/// An autoscaler as a run has it.
#[derive(Debug)]
pub(super) struct AutoscalerState {
    hpa: Hpa,
    /// Raised to drop the sync that is scheduled.
    generation: u32,
    /// When pods were last measured, and when they will be next.
    measured_at: SimTime,
    measures_at: SimTime,
    /// Kept for their memory.
    pods: Vec<Pod>,
    samples: Vec<Option<Sample>>,
    proposals: Vec<Proposal>,
}

impl AutoscalerState {
    pub fn all(epoch: &Epoch) -> Vec<Self> {
        let make = |settings: &crate::model::Autoscaler| Self {
            hpa: Hpa::new(settings.config.clone()),
            generation: 0,
            measured_at: SimTime::ZERO,
            measures_at: SimTime::ZERO + settings.metric_resolution,
            pods: Vec::new(),
            samples: Vec::new(),
            proposals: Vec::new(),
        };
        epoch.autoscalers.iter().map(make).collect()
    }
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
    /// The last measurements.
    cpu: Option<Sample>,
    in_flight: Option<Sample>,
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
            cpu: None,
            in_flight: None,
        })
    }

    fn advance(&mut self, now: SimTime) {
        let ns = now.since(self.since).ns() as f64;
        self.core_ns += (self.cores + self.free_cores as f64) * ns;
        self.request_ns += self.requests as f64 * ns;
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

    /// Another pod takes the place of the one before.
    fn begins(&mut self, now: SimTime) {
        self.advance(now);
        self.started = moment(now);
        self.transition = moment(now);
        (self.cpu, self.in_flight) = (None, None);
    }

    fn measure(&mut self, now: SimTime, last: SimTime, condition: Condition) {
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
        self.cpu = is_there.then(|| sample(core_ns));
        // Only who answers can be asked how much it does.
        let answers = matches!(condition, Condition::Up | Condition::Draining);
        self.in_flight = (is_there && answers).then(|| sample(request_ns));
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
        }
    }

    fn schedule_measurement(&mut self, autoscaler: u32) {
        let at = self.autoscalers[autoscaler as usize].measures_at;
        self.queue.schedule(at, Rank::Control, Event::MeasurePods { autoscaler });
    }

    /// Pods are to be measured, unless that was done at this moment or put off.
    pub(super) fn on_measure_pods(&mut self, now: SimTime, autoscaler: u32) {
        if now < self.autoscalers[autoscaler as usize].measures_at {
            return;
        }
        let shape = &self.model.groups[self.model.autoscalers[autoscaler as usize].group as usize];
        let last = self.autoscalers[autoscaler as usize].measured_at;
        for instance in shape.first..shape.first + shape.capacity {
            let state = &mut self.instances[instance as usize];
            if let Some(meter) = &mut state.meter {
                meter.measure(now, last, state.condition);
            }
        }
        let settings = &self.settings().autoscalers[autoscaler as usize];
        let state = &mut self.autoscalers[autoscaler as usize];
        state.measured_at = now;
        state.measures_at = now + settings.metric_resolution;
        self.schedule_measurement(autoscaler);
    }

    /// An autoscaler looks at its pods and decides.
    pub(super) fn on_autoscale(&mut self, now: SimTime, autoscaler: u32, generation: u32) {
        if self.autoscalers[autoscaler as usize].generation != generation {
            return;
        }
        let settings = &self.settings().autoscalers[autoscaler as usize];
        self.after(settings.config.sync_period, Rank::Control, Event::Autoscale { autoscaler, generation });
        self.on_measure_pods(now, autoscaler);
        let group = self.model.autoscalers[autoscaler as usize].group;
        let current = self.groups[group as usize].wanted;
        let shape = &self.model.groups[group as usize];
        let instances = &self.instances[shape.first as usize..(shape.first + shape.capacity) as usize];
        let pods = || instances.iter().filter(|i| i.condition != Condition::Off);
        let state = &mut self.autoscalers[autoscaler as usize];
        state.proposals.clear();
        for (number, measure) in settings.measures.iter().enumerate() {
            state.pods.clear();
            state.samples.clear();
            for instance in pods() {
                let Some(meter) = &instance.meter else { continue };
                let (request_milli, sample) = match measure {
                    Measure::Cpu { request_milli } => (Some(*request_milli), meter.cpu),
                    Measure::InFlight => (None, meter.in_flight),
                };
                state.samples.push(sample);
                state.pods.push(Pod {
                    phase: Phase::Running,
                    deleted: instance.condition == Condition::Draining && !instance.pod.returns,
                    ready: Some(instance.condition == Condition::Up && !instance.pod.unready),
                    started: Some(meter.started),
                    transition: meter.transition,
                    request_milli,
                });
            }
            let scale = Scale { spec: current, status: state.pods.len() as u32 };
            let reading = Reading::Pods(&state.samples);
            state.proposals.push(state.hpa.propose(number, now, scale, &state.pods, reading));
        }
        let desired = state.hpa.decide(now, current, &state.proposals).desired;
        if desired != current {
            let meters = self.model.catalog.autoscalers[autoscaler as usize];
            self.observer.count(if desired > current { meters.ups } else { meters.downs });
            self.observer.change(now, Change::Scaled { autoscaler, from: current, to: desired });
            self.scale(now, group, desired);
        }
    }

    /// There should be another number of instances from now on; the last to come are the first to go.
    fn scale(&mut self, now: SimTime, group: u32, to: u32) {
        let from = self.groups[group as usize].wanted;
        self.want(now, group, to);
        if self.ecs(group).is_some() {
            return self.fit_tasks(now, group);
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
            self.pay(now, group, more);
        }
    }

    /// New settings: autoscalers keep what they remember.
    pub(super) fn reconfigure_autoscalers(&mut self, now: SimTime) {
        let model = self.model;
        let [before, after] = [self.epoch - 1, self.epoch].map(|e| &model.epochs[e].autoscalers);
        for (autoscaler, (before, after)) in (0..).zip(before.iter().zip(after)) {
            if before == after {
                continue;
            }
            let state = &mut self.autoscalers[autoscaler as usize];
            state.hpa.reconfigure(after.config.clone());
            let generation = state.generation + 1;
            let measures_anew = before.metric_resolution != after.metric_resolution;
            if measures_anew {
                state.measures_at = now + after.metric_resolution;
            }
            if before.config.sync_period != after.config.sync_period {
                state.generation = generation;
                self.after(
                    after.config.sync_period,
                    Rank::Control,
                    Event::Autoscale { autoscaler, generation },
                );
            }
            if measures_anew {
                self.schedule_measurement(autoscaler);
            }
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
            meter.transition = moment(now);
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
