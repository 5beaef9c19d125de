//! Metrics of balancers that only some have.

use super::Builder;
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::{Balancer, Model};

/// Ids of the meters of what only some balancers have.
#[derive(Clone, Copy, Debug, Default)]
pub struct BalancingMeters {
    /// Gauge: targets in a slow start.
    pub slow_starting: Option<u32>,
    /// Counter: sessions whose target was gone.
    pub rebound: Option<u32>,
    /// Counters: requests by the targets' zone, in the order of the group's zones; and those that left the caller's
    /// zone after them.
    pub zones: Option<u32>,
}

impl Builder {
    pub(super) fn balancing(&mut self, model: &Model) {
        for (index, balancer) in model.balancers.iter().enumerate() {
            let path = format!("balancers.{}", balancer.name);
            let has = |what: fn(&Balancer) -> bool| model.epochs.iter().any(|e| what(&e.balancers[index]));
            let mut meters = BalancingMeters::default();
            if has(|b| b.slow_start.is_some()) {
                let gauge = self.gauge();
                meters.slow_starting = Some(gauge);
                let what = "targets in a slow start, as seen when requests come";
                self.level(format!("{path}.slow_starting"), Unit::Count("targets"), what, gauge, 1.0);
            }
            if has(|b| b.stickiness.is_some()) {
                let counter = self.counter();
                meters.rebound = Some(counter);
                let what = "sessions that got a new target, as theirs was unhealthy or gone";
                self.add(format!("{path}.rebound"), Unit::PerSecond, what, Source::CounterRate(counter));
            }
            let zones = &model.groups[balancer.group as usize].zones;
            if !zones.is_empty() {
                meters.zones = Some(self.catalog.counters);
                for zone in zones {
                    let name = &model.zones[*zone as usize];
                    let source = Source::CounterRate(self.counter());
                    let what = format!("requests sent to targets in zone {name}");
                    self.add(format!("{path}.zones.{name}"), Unit::PerSecond, what, source);
                }
                let source = Source::CounterRate(self.counter());
                let what = "requests sent to another zone than the caller's, of callers that have a zone";
                self.add(format!("{path}.cross_zone"), Unit::PerSecond, what, source);
            }
            self.catalog.balancers[index].balancing = meters;
        }
    }
}
