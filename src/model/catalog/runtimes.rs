//! Metrics of what processes run in. Only services that have any of it have them.

use super::Builder;
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::Model;
use crate::model::runtime::Runtime;

/// Ids of the meters of what processes of a group run in.
#[derive(Clone, Copy, Debug, Default)]
pub struct RuntimeMeters {
    /// Gauge: instances whose CPU quota is used up.
    pub throttled: u32,
    /// Gauge: instances in a pause.
    pub paused: u32,
    /// Timer: pauses.
    pub pause: u32,
    /// Counter: full collections.
    pub full: u32,
    /// Gauge: CPU credits, in thousandths.
    pub credits: u32,
    /// Gauge: instances without credits that are capped.
    pub capped: u32,
    /// Counter: credits of the surplus, in thousandths.
    pub surplus: u32,
    /// Gauge: bytes that have leaked.
    pub leaked: u32,
}

impl Builder {
    pub(super) fn runtimes(&mut self, model: &Model) {
        for (group, shape) in model.groups.iter().enumerate() {
            let any = |has: fn(&Runtime) -> bool| model.all_settings().any(|e| has(&e.groups[group].runtime));
            if !any(|r| !r.is_plain()) {
                self.catalog.runtimes.push(None);
                continue;
            }
            let meters = RuntimeMeters {
                throttled: self.gauge(),
                paused: self.gauge(),
                pause: self.timer(),
                full: self.counter(),
                credits: self.gauge(),
                capped: self.gauge(),
                surplus: self.counter(),
                leaked: self.gauge(),
            };
            self.catalog.runtimes.push(Some(meters));
            let path = format!("services.{}", shape.name);
            let instances = Unit::Count("instances");
            if any(|r| r.quota.is_some()) {
                let meaning = "instances that stand still, as their CPU quota is used up";
                self.level(format!("{path}.throttled"), instances, meaning, meters.throttled, 1.0);
            }
            if any(|r| r.gc.is_some()) {
                let meaning = "instances in a pause of garbage collection";
                self.level(format!("{path}.gc.paused"), instances, meaning, meters.paused, 1.0);
                self.timer_metrics(&format!("{path}.gc.pause"), meters.pause, "pauses of garbage collection");
                let source = Source::CounterTotal(meters.full);
                let unit = Unit::Count("collections");
                self.add(format!("{path}.gc.full"), unit, "full collections", source);
            }
            if any(|r| r.credits.is_some()) {
                let meaning = "CPU credits, all instances, as of the last change of CPU in use";
                self.level(format!("{path}.credits"), Unit::Count("credits"), meaning, meters.credits, 1e-3);
                let meaning = "instances that are capped, as they have no CPU credits";
                self.level(format!("{path}.capped"), instances, meaning, meters.capped, 1.0);
                self.add(
                    format!("{path}.surplus_millicredits"),
                    Unit::Count("millicredits"),
                    "thousandths of CPU credits that were used without having any, and are billed",
                    Source::CounterTotal(meters.surplus),
                );
            }
            if any(|r| r.leak > 0) {
                self.level(
                    format!("{path}.leaked"),
                    Unit::Bytes,
                    "memory that has leaked",
                    meters.leaked,
                    1.0,
                );
            }
        }
    }
}
