//! Autoscalers: services that exist, one for each, and values as Kubernetes admits them.

mod aws;
mod nodes;

use super::names::known_service;
use super::values::{MANY, at_least_one, positive_time};
use crate::spec::autoscaler::keda::{Keda, Trigger};
use crate::spec::autoscaler::knative::KnativeKpa;
use crate::spec::autoscaler::{Autoscaler, Hpa, HpaMetric, Rules, ScalingPolicy};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::source::{Span, Spanned};
use crate::spec::topology::Topology;

/// The longest stabilisation window and the longest period of a policy, in seconds.
const WINDOW_MAX_S: f64 = 3600.0;
const PERIOD_MAX_S: f64 = 1800.0;

pub(super) fn check(topology: &Topology, cx: &mut Context) {
    let mut seen: Vec<(&Spanned<String>, &Autoscaler)> = Vec::new();
    for (_, autoscaler) in topology.autoscalers.iter() {
        let service = match autoscaler {
            Autoscaler::Hpa(a) => &a.service,
            Autoscaler::TargetTracking(a) => &a.service,
            Autoscaler::StepScaling(a) => &a.service,
            Autoscaler::SimpleScaling(a) => &a.service,
            Autoscaler::Scheduled(a) => &a.service,
            Autoscaler::KnativeKpa(a) => &a.service,
            Autoscaler::Keda(a) => &a.service,
            Autoscaler::ClusterAutoscaler(a) => {
                nodes::cluster_autoscaler(a, topology, cx);
                continue;
            }
        };
        known_service(topology, service, cx);
        let rival = seen
            .iter()
            .find(|(name, other)| name.value == service.value && !may_stand_together(other, autoscaler));
        if let Some((name, _)) = rival {
            cx.diagnostics.push(
                Diagnostic::error(service.span, format!("two autoscalers scale `{}`", name.value))
                    .context(name.span, "the other is here")
                    .help("give one of them both metrics: the larger proposal counts"),
            );
        }
        aws::same_bounds(&seen, service, autoscaler, cx);
        seen.push((service, autoscaler));
        match autoscaler {
            Autoscaler::Hpa(hpa) => check_hpa(hpa, topology, cx),
            Autoscaler::TargetTracking(a) => aws::target_tracking(a, topology, cx),
            Autoscaler::StepScaling(a) => aws::step_scaling(a, topology, cx),
            Autoscaler::SimpleScaling(a) => aws::simple_scaling(a, topology, cx),
            Autoscaler::Scheduled(a) => aws::scheduled(a, cx),
            Autoscaler::KnativeKpa(a) => knative(a, cx),
            Autoscaler::Keda(a) => keda(a, topology, cx),
            Autoscaler::ClusterAutoscaler(_) => {}
        }
    }
}

/// Whether both may scale one service: policies of Amazon's Auto Scaling, and one schedule beside anything else.
fn may_stand_together(one: &Autoscaler, other: &Autoscaler) -> bool {
    let is_schedule = |a: &Autoscaler| matches!(a, Autoscaler::Scheduled(_));
    (is_schedule(one) != is_schedule(other)) || (aws::is_policy(one) && aws::is_policy(other))
}

fn knative(a: &KnativeKpa, cx: &mut Context) {
    at_least_one(a.max_scale, "max_scale", a.place("max_scale"), cx);
    at_least_one(a.activation_scale, "activation_scale", a.place("activation_scale"), cx);
    if a.max_scale < a.min_scale.max(a.activation_scale) {
        let message = "`max_scale` must not be less than `min_scale` and `activation_scale`";
        cx.fail::<()>(a.place("max_scale"), message);
    }
    if a.max_scale > MANY {
        cx.fail::<()>(a.place("max_scale"), format!("`max_scale` must be at most {MANY}"));
    }
    let target = a.container_concurrency_target * a.target_utilization.0;
    if !(0.01..=1e9).contains(&target) {
        let message = "`container_concurrency_target` times `target_utilization` must be at least 0.01";
        cx.fail::<()>(a.place("container_concurrency_target"), message);
    }
    if !(6.0..=3600.0).contains(&a.stable_window.0) {
        let message = "`stable_window` must be from 6 seconds to an hour, as Knative has it";
        cx.fail::<()>(a.place("stable_window"), message);
    }
    if !(0.01..=1.0).contains(&a.panic_window_percentage.0) {
        let message = "`panic_window_percentage` must be from 1% to 100%";
        cx.fail::<()>(a.place("panic_window_percentage"), message);
    }
    if !(1.1..=10.0).contains(&a.panic_threshold_percentage.0) {
        let message = "`panic_threshold_percentage` must be from 110% to 1000%, as Knative has it";
        cx.fail::<()>(a.place("panic_threshold_percentage"), message);
    }
    for (rate, field) in
        [(a.max_scale_up_rate, "max_scale_up_rate"), (a.max_scale_down_rate, "max_scale_down_rate")]
    {
        if rate <= 1.0 || rate > 1e6 {
            cx.fail::<()>(a.place(field), format!("`{field}` must be more than 1"));
        }
    }
    positive_time(a.tick, "tick", a.place("tick"), cx);
}

fn keda(a: &Keda, topology: &Topology, cx: &mut Context) {
    match &a.trigger {
        Trigger::QueueLength(t) => known_service(topology, &t.of, cx),
        Trigger::RequestsInFlight(t) => known_service(topology, &t.of, cx),
        Trigger::Backlog(t) => {
            if topology.queues.get(&t.of.value).is_none() {
                let error = Diagnostic::error(t.of.span, format!("there is no queue `{}`", t.of.value));
                cx.diagnostics.push(error.nearest(&t.of.value, topology.queues.names()));
            }
        }
    }
    if !(0.001..=1e12).contains(&a.threshold) {
        cx.fail::<()>(a.place("threshold"), "`threshold` must be at least 0.001");
    }
    if !(0.0..=1e12).contains(&a.activation_threshold) {
        cx.fail::<()>(a.place("activation_threshold"), "`activation_threshold` must not be negative");
    }
    positive_time(a.polling_interval, "polling_interval", a.place("polling_interval"), cx);
    if a.idle_replica_count.is_some_and(|idle| idle != 0) {
        cx.fail::<()>(
            a.place("idle_replica_count"),
            "`idle_replica_count` must be 0: KEDA allows no other number",
        );
    }
    at_least_one(a.max_replica_count, "max_replica_count", a.place("max_replica_count"), cx);
    if a.max_replica_count < a.min_replica_count {
        let message = "`max_replica_count` must not be less than `min_replica_count`";
        cx.fail::<()>(a.place("max_replica_count"), message);
    }
    if a.max_replica_count > MANY {
        cx.fail::<()>(a.place("max_replica_count"), format!("`max_replica_count` must be at most {MANY}"));
    }
}

fn check_hpa(hpa: &Hpa, topology: &Topology, cx: &mut Context) {
    at_least_one(hpa.min, "min", hpa.place("min"), cx);
    if hpa.max < hpa.min {
        cx.diagnostics.push(
            Diagnostic::error(hpa.place("max"), "`max` must not be less than `min`")
                .label(format!("min is {}, max is {}", hpa.min, hpa.max)),
        );
    }
    if hpa.max > MANY {
        cx.fail::<()>(hpa.place("max"), format!("`max` must be at most {MANY}"));
    }
    if hpa.metrics.is_empty() {
        cx.diagnostics.push(
            Diagnostic::error(hpa.place("metrics"), "an autoscaler needs at least one metric")
                .help("write `metrics: [Cpu(target: \"60%\", request: 0.5)]`"),
        );
    }
    hpa.metrics.iter().for_each(|m| metric(m, hpa, topology, cx));
    positive_time(hpa.sync, "sync", hpa.place("sync"), cx);
    positive_time(hpa.metric_resolution, "metric_resolution", hpa.place("metric_resolution"), cx);
    tolerance(hpa.tolerance, hpa.place("tolerance"), cx);
    if let Some(behavior) = &hpa.behavior {
        rules(&behavior.scale_up, cx);
        rules(&behavior.scale_down, cx);
    }
}

fn metric(metric: &HpaMetric, hpa: &Hpa, topology: &Topology, cx: &mut Context) {
    match metric {
        HpaMetric::Cpu(cpu) => {
            let percent = cpu.target.0 * 100.0;
            if percent < 0.5 || (percent - percent.round()).abs() > 1e-6 {
                let message = "`target` must be a whole percentage from 1% on";
                cx.fail::<()>(cpu.place("target"), message);
            }
            let service = topology.services.get(&hpa.service.value);
            let limit = service.and_then(|s| s.cpu.as_ref()).map(|c| c.limit.unwrap_or(c.cores));
            match cpu.request.or(limit) {
                Some(request) if request.0 < 0.001 => {
                    let message = "each pod must request at least a thousandth of a core";
                    cx.fail::<()>(cpu.place("request"), message);
                }
                None if service.is_some() => cx.diagnostics.push(
                    Diagnostic::error(cpu.span, "it is not known what each pod requests")
                        .help("give `request`, or the service's `cpu`"),
                ),
                _ => {}
            }
        }
        HpaMetric::Memory(memory) => {
            let percent = memory.target.0 * 100.0;
            if percent < 0.5 || (percent - percent.round()).abs() > 1e-6 {
                let message = "`target` must be a whole percentage from 1% on";
                cx.fail::<()>(memory.place("target"), message);
            }
            let service = topology.services.get(&hpa.service.value);
            let limit = service.and_then(|s| s.memory.as_ref()).map(|m| m.limit);
            match memory.request.or(limit) {
                // In thousandths of bytes, as Kubernetes has them, it must be a whole number of 64 bits.
                Some(request) if !(1..=1 << 50).contains(&request.0) => {
                    let message = "each pod must request from 1B to 1048576GiB of memory";
                    cx.fail::<()>(memory.place("request"), message);
                }
                None if service.is_some() => cx.diagnostics.push(
                    Diagnostic::error(memory.span, "it is not known how much memory each pod requests")
                        .help("give `request`, or the service's `memory`"),
                ),
                _ => {}
            }
        }
        HpaMetric::InFlight(m) => {
            if !(0.001..=1e9).contains(&m.target) {
                cx.fail::<()>(m.place("target"), "`target` must be from 0.001 to 1000000000");
            }
        }
    }
}

fn tolerance(value: f64, span: Span, cx: &mut Context) {
    if !(0.0..=1.0).contains(&value) {
        cx.fail::<()>(span, "`tolerance` must be from 0 to 1");
    }
}

fn rules(rules: &Rules, cx: &mut Context) {
    if rules.stabilization_window.is_some_and(|w| w.0 > WINDOW_MAX_S) {
        let message = "`stabilization_window` must be at most an hour, as Kubernetes has it";
        cx.fail::<()>(rules.place("stabilization_window"), message);
    }
    if let Some(given) = rules.tolerance {
        tolerance(given, rules.place("tolerance"), cx);
    }
    if rules.policies.as_ref().is_some_and(Vec::is_empty) {
        cx.diagnostics.push(
            Diagnostic::error(rules.place("policies"), "there are no policies")
                .help("leave them out for Kubernetes' own, or write `select_policy: Disabled`"),
        );
    }
    for policy in rules.policies.iter().flatten() {
        let (value, period, value_at, period_at) = match policy {
            ScalingPolicy::Pods(p) => (p.value, p.period, p.place("value"), p.place("period")),
            ScalingPolicy::Percent(p) => (p.value, p.period, p.place("value"), p.place("period")),
        };
        at_least_one(value, "value", value_at, cx);
        if period.0 <= 0.0 || period.0 > PERIOD_MAX_S {
            let message = "`period` must be more than 0 and at most half an hour, as Kubernetes has it";
            cx.fail::<()>(period_at, message);
        }
    }
}
