//! Shedding by priority, from the language's types to the component's own.

use crate::components::shedding::ShedThreshold;
use crate::model::{ShedSettings, ShedSignal};
use crate::spec::shedding::Shedding;

pub(super) fn shedding(s: &Shedding) -> ShedSettings {
    match s {
        Shedding::Queue(q) => {
            let thresholds = q.thresholds.iter().map(|t| {
                let until = f64::from(t.until.unwrap_or(t.from));
                ShedThreshold { priority: t.priority, from: f64::from(t.from), until }
            });
            ShedSettings { signal: ShedSignal::Queue, thresholds: thresholds.collect() }
        }
        Shedding::Busy(b) => {
            let thresholds = b.thresholds.iter().map(|t| {
                let until = t.until.unwrap_or(t.from).0;
                ShedThreshold { priority: t.priority, from: t.from.0, until }
            });
            ShedSettings { signal: ShedSignal::Busy, thresholds: thresholds.collect() }
        }
    }
}
