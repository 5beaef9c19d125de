//! Connections of HTTP: Envoy's limits, and keep-alive pools of plain clients.

use super::Per;
use crate::spec::dist::Distribution;
use crate::spec::quantity::Seconds;
use crate::{choice, record};

record! {
    /// HTTP/2: many requests on one connection.
    pub struct Http2 {
        /// The most requests on one connection (`max_concurrent_streams`). Servers often allow 100 or 128.
        max_concurrent_streams: u32 = 2147483647,
    }
}

choice! {
    /// How requests share connections.
    pub enum HttpProtocol {
        /// One request at a time on each connection.
        Http1,
        /// Many requests on one connection.
        Http2(Http2),
    }
}

record! {
    /// Envoy's "circuit breakers" (1.40), which are limits on what is under way: no state, no memory. A request goes
    /// out on a free connection; otherwise it is pending, and another connection is made if there may be more. What
    /// would be too much ends as `Rejected` at once (503 with `x-envoy-overloaded`), and there is room again the moment
    /// something ends. A request that waits for its own connection to be made is pending, too. A connection that cannot
    /// be made fails all that are pending. There is one pool for the callee, whichever of its instances answers, and no
    /// timeout: put a `Timeout` inside a `Retry` around it. Istio leaves all limits at 4294967295.
    pub struct EnvoyLimits {
        /// The most connections; one is made in any case.
        max_connections: u32 = 1024,
        /// The most requests that wait for a connection.
        max_pending_requests: u32 = 1024,
        /// The most requests on connections.
        max_requests: u32 = 1024,
        /// How requests share connections.
        protocol: HttpProtocol = Http1,
        /// The longest time that opening a connection may take.
        connect_timeout: Seconds = "5s",
        /// How long an idle connection is kept; 0 for ever.
        idle_timeout: Seconds = "1h",
        /// The time to open a connection.
        connect: Distribution = "0s",
        /// Who shares the limits: an instance, as with sidecars, or the whole service, as with a gateway.
        per: Per = Instance,
    }
}

record! {
    /// Keep-alive connections of an HTTP/1.1 client, one request at a time on each; the last to become free is used
    /// first. A request that finds none waits until one is free or there may be another. If the server closes idle
    /// connections sooner than the client, a request may meet a connection that is just being closed: it fails,
    /// although both are well (a 502 at a proxy). Keep `idle_timeout` shorter than `keep_alive`.
    pub struct Http1Pool {
        /// The most connections.
        max_connections: u32 = 100,
        /// How long the client keeps an idle connection; 0 for ever.
        idle_timeout: Seconds = "60s",
        /// How long the server keeps an idle connection; 0 for ever. Node.js closes after 5 s, nginx after 75 s.
        keep_alive: Seconds = "75s",
        /// A request that is sent so shortly before or after the server closes its connection is lost: the time of a
        /// message one way.
        race: Seconds = "1ms",
        /// The time to open a connection.
        connect: Distribution = "0s",
        /// Who shares the pool.
        per: Per = Instance,
    }
}
