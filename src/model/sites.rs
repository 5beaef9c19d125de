//! Sites, compiled.

use crate::base::SimDuration;

/// A site, as far as it never changes.
#[derive(Clone, Debug)]
pub struct SiteShape {
    /// Its name.
    pub name: String,
    /// The balancers of its regions, the preferred one first.
    pub regions: Vec<u32>,
}

/// A site's settings.
#[derive(Clone, Debug)]
pub struct SiteSettings {
    /// Who gets the requests.
    pub routing: SiteRouting,
    /// From one look at a region to the next.
    pub interval: SimDuration,
    /// Looks in a row that change what is believed.
    pub failures: u32,
    /// How long clients keep an answer, in seconds.
    pub ttl_s: f64,
    /// The share of clients that keep an answer for good.
    pub stale: f64,
}

/// Which region answers.
#[derive(Clone, Debug)]
pub enum SiteRouting {
    /// The first that is healthy.
    Failover,
    /// All that are healthy, by weight.
    Weighted(Vec<f64>),
    /// The one that was chosen.
    Manual,
}
