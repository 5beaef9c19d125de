//! What happens when something else does: conditions, and runbooks that people or machines follow.

use super::alert::Threshold;
use super::dist::Distribution;
use super::experiment::Action;
use super::source::Spanned;
use crate::{choice, record};

record! {
    /// Something that happens when something else does, not at a set time.
    pub struct When [condition, action] {
        /// When.
        condition: Condition,
        /// What.
        action: Action,
        /// How long after.
        after: Distribution = "0s",
        /// How many times at most; never again while it is under way, and a fault that lasts does not begin again.
        times: u32 = 1,
    }
}

record! {
    /// What somebody, or a machine, does once a condition holds: one step after the other. People are told after
    /// `notify` and are there after `react`; a machine needs no time for either.
    pub struct Runbook {
        /// What starts it.
        on: Condition,
        /// From the condition until somebody is told, such as the delay of a paging service.
        notify: Distribution = "0s",
        /// From then until somebody has woken up, looked and understood.
        react: Distribution = "0s",
        /// What is done.
        steps: Vec<Do>,
        /// How many times at most; it does not start again while it is being followed.
        times: u32 = 1,
        /// Whether it is put away when the alert or rule that started it fires no more: the steps that are left are not
        /// taken.
        stop_when_resolved: bool = false,
    }
}

record! {
    /// A step of a runbook.
    pub struct Do [action] {
        /// What is done.
        action: Action,
        /// How long it takes, from the step before, until it works.
        after: Distribution = "0s",
    }
}

choice! {
    /// What something waits for. Alerts and thresholds are evaluated at the ends of seconds, on the metrics of the
    /// seconds before; what is seen of components is known at once.
    pub enum Condition {
        /// An alert of the experiment begins to fire.
        Alert(AlertFires),
        /// An alert of the experiment fires no more.
        Resolved(AlertResolved),
        /// A metric is beyond a limit, as in an alert.
        Threshold(Threshold),
        /// A fault begins.
        Began(FaultBegins),
        /// A fault ends.
        Ended(FaultEnds),
        /// The state of a component changes.
        Seen(Seen),
    }
}

record! {
    /// An alert begins to fire.
    pub struct AlertFires [alert] as "Alert fires" {
        /// The alert.
        alert: Spanned<String>,
    }
}
record! {
    /// An alert fires no more.
    pub struct AlertResolved [alert] as "Alert resolved" {
        /// The alert.
        alert: Spanned<String>,
    }
}
record! {
    /// A fault of the timeline begins.
    pub struct FaultBegins [fault] as "Fault begins" {
        /// Its name.
        fault: Spanned<String>,
    }
}
record! {
    /// A fault of the timeline ends.
    pub struct FaultEnds [fault] as "Fault ends" {
        /// Its name.
        fault: Spanned<String>,
    }
}
record! {
    /// The state of a component changes.
    pub struct Seen [what, of] {
        /// What is seen.
        what: Sight,
        /// The component that it is seen of, such as `api`.
        of: Spanned<String>,
    }
}

choice! {
    /// A change of state that the event log has.
    pub enum Sight {
        /// An instance was killed by a fault: of a service or database.
        Crashed,
        /// An instance ran out of memory: of a service.
        OutOfMemory,
        /// A startup or liveness probe has failed: of a service.
        ProbeFailed,
        /// An instance answers: of a service or database.
        Up,
        /// A breaker opened around calls: of the service or client population that calls.
        BreakerOpened,
        /// Another server has taken over: of a database.
        FailedOver,
        /// A target is believed unhealthy: of a balancer.
        TargetUnhealthy,
        /// No target is believed healthy, and all get requests: of a balancer.
        FailedOpen,
        /// The number of instances changed: of an autoscaler.
        Scaled,
    }
}
