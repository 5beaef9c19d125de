//! Calls must end: an endpoint may not call itself, however many others lie between.

use super::each_call;
use super::names::{Component, Target, resolve};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::policy::{FallbackOption, Layer};
use crate::spec::source::{Span, Spanned};
use crate::spec::topology::Topology;
use std::collections::BTreeMap;

/// An endpoint of a service: the only places from which calls start.
type Place = (usize, String);

pub(super) fn check(topology: &Topology, cx: &mut Context) {
    let mut calls: BTreeMap<Place, Vec<(Place, Span)>> = BTreeMap::new();
    for (index, (_, service)) in topology.services.iter().enumerate() {
        for (endpoint, steps) in service.endpoints.iter() {
            let from = calls.entry((index, endpoint.to_string())).or_default();
            each_call(steps, &mut |c| {
                from.extend(place(topology, &c.to).map(|p| (p, c.to.span)));
                let policy = c.through.as_ref().and_then(|p| topology.policies.get(&p.value));
                for (to, span) in policy.map(|l| fallback_calls(l)).unwrap_or_default() {
                    from.extend(place(topology, &Spanned { value: to, span }).map(|p| (p, span)));
                }
            });
        }
    }
    let mut state: BTreeMap<&Place, Mark> = BTreeMap::new();
    for start in calls.keys() {
        let mut trail = Vec::new();
        visit(topology, start, &calls, &mut state, &mut trail, cx);
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Open,
    Done,
}

/// Depth-first search; the depth is bounded by the number of endpoints, and a chain beyond `DEPTH_MAX` is refused.
fn visit<'c>(
    topology: &Topology,
    here: &'c Place,
    calls: &'c BTreeMap<Place, Vec<(Place, Span)>>,
    state: &mut BTreeMap<&'c Place, Mark>,
    trail: &mut Vec<&'c Place>,
    cx: &mut Context,
) {
    const DEPTH_MAX: usize = 256;
    if state.contains_key(here) {
        return;
    }
    state.insert(here, Mark::Open);
    trail.push(here);
    for (to, span) in calls.get(here).into_iter().flatten() {
        if trail.len() > DEPTH_MAX {
            cx.fail::<()>(*span, format!("calls are nested more than {DEPTH_MAX} deep"));
            break;
        }
        if state.get(to) == Some(&Mark::Open) {
            let from = trail.iter().position(|p| *p == to).unwrap_or(0);
            let mut names: Vec<String> = trail[from..].iter().map(|p| show(topology, p)).collect();
            names.push(show(topology, to));
            cx.diagnostics.push(
                Diagnostic::error(*span, format!("these calls never end: {}", names.join(" -> ")))
                    .label("this call closes the circle"),
            );
        } else {
            visit(topology, to, calls, state, trail, cx);
        }
    }
    trail.pop();
    state.insert(here, Mark::Done);
}

fn show(topology: &Topology, place: &Place) -> String {
    let name = topology.services.at(place.0).map_or("?", |(name, _)| name);
    format!("{name}/{}", place.1)
}

fn fallback_calls(layers: &[Layer]) -> Vec<(String, Span)> {
    let mut found = Vec::new();
    for layer in layers {
        let Layer::Fallback(fallback) = layer else { continue };
        for option in &fallback.options {
            if let FallbackOption::Call(c) = option {
                found.push((c.to.value.clone(), c.to.span));
            }
        }
    }
    found
}

fn place(topology: &Topology, call: &Spanned<String>) -> Option<Place> {
    let Target { component, endpoint } = resolve(topology, call).ok()?;
    match component {
        Component::Service(index) => Some((index, endpoint)),
        Component::Balancer(index) => {
            let (_, balancer) = topology.balancers.at(index)?;
            Some((topology.services.position(&balancer.targets.value)?, endpoint))
        }
        Component::Database(_) | Component::External(_) => None,
    }
}
