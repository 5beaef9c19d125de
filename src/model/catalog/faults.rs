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
