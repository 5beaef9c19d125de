//! Policies: stacks of layers around a call, outermost first.

pub mod breakers;
pub mod budgets;
pub mod concurrency;
pub mod connect;
pub mod hedges;
pub mod resilience4j;
pub mod retries;
pub mod throttling;
use self::budgets::RetryBudget;
use self::hedges::HedgeDelay;
pub mod http;
pub mod pools;
use super::decode::{Context, Variant};
use super::dist::Distribution;
use super::node::{Kind, Node};
use super::quantity::{Rate, Ratio, Seconds};
use super::source::Spanned;
use crate::{choice, record};
use http::{EnvoyLimits, Http1Pool};
use pools::{HikariPool, PgPool};

choice! {
    /// Who shares the state of a layer.
    pub enum Per {
        /// Each calling instance has its own, as client libraries do.
        Instance,
        /// All instances of the calling service share one, as a central proxy would.
        Service,
    }
}

choice! {
    /// How the wait before a retry grows.
    pub enum Backoff {
        /// No wait.
        None,
        /// The same wait before every retry.
        Constant(ConstantBackoff),
        /// A wait that grows by a factor, up to a limit.
        Exponential(ExponentialBackoff),
        /// One wait after the other; the last repeats.
        Steps(StepsBackoff),
        /// A wait drawn anew before every retry.
        Random(RandomBackoff),
    }
    shorthand "None, for no wait" => no_backoff
}

/// RON reads a bare `None` as an absent value: here it is the name of a variant.
fn no_backoff(node: &Node, _: &mut Context) -> Option<Option<Backoff>> {
    matches!(node.kind, Kind::Nothing).then_some(Some(Backoff::None))
}

record! {
    /// The same wait before every retry.
    pub struct ConstantBackoff [wait] as "Constant backoff" {
        /// The wait.
        wait: Seconds,
    }
}
record! {
    /// A wait that grows by a factor: min(max, base x factor^n) before retry n = 0, 1, and so on.
    pub struct ExponentialBackoff [base] as "Exponential backoff" {
        /// The wait before the first retry.
        base: Seconds,
        /// The factor of growth.
        factor: f64 = 2.0,
        /// The longest wait.
        max: Seconds = "20s",
    }
}
record! {
    /// Listed waits; the last repeats.
    pub struct StepsBackoff [waits] as "Steps backoff" {
        /// The waits.
        waits: Vec<Seconds>,
    }
}
record! {
    /// A wait drawn anew before every retry.
    pub struct RandomBackoff [wait] as "Random backoff" {
        /// What it is drawn from.
        wait: Distribution,
    }
}

choice! {
    /// How a wait is made random (AWS, "Exponential backoff and jitter").
    pub enum Jitter {
        /// Not at all.
        None,
        /// Any time from 0 to the wait.
        Full,
        /// Half the wait, plus any time up to the other half.
        Equal,
        /// From the base to three times the wait before, up to the limit.
        Decorrelated,
    }
    shorthand "None, for no jitter" => no_jitter
}

fn no_jitter(node: &Node, _: &mut Context) -> Option<Option<Jitter>> {
    matches!(node.kind, Kind::Nothing).then_some(Some(Jitter::None))
}

choice! {
    /// How a call can end. `Ok` and `Degraded` count as success.
    pub enum OutcomeName as "Outcome" {
        /// Answered in full.
        Ok,
        /// Answered by a fallback, or with a part missing.
        Degraded,
        /// Answered with an error, or the connection was broken.
        Error,
        /// No answer within a time limit.
        Timeout,
        /// Turned away by a limit.
        Rejected,
        /// There was no target.
        Unavailable,
        /// Called off by the caller.
        Cancelled,
    }
}

choice! {
    /// What a retry makes of a wait that a rejection asks for.
    pub enum RetryAfter {
        /// It waits for at least so long.
        AtLeast,
        /// Nothing.
        Ignore,
    }
}

record! {
    /// Tries a failed call again.
    pub struct Retry {
        /// Retries after the first attempt.
        max: u32 = 3,
        /// The wait before each.
        backoff: Backoff = None,
        /// How the wait is made random.
        jitter: Jitter = None,
        /// The outcomes that are tried again.
        on: Vec<OutcomeName> = [Error, Timeout, Rejected, Unavailable],
        /// What limits the retries of all calls together.
        budget: Option<RetryBudget> = None,
        /// What becomes of a wait that a rejection asks for (`retry_after` of a `RateLimit` or an `External`).
        retry_after: RetryAfter = AtLeast,
    }
}

record! {
    /// Stops waiting for an answer.
    pub struct Timeout [limit] {
        /// The longest wait.
        limit: Seconds,
        /// Whether the callee is told and stops; if not, it works on for nobody.
        cancel: bool = false,
    }
}

record! {
    /// A timeout that is passed on with the call, as gRPC's deadline is (`grpc-timeout`): calls below have no more time
    /// than is left, whatever limits of their own they have; a call for which none is left is not sent, and ends as
    /// `Timeout`; a request that waited in line until it was over is not begun; and a retry that would have to wait
    /// until then is not made. A `Timeout` does none of this: those below know nothing of it.
    pub struct Deadline [limit] {
        /// The longest wait, if whoever calls has not less time left.
        limit: Seconds,
        /// Whether work under way is called off when the time is over; if not, it goes on for nobody.
        cancel: bool = false,
    }
}

record! {
    /// Stops calling what mostly fails. Behaves as opossum 10.0.0; put a `Timeout` inside it for opossum's `timeout`.
    pub struct Breaker {
        /// Opens when more than this percentage of the calls in the window failed (`errorThresholdPercentage`).
        error_percent: f64 = 50,
        /// The length of the rolling window (`rollingCountTimeout`).
        window: Seconds = "10s",
        /// The buckets that the window is made of (`rollingCountBuckets`).
        buckets: u32 = 10,
        /// How long it stays open before it lets one trial call through (`resetTimeout`).
        reset: Seconds = "30s",
        /// The fewest calls in the window before it can open (`volumeThreshold`).
        volume: u32 = 0,
        /// The most calls in progress; more are rejected and count as failures (`capacity`).
        capacity: Option<u32> = None,
        /// Whether it cannot open during its first window (`allowWarmUp`).
        warm_up: bool = false,
        /// Who shares the breaker.
        per: Per = Instance,
    }
}

record! {
    /// Limits the calls in progress, with a bounded room to wait in.
    pub struct Bulkhead [max] {
        /// The most calls in progress.
        max: u32,
        /// How many more may wait.
        queue: u32 = 0,
        /// The longest wait; without it a call waits for its turn.
        max_wait: Option<Seconds> = None,
        /// Who shares the limit.
        per: Per = Instance,
    }
}

record! {
    /// A pool of connections to the callee. Behaves as sequelize-pool 8.0.1.
    pub struct Pool {
        /// The most connections (`max`).
        max: u32 = 5,
        /// Connections that idling does not close (`min`); not opened in advance.
        min: u32 = 0,
        /// The longest wait for a connection (`acquireTimeoutMillis`).
        acquire_timeout: Seconds = "60s",
        /// How long a connection may lie idle (`idleTimeoutMillis`).
        idle: Seconds = "10s",
        /// How often idle connections are looked through (`reapIntervalMillis`).
        evict: Seconds = "1s",
        /// Uses after which a connection is closed (`maxUses`).
        max_uses: Option<u32> = None,
        /// The time to open a connection.
        connect: Distribution = "0s",
        /// The longest time the server works on one call; it stops the work (`statement_timeout`).
        statement_timeout: Option<Seconds> = None,
        /// Who shares the pool.
        per: Per = Instance,
    }
}

record! {
    /// Answers from the results of earlier calls.
    pub struct CacheFallback [ttl] as "Cache fallback" {
        /// How old a stored answer may be.
        ttl: Seconds,
        /// The share of calls whose answer has been stored before.
        coverage: Ratio = "100%",
    }
}
record! {
    /// Calls something else instead.
    pub struct CallFallback [to] as "Call fallback" {
        /// Another endpoint: `component/endpoint`.
        to: Spanned<String>,
        /// The policy around that call.
        through: Option<Spanned<String>> = None,
    }
}
choice! {
    /// What to answer when the call fails.
    pub enum FallbackOption {
        /// A stored answer, if there is one.
        Cache(CacheFallback),
        /// A default value, always there.
        Value,
        /// The answer of another endpoint.
        Call(CallFallback),
    }
}
record! {
    /// Answers something else when the call fails; the outcome is then degraded, not failed.
    pub struct Fallback [options] {
        /// What to try, in order.
        options: Vec<FallbackOption>,
    }
}

choice! {
    /// When a message that was lost is sent again.
    pub enum Retransmission {
        /// After 200 ms, Linux's minimum.
        Minimum,
        /// After the mean round trip and four times its deviation, but at least 200 ms more than the round trip (RFC
        /// 6298 with Linux's minimum), as of a connection that has known this network for long.
        Rfc6298,
    }
}

record! {
    /// The network between caller and callee.
    pub struct Network [latency] {
        /// The time one way; request and answer each take it.
        latency: Distribution,
        /// The chance that a message is lost and sent again after a time that doubles with each loss, up to 120 s, as
        /// Linux does.
        loss: Ratio = 0,
        /// The first such time.
        retransmission: Retransmission = Minimum,
    }
}

record! {
    /// Tokens accrue continuously at a rate, up to a burst, and are there in full at the start; a call takes one or is
    /// turned away.
    pub struct TokenBucket [rate, burst] {
        /// How fast tokens accrue.
        rate: Rate,
        /// The most tokens that can be saved up.
        burst: u32,
    }
}
record! {
    /// A line that calls leave at a constant pace, one every 1/rate (rounded up to whole nanoseconds).
    pub struct LeakyBucket [rate, capacity] {
        /// How fast calls leave the line.
        rate: Rate,
        /// How many calls may wait; more are turned away.
        capacity: u32,
    }
}
record! {
    /// The generic cell rate algorithm. It decides as a token bucket of the same rate and burst does.
    pub struct Gcra [rate, burst] {
        /// How many calls pass in the long run.
        rate: Rate,
        /// The most calls at once.
        burst: u32,
    }
}
record! {
    /// So many calls in each window. Windows begin at multiples of their length from the start of the run, so twice
    /// the limit may pass around a boundary.
    pub struct FixedWindow [limit, window] {
        /// The most calls in a window.
        limit: u32,
        /// The length of a window.
        window: Seconds,
    }
}
record! {
    /// So many calls in any window, by an exact log of their times.
    pub struct SlidingWindow [limit, window] {
        /// The most calls in a window.
        limit: u32,
        /// The length of the window.
        window: Seconds,
    }
}
record! {
    /// A sliding window estimated from two fixed ones, as Cloudflare has it: the calls of this window, and those of
    /// the previous one in proportion to how much of it the sliding window still covers. A call passes while the
    /// estimate is below the limit.
    pub struct SlidingCounter [limit, window] {
        /// The most calls in a window.
        limit: u32,
        /// The length of a window.
        window: Seconds,
    }
}

choice! {
    /// How calls are counted against a limit.
    pub enum RateAlgorithm {
        /// Bursts pass as far as unused calls were saved up.
        TokenBucket(TokenBucket),
        /// Bursts wait in line.
        LeakyBucket(LeakyBucket),
        /// A token bucket, told by times.
        Gcra(Gcra),
        /// So many calls between two strokes of the clock.
        FixedWindow(FixedWindow),
        /// So many calls in any length of time.
        SlidingWindow(SlidingWindow),
        /// Nearly that, from two counters.
        SlidingCounter(SlidingCounter),
        /// So many calls in each period; the rest reserve places in later ones.
        Resilience4j(resilience4j::Resilience4jRateLimiter),
    }
}

choice! {
    /// Which calls share a limit.
    pub enum RateKey {
        /// All of them.
        All,
        /// Those made for the same tenant, by its name; calls for no tenant have a limit of their own.
        Tenant,
    }
}

record! {
    /// Limits how many calls begin in a time. Calls that are turned away end as `Rejected`.
    pub struct RateLimit [algorithm] {
        /// How calls are counted.
        algorithm: RateAlgorithm,
        /// Which calls are counted together.
        key: RateKey = All,
        /// Who shares the limit.
        per: Per = Instance,
        /// The wait that those are told who are turned away (`Retry-After`); retries obey it in their own ways.
        retry_after: Option<Seconds> = None,
    }
}

record! {
    /// Sends another attempt when there is no answer after a while. The first answer that ends well is the call's; an
    /// attempt that fails sends the next one at once, and when all have failed, so has the call (gRPC, A6).
    pub struct Hedge [delay] {
        /// From one attempt to the next: a duration, or `Percentile(95, "1s")` of what attempts took of late.
        delay: HedgeDelay,
        /// The most attempts beside the first.
        max: u32 = 1,
        /// Whether the other attempts are called off once one has ended well; if not, they go on for nobody.
        cancel: bool = true,
    }
}

record! {
    /// Stops calling what fails several times in a row. Results count only in the state in which their call was sent:
    /// late answers of earlier calls neither close nor open it (as in gobreaker).
    pub struct ConsecutiveBreaker {
        /// Opens after so many failures without a success between them.
        failures: u32 = 5,
        /// How long it stays open before it lets trial calls through.
        reset: Seconds = "30s",
        /// The most trial calls under way at once. One that fails opens it again.
        trials: u32 = 1,
        /// How many trial calls must end well, one after the other, to close it.
        successes: u32 = 1,
        /// Who shares the breaker.
        per: Per = Instance,
    }
}

choice! {
    /// Which entry of a full cache makes room for another.
    pub enum Eviction {
        /// The one whose last access is longest ago.
        Lru,
        /// The one that was stored first; storing a key again counts as new.
        Fifo,
        /// Any.
        Random,
        /// The one with the fewest accesses since it came; of equals, the one whose last access is longest ago.
        Lfu,
    }
}
record! {
    /// Keeps answers, by the endpoint that is called and the request's key (see `keys` of `Clients`): a call that
    /// finds one goes no further. A call without a key always goes down. Answers that are `Ok` are kept; degraded ones
    /// are passed on and not kept. An entry that has expired counts as absent from that moment and takes no room.
    pub struct Cache [ttl] {
        /// How long an answer is fresh, from when it came; without it, for ever.
        ttl: Option<Seconds> = None,
        /// The most entries; without it, any number.
        capacity: Option<u32> = None,
        /// Which entry makes room when the cache is full.
        eviction: Eviction = Lru,
        /// Whether each access makes an entry as good as new, so that `ttl` counts from the last access.
        renew: bool = false,
        /// The time that an answer from the cache takes; a call that finds nothing goes down at once.
        hit: Distribution = "0s",
        /// Whether calls for a key that is being fetched wait for that fetch and share its outcome, errors too
        /// (single flight). If the fetch is called off, the first of those who wait makes its own.
        coalesce: bool = false,
        /// How long failures are kept; they are answered again as they were. Without it they are not kept.
        negative_ttl: Option<Seconds> = None,
        /// How long after its end an answer is still served, while one fetch brings a new one (RFC 5861).
        stale_while_revalidate: Option<Seconds> = None,
        /// How long after its end an answer is still served, as degraded, if fetching a new one fails (RFC 5861).
        stale_if_error: Option<Seconds> = None,
        /// Who shares the cache. One per instance is lost with its process.
        per: Per = Instance,
        /// What it costs, if it is a content delivery network in front of everything.
        cdn: Option<super::cost::Cdn> = None,
    }
}

choice! {
    /// A layer of a policy. The first of a stack is the outermost: a call goes down through the layers in order, and
    /// its answer comes back up through them.
    pub enum Layer {
        /// Answers something else when the call fails.
        Fallback(Fallback),
        /// Tries a failed call again.
        Retry(Retry),
        /// Stops calling what mostly fails.
        Breaker(Breaker),
        /// Limits the calls in progress.
        Bulkhead(Bulkhead),
        /// Stops waiting for an answer.
        Timeout(Timeout),
        /// A pool of connections to the callee.
        Pool(Pool),
        /// The network between caller and callee.
        Network(Network),
        /// Limits how many calls begin in a time.
        RateLimit(RateLimit),
        /// Sends another attempt when an answer is late.
        Hedge(Hedge),
        /// Stops calling what fails several times in a row.
        ConsecutiveBreaker(ConsecutiveBreaker),
        /// Keeps answers for those who ask the same again.
        Cache(Cache),
        /// resilience4j's circuit breaker.
        Resilience4jBreaker(breakers::Resilience4jBreaker),
        /// Polly's circuit breaker.
        PollyBreaker(breakers::PollyBreaker),
        /// opossum's circuit breaker, with its timeout.
        OpossumBreaker(breakers::OpossumBreaker),
        /// Limits the calls in progress to what the callee seems to bear.
        ConcurrencyLimit(concurrency::ConcurrencyLimit),
        /// Turns calls away at random where the callee does not accept them (Google).
        AdaptiveThrottling(throttling::AdaptiveThrottling),
        /// Turns calls away at random where they fail (Envoy).
        AdmissionControl(throttling::AdmissionControl),
        /// Tries again as an AWS SDK does.
        AwsSdk(retries::AwsSdk),
        /// Tries again as gRPC does.
        GrpcRetry(retries::GrpcRetry),
        /// Tries again as Envoy does.
        EnvoyRetry(retries::EnvoyRetry),
        /// Tries again as Polly does.
        PollyRetry(retries::PollyRetry),
        /// Tries again as resilience4j does.
        Resilience4jRetry(retries::Resilience4jRetry),
        /// Tries again as Finagle does.
        FinagleRetry(retries::FinagleRetry),
        /// Limits the rate of attempts as an AWS SDK in adaptive mode does.
        AwsAdaptive(retries::AwsAdaptive),
        /// Sends other attempts as gRPC does.
        GrpcHedge(hedges::GrpcHedge),
        /// Sends other attempts as Polly does.
        PollyHedge(hedges::PollyHedge),
        /// Stops waiting at a moment that all who are called know of.
        Deadline(Deadline),
        /// A pool of connections as HikariCP keeps it.
        HikariPool(HikariPool),
        /// A pool of connections as node-postgres keeps it.
        PgPool(PgPool),
        /// Envoy's limits on connections and requests.
        EnvoyLimits(EnvoyLimits),
        /// Keep-alive connections of HTTP/1.1.
        Http1Pool(Http1Pool),
        /// Threads of its own for calls, and a queue (resilience4j).
        ThreadPoolBulkhead(resilience4j::ThreadPoolBulkhead),
        /// Opens a connection, or takes one that is open.
        Connect(connect::Connect),
    }
}

/// The fields that a record may be given by position, by the record's name: for paths into such records.
pub fn positional(name: &str) -> &'static [&'static str] {
    use super::dist as d;
    match name {
        "Timeout" => Timeout::positional(),
        "Bulkhead" => Bulkhead::positional(),
        "Cache" => CacheFallback::positional(),
        "Call" => super::topology::Call::positional(),
        "Fallback" => Fallback::positional(),
        "Network" => Network::positional(),
        "Steps" => StepsBackoff::positional(),
        "Random" => RandomBackoff::positional(),
        "RateLimit" => RateLimit::positional(),
        "TokenBucket" => TokenBucket::positional(),
        "LeakyBucket" => LeakyBucket::positional(),
        "Gcra" => Gcra::positional(),
        "FixedWindow" => FixedWindow::positional(),
        "SlidingWindow" => SlidingWindow::positional(),
        "SlidingCounter" => SlidingCounter::positional(),
        "Hedge" => Hedge::positional(),
        "Constant" => d::Constant::positional(),
        "Exponential" => d::Exponential::positional(),
        "Uniform" => d::Uniform::positional(),
        "Normal" => d::Normal::positional(),
        "Gamma" => d::Gamma::positional(),
        "Erlang" => d::Erlang::positional(),
        "Mixture" => d::Mixture::positional(),
        "Shifted" => d::Shifted::positional(),
        "Scaled" => d::Scaled::positional(),
        "Work" => super::topology::Work::positional(),
        "Wait" => super::topology::Wait::positional(),
        "Hold" => super::topology::Hold::positional(),
        "Fail" => super::topology::Fail::positional(),
        "Replication" => super::database::Replication::positional(),
        "Disk" => super::database::Disk::positional(),
        "Gp2" => super::database::Gp2::positional(),
        "Io" => super::database::Io::positional(),
        "Lock" => super::database::Lock::positional(),
        "KillQueries" => super::experiment::KillQueries::positional(),
        "WeightedFair" => super::waiting::WeightedFair::positional(),
        "Cpu" => super::autoscaler::CpuMetric::positional(),
        "InFlight" => super::autoscaler::InFlightMetric::positional(),
        "Memory" => super::autoscaler::MemoryMetric::positional(),
        "Pods" => super::autoscaler::PodsPolicy::positional(),
        "Percent" => super::autoscaler::PercentPolicy::positional(),
        "NodePod" => super::autoscaler::nodes::NodePod::positional(),
        "QueueLength" => super::autoscaler::keda::QueueLength::positional(),
        "Backlog" => super::autoscaler::keda::Backlog::positional(),
        "RequestsInFlight" => super::autoscaler::keda::RequestsInFlight::positional(),
        "Poisson" => super::topology::Poisson::positional(),
        "File" => super::topology::FileKeys::positional(),
        "At" => super::experiment::At::positional(),
        "Set" => super::experiment::Set::positional(),
        "Restart" => super::experiment::Restart::positional(),
        "ConcurrencyLimit" => concurrency::ConcurrencyLimit::positional(),
        "Admission" => concurrency::Admission::positional(),
        "Busy" => super::shedding::BusyShedding::positional(),
        "QueueThreshold" => super::shedding::QueueThreshold::positional(),
        "BusyThreshold" => super::shedding::BusyThreshold::positional(),
        "Fixed" => concurrency::FixedLimit::positional(),
        "ConstantWait" => breakers::ConstantWait::positional(),
        "OfExponentialBackoff" => breakers::OfExponentialBackoff::positional(),
        "Deadline" => Deadline::positional(),
        "Dns" => connect::Dns::positional(),
        "After" => hedges::FixedDelay::positional(),
        "Percentile" => hedges::PercentileDelay::positional(),
        "GrpcThrottling" => budgets::GrpcThrottling::positional(),
        "Envoy" => budgets::EnvoyRetries::positional(),
        "Const" => retries::FinagleConst::positional(),
        "Linear" => retries::FinagleLinear::positional(),
        "DecorrelatedJittered" | "EqualJittered" | "ExponentialJittered" => {
            retries::FinagleJittered::positional()
        }
        "Deploy" => super::deployment::Deploy::positional(),
        "Version" => super::deployment::Version::positional(),
        "Weight" => super::deployment::CanaryWeight::positional(),
        "Pause" => super::deployment::CanaryPause::positional(),
        "RollBack" => super::deployment::RollBack::positional(),
        "OnRestarts" => super::deployment::RestartLimit::positional(),
        _ => &[],
    }
}
