//! Sites: names that clients look up, and that lead to one of several regions.

use super::quantity::{Ratio, Seconds};
use super::source::Spanned;
use super::topology::Topology;
use crate::{choice, record};

record! {
    /// A name that clients look up, and that leads to the balancer of one of several regions: DNS failover (Amazon
    /// Route 53, developer guide, 2023: alias records that evaluate the health of their target). Clients ask for it as
    /// for a balancer: `requests: { "www/get": 1 }`; each region must offer the endpoint. A region is healthy as long
    /// as its balancer believes a target healthy, and if none is, all count as healthy. Who has looked the name up
    /// keeps the answer for `ttl`, so that requests move over that time, evenly.
    pub struct Site {
        /// The balancers of the regions, the preferred one first.
        regions: Vec<Spanned<String>>,
        /// Who gets the requests.
        routing: SiteRouting = Failover,
        /// From one look at a region to the next.
        interval: Seconds = "30s",
        /// Looks in a row at which a region must be unhealthy to be taken out, or healthy to be put in again.
        failures: u32 = 3,
        /// How long clients keep an answer.
        ttl: Seconds = "60s",
        /// The share of clients that keep an answer for good, whatever its time to live.
        stale: Ratio = 0,
    }
}

choice! {
    /// Which region answers.
    pub enum SiteRouting {
        /// The first that is healthy.
        Failover,
        /// All that are healthy, each with its weight.
        Weighted(RegionWeights),
        /// The one that an operator has switched to, the first at the start, healthy or not.
        Manual,
    }
}

record! {
    /// How requests are shared out.
    pub struct RegionWeights [weights] as "Weighted regions" {
        /// The weight of each region, in their order.
        weights: Vec<f64>,
    }
}

record! {
    /// An operator has a site lead to another region; from then on it does so, healthy or not.
    pub struct SwitchSite [site, to] as "Switch site" {
        /// The site.
        site: Spanned<String>,
        /// The balancer of the region.
        to: Spanned<String>,
    }
}

/// What a request of a client can lead to: what it names, or that of each region of the site that it names.
pub fn ways(topology: &Topology, request: &Spanned<String>) -> Vec<Spanned<String>> {
    let site = request.value.split_once('/').and_then(|(name, rest)| Some((topology.sites.get(name)?, rest)));
    let Some((site, endpoint)) = site else { return vec![request.clone()] };
    let way = |region: &Spanned<String>| Spanned {
        value: format!("{}/{endpoint}", region.value),
        span: request.span,
    };
    site.regions.iter().map(way).collect()
}
