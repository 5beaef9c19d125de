//! Netflix' algorithms (concurrency-limits, snapshot 78a74b9, `limit/*.java`). What surprises:
//!
//! - AIMD and Gradient2 never go below 20 with their defaults, however slow the callee is.
//! - Gradient2 ignores drops: calls that fail fast look like a fast callee, and the limit grows.
//! - Vegas' first sample, and each that is faster than all before, only sets the time without load.
//! - Vegas and Gradient measure that time anew once in a while; Gradient cuts the limit to its queue for it.
//! - No limit grows unless at least about half of it is in use.
//!
//! Limits are floats within, and what counts is their whole part.

use super::Sample;
use crate::base::time::SimDuration;

/// `AIMDLimit`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AimdConfig {
    /// The limit at the start.
    pub initial_limit: u32,
    /// The lowest.
    pub min_limit: u32,
    /// The highest.
    pub max_limit: u32,
    /// What is left of the limit after a drop, as a share.
    pub backoff_ratio: f64,
    /// An answer that takes longer counts as dropped.
    pub timeout: SimDuration,
}

impl AimdConfig {
    /// The library's defaults.
    pub const DEFAULT: Self = Self {
        initial_limit: 20,
        min_limit: 20,
        max_limit: 200,
        backoff_ratio: 0.9,
        timeout: SimDuration::from_secs(5),
    };
}

/// Grows by one with each good answer, and shrinks by a share with each drop.
#[derive(Clone, Debug)]
pub struct Aimd {
    config: AimdConfig,
    limit: u32,
}

impl Aimd {
    /// At its initial limit.
    pub fn new(config: AimdConfig) -> Self {
        Self { config, limit: config.initial_limit }
    }

    /// Other settings; the limit is kept, within the new bounds.
    pub fn reconfigure(&mut self, config: AimdConfig) {
        self.config = config;
        self.limit = self.limit.max(config.min_limit).min(config.max_limit);
    }

    /// A call has ended.
    pub fn on_sample(&mut self, sample: &Sample) {
        if sample.dropped || sample.rtt > self.config.timeout {
            self.limit = (f64::from(self.limit) * self.config.backoff_ratio) as u32;
        } else if u64::from(sample.in_flight) * 2 >= u64::from(self.limit) {
            self.limit += 1;
        }
        self.limit = self.limit.max(self.config.min_limit).min(self.config.max_limit);
    }

    /// The limit.
    pub fn limit(&self) -> u32 {
        self.limit
    }
}

/// `VegasLimit`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct VegasConfig {
    /// The limit at the start.
    pub initial_limit: u32,
    /// The highest; the lowest is 1.
    pub max_concurrency: u32,
    /// How much of a new limit is taken over at once.
    pub smoothing: f64,
    /// The time without load is measured anew every so many samples, times the limit, times a number from 0.5 to 1.
    /// `None` for never.
    pub probe_multiplier: Option<u32>,
}

impl VegasConfig {
    /// The library's defaults.
    pub const DEFAULT: Self =
        Self { initial_limit: 20, max_concurrency: 1000, smoothing: 1.0, probe_multiplier: Some(30) };
}

/// Estimates the queue at the callee: L x (1 - shortest time / present time).
#[derive(Clone, Debug)]
pub struct Vegas {
    config: VegasConfig,
    limit: f64,
    /// In nanoseconds; 0 before the first sample.
    shortest: u64,
    samples: u32,
    /// Drawn with the first sample after each probe.
    jitter: Option<f64>,
}

impl Vegas {
    /// At its initial limit.
    pub fn new(config: VegasConfig) -> Self {
        Self { config, limit: f64::from(config.initial_limit), shortest: 0, samples: 0, jitter: None }
    }

    /// Other settings; the limit is kept, within the new bounds.
    pub fn reconfigure(&mut self, config: VegasConfig) {
        self.config = config;
        self.limit = self.limit.min(f64::from(config.max_concurrency));
    }

    /// A call has ended.
    pub fn on_sample(&mut self, sample: &Sample) {
        let rtt = sample.rtt.ns().max(1);
        if let Some(multiplier) = self.config.probe_multiplier {
            self.samples += 1;
            let jitter = *self.jitter.get_or_insert(0.5 + 0.5 * sample.dice);
            if jitter * f64::from(multiplier) * self.limit <= f64::from(self.samples) {
                self.jitter = None;
                self.samples = 0;
                self.shortest = rtt;
                return;
            }
        }
        if self.shortest == 0 || rtt < self.shortest {
            self.shortest = rtt;
            return;
        }
        let queue = libm::ceil(self.limit * (1.0 - self.shortest as f64 / rtt as f64));
        // The whole part of the decimal logarithm of the whole part, at least 1.
        let unit = f64::from((self.limit as u32).max(1).ilog10().max(1));
        let new = if sample.dropped {
            self.limit - unit
        } else if f64::from(sample.in_flight) * 2.0 < self.limit {
            return;
        } else if queue <= unit {
            self.limit + 6.0 * unit
        } else if queue < 3.0 * unit {
            self.limit + unit
        } else if queue > 6.0 * unit {
            self.limit - unit
        } else {
            return;
        };
        let new = new.min(f64::from(self.config.max_concurrency)).max(1.0);
        self.limit = (1.0 - self.config.smoothing) * self.limit + self.config.smoothing * new;
    }

    /// The limit.
    pub fn limit(&self) -> u32 {
        self.limit as u32
    }
}

/// `GradientLimit`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GradientConfig {
    /// The limit at the start.
    pub initial_limit: u32,
    /// The lowest.
    pub min_limit: u32,
    /// The highest.
    pub max_concurrency: u32,
    /// How much of a lower limit is taken over at once.
    pub smoothing: f64,
    /// How many times the shortest time is as good as the shortest.
    pub rtt_tolerance: f64,
    /// What is left of the limit after a drop, as a share.
    pub backoff_ratio: f64,
    /// The limit can grow by the root of itself, or this if it is more.
    pub queue_size: u32,
    /// The shortest time is measured anew every so many samples, or up to twice as many. `None` for never.
    pub probe_interval: Option<u32>,
}

impl GradientConfig {
    /// The library's defaults.
    pub const DEFAULT: Self = Self {
        initial_limit: 50,
        min_limit: 1,
        max_concurrency: 1000,
        smoothing: 0.2,
        rtt_tolerance: 2.0,
        backoff_ratio: 0.9,
        queue_size: 4,
        probe_interval: Some(1000),
    };
}

/// Multiplies the limit by the shortest time over the present one.
#[derive(Clone, Debug)]
pub struct Gradient {
    config: GradientConfig,
    limit: f64,
    shortest: Option<u64>,
    /// Samples until the next probe; drawn with the first sample.
    countdown: Option<u32>,
}

impl Gradient {
    /// At its initial limit.
    pub fn new(config: GradientConfig) -> Self {
        Self { config, limit: f64::from(config.initial_limit), shortest: None, countdown: None }
    }

    /// Other settings; the limit is kept, within the new bounds.
    pub fn reconfigure(&mut self, config: GradientConfig) {
        self.config = config;
        self.limit = self.limit.max(f64::from(config.min_limit)).min(f64::from(config.max_concurrency));
    }

    /// A call has ended.
    pub fn on_sample(&mut self, sample: &Sample) {
        let config = &self.config;
        let rtt = sample.rtt.ns().max(1);
        let queue = f64::from((self.limit as u32).isqrt().max(config.queue_size));
        let (low, high) = (f64::from(config.min_limit), f64::from(config.max_concurrency));
        if let Some(interval) = config.probe_interval {
            let draw = || interval + (sample.dice * f64::from(interval)) as u32;
            let left = self.countdown.unwrap_or_else(draw);
            if left == 0 {
                self.countdown = Some(draw());
                self.limit = low.max(queue);
                self.shortest = None;
                return;
            }
            self.countdown = Some(left - 1);
        }
        let shortest = self.shortest.map_or(rtt, |shortest| shortest.min(rtt));
        self.shortest = Some(shortest);
        let gradient = (config.rtt_tolerance * shortest as f64 / rtt as f64).clamp(0.5, 1.0);
        let mut new = if sample.dropped {
            self.limit * config.backoff_ratio
        } else if f64::from(sample.in_flight) < self.limit / 2.0 {
            return;
        } else {
            self.limit * gradient + queue
        };
        if new < self.limit {
            new = low.max(self.limit * (1.0 - config.smoothing) + config.smoothing * new);
        }
        self.limit = queue.max(high.min(new));
    }

    /// The limit.
    pub fn limit(&self) -> u32 {
        self.limit as u32
    }
}

/// `Gradient2Limit`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Gradient2Config {
    /// The limit at the start.
    pub initial_limit: u32,
    /// The lowest.
    pub min_limit: u32,
    /// The highest.
    pub max_concurrency: u32,
    /// How much of a new limit is taken over at once.
    pub smoothing: f64,
    /// How many more calls than now may queue.
    pub queue_size: u32,
    /// How many times the usual time is as good as the usual.
    pub rtt_tolerance: f64,
    /// Over how many samples the usual time is averaged, exponentially.
    pub long_window: u32,
}

impl Gradient2Config {
    /// The library's defaults.
    pub const DEFAULT: Self = Self {
        initial_limit: 20,
        min_limit: 20,
        max_concurrency: 200,
        smoothing: 0.2,
        queue_size: 4,
        rtt_tolerance: 1.5,
        long_window: 600,
    };
}

/// How many samples are averaged plainly before the exponential average begins.
const WARM_UP: u32 = 10;

/// Multiplies the limit by the usual time over the present one.
#[derive(Clone, Debug)]
pub struct Gradient2 {
    config: Gradient2Config,
    limit: f64,
    usual: f64,
    sum: f64,
    samples: u32,
}

impl Gradient2 {
    /// At its initial limit.
    pub fn new(config: Gradient2Config) -> Self {
        Self { config, limit: f64::from(config.initial_limit), usual: 0.0, sum: 0.0, samples: 0 }
    }

    /// Other settings; the limit is kept, within the new bounds.
    pub fn reconfigure(&mut self, config: Gradient2Config) {
        self.config = config;
        self.limit = self.limit.max(f64::from(config.min_limit)).min(f64::from(config.max_concurrency));
    }

    /// A call has ended. Whether it was dropped makes no difference.
    pub fn on_sample(&mut self, sample: &Sample) {
        let config = &self.config;
        let rtt = sample.rtt.ns().max(1) as f64;
        if self.samples < WARM_UP {
            self.samples += 1;
            self.sum += rtt;
            self.usual = self.sum / f64::from(self.samples);
        } else {
            let factor = 2.0 / f64::from(config.long_window + 1);
            self.usual = self.usual * (1.0 - factor) + rtt * factor;
        }
        let usual = self.usual;
        // After a long time of load what is usual comes down faster.
        if usual / rtt > 2.0 {
            self.usual *= 0.95;
        }
        if f64::from(sample.in_flight) < self.limit / 2.0 {
            return;
        }
        let gradient = (config.rtt_tolerance * usual / rtt).clamp(0.5, 1.0);
        let new = self.limit * gradient + f64::from(config.queue_size);
        let new = self.limit * (1.0 - config.smoothing) + new * config.smoothing;
        self.limit = new.min(f64::from(config.max_concurrency)).max(f64::from(config.min_limit));
    }

    /// The limit.
    pub fn limit(&self) -> u32 {
        self.limit as u32
    }
}
