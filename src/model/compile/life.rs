//! Probes, restarts and termination, from the language's types to the components' own.

use super::draw;
use crate::components::back_off::BackOffConfig;
use crate::components::probe::ProbeConfig;
use crate::components::task_health::TaskHealthConfig;
use crate::components::termination::TerminationConfig;
use crate::model::life::{EcsTask, Life};
use crate::spec::life::{ContainerCheck, OnSigterm, Probe, Restart};
use crate::spec::topology::{Service, Topology};

/// How many places a service needs that has at most so many replicas: a task that leaves keeps its place, and one that
/// replaces another needs one of its own.
pub(super) fn places(topology: &Topology, name: &str, most: u32) -> u32 {
    let ecs = topology.services.get(name).and_then(|s| s.ecs.as_ref());
    match ecs {
        Some(ecs) => {
            let percent = u64::from(ecs.maximum_percent.max(200));
            u32::try_from(u64::from(most) * percent / 100).unwrap_or(u32::MAX)
        }
        None => most,
    }
}

/// How instances of a service live; `first` is the first of its endpoints.
pub(super) fn life(name: &str, service: &Service, first: u32) -> Life {
    let endpoint = |name: &str| first + service.endpoints.position(name).unwrap_or(0) as u32;
    let probe = |probe: &Probe| {
        let config = ProbeConfig {
            period: probe.period.duration(),
            timeout: probe.timeout.duration(),
            success_threshold: probe.success_threshold,
            failure_threshold: probe.failure_threshold,
            initial_delay: probe.initial_delay.duration(),
        };
        (config, endpoint(&probe.endpoint.value))
    };
    let check = |check: &ContainerCheck| {
        let config = TaskHealthConfig {
            interval: check.interval.duration(),
            timeout: check.timeout.duration(),
            retries: check.retries,
            start_period: check.start_period.duration(),
        };
        (config, endpoint(&check.endpoint.value))
    };
    Life {
        probes: [&service.startup_probe, &service.readiness_probe, &service.liveness_probe]
            .map(|p| p.as_ref().map(probe)),
        back_off: match &service.restart {
            Restart::Delayed => None,
            Restart::KubernetesBackOff(b) => {
                Some(BackOffConfig { initial: b.initial.duration(), max: b.max.duration() })
            }
        },
        termination: service.termination.as_ref().map(|t| {
            let config = TerminationConfig {
                grace_period: t.grace_period.duration(),
                pre_stop: t.pre_stop.duration(),
                closes_listener: matches!(t.on_sigterm, OnSigterm::CloseListener),
            };
            let path = format!("services.{name}.termination.endpoint_propagation");
            (config, draw(&t.endpoint_propagation.dist, &path))
        }),
        ecs: service.ecs.as_ref().map(|e| EcsTask {
            check: e.health_check.as_ref().map(check),
            grace_period: e.health_check_grace_period.duration(),
            maximum_percent: e.maximum_percent,
            stop_timeout: e.stop_timeout.duration(),
        }),
    }
}
