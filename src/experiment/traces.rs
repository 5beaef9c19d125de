//! Traces of sampled requests: what is kept of them, and the names of what they went through.

use super::plan::VariantPlan;
use crate::metrics::trace::{TRACE_SPANS_MAX, Traces};
use crate::model::{Callee, GroupKind, LayerKind, Model};

/// The most spans of a variant. Of a run all spans are kept or none; from the first that does not fit on, none are.
const VARIANT_SPANS_MAX: usize = 200_000;

/// The sampled requests of a variant.
#[derive(Clone, Debug)]
pub struct TraceBook {
    /// The share of requests that is sampled.
    pub share: f64,
    /// The traces of each run, in order of run.
    pub runs: Vec<RunTraces>,
    /// What the numbers in spans stand for.
    pub names: Names,
}

/// The sampled requests of a run.
#[derive(Clone, Debug)]
pub struct RunTraces {
    /// The run.
    pub run: u32,
    /// Its traces.
    pub traces: Traces,
}

/// The names of a model that spans need.
#[derive(Clone, Debug)]
pub struct Names {
    /// Client populations.
    pub clients: Vec<ClientNames>,
    /// Services, databases and externals.
    pub groups: Vec<GroupNames>,
    /// Endpoints.
    pub endpoints: Vec<String>,
    /// Of each route the group that is called and the endpoint there.
    pub routes: Vec<(u32, u32)>,
    /// What each layer is.
    pub layers: Vec<&'static str>,
    /// Balancers.
    pub balancers: Vec<String>,
    /// Message queues.
    pub queues: Vec<String>,
    /// Locks.
    pub locks: Vec<String>,
    /// Versions of services.
    pub versions: Vec<String>,
}

/// The names of a client population.
#[derive(Clone, Debug)]
pub struct ClientNames {
    /// Its own.
    pub name: String,
    /// Its requests.
    pub requests: Vec<String>,
    /// Its tenants.
    pub tenants: Vec<String>,
}

/// The names of a group of instances.
#[derive(Clone, Debug)]
pub struct GroupNames {
    /// Its own.
    pub name: String,
    /// `service`, `database` or `external`.
    pub kind: &'static str,
    /// The number of its first instance.
    pub first: u32,
}

impl Names {
    fn of(model: &Model) -> Self {
        let clients = model.clients.iter().map(|client| ClientNames {
            name: client.name.clone(),
            requests: client.requests.clone(),
            tenants: client.tenants.clone(),
        });
        let groups = model.groups.iter().map(|group| GroupNames {
            name: group.name.clone(),
            kind: match group.kind {
                GroupKind::Service => "service",
                GroupKind::Database => "database",
                GroupKind::External => "external",
            },
            first: group.first,
        });
        let callee = |callee: Callee| match callee {
            Callee::Balancer(balancer) => model.balancers[balancer as usize].group,
            Callee::Group(group) => group,
        };
        Self {
            clients: clients.collect(),
            groups: groups.collect(),
            endpoints: model.endpoints.iter().map(|e| e.name.clone()).collect(),
            routes: model.routes.iter().map(|r| (callee(r.callee), r.endpoint)).collect(),
            layers: model.layers.iter().map(|l| layer_name(&l.kind)).collect(),
            balancers: model.balancers.iter().map(|b| b.name.clone()).collect(),
            queues: model.queues.iter().map(|q| q.name.clone()).collect(),
            locks: model.locks.iter().map(|l| l.name.clone()).collect(),
            versions: model.versions.iter().map(|v| v.name.clone()).collect(),
        }
    }

    /// The group of an instance, and its number there.
    pub fn place(&self, instance: u32) -> Option<(&GroupNames, u32)> {
        let group = self.groups.iter().rfind(|group| group.first <= instance)?;
        Some((group, instance - group.first))
    }
}

fn layer_name(kind: &LayerKind) -> &'static str {
    match kind {
        LayerKind::Fallback { .. } => "fallback",
        LayerKind::Retry { .. } => "retry",
        LayerKind::Breaker(_) => "breaker",
        LayerKind::Bulkhead { .. } => "bulkhead",
        LayerKind::Timeout { .. } => "timeout",
        LayerKind::Patience(_) => "patience",
        LayerKind::Pool { .. } => "pool",
        LayerKind::Network { .. } => "network",
        LayerKind::RateLimit { .. } => "rate limit",
        LayerKind::Hedge { .. } => "hedge",
        LayerKind::Cache { .. } => "cache",
        LayerKind::ConcurrencyLimit { .. } => "concurrency limit",
        LayerKind::Throttle { .. } => "throttle",
        LayerKind::Connect(_) => "connect",
        LayerKind::Deadline { .. } => "deadline",
    }
}

/// The traces of a variant so far.
#[derive(Debug, Default)]
pub(super) struct Kept {
    runs: Vec<RunTraces>,
    spans: usize,
    /// The first run whose traces were left out.
    ends: Option<u32>,
    sampled: u64,
    left_out: u64,
    cut: u64,
}

impl Kept {
    /// Adds the traces of the next run.
    pub fn add(&mut self, run: u32, traces: Traces) {
        self.spans += traces.spans.len();
        self.sampled += traces.sampled;
        self.left_out += traces.left_out;
        self.cut += traces.cut;
        if self.ends.is_none() && self.spans > VARIANT_SPANS_MAX {
            self.ends = Some(run);
        }
        if self.ends.is_none() {
            self.runs.push(RunTraces { run, traces });
        }
    }

    /// What was left out, in words.
    pub fn warnings(&self, name: &str) -> Vec<String> {
        let requests = (self.left_out > 0).then(|| {
            format!(
                "{name}: {} of {} sampled requests left no trace: a run keeps {TRACE_SPANS_MAX} spans at most",
                self.left_out, self.sampled
            )
        });
        let spans = (self.cut > 0).then(|| {
            format!("{name}: {} spans are missing in traces: a run keeps {TRACE_SPANS_MAX} at most", self.cut)
        });
        let runs = self.ends.map(|first| {
            format!(
                "{name}: there are no traces from run {first} on: {VARIANT_SPANS_MAX} spans are kept at most"
            )
        });
        requests.into_iter().chain(spans).chain(runs).collect()
    }

    /// All of them with names; `None` if nothing was to be traced.
    pub fn book(self, variant: &VariantPlan, share: f64) -> Option<TraceBook> {
        (share > 0.0).then(|| TraceBook { share, runs: self.runs, names: Names::of(&variant.model) })
    }
}
