//! Breakers with the names of their products, from the language's types to the components' own.

use super::policies::Spec;
use crate::components::breaker::BreakerConfig;
use crate::components::breaker::family::AnyBreakerConfig;
use crate::components::breaker::polly::PollyConfig;
use crate::components::breaker::resilience4j::{OpenWait, Resilience4jConfig, SlidingWindow};
use crate::spec::policy as sp;
use crate::spec::policy::breakers::{
    OpossumBreaker, PollyBreaker, Resilience4jBreaker, SlidingWindowType, StateAfterWait, WaitInOpenState,
};

pub(super) fn resilience4j(b: &Resilience4jBreaker) -> AnyBreakerConfig {
    let wait = b.max_wait_duration_in_half_open_state.duration();
    AnyBreakerConfig::Resilience4j(Resilience4jConfig {
        sliding_window: match b.sliding_window_type {
            SlidingWindowType::Count => SlidingWindow::Count(b.sliding_window_size),
            SlidingWindowType::Time => SlidingWindow::Time(b.sliding_window_size),
        },
        minimum_number_of_calls: b.minimum_number_of_calls,
        failure_rate_threshold: b.failure_rate_threshold as f32,
        slow_call_rate_threshold: b.slow_call_rate_threshold as f32,
        slow_call_duration_threshold: b.slow_call_duration_threshold.duration(),
        permitted_number_of_calls_in_half_open_state: b.permitted_number_of_calls_in_half_open_state,
        wait_in_open_state: match &b.wait_duration_in_open_state {
            WaitInOpenState::ConstantWait(w) => OpenWait::Constant(w.wait.duration()),
            WaitInOpenState::OfExponentialBackoff(w) => OpenWait::Exponential {
                initial: w.initial_interval.duration(),
                multiplier: w.multiplier,
                max: w.max_interval.map(|max| max.duration()),
            },
        },
        max_wait_duration_in_half_open_state: (!wait.is_zero()).then_some(wait),
        closes_after_wait_in_half_open_state: matches!(
            b.transition_to_state_after_wait_duration,
            StateAfterWait::Closed
        ),
        automatic_transition_from_open_to_half_open_enabled: b
            .automatic_transition_from_open_to_half_open_enabled,
    })
}

pub(super) fn polly(b: &PollyBreaker) -> AnyBreakerConfig {
    AnyBreakerConfig::Polly(PollyConfig {
        failure_ratio: b.failure_ratio.0,
        minimum_throughput: b.minimum_throughput,
        sampling_duration: b.sampling_duration.duration(),
        break_duration: b.break_duration.duration(),
    })
}

pub(super) fn opossum(b: &OpossumBreaker) -> AnyBreakerConfig {
    AnyBreakerConfig::Opossum(BreakerConfig {
        error_threshold_percentage: b.error_threshold_percentage,
        reset_timeout: b.reset_timeout.duration(),
        rolling_count_timeout: b.rolling_count_timeout.duration(),
        rolling_count_buckets: b.rolling_count_buckets,
        volume_threshold: b.volume_threshold,
        capacity: b.capacity,
        allow_warm_up: b.allow_warm_up,
    })
}

/// Layers that stand for several ones, taken apart: an opossum breaker and its timeout.
pub(super) fn expanded(specs: Vec<Spec>) -> Vec<Spec> {
    let mut all = Vec::with_capacity(specs.len());
    for spec in specs {
        let timeout = match &spec {
            Spec::Layer(sp::Layer::OpossumBreaker(b)) => b.timeout,
            _ => None,
        };
        all.push(spec);
        all.extend(timeout.map(|limit| Spec::Timeout(limit.duration())));
    }
    all
}
