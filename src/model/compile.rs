//! From the checked specification to the model.
//!
//! Names become dense ids in order of name, so that the order of declaration changes nothing. Every program, route
//! and stack of layers of every epoch is appended to the model's tables. A layer keeps its state across epochs as
//! long as its edge has a layer of that kind at that place.

mod settings;

use super::{
    Balancer, BalancerShape, Callee, Caller, Client, ClientShape, Draw, EdgeShape, EndpointShape, Epoch,
    FallbackOption, GroupKind, GroupShape, HealthCheck, Layer, LayerKind, Model, Route, SlotUse, Step,
    catalog,
};
use crate::base::dist::Dist;
use crate::base::{SimDuration, salt};
use crate::components::bulkhead::BulkheadConfig;
use crate::components::cpu::CpuDiscipline;
use crate::components::health::{HealthConfig, TargetHealth};
use crate::spec::check::{Component, each_call, resolve};
use crate::spec::policy as sp;
use crate::spec::source::{Span, Spanned};
use crate::spec::topology as st;
use crate::spec::topology::Topology;
use settings::{
    arrivals, balancer_policy, breaker, database, external, pool, profile, retry, service, shared,
};
use std::collections::{BTreeMap, BTreeSet};

/// Why epochs do not fit together: the path-like name of what a change would add or remove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this would {what} during a run, which only a new topology can do")]
pub struct ShapeError {
    /// What it would do, such as "add the service `x`".
    pub what: String,
    /// Which epoch, counted from 0.
    pub epoch: usize,
}

/// Compiles a topology and what it becomes after each change; all must be checked.
///
/// # Errors
/// If a change adds or removes a component, an endpoint, a request or a tenant.
pub fn compile(epochs: &[Topology]) -> Result<Model, ShapeError> {
    let mut compiler = Compiler::new(epochs);
    for (index, topology) in epochs.iter().enumerate() {
        compiler.same_shape(topology, index)?;
        compiler.cpus.extend(cpu_disciplines(topology));
        compiler.epoch(topology);
    }
    let mut model = compiler.model;
    let slots = compiler.all_slots;
    model.catalog = catalog::build(&model, &slots);
    Ok(model)
}

struct Compiler {
    model: Model,
    /// External endpoints that are called anywhere, by external.
    external_endpoints: Vec<BTreeSet<String>>,
    edges: BTreeMap<(Caller, Callee, String), u32>,
    /// States by edge, kind of layer, number among those of its kind, and whether they are shared.
    slots: BTreeMap<(u32, &'static str, u32, bool), (u32, u32)>,
    all_slots: Vec<SlotUse>,
    /// How work shares the CPU of each service and database that has had one.
    cpus: BTreeMap<String, CpuDiscipline>,
}

/// What compiling one epoch gathers.
struct Scope<'t> {
    topology: &'t Topology,
    epoch: Epoch,
    /// Stacks compiled already: by caller, callee and policy.
    stacks: BTreeMap<(Caller, Callee, String), (std::ops::Range<u32>, u32)>,
}

impl Compiler {
    fn new(epochs: &[Topology]) -> Self {
        let first = &epochs[0];
        let external_endpoints = external_endpoints(epochs);
        let mut this = Self {
            model: empty_model(first),
            external_endpoints,
            edges: BTreeMap::new(),
            slots: BTreeMap::new(),
            all_slots: Vec::new(),
            cpus: BTreeMap::new(),
        };
        for (name, clients) in first.clients.iter() {
            this.model.clients.push(ClientShape {
                name: name.to_string(),
                requests: clients.requests.names().map(str::to_string).collect(),
                tenants: clients.tenants.names().map(str::to_string).collect(),
            });
        }
        for (name, _) in first.services.iter() {
            let capacity = epochs.iter().filter_map(|e| e.services.get(name)).map(|s| s.replicas).max();
            let endpoints = first.services.get(name).map(|s| s.endpoints.names().collect::<Vec<_>>());
            this.group(name, GroupKind::Service, capacity.unwrap_or(1), &endpoints.unwrap_or_default());
        }
        for (name, database) in first.databases.iter() {
            this.group(name, GroupKind::Database, 1, &database.queries.names().collect::<Vec<_>>());
        }
        let externals = this.external_endpoints.clone();
        for ((name, _), endpoints) in first.externals.iter().zip(&externals) {
            let names: Vec<&str> = endpoints.iter().map(String::as_str).collect();
            this.group(name, GroupKind::External, 1, &names);
        }
        for (name, balancer) in first.balancers.iter() {
            let group = first.services.position(&balancer.targets.value).unwrap_or(0) as u32;
            this.model.balancers.push(BalancerShape { name: name.to_string(), group });
        }
        this
    }

    fn group(&mut self, name: &str, kind: GroupKind, capacity: u32, endpoints: &[&str]) {
        let group = self.model.groups.len() as u32;
        let from = self.model.endpoints.len() as u32;
        for endpoint in endpoints {
            self.model.endpoints.push(EndpointShape { name: (*endpoint).to_string(), group });
        }
        let range = from..self.model.endpoints.len() as u32;
        self.model.groups.push(GroupShape {
            name: name.to_string(),
            kind,
            first: self.model.instances,
            capacity,
            endpoints: range,
        });
        self.model.instances += capacity;
    }

    fn same_shape(&self, topology: &Topology, epoch: usize) -> Result<(), ShapeError> {
        let same = |what: &str, ours: Vec<&str>, theirs: Vec<&str>| {
            let change =
                theirs.iter().find(|n| !ours.contains(n)).map(|n| format!("add the {what} `{n}`")).or_else(
                    || ours.iter().find(|n| !theirs.contains(n)).map(|n| format!("remove the {what} `{n}`")),
                );
            match change {
                Some(what) => Err(ShapeError { what, epoch }),
                None => Ok(()),
            }
        };
        let m = &self.model;
        let groups = |kind| m.groups.iter().filter(move |g| g.kind == kind);
        same(
            "client population",
            m.clients.iter().map(|c| c.name.as_str()).collect(),
            topology.clients.names().collect(),
        )?;
        same(
            "balancer",
            m.balancers.iter().map(|b| b.name.as_str()).collect(),
            topology.balancers.names().collect(),
        )?;
        same(
            "service",
            groups(GroupKind::Service).map(|g| g.name.as_str()).collect(),
            topology.services.names().collect(),
        )?;
        same(
            "database",
            groups(GroupKind::Database).map(|g| g.name.as_str()).collect(),
            topology.databases.names().collect(),
        )?;
        same(
            "external",
            groups(GroupKind::External).map(|g| g.name.as_str()).collect(),
            topology.externals.names().collect(),
        )?;
        for (shape, (_, clients)) in m.clients.iter().zip(topology.clients.iter()) {
            same(
                "request",
                shape.requests.iter().map(String::as_str).collect(),
                clients.requests.names().collect(),
            )?;
            same(
                "tenant",
                shape.tenants.iter().map(String::as_str).collect(),
                clients.tenants.names().collect(),
            )?;
        }
        for (shape, (_, balancer)) in m.balancers.iter().zip(topology.balancers.iter()) {
            let group = m.groups[shape.group as usize].name.as_str();
            same("balanced service", vec![group], vec![balancer.targets.value.as_str()])?;
        }
        for (name, discipline) in cpu_disciplines(topology) {
            if self.cpus.get(&name).is_some_and(|known| *known != discipline) {
                let what = format!("change how work shares the CPU of `{name}`");
                return Err(ShapeError { what, epoch });
            }
        }
        for shape in groups(GroupKind::Service).chain(groups(GroupKind::Database)) {
            let ours = shape.endpoints.clone().map(|e| m.endpoints[e as usize].name.as_str()).collect();
            let theirs: Vec<&str> = match shape.kind {
                GroupKind::Service => topology
                    .services
                    .get(&shape.name)
                    .map(|s| s.endpoints.names().collect())
                    .unwrap_or_default(),
                _ => topology
                    .databases
                    .get(&shape.name)
                    .map(|d| d.queries.names().collect())
                    .unwrap_or_default(),
            };
            same("endpoint", ours, theirs)?;
        }
        Ok(())
    }

    fn epoch(&mut self, topology: &Topology) {
        let epoch = Epoch {
            clients: Vec::new(),
            balancers: Vec::new(),
            groups: Vec::new(),
            programs: Vec::new(),
            slots: Vec::new(),
        };
        let mut scope = Scope { topology, epoch, stacks: BTreeMap::new() };
        for (_, s) in topology.services.iter() {
            scope.epoch.groups.push(service(s));
        }
        for (_, d) in topology.databases.iter() {
            scope.epoch.groups.push(database(d));
        }
        for (_, e) in topology.externals.iter() {
            scope.epoch.groups.push(external(e));
        }
        self.programs(&mut scope);
        for (index, (name, b)) in topology.balancers.iter().enumerate() {
            let balancer = self.balancer(b, index);
            debug_assert_eq!(self.model.balancers[index].name, name);
            scope.epoch.balancers.push(balancer);
        }
        for (index, (name, c)) in topology.clients.iter().enumerate() {
            let client = self.client(&mut scope, c, index as u32, name);
            scope.epoch.clients.push(client);
        }
        self.model.epochs.push(scope.epoch);
    }

    fn balancer(&self, b: &st::Balancer, index: usize) -> Balancer {
        let group = &self.model.groups[self.model.balancers[index].group as usize];
        let check = b.health_check.as_ref().map(|check| HealthCheck {
            endpoint: group
                .endpoints
                .clone()
                .find(|e| self.model.endpoints[*e as usize].name == check.endpoint.value)
                .unwrap_or(group.endpoints.start),
            interval: check.interval.duration(),
            timeout: check.timeout.duration(),
            thresholds: HealthConfig {
                healthy_threshold: check.healthy,
                unhealthy_threshold: check.unhealthy,
            },
            initial: match check.initial {
                st::InitialHealth::Initial => TargetHealth::Initial,
                st::InitialHealth::Healthy => TargetHealth::Healthy,
                st::InitialHealth::Unhealthy => TargetHealth::Unhealthy,
            },
        });
        Balancer {
            policy: balancer_policy(&b.policy),
            weights: b.weights.clone(),
            check,
            fail_open: matches!(b.when_none_healthy, st::WhenNoneHealthy::FailOpen),
            deregistration_delay: b.deregistration_delay.duration(),
            idle_timeout: b.idle_timeout.map(|t| t.duration()),
        }
    }

    fn client(&mut self, scope: &mut Scope<'_>, c: &st::Clients, index: u32, name: &str) -> Client {
        let caller = Caller::Client(index);
        let mut sum = 0.0;
        let mut mix = Vec::new();
        for (request, span, weight) in c.requests.spanned() {
            sum += weight;
            let to = Spanned { value: request.to_string(), span };
            let path = format!("clients.{name}.requests.{request}");
            let policy = c.through.as_ref().map_or(String::new(), |p| p.value.clone());
            let route = self.route(scope, caller, &to, &policy, &path, |s| client_layers(c, s));
            mix.push((sum, route));
        }
        mix.iter_mut().for_each(|(weight, _)| *weight /= sum);
        let mut sum = 0.0;
        let mut tenants: Vec<(f64, u8)> = Vec::new();
        for (_, tenant) in c.tenants.iter() {
            sum += tenant.share;
            tenants.push((sum, tenant.priority.unwrap_or(c.priority)));
        }
        tenants.iter_mut().for_each(|(share, _)| *share /= sum);
        Client {
            arrivals: arrivals(&c.arrivals),
            profile: profile(&c.profile),
            mix,
            tenants,
            priority: c.priority,
        }
    }

    // ---- programs ----

    fn programs(&mut self, scope: &mut Scope<'_>) {
        let topology = scope.topology;
        for (index, (name, service)) in topology.services.iter().enumerate() {
            for (endpoint, steps) in service.endpoints.iter() {
                let path = format!("services.{name}.endpoints.{endpoint}");
                let start = self.program(scope, Caller::Group(index as u32), steps, &path);
                scope.epoch.programs.push(start);
            }
        }
        for (group, (name, database)) in (topology.services.len() as u32..).zip(topology.databases.iter()) {
            for (query, steps) in database.queries.iter() {
                let path = format!("databases.{name}.queries.{query}");
                let start = self.program(scope, Caller::Group(group), steps, &path);
                scope.epoch.programs.push(start);
            }
        }
        for (index, (name, external)) in topology.externals.iter().enumerate() {
            for endpoint in self.external_endpoints[index].clone() {
                let (latency, ratio) = match external.endpoints.get(&endpoint) {
                    Some(own) => (&own.latency, own.error_ratio),
                    None => (&external.latency, external.error_ratio),
                };
                let path = format!("externals.{name}.endpoints.{endpoint}");
                let start = self.model.steps.len() as u32;
                self.model.steps.push(Step::Wait(draw(&latency.dist, &format!("{path}.latency"))));
                if ratio.0 > 0.0 {
                    let salt = salt(&format!("{path}.error_ratio"));
                    self.model.steps.push(Step::Fail { ratio: ratio.0, salt });
                }
                self.model.steps.push(Step::End);
                scope.epoch.programs.push(start);
            }
        }
    }

    /// Compiles a program and returns its first step. Programs inside it are compiled first, so that its own steps
    /// lie one after the other.
    fn program(&mut self, scope: &mut Scope<'_>, caller: Caller, steps: &[st::Step], path: &str) -> u32 {
        let mut compiled = Vec::with_capacity(steps.len() + 1);
        for (index, step) in steps.iter().enumerate() {
            let path = format!("{path}.{index}");
            self.step(scope, caller, step, &path, &mut compiled);
        }
        compiled.push(Step::End);
        // Jumps inside `compiled` are relative to its start until here.
        let start = self.model.steps.len() as u32;
        for step in &mut compiled {
            match step {
                Step::Jump(to) => *to += start,
                Step::Choose { ways, .. } => {
                    for way in &mut self.model.ways[ways.start as usize..ways.end as usize] {
                        way.1 += start;
                    }
                }
                _ => {}
            }
        }
        self.model.steps.extend(compiled);
        start
    }

    fn step(
        &mut self,
        scope: &mut Scope<'_>,
        caller: Caller,
        step: &st::Step,
        path: &str,
        out: &mut Vec<Step>,
    ) {
        match step {
            st::Step::Work(w) => out.push(Step::Work(draw(&w.time.dist, path))),
            st::Step::Wait(w) => out.push(Step::Wait(draw(&w.time.dist, path))),
            st::Step::Call(c) => {
                let policy = c.through.as_ref().map_or(String::new(), |p| p.value.clone());
                let route = self.route(scope, caller, &c.to, &policy, path, |s| {
                    s.topology
                        .policies
                        .get(&policy)
                        .cloned()
                        .unwrap_or_default()
                        .into_iter()
                        .map(Spec::Layer)
                        .collect()
                });
                out.push(Step::Call(route));
            }
            st::Step::Parallel(p) => {
                let starts: Vec<u32> = (0..p.branches.len())
                    .map(|i| self.program(scope, caller, &p.branches[i], &format!("{path}.{i}")))
                    .collect();
                let from = self.model.branches.len() as u32;
                let count = starts.len() as u32;
                self.model.branches.extend(starts);
                let need = match &p.need {
                    st::Need::All => count,
                    st::Need::Any => 1,
                    st::Need::AtLeast(n) => n.count,
                };
                out.push(Step::Parallel { branches: from..from + count, need, salt: salt(path) });
            }
            st::Step::Choose(c) => self.choose(scope, caller, c, path, out),
            st::Step::Repeat(r) => {
                let body = self.program(scope, caller, &r.steps, path);
                out.push(Step::Repeat { body, times: r.times, salt: salt(path) });
            }
            st::Step::Optional(o) => {
                let body = self.program(scope, caller, &o.steps, path);
                out.push(Step::Optional { body, salt: salt(path) });
            }
            st::Step::Hold(h) => out.push(Step::Hold(h.size.0)),
            st::Step::Fail(f) => out.push(Step::Fail { ratio: f.ratio.0, salt: salt(path) }),
        }
    }

    fn choose(
        &mut self,
        scope: &mut Scope<'_>,
        caller: Caller,
        c: &st::Choose,
        path: &str,
        out: &mut Vec<Step>,
    ) {
        let total: f64 = c.ways.iter().map(|w| w.weight).sum();
        let from = self.model.ways.len();
        self.model.ways.extend(c.ways.iter().scan(0.0, |sum, way| {
            *sum += way.weight / total;
            Some((*sum, 0))
        }));
        out.push(Step::Choose { ways: from as u32..(from + c.ways.len()) as u32, salt: salt(path) });
        let mut jumps = Vec::new();
        for (index, way) in c.ways.iter().enumerate() {
            // A choice inside a way adds ways of its own, with positions relative to the same `out`.
            self.model.ways[from + index].1 = out.len() as u32;
            for (at, step) in way.steps.iter().enumerate() {
                self.step(scope, caller, step, &format!("{path}.{index}.{at}"), out);
            }
            jumps.push(out.len());
            out.push(Step::Jump(0));
        }
        let end = out.len() as u32;
        for jump in jumps {
            out[jump] = Step::Jump(end);
        }
    }

    // ---- routes, edges and layers ----

    fn route<'t>(
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
                let specs = layers(scope);
                let edge = self.edge(caller, callee, policy);
                let range = self.stack(scope, caller, callee, edge, &specs);
                scope.stacks.insert(key, (range.clone(), edge));
                (range, edge)
            }
        };
        self.model.routes.push(Route { callee, endpoint, layers, edge, salt: salt(path) });
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
        let names = format!("{}.{}", self.model.caller_name(caller), self.model.callee_name(callee));
        let policy = self.model.edges[edge as usize].policy.clone();
        let mut layers = Vec::with_capacity(specs.len());
        let mut kinds: BTreeMap<&'static str, u32> = BTreeMap::new();
        for spec in specs {
            // Named by kind, not by place: a layer that is added leaves the random numbers of the others alone.
            let number = kinds.entry(spec.kind()).or_insert(0);
            let path = format!("{names}.{policy}.{}.{number}", spec.kind());
            *number += 1;
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
        let counts = &mut self.model.slots;
        let (name, next) = match kind {
            LayerKind::Breaker(_) => ("breaker", &mut counts.breakers),
            LayerKind::Pool { .. } => ("pool", &mut counts.pools),
            LayerKind::Bulkhead { .. } => ("bulkhead", &mut counts.bulkheads),
            LayerKind::Retry { budget: Some(_), .. } => ("budget", &mut counts.budgets),
            LayerKind::Fallback { .. } => ("fallback", &mut counts.caches),
            _ => return 0,
        };
        let number = numbers.entry(name).or_insert(0);
        let key = (edge, name, *number, shared);
        *number += 1;
        let count = match caller {
            Caller::Group(g) if !shared => self.model.groups[g as usize].capacity,
            _ => 1,
        };
        let new = !self.slots.contains_key(&key);
        let meters = self.all_slots.len() as u32;
        let (first, meters) = *self.slots.entry(key).or_insert_with(|| {
            let first = *next;
            *next += count;
            (first, meters)
        });
        let callee_group = self.model.callee_group(callee);
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
            sp::Layer::Retry(r) => retry(r, path),
            sp::Layer::Breaker(b) => (LayerKind::Breaker(breaker(b)), shared(&b.per)),
            sp::Layer::Bulkhead(b) => {
                let config = BulkheadConfig {
                    max_concurrent: b.max,
                    max_queue: b.queue,
                    max_wait: b.max_wait.map(|w| w.duration()),
                };
                (LayerKind::Bulkhead { config }, shared(&b.per))
            }
            sp::Layer::Timeout(t) => {
                (LayerKind::Timeout { limit: t.limit.duration(), cancel: t.cancel }, false)
            }
            sp::Layer::Pool(p) => {
                let kind = LayerKind::Pool {
                    config: pool(p),
                    connect: draw(&p.connect.dist, &format!("{path}.connect")),
                    statement_timeout: p.statement_timeout.map(|t| t.duration()),
                };
                (kind, shared(&p.per))
            }
            sp::Layer::Network(n) => {
                let latency = draw(&n.latency.dist, &format!("{path}.latency"));
                (LayerKind::Network { latency, loss: n.loss.0 }, false)
            }
        }
    }
}

/// A layer as written, or one that a client population's own settings stand for.
enum Spec {
    Layer(sp::Layer),
    Timeout(SimDuration),
    Patience(Dist),
}

impl Spec {
    fn kind(&self) -> &'static str {
        match self {
            Self::Timeout(_) | Self::Layer(sp::Layer::Timeout(_)) => "timeout",
            Self::Patience(_) => "patience",
            Self::Layer(sp::Layer::Fallback(_)) => "fallback",
            Self::Layer(sp::Layer::Retry(_)) => "retry",
            Self::Layer(sp::Layer::Breaker(_)) => "breaker",
            Self::Layer(sp::Layer::Bulkhead(_)) => "bulkhead",
            Self::Layer(sp::Layer::Pool(_)) => "pool",
            Self::Layer(sp::Layer::Network(_)) => "network",
        }
    }
}

/// Outermost first: patience, retry, the timeout of each attempt, then the policy.
fn client_layers(c: &st::Clients, scope: &Scope<'_>) -> Vec<Spec> {
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

/// How work shares the CPU of each service and database that has one.
fn cpu_disciplines(topology: &Topology) -> Vec<(String, CpuDiscipline)> {
    let services = topology.services.iter().filter(|(_, s)| s.cpu.is_some());
    let services = services.map(|(name, s)| (name.to_string(), service(s).cpu_discipline));
    let databases = topology.databases.iter().map(|(name, d)| (name.to_string(), database(d).cpu_discipline));
    services.chain(databases).collect()
}

fn empty_model(topology: &Topology) -> Model {
    Model {
        name: topology.name.clone(),
        clients: Vec::new(),
        balancers: Vec::new(),
        groups: Vec::new(),
        endpoints: Vec::new(),
        edges: Vec::new(),
        instances: 0,
        steps: Vec::new(),
        ways: Vec::new(),
        branches: Vec::new(),
        routes: Vec::new(),
        layers: Vec::new(),
        slots: super::SlotCounts::default(),
        epochs: Vec::new(),
        catalog: catalog::Catalog::default(),
    }
}

/// The endpoints of each external that any epoch declares or calls.
fn external_endpoints(epochs: &[Topology]) -> Vec<BTreeSet<String>> {
    let mut found: Vec<BTreeSet<String>> = vec![BTreeSet::new(); epochs[0].externals.len()];
    for topology in epochs {
        let mut add = |to: &str, span: Span| {
            let to = Spanned { value: to.to_string(), span };
            if let Ok(target) = resolve(topology, &to)
                && let Component::External(index) = target.component
                && let Some(set) = found.get_mut(index)
            {
                set.insert(target.endpoint);
            }
        };
        for (_, clients) in topology.clients.iter() {
            clients.requests.spanned().for_each(|(to, span, _)| add(to, span));
        }
        for (_, service) in topology.services.iter() {
            for (_, steps) in service.endpoints.iter() {
                each_call(steps, &mut |c| add(&c.to.value, c.to.span));
            }
        }
        for (_, layers) in topology.policies.iter() {
            for layer in layers {
                let sp::Layer::Fallback(fallback) = layer else { continue };
                for option in &fallback.options {
                    if let sp::FallbackOption::Call(c) = option {
                        add(&c.to.value, c.to.span);
                    }
                }
            }
        }
        for (index, (_, external)) in topology.externals.iter().enumerate() {
            if let Some(set) = found.get_mut(index) {
                set.extend(external.endpoints.names().map(str::to_string));
            }
        }
    }
    found
}

fn draw(dist: &Dist, path: &str) -> Draw {
    Draw { dist: dist.clone(), salt: salt(path) }
}
