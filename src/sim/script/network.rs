//! Faults of the network and of dependencies, by id.

use super::Which;
use crate::base::SimDuration;
use crate::base::dist::Dist;

/// A side of a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Party {
    /// A client population.
    Client(u32),
    /// A balancer.
    Balancer(u32),
    /// A service, database or external dependency.
    Group(u32),
    /// A message queue.
    Queue(u32),
}

/// A fault of the network or of a dependency.
#[derive(Clone, Debug)]
pub struct NetFault {
    /// One side; `None` for everybody.
    pub from: Option<Party>,
    /// The other side, or what is struck.
    pub to: Party,
    /// The group whose instances are chosen, and which of them.
    pub which: (Option<u32>, Which),
    /// What happens.
    pub how: NetBlow,
    /// The salt of its draws.
    pub salt: u64,
}

/// What happens to messages, connections and answers.
#[derive(Clone, Debug)]
pub enum NetBlow {
    /// Messages are lost until the end: of both sides, or of `from` only.
    Partition {
        /// Of both.
        both: bool,
    },
    /// Messages take longer.
    Latency {
        /// By so much.
        latency: Dist,
        /// So many seconds more or less.
        jitter: f64,
        /// Of both sides.
        both: bool,
    },
    /// Messages are lost and sent again.
    Loss {
        /// Such a share.
        ratio: f64,
        /// After so long, doubled each time.
        rto: SimDuration,
        /// Of both sides.
        both: bool,
    },
    /// Such a share of calls is reset.
    Resets(f64),
    /// Lookups fail.
    Dns {
        /// Whether the resolver does not answer at all.
        is_silent: bool,
    },
    /// Requests are turned away.
    Throttle {
        /// Beyond so many per second, of which so many can be saved up.
        limit: Option<(f64, u32)>,
        /// Such a share.
        ratio: f64,
        /// What they are told.
        retry_after: Option<SimDuration>,
    },
    /// Such a share of answers is wrong.
    Wrong(f64),
    /// Handshakes of TLS fail.
    Certificate,
    /// SYNs are dropped beyond so many connections.
    Table(u32),
    /// Answers are read slowly.
    SlowClients {
        /// For so long.
        reads: Dist,
        /// Such a share.
        ratio: f64,
    },
}

impl NetBlow {
    /// Whether it strikes messages between two sides.
    pub fn strikes_messages(&self) -> bool {
        matches!(self, Self::Partition { .. } | Self::Latency { .. } | Self::Loss { .. } | Self::Resets(_))
    }
}
