//! Pools of connections by other products than sequelize-pool.

use super::Per;
use crate::record;
use crate::spec::dist::Distribution;
use crate::spec::quantity::Seconds;

record! {
    /// A pool of connections as HikariCP 6.0 keeps it. Connections are added by one thread, one after the other: 30
    /// ms pass after each, and after failures 10 ms, doubled each time, up to 5 s. So a database that comes back is
    /// not stormed. The pool fills from the start of its process on (one connection, the others 100 ms later); a
    /// housekeeper looks after idle ones every 30 s. Connections in use are never closed. One that was used in the
    /// last 500 ms is lent without asking whether it lives, so a call after a crash may fail on it. A duration of 0
    /// means never.
    pub struct HikariPool {
        /// The most connections, idle and in use (`maximumPoolSize`).
        maximum_pool_size: u32 = 10,
        /// Idle connections that it tries to have (`minimumIdle`); without it as many as `maximum_pool_size`.
        minimum_idle: Option<u32> = None,
        /// The longest wait for a connection, at least 250 ms; also how long the making of one may take
        /// (`connectionTimeout`).
        connection_timeout: Seconds = "30s",
        /// How long a connection may lie idle; only if `minimum_idle` is below `maximum_pool_size` (`idleTimeout`).
        idle_timeout: Seconds = "10m",
        /// The longest life of a connection, less up to 2.5 % at random (`maxLifetime`).
        max_lifetime: Seconds = "30m",
        /// How often an idle connection is asked whether it lives, less up to 10 % at random (`keepaliveTime`).
        keepalive_time: Seconds = "0s",
        /// The time to open a connection.
        connect: Distribution = "0s",
        /// The longest time the server works on one call; it stops the work (`statement_timeout`).
        statement_timeout: Option<Seconds> = None,
        /// Who shares the pool.
        per: Per = Instance,
    }
}

record! {
    /// A pool of connections as node-postgres keeps it (pg-pool 3.14). A call that finds no idle connection makes its
    /// own, or stands in line if the pool is full. A connection that fails to open fails the call that it was made for,
    /// and no other. The last returned is lent first. Idle connections that break are noticed at once. A duration of 0
    /// means never: with the defaults a call waits for ever.
    pub struct PgPool {
        /// The most connections (`max`).
        max: u32 = 10,
        /// Connections that idling does not close (`min`); not opened in advance.
        min: u32 = 0,
        /// How long a connection may lie idle (`idleTimeoutMillis`).
        idle_timeout: Seconds = "10s",
        /// The longest wait, in line and for the making of a connection together (`connectionTimeoutMillis`).
        connection_timeout: Seconds = "0s",
        /// Uses after which a connection is closed (`maxUses`).
        max_uses: Option<u32> = None,
        /// The longest life of a connection (`maxLifetimeSeconds`); one in use is closed when it comes back.
        max_lifetime: Seconds = "0s",
        /// The time to open a connection.
        connect: Distribution = "0s",
        /// The longest time the server works on one call; it stops the work (`statement_timeout`).
        statement_timeout: Option<Seconds> = None,
        /// Who shares the pool.
        per: Per = Instance,
    }
}
