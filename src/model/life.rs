//! The life of an instance, compiled: probes, restarts, termination.

use super::Draw;
use crate::base::SimDuration;
use crate::components::back_off::BackOffConfig;
use crate::components::probe::ProbeConfig;
use crate::components::task_health::TaskHealthConfig;
use crate::components::termination::TerminationConfig;

/// How instances of a group live and end.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Probes, in the order of `ProbeKind::ALL`, with the endpoint that each asks.
    pub probes: [Option<(ProbeConfig, u32)>; 3],
    /// The back-off between restarts.
    pub back_off: Option<BackOffConfig>,
    /// How an instance ends, and how long it takes until nobody sends requests any more.
    pub termination: Option<(TerminationConfig, Draw)>,
    /// How Amazon ECS keeps it.
    pub ecs: Option<EcsTask>,
}

/// How Amazon ECS keeps the tasks of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EcsTask {
    /// The health check of the container, with the endpoint that it asks.
    pub check: Option<(TaskHealthConfig, u32)>,
    /// How long a task is not replaced after its start.
    pub grace_period: SimDuration,
    /// The most tasks at a time, in per cent of those wanted.
    pub maximum_percent: u32,
    /// From SIGTERM to SIGKILL.
    pub stop_timeout: SimDuration,
}

impl Life {
    /// Whether there is any probe.
    pub fn is_probed(&self) -> bool {
        self.probes.iter().any(Option::is_some)
    }

    /// Whether probes decide which instances get requests.
    pub fn has_readiness(&self) -> bool {
        self.probes[0].is_some() || self.probes[1].is_some()
    }

    /// Whether there is anything to measure.
    pub fn is_plain(&self) -> bool {
        !self.is_probed() && self.back_off.is_none() && self.termination.is_none() && self.ecs.is_none()
    }
}
