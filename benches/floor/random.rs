//! The random numbers of the floor: those of the simulator, found by the same keys.

use brownout::base::{Rng, Streams, mix, salt, uniform_of};

/// When requests come: exponential distances, one after the other. Each is drawn one request ahead, so that nobody
/// waits for its logarithm: the processor computes it while it plays other events.
pub struct Arrivals {
    rng: Rng,
    mean_s: f64,
    next: u64,
}

impl Arrivals {
    pub fn new(streams: Streams, rate: f64) -> Self {
        let mut arrivals =
            Self { rng: streams.stream("clients.users", "arrivals"), mean_s: 1.0 / rate, next: 0 };
        arrivals.gap();
        arrivals
    }

    /// Nanoseconds until the next one.
    #[inline]
    pub fn gap(&mut self) -> u64 {
        let gap = self.next;
        self.next = nanoseconds(-self.mean_s * libm::log(self.rng.uniform()));
        gap
    }
}

/// The key of all requests; each has its own below it.
pub fn requests(streams: Streams) -> u64 {
    streams.key("clients.users", "requests")
}

/// Exponential work of a step.
#[derive(Clone, Copy)]
pub struct Work {
    salt: u64,
    mean_s: f64,
}

impl Work {
    pub fn new(path: &str, mean_s: f64) -> Self {
        Self { salt: salt(path), mean_s }
    }

    /// The work that the holder of a key asks for, in nanoseconds.
    #[inline]
    pub fn of(self, key: u64) -> u64 {
        nanoseconds(-self.mean_s * libm::log1p(-uniform_of(mix(key, self.salt))))
    }
}

#[inline]
fn nanoseconds(seconds: f64) -> u64 {
    // A conversion to a signed number takes fewer instructions.
    (seconds * 1e9 + 0.5) as i64 as u64
}
