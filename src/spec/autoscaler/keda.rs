//! KEDA.

use super::super::quantity::Seconds;
use super::super::source::Spanned;
use crate::{choice, record};

record! {
    /// Requests that wait for a worker, at all replicas of a service.
    pub struct QueueLength [of] {
        /// The service.
        of: Spanned<String>,
    }
}
record! {
    /// Requests waiting or executed, at all replicas of a service.
    pub struct RequestsInFlight [of] {
        /// The service.
        of: Spanned<String>,
    }
}

record! {
    /// Messages that wait in a message queue, and those in flight if wanted: what the scalers of SQS and RabbitMQ look
    /// at.
    pub struct Backlog [of] {
        /// The queue.
        of: Spanned<String>,
        /// Whether messages in flight count, too (`scaleOnInFlight` of the SQS scaler).
        in_flight: bool = true,
    }
}

choice! {
    /// The level that KEDA polls.
    pub enum Trigger as "Keda trigger" {
        /// How many requests wait for a worker.
        QueueLength(QueueLength),
        /// How many are waiting or executed.
        RequestsInFlight(RequestsInFlight),
        /// How many messages there are in a queue.
        Backlog(Backlog),
    }
}

record! {
    /// KEDA 2.21: replicas by how much waits somewhere. KEDA itself decides only between none and some, at every poll;
    /// from the first replica on a HorizontalPodAutoscaler with Kubernetes' defaults scales by level over threshold
    /// (`Hpa`, without `behavior`). The cooldown is only for the step to none. A service without a replica answers
    /// nobody: who calls it is turned away.
    pub struct Keda {
        /// The service whose replicas it sets.
        service: Spanned<String>,
        /// The level that it polls.
        trigger: Trigger,
        /// What each replica should have of it (`threshold`, `queueLength` and others of the trigger).
        threshold: f64,
        /// Above which level there are replicas at all (`activationThreshold`).
        activation_threshold: f64 = 0,
        /// From one poll to the next (`pollingInterval`).
        polling_interval: Seconds = "30s",
        /// How long after the last poll that found the trigger active no replica is left (`cooldownPeriod`).
        cooldown_period: Seconds = "300s",
        /// With 0, none are left when the trigger is not active (`idleReplicaCount`; no other number is allowed).
        idle_replica_count: Option<u32> = None,
        /// The fewest replicas while there are any; with 0 none may be left (`minReplicaCount`).
        min_replica_count: u32 = 0,
        /// The most (`maxReplicaCount`).
        max_replica_count: u32 = 100,
    }
}
