//! The meters of autoscalers.

use super::{AutoscalerMeters, Builder};
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::Autoscaler;

impl Builder {
    fn nodes(&mut self, name: &str, meters: AutoscalerMeters) {
        let path = |metric: &str| format!("autoscalers.{name}.{metric}");
        self.level(path("nodes"), Unit::Count("nodes"), "nodes that pods can run on", meters.nodes, 1.0);
        self.level(path("pending"), Unit::Count("pods"), "pods that wait for a node", meters.pending, 1.0);
        for (metric, unit, meaning, counter) in [
            ("scale_ups", "decisions", "decisions for more nodes", meters.ups),
            ("scale_downs", "decisions", "decisions for fewer nodes", meters.downs),
            ("given_up", "nodes", "nodes that were too long in coming", meters.given_up),
        ] {
            self.add(path(metric), Unit::Count(unit), meaning, Source::CounterTotal(counter));
        }
    }

    pub(super) fn autoscaler(&mut self, name: &str, settings: &Autoscaler) {
        let meters = AutoscalerMeters {
            ups: self.counter(),
            downs: self.counter(),
            alarms: self.counter(),
            panics: self.counter(),
            activations: self.counter(),
            nodes: self.gauge(),
            pending: self.gauge(),
            given_up: self.counter(),
        };
        self.catalog.autoscalers.push(meters);
        if matches!(settings, Autoscaler::Nodes(_)) {
            return self.nodes(name, meters);
        }
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
