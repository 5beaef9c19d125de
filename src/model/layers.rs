//! The layers of policies compiled.

use super::Draw;
use crate::base::SimDuration;
use crate::base::dist::Dist;
use crate::components::breaker::family::AnyBreakerConfig;
use crate::components::budget::family::AnyBudgetConfig;
use crate::components::bulkhead::family::AnyBulkheadConfig;
use crate::components::cache::CacheConfig;
use crate::components::concurrency::LimiterConfig;
use crate::components::dns::DnsConfig;
use crate::components::percentile::PercentileConfig;
use crate::components::pool::family::AnyPoolConfig;
use crate::components::rate_limit::RateLimitConfig;
use crate::components::retry::{OutcomeSet, RetryConfig};
use crate::components::tcp::{SynRetries, Tls};
use crate::components::throttling::ThrottleConfig;
/// A layer of a policy stack.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What it does.
    pub kind: LayerKind,
    /// The first of its states; see [`SlotCounts`].
    pub slot: u32,
    /// Whether all calling instances share one state.
    pub shared: bool,
}

impl Layer {
    /// The state that calls of this instance of the calling group use.
    #[inline(always)]
    pub fn slot_of(&self, owner: u32) -> usize {
        (self.slot + if self.shared { 0 } else { owner }) as usize
    }
}

/// What a layer does. As with steps, its kind is a byte of its own.
#[derive(Clone, Debug)]
#[repr(u8)]
pub enum LayerKind {
    /// Answers something else when the call fails. The state is when it last saw a success.
    Fallback {
        /// What to try, in order.
        options: Vec<FallbackOption>,
        /// The salt of the cache's coverage.
        salt: u64,
    },
    /// Tries again. The state is the budget, if it has one.
    Retry {
        /// How.
        config: RetryConfig,
        /// A wait drawn anew before each retry, instead of the backoff.
        random: Option<Dist>,
        /// Whether a budget limits it.
        budget: Option<AnyBudgetConfig>,
        /// The salt of waits and jitter.
        salt: u64,
    },
    /// Stops calling what mostly fails.
    Breaker(AnyBreakerConfig),
    /// Limits calls in progress.
    Bulkhead {
        /// How.
        config: AnyBulkheadConfig,
    },
    /// Stops waiting.
    Timeout {
        /// After how long.
        limit: SimDuration,
        /// Whether the callee stops too.
        cancel: bool,
    },
    /// Stops waiting after a time drawn for each request, and calls it off.
    Patience(Draw),
    /// A pool of connections.
    Pool {
        /// How it behaves.
        config: AnyPoolConfig,
        /// The time to open a connection.
        connect: Draw,
        /// The longest time the server works on a call.
        statement_timeout: Option<SimDuration>,
        /// If it is a proxy in front of a database: which clients keep a server connection.
        sessions: Option<Sessions>,
    },
    /// Time on the way, and loss.
    Network {
        /// One way.
        latency: Draw,
        /// The chance that a message is lost.
        loss: f64,
        /// The time after which a lost message is sent again.
        rto: SimDuration,
    },
    /// Limits how many calls begin.
    RateLimit {
        /// How.
        config: RateLimitConfig,
        /// The wait that those turned away are told.
        retry_after: Option<SimDuration>,
        /// How many limits each caller has: one, or one for each tenant and one for no tenant.
        keys: u32,
    },
    /// Sends another attempt when an answer is late.
    Hedge {
        /// From one attempt to the next.
        delay: HedgeDelay,
        /// The failures that do not end the call.
        non_fatal: OutcomeSet,
        /// Whether a budget limits hedges.
        budget: Option<AnyBudgetConfig>,
        /// The most attempts beside the first.
        max: u32,
        /// Whether the others are called off once one has ended well.
        cancel: bool,
        /// The salt of the attempts' random numbers.
        salt: u64,
    },
    /// Answers from what came before. The state is what it keeps, and the fetches under way.
    Cache {
        /// How.
        config: CacheConfig,
        /// The time that an answer takes.
        hit: Draw,
        /// Whether calls wait for a fetch of the same key.
        coalesce: bool,
        /// The salt of random eviction.
        salt: u64,
    },
    /// Limits calls in progress to what it finds right.
    ConcurrencyLimit {
        /// How.
        config: LimiterConfig,
        /// The salt of its random numbers.
        salt: u64,
    },
    /// Turns calls away at random while too few are accepted.
    Throttle {
        /// How.
        config: ThrottleConfig,
        /// The outcomes of calls that were accepted.
        accepts: OutcomeSet,
        /// The salt of the draws.
        salt: u64,
    },
    /// Opens connections. The state is what is open, and what is known of the name.
    Connect(Connect),
    /// Stops waiting at a moment that is passed on. It has no state but its meters.
    Deadline {
        /// After how long, at most.
        limit: SimDuration,
        /// Whether work under way stops, too.
        cancel: bool,
    },
}

/// How connections are opened.
#[derive(Clone, Debug)]
pub struct Connect {
    /// A round trip of a handshake.
    pub rtt: Draw,
    /// What TLS adds.
    pub tls: Tls,
    /// The computing of the TLS handshake.
    pub tls_time: Draw,
    /// How names are looked up.
    pub dns: Option<DnsLookup>,
    /// The longest time for a connection to open.
    pub connect_timeout: Option<SimDuration>,
    /// How long a connection stays open that nobody uses.
    pub keep_alive: Option<SimDuration>,
    /// The chance that a round trip of a handshake is lost.
    pub loss: f64,
    /// How SYNs are repeated.
    pub syn: SynRetries,
    /// How often a message to an open connection is repeated.
    pub retries2: u32,
    /// After how long an open connection without an answer breaks, if not by repetitions.
    pub user_timeout: Option<SimDuration>,
    /// Whether nobody answers for a callee that is down.
    pub is_black_hole: bool,
    /// The salt of what is lost.
    pub salt: u64,
}

impl Connect {
    /// Whether there is a TLS handshake to compute.
    pub fn has_tls(&self) -> bool {
        self.tls != Tls::None
    }
}

/// How names are looked up.
#[derive(Clone, Debug)]
pub struct DnsLookup {
    /// The rules.
    pub config: DnsConfig,
    /// The time of a query.
    pub latency: Draw,
}

/// When another attempt of a hedge is sent.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum HedgeDelay {
    /// After a time.
    Fixed(SimDuration),
    /// When the answer is later than most. The state is what is known of latencies.
    Percentile(PercentileConfig),
}

impl LayerKind {
    /// The setting that limits a pool's connections, and its value; `None` for other layers, and for HTTP, where
    /// requests are what is counted.
    pub fn pool_limit(&self) -> Option<(&'static str, u32)> {
        let Self::Pool { config, .. } = self else { return None };
        let setting = match config {
            AnyPoolConfig::Sequelize(_) => "Pool.max",
            AnyPoolConfig::Hikari(_) => "HikariPool.maximum_pool_size",
            AnyPoolConfig::Pg(_) => "PgPool.max",
            AnyPoolConfig::Proxy(proxy) if proxy.fails_fast => "default_pool_size",
            AnyPoolConfig::Proxy(_) => "max_connections_percent",
            AnyPoolConfig::Http(_) => return None,
        };
        Some((setting, config.max()))
    }
}

/// Which clients of a proxy keep a server connection for as long as they are connected.
#[derive(Clone, Copy, Debug)]
pub struct Sessions {
    /// The share of calls after which the client keeps it.
    pub pin: f64,
    /// The salt of that chance.
    pub salt: u64,
}

impl LayerKind {
    /// Whether all it does is to give up in time: it keeps no state, and answers pass it.
    #[inline]
    pub fn only_times(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Patience(_) | Self::Deadline { .. })
    }

    /// What a bulkhead is called, the field that says how many calls it lets run, and how many that are.
    pub fn room(&self) -> Option<(&'static str, &'static str, u32)> {
        match self {
            Self::Bulkhead { config: AnyBulkheadConfig::Semaphore(config) } => {
                Some(("bulkhead", "Bulkhead.max", config.max_concurrent))
            }
            Self::Bulkhead { config: AnyBulkheadConfig::Threads(config) } => {
                Some(("thread pool", "ThreadPoolBulkhead.max_thread_pool_size", config.max))
            }
            _ => None,
        }
    }
}

/// What a fallback answers.
#[derive(Clone, Debug)]
pub enum FallbackOption {
    /// A stored answer.
    Cache {
        /// How old it may be.
        ttl: SimDuration,
        /// The share of calls whose answer was stored.
        coverage: f64,
    },
    /// A default value.
    Value,
    /// The answer of another call.
    Call(u32),
}

/// How many states of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotCounts {
    /// Breakers.
    pub breakers: u32,
    /// Pools.
    pub pools: u32,
    /// Bulkheads.
    pub bulkheads: u32,
    /// Retry budgets.
    pub budgets: u32,
    /// Fallback caches.
    pub caches: u32,
    /// Rate limits.
    pub rate_limits: u32,
    /// Caches that are layers of their own.
    pub stores: u32,
    /// Concurrency limits.
    pub limiters: u32,
    /// Throttles.
    pub throttles: u32,
    /// Hedges that know latencies.
    pub hedges: u32,
    /// Deadlines.
    pub deadlines: u32,
    /// Callers that open connections.
    pub connects: u32,
}

/// Which state a configuration is for.
#[derive(Clone, Copy, Debug)]
pub struct SlotUse {
    /// The first state.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// The layer that configures them.
    pub layer: u32,
    /// The group that the layer's calls go to.
    pub callee_group: u32,
    /// The edge it belongs to.
    pub edge: u32,
    /// The gauges and counters of the layer.
    pub meters: u32,
}
