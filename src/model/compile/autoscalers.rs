//! Autoscalers, from the language's types to the component's own.

mod aws;

use crate::components::hpa::{Amount, Behavior, HpaConfig, Metric, Policy, Resource, Rules, SelectPolicy};
use crate::components::keda::KedaConfig;
use crate::components::kpa::KpaConfig;
use crate::components::nodes::NodesConfig;
use crate::model::autoscaler::{HpaSettings, KedaSettings, KnativeSettings, NodePod, NodesSettings, Trigger};
use crate::model::{Autoscaler, AutoscalerShape, Measure, NO_GROUP};
use crate::spec::autoscaler as sa;
use crate::spec::topology::{Service, Topology};

/// The service that an autoscaler scales, if it scales one.
pub(super) fn service_of(autoscaler: &sa::Autoscaler) -> Option<&str> {
    Some(match autoscaler {
        sa::Autoscaler::Hpa(a) => &a.service.value,
        sa::Autoscaler::TargetTracking(a) => &a.service.value,
        sa::Autoscaler::StepScaling(a) => &a.service.value,
        sa::Autoscaler::SimpleScaling(a) => &a.service.value,
        sa::Autoscaler::Scheduled(a) => &a.service.value,
        sa::Autoscaler::KnativeKpa(a) => &a.service.value,
        sa::Autoscaler::Keda(a) => &a.service.value,
        sa::Autoscaler::ClusterAutoscaler(_) => return None,
    })
}

/// The most instances that an autoscaler makes of its service.
fn most_of(autoscaler: &sa::Autoscaler) -> u32 {
    match autoscaler {
        sa::Autoscaler::Hpa(a) => a.max,
        sa::Autoscaler::TargetTracking(a) => a.max_capacity,
        sa::Autoscaler::StepScaling(a) => a.max_capacity,
        sa::Autoscaler::SimpleScaling(a) => a.max_capacity,
        sa::Autoscaler::KnativeKpa(a) => a.max_scale,
        sa::Autoscaler::Keda(a) => a.max_replica_count,
        sa::Autoscaler::ClusterAutoscaler(_) => 0,
        sa::Autoscaler::Scheduled(a) => {
            let each = a.actions.iter().flat_map(|x| [x.min_capacity, x.max_capacity, x.desired_capacity]);
            each.flatten().max().unwrap_or(0)
        }
    }
}

/// The most instances that a service has under these settings.
pub(super) fn most(topology: &Topology, service: &str) -> Option<u32> {
    let ours = topology.autoscalers.iter().filter(|(_, a)| service_of(a) == Some(service));
    let scaled = ours.map(|(_, a)| most_of(a)).max().unwrap_or(0);
    topology.services.get(service).map(|s| s.replicas.max(scaled))
}

/// The services whose pods run on an autoscaler's nodes.
pub(super) fn pods_of(autoscaler: &sa::Autoscaler) -> impl Iterator<Item = &str> {
    let pods = match autoscaler {
        sa::Autoscaler::ClusterAutoscaler(a) => Some(a.pods.names()),
        _ => None,
    };
    pods.into_iter().flatten()
}

pub(super) fn shapes(topology: &Topology) -> Vec<AutoscalerShape> {
    let shape = |(name, autoscaler): (&str, &sa::Autoscaler)| AutoscalerShape {
        name: name.to_string(),
        group: match service_of(autoscaler) {
            Some(service) => topology.services.position(service).unwrap_or(0) as u32,
            None => NO_GROUP,
        },
        pods: pods_of(autoscaler).filter_map(|p| topology.services.position(p)).map(|p| p as u32).collect(),
    };
    topology.autoscalers.iter().map(shape).collect()
}

pub(super) fn settings(autoscaler: &sa::Autoscaler, topology: &Topology) -> Autoscaler {
    match autoscaler {
        sa::Autoscaler::Hpa(hpa) => Autoscaler::Hpa(hpa_settings(hpa, topology)),
        sa::Autoscaler::TargetTracking(a) => aws::target_tracking(a),
        sa::Autoscaler::StepScaling(a) => aws::step_scaling(a),
        sa::Autoscaler::SimpleScaling(a) => aws::simple_scaling(a),
        sa::Autoscaler::Scheduled(a) => aws::scheduled(a),
        sa::Autoscaler::KnativeKpa(a) => knative(a),
        sa::Autoscaler::Keda(a) => keda(a, topology),
        sa::Autoscaler::ClusterAutoscaler(a) => nodes(a),
    }
}

fn hpa_settings(hpa: &sa::Hpa, topology: &Topology) -> HpaSettings {
    let service = topology.services.get(&hpa.service.value);
    let (metrics, measures) = hpa.metrics.iter().map(|m| metric(m, service)).unzip();
    HpaSettings {
        config: HpaConfig {
            min_replicas: hpa.min,
            max_replicas: hpa.max,
            metrics,
            behavior: hpa.behavior.as_ref().map(|b| Behavior {
                scale_up: rules(&b.scale_up, Rules::up()),
                scale_down: rules(&b.scale_down, Rules::down()),
            }),
            sync_period: hpa.sync.duration(),
            tolerance: hpa.tolerance,
            downscale_stabilization: hpa.downscale_stabilization.duration(),
            cpu_initialization_period: hpa.cpu_initialization_period.duration(),
            initial_readiness_delay: hpa.initial_readiness_delay.duration(),
        },
        measures,
        metric_resolution: hpa.metric_resolution.duration(),
        metric_lag: hpa.metric_lag.duration(),
    }
}

fn knative(a: &sa::knative::KnativeKpa) -> Autoscaler {
    let config = KpaConfig {
        target: a.container_concurrency_target * a.target_utilization.0,
        stable_window: a.stable_window.duration(),
        panic_window: a.stable_window.duration().scaled(a.panic_window_percentage.0),
        panic_threshold: a.panic_threshold_percentage.0,
        max_scale_up_rate: a.max_scale_up_rate,
        max_scale_down_rate: a.max_scale_down_rate,
        scale_to_zero_grace_period: a.scale_to_zero_grace_period.duration(),
        activation_scale: a.activation_scale,
        min_scale: a.min_scale,
        max_scale: a.max_scale,
    };
    Autoscaler::Knative(KnativeSettings { config, tick: a.tick.duration() })
}

fn keda(a: &sa::keda::Keda, topology: &Topology) -> Autoscaler {
    let group = |name: &str| topology.services.position(name).unwrap_or(0) as u32;
    Autoscaler::Keda(KedaSettings {
        config: KedaConfig {
            threshold_milli: milli(a.threshold),
            activation_milli: milli(a.activation_threshold),
            cooldown_period: a.cooldown_period.duration(),
            to_zero: a.min_replica_count == 0 || a.idle_replica_count == Some(0),
            min_replica_count: a.min_replica_count,
            max_replica_count: a.max_replica_count,
        },
        trigger: match &a.trigger {
            sa::keda::Trigger::QueueLength(t) => Trigger::QueueLength(group(&t.of.value)),
            sa::keda::Trigger::RequestsInFlight(t) => Trigger::RequestsInFlight(group(&t.of.value)),
            sa::keda::Trigger::Backlog(t) => Trigger::Backlog {
                queue: topology.queues.position(&t.of.value).unwrap_or(0) as u32,
                in_flight: t.in_flight,
            },
        },
        polling_interval: a.polling_interval.duration(),
    })
}

fn nodes(a: &sa::nodes::ClusterAutoscaler) -> Autoscaler {
    let pod = |(_, pod): (&str, &sa::nodes::NodePod)| NodePod {
        request_milli: milli(pod.request.0) as u64,
        image_pull: pod.image_pull.dist.clone(),
    };
    Autoscaler::Nodes(NodesSettings {
        config: NodesConfig {
            allocatable_milli: milli(a.node_cores.0) as u64,
            min_nodes: a.min_nodes,
            max_nodes: a.max_nodes,
            max_node_provision_time: a.max_node_provision_time.duration(),
            utilization_threshold: a.scale_down_utilization_threshold.0,
            unneeded_time: a.scale_down_unneeded_time.duration(),
            delay_after_add: a.scale_down_delay_after_add.duration(),
        },
        pods: a.pods.iter().map(pod).collect(),
        boot: a.node_boot.dist.clone(),
        scan_interval: a.scan_interval.duration(),
    })
}

fn metric(metric: &sa::HpaMetric, service: Option<&Service>) -> (Metric, Measure) {
    match metric {
        sa::HpaMetric::Cpu(cpu) => {
            // Kubernetes takes the limit for the request where only a limit is given.
            let limit = service.and_then(|s| s.cpu.as_ref()).map(|c| c.limit.unwrap_or(c.cores));
            let request = cpu.request.or(limit).map_or(0.0, |cores| cores.0);
            let percent = (cpu.target.0 * 100.0).round() as u32;
            (
                Metric::Utilization { resource: Resource::Cpu, percent },
                Measure::Cpu { request_milli: milli(request) },
            )
        }
        sa::HpaMetric::InFlight(m) => (Metric::Pods { milli: milli(m.target) }, Measure::InFlight),
        sa::HpaMetric::Memory(memory) => {
            let limit = service.and_then(|s| s.memory.as_ref()).map(|m| m.limit);
            let request = memory.request.or(limit).map_or(0, |size| size.0 as i64 * 1_000);
            let percent = (memory.target.0 * 100.0).round() as u32;
            (
                Metric::Utilization { resource: Resource::Memory, percent },
                Measure::Memory { request_milli: request },
            )
        }
    }
}

/// Thousandths, as the product computes in.
fn milli(value: f64) -> i64 {
    (value * 1e3).round() as i64
}

fn rules(given: &sa::Rules, defaults: Rules) -> Rules {
    Rules {
        stabilization_window: match given.stabilization_window {
            Some(window) => Some(window.duration()),
            None => defaults.stabilization_window,
        },
        select_policy: match given.select_policy {
            sa::SelectPolicy::Max => SelectPolicy::Max,
            sa::SelectPolicy::Min => SelectPolicy::Min,
            sa::SelectPolicy::Disabled => SelectPolicy::Disabled,
        },
        policies: match &given.policies {
            Some(policies) => policies.iter().map(policy).collect(),
            None => defaults.policies,
        },
        tolerance: given.tolerance,
    }
}

fn policy(policy: &sa::ScalingPolicy) -> Policy {
    match policy {
        sa::ScalingPolicy::Pods(p) => Policy { amount: Amount::Pods(p.value), period: p.period.duration() },
        sa::ScalingPolicy::Percent(p) => {
            Policy { amount: Amount::Percent(p.value), period: p.period.duration() }
        }
    }
}
