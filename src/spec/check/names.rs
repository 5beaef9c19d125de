//! Names: legal, unique, and each reference to one that exists.

use super::{balancers, each_call};
use crate::spec::decode::{Context, Map};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::policy::{FallbackOption, Layer};
use crate::spec::site::ways;
use crate::spec::source::{Span, Spanned};
use crate::spec::topology::Topology;
use std::collections::BTreeMap;

/// A component that can be called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Component {
    /// A balancer, by its position in order of name.
    Balancer(usize),
    /// A service.
    Service(usize),
    /// A database.
    Database(usize),
    /// An external dependency.
    External(usize),
}

/// What `component/endpoint` means.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Target {
    /// The component that is called.
    pub component: Component,
    /// The endpoint.
    pub endpoint: String,
}

/// Finds what `component/endpoint` means.
pub fn resolve(topology: &Topology, call: &Spanned<String>) -> Result<Target, Diagnostic> {
    let Some((name, endpoint)) = call.value.split_once('/') else {
        return Err(Diagnostic::error(call.span, format!("`{}` names no endpoint", call.value))
            .help("write `component/endpoint`, such as \"api/login\""));
    };
    let component = find(topology, name).ok_or_else(|| {
        Diagnostic::error(call.span, format!("there is no component `{name}`"))
            .label("not a balancer, service, database or external")
            .nearest(name, components(topology).map(|(n, _)| n))
    })?;
    let target = Target { component, endpoint: endpoint.to_string() };
    let endpoints = endpoint_names(topology, component);
    match endpoints {
        Some(names) if !names.contains(&endpoint) => {
            Err(Diagnostic::error(call.span, format!("`{name}` has no endpoint `{endpoint}`"))
                .nearest(endpoint, names))
        }
        _ if endpoint.is_empty() => {
            Err(Diagnostic::error(call.span, format!("`{}` names no endpoint", call.value)))
        }
        _ => Ok(target),
    }
}

/// All components that can be called, by name.
fn components(topology: &Topology) -> impl Iterator<Item = (&str, Component)> {
    let balancers = topology.balancers.names().enumerate().map(|(i, n)| (n, Component::Balancer(i)));
    let services = topology.services.names().enumerate().map(|(i, n)| (n, Component::Service(i)));
    let databases = topology.databases.names().enumerate().map(|(i, n)| (n, Component::Database(i)));
    let externals = topology.externals.names().enumerate().map(|(i, n)| (n, Component::External(i)));
    balancers.chain(services).chain(databases).chain(externals)
}

/// The component called `name`.
pub fn find(topology: &Topology, name: &str) -> Option<Component> {
    let Topology { balancers, services, databases, externals, .. } = topology;
    let balancer = || balancers.position(name).map(Component::Balancer);
    let service = || services.position(name).map(Component::Service);
    let database = || databases.position(name).map(Component::Database);
    let external = || externals.position(name).map(Component::External);
    balancer().or_else(service).or_else(database).or_else(external)
}

/// The endpoints of a component; `None` where any name will do.
fn endpoint_names(topology: &Topology, component: Component) -> Option<Vec<&str>> {
    match component {
        Component::Balancer(i) => {
            let (_, balancer) = topology.balancers.at(i)?;
            let service = topology.services.get(&balancer.targets.value)?;
            Some(service.endpoints.names().collect())
        }
        Component::Service(i) => Some(topology.services.at(i)?.1.endpoints.names().collect()),
        Component::Database(i) => Some(topology.databases.at(i)?.1.queries.names().collect()),
        Component::External(_) => None,
    }
}

pub(super) fn check(topology: &Topology, cx: &mut Context) {
    legal(topology, cx);
    unique(topology, cx);
    for (_, balancer) in topology.balancers.iter() {
        known_service(topology, &balancer.targets, cx);
        let service = topology.services.get(&balancer.targets.value);
        let asked = balancer.health_check.as_ref().map(|check| &check.endpoint);
        for endpoint in asked.into_iter().chain(balancers::checked_endpoint(balancer)) {
            let Some(service) = service else { continue };
            if service.endpoints.get(&endpoint.value).is_none() {
                let message = format!("`{}` has no endpoint `{}`", balancer.targets.value, endpoint.value);
                cx.diagnostics.push(
                    Diagnostic::error(endpoint.span, message)
                        .nearest(&endpoint.value, service.endpoints.names()),
                );
            }
        }
    }
    for (_, clients) in topology.clients.iter() {
        for (request, span, _) in clients.requests.spanned() {
            for way in ways(topology, &Spanned { value: request.to_string(), span }) {
                call(topology, &way, cx);
            }
        }
        through(topology, clients.through.as_ref(), cx);
    }
    for (_, service) in topology.services.iter() {
        for (_, steps) in service.endpoints.iter() {
            each_call(steps, &mut |c| {
                call(topology, &c.to, cx);
                through(topology, c.through.as_ref(), cx);
            });
        }
    }
    for (_, layers) in topology.policies.iter() {
        for layer in layers {
            let Layer::Fallback(fallback) = layer else { continue };
            for option in &fallback.options {
                if let FallbackOption::Call(c) = option {
                    call(topology, &c.to, cx);
                    through(topology, c.through.as_ref(), cx);
                }
            }
        }
    }
}

fn call(topology: &Topology, to: &Spanned<String>, cx: &mut Context) {
    if let Err(diagnostic) = resolve(topology, to) {
        cx.diagnostics.push(diagnostic);
    }
}

pub(super) fn known_service(topology: &Topology, name: &Spanned<String>, cx: &mut Context) {
    if topology.services.get(&name.value).is_none() {
        cx.diagnostics.push(
            Diagnostic::error(name.span, format!("there is no service `{}`", name.value))
                .nearest(&name.value, topology.services.names()),
        );
    }
}

fn through(topology: &Topology, policy: Option<&Spanned<String>>, cx: &mut Context) {
    if let Some(name) = policy
        && topology.policies.get(&name.value).is_none()
    {
        cx.diagnostics.push(
            Diagnostic::error(name.span, format!("there is no policy `{}`", name.value))
                .nearest(&name.value, topology.policies.names()),
        );
    }
}

fn legal(topology: &Topology, cx: &mut Context) {
    let mut names: Vec<(&str, Span)> = Vec::new();
    fn add<'t, T>(names: &mut Vec<(&'t str, Span)>, map: &'t Map<T>) {
        names.extend(map.spanned().map(|(name, span, _)| (name, span)));
    }
    add(&mut names, &topology.clients);
    add(&mut names, &topology.balancers);
    add(&mut names, &topology.services);
    add(&mut names, &topology.databases);
    add(&mut names, &topology.externals);
    add(&mut names, &topology.policies);
    add(&mut names, &topology.autoscalers);
    add(&mut names, &topology.queues);
    add(&mut names, &topology.sites);
    for (_, clients) in topology.clients.iter() {
        add(&mut names, &clients.tenants);
    }
    for (_, service) in topology.services.iter() {
        add(&mut names, &service.endpoints);
    }
    for (_, database) in topology.databases.iter() {
        add(&mut names, &database.queries);
    }
    for (name, span) in names {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(legal) {
            cx.diagnostics.push(
                Diagnostic::error(span, format!("`{name}` cannot be a name"))
                    .help("a name is made of letters, digits, `_` and `-`, as it becomes part of paths"),
            );
        }
    }
}

fn unique(topology: &Topology, cx: &mut Context) {
    let mut seen: BTreeMap<&str, (Span, &str)> = BTreeMap::new();
    let kinds: [(&str, Vec<(&str, Span)>); 4] = [
        ("a balancer", spans(&topology.balancers)),
        ("a service", spans(&topology.services)),
        ("a database", spans(&topology.databases)),
        ("an external", spans(&topology.externals)),
    ];
    for (kind, names) in &kinds {
        for (name, span) in names {
            match seen.get(name) {
                Some((first, other)) => cx.diagnostics.push(
                    Diagnostic::error(*span, format!("`{name}` is {kind} and {other}: calls could not tell"))
                        .context(*first, "the other is here")
                        .help("give one of them another name"),
                ),
                None => drop(seen.insert(name, (*span, kind))),
            }
        }
    }
}

fn spans<T>(map: &Map<T>) -> Vec<(&str, Span)> {
    map.spanned().map(|(name, span, _)| (name, span)).collect()
}
