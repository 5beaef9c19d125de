//! How balancers choose, beyond the plain ways: the settings of products.

use super::quantity::Seconds;
use crate::record;

record! {
    /// Draws some targets at random, one of them perhaps twice, and takes the one with the fewest requests in flight
    /// (Envoy 1.40.0 `LEAST_REQUEST`). Of two targets the busier still gets a quarter, as both draws can fall on it. With
    /// unequal weights nothing is drawn: targets take turns by weight / (requests in flight + 1)^bias.
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
    /// less (Finagle's `p2c` with `PeakEwma`, read in its source). A latency above the average is taken over at once, one
    /// below is averaged in, and the average fades while nothing is heard. A target of which nothing is known gets one
    /// request at a time.
    pub struct PeakEwma [decay] {
        /// How long latency is remembered (the time constant).
        decay: Seconds = "10s",
    }
}

record! {
    /// Envoy's contrib `peak_ewma`, after its documentation: like Finagle's, but without peaks, and the average does not
    /// fade by itself.
    pub struct EnvoyPeakEwma [decay_time] {
        /// How long latency is remembered (the time constant).
        decay_time: Seconds = "10s",
        /// What is assumed of an idle target of which nothing is known.
        default_rtt: Seconds = "10ms",
    }
}

record! {
    /// Follows the hash of the request's key into a table that targets filled in turns (Envoy 1.40.0 `MAGLEV`; Eisenbud et
    /// al., 2016). Shares are more even than on a ring; when one of n targets leaves, its 1/n of the keys move and a few
    /// others with them.
    pub struct Maglev {
        /// Places in the table: a prime, at most 5000011, and far above the number of targets.
        table_size: u32 = 65537,
        /// The most that a target may have in flight, in per cent of the mean, 100 or more: others than the key's own
        /// target are tried then, in an order that is always the same for one key. A target that has exactly that much takes
        /// one more. Without it there is no limit.
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
