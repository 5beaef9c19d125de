//! Values: each possible by itself and together with its neighbours.

use super::{
    balancers, breakers, concurrency, databases, each_step, limits, resilience4j, retries, shedding,
    throttling, waiting,
};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::policy::{Backoff, Breaker, Layer, Pool, Retry};
use crate::spec::quantity::{Cores, Seconds};
use crate::spec::source::Span;
use crate::spec::topology::{
    Arrivals, Balancer, BalancerPolicy, Clients, Database, HealthCheck, Memory, Need, Point, Profile,
    Service, Step, Topology,
};

/// The most instances of one service, and users of one population: enough for any fleet, far from any overflow.
pub(super) const MANY: u32 = 1_000_000;

pub(super) fn check(topology: &Topology, cx: &mut Context) {
    for (_, c) in topology.clients.iter() {
        clients(c, cx);
    }
    for (_, b) in topology.balancers.iter() {
        balancer(b, topology, cx);
    }
    for (_, s) in topology.services.iter() {
        service(s, cx);
    }
    waiting::shares(topology, cx);
    databases::replication(topology, cx);
    for (_, d) in topology.databases.iter() {
        database(d, cx);
    }
    for (_, e) in topology.externals.iter() {
        price(e.price_per_request, "price_per_request", e.place("price_per_request"), cx);
        if e.max_in_flight == Some(0) {
            cx.fail::<()>(e.place("max_in_flight"), "`max_in_flight` must be at least 1");
        }
    }
    for (_, layers) in topology.policies.iter() {
        layers.iter().for_each(|l| layer(l, topology, cx));
    }
}

/// The highest price, per hour or per request: more than anything costs, and less than any sum could overflow.
const PRICE_MAX: f64 = 1e6;

pub(super) fn price(value: f64, what: &str, span: Span, cx: &mut Context) {
    if !(0.0..=PRICE_MAX).contains(&value) {
        let message = format!("`{what}` must be from 0 to {PRICE_MAX}");
        cx.diagnostics.push(Diagnostic::error(span, message).label(format!("`{what}` is {value}")));
    }
}

pub(super) fn positive(value: f64, what: &str, span: Span, cx: &mut Context) {
    if value <= 0.0 {
        cx.diagnostics.push(
            Diagnostic::error(span, format!("`{what}` must be more than 0"))
                .label(format!("`{what}` is {value}")),
        );
    }
}

pub(super) fn positive_time(value: Seconds, what: &str, span: Span, cx: &mut Context) {
    positive(value.0, what, span, cx);
}

pub(super) fn at_least_one(value: u32, what: &str, span: Span, cx: &mut Context) {
    if value == 0 {
        cx.diagnostics.push(
            Diagnostic::error(span, format!("`{what}` must be at least 1")).label(format!("`{what}` is 0")),
        );
    }
}

fn weights(map: impl Iterator<Item = (String, Span, f64)>, what: &str, span: Span, cx: &mut Context) {
    let mut sum = 0.0;
    let (mut any, mut negative) = (false, false);
    for (name, at, weight) in map {
        any = true;
        sum += weight;
        if weight < 0.0 {
            negative = true;
            cx.fail::<()>(at, format!("the weight of {name} must not be negative"));
        }
    }
    if !any {
        cx.fail::<()>(span, format!("{what} is empty"));
    } else if sum <= 0.0 && !negative {
        cx.fail::<()>(span, format!("all weights of {what} are 0"));
    }
}

fn clients(c: &Clients, cx: &mut Context) {
    weights(
        c.requests.spanned().map(|(n, s, w)| (format!("`{n}`"), s, *w)),
        "the mix of requests",
        c.place("requests"),
        cx,
    );
    if !c.tenants.is_empty() {
        weights(
            c.tenants.spanned().map(|(n, s, t)| (format!("`{n}`"), s, t.share)),
            "the list of tenants",
            c.place("tenants"),
            cx,
        );
    }
    match &c.arrivals {
        Arrivals::Poisson(a) => positive(a.rate.0, "rate", a.place("rate"), cx),
        Arrivals::Regular(a) => positive(a.rate.0, "rate", a.place("rate"), cx),
        Arrivals::Renewal(a) => {
            positive(a.interval.dist.mean(), "the mean interval", a.interval.span, cx);
        }
        Arrivals::Mmpp(a) => {
            if a.states.len() < 2 {
                cx.fail::<()>(a.span, "`Mmpp` needs at least two states");
            }
            a.states.iter().for_each(|s| positive_time(s.mean, "mean", s.place("mean"), cx));
            if a.states.iter().all(|s| s.rate.0 <= 0.0) {
                cx.fail::<()>(a.span, "all rates are 0");
            }
        }
        Arrivals::Users(a) => {
            if a.count == 0 || a.count > MANY {
                cx.fail::<()>(a.place("count"), format!("`count` must be from 1 to {MANY}"));
            }
        }
        Arrivals::Times(_) | Arrivals::Rates(_) => {}
        Arrivals::Batches(a) => positive(a.rate.0, "rate", a.place("rate"), cx),
    }
    c.keys.iter().for_each(|k| super::keys::keys(k, cx));
    c.profile.iter().for_each(|p| profile(p, cx));
    if let Some(timeout) = c.timeout {
        positive_time(timeout, "timeout", c.place("timeout"), cx);
    }
    if let Some(r) = &c.retry {
        retry(r, cx);
    }
}

fn profile(p: &Profile, cx: &mut Context) {
    match p {
        Profile::Steps(s) => points(&s.points, s.span, cx),
        Profile::Piecewise(s) => points(&s.points, s.span, cx),
        Profile::Ramp(r) => {
            positive_time(r.lasts, "lasts", r.place("lasts"), cx);
            if r.from < 0.0 || r.to < 0.0 {
                cx.fail::<()>(r.span, "a factor must not be negative");
            }
        }
        Profile::Diurnal(d) => positive_time(d.period, "period", d.place("period"), cx),
        Profile::Spike(s) => {
            positive_time(s.lasts, "lasts", s.place("lasts"), cx);
            if s.factor < 0.0 {
                cx.fail::<()>(s.place("factor"), "a factor must not be negative");
            }
        }
    }
}

fn points(points: &[Point], span: Span, cx: &mut Context) {
    if points.is_empty() {
        cx.fail::<()>(span, "there are no points");
    }
    for pair in points.windows(2) {
        if pair[1].at.0 <= pair[0].at.0 {
            cx.fail::<()>(pair[1].place("at"), "points must be in order of time");
        }
    }
    for point in points.iter().filter(|p| p.factor < 0.0) {
        cx.fail::<()>(point.place("factor"), "a factor must not be negative");
    }
}

fn balancer(b: &Balancer, topology: &Topology, cx: &mut Context) {
    if let Some(service) = topology.services.get(&b.targets.value)
        && !b.weights.is_empty()
    {
        if b.weights.len() != service.replicas as usize {
            let message = format!(
                "there are {} weights and {} replicas of `{}`",
                b.weights.len(),
                service.replicas,
                b.targets.value
            );
            cx.fail::<()>(b.place("weights"), message);
        }
        if b.weights.iter().all(|w| *w == 0) {
            cx.fail::<()>(b.place("weights"), "all weights are 0");
        }
    }
    if let Some(idle) = b.idle_timeout {
        positive_time(idle, "idle_timeout", b.place("idle_timeout"), cx);
    }
    if let BalancerPolicy::RingHash(ring) = &b.policy
        && !(1..=8_388_608).contains(&ring.ring_size)
    {
        cx.fail::<()>(ring.place("ring_size"), "`ring_size` must be from 1 to 8388608");
    }
    if let Some(check) = &b.health_check {
        health_check(check, cx);
    }
    balancers::product(b, cx);
}

fn health_check(c: &HealthCheck, cx: &mut Context) {
    positive_time(c.interval, "interval", c.place("interval"), cx);
    positive_time(c.timeout, "timeout", c.place("timeout"), cx);
    at_least_one(c.healthy, "healthy", c.place("healthy"), cx);
    at_least_one(c.unhealthy, "unhealthy", c.place("unhealthy"), cx);
}

fn service(s: &Service, cx: &mut Context) {
    price(s.price_per_hour, "price_per_hour", s.place("price_per_hour"), cx);
    if s.replicas > MANY {
        cx.fail::<()>(s.place("replicas"), format!("`replicas` must be at most {MANY}"));
    }
    if let Some(workers) = s.workers {
        at_least_one(workers, "workers", s.place("workers"), cx);
    }
    waiting::queue(s, cx);
    waiting::lambda(s, cx);
    databases::service(s, cx);
    if let Some(cpu) = &s.cpu {
        cores(cpu.cores, "cores", cpu.place("cores"), cx);
        if let Some(limit) = cpu.limit {
            cores(limit, "limit", cpu.place("limit"), cx);
        }
    }
    if let Some(m) = &s.memory {
        memory(m, cx);
    }
    if let Some(timeout) = s.request_timeout {
        positive_time(timeout, "request_timeout", s.place("request_timeout"), cx);
    }
    if let Some(a) = &s.admission {
        concurrency::admission(a, cx);
    }
    if let Some(shed) = &s.shedding {
        shedding::shedding(shed, s, cx);
    }
    if s.endpoints.is_empty() {
        cx.fail::<()>(s.place("endpoints"), "a service needs at least one endpoint");
    }
    for (_, program) in s.endpoints.iter() {
        steps(program, cx);
    }
}

fn cores(value: Cores, what: &str, span: Span, cx: &mut Context) {
    positive(value.0, what, span, cx);
}

fn memory(m: &Memory, cx: &mut Context) {
    if m.limit.0 <= m.base.0.saturating_add(m.per_request.0) {
        cx.diagnostics.push(
            Diagnostic::error(m.place("limit"), "the memory limit does not even hold one request")
                .help("`limit` must be more than `base` + `per_request`"),
        );
    }
}

fn database(d: &Database, cx: &mut Context) {
    price(d.price_per_hour, "price_per_hour", d.place("price_per_hour"), cx);
    cores(d.cores, "cores", d.place("cores"), cx);
    super::pools::database(d, cx);
    if d.max_connections <= d.reserved {
        cx.diagnostics.push(
            Diagnostic::error(d.place("max_connections"), "no connection is left for the application")
                .help("`max_connections` must be more than `reserved`"),
        );
    }
    if d.queries.is_empty() {
        cx.fail::<()>(d.place("queries"), "a database needs at least one query");
    }
    databases::database(d, cx);
    for (_, program) in d.queries.iter() {
        steps(program, cx);
        each_step(program, &mut |step| {
            if let Step::Call(call) = step {
                cx.fail::<()>(call.span, "a query cannot call other components");
            }
        });
    }
}

fn steps(program: &[Step], cx: &mut Context) {
    each_step(program, &mut |step| match step {
        Step::Parallel(p) => {
            let count = p.branches.len() as u32;
            if count == 0 {
                cx.fail::<()>(p.span, "`Parallel` needs at least one branch");
            }
            if let Need::AtLeast(n) = &p.need
                && !(1..=count).contains(&n.count)
            {
                cx.fail::<()>(
                    n.place("count"),
                    format!("`count` must be from 1 to {count}, the number of branches"),
                );
            }
        }
        Step::Choose(c) => {
            let ways = c.ways.iter().map(|w| ("a way".to_string(), w.place("weight"), w.weight));
            weights(ways, "the list of ways", c.span, cx);
        }
        Step::Repeat(r) => at_least_one(r.times, "times", r.place("times"), cx),
        Step::While(w) => {
            if w.chance.0 >= 1.0 {
                cx.fail::<()>(w.place("chance"), "`chance` must be below 100%: the rounds would never end");
            }
        }
        Step::Lock(l) => databases::lock(l, cx),
        Step::Io(io) => databases::io(io, cx),
        Step::Work(_)
        | Step::Wait(_)
        | Step::Call(_)
        | Step::Optional(_)
        | Step::Hold(_)
        | Step::Fail(_)
        | Step::Publish(_) => {}
    });
}

fn layer(l: &Layer, topology: &Topology, cx: &mut Context) {
    match l {
        Layer::Retry(r) => retry(r, cx),
        Layer::Breaker(b) => breaker(b, cx),
        Layer::Bulkhead(b) => {
            at_least_one(b.max, "max", b.place("max"), cx);
            if let Some(wait) = b.max_wait {
                positive_time(wait, "max_wait", b.place("max_wait"), cx);
                if b.queue == 0 {
                    let message = "`max_wait` has no effect without a `queue` to wait in";
                    cx.fail::<()>(b.place("max_wait"), message);
                }
            }
        }
        Layer::Timeout(t) => positive_time(t.limit, "limit", t.place("limit"), cx),
        Layer::Pool(p) => pool(p, cx),
        Layer::Network(n) => {
            if n.loss.0 >= 1.0 {
                cx.fail::<()>(n.place("loss"), "`loss` must be below 100%: nothing would ever arrive");
            }
        }
        Layer::Cache(c) => super::keys::cache(c, cx),
        Layer::Fallback(f) => {
            if f.options.is_empty() {
                cx.fail::<()>(f.span, "`Fallback` needs at least one option");
            }
        }
        Layer::RateLimit(r) => limits::rate_limit(r, limits::tenants(topology), cx),
        Layer::Hedge(h) => limits::hedge(h, cx),
        Layer::ConsecutiveBreaker(b) => limits::consecutive_breaker(b, cx),
        Layer::Resilience4jBreaker(b) => breakers::resilience4j(b, cx),
        Layer::PollyBreaker(b) => breakers::polly(b, cx),
        Layer::OpossumBreaker(b) => breakers::opossum(b, cx),
        Layer::ConcurrencyLimit(l) => concurrency::layer(l, cx),
        Layer::ThreadPoolBulkhead(b) => resilience4j::thread_pool(b, cx),
        Layer::AdaptiveThrottling(t) => throttling::adaptive(t, cx),
        Layer::AdmissionControl(t) => throttling::admission_control(t, cx),
        Layer::Connect(c) => super::network::connect(c, cx),
        Layer::Deadline(d) => positive_time(d.limit, "limit", d.place("limit"), cx),
        Layer::GrpcHedge(_) | Layer::PollyHedge(_) => limits::product_hedge(l, cx),
        Layer::AwsSdk(_)
        | Layer::GrpcRetry(_)
        | Layer::EnvoyRetry(_)
        | Layer::PollyRetry(_)
        | Layer::Resilience4jRetry(_)
        | Layer::FinagleRetry(_)
        | Layer::AwsAdaptive(_) => retries::layer(l, cx),
        Layer::HikariPool(p) => super::pools::hikari(p, cx),
        Layer::PgPool(p) => super::pools::pg(p, cx),
        Layer::EnvoyLimits(e) => super::pools::envoy(e, cx),
        Layer::Http1Pool(p) => super::pools::http1(p, cx),
    }
}

fn retry(r: &Retry, cx: &mut Context) {
    match &r.backoff {
        Backoff::Steps(s) if s.waits.is_empty() => {
            cx.fail::<()>(s.span, "there are no waits");
        }
        Backoff::Exponential(e) if e.factor < 1.0 => {
            cx.fail::<()>(e.place("factor"), "`factor` must be at least 1");
        }
        _ => {}
    }
    if r.max > 1_000 && r.max != u32::MAX {
        cx.fail::<()>(r.place("max"), "`max` must be at most 1000, or 4294967295 for no limit");
    }
    r.budget.iter().for_each(|b| retries::budget(b, cx));
}

fn breaker(b: &Breaker, cx: &mut Context) {
    if !(0.0..=100.0).contains(&b.error_percent) {
        cx.fail::<()>(b.place("error_percent"), "`error_percent` must be from 0 to 100");
    }
    if !(1..=10_000).contains(&b.buckets) {
        cx.fail::<()>(b.place("buckets"), "`buckets` must be from 1 to 10000");
    } else if b.window.duration().ns() < u64::from(b.buckets) {
        cx.fail::<()>(b.place("window"), "`window` is too short for its buckets");
    }
    positive_time(b.reset, "reset", b.place("reset"), cx);
    if b.capacity == Some(0) {
        cx.fail::<()>(b.place("capacity"), "`capacity` must be at least 1");
    }
}

fn pool(p: &Pool, cx: &mut Context) {
    at_least_one(p.max, "max", p.place("max"), cx);
    if p.min > p.max {
        cx.diagnostics.push(
            Diagnostic::error(p.place("min"), "`min` must not be more than `max`")
                .label(format!("min is {}, max is {}", p.min, p.max)),
        );
    }
    positive_time(p.acquire_timeout, "acquire_timeout", p.place("acquire_timeout"), cx);
    positive_time(p.evict, "evict", p.place("evict"), cx);
    if p.max_uses == Some(0) {
        cx.fail::<()>(p.place("max_uses"), "`max_uses` must be at least 1");
    }
    if let Some(limit) = p.statement_timeout {
        positive_time(limit, "statement_timeout", p.place("statement_timeout"), cx);
    }
}
