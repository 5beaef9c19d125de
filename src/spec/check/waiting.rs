//! Queues.

use super::values::{MANY, at_least_one, positive, positive_time};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::topology::{Service, Topology};
use crate::spec::waiting::{Discipline, Shed};

/// What can be said of a service's queue by itself.
pub(super) fn queue(s: &Service, cx: &mut Context) {
    let q = &s.queue;
    let is_plain = q.capacity.is_none()
        && q.max_wait.is_none()
        && q.shed.is_none()
        && q.bytes.is_none()
        && matches!(q.discipline, Discipline::Fifo | Discipline::Lifo | Discipline::Priority);
    if s.workers.is_none() && !is_plain {
        cx.diagnostics.push(
            Diagnostic::error(q.span, "a service without `workers` never queues")
                .help("give `workers`, the requests that an instance executes at once"),
        );
    }
    match &q.discipline {
        Discipline::WeightedFair(fair) => {
            for (name, span, weight) in fair.weights.spanned() {
                positive(*weight, name, span, cx);
            }
        }
        Discipline::EarliestDeadline(order) => {
            for (name, span, due) in order.deadlines.spanned() {
                if s.endpoints.get(name).is_none() {
                    let message = format!("there is no endpoint `{name}`");
                    let names = s.endpoints.names();
                    cx.diagnostics.push(Diagnostic::error(span, message).nearest(name, names));
                }
                positive_time(*due, name, span, cx);
            }
            positive_time(order.default, "default", order.place("default"), cx);
        }
        Discipline::Fifo | Discipline::Lifo | Discipline::Priority | Discipline::AdaptiveLifo(_) => {}
    }
    match &q.shed {
        Some(Shed::CoDel(c)) => {
            positive_time(c.target, "target", c.place("target"), cx);
            positive_time(c.interval, "interval", c.place("interval"), cx);
        }
        Some(Shed::ControlledDelay(c)) => {
            positive_time(c.target, "target", c.place("target"), cx);
            positive_time(c.interval, "interval", c.place("interval"), cx);
        }
        Some(Shed::RandomEarly(r)) => {
            positive(r.weight, "weight", r.place("weight"), cx);
            if r.weight > 1.0 {
                cx.fail::<()>(r.place("weight"), "`weight` must be at most 1");
            }
            positive_time(r.service, "service", r.place("service"), cx);
            if !(r.min >= 0.0 && r.max > r.min && r.max.is_finite()) {
                cx.fail::<()>(r.place("max"), "`max` must be more than `min`, and neither below 0");
            }
        }
        None => {}
    }
}

/// A function has environments instead of workers.
pub(super) fn lambda(s: &Service, cx: &mut Context) {
    let Some(lambda) = &s.lambda else { return };
    if s.replicas != 1 || s.workers.is_some() {
        let error = Diagnostic::error(lambda.span, "a function has neither `replicas` nor `workers`");
        cx.diagnostics.push(error.help("`concurrency` says how many requests it executes at once"));
    }
    at_least_one(lambda.concurrency, "concurrency", lambda.place("concurrency"), cx);
    if lambda.provisioned > lambda.concurrency {
        cx.fail::<()>(lambda.place("provisioned"), "`provisioned` must be at most `concurrency`");
    }
    if lambda.provisioned > MANY {
        cx.fail::<()>(lambda.place("provisioned"), format!("`provisioned` must be at most {MANY}"));
    }
    positive_time(lambda.scaling_period, "scaling_period", lambda.place("scaling_period"), cx);
}

/// Tenants that shares are given to.
pub(super) fn shares(topology: &Topology, cx: &mut Context) {
    let mut tenants: Vec<&str> = topology.clients.iter().flat_map(|(_, c)| c.tenants.names()).collect();
    tenants.sort_unstable();
    tenants.dedup();
    for (_, service) in topology.services.iter() {
        let Discipline::WeightedFair(fair) = &service.queue.discipline else { continue };
        for (name, span, _) in fair.weights.spanned() {
            if !tenants.contains(&name) {
                let message = format!("there is no tenant `{name}`");
                cx.diagnostics.push(Diagnostic::error(span, message).nearest(name, tenants.iter().copied()));
            }
        }
        if tenants.len() > super::limits::TENANTS_MAX {
            let message = format!(
                "there are {} tenants, and a queue can tell {} apart",
                tenants.len(),
                super::limits::TENANTS_MAX
            );
            cx.fail::<()>(fair.span, message);
        }
    }
}
