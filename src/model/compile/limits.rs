//! Rate limits, thread pools, hedges and breakers that count failures in a row, from the language's types to the
//! components' own.

use super::retries;
use super::settings::shared;
use crate::base::salt;
use crate::components::breaker::consecutive::ConsecutiveConfig;
use crate::components::breaker::family::AnyBreakerConfig;
use crate::components::bulkhead::family::AnyBulkheadConfig;
use crate::components::bulkhead::threads::ThreadPoolConfig;
use crate::components::percentile::PercentileConfig;
use crate::components::rate_limit::{CallRate, RateLimitConfig};
use crate::components::retry::OutcomeSet;
use crate::model::{HedgeDelay, LayerKind};
use crate::spec::policy as sp;
use crate::spec::policy::resilience4j::ThreadPoolBulkhead;
use crate::spec::quantity::Seconds;
use crate::spec::topology::Topology;
use std::collections::BTreeSet;

/// All tenants, in order of name.
fn tenants(topology: &Topology) -> BTreeSet<&str> {
    topology.clients.iter().flat_map(|(_, clients)| clients.tenants.names()).collect()
}

/// The number of a tenant, from 1. Where rate limits tell tenants apart, there are no more than fit.
pub(super) fn tenant_number(topology: &Topology, name: &str) -> u8 {
    let before = tenants(topology).iter().take_while(|n| **n != name).count();
    u8::try_from(before + 1).unwrap_or(u8::MAX)
}

pub(super) fn rate_limit(r: &sp::RateLimit, topology: &Topology) -> (LayerKind, bool) {
    let config = match &r.algorithm {
        sp::RateAlgorithm::TokenBucket(b) => {
            RateLimitConfig::TokenBucket { rate: CallRate::per_second(b.rate.0), burst: b.burst }
        }
        sp::RateAlgorithm::LeakyBucket(b) => {
            RateLimitConfig::LeakyBucket { rate: CallRate::per_second(b.rate.0), capacity: b.capacity }
        }
        sp::RateAlgorithm::Gcra(g) => {
            RateLimitConfig::Gcra { rate: CallRate::per_second(g.rate.0), burst: g.burst }
        }
        sp::RateAlgorithm::FixedWindow(w) => {
            RateLimitConfig::FixedWindow { limit: w.limit, window: w.window.duration() }
        }
        sp::RateAlgorithm::SlidingWindow(w) => {
            RateLimitConfig::SlidingWindow { limit: w.limit, window: w.window.duration() }
        }
        sp::RateAlgorithm::SlidingCounter(w) => {
            RateLimitConfig::SlidingCounter { limit: w.limit, window: w.window.duration() }
        }
        sp::RateAlgorithm::Resilience4j(r) => RateLimitConfig::Periods {
            limit: r.limit_for_period,
            period: r.limit_refresh_period.duration(),
            timeout: r.timeout_duration.duration(),
        },
    };
    let keys = match r.key {
        sp::RateKey::All => 1,
        sp::RateKey::Tenant => tenants(topology).len() as u32 + 1,
    };
    let retry_after = r.retry_after.map(Seconds::duration);
    (LayerKind::RateLimit { config, retry_after, keys }, shared(&r.per))
}

pub(super) fn hedge(h: &sp::Hedge, path: &str) -> (LayerKind, bool) {
    let salt = salt(&format!("{path}.attempts"));
    let (delay, is_shared) = match &h.delay {
        sp::hedges::HedgeDelay::After(f) => (HedgeDelay::Fixed(f.delay.duration()), false),
        sp::hedges::HedgeDelay::Percentile(p) => {
            let config = PercentileConfig {
                percentile: p.percentile,
                initial: p.initial.duration(),
                min_samples: p.min_samples,
                window: p.window.duration(),
            };
            (HedgeDelay::Percentile(config), shared(&p.per))
        }
    };
    let non_fatal = OutcomeSet::FAILURES;
    (LayerKind::Hedge { delay, non_fatal, budget: None, max: h.max, cancel: h.cancel, salt }, is_shared)
}

/// Attempts beyond which gRPC does not go, whatever it is told (A6).
const GRPC_ATTEMPTS_MAX: u32 = 5;

pub(super) fn grpc_hedge(h: &sp::hedges::GrpcHedge, path: &str) -> (LayerKind, bool) {
    let kind = LayerKind::Hedge {
        delay: HedgeDelay::Fixed(h.hedging_delay.duration()),
        non_fatal: retries::outcomes(&h.non_fatal),
        budget: h.throttling.as_ref().map(retries::grpc_throttling),
        max: h.max_attempts.min(GRPC_ATTEMPTS_MAX) - 1,
        cancel: true,
        salt: salt(&format!("{path}.attempts")),
    };
    (kind, h.throttling.as_ref().is_some_and(|t| shared(&t.per)))
}

pub(super) fn polly_hedge(h: &sp::hedges::PollyHedge, path: &str) -> (LayerKind, bool) {
    let kind = LayerKind::Hedge {
        delay: HedgeDelay::Fixed(h.delay.duration()),
        non_fatal: OutcomeSet::FAILURES,
        budget: None,
        max: h.max_hedged_attempts,
        cancel: true,
        salt: salt(&format!("{path}.attempts")),
    };
    (kind, false)
}

pub(super) fn thread_pool(b: &ThreadPoolBulkhead) -> (LayerKind, bool) {
    let config = ThreadPoolConfig {
        core: b.core_thread_pool_size,
        max: b.max_thread_pool_size,
        queue_capacity: b.queue_capacity,
        keep_alive: b.keep_alive_duration.duration(),
    };
    (LayerKind::Bulkhead { config: AnyBulkheadConfig::Threads(config) }, shared(&b.per))
}

pub(super) fn consecutive_breaker(b: &sp::ConsecutiveBreaker) -> (LayerKind, bool) {
    let config = ConsecutiveConfig {
        failures: b.failures,
        reset: b.reset.duration(),
        trials: b.trials,
        successes: b.successes,
    };
    (LayerKind::Breaker(AnyBreakerConfig::Consecutive(config)), shared(&b.per))
}
