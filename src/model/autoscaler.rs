//! Autoscalers, as an epoch has them.

use crate::base::SimDuration;
use crate::base::dist::Dist;
use crate::components::aws_scaling::policies::PolicyConfig;
use crate::components::hpa::HpaConfig;
use crate::components::keda::KedaConfig;
use crate::components::kpa::KpaConfig;
use crate::components::nodes::NodesConfig;
use crate::components::schedule::ScheduledAction;

/// An autoscaler's settings.
#[derive(Clone, Debug, PartialEq)]
pub enum Autoscaler {
    /// Kubernetes' horizontal pod autoscaler.
    Hpa(HpaSettings),
    /// A policy of Amazon's Auto Scaling.
    Aws(AwsSettings),
    /// Scheduled actions.
    Scheduled(Vec<ScheduledAction>),
    /// Knative's pod autoscaler.
    Knative(KnativeSettings),
    /// KEDA.
    Keda(KedaSettings),
    /// Nodes, and Kubernetes' cluster autoscaler.
    Nodes(NodesSettings),
}

impl Autoscaler {
    /// From one measurement to the next, if anything is measured.
    pub fn measured_every(&self) -> Option<SimDuration> {
        match self {
            Self::Hpa(hpa) => Some(hpa.metric_resolution),
            Self::Aws(aws) => Some(aws.period),
            // The autoscaler asks its pods every second.
            Self::Knative(_) => Some(SimDuration::from_secs(1)),
            Self::Keda(keda) => Some(keda.polling_interval),
            Self::Scheduled(_) | Self::Nodes(_) => None,
        }
    }

    /// From one look to the next, if it looks regularly.
    pub fn looks_every(&self) -> Option<SimDuration> {
        match self {
            Self::Hpa(hpa) => Some(hpa.config.sync_period),
            Self::Aws(aws) => Some(aws.period.min(SimDuration::from_secs(60))),
            Self::Knative(knative) => Some(knative.tick),
            Self::Nodes(nodes) => Some(nodes.scan_interval),
            Self::Keda(_) => Some(HpaConfig::KUBERNETES.sync_period),
            Self::Scheduled(_) => None,
        }
    }
}

/// The settings of nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct NodesSettings {
    /// How it decides.
    pub config: NodesConfig,
    /// What pods need, in the order of [`super::AutoscalerShape::pods`].
    pub pods: Vec<NodePod>,
    /// From asking for a node until pods can run on it.
    pub boot: Dist,
    /// From one scan to the next.
    pub scan_interval: SimDuration,
}

/// What a pod of a group needs of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodePod {
    /// CPU requested, in thousandths of a core.
    pub request_milli: u64,
    /// The time to pull its image.
    pub image_pull: Dist,
}

/// The settings of KEDA.
#[derive(Clone, Debug, PartialEq)]
pub struct KedaSettings {
    /// How it decides.
    pub config: KedaConfig,
    /// What it polls.
    pub trigger: Trigger,
    /// From one poll to the next.
    pub polling_interval: SimDuration,
}

/// A level that KEDA polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Requests that wait for a worker of a group.
    QueueLength(u32),
    /// Requests waiting or executed at a group.
    RequestsInFlight(u32),
    /// Messages in a queue.
    Backlog {
        /// Which.
        queue: u32,
        /// Whether messages in flight count.
        in_flight: bool,
    },
}

/// The settings of Knative's pod autoscaler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnativeSettings {
    /// How it decides.
    pub config: KpaConfig,
    /// From one tick to the next.
    pub tick: SimDuration,
}

/// The settings of a horizontal pod autoscaler.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaSettings {
    /// How it decides.
    pub config: HpaConfig,
    /// What it measures, metric by metric.
    pub measures: Vec<Measure>,
    /// From one measurement to the next.
    pub metric_resolution: SimDuration,
    /// How old a measurement is when it is first seen.
    pub metric_lag: SimDuration,
}

/// What is measured of each instance for an autoscaler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// CPU in use, in thousandths of a core.
    Cpu {
        /// What an instance requests, likewise.
        request_milli: i64,
    },
    /// Requests waiting or executed, in thousandths.
    InFlight,
    /// Memory in use, in thousandths of a byte.
    Memory {
        /// What an instance requests, likewise.
        request_milli: i64,
    },
}

/// The settings of a policy of Amazon's Auto Scaling.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsSettings {
    /// What it does.
    pub policy: PolicyConfig,
    /// What it watches.
    pub metric: AwsMetric,
    /// From one datapoint to the next.
    pub period: SimDuration,
    /// How old a datapoint is when it is first seen.
    pub metric_lag: SimDuration,
}

/// What a policy of Amazon's Auto Scaling watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AwsMetric {
    /// CPU in use, in per cent of what an instance has, mean over instances.
    CpuUtilization,
    /// Requests of a minute for each instance.
    RequestCountPerTarget,
    /// Requests waiting or executed at each instance, mean over time.
    InFlight,
}
