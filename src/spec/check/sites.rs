//! Sites: regions that exist, weights for each.

use super::values::{at_least_one, positive_time};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::site::{SiteRouting, SwitchSite};
use crate::spec::topology::Topology;

pub(super) fn check(topology: &Topology, cx: &mut Context) {
    for (name, span, site) in topology.sites.spanned() {
        if super::names::find(topology, name).is_some() {
            cx.fail::<()>(
                span,
                format!("`{name}` is a site and something that can be called: calls could not tell"),
            );
        }
        if site.regions.is_empty() {
            cx.fail::<()>(site.place("regions"), "`regions` is empty: the site leads nowhere");
        }
        for (at, region) in site.regions.iter().enumerate() {
            if topology.balancers.get(&region.value).is_none() {
                let error =
                    Diagnostic::error(region.span, format!("there is no balancer `{}`", region.value));
                cx.diagnostics.push(error.nearest(&region.value, topology.balancers.names()));
            }
            if site.regions[..at].iter().any(|other| other.value == region.value) {
                cx.fail::<()>(region.span, format!("`{}` is a region of this site twice", region.value));
            }
        }
        if let SiteRouting::Weighted(weighted) = &site.routing {
            let span = weighted.place("weights");
            if weighted.weights.len() != site.regions.len() {
                let message = format!("{} regions need as many weights", site.regions.len());
                cx.fail::<()>(span, message);
            }
            let is_wrong = |weight: &f64| !weight.is_finite() || *weight < 0.0;
            if weighted.weights.iter().any(is_wrong) || weighted.weights.iter().sum::<f64>() <= 0.0 {
                cx.fail::<()>(span, "weights must not be negative, and one must be more than 0");
            }
        }
        positive_time(site.interval, "interval", site.place("interval"), cx);
        at_least_one(site.failures, "failures", site.place("failures"), cx);
    }
}

/// An operator switches to a region of a site.
pub(super) fn switch(switch: &SwitchSite, topology: &Topology, cx: &mut Context) {
    let Some(site) = topology.sites.get(&switch.site.value) else {
        let error = Diagnostic::error(switch.site.span, format!("there is no site `{}`", switch.site.value));
        cx.diagnostics.push(error.nearest(&switch.site.value, topology.sites.names()));
        return;
    };
    let to = &switch.to;
    if !site.regions.iter().any(|region| region.value == to.value) {
        let message = format!("`{}` is no region of `{}`", to.value, switch.site.value);
        let names = site.regions.iter().map(|region| region.value.as_str());
        cx.diagnostics.push(Diagnostic::error(to.span, message).nearest(&to.value, names));
    }
}
