//! Probes, restarts and termination: endpoints that exist, and values as Kubernetes admits them.

use super::values::{at_least_one, positive_time};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::life::{Probe, Restart};
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
        if let Some(termination) = &service.termination {
            positive_time(termination.grace_period, "grace_period", termination.place("grace_period"), cx);
        }
    }
}

fn check_probe(probe: &Probe, name: &str, service: &Service, cx: &mut Context) {
    if service.endpoints.get(&probe.endpoint.value).is_none() {
        let message = format!("`{name}` has no endpoint `{}`", probe.endpoint.value);
        cx.diagnostics.push(
            Diagnostic::error(probe.endpoint.span, message)
                .nearest(&probe.endpoint.value, service.endpoints.names()),
        );
    }
    positive_time(probe.period, "period", probe.place("period"), cx);
    positive_time(probe.timeout, "timeout", probe.place("timeout"), cx);
    at_least_one(probe.success_threshold, "success_threshold", probe.place("success_threshold"), cx);
    at_least_one(probe.failure_threshold, "failure_threshold", probe.place("failure_threshold"), cx);
}
