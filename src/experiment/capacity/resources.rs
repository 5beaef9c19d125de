//! What can run out: CPUs, workers, queues, memory, connections, pools, bulkheads.

use crate::metrics::{Meters, Source};
use crate::model::{Callee, Caller, GroupKind, LayerKind, Model};

/// Something that there is only so much of.
#[derive(Clone, Debug)]
pub struct Resource {
    /// What people call it, such as "CPU of `services.api`".
    pub name: String,
    /// How its usage is measured.
    usage: Usage,
    /// The timer of waiting for it, if there is one.
    wait: Option<u32>,
    /// The settings that say how much of it there is.
    pub settings: Vec<String>,
    /// The service each of whose instances has its own.
    pub service: Option<String>,
}

/// How the used share of a resource is measured.
#[derive(Clone, Copy, Debug)]
enum Usage {
    /// The level of one gauge over that of another, times a factor.
    Ratio(u32, u32, f64),
    /// The level of a gauge, times a factor.
    Level(u32, f64),
}

impl Resource {
    /// The mean share in use, from 0 to 1.
    pub fn usage(&self, meters: &Meters) -> Option<f64> {
        match self.usage {
            Usage::Ratio(a, b, factor) => meters.value(Source::LevelRatio(a, b)).map(|share| share * factor),
            Usage::Level(gauge, factor) => meters.value(Source::Level(gauge, factor)),
        }
    }

    /// The mean wait for it, in seconds.
    pub fn wait(&self, meters: &Meters) -> Option<f64> {
        self.wait.and_then(|timer| meters.value(Source::TimerMean(timer)))
    }

    /// The resource without a wait that is measured, and without anything that scales it.
    fn new(name: String, usage: Usage) -> Self {
        Self { name, usage, wait: None, settings: Vec::new(), service: None }
    }

    fn scaled_by(mut self, settings: &[String]) -> Self {
        self.settings = settings.to_vec();
        self
    }

    fn of_each(mut self, service: &str) -> Self {
        self.settings.push(format!("services.{service}.replicas"));
        self.service = Some(service.to_string());
        self
    }
}

/// All resources of a model with the settings at its start: groups first, then what stands in the ways between them.
pub fn all(model: &Model) -> Vec<Resource> {
    let mut found = Vec::new();
    for group in 0..model.groups.len() {
        match model.groups[group].kind {
            GroupKind::Service => service(model, group, &mut found),
            GroupKind::Database => database(model, group, &mut found),
            GroupKind::External => external(model, group, &mut found),
        }
    }
    layers(model, &mut found);
    found
}

fn service(model: &Model, group: usize, found: &mut Vec<Resource>) {
    let (name, meters) = (&model.groups[group].name, &model.catalog.groups[group]);
    let settings = &model.epochs[0].groups[group];
    let path = format!("services.{name}");
    if settings.cores.is_some() {
        let usage = Usage::Ratio(meters.cpu, meters.cores, 1.0);
        let cpu = Resource::new(format!("CPU of `{path}`"), usage);
        found.push(cpu.scaled_by(&[format!("{path}.cpu.cores")]).of_each(name));
    }
    if settings.workers.is_some() {
        let usage = Usage::Ratio(meters.busy, meters.workers, 1.0);
        let workers = Resource::new(format!("workers of `{path}`"), usage);
        let workers = Resource { wait: Some(meters.wait), ..workers };
        found.push(workers.scaled_by(&[format!("{path}.workers")]).of_each(name));
    }
    if let Some(room) = settings.queue.capacity.filter(|room| *room > 0) {
        let usage = Usage::Ratio(meters.queue, meters.up, 1.0 / f64::from(room));
        let queue = Resource::new(format!("queue of `{path}`"), usage);
        found.push(queue.scaled_by(&[format!("{path}.queue.capacity")]).of_each(name));
    }
    if let Some(memory) = settings.memory {
        let usage = Usage::Ratio(meters.memory, meters.up, 1.0 / memory.limit as f64);
        found.push(Resource::new(format!("memory of `{path}`"), usage).of_each(name));
    }
}

fn database(model: &Model, group: usize, found: &mut Vec<Resource>) {
    let (name, meters) = (&model.groups[group].name, &model.catalog.groups[group]);
    let settings = &model.epochs[0].groups[group];
    let path = format!("databases.{name}");
    let cpu = Resource::new(format!("CPU of `{path}`"), Usage::Ratio(meters.cpu, meters.cores, 1.0));
    found.push(cpu.scaled_by(&[format!("{path}.cores")]));
    if let Some(most) = settings.connections_max.filter(|most| *most > 0) {
        let usage = Usage::Level(meters.connections, 1.0 / f64::from(most));
        let connections = Resource::new(format!("connections of `{path}`"), usage);
        found.push(connections.scaled_by(&[format!("{path}.max_connections")]));
    }
    pooler(model, group, found);
}

/// The server connections of the proxy in front of a database.
fn pooler(model: &Model, group: usize, found: &mut Vec<Resource>) {
    for slot in model.epochs[0].slots.iter().filter(|slot| slot.callee_group as usize == group) {
        let kind = &model.layers[slot.layer as usize].kind;
        let (LayerKind::Pool { sessions: Some(_), .. }, Some((setting, most))) = (kind, kind.pool_limit())
        else {
            continue;
        };
        let path = format!("databases.{}.pooler", model.groups[group].name);
        let setting = format!("{path}.{setting}");
        let meters = &model.catalog.layers[slot.meters as usize];
        let usage = Usage::Level(meters.gauge + 1, 1.0 / f64::from(most));
        let resource = Resource::new(format!("server connections of `{path}`"), usage);
        return found.push(Resource { wait: Some(meters.wait), ..resource }.scaled_by(&[setting]));
    }
}

fn external(model: &Model, group: usize, found: &mut Vec<Resource>) {
    let (name, meters) = (&model.groups[group].name, &model.catalog.groups[group]);
    if let Some(most) = model.epochs[0].groups[group].in_flight_max {
        let usage = Usage::Level(meters.in_flight, 1.0 / f64::from(most));
        let limit = Resource::new(format!("requests in flight at `externals.{name}`"), usage);
        found.push(limit.scaled_by(&[format!("externals.{name}.max_in_flight")]));
    }
}

/// Pools and bulkheads of every edge.
fn layers(model: &Model, found: &mut Vec<Resource>) {
    for slot in &model.epochs[0].slots {
        let (layer, edge) = (&model.layers[slot.layer as usize], &model.edges[slot.edge as usize]);
        let meters = &model.catalog.layers[slot.meters as usize];
        // The gauges of a pool: its size, those lent, those who wait; of a bulkhead: those in progress, those who wait.
        let (kind, field, most, gauge, wait) = match &layer.kind {
            // That of a proxy is one for all callers of a database: it is found with the database.
            LayerKind::Pool { sessions: None, .. } => {
                let Some((field, most)) = layer.kind.pool_limit() else { continue };
                ("pool", field, most, meters.gauge + 1, Some(meters.wait))
            }
            LayerKind::Bulkhead { .. } => {
                let Some((kind, field, most)) = layer.kind.room() else { continue };
                (kind, field, most, meters.gauge, None)
            }
            _ => continue,
        };
        if most == 0 {
            continue;
        }
        let caller = model.caller_name(edge.caller);
        let callee = match edge.callee {
            Callee::Balancer(balancer) => &model.balancers[balancer as usize].name,
            Callee::Group(group) => &model.groups[group as usize].name,
        };
        let each = 1.0 / f64::from(most);
        let setting = [format!("policies.{}.{field}", edge.policy)];
        let resource = |usage| {
            let resource = Resource::new(format!("{kind} from `{caller}` to `{callee}`"), usage);
            Resource { wait, ..resource }.scaled_by(&setting)
        };
        found.push(match edge.caller {
            Caller::Group(group) if !layer.shared => {
                let up = model.catalog.groups[group as usize].up;
                resource(Usage::Ratio(gauge, up, each)).of_each(caller)
            }
            _ => resource(Usage::Level(gauge, each)),
        });
    }
}
