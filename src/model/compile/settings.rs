//! Settings of single components, from the language's types to the components' own.

use super::draw;
use crate::base::dist::Dist;
use crate::base::{Outcome, SimDuration, SimTime, salt};
use crate::components::balancer::PolicyConfig;
use crate::components::breaker::BreakerConfig;
use crate::components::budget::BudgetConfig;
use crate::components::cache::{CacheConfig, Eviction};
use crate::components::cpu::CpuDiscipline;
use crate::components::pool::PoolConfig;
use crate::components::queue::Discipline;
use crate::components::retry::{Backoff, Jitter, OutcomeSet, RetryConfig};
use crate::model::keys::Keys;
use crate::model::profile::{Factor, Profile};
use crate::model::{Arrivals, Group, LayerKind, Memory};
use crate::spec::policy as sp;
use crate::spec::quantity::Seconds;
use crate::spec::topology as st;

pub(super) fn balancer_policy(policy: &st::BalancerPolicy) -> PolicyConfig {
    match policy {
        st::BalancerPolicy::RoundRobin => PolicyConfig::RoundRobin,
        st::BalancerPolicy::WeightedRoundRobin => PolicyConfig::WeightedRoundRobin,
        st::BalancerPolicy::Random => PolicyConfig::Random,
        st::BalancerPolicy::WeightedRandom => PolicyConfig::WeightedRandom,
        st::BalancerPolicy::LeastOutstanding => PolicyConfig::LeastOutstanding,
        st::BalancerPolicy::PowerOfTwo => PolicyConfig::PowerOfTwo,
        st::BalancerPolicy::RingHash(r) => PolicyConfig::RingHash { ring_size: r.ring_size },
    }
}

pub(super) fn shared(per: &sp::Per) -> bool {
    matches!(per, sp::Per::Service)
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
    let on: Vec<Outcome> = r.on.iter().map(outcome).collect();
    let config = RetryConfig {
        max_retries: r.max,
        backoff,
        jitter: match r.jitter {
            sp::Jitter::None => Jitter::None,
            sp::Jitter::Full => Jitter::Full,
            sp::Jitter::Equal => Jitter::Equal,
            sp::Jitter::Decorrelated => Jitter::Decorrelated,
        },
        on: OutcomeSet::of(&on),
    };
    let budget = r.budget.as_ref().map(|b| BudgetConfig {
        capacity: b.capacity,
        initial: b.initial,
        deposit_per_request: b.ratio,
        deposit_per_success: 0.0,
        cost_per_retry: 1.0,
        refund_on_retry_success: 0.0,
        refill_per_second: b.min_per_second,
    });
    let is_shared = r.budget.as_ref().is_some_and(|b| shared(&b.per));
    (LayerKind::Retry { config, random, budget, salt: salt(&format!("{path}.retry")) }, is_shared)
}

pub(super) fn outcome(name: &sp::OutcomeName) -> Outcome {
    match name {
        sp::OutcomeName::Ok => Outcome::Ok,
        sp::OutcomeName::Degraded => Outcome::Degraded,
        sp::OutcomeName::Error => Outcome::Error,
        sp::OutcomeName::Timeout => Outcome::Timeout,
        sp::OutcomeName::Rejected => Outcome::Rejected,
        sp::OutcomeName::Unavailable => Outcome::Unavailable,
        sp::OutcomeName::Cancelled => Outcome::Cancelled,
    }
}

pub(super) fn breaker(b: &sp::Breaker) -> BreakerConfig {
    BreakerConfig {
        error_threshold_percentage: b.error_percent,
        reset_timeout: b.reset.duration(),
        rolling_count_timeout: b.window.duration(),
        rolling_count_buckets: b.buckets,
        volume_threshold: b.volume,
        capacity: b.capacity,
        allow_warm_up: b.warm_up,
    }
}

pub(super) fn pool(p: &sp::Pool) -> PoolConfig {
    PoolConfig {
        max: p.max,
        min: p.min,
        acquire_timeout: p.acquire_timeout.duration(),
        idle_timeout: p.idle.duration(),
        reap_interval: p.evict.duration(),
        max_uses: p.max_uses,
    }
}

pub(super) fn cache(c: &sp::Cache) -> CacheConfig {
    let window = |t: &Option<Seconds>| t.map_or(SimDuration::ZERO, |t| t.duration());
    CacheConfig {
        ttl: c.ttl.map(|t| t.duration()),
        renew: c.renew,
        capacity: c.capacity,
        eviction: match c.eviction {
            sp::Eviction::Lru => Eviction::Lru,
            sp::Eviction::Fifo => Eviction::Fifo,
            sp::Eviction::Random => Eviction::Random,
            sp::Eviction::Lfu => Eviction::Lfu,
        },
        negative_ttl: c.negative_ttl.map(|t| t.duration()),
        stale_while_revalidate: window(&c.stale_while_revalidate),
        stale_if_error: window(&c.stale_if_error),
    }
}

pub(super) fn keys(k: &st::Keys) -> Keys {
    match k {
        st::Keys::Zipf(z) => Keys::zipf(z.count, z.exponent),
        st::Keys::Uniform(u) => Keys::Uniform(u.count),
        st::Keys::File(f) => Keys::weighted(f.file.0.iter().copied()),
    }
}

pub(super) fn arrivals(a: &st::Arrivals) -> Arrivals {
    match a {
        st::Arrivals::Poisson(p) => Arrivals::Poisson(p.rate.0),
        st::Arrivals::Regular(r) => Arrivals::Regular(r.rate.0),
        st::Arrivals::Renewal(r) => Arrivals::Renewal(r.interval.dist.clone()),
        st::Arrivals::Mmpp(m) => Arrivals::Mmpp(m.states.iter().map(|s| (s.rate.0, s.mean.0)).collect()),
        st::Arrivals::Times(t) => {
            let times = t.file.0.iter().map(|row| SimTime::ZERO + SimDuration::from_seconds(row[0]));
            Arrivals::Times(times.collect())
        }
        st::Arrivals::Rates(r) => Arrivals::Rates(r.file.0.iter().map(|row| (row[0], row[1])).collect()),
        st::Arrivals::Batches(b) => Arrivals::Batches { rate: b.rate.0, size: b.size.count.clone() },
        st::Arrivals::Users(u) => Arrivals::Users { count: u.count, think: u.think.dist.clone() },
    }
}

pub(super) fn profile(parts: &[st::Profile]) -> Profile {
    let points = |p: &[st::Point]| p.iter().map(|p| (p.at.0, p.factor)).collect();
    let factors = parts
        .iter()
        .map(|part| match part {
            st::Profile::Steps(s) => Factor::Steps(points(&s.points)),
            st::Profile::Piecewise(p) => Factor::Lines(points(&p.points)),
            st::Profile::Ramp(r) => Factor::Lines(vec![(r.start.0, r.from), (r.start.0 + r.lasts.0, r.to)]),
            st::Profile::Diurnal(d) => {
                Factor::Sine { period: d.period.0, amplitude: d.amplitude.0, shift: d.shift.0 }
            }
            st::Profile::Spike(s) => Factor::Steps(vec![(s.at.0, s.factor), (s.at.0 + s.lasts.0, 1.0)]),
        })
        .collect();
    Profile { factors }
}

fn cpu_discipline(d: &st::CpuDiscipline) -> CpuDiscipline {
    match d {
        st::CpuDiscipline::ProcessorSharing => CpuDiscipline::ProcessorSharing,
        st::CpuDiscipline::Fifo => CpuDiscipline::Fifo,
        st::CpuDiscipline::Priority => CpuDiscipline::Priority,
    }
}

pub(super) fn service(name: &str, s: &st::Service) -> Group {
    Group {
        replicas: s.replicas,
        sets_replicas: false,
        workers: s.workers,
        queue_capacity: s.queue.capacity,
        discipline: match s.queue.discipline {
            st::Discipline::Fifo => Discipline::Fifo,
            st::Discipline::Lifo => Discipline::Lifo,
            st::Discipline::Priority => Discipline::Priority,
        },
        queue_wait_max: s
            .queue
            .max_wait
            .as_ref()
            .map(|w| draw(&w.dist, &format!("services.{name}.queue.max_wait"))),
        cores: s.cpu.as_ref().map(|c| c.limit.map_or(c.cores.0, |l| l.0.min(c.cores.0))),
        cpu_discipline: s
            .cpu
            .as_ref()
            .map_or(CpuDiscipline::ProcessorSharing, |c| cpu_discipline(&c.discipline)),
        memory: s.memory.as_ref().map(|m| Memory {
            limit: m.limit.0,
            base: m.base.0,
            per_request: m.per_request.0,
        }),
        request_timeout: s.request_timeout.map(|t| t.duration()),
        restart_delay: s.restart_delay.dist.clone(),
        start_up: s.start_up.dist.clone(),
        connections_max: None,
        in_flight_max: None,
        admission: s.admission.as_ref().map(super::concurrency::admission),
        shedding: s.shedding.as_ref().map(super::shedding::shedding),
    }
}

pub(super) fn database(d: &st::Database) -> Group {
    Group {
        replicas: 1,
        cores: Some(d.cores.0),
        cpu_discipline: cpu_discipline(&d.discipline),
        restart_delay: d.restart_delay.dist.clone(),
        start_up: d.start_up.dist.clone(),
        connections_max: Some(d.max_connections - d.reserved),
        ..external_group(None)
    }
}

pub(super) fn external(e: &st::External) -> Group {
    external_group(e.max_in_flight)
}

fn external_group(in_flight_max: Option<u32>) -> Group {
    Group {
        replicas: 1,
        sets_replicas: false,
        workers: None,
        queue_capacity: None,
        discipline: Discipline::Fifo,
        queue_wait_max: None,
        cores: None,
        cpu_discipline: CpuDiscipline::ProcessorSharing,
        memory: None,
        request_timeout: None,
        restart_delay: Dist::Constant(0.0),
        start_up: Dist::Constant(0.0),
        connections_max: None,
        in_flight_max,
        admission: None,
        shedding: None,
    }
}
