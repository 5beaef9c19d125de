//! Prices, and how instances are bought: values, and names that exist.

use super::names::{Component, find};
use super::values::{at_least_one, price};
use crate::spec::autoscaler::Autoscaler;
use crate::spec::cost::{Logs, Purchase};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::fault::{Instances, SpotReclaim};
use crate::spec::policy::Layer;
use crate::spec::source::Span;
use crate::spec::topology::{Service, Topology};

pub(super) fn check(topology: &Topology, cx: &mut Context) {
    let p = &topology.prices;
    for (value, what) in [
        (p.egress_per_gb, "egress_per_gb"),
        (p.between_zones_per_gb, "between_zones_per_gb"),
        (p.logs_per_gb, "logs_per_gb"),
    ] {
        price(value, what, p.place(what), cx);
    }
    if let Some(nat) = &p.nat {
        price(nat.price_per_hour, "price_per_hour", nat.place("price_per_hour"), cx);
        price(nat.price_per_gb, "price_per_gb", nat.place("price_per_gb"), cx);
        at_least_one(nat.gateways, "gateways", nat.place("gateways"), cx);
    }
    for (_, stored) in p.stored.iter() {
        price(stored.price_per_gb_month, "price_per_gb_month", stored.place("price_per_gb_month"), cx);
    }
    for (_, balancer) in topology.balancers.iter() {
        price(balancer.price_per_hour, "price_per_hour", balancer.place("price_per_hour"), cx);
        price(balancer.price_per_gb, "price_per_gb", balancer.place("price_per_gb"), cx);
    }
    for (name, service) in topology.services.iter() {
        for (endpoint, span, _) in service.answers.spanned() {
            known_endpoint(endpoint, span, (name, service), cx);
        }
        service.logs.iter().for_each(|logs| check_logs(logs, (name, service), topology, cx));
        purchase(name, service, topology, cx);
    }
    for (name, layers) in topology.policies.iter() {
        let cdns = layers.iter().filter_map(|layer| match layer {
            Layer::Cache(cache) => cache.cdn.as_ref(),
            _ => None,
        });
        for (number, cdn) in cdns.enumerate() {
            price(cdn.price_per_gb, "price_per_gb", cdn.place("price_per_gb"), cx);
            if let Some(origin) = cdn.origin_per_gb {
                price(origin, "origin_per_gb", cdn.place("origin_per_gb"), cx);
            }
            if number > 0 {
                cx.fail::<()>(cdn.span, format!("the policy `{name}` has two content delivery networks"));
            }
            if !topology.clients.iter().any(|(_, c)| c.through.as_ref().is_some_and(|t| t.value == name)) {
                let message = format!("`cdn` is for policies of clients, and no clients go through `{name}`");
                let help = "a cache within the system costs what its instances cost: take out `cdn`";
                cx.diagnostics.push(Diagnostic::error(cdn.span, message).help(help));
            }
        }
    }
}

fn known_endpoint(endpoint: &str, span: Span, (name, service): (&str, &Service), cx: &mut Context) {
    if service.endpoints.get(endpoint).is_none() {
        let error = Diagnostic::error(span, format!("`{name}` has no endpoint `{endpoint}`"));
        cx.diagnostics.push(error.nearest(endpoint, service.endpoints.names()));
    }
}

fn check_logs(logs: &Logs, of: (&str, &Service), topology: &Topology, cx: &mut Context) {
    for (endpoint, span, _) in logs.endpoints.spanned() {
        known_endpoint(endpoint, span, of, cx);
    }
    if topology.prices.logs_per_gb <= 0.0 {
        cx.diagnostics.push(
            Diagnostic::error(logs.span, "log lines cost nothing, so `logs` says nothing")
                .help("say what a GB costs: `prices: Prices(logs_per_gb: 0.5)`"),
        );
    }
}

fn purchase(name: &str, service: &Service, topology: &Topology, cx: &mut Context) {
    let at = service.place("purchase");
    let spot = match &service.purchase {
        Purchase::OnDemand => return,
        Purchase::Spot(spot) => Some(spot),
        Purchase::Mixed(mixed) => Some(&mixed.spot),
        Purchase::Reserved(_) => None,
    };
    if let Some(after) = spot.and_then(|spot| spot.reclaimed_after.as_ref())
        && after.dist.mean() <= 0.0
    {
        cx.fail::<()>(after.span, "`reclaimed_after` must be more than 0: nothing would ever run");
    }
    let owner = if service.ecs.is_some() {
        Some("Amazon ECS replaces its tasks by itself")
    } else if service.lambda.is_some() {
        Some("a function has no instances that are bought")
    } else if topology.autoscalers.iter().any(|(_, a)| runs_pods_of(a, name)) {
        Some("it runs as pods on nodes")
    } else {
        None
    };
    if let Some(owner) = owner {
        let message = format!("the instances of `{name}` cannot be bought one by one: {owner}");
        cx.diagnostics.push(Diagnostic::error(at, message).help("take out `purchase`"));
    }
}

fn runs_pods_of(autoscaler: &Autoscaler, service: &str) -> bool {
    matches!(autoscaler, Autoscaler::ClusterAutoscaler(a) if a.pods.names().any(|pod| pod == service))
}

pub(super) fn reclaim(f: &SpotReclaim, topology: &Topology, cx: &mut Context) {
    let name = &f.target.value;
    let Some(service) = topology.services.get(name) else {
        let message = match find(topology, name) {
            Some(Component::Database(_) | Component::External(_) | Component::Balancer(_)) => {
                format!("`{name}` is no service: it has no spot instances")
            }
            _ => format!("there is no service `{name}`"),
        };
        let error = Diagnostic::error(f.target.span, message);
        cx.diagnostics.push(error.nearest(name, topology.services.names()));
        return;
    };
    if let Some(zone) = &f.zone
        && !service.zones.contains(&zone.value)
    {
        let error = Diagnostic::error(zone.span, format!("`{name}` is not in a zone `{}`", zone.value));
        cx.diagnostics.push(error.nearest(&zone.value, service.zones.iter().map(String::as_str)));
    }
    if matches!(f.instances, Instances::Unhealthy) {
        let message = "spot capacity is taken back whether instances are healthy or not";
        cx.diagnostics.push(
            Diagnostic::error(f.place("instances"), message)
                .help("write `All`, `Number(2)` or `Share(\"50%\")`"),
        );
    }
}
