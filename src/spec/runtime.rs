//! What a process runs in: quotas, garbage collection, an event loop, warming up, CPU credits.

use super::dist::Distribution;
use super::quantity::{Seconds, Size};
use crate::{choice, record};

record! {
    /// How Linux enforces a CPU limit (CFS bandwidth control, as of 6.1): `limit` times `period` of CPU time in each
    /// period, for all threads together; when that is used up, everything stands still until the next period. Work then
    /// runs on all `cores`, and stops, where it would run evenly slower without this. What is left at the end of a
    /// period is lost (`cpu.cfs_burst_us` is 0). The slices of 5 ms in which the quota is handed out are left out.
    pub struct Cfs {
        /// The length of a period (`cpu.cfs_period_us`).
        period: Seconds = "100ms",
    }
}

record! {
    /// What the process of an instance runs in.
    pub struct Runtime {
        /// Whether all runs on one thread, as in Node: while a piece of `Work` is computed, every timer, answer,
        /// request and health check waits for its end. The instance then uses one core at most, first come first
        /// served.
        event_loop: bool = false,
        /// Garbage collection; without it memory costs no time.
        gc: Option<Gc> = None,
        /// A compiler that warms up; without it the first request is as fast as the last.
        warm_up: Option<WarmUp> = None,
        /// CPU credits; without them the CPU may always be used.
        credits: Option<CpuCredits> = None,
    }
}

record! {
    /// A heap with stop-the-world collections: in a pause nothing of the instance goes on, so pauses add to all
    /// requests under way, and timeouts and probes are missed. What lives is the memory in use (`base`, `per_request`,
    /// `Hold`, leaks); the rest fills with garbage. If the young generation no longer fits beside what lives, each
    /// collection is a full one, and they come the more often the less is free: requests that pile up make it worse.
    pub struct Gc {
        /// The size of the heap (`-Xmx`).
        heap: Size,
        /// Garbage after which there is a young collection (`-Xmn`).
        young: Size,
        /// The garbage that each request leaves.
        per_request: Size,
        /// Who collects, which says how long pauses are.
        collector: Collector = G1,
    }
}

choice! {
    /// Who collects garbage.
    pub enum Collector {
        /// HotSpot's G1: a young pause takes 200 ms, its goal (`MaxGCPauseMillis`); a full one a second for each GB
        /// that lives.
        G1,
        /// HotSpot's ZGC: pauses take a millisecond at most; but if the heap is full, requests stall for as long as a
        /// collection takes, a second for each GB that lives.
        Zgc,
        /// Pauses as given.
        StopTheWorld(StopTheWorld),
    }
}

record! {
    /// Pauses of garbage collection.
    pub struct StopTheWorld {
        /// The pause of a young collection.
        pause: Distribution,
        /// The pause of a full collection for each GB (10^9 bytes) that lives.
        full_pause_per_gb: Seconds = "1s",
    }
}

record! {
    /// A compiler that warms up: work of the first requests of a process takes several times as long, less and less in
    /// a straight line. Processes of the start of the run are warm. HotSpot: 2 to 10 times as long for the first 1,000
    /// to 10,000 calls.
    pub struct WarmUp {
        /// How many times as long the first request's work takes.
        factor: f64,
        /// Requests after which it takes its time.
        requests: u32,
    }
}

record! {
    /// CPU credits of burstable instances (Amazon EC2, T family, 2023). One credit is a core for a minute. They are
    /// earned at a constant rate up to 24 hours' worth, and spent by what is used.
    pub struct CpuCredits {
        /// The size of the instance, which says how many credits it earns.
        instance: TInstance,
        /// What happens without credits. T3 is `Unlimited` by default, T2 is `Standard`.
        mode: CreditMode = Unlimited,
        /// Credits of instances of the start of the run; 24 hours' worth if not given.
        initial: Option<f64> = None,
        /// Credits of instances that are launched during the run. T2 in `Standard` mode gets 30 for each core.
        launch: f64 = 0,
    }
}

choice! {
    /// What happens to an instance that has no CPU credits left.
    pub enum CreditMode {
        /// It is capped at its baseline, all at once.
        Standard,
        /// Nothing: the surplus is billed.
        Unlimited,
    }
}

choice! {
    /// Sizes of burstable instances.
    pub enum TInstance {
        /// t3.micro: 12 credits an hour, a baseline of 10 % of each of 2 cores.
        T3Micro,
        /// t3.small: 24 credits an hour, 20 %.
        T3Small,
        /// t3.medium: 24 credits an hour, 20 %.
        T3Medium,
        /// t3.large: 36 credits an hour, 30 %.
        T3Large,
        /// Any other.
        Earns(Earns),
    }
}

record! {
    /// A burstable instance by what it earns.
    pub struct Earns [per_hour] {
        /// Credits an hour.
        per_hour: f64,
    }
}
