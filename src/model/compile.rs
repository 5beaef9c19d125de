//! From the checked specification to the model.
//!
//! Names become dense ids in order of name, so that the order of declaration changes nothing. Every program, route
//! and stack of layers of every epoch is appended to the model's tables. A layer keeps its state across epochs as
//! long as its edge has a layer of that kind at that place.

mod autoscalers;
mod balancers;
mod balancing;
mod breakers;
mod concurrency;
mod costs;
mod databases;
mod life;
mod limits;
mod network;
mod policies;
mod pools;
mod programs;
mod queues;
mod retries;
mod runtime;
mod settings;
mod shedding;
mod sites;
mod throttling;
mod versions;
mod waiting;

use super::balancers::CheckRule;
use super::{
    Balancer, BalancerShape, Callee, Caller, Client, ClientShape, Draw, EndpointShape, Epoch, Group,
    GroupKind, GroupShape, HealthCheck, Model, SlotUse, catalog,
};
use crate::base::dist::Dist;
use crate::base::salt;
use crate::components::cpu::CpuDiscipline;
use crate::components::health::{HealthConfig, TargetHealth};
use crate::spec::check::{Component, each_call, resolve};
use crate::spec::policy as sp;
use crate::spec::site::ways;
use crate::spec::source::{Span, Spanned};
use crate::spec::topology as st;
use crate::spec::topology::Topology;
use policies::client_layers;
use settings::{arrivals, database, external, keys, profile, service};
use std::collections::{BTreeMap, BTreeSet};
pub use versions::{Deployed, compile_versions};

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
    compile_all(epochs, epochs.len(), &[])
}

fn compile_all(all: &[Topology], states: usize, deployed: &[Deployed]) -> Result<Model, ShapeError> {
    let mut compiler = Compiler::new(all, deployed);
    let epochs = &all[..states];
    for (index, topology) in epochs.iter().enumerate() {
        compiler.same_shape(topology, index)?;
        compiler.cpus.extend(cpu_disciplines(topology));
        compiler.epoch(topology);
    }
    compiler.versions(all, states, deployed)?;
    let mut model = compiler.model;
    model.costs = costs::costs(&model, &all[0]);
    for (epoch, topology) in all.iter().enumerate() {
        if costs::costs(&model, topology) != model.costs {
            return Err(ShapeError { what: "change what something costs, moves or logs".into(), epoch });
        }
    }
    let slots = compiler.all_slots;
    model.catalog = catalog::build(&model, &slots);
    for route in &mut model.routes {
        let meters = &model.catalog.edges[route.edge as usize];
        (route.red, route.attempts) = (meters.red, meters.attempts);
    }
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
    /// What stands in front of each database at the start.
    first_databases: Vec<(String, &'static str)>,
}

/// What an instance of a group costs per hour, or a request to an external.
fn price(topology: &Topology, group: &GroupShape) -> f64 {
    let price = match group.kind {
        GroupKind::Service => topology.services.get(&group.name).map(|s| s.price_per_hour),
        GroupKind::Database => topology.databases.get(&group.name).map(|d| d.price_per_hour),
        GroupKind::External => topology.externals.get(&group.name).map(|e| e.price_per_request),
    };
    price.unwrap_or(0.0)
}

/// What compiling one epoch gathers.
struct Scope<'t> {
    topology: &'t Topology,
    epoch: Epoch,
    /// Stacks compiled already: by caller, callee and policy.
    stacks: BTreeMap<(Caller, Callee, String), (std::ops::Range<u32>, u32)>,
}

impl Compiler {
    fn new(epochs: &[Topology], deployed: &[Deployed]) -> Self {
        let first = &epochs[0];
        let external_endpoints = external_endpoints(epochs);
        let mut this = Self {
            model: empty_model(first),
            external_endpoints,
            edges: BTreeMap::new(),
            slots: BTreeMap::new(),
            all_slots: Vec::new(),
            cpus: BTreeMap::new(),
            first_databases: first
                .databases
                .iter()
                .map(|(name, d)| (name.to_string(), pools::what_pools(d)))
                .collect(),
        };
        for (name, clients) in first.clients.iter() {
            this.model.clients.push(ClientShape {
                name: name.to_string(),
                requests: clients.requests.names().map(str::to_string).collect(),
                tenants: clients.tenants.names().map(str::to_string).collect(),
                tenant_numbers: clients.tenants.names().map(|n| limits::tenant_number(first, n)).collect(),
            });
        }
        for (name, _) in first.services.iter() {
            let capacity = epochs.iter().filter_map(|e| autoscalers::most(e, name)).max();
            let places = |most| epochs.iter().map(|e| life::places(e, name, most)).max().unwrap_or(most);
            let places = |most| places(most).max(versions::places(deployed, name, most));
            let endpoints = first.services.get(name).map(|s| s.endpoints.names().collect::<Vec<_>>());
            // A service may be switched off all the time, and still has a place.
            let capacity = capacity.map_or(1, places).max(1);
            this.group(name, GroupKind::Service, capacity, &endpoints.unwrap_or_default());
        }
        for (name, database) in first.databases.iter() {
            let count = database.replication.as_ref().map_or(database.shards, |r| r.count);
            this.group(name, GroupKind::Database, count, &database.queries.names().collect::<Vec<_>>());
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
        this.model.autoscalers = autoscalers::shapes(first);
        databases::follow(first, &mut this.model.groups);
        this.model.queues = queues::shapes(epochs);
        this.model.sites = sites::shapes(first);
        for shape in &mut this.model.groups {
            shape.price = price(first, shape);
        }
        this.model.zones = balancing::zones(first);
        for shape in &mut this.model.groups {
            shape.zones = balancing::zones_of(first, shape, &this.model.zones);
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
            price: 0.0,
            is_sharded: false,
            replicates: None,
            zones: Vec::new(),
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
        same(
            "autoscaler",
            m.autoscalers.iter().map(|a| a.name.as_str()).collect(),
            topology.autoscalers.names().collect(),
        )?;
        for (shape, (_, autoscaler)) in m.autoscalers.iter().zip(topology.autoscalers.iter()) {
            let name = |group: &u32| m.groups[*group as usize].name.as_str();
            let scaled = m.groups.get(shape.group as usize).map(|group| group.name.as_str());
            let theirs = autoscalers::service_of(autoscaler);
            same("scaled service", scaled.into_iter().collect(), theirs.into_iter().collect())?;
            let theirs = autoscalers::pods_of(autoscaler).collect();
            same("pod", shape.pods.iter().map(name).collect(), theirs)?;
        }
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
        if let Some(shape) = m.groups.iter().find(|shape| shape.price != price(topology, shape)) {
            return Err(ShapeError { what: format!("change the price of `{}`", shape.name), epoch });
        }
        for ((name, d), (_, first)) in topology.databases.iter().zip(self.first_databases.iter()) {
            if pools::what_pools(d) != *first {
                let what = format!("change what stands in front of `{name}` from {first}");
                return Err(ShapeError { what, epoch });
            }
        }
        let moved = |shape: &&GroupShape| shape.zones != balancing::zones_of(topology, shape, &m.zones);
        if let Some(shape) = m.groups.iter().find(moved) {
            return Err(ShapeError { what: format!("change the zones of `{}`", shape.name), epoch });
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
        sites::same_shape(m, topology, epoch)?;
        queues::same_shape(m, topology, epoch)
    }

    fn epoch(&mut self, topology: &Topology) {
        let epoch = Epoch {
            clients: Vec::new(),
            balancers: Vec::new(),
            groups: Vec::new(),
            programs: Vec::new(),
            slots: Vec::new(),
            autoscalers: topology
                .autoscalers
                .iter()
                .map(|(_, a)| autoscalers::settings(a, topology))
                .collect(),
            queues: queues::settings(&self.model, topology),
            sites: sites::settings(topology),
        };
        let mut scope = Scope { topology, epoch, stacks: BTreeMap::new() };
        for (name, s) in topology.services.iter() {
            let first = self.model.groups[scope.epoch.groups.len()].endpoints.start;
            scope.epoch.groups.push(Group {
                life: life::life(name, s, first),
                runtime: runtime::runtime(name, s),
                ..service(name, s, scope.topology)
            });
        }
        for (name, d) in topology.databases.iter() {
            scope.epoch.groups.push(database(name, d));
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
            let mut client = self.client(&mut scope, c, index as u32, name);
            // A table of many keys is kept once.
            let before = self.model.epochs.last().and_then(|e| e.clients[index].keys.as_ref());
            if let (Some(keys), Some(before)) = (&client.keys, before)
                && keys == before
            {
                client.keys = Some(before.clone());
            }
            scope.epoch.clients.push(client);
        }
        self.model.epochs.push(scope.epoch);
    }

    fn balancer(&self, b: &st::Balancer, index: usize) -> Balancer {
        let group = &self.model.groups[self.model.balancers[index].group as usize];
        let check = b.health_check.as_ref().map(|check| HealthCheck {
            rule: CheckRule::Alb,
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
        let find = |name: &str| {
            let mut endpoints = group.endpoints.clone();
            let found = endpoints.find(|e| self.model.endpoints[*e as usize].name == name);
            found.unwrap_or(group.endpoints.start)
        };
        Balancer {
            policy: balancing::policy(&b.policy),
            weights: b.weights.clone(),
            check: balancers::check(&b.product, find).or(check),
            fail_open: matches!(b.when_none_healthy, st::WhenNoneHealthy::FailOpen),
            deregistration_delay: b.deregistration_delay.duration(),
            idle_timeout: balancers::patience(b),
            product: balancers::product(&b.product),
            slow_start: b.slow_start.as_ref().map(balancing::slow_start),
            stickiness: b.stickiness.as_ref().map(|s| s.duration.duration()),
            zone_routing: balancing::zone_routing(&b.zone_routing),
        }
    }

    fn client(&mut self, scope: &mut Scope<'_>, c: &st::Clients, index: u32, name: &str) -> Client {
        let caller = Caller::Client(index);
        let mut sum = 0.0;
        let (mut mix, mut sites) = (Vec::new(), Vec::new());
        for (request, span, weight) in c.requests.spanned() {
            sum += weight;
            let to = Spanned { value: request.to_string(), span };
            let path = format!("clients.{name}.requests.{request}");
            let policy = c.through.as_ref().map_or(String::new(), |p| p.value.clone());
            let ways = ways(scope.topology, &to);
            let mut route = |to| self.route(scope, caller, to, &policy, &path, |s| client_layers(c, s));
            let routes: Vec<u32> = ways.iter().map(&mut route).collect();
            mix.push((sum, routes[0]));
            let site = request.split_once('/').and_then(|(name, _)| scope.topology.sites.position(name));
            sites.push(site.map(|site| (site as u32, routes)));
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
            sites: if sites.iter().any(Option::is_some) { sites } else { Vec::new() },
            keys: c.keys.as_ref().map(keys),
            tenants,
            priority: c.priority,
        }
    }
}

/// How work shares the CPU of each service and database that has one.
fn cpu_disciplines(topology: &Topology) -> Vec<(String, CpuDiscipline)> {
    let services = topology.services.iter().filter(|(_, s)| s.cpu.is_some());
    let services = services.map(|(name, s)| (name.to_string(), service(name, s, topology).cpu_discipline));
    let databases =
        topology.databases.iter().map(|(name, d)| (name.to_string(), database(name, d).cpu_discipline));
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
        autoscalers: Vec::new(),
        locks: Vec::new(),
        instances: 0,
        steps: Vec::new(),
        ways: Vec::new(),
        branches: Vec::new(),
        routes: Vec::new(),
        layers: Vec::new(),
        slots: super::SlotCounts::default(),
        epochs: Vec::new(),
        catalog: catalog::Catalog::default(),
        zones: Vec::new(),
        queues: Vec::new(),
        sites: Vec::new(),
        versions: Vec::new(),
        costs: super::cost::Costs::default(),
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
