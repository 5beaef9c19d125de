//! Breakers with the names and defaults of their products.

use super::Per;
use crate::spec::decode::{Context, Decode};
use crate::spec::node::{Kind, Node};
use crate::spec::quantity::{Ratio, Seconds};
use crate::spec::source::Places;
use crate::{choice, record};

choice! {
    /// What a resilience4j breaker's window is made of.
    pub enum SlidingWindowType {
        /// The last results, so many; they are never forgotten by time.
        Count,
        /// Whole seconds of the clock, so many: the span is up to a second less.
        Time,
    }
}

choice! {
    /// The state that a resilience4j breaker goes to when it has been half open for too long.
    pub enum StateAfterWait {
        /// It opens, and waits again.
        Open,
        /// It closes.
        Closed,
    }
}

record! {
    /// The same wait each time.
    pub struct ConstantWait [wait] as "ConstantWait" {
        /// The wait.
        wait: Seconds,
    }
}
record! {
    /// resilience4j's `IntervalFunction.ofExponentialBackoff`: the wait grows each time it opens without having closed,
    /// in whole milliseconds, rounded down at each step.
    pub struct OfExponentialBackoff [initial_interval, multiplier, max_interval] {
        /// The first wait.
        initial_interval: Seconds = "500ms",
        /// The factor of growth.
        multiplier: f64 = 1.5,
        /// The longest wait; without it there is none.
        max_interval: Option<Seconds> = None,
    }
}
choice! {
    /// How long a resilience4j breaker stays open.
    pub enum WaitInOpenState {
        /// The same time each time.
        ConstantWait(ConstantWait),
        /// Longer each time it opens without having closed.
        OfExponentialBackoff(OfExponentialBackoff),
    }
    shorthand "a duration, for the same wait each time" => constant_wait
}

fn constant_wait(node: &Node, cx: &mut Context) -> Option<Option<WaitInOpenState>> {
    match node.kind {
        Kind::Text(_) | Kind::Number(_) => Some(Seconds::decode(node, cx).map(|wait| {
            WaitInOpenState::ConstantWait(ConstantWait { wait, span: node.span, places: Places::default() })
        })),
        _ => None,
    }
}

record! {
    /// resilience4j's circuit breaker. Behaves as resilience4j-circuitbreaker 2.3.0 (Java); names are its own.
    /// It opens when a result leaves the share of failures, or that of slow calls, at or above its threshold. It
    /// becomes half open *lazily*, with the first call that comes after the wait; then so many calls pass in all, and
    /// once they have results it closes or opens again. Results count in the state that is current when they come:
    /// late answers of earlier calls count toward half open. All failures count (`recordExceptions` and its kin are
    /// at their defaults); calls that their caller calls off count for nothing and give their place back.
    pub struct Resilience4jBreaker {
        /// What the window is made of (`slidingWindowType`).
        sliding_window_type: SlidingWindowType = Count,
        /// How many results, or how many seconds (`slidingWindowSize`).
        sliding_window_size: u32 = 100,
        /// The fewest results before it can open; of a window of results, at most its size (`minimumNumberOfCalls`).
        minimum_number_of_calls: u32 = 100,
        /// Opens at this percentage of failures, or above (`failureRateThreshold`).
        failure_rate_threshold: f64 = 50,
        /// Opens at this percentage of slow calls, or above (`slowCallRateThreshold`).
        slow_call_rate_threshold: f64 = 100,
        /// A call that took longer is slow, however it ended (`slowCallDurationThreshold`).
        slow_call_duration_threshold: Seconds = "60s",
        /// How many calls pass while half open, in all (`permittedNumberOfCallsInHalfOpenState`).
        permitted_number_of_calls_in_half_open_state: u32 = 10,
        /// How long it stays open (`waitDurationInOpenState`, `waitIntervalFunctionInOpenState`).
        wait_duration_in_open_state: WaitInOpenState = "60s",
        /// How long it may be half open; 0 for as long as results are missing (`maxWaitDurationInHalfOpenState`).
        max_wait_duration_in_half_open_state: Seconds = "0s",
        /// The state after that (`transitionToStateAfterWaitDuration`).
        transition_to_state_after_wait_duration: StateAfterWait = Open,
        /// Whether a timer makes it half open, not the next call (`automaticTransitionFromOpenToHalfOpenEnabled`).
        automatic_transition_from_open_to_half_open_enabled: bool = false,
        /// Who shares the breaker.
        per: Per = Instance,
    }
}

record! {
    /// Polly's circuit breaker, version 8 (.NET), after its source; not compared with recordings. It breaks when a
    /// failure leaves the share of failures at or above its ratio. After the break the next call is a probe, and all
    /// others are rejected until any result comes; a probe that never answers, or that its caller calls off, blocks
    /// everything for ever.
    pub struct PollyBreaker {
        /// Breaks at this share of failures, or above (`FailureRatio`).
        failure_ratio: Ratio = 0.1,
        /// The fewest results in the window before it can break, at least 2 (`MinimumThroughput`).
        minimum_throughput: u32 = 100,
        /// The length of the window, from 0.5 s to a day. It has ten parts that follow the traffic
        /// (`SamplingDuration`).
        sampling_duration: Seconds = "30s",
        /// How long it stays open, from 0.5 s to a day (`BreakDuration`).
        break_duration: Seconds = "5s",
        /// Who shares the breaker.
        per: Per = Instance,
    }
}

record! {
    /// opossum's breaker, version 10.0.0 (Node), under its own names: the layer `Breaker` with opossum's timeout
    /// inside. A call that times out goes on at the callee, for nobody; its permit is free, and what it answers is
    /// ignored. A `Cache` and a `Fallback` are layers of their own.
    pub struct OpossumBreaker {
        /// The longest wait for an answer; `None` for no limit (`timeout`).
        timeout: Option<Seconds> = "10s",
        /// Opens when more than this percentage of the calls in the window failed (`errorThresholdPercentage`).
        error_threshold_percentage: f64 = 50,
        /// How long it stays open before it lets one trial call through (`resetTimeout`).
        reset_timeout: Seconds = "30s",
        /// The length of the rolling window (`rollingCountTimeout`).
        rolling_count_timeout: Seconds = "10s",
        /// The buckets that the window is made of (`rollingCountBuckets`).
        rolling_count_buckets: u32 = 10,
        /// The fewest calls in the window before it can open (`volumeThreshold`).
        volume_threshold: u32 = 0,
        /// The most calls in progress; more are rejected and count as failures (`capacity`).
        capacity: Option<u32> = None,
        /// Whether it cannot open during its first window (`allowWarmUp`).
        allow_warm_up: bool = false,
        /// Who shares the breaker.
        per: Per = Instance,
    }
}
