//! The metrics of calls.

use super::{Builder, EdgeMeters};
use crate::base::units::Unit;
use crate::metrics::Source;

impl Builder {
    pub(super) fn edge(&mut self, index: usize, path: &str) {
        let (attempts, calls) = (self.counter(), self.counter());
        let (retries, fallbacks, hedges) = (self.counter(), self.counter(), self.counter());
        let meters = &mut self.catalog.edges[index];
        *meters = EdgeMeters { attempts, calls, retries, fallbacks, hedges, ..*meters };
        let red = meters.red;
        self.red_metrics(path, red, "calls, as the caller sees them");
        self.add(
            format!("{path}.attempts"),
            Unit::PerSecond,
            "attempts sent to the callee, retries and hedges included",
            Source::CounterRate(attempts),
        );
        self.add(
            format!("{path}.amplification"),
            Unit::Level,
            "attempts sent for each call",
            Source::CounterRatio(attempts, calls),
        );
        self.add(
            format!("{path}.retries"),
            Unit::PerSecond,
            "attempts made again by a retry",
            Source::CounterRate(retries),
        );
        self.add(
            format!("{path}.fallbacks"),
            Unit::PerSecond,
            "calls answered by a fallback",
            Source::CounterRate(fallbacks),
        );
        self.add(
            format!("{path}.hedges"),
            Unit::PerSecond,
            "attempts that a hedge sent beside the first",
            Source::CounterRate(hedges),
        );
    }
}
