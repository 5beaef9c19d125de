//! CPU credits of burstable instances (Amazon EC2, T family): a bucket that fills while the CPU idles.
//!
//! Intuition: one credit is one core for one minute. Credits are earned at a constant rate, the baseline, up to a day's
//! worth, and spent at the rate of use. Below the baseline the bucket fills, above it it empties.
//!
//! What surprises: in `standard` mode an empty bucket caps the CPU at the baseline, all at once: a t3.micro falls from
//! two cores to a fifth of one. In `unlimited` mode, T3's default, nothing is slowed down; the surplus is billed.
//! T2 is `standard` by default, and gets 30 launch credits for each core.
//!
//! Source: Amazon EC2 user guide, "Burstable performance instances" (2023).

use crate::base::{SimDuration, SimTime};

/// Nanoseconds of one core in a credit.
const CREDIT_NS: f64 = 60e9;

/// A size of instance.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CreditConfig {
    /// Credits earned in an hour.
    pub earn_per_hour: f64,
    /// The most credits.
    pub cap: f64,
    /// Whether use goes on without credits, and is billed.
    pub unlimited: bool,
}

impl CreditConfig {
    /// Cores that can be used for ever.
    pub fn baseline(&self) -> f64 {
        self.earn_per_hour * CREDIT_NS / 3600e9
    }
}

/// The credits of an instance.
#[derive(Clone, Copy, Debug)]
pub struct Credits {
    config: CreditConfig,
    updated: SimTime,
    balance: f64,
    /// Credits used without having any.
    surplus: f64,
}

impl Credits {
    /// An instance with so many credits.
    pub fn new(config: CreditConfig, now: SimTime, balance: f64) -> Self {
        Self { config, updated: now, balance: balance.clamp(0.0, config.cap), surplus: 0.0 }
    }

    /// Credits there are.
    #[inline]
    pub fn balance(&self) -> f64 {
        self.balance
    }

    /// Credits used in `unlimited` mode without having any.
    #[inline]
    pub fn surplus(&self) -> f64 {
        self.surplus
    }

    /// Takes another size, from `now` on; the caller has brought it up to date.
    pub fn reconfigure(&mut self, config: CreditConfig) {
        self.config = config;
        self.balance = self.balance.min(config.cap);
    }

    /// Time has gone by up to `now`, in which so many cores were used.
    pub fn advance(&mut self, now: SimTime, cores: f64) {
        let ns = now.since(self.updated).ns() as f64;
        self.updated = now;
        let balance = self.balance + (self.config.baseline() - cores) * ns / CREDIT_NS;
        if balance < 0.0 && self.config.unlimited {
            self.surplus -= balance;
        }
        self.balance = balance.clamp(0.0, self.config.cap);
        // A millionth of a credit is 60 microseconds of a core: nothing is left that could be spent.
        if self.balance < 1e-6 && cores > self.config.baseline() * (1.0 - 1e-9) {
            self.balance = 0.0;
        }
    }

    /// The most cores that may be used now: `None` for all of them.
    pub fn limit(&self) -> Option<f64> {
        (!self.config.unlimited && self.balance <= 0.0).then(|| self.config.baseline())
    }

    /// When the credits will be used up, if so many cores are used from now on; `None` if never, or if that has no
    /// effect.
    pub fn runs_out(&self, cores: f64) -> Option<SimTime> {
        let burn = cores - self.config.baseline();
        if self.config.unlimited || burn <= 0.0 || self.balance <= 0.0 {
            return None;
        }
        let ns = self.balance * CREDIT_NS / burn;
        let whole = SimDuration::from_ns((ns as u64).saturating_add(1).min(SimDuration::MAX.ns()));
        Some(self.updated + whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn micro(unlimited: bool) -> CreditConfig {
        CreditConfig { earn_per_hour: 12.0, cap: 288.0, unlimited }
    }

    fn at(s: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(s)
    }

    #[test]
    fn a_micro_earns_a_fifth_of_a_core() {
        assert!((micro(false).baseline() - 0.2).abs() < 1e-12);
        let mut credits = Credits::new(micro(false), SimTime::ZERO, 0.0);
        credits.advance(at(3600), 0.0);
        assert!((credits.balance() - 12.0).abs() < 1e-9);
        credits.advance(at(3600 * 100), 0.0);
        assert!((credits.balance() - 288.0).abs() < 1e-9, "a day's worth");
    }

    #[test]
    fn an_empty_bucket_caps_standard_and_not_unlimited() {
        // 10 credits, two cores: 1.8 cores beyond the baseline.
        let mut credits = Credits::new(micro(false), SimTime::ZERO, 10.0);
        assert_eq!(credits.limit(), None);
        let out = credits.runs_out(2.0).unwrap();
        assert!((out.seconds() - 600.0 / 1.8).abs() < 1e-6);
        credits.advance(out, 2.0);
        assert_eq!(credits.limit(), Some(micro(false).baseline()));
        let mut credits = Credits::new(micro(true), SimTime::ZERO, 10.0);
        assert_eq!(credits.runs_out(2.0), None);
        credits.advance(at(3600), 2.0);
        assert_eq!(credits.limit(), None);
        assert!((credits.surplus() - 98.0).abs() < 1e-9);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn credits_stay_between_none_and_the_cap(
            start in 0.0f64..400.0,
            unlimited in any::<bool>(),
            steps in prop::collection::vec((0u64..100_000, 0u32..9), 1..40),
        ) {
            let mut credits = Credits::new(micro(unlimited), SimTime::ZERO, start);
            let mut now = SimTime::ZERO;
            for (seconds, quarters) in steps {
                let cores = f64::from(quarters) / 4.0;
                let runs_out = credits.runs_out(cores);
                now += SimDuration::from_secs(seconds);
                credits.advance(now, cores);
                prop_assert!((0.0..=288.0).contains(&credits.balance()));
                prop_assert!(credits.limit().is_none() || !unlimited);
                // To the nanosecond it is a matter of rounding.
                if let Some(out) = runs_out
                    && out.ns().abs_diff(now.ns()) > 1
                {
                    prop_assert_eq!(credits.balance() <= 0.0, out <= now);
                }
            }
        }
    }
}
