//! The meters of autoscalers.

use super::{AutoscalerMeters, Builder};
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::Autoscaler;

impl Builder {
    pub(super) fn autoscaler(&mut self, name: &str, settings: &Autoscaler) {
        let meters = AutoscalerMeters {
            ups: self.counter(),
            downs: self.counter(),
            alarms: self.counter(),
            panics: self.counter(),
            activations: self.counter(),
        };
        self.catalog.autoscalers.push(meters);
        let mut counters = vec![
            ("scale_ups", "decisions", "decisions for more replicas", meters.ups),
            ("scale_downs", "decisions", "decisions for fewer replicas", meters.downs),
        ];
        if matches!(settings, Autoscaler::Aws(_)) {
            counters.push(("alarms", "alarms", "alarms that were set off", meters.alarms));
        }
        if matches!(settings, Autoscaler::Knative(_)) {
            counters.push(("panics", "panics", "times it began to panic", meters.panics));
            let meaning = "times a request came while there should be no replica";
            counters.push(("activations", "activations", meaning, meters.activations));
        }
        for (metric, unit, meaning, counter) in counters {
            let path = format!("autoscalers.{name}.{metric}");
            self.add(path, Unit::Count(unit), meaning, Source::CounterTotal(counter));
        }
    }
}
