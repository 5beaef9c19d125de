//! What a new connection costs.

use super::Per;
use crate::spec::dist::Distribution;
use crate::spec::quantity::{Ratio, Seconds};
use crate::{choice, record};

choice! {
    /// What TLS adds to a new connection.
    pub enum Tls {
        /// Nothing: there is none.
        Plain,
        /// Two round trips (TLS 1.2, full handshake).
        Tls12,
        /// One round trip (TLS 1.3).
        Tls13,
        /// No round trip (TLS 1.3 with early data).
        Tls13Early,
    }
}
choice! {
    /// What becomes of packets to a callee that is down.
    pub enum WhenDown {
        /// Its host answers that nobody listens: connections are refused after a round trip, and open ones are reset.
        Refuse,
        /// Nobody answers, as of an address that is gone or behind a security group: connections are tried until they
        /// time out, and open ones seem to live on.
        BlackHole,
    }
}
record! {
    /// Looks a name up before a connection is opened. The defaults are those of glibc, which keeps nothing; the JVM has
    /// `ttl: "30s", negative_ttl: "10s"`. A lookup that fails fails the call with `Error`.
    pub struct Dns [latency] {
        /// The time of a query that is answered.
        latency: Distribution = "1ms",
        /// How long an answer is kept.
        ttl: Seconds = "0s",
        /// How long a failure is kept.
        negative_ttl: Seconds = "0s",
        /// When a query without an answer is given up (`timeout` of resolv.conf).
        timeout: Seconds = "5s",
        /// How often a query is asked (`attempts` of resolv.conf, for each server).
        attempts: u32 = 2,
        /// Queries for each name, one after the other: with `ndots:5` in Kubernetes there are 4 or 5 for an external
        /// name.
        queries: u32 = 1,
        /// The chance that a query or its answer is lost.
        loss: Ratio = 0,
    }
}
record! {
    /// Opens a connection for each call, or takes an open one that lies idle: DNS, TCP and TLS as Linux has them. A SYN
    /// that is not answered is repeated after 1, 2, 3, 4, 5, 7, 11, 19, 35 and 67 s and given up at 131 s (Linux 6.5
    /// and later; with `tcp_syn_linear_timeouts: 0`, as before, after 1, 3, 7, 15, 31 and 63 s and given up at 127 s).
    /// A connection that is refused ends the call as `Error`, one that times out as `Timeout`. What the handshakes cost
    /// the server's CPU is not put on it. Only services, databases and externals that are called directly can be found
    /// down; a balancer is always there. An instance that hangs still opens connections: its kernel does. Put it
    /// outside `Network`.
    pub struct Connect {
        /// A round trip between caller and callee, for handshakes.
        rtt: Distribution = "1ms",
        /// What TLS adds.
        tls: Tls = Plain,
        /// The computing of the TLS handshake: 1 to 2 ms with RSA-2048, 0.1 ms with ECDSA.
        tls_time: Distribution = "0.1ms",
        /// How names are looked up; without it they need not be.
        dns: Option<Dns> = None,
        /// The longest time for a connection to open; without it, as long as the kernel tries.
        connect_timeout: Option<Seconds> = None,
        /// How long a connection that nobody uses stays open for other calls; without it, each call has its own.
        keep_alive: Option<Seconds> = None,
        /// The chance that a round trip of a handshake is lost.
        loss: Ratio = 0,
        /// `net.ipv4.tcp_syn_retries`.
        tcp_syn_retries: u32 = 6,
        /// `net.ipv4.tcp_syn_linear_timeouts`; 0 before Linux 6.5.
        tcp_syn_linear_timeouts: u32 = 4,
        /// `net.ipv4.tcp_retries2`: after so many repetitions an open connection to a peer that is gone breaks, 924.6 s
        /// later with a timeout of 200 ms.
        tcp_retries2: u32 = 15,
        /// `TCP_USER_TIMEOUT`: an open connection to a peer that is gone breaks after this time.
        tcp_user_timeout: Option<Seconds> = None,
        /// What becomes of packets to a callee that is down.
        when_down: WhenDown = Refuse,
        /// Who shares what is open and what is known of the name.
        per: Per = Instance,
    }
}
