//! Sites.

use super::ShapeError;
use crate::model::Model;
use crate::model::sites::{SiteRouting, SiteSettings, SiteShape};
use crate::spec::site as ss;
use crate::spec::topology::Topology;

pub(super) fn shapes(topology: &Topology) -> Vec<SiteShape> {
    let balancer = |name: &str| topology.balancers.position(name).unwrap_or(0) as u32;
    let shape = |(name, site): (&str, &ss::Site)| SiteShape {
        name: name.to_string(),
        regions: site.regions.iter().map(|region| balancer(&region.value)).collect(),
    };
    topology.sites.iter().map(shape).collect()
}

/// Why an epoch's sites do not fit those at the start.
pub(super) fn same_shape(model: &Model, topology: &Topology, epoch: usize) -> Result<(), ShapeError> {
    let theirs = shapes(topology);
    let same = |(a, b): (&SiteShape, &SiteShape)| a.name == b.name && a.regions == b.regions;
    match theirs.len() == model.sites.len() && model.sites.iter().zip(&theirs).all(same) {
        true => Ok(()),
        false => Err(ShapeError { what: "change the sites or their regions".into(), epoch }),
    }
}

pub(super) fn settings(topology: &Topology) -> Vec<SiteSettings> {
    let one = |(_, site): (&str, &ss::Site)| SiteSettings {
        routing: match &site.routing {
            ss::SiteRouting::Failover => SiteRouting::Failover,
            ss::SiteRouting::Manual => SiteRouting::Manual,
            ss::SiteRouting::Weighted(weighted) => SiteRouting::Weighted(weighted.weights.clone()),
        },
        interval: site.interval.duration(),
        failures: site.failures,
        ttl_s: site.ttl.0,
        stale: site.stale.0,
    };
    topology.sites.iter().map(one).collect()
}
