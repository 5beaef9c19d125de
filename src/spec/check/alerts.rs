//! Alerts: rules that can be evaluated. Metrics and limits are found when each variant is planned.

use super::timeline::legal;
use crate::spec::alert::{Alert, BurnRate, Threshold};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::experiment::Experiment;
use crate::spec::quantity::Seconds;
use crate::spec::source::Span;
use crate::spec::topology::Topology;

pub(super) fn check(experiment: &Experiment, topology: &Topology, cx: &mut Context) {
    for (name, span, alert) in experiment.alerts.spanned() {
        legal(name, "an alert", span, cx);
        match alert {
            Alert::BurnRate(rule) => burn_rate(rule, topology, cx),
            Alert::Threshold(rule) => threshold(rule, cx),
        }
    }
}

fn burn_rate(rule: &BurnRate, topology: &Topology, cx: &mut Context) {
    let client = &rule.client;
    if topology.clients.get(&client.value).is_none() {
        cx.diagnostics.push(
            Diagnostic::error(client.span, format!("there is no client population `{}`", client.value))
                .nearest(&client.value, topology.clients.names()),
        );
    }
    if rule.objective.0 >= 1.0 {
        cx.fail::<()>(
            rule.place("objective"),
            "`objective` must be below 100%: without a budget for errors none can burn",
        );
    }
    if rule.threshold <= 0.0 {
        cx.fail::<()>(rule.place("threshold"), "`threshold` must be more than 0");
    }
    seconds(rule.window, "window", rule.place("window"), cx);
    seconds(rule.interval, "interval", rule.place("interval"), cx);
    if let Some(short) = rule.short {
        seconds(short, "short", rule.place("short"), cx);
        if short.0 >= rule.window.0 {
            cx.fail::<()>(rule.place("short"), "the short window must be shorter than `window`");
        }
    }
    if rule.period.0 <= 0.0 {
        cx.fail::<()>(rule.place("period"), "`period` must be more than 0");
    }
}

pub(super) fn threshold(rule: &Threshold, cx: &mut Context) {
    if rule.above.is_some() == rule.below.is_some() {
        cx.fail::<()>(rule.span, "`Threshold` needs either `above` or `below`");
    }
    seconds(rule.window, "window", rule.place("window"), cx);
    seconds(rule.interval, "interval", rule.place("interval"), cx);
}

/// Alerts are evaluated on what is recorded second by second.
fn seconds(value: Seconds, what: &str, span: Span, cx: &mut Context) {
    if value.0 < 1.0 || value.0.fract() != 0.0 {
        cx.fail::<()>(
            span,
            format!("`{what}` must be a whole number of seconds, at least 1s, the resolution of the series"),
        );
    }
}
