//! Autoscalers: what changes the number of replicas of a service while it runs.

pub mod aws;
pub mod keda;
pub mod knative;
pub mod nodes;

use super::quantity::{Cores, Seconds, Size, Usage};
use super::source::Spanned;
use crate::{choice, record};
use aws::{Scheduled, SimpleScaling, StepScaling, TargetTracking};
use keda::Keda;
use knative::KnativeKpa;
use nodes::ClusterAutoscaler;

choice! {
    /// What changes the number of replicas of a service while it runs, or of the nodes below them.
    pub enum Autoscaler {
        /// The HorizontalPodAutoscaler of Kubernetes (`autoscaling/v2`).
        Hpa(Hpa),
        /// Keeps a metric at a target (Amazon's Auto Scaling).
        TargetTracking(TargetTracking),
        /// By more the further a metric is off (Amazon's Auto Scaling).
        StepScaling(StepScaling),
        /// By one number, and waits (Amazon EC2 Auto Scaling).
        SimpleScaling(SimpleScaling),
        /// At set times (Amazon's Auto Scaling).
        Scheduled(Scheduled),
        /// By requests in flight, down to none (Knative).
        KnativeKpa(KnativeKpa),
        /// By how much waits somewhere, down to none (KEDA).
        Keda(Keda),
        /// Nodes below the pods of services (Kubernetes' Cluster Autoscaler).
        ClusterAutoscaler(ClusterAutoscaler),
    }
}

record! {
    /// The HorizontalPodAutoscaler of Kubernetes. It looks at its metrics at the start of the run and after every
    /// `sync`; each metric proposes a number of replicas, and the largest counts. It starts from the service's
    /// `replicas`, and goes on from there when a `Set` changes them. New pods are new instances: they are running
    /// and not ready for the service's `start_up`. Those at the start of the run are old enough to be believed.
    pub struct Hpa {
        /// The service whose replicas it sets.
        service: Spanned<String>,
        /// The fewest replicas (`minReplicas`).
        min: u32 = 1,
        /// The most replicas (`maxReplicas`).
        max: u32,
        /// What is measured, with a target for each.
        metrics: Vec<HpaMetric> = [Cpu("80%")],
        /// From one look to the next (`--horizontal-pod-autoscaler-sync-period`).
        sync: Seconds = "15s",
        /// How far usage may be off its target, as a share of it, without an effect
        /// (`--horizontal-pod-autoscaler-tolerance`).
        tolerance: f64 = 0.1,
        /// How long a higher recommendation of the past holds back a scale-down
        /// (`--horizontal-pod-autoscaler-downscale-stabilization`).
        downscale_stabilization: Seconds = "300s",
        /// How long after its start a pod's CPU counts only once it is ready, from a whole measurement since
        /// (`--horizontal-pod-autoscaler-cpu-initialization-period`).
        cpu_initialization_period: Seconds = "300s",
        /// How long after its start a pod that is not ready is taken never to have been
        /// (`--horizontal-pod-autoscaler-initial-readiness-delay`).
        initial_readiness_delay: Seconds = "30s",
        /// From one measurement of the pods to the next (metrics-server's `--metric-resolution`). A measurement is
        /// the mean since the one before, of pods that were there all that time; the autoscaler sees the last one.
        metric_resolution: Seconds = "15s",
        /// How old a measurement is when the autoscaler first sees it: kubelets take theirs every 10 to 15 seconds,
        /// and usage is a rate over two of them.
        metric_lag: Seconds = "0s",
        /// How fast it may scale. Without it one sync at most doubles the replicas, or goes to 4; that is not the
        /// same as `Behavior()`.
        behavior: Option<Behavior> = None,
    }
}

choice! {
    /// What an autoscaler looks at.
    pub enum HpaMetric as "Autoscaler metric" {
        /// CPU in use over CPU requested (a `Resource` metric with `averageUtilization`).
        Cpu(CpuMetric),
        /// Requests in flight at a pod, waiting or executed (a `Pods` metric with `averageValue`).
        InFlight(InFlightMetric),
        /// Memory in use over memory requested (a `Resource` metric with `averageUtilization`).
        Memory(MemoryMetric),
    }
}

record! {
    /// CPU in use over CPU requested, over all pods, in whole per cent.
    pub struct CpuMetric [target, request] as "Cpu metric" {
        /// What it should be, in whole per cent; may be more than 100 %.
        target: Usage,
        /// What each pod requests; what it may use at most (`cpu` of the service) if not given.
        request: Option<Cores> = None,
    }
}

record! {
    /// Requests in flight at each pod, the mean over pods and time.
    pub struct InFlightMetric [target] as "InFlight metric" {
        /// How many there should be.
        target: f64,
    }
}

record! {
    /// Memory in use at the moment of the measurement over memory requested, over all pods, in whole per cent. New pods
    /// count from their first measurement on: Kubernetes waits for readiness only where it looks at the CPU.
    pub struct MemoryMetric [target, request] as "Memory metric" {
        /// What it should be, in whole per cent; may be more than 100 %.
        target: Usage,
        /// What each pod requests; what it may use at most (`memory` of the service) if not given.
        request: Option<Size> = None,
    }
}

record! {
    /// How fast an autoscaler may scale, each way.
    pub struct Behavior {
        /// Towards more replicas; without policies 4 pods or 100 % in 15 seconds, whichever is more, at once.
        scale_up: Rules = (),
        /// Towards fewer; without policies 100 % in 15 seconds, after the stabilisation window.
        scale_down: Rules = (),
    }
}

record! {
    /// How fast an autoscaler may scale in one direction.
    pub struct Rules {
        /// How long recommendations of the past hold back (`stabilizationWindowSeconds`): the lowest of that time
        /// on the way up, the highest on the way down. No time on the way up and `downscale_stabilization` on the
        /// way down, if not given.
        stabilization_window: Option<Seconds> = None,
        /// Which policy counts if there are several.
        select_policy: SelectPolicy = Max,
        /// The most change in a period, each; Kubernetes' if not given.
        policies: Option<Vec<ScalingPolicy>> = None,
        /// The tolerance in this direction, if not the autoscaler's.
        tolerance: Option<f64> = None,
    }
}

choice! {
    /// Which of several policies counts.
    pub enum SelectPolicy {
        /// The one that allows the largest change.
        Max,
        /// The one that allows the smallest change.
        Min,
        /// None: it never scales in this direction.
        Disabled,
    }
}

choice! {
    /// The most change in a period.
    pub enum ScalingPolicy {
        /// So many pods.
        Pods(PodsPolicy),
        /// So many per cent of the replicas at the start of the period.
        Percent(PercentPolicy),
    }
}

record! {
    /// So many pods.
    pub struct PodsPolicy [value, period] as "Pods policy" {
        /// How many.
        value: u32,
        /// In how long a time (`periodSeconds`).
        period: Seconds,
    }
}
record! {
    /// So many per cent of the replicas at the start of the period: rounded up on the way up, cut off on the way down.
    pub struct PercentPolicy [value, period] as "Percent policy" {
        /// How many per cent.
        value: u32,
        /// In how long a time (`periodSeconds`).
        period: Seconds,
    }
}
