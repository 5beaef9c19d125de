//! Metrics that faults of an experiment need, beside those of its topology.

use super::{Builder, Catalog};
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::ClientShape;

impl Catalog {
    /// The catalog with counters of the wrong answers that reach clients, and their metrics.
    #[must_use]
    pub fn with_wrong_answers(self, clients: &[ClientShape]) -> Self {
        let mut b = Builder { catalog: self };
        for client in clients {
            let counter = b.counter();
            b.catalog.wrong_answers.get_or_insert(counter);
            let path = format!("clients.{}.wrong", client.name);
            let meaning = "requests that ended well, with a wrong answer";
            b.add(path, Unit::PerSecond, meaning, Source::CounterRate(counter));
        }
        b.catalog.metrics.sort_by(|x, y| x.path.cmp(&y.path));
        b.catalog
    }
}
