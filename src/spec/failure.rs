//! Random failures and repairs: components that break by themselves, again and again.

use super::decode::{Context, Declarations, Decode, Variant as _};
use super::dist::Distribution;
use super::fault_instances::InZone;
use super::node::{Kind, Node};
use super::quantity::{Ratio, Seconds, Size};
use super::source::Spanned;
use crate::{choice, record};

record! {
    /// Instances that fail and are repaired at random, from the start of the run on: an alternating renewal process,
    /// up at first. Its times are found by its name, so nothing else that changes changes them.
    pub struct Failures [target] {
        /// The service, database, external dependency or message queue; or a whole zone, `Zone("a")`, with all instances
        /// of services and databases in it.
        target: FailureTarget,
        /// Whether each instance fails by itself, or all together by one cause.
        each: FailureUnit = Instance,
        /// What a failure does.
        what: LastingEffect = Down,
        /// The time from the start, or from a repair, to the next failure.
        up: Distribution,
        /// The time from a failure to its repair.
        down: Distribution,
        /// What fails with it, by the same cause: services, databases, external dependencies and queues. One draw strikes
        /// all of them at once, so `each` must be `Component`.
        with: Vec<Spanned<String>> = [],
    }
}

/// What fails.
#[derive(Clone, Debug)]
pub enum FailureTarget {
    /// A component or a queue.
    Component(Spanned<String>),
    /// A zone.
    Zone(InZone),
}

impl Decode for FailureTarget {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match &node.kind {
            Kind::Text(_) => Spanned::decode(node, cx).map(Self::Component),
            _ if node.name().is_some_and(|name| name.value == "Zone") => {
                InZone::decode_as("Zone", node, cx).map(Self::Zone)
            }
            _ => cx.expected(node, "the name of a component or `Zone(…)`"),
        }
    }
    fn type_name() -> String {
        "string or Zone".into()
    }
    fn declare(into: &mut Declarations) {
        InZone::declare(into);
    }
}

choice! {
    /// What a random failure does to what fails.
    pub enum LastingEffect {
        /// It is killed, stays away until it is repaired, and then starts with its start-up time. Of a queue: its broker
        /// cannot be reached.
        Down,
        /// It stops working, keeps what it has, and goes on where it was when it is repaired.
        Hang,
        /// It answers with errors, at once.
        Errors(ErrorsFailure),
        /// It is slow.
        Slow(SlowFailure),
        /// A share of its CPU time is stolen.
        CpuSteal(StealFailure),
        /// Its storage is slow.
        DiskSlow(DiskFailure),
        /// Its processes leak memory.
        MemoryLeak(LeakFailure),
        /// Its processes pause again and again.
        GcStorm(PauseFailure),
    }
}

record! {
    /// A share of the CPU time is not there.
    pub struct StealFailure [share] as "Steal failure" {
        /// The share, less than all of it.
        share: Ratio,
    }
}

record! {
    /// Operations of the storage take longer.
    pub struct DiskFailure [factor] as "Disk failure" {
        /// Multiplies the time of each operation.
        factor: f64,
    }
}

record! {
    /// Processes leak memory, which stays until they end.
    pub struct LeakFailure [rate] as "Leak failure" {
        /// How much each leaks in a second.
        rate: Size,
    }
}

record! {
    /// Processes stand still again and again.
    pub struct PauseFailure [pause, every] as "Pause failure" {
        /// How long a pause is.
        pause: Distribution,
        /// From the start of one pause to the start of the next.
        every: Seconds,
    }
}

choice! {
    /// What fails as one.
    pub enum FailureUnit {
        /// Each instance by itself, whatever the others do.
        Instance,
        /// All instances of the component at once, as by a power cut.
        Component,
    }
}

choice! {
    /// What is done to what fails, for `brownout blast`.
    pub enum FailureEffect {
        /// It is killed, stays away until it is repaired, and then starts with its start-up time.
        Down,
        /// It stops working, keeps what it has, and goes on where it was when it is repaired.
        Hang,
        /// It answers with errors, at once.
        Errors(ErrorsFailure),
        /// It is slow.
        Slow(SlowFailure),
    }
}

record! {
    /// A failed instance answers with errors, at once.
    pub struct ErrorsFailure [ratio] as "Errors failure" {
        /// The share of requests.
        ratio: Ratio = 1,
    }
}

record! {
    /// A failed instance is slow. Requests that it has begun on are not touched.
    pub struct SlowFailure [factor] as "Slow failure" {
        /// Multiplies the time of each `Work` and `Wait`, and an external's latency.
        factor: f64,
    }
}
