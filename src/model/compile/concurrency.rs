//! Concurrency limits, from the language's types to the components' own.

use super::settings::shared;
use crate::base::salt;
use crate::components::concurrency::envoy::EnvoyConfig;
use crate::components::concurrency::limits::{AimdConfig, Gradient2Config, GradientConfig, VegasConfig};
use crate::components::concurrency::{Backlog, LimitConfig, LimiterConfig, WindowConfig};
use crate::model::LayerKind;
use crate::spec::policy::concurrency::{Admission, ConcurrencyLimit, LimitAlgorithm, Windowed};

pub(super) fn layer(l: &ConcurrencyLimit, path: &str) -> (LayerKind, bool) {
    let backlog = l
        .lifo_blocking
        .as_ref()
        .map(|b| Backlog { size: b.backlog_size, timeout: b.backlog_timeout.duration() });
    let config = LimiterConfig { backlog, ..limiter(&l.algorithm, l.windowed.as_ref()) };
    (LayerKind::ConcurrencyLimit { config, salt: salt(&format!("{path}.probes")) }, shared(&l.per))
}

pub(super) fn admission(a: &Admission) -> LimiterConfig {
    limiter(&a.algorithm, a.windowed.as_ref())
}

fn limiter(algorithm: &LimitAlgorithm, windowed: Option<&Windowed>) -> LimiterConfig {
    let limit = match algorithm {
        LimitAlgorithm::Fixed(f) => LimitConfig::Fixed(f.limit),
        LimitAlgorithm::Aimd(a) => LimitConfig::Aimd(AimdConfig {
            initial_limit: a.initial_limit,
            min_limit: a.min_limit,
            max_limit: a.max_limit,
            backoff_ratio: a.backoff_ratio,
            timeout: a.timeout.duration(),
        }),
        LimitAlgorithm::Vegas(v) => LimitConfig::Vegas(VegasConfig {
            initial_limit: v.initial_limit,
            max_concurrency: v.max_concurrency,
            smoothing: v.smoothing,
            probe_multiplier: v.probe_multiplier,
        }),
        LimitAlgorithm::Gradient(g) => LimitConfig::Gradient(GradientConfig {
            initial_limit: g.initial_limit,
            min_limit: g.min_limit,
            max_concurrency: g.max_concurrency,
            smoothing: g.smoothing,
            rtt_tolerance: g.rtt_tolerance,
            backoff_ratio: g.backoff_ratio,
            queue_size: g.queue_size,
            probe_interval: g.probe_interval,
        }),
        LimitAlgorithm::Gradient2(g) => LimitConfig::Gradient2(Gradient2Config {
            initial_limit: g.initial_limit,
            min_limit: g.min_limit,
            max_concurrency: g.max_concurrency,
            smoothing: g.smoothing,
            queue_size: g.queue_size,
            rtt_tolerance: g.rtt_tolerance,
            long_window: g.long_window,
        }),
        LimitAlgorithm::EnvoyAdaptive(e) => LimitConfig::Envoy(EnvoyConfig {
            sample_aggregate_percentile: e.sample_aggregate_percentile.0,
            max_concurrency_limit: e.max_concurrency_limit,
            concurrency_update_interval: e.concurrency_update_interval.duration(),
            interval: e.interval.duration(),
            request_count: e.request_count,
            jitter: e.jitter.0,
            min_concurrency: e.min_concurrency,
            buffer: e.buffer.0,
        }),
    };
    let window = windowed.map(|w| WindowConfig {
        min_window_time: w.min_window_time.duration(),
        max_window_time: w.max_window_time.duration(),
        window_size: w.window_size,
        min_rtt_threshold: w.min_rtt_threshold.duration(),
    });
    LimiterConfig { limit, window, backlog: None }
}
