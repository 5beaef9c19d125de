//! The retry quota of the AWS SDKs in standard mode, as in botocore 1.44.5 (`retries/quota.py`,
//! `retries/standard.py`).
//!
//! A retry takes tokens before its wait begins: more after a failure of the server than after throttling, which is
//! not a sign of an outage. A call that succeeds after retries gets back what its *last* retry cost, one that
//! succeeds at once adds one token, and one that fails in the end gives nothing back. Time gives nothing: when about
//! 35 retries in vain have emptied the bucket (500/14), only successes fill it again.

use crate::base::outcome::Outcome;

/// What a retry costs, in tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AwsStandardConfig {
    /// What it holds at the start, and the most it holds (`INITIAL_CAPACITY`).
    pub initial: u32,
    /// A retry after any other failure (`_RETRY_COST`).
    pub retry_cost: u32,
    /// A retry after throttling: the outcome `Rejected` (`_THROTTLING_RETRY_COST`).
    pub throttling_retry_cost: u32,
    /// A retry after a timeout. Today it is the same as any other; SDKs before took 10 where others took 5.
    pub timeout_retry_cost: u32,
    /// A success at the first attempt gives this back (`_NO_RETRY_INCREMENT`).
    pub no_retry_increment: u32,
}

impl AwsStandardConfig {
    /// The constants of botocore 1.44.5.
    pub const BOTOCORE: Self = Self {
        initial: 500,
        retry_cost: 14,
        throttling_retry_cost: 5,
        timeout_retry_cost: 14,
        no_retry_increment: 1,
    };
}

/// The bucket of one client.
#[derive(Clone, Copy, Debug)]
pub struct AwsStandard {
    config: AwsStandardConfig,
    capacity: u32,
}

impl AwsStandard {
    /// A full bucket.
    pub fn new(config: AwsStandardConfig) -> Self {
        Self { config, capacity: config.initial }
    }

    /// Changes the settings while it runs. The tokens stay, as far as they fit.
    pub fn reconfigure(&mut self, config: AwsStandardConfig) {
        self.config = config;
        self.capacity = self.capacity.min(config.initial);
    }

    /// Tokens left.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Pays for a retry after `failure`; what it cost, or `None` if there is too little left.
    pub fn acquire(&mut self, failure: Outcome) -> Option<u32> {
        let cost = match failure {
            Outcome::Rejected => self.config.throttling_retry_cost,
            Outcome::Timeout => self.config.timeout_retry_cost,
            _ => self.config.retry_cost,
        };
        self.capacity = self.capacity.checked_sub(cost)?;
        Some(cost)
    }

    /// A call succeeded, whose last retry cost so much; `None` if it had none.
    pub fn release(&mut self, last_cost: Option<u32>) {
        let back = last_cost.unwrap_or(self.config.no_retry_increment);
        self.capacity = self.capacity.saturating_add(back).min(self.config.initial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn about_thirty_five_retries_in_vain_and_then_silence() {
        let mut bucket = AwsStandard::new(AwsStandardConfig::BOTOCORE);
        let paid = (0..100).take_while(|_| bucket.acquire(Outcome::Error).is_some()).count();
        assert_eq!((paid, bucket.capacity()), (35, 10));
        // Throttling is cheaper.
        assert_eq!(bucket.acquire(Outcome::Rejected), Some(5));
        // Four successes are not enough for another, and a success after a retry gives back that retry alone.
        (0..8).for_each(|_| bucket.release(None));
        assert_eq!(bucket.acquire(Outcome::Error), None);
        bucket.release(None);
        assert_eq!(bucket.acquire(Outcome::Unavailable), Some(14));
        bucket.release(Some(14));
        assert_eq!(bucket.capacity(), 14);
    }

    #[test]
    fn older_sdks_took_more_after_a_timeout() {
        let old = AwsStandardConfig { retry_cost: 5, timeout_retry_cost: 10, ..AwsStandardConfig::BOTOCORE };
        let mut bucket = AwsStandard::new(old);
        assert_eq!((bucket.acquire(Outcome::Error), bucket.acquire(Outcome::Timeout)), (Some(5), Some(10)));
        assert_eq!(bucket.capacity(), 485);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn the_bucket_stays_within_its_capacity_and_pays_no_more_than_it_was_given(
            initial in 0u32..600, cost in 0u32..30, throttling in 0u32..30, increment in 0u32..5,
            steps in prop::collection::vec(0u8..5, 1..60),
        ) {
            let config = AwsStandardConfig {
                initial, retry_cost: cost, throttling_retry_cost: throttling, timeout_retry_cost: cost,
                no_retry_increment: increment,
            };
            let mut bucket = AwsStandard::new(config);
            let (mut paid, mut given, mut last) = (0, initial, None);
            for step in steps {
                let before = bucket.capacity();
                let failure = match step {
                    0 => Outcome::Error,
                    1 => Outcome::Rejected,
                    2 => Outcome::Timeout,
                    _ => {
                        let back = if step == 3 { last.take() } else { None };
                        bucket.release(back);
                        given += back.unwrap_or(increment);
                        continue;
                    }
                };
                match bucket.acquire(failure) {
                    Some(price) => {
                        prop_assert_eq!(bucket.capacity() + price, before);
                        paid += price;
                        last = Some(price);
                    }
                    None => prop_assert_eq!(bucket.capacity(), before),
                }
                prop_assert!(bucket.capacity() <= initial);
                prop_assert!(paid <= given);
            }
        }
    }
}
