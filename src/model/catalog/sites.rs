//! Metrics of sites.

use super::Builder;
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::sites::SiteShape;

/// Ids of the meters of a site.
#[derive(Clone, Copy, Debug, Default)]
pub struct SiteMeters {
    /// Gauge: regions taken for healthy.
    pub healthy: u32,
    /// Counter: times that the name led elsewhere from then on.
    pub switches: u32,
}

impl Builder {
    pub(super) fn site(&mut self, shape: &SiteShape) {
        let meters = SiteMeters { healthy: self.gauge(), switches: self.counter() };
        let path = format!("sites.{}", shape.name);
        let meaning = "regions that are taken for healthy";
        self.level(format!("{path}.healthy"), Unit::Count("regions"), meaning, meters.healthy, 1.0);
        let meaning = "times that the name led to other regions from then on";
        self.add(
            format!("{path}.switches"),
            Unit::Count("switches"),
            meaning,
            Source::CounterTotal(meters.switches),
        );
        self.catalog.sites.push(meters);
    }
}
