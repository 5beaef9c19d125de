//! How balancers choose, beyond the plain ways: the settings of products.

use super::quantity::{Ratio, Seconds};
use crate::{choice, record};

record! {
    /// Draws some targets at random, one of them perhaps twice, and takes the one with the fewest requests in flight
    /// (Envoy 1.40.0 `LEAST_REQUEST`). Of two targets the busier still gets a quarter, as both draws can fall on it.
    /// With unequal weights nothing is drawn: targets take turns by weight / (requests in flight + 1)^bias.
    pub struct LeastRequest {
        /// How many draws.
        choice_count: u32 = 2,
        /// How much requests in flight count where weights differ; 0 is not at all.
        active_request_bias: f64 = 1.0,
    }
}

record! {
    /// Draws some different targets at random and takes the one with the fewest requests in flight.
    pub struct PowerOfChoices [choices] {
        /// How many, from 1 to 16. `PowerOfTwo` is the same with 2.
        choices: u32 = 2,
    }
}

record! {
    /// Draws two different targets and takes the one whose latency times its requests in flight, one more included, is
    /// less (Finagle's `p2c` with `PeakEwma`, read in its source). A latency above the average is taken over at once,
    /// one below is averaged in, and the average fades while nothing is heard. A target of which nothing is known gets
    /// one request at a time.
    pub struct PeakEwma [decay] {
        /// How long latency is remembered (the time constant).
        decay: Seconds = "10s",
    }
}

record! {
    /// Envoy's contrib `peak_ewma`, after its documentation: like Finagle's, but without peaks, and the average does
    /// not fade by itself.
    pub struct EnvoyPeakEwma [decay_time] {
        /// How long latency is remembered (the time constant).
        decay_time: Seconds = "10s",
        /// What is assumed of an idle target of which nothing is known.
        default_rtt: Seconds = "10ms",
    }
}

record! {
    /// Follows the hash of the request's key into a table that targets filled in turns (Envoy 1.40.0 `MAGLEV`;
    /// Eisenbud et al., 2016). Shares are more even than on a ring; when one of n targets leaves, its 1/n of the keys
    /// move and a few others with them.
    pub struct Maglev {
        /// Places in the table: a prime, at most 5000011, and far above the number of targets.
        table_size: u32 = 65537,
        /// The most that a target may have in flight, in per cent of the mean, 100 or more: others than the key's own
        /// target are tried then, in an order that is always the same for one key. A target that has exactly that much
        /// takes one more. Without it there is no limit.
        hash_balance_factor: Option<u32> = None,
    }
}

record! {
    /// Follows the request's key on a ring with 16 places for each unit of weight (HAProxy 2.6.12, `balance hash` with
    /// `hash-type consistent`). With so few places shares are uneven: weights of 10 each are 160 places.
    pub struct HaproxyConsistentHash {
        /// The most that a server may have in flight, in per cent of the mean, above 100: the next on the ring gets the
        /// request then. 0 is no limit.
        hash_balance_factor: u32 = 0,
    }
}

record! {
    /// Keeps connections open, each to one target for good, and lends them to requests. If none is idle, one is opened
    /// to a target drawn at random, and kept; so there are as many as ever were in use at once. With `MostRecent`, what
    /// comes back last is used first: of requests sent together that is the one whose target was slowest (Bronson,
    /// "Solving the Mystery of Link Imbalance", Facebook Engineering, 2014). Weights and zones do not matter. Not for
    /// products that keep connections themselves.
    pub struct PooledConnections [reuse] {
        /// Which idle connection is used.
        reuse: ConnectionReuse = MostRecent,
        /// How many callers have a pool of their own; the request's key says whose it is.
        pools: u32 = 1,
    }
}
choice! {
    /// Which idle connection is used.
    pub enum ConnectionReuse {
        /// The one that was given back last.
        MostRecent,
        /// The one that was given back first.
        LeastRecent,
    }
}

record! {
    /// An ALB's slow start (user guide of June 2023): the share of a target that has become healthy grows in a
    /// straight line from nothing. For `RoundRobin` and `WeightedRandom`; `LeastOutstanding` has none. Targets that
    /// become healthy while no other is fully healthy, as the first of a group, get their full share at once. A target
    /// that becomes unhealthy leaves the slow start, and enters it anew when it recovers.
    pub struct AlbSlowStart [duration] as "ALB slow start" {
        /// How long it takes (`slow_start.duration_seconds`), from 30 s to 900 s.
        duration: Seconds,
    }
}
record! {
    /// Envoy's slow start (1.40.0), for `EnvoyRoundRobin` and `LeastRequest`: a host that joins or becomes healthy has
    /// the part (time / window)^(1 / aggression) of its weight. Meanwhile both policies take turns by due dates, also
    /// where weights are equal.
    pub struct EnvoySlowStart [slow_start_window] as "Envoy slow start" {
        /// How long it takes.
        slow_start_window: Seconds,
        /// Above 1 the share grows faster at first, below 1 slower.
        aggression: f64 = 1.0,
        /// The least share.
        min_weight_percent: Ratio = "10%",
    }
}
record! {
    /// HAProxy's slow start (2.6.12), for `HaproxyRoundRobin` and `LeastConn`: the weight of a server that comes up
    /// grows by sixteenths, every second or every twentieth of the time if that is longer. Servers that are there at
    /// the start of the run have their full weight. Limits on connections (`maxconn`) do not grow with it here.
    pub struct HaproxySlowStart [slowstart] as "HAProxy slow start" {
        /// How long it takes.
        slowstart: Seconds,
    }
}
choice! {
    /// How a target that has become healthy, or has joined, gets its share little by little. Targets that are there at
    /// the start of the run have it already.
    pub enum SlowStart {
        /// In a straight line, as an AWS ALB does.
        Alb(AlbSlowStart),
        /// As Envoy does.
        Envoy(EnvoySlowStart),
        /// In steps, as HAProxy does.
        Haproxy(HaproxySlowStart),
    }
}

record! {
    /// Sticky sessions (AWS ALB `lb_cookie`): a session's requests go to the target of its first one, whatever the
    /// policy would choose. A session whose target is unhealthy or gone gets another, and stays there. In a closed
    /// loop each user is a session, also in the calls that its requests lead to; in an open loop, the requests with
    /// the same key are. Requests without user and key belong to no session.
    pub struct Stickiness [duration] {
        /// How long a session without requests is remembered, from 1 s to 7 d; every request begins that time anew.
        duration: Seconds = "1d",
    }
}

record! {
    /// Envoy's zone-aware routing (1.40.0): calls from a zone stay there, as far as its share of the healthy targets
    /// is at least its share of the running callers; the rest goes to zones with more targets than callers. Zones do
    /// not matter while fewer than half of the targets are healthy, while the caller's zone has none that is, for
    /// callers without a zone (as clients are), and if caller and service have different numbers of zones.
    pub struct ZoneAware {
        /// The fewest healthy targets with which zones matter.
        min_cluster_size: u32 = 6,
        /// For what share of the requests zones matter.
        routing_enabled: Ratio = "100%",
    }
}
choice! {
    /// Whether a balancer minds the zones of the service behind it.
    pub enum ZoneRouting {
        /// It does not (an ALB with cross-zone load balancing).
        CrossZone,
        /// An AWS ALB without cross-zone load balancing: each zone has a node of the balancer, which chooses among the
        /// targets of its zone, by the policy. Every node gets the same share of the requests, however many targets its
        /// zone has. A zone without a healthy target is left out (it leaves DNS, which takes no time here), unless all
        /// are so.
        WithinZone,
        /// Envoy's zone-aware routing.
        ZoneAware(ZoneAware),
    }
}
