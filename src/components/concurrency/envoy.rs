//! Envoy's adaptive concurrency filter: `GradientController`
//! (`source/extensions/filters/http/adaptive_concurrency/controller/gradient_controller.cc`). Written after the
//! source; it has not been compared with recordings.
//!
//! It compares the time of each sampling window with the time that requests take without load. That time is measured
//! with the limit *pinned* to `min_concurrency`, at the start and every `interval`: for that while nearly everything
//! is turned away. It is measured anew, too, when five windows in a row have left the limit at its minimum.
//!
//! Windows without samples change nothing. Samples of requests sent before the last measurement began do not count.
//! Percentiles are exact here; Envoy's histogram keeps two digits. Times are whole microseconds in both.

use super::Sample;
use crate::base::time::{SimDuration, SimTime};

/// The most samples of a window that are kept for its percentile: more are left out.
const SAMPLES_MAX: usize = 10_000;

/// Windows in a row at the minimum, after which the time without load is measured anew.
const AT_MINIMUM: u32 = 5;

/// What can be set; the names are those of `GradientControllerConfig`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EnvoyConfig {
    /// Which percentile of a window's times counts, as a share.
    pub sample_aggregate_percentile: f64,
    /// The highest limit.
    pub max_concurrency_limit: u32,
    /// The length of a window.
    pub concurrency_update_interval: SimDuration,
    /// From the end of a measurement of the time without load to the next.
    pub interval: SimDuration,
    /// How many requests such a measurement takes.
    pub request_count: u32,
    /// How much later the next may be, as a share of `interval`.
    pub jitter: f64,
    /// The lowest limit, and the limit of such a measurement.
    pub min_concurrency: u32,
    /// How much longer than without load requests may take, as a share.
    pub buffer: f64,
}

impl EnvoyConfig {
    /// Envoy's defaults; of its two intervals, which have none, those of its documentation's example.
    pub const DEFAULT: Self = Self {
        sample_aggregate_percentile: 0.5,
        max_concurrency_limit: 1000,
        concurrency_update_interval: SimDuration::from_ms(100),
        interval: SimDuration::from_secs(60),
        request_count: 50,
        jitter: 0.15,
        min_concurrency: 3,
        buffer: 0.25,
    };
}

/// The controller.
#[derive(Clone, Debug)]
pub struct EnvoyAdaptive {
    config: EnvoyConfig,
    limit: u32,
    /// The limit to go back to, while the time without load is measured.
    deferred: Option<u32>,
    measuring_since: SimTime,
    /// In microseconds.
    min_rtt: u64,
    samples: Vec<u64>,
    next_window: SimTime,
    next_measurement: SimTime,
    at_minimum: u32,
}

impl EnvoyAdaptive {
    /// It begins by measuring.
    pub fn new(config: EnvoyConfig, now: SimTime) -> Self {
        Self {
            config,
            limit: config.min_concurrency,
            deferred: Some(config.min_concurrency),
            measuring_since: now,
            min_rtt: 0,
            samples: Vec::new(),
            next_window: now + config.concurrency_update_interval,
            next_measurement: now,
            at_minimum: 0,
        }
    }

    /// Other settings; limit and times are kept, within the new bounds.
    pub fn reconfigure(&mut self, config: EnvoyConfig) {
        self.config = config;
        let within = |limit: u32| limit.min(config.max_concurrency_limit).max(config.min_concurrency);
        self.deferred = self.deferred.map(within);
        self.limit = if self.deferred.is_some() { config.min_concurrency } else { within(self.limit) };
    }

    /// The limit as of the last event.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether the time without load is being measured, with the limit at its minimum.
    pub fn is_measuring(&self) -> bool {
        self.deferred.is_some()
    }

    /// Ends the windows, and begins the measurements, that are due.
    pub fn advance(&mut self, now: SimTime) {
        while self.deferred.is_none() {
            if self.next_measurement <= now && self.next_measurement <= self.next_window {
                self.deferred = Some(self.limit);
                self.limit = self.config.min_concurrency;
                self.at_minimum = 0;
                self.samples.clear();
                self.measuring_since = self.next_measurement;
            } else if self.next_window <= now {
                let ended = self.next_window;
                // Windows without samples change nothing: on to the one that `now` is in.
                let interval = self.config.concurrency_update_interval;
                let whole = now.min(self.next_measurement).since(ended).ns() / interval.ns().max(1);
                self.next_window = ended + SimDuration::from_ns(interval.ns() * (whole + 1));
                self.end_window(ended);
            } else {
                return;
            }
        }
    }

    /// A request has ended.
    pub fn on_sample(&mut self, sample: &Sample) {
        let now = sample.since + sample.rtt;
        if sample.since < self.measuring_since {
            return;
        }
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(sample.rtt.ns() / 1_000);
        }
        let Some(deferred) = self.deferred else { return };
        if self.samples.len() as u32 >= self.config.request_count {
            self.min_rtt = self.percentile();
            self.limit = deferred;
            self.deferred = None;
            self.at_minimum = 0;
            let interval = self.config.interval.ns() / 1_000_000;
            let jitter = libm::ceil(interval as f64 * self.config.jitter) * sample.dice;
            self.next_measurement = now + SimDuration::from_ms(interval + jitter as u64);
            self.next_window = now + self.config.concurrency_update_interval;
        }
    }

    fn end_window(&mut self, ended: SimTime) {
        if self.samples.is_empty() {
            return;
        }
        let rtt = self.percentile().max(1) as f64;
        let min_rtt = self.min_rtt as f64;
        let gradient = ((min_rtt + min_rtt * self.config.buffer) / rtt).clamp(0.5, 2.0);
        let limit = f64::from(self.limit) * gradient;
        let new = (limit + libm::sqrt(limit)) as u32;
        let new = new.min(self.config.max_concurrency_limit).max(self.config.min_concurrency);
        let minimum = self.config.min_concurrency;
        self.at_minimum = if self.limit == minimum && new == minimum { self.at_minimum + 1 } else { 0 };
        self.limit = new;
        if self.at_minimum >= AT_MINIMUM {
            self.next_measurement = ended;
            // The measurement comes before anything else of the present.
            self.next_window = self.next_window.max(ended);
        }
    }

    /// The percentile of the samples, which are forgotten.
    fn percentile(&mut self) -> u64 {
        self.samples.sort_unstable();
        let rank = libm::ceil(self.config.sample_aggregate_percentile * self.samples.len() as f64) as usize;
        let value = self.samples.get(rank.saturating_sub(1)).copied().unwrap_or(0);
        self.samples.clear();
        value
    }
}
