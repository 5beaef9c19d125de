//! The send-rate limit of the AWS SDKs in adaptive mode, as in botocore 1.44.5 (`retries/adaptive.py`,
//! `retries/throttling.py`, `retries/bucket.py`).
//!
//! Until the first throttled answer everything passes, and only the rate is measured. From then on each attempt takes
//! a token and waits until there is one; throttled answers lower the rate at which tokens come to 70 %, and it grows
//! again by the cubic curve of TCP CUBIC: quickly back to where it was throttled, slowly about there, then faster.
//! It never comes to more than twice what is really sent.
//!
//! ```text
//!   measured rate: answers per half second, 0.8 of the new and 0.2 of the old
//!   throttled:     w_max = min(measured, fill rate), or measured the first time;  rate = 0.7 w_max
//!   otherwise:     rate = 0.4 (dt - K)^3 + w_max,   K = cbrt(0.3 w_max / 0.4),  dt seconds after the last throttling
//!   fill rate      = max(0.5, min(rate, 2 measured)) per second
//!   most tokens    = max(1, min(rate, 2 measured))
//! ```
//!
//! Times are floating seconds and the arithmetic is botocore's, operation by operation.

use crate::base::time::{SimDuration, SimTime};

/// The constants of the limit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AwsAdaptiveConfig {
    /// How fast the cubic curve grows (`_SCALE_CONSTANT`).
    pub scale_constant: f64,
    /// What is left of the rate after throttling (`_BETA`).
    pub beta: f64,
    /// The weight of the newest measurement (`_DEFAULT_SMOOTHING`).
    pub smoothing: f64,
    /// The length of a measurement in seconds (`_TIME_BUCKET_RANGE`).
    pub time_bucket_range: f64,
    /// The least rate per second (`_MIN_RATE`).
    pub min_rate: f64,
    /// How many times what is measured the rate may be (`_MAX_RATE_ADJUST_SCALE`).
    pub max_rate_adjust_scale: f64,
}

impl AwsAdaptiveConfig {
    /// The constants of botocore 1.44.5.
    pub const BOTOCORE: Self = Self {
        scale_constant: 0.4,
        beta: 0.7,
        smoothing: 0.8,
        time_bucket_range: 0.5,
        min_rate: 0.5,
        max_rate_adjust_scale: 2.0,
    };
}

/// The limit of one client.
#[derive(Clone, Copy, Debug)]
pub struct AwsAdaptive {
    config: AwsAdaptiveConfig,
    is_enabled: bool,
    // What is measured.
    measured: f64,
    count: f64,
    last_bucket: f64,
    // The cubic curve.
    w_max: f64,
    k: f64,
    last_fail: f64,
    // The bucket.
    fill_rate: f64,
    max_capacity: f64,
    tokens: f64,
    filled_at: f64,
}

impl AwsAdaptive {
    /// A limit that lets everything pass. It begins with one token per second, and none.
    pub fn new(config: AwsAdaptiveConfig, now: SimTime) -> Self {
        Self::starting_at(config, now.seconds())
    }

    /// The same, for clocks that start elsewhere; in seconds.
    pub fn starting_at(config: AwsAdaptiveConfig, now: f64) -> Self {
        Self {
            config,
            is_enabled: false,
            measured: 0.0,
            count: 0.0,
            last_bucket: libm::floor(now),
            w_max: 0.0,
            k: 0.0,
            last_fail: now,
            fill_rate: 1.0_f64.max(config.min_rate),
            max_capacity: 1.0,
            tokens: 0.0,
            filled_at: now,
        }
    }

    /// Changes the constants while it runs; what is known stays, and the next answer sets the rate anew.
    pub fn reconfigure(&mut self, config: AwsAdaptiveConfig) {
        self.config = config;
    }

    /// Whether attempts need a token: since the first throttled answer.
    pub fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// Answers per second, as measured.
    pub fn measured(&self) -> f64 {
        self.measured
    }

    /// Tokens per second.
    pub fn fill_rate(&self) -> f64 {
        self.fill_rate
    }

    /// Tokens when they were last counted.
    pub fn tokens(&self) -> f64 {
        self.tokens
    }

    /// An attempt takes a token, if it needs one and there is one.
    pub fn take(&mut self, now: SimTime) -> bool {
        self.take_at(now.seconds())
    }

    /// The same, at a time in seconds.
    pub fn take_at(&mut self, now: f64) -> bool {
        if !self.is_enabled {
            return true;
        }
        self.refill(now);
        let is_there = self.tokens >= 1.0;
        if is_there {
            self.tokens -= 1.0;
        }
        is_there
    }

    /// When there is a token, as things stand: rounded up. It may lie in the past.
    pub fn free_at(&self) -> SimTime {
        let lacking = (1.0 - self.tokens).max(0.0);
        if !self.is_enabled || lacking == 0.0 {
            return SimTime::ZERO;
        }
        let at = self.filled_at + lacking / self.fill_rate;
        // Sums of seconds are not exact to the nanosecond.
        SimTime::ZERO + SimDuration::from_seconds(at) + SimDuration::from_ns(2)
    }

    /// Takes the token of whoever waited until [`free_at`](Self::free_at).
    pub fn take_due(&mut self, now: SimTime) {
        if self.is_enabled {
            self.refill(now.seconds());
            self.tokens = (self.tokens - 1.0).max(0.0);
        }
    }

    /// An attempt was answered.
    pub fn on_response(&mut self, now: SimTime, throttled: bool) {
        self.on_response_at(now.seconds(), throttled);
    }

    /// The same, at a time in seconds.
    pub fn on_response_at(&mut self, now: f64, throttled: bool) {
        self.measure(now);
        let config = self.config;
        let rate = if throttled {
            self.w_max = if self.is_enabled { self.measured.min(self.fill_rate) } else { self.measured };
            self.k = libm::pow(self.w_max * (1.0 - config.beta) / config.scale_constant, 1.0 / 3.0);
            self.last_fail = now;
            self.is_enabled = true;
            self.w_max * config.beta
        } else {
            let dt = now - self.last_fail;
            config.scale_constant * libm::pow(dt - self.k, 3.0) + self.w_max
        };
        let rate = rate.min(config.max_rate_adjust_scale * self.measured);
        self.refill(now);
        self.fill_rate = rate.max(config.min_rate);
        self.max_capacity = rate.max(1.0);
        self.tokens = self.tokens.min(self.max_capacity);
    }

    fn measure(&mut self, now: f64) {
        let scale = 1.0 / self.config.time_bucket_range;
        let bucket = libm::floor(now * scale) / scale;
        self.count += 1.0;
        if bucket > self.last_bucket {
            let rate = self.count / (bucket - self.last_bucket);
            let smoothing = self.config.smoothing;
            self.measured = rate * smoothing + self.measured * (1.0 - smoothing);
            self.count = 0.0;
            self.last_bucket = bucket;
        }
    }

    fn filled(&self, now: f64) -> f64 {
        self.max_capacity.min(self.tokens + (now - self.filled_at) * self.fill_rate)
    }

    fn refill(&mut self, now: f64) {
        self.tokens = self.filled(now);
        self.filled_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTOCORE: AwsAdaptiveConfig = AwsAdaptiveConfig::BOTOCORE;

    #[test]
    fn everything_passes_until_the_first_throttling() {
        let mut limit = AwsAdaptive::starting_at(BOTOCORE, 0.0);
        for n in 0..1_000 {
            let now = f64::from(n) / 100.0;
            assert!(limit.take_at(now));
            limit.on_response_at(now, false);
        }
        assert!(!limit.is_enabled());
        assert!((limit.measured() - 100.0).abs() < 1.0);
        limit.on_response_at(10.0, true);
        assert!((limit.fill_rate() - 70.0).abs() < 1.0, "{}", limit.fill_rate());
    }

    #[test]
    fn the_rate_comes_back_along_a_cubic_curve() {
        let mut limit = AwsAdaptive::starting_at(BOTOCORE, 0.0);
        (0..1_000).for_each(|n| limit.on_response_at(f64::from(n) / 100.0, false));
        limit.on_response_at(10.0, true);
        // K is the cube root of 75: there the rate is where it was.
        let k = libm::cbrt(limit.w_max * 0.75);
        let mut before = limit.fill_rate();
        for n in 1..=900 {
            let now = 10.0 + f64::from(n) / 100.0;
            limit.on_response_at(now, false);
            assert!(limit.fill_rate() >= before - 1e-9);
            before = limit.fill_rate();
            if (now - 10.0 - k).abs() < 0.005 {
                assert!((limit.fill_rate() - limit.w_max).abs() < 0.01);
            }
        }
        assert!(before > limit.w_max * 1.2);
    }

    #[test]
    fn who_is_never_answered_well_sends_once_in_two_seconds() {
        let mut limit = AwsAdaptive::starting_at(BOTOCORE, 0.0);
        (1..50).for_each(|n| limit.on_response_at(f64::from(n), true));
        assert_eq!(limit.fill_rate(), 0.5);
    }

    #[test]
    fn a_token_is_there_when_it_was_said_to_be() {
        let mut limit = AwsAdaptive::new(BOTOCORE, SimTime::ZERO);
        for n in 0..1_000u64 {
            let now = SimTime::from_ns(n * 7_654_321);
            limit.on_response(now, n % 3 == 0);
            let mut then = limit;
            assert!(then.take(then.free_at().max(now)));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn no_more_attempts_than_tokens_came(
            steps in prop::collection::vec((any::<bool>(), 0u64..800, 0u8..4), 1..60),
        ) {
            let mut limit = AwsAdaptive::new(BOTOCORE, SimTime::ZERO);
            limit.on_response(SimTime::ZERO, true);
            let mut now = SimTime::ZERO;
            let (mut taken, mut came) = (0.0, limit.tokens());
            for (throttled, ms, tries) in steps {
                let gap = SimDuration::from_ms(ms);
                now += gap;
                came += gap.seconds() * limit.fill_rate();
                for _ in 0..tries {
                    if limit.take(now) {
                        taken += 1.0;
                    }
                    prop_assert!(limit.tokens() >= 0.0 && limit.tokens() <= limit.max_capacity);
                }
                prop_assert!(taken <= came + 1e-6, "{} of {}", taken, came);
                limit.on_response(now, throttled);
                prop_assert!(limit.fill_rate() >= 0.5);
                prop_assert!(limit.fill_rate() <= (2.0 * limit.measured()).max(0.5));
            }
        }
    }
}
