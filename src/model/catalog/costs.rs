//! What a system costs: instances by the hour, requests to externals one by one.

use super::Builder;
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::{GroupKind, Model};

impl Builder {
    /// The metrics `cost` of all that has a price, and `system.cost` of all together; none if nothing has.
    pub(super) fn costs(&mut self, model: &Model) {
        if model.groups.iter().all(|group| group.price == 0.0) {
            return;
        }
        let fleets = self.catalog.fleets.clone();
        for ((group, meters), fleet) in model.groups.iter().zip(self.catalog.groups.clone()).zip(fleets) {
            if group.price == 0.0 {
                continue;
            }
            let (family, meaning, source) = match group.kind {
                GroupKind::Service => match fleet {
                    // While one version takes the place of another there are more of them.
                    Some(fleet) => (
                        "services",
                        "cost per hour: instances of all versions, mean over time, times the price of one",
                        Source::Level(fleet.instances, group.price),
                    ),
                    None => (
                        "services",
                        "cost per hour: instances that there should be, mean over time, times the price of one",
                        Source::Level(meters.replicas, group.price),
                    ),
                },
                GroupKind::Database => {
                    ("databases", "cost per hour", Source::Level(meters.replicas, group.price))
                }
                GroupKind::External => (
                    "externals",
                    "cost per hour: requests that reached it times the price of one",
                    Source::RateTimes(meters.red, 3600.0 * group.price),
                ),
            };
            self.add(format!("{family}.{}.cost", group.name), Unit::PerHour, meaning, source);
        }
        let (gauge, counter) = (self.gauge(), self.counter());
        self.catalog.cost = Some((gauge, counter));
        let meaning = "cost per hour of all that has a price";
        self.add("system.cost".to_string(), Unit::PerHour, meaning, Source::Spent(gauge, counter));
    }
}
