//! Shedding by priority at a service's door.

use super::quantity::Ratio;
use crate::{choice, record};

record! {
    /// From how many waiting requests on a priority is turned away.
    pub struct QueueThreshold [priority, from, until] {
        /// The highest priority that is turned away.
        priority: u8,
        /// The number at which, and above which, it is.
        from: u32,
        /// The number below which it is no more; without it, below `from`.
        until: Option<u32> = None,
    }
}
record! {
    /// How many requests wait for a worker.
    pub struct QueueShedding [thresholds] as "Queue shedding" {
        /// Each with the priorities that it gives up.
        thresholds: Vec<QueueThreshold>,
    }
}
record! {
    /// From which share of busy workers on a priority is turned away.
    pub struct BusyThreshold [priority, from, until] {
        /// The highest priority that is turned away.
        priority: u8,
        /// The share at which, and above which, it is.
        from: Ratio,
        /// The share below which it is no more; without it, below `from`.
        until: Option<Ratio> = None,
    }
}
record! {
    /// The share of the workers that are busy.
    pub struct BusyShedding [thresholds] as "Busy shedding" {
        /// Each with the priorities that it gives up.
        thresholds: Vec<BusyThreshold>,
    }
}
choice! {
    /// When requests of low priority are turned away at an instance's door, before its queue. Each threshold gives up
    /// all priorities up to its own from one level on, until the level falls below another: without a distance
    /// between the two it flaps. Levels are looked at when requests come. This is the common pattern, not one
    /// product's. Health checks always pass.
    pub enum Shedding {
        /// By how many requests wait for a worker.
        Queue(QueueShedding),
        /// By the share of the workers that are busy.
        Busy(BusyShedding),
    }
}
