//! Values of retry budgets and of products' retries.

use super::values::{at_least_one, positive_time};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::policy::Layer;
use crate::spec::policy::budgets::{AwsStandard, GrpcThrottling, RetryBudget};
use crate::spec::policy::retries::FinagleBackoff;
use crate::spec::quantity::Seconds;
use crate::spec::source::Span;

/// The most retries of one call.
const RETRIES_MAX: u32 = 1_000;

/// The most tokens of the AWS SDKs' quota, and of one retry.
const TOKENS_MAX: u32 = 1_000_000_000;

fn within(value: f64, what: &str, (low, high): (f64, f64), span: Span, cx: &mut Context) {
    if !(low..=high).contains(&value) {
        let message = format!("`{what}` must be from {low} to {high}");
        cx.diagnostics.push(Diagnostic::error(span, message).label(format!("`{what}` is {value}")));
    }
}

pub(super) fn budget(budget: &RetryBudget, cx: &mut Context) {
    match budget {
        RetryBudget::Budget(b) => {
            for (value, what) in [
                (b.ratio, "ratio"),
                (b.min_per_second, "min_per_second"),
                (b.capacity, "capacity"),
                (b.initial, "initial"),
            ] {
                if !(0.0..=1e9).contains(&value) {
                    cx.fail::<()>(b.place(what), format!("`{what}` must be from 0 to 1e9"));
                }
            }
        }
        RetryBudget::AwsStandard(b) => aws_standard(b, cx),
        RetryBudget::GrpcThrottling(b) => grpc_throttling(b, cx),
        RetryBudget::Finagle(b) => {
            within(b.ttl.0, "ttl in seconds", (1.0, 60.0), b.place("ttl"), cx);
            within(
                b.percent_can_retry,
                "percent_can_retry",
                (0.0, 1_000.0),
                b.place("percent_can_retry"),
                cx,
            );
        }
        RetryBudget::Envoy(_) => {}
        RetryBudget::EnvoyBudget(b) => {
            within(b.budget_percent, "budget_percent", (0.0, 100.0), b.place("budget_percent"), cx);
        }
    }
}

fn aws_standard(b: &AwsStandard, cx: &mut Context) {
    for (value, what) in [
        (b.initial, "initial"),
        (b.retry_cost, "retry_cost"),
        (b.throttling_retry_cost, "throttling_retry_cost"),
        (b.timeout_retry_cost.unwrap_or(0), "timeout_retry_cost"),
        (b.no_retry_increment, "no_retry_increment"),
    ] {
        within(f64::from(value), what, (0.0, f64::from(TOKENS_MAX)), b.place(what), cx);
    }
}

pub(super) fn grpc_throttling(b: &GrpcThrottling, cx: &mut Context) {
    within(f64::from(b.max_tokens), "max_tokens", (1.0, 1_000.0), b.place("max_tokens"), cx);
    if b.token_ratio < 0.001 || b.token_ratio > 1e6 {
        cx.diagnostics.push(
            Diagnostic::error(b.place("token_ratio"), "`token_ratio` must be from 0.001 to 1000000")
                .help("gRPC takes three decimals of it; with none of them, no retry would ever come back"),
        );
    }
}

fn attempts(value: u32, what: &str, least: u32, span: Span, cx: &mut Context) {
    within(f64::from(value), what, (f64::from(least), f64::from(RETRIES_MAX)), span, cx);
}

fn not_below(max: Seconds, base: Seconds, (what, of): (&str, &str), span: Span, cx: &mut Context) {
    if max.0 < base.0 {
        cx.fail::<()>(span, format!("`{what}` must not be less than `{of}`"));
    }
}

pub(super) fn layer(layer: &Layer, cx: &mut Context) {
    match layer {
        Layer::AwsSdk(r) => {
            attempts(r.max_attempts, "max_attempts", 1, r.place("max_attempts"), cx);
            aws_standard(&r.quota, cx);
        }
        Layer::GrpcRetry(r) => {
            attempts(r.max_attempts, "max_attempts", 2, r.place("max_attempts"), cx);
            positive_time(r.initial_backoff, "initial_backoff", r.place("initial_backoff"), cx);
            positive_time(r.max_backoff, "max_backoff", r.place("max_backoff"), cx);
            let at = r.place("backoff_multiplier");
            super::values::positive(r.backoff_multiplier, "backoff_multiplier", at, cx);
            r.throttling.iter().for_each(|t| grpc_throttling(t, cx));
        }
        Layer::EnvoyRetry(r) => {
            attempts(r.num_retries, "num_retries", 0, r.place("num_retries"), cx);
            positive_time(r.base_interval, "base_interval", r.place("base_interval"), cx);
            if let Some(max) = r.max_interval {
                let at = r.place("max_interval");
                not_below(max, r.base_interval, ("max_interval", "base_interval"), at, cx);
            }
            budget(&r.budget, cx);
        }
        Layer::PollyRetry(r) => {
            attempts(r.max_retry_attempts, "max_retry_attempts", 1, r.place("max_retry_attempts"), cx);
        }
        Layer::Resilience4jRetry(r) => {
            attempts(r.max_attempts, "max_attempts", 1, r.place("max_attempts"), cx);
            positive_time(r.wait_duration, "wait_duration", r.place("wait_duration"), cx);
            let factor = r.exponential_backoff_multiplier;
            let at = r.place("exponential_backoff_multiplier");
            within(factor, "exponential_backoff_multiplier", (1.0, 1e6), at, cx);
            let at = r.place("randomized_wait_factor");
            within(r.randomized_wait_factor, "randomized_wait_factor", (0.0, 1.0), at, cx);
        }
        Layer::FinagleRetry(r) => {
            attempts(r.num_tries, "num_tries", 1, r.place("num_tries"), cx);
            match &r.backoff {
                FinagleBackoff::Const(_) | FinagleBackoff::Linear(_) => {}
                FinagleBackoff::Exponential(e) => {
                    at_least_one(e.multiplier, "multiplier", e.place("multiplier"), cx);
                }
                FinagleBackoff::DecorrelatedJittered(j)
                | FinagleBackoff::EqualJittered(j)
                | FinagleBackoff::ExponentialJittered(j) => {
                    positive_time(j.start, "start", j.place("start"), cx);
                    not_below(j.maximum, j.start, ("maximum", "start"), j.place("maximum"), cx);
                }
            }
            budget(&r.budget, cx);
        }
        Layer::AwsAdaptive(a) => {
            for (value, what, range) in [
                (a.scale_constant, "scale_constant", (1e-6, 1e6)),
                (a.beta, "beta", (0.0, 1.0)),
                (a.smoothing, "smoothing", (0.0, 1.0)),
                (a.time_bucket_range.0, "time_bucket_range", (1e-3, 3_600.0)),
                (a.min_rate, "min_rate", (1e-6, 1e9)),
                (a.max_rate_adjust_scale, "max_rate_adjust_scale", (1.0, 1e6)),
            ] {
                within(value, what, range, a.place(what), cx);
            }
        }
        _ => {}
    }
}
