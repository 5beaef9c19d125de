//! Probes, restarts and termination: endpoints that exist, and values as Kubernetes admits them.

use super::values::{at_least_one, positive_time};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::life::{EcsService, Probe, Restart};
use crate::spec::source::Spanned;
use crate::spec::topology::{Service, Topology};

pub(super) fn check(topology: &Topology, cx: &mut Context) {
    for (name, service) in topology.services.iter() {
        let probes = [
            (&service.startup_probe, "startup"),
            (&service.readiness_probe, "readiness"),
            (&service.liveness_probe, "liveness"),
        ];
        for (probe, kind) in probes {
            let Some(probe) = probe else { continue };
            check_probe(probe, name, service, cx);
            if kind != "readiness" && probe.success_threshold > 1 {
                cx.diagnostics.push(
                    Diagnostic::error(
                        probe.place("success_threshold"),
                        format!("`success_threshold` of a {kind} probe must be 1, as Kubernetes has it"),
                    )
                    .label(format!("`success_threshold` is {}", probe.success_threshold)),
                );
            }
        }
        if let Restart::KubernetesBackOff(back_off) = &service.restart {
            positive_time(back_off.initial, "initial", back_off.place("initial"), cx);
            if back_off.max.0 < back_off.initial.0 {
                cx.fail::<()>(back_off.place("max"), "`max` must not be less than `initial`");
            }
        }
        if let Some(ecs) = &service.ecs {
            check_ecs(ecs, name, service, cx);
        }
        if let Some(termination) = &service.termination {
            positive_time(termination.grace_period, "grace_period", termination.place("grace_period"), cx);
        }
    }
}

fn check_ecs(ecs: &EcsService, name: &str, service: &Service, cx: &mut Context) {
    let is_kubernetes = service.startup_probe.is_some()
        || service.readiness_probe.is_some()
        || service.liveness_probe.is_some()
        || service.termination.is_some()
        || matches!(service.restart, Restart::KubernetesBackOff(_));
    if is_kubernetes {
        cx.diagnostics.push(
            Diagnostic::error(service.place("ecs"), format!("`{name}` cannot be of ECS and of Kubernetes"))
                .help("take out `ecs`, or the probes, `termination` and `restart`"),
        );
    }
    if !(100..=1_000).contains(&ecs.maximum_percent) {
        cx.fail::<()>(ecs.place("maximum_percent"), "`maximum_percent` must be from 100 to 1000");
    }
    let Some(check) = &ecs.health_check else { return };
    known_endpoint(&check.endpoint, name, service, cx);
    positive_time(check.interval, "interval", check.place("interval"), cx);
    positive_time(check.timeout, "timeout", check.place("timeout"), cx);
    at_least_one(check.retries, "retries", check.place("retries"), cx);
}

fn known_endpoint(endpoint: &Spanned<String>, name: &str, service: &Service, cx: &mut Context) {
    if service.endpoints.get(&endpoint.value).is_none() {
        let message = format!("`{name}` has no endpoint `{}`", endpoint.value);
        cx.diagnostics.push(
            Diagnostic::error(endpoint.span, message).nearest(&endpoint.value, service.endpoints.names()),
        );
    }
}

fn check_probe(probe: &Probe, name: &str, service: &Service, cx: &mut Context) {
    known_endpoint(&probe.endpoint, name, service, cx);
    positive_time(probe.period, "period", probe.place("period"), cx);
    positive_time(probe.timeout, "timeout", probe.place("timeout"), cx);
    at_least_one(probe.success_threshold, "success_threshold", probe.place("success_threshold"), cx);
    at_least_one(probe.failure_threshold, "failure_threshold", probe.place("failure_threshold"), cx);
}
