//! Finagle's `RetryBudget` (finagle-core `service/RetryBudget.scala`, over the leaky token bucket of `util`).
//!
//! Every request deposits, every retry withdraws, and both are forgotten after `ttl`: the balance is what the last
//! `ttl` brought, plus a reserve for clients that ask rarely. Time is cut into ten slices of `ttl / 10`, and a slice
//! begins with the first use after the one before it has ended, so a deposit lives between `ttl` and a little more.

use crate::base::time::{SimDuration, SimTime};

/// A request's deposit, if a share of the requests may be retried.
const SCALE: f64 = 1_000.0;

/// Slices of the window beside the one that is being filled.
const OLD: usize = 9;

/// How many retries there may be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FinagleConfig {
    /// How long deposits and withdrawals are remembered.
    pub ttl: SimDuration,
    /// Retries per second that are always allowed (`minRetriesPerSec`).
    pub min_retries_per_sec: u32,
    /// Retries for each request beside those (`percentCanRetry`: 0.2 for one in five; may be more than 1).
    pub percent_can_retry: f64,
}

impl FinagleConfig {
    /// `RetryBudget.apply()`.
    pub const DEFAULT: Self =
        Self { ttl: SimDuration::from_secs(10), min_retries_per_sec: 10, percent_can_retry: 0.2 };

    fn deposit(&self) -> i64 {
        if self.percent_can_retry == 0.0 { 0 } else { SCALE as i64 }
    }

    fn withdrawal(&self) -> i64 {
        if self.percent_can_retry == 0.0 { 1 } else { (SCALE / self.percent_can_retry) as i64 }
    }

    /// Whole seconds of the `ttl` count.
    fn reserve(&self) -> i64 {
        i64::from(self.min_retries_per_sec) * (self.ttl.ns() / 1_000_000_000) as i64 * self.withdrawal()
    }

    /// Whole milliseconds, as its clock has them.
    fn slice(&self) -> u64 {
        (self.ttl.ns() / 1_000_000 / (OLD as u64 + 1)).max(1)
    }
}

/// The budget of one client.
#[derive(Clone, Copy, Debug)]
pub struct Finagle {
    config: FinagleConfig,
    current: i64,
    old: [i64; OLD],
    next: usize,
    /// When the current slice began, in milliseconds.
    began: u64,
}

impl Finagle {
    /// A budget that starts at `now` with its reserve.
    pub fn new(config: FinagleConfig, now: SimTime) -> Self {
        Self { config, current: 0, old: [0; OLD], next: 0, began: now.ns() / 1_000_000 }
    }

    /// Changes the settings while it runs; what is remembered stays.
    pub fn reconfigure(&mut self, config: FinagleConfig) {
        self.config = config;
    }

    /// A request sets out.
    pub fn deposit(&mut self, now: SimTime) {
        self.turn(now);
        self.current += self.config.deposit();
    }

    /// Pays for a retry, if it can.
    pub fn try_withdraw(&mut self, now: SimTime) -> bool {
        let is_paid = self.count(now) >= self.config.withdrawal() && self.config.reserve_or_share();
        if is_paid {
            self.current -= self.config.withdrawal();
        }
        is_paid
    }

    /// How many retries could be made now.
    pub fn balance(&mut self, now: SimTime) -> u32 {
        (self.count(now) / self.config.withdrawal()).max(0) as u32
    }

    fn count(&mut self, now: SimTime) -> i64 {
        self.turn(now);
        self.current + self.old.iter().sum::<i64>() + self.config.reserve()
    }

    /// Puts the current slice away if its time is over, and forgets those that are too old.
    fn turn(&mut self, now: SimTime) {
        let (now, slice) = (now.ns() / 1_000_000, self.config.slice());
        let gone = now.saturating_sub(self.began) / slice;
        if gone == 0 {
            return;
        }
        self.old[self.next] = std::mem::take(&mut self.current);
        self.next = (self.next + 1) % OLD;
        for _ in 0..(gone - 1).min(OLD as u64) {
            self.old[self.next] = 0;
            self.next = (self.next + 1) % OLD;
        }
        self.began = now;
    }
}

impl FinagleConfig {
    /// With neither reserve nor share there is never a retry (`RetryBudget.Empty`).
    fn reserve_or_share(&self) -> bool {
        self.min_retries_per_sec > 0 || self.percent_can_retry > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> SimTime {
        SimTime::from_ns(ms * 1_000_000)
    }

    #[test]
    fn a_hundred_retries_are_there_at_the_start_and_come_back_after_ten_seconds() {
        let mut budget = Finagle::new(FinagleConfig::DEFAULT, at(0));
        assert_eq!(budget.balance(at(0)), 100);
        let paid = (0..200).filter(|_| budget.try_withdraw(at(500))).count();
        assert_eq!((paid, budget.balance(at(500))), (100, 0));
        // Withdrawals are forgotten with their slice: not bit by bit, but all at once.
        assert_eq!((budget.balance(at(9_999)), budget.balance(at(10_999))), (0, 100));
    }

    #[test]
    fn five_requests_pay_for_a_retry() {
        let config = FinagleConfig { min_retries_per_sec: 0, ..FinagleConfig::DEFAULT };
        let mut budget = Finagle::new(config, at(0));
        let mut paid = String::new();
        for request in 1..=10 {
            budget.deposit(at(request));
            paid.push(if budget.try_withdraw(at(request)) { 'y' } else { 'n' });
        }
        assert_eq!(paid, "nnnnynnnny");
        // Twice as many retries as requests, if one wants that.
        let mut generous = Finagle::new(FinagleConfig { percent_can_retry: 2.0, ..config }, at(0));
        generous.deposit(at(0));
        assert_eq!((0..3).filter(|_| generous.try_withdraw(at(0))).count(), 2);
        let nothing = FinagleConfig { percent_can_retry: 0.0, ..config };
        assert!(!Finagle::new(nothing, at(0)).try_withdraw(at(5)));
        let reserve = FinagleConfig { min_retries_per_sec: 3, ..nothing };
        assert_eq!(Finagle::new(reserve, at(0)).balance(at(0)), 30);
    }

    #[test]
    fn deposits_expire() {
        let config = FinagleConfig { min_retries_per_sec: 0, ..FinagleConfig::DEFAULT };
        let mut budget = Finagle::new(config, at(0));
        (0..10).for_each(|_| budget.deposit(at(100)));
        assert_eq!((budget.balance(at(9_999)), budget.balance(at(30_000))), (2, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn no_more_retries_than_reserve_and_share(
            min in 0u32..5, percent in 0u32..30, ttl in 1u64..20,
            steps in prop::collection::vec((0u8..3, 0u64..3_000), 1..80),
        ) {
            let share = f64::from(percent) / 10.0;
            let config = FinagleConfig {
                ttl: SimDuration::from_secs(ttl), min_retries_per_sec: min, percent_can_retry: share,
            };
            let (mut now, mut budget) = (0, Finagle::new(config, at(0)));
            let (mut requests, mut retries) = (0.0, 0.0);
            for (step, gap) in steps {
                now += gap;
                if step == 0 {
                    budget.deposit(at(now));
                    requests += 1.0;
                } else if budget.try_withdraw(at(now)) {
                    retries += 1.0;
                }
                // Each slice forgets at once what it withdrew: the reserve is there once in each ttl begun, and one
                // more.
                let times = (now / (ttl * 900)) as f64 + 1.0;
                let reserve = f64::from(min) * ttl as f64 * times;
                // What a withdrawal costs is cut off to a whole number.
                let most = requests * share * 1.01 + reserve * 1.01;
                prop_assert!(retries <= most + 1e-9, "{retries} retries, at most {most}");
            }
        }
    }
}
