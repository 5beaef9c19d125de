//! Values of balancers by product.

use super::values::{at_least_one, positive_time};
use crate::spec::balancer::{BalancerProduct, Envoy, EnvoyHealthCheck, Haproxy, Nginx, OutlierDetection};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::quantity::Seconds;
use crate::spec::source::{Span, Spanned};
use crate::spec::topology::Balancer;

/// The endpoint that a product's own checks ask.
pub(super) fn checked_endpoint(b: &Balancer) -> Option<&Spanned<String>> {
    match &b.product {
        BalancerProduct::Alb(_) | BalancerProduct::Nginx(_) => None,
        BalancerProduct::Envoy(e) => e.health_check.as_ref().map(|c| &c.endpoint),
        BalancerProduct::Haproxy(h) => h.check.as_ref().map(|c| &c.endpoint),
    }
}

pub(super) fn product(b: &Balancer, cx: &mut Context) {
    let (name, words) = match &b.product {
        BalancerProduct::Alb(alb) => {
            at_least_one(
                alb.minimum_healthy_targets_count,
                "minimum_healthy_targets_count",
                alb.place("minimum_healthy_targets_count"),
                cx,
            );
            let field = "minimum_healthy_targets_percentage";
            return percent(alb.minimum_healthy_targets_percentage, field, alb.place(field), cx);
        }
        BalancerProduct::Envoy(e) => {
            envoy(e, cx);
            let words = [
                "checks of an Envoy are told in `product: Envoy(health_check: EnvoyHealthCheck(…))`",
                "an Envoy panics: `healthy_panic_threshold`, `fail_traffic_on_panic`",
                "an Envoy waits for its `timeout`",
            ];
            ("Envoy", words)
        }
        BalancerProduct::Nginx(n) => {
            nginx(n, cx);
            let words = [
                "nginx sends no checks: `max_fails`, `fail_timeout`",
                "nginx answers 502 if there are no live upstreams",
                "nginx waits for its `proxy_read_timeout`",
            ];
            ("Nginx", words)
        }
        BalancerProduct::Haproxy(h) => {
            haproxy(h, cx);
            let words = [
                "checks of an HAProxy are told in `product: Haproxy(check: HaproxyCheck(…))`",
                "HAProxy answers 503 if no server is up",
                "an HAProxy waits for its `timeout_server`",
            ];
            ("Haproxy", words)
        }
    };
    // What an ALB is told is not for others: nothing is read and ignored.
    for (field, help) in ["health_check", "when_none_healthy", "idle_timeout"].iter().zip(words) {
        if let Some(place) = b.places.of(field) {
            let message = format!("`{field}` is for an ALB, and this is `{name}`");
            cx.diagnostics.push(Diagnostic::error(place, message).help(help));
        }
    }
}

fn envoy(e: &Envoy, cx: &mut Context) {
    percent(e.healthy_panic_threshold, "healthy_panic_threshold", e.place("healthy_panic_threshold"), cx);
    if let Some(outlier) = &e.outlier_detection {
        outlier_detection(outlier, cx);
    }
    if let Some(check) = &e.health_check {
        envoy_check(check, cx);
    }
}

fn outlier_detection(o: &OutlierDetection, cx: &mut Context) {
    for (value, field) in [
        (o.max_ejection_percent, "max_ejection_percent"),
        (o.enforcing_consecutive_5xx, "enforcing_consecutive_5xx"),
        (o.enforcing_consecutive_gateway_failure, "enforcing_consecutive_gateway_failure"),
        (o.enforcing_success_rate, "enforcing_success_rate"),
        (o.failure_percentage_threshold, "failure_percentage_threshold"),
        (o.enforcing_failure_percentage, "enforcing_failure_percentage"),
    ] {
        percent(value, field, o.place(field), cx);
    }
    for (value, field) in [
        (o.consecutive_5xx, "consecutive_5xx"),
        (o.consecutive_gateway_failure, "consecutive_gateway_failure"),
    ] {
        at_least_one(value, field, o.place(field), cx);
    }
    positive_time(o.interval, "interval", o.place("interval"), cx);
    positive_time(o.base_ejection_time, "base_ejection_time", o.place("base_ejection_time"), cx);
    if let Some(longest) = o.max_ejection_time
        && longest.0 < o.base_ejection_time.0
    {
        let message = "`max_ejection_time` must not be shorter than `base_ejection_time`";
        cx.fail::<()>(o.place("max_ejection_time"), message);
    }
}

fn envoy_check(c: &EnvoyHealthCheck, cx: &mut Context) {
    let mut positive = |time: Option<Seconds>, field: &str| {
        if let Some(time) = time {
            positive_time(time, field, c.place(field), cx);
        }
    };
    positive(Some(c.timeout), "timeout");
    positive(Some(c.interval), "interval");
    positive(Some(c.no_traffic_interval), "no_traffic_interval");
    positive(c.unhealthy_interval, "unhealthy_interval");
    positive(c.unhealthy_edge_interval, "unhealthy_edge_interval");
    positive(c.healthy_edge_interval, "healthy_edge_interval");
    at_least_one(c.unhealthy_threshold, "unhealthy_threshold", c.place("unhealthy_threshold"), cx);
    at_least_one(c.healthy_threshold, "healthy_threshold", c.place("healthy_threshold"), cx);
}

fn nginx(n: &Nginx, cx: &mut Context) {
    if n.fail_timeout.0.fract() != 0.0 {
        cx.diagnostics.push(
            Diagnostic::error(n.place("fail_timeout"), "`fail_timeout` must be whole seconds")
                .help("nginx counts time in whole seconds"),
        );
    }
}

fn haproxy(h: &Haproxy, cx: &mut Context) {
    at_least_one(h.error_limit, "error_limit", h.place("error_limit"), cx);
    positive_time(h.timeout_connect, "timeout_connect", h.place("timeout_connect"), cx);
    if h.observe.is_some() && h.check.is_none() {
        let message = "`observe` needs a `check`: errors count as failed checks";
        cx.fail::<()>(h.place("observe"), message);
    }
    if h.minconn > 0 && h.fullconn == 0 {
        cx.diagnostics.push(
            Diagnostic::error(h.place("minconn"), "`minconn` needs `fullconn`")
                .help("give the requests in the backend from which on servers get `maxconn`"),
        );
    }
    let mut positive = |time: Option<Seconds>, field: &str, place: Span| {
        if let Some(time) = time {
            positive_time(time, field, place, cx);
        }
    };
    positive(h.timeout_queue, "timeout_queue", h.place("timeout_queue"));
    positive(h.timeout_server, "timeout_server", h.place("timeout_server"));
    if let Some(c) = &h.check {
        positive(Some(c.inter), "inter", c.place("inter"));
        positive(c.fastinter, "fastinter", c.place("fastinter"));
        positive(c.downinter, "downinter", c.place("downinter"));
        positive(c.timeout_check, "timeout_check", c.place("timeout_check"));
        at_least_one(c.rise, "rise", c.place("rise"), cx);
        at_least_one(c.fall, "fall", c.place("fall"), cx);
    }
}

fn percent(value: u32, field: &str, place: Span, cx: &mut Context) {
    if value > 100 {
        cx.fail::<()>(place, format!("`{field}` must be from 0 to 100 percent"));
    }
}
