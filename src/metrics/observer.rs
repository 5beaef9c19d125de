//! Who watches a run. An observer is told what happens and answers nothing: it cannot influence the run.

use super::rules::Rows;
use crate::base::{Outcome, SimDuration, SimTime};

/// A change of state worth a line in the event log; the numbers are ids of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// An operator drains a zone.
    ZoneDrained {
        /// The zone.
        zone: u32,
    },
    /// The draining of a zone is over.
    ZoneRestored {
        /// The zone.
        zone: u32,
    },
    /// A balancer believes a target healthy.
    TargetHealthy {
        /// The balancer.
        balancer: u32,
        /// The instance.
        instance: u32,
    },
    /// A balancer believes a target unhealthy.
    TargetUnhealthy {
        /// The balancer.
        balancer: u32,
        /// The instance.
        instance: u32,
    },
    /// A balancer has begun to send to all targets, as it believes none healthy.
    FailedOpen {
        /// The balancer.
        balancer: u32,
    },
    /// A breaker stops calls.
    BreakerOpened {
        /// The layer's meters.
        layer: u32,
        /// The calling instance, counted within its group.
        caller: u32,
    },
    /// A breaker lets a trial call through.
    BreakerHalfOpened {
        /// The layer's meters.
        layer: u32,
        /// The calling instance, counted within its group.
        caller: u32,
    },
    /// A breaker lets calls through again.
    BreakerClosed {
        /// The layer's meters.
        layer: u32,
        /// The calling instance, counted within its group.
        caller: u32,
    },
    /// An instance was killed by a fault.
    Crashed {
        /// The instance.
        instance: u32,
    },
    /// An instance was killed for using more memory than its limit.
    OutOfMemory {
        /// The instance.
        instance: u32,
    },
    /// Another server has taken over from a database's lost one.
    FailedOver {
        /// The database's instance.
        instance: u32,
    },
    /// An operator restarted an instance.
    Restarted {
        /// The instance.
        instance: u32,
    },
    /// An instance answers again, or for the first time.
    Up {
        /// The instance.
        instance: u32,
    },
    /// An instance is being started to scale out.
    Starting {
        /// The instance.
        instance: u32,
    },
    /// An instance takes no new requests, to scale in.
    Draining {
        /// The instance.
        instance: u32,
    },
    /// An instance has stopped, having scaled in.
    Stopped {
        /// The instance.
        instance: u32,
    },
    /// A fault began.
    FaultBegan {
        /// The fault.
        fault: u32,
    },
    /// A fault ended.
    FaultEnded {
        /// The fault.
        fault: u32,
    },
    /// An autoscaler changed the number of instances that there should be.
    Scaled {
        /// The autoscaler.
        autoscaler: u32,
        /// How many there should have been before.
        from: u32,
        /// How many there should be now.
        to: u32,
    },
    /// An autoscaler asked for nodes.
    NodesAsked {
        /// The autoscaler.
        autoscaler: u32,
        /// How many.
        count: u32,
    },
    /// A node has come.
    NodeReady {
        /// The autoscaler.
        autoscaler: u32,
    },
    /// Nodes are gone.
    NodesGone {
        /// The autoscaler.
        autoscaler: u32,
        /// How many.
        count: u32,
    },
    /// A setting changed.
    Setting {
        /// The change, counted over all that can happen in the run.
        change: u32,
    },
    /// Something failed at random.
    Failed {
        /// The failure.
        failure: u32,
        /// The instance; `None` for all of the component.
        instance: Option<u32>,
    },
    /// What failed at random is repaired.
    Repaired {
        /// The failure.
        failure: u32,
        /// The instance; `None` for all of the component.
        instance: Option<u32>,
    },
    /// Probes have taken an instance out of its endpoints.
    Unready {
        /// The instance.
        instance: u32,
    },
    /// Probes have put an instance among its endpoints.
    Ready {
        /// The instance.
        instance: u32,
    },
    /// A startup or liveness probe has failed: the instance is killed.
    ProbeFailed {
        /// The instance.
        instance: u32,
    },
    /// An instance waits to be restarted.
    BackOff {
        /// The instance.
        instance: u32,
    },
    /// A task of ECS was found unhealthy and is to be replaced.
    TaskUnhealthy {
        /// The instance.
        instance: u32,
    },
    /// A spot instance is going to be taken back.
    SpotNotice {
        /// The instance.
        instance: u32,
    },
    /// A spot instance was taken back.
    Reclaimed {
        /// The instance.
        instance: u32,
    },
    /// A site leads to other regions.
    SiteSwitched {
        /// The site.
        site: u32,
    },
    /// Somebody, or something, begins to react.
    Reacts {
        /// The reaction.
        reaction: u32,
    },
    /// A step of a reaction is taken.
    Step {
        /// The reaction.
        reaction: u32,
        /// Which of its steps.
        step: u32,
    },
    /// A reaction is over.
    Reacted {
        /// The reaction.
        reaction: u32,
    },
    /// Something about the deployment of a version.
    Deployment {
        /// The version, by its number in the model.
        version: u32,
        /// What.
        what: DeploymentChange,
    },
}

/// What can happen to a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentChange {
    /// It began.
    Began,
    /// More of its instances are available.
    Progressed {
        /// How many.
        available: u32,
        /// Of how many.
        of: u32,
    },
    /// It gets another share of the requests.
    Shifted {
        /// In thousandths.
        permille: u32,
    },
    /// It made no progress for longer than its deadline.
    Late,
    /// It is complete.
    Complete,
    /// It is given up: the version before is brought back.
    GivenUp {
        /// Why.
        cause: RollbackCause,
    },
    /// The version before is back.
    RolledBack,
}

/// Why a version is brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollbackCause {
    /// An operator said so.
    Operator,
    /// There was no progress for too long.
    Deadline,
    /// Containers of the new version were started again too often.
    Restarts,
    /// Too many of its requests failed.
    Errors,
    /// Its analysis failed.
    Analysis,
    /// An alert fired.
    Alert,
}

/// Told what happens, as it happens. Ids are those of the model's catalog.
pub trait Observer {
    /// A request of a red begins.
    fn arrival(&mut self, _red: u32) {}
    /// A request of a red ends after `latency`.
    fn outcome(&mut self, _red: u32, _outcome: Outcome, _latency: SimDuration) {}
    /// A request of a red ends; its latency is for another timer than that of the red.
    fn outcome_apart(&mut self, _red: u32, _timer: u32, _outcome: Outcome, _latency: SimDuration) {}
    /// A timer has measured.
    fn timed(&mut self, _timer: u32, _time: SimDuration) {}
    /// A gauge moves.
    fn moved(&mut self, _now: SimTime, _gauge: u32, _delta: i64) {}
    /// A gauge and the one after it move by as much.
    #[inline(always)]
    fn both_moved(&mut self, now: SimTime, first: u32, delta: i64) {
        self.moved(now, first, delta);
        self.moved(now, first + 1, delta);
    }
    /// A gauge is put at a level.
    fn level(&mut self, _now: SimTime, _gauge: u32, _level: u64) {}
    /// Something countable happens.
    fn count(&mut self, _counter: u32) {}
    /// Something countable happens so many times.
    fn count_many(&mut self, _counter: u32, _times: u64) {}
    /// A state changes.
    fn change(&mut self, _now: SimTime, _change: Change) {}
    /// Whether the observer wants to be told of every second.
    fn wants_seconds(&self) -> bool {
        false
    }
    /// A second of simulated time is over.
    fn second(&mut self, _now: SimTime) {}
    /// What was recorded of the seconds so far: what rules are evaluated on, as people and machines that watch a system
    /// know no more of it than its metrics.
    fn rows(&self) -> Rows<'_> {
        Rows::default()
    }
    /// A window ends and the next begins: the warm-up is over, a fault begins or ends.
    fn window(&mut self, _now: SimTime) {}
}

/// Watches nothing.
impl Observer for () {}
