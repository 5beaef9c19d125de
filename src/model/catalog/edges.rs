//! What edges are called, and the metrics of calls.

use super::{Builder, EdgeMeters};
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::{Caller, EdgeShape, Model};

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

/// The path of an edge: `services.api.calls.db`, with `:policy` where one callee is called through several.
pub(crate) fn edge_path(model: &Model, edge: &EdgeShape) -> String {
    let same = model.edges.iter().filter(|e| e.caller == edge.caller && e.callee == edge.callee).count();
    path_of_edge(model, edge, same > 1)
}

/// The same, where it is known whether the callee is called through several policies.
pub(super) fn path_of_edge(model: &Model, edge: &EdgeShape, is_one_of_several: bool) -> String {
    let family = match edge.caller {
        Caller::Client(_) => "clients",
        Caller::Group(_) => "services",
    };
    let policy = match (is_one_of_several, edge.policy.as_str()) {
        (false, _) => String::new(),
        (true, "") => ":direct".to_string(),
        (true, name) => format!(":{name}"),
    };
    format!("{family}.{}.calls.{}{policy}", model.caller_name(edge.caller), model.callee_name(edge.callee))
}
