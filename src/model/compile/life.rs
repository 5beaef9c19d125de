//! Probes, restarts and termination, from the language's types to the components' own.

use super::draw;
use crate::components::back_off::BackOffConfig;
use crate::components::probe::ProbeConfig;
use crate::components::termination::TerminationConfig;
use crate::model::life::Life;
use crate::spec::life::{OnSigterm, Probe, Restart};
use crate::spec::topology::Service;

/// How instances of a service live; `first` is the first of its endpoints.
pub(super) fn life(name: &str, service: &Service, first: u32) -> Life {
    let probe = |probe: &Probe| {
        let config = ProbeConfig {
            period: probe.period.duration(),
            timeout: probe.timeout.duration(),
            success_threshold: probe.success_threshold,
            failure_threshold: probe.failure_threshold,
            initial_delay: probe.initial_delay.duration(),
        };
        (config, first + service.endpoints.position(&probe.endpoint.value).unwrap_or(0) as u32)
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
    }
}
