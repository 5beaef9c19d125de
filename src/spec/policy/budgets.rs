//! Retry budgets: the general one, and those of products.

use super::Per;
use crate::spec::decode::{Context, Variant};
use crate::spec::node::{Kind, Node};
use crate::spec::quantity::Seconds;
use crate::{choice, record};

record! {
    /// A budget that retries are paid from, so that they cannot multiply an outage's load.
    pub struct Budget {
        /// Tokens that each call adds; a retry takes one, so 0.2 allows one retry in five calls.
        ratio: f64 = 0.2,
        /// Retries per second that are always allowed.
        min_per_second: f64 = 0.0,
        /// The most tokens that can be saved up.
        capacity: f64 = 10.0,
        /// Tokens at the start.
        initial: f64 = 0.0,
        /// Who shares the budget.
        per: Per = Instance,
    }
}
record! {
    /// The retry quota of the AWS SDKs in standard mode; the defaults are those of botocore 1.44.5. A call that
    /// succeeds after retries gets back what its last retry cost, one that fails in the end gets nothing, and time
    /// gives nothing: about 35 retries in vain (500/14) end all retrying until successes have paid for more. Throttling
    /// is the outcome `Rejected` (as of a 429); all other failures cost `retry_cost`. Older SDKs: `retry_cost: 5,
    /// throttling_retry_cost: 5, timeout_retry_cost: 10`.
    pub struct AwsStandard {
        /// Tokens at the start, and the most (`INITIAL_CAPACITY`).
        initial: u32 = 500,
        /// What a retry takes (`_RETRY_COST`).
        retry_cost: u32 = 14,
        /// What a retry takes after throttling (`_THROTTLING_RETRY_COST`).
        throttling_retry_cost: u32 = 5,
        /// What a retry takes after a timeout, if not `retry_cost`.
        timeout_retry_cost: Option<u32> = None,
        /// What a success without retries gives (`_NO_RETRY_INCREMENT`).
        no_retry_increment: u32 = 1,
        /// Who shares the quota: an SDK has one for each client object.
        per: Per = Instance,
    }
}
record! {
    /// gRPC's retry throttling (proposal A6): each attempt that fails takes a token, each success adds `token_ratio`,
    /// and only while more than half of the tokens are left are there retries and hedges. First attempts always go out.
    /// All calls of a caller to the same callee share the tokens, as gRPC keeps them by server name; the settings given
    /// last in the file hold. In gRPC both numbers have to be given.
    pub struct GrpcThrottling [max_tokens, token_ratio] {
        /// Tokens at the start, and the most (`maxTokens`, up to 1000).
        max_tokens: u32,
        /// What a success adds (`tokenRatio`, three decimals).
        token_ratio: f64,
        /// Who shares the tokens.
        per: Per = Instance,
    }
}
record! {
    /// Finagle's `RetryBudget`, with its defaults. Requests deposit and retries withdraw; both are forgotten after
    /// `ttl`, in slices of a tenth of it. The reserve of `ttl x min_retries_per_sec` is there at the start: 100
    /// retries.
    pub struct FinagleBudget as "Finagle budget" {
        /// How long deposits and withdrawals count, from 1 s to 60 s.
        ttl: Seconds = "10s",
        /// Retries per second that are always allowed.
        min_retries_per_sec: u32 = 10,
        /// Retries for each request beside those: 0.2 for one in five requests; it may be more than 1.
        percent_can_retry: f64 = 0.2,
        /// Who shares the budget.
        per: Per = Instance,
    }
}
record! {
    /// Envoy's limit of retries at once, part of what it calls circuit breakers. A retry counts from when it is decided
    /// on until its answer. It is on by default, with three; a client whose retries end quickly is hardly ever stopped
    /// by it.
    pub struct EnvoyRetries [max_retries] as "Envoy retries" {
        /// The most retries at once. Istio sets 4294967295.
        max_retries: u32 = 3,
        /// Who shares the limit.
        per: Per = Instance,
    }
}
record! {
    /// Envoy's `retry_budget`, in place of `max_retries`: retries at once, up to a share of the requests under way.
    pub struct EnvoyBudget {
        /// Per cent of the attempts under way.
        budget_percent: f64 = 20.0,
        /// So many retries at once are always allowed.
        min_retry_concurrency: u32 = 3,
        /// Who shares the budget.
        per: Per = Instance,
    }
}

choice! {
    /// What limits the retries of all calls together. A retry that the budget does not allow is not made: the failure
    /// is the call's outcome at once.
    pub enum RetryBudget {
        /// A bucket of tokens, filled by calls and by time.
        Budget(Budget),
        /// The AWS SDKs' quota: filled by successes alone.
        AwsStandard(AwsStandard),
        /// gRPC's: retries only while failures are rare.
        GrpcThrottling(GrpcThrottling),
        /// Finagle's: a share of the last seconds' requests.
        Finagle(FinagleBudget),
        /// Envoy's: so many at once.
        Envoy(EnvoyRetries),
        /// Envoy's: a share of those under way.
        EnvoyBudget(EnvoyBudget),
    }
    shorthand "the fields of a `Budget`, without its name" => unnamed
}

fn unnamed(node: &Node, cx: &mut Context) -> Option<Option<RetryBudget>> {
    let is_unnamed = matches!(node.kind, Kind::Record { .. }) && node.name().is_none();
    is_unnamed.then(|| Budget::decode_as("Budget", node, cx).map(RetryBudget::Budget))
}

impl RetryBudget {
    /// Who shares it.
    pub fn per(&self) -> &Per {
        match self {
            Self::Budget(b) => &b.per,
            Self::AwsStandard(b) => &b.per,
            Self::GrpcThrottling(b) => &b.per,
            Self::Finagle(b) => &b.per,
            Self::Envoy(b) => &b.per,
            Self::EnvoyBudget(b) => &b.per,
        }
    }
}
