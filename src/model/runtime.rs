//! What processes of a group run in, compiled.

use super::Draw;
use crate::components::cpu::quota::QuotaConfig;
use crate::components::credits::CreditConfig;
use crate::components::heap::HeapConfig;
use crate::components::warm_up::WarmUpConfig;

/// What processes of a group run in.
#[derive(Clone, Debug, Default)]
pub struct Runtime {
    /// The quota of the CPU, and the cores that it is spent on.
    pub quota: Option<(QuotaConfig, f64)>,
    /// Whether all runs on one thread.
    pub event_loop: bool,
    /// The heap, and the pause of a young collection.
    pub gc: Option<(HeapConfig, Draw)>,
    /// How work becomes faster.
    pub warm_up: Option<WarmUpConfig>,
    /// CPU credits.
    pub credits: Option<Credits>,
    /// What each request leaves behind, in bytes.
    pub leak: u64,
}

impl Runtime {
    /// Whether it has nothing to see to.
    pub fn is_plain(&self) -> bool {
        self.quota.is_none()
            && !self.event_loop
            && self.gc.is_none()
            && self.warm_up.is_none()
            && self.credits.is_none()
            && self.leak == 0
    }
}

/// CPU credits of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Credits {
    /// How they are earned.
    pub config: CreditConfig,
    /// Those of instances of the start.
    pub initial: f64,
    /// Those of instances that are launched later.
    pub launch: f64,
}
