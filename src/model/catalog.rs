//! Every metric of a model: where it is kept, what its path is, its unit and its meaning.
//!
//! Meters are kept in four dense tables, by id: *reds* (rate, errors, duration: arrivals and outcomes), *timers*
//! (histograms of durations), *gauges* (levels over time) and *counters*. A metric is a path and a way to compute a
//! number from meters over a window. The world knows only ids; paths serve expectations, reports and series.

mod autoscalers;
mod balancers;
pub mod balancing;
mod concurrency;
pub mod costs;
mod databases;
mod edges;
pub mod faults;
mod layers;
mod lives;
pub mod queues;
mod runtimes;
pub mod sites;
mod sums;
pub mod versions;

use super::{EdgeShape, GroupKind, GroupShape, LayerKind, Model, SlotUse};
use crate::base::Outcome;
use crate::base::units::Unit;
use crate::metrics::{Sizes, Source, Sums};
use crate::spec::diagnostic::nearest_help;
pub(crate) use edges::edge_path;
use edges::path_of_edge;
pub use lives::LifeMeters;
pub use runtimes::RuntimeMeters;
use std::collections::{BTreeMap, BTreeSet};

/// A metric.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its path, such as `services.api.latency.p99`.
    pub path: String,
    /// Its unit.
    pub unit: Unit,
    /// What it means.
    pub meaning: String,
    /// How it is computed.
    pub source: Source,
}

/// Ids of the meters that belong to a group.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupMeters {
    /// Red: requests that reached an instance, health checks left out. Its timer has the same id.
    pub red: u32,
    /// Timer: waiting for a worker, of requests that got one.
    pub wait: u32,
    /// Timer, in billionths: response time over CPU asked for, of requests that ended well (services, databases).
    pub slowdown: u32,
    /// Gauge: requests at the instances, waiting or executed.
    pub in_flight: u32,
    /// Gauge: requests that are executed. It is the one after `in_flight`, as mostly both move.
    pub busy: u32,
    /// Gauge: requests that wait for a worker.
    pub queue: u32,
    /// Gauge: workers of running instances.
    pub workers: u32,
    /// Gauge: CPU in use, in thousandths of a core.
    pub cpu: u32,
    /// Gauge: CPU there is, in thousandths of a core.
    pub cores: u32,
    /// Gauge: memory in use, in bytes.
    pub memory: u32,
    /// Gauge: instances that run.
    pub up: u32,
    /// Gauge: connections open (databases).
    pub connections: u32,
    /// Counter: requests finished for nobody.
    pub nobody: u32,
    /// Counter: requests finished. Those that the red of the group says have ended.
    pub finished: u32,
    /// Counter: instances killed, by crash, memory or restart.
    pub kills: u32,
    /// Counter: requests that were not begun, as their deadline had passed.
    pub expired: u32,
    /// Counter: connections refused (databases).
    pub refused: u32,
    /// Counter: requests that waited too long for a worker (services).
    pub abandoned: u32,
    /// Counter: requests turned away before the queue was full, at the door or by the queue (services).
    pub shed: u32,
    /// Gauge: instances that there should be (services).
    pub replicas: u32,
    /// Those of the limit at the door (services that ever have one).
    pub admission: AdmissionMeters,
}

/// Ids of the meters that belong to the concurrency limits at the doors of a service.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdmissionMeters {
    /// Gauge: the limits of all instances that were asked something; the next is of requests admitted.
    pub limit: u32,
    /// Counter: requests turned away.
    pub rejected: u32,
}

/// Ids of the meters that belong to an autoscaler.
#[derive(Clone, Copy, Debug, Default)]
pub struct AutoscalerMeters {
    /// Counter: decisions for more replicas.
    pub ups: u32,
    /// Counter: decisions for fewer.
    pub downs: u32,
    /// Counter: alarms that were set off (policies of Amazon's Auto Scaling).
    pub alarms: u32,
    /// Counter: times it began to panic (Knative).
    pub panics: u32,
    /// Counter: times a request came while there was no pod (Knative).
    pub activations: u32,
    /// Gauge: nodes that pods can run on (nodes).
    pub nodes: u32,
    /// Gauge: pods that wait for a node (nodes).
    pub pending: u32,
    /// Counter: nodes that were too long in coming (nodes).
    pub given_up: u32,
}

/// Ids of the meters that belong to a balancer.
#[derive(Clone, Copy, Debug, Default)]
pub struct BalancerMeters {
    /// Red: requests.
    pub red: u32,
    /// Red: health checks.
    pub checks: u32,
    /// Red, added to the number of an endpoint: what the endpoint's instances answered of the requests through the
    /// balancer. Such an answer is recorded there alone, for the endpoint and for the balancer.
    pub sent: u32,
    /// Gauge: targets believed healthy.
    pub healthy: u32,
    /// Gauge: targets registered.
    pub targets: u32,
    /// Gauge: requests in flight.
    pub in_flight: u32,
    /// Counter: requests sent while no target was believed healthy.
    pub failed_open: u32,
    /// Of what only some have.
    pub balancing: balancing::BalancingMeters,
    /// Counter: requests that the balancer itself answered with a 502.
    pub http_502: u32,
    /// Counter: requests that the balancer itself answered with a 503.
    pub http_503: u32,
    /// Counter: requests that the balancer itself answered with a 504.
    pub http_504: u32,
    /// Counter: ejections (Envoy).
    pub ejections: u32,
    /// Counter: ejections left out as too many were ejected (Envoy).
    pub ejections_overflow: u32,
    /// Counter: tries at another target.
    pub retries: u32,
    /// Gauge: requests that wait for a target (HAProxy).
    pub queue: u32,
    /// Gauge: targets ejected (Envoy).
    pub ejected: u32,
}

/// Ids of the meters that belong to a client population.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientMeters {
    /// Red: requests.
    pub red: u32,
    /// Red of the first request of the mix; the others follow.
    pub requests: u32,
    /// Red of the first tenant; the others follow.
    pub tenants: u32,
    /// Timer: requests that ended well.
    pub success: u32,
    /// Timer: requests of the first kind that ended well; then those that did not; then the same of the other kinds.
    /// They are recorded here alone, for the population and for the kind.
    pub ended: u32,
    /// Whether the edges that its requests take record them, too: not if each kind always takes the same.
    pub has_edges: bool,
    /// Gauge: requests in flight.
    pub in_flight: u32,
}

/// Ids of the meters that belong to an edge.
#[derive(Clone, Copy, Debug, Default)]
pub struct EdgeMeters {
    /// Red: calls, as the caller sees them, policy included.
    pub red: u32,
    /// Counter: attempts sent to the callee.
    pub attempts: u32,
    /// Counter: calls begun. Those that the red of the edge says have arrived.
    pub calls: u32,
    /// Counter: attempts made again by a retry layer.
    pub retries: u32,
    /// Counter: calls that a fallback answered.
    pub fallbacks: u32,
    /// Counter: attempts sent by a hedge because an answer was late or an attempt had failed.
    pub hedges: u32,
}

/// Ids of the meters that belong to a random failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct FailureMeters {
    /// Gauge: what is down now.
    pub down: u32,
    /// Counter: failures.
    pub failures: u32,
}

/// Where all meters are and what they mean.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Meters of groups, by group.
    pub groups: Vec<GroupMeters>,
    /// Meters of balancers, by balancer.
    pub balancers: Vec<BalancerMeters>,
    /// Meters of client populations.
    pub clients: Vec<ClientMeters>,
    /// Meters of edges.
    pub edges: Vec<EdgeMeters>,
    /// Red of the first endpoint; those of the others follow.
    pub endpoints: u32,
    /// Meters of each layer with state: first gauge, first counter, timer.
    pub layers: Vec<LayerMeters>,
    /// Meters of autoscalers.
    pub autoscalers: Vec<AutoscalerMeters>,
    /// Meters of locks.
    pub locks: Vec<LockMeters>,
    /// Meters of functions, by group; empty ones of others.
    pub lambdas: Vec<LambdaMeters>,
    /// Meters of volumes, by group; empty ones where there is no volume.
    pub volumes: Vec<VolumeMeters>,
    /// Meters of replicas, by group; empty ones of groups that follow nobody.
    pub replication: Vec<ReplicationMeters>,
    /// Meters of databases that fail over, by group, likewise.
    pub failovers: Vec<FailoverMeters>,
    /// Meters of what the whole system costs, if anything has a price: a gauge of billionths per hour, and a counter of
    /// billionths.
    pub cost: Option<(u32, u32)>,
    /// Meters of what the parts cost.
    pub costs: costs::CostMeters,
    /// Meters of how instances live and end, of the groups that have probes and the like.
    pub lives: Vec<Option<LifeMeters>>,
    /// Meters of what processes run in, of the groups that have any of it.
    pub runtimes: Vec<Option<RuntimeMeters>>,
    /// Meters of CPU time that faults steal, by group; empty if the experiment has no such fault.
    pub stolen: Vec<Option<faults::StolenMeters>>,
    /// Meters of random failures, which belong to an experiment and not to its topology.
    pub failures: Vec<FailureMeters>,
    /// Meters of versions of services.
    pub versions: Vec<versions::VersionMeters>,
    /// Meters of services that are deployed, by group.
    pub fleets: Vec<Option<versions::FleetMeters>>,
    /// Counter of the first client population: wrong answers; the others follow. `None` if no fault makes any.
    pub wrong_answers: Option<u32>,
    /// Meters of message queues.
    pub queues: Vec<queues::QueueMeters>,
    /// Of each site.
    pub sites: Vec<sites::SiteMeters>,
    /// How many reds; timers 0 to this are theirs.
    pub reds: u32,
    /// How many timers.
    pub timers: u32,
    /// How many gauges.
    pub gauges: u32,
    /// How many counters.
    pub counters: u32,
    /// Meters that nobody records, or not all of it, as they are sums of others.
    pub sums: Sums,
    /// All metrics, in order of path.
    pub metrics: Vec<Metric>,
}

/// Ids of the meters of a lock.
#[derive(Clone, Copy, Debug, Default)]
pub struct LockMeters {
    /// Timer: waiting for it, zero included.
    pub wait: u32,
    /// Gauge: requests that wait for it.
    pub waiting: u32,
    /// Counter: requests that waited too long.
    pub timeouts: u32,
}

/// Ids of the meters of a function.
#[derive(Clone, Copy, Debug, Default)]
pub struct LambdaMeters {
    /// Gauge: environments, busy and idle, as of the last request.
    pub environments: u32,
    /// Counter: environments that were initialised for a request.
    pub cold: u32,
    /// Counter: requests that were throttled.
    pub throttled: u32,
}

/// Ids of the meters of a volume.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolumeMeters {
    /// Timer: operations, time in line included.
    pub time: u32,
    /// Counter: operations.
    pub operations: u32,
    /// Gauge: credits left, in millionths of all.
    pub credits: u32,
}

/// Ids of the meters of replicas.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplicationMeters {
    /// Gauge: writes that are not applied, all replicas.
    pub backlog: u32,
    /// Timer: from commit to being applied.
    pub lag: u32,
    /// Counter: reads that found writes not applied.
    pub stale: u32,
}

/// Ids of the meters of a database that fails over.
#[derive(Clone, Copy, Debug, Default)]
pub struct FailoverMeters {
    /// Counter: how often another server took over.
    pub failovers: u32,
    /// Counter: writes that were lost by that.
    pub lost: u32,
    /// Timer: the age of the oldest of them, of each failover that lost any.
    pub rpo: u32,
}

/// Ids of the meters of a layer with state.
#[derive(Clone, Copy, Debug, Default)]
pub struct LayerMeters {
    /// Concurrency limit: the limit; calls in progress and waiting follow. Pool: connections; bulkhead: calls in
    /// progress; breaker: breakers that are not closed; rate limit: calls that wait; cache: entries.
    pub gauge: u32,
    /// Counter: calls turned away (breaker, bulkhead, rate limit), acquires timed out (pool), retries refused (budget),
    /// calls (cache: those that hit, missed and waited, stale answers and evictions follow, in this order).
    pub rejected: u32,
    /// Timer: waiting for a connection (pool), opening one (connect).
    pub wait: u32,
    /// Counters: opened, closed, trial calls (breaker), in this order; calls admitted (rate limit); retries allowed
    /// (budget); all calls (throttle); attempts to make a connection, failed ones, clients refused (pools but
    /// sequelize-pool's), in this order; connections opened, lookups, lookups that failed (connect), in this order.
    pub more: u32,
}

impl Catalog {
    /// How many meters there are.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            reds: self.reds as usize,
            timers: self.timers as usize,
            gauges: self.gauges as usize,
            counters: self.counters as usize,
            tracked: 0,
        }
    }

    /// The catalog with the meters and metrics of random failures, in the order of `names`.
    #[must_use]
    pub fn with_failures<'n>(self, names: impl Iterator<Item = &'n str>) -> Self {
        let before = self.metrics.len();
        let mut b = Builder { catalog: self };
        names.for_each(|name| b.failure(name));
        if b.catalog.metrics.len() > before {
            b.catalog.metrics.sort_by(|x, y| x.path.cmp(&y.path));
        }
        b.catalog
    }

    /// The metric with this path.
    pub fn find(&self, path: &str) -> Option<&Metric> {
        self.metrics.binary_search_by(|m| m.path.as_str().cmp(path)).ok().map(|at| &self.metrics[at])
    }

    /// A sentence that names metrics with paths like one that was not found.
    pub fn suggestion(&self, path: &str) -> Option<String> {
        // Within the same component if there is one, so that the list stays short.
        let prefix: Vec<&str> = path.split('.').take(2).collect();
        let prefix = format!("{}.", prefix.join("."));
        let near: Vec<&str> =
            self.metrics.iter().map(|m| m.path.as_str()).filter(|p| p.starts_with(&prefix)).collect();
        if near.is_empty() {
            return nearest_help(path, self.metrics.iter().map(|m| m.path.as_str()));
        }
        nearest_help(path, near)
    }
}

/// What the timer of a service's queue measures.
const WAITED: &str = "waiting for a worker, zero included, of requests that got one";

/// The quantiles that each timer shows: name, value, and the same in per cent.
const QUANTILES: [(&str, f64, &str); 5] = [
    ("p50", 0.5, "50"),
    ("p90", 0.9, "90"),
    ("p95", 0.95, "95"),
    ("p99", 0.99, "99"),
    ("p999", 0.999, "99.9"),
];

/// Builds the catalog while handing out ids.
#[derive(Debug, Default)]
struct Builder {
    catalog: Catalog,
}

/// Builds the catalog of a compiled model.
pub fn build(model: &Model, slots: &[SlotUse]) -> Catalog {
    let mut b = Builder::default();
    // Reds first, so that the timer of a red has the id of the red.
    b.reds(model);
    b.probe_reds(model);
    b.version_reds(model);
    b.catalog.timers = b.catalog.reds;
    let mut from = 0;
    for (index, client) in model.clients.iter().enumerate() {
        b.client(index, &client.name, &client.requests, &client.tenants);
        b.order(&mut from);
    }
    for (index, balancer) in model.balancers.iter().enumerate() {
        b.balancer(index, &balancer.name);
        b.balancer_product(index, &format!("balancers.{}", balancer.name), model);
        b.order(&mut from);
    }
    for (index, group) in model.groups.iter().enumerate() {
        b.group(index, group, model);
        b.order(&mut from);
    }
    let mut pairs = BTreeMap::new();
    model.edges.iter().for_each(|e| *pairs.entry((e.caller, e.callee)).or_insert(0) += 1);
    let path_of = |edge: &EdgeShape| path_of_edge(model, edge, pairs[&(edge.caller, edge.callee)] > 1);
    for (index, edge) in model.edges.iter().enumerate() {
        b.edge(index, &path_of(edge));
        b.order(&mut from);
    }
    let mut taken = BTreeSet::new();
    for slot in slots {
        let kind = &model.layers[slot.layer as usize].kind;
        let path = match kind {
            // Shared by all who call the database.
            LayerKind::Pool { sessions: Some(_), .. } => {
                format!("databases.{}", model.groups[slot.callee_group as usize].name)
            }
            _ => path_of(&model.edges[slot.edge as usize]),
        };
        b.layer(slot, kind, &path, slots, &mut taken);
        b.order(&mut from);
    }
    for (index, autoscaler) in model.autoscalers.iter().enumerate() {
        b.autoscaler(&autoscaler.name, &model.epochs[0].autoscalers[index]);
    }
    b.databases(model);
    b.fleets();
    b.costs(model);
    b.balancing(model);
    b.lives(model);
    b.runtimes(model);
    b.versions(model);
    model.queues.iter().for_each(|queue| b.queue(queue));
    model.sites.iter().for_each(|site| b.site(site));
    b.sums(model);
    b.catalog.metrics.sort_by(|x, y| x.path.cmp(&y.path));
    b.catalog
}

impl Builder {
    fn red(&mut self) -> u32 {
        self.catalog.reds += 1;
        self.catalog.reds - 1
    }

    fn timer(&mut self) -> u32 {
        self.catalog.timers += 1;
        self.catalog.timers - 1
    }

    fn gauge(&mut self) -> u32 {
        self.catalog.gauges += 1;
        self.catalog.gauges - 1
    }

    fn counter(&mut self) -> u32 {
        self.catalog.counters += 1;
        self.catalog.counters - 1
    }

    /// Puts the metrics of one component in order: sorting all of them then finds long parts in order already, and
    /// takes half the time.
    fn order(&mut self, from: &mut usize) {
        self.catalog.metrics[*from..].sort_by(|x, y| x.path.cmp(&y.path));
        *from = self.catalog.metrics.len();
    }

    fn add(&mut self, path: String, unit: Unit, meaning: impl Into<String>, source: Source) {
        self.catalog.metrics.push(Metric { path, unit, meaning: meaning.into(), source });
    }

    fn reds(&mut self, model: &Model) {
        for client in &model.clients {
            let red = self.red();
            let requests = self.catalog.reds;
            self.catalog.reds += client.requests.len() as u32;
            let tenants = self.catalog.reds;
            self.catalog.reds += client.tenants.len() as u32;
            self.catalog.clients.push(ClientMeters { red, requests, tenants, ..Default::default() });
        }
        for balancer in &model.balancers {
            let (red, checks) = (self.red(), self.red());
            let endpoints = &model.groups[balancer.group as usize].endpoints;
            let sent = self.catalog.reds.wrapping_sub(endpoints.start);
            self.catalog.reds += endpoints.len() as u32;
            self.catalog.balancers.push(BalancerMeters { red, checks, sent, ..Default::default() });
        }
        for _ in &model.groups {
            let red = self.red();
            self.catalog.groups.push(GroupMeters { red, ..Default::default() });
        }
        self.catalog.endpoints = self.catalog.reds;
        self.catalog.reds += model.endpoints.len() as u32;
        for _ in &model.edges {
            let red = self.red();
            self.catalog.edges.push(EdgeMeters { red, ..Default::default() });
        }
    }

    /// The metrics of a red and its timer.
    fn red_metrics(&mut self, path: &str, red: u32, of: &str) {
        // Joined and not formatted, here and below: a topology of 10,000 lines has 100,000 of these.
        let rate = Unit::PerSecond;
        let named = |name: &str| [path, ".", name].concat();
        let meaning = |what: &str| [of, what].concat();
        self.add(named("rate"), rate, meaning(" begun"), Source::Rate(red));
        self.add(named("throughput"), rate, meaning(" ended, well or not"), Source::Throughput(red));
        self.add(named("goodput"), rate, meaning(" ended well (ok or degraded)"), Source::Goodput(red));
        let bad = ["share of the ", of, " ended that did not end well"].concat();
        self.add(named("error_ratio"), Unit::Ratio, bad, Source::ErrorRatio(red));
        for outcome in Outcome::ALL {
            let path = [path, ".outcomes.", outcome.name()].concat();
            let meaning = [of, " that ended: ", outcome.name()].concat();
            self.add(path, rate, meaning, Source::OutcomeRate(red, outcome));
        }
        self.timer_metrics(&named("latency"), red, &meaning(", from begin to end, whatever the outcome"));
    }

    fn timer_metrics(&mut self, path: &str, timer: u32, of: &str) {
        self.distribution_metrics(path, timer, Unit::Seconds, ["mean time", "time", "longest time"], of);
    }

    /// The metrics of a timer, whatever it measures: the words for its mean, its values and its greatest.
    fn distribution_metrics(&mut self, path: &str, timer: u32, unit: Unit, words: [&str; 3], of: &str) {
        let [mean, value, most] = words;
        let named = |name: &str| [path, ".", name].concat();
        self.add(named("mean"), unit, [mean, ": ", of].concat(), Source::TimerMean(timer));
        for (name, q, percent) in QUANTILES {
            let meaning = [value, " that ", percent, " % stay below: ", of].concat();
            self.add(named(name), unit, meaning, Source::TimerQuantile(timer, q));
        }
        self.add(named("max"), unit, [most, ": ", of].concat(), Source::TimerMax(timer));
    }

    fn level(&mut self, path: String, unit: Unit, meaning: &str, gauge: u32, factor: f64) {
        let most = [&path, ".max"].concat();
        self.add(path, unit, [meaning, ", mean over time"].concat(), Source::Level(gauge, factor));
        self.add(most, unit, [meaning, ", most at any moment"].concat(), Source::LevelMax(gauge, factor));
    }

    fn client(&mut self, index: usize, name: &str, requests: &[String], tenants: &[String]) {
        let path = format!("clients.{name}");
        let (success, in_flight) = (self.timer(), self.gauge());
        let ended = self.catalog.timers;
        self.catalog.timers += 2 * requests.len() as u32;
        let meters = &mut self.catalog.clients[index];
        meters.success = success;
        meters.ended = ended;
        meters.in_flight = in_flight;
        let meters = *meters;
        self.red_metrics(&path, meters.red, "requests of this population");
        self.timer_metrics(&format!("{path}.success_latency"), success, "requests that ended well");
        self.level(
            format!("{path}.in_flight"),
            Unit::Count("requests"),
            "requests in flight",
            in_flight,
            1.0,
        );
        for (i, request) in requests.iter().enumerate() {
            let red = meters.requests + i as u32;
            self.red_metrics(&format!("{path}.requests.{request}"), red, "requests of this kind");
        }
        for (i, tenant) in tenants.iter().enumerate() {
            let red = meters.tenants + i as u32;
            self.red_metrics(&format!("{path}.tenants.{tenant}"), red, "requests of this tenant");
        }
    }

    fn balancer(&mut self, index: usize, name: &str) {
        let path = format!("balancers.{name}");
        let (healthy, targets, in_flight) = (self.gauge(), self.gauge(), self.gauge());
        let failed_open = self.counter();
        let meters = &mut self.catalog.balancers[index];
        *meters = BalancerMeters { healthy, targets, in_flight, failed_open, ..*meters };
        let meters = *meters;
        self.red_metrics(&path, meters.red, "requests through the balancer");
        self.red_metrics(&format!("{path}.checks"), meters.checks, "health checks");
        self.level(
            format!("{path}.healthy"),
            Unit::Count("targets"),
            "targets believed healthy",
            healthy,
            1.0,
        );
        self.level(format!("{path}.targets"), Unit::Count("targets"), "targets registered", targets, 1.0);
        self.level(
            format!("{path}.in_flight"),
            Unit::Count("requests"),
            "requests in flight",
            in_flight,
            1.0,
        );
        self.add(
            format!("{path}.failed_open"),
            Unit::PerSecond,
            "requests sent to any target as none, or too few, were believed healthy",
            Source::CounterRate(failed_open),
        );
    }

    fn group(&mut self, index: usize, group: &GroupShape, model: &Model) {
        let family = match group.kind {
            GroupKind::Service => "services",
            GroupKind::Database => "databases",
            GroupKind::External => "externals",
        };
        let path = format!("{family}.{}", group.name);
        let red = self.catalog.groups[index].red;
        let meters = GroupMeters {
            red,
            wait: self.timer(),
            slowdown: self.timer(),
            in_flight: self.gauge(),
            busy: self.gauge(),
            queue: self.gauge(),
            workers: self.gauge(),
            cpu: self.gauge(),
            cores: self.gauge(),
            memory: self.gauge(),
            up: self.gauge(),
            connections: self.gauge(),
            nobody: self.counter(),
            finished: self.counter(),
            kills: self.counter(),
            expired: self.counter(),
            refused: self.counter(),
            abandoned: self.counter(),
            shed: self.counter(),
            replicas: self.gauge(),
            admission: self.admission(&path, index, model),
        };
        debug_assert_eq!(meters.busy, meters.in_flight + 1, "both move at once");
        self.catalog.groups[index] = meters;
        self.red_metrics(&path, red, "requests at the instances");
        let requests = Unit::Count("requests");
        self.level(
            format!("{path}.in_flight"),
            requests,
            "requests waiting or executed",
            meters.in_flight,
            1.0,
        );
        self.add(
            format!("{path}.work_for_nobody"),
            Unit::Ratio,
            "share of the finished requests that nobody waited for any more",
            Source::CounterRatio(meters.nobody, meters.finished),
        );
        if model.layers.iter().any(|l| matches!(l.kind, LayerKind::Deadline { .. })) {
            self.add(
                format!("{path}.expired"),
                Unit::PerSecond,
                "requests that were not begun, as their deadline had passed",
                Source::CounterRate(meters.expired),
            );
        }
        for endpoint in group.endpoints.clone() {
            let name = &model.endpoints[endpoint as usize].name;
            let red = self.catalog.endpoints + endpoint;
            self.red_metrics(&format!("{path}.endpoints.{name}"), red, "requests to this endpoint");
        }
        if group.kind == GroupKind::External {
            return;
        }
        self.level(format!("{path}.up"), Unit::Count("instances"), "instances that run", meters.up, 1.0);
        self.add(
            format!("{path}.kills"),
            Unit::Count("kills"),
            "instances killed: by a crash, for memory, by a restart",
            Source::CounterTotal(meters.kills),
        );
        self.distribution_metrics(
            &format!("{path}.slowdown"),
            meters.slowdown,
            Unit::Level,
            ["mean slowdown", "slowdown", "greatest slowdown"],
            "time at the instance over the CPU time asked for in `Work`, of requests that asked for some and ended well",
        );
        self.level(format!("{path}.cpu"), Unit::Cores, "CPU in use, all instances", meters.cpu, 1e-3);
        self.add(
            format!("{path}.cpu_utilization"),
            Unit::Ratio,
            "CPU in use over CPU there is",
            Source::LevelRatio(meters.cpu, meters.cores),
        );
        if group.kind == GroupKind::Database {
            let unit = Unit::Count("connections");
            self.level(format!("{path}.connections"), unit, "connections open", meters.connections, 1.0);
            self.add(
                format!("{path}.refused"),
                Unit::PerSecond,
                "connections refused because there were too many",
                Source::CounterRate(meters.refused),
            );
            return;
        }
        let unit = Unit::Count("instances");
        self.level(format!("{path}.replicas"), unit, "instances that there should be", meters.replicas, 1.0);
        self.level(format!("{path}.queue"), requests, "requests waiting for a worker", meters.queue, 1.0);
        self.level(format!("{path}.busy"), requests, "requests executed", meters.busy, 1.0);
        self.add(
            format!("{path}.worker_utilization"),
            Unit::Ratio,
            "requests executed over workers there are (services with `workers`)",
            Source::LevelRatio(meters.busy, meters.workers),
        );
        self.level(format!("{path}.memory"), Unit::Bytes, "memory in use, all instances", meters.memory, 1.0);
        self.timer_metrics(&format!("{path}.wait"), meters.wait, WAITED);
        self.add(
            format!("{path}.abandoned"),
            Unit::PerSecond,
            "requests that waited too long for a worker (`max_wait`)",
            Source::CounterRate(meters.abandoned),
        );
        self.add(
            format!("{path}.shed"),
            Unit::PerSecond,
            "requests turned away before the queue was full, by `shedding` or by the queue's `shed`",
            Source::CounterRate(meters.shed),
        );
    }

    fn failure(&mut self, name: &str) {
        let path = format!("failures.{name}");
        let meters = FailureMeters { down: self.gauge(), failures: self.counter() };
        self.catalog.failures.push(meters);
        let unit = Unit::Count("failed");
        self.level(format!("{path}.down"), unit, "what has failed and is not repaired", meters.down, 1.0);
        self.add(
            format!("{path}.failures"),
            Unit::Count("failures"),
            "failures at random",
            Source::CounterTotal(meters.failures),
        );
    }
}
