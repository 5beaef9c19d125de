//! The metrics of concurrency limits and throttles.

use super::{AdmissionMeters, Builder, LayerMeters};
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::Model;

impl Builder {
    /// Those of a layer, whose counter is there already.
    pub(super) fn concurrency_limit(&mut self, path: &str, meters: LayerMeters) {
        let (limit, in_use, waiting) = (self.gauge(), self.gauge(), self.gauge());
        let calls = Unit::Count("calls");
        let meaning = "the limits of all callers that have made a call, as of their last events";
        self.level(format!("{path}.limit"), calls, meaning, limit, 1.0);
        self.level(format!("{path}.in_use"), calls, "calls in progress", in_use, 1.0);
        self.level(format!("{path}.waiting"), calls, "calls waiting for their turn", waiting, 1.0);
        let rejected = Source::CounterRate(meters.rejected);
        self.add(format!("{path}.rejected"), Unit::PerSecond, "calls turned away", rejected);
    }

    /// Those of a throttle, whose counters are there already.
    pub(super) fn throttle(&mut self, path: &str, meters: LayerMeters) {
        let rejected = Source::CounterRate(meters.rejected);
        self.add(format!("{path}.rejected"), Unit::PerSecond, "calls turned away", rejected);
        let share = Source::CounterRatio(meters.rejected, meters.more);
        self.add(format!("{path}.rejected_ratio"), Unit::Ratio, "share of the calls turned away", share);
    }

    /// Those of the limits at the doors of a service, if it ever has them.
    pub(super) fn admission(&mut self, path: &str, group: usize, model: &Model) -> AdmissionMeters {
        if model.all_settings().all(|epoch| epoch.groups[group].admission.is_none()) {
            return AdmissionMeters::default();
        }
        let (limit, in_use, rejected) = (self.gauge(), self.gauge(), self.counter());
        let requests = Unit::Count("requests");
        let meaning = "the limits of all instances that were asked something, as of their last events";
        self.level(format!("{path}.admission.limit"), requests, meaning, limit, 1.0);
        self.level(format!("{path}.admission.in_use"), requests, "requests that were let in", in_use, 1.0);
        let rate = Source::CounterRate(rejected);
        self.add(
            format!("{path}.admission.rejected"),
            Unit::PerSecond,
            "requests turned away at the door",
            rate,
        );
        AdmissionMeters { limit, rejected }
    }
}
