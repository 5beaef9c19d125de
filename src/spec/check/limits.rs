//! Values of rate limits, hedges and breakers that count failures in a row.

use super::values::{at_least_one, positive, positive_time};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::policy::hedges::{HedgeDelay, PercentileDelay};
use crate::spec::policy::{ConsecutiveBreaker, Hedge, Layer, RateAlgorithm, RateKey, RateLimit};
use crate::spec::quantity::{Rate, Seconds};
use crate::spec::source::Span;
use crate::spec::topology::Topology;

/// The slowest rate: less than one billionth per second cannot be told from none.
const RATE_MIN: f64 = 1e-9;

/// The shortest window, in seconds: time is counted in whole nanoseconds.
const WINDOW_MIN: f64 = 1e-9;

/// The most calls that a sliding window keeps in its log: enough for any limit, and still little memory.
const LOG_MAX: u32 = 1_000_000;

/// The most attempts that a hedge sends beside the first: gRPC allows 4, Polly 10.
const HEDGES_MAX: u32 = 100;

/// The most tenants that a rate limit can tell apart, of all populations together.
pub(super) const TENANTS_MAX: usize = 255;

pub(super) fn rate_limit(r: &RateLimit, tenants: usize, cx: &mut Context) {
    if matches!(r.key, RateKey::Tenant) && tenants == 0 {
        cx.diagnostics.push(
            Diagnostic::error(r.place("key"), "there are no tenants to tell apart")
                .help("give a client population `tenants`, or leave out `key`"),
        );
    } else if matches!(r.key, RateKey::Tenant) && tenants > TENANTS_MAX {
        let message = format!("there are {tenants} tenants, and a rate limit can tell {TENANTS_MAX} apart");
        cx.fail::<()>(r.place("key"), message);
    }
    match &r.algorithm {
        RateAlgorithm::TokenBucket(b) => {
            rate(b.rate, b.place("rate"), cx);
            at_least_one(b.burst, "burst", b.place("burst"), cx);
        }
        RateAlgorithm::LeakyBucket(b) => rate(b.rate, b.place("rate"), cx),
        RateAlgorithm::Gcra(g) => {
            rate(g.rate, g.place("rate"), cx);
            at_least_one(g.burst, "burst", g.place("burst"), cx);
        }
        RateAlgorithm::FixedWindow(w) => {
            window(w.limit, w.place("limit"), w.window, w.place("window"), cx);
        }
        RateAlgorithm::SlidingWindow(w) => {
            window(w.limit, w.place("limit"), w.window, w.place("window"), cx);
            if w.limit > LOG_MAX {
                cx.diagnostics.push(
                    Diagnostic::error(w.place("limit"), format!("`limit` must be at most {LOG_MAX}")).help(
                        "a sliding window keeps a time for each call; `SlidingCounter` keeps two numbers",
                    ),
                );
            }
        }
        RateAlgorithm::SlidingCounter(w) => {
            window(w.limit, w.place("limit"), w.window, w.place("window"), cx);
        }
        RateAlgorithm::Resilience4j(r) => super::resilience4j::rate_limiter(r, cx),
    }
}

fn rate(value: Rate, span: Span, cx: &mut Context) {
    positive(value.0, "rate", span, cx);
    if value.0 > 0.0 && value.0 < RATE_MIN {
        cx.fail::<()>(span, "`rate` must be at least one call in 1e9 seconds");
    }
}

fn window(limit: u32, limit_at: Span, window: Seconds, window_at: Span, cx: &mut Context) {
    at_least_one(limit, "limit", limit_at, cx);
    positive_time(window, "window", window_at, cx);
    if window.0 > 0.0 && window.0 < WINDOW_MIN {
        cx.fail::<()>(window_at, "`window` must be at least 1ns");
    }
}

/// How many tenants there are, each name counted once.
pub(super) fn tenants(topology: &Topology) -> usize {
    let names = topology.clients.iter().flat_map(|(_, clients)| clients.tenants.names());
    names.collect::<std::collections::BTreeSet<_>>().len()
}

pub(super) fn hedge(h: &Hedge, cx: &mut Context) {
    if !(1..=HEDGES_MAX).contains(&h.max) {
        cx.diagnostics.push(
            Diagnostic::error(h.place("max"), format!("`max` must be from 1 to {HEDGES_MAX}"))
                .label(format!("`max` is {}", h.max)),
        );
    }
    if let HedgeDelay::Percentile(p) = &h.delay {
        percentile(p, cx);
    }
}

fn percentile(p: &PercentileDelay, cx: &mut Context) {
    if p.percentile <= 0.0 || p.percentile >= 100.0 {
        cx.diagnostics.push(
            Diagnostic::error(p.place("percentile"), "`percentile` must be between 0 and 100")
                .label(format!("`percentile` is {}", p.percentile)),
        );
    }
    positive_time(p.window, "window", p.place("window"), cx);
}

/// gRPC has at least two attempts, Polly from one to ten beside the first.
pub(super) fn product_hedge(layer: &Layer, cx: &mut Context) {
    match layer {
        Layer::GrpcHedge(h) => {
            if !(2..=HEDGES_MAX).contains(&h.max_attempts) {
                let message = format!("`max_attempts` must be from 2 to {HEDGES_MAX}");
                cx.fail::<()>(h.place("max_attempts"), message);
            }
            h.throttling.iter().for_each(|t| super::retries::grpc_throttling(t, cx));
        }
        Layer::PollyHedge(h) if !(1..=10).contains(&h.max_hedged_attempts) => {
            cx.fail::<()>(h.place("max_hedged_attempts"), "`max_hedged_attempts` must be from 1 to 10");
        }
        _ => {}
    }
}

pub(super) fn consecutive_breaker(b: &ConsecutiveBreaker, cx: &mut Context) {
    at_least_one(b.failures, "failures", b.place("failures"), cx);
    positive_time(b.reset, "reset", b.place("reset"), cx);
    at_least_one(b.trials, "trials", b.place("trials"), cx);
    at_least_one(b.successes, "successes", b.place("successes"), cx);
}
