//! AWS Lambda.

use super::dist::Distribution;
use super::quantity::Seconds;
use crate::record;

record! {
    /// Runs a service as an AWS Lambda function (developer guide, 2024): each request has an execution environment of
    /// its own. If none is free, a new one is initialised first (a cold start); beyond the limits the request is
    /// throttled and ends as `Rejected`. New environments come at a rate that is refilled continuously and not saved
    /// up, for each function by itself. How long an idle environment is kept is not published by AWS.
    pub struct Lambda {
        /// The time to initialise a new environment.
        init: Distribution = "500ms",
        /// The most environments at once: the function's reserved concurrency, or what the account has left for it.
        concurrency: u32 = 1000,
        /// Environments that are initialised beforehand and kept (provisioned concurrency).
        provisioned: u32 = 0,
        /// How many new environments can be had at once, and in each `scaling_period`.
        scaling_batch: u32 = 1000,
        /// The time in which a batch is refilled.
        scaling_period: Seconds = "10s",
        /// How long an idle environment is kept.
        idle_timeout: Seconds = "10m",
    }
}
