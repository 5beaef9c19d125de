//! Retries as products have them, with their parameters and defaults.

use super::budgets::{AwsStandard, GrpcThrottling, RetryBudget};
use super::{OutcomeName, Per};
use crate::spec::quantity::Seconds;
use crate::{choice, record};

choice! {
    /// How an AWS SDK tries again.
    pub enum AwsRetryMode as "AWS retry mode" {
        /// With a quota.
        Standard,
        /// With a quota, and an `AwsAdaptive` around each attempt.
        Adaptive,
    }
}
record! {
    /// The send-rate limit of the AWS SDKs in adaptive mode, with the constants of botocore 1.44.5. Everything passes
    /// until the first throttled answer (`Rejected`); from then on each attempt, first ones too, takes a token and
    /// waits until there is one. Throttling lowers the rate to `beta` times what it was, and it grows back along a
    /// cubic curve, up to `max_rate_adjust_scale` times what is really answered. Who waits goes on in order of arrival.
    /// Every answer from below counts, so put it inside the retry; `AwsSdk(retry_mode: Adaptive)` does.
    pub struct AwsAdaptive {
        /// How fast the cubic curve grows (`_SCALE_CONSTANT`).
        scale_constant: f64 = 0.4,
        /// What is left of the rate after throttling (`_BETA`).
        beta: f64 = 0.7,
        /// The weight of the newest measurement (`_DEFAULT_SMOOTHING`).
        smoothing: f64 = 0.8,
        /// The length of a measurement (`_TIME_BUCKET_RANGE`).
        time_bucket_range: Seconds = "500ms",
        /// The least rate per second (`_MIN_RATE`).
        min_rate: f64 = 0.5,
        /// How many times the rate of answers the limit may be (`_MAX_RATE_ADJUST_SCALE`).
        max_rate_adjust_scale: f64 = 2.0,
        /// Who shares the limit: an SDK has one for each client object.
        per: Per = Instance,
    }
}
record! {
    /// Retries of an AWS SDK in standard mode; the defaults are those of botocore 1.44.5. Before retry i (from 0) it
    /// waits rand(0, 1) x min(scale x 2^i, max_backoff). Throttling is the outcome `Rejected`. For DynamoDB
    /// `max_attempts` is 4 and `non_throttling_base_scale` 25ms; older SDKs scale by 1s always. A wait that a rejection
    /// asks for (`x-amz-retry-after`) prolongs its own by up to 5 s.
    pub struct AwsSdk {
        /// Attempts, the first included.
        max_attempts: u32 = 3,
        /// Whether the rate of attempts is limited, too.
        retry_mode: AwsRetryMode = Standard,
        /// The scale after all failures but throttling.
        non_throttling_base_scale: Seconds = "50ms",
        /// The scale after throttling.
        throttling_base_scale: Seconds = "1s",
        /// The longest wait.
        max_backoff: Seconds = "20s",
        /// The outcomes that are tried again.
        on: Vec<OutcomeName> = [Error, Timeout, Rejected, Unavailable],
        /// What retries are paid from.
        quota: AwsStandard = AwsStandard,
    }
}
record! {
    /// Retries as gRPC's service config has them (`retryPolicy`, proposal A6): before retry n (from 1) it waits
    /// min(initial_backoff x backoff_multiplier^(n-1), max_backoff) x U(0.8, 1.2). gRPC has no defaults: all has to be
    /// given. A wait that a rejection asks for (`grpc-retry-pushback-ms`) takes the place of its own, which begins anew
    /// after that.
    pub struct GrpcRetry {
        /// Attempts, the first included: at least 2, and more than 5 count as 5.
        max_attempts: u32,
        /// The wait before the first retry.
        initial_backoff: Seconds,
        /// The longest wait, before chance adds up to a fifth.
        max_backoff: Seconds,
        /// The factor of growth.
        backoff_multiplier: f64,
        /// The outcomes that are tried again (`retryableStatusCodes`).
        on: Vec<OutcomeName> = [Error, Rejected, Unavailable],
        /// Whether and when retries stop (`retryThrottling`).
        throttling: Option<GrpcThrottling> = None,
    }
}
record! {
    /// Retries of Envoy's router: before retry n (from 1) it waits U(0, min(base_interval x (2^n - 1), max_interval)).
    /// Put a `Timeout` around it for the route's timeout, which covers all tries (15s in Envoy), and one within it for
    /// `per_try_timeout`. Istio retries twice.
    pub struct EnvoyRetry {
        /// Retries after the first attempt.
        num_retries: u32 = 1,
        /// The longest wait before the first retry.
        base_interval: Seconds = "25ms",
        /// The longest wait; without it, ten times `base_interval`.
        max_interval: Option<Seconds> = None,
        /// The outcomes that are tried again (`retry_on`).
        on: Vec<OutcomeName> = [Error, Timeout, Rejected, Unavailable],
        /// What limits the retries of all calls together: Envoy always has a limit.
        budget: RetryBudget = Envoy,
    }
}
choice! {
    /// How Polly's wait grows.
    pub enum PollyBackoff as "Polly backoff" {
        /// Not at all.
        Constant,
        /// By `delay` each time.
        Linear,
        /// By a factor of 2 each time.
        Exponential,
    }
}
record! {
    /// Retries of Polly v8 (`RetryStrategyOptions`), with its defaults. With `use_jitter`, constant and linear waits
    /// vary by a quarter up and down; exponential ones follow a smooth curve (`DecorrelatedJitterBackoffV2`), whose
    /// first wait is near `delay` in the median and never as long as 1.4 times `delay`.
    pub struct PollyRetry {
        /// Retries after the first attempt.
        max_retry_attempts: u32 = 3,
        /// How the wait grows.
        backoff_type: PollyBackoff = Constant,
        /// The wait before the first retry.
        delay: Seconds = "2s",
        /// The longest wait.
        max_delay: Option<Seconds> = None,
        /// Whether waits are random.
        use_jitter: bool = false,
        /// The outcomes that are tried again.
        on: Vec<OutcomeName> = [Error, Timeout, Rejected, Unavailable],
    }
}
record! {
    /// Retries of resilience4j 2.3, with its defaults; `max_attempts` counts the first one, too. Waits are
    /// `wait_duration`, times `exponential_backoff_multiplier` each time if that is enabled, then up or down by
    /// `randomized_wait_factor` if that is; `exponential_max_wait_duration` cuts off what comes of it.
    pub struct Resilience4jRetry {
        /// Attempts, the first included.
        max_attempts: u32 = 3,
        /// The wait before the first retry.
        wait_duration: Seconds = "500ms",
        /// Whether the wait grows.
        enable_exponential_backoff: bool = false,
        /// The factor of growth.
        exponential_backoff_multiplier: f64 = 1.5,
        /// The longest wait.
        exponential_max_wait_duration: Option<Seconds> = None,
        /// Whether waits are random.
        enable_randomized_wait: bool = false,
        /// By what share they vary.
        randomized_wait_factor: f64 = 0.5,
        /// The outcomes that are tried again.
        on: Vec<OutcomeName> = [Error, Timeout, Rejected, Unavailable],
    }
}
record! {
    /// The same wait each time.
    pub struct FinagleConst [start] as "Finagle const" {
        /// The wait.
        start: Seconds = "0s",
    }
}
record! {
    /// A wait that grows by a factor.
    pub struct FinagleExponential [start, multiplier, maximum] as "Finagle exponential" {
        /// The wait before the first retry.
        start: Seconds,
        /// The factor of growth.
        multiplier: u32,
        /// The longest wait.
        maximum: Option<Seconds> = None,
    }
}
record! {
    /// A wait that grows by the same time.
    pub struct FinagleLinear [start, offset, maximum] as "Finagle linear" {
        /// The wait before the first retry.
        start: Seconds,
        /// By how much it grows.
        offset: Seconds,
        /// The longest wait.
        maximum: Option<Seconds> = None,
    }
}
record! {
    /// The first and the longest of random waits.
    pub struct FinagleJittered [start, maximum] as "Finagle jittered" {
        /// The wait before the first retry; there is no chance in it.
        start: Seconds,
        /// The longest wait, which is not reached by chance but stays once it is.
        maximum: Seconds,
    }
}
choice! {
    /// Finagle's `Backoff`. Its forms are not those of the same names elsewhere: the first wait is always `start`.
    pub enum FinagleBackoff as "Finagle backoff" {
        /// The same wait each time.
        Const(FinagleConst),
        /// A wait that grows by a factor.
        Exponential(FinagleExponential),
        /// A wait that grows by the same time.
        Linear(FinagleLinear),
        /// From the wait before to three times that: it never gets shorter.
        DecorrelatedJittered(FinagleJittered),
        /// h + U(0, h), h being `start` before the second retry and twice as long each time.
        EqualJittered(FinagleJittered),
        /// U(0, 2^n x the wait before) before retry n, from 0: it starts from its own last draw.
        ExponentialJittered(FinagleJittered),
    }
}
record! {
    /// Retries of Finagle (`RetryPolicy.tries` or `.backoff`, with its `RetryBudget`).
    pub struct FinagleRetry {
        /// Attempts, the first included.
        num_tries: u32 = 2,
        /// The wait before each retry.
        backoff: FinagleBackoff = Const,
        /// The outcomes that are tried again.
        on: Vec<OutcomeName> = [Error, Timeout, Rejected, Unavailable],
        /// What limits the retries of all calls together.
        budget: RetryBudget = Finagle,
    }
}
