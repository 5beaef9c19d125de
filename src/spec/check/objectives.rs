//! Objectives: percentiles that are kept, periods that are some time, requests that the population sends.

use super::timeline::percentile_quantile;
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Objective;
use crate::spec::topology::Topology;

pub(super) fn check(objective: &Objective, client: &str, topology: &Topology, cx: &mut Context) {
    one(objective, cx);
    let Some(clients) = topology.clients.get(client) else { return };
    for (request, span, inner) in objective.endpoints.spanned() {
        if clients.requests.get(request).is_none() {
            let message = format!("`{client}` sends no requests `{request}`");
            cx.diagnostics.push(Diagnostic::error(span, message).nearest(request, clients.requests.names()));
        }
        if !inner.endpoints.is_empty() {
            cx.fail::<()>(inner.place("endpoints"), "the objective of a request has no endpoints of its own");
        }
        one(inner, cx);
    }
}

fn one(objective: &Objective, cx: &mut Context) {
    for (percentile, span, _) in objective.latency.spanned() {
        if percentile_quantile(percentile).is_none() {
            cx.diagnostics.push(
                Diagnostic::error(span, format!("`{percentile}` is not a percentile of an objective"))
                    .help("there is: p50, p90, p95, p99, p99.9"),
            );
        }
    }
    if objective.period.0 <= 0.0 {
        cx.fail::<()>(objective.place("period"), "`period` must be more than 0");
    }
}
