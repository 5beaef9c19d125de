//! Settings of single components, from the language's types to the components' own.

use super::{databases, draw, waiting};
use crate::base::dist::Dist;
use crate::base::{Outcome, SimDuration, SimTime, salt};
use crate::components::breaker::BreakerConfig;
use crate::components::cache::{CacheConfig, Eviction};
use crate::components::cpu::CpuDiscipline;
use crate::components::pool::PoolConfig;
use crate::components::queue::QueueConfig;
use crate::model::keys::Keys;
use crate::model::life::Life;
use crate::model::profile::{Factor, Profile};
use crate::model::runtime::Runtime;
use crate::model::{Arrivals, Group, Memory};
use crate::spec::policy as sp;
use crate::spec::quantity::Seconds;
use crate::spec::topology as st;

pub(super) fn shared(per: &sp::Per) -> bool {
    matches!(per, sp::Per::Service)
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

pub(super) fn service(name: &str, s: &st::Service, topology: &st::Topology) -> Group {
    Group {
        replicas: s.replicas,
        replicas_said: (s.place("replicas").source, s.place("replicas").start),
        workers: s.workers,
        queue: waiting::config(&s.queue, topology),
        queue_bytes: waiting::bytes(&s.queue, name),
        queue_deadlines: waiting::deadlines(s),
        queue_salt: salt(&format!("services.{name}.queue.shed")),
        queue_wait_max: s
            .queue
            .max_wait
            .as_ref()
            .map(|w| draw(&w.dist, &format!("services.{name}.queue.max_wait"))),
        cores: s.cpu.as_ref().map(|c| {
            let cores = c.limit.map_or(c.cores.0, |l| l.0.min(c.cores.0));
            // An event loop is one thread.
            if s.runtime.event_loop { cores.min(1.0) } else { cores }
        }),
        cpu_discipline: s.cpu.as_ref().map_or(CpuDiscipline::ProcessorSharing, |c| {
            match s.runtime.event_loop {
                true => CpuDiscipline::Fifo,
                false => cpu_discipline(&c.discipline),
            }
        }),
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
        lambda: s.lambda.as_ref().map(|l| waiting::lambda(l, name)),
        lock_timeout: None,
        volume: None,
        writes: Vec::new(),
        replication: None,
        failover: None,
        contention: (0.0, 0.0),
        admission: s.admission.as_ref().map(super::concurrency::admission),
        retry_after: None,
        connect_cost: None,
        clients_max: None,
        life: Life::default(),
        runtime: Runtime::default(),
        shedding: s.shedding.as_ref().map(super::shedding::shedding),
    }
}

pub(super) fn database(name: &str, d: &st::Database) -> Group {
    Group {
        replicas: d.replication.as_ref().map_or(d.shards, |r| r.count),
        cores: Some(d.cores.0),
        cpu_discipline: cpu_discipline(&d.discipline),
        restart_delay: d.restart_delay.dist.clone(),
        start_up: d.start_up.dist.clone(),
        connections_max: Some(d.max_connections - d.reserved),
        request_timeout: d.statement_timeout.map(|t| t.duration()),
        lock_timeout: d.lock_timeout.map(|t| t.duration()),
        volume: d.storage.as_ref().map(databases::volume),
        writes: databases::writes(d),
        replication: databases::replication(name, d),
        failover: databases::failover(name, d),
        contention: d.contention.as_ref().map_or((0.0, 0.0), |c| (c.sigma, c.kappa)),
        connect_cost: (d.connect_cost.dist.mean() > 0.0)
            .then(|| draw(&d.connect_cost.dist, &format!("databases.{name}.connect_cost"))),
        clients_max: super::pools::clients_max(d),
        ..external_group(None)
    }
}

pub(super) fn external(e: &st::External) -> Group {
    Group { retry_after: e.retry_after.map(|t| t.duration()), ..external_group(e.max_in_flight) }
}

fn external_group(in_flight_max: Option<u32>) -> Group {
    Group {
        replicas: 1,
        replicas_said: (0, 0),
        workers: None,
        queue: QueueConfig::UNBOUNDED,
        queue_bytes: None,
        queue_deadlines: Vec::new(),
        queue_salt: 0,
        queue_wait_max: None,
        cores: None,
        cpu_discipline: CpuDiscipline::ProcessorSharing,
        memory: None,
        request_timeout: None,
        restart_delay: Dist::Constant(0.0),
        start_up: Dist::Constant(0.0),
        connections_max: None,
        in_flight_max,
        lambda: None,
        lock_timeout: None,
        volume: None,
        writes: Vec::new(),
        replication: None,
        failover: None,
        contention: (0.0, 0.0),
        admission: None,
        retry_after: None,
        connect_cost: None,
        clients_max: None,
        life: Life::default(),
        runtime: Runtime::default(),
        shedding: None,
    }
}
