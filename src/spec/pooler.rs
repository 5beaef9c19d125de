//! Proxies in front of a database, which share few server connections among many clients.

use super::dist::Distribution;
use super::quantity::{Ratio, Seconds};
use crate::{choice, record};

choice! {
    /// For how long a client keeps a server connection.
    pub enum PoolMode {
        /// As long as the client connection lives.
        Session,
        /// For a transaction: here, for one call.
        Transaction,
        /// For a statement: here, for one call, as each call is a transaction of one statement.
        Statement,
    }
}

record! {
    /// PgBouncer 1.18. Server connections are opened one at a time: the pool fills slowly, and a server that comes
    /// back is not stormed. After an attempt that failed there is none for `server_login_retry`; clients that connect
    /// meanwhile are turned away if no server connection stands, those that are connected wait. A client that waited
    /// for `query_wait_timeout` is disconnected. All callers are one user, so there is one pool. Connections in use
    /// are never closed for their age; idle ones that are too old are closed one by one, spread over the lifetime.
    pub struct PgBouncer {
        /// For how long a client keeps a server connection.
        pool_mode: PoolMode = Session,
        /// The most client connections; more are refused.
        max_client_conn: u32 = 100,
        /// The most server connections, the reserve left out.
        default_pool_size: u32 = 20,
        /// Server connections that idling does not close; opened one every third of a second once there are clients.
        min_pool_size: u32 = 0,
        /// How many more there may be once the first in line has waited for `reserve_pool_timeout`.
        reserve_pool_size: u32 = 0,
        /// See `reserve_pool_size`; 0 switches the reserve off.
        reserve_pool_timeout: Seconds = "5s",
        /// The most server connections of all, the reserve included; 0 for no limit.
        max_db_connections: u32 = 0,
        /// The longest life of a server connection; 0 closes each after one use.
        server_lifetime: Seconds = "3600s",
        /// How long a server connection may lie idle; 0 for ever.
        server_idle_timeout: Seconds = "600s",
        /// The longest time that opening a server connection may take; 0 for no limit.
        server_connect_timeout: Seconds = "15s",
        /// How long no server connection is opened after an attempt that failed, from its start.
        server_login_retry: Seconds = "15s",
        /// The longest wait for a server connection; 0 for no limit.
        query_wait_timeout: Seconds = "120s",
        /// Whether the connection that lay idle longest is used first; if not, the last returned.
        server_round_robin: bool = false,
        /// The time to open a server connection.
        connect: Distribution = "0s",
    }
}

record! {
    /// Amazon RDS Proxy (user guide, June 2023). Server connections are shared call by call and opened as they are
    /// needed; when the database is away, calls wait until it is back or `connection_borrow_timeout` is over. Client
    /// connections are not limited. What AWS does not publish is a guess: that an attempt which failed is followed by
    /// another after a second, and that idle connections above their share are closed after a minute.
    pub struct RdsProxy {
        /// The most server connections, in percent of the database's `max_connections` (`MaxConnectionsPercent`).
        max_connections_percent: f64 = 100,
        /// The most of them that are kept idle, likewise (`MaxIdleConnectionsPercent`); without it, half of
        /// `max_connections_percent`.
        max_idle_connections_percent: Option<f64> = None,
        /// The longest wait for a server connection (`ConnectionBorrowTimeout`); at most 300 s.
        connection_borrow_timeout: Seconds = "120s",
        /// The share of calls that pin their client connection to its server connection until the client closes it,
        /// as any `SET` does.
        pinning: Ratio = 0,
        /// The time to open a server connection.
        connect: Distribution = "0s",
    }
}

choice! {
    /// A proxy in front of a database. All callers share it, behind pools of their own: those connect to the proxy, and
    /// the proxy to the database. It has no CPU, takes no time, and never fails.
    pub enum Pooler {
        /// PgBouncer.
        PgBouncer(PgBouncer),
        /// Amazon RDS Proxy.
        RdsProxy(RdsProxy),
    }
}
