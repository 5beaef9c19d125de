//! resilience4j's rate limiter and thread pool bulkhead.

use super::Per;
use crate::record;
use crate::spec::quantity::Seconds;

record! {
    /// resilience4j's `RateLimiter` (2.3.0, after its source; not compared with recordings). Each period has so many
    /// permits, whatever was unused before. A call without one reserves a permit of a later period and waits for it, if
    /// that is soon enough. One that is denied is told so only after the whole timeout: its thread sleeps so long.
    pub struct Resilience4jRateLimiter as "Resilience4j rate limiter" {
        /// Permits of a period (`limitForPeriod`).
        limit_for_period: u32 = 50,
        /// The length of a period (`limitRefreshPeriod`). With the default almost nothing is ever limited.
        limit_refresh_period: Seconds = "500ns",
        /// The longest wait (`timeoutDuration`).
        timeout_duration: Seconds = "5s",
    }
}

record! {
    /// resilience4j's `ThreadPoolBulkhead` (2.3.0, after its documentation and Java's `ThreadPoolExecutor`; not
    /// compared with recordings): calls run on threads of their own. More than the core threads are started **only
    /// when the queue is full**, and then for the call that found no room, before all those who wait.
    pub struct ThreadPoolBulkhead {
        /// Threads that are started before anybody queues (`coreThreadPoolSize`). resilience4j's default is one less
        /// than the machine's processors, and at least 1.
        core_thread_pool_size: u32,
        /// The most threads (`maxThreadPoolSize`). resilience4j's default is the machine's processors.
        max_thread_pool_size: u32,
        /// How many calls can wait (`queueCapacity`).
        queue_capacity: u32 = 100,
        /// How long an idle thread beyond the core stays (`keepAliveDuration`).
        keep_alive_duration: Seconds = "20ms",
        /// Who shares the threads.
        per: Per = Instance,
    }
}
