//! Limits on calls in progress that find themselves.

use super::Per;
use crate::spec::quantity::{Ratio, Seconds};
use crate::{choice, record};

record! {
    /// Always the same (`FixedLimit`).
    pub struct FixedLimit [limit] as "Fixed limit" {
        /// The limit.
        limit: u32,
    }
}
record! {
    /// `AIMDLimit`: one more with each good answer while at least half of the limit is used, and a share of it with
    /// each drop.
    pub struct Aimd as "Aimd limit" {
        /// The limit at the start (`initialLimit`).
        initial_limit: u32 = 20,
        /// The lowest (`minLimit`).
        min_limit: u32 = 20,
        /// The highest (`maxLimit`).
        max_limit: u32 = 200,
        /// What is left after a drop, from 0.5 and below 1 (`backoffRatio`).
        backoff_ratio: f64 = 0.9,
        /// An answer that takes longer counts as dropped (`timeout`).
        timeout: Seconds = "5s",
    }
}
record! {
    /// `VegasLimit`: estimates how many calls queue at the callee, from the shortest time and the present one, and
    /// keeps them between 3 and 6 times the decimal logarithm of the limit. The lowest limit is 1.
    pub struct Vegas as "Vegas limit" {
        /// The limit at the start (`initialLimit`).
        initial_limit: u32 = 20,
        /// The highest (`maxConcurrency`).
        max_concurrency: u32 = 1000,
        /// How much of a new limit is taken over at once (`smoothing`).
        smoothing: f64 = 1.0,
        /// The shortest time is measured anew after this times the limit of samples, times a random number from 0.5 to
        /// 1; `None` for never (`probeMultiplier`).
        probe_multiplier: Option<u32> = 30,
    }
}
record! {
    /// `GradientLimit`: the limit times the shortest time over the present one, plus a queue. To measure the shortest
    /// time anew it cuts the limit to that queue.
    pub struct Gradient as "Gradient limit" {
        /// The limit at the start (`initialLimit`).
        initial_limit: u32 = 50,
        /// The lowest (`minLimit`).
        min_limit: u32 = 1,
        /// The highest (`maxConcurrency`).
        max_concurrency: u32 = 1000,
        /// How much of a lower limit is taken over at once (`smoothing`).
        smoothing: f64 = 0.2,
        /// How many times the shortest time is as good as the shortest (`rttTolerance`).
        rtt_tolerance: f64 = 2.0,
        /// What is left after a drop (`backoffRatio`).
        backoff_ratio: f64 = 0.9,
        /// The queue is the root of the limit, or this if it is more (`queueSize`).
        queue_size: u32 = 4,
        /// The shortest time is measured anew after so many samples, or up to twice as many; `None` for never
        /// (`probeInterval`).
        probe_interval: Option<u32> = 1000,
    }
}
record! {
    /// `Gradient2Limit`: the limit times the usual time over the present one, plus a queue. It ignores drops, and never
    /// goes below 20 unless told so.
    pub struct Gradient2 as "Gradient2 limit" {
        /// The limit at the start (`initialLimit`).
        initial_limit: u32 = 20,
        /// The lowest (`minLimit`).
        min_limit: u32 = 20,
        /// The highest (`maxConcurrency`).
        max_concurrency: u32 = 200,
        /// How much of a new limit is taken over at once (`smoothing`).
        smoothing: f64 = 0.2,
        /// How many calls may queue (`queueSize`).
        queue_size: u32 = 4,
        /// How many times the usual time is as good as the usual (`rttTolerance`).
        rtt_tolerance: f64 = 1.5,
        /// Over how many samples the usual time is averaged (`longWindow`).
        long_window: u32 = 600,
    }
}
record! {
    /// Envoy's adaptive concurrency filter (`GradientControllerConfig`), after its source; not compared with
    /// recordings. The time without load is measured with the limit pinned to `min_concurrency`: at the start, every
    /// `interval`, and when five windows in a row have left the limit there. Calls that are turned away meanwhile are
    /// what it costs.
    pub struct EnvoyAdaptive as "EnvoyAdaptive limit" {
        /// Which percentile of a window's times counts.
        sample_aggregate_percentile: Ratio = "50%",
        /// The highest limit.
        max_concurrency_limit: u32 = 1000,
        /// The length of a window. Envoy has no default; this is its documentation's example.
        concurrency_update_interval: Seconds = "100ms",
        /// From the end of a measurement of the time without load to the next. Envoy has no default, likewise.
        interval: Seconds = "60s",
        /// How many requests such a measurement takes.
        request_count: u32 = 50,
        /// How much later the next may be, as a share of `interval`.
        jitter: Ratio = "15%",
        /// The lowest limit, and the limit while the time without load is measured.
        min_concurrency: u32 = 3,
        /// How much longer than without load calls may take.
        buffer: Ratio = "25%",
    }
}

choice! {
    /// How a concurrency limit is found. All but the last are those of Netflix' concurrency-limits (snapshot 78a74b9).
    pub enum LimitAlgorithm {
        /// It is given.
        Fixed(FixedLimit),
        /// By drops.
        Aimd(Aimd),
        /// By the queue that times speak of.
        Vegas(Vegas),
        /// By the shortest time over the present one.
        Gradient(Gradient),
        /// By the usual time over the present one.
        Gradient2(Gradient2),
        /// By Envoy's controller.
        EnvoyAdaptive(EnvoyAdaptive),
    }
}

record! {
    /// `WindowedLimit`: samples are gathered over a window, and the algorithm is told their mean time, the most calls
    /// in progress, and whether any was dropped.
    pub struct Windowed {
        /// The shortest window (`minWindowTime`).
        min_window_time: Seconds = "1s",
        /// The longest; between the two it is twice the shortest time of a sample in it (`maxWindowTime`).
        max_window_time: Seconds = "1s",
        /// A window with fewer samples tells nothing, at least 10 (`windowSize`).
        window_size: u32 = 10,
        /// Samples below this are left out (`minRttThreshold`).
        min_rtt_threshold: Seconds = "100us",
    }
}
record! {
    /// `LifoBlockingLimiter`: calls beyond the limit wait, and the last that came goes on first.
    pub struct LifoBlocking {
        /// The most that wait (`backlogSize`).
        backlog_size: u32 = 100,
        /// The longest wait (`backlogTimeout`).
        backlog_timeout: Seconds = "1s",
    }
}

record! {
    /// Limits the calls in progress to what the callee seems to bear. Calls beyond it end as `Rejected`, or wait. Of a
    /// call that ends well the time is a sample; one that times out, is rejected or finds no target counts as dropped;
    /// one that ends with an error, or is called off, teaches nothing (Envoy's controller learns from errors, too).
    pub struct ConcurrencyLimit [algorithm] {
        /// How the limit is found.
        algorithm: LimitAlgorithm,
        /// Whether samples are gathered over windows.
        windowed: Option<Windowed> = None,
        /// Whether calls beyond the limit wait.
        lifo_blocking: Option<LifoBlocking> = None,
        /// Who shares the limit.
        per: Per = Instance,
    }
}

record! {
    /// A concurrency limit at an instance's own door: requests beyond it end as `Rejected` when they come, before any
    /// queue. It counts requests that wait for a worker, too, so times rise with the queue. Health checks always pass
    /// and do not count. A request whose caller calls it off counts as dropped here.
    pub struct Admission [algorithm] {
        /// How the limit is found.
        algorithm: LimitAlgorithm,
        /// Whether samples are gathered over windows.
        windowed: Option<Windowed> = None,
    }
}
