//! Metrics that faults of an experiment need, beside those of its topology.

use super::{Builder, Catalog};
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::ClientShape;

impl Catalog {
    /// What counts as goodput of a client population: what ended well, or only what was not wrong either.
    pub fn goodput(&self, client: u32, is_right: bool) -> Source {
        let red = self.clients[client as usize].red;
        match self.wrong_answers.filter(|_| is_right) {
            Some(first) => Source::GoodputLess(red, first + client),
            None => Source::Goodput(red),
        }
    }

    /// The catalog with counters of the wrong answers that reach clients, and their metrics.
    #[must_use]
    pub fn with_wrong_answers(self, clients: &[ClientShape]) -> Self {
        let mut b = Builder { catalog: self };
        for (number, client) in clients.iter().enumerate() {
            let counter = b.counter();
            b.catalog.wrong_answers.get_or_insert(counter);
            let red = b.catalog.clients[number].red;
            let path = format!("clients.{}.wrong", client.name);
            let meaning = "requests that ended well, with a wrong answer";
            b.add(path, Unit::PerSecond, meaning, Source::CounterRate(counter));
            let path = format!("clients.{}.right", client.name);
            let meaning = "requests that ended well (ok or degraded), with an answer that is not wrong";
            b.add(path, Unit::PerSecond, meaning, Source::GoodputLess(red, counter));
        }
        b.catalog.metrics.sort_by(|x, y| x.path.cmp(&y.path));
        b.catalog
    }
}
