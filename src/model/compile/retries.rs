//! Retries and their budgets, from the language's types to the components' own.

use super::settings::{outcome, shared};
use crate::base::{Outcome, SimDuration, salt};
use crate::components::budget::BudgetConfig;
use crate::components::budget::aws::AwsStandardConfig;
use crate::components::budget::envoy::EnvoyLimit;
use crate::components::budget::family::AnyBudgetConfig;
use crate::components::budget::finagle::FinagleConfig;
use crate::components::budget::grpc::GrpcThrottlingConfig;
use crate::components::rate_limit::{AwsAdaptiveConfig, RateLimitConfig};
use crate::components::retry::{Backoff, Jitter, OutcomeSet, RetryAfter, RetryConfig};
use crate::model::LayerKind;
use crate::spec::policy as sp;
use crate::spec::policy::budgets::{AwsStandard, GrpcThrottling, RetryBudget};
use crate::spec::policy::retries::{self as rs, FinagleBackoff, PollyBackoff};
use crate::spec::quantity::Seconds;

/// Attempts beyond which gRPC does not go, whatever it is told (A6).
const GRPC_ATTEMPTS_MAX: u32 = 5;

/// How much longer than its own wait an AWS SDK waits at most, if it is told to (`_RETRY_AFTER_MAX_ADDITIONAL`).
const AWS_RETRY_AFTER_MAX: SimDuration = SimDuration::from_secs(5);

/// How many times its base Envoy's longest wait is, if it is not given.
const ENVOY_MAX_INTERVAL: f64 = 10.0;

pub(super) fn outcomes(on: &[sp::OutcomeName]) -> OutcomeSet {
    OutcomeSet::of(&on.iter().map(outcome).collect::<Vec<Outcome>>())
}

fn or_none(limit: Option<Seconds>) -> SimDuration {
    limit.map_or(SimDuration::MAX, Seconds::duration)
}

pub(super) fn budget(b: &RetryBudget) -> AnyBudgetConfig {
    match b {
        RetryBudget::Budget(b) => AnyBudgetConfig::Tokens(BudgetConfig {
            capacity: b.capacity,
            initial: b.initial,
            deposit_per_request: b.ratio,
            deposit_per_success: 0.0,
            cost_per_retry: 1.0,
            refund_on_retry_success: 0.0,
            refill_per_second: b.min_per_second,
        }),
        RetryBudget::AwsStandard(b) => aws_standard(b),
        RetryBudget::GrpcThrottling(b) => grpc_throttling(b),
        RetryBudget::Finagle(b) => AnyBudgetConfig::Finagle(FinagleConfig {
            ttl: b.ttl.duration(),
            min_retries_per_sec: b.min_retries_per_sec,
            percent_can_retry: b.percent_can_retry,
        }),
        RetryBudget::Envoy(b) => AnyBudgetConfig::Envoy(EnvoyLimit::MaxRetries(b.max_retries)),
        RetryBudget::EnvoyBudget(b) => AnyBudgetConfig::Envoy(EnvoyLimit::Budget {
            budget_percent: b.budget_percent,
            min_retry_concurrency: b.min_retry_concurrency,
        }),
    }
}

fn aws_standard(b: &AwsStandard) -> AnyBudgetConfig {
    AnyBudgetConfig::AwsStandard(AwsStandardConfig {
        initial: b.initial,
        retry_cost: b.retry_cost,
        throttling_retry_cost: b.throttling_retry_cost,
        timeout_retry_cost: b.timeout_retry_cost.unwrap_or(b.retry_cost),
        no_retry_increment: b.no_retry_increment,
    })
}

pub(super) fn grpc_throttling(b: &GrpcThrottling) -> AnyBudgetConfig {
    AnyBudgetConfig::Grpc(GrpcThrottlingConfig { max_tokens: b.max_tokens, token_ratio: b.token_ratio })
}

/// What all retries come down to.
struct Parts {
    max_retries: u32,
    backoff: Backoff,
    jitter: Jitter,
    on: OutcomeSet,
    retry_after: RetryAfter,
    budget: Option<AnyBudgetConfig>,
    shared: bool,
}

fn finish(parts: Parts, path: &str) -> (LayerKind, bool) {
    let Parts { max_retries, backoff, jitter, on, retry_after, budget, shared } = parts;
    let config = RetryConfig { max_retries, backoff, jitter, on, retry_after };
    (LayerKind::Retry { config, random: None, budget, salt: salt(&format!("{path}.retry")) }, shared)
}

pub(super) fn retry(r: &sp::Retry, path: &str) -> (LayerKind, bool) {
    let (backoff, random) = match &r.backoff {
        sp::Backoff::None => (Backoff::None, None),
        sp::Backoff::Constant(c) => (Backoff::Constant(c.wait.duration()), None),
        sp::Backoff::Exponential(e) => {
            let backoff =
                Backoff::Exponential { base: e.base.duration(), factor: e.factor, max: e.max.duration() };
            (backoff, None)
        }
        sp::Backoff::Steps(s) => (Backoff::Steps(s.waits.iter().map(|w| w.duration()).collect()), None),
        sp::Backoff::Random(d) => (Backoff::None, Some(d.wait.dist.clone())),
    };
    let config = RetryConfig {
        max_retries: r.max,
        backoff,
        jitter: match r.jitter {
            sp::Jitter::None => Jitter::None,
            sp::Jitter::Full => Jitter::Full,
            sp::Jitter::Equal => Jitter::Equal,
            sp::Jitter::Decorrelated => Jitter::Decorrelated,
        },
        on: outcomes(&r.on),
        retry_after: match r.retry_after {
            sp::RetryAfter::AtLeast => RetryAfter::AtLeast,
            sp::RetryAfter::Ignore => RetryAfter::Ignore,
        },
    };
    let budget = r.budget.as_ref().map(budget);
    let is_shared = r.budget.as_ref().is_some_and(|b| shared(b.per()));
    (LayerKind::Retry { config, random, budget, salt: salt(&format!("{path}.retry")) }, is_shared)
}

pub(super) fn aws_adaptive(a: &rs::AwsAdaptive) -> (LayerKind, bool) {
    let config = RateLimitConfig::AwsAdaptive(AwsAdaptiveConfig {
        scale_constant: a.scale_constant,
        beta: a.beta,
        smoothing: a.smoothing,
        time_bucket_range: a.time_bucket_range.0,
        min_rate: a.min_rate,
        max_rate_adjust_scale: a.max_rate_adjust_scale,
    });
    (LayerKind::RateLimit { config, retry_after: None, keys: 1 }, shared(&a.per))
}

/// The limit that adaptive mode adds, with its own constants.
pub(super) fn default_adaptive(sdk: &rs::AwsSdk) -> rs::AwsAdaptive {
    let config = AwsAdaptiveConfig::BOTOCORE;
    rs::AwsAdaptive {
        scale_constant: config.scale_constant,
        beta: config.beta,
        smoothing: config.smoothing,
        time_bucket_range: Seconds(config.time_bucket_range),
        min_rate: config.min_rate,
        max_rate_adjust_scale: config.max_rate_adjust_scale,
        per: sdk.quota.per.clone(),
        span: sdk.span,
        places: Default::default(),
    }
}

/// Another way to write a retry.
pub(super) fn product(layer: &sp::Layer, path: &str) -> Option<(LayerKind, bool)> {
    let parts = match layer {
        sp::Layer::AwsSdk(r) => aws_sdk(r),
        sp::Layer::GrpcRetry(r) => grpc(r),
        sp::Layer::EnvoyRetry(r) => envoy(r),
        sp::Layer::PollyRetry(r) => polly(r),
        sp::Layer::Resilience4jRetry(r) => resilience4j(r),
        sp::Layer::FinagleRetry(r) => finagle(r),
        _ => return None,
    };
    Some(finish(parts, path))
}

fn aws_sdk(r: &rs::AwsSdk) -> Parts {
    Parts {
        max_retries: r.max_attempts - 1,
        backoff: Backoff::Aws {
            scale: r.non_throttling_base_scale.duration(),
            throttling_scale: r.throttling_base_scale.duration(),
            max: r.max_backoff.duration(),
        },
        jitter: Jitter::Full,
        on: outcomes(&r.on),
        retry_after: RetryAfter::AtMost(AWS_RETRY_AFTER_MAX),
        budget: Some(aws_standard(&r.quota)),
        shared: shared(&r.quota.per),
    }
}

fn grpc(r: &rs::GrpcRetry) -> Parts {
    Parts {
        max_retries: r.max_attempts.min(GRPC_ATTEMPTS_MAX) - 1,
        backoff: Backoff::Exponential {
            base: r.initial_backoff.duration(),
            factor: r.backoff_multiplier,
            max: r.max_backoff.duration(),
        },
        jitter: Jitter::Spread { low: 0.8, high: 1.2, max: SimDuration::MAX },
        on: outcomes(&r.on),
        retry_after: RetryAfter::Pushback,
        budget: r.throttling.as_ref().map(grpc_throttling),
        shared: r.throttling.as_ref().is_some_and(|t| shared(&t.per)),
    }
}

fn envoy(r: &rs::EnvoyRetry) -> Parts {
    let base = r.base_interval.duration();
    Parts {
        max_retries: r.num_retries,
        backoff: Backoff::Envoy {
            base,
            max: r.max_interval.map_or(base.scaled(ENVOY_MAX_INTERVAL), Seconds::duration),
        },
        jitter: Jitter::Full,
        on: outcomes(&r.on),
        retry_after: RetryAfter::Ignore,
        budget: Some(budget(&r.budget)),
        shared: shared(r.budget.per()),
    }
}

fn polly(r: &rs::PollyRetry) -> Parts {
    let (base, max) = (r.delay.duration(), or_none(r.max_delay));
    let quarter = Jitter::Spread { low: 0.75, high: 1.25, max };
    let (backoff, jitter) = match r.backoff_type {
        PollyBackoff::Constant => (Backoff::Linear { base, step: SimDuration::ZERO, max }, quarter),
        // The limit comes after chance, so that the curves are the product's own.
        PollyBackoff::Linear => (Backoff::Linear { base, step: base, max: SimDuration::MAX }, quarter),
        PollyBackoff::Exponential => {
            (Backoff::Exponential { base, factor: 2.0, max: SimDuration::MAX }, Jitter::Polly { max })
        }
    };
    let plain = Jitter::Spread { low: 1.0, high: 1.0, max };
    Parts {
        max_retries: r.max_retry_attempts,
        backoff,
        jitter: if r.use_jitter { jitter } else { plain },
        on: outcomes(&r.on),
        retry_after: RetryAfter::Ignore,
        budget: None,
        shared: false,
    }
}

fn resilience4j(r: &rs::Resilience4jRetry) -> Parts {
    let max = or_none(r.exponential_max_wait_duration);
    let factor = if r.enable_exponential_backoff { r.exponential_backoff_multiplier } else { 1.0 };
    let share = if r.enable_randomized_wait { r.randomized_wait_factor } else { 0.0 };
    Parts {
        max_retries: r.max_attempts - 1,
        backoff: Backoff::Exponential { base: r.wait_duration.duration(), factor, max: SimDuration::MAX },
        jitter: Jitter::Spread { low: 1.0 - share, high: 1.0 + share, max },
        on: outcomes(&r.on),
        retry_after: RetryAfter::Ignore,
        budget: None,
        shared: false,
    }
}

fn finagle(r: &rs::FinagleRetry) -> Parts {
    let jittered = |j: &rs::FinagleJittered, jitter| {
        let (base, max) = (j.start.duration(), j.maximum.duration());
        (Backoff::Exponential { base, factor: 2.0, max }, jitter)
    };
    let (backoff, jitter) = match &r.backoff {
        FinagleBackoff::Const(c) => (Backoff::Constant(c.start.duration()), Jitter::None),
        FinagleBackoff::Exponential(e) => {
            let (base, factor) = (e.start.duration(), f64::from(e.multiplier));
            (Backoff::Exponential { base, factor, max: or_none(e.maximum) }, Jitter::None)
        }
        FinagleBackoff::Linear(l) => {
            let (base, step) = (l.start.duration(), l.offset.duration());
            (Backoff::Linear { base, step, max: or_none(l.maximum) }, Jitter::None)
        }
        FinagleBackoff::DecorrelatedJittered(j) => jittered(j, Jitter::FinagleDecorrelated),
        FinagleBackoff::EqualJittered(j) => jittered(j, Jitter::FinagleEqual),
        FinagleBackoff::ExponentialJittered(j) => jittered(j, Jitter::FinagleExponential),
    };
    Parts {
        max_retries: r.num_tries - 1,
        backoff,
        jitter,
        on: outcomes(&r.on),
        retry_after: RetryAfter::Ignore,
        budget: Some(budget(&r.budget)),
        shared: shared(r.budget.per()),
    }
}
