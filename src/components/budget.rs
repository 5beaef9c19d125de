//! A retry budget: retries are paid for by ordinary traffic.
//!
//! A limit per request (`max_retries`) bounds what one caller does; under overload every caller does it, and the
//! load multiplies. A budget bounds what they do together: a bucket of tokens, filled by requests, successes or
//! time, from which each retry pays. When it is empty, failures are final and the load stays what it was.
//!
//! This file has one general form; the products' own laws, with their parameters, are beside it:
//!
//! | product | law | file |
//! | --- | --- | --- |
//! | AWS SDKs, standard mode | a retry costs 14 of 500 tokens, a success gives 1 | [`aws`] |
//! | gRPC | retries while more than half of the tokens are left | [`grpc`] |
//! | Finagle | a fifth of the last ten seconds' requests, and 10 per second | [`finagle`] |
//! | Envoy | 3 at once, or a fifth of the requests under way | [`envoy`] |
//!
//! Tokens are counted in whole millionths, so that five deposits of 0.2 are one token exactly.

pub mod aws;
pub mod envoy;
pub mod family;
pub mod finagle;
pub mod grpc;

use crate::base::time::{SimDuration, SimTime};

const MICRO: f64 = 1e6;
const NS_PER_SECOND: u128 = 1_000_000_000;

/// How a budget fills and what a retry costs, all in tokens (resolution: one millionth).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BudgetConfig {
    /// The most that it holds. More is lost.
    pub capacity: f64,
    /// What it holds at the start.
    pub initial: f64,
    /// Added for each request, at its first attempt.
    pub deposit_per_request: f64,
    /// Added for each request that succeeds at its first attempt.
    pub deposit_per_success: f64,
    /// Taken for each retry; with less than that left there is no retry.
    pub cost_per_retry: f64,
    /// Added for each request that succeeds after retries, in place of `deposit_per_success`.
    pub refund_on_retry_success: f64,
    /// Added over time, per second.
    pub refill_per_second: f64,
}

impl BudgetConfig {
    /// A share of the requests may be retried (0.2: one in five), and besides that so many per second; unused
    /// retries gather up to `capacity`, which is also what it starts with. `ratio(0.2, 10.0, 100.0)` is the
    /// default of Finagle, with its ten seconds' worth of reserve.
    pub fn ratio(ratio: f64, min_per_second: f64, capacity: f64) -> Self {
        Self {
            capacity,
            initial: capacity,
            deposit_per_request: ratio,
            deposit_per_success: 0.0,
            cost_per_retry: 1.0,
            refund_on_retry_success: 0.0,
            refill_per_second: min_per_second,
        }
    }

    /// The bucket of the AWS SDKs in standard mode, as in botocore 1.44.5: 500 tokens, a retry costs 14 (before:
    /// 5; 5 still after throttling), a success gives 1, a retried success gives 14 back, time gives nothing.
    /// About 35 retries in vain end all retrying, until successes have paid for more.
    pub fn aws_standard() -> Self {
        Self {
            capacity: 500.0,
            initial: 500.0,
            deposit_per_request: 0.0,
            deposit_per_success: 1.0,
            cost_per_retry: 14.0,
            refund_on_retry_success: 14.0,
            refill_per_second: 0.0,
        }
    }
}

/// A bucket of tokens, shared by the requests of one client.
#[derive(Clone, Debug)]
pub struct Budget {
    rates: Rates,
    tokens: u64,
    /// What is due over time beyond whole millionths: below `NS_PER_SECOND`.
    remainder: u64,
    filled_at: SimTime,
}

/// The configuration in millionths of a token.
#[derive(Clone, Copy, Debug)]
struct Rates {
    capacity: u64,
    per_request: u64,
    per_success: u64,
    cost: u64,
    refund: u64,
    per_second: u64,
}

impl Rates {
    fn new(config: &BudgetConfig) -> Self {
        Self {
            capacity: micro(config.capacity),
            per_request: micro(config.deposit_per_request),
            per_success: micro(config.deposit_per_success),
            cost: micro(config.cost_per_retry),
            refund: micro(config.refund_on_retry_success),
            per_second: micro(config.refill_per_second),
        }
    }
}

impl Budget {
    /// A budget that starts at `now` with its initial tokens.
    pub fn new(config: &BudgetConfig, now: SimTime) -> Self {
        let rates = Rates::new(config);
        Self { rates, tokens: micro(config.initial).min(rates.capacity), remainder: 0, filled_at: now }
    }

    /// Changes the settings while it runs. The tokens stay, as far as they fit.
    pub fn reconfigure(&mut self, config: &BudgetConfig, now: SimTime) {
        self.refill(now);
        self.rates = Rates::new(config);
        self.deposit(0);
    }

    /// A request sets out, with its first attempt.
    #[inline]
    pub fn on_request(&mut self, now: SimTime) {
        self.refill(now);
        self.deposit(self.rates.per_request);
    }

    /// A request succeeded, at its first attempt or (`retried`) at a later one.
    #[inline]
    pub fn on_success(&mut self, now: SimTime, retried: bool) {
        self.refill(now);
        self.deposit(if retried { self.rates.refund } else { self.rates.per_success });
    }

    /// Pays for a retry. If it cannot, nothing is taken and there must be no retry.
    pub fn try_retry(&mut self, now: SimTime) -> bool {
        self.refill(now);
        let Some(left) = self.tokens.checked_sub(self.rates.cost) else {
            return false;
        };
        self.tokens = left;
        true
    }

    /// How many tokens there are at `now`.
    pub fn tokens(&self, now: SimTime) -> f64 {
        self.filled(now).0 as f64 / MICRO
    }

    #[inline]
    fn deposit(&mut self, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens).min(self.rates.capacity);
    }

    #[inline]
    fn refill(&mut self, now: SimTime) {
        if self.rates.per_second > 0 {
            (self.tokens, self.remainder) = self.filled(now);
        }
        self.filled_at = now.max(self.filled_at);
        debug_assert!(self.tokens <= self.rates.capacity);
    }

    /// Tokens and remainder at `now`.
    fn filled(&self, now: SimTime) -> (u64, u64) {
        let elapsed: SimDuration = now.since(self.filled_at);
        let due = u128::from(self.rates.per_second) * u128::from(elapsed.ns()) + u128::from(self.remainder);
        let tokens = u128::from(self.tokens) + due / NS_PER_SECOND;
        let capacity = u128::from(self.rates.capacity);
        // What a full bucket cannot hold is lost, to the last fraction.
        if tokens >= capacity {
            (self.rates.capacity, 0)
        } else {
            (tokens as u64, (due % NS_PER_SECOND) as u64)
        }
    }
}

/// Millionths of a token, to the nearest. The cast saturates: negatives and NaN become 0.
fn micro(tokens: f64) -> u64 {
    (tokens * MICRO + 0.5) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Plays a script: `r` a request, `+` a success, `*` a success after retries, `?` a retry wanted, `.` a
    /// second passes. Returns `y` or `n` for each retry wanted, and the tokens left.
    fn play(config: BudgetConfig, script: &str) -> (String, f64) {
        let mut now = SimTime::ZERO;
        let mut budget = Budget::new(&config, now);
        let mut answers = String::new();
        for step in script.chars() {
            match step {
                'r' => budget.on_request(now),
                '+' => budget.on_success(now, false),
                '*' => budget.on_success(now, true),
                '?' => answers.push(if budget.try_retry(now) { 'y' } else { 'n' }),
                '.' => now += SimDuration::from_secs(1),
                other => panic!("no step {other}"),
            }
        }
        (answers, budget.tokens(now))
    }

    fn empty_ratio(ratio: f64, min_per_second: f64) -> BudgetConfig {
        BudgetConfig { initial: 0.0, ..BudgetConfig::ratio(ratio, min_per_second, 100.0) }
    }

    #[test]
    fn five_fifths_are_one() {
        assert_eq!(play(empty_ratio(0.2, 0.0), "rrrr?r?"), ("ny".into(), 0.0));
        assert_eq!(play(empty_ratio(0.1, 0.0), "rrrrrrrrr?r?"), ("ny".into(), 0.0));
    }

    #[test]
    fn time_fills_and_the_capacity_holds() {
        assert_eq!(play(empty_ratio(0.0, 0.5), "?.?.?"), ("nny".into(), 0.0));
        assert_eq!(play(BudgetConfig::ratio(0.2, 0.5, 2.0), "...rr???"), ("yyn".into(), 0.0));
    }

    #[test]
    fn a_ratio_starts_full() {
        assert_eq!(play(BudgetConfig::ratio(0.2, 0.0, 2.0), "???"), ("yyn".into(), 0.0));
    }

    #[test]
    fn the_aws_bucket_pays_thirty_five_retries() {
        let (answers, left) = play(BudgetConfig::aws_standard(), &"?".repeat(37));
        assert_eq!(answers, "y".repeat(35) + "nn");
        assert_eq!(left, 10.0);
    }

    #[test]
    fn the_aws_bucket_refunds_the_last_retry_only() {
        assert_eq!(play(BudgetConfig::aws_standard(), "??*"), ("yy".into(), 486.0));
        assert_eq!(play(BudgetConfig::aws_standard(), "?+"), ("y".into(), 487.0));
        assert_eq!(play(BudgetConfig::aws_standard(), "+*.r").1, 500.0);
    }

    #[test]
    fn thirds_of_a_second_add_up() {
        let mut budget = Budget::new(&empty_ratio(0.0, 1.0), SimTime::ZERO);
        for tick in 1..=3_000u64 {
            budget.on_request(SimTime::from_ns(tick * 333_333_333));
            assert!(budget.tokens(SimTime::from_ns(tick * 333_333_333)) <= 100.0);
            if tick == 3 {
                assert!(!budget.try_retry(SimTime::from_ns(999_999_999)));
                assert!(budget.clone().try_retry(SimTime::from_ns(1_000_000_000)));
            }
        }
    }

    #[test]
    fn reconfiguring_keeps_what_fits() {
        let mut budget = Budget::new(&BudgetConfig::aws_standard(), SimTime::ZERO);
        budget.reconfigure(&BudgetConfig::ratio(0.2, 0.0, 3.0), SimTime::ZERO);
        assert_eq!(budget.tokens(SimTime::ZERO), 3.0);
    }

    proptest! {
        #[test]
        fn retries_never_exceed_deposits(
            ratio in 0u32..2_000, per_second in 0u32..5_000, capacity in 1u32..50,
            steps in prop::collection::vec((0u8..3, 0u64..2_000_000_000), 1..400),
        ) {
            let (ratio, per_second) = (f64::from(ratio) / 1e3, f64::from(per_second) / 1e3);
            let config = BudgetConfig::ratio(ratio, per_second, f64::from(capacity));
            let mut now = SimTime::ZERO;
            let mut budget = Budget::new(&config, now);
            let (mut requests, mut retries) = (0.0, 0.0);
            for (step, gap) in steps {
                now += SimDuration::from_ns(gap);
                if step == 0 {
                    budget.on_request(now);
                    requests += 1.0;
                } else if budget.try_retry(now) {
                    retries += 1.0;
                }
                prop_assert!((0.0..=f64::from(capacity)).contains(&budget.tokens(now)));
                let paid = f64::from(capacity) + requests * ratio + now.seconds() * per_second;
                prop_assert!(retries <= paid + 1e-6, "{retries} retries, {paid} tokens");
            }
        }
    }
}
