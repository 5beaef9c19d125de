//! Where requests wait for a worker.

use super::count::NumberDistribution;
use super::decode::Map;
use super::dist::Distribution;
use super::quantity::{Ratio, Seconds, Size};
use crate::{choice, record};

record! {
    /// Last come, first served while many wait; first come, first served otherwise ("adaptive LIFO": Maurer, Fail at
    /// Scale, ACM Queue 2015). Under overload the fresh are served while somebody still waits for them.
    pub struct AdaptiveLifo {
        /// How many may wait before the order turns round.
        above: u32 = 0,
    }
}
record! {
    /// Tenants share the workers by weight as long as all of them have requests waiting; what one leaves unused, the
    /// others have (self-clocked fair queueing: Golestani, INFOCOM 1994; every request counts the same).
    pub struct WeightedFair [weights] {
        /// The weight of each tenant, by its name; 1 for those not listed, and for requests of no tenant.
        weights: Map<f64>,
    }
}
record! {
    /// The request that is due first. It is due so long after it came, by its endpoint; those that are late are served
    /// all the same.
    pub struct EarliestDeadline {
        /// How long after it came a request is due, by endpoint.
        deadlines: Map<Seconds> = {},
        /// For endpoints that are not listed.
        default: Seconds = "1s",
    }
}

choice! {
    /// The order in which waiting requests are served.
    pub enum Discipline {
        /// First come, first served.
        Fifo,
        /// Last come, first served.
        Lifo,
        /// Highest priority first, first come first served within one.
        Priority,
        /// Last come, first served under overload.
        AdaptiveLifo(AdaptiveLifo),
        /// By shares of tenants.
        WeightedFair(WeightedFair),
        /// The most urgent first.
        EarliestDeadline(EarliestDeadline),
    }
}

record! {
    /// folly's CoDel for requests (folly/executors/Codel.cpp, 2023): if even the shortest wait of an interval was
    /// longer than the target, then in the next interval each request that waited more than twice the target is turned
    /// away when its turn comes. The first request of an interval never is.
    pub struct CoDel {
        /// The wait that is accepted.
        target: Seconds = "5ms",
        /// How long the shortest wait is watched.
        interval: Seconds = "100ms",
    }
}
record! {
    /// Facebook's controlled delay (Maurer, Fail at Scale, ACM Queue 2015): a request may wait for `interval`, or only
    /// for `target` if there was always somebody waiting for the last `interval`. It is turned away as soon as that
    /// time is over.
    pub struct ControlledDelay {
        /// The longest wait while a queue stands.
        target: Seconds = "5ms",
        /// The longest wait otherwise, and how long a queue must stand.
        interval: Seconds = "100ms",
    }
}
record! {
    /// Random early detection (Floyd and Jacobson, IEEE/ACM Transactions on Networking 1993): a newcomer is turned away
    /// by a chance that grows with a moving average of how many wait.
    pub struct RandomEarly {
        /// Nobody is turned away while the average is below this (`min_th`).
        min: f64,
        /// Everybody is from here on (`max_th`).
        max: f64,
        /// The chance just below `max` (`max_p`).
        probability: Ratio = "10%",
        /// The weight of the present number in the average (`w_q`).
        weight: f64 = 0.002,
        /// The time to serve one request, for the average over a time without anybody waiting (`s`).
        service: Seconds = "1ms",
    }
}
choice! {
    /// How requests are turned away before the queue is full.
    pub enum Shed {
        /// Those who waited too long, when their turn comes.
        CoDel(CoDel),
        /// Those who wait too long, at once.
        ControlledDelay(ControlledDelay),
        /// Some of those who come.
        RandomEarly(RandomEarly),
    }
}

record! {
    /// How many bytes may wait.
    pub struct ByteLimit [limit, each] {
        /// All waiting requests together.
        limit: Size,
        /// The bytes of one request, drawn for each.
        each: NumberDistribution,
    }
}

record! {
    /// Where requests wait for a worker.
    pub struct Queue {
        /// How many can wait; more are rejected. Without a number there is no limit.
        capacity: Option<u32> = None,
        /// The order in which they are served.
        discipline: Discipline = Fifo,
        /// The longest wait, drawn for each request; one that waited longer is rejected, and counted in the metric
        /// `abandoned`.
        max_wait: Option<Distribution> = None,
        /// Who is rejected before the queue is full; counted in the metric `shed`.
        shed: Option<Shed> = None,
        /// How many bytes can wait; a request for which there is no room is rejected. Without it there is no limit.
        bytes: Option<ByteLimit> = None,
    }
}
