//! Metrics of faults, which belong to an experiment and not to its topology.

use super::{Builder, Catalog};
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::{ClientShape, GroupKind, GroupShape};

/// Ids of the meters of CPU time that is stolen from a group.
#[derive(Clone, Copy, Debug)]
pub struct StolenMeters {
    /// Gauge: what is stolen, in millionths of an instance.
    pub stolen: u32,
    /// Gauge: instances that run, in millionths.
    pub there: u32,
}

impl Catalog {
    /// What counts as goodput of a client population: what ended well, or only what was not wrong either.
    pub fn goodput(&self, client: u32, is_right: bool) -> Source {
        let red = self.clients[client as usize].red;
        match self.wrong_answers.filter(|_| is_right) {
            Some(first) => Source::GoodputLess(red, first + client),
            None => Source::Goodput(red),
        }
    }

    /// The catalog with the metric `cpu_stolen` of those groups that `is_struck` names.
    #[must_use]
    pub fn with_stolen(self, groups: &[GroupShape], is_struck: impl Fn(u32) -> bool) -> Self {
        let mut b = Builder { catalog: self };
        for (number, group) in (0..).zip(groups) {
            if !is_struck(number) {
                b.catalog.stolen.push(None);
                continue;
            }
            let meters = StolenMeters { stolen: b.gauge(), there: b.gauge() };
            b.catalog.stolen.push(Some(meters));
            let family = match group.kind {
                GroupKind::Service => "services",
                GroupKind::Database => "databases",
                GroupKind::External => "externals",
            };
            b.add(
                format!("{family}.{}.cpu_stolen", group.name),
                Unit::Ratio,
                "share of the CPU time of running instances that faults steal",
                Source::LevelRatio(meters.stolen, meters.there),
            );
        }
        b.catalog.metrics.sort_by(|x, y| x.path.cmp(&y.path));
        b.catalog
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
