//! The meters of autoscalers.

use super::{AutoscalerMeters, Builder};
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::Autoscaler;

impl Builder {
    pub(super) fn autoscaler(&mut self, name: &str, settings: &Autoscaler) {
        let meters = AutoscalerMeters { ups: self.counter(), downs: self.counter(), alarms: self.counter() };
        self.catalog.autoscalers.push(meters);
        let mut counters = vec![
            ("scale_ups", "decisions", "decisions for more replicas", meters.ups),
            ("scale_downs", "decisions", "decisions for fewer replicas", meters.downs),
        ];
        if matches!(settings, Autoscaler::Aws(_)) {
            counters.push(("alarms", "alarms", "alarms that were set off", meters.alarms));
        }
        for (metric, unit, meaning, counter) in counters {
            let path = format!("autoscalers.{name}.{metric}");
            self.add(path, Unit::Count(unit), meaning, Source::CounterTotal(counter));
        }
    }
}
