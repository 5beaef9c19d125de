//! Routes, edges and the layers of policies compiled.

use super::settings::{breaker, cache, pool, shared};
use super::{Compiler, Scope, breakers, concurrency, draw, limits, network, pools, retries, throttling};
use crate::base::dist::Dist;
use crate::base::{SimDuration, salt};
use crate::components::breaker::family::AnyBreakerConfig;
use crate::components::budget::family::AnyBudgetConfig;
use crate::components::bulkhead::BulkheadConfig;
use crate::components::bulkhead::family::AnyBulkheadConfig;
use crate::components::pool::family::AnyPoolConfig;
use crate::components::rate_limit::RateLimitConfig;
use crate::components::throttling::ThrottleConfig;
use crate::model::{Callee, Caller, EdgeShape, FallbackOption, HedgeDelay, Layer, LayerKind, Route, SlotUse};
use crate::spec::check::{Component, resolve};
use crate::spec::policy as sp;
use crate::spec::policy::retries::AwsRetryMode;
use crate::spec::source::Spanned;
use crate::spec::topology::{self as st, Topology};
use std::collections::BTreeMap;

impl Compiler {
    pub(super) fn route<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        caller: Caller,
        to: &Spanned<String>,
        policy: &str,
        path: &str,
        layers: impl FnOnce(&Scope<'t>) -> Vec<Spec>,
    ) -> u32 {
        let (callee, endpoint) = self.callee(scope.topology, to);
        let key = (caller, callee, policy.to_string());
        let (layers, edge) = match scope.stacks.get(&key) {
            Some(known) => known.clone(),
            None => {
                let mut specs = breakers::expanded(layers(scope));
                specs.extend(self.pooler_of(scope.topology, callee));
                let edge = self.edge(caller, callee, policy);
                let range = self.stack(scope, caller, callee, edge, &specs);
                scope.stacks.insert(key, (range.clone(), edge));
                (range, edge)
            }
        };
        self.model.routes.push(Route {
            callee,
            endpoint,
            layers,
            edge,
            red: 0,
            attempts: 0,
            salt: salt(path),
        });
        (self.model.routes.len() - 1) as u32
    }

    fn callee(&self, topology: &Topology, to: &Spanned<String>) -> (Callee, u32) {
        // The topology is checked: every name resolves.
        let Ok(target) = resolve(topology, to) else { unreachable!("checked: {}", to.value) };
        let databases = topology.services.len();
        let externals = databases + topology.databases.len();
        let (callee, group) = match target.component {
            Component::Balancer(b) => (Callee::Balancer(b as u32), self.model.balancers[b].group),
            Component::Service(s) => (Callee::Group(s as u32), s as u32),
            Component::Database(d) => (Callee::Group((databases + d) as u32), (databases + d) as u32),
            Component::External(e) => (Callee::Group((externals + e) as u32), (externals + e) as u32),
        };
        let range = self.model.groups[group as usize].endpoints.clone();
        let endpoint = range.clone().find(|e| self.model.endpoints[*e as usize].name == target.endpoint);
        let Some(endpoint) = endpoint else { unreachable!("checked: {}", to.value) };
        (callee, endpoint)
    }

    fn edge(&mut self, caller: Caller, callee: Callee, policy: &str) -> u32 {
        let key = (caller, callee, policy.to_string());
        if let Some(edge) = self.edges.get(&key) {
            return *edge;
        }
        let edge = self.model.edges.len() as u32;
        self.model.edges.push(EdgeShape { caller, callee, policy: policy.to_string() });
        self.edges.insert(key, edge);
        edge
    }

    fn stack(
        &mut self,
        scope: &mut Scope<'_>,
        caller: Caller,
        callee: Callee,
        edge: u32,
        specs: &[Spec],
    ) -> std::ops::Range<u32> {
        let specs = expanded(specs);
        let names = format!("{}.{}", self.model.caller_name(caller), self.model.callee_name(callee));
        let policy = self.model.edges[edge as usize].policy.clone();
        let mut layers = Vec::with_capacity(specs.len());
        for (place, spec) in specs.iter().enumerate() {
            // Named by kind and counted from within, not by place: a layer that is added, or put around the others,
            // leaves the random numbers of the others alone.
            let number = specs[place + 1..].iter().filter(|inner| inner.kind() == spec.kind()).count();
            let path = format!("{names}.{policy}.{}.{number}", spec.kind());
            layers.push(self.layer(scope, caller, spec, &path));
        }
        let from = self.model.layers.len() as u32;
        let mut numbers: BTreeMap<&'static str, u32> = BTreeMap::new();
        for (kind, shared) in layers {
            let layer = self.model.layers.len() as u32;
            let slot = self.slot(scope, caller, callee, edge, layer, &kind, shared, &mut numbers);
            self.model.layers.push(Layer { kind, slot, shared });
        }
        from..self.model.layers.len() as u32
    }

    /// Gives a layer its states: those that the edge's layer of this kind and number had before, or new ones.
    #[expect(clippy::too_many_arguments, reason = "all of them name one layer")]
    fn slot(
        &mut self,
        scope: &mut Scope<'_>,
        caller: Caller,
        callee: Callee,
        edge: u32,
        layer: u32,
        kind: &LayerKind,
        shared: bool,
        numbers: &mut BTreeMap<&'static str, u32>,
    ) -> u32 {
        let callee_group = self.model.callee_group(callee);
        let counts = &mut self.model.slots;
        let (name, next) = match kind {
            LayerKind::Breaker(AnyBreakerConfig::Opossum(_)) => ("breaker", &mut counts.breakers),
            // Its states are its own: what an opossum admitted cannot be told to another make.
            LayerKind::Breaker(AnyBreakerConfig::Consecutive(_)) => {
                ("consecutive breaker", &mut counts.breakers)
            }
            LayerKind::Breaker(AnyBreakerConfig::Resilience4j(_)) => {
                ("resilience4j breaker", &mut counts.breakers)
            }
            LayerKind::Breaker(AnyBreakerConfig::Polly(_)) => ("polly breaker", &mut counts.breakers),
            LayerKind::Pool { config, .. } => {
                let make = match config {
                    AnyPoolConfig::Sequelize(_) => "pool",
                    AnyPoolConfig::Hikari(_) => "hikari pool",
                    AnyPoolConfig::Pg(_) => "pg pool",
                    AnyPoolConfig::Proxy(_) => "pooler",
                    AnyPoolConfig::Http(_) => "http",
                };
                (make, &mut counts.pools)
            }
            LayerKind::Bulkhead { config: AnyBulkheadConfig::Semaphore(_) } => {
                ("bulkhead", &mut counts.bulkheads)
            }
            LayerKind::Bulkhead { .. } => ("thread pool bulkhead", &mut counts.bulkheads),
            LayerKind::Retry { budget: Some(AnyBudgetConfig::Grpc(_)), .. }
            | LayerKind::Hedge { budget: Some(_), .. } => ("grpc throttling", &mut counts.budgets),
            LayerKind::Retry { budget: Some(_), .. } => ("budget", &mut counts.budgets),
            LayerKind::Fallback { .. } => ("fallback", &mut counts.caches),
            LayerKind::RateLimit { config: RateLimitConfig::AwsAdaptive(_), .. } => {
                ("aws adaptive", &mut counts.rate_limits)
            }
            LayerKind::RateLimit { keys: 1, .. } => ("rate limit", &mut counts.rate_limits),
            LayerKind::RateLimit { .. } => ("rate limit by tenant", &mut counts.rate_limits),
            LayerKind::Cache { .. } => ("cache", &mut counts.stores),
            LayerKind::ConcurrencyLimit { .. } => ("concurrency limit", &mut counts.limiters),
            LayerKind::Throttle { config: ThrottleConfig::Adaptive { .. }, .. } => {
                ("adaptive throttling", &mut counts.throttles)
            }
            LayerKind::Throttle { .. } => ("admission control", &mut counts.throttles),
            LayerKind::Hedge { delay: HedgeDelay::Percentile(_), .. } => ("hedge", &mut counts.hedges),
            LayerKind::Deadline { .. } => ("deadline", &mut counts.deadlines),
            LayerKind::Connect(_) => ("connect", &mut counts.connects),
            _ => return 0,
        };
        let number = numbers.entry(name).or_insert(0);
        // A proxy in front of a database is one for all who call it.
        let is_pooler = matches!(kind, LayerKind::Pool { sessions: Some(_), .. });
        let place = if is_pooler { u32::MAX - callee_group } else { edge };
        let mut key = (place, name, *number, shared);
        *number += 1;
        if name == "grpc throttling" {
            // One for each caller and callee, whatever the policy between them.
            let is_same = |e: &EdgeShape| e.caller == caller && e.callee == callee;
            let first = self.model.edges.iter().position(is_same).unwrap_or(edge as usize);
            key = (first as u32, name, 0, shared);
        }
        let count = match caller {
            Caller::Group(g) if !shared => self.model.groups[g as usize].capacity,
            _ => 1,
        };
        let keys = if let LayerKind::RateLimit { keys, .. } = kind { *keys } else { 1 };
        let count = count * keys;
        let new = !self.slots.contains_key(&key);
        let meters = self.all_slots.len() as u32;
        let (first, meters) = *self.slots.entry(key).or_insert_with(|| {
            let first = *next;
            *next += count;
            (first, meters)
        });
        let used = SlotUse { first, count, layer, callee_group, edge, meters };
        if new {
            self.all_slots.push(used);
        }
        scope.epoch.slots.push(used);
        first
    }

    fn layer(&mut self, scope: &mut Scope<'_>, caller: Caller, spec: &Spec, path: &str) -> (LayerKind, bool) {
        let layer = match spec {
            Spec::Timeout(limit) => return (LayerKind::Timeout { limit: *limit, cancel: false }, false),
            Spec::Patience(dist) => {
                return (LayerKind::Patience(draw(dist, &format!("{path}.patience"))), false);
            }
            Spec::Pooler(kind) => return ((**kind).clone(), true),
            Spec::Layer(layer) => layer,
        };
        match layer {
            sp::Layer::Fallback(f) => {
                let options = f
                    .options
                    .iter()
                    .map(|option| match option {
                        sp::FallbackOption::Cache(c) => {
                            FallbackOption::Cache { ttl: c.ttl.duration(), coverage: c.coverage.0 }
                        }
                        sp::FallbackOption::Value => FallbackOption::Value,
                        sp::FallbackOption::Call(c) => {
                            let policy = c.through.as_ref().map_or(String::new(), |p| p.value.clone());
                            let route =
                                self.route(scope, caller, &c.to, &policy, &format!("{path}.fallback"), |s| {
                                    let layers =
                                        s.topology.policies.get(&policy).cloned().unwrap_or_default();
                                    layers.into_iter().map(Spec::Layer).collect()
                                });
                            FallbackOption::Call(route)
                        }
                    })
                    .collect();
                (LayerKind::Fallback { options, salt: salt(&format!("{path}.coverage")) }, false)
            }
            sp::Layer::Retry(r) => retries::retry(r, path),
            sp::Layer::Breaker(b) => {
                (LayerKind::Breaker(AnyBreakerConfig::Opossum(breaker(b))), shared(&b.per))
            }
            sp::Layer::Bulkhead(b) => {
                let config = BulkheadConfig {
                    max_concurrent: b.max,
                    max_queue: b.queue,
                    max_wait: b.max_wait.map(|w| w.duration()),
                };
                (LayerKind::Bulkhead { config: AnyBulkheadConfig::Semaphore(config) }, shared(&b.per))
            }
            sp::Layer::Timeout(t) => {
                (LayerKind::Timeout { limit: t.limit.duration(), cancel: t.cancel }, false)
            }
            sp::Layer::Pool(p) => {
                let kind = LayerKind::Pool {
                    config: AnyPoolConfig::Sequelize(pool(p)),
                    connect: draw(&p.connect.dist, &format!("{path}.connect")),
                    statement_timeout: p.statement_timeout.map(|t| t.duration()),
                    sessions: None,
                };
                (kind, shared(&p.per))
            }
            sp::Layer::Network(n) => network::network(n, path),
            sp::Layer::Connect(c) => network::connect(c, path),
            sp::Layer::RateLimit(r) => limits::rate_limit(r, scope.topology),
            sp::Layer::Hedge(h) => limits::hedge(h, path),
            sp::Layer::ConsecutiveBreaker(b) => limits::consecutive_breaker(b),
            sp::Layer::Resilience4jBreaker(b) => {
                (LayerKind::Breaker(breakers::resilience4j(b)), shared(&b.per))
            }
            sp::Layer::PollyBreaker(b) => (LayerKind::Breaker(breakers::polly(b)), shared(&b.per)),
            sp::Layer::ConcurrencyLimit(l) => concurrency::layer(l, path),
            sp::Layer::ThreadPoolBulkhead(b) => limits::thread_pool(b),
            sp::Layer::AdaptiveThrottling(t) => throttling::adaptive(t, path),
            sp::Layer::AdmissionControl(t) => throttling::admission_control(t, path),
            sp::Layer::OpossumBreaker(b) => (LayerKind::Breaker(breakers::opossum(b)), shared(&b.per)),
            sp::Layer::Cache(c) => {
                let hit = draw(&c.hit.dist, &format!("{path}.hit"));
                let salt = salt(&format!("{path}.eviction"));
                let kind = LayerKind::Cache { config: cache(c), hit, coalesce: c.coalesce, salt };
                (kind, shared(&c.per))
            }
            sp::Layer::GrpcHedge(h) => limits::grpc_hedge(h, path),
            sp::Layer::PollyHedge(h) => limits::polly_hedge(h, path),
            sp::Layer::Deadline(d) => {
                (LayerKind::Deadline { limit: d.limit.duration(), cancel: d.cancel }, false)
            }
            sp::Layer::AwsAdaptive(a) => retries::aws_adaptive(a),
            sp::Layer::HikariPool(p) => pools::hikari(p, path),
            sp::Layer::PgPool(p) => pools::pg(p, path),
            sp::Layer::EnvoyLimits(e) => pools::envoy(e, path),
            sp::Layer::Http1Pool(p) => pools::http1(p, path),
            other => {
                // Every other layer is a retry by a product's name.
                let Some(compiled) = retries::product(other, path) else { unreachable!("no such layer") };
                compiled
            }
        }
    }
}

/// Layers that stand for several are written out.
fn expanded(specs: &[Spec]) -> Vec<Spec> {
    let mut all = Vec::with_capacity(specs.len());
    for spec in specs {
        all.push(spec.clone());
        if let Spec::Layer(sp::Layer::AwsSdk(sdk)) = spec
            && matches!(sdk.retry_mode, AwsRetryMode::Adaptive)
        {
            all.push(Spec::Layer(sp::Layer::AwsAdaptive(retries::default_adaptive(sdk))));
        }
    }
    all
}

/// A layer as written, or one that a client population's own settings stand for.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "there are few, and only while a model is compiled")]
pub(super) enum Spec {
    Layer(sp::Layer),
    Timeout(SimDuration),
    Patience(Dist),
    /// The proxy in front of a database.
    Pooler(Box<LayerKind>),
}

impl Spec {
    fn kind(&self) -> &'static str {
        match self {
            Self::Timeout(_) | Self::Layer(sp::Layer::Timeout(_)) => "timeout",
            Self::Patience(_) => "patience",
            Self::Layer(sp::Layer::Fallback(_)) => "fallback",
            Self::Layer(
                sp::Layer::Retry(_)
                | sp::Layer::AwsSdk(_)
                | sp::Layer::GrpcRetry(_)
                | sp::Layer::EnvoyRetry(_)
                | sp::Layer::PollyRetry(_)
                | sp::Layer::Resilience4jRetry(_)
                | sp::Layer::FinagleRetry(_),
            ) => "retry",
            Self::Layer(sp::Layer::Breaker(_)) => "breaker",
            Self::Layer(sp::Layer::Bulkhead(_)) => "bulkhead",
            Self::Layer(sp::Layer::Pool(_)) => "pool",
            Self::Layer(sp::Layer::Network(_)) => "network",
            Self::Layer(sp::Layer::RateLimit(_)) => "rate_limit",
            Self::Layer(sp::Layer::Hedge(_) | sp::Layer::GrpcHedge(_) | sp::Layer::PollyHedge(_)) => "hedge",
            Self::Layer(sp::Layer::Deadline(_)) => "deadline",
            Self::Layer(sp::Layer::Connect(_)) => "connect",
            Self::Layer(sp::Layer::ConsecutiveBreaker(_)) => "consecutive_breaker",
            Self::Layer(sp::Layer::Cache(_)) => "cache",
            Self::Layer(sp::Layer::Resilience4jBreaker(_)) => "resilience4j_breaker",
            Self::Layer(sp::Layer::PollyBreaker(_)) => "polly_breaker",
            Self::Layer(sp::Layer::OpossumBreaker(_)) => "breaker",
            Self::Layer(sp::Layer::ConcurrencyLimit(_)) => "concurrency_limit",
            Self::Layer(sp::Layer::ThreadPoolBulkhead(_)) => "thread_pool_bulkhead",
            Self::Layer(sp::Layer::AdaptiveThrottling(_)) => "adaptive_throttling",
            Self::Layer(sp::Layer::AdmissionControl(_)) => "admission_control",
            Self::Layer(sp::Layer::AwsAdaptive(_)) => "aws_adaptive",
            Self::Layer(sp::Layer::HikariPool(_)) => "hikari_pool",
            Self::Layer(sp::Layer::PgPool(_)) => "pg_pool",
            Self::Layer(sp::Layer::EnvoyLimits(_)) => "envoy_limits",
            Self::Layer(sp::Layer::Http1Pool(_)) => "http1_pool",
            Self::Pooler(_) => "pooler",
        }
    }
}

/// Outermost first: patience, retry, the timeout of each attempt, then the policy.
pub(super) fn client_layers(c: &st::Clients, scope: &Scope<'_>) -> Vec<Spec> {
    let mut layers = Vec::new();
    if let Some(patience) = &c.patience {
        layers.push(Spec::Patience(patience.dist.clone()));
    }
    if let Some(retry) = &c.retry {
        layers.push(Spec::Layer(sp::Layer::Retry(retry.clone())));
    }
    if let Some(timeout) = c.timeout {
        layers.push(Spec::Timeout(timeout.duration()));
    }
    if let Some(policy) = &c.through {
        let stack = scope.topology.policies.get(&policy.value).cloned().unwrap_or_default();
        layers.extend(stack.into_iter().map(Spec::Layer));
    }
    layers
}
