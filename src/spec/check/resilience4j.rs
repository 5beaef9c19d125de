//! Values of resilience4j's rate limiter and thread pool bulkhead.

use super::values::{at_least_one, positive_time};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::policy::resilience4j::{Resilience4jRateLimiter, ThreadPoolBulkhead};

pub(super) fn rate_limiter(r: &Resilience4jRateLimiter, cx: &mut Context) {
    at_least_one(r.limit_for_period, "limit_for_period", r.place("limit_for_period"), cx);
    positive_time(r.limit_refresh_period, "limit_refresh_period", r.place("limit_refresh_period"), cx);
    if r.limit_refresh_period.0 > 0.0 && r.limit_refresh_period.0 < 1e-9 {
        cx.fail::<()>(r.place("limit_refresh_period"), "`limit_refresh_period` must be at least 1ns");
    }
}

pub(super) fn thread_pool(b: &ThreadPoolBulkhead, cx: &mut Context) {
    at_least_one(b.core_thread_pool_size, "core_thread_pool_size", b.place("core_thread_pool_size"), cx);
    if b.max_thread_pool_size < b.core_thread_pool_size {
        let message = "`max_thread_pool_size` must not be less than `core_thread_pool_size`";
        cx.diagnostics.push(
            Diagnostic::error(b.place("max_thread_pool_size"), message)
                .label(format!("max is {}, core is {}", b.max_thread_pool_size, b.core_thread_pool_size)),
        );
    }
    // As resilience4j has it.
    at_least_one(b.queue_capacity, "queue_capacity", b.place("queue_capacity"), cx);
}
