//! The Kubernetes HorizontalPodAutoscaler: how many replicas a workload should have.
//!
//! Every `sync_period` the controller looks at its metrics. Each metric proposes a number of replicas
//! ([`Hpa::propose`]), and the largest proposal is then held back by what was recommended before, by the rules of
//! `behavior` and by the bounds ([`Hpa::decide`]). Whoever drives it asks for the proposals first, one metric after
//! the other, and hands them over together.
//!
//! Three things surprise people, and are as the product has them: `behavior` that is absent is not `behavior: {}`
//! (2 can become 4 at most in one sync, against 6); what was found at the first sync counts as a recommendation, so
//! nothing shrinks during the first stabilisation window; and pods that are not ready damp growth and never
//! turn it around.
//!
//! Source: Kubernetes `pkg/controller/podautoscaler`, `horizontal.go` and `replica_calculator.go`: those of 1.20.2
//! with what is newer, which is two-sided stabilisation, rates that count changes of both directions, inclusive
//! tolerances for each direction, and missing pods at their target if that is more than 100 %. Compared line by line
//! with recordings in `tests/conformance/hpa.rs`.

mod normalize;
mod propose;

use crate::base::{SimDuration, SimTime};
use normalize::{Change, Recommendation};

/// A moment in nanoseconds since the start of the run; below 0 before it, since pods may be older than a run.
pub type Moment = i64;

/// How an autoscaler behaves. Names are the product's: `spec` fields and the controller manager's flags.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaConfig {
    /// The fewest replicas (`minReplicas`).
    pub min_replicas: u32,
    /// The most replicas (`maxReplicas`).
    pub max_replicas: u32,
    /// What is measured, and what each should be (`metrics`).
    pub metrics: Vec<Metric>,
    /// How fast it may scale (`behavior`); `None` is the older rule, which is not `Some(Behavior::default())`.
    pub behavior: Option<Behavior>,
    /// From one sync to the next (`--horizontal-pod-autoscaler-sync-period`).
    pub sync_period: SimDuration,
    /// How far the ratio of usage to target may be off 1 without an effect (`--horizontal-pod-autoscaler-tolerance`).
    pub tolerance: f64,
    /// How long a higher recommendation holds back a scale-down
    /// (`--horizontal-pod-autoscaler-downscale-stabilization`).
    pub downscale_stabilization: SimDuration,
    /// How long after its start a pod's CPU is believed only once it is ready
    /// (`--horizontal-pod-autoscaler-cpu-initialization-period`).
    pub cpu_initialization_period: SimDuration,
    /// How long after its start a pod that is not ready has never been ready
    /// (`--horizontal-pod-autoscaler-initial-readiness-delay`).
    pub initial_readiness_delay: SimDuration,
}

impl HpaConfig {
    /// Kubernetes' defaults, without metrics; `max_replicas` has no default and is 1 here.
    pub const KUBERNETES: Self = Self {
        min_replicas: 1,
        max_replicas: 1,
        metrics: Vec::new(),
        behavior: None,
        sync_period: SimDuration::from_secs(15),
        tolerance: 0.1,
        downscale_stabilization: SimDuration::from_secs(300),
        cpu_initialization_period: SimDuration::from_secs(300),
        initial_readiness_delay: SimDuration::from_secs(30),
    };
}

/// A resource of pods that is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// CPU, in thousandths of a core. Only of this does it matter whether a pod is ready.
    Cpu,
    /// Memory, in thousandths of a byte.
    Memory,
}

/// A metric and its target. Values are in thousandths, as the product computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Metric {
    /// Usage of a resource as a percentage of what pods request (`Resource` with `Utilization`).
    Utilization {
        /// The resource.
        resource: Resource,
        /// The target in whole per cent; may be more than 100.
        percent: u32,
    },
    /// Usage of a resource per pod (`Resource` with `AverageValue`).
    ResourceAverage {
        /// The resource.
        resource: Resource,
        /// The target.
        milli: i64,
    },
    /// A metric of each pod, such as its requests in flight (`Pods`).
    Pods {
        /// The target.
        milli: i64,
    },
    /// One value for the whole (`Object` or `External` with `Value`).
    Value {
        /// The target.
        milli: i64,
    },
    /// One value for the whole, divided by the number of pods (`Object` or `External` with `AverageValue`).
    AverageValue {
        /// The target for each pod.
        milli: i64,
    },
}

/// How fast it may scale, each way.
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    /// Towards more replicas.
    pub scale_up: Rules,
    /// Towards fewer.
    pub scale_down: Rules,
}

impl Default for Behavior {
    fn default() -> Self {
        Self { scale_up: Rules::up(), scale_down: Rules::down() }
    }
}

/// How fast it may scale in one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// How long recommendations hold back (`stabilizationWindowSeconds`); `None` is no time for growing and
    /// [`HpaConfig::downscale_stabilization`] for shrinking.
    pub stabilization_window: Option<SimDuration>,
    /// Which policy counts (`selectPolicy`).
    pub select_policy: SelectPolicy,
    /// The most change in a period, each (`policies`).
    pub policies: Vec<Policy>,
    /// The tolerance in this direction, if not the controller's (`tolerance`).
    pub tolerance: Option<f64>,
}

impl Rules {
    /// The defaults for growing: 4 pods or 100 % in 15 s, whichever is more.
    pub fn up() -> Self {
        let period = SimDuration::from_secs(15);
        Self {
            stabilization_window: Some(SimDuration::ZERO),
            select_policy: SelectPolicy::Max,
            policies: vec![
                Policy { amount: Amount::Pods(4), period },
                Policy { amount: Amount::Percent(100), period },
            ],
            tolerance: None,
        }
    }

    /// The defaults for shrinking: 100 % in 15 s.
    pub fn down() -> Self {
        let period = SimDuration::from_secs(15);
        Self {
            stabilization_window: None,
            select_policy: SelectPolicy::Max,
            policies: vec![Policy { amount: Amount::Percent(100), period }],
            tolerance: None,
        }
    }
}

/// Which of several policies counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SelectPolicy {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest change.
    Min,
    /// None: it never scales in this direction.
    Disabled,
}

/// The most change in a period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// How much.
    pub amount: Amount,
    /// In how long a time (`periodSeconds`).
    pub period: SimDuration,
}

/// An amount of replicas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amount {
    /// So many.
    Pods(u32),
    /// So many per cent of those at the start of the period.
    Percent(u32),
}

/// The phase of a pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Not running yet.
    Pending,
    /// Running, ready or not.
    Running,
    /// Ended with an error for good.
    Failed,
}

/// What the controller knows of a pod.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pod {
    /// Its phase.
    pub phase: Phase,
    /// Whether it is being deleted (`deletionTimestamp`).
    pub deleted: bool,
    /// Its condition `Ready`; `None` if it has none yet.
    pub ready: Option<bool>,
    /// When it started (`status.startTime`).
    pub started: Option<Moment>,
    /// When its condition `Ready` last changed.
    pub transition: Moment,
    /// What it requests of the resource, in thousandths.
    pub request_milli: Option<i64>,
}

/// A measurement of a pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// What was measured, in thousandths.
    pub milli: i64,
    /// When.
    pub at: Moment,
    /// Over how long a time until then.
    pub window_ns: i64,
}

/// What a metric was measured to be.
#[derive(Clone, Copy, Debug)]
pub enum Reading<'a> {
    /// Of each pod, in the order of the pods; `None` where nothing is known.
    Pods(&'a [Option<Sample>]),
    /// Of the whole, in thousandths.
    Total(Option<i64>),
}

/// The size of a workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scale {
    /// How many replicas it should have (`spec.replicas`).
    pub spec: u32,
    /// How many it has (`status.replicas`).
    pub status: u32,
}

/// Why a metric proposes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricError {
    /// There are no pods.
    NoPods,
    /// No pod that counts has a measurement.
    NoSamples,
    /// A pod does not say what it requests.
    NoRequest,
    /// The reading is of another kind than the metric.
    WrongReading,
}

/// How many replicas a metric proposes.
pub type Proposal = Result<u32, MetricError>;

/// Why it decided as it did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// There are 0 replicas: it is switched off.
    Disabled,
    /// There were more than the maximum.
    AboveMaximum,
    /// There were fewer than the minimum.
    BelowMinimum,
    /// All metrics failed, or some did and the others would scale down.
    NoMetrics,
    /// What the metrics propose.
    Proposed,
    /// Recommendations of the past hold back.
    Stabilized,
    /// It would change faster than it may.
    RateLimited,
    /// It would leave the bounds.
    Bounded,
}

/// What a sync came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// The replicas from now on.
    pub desired: u32,
    /// Why.
    pub reason: Reason,
}

/// An autoscaler and what it remembers.
#[derive(Clone, Debug)]
pub struct Hpa {
    config: HpaConfig,
    recommendations: Vec<Recommendation>,
    ups: Vec<Change>,
    downs: Vec<Change>,
}

impl Hpa {
    /// An autoscaler that has never looked.
    pub fn new(config: HpaConfig) -> Self {
        Self { config, recommendations: Vec::new(), ups: Vec::new(), downs: Vec::new() }
    }

    /// How it behaves.
    pub fn config(&self) -> &HpaConfig {
        &self.config
    }

    /// Behaves differently from now on, and remembers what it knew.
    pub fn reconfigure(&mut self, config: HpaConfig) {
        self.config = config;
    }

    /// How many replicas the metric of this number proposes. `pods` are all of the workload.
    pub fn propose(
        &self,
        metric: usize,
        now: SimTime,
        scale: Scale,
        pods: &[Pod],
        reading: Reading<'_>,
    ) -> Proposal {
        propose::propose(&self.config, self.config.metrics[metric], now, scale, pods, reading)
    }

    /// A sync: decides how many replicas there should be, given how many there should be so far and what each
    /// metric proposes. The caller scales to it at once.
    pub fn decide(&mut self, now: SimTime, current: u32, proposals: &[Proposal]) -> Decision {
        if self.recommendations.is_empty() {
            self.recommendations.push(Recommendation { at: now, replicas: current });
        }
        let (min, max) = (self.config.min_replicas, self.config.max_replicas);
        let decision = if current == 0 && min != 0 {
            Decision { desired: 0, reason: Reason::Disabled }
        } else if current > max {
            Decision { desired: max, reason: Reason::AboveMaximum }
        } else if current < min {
            Decision { desired: min, reason: Reason::BelowMinimum }
        } else {
            match together(current, proposals) {
                Some(proposed) => self.normalize(now, current, proposed),
                None => Decision { desired: current, reason: Reason::NoMetrics },
            }
        };
        if decision.desired != current {
            self.remember_change(now, current, decision.desired);
        }
        decision
    }
}

/// The largest proposal; none if all metrics failed, or some did and the others would scale down.
fn together(current: u32, proposals: &[Proposal]) -> Option<u32> {
    let largest = proposals.iter().filter_map(|p| p.ok()).max()?;
    let any_failed = proposals.iter().any(Result::is_err);
    (!any_failed || largest >= current).then_some(largest)
}

#[cfg(test)]
mod tests;
