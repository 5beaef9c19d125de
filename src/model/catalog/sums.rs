//! Which meters are sums of others.

use super::Builder;
use crate::metrics::sums::{Counted, Sum};
use crate::model::{Caller, Model};

impl Builder {
    /// The sums of all that is there: wholes before their parts.
    pub(super) fn sums(&mut self, model: &Model) {
        for client in 0..model.clients.len() {
            self.sums_of_client(client, model);
        }
        for group in 0..model.groups.len() {
            self.sums_of_group(group, model);
        }
        for (balancer, meters) in model.balancers.iter().zip(self.catalog.balancers.clone()) {
            let endpoints = model.groups[balancer.group as usize].endpoints.clone();
            self.sum(meters.red, endpoints.map(|endpoint| meters.sent.wrapping_add(endpoint)).collect());
        }
        let calls = self.catalog.edges.iter().map(|edge| (edge.calls, Counted::Arrivals(edge.red)));
        self.catalog.sums.counters.extend(calls);
        let finished = self.catalog.groups.iter().map(|group| (group.finished, Counted::Ended(group.red)));
        self.catalog.sums.counters.extend(finished);
    }

    /// A red and its timer are the sum of others, and of what they record themselves.
    fn sum(&mut self, target: u32, parts: Vec<u32>) {
        self.catalog.sums.reds.push(Sum { target, parts: parts.clone() });
        self.catalog.sums.timers.push(Sum { target, parts });
    }

    fn sums_of_client(&mut self, client: usize, model: &Model) {
        let meters = self.catalog.clients[client];
        let edges: Vec<Option<u32>> =
            (0..model.clients[client].requests.len()).map(|kind| only_edge(model, client, kind)).collect();
        let kinds = || 0..edges.len() as u32;
        let ended = |kind: u32| [meters.ended + 2 * kind, meters.ended + 2 * kind + 1];
        let sums = &mut self.catalog.sums;
        sums.reds
            .push(Sum { target: meters.red, parts: kinds().map(|kind| meters.requests + kind).collect() });
        sums.timers.push(Sum { target: meters.red, parts: kinds().flat_map(ended).collect() });
        sums.timers.push(Sum { target: meters.success, parts: kinds().map(|kind| ended(kind)[0]).collect() });
        for kind in kinds() {
            sums.timers.push(Sum { target: meters.requests + kind, parts: ended(kind).to_vec() });
        }
        let has_edges = edges.contains(&None);
        self.catalog.clients[client].has_edges = has_edges;
        if has_edges {
            return;
        }
        for (edge, shape) in model.edges.iter().enumerate() {
            if shape.caller != Caller::Client(client as u32) {
                continue;
            }
            let taking = || kinds().filter(|kind| edges[*kind as usize] == Some(edge as u32));
            let target = self.catalog.edges[edge].red;
            let reds = taking().map(|kind| meters.requests + kind).collect();
            self.catalog.sums.reds.push(Sum { target, parts: reds });
            self.catalog.sums.timers.push(Sum { target, parts: taking().flat_map(ended).collect() });
        }
    }

    fn sums_of_group(&mut self, group: usize, model: &Model) {
        let through: Vec<u32> = (model.balancers.iter().zip(&self.catalog.balancers))
            .filter(|(balancer, _)| balancer.group as usize == group)
            .map(|(_, meters)| meters.sent)
            .collect();
        let endpoints = model.groups[group].endpoints.clone();
        let sent = |endpoint: u32| through.iter().map(move |sent| sent.wrapping_add(endpoint));
        let own = |endpoint: u32| self.catalog.endpoints + endpoint;
        let parts = endpoints.clone().flat_map(|endpoint| sent(endpoint).chain([own(endpoint)])).collect();
        let of_endpoints: Vec<(u32, Vec<u32>)> =
            endpoints.map(|endpoint| (own(endpoint), sent(endpoint).collect())).collect();
        self.sum(self.catalog.groups[group].red, parts);
        of_endpoints
            .into_iter()
            .filter(|(_, parts)| !parts.is_empty())
            .for_each(|(e, parts)| self.sum(e, parts));
    }
}

/// The edge that all requests of a kind take, whatever the settings and the region; `None` if there are several.
fn only_edge(model: &Model, client: usize, kind: usize) -> Option<u32> {
    let mut edges = model.epochs.iter().flat_map(|settings| {
        let client = &settings.clients[client];
        let site = client.sites.get(kind).and_then(Option::as_ref).map_or(&[][..], |(_, routes)| routes);
        client.mix.get(kind).map(|(_, route)| route).into_iter().chain(site)
    });
    let edge_of = |route: &u32| model.routes[*route as usize].edge;
    let first = edge_of(edges.next()?);
    edges.all(|route| edge_of(route) == first).then_some(first)
}
