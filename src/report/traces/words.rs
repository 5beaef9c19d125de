//! What spans are called, whose they are, and what there is to know of them.

use crate::experiment::traces::{Names, TraceBook};
use crate::metrics::trace::{Note, Noted, Traces, Wait, What};
use std::borrow::Cow;

/// A span with names.
#[derive(Clone, Debug)]
pub struct Named<'a> {
    /// What it is called; many spans have the same name.
    pub name: Cow<'a, str>,
    /// The instance, if it is the span of one.
    pub instance: Cow<'a, str>,
    /// The client population, service, database or external that it belongs to.
    pub service: &'a str,
    /// Whose side of a call it is.
    pub role: Role,
    /// What there is to know of it.
    pub attributes: Vec<(&'static str, Value<'a>)>,
}

/// Whose side of a call a span is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Neither.
    Internal,
    /// The one that is called.
    Server,
    /// The one that calls.
    Client,
}

/// The value of an attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A whole number.
    Number(u64),
    /// It holds.
    Yes,
}

impl<'a> Value<'a> {
    fn text(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

/// A span with names.
pub fn named<'a>(book: &'a TraceBook, traces: &Traces, number: u32) -> Named<'a> {
    let names = &book.names;
    let what = traces.spans[number as usize].what;
    let mut instance_of = Cow::Borrowed("");
    let (name, role, attributes) = match what {
        What::Request { client, request, tenant, .. } => {
            let client = &names.clients[client as usize];
            let name = name_of(&client.requests, request);
            let mut attributes =
                vec![("brownout.client", Value::text(&client.name)), ("brownout.request", Value::text(name))];
            if let Some(tenant) = client.tenants.get(tenant as usize) {
                attributes.push(("brownout.tenant", Value::text(tenant)));
            }
            (name.into(), Role::Client, attributes)
        }
        What::Exec { instance, endpoint, balancer, version } => {
            let endpoint = name_of(&names.endpoints, endpoint);
            let mut attributes = Vec::with_capacity(6);
            if let Some((group, place)) = names.place(instance) {
                let id = instance_name(group.kind, &group.name, place);
                attributes.push(("brownout.kind", Value::text(group.kind)));
                attributes.push(("service.instance.id", Value::Text(id.clone())));
                instance_of = id;
                attributes.push(("brownout.instance", Value::Number(u64::from(place))));
            }
            if let Some(version) = names.versions.get(usize::from(version)) {
                attributes.push(("service.version", Value::text(version)));
            }
            if let Some(balancer) = names.balancers.get(balancer as usize) {
                attributes.push(("brownout.balancer", Value::text(balancer)));
            }
            (endpoint.into(), Role::Server, attributes)
        }
        What::Call { route } => {
            let (group, endpoint) = names.routes[route as usize];
            let group = &names.groups[group as usize].name;
            let name = format!("call {group}/{}", name_of(&names.endpoints, endpoint));
            (name.into(), Role::Client, vec![("peer.service", Value::text(group))])
        }
        What::Attempt { layer, number } => {
            let kind = name_of_layer(names, layer);
            let attributes = vec![
                ("brownout.layer", Value::text(kind)),
                ("brownout.attempt", Value::Number(u64::from(number))),
            ];
            (format!("attempt {number}").into(), Role::Internal, attributes)
        }
        What::Work { work_ns } => {
            ("work on the CPU".into(), Role::Internal, vec![("brownout.cpu.work_ns", Value::Number(work_ns))])
        }
        What::Wait(waits) => {
            let name = wait(names, waits);
            (name.clone(), Role::Internal, vec![("brownout.wait", Value::Text(name))])
        }
        What::Fallback { .. } => ("fallback".into(), Role::Internal, Vec::new()),
        What::Pause => (pause(names, traces, number), Role::Internal, Vec::new()),
        What::Io => ("disk".into(), Role::Internal, Vec::new()),
        What::Publish { queue } => {
            (format!("publish to {}", name_of(&names.queues, queue)).into(), Role::Internal, Vec::new())
        }
        What::Parallel => ("in parallel".into(), Role::Internal, Vec::new()),
        What::Branch { number } => (format!("branch {number}").into(), Role::Internal, Vec::new()),
        What::Repeat => ("repeat".into(), Role::Internal, Vec::new()),
        What::Round { number } => (format!("round {number}").into(), Role::Internal, Vec::new()),
        What::Optional => ("optional".into(), Role::Internal, Vec::new()),
        What::Lock { lock } => {
            (format!("under lock {}", name_of(&names.locks, lock)).into(), Role::Internal, Vec::new())
        }
    };
    Named { name, instance: instance_of, service: service(names, traces, number), role, attributes }
}

/// The program whose span it is, or is in: the name of its group, or of the client population.
pub fn service<'a>(names: &'a Names, traces: &Traces, number: u32) -> &'a str {
    let mut number = number;
    while let Some(span) = traces.spans.get(number as usize) {
        match span.what {
            What::Request { client, .. } => return &names.clients[client as usize].name,
            What::Exec { instance, .. } => {
                return names.place(instance).map_or("", |(group, _)| &group.name);
            }
            _ => number = span.parent,
        }
    }
    ""
}

/// What is waited for.
pub fn wait(names: &Names, waits: Wait) -> Cow<'_, str> {
    match waits {
        Wait::Layer(layer) => match name_of_layer(names, layer) {
            "pool" => "wait for a connection".into(),
            "network" => "on the network".into(),
            "connect" => "connect".into(),
            "cache" => "cache".into(),
            kind => format!("wait at the {kind}").into(),
        },
        Wait::Backoff(_) => "wait before the next attempt".into(),
        Wait::Queue => "wait for a worker".into(),
        Wait::ColdStart => "cold start".into(),
        Wait::Connection => "open a connection".into(),
        Wait::Fault => "latency of a fault".into(),
        Wait::Balancer(balancer) => format!("wait in {}", name_of(&names.balancers, balancer)).into(),
        Wait::Lock(lock) => format!("wait for lock {}", name_of(&names.locks, lock)).into(),
        Wait::Network => "on the network".into(),
    }
}

/// What happened at a moment.
pub fn note(names: &Names, note: &Note) -> String {
    let layer = name_of_layer(names, note.layer);
    match note.what {
        Noted::Rejected => format!("rejected by the {layer}"),
        Noted::Answered => format!("answered by the {layer}"),
        Noted::Failed if layer == "pool" => "the pool got no connection".into(),
        Noted::Failed => format!("failed at the {layer}"),
        Noted::GaveUp => format!("stopped waiting: {layer}"),
    }
}

/// A step that takes time without the CPU: of an external, its answer.
fn pause(names: &Names, traces: &Traces, number: u32) -> Cow<'static, str> {
    let mut number = number;
    while let Some(span) = traces.spans.get(number as usize) {
        if let What::Exec { instance, .. } = span.what {
            let is_external = names.place(instance).is_some_and(|(group, _)| group.kind == "external");
            return if is_external { "external latency" } else { "wait step" }.into();
        }
        number = span.parent;
    }
    "wait step".into()
}

fn instance_name<'a>(kind: &str, group: &'a str, place: u32) -> Cow<'a, str> {
    if kind == "service" || place > 0 { format!("{group}.{place}").into() } else { group.into() }
}

fn name_of(names: &[String], number: u32) -> &str {
    names.get(number as usize).map_or("", String::as_str)
}

fn name_of_layer(names: &Names, layer: u32) -> &'static str {
    names.layers.get(layer as usize).copied().unwrap_or("layer")
}
