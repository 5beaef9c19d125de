//! Values of concurrency limits.

use super::values::{at_least_one, positive_time};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::policy::concurrency::{
    Admission, ConcurrencyLimit, EnvoyAdaptive, LimitAlgorithm, Windowed,
};
use crate::spec::source::Span;

/// The highest limit that can be asked for.
const LIMIT_MAX: u32 = 1_000_000;

pub(super) fn layer(l: &ConcurrencyLimit, cx: &mut Context) {
    algorithm(&l.algorithm, cx);
    if let Some(w) = &l.windowed {
        windowed(w, &l.algorithm, cx);
    }
    if let Some(b) = &l.lifo_blocking {
        at_least_one(b.backlog_size, "backlog_size", b.place("backlog_size"), cx);
        positive_time(b.backlog_timeout, "backlog_timeout", b.place("backlog_timeout"), cx);
    }
}

pub(super) fn admission(a: &Admission, cx: &mut Context) {
    algorithm(&a.algorithm, cx);
    if let Some(w) = &a.windowed {
        windowed(w, &a.algorithm, cx);
    }
}

/// A lowest, a first and a highest limit, in this order.
fn bounds(limits: [(&str, u32, Span); 3], cx: &mut Context) {
    for (name, limit, at) in limits {
        at_least_one(limit, name, at, cx);
        if limit > LIMIT_MAX {
            cx.fail::<()>(at, format!("`{name}` must be at most {LIMIT_MAX}"));
        }
    }
    for pair in limits.windows(2) {
        let ((low, less, _), (high, more, at)) = (pair[0], pair[1]);
        if less > more {
            cx.diagnostics.push(
                Diagnostic::error(at, format!("`{high}` must not be less than `{low}`"))
                    .label(format!("{high} is {more}, {low} is {less}")),
            );
        }
    }
}

fn share(value: f64, name: &str, at: Span, cx: &mut Context) {
    if !(value > 0.0 && value <= 1.0) {
        cx.fail::<()>(at, format!("`{name}` must be more than 0 and at most 1"));
    }
}

fn tolerance(value: f64, at: Span, cx: &mut Context) {
    if !(value >= 1.0 && value.is_finite()) {
        cx.fail::<()>(at, "`rtt_tolerance` must be at least 1");
    }
}

fn algorithm(a: &LimitAlgorithm, cx: &mut Context) {
    match a {
        LimitAlgorithm::Fixed(f) => at_least_one(f.limit, "limit", f.place("limit"), cx),
        LimitAlgorithm::Aimd(a) => {
            let limit = |name, value| (name, value, a.place(name));
            let (low, first, high) = (a.min_limit, a.initial_limit, a.max_limit);
            bounds([limit("min_limit", low), limit("initial_limit", first), limit("max_limit", high)], cx);
            if !(0.5..1.0).contains(&a.backoff_ratio) {
                cx.fail::<()>(a.place("backoff_ratio"), "`backoff_ratio` must be from 0.5 and below 1");
            }
            positive_time(a.timeout, "timeout", a.place("timeout"), cx);
        }
        LimitAlgorithm::Vegas(v) => {
            let limit = |name, value| (name, value, v.place(name));
            let first = limit("initial_limit", v.initial_limit);
            bounds([first, first, limit("max_concurrency", v.max_concurrency)], cx);
            share(v.smoothing, "smoothing", v.place("smoothing"), cx);
            if v.probe_multiplier == Some(0) {
                cx.fail::<()>(
                    v.place("probe_multiplier"),
                    "`probe_multiplier` must be at least 1, or `None`",
                );
            }
        }
        LimitAlgorithm::Gradient(g) => {
            let limit = |name, value| (name, value, g.place(name));
            let (low, first) = (limit("min_limit", g.min_limit), limit("initial_limit", g.initial_limit));
            bounds([low, first, limit("max_concurrency", g.max_concurrency)], cx);
            share(g.smoothing, "smoothing", g.place("smoothing"), cx);
            share(g.backoff_ratio, "backoff_ratio", g.place("backoff_ratio"), cx);
            tolerance(g.rtt_tolerance, g.place("rtt_tolerance"), cx);
            if g.queue_size > g.max_concurrency {
                cx.fail::<()>(g.place("queue_size"), "`queue_size` must not be more than `max_concurrency`");
            }
            if g.probe_interval == Some(0) {
                cx.fail::<()>(g.place("probe_interval"), "`probe_interval` must be at least 1, or `None`");
            }
        }
        LimitAlgorithm::Gradient2(g) => {
            let limit = |name, value| (name, value, g.place(name));
            let (low, first) = (limit("min_limit", g.min_limit), limit("initial_limit", g.initial_limit));
            bounds([low, first, limit("max_concurrency", g.max_concurrency)], cx);
            share(g.smoothing, "smoothing", g.place("smoothing"), cx);
            tolerance(g.rtt_tolerance, g.place("rtt_tolerance"), cx);
            at_least_one(g.long_window, "long_window", g.place("long_window"), cx);
        }
        LimitAlgorithm::EnvoyAdaptive(e) => envoy(e, cx),
    }
}

fn envoy(e: &EnvoyAdaptive, cx: &mut Context) {
    let low = ("min_concurrency", e.min_concurrency, e.place("min_concurrency"));
    let high = ("max_concurrency_limit", e.max_concurrency_limit, e.place("max_concurrency_limit"));
    bounds([low, low, high], cx);
    at_least_one(e.request_count, "request_count", e.place("request_count"), cx);
    if e.request_count > 10_000 {
        cx.fail::<()>(e.place("request_count"), "`request_count` must be at most 10000");
    }
    for (name, value) in
        [("concurrency_update_interval", e.concurrency_update_interval), ("interval", e.interval)]
    {
        if value.0 < 0.001 {
            cx.fail::<()>(e.place(name), format!("`{name}` must be at least 1ms"));
        }
    }
}

fn windowed(w: &Windowed, algorithm: &LimitAlgorithm, cx: &mut Context) {
    if let LimitAlgorithm::Fixed(_) | LimitAlgorithm::EnvoyAdaptive(_) = algorithm {
        let message = "`windowed` has no effect on this algorithm";
        cx.diagnostics.push(
            Diagnostic::error(w.span, message)
                .help("`Fixed` needs no samples, and Envoy's has windows of its own"),
        );
    }
    for (name, value) in [("min_window_time", w.min_window_time), ("max_window_time", w.max_window_time)] {
        if value.0 < 0.1 {
            cx.fail::<()>(w.place(name), format!("`{name}` must be at least 100ms, as in the library"));
        }
    }
    if w.max_window_time.0 < w.min_window_time.0 {
        let message = "`max_window_time` must not be less than `min_window_time`";
        cx.fail::<()>(w.place("max_window_time"), message);
    }
    if w.window_size < 10 {
        cx.fail::<()>(w.place("window_size"), "`window_size` must be at least 10, as in the library");
    }
}
