//! Deployments: services that can be deployed, versions that differ in what instances may differ in, strategies that
//! can come to an end.

use super::timeline::{legal, percentile_quantile};
use crate::spec::balancer::BalancerProduct;
use crate::spec::cost::Purchase;
use crate::spec::decode::Context;
use crate::spec::deployment::{
    Analysis, Canary, CanaryRouting, CanaryStep, Deploy, DeployStrategy, InstanceCount, RollbackRule,
};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::{Action, At};
use crate::spec::quantity::Seconds;
use crate::spec::source::{Span, Spanned};
use crate::spec::topology::{Service, Topology};

/// What all instances of a service share, whatever their version.
const SHARED: [&str; 5] = ["replicas", "price_per_hour", "zones", "ecs", "purchase"];

/// The service that is deployed, if there is one.
pub(super) fn service<'t>(
    target: &Spanned<String>,
    topology: &'t Topology,
    cx: &mut Context,
) -> Option<&'t Service> {
    let found = topology.services.get(&target.value);
    if found.is_none() {
        let message = format!("there is no service `{}` to deploy", target.value);
        let names = topology.services.names();
        cx.diagnostics.push(Diagnostic::error(target.span, message).nearest(&target.value, names));
    }
    found
}

pub(super) fn deploy(d: &Deploy, topology: &Topology, cx: &mut Context) {
    let Some(service) = service(&d.target, topology, cx) else { return };
    let name = &d.target.value;
    if service.ecs.is_some() {
        let message = format!("`{name}` runs as tasks of Amazon ECS, which deploys by itself");
        let help = "take `ecs` out of the service to deploy it as a Deployment of Kubernetes";
        cx.diagnostics.push(Diagnostic::error(d.target.span, message).help(help));
    }
    if matches!(service.purchase, Purchase::Spot(_) | Purchase::Mixed(_)) {
        let message = format!("`{name}` has spot instances, whose places are fixed: it cannot be deployed");
        let help = "buy its instances `OnDemand` or `Reserved` to deploy versions of it";
        cx.diagnostics.push(Diagnostic::error(d.target.span, message).help(help));
    }
    legal(&d.version.name.value, "a version", d.version.name.span, cx);
    if d.version.name.value == "base" {
        let message = "`base` is the version that runs at the start: it can be rolled back to, not deployed";
        cx.fail::<()>(d.version.name.span, message);
    }
    for (path, span, _) in d.version.set.spanned() {
        settable(name, path, span, cx);
    }
    match &d.strategy {
        DeployStrategy::RollingUpdate(r) => {
            fences(r.max_surge, r.max_unavailable, r.place("max_surge"), cx);
            deadline(r.min_ready, r.progress_deadline, r.place("progress_deadline"), cx);
        }
        DeployStrategy::Recreate(r) => {
            deadline(r.min_ready, r.progress_deadline, r.place("progress_deadline"), cx);
        }
        DeployStrategy::BlueGreen(b) => {
            weighted(name, b.span, topology, cx);
            deadline(b.min_ready, b.progress_deadline, b.place("progress_deadline"), cx);
            if let Some(a) = &b.analysis {
                analysis(a, cx);
                for field in ["max_error_ratio_over_stable", "max_latency_times_stable"] {
                    let is_given = match field {
                        "max_latency_times_stable" => a.max_latency_times_stable.is_some(),
                        _ => a.max_error_ratio_over_stable.is_some(),
                    };
                    if is_given {
                        let message = format!(
                            "`{field}` has nothing to compare with: after the switch the old fleet gets no requests"
                        );
                        cx.fail::<()>(a.place(field), message);
                    }
                }
            }
        }
        DeployStrategy::Canary(c) => canary(name, c, topology, cx),
    }
    for rule in &d.rollback {
        match rule {
            // Whether there is such an alert is known once all are planned.
            RollbackRule::OnDeadline | RollbackRule::OnAlert(_) => {}
            RollbackRule::OnRestarts(r) if r.times == 0 => {
                cx.fail::<()>(r.place("times"), "`times` must be at least 1");
            }
            RollbackRule::OnRestarts(_) => {}
            RollbackRule::OnErrors(e) if e.window.0 <= 0.0 => {
                cx.fail::<()>(e.place("window"), "`window` must be more than 0");
            }
            RollbackRule::OnErrors(_) => {}
        }
    }
}

/// A setting of a version: of its service, or of a policy.
fn settable(service: &str, path: &str, span: Span, cx: &mut Context) {
    let parts: Vec<&str> = path.split('.').collect();
    match parts.as_slice() {
        ["policies", _, ..] => {}
        ["services", of, field, ..] if *of == service => {
            if SHARED.contains(field) {
                let message = format!("`{field}` is the same for all versions of `{service}`");
                let help = "change it with `Set` on the timeline";
                cx.diagnostics.push(Diagnostic::error(span, message).help(help));
            }
        }
        _ => {
            let message = format!("a version of `{service}` cannot change `{path}`");
            let help = format!("it can change what begins with `services.{service}.` or `policies.`");
            cx.diagnostics.push(Diagnostic::error(span, message).help(help));
        }
    }
}

fn fences(surge: InstanceCount, unavailable: InstanceCount, span: Span, cx: &mut Context) {
    let is_zero = |count| matches!(count, InstanceCount::Number(0)) || count == InstanceCount::Share(0.0);
    if is_zero(surge) && is_zero(unavailable) {
        let message = "`max_surge` and `max_unavailable` must not both be 0: nothing could ever be replaced";
        cx.fail::<()>(span, message);
    }
}

fn deadline(min_ready: Seconds, deadline: Seconds, span: Span, cx: &mut Context) {
    if deadline.0 <= min_ready.0 {
        cx.fail::<()>(span, "`progress_deadline` must be more than `min_ready`");
    }
}

fn canary(name: &str, c: &Canary, topology: &Topology, cx: &mut Context) {
    deadline(c.min_ready, c.progress_deadline, c.place("progress_deadline"), cx);
    match c.routing {
        CanaryRouting::Balancer => weighted(name, c.span, topology, cx),
        CanaryRouting::Replicas => fences(c.max_surge, c.max_unavailable, c.place("max_surge"), cx),
    }
    let mut last = 0.0;
    for step in &c.steps {
        match step {
            CanaryStep::Weight(w) => last = w.weight.0,
            CanaryStep::Pause(_) => {}
            CanaryStep::Analysis(a) => {
                analysis(a, cx);
                if last == 0.0 {
                    let message = "there is nothing to analyse: the new version has no requests yet";
                    let help = "put `Weight(\"5%\")` before it";
                    cx.diagnostics.push(Diagnostic::error(a.span, message).help(help));
                }
            }
        }
    }
}

fn analysis(a: &Analysis, cx: &mut Context) {
    if a.interval.0 <= 0.0 {
        cx.fail::<()>(a.place("interval"), "`interval` must be more than 0");
    }
    if a.count == 0 {
        cx.fail::<()>(a.place("count"), "`count` must be at least 1");
    }
    if a.failure_limit >= a.count.max(1) {
        let message = "this analysis can never fail: `failure_limit` must be less than `count`";
        cx.fail::<()>(a.place("failure_limit"), message);
    }
    if percentile_quantile(&a.percentile.value).is_none() {
        let message = format!("`{}` is not a percentile", a.percentile.value);
        let help = "there is: p50, p90, p95, p99, p99.9";
        cx.diagnostics.push(Diagnostic::error(a.percentile.span, message).help(help));
    }
    let limits = [
        a.max_error_ratio.is_some(),
        a.max_error_ratio_over_stable.is_some(),
        a.max_latency.is_some(),
        a.max_latency_times_stable.is_some(),
    ];
    if limits == [false; 4] {
        let help = "give it a limit, such as `max_error_ratio: \"1%\"`";
        cx.diagnostics.push(Diagnostic::error(a.span, "this analysis has no limit").help(help));
    }
}

/// Balancers in front must be able to share out requests by weight.
fn weighted(service: &str, span: Span, topology: &Topology, cx: &mut Context) {
    for (name, balancer) in topology.balancers.iter() {
        let product = match &balancer.product {
            BalancerProduct::Nginx(_) => "nginx",
            BalancerProduct::Haproxy(_) => "HAProxy",
            _ => continue,
        };
        if balancer.targets.value == service {
            let message =
                format!("`{name}` is a balancer of {product}: it sends no share of its requests elsewhere");
            let help = "deploy with `RollingUpdate`, or with a `Canary` whose `routing` is `Replicas`";
            cx.diagnostics.push(Diagnostic::error(span, message).help(help));
        }
    }
}

/// What must have happened before: a deployment before a rollback, and one meaning of each version.
pub(super) fn order(mut timeline: Vec<&At>, cx: &mut Context) {
    timeline.sort_by_key(|at| at.at.duration());
    let mut deployed: Vec<&Deploy> = Vec::new();
    for at in timeline {
        match &at.action {
            Action::Deploy(d) => {
                let is_same = |other: &&&Deploy| {
                    other.target.value == d.target.value && other.version.name.value == d.version.name.value
                };
                if let Some(first) = deployed.iter().find(is_same)
                    && !d.version.set.is_empty()
                {
                    let message = format!("the version `{}` is declared twice", d.version.name.value);
                    let error = Diagnostic::error(d.version.span, message);
                    let error = error.context(first.version.span, "the first is here");
                    cx.diagnostics.push(error.help("leave out its `set` where it is deployed again"));
                }
                deployed.push(d);
            }
            Action::RollBack(r) if deployed.iter().all(|d| d.target.value != r.target.value) => {
                let message = format!("nothing was deployed to `{}` before this", r.target.value);
                cx.fail::<()>(r.target.span, message);
            }
            _ => {}
        }
    }
}
