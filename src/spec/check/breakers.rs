//! Values of breakers with the names of their products.

use super::values::{at_least_one, positive_time};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::policy::breakers::{OpossumBreaker, PollyBreaker, Resilience4jBreaker, WaitInOpenState};
use crate::spec::quantity::Seconds;
use crate::spec::source::Span;

/// The most results or seconds of a window: it is kept in memory for each breaker.
const WINDOW_MAX: u32 = 100_000;

/// What Polly allows for its durations, in seconds.
const POLLY_TIMES: std::ops::RangeInclusive<f64> = 0.5..=86_400.0;

fn percentage(value: f64, name: &str, at: Span, cx: &mut Context) {
    // As resilience4j has it: 0 would open with any result.
    if !(value > 0.0 && value <= 100.0) {
        cx.diagnostics.push(
            Diagnostic::error(at, format!("`{name}` must be more than 0 and at most 100"))
                .label(format!("`{name}` is {value}")),
        );
    }
}

pub(super) fn resilience4j(b: &Resilience4jBreaker, cx: &mut Context) {
    let (size, size_at) = (b.sliding_window_size, b.place("sliding_window_size"));
    at_least_one(size, "sliding_window_size", size_at, cx);
    if size > WINDOW_MAX {
        cx.fail::<()>(size_at, format!("`sliding_window_size` must be at most {WINDOW_MAX}"));
    }
    at_least_one(
        b.minimum_number_of_calls,
        "minimum_number_of_calls",
        b.place("minimum_number_of_calls"),
        cx,
    );
    let at = b.place("failure_rate_threshold");
    percentage(b.failure_rate_threshold, "failure_rate_threshold", at, cx);
    let at = b.place("slow_call_rate_threshold");
    percentage(b.slow_call_rate_threshold, "slow_call_rate_threshold", at, cx);
    let at = b.place("slow_call_duration_threshold");
    positive_time(b.slow_call_duration_threshold, "slow_call_duration_threshold", at, cx);
    let name = "permitted_number_of_calls_in_half_open_state";
    at_least_one(b.permitted_number_of_calls_in_half_open_state, name, b.place(name), cx);
    if b.permitted_number_of_calls_in_half_open_state > WINDOW_MAX {
        cx.fail::<()>(b.place(name), format!("`{name}` must be at most {WINDOW_MAX}"));
    }
    match &b.wait_duration_in_open_state {
        WaitInOpenState::ConstantWait(w) => millisecond(w.wait, "wait_duration_in_open_state", w.span, cx),
        WaitInOpenState::OfExponentialBackoff(w) => {
            millisecond(w.initial_interval, "initial_interval", w.place("initial_interval"), cx);
            if !(w.multiplier >= 1.0 && w.multiplier.is_finite()) {
                cx.fail::<()>(w.place("multiplier"), "`multiplier` must be at least 1");
            }
            if let Some(max) = w.max_interval {
                millisecond(max, "max_interval", w.place("max_interval"), cx);
                if max.0 < w.initial_interval.0 {
                    let message = "`max_interval` must not be less than `initial_interval`";
                    cx.fail::<()>(w.place("max_interval"), message);
                }
            }
        }
    }
}

/// resilience4j counts waits in milliseconds.
fn millisecond(value: Seconds, name: &str, at: Span, cx: &mut Context) {
    if value.0 < 0.001 {
        cx.fail::<()>(at, format!("`{name}` must be at least 1ms"));
    }
}

pub(super) fn polly(b: &PollyBreaker, cx: &mut Context) {
    if b.minimum_throughput < 2 {
        cx.diagnostics.push(
            Diagnostic::error(b.place("minimum_throughput"), "`minimum_throughput` must be at least 2")
                .label(format!("`minimum_throughput` is {}", b.minimum_throughput))
                .help("Polly refuses less; to break at the first failure, use `ConsecutiveBreaker(failures: 1)`"),
        );
    }
    for (name, value) in [("sampling_duration", b.sampling_duration), ("break_duration", b.break_duration)] {
        if !POLLY_TIMES.contains(&value.0) {
            cx.fail::<()>(b.place(name), format!("`{name}` must be from 0.5s to a day, as Polly has it"));
        }
    }
}

pub(super) fn opossum(b: &OpossumBreaker, cx: &mut Context) {
    if let Some(timeout) = b.timeout
        && timeout.0 <= 0.0
    {
        cx.diagnostics.push(
            Diagnostic::error(b.place("timeout"), "`timeout` must be more than 0")
                .help("`timeout: None` switches it off"),
        );
    }
    if !(0.0..=100.0).contains(&b.error_threshold_percentage) {
        let message = "`error_threshold_percentage` must be from 0 to 100";
        cx.fail::<()>(b.place("error_threshold_percentage"), message);
    }
    if !(1..=10_000).contains(&b.rolling_count_buckets) {
        cx.fail::<()>(b.place("rolling_count_buckets"), "`rolling_count_buckets` must be from 1 to 10000");
    } else if b.rolling_count_timeout.duration().ns() < u64::from(b.rolling_count_buckets) {
        let message = "`rolling_count_timeout` is too short for its buckets";
        cx.fail::<()>(b.place("rolling_count_timeout"), message);
    }
    positive_time(b.reset_timeout, "reset_timeout", b.place("reset_timeout"), cx);
    if b.capacity == Some(0) {
        cx.fail::<()>(b.place("capacity"), "`capacity` must be at least 1");
    }
}
