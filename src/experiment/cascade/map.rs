//! What can fall in a variant, and how its parts hang together.

use super::Sign;
use crate::base::SimTime;
use crate::experiment::plan::VariantPlan;
use crate::metrics::Source;
use crate::model::catalog::Metric;
use crate::model::{Callee, Caller, GroupKind, LayerKind, Model, Step};
use std::ops::Range;

/// What can fall, what carries, and what strikes.
#[derive(Clone, Debug, Default)]
pub struct Map {
    /// Components: clients, balancers, services, databases, externals, queues.
    pub components: Vec<Component>,
    /// How they hang together.
    pub links: Vec<Link>,
    /// What strikes: the faults in their order; without any, the first change of settings.
    pub triggers: Vec<Trigger>,
}

/// A component that can fall.
#[derive(Clone, Debug, Default)]
pub struct Component {
    /// Its path, such as `services.api`.
    pub path: String,
    /// How many calls away from those who use nothing else it is.
    pub depth: u32,
    /// The column of what is asked of it, per second.
    pub asked: Option<usize>,
    /// Its instances, if it has any.
    pub instances: Range<u32>,
    /// By what it shows that it has fallen.
    pub(super) seen: Vec<Seen>,
}

/// Two components of which one needs the other.
#[derive(Clone, Debug)]
pub struct Link {
    /// Who calls.
    pub from: usize,
    /// What is called.
    pub to: usize,
    /// What it is called, such as `services.api.calls.db`.
    pub path: String,
    /// Whether these are health checks.
    pub is_checks: bool,
    /// The columns of calls begun, ended, and ended well, per second.
    pub calls: Option<(usize, usize, usize)>,
    /// The column of the load that it carries, per second.
    pub load: Option<usize>,
}

/// What strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// The fault's name; `settings` for a change of settings.
    pub name: String,
    /// What it is, for people.
    pub text: String,
    /// The components that it strikes; none if it strikes something else.
    pub targets: Vec<usize>,
    /// What it strikes, as written.
    pub target: String,
    /// When it strikes, if that is no fault's.
    pub at: Option<SimTime>,
}

/// How a component shows that it has fallen; the numbers are columns of the series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Seen {
    /// More of those that ended failed.
    Errors { ended: usize, good: usize },
    /// A level has risen.
    Rises { column: usize, sign: Sign },
    /// A mean time has grown.
    Slower { column: usize },
    /// Nothing is left of something.
    Full { column: usize, sign: Sign },
    /// There are fewer.
    Fewer { column: usize, sign: Sign },
    /// A pool on one of its edges has nothing left.
    Pool { in_use: usize, size: usize, waiting: usize, link: usize },
}

/// Makes the map of a variant and has recorded what it needs. `settings` is the first change of settings, with its
/// path.
pub fn record(variant: &mut VariantPlan, settings: Option<(SimTime, &str)>) -> Map {
    if variant.faults.is_empty() && settings.is_none() {
        return Map::default();
    }
    let VariantPlan { model, recorded, faults, .. } = variant;
    let metrics = model.catalog.metrics.clone();
    let mut column = |source: Source| {
        // Only what is a metric: with a series, the columns are all metrics and nothing else.
        metrics.iter().any(|m: &Metric| m.source == source).then(|| recorded.column(source))
    };
    let mut map = Map::default();
    components(model, &mut map, &mut column);
    links(model, &mut map, &mut column);
    depths(&mut map);
    for fault in faults.iter() {
        let targets = targets(&map, &fault.target);
        let (name, text, target) = (fault.name.clone(), fault.kind.to_string(), fault.target.clone());
        map.triggers.push(Trigger { name, text, targets, target, at: None });
    }
    if let (true, Some((at, path))) = (faults.is_empty(), settings) {
        let target = path.split('.').take(2).collect::<Vec<_>>().join(".");
        let targets = map.components.iter().position(|c| c.path == target).into_iter().collect();
        let text = format!("Set of {path}");
        map.triggers.push(Trigger { name: "settings".into(), text, targets, target, at: Some(at) });
    }
    map
}

/// The components that a fault's target names: its own name or path.
fn targets(map: &Map, target: &str) -> Vec<usize> {
    let is = |c: &Component| c.path == target || c.path.split_once('.').is_some_and(|(_, n)| n == target);
    // Queues and components that are called are told apart by the checks.
    map.components.iter().position(is).into_iter().collect()
}

fn red(column: Find<'_>, red: u32) -> Option<(usize, usize, usize)> {
    Some((column(Source::Rate(red))?, column(Source::Throughput(red))?, column(Source::Goodput(red))?))
}

type Find<'f> = &'f mut dyn FnMut(Source) -> Option<usize>;

/// A component with what all have: requests, and those in flight.
fn component(path: String, meters: u32, level: u32, column: Find<'_>) -> Component {
    let mut component = Component { path, ..Component::default() };
    if let Some((begun, ended, good)) = red(column, meters) {
        component.asked = Some(begun);
        component.seen.push(Seen::Errors { ended, good });
    }
    let held = column(Source::Level(level, 1.0));
    component.seen.extend(held.map(|column| Seen::Rises { column, sign: Sign::Held }));
    component.seen.extend(column(Source::TimerMean(meters)).map(|column| Seen::Slower { column }));
    component
}

fn components(model: &Model, map: &mut Map, column: Find<'_>) {
    let catalog = &model.catalog;
    for (client, meters) in model.clients.iter().zip(&catalog.clients) {
        let made = component(format!("clients.{}", client.name), meters.red, meters.in_flight, column);
        map.components.push(made);
    }
    for (balancer, meters) in model.balancers.iter().zip(&catalog.balancers) {
        let mut made =
            component(format!("balancers.{}", balancer.name), meters.red, meters.in_flight, column);
        let healthy = column(Source::Level(meters.healthy, 1.0));
        made.seen.extend(healthy.map(|column| Seen::Fewer { column, sign: Sign::Health }));
        map.components.push(made);
    }
    for (group, meters) in model.groups.iter().zip(&catalog.groups) {
        let family = match group.kind {
            GroupKind::Service => "services",
            GroupKind::Database => "databases",
            GroupKind::External => "externals",
        };
        let mut made = component(format!("{family}.{}", group.name), meters.red, meters.in_flight, column);
        made.instances = group.first..group.first + group.capacity;
        if let Some(column) = column(Source::Level(meters.queue, 1.0)) {
            made.seen.push(Seen::Rises { column, sign: Sign::Waiting });
        }
        for (used, there, sign) in
            [(meters.busy, meters.workers, Sign::Workers), (meters.cpu, meters.cores, Sign::Cpu)]
        {
            let column = column(Source::LevelRatio(used, there));
            made.seen.extend(column.map(|column| Seen::Full { column, sign }));
        }
        let up = column(Source::Level(meters.up, 1.0));
        made.seen.extend(up.map(|column| Seen::Fewer { column, sign: Sign::Up }));
        map.components.push(made);
    }
    for (queue, meters) in model.queues.iter().zip(&catalog.queues) {
        let mut made = Component { path: format!("queues.{}", queue.name), ..Component::default() };
        made.asked = column(Source::CounterRate(meters.counters));
        let lag = column(Source::Level(meters.lag, 1.0));
        made.seen.extend(lag.map(|column| Seen::Rises { column, sign: Sign::Backlog }));
        map.components.push(made);
    }
}

fn links(model: &Model, map: &mut Map, column: Find<'_>) {
    let groups = model.clients.len() + model.balancers.len();
    let queues = groups + model.groups.len();
    let catalog = &model.catalog;
    for (edge, meters) in model.edges.iter().zip(&catalog.edges) {
        let from = match edge.caller {
            Caller::Client(c) => c as usize,
            Caller::Group(g) => groups + g as usize,
        };
        let to = match edge.callee {
            Callee::Balancer(b) => model.clients.len() + b as usize,
            Callee::Group(g) => groups + g as usize,
        };
        let rate = Source::Rate(meters.red);
        let path = catalog.metrics.iter().find(|m| m.source == rate).map(|m| m.path.as_str());
        let path = path.and_then(|p| p.strip_suffix(".rate")).unwrap_or_default().to_string();
        let calls = red(column, meters.red);
        let load = column(Source::CounterRate(meters.attempts));
        map.links.push(Link { from, to, path, is_checks: false, calls, load });
    }
    for (index, (balancer, meters)) in model.balancers.iter().zip(&catalog.balancers).enumerate() {
        let (from, to) = (model.clients.len() + index, groups + balancer.group as usize);
        let target = map.components[to].path.clone();
        let load = column(Source::Rate(catalog.groups[balancer.group as usize].red));
        let calls = red(column, meters.red);
        let path = format!("balancers.{} to {target}", balancer.name);
        map.links.push(Link { from, to, path, is_checks: false, calls, load });
        let path = format!("{target} health checks");
        map.links.push(Link {
            from,
            to,
            path,
            is_checks: true,
            calls: red(column, meters.checks),
            load: None,
        });
    }
    for (index, group) in model.groups.iter().enumerate() {
        let Some(primary) = group.replicates else { continue };
        let (from, to) = (groups + index, groups + primary as usize);
        let path = format!("{} replication", map.components[from].path);
        map.links.push(Link { from, to, path, is_checks: false, calls: None, load: None });
    }
    for (index, queue) in model.queues.iter().enumerate() {
        let Some(consumer) = queue.consumer else { continue };
        let counters = catalog.queues[index].counters;
        let (from, to) = (queues + index, groups + consumer as usize);
        let path = format!("queues.{} consumers", queue.name);
        let load = column(Source::CounterRate(counters + 1));
        map.links.push(Link { from, to, path, is_checks: false, calls: None, load });
    }
    publishers(model, (groups, queues), map);
    pools(model, map, column);
}

/// Who publishes falls with the queue that it publishes to.
fn publishers(model: &Model, (groups, queues): (usize, usize), map: &mut Map) {
    for epoch in &model.epochs {
        for (first, endpoint) in epoch.programs.iter().zip(&model.endpoints) {
            for queue in published(model, *first) {
                let (from, to) = (groups + endpoint.group as usize, queues + queue as usize);
                if map.links.iter().any(|l| l.from == from && l.to == to) {
                    continue;
                }
                let path = format!("{} publishes to {}", map.components[from].path, map.components[to].path);
                map.links.push(Link { from, to, path, is_checks: false, calls: None, load: None });
            }
        }
    }
}

/// The queues that a program publishes to.
fn published(model: &Model, first: u32) -> Vec<u32> {
    let (mut open, mut seen, mut queues) = (vec![first], Vec::new(), Vec::new());
    while let Some(at) = open.pop() {
        if seen.contains(&at) {
            continue;
        }
        seen.push(at);
        match &model.steps[at as usize] {
            Step::End => {}
            Step::Jump(to) => open.push(*to),
            Step::Choose { ways, .. } => {
                open.extend(model.ways[ways.start as usize..ways.end as usize].iter().map(|w| w.1));
            }
            step => {
                open.push(at + 1);
                match step {
                    Step::Publish { queue, .. } => queues.push(*queue),
                    Step::Parallel { branches, .. } => {
                        open.extend(&model.branches[branches.start as usize..branches.end as usize]);
                    }
                    Step::Repeat { body, .. }
                    | Step::Optional { body, .. }
                    | Step::While { body, .. }
                    | Step::Lock { body, .. } => open.push(*body),
                    _ => {}
                }
            }
        }
    }
    queues
}

/// Pools show at who waits for their connections.
fn pools(model: &Model, map: &mut Map, column: Find<'_>) {
    let mut seen: Vec<u32> = Vec::new();
    for slot in model.epochs.iter().flat_map(|e| &e.slots) {
        let LayerKind::Pool { .. } = &model.layers[slot.layer as usize].kind else { continue };
        if seen.contains(&slot.meters) {
            continue;
        }
        seen.push(slot.meters);
        let gauge = model.catalog.layers[slot.meters as usize].gauge;
        let level = |number: u32| Source::Level(gauge + number, 1.0);
        let waits = level(2);
        let path = model.catalog.metrics.iter().find(|m| m.source == waits).map(|m| m.path.as_str());
        let Some(path) = path.and_then(|p| p.strip_suffix(".waiting")) else { continue };
        let (Some(size), Some(in_use), Some(waiting)) = (column(level(0)), column(level(1)), column(waits))
        else {
            continue;
        };
        let edge = &map.links[slot.edge as usize];
        let (from, to) = (edge.from, edge.to);
        let link = map.links.len();
        let path = path.to_string();
        map.links.push(Link { from, to, path, is_checks: false, calls: None, load: None });
        map.components[from].seen.push(Seen::Pool { in_use, size, waiting, link });
    }
}

/// How deep each component lies: the longest way down from it, without going round in circles.
fn depths(map: &mut Map) {
    for _ in 0..map.components.len() {
        let mut is_settled = true;
        for link in &map.links {
            let below = map.components[link.to].depth + 1;
            if map.components[link.from].depth < below && (below as usize) < map.components.len() {
                map.components[link.from].depth = below;
                is_settled = false;
            }
        }
        if is_settled {
            break;
        }
    }
}
