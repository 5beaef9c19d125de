//! Hedges: when they are sent, and those of products.

use super::budgets::GrpcThrottling;
use super::{OutcomeName, Per};
use crate::spec::decode::{Context, Decode, Variant};
use crate::spec::node::{Kind, Node};
use crate::spec::quantity::Seconds;
use crate::{choice, record};

record! {
    /// Always the same time.
    pub struct FixedDelay [delay] as "Fixed delay" {
        /// From one attempt to the next.
        delay: Seconds,
    }
}
record! {
    /// A percentile of the latencies that attempts had of late, so that only so many calls are hedged. An attempt that
    /// was called off counts with the time that it had taken until then.
    pub struct PercentileDelay [percentile, initial] as "Percentile delay" {
        /// Which: 95 hedges one call in twenty.
        percentile: f64,
        /// The delay until `min_samples` latencies are known.
        initial: Seconds,
        /// How many latencies have to be known.
        min_samples: u32 = 20,
        /// Latencies count for at least so long, and at most twice as long.
        window: Seconds = "30s",
        /// Who shares what is known.
        per: Per = Instance,
    }
}
choice! {
    /// When the next attempt of a hedge is sent.
    pub enum HedgeDelay {
        /// After a time.
        After(FixedDelay),
        /// When the answer is later than most.
        Percentile(PercentileDelay),
    }
    shorthand "a duration" => duration
}

fn duration(node: &Node, cx: &mut Context) -> Option<Option<HedgeDelay>> {
    matches!(node.kind, Kind::Text(_) | Kind::Number(_)).then(|| {
        let delay = Seconds::decode(node, cx)?;
        let mut fixed = FixedDelay::decode_as("After", node, cx)?;
        fixed.delay = delay;
        Some(HedgeDelay::After(fixed))
    })
}

record! {
    /// Hedging as gRPC's service config has it (`hedgingPolicy`, proposal A6): attempt k is sent after k times the
    /// delay. A failure that is not fatal sends the next at once, a fatal one ends the call, and so does a success; the
    /// others are then called off. There is no retry after all have failed.
    pub struct GrpcHedge {
        /// Attempts, the first included: at least 2, and more than 5 count as 5.
        max_attempts: u32,
        /// From one attempt to the next; at once if not given.
        hedging_delay: Seconds = "0s",
        /// The failures that are not fatal (`nonFatalStatusCodes`).
        non_fatal: Vec<OutcomeName> = [Error, Rejected, Unavailable],
        /// Whether and when hedges stop (`retryThrottling`); the tokens are those of `GrpcRetry` to the same callee.
        throttling: Option<GrpcThrottling> = None,
    }
}
record! {
    /// Hedging of Polly v8 (`HedgingStrategyOptions`), with its defaults. A failure sends the next attempt at once.
    pub struct PollyHedge {
        /// Attempts beside the first, from 1 to 10.
        max_hedged_attempts: u32 = 1,
        /// From one attempt to the next.
        delay: Seconds = "2s",
    }
}
